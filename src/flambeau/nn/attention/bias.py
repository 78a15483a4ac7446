"""Causal masks for attention between sequences of different lengths."""

from __future__ import annotations

from ..._dtypes import bool_
from ..._missing import missing as _missing
from ...core.value import Value
from ...tensor._creation import ones


def causal_upper_left(*size: int) -> Value:
    """A mask (L, S), True where a query may look: key j for query i where j <= i."""
    if len(size) != 2:
        raise RuntimeError("causal_upper_left only supports 2D tensors")
    return ones(size, dtype=bool_).tril()


def causal_lower_right(*size: int) -> Value:
    """A mask (L, S), True where a query may look: the last query sees the last key."""
    if len(size) != 2:
        raise RuntimeError("causal_lower_right only supports 2D tensors")
    rows, columns = size
    return ones(size, dtype=bool_).tril(diagonal=columns - rows)


__all__ = ["causal_lower_right", "causal_upper_left"]


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
