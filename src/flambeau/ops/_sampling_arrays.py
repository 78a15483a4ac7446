"""Images resized, and images sampled at given places, with the gradients of both.

Resizing is a product of one sparse linear map per axis, built here from the formulas of
torch.nn.functional.interpolate; its gradient is the product of their transposes. Places are
computed in the arithmetic of the images (float32 for halves), so that a nearest neighbour is the
same one even where the product of size and scale is nearly a whole number.

A grid (N, *outs, d) holds, for each output element, a place in x (N, C, *sizes) with d sizes: last
size first, -1 and 1 at the borders (torch.nn.functional.grid_sample, affine_grid).
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ._axis_maps import AxisMap, apply_maps
from ._pool_arrays import adaptive_avg_pool, adaptive_avg_pool_gradient
from ._windows import working_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    # (flat places, whether they are inside, weight, derivative of the weight along each axis)
    Neighbour = tuple[np.ndarray, np.ndarray | None, np.ndarray, list[np.ndarray]]

# Resizing

_KINDS = {"bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}


def interpolate(
    x: np.ndarray,
    outs: Sequence[int],
    mode: str,
    align_corners: bool = False,
    scales: Sequence[float | None] | None = None,
    antialias: bool = False,
) -> np.ndarray:
    """x (..., *sizes) resized to (..., *outs) by `mode`.

    nearest, nearest-exact, linear, bilinear, trilinear, bicubic, lanczos (with antialias) or
    area. scales are the factors a user gave, where they, not sizes / outs, set the places.
    Bytes are interpolated in whole numbers, axis by axis (`_resized_bytes`), those of more or
    fewer than 2 axes in float32, and rounded.
    """
    if mode == "area":
        return adaptive_avg_pool(x, outs)
    if x.dtype == np.uint8 and not mode.startswith("nearest"):
        if len(outs) == 2:
            return _resized_bytes(x, outs, _KINDS.get(mode, mode), align_corners, scales, antialias)
        y = interpolate(x.astype(np.float32), outs, mode, align_corners, scales, antialias)
        return np.floor(y + 0.5).clip(0, 255).astype(np.uint8)
    sizes = x.shape[x.ndim - len(outs) :]
    return apply_maps(x, _maps(sizes, outs, mode, align_corners, scales, antialias, x.dtype))


def _resized_bytes(
    x: np.ndarray,
    outs: Sequence[int],
    kind: str,
    align_corners: bool,
    scales: Sequence[float | None] | None,
    antialias: bool,
) -> np.ndarray:
    """Bytes (..., height, width) resized as Pillow and PyTorch do it: along the width, then along
    the height, with weights of 16 bits, rounded to bytes after each."""
    scales = scales or (None, None)
    for axis in (-1, -2):
        size, out = x.shape[axis], outs[axis]
        whole, bits = _whole_map(size, out, kind, align_corners, scales[axis], antialias)
        total = whole.apply(x.astype(np.int32), axis)
        x = ((total + (1 << bits >> 1)) >> bits).clip(0, 255).astype(np.uint8)
    return x


@lru_cache(maxsize=256)
def _whole_map(
    size: int, out: int, kind: str, align_corners: bool, scale: float | None, antialias: bool
) -> tuple[AxisMap, int]:
    """A map whose weights are whole numbers, those of a place that occurs twice added up; over
    2 ** bits, with as many bits as leave the largest below 2 ** 15."""
    make = _smooth_map if antialias else _interpolation_map
    rounds = make(size, out, kind, align_corners, scale, "d").rounds
    weights = np.zeros((out, size))
    for rows, cols, w in rounds:
        np.add.at(weights, (rows, cols), w)
    bits, top = 0, weights.max(initial=0.0)
    while bits < 22 and int(0.5 + top * (1 << bits + 1)) < 1 << 15:
        bits += 1
    scaled = weights * (1 << bits)
    numbers = np.where(scaled < 0, scaled - 0.5, scaled + 0.5).astype(np.int32)
    found = []
    for rows, cols, _ in rounds:
        found.append((rows, cols, numbers[rows, cols]))
        numbers[rows, cols] = 0
    return AxisMap(size, out, found), bits


def interpolate_gradient(
    grad: np.ndarray,
    sizes: Sequence[int],
    mode: str,
    align_corners: bool = False,
    scales: Sequence[float | None] | None = None,
    antialias: bool = False,
) -> np.ndarray:
    """Gradient of `interpolate` to its input, whose last axes are `sizes`."""
    if mode == "area":
        return adaptive_avg_pool_gradient(grad, sizes)
    outs = grad.shape[grad.ndim - len(sizes) :]
    maps = _maps(sizes, outs, mode, align_corners, scales, antialias, grad.dtype)
    return apply_maps(grad, [m.transposed for m in maps])


def _maps(
    sizes: Sequence[int],
    outs: Sequence[int],
    mode: str,
    align_corners: bool,
    scales: Sequence[float | None] | None,
    antialias: bool,
    dtype: np.dtype,
) -> list[AxisMap]:
    kind = _KINDS.get(mode, mode)
    work = working_dtype(dtype).char if dtype.kind in "fV" else "f"
    scales = scales or (None,) * len(outs)
    return [
        _smooth_map(n, m, kind, align_corners, scale, work)
        if antialias
        else _interpolation_map(n, m, kind, align_corners, scale, work)
        for n, m, scale in zip(sizes, outs, scales)
    ]


def _step(size: int, out: int, align_corners: bool, scale: float | None) -> float:
    """Input elements per output element."""
    if align_corners:
        return (size - 1) / (out - 1) if out > 1 else 0.0
    return 1.0 / scale if scale else size / out


@lru_cache(maxsize=256)
def _interpolation_map(
    size: int, out: int, kind: str, align_corners: bool, scale: float | None, work: str
) -> AxisMap:
    """One axis of `interpolate` without antialias: 1 tap for nearest, 2 linear, 4 cubic."""
    rows = np.arange(out)
    step = np.dtype(work).type(_step(size, out, align_corners, scale))
    i = rows.astype(work)
    half = step.dtype.type(0.5)
    if kind in ("nearest", "nearest-exact"):
        place = i * step if kind == "nearest" else (i + half) * step
        cols = np.minimum(np.floor(place.astype(np.float32)).astype(np.int64), size - 1)
        return AxisMap(size, out, [(rows, cols, None)])
    place = i * step if align_corners else step * (i + half) - half
    if kind == "linear":
        place = np.maximum(place, 0)
        low = np.minimum(place.astype(np.int64), size - 1)
        high = np.minimum(low + 1, size - 1)
        t = (place - low.astype(work)).clip(0, 1)
        return AxisMap(size, out, [(rows, low, 1 - t), (rows, high, t)])
    if kind != "cubic":
        raise NotImplementedError(f"interpolate has no mode {kind} without antialias")
    low = np.floor(place)
    weights = cubic_weights((place - low).clip(0, 1))
    low = low.astype(np.int64)
    return AxisMap(
        size, out, [(rows, (low + k - 1).clip(0, size - 1), w) for k, w in enumerate(weights)]
    )


def cubic_weights(t: np.ndarray) -> list[np.ndarray]:
    """Weights of the 4 neighbours -1, 0, 1, 2 of a place t in [0, 1] after neighbour 0.

    Cubic convolution with a = -0.75 (Keys 1981).
    """
    return [_cubic(t + 1, -0.75), _cubic(t, -0.75), _cubic(1 - t, -0.75), _cubic(2 - t, -0.75)]


def cubic_slopes(t: np.ndarray) -> list[np.ndarray]:
    """Derivatives of `cubic_weights` to t."""
    a = -0.75

    def inner(d: np.ndarray) -> np.ndarray:
        return (3 * (a + 2) * d - 2 * (a + 3)) * d

    def outer(d: np.ndarray) -> np.ndarray:
        return (3 * a * d - 10 * a) * d + 8 * a

    return [outer(t + 1), inner(t), -inner(1 - t), -outer(2 - t)]


def _cubic(d: np.ndarray, a: float) -> np.ndarray:
    """Keys' cubic convolution kernel at distance d >= 0."""
    inner = ((a + 2) * d - (a + 3)) * d * d + 1
    outer = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, inner, np.where(d < 2, outer, 0)).astype(d.dtype, copy=False)


