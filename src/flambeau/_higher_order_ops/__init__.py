"""``torch._higher_order_ops``: functions that take functions and tensors."""

from __future__ import annotations

from .._missing import missing as _missing
from .._refusals import refusing_modules as _refusing_modules
from .associative_scan import associative_scan

_refusing_modules(
    {
        "torch._higher_order_ops": "foreach_map invoke_subgraph map scan while_loop",
        "torch._higher_order_ops.wrap": "tag_activation_checkpoint wrap_activation_checkpoint",
    },
    "operations are run at once: write a loop",
)

__all__ = ["associative_scan"]


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
