"""What the larger operations are made of, for the compiler: tables, losses, norms,
optimizers' steps. As ``lowering_rules``, whose table they are added to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import takewhile
from types import FunctionType

from . import scalar
from .arrays import Added, Leaf, Map, Read, Split, Tangled, composed, row_major
from .fusion import memory_strides
from .graph import Call, Draw, Node, Update, Var, draws
from .lowering import (
    Lazy,
    Lowering,
    Refused,
    compute_dtype,
    converted,
    dense,
    expanded,
    is_dense,
    located_elements,
    mapped,
    reduced,
)
from .lowering_rules import reshaped, rule, static
from .scalar import FLOAT32, FLOAT64, INT64, Scalar
from .scalar_functions import exp_below, log, log1p, sigmoid
from .tracing import Untraceable, traced_update

# ---- tables ----------------------------------------------------------------------------------


def _checked_index(lowering: Lowering, v: Var, rows: int) -> Lazy:
    """The elements of an index tensor that a program can look at before it does anything: one that
    comes from outside, random integers, or what such indices pick from a table that comes from
    outside. Refused for indices that the program computes in other ways."""
    x = lowering.of(v)
    if v.dtype != INT64:
        raise Refused("indices of another dtype than int64")
    key = getattr(x.read.array, "key", None)
    if key in lowering.graph.constants:
        values = lowering.graph.constants[key]
        if values.size and (values.min() < 0 or values.max() >= rows):
            raise Refused("indices from the end")
    elif key in lowering.graph.inputs or _is_picked(lowering, x):
        try:
            located_elements(x)
        except (Split, Tangled):
            raise Refused("indices that lie scattered") from None
        lowering.out.checks.append((x, rows))
    elif not _is_drawn_below(lowering, key, rows):
        raise Refused("indices that are computed")
    return x


def _is_picked(lowering: Lowering, x: Lazy) -> bool:
    """Whether ``x`` is what checked indices pick from a tensor that comes from outside."""
    made = x.read.array
    if not isinstance(made, Map) or len(made.reads) != 1 or made.term.operation != "input":
        return False
    (read,) = made.reads
    outside = (*lowering.graph.inputs, *lowering.graph.constants)
    there = (*outside, *_drawn_at_once(lowering))
    return (
        is_dense(x)
        and x.shape == made.shape
        and read.index is not None
        and getattr(read.array, "key", None) in outside
        and isinstance(read.index.array, Leaf)
        and read.index.array.key in there
    )


def _drawn_at_once(lowering: Lowering) -> list[Var]:
    """What a program draws before it looks at indices: all that comes before an operation which
    draws by a tensor's elements (see ``schedule``)."""
    ahead = takewhile(lambda n: isinstance(n, Draw) or not draws(n), lowering.graph.nodes)
    return [node.out for node in ahead if isinstance(node, Draw)]


def _held(node: Node) -> dict[str, object]:
    """What the function that draws holds: its generator, its limits."""
    held: dict[str, object] = {}
    functions = [node.again] if isinstance(node, Draw) else []
    for function in functions:  # and those that it calls
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
            held.setdefault(name, cell.cell_contents)
            if isinstance(cell.cell_contents, FunctionType):
                functions.append(cell.cell_contents)
    return held


def _is_drawn_below(lowering: Lowering, key: object, rows: int) -> bool:
    """Whether ``key`` is drawn by ``randint`` or ``randperm`` from numbers that are all places."""
    for node in lowering.graph.nodes:
        if isinstance(node, Draw) and node.out is key:
            held = _held(node)
            low, high = held.get("low", 0), held.get("high", held.get("n"))
            return type(low) is int and type(high) is int and 0 <= low <= high <= rows
    return False


def _taken(table: Lazy, index: Lazy) -> Lazy:
    """``table[index]`` along its first dimension."""
    table = table if table.read.index is None else dense(table)
    width = table.shape[1:]
    read = Read(
        table.read.array,
        (0,) * len(index.shape) + table.read.strides[1:],
        table.read.offset,
        Read(index.read.array, index.read.strides + (0,) * len(width), index.read.offset),
        table.read.strides[0],
    )
    return Lazy(read, (*index.shape, *width))


@rule("embedding")
def _embedding(lowering: Lowering, node: Call) -> Lazy:
    table = lowering.of(node.args[0])
    index = _checked_index(lowering, node.args[1], table.shape[0])
    return dense(_taken(table, index))


