"""Collectives with gradients: ``torch.distributed.nn``. For one rank, each hands its input on."""

from __future__ import annotations

from ..._missing import missing as _missing
from . import functional
from .functional import *  # noqa: F403

__all__ = ["functional", *functional.__all__]


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
