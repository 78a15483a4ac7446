"""Activations: values against plain formulas, gradients against finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest

import flambeau as torch
from flambeau import _config
from flambeau.autograd import gradcheck, gradgradcheck
from flambeau.nn import functional as F


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def softplus(x):
    return max(x, 0) + math.log1p(math.exp(-abs(x)))


def elu(x, alpha):
    return x if x > 0 else alpha * math.expm1(x)


#: name -> (function of tensors, formula of one number)
CASES = {
    "relu": (F.relu, lambda x: max(x, 0)),
    "relu6": (F.relu6, lambda x: min(max(x, 0), 6)),
    "gelu": (F.gelu, lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2)))),
    "gelu tanh": (
        lambda x: F.gelu(x, approximate="tanh"),
        lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    ),
    "silu": (F.silu, lambda x: x * sigmoid(x)),
    "mish": (F.mish, lambda x: x * math.tanh(softplus(x))),
    "elu": (F.elu, lambda x: elu(x, 1)),
    "elu 1.5": (lambda x: F.elu(x, 1.5), lambda x: elu(x, 1.5)),
    "celu": (lambda x: F.celu(x, 0.5), lambda x: x if x > 0 else 0.5 * math.expm1(x / 0.5)),
    "selu": (F.selu, lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772)),
    "softplus": (F.softplus, softplus),
    "softplus 2": (lambda x: F.softplus(x, 2.0), lambda x: softplus(2 * x) / 2),
    "logsigmoid": (F.logsigmoid, lambda x: -softplus(-x)),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.1), lambda x: x if x > 0 else 0.1 * x),
    "hardtanh": (F.hardtanh, lambda x: min(max(x, -1), 1)),
    "hardsigmoid": (F.hardsigmoid, lambda x: min(max(x + 3, 0), 6) / 6),
    "hardswish": (F.hardswish, lambda x: x * min(max(x + 3, 0), 6) / 6),
    "hardshrink": (F.hardshrink, lambda x: x if abs(x) > 0.5 else 0),
    "softshrink": (F.softshrink, lambda x: math.copysign(max(abs(x) - 0.5, 0), x)),
    "tanhshrink": (F.tanhshrink, lambda x: x - math.tanh(x)),
    "softsign": (F.softsign, lambda x: x / (1 + abs(x))),
    "threshold": (lambda x: F.threshold(x, 1.0, 7.0), lambda x: x if x > 1 else 7),
    "rrelu": (F.rrelu, lambda x: x if x > 0 else x * (1 / 8 + 1 / 3) / 2),
}
POINTS = np.concatenate([np.linspace(-7.3, 7.4, 41), [1e-4, -1e-4]])


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_values(name, dtype):
    function, formula = CASES[name]
    x = torch.tensor(POINTS).to(getattr(torch, dtype))
    want = [formula(v) for v in x.double().tolist()]
    tolerance = {"float64": 1e-12, "float32": 1e-6, "bfloat16": 8e-3}[dtype]
    np.testing.assert_allclose(function(x).double().numpy(), want, tolerance, tolerance)
    assert function(x).dtype is x.dtype


@pytest.mark.parametrize("name", [n for n in CASES if n != "softsign"])
@pytest.mark.parametrize("compiled", [True, False])
def test_large_arrays_give_what_small_ones_give(name, compiled):
    function, _ = CASES[name]
    x = torch.randn(150_001, generator=torch.Generator().manual_seed(1)) * 3
    with _config.override(compiled_kernels=compiled):
        large = function(x)
    np.testing.assert_allclose(large[-500:].numpy(), function(x[-500:]).numpy(), 1e-5, 1e-6)


@pytest.mark.parametrize("name", CASES)
def test_gradients_to_second_order(name):
    function, _ = CASES[name]
    x = torch.tensor([[-4.3, -1.2, -0.7], [0.31, 0.8, 5.1]], dtype=torch.float64).T
    x.requires_grad_()
    assert gradcheck(function, (x,))
    assert gradgradcheck(function, (x,))


@pytest.mark.parametrize("name", CASES)
def test_odd_inputs(name):
    function, _ = CASES[name]
    assert function(torch.empty(0, 3)).shape == (0, 3)
    assert function(torch.tensor(-0.5)).shape == ()
    strided = torch.randn(4, 6)[:, ::2]
    np.testing.assert_array_equal(function(strided).numpy(), function(strided.clone()).numpy())
    if name not in ("threshold", "hardshrink"):
        assert torch.isnan(function(torch.tensor([math.nan])))[0]


def test_relu_stops_even_infinite_gradients():
    x = torch.tensor([-1.0, 0.0, -0.0, 2.0, math.nan], requires_grad=True)
    F.relu(x).backward(torch.full((5,), math.inf))
    assert x.grad.tolist() == [0, 0, 0, math.inf, math.inf]


@pytest.mark.parametrize(
    "function",
    [F.relu, F.relu6, F.silu, F.mish, F.elu, F.selu, F.celu, F.leaky_relu, F.hardtanh,
     F.hardsigmoid, F.hardswish, F.rrelu],
)  # fmt: skip
def test_in_place(function):
    x = torch.randn(3, 5)
    want, y = function(x), x.clone()
    assert function(y, inplace=True) is y
    assert torch.equal(y, want)
    leaf = torch.randn(3, requires_grad=True)
    function(leaf * 1, inplace=True).sum().backward()
    twin = leaf.detach().requires_grad_()
    function(twin).sum().backward()
    np.testing.assert_allclose(leaf.grad.numpy(), twin.grad.numpy())


def test_prelu_has_one_slope_or_one_a_channel():
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    for n in (1, 3):
        weight = torch.rand(n, dtype=torch.float64, requires_grad=True)
        y = F.prelu(x, weight)
        w = weight.detach().numpy().reshape(1, n, 1)
        np.testing.assert_allclose(
            y.detach().numpy(), np.where(x.detach() > 0, x.detach(), w * x.detach().numpy())
        )
        assert gradcheck(F.prelu, (x, weight))
    with pytest.raises(RuntimeError, match="Mismatch of parameter numbers and input channel size"):
        F.prelu(x, torch.rand(2, dtype=torch.float64))


def test_glu():
    x = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    a, b = x.detach().numpy()[:, :3], x.detach().numpy()[:, 3:]
    np.testing.assert_allclose(F.glu(x).detach().numpy(), a / (1 + np.exp(-b)))
    assert gradcheck(F.glu, (x,)) and gradgradcheck(F.glu, (x,))
    with pytest.raises(RuntimeError, match="Halving dimension must be even"):
        F.glu(x, 0).sum() if x.shape[0] % 2 else F.glu(x[:3], 0)


def test_rrelu_draws_slopes_for_what_is_not_positive():
    torch.manual_seed(0)
    x = torch.tensor([-1.0, 2.0, -1.0, -1.0])
    y = F.rrelu(x, training=True)
    np.testing.assert_allclose(y.numpy(), [-0.3271, 2.0, -0.2725, -0.2207], atol=1e-4)


def test_softmax_without_a_dimension_warns():
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        y = F.softmax(torch.randn(2, 3))
    np.testing.assert_allclose(y.sum(1).numpy(), 1, rtol=1e-6)
    with pytest.warns(UserWarning, match="softmin"):
        F.softmin(torch.randn(4))


def test_errors():
    with pytest.raises(NotImplementedError, match="not implemented for 'Long'"):
        F.gelu(torch.tensor([1]))
    with pytest.raises(RuntimeError, match="approximate argument must be either none or tanh"):
        F.gelu(torch.randn(2), approximate="erf")
    with pytest.raises(ValueError, match="min_val cannot be greater than max_val"):
        F.hardtanh(torch.randn(2), 2, 1)
    with pytest.raises(RuntimeError, match="lambda must be greater or equal to 0"):
        F.softshrink(torch.randn(2), -1)
    with pytest.raises(TypeError, match="must be Tensor, not list"):
        F.silu([1.0])
