"""Views: other looks at the same memory, and the record of an operation that makes one.

NumPy keeps a view's owner alive and collapses chains of views, so the owner of an array is
always one step away, and a tensor's storage is the owner's memory.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence

import numpy as np

from .modes import state
from .op import Op
from .tape import Anomaly, Node, note_line
from .value import Value, _Class, new, ticks

ndarray = np.ndarray


# ---- arrays --------------------------------------------------------------------------------


def owner_of(array: ndarray) -> ndarray:
    """The array that owns the memory ``array`` looks into."""
    while isinstance(array.base, ndarray):
        array = array.base
    return array


def address(array: ndarray) -> int:
    """The address of the first element."""
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


# ---- the record ----------------------------------------------------------------------------


class ViewNode(Node):
    """A view of one tensor: its gradient needs the shape and the arguments, never an array.

    ``saved`` stays None, so that backward may pass here any number of times.
    """

    __slots__ = ("args", "op", "shape")

    def name(self) -> str:
        return self.op.grad_name

    def backward(self, grad: Value) -> tuple[Value]:
        return (self.op.vjp(grad, self.shape, *self.args),)


def view_of(x: Value, array: ndarray, op: Op, args: tuple) -> Value:
    """The tensor over ``array``, which the view operation ``op`` made of ``x`` and ``args``."""
    t = new(_Class.tensor)
    t._array = array
    root = x._base
    if root is None:
        root = x
    t._base = root
    if x._inference:
        t._inference = True
    if not state.grad:
        t._edge = None
        t._view_kind = x._view_kind or "no_grad"
        return t
    if x._view_kind is not None:
        t._view_kind = x._view_kind
    views = root._views
    if views is None:
        root._views = [weakref.ref(t)]
    else:
        views.append(weakref.ref(t))
        if len(views) > 16 and not len(views) & (len(views) - 1):  # 32, 64, 128 ...
            root._views = [r for r in views if r() is not None]
    edge = x._edge
    if edge is None:
        t._edge = None
        return t
    node = new(ViewNode)
    node.op = op
    node.shape = x._array.shape
    node.args = args
    node.edges = (edge,)
    node.saved = None
    node.watch = None
    node.tick = ticks()
    t._edge = node
    if Anomaly.enabled:
        note_line(node)
    return t


def view(
    name: str, forward: Callable[..., ndarray], vjp: Callable[..., Value]
) -> Callable[..., Value]:
    """Define a view of one tensor.

    ``forward(array, *args)`` returns a NumPy view of ``array``, and ``vjp(g, shape, *args)`` the
    gradient, of shape ``shape``. The function returned takes a tensor and the same ``args``.
    """
    op = Op(name, "view", forward, vjp, "same", "biufc")
    op.params = ()

    def call(x: Value, *args: object) -> Value:
        return view_of(x, forward(x._array, *args), op, args)

    call.__name__ = call.__qualname__ = name
    call.op = op
    return call
