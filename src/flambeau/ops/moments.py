"""Variance and standard deviation, in one pass over memory.

Each cache-sized block gives its count n, mean m and sum of squared deviations s. Blocks merge by
s = s1 + s2 + (m1 - m2)^2 n1 n2 / (n1 + n2) (Chan, Golub and LeVeque, "Updating Formulae and a
Pairwise Algorithm for Computing Sample Variances", 1979): no square of a large mean is subtracted.
"""

from __future__ import annotations

import math
import warnings

import numpy as np

from .. import _dtypes
from ..core import threads
from ..core.op import define
from ..core.value import Value
from ._reduce import Dims, add, lines, reduced_dims, reduction, restored, spread_parts, total

_ROWS = 256  # terms of a block where columns are reduced
_NARROW = 16  # columns below which rows and columns are exchanged
_LINE = 1 << 13  # terms of a block where rows are reduced
_BLOCK = 1 << 15  # elements of a block: it stays in the second-level cache for its second pass

# ---- arrays --------------------------------------------------------------------------------


def _column_moments(a: np.ndarray, mean: np.ndarray, squares: np.ndarray) -> None:
    """Moments along the second dimension of a block that fits into the cache, in float64."""
    n = a.shape[1]
    rough = add(a, 1, None, None, True) / a.dtype.type(n)
    d = a - rough
    # What rounding has left out of the mean.
    rest = add(d, 1, None, None, True).astype(np.float64)
    np.multiply(d, d, d)
    np.add(rough, rest / n, mean)
    np.subtract(add(d, 1, None, None, True), rest * rest / n, squares)


