"""Apple's GPUs: there are none for flambeau.

Source: https://docs.pytorch.org/docs/stable/mps.html
"""

from __future__ import annotations

from ._missing import missing as _missing
from .tensor._device import here as _here


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


def manual_seed_all(seed: int) -> None:
    """Seed all devices' generators: nothing to seed."""


def synchronize(device: object = None) -> None:
    """Refused: there is no such device. RuntimeError."""
    _here("mps")


def get_rng_state(device: object = "mps") -> object:
    """Refused: there is no such device. RuntimeError."""
    return _here("mps")


def set_rng_state(new_state: object, device: object = "mps") -> None:
    """Refused: there is no such device. RuntimeError."""
    _here("mps")


def current_allocated_memory() -> int:
    """Bytes of device memory in use: 0."""
    return 0


driver_allocated_memory = recommended_max_memory = current_allocated_memory


def set_per_process_memory_fraction(fraction: float) -> None:
    """Refused: there is no such device. RuntimeError."""
    _here("mps")


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
