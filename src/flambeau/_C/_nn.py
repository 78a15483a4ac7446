"""``torch._C._nn``: the functions of ``nn.functional`` that a model pickled by PyTorch names by
this path, such as the activation of a TransformerEncoderLayer."""

from __future__ import annotations

from ..nn.functional import (
    avg_pool2d,
    avg_pool3d,
    elu_,
    gelu,
    hardtanh_,
    leaky_relu_,
    linear,
    logsigmoid,
    one_hot,
    scaled_dot_product_attention,
    softplus,
    softshrink,
)

log_sigmoid = logsigmoid

__all__ = [
    "avg_pool2d",
    "avg_pool3d",
    "elu_",
    "gelu",
    "hardtanh_",
    "leaky_relu_",
    "linear",
    "log_sigmoid",
    "logsigmoid",
    "one_hot",
    "scaled_dot_product_attention",
    "softplus",
    "softshrink",
]