@rule("index")
def _index(lowering: Lowering, node: Call) -> Lazy:
    table, indices = lowering.of(node.args[0]), node.args[1]
    if isinstance(indices, Var):
        indices, dims = (indices,), (0,)
    else:
        dims = tuple(static(node.args[2]))
    if len(indices) != 1 or dims != (0,):
        raise Refused("indices of several dimensions")
    index = _checked_index(lowering, indices[0], table.shape[0])
    return dense(_taken(table, index))


@rule("index_select")
def _index_select(lowering: Lowering, node: Call) -> Lazy:
    table, dim, index = node.args
    if not isinstance(index, Var) or static(dim) != 0:
        raise Refused("index_select of another dimension")
    table = lowering.of(table)
    return dense(_taken(table, _checked_index(lowering, index, table.shape[0])))


def _added(g: Lazy, index: Lazy, shape: Sequence[int], skip: int) -> Lazy:
    rows, width = shape[0], math.prod(shape[1:])
    flat = reshaped(g, (index.size, width))
    index = reshaped(index, (index.size,))
    if flat.dtype not in (FLOAT32, FLOAT64):
        raise Refused("rows of other floats")
    made = Added(tuple(shape), flat.dtype, index.read, _simple(flat).read, index.size, rows, skip)
    return Lazy(Read(made, row_major(shape)), tuple(shape))


def _simple(x: Lazy) -> Lazy:
    """``x``, or a copy of it where strides cannot say where its elements are."""
    if x.read.index is not None:
        return dense(x)
    try:
        composed(x.shape, x.read, memory_strides(x.read.array))
    except (Split, Tangled):
        return dense(x)
    return x


@rule("embedding_dense_backward")
def _embedding_backward(lowering: Lowering, node: Call) -> Lazy:
    g, index, rows, padding, by_frequency = node.args
    if by_frequency:
        raise Refused("gradients scaled by frequency")
    index = _checked_index(lowering, index, rows)
    return _added(lowering.of(g), index, node.outs[0].shape, padding)


@rule("index_backward")
def _index_backward(lowering: Lowering, node: Call) -> Lazy:
    g, indices, dims, shape = node.args
    if len(indices) != 1 or tuple(dims) != (0,):
        raise Refused("indices of several dimensions")
    index = _checked_index(lowering, indices[0], shape[0])
    return _added(lowering.of(g), index, shape, -1)


# ---- losses ----------------------------------------------------------------------------------


def _classes(lowering: Lowering, target: Var, ignore: int, count: int) -> Lazy:
    """The targets as a column; each is one of ``count`` classes, and none of them is ignored."""
    if 0 <= ignore < count:
        raise Refused("an ignored class")
    _checked_index(lowering, target, count)
    t = lowering.of(target)
    return reshaped(t, (*t.shape, 1))


@rule("cross_entropy_loss")
def _cross_entropy(lowering: Lowering, node: Call) -> list[Lazy]:
    x, target, weight, ignore, reduction = node.args
    if weight is not None or len(x.shape) != 2 or len(target.shape) != 1:
        raise Refused("cross entropy of images, or with weights")
    out = node.outs[0]
    own = compute_dtype(x.dtype)
    t = _classes(lowering, target, ignore, x.shape[1])
    x = converted(lowering.of(x), own)
    shifted = x - reduced("maximum", x, (1,))
    total = reduced("sum", mapped(exp_below, shifted), (1,))
    logp = mapped(lambda z, s: z - log(s), shifted, total)
    picked = reduced(
        "sum",
        mapped(lambda z, k: scalar.select(scalar.equal(scalar.iota(1), k), z, 0.0), shifted, t),
        (1,),
    )
    losses = mapped(lambda s, p: log(s) - p, total, picked)
    if reduction == "none":
        return [converted(reshaped(losses, out.shape), out.dtype), logp]
    loss = reduced("sum", losses, (0, 1))
    if reduction == "mean":
        loss = loss / float(x.shape[0])
    return [converted(reshaped(loss, out.shape), out.dtype), logp]


@rule("cross_entropy_backward")
def _cross_entropy_backward(lowering: Lowering, node: Call) -> Lazy:
    g, logp, target, weight, ignore, reduction, _ = node.args
    if weight is not None or len(logp.shape) != 2 or len(target.shape) != 1:
        raise Refused("cross entropy of images, or with weights")
    t = _classes(lowering, target, ignore, logp.shape[1])
    y = lowering.of(logp)
    g = converted(lowering.of(g), y.dtype)
    rows = float(y.shape[0])
    g = reshaped(g, (y.shape[0], 1)) if reduction == "none" else reshaped(g, (1, 1))
    scale = 1 / rows if reduction == "mean" else 1.0

    def slope(y: Scalar, k: Scalar, g: Scalar) -> Scalar:
        p = exp_below(y)
        return (scalar.select(scalar.equal(scalar.iota(1), k), p - 1.0, p)) * (g * scale)

    return converted(mapped(slope, y, t, g), node.outs[0].dtype)


