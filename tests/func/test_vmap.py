"""vmap: the same numbers as a loop over examples, whatever is mapped, nested or differentiated."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest

import flambeau as torch
from flambeau.func import functional_call, grad, hessian, jacfwd, jacrev, stack_module_state, vmap

F = torch.nn.functional
SIZE = 4


def close(a: torch.Tensor, b: torch.Tensor, atol: float = 1e-5) -> None:
    assert a.dtype is b.dtype
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-4, atol=atol)


def looped(f: Callable, args: tuple, in_dims: tuple) -> list[torch.Tensor]:
    rows = []
    for i in range(SIZE):
        r = f(*[a if d is None else a.select(d, i) for a, d in zip(args, in_dims, strict=True)])
        rows.append(r if isinstance(r, tuple) else (r,))
    return [torch.stack(column) for column in zip(*rows, strict=True)]


def real(*shape: int) -> torch.Tensor:
    return torch.randn(SIZE, *shape)


def places(high: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, high, (SIZE, *shape))


INDEX = torch.tensor([2, 0, 1])
# Functions of one example, with inputs for all of them. Every input is mapped, then each alone.
CASES: dict[str, tuple[Callable, Callable[[], tuple]]] = {
    "unary": (lambda a: a.tanh().exp(), lambda: (real(3),)),
    "scalars": (lambda a, b: a * b + 2 / a, lambda: (real(), real())),
    "ranks": (lambda a, b: a * b - b, lambda: (real(3), real(2, 3))),
    "promotion": (lambda a, b: a * b, lambda: (real(3), real().double())),
    "compare": (lambda a, b: (a > b) & (a < 2), lambda: (real(3), real())),
    "where": (lambda c, a, b: torch.where(c > 0, a, b), lambda: (real(3), real(), real(2, 3))),
    "clamp": (lambda a: a.clamp(-0.5, 0.5).masked_fill(a > 0.2, 9.0), lambda: (real(3),)),
    "sum": (lambda a: (a.sum(), a.sum(0), a.mean((0, -1)), a.sum(1, keepdim=True)),
            lambda: (real(2, 3, 4),)),
    "sum of a scalar": (lambda a: (a.sum(), a.mean(), a.sum(0)), lambda: (real(),)),
    "extremes": (lambda a: (a.max(), *a.max(1), a.amin((0, 1)), a.argmax(), a.argmin(-1)),
                 lambda: (real(2, 3),)),
    "truth": (lambda a: ((a > 0).any(), (a > 0).all(1), (a > 0).sum()), lambda: (real(2, 3),)),
    "moments": (lambda a: (a.var(), a.std(0), a.norm(), a.logsumexp(0)), lambda: (real(3, 4),)),
    "scans": (lambda a: (a.cumsum(0), a.cumprod(-1), a.sort(1)[0], *a.topk(2)),
              lambda: (real(3, 4),)),
    "softmax": (lambda a: (a.softmax(0), a.log_softmax(-1)), lambda: (real(3, 4),)),
    "views": (lambda a: (a.t(), a[1], a[:, 1:], a.reshape(6), a.unsqueeze(0), a.permute(1, 0)),
              lambda: (real(2, 3),)),
    "stretched": (lambda a: (a.expand(2, 3), a.unsqueeze(-1).squeeze(), a.repeat(2, 2), a.flip(0)),
                  lambda: (real(3),)),
    "pieces": (lambda a: (*a.split(2), *a.unbind(1), a.diagonal(), a.unfold(0, 2, 1)),
               lambda: (real(4, 3),)),
    "joined": (lambda a, b: (torch.cat([a, b]), torch.stack([a, b], 1)),
               lambda: (real(3), real(3))),
    "triangles": (lambda a: (a.tril(), a.triu(1), a.trace(), torch.diag(a)), lambda: (real(3, 3),)),
    "mm": (lambda a, b: a @ b, lambda: (real(2, 3), real(3, 2))),
    "mv": (lambda a, b: (a @ b, b @ a.t(), b @ b), lambda: (real(2, 3), real(3))),
    "bmm": (lambda a, b: (a @ b, torch.einsum("bij,bjk->bik", a, b)),
            lambda: (real(5, 2, 3), real(5, 3, 2))),
    "linear": (F.linear, lambda: (real(2, 3), real(5, 3), real(5))),
    "linear of a vector": (F.linear, lambda: (real(3), real(5, 3), real(5))),
    "addmm": (lambda c, a, b: torch.addmm(c, a, b, beta=0.5, alpha=2),
              lambda: (real(2), real(2, 3), real(3, 2))),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, padding=1, stride=2),
               lambda: (real(2, 3, 5, 5), real(4, 3, 3, 3), real(4))),
    "conv of one image": (lambda x, w: F.conv1d(x, w, groups=2),
                          lambda: (real(4, 6), real(2, 2, 3))),
    "conv_transpose": (lambda x, w: F.conv_transpose2d(x, w, stride=2),
                       lambda: (real(1, 3, 4, 4), real(3, 2, 2, 2))),
    "pools": (lambda x: (F.max_pool2d(x, 2), F.avg_pool2d(x, 2), F.adaptive_avg_pool2d(x, 1)),
              lambda: (real(2, 3, 4, 4),)),
    "norms": (lambda x, w, b: (F.layer_norm(x, (4,), w, b), F.group_norm(x, 1)),
              lambda: (real(2, 4, 4), real(4), real(4))),
    "batch_norm": (lambda x: F.batch_norm(x, None, None, training=True), lambda: (real(5, 3),)),
    "attention": (lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
                  lambda: (real(1, 2, 3, 4), real(1, 2, 3, 4), real(1, 2, 3, 4))),
    "index": (lambda a, i: (a[i], a[i, i], a[:, INDEX], a.index_select(0, i), a[i[0]]),
              lambda: (real(3, 3), places(3, 2))),
    "gather": (lambda a, i: (a.gather(1, i), a.scatter(1, i, 5.0), a.scatter_add(1, i, a)),
               lambda: (real(2, 3), INDEX.expand(SIZE, 2, 3))),
    "embedding": (lambda i, w: F.embedding(i, w), lambda: (places(5, 2, 3), real(5, 2))),
    "cross_entropy": (lambda x, y: (F.cross_entropy(x, y), F.cross_entropy(x, y, reduction="sum")),
                      lambda: (real(3, 5), places(5, 3))),
    "cross_entropy of one": (F.cross_entropy, lambda: (real(5), places(5))),
    "cross_entropy, weights": (
        lambda x, y: F.cross_entropy(x, y, torch.tensor([1.0, 2, 3, 4, 5]), ignore_index=2),
        lambda: (real(3, 5), torch.tensor([[0, 1, 2], [3, 4, 2], [2, 2, 1], [0, 0, 4]]))),
    "losses": (lambda a, b: (F.mse_loss(a, b), F.l1_loss(a, b, reduction="none"),
                             F.smooth_l1_loss(a, b, reduction="sum"),
                             F.binary_cross_entropy_with_logits(a, b)),
               lambda: (real(2, 3), real(2, 3))),
    "linalg": (lambda a: (torch.linalg.inv(a @ a.mT + torch.eye(3)), torch.linalg.det(a),
                          torch.linalg.cholesky(a @ a.mT + torch.eye(3))), lambda: (real(3, 3),)),
    "fft": (lambda a: torch.fft.rfft(a).abs(), lambda: (real(8),)),
    "padding": (lambda a: (F.pad(a, (1, 2)), F.pad(a, (1, 1), mode="replicate")),
                lambda: (real(2, 3),)),
    "no rule": (lambda a, b: (torch.kron(a, b), a.cummax(0)[0], torch.cdist(a, b)),
                lambda: (real(2, 3), real(2, 3))),
    "similarity": (lambda a, b: F.cosine_similarity(a, b, 0), lambda: (real(3), real(3))),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("name", CASES)
def test_it_is_a_loop_over_examples(name: str) -> None:
    torch.manual_seed(0)
    f, make = CASES[name]
    args = make()
    choices = [(0,) * len(args)]
    if len(args) > 1:
        choices += [
            tuple(0 if j == i else None for j in range(len(args))) for i in range(len(args))
        ]
    for in_dims in choices:
        given = tuple(a if d == 0 else a[1] for a, d in zip(args, in_dims, strict=True))
        found = vmap(f, in_dims=in_dims)(*given)
        found = found if isinstance(found, tuple) else (found,)
        for a, b in zip(found, looped(f, given, in_dims), strict=True):
            close(a, b)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_a_loop_inside_and_outside(name: str) -> None:
    torch.manual_seed(1)
    f, make = CASES[name]
    args = make()
    floating = tuple(i for i, a in enumerate(args) if a.is_floating_point())

    def number(*xs: torch.Tensor) -> torch.Tensor:
        r = f(*xs)
        parts = [p for p in (r if isinstance(r, tuple) else (r,)) if p.is_floating_point()]
        if not parts:
            return xs[0].sum()
        return sum((p * p.detach().cos()).sum() for p in parts)

    inside = vmap(grad(number, argnums=floating))(*args)
    for a, b in zip(inside, looped(grad(number, floating), args, (0,) * len(args)), strict=True):
        close(a, b, 1e-4)
    leaves = [a.clone().requires_grad_(i in floating) for i, a in enumerate(args)]
    vmap(number)(*leaves).sum().backward()
    for i, b in zip(floating, inside, strict=True):
        found = leaves[i].grad
        close(torch.zeros_like(b) if found is None else found, b, 1e-4)


# ---- where the dimension is, nesting, chunks ---------------------------------------


def test_dimensions_may_be_anywhere_and_nested() -> None:
    a, b = torch.randn(3, 2), torch.randn(5, 3)
    close(vmap(torch.mul, in_dims=(0, 1), out_dims=1)(a[:, 0], b), b * a[:, 0])
    close(vmap(lambda x: x.sin(), in_dims=-1, out_dims=-1)(a), a.sin())
    f = lambda d, y: {"s": d["x"] + y[0], "n": [d["x"] * 2]}
    out = vmap(f, in_dims=({"x": 0}, [None]), out_dims={"s": 1, "n": [0]})({"x": a}, [b[0, :2]])
    close(out["s"], (a + b[0, :2]).t())
    close(out["n"][0], a * 2)
    pairs = vmap(lambda x: vmap(lambda y: x @ y)(b))(b)
    close(pairs, b @ b.t())
    close(vmap(vmap(torch.add, in_dims=(0, None)), in_dims=(None, 0))(a[:, 0], a[:, 1]),
          a[:, 1:] + a[:, 0])  # fmt: skip
    assert vmap(lambda x: torch.ones(2))(a).shape == (3, 2)


def test_chunks_and_unmapped_results() -> None:
    a = torch.randn(7, 3)
    for size in (1, 3, 7, 10):
        close(vmap(lambda x: x * 2, chunk_size=size, out_dims=1)(a), (a * 2).t())
    x, y = vmap(lambda v: (v, torch.ones(2)), out_dims=(0, None))(a)
    assert y.shape == (2,) and torch.equal(x, a)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_writes_in_place_reach_the_examples_alone() -> None:
    a, before = torch.randn(3, 4), None

    def f(x: torch.Tensor) -> torch.Tensor:
        x = x.clone()
        x[0] = 7
        x.add_(1)
        x[1:3].mul_(x[0])
        y = torch.zeros_like(x)
        y[torch.tensor([0, 2])] = x[:2]
        y.view(2, 2)[1].sub_(1)
        return y

    before = a.clone()
    close(vmap(f)(a), torch.stack([f(row) for row in a]))
    assert torch.equal(a, before)
    with pytest.raises(RuntimeError, match="inplace arithmetic"):
        vmap(lambda x: torch.zeros(4).add_(x))(a)


# ---- derivatives ---------------------------------------


def network() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3), torch.nn.GroupNorm(1, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Flatten(), torch.nn.LayerNorm(27), torch.nn.Linear(27, 4),
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_per_sample_gradients_of_a_network() -> None:
    torch.manual_seed(0)
    net, images, labels = network(), torch.randn(5, 1, 8, 8), torch.randint(0, 4, (5,))
    parameters = {k: v.detach() for k, v in net.named_parameters()}

    def loss(p: dict, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(functional_call(net, p, (x.unsqueeze(0),)), y.unsqueeze(0))

    found = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, images, labels)
    for i in range(5):
        net.zero_grad()
        F.cross_entropy(net(images[i : i + 1]), labels[i : i + 1]).backward()
        for name, p in net.named_parameters():
            close(found[name][i], p.grad)
            assert not found[name].requires_grad


def test_an_ensemble_of_models() -> None:
    models = [torch.nn.Linear(3, 2) for _ in range(4)]
    parameters, buffers = stack_module_state(models)
    x = torch.randn(5, 3)
    call = lambda p, b, v: functional_call(models[0], (p, b), (v,))
    out = vmap(call, in_dims=(0, 0, None))(parameters, buffers, x)
    close(out, torch.stack([m(x) for m in models]))
    out.square().sum().backward()
    for i, m in enumerate(models):
        m(x).square().sum().backward()
        close(parameters["weight"].grad[i], m.weight.grad)


def test_derivatives_of_every_kind_under_vmap() -> None:
    torch.manual_seed(0)
    x, w = torch.randn(3, 4), torch.randn(4, 4)
    f = lambda v: (v @ w).sin()
    for jacobian in (jacrev, jacfwd):
        close(vmap(jacobian(f))(x), torch.stack([jacobian(f)(row) for row in x]))
    g = lambda v: (v @ w).tanh().pow(2).sum()
    close(vmap(hessian(g))(x), torch.stack([hessian(g)(row) for row in x]))
    close(vmap(grad(lambda v: grad(g)(v).pow(2).sum()))(x),
          torch.stack([grad(lambda v: grad(g)(v).pow(2).sum())(row) for row in x]))  # fmt: skip


def test_gradients_flow_out_to_what_all_examples_share() -> None:
    x, w = torch.randn(5, 3), torch.randn(3, 2, requires_grad=True)
    vmap(lambda v: (v @ w).exp().sum())(x).sum().backward()
    found, w.grad = w.grad, None
    (x @ w).exp().sum().backward()
    close(found, w.grad)
    w.grad = None
    per_sample = vmap(grad(lambda v: (v @ w).exp().sum()))(x)  # d/dv, and d/dw of its square
    per_sample.square().sum().backward()
    found, w.grad = w.grad, None
    ((x @ w).exp() @ w.t()).square().sum().backward()
    close(found, w.grad, 1e-3)


# ---- randomness ---------------------------------------


def test_random_numbers_are_refused_shared_or_each_its_own() -> None:
    x = torch.zeros(6, 8)
    for draw in (lambda v: v + torch.rand(8), lambda v: F.dropout(v + 1), torch.rand_like):
        with pytest.raises(RuntimeError, match="randomness error mode"):
            vmap(draw)(x)
        own = vmap(draw, randomness="different")(x)
        assert not torch.equal(own[0], own[1])
    same = vmap(lambda v: v + torch.rand(8), randomness="same")(x)
    assert torch.equal(same[0], same[5]) and same[0].std() > 0
    with pytest.raises(RuntimeError, match="Only allowed values for randomness"):
        vmap(torch.sin, randomness="often")


# ---- what is refused, and said ---------------------------------------


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda v: v.sum().item(), r"calling .item\(\) on a Tensor"),
        (lambda v: v if v.sum() > 0 else -v, "data-dependent control flow"),
        (lambda v: v[: int(v.sum())], r"calling .item\(\)"),
        (lambda v: v.tolist(), r"calling .tolist\(\)"),
        (lambda v: torch.from_numpy(v.numpy()), r"calling .numpy\(\)"),
        (lambda v: torch.histc(v, 4), "no batching rule"),
        (lambda v: v[v > 0], "no batching rule|dynamic shape"),
    ],
)
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_what_needs_one_examples_value_is_refused(function: Callable, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        vmap(function)(torch.randn(3, 4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vmap(torch.sin)(), "got no inputs"),
        (
            lambda: vmap(torch.add)(torch.ones(3), torch.ones(4)),
            "same size in the mapped dimension",
        ),
        (lambda: vmap(torch.sin, in_dims=3)(torch.ones(3)), "expected in_dim to satisfy"),
        (lambda: vmap(torch.sin)(torch.ones(())), "expected in_dim to satisfy"),
        (lambda: vmap(torch.add, in_dims=(0,))(torch.ones(3), torch.ones(3)), "not compatible"),
        (lambda: vmap(torch.add)(torch.ones(3), 2), "cannot vmap over non-Tensor"),
        (lambda: vmap(torch.sin, in_dims=None)(torch.ones(3)), "to be int or a"),
        (
            lambda: vmap(torch.sin, in_dims=(None,))(torch.ones(3)),
            "at least one Tensor",
        ),
        (lambda: vmap(lambda v: 3)(torch.ones(3)), "must only return Tensors"),
        (
            lambda: vmap(torch.sin, out_dims=None)(torch.ones(3)),
            "BatchedTensor when out_dim",
        ),
        (lambda: vmap(torch.sin, out_dims=(0, 0))(torch.ones(3)), "not compatible"),
        (lambda: vmap(torch.sin, chunk_size=0), "greater than 0"),
    ],
)
def test_what_does_not_fit_is_said(call: Callable, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_an_operation_without_a_rule_is_named_once() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for _ in range(2):
            vmap(lambda v: torch.polar(v, v).angle().cummin(0)[0].lgamma())(torch.rand(3, 4))
            vmap(lambda v: v.mode()[0])(torch.rand(3, 4))
            vmap(lambda v: torch.geqrf(v)[1])(torch.rand(3, 4, 4))
    told = [str(w.message) for w in seen if "performance drop" in str(w.message)]
    assert len(told) == len(set(told)) and any("geqrf" in t for t in told)


def test_a_batched_tensor_can_be_printed_and_must_not_escape() -> None:
    kept = []

    def f(v: torch.Tensor) -> torch.Tensor:
        assert repr(v).startswith("BatchedTensor(lvl=1, bdim=0, value=\n    tensor([[1., 1.],")
        assert v.shape == (2,) and v.dtype is torch.float32 and len(v) == 2
        kept.append(v)
        return v

    vmap(f)(torch.ones(3, 2))
    with pytest.raises(RuntimeError, match="vmap"):
        kept[0] + 1


# ---- with other interpreters, and users' own operations ------------------------------------------


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: object, g: torch.Tensor) -> torch.Tensor:
        return g * 3 * ctx.saved_tensors[0] ** 2


class Doubled(torch.autograd.Function):
    """With a ``vmap`` of its own."""

    seen: tuple = ()

    @staticmethod
    def forward(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    @staticmethod
    def setup_context(ctx: object, inputs: tuple, output: torch.Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: object, g: torch.Tensor) -> torch.Tensor:
        return g * 2

    @staticmethod
    def vmap(info: object, in_dims: tuple, x: torch.Tensor) -> tuple[torch.Tensor, int]:
        Doubled.seen = (info.batch_size, in_dims)
        return Doubled.apply(x), in_dims[0]


def test_functions_of_users_are_mapped_and_differentiated() -> None:
    x = torch.randn(4, 3)
    close(vmap(Cube.apply)(x), x**3)
    close(vmap(grad(lambda v: Cube.apply(v).sum()))(x), 3 * x**2)
    leaf = x.clone().requires_grad_()
    vmap(lambda v: Cube.apply(v).sum())(leaf).sum().backward()
    close(leaf.grad, 3 * x**2)
    close(vmap(hessian(lambda v: Cube.apply(v).sum()))(x)[1], torch.diag(6 * x[1]))
    close(vmap(Doubled.apply, in_dims=1, out_dims=1)(x), 2 * x)
    assert Doubled.seen == (3, (1,))
    with pytest.raises(RuntimeError, match="inside and outside of vmap at once"):
        vmap(grad(lambda v: Cube.apply(v).sum()))(leaf)


def test_autocast_inside_and_outside() -> None:
    x, w = torch.randn(4, 3), torch.randn(3, 2)

    def inside(v: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu"):
            return v @ w

    wanted = x.bfloat16() @ w.bfloat16()
    assert torch.equal(vmap(inside)(x), wanted)
    with torch.autocast("cpu"):
        assert torch.equal(vmap(lambda v: v @ w)(x), wanted)
