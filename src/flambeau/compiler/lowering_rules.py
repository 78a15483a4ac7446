"""What operations are made of, for the compiler: operation's name -> rule(lowering, node).

A rule gives the results as ``Lazy`` arrays, or raises ``Refused`` for a case that it does not
cover; the operation is then called as it is. Rules say the same as the NumPy meanings of the
operations, in maps, reductions and products; the tests hold the two together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import scalar
from .arrays import Joined, Read, piece_of, row_major
from .graph import Call, Var
from .lowering import (
    Lazy,
    Lowering,
    Refused,
    compute_dtype,
    converted,
    dense,
    expanded,
    mapped,
    permuted,
    product,
    reduced,
    rounded,
    view,
)
from .scalar import BOOL, FLOAT32, FLOAT64, INT64, Scalar
from .scalar_functions import exp_below, log
from .scalar_rules import PLAIN, RULES, SINGLE, SLOPES
from .tracing import Untraceable, power, traced

Rule = Callable[[Lowering, Call], Any]
RULES_OF_ARRAYS: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register the rule of the operations ``names``."""

    def register(function: Rule) -> Rule:
        for name in names:
            RULES_OF_ARRAYS[name] = function
        return function

    return register


def operand(lowering: Lowering, arg: object, dtype: np.dtype | None = None) -> Any:
    """A tensor operand as Lazy, in ``dtype``; a number as it is."""
    if isinstance(arg, Var):
        x = lowering.of(arg)
        return x if dtype is None else converted(x, dtype)
    if isinstance(arg, (bool, int, float)):
        return arg
    if isinstance(arg, np.generic):
        return arg.item()
    raise Refused(f"an operand {type(arg).__name__}")


def static(arg: object) -> Any:
    """An argument that is no tensor; Refused for one that is."""
    if isinstance(arg, Var) or (isinstance(arg, (tuple, list)) and any(map(_is_var, arg))):
        raise Refused("a tensor where a number is expected")
    return arg


def _is_var(arg: object) -> bool:
    return isinstance(arg, Var)


# ---- elementwise -----------------------------------------------------------------------------

_COMPARISONS: dict[str, Callable] = {
    "eq": scalar.equal,
    "ne": scalar.not_equal,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}
_LOGIC: dict[str, Callable] = {
    "logical_and": lambda a, b: a & b,
    "logical_or": lambda a, b: a | b,
    "logical_xor": lambda a, b: a ^ b,
    "logical_not": scalar.logical_not,
}
_BITWISE: dict[str, Callable] = {
    "bitwise_and": lambda a, b: a & b,
    "bitwise_or": lambda a, b: a | b,
    "bitwise_xor": lambda a, b: a ^ b,
    "bitwise_not": lambda a: scalar.logical_not(a) if a.dtype == BOOL else -1 - a,
}
_ELEMENTWISE: dict[str, Callable] = {
    **PLAIN,
    **RULES,
    "maximum": scalar.maximum,
    "minimum": scalar.minimum,
    "sin": lambda x: scalar.floating("sin", x),
    "cos": lambda x: scalar.floating("cos", x),
    "floor": lambda x: scalar.floating("floor", x),
    "ceil": lambda x: scalar.floating("ceil", x),
    "trunc": lambda x: scalar.floating("trunc", x),
    "relu": lambda x: scalar.select(x < 0, 0.0, x),
}
_WHOLE = {"add", "sub", "rsub", "mul", "neg", "maximum", "minimum"}  # also of integers