@rule("mse_loss", "l1_loss")
def _pair_loss(lowering: Lowering, node: Call) -> Lazy:
    x, target, _, reduction = node.args
    out = node.outs[0]
    if out.dtype != x.dtype or x.dtype != target.dtype or x.shape != target.shape:
        raise Refused("a loss of two dtypes or shapes")
    own = compute_dtype(x.dtype)
    d = converted(lowering.of(x), own) - converted(lowering.of(target), own)
    if node.op.name == "mse_loss":
        losses = d * d
    else:
        losses = mapped(scalar.absolute, d)
    return _loss_reduced(losses, reduction, out)


@rule("mse_loss_backward")
def _mse_backward(lowering: Lowering, node: Call) -> Lazy:
    g, x, target, _, reduction = node.args
    if x.dtype != target.dtype or x.shape != target.shape:
        raise Refused("a loss of two dtypes or shapes")
    own = compute_dtype(x.dtype)
    d = converted(lowering.of(x), own) - converted(lowering.of(target), own)
    g = converted(lowering.of(g), own)
    factor = 2 / d.size if reduction == "mean" else 2.0
    g = expanded(g, d.shape)
    return converted(mapped(lambda d, g: d * (g * factor), d, g), node.outs[0].dtype)


@rule("binary_cross_entropy_with_logits")
def _logits_loss(lowering: Lowering, node: Call) -> Lazy:
    x, target, weight, pos_weight, reduction = node.args
    out = node.outs[0]
    if weight is not None or pos_weight is not None or x.dtype != target.dtype:
        raise Refused("a loss with weights")
    if x.shape != target.shape:
        raise Refused("a loss of two shapes")
    own = compute_dtype(x.dtype)

    def loss(x: Scalar, t: Scalar) -> Scalar:
        negative = scalar.select(x > 0, 0.0, -x)  # max(-x, 0)
        return (1 - t) * x + negative + log1p(exp_below(-scalar.absolute(x)))

    losses = mapped(loss, converted(lowering.of(x), own), converted(lowering.of(target), own))
    return _loss_reduced(losses, reduction, out)


@rule("binary_cross_entropy_with_logits_backward")
def _logits_backward(lowering: Lowering, node: Call) -> Lazy:
    g, x, target, weight, pos_weight, reduction = node.args
    if weight is not None or pos_weight is not None or x.dtype != target.dtype:
        raise Refused("a loss with weights")
    own = compute_dtype(x.dtype)
    x, target, g = (converted(lowering.of(v), own) for v in (x, target, g))
    factor = 1 / x.size if reduction == "mean" else 1.0
    g = expanded(g, x.shape)
    return converted(
        mapped(lambda x, t, g: (sigmoid(x) - t) * (g * factor), x, target, g), node.outs[0].dtype
    )


def _loss_reduced(losses: Lazy, reduction: str, out: Var) -> Lazy:
    """``losses`` themselves, their sum or their mean."""
    count = float(losses.size)
    if reduction != "none":
        losses = reduced("sum", losses, range(len(losses.shape)), False)
        if reduction == "mean":
            losses = losses / count
    return converted(reshaped(losses, out.shape), out.dtype)


# ---- normalisation ---------------------------------------------------------------------------


def _wide(x: Lazy) -> Lazy:
    return converted(x, compute_dtype(x.dtype))


@rule("native_layer_norm")
def _layer_norm(lowering: Lowering, node: Call) -> list[Lazy]:
    x, weight, bias, count, eps, centred = node.args
    x = _wide(lowering.of(x))
    dims = range(len(x.shape) - count, len(x.shape))
    n = float(math.prod(x.shape[d] for d in dims))
    if centred:
        mean = reduced("sum", x, dims) / n
        d = x - mean
    else:
        d = x
        zero = scalar.constant(0.0, x.dtype)
        lead = tuple(1 if k in dims else m for k, m in enumerate(x.shape))
        mean = mapped(lambda: zero, dtype=x.dtype, shape=lead)
    rstd = mapped(lambda s: 1 / scalar.sqrt(s / n + eps), reduced("sum", d * d, dims))
    y = d * rstd
    if weight is not None:
        y = y * _wide(lowering.of(weight))
    if bias is not None:
        y = y + _wide(lowering.of(bias))
    return [y, mean, rstd]


