"""mkldnn: not used here."""

from __future__ import annotations


def is_available() -> bool:
    """Whether mkldnn is there: no."""
    return False
