"""Whole training steps, compiled: parameters, gradients, losses and optimizer state as eager's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import flambeau as torch
from flambeau.nn import functional as F

STEPS = 6


def network(seed: int = 0) -> list[torch.Tensor]:
    torch.manual_seed(seed)
    shapes = [(11, 3), (6, 13), (13,), (13, 11), (11,)]
    return [(torch.randn(s) * 0.3).requires_grad_() for s in shapes]


def mlp(ps: list[torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    table, w1, b1, w2, b2 = ps
    h = torch.tanh(table[x].view(-1, 6) @ w1 + b1)
    return F.cross_entropy(h @ w2 + b2, y)


def state_of(opt: torch.optim.Optimizer) -> dict[str, np.ndarray]:
    return {
        f"{i}.{k}": np.array(torch.as_tensor(v).numpy())
        for i, s in opt.state_dict()["state"].items()
        for k, v in s.items()
        if v is not None
    }


def trained(
    make: Callable, compiled: bool, change: Callable | None = None
) -> tuple[dict[str, np.ndarray], Callable]:
    """Everything that a few steps leave behind."""
    ps = network()
    opt = make(ps)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        opt.zero_grad()
        loss = mlp(ps, x, y)
        loss.backward()
        opt.step()
        return loss

    f = torch.compile(step, backend="python") if compiled else step
    left = {}
    for i in range(STEPS):
        x, y = torch.randint(0, 11, (5, 2)), torch.randint(0, 11, (5,))
        loss = f(x, y)
        left[f"loss{i}"] = np.array(loss.detach().numpy())
        if change is not None:
            change(i, opt)
    for i, p in enumerate(ps):
        left[f"p{i}"], left[f"grad{i}"] = p.detach().numpy(), p.grad.numpy()
        left[f"version{i}"] = np.array(p._version)
    return {**left, **state_of(opt)}, f


def assert_alike(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert a.keys() == b.keys()
    for k in a:
        np.testing.assert_allclose(a[k], b[k], rtol=2e-5, atol=1e-6, err_msg=k)


@pytest.mark.parametrize(
    "make",
    [
        lambda ps: torch.optim.SGD(ps, 0.1),
        lambda ps: torch.optim.SGD(ps, 0.1, momentum=0.9, weight_decay=0.01),
        lambda ps: torch.optim.SGD(ps, 0.1, momentum=0.9, nesterov=True, maximize=True),
        lambda ps: torch.optim.Adam(ps, 0.01, amsgrad=True),
        lambda ps: torch.optim.AdamW(
            [{"params": ps[:2], "lr": 0.1}, {"params": ps[2:], "weight_decay": 0.0}]
        ),
    ],
    ids=["sgd", "momentum", "nesterov", "amsgrad", "adamw-groups"],
)
def test_a_step_is_as_eager(make: Callable) -> None:
    eager, _ = trained(make, False)
    compiled, f = trained(make, True)
    assert_alike(eager, compiled)
    assert len(f.variants) <= 2, f.explain()  # with gradients there at the start, and without


def test_a_new_learning_rate_needs_no_new_capture() -> None:
    def halve(i: int, opt: torch.optim.Optimizer) -> None:
        opt.param_groups[0]["lr"] *= 0.5

    def make(ps: list[torch.Tensor]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(ps, 0.1)

    eager, _ = trained(make, False, halve)
    compiled, f = trained(make, True, halve)
    assert_alike(eager, compiled)
    assert len(f.variants) == 1, f.explain()
