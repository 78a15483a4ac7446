"""``torch._inductor``: PyTorch's compiler, which flambeau's own stands for. Settings alone."""

from __future__ import annotations

from .._missing import missing as _missing
from ..compiler.compiled import MODES
from . import config


def list_mode_options(mode: str | None = None, dynamic: bool | None = None) -> dict:
    """The options that a mode of PyTorch's compiler stands for: here none has any."""
    return {} if mode is not None else {m: {} for m in MODES if m != "lite"}


def list_options() -> list[str]:
    """The names of all settings."""
    return sorted(name for name in vars(config) if name[0] != "_" and name != "annotations")


__all__ = ["config", "list_mode_options", "list_options"]


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
