"""Storages: the bytes that tensors look into.

Source: https://docs.pytorch.org/docs/stable/storage.html
"""

from __future__ import annotations

from ._missing import missing as _missing
from .tensor._storage import TypedStorage, UntypedStorage

__all__ = ["TypedStorage", "UntypedStorage"]


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, __all__)
