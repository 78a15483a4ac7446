"""Calls that cannot be replayed: Python goes another way, or an operation raises. Nothing has been
changed then, neither tensors nor generators, and the call is another program's, or runs eagerly.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable

import pytest

import flambeau as torch
from flambeau.compiler.compiled import Compiled
from flambeau.nn import functional as F

pytestmark = pytest.mark.usefixtures("strict")


def alike(make: Callable, turns: Iterable, backend: str = "inductor") -> Compiled:
    """Hold ``make()``, a function and the state it changes, against the same compiled: what each
    turn's call returns or raises, the state and the random generator after it."""
    (eager, ours), (function, theirs) = make(), make()
    compiled = torch.compile(function, backend=backend)
    states = [torch.manual_seed(3).get_state()] * 2
    for turn in turns:
        told = []
        for place, f in enumerate((eager, compiled)):
            torch.set_rng_state(states[place])
            try:
                told.append(f(*turn))
            except Exception as error:
                told.append(f"{type(error).__name__}: {error}")
            states[place] = torch.get_rng_state()
        want, got = told
        if isinstance(want, str):
            assert want == got
        else:
            torch.testing.assert_close(got, want, equal_nan=True)
        torch.testing.assert_close(theirs, ours)
        assert torch.equal(*states)
    return compiled


def stream(length: int = 24) -> list[tuple[torch.Tensor]]:
    return [(torch.full((3,), (k * 7 % 11) / 5 - 1),) for k in range(length)]


@pytest.mark.parametrize("backend", ["inductor", "eager"])
def test_each_way_through_an_if_has_a_program(backend: str) -> None:
    def make() -> tuple[Callable, list]:
        w = torch.ones(2)

        def f(x: torch.Tensor) -> tuple:
            w.mul_(0.5).add_(x.sum())
            y = x * torch.rand(3) if w.sum() > 0 else x - 1
            if (y > 0.3).any():
                y = y + 1
            return y, w.sum().item()

        return f, [w]

    c = alike(make, stream(), backend)
    assert 2 <= len(c.variants) <= 4 and not c.eager
    assert backend == "eager" or "an `if` that depends on elements" in str(c.explain())


def test_a_training_step_that_skips_what_is_not_finite() -> None:
    def make() -> tuple[Callable, list]:
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Dropout(0.5))
        opt = torch.optim.Adam(net.parameters(), 0.1)

        def f(x: torch.Tensor) -> torch.Tensor:
            opt.zero_grad()
            loss = net(x).square().mean()
            if not loss.isfinite():
                return loss.detach()
            loss.backward()
            opt.step()
            return loss.detach()

        return f, list(net.parameters())

    xs = [torch.ones(2, 3), torch.ones(2, 3), torch.full((2, 3), float("inf"))] * 4
    c = alike(make, [(x,) for x in xs])
    assert len(c.variants) <= 4 and not c.eager


def test_too_many_ways_run_eagerly() -> None:
    def make() -> tuple[Callable, list]:
        def f(x: torch.Tensor) -> tuple:
            count = 0
            while x.norm() > 1:
                x, count = x / 2, count + 1
            return x, count

        return f, []

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        c = alike(make, [(torch.full((2,), 1.5**k),) for k in range(28)])
    assert c.given_up and not c.variants


def test_what_is_raised_leaves_everything_as_eager_does() -> None:
    def make() -> tuple[Callable, list]:
        x, h = torch.zeros(3), torch.ones(3)

        def f(scale: torch.Tensor) -> torch.Tensor:
            x.add_(1)
            d = torch.distributions.Normal(torch.zeros(()), scale)
            h.mul_(2)
            later = torch.distributions.Normal(torch.zeros(()), scale * 2 - x.sum())
            return d.rsample() + later.scale + h

        return f, [x, h]

    c = alike(make, [(torch.tensor(float(s)),) for s in (9, 8, 9, 9, -1, 9, 2, 1, 99)])
    assert c.variants


OPERATIONS = {
    "poisson": (torch.poisson, [1.0, 2.0], [1.0, -2.0]),
    "one_hot": (lambda i: F.one_hot(i, 4), [1, 2], [1, 4]),
    "one_hot of a negative number": (lambda i: F.one_hot(i, 4), [1, 2], [1, -1]),
    "take_along_dim": (lambda i: torch.take_along_dim(torch.arange(3.0), i, 0), [1, -2], [1, 7]),
    "cholesky": (lambda v: torch.linalg.cholesky(torch.diag(v)), [1.0, 2.0], [1.0, -2.0]),
    "inverse": (lambda v: torch.linalg.inv(torch.diag(v)), [1.0, 2.0], [1.0, 0.0]),
    "solve": (lambda v: torch.linalg.solve(torch.diag(v), v), [1.0, 2.0], [1.0, 0.0]),
    "quantile": (lambda q: torch.quantile(torch.arange(4.0), q), [0.5, 0.25], [0.5, 1.5]),
    "weighted covariance": (
        lambda w: torch.cov(torch.arange(8.0).reshape(4, 2) ** 2, aweights=w),
        [1.0, 2.0], [1.0, -2.0],
    ),
    "gaussian_nll_loss": (
        lambda v: F.gaussian_nll_loss(torch.ones(2), torch.zeros(2), v), [1.0, 2.0], [1.0, -2.0],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_that_refuses_its_elements(name: str) -> None:
    operation, good, bad = OPERATIONS[name]

    def make() -> tuple[Callable, list]:
        x = torch.zeros(2)

        def f(given: torch.Tensor) -> tuple:
            x.add_(1)
            y = operation(given)
            x.mul_(2)
            return y, x * 3

        return f, [x]

    turns = [(torch.tensor(v),) for v in (good, good, good, bad, good)]
    assert alike(make, turns).variants


def test_every_generator_is_set_back() -> None:
    def make() -> tuple[Callable, list]:
        g = torch.Generator().manual_seed(5)

        def f(x: torch.Tensor, i: torch.Tensor) -> torch.Tensor:
            drawn = torch.rand(3, generator=g)
            return torch.arange(4)[i] * drawn[0] + x // i + torch.empty(1).normal_(generator=g)

        return f, []

    x = torch.tensor([6])
    alike(make, [(x, torch.tensor([i])) for i in (1, 2, 1, 0, 2, -1, 7, 3, 1)])


def test_indices_that_are_drawn_late_are_looked_at_when_they_are_there() -> None:
    def f(x: torch.Tensor, table: torch.Tensor) -> tuple:
        noise = torch.normal(x[:4], 1.0)  # draws by a tensor's elements: after other draws
        i = table[torch.randperm(4)]
        return x[i] + noise, i

    alike(lambda: (f, []), [(torch.arange(5.0) * k, torch.tensor([3, 1, 4, 0])) for k in range(5)])
