"""Dual tensors: tangents of results against formulas, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as torch
from flambeau.autograd import forward_ad as fwad

X = torch.tensor([0.5, -1.0, 2.0])
V = torch.tensor([1.0, 0.5, -2.0])


def test_tangents_follow_the_chain_rule() -> None:
    with fwad.dual_level():
        dual = fwad.make_dual(X, V)
        primal, tangent = fwad.unpack_dual(dual)
        assert torch.equal(primal, X) and torch.equal(tangent, V)
        y = (dual.sin() * dual).cumsum(0)
        out = fwad.unpack_dual(y)
        assert not out.primal.requires_grad and not out.tangent.requires_grad
        wanted = ((X.cos() * X + X.sin()) * V).cumsum(0)
        np.testing.assert_allclose(out.tangent.numpy(), wanted.numpy(), rtol=1e-5)
        other = fwad.make_dual(X + 1, 2 * V)
        both = fwad.unpack_dual(dual * other + 3).tangent
        np.testing.assert_allclose(both.numpy(), (V * (X + 1) + 2 * V * X).numpy(), rtol=1e-5)
        assert fwad.unpack_dual(X).tangent is None
        assert fwad.unpack_dual(y > 0).tangent is None
    assert fwad.unpack_dual(dual).tangent is None


def test_a_module_with_dual_parameters() -> None:
    layer = torch.nn.Linear(3, 2)
    weight, bias = layer.weight.detach(), layer.bias.detach()
    with fwad.dual_level():
        dual = fwad.make_dual(weight, torch.ones(2, 3))
        out = fwad.unpack_dual(torch.nn.functional.linear(X, dual, bias)).tangent
    np.testing.assert_allclose(out.numpy(), [X.sum().item()] * 2, rtol=1e-5)


def test_what_is_refused() -> None:
    with pytest.raises(RuntimeError, match="no level exists"):
        fwad.make_dual(X, V)
    with pytest.raises(RuntimeError, match="Dual level must be a positive number"):
        fwad.exit_dual_level()
    with fwad.dual_level():
        with pytest.raises(RuntimeError, match="Nested forward mode AD"):
            fwad.enter_dual_level()
        with pytest.raises(ValueError, match="primal to be floating point"):
            fwad.make_dual(torch.tensor([1]), V)
        with pytest.raises(RuntimeError, match="shape of its primal"):
            fwad.make_dual(X, V[:2])
