"""Optimizers, situation by situation, held against what PyTorch answered (golden.json)."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden import answer, recorded, scenarios

import flambeau

SCENARIOS = scenarios(Path(__file__).parent)
GOLDEN = recorded(Path(__file__).parent)


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name: str) -> None:
    got, wanted = answer(SCENARIOS[name], flambeau), GOLDEN[name]
    assert _to_three_decimals(got, wanted) if name.startswith("about_") else got == wanted


def _to_three_decimals(got: object, wanted: object) -> bool:
    if isinstance(wanted, list):
        assert len(got) == len(wanted)
        return all(map(_to_three_decimals, got, wanted))
    return abs(got - wanted) <= 1e-3 if isinstance(wanted, float) else got == wanted


def test_every_scenario_is_recorded() -> None:
    assert set(GOLDEN) == set(SCENARIOS)


@pytest.mark.parametrize(
    "name", "SGD Adam Adamax NAdam RAdam Adagrad Adadelta ASGD RMSprop Rprop".split()
)
def test_differentiable_steps_have_the_gradient_of_finite_differences(name: str) -> None:
    def end(start: flambeau.Tensor) -> flambeau.Tensor:
        p = start * 1.0
        optimizer = getattr(flambeau.optim, name)([p], lr=0.1, differentiable=True)
        for scale in (1.0, 2.0):
            p.grad = (start * start * scale).sin() + 2
            optimizer.step()
        return (p * p).sum()

    start = flambeau.tensor([0.5, -1.5, 2.0, 0.1], dtype=flambeau.float64, requires_grad=True)
    assert flambeau.autograd.gradcheck(end, (start,))


def test_large_parameters_take_the_same_path_as_their_pieces() -> None:
    """Threads, pieces and layouts change nothing: every element goes its own way."""
    flambeau.manual_seed(0)
    whole = flambeau.randn(3, 100_000)
    grads = flambeau.randn(3, 100_000)
    for turned in (False, True):
        one = flambeau.nn.Parameter(whole.clone().T if turned else whole.clone())
        one.grad = grads.T if turned else grads.clone()
        many = [flambeau.nn.Parameter(row.clone()) for row in whole[:, :50_000]]
        for p, g in zip(many, grads):
            p.grad = g[:50_000].clone()
        for params in ([one], many):
            optimizer = flambeau.optim.AdamW(params, lr=0.1)
            for _ in range(2):
                optimizer.step()
        result = one.detach().T if turned else one.detach()
        for i, p in enumerate(many):
            assert flambeau.equal(result[i, :50_000], p.detach())
        assert not flambeau.equal(result, whole)


@pytest.mark.parametrize("dtype", [flambeau.float16, flambeau.bfloat16], ids=str)
def test_16_bit_parameters_are_computed_in_float32_and_rounded_once(dtype: object) -> None:
    p = flambeau.nn.Parameter(flambeau.linspace(-1, 1, 9).to(dtype))
    wide = flambeau.nn.Parameter(p.detach().float())
    for q in (p, wide):
        q.grad = flambeau.linspace(2, -1, 9).to(dtype).to(q.dtype)
        flambeau.optim.AdamW([q], lr=0.1).step()
    assert p.dtype == dtype
    assert flambeau.equal(p.detach(), wide.detach().to(dtype))


def test_a_step_counts_as_a_write() -> None:
    w = flambeau.nn.Parameter(flambeau.ones(3))
    loss = (w * w).sum()
    w.grad = flambeau.ones(3)
    flambeau.optim.SGD([w]).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("width", [4, 50_000])
def test_complex_parameters_of_any_layout(width: int) -> None:
    flambeau.manual_seed(0)
    start, g = (flambeau.randn(3, width, dtype=flambeau.complex64) for _ in range(2))
    ends = []
    for turned in (False, True):
        p = flambeau.nn.Parameter(start.T.contiguous().T if turned else start.clone())
        p.grad = g.clone()
        optimizer = flambeau.optim.Adam([p], lr=0.1)
        optimizer.step()
        optimizer.step()
        ends.append(p.detach().contiguous())
    assert flambeau.equal(*ends)
    assert not flambeau.equal(ends[0], start)


@pytest.mark.parametrize("size", [1, 1 << 16, (1 << 18) + 1])
def test_a_large_16_bit_parameter_is_cut_like_others(size: int) -> None:
    x = flambeau.arange(float(size)).remainder(7).bfloat16()
    p, wide = flambeau.nn.Parameter(x.clone()), flambeau.nn.Parameter(x.float())
    p.grad, wide.grad = -x, -x.float()
    for q in (p, wide):
        flambeau.optim.SGD([q], lr=0.5).step()
    assert flambeau.equal(p.detach(), wide.detach().bfloat16())
