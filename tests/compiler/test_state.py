"""What compiled functions change, return and draw: tensors that take each other's places, records,
masks, random numbers that depend on tensors, conditions that operations see to."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau import distributions, nn
from flambeau.nn import functional as F


def program(f: Callable) -> Callable:
    return torch.compile(f, backend="python")


def leaves(value: Any) -> list[np.ndarray]:
    if isinstance(value, torch.Tensor):
        return [value.detach().numpy().copy()]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [a for v in value for a in leaves(v)]
    return leaves(vars(value)) if hasattr(value, "__dict__") else [np.array(value)]


def agree(eager: Callable, compiled: Callable, data: Callable, calls: int = 4) -> None:
    """Both give the same, with the same random numbers, and leave the same next one."""
    found = []
    for f in (eager, compiled):
        torch.manual_seed(0)
        found.append([a for _ in range(calls) for a in leaves(f(*data()))] + leaves(torch.rand(2)))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


# ---- tensors in places ---------------------------------------------------------------------


class Carries(nn.Module):
    """Keeps what it computed: in an attribute, a buffer and a list, and the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.state: torch.Tensor | None = None
        self.register_buffer("mean", torch.zeros(3))
        self.last = [torch.zeros(3), torch.zeros(3)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        before = torch.zeros(3) if self.state is None else self.state
        h = self.linear(x + before)
        self.state = h.detach()
        self.mean = self.mean * 0.9 + self.state * 0.1
        self.last[1] = self.last[0]
        self.last[0] = h.detach() * 2
        return h + self.last[1] + self.mean


@pytest.mark.parametrize("backend", ["python", "inductor"])
def test_tensors_that_take_the_place_of_others(backend: str) -> None:
    torch.manual_seed(1)
    nets = [Carries(), Carries()]
    nets[1].load_state_dict(nets[0].state_dict())
    f = torch.compile(nets[1], backend=backend)
    kept = []
    for i in range(8):
        x = torch.randn(3)
        outs = [nets[0](x), f(x)]
        for out in outs:
            out.sum().backward()
        for net, other in ((nets[0], nets[1]),):
            for a, b in zip(
                (outs[0], net.state, net.mean, *net.last, net.linear.weight.grad),
                (outs[1], other.state, other.mean, *other.last, other.linear.weight.grad),
                strict=True,
            ):
                assert torch.allclose(a, b, atol=1e-6)
        kept.append((nets[1].state, nets[0].state))
        if i == 5:  # from outside, too
            for net in nets:
                net.state = torch.ones(3)
    for a, b in kept:
        assert torch.allclose(a, b, atol=1e-6)
    assert not f._compiled.eager and len(f._compiled.variants) <= 4, f.explain()


# ---- results -------------------------------------------------------------------------------


@dataclass
class Output:
    logits: torch.Tensor
    size: int
    scale: float


def test_records_and_ordered_dictionaries_are_returned() -> None:
    def f(x: torch.Tensor, k: float) -> tuple:
        return OrderedDict(b=x * k, a=x), Output(x + k, len(x), k / 2), slice(1, 2)

    c = program(f)
    for k in (1.0, 2.0, 3.0, 4.0):
        x = torch.randn(3, requires_grad=True)
        (table, record, part), (table2, record2, part2) = f(x, k), c(x, k)
        assert type(table2) is OrderedDict and list(table2) == ["b", "a"] and table2["a"] is x
        assert type(record2) is Output and type(record2.scale) is float
        assert torch.equal(table["b"], table2["b"])
        assert torch.equal(record.logits, record2.logits)
        assert (record.scale, part) == (record2.scale, part2)
        (grad,) = torch.autograd.grad(record2.logits.sum() + table2["b"].sum(), x)
        assert torch.allclose(grad, torch.full((3,), 1 + k))
    assert len(c.variants) == 2 and not c.eager, c.explain()


# ---- masks ---------------------------------------------------------------------------------


def masked(x: torch.Tensor, m: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    y = x * 2
    y[m] = 0.5
    y[~m] = v
    y[:, 0][m] = 5
    y[1, y[1] > 0] = -1
    y[1:3, v > 0] = x[0, 0]
    y[y.isnan()] = 0
    return y


def test_writes_by_masks_are_in_the_program() -> None:
    c = program(masked)
    for _ in range(4):
        m, v = torch.rand(7) > 0.5, torch.randn(3, requires_grad=True)
        x = torch.randn(7, 3, requires_grad=True)
        grads = []
        for f in (masked, c):
            out = f(x, m, v)
            grads.append([out, *torch.autograd.grad(out.square().sum(), [x, v])])
        for a, b in zip(*grads, strict=True):
            assert torch.allclose(a, b)
    assert len(c.variants) == 1, c.explain()


def test_a_shape_that_depends_on_a_mask_is_reported() -> None:
    c = program(lambda x: x[x > 0].sum())
    for _ in range(3):
        x = torch.randn(5)
        assert c(x).item() == x[x > 0].sum().item()
    assert "x[mask] has a shape that depends on the mask's elements" in c.explain()


# ---- random numbers ------------------------------------------------------------------------

DRAWS = {
    "multinomial": lambda x: (torch.multinomial(x, 2), torch.multinomial(x, 9, replacement=True)),
    "bernoulli_": lambda x: torch.empty(2, 5).bernoulli_(x),
    "binomial": lambda x: torch.binomial(torch.full_like(x, 7.0), x),
    "rrelu": lambda x: F.rrelu(x - 0.5, training=True),
    "alpha_dropout": lambda x: F.alpha_dropout(x, 0.3, True),
    "trunc_normal_": lambda x: nn.init.trunc_normal_(torch.empty(6), a=-0.5, b=0.5) + x[0, 0],
}


@pytest.mark.parametrize("name", DRAWS)
def test_draws_that_depend_on_tensors(name: str) -> None:
    c = program(DRAWS[name])
    agree(DRAWS[name], c, lambda: (torch.rand(2, 5),))
    assert name == "trunc_normal_" or len(c.variants) == 1, c.explain()


# ---- other functions that were run by Python alone -----------------------------------------


def bag(x: torch.Tensor, mode: str) -> tuple:
    weight = x.clone().requires_grad_()
    index, offsets = torch.randint(0, 6, (9,)), torch.randint(1, 9, (2,)).sort()[0]
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), offsets])
    out = F.embedding_bag(index, weight, starts, mode=mode)
    also = F.embedding_bag(index.view(3, 3), weight, mode=mode)
    return out, *torch.autograd.grad((out.square().sum() + also.square().sum()), [weight])