def elementwise(lowering: Lowering, node: Call) -> Lazy:
    """Unary and binary records, and general ones whose rule is of one element."""
    op, out = node.op, node.outs[0]
    name = op.name
    own = compute_dtype(out.dtype)
    tensors = [a for a in node.args if _is_var(a)]
    if name in _COMPARISONS or name in _LOGIC:
        return _bool_valued(lowering, node, tensors)
    if name in _BITWISE:
        if {v.dtype for v in tensors} != {out.dtype} or own.kind not in "bi":
            raise Refused(f"{name} of several dtypes")
        operands = [operand(lowering, a) for a in node.args]
        if own == BOOL:
            operands = [a if isinstance(a, Lazy) else bool(a) for a in operands]
        return mapped(_BITWISE[name], *operands, dtype=out.dtype)
    if name == "isnan":
        if tensors[0].dtype.kind in "biu":
            raise Refused("isnan of integers")
        return mapped(scalar.is_nan, lowering.of(tensors[0]), dtype=BOOL)
    if own.kind != "f" and name not in _WHOLE:
        raise Refused(f"{name} of {out.dtype}")
    if own == BOOL:
        raise Refused(f"{name} of bools")
    function = _ELEMENTWISE.get(name)
    if name in SINGLE and own == FLOAT64:
        function = None
    operands, rest = [], []
    for a in node.args:
        if isinstance(a, (tuple, list)):
            rest.append(tuple(static(a)))
        else:
            operands.append(operand(lowering, a, out.dtype if _is_var(a) else None))
    if function is None:
        if op.kind not in ("unary", "binary") or (op.result != "same" and own.kind != "f"):
            raise Refused(f"{name} has no rule")

        def function(*terms: Any) -> Scalar:
            try:
                return traced(op.forward, terms)
            except Untraceable as why:
                raise Refused(f"{name}: {why}") from None

        if not all(isinstance(a, Lazy) for a in operands):
            raise Refused(f"{name} with a number")
    if name in SLOPES and function is not None and own == out.dtype:
        grad, x = operands
        return grad * mapped(SLOPES[name], x)
    if own.kind != "f":
        operands = [int(a) if isinstance(a, (bool, int)) else a for a in operands]
    return mapped(lambda *terms: function(*terms, *rest), *operands, dtype=out.dtype)


def _bool_valued(lowering: Lowering, node: Call, tensors: list[Var]) -> Lazy:
    name = node.op.name
    if name in _LOGIC:
        operands = [converted(operand(lowering, a), BOOL) if _is_var(a) else a for a in node.args]
        if not all(isinstance(a, Lazy) for a in operands):
            raise Refused("logic with a number")
        return mapped(_LOGIC[name], *operands, dtype=BOOL)
    dtypes = {v.dtype for v in tensors}
    if len(dtypes) != 1:
        raise Refused("a comparison of two dtypes")
    (dtype,) = dtypes
    operands = [operand(lowering, a) for a in node.args]
    for a in operands:
        if isinstance(a, float) and dtype.kind != "f":
            raise Refused("a comparison of integers with a float")
        if isinstance(a, int) and dtype == BOOL and a not in (0, 1):
            raise Refused("a comparison of bools with a number")
        if isinstance(a, float) and dtype.kind == "f":
            rounded = float(np.asarray(a).astype(compute_dtype(dtype)))
            if rounded != a and a == a:
                raise Refused("a comparison with a number that is none of the dtype")
    return mapped(_COMPARISONS[name], *operands, dtype=BOOL)


@rule("pow", "pow_tensor", "pow_scalar")
def _pow(lowering: Lowering, node: Call) -> Lazy:
    d = node.outs[0].dtype
    if d.kind != "f":
        raise Refused("a power of integers")
    base, exponent = (operand(lowering, v, d if _is_var(v) else None) for v in node.args[:2])
    if node.op.name == "pow_scalar":
        base, exponent = exponent, base
    if not isinstance(exponent, Lazy):
        return mapped(lambda a: power(a, float(exponent)), base)
    if not isinstance(base, Lazy):
        return mapped(lambda b: scalar.floating("power", float(base), b), exponent)
    return mapped(lambda a, b: scalar.floating("power", a, b), base, exponent)


@rule("where")
def _where(lowering: Lowering, node: Call) -> Lazy:
    condition, a, b = node.args
    out = node.outs[0]
    c = converted(lowering.of(condition), BOOL)
    a, b = operand(lowering, a, out.dtype), operand(lowering, b, out.dtype)
    own = compute_dtype(out.dtype)

    def choose(c: Scalar, x: Any, y: Any) -> Scalar:
        x = x if isinstance(x, Scalar) else scalar.constant(x, own)
        return scalar.select(c, x, y)

    return mapped(choose, c, a, b, dtype=out.dtype)


