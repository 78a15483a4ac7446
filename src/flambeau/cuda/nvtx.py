"""``torch.cuda.nvtx``: marks and ranges for NVIDIA's profilers (Nsight).

PyTorch without CUDA raises for them; here they do nothing without a GPU, so that a marked program
runs. Source: https://docs.pytorch.org/docs/stable/cuda.html#nvidia-tools-extension-nvtx
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ._machine import machine as _machine
from ._machine import there as _there

_depth = [0]


def range_push(msg: str) -> int:
    """Begin a range inside those that are open; how many these are."""
    if not _there():
        return 0
    _machine().range_push(msg)
    _depth[0] += 1
    return _depth[0] - 1


def range_pop() -> int:
    """End the range that was begun last; how many are open still."""
    if not _there():
        return 0
    _machine().range_pop()
    _depth[0] = max(_depth[0] - 1, 0)
    return _depth[0]


def mark(msg: str) -> None:
    """Mark a moment."""
    if _there():
        _machine().mark(msg)


@contextlib.contextmanager
def range(msg: str, *args: object, **kwargs: object) -> Iterator[None]:
    """A range as a scope; ``msg`` is formatted with the arguments."""
    range_push(msg.format(*args, **kwargs))
    try:
        yield
    finally:
        range_pop()


def range_start(msg: str) -> int:
    """Begin a range that another thread may end: nothing is recorded. Its number, 0."""
    return 0


def range_end(range_id: int) -> None:
    """End it."""
