"""Collectives with gradients: ``torch.distributed.nn``. Each returns new tensors."""

from __future__ import annotations

from ..._missing import missing as _missing
from . import functional
from .functional import *  # noqa: F403

__all__ = ["functional", *functional.__all__]


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
