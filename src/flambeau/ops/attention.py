"""Scaled dot product attention: softmax(q k^T * scale + mask) v, with a gradient of its own.

Works on blocks of heads and of query rows, whose scores stay in the cache, on all threads. Small
score matrices are kept for the gradient, large ones computed again, so that memory grows with the
length and not with its square. With p the probabilities and g the gradient of the result:

    dv = p^T g      ds = p (g v^T - sum(g v^T * p))      dq = ds k * scale      dk = ds^T q * scale

Source: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762; blocks: Dao et al. 2022,
https://arxiv.org/abs/2205.14135
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np

from .._dtypes import from_numpy
from .._errors import type_name
from ..core import threads
from ..core.foreign import beside
from ..core.generator import current
from ..core.modes import hook, state
from ..core.op import define, unsupported
from ..core.promotion import wide
from ..core.value import Value, constant, drawn, wrap

ndarray = np.ndarray
_SCORES = 1 << 16  # scores that one block holds
_KERNEL = 1 << 12  # scores from which a compiled kernel is asked for
_KEPT = 1 << 22  # scores that are kept for the gradient; more are computed again


@lru_cache(maxsize=8)
def _causal_mask(rows: int, columns: int, dtype: np.dtype) -> ndarray:
    """0 where the column is not after the row, else -inf."""
    return np.triu(np.full((rows, columns), -np.inf, dtype), 1)


def _blocks(start: int, stop: int, heads: int, rows: int, columns: int) -> Iterator[tuple]:
    """Flat heads [start, stop) as (batch, heads, rows) slices of at most _SCORES scores."""
    many = max(1, _SCORES // max(rows * columns, 1))
    step = max(1, min(rows, _SCORES // max(columns, 1)))
    while start < stop:
        batch, head = divmod(start, heads)
        end = min(head + many, heads, head + stop - start)
        for row in range(0, rows, step):
            yield batch, slice(head, end), slice(row, min(row + step, rows))
        start += end - head


def _scores(
    q: ndarray, k: ndarray, mask: ndarray | None, causal: ndarray | None, scale: float
) -> ndarray:
    """Probabilities of one block; a row with nothing to attend to is zeros."""
    s = np.matmul(q * q.dtype.type(scale), k.swapaxes(-1, -2))
    if mask is not None:
        s += mask
    if causal is not None:
        s += causal
    top = np.maximum.reduce(s, -1, None, None, True)
    if mask is not None:
        top[np.isneginf(top)] = 0
    s -= top
    np.exp(s, s)
    total = s.dot(np.ones(s.shape[-1], s.dtype))[..., None]
    if mask is not None:
        total[total == 0] = 1
    s *= 1 / total
    return s


def _additive(mask: ndarray | None, shape: tuple[int, ...], dtype: np.dtype) -> ndarray | None:
    """The mask as numbers to be added, broadcast to (batch, heads, rows, columns)."""
    if mask is None:
        return None
    if mask.dtype.kind == "b":
        mask = np.where(mask, dtype.type(0), dtype.type(-np.inf))
    elif mask.dtype != dtype:
        mask = mask.astype(dtype)
    return np.broadcast_to(mask, shape)


def _compiled(name: str, q: ndarray, k: ndarray, *args: object) -> tuple | None:
    """What the compiler's routine ``name`` makes of ``args``; None where NumPy does the work."""
    if math.prod(q.shape[:3]) * k.shape[2] < _KERNEL:
        return None
    routine = threads.routine(name)
    return None if routine is None else routine(*args)


