"""What the interpreter asks of a device: an array module, memory, copies; CUDA's, through CuPy."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from .. import _optional


class Memory(Protocol):
    """A piece of the device's memory, given back when nobody holds it any more."""

    ptr: int  # where it begins
    size: int  # bytes


class Backend(Protocol):
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

    def synchronize(self) -> None:
        """Wait until all that was asked of the device is done."""


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


class CupyBackend:
    """The first NVIDIA GPU, through CuPy. Source: https://docs.cupy.dev/en/stable/reference/"""

    def __init__(self) -> None:
        self.xp = _optional.require("cupy", "a tensor on device='cuda'")
        self._alloc = self.xp.cuda.alloc
        self._pointer = self.xp.cuda.MemoryPointer
        self._array = self.xp.ndarray

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
        return self.xp.asarray(array)

    def is_own(self, array: Any) -> bool:
        """See Backend."""
        return isinstance(array, self._array)

    def synchronize(self) -> None:
        """See Backend."""
        self.xp.cuda.get_current_stream().synchronize()


class _Here:
    """The device there is: found when it is first asked for, or put here by a test."""

    backend: Backend | None = None


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