def _triangle(d: np.ndarray) -> np.ndarray:
    return np.maximum(1 - d, 0)


def _smooth_cubic(d: np.ndarray) -> np.ndarray:
    return _cubic(d, -0.5)


def _lanczos(d: np.ndarray) -> np.ndarray:
    return np.where(d < 3, np.sinc(d) * np.sinc(d / 3), 0).astype(d.dtype, copy=False)


# kind: (kernel of the distance, its reach)
_KERNELS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], int]] = {
    "linear": (_triangle, 1),
    "cubic": (_smooth_cubic, 2),
    "lanczos": (_lanczos, 3),
}


@lru_cache(maxsize=256)
def _smooth_map(
    size: int, out: int, kind: str, align_corners: bool, scale: float | None, work: str
) -> AxisMap:
    """One axis of `interpolate` with antialias: the kernel widened to the input elements that
    one output element stands for, its weights made to add up to 1."""
    kernel, reach = _KERNELS[kind]
    real = np.dtype(work).type
    step = real(_step(size, out, align_corners, scale))
    wide = max(step, real(1))
    support = real(reach) * wide
    rows = np.arange(out)
    centre = step * (rows.astype(work) + real(0.5))
    low = np.maximum((centre - support + real(0.5)).astype(np.int64), 0)
    count = np.minimum((centre + support + real(0.5)).astype(np.int64), size) - low
    taps = np.arange(int(count.max(initial=0)))
    distance = np.abs((taps + low[:, None]).astype(work) - centre[:, None] + real(0.5)) / wide
    weights = np.where(taps < count[:, None], kernel(distance), 0)
    total = weights.sum(1, keepdims=True)
    weights = weights / np.where(total == 0, 1, total)
    rounds = []
    for tap in taps:
        at = np.flatnonzero(count > tap)
        rounds.append((at, low[at] + tap, weights[at, tap].astype(work)))
    return AxisMap(size, out, rounds)


