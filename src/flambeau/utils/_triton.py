"""``torch.utils._triton``: whether Triton can compile for this machine's GPU."""

from __future__ import annotations


def has_triton(device: object = None) -> bool:
    """False: there is no GPU."""
    return False


has_triton_package = has_triton_tma = has_triton


def triton_hash_with_backend() -> None:
    """None: there is no backend."""
    return
