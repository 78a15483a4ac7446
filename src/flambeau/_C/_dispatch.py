"""Dispatch keys: PyTorch's names for the layers that a call passes on its way to a kernel.

flambeau has no such layers. Libraries make sets of the keys when they are imported.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

DispatchKey = Enum(
    "DispatchKey",
    """Undefined CompositeExplicitAutograd CompositeImplicitAutograd CPU CUDA HIP XLA MPS XPU HPU
    Meta BackendSelect Python Functionalize Conjugate Negative ADInplaceOrView AutogradOther
    AutogradFunctionality AutogradCPU AutogradCUDA AutogradXPU AutogradMPS Autograd Tracer
    AutocastCPU AutocastCUDA AutocastXPU AutocastMPS FuncTorchBatched FuncTorchDynamicLayerBackMode
    FuncTorchDynamicLayerFrontMode""",
    module=__name__,
)
DispatchKey.__doc__ = "PyTorch's names of the layers of its dispatcher."


class DispatchKeySet:
    """A set of keys."""

    def __init__(self, key: DispatchKey | Iterable[DispatchKey]) -> None:
        self.keys = frozenset([key] if isinstance(key, DispatchKey) else key)

    def __or__(self, other: DispatchKeySet) -> DispatchKeySet:
        return DispatchKeySet(self.keys | other.keys)

    def __and__(self, other: DispatchKeySet) -> DispatchKeySet:
        return DispatchKeySet(self.keys & other.keys)

    def __sub__(self, other: DispatchKeySet) -> DispatchKeySet:
        return DispatchKeySet(self.keys - other.keys)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DispatchKeySet) and self.keys == other.keys

    def __hash__(self) -> int:
        return hash(self.keys)

    def add(self, key: DispatchKey) -> DispatchKeySet:
        """This set, and ``key``."""
        return self | DispatchKeySet(key)

    def remove(self, key: DispatchKey) -> DispatchKeySet:
        """This set without ``key``."""
        return self - DispatchKeySet(key)

    def has(self, key: DispatchKey) -> bool:
        """Whether ``key`` is in it."""
        return key in self.keys