# Grids


def grid_sample(
    x: np.ndarray, grid: np.ndarray, mode: str, padding_mode: str, align_corners: bool
) -> np.ndarray:
    """x (N, C, *sizes) at the places of grid (N, *outs, d): (N, C, *outs).

    mode: bilinear, nearest, or bicubic (d = 2). padding_mode: zeros, border or reflection.
    align_corners: whether -1 and 1 are the centres of the outermost elements or their edges.
    """
    n, channels, *sizes = x.shape
    outs = grid.shape[1:-1]
    work = working_dtype(x.dtype)
    flat = x.reshape(n, channels, math.prod(sizes))
    result = np.zeros((n, channels, math.prod(outs)), x.dtype)
    if result.size:
        for b in range(n):
            source, total = flat[b].astype(work, copy=False), 0
            for at, inside, weight, _ in _neighbours(
                grid[b], sizes, mode, padding_mode, align_corners
            ):
                term = source.take(at, 1)
                if inside is not None:
                    # not a product: what is outside must not show, not even as 0 * nan
                    term = np.where(inside, term, 0)
                total = total + term * weight
            result[b] = total
    return result.reshape(n, channels, *outs)


def grid_sample_gradients(
    grad: np.ndarray,
    x: np.ndarray,
    grid: np.ndarray,
    mode: str,
    padding_mode: str,
    align_corners: bool,
    want_x: bool = True,
) -> tuple[np.ndarray | None, np.ndarray]:
    """Gradients of `grid_sample` to (x, grid); None for x without `want_x`."""
    n, channels, *sizes = x.shape
    size, outs = math.prod(sizes), grid.shape[1:-1]
    work = working_dtype(x.dtype)
    flat = x.reshape(n, channels, size)
    g = grad.reshape(n, channels, math.prod(outs))
    to_x = np.zeros((n, channels, size), x.dtype) if want_x else None
    to_grid = np.zeros((n, math.prod(outs), len(sizes)), grid.dtype)
    rows = np.arange(0, channels * size, size)[:, None]
    for b in range(n if grad.size else 0):
        source, gb = flat[b].astype(work, copy=False), g[b].astype(work, copy=False)
        places = grid[b]
        slopes = [np.zeros(gb.shape[1], work) for _ in sizes]
        back = np.zeros(channels * size)
        for at, inside, weight, rises in _neighbours(
            places, sizes, mode, padding_mode, align_corners
        ):
            if want_x:
                share = gb * weight
                if inside is not None:
                    share = np.where(inside, share, 0)
                back += np.bincount((rows + at).ravel(), share.ravel(), len(back))
            if rises:
                value = (source.take(at, 1) * gb).sum(0)
                if inside is not None:
                    value = np.where(inside, value, 0)
                for slope, rise in zip(slopes, rises):
                    slope += value * rise
        if want_x:
            to_x[b] = back.reshape(channels, size)
        for axis, slope in enumerate(slopes):
            to_grid[b, :, len(sizes) - 1 - axis] = slope
    if to_x is not None:
        to_x = to_x.reshape(x.shape)
    return to_x, to_grid.reshape(grid.shape)


