"""``torch.accelerator``: the machine's accelerator, whichever it is: the CUDA device, or none.

Source: https://docs.pytorch.org/docs/stable/accelerator.html
"""

from __future__ import annotations

from typing import Any

from . import cuda as _cuda
from ._missing import missing as _missing
from .tensor._device import device as _device


def is_available() -> bool:
    """Whether there is an accelerator."""
    return _cuda.is_available()


def device_count() -> int:
    """The number of accelerators: 1 or 0."""
    return _cuda.device_count()


def current_accelerator(check_available: bool = False) -> _device | None:
    """The kind of accelerator, ``device("cuda")``; None where there is none."""
    return _device("cuda") if _cuda.is_available() else None


def _there() -> Any:
    """``torch.cuda``. RuntimeError where there is no accelerator."""
    if not _cuda.is_available():
        raise RuntimeError(
            "Cannot access accelerator device when none is available.\n"
            "  flambeau computes on the CPU; torch.accelerator.is_available() answers False"
        )
    return _cuda


def current_device_index() -> int:
    """The number of the accelerator in use. RuntimeError without one."""
    return _there().current_device()


def set_device_index(device: object, /) -> None:
    """Choose the accelerator: there is one. RuntimeError without one."""
    _there().set_device(device)


def current_stream(device: object = None, /) -> object:
    """The queue that this thread's work goes to. RuntimeError without an accelerator."""
    return _there().current_stream(device)


def set_stream(stream: object) -> None:
    """Let this thread's work go to ``stream``. RuntimeError without an accelerator."""
    _there().set_stream(stream)


def synchronize(device: object = None, /) -> None:
    """Wait until all its work is done. RuntimeError without an accelerator."""
    _there().synchronize(device)


current_device_idx, set_device_idx = current_device_index, set_device_index

empty_cache = _cuda.empty_cache
memory_allocated, max_memory_allocated = _cuda.memory_allocated, _cuda.max_memory_allocated
memory_reserved, max_memory_reserved = _cuda.memory_reserved, _cuda.max_memory_reserved
memory_stats, reset_peak_memory_stats = _cuda.memory_stats, _cuda.reset_peak_memory_stats
reset_accumulated_memory_stats = _cuda.reset_accumulated_memory_stats


def get_memory_info(device_index: object = None, /) -> tuple[int, int]:
    """Bytes of its memory that are free, and all. RuntimeError without an accelerator."""
    return _there().mem_get_info(device_index)


class device_index:
    """Scope in which an accelerator is chosen: None chooses nothing. RuntimeError without one."""

    def __init__(self, device: int | None, /) -> None:
        self.index = device

    def __enter__(self) -> None:
        if self.index is not None:
            set_device_index(self.index)

    def __exit__(self, *error: object) -> None:
        pass


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
