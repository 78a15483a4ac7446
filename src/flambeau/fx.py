"""``torch.fx``: flambeau does not rewrite programs as PyTorch's graphs of calls.

Names that programs import are here, so that they can be imported, annotated and asked about;
making a graph raises NotImplementedError. ``wrap`` leaves its function as it is.
Source: https://docs.pytorch.org/docs/stable/fx.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from ._missing import missing as _missing
from ._refusals import refusing_modules as _refusing_modules


def _refuse(name: str) -> NoReturn:
    raise NotImplementedError(
        f"torch.fx.{name} is not supported: flambeau has no torch.fx graphs\n"
        "  to make a function faster, use torch.compile; to look at what a tensor was computed "
        "from, follow its grad_fn"
    )


class _Absent:
    """A class whose instances there cannot be."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse(type(self).__name__)


class Graph(_Absent):
    """A graph of calls: cannot be made."""


class GraphModule(_Absent):
    """A module that runs a Graph: cannot be made."""


class Node(_Absent):
    """A call in a Graph: cannot be made."""


class Proxy(_Absent):
    """A value that records what is done to it: cannot be made."""


class Tracer(_Absent):
    """Makes a Graph of a module: cannot be made."""


class Interpreter(_Absent):
    """Runs a Graph node by node: cannot be made."""


class Transformer(_Absent):
    """Rewrites a Graph: cannot be made."""


def symbolic_trace(root: Callable, concrete_args: dict | None = None) -> GraphModule:
    """Refused: NotImplementedError."""
    return _refuse("symbolic_trace")


def replace_pattern(gm: GraphModule, pattern: Callable, replacement: Callable) -> list:
    """Refused: NotImplementedError."""
    return _refuse("replace_pattern")


def wrap(fn_or_name: str | Callable) -> str | Callable:
    """The function (or its name) as it is: nothing is traced that should leave it whole."""
    if not callable(fn_or_name) and not isinstance(fn_or_name, str):
        raise RuntimeError(
            "Unsupported type for global function! Must be either a callable or string name"
        )
    return fn_or_name


def has_side_effect(fn: Callable) -> Callable:
    """The function as it is: nothing is removed from a graph."""
    return fn


def get_proxy_mode() -> None:
    """The tracer that is at work, as ``torch.fx.experimental.proxy_tensor`` says it: none."""
    return


_refusing_modules(
    {
        "torch.fx.graph": "",
        "torch.fx.graph_module": "_CodeOnlyModule _copy_attr",
        "torch.fx.node": "map_aggregate map_arg",
        "torch.fx.proxy": "",
        "torch.fx.experimental": "",
        "torch.fx.experimental.proxy_tensor": "make_fx",
        "torch.fx.experimental.symbolic_shapes": "ShapeEnv",
    },
    "flambeau has no torch.fx graphs",
)
graph.Graph, graph_module.GraphModule, node.Node, proxy.Proxy = (  # noqa: F821
    Graph, GraphModule, Node, Proxy,
)  # fmt: skip
node.Target = Callable | str  # noqa: F821
graph_module._USER_PRESERVED_ATTRIBUTES_KEY = "_user_preserved_attributes"  # noqa: F821
experimental.proxy_tensor.get_proxy_mode = get_proxy_mode  # noqa: F821


__all__ = [
    "Graph", "GraphModule", "Interpreter", "Node", "Proxy", "Tracer", "Transformer",
    "has_side_effect", "replace_pattern", "symbolic_trace", "wrap",
]  # fmt: skip


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
