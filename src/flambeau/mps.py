"""Apple's GPUs: there are none for flambeau.

Source: https://docs.pytorch.org/docs/stable/mps.html
"""

from __future__ import annotations


def is_available() -> bool:
    """Whether there is such a device: no."""
    return False


def device_count() -> int:
    """The number of such devices: 0."""
    return 0


def manual_seed(seed: int) -> None:
    """Seed the device's generator: nothing to seed."""


def empty_cache() -> None:
    """Give unused device memory back: there is none."""
