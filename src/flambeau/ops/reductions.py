"""Reductions: sums, means, products and what is built on them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .. import _dtypes
from ..core.op import define
from ..core.value import Value
from ._reduce import add, kept_shape, reduced_dims, reduction, restored, sum_op, total

if TYPE_CHECKING:
    from .._dtypes import dtype
    from ._reduce import Dims

# ---- sum -----------------------------------------------------------------------------------


def _sum_all(a: np.ndarray) -> np.ndarray:
    return total(a, tuple(range(a.ndim)), False, a.dtype) if a.size > 8192 else add(a, None)


def _sum_all_vjp(g: Value, a_shape: tuple[int, ...], a_dtype: np.dtype) -> Value:
    return restored(g, (), False, a_shape, a_dtype)


sum_all = define("sum_all", _sum_all, {"a": _sum_all_vjp})
sum_all.op.grad_name = "SumBackward0"
_PLAIN = frozenset((np.dtype(np.float32), np.dtype(np.float64)))


@reduction
def sum(
    input: Value, dim: Dims = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Value:
    """The sum of all elements, or over the dimensions ``dim``.

    Integers and bools add up as int64 unless ``dtype`` says otherwise; float16 and bfloat16 are
    added in float32 and rounded once.
    """
    a = input._array
    if dim is None and not keepdim and dtype is None and a.dtype in _PLAIN:
        return sum_all(input)
    if dtype is not None:
        dt = dtype.numpy
    else:
        dt = a.dtype if a.dtype.kind not in "biu" else np.dtype(np.int64)
    return sum_op(input, reduced_dims(dim, a.ndim), keepdim, dt)


def _to_size(a: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    lead = a.ndim - len(shape)
    dims = tuple([i for i, n in enumerate(a.shape) if i < lead or shape[i - lead] == 1 != n])
    return total(a, dims, False, a.dtype).reshape(shape)


sum_to_size_op = define("sum_to_size", _to_size, {"a": lambda g, a_shape: g.expand(a_shape)})
sum_to_size_op.op.grad_name = "SumBackward1"


def sum_to_size(self: Value, *size: int) -> Value:
    """The sum over the dimensions in which ``size`` is 1 or missing: what undoes ``expand``."""
    shape = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size
    own = self._array.shape
    if own == shape:
        return self
    lead = len(own) - len(shape)
    if lead < 0 or any(n != m and m != 1 for n, m in zip(own[lead:], shape)):
        raise RuntimeError(
            f"size {{{list(shape)}}} is not expandable to size {{{list(own)}}}.\n"
            "  sum_to_size undoes a broadcast: sizes aligned at the right must be equal or 1"
        )
    return sum_to_size_op(self, shape)


# ---- mean ----------------------------------------------------------------------------------


def _mean(a: np.ndarray, dims: tuple[int, ...], keepdim: bool, dt: np.dtype) -> np.ndarray:
    n = math.prod([a.shape[d] for d in dims])
    work = np.dtype(np.float32) if dt.itemsize == 2 else dt
    r = total(a, dims, keepdim, work)
    r = np.true_divide(r, n, dtype=work)
    return r if work is dt else np.asarray(r).astype(dt)


def _mean_vjp(
    g: Value, dims: tuple[int, ...], keepdim: bool, a_shape: tuple[int, ...], a_dtype: np.dtype
) -> Value:
    n = math.prod([a_shape[d] for d in dims])
    return restored(g / n if n else g, dims, keepdim, a_shape, a_dtype)


def _mean_all(a: np.ndarray) -> np.ndarray:
    return _sum_all(a) / a.dtype.type(a.size)


def _mean_all_vjp(g: Value, a_shape: tuple[int, ...], a_dtype: np.dtype) -> Value:
    return restored(g / (math.prod(a_shape) or 1), (), False, a_shape, a_dtype)


mean_op = define("mean", _mean, {"a": _mean_vjp})
mean_op.op.grad_name = "MeanBackward1"
mean_all = define("mean_all", _mean_all, {"a": _mean_all_vjp})
mean_all.op.grad_name = "MeanBackward0"


@reduction
def mean(
    input: Value, dim: Dims = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Value:
    """The mean of all elements, or over the dimensions ``dim``; nan for no elements.

    RuntimeError for integers and bools without ``dtype``.
    """
    a = input._array
    if dim is None and not keepdim and dtype is None and a.dtype in _PLAIN:
        return mean_all(input)
    d = input.dtype if dtype is None else dtype
    if d.category < _dtypes.FLOATING:
        which = "Input" if dtype is None else "Optional"
        raise RuntimeError(
            f"mean(): could not infer output dtype. {which} dtype must be either a floating point "
            f"or complex dtype. Got: {d.legacy_name}\n"
            "  give the result's: .mean(dtype=torch.float32), or convert: .float().mean()"
        )
    return mean_op(input, reduced_dims(dim, a.ndim), keepdim, d.numpy)


# ---- logsumexp -----------------------------------------------------------------------------


def _logsumexp(a: np.ndarray, dims: tuple[int, ...], keepdim: bool) -> np.ndarray:
    x = a.astype(np.float32) if a.dtype.itemsize == 2 else a
    top = np.maximum.reduce(x.real, dims, keepdims=True, initial=-np.inf)
    top[~np.isfinite(top)] = 0
    r = np.log(total(np.exp(x - top), dims, True, x.dtype)) + top
    return (
        r if keepdim else r.reshape([n for i, n in enumerate(r.shape) if i not in dims])
    ).astype(a.dtype, copy=False)


def _logsumexp_vjp(g: Value, a: Value, y: Value, dims: tuple[int, ...], keepdim: bool) -> Value:
    shape = kept_shape(a._array.shape, dims)
    y = y.reshape(shape)
    infinite = np.isinf(y._array)
    if infinite.any():
        y = y.masked_fill(type(y)(infinite) if False else y.isinf() & (y < 0), 0.0)
    return g.reshape(shape) * (a - y).exp().conj()


logsumexp_op = define("logsumexp", _logsumexp, {"a": _logsumexp_vjp})


@reduction
def logsumexp(input: Value, dim: Dims, keepdim: bool = False) -> Value:
    """``log(sum(exp(input)))`` over the dimensions ``dim``, without overflow."""
    if input.dtype.category < _dtypes.FLOATING:
        input = input.to(_dtypes.get_default_dtype())
    return logsumexp_op(input, reduced_dims(dim, input._array.ndim), keepdim)


__all__ = ["logsumexp", "mean", "sum"]
