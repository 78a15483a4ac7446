"""Elements chosen by rank or frequency: median, nanmedian, kthvalue, mode."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._shapes import wrap_dim
from ..core import return_types
from ..core.op import define, unsupported
from ..core.value import Value
from . import _ties
from ._reduce import at_index_vjp, one_line, real_values, reduction
from .reductions import check_not_empty, spread_evenly
from .sorting import argsort_array, kth_smallest

Pair = tuple[np.ndarray, np.ndarray]


def _chosen(x: np.ndarray, index: np.ndarray, dim: int, keepdim: bool) -> Pair:
    """Values at ``index`` (which has ``dim`` with size 1) and the index, shaped as asked."""
    values = np.take_along_axis(one_line(x), index, dim)
    if keepdim and x.ndim:
        return values, index
    shape = x.shape[:dim] + x.shape[dim + 1 :]
    return values.reshape(shape), index.reshape(shape)


def as_pytorch_chooses(
    v: np.ndarray, index: np.ndarray, dim: int, choose: Callable[[list], int]
) -> None:
    """Put into ``index`` what ``choose`` picks in the lines of ``v`` that have equal elements."""
    lines = np.moveaxis(v, dim, -1).reshape(-1, v.shape[dim])
    places = np.moveaxis(index, dim, -1)
    for i in _ties.tied(lines):
        places[(*np.unravel_index(i, places.shape[:-1]), 0)] = choose(lines[i].tolist())


# ---- median --------------------------------------------------------------------------------


def _median_all(x: np.ndarray, ignore_nan: bool) -> np.ndarray:
    v = real_values(x).reshape(-1)
    if not v.size:
        return np.array(np.nan if x.dtype.kind not in "biu" else 0).astype(x.dtype)
    if v.dtype.kind == "f":
        nan = np.isnan(v)
        if nan.any():
            v = v[~nan] if ignore_nan else v[:0]
            if not v.size:
                return np.array(np.nan).astype(x.dtype)
    k = (v.size - 1) // 2
    return np.partition(v, k)[k].astype(x.dtype)


def _median_all_vjp(g: Value, x: Value, y: Value) -> Value:
    return spread_evenly(g, x, y, tuple(range(x.dim())), False)


median_all_op = define(
    "median_all", _median_all, {"x": _median_all_vjp}, grad_name="MedianBackward0"
)
nanmedian_all_op = define(
    "nanmedian_all", _median_all, {"x": _median_all_vjp}, grad_name="NanmedianBackward0"
)


def _ranked(v: np.ndarray, k: int | np.ndarray, dim: int) -> np.ndarray:
    """Where the element of rank ``k`` along ``dim`` is in stable order; nan ranks last."""
    if isinstance(k, int):
        value = kth_smallest(v, k, dim)
    else:
        value = np.take_along_axis(np.sort(v, dim), k, dim)
    hit = v == value
    if v.dtype.kind == "f":
        hit |= (v != v) & (value != value)
        before = (v < value) | ((v == v) & (value != value))
    else:
        before = v < value
    skipped = k - np.add.reduce(before, dim, keepdims=True)
    if skipped.any():
        hit &= np.add.accumulate(hit, dim, np.int64) > skipped
    return np.argmax(hit, dim, keepdims=True)


def _median(x: np.ndarray, dim: int, keepdim: bool, ignore_nan: bool) -> Pair:
    v = real_values(one_line(x))
    n = v.shape[dim]
    nan = np.isnan(v) if v.dtype.kind == "f" else None
    if nan is None or not nan.any():
        index = _ranked(v, (n - 1) // 2, dim)
    elif ignore_nan:
        present = n - np.add.reduce(nan, dim, keepdims=True)
        index = _ranked(v, np.maximum(present - 1, 0) // 2, dim)
    else:
        first = np.argmax(nan, dim, keepdims=True)
        index = np.where(nan.any(dim, keepdims=True), first, _ranked(v, (n - 1) // 2, dim))
    return _chosen(x, index, dim, keepdim)


median_op = define("median", _median, {"x": at_index_vjp}, grad_name="MedianBackward1")
nanmedian_op = define("nanmedian", _median, {"x": at_index_vjp}, grad_name="NanmedianBackward1")


def _check(input: Value, dim: int, name: str, takes_bool: bool = True) -> int:
    x = input._array
    dim = wrap_dim(dim, x.ndim)
    check_not_empty(x, (dim,) if x.ndim else (), name)
    if x.dtype.kind == "c" or (x.dtype.kind == "b" and not takes_bool):
        raise unsupported(name, input.dtype)
    return dim


@reduction
def median(
    input: Value, dim: int | None = None, keepdim: bool = False
) -> Value | tuple[Value, Value]:
    """The median of all elements (the lower of two), or ``(values, indices)`` along ``dim``.

    nan if an element is nan.
    """
    if dim is None:
        if input._array.dtype.kind in "cb":
            raise unsupported("median", input.dtype)
        return median_all_op(input, False)
    dim = _check(input, dim, "median", False)
    return return_types.median(median_op(input, dim, keepdim, False))


@reduction
def nanmedian(
    input: Value, dim: int | None = None, keepdim: bool = False
) -> Value | tuple[Value, Value]:
    """``median`` of the elements that are not nan."""
    if dim is None:
        if input._array.dtype.kind in "cb":
            raise unsupported("median", input.dtype)
        return nanmedian_all_op(input, True)
    dim = _check(input, dim, "median", False)
    return return_types.nanmedian(nanmedian_op(input, dim, keepdim, True))


# ---- kthvalue ------------------------------------------------------------------------------


def _kthvalue(x: np.ndarray, k: int, dim: int, keepdim: bool) -> Pair:
    v = real_values(one_line(x))
    index = _ranked(v, k - 1, dim)
    as_pytorch_chooses(v, index, dim, lambda line: _ties.kth(line, k - 1))
    return _chosen(x, index, dim, keepdim)


kthvalue_op = define("kthvalue", _kthvalue, {"x": at_index_vjp})


@reduction
def kthvalue(input: Value, k: int, dim: int = -1, keepdim: bool = False) -> tuple[Value, Value]:
    """``(values, indices)`` of the ``k``-th smallest element along ``dim``, counted from 1."""
    dim = _check(input, dim, "kthvalue", False)
    x = input._array
    n = x.shape[dim] if x.ndim else 1
    if not 1 <= k <= n:
        raise RuntimeError(
            f"kthvalue(): selected number k out of range for dimension {dim}\n"
            f"  k counts from 1 to {n} there, but is {k}"
        )
    return return_types.kthvalue(kthvalue_op(input, k, dim, keepdim))


# ---- mode ----------------------------------------------------------------------------------


def _mode(x: np.ndarray, dim: int, keepdim: bool) -> Pair:
    if not x.size:
        shape = list(x.shape)
        shape[dim : dim + 1] = [1] if keepdim else []
        return np.empty(shape, x.dtype), np.empty(shape, np.int64)
    v = real_values(one_line(x))
    order = np.moveaxis(argsort_array(v, dim, False), dim, -1)
    ordered = np.take_along_axis(np.moveaxis(v, dim, -1), order, -1)
    place = np.arange(ordered.shape[-1])
    starts = np.ones(ordered.shape, bool)
    starts[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    run = place - np.maximum.accumulate(np.where(starts, place, 0), -1)
    last = np.argmax(run, -1, keepdims=True)  # where the longest run of equal elements ends
    index = np.moveaxis(np.take_along_axis(order, last, -1), -1, dim)
    as_pytorch_chooses(v, index, dim, _ties.most_frequent)
    return _chosen(x, index, dim, keepdim)


mode_op = define("mode", _mode, {"x": at_index_vjp})


@reduction
def mode(input: Value, dim: int = -1, keepdim: bool = False) -> tuple[Value, Value]:
    """``(values, indices)`` of the most frequent element along ``dim``, the smallest of several."""
    return return_types.mode(mode_op(input, _check(input, dim, "mode"), keepdim))


__all__ = ["kthvalue", "median", "mode", "nanmedian"]
