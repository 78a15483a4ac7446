"""The compiler: from operations to machine code. docs/how_compile_works.md walks through it.

Here are the answers of ``torch.compiler``, for programs that ask.
"""

from __future__ import annotations

from .._missing import missing as _missing
from .answers import (
    allow_in_graph,
    assume_constant_result,
    cudagraph_mark_step_begin,
    disable,
    is_compiling,
    is_dynamo_compiling,
    is_exporting,
    list_backends,
    nested_compile_region,
    reset,
    set_stance,
    substitute_in_graph,
)
from .compiled import compile

__all__ = [
    "allow_in_graph", "assume_constant_result", "compile", "cudagraph_mark_step_begin",
    "disable", "is_compiling", "is_dynamo_compiling", "is_exporting", "list_backends",
    "nested_compile_region", "reset", "set_stance", "substitute_in_graph",
]  # fmt: skip


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