def _neighbours(
    places: np.ndarray, sizes: Sequence[int], mode: str, padding_mode: str, align_corners: bool
) -> Iterator[Neighbour]:
    """The elements that each place of one image takes part of; axes in the image's order."""
    axes = []
    for axis, size in enumerate(sizes):
        # in the grid's own arithmetic, for halves too: what is nearest depends on it
        place = places[..., len(sizes) - 1 - axis].ravel()
        number = place.dtype.type
        rise = (size - 1) / 2 if align_corners else size / 2
        at = (place + number(1)) * number(rise) - number(0 if align_corners else 0.5)
        axes.append(_axis(at, rise, size, mode, padding_mode, align_corners))
    for choice in itertools.product(*axes):
        flat, inside = np.zeros((), np.int64), None
        for (index, within, _, _), size in zip(choice, sizes):
            flat = flat * size + index
            if within is not None:
                inside = within if inside is None else inside & within
        weights = [weight for _, _, weight, _ in choice]
        rises = []
        if mode != "nearest":
            for axis, (_, _, _, slope) in enumerate(choice):
                others = weights[:axis] + weights[axis + 1 :]
                rises.append(math.prod(others, start=slope))
        yield flat, inside, math.prod(weights[1:], start=weights[0]), rises


def _axis(
    at: np.ndarray, rise: float, size: int, mode: str, padding_mode: str, align_corners: bool
) -> list[tuple[np.ndarray, np.ndarray | None, np.ndarray, np.ndarray]]:
    """Neighbours of the places `at` along one axis: (index, inside, weight, its slope)."""
    if mode == "bicubic":
        low = np.floor(at)
        t = at - low
        found = []
        for k, (weight, slope) in enumerate(zip(cubic_weights(t), cubic_slopes(t))):
            index, _ = _confine(low + (k - 1), size, padding_mode, align_corners)
            found.append((*_index(index, size), weight, slope * rise))
        return found
    at, factor = _confine(at, size, padding_mode, align_corners)
    if mode == "nearest":
        return [(*_index(np.rint(at), size), np.ones((), at.dtype), factor)]
    low = np.floor(at)
    t = at - low
    slope = factor * rise
    return [(*_index(low, size), 1 - t, -slope), (*_index(low + 1, size), t, slope)]


