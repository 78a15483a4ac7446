"""Random numbers on a GPU."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import numpy as np
import philox
import pytest

import flambeau as torch
from flambeau.nn import functional as F


def test_the_outputs_are_philox() -> None:
    # The known answers of the generator's authors (Random123's kat_vectors, philox4x32 of 10
    # rounds): all zeros, and all ones.
    words = philox.outputs(0, np.zeros(1, np.uint64), np.zeros(1, np.uint64))
    assert [hex(w) for w in words[0]] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]
    ones = np.full(1, 2**64 - 1, np.uint64)
    words = philox.outputs(2**64 - 1, ones, ones)
    assert [hex(w) for w in words[0]] == ["0x408f276d", "0x41c83b0e", "0xa20bc7c6", "0x6d5451fd"]


@pytest.mark.parametrize("count", [1, 255, 256, 1023, 1025, 4096, 5000, 9999])
@pytest.mark.parametrize("side", [1, 2, 4])
def test_no_output_is_drawn_twice(count: int, side: int) -> None:
    count = -(-count // side) * side
    blocks = min(-(-count // 256), 4)
    thread, block, within = philox.places(count, side, blocks, 4)
    assert len(set(zip(thread.tolist(), block.tolist(), within.tolist()))) == count
    assert block.max() * 4 < philox.kernels.spent(count, blocks, 4)


MAKERS: dict[str, Callable] = {
    "rand": lambda **k: torch.rand(3, 400, device="cuda", **k),
    "randn": lambda **k: torch.randn(1200, device="cuda", **k),
    "randn double": lambda **k: torch.randn(1200, device="cuda", dtype=torch.float64, **k),
    "bfloat16": lambda **k: torch.rand(1200, device="cuda", dtype=torch.bfloat16, **k),
    "complex": lambda **k: torch.randn(1200, device="cuda", dtype=torch.complex64, **k),
    "randint": lambda **k: torch.randint(-5, 9, (1200,), device="cuda", **k),
    "randperm": lambda **k: torch.randperm(1200, device="cuda", **k),
    "like": lambda **k: torch.rand_like(torch.ones(1200, device="cuda"), **k),
    "normal": lambda **k: torch.normal(torch.zeros(1200, device="cuda"), 2.0, **k),
    "uniform_": lambda **k: torch.empty(1200, device="cuda").uniform_(-1, 1, **k),
    "normal_": lambda **k: torch.empty(1200, device="cuda").normal_(1, 2, **k),
    "exponential_": lambda **k: torch.empty(1200, device="cuda").exponential_(2, **k),
    "geometric_": lambda **k: torch.empty(1200, device="cuda").geometric_(0.3, **k),
    "cauchy_": lambda **k: torch.empty(1200, device="cuda").cauchy_(**k),
    "log_normal_": lambda **k: torch.empty(1200, device="cuda").log_normal_(**k),
    "random_": lambda **k: torch.empty(1200, device="cuda", dtype=torch.int64).random_(**k),
    "bernoulli_": lambda **k: torch.empty(1200, device="cuda").bernoulli_(0.3, **k),
    "bernoulli": lambda **k: torch.bernoulli(torch.full((1200,), 0.3, device="cuda"), **k),
    "multinomial": lambda **k: torch.multinomial(torch.ones(1200, device="cuda"), 600, **k),
    "poisson": lambda **k: torch.poisson(torch.full((1200,), 5.0, device="cuda"), **k),
}


@pytest.mark.parametrize("name", MAKERS)
def test_the_same_seed_gives_the_same_numbers(name: str) -> None:
    make = MAKERS[name]
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first, second = make(), make()
    assert torch.equal(torch.get_rng_state(), before)  # nothing was drawn on the CPU
    assert first.is_cuda and not torch.equal(first.cpu(), second.cpu())
    torch.cuda.manual_seed(7)
    assert torch.equal(make().cpu(), first.cpu())
    state = torch.cuda.get_rng_state()
    third = make()
    torch.cuda.set_rng_state(state)
    assert torch.equal(make().cpu(), third.cpu())
    own = torch.Generator(device="cuda").manual_seed(7)
    assert torch.equal(make(generator=own).cpu(), first.cpu())
    twin = own.clone_state()
    assert torch.equal(make(generator=twin).cpu(), make(generator=own).cpu())
    assert torch.equal(make(generator=pickle.loads(pickle.dumps(own))).cpu(),
                       make(generator=own).cpu())  # fmt: skip
    with pytest.raises(RuntimeError, match="Expected a 'cuda' device type for generator but found"):
        make(generator=torch.Generator())


def _moments(x: torch.Tensor) -> tuple[float, float]:
    x = x.cpu().double()
    return x.mean().item(), x.var().item()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_moments(dtype: torch.dtype) -> None:
    torch.manual_seed(3)
    n = 20000
    empty = torch.empty(n, device="cuda", dtype=dtype)
    for make, mean, variance in (
        (lambda: empty.uniform_(-1, 3), 1, 16 / 12),
        (lambda: torch.randn(n, device="cuda", dtype=dtype), 0, 1),
        (lambda: empty.normal_(2, 3), 2, 9),
        (lambda: empty.exponential_(0.5), 2, 4),
        (lambda: empty.geometric_(0.25), 4, 12),
        (lambda: empty.bernoulli_(0.3), 0.3, 0.21),
        (lambda: empty.log_normal_(0, 0.5), 1.1331, 0.3647),
    ):
        got = _moments(make())
        assert abs(got[0] - mean) < 5 * (variance / n) ** 0.5 + 0.01 * abs(mean)
        assert abs(got[1] - variance) < 0.12 * variance
    assert abs(empty.cauchy_(1, 2).cpu().double().median().item() - 1) < 0.15


def test_ranges_and_evenness() -> None:
    torch.manual_seed(5)
    x = torch.rand(50000, device="cuda").cpu()
    assert 0 <= x.min() and x.max() < 1
    counts = torch.histc(x, 50, 0, 1)
    assert ((counts - 1000) ** 2 / 1000).sum() < 90  # chi square of 49 degrees: 85 is 1 in 1000
    x = torch.randint(-3, 4, (70000,), device="cuda").cpu()
    counts = torch.bincount(x + 3, minlength=7)
    assert len(counts) == 7 and ((counts - 10000) ** 2 / 10000).sum() < 25
    wide = torch.randint(0, 2**40, (5000,), device="cuda").cpu().double()
    assert 0 <= wide.min() and abs(wide.mean() / 2**39 - 1) < 0.05
    x = torch.randn(50000, device="cuda", dtype=torch.float64).cpu()
    below = torch.stack([(x < q).double().mean() for q in (-2.0, -1.0, 0.0, 1.0, 2.0)])
    torch.testing.assert_close(
        below,
        torch.tensor([0.02275, 0.15866, 0.5, 0.84134, 0.97725], dtype=torch.float64),
        atol=0.008,
        rtol=0,
    )
    neighbours = (x[1:] * x[:-1]).mean().item()
    assert abs(neighbours) < 0.02


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.bool])
def test_integers_of_other_dtypes(dtype: torch.dtype) -> None:
    x = torch.randint(0, 2, (4000,), device="cuda", dtype=dtype)
    assert x.dtype is dtype and abs(x.cpu().double().mean().item() - 0.5) < 0.05
    x = torch.empty(4000, device="cuda", dtype=dtype).random_()
    assert x.cpu().unique().numel() >= (2 if dtype is torch.bool else 120)


def test_a_permutation_has_every_number_once() -> None:
    order = torch.randperm(3000, device="cuda")
    assert torch.equal(order.cpu().sort()[0], torch.arange(3000))
    assert not torch.equal(order.cpu(), torch.arange(3000))
    assert torch.randperm(0, device="cuda").shape == (0,)


def test_multinomial_follows_its_weights() -> None:
    torch.manual_seed(1)
    weights = torch.tensor([[1.0, 0.0, 3.0], [2.0, 2.0, 4.0]], device="cuda")
    found = torch.multinomial(weights, 8000, replacement=True).cpu()
    shares = torch.stack([torch.bincount(row, minlength=3) / 8000 for row in found])
    wanted = torch.tensor([[0.25, 0, 0.75], [0.25, 0.25, 0.5]])
    torch.testing.assert_close(shares, wanted, atol=0.02, rtol=0)
    ones = torch.cat([torch.multinomial(weights, 1) for _ in range(300)], 1).cpu()
    assert 1 not in ones[0] and abs((ones[0] == 0).float().mean().item() - 0.25) < 0.1
    both = torch.multinomial(weights[1], 3).cpu()
    assert torch.equal(both.sort()[0], torch.arange(3))
    with pytest.raises(RuntimeError, match="inf"):
        torch.multinomial(torch.tensor([1.0, -1.0], device="cuda"), 1)
    with pytest.raises(RuntimeError, match="without replacement"):
        torch.multinomial(weights, 4)


@pytest.mark.parametrize("count", [1, 7, 8, 4096 * 3])
def test_dropout(count: int) -> None:
    torch.manual_seed(2)
    x = torch.ones(count, device="cuda", requires_grad=True)
    y = F.dropout(x, 0.25)
    assert y.is_cuda and set(y.cpu().tolist()) <= {0.0, float(np.float32(1 / 0.75))}
    y.sum().backward()
    assert torch.equal(x.grad.cpu(), y.detach().cpu())
    if count > 1000:
        assert abs((y == 0).float().mean().item() - 0.25) < 0.02
    torch.manual_seed(2)
    assert torch.equal(F.dropout(x, 0.25).cpu(), y.cpu())


def test_dropout_of_channels_and_others() -> None:
    torch.manual_seed(4)
    x = torch.ones(6, 40, 3, 3, device="cuda")
    y = F.dropout2d(x, 0.5).cpu()
    assert torch.equal(y, y[:, :, :1, :1].expand_as(y)) and 0 < (y == 0).float().mean() < 1
    assert F.alpha_dropout(x, 0.5, True).is_cuda and F.feature_alpha_dropout(x, 0.5, True).is_cuda
    assert F.gumbel_softmax(x[:, :, 0, 0], hard=True).sum().item() == 6
    y = F.rrelu(-x, 0.1, 0.3, training=True).cpu()
    assert -0.3 <= y.min() and y.max() <= -0.1 and y.unique().numel() > 100
    q = torch.randn(1, 2, 8, 4, device="cuda")
    assert F.scaled_dot_product_attention(q, q, q, dropout_p=0.3).is_cuda


def test_memory_order_decides_where_numbers_go() -> None:
    g = torch.Generator("cuda").manual_seed(1)
    plain = torch.rand(4, 6, device="cuda", generator=g).cpu()
    turned = torch.empty(6, 4, device="cuda").T
    turned.uniform_(generator=g.manual_seed(1))
    assert torch.equal(turned.cpu().T.reshape(4, 6), plain)


def test_generators() -> None:
    g = torch.Generator(device="cuda:0")
    assert isinstance(g, torch.Generator) and g.device == torch.device("cuda", 0)
    assert g.initial_seed() == torch.Generator().initial_seed() and g.get_offset() == 0
    torch.rand(10, device="cuda", generator=g)
    assert g.get_offset() == 4 and g.get_state().dtype is torch.uint8
    assert g.get_state().shape == (16,) and g.get_state().device.type == "cpu"
    g.set_offset(16)
    state = copy.deepcopy(g.get_state())
    a = torch.rand(3, device="cuda", generator=g)
    assert torch.equal(torch.rand(3, device="cuda", generator=g.set_state(state)).cpu(), a.cpu())
    with pytest.raises(RuntimeError, match="offset must be a multiple of 4"):
        g.set_offset(3)
    with pytest.raises(RuntimeError, match="wrong size"):
        g.set_state(torch.zeros(5056, dtype=torch.uint8))
    with pytest.raises(RuntimeError, match="Expected a 'cpu' device type for generator but found"):
        torch.rand(3, generator=g)
    assert g.seed() == g.initial_seed()


def test_fork_rng_gives_the_state_back() -> None:
    torch.manual_seed(0)
    with torch.random.fork_rng():
        a = torch.rand(3, device="cuda")
    assert torch.equal(torch.rand(3, device="cuda").cpu(), a.cpu())


def test_what_cannot_be_drawn() -> None:
    x = torch.empty(3, device="cuda")
    with pytest.raises(RuntimeError, match="normal expects std >= 0.0"):
        x.normal_(0, -1)
    with pytest.raises(RuntimeError, match="exponential_ expects lambda > 0.0"):
        x.exponential_(-1)
    with pytest.raises(RuntimeError, match="p_in <= 1"):
        torch.bernoulli(torch.tensor([2.0], device="cuda"))
    with pytest.raises(RuntimeError, match="'from' to be less than 'to'"):
        torch.randint(3, 3, (2,), device="cuda")
    assert torch.rand(0, 3, device="cuda").shape == (0, 3)
