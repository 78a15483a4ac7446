"""Batches in memory that a GPU reads by itself.

Source: https://docs.pytorch.org/docs/stable/data.html#memory-pinning
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ....core.value import Value


def pinned(data: Any) -> Any:
    """``data`` with every tensor in pinned memory: inside mappings, sequences and named tuples, and
    by the method ``pin_memory`` of a class of the user's."""
    if isinstance(data, Value):
        return data.pin_memory()
    if isinstance(data, (str, bytes)):
        return data
    if hasattr(data, "pin_memory"):
        return data.pin_memory()
    if isinstance(data, Mapping):
        items = {k: pinned(v) for k, v in data.items()}
        return _like(data, items)
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*map(pinned, data))
    if isinstance(data, Sequence):
        return _like(data, [pinned(v) for v in data])
    return data


pin_memory = pinned


def _like(container: Mapping | Sequence, items: dict | list) -> Any:
    """``items`` in a container of the same class, where it can be made of them."""
    try:
        return type(container)(items)
    except TypeError:
        return items
