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
        with pytest.raises(error, match="flambeau (finds no GPU|has no cuda device)"):
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


# ---- functions that are also methods, settings, paths -----------------------------------------


def test_functions_that_tell_what_methods_tell() -> None:
    x = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    assert torch.get_device(x) == -1 and torch.is_signed(x) and not torch.is_signed(x.byte())
    assert not (torch.is_inference(x) or torch.is_neg(x) or torch.is_distributed(x))
    with torch.inference_mode():
        assert torch.is_inference(torch.ones(1))
    assert torch.resolve_conj(x) is x and torch.resolve_neg(x) is x
    assert torch.resize_as_(torch.ones(4), x).shape == (2, 2)
    assert torch.addmv_(torch.ones(2), x, x[0], beta=2).tolist() == [3.0, 2.0]
    y = x.clone().requires_grad_() * 2
    assert not torch.detach_(y).requires_grad
    assert torch.nonzero_static(x, size=3).tolist() == [[0, 1], [1, 0], [-1, -1]]
    assert torch.nonzero_static(x, size=1, fill_value=7).tolist() == [[0, 1]]
    assert torch.nonzero_static(torch.zeros(0), size=0).shape == (0, 1)
    with pytest.raises(RuntimeError, match="non-negative"):
        torch.nonzero_static(x, size=-1)
    assert torch.equal(reversed(x), x.flip(0)) and reversed(torch.tensor(3)).item() == 3


def test_sizes_and_conditions() -> None:
    assert (torch.sym_int(-3.7), torch.sym_float(2), torch.sym_not(True)) == (-3, 2.0, False)
    assert type(torch.sym_max(3, 2.0)) is float and torch.sym_min(3, 2) == 2
    assert torch.sym_sum([1, 2]) == torch.sym_sum(1, 2) == 3 and torch.sym_sqrt(9) == 3.0
    assert torch.sym_ite(False, 1, 2) == 2
    x = torch.tensor([1.0], requires_grad=True)
    torch.cond(x.sum() > 0, lambda a: a * 3, lambda a: -a, (x,)).backward()
    assert x.grad.item() == 3
    assert torch.cond(False, lambda: 1, lambda: 2) == 2
    with pytest.raises(RuntimeError, match="single-element"):
        torch.cond(torch.ones(2) > 0, lambda: 1, lambda: 2)
    with pytest.raises(RuntimeError, match="Expected pred to be bool"):
        torch.cond("yes", lambda: 1, lambda: 2)


def test_settings_of_files(tmp_path: Path) -> None:
    from flambeau.utils.serialization import config

    torch.save(torch.ones(3), tmp_path / "x.pt")
    assert config.load.mmap is False and config.save.compute_crc32 is True
    with (tmp_path / "x.pt").open("rb") as file:
        config.load.mmap = True
        try:
            with pytest.raises(ValueError, match="must be a file path"):
                torch.load(file)
            assert torch.load(file, mmap=False).sum() == 3
            assert torch.load(tmp_path / "x.pt").sum() == 3
        finally:
            config.load.mmap = False
    torch.serialization.set_crc32_options(False)
    assert config.save.compute_crc32 is False
    config.save.compute_crc32 = True
    assert torch.serialization.get_crc32_options()
    with pytest.raises(AttributeError, match="no setting 'speed'"):
        config.load.speed = 3


def test_leaves_behind_their_paths() -> None:
    pair = namedtuple("pair", "x y")
    tree = {"a": [1, {"b": 2}], "c": pair(3, (4,)), "d": deque([5]), "e": []}
    found, spec = pytree.tree_flatten_with_path(tree)
    assert [(pytree.keystr(way), leaf) for way, leaf in found] == [
        ("['a'][0]", 1), ("['a'][1]['b']", 2), ("['c'].x", 3), ("['c'].y[0]", 4), ("['d'][0]", 5),
    ]  # fmt: skip
    assert spec == pytree.tree_structure(tree) and found == pytree.tree_leaves_with_path(tree)
    doubled = pytree.tree_map_with_path(lambda way, x, y: x + y, tree, tree)
    assert doubled == pytree.tree_map(lambda x: 2 * x, tree)
    assert pytree.tree_leaves_with_path(3) == [((), 3)]
    whole = pytree.tree_flatten_with_path([[1], 2], is_leaf=lambda v: v == [1])[0]
    assert [leaf for _, leaf in whole] == [[1], 2]


def test_gradcheck_is_a_function_in_a_module() -> None:
    from flambeau.autograd.gradcheck import GradcheckError, gradcheck

    assert torch.autograd.gradcheck is gradcheck and issubclass(GradcheckError, RuntimeError)
