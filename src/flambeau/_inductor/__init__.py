"""``torch._inductor``: PyTorch's compiler, which flambeau's own stands for. Settings alone."""

from __future__ import annotations

from .._missing import missing as _missing
from . import config

__all__ = ["config"]


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
