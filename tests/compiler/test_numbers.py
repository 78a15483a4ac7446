"""Python numbers that change from call to call: inputs of one program, and never wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau import nn
from flambeau.nn import functional as F
from flambeau.optim import lr_scheduler as schedulers

CALLS = 12


def program(f: Callable) -> Callable:
    return torch.compile(f, backend="python")


def same(make: Callable[[Callable], Callable[[int], Any]]) -> list[Any]:
    """The compiled functions that ``make(wrap)`` wraps; what it returns was called with 0 to 11."""
    wrapped: list[Any] = []

    def noting(f: Callable) -> Callable:
        wrapped.append(program(f))
        return wrapped[-1]

    eager, compiled = make(lambda f: f), make(noting)
    for i in range(CALLS):
        want, got = eager(i), compiled(i)
        for a, b in zip(want, got, strict=True):
            assert type(a) is type(b)
            np.testing.assert_allclose(
                *[v.detach().numpy() if isinstance(v, torch.Tensor) else v for v in (a, b)],
                rtol=1e-5, atol=1e-6,
            )  # fmt: skip
    return wrapped


def argument(wrap: Callable) -> Callable:
    w = torch.arange(3.0, requires_grad=True)

    def loss(x: torch.Tensor, k: float, *, t: int) -> tuple:
        half = math.cos(k * math.pi) / 2
        y = (1 - half) * x * w + k - t / 4
        return y, half, k > -1, (k - x).double() / (2 + k)

    f = wrap(loss)

    def call(i: int) -> tuple:
        w.grad = None
        y, *rest = f(torch.ones(2, 3), i / 7, t=i)
        y.sum().backward()
        return (y, w.grad, *rest)

    return call


def attribute(wrap: Callable) -> Callable:
    class Annealed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.beta = 0.0
            self.options = {"slope": 0.1, "name": "a"}
            self.seen = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.seen += 1
            return x * self.beta + self.options["slope"] / self.seen

    net = Annealed()
    f = wrap(net)

    def call(i: int) -> tuple:
        net.beta = i / 3
        net.options["slope"] = 0.1 * i
        return f(torch.arange(3.0)), net.seen

    return call


def settings(wrap: Callable) -> Callable:
    """Numbers that operations have as settings."""
    w = torch.linspace(-2, 2, 6, requires_grad=True)

    def f(x: torch.Tensor, k: float) -> tuple:
        y = (x * w).clamp(-k, 1 + k) + w.clamp(max=k) + torch.clip(w, k, None).square()
        z = torch.full((6,), k).lerp(y, k / 4) + x.new_full((6,), -k) + w.clone().fill_(k)
        z = z.masked_fill(x > 0.5, k) * (w.abs() + 1) ** k
        return z, z.detach().clamp_(0, k), torch.full((2,), 2 * k, dtype=torch.float64)

    g = wrap(f)

    def call(i: int) -> tuple:
        w.grad = None
        z, *rest = g(torch.linspace(-1, 1.5, 6), 0.3 + i / 4)
        z.sum().backward()
        return (z, w.grad, *rest)

    return call


def closure(wrap: Callable) -> Callable:
    k, x = 0.5, torch.arange(5, dtype=torch.int64)
    f = wrap(lambda: (x * k, (x + 1.5) < k, torch.tensor(k) + x, torch.ones(2).double() * k))

    def call(i: int) -> tuple:
        nonlocal k
        k = 0.3 * i
        return f()

    return call


def warmed_up(wrap: Callable) -> Callable:
    """A learning rate set within the step, in nanoGPT's way."""
    p = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([p], 0.5)

    def step(x: torch.Tensor, it: int) -> torch.Tensor:
        lr = 0.1 * (it + 1) / 5 if it < 5 else 0.1 * 0.9**it
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.zero_grad()
        loss = (p * x).square().sum()
        loss.backward()
        optimizer.step()
        return loss

    f = wrap(step)
    return lambda i: (f(torch.ones(3) * (i + 1), i), p, optimizer.param_groups[0]["lr"])


@pytest.mark.parametrize("make", [argument, attribute, closure, settings, warmed_up])
def test_a_number_that_changes_is_an_input(make: Callable) -> None:
    for f in same(make):
        variants = getattr(f, "_compiled", f).variants
        assert 0 < len(variants) <= 3, f.explain()


