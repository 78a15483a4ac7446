"""The gradients of convolutions as functions, for a given gradient of the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..autograd._grad import grad as _grad
from ..core.modes import enable_grad
from ..core.value import Value
from ..ops.convolution import conv1d, conv2d, conv3d


def _of_input(conv: Callable[..., Value], name: str) -> Callable[..., Value]:
    def gradient(
        input_size: Sequence[int],
        weight: Value,
        grad_output: Value,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Value:
        input = grad_output.new_zeros(tuple(input_size)).requires_grad_()
        with enable_grad():
            y = conv(input, weight.detach(), None, stride, padding, dilation, groups)
        return _grad(y, input, grad_output)[0]

    gradient.__name__ = gradient.__qualname__ = name
    gradient.__doc__ = f"The gradient of ``{conv.__name__}`` for an input of ``input_size``."
    return gradient


def _of_weight(conv: Callable[..., Value], name: str) -> Callable[..., Value]:
    def gradient(
        input: Value,
        weight_size: Sequence[int],
        grad_output: Value,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Value:
        weight = grad_output.new_zeros(tuple(weight_size)).requires_grad_()
        with enable_grad():
            y = conv(input.detach(), weight, None, stride, padding, dilation, groups)
        return _grad(y, weight, grad_output)[0]

    gradient.__name__ = gradient.__qualname__ = name
    gradient.__doc__ = f"The gradient of ``{conv.__name__}`` for a weight of ``weight_size``."
    return gradient


conv1d_input = _of_input(conv1d, "conv1d_input")
conv2d_input = _of_input(conv2d, "conv2d_input")
conv3d_input = _of_input(conv3d, "conv3d_input")
conv1d_weight = _of_weight(conv1d, "conv1d_weight")
conv2d_weight = _of_weight(conv2d, "conv2d_weight")
conv3d_weight = _of_weight(conv3d, "conv3d_weight")
