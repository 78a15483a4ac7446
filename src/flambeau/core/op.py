"""The operation record and dispatch: run an operation, and put it on the tape.

An operation is defined once, by one of three functions:

``unary``   elementwise, one operand       tanh = unary("tanh", np.tanh, lambda g, y: ...)
``binary``  elementwise, two, broadcast    mul = binary("mul", operator.mul, (..., ...))
``define``  anything else                  sort = define("sort", forward, vjp={"x": ...})

Each returns a plain function that takes tensors. ``forward`` is the meaning, on arrays. A gradient
(``vjp``: the vector-Jacobian product) is written in differentiable operations, by infix arithmetic
and methods of the tensors it is given, so that it has a gradient itself. **What a gradient keeps is
what its parameters name**: ``g`` is the gradient of the result; ``y`` keeps the result; the name of
an input keeps that input; ``x_shape`` or ``x_dtype`` keeps only the shape or dtype of ``x``.
``lambda g, y: g * (1 - y * y)`` keeps one array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .. import _dtypes, _shapes
from .._dtypes import dtype
from .._errors import type_name
from . import threads
from .modes import hook as _hook
from .modes import hooked, state
from .mutation import write_out
from .promotion import Number, compute_type, is_number, result_type, widened
from .tape import FREED, Anomaly, Node, Output, called_at, held_by, made_by, note_line
from .value import Value, Version, _Class, as_array, constant, new, ticks, wrap, wrap_view

ndarray = np.ndarray
F32 = np.dtype(np.float32)
F64 = np.dtype(np.float64)
BOOL = np.dtype(np.bool_)
I64 = np.dtype(np.int64)
HALVES = tuple(d.numpy for d in _dtypes.REDUCED)
LARGE, spread = threads.LARGE, threads.spread
REGISTRY: dict[str, Op] = {}


class Op:
    """What one operation is. ``kind`` says which parameters it has: unary, binary or general."""

    __slots__ = (
        "check",
        "forward",
        "grad_name",
        "kind",
        "name",
        "params",
        "result",
        "takes",
        "vjp",
        "with_tensors",
    )

    def __init__(
        self,
        name: str,
        kind: str,
        forward: Callable,
        vjp: object,
        result: str,
        takes: str,
        grad_name: str | None = None,
        check: Callable | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.forward = forward
        self.vjp = vjp
        self.result = result
        self.takes = takes
        self.check = check
        # "max_pool2d" gives MaxPool2DBackward0, as PyTorch spells it.
        self.with_tensors: Callable | None = None  # the same with 0-dim tensors for its numbers
        self.grad_name = grad_name or name.title().replace("_", "") + "Backward0"
        REGISTRY[name] = self

    def __repr__(self) -> str:
        return f"<{self.kind} operation {self.name}>"


def _parameters(function: Callable) -> tuple[str, ...]:
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code = function.__code__
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


# ---- what was saved, and whether it is still what it was -----------------------------------


def intact(value: Value, node: Node, op_name: str) -> Value:
    """``value`` as ``node`` saved it; RuntimeError if it was written to since."""
    cell = value.counted_by()._version_cell
    if cell is not None and cell.writes and cell.writes[-1][0] > node.tick:
        raise _was_written(value._array, value._edge, cell, node, op_name)
    return value


def intact_array(array: ndarray, cell: Version, node: Node, op_name: str) -> Value:
    """The result that ``node`` saved, as a tensor made by ``node``."""
    if cell.writes and cell.writes[-1][0] > node.tick:
        raise _was_written(array, node, cell, node, op_name)
    return wrap(array, node if state.grad else None)


def inference_saved() -> RuntimeError:
    """What PyTorch says where a gradient would keep a tensor made in inference mode."""
    return RuntimeError(
        "Inference tensors cannot be saved for backward. Please do not use Tensors created in "
        "inference mode in computation tracked by autograd. To work around this, you can make a "
        "clone to get a normal tensor and use it in autograd, or use `torch.no_grad()` instead of "
        "`torch.inference_mode()`."
    )


def _was_written(
    array: ndarray, edge: Node | None, cell: Version, node: Node, op_name: str
) -> RuntimeError:
    writers = cell.writes_after(node.tick)
    kind = _dtypes.from_numpy(array.dtype).legacy_name
    maker = "" if edge is None else f", which is output 0 of {made_by(edge)},"
    held = held_by(lambda value: np.may_share_memory(value._array, array))
    saved, changed = "it", ""
    if held is None:  # no variable tells where to look
        saved_at, changed_at = called_at(op_name), called_at(writers[0])
        saved += f" (it is called at {saved_at})" if saved_at else ""
        changed = f" (at {changed_at})" if changed_at else ""
    return RuntimeError(
        "one of the variables needed for gradient computation has been modified by an inplace "
        f"operation: [torch.{kind}Tensor {list(array.shape)}]{maker} is at version {cell.count}; "
        f"expected version {cell.count - len(writers)} instead. Hint: enable anomaly detection to "
        "find the operation that failed to compute its gradient, with "
        "torch.autograd.set_detect_anomaly(True, check_nan=False).\n"
        f"  {op_name} saved {held or saved} for its gradient, then "
        f"{', '.join(writers)} changed it{changed}; "
        f"use the version of {writers[0].removesuffix('_')} that returns a new tensor, "
        f"or change a .clone()"
    )


# ---- elementwise, one operand --------------------------------------------------------------


class UnaryNode(Node):
    """``saved``: (input, result, version counter of the result), or None if nothing is kept."""

    __slots__ = ("op",)

    def name(self) -> str:
        return self.op.grad_name

    def backward(self, grad: Value) -> tuple[Value | None]:
        op = self.op
        if self.saved is None:
            return (op.vjp(grad),)
        x, y, cell = self.saved
        args = []
        for p in op.params:
            if p == "g":
                args.append(grad)
            elif p == "y":
                args.append(intact_array(y, cell, self, op.name))
            else:
                args.append(intact(x, self, op.name))
        return (op.vjp(*args),)


def unary(
    name: str,
    forward: Callable[[ndarray], ndarray],
    vjp: Callable[..., Value] | None,
    *,
    result: str = "float",
    takes: str = "biufc",
    grad_name: str | None = None,
    check: Callable[[Value], None] | None = None,
    doc: str = "",
) -> Callable[..., Value]:
    """Define an elementwise operation of one operand.

    ``vjp(g, x, y)``: any of these parameters; None for one that has no gradient (a comparison).
    ``result``: "float" (integers become the default float), "same", or "bool".
    ``takes``: kinds of dtype accepted: b(ool) i(nt) u(int) f(loat) c(omplex).
    ``grad_name``: the name of its node, where it does not follow from ``name``.
    ``check(x)``: raises for operands, of dtypes other than float32 and float64, that it refuses.
    ``doc``: the docstring of the function.
    """
    op = Op(name, "unary", forward, vjp, result, takes, grad_name, check)
    op.params = () if vjp is None else _parameters(vjp)
    keeps_x, keeps_y = "x" in op.params, "y" in op.params
    bools = BOOL if result == "bool" else None
    quick = "f" in takes
    large = threads.large(forward)
    hook = _hook

    def call(input: Value, *, out: Value | None = None) -> Value:
        x = input
        if out is not None:
            return write_out(out, call(x), name)
        if hook.active is not None and isinstance(x, Value):
            return hook.active.dispatch(op, call.plain, (x,))
        try:
            a = x._array
        except AttributeError:
            raise TypeError(
                f"{name}(): argument 'input' (position 1) must be Tensor, not {type_name(x)}"
            ) from None
        dt = a.dtype
        if (dt is F32 or dt is F64) and quick:
            r = forward(a) if a.size < large else spread(forward, bools or dt, a)
            if r.__class__ is not ndarray:
                r = np.asarray(r, bools or dt)
        else:
            r = _unary_slow(op, x)
        edge = x._edge
        t = new(_Class.tensor)
        t._array = r
        if edge is None or vjp is None or not state.grad:
            t._edge = None
            if state.inference:
                t._inference = True
            return t
        node = new(UnaryNode)
        node.op = op
        node.edges = (edge,)
        node.watch = None
        if keeps_y:
            cell = t._version_cell = Version()
            node.saved = (x if keeps_x else None, r, cell)
        else:
            node.saved = (x, None, None) if keeps_x else None
        node.tick = ticks()
        t._edge = node
        if Anomaly.enabled:
            note_line(node)
        return t

    call.__name__ = call.__qualname__ = name
    call.__doc__ = doc
    call.op = op
    return hooked(call)


def accepted(op: Op, d: dtype) -> dtype:
    """The dtype of the result of an elementwise operation on ``d``, before ``op.result`` "bool";
    NotImplementedError for one that it does not take."""
    kind = "f" if d.is_floating_point else d.numpy.kind
    if kind not in op.takes or d in _dtypes.FLOAT8:
        raise unsupported(op.name, d)
    if op.result == "float" and d.category < _dtypes.FLOATING:
        return _dtypes.get_default_dtype()
    return d


def _unary_slow(op: Op, x: Value) -> ndarray:
    """Every dtype but float32 and float64."""
    a = x._array
    if op.check is not None:
        op.check(x)
    d = accepted(op, _dtypes.from_numpy(a.dtype))
    if a.dtype in HALVES and op.result != "bool" and a.size >= threads.FEW:
        return spread(widened(op.forward), a.dtype, a)
    ct = compute_type(d)
    if a.dtype != ct:
        a = a.astype(ct)
    small = a.size < LARGE or op.result == "bool" or d.is_complex
    r = op.forward(a) if small else spread(op.forward, ct, a)
    if op.result == "bool":
        return np.asarray(r, np.bool_)
    if d.is_complex and r.dtype.kind == "f":  # a magnitude, an angle
        d = d.to_real()
    return np.asarray(r, d.numpy)


def unsupported(name: str, d: dtype) -> NotImplementedError:
    """What PyTorch says of an operation that has no kernel for a dtype."""
    return NotImplementedError(f"\"{name}_cpu\" not implemented for '{d.legacy_name}'")


# ---- elementwise, two operands -------------------------------------------------------------


class BinaryNode(Node):
    """``saved``: (a, b, result, its counter, shapes if they differ); a number may be an operand."""

    __slots__ = ("op",)

    def name(self) -> str:
        return self.op.grad_name

    def backward(self, grad: Value) -> list[Value | None]:
        op = self.op
        a, b, y, cell, shapes = self.saved
        results = []
        for i, edge in enumerate(self.edges):
            if edge is None:
                results.append(None)
                continue
            args = []
            for p in op.params[i]:
                if p == "g":
                    args.append(grad)
                elif p == "a":
                    args.append(intact(a, self, op.name) if isinstance(a, Value) else a)
                elif p == "b":
                    args.append(intact(b, self, op.name) if isinstance(b, Value) else b)
                else:
                    args.append(intact_array(y, cell, self, op.name))
            r = op.vjp[i](*args)
            if shapes is not None and r._array.shape != shapes[i]:
                r = unbroadcast(r, shapes[i])
            results.append(r)
        return results

    def release(self) -> None:
        s = self.saved
        if s[0] is not None or s[1] is not None or s[2] is not None:
            self.saved = FREED
            self.edges = ()


def unbroadcast(g: Value, shape: tuple[int, ...]) -> Value:
    """The gradient ``g`` of a broadcast operand summed back to the operand's ``shape``."""
    array = g._array
    lead = array.ndim - len(shape)
    if (
        state.grad
        or _hook.active is not None
        or array.dtype.kind != "f"
        or array.dtype.itemsize < 4
        or array.size >= LARGE
    ):
        return g.sum_to_size(shape)
    if lead == 1 and shape and array.shape[1:] == shape:  # else NumPy makes a scalar
        return wrap(np.add.reduce(array, 0))
    axes = tuple(i for i in range(array.ndim) if i < lead or shape[i - lead] != array.shape[i])
    return wrap(np.add.reduce(array, axes, keepdims=True).reshape(shape))


