"""``torch.cpu``: the CPU in the shape of a device that is somewhere else.

Source: https://docs.pytorch.org/docs/stable/cpu.html
"""

from __future__ import annotations

import contextlib

from .._missing import missing as _missing
from . import amp


def is_available() -> bool:
    """Whether there is a CPU: yes."""
    return True


def device_count() -> int:
    """The number of CPU devices: 1."""
    return 1


def current_device() -> str:
    """The device: "cpu"."""
    return "cpu"


def set_device(device: object) -> None:
    """Nothing to choose."""


def synchronize(device: object = None) -> None:
    """Nothing to wait for."""


class Stream:
    """A queue of work: the CPU's work is done when a call returns."""

    def __init__(self, priority: int = -1) -> None:
        self.priority = priority


def current_stream(device: object = None) -> Stream:
    """A stream."""
    return Stream()


def stream(stream: object) -> contextlib.AbstractContextManager:
    """A scope that does nothing."""
    return contextlib.nullcontext()


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
