"""Every optimizer's step, compiled: the same parameters, gradients and state as eager leaves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import flambeau as torch

CASES = {
    "SGD": {"momentum": 0.9, "dampening": 0.5},
    "AdamW": {"amsgrad": True},
    "NAdam": {},
    "RAdam": {"betas": (0.8, 0.9)},
    "Adagrad": {"lr_decay": 0.1},
    "Adadelta": {},
    "Adamax": {},
    "ASGD": {"t0": 2},
    "RMSprop": {"centered": True, "momentum": 0.5},
    "Rprop": {},
}
STEPS = 5  # the first makes the state, the second is captured


def walked(name: str, wrap: Callable) -> list[torch.Tensor]:
    torch.manual_seed(0)
    a = torch.nn.Parameter(torch.randn(5, 7))
    b = torch.nn.Parameter(torch.randn(7))
    x = torch.randn(11, 5)
    optimizer = getattr(torch.optim, name)([a, b], **CASES[name])
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

    @wrap
    def step(x: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss = ((x @ a + b).tanh() - 0.5).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    seen = []
    for _ in range(STEPS):
        seen.append(step(x).detach())
        schedule.step()
        for p in (a, b):
            seen += [p.detach().clone(), p.grad.clone()]
            seen += [v.clone() for v in optimizer.state[p].values()]
    return seen


@pytest.mark.parametrize("name", CASES)
def test_a_compiled_step_leaves_what_an_eager_one_leaves(name: str) -> None:
    for one, other in zip(walked(name, lambda f: f), walked(name, torch.compile), strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)
