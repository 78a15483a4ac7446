"""Helpers of the distributions: broadcasting of parameters, probabilities and their logits."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from numbers import Number
from typing import Any

from .._dtypes import dtype as dtype_
from .._dtypes import finfo, get_default_dtype
from ..core.modes import enable_grad, hook
from ..core.value import Value
from ..functions.shape import broadcast_tensors, tril_indices
from ..tensor._creation import empty, tensor
from ..tensor._device import device as device_
from ..tensor._tensor import Tensor

euler_constant = 0.57721566490153286060  # Euler and Mascheroni's


def broadcast_all(*values: Tensor | float) -> tuple[Tensor, ...]:
    """The values as tensors of one shape; numbers take the dtype and device of
    the first tensor.

    ValueError for anything that is neither a number nor a tensor.
    """
    wrong = [v for v in values if not isinstance(v, Value | Number)]
    if wrong:
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects "
            f"implementing __torch_function__.\n  {wrong[0]!r} is a {type(wrong[0]).__name__}"
        )
    first = next((v for v in values if isinstance(v, Value)), None)
    kind = get_default_dtype() if first is None else first.dtype
    place = None if first is None else first.device
    return broadcast_tensors(
        *(v if isinstance(v, Value) else tensor(v, dtype=kind, device=place) for v in values)
    )


def all_true(valid: Tensor) -> bool:
    """Whether all of ``valid`` is True; a compiled program has an operation for it."""
    if hook.active is not None and hook.active.expects(valid):
        return True
    return bool(valid.all())


def clamp_probs(probs: Tensor) -> Tensor:
    """``probs`` at least one epsilon of their dtype away from 0 and 1."""
    eps = finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """log p, or log(p / (1 - p)) if binary; finite, since ``probs`` are clamped first."""
    kept = clamp_probs(probs)
    return kept.log() - (-kept).log1p() if is_binary else kept.log()


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """softmax over the last dimension, or the logistic function if binary."""
    return logits.sigmoid() if is_binary else logits.softmax(-1)


class lazy_property:
    """A property that is computed when first asked for, with gradients, and then kept."""

    def __init__(self, wrapped: Callable[[Any], Any]) -> None:
        self.wrapped = wrapped
        functools.update_wrapper(self, wrapped)

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        if instance is None:
            return self
        with enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """[..., D] to lower triangles [..., N, N], row by row, from diagonal ``diag`` downward."""
    # D = n (n + 1) / 2 entries for n = N + diag rows that hold any.
    root = math.isqrt(1 + 8 * vec.shape[-1])
    n = (root - 1) // 2 - diag
    if root * root != 1 + 8 * vec.shape[-1]:
        raise ValueError(
            f"The size of last dimension is {vec.shape[-1]} which cannot be expressed as the "
            "lower triangular part of a square D x D matrix."
        )
    matrix = vec.new_zeros((*vec.shape[:-1], n, n))
    rows, columns = tril_indices(n, n, diag)
    matrix[..., rows, columns] = vec
    return matrix


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """The lower triangles of [..., N, N] as [..., D], row by row, from diagonal ``diag`` on."""
    n = mat.shape[-1]
    if not -n <= diag < n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    rows, columns = tril_indices(n, n, diag)
    return mat[..., rows, columns]


def _sum_rightmost(value: Tensor | float, dims: int) -> Tensor | float:
    """The sum over the last ``dims`` dimensions."""
    return value.sum(tuple(range(-dims, 0))) if dims else value


def _standard_normal(shape: Sequence[int], dtype: dtype_, device: device_ | str | None) -> Tensor:
    """Normal numbers of mean 0 and variance 1."""
    return empty(shape, dtype=dtype, device=device).normal_()


def uniform(shape: Sequence[int], like: Tensor) -> Tensor:
    """Uniform numbers of [0, 1), of the dtype of ``like``."""
    return like.new_empty(shape).uniform_()
