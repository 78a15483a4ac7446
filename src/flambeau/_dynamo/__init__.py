"""``torch._dynamo``: what programs ask of PyTorch's tracer, which flambeau does not have.

Settings are accepted and change nothing; nothing is ever being traced.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._missing import missing as _missing
from ..compiler.answers import (
    allow_in_graph,
    assume_constant_result,
    disable,
    is_compiling,
    list_backends,
    reset,
)
from ..compiler.compiled import compile as _compile
from ..core.value import Value
from . import config, eval_frame, exc, external_utils, utils
from .eval_frame import OptimizedModule


def optimize(backend: str | Callable = "inductor", **options: Any) -> Callable:
    """The decorator from which ``torch.compile`` came: a function, compiled."""
    names = ("dynamic", "disable")
    known = {name: value for name, value in options.items() if name in names}
    return _compile(backend=backend, fullgraph=options.get("nopython", False), **known)


def explain(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """``explain(f)(*args)``: f, captured with these arguments, and the report on it."""

    def explained(*args: Any, **kwargs: Any) -> Any:
        compiled = _compile(function)
        for _ in range(2):
            compiled(*args, **kwargs)
        return compiled.explain()

    return explained(*args, **kwargs) if args or kwargs else explained


def graph_break(msg: str = "") -> None:
    """Where PyTorch is to end a graph. Programs here end only where they must."""


def mark_dynamic(t: Value, index: int | list | tuple, **limits: int | None) -> None:
    """That a dimension changes from call to call: accepted, each size has a program of its own."""


def maybe_mark_dynamic(t: Value, index: int | list | tuple) -> None:
    """See ``mark_dynamic``."""


def mark_static(t: Value, index: int | list | tuple | None = None) -> None:
    """That a dimension does not change: accepted."""


def mark_static_address(t: Value, guard: bool = True) -> None:
    """That a tensor stays where it is: accepted."""


def disallow_in_graph(fn: Callable) -> Callable:
    """``fn`` as it is."""
    return fn


def run(fn: Callable | None = None) -> Any:
    """``fn`` as it is; as a decorator with or without arguments."""
    return (lambda function: function) if fn is None else fn


__all__ = [
    "OptimizedModule", "allow_in_graph", "assume_constant_result", "config", "disable",
    "disallow_in_graph", "eval_frame", "exc", "explain", "external_utils", "graph_break",
    "is_compiling", "list_backends", "mark_dynamic", "mark_static", "mark_static_address",
    "maybe_mark_dynamic", "optimize", "reset", "run", "utils",
]  # fmt: skip


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
