"""What a tensor is made of: an array, and an edge into the graph that made it.

``Value`` is the machine's view of a tensor. The class that users see, ``Tensor``, derives from
it in a later layer and is announced here with ``use``; ``wrap`` makes one.
"""

from __future__ import annotations

import ctypes
import itertools
import sys
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import _dtypes
from .modes import hook, state

ticks = itertools.count(1).__next__  # one clock for nodes and for writes: who came first
new = object.__new__


class Version:
    """Counts the writes into memory that tensors share, and remembers when the last ones were."""

    count = 0
    writes: tuple[tuple[int, str], ...] = ()

    def bump(self, writer: str) -> None:
        """Note one write by the operation ``writer``."""
        self.count += 1
        self.writes = (*self.writes[-7:], (ticks(), writer))
        if hook.active is not None:
            hook.active.bumped(writer)

    def writes_after(self, tick: int) -> list[str]:
        """Names of the operations that wrote later than ``tick``, the last eight at most."""
        return [name for when, name in self.writes if when > tick]


class Value:
    """An array with its place in the autograd graph.

    ``_array``    the elements, a NumPy array; views share its memory
    ``_edge``     where gradients go: the Node that made it, a Leaf, or None (no grad required)
    ``_base``     the tensor this one is a differentiable view of
    ``_shares``   the tensor whose version counter this one shares without being its view
    """

    __slots__ = ("__dict__", "__weakref__", "_array", "_edge")

    _base: Value | None = None
    _shares: Value | None = None
    _version_cell: Version | None = None
    _views: list | None = None  # weak references to views that autograd must keep up to date
    _view_kind: str | None = None  # why a view may not be changed in place while recording
    _inference = False
    _grad: Value | None = None
    _retains_grad = False

    def counted_by(self) -> Value:
        """The tensor that holds the version counter of this one's memory: its base, or itself."""
        owner = self
        while True:
            nxt = owner._shares if owner._shares is not None else owner._base
            if nxt is None:
                return owner
            owner = nxt

    def counter(self) -> Version:
        """The counter of writes into this tensor's memory, made when it is first asked for."""
        owner = self.counted_by()
        cell = owner._version_cell
        if cell is None:
            cell = owner._version_cell = Version()
        return cell


class _Class:
    """The class that ``wrap`` makes; a later layer puts its own here."""

    tensor: type[Value] = Value


def use(cls: type[Value]) -> None:
    """Make ``cls`` the class of every tensor that operations return."""
    _Class.tensor = cls


def wrap(array: np.ndarray, edge: object = None) -> Value:
    """A tensor over ``array`` (no copy), made by the graph node ``edge``."""
    out = new(_Class.tensor)
    out._array = array
    out._edge = edge
    if state.inference:
        out._inference = True
    return out


def constant(array: np.ndarray) -> Value:
    """A tensor over ``array``, whose elements follow from no tensor's elements."""
    out = wrap(array)
    if hook.active is not None:
        hook.active.made(out)
    return out


def drawn(draw: Callable[[], np.ndarray]) -> np.ndarray:
    """The random numbers that ``draw()`` returns; called again, it draws the next ones."""
    array = draw()
    if hook.active is not None:
        hook.active.drew(array, draw)
    return array


def outline(array: np.ndarray) -> np.ndarray:
    """An array with the shape, dtype and strides of ``array`` and no memory: a pattern for
    ``empty_like``, never to be read."""
    return np.lib.stride_tricks.as_strided(np.empty(1, array.dtype), array.shape, array.strides)


def reading(tensor: Value, what: str) -> Any:
    """Announce that Python is about to read the elements of ``tensor``, for ``what``."""
    return None if hook.active is None else hook.active.read(tensor, what)


def fails(bad: Value) -> bool:
    """Whether ``bad`` has an element that is not 0, so that something is to be refused. A compiled
    program looks for itself, and the call is run eagerly where it finds one."""
    if hook.active is not None:
        if hook.active.expects(bad == 0):
            return False
        hook.active.read(bad, "a check")
    return bool(bad._array.any())


