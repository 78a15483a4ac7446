"""Python's multiprocessing, with tensors that travel by shared memory instead of being copied.

Everything of ``multiprocessing`` is here. A tensor that is sent through a queue, a pipe or a pool
is moved to shared memory first (``share_memory_``), and arrives over the same memory. It stays
there as long as a process looks at it; unlike PyTorch's, the sender may go away before that.
Source: https://docs.pytorch.org/docs/stable/multiprocessing.html
"""

from __future__ import annotations

import multiprocessing as _multiprocessing
from multiprocessing import *  # noqa: F403

from .._missing import missing as _missing
from . import reductions
from .reductions import init_reductions
from .spawn import (
    ProcessContext,
    ProcessExitedException,
    ProcessRaisedException,
    SpawnContext,
    spawn,
    start_processes,
)

init_reductions()

__all__ = [
    *_multiprocessing.__all__, "get_all_sharing_strategies", "get_sharing_strategy",
    "set_sharing_strategy", "spawn", "start_processes",
]  # fmt: skip


def get_all_sharing_strategies() -> set[str]:
    """The ways in which memory can be shared: by descriptor."""
    return {"file_descriptor"}


def get_sharing_strategy() -> str:
    """The way in which memory is shared: "file_descriptor"."""
    return "file_descriptor"


def set_sharing_strategy(new_strategy: str) -> None:
    """Accepted for "file_descriptor", and for "file_system", which is not needed here.

    PyTorch's programs ask for "file_system" when they run out of descriptors; here small tensors
    share one, and memory has no names that could be left behind. ValueError for others.
    """
    if new_strategy not in ("file_descriptor", "file_system"):
        raise ValueError(f"set_sharing_strategy: unknown strategy {new_strategy!r}")


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
