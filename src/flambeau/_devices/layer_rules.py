"""Norms, losses and attention on a device."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.op import REGISTRY
from ..ops import _activation_arrays
from ..ops import losses as _losses
from ..ops.cross_entropy import check_targets
from .backend import backend
from .rules import Array, Looking, elementwise, formula, xp
from .twins import instead

# ---- norms ---------------------------------------------------------------------------------------


def _normalised(x: Array, eps: float, centred: bool) -> tuple[Array, Array, Array]:
    """Rows with mean 0 and mean square 1, their means and what they were multiplied by."""
    kind = x.dtype.type
    n = kind(max(x.shape[-1], 1))
    mean = x.sum(-1, keepdims=True, dtype=x.dtype) / n if centred else xp().zeros_like(x[..., :1])
    d = x - mean if centred else x
    rstd = 1 / xp().sqrt((d * d).sum(-1, keepdims=True, dtype=x.dtype) / n + kind(eps))
    return d * rstd, mean, rstd


@formula("native_layer_norm")
def _layer_norm(
    x: Array, weight: Array | None, bias: Array | None, dims: int, eps: float, centred: bool
) -> tuple[Array, Array, Array]:
    shape = x.shape
    lead = shape[: len(shape) - dims]
    n = math.prod(shape[len(lead) :])
    y, mean, rstd = _normalised(x.reshape(-1 if n else math.prod(lead), n), eps, centred)
    if weight is not None:
        y *= weight.reshape(n)
    if bias is not None:
        y += bias.reshape(n)
    stats = lead + (1,) * dims
    return y.reshape(shape), mean.reshape(stats), rstd.reshape(stats)


def _rows_backward(
    g: Array, x: Array, mean: Array, rstd: Array, weight: Array | None, centred: bool
) -> tuple[Array, Array]:
    """The gradient of rows of ``x``, and ``g`` times the normalised rows."""
    n = x.dtype.type(max(x.shape[-1], 1))
    xhat = (x - mean) * rstd if centred else x * rstd
    product = g * xhat
    gw = g if weight is None else g * weight
    along = (product if weight is None else gw * xhat).sum(-1, keepdims=True, dtype=x.dtype)
    dx = gw - xhat * (along / n)
    if centred:
        dx -= gw.sum(-1, keepdims=True, dtype=x.dtype) / n
    dx *= rstd
    return dx, product


@formula("native_layer_norm_backward")
def _layer_norm_backward(
    grad: Array,
    x: Array,
    mean: Array,
    rstd: Array,
    weight: Array | None,
    dims: int,
    centred: bool,
    needs: tuple,
) -> tuple[Array, Array, Array]:
    shape = x.shape
    inner = shape[len(shape) - dims :]
    n = math.prod(inner)
    rows = (-1 if n else math.prod(shape[: len(shape) - dims]), n)
    g = grad.reshape(rows)
    given = None if weight is None else weight.reshape(n)
    stats = mean.reshape(-1, 1), rstd.reshape(-1, 1)
    dx, product = _rows_backward(g, x.reshape(rows), *stats, given, centred)
    none = xp().empty(0, x.dtype)
    return (
        dx.reshape(shape),
        product.sum(0, dtype=x.dtype).reshape(inner) if needs[1] else none,
        g.sum(0, dtype=x.dtype).reshape(inner) if needs[2] else none,
    )


def _column(a: Array, ndim: int) -> Array:
    return a.reshape((-1,) + (1,) * (ndim - 2))


@formula("native_batch_norm")
def _batch_norm(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    running_mean: Array | None,
    running_var: Array | None,
    training: bool,
    eps: float,
) -> tuple[Array, Array, Array, Array]:
    kind = x.dtype.type
    over = (0, *range(2, x.ndim))
    if training:
        count = kind(max(math.prod([x.shape[d] for d in over]), 1))
        mean = x.sum(over, dtype=x.dtype) / count
        d = x - _column(mean, x.ndim)
        var = (d * d).sum(over, dtype=x.dtype) / count
    else:
        mean, var = (a.astype(x.dtype) for a in (running_mean, running_var))
        d = x - _column(mean, x.ndim)
    rstd = 1 / xp().sqrt(var + kind(eps))
    y = d * _column(rstd if weight is None else rstd * weight, x.ndim)
    if bias is not None:
        y += _column(bias, x.ndim)
    return y, mean, rstd, var


@formula("native_batch_norm_backward")
def _batch_norm_backward(
    grad: Array,
    x: Array,
    mean: Array,
    rstd: Array,
    weight: Array | None,
    training: bool,
    needs_x: bool,
) -> tuple[Array, Array, Array]:
    over = (0, *range(2, x.ndim))
    d = x - _column(mean, x.ndim)
    total = grad.sum(over, dtype=x.dtype)
    along = (grad * d).sum(over, dtype=x.dtype) * rstd
    scale = rstd if weight is None else rstd * weight
    if not needs_x:
        dx = xp().empty((0, *x.shape[1:]), x.dtype)
    elif training:
        count = x.dtype.type(max(math.prod([x.shape[i] for i in over]), 1))
        d *= _column(along * rstd / count, x.ndim)
        d += _column(total / count, x.ndim)
        dx = (grad - d) * _column(scale, x.ndim)
    else:
        dx = grad * _column(scale, x.ndim)
    return dx, along, total


@formula("native_group_norm")
def _group_norm(
    x: Array, weight: Array | None, bias: Array | None, groups: int, eps: float
) -> tuple[Array, Array, Array]:
    stats = (x.shape[0], groups)
    if not x.size:
        return x.copy(), xp().zeros(stats, x.dtype), xp().zeros(stats, x.dtype)
    y, mean, rstd = _normalised(x.reshape(x.shape[0] * groups, -1), eps, True)
    y = y.reshape(x.shape)
    if weight is not None:
        y *= _column(weight, x.ndim)
    if bias is not None:
        y += _column(bias, x.ndim)
    return y, mean.reshape(stats), rstd.reshape(stats)


@formula("native_group_norm_backward")
def _group_norm_backward(
    grad: Array, x: Array, mean: Array, rstd: Array, weight: Array | None
) -> tuple[Array, Array, Array]:
    channels = x.shape[1]
    if not x.size:
        return x.copy(), xp().zeros(channels, x.dtype), xp().zeros(channels, x.dtype)
    over = (0, *range(2, x.ndim))
    mean, rstd = mean.reshape(-1, 1), rstd.reshape(-1, 1)
    rows = x.reshape(mean.shape[0], -1)
    gw = grad if weight is None else grad * _column(weight, x.ndim)
    dx, _ = _rows_backward(gw.reshape(rows.shape), rows, mean, rstd, None, True)
    xhat = ((rows - mean) * rstd).reshape(x.shape)
    return (
        dx.reshape(x.shape),
        (grad * xhat).sum(over, dtype=x.dtype),
        grad.sum(over, dtype=x.dtype),
    )


# ---- softmax -------------------------------------------------------------------------------------


def _above(x: Array, dim: int) -> Array:
    """``x`` minus its largest element along ``dim``."""
    return x - x.max(dim, keepdims=True)


@formula("softmax")
def _softmax(x: Array, dim: int) -> Array:
    if not x.ndim:
        return xp().ones_like(x)
    if not x.size:
        return x.copy()
    e = xp().exp(_above(x, dim))
    e /= e.sum(dim, keepdims=True, dtype=e.dtype)
    return e


@formula("log_softmax")
def _log_softmax(x: Array, dim: int) -> Array:
    if not x.ndim:
        return x - x
    if not x.size:
        return x.copy()
    z = _above(x, dim)
    z -= xp().log(xp().exp(z).sum(dim, keepdims=True, dtype=z.dtype))
    return z


@formula("softmax_backward_data")
def _softmax_backward(grad: Array, result: Array, dim: int) -> Array:
    if not grad.ndim:
        return grad * 0
    r = grad * result
    r -= result * r.sum(dim, keepdims=True, dtype=r.dtype)
    return r


@formula("log_softmax_backward_data")
def _log_softmax_backward(grad: Array, result: Array, dim: int) -> Array:
    if not grad.ndim:
        return grad * 0
    return grad - xp().exp(result) * grad.sum(dim, keepdims=True, dtype=grad.dtype)


# ---- losses --------------------------------------------------------------------------------------


def _reduced(values: Array, reduction: str) -> Array:
    if reduction == "none":
        return values
    total = values.sum(dtype=values.dtype)
    return total / values.dtype.type(values.size) if reduction == "mean" else total


def _of_difference(name: str, value: Callable, slope: Callable) -> None:
    def forward(x: Array, target: Array, number: float, reduction: str) -> Array:
        return _reduced(value(x - target, number), reduction)

    def backward(grad: Array, x: Array, target: Array, number: float, reduction: str) -> Array:
        factor = grad / x.dtype.type(x.size) if reduction == "mean" else grad
        return slope(x - target, number) * factor

    formula(name)(forward)
    formula(name + "_backward")(backward)


for _name, (_value, _slope) in _losses.DIFFERENCES.items():
    _of_difference(_name, _value, _slope)


def _check_probabilities(x: Array) -> None:
    if Looking.allowed and x.size and not bool(((x >= 0) & (x <= 1)).all()):
        REGISTRY["binary_cross_entropy"].forward(*[backend().to_host(x)] * 2, None, "none")


@formula("binary_cross_entropy")
def _bce(x: Array, target: Array, weight: Array | None, reduction: str) -> Array:
    _check_probabilities(x)
    r = _losses.bce_value(x, target)
    return _reduced(r if weight is None else r * weight, reduction)


@formula("binary_cross_entropy_with_logits")
def _logits(
    x: Array, target: Array, weight: Array | None, pos_weight: Array | None, reduction: str
) -> Array:
    m = xp()
    tail = m.log1p(m.exp(-m.abs(x)))
    if pos_weight is None:
        r = m.maximum(x, 0) - x * target + tail
    else:
        r = (1 - target) * x + ((pos_weight - 1) * target + 1) * (tail + m.maximum(-x, 0))
    return _reduced(r if weight is None else r * weight, reduction)


def _picked(
    logp: Array, target: Array, weight: Array | None, ignore_index: int
) -> tuple[Array, Array, int]:
    """The class of each target (0 where it is ignored), its weight, and the classes' dimension."""
    m = xp()
    axis = 1 if logp.ndim > 1 else 0
    if Looking.allowed and target.size:
        valid = (target == ignore_index) | ((target >= 0) & (target < logp.shape[axis]))
        if not bool(valid.all()):
            check_targets(backend().to_host(target), logp.shape[axis], ignore_index)
    ignored = target == ignore_index
    index = m.where(ignored, 0, target)
    w = m.ones(target.shape, logp.dtype) if weight is None else weight[index].astype(logp.dtype)
    return index, m.where(ignored, logp.dtype.type(0), w), axis


