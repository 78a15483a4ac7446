"""Tensors without elements: flambeau against PyTorch's answers (golden.json), and what only
flambeau's own way of having them can get wrong."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from pathlib import Path

import pytest
from golden import answer, hold, recorded, scenarios

import flambeau as torch
from flambeau.core.modes import hook

SCENARIOS = scenarios(Path(__file__).parent)
GOLDEN = recorded(Path(__file__).parent)


@pytest.mark.parametrize("name", SCENARIOS)
def test_as_pytorch(name: str) -> None:
    hold(name, answer(SCENARIOS[name], torch), GOLDEN[name])


def test_every_scenario_is_recorded() -> None:
    assert set(GOLDEN) == set(SCENARIOS)


def test_a_large_model_takes_no_memory_and_no_time() -> None:
    torch.empty(1, device="meta")  # loads what there is to load
    tracemalloc.start()
    with torch.device("meta"):
        net = torch.nn.Sequential(
            torch.nn.Embedding(1_000_000, 4096), torch.nn.Linear(4096, 100_000), torch.nn.GELU()
        )
        out = net(torch.zeros(4096, 512, dtype=torch.int64)).softmax(-1)
        out.sum().backward()
    assert out.shape == (4096, 512, 100_000) and net[0].weight.grad.shape == (1_000_000, 4096)
    assert tracemalloc.get_traced_memory()[1] < 4_000_000
    tracemalloc.stop()


def test_the_hook_is_free_once_the_last_meta_tensor_is_gone() -> None:
    gc.collect()
    assert hook.active is None
    x = torch.empty(3, device="meta")
    y = x[1:]
    assert hook.active is not None
    del x
    assert hook.active is not None and (y + 1).is_meta
    del y
    assert hook.active is None


def test_beside_other_interpreters() -> None:
    with torch.autocast("cpu"):
        x = torch.empty(2, 3, device="meta")
        assert (x @ x.t()).dtype is torch.float32  # as in PyTorch: meta is no CPU
        del x
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.bfloat16
    assert hook.active is None
    x = torch.empty(2, 3, device="meta")
    doubled = torch.func.vmap(lambda v: v * 2)(torch.ones(4, 3))
    assert doubled.tolist() == [[2.0] * 3] * 4 and (x + 1).is_meta


def test_ordinary_tensors_compute_while_meta_tensors_live() -> None:
    keep = torch.empty(3, device="meta")
    w = torch.ones(3, requires_grad=True)
    (w * 3).sum().backward()
    assert w.grad.tolist() == [3.0] * 3 and keep.is_meta
    f = torch.compile(lambda v: v * 2 + 1)
    assert f(torch.ones(2)).tolist() == [3.0, 3.0] and f(keep).shape == (3,)


def test_in_another_thread() -> None:
    x = torch.empty(2, 3, device="meta")
    found = []
    thread = threading.Thread(
        target=lambda: found.extend([(x @ x.t()).shape, str(torch.ones(1).device)])
    )
    with torch.device("meta"):
        thread.start()
        thread.join()
    assert found == [(2, 2), "cpu"]  # what device is chosen is a thread's own affair


def test_an_operation_without_a_rule_is_named() -> None:
    x = torch.empty(3, 3, device="meta")
    with pytest.raises(NotImplementedError, match="linalg_ldl_factor_ex: .* Meta tensors"):
        torch.linalg.ldl_factor(x)
    with pytest.raises(NotImplementedError, match=r"repeat_interleave\(\): .* Meta tensors"):
        x.repeat_interleave(torch.empty(3, dtype=torch.int64, device="meta"), 0)


def test_errors_of_shape_are_those_of_other_tensors() -> None:
    x = torch.empty(2, 3, device="meta")
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        x @ x
    with pytest.raises(RuntimeError, match="must match the size of tensor b"):
        x + torch.empty(4, device="meta")
    with pytest.raises(RuntimeError, match="shape '\\[4\\]' is invalid for input of size 6"):
        x.view(4)


def test_jacobians_of_other_tensors_while_there_are_some() -> None:
    keep = torch.empty(2, device="meta")
    net = torch.nn.Linear(3, 2)
    weights = {k: v.detach() for k, v in net.named_parameters()}
    found = torch.func.jacrev(lambda w: torch.func.functional_call(net, w, (torch.ones(3),)))(
        weights
    )
    assert found["weight"].shape == (2, 2, 3) and keep.is_meta
    assert torch.equal(found["bias"], torch.eye(2))
