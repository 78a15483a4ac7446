"""What is captured, what is not, and that nothing is ever wrong: state that changes between calls,
arrays from elsewhere, values that Python reads, gradients from outside."""

from __future__ import annotations

import copy
import pickle
import random
import tracemalloc
import warnings
from collections.abc import Callable

import numpy as np
import pytest

import flambeau as torch
from flambeau import nn
from flambeau.nn import functional as F


def compiled(f: Callable) -> Callable:
    return torch.compile(f, backend="python")


def same(f: Callable, *calls: tuple) -> Callable:
    """The compiled function, after it gave what the function gives in every call."""
    c = compiled(f)
    for args in calls:
        want, got = f(*args), c(*args)
        if isinstance(want, torch.Tensor):
            want, got = want.detach().numpy(), got.detach().numpy()
        np.testing.assert_allclose(want, got, rtol=1e-6)
    return c


# ---- recaptures ----------------------------------------------------------------------------


def test_new_shapes_dtypes_strides_and_numbers_are_captured_anew() -> None:
    x = torch.randn(4, 3)
    c = same(
        lambda x, k: (x * k).sum(0),
        (x, 2), (x, 2), (x[:2], 2), (x.double(), 2), (x.t(), 2), (x, 3), (x, 2.0), (x, True),
    )  # fmt: skip
    assert len(c.variants) == 7


def test_too_many_ways_run_eagerly_with_a_warning() -> None:
    c = compiled(lambda x: x * 2)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for k in range(12):
            assert c(torch.ones(k)).tolist() == [2] * k
    assert sum("runs eagerly from now on" in str(w.message) for w in said) == 1
    assert "eagerly" in c.explain()


def test_modes_and_flags_are_guarded() -> None:
    net = nn.Dropout(0.5)
    c = compiled(lambda x: net(x) * (2 if torch.is_grad_enabled() else 3))
    x = torch.ones(1000)
    for _ in range(2):
        assert (c(x) == 0).any()
        net.eval()
        assert (c(x) == 2).all()
        with torch.no_grad():
            assert (c(x) == 3).all()
        net.train()
    w = torch.ones(3)
    d = compiled(lambda x: (w * x).requires_grad)
    assert not d(torch.ones(3))
    w.requires_grad_()
    assert d(torch.ones(3))
    w.requires_grad_(False)
    assert not d(torch.ones(3))


def test_closures_globals_and_attributes_that_change_are_seen() -> None:
    scale = 2.0
    table = {"a": torch.ones(3)}
    parts = [torch.ones(3)]

    class Box:
        offset = 1
        k = torch.zeros(3)

    box = Box()

    def f(x: torch.Tensor) -> torch.Tensor:
        return x * scale + table["a"] + sum(parts) + box.offset + box.k

    c = compiled(f)
    x = torch.ones(3)
    for change in (
        lambda: None,
        lambda: table.update(a=torch.full((3,), 5.0)),
        lambda: parts.append(torch.full((3,), 7.0)),
        lambda: setattr(box, "offset", 4),
        lambda: setattr(box, "k", torch.ones(3)),
        lambda: table["a"].add_(1),
    ):
        change()
        for _ in range(2):
            assert c(x).tolist() == f(x).tolist()
    scale = 3.0
    assert c(x).tolist() == f(x).tolist()


def test_replaced_data_is_looked_up_anew() -> None:
    net = nn.Linear(2, 2, bias=False)
    c = compiled(lambda x: net(x))
    for _ in range(4):
        net.weight.data = torch.randn(2, 2)
        x = torch.randn(1, 2)
        assert c(x).tolist() == net(x).tolist()
    assert len(c.variants) == 1
    net.weight = nn.Parameter(torch.zeros(2, 2))
    assert c(x).tolist() == [[0, 0]]


# ---- what is not captured ------------------------------------------------------------------


