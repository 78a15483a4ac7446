"""Settings of the whole library: threads, memory, determinism, precision."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

from . import _config, _system
from .core import threads

_flags = {"deterministic": False, "warn_only": False, "precision": "highest", "interop": 1}


def get_num_threads() -> int:
    """Threads that one operation is spread over."""
    return threads.get_num_threads()


def set_num_threads(n: int) -> None:
    """Spread operations over ``n`` threads from now on; BLAS's products as well."""
    threads.set_num_threads(n)
    blas = _system.blas()
    if blas is not None:
        blas.set_num_threads(n)


def respect_quota() -> None:
    """Keep BLAS within the processors that the container's quota and the affinity leave."""
    usable = threads.get_num_threads()
    if usable < (os.cpu_count() or 1):
        blas = _system.blas()
        if blas is not None and blas.get_num_threads() > usable:
            blas.set_num_threads(usable)


def get_num_interop_threads() -> int:
    """Threads that run operations side by side: one, operations run in order."""
    return _flags["interop"]


def set_num_interop_threads(n: int) -> None:
    """Accepted; operations run in order. RuntimeError unless ``n`` is positive."""
    if n < 1:
        raise RuntimeError("Expected num_threads > 0")
    _flags["interop"] = n


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Accepted: every operation here gives the same result each time."""
    _flags["deterministic"], _flags["warn_only"] = bool(mode), bool(warn_only)


def are_deterministic_algorithms_enabled() -> bool:
    """Whether ``use_deterministic_algorithms`` was called with True."""
    return _flags["deterministic"]


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether it was called with ``warn_only``."""
    return _flags["warn_only"]


def set_float32_matmul_precision(precision: str) -> None:
    """Accepted; products of float32 are always computed in float32."""
    if precision not in ("highest", "high", "medium"):
        raise RuntimeError(
            f"float32 matmul precision must be 'highest', 'high' or 'medium', got {precision!r}"
        )
    _flags["precision"] = precision


def get_float32_matmul_precision() -> str:
    """What ``set_float32_matmul_precision`` was given."""
    return _flags["precision"]


def set_flush_denormal(mode: bool) -> bool:
    """Whether denormal numbers can be flushed to zero: no, False."""
    return False


# ---- memory --------------------------------------------------------------------------------
# glibc gives every block above 128 KB back to the kernel when it is freed, and the kernel clears
# each page that is touched for the first time: on a 16 MB result that costs more than the
# arithmetic. Two settings of malloc keep such blocks in the process. Other C libraries have no
# such settings, and are left alone.

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_LARGEST_KEPT = 32 << 20  # glibc refuses a higher M_MMAP_THRESHOLD; larger blocks are mapped
_MOST_KEPT = 256 << 20  # free memory at the top of the heap above this goes back to the kernel


def _of_malloc(name: str) -> Callable | None:
    """A function of glibc's malloc; None under another C library."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None


def keep_freed_memory() -> bool:
    """Ask malloc to keep freed blocks; whether it has agreed."""
    if not _config.recycle_memory:
        return False
    mallopt = _of_malloc("mallopt")
    return mallopt is not None and bool(
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT) and mallopt(_M_TRIM_THRESHOLD, _MOST_KEPT)
    )


def release_freed_memory() -> None:
    """Have malloc give the freed blocks that it has kept back to the kernel, where it can."""
    trim = _of_malloc("malloc_trim")
    if trim is not None:
        trim(ctypes.c_size_t(0))


__all__ = [
    "are_deterministic_algorithms_enabled", "get_float32_matmul_precision",
    "get_num_interop_threads", "get_num_threads", "is_deterministic_algorithms_warn_only_enabled",
    "set_float32_matmul_precision", "set_flush_denormal", "set_num_interop_threads",
    "set_num_threads", "use_deterministic_algorithms",
]  # fmt: skip