def _index(at: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray | None]:
    """(an element of the axis, whether it is the one asked for); None for always."""
    inside = (at >= 0) & (at < size)
    if inside.all():
        return at.astype(np.int64), None
    return np.where(inside, at, 0).astype(np.int64), inside


def _confine(
    at: np.ndarray, size: int, padding_mode: str, align_corners: bool
) -> tuple[np.ndarray, np.ndarray | float]:
    """(places brought into the axis, the derivative of that); a nan becomes the border."""
    if padding_mode == "zeros":
        return at, at.dtype.type(1)
    factor = np.ones_like(at)
    if padding_mode == "reflection":
        low = 0.0 if align_corners else -0.5
        span = float(size - 1 if align_corners else size)
        if span == 0:
            return np.zeros_like(at), np.zeros_like(at)
        away = at - at.dtype.type(low)
        factor = np.where(away < 0, -factor, factor)
        away = np.abs(away)
        rest = np.fmod(away, span)
        odd = np.floor(away / span) % 2 == 1
        at = np.where(odd, span - rest, rest) + at.dtype.type(low)
        factor = np.where(odd, -factor, factor)
    within = (at > 0) & (at < size - 1)
    at = np.fmin(np.fmax(at, 0), size - 1)
    return at, np.where(within, factor, 0).astype(at.dtype, copy=False)


def affine_grid(theta: np.ndarray, sizes: Sequence[int], align_corners: bool) -> np.ndarray:
    """Grid (N, *sizes, d) of the affine maps theta (N, d, d + 1)."""
    base = _affine_base(sizes, align_corners, theta.dtype)
    return np.matmul(base, theta.swapaxes(1, 2)).reshape(len(theta), *sizes, len(sizes))


def affine_grid_gradient(grad: np.ndarray, align_corners: bool) -> np.ndarray:
    """Gradient of `affine_grid` to theta, from that of the grid (N, *sizes, d)."""
    sizes = grad.shape[1:-1]
    base = _affine_base(sizes, align_corners, grad.dtype)
    return np.matmul(grad.reshape(len(grad), -1, len(sizes)).swapaxes(1, 2), base)


def _affine_base(sizes: Sequence[int], align_corners: bool, dtype: np.dtype) -> np.ndarray:
    """Places of all elements, last size first, with a 1 behind: (elements, d + 1)."""
    axes = []
    for size in reversed(sizes):
        axis = np.linspace(-1, 1, size) if size > 1 else np.zeros(1)
        axes.append(axis if align_corners or size <= 1 else axis * ((size - 1) / size))
    base = np.empty((*sizes, len(sizes) + 1), dtype)
    base[..., -1] = 1
    for i, axis in enumerate(axes):
        base[..., i] = axis.reshape(-1, *(1,) * i)
    return base.reshape(-1, len(sizes) + 1)


# What arguments must satisfy; the rules and the words of the errors are PyTorch's

_RANKS = {"linear": 3, "bilinear": 4, "bicubic": 4, "lanczos": 4, "trilinear": 5}
_MODES = "nearest | linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact"