@rule("masked_fill", "masked_fill_tensor")
def _masked_fill(lowering: Lowering, node: Call) -> Lazy:
    x, mask, value = node.args
    x, mask = lowering.of(x), converted(lowering.of(mask), BOOL)
    own = compute_dtype(x.dtype)
    if own.kind != "f":
        raise Refused("masked_fill of integers")
    if _is_var(value):
        value = operand(lowering, value, x.dtype)
        return mapped(lambda a, m, v: scalar.select(m, v, a), x, mask, value, dtype=x.dtype)
    value = static(value)
    number = float(np.asarray(value).astype(x.dtype).astype(own))
    return mapped(lambda a, m: scalar.select(m, number, a), x, mask, dtype=x.dtype)


@rule("clamp", "clamp_tensor")
def _clamp(lowering: Lowering, node: Call) -> Lazy:
    if node.outs[0].dtype.kind != "f":
        raise Refused("clamp of integers")
    d = node.outs[0].dtype
    x, low, high = (a if a is None else operand(lowering, a, d) for a in node.args[:3])

    def clamped(a: Scalar, *tensors: Scalar) -> Scalar:
        bounds = iter(tensors)
        if isinstance(low, Lazy):
            a = scalar.maximum(a, next(bounds))
        elif low is not None:
            a = scalar.select(a < float(low), float(low), a)
        if isinstance(high, Lazy):
            a = scalar.minimum(a, next(bounds))
        elif high is not None:
            a = scalar.select(a > float(high), float(high), a)
        return a

    return mapped(clamped, x, *[b for b in (low, high) if isinstance(b, Lazy)], dtype=d)


@rule("clamp_backward")
def _clamp_backward(lowering: Lowering, node: Call) -> Lazy:
    d = node.outs[0].dtype
    if d.kind != "f":
        raise Refused("the gradient of clamp for integers")
    g, x, low, high = (a if a is None else operand(lowering, a, d) for a in node.args[:4])

    def passed(g: Scalar, x: Scalar, *tensors: Scalar) -> Scalar:
        bounds = iter(tensors)
        if low is not None:
            g = scalar.select(x >= (next(bounds) if isinstance(low, Lazy) else float(low)), g, 0.0)
        if high is not None:
            g = scalar.select(
                x <= (next(bounds) if isinstance(high, Lazy) else float(high)), g, 0.0
            )
        return g

    return mapped(passed, g, x, *[b for b in (low, high) if isinstance(b, Lazy)], dtype=d)


@rule("addcmul", "addcdiv")
def _addcmul(lowering: Lowering, node: Call) -> Lazy:
    d = node.outs[0].dtype
    if d.kind != "f":
        raise Refused(f"{node.op.name} of integers")
    x, a, b = (operand(lowering, v, d) for v in node.args[:3])
    factor = static(node.args[3]) if len(node.args) > 3 else 1
    divides = node.op.name == "addcdiv"
    return mapped(lambda x, a, b: x + factor * ((a / b) if divides else (a * b)), x, a, b, dtype=d)


@rule("to_copy")
def _to_copy(lowering: Lowering, node: Call) -> Lazy:
    return rounded(lowering.of(node.args[0]), node.outs[0].dtype)


@rule("clone", "_unsafe_view", "alias", "copy_backwards")
def _same(lowering: Lowering, node: Call) -> Lazy:
    x = lowering.of(node.args[0])
    if node.op.name == "copy_backwards":
        return rounded(expanded(x, node.outs[0].shape), node.outs[0].dtype)
    return x if x.shape == node.outs[0].shape else reshaped(x, node.outs[0].shape)


def reshaped(x: Lazy, shape: Sequence[int]) -> Lazy:
    """``x`` in another shape: other strides where they can say it, else a copy."""
    shape = tuple(shape)
    if x.shape == shape:
        return x
    if x.read.index is None:
        strides = _reshaped_strides(x.shape, x.read.strides, shape)
        if strides is not None:
            return Lazy(Read(x.read.array, strides, x.read.offset), shape)
    return dense(x).reshaped(shape)


def _reshaped_strides(
    old: Sequence[int], strides: Sequence[int], new: Sequence[int]
) -> tuple[int, ...] | None:
    """The strides of a reshape that needs no copy, else None."""
    kept = [(n, s) for n, s in zip(old, strides) if n != 1]
    result: list[int] = []
    place = len(kept) - 1
    size, step = 1, 0
    for n in reversed(new):
        if n == 1:
            result.append(0)
            continue
        while size % n:
            if place < 0:
                return None
            m, s = kept[place]
            if size == 1:
                step = s
            elif s != step * size:
                return None
            size *= m
            place -= 1
        result.append(step)
        size //= n
        step *= n
    return tuple(reversed(result))


