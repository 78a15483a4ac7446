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
from .services import CupyServices, Services


class Memory(Protocol):
    """A piece of the device's memory, given back when nobody holds it any more."""

    ptr: int  # where it begins
    size: int  # bytes


class Backend(Services, Protocol):
    """One device. ``xp``: its array module, with NumPy's interface."""

    xp: ModuleType

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

    def raising(self) -> AbstractContextManager:
        """Within it, functions of ``xp.linalg`` raise LinAlgError as NumPy's do."""

    def synchronize(self) -> None:
        """Wait until all that was asked of the device is done."""

    # What compiled programs ask for.

    def functions(
        self, forms: Sequence[Any], text: Callable[[Sequence[Any], str], str]
    ) -> list[Callable[[Sequence[tuple[Memory, int]]], None]]:
        """The kernels ``forms`` (``compiler.gpu_code``), which ``text`` writes as PTX for an
        architecture, as functions of where their buffers begin."""

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


class CupyBackend(CupyServices):
    """The first NVIDIA GPU, through CuPy. Source: https://docs.cupy.dev/en/stable/reference/"""

    def __init__(self) -> None:
        self.xp = _optional.require("cupy", "a tensor on device='cuda'")
        self._alloc = self.xp.cuda.alloc
        self._pointer = self.xp.cuda.MemoryPointer
        self._array = self.xp.ndarray
        self._factors = {}  # of products: the addresses of 1 and 0, by dtype
        self._numbers = [np.array([1, 0], dtype) for dtype in (np.float32, np.float64)]
        for pair in self._numbers:
            start = pair.ctypes.data
            self._factors[pair.dtype.char] = start, start + pair.itemsize
        self._lists: dict[tuple, Any] = {}  # of matrices that one product of many takes
        self._ring: Any = None
        self._stream: Any = None
        self._recording = False
        self._errstate = _optional.require("cupyx", "a tensor on device='cuda'").errstate
        self.reset_peak()  # memory is watched from here

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
        return self.xp.asarray(array)

    def is_own(self, array: Any) -> bool:
        """See Backend."""
        return isinstance(array, self._array)

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

            return launch

        return [launched(number, form) for number, form in enumerate(forms)]

    def product(self, a: Any, b: Any, out: Any) -> None:
        """See Backend. cuBLAS counts columns first: it is asked for out' = b' a'."""
        size = out.dtype.itemsize
        m, n = out.shape[-2:]
        turned_b, step_b = _as_columns(b, size)
        turned_a, step_a = _as_columns(a, size)
        blas = self.xp.cuda.cublas
        handle = self.xp.cuda.Device().cublas_handle
        one, zero = self._factors[out.dtype.char]
        letter = {"f": "s", "d": "d"}[out.dtype.char]
        places = [x.data.ptr for x in (b, a, out)]
        head = (handle, turned_b, turned_a, n, m, a.shape[-1], one)
        batch = [d for d in range(out.ndim - 2) if out.shape[d] > 1]
        if not batch:
            b_at, a_at, out_at = places
            gemm = getattr(blas, f"{letter}gemm")
            gemm(*head, b_at, step_b, a_at, step_a, zero, out_at, n)
            return
        count = 1
        for d in batch:
            count *= out.shape[d]
        steps = [_one_step(x, batch) for x in (b, a)]
        if None not in steps:
            gemm = getattr(blas, f"{letter}gemmStridedBatched")
            (b_at, a_at, out_at), (b_next, a_next) = places, [s // size for s in steps]
            gemm(
                *head, b_at, step_b, b_next, a_at, step_a, a_next, zero, out_at, n, m * n, count
            )  # fmt: skip
            return
        lists = [self._places_of(x, batch) for x in (b, a, out)]
        b_at, a_at, out_at = [x.data.ptr for x in lists]
        gemm = getattr(blas, f"{letter}gemmBatched")
        gemm(*head, b_at, step_b, a_at, step_a, zero, out_at, n, count)

    def _places_of(self, x: Any, batch: list[int]) -> Any:
        """The addresses of the matrices in ``x``, kept on the device."""
        shape = tuple([x.shape[d] for d in batch])
        key = (x.data.ptr, shape, tuple([x.strides[d] for d in batch]))
        found = self._lists.get(key)
        if found is None:
            if len(self._lists) > 1000:
                self._lists.clear()
            xp = self.xp
            found = xp.full(shape, x.data.ptr, np.int64)
            for k, d in enumerate(batch):
                along = [-1 if j == k else 1 for j in range(len(shape))]
                found = found + (xp.arange(shape[k]) * x.strides[d]).reshape(along)
            self._lists[key] = found
        return found

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
        before, self._lists = self._lists, dict(self._lists)
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
            self._lists, kept = before, self._lists

        def launch(kept: dict = kept) -> None:
            graph.launch()

        return launch


class _Here:
    """The device there is: found when it is first asked for, or put here by a test."""

    backend: Backend | None = None


_PIECE, _PIECES = 4096, 64  # of the memory that small things are sent by


def _as_columns(x: Any, size: int) -> tuple[int, int]:
    """A matrix as cuBLAS takes it, seen with rows and columns exchanged: 0 where that is how it
    lies, 1 where it must be turned, and the step from one column to the next."""
    m, n = x.shape[-2:]
    rows, cols = [s // size for s in x.strides[-2:]]
    if (cols == 1 or n == 1) and (rows >= n or m == 1):
        return 0, max(rows, n, 1) if m > 1 else max(n, 1)
    return 1, max(cols, m, 1) if n > 1 else max(m, 1)


def _one_step(x: Any, batch: list[int]) -> int | None:
    """The bytes from one matrix to the next, if they are the same for all."""
    step = x.strides[batch[-1]]
    for outer, inner in zip(batch, batch[1:]):
        if x.strides[outer] != x.strides[inner] * x.shape[inner]:
            return None
    return step


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
