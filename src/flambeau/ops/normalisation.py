"""Normalisation: layer, root mean square, group, instance and batch norm, fused.

Each makes xhat = (x - mean) * rstd over a group of elements, then xhat * weight + bias. Here a
group is a row of a matrix (layer, group and instance norm) or a channel (batch norm). Rows are
worked on in blocks that stay in the cache, on all threads; sums over rows and columns are products
with ones, which BLAS adds in blocks. With gw = g * weight, the gradients are

    dx = rstd * (gw - mean(gw) - xhat * mean(gw * xhat))   dweight = sum(g * xhat)   dbias = sum(g)

Source: Ba et al. 2016, https://arxiv.org/abs/1607.06450; Ioffe and Szegedy 2015,
https://arxiv.org/abs/1502.03167
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from .._dtypes import finfo, from_numpy
from .._errors import type_name
from ..core import threads
from ..core.modes import state
from ..core.op import define, unsupported
from ..core.value import Value

ndarray = np.ndarray
_BLOCK = 1 << 15  # elements of a block of rows: input, result and scratch stay in the cache
_KERNEL = 1 << 14  # elements from which a compiled kernel is asked for
_SPREAD = threads.LARGE // 2  # elements from which threads pay: each is worked on many times


@lru_cache(maxsize=64)
def _means(n: int, dtype: np.dtype) -> ndarray:
    """1 / n, n times: a product with it is the mean."""
    return np.full(n, 1 / n, dtype)


def wide(a: ndarray | None) -> ndarray | None:
    """16-bit floats as float32."""
    return a.astype(np.float32) if a is not None and a.dtype.itemsize == 2 else a


def _by_rows(part: Callable[[int, int], None], rows: int, columns: int) -> None:
    """``part(start, stop)`` over blocks of rows, on all threads if there are many elements."""
    step = max(1, _BLOCK // max(columns, 1))

    def blocks(start: int, stop: int) -> None:
        for i in range(start, stop, step):
            part(i, min(i + step, stop))

    if rows * columns < _SPREAD:
        blocks(0, rows)
    else:
        threads.run_parts(blocks, rows, step)


def _row_means(a: ndarray, means: ndarray) -> ndarray:
    """The mean of each row as a column."""
    return a.dot(means)[:, None]


def _compiled(name: str, size: int, *args: object) -> tuple | None:
    """What the compiler's routine ``name`` makes of ``args``; None where NumPy does the work."""
    if size < _KERNEL:
        return None
    routine = threads.routine(name)
    return None if routine is None else routine(*args)


# ---- rows: layer norm, group norm, instance norm ----------------------------------------------


def rows_forward(
    x: ndarray, weight: ndarray | None, bias: ndarray | None, eps: float, centred: bool
) -> tuple[ndarray, ndarray, ndarray]:
    """(result, mean, rstd) of a matrix of rows; weight and bias belong to columns."""
    rows, n = x.shape
    compiled = _compiled("norm_rows", x.size, x, weight, bias, eps, centred)
    if compiled is not None:
        return compiled
    y = np.empty(x.shape, x.dtype)
    mean = (np.empty if centred else np.zeros)((rows, 1), x.dtype)
    rstd = np.empty((rows, 1), x.dtype)
    means = _means(n, x.dtype)

    def part(i: int, j: int) -> None:
        a, out = x[i:j], y[i:j]
        if centred:
            mean[i:j] = _row_means(a, means)
            a = np.subtract(a, mean[i:j], out)
        r = np.vecdot(a, a)[:, None]
        r /= n
        r += eps
        np.sqrt(r, r)
        np.reciprocal(r, rstd[i:j])
        np.multiply(a, rstd[i:j], out)
        if weight is not None:
            np.multiply(out, weight, out)
        if bias is not None:
            np.add(out, bias, out)

    _by_rows(part, rows, n)
    return y, mean, rstd


