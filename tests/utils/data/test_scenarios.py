"""Datasets, samplers, collating and loaders, held against what PyTorch answered (golden.json)."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden import answer, hold, recorded, scenarios

import flambeau

SCENARIOS = scenarios(Path(__file__).parent)
GOLDEN = recorded(Path(__file__).parent)


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    hold(name, answer(SCENARIOS[name], flambeau), GOLDEN[name])


def test_every_scenario_is_recorded() -> None:
    assert set(GOLDEN) == set(SCENARIOS)
