"""torch._foreach_*: a loop over its namesake."""

from __future__ import annotations

import pytest

import flambeau as torch
from flambeau.functions import foreach

UNARY = foreach._UNARY


def tensors() -> list[torch.Tensor]:
    return [torch.tensor([0.25, 0.5]), torch.tensor(0.75), torch.empty(0)]


@pytest.mark.parametrize("op", UNARY)
def test_of_one_operand(op: str) -> None:
    was = tensors()
    expected = [getattr(torch, op)(t) for t in was]
    got = getattr(torch, f"_foreach_{op}")(was)
    assert isinstance(got, tuple)
    assert all(t.equal(e) for t, e in zip(got, expected, strict=True))
    changed = tensors()
    assert getattr(torch, f"_foreach_{op}_")(changed) is changed
    assert all(t.equal(e) for t, e in zip(changed, expected, strict=True))


@pytest.mark.parametrize("other", [2, 0.5, [1, 2, 3], "tensors", "tensor"], ids=str)
@pytest.mark.parametrize("op", ["add", "sub", "mul", "div", "pow"])
def test_of_two_operands(op: str, other: object) -> None:
    given = {"tensors": [t + 1 for t in tensors()], "tensor": torch.tensor(3.0)}
    other = given.get(other, other) if isinstance(other, str) else other
    each = other if isinstance(other, list) else [other] * 3
    expected = [getattr(t, op)(o) for t, o in zip(tensors(), each, strict=True)]
    changed = tensors()
    assert getattr(torch, f"_foreach_{op}_")(changed, other) is changed
    for got in (getattr(torch, f"_foreach_{op}")(tensors(), other), changed):
        assert all(t.equal(e) for t, e in zip(got, expected, strict=True))


@pytest.mark.parametrize("op", ["maximum", "minimum", "clamp_min", "clamp_max"])
def test_bounds(op: str) -> None:
    larger = op in ("maximum", "clamp_min")
    expected = [0.5, 0.5] if larger else [0.25, 0.5]
    for other in (0.5, [0.5] * 3, [torch.tensor(0.5)] * 3):
        assert getattr(torch, f"_foreach_{op}")(tensors(), other)[0].tolist() == expected
        changed = tensors()
        getattr(torch, f"_foreach_{op}_")(changed, other)
        assert changed[0].tolist() == expected


def test_the_others() -> None:
    a = [torch.tensor([1.0, 2.0]), torch.tensor([3.0])]
    assert torch._foreach_add(a, a, alpha=3)[1].item() == 12.0
    assert torch._foreach_pow(2.0, a)[0].tolist() == [2.0, 4.0]
    assert torch._foreach_addcmul(a, a, a, value=2)[0].tolist() == [3.0, 10.0]
    assert torch._foreach_addcdiv(a, a, a, [1, 2])[1].item() == 5.0
    assert torch._foreach_lerp(a, [t + 1 for t in a], 0.5)[0].tolist() == [1.5, 2.5]
    assert torch._foreach_norm(a, 1)[0].item() == 3.0
    assert [t.item() for t in torch._foreach_max(a)] == [2.0, 3.0]
    copies = torch._foreach_clone(a)
    torch._foreach_zero_(list(copies))
    assert a[0].tolist() == [1.0, 2.0] and copies[0].tolist() == [0.0, 0.0]
    torch._foreach_copy_(copies, a)
    torch._foreach_lerp_(copies, a, 0.25)
    torch._foreach_addcmul_(copies, a, a)
    torch._foreach_addcdiv_(copies, a, a, torch.tensor([1.0, 2.0]))
    assert copies[0].tolist() == [3.0, 7.0] and copies[1].tolist() == [14.0]
    leaf = torch.ones(2, requires_grad=True)
    torch._foreach_mul([leaf], 3)[0].sum().backward()
    assert leaf.grad.tolist() == [3.0, 3.0]


def test_lists_that_do_not_fit() -> None:
    a = [torch.ones(2), torch.ones(3)]
    with pytest.raises(RuntimeError, match="must have at least one tensor"):
        torch._foreach_add([], 1)
    with pytest.raises(RuntimeError, match="same number of elements as scalar list"):
        torch._foreach_add(a, [1])
    with pytest.raises(RuntimeError, match="same number of tensors, got 2 and 1"):
        torch._foreach_sub(a, a[:1])
    with pytest.raises(TypeError, match="must be tuple of Tensors"):
        torch._foreach_sqrt([1.0])