@rule("zero", "fill", "fill_tensor")
def _fill(lowering: Lowering, node: Call) -> Lazy:
    out = node.outs[0]
    if node.op.name == "fill_tensor":
        value = operand(lowering, node.args[1], out.dtype)
        return mapped(lambda v: v, value, dtype=out.dtype, shape=out.shape)
    value = static(node.args[1]) if node.op.name == "fill" else 0
    own = compute_dtype(out.dtype)
    number = scalar.constant(np.asarray(value).astype(out.dtype).astype(own).item(), own)
    return mapped(lambda: number, dtype=out.dtype, shape=out.shape)


# ---- shapes ----------------------------------------------------------------------------------


@rule("split", "split_with_sizes", "unsafe_split")
def _split(lowering: Lowering, node: Call) -> list[Lazy]:
    x = lowering.of(node.args[0])
    dim = static(node.args[2]) % len(x.shape)
    results, start = [], 0
    x = x if x.read.index is None else dense(x)
    for out in node.outs:
        read = Read(x.read.array, x.read.strides, x.read.offset + start * x.read.strides[dim])
        results.append(Lazy(read, out.shape))
        start += out.shape[dim]
    return results


@rule("unbind")
def _unbind(lowering: Lowering, node: Call) -> list[Lazy]:
    x = (
        dense(lowering.of(node.args[0]))
        if lowering.of(node.args[0]).read.index
        else lowering.of(node.args[0])
    )
    dim = static(node.args[1]) % len(x.shape)
    step = x.read.strides[dim]
    strides = x.read.strides[:dim] + x.read.strides[dim + 1 :]
    return [
        Lazy(Read(x.read.array, strides, x.read.offset + k * step), out.shape)
        for k, out in enumerate(node.outs)
    ]


@rule("cat", "stack")
def _cat(lowering: Lowering, node: Call) -> Lazy:
    out = node.outs[0]
    tensors, dim = node.args[0], static(node.args[1])
    if any(v.dtype != out.dtype for v in tensors):
        raise Refused("parts of several dtypes")
    parts = [lowering.of(v) for v in tensors]
    if node.op.name == "stack":
        dim %= len(out.shape)
        parts = [reshaped(x, (*x.shape[:dim], 1, *x.shape[dim:])) for x in parts]
    dim %= len(out.shape)
    if any(len(x.shape) != len(out.shape) for x in parts):
        raise Refused("vectors without elements among the parts")
    whole = _side_by_side(parts, dim)
    if whole is not None:
        return Lazy(whole, out.shape)
    places = row_major(out.shape)
    pieces, start = [], 0
    for x in parts:
        pieces.append((x.read, x.shape, places, start * places[dim]))
        start += x.shape[dim]
    return Lazy(Read(Joined(out.shape, out.dtype, tuple(pieces)), places), out.shape)


def _side_by_side(parts: Sequence[Lazy], dim: int) -> Read | None:
    """The parts as one read, if they are pieces of one array that lie side by side in it."""
    first = parts[0].read
    step, place = first.strides[dim], first.offset
    for x in parts:
        read = x.read
        if read.array is not first.array or read.strides != first.strides or read.index is not None:
            return None
        if read.offset != place or x.shape[dim] == 1:
            return None
        place += x.shape[dim] * step
    return first


def _zeros(shape: Sequence[int], dtype: np.dtype) -> Lazy:
    zero = scalar.constant(0, compute_dtype(dtype))
    return mapped(lambda: zero, dtype=dtype, shape=shape)


@rule("slice_backward")
def _slice_backward(lowering: Lowering, node: Call) -> Lazy:
    """Zeros with a piece put at a basic index."""
    g, shape, index = node.args
    places = row_major(shape)
    kept, strides, offset = piece_of(shape, index)
    if kept != g.shape:
        raise Refused("a piece of another shape")
    if any(s < 0 for s in strides):
        raise Refused("a piece from the end")
    x = lowering.of(g)
    pieces = (
        (_zeros(shape, g.dtype).read, tuple(shape), places, 0),
        (x.read, x.shape, strides, offset),
    )
    return Lazy(Read(Joined(tuple(shape), g.dtype, pieces), places), tuple(shape))