@formula("nll_loss")
def _nll(
    logp: Array, target: Array, weight: Array | None, ignore_index: int, reduction: str
) -> Array:
    m = xp()
    index, w, axis = _picked(logp, target, weight, ignore_index)
    values = m.take_along_axis(logp, m.expand_dims(index, axis), axis).squeeze(axis)
    losses = m.where(w == 0, logp.dtype.type(0), -w * values)
    if reduction == "none":
        return losses
    total = losses.sum(dtype=losses.dtype)
    return total / w.sum(dtype=w.dtype) if reduction == "mean" else total


def _into_targets(grad: Array, w: Array, reduction: str) -> Array:
    """What each target's share of the gradient is, its sign turned."""
    if reduction == "mean":
        total = w.sum(dtype=w.dtype)
        w = xp().where(w == 0, w, w / total)
    return grad * w


@formula("nll_loss_backward")
def _nll_backward(
    grad: Array,
    logp: Array,
    target: Array,
    weight: Array | None,
    ignore_index: int,
    reduction: str,
) -> Array:
    m = xp()
    index, w, axis = _picked(logp, target, weight, ignore_index)
    value = -_into_targets(grad, w, reduction)
    classes = m.arange(logp.shape[axis]).reshape((-1,) + (1,) * (logp.ndim - axis - 1))
    chosen = m.expand_dims(index, axis) == classes
    return m.where(chosen, m.expand_dims(value, axis), logp.dtype.type(0))