@rule("native_layer_norm_backward")
def _layer_norm_backward(lowering: Lowering, node: Call) -> list[Lazy | None]:
    g, x, mean, rstd, weight, count, centred, needs = node.args
    g, x, mean, rstd = (_wide(lowering.of(v)) for v in (g, x, mean, rstd))
    dims = tuple(range(len(x.shape) - count, len(x.shape)))
    lead = tuple(range(len(x.shape) - count))
    n = float(math.prod(x.shape[d] for d in dims))
    xhat = (x - mean) * rstd if centred else x * rstd
    results: list[Lazy | None] = []
    if needs[0]:
        gw = g if weight is None else g * _wide(lowering.of(weight))
        along = reduced("sum", gw * xhat, dims) / n
        inner = gw - xhat * along
        if centred:
            inner = inner - reduced("sum", gw, dims) / n
        results.append(inner * rstd)
    for k, (out, need) in enumerate(zip(node.outs[1:], needs[1:])):
        if need:
            total = reduced("sum", g * xhat if k == 0 else g, lead)
            results.append(converted(reshaped(total, out.shape), out.dtype))
    while len(results) < len(node.outs):
        results.append(None)
    if not all(needs):
        raise Refused("a layer norm of which not all gradients are wanted")
    return results


def _over_channels(x: Lazy) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The dimensions that batch norm reduces, and the shape of its statistics beside x."""
    dims = tuple(d for d in range(len(x.shape)) if d != 1)
    return dims, tuple(n if d == 1 else 1 for d, n in enumerate(x.shape))


@rule("native_batch_norm")
def _batch_norm(lowering: Lowering, node: Call) -> list[Lazy]:
    x, weight, bias, running_mean, running_var, training, eps = node.args
    x = _wide(lowering.of(x))
    if len(x.shape) < 2:
        raise Refused("batch norm of vectors")
    dims, side = _over_channels(x)
    n = float(x.size // x.shape[1])

    def beside(v: Var) -> Lazy:
        return reshaped(converted(_wide(lowering.of(v)), x.dtype), side)

    if training:
        mean = reduced("sum", x, dims) / n
        d = x - mean
        var = reduced("sum", d * d, dims) / n
    else:
        mean, var = beside(running_mean), beside(running_var)
        d = x - mean
    rstd = mapped(lambda v: 1 / scalar.sqrt(v + eps), var)
    y = d * (rstd if weight is None else rstd * beside(weight))
    if bias is not None:
        y = y + beside(bias)
    flat = (x.shape[1],)
    return [y, reshaped(mean, flat), reshaped(rstd, flat), reshaped(var, flat)]


@rule("native_batch_norm_backward")
def _batch_norm_backward(lowering: Lowering, node: Call) -> list[Lazy]:
    g, x, mean, rstd, weight, training, needs_x = node.args
    if not needs_x:
        raise Refused("a batch norm whose input needs no gradient")
    g, x = _wide(lowering.of(g)), _wide(lowering.of(x))
    dims, side = _over_channels(x)
    n = float(x.size // x.shape[1])
    mean, rstd = (reshaped(_wide(lowering.of(v)), side) for v in (mean, rstd))
    scale = rstd if weight is None else rstd * reshaped(_wide(lowering.of(weight)), side)
    d = x - mean
    total = reduced("sum", g, dims)
    along = reduced("sum", g * d, dims) * rstd
    if training:
        dx = (g - (d * (along * rstd / n) + total / n)) * scale
    else:
        dx = g * scale
    return [dx, reshaped(along, (x.shape[1],)), reshaped(total, (x.shape[1],))]


# ---- optimizers ------------------------------------------------------------------------------


@rule("update")
def _update(lowering: Lowering, node: Update) -> None:
    first = node.ins[0]
    own = compute_dtype(first.dtype)
    if node.whole:
        raise Refused("a step that is not elementwise")
    if any(v.dtype != first.dtype or v.shape != first.shape for v in node.ins):
        raise Refused("a step over arrays of several dtypes")
    inputs = [scalar.input(k, own) for k in range(len(node.ins))]
    try:
        terms = traced_update(node.change, inputs, node.scalars, node.first, node.place)
    except Untraceable as why:
        raise Refused(f"{node.change.__qualname__}: {why}") from None
    arrays = [lowering.of(v) for v in node.ins]
    for v, out, term in zip(node.ins, node.outs, terms, strict=True):
        if out is not v:
            made = mapped(lambda *_, term=term: term, *arrays, dtype=v.dtype)
            made.read.array.group = node
            made.read.array.note = node.change.__qualname__.split(".")[0]
            lowering.out.reads[out] = made
