"""Sorting with indices, and the largest k.

Where keys and positions fit into 64 bits together, they are sorted as one unsigned integer: the
order-preserving bits of the key above, the position below. That is stable by itself, and NumPy
sorts integers with vector instructions. nan comes last, or first where the order descends.
"""

from __future__ import annotations

import numpy as np

from .._shapes import wrap_dim
from ..core import return_types, threads
from ..core.op import define
from ..core.value import Value
from . import _ties
from ._reduce import one_line, place, real_values, reduction, spread_parts

_SMALL = 256  # elements below which packing costs more than it saves

# ---- arrays --------------------------------------------------------------------------------


def _keys(v: np.ndarray, descending: bool) -> tuple[np.ndarray | None, int]:
    """uint64 keys in the order of ``v``, nan last, and their number of bits; None if too many."""
    if v.dtype == np.float32:
        bits = (v + np.float32(0)).view(np.int32)  # + 0: -0.0 and 0.0 are equal
        key = (bits ^ ((bits >> 31) | np.int32(-(2**31)))).view(np.uint32)
        nan = v != v
        if nan.any():
            key[nan] = 0xFFFFFFFF
        if descending:
            np.invert(key, key)
        return key.astype(np.uint64), 32
    if v.dtype.kind not in "iu":
        return None, 0
    low, high = int(v.min()), int(v.max())
    if high - low >= 1 << 40:
        return None, 0
    if descending:
        key = (high - v) if high < 2**63 else None
    else:
        key = v - v.dtype.type(low) if v.dtype.itemsize == 8 else v.astype(np.int64) - low
    if key is None:
        return None, 0
    return key.astype(np.uint64), max(1, (high - low).bit_length())


def _argsort_lines(v: np.ndarray, descending: bool) -> np.ndarray:
    """The stable order of the last dimension of ``v``."""
    n = v.shape[-1]
    if v.size > _SMALL and v.dtype.itemsize >= 4:
        width = max(1, (n - 1).bit_length())
        packed, bits = _keys(v, descending)
        if packed is not None and bits + width <= 64:
            narrow = np.uint32 if bits + width <= 32 else np.uint64
            packed = packed.astype(narrow) << narrow(width)
            packed |= np.arange(n, dtype=narrow)
            packed.sort(-1)
            packed &= narrow((1 << width) - 1)
            return packed.astype(np.int64)
        if len(v) == 1:
            return _argsort_line(v[0], descending)[None]
    if descending:  # the stable order of the reversed lines, read backwards
        return (n - 1) - v[:, ::-1].argsort(1, "stable")[:, ::-1]
    return v.argsort(1, "stable")


def _argsort_line(v: np.ndarray, descending: bool) -> np.ndarray:
    """The stable order of one long line, from NumPy's unstable sort, which is several times
    quicker than its stable one: positions within runs of equal elements are put right after."""
    order = np.argsort(v)
    line = v[order]
    same = line[1:] == line[:-1]
    if v.dtype.kind == "f":
        same |= (line != line)[:-1]  # nan, which comes last
    if descending:
        order, same = order[::-1].copy(), same[::-1]
    if same.any():
        starts = np.append(True, ~same)
        group = np.cumsum(starts) - 1
        tied = np.append(same, False) | np.append(False, same)
        width = np.uint64((len(v) - 1).bit_length())
        packed = (group[tied].astype(np.uint64) << width) | order[tied].astype(np.uint64)
        packed.sort()
        order[tied] = packed & ((np.uint64(1) << width) - np.uint64(1))
    return order


