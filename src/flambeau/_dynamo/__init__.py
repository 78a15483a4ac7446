"""``torch._dynamo``: what programs ask of PyTorch's tracer, which flambeau does not have.

Settings are accepted and change nothing; nothing is ever being traced.
"""

from __future__ import annotations

from .._missing import missing as _missing
from ..compiler.answers import allow_in_graph, disable, is_compiling, reset
from . import config, eval_frame, utils
from .eval_frame import OptimizedModule

__all__ = [
    "OptimizedModule", "allow_in_graph", "config", "disable", "eval_frame", "is_compiling",
    "reset", "utils",
]  # fmt: skip


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
