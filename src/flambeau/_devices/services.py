"""What a device offers beside arrays: what it is, its memory's figures, queues of work, pinned
memory, random numbers. ``backend.Backend`` includes it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple, Protocol

import numpy as np

from .._errors import OutOfMemoryError
from . import random_kernels


class Figures(NamedTuple):
    """Bytes of a device's memory: in use by tensors, the most that were since ``reset_peak``, held
    for this process, the most of these, free for anybody, there at all."""

    used: int
    peak: int
    reserved: int
    reserved_peak: int
    free: int
    total: int


def out_of_memory(size: int, figures: Figures) -> OutOfMemoryError:
    """What to raise where there are no ``size`` bytes."""
    total, free = figures.total / 2**30, figures.free / 2**30
    return OutOfMemoryError(
        f"CUDA out of memory. Tried to allocate {_amount(size)}. GPU 0 has a total capacity of "
        f"{total:.2f} GiB of which {free:.2f} GiB is free.\n  tensors of this process hold "
        f"{_amount(figures.used)}, and {_amount(figures.reserved - figures.used)} more are kept "
        "for them; torch.cuda.empty_cache() gives these back, a smaller batch takes less"
    )


def _amount(size: int) -> str:
    return f"{size / 2**30:.2f} GiB" if size >= 2**30 else f"{size / 2**20:.2f} MiB"


class Services(Protocol):
    """See above. Streams and events are the device's own objects, with CuPy's methods:
    ``stream.synchronize()``, ``.done``, ``.record(event)``, ``.wait_event(event)``, ``.ptr``;
    ``event.synchronize()``, ``.done``."""

    def properties(self) -> dict[str, Any]:
        """What CUDA says of it, by CUDA's names: name, major, minor, totalGlobalMem ..."""

    def figures(self) -> Figures:
        """How much of its memory is in use."""

    def reset_peak(self) -> None:
        """Forget how much was in use once."""

    def empty_cache(self) -> None:
        """Give memory that no tensor uses back to the system."""

    def limit(self, size: int) -> None:
        """Use no more than ``size`` bytes; 0 for no limit."""

    def synchronize_all(self) -> None:
        """Wait until all queues are done."""

    def stream(self, priority: int) -> Any:
        """A new queue of work."""

    def stream_at(self, pointer: int) -> Any:
        """The queue that somebody else made, by its address."""

    def current_stream(self) -> Any:
        """The queue that this thread's work goes to."""

    def default_stream(self) -> Any:
        """The queue that there is from the start."""

    def use_stream(self, stream: Any) -> None:
        """Let this thread's work go to ``stream``."""

    def event(self, timing: bool, blocking: bool) -> Any:
        """A mark that a queue can be given."""

    def elapsed(self, start: Any, end: Any) -> float:
        """Milliseconds between two marks."""

    def mark(self, text: str) -> None:
        """Mark a moment for the profiler."""

    def range_push(self, text: str) -> None:
        """Begin a range for the profiler."""

    def range_pop(self) -> None:
        """End the range that was begun last."""

    def pinned(self, size: int) -> Any:
        """A buffer of ``size`` bytes of the CPU's memory that the device reads by itself."""

    def is_pinned(self, owner: np.ndarray) -> bool:
        """Whether ``owner`` is over a buffer that ``pinned`` made."""

    def hold(self, memory: Any, stream: Any) -> None:
        """Keep ``memory`` from other use until the work that ``stream`` has so far is done."""

    def foreign(self, data: Any) -> Any:
        """An array of ``xp`` over the memory of another library's array: by DLPack, or by its
        ``__cuda_array_interface__``."""

    def resident_blocks(self) -> int:
        """How many blocks of 256 threads the device holds at a time."""

    def random(
        self,
        recipe: str,
        dtype: np.dtype,
        count: int,
        side: int,
        blocks: int,
        seed: int,
        first: int,
        parameters: Sequence[Any],
        out: Any = None,
    ) -> Any:
        """``count`` numbers by a recipe of ``random_kernels``, drawn by ``blocks`` blocks of
        threads, each from the block of outputs ``first`` on; bfloat16 as its bits. ``out``: a dense
        array for them."""