def _attention_forward(
    q: ndarray,
    k: ndarray,
    v: ndarray,
    mask: ndarray | None,
    noise: ndarray | None,
    causal: bool,
    scale: float,
    keep: bool,
) -> tuple[ndarray, ndarray]:
    """(result, probabilities or nothing); operands (batch, heads, rows, width)."""
    dt = q.dtype
    q, k, v = wide(q), wide(k), wide(v)
    if mask is None and noise is None:
        compiled = _compiled("attention", q, k, q, k, v, causal, scale, keep)
        if compiled is not None:
            return compiled[0].astype(dt, copy=False), compiled[1]
    batch, heads, rows, _ = q.shape
    columns, width = k.shape[2], v.shape[3]
    shape = (batch, heads, rows, columns)
    mask = _additive(mask, shape, q.dtype)
    noise = None if noise is None else wide(noise)
    hidden = _causal_mask(rows, columns, q.dtype) if causal else None
    # Heads lie inside of rows, as they do where the heads are put together again.
    y = np.empty((batch, rows, heads, width), q.dtype).swapaxes(1, 2)
    kept = np.empty(shape if keep else (0,), q.dtype)

    def part(start: int, stop: int) -> None:
        for b, h, r in _blocks(start, stop, heads, rows, columns):
            p = _scores(
                q[b, h, r],
                k[b, h],
                None if mask is None else mask[b, h, r],
                None if hidden is None else hidden[r],
                scale,
            )
            if keep:
                kept[b, h, r] = p
            if noise is not None:
                p *= noise[b, h, r]
            y[b, h, r] = np.matmul(p, v[b, h])

    _over_heads(part, batch * heads, batch * heads * rows * columns)
    return y.astype(dt, copy=False), kept


def _over_heads(part: Callable[[int, int], None], count: int, scores: int) -> None:
    if scores < threads.LARGE // 4:
        part(0, count)
    else:
        threads.run_parts(part, count)


def _attention_backward(
    grad: ndarray,
    q: ndarray,
    k: ndarray,
    v: ndarray,
    mask: ndarray | None,
    noise: ndarray | None,
    kept: ndarray,
    causal: bool,
    scale: float,
    needs_mask: bool,
) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    dt = q.dtype
    grad, q, k, v = wide(grad), wide(q), wide(k), wide(v)
    if mask is None and noise is None:
        compiled = _compiled("attention_backward", q, k, grad, q, k, v, kept, causal, scale)
        if compiled is not None:
            return (*[a.astype(dt, copy=False) for a in compiled], np.empty(0, dt))
    batch, heads, rows, _ = q.shape
    columns = k.shape[2]
    shape = (batch, heads, rows, columns)
    mask = _additive(mask, shape, q.dtype)
    noise = None if noise is None else wide(noise)
    hidden = _causal_mask(rows, columns, q.dtype) if causal else None
    dq, dk, dv = (
        np.zeros((batch, a.shape[2], heads, a.shape[3]), q.dtype).swapaxes(1, 2) for a in (q, k, v)
    )
    dmask = np.empty(shape if needs_mask else (0,), q.dtype)
    factor = q.dtype.type(scale)

    def part(start: int, stop: int) -> None:
        for b, h, r in _blocks(start, stop, heads, rows, columns):
            if kept.size:
                p = kept[b, h, r]
            else:
                p = _scores(
                    q[b, h, r],
                    k[b, h],
                    None if mask is None else mask[b, h, r],
                    None if hidden is None else hidden[r],
                    scale,
                )
            g = grad[b, h, r]
            ds = np.matmul(g, v[b, h].swapaxes(-1, -2))
            if noise is None:
                dv[b, h] += np.matmul(p.swapaxes(-1, -2), g)
            else:
                ds *= noise[b, h, r]
                dv[b, h] += np.matmul((p * noise[b, h, r]).swapaxes(-1, -2), g)
            ds -= np.vecdot(ds, p)[..., None]
            ds *= p
            if needs_mask:
                dmask[b, h, r] = ds
            ds *= factor
            dq[b, h, r] = np.matmul(ds, k[b, h])
            dk[b, h] += np.matmul(ds.swapaxes(-1, -2), q[b, h, r])

    _over_heads(part, batch * heads, batch * heads * rows * columns)
    return tuple(a.astype(dt, copy=False) for a in (dq, dk, dv, dmask))


_attention_grad = define("scaled_dot_product_flash_attention_for_cpu_backward", _attention_backward)


