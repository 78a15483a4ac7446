"""Arrays whose elements are in a device's memory: looked at by NumPy, computed on by the device."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import _shapes
from ..core.foreign import ForeignArray
from ..core.value import address
from ..tensor._device import CUDA
from .backend import Memory, backend
from .philox import default as _default_generator

ndarray = np.ndarray

#: All addresses, as one buffer, so that an array may be made over any: never read by the CPU.
_EVERYWHERE = (ctypes.c_char * ((1 << 63) - 2)).from_address(1)


class _Alive:
    """Each device array holds the one that there is; ``ended`` is called when it goes."""

    __slots__ = ("__weakref__",)


class DeviceArray(ForeignArray):
    """The array of a tensor on a device. ``memory``: where its elements are; ``native``: the same
    array as one of the device's array module, kept where it was one to begin with."""

    place = CUDA
    memory: Memory | None = None
    native: Any = None
    alive: object = None

    @property
    def generator(self) -> Any:
        """See ForeignArray."""
        return _default_generator()

    def __array_finalize__(self, source: object) -> None:
        if isinstance(source, DeviceArray):
            self.memory = source.memory
            self.alive = source.alive

    @property
    def level(self) -> Any:
        """The interpreter of tensors on the device."""
        return _Level.interpreter

    def unruled(self, name: str) -> Exception:
        """See ForeignArray."""
        return NotImplementedError(
            f"{name}: NumPy was about to compute on a tensor in a GPU's memory, which it cannot "
            "read\n  move it first, with .cpu()"
        )

    def likeness(self, make: Callable, *args: Any, **kwargs: Any) -> ndarray:
        """See ForeignArray."""
        if self.dtype.kind == "V":
            return sent(make(self.host(), *args, **kwargs))
        return adopted(make(seen(self), *args, **kwargs))

    def given(self, array: ndarray) -> DeviceArray:
        """See ForeignArray."""
        return sent(array)

    def kin(self, view: ndarray) -> DeviceArray:
        """See ForeignArray."""
        array = ndarray.view(view, DeviceArray)
        array.memory, array.alive = self.memory, self.alive
        return array

    def copy(self, order: str = "C") -> DeviceArray:
        """A copy on the device."""
        return adopted(seen(self).copy(order), self.dtype)

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> DeviceArray:
        """A copy of another dtype, on the device."""
        if self.dtype.kind == "V":  # kept as bits
            return sent(self.host().astype(dtype))
        return adopted(seen(self).astype(dtype))

    def fill(self, value: Any) -> None:
        """Write ``value`` into every element."""
        self[...] = value

    def __getitem__(self, key: Any) -> DeviceArray:
        keys = key if type(key) is tuple else (key,)
        for k in keys:
            if not (k is None or k is Ellipsis or isinstance(k, (int, slice, np.integer))):
                raise self.unruled("an index of arrays")
        # With an ellipsis NumPy takes a view of a single element, where it would read one.
        return super().__getitem__(keys if Ellipsis in keys else (*keys, Ellipsis))

    def __setitem__(self, key: Any, value: Any) -> None:
        if self.dtype.kind == "V" and not (
            isinstance(value, DeviceArray) and value.dtype == self.dtype
        ):
            host = value.host() if isinstance(value, DeviceArray) else np.asarray(value)
            value = host.astype(self.dtype).view(_BITS[self.itemsize])
        seen(self)[key] = seen(value) if isinstance(value, DeviceArray) else given(value)

    def resized(self, count: int) -> DeviceArray:
        """New memory of ``count`` elements that begins with those of this dense array."""
        grown = hollow((count,), self.dtype)
        if self.flags.c_contiguous:
            kept = min(count, self.size)
            seen(grown)[:kept] = seen(self).reshape(-1)[:kept]
        return grown

    def detached(self) -> DeviceArray:
        """This array: memory is on no tape."""
        return self

    def nonzero(self) -> tuple[DeviceArray, ...]:
        """Where elements are not 0: the places in each dimension."""
        return tuple([adopted(places) for places in seen(self).nonzero()])

    # What Python reads comes to the CPU.

    def host(self) -> ndarray:
        """A copy in the CPU's memory."""
        copy = backend().to_host(seen(self))
        return copy if copy.dtype == self.dtype else copy.view(self.dtype)

    def item(self, *place: int) -> Any:
        """The only element, as a Python number."""
        return self.host().item(*place)

    def tolist(self) -> Any:
        """The elements as nested lists."""
        return self.host().tolist()

    def tobytes(self, order: str = "C") -> bytes:
        """The elements as bytes."""
        return self.host().tobytes(order)

    def __bool__(self) -> bool:
        return bool(self.host())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        return self.host().__index__()

    def _elements(self) -> Any:
        """What answers questions about values: on the CPU where the device has but their bits."""
        return self.host() if self.dtype.kind == "V" else seen(self)

    def any(self, *args: Any, **kwargs: Any) -> bool:
        """Whether any element is true."""
        return bool(self._elements().any())

    def all(self, *args: Any, **kwargs: Any) -> bool:
        """Whether every element is true."""
        return bool(self._elements().all())

    def min(self, *args: Any, **kwargs: Any) -> Any:
        """The least element, as a number."""
        return self._elements().min().item()

    def max(self, *args: Any, **kwargs: Any) -> Any:
        """The largest element, as a number."""
        return self._elements().max().item()


