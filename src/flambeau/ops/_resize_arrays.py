"""Resizing of images: interpolation along each of the last axes, and its gradient.

Every mode is a product of one sparse linear map per axis, built here from the formulas of
torch.nn.functional.interpolate; the gradient is the product of their transposes. Places are
computed in the arithmetic of the images (float32 for halves), so that a nearest neighbour is the
same one even where the product of size and scale is nearly a whole number.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ._axis_maps import AxisMap, apply_maps
from ._pool_arrays import adaptive_avg_pool, adaptive_avg_pool_gradient
from ._windows import working_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    Bytes are interpolated in float32 and rounded.
    """
    if mode == "area":
        return adaptive_avg_pool(x, outs)
    if x.dtype == np.uint8 and not mode.startswith("nearest"):
        y = interpolate(x.astype(np.float32), outs, mode, align_corners, scales, antialias)
        return np.floor(y + 0.5).clip(0, 255).astype(np.uint8)
    sizes = x.shape[x.ndim - len(outs) :]
    return apply_maps(x, _maps(sizes, outs, mode, align_corners, scales, antialias, x.dtype))


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
