"""``torch._C._nn``: the functions of ``nn.functional`` that a model pickled by PyTorch names by
this path, such as the activation of a TransformerEncoderLayer."""

from __future__ import annotations

from typing import Any

from .._dtypes import dtype
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
from ..tensor._conversion import parse_to
from ..tensor._device import device

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


def _parse_to(*args: Any, **kwargs: Any) -> tuple[device | None, dtype | None, bool, Any]:
    """What the arguments of ``Tensor.to`` say: device, dtype, non_blocking, memory format."""
    non_blocking = bool(kwargs.get("non_blocking", False))
    wanted, place, _, format = parse_to(args, dict(kwargs))
    return place, wanted, non_blocking, format
