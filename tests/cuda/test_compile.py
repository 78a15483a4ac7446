"""Compiled functions on a GPU: what they give, what they leave, what they record."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

import flambeau as torch
from flambeau._devices.programs import DeviceLowering
from flambeau.compiler import gpu_code, native

F = torch.nn.functional


@pytest.fixture(autouse=True)
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mistakes of the compiler are errors."""
    monkeypatch.setattr(native, "strict", True)


def launches(compiled: Any) -> str:
    """What is said of the program on the device."""
    return next(line for line in str(compiled.explain()).split("\n") if "on cuda" in line)


def as_eager(function: Callable, *operands: Any) -> Any:
    """Call ``function`` compiled on the device, with the same and with other tensors, and
    uncompiled on the CPU; returns the compiled one."""
    compiled = torch.compile(function)
    there = [x.cuda() for x in operands]
    for k in range(5):
        given = there if k < 3 else [x.clone() for x in there]
        found = compiled(*given)
        assert found.is_cuda
        close = {} if found.itemsize < 4 else {"rtol": 1e-5, "atol": 1e-6}
        torch.testing.assert_close(found.cpu(), function(*operands), equal_nan=True, **close)
    assert len(compiled.variants) == 1
    return compiled


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x.sigmoid() * 2 + x.tanh()).exp() - F.gelu(x),
        lambda x: x * x[0] + x[:, :1].relu(),
        lambda x: x.sum(1).mean() + x.sum(0).square().mean() + x.mean(),
        lambda x: x.softmax(-1) + x.log_softmax(0),
        lambda x: F.layer_norm(x, (7,)),
        lambda x: x @ x.T + 1,
        lambda x: torch.cat([x, x.flip(0)]).amax(0),
        lambda x: x[1:3, ::2].transpose(0, 1).reshape(-1) * 2,
    ],
)
def test_results_are_eagers(function: Callable) -> None:
    torch.manual_seed(0)
    told = launches(as_eager(function, torch.randn(5, 7)))
    assert "on cuda: 1 launches;" in told or "flip" in str(function)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_dtypes(dtype: torch.dtype) -> None:
    as_eager(lambda x: (x * 2).sigmoid() + x, torch.randn(3, 5).to(dtype))


def test_nothing_and_single_elements() -> None:
    as_eager(lambda x: x * 2 + 1, torch.zeros(0, 3))
    as_eager(lambda x: x * 2 + 1, torch.tensor(1.5))
    as_eager(lambda x: x.exp(), torch.tensor([float("nan"), float("inf"), -float("inf")]))


