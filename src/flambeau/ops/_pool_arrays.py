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

from ..core import threads
from ._axis_maps import WindowMap, apply_maps, part_map, taken, window_map
from ._windows import in_parts, windows, working_dtype

if TYPE_CHECKING:
    from collections.abc import Sequence


# Taps of a window up to which looking at each one is faster than one axis after the other.
FEW_TAPS = 9
KERNEL = 1 << 12  # elements from which a compiled kernel is asked for


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
    sizes = x.shape[x.ndim - len(kernel) :]
    maps, counts = averages(sizes, kernel, stride, padding, ceil_mode, count_include_pad, divisor)
    count = _product(counts, x.dtype)
    if x.dtype.kind in "iu":
        total, count = apply_maps(x, maps), np.asarray(count, x.dtype)
        return np.sign(total) * np.sign(count) * (np.abs(total) // np.abs(count))
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
    maps, counts = averages(sizes, kernel, stride, padding, ceil_mode, count_include_pad, divisor)
    count = _product(counts, grad.dtype)
    return apply_maps(grad, [m.transposed for m in maps], before=count)


def averages(
    sizes: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> tuple[list[WindowMap], list[np.ndarray]]:
    """(window sums along each axis, what to divide them by: along each axis for each window)."""
    maps = _window_maps(sizes, kernel, stride, padding, (1,) * len(kernel), ceil_mode)
    if divisor is not None:
        return maps, [np.full(m.out, 1 if k else divisor) for k, m in enumerate(maps)]
    counts = []
    for n, k, s, p, m in zip(sizes, kernel, stride, padding, maps):
        starts = np.arange(m.out) * s - p
        stops = np.minimum(starts + k, n + p)
        if not count_include_pad:
            starts, stops = np.maximum(starts, 0), np.minimum(stops, n)
        counts.append(stops - starts)
    return maps, counts


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
    maps, counts = parts(x.shape[x.ndim - len(outs) :], outs)
    count = _product(counts, x.dtype)
    if max(outs, default=0) == 1:
        work = working_dtype(x.dtype)
        lead = x.shape[: x.ndim - len(outs)]
        total = x.reshape(*lead, math.prod(x.shape[len(lead) :])).sum(-1, dtype=work) / count
        return total.astype(x.dtype, copy=False).reshape(*lead, *outs)
    return apply_maps(x, maps, after=count)


def adaptive_avg_pool_gradient(grad: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Gradient of `adaptive_avg_pool` to its input, whose last axes are `sizes`."""
    maps, counts = parts(sizes, grad.shape[grad.ndim - len(sizes) :])
    count = _product(counts, grad.dtype)
    return apply_maps(grad, [m.transposed for m in maps], before=count)


def parts(sizes: Sequence[int], outs: Sequence[int]) -> tuple[list[WindowMap], list[np.ndarray]]:
    """``averages`` over parts of each axis, as equal in length as can be."""
    maps = [part_map(n, m) for n, m in zip(sizes, outs)]
    return maps, [m.counts for m in maps]


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
    maps = _window_maps(sizes, kernel, stride, padding, dilation, ceil_mode)
    routine = threads.routine("max_pool") if indices and x.size >= KERNEL else None
    if routine is not None and all(m.counts.min() > 0 for m in maps if m.out):
        compiled = routine(x, tuple(m.out for m in maps), kernel, stride, padding, dilation)
        if compiled is not None:
            return compiled
    inside = all(m.starts[0] == 0 and m.counts.min() == k for m, k in zip(maps, kernel) if m.out)
    if indices and inside and math.prod(kernel) <= FEW_TAPS:
        return _few_maxima(x, kernel, stride, dilation, tuple(m.out for m in maps))
    return _maxima(x, maps, indices)


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


def _few_maxima(
    x: np.ndarray,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    outs: tuple[int, ...],
) -> tuple[np.ndarray, np.ndarray]:
    """(maxima, positions) over windows of few taps that are all inside, tap by tap."""
    lead, sizes = x.shape[: x.ndim - len(kernel)], x.shape[x.ndim - len(kernel) :]
    best = np.empty((*lead, *outs), x.dtype)
    where = np.empty(best.shape, np.int64)
    if best.size == 0:
        return best, where
    planes = math.prod(lead)
    source, result = x.reshape(planes, *sizes), best.reshape(planes, *outs)
    places = where.reshape(result.shape)
    work = working_dtype(x.dtype)
    flat = np.arange(math.prod(sizes)).reshape(sizes)
    # the position of each tap in the first window, and of the first tap in each window
    taps = windows(flat, kernel, stride, dilation)
    offsets = taps[(..., *(0,) * len(outs))].reshape(-1)
    starts = np.ascontiguousarray(taps[(0,) * len(kernel)])

    def part(these: slice) -> None:
        y = source[these].astype(work, copy=False)
        view = windows(y, kernel, stride, dilation)
        nans = work.kind == "f" and bool(np.isnan(y.max()))
        top = np.array(view[(slice(None), *(0,) * len(kernel))], order="C")
        at = np.zeros(top.shape, np.uint8)
        for number, tap in enumerate(np.ndindex(*kernel)):
            if number == 0:
                continue
            term = np.ascontiguousarray(view[(slice(None), *tap)])
            better = term > top
            if nans:
                better |= term != term
            # the number of the last tap that exceeded all before it
            np.maximum(at, better.view(np.uint8) * np.uint8(number), out=at)
            np.maximum(top, term, out=top)
        result[these] = top
        np.add(offsets.take(at), starts, places[these])

    in_parts(part, planes, 2 * x.size // max(1, planes) * work.itemsize)
    return best, where


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
    routine = threads.routine("pooled_scatter") if grad.size >= KERNEL else None
    compiled = None if routine is None else routine(grad, indices, tuple(sizes))
    if compiled is not None:
        return compiled
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


# What arguments must satisfy; the rules and the words of the errors are PyTorch's

_NUMBERS = {1: "one int", 2: "two ints", 3: "three ints"}


def pool_settings(
    name: str,
    x: Sequence[int],
    kernel: int | Sequence[int],
    stride: int | Sequence[int] | None,
    padding: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    divisor: int | None = None,
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """(kernel, stride, padding, dilation) of `name`, max_pool1d to avg_pool3d, for each dimension.

    x is (N, C, *sizes) or (C, *sizes); stride None or () is the kernel.
    """
    dims = int(name[-2])
    kernel = _per_dimension(name, "kernel_size", kernel, dims)
    stride = kernel if stride in (None, (), []) else _per_dimension(name, "stride", stride, dims)
    padding = _per_dimension(name, "padding", padding, dims)
    dilation = _per_dimension(name, "dilation", dilation, dims)
    if divisor == 0:
        raise RuntimeError(f"{name}: divisor must be not zero")
    _check_images(name, x, dims)
    if 0 in stride:
        raise RuntimeError(f"{name}: stride should not be zero, but got {list(stride)}")
    for what, values in (("kernel size", kernel), ("stride", stride), ("dilation", dilation)):
        if min(values) < 1:
            raise RuntimeError(
                f"{name}: {what} should be greater than zero, but got {list(values)}"
            )
    for k, p, d in zip(kernel, padding, dilation):
        if p < 0:
            raise RuntimeError(f"{name}: pad must be non-negative, but got pad: {p}")
        if 2 * p > (k - 1) * d + 1:
            raise RuntimeError(
                f"{name}: pad should be at most half of effective kernel size, but got pad={p}, "
                f"kernel_size={k} and dilation={d}"
            )
        if 2 * p > k:
            raise RuntimeError(
                f"{name}: pad should be smaller than or equal to half of kernel size, but got "
                f"pad={p} and kernel_size={k}"
            )
    sizes = x[len(x) - dims :]
    outs = [
        pooled_size(n, k, s, p, d, ceil_mode)
        for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation)
    ]
    if min(outs) < 1:
        channels = x[len(x) - dims - 1]
        raise RuntimeError(
            f"Given input size: ({'x'.join(map(str, (channels, *sizes)))}). Calculated output "
            f"size: ({'x'.join(map(str, (channels, *outs)))}). Output size is too small"
        )
    return kernel, stride, padding, dilation


def adaptive_settings(
    name: str, x: Sequence[int], output_size: int | None | Sequence[int | None]
) -> tuple[int, ...]:
    """The output sizes of `name`, adaptive_avg_pool1d to adaptive_max_pool3d; None keeps one."""
    dims = int(name[-2])
    if output_size is None or isinstance(output_size, int):
        output_size = (output_size,) * dims
    if len(output_size) != dims:
        raise RuntimeError(
            f"{name}(): argument 'output_size' should contain {_NUMBERS[dims]} "
            f"(got {len(output_size)}); output_size must be {dims}"
        )
    if len(x) not in (dims + 1, dims + 2):
        if len(x) <= dims:
            raise ValueError(f"Input dimension should be at least {dims + 1}, got {len(x)}")
        raise RuntimeError(
            f"{name}(): Expected {dims + 1}D or {dims + 2}D tensor, but got {list(x)}"
        )
    outs = tuple(n if m is None else int(m) for n, m in zip(x[len(x) - dims :], output_size))
    if min(outs) < 0:
        raise RuntimeError(
            f"{name}: elements of output_size must be greater than or equal to 0 but received "
            f"{list(outs)}"
        )
    for axis in range(1 if "avg" not in name else len(x) - dims, len(x)):
        if x[axis] == 0:
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but "
                f"input has sizes {list(x)} with dimension {axis} being empty"
            )
    return outs


def _check_images(name: str, x: Sequence[int], dims: int) -> None:
    ranks = f"{dims + 1}D or {dims + 2}D"
    if len(x) not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"{name}: Expected {ranks} (batch mode) tensor with optional 0 dim batch size for "
            f"input, a non-empty {ranks} (batch mode) tensor, but got:{list(x)}"
        )
    if 0 in x[len(x) - dims - 1 :]:
        raise RuntimeError(
            f"{name}: Expected {ranks} (batch mode) tensor with optional 0 dim batch size for "
            f"input, but got:{list(x)}. Expected input's non-batch dimensions to have positive "
            "length"
        )


def _per_dimension(name: str, what: str, value: int | Sequence[int], dims: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(int(v) for v in value)
    if len(values) not in (1, dims):
        omitted = "omitted, " if what == "stride" else ""
        raise RuntimeError(
            f"{name}: {what} must either be {omitted}a single int, or a tuple of "
            f"{_NUMBERS[dims]}, but got {len(values)}"
        )
    return values * dims if len(values) == 1 else values
