"""Memory for large arrays: keep freed pages instead of asking the kernel for new ones.

glibc gives every block above 128 KB back to the kernel when it is freed, and the kernel clears
each page that is touched for the first time: on a 16 MB result that costs more than the
arithmetic. Two settings of malloc keep such blocks in the process. Other C libraries have no
such settings, and are left alone.
"""

from __future__ import annotations

import ctypes

from .. import _config

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_LARGEST_KEPT = 32 << 20  # glibc refuses a higher M_MMAP_THRESHOLD; larger blocks are mapped
_MOST_KEPT = 256 << 20  # free memory at the top of the heap above this goes back to the kernel


def keep_freed_memory() -> bool:
    """Ask malloc to keep freed blocks; whether it has agreed."""
    if not _config.recycle_memory:
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False  # not glibc
    return bool(
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT)
        and mallopt(_M_TRIM_THRESHOLD, _MOST_KEPT)
    )
