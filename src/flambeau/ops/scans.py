"""Running sums, products and extremes along one dimension."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .. import _dtypes
from .._shapes import wrap_dim
from ..core import return_types
from ..core.modes import hook
from ..core.op import define, unsupported
from ..core.value import Value
from ._reduce import SHORT, cast_down, real_values, reduction, spread_parts

if TYPE_CHECKING:
    from .._dtypes import dtype

# ---- cumsum, cumprod -----------------------------------------------------------------------


_WIDER = {np.dtype(np.float32): np.dtype(np.float64)}
_WIDER.update({t.numpy: np.dtype(np.float32) for t in _dtypes.REDUCED})
_PIECE = 1 << 13  # elements of a piece: it stays in the first-level cache in both types


def _accumulated(ufunc: np.ufunc, x: np.ndarray, dim: int, dt: np.dtype) -> np.ndarray:
    """``ufunc.accumulate`` in a wider type than ``dt``, rounded once per element.

    A running sum adds one term after the other, so it needs the wider type to stay accurate.
    """
    if x.dtype is not dt:
        x = cast_down(x, dt)
    work = _WIDER.get(dt, dt)
    if x.size < SHORT:
        r = x.astype(work)
        if x.ndim:
            ufunc.accumulate(r, dim, None, r)
        return r if work is dt else r.astype(dt)
    shape = x.shape
    n, inner = shape[dim], math.prod(shape[dim + 1 :])
    lines = np.ascontiguousarray(x).reshape(-1, n, inner)
    out = np.empty(lines.shape, dt)
    if inner == 1 and len(lines) == 1:
        _scan_line(ufunc, lines.reshape(n), out.reshape(n), work)
    elif inner == 1:
        step = max(1, _PIECE // n)

        def rows(start: int, stop: int) -> None:
            for i in range(start, stop, step):
                j = min(i + step, stop)
                piece = lines[i:j].astype(work)
                out[i:j] = ufunc.accumulate(piece, 1, None, piece)

        spread_parts(rows, len(lines), x.size)
    else:

        def columns(start: int, stop: int) -> None:
            running = lines[:, 0, start:stop].astype(work)
            out[:, 0, start:stop] = running
            for i in range(1, n):
                ufunc(running, lines[:, i, start:stop], running)
                out[:, i, start:stop] = running

        spread_parts(columns, inner, x.size)
    return out.reshape(shape)


def _scan_line(ufunc: np.ufunc, x: np.ndarray, out: np.ndarray, work: np.dtype) -> None:
    """One long line: a thread first reduces all that is before its piece, then scans it."""

    def part(start: int, stop: int) -> None:
        carry = ufunc.reduce(x[:start], dtype=work)
        for i in range(start, stop, _PIECE):
            j = min(i + _PIECE, stop)
            piece = x[i:j].astype(work)
            piece[0] = ufunc(piece[0], carry)
            ufunc.accumulate(piece, 0, None, piece)
            carry = piece[-1]
            out[i:j] = piece

    spread_parts(part, len(x), len(x))


def _cumsum(x: np.ndarray, dim: int, dt: np.dtype) -> np.ndarray:
    return _accumulated(np.add, x, dim, dt)


def _reverse_cumsum(x: np.ndarray, dim: int, dt: np.dtype) -> np.ndarray:
    if not x.ndim:
        return x.astype(dt)
    return np.ascontiguousarray(np.flip(_accumulated(np.add, np.flip(x, dim), dim, dt), dim))


cumsum_op = define(
    "cumsum", _cumsum, {"x": lambda g, dim, x_dtype: reverse_cumsum(g, dim, x_dtype)}
)
reverse_cumsum = define(
    "reverse_cumsum", _reverse_cumsum, {"x": lambda g, dim, x_dtype: cumsum_op(g, dim, x_dtype)}
)


def _result_type(x: np.ndarray, dtype: dtype | None) -> np.dtype:
    if dtype is not None:
        return dtype.numpy
    return np.dtype(np.int64) if x.dtype.kind in "biu" else x.dtype


@reduction
def cumsum(input: Value, dim: int, *, dtype: dtype | None = None) -> Value:
    """The sum of the elements up to and including each one, along ``dim``."""
    x = input._array
    return cumsum_op(input, wrap_dim(dim, x.ndim), _result_type(x, dtype))


def _cumprod(x: np.ndarray, dim: int, dt: np.dtype) -> np.ndarray:
    return _accumulated(np.multiply, x, dim, dt)


def _cumprod_vjp(g: Value, x: Value, y: Value, dim: int, x_dtype: np.dtype) -> Value:
    """``dx_i = sum_{k >= i} g_k y_k / x_i``, where that does not divide by zero.

    From the first zero of a line on, y is 0 and so is what comes from behind; at the zero itself
    the derivative is the product of all others, which the quotient cannot give: it is found by
    running the product again with a 1 in its place.
    """
    d = _dtypes.from_numpy(x_dtype)
    if not x.dim():
        return (g * 1).to(d)
    x = x.to(g.dtype)
    zero = x == 0
    if hook.active is None and not zero._array.any():
        w = reverse_cumsum((g * y.conj()), dim, g._array.dtype)
        return (w / x.conj()).to(d)
    seen = zero.cumsum(dim)
    before = seen == 0
    first = zero & (seen == 1)
    filled = x.masked_fill(zero, 1)
    # Up to the first zero, as above; terms from the zero on do not count.
    w = reverse_cumsum(g * y.conj(), dim, g._array.dtype) / filled.conj()
    at_first = x.masked_fill(first, 1).cumprod(dim)
    total = (g * at_first.conj()).masked_fill(before, 0).sum(dim, True)
    return (w.masked_fill(~before, 0) + total.masked_fill(~first, 0)).to(d)


cumprod_op = define("cumprod", _cumprod, {"x": _cumprod_vjp})


@reduction
def cumprod(input: Value, dim: int, *, dtype: dtype | None = None) -> Value:
    """The product of the elements up to and including each one, along ``dim``."""
    x = input._array
    return cumprod_op(input, wrap_dim(dim, x.ndim), _result_type(x, dtype))


# ---- cummax, cummin ------------------------------------------------------------------------


def _running_extreme(name: str, ufunc: np.ufunc) -> Callable[..., tuple[Value, Value]]:
    def kernel(v: np.ndarray, best: np.ndarray, index: np.ndarray) -> None:
        ufunc.accumulate(v, 1, None, best)
        # An element that is as good as all before it is the new place; once nan, always nan.
        new = v == best
        if v.dtype.kind == "f":
            new |= v != v
        np.multiply(new, np.arange(v.shape[1]), index)
        np.maximum.accumulate(index, 1, None, index)

    def forward(x: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
        if not x.size or not x.ndim:
            return x.copy(), np.zeros(x.shape, np.int64)
        v = real_values(x)
        lines = np.ascontiguousarray(np.moveaxis(v, dim, -1))
        best, index = np.empty(lines.shape, v.dtype), np.empty(lines.shape, np.int64)
        n = lines.shape[-1]
        rows = [a.reshape(-1, n) for a in (lines, best, index)]
        step = max(1, _PIECE // n)

        def part(start: int, stop: int) -> None:
            for i in range(start, stop, step):
                j = min(i + step, stop)
                kernel(*[a[i:j] for a in rows])

        spread_parts(part, len(rows[0]), x.size)
        best, index = np.moveaxis(best, -1, dim), np.moveaxis(index, -1, dim)
        return best.astype(x.dtype, order="C", copy=False), np.ascontiguousarray(index)

    return define(
        name,
        forward,
        {"x": lambda g, y, dim, x_shape: add_at(g[0], y[1], dim, x_shape)},
    )


def _add_at(grad: np.ndarray, index: np.ndarray, dim: int, shape: tuple[int, ...]) -> np.ndarray:
    """Zeros of ``shape`` with ``grad`` added at ``index`` along ``dim``, which may repeat."""
    full = np.zeros(shape or (1,), grad.dtype)
    places = list(np.indices(grad.shape or (1,), sparse=True))
    places[dim] = index.reshape(grad.shape or (1,))
    np.add.at(full, tuple(places), grad)
    return full.reshape(shape)


add_at = define(
    "scatter_add_along",
    _add_at,
    {"grad": lambda g, index, dim: g.gather(dim, index)},
)
cummax_op = _running_extreme("cummax", np.maximum)
cummin_op = _running_extreme("cummin", np.minimum)


@reduction
def cummax(input: Value, dim: int) -> tuple[Value, Value]:
    """``(values, indices)`` of the largest element up to each one, the last one among equals."""
    if input._array.dtype.kind == "c":
        raise unsupported("cummax", input.dtype)
    return return_types.cummax(cummax_op(input, wrap_dim(dim, input._array.ndim)))


@reduction
def cummin(input: Value, dim: int) -> tuple[Value, Value]:
    """``(values, indices)`` of the smallest element up to each one, the last one among equals."""
    if input._array.dtype.kind == "c":
        raise unsupported("cummin", input.dtype)
    return return_types.cummin(cummin_op(input, wrap_dim(dim, input._array.ndim)))


# ---- logcumsumexp --------------------------------------------------------------------------


def _log_add_exp(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``log(exp(a) + exp(b))`` of complex numbers, scaled by the larger real part."""
    swap = (a.real < b.real) | np.isnan(b.real)
    big, small = np.where(swap, b, a), np.where(swap, a, b)
    r = big + np.log1p(np.exp(small - big))
    return np.where(np.isneginf(small.real), big, r)


