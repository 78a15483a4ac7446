"""``torch.utils.dlpack``: tensors to and from other libraries, without a copy.

Source: https://docs.pytorch.org/docs/stable/dlpack.html
"""

from __future__ import annotations

from typing import Any

from ..core.value import Value
from ..tensor._creation import from_dlpack


def to_dlpack(tensor: Value) -> Any:
    """``tensor``'s memory as a DLPack capsule, which another library may take once."""
    return tensor.__dlpack__()


__all__ = ["from_dlpack", "to_dlpack"]
