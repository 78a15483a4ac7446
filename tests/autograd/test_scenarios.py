"""Autograd, situation by situation, held against what PyTorch answered (golden.json)."""

from __future__ import annotations

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


def test_100_000_operations_in_a_chain() -> None:
    x = flambeau.ones(1, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + 1e-5
    y.backward()
    assert x.grad.item() == 1
    del y  # and the chain is taken apart without recursion, too


def test_a_kept_loss_keeps_no_arrays() -> None:
    import gc
    import weakref

    x = flambeau.ones(1000, requires_grad=True)
    h = (x * 2).exp()
    seen = weakref.ref(h._array)
    loss = h.sum()
    loss.backward()
    del h
    gc.collect()
    assert seen() is None
    assert loss.grad_fn is not None


def test_results_are_freed_without_the_garbage_collector() -> None:
    import gc
    import weakref

    gc.disable()
    try:
        x = flambeau.ones(10, requires_grad=True)
        y = (x.exp() * x).tanh().sum()
        seen = weakref.ref(y.grad_fn)
        del y
        assert seen() is None
    finally:
        gc.enable()
