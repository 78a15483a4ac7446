"""Memory that malloc keeps for the next array, and gives back when a program is compiled."""

from __future__ import annotations

import ctypes
import sys

import pytest

import flambeau as torch
from flambeau import _config, _settings


def resident() -> float:
    """MB of memory that the process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


def has_trim() -> bool:
    return sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim")


@pytest.mark.skipif(not has_trim(), reason="malloc keeps and trims memory like this under glibc")
def test_freed_memory_is_kept_until_it_is_given_back() -> None:
    arrays = [torch.ones(1 << 18) for _ in range(100)]  # 105 MB
    full = resident()
    del arrays
    if _config.recycle_memory:
        assert resident() > full - 50
    _settings.release_freed_memory()
    assert resident() < full - 90


def test_a_c_library_that_cannot_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not _settings.keep_freed_memory()
    _settings.release_freed_memory()