def steered(wrap: Callable) -> Callable:
    """Numbers that Python looks at: as an index, in a format, by a C function, as a size."""
    f = wrap(lambda x, k: (x[k % 3], f"{k}" == "2", math.hypot(k, 1), x.new_zeros(k), [k] * 2 == k))
    return lambda i: f(torch.arange(3.0), i)


def decided(wrap: Callable) -> Callable:
    f = wrap(lambda x, k: (x * k if k > 2.0 else x + min(k, 1.0), bool(k)))
    return lambda i: f(torch.arange(3.0), float(i % 4))


def halves(wrap: Callable) -> Callable:
    f = wrap(lambda x, k: ((x.bfloat16() * k).float(), x.half() - k, F.dropout(x, k / 20)))

    def call(i: int) -> tuple:
        torch.manual_seed(i)
        return f(torch.randn(5), 0.1 + i)

    return call


def options(wrap: Callable) -> Callable:
    p = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([p], 0.1)

    def step(x: torch.Tensor, beta: float) -> torch.Tensor:
        optimizer.param_groups[0]["betas"] = (beta, 0.99)
        optimizer.zero_grad()
        loss = (p * x).square().sum()
        loss.backward()
        optimizer.step()
        return loss

    f = wrap(step)

    def call(i: int) -> tuple:
        out = f(torch.ones(3), 0.5 + i / 40)
        assert all(type(b) is float for b in optimizer.param_groups[0]["betas"])
        return out, p

    return call


@pytest.mark.filterwarnings("ignore:flambeau.compile")
@pytest.mark.parametrize("make", [steered, decided, halves, options])
def test_what_python_decides_by_a_number_is_guarded(make: Callable) -> None:
    same(make)


def test_a_number_of_another_kind_is_captured_anew() -> None:
    f = program(lambda x, k: x * k)
    x = torch.arange(3)
    for k in (1.0, 2.0, 3, 4, True, 5.0, np.float32(2), 6):
        assert torch.equal(f(x, k), x * k) and f(x, k).dtype == (x * k).dtype


def test_no_symbol_is_left_behind() -> None:
    box: dict[str, Any] = {"k": 1.0, "last": 0.0}

    def remember(x: torch.Tensor, k: float) -> torch.Tensor:
        box["last"] = k * box["k"]
        box["text"] = "seen"
        return x * box["last"]

    f = program(remember)
    for i in range(6):
        box["k"] = float(i)
        assert f(torch.ones(1), i + 0.5).item() == i * (i + 0.5) == box["last"]
        assert type(box["last"]) is float and type(box["k"]) is float


SCHEDULES = {
    "LambdaLR": lambda o: schedulers.LambdaLR(o, lambda e: 0.9**e),
    "StepLR": lambda o: schedulers.StepLR(o, 3),
    "OneCycleLR": lambda o: schedulers.OneCycleLR(o, 0.2, total_steps=30),
    "CosineAnnealingWarmRestarts": lambda o: schedulers.CosineAnnealingWarmRestarts(o, 4),
    "ReduceLROnPlateau": lambda o: schedulers.ReduceLROnPlateau(o, patience=1),
    "SequentialLR": lambda o: schedulers.SequentialLR(
        o, [schedulers.ConstantLR(o, 0.1, 3), schedulers.ExponentialLR(o, 0.9)], [3]
    ),
    "ChainedScheduler": lambda o: schedulers.ChainedScheduler(
        [schedulers.ConstantLR(o, 0.1, 3), schedulers.ExponentialLR(o, 0.9)]
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("inside", [True, False], ids=["inside", "outside"])
def test_a_schedule_is_stepped(name: str, inside: bool) -> None:
    def make(wrap: Callable) -> Callable:
        torch.manual_seed(0)
        net = nn.Linear(3, 2)
        optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
        schedule = SCHEDULES[name](optimizer)
        plateau = name == "ReduceLROnPlateau"

        def step(x: torch.Tensor) -> torch.Tensor:
            optimizer.zero_grad()
            loss = net(x).square().mean()
            loss.backward()
            optimizer.step()
            if inside:
                schedule.step(loss) if plateau else schedule.step()
            return loss

        f = wrap(step)

        def call(i: int) -> tuple:
            loss = f(torch.full((2, 3), 1.0 + i % 3))
            if not inside:
                schedule.step(loss.item()) if plateau else schedule.step()
            return loss, net.weight, optimizer.param_groups[0]["lr"], *schedule.get_last_lr()

        return call

    (f,) = same(make)
    assert len(f.variants) == 1 and not f.eager, f.explain()
