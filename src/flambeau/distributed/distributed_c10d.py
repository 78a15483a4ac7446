"""The module in which PyTorch keeps groups and collectives: their names, once more."""

from __future__ import annotations

from .._missing import missing as _missing
from ._collectives import *  # noqa: F403
from ._group import *  # noqa: F403
from ._group import _get_default_group as _get_default_group


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