def step_of(place: str, compiled: bool, clip: bool = True) -> tuple[Any, Any, Any]:
    """A training step, its model and its optimizer."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    model.to(place)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        return loss

    return torch.compile(step) if compiled else step, model, optimizer


def batches(count: int) -> list:
    made = torch.Generator().manual_seed(1)
    return [
        (torch.randn(6, 3, generator=made), torch.randint(0, 2, (6,), generator=made))
        for _ in range(count)
    ]


def test_a_training_step_is_one_launch() -> None:
    trained = []
    for place, compiled in (("cpu", False), ("cuda", True)):
        step, model, optimizer = step_of(place, compiled)
        losses = []
        for k, (x, y) in enumerate(batches(7)):
            optimizer.param_groups[0]["lr"] = 0.01 * (k + 1)  # no new capture
            losses.append(step(x.to(place), y.to(place)))
        grads = [p.grad.cpu() for p in model.parameters()]
        trained.append((torch.stack([a.cpu() for a in losses]), grads, list(model.parameters())))
        counts = [state["step"].item() for state in optimizer.state.values()]
        assert counts == [7.0] * 4
    torch.testing.assert_close(
        trained[1][0], trained[0][0]
    )  # kept losses, too, stay what they were
    for a, b in zip(trained[1][1], trained[0][1], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    for a, b in zip(trained[1][2], trained[0][2], strict=True):
        torch.testing.assert_close(a.detach().cpu(), b.detach(), rtol=1e-4, atol=1e-6)
    assert "on cuda: 1 launches;" in launches(step)
    assert len(step.variants) == 1


def test_gradients_that_are_kept_stay() -> None:
    step, model, _ = step_of("cuda", True)
    kept, copies = [], []
    for x, y in batches(7):
        step(x.cuda(), y.cuda())
        kept.append(model[0].weight.grad)
        copies.append(model[0].weight.grad.cpu().clone())
    for a, b in zip(kept, copies, strict=True):
        assert torch.equal(a.cpu(), b)


def test_a_backward_pass_outside_of_the_function() -> None:
    model = torch.nn.Linear(3, 2).cuda()
    forward = torch.compile(lambda x: model(x).tanh().sum())
    for x, _ in batches(5):
        model.zero_grad()
        forward(x.cuda()).backward()
        found = model.weight.grad.cpu()
        model.zero_grad()
        model(x.cuda()).tanh().sum().backward()
        torch.testing.assert_close(found, model.weight.grad.cpu())


def test_gradients_of_some_results() -> None:
    w = torch.randn(3, requires_grad=True)
    there = w.detach().cuda().requires_grad_()
    both = torch.compile(lambda x: (x * 2, x.sin().sum()))
    for k in range(4):
        for x, f in ((w, both.function), (there, both)):
            x.grad = None
            a, b = f(x)
            (a.T.flip(0) * 3 if k % 2 else b).sum().backward()
        torch.testing.assert_close(there.grad.cpu(), w.grad)


def test_functions_on_the_cpu_are_compiled_as_ever() -> None:
    alive = torch.zeros(1, device="cuda")
    compiled = torch.compile(lambda x: x * 2 + 1)
    x = torch.randn(4)
    for _ in range(4):
        assert torch.equal(compiled(x), x * 2 + 1)
    assert len(compiled.variants) == 1 and "on cuda" not in str(compiled.explain())
    assert torch.equal(compiled(x.cuda()).cpu(), x * 2 + 1)  # the same shape is not the same place
    assert torch.equal(compiled(x), x * 2 + 1) and len(compiled.variants) == 2
    assert alive.is_cuda


def test_random_numbers_are_drawn_anew() -> None:
    x = torch.ones(50, device="cuda")
    compiled = torch.compile(lambda x: F.dropout(x, 0.5) * 2)
    torch.manual_seed(3)
    found = [compiled(x).cpu() for _ in range(5)]
    torch.manual_seed(3)
    for a in found:
        assert torch.equal(a, (F.dropout(x, 0.5) * 2).cpu())


def test_python_may_ask_and_read() -> None:
    def asks(x: Any) -> Any:
        return x * 2 if x.sum() > 0 else x - 1

    compiled = torch.compile(asks)
    for sign in (1, 1, 1, -1, -1, -1, 1, -1):
        x = torch.full((3,), float(sign), device="cuda")
        assert torch.equal(compiled(x).cpu(), asks(x.cpu()))
    reads = torch.compile(lambda x: (x * 2).sum().item())
    assert [reads(torch.ones(4, device="cuda")) for _ in range(4)] == [8.0] * 4


def test_an_index_out_of_range_is_an_error() -> None:
    table = torch.randn(4, 3, device="cuda")
    compiled = torch.compile(lambda i: F.embedding(i, table) * 2)
    i = torch.tensor([0, 3, 1])
    for _ in range(4):
        assert torch.equal(compiled(i.cuda()), F.embedding(i.cuda(), table) * 2)
    with pytest.raises(IndexError):
        compiled(torch.tensor([0, 4, 1], device="cuda"))
    assert torch.equal(compiled(i.cuda()), F.embedding(i.cuda(), table) * 2)


def test_what_has_no_code_on_a_gpu_lies_between() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = as_eager(lambda x: (x * 2).sin().kthvalue(2)[0] + 1, torch.rand(3, 4))
    assert "not compiled, but called" in str(compiled.explain())


def test_long_rows_are_reduced_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DeviceLowering, "part", 4)
    told = str(as_eager(lambda x: x.square().sum() + x.amax(), torch.randn(5, 24)).explain())
    assert "kernel over 30 rows of 4" in told and "kernel over 120" not in told
    as_eager(lambda x: x.norm() + x.sum(1).amin(), torch.randn(2, 3, 14))
    as_eager(lambda x: (x - x.logsumexp(1, True)).mean((0, 2)), torch.randn(3, 20, 2))
    as_eager(lambda x: x[x.new_tensor([0, 2, 1]).long()].sum(), torch.randn(3, 31))


def test_sums_over_rows_are_sums_of_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DeviceLowering, "column", 4)
    monkeypatch.setattr(gpu_code, "MANY_ROWS", 16)
    for shape, dims in [
        ((24, 5), (0,)),
        ((23, 5), (0,)),
        ((4, 6, 5), (0, 1)),
        ((3, 7, 5), (0, 1)),
        ((2, 12, 1, 3), (0, 1, 2)),
        ((3, 8, 2, 3), (0, 1)),
        ((32, 1), (0,)),
    ]:
        x = torch.randint(-4, 5, shape).float()  # whose sums are exact in any order
        told = str(as_eager(lambda x, dims=dims: (x * 2).sum(dims), x).explain())
        assert "1 functions" in told or "2 functions" in told
        as_eager(lambda x, dims=dims: (x.softmax(-1) + x.sum(dims)).sum(dims), x)


def test_writes_into_arguments() -> None:
    def writes(x: Any, y: Any) -> Any:
        x[1:].add_(y)
        return x.sum()

    compiled = torch.compile(writes)
    for _ in range(5):
        x, y = torch.randn(4), torch.randn(1)
        there = x.cuda()
        found = compiled(there, y.cuda())
        torch.testing.assert_close(found.cpu(), writes(x, y))
        torch.testing.assert_close(there.cpu(), x)


def test_numbers_of_the_cpu_take_part() -> None:
    scale = torch.tensor(2.0)
    compiled = torch.compile(lambda x, k: x * scale + k)
    x = torch.ones(3, device="cuda")
    for k in range(5):
        scale.fill_(k)
        assert compiled(x, k * 1.5).tolist() == [k + k * 1.5] * 3


def test_it_says_what_became_of_it() -> None:
    compiled = as_eager(lambda x: x.softmax(-1), torch.randn(3, 4))
    told = compiled.explain()
    assert "kernel over 3 rows of 4" in told and ".visible .entry kernel0" in told.assembly
    assert "def kernel" in told.loops
