"""Formulas for a device: convolution, pooling, and what is linear along each axis of an image.

Convolution is one product over all positions of a batch, of the kernel with the elements that it
sees at each (im2col: a view of the padded images, copied). Pooling and resizing take the elements
that each output element sees, axis by axis, as the maps of ``ops._axis_maps`` list them.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..ops import _sampling_arrays as sampling
from ..ops._axis_maps import AxisMap
from ..ops._pool_arrays import _product, _window_maps, averages, parts
from ..ops._windows import Pads, inner_boxes, window_count
from ..ops.padding import _places
from .arrays import given, strided
from .index_rules import add_at
from .rules import elementwise, formula, xp
from .twins import twin

Array = Any

#: Elements that are copied for one product: 1 GiB of float32.
_COLUMNS = 1 << 28


# ---- convolution ---------------------------------------------------------------------------------


def _padded(x: Array, pads: Pads) -> Array:
    """``x`` with zeros around its last dimensions; negative sizes crop."""
    if not any(a or b for a, b in pads):
        return x
    lead = x.ndim - len(pads)
    sizes = [n + a + b for n, (a, b) in zip(x.shape[lead:], pads)]
    out = xp().zeros((*x.shape[:lead], *sizes), x.dtype)
    inside, image = inner_boxes(x.shape[lead:], pads)
    out[inside] = x[image]
    return out


def windows(
    x: Array, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> Array:
    """See ``ops._windows.windows``: a view (*lead, *kernel, *out)."""
    lead = x.ndim - len(kernel)
    out = tuple(map(window_count, x.shape[lead:], kernel, stride, dilation))
    steps = x.strides[lead:]
    strides = (
        *x.strides[:lead],
        *(s * d for s, d in zip(steps, dilation)),
        *(s * d for s, d in zip(steps, stride)),
    )
    return strided(x, (*x.shape[:lead], *kernel, *out), strides)


def _by_tap(images: Array, kernel: tuple, stride: tuple, dilation: tuple) -> Array:
    """What the kernel sees of padded images, as a view (C, *kernel, N, *out)."""
    return xp().moveaxis(windows(images, kernel, stride, dilation), 0, 1 + len(kernel))


def _parts(count: int, each: int) -> list[slice]:
    """``count`` images in parts whose columns, ``each`` elements an image, are not too many."""
    step = max(1, _COLUMNS // max(1, each))
    return [slice(i, min(i + step, count)) for i in range(0, count, step)]


def _is_pointwise(kernel: tuple, stride: tuple, padding: Pads) -> bool:
    """Whether the images are the columns: each position sees itself."""
    return max(kernel) == 1 and max(stride) == 1 and not any(map(any, padding))


def _by_channel(grad: Array, groups: int) -> Array:
    """(N, O, *out) as (groups, O / groups, N * positions)."""
    n, o = grad.shape[:2]
    g = grad.reshape(n, groups, o // groups, -1).transpose(1, 2, 0, 3)
    return g.reshape(groups, o // groups, -1)


@formula("convolution")
def _convolve(
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: tuple,
    padding: Pads,
    dilation: tuple,
    groups: int,
) -> Array:
    kernel = weight.shape[2:]
    sizes = [n + a + b for n, (a, b) in zip(x.shape[2:], padding)]
    out = tuple(map(window_count, sizes, kernel, stride, dilation))
    n, c, o = x.shape[0], x.shape[1], weight.shape[0]
    result = xp().empty((n, o, *out), x.dtype)
    if bias is not None:
        bias = bias.reshape(-1, *(1,) * len(out))
    if not (result.size and x.size):
        result[...] = 0 if bias is None else bias
        return result
    matrix = weight.reshape(groups, o // groups, -1)
    if _is_pointwise(kernel, stride, padding):
        result = xp().matmul(matrix, x.reshape(n, groups, c // groups, -1)).reshape(result.shape)
        if bias is not None:
            result += bias
        return result
    for part in _parts(n, c * math.prod(kernel) * math.prod(out)):
        columns = _by_tap(_padded(x[part], padding), kernel, stride, dilation)
        columns = columns.reshape(groups, matrix.shape[2], -1)
        found = xp().matmul(matrix, columns).reshape(o, -1, *out).swapaxes(0, 1)
        if bias is None:
            result[part] = found
        else:
            xp().add(found, bias, out=result[part])
    return result


@formula("convolution_transposed")
def _convolve_transposed(
    x: Array,
    weight: Array,
    bias: Array | None,
    sizes: tuple,
    stride: tuple,
    padding: Pads,
    dilation: tuple,
    groups: int,
) -> Array:
    kernel = weight.shape[2:]
    n, o, c = x.shape[0], weight.shape[0], weight.shape[1] * groups
    result = xp().zeros((n, c, *sizes), x.dtype)
    matrix = weight.reshape(groups, o // groups, -1).swapaxes(1, 2)
    if not (result.size and x.size):
        pass
    elif _is_pointwise(kernel, stride, padding):
        result = xp().matmul(matrix, x.reshape(n, groups, o // groups, -1)).reshape(result.shape)
    else:
        frame_sizes = [m + a + b for m, (a, b) in zip(sizes, padding)]
        inside, image = inner_boxes(sizes, padding)
        for part in _parts(n, c * math.prod(kernel) * math.prod(x.shape[2:])):
            columns = xp().matmul(matrix, _by_channel(x[part], groups))
            frame = xp().zeros((part.stop - part.start, c, *frame_sizes), x.dtype)
            view = _by_tap(frame, kernel, stride, dilation)
            _add_taps(view, columns.reshape(view.shape), kernel)
            result[part][image] = frame[inside]
    if bias is not None:
        result += bias.reshape(-1, *(1,) * len(sizes))
    return result


def _add_taps(view: Array, columns: Array, kernel: tuple) -> None:
    """Add to what ``view`` (C, *kernel, ...) shows, tap by tap, since windows overlap."""
    for tap in np.ndindex(*kernel):
        target = view[(slice(None), *tap)]
        target += columns[(slice(None), *tap)]


@formula("convolution_weight_gradient")
def _convolve_weight_gradient(
    grad: Array,
    x: Array,
    kernel: tuple,
    stride: tuple,
    padding: Pads,
    dilation: tuple,
    groups: int,
) -> Array:
    n, o, c = grad.shape[0], grad.shape[1], x.shape[1]
    rows = c // groups * math.prod(kernel)
    total = None
    if grad.size and x.size:
        for part in _parts(n, c * math.prod(kernel) * math.prod(grad.shape[2:])):
            columns = _by_tap(_padded(x[part], padding), kernel, stride, dilation)
            columns = columns.reshape(groups, rows, -1).swapaxes(1, 2)
            found = xp().matmul(_by_channel(grad[part], groups), columns)
            total = found if total is None else total + found
    if total is None:
        total = xp().zeros((groups, o // groups, rows), x.dtype)
    return total.reshape(o, c // groups, *kernel)


@formula("im2col")
def _unfold(x: Array, kernel: tuple, stride: tuple, padding: Pads, dilation: tuple) -> Array:
    n, rows = x.shape[0], x.shape[1] * math.prod(kernel)
    if not x.size:
        sizes = [m + a + b for m, (a, b) in zip(x.shape[2:], padding)]
        positions = math.prod(map(window_count, sizes, kernel, stride, dilation))
        return xp().zeros((n, rows, positions), x.dtype)
    view = windows(_padded(x, padding), kernel, stride, dilation)
    return xp().ascontiguousarray(view).reshape(n, rows, -1)


@formula("col2im")
def _fold(
    columns: Array, sizes: tuple, kernel: tuple, stride: tuple, padding: Pads, dilation: tuple
) -> Array:
    n, c = columns.shape[0], columns.shape[1] // math.prod(kernel)
    result = xp().zeros((n, c, *sizes), columns.dtype)
    if columns.size:
        frame_sizes = [m + a + b for m, (a, b) in zip(sizes, padding)]
        frame = xp().zeros((n, c, *frame_sizes), columns.dtype)
        view = _by_tap(frame, kernel, stride, dilation)
        columns = columns.reshape(
            n, c, *view.shape[1 : 1 + len(kernel)], *view.shape[-len(sizes) :]
        )
        _add_taps(view, xp().moveaxis(columns, 0, 1 + len(kernel)), kernel)
        inside, image = inner_boxes(sizes, padding)
        result[image] = frame[inside]
    return result


# ---- maps along axes -----------------------------------------------------------------------------

#: Elements that each element of a result sees, up to which they are taken one after the other.
_FEW = 16

_tables: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


class _Table(NamedTuple):
    """For each element of a map's result the elements that it sees, in the map's order."""

    places: Array  # (out, most); where there are no more, the last one again
    there: Array | None  # which of them are there; None if all
    weights: Array | None
    empty: bool  # whether one sees none


def _table(m: AxisMap) -> _Table:
    """The map on the device."""
    if m not in _tables:
        rounds = m.rounds
        rows = np.concatenate([r[0] for r in rounds]) if rounds else np.zeros(0, np.int64)
        order = np.argsort(rows, kind="stable")
        rows = rows[order]
        rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
        shape = m.out, int(rank.max(initial=0)) + 1
        places, there = np.zeros(shape, np.int64), np.zeros(shape, bool)
        there[rows, rank] = True
        weights = None
        if rounds:
            columns = np.concatenate([r[1] for r in rounds])[order]
            places[rows] = columns[:, None]  # where there are no more, the last one again
            places[rows, rank] = columns
            if rounds[0][2] is not None:
                weights = np.zeros(shape)
                weights[rows, rank] = np.concatenate([r[2] for r in rounds])[order]
        _tables[m] = _Table(
            given(places),
            None if there.all() else given(there),
            None if weights is None else given(weights),
            not there[:, 0].all(),
        )
    return _tables[m]


def _seen_along(x: Array, m: AxisMap, axis: int, nothing: Any) -> Array:
    """(..., out, most, ...): what each element sees along ``axis``, and ``nothing`` after it."""
    places, there, *_ = _table(m)
    found = x.take(places, axis)
    if there is None:
        return found
    tail = (1,) * (x.ndim - axis - 1)
    return xp().where(there.reshape(*there.shape, *tail), found, x.dtype.type(nothing))


def _mapped_along(x: Array, m: AxisMap, axis: int) -> Array:
    places, there, weights, _ = _table(m)
    most = places.shape[1]
    if there is None and most <= _FEW:
        shape = (-1, *(1,) * (x.ndim - axis - 1))
        if weights is not None:
            weights = weights.astype(x.dtype)
        total = None
        for k in range(most):
            term = x.take(places[:, k], axis)
            if weights is not None:
                term *= weights[:, k].reshape(shape)
            total = term if total is None else xp().add(total, term, out=total)
        return total
    found = _seen_along(x, m, axis, 0)
    if weights is not None:
        tail = (1,) * (x.ndim - axis - 1)
        found = found * weights.astype(x.dtype).reshape(*weights.shape, *tail)
    return found.sum(axis + 1, dtype=x.dtype)


def apply_maps(x: Array, maps: Sequence[AxisMap], before: Any = None, after: Any = None) -> Array:
    """See ``ops._axis_maps.apply_maps``."""
    lead = x.ndim - len(maps)
    sizes = tuple([m.out for m in maps])
    if 0 in sizes or not x.size:
        return xp().zeros((*x.shape[:lead], *sizes), x.dtype)
    if before is not None:
        x = x / given(before)
    axes = list(range(len(maps)))
    if maps[-1].out > maps[-1].size:
        axes.reverse()
    for k in axes:
        x = _mapped_along(x, maps[k], lead + k)
    return x if after is None else x / given(after)


# ---- means and resizing --------------------------------------------------------------------------


@formula("avg_pool2d avg_pool3d")
def _avg_pool(x: Array, kernel: tuple, *settings: Any) -> Array:
    maps, counts = averages(x.shape[x.ndim - len(kernel) :], kernel, *settings)
    count = _product(counts, x.dtype)
    if x.dtype.kind in "iu":  # divided towards zero
        total, count = apply_maps(x, maps), given(np.asarray(count, x.dtype))
        return xp().sign(total) * np.sign(count) * (abs(total) // abs(count))
    return apply_maps(x, maps, after=count)


@formula("avg_pool2d_backward avg_pool3d_backward")
def _avg_pool_backward(grad: Array, sizes: tuple, *settings: Any) -> Array:
    maps, counts = averages(sizes, *settings)
    count = _product(counts, grad.dtype)
    return apply_maps(grad, [m.transposed for m in maps], before=count)


@formula("adaptive_avg_pool2d adaptive_avg_pool3d")
def _adaptive_avg_pool(x: Array, outs: tuple) -> Array:
    maps, counts = parts(x.shape[x.ndim - len(outs) :], outs)
    return apply_maps(x, maps, after=_product(counts, x.dtype))


@formula("adaptive_avg_pool2d_backward adaptive_avg_pool3d_backward")
def _adaptive_avg_pool_backward(grad: Array, sizes: tuple) -> Array:
    maps, counts = parts(sizes, grad.shape[grad.ndim - len(sizes) :])
    count = _product(counts, grad.dtype)
    return apply_maps(grad, [m.transposed for m in maps], before=count)


_RESIZING = """upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_nearest_exact1d
    upsample_nearest_exact2d upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d
    upsample_bicubic2d upsample_trilinear3d upsample_bilinear2d_aa upsample_bicubic2d_aa
    upsample_lanczos2d_aa"""


@formula(_RESIZING)
def _interpolate(x: Array, outs: tuple, mode: str, *settings: Any) -> Array:
    if x.dtype == np.uint8 and not mode.startswith("nearest"):
        return NotImplemented
    sizes = x.shape[x.ndim - len(outs) :]
    return apply_maps(x, sampling._maps(sizes, outs, mode, *settings, x.dtype))


@formula(" ".join(f"{name}_backward" for name in _RESIZING.split()))
def _interpolate_backward(grad: Array, sizes: tuple, mode: str, *settings: Any) -> Array:
    outs = grad.shape[grad.ndim - len(sizes) :]
    maps = sampling._maps(sizes, outs, mode, *settings, grad.dtype)
    return apply_maps(grad, [m.transposed for m in maps])


@formula(
    """reflection_pad1d_backward reflection_pad2d_backward reflection_pad3d_backward
    replication_pad1d_backward replication_pad2d_backward replication_pad3d_backward
    pad_circular_backward"""
)
def _unpadded(x: Array, borders: tuple, shape: tuple) -> Array:
    for d, *border in reversed(borders):
        sizes = list(x.shape)
        sizes[d] = shape[d]
        out = xp().zeros(sizes, x.dtype)
        add_at(out, (*(slice(None),) * d, given(_places(*border))), x)
        x = out
    return x


# ---- maxima --------------------------------------------------------------------------------------


def _largest(x: Array, places: Array, axis: int) -> tuple[Array, Array]:
    """(the largest of what each element sees along ``axis``, its number), in one kernel."""
    count = places.shape[1]
    seen = [x.take(places[:, k], axis) for k in range(count)]
    best, tap = xp().empty_like(seen[0]), xp().empty_like(seen[0])
    names = [f"v{k}" for k in range(count)]
    text = "b = v0; t = T(0)"
    for k, v in enumerate(names[1:], 1):
        better = f"({v} > b) | ({v} != {v})"
        text += f"; t = choose({better}, T({k}), t); b = choose({better}, {v}, b)"
    elementwise(" ".join(names), "b t", text, *seen, best, tap)
    return best, tap.astype(np.int64)


def _maxima(x: Array, maps: Sequence[AxisMap]) -> tuple[Array, Array]:
    """(maxima, their places in the flattened last axes); of equal ones the first, or the last nan.
    One axis after the other, the last one first."""
    lead = x.ndim - len(maps)
    if 0 in [m.out for m in maps] or not x.size:
        shape = (*x.shape[:lead], *[m.out for m in maps])
        return xp().zeros(shape, x.dtype), xp().zeros(shape, np.int64)
    kind = x.dtype.kind
    lowest = -np.inf if kind == "f" else False if kind == "b" else np.iinfo(x.dtype).min
    where, inner = None, 1
    for k in reversed(range(len(maps))):
        axis = lead + k
        places, *_, empty = _table(maps[k])
        if kind == "f" and places.shape[1] <= _FEW and not empty:
            x, tap = _largest(x, places, axis)
        else:
            seen = _seen_along(x, maps[k], axis, lowest)
            most = seen.shape[axis + 1]
            tap, x = seen.argmax(axis + 1), seen.max(axis + 1)
            if kind == "f":
                turned = xp().isnan(xp().flip(seen, axis + 1))
                tap = xp().where(xp().isnan(x), most - 1 - turned.argmax(axis + 1), tap)
        row = xp().arange(maps[k].out).reshape(-1, *(1,) * (x.ndim - axis - 1))
        place = places[row, tap]
        if where is not None:
            seen = where.take(places, axis)
            tap = xp().expand_dims(tap, axis + 1)
            where = xp().take_along_axis(seen, tap, axis + 1).reshape(x.shape)
        where = place if where is None else place * inner + where
        inner *= maps[k].size
    return x, where


@formula("max_pool2d_with_indices max_pool3d_with_indices")
def _max_pool(
    x: Array, kernel: tuple, stride: tuple, padding: tuple, dilation: tuple, ceil_mode: bool = False
) -> tuple[Array, Array]:
    sizes = x.shape[x.ndim - len(kernel) :]
    return _maxima(x, _window_maps(sizes, kernel, stride, padding, dilation, ceil_mode))


@formula("adaptive_max_pool2d adaptive_max_pool3d")
def _adaptive_max_pool(x: Array, outs: tuple) -> tuple[Array, Array]:
    return _maxima(x, parts(x.shape[x.ndim - len(outs) :], outs)[0])


@formula("max_pool_backward")
def _pooled_scatter(grad: Array, indices: Array, sizes: tuple) -> Array:
    lead = grad.shape[: grad.ndim - len(sizes)]
    planes, size = math.prod(lead), math.prod(sizes)
    out = xp().zeros(planes * size, grad.dtype)
    if out.size and grad.size:
        at = indices.reshape(planes, -1) + xp().arange(0, planes * size, size)[:, None]
        add_at(out, at.reshape(-1), grad.reshape(-1))
    return out.reshape(*lead, *sizes)


# ---- grids ---------------------------------------------------------------------------------------


@formula("grid_sampler_2d grid_sampler_3d")
def _grid_sample(x: Array, grid: Array, mode: str, padding_mode: str, align_corners: bool) -> Array:
    n, channels, *sizes = x.shape
    outs = grid.shape[1:-1]
    shape = (n, channels, math.prod(outs))
    flat = x.reshape(n, channels, -1)
    total = xp().zeros(shape, x.dtype)
    if not total.size:
        return total.reshape(n, channels, *outs)
    neighbours = twin(sampling._neighbours)(grid, sizes, mode, padding_mode, align_corners)
    for at, inside, weight, _ in neighbours:
        term = xp().take_along_axis(flat, _for_channels(at, shape), 2)
        if inside is not None:
            term = xp().where(_for_channels(inside, shape), term, x.dtype.type(0))
        total += term * (weight if not weight.ndim else _for_channels(weight, shape))
    return total.reshape(n, channels, *outs)


def _for_channels(values: Array, shape: tuple) -> Array:
    """What there is for each place of each image, the same for all channels."""
    return xp().broadcast_to(values.reshape(shape[0], 1, shape[2]), shape)


@formula("grid_sampler_backward")
def _grid_sample_backward(
    grad: Array, x: Array, grid: Array, mode: str, padding_mode: str, align_corners: bool
) -> tuple[Array, Array]:
    n, channels, *sizes = x.shape
    size, outs = math.prod(sizes), grid.shape[1:-1]
    shape = (n, channels, math.prod(outs))
    flat, g = x.reshape(n, channels, size), grad.reshape(shape)
    to_x = xp().zeros(n * channels * size, x.dtype)
    to_grid = xp().zeros((n, shape[2], len(sizes)), grid.dtype)
    rows = xp().arange(0, n * channels * size, size).reshape(n, channels, 1)
    if grad.size:
        neighbours = twin(sampling._neighbours)(grid, sizes, mode, padding_mode, align_corners)
        for at, inside, weight, rises in neighbours:
            at = _for_channels(at, shape)
            share = g * (weight if not weight.ndim else _for_channels(weight, shape))
            if inside is not None:
                share = xp().where(_for_channels(inside, shape), share, x.dtype.type(0))
            add_at(to_x, (rows + at).reshape(-1), share.reshape(-1))
            if not rises:
                continue
            value = (xp().take_along_axis(flat, at, 2) * g).sum(1)
            if inside is not None:
                value = xp().where(inside.reshape(value.shape), value, x.dtype.type(0))
            for axis, rise in enumerate(rises):
                to_grid[:, :, len(sizes) - 1 - axis] += value * rise.reshape(value.shape)
    return to_x.reshape(x.shape), to_grid.reshape(grid.shape)