def ctc(x: torch.Tensor) -> tuple:
    logits = torch.randn(8, 2, 5, requires_grad=True)
    lengths = torch.randint(1, 4, (2,))
    given = logits.log_softmax(-1), torch.randint(1, 5, (2, 3)), torch.tensor([8, 7]), lengths
    loss = F.ctc_loss(*given) + F.ctc_loss(*given[:2], (8, 8), (3, 2), zero_infinity=True)
    return loss, *torch.autograd.grad(loss, [logits])


OTHERS = {
    "embedding_bag sum": lambda x: bag(x, "sum"),
    "embedding_bag mean": lambda x: bag(x, "mean"),
    "embedding_bag max": lambda x: bag(x, "max"),
    "ctc_loss": ctc,
    "linspace": lambda x: (torch.linspace(x[0, 0], x[0, 1], 5), torch.logspace(0, x[0, 0], 3)),
    "func.grad": torch.func.grad(lambda x: (x**3).sum()),
    "func.jacrev": torch.func.jacrev(lambda x: x.sin().sum(0)),
    "func.hessian": torch.func.hessian(lambda x: (x**3).sum()),
    "vmap of grad": torch.func.vmap(torch.func.grad(lambda x: (x**3).sum())),
}


@pytest.mark.parametrize("name", OTHERS)
def test_functions_that_are_in_the_program(name: str) -> None:
    c = program(OTHERS[name])
    agree(OTHERS[name], c, lambda: (torch.rand(6, 4),))
    assert len(c.variants) == 1 and not c.eager, c.explain()


def test_distributions_check_their_arguments_in_the_program() -> None:
    def f(x: torch.Tensor) -> tuple:
        normal = distributions.Normal(x, x)
        drawn = distributions.Categorical(x).sample()
        return normal.rsample(), normal.log_prob(x), drawn, distributions.Beta(x, x).rsample()

    c = program(f)
    agree(f, c, lambda: (torch.rand(3, 4) + 0.1,))
    assert len(c.variants) == 1 and not c.eager, c.explain()
    for _ in range(2):
        with pytest.raises(ValueError, match="to satisfy the constraint"):
            c(-torch.ones(3, 4))
    agree(f, c, lambda: (torch.rand(3, 4) + 0.1,))


def test_muon_steps() -> None:
    def made(wrap: Callable) -> Callable:
        torch.manual_seed(2)
        net = nn.Linear(4, 3, bias=False)
        optimizer = torch.optim.Muon(net.parameters(), lr=0.1)

        def step(x: torch.Tensor) -> torch.Tensor:
            optimizer.zero_grad()
            loss = net(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        return wrap(step)

    c = made(program)
    agree(made(lambda f: f), c, lambda: (torch.randn(5, 4),))
    assert len(c.variants) == 1, c.explain()


def test_requires_grad_may_be_set_within() -> None:
    def toward(x: torch.Tensor) -> torch.Tensor:
        x.requires_grad_()
        (x.sin() * x).sum().backward()
        return x.grad * 2

    def returned(x: torch.Tensor) -> torch.Tensor:
        return (x.requires_grad_() ** 2).sum()

    def for_a_while(x: torch.Tensor) -> torch.Tensor:
        x.requires_grad_()
        (x * x).sum().backward()
        x.requires_grad_(False)
        return x + 1

    def off(x: torch.Tensor) -> torch.Tensor:
        return x.requires_grad_(False) * 2

    for f, begins in ((toward, False), (returned, False), (for_a_while, False), (off, True)):
        compiled = torch.compile(f)
        for k in range(4):
            x, y = [(torch.arange(3.0) + k).requires_grad_(begins) for _ in range(2)]
            want, got = f(x), compiled(y)
            if f is returned:
                want.backward()
                got.backward()
            torch.testing.assert_close(got, want)
            assert (x.requires_grad, x.is_leaf) == (y.requires_grad, y.is_leaf)
            torch.testing.assert_close(y.grad, x.grad)
        assert len(compiled.variants) == 1 and not compiled.eager


def test_layers_may_be_frozen_within() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))

    def step(x: torch.Tensor) -> torch.Tensor:
        net.zero_grad()
        for p in net[0].parameters():
            p.requires_grad_(False)
        net(x).sum().backward()
        for p in net[0].parameters():
            p.requires_grad_()
        return net[1].weight.grad * 1

    compiled = torch.compile(step)
    for k in range(5):
        x = torch.full((2, 4), float(k))
        torch.testing.assert_close(compiled(x), step(x))
        assert net[0].weight.grad is None and net[0].weight.requires_grad
    assert compiled.variants and not compiled.eager