def binary(
    name: str,
    forward: Callable[[ndarray, ndarray], ndarray],
    vjp: tuple[Callable[..., Value], Callable[..., Value]] | None,
    *,
    result: str = "same",
    takes: str = "biufc",
    grad_name: str | None = None,
    check: Callable[[Value, Value | Number], None] | None = None,
    numbers: str = "both",
    doc: str = "",
) -> Callable[..., Value]:
    """Define an elementwise operation of two operands that broadcast.

    ``vjp``: the gradients to the first and to the second operand, each ``(g, a, b, y)`` or fewer;
    they need not undo the broadcast. None for an operation without gradient (a comparison).
    ``result``: "same" (the promoted dtype), "float" (integers become the default float) or "bool".
    ``takes``: kinds of the promoted dtype accepted; ``grad_name``, ``check(a, b)`` and
    ``doc``: as for ``unary``.

    ``numbers``: which operands of the function may be numbers instead of tensors: "both" (one
    of the two, that is), "second" or "none"; TypeError for any other operand.

    The function's attribute ``operator`` is the same for an infix operator: it returns
    NotImplemented where Python should ask the other operand.
    """
    op = Op(name, "binary", forward, vjp, result, takes, grad_name, check)
    op.params = () if vjp is None else tuple(_parameters(f) for f in vjp)
    pa, pb = op.params if vjp is not None else ((), ())
    bools = BOOL if result == "bool" else None
    quick = "f" in takes
    large = threads.large(forward)
    # What must be kept if only a, only b, or both need a gradient.
    a_keeps_a, a_keeps_b, a_keeps_y = "a" in pa, "b" in pa, "y" in pa
    b_keeps_a, b_keeps_b, b_keeps_y = "a" in pb, "b" in pb, "y" in pb
    hook = _hook

    def operator(a: Value, b: Value | Number) -> Value:
        if hook.active is not None and (isinstance(b, Value) or is_number(b)):
            return hook.active.dispatch(op, operator.plain, (a, b))
        cls = b.__class__
        if cls is float or cls is int:
            x = a._array
            dt = x.dtype
            if (dt is F32 or dt is F64) and quick:
                r = forward(x, b) if x.size < large else spread(forward, bools or dt, x, b)
            else:
                a, b, r = _binary_slow(op, a, b)
            be = None
        elif isinstance(b, Value):
            x = a._array
            y = b._array
            dt = x.dtype
            if dt is y.dtype and (dt is F32 or dt is F64) and quick:
                try:
                    r = forward(x, y) if x.size < large else spread(forward, bools or dt, x, y)
                except ValueError:
                    _shapes.broadcast(x.shape, y.shape)
                    raise
            else:
                a, b, r = _binary_slow(op, a, b)
            be = b._edge
        elif is_number(b):
            a, b, r = _binary_slow(op, a, b.item() if isinstance(b, np.generic) else b)
            be = None
        elif bools is not None and isinstance(b, ndarray):  # x == array compares element by element
            return operator(a, wrap(b))
        else:
            return NotImplemented
        if r.__class__ is not ndarray:
            r = np.asarray(r)
        ae = a._edge
        t = new(_Class.tensor)
        t._array = r
        if (ae is None and be is None) or vjp is None or not state.grad:
            t._edge = None
            if state.inference:
                t._inference = True
            return t
        node = new(BinaryNode)
        node.op = op
        node.edges = (ae, be)
        node.watch = None
        if be is None:
            ka, kb, ky = a_keeps_a, a_keeps_b, a_keeps_y
            if kb and isinstance(b, Value) and b._inference:
                raise inference_saved()
        elif ae is None:
            ka, kb, ky = b_keeps_a, b_keeps_b, b_keeps_y
            if ka and a._inference:
                raise inference_saved()
        else:
            ka, kb, ky = a_keeps_a or b_keeps_a, a_keeps_b or b_keeps_b, a_keeps_y or b_keeps_y
        shape = a._array.shape
        shapes = None
        if isinstance(b, Value):
            other = b._array.shape
            if shape != other:
                shapes = (shape, other)
        if ky:
            cell = t._version_cell = Version()
            node.saved = (a if ka else None, b if kb else None, r, cell, shapes)
        else:
            node.saved = (a if ka else None, b if kb else None, None, None, shapes)
        node.tick = ticks()
        t._edge = node
        if Anomaly.enabled:
            note_line(node)
        return t

    def number_first(a: Number, b: Value) -> Value:
        # PyTorch, too, makes a tensor of a first operand that is a number.
        d = result_type(b, a)
        if op.result == "float" and d.category < _dtypes.FLOATING:
            d = _dtypes.get_default_dtype()
        first = None if hook.active is None else hook.active.number(a, d)
        return operator(constant(as_array(a, d)) if first is None else first, b)

    def call(input: Value | Number, other: Value | Number, *, out: Value | None = None) -> Value:
        a, b = input, other
        if isinstance(a, Value) and (numbers != "none" or isinstance(b, Value)):
            r = operator(a, b)
        elif is_number(a) and isinstance(b, Value) and numbers == "both":
            r = number_first(a, b)
        else:
            r = NotImplemented
        if r is NotImplemented:
            first = not isinstance(a, Value)
            place, bad = ("'input' (position 1)", a) if first else ("'other' (position 2)", b)
            raise TypeError(f"{name}(): argument {place} must be Tensor, not {type_name(bad)}")
        return r if out is None else write_out(out, r, name)

    for f in (operator, call):
        f.__name__ = f.__qualname__ = name
        f.__doc__ = doc
    call.op = op
    call.operator = hooked(operator)
    return call


