"""Dropout of elements and of channels, and the Gumbel-softmax: PyTorch's numbers from a seed.

A mask is drawn in the order of the input's memory, as PyTorch draws it.
Sources: Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html; alpha dropout:
Klambauer et al. 2017, https://arxiv.org/abs/1706.02515
"""

from __future__ import annotations

import warnings

import numpy as np

from .._dtypes import FLOATING, from_numpy
from .._errors import type_name
from ..core import random_recipes as recipes
from ..core.generator import Generator, current
from ..core.op import define
from ..core.value import Value, drawn, outline, wrap
from ..tensor._creation import template
from ..tensor._device import place_of


def _check(name: str, input: Value, p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not isinstance(input, Value):
        raise TypeError(
            f"{name}(): argument 'input' (position 1) must be Tensor, not {type_name(input)}"
        )


def _check_floating(input: Value) -> None:
    d = from_numpy(input._array.dtype)
    if d.category < FLOATING:
        raise RuntimeError(
            f"result type Float can't be cast to the desired output type {d.legacy_name}\n"
            "  dropout multiplies by 1 / (1 - p): use input.float()"
        )


def _noise_like(array: np.ndarray, feature: bool) -> np.ndarray:
    """Memory for a mask: of the input's shape and layout, or (batch, channels, 1, ...)."""
    if not feature:
        return np.empty_like(array)
    if array.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return np.empty(array.shape[:2] + (1,) * (array.ndim - 2), array.dtype)


def _times(input: Value, factor: Value | int, inplace: bool) -> Value:
    return input.mul_(factor) if inplace else input * factor


def _drop(input: Value, p: float, training: bool, inplace: bool, feature: bool) -> Value:
    if p == 0 or not training or not input._array.size:
        return input
    if p == 1:
        return _times(input, 0, inplace)
    _check_floating(input)
    if input.is_meta:
        return _times(input, input.detach(), inplace)
    array, like = input._array, outline(input._array)

    def draw() -> np.ndarray:
        noise, generator = _noise_like(like, feature), current(array)
        recipe = generator.recipes.channel_noise if feature else generator.recipes.dropout_noise
        made = recipe(generator, noise.shape, noise.dtype, p)
        if noise.flags.c_contiguous:
            return made
        return generator.recipes.fill(template(noise, noise.dtype, place_of(made)), made)

    return _times(input, wrap(drawn(draw)), inplace)


def _drop_alpha(input: Value, p: float, training: bool, inplace: bool, feature: bool) -> Value:
    if p == 0 or not training or not input._array.size:
        return input
    if p == 1:
        return _times(input, 0, inplace)
    _check_floating(input)
    scale, shift = _alpha_noise(input.detach(), feature, p, current(input._array))
    result = _times(input, scale, inplace)
    return result.add_(shift) if inplace else result + shift


def _alpha_noise_forward(
    like: np.ndarray, feature: bool, p: float, generator: Generator
) -> tuple[np.ndarray, np.ndarray]:
    noise = _noise_like(like, feature)
    scale, shift = recipes.alpha_dropout_noise(generator, noise.shape, noise.dtype, p)
    if noise.flags.c_contiguous:
        return scale, shift
    return recipes.fill(noise, scale), recipes.fill(np.empty_like(noise), shift)


_alpha_noise = define("alpha_dropout_noise", _alpha_noise_forward)


def dropout(input: Value, p: float = 0.5, training: bool = True, inplace: bool = False) -> Value:
    """In training, each element is 0 with probability ``p``, else divided by 1 - p."""
    _check("dropout", input, p)
    return _drop(input, p, training, inplace, False)


def alpha_dropout(
    input: Value, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Value:
    """Dropout to the negative limit of SELU, which keeps mean and variance."""
    _check("alpha_dropout", input, p)
    return _drop_alpha(input, p, training, inplace, False)


def feature_alpha_dropout(
    input: Value, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Value:
    """``alpha_dropout`` of whole channels (dimension 1)."""
    _check("feature_alpha_dropout", input, p)
    return _drop_alpha(input, p, training, inplace, True)


def dropout1d(input: Value, p: float = 0.5, training: bool = True, inplace: bool = False) -> Value:
    """Dropout of whole channels of (N, C, L) or (C, L)."""
    _check("dropout1d", input, p)
    if input.dim() not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.dim()}D input. Note that "
            "dropout1d exists to provide channel-wise dropout on inputs with 1 spatial dimension, "
            "a channel dimension, and an optional batch dimension (i.e. 2D or 3D inputs)."
        )
    return _drop_batched(input, p, training, inplace, 3)


def _drop_batched(input: Value, p: float, training: bool, inplace: bool, ndim: int) -> Value:
    if input.dim() == ndim:
        return _drop(input, p, training, inplace, True)
    batched = _drop(input.unsqueeze(0), p, training, inplace, True)
    return input if inplace else batched.squeeze(0)


def dropout2d(input: Value, p: float = 0.5, training: bool = True, inplace: bool = False) -> Value:
    """Dropout of whole channels of (N, C, H, W)."""
    _check("dropout2d", input, p)
    if input.dim() not in (3, 4):
        warnings.warn(
            f"dropout2d: Received a {input.dim()}-D input to dropout2d, which is deprecated and "
            "will result in an error in a future release. Channels are dimension 1 of (N, C, H, W)",
            UserWarning,
            stacklevel=2,
        )
    elif input.dim() == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout "
            "behavior is desired - input is interpreted as shape (N, C, L), where C is the channel "
            "dim.",
            UserWarning,
            stacklevel=2,
        )
    return _drop(input, p, training, inplace, True)


def dropout3d(input: Value, p: float = 0.5, training: bool = True, inplace: bool = False) -> Value:
    """Dropout of whole channels of (N, C, D, H, W) or (C, D, H, W)."""
    _check("dropout3d", input, p)
    if input.dim() not in (4, 5):
        warnings.warn(
            f"dropout3d: Received a {input.dim()}-D input to dropout3d, which is deprecated and "
            "will result in an error in a future release. Channels are dimension 1 of "
            "(N, C, D, H, W)",
            UserWarning,
            stacklevel=2,
        )
        return _drop(input, p, training, inplace, True)
    return _drop_batched(input, p, training, inplace, 5)


def gumbel_softmax(
    logits: Value, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Value:
    """A sample of the Gumbel-softmax distribution; ``hard``: one-hot, with the soft one's gradient.

    Source: Jang et al. 2016, https://arxiv.org/abs/1611.01144
    """
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    array, like = logits._array, outline(logits._array)

    def draw() -> np.ndarray:
        generator = current(array)
        made = generator.recipes.exponential(generator, like.shape, like.dtype)
        return generator.recipes.fill(template(like, like.dtype, place_of(made)), made)

    gumbels = wrap(drawn(draw)).log()
    soft = ((logits - gumbels) / tau).softmax(dim)
    if not hard:
        return soft
    best = soft.max(dim, keepdim=True)[1]
    one_hot = soft.detach().mul(0).scatter_(dim, best, 1.0)
    return one_hot - soft.detach() + soft