def test_what_python_does_besides_is_done_at_every_call(capsys: pytest.CaptureFixture) -> None:
    seen: list[float] = []
    count = {"calls": 0}

    def notes(x: torch.Tensor) -> torch.Tensor:
        seen.append(float(x.sum()))
        return x * 2

    def counts(x: torch.Tensor) -> torch.Tensor:
        count["calls"] += 1
        return x * count["calls"]

    def prints(x: torch.Tensor) -> torch.Tensor:
        print("here")
        return x + 1

    def draws(x: torch.Tensor) -> torch.Tensor:
        return x * random.random() + np.random.rand()

    a, b, c, d = map(compiled, (notes, counts, prints, draws))
    x = torch.ones(2)
    for k in range(1, 8):
        assert a(x).tolist() == [2, 2] and len(seen) == k
        assert b(x).tolist() == [k, k]
        c(x)
    assert capsys.readouterr().out.count("here") == 7
    assert len({d(x)[0].item() for _ in range(5)}) == 5
    assert "print()" in c.explain() and "test_capture.py" in c.explain()


def test_arrays_from_elsewhere_are_not_taken_for_constants() -> None:
    data = np.zeros(3, np.float32)

    def shared(x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_numpy(data)

    def copied(x: torch.Tensor) -> torch.Tensor:
        return x + torch.tensor(data)

    def there_and_back(x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(x.numpy() * 2) + x

    fs = [compiled(f) for f in (shared, copied, there_and_back)]
    for k in range(4):
        data[:] = k
        x = torch.full((3,), float(k))
        assert [f(x)[0].item() for f in fs] == [2 * k, 2 * k, 3 * k]


def test_values_that_steer_python_are_read_at_every_call() -> None:
    def f(x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0:
            return x * 2
        return x[int(x.argmin())] - x

    c = same(f, *[(torch.tensor(v),) for v in ([1.0, 2], [-1.0, -2], [3.0, -9], [4.0, 1])])
    assert len(c.variants) == 1 and "test_capture.py" in str(c.explain())


def test_masks_and_places_of_this_call_are_used() -> None:
    def f(x: torch.Tensor, i: torch.Tensor) -> torch.Tensor:
        y = x.clone()
        y[x > 0] = 5.0
        return y[i] + y.gather(0, i) + x[x < 0].sum() + F.one_hot(i, 3).sum(0) + x.prod()

    xs = ([1.0, -2, 3], [-1.0, 2, -3], [0.0, 1, 2])
    same(f, *[(torch.tensor(x), torch.randint(0, 3, (3,))) for x in xs])


READ = {
    "unique": lambda x, m, i: x.unique(),
    "unique_consecutive": lambda x, m, i: torch.unique_consecutive(x),
    "masked_select": lambda x, m, i: x.masked_select(m),
    "a mask": lambda x, m, i: x[m],
    "nonzero": lambda x, m, i: m.nonzero(),
    "nonzero as a tuple": lambda x, m, i: m.nonzero(as_tuple=True)[0],
    "argwhere": lambda x, m, i: torch.argwhere(m),
    "where": lambda x, m, i: torch.where(m)[0],
    "bincount": lambda x, m, i: torch.bincount(i),
    "repeat_interleave": lambda x, m, i: torch.repeat_interleave(i),
    "repeats": lambda x, m, i: x.repeat_interleave(i),
    "one_hot": lambda x, m, i: F.one_hot(i),
    "arange": lambda x, m, i: torch.arange(i[0]),
    "a slice": lambda x, m, i: x[: i[0]],
    "narrow": lambda x, m, i: x.narrow(0, 0, i[0]),
    "expand": lambda x, m, i: torch.ones(1).expand(i[0]),
    "pad": lambda x, m, i: F.pad(x, (i[0], 1)),
    "topk": lambda x, m, i: x.topk(int(i[0]) + 1)[0],
    "equal": lambda x, m, i: x if torch.equal(x, x.abs()) else x[:2],
    "text": lambda x, m, i: torch.ones(len(f"{x.sum():.1f}")),
    "sorted": lambda x, m, i: torch.ones(1 + int(sorted(i)[-1])),
    "range": lambda x, m, i: torch.ones(len(range(i[0] + 1))),
}


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("backend", ["inductor", "python"])
def test_shapes_that_depend_on_elements_are_those_of_this_call(name: str, backend: str) -> None:
    def drawn(k: int) -> tuple:
        torch.manual_seed(k)
        return torch.randint(-2, 3, (6,)).float(), torch.rand(6) > 0.5, torch.randint(0, 4, (6,))

    f = READ[name]
    itself = torch.compile(lambda *args: f(*args), backend=backend)
    shape_only = torch.compile(lambda *args: torch.zeros(f(*args).shape), backend=backend)
    for k in range(4):
        want = f(*drawn(k))
        assert itself(*drawn(k)).tolist() == want.tolist()
        assert shape_only(*drawn(k)).shape == want.shape


def test_arguments_that_are_state_or_gradients_are_only_so_where_they_are_again() -> None:
    w = torch.ones(3, requires_grad=True)
    w.grad = torch.ones(3)
    plus = torch.compile(lambda a: a + w.detach())
    graded = torch.compile(lambda a: a + w.grad)
    for a in (w.detach(), w.detach(), torch.full((3,), 5.0), w.detach()):
        assert plus(a).tolist() == (a + w).tolist()
    for a in (w.grad, w.grad, torch.full((3,), 5.0), w.grad):
        assert graded(a).tolist() == (a + w.grad).tolist()


def test_pieces_of_one_memory_among_the_arguments() -> None:
    def f(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        a.add_(1)
        return b * 2

    c = torch.compile(f)
    for _ in range(3):
        whole = torch.arange(6.0)
        assert c(whole, whole[2:]).tolist() == [6, 8, 10, 12]
        assert c(whole, whole.clone()).tolist() == [2, 4, 6, 8, 10, 12]
        assert c(whole[:3], whole[3:]).tolist() == [10, 12, 14]
    assert len(c.variants) == 3


def test_views_of_a_result_keep_its_memory() -> None:
    c = torch.compile(lambda a: a * 2)
    rows = [c(torch.full((4, 3), float(k)).t()).numpy()[1:] for k in range(6)]
    assert [r[0, 0] for r in rows] == [0, 2, 4, 6, 8, 10]


def test_written_tensors_that_read_each_other() -> None:
    def swap(a: torch.Tensor, b: torch.Tensor) -> None:
        t = a.clone()
        a.copy_(b)
        b.copy_(t.t())

    def turned(a: torch.Tensor, b: torch.Tensor) -> None:
        a.copy_(a.t())
        b[1:].copy_(b[:-1].clone())

    for f in (swap, turned):
        c = torch.compile(f)
        for _ in range(3):
            a, b = torch.randn(5, 5), torch.randn(5, 5)
            p, q = a.clone(), b.clone()
            f(a, b), c(p, q)
            assert torch.equal(a, p) and torch.equal(b, q)


def test_an_error_within_a_program_leaves_what_eager_leaves() -> None:
    total = torch.zeros(3)

    def f(a: torch.Tensor, n: torch.Tensor) -> torch.Tensor:
        total.add_(torch.rand(3))
        return a // n

    c = torch.compile(f)
    seen = []
    for g in (f, c):
        torch.manual_seed(0)
        total.zero_()
        for n in (1, 2, 3, 0, 4):
            try:
                g(torch.arange(3), torch.tensor(n))
            except RuntimeError as error:
                assert "ZeroDivisionError" in str(error)
        seen.append((total.tolist(), torch.get_rng_state().tolist()))
    assert seen[0] == seen[1] and c.variants


def test_hooks_that_come_and_go() -> None:
    w = torch.ones(2, requires_grad=True)

    def f(x: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad((w * x).sum(), w)[0]

    c = torch.compile(f)
    for _ in range(3):
        assert c(torch.ones(2)).tolist() == [1, 1]
    handle = w.register_hook(lambda g: g * 5)
    assert c(torch.ones(2)).tolist() == [5, 5]
    handle.remove()
    assert c(torch.ones(2)).tolist() == [1, 1]


def test_a_batch_norm_that_does_not_train_is_captured() -> None:
    net = nn.BatchNorm1d(3).eval()
    c = torch.compile(net)
    for _ in range(3):
        x = torch.randn(4, 3)
        np.testing.assert_allclose(c(x).detach().numpy(), net(x).detach().numpy(), rtol=1e-5)
    assert len(c._compiled.variants) == 1


def test_a_tensor_kept_elsewhere_is_made_at_every_call() -> None:
    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.last = x * 2
            return self.last + 1

    net = Net()
    c = torch.compile(net, backend="python")
    for k in range(7):
        c(torch.full((2,), float(k)))
        assert net.last.tolist() == [2 * k, 2 * k]


def test_errors_pass_through() -> None:
    def f(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if x.shape[0] == 3:
            raise KeyError("three")
        return x @ y

    c = compiled(f)
    with pytest.raises(KeyError, match="three"):
        c(torch.ones(3, 3), torch.ones(3, 3))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        c(torch.ones(2, 3), torch.ones(2, 3))
    assert c(torch.ones(2, 2), torch.ones(2, 2)).tolist() == [[2, 2], [2, 2]]


# ---- numbers that are returned -------------------------------------------------------------


def test_numbers_that_are_only_returned() -> None:
    def inner(x: torch.Tensor) -> float:
        return x.sum().item()

    def f(x: torch.Tensor) -> dict:
        total = inner(x)
        top = x.max().item()
        y = x + 1
        return {"sum": total, "rest": (top, 3), "y": y}

    c = compiled(f)
    for k in range(3):
        got = c(torch.tensor([1.0, k]))
        assert got["sum"] == 1 + k and got["rest"] == (max(1, k), 3)
        assert type(got["sum"]) is float
    assert len(c.variants) == 1
    d = compiled(lambda x: x.sum().item() * 2)
    assert [d(torch.tensor([k])) for k in (1, 2, 3)] == [2, 4, 6] and not d.variants


# ---- gradients from outside ----------------------------------------------------------------


def test_a_module_in_a_larger_graph() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 2))
    c = torch.compile(net, backend="python")
    heard = []
    for k in range(4):
        grads = []
        for f in (net, c):
            x = torch.linspace(-1, k + 1, 12).reshape(3, 4).requires_grad_()
            h = x * 2
            h.register_hook(lambda g: heard.append(1))
            (f(h).square().sum() + h.sum()).backward()
            grads.append([x.grad, *[p.grad for p in net.parameters()]])
            net.zero_grad()
        for a, b in zip(*grads, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-6)
    assert len(heard) == 8 and len(c._compiled.variants) == 1
    assert list(c.state_dict()) == [f"_orig_mod.{n}" for n in net.state_dict()]
    assert not c.eval().training and not net.training


def test_a_result_that_no_gradient_reached_gives_none() -> None:
    a, b = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    c = compiled(lambda x: (a * x, b * x))
    for _ in range(3):
        a.grad = b.grad = None
        c(torch.ones(2))[0].sum().backward()
        assert a.grad.tolist() == [1, 1] and b.grad is None


def test_the_way_back_is_gone_once_and_not_differentiable() -> None:
    w = torch.ones(2, requires_grad=True)
    c = compiled(lambda x: (w * w * x).exp())
    x = torch.ones(2)
    c(x)
    y = c(x).sum()
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        y.backward()
    with pytest.raises(RuntimeError, match="does not currently support double backward"):
        torch.autograd.grad(c(x).sum(), w, create_graph=True)
    y = c(x)
    with torch.no_grad():
        w.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    with torch.no_grad():
        assert not c(x).requires_grad


def test_results_alias_what_they_alias_eagerly() -> None:
    w = nn.Parameter(torch.ones(2, 3))
    c = compiled(lambda x: (x, w, x[0], x.t(), x.add_(1), w.detach()))
    for _ in range(3):
        x = torch.zeros(2, 3)
        a, b, row, turned, again, bare = c(x)
        assert a is x and b is w and again is x
        x.fill_(9)
        assert row.tolist() == [9] * 3 and turned.shape == (3, 2) and turned[0, 0] == 9
        assert bare.data_ptr() == w.data_ptr() and row._base is x
    y, z = compiled(lambda x: (lambda y: (y, y.view(-1)))(x * 2))(torch.ones(2, 2))
    y.fill_(3)
    assert z.tolist() == [3] * 4


def test_a_kept_gradient_is_not_changed_later() -> None:
    w = torch.ones(2, requires_grad=True)

    def step(x: torch.Tensor) -> None:
        w.grad = None
        (w * x).sum().backward()

    c = torch.compile(step)
    kept = []
    for k in range(5):
        c(torch.full((2,), float(k)))
        kept.append(w.grad)
    assert [g.tolist() for g in kept] == [[k, k] for k in range(5)]


# ---- the ways to ask for it ----------------------------------------------------------------


def test_decorators_methods_and_nesting() -> None:
    @torch.compile(backend="python")
    def double(x: torch.Tensor) -> torch.Tensor:
        """Twice."""
        return x * 2

    class Thing:
        k = 3

        @torch.compile
        def scaled(self, x: torch.Tensor) -> torch.Tensor:
            return double(x) * self.k

    assert double.__name__ == "double" and double.__doc__ == "Twice."
    thing = Thing()
    for _ in range(3):
        assert thing.scaled(torch.ones(2)).tolist() == [6, 6]
    thing.k = 4
    assert thing.scaled(torch.ones(2)).tolist() == [8, 8]
    net = nn.Linear(2, 2)
    net.compile(backend="python")
    x = torch.randn(1, 2)
    for _ in range(3):
        assert net(x).tolist() == F.linear(x, net.weight, net.bias).tolist()
    assert torch.compile(net, disable=True) is net


# ---- memory --------------------------------------------------------------------------------


def test_to_record_takes_no_more_memory_than_to_run() -> None:
    x = torch.randn(1 << 20)

    def chain(x: torch.Tensor) -> torch.Tensor:
        for _ in range(40):
            x = (x + 1.0) * 0.5
        return x

    tracemalloc.start()
    try:
        compiled(chain)(x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * x.nbytes  # all that the 80 operations make would be 80 times


def test_a_view_outlives_the_tensor_it_was_made_from() -> None:
    def f(x: torch.Tensor) -> torch.Tensor:
        piece = (x * 2.0).view(2, 3)[1]
        for _ in range(20):
            x = x + 1.0  # new arrays, perhaps at the same addresses and with the same ids
        piece.add_(x[:3])
        return piece + x[3:]

    same(f, *[(torch.randn(6),) for _ in range(4)])


def test_hooks_of_modules_come_and_go() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    c = compiled(net)
    seen: list[torch.Tensor] = []
    every = nn.modules.module.register_module_forward_hook

    def agrees() -> None:
        for _ in range(3):
            x = torch.randn(2, 2)
            assert torch.allclose(c(x), net(x))

    agrees()
    for register, hook in (
        (net[0].register_forward_hook, lambda m, i, o: o * 2),
        (net[2].register_forward_pre_hook, lambda m, i: (i[0] + 1,)),
        (net[1].register_forward_hook, lambda m, i, o: seen.append(o.detach())),
        (every, lambda m, i, o: o + 1),
    ):
        handle = register(hook)
        agrees()
        handle.remove()
        agrees()
    assert len(seen) == 6
    net.scales = [1.0, 2.0]
    net[1].forward = lambda x: x * net.scales[0]
    agrees()
    net.scales[0] = 3.0
    agrees()


def test_results_that_depend_on_each_other_keep_their_places_in_the_graph() -> None:
    w = torch.arange(3.0, requires_grad=True)

    def f(x: torch.Tensor) -> tuple:
        h = x * w
        return h, (h**2).sum(), h.exp().sum() + w.sum()

    c = compiled(f)
    for k in range(1, 5):
        found = []
        for g in (f, c):
            w.grad = None
            h, a, b = g(torch.full((3,), k / 4))
            found.append(list(torch.autograd.grad(a + b, [h, w], retain_graph=True)))
            h.retain_grad()
            h.register_hook(lambda g: g * 2)
            (a + b + h.sum()).backward()
            found[-1] += [h.grad, w.grad]
        for one, other in zip(*found, strict=True):
            assert torch.allclose(one, other)
    assert len(c.variants) == 1


def test_a_graph_from_outside_is_not_taken_into_the_program() -> None:
    w = torch.arange(3.0, requires_grad=True)
    c = compiled(lambda loss: torch.autograd.grad(loss * 2, [w])[0])
    for power in (2, 3, 2, 4):
        loss = (w**power).sum()
        assert torch.allclose(c(loss), 2 * power * w.detach() ** (power - 1))
    assert "from outside" in c.explain()


def test_copies_and_pickles_are_functions_of_their_own() -> None:
    net = nn.Linear(2, 2)
    c = torch.compile(net, backend="python")
    x = torch.ones(1, 2)
    want = net(x).tolist()
    for _ in range(3):
        c(x)
    others = [copy.deepcopy(c), pickle.loads(pickle.dumps(c))]
    with torch.no_grad():
        net.weight.zero_()
    for other in others:
        assert [other(x).tolist() for _ in range(3)] == [want] * 3
    assert c(x).tolist() == [net.bias.tolist()]
    assert pickle.loads(pickle.dumps(doubled)) is doubled


@torch.compile(backend="python")
def doubled(x: torch.Tensor) -> torch.Tensor:
    return x * 2


def test_autocast_around_the_call_is_in_the_program() -> None:
    net = nn.Linear(3, 2)
    c = compiled(net)
    for _ in range(3):
        x = torch.randn(4, 3)
        for kind in (torch.bfloat16, torch.float16):
            with torch.autocast("cpu", dtype=kind):
                got, want = c(x), net(x)
                assert got.dtype == want.dtype == kind
            assert torch.allclose(got.float(), want.float(), atol=0.02)
            net.zero_grad()
            got.float().sum().backward()
            assert net.weight.grad.dtype == torch.float32
        assert torch.allclose(c(x), net(x))
    under = c._compiled.under if hasattr(c, "_compiled") else c.under
    assert sorted(len(inner.variants) for inner in under.values()) == [1, 1]


slope = 2.0


@torch.no_grad()
def sloped(x: torch.Tensor) -> torch.Tensor:
    return x * slope


def test_what_a_wrapped_function_reads_is_guarded() -> None:
    global slope
    steep = 1.0
    c, g = compiled(sloped), compiled(torch.func.grad(lambda x: (x * steep * slope).sum()))
    for k in range(1, 6):
        slope, steep = float(k), k / 2
        for _ in range(2):
            assert c(torch.ones(1)).item() == k
            assert g(torch.ones(1)).item() == k * k / 2
    slope = 2.0


def test_detached_results_bring_no_graph() -> None:
    w = torch.arange(3.0, requires_grad=True)

    def attack(x: torch.Tensor, eps: float) -> tuple:
        x = x.clone().requires_grad_()
        (g,) = torch.autograd.grad((x * w).exp().sum(), x)
        moved = (x * g).exp()
        return moved.detach(), moved.detach().exp().detach(), (x * w).detach() + eps

    c = compiled(attack)
    for k in range(4):
        x = torch.randn(3)
        for a, b in zip(attack(x, k / 10), c(x, k / 10), strict=True):
            assert torch.allclose(a, b) and not b.requires_grad
    assert len(c.variants) == 2 and not c.eager, c.explain()
