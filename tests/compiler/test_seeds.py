"""Seeds and states of generators that are set within compiled functions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import flambeau as torch
from flambeau.nn import functional as F
from flambeau.utils.checkpoint import checkpoint, checkpoint_sequential

pytestmark = pytest.mark.usefixtures("strict")


def seeded(x: torch.Tensor) -> list[torch.Tensor]:
    before = torch.rand(2)
    torch.manual_seed(3)
    return [x + torch.randn(2), F.dropout(x, 0.5), before]


def forked(x: torch.Tensor) -> list[torch.Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        a = torch.rand(2)
    return [x + a, torch.rand(2)]


def a_generator_of_its_own(x: torch.Tensor) -> list[torch.Tensor]:
    g, h = torch.Generator(), torch.Generator().manual_seed(5)
    return [x + torch.rand(2, generator=g), torch.randperm(4, generator=h)]


def twice_the_same(x: torch.Tensor) -> list[torch.Tensor]:
    state = torch.get_rng_state()
    a = torch.rand(3)
    torch.set_rng_state(state)
    return [a, torch.rand(3), x + torch.rand(2)]


@pytest.mark.parametrize("function", [seeded, forked, a_generator_of_its_own, twice_the_same])
def test_numbers_are_those_of_the_seed(function: Callable) -> None:
    compiled = torch.compile(function)
    for k in range(4):
        results, states = [], []
        for f in (function, compiled):
            torch.manual_seed(k)
            results.append(f(torch.ones(2) * k))
            states.append(torch.get_rng_state())
        assert all(torch.equal(a, b) for a, b in zip(*results)) and torch.equal(*states)
    assert len(compiled.variants) == 1


def test_the_seed_that_is_asked_for_is_that_of_the_call() -> None:
    compiled = torch.compile(lambda x: x + torch.initial_seed())
    for k in range(4):
        torch.manual_seed(k)
        assert compiled(torch.zeros(1)).item() == k


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpoint_within_a_step_draws_the_same_again(reentrant: bool) -> None:
    def make() -> tuple[Callable, torch.nn.Module]:
        torch.manual_seed(0)
        net = torch.nn.Sequential(
            torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Tanh(), torch.nn.Linear(8, 3)
        )

        def step(x: torch.Tensor) -> torch.Tensor:
            net.zero_grad()
            y = checkpoint(net, x, use_reentrant=reentrant)
            z = checkpoint_sequential(net, 2, x, use_reentrant=reentrant)
            loss = (y * y + z).sum()
            loss.backward()
            return loss.detach()

        return step, net

    (eager, one), (step, two) = make(), make()
    compiled = torch.compile(step)
    for k in range(5):
        losses = []
        for f in (eager, compiled):
            torch.manual_seed(k)
            losses.append(f(torch.randn(2, 4).requires_grad_()))
        torch.testing.assert_close(losses[1], losses[0])
        for p, q in zip(one.parameters(), two.parameters()):
            torch.testing.assert_close(q.grad, p.grad)
    assert compiled.variants and not compiled.eager