@formula("cross_entropy_loss")
def _cross_entropy(
    input: Array, target: Array, weight: Array | None, ignore_index: int, reduction: str
) -> tuple[Array, Array]:
    axis = 1 if input.ndim > 1 else 0
    z = _log_softmax(input, axis)
    return _nll(z, target, weight, ignore_index, reduction), z


@formula("cross_entropy_backward")
def _cross_entropy_backward(
    grad: Array,
    logp: Array,
    target: Array,
    weight: Array | None,
    ignore_index: int,
    reduction: str,
    dtype: Any,
) -> Array:
    m = xp()
    index, w, axis = _picked(logp, target, weight, ignore_index)
    scale = m.expand_dims(_into_targets(grad, w, reduction), axis)
    classes = m.arange(logp.shape[axis]).reshape((-1,) + (1,) * (logp.ndim - axis - 1))
    return (m.exp(logp) - (m.expand_dims(index, axis) == classes)) * scale


# ---- attention -----------------------------------------------------------------------------------


def _probabilities(q: Array, k: Array, mask: Array | None, causal: bool, scale: float) -> Array:
    m, kind = xp(), q.dtype.type
    s = m.matmul(q * kind(scale), k.swapaxes(-1, -2))
    if causal:
        s = m.where(m.tri(*s.shape[-2:], dtype=np.bool_), s, kind(-math.inf))
    if mask is not None:
        s = m.where(mask, s, kind(-math.inf)) if mask.dtype.kind == "b" else s + mask
    top = s.max(-1, keepdims=True)
    if mask is not None:
        top = m.where(m.isneginf(top), kind(0), top)
    p = m.exp(s - top)
    total = p.sum(-1, keepdims=True, dtype=p.dtype)
    if mask is not None:
        total = m.where(total == 0, kind(1), total)
    p /= total
    return p