def argsort_array(x: np.ndarray, dim: int, descending: bool) -> np.ndarray:
    """The stable order of ``x`` along ``dim``."""
    if not x.size:
        return np.zeros(x.shape, np.int64)
    v = real_values(one_line(x))
    last = dim == v.ndim - 1
    if not last:
        v = np.ascontiguousarray(v.swapaxes(dim, -1))
    lines = v.reshape(-1, v.shape[-1])
    if lines.size < threads.LARGE or len(lines) == 1:
        order = _argsort_lines(lines, descending)
    else:
        order = np.empty(lines.shape, np.int64)
        step = max(1, threads.BLOCK // lines.shape[1])

        def part(start: int, stop: int) -> None:
            for i in range(start, stop, step):
                j = min(i + step, stop)
                order[i:j] = _argsort_lines(lines[i:j], descending)

        threads.run_parts(part, len(lines), step)
    order = order.reshape(v.shape)
    if not last:
        order = np.ascontiguousarray(order.swapaxes(dim, -1))
    return order.reshape(x.shape)


def take_along(x: np.ndarray, index: np.ndarray, dim: int) -> np.ndarray:
    """``np.take_along_axis``, quicker along the last dimension, and for 0-dim arrays too."""
    if x.ndim <= 1:
        return one_line(x).take(index)
    if dim == x.ndim - 1 and x.flags.c_contiguous and x.size:
        n = x.shape[dim]
        lines = index.reshape(-1, index.shape[dim])
        starts = np.arange(0, x.size, n).reshape(-1, 1)
        return x.reshape(-1).take(lines + starts).reshape(index.shape)
    return np.take_along_axis(x, index, dim)


def _sort(x: np.ndarray, dim: int, descending: bool) -> tuple[np.ndarray, np.ndarray]:
    order = argsort_array(x, dim, descending)
    return take_along(x, order, dim), order


def _sort_vjp(g: list, y: tuple, dim: int, x_shape: tuple[int, ...]) -> Value:
    return place(g[0], y[1], dim, True, x_shape)


sort_op = define("sort", _sort, {"x": _sort_vjp})

# ---- public functions ----------------------------------------------------------------------


def _check_ordered(input: Value) -> None:
    if input._array.dtype.kind == "c":
        raise RuntimeError(
            "Sort does not support complex dtypes on CPU\n"
            "  complex numbers have no order; sort .abs() or .real"
        )


@reduction
def sort(
    input: Value, dim: int = -1, descending: bool = False, stable: bool = False
) -> tuple[Value, Value]:
    """``(values, indices)`` in order along ``dim``; always stable. nan is the largest."""
    _check_ordered(input)
    dim = wrap_dim(dim, input._array.ndim)
    return return_types.sort(sort_op(input, dim, bool(descending)))


argsort_op = define("argsort", argsort_array)


@reduction
def argsort(input: Value, dim: int = -1, descending: bool = False, stable: bool = False) -> Value:
    """The indices that put ``input`` in order along ``dim``; always stable."""
    _check_ordered(input)
    dim = wrap_dim(dim, input._array.ndim)
    return argsort_op(input.detach(), dim, bool(descending))


@reduction
def msort(input: Value) -> Value:
    """``input`` sorted along its first dimension."""
    return sort(input, 0)[0]


# ---- topk ----------------------------------------------------------------------------------

_FEW = 16  # elements that are found sooner one by one
_LONG_LINE = 128  # elements from which finding the k-th value first pays


def kth_smallest(v: np.ndarray, k: int, dim: int) -> np.ndarray:
    """The element of rank ``k`` (from 0) along ``dim``, which stays with size 1; nan ranks last."""
    return np.take(np.partition(v, k, dim), [k], dim)


def _best_of_lines(v: np.ndarray, k: int) -> np.ndarray:
    """Positions of the ``k`` largest of each line, in no order; of equal ones the first."""
    n = v.shape[1]
    threshold = np.partition(v, n - k, 1)[:, n - k, None]
    chosen = v >= threshold
    surplus = np.add.reduce(chosen, 1) - k
    for i in np.flatnonzero(surplus):
        equal = np.flatnonzero(v[i] == threshold[i])
        chosen[i, equal[len(equal) - surplus[i] :]] = False
    return np.nonzero(chosen)[1].reshape(len(v), k)


def _one_by_one(v: np.ndarray, index: np.ndarray) -> bool:
    """Positions of the largest of each line, best first, each found after those before were
    struck out; False where that would strike out what cannot be told from a struck element."""
    lowest = -np.inf if v.dtype.kind == "f" else np.iinfo(v.dtype).min
    left = v.copy()
    rows = np.arange(len(v))
    for i in range(index.shape[1]):
        best = left.argmax(1)
        if (left[rows, best] == lowest).any():
            return False
        index[:, i] = best
        left[rows, best] = lowest
    return True


def _topk(x: np.ndarray, k: int, dim: int, largest: bool) -> tuple[np.ndarray, np.ndarray]:
    if not x.ndim:
        return (x.copy(), np.zeros((), np.int64)) if k else (x[:0], np.zeros(0, np.int64))
    n = x.shape[dim]
    if not k or not x.size:
        shape = x.shape[:dim] + (k,) + x.shape[dim + 1 :]
        return np.empty(shape, x.dtype), np.empty(shape, np.int64)
    v = real_values(x)
    if (
        v.size > _ties.LONGEST
        and n >= _LONG_LINE
        and 4 * k <= n
        and not (v.dtype.kind == "f" and np.isnan(v).any())
    ):
        if not largest:
            v = -v if v.dtype.kind == "f" else ~v
        moved = np.moveaxis(v, dim, -1)
        lines = np.ascontiguousarray(moved).reshape(-1, n)
        index = np.empty((len(lines), k), np.int64)
        step = max(1, threads.BLOCK // n)

        def part(start: int, stop: int) -> None:
            for i in range(start, stop, step):
                j = min(i + step, stop)
                if k <= _FEW and _one_by_one(lines[i:j], index[i:j]):
                    continue
                best = _best_of_lines(lines[i:j], k)
                order = _argsort_lines(np.take_along_axis(lines[i:j], best, 1), True)
                index[i:j] = np.take_along_axis(best, order, 1)

        spread_parts(part, len(lines), lines.size)
        index = np.ascontiguousarray(np.moveaxis(index.reshape(moved.shape[:-1] + (k,)), -1, dim))
    else:
        index = argsort_array(x, dim, largest)
        index = index[(slice(None),) * dim + (slice(k),)]
        index = np.ascontiguousarray(index)
        _choose_among_equals(v, index, k, dim, largest)
    return take_along(x, index, dim), index


def _choose_among_equals(v: np.ndarray, index: np.ndarray, k: int, dim: int, largest: bool) -> None:
    """Put PyTorch's choice into ``index`` for the lines of ``v`` that have equal elements."""
    if v.size > _ties.LONGEST:
        return
    if dim != v.ndim - 1:
        v, index = v.swapaxes(dim, -1), index.swapaxes(dim, -1)
    lines = v.reshape(-1, v.shape[-1])
    for i in _ties.tied(lines):
        place = np.unravel_index(i, index.shape[:-1])
        index[place] = _ties.top(lines[i].tolist(), k, largest)


topk_op = define("topk", _topk, {"x": _sort_vjp})


@reduction
def topk(
    input: Value, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> tuple[Value, Value]:
    """``(values, indices)`` of the ``k`` largest (or smallest) along ``dim``, best first."""
    x = input._array
    dim = wrap_dim(dim, x.ndim)
    if not 0 <= k <= (x.shape[dim] if x.ndim else 1):
        raise RuntimeError(
            f"selected index k out of range\n"
            f"  k is {k}, but dimension {dim} has {x.shape[dim] if x.ndim else 1} elements"
        )
    _check_ordered(input)
    return return_types.topk(topk_op(input, k, dim, bool(largest)))


__all__ = ["argsort", "msort", "sort", "topk"]
