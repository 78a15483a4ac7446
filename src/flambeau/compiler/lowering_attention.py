"""Attention as part of a program: a unit of its own, ``attention_text``'s kernels, which keep a few
rows of scores in the cache; or, for few scores, a mask or dropout, products and a fused softmax."""

from __future__ import annotations

import math

import numpy as np

from . import attention_text, product_text, scalar
from .arrays import Read, row_major
from .attention_kernels import table_of, tile_of
from .builder import BYTES, FLOATS
from .fusion import memory_strides, same_strides
from .graph import Call, Var
from .layer_code import Given, Operand, Recipe, Result, Scratch, Step, filled
from .lowering import Lazy, Lowering, converted, copied, dense, mapped, product, reduced
from .lowering_rules import rule, static, turned
from .scalar import BOOL, Scalar
from .scalar_functions import exp_below

FORWARD = "scaled_dot_product_flash_attention_for_cpu"
BACKWARD = f"{FORWARD}_backward"
#: Multiplications of a head's scores from which attention is a unit of its own: below, copying a
#: head into vectors takes longer than what is saved.
OWN = 1024


def _probabilities(
    lowering: Lowering, q: Lazy, k: Lazy, mask: Var | None, causal: bool, scale: float
) -> Lazy:
    """softmax(q k^T scale + mask) over the last dimension; a row with nothing to attend to is 0."""
    scores = product(q, turned(k))
    shape, own = scores.shape, scores.dtype
    extra: list[Lazy] = []
    is_bool = mask is not None and mask.dtype == BOOL
    if mask is not None:
        extra.append(lowering.of(mask) if is_bool else converted(lowering.of(mask), own))

    def masked(s: Scalar, *m: Scalar) -> Scalar:
        s = s * scale
        if m:
            s = scalar.select(m[0], s, -math.inf) if is_bool else s + m[0]
        if causal:
            row, column = scalar.iota(len(shape) - 2), scalar.iota(len(shape) - 1)
            s = scalar.select(column <= row, s, -math.inf)
        return s

    scores = mapped(masked, scores, *extra)
    top = reduced("maximum", scores, (-1,))
    if mask is not None:
        top = mapped(lambda m: scalar.select(m > -math.inf, m, 0.0), top)
    e = mapped(lambda s, m: exp_below(s - m), scores, top)
    total = reduced("sum", e, (-1,))
    if mask is not None:
        total = mapped(lambda t: scalar.select(scalar.equal(t, 0.0), 1.0, t), total)
    return e / total


def _has_own(lowering: Lowering, q: Var, k: Var, mask: Var | None, noise: Var | None) -> bool:
    """Whether attention is a unit of its own."""
    if not lowering.whole_layers:
        return False
    large = q.shape[-2] * k.shape[-2] * q.shape[-1] >= OWN
    return large and mask is None and noise is None and q.size > 0 and q.dtype in FLOATS


def _is_read(lowering: Lowering, kept: Var) -> bool:
    """Whether anything but attention's gradient reads the probabilities."""
    graph = lowering.graph
    return kept in graph.outputs or any(
        kept in node.reads()
        for node in graph.nodes
        if not (isinstance(node, Call) and node.op.name == BACKWARD)
    )


def _in_rows(x: Lazy) -> Lazy:
    """``x``, or a copy of it where its rows are no neighbours in memory, or strides cannot say
    where they are."""
    if x.read.index is not None:
        return dense(x)
    array = x.read.array
    laid = same_strides(array.shape, memory_strides(array), row_major(array.shape))
    return x if laid and (x.read.strides[-1] == 1 or x.shape[-1] == 1) else copied(x)


def _recipe(
    operands: dict[str, Lazy],
    results: dict[str, tuple[int, tuple[int, ...]]],
    causal: bool,
    scale: float,
) -> Recipe:
    """``results``: where each of them is in the memory that is filled, and its strides."""
    q, v = operands["q"], operands["v"]
    batch, heads, rows, width = q.shape
    columns, value_width = v.shape[2:]
    element = FLOATS[q.dtype]
    tile = tile_of(element)
    steps = {n: x.read.strides for n, x in operands.items()} | {
        n: s for n, (_, s) in results.items()
    }
    sizes = (heads, rows, columns, width, value_width)
    strides = tuple(steps[n][:3] if n in steps else (0, 0, 0) for n in attention_text.ARRAYS)
    table, scratch = table_of(tile, sizes, strides)
    text = attention_text.backward if "g" in operands else attention_text.forward
    text = text(tile, causal, False)
    for helper in product_text.NAMES:
        text = text.replace(f"@{helper}(", f"@$self.{helper}(")
    given: list[Given] = [Result(offset) for offset, _ in results.values()]
    given += [Operand(k) for k in range(len(operands))]
    given += [Result(), table, Scratch(), batch * heads, q.dtype.type(scale)]
    scores = batch * heads * rows * columns
    work = scores * (width + value_width) * (5 if "g" in operands else 2)  # the causal half counts

    def plain(*flat: np.ndarray) -> list[np.ndarray]:
        arrays = {
            n: _strided(a, x.shape, x.read.strides) for (n, x), a in zip(operands.items(), flat)
        }
        shapes = (q.shape, operands["k"].shape, v.shape)
        return [_by_formula(arrays, results, shapes, causal, scale)]

    return Recipe(
        ("gradients of " if "g" in operands else "")
        + f"attention, {'causal, ' if causal else ''}{batch}x{heads} heads of {rows}x{columns}",
        (Step(text, tuple(given), batch * heads, apart=True),),
        plain,
        tuple((x.read.array.size - x.read.offset,) for x in operands.values()),
        scratch=scratch * BYTES[element],
        nanoseconds=work / 60 + scores,
        operations=float(work),
    )