class CupyServices:
    """``Services`` by CuPy. Source: https://docs.cupy.dev/en/stable/reference/cuda.html"""

    xp: ModuleType

    def tell_of_memory(self) -> None:
        """Say in PyTorch's words that there is no more."""
        cuda = self.xp.cuda
        take, error = self.xp.get_default_memory_pool().malloc, cuda.memory.OutOfMemoryError

        def taken(size: int) -> Any:
            try:
                return take(size)
            except error:
                raise out_of_memory(size, self.figures()) from None

        cuda.set_allocator(taken)

    def properties(self) -> dict[str, Any]:
        """See Services."""
        return _properties(self.xp)

    def figures(self) -> Figures:
        """See Services."""
        pool, watch = self.xp.get_default_memory_pool(), self._watch
        used, reserved = pool.used_bytes(), pool.total_bytes()
        free, total = self.xp.cuda.runtime.memGetInfo()
        if watch is None:
            return Figures(used, reserved, reserved, reserved, free, total)
        watch.meet(used, reserved)
        return Figures(used, watch.peak, reserved, watch.reserved_peak, free, total)

    # What sees every piece of memory that is taken and given back, in one thread: from the first
    # ``reset_peak`` on, since it takes 3 us a piece. Before, the peak is what is held.
    _watch: Any = None

    def reset_peak(self) -> None:
        """See Services."""
        pool = self.xp.get_default_memory_pool()
        if self._watch is None:
            self._watch = _watch(self.xp)
        self._watch.start(pool.used_bytes(), pool.total_bytes())

    def empty_cache(self) -> None:
        """See Services."""
        self.xp.get_default_memory_pool().free_all_blocks()

    def limit(self, size: int) -> None:
        """See Services."""
        self.xp.get_default_memory_pool().set_limit(size=size)

    def synchronize_all(self) -> None:
        """See Services."""
        self.xp.cuda.runtime.deviceSynchronize()

    def stream(self, priority: int) -> Any:
        """See Services."""
        return self.xp.cuda.Stream(non_blocking=True, priority=priority)

    def stream_at(self, pointer: int) -> Any:
        """See Services."""
        return self.xp.cuda.ExternalStream(pointer)

    def current_stream(self) -> Any:
        """See Services."""
        return self.xp.cuda.get_current_stream()

    def default_stream(self) -> Any:
        """See Services."""
        return self.xp.cuda.Stream.null

    def use_stream(self, stream: Any) -> None:
        """See Services."""
        stream.use()

    def event(self, timing: bool, blocking: bool) -> Any:
        """See Services."""
        return self.xp.cuda.Event(block=blocking, disable_timing=not timing)

    def elapsed(self, start: Any, end: Any) -> float:
        """See Services."""
        return self.xp.cuda.get_elapsed_time(start, end)

    def mark(self, text: str) -> None:
        """See Services."""
        if self.xp.cuda.nvtx.available:
            self.xp.cuda.nvtx.Mark(text)

    def range_push(self, text: str) -> None:
        """See Services."""
        if self.xp.cuda.nvtx.available:
            self.xp.cuda.nvtx.RangePush(text)

    def range_pop(self) -> None:
        """See Services."""
        if self.xp.cuda.nvtx.available:
            self.xp.cuda.nvtx.RangePop()

    def pinned(self, size: int) -> Any:
        """See Services."""
        return self.xp.cuda.alloc_pinned_memory(size)

    def is_pinned(self, owner: np.ndarray) -> bool:
        """See Services."""
        return isinstance(buffer_of(owner), self.xp.cuda.PinnedMemoryPointer)

    def sent_at_once(self, array: np.ndarray) -> Any:
        """A copy on the device of an array in pinned memory, which the device fetches by itself."""
        made = self.xp.empty(array.shape, array.dtype)
        made.data.copy_from_host_async(array.ctypes.data, array.nbytes)
        self.xp.cuda.get_current_stream().synchronize()  # the array may change from here on
        return made

    def hold(self, memory: Any, stream: Any) -> None:
        """See Services."""
        self._held = [(m, e) for m, e in getattr(self, "_held", []) if not e.done]
        self._held.append((memory, stream.record()))

    def foreign(self, data: Any) -> Any:
        """See Services."""
        if hasattr(data, "__cuda_array_interface__"):
            return self.xp.asarray(data)
        return self.xp.from_dlpack(data)

    def resident_blocks(self) -> int:
        """See Services."""
        said = self.properties()
        threads = said["maxThreadsPerMultiProcessor"] // random_kernels.THREADS
        return said["multiProcessorCount"] * threads

    def random(
        self,
        recipe: str,
        dtype: np.dtype,
        count: int,
        side: int,
        blocks: int,
        seed: int,
        first: int,
        parameters: Sequence[Any],
        out: Any = None,
    ) -> Any:
        """See Services."""
        if out is None:
            out = self.xp.empty(count, np.uint16 if dtype.kind == "V" else dtype)
        given = (out, np.int64(count), np.uint64(seed), np.uint64(first), *parameters)
        kernel = _kernel(self.xp, recipe, dtype, side)
        kernel((blocks,), (random_kernels.THREADS,), given)
        return out


def buffer_of(owner: np.ndarray) -> Any:
    """The object whose memory the array ``owner`` was made over; None if it has its own."""
    return owner.base.obj if isinstance(owner.base, memoryview) else owner.base


@functools.cache
def _properties(xp: ModuleType) -> dict[str, Any]:
    said = xp.cuda.runtime.getDeviceProperties(0)
    return {k: v.decode() if isinstance(v, bytes) and k == "name" else v for k, v in said.items()}


@functools.cache
def _kernel(xp: ModuleType, recipe: str, dtype: np.dtype, side: int) -> Any:
    return xp.RawKernel(random_kernels.text(recipe, dtype, side), "draw")


def _watch(xp: ModuleType) -> Any:
    class Watch(xp.cuda.MemoryHook):
        """Counts what this thread takes from the pool and gives back."""

        name = "flambeau"
        used = peak = reserved = reserved_peak = 0

        def start(self, used: int, reserved: int) -> None:
            self.used = self.peak = used
            self.reserved = self.reserved_peak = reserved

        def meet(self, used: int, reserved: int) -> None:
            """Take over what is so; other threads' memory was not seen."""
            self.used, self.reserved = used, reserved
            self.peak, self.reserved_peak = max(self.peak, used), max(self.reserved_peak, reserved)

        def malloc_postprocess(self, **said: Any) -> None:
            self.used += said["mem_size"]
            if self.used > self.peak:
                self.peak = self.used

        def free_postprocess(self, **said: Any) -> None:
            self.used -= said["mem_size"]

        def alloc_postprocess(self, **said: Any) -> None:
            self.reserved += said["mem_size"]
            if self.reserved > self.reserved_peak:
                self.reserved_peak = self.reserved

    watch = Watch()
    watch.__enter__()
    return watch
