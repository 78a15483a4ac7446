"""``torch._tensor_str``: where PyTorch keeps how tensors are printed."""

from __future__ import annotations

from typing import Any

from ._missing import missing as _missing
from .core.value import Value
from .tensor._printing import _contents, get_printoptions, printoptions, set_printoptions, text_of
from .tensor._printing import _Options as PRINT_OPTS


def _tensor_str(self: Value, indent: int) -> str:
    """The elements as text, without what stands around them."""
    return _contents(self.detach().numpy(), indent)


def _str(self: Value, *, tensor_contents: Any = None) -> str:
    """The text of a tensor."""
    return text_of(self)


__all__ = ["PRINT_OPTS", "get_printoptions", "printoptions", "set_printoptions"]


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
