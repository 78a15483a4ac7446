"""Sampling of images at places given by a grid, and the grid of an affine map.

A grid (N, *outs, d) holds, for each output element, a place in x (N, C, *sizes) with d sizes: last
size first, -1 and 1 at the borders (torch.nn.functional.grid_sample, affine_grid).
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

from ._resize_arrays import cubic_slopes, cubic_weights
from ._windows import working_dtype

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    # (flat places, whether they are inside, weight, derivative of the weight along each axis)
    Neighbour = tuple[np.ndarray, np.ndarray | None, np.ndarray, list[np.ndarray]]


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
                grid[b].astype(work, copy=False), sizes, mode, padding_mode, align_corners
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
        places = grid[b].astype(work, copy=False)
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
        place = places[..., len(sizes) - 1 - axis].ravel()
        if align_corners:
            at, rise = (place + 1) / 2 * (size - 1), (size - 1) / 2
        else:
            at, rise = ((place + 1) * size - 1) / 2, size / 2
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
