"""Tools around layers, situation by situation, held against PyTorch's answers (golden.json)."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from golden import answer, recorded, scenarios

import flambeau

SCENARIOS = scenarios(Path(__file__).parent)
GOLDEN = recorded(Path(__file__).parent)


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    assert answer(SCENARIOS[name], flambeau) == GOLDEN[name]


def test_every_scenario_is_recorded() -> None:
    assert set(GOLDEN) == set(SCENARIOS)


def test_a_copy_of_a_parametrized_module_has_a_class_of_its_own() -> None:
    layer = flambeau.nn.Linear(3, 4)
    parametrize = flambeau.nn.utils.parametrize
    flambeau.nn.utils.parametrizations.weight_norm(layer)
    twin = copy.deepcopy(layer)
    parametrize.remove_parametrizations(twin, "weight")
    assert type(twin) is flambeau.nn.Linear
    assert parametrize.is_parametrized(layer, "weight")
    assert flambeau.equal(twin.weight, layer.weight)
