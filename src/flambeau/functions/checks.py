"""What programs assert: ``torch._check`` and its kin, and ``typename``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._missing import spelled
from ..core.value import Value


def _check_with(error: type[Exception], condition: Any, message: Callable[[], str] | None) -> None:
    if isinstance(condition, Value):
        raise TypeError("cond must be a bool, but got a Tensor; call .item() on it")
    if not isinstance(condition, bool):
        raise TypeError(f"cond must be a bool, but got {type(condition)}")
    if condition:
        return
    if message is not None and not callable(message):
        raise TypeError("message must be a callable")
    text = "Expected cond to be True, but got False." if message is None else str(message())
    raise error(text)


def _check(cond: bool, message: Callable[[], str] | None = None) -> None:
    """RuntimeError with ``message()`` unless ``cond``."""
    _check_with(RuntimeError, cond, message)


def _check_index(cond: bool, message: Callable[[], str] | None = None) -> None:
    """IndexError with ``message()`` unless ``cond``."""
    _check_with(IndexError, cond, message)


def _check_value(cond: bool, message: Callable[[], str] | None = None) -> None:
    """ValueError with ``message()`` unless ``cond``."""
    _check_with(ValueError, cond, message)


def _check_type(cond: bool, message: Callable[[], str] | None = None) -> None:
    """TypeError with ``message()`` unless ``cond``."""
    _check_with(TypeError, cond, message)


def _check_not_implemented(cond: bool, message: Callable[[], str] | None = None) -> None:
    """NotImplementedError with ``message()`` unless ``cond``."""
    _check_with(NotImplementedError, cond, message)


def _check_is_size(
    i: int, message: Callable[[], str] | None = None, *, max: int | None = None
) -> None:
    """RuntimeError unless ``i`` is a size: 0 or more, and at most ``max``."""
    _check(i >= 0 and (max is None or i <= max), message)


def _assert(condition: Any, message: str) -> None:
    """AssertionError with ``message`` unless ``condition``."""
    if not condition:
        raise AssertionError(message)


def typename(obj: Any, /) -> str:
    """The name of an object's type, with its module: "torch.FloatTensor" for a tensor."""
    if isinstance(obj, Value):
        return obj.type()
    kind = type(obj)
    module = getattr(kind, "__module__", "") or ""
    if isinstance(obj, type):
        kind, module = obj, obj.__module__
    name = kind.__qualname__
    if module in ("", "builtins", "__builtin__"):
        return name
    own = module.partition(".")[0] == "flambeau"
    return f"{spelled(module) if own else module}.{name}"


__all__ = [
    "_assert", "_check", "_check_index", "_check_is_size", "_check_not_implemented", "_check_type",
    "_check_value", "typename",
]  # fmt: skip
