"""``torch.cuda.memory``: the memory of GPUs, of which there are none."""

from __future__ import annotations

from .._missing import missing as _missing
from ..tensor._device import here as _here
from ._needs import MEMORY
from ._needs import needs as _needs


def empty_cache() -> None:
    """Give unused GPU memory back: there is none."""


def memory_allocated(device: object = None) -> int:
    """Bytes of GPU memory in use: 0."""
    return 0


def reset_peak_memory_stats(device: object = None) -> None:
    """Forget the peak of GPU memory: there is none."""


def memory_stats(device: object = None) -> dict:
    """Figures of the GPU's allocator: there are none."""
    return {}


def memory_summary(device: object = None, abbreviated: bool = False) -> str:
    """Refused: there is no CUDA device. AssertionError."""
    _here("cuda")
    return ""


def mem_get_info(device: object = None) -> tuple[int, int]:
    """Refused: there is no CUDA device. AssertionError."""
    _here("cuda")
    return 0, 0


def set_per_process_memory_fraction(fraction: float, device: object = None) -> None:
    """Refused: there is no CUDA device. AssertionError."""
    _here("cuda")


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated
memory_cached = max_memory_cached = memory_allocated
reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats
reset_accumulated_memory_stats = reset_peak_host_memory_stats = reset_peak_memory_stats
reset_accumulated_host_memory_stats = reset_peak_memory_stats
memory_stats_as_nested_dict = host_memory_stats = host_memory_stats_as_nested_dict = memory_stats


def memory_snapshot(mempool_id: object = None) -> list:
    """What the GPU's allocator holds: nothing."""
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
