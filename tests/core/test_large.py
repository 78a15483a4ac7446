"""From how many elements an operation leaves NumPy's one call, and what happens just above that."""

import numpy as np
import pytest

import flambeau as torch
from flambeau.core import threads

SIZE = threads.FEW + 5


def drawn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)))


def test_quick_passes_stay_with_numpy_for_longer():
    assert threads.large(np.add) == threads.large(np.sqrt) == threads.MANY
    assert threads.large(np.maximum) == threads.LARGE
    assert threads.large(np.tanh) == threads.large(lambda x: x * x) == threads.FEW


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize(
    "name", ["tanh", "exp", "relu", "sigmoid", "sin", "floor", "isnan", "log_sigmoid", "silu"]
)
def test_above_the_threshold_values_are_those_of_pieces_below_it(name, enabled, monkeypatch):
    if not enabled:
        monkeypatch.setattr(threads, "kernels", None)
    f = getattr(torch, name, None) or getattr(torch.nn.functional, name.replace("_", ""))
    x = drawn(3, SIZE // 3 + 1) * 3
    x[0, :4] = torch.tensor([float("nan"), float("inf"), -float("inf"), -0.0])
    for given in (x, x.T, x[:, ::2], x.double(), x.bfloat16(), drawn(SIZE)):
        expected = torch.cat([f(part) for part in given.split(-(-len(given) // 3))])
        got = f(given)
        assert got.dtype == expected.dtype
        tight = {} if got.dtype == torch.bfloat16 else {"rtol": 2e-6, "atol": 1e-30}
        torch.testing.assert_close(got, expected, equal_nan=True, **tight)


def test_operands_that_broadcast_are_numpys():
    x, row = drawn(20, SIZE // 20), drawn(SIZE // 20)
    got = torch.where(x > 0, row, 1 - row)
    assert torch.equal(torch.logaddexp(x, row)[3], torch.logaddexp(x[3], row))
    assert got.shape == x.shape
    with pytest.raises(RuntimeError, match="must match"):
        torch.logaddexp(x, drawn(7))


def test_in_place_between_the_thresholds():
    x = drawn(SIZE)
    y = x.clone()
    assert y.exp_() is y
    torch.testing.assert_close(y, x.double().exp().float(), rtol=2e-6, atol=0)
    y = x.clone()
    y += x
    assert torch.equal(y, x * 2)
