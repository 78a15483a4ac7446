"""openmp: not used here."""

from __future__ import annotations


def is_available() -> bool:
    """Whether openmp is there: no."""
    return False
