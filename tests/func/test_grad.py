"""Derivatives of functions: against formulas, against each other, nested, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import flambeau as torch
from flambeau.func import (
    functional_call,
    functionalize,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    replace_all_batch_norm_modules_,
    stack_module_state,
    vjp,
)

A = torch.tensor([[1.0, 2.0, -1.0], [0.5, -1.0, 3.0]])
X = torch.tensor([0.3, -0.7, 1.1])


def close(a: torch.Tensor, b: torch.Tensor) -> None:
    assert a.dtype is b.dtype and not a.requires_grad
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)


def test_grad_and_value() -> None:
    f = lambda x, y: ((x**3).sum() * y, {"twice": 2 * x})
    found, (value, aux) = grad_and_value(f, has_aux=True)(X, 2.0)
    close(found, 6 * X**2)
    close(value, 2 * (X**3).sum())
    close(aux["twice"], 2 * X)
    found, aux = grad(f, has_aux=True)(X, 2.0)
    close(found, 6 * X**2)
    gx, gy = grad(lambda x, y: (x * y).sum(), argnums=(0, -1))(X, X + 1)
    close(gx, X + 1)
    close(gy, X)
    nested = grad(lambda d: (d["a"] * d["b"][0]).sum())({"a": X, "b": [X.exp()]})
    close(nested["a"], X.exp())
    close(nested["b"][0], X)
    assert X.grad is None and not X.requires_grad


def test_derivatives_nest_without_confusing_their_variables() -> None:
    x = torch.tensor(3.0)
    assert grad(grad(grad(lambda v: v**4)))(x).item() == 72
    # d/dx x * (d/dy (x + y) at y = x) = 1, not 2
    assert grad(lambda v: v * grad(lambda y: v + y)(v))(x).item() == 1
    assert grad(lambda v: grad(lambda y: v * y**2)(v))(x).item() == 12  # d/dv 2 v^2


def test_outside_gradients_flow_through() -> None:
    x = X.clone().requires_grad_()
    w = torch.tensor(2.0, requires_grad=True)
    found = grad(lambda v: (w * v**3).sum())(x)
    found.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), (12 * X).numpy(), rtol=1e-5)
    np.testing.assert_allclose(w.grad.item(), (3 * X**2).sum().item(), rtol=1e-5)
    with torch.no_grad():
        inside = grad(lambda v: (v**2).sum())(x)
    assert not inside.requires_grad
    close(inside, 2 * X)


def test_vjp_and_jvp_are_rows_and_columns_of_the_jacobian() -> None:
    f = lambda x: (A @ x.sin(), x.prod())
    (out, product), back = vjp(f, X)
    close(out, A @ X.sin())
    (row,) = back((torch.tensor([1.0, 2.0]), torch.tensor(3.0)))
    close(row, torch.tensor([1.0, 2.0]) @ (A * X.cos()) + 3 * X.prod() / X)
    (again,) = back((torch.tensor([1.0, 2.0]), torch.tensor(3.0)))
    assert torch.equal(row, again)
    v = torch.tensor([1.0, -1.0, 0.5])
    outs, (column, scalar) = jvp(f, (X,), (v,))
    close(outs[1], product)
    close(column, (A * X.cos()) @ v)
    close(scalar, (X.prod() / X * v).sum())
    value, forward = linearize(f, X)
    close(forward(v)[0], column)
    close(forward(2 * v)[0], 2 * column)
    close(value[0], out)
    (u, w), t = jvp(lambda a, b: (a * b, b * 1), (X, X + 1), (v, 0 * v))
    close(t[0], v * (X + 1))
    close(t[1], 0 * v)
    out, back, aux = vjp(lambda x: (x * 2, x + 5), X, has_aux=True)
    close(aux, X + 5)


def test_jacobians_by_rows_and_by_columns() -> None:
    f = lambda x, y: {"a": A @ (x * y), "b": x.sum() * y}
    wanted = {
        "a": (A * (X + 1), A * X),
        "b": (
            (X + 1).unsqueeze(1).expand(3, 3),
            X.sum() * torch.eye(3),
        ),
    }
    for jacobian in (jacrev, jacfwd):
        found = jacobian(f, argnums=(0, 1))(X, X + 1)
        for key, pair in wanted.items():
            for a, b in zip(found[key], pair, strict=True):
                close(a, b.contiguous())
        single, aux = jacobian(lambda x: (x**2, x), has_aux=True)(X)
        close(single, torch.diag(2 * X))
        close(aux, X)
    for size in (1, 2, 5):
        close(jacrev(lambda x: A @ x, chunk_size=size)(X), A)
    close(jacrev(lambda x: x.reshape(1, 3) * 2)(X), (2 * torch.eye(3)).reshape(1, 3, 3))
    close(jacrev(lambda x: torch.ones(2))(X), torch.zeros(2, 3))


def test_hessians() -> None:
    f = lambda x: (x**3).sum() + (A @ x).square().sum()
    wanted = torch.diag(6 * X) + 2 * A.t() @ A
    for made in (hessian(f), jacrev(jacrev(f)), jacfwd(jacfwd(f)), jacrev(jacfwd(f))):
        close(made(X), wanted)
    x = X.clone().requires_grad_()
    hessian(f)(x).diagonal().sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [6, 6, 6], rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: grad(lambda x: x)(X), "return a scalar Tensor, got tensor with 1 dims"),
        (lambda: grad(lambda x: (x.sum(), 1))(X), "return a Tensor, got <class 'tuple'>"),
        (lambda: grad(lambda x: x.sum(), has_aux=True)(X), "should be a tuple"),
        (lambda: grad(lambda x: x.sum(), argnums=2)(X), "only 1 positional inputs"),
        (lambda: grad(lambda x: x.sum(), argnums=(0, 0))(X), "must be unique"),
        (lambda: grad(lambda x: x.sum())(torch.tensor([1, 2])), "floating point"),
        (lambda: vjp(torch.sin, X)[1]((X,)), "Expected pytree structure of cotangents"),
        (lambda: vjp(lambda x: 3, X), "only tensors"),
        (lambda: jvp(torch.sin, X, X), "Expected primals to be a tuple"),
        (lambda: jvp(torch.sin, (X,), ([X],)), "same python structure"),
        (
            lambda: jvp(torch.sin, (X,), (X[:2],)),
            "different size than that of",
        ),
    ],
)
def test_what_is_refused(call: Callable, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        call()


# ---- modules ---------------------------------------


def test_a_module_is_called_with_other_parameters() -> None:
    layer = torch.nn.Linear(3, 2)
    given = {"weight": A * 2, "bias": torch.zeros(2)}
    close(functional_call(layer, given, X), 2 * A @ X)
    close(functional_call(layer, ({"weight": A}, {"bias": torch.ones(2)}), (X,)), A @ X + 1)
    loss = lambda p: functional_call(layer, p, (X,)).sum()
    close(grad(loss)(given)["weight"], X.expand(2, 3).contiguous())
    with pytest.raises(ValueError, match="multiple dictionaries"):
        functional_call(layer, (given, {"bias": X}), X)
    with pytest.raises(RuntimeError, match="Missing key"):
        functional_call(layer, {"weight": A}, X, strict=True)


def test_states_of_modules_are_stacked() -> None:
    models = [torch.nn.BatchNorm1d(2) for _ in range(3)]
    models[1].weight.requires_grad_(False)
    with pytest.raises(RuntimeError, match="same .requires_grad"):
        stack_module_state(models)
    for m in models:
        m.weight.requires_grad_(False)
    parameters, buffers = stack_module_state(models)
    assert parameters["bias"].shape == (3, 2) and parameters["bias"].is_leaf
    assert parameters["bias"].requires_grad and not parameters["weight"].requires_grad
    assert buffers["num_batches_tracked"].tolist() == [0, 0, 0]
    with pytest.raises(RuntimeError, match="at least one model"):
        stack_module_state([])
    models[0].eval()
    with pytest.raises(RuntimeError, match="same training/eval mode"):
        stack_module_state(models)
    with pytest.raises(RuntimeError, match="of the same class"):
        stack_module_state([torch.nn.Linear(1, 1), torch.nn.ReLU()])


def test_batch_norms_forget_what_they_would_write() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    assert replace_all_batch_norm_modules_(net) is net
    assert net[1].running_mean is None and not net[1].track_running_stats
    f = functionalize(lambda x: x.clone().add_(1))
    close(f(X), X + 1)
    with pytest.raises(RuntimeError, match="received invalid argument for remove=all"):
        functionalize(f, remove="all")
