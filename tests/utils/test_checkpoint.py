"""Checkpointing and hooks on saved tensors: the same gradients, and what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import flambeau as torch
from flambeau.autograd.graph import (
    allow_mutation_on_saved_tensors,
    disable_saved_tensors_hooks,
    register_multi_grad_hook,
    save_on_cpu,
    saved_tensors_hooks,
)
from flambeau.utils.checkpoint import CheckpointError, checkpoint, checkpoint_sequential

F = torch.nn.functional


class Block(torch.nn.Module):
    """Dropout, a norm, attention-like products: nodes of every kind."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(6, 6)
        self.norm = torch.nn.LayerNorm(6)
        self.calls = 0

    def forward(self, x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        self.calls += 1
        h = F.dropout(F.gelu(self.inner(x)), 0.5) * scale
        a, b = self.norm(x + h).chunk(2, -1)
        return torch.cat([a * b.exp(), (a @ b.mT).softmax(-1) @ b], -1).tanh()


def gradients(reentrant: bool | None) -> list[torch.Tensor]:
    torch.manual_seed(3)
    block = Block()
    x = torch.randn(2, 4, 6, requires_grad=True)
    out = block(x) if reentrant is None else checkpoint(block, x, use_reentrant=reentrant)
    after = torch.rand(3)
    out.square().sum().backward()
    assert block.calls == (1 if reentrant is None else 2)
    return [out, after, torch.rand(3), x.grad, *(p.grad for p in block.parameters())]


@pytest.mark.parametrize("reentrant", [False, True])
def test_results_gradients_and_random_numbers_are_those_of_the_plain_call(reentrant: bool) -> None:
    for plain, again in zip(gradients(None), gradients(reentrant), strict=True):
        assert torch.equal(plain, again)


def test_intermediate_results_are_not_kept() -> None:
    kept: list[torch.Tensor] = []

    def function(x: torch.Tensor) -> torch.Tensor:
        y = x.exp()
        kept.append(y)
        return y.sin().sum()

    x = torch.zeros(4, requires_grad=True)
    out = checkpoint(function, x, use_reentrant=False)
    held = out.grad_fn.next_functions[0][0].saved
    assert not any(isinstance(part, torch.Tensor) for part in held)
    out.backward()
    assert len(kept) == 2 and x.grad.tolist() == [float(np.cos(np.float32(1)))] * 4


def test_grad_second_order_and_retain_graph_work_without_reentry() -> None:
    x = torch.tensor([0.5, 2.0], requires_grad=True)
    y = checkpoint(lambda t, power: (t**power).sum(), x, use_reentrant=False, power=3)
    (g,) = torch.autograd.grad(y, x, create_graph=True)
    np.testing.assert_allclose(g.detach().numpy(), 3 * x.detach().numpy() ** 2, rtol=1e-6)
    (h,) = torch.autograd.grad(g.sum(), x, retain_graph=True)
    np.testing.assert_allclose(h.numpy(), 6 * x.detach().numpy(), rtol=1e-6)
    y.backward()
    np.testing.assert_allclose(x.grad.numpy(), g.detach().numpy())


def test_nested_and_custom_functions() -> None:
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, x: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx: object, g: torch.Tensor) -> torch.Tensor:
            return g * 3 * ctx.saved_tensors[0] ** 2

    def inner(x: torch.Tensor) -> torch.Tensor:
        return Cube.apply(x.sin())

    def outer(x: torch.Tensor) -> torch.Tensor:
        return checkpoint(inner, x.exp(), use_reentrant=False).cos()

    grads = []
    for function in (lambda x: inner(x.exp()).cos(), outer):
        x = torch.tensor([0.1, -0.4], requires_grad=True)
        if function is outer:
            checkpoint(function, x, use_reentrant=False).sum().backward()
        else:
            function(x).sum().backward()
        grads.append(x.grad)
    assert torch.equal(*grads)


def test_autocast_is_as_it_was() -> None:
    layer, seen = torch.nn.Linear(3, 3), []

    def function(x: torch.Tensor) -> torch.Tensor:
        y = layer(x)
        seen.append(y.dtype)
        return y.exp()

    with torch.autocast("cpu"):
        y = checkpoint(function, torch.ones(1, 3, requires_grad=True), use_reentrant=False)
    y.float().sum().backward()
    assert seen == [torch.bfloat16] * 2