def _binary_alike(op: Op, a: Value, b: Value | Number) -> ndarray | None:
    """The result where both operands have one dtype, or an integer meets an int64; else None."""
    x = a._array
    dt = x.dtype
    kind = dt.kind
    if op.check is not None or op.result == "float":
        return None
    if b.__class__ is int:
        if dt is not I64 or "i" not in op.takes or not -(1 << 63) <= b < 1 << 63:
            return None
        return np.asarray(op.forward(x, b))
    if not isinstance(b, Value):
        return None
    y = b._array
    if dt != y.dtype:
        return None
    try:
        if kind in "biu" and kind in op.takes:
            if x.size < LARGE:
                return np.asarray(op.forward(x, y))
            return spread(op.forward, BOOL if op.result == "bool" else dt, x, y)
        if dt in HALVES and "f" in op.takes:
            forward = widened(op.forward)
            if x.size < threads.FEW:
                return np.asarray(forward(x, y))
            return spread(forward, BOOL if op.result == "bool" else dt, x, y)
    except ValueError:
        _shapes.broadcast(x.shape, y.shape)
        raise
    return None


def _binary_slow(op: Op, a: Value, b: Value | Number) -> tuple[Value, Value | Number, ndarray]:
    """The operands brought to one dtype (on the tape, if they are recorded), and the result."""
    quick = _binary_alike(op, a, b)
    if quick is not None:
        return a, b, quick
    d = result_type(a, b)
    if op.check is not None:
        op.check(a, b)
    d = accepted(op, d)
    ct = compute_type(d)
    operands = []
    arrays = []
    for v in (a, b):
        if isinstance(v, Value):
            if v._array.dtype != d.numpy and v._edge is not None:
                v = v.to(d)
            x = v._array
            if x.dtype != d.numpy:
                x = x.astype(d.numpy)
            arrays.append(x if ct == d.numpy else x.astype(ct))
        else:
            arrays.append(as_array(v, d) if ct == d.numpy else np.asarray(v, ct))
        operands.append(v)
    _shapes.broadcast(arrays[0].shape, arrays[1].shape)
    r = op.forward(*arrays)
    target = np.dtype(np.bool_) if op.result == "bool" else d.numpy
    return operands[0], operands[1], np.asarray(r, target)