def _row_moments(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sum of squared deviations of each row, of at most ``_LINE`` terms, in float64.

    Without a compiler the sums are dot products, which BLAS computes with vectors and, so short,
    in this thread.
    """
    routine = threads.routine("row_moments") if a.size >= threads.LARGE else None
    compiled = None if routine is None else routine(a)
    if compiled is not None:
        return compiled
    count, n = a.shape
    mean, squares = np.empty(count), np.empty(count)
    ones = np.ones(n, a.dtype)
    step = max(1, _BLOCK // n)

    def part(start: int, stop: int) -> None:
        for i in range(start, stop, step):
            j = min(i + step, stop)
            rough = np.vecdot(a[i:j], ones) / a.dtype.type(n)
            d = a[i:j] - rough[:, None]
            rest = np.vecdot(d, ones).astype(np.float64)
            np.add(rough, rest / n, mean[i:j])
            np.subtract(np.vecdot(d, d), rest * rest / n, squares[i:j])

    spread_parts(part, count, a.size)
    return mean, squares


def _merged(
    mean: np.ndarray, squares: np.ndarray, count: int, last: int
) -> tuple[np.ndarray, np.ndarray]:
    """Moments along the second dimension of blocks of ``count`` terms, ``last`` in the last one."""
    blocks = mean.shape[1]
    if blocks == 1:
        return mean, squares
    terms = np.full((blocks, 1), count, np.float64)
    terms[-1] = last
    whole = add(mean * terms, 1, None, None, True) / (count * (blocks - 1) + last)
    d = mean - whole
    return whole, add(squares, 1, None, None, True) + add(d * d * terms, 1, None, None, True)


def _line_moments(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Moments of a contiguous array (outer, terms, inner) along ``terms``, which stays as 1."""
    outer, terms, inner = a.shape
    if inner < _NARROW:
        rows = np.ascontiguousarray(a.swapaxes(1, 2)).reshape(outer * inner, terms)
        whole = terms - terms % _LINE
        parts = []
        if whole:
            parts.append(_row_moments(np.ascontiguousarray(rows[:, :whole]).reshape(-1, _LINE)))
        if whole < terms:
            parts.append(_row_moments(np.ascontiguousarray(rows[:, whole:])))
        mean, squares = [
            np.concatenate([p.reshape(outer * inner, -1, 1) for p in pair], 1)
            for pair in zip(*parts)
        ]
        merged = _merged(mean, squares, _LINE, terms - whole or _LINE)
        return tuple([r.reshape(outer, 1, inner) for r in merged])
    limit = terms if terms <= _ROWS * 2 else _ROWS
    blocks = -(-terms // limit)
    mean = np.empty((outer, blocks, inner))
    squares = np.empty((outer, blocks, inner))

    def part(start: int, stop: int) -> None:
        for i in range(start, stop):
            block, piece = slice(i, i + 1), a[:, i * limit : (i + 1) * limit]
            _column_moments(piece, mean[:, block], squares[:, block])

    def slabs(start: int, stop: int) -> None:
        for i in range(start, stop):
            _column_moments(a[i : i + 1], mean[i : i + 1], squares[i : i + 1])

    if blocks == 1:
        spread_parts(slabs, outer, a.size)
    else:
        spread_parts(part, blocks, a.size)
    return _merged(mean, squares, limit, terms - (blocks - 1) * limit)


def moments(a: np.ndarray, dims: tuple[int, ...], work: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Mean of ``a`` over ``dims`` and the sum of squared deviations from it; ``dims`` stay as 1."""
    if a.dtype != work:
        a = a.astype(work)
    count = math.prod([a.shape[d] for d in dims])
    if not a.size or not dims:
        mean = total(a, dims, True, work) / work.type(count)
        return mean, mean - mean if dims else np.zeros(a.shape, work)
    if a.size <= _BLOCK:
        mean = add(a, dims, None, None, True) / work.type(count)
        d = a - mean
        return mean, add(d * d, dims, None, None, True)
    a, groups, restore = lines(a, dims)
    mean = squares = None
    done = 1
    for outer, terms, inner in groups:
        if mean is None:
            mean, squares = _line_moments(a.reshape(outer, terms, inner))
        else:
            mean, squares = mean.reshape(outer, terms, inner), squares.reshape(outer, terms, inner)
            mean, squares = _merged(mean, squares, done, done)
        done *= terms
    return restore(mean).astype(work), restore(squares).astype(work)


def _variance(
    a: np.ndarray, dims: tuple[int, ...], correction: float
) -> tuple[np.ndarray, np.ndarray]:
    """Variance and mean; ``dims`` stay with size 1."""
    if a.dtype.kind == "c":
        v, m = _variance(a.real, dims, correction)
        w, n = _variance(a.imag, dims, correction)
        return v + w, (m + 1j * n).astype(a.dtype)
    work = np.dtype(np.float32) if a.dtype.itemsize == 2 else a.dtype
    mean, squares = moments(a, dims, work)
    freedom = max(0.0, math.prod([a.shape[d] for d in dims]) - correction)
    return np.asarray(np.true_divide(squares, work.type(freedom))), mean


def _shaped(
    r: np.ndarray, a: np.ndarray, dims: tuple[int, ...], keepdim: bool, dt: np.dtype
) -> np.ndarray:
    if not keepdim:
        r = r.reshape([n for d, n in enumerate(a.shape) if d not in dims])
    return r.astype(dt, copy=False)


def _real(dt: np.dtype) -> np.dtype:
    return _dtypes.from_numpy(dt).to_real().numpy


_PLAIN = frozenset((np.dtype(np.float32), np.dtype(np.float64)))


def _small_variance(
    a: np.ndarray, dims: tuple[int, ...], correction: float, keepdim: bool
) -> np.ndarray:
    """The variance of an array that fits into the cache."""
    mean = add(a, dims, None, None, True)
    count = a.size // mean.size
    d = a - mean / a.dtype.type(count)
    r = np.asarray(add(np.multiply(d, d, d), dims, None, None, keepdim))
    return np.divide(r, max(0.0, count - correction), r)


def _is_small(a: np.ndarray, dims: tuple[int, ...]) -> bool:
    return a.dtype in _PLAIN and 0 < a.size <= _BLOCK and dims != ()


def _var(a: np.ndarray, dims: tuple[int, ...], correction: float, keepdim: bool) -> np.ndarray:
    if _is_small(a, dims):
        return _small_variance(a, dims, correction, keepdim)
    return _shaped(_variance(a, dims, correction)[0], a, dims, keepdim, _real(a.dtype))


def _std(a: np.ndarray, dims: tuple[int, ...], correction: float, keepdim: bool) -> np.ndarray:
    if _is_small(a, dims):
        return np.sqrt(_small_variance(a, dims, correction, keepdim))
    return _shaped(np.sqrt(_variance(a, dims, correction)[0]), a, dims, keepdim, _real(a.dtype))


def _var_mean(
    a: np.ndarray, dims: tuple[int, ...], correction: float, keepdim: bool
) -> tuple[np.ndarray, np.ndarray]:
    v, m = _variance(a, dims, correction)
    return _shaped(v, a, dims, keepdim, _real(a.dtype)), _shaped(m, a, dims, keepdim, a.dtype)


def _std_mean(
    a: np.ndarray, dims: tuple[int, ...], correction: float, keepdim: bool
) -> tuple[np.ndarray, np.ndarray]:
    v, m = _variance(a, dims, correction)
    v = np.sqrt(v)
    return _shaped(v, a, dims, keepdim, _real(a.dtype)), _shaped(m, a, dims, keepdim, a.dtype)


# ---- gradients -----------------------------------------------------------------------------


def _var_vjp(g: Value, a: Value, dims: tuple[int, ...], correction: float, keepdim: bool) -> Value:
    """``2 g (x - mean) / (n - correction)``."""
    shape = a._array.shape
    scale = 2.0 / freedom if (freedom := _count(shape, dims) - correction) > 0 else math.nan
    if freedom == 0:
        scale = math.inf
    g = restored(g, dims, keepdim, shape, g._array.dtype)
    return (g * scale) * (a - a.mean(dims, True))


def _std_vjp(
    g: Value, a: Value, y: Value, dims: tuple[int, ...], correction: float, keepdim: bool
) -> Value:
    return _var_vjp((g / (y * 2)).masked_fill(y == 0, 0), a, dims, correction, keepdim)


def _count(shape: tuple[int, ...], dims: tuple[int, ...]) -> int:
    return math.prod([shape[d] for d in dims])


def _mean_part(g: Value, a: Value, dims: tuple[int, ...], keepdim: bool) -> Value:
    shape = a._array.shape
    return restored(g / _count(shape, dims), dims, keepdim, shape, a._array.dtype)


def _var_mean_vjp(
    g: list, a: Value, dims: tuple[int, ...], correction: float, keepdim: bool
) -> Value:
    parts = []
    if g[0] is not None:
        parts.append(_var_vjp(g[0], a, dims, correction, keepdim))
    if g[1] is not None:
        parts.append(_mean_part(g[1], a, dims, keepdim))
    return parts[0] + parts[1] if len(parts) == 2 else parts[0]


def _std_mean_vjp(
    g: list, a: Value, y: tuple, dims: tuple[int, ...], correction: float, keepdim: bool
) -> Value:
    parts = []
    if g[0] is not None:
        parts.append(_std_vjp(g[0], a, y[0], dims, correction, keepdim))
    if g[1] is not None:
        parts.append(_mean_part(g[1], a, dims, keepdim))
    return parts[0] + parts[1] if len(parts) == 2 else parts[0]


var_op = define("var", _var, {"a": _var_vjp})
std_op = define("std", _std, {"a": _std_vjp})
var_mean_op = define("var_mean", _var_mean, {"a": _var_mean_vjp})
std_mean_op = define("std_mean", _std_mean, {"a": _std_mean_vjp})

# ---- public functions ----------------------------------------------------------------------


def _arguments(
    input: Value,
    dim: Dims | bool,
    unbiased: bool | None,
    keepdim: bool,
    correction: float | None,
    name: str,
) -> tuple:
    """What the records take, from PyTorch's three forms: ``(unbiased)``, ``(dim, unbiased,
    keepdim)`` and ``(dim, correction=, keepdim=)``."""
    if dim is True or dim is False:
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise TypeError(
            f"{name}() received an invalid combination of arguments - "
            "unbiased and correction say the same thing; give one"
        )
    if correction is None:
        correction = 1 if unbiased is None or unbiased else 0
    a = input._array
    if a.dtype.kind in "biu":
        raise RuntimeError(
            f"{name} only support floating point and complex dtypes\n"
            f"  the input is {input.dtype}; convert it with .float()"
        )
    dims = reduced_dims(dim, a.ndim)
    if _count(a.shape, dims) - correction <= 0 and a.size // max(1, _count(a.shape, dims)):
        warnings.warn(
            f"{name.split()[0]}(): degrees of freedom is <= 0. Correction should be strictly less "
            "than the reduction factor (input numel divided by output numel).",
            UserWarning,
            stacklevel=5,
        )
    return input, dims, correction, keepdim


@reduction
def var(
    input: Value,
    dim: Dims | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Value:
    """``sum((x - mean)^2) / max(0, n - correction)`` over ``dim``; ``correction`` is 1 by default,
    0 with ``unbiased=False``."""
    return var_op(*_arguments(input, dim, unbiased, keepdim, correction, "std and var"))


@reduction
def std(
    input: Value,
    dim: Dims | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Value:
    """The square root of ``var``."""
    return std_op(*_arguments(input, dim, unbiased, keepdim, correction, "std and var"))


@reduction
def var_mean(
    input: Value,
    dim: Dims | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Value, Value]:
    """``(var, mean)`` over ``dim``."""
    return var_mean_op(*_arguments(input, dim, unbiased, keepdim, correction, "var_mean"))


@reduction
def std_mean(
    input: Value,
    dim: Dims | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Value, Value]:
    """``(std, mean)`` over ``dim``."""
    return std_mean_op(*_arguments(input, dim, unbiased, keepdim, correction, "std_mean"))


__all__ = ["std", "std_mean", "var", "var_mean"]
