"""Largest and smallest elements: max, min, amax, amin, aminmax, argmax, argmin.

nan counts as the largest and as the smallest. Among equal elements an index is the first one's;
the gradient of a value with an index goes to that element, that of a value alone is spread evenly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .._shapes import wrap_dim
from ..core import return_types, threads
from ..core.op import define, unsupported
from ..core.value import Value
from ._reduce import (
    SHORT,
    at_index_vjp,
    kept_shape,
    one_line,
    real_values,
    reduced_dims,
    reduction,
    spread_parts,
)

if TYPE_CHECKING:
    from ._reduce import Dims


# ---- values alone --------------------------------------------------------------------------


def spread_evenly(g: Value, x: Value, y: Value, dims: tuple[int, ...], keepdim: bool) -> Value:
    """The gradient of a largest or smallest value: the same for every element that equals it."""
    shape = kept_shape(x._array.shape, dims)
    best = y.detach().reshape(shape)
    x = x.detach()
    mask = (x == best) | ((x != x) & (best != best))
    share = mask.to(g.dtype)
    return g.reshape(shape) * (share / share.sum(dims, True) if dims else share)


def _reduced(ufunc: np.ufunc, x: np.ndarray, dims: tuple[int, ...], keepdim: bool) -> np.ndarray:
    """``ufunc.reduce`` over ``dims``, on all threads where the first dimension of a large array
    stays, or where none does."""
    if x.dtype.itemsize == 2 and x.dtype.kind not in "iu":
        return np.asarray(_reduced(ufunc, real_values(x), dims, keepdim)).astype(x.dtype)
    if x.size < threads.LARGE or not x.flags.c_contiguous or (0 in dims and len(dims) < x.ndim):
        return ufunc.reduce(x, dims, None, None, keepdim)
    if 0 not in dims:
        r = _rows_reduced(ufunc, x, dims)
        return r.reshape(kept_shape(x.shape, dims)) if keepdim else r
    flat, parts = x.reshape(-1), []
    threads.run_parts(lambda i, j: parts.append(ufunc.reduce(flat[i:j])), flat.size)
    return np.asarray(ufunc.reduce(parts), x.dtype).reshape((1,) * x.ndim if keepdim else ())


def _rows_reduced(ufunc: np.ufunc, x: np.ndarray, dims: tuple[int, ...]) -> np.ndarray:
    """``ufunc.reduce`` over ``dims``, of which the first dimension is none."""
    r = np.empty([n for d, n in enumerate(x.shape) if d not in dims], x.dtype)
    threads.run_parts(lambda i, j: ufunc.reduce(x[i:j], dims, None, r[i:j]), len(x))
    return r


def _extreme(name: str, ufunc: np.ufunc, grad_name: str | None = None) -> Callable[..., Value]:
    def forward(x: np.ndarray, dims: tuple[int, ...], keepdim: bool) -> np.ndarray:
        return _reduced(ufunc, x, dims, keepdim)

    return define(name, forward, {"x": spread_evenly}, grad_name=grad_name)


amax_op = _extreme("amax", np.maximum)
amin_op = _extreme("amin", np.minimum)
max_all_op = _extreme("max_all", np.maximum, "MaxBackward1")
min_all_op = _extreme("min_all", np.minimum, "MinBackward1")


def check_not_empty(x: np.ndarray, dims: tuple[int, ...], name: str) -> None:
    """IndexError where a dimension to reduce has no elements."""
    if x.size:
        return
    for d in dims:
        if not x.shape[d]:
            raise IndexError(
                f"{name}(): Expected reduction dim {d} to have non-zero size.\n"
                f"  shape {x.shape}: there is no {name} of no elements"
            )


def _amax(input: Value, dim: Dims, keepdim: bool, op: Callable[..., Value]) -> Value:
    x = input._array
    name = op.__name__
    if x.dtype.kind == "c":
        raise unsupported(name, input.dtype)
    dims = reduced_dims(dim, x.ndim)
    if not x.size:
        if len(dims) == x.ndim and (dim is None or dim == () or dim == []):
            raise RuntimeError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
                "Specify the reduction dim with the 'dim' argument."
            )
        check_not_empty(x, dims, name)
    return op(input, dims, keepdim)


@reduction
def amax(input: Value, dim: Dims = (), keepdim: bool = False) -> Value:
    """The largest element over the dimensions ``dim``; its gradient is spread over equal ones."""
    return _amax(input, dim, keepdim, amax_op)


@reduction
def amin(input: Value, dim: Dims = (), keepdim: bool = False) -> Value:
    """The smallest element over the dimensions ``dim``; its gradient is spread over equal ones."""
    return _amax(input, dim, keepdim, amin_op)


# ---- values with their indices -------------------------------------------------------------


def found(find: Callable[..., np.ndarray], x: np.ndarray, dim: int) -> np.ndarray:
    """``np.argmax`` or ``np.argmin`` along ``dim``, by columns laid out as rows where that pays."""
    x = real_values(one_line(x))
    if dim == x.ndim - 1:
        if x.size < threads.LARGE or x.ndim == 1:
            return find(x, dim)
        lines = np.ascontiguousarray(x).reshape(-1, x.shape[-1])
        index = np.empty(len(lines), np.int64)
        threads.run_parts(lambda i, j: find(lines[i:j], 1, index[i:j]), len(lines))
        return index.reshape(x.shape[:-1])
    if x.size < SHORT:
        return find(x, dim)
    outer, n, inner = math.prod(x.shape[:dim]), x.shape[dim], math.prod(x.shape[dim + 1 :])
    index = _found_in_columns(find, np.ascontiguousarray(x).reshape(outer, n, inner))
    return index.reshape(x.shape[:dim] + x.shape[dim + 1 :])


_ROWS = 64  # rows of which the best is found first


def _found_in_columns(find: Callable[..., np.ndarray], x: np.ndarray) -> np.ndarray:
    """``find`` along the second of three dimensions: first among blocks of rows, then in one."""
    n = x.shape[1]
    if n <= 2 * _ROWS:
        return find(np.ascontiguousarray(x.swapaxes(1, 2)), 2)
    whole = n - n % _ROWS
    blocks = x[:, :whole].reshape(x.shape[0], -1, _ROWS, x.shape[2])
    reduce = np.maximum.reduce if find is np.argmax else np.minimum.reduce
    best = np.empty((x.shape[0], blocks.shape[1], x.shape[2]), x.dtype)
    spread_parts(
        lambda i, j: reduce(blocks[:, i:j], 2, None, best[:, i:j]), blocks.shape[1], x.size
    )
    chosen = _found_in_columns(find, best)[:, None]
    candidates = np.take_along_axis(blocks, chosen[:, None], 1)[:, 0]
    index = chosen[:, 0] * _ROWS + _found_in_columns(find, candidates)
    if whole < n:
        late = _found_in_columns(find, x[:, whole:])
        here = np.take_along_axis(x, index[:, None], 1)[:, 0]
        there = np.take_along_axis(x[:, whole:], late[:, None], 1)[:, 0]
        better = there > here if find is np.argmax else there < here
        if x.dtype.kind == "f":
            better |= (there != there) & (here == here)
        index = np.where(better, late + whole, index)
    return index


def _extreme_at(
    name: str, find: Callable[..., np.ndarray], ufunc: np.ufunc
) -> Callable[..., tuple]:
    def forward(x: np.ndarray, dim: int, keepdim: bool) -> tuple[np.ndarray, np.ndarray]:
        index = found(find, x, dim)
        values = _reduced(ufunc, x, (dim,) if x.ndim else (), False)
        if keepdim or not x.ndim:
            shape = kept_shape(x.shape, (dim,))
            return np.asarray(values).reshape(shape), np.asarray(index).reshape(shape)
        return np.asarray(values), np.asarray(index)

    return define(name, forward, {"x": at_index_vjp})


max_at = _extreme_at("max", np.argmax, np.maximum)
min_at = _extreme_at("min", np.argmin, np.minimum)


def _max(
    input: Value,
    dim: int | Value | None,
    keepdim: bool,
    name: str,
    ops: tuple[Callable, Callable, type, Callable],
) -> Value | tuple[Value, Value]:
    whole, at, result, between = ops
    if isinstance(dim, Value):
        return between(input, dim)
    x = input._array
    if dim is None:
        if x.dtype.kind == "c":
            raise unsupported(name + "_all", input.dtype)
        if not x.size:
            raise RuntimeError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
                "Specify the reduction dim with the 'dim' argument."
            )
        return whole(input, tuple(range(x.ndim)), False)
    if x.dtype.kind == "c":
        raise RuntimeError(f"{name}(): does not support complex input")
    dim = wrap_dim(dim, x.ndim)
    check_not_empty(x, (dim,), name)
    return result(at(input, dim, keepdim))


def _maximum(a: Value, b: Value) -> Value:
    return a.maximum(b)


def _minimum(a: Value, b: Value) -> Value:
    return a.minimum(b)


@reduction
def max(
    input: Value,
    dim: int | Value | None = None,
    keepdim: bool = False,
    *,
    other: Value | None = None,
) -> Value | tuple[Value, Value]:
    """The largest element; with ``dim`` the tuple ``(values, indices)`` along it; with a second
    tensor the elementwise ``maximum`` of both."""
    ops = (max_all_op, max_at, return_types.max, _maximum)
    return _max(input, dim if other is None else other, keepdim, "max", ops)


@reduction
def min(
    input: Value,
    dim: int | Value | None = None,
    keepdim: bool = False,
    *,
    other: Value | None = None,
) -> Value | tuple[Value, Value]:
    """The smallest element; with ``dim`` the tuple ``(values, indices)`` along it; with a second
    tensor the elementwise ``minimum`` of both."""
    ops = (min_all_op, min_at, return_types.min, _minimum)
    return _max(input, dim if other is None else other, keepdim, "min", ops)


@reduction
def aminmax(input: Value, *, dim: int | None = None, keepdim: bool = False) -> tuple[Value, Value]:
    """The tuple ``(min, max)`` of all elements, or along ``dim``."""
    x = input._array
    if dim is None:
        if not x.size:
            raise RuntimeError(
                "aminmax(): cannot compute aminmax over an empty dimension as the operation has "
                "no identity."
            )
        dims: Dims = ()
    else:
        dims = wrap_dim(dim, x.ndim)
        check_not_empty(x, (dims,) if x.ndim else (), "aminmax")
    return return_types.aminmax((amin(input, dims, keepdim), amax(input, dims, keepdim)))


def _arg(
    find: Callable[..., np.ndarray], x: np.ndarray, dim: int | None, keepdim: bool
) -> np.ndarray:
    if dim is None:
        index = np.asarray(find(real_values(x)))
        return index.reshape((1,) * x.ndim) if keepdim else index
    index = np.asarray(found(find, x, dim))
    return index.reshape(
        kept_shape(x.shape, (dim,)) if keepdim else x.shape[:dim] + x.shape[dim + 1 :]
    )


def _argmax(x: np.ndarray, dim: int | None, keepdim: bool) -> np.ndarray:
    return _arg(np.argmax, x, dim, keepdim)


def _argmin(x: np.ndarray, dim: int | None, keepdim: bool) -> np.ndarray:
    return _arg(np.argmin, x, dim, keepdim)


argmax_op = define("argmax", _argmax)
argmin_op = define("argmin", _argmin)


def _check_arg(input: Value, dim: int | None, name: str) -> int | None:
    x = input._array
    if x.dtype.kind in "cb":
        kind = "bool" if x.dtype.kind == "b" else "complex"
        raise RuntimeError(f"{name}(): does not support {kind} input")
    if dim is not None:
        dim = wrap_dim(dim, x.ndim)
        check_not_empty(x, (dim,) if x.ndim else (), name)
    elif not x.size:
        raise IndexError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
            "Specify the reduction dim with the 'dim' argument."
        )
    return dim


@reduction
def argmax(input: Value, dim: int | None = None, keepdim: bool = False) -> Value:
    """The index of the first largest element along ``dim``, or in the flattened tensor."""
    return argmax_op(input, _check_arg(input, dim, "argmax"), keepdim)


@reduction
def argmin(input: Value, dim: int | None = None, keepdim: bool = False) -> Value:
    """The index of the first smallest element along ``dim``, or in the flattened tensor."""
    return argmin_op(input, _check_arg(input, dim, "argmin"), keepdim)


__all__ = ["amax", "amin", "aminmax", "argmax", "argmin", "max", "min"]
