"""Writing into a tensor that exists: in-place operations and ``out=``, and what autograd owes them.

An in-place operation computes its result as a new tensor, copies it into the old memory, and moves
the old tensor to the new place in the graph. If the tensor is a view, its base has changed too:
the base gets a CopySlices node (the old base with a piece replaced), and every living view of it
is made again as a piece of the new base.

Two twins go with most functions: ``inplace`` makes the method that writes into its first operand,
``accepts_out`` adds the keyword for a tensor that takes the result.
"""

from __future__ import annotations

import functools
import math
import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from .. import _dtypes
from . import threads
from .modes import hook, state
from .tape import Leaf, Node, made_by, watch
from .value import Value, address, ticks, wrap


class _Piece(Node):
    """A gradient of a piece of a base's memory. ``saved`` is None: geometry costs no arrays.

    The piece may see complex numbers as pairs of reals, or pairs of reals as complex numbers; the
    geometry counts elements as the piece sees them.
    """

    __slots__ = ("geometry", "order", "shape")

    def __init__(self, base: Value, view: Value, edges: tuple[Node | None, ...]) -> None:
        array, piece = base._array, view._array
        size = piece.itemsize
        self.geometry = (
            piece.shape,
            tuple(s // size for s in piece.strides),
            (address(piece) - address(array)) // size,
        )
        order = sorted(range(array.ndim), key=lambda d: -abs(array.strides[d]))
        self.order = None if order == sorted(order) else order
        self.shape = tuple([array.shape[d] for d in order])
        self.edges = edges
        self.saved = None
        self.watch = None
        self.tick = ticks()

    def seen(self, laid: Value, is_complex: bool) -> Value:
        """``laid``, of the base's memory order, with elements of the piece's kind."""
        if laid._array.dtype.kind == "c":
            return laid if is_complex else laid.view_as_real()
        return laid.reshape((-1, 2)).view_as_complex() if is_complex else laid

    def restored(self, laid: Value, is_complex: bool) -> Value:
        """What ``seen`` and ``laid_out`` made of a gradient of the base, made one again."""
        if laid._array.dtype.kind == "c":
            laid = laid if is_complex else laid.view_as_real()
        elif is_complex:
            laid = laid.view_as_complex()
        laid = laid.reshape(self.shape)
        if self.order is None:
            return laid
        back = [self.order.index(d) for d in range(len(self.order))]
        return laid.permute(back)


class CopySlices(_Piece):
    """A base after a write through one of its views. Edges: the old base, the values written."""

    __slots__ = ("is_complex",)

    def name(self) -> str:
        return "torch::autograd::CopySlices"

    def backward(self, grad: Value) -> Sequence[Value | None]:
        shape, strides, offset = self.geometry
        laid = grad if self.order is None else grad.permute(self.order)
        laid = self.seen(laid.contiguous(), self.is_complex)
        offset += laid.storage_offset()
        old, written = self.edges
        piece = laid.as_strided(shape, strides, offset)
        to_base = None
        if old is not None:
            hole = piece.new_zeros(shape)
            rest = laid.as_strided_scatter(hole, shape, strides, offset)
            to_base = self.restored(rest, grad._array.dtype.kind == "c")
        return to_base, None if written is None else piece.clone()


class AsStridedBackward0(_Piece):
    """A view made again after its base was written to. Edge: the base."""

    __slots__ = ("is_complex",)

    def backward(self, grad: Value) -> Sequence[Value | None]:
        shape, strides, offset = self.geometry
        size = math.prod(self.shape)
        if self.is_complex != (grad._array.dtype.kind == "c"):
            size = size * 2 if self.is_complex else size // 2
        zeros = grad.new_zeros((size,))
        laid = zeros.as_strided_scatter(grad, shape, strides, offset)
        if laid._array.dtype.kind != "c" and self.is_complex:
            laid = laid.reshape((-1, 2))
        return (self.restored(laid, self.is_complex),)


def check_apart(array: np.ndarray) -> None:
    """RuntimeError if several elements of ``array``, which is to be written to, are one place."""
    if 0 not in array.strides or not array.size:
        return
    if any(s == 0 and n > 1 for s, n in zip(array.strides, array.shape, strict=True)):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a "
            "single memory location. Please clone() the tensor before performing the operation.\n"
            f"  it was expanded to shape {tuple(array.shape)}"
        )


