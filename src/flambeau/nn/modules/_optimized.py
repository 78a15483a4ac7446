"""The module that ``torch.compile`` makes of a module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .module import Module


class OptimizedModule(Module):
    """``module``, whose calls run as compiled programs; everything else is the module's own.

    Its parameters have the names of the module's with ``_orig_mod.`` before them, as PyTorch's.
    """

    def __init__(self, module: Module, compiled: Callable) -> None:
        super().__init__()
        self._orig_mod = module
        object.__setattr__(self, "_compiled", compiled)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._compiled(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The same as calling it."""
        return self._compiled(*args, **kwargs)

    def explain(self) -> str:
        """What was captured, and what was not and why, in words."""
        return self._compiled.explain()

    @property
    def training(self) -> bool:
        """Whether the module is in training mode."""
        return self._orig_mod.training

    @training.setter
    def training(self, mode: bool) -> None:
        module = self.__dict__.get("_modules", {}).get("_orig_mod")
        if module is not None:
            module.training = mode

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("_orig_mod"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        module = self.__dict__.get("_modules", {}).get("_orig_mod")
        if module is None or name in ("_orig_mod", "training", *self.__dict__):
            super().__setattr__(name, value)
        else:
            setattr(module, name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self._orig_mod)})


Module._optimized = OptimizedModule
