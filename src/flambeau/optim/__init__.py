"""Optimizers: rules by which parameters follow their gradients.

Source: https://docs.pytorch.org/docs/stable/optim.html
"""

from __future__ import annotations

from .._missing import missing as _missing
from .adam import Adam, AdamW
from .optimizer import Optimizer
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
