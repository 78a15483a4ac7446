"""``torch.torch_version``: the class of ``__version__``."""

from __future__ import annotations

from ._missing import missing
from .version import TorchVersion

__all__ = ["TorchVersion"]


def __getattr__(name: str) -> object:
    raise missing(__name__, name, globals())
