"""``torch.cuda.memory``: the GPU's memory. Without a GPU there is none, and every figure is 0.

Memory is CuPy's pool: what tensors give back stays with the process, for the next ones. Peaks are
counted from the first ``reset_peak_memory_stats()`` on, in the thread that calls it, since counting
takes 3 us a tensor; before, they are what the process holds, which is as much or more.
Source: https://docs.pytorch.org/docs/stable/cuda.html#memory-management
"""

from __future__ import annotations

from typing import Any

from .._missing import missing as _missing
from ._machine import machine as _machine
from ._machine import there as _there
from ._needs import MEMORY
from ._needs import needs as _needs


def _figure(name: str, device: object) -> int:
    return getattr(_machine(device).figures(), name) if _there() else 0


def empty_cache() -> None:
    """Give GPU memory that no tensor uses back to the system."""
    if _there():
        _machine().empty_cache()


def memory_allocated(device: object = None) -> int:
    """Bytes of GPU memory in use by tensors."""
    return _figure("used", device)


def max_memory_allocated(device: object = None) -> int:
    """The most bytes that were in use since the start, or ``reset_peak_memory_stats``."""
    return _figure("peak", device)


def memory_reserved(device: object = None) -> int:
    """Bytes of GPU memory that this process holds, in use or not."""
    return _figure("reserved", device)


def max_memory_reserved(device: object = None) -> int:
    """The most bytes that this process held."""
    return _figure("reserved_peak", device)


memory_cached, max_memory_cached = memory_reserved, max_memory_reserved


def reset_peak_memory_stats(device: object = None) -> None:
    """Forget the peaks."""
    if _there():
        _machine(device).reset_peak()


reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats


def reset_accumulated_memory_stats(device: object = None) -> None:
    """Forget how much was ever taken: it is not counted."""


reset_peak_host_memory_stats = reset_accumulated_memory_stats
reset_accumulated_host_memory_stats = reset_accumulated_memory_stats


def memory_stats(device: object = None) -> dict[str, int]:
    """The figures by PyTorch's names: ``allocated_bytes.all.current``, ``.peak``,
    ``reserved_bytes.all.current``, ``.peak``. Empty without a GPU."""
    if not _there():
        return {}
    said = _machine(device).figures()
    return {
        "allocated_bytes.all.current": said.used,
        "allocated_bytes.all.peak": said.peak,
        "reserved_bytes.all.current": said.reserved,
        "reserved_bytes.all.peak": said.reserved_peak,
    }


def memory_stats_as_nested_dict(device: object = None) -> dict[str, Any]:
    """``memory_stats`` as dictionaries in dictionaries."""
    nested: dict[str, Any] = {}
    for name, value in memory_stats(device).items():
        *path, last = name.split(".")
        inner = nested
        for part in path:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return nested


def host_memory_stats() -> dict[str, int]:
    """Figures of pinned memory: not counted."""
    return {}


host_memory_stats_as_nested_dict = host_memory_stats


def memory_summary(device: object = None, abbreviated: bool = False) -> str:
    """The figures as a table to read, in MiB. AssertionError without a GPU."""
    said = _machine(device).figures()
    rows = [
        ("in use by tensors", said.used, said.peak),
        ("held by this process", said.reserved, said.reserved_peak),
        ("of the GPU, in use", said.total - said.free, None),
        ("of the GPU, in all", said.total, None),
    ]
    lines = [f"{'memory of cuda:0 (MiB)':<28}{'now':>12}{'peak':>12}"]
    for label, now, peak in rows:
        most = "" if peak is None else f"{peak / 2**20:.1f}"
        lines.append(f"{label:<28}{now / 2**20:>12.1f}{most:>12}")
    return "\n".join(lines)


def mem_get_info(device: object = None) -> tuple[int, int]:
    """Bytes of the GPU's memory that are free, and all. AssertionError without a GPU."""
    said = _machine(device).figures()
    return said.free, said.total


def set_per_process_memory_fraction(fraction: float, device: object = None) -> None:
    """Use no more than this part of the GPU's memory. AssertionError without a GPU."""
    gpu = _machine(device)
    if not 0 <= fraction <= 1:
        raise ValueError(f"Invalid fraction value: {fraction}. Allowed range: 0~1")
    gpu.limit(int(fraction * gpu.figures().total))


def memory_snapshot(mempool_id: object = None) -> list:
    """Pieces of memory one by one: not told."""
    return []


def get_allocator_backend() -> str:
    """The name of the GPU's allocator: PyTorch's default."""
    return "native"


globals().update(
    _needs(f"{MEMORY} _record_memory_history _snapshot _dump_snapshot", "torch.cuda.memory")
)

__all__ = [
    "empty_cache", "memory_allocated", "max_memory_allocated", "memory_reserved",
    "max_memory_reserved", "memory_cached", "max_memory_cached", "reset_peak_memory_stats",
    "reset_max_memory_allocated", "reset_max_memory_cached", "reset_accumulated_memory_stats",
    "memory_stats", "memory_stats_as_nested_dict", "memory_summary", "mem_get_info",
    "set_per_process_memory_fraction", "memory_snapshot", "host_memory_stats",
    "host_memory_stats_as_nested_dict", "reset_peak_host_memory_stats",
    "reset_accumulated_host_memory_stats", "get_allocator_backend", ]  # fmt: skip


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