def needs_care(view: Value) -> bool:
    """Whether a write into a view is more than a write into its own memory."""
    base = view._base
    return (base is not None and state.grad and base._edge is not None) or 0 in view._array.strides


def check_writable(x: Value, name: str, records: bool) -> None:
    """RuntimeError if ``x`` is no memory to write into, or autograd cannot allow a write into it by
    the operation ``name``."""
    check_apart(x._array)
    if x._inference and not state.inference:
        if state.grad or x._edge is not None:
            raise RuntimeError(
                "Inplace update to inference tensor outside InferenceMode is not allowed."
                "You can make a clone to get a normal tensor before doing inplace update."
                "See https://github.com/pytorch/rfcs/pull/17 for more details."
            )
    if not state.grad:
        return
    if not records and (x._base is None or x._base._edge is None):
        return
    if type(x._edge) is Leaf and x._base is None:
        raise RuntimeError(
            "a leaf Variable that requires grad is being used in an in-place operation.\n"
            f"  {name} would change a tensor whose own gradient is wanted; "
            "do it under torch.no_grad(), or on x.detach() or x.clone()"
        )
    base = x._base
    if base is None:
        return
    if type(base._edge) is Leaf:
        raise RuntimeError(
            "a view of a leaf Variable that requires grad is being used in an in-place operation.\n"
            f"  {name} would change a tensor whose own gradient is wanted; "
            "do it under torch.no_grad(), or on a .clone()"
        )
    if x._view_kind == "multiple":
        maker = made_by(x._edge) if x._edge is not None else "a function"
        raise RuntimeError(
            f"Output 0 of {maker} is a view and is being modified inplace. This view is the output "
            "of a function that returns multiple views. Such functions do not allow the output "
            "views to be modified inplace. You should replace the inplace operation by an "
            "out-of-place one."
        )
    if x._view_kind == "no_grad":
        raise RuntimeError(
            "A view was created in no_grad mode and is being modified inplace with grad mode "
            "enabled. Given that this use case is ambiguous and error-prone, it is forbidden. "
            "You can clarify your code by moving both the view and the inplace either both inside "
            "the no_grad block (if you don't want the inplace to be tracked) or both outside "
            "(if you want the inplace to be tracked)."
        )


def check_cast(result: np.dtype, target: np.dtype) -> None:
    """RuntimeError if values of dtype ``result`` may not be written into ``target``."""
    if result == target:
        return
    a, b = _dtypes.from_numpy(result), _dtypes.from_numpy(target)
    if not _dtypes.can_cast(a, b):
        raise RuntimeError(
            f"result type {a.legacy_name} can't be cast to the desired output type {b.legacy_name}"
        )


def write(x: Value, result: Value, name: str) -> Value:
    """Copy ``result``, which the operation ``name`` computed, into ``x``; returns ``x``."""
    records = result._edge is not None or x._edge is not None
    check_writable(x, name, records)
    target, array = x._array, result._array
    if target.shape != array.shape:
        raise RuntimeError(
            f"output with shape {list(target.shape)} doesn't match the broadcast shape "
            f"{list(array.shape)}\n  {name} writes into its first operand, which cannot grow; "
            f"use {name.removesuffix('_')} instead"
        )
    check_cast(array.dtype, target.dtype)
    if state.grad and records and array.dtype != target.dtype:
        result = result.to(x.dtype)
    if hook.active is None or not hook.active.write(x, result):
        np.copyto(target, array, casting="unsafe")
    x.counter().bump(name)
    if hook.active is not None:
        hook.active.wrote(x, result, name)
    if state.grad and records:
        rebase(x, result._edge)
    return x


