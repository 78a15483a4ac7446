"""``torch.utils.hooks``: what registering a hook returns."""

from __future__ import annotations

from ..core.tape import Handle as RemovableHandle
from ..nn.modules._hooks import BackwardHook

__all__ = ["BackwardHook", "RemovableHandle"]
