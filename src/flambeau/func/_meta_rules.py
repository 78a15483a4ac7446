"""What operations give on meta whose rules for a batch do not tell it: shapes and dtypes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.value import Value, wrap

own: dict[str, Callable] = {}  # by the name of the record: (*operands) -> a result, or several


def _rule(names: str) -> Callable[[Callable], Callable]:
    def enter(function: Callable) -> Callable:
        for name in names.split():
            own[name] = function
        return function

    return enter


def of(shape: tuple[int, ...], dtype: np.dtype) -> Value:
    """A result of this shape and dtype, for each of no examples."""
    return wrap(np.empty((0, *shape), dtype))


def _like(x: Value, shape: tuple[int, ...] | None = None) -> Value:
    return of(x._array.shape if shape is None else tuple(shape), x._array.dtype)


def _wide(x: Value) -> np.dtype:
    """The dtype in which statistics of ``x`` are kept."""
    return np.dtype(np.float32) if x._array.dtype.itemsize == 2 else x._array.dtype


@_rule(
    """index_put index_add index_fill index_copy index_reduce put masked_scatter scatter scatter_add
    scatter_reduce diagonal_scatter select_scatter slice_scatter as_strided_scatter _prelu_kernel
    bernoulli poisson binomial _standard_gamma _standard_gamma_grad rrelu_noise _dirichlet"""
)
def _as_first(x: Value, *rest: Any) -> Value:
    return _like(x)


@_rule("alpha_dropout_noise")
def _two(x: Value, *rest: Any) -> tuple[Value, Value]:
    return _like(x), _like(x)


@_rule("embedding")
def _embedding(weight: Value, index: Value, *rest: Any) -> Value:
    return _like(weight, index._array.shape + weight._array.shape[1:])


@_rule("take gather")
def _chosen(x: Value, *rest: Any) -> Value:
    index = rest[-1] if isinstance(rest[-1], Value) else rest[0]
    return _like(x, index._array.shape)


@_rule("index_select")
def _index_select(x: Value, index: Value, dim: int) -> Value:
    shape = list(x._array.shape)
    if shape:
        shape[dim] = index._array.size
    return _like(x, tuple(shape))


@_rule("searchsorted")
def _searched(bounds: Value, values: Value, right: bool, sorter: Any, int32: bool) -> Value:
    return of(values._array.shape, np.dtype(np.int32 if int32 else np.int64))


@_rule("isin")
def _isin(elements: Value, *rest: Any) -> Value:
    shape = elements._array.shape if isinstance(elements, Value) else ()
    return of(shape, np.dtype(np.bool_))


@_rule("multinomial")
def _multinomial(x: Value, count: int, *rest: Any) -> Value:
    return of((*x._array.shape[:-1], count), np.dtype(np.int64))


@_rule("median_all nanmedian_all")
def _number(x: Value, *rest: Any) -> Value:
    return _like(x, ())


@_rule("as_strided_backward")
def _unstrided(x: Value, geometry: tuple, *rest: Any) -> Value:
    return _like(x, geometry[0])


@_rule("as_strided_scatter_backward unfold_backward")
def _given_shape(x: Value, shape: Any, *rest: Any) -> Value:
    return _like(x, shape[0] if shape and isinstance(shape[0], tuple) else shape)


# ---- layers --------------------------------------------------------------------------------------


@_rule("convolution_weight_gradient")
def _weight_gradient(grad: Value, x: Value, kernel: tuple, *rest: Any) -> Value:
    return _like(grad, (grad._array.shape[1], x._array.shape[1] // rest[-1], *kernel))


@_rule("native_batch_norm")
def _batch_norm(x: Value, *rest: Any) -> tuple[Value, ...]:
    statistic = of(x._array.shape[1:2], _wide(x))
    return _like(x), statistic, statistic, statistic


@_rule("native_batch_norm_backward")
def _batch_norm_backward(grad: Value, x: Value, mean: Value, *rest: Any) -> tuple[Value, ...]:
    weight = x if rest[1] is None else rest[1]
    into = _like(weight, x._array.shape[1:2])
    return _like(x), into, into


@_rule("native_group_norm_backward")
def _group_norm_backward(
    grad: Value, x: Value, mean: Value, rstd: Value, weight: Value | None
) -> tuple[Value, ...]:
    into = _like(x if weight is None else weight, x._array.shape[1:2])
    return _like(x), into, into


def _recurrent(states: int, kept: tuple[int, ...]) -> Callable[..., tuple[Value, ...]]:
    """``kept``: the widths of what is kept for the way back, in units of the hidden size."""

    def rule(x: Value, *rest: Any) -> tuple[Value, ...]:
        first, w_hh = rest[:states], rest[states + 1]
        rows, hidden = x._array.shape[0], first[-1]._array.shape[1]
        out = _like(x, (rows, w_hh._array.shape[1]))
        return out, *map(_like, first), *[of((rows, k * hidden), _wide(x)) for k in kept]

    return rule


own["lstm"] = _recurrent(2, (4, 1, 1))
own["gru"] = _recurrent(1, (3, 1))
own["rnn"] = _recurrent(1, ())


def _recurrent_backward(states: int, saved: int) -> Callable[..., tuple[Value, ...]]:
    def rule(*args: Any) -> tuple[Value, ...]:
        x, *rest = args[1 + states + 1 + saved :]
        first, (w_ih, w_hh, b_ih) = rest[:states], rest[states : states + 3]
        found = [x, *first, w_ih, w_hh] + ([] if b_ih is None else [b_ih, b_ih])
        if states == 2 and rest[states + 3] is not None:
            found.append(rest[states + 3])
        return tuple(map(_like, found))

    return rule


own["lstm_backward"] = _recurrent_backward(2, 3)
own["gru_backward"] = _recurrent_backward(1, 2)
own["rnn_backward"] = _recurrent_backward(1, 0)


@_rule("scaled_dot_product_flash_attention_for_cpu")
def _attention(q: Value, k: Value, v: Value, *rest: Any) -> tuple[Value, Value]:
    shape = q._array.shape[:-1]
    kept = of((*shape, k._array.shape[-2]), _wide(q))  # the probabilities, which backward keeps
    return _like(q, (*shape, v._array.shape[-1])), kept


@_rule("scaled_dot_product_flash_attention_for_cpu_backward")
def _attention_backward(grad: Value, q: Value, k: Value, v: Value, *rest: Any) -> tuple[Value, ...]:
    mask = rest[0] if rest[0] is not None and rest[-1] else None
    return _like(q), _like(k), _like(v), _like(q, (0,)) if mask is None else _like(mask)


@_rule("embedding_dense_backward")
def _embedding_backward(grad: Value, index: Value, rows: int, *rest: Any) -> Value:
    return _like(grad, (rows, *grad._array.shape[index._array.ndim :]))


@_rule("max_pool_gather")
def _at_maxima(x: Value, indices: Value, *rest: Any) -> Value:
    return _like(x, indices._array.shape)


@_rule("bag_layout")
def _bag_layout(input: Value, offsets: Value) -> tuple[Value, Value]:
    bags = of(offsets._array.shape, np.dtype(np.int64))
    return bags, bags


@_rule("embedding_bag")
def _bags(weight: Value, scales: Any, index: Value, starts: Value, *rest: Any) -> Value:
    return _like(weight, (starts._array.size, weight._array.shape[1]))


@_rule("bag_items")
def _bag_items(
    y: Value, weight: Value, index: Value, starts: Value, sizes: Value, mode: str
) -> tuple[Value, Value, Value]:
    count, width = index._array.size, weight._array.shape[1]
    items = of((count,), np.dtype(np.int64))
    return items, items, of((count, width) if mode == "max" else (0,), np.dtype(np.bool_))


@_rule("col2im")
def _col2im(columns: Value, sizes: tuple, kernel: tuple, *rest: Any) -> Value:
    n, channels = columns._array.shape[:2]
    return _like(columns, (n, channels // math.prod(kernel), *sizes))


@_rule("max_unpool2d max_unpool3d")
def _unpooled(x: Value, indices: Value, sizes: tuple) -> Value:
    return _like(x, (*x._array.shape[: x._array.ndim - len(sizes)], *sizes))


@_rule("fractional_max_pool2d fractional_max_pool3d")
def _fractional(x: Value, kernel: tuple, outs: tuple, *rest: Any) -> tuple[Value, Value]:
    shape = (*x._array.shape[:2], *outs)
    return _like(x, shape), of(shape, np.dtype(np.int64))


@_rule("grid_sampler_2d grid_sampler_3d")
def _grid_sample(x: Value, grid: Value, *rest: Any) -> Value:
    return _like(x, (*x._array.shape[:2], *grid._array.shape[1:-1]))


@_rule("grid_sampler_backward")
def _grid_backward(grad: Value, x: Value, grid: Value, *rest: Any) -> tuple[Value, Value]:
    return _like(x), _like(grid)


@_rule("linalg_pinv")
def _pinv(a: Value, *rest: Any) -> Value:
    *lead, m, n = a._array.shape
    return _like(a, (*lead, n, m))