def _logcumsumexp(x: np.ndarray, dim: int) -> np.ndarray:
    if not x.size or not x.ndim:
        return x.copy()
    if x.dtype.kind != "c":
        return np.logaddexp.accumulate(x, dim, np.float64).astype(x.dtype, copy=False)
    r = np.moveaxis(x.astype(np.complex128), dim, 0)
    for i in range(1, len(r)):
        r[i] = _log_add_exp(r[i - 1], r[i])
    return np.moveaxis(r, 0, dim).astype(x.dtype)


def _logcumsumexp_vjp(g: Value, x: Value, y: Value, dim: int) -> Value:
    """``exp(x_i) sum_{k >= i} g_k exp(-y_k)``, the sums kept as logarithms."""
    if not x.dim():
        return g * 1
    if g._array.dtype.kind == "c":
        w = (g.conj().log() - y).flip(dim).logcumsumexp(dim).flip(dim) + x
        return w.exp().conj()
    # Not -inf: the second derivative would meet the difference of two of them.
    lowest = float(_dtypes.finfo(g.dtype).min)
    positive = g.log().masked_fill(g <= 0, lowest)
    negative = (-g).log().masked_fill(g >= 0, lowest)
    up = (positive - y).flip(dim).logcumsumexp(dim).flip(dim) + x
    down = (negative - y).flip(dim).logcumsumexp(dim).flip(dim) + x
    return up.exp() - down.exp()


logcumsumexp_op = define("logcumsumexp", _logcumsumexp, {"x": _logcumsumexp_vjp})


@reduction
def logcumsumexp(input: Value, dim: int) -> Value:
    """``log(cumsum(exp(input)))`` along ``dim``, without overflow."""
    if input._array.dtype.kind in "biu":
        raise unsupported("logcumsumexp_out", input.dtype)
    return logcumsumexp_op(input, wrap_dim(dim, input._array.ndim))


__all__ = ["cummax", "cummin", "cumprod", "cumsum", "logcumsumexp"]
