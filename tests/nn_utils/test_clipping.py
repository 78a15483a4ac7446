"""clip_grad_norm_: its short way over plain arrays does what the recorded way does."""

from __future__ import annotations

import math

import pytest

import flambeau as torch
from flambeau.nn.utils import clip_grad_norm_


def parameters(shapes: list[tuple], dtype: torch.dtype) -> list[torch.nn.Parameter]:
    torch.manual_seed(3)
    made = [torch.nn.Parameter(torch.randn(s, dtype=dtype)) for s in shapes]
    for p in made:
        p.grad = torch.randn_like(p)
    return made


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.complex64])
@pytest.mark.parametrize("most", [0.5, 1e6])
def test_gradients_are_scaled_to_the_norm(dtype: torch.dtype, most: float) -> None:
    ps = parameters([(3, 5), (), (0,), (300, 300)], dtype)
    ps[0].grad = ps[0].grad.t().contiguous().t()  # in another order of memory
    before = [p.grad.clone() for p in ps]
    versions = [p.grad._version for p in ps]
    total = clip_grad_norm_(ps, most)
    norms = [g.abs().to(torch.float64).square().sum().item() for g in before]
    exact = math.sqrt(sum(norms))
    assert total.dtype == before[0].abs().dtype and total.shape == ()
    assert total.item() == pytest.approx(exact, rel=2e-3 if dtype == torch.float16 else 1e-6)
    factor = min(1.0, most / exact)
    for p, g, version in zip(ps, before, versions, strict=True):
        torch.testing.assert_close(p.grad, g * factor)
        assert p.grad._version == version + 1


def test_not_a_number_is_not_hidden() -> None:
    for bad in (math.nan, math.inf):
        p, q = parameters([(2,), (2,)], torch.float32)
        p.grad[0] = bad
        with pytest.raises(RuntimeError, match="is non-finite"):
            clip_grad_norm_([p, q], 1.0, error_if_nonfinite=True)
        clip_grad_norm_([p, q], 1.0)
        assert math.isnan(p.grad[0].item())
        assert q.grad.isnan().all() if math.isnan(bad) else (q.grad == 0).all()


def test_gradients_that_share_memory_go_the_long_way() -> None:
    p = torch.nn.Parameter(torch.ones(2, 3))
    p.grad = torch.full((2, 6), 2.0)[:, ::2]
    assert clip_grad_norm_(p, 1.0).item() == pytest.approx(math.sqrt(24))
    assert p.grad.norm().item() == pytest.approx(1.0)
