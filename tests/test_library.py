"""Operators of one's own: torch.library, torch.ops; and what libraries look up about torch."""

from __future__ import annotations

import importlib
import subprocess
import sys
import typing
from collections import namedtuple

import pytest

import flambeau as torch
from flambeau import library
from flambeau._higher_order_ops import associative_scan
from flambeau.utils import _pytree as pytree


@pytest.fixture
def scaled():
    @library.custom_op("own::scaled", mutates_args=())
    def scaled(x: torch.Tensor, n: int = 2, *, shift: float = 0.0) -> torch.Tensor:
        return x * n + shift

    return scaled


def test_a_custom_operator_is_called_by_name_and_without_gradient(scaled) -> None:
    x = torch.ones(2, requires_grad=True)
    assert torch.ops.own.scaled(x, 3, shift=1.0).tolist() == [4.0, 4.0]
    assert torch.ops.own.scaled.default._schema == (
        "own::scaled(Tensor x, SymInt n=2, *, float shift=0.0) -> Tensor"
    )
    assert torch.ops.own.scaled.overloads() == ["default"]
    y = scaled(x)
    assert y.grad_fn.name() == "GeneratedBackwardFor_own_scaled_defaultBackward"
    with pytest.raises(RuntimeError, match="no autograd formula was registered"):
        y.sum().backward()


def test_its_gradient_gets_defaults_and_keywords(scaled) -> None:
    seen = []

    def save(ctx, inputs, keyword_only_inputs, output) -> None:
        seen.append((inputs[1], keyword_only_inputs))
        ctx.n = inputs[1]

    scaled.register_autograd(lambda ctx, g: (g * ctx.n, None), setup_context=save)
    x = torch.ones(2, requires_grad=True)
    scaled(x).sum().backward()
    assert seen == [(2, {"shift": 0.0})] and x.grad.tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("args", "keywords", "message"),
    [
        ((1,), {}, "Expected a value of type 'Tensor' for argument 'x'"),
        ((torch.ones(1), 1.5), {}, "Expected a value of type 'int' for argument 'n'"),
        ((), {}, "missing value for argument 'x'"),
        ((torch.ones(1),), {"m": 1}, "Unknown keyword argument 'm'"),
        ((torch.ones(1), 1, 2), {}, "expected at most 2 argument"),
    ],
)
def test_arguments_are_held_to_the_schema(scaled, args, keywords, message) -> None:
    with pytest.raises(RuntimeError, match=message):
        scaled(*args, **keywords)


def test_lists_mutation_aliases_and_batches() -> None:
    @library.custom_op("own::added", mutates_args=())
    def added(xs: list[torch.Tensor]) -> torch.Tensor:
        return xs[0] + xs[1]

    added.register_autograd(lambda ctx, g: ([g, g * 2],))
    a, b = (torch.zeros(2, requires_grad=True) for _ in range(2))
    added([a, b]).sum().backward()
    assert a.grad.tolist() == [1.0, 1.0] and b.grad.tolist() == [2.0, 2.0]

    @library.custom_op("own::same", mutates_args=())
    def same(x: torch.Tensor) -> torch.Tensor:
        return x.view(-1)

    with pytest.raises(RuntimeError, match="may not alias any inputs"):
        same(a)

    @library.custom_op("own::bump", mutates_args={"x"})
    def bump(x: torch.Tensor) -> None:
        x.add_(1)

    c = torch.zeros(2)
    bump(c)
    assert c.tolist() == [1.0, 1.0]
    bump.register_vmap(lambda info, in_dims, x: (x + info.batch_size, in_dims[0]))
    assert torch.vmap(bump)(torch.zeros(3, 1)).tolist() == [[3.0]] * 3


