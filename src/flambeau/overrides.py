"""``torch.overrides``: objects that say how functions treat them, by ``__torch_function__``.

flambeau's own functions do not ask for ``__torch_function__``: they take tensors. A library's own
functions may, by these helpers, and work on objects that have it.
Source: https://docs.pytorch.org/docs/stable/torch.overrides.html
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

from ._missing import missing as _missing
from .core.value import Value
from .tensor._tensor import Tensor


def is_tensor_like(inp: Any) -> bool:
    """Whether ``inp`` is a tensor or has ``__torch_function__``."""
    return isinstance(inp, Value) or hasattr(inp, "__torch_function__")


def _overriding(args: Iterable[Any]) -> list:
    """One argument of every type with ``__torch_function__``, subclasses before their bases."""
    found: list = []
    for a in args:
        kind = type(a)
        if not hasattr(kind, "__torch_function__") or any(type(f) is kind for f in found):
            continue
        place = next((i for i, f in enumerate(found) if isinstance(a, type(f))), len(found))
        found.insert(place, a)
    return found


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether one of the arguments has ``__torch_function__``."""
    return any(hasattr(type(a), "__torch_function__") for a in relevant_args)


def has_torch_function_unary(arg: Any) -> bool:
    """``has_torch_function((arg,))``."""
    return has_torch_function((arg,))


def has_torch_function_variadic(*args: Any) -> bool:
    """``has_torch_function(args)``."""
    return has_torch_function(args)


def handle_torch_function(
    public_api: Callable, relevant_args: Iterable[Any], *args: Any, **kwargs: Any
) -> Any:
    """What the first ``__torch_function__(public_api, types, args, kwargs)`` of the arguments that
    is not NotImplemented returns. TypeError if all are."""
    overriding = _overriding(relevant_args)
    types = tuple(map(type, overriding))
    for argument in overriding:
        result = argument.__torch_function__(public_api, types, args, kwargs)
        if result is not NotImplemented:
            return result
    name = f"{public_api.__module__}.{public_api.__name__}"
    raise TypeError(
        f"no implementation found for '{name}' on types that implement __torch_function__: "
        f"{list(types)}"
    )


def wrap_torch_function(dispatcher: Callable) -> Callable[[Callable], Callable]:
    """Decorator: asks ``__torch_function__`` of the arguments that ``dispatcher(*args)`` names."""

    def decorate(func: Callable) -> Callable:
        @functools.wraps(func)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            relevant = dispatcher(*args, **kwargs)
            if has_torch_function(relevant):
                return handle_torch_function(wrapped, relevant, *args, **kwargs)
            return func(*args, **kwargs)

        return wrapped

    return decorate


class TorchFunctionMode:
    """Would be handed every function that is called: cannot be entered. NotImplementedError."""

    def __torch_function__(
        self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """To be overridden."""
        raise NotImplementedError

    def __enter__(self) -> NoReturn:
        raise NotImplementedError(
            "torch.overrides.TorchFunctionMode is not supported: flambeau's functions do not ask "
            "for __torch_function__"
        )

    def __exit__(self, *error: object) -> None:
        pass


BaseTorchFunctionMode = TorchFunctionMode


def get_ignored_functions() -> set[Callable]:
    """The functions that do not ask for ``__torch_function__`` though they take tensors: to list
    them all would be to list flambeau's; an empty set."""
    return set()


def get_testing_overrides() -> dict[Callable, Callable]:
    """A stand-in for each function that asks for ``__torch_function__``: none does."""
    return {}


def get_overridable_functions() -> dict[Any, list[Callable]]:
    """The functions that ask for ``__torch_function__``, by module: none does."""
    return {}


def is_tensor_method_or_property(func: Callable) -> bool:
    """Whether ``func`` is a method of tensors, or the getter of one of their attributes."""
    if getattr(func, "__name__", None) == "__get__":
        return True
    return any(func is found for cls in Tensor.__mro__ for found in vars(cls).values())


def resolve_name(f: Callable) -> str | None:
    """The name by which ``f`` is found: ``torch.Tensor.add``, which is ``torch.add``, too, here."""
    name = getattr(f, "__name__", None)
    if name is None:
        return None
    if is_tensor_method_or_property(f):
        return f"torch.Tensor.{name}"
    home = str(f.__module__).replace("flambeau.", "torch.")
    inside = ("torch.ops.", "torch.functions.", "torch.tensor.")
    return f"torch.{name}" if home.startswith(inside) else f"{home}.{name}"


@contextlib.contextmanager
def enable_reentrant_dispatch() -> Iterator[None]:
    """Accepted: a scope that changes nothing."""
    yield


__all__ = [
    "BaseTorchFunctionMode", "enable_reentrant_dispatch", "get_ignored_functions",
    "get_overridable_functions", "get_testing_overrides", "is_tensor_method_or_property",
    "resolve_name",
    "TorchFunctionMode", "handle_torch_function", "has_torch_function", "has_torch_function_unary",
    "has_torch_function_variadic", "is_tensor_like", "wrap_torch_function",
]  # fmt: skip


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