def interpolate_settings(
    x: Sequence[int],
    size: int | Sequence[int] | None,
    scale_factor: float | Sequence[float] | None,
    mode: str,
    align_corners: bool | None,
    recompute_scale_factor: bool | None,
    antialias: bool,
) -> tuple[tuple[int, ...], tuple[float, ...] | None]:
    """(output sizes, scales for `interpolate`) for x (N, C, *sizes)."""
    sizes = tuple(x[2:])
    smooth = mode in _RANKS
    if not smooth and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: "
            "linear | bilinear | bicubic | trilinear"
        )
    if mode == "lanczos" and (align_corners or not antialias):
        which = (
            "requires antialias=True" if not antialias else "does not support align_corners=True"
        )
        raise ValueError(f"Lanczos mode {which}")
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    name, given = ("output size", size) if size is not None else ("scale_factor", scale_factor)
    if isinstance(given, (int, float)):
        given = (given,) * len(sizes)
    if len(given) != len(sizes):
        raise ValueError(
            "Input and output must have the same number of spatial dimensions, but got input with "
            f"spatial dimensions of {list(sizes)} and {name} of {tuple(given)}. Please provide "
            "input in (N, C, d1, d2, ...,dK) format and one number for each of d1 to dK"
        )
    if size is not None:
        if recompute_scale_factor:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        if any(int(n) != n for n in given):
            raise TypeError(f"interpolate(): argument 'size' must be whole numbers, got {given}")
        outs, scales = tuple(int(n) for n in given), None
    else:
        outs = tuple(math.floor(n * s) for n, s in zip(sizes, given))
        again = recompute_scale_factor or mode == "area"
        scales = None if again else tuple(float(s) for s in given)
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and len(x) == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires "
            "a 4-D tensor as input"
        )
    if mode not in _MODES.split(" | ") or not 3 <= len(x) <= 5:
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {len(x)}D) for the "
            f"modes: {_MODES} (got {mode})"
        )
    if smooth and len(x) != _RANKS[mode]:
        raise NotImplementedError(
            f"Got {len(x)}D input, but {mode} mode needs {_RANKS[mode]}D input"
        )
    if min(outs) < 1 or min(sizes) < 1:
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input {sizes} output {outs}"
        )
    if x[1] == 0:
        raise RuntimeError(
            f"Non-empty {len(x)}D data tensor expected but got a tensor with sizes {list(x)}"
        )
    return outs, scales


def check_grid_sample(x: Sequence[int], grid: Sequence[int], mode: str, padding_mode: str) -> None:
    """Raise unless grid_sample takes arrays of shapes x and grid in these modes."""
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', "
            f"but got: '{mode}'"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or "
            f"'reflection', but got: '{padding_mode}'"
        )
    both = f"but got input with sizes {list(x)} and grid with sizes {list(grid)}"
    if not x or not grid or x[0] != grid[0]:
        raise RuntimeError(
            f"grid_sampler(): expected grid and input to have same batch size, {both}"
        )
    if len(x) not in (4, 5) or len(x) != len(grid):
        raise RuntimeError(
            "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, "
            f"{both}"
        )
    if grid[-1] != len(x) - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {len(x) - 2} in last dimension, but got "
            f"grid with sizes {list(grid)}"
        )
    for axis in range(2, len(x)):
        if x[axis] == 0:
            raise RuntimeError(
                "grid_sampler(): expected input to have non-empty spatial dimensions, but input "
                f"has sizes {list(x)} with dimension {axis} being empty"
            )
    if mode == "bicubic" and len(x) == 5:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")


def check_affine_grid(theta: Sequence[int], size: Sequence[int]) -> None:
    """Raise unless affine_grid takes theta of this shape and a size (N, C, *sizes)."""
    if len(size) not in (4, 5):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, "
            f"respectively. Got size {tuple(size)}."
        )
    d = len(size) - 2
    if len(theta) != 3 or tuple(theta[1:]) != (d, d + 1):
        raise ValueError(
            f"Expected a batch of {d}D affine matrices of shape Nx{d}x{d + 1} for size "
            f"{tuple(size)}. Got {tuple(theta)}."
        )
    if min(size) < 1:
        raise ValueError(f"Expected non-zero, positive output size. Got {tuple(size)}")
    if theta[0] != size[0]:
        raise RuntimeError(
            f"affine_grid: Expected size for first two dimensions of batch2 tensor to be: "
            f"[{size[0]}, {d + 1}] but got: [{theta[0]}, {d + 1}]."
        )
