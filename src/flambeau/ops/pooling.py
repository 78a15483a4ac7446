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

from ..core.modes import hook, state
from ..core.mutation import accepts_out
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
    if not (indices or hook.active is not None or (input._edge is not None and state.grad)):
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
    if not (indices or hook.active is not None or (input._edge is not None and state.grad)):
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


@accepts_out
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


@accepts_out
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
    if hook.active is not None:
        (input,) = hook.active.operands("avg_pool3d", (input,))
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
    return (mean.sign() * mean.abs() * count).pow(1.0 / norm_type)


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


# ---- fractional pooling, and the way back --------------------------------------------------


def _fractional(
    name: str,
    input: Value,
    kernel_size: Ints,
    output_size: Ints | None,
    output_ratio: float | Sequence[float] | None,
    return_indices: bool,
    samples: Value | None,
) -> Value | tuple[Value, Value]:
    check_tensor(name, input)
    dims = int(name[-2])
    shape = input._array.shape
    if len(shape) not in (dims + 1, dims + 2) or 0 in shape[-dims - 1 :]:
        raise RuntimeError(
            f"{name}: Expected {dims + 1}D or {dims + 2}D tensor with optional 0 dim batch size, "
            f"but got: {list(shape)}"
        )
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    sizes = shape[-dims:]
    kernel = (kernel_size,) * dims if isinstance(kernel_size, int) else tuple(kernel_size)
    if output_size is None:
        ratios = (output_ratio,) * dims if isinstance(output_ratio, float) else tuple(output_ratio)
        if any(not 0 < r < 1 for r in ratios):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")
        outs = tuple(int(n * r) for n, r in zip(sizes, ratios))
    else:
        outs = (output_size,) * dims if isinstance(output_size, int) else tuple(output_size)
    for what, values in (("kernel_size", kernel), ("output_size", outs)):
        if len(values) != dims:
            raise RuntimeError(
                f"{name}: {what} must either be a single int or a tuple of {dims} ints, "
                f"but got {list(values)}"
            )
        if min(values) < 1:
            raise RuntimeError(f"{name}: {what} must be greater than zero, but got {list(values)}")
    axes = ("time", "height", "width")[3 - dims :]
    for axis, n, k, m in zip(axes, sizes, kernel, outs):
        if m + k - 1 > n:
            raise RuntimeError(
                f"{name}(): pool {axis} {k} too large relative to input {axis} {n}\n"
                f"  {m} windows of {k} need at least {m + k - 1} elements"
            )
    _check_kind(name, input)
    batched = len(shape) == dims + 2
    x = input if batched else input.unsqueeze(0)
    if samples is None:
        samples = input.new_empty((*x._array.shape[:2], dims)).uniform_()
    elif samples._array.ndim != 3 or samples._array.shape[-1] != dims:
        raise RuntimeError(
            f"Expect _random_samples to have {dims} in the last of 3 dimensions (batch, channel, "
            f"axis); got {list(samples._array.shape)}"
        )
    elif samples._array.shape[0] < len(x._array) or samples._array.shape[1] != x._array.shape[1]:
        raise RuntimeError(
            f"Expect _random_samples of size {[*x._array.shape[:2], dims]}, got "
            f"{list(samples._array.shape)}"
        )
    elif samples.dtype != input.dtype:
        raise RuntimeError("Expect _random_samples to have the same dtype as input")
    values, where = _fractional_max_pool[dims](x, kernel, outs, samples.detach())
    if not batched:
        values, where = values.squeeze(0), where.squeeze(0)
    return (values, where) if return_indices else values


def fractional_max_pool2d(
    input: Value,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Value | None = None,
) -> Value | tuple[Value, Value]:
    """Maxima over windows at pseudo-random places, ``output_size`` or ``output_ratio`` times the
    size of them in an image. Source: B. Graham, Fractional Max-Pooling, 2014."""
    return _fractional(
        "fractional_max_pool2d",
        input,
        kernel_size,
        output_size,
        output_ratio,
        return_indices,
        _random_samples,
    )