def wrap_view(array: np.ndarray, base: Value, edge: object = None) -> Value:
    """A tensor over ``array``, which is a view into the memory of ``base``."""
    out = new(_Class.tensor)
    out._array = array
    out._edge = edge
    root = base._base
    if root is None:
        root = base
    out._base = root
    if base._inference:
        out._inference = True
    if state.grad:
        views = root._views
        if views is None:
            root._views = [weakref.ref(out)]
        else:
            views.append(weakref.ref(out))
            if len(views) > 16 and not len(views) & (len(views) - 1):  # 32, 64, 128 ...
                root._views = [r for r in views if r() is not None]
    elif base._view_kind is None:
        out._view_kind = "no_grad"
    return out


def as_array(value: object, dtype: _dtypes.dtype) -> np.ndarray:
    """A number or array as an array of ``dtype``; integers wrap around as in PyTorch."""
    if isinstance(value, int) and dtype.category == _dtypes.INTEGRAL:
        bits = 8 * dtype.itemsize
        value &= (1 << bits) - 1
        if dtype.is_signed and value >> (bits - 1):
            value -= 1 << bits
    return np.asarray(value).astype(dtype.numpy, copy=False)


_C_NAMES = {"float32": "float", "float64": "double", "int32": "int", "bool": "bool"}


def number_overflow(value: object, dtype: _dtypes.dtype) -> RuntimeError:
    """What PyTorch says of a number that a dtype cannot hold."""
    name = _C_NAMES.get(dtype.name, dtype.name + "_t" if "int" in dtype.name else dtype.name)
    return RuntimeError(
        f"value cannot be converted to type {name} without overflow\n  {value} is no {dtype.name}"
    )


def check_fits(value: object, dtype: _dtypes.dtype) -> None:
    """RuntimeError if an integer ``dtype`` cannot hold a number: one out of its range, nan, inf.

    An unsigned dtype takes the negatives of what it holds, which wrap around, as in PyTorch.
    """
    if dtype.category != _dtypes.INTEGRAL or value.__class__ not in (int, float):
        return
    top = (1 << 8 * dtype.itemsize - dtype.is_signed) - 1
    low = -top - 1 if dtype.is_signed else -top if value.__class__ is int else 0
    if not low <= value <= top:
        raise number_overflow(value, dtype)


ndarray = np.ndarray


def owner_of(array: ndarray) -> ndarray:
    """The array that owns the memory ``array`` looks into."""
    while isinstance(array.base, ndarray):
        array = array.base
    return array


#: Where an array object keeps the address of its elements: behind the head that all objects have
#: (``PyArrayObject`` of NumPy's C interface, which every extension module is compiled against).
_ELEMENTS = object.__basicsize__ if sys.implementation.name == "cpython" else 0
_word_at = ctypes.c_size_t.from_address


def address(array: ndarray) -> int:
    """The address of the first element. To read it takes an eighth of the time that NumPy needs to
    describe the whole array in a dictionary."""
    if _ELEMENTS and isinstance(array, ndarray):
        return _word_at(id(array) + _ELEMENTS).value
    return array.__array_interface__["data"][0]


def dense(owner: ndarray) -> ndarray:
    """``owner`` with its dimensions in the order in which they lie in memory."""
    if owner.flags.c_contiguous:
        return owner
    order = sorted(range(owner.ndim), key=lambda d: -owner.strides[d])
    return owner.transpose(order)


def offset_of(array: ndarray) -> int:
    """Bytes of the owner's memory that lie before the first element of ``array``."""
    owner = array.base
    if owner is None or not array.size:
        return 0
    return address(array) - address(owner_of(array))


def strided(array: ndarray, shape: Sequence[int], strides: Sequence[int], offset: int) -> ndarray:
    """The memory ``array`` looks into, seen anew; strides and offset in bytes, from the owner."""
    return ndarray(shape, array.dtype, dense(owner_of(array)), offset, strides)


def broadcast(array: ndarray, shape: tuple[int, ...]) -> ndarray:
    """``array`` stretched to ``shape`` with strides of 0; writable, unlike NumPy's own."""
    lead = len(shape) - array.ndim
    strides = [0] * lead + [
        0 if n == 1 and m != 1 else s for n, m, s in zip(array.shape, shape[lead:], array.strides)
    ]
    if array.flags.c_contiguous:
        return ndarray(shape, array.dtype, array, 0, strides)
    return strided(array, shape, strides, offset_of(array))
