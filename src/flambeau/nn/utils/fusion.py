"""A layer and the batch norm after it as one layer, for evaluation."""

from __future__ import annotations

import copy

from ...core.value import Value
from ...tensor._creation import ones_like, zeros_like
from ..modules.module import Module
from ..parameter import Parameter


def fuse_conv_bn_eval(conv: Module, bn: Module, transpose: bool = False) -> Module:
    """The convolution that computes ``bn(conv(x))`` in evaluation mode."""
    if conv.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    fused = copy.deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias,
        transpose,
    )  # fmt: skip
    return fused


def fuse_conv_bn_weights(
    conv_w: Value,
    conv_b: Value | None,
    bn_rm: Value,
    bn_rv: Value,
    bn_eps: float,
    bn_w: Value | None,
    bn_b: Value | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of that convolution: w' = w s, b' = (b - mean) s + beta, with
    s = gamma / sqrt(var + eps) for each channel of the output."""
    bias_dtype = conv_b.dtype if conv_b is not None else conv_w.dtype
    conv_b = zeros_like(bn_rm) if conv_b is None else conv_b
    bn_w = ones_like(bn_rm) if bn_w is None else bn_w
    bn_b = zeros_like(bn_rm) if bn_b is None else bn_b
    scale = bn_w * (bn_rv + bn_eps).rsqrt()
    shape = [1] * conv_w.dim()
    shape[1 if transpose else 0] = -1
    weight = (conv_w * scale.reshape(shape)).to(conv_w.dtype)
    bias = ((conv_b - bn_rm) * scale + bn_b).to(bias_dtype)
    learned = conv_w.requires_grad, conv_b.requires_grad
    return Parameter(weight.detach(), learned[0]), Parameter(bias.detach(), learned[1])


def fuse_linear_bn_eval(linear: Module, bn: Module) -> Module:
    """The linear layer that computes ``bn(linear(x))`` in evaluation mode."""
    if linear.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    if linear.out_features != bn.num_features and bn.num_features != 1:
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1"
        )
    fused = copy.deepcopy(linear)
    fused.weight, fused.bias = fuse_linear_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return fused


def fuse_linear_bn_weights(
    linear_w: Value,
    linear_b: Value | None,
    bn_rm: Value,
    bn_rv: Value,
    bn_eps: float,
    bn_w: Value,
    bn_b: Value,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of that linear layer; see ``fuse_conv_bn_weights``."""
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)


__all__ = [
    "fuse_conv_bn_eval",
    "fuse_conv_bn_weights",
    "fuse_linear_bn_eval",
    "fuse_linear_bn_weights",
]
