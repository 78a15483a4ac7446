"""Automatic mixed precision: ``autocast`` chooses a dtype for each operation, ``GradScaler`` keeps
small float16 gradients from vanishing.

Source: https://docs.pytorch.org/docs/stable/amp.html
"""

from __future__ import annotations

from .._missing import missing as _missing
from . import autocast_mode, grad_scaler
from .autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from .grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
