"""Pooling layers."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.value import Value
from .. import functional as F
from .module import Module

Ints = int | tuple[int, ...]


class _MaxPoolNd(Module):
    """Settings of a pooling of maxima over windows."""

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        dilation: Ints = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )

    def _pool(self, pool: object, input: Value) -> Value | tuple[Value, Value]:
        return pool(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )


class MaxPool1d(_MaxPoolNd):
    """Maxima over windows of signals (N, C, L), as ``F.max_pool1d``."""

    def forward(self, input: Value) -> Value | tuple[Value, Value]:
        """The maxima, and their positions with ``return_indices``."""
        return self._pool(F.max_pool1d, input)


class MaxPool2d(_MaxPoolNd):
    """Maxima over windows of images (N, C, H, W), as ``F.max_pool2d``."""

    def forward(self, input: Value) -> Value | tuple[Value, Value]:
        """The maxima, and their positions with ``return_indices``."""
        return self._pool(F.max_pool2d, input)


class MaxPool3d(_MaxPoolNd):
    """Maxima over windows of volumes (N, C, D, H, W), as ``F.max_pool3d``."""

    def forward(self, input: Value) -> Value | tuple[Value, Value]:
        """The maxima, and their positions with ``return_indices``."""
        return self._pool(F.max_pool3d, input)


class _MaxUnpoolNd(Module):
    """Settings of the way back from a pooling of maxima."""

    _dims: int

    def __init__(self, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0) -> None:
        super().__init__()
        self.kernel_size = self._each(kernel_size)
        self.stride = self._each(stride if stride is not None else kernel_size)
        self.padding = self._each(padding)

    def _each(self, value: Ints) -> tuple[int, ...]:
        return (value,) * self._dims if isinstance(value, int) else tuple(value)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"

    def forward(
        self, input: Value, indices: Value, output_size: Sequence[int] | None = None
    ) -> Value:
        """``input`` where ``indices`` says, 0 elsewhere."""
        unpool = (F.max_unpool1d, F.max_unpool2d, F.max_unpool3d)[self._dims - 1]
        return unpool(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool1d(_MaxUnpoolNd):
    """Maxima of ``MaxPool1d`` back in their places."""

    _dims = 1


class MaxUnpool2d(_MaxUnpoolNd):
    """Maxima of ``MaxPool2d`` back in their places."""

    _dims = 2


class MaxUnpool3d(_MaxUnpoolNd):
    """Maxima of ``MaxPool3d`` back in their places."""

    _dims = 3


class AvgPool1d(Module):
    """Means over windows of signals (N, C, L), as ``F.avg_pool1d``."""

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = self._single(kernel_size)
        self.stride = self._single(stride if stride is not None else kernel_size)
        self.padding = self._single(padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def _single(self, value: Ints) -> tuple[int, ...]:
        return (value,) if isinstance(value, int) else tuple(value)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"

    def forward(self, input: Value) -> Value:
        """The means."""
        return F.avg_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
        )


class AvgPool2d(Module):
    """Means over windows of images (N, C, H, W), as ``F.avg_pool2d``."""

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"

    def _pool(self, pool: object, input: Value) -> Value:
        return pool(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def forward(self, input: Value) -> Value:
        """The means."""
        return self._pool(F.avg_pool2d, input)


class AvgPool3d(AvgPool2d):
    """Means over windows of volumes (N, C, D, H, W), as ``F.avg_pool3d``."""

    def forward(self, input: Value) -> Value:
        """The means."""
        return self._pool(F.avg_pool3d, input)


class _FractionalMaxPoolNd(Module):
    """Settings of a pooling over windows at pseudo-random places."""

    _dims: int

    def __init__(
        self,
        kernel_size: Ints,
        output_size: Ints | None = None,
        output_ratio: float | tuple[float, ...] | None = None,
        return_indices: bool = False,
        _random_samples: Value | None = None,
    ) -> None:
        super().__init__()
        dims = self._dims
        name = f"FractionalMaxPool{dims}d"
        if output_size is None and output_ratio is None:
            raise ValueError(
                f"{name} requires specifying either an output size, or a pooling ratio"
            )
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        if isinstance(output_ratio, float):
            output_ratio = (output_ratio,) * dims
        if output_ratio is not None and any(not 0 < r < 1 for r in output_ratio):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")
        self.kernel_size = (kernel_size,) * dims if isinstance(kernel_size, int) else kernel_size
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = (output_size,) * dims if isinstance(output_size, int) else output_size
        self.output_ratio = output_ratio

    def forward(self, input: Value) -> Value | tuple[Value, Value]:
        """The maxima, and their positions with ``return_indices``."""
        pool = F.fractional_max_pool2d if self._dims == 2 else F.fractional_max_pool3d
        return pool(
            input,
            self.kernel_size,
            self.output_size,
            self.output_ratio,
            self.return_indices,
            self._random_samples,
        )


class FractionalMaxPool2d(_FractionalMaxPoolNd):
    """Maxima over windows at pseudo-random places of images, as ``F.fractional_max_pool2d``."""

    _dims = 2


class FractionalMaxPool3d(_FractionalMaxPoolNd):
    """Maxima over windows at pseudo-random places of volumes, as ``F.fractional_max_pool3d``."""

    _dims = 3


class _LPPoolNd(Module):
    """Settings of a pooling of norms over windows."""

    def __init__(
        self,
        norm_type: float,
        kernel_size: Ints,
        stride: Ints | None = None,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )

    def _pool(self, pool: object, input: Value) -> Value:
        kernel, stride = self.kernel_size, self.stride
        return pool(input, float(self.norm_type), kernel, stride, self.ceil_mode)


class LPPool1d(_LPPoolNd):
    """``(sum of x ** norm_type) ** (1 / norm_type)`` over windows of signals."""

    def forward(self, input: Value) -> Value:
        """The norms."""
        return self._pool(F.lp_pool1d, input)


class LPPool2d(_LPPoolNd):
    """``(sum of x ** norm_type) ** (1 / norm_type)`` over windows of images."""

    def forward(self, input: Value) -> Value:
        """The norms."""
        return self._pool(F.lp_pool2d, input)


class LPPool3d(_LPPoolNd):
    """``(sum of x ** norm_type) ** (1 / norm_type)`` over windows of volumes."""

    def forward(self, input: Value) -> Value:
        """The norms."""
        return self._pool(F.lp_pool3d, input)


class _AdaptiveMaxPoolNd(Module):
    """Settings of a pooling of maxima over a given number of parts."""

    def __init__(self, output_size: Ints | None, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd):
    """Maxima over ``output_size`` parts of signals."""

    def forward(self, input: Value) -> Value | tuple[Value, Value]:
        """The maxima, and their positions with ``return_indices``."""
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd):
    """Maxima over ``output_size`` parts of images."""

    def forward(self, input: Value) -> Value | tuple[Value, Value]:
        """The maxima, and their positions with ``return_indices``."""
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd):
    """Maxima over ``output_size`` parts of volumes."""

    def forward(self, input: Value) -> Value | tuple[Value, Value]:
        """The maxima, and their positions with ``return_indices``."""
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)


class _AdaptiveAvgPoolNd(Module):
    """Settings of a pooling of means over a given number of parts."""

    def __init__(self, output_size: Ints | None) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd):
    """Means over ``output_size`` parts of signals."""

    def forward(self, input: Value) -> Value:
        """The means."""
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd):
    """Means over ``output_size`` parts of images."""

    def forward(self, input: Value) -> Value:
        """The means."""
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd):
    """Means over ``output_size`` parts of volumes."""

    def forward(self, input: Value) -> Value:
        """The means."""
        return F.adaptive_avg_pool3d(input, self.output_size)


__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d", "AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d",
    "FractionalMaxPool2d", "FractionalMaxPool3d", "LPPool1d", "LPPool2d", "LPPool3d", "MaxPool1d",
    "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d",
]  # fmt: skip