class _Level:
    """The interpreter, which enters the hook when the first array is made (``interpreter.py``)."""

    interpreter: Any = None
    holder: Callable[[], _Alive | None] = staticmethod(lambda: None)


def _alive() -> _Alive:
    token = _Level.holder()
    if token is None:
        token = _Alive()
        _Level.holder = staticmethod(weakref.ref(token, _Level.interpreter.leave))
    _Level.interpreter.enter()
    return token


def over(
    memory: Memory, start: int, shape: Sequence[int], dtype: np.dtype, strides: Any = None
) -> DeviceArray:
    """An array over ``memory`` whose first element is at the address ``start``."""
    array = ndarray.__new__(DeviceArray, tuple(shape), dtype, _EVERYWHERE, start - 1, strides)
    array.memory = memory
    array.alive = _alive()
    return array


def seen(array: DeviceArray) -> Any:
    """``array`` as one of the device's array module."""
    if array.native is not None:
        return array.native
    memory = array.memory
    offset = address(array) - memory.ptr if array.size else 0
    dtype = array.dtype if array.dtype.kind != "V" else _BITS[array.itemsize]
    return backend().seen(memory, offset, array.shape, dtype, array.strides)


def strided(array: Any, shape: Sequence[int], strides: Sequence[int]) -> Any:
    """The elements of an array of the device's module seen anew, from its first one on."""
    memory, start = backend().memory_of(array)
    return backend().seen(memory, start - memory.ptr, shape, array.dtype, strides)


#: Floats that the device's array module has not are kept as their bits.
_BITS = {1: np.dtype(np.uint8), 2: np.dtype(np.uint16)}


def adopted(array: Any, dtype: np.dtype | None = None) -> DeviceArray:
    """An array of the device's module as a DeviceArray over the same memory; ``dtype``: what its
    elements are the bits of."""
    dtype = array.dtype if dtype is None else dtype
    if not array.size:
        return hollow(array.shape, dtype)
    memory, start = backend().memory_of(array)
    shape, strides = array.shape, array.strides
    if array.flags.c_contiguous:
        made = over(memory, start, shape, dtype, strides)
        made.native = array
        return made
    low = start + sum((n - 1) * s for n, s in zip(shape, strides) if s < 0)
    span = sum((n - 1) * abs(s) for n, s in zip(shape, strides)) + dtype.itemsize
    if span == array.size * dtype.itemsize and low == start:
        return over(memory, start, shape, dtype, strides)
    # Not dense: a view of an array that is, so that storage and strides can be taken from it.
    whole = over(memory, low, (span // dtype.itemsize,), dtype)
    view = ndarray.__new__(DeviceArray, shape, dtype, whole, start - low, strides)
    view.memory, view.alive = memory, whole.alive
    return view


def hollow(shape: Sequence[int], dtype: np.dtype, strides: Any = None) -> DeviceArray:
    """Unfilled memory for an array of ``shape``."""
    shape = tuple(shape)
    if strides is None:
        strides = [s * dtype.itemsize for s in _shapes.contiguous_strides(shape)]
    span = sum((n - 1) * s for n, s in zip(shape, strides)) + dtype.itemsize
    memory = backend().memory(max(span if 0 not in shape else 1, 1))
    return over(memory, memory.ptr, shape, dtype, strides if 0 not in shape else None)


def sent(array: ndarray) -> DeviceArray:
    """A copy of an array of the CPU on the device."""
    bits = array if array.dtype.kind != "V" else array.view(_BITS[array.itemsize])
    return adopted(backend().to_device(bits), array.dtype)


def given(array: Any) -> Any:
    """``array`` of the CPU as one of the device's array module; numbers as they are."""
    if isinstance(array, ndarray):
        return backend().to_device(array) if array.ndim else array[()]
    return array
