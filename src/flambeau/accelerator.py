"""``torch.accelerator``: the machine's accelerator, whichever it is. There is none for flambeau.

Source: https://docs.pytorch.org/docs/stable/accelerator.html
"""

from __future__ import annotations

from ._missing import missing as _missing
from .tensor._device import device as _device


def is_available() -> bool:
    """Whether there is an accelerator: no."""
    return False


def device_count() -> int:
    """The number of accelerators: 0."""
    return 0


def current_accelerator(check_available: bool = False) -> _device | None:
    """The kind of accelerator: None."""
    return None


def _none() -> RuntimeError:
    return RuntimeError(
        "Cannot access accelerator device when none is available.\n"
        "  flambeau computes on the CPU; torch.accelerator.is_available() answers False"
    )


def current_device_index() -> int:
    """Refused: there is no accelerator. RuntimeError."""
    raise _none()


def set_device_index(device: object, /) -> None:
    """Refused: there is no accelerator. RuntimeError."""
    raise _none()


def current_stream(device: object = None, /) -> object:
    """Refused: there is no accelerator. RuntimeError."""
    raise _none()


def synchronize(device: object = None, /) -> None:
    """Refused: there is no accelerator. RuntimeError."""
    raise _none()


current_device_idx, set_device_idx = current_device_index, set_device_index


def empty_cache() -> None:
    """Give unused device memory back: there is none."""


def memory_allocated(device_index: object = None, /) -> int:
    """Bytes of device memory in use: 0."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


def memory_stats(device_index: object = None) -> dict:
    """Figures of the device's allocator: there are none."""
    return {}


def reset_peak_memory_stats(device_index: object = None) -> None:
    """Forget the peak of device memory: there is none."""


reset_accumulated_memory_stats = reset_peak_memory_stats


def get_memory_info(device_index: object = None) -> tuple[int, int]:
    """Refused: there is no accelerator. RuntimeError."""
    raise _none()


def set_stream(stream: object) -> None:
    """Refused: there is no accelerator. RuntimeError."""
    raise _none()


class device_index:
    """Scope in which an accelerator is chosen: None chooses nothing; otherwise RuntimeError."""

    def __init__(self, device: int | None, /) -> None:
        self.index = device

    def __enter__(self) -> None:
        if self.index is not None:
            raise _none()

    def __exit__(self, *error: object) -> None:
        pass


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
