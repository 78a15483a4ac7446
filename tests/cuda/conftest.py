"""Tests of tensors on a GPU run on it where there is one, and elsewhere on a stand-in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flambeau._devices import backend, philox
from flambeau.core.generator import Followers

sys.path.insert(0, str(Path(__file__).parent))
from stand_in import StandIn


@pytest.fixture(autouse=True)
def device() -> Iterator[None]:
    """A CUDA device, as far as the library knows."""
    if backend.available():
        yield
        return
    before = backend.use(StandIn())
    yield
    backend.use(before)
    philox._Default.generator = None  # it goes with its device
    Followers.generators.clear()