@rule("constant_pad_nd")
def _constant_pad(lowering: Lowering, node: Call) -> Lazy:
    """A number everywhere, and on it the piece of the operand that stays."""
    out, pad = node.outs[0], node.args[1]
    x, number = (dense(converted(operand(lowering, v), out.dtype)) for v in node.args[::2])
    kept, start, place = list(x.shape), 0, 0
    own, places = row_major(x.shape), row_major(out.shape)
    for k in range(0, len(pad), 2):
        d = len(kept) - 1 - k // 2
        before, after = pad[k : k + 2]
        kept[d] += min(before, 0) + min(after, 0)
        start += max(-before, 0) * own[d]
        place += max(before, 0) * places[d]
    filling = expanded(number, out.shape)
    piece = view(x, kept, own, start)
    pieces = [(filling.read, out.shape, places, 0), (piece.read, piece.shape, places, place)]
    if 0 in kept:
        del pieces[1]
    return Lazy(Read(Joined(out.shape, out.dtype, tuple(pieces)), places), out.shape)


@rule("expand_reduced")
def _expand_reduced(lowering: Lowering, node: Call) -> Lazy:
    x = lowering.of(node.args[0])
    dims, keep, shape = node.args[1], node.args[2], tuple(node.args[3])
    if not keep:
        full = [1 if d in {k % len(shape) for k in dims} else n for d, n in enumerate(shape)]
        x = reshaped(x, full)
    return converted(expanded(x, shape), node.outs[0].dtype)


@rule("repeat")
def _repeat(lowering: Lowering, node: Call) -> Lazy:
    x, counts = lowering.of(node.args[0]), tuple(static(node.args[1]))
    lead = len(counts) - len(x.shape)
    own = (1,) * lead + x.shape
    paired = reshaped(x, tuple(n for pair in zip((1,) * len(own), own) for n in pair))
    full = tuple(n for pair in zip(counts, own) for n in pair)
    return reshaped(expanded(paired, full), node.outs[0].shape)


@rule("tril", "triu")
def _triangle(lowering: Lowering, node: Call) -> Lazy:
    x, diagonal = lowering.of(node.args[0]), static(node.args[1])
    rows, columns = len(x.shape) - 2, len(x.shape) - 1
    lower = node.op.name == "tril"
    zero = scalar.constant(0, compute_dtype(x.dtype))

    def kept(a: Scalar) -> Scalar:
        edge = scalar.iota(rows) + diagonal
        column = scalar.iota(columns)
        return scalar.select(column <= edge if lower else column >= edge, a, zero)

    return mapped(kept, x)


@rule("lerp", "lerp_tensor")
def _lerp(lowering: Lowering, node: Call) -> Lazy:
    d = node.outs[0].dtype
    if d.kind != "f":
        raise Refused("lerp of integers")
    start, end = (operand(lowering, v, d) for v in node.args[:2])
    if _is_var(node.args[2]):

        def between(a: Scalar, b: Scalar, w: Scalar) -> Scalar:
            near = (w < 0.5) & (w > -0.5)
            return scalar.select(near, a + w * (b - a), b - (b - a) * (1 - w))

        return mapped(between, start, end, operand(lowering, node.args[2], d), dtype=d)
    w = float(static(node.args[2]))
    if abs(w) < 0.5:
        return mapped(lambda a, b: a + w * (b - a), start, end, dtype=d)
    return mapped(lambda a, b: b - (b - a) * (1 - w), start, end, dtype=d)


# ---- reductions ------------------------------------------------------------------------------


def _dims_of(arg: object, ndim: int) -> tuple[int, ...]:
    dims = static(arg)
    if dims is None or dims == ():
        return tuple(range(ndim))
    return tuple(d % max(ndim, 1) for d in ((dims,) if isinstance(dims, int) else dims))


