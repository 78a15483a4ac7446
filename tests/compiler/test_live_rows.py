"""Rows that nobody reads are left out, and nothing else changes."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau import nn
from flambeau.compiler import live_rows
from flambeau.compiler.execute import DullExecutor
from flambeau.compiler.graph import Call, Graph, check
from flambeau.nn import functional as F

PRODUCTS = ("mm", "mm_nt", "mm_tn", "linear", "addmm")


@pytest.fixture(autouse=True)
def small_products_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_rows, "LEAST", 1.0)


def captured(f: Callable, *args: torch.Tensor) -> Graph:
    """The graph of ``f``: its second call, so that optimizers have their state."""
    compiled = torch.compile(f, backend="python")
    for _ in range(3):
        compiled(*args)
    return compiled.variants[-1].graph


def operations(graph: Graph) -> float:
    """Floating-point operations of the products with weights."""
    total = 0.0
    for node in graph.nodes:
        if isinstance(node, Call) and node.op.name in PRODUCTS:
            a = node.args[1 if node.op.name == "addmm" else 0]
            inner = a.shape[0] if node.op.name == "mm_tn" else a.shape[-1]
            total += 2.0 * node.outs[0].size * inner
    return total


def run(graph: Graph, seed: int) -> list[np.ndarray]:
    """Outputs, then inputs after the writes, for inputs drawn by ``seed``."""
    rng = np.random.default_rng(seed)
    inputs = [np.abs(rng.standard_normal(v.shape)).astype(v.dtype) for v in graph.inputs]
    outputs = DullExecutor.build(graph)(inputs, [0.5] * graph.scalars)
    return [*outputs, *inputs]


def pruned(graph: Graph) -> Graph:
    """The graph without unread rows, of which it is known that it does the same."""
    made, told = live_rows.pruned(graph)
    check(made)
    assert (made is graph) == (not told)
    for a, b in zip(run(graph, 0), run(made, 0), strict=True):
        tolerance = 1e-9 if a.dtype == np.float64 else 3e-5
        np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance)
    return made


class Block(nn.Module):
    """A transformer's layer."""

    def __init__(self, width: int, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.again = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attend, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, c = x.shape
        parts = self.attend(self.norm(x)).view(b, t, 3, self.heads, c // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.mix(y.transpose(1, 2).reshape(b, t, c))
        return x + self.narrow(F.gelu(self.wide(self.again(x))))


def trained(pick: Any, layers: int = 2) -> Callable:
    torch.manual_seed(0)
    model = nn.Sequential(*(Block(8) for _ in range(layers)), nn.LayerNorm(8))
    head = nn.Linear(8, 3)
    optimizer = torch.optim.SGD([*model.parameters(), *head.parameters()], lr=0.1, momentum=0.9)

    def step(x: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss = head(model(x)[pick]).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    return step


ALL = slice(None)
LAYER = 3 * 12 * 8 * 8 * 2  # forward, two products back; operations of a layer for each row


@pytest.mark.parametrize(
    ("pick", "part"),
    [
        ((ALL, slice(None, None, 2)), 1 / 2),
        ((ALL, slice(1, None, 3)), 1 / 3),
        ((ALL, -1), 1 / 6),
        ((ALL, 0), 1 / 6),
        ((ALL, slice(-1, None)), 1 / 6),
        ((ALL, slice(2, 4)), 1 / 3),
    ],
    ids=str,
)
def test_the_last_layer_works_on_the_rows_that_are_asked_for(pick: Any, part: float) -> None:
    graph = captured(trained(pick), torch.randn(5, 6, 8))
    less = operations(graph) - operations(pruned(graph))
    # All of the last layer but its first product.
    assert less == pytest.approx(LAYER * 9 / 12 * 30 * (1 - part))


def test_few_rows_less_are_not_worth_while() -> None:
    graph = captured(trained((ALL, slice(None, -1))), torch.randn(5, 6, 8))
    assert pruned(graph) is graph


def test_forward_alone() -> None:
    torch.manual_seed(0)
    model, head = nn.Sequential(Block(8), Block(8)), nn.Linear(8, 300)
    for parameter in (*model.parameters(), *head.parameters()):
        parameter.requires_grad_(False)
    graph = captured(lambda x: head(model(x))[:, -1].softmax(-1), torch.randn(5, 6, 8))
    less = operations(graph) - operations(pruned(graph))
    assert less == 5 * 5 * (LAYER / 3 * 9 / 12 + 2 * 8 * 300)


def test_rows_that_somebody_reads_are_kept() -> None:
    first, second = nn.Linear(8, 8), nn.Linear(8, 8)
    x = torch.randn(4, 6, 8)

    def also_whole(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = first(x).tanh()
        return second(h)[:, ::2] * 2, h

    graph = captured(also_whole, x)
    assert operations(pruned(graph)) == operations(graph) * 3 / 4

    def picked_twice(x: torch.Tensor) -> torch.Tensor:
        h = second(first(x).tanh())
        return h[:, ::2] + h[:, 1::2]

    graph = captured(picked_twice, x)
    assert pruned(graph) is graph


def test_a_matrix_of_as_many_rows_as_a_batch_has_tokens() -> None:
    """(4, 6) as rows of one number, and as a matrix of 4 rows."""
    weight, x = torch.randn(6, 6), torch.randn(4, 6)
    pruned(captured(lambda x: ((x @ weight).unsqueeze(2) * 2)[:, ::2] @ torch.ones(1, 5), x))
    square = torch.randn(24, 24)  # as many rows as 4 prompts of 6 tokens
    pruned(captured(lambda x: (square @ x.view(24, 1) @ torch.ones(1, 5)).view(4, 6, 5)[:, -1], x))


def test_a_gradient_of_zero_under_a_fraction_is_not_zero() -> None:
    w = torch.randn(5, 5, requires_grad=True)

    def f(x: torch.Tensor) -> torch.Tensor:
        y = (x.view(12, 5) @ w).view(3, 4, 5)
        g = torch.zeros(3, 4, 5)
        g[:, ::2] = y[:, ::2]
        return (1 / (g + 1)).view(12, 5) @ w + (g - x).view(12, 5) + (2 - g).view(12, 5)

    pruned(captured(f, torch.randn(3, 4, 5)))


def test_infinities_that_nobody_reads() -> None:
    """The result is eager's; the gradient does not count what nobody reads."""
    layer = nn.Linear(4, 4)
    x = torch.randn(3, 2, 4)
    x[:, 1] = math.inf

    def f(x: torch.Tensor) -> torch.Tensor:
        layer.zero_grad()
        loss = layer(x)[:, ::2].square().sum()
        loss.backward()
        return loss

    expected = f(x).clone()
    assert layer.weight.grad.isnan().all()
    compiled = torch.compile(f)
    for _ in range(3):
        torch.testing.assert_close(compiled(x), expected)
    if compiled.explain().programs and hasattr(compiled.explain().programs[0], "plan"):
        assert layer.weight.grad.isfinite().all()


def _random_program(rng: random.Random) -> tuple[Callable, torch.Tensor]:
    """Layers that work row by row, in between what does not, and pieces of the result."""
    batch, tokens, width = rng.choice([1, 3]), rng.choice([2, 5, 6]), 4
    numbers = {"dtype": torch.float64}  # so that rounding is no excuse
    weights = [torch.randn(width, width, requires_grad=True, **numbers) for _ in range(6)]
    kinds = [rng.choice([*range(10), 0, 1, 3, 4, 5, 8]) for _ in range(6)]
    choices = [(ALL, slice(None, None, 2)), (ALL, -1), (ALL, slice(1, 2)), (ALL, 0), slice(0, 1)]
    picks = rng.choices(choices, k=rng.choice([1, 1, 2]))

    def f(x: torch.Tensor) -> torch.Tensor:
        h = x
        for w, kind in zip(weights, kinds, strict=True):
            before = h
            if kind < 3:
                h = h @ w
            elif kind == 3:
                h = F.linear(h, w, w[0])
            elif kind == 4:
                h = F.layer_norm(h, (width,), w[0], w[1])
            elif kind == 5:
                h = h + F.gelu(h) * before
            elif kind == 6:
                h = h + h.mean(1, keepdim=True)
            elif kind == 7:
                h = h * h.flip(1)
            elif kind == 8:
                h = h.view(-1, width).tanh().view(x.shape) * w[1]
            else:
                h = torch.where(h > 0, h, 0.5 * before)
        return sum(h[pick].square().mean() for pick in picks)

    def step(x: torch.Tensor) -> list[torch.Tensor]:
        x = x.detach().requires_grad_()
        loss = f(x)
        loss.backward()
        grads = [torch.zeros(()) if w.grad is None else w.grad for w in weights]
        for w in weights:
            w.grad = None
        return [loss.detach(), x.grad, *grads]

    return step, torch.randn(batch, tokens, width, **numbers)


def test_random_programs() -> None:
    rng, changed = random.Random(0), 0
    for seed in range(60):
        torch.manual_seed(seed)
        f, x = _random_program(rng)
        graph = captured(f, x)
        changed += pruned(graph) is not graph
    assert changed >= 15


@pytest.mark.usefixtures("strict")
def test_as_machine_code_and_in_words() -> None:
    pytest.importorskip("llvmlite", reason="llvmlite is not installed")
    x = torch.randn(5, 6, 8)
    eager = trained((ALL, slice(None, None, 2)))
    compiled = torch.compile(trained((ALL, slice(None, None, 2))))
    for _ in range(5):
        torch.testing.assert_close(compiled(x), eager(x), rtol=1e-5, atol=1e-6)
    told = compiled.explain()
    assert "of 5x6 rows, only 3 of 6 are read" in told
    assert "linear" in told.graph and told.live.count("[5, 3, 8]") > told.graph.count("[5, 3, 8]")


def test_rows_of_what_is_made_as_a_whole_are_picked_from_it() -> None:
    x, w = torch.randn(8, 16), torch.randn(16, 16)
    graph = captured(lambda x, w: (x.cumsum(0)[::2] * 2, (x @ w)[::2].tanh()), x, w)
    made = pruned(graph)
    assert operations(made) == operations(graph) / 2
