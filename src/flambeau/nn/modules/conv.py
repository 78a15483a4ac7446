"""Convolution layers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..._dtypes import dtype
from ...core.value import Value
from ...tensor._creation import empty
from .. import functional as F
from .. import init
from ..parameter import Parameter
from .module import Module

Ints = int | Sequence[int]

_MODES = ("zeros", "reflect", "replicate", "circular")


def _each(value: Ints, dims: int) -> tuple[int, ...]:
    """``value`` for each of ``dims`` dimensions."""
    return (value,) * dims if isinstance(value, int) else tuple(value)


class _ConvNd(Module):
    """What all convolution layers have: weight, bias and settings.

    The weight is (out_channels, in_channels / groups, *kernel_size), the first two swapped for a
    transposed convolution; both start uniform within 1 / sqrt(inputs of one output).
    """

    _dims: int
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, ...],
        stride: tuple[int, ...],
        padding: tuple[int, ...] | str,
        dilation: tuple[int, ...],
        transposed: bool,
        output_padding: tuple[int, ...],
        groups: int,
        bias: bool,
        padding_mode: str,
        device: object = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__()
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        for what, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(
                    f"{what} must be divisible by groups\n  {channels} % {groups} != 0"
                )
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(
                    f"Invalid padding string {padding!r}, should be one of {{'valid', 'same'}}"
                )
            if padding == "same" and any(s != 1 for s in stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
        if padding_mode not in _MODES:
            raise ValueError(f"padding_mode must be one of {set(_MODES)}, but got {padding_mode=}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.transposed = transposed
        self.output_padding = output_padding
        self.groups = groups
        self.padding_mode = padding_mode
        # as F.pad takes it: last dimension first, before and after
        if isinstance(padding, str):
            around = []
            for d, k in zip(dilation, kernel_size):
                total = d * (k - 1) if padding == "same" else 0
                around.append((total // 2, total - total // 2))
        else:
            around = [(p, p) for p in padding]
        self._reversed_padding_repeated_twice = [p for pair in reversed(around) for p in pair]
        sizes = (out_channels, in_channels // groups)
        if transposed:
            sizes = (in_channels, out_channels // groups)
        self.weight = Parameter(empty((*sizes, *kernel_size), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            if fan_in != 0:
                bound = 1 / math.sqrt(fan_in)
                init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        parts = [
            f"{self.in_channels}, {self.out_channels}",
            f"kernel_size={self.kernel_size}, stride={self.stride}",
        ]
        if self.padding != (0,) * len(self.kernel_size):
            parts.append(f"padding={self.padding}")
        if self.dilation != (1,) * len(self.kernel_size):
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != (0,) * len(self.kernel_size):
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


class _Conv(_ConvNd):
    """A convolution layer of ``_dims`` dimensions."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: str | Ints = 0,
        dilation: Ints = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: object = None,
        dtype: dtype | None = None,
    ) -> None:
        dims = self._dims
        super().__init__(
            in_channels,
            out_channels,
            _each(kernel_size, dims),
            _each(stride, dims),
            padding if isinstance(padding, str) else _each(padding, dims),
            _each(dilation, dims),
            False,
            (0,) * dims,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _conv_forward(self, input: Value, weight: Value, bias: Value | None) -> Value:
        """The convolution of ``input`` with a ``weight`` that need not be the layer's own."""
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = 0
        conv = _CONV[self._dims]
        return conv(input, weight, bias, self.stride, padding, self.dilation, self.groups)

    def forward(self, input: Value) -> Value:
        """The convolution of ``input``."""
        return self._conv_forward(input, self.weight, self.bias)


class Conv1d(_Conv):
    """Convolution of signals: (N, C, L) -> (N, out_channels, L'), as ``F.conv1d``."""

    _dims = 1


class Conv2d(_Conv):
    """Convolution of images: (N, C, H, W) -> (N, out_channels, H', W'), as ``F.conv2d``.

    ``padding_mode``: what stands beyond the border: zeros, reflect, replicate or circular.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html
    """

    _dims = 2


class Conv3d(_Conv):
    """Convolution of volumes: (N, C, D, H, W) -> (N, out_channels, D', H', W'), as ``F.conv3d``."""

    _dims = 3


class _ConvTransposeNd(_ConvNd):
    """A transposed convolution layer of ``_dims`` dimensions."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Ints = 0,
        output_padding: Ints = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Ints = 1,
        padding_mode: str = "zeros",
        device: object = None,
        dtype: dtype | None = None,
    ) -> None:
        dims = self._dims
        if padding_mode != "zeros":
            raise ValueError(
                f'Only "zeros" padding mode is supported for {type(self).__name__}, '
                f"got {padding_mode!r}"
            )
        super().__init__(
            in_channels,
            out_channels,
            _each(kernel_size, dims),
            _each(stride, dims),
            _each(padding, dims),
            _each(dilation, dims),
            True,
            _each(output_padding, dims),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _output_padding(self, input: Value, output_size: Sequence[int] | None) -> tuple[int, ...]:
        """The output padding that makes ``output_size`` of ``input``."""
        if output_size is None:
            return self.output_padding
        dims = self._dims
        sizes = tuple(input.shape[-dims:])
        wanted = tuple(output_size)
        if len(wanted) == input.dim():
            wanted = wanted[-dims:]
        if len(wanted) != dims:
            raise ValueError(
                f"ConvTranspose{dims}D: for {input.dim()}D input, output_size must have {dims} or "
                f"{input.dim()} elements (got {len(output_size)})"
            )
        least = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(
                sizes, self.stride, self.padding, self.dilation, self.kernel_size
            )
        ]
        most = [m + s - 1 for m, s in zip(least, self.stride)]
        if any(not low <= w <= high for low, w, high in zip(least, wanted, most)):
            raise ValueError(
                f"requested an output size of {output_size}, but valid sizes range from {least} to "
                f"{most} (for an input of {sizes})"
            )
        return tuple(w - m for w, m in zip(wanted, least))

    def forward(self, input: Value, output_size: Sequence[int] | None = None) -> Value:
        """The transposed convolution of ``input``; ``output_size``: which of the sizes that a
        stride above 1 leaves open."""
        return _CONV_TRANSPOSE[self._dims](
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self._output_padding(input, output_size),
            self.groups,
            self.dilation,
        )


class ConvTranspose1d(_ConvTransposeNd):
    """Transposed convolution of signals: (N, C, L) -> (N, out_channels, L')."""

    _dims = 1


class ConvTranspose2d(_ConvTransposeNd):
    """Transposed convolution of images: (N, C, H, W) -> (N, out_channels, H', W').

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose2d.html
    """

    _dims = 2


class ConvTranspose3d(_ConvTransposeNd):
    """Transposed convolution of volumes: (N, C, D, H, W) -> (N, out_channels, D', H', W')."""

    _dims = 3


_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
]