def fractional_max_pool3d(
    input: Value,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Value | None = None,
) -> Value | tuple[Value, Value]:
    """Maxima over windows at pseudo-random places of volumes, as ``fractional_max_pool2d``."""
    return _fractional(
        "fractional_max_pool3d",
        input,
        kernel_size,
        output_size,
        output_ratio,
        return_indices,
        _random_samples,
    )


def fractional_max_pool2d_with_indices(
    input: Value,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Value | None = None,
) -> tuple[Value, Value]:
    """``fractional_max_pool2d`` and the positions of the maxima."""
    return fractional_max_pool2d(
        input, kernel_size, output_size, output_ratio, True, _random_samples
    )


def fractional_max_pool3d_with_indices(
    input: Value,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Value | None = None,
) -> tuple[Value, Value]:
    """``fractional_max_pool3d`` and the positions of the maxima."""
    return fractional_max_pool3d(
        input, kernel_size, output_size, output_ratio, True, _random_samples
    )


def _unpooling(
    name: str,
    input: Value,
    indices: Value,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    output_size: Sequence[int] | None,
) -> Value:
    check_tensor(name, input)
    check_tensor(name, indices, "indices")
    dims = int(name[-2])
    shape = input._array.shape

    def each(value: Ints) -> tuple[int, ...]:
        return (value,) * dims if isinstance(value, int) else tuple(value)

    kernel, padding = each(kernel_size), each(padding)
    stride = kernel if stride in (None, (), []) else each(stride)
    natural = [
        (n - 1) * s + k - 2 * p for n, s, k, p in zip(shape[-dims:], stride, kernel, padding)
    ]
    outs = natural
    if output_size is not None:
        outs = tuple(output_size)
        if len(outs) == dims + 2:
            outs = outs[2:]
        if len(outs) != dims:
            raise ValueError(
                f"output_size should be a sequence containing {dims} or {dims + 2} elements, but "
                f"it has a length of '{len(outs)}'"
            )
        for d, (m, n, s) in enumerate(zip(outs, natural, stride)):
            if not n - s < m < n + s:
                raise ValueError(
                    f'invalid output_size "{list(outs)}" (dim {d} must be between {n - s} and '
                    f"{n + s})"
                )
    if indices._array.dtype != np.int64:
        raise RuntimeError(
            f"elements in indices should be type int64 but got: {indices.dtype.legacy_name}"
        )
    ranks = (dims + 1, dims + 2)
    if len(shape) not in ranks:
        raise RuntimeError(
            f"Input to {name} should be a {ranks[0]}d or {ranks[1]}d Tensor, but got a tensor with "
            f"{len(shape)} dims"
        )
    if indices._array.shape != shape:
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor ({list(shape)}) but "
            f"got indices tensor with shape: {list(indices._array.shape)}"
        )
    if 0 in shape[len(shape) - dims - 1 :]:
        raise RuntimeError(
            f"{name}(): Expected input to have non-zero size for non-batch dimensions, but got "
            f"{list(shape)}"
        )
    _check_kind(name, input, "fl")
    if dims > 1:
        return _max_unpool[dims](input, indices, tuple(outs))
    x, where = input.unsqueeze(-2), indices.unsqueeze(-2)
    return _max_unpool[2](x, where, (1, *outs)).squeeze(-2)


def max_unpool1d(
    input: Value,
    indices: Value,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Value:
    """A signal with maxima of ``max_pool1d`` in their places and 0 elsewhere."""
    return _unpooling("max_unpool1d", input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Value,
    indices: Value,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Value:
    """Images with maxima of ``max_pool2d`` in their places and 0 elsewhere.

    ``output_size``: the size to make, where several sizes pool to that of ``input``.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxUnpool2d.html
    """
    return _unpooling("max_unpool2d", input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Value,
    indices: Value,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Value:
    """Volumes with maxima of ``max_pool3d`` in their places and 0 elsewhere."""
    return _unpooling("max_unpool3d", input, indices, kernel_size, stride, padding, output_size)


__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
    "adaptive_max_pool2d", "adaptive_max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
    "max_pool1d", "max_pool2d", "max_pool3d",
]  # fmt: skip
