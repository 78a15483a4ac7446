"""What programs import and ask on the way: jit, fx, compiler, devices, benchmark, tensorboard."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections import OrderedDict, defaultdict, deque, namedtuple
from pathlib import Path

import pytest

import flambeau as torch
from flambeau import jit, overrides
from flambeau.utils import _pytree as pytree
from flambeau.utils.benchmark import Compare, Measurement, TaskSpec, Timer

# ---- jit -------------------------------------------------------------------------------------


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.helper(self.layer(x)) if x.sum() > 0 else -self.layer(x)

    @jit.export
    def helper(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2

    @jit.ignore
    def other(self) -> int:
        return 1

    @jit.unused
    def third(self) -> int:
        return 2


@pytest.mark.filterwarnings("ignore:torch.jit")
@pytest.mark.parametrize("how", ["script", "trace"])
def test_a_scripted_module_is_the_module_itself(how: str) -> None:
    net, x = Net(), torch.ones(1, 2)
    made = jit.script(net) if how == "script" else jit.trace(net, x)
    assert isinstance(made, jit.ScriptModule) and isinstance(made, Net)
    assert not isinstance(net, jit.ScriptModule)
    assert torch.equal(made(x), net(x)) and torch.equal(made(-x), net(-x))
    assert list(made.state_dict()) == list(net.state_dict())
    made.eval()
    assert not net.training and made.layer.weight is net.layer.weight
    assert made.original_name == "Net" and jit.script(made) is made
    with pytest.raises(NotImplementedError, match="saving a scripted module is not supported"):
        made.save("x.pt")


@pytest.mark.filterwarnings("ignore:torch.jit")
def test_functions_marks_and_refusals() -> None:
    @jit.script
    def double(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    assert isinstance(double, jit.ScriptFunction) and double.name == "double"
    assert double(torch.ones(2)).tolist() == [2.0, 2.0]
    traced = jit.trace(lambda a, b: a + b, (torch.ones(1), torch.ones(1)))
    assert traced(torch.ones(1), torch.zeros(1)).item() == 1
    assert jit.ignore(drop=True)(double) is double and jit.annotate(int, 3) == 3
    assert not jit.is_scripting() and not jit.is_tracing()
    assert jit.wait(jit.fork(double, torch.ones(1))).item() == 2
    with pytest.raises(NotImplementedError, match=r"torch.jit.load is not supported"):
        jit.load("x.pt")
    with pytest.raises(NotImplementedError, match="TorchScript graph"):
        _ = double.graph
    with pytest.raises(RuntimeError, match="modules in eval mode"):
        jit.freeze(Net())


@pytest.mark.parametrize(
    ("value", "kind", "wanted"),
    [
        ([1, 2], list[int], True),
        ([1, "2"], list[int], False),
        ({"a": 1}, dict[str, int], True),
        ((1, "a"), tuple[int, str], True),
        ((1, "a", 2), tuple[int, str], False),
        (None, int | None, True),
        ("a", int | None, False),
        (torch.ones(1), torch.Tensor, True),
        ([], (int, list[int]), True),
    ],
)
def test_isinstance_looks_into_containers(value: object, kind: object, wanted: bool) -> None:
    assert jit.isinstance(value, kind) is wanted


def test_it_says_once_that_nothing_is_compiled() -> None:
    code = (
        "import warnings, flambeau as t\n"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    warnings.simplefilter('always')\n"
        "    t.jit.script(lambda x: x); t.jit.script(lambda x: x)\n"
        "print(len(seen), seen[0].message)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.startswith("1 torch.jit.script runs the code as plain Python")


# ---- what is refused in words ----------------------------------------------------------------


def test_fx_and_onnx_and_extensions_say_what_is_missing() -> None:
    assert torch.fx.wrap("len") == "len"
    assert not isinstance(3, torch.fx.Node)
    with pytest.raises(NotImplementedError, match="torch.fx.symbolic_trace is not supported"):
        torch.fx.symbolic_trace(Net())
    with pytest.raises(NotImplementedError, match="torch.fx.Graph is not supported"):
        torch.fx.Graph()
    assert not torch.onnx.is_in_onnx_export()
    with pytest.raises(NotImplementedError, match="torch.onnx.export is not supported"):
        torch.onnx.export(Net(), torch.ones(1, 2), "x.onnx")
    from flambeau.utils import cpp_extension

    assert cpp_extension.CUDA_HOME is None
    with pytest.raises(NotImplementedError, match="cpp_extension.load is not supported"):
        cpp_extension.load("x", ["x.cpp"])


def test_the_tracer_and_the_compiler_answer() -> None:
    torch._dynamo.config.suppress_errors = True
    torch._dynamo.reset()
    assert torch._dynamo.utils.counters["frames"]["ok"] == 0
    assert not isinstance(Net(), torch._dynamo.OptimizedModule)
    assert not torch.compiler.is_compiling() and not torch.compiler.is_exporting()

    @torch.compiler.disable
    def f() -> int:
        return 1

    @torch.compiler.disable(recursive=False)
    def g() -> int:
        return 2

    assert (f(), g(), torch.compiler.allow_in_graph(f)) == (1, 2, f)
    with torch.compiler.set_stance("force_eager"):
        assert f() == 1
    with pytest.raises(RuntimeError, match="invalid torch.compile stance"):
        torch.compiler.set_stance("sideways")


class Celsius:
    """A type of its own with ``__torch_function__``."""

    def __init__(self, degrees: float) -> None:
        self.degrees = degrees

    @classmethod
    def __torch_function__(cls, func: object, types: tuple, args: tuple, kwargs: dict) -> object:
        return (func.__name__, types, args[0].degrees)


class Warm(Celsius):
    @classmethod
    def __torch_function__(cls, func: object, types: tuple, args: tuple, kwargs: dict) -> object:
        return NotImplemented if args[0].degrees > 50 else ("warm", types)


def test_a_librarys_own_functions_may_ask_for_torch_function() -> None:
    @overrides.wrap_torch_function(lambda *args: args)
    def scaled(*args: object) -> object:
        return len(args)

    assert scaled(torch.ones(1), 2) == 2
    assert scaled(Celsius(3.0), 2) == ("scaled", (Celsius,), 3.0)
    assert scaled(Celsius(3.0), Warm(3.0)) == ("warm", (Warm, Celsius))
    assert scaled(Celsius(60.0), Warm(3.0))[0] == "scaled"
    with pytest.raises(TypeError, match="no implementation found for"):
        scaled(Warm(60.0))
    assert overrides.is_tensor_like(Warm(1.0)) and overrides.has_torch_function((1, Warm(1.0)))
    assert not overrides.has_torch_function((torch.ones(1),))


def test_checks_raise_what_they_are_named_for() -> None:
    for check, error in (
        (torch._check, RuntimeError),
        (torch._check_index, IndexError),
        (torch._check_value, ValueError),
        (torch._check_type, TypeError),
        (torch._check_not_implemented, NotImplementedError),
    ):
        check(True)
        with pytest.raises(error, match="too few"):
            check(False, lambda: "too few")
        with pytest.raises(TypeError, match="cond must be a bool"):
            check(3)
    with pytest.raises(RuntimeError, match="Expected cond to be True"):
        torch._check_is_size(-1)
    with pytest.raises(AssertionError, match="no"):
        torch._assert(False, "no")
    assert torch.typename(torch.ones(1).long()) == "torch.LongTensor"
    assert torch.typename(3) == "int"


# ---- devices that are not there --------------------------------------------------------------


def test_devices_answer_that_there_are_none() -> None:
    assert torch.accelerator.current_accelerator() is None
    assert not torch.accelerator.is_available() and torch.accelerator.device_count() == 0
    assert torch.cuda.memory_stats() == {} and torch.cuda.get_rng_state_all() == []
    assert not isinstance(torch.ones(1), torch.cuda.FloatTensor)
    with torch.cuda.stream(None):
        pass
    for call, error in (
        (torch.cuda.Stream, RuntimeError),
        (torch.cuda.CUDAGraph, RuntimeError),
        (torch.cuda.FloatTensor, TypeError),
        (torch.cuda.current_stream, AssertionError),
        (torch.nn.Linear(1, 1).cuda, AssertionError),
    ):
        with pytest.raises(error, match="flambeau has no cuda device"):
            call()
    for name, error in (("xpu", AssertionError), ("mps", RuntimeError)):
        with pytest.raises(error, match=f"flambeau has no {name} device"):
            getattr(torch, name).synchronize()
    with torch.cpu.amp.autocast():
        assert (torch.ones(1, 1) @ torch.ones(1, 1)).dtype is torch.bfloat16
    assert torch.cpu.device_count() == 1


# ---- benchmark -------------------------------------------------------------------------------


def test_a_timer_measures_and_prints() -> None:
    timer = Timer("x.sum()", setup="y = 1", globals={"x": torch.ones(3)}, label="sums")
    before = torch.get_num_threads()
    found = timer.timeit(50)
    assert torch.get_num_threads() == before
    assert found.number_per_run == 50 and len(found.times) == 1 and 0 < found.median < 1
    assert "sums" in repr(found) and "1 measurement, 50 runs per measurement, 1 thread" in repr(
        found
    )
    blocks = timer.blocked_autorange(min_run_time=0.02)
    assert sum(blocks.raw_times) >= 0.02
    assert timer.adaptive_autorange(0.5, max_run_time=0.1).median > 0
    with pytest.raises(NotImplementedError, match="C\\+\\+"):
        Timer("x;", language="c++")
    with pytest.raises(ValueError, match="str"):
        Timer(len)


def test_figures_of_a_measurement() -> None:
    task = TaskSpec("f()", "pass", label="f")
    found = Measurement(10, [1e-4, 1.1e-4, 1.2e-4, 1.3e-4, 1.4e-4], task)
    assert found.median == pytest.approx(1.2e-5) and found.iqr == pytest.approx(2e-6)
    assert found.has_warnings and not found.meets_confidence(0.1)
    assert "Median: 12.00 us" in repr(found)
    merged = Measurement.merge([found, found])
    assert len(merged) == 1 and len(merged[0].times) == 10


def test_a_table_of_measurements() -> None:
    results = [
        Measurement(1, [t], TaskSpec("x", "", label="add", sub_label=row, description=column))
        for (row, column), t in {
            ("small", "old"): 2e-6, ("small", "new"): 1e-6, ("large", "old"): 5e-6,
        }.items()
    ]  # fmt: skip
    text = str(Compare(results))
    assert text.splitlines()[0].strip("[]-") == " add "
    assert [line.split("|") for line in text.splitlines() if "small" in line][0][1].strip() == "2.0"
    assert text.endswith("Times are in microseconds (us).")
    with pytest.raises(ValueError, match="Expected an instance of `Measurement`"):
        Compare([3])


# ---- nested containers -----------------------------------------------------------------------


def test_trees_are_taken_apart_and_put_together() -> None:
    Point = namedtuple("Point", "x y")
    tree = {
        "a": [1, (2, Point(3, None))],
        "b": OrderedDict(z=4, y=deque([5], 3)),
        "c": defaultdict(list, k=6),
    }
    leaves, spec = pytree.tree_flatten(tree)
    assert leaves == [1, 2, 3, None, 4, 5, 6] and spec.num_leaves == 7
    again = pytree.tree_unflatten(leaves, spec)
    assert again == tree and again["b"]["y"].maxlen == 3 and again["c"].default_factory is list
    assert pytree.tree_structure(again) == spec
    assert pytree.tree_map(lambda a, b: a + b, [1, (2,)], [10, (20,)]) == [11, (22,)]
    assert pytree.tree_map_only(int, lambda n: -n, [1, "a"]) == [-1, "a"]
    assert pytree.tree_all_only(int, lambda n: n > 0, [1, "a"])
    assert pytree.broadcast_to((0, None), pytree.tree_structure(([1, 2], 3))) == [0, 0, None]
    assert pytree.broadcast_to((0,), pytree.tree_structure((1, 2))) is None
    with pytest.raises(ValueError, match="has length 1 but the spec"):
        pytree.tree_unflatten([1], spec)
    with pytest.raises(ValueError, match="Node arity mismatch"):
        pytree.tree_map(max, [1], [1, 2])


# ---- tensorboard -----------------------------------------------------------------------------


def test_events_are_written(tmp_path: Path) -> None:
    tensorboardX = pytest.importorskip(
        "tensorboardX", reason="tensorboardX is not installed: pip install -e '.[dev]'"
    )
    from flambeau.utils.tensorboard import SummaryWriter

    with SummaryWriter(log_dir=tmp_path) as writer:
        writer.add_scalar("loss", torch.tensor(0.5, requires_grad=True), 1)
        writer.add_histogram("weights", torch.ones(5), global_step=1)
        writer.add_text("note", "hello")
        with pytest.raises(NotImplementedError, match="add_graph is not supported"):
            writer.add_graph(Net())
    assert writer.log_dir == writer.get_logdir() == str(tmp_path)
    (file,) = tmp_path.iterdir()
    assert file.name.startswith("events.out.tfevents")
    content = file.read_bytes()
    assert b"loss" in content and b"weights" in content and tensorboardX is not None


def test_memory_is_shared_through_dlpack() -> None:
    from flambeau.utils.dlpack import from_dlpack, to_dlpack

    x = torch.arange(3.0)
    y = from_dlpack(x)
    y[0] = 7
    assert x[0].item() == 7 and type(to_dlpack(x)).__name__ == "PyCapsule"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        from flambeau.utils.hooks import RemovableHandle

        p = torch.nn.Linear(1, 1)
        assert isinstance(p.weight.register_hook(lambda g: g), RemovableHandle)


def test_names_of_older_programs() -> None:
    import flambeau as torch

    assert torch._C._jit_set_profiling_mode(False) is False
    assert torch.OutOfMemoryError is torch.cuda.OutOfMemoryError
    assert isinstance(torch.__version__, torch.torch_version.TorchVersion)
    assert isinstance(3, torch.types.Number) and torch.types._dtype is torch.dtype
    assert torch.serialization.DEFAULT_PROTOCOL == 2
    weight = torch.empty(2, 3)
    torch.nn.init._no_grad_uniform_(weight, 1, 2)
    assert 1 <= weight.min() and weight.max() <= 2
    x = torch.ones(2, requires_grad=True)
    assert not torch.detach(x * 2).requires_grad
    with pytest.warns(UserWarning, match="use torch.arange"):
        assert torch.range(1, 4).tolist() == [1.0, 2.0, 3.0, 4.0]
    with pytest.warns(UserWarning), pytest.raises(RuntimeError, match="step must be nonzero"):
        torch.range(0, 1, 0)
    with pytest.warns(UserWarning):
        assert torch.range(0, 1, 0.5, dtype=torch.float64).dtype == torch.float64
