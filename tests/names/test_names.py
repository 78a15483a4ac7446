"""Rarer names, held against what PyTorch answered (golden.json), and refused ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from golden import answer, hold, recorded, scenarios

import flambeau as torch

SCENARIOS = scenarios(Path(__file__).parent)
GOLDEN = recorded(Path(__file__).parent)


def _close(got: object, wanted: object) -> bool:
    if isinstance(got, float) and isinstance(wanted, int | float):
        return got == pytest.approx(wanted, rel=1e-5, abs=1e-6)
    if isinstance(got, list) and isinstance(wanted, list):
        return len(got) == len(wanted) and all(map(_close, got, wanted))
    if isinstance(got, dict) and isinstance(wanted, dict):
        return got.keys() == wanted.keys() and all(_close(got[k], wanted[k]) for k in got)
    return got == wanted


@pytest.mark.parametrize("name", SCENARIOS)
def test_as_pytorch(name: str) -> None:
    hold(name, answer(SCENARIOS[name], torch), GOLDEN[name], same=_close)


def test_every_scenario_is_recorded() -> None:
    assert set(GOLDEN) == set(SCENARIOS)


def test_every_name_that_is_loaded_on_demand_is_there() -> None:
    for name in torch._FUNCTIONS_ON_DEMAND:
        assert getattr(torch, name) is not None


def test_dtypes_that_no_tensor_has_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"no tensors of dtype torch\.qint8"):
        torch.zeros(2, dtype=torch.qint8)
    with pytest.raises(TypeError, match=r"no tensors of dtype torch\.complex32"):
        torch.ones(2).to(torch.complex32)
    assert not isinstance(3, torch.SymInt) and torch.ones(1).dtype != torch.quint8


@pytest.mark.parametrize("name", ["quantize_per_tensor", "_scaled_mm", "spmm", "while_loop"])
def test_refused_functions_say_their_name(name: str) -> None:
    with pytest.raises(NotImplementedError, match=rf"torch\.{name} is not supported"):
        getattr(torch, name)(1, 2)


def test_a_refused_class_can_be_asked_about() -> None:
    assert not isinstance(torch.ones(1), torch.ScriptObject)
    with pytest.raises(NotImplementedError, match=r"torch\.Stream is not supported"):
        torch.Stream()


def test_flops_of_attention_and_of_a_model_without_memory() -> None:
    from flambeau.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        torch.nn.functional.scaled_dot_product_attention(*[torch.ones(2, 3, 5, 8)] * 3)
    assert counter.get_total_flops() == 2 * 2 * (2 * 3) * 5 * 5 * 8
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        net = torch.nn.Linear(10_000, 50_000)
        net(torch.ones(64, 10_000)).sum().backward()
    assert counter.get_total_flops() == 2 * 2 * 64 * 10_000 * 50_000
    assert "aten.addmm" in counter.get_table() and "Linear" in counter.get_table()


def test_flop_formulas_of_ones_own() -> None:
    from flambeau.utils.flop_counter import FlopCounterMode

    def counted(shape: tuple, out_shape: tuple) -> int:
        return 5 * out_shape[0]

    with FlopCounterMode(display=False, custom_mapping={"tanh": counted}) as counter:
        torch.ones(7).tanh()
    assert counter.get_total_flops() == 35


def test_the_machine_is_described() -> None:
    assert "numpy" in torch.__config__.show() and torch.__config__.parallel_info()
    code = "import flambeau.utils.collect_env as c; c.main()"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Collecting environment information" in out.stdout and "numpy" in out.stdout


def test_functional_and_future() -> None:
    assert torch.functional.einsum is torch.einsum and torch.functional.norm is torch.norm
    assert torch.__future__.get_swap_module_params_on_conversion() is False


def test_a_file_as_a_tensor(tmp_path: Path) -> None:
    file = tmp_path / "numbers"
    file.write_bytes(b"\x00\x00\x80?" * 3)
    assert torch.from_file(str(file), size=3).tolist() == [1.0] * 3
    shared = torch.from_file(str(file), shared=True, size=4)
    shared[3] = 2.0
    assert torch.from_file(str(file), size=4).tolist() == [1.0, 1.0, 1.0, 2.0]


def test_a_dispatch_mode_is_handed_each_operation() -> None:
    from flambeau.utils._python_dispatch import TorchDispatchMode

    seen: list[str] = []

    class Doubled(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: object, types: tuple, args: tuple = (), kwargs: dict | None = None
        ) -> object:
            seen.append(str(func))
            result = func(*args, **(kwargs or {}))
            return result * 2 if func.name() == "aten::exp" else result

    x = torch.zeros(3, requires_grad=True)
    with Doubled():
        y = x.exp() + 1
        y.sum().backward()
    assert y.tolist() == [3.0] * 3 and seen[:2] == ["aten.exp.default", "aten.add.default"]
    assert "aten.sum.default" in seen and x.grad.tolist() == [2.0] * 3
    count = len(seen)
    x.exp()
    assert len(seen) == count


def test_machinery_can_be_imported_and_is_refused_by_name() -> None:
    code = """
import torch, torch._guards, torch._ops, torch._subclasses.fake_tensor, torch._logging
import torch._higher_order_ops.wrap, torch.monitor, torch.package, torch._lazy.metrics
import torch.distributed.checkpoint.format_utils, torch.distributed.launcher.api
from torch._subclasses.fake_tensor import FakeTensorMode, is_fake
from torch.utils._triton import has_triton
torch._logging.set_logs(dynamo=1)
assert not is_fake(torch.ones(1)) and not has_triton() and not isinstance(1, FakeTensorMode)
try:
    FakeTensorMode()
except NotImplementedError as error:
    print(str(error).splitlines()[0])
try:
    torch.classes.my.Thing
except RuntimeError as error:
    print(error)
"""
    run = "import flambeau.compat as c; c.install(); exec(open(0).read())"
    out = subprocess.run(
        [sys.executable, "-c", run], input=code, capture_output=True, text=True, check=True
    )
    assert out.stdout.splitlines()[0] == (
        "torch._subclasses.fake_tensor.FakeTensorMode is not supported by flambeau"
    )
    assert "Class my not registered" in out.stdout


def test_names_of_functions() -> None:
    from flambeau import overrides

    assert overrides.resolve_name(torch.Tensor.cumsum) == "torch.Tensor.cumsum"
    assert overrides.resolve_name(torch.nn.functional.linear) == "torch.linear"
    assert overrides.is_tensor_method_or_property(torch.Tensor.cumsum)
    assert not overrides.is_tensor_method_or_property(torch.einsum)


def test_views_are_not_swapped() -> None:
    x = torch.ones(3)
    view = x[1:]
    with pytest.raises(RuntimeError, match="cannot be swapped"):
        torch.utils.swap_tensors(view, torch.ones(1))


def test_selective_checkpoints_are_refused_by_name() -> None:
    from flambeau.utils import checkpoint

    with pytest.raises(NotImplementedError, match="create_selective_checkpoint_contexts"):
        checkpoint.create_selective_checkpoint_contexts([])
    assert checkpoint.get_device_states(torch.ones(1)) == ([], [])
