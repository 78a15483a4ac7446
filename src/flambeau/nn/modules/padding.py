"""Padding layers: what stands beyond the border of a signal, an image or a volume."""

from __future__ import annotations

from ...core.value import Value
from .. import functional as F
from .module import Module

Ints = int | tuple[int, ...]


class _Pad(Module):
    """Padding of the last ``_dims`` dimensions by ``F.pad`` with mode ``_mode``.

    ``padding``: one size for every side, or (before, after) for each dimension, the last first.
    """

    _dims: int
    _mode: str

    def __init__(self, padding: Ints) -> None:
        super().__init__()
        count = 2 * self._dims
        self.padding = (padding,) * count if isinstance(padding, int) else tuple(padding)

    def forward(self, input: Value) -> Value:
        """The padded input."""
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _CircularPadNd(_Pad):
    _mode = "circular"

    def forward(self, input: Value) -> Value:
        """The padded input; ValueError unless it has its dimensions, and perhaps a batch."""
        if input.dim() not in (self._dims + 1, self._dims + 2):
            raise ValueError(
                f"expected {self._dims + 1}D or {self._dims + 2}D input (got {input.dim()}D input)"
            )
        return super().forward(input)


class CircularPad1d(_CircularPadNd):
    """A signal continued by its other end."""

    _dims = 1


class CircularPad2d(_CircularPadNd):
    """An image continued by its other end."""

    _dims = 2


class CircularPad3d(_CircularPadNd):
    """A volume continued by its other end."""

    _dims = 3


class _ConstantPadNd(_Pad):
    """Padding with ``value``."""

    def __init__(self, padding: Ints, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Value) -> Value:
        """The padded input."""
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd):
    """A signal with ``value`` around it."""

    _dims = 1


class ConstantPad2d(_ConstantPadNd):
    """An image with ``value`` around it."""

    _dims = 2


class ConstantPad3d(_ConstantPadNd):
    """A volume with ``value`` around it."""

    _dims = 3


class _ReflectionPadNd(_Pad):
    _mode = "reflect"


class ReflectionPad1d(_ReflectionPadNd):
    """A signal mirrored at its first and last element, which are not repeated."""

    _dims = 1


class ReflectionPad2d(_ReflectionPadNd):
    """An image mirrored at its outermost elements, which are not repeated."""

    _dims = 2


class ReflectionPad3d(_ReflectionPadNd):
    """A volume mirrored at its outermost elements, which are not repeated."""

    _dims = 3


class _ReplicationPadNd(_Pad):
    _mode = "replicate"


class ReplicationPad1d(_ReplicationPadNd):
    """A signal continued with its first and last element."""

    _dims = 1


class ReplicationPad2d(_ReplicationPadNd):
    """An image continued with its outermost elements."""

    _dims = 2


class ReplicationPad3d(_ReplicationPadNd):
    """A volume continued with its outermost elements."""

    _dims = 3


class _ZeroPadNd(_ConstantPadNd):
    def __init__(self, padding: Ints) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPadNd, ConstantPad1d):
    """A signal with zeros around it."""


class ZeroPad2d(_ZeroPadNd, ConstantPad2d):
    """An image with zeros around it."""


class ZeroPad3d(_ZeroPadNd, ConstantPad3d):
    """A volume with zeros around it."""


__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d",
    "ConstantPad3d", "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d",
    "ReplicationPad2d", "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip
