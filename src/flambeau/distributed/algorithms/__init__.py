"""``torch.distributed.algorithms``: what is built on the collectives."""

from __future__ import annotations

from ..._missing import missing as _missing
from . import join, model_averaging
from .join import Join, Joinable, JoinHook

__all__ = ["Join", "JoinHook", "Joinable"]


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
