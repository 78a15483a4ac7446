"""Tensors on a GPU: where they are, how they move, what is computed there."""

from __future__ import annotations

import pytest

import flambeau as torch
from flambeau._devices.rules import formulas
from flambeau._devices.twins import TWINS


def test_a_tensor_says_where_it_is() -> None:
    x = torch.arange(6.0).reshape(2, 3).cuda()
    assert x.is_cuda and not x.is_cpu and x.get_device() == 0
    assert x.device == torch.device("cuda", 0) and str(x.device) == "cuda:0"
    assert x.stride() == (3, 1) and x.T.stride() == (1, 3) and x.T.is_cuda
    assert repr(x[0]) == "tensor([0., 1., 2.], device='cuda:0')"
    assert x.type() == "torch.cuda.FloatTensor"


def test_elements_come_and_go_with_their_gradients() -> None:
    x = torch.randn(3, 4, requires_grad=True)
    y = (x.cuda() * 2).cpu()
    y.sum().backward()
    assert torch.equal(x.grad, torch.full((3, 4), 2.0))


def test_a_product_has_the_gradients_of_the_cpu() -> None:
    x, w = torch.randn(3, 4), torch.randn(4, 5)
    results = []
    for place in ("cpu", "cuda"):
        v = w.detach().to(place).requires_grad_()
        (x.to(place) @ v).tanh().mul(3).sum().backward()
        assert v.grad.device == v.device
        results.append(v.grad.cpu())
    torch.testing.assert_close(results[1], results[0])


def test_numpy_may_not_look() -> None:
    with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
        torch.zeros(2, device="cuda").numpy()


def test_devices_do_not_mix() -> None:
    with pytest.raises(RuntimeError, match="at least two devices, cuda:0 and cpu"):
        torch.zeros(2, device="cuda") + torch.zeros(2)
    assert (torch.ones(2, device="cuda") + torch.tensor(1.0)).tolist() == [2.0, 2.0]


def test_python_reads_numbers() -> None:
    x = torch.tensor([1.5], device="cuda")
    assert x.item() == 1.5 and bool(x > 1) and float(x) == 1.5 and x.tolist() == [1.5]


@pytest.mark.parametrize("make", [torch.zeros, torch.ones, torch.empty])
def test_factories(make: object) -> None:
    x = make(2, 3, device="cuda", dtype=torch.float64)
    assert x.is_cuda and x.shape == (2, 3) and x.dtype is torch.float64
    assert make(0, 3, device="cuda").shape == (0, 3)


@pytest.mark.parametrize("d", [torch.bfloat16, torch.float16])
def test_16_bit_floats(d: torch.dtype) -> None:
    grads = []
    start = torch.randn(5)
    for place in ("cpu", "cuda"):
        x = start.detach().to(place).requires_grad_()
        y = x.to(d)
        (y * y * 0.5 + y + torch.full((5,), 3.0, dtype=d, device=place)).sum().backward()
        grads.append(x.grad.cpu())
    torch.testing.assert_close(*grads, rtol=1e-2, atol=1e-2)
    assert torch.ones(2, dtype=d, device="cuda").tolist() == [1.0, 1.0]


def test_no_operation_has_both_a_formula_and_a_twin() -> None:
    assert not TWINS & set(formulas)
