"""``torch.nn.functional``: layers as functions, with PyTorch's signatures.

Most are operations of ops/ and functions/; here are those whose signature has more to say, such as
``inplace``.
"""

from __future__ import annotations

import warnings

from .. import _dtypes
from .._missing import missing
from ..core.mutation import inplace as _inplace
from ..core.value import Value
from ..functions.attention import multi_head_attention_forward
from ..functions.distances import (
    cosine_similarity,
    local_response_norm,
    normalize,
    pairwise_distance,
    pdist,
)
from ..functions.dropout import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    feature_alpha_dropout,
    gumbel_softmax,
)
from ..functions.losses import (
    cosine_embedding_loss,
    gaussian_nll_loss,
    hinge_embedding_loss,
    kl_div,
    linear_cross_entropy,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    poisson_nll_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from ..functions.products import bilinear
from ..functions.shape import channel_shuffle, pixel_shuffle, pixel_unshuffle
from ..ops import activations
from ..ops.activations import (
    celu_,
    elu_,
    gelu,
    glu,
    hardshrink,
    hardtanh_,
    leaky_relu_,
    logsigmoid,
    prelu,
    relu_,
    rrelu_,
    selu_,
    softplus,
    softshrink,
    softsign,
    tanhshrink,
    threshold_,
)
from ..ops.attention import scaled_dot_product_attention
from ..ops.channel_norm import batch_norm, group_norm, instance_norm
from ..ops.convolution import (
    conv1d,
    conv2d,
    conv3d,
    conv_tbc,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    fold,
    unfold,
)
from ..ops.cross_entropy import cross_entropy, nll_loss
from ..ops.ctc import ctc_loss
from ..ops.elementwise import sigmoid, tanh
from ..ops.embedding import embedding, embedding_bag
from ..ops.gathering import one_hot
from ..ops.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber_loss,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
)
from ..ops.normalisation import layer_norm, rms_norm
from ..ops.padding import pad
from ..ops.pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool1d_with_indices,
    adaptive_max_pool2d,
    adaptive_max_pool2d_with_indices,
    adaptive_max_pool3d,
    adaptive_max_pool3d_with_indices,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    fractional_max_pool2d,
    fractional_max_pool2d_with_indices,
    fractional_max_pool3d,
    fractional_max_pool3d_with_indices,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool1d_with_indices,
    max_pool2d,
    max_pool2d_with_indices,
    max_pool3d,
    max_pool3d_with_indices,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)
from ..ops.products import linear
from ..ops.resampling import (
    affine_grid,
    grid_sample,
    interpolate,
    upsample,
    upsample_bilinear,
    upsample_nearest,
)
from ..ops.softmax import log_softmax as _log_softmax
from ..ops.softmax import softmax as _softmax
from ..overrides import (
    handle_torch_function,
    has_torch_function,
    has_torch_function_unary,
    has_torch_function_variadic,
)
from ..tensor._tensor import Tensor

# ---- activations that may write into their input -----------------------------------------------

_relu6_ = _inplace(activations.relu6)
_silu_ = _inplace(activations.silu)
_mish_ = _inplace(activations.mish)
_hardsigmoid_ = _inplace(activations.hardsigmoid)
_hardswish_ = _inplace(activations.hardswish)


def relu(input: Value, inplace: bool = False) -> Value:
    """``max(input, 0)``, elementwise."""
    return relu_(input) if inplace else activations.relu(input)


def relu6(input: Value, inplace: bool = False) -> Value:
    """``input`` kept within [0, 6]."""
    return _relu6_(input) if inplace else activations.relu6(input)


def silu(input: Value, inplace: bool = False) -> Value:
    """``input * sigmoid(input)``."""
    return _silu_(input) if inplace else activations.silu(input)


def mish(input: Value, inplace: bool = False) -> Value:
    """``input * tanh(softplus(input))``."""
    return _mish_(input) if inplace else activations.mish(input)


def elu(input: Value, alpha: float = 1.0, inplace: bool = False) -> Value:
    """``input`` where it is positive, else ``alpha * (exp(input) - 1)``."""
    return (elu_ if inplace else activations.elu)(input, alpha)


def selu(input: Value, inplace: bool = False) -> Value:
    """``elu`` with the two constants that keep mean 0 and variance 1."""
    return selu_(input) if inplace else activations.selu(input)


def celu(input: Value, alpha: float = 1.0, inplace: bool = False) -> Value:
    """``input`` where it is positive, else ``alpha * (exp(input / alpha) - 1)``."""
    return (celu_ if inplace else activations.celu)(input, alpha)


def leaky_relu(input: Value, negative_slope: float = 0.01, inplace: bool = False) -> Value:
    """``input`` where it is positive, else ``negative_slope * input``."""
    return (leaky_relu_ if inplace else activations.leaky_relu)(input, negative_slope)