def test_a_function_that_changes_is_refused() -> None:
    def flipping(first: object, second: object) -> object:
        calls = iter((first, second))
        return lambda x: next(calls)(x)

    x = torch.ones(3, requires_grad=True)
    y = checkpoint(flipping(torch.exp, lambda t: t[:2].exp()), x, use_reentrant=False)
    with pytest.raises(CheckpointError, match="different metadata") as error:
        y.sum().backward()
    assert "tensor at position 0" in str(error.value) and "[2]" in str(error.value)
    y = checkpoint(flipping(lambda t: t.exp().sin(), torch.exp), x, use_reentrant=False)
    with pytest.raises(CheckpointError, match="different number of tensors") as error:
        y.sum().backward()
    assert "during forward: 2" in str(error.value)
    unchecked = flipping(torch.exp, lambda t: t.exp()[:2])
    checkpoint(unchecked, x, use_reentrant=False, determinism_check="none").sum().backward()


def test_what_else_is_refused() -> None:
    x = torch.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="incompatible with .grad"):
        torch.autograd.grad(checkpoint(torch.exp, x, use_reentrant=True).sum(), x)
    with pytest.raises(RuntimeError, match="none of output has requires_grad"):
        checkpoint(lambda t: t.detach(), x, use_reentrant=True).sum().backward()
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad"):
        checkpoint(torch.exp, torch.ones(3), use_reentrant=True)
    with pytest.warns(UserWarning, match="use_reentrant parameter should be passed"):
        checkpoint(torch.exp, x)
    with pytest.raises(ValueError, match="Unexpected keyword arguments: foo"):
        checkpoint(torch.exp, x, use_reentrant=True, foo=1)
    with pytest.raises(ValueError, match="determinism_check should be one of"):
        checkpoint(torch.exp, x, use_reentrant=False, determinism_check="often")
    y = checkpoint(torch.exp, x, use_reentrant=False).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        y.backward()


@pytest.mark.parametrize("reentrant", [False, True])
def test_sequential(reentrant: bool) -> None:
    net = torch.nn.Sequential(*[torch.nn.Linear(3, 3) for _ in range(5)])
    x = torch.ones(2, 3, requires_grad=True)
    net(x).sum().backward()
    wanted, x.grad = x.grad, None
    checkpoint_sequential(net, 2, x, use_reentrant=reentrant).sum().backward()
    assert torch.equal(x.grad, wanted)


# ---- hooks on saved tensors ----------------------------------------------------------------------


def test_hooks_get_what_is_saved_and_what_they_return_is_used() -> None:
    packed = []

    def pack(t: torch.Tensor) -> tuple:
        packed.append((t.is_leaf, tuple(t.shape)))
        return ("kept", t.detach().numpy().copy())

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    with saved_tensors_hooks(pack, lambda held: torch.from_numpy(held[1]) * 10):
        y = (x * x).sum()
    z = x.exp().sum()
    y.backward()
    assert packed == [(True, (2,))] * 2
    assert x.grad.tolist() == [20.0, 40.0]
    z.backward()
    with saved_tensors_hooks(lambda t: 3, lambda t: t):
        y = x.exp().sum()
    with pytest.raises(TypeError, match="expected to be a Tensor"):
        y.backward()


def test_only_the_inner_hooks_count() -> None:
    calls = []
    x = torch.ones(2, requires_grad=True)

    def hooks(name: str) -> saved_tensors_hooks:
        return saved_tensors_hooks(lambda t: calls.append(name) or t, lambda t: t)

    with hooks("outer"):
        with hooks("inner"):
            x.exp()
        x.sin()
    assert calls == ["inner", "outer"]


def test_copies_allow_changes_in_place() -> None:
    for scope in (save_on_cpu(), save_on_cpu(pin_memory=True), allow_mutation_on_saved_tensors()):
        x = torch.tensor([1.0, 2.0], requires_grad=True)
        with scope:
            y = x.exp()
            z = y * y
        with torch.no_grad():
            y.zero_()
        z.sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp([2.0, 4.0]), rtol=1e-6)


def test_hooks_can_be_forbidden() -> None:
    hooks = save_on_cpu()
    with disable_saved_tensors_hooks("not here"), pytest.raises(RuntimeError, match="not here"):
        hooks.__enter__()
    with hooks:
        pass


def test_a_hook_on_several_gradients() -> None:
    a, b = (torch.ones(2, requires_grad=True) for _ in range(2))
    seen: list = []
    handle = register_multi_grad_hook(
        [a, b], lambda grads: seen.append([g.tolist() for g in grads])
    )
    (a * 2 + b * 3).sum().backward()
    assert seen == [[[2.0, 2.0], [3.0, 3.0]]]
    handle.remove()
    (a * b).sum().backward()
    assert len(seen) == 1
    register_multi_grad_hook([a, b], lambda g: seen.append(g), mode="any")
    (a * b).sum().backward()
    assert len(seen) == 2


def test_no_warning_in_the_recommended_use() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = torch.ones(2, requires_grad=True)
        checkpoint(torch.exp, x, use_reentrant=False).sum().backward()
