"""What the interpreter asks of a device: an array module, memory, copies; CUDA's, through CuPy."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from .. import _optional
from ..core.value import owner_of
from .blas import Products
from .services import CupyServices, Services


class Memory(Protocol):
    """A piece of the device's memory, given back when nobody holds it any more."""

    ptr: int  # where it begins
    size: int  # bytes


class Backend(Services, Protocol):
    """One device. ``xp``: its array module, with NumPy's interface; ``special``: its functions of
    one number that have SciPy's names."""

    xp: ModuleType
    special: Any

    def memory(self, size: int) -> Memory:
        """``size`` bytes, with whatever they held."""

    def seen(
        self, memory: Memory, offset: int, shape: Sequence[int], dtype: np.dtype, strides: Any
    ) -> Any:
        """An array of ``xp`` over ``memory``, from the byte ``offset``; strides in bytes."""

    def memory_of(self, array: Any) -> tuple[Memory, int]:
        """The memory an array of ``xp`` lies in, and the address of its first element."""

    def to_host(self, array: Any) -> np.ndarray:
        """A copy of an array of ``xp`` in the CPU's memory."""

    def to_device(self, array: np.ndarray) -> Any:
        """A copy of ``array`` on the device."""

    def is_own(self, array: Any) -> bool:
        """Whether ``array`` is an array of ``xp``."""

    def elementwise(
        self, operands: Sequence[str], results: Sequence[str], text: str
    ) -> Callable[..., None]:
        """A function of arrays for ``operands``, which broadcast, and ``results``, which it writes.
        ``text`` says for one element, in assignments that mean the same in C and in Python, what
        results become (``T(0.5)``: a number of their type; ``choose(c, a, b)``: a if c, else b).
        All are of one type, none is called i or n, and a result may be an operand that is not read
        after it is written."""

    def raising(self) -> AbstractContextManager:
        """Within it, functions of ``xp.linalg`` raise LinAlgError as NumPy's do."""

    def synchronize(self) -> None:
        """Wait until all that was asked of the device is done."""

    # What compiled programs ask for.

    def functions(
        self, forms: Sequence[Any], text: Callable[[Sequence[Any], str], str]
    ) -> list[Callable[[Sequence[tuple[Memory, int]]], Any]]:
        """The kernels ``forms`` (``compiler.gpu_code``), which ``text`` writes as PTX for an
        architecture, as functions of where their buffers begin: those of all its parts in turn, of
        a bundle, whose function returns another one, which launches it."""

    def product(self, a: Any, b: Any, out: Any) -> None:
        """``out = a @ b`` on arrays of ``xp`` that products can read in place (their last two
        dimensions in rows or in columns); ``out`` is dense."""

    def send(self, memory: Memory, data: np.ndarray) -> None:
        """Write the bytes ``data`` into ``memory``, after all that was asked of the device."""

    def pool(self) -> Any:
        """Memory that recordings take what they need from."""

    def record(self, work: Callable[[], None], pool: Any) -> Callable[[], None]:
        """What ``work()`` asks of the device, which is not done now, but by each call of the
        function that is returned. An exception for what cannot be recorded."""


_DRIVER = {"win32": "nvcuda.dll"}.get(sys.platform, "libcuda.so.1")


@functools.cache
def driver() -> ctypes.CDLL | None:
    """NVIDIA's driver; None where there is none, or no GPU."""
    try:
        library = ctypes.CDLL(_DRIVER)
    except OSError:
        return None
    count = ctypes.c_int()
    if library.cuInit(0) or library.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return None
    return library


_CHOOSE = """
template <typename U> __device__ U choose(bool c, U a, U b) { return c ? a : b; }
"""