def _summable(x: Lazy, dtype: np.dtype) -> Lazy:
    if dtype.kind == "f" or (dtype == INT64 and x.dtype.kind in "biu"):
        own = compute_dtype(dtype)
        return converted(x, own)
    raise Refused(f"a sum of {x.dtype} in {dtype}")


@rule("sum", "mean")
def _sum(lowering: Lowering, node: Call) -> Lazy:
    x, out = lowering.of(node.args[0]), node.outs[0]
    dims = _dims_of(node.args[1], len(x.shape))
    total = reduced("sum", _summable(x, out.dtype), dims, bool(node.args[2]))
    if node.op.name == "mean":
        if out.dtype.kind != "f":
            raise Refused("a mean of integers")
        total = total / float(math.prod(x.shape[d] for d in dims))
    return converted(total, out.dtype)


@rule("sum_to_size")
def _sum_to_size(lowering: Lowering, node: Call) -> Lazy:
    x, out = lowering.of(node.args[0]), node.outs[0]
    lead = len(x.shape) - len(out.shape)
    dims = [d for d, n in enumerate(x.shape) if d < lead or (out.shape[d - lead] == 1 and n != 1)]
    total = reduced("sum", _summable(x, out.dtype), dims)
    return converted(reshaped(total, out.shape), out.dtype)


@rule("amax", "amin", "max_all", "min_all")
def _extremum(lowering: Lowering, node: Call) -> Lazy:
    x, out = lowering.of(node.args[0]), node.outs[0]
    if compute_dtype(x.dtype).kind != "f":
        raise Refused("the extremum of integers")
    kind = "maximum" if "max" in node.op.name else "minimum"
    dims = _dims_of(node.args[1] if len(node.args) > 1 else None, len(x.shape))
    return reshaped(reduced(kind, converted(x, compute_dtype(x.dtype)), dims), out.shape)


@rule("all", "any")
def _truth_of_some(lowering: Lowering, node: Call) -> Lazy:
    x, out = lowering.of(node.args[0]), node.outs[0]
    x = converted(x, compute_dtype(x.dtype) if x.dtype.kind == "f" else FLOAT32)
    one = scalar.constant(1.0, FLOAT32)
    true = mapped(lambda a: scalar.select(scalar.equal(a, 0.0), 0.0, one), x, dtype=FLOAT32)
    dims = _dims_of(node.args[1], len(x.shape))
    best = reduced("minimum" if node.op.name == "all" else "maximum", true, dims)
    return converted(reshaped(mapped(lambda m: m > 0.5, best, dtype=BOOL), out.shape), out.dtype)


@rule("logsumexp")
def _logsumexp(lowering: Lowering, node: Call) -> Lazy:
    x, out = lowering.of(node.args[0]), node.outs[0]
    dims = _dims_of(node.args[1], len(x.shape))
    x = converted(x, compute_dtype(out.dtype))
    if x.dtype.kind != "f":
        raise Refused("logsumexp of integers")
    top = reduced("maximum", x, dims)
    safe = mapped(lambda m: scalar.select(scalar.absolute(m) < math.inf, m, 0.0), top)
    total = reduced("sum", mapped(lambda a, m: exp_below(a - m), x, safe), dims)
    return reshaped(mapped(lambda s, m: log(s) + m, total, safe), out.shape)


@rule("softmax", "log_softmax")
def _softmax(lowering: Lowering, node: Call) -> Lazy:
    x, out = lowering.of(node.args[0]), node.outs[0]
    x = converted(x, compute_dtype(out.dtype))
    dim = static(node.args[1])
    shifted = x - reduced("largest", x, (dim,))  # where one is nan, the sum is, and so is the row
    e = mapped(exp_below, shifted)
    total = reduced("sum", e, (dim,))
    if node.op.name == "softmax":
        return converted(e * (1.0 / total), out.dtype)
    return converted(mapped(lambda z, s: z - log(s), shifted, total), out.dtype)


@rule("softmax_backward_data", "log_softmax_backward_data")
def _softmax_backward(lowering: Lowering, node: Call) -> Lazy:
    own = compute_dtype(node.outs[0].dtype)
    g, y = (converted(lowering.of(v), own) for v in node.args[:2])
    dim = static(node.args[2])
    if node.op.name == "softmax_backward_data":
        product = g * y
        return mapped(lambda g, y, s: (g - s) * y, g, y, reduced("sum", product, (dim,)))
    return mapped(lambda g, y, s: g - exp_below(y) * s, g, y, reduced("sum", g, (dim,)))


