"""``torch.compiler``: what programs ask about compilation, and marks for functions.

A captured program is what ran, so that functions need no permission to be in it, and nothing is
hidden from it by a mark.
Source: https://docs.pytorch.org/docs/stable/torch.compiler.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .compiled import COMPILED

F = TypeVar("F", bound=Callable)


def is_compiling() -> bool:
    """Whether Python code is being translated, so that it must avoid what PyTorch's tracer cannot
    do: never. ``torch.compile`` runs the code as it stands."""
    return False


def is_dynamo_compiling() -> bool:
    """The same as ``is_compiling``."""
    return False


def is_exporting() -> bool:
    """Whether a model is being exported: never."""
    return False


def disable(fn: F | None = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """``fn`` as it is; as a decorator with or without arguments."""
    return (lambda function: function) if fn is None else fn


def allow_in_graph(fn: F) -> F:
    """``fn`` (or each of a list of functions) as it is."""
    if isinstance(fn, (list, tuple)):
        return [allow_in_graph(f) for f in fn]
    if not callable(fn):
        raise AssertionError("allow_in_graph expects a callable")
    return fn


def assume_constant_result(fn: F) -> F:
    """``fn`` as it is."""
    return fn


def nested_compile_region(fn: F | None = None) -> Any:
    """``fn`` as it is."""
    return (lambda function: function) if fn is None else fn


def substitute_in_graph(original_fn: Callable, **kwargs: Any) -> Callable[[F], F]:
    """A decorator that leaves its function as it is."""
    return lambda function: function


def reset() -> None:
    """Forget all compiled programs: every compiled function is captured anew."""
    for compiled in list(COMPILED):
        compiled.forget()


def list_backends(exclude_tags: tuple = ("debug", "experimental")) -> list[str]:
    """The names of back ends that make machine code."""
    return ["inductor"]


def cudagraph_mark_step_begin() -> None:
    """Accepted: there are no CUDA graphs."""


class set_stance:
    """How PyTorch's tracer treats what it has not compiled: accepted, also as context manager and
    decorator."""

    def __init__(self, stance: str = "default", **kwargs: Any) -> None:
        known = ("default", "force_eager", "eager_on_recompile", "fail_on_recompile",
                 "eager_then_compile", "aot_eager_then_compile")  # fmt: skip
        if stance not in known:
            raise RuntimeError(f"invalid torch.compile stance '{stance}'; one of {known}")

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass

    def __call__(self, function: F) -> F:
        return function


__all__ = [
    "allow_in_graph", "assume_constant_result", "cudagraph_mark_step_begin", "disable",
    "is_compiling", "is_dynamo_compiling", "is_exporting", "list_backends",
    "nested_compile_region", "reset", "set_stance", "substitute_in_graph",
]  # fmt: skip
