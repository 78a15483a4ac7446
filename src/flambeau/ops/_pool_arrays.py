"""Pooling of arrays over any number of last dimensions, and its gradients.

Sums, maxima and the positions of maxima are found one axis at a time (a window is a product of
intervals), so a window of a by b costs a + b operations, not a * b. Windows are cut off at the
border: padding is never stored. Rules and results are those of torch.nn.functional.max_pool2d,
avg_pool2d and the rest; a window that holds a nan gives nan, at the position of its last one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ._axis_maps import WindowMap, apply_maps, part_map, taken, window_map
from ._windows import in_parts, working_dtype

if TYPE_CHECKING:
    from collections.abc import Sequence


def pooled_size(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> int:
    """Windows along an axis; with ceil_mode the last may be cut off, but starts inside."""
    spare = size + 2 * padding - dilation * (kernel - 1) - 1
    out = (spare + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (out - 1) * stride >= size + padding:
        out -= 1
    return out


def _window_maps(
    sizes: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> list[WindowMap]:
    return [
        window_map(n, k, s, p, d, pooled_size(n, k, s, p, d, ceil_mode))
        for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation)
    ]


# Averages


def avg_pool(
    x: np.ndarray,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
) -> np.ndarray:
    """Means over windows of the last len(kernel) axes of x (..., *sizes).

    Divided by `divisor`, or by the window's size: all of it within the padded array
    (count_include_pad) or what is inside x. Whole numbers are divided towards zero.
    """
    maps, count = _averages(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor)
    if x.dtype.kind in "iu":
        total, count = apply_maps(x, maps), np.asarray(count, x.dtype)
        return np.sign(total) * (np.abs(total) // count)
    return apply_maps(x, maps, after=count)


def avg_pool_gradient(
    grad: np.ndarray,
    sizes: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int | None = None,
) -> np.ndarray:
    """Gradient of `avg_pool` to its input of `sizes` (its last axes)."""
    lead = grad.shape[: grad.ndim - len(kernel)]
    x = np.broadcast_to(np.zeros((), grad.dtype), (*lead, *sizes))
    maps, count = _averages(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor)
    return apply_maps(grad, [m.transposed for m in maps], before=count)


def _averages(
    x: np.ndarray,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> tuple[list[WindowMap], np.ndarray | float]:
    """(window sums along each axis, what to divide them by)."""
    sizes = x.shape[x.ndim - len(kernel) :]
    maps = _window_maps(sizes, kernel, stride, padding, (1,) * len(kernel), ceil_mode)
    if divisor is not None:
        return maps, float(divisor)
    counts = []
    for n, k, s, p, m in zip(sizes, kernel, stride, padding, maps):
        starts = np.arange(m.out) * s - p
        stops = np.minimum(starts + k, n + p)
        if not count_include_pad:
            starts, stops = np.maximum(starts, 0), np.minimum(stops, n)
        counts.append(stops - starts)
    return maps, _product(counts, x.dtype)


def _product(counts: Sequence[np.ndarray], dtype: np.dtype) -> np.ndarray | float:
    """The sizes of all windows, from their lengths along each axis; one number if all equal."""
    if all(len(c) and (c == c[0]).all() for c in counts):
        return float(math.prod(int(c[0]) for c in counts))
    total = np.ones((), working_dtype(dtype))
    for c in counts:
        total = total[..., None] * c.astype(total.dtype)
    return total


def adaptive_avg_pool(x: np.ndarray, outs: Sequence[int]) -> np.ndarray:
    """Means over `outs` parts of each of the last axes of x, as equal in length as can be."""
    maps, count = _parts(x.shape[x.ndim - len(outs) :], outs, x.dtype)
    if max(outs, default=0) == 1:
        work = working_dtype(x.dtype)
        lead = x.shape[: x.ndim - len(outs)]
        total = x.reshape(*lead, math.prod(x.shape[len(lead) :])).sum(-1, dtype=work) / count
        return total.astype(x.dtype, copy=False).reshape(*lead, *outs)
    return apply_maps(x, maps, after=count)


def adaptive_avg_pool_gradient(grad: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Gradient of `adaptive_avg_pool` to its input, whose last axes are `sizes`."""
    maps, count = _parts(sizes, grad.shape[grad.ndim - len(sizes) :], grad.dtype)
    return apply_maps(grad, [m.transposed for m in maps], before=count)


