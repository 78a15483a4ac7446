"""``GradScaler`` within compiled training steps."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import flambeau as torch


@pytest.mark.parametrize("clips", [False, True])
def test_a_scaled_step_is_a_program_and_skips_what_is_not_finite(clips: bool) -> None:
    def make() -> tuple[Callable, torch.nn.Module, torch.amp.GradScaler]:
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
        opt = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
        scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=3)

        def step(x: torch.Tensor) -> torch.Tensor:
            opt.zero_grad()
            loss = net(x).square().mean()
            scaler.scale(loss).backward()
            if clips:
                scaler.unscale_(opt)
                torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            scaler.step(opt)
            scaler.update()
            return loss.detach()

        return step, net, scaler

    (eager, one, first), (step, two, second) = make(), make()
    compiled = torch.compile(step)
    torch.manual_seed(1)
    for k in range(14):
        x = torch.randn(2, 4)
        if k in (7, 8):
            x[0, 0] = float("inf")
        torch.testing.assert_close(compiled(x), eager(x), equal_nan=True)
        assert first.state_dict() == second.state_dict()
        for p, q in zip(one.parameters(), two.parameters()):
            torch.testing.assert_close(q, p)
    assert second.get_scale() == 8.0 and not compiled.eager
