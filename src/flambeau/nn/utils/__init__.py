"""Tools around layers.

Source: https://docs.pytorch.org/docs/stable/nn.html#utilities
"""

from __future__ import annotations

from ..._missing import missing as _missing
from . import rnn


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
