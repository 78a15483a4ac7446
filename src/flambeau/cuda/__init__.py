"""What ``torch.cuda`` answers on a machine without a GPU: there is none.

Questions are answered, settings that would do nothing without a GPU do nothing, and what needs a
GPU raises RuntimeError.
Source: https://docs.pytorch.org/docs/stable/cuda.html
"""

from __future__ import annotations

from .._missing import missing as _missing
from ..tensor._device import device as _device
from ..tensor._device import here as _here
from . import amp


def is_available() -> bool:
    """Whether there is a CUDA device: no."""
    return False


def device_count() -> int:
    """The number of CUDA devices: 0."""
    return 0


def is_initialized() -> bool:
    """Whether CUDA has been initialised: no."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the GPU computes in bfloat16: there is no GPU."""
    return False


def init() -> None:
    """Refused: there is no CUDA device. RuntimeError."""
    _here("cuda")


def current_device() -> int:
    """Refused: there is no CUDA device. RuntimeError."""
    _here("cuda")
    return -1


def set_device(device: object) -> None:
    """Refused: there is no CUDA device. RuntimeError."""
    _here("cuda")


def get_device_name(device: object = None) -> str:
    """Refused: there is no CUDA device. RuntimeError."""
    _here("cuda")
    return ""


def get_device_properties(device: object = None) -> object:
    """Refused: there is no CUDA device. RuntimeError."""
    return _here("cuda")


def get_device_capability(device: object = None) -> tuple[int, int]:
    """Refused: there is no CUDA device. RuntimeError."""
    _here("cuda")
    return 0, 0


def synchronize(device: object = None) -> None:
    """Refused: there is no CUDA device. RuntimeError."""
    _here("cuda")


def manual_seed(seed: int) -> None:
    """Seed the GPU's generator: nothing to seed."""


def manual_seed_all(seed: int) -> None:
    """Seed all GPUs' generators: nothing to seed."""


def empty_cache() -> None:
    """Give unused GPU memory back: there is none."""


def memory_allocated(device: object = None) -> int:
    """Bytes of GPU memory in use: 0."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


def reset_peak_memory_stats(device: object = None) -> None:
    """Forget the peak of GPU memory: there is none."""


class device:
    """Context manager that selects a GPU: with None or -1 it does nothing, else RuntimeError."""

    def __init__(self, device: object) -> None:
        if device is not None and device != -1:
            _here(_device("cuda", device) if isinstance(device, int) else device)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
