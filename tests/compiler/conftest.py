"""What several tests of compiled programs share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import flambeau as torch
from flambeau.compiler import chains, live_rows, native, segment_text
from flambeau.core import threads


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def strict(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Mistakes of the compiler are errors; every unit is shared out among the threads; rows that
    nobody reads are left out of the smallest product."""
    monkeypatch.setattr(native, "strict", True)
    monkeypatch.setattr(native, "SPREAD", 0.0)
    monkeypatch.setattr(segment_text, "SPREAD_UNIT", 0.0)
    monkeypatch.setattr(segment_text, "CHUNK", 1.0)
    monkeypatch.setattr(chains, "ROWS", 4)
    monkeypatch.setattr(live_rows, "LEAST", 1.0)
    before = threads.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)