# ---- everything else -----------------------------------------------------------------------


class OpNode(Node):
    """A general operation. ``saved``: one entry per name that the gradient asked for."""

    __slots__ = ("count", "groups", "op")

    def name(self) -> str:
        return self.op.grad_name

    def release(self) -> None:
        # Shapes and numbers are no reason to refuse a second backward.
        if any(
            isinstance(e, (Value, _SavedOutput))
            or (type(e) is tuple and e and isinstance(e[0], Value))
            for _, e in self.saved
        ):
            self.saved = FREED
            self.edges = ()

    def backward(self, grad: Value | list) -> Sequence[Value | None]:
        op = self.op
        args = {}
        for key, entry in self.saved or ():
            if type(entry) is _SavedOutput:
                args[key] = entry.unpack(self, op.name)
            elif isinstance(entry, Value):
                args[key] = intact(entry, self, op.name)
            elif type(entry) is tuple and entry and isinstance(entry[0], Value):
                args[key] = tuple(intact(v, self, op.name) for v in entry)
            else:
                args[key] = entry
        vjp = op.vjp
        results = []
        if type(vjp) is dict:
            for place, edge_count in self.groups:
                if edge_count is None:
                    i = len(results)
                    if self.edges[i] is None:
                        results.append(None)
                        continue
                    f, names = vjp[place]
                    results.append(f(*[grad if n == "g" else args[n] for n in names]))
                else:
                    f, names = vjp[place]
                    results.extend(f(*[grad if n == "g" else args[n] for n in names]))
        else:
            f, names = vjp
            args["needs"] = tuple(e is not None for e in self.edges)
            results.extend(f(*[grad if n == "g" else args[n] for n in names]))
        return results


