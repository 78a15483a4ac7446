"""Errors that users of flambeau meet, beside Python's own."""

from __future__ import annotations


class LinAlgError(RuntimeError):
    """A matrix does not allow the factorisation or solution that was asked for."""


class OutOfMemoryError(RuntimeError):
    """A device has no memory left: PyTorch's, for GPUs. On a CPU it is Python's MemoryError."""


def type_name(value: object) -> str:
    """The name of a value's type as PyTorch's messages spell it."""
    return "NoneType" if value is None else type(value).__name__
