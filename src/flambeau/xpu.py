"""Intel GPUs: there are none for flambeau.

Source: https://docs.pytorch.org/docs/stable/xpu.html
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
    """Refused: there is no such device. AssertionError."""
    _here("xpu")


def get_rng_state(device: object = "xpu") -> object:
    """Refused: there is no such device. AssertionError."""
    return _here("xpu")


def set_rng_state(new_state: object, device: object = "xpu") -> None:
    """Refused: there is no such device. AssertionError."""
    _here("xpu")


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the device computes in bfloat16: there is none."""
    return False


def get_rng_state_all() -> list:
    """The states of all devices' generators: none."""
    return []


def set_rng_state_all(new_states: object) -> None:
    """Set the states of all devices' generators: there are none."""


def init() -> None:
    """Refused: there is no such device. AssertionError."""
    _here("xpu")


def current_device() -> int:
    """Refused: there is no such device. AssertionError."""
    _here("xpu")
    return -1


def set_device(device: object) -> None:
    """Refused: there is no such device. AssertionError."""
    _here("xpu")


def get_device_name(device: object = None) -> str:
    """Refused: there is no such device. AssertionError."""
    _here("xpu")
    return ""


def get_device_properties(device: object = None) -> object:
    """Refused: there is no such device. AssertionError."""
    return _here("xpu")


def mem_get_info(device: object = None) -> tuple[int, int]:
    """Refused: there is no such device. AssertionError."""
    _here("xpu")
    return 0, 0


def memory_allocated(device: object = None) -> int:
    """Bytes of device memory in use: 0."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


def reset_peak_memory_stats(device: object = None) -> None:
    """Forget the peak of device memory: there is none."""


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
