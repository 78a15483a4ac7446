"""Settings of ``save`` and ``load``: ``torch.utils.serialization.config``."""

from __future__ import annotations

from ..._missing import missing as _missing
from . import config


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
