"""Optimizers' steps on a device: a formula as one kernel, where the device's array module would
make ten passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .. import _config, _optional
from ..compiler import gpu_code, ptx_code
from ..compiler.eager_updates import Asked
from ..core.value import address
from .arrays import DeviceArray
from .backend import Memory, backend

_MOST = 1000  # kernels, each for one formula and one size
_kernels: dict[tuple, Callable | None] = {}


class _Numbers:
    """The numbers of the last step, on the device."""

    of: object = None  # the device
    memory: Memory | None = None
    sent: tuple[float, ...] = ()
    room = 64

    @classmethod
    def here(cls, numbers: Sequence[float]) -> Memory:
        """Memory that holds ``numbers`` when what is asked of the device next is done."""
        if cls.of is not backend():
            cls.of, cls.memory, cls.sent = backend(), backend().memory(8 * cls.room), ()
        if tuple(numbers) != cls.sent:
            backend().send(cls.memory, np.array(numbers, np.float64).view(np.uint8))
            cls.sent = tuple(numbers)
        return cls.memory


def carried_out(change: Callable[..., None], arrays: Sequence[np.ndarray]) -> bool:
    """Do ``change(*arrays)`` by a kernel; whether there is one."""
    first = arrays[0]
    if not (_config.compiled_kernels and first.size and _optional.installed("llvmlite")):
        return False
    if not _are_alike(arrays):
        return False
    asked = Asked.of(change, first.dtype, len(arrays))
    if asked is None or len(asked.numbers) > _Numbers.room:
        return False
    key = (backend(), first.size, asked.key)
    if key not in _kernels:
        if len(_kernels) >= _MOST:
            return False
        _kernels[key] = _made(asked, first.size)
    kernel = _kernels[key]
    if kernel is None:
        return False
    places = [(a.memory, address(a) - a.memory.ptr) for a in arrays]
    kernel([*places, (_Numbers.here(asked.numbers), 0)])
    return True


def _are_alike(arrays: Sequence[np.ndarray]) -> bool:
    """Whether all lie in one way, without gaps, so that they may be taken for rows of numbers."""
    first = arrays[0]
    if not (first.flags.c_contiguous or first.flags.f_contiguous):
        return False
    return all(
        isinstance(a, DeviceArray)
        and a.dtype == first.dtype
        and a.shape == first.shape
        and (a.strides == first.strides or a.flags.c_contiguous and first.flags.c_contiguous)
        for a in arrays
    )


def _made(asked: Asked, size: int) -> Callable | None:
    kernel = asked.kernel(size)
    if kernel is None:
        return None
    try:
        return backend().functions([gpu_code.lowered(kernel)], ptx_code.ptx)[0]
    except gpu_code.Refused:
        return None