def _several(
    arrays: Sequence[ndarray], node: Node | None, base: Value | None, with_grad: tuple | None
) -> tuple[Value, ...]:
    """The results of an operation that has more than one, each with its own edge to ``node``."""
    outs = []
    for i, a in enumerate(arrays):
        a = a if a.__class__ is ndarray else np.asanyarray(a)
        has = node is not None and (
            a.dtype.kind not in "biu" if with_grad is None else i in with_grad
        )
        edge = Output(node, i) if has else None
        if base is None:
            outs.append(wrap(a, edge))
        else:
            out = wrap_view(a, base, edge)
            out._view_kind = "multiple"
            outs.append(out)
    return tuple(outs)


class _SavedOutput:
    """Results that a gradient keeps: their arrays and version counters, never the tensors."""

    __slots__ = ("arrays", "cells", "single")

    def __init__(self, outs: Sequence[Value], single: bool) -> None:
        self.arrays = [o._array for o in outs]
        self.cells = [o.counter() for o in outs]
        self.single = single

    def unpack(self, node: Node, name: str) -> Value | _Outputs:
        """The results as tensors again; RuntimeError if one that is asked for was written to."""
        if self.single:
            return intact_array(self.arrays[0], self.cells[0], node, name)
        return _Outputs(self, node, name)


