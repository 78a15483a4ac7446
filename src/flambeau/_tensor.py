"""``torch._tensor``: where PyTorch keeps the class of tensors, and its pickles look for it."""

from __future__ import annotations

from ._missing import missing as _missing
from .serialization._rebuild import _rebuild_from_type_v2
from .tensor._tensor import Tensor

__all__ = ["Tensor", "_rebuild_from_type_v2"]


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
