"""Images resized, and images sampled at the places of a grid.

Resizing is linear, so its gradient is the transposed map and the gradient of that is resizing
again. Sampling a grid is linear in the image but not in the grid.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .._dtypes import FLOATING
from ..core.op import define, unsupported
from ..core.value import Value
from . import _sampling_arrays as arrays
from ._arguments import check_tensor
from .pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d

if TYPE_CHECKING:
    from collections.abc import Callable

Sizes = int | Sequence[int] | None
Scales = float | Sequence[float] | None

# ---- resizing ------------------------------------------------------------------------------


def _define_resizing(name: str) -> Callable[..., Value]:
    """The record ``name`` of resizing, with its transpose."""
    transposed = define(
        f"{name}_backward",
        arrays.interpolate_gradient,
        {
            "grad": lambda g, grad_shape, sizes, mode, align_corners, scales, antialias: forward(
                g, grad_shape[2:], mode, align_corners, scales, antialias
            )
        },
    )
    forward = define(
        name,
        arrays.interpolate,
        {
            "x": lambda g, x_shape, mode, align_corners, scales, antialias: transposed(
                g, x_shape[2:], mode, align_corners, scales, antialias
            )
        },
        grad_name=f"{name.title().replace('_', '')}Backward0",
    )
    return forward


_RESIZING = {
    (mode, dims, antialias): _define_resizing(f"upsample_{mode.replace('-', '_')}{dims}d{suffix}")
    for mode, dims, antialias, suffix in (
        ("nearest", 1, False, ""),
        ("nearest", 2, False, ""),
        ("nearest", 3, False, ""),
        ("nearest-exact", 1, False, ""),
        ("nearest-exact", 2, False, ""),
        ("nearest-exact", 3, False, ""),
        ("linear", 1, False, ""),
        ("bilinear", 2, False, ""),
        ("bicubic", 2, False, ""),
        ("trilinear", 3, False, ""),
        ("bilinear", 2, True, "_aa"),
        ("bicubic", 2, True, "_aa"),
        ("lanczos", 2, True, "_aa"),
    )
}
_AREA = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}


def interpolate(
    input: Value,
    size: Sizes = None,
    scale_factor: Scales = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Value:
    """``input`` (N, C, *sizes) resized to ``size``, or by ``scale_factor``.

    ``mode``: nearest, nearest-exact, linear (1 size), bilinear, bicubic, lanczos (2), trilinear
    (3) or area. ``align_corners``: whether the centres of the corners, or their outer edges, stay
    in place. ``antialias``: weigh all elements that a smaller image's element covers.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html
    """
    check_tensor("interpolate", input)
    x = input._array
    outs, scales = arrays.interpolate_settings(
        x.shape, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
    )
    dims = x.ndim - 2
    if mode == "area":
        return _AREA[dims](input, outs)
    d = input.dtype
    if not (d.is_floating_point or x.dtype == np.uint8) or (
        antialias and d.is_floating_point and d.itemsize == 2
    ):
        raise unsupported("compute_index_ranges_weights" if antialias else f"upsample_{mode}", d)
    return _RESIZING[mode, dims, bool(antialias)](
        input, outs, mode, bool(align_corners), scales, bool(antialias)
    )


def upsample(
    input: Value,
    size: Sizes = None,
    scale_factor: Scales = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Value:
    """``interpolate`` by its old name."""
    warnings.warn(
        "`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.",
        UserWarning,
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Value, size: Sizes = None, scale_factor: Scales = None) -> Value:
    """``interpolate`` with mode nearest, by its old name."""
    warnings.warn(
        "`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.",
        UserWarning,
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input: Value, size: Sizes = None, scale_factor: Scales = None) -> Value:
    """``interpolate`` with mode bilinear and aligned corners, by its old name."""
    warnings.warn(
        "`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.",
        UserWarning,
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


# ---- grids ---------------------------------------------------------------------------------


def _sampler_vjp(
    g: Value,
    x: Value,
    grid: Value,
    mode: str,
    padding_mode: str,
    align_corners: bool,
    needs: tuple[bool, bool],
) -> tuple[Value | None, Value | None]:
    to_x, to_grid = _sampler_backward(g, x, grid, mode, padding_mode, align_corners)
    return to_x if needs[0] else None, to_grid if needs[1] else None


_sampler = {
    dims: define(f"grid_sampler_{dims}d", arrays.grid_sample, _sampler_vjp) for dims in (2, 3)
}
# as in PyTorch, sampling has no second derivative
_sampler_backward = define("grid_sampler_backward", arrays.grid_sample_gradients)


def grid_sample(
    input: Value,
    grid: Value,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Value:
    """``input`` (N, C, H, W) at the places of ``grid`` (N, H', W', 2): (N, C, H', W'); or volumes.

    A place is (x, y), -1 and 1 being the borders: centres of the outermost elements with
    ``align_corners``, else their outer edges. ``mode``: bilinear, nearest or bicubic;
    ``padding_mode``, for places outside: zeros, border or reflection.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.grid_sample.html
    """
    check_tensor("grid_sampler", input)
    check_tensor("grid_sampler", grid, "grid")
    arrays.check_grid_sample(input._array.shape, grid._array.shape, mode, padding_mode)
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since "
            "1.3.0. Please specify align_corners=True if the old behavior is desired.",
            UserWarning,
            stacklevel=2,
        )
    if input.dtype != grid.dtype:
        raise RuntimeError(
            f"grid_sampler(): expected input and grid to have same dtype, but input has "
            f"{input.dtype!r} and grid has {grid.dtype!r}"
        )
    if not input.dtype.is_floating_point:
        raise unsupported("grid_sampler_2d_cpu_kernel_impl", input.dtype)
    dims = input._array.ndim - 2
    return _sampler[dims](input, grid, mode, padding_mode, bool(align_corners))


def _grid_sampler(
    input: Value, grid: Value, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Value:
    modes, paddings = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")
    return grid_sample(
        input, grid, modes[interpolation_mode], paddings[padding_mode], align_corners
    )


def grid_sampler(
    input: Value, grid: Value, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Value:
    """``grid_sample`` with numbers for its modes: bilinear, nearest, bicubic; zeros, border,
    reflection."""
    return _grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)


def grid_sampler_2d(
    input: Value, grid: Value, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Value:
    """``grid_sampler`` of images."""
    return _grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)


def grid_sampler_3d(
    input: Value, grid: Value, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Value:
    """``grid_sampler`` of volumes."""
    return _grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)


affine_grid_op = define(
    "affine_grid_generator",
    arrays.affine_grid,
    {"theta": lambda g, align_corners: affine_gradient_op(g, align_corners)},
)
affine_gradient_op = define(
    "affine_grid_generator_backward",
    arrays.affine_grid_gradient,
    {
        "grad": lambda g, grad_shape, align_corners: affine_grid_op(
            g, grad_shape[1:-1], align_corners
        )
    },
)


def affine_grid_generator(theta: Value, size: Sequence[int], align_corners: bool) -> Value:
    """``affine_grid`` by ATen's name."""
    return affine_grid(theta, size, align_corners)


def affine_grid(theta: Value, size: Sequence[int], align_corners: bool | None = None) -> Value:
    """The places, for ``grid_sample``, of images of ``size`` (N, C, H, W) under the affine maps
    ``theta`` (N, 2, 3): (N, H, W, 2); of volumes with (N, 3, 4): (N, D, H, W, 3).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.affine_grid.html
    """
    if align_corners is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since "
            "1.3.0. Please specify align_corners=True if the old behavior is desired.",
            UserWarning,
            stacklevel=2,
        )
    check_tensor("affine_grid", theta, "theta")
    if theta.dtype.category != FLOATING:
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype!r}")
    arrays.check_affine_grid(theta._array.shape, size)
    return affine_grid_op(theta, tuple(size[2:]), bool(align_corners))


__all__ = ["affine_grid_generator", "grid_sampler", "grid_sampler_2d", "grid_sampler_3d"]