def rows_backward(
    g: ndarray,
    x: ndarray,
    mean: ndarray,
    rstd: ndarray,
    weight: ndarray | None,
    centred: bool,
    needs: tuple[bool, bool, bool],
) -> tuple[ndarray | None, ndarray | None, ndarray | None]:
    """Gradients of x, weight and bias, each only if needed."""
    rows, n = x.shape
    given = (g, x, mean, rstd, weight, centred, needs)
    compiled = _compiled("norm_rows_backward", x.size, *given)
    if compiled is not None:
        return compiled
    dx = np.empty(x.shape, x.dtype) if needs[0] else None
    means = _means(n, x.dtype)
    step = max(1, _BLOCK // max(n, 1))
    count = -(-rows // step)
    dw = np.empty((count, n), x.dtype) if needs[1] else None
    db = np.empty((count, n), x.dtype) if needs[2] else None

    def part(i: int, j: int) -> None:
        grad = g[i:j]
        xhat = np.subtract(x[i:j], mean[i:j]) if centred else x[i:j]
        xhat = xhat * rstd[i:j]
        ones = np.ones(j - i, x.dtype)
        if db is not None:
            np.dot(ones, grad, db[i // step])
        if dw is not None:
            product = grad * xhat
            np.dot(ones, product, dw[i // step])
        if dx is None:
            return
        out = dx[i:j]
        gw = grad if weight is None else np.multiply(grad, weight, out)
        along = np.vecdot(gw, xhat)[:, None]
        along /= n
        np.multiply(xhat, along, xhat)
        if centred:
            xhat += _row_means(gw, means)
        np.subtract(gw, xhat, out)
        np.multiply(out, rstd[i:j], out)

    _by_rows(part, rows, n)
    return (
        dx,
        None if dw is None else np.add.reduce(dw, 0),
        None if db is None else np.add.reduce(db, 0),
    )


def _rows(x: ndarray, n: int) -> ndarray:
    return np.ascontiguousarray(x).reshape(-1 if n else x.size, n)


def _layer_norm_forward(
    x: ndarray, weight: ndarray | None, bias: ndarray | None, dims: int, eps: float, centred: bool
) -> tuple[ndarray, ndarray, ndarray]:
    shape = x.shape
    n = math.prod(shape[len(shape) - dims :])
    lead = shape[: len(shape) - dims] + (1,) * dims
    if not x.size:
        empty = np.zeros(lead, np.float32 if x.dtype.itemsize == 2 else x.dtype)
        return np.empty(shape, x.dtype), empty, empty
    y, mean, rstd = rows_forward(
        _rows(wide(x), n),
        None if weight is None else wide(weight).reshape(n),
        None if bias is None else wide(bias).reshape(n),
        eps,
        centred,
    )
    y = y.astype(x.dtype, copy=False).reshape(shape)
    return y, mean.reshape(lead), rstd.reshape(lead)


def _layer_norm_backward(
    grad: ndarray,
    x: ndarray,
    mean: ndarray,
    rstd: ndarray,
    weight: ndarray | None,
    dims: int,
    centred: bool,
    needs: tuple[bool, ...],
) -> tuple[ndarray, ...]:
    shape = x.shape
    inner = shape[len(shape) - dims :]
    n = math.prod(inner)
    if not x.size:
        zero = np.zeros(inner, x.dtype)
        return np.zeros(shape, x.dtype), zero, zero
    dx, dw, db = rows_backward(
        _rows(wide(grad), n),
        _rows(wide(x), n),
        mean.reshape(-1, 1),
        rstd.reshape(-1, 1),
        None if weight is None else wide(weight).reshape(n),
        centred,
        needs,
    )
    none = np.empty(0, x.dtype)
    return (
        none if dx is None else dx.astype(x.dtype, copy=False).reshape(shape),
        none if dw is None else dw.astype(x.dtype, copy=False).reshape(inner),
        none if db is None else db.astype(x.dtype, copy=False).reshape(inner),
    )


_layer_norm_grad = define("native_layer_norm_backward", _layer_norm_backward)


def _layer_norm_vjp(
    g: list,
    y: tuple,
    x: Value,
    weight: Value | None,
    bias: Value | None,
    dims: int,
    eps: float,
    centred: bool,
    needs: tuple,
) -> list:
    given = [v is not None for v in (weight, bias)]
    flags = iter(needs[1:])
    needed = (needs[0], *[next(flags) if has else False for has in given])
    if state.grad:
        results = _layer_norm_composed(g[0], x, weight, dims, eps, centred)
    else:
        results = _layer_norm_grad(g[0], x, y[1], y[2], weight, dims, centred, needed)
    present = (True, *given)
    return [
        r if need else None for r, need, has in zip(results, needed, present, strict=True) if has
    ]


def _layer_norm_composed(
    g: Value, x: Value, weight: Value | None, dims: int, eps: float, centred: bool
) -> tuple[Value, Value, Value]:
    """The same gradients in differentiable operations."""
    over = tuple(range(-dims, 0))
    xc = x - x.mean(over, True) if centred else x
    rstd = ((xc * xc).mean(over, True) + eps).rsqrt()
    xhat = xc * rstd
    gw = g if weight is None else g * weight
    dx = gw - xhat * (gw * xhat).mean(over, True)
    if centred:
        dx = dx - gw.mean(over, True)
    inner = x.shape[x.dim() - dims :]
    return dx * rstd, (g * xhat).sum_to_size(inner), g.sum_to_size(inner)


_layer_norm = define("native_layer_norm", _layer_norm_forward, _layer_norm_vjp, differentiable=(0,))


def _check_norm(
    name: str,
    input: Value,
    normalized_shape: Sequence[int],
    weight: Value | None,
    bias: Value | None = None,
) -> int:
    """The number of dimensions normalised over; RuntimeError where shapes or dtypes differ."""
    if not isinstance(input, Value):
        raise TypeError(
            f"{name}(): argument 'input' (position 1) must be Tensor, not {type_name(input)}"
        )
    try:
        wanted = tuple(normalized_shape)
    except TypeError:
        raise TypeError(
            f"{name}(): argument 'normalized_shape' (position 2) must be tuple of ints, not "
            f"{type_name(normalized_shape)}"
        ) from None
    if not wanted:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least "
            "one element, but got normalized_shape = []"
        )
    for value, what in ((weight, "weight"), (bias, "bias")):
        if value is not None and value._array.shape != wanted:
            raise RuntimeError(
                f"Expected {what} to be of same shape as normalized_shape, but got {what} of "
                f"shape {list(value._array.shape)} and normalized_shape = {list(wanted)}"
            )
    x = input._array
    if x.shape[x.ndim - len(wanted) :] != wanted or x.ndim < len(wanted):
        tail = ", ".join(["*", *map(str, wanted)])
        raise RuntimeError(
            f"Given normalized_shape={list(wanted)}, expected input with shape [{tail}], but got "
            f"input of size{list(x.shape)}\n  {name} works over the last {len(wanted)} "
            "dimension(s), which must be normalized_shape"
        )
    d = from_numpy(x.dtype)
    if not d.is_floating_point and not (d.is_complex and name == "rms_norm"):
        raise unsupported("LayerNormKernelImpl", d)
    for value in (weight, bias):
        if value is not None and value._array.dtype != x.dtype and name == "layer_norm":
            if value._array.dtype == np.float32 and x.dtype.itemsize == 2:
                continue
            other = from_numpy(value._array.dtype)
            raise RuntimeError(
                f"expected scalar type {d.legacy_name} but found {other.legacy_name}\n"
                f"  {name}: input is {d.name}, its weight or bias {other.name}; convert one"
            )
    return len(wanted)


def layer_norm(
    input: Value,
    normalized_shape: Sequence[int],
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
) -> Value:
    """``(x - mean) / sqrt(var + eps) * weight + bias`` over the last dimensions, whose shape is
    ``normalized_shape``; var is the mean square, not the unbiased estimate."""
    dims = _check_norm("layer_norm", input, normalized_shape, weight, bias)
    return _layer_norm(input, weight, bias, dims, eps, True)[0]


def rms_norm(
    input: Value,
    normalized_shape: Sequence[int],
    weight: Value | None = None,
    eps: float | None = None,
) -> Value:
    """``x / sqrt(mean(x^2) + eps) * weight`` over the last dimensions.

    ``eps`` None: the smallest number that changes 1 in the dtype of the computation.
    Source: Zhang and Sennrich 2019, https://arxiv.org/abs/1910.07467
    """
    dims = _check_norm("rms_norm", input, normalized_shape, weight)
    d = input.dtype
    if eps is None:
        eps = finfo(from_numpy(wide(input._array[:0]).dtype) if input.dim() else d).eps
    if d.is_complex or (weight is not None and weight.dtype is not d):
        over = tuple(range(-dims, 0))
        y = input * ((input * input).mean(over, True) + eps).rsqrt()
        return y if weight is None else y * weight
    return _layer_norm(input, weight, None, dims, eps, False)[0]
