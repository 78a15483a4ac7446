"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from ...core.value import Value
from ...ops.joining import cat


def parameters_to_vector(parameters: Iterable[Value]) -> Value:
    """All elements, parameter after parameter, in one vector."""
    return cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Value, parameters: Iterable[Value]) -> None:
    """Let the parameters, one after the other, be the elements of ``vec``, whose memory they share.

    TypeError if it is not a tensor, RuntimeError if it is too short.
    """
    if not isinstance(vec, Value):
        raise TypeError(
            f"expected torch.Tensor, but got: {type(vec).__module__}.{type(vec).__name__}".replace(
                "builtins.", ""
            )
        )
    start = 0
    for p in parameters:
        count = p.numel()
        p.data = vec[start : start + count].view(p.shape).data
        start += count


__all__ = ["parameters_to_vector", "vector_to_parameters"]
