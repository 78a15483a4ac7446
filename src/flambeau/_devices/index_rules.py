"""Indexing, gathering and scattering on a device, which checks no index itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops.embedding import out_of_range
from ..ops.gathering import checked_places
from ..ops.indexing import check_bounds
from .backend import backend
from .rules import Array, Looking, diagonal_index, formula, xp


def _outside(index: Array, low: int, high: int) -> bool:
    """Whether an element of ``index`` is below ``low``, or not below ``high``."""
    if not Looking.allowed or not index.size:
        return False
    return bool(((index < low) | (index >= high)).any())


def _check(indices: list, dims: tuple, shape: tuple) -> None:
    for i, d in zip(indices, dims):
        if i.dtype.kind != "b" and _outside(i, -shape[d], shape[d]):
            check_bounds([backend().to_host(i)], (d,), shape)


def _check_front(
    name: str, shape: tuple, dim: int, index: Array, kind: type = RuntimeError
) -> None:
    if _outside(index, 0, shape[dim] if shape else 1):
        checked_places(name, shape, dim, backend().to_host(index), kind)


def _full(indices: list, dims: tuple) -> tuple:
    index: list = [slice(None)] * (dims[-1] + 1)
    for i, d in zip(indices, dims):
        index[d] = i
    return tuple(index)


def add_at(out: Array, places: Any, values: Array) -> Array:
    """``out`` with ``values`` added at ``places``, which may repeat. NotImplemented for elements
    that the device cannot add so."""
    kind = out.dtype
    if kind == np.int64:
        xp().add.at(out.view(np.uint64), places, values.astype(kind, copy=False).view(np.uint64))
    elif kind.kind in "fc" or kind == np.int32:
        xp().add.at(out, places, values.astype(kind, copy=False))
    elif kind.kind in "iu":
        wide = out.astype(np.int32)
        xp().add.at(wide, places, values.astype(np.int32))
        out[...] = wide.astype(kind)
    else:
        return NotImplemented
    return out


@formula("index")
def _index(x: Array, indices: Any, dims: tuple = (0,)) -> Array:
    indices = indices if type(indices) is list else [indices]
    _check(indices, dims, x.shape)
    return x[_full(indices, dims)]


@formula("index_backward")
def _index_backward(x: Array, indices: list, dims: tuple, shape: tuple) -> Array:
    return add_at(xp().zeros(shape, x.dtype), _full(indices, dims), x)


@formula("index_put")
def _index_put(x: Array, indices: list, dims: tuple, values: Array, accumulate: bool) -> Array:
    _check(indices, dims, x.shape)
    if accumulate:
        return add_at(x, _full(indices, dims), values)
    x[_full(indices, dims)] = values
    return x


@formula("index_select")
def _index_select(x: Array, index: Array, dim: int) -> Array:
    if not x.ndim:
        return x.copy()
    if _outside(index, 0, x.shape[dim]):
        raise IndexError(
            f"index out of range in self\n  an element of index is no place of dimension {dim}, "
            f"which has {x.shape[dim]}"
        )
    return xp().take(x, index.reshape(-1), axis=dim)


@formula("index_add")
def _index_add(x: Array, dim: int, index: Array, source: Array, alpha: Any) -> Array:
    if alpha != 1:
        source = source * source.dtype.type(alpha)
    if not x.ndim:
        x += source.sum(dtype=x.dtype)
        return x
    _check_front("index_add", x.shape, dim, index)
    return add_at(x, (slice(None),) * dim + (index.reshape(-1),), source)


@formula("index_copy")
def _index_copy(x: Array, dim: int, index: Array, source: Array) -> Array:
    if not x.ndim:
        x[...] = source.reshape(-1)[-1] if source.size else x
        return x
    _check_front("index_copy", x.shape, dim, index, IndexError)
    x[(slice(None),) * dim + (index.reshape(-1),)] = source
    return x


@formula("index_fill")
def _index_fill(x: Array, dim: int, index: Array, value: Array) -> Array:
    _check([index], (0,), (x.shape[dim] if x.ndim else 1,))
    if x.ndim:
        x[(slice(None),) * dim + (index.reshape(-1),)] = value
    elif index.size:
        x[...] = value
    return x


@formula("embedding")
def _embedding(weight: Array, index: Array, padding_idx: int, by_frequency: bool) -> Array:
    if _outside(index, 0, weight.shape[0]):
        raise out_of_range("embedding", backend().to_host(index), weight.shape)
    return weight[index]


@formula("embedding_dense_backward")
def _embedding_backward(
    grad: Array, index: Array, rows: int, padding_idx: int, by_frequency: bool
) -> Array:
    width = grad.shape[index.ndim :]
    flat = index.reshape(-1)
    values = grad.reshape(flat.size, *width)
    if by_frequency and flat.size:
        values = values / xp().bincount(flat, minlength=rows)[flat][:, None].astype(grad.dtype)
    out = add_at(xp().zeros((rows, *width), grad.dtype), flat, values)
    if padding_idx >= 0:
        out[padding_idx] = 0
    return out


# ---- along one dimension -------------------------------------------------------------------------


def _along(index: Array, dim: int) -> tuple:
    """The index of the elements whose coordinate ``dim`` is in ``index``, and the others theirs."""
    places = [
        xp().arange(n).reshape((n,) + (1,) * (index.ndim - d - 1))
        for d, n in enumerate(index.shape)
    ]
    places[dim] = index
    return tuple(places)


@formula("gather")
def _gather(x: Array, dim: int, index: Array) -> Array:
    if not index.size:
        return xp().empty(index.shape, x.dtype)
    _check_front("gather", x.shape, dim, index)
    if not x.ndim or not index.ndim:
        return x.reshape(-1)[index]
    return x[_along(index, dim)]


def _scattered(x: Array, dim: int, index: Array, src: Array) -> tuple[Array, Any, Array]:
    """What is written into, where, and what."""
    if not x.ndim or not index.ndim:
        return x.reshape(-1), index.reshape(-1), src.reshape(-1)[: index.size]
    if not src.ndim:
        src = xp().full(index.shape, src, x.dtype)
    return x, _along(index, dim), src[tuple([slice(n) for n in index.shape])]


@formula("scatter")
def _scatter(x: Array, dim: int, index: Array, src: Array, *legacy: Any) -> Array:
    if legacy:
        return NotImplemented
    if index.size:
        _check_front("scatter", x.shape, dim, index)
        to, places, values = _scattered(x, dim, index, src)
        to[places] = values
    return x


@formula("scatter_add")
def _scatter_add(x: Array, dim: int, index: Array, src: Array) -> Array:
    if index.size:
        _check_front("scatter_add", x.shape, dim, index)
        to, places, values = _scattered(x, dim, index, src)
        if add_at(to, places, values) is NotImplemented:
            return NotImplemented
    return x


@formula("scatter_reduce index_reduce")
def _scatter_reduce(
    x: Array, dim: int, index: Array, src: Array, reduce: str, include_self: bool
) -> Array:
    if reduce not in ("sum", "mean") or x.dtype.kind not in "f" or not index.size:
        return NotImplemented
    work = x.copy()
    to, places, values = _scattered(work, dim, index, src)
    if not include_self:
        to[places] = 0
    add_at(to, places, values)
    if reduce == "mean":
        counts = xp().full(to.shape, float(include_self), x.dtype)
        add_at(counts, places, xp().ones(values.shape, x.dtype))
        to /= xp().maximum(counts, 1)
    return work


@formula("value_selecting_reduction_backward")
def _placed_at(grad: Array, index: Array, dim: int, keepdim: bool, shape: tuple) -> Array:
    full = xp().zeros(shape, grad.dtype)
    if not shape:
        full[...] = grad
        return full
    if not keepdim:
        grad, index = xp().expand_dims(grad, dim), xp().expand_dims(index, dim)
    full[_along(index, dim)] = grad
    return full


@formula("diagonal_scatter")
def _diagonal_scatter(x: Array, src: Array, offset: int, i: int, j: int) -> Array:
    out = x.copy()
    last = xp().moveaxis(out, (i, j), (-2, -1))
    last[diagonal_index(last, offset)] = src
    return out


@formula("pick")
def _pick(x: Array, index: Array, dim: int, keepdim: bool) -> Array:
    if not x.ndim:
        return x.copy()
    r = x[_along(index if keepdim else xp().expand_dims(index, dim), dim)]
    return r if keepdim else r.squeeze(dim)


@formula("scatter_add_along")
def _add_along(grad: Array, index: Array, dim: int, shape: tuple) -> Array:
    full = xp().zeros(shape, grad.dtype)
    if not shape:
        full[...] = grad
        return full
    return add_at(full, _along(index, dim), grad)
