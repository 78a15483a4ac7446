"""Convolution, transposed convolution, and images taken apart into blocks and put together.

Convolution is linear in the input and in the weight. With the output's gradient it makes one
trilinear form, whose three partial derivatives are the three records here: each one's gradients
are the other two, so that a gradient has a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from .._dtypes import BOOL, c_name
from .._errors import type_name
from ..core.modes import hook
from ..core.op import define, unsupported
from ..core.value import Value
from . import _conv_arrays as arrays
from ._arguments import check_tensor

if TYPE_CHECKING:
    from ._windows import Pads

Ints = int | Sequence[int]


# ---- the records ---------------------------------------------------------------------------


def _over_channels(g: Value) -> Value:
    """The gradient of a bias: the sum over everything but the channels."""
    return g.sum((0, *range(2, g._array.ndim)))


def _convolve_transposed(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    sizes: tuple[int, ...],
    stride: tuple[int, ...],
    padding: Pads,
    dilation: tuple[int, ...],
    groups: int,
) -> np.ndarray:
    result = arrays.convolve_input_gradient(x, weight, sizes, stride, padding, dilation, groups)
    if bias is not None:
        result += bias.reshape(-1, *(1,) * len(sizes))
    return result


convolution_op = define(
    "convolution",
    arrays.convolve,
    {
        "x": lambda g, x_shape, weight, stride, padding, dilation, groups: transposed_op(
            g, weight.conj(), None, x_shape[2:], stride, padding, dilation, groups
        ),
        "weight": lambda g, x, weight_shape, stride, padding, dilation, groups: weight_gradient_op(
            g, x.conj(), weight_shape[2:], stride, padding, dilation, groups
        ),
        "bias": _over_channels,
    },
)
transposed_op = define(
    "convolution_transposed",
    _convolve_transposed,
    {
        "x": lambda g, weight, stride, padding, dilation, groups: convolution_op(
            g, weight.conj(), None, stride, padding, dilation, groups
        ),
        "weight": lambda g, x, weight_shape, stride, padding, dilation, groups: weight_gradient_op(
            x.conj(), g, weight_shape[2:], stride, padding, dilation, groups
        ),
        "bias": _over_channels,
    },
    grad_name="ConvolutionBackward0",
)
weight_gradient_op = define(
    "convolution_weight_gradient",
    arrays.convolve_weight_gradient,
    {
        "grad": lambda g, x, stride, padding, dilation, groups: convolution_op(
            x.conj(), g, None, stride, padding, dilation, groups
        ),
        "x": lambda g, grad, x_shape, stride, padding, dilation, groups: transposed_op(
            grad.conj(), g, None, x_shape[2:], stride, padding, dilation, groups
        ),
    },
    grad_name="ConvolutionBackwardBackward0",
)
im2col_op = define(
    "im2col",
    arrays.unfold,
    {
        "x": lambda g, x_shape, kernel, stride, padding, dilation: col2im_op(
            g, x_shape[2:], kernel, stride, padding, dilation
        )
    },
    grad_name="Im2ColBackward0",
)
col2im_op = define(
    "col2im",
    arrays.fold,
    {
        "columns": lambda g, kernel, stride, padding, dilation: im2col_op(
            g, kernel, stride, padding, dilation
        )
    },
    grad_name="Col2ImBackward0",
)


# ---- arguments -----------------------------------------------------------------------------

_settings = lru_cache(maxsize=512)(arrays.convolution_settings)
_transposed_settings = lru_cache(maxsize=512)(arrays.transposed_settings)


def _numbers(value: Ints | str) -> object:
    """An argument as it can be looked up: a tuple for a list."""
    return tuple(value) if value.__class__ is list else value


def _shapes(
    name: str, input: Value, weight: Value, bias: Value | None
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...] | None]:
    """The shapes of the operands, once each is a tensor and their dtypes are one."""
    check_tensor(name, input)
    check_tensor(name, weight, "weight")
    x, w = input._array, weight._array
    if bias is not None:
        check_tensor(name, bias, "bias")
        if bias._array.dtype is not x.dtype and bias._array.dtype != x.dtype:
            short = [c_name(t.dtype) for t in (input, bias)]
            raise RuntimeError(
                f"Input type ({short[0]}) and bias type ({short[1]}) should be the same\n"
                f"  convert one of them, such as input.to(bias.dtype)"
            )
    if x.dtype is not w.dtype and x.dtype != w.dtype:
        raise RuntimeError(
            f"Input type (torch.{input.dtype.legacy_name}Tensor) and weight type "
            f"(torch.{weight.dtype.legacy_name}Tensor) should be the same\n"
            f"  convert one of them, such as input.to(weight.dtype)"
        )
    return x.shape, w.shape, None if bias is None else bias._array.shape


def _checked(settings: Callable, name: str, *args: object) -> tuple:
    """``settings(name, *args)``; TypeError for an argument that is no number or list of them."""
    try:
        return settings(name, *[_numbers(a) for a in args])
    except (TypeError, ValueError) as error:
        given = ", ".join(type_name(a) for a in args[3:])
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got ({given}) after the "
            f"tensors, but expected integers or tuples of integers\n  {error}"
        ) from None


def _convolution(
    name: str,
    input: Value,
    weight: Value,
    bias: Value | None,
    stride: Ints,
    padding: Ints | str,
    dilation: Ints,
    groups: int,
) -> Value:
    if hook.active is not None:
        input, weight, bias = hook.active.operands("convolution", (input, weight, bias))
    shapes = _shapes(name, input, weight, bias)
    settings = _checked(_settings, name, *shapes, stride, padding, dilation, groups)
    if input._array.dtype.kind == "b":
        raise unsupported(f"slow_{name}", input.dtype)
    if len(shapes[0]) == len(shapes[1]):
        return convolution_op(input, weight, bias, *settings, groups)
    return convolution_op(input.unsqueeze(0), weight, bias, *settings, groups).squeeze(0)


def _transposed(
    name: str,
    input: Value,
    weight: Value,
    bias: Value | None,
    stride: Ints,
    padding: Ints,
    output_padding: Ints,
    groups: int,
    dilation: Ints,
) -> Value:
    if hook.active is not None:
        input, weight, bias = hook.active.operands("convolution", (input, weight, bias))
    shapes = _shapes(name, input, weight, bias)
    stride, padding, dilation, sizes = _checked(
        _transposed_settings, name, *shapes, stride, padding, output_padding, dilation, groups
    )
    if input._array.dtype.kind in "biu" and input._array.dtype != np.int64:
        raise unsupported(f"slow_{name}_out", input.dtype)
    batched = len(shapes[0]) == len(shapes[1])
    x = input if batched else input.unsqueeze(0)
    r = transposed_op(x, weight, bias, sizes, stride, padding, dilation, groups)
    return r if batched else r.squeeze(0)


# ---- convolution ---------------------------------------------------------------------------


def conv1d(
    input: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Value:
    """Convolution of a signal (N, C, L) with ``weight`` (O, C / groups, K): (N, O, L').

    L' = (L + 2 * padding - dilation * (K - 1) - 1) // stride + 1. As ``conv2d`` otherwise.
    """
    return _convolution("conv1d", input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Value:
    """Convolution of images (N, C, H, W) with ``weight`` (O, C / groups, Kh, Kw): (N, O, H', W').

    ``out[n, o, p] = bias[o] + sum over c, i of weight[o, c, i] * input[n, c, p * stride + i *
    dilation - padding]``; ``padding`` may be "valid" (none) or "same" (the output is as large as
    the input; stride 1). RuntimeError where shapes or dtypes do not fit.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv2d.html
    """
    return _convolution("conv2d", input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Value:
    """Convolution of volumes (N, C, D, H, W) with ``weight`` (O, C / groups, Kd, Kh, Kw), as
    ``conv2d``."""
    return _convolution("conv3d", input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    input: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Value:
    """Transposed convolution of (N, C, L) with ``weight`` (C, O / groups, K), as
    ``conv_transpose2d``."""
    return _transposed(
        "conv_transpose1d", input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose2d(
    input: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Value:
    """Transposed convolution of (N, C, H, W) with ``weight`` (C, O / groups, Kh, Kw).

    The gradient of ``conv2d`` to its input, so the linear map's transpose: each size becomes
    ``(size - 1) * stride - 2 * padding + dilation * (K - 1) + output_padding + 1``.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv_transpose2d.html
    """
    return _transposed(
        "conv_transpose2d", input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose3d(
    input: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Value:
    """Transposed convolution of (N, C, D, H, W) with ``weight`` (C, O / groups, Kd, Kh, Kw), as
    ``conv_transpose2d``."""
    return _transposed(
        "conv_transpose3d", input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def convolution(
    input: Value,
    weight: Value,
    bias: Value | None,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    transposed: bool,
    output_padding: Ints,
    groups: int,
) -> Value:
    """``conv1d`` to ``conv3d``, or their transposes, by the dimensions of ``weight``."""
    if transposed:
        return _transposed(
            "conv", input, weight, bias, stride, padding, output_padding, groups, dilation
        )
    return _convolution("conv", input, weight, bias, stride, padding, dilation, groups)


def conv_tbc(input: Value, weight: Value, bias: Value, pad: int = 0) -> Value:
    """Convolution along time: ``input`` (T, N, C), ``weight`` (K, C, O), ``bias`` (O,): (T', N, O).

    T' = T + 2 * pad - K + 1.
    """
    for name, value, ndim in (("input", input, 3), ("weight", weight, 3), ("bias", bias, 1)):
        check_tensor("conv_tbc", value, name)
        if value._array.ndim != ndim:
            raise RuntimeError(
                f"{name.capitalize()} must have {ndim} dims, but got {value._array.ndim}"
            )
    if input.dtype.category == BOOL:
        raise unsupported("addmm_impl", input.dtype)
    x, w = input.permute(1, 2, 0), weight.permute(2, 1, 0)
    return _convolution("conv1d", x, w, bias, 1, pad, 1, 1).permute(2, 0, 1)


# ---- blocks as columns ---------------------------------------------------------------------


def _check_columns(name: str, input: Value) -> None:
    check_tensor(name, input)
    if input._array.dtype.kind in "iu":
        raise unsupported(f"{name}_out", input.dtype)


def unfold(
    input: Value, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1
) -> Value:
    """The blocks that a sliding kernel sees, as columns: (N, C, H, W) to (N, C * Kh * Kw, blocks).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Unfold.html
    """
    _check_columns("im2col", input)
    shape = input._array.shape
    settings = arrays.unfold_settings(shape, kernel_size, dilation, padding, stride)
    if len(shape) == 4:
        return im2col_op(input, *settings)
    return im2col_op(input.unsqueeze(0), *settings).squeeze(0)


def fold(
    input: Value,
    output_size: Ints,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> Value:
    """Images of ``output_size`` from columns (N, C * Kh * Kw, blocks): the transpose of ``unfold``,
    which adds up what several blocks have for one element.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Fold.html
    """
    _check_columns("col2im", input)
    shape = input._array.shape
    settings = arrays.fold_settings(shape, output_size, kernel_size, dilation, padding, stride)
    if len(shape) == 3:
        return col2im_op(input, *settings)
    return col2im_op(input.unsqueeze(0), *settings).squeeze(0)


__all__ = [
    "conv1d", "conv2d", "conv3d", "conv_tbc", "conv_transpose1d", "conv_transpose2d",
    "conv_transpose3d", "convolution",
]  # fmt: skip