def composed(
    q: Value,
    k: Value,
    v: Value,
    mask: Value | None,
    noise: Value | None,
    causal: bool,
    scale: float,
) -> tuple[Value, Value]:
    """(result, probabilities) in differentiable operations."""
    scores = (q * scale) @ k.transpose(-1, -2)
    if causal:
        hidden = _causal_mask(q.shape[-2], k.shape[-2], np.dtype(np.float32))
        scores = scores.masked_fill(constant(hidden != 0), -math.inf)
    dead = None
    if mask is not None:
        if mask._array.dtype.kind == "b":
            scores = scores.masked_fill(~mask, -math.inf)
        else:
            scores = scores + mask
        dead = (scores.detach() == -math.inf).all(-1, keepdim=True)
    if dead is not None and (hook.active is not None or dead._array.any()):
        p = scores.masked_fill(dead, 0).softmax(-1).masked_fill(dead, 0)
    else:
        p = scores.softmax(-1)
    dropped = p if noise is None else p * noise
    return dropped @ v, p


def _attention_vjp(
    g: list,
    y: tuple,
    q: Value,
    k: Value,
    v: Value,
    mask: Value | None,
    noise: Value | None,
    causal: bool,
    scale: float,
    needs: tuple,
) -> list:
    present = [q, k, v] + [t for t in (mask, noise) if t is not None]
    into_mask = mask is not None and needs[3]
    if state.grad:
        results = _gradients_composed(g[0], q, k, v, mask, noise, causal, scale)
    else:
        results = _attention_grad(g[0], q, k, v, mask, noise, y[1], causal, scale, into_mask)
    grads = list(results[:3])
    if mask is not None:
        grads.append(results[3].sum_to_size(mask.shape).to(mask.dtype) if into_mask else None)
    grads += [None] * (len(present) - len(grads))
    return [r if need else None for r, need in zip(grads, needs, strict=True)]


def _gradients_composed(
    g: Value,
    q: Value,
    k: Value,
    v: Value,
    mask: Value | None,
    noise: Value | None,
    causal: bool,
    scale: float,
) -> tuple[Value, Value, Value, Value]:
    _, p = composed(q, k, v, mask, noise, causal, scale)
    dp = g @ v.transpose(-1, -2)
    used = p
    if noise is not None:
        dp, used = dp * noise, p * noise
    ds = p * (dp - (dp * p).sum(-1, True))
    return (
        (ds @ k) * scale,
        (ds.transpose(-1, -2) @ q) * scale,
        used.transpose(-1, -2) @ g,
        ds,
    )


_attention = define(
    "scaled_dot_product_flash_attention_for_cpu",
    _attention_forward,
    _attention_vjp,
    differentiable=(0,),
)


def _check(query: Value, key: Value, value: Value, mask: Value | None, causal: bool) -> None:
    for tensor, argument in ((query, "query"), (key, "key"), (value, "value")):
        if not isinstance(tensor, Value):
            raise TypeError(
                f"scaled_dot_product_attention(): argument '{argument}' must be Tensor, not "
                f"{type_name(tensor)}"
            )
    q, k, v = query._array, key._array, value._array
    if not q.dtype == k.dtype == v.dtype:
        names = [from_numpy(a.dtype).name for a in (q, k, v)]
        raise RuntimeError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            f"{names[0]} key.dtype: {names[1]} and value.dtype: {names[2]} instead."
        )
    if min(q.ndim, k.ndim, v.ndim) < 2:
        raise RuntimeError(
            "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: "
            f"{q.ndim} key.dim: {k.ndim} and value.dim: {v.ndim} instead."
        )
    if not from_numpy(q.dtype).is_floating_point:
        raise unsupported("scaled_dot_product_attention", from_numpy(q.dtype))
    if mask is not None:
        if causal:
            raise RuntimeError(
                "_scaled_dot_product_attention: Explicit attn_mask should not be set when "
                "is_causal=True\n  put the causal mask into attn_mask, or leave one of them out"
            )
        m = from_numpy(mask._array.dtype)
        if m.name != "bool" and not m.is_floating_point:
            raise RuntimeError(
                "Expected attn_mask dtype to be bool or float or to match query dtype, but got "
                f"attn_mask.dtype: {m.name} and  query.dtype: {from_numpy(q.dtype).name} instead."
            )
    if q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        what = "query and key must have the same width (last dimension)"
        if q.shape[-1] == k.shape[-1]:
            what = "key and value must have the same length (dimension -2)"
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to match: {what}\n"
            f"  query {q.shape}, key {k.shape}, value {v.shape}"
        )


