"""What flambeau refuses can be imported and asked about; calling it raises in words."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import flambeau as torch


@pytest.mark.parametrize(
    "name",
    [
        "sparse.mm", "sparse_coo_tensor", "quantization.quantize_dynamic", "nested.nested_tensor",
        "ao.quantization.quantize_fx.prepare_fx", "export.export", "library.opcheck",
    ],
)  # fmt: skip
def test_a_refused_name_says_which_it_is(name: str) -> None:
    module, _, leaf = f"flambeau.{name}".rpartition(".")
    found = getattr(importlib.import_module(module), leaf)
    with pytest.raises(NotImplementedError, match=f"torch.{name} is not supported by flambeau\n  "):
        found(1, key=2)
    assert not isinstance(3, found)
    with pytest.raises(AttributeError, match=f"torch.{name} is not supported"):
        _ = found.CONSTANT


def test_under_the_alias_they_are_modules() -> None:
    code = """
import flambeau.compat; flambeau.compat.install()
import torch.autograd.profiler as older
import torch.ao.quantization, torch.sparse, torch.export, torch.distributed.fsdp.wrap
from torch.distributed.fsdp import FullyShardedDataParallel as FSDP
from torch.nn.parallel import DistributedDataParallel as DDP
import torch._inductor.config
torch._inductor.config.coordinate_descent_tuning = True
print(isinstance(torch.nn.Linear(1, 1), (FSDP, DDP)), older is torch.autograd.profiler)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "False True\n", done.stderr


def test_the_older_profiler() -> None:
    older = torch.autograd.profiler
    with older.profile(record_shapes=True) as found, older.record_function("part"):
        torch.ones(3).tanh()
    assert "tanh" in found.key_averages().table() and "tanh" in found.table()
    with torch.autograd.profiler.profile(enabled=False) as nothing:
        torch.ones(3).tanh()
    with pytest.raises(AssertionError, match="nothing is recorded"):
        nothing.key_averages()
    with pytest.raises(AttributeError, match="no_such"):
        _ = torch.autograd.no_such


def test_small_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert torch._C._get_tracing_state() is None and torch._C._log_api_usage_once("x") is None
    monkeypatch.setenv("TORCH_HOME", "/some/where")
    assert torch.hub._get_torch_home() == "/some/where"
    assert torch.Future is torch.futures.Future


def test_flattened_tensors_come_apart_again() -> None:
    parts = [torch.ones(2), torch.zeros(1, 3).t(), torch.tensor(5.0), torch.empty(0)]
    flat = torch._utils._flatten_dense_tensors(parts)
    assert flat.tolist() == [1, 1, 0, 0, 0, 5]
    again = torch._utils._unflatten_dense_tensors(flat, parts)
    assert all(a.equal(p) for a, p in zip(again, parts, strict=True))
    assert torch.utils.model_zoo.load_url is torch.hub.load_state_dict_from_url
