"""Units that go through their rows together: which do, and that the results are the same."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flambeau as torch
from flambeau import nn
from flambeau.compiler import chains, native, own_product
from flambeau.compiler.chains import Access, _row_step
from flambeau.compiler.scalar import ordered
from flambeau.nn import functional as F

pytest.importorskip("llvmlite", reason="llvmlite is not installed")
pytestmark = pytest.mark.usefixtures("strict")


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> list[native.Program]:
    """The programs that are made, as they are made."""
    made: list[native.Program] = []
    build = native.Program.__init__

    def kept(self: native.Program, *args: Any, **kwargs: Any) -> None:
        build(self, *args, **kwargs)
        made.append(self)

    monkeypatch.setattr(native.Program, "__init__", kept)
    return made


def chained(program: native.Program) -> list[list[str]]:
    """What the units of each chain are: "product" or "kernel"."""
    found = {id(u.chain): u.chain for u in program.plan.units if u.chain is not None}
    return [
        ["product" if u.kernel is None else "kernel" for u in chain.units]
        for chain in found.values()
    ]


def same(f: Callable, *args: torch.Tensor, tolerance: float = 2e-5) -> None:
    """``f`` compiled gives what it gives eagerly, three times."""
    compiled = torch.compile(f)
    for _ in range(3):
        mine = [a.clone() for a in args]
        theirs = [a.clone() for a in args]
        expected, got = f(*theirs), compiled(*mine)
        expected = expected if isinstance(expected, (list, tuple)) else [expected]
        got = got if isinstance(got, (list, tuple)) else [got]
        for a, b in zip([*expected, *theirs], [*got, *mine], strict=True):
            torch.testing.assert_close(b, a, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("rows", "widths"),
    [(4, (16, 32, 8)), (213, (5, 3, 17)), (97, (300, 33, 1)), (7, (1, 40, 64)), (96, (16, 16, 16))],
)
def test_products_with_what_is_between(
    programs: list[native.Program], rows: int, widths: tuple[int, int, int]
) -> None:
    """Widths that fill no blocks, more terms than are worked on at a time, rows that fill none."""
    a, b, c = widths
    torch.manual_seed(0)
    first, second = torch.randn(a, b), torch.randn(c, b)

    def f(x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm((torch.tanh(x @ first) @ second.T).exp(), (c,))

    same(f, torch.randn(rows, a) * 0.1, tolerance=2e-4)
    assert chained(programs[-1]) == [["product", "kernel", "product", "kernel"]]
    (chain,) = {u.chain for u in programs[-1].plan.units}
    assert len(chain.inner) == 3  # all but the result


@pytest.mark.parametrize(
    ("shape", "dtype"), [((5, 11, 24), torch.float32), ((2, 3, 9, 24), torch.float64)]
)
def test_a_training_step(
    programs: list[native.Program], shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    """Forward and backward of a block, sums over rows among them, and the same weights after."""
    torch.manual_seed(0)

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(24)
            self.wide, self.narrow = nn.Linear(24, 50), nn.Linear(50, 24)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.narrow(F.gelu(self.wide(self.norm(x))))

    models = [nn.Sequential(Block(), Block()).to(dtype)]
    models.append(copy.deepcopy(models[0]))
    x = torch.randn(shape, dtype=dtype)
    losses = []
    for model, ways in zip(models, (lambda f: f, torch.compile)):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        def step(model: nn.Module = model, optimizer: Any = optimizer) -> torch.Tensor:
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        step = ways(step)
        losses.append([step().item() for _ in range(4)])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    for mine, theirs in zip(models[1].parameters(), models[0].parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
    longest = max(chained(programs[-1]), key=len)
    least = 3 if dtype == torch.float32 else 2  # gelu of float64 is a call
    assert min(map(longest.count, ("product", "kernel"))) >= least, chained(programs[-1])


@pytest.mark.parametrize(
    ("activation", "divisions"),
    [
        (F.gelu, 1),
        (lambda x: F.gelu(x, approximate="tanh"), 1),
        (F.silu, 1),
        (F.mish, 3),
    ],
    ids=["gelu", "gelu_tanh", "silu", "mish"],
)
def test_slopes_are_computed_with_their_activations(
    programs: list[native.Program], activation: Callable, divisions: int
) -> None:
    torch.manual_seed(0)
    first, second = nn.Linear(7, 13), nn.Linear(13, 5)

    def f(x: torch.Tensor) -> list[torch.Tensor]:
        x = x.detach().requires_grad_()
        loss = second(activation(first(x))).square().sum()
        return list(torch.autograd.grad(loss, [x, *first.parameters(), *second.parameters()]))

    x = torch.randn(131, 7)
    x[0], x[1], x[2, 0], x[3, 0] = 0.0, -0.0, 1e4, -1e4
    same(f, x, tolerance=1e-4)
    kernels = [u.kernel for u in programs[-1].plan.units if u.kernel is not None]
    nodes = [{id(n): n for t in k.terms() for n in ordered(t)}.values() for k in kernels]
    counts = [sum(n.operation == "divide" for n in each) for each in nodes]
    assert [n for n in counts if n] == [divisions]  # once, and forward
    assert counts[0] == divisions


def test_zeros_of_both_signs_stay_two_numbers() -> None:
    compiled = torch.compile(lambda x: ((x + 1) * 0.0, (x + 1) * -0.0, (x + 1) * float("nan")))
    x = torch.arange(300.0)
    for _ in range(3):
        positive, negative, none = compiled(x)
    assert not positive.signbit().any()
    assert negative.signbit().all()
    assert none.isnan().all()


def test_an_array_that_others_read_is_whole(programs: list[native.Program]) -> None:
    """What a chain makes and a product over the rows reads has all of its rows."""
    w = torch.randn(8, 8)

    def f(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = torch.relu(x @ w)
        y = torch.tanh(h @ w)
        return y, h.T @ y

    same(f, torch.randn(60, 8))
    assert ["product", "kernel", "product", "kernel"] in chained(programs[-1])


def test_rows_that_meet_other_rows_are_apart(programs: list[native.Program]) -> None:
    """A cumulative neighbour, a flip, a transpose: what reads another row waits for all of them."""
    w = torch.randn(12, 12)
    for mix in (
        lambda h: h[1:] + h[:-1],
        lambda h: h.flip(0),
        lambda h: h.T,
        lambda h: h - h.mean(0),
        lambda h: h.roll(3, 0),
        lambda h: h[torch.arange(11, -1, -1)],
    ):
        same(lambda x, mix=mix: torch.tanh(mix(torch.relu(x @ w)) + 1) @ w, torch.randn(12, 12))


def test_memory_that_is_written_to(programs: list[native.Program]) -> None:
    """A chain that writes to an input in place, row by row, and one that may not join."""
    w = torch.randn(16, 16)

    def rows(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        h = x @ w
        y.add_(h)
        return torch.tanh(y) @ w

    def others(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        h = x @ w
        z = y[40:] @ w
        y[:40].add_(h)
        return z + y[:40]

    same(rows, torch.randn(40, 16), torch.randn(40, 16))
    same(others, torch.randn(40, 16), torch.randn(80, 16))

    def weights(x: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(x @ v)
        v.mul_(0.5)
        return h @ v

    same(weights, torch.randn(16, 16), torch.randn(16, 16))


def test_columns_of_a_wider_array(programs: list[native.Program]) -> None:
    """Slices of columns are parts of the same row."""
    w, u = torch.randn(12, 36), torch.randn(12, 7)

    def f(x: torch.Tensor) -> torch.Tensor:
        q, k, v = (x @ w).split(12, 1)
        return (torch.sigmoid(q) * k + v) @ u

    same(f, torch.randn(30, 12))
    assert chained(programs[-1]) == [["product", "kernel", "product"]]


def test_a_call_of_python_is_not_passed(programs: list[native.Program]) -> None:
    """Units after a call that may fail stay after it."""
    w = torch.randn(6, 6)

    def f(x: torch.Tensor) -> torch.Tensor:
        h = x @ w
        s = torch.linalg.inv(torch.eye(6) + h[:6] * 0.01)
        return torch.tanh(h @ s)

    same(f, torch.randn(20, 6))


def test_weights_that_are_too_large_stay_outside(
    programs: list[native.Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "PANELS", 64 * 64 * 4)
    w = [torch.randn(48, 48) * 0.1 for _ in range(4)]

    def f(x: torch.Tensor) -> torch.Tensor:
        for v in w:
            x = torch.tanh(x @ v)
        return x

    same(f, torch.randn(31, 48))
    assert chained(programs[-1]) == [["product", "kernel"]] * 4


@pytest.mark.parametrize("sizes", [(7, 5, 30), (64, 20, 257), (13, 48, 1000), (100, 17, 40)])
def test_terms_that_threads_share_out(sizes: tuple[int, int, int]) -> None:
    """x^T y over many rows: each thread adds up some of them."""
    m, n, k = sizes
    torch.manual_seed(0)
    same(lambda x, y: x.T @ y, torch.randn(k, m), torch.randn(k, n), tolerance=2e-4)


def test_what_is_shared_out() -> None:
    """By cost: few columns and rows and many terms, rows in plenty, and a wide result."""
    sizes = own_product.Sizes
    assert sizes("float", 64, 64, 5248, (1, 64), (64, 1)).shared(2) == "terms"
    assert sizes("float", 5248, 64, 64, (64, 1), (64, 1)).shared(2) == "tasks"
    assert sizes("float", 12, 4096, 512, (512, 1), (4096, 1)).shared(2) == "blocks"


def test_steps_of_rows() -> None:
    """Where rows of several dimensions are as far apart as those of one."""
    assert _row_step((4, 8), (80, 10)) == 10
    assert _row_step((4, 8), (90, 10)) == 0
    assert _row_step((4, 1, 8), (80, 5, 10)) == 10
    assert _row_step((8,), (-3,)) == _row_step((8,), (0,)) == _row_step((1,), (7,)) == 0
    array: Any = None
    assert Access(array, False, 10, 0, 9).is_local and Access(array, False, 10, 2, 4).is_local
    assert not Access(array, False, 10, 5, 10).is_local
    assert not Access(array, False, 10, -1, 4).is_local and not Access(array, False).is_local