def _parts(
    sizes: Sequence[int], outs: Sequence[int], dtype: np.dtype
) -> tuple[list[WindowMap], np.ndarray | float]:
    maps = [part_map(n, m) for n, m in zip(sizes, outs)]
    return maps, _product([m.counts for m in maps], dtype)


# Maxima


def max_pool(
    x: np.ndarray,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool = False,
    indices: bool = True,
) -> tuple[np.ndarray, np.ndarray | None]:
    """(maxima, positions) over windows of the last len(kernel) axes of x.

    A position counts elements of the flattened last axes (int64); of equal elements the first
    is taken. None, and less work, without `indices`.
    """
    sizes = x.shape[x.ndim - len(kernel) :]
    return _maxima(x, _window_maps(sizes, kernel, stride, padding, dilation, ceil_mode), indices)


def adaptive_max_pool(
    x: np.ndarray, outs: Sequence[int], indices: bool = True
) -> tuple[np.ndarray, np.ndarray | None]:
    """(maxima, positions) over the parts of `adaptive_avg_pool`."""
    sizes = x.shape[x.ndim - len(outs) :]
    return _maxima(x, [part_map(n, m) for n, m in zip(sizes, outs)], indices)


def fractional_max_pool(
    x: np.ndarray, kernel: Sequence[int], outs: Sequence[int], samples: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(maxima, positions) over windows at pseudo-random places (Graham 2014).

    x is (N, C, *sizes); samples (N, C, len(kernel)) in [0, 1), width first in two dimensions and
    last in three. Window i starts at floor((i + u) * a) - floor(u * a) with
    a = (size - kernel) / (out - 1), the last one at size - kernel.
    """
    sizes = x.shape[2:]
    out = np.empty((*x.shape[:2], *outs), x.dtype)
    where = np.empty(out.shape, np.int64)
    order = (1, 0) if len(sizes) == 2 else range(len(sizes))
    for n, c in np.ndindex(*x.shape[:2]):
        maps = []
        for axis, (size, k, m) in enumerate(zip(sizes, kernel, outs)):
            u = samples[n, c, order[axis]]
            starts = np.full(m, size - k)
            if m > 1:
                alpha = u.dtype.type((size - k) / (m - 1))
                i = np.arange(m - 1).astype(u.dtype)
                starts[:-1] = ((i + u) * alpha).astype(np.int64) - int(u * alpha)
            maps.append(WindowMap(size, starts, np.full(m, k)))
        out[n, c], where[n, c] = _maxima(x[n, c], maps, True)
    return out, where


def _maxima(
    x: np.ndarray, maps: Sequence[WindowMap], indices: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    lead, sizes = x.shape[: x.ndim - len(maps)], x.shape[x.ndim - len(maps) :]
    outs = tuple(m.out for m in maps)
    best = np.empty((*lead, *outs), x.dtype)
    where = np.empty(best.shape, np.int64) if indices else None
    if best.size == 0:
        return best, where
    planes = math.prod(lead)
    source, result = x.reshape(planes, *sizes), best.reshape(planes, *outs)
    work = working_dtype(x.dtype)

    def part(these: slice) -> None:
        y = source[these].astype(work, copy=False)
        nans = work.kind == "f" and bool(np.isnan(y.max()))
        at, inner = None, 1
        for axis in range(-1, -len(maps) - 1, -1):
            m = maps[axis]
            y, tap = _axis_maxima(y, m, axis, indices, nans)
            if tap is not None:
                at = _positions(m, axis, tap, at, inner)
                inner *= m.size
        result[these] = y
        if where is not None:
            where.reshape(result.shape)[these] = at

    in_parts(part, planes, 2 * x.size // max(1, planes) * work.itemsize)
    return best, where


def _axis_maxima(
    y: np.ndarray, m: WindowMap, axis: int, indices: bool, nans: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Maxima of the windows along one axis, and the number of the tap each is at.

    Taps come in ascending order and count where they exceed all before, so the tap of the maximum
    is the largest that did: arithmetic instead of masks, which the processor cannot predict.
    """
    shape = list(y.shape)
    shape[axis] = m.out
    tail = (1,) * (-axis - 1)
    small = np.uint8 if max(m.taps, default=0) < 256 else np.int32
    steps = list(zip(m.taps, m.steps))
    tap_at = None
    if steps and steps[0][1][3]:
        best = np.array(taken(y, steps[0][1][1], axis))
        first = steps.pop(0)[0]
        if indices:
            tap_at = np.full(shape, first, small)
    else:
        lowest = -np.inf if y.dtype.kind == "f" else np.iinfo(y.dtype).min
        best = np.full(shape, lowest, y.dtype)
        if indices:
            tap_at = np.empty(shape, small)
            tap_at[...] = m.first.reshape(-1, *tail)
    for tap, (rows, cols, _, _) in steps:
        target = (..., rows, *(slice(None),) * len(tail))
        term, known = taken(y, cols, axis), best[target]
        if tap_at is not None:
            better = term > known
            if nans:
                better |= term != term
            tap_at[target] = np.maximum(tap_at[target], better * small(tap))
        best[target] = np.maximum(known, term)
    return best, tap_at


def _positions(
    m: WindowMap, axis: int, tap: np.ndarray, at: np.ndarray | None, inner: int
) -> np.ndarray:
    """Places of maxima in the flattened axes from `axis` on, given those in the axes after it."""
    starts = m.starts.reshape(-1, *(1,) * (-axis - 1))
    place = tap * np.int64(m.step) + starts
    if m.counts.min() == 0:
        place = place.clip(0, m.size - 1)
    if at is None:
        return place
    # at[..., place, rest]: the inner position that belongs to the chosen element of this axis
    outer, rest = math.prod(at.shape[:axis]), math.prod(at.shape[axis + 1 :])
    index = place.reshape(outer, m.out, rest) * rest
    index += np.arange(0, at.size, m.size * rest).reshape(-1, 1, 1) + np.arange(rest)
    return place * inner + at.take(index).reshape(place.shape)


def pooled_gather(x: np.ndarray, indices: np.ndarray, dims: int) -> np.ndarray:
    """x at `indices` into its flattened last `dims` axes, plane by plane; shaped as indices."""
    lead = x.shape[: x.ndim - dims]
    flat = x.reshape(*lead, -1)
    where = indices.reshape(*lead, -1)
    return np.take_along_axis(flat, where, -1).reshape(indices.shape)


def pooled_scatter(grad: np.ndarray, indices: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Zeros (*lead, *sizes) with each of `grad` added where `indices` says, plane by plane.

    The transpose of `pooled_gather`: the gradient of every maximum pooling.
    """
    lead = grad.shape[: grad.ndim - len(sizes)]
    planes, size = math.prod(lead), math.prod(sizes)
    out = np.zeros((planes, size), grad.dtype)
    if out.size == 0 or grad.size == 0:
        return out.reshape(*lead, *sizes)
    g, where = grad.reshape(planes, -1), indices.reshape(planes, -1)

    def part(these: slice) -> None:
        at = where[these]
        count = len(at)
        at = at + np.arange(0, count * size, size)[:, None]
        total = np.bincount(at.ravel(), g[these].ravel(), count * size)
        out[these] = total.reshape(count, size)

    in_parts(part, planes, 8 * (size + g.shape[1]))
    return out.reshape(*lead, *sizes)


def max_unpool(x: np.ndarray, indices: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Zeros (*lead, *sizes) with x written where `indices` says; the last of several wins.

    RuntimeError where an index is outside the flattened `sizes`.
    """
    lead = x.shape[: x.ndim - len(sizes)]
    planes, size = math.prod(lead), math.prod(sizes)
    if indices.size and not 0 <= indices.min() <= indices.max() < size:
        bad = indices[(indices < 0) | (indices >= size)][0]
        raise RuntimeError(
            f"Found an invalid max index: {bad} (output volumes are of size "
            f"{'x'.join(map(str, sizes))})"
        )
    out = np.zeros((planes, size), x.dtype)
    if x.size:
        where = indices.reshape(planes, -1)
        np.put_along_axis(out, where, x.reshape(planes, -1), -1)
    return out.reshape(*lead, *sizes)
