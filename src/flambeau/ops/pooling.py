"""Pooling: maxima, means and norms over windows of images, and maxima put back in their places.

A pooling of maxima returns the positions of its maxima, or keeps them for its gradient, which adds
each output's gradient at the position of its maximum. Where neither is wanted they are not looked
for, which is less work.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ..core.modes import state
from ..core.op import define, unsupported
from ..core.value import Value, wrap
from . import _pool_arrays as arrays
from ._arguments import check_tensor

if TYPE_CHECKING:
    from collections.abc import Callable

Ints = int | Sequence[int]
MaybeInts = int | None | Sequence[int | None]

_settings = lru_cache(maxsize=512)(arrays.pool_settings)
_adaptive_settings = lru_cache(maxsize=512)(arrays.adaptive_settings)


def _numbers(value: object) -> object:
    """An argument as it can be looked up: a tuple for a list."""
    return tuple(value) if value.__class__ is list else value


def _check_kind(name: str, input: Value, allowed: str = "f") -> None:
    """NotImplementedError for a dtype that PyTorch has no such pooling for."""
    dt = input._array.dtype
    if dt.kind not in allowed and not (input.dtype.is_floating_point and "f" in allowed):
        if not (dt == np.int64 and "l" in allowed):
            raise unsupported(name, input.dtype)


# ---- maxima --------------------------------------------------------------------------------

scatter_op = define(
    "max_pool_backward",
    arrays.pooled_scatter,
    {"grad": lambda g, indices, grad_shape, sizes: gather_op(g, indices, len(sizes))},
    grad_name="MaxPoolBackwardBackward0",
)
gather_op = define(
    "max_pool_gather",
    arrays.pooled_gather,
    {"x": lambda g, x_shape, indices, dims: scatter_op(g, indices, x_shape[len(x_shape) - dims :])},
    grad_name="MaxPoolBackwardBackward0",
)


def _to_maxima(dims: int) -> Callable[..., Value]:
    """The gradient of a pooling of maxima over ``dims`` dimensions."""

    def vjp(g: list, y: tuple, x_shape: tuple[int, ...]) -> Value:
        return scatter_op(g[0], y[1], x_shape[len(x_shape) - dims :])

    return vjp


_max_pool = {
    2: define("max_pool2d_with_indices", arrays.max_pool, {"x": _to_maxima(2)}),
    3: define("max_pool3d_with_indices", arrays.max_pool, {"x": _to_maxima(3)}),
}
_adaptive_max_pool = {
    2: define("adaptive_max_pool2d", arrays.adaptive_max_pool, {"x": _to_maxima(2)}),
    3: define("adaptive_max_pool3d", arrays.adaptive_max_pool, {"x": _to_maxima(3)}),
}
_fractional_max_pool = {
    2: define("fractional_max_pool2d", arrays.fractional_max_pool, {"x": _to_maxima(2)}),
    3: define("fractional_max_pool3d", arrays.fractional_max_pool, {"x": _to_maxima(3)}),
}
_max_unpool = {
    2: define(
        "max_unpool2d",
        arrays.max_unpool,
        {"x": lambda g, indices, sizes: gather_op(g, indices, len(sizes))},
    ),
    3: define(
        "max_unpool3d",
        arrays.max_unpool,
        {"x": lambda g, indices, sizes: gather_op(g, indices, len(sizes))},
    ),
}


def _max_pooling(
    name: str,
    input: Value,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool,
    indices: bool,
) -> Value | tuple[Value, Value]:
    """``name``, max_pool1d to max_pool3d: the maxima, with ``indices`` their positions too."""
    check_tensor(name, input)
    settings = _settings(
        name,
        input._array.shape,
        _numbers(kernel_size),
        _numbers(stride),
        _numbers(padding),
        _numbers(dilation),
        bool(ceil_mode),
    )
    dims = int(name[-2])
    if dims == 1 and not (indices or input._edge is not None and state.grad):
        _check_kind("max_pool1d_impl", input)
    else:
        _check_kind(name if dims > 1 else "max_pool2d", input, "fiu")
    if not indices and not (input._edge is not None and state.grad):
        return wrap(arrays.max_pool(input._array, *settings, ceil_mode, False)[0])
    if dims > 1:
        r = _max_pool[dims](input, *settings, ceil_mode)
        return r if indices else r[0]
    kernel, stride, padding, dilation = settings
    values, where = _max_pool[2](
        input.unsqueeze(-2), (1, *kernel), (1, *stride), (0, *padding), (1, *dilation), ceil_mode
    )
    return (values.squeeze(-2), where.squeeze(-2)) if indices else values.squeeze(-2)


def max_pool1d(
    input: Value,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Value | tuple[Value, Value]:
    """Maxima over windows of a signal (N, C, L) or (C, L), as ``max_pool2d``."""
    return _max_pooling(
        "max_pool1d", input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


def max_pool2d(
    input: Value,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Value | tuple[Value, Value]:
    """Maxima over windows of images (N, C, H, W) or (C, H, W); ``stride`` None: ``kernel_size``.

    The padding counts as -inf and may be half of the kernel. Each size becomes (size + 2 * padding
    - dilation * (kernel - 1) - 1) / stride + 1, rounded up with ``ceil_mode``. ``return_indices``:
    also the positions of the maxima in the flattened image, for ``max_unpool2d``.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool2d.html
    """
    return _max_pooling(
        "max_pool2d", input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


def max_pool3d(
    input: Value,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Value | tuple[Value, Value]:
    """Maxima over windows of volumes (N, C, D, H, W) or (C, D, H, W), as ``max_pool2d``."""
    return _max_pooling(
        "max_pool3d", input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


def max_pool1d_with_indices(
    input: Value,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Value, Value]:
    """``max_pool1d`` and the positions of the maxima."""
    return max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool2d_with_indices(
    input: Value,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Value, Value]:
    """``max_pool2d`` and the positions of the maxima."""
    return max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool3d_with_indices(
    input: Value,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Value, Value]:
    """``max_pool3d`` and the positions of the maxima."""
    return max_pool3d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def _adaptive_maxima(
    name: str, input: Value, output_size: MaybeInts, indices: bool
) -> Value | tuple[Value, Value]:
    check_tensor(name, input)
    outs = _adaptive_settings(name, input._array.shape, _numbers(output_size))
    dims = len(outs)
    _check_kind(f"{name.replace('1', '2')}{'_cpu' if dims == 3 else ''}", input)
    if not indices and not (input._edge is not None and state.grad):
        return wrap(arrays.adaptive_max_pool(input._array, outs, False)[0])
    if dims > 1:
        r = _adaptive_max_pool[dims](input, outs)
        return r if indices else r[0]
    values, where = _adaptive_max_pool[2](input.unsqueeze(-2), (1, *outs))
    return (values.squeeze(-2), where.squeeze(-2)) if indices else values.squeeze(-2)


def adaptive_max_pool1d(
    input: Value, output_size: Ints, return_indices: bool = False
) -> Value | tuple[Value, Value]:
    """Maxima over ``output_size`` parts of a signal, as ``adaptive_max_pool2d``."""
    return _adaptive_maxima("adaptive_max_pool1d", input, output_size, return_indices)


def adaptive_max_pool2d(
    input: Value, output_size: MaybeInts, return_indices: bool = False
) -> Value | tuple[Value, Value]:
    """Maxima over parts of images, as equal in size as can be, such that ``output_size`` (H', W')
    of them cover an image; None keeps a size. ``return_indices`` as in ``max_pool2d``."""
    return _adaptive_maxima("adaptive_max_pool2d", input, output_size, return_indices)


def adaptive_max_pool3d(
    input: Value, output_size: MaybeInts, return_indices: bool = False
) -> Value | tuple[Value, Value]:
    """Maxima over parts of volumes, as ``adaptive_max_pool2d``."""
    return _adaptive_maxima("adaptive_max_pool3d", input, output_size, return_indices)


def adaptive_max_pool1d_with_indices(
    input: Value, output_size: Ints, return_indices: bool = False
) -> tuple[Value, Value]:
    """``adaptive_max_pool1d`` and the positions of the maxima."""
    return adaptive_max_pool1d(input, output_size, True)


def adaptive_max_pool2d_with_indices(
    input: Value, output_size: MaybeInts, return_indices: bool = False
) -> tuple[Value, Value]:
    """``adaptive_max_pool2d`` and the positions of the maxima."""
    return adaptive_max_pool2d(input, output_size, True)


def adaptive_max_pool3d_with_indices(
    input: Value, output_size: MaybeInts, return_indices: bool = False
) -> tuple[Value, Value]:
    """``adaptive_max_pool3d`` and the positions of the maxima."""
    return adaptive_max_pool3d(input, output_size, True)


# ---- means ---------------------------------------------------------------------------------

_avg_pool, _adaptive_avg_pool = {}, {}


def _define_means(dims: int) -> None:
    def backward_vjp(
        g: Value,
        kernel: tuple[int, ...],
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        ceil_mode: bool,
        count_include_pad: bool,
        divisor: int | None,
    ) -> Value:
        return _avg_pool[dims](g, kernel, stride, padding, ceil_mode, count_include_pad, divisor)

    backward = define(f"avg_pool{dims}d_backward", arrays.avg_pool_gradient, {"grad": backward_vjp})

    def vjp(
        g: Value,
        x_shape: tuple[int, ...],
        kernel: tuple[int, ...],
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        ceil_mode: bool,
        count_include_pad: bool,
        divisor: int | None,
    ) -> Value:
        sizes = x_shape[len(x_shape) - dims :]
        return backward(g, sizes, kernel, stride, padding, ceil_mode, count_include_pad, divisor)

    _avg_pool[dims] = define(f"avg_pool{dims}d", arrays.avg_pool, {"x": vjp})
    adaptive_backward = define(
        f"adaptive_avg_pool{dims}d_backward",
        arrays.adaptive_avg_pool_gradient,
        {"grad": lambda g, grad_shape: _adaptive_avg_pool[dims](g, grad_shape[-dims:])},
    )
    _adaptive_avg_pool[dims] = define(
        f"adaptive_avg_pool{dims}d",
        arrays.adaptive_avg_pool,
        {"x": lambda g, x_shape: adaptive_backward(g, x_shape[-dims:])},
    )


_define_means(2)
_define_means(3)


def _averaging(
    name: str,
    input: Value,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Value:
    check_tensor(name, input)
    kernel, stride, padding, _ = _settings(
        name,
        input._array.shape,
        _numbers(kernel_size),
        _numbers(stride),
        _numbers(padding),
        1,
        bool(ceil_mode),
        divisor_override,
    )
    dims = len(kernel)
    _check_kind("avg_pool3d_out_frame" if dims == 3 else "avg_pool2d", input, "fl")
    if dims == 3 and input._array.dtype.itemsize == 2:
        raise unsupported("avg_pool3d_out_frame", input.dtype)
    if dims > 1:
        rest = ceil_mode, count_include_pad, divisor_override
        return _avg_pool[dims](input, kernel, stride, padding, *rest)
    x = input.unsqueeze(-2)
    r = _avg_pool[2](
        x, (1, *kernel), (1, *stride), (0, *padding), ceil_mode, count_include_pad, None
    )
    return r.squeeze(-2)


def avg_pool1d(
    input: Value,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Value:
    """Means over windows of a signal (N, C, L) or (C, L), as ``avg_pool2d``."""
    return _averaging(
        "avg_pool1d", input, kernel_size, stride, padding, ceil_mode, count_include_pad, None
    )


def avg_pool2d(
    input: Value,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Value:
    """Means over windows of images (N, C, H, W) or (C, H, W); ``stride`` None: ``kernel_size``.

    Sums are divided by ``divisor_override``, or by the window's size, with or without the zeros of
    the padding (``count_include_pad``).
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool2d.html
    """
    return _averaging(
        "avg_pool2d",
        input,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
    )


def avg_pool3d(
    input: Value,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Value:
    """Means over windows of volumes (N, C, D, H, W) or (C, D, H, W), as ``avg_pool2d``."""
    return _averaging(
        "avg_pool3d",
        input,
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override,
    )


def _adaptive_means(name: str, input: Value, output_size: MaybeInts) -> Value:
    check_tensor(name, input)
    outs = _adaptive_settings(name, input._array.shape, _numbers(output_size))
    dims = len(outs)
    _check_kind("adaptive_avg_pool3d_cpu" if dims == 3 else "adaptive_avg_pool2d", input)
    if dims == 1:
        return _adaptive_avg_pool[2](input.unsqueeze(-2), (1, *outs)).squeeze(-2)
    if max(outs) == min(outs) == 1:
        return input.mean(tuple(range(-dims, 0)), True)
    return _adaptive_avg_pool[dims](input, outs)


def adaptive_avg_pool1d(input: Value, output_size: Ints) -> Value:
    """Means over ``output_size`` parts of a signal, as ``adaptive_avg_pool2d``."""
    return _adaptive_means("adaptive_avg_pool1d", input, output_size)


def adaptive_avg_pool2d(input: Value, output_size: MaybeInts) -> Value:
    """Means over parts of images, as equal in size as can be, such that ``output_size`` (H', W') of
    them cover an image: part i is floor(i * H / H') to ceil((i + 1) * H / H'). None keeps a size.
    """
    return _adaptive_means("adaptive_avg_pool2d", input, output_size)


def adaptive_avg_pool3d(input: Value, output_size: MaybeInts) -> Value:
    """Means over parts of volumes, as ``adaptive_avg_pool2d``."""
    return _adaptive_means("adaptive_avg_pool3d", input, output_size)


# ---- norms ---------------------------------------------------------------------------------


def _norm_pooling(
    pool: Callable[..., Value],
    input: Value,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None,
    ceil_mode: bool,
    dims: int,
) -> Value:
    sizes = (kernel_size,) * dims if isinstance(kernel_size, int) else tuple(kernel_size)
    count = 1
    for k in sizes:
        count *= k
    if stride is None:
        stride = kernel_size
    mean = pool(input.pow(norm_type), kernel_size, stride, 0, ceil_mode)
    return (mean.sign() * mean.abs().relu() * count).pow(1.0 / norm_type)


def lp_pool1d(
    input: Value,
    norm_type: float,
    kernel_size: int,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Value:
    """``(sum of x ** norm_type) ** (1 / norm_type)`` over windows of a signal."""
    return _norm_pooling(avg_pool1d, input, norm_type, kernel_size, stride, ceil_mode, 1)


def lp_pool2d(
    input: Value,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Value:
    """``(sum of x ** norm_type) ** (1 / norm_type)`` over windows of images."""
    return _norm_pooling(avg_pool2d, input, norm_type, kernel_size, stride, ceil_mode, 2)


def lp_pool3d(
    input: Value,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Value:
    """``(sum of x ** norm_type) ** (1 / norm_type)`` over windows of volumes."""
    return _norm_pooling(avg_pool3d, input, norm_type, kernel_size, stride, ceil_mode, 3)


__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
    "adaptive_max_pool2d", "adaptive_max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
    "max_pool1d", "max_pool2d", "max_pool3d",
]  # fmt: skip