def _strided(flat: np.ndarray, shape: tuple[int, ...], strides: tuple[int, ...]) -> np.ndarray:
    return np.lib.stride_tricks.as_strided(flat, shape, [s * flat.itemsize for s in strides])


def _by_formula(
    arrays: dict[str, np.ndarray],
    results: dict[str, tuple[int, tuple[int, ...]]],
    shapes: tuple[tuple[int, ...], ...],
    causal: bool,
    scale: float,
) -> np.ndarray:
    """What the memory is filled with, by NumPy, all heads at once."""
    q, k, v = (arrays[n] for n in "qkv")
    scores = np.matmul(q, k.swapaxes(-1, -2)) * scale
    if causal:
        scores += np.triu(np.full(scores.shape[-2:], -np.inf, q.dtype), 1)
    p = np.exp(scores - scores.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    if "g" not in arrays:
        return np.ascontiguousarray(np.matmul(p, v).swapaxes(1, 2))
    g = arrays["g"]
    dp = np.matmul(g, v.swapaxes(-1, -2))
    ds = p * (dp - (dp * p).sum(-1, keepdims=True)) * scale
    found = np.matmul(ds, k), np.matmul(ds.swapaxes(-1, -2), q), np.matmul(p.swapaxes(-1, -2), g)
    out = np.empty(sum(map(math.prod, shapes)), q.dtype)
    for slope, (offset, strides) in zip(found, results.values(), strict=True):
        _strided(out[offset:], slope.shape, strides)[...] = slope
    return out


def _own_forward(q: Lazy, k: Lazy, v: Lazy, causal: bool, scale: float) -> Lazy:
    """The result, whose heads lie inside of rows, as they do where they are put together again."""
    operands = {n: _in_rows(x) for n, x in zip("qkv", (q, k, v))}
    batch, heads, rows, width = *q.shape[:3], v.shape[-1]
    step = heads * width
    strides = (rows * step, width, step, 1)
    recipe = _recipe(operands, {"y": (0, strides)}, causal, scale)
    (made,) = filled((batch, rows, heads, width), q.dtype, [*operands.values()], recipe)
    return Lazy(Read(made.read.array, strides), (batch, heads, rows, width))


def _own_backward(g: Lazy, q: Lazy, k: Lazy, v: Lazy, causal: bool, scale: float) -> list[Lazy]:
    """The gradients of q, k and v: side by side, row by row, if they are of one shape, as they are
    where they come from one product; else one after the other."""
    operands = {n: _in_rows(x) for n, x in zip("gqkv", (g, q, k, v))}
    shapes = [x.shape for x in (q, k, v)]
    heads, rows, width = q.shape[1:]
    if len(set(shapes)) == 1:
        step = heads * width
        places = [(n * step, (3 * rows * step, width, 3 * step, 1)) for n in range(3)]
    else:
        begins = (0, q.size, q.size + k.size)
        places = [(b, (n * h * w, w, h * w, 1)) for b, (_, h, n, w) in zip(begins, shapes)]
    recipe = _recipe(operands, dict(zip(("dq", "dk", "dv"), places)), causal, scale)
    (made,) = filled((q.size + k.size + v.size,), q.dtype, [*operands.values()], recipe)
    return [
        Lazy(Read(made.read.array, strides, offset), shape)
        for (offset, strides), shape in zip(places, shapes, strict=True)
    ]


@rule(FORWARD)
def _attention(lowering: Lowering, node: Call) -> list[Lazy | None]:
    q, k, v, mask, noise, causal, scale, keep = node.args
    causal, scale = static(causal), static(scale)
    has_own = _has_own(lowering, q, k, mask, noise) and not (
        keep and _is_read(lowering, node.outs[1])
    )
    q, k, v = (lowering.of(x) for x in (q, k, v))
    if has_own:
        return [_own_forward(q, k, v, causal, scale), None]
    p = _probabilities(lowering, q, k, mask, causal, scale)
    dropped = p if noise is None else p * converted(lowering.of(noise), p.dtype)
    return [product(dropped, v), p if keep else None]


@rule(BACKWARD)
def _attention_backward(lowering: Lowering, node: Call) -> list[Lazy | None]:
    g, q, k, v, mask, noise, kept, causal, scale, needs_mask = node.args
    causal, scale = static(causal), static(scale)
    has_own = _has_own(lowering, q, k, mask, noise)
    g, q, k, v = (lowering.of(x) for x in (g, q, k, v))
    if has_own:
        return [*_own_backward(g, q, k, v, causal, scale), None]
    p = lowering.of(kept) if kept.size else _probabilities(lowering, q, k, mask, causal, scale)
    dp = product(g, turned(v))
    dropped = p
    if noise is not None:
        factor = converted(lowering.of(noise), p.dtype)
        dp, dropped = dp * factor, p * factor
    dv = product(turned(dropped), g)
    along = reduced("sum", dp * p, (-1,))
    ds = mapped(lambda d, a, p: (d - a) * p, dp, along, p)
    scaled = ds * scale
    return [
        product(scaled, k),
        product(turned(scaled), q),
        dv,
        ds if static(needs_mask) else None,
    ]
