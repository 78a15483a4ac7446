"""Errors of the walk back tell the forward line, where no variable holds the tensor, too."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import flambeau as torch


class Squashed(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.tanh()
        y += 1
        return y.sum()


class Curved(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sigmoid()


def told(call: Callable[[], object]) -> str:
    with pytest.raises(RuntimeError) as error:
        call()
    return str(error.value).splitlines()[1]


def test_what_a_module_saved_and_changed() -> None:
    net = Squashed()
    text = told(lambda: net(torch.ones(2, requires_grad=True)).backward())
    assert "tanh saved it (it is called at test_lines.py:14: y = x.tanh())" in text
    assert "add_ changed it (at test_lines.py:15: y += 1)" in text


def test_what_one_line_saved_and_changed() -> None:
    x = torch.ones(3, requires_grad=True)
    text = told(lambda: (x * 2).exp().mul_(2).sum().backward())
    assert text.count("test_lines.py:39: text = told(lambda: (x * 2).exp()") == 2


def test_a_second_time() -> None:
    net = Curved()
    sums = [net(torch.ones(2, requires_grad=True)).sum]

    def twice() -> None:
        for _ in range(2):
            sums[0]().backward()

    text = told(twice)
    assert "sigmoid is called at test_lines.py:21: return x.sigmoid()" in text


def test_a_variable_tells_enough() -> None:
    def changed() -> None:
        y = torch.ones(2, requires_grad=True).exp()
        y.mul_(2)
        y.sum().backward()

    text = told(changed)
    assert "exp saved 'y' (test_lines.py:" in text and "called at" not in text


def test_too_many_lines_tell_nothing() -> None:
    def changed() -> None:
        torch.ones(1).exp()
        torch.ones(1).exp()
        torch.ones(1).exp()
        torch.ones(2, requires_grad=True).exp().mul_(2).sum().backward()

    text = told(changed)
    assert "exp saved it for its gradient" in text
