"""Keep gradients from becoming too large."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Iterable

import numpy as np

from ...core import formulas
from ...core.modes import hook, no_grad
from ...core.value import Value, constant
from ...ops.joining import stack
from ...ops.norms import norm as _norm
from ...tensor._creation import tensor

Tensors = Value | Iterable[Value]


def _listed(tensors: Tensors, name: str) -> list[Value]:
    if isinstance(tensors, Value):
        return [tensors]
    listed = list(tensors)
    for t in listed:
        if not isinstance(t, Value):
            raise TypeError(f"{name} must be tensors, but one is {type(t).__name__}")
    return listed


def _gradients(parameters: Tensors) -> list[Value]:
    return [p.grad for p in _listed(parameters, "parameters") if p.grad is not None]


@no_grad()
def get_total_norm(
    tensors: Tensors,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Value:
    """The norm of all elements of all tensors, as if they were one vector. 0 of none.

    ``error_if_nonfinite``: RuntimeError where it is nan or infinite.
    """
    norm_type = float(norm_type)
    norms = [_norm(t, norm_type) for t in _listed(tensors, "tensors")]
    if not norms:
        return tensor(0.0)
    dtype = norms[0].dtype
    total = _norm(stack([n.to(dtype) for n in norms]), norm_type)
    if error_if_nonfinite:
        _check_finite(total, norm_type)
    return total


def _check_finite(total: Value, norm_type: float) -> None:
    if not total.isfinite():
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, "
            "so it cannot be clipped. To disable this error and scale the gradients by the "
            "non-finite norm anyway, set `error_if_nonfinite=False`"
        )


@no_grad()
def clip_grads_with_norm_(
    parameters: Tensors, max_norm: float, total_norm: Value, foreach: bool | None = None
) -> None:
    """Multiply all gradients by max_norm / (total_norm + 1e-6) where that is less than 1."""
    _scale(_gradients(parameters), max_norm, total_norm)


def _scale(gradients: list[Value], max_norm: float, total_norm: Value) -> None:
    factor = float(max_norm) / (total_norm + 1e-6)
    factor = factor.clamp(max=1.0)
    for g in gradients:
        g.mul_(factor.to(g.dtype) if factor.dtype != g.dtype else factor)


@no_grad()
def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Value:
    """Scale the gradients so that the norm of all of them together is at most ``max_norm``.

    Returns the norm that they had before.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html
    """
    gradients = _gradients(parameters)
    if norm_type == 2.0 and hook.active is None and _plain(gradients):
        return _clip_plain(gradients, float(max_norm), error_if_nonfinite)
    total = get_total_norm(gradients, norm_type, error_if_nonfinite, foreach)
    _scale(gradients, max_norm, total)
    return total


def _plain(gradients: list[Value]) -> bool:
    """Whether they are dense arrays of one dtype that BLAS knows: NumPy alone can clip them."""
    if not gradients:
        return False
    dtype = gradients[0]._array.dtype
    return dtype.char in "fd" and all(
        a.dtype is dtype and a.flags.forc and a.flags.writeable
        for a in [g._array for g in gradients]
    )


def _clip_plain(gradients: list[Value], max_norm: float, error_if_nonfinite: bool) -> Value:
    """``clip_grad_norm_`` with a product and a multiplication on each array, and no more."""
    flat = [g._array.reshape(-1, order="A") for g in gradients]
    total = constant(np.array(math.sqrt(sum(float(a.dot(a)) for a in flat)), flat[0].dtype))
    if error_if_nonfinite:
        _check_finite(total, 2.0)
    factor = max_norm / (total._array + flat[0].dtype.type(1e-6))
    if not factor >= 1.0:  # nan scales, too
        with formulas.together():
            for a in flat:
                formulas.apply_elementwise(functools.partial(_multiply, factor), [a])
    for g in gradients:
        g.counter().bump("mul_")
    return total


def _multiply(factor: np.floating, array: np.ndarray) -> None:
    np.multiply(array, factor, out=array)


def clip_grad_norm(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Value:
    """The old name of ``clip_grad_norm_``."""
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of "
        "`torch.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


@no_grad()
def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Keep every element of the gradients within [-clip_value, clip_value]."""
    clip_value = float(clip_value)
    for g in _gradients(parameters):
        g.clamp_(-clip_value, clip_value)


__all__ = [
    "clip_grad_norm",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
]
