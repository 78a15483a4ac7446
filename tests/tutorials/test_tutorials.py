"""What learners' programs print: as under PyTorch (golden.json), and the same compiled."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from golden import answer, hold, plain, recorded, scenarios

import flambeau as torch

SCENARIOS = scenarios(Path(__file__).parent)
GOLDEN = recorded(Path(__file__).parent)


@pytest.fixture(autouse=True)
def _own_default() -> Iterator[None]:
    yield
    torch.set_default_dtype(torch.float32)


def close(got: object, wanted: object) -> bool:
    """Equal, numbers up to the last of the recorded digits."""
    if isinstance(got, list) and isinstance(wanted, list):
        return len(got) == len(wanted) and all(map(close, got, wanted))
    if isinstance(got, float) and isinstance(wanted, float):
        return math.isclose(got, wanted, rel_tol=2e-5, abs_tol=1e-9)
    return got == wanted


@pytest.mark.parametrize("name", SCENARIOS)
def test_as_pytorch(name: str) -> None:
    hold(name, answer(SCENARIOS[name], torch), GOLDEN[name], close)


@pytest.mark.parametrize("name", SCENARIOS)
def test_compiled(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got = plain(SCENARIOS[name](torch, torch.compile))
    hold(name, got, GOLDEN[name], close)


def test_every_scenario_is_recorded() -> None:
    assert set(GOLDEN) == set(SCENARIOS)