def test_a_library_defines_by_schema() -> None:
    own = library.Library("textual", "DEF")
    own.define('cube(Tensor x, str s="a,b", int[] k=[1,2]) -> Tensor')
    with pytest.raises(NotImplementedError, match="Could not run 'textual::cube'"):
        torch.ops.textual.cube(torch.ones(1))
    own.impl("cube", lambda x, s, k: x**3 * len(s) * len(k), "CompositeImplicitAutograd")
    x = torch.full((1,), 2.0, requires_grad=True)
    torch.ops.textual.cube(x).backward()
    assert x.grad.item() == 3 * 4 * 3 * 2
    with pytest.raises(RuntimeError, match="same name and overload name multiple times"):
        own.define("cube(Tensor x) -> Tensor")
    with pytest.raises(RuntimeError, match="Only a single TORCH_LIBRARY"):
        library.Library("textual", "DEF")
    with pytest.raises(ValueError, match="Unsupported kind: FOO"):
        library.Library("textual", "FOO")
    with pytest.raises(NotImplementedError, match="'AutogradCPU' are not supported"):
        own.impl("cube", lambda x: x, "AutogradCPU")
    with pytest.raises(RuntimeError, match="operator textual::no does not exist"):
        library.register_autograd("textual::no", lambda ctx, g: g)
    own._destroy()
    with pytest.raises(AttributeError, match="'textual' object has no attribute 'cube'"):
        _ = torch.ops.textual.cube


def test_what_is_registered_early_waits_for_the_definition() -> None:
    library.register_fake("early::op", lambda x: x.new_empty(7))
    library.define("early::op", "(Tensor x) -> Tensor")
    library.impl("early::op", "cpu", lambda x: x + 1)
    assert torch.ops.early.op(torch.ones(1)).tolist() == [2.0]
    assert torch.ops.early.op(torch.ones(1, device="meta")).shape == (7,)


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (dict, "unsupported type <class 'dict'>"),
        (typing.Union[int, float], "unsupported type"),  # noqa: UP007
    ],
)
def test_a_schema_needs_known_types(annotation, message) -> None:
    def f(x) -> None: ...

    with pytest.raises(ValueError, match="must have a type annotation"):
        library.infer_schema(f)
    f.__annotations__["x"] = annotation
    with pytest.raises(ValueError, match=message):
        library.infer_schema(f)


def test_pytorchs_own_operators_are_flambeaus_functions() -> None:
    x = torch.arange(6.0).reshape(2, 3)
    aten = torch.ops.aten
    assert torch.equal(aten.add(x, x), x + x) and torch.equal(aten.mm.default(x, x.t()), x @ x.t())
    assert aten.slice.Tensor(x, 1, 1, 3).tolist() == [[1.0, 2.0], [4.0, 5.0]]
    assert aten.index.Tensor(x, [None, torch.tensor([2])]).tolist() == [[2.0], [5.0]]
    assert aten._to_copy.default(x, dtype=torch.int64).dtype is torch.int64
    assert aten.linalg_norm(x).item() == pytest.approx(55**0.5)
    assert {aten.clone.default: 1}[aten.clone.default] == 1
    with pytest.raises(AttributeError, match="'aten' object has no attribute 'no_such'"):
        _ = aten.no_such
    with pytest.raises(OSError, match="Could not load this library: there.so"):
        torch.ops.load_library("there.so")


