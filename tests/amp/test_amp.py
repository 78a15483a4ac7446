"""autocast: which dtype each operation runs in, nesting, gradients; GradScaler's arithmetic."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable

import numpy as np
import pytest

import flambeau as torch

F = torch.nn.functional


def rand(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.rand(*shape).to(dtype)


# What PyTorch 2.13 answers on a CPU for float32 operands, then for bfloat16 operands.
LOW, KEPT, FULL = ("bfloat16", "bfloat16"), ("float32", "bfloat16"), ("float32", "float32")
DTYPES: dict[str, tuple[tuple[str, str], Callable]] = {
    "mm": (LOW, lambda d: torch.mm(rand(3, 3, dtype=d), rand(3, 3, dtype=d))),
    "matmul 3d": (LOW, lambda d: rand(2, 3, 3, dtype=d) @ rand(2, 3, 3, dtype=d)),
    "matmul vector": (LOW, lambda d: rand(3, 3, dtype=d) @ rand(3, dtype=d)),
    "mv": (KEPT, lambda d: torch.mv(rand(3, 3, dtype=d), rand(3, dtype=d))),
    "addmm": (LOW, lambda d: torch.addmm(rand(3, dtype=d), rand(3, 3), rand(3, 3, dtype=d))),
    "baddbmm": (LOW, lambda d: torch.baddbmm(rand(3), rand(2, 3, 3), rand(2, 3, 3, dtype=d))),
    "linear": (LOW, lambda d: F.linear(rand(2, 3, dtype=d), rand(4, 3), rand(4))),
    "conv2d": (LOW, lambda d: F.conv2d(rand(1, 2, 5, 5, dtype=d), rand(3, 2, 2, 2), rand(3))),
    "conv_transpose1d": (
        LOW,
        lambda d: F.conv_transpose1d(rand(1, 2, 5, dtype=d), rand(2, 3, 2)),
    ),
    "attention": (
        LOW,
        lambda d: F.scaled_dot_product_attention(
            rand(1, 2, 3, 4), rand(1, 2, 3, 4, dtype=d), rand(1, 2, 3, 4, dtype=d)
        ),
    ),
    "einsum": (LOW, lambda d: torch.einsum("ij,jk", rand(3, 3, dtype=d), rand(3, 3, dtype=d))),
    "softmax": (KEPT, lambda d: rand(3, dtype=d).softmax(0)),
    "layer_norm": (KEPT, lambda d: F.layer_norm(rand(3, dtype=d), (3,))),
    "exp": (KEPT, lambda d: rand(3, dtype=d).exp()),
    "sum": (KEPT, lambda d: rand(3, dtype=d).sum()),
    "prod": (FULL, lambda d: rand(3, dtype=d).prod()),
    "mse_loss": (FULL, lambda d: F.mse_loss(rand(3, dtype=d), rand(3, dtype=d))),
    "bce logits": (
        FULL,
        lambda d: F.binary_cross_entropy_with_logits(rand(3, dtype=d), rand(3, dtype=d)),
    ),
    "cross_entropy": (FULL, lambda d: F.cross_entropy(rand(2, 3, dtype=d), torch.tensor([0, 2]))),
    "kl_div": (FULL, lambda d: F.kl_div(rand(3, dtype=d), rand(3, dtype=d), reduction="sum")),
    "cdist": (FULL, lambda d: torch.cdist(rand(3, 3, dtype=d), rand(3, 3, dtype=d))),
    "quantile": (FULL, lambda d: torch.quantile(rand(3, dtype=d), 0.5)),
    "avg_pool3d": (FULL, lambda d: F.avg_pool3d(rand(1, 1, 4, 4, 4, dtype=d), 2)),
    "grid_sample": (
        FULL,
        lambda d: F.grid_sample(rand(1, 1, 4, 4, dtype=d), rand(1, 3, 3, 2, dtype=d)),
    ),
    "cat of both": (FULL, lambda d: torch.cat([rand(3, dtype=d), rand(3)])),
}


@pytest.mark.parametrize("name", DTYPES)
def test_operations_run_in_the_dtype_that_pytorch_chooses(name: str) -> None:
    (of_float, of_half), function = DTYPES[name]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert function(torch.float32).dtype is getattr(torch, of_float)
        assert function(torch.bfloat16).dtype is getattr(torch, of_half)


def test_values_are_those_of_converted_operands_and_float64_stays() -> None:
    a, b = rand(3, 4), rand(4, 5)
    with torch.autocast("cpu"):
        assert torch.equal(a @ b, a.bfloat16() @ b.bfloat16())
        assert (a.double() @ b.double()).dtype is torch.float64
        assert (a.long() @ b.long()).dtype is torch.int64
    with torch.autocast("cpu", dtype=torch.float16):
        assert torch.equal(a @ b, a.half() @ b.half())
    assert (a @ b).dtype is torch.float32


def test_gradients_arrive_in_the_parameters_dtype() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    x, y = rand(5, 4), torch.tensor([0, 1, 2, 0, 1])
    F.cross_entropy(net(x), y).backward()
    exact = [p.grad for p in net.parameters()]
    net.zero_grad()
    with torch.autocast("cpu"):
        out = net(x)
        assert out.dtype is torch.bfloat16
        loss = F.cross_entropy(out, y)
    loss.backward()
    for p, wanted in zip(net.parameters(), exact, strict=True):
        assert p.grad.dtype is torch.float32
        np.testing.assert_allclose(p.grad.numpy(), wanted.numpy(), atol=2e-2)
        assert not torch.equal(p.grad, wanted)


def test_a_parameter_is_converted_once_while_cached() -> None:
    layer = torch.nn.Linear(3, 3, bias=False)
    with torch.autocast("cpu"):
        first, second = (layer(rand(2, 3)).grad_fn for _ in range(2))
        assert first.edges[2] is second.edges[2]
    with torch.autocast("cpu", cache_enabled=False):
        assert not torch.is_autocast_cache_enabled()
        first, second = (layer(rand(2, 3)).grad_fn for _ in range(2))
        assert first.edges[2] is not second.edges[2]
    with torch.no_grad():
        layer.weight.zero_()
    with torch.autocast("cpu"):  # the outermost exit forgets what was converted
        assert not layer(rand(2, 3)).any()


def test_nesting_and_answers() -> None:
    a = rand(2, 2)
    assert not torch.is_autocast_enabled("cpu")
    with torch.autocast("cpu"):
        assert torch.is_autocast_enabled("cpu") and not torch.is_autocast_enabled()
        with torch.autocast("cpu", enabled=False):
            assert not torch.is_autocast_enabled("cpu") and (a @ a).dtype is torch.float32
            with torch.autocast("cpu", dtype=torch.float16):
                assert torch.get_autocast_dtype("cpu") is torch.float16
                assert (a @ a).dtype is torch.float16
        assert torch.get_autocast_dtype("cpu") is torch.bfloat16
        assert (a @ a).dtype is torch.bfloat16
    assert (a @ a).dtype is torch.float32
    with pytest.raises(ZeroDivisionError), torch.amp.autocast("cpu"):
        raise ZeroDivisionError
    assert not torch.is_autocast_enabled("cpu")

    @torch.autocast("cpu")
    def product(x: torch.Tensor) -> torch.Tensor:
        return x @ x

    assert product(a).dtype is torch.bfloat16


def test_switched_by_hand() -> None:
    a = rand(2, 2)
    torch.set_autocast_enabled("cpu", True)
    try:
        assert (a @ a).dtype is torch.bfloat16
    finally:
        torch.set_autocast_enabled("cpu", False)
    assert (a @ a).dtype is torch.float32


def test_another_thread_is_not_concerned() -> None:
    a, seen = rand(2, 2), []
    with torch.autocast("cpu"):
        thread = threading.Thread(target=lambda: seen.append((a @ a).dtype))
        thread.start()
        thread.join()
    assert seen == [torch.float32]


def test_threads_may_enter_and_leave_in_any_order() -> None:
    a, seen = rand(2, 2), []
    inside, leave = threading.Event(), threading.Event()

    def work() -> None:
        with torch.autocast("cpu"):
            inside.set()
            leave.wait(10)
            seen.append((a @ a).dtype)

    outer = torch.autocast("cpu")
    outer.__enter__()
    thread = threading.Thread(target=work)
    thread.start()
    inside.wait(10)
    outer.__exit__()
    assert (a @ a).dtype is torch.float32
    leave.set()
    thread.join()
    assert seen == [torch.bfloat16]
    assert (a @ a).dtype is torch.float32


def test_unsupported_dtypes_and_devices_switch_off_with_a_warning() -> None:
    a = rand(2, 2)
    with pytest.warns(UserWarning, match="target dtype is not supported"):
        region = torch.autocast("cpu", dtype=torch.float32)
    with region:
        assert (a @ a).dtype is torch.float32
    with pytest.warns(UserWarning, match="CUDA is not available"):
        region = torch.autocast("cuda")
    with region:
        assert (a @ a).dtype is torch.float32
    with pytest.raises(RuntimeError, match="Expected one of cpu, cuda"):
        torch.autocast("toaster")
    with pytest.raises(ValueError, match="of type `str`"):
        torch.autocast(torch.device("cpu"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.autocast("cuda", enabled=False)


def test_a_function_with_custom_fwd_runs_in_the_dtype_it_asks_for() -> None:
    class Product(torch.autograd.Function):
        @staticmethod
        @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
        def forward(ctx: object, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            assert not torch.is_autocast_enabled("cpu")
            ctx.save_for_backward(a, b)
            return a @ b

        @staticmethod
        @torch.amp.custom_bwd(device_type="cpu")
        def backward(ctx: object, g: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            assert not torch.is_autocast_enabled("cpu")
            a, b = ctx.saved_tensors
            return g @ b.t(), a.t() @ g

    a, b = rand(2, 2).requires_grad_(), rand(2, 2, dtype=torch.bfloat16).requires_grad_()
    with torch.autocast("cpu"):
        out = Product.apply(a, b)
        assert out.dtype is torch.float32
        out.sum().backward()
    assert b.grad.dtype is torch.bfloat16
    np.testing.assert_allclose(a.grad.numpy(), b.detach().float().sum(1).expand(2, 2).numpy())


# ---- GradScaler --------------------------------------------------------------------------------


def step(scaler: torch.amp.GradScaler, p: torch.Tensor, factor: float) -> torch.Tensor:
    optimizer = torch.optim.SGD([p], lr=1.0)
    optimizer.zero_grad()
    scaler.scale((p * factor).sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    return p.detach().clone()


def test_the_scale_grows_after_good_steps_and_shrinks_after_a_bad_one() -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)
    p = torch.zeros(3, requires_grad=True)
    assert step(scaler, p, 2.0).tolist() == [-2.0] * 3
    assert scaler.get_scale() == 8.0
    step(scaler, p, 2.0)
    assert scaler.get_scale() == 16.0
    before = p.tolist()
    assert step(scaler, p, float("inf")).tolist() == before
    assert scaler.get_scale() == 8.0
    step(scaler, p, float("nan"))
    assert scaler.get_scale() == 4.0 and p.tolist() == before
    other = torch.amp.GradScaler("cpu")
    other.load_state_dict(scaler.state_dict())
    assert other.state_dict() == scaler.state_dict() and other.get_scale() == 4.0
    scaler.update(32.0)
    assert scaler.get_scale() == 32.0


def test_unscaling_by_hand_and_its_errors() -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    p = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.SGD([p], lr=1.0)
    with pytest.raises(AssertionError, match="_scale is None"):
        scaler.step(optimizer)
    scaler.scale(p.sum()).backward()
    assert p.grad.tolist() == [8.0, 8.0]
    scaler.unscale_(optimizer)
    assert p.grad.tolist() == [1.0, 1.0]
    with pytest.raises(RuntimeError, match="already been called on this optimizer"):
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="after step"):
        scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="already been called since the last update"):
        scaler.step(optimizer)
    scaler.update()
    with pytest.raises(AssertionError, match="No inf checks"):
        scaler.update()
    a, (b, _) = scaler.scale((p.sum(), [p.sum(), p.sum()]))
    assert (a + b).item() == -32.0


def test_a_disabled_scaler_passes_everything_through() -> None:
    with pytest.warns(UserWarning, match="CUDA is not available"):
        scaler = torch.cuda.amp.GradScaler()
    assert not scaler.is_enabled() and scaler.get_scale() == 1.0 and scaler.state_dict() == {}
    p = torch.zeros(2, requires_grad=True)
    assert step(scaler, p, 1.0).tolist() == [-1.0, -1.0]