def rrelu(
    input: Value,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Value:
    """``leaky_relu`` with a slope drawn for each element, in training; else with their mean."""
    return (rrelu_ if inplace else activations.rrelu)(input, lower, upper, training)


def hardtanh(
    input: Value, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Value:
    """``input`` kept within [min_val, max_val]."""
    return (hardtanh_ if inplace else activations.hardtanh)(input, min_val, max_val)


def hardsigmoid(input: Value, inplace: bool = False) -> Value:
    """``(input + 3) / 6`` kept within [0, 1]."""
    return _hardsigmoid_(input) if inplace else activations.hardsigmoid(input)


def hardswish(input: Value, inplace: bool = False) -> Value:
    """``input * hardsigmoid(input)``."""
    return _hardswish_(input) if inplace else activations.hardswish(input)


def threshold(input: Value, threshold: float, value: float, inplace: bool = False) -> Value:
    """``input`` where it is greater than ``threshold``, else ``value``."""
    return (threshold_ if inplace else activations.threshold)(input, threshold, value)


# ---- softmax -----------------------------------------------------------------------------------


def _dimension(name: str, ndim: int, stacklevel: int) -> int:
    """What PyTorch takes for ``dim`` where none is given."""
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include "
        "dim=X as an argument.",
        UserWarning,
        stacklevel=stacklevel,
    )
    return 0 if ndim in (0, 1, 3) else 1


def softmax(
    input: Value,
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: _dtypes.dtype | None = None,
) -> Value:
    """Positive numbers that add up to 1 along ``dim``: ``exp(input)`` over its sum."""
    if dim is None:
        dim = _dimension("softmax", input.dim(), _stacklevel)
    return _softmax(input, dim, dtype)


def softmin(
    input: Value,
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: _dtypes.dtype | None = None,
) -> Value:
    """``softmax(-input)``."""
    if dim is None:
        dim = _dimension("softmin", input.dim(), _stacklevel)
    return _softmax(-input, dim, dtype)


def log_softmax(
    input: Value,
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: _dtypes.dtype | None = None,
) -> Value:
    """``log(softmax(input, dim))``, computed without loss."""
    if dim is None:
        dim = _dimension("log_softmax", input.dim(), _stacklevel)
    return _log_softmax(input, dim, dtype)


native_channel_shuffle = channel_shuffle


GRID_SAMPLE_INTERPOLATION_MODES = {"bilinear": 0, "nearest": 1, "bicubic": 2}
GRID_SAMPLE_PADDING_MODES = {"zeros": 0, "border": 1, "reflection": 2}


def assert_int_or_pair(arg: list[int], arg_name: str, message: str) -> None:
    """AssertionError, with ``message`` about ``arg_name``, unless it is a number or two."""
    if not isinstance(arg, int) and len(arg) != 2:
        raise AssertionError(message.format(arg_name))


def __getattr__(name: str) -> object:
    raise missing(__name__, name, globals())


__all__ = [
    "GRID_SAMPLE_INTERPOLATION_MODES", "GRID_SAMPLE_PADDING_MODES", "Tensor", "assert_int_or_pair",
    "handle_torch_function", "has_torch_function", "has_torch_function_unary",
    "has_torch_function_variadic",
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices", "adaptive_max_pool2d", "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d", "adaptive_max_pool3d_with_indices", "affine_grid", "alpha_dropout",
    "avg_pool1d", "avg_pool2d", "avg_pool3d", "batch_norm", "bilinear", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "celu", "celu_", "channel_shuffle", "conv1d", "conv2d",
    "conv3d", "conv_tbc", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    "cosine_embedding_loss", "cosine_similarity", "cross_entropy", "ctc_loss", "dropout",
    "dropout1d", "dropout2d", "dropout3d", "elu", "elu_", "embedding", "embedding_bag",
    "feature_alpha_dropout", "fold", "fractional_max_pool2d", "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d", "fractional_max_pool3d_with_indices", "gaussian_nll_loss", "gelu",
    "glu", "grid_sample", "group_norm", "gumbel_softmax", "hardshrink", "hardsigmoid", "hardswish",
    "hardtanh", "hardtanh_", "hinge_embedding_loss", "huber_loss", "instance_norm", "interpolate",
    "kl_div", "l1_loss", "layer_norm", "leaky_relu", "leaky_relu_", "linear",
    "linear_cross_entropy", "local_response_norm", "log_softmax", "logsigmoid", "lp_pool1d",
    "lp_pool2d", "lp_pool3d", "margin_ranking_loss", "max_pool1d", "max_pool1d_with_indices",
    "max_pool2d", "max_pool2d_with_indices", "max_pool3d", "max_pool3d_with_indices",
    "max_unpool1d", "max_unpool2d", "max_unpool3d", "mish", "mse_loss",
    "multi_head_attention_forward", "multi_margin_loss", "multilabel_margin_loss",
    "multilabel_soft_margin_loss", "native_channel_shuffle", "nll_loss", "normalize", "one_hot",
    "pad", "pairwise_distance", "pdist", "pixel_shuffle", "pixel_unshuffle", "poisson_nll_loss",
    "prelu", "relu", "relu6", "relu_", "rms_norm", "rrelu", "rrelu_",
    "scaled_dot_product_attention", "selu", "selu_", "sigmoid", "silu", "smooth_l1_loss",
    "soft_margin_loss", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh",
    "tanhshrink", "threshold", "threshold_", "triplet_margin_loss",
    "triplet_margin_with_distance_loss", "unfold", "upsample", "upsample_bilinear",
    "upsample_nearest",
]  # fmt: skip