@formula("scaled_dot_product_flash_attention_for_cpu")
def _attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    noise: Array | None,
    causal: bool,
    scale: float,
    keep: bool,
) -> tuple[Array, Array]:
    m = xp()
    p = _probabilities(q, k, mask, causal, scale)
    y = m.matmul(p if noise is None else p * noise, v)
    # Heads lie inside of rows, as they do where the heads are put together again.
    y = m.ascontiguousarray(y.swapaxes(1, 2)).swapaxes(1, 2)
    return y, p if keep else m.empty(0, p.dtype)


@formula("scaled_dot_product_flash_attention_for_cpu_backward")
def _attention_backward(
    grad: Array,
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    noise: Array | None,
    kept: Array,
    causal: bool,
    scale: float,
    needs_mask: bool,
) -> tuple[Array, Array, Array, Array]:
    m = xp()
    p = kept if kept.size else _probabilities(q, k, mask, causal, scale)
    ds = m.matmul(grad, v.swapaxes(-1, -2))
    used = p
    if noise is not None:
        ds, used = ds * noise, p * noise
    dv = m.matmul(used.swapaxes(-1, -2), grad)
    ds -= (ds * p).sum(-1, keepdims=True, dtype=p.dtype)
    ds *= p
    dmask = ds.copy() if needs_mask else m.empty(0, p.dtype)
    ds *= q.dtype.type(scale)
    return m.matmul(ds, k), m.matmul(ds.swapaxes(-1, -2), q), dv, dmask


# ---- activations ---------------------------------------------------------------------------------


def _activation(original: Callable, text: str) -> None:
    """``original``, a function of ``ops._activation_arrays``, in one launch: y of x."""

    def apply(x: Array) -> Array:
        y = xp().empty_like(x)
        elementwise("x", "y", text, x, y)
        return y

    instead(original)(apply)


_HALF_NORMAL = "T(0.5) * (T(1) + erf(x * T(0.7071067811865476)))"
_activation(_activation_arrays.gelu, f"y = x * {_HALF_NORMAL}")
_activation(
    _activation_arrays.gelu_slope,
    f"y = {_HALF_NORMAL} + x * T(0.3989422804014327) * exp(T(-0.5) * x * x)",
)
_SIGMOID = "/ (T(1) + exp(-x))"
_activation(_activation_arrays.silu, f"y = x {_SIGMOID}")
_activation(_activation_arrays.silu_slope, f"y = T(1) {_SIGMOID}; y = y * (T(1) + x * (T(1) - y))")
