"""Keep gradients from becoming too large."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from ...core.modes import no_grad
from ...core.value import Value
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
    if error_if_nonfinite and not total.isfinite():
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, "
            "so it cannot be clipped. To disable this error and scale the gradients by the "
            "non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return total


@no_grad()
def clip_grads_with_norm_(
    parameters: Tensors, max_norm: float, total_norm: Value, foreach: bool | None = None
) -> None:
    """Multiply all gradients by max_norm / (total_norm + 1e-6) where that is less than 1."""
    factor = float(max_norm) / (total_norm + 1e-6)
    factor = factor.clamp(max=1.0)
    for g in _gradients(parameters):
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
    parameters = _listed(parameters, "parameters")
    total = get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(parameters, max_norm, total, foreach)
    return total


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
