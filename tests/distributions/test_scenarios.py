"""Distributions, held against what PyTorch answered (golden.json), seed by seed."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden import answer, recorded, scenarios

import flambeau

SCENARIOS = scenarios(Path(__file__).parent)
GOLDEN = recorded(Path(__file__).parent)

#: Where PyTorch 2.13 is wrong or fails, and test_mathematics.py says what is right.
RIGHT_HERE = {
    "kumaraswamy.mode",  # nan for all parameters above 1
    "gradients_of_generalized_pareto",  # refuses float64
    "gradients_of_wishart",  # writes over what its gradient keeps
}
#: In float32 PyTorch cancels (1 - I_1 / I_0), or we sum in another order.
LOOSE = {"von_mises.stddev": 1e-4, "lkj_cholesky.expand": 1e-3, "gradients": 2e-3}


def differences(path: str, got: object, wanted: object) -> list[str]:
    if path in RIGHT_HERE:
        return []
    if isinstance(wanted, dict) and isinstance(got, dict) and wanted.keys() == got.keys():
        return sum((differences(f"{path}.{k}", got[k], wanted[k]) for k in wanted), [])
    if isinstance(wanted, list) and isinstance(got, list) and len(got) == len(wanted):
        return sum(
            (differences(f"{path}[{i}]", *pair) for i, pair in enumerate(zip(got, wanted))), []
        )
    if isinstance(wanted, float) and isinstance(got, float):
        tolerance = next((v for k, v in LOOSE.items() if path.startswith(k)), 2e-5)
        if got == wanted or abs(got - wanted) <= tolerance * max(abs(wanted), 0.1):
            return []
    if isinstance(wanted, str) and "Error: " in wanted and str(got).startswith(wanted):
        return []  # we may say more
    return [] if got == wanted else [f"{path}: {got} is not {wanted}"]


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    wrong = differences(name, answer(SCENARIOS[name], flambeau), GOLDEN[name])
    assert not wrong, "\n".join(wrong)


def test_every_scenario_is_recorded() -> None:
    assert set(GOLDEN) == set(SCENARIOS)
    assert {path.split(".")[0] for path in RIGHT_HERE} <= set(SCENARIOS)


def test_every_distribution_has_a_scenario() -> None:
    D = flambeau.distributions
    families = {
        name
        for name in D.__all__
        if isinstance(kind := getattr(D, name), type) and issubclass(kind, D.Distribution)
    }
    made = {
        type(base).__name__
        for make in SCENARIOS["bernoulli"].__globals__["_MADE"].values()
        for base in [make(flambeau, D)]
    }
    assert families - made == {"Distribution", "ExponentialFamily"}
