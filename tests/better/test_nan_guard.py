"""The first operation that makes nan or infinity is found, forward or backward. (160016, 4132)"""

from __future__ import annotations

import pytest

import flambeau as torch
from flambeau import nn

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")


def caught(function: object, **options: bool) -> str:
    with pytest.raises(FloatingPointError) as error, torch.nan_guard(**options):
        function()
    return str(error.value)


def test_forward() -> None:
    class Net(nn.Module):
        """A logarithm too many."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
            nn.init.constant_(self.inner[0].weight, -1.0)
            nn.init.zeros_(self.inner[0].bias)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x).log() + 1

    text = caught(lambda: Net()(torch.ones(5, 3)))
    assert "log made -inf of finite numbers: result[0, 0] = -inf" in text
    assert "10 of 10 numbers are not finite" in text
    assert "test_nan_guard.py" in text and "return self.inner(x).log() + 1" in text
    assert "in Net" in text
    assert "float32[5, 2] from 0 to 0, there 0" in text


def test_backward_names_the_forward_line_and_the_branch_not_taken() -> None:
    def program() -> None:
        x = torch.tensor([1.0, 0.0, 4.0], requires_grad=True)
        root = x.sqrt()
        torch.where(x > 0, root, 0.0).sum().backward()

    text = caught(program)
    assert "the gradient of Sqrt made nan of finite numbers" in text and "result[1]" in text
    assert "root = x.sqrt()" in text
    assert "where() or a mask did not take this number" in text

    def right() -> None:
        x = torch.tensor([1.0, 0.0, 4.0], requires_grad=True)
        torch.where(x > 0, torch.where(x > 0, x, 1.0).sqrt(), 0.0).sum().backward()

    with torch.nan_guard():
        right()


def test_the_module_of_a_gradient() -> None:
    class Root(nn.Module):
        """sqrt."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sqrt()

    model = nn.Sequential(nn.Linear(2, 2), Root())
    nn.init.zeros_(model[0].weight)
    nn.init.zeros_(model[0].bias)
    text = caught(lambda: model(torch.ones(1, 2)).sum().backward())
    assert "the gradient of Sqrt made inf" in text and "in Sequential.1 (Root)" in text


def test_what_is_not_finite_already_is_let_through() -> None:
    with torch.nan_guard():
        x = torch.tensor([1.0, torch.nan, torch.inf])
        assert (x + 1).isnan().sum() == 1
        scores = torch.zeros(2, 3).masked_fill(torch.tensor([True, False, True]), -torch.inf)
        assert scores.softmax(1).tolist() == [[0.0, 1.0, 0.0]] * 2
        big = torch.full((3,), 3e38)
        big + 0  # a sum over these would overflow, they do not
        torch.arange(3).sum()
        torch.zeros(0).log()


def test_infinity_alone_may_be_allowed() -> None:
    with torch.nan_guard(allow_inf=True):
        assert torch.zeros(2).log().isinf().all()
    assert "sqrt made nan" in caught(lambda: (-torch.ones(2)).sqrt(), allow_inf=True)


def test_half_precision_overflows() -> None:
    assert "mul made inf" in caught(lambda: torch.full((2,), 6e4, dtype=torch.float16) * 2)
    assert "mul made inf" in caught(lambda: torch.full((2,), 3e38, dtype=torch.bfloat16) * 2)


def test_the_cheap_mode_runs_again_with_the_same_numbers() -> None:
    calls = []

    def loss(scale: float) -> torch.Tensor:
        noise = torch.rand(3)
        calls.append(noise.tolist())
        return (noise * scale - 1).log().sum()

    guard = torch.nan_guard()
    assert guard.run_cheaply(loss, 1e6).isfinite()
    with pytest.raises(FloatingPointError, match="log made nan of finite numbers"):
        guard.run_cheaply(loss, 0.5)
    assert len(calls) == 3 and calls[1] == calls[2]


def test_nothing_is_left_behind() -> None:
    with torch.nan_guard():
        pass
    assert torch.zeros(1).log().isinf()
