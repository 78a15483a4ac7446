"""Averaging the parameters of the ranks now and then, instead of their gradients each time."""

from __future__ import annotations

from ...._missing import missing as _missing
from . import averagers, utils


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
