"""Optimizers' steps on a GPU: one kernel for each parameter."""

from __future__ import annotations

from typing import Any

import pytest

import flambeau as torch
from flambeau._devices import updates

OPTIMIZERS = [
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {"weight_decay": 0.1}),
    ("RMSprop", {}),
    ("Adagrad", {}),
    ("NAdam", {}),
]


def stepped(place: str, name: str, options: dict, dtype: Any = torch.float32) -> list:
    """Parameters after four steps, their options changed in between."""
    numbers = torch.Generator().manual_seed(0)
    start = [torch.randn(s, generator=numbers, dtype=dtype) for s in ((3, 5), (7,), (), (4, 0))]
    start.append(torch.randn(4, 6, generator=numbers, dtype=dtype).T)
    params = [p.to(place).requires_grad_() for p in start]
    optimizer = getattr(torch.optim, name)(params, lr=0.1, **options)
    for k in range(4):
        for p in params:
            p.grad = (p.detach() * (k + 1)).cos()
        optimizer.param_groups[0]["lr"] = 0.1 / (k + 1)
        optimizer.step()
    return [p.detach().cpu() for p in params]


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS)
def test_a_step_is_the_cpus(name: str, options: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite", reason="llvmlite is not installed")
    monkeypatch.setattr(updates, "_kernels", {})
    for found, wanted in zip(stepped("cuda", name, options), stepped("cpu", name, options)):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
    assert any(kernel is not None for kernel in updates._kernels.values())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes(dtype: torch.dtype) -> None:
    for found, wanted in zip(
        stepped("cuda", "Adam", {}, dtype), stepped("cpu", "Adam", {}, dtype), strict=True
    ):
        torch.testing.assert_close(found, wanted)
