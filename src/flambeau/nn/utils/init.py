"""Modules whose initialisation is skipped."""

from __future__ import annotations

import inspect
from typing import Any

from ...core.generator import default_generator
from ..modules.module import Module


def skip_init(module_cls: type[Module], *args: Any, **kwargs: Any) -> Module:
    """``module_cls(*args, **kwargs)`` with parameters of any values; no random number is spent.

    The class must be a Module whose constructor takes ``device`` (RuntimeError).
    """
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    before = default_generator.get_state()
    try:
        return module_cls(*args, **kwargs)
    finally:
        default_generator.set_state(before)


__all__ = ["skip_init"]
