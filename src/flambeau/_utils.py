"""``torch._utils``: what programs that average gradients by themselves take from PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

from ._missing import missing
from .core.value import Value
from .ops.joining import cat


def _flatten_dense_tensors(tensors: Sequence[Value]) -> Value:
    """All elements of tensors of one dtype, one tensor after the other, with one dimension."""
    return cat([t.contiguous().view(-1) for t in tensors])


def _unflatten_dense_tensors(flat: Value, tensors: Sequence[Value]) -> tuple[Value, ...]:
    """Views of ``flat`` in the shapes of ``tensors``: undoes ``_flatten_dense_tensors``."""
    pieces, start = [], 0
    for t in tensors:
        pieces.append(flat.narrow(0, start, t.numel()).view(t.shape))
        start += t.numel()
    return tuple(pieces)


def __getattr__(name: str) -> object:
    raise missing(__name__, name, globals())
