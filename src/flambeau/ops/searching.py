"""Places in sorted sequences, distinct elements, and counts: nothing here has a gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .. import _dtypes
from .._shapes import wrap_dim
from ..core import return_types
from ..core.modes import by_copy
from ..core.mutation import accepts_out
from ..core.op import define, unsupported
from ..core.promotion import Number, is_number
from ..core.value import Value, constant, reading, wrap
from ._reduce import real_values, reduction
from .sorting import argsort_array

_MANY = 1 << 15  # values, and boundaries, from which searching in order pays

# ---- searchsorted, bucketize ---------------------------------------------------------------


def _comparable(*arrays: np.ndarray) -> list[np.ndarray]:
    """``arrays`` in types that NumPy compares, in one type."""
    arrays = [real_values(a) for a in arrays]
    common = np.result_type(*arrays)
    return [a.astype(common, copy=False) for a in arrays]


def _search(
    boundaries: np.ndarray,
    values: np.ndarray,
    right: bool,
    sorter: np.ndarray | None,
    out_int32: bool,
) -> np.ndarray:
    found = _found(boundaries, values, right, sorter)
    return found.astype(np.int32) if out_int32 else found


def _found(
    boundaries: np.ndarray, values: np.ndarray, right: bool, sorter: np.ndarray | None
) -> np.ndarray:
    if sorter is not None:
        boundaries = np.take_along_axis(boundaries, sorter, -1)
    boundaries, values = _comparable(boundaries, values)
    side = "right" if right else "left"
    if boundaries.ndim == 1:
        if min(boundaries.size, values.size) < _MANY:
            return np.asarray(np.searchsorted(boundaries, values, side))
        # In order, one search after the other stays in the cache.
        order = argsort_array(values.reshape(-1), 0, False)
        found = np.empty(values.size, np.int64)
        found[order] = np.searchsorted(boundaries, values.reshape(-1)[order], side)
        return found.reshape(values.shape)
    found = np.zeros(values.shape, np.int64)
    if values.size and boundaries.size:
        rows = boundaries.reshape(-1, boundaries.shape[-1])
        count = len(rows)
        places = found.reshape(count, -1)
        for row, line, place in zip(rows, values.reshape(count, -1), places):
            place[...] = np.searchsorted(row, line, side)
    return found


_search_op = define("searchsorted", _search)


@reduction
def searchsorted(
    input: Value,
    values: Value | Number | None = None,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Value | None = None,
) -> Value:
    """Where each of ``values`` would go into the sorted last dimension of ``input``.

    The first place that keeps the order, or the last one with ``right`` (``side="right"``).
    ``sorter``: the indices that sort ``input``, if it is not sorted.
    """
    boundaries = input._array
    if side is not None and side not in ("left", "right"):
        raise RuntimeError(
            f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}"
        )
    if side == "left" and right:
        raise RuntimeError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left "
            "while right was True"
        )
    array = np.asarray(values) if is_number(values) else values._array
    if boundaries.ndim != 1:
        if not array.ndim:
            raise RuntimeError(
                "torch.searchsorted(): input value can be a scalar only when boundaries tensor "
                f"dimension is 1, but we got boundaries tensor dim({boundaries.ndim}) and input "
                "value's dim(0) numel(1)"
            )
        if boundaries.shape[:-1] != array.shape[:-1]:
            raise RuntimeError(
                "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 "
                "dimensions of boundaries tensor and input value tensor must match, but we got "
                f"boundaries tensor {list(boundaries.shape)} and input value tensor "
                f"{list(array.shape)}"
            )
    if sorter is not None:
        _check_sorter(sorter, boundaries.shape)
    if isinstance(values, Value) and array.dtype != boundaries.dtype and array.ndim:
        raise RuntimeError(
            "torch.searchsorted(): boundary tensor and input value tensor should have same dtype, "
            f"but got boundary tensor dtype {input.dtype.legacy_name} and input value tensor dtype "
            f"{values.dtype.legacy_name}"
        )
    sought = values if isinstance(values, Value) else constant(array)
    return _search_op(input.detach(), sought.detach(), right or side == "right", sorter, out_int32)


@by_copy
def _check_sorter(sorter: Value, shape: tuple[int, ...]) -> None:
    reading(sorter, "searchsorted()")
    order = sorter._array
    if order.dtype != np.int64:
        raise RuntimeError(
            "torch.searchsorted(): sorter must be a tensor of long dtype but got dtype "
            f"{_dtypes.from_numpy(order.dtype).legacy_name}"
        )
    if order.shape != shape:
        raise RuntimeError(
            "torch.searchsorted(): boundary and sorter must have the same size, but got boundary "
            f"tensor {list(shape)}and got sorter tensor {list(order.shape)}"
        )
    if order.size and (order.min() < 0 or order.max() >= shape[-1]):
        raise RuntimeError("torch.searchsorted(): sorter index out of range")


def bucketize(
    input: Value | Number,
    boundaries: Value,
    *,
    out_int32: bool = False,
    right: bool = False,
    out: Value | None = None,
) -> Value:
    """The number of the interval between sorted ``boundaries`` that each element falls into.

    ``boundaries[i-1] < x <= boundaries[i]`` gives i; ``<=`` and ``<`` change places with ``right``.
    """
    if boundaries._array.ndim != 1:
        raise RuntimeError(
            f"boundaries tensor must be 1 dimension, but got dim({boundaries._array.ndim})"
        )
    return searchsorted(boundaries, input, out_int32=out_int32, right=right, out=out)


# ---- unique --------------------------------------------------------------------------------


def _groups(
    a: np.ndarray, ordered: bool, want_places: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """For a line: where runs of equal elements start, in the order that sorts it if asked."""
    if ordered:
        order = argsort_array(a, 0, False) if want_places else None
        line = np.sort(a) if order is None else a[order]
    else:
        order, line = None, a
    starts = np.ones(len(a), bool)
    np.not_equal(line[1:], line[:-1], starts[1:])
    return line, starts, order


def _row_groups(
    rows: np.ndarray, ordered: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """``_groups`` for whole rows, compared from the left."""
    order = None
    if ordered:
        order = np.lexsort(rows.T[::-1]) if rows.shape[1] else np.arange(len(rows))
        rows = rows[order]
    starts = np.ones(len(rows), bool)
    starts[1:] = (rows[1:] != rows[:-1]).any(1)
    return rows, starts, order


def _results(
    starts: np.ndarray, order: np.ndarray | None, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """The group of every element in its old place, and the size of every group."""
    group = np.cumsum(starts) - 1
    if order is None:
        inverse = group
    else:
        inverse = np.empty(len(starts), np.int64)
        inverse[order] = group
    counts = np.diff(np.append(np.flatnonzero(starts), len(starts)))
    return inverse.reshape(shape), counts


def _distinct(
    input: Value, return_inverse: bool, return_counts: bool, dim: int | None, ordered: bool
) -> Value | tuple[Value, ...]:
    a = input._array
    if a.dtype.kind == "c":
        raise unsupported("unique", input.dtype)
    v = real_values(a)
    if dim is None:
        line, starts, order = _groups(v.reshape(-1), ordered, return_inverse)
        result = line[starts].astype(a.dtype, copy=False)
        shape = a.shape
    else:
        dim = wrap_dim(dim, a.ndim)
        if 0 in a.shape[:dim] + a.shape[dim + 1 :] and a.ndim:
            raise RuntimeError(
                "There are 0 sized dimensions, and they aren't selected, so unique cannot be "
                "applied"
            )
        moved = np.moveaxis(v, dim, 0) if a.ndim else v.reshape(1)
        rows = moved.reshape(len(moved), -1) if moved.size else moved.reshape(len(moved), 0)
        rows, starts, order = _row_groups(rows, ordered)
        keep = np.flatnonzero(starts) if order is None else order[starts]
        result = np.take(a, keep, dim) if a.ndim else a.copy()
        shape = (len(moved),)
    if not (return_inverse or return_counts):
        return wrap(np.ascontiguousarray(result))
    inverse, counts = _results(starts, order, shape)
    results = [wrap(np.ascontiguousarray(result))]
    if return_inverse:
        results.append(wrap(inverse))
    if return_counts:
        results.append(wrap(counts))
    return tuple(results)


@reduction
@by_copy
def unique(
    input: Value,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Value | tuple[Value, ...]:
    """The distinct elements (or slices along ``dim``) in ascending order.

    ``return_inverse``: also where each element went; ``return_counts``: also how often each occurs.
    Every nan is distinct.
    """
    reading(input, "unique()")
    return _distinct(input, return_inverse, return_counts, dim, True)


@reduction
@by_copy
def unique_consecutive(
    input: Value,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Value | tuple[Value, ...]:
    """``input`` (flattened, or along ``dim``) without elements that equal the one before them."""
    reading(input, "unique_consecutive()")
    return _distinct(input, return_inverse, return_counts, dim, False)


@accepts_out
def isin(
    elements: Value | Number,
    test_elements: Value | Number,
    *,
    assume_unique: bool = False,
    invert: bool = False,
) -> Value:
    """For each of ``elements``, whether it is among ``test_elements`` (or is not: ``invert``)."""
    if not isinstance(elements, Value) and not isinstance(test_elements, Value):
        raise TypeError(
            "isin() received an invalid combination of arguments - one of elements and "
            "test_elements must be a Tensor"
        )
    values = (elements, test_elements)
    for v in values:
        if isinstance(v, Value):
            if v._array.dtype.kind in "cb":
                raise RuntimeError(f"Unsupported input type encountered for isin(): {v.dtype.name}")
    tensors = [v if isinstance(v, Value) else constant(np.asarray(v)) for v in values]
    return _isin_op(*tensors, assume_unique, invert)


def _isin(a: np.ndarray, b: np.ndarray, assume_unique: bool, invert: bool) -> np.ndarray:
    a, b = real_values(a), real_values(b)
    return np.asarray(np.isin(a, b, assume_unique=assume_unique, invert=invert))


_isin_op = define("isin", _isin)


# ---- counts --------------------------------------------------------------------------------


@reduction
@by_copy
def bincount(input: Value, weights: Value | None = None, minlength: int = 0) -> Value:
    """How often each of 0, 1, 2 ... occurs in a line of integers, or the sum of its ``weights``."""
    a = input._array
    if minlength < 0:
        raise RuntimeError(f"minlength should be >= 0\n  got {minlength}")
    if a.dtype.kind not in "iu":
        raise unsupported("bincount", input.dtype)
    if a.ndim != 1 or (a.size and a.min() < 0):
        raise RuntimeError(
            "bincount only supports 1-d non-negative integral inputs.\n"
            f"  the input has shape {a.shape} and dtype {input.dtype}"
        )
    reading(input, "bincount()")
    if weights is None:
        return wrap(np.bincount(a.astype(np.int64, copy=False), minlength=minlength))
    w = weights._array
    if w.shape != a.shape:
        raise RuntimeError(
            "weights should be 1-d and have the same length as input\n"
            f"  shapes: weights {w.shape}, input {a.shape}"
        )
    r = np.bincount(a.astype(np.int64, copy=False), w.astype(np.float64), minlength)
    return wrap(r.astype(np.float32) if w.dtype == np.float32 else r)


def _range(a: np.ndarray, low: float, high: float, name: str) -> tuple[float, float]:
    """The range to divide: that of the elements if ``low`` equals ``high``, made one unit wide."""
    if low == high == 0:
        low, high = (float(a.min()), float(a.max())) if a.size else (0.0, 1.0)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"{name}: range of [{low:g}, {high:g}] is not finite")
    if low > high:
        raise RuntimeError(f"{name}: max must be larger than min\n  got [{low:g}, {high:g}]")
    return (low - 0.5, high + 0.5) if low == high and name != "torch.histc" else (low, high)


def _bins(v: np.ndarray, edges: np.ndarray, even: bool) -> np.ndarray:
    """The bin of each element; -1 outside. The last bin holds its right edge."""
    count = len(edges) - 1
    low, high = edges[0], edges[-1]
    inside = (v >= low) & (v <= high)
    if even and count:
        scaled = np.where(inside, (v - low) * (count / (high - low)), 0)
        place = np.minimum(scaled.astype(np.int64), count - 1)
        # Rounding may have crossed an edge: what counts is the edges themselves.
        place -= (v < edges[place]) & (place > 0)
        place += (v >= edges[place + 1]) & (place < count - 1)
    else:
        place = np.minimum(np.searchsorted(edges, v, "right") - 1, count - 1)
    return np.where(inside, place, -1)


def _counts(place: np.ndarray, cells: int, weight: np.ndarray | None, dt: np.dtype) -> np.ndarray:
    good = place >= 0
    w = None if weight is None else weight.reshape(-1)[good].astype(np.float64)
    return np.bincount(place[good], w, cells).astype(dt)


@reduction
@by_copy
def histc(input: Value, bins: int = 100, min: Number = 0, max: Number = 0) -> Value:
    """How many elements fall into each of ``bins`` equal parts of [min, max]; others are left out.

    With ``min == max`` the range is that of the elements.
    """
    a = input._array
    if not input.dtype.is_floating_point:
        raise unsupported("histogram", input.dtype)
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    v = real_values(a).reshape(-1)
    low, high = float(min), float(max)
    if low == high:
        low, high = (float(v.min()), float(v.max())) if v.size else (low, high)
        if low == high:
            low, high = low - 1, high + 1
    low, high = _range(v, low, high, "torch.histc")
    inside = (v >= low) & (v <= high)
    kept = a.reshape(-1)[inside]  # the place is computed in the input's own precision
    start, width = a.dtype.type(low), a.dtype.type(high) - a.dtype.type(low)
    place = ((kept - start) * a.dtype.type(bins) / width).astype(np.int64)
    return wrap(np.bincount(np.minimum(place, bins - 1), minlength=bins).astype(a.dtype))


def _edges(
    bins: int | Value, v: np.ndarray, low: float, high: float, dim: int
) -> tuple[np.ndarray, bool]:
    if isinstance(bins, Value):
        return bins._array, False
    if bins <= 0:
        raise RuntimeError(
            f"torch.histogram(): bins must be > 0, but got {bins} for dimension {dim}"
        )
    low, high = _range(v, low, high, "torch.histogramdd")
    return np.linspace(low, high, bins + 1).astype(v.dtype), True


@reduction
@by_copy
def histogram(
    input: Value,
    bins: int | Value,
    *,
    range: Sequence[float] | None = None,
    weight: Value | None = None,
    density: bool = False,
) -> tuple[Value, Value]:
    """``(hist, bin_edges)``: how many elements, or how much ``weight``, each bin holds.

    ``bins``: their number, in ``range`` (default: that of the elements), or their edges.
    ``density``: divide by the total and by each bin's width.
    """
    a = input._array
    if a.dtype not in (np.float32, np.float64):
        raise NotImplementedError(
            f"\"histogramdd\" not implemented for '{input.dtype.legacy_name}'"
        )
    v = a.reshape(-1)
    low, high = (0.0, 0.0) if range is None else range
    edges, even = _edges(bins, v, low, high, 0)
    if not even and edges.ndim != 1:
        raise RuntimeError(
            "torch.histogramdd(): bins tensor should have one dimension, but got "
            f"{edges.ndim} dimensions in the bins tensor for dimension 0"
        )
    hist = _counts(
        _bins(v, edges, even), len(edges) - 1, None if weight is None else weight._array, a.dtype
    )
    if density:
        hist = hist / (hist.sum() * np.diff(edges))
    made = wrap(np.ascontiguousarray(hist.astype(a.dtype))), wrap(edges.copy())
    return return_types.histogram(made)


@by_copy
def histogramdd(
    input: Value,
    bins: int | Sequence,
    range: Sequence[float] | None = None,
    weight: Value | None = None,
    density: bool = False,
) -> tuple[Value, tuple[Value, ...]]:
    """``(hist, bin_edges)`` of points, the rows of ``input``, one dimension of bins per column."""
    a = input._array
    if a.dtype not in (np.float32, np.float64):
        raise NotImplementedError(
            f"\"histogramdd\" not implemented for '{input.dtype.legacy_name}'"
        )
    if a.ndim < 2:
        raise RuntimeError("torch.histogramdd: input tensor should have at least 2 dimensions")
    points = a.reshape(-1, a.shape[-1])
    n = points.shape[1]
    bins = [bins] * n if isinstance(bins, int) else list(bins)
    if len(bins) != n:
        raise RuntimeError(
            f"torch.histogramdd(): expected {n} sequences of bins for a {n}-dimensional histogram, "
            f"got {len(bins)}"
        )
    place = np.zeros(len(points), np.int64)
    outside = np.zeros(len(points), bool)
    all_edges = []
    for i, b in enumerate(bins):
        low, high = (0.0, 0.0) if range is None else range[2 * i : 2 * i + 2]
        edges, even = _edges(b, points[:, i], low, high, i)
        own = _bins(points[:, i], edges, even)
        outside |= own < 0
        place = place * (len(edges) - 1) + own
        all_edges.append(edges)
    place[outside] = -1
    sizes = [len(e) - 1 for e in all_edges]
    w = None if weight is None else weight._array
    hist = _counts(place, math.prod(sizes), w, np.dtype(np.float64)).reshape(sizes)
    if density:
        hist = hist / hist.sum()
        for i, e in enumerate(all_edges):
            hist = hist / np.diff(e).reshape([-1 if d == i else 1 for d in np.arange(n)])
    made = wrap(hist.astype(a.dtype)), tuple([wrap(e.copy()) for e in all_edges])
    return return_types.histogramdd(made)


__all__ = [
    "bincount",
    "bucketize",
    "histc",
    "histogram",
    "histogramdd",
    "isin",
    "searchsorted",
    "unique",
    "unique_consecutive",
]
