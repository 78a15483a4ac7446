"""mps: not used here."""

from __future__ import annotations


def is_available() -> bool:
    """Whether mps is there: no."""
    return False


def is_built() -> bool:
    """Whether the library was built for Apple's GPUs: no."""
    return False
