"""The record of an operation whose result is a view: another look at its operand's memory."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import numpy as np

from .modes import hook, state
from .op import Op
from .tape import Anomaly, Node, note_line
from .value import Value, _Class, new, ticks

ndarray = np.ndarray


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
    if hook.active is not None:
        hook.active.viewed(x, t, op, args)
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