def scaled_dot_product_attention(
    query: Value,
    key: Value,
    value: Value,
    attn_mask: Value | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Value:
    """softmax(query key^T * scale + mask) value.

    Shapes: query (..., L, E), key (..., S, E), value (..., S, Ev); the result is (..., L, Ev).
    ``attn_mask``: of bool (True: attend) or numbers to be added; it broadcasts to (..., L, S).
    ``is_causal``: a query attends to keys of its own and earlier positions. ``scale``: 1 / sqrt(E)
    unless given. ``enable_gqa``: each head of key and value serves several of query.
    """
    if hook.active is not None:
        query, key, value, attn_mask = hook.active.operands(
            "scaled_dot_product_attention", (query, key, value, attn_mask)
        )
    _check(query, key, value, attn_mask, is_causal)
    if enable_gqa:
        heads = query.shape[-3]
        if heads % key.shape[-3] or heads % value.shape[-3]:
            raise RuntimeError(
                "Number of heads in key and value must divide the number of heads in query\n"
                f"  query has {heads}, key {key.shape[-3]}, value {value.shape[-3]}"
            )
        key = key.repeat_interleave(heads // key.shape[-3], -3)
        value = value.repeat_interleave(heads // value.shape[-3], -3)
    if scale is None:
        scale = 1 / math.sqrt(query.shape[-1]) if query.shape[-1] else 1.0
    if not 0 <= dropout_p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {dropout_p:g}")
    lead = query._array.shape[:-2]
    if not (key._array.shape[:-2] == value._array.shape[:-2] == lead):
        lead = np.broadcast_shapes(lead, key._array.shape[:-2], value._array.shape[:-2])
        query, key, value = (t.expand(*lead, *t.shape[-2:]) for t in (query, key, value))
    scores = (*lead, query.shape[-2], key.shape[-2])
    if attn_mask is not None:
        try:
            np.broadcast_to(attn_mask._array, scores)
        except ValueError:
            raise RuntimeError(
                f"The size of tensor a must match the size of tensor b: attn_mask of shape "
                f"{tuple(attn_mask.shape)} must broadcast to (..., L, S) = {scores}"
            ) from None
    noise = None
    if dropout_p:
        dt = query._array.dtype
        if dropout_p == 1:
            noise = constant(beside(np.zeros(scores, dt), query._array))
        else:
            like = query._array

            def draw() -> np.ndarray:
                generator = current(like)
                return generator.recipes.dropout_noise(generator, scores, dt, dropout_p)

            noise = wrap(drawn(draw))
    if len(lead) != 2:
        query, key, value = (t.reshape(_four(t.shape, lead)) for t in (query, key, value))
        if attn_mask is not None:
            attn_mask = attn_mask.expand(scores) if attn_mask.dim() > 2 else attn_mask
            if attn_mask.dim() > 2:
                attn_mask = attn_mask.reshape(_four(attn_mask.shape, lead))
        noise = None if noise is None else noise.reshape(_four(noise.shape, lead))
    tensors = (query, key, value, attn_mask)
    recorded = state.grad and any(t is not None and t._edge is not None for t in tensors)
    keep = recorded and math.prod(scores) <= _KEPT
    y = _attention(query, key, value, attn_mask, noise, bool(is_causal), scale, keep)[0]
    return y if len(lead) == 2 else y.reshape(*lead, *y.shape[-2:])


def _four(shape: tuple[int, ...], lead: tuple[int, ...]) -> tuple[int, ...]:
    """``shape`` with its leading dimensions folded into (1, heads)."""
    return (1, math.prod(lead), *shape[-2:])
