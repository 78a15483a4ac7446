"""Functions that look at elements: where a GPU has them, and what comes back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import flambeau as torch

F = torch.nn.functional
LINE = torch.tensor([3, 0, 1, 0, 3, 3])
REAL = torch.tensor([0.5, 2.0, 0.5, -1.0])


@pytest.mark.parametrize(
    ("function", "operands"),
    [
        (torch.nonzero, (LINE.reshape(2, 3),)),
        (torch.nonzero, (torch.tensor(2.0),)),
        (lambda x: torch.nonzero(x, as_tuple=True), (LINE.reshape(2, 3),)),
        (torch.argwhere, (LINE,)),
        (torch.masked_select, (LINE, LINE > 1)),
        (lambda x: x[x > 1], (LINE,)),
        (lambda x: torch.unique(x, return_inverse=True, return_counts=True), (LINE,)),
        (lambda x: torch.unique_consecutive(x, return_counts=True), (LINE,)),
        (lambda x: torch.bincount(x, minlength=6), (LINE,)),
        (lambda x: torch.histc(x, 4), (REAL,)),
        (lambda x: torch.histogram(x, 3)[0], (REAL,)),
        (lambda x: torch.repeat_interleave(x), (LINE,)),
        (lambda x, n: torch.repeat_interleave(x, n, 0), (REAL, torch.tensor([2, 0, 1, 3]))),
        (lambda x: torch.unravel_index(x, (2, 3)), (LINE,)),
        (F.one_hot, (LINE,)),
        (lambda x: F.one_hot(x, 5), (LINE,)),
        (torch.linalg.lu, (REAL.reshape(2, 2),)),
        (lambda x: torch.linalg.pinv(x), (REAL.reshape(2, 2),)),
        (torch.linalg.matrix_rank, (REAL.reshape(2, 2),)),
        (F.multilabel_margin_loss, (REAL, torch.tensor([1, 3, -1, 0]))),
        (
            lambda b, v, s: torch.searchsorted(b, v, sorter=s),
            (REAL, torch.tensor([0.7, -2.0]), torch.tensor([3, 0, 2, 1])),
        ),
    ],
)
def test_results_are_those_of_the_cpu_on_the_gpu(function: Callable, operands: tuple) -> None:
    expected = function(*operands)
    found = function(*[x.cuda() for x in operands])
    if isinstance(expected, torch.Tensor):
        expected, found = (expected,), (found,)
    for e, f in zip(expected, found, strict=True):
        assert f.is_cuda and torch.equal(f.cpu(), e)


def test_answers_are_pythons() -> None:
    x = LINE.cuda()
    assert torch.equal(x, x.clone()) and not torch.equal(x, x + 1)
    assert torch.allclose(REAL.cuda(), REAL.cuda()) and len(torch.unique(x)) == 3


def test_gradients_come_through_copies() -> None:
    results = []
    for place in ("cpu", "cuda"):
        a = torch.tensor([[1.0, 2.0], [3.0, 5.0], [0.0, 1.0]], device=place, requires_grad=True)
        torch.linalg.pinv(a).sum().backward()
        assert a.grad.device == a.device
        results.append(a.grad.cpu())
    torch.testing.assert_close(results[1], results[0])


def test_elements_may_go_through_a_function_of_python() -> None:
    x = torch.tensor([1.0, 2.0], device="cuda")
    assert x.apply_(lambda v: v + 1).tolist() == [2.0, 3.0]