class CupyBackend(CupyServices):
    """The first NVIDIA GPU, through CuPy. Source: https://docs.cupy.dev/en/stable/reference/"""

    def __init__(self) -> None:
        self.xp = _optional.require("cupy", "a tensor on device='cuda'")
        self._alloc = self.xp.cuda.alloc
        self._pointer = self.xp.cuda.MemoryPointer
        self._array = self.xp.ndarray
        self._products: Products | None = None
        self._ring: Any = None
        self._stream: Any = None
        self._recording = False
        self.special = _optional.require("cupyx.scipy.special", "a tensor on device='cuda'")
        self._errstate = _optional.require("cupyx", "a tensor on device='cuda'").errstate
        self.tell_of_memory()

    def memory(self, size: int) -> Memory:
        """See Backend."""
        return self._alloc(size).mem

    def seen(
        self, memory: Memory, offset: int, shape: Sequence[int], dtype: np.dtype, strides: Any
    ) -> Any:
        """See Backend."""
        return self._array(shape, dtype, self._pointer(memory, offset), strides)

    def memory_of(self, array: Any) -> tuple[Memory, int]:
        """See Backend."""
        return array.data.mem, array.data.ptr

    def to_host(self, array: Any) -> np.ndarray:
        """See Backend."""
        return array.get()

    def to_device(self, array: np.ndarray) -> Any:
        """See Backend."""
        if self._recording:
            raise NotImplementedError("an array of the CPU is sent to the GPU")
        if array.nbytes > _PIECE and array.flags.c_contiguous and self.is_pinned(owner_of(array)):
            return self.sent_at_once(array)
        return self.xp.asarray(array)

    def is_own(self, array: Any) -> bool:
        """See Backend."""
        return isinstance(array, self._array)

    def elementwise(
        self, operands: Sequence[str], results: Sequence[str], text: str
    ) -> Callable[..., None]:
        """See Backend."""
        kinds = [", ".join(f"T {name}" for name in names) for names in (operands, results)]
        name = f"flambeau_{'_'.join(results)}"
        return self.xp.ElementwiseKernel(*kinds, text, name, preamble=_CHOOSE)

    def raising(self) -> AbstractContextManager:
        """See Backend."""
        return self._errstate(linalg="raise")

    def synchronize(self) -> None:
        """See Backend."""
        self.xp.cuda.get_current_stream().synchronize()

    # ---- programs ----------------------------------------------------------------------------

    def functions(
        self, forms: Sequence[Any], text: Callable[[Sequence[Any], str], str]
    ) -> list[Callable[[Sequence[tuple[Memory, int]]], None]]:
        """See Backend."""
        newest = int(self.xp.cuda.Device().compute_capability) >= 90
        module = self.xp.cuda.function.Module()
        module.load(text(forms, "sm_90" if newest else "sm_80").encode())

        def launched(number: int, form: Any) -> Callable[[Sequence[tuple[Memory, int]]], None]:
            function = module.get_function(f"kernel{number}")
            blocks, threads = (form.blocks,), (form.threads,)

            def launch(places: Sequence[tuple[Memory, int]]) -> None:
                function(blocks, threads, [memory.ptr + start for memory, start in places])

            def prepared(places: Sequence[tuple[Memory, int]]) -> Callable[[], None]:
                addresses = [memory.ptr + start for memory, start in places]
                table = self.to_device(np.array(addresses, np.int64))
                return lambda: function(blocks, threads, [table.data.ptr])

            return prepared if hasattr(form, "parts") else launch

        return [launched(number, form) for number, form in enumerate(forms)]

    def product(self, a: Any, b: Any, out: Any) -> None:
        """See Backend."""
        if self._products is None:
            self._products = Products(self.xp)
        self._products(a, b, out)

    def send(self, memory: Memory, data: np.ndarray) -> None:
        """See Backend. By way of memory that the GPU reads by itself, a ring of it: whoever gets a
        piece a second time waits until the first copy is done."""
        cuda = self.xp.cuda
        if self._ring is None or data.nbytes > _PIECE:
            target = self.xp.ndarray(data.shape, data.dtype, self._pointer(memory, 0))
            if data.nbytes > _PIECE:
                target.set(data)
                return
            self._ring = cuda.alloc_pinned_memory(_PIECE * _PIECES)
            self._turn = 0
        if self._turn == _PIECES:
            self.synchronize()
            self._turn = 0
        start = self._ring.ptr + self._turn * _PIECE
        self._turn += 1
        ctypes.memmove(start, data.ctypes.data, data.nbytes)
        stream = cuda.get_current_stream().ptr
        kind = cuda.runtime.memcpyHostToDevice
        cuda.runtime.memcpyAsync(memory.ptr, start, data.nbytes, kind, stream)

    def pool(self) -> Any:
        """See Backend."""
        return self.xp.cuda.MemoryPool()

    def record(self, work: Callable[[], None], pool: Any) -> Callable[[], None]:
        """See Backend: a CUDA graph."""
        cuda = self.xp.cuda
        if self._stream is None:
            self._stream = cuda.Stream(non_blocking=True)
        stream = self._stream
        self._recording = True
        try:
            with cuda.using_allocator(pool.malloc), stream:
                stream.begin_capture()
                try:
                    work()
                except BaseException:
                    with contextlib.suppress(Exception):  # it may be what ended the recording
                        stream.end_capture()
                    raise
                graph = stream.end_capture()
        finally:
            self._recording = False
        return graph.launch


class _Here:
    """The device there is: found when it is first asked for, or put here by a test."""

    backend: Backend | None = None


_PIECE, _PIECES = 4096, 64  # of the memory that small things are sent by


def available() -> bool:
    """Whether there is a CUDA device, and CuPy to reach it."""
    return _Here.backend is not None or (driver() is not None and _optional.installed("cupy"))


def backend() -> Backend:
    """The device. ModuleNotFoundError with the pip command where CuPy is missing."""
    if _Here.backend is None:
        _Here.backend = CupyBackend()
    return _Here.backend


def use(other: Backend | None) -> Backend | None:
    """Put ``other`` in the place of the device; returns what was there."""
    before, _Here.backend = _Here.backend, other
    return before