def test_under_the_alias_torch_is_a_package_that_is_installed() -> None:
    code = """
import flambeau.compat; flambeau.compat.install()
import importlib.metadata as metadata, importlib.util, torch
assert metadata.version("torch") == torch.__version__, metadata.version("torch")
assert metadata.metadata("torch")["Name"] == "torch"
assert "torch" in metadata.packages_distributions()["torch"]
assert any(d.metadata["Name"] == "torch" for d in metadata.distributions())
assert importlib.util.find_spec("torch") is not None
assert torch.__name__ == "torch" and torch.torch is torch
import torch.nn, torch.utils.model_zoo, torch._tensor_str, torch._custom_ops
import torch.fx.experimental.proxy_tensor, torch.onnx.symbolic_opset11, torch.jit.annotations
import torch._subclasses.fake_tensor, torch.distributed.tensor.placement_types
flambeau.compat.uninstall()
try:
    metadata.version("torch")
    there = importlib.util.find_spec("torch") is not None
except metadata.PackageNotFoundError:
    there = True
assert there and flambeau.__name__ == "flambeau"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_type_hints_of_modules_can_be_read() -> None:
    class Own(torch.nn.Linear):
        config: int

    assert typing.get_type_hints(Own)["config"] is int


def test_containers_are_found_by_type() -> None:
    pair = namedtuple("pair", "a b")
    assert pytree._get_node_type(pair(1, 2)) is namedtuple
    assert pytree.SUPPORTED_NODES[dict].flatten_fn({"a": 1}) == ([1], ["a"])
    leaves, spec = pytree.tree_flatten({"x": [1, pair(2, (3,))]})
    assert leaves == [1, 2, 3] and pytree.tree_unflatten(leaves, spec) == {"x": [1, pair(2, (3,))]}
    paths = pytree.tree_leaves_with_path({"x": [1, pair(2, (3,))]})
    assert [pytree.keystr(p) for p, _ in paths] == ["['x'][0]", "['x'][1].a", "['x'][1].b[0]"]


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 11])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_of_sums_and_of_recurrences(n: int, reverse: bool) -> None:
    x = torch.arange(2.0 * n).reshape(2, n).requires_grad_()
    y = associative_scan(torch.add, x, 1, reverse=reverse)
    flip = (lambda t: t.flip(1)) if reverse else (lambda t: t)
    wanted = flip(flip(x).cumsum(1))
    assert torch.equal(y, wanted)
    decays = torch.linspace(0.5, 0.9, n)[:, None].expand(n, 2)
    pairs = associative_scan(
        lambda a, b: (a[0] * b[0], b[0] * a[1] + b[1]), (decays, x.t()), 0, combine_mode="generic"
    )
    state = torch.zeros(2)
    for i in range(n):
        state = decays[i] * state + x.t()[i]
        torch.testing.assert_close(pairs[1][i], state)
    if n:
        y.sum().backward()
        counts = torch.arange(1.0, n + 1)
        assert torch.equal(x.grad[0], counts if reverse else counts.flip(0))


def test_a_scan_says_what_is_wrong() -> None:
    with pytest.raises(RuntimeError, match="at least 1 xs leaf"):
        associative_scan(torch.add, [], 0)
    with pytest.raises(RuntimeError, match="3, 2"):
        associative_scan(lambda a, b: a, (torch.ones(3), torch.ones(2)), 0)
    with pytest.raises(ValueError, match="Combine_mode"):
        associative_scan(torch.add, torch.ones(3), 0, combine_mode="x")


def test_an_optimizer_that_wraps_another_steps() -> None:
    class Wrapping(torch.optim.Optimizer):
        def __init__(self, inner: torch.optim.Optimizer) -> None:
            self.inner = inner

        def step(self, closure: object = None) -> None:
            self.inner.step()

    p = torch.ones(1, requires_grad=True)
    p.grad = torch.ones(1)
    Wrapping(torch.optim.SGD([p], 0.5)).step()
    assert p.item() == 0.5


def test_what_to_is_asked_for() -> None:
    parse = torch._C._nn._parse_to
    assert parse("cpu", non_blocking=True) == (torch.device("cpu"), None, True, None)
    assert parse(torch.float64)[:2] == (None, torch.float64)


def test_what_needs_rpc_can_be_decorated() -> None:
    api = importlib.import_module("flambeau.distributed.rpc.api")
    assert torch.distributed.is_available()
    with pytest.raises(RuntimeError, match="RPC has not been initialized"):
        api._require_initialized(lambda: 1)()


def test_placements_describe_and_divergences_take_foreign_classes() -> None:
    from_tensor = importlib.import_module("flambeau.distributed.tensor.placement_types")
    shard, replicate = from_tensor.Shard(0), from_tensor.Replicate()
    assert shard == from_tensor.Shard(0) and shard.is_shard(0) and not replicate.is_shard()
    assert [str(p) for p in (shard, replicate, from_tensor.Partial())] == ["S(0)", "R", "P(sum)"]

    class Foreign:
        pass

    kl = torch.distributions.kl
    kl.register_kl(torch.distributions.Normal, Foreign)(lambda p, q: 5)
    assert kl.kl_divergence(torch.distributions.Normal(0.0, 1.0), Foreign()) == 5
    with pytest.raises(TypeError):
        kl.register_kl(3, Foreign)
