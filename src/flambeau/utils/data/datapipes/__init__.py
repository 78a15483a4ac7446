"""DataPipes: datasets made of small steps, each an object; most are methods of every pipe, too.

``IterableWrapper(range(10)).shuffle().map(f).batch(4)`` is a dataset that a DataLoader reads.
Source: https://docs.pytorch.org/docs/stable/data.html, torch/utils/data/datapipes
"""

from __future__ import annotations

from ...._missing import missing as _missing
from . import iter, map

__all__ = ["iter", "map"]


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