def written(x: Value, name: str) -> Value:
    """Note that the array of ``x`` was filled with values that depend on no tensor; returns it."""
    x.counter().bump(name)
    if state.grad and x._edge is not None:
        rebase(x, None)
    return x


def rebase(x: Value, edge: Node | None) -> None:
    """Give ``x`` the new place ``edge`` in the graph, and its base and their views with it."""
    base = x._base
    if base is None:
        _move(x, edge)
        base = x
    else:
        node = CopySlices(base, x, (base._edge, edge))
        node.is_complex = x._array.dtype.kind == "c"
        _move(base, node)
    if base._views:
        for reference in base._views:
            view = reference()
            if view is not None and base._edge is not None:
                node = AsStridedBackward0(base, view, (base._edge,))
                node.is_complex = base._array.dtype.kind == "c"
                _move(view, node)
            elif view is not None:
                view._edge = None


def _move(x: Value, edge: Node | None) -> None:
    """Put ``x`` at the place ``edge``, and have its gradient retained there if it was so here."""
    old = x._edge
    x._edge = edge
    if x._retains_grad:
        if old is not None and old.watch is not None:
            old.watch.retain = [r for r in old.watch.retain if r() is not x]
        if edge is not None:
            watch(edge).retain.append(weakref.ref(x))


def write_out(out: Value, result: Value, name: str) -> Value:
    """Put ``result`` into the tensor given as ``out=``, resizing it if need be; returns ``out``."""
    if not isinstance(out, Value):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if state.grad and (result._edge is not None or out._edge is not None):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, "
            "but one of the arguments requires grad."
        )
    array = result._array
    check_apart(out._array)
    check_cast(array.dtype, out._array.dtype)
    if out._array.shape != array.shape:
        if out._array.size:
            warnings.warn(
                f"An output with one or more elements was resized since it had shape "
                f"{list(out._array.shape)}, which does not match the required output shape "
                f"{list(array.shape)}.",
                UserWarning,
                stacklevel=3,
            )
        out.resize_(array.shape)
    if hook.active is None or not hook.active.write(out, result):
        np.copyto(out._array, array, casting="unsafe")
    out.counter().bump(name)
    if hook.active is not None:
        hook.active.wrote(out, result, name)
    return out


F32, F64 = np.dtype(np.float32), np.dtype(np.float64)

F = TypeVar("F", bound=Callable)


def _copied(x: Value) -> Value:
    """A copy of ``x`` at the same place in the graph."""
    if hook.active is None:
        return wrap(x._array.copy(), x._edge)
    copy = x.detach().clone()
    copy._edge = x._edge
    return copy


def inplace(function: Callable[..., Value], name: str | None = None) -> Callable[..., Value]:
    """The method ``name`` (default: the function's with ``_``) that writes ``function(self, ...)``
    into ``self`` and returns it."""
    name = name or function.__name__ + "_"
    op = getattr(function, "op", None)
    kind = "general" if op is None else op.kind
    keeps_old = kind == "general" or (
        "x" in op.params if kind == "unary" else any("a" in p for p in op.params)
    )

    def method(self: Value, *args: object, **kwargs: object) -> Value:
        source = self
        if (
            keeps_old
            and state.grad
            and (
                self._edge is not None
                or any(isinstance(a, Value) and a._edge is not None for a in args)
                or any(isinstance(a, Value) and a._edge is not None for a in kwargs.values())
            )
        ):
            # The gradient needs the old values, which the write is about to replace.
            source = _copied(self)
        return write(self, function(source, *args, **kwargs), name)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"In-place version of ``{function.__name__}``: writes into this tensor."
    return method


