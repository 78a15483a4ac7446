"""mkl: not used here."""

from __future__ import annotations


def is_available() -> bool:
    """Whether mkl is there: no."""
    return False
