"""``torch.backends.opt_einsum``: a package by which einsum orders its products; not used."""

from __future__ import annotations

enabled = False
strategy = None


def is_available() -> bool:
    """Whether the package is used: no."""
    return False


def get_opt_einsum() -> None:
    """The package: None."""
    return