def inplace_unary(
    function: Callable[..., Value], ufunc: np.ufunc, name: str | None = None
) -> Callable[..., Value]:
    """``inplace(function)``, but one call of ``ufunc`` where nothing is recorded."""
    general = inplace(function, name)
    name, large = general.__name__, threads.large(ufunc)

    def method(self: Value) -> Value:
        a = self._array
        dt = a.dtype
        if (
            (dt is not F32 and dt is not F64)
            or (self._edge is not None and state.grad)
            or self._inference
            or hook.active is not None
            or (a.base is not None and needs_care(self))
        ):
            return general(self)
        if a.size < large or threads.elementwise(ufunc, dt, a, out=a) is None:
            ufunc(a, a)
        self.counter().bump(name)
        return self

    method.__name__ = method.__qualname__ = name
    method.__doc__ = general.__doc__
    return method


def inplace_binary(
    function: Callable[..., Value], ufunc: np.ufunc, name: str | None = None
) -> Callable[..., Value]:
    """``inplace(function)``, but one call of ``ufunc`` where nothing is recorded or converted."""
    general = inplace(function, name)
    name, large = general.__name__, threads.large(ufunc)

    def method(self: Value, other: Value | float) -> Value:
        a = self._array
        dt = a.dtype
        if (
            (dt is not F32 and dt is not F64)
            or (self._edge is not None and state.grad)
            or self._inference
            or hook.active is not None
            or (a.base is not None and needs_care(self))
        ):
            return general(self, other)
        cls = other.__class__
        if cls is float or cls is int:
            b = other
        elif (
            isinstance(other, Value)
            and other._array.dtype is dt
            and (other._edge is None or not state.grad)
        ):
            b = other._array
        else:
            return general(self, other)
        try:
            if a.size < large or threads.elementwise(ufunc, dt, a, b, out=a) is None:
                ufunc(a, b, a)
        except ValueError:  # shapes that do not broadcast into this one
            return general(self, other)
        self.counter().bump(name)
        return self

    method.__name__ = method.__qualname__ = name
    method.__doc__ = general.__doc__
    return method


def accepts_out(
    function: F | None = None, *, apart: bool = False, exact: bool = False
) -> F | Callable[[F], F]:
    """``function`` with the keyword ``out``: a tensor (or a tuple of them, for several results)
    that takes the result.

    ``apart``: it may share no memory with an operand; ``exact``: it must have the result's dtype.
    """
    if function is None:
        return functools.partial(accepts_out, apart=apart, exact=exact)

    @functools.wraps(function)
    def with_out(*args: object, out: object = None, **kwargs: object) -> object:
        result = function(*args, **kwargs)
        if out is None:
            return result
        if isinstance(result, tuple):
            if not isinstance(out, (tuple, list)) or len(out) != len(result):
                raise TypeError(
                    f"{function.__name__}(): argument 'out' must be a tuple of "
                    f"{len(result)} Tensors"
                )
            parts = [write_out(o, r, function.__name__) for o, r in zip(out, result, strict=True)]
            return type(result)(parts)  # a named tuple stays one
        operands = (*args, *kwargs.values()) if apart else ()
        return put_out(out, result, function.__name__, operands, exact)

    return with_out


def put_out(
    out: Value, result: Value, name: str, operands: Sequence[object] = (), exact: bool = False
) -> Value:
    """Put ``result`` into ``out``, which may share no memory with ``operands``; returns ``out``."""
    if isinstance(out, Value):
        _check_apart(out, operands)
        if exact and out._array.dtype != result._array.dtype:
            raise RuntimeError(
                f"{name}(): Expected out tensor to have dtype {result.dtype!r}, but got "
                f"{out.dtype!r} instead"
            )
    return write_out(out, result, name)


def _check_apart(out: Value, operands: Sequence[object]) -> None:
    for operand in operands:
        if isinstance(operand, (tuple, list)):
            _check_apart(out, operand)
        elif isinstance(operand, Value) and np.may_share_memory(out._array, operand._array):
            raise RuntimeError(
                "unsupported operation: some elements of the input tensor and the written-to "
                "tensor refer to a single memory location. Please clone() the tensor before "
                "performing the operation."
            )