class _Outputs(Sequence):
    """Several results, each looked at when it is asked for: a gradient may need but some, and the
    others may have been written to."""

    __slots__ = ("name", "node", "saved")

    def __init__(self, saved: _SavedOutput, node: Node, name: str) -> None:
        self.saved = saved
        self.node = node
        self.name = name

    def __len__(self) -> int:
        return len(self.saved.arrays)

    def __getitem__(self, i: int) -> Value:
        out = intact_array(self.saved.arrays[i], self.saved.cells[i], self.node, self.name)
        if state.grad:
            out._edge = Output(self.node, range(len(self))[i])
        return out


def define(
    name: str,
    forward: Callable[..., ndarray | tuple[ndarray, ...]],
    vjp: dict[str, Callable[..., Value]] | Callable[..., Sequence[Value | None]] | None = None,
    *,
    view: bool = False,
    differentiable: tuple[int, ...] | None = None,
    grad_name: str | None = None,
) -> Callable[..., Value]:
    """Define an operation of any number of operands.

    ``forward(x, ..., dim, ...)`` gets an array wherever the caller gave a tensor (a list of arrays
    for a list of tensors) and everything else as it is, all by position; it returns one array, or
    a tuple of them for an operation with several results.

    ``vjp`` is a dictionary from the names of differentiable parameters to functions that return
    the gradient of each (for a list of tensors: a list of gradients), or one function that returns
    the gradients of all tensor operands in order, with ``needs`` (a tuple of bool) if it asks.
    Besides ``g``, ``y``, ``needs``, ``x_shape`` and ``x_dtype`` it may name any parameter of
    ``forward``. With several results, ``g`` is a list with None where no gradient arrived.

    ``view``: the result, or every result, is a view of the first operand's memory.
    ``differentiable``: which of several results have a gradient (default: floating ones).
    ``grad_name``: the name of its node, where it does not follow from ``name``.
    """
    op = Op(name, "general", forward, vjp, "same", "biufc", grad_name)
    op.params = params = _parameters(forward)
    if isinstance(vjp, dict):
        op.vjp = {k: (f, _parameters(f)) for k, f in vjp.items()}
        wanted = {n for _, names in op.vjp.values() for n in names}
    elif vjp is not None:
        op.vjp = (vjp, _parameters(vjp))
        wanted = set(op.vjp[1])
    else:
        wanted = set()
    grad_places = set(vjp) if isinstance(vjp, dict) else None
    wanted -= {"g", "needs"}
    keeps_y = "y" in wanted
    wanted.discard("y")
    plan = []  # (name in the gradient, position of the operand, what of it)
    for key in sorted(wanted):
        base, _, suffix = key.rpartition("_")
        if key in params:
            plan.append((key, params.index(key), None))
        elif base in params and suffix in ("shape", "dtype"):
            plan.append((key, params.index(base), suffix))
        else:
            raise TypeError(f"the gradient of {name} asks for {key!r}, which {name} has not")
    hook = _hook

    def call(*args: object) -> Value | tuple[Value, ...]:
        if hook.active is not None:
            return hook.active.dispatch(op, call.plain, args)
        arrays = []
        edges = []
        groups = []
        some = False
        for i, a in enumerate(args):
            if isinstance(a, Value):
                arrays.append(a._array)
                if grad_places is None or params[i] in grad_places:
                    e = a._edge
                    edges.append(e)
                    groups.append((params[i], None))
                    if e is not None:
                        some = True
            elif type(a) is tuple and a and isinstance(a[0], Value):
                arrays.append([v._array for v in a])
                if grad_places is None or params[i] in grad_places:
                    es = [v._edge for v in a]
                    edges.extend(es)
                    groups.append((params[i], len(es)))
                    if any(e is not None for e in es):
                        some = True
            else:
                arrays.append(a)
        r = forward(*arrays)
        single = type(r) is not tuple
        if not (some and state.grad):
            if view:
                if single:
                    return wrap_view(r, args[0])
                return _several(r, None, args[0], ())
            if single:
                return wrap(r if r.__class__ is ndarray else np.asanyarray(r))
            return tuple([wrap(o if o.__class__ is ndarray else np.asanyarray(o)) for o in r])
        if single and not view and r.dtype.kind in "biu":  # integers have no gradient
            return wrap(r if r.__class__ is ndarray else np.asanyarray(r))
        if vjp is None:
            if single and view:
                return wrap(r)
            raise NotImplementedError(
                f"the derivative for '{name}' is not implemented; "
                "call it on x.detach() if no gradient is wanted through it"
            )
        node = new(OpNode)
        node.op = op
        node.edges = tuple(edges)
        node.groups = groups
        node.watch = None
        node.tick = ticks()
        if single:
            r = r if r.__class__ is ndarray else np.asanyarray(r)
            outs = (wrap_view(r, args[0], node) if view else wrap(r, node),)
        else:
            node.count = len(r)
            outs = _several(r, node, args[0] if view else None, differentiable)
        saved = []
        for key, place, part in plan:
            v = args[place] if place < len(args) else None
            if part is None:
                if isinstance(v, Value) and v._inference:
                    raise inference_saved()
                saved.append((key, v))
            elif type(v) is tuple and v and isinstance(v[0], Value):
                saved.append((key, [getattr(t._array, part) for t in v]))
            elif not isinstance(v, Value):
                saved.append((key, None))
            else:
                saved.append((key, getattr(v._array, part)))
        if keeps_y:
            saved.append(("y", _SavedOutput(outs, single)))
        node.saved = saved or None
        if Anomaly.enabled:
            note_line(node)
        return outs[0] if single else outs

    call.__name__ = call.__qualname__ = name
    call.__doc__ = forward.__doc__ or f"The record of the operation ``{name}``."
    call.op = op
    return hooked(call)
