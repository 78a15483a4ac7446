"""``torch.cuda.nvtx``: marks for NVIDIA's profiler, which are made by nobody here.

PyTorch without CUDA raises for them; here they do nothing, so that a marked program runs.
"""

from __future__ import annotations

import contextlib


def range_push(msg: str) -> int:
    """Begin a range: nothing is recorded. The depth, 0."""
    return 0


def range_pop() -> int:
    """End a range: nothing is recorded. The depth, 0."""
    return 0


def mark(msg: str) -> None:
    """Mark a moment: nothing is recorded."""


def range(msg: str, *args: object, **kwargs: object) -> contextlib.AbstractContextManager:
    """A range as a scope: nothing is recorded."""
    return contextlib.nullcontext()


def range_start(msg: str) -> int:
    """Begin a range that another thread may end: nothing is recorded. Its number, 0."""
    return 0


def range_end(range_id: int) -> None:
    """End it: nothing is recorded."""