@rule("var", "var_mean", "std", "std_mean")
def _var(lowering: Lowering, node: Call) -> Any:
    x, dims, correction, keep = node.args
    x, dims = lowering.of(x), _dims_of(dims, len(lowering.of(x).shape))
    own = compute_dtype(x.dtype)
    if own.kind != "f":
        raise Refused("the variance of integers")
    x = converted(x, own)
    n = math.prod(x.shape[d] for d in dims)
    if n - static(correction) <= 0:
        raise Refused("the variance of too few elements")
    mean = reduced("sum", x, dims) / float(n)
    d = x - mean
    total = reduced("sum", d * d, dims)
    degrees = float(n - correction)
    root = node.op.name.startswith("std")
    spread = mapped(lambda s: scalar.sqrt(s / degrees) if root else s / degrees, total)
    results = [spread, mean] if node.op.name.endswith("mean") else [spread]
    return [converted(reshaped(r, out.shape), out.dtype) for r, out in zip(results, node.outs)]


@rule("linalg_vector_norm")
def _vector_norm(lowering: Lowering, node: Call) -> Lazy:
    x, p, dims, keep = node.args
    x, out = lowering.of(x), node.outs[0]
    own = compute_dtype(x.dtype)
    if own.kind != "f" or static(p) not in (1, 2):
        raise Refused("a norm of another order")
    x = converted(x, own)
    terms = x * x if p == 2 else mapped(scalar.absolute, x)
    total = reduced("sum", terms, _dims_of(dims, len(x.shape)))
    if p == 2:
        total = mapped(scalar.sqrt, total)
    return converted(reshaped(total, out.shape), out.dtype)


# ---- products --------------------------------------------------------------------------------


def turned(x: Lazy) -> Lazy:
    """``x`` with its last two dimensions exchanged."""
    order = [*range(len(x.shape) - 2), len(x.shape) - 1, len(x.shape) - 2]
    return permuted(x, order)


@rule("mm", "mm_nt", "mm_tn", "bmm", "bmm_nt", "bmm_tn")
def _mm(lowering: Lowering, node: Call) -> Lazy:
    a, b = (lowering.of(v) for v in node.args)
    kind = node.op.name.partition("_")[2]
    if kind == "nt":
        b = turned(b)
    if kind == "tn":
        a = turned(a)
    return product(a, b)


@rule("mv")
def _mv(lowering: Lowering, node: Call) -> Lazy:
    a, b = (lowering.of(v) for v in node.args)
    return reshaped(product(a, reshaped(b, (*b.shape, 1))), node.outs[0].shape)


@rule("dot")
def _dot(lowering: Lowering, node: Call) -> Lazy:
    a, b = (lowering.of(v) for v in node.args)
    if a.dtype != b.dtype or a.dtype.kind != "f":
        raise Refused("a dot product of integers")
    return reduced("sum", a * b, (0,), False)


@rule("linear")
def _linear(lowering: Lowering, node: Call) -> Lazy:
    x, weight = lowering.of(node.args[0]), lowering.of(node.args[1])
    if len(x.shape) < 1 or len(weight.shape) != 2:
        raise Refused("a linear layer of vectors")
    rows = math.prod(x.shape[:-1])
    y = product(reshaped(x, (rows, x.shape[-1])), turned(weight))
    if node.args[2] is not None:
        y = y + lowering.of(node.args[2])
    return reshaped(y, node.outs[0].shape)


@rule("addmm", "baddbmm")
def _addmm(lowering: Lowering, node: Call) -> Lazy:
    a, b, c, beta, alpha = node.args
    y = product(lowering.of(a), lowering.of(b))
    alpha, beta = static(alpha), static(beta)
    if alpha != 1:
        y = y * float(alpha)
    if beta == 0:
        return y
    c = lowering.of(c)
    return y + (c if beta == 1 else c * float(beta))


for _name in [*_ELEMENTWISE, *_BITWISE, *_COMPARISONS, *_LOGIC, "isnan", "sign", "square"]:
    RULES_OF_ARRAYS.setdefault(_name, elementwise)
