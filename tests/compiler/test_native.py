"""Programs as machine code against what eager gives: values, dtypes, shapes, gradients."""

import math
import os

import numpy as np
import pytest

import flambeau as torch
import flambeau.nn.functional as F
from flambeau.compiler import native
from flambeau.compiler.kernel import kept_in_results
from flambeau.compiler.python_code import PythonProgram

pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install -e '.[compile]'")


def randn(*shape, seed=0, **options):
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=generator, **options)


def integers(high, shape, dtype=torch.int64):
    generator = torch.Generator().manual_seed(high)
    return torch.randint(0, high, shape, generator=generator, dtype=dtype)


def gradients(loss):
    """The gradients of a loss, as a function of the same operands."""

    def function(*inputs):
        wanted = [x for x in inputs if x.requires_grad]
        return torch.autograd.grad(loss(*inputs), wanted)

    return function


def odd():
    x = randn(7, 13)
    x[2, 3], x[4, 5], x[5, 5], x[0, 0] = math.nan, math.inf, -math.inf, -0.0
    return x


A, B, ROW = randn(7, 13), randn(7, 13, seed=1), randn(13)
W = {"requires_grad": True}
TABLE, PLACES = randn(9, 10), integers(9, (4, 3))

CASES = {
    "add": (lambda x, y: x + y, A, B),
    "chain": (
        lambda x, y: (torch.tanh(x * y + 0.5) * torch.sigmoid(x - y)
                      + torch.exp(-x * x) / (1 + y * y)),
        A, B,
    ),
    "bias": (lambda x, b: (x + b).relu(), A, ROW),
    "broadcast": (lambda a, b: a * b + a.sum(1, keepdim=True), randn(5, 1, 3), randn(1, 4, 1)),
    "0-dim": (lambda a, b: (a * b + 1, a.exp()), torch.tensor(2.0), torch.tensor(3.0)),
    "powers": (
        lambda x: (x**2, x**3, x**0.5, 1 / x, x.rsqrt(), 2**x, x**1.7),
        A.abs() + 0.1,
    ),
    "trigonometry": (lambda x: (x.sin(), x.cos(), x.floor(), x.ceil(), x.trunc()), A * 5),
    "activations": (
        lambda x: (F.leaky_relu(x), F.hardtanh(x), F.hardswish(x), F.mish(x), F.softshrink(x),
                   F.elu(x), F.silu(x), F.softplus(x), F.threshold(x, 0.1, 2.0), F.gelu(x)),
        A,
    ),
    "gradients of activations": (
        gradients(lambda x: sum(f(x).sum() for f in (
            F.leaky_relu, F.hardtanh, F.hardswish, F.mish, F.elu, F.silu, F.softplus, F.gelu,
            torch.tanh, torch.sigmoid, torch.relu, F.logsigmoid))),
        randn(6, 8, **W),
    ),
    "comparisons": (lambda a, b: (a > b, a <= 0.5, (a > 0) & (b > 0), ~(a > 0), a == b), A, B),
    "where": (lambda x, y: torch.where(x > 0, x, y * 2), A, B),
    "masked_fill": (
        lambda x, m: x.masked_fill(m == 0, -math.inf), A, torch.tril(torch.ones(7, 13)),
    ),
    "lerp": (lambda x, y: (x.lerp(y, 0.3), x.lerp(y, 0.7), x.clamp(-1, 0.5)), A, B),
    "numbers as tensors": (
        lambda x, y, k, n: (
            x.lerp(y, k), x.lerp(y, 1 - k), x.clamp(-k, k), x.clamp(max=k), x.clamp(n, k),
            x.masked_fill(y > 0, k), x.clone().fill_(k), (x.abs() + 1) ** k, x.clamp(k, n)),
        A, B, torch.tensor(0.3), torch.tensor(math.nan),
    ),
    "gradients of clamp": (
        gradients(lambda x, k: (x.clamp(-0.5, 0.5) * x).sum() + x.clamp(max=0.2).square().sum()
                  + (x.clamp(min=k) * x).sum() + (x.clamp(-k, k) * x).sum()),
        randn(6, 8, **W), torch.tensor(0.3),
    ),
    "triangles": (lambda x: (x.tril(), x.triu(1), x.tril(-1)), A),
    "odd values": (
        lambda x: (x.amax(1), x.amin(0), x.sum(1), F.softmax(x, 1), x.relu(), x.clamp(-1, 1),
                   x.maximum(x * 0), x.minimum(x * 0), torch.isnan(x), x.sign()),
        odd(),
    ),
    "integers": (
        lambda x, y: (x + y * 2, x == y, (x > 2).float().sum(), x.sum(0), x.float() / 3, -x),
        integers(5, (4, 5)), integers(6, (4, 5)),
    ),
    "int32": (lambda a: (a + a, a.float() * 2, a.sum()), integers(9, (5, 6), torch.int32)),
    "float64": (lambda x, y: (x.exp() + y).sum(1), A.double(), B.double()),
    "bfloat16": (lambda x, y: (x + y) * y.tanh(), A.bfloat16(), B.bfloat16()),
    "float16": (lambda a: (a * 2).softmax(-1), randn(5, 9).half()),
    "sums": (
        lambda x: (x.sum(), x.sum(0), x.sum(1), (x * x).mean(1, keepdim=True), x.mean()), A,
    ),
    "sums of middle dimensions": (
        lambda a: (a.mean((0, 2)), a.sum((1, 3)), a.amax(1), a.sum(2)), randn(3, 4, 5, 6),
    ),
    "long sums": (lambda x: ((x * x).sum(), x.mean(), x.sum(0)), randn(50, 2048)),
    "spread": (
        lambda x: (x.var(), x.std(1), x.var(0, keepdim=True), *torch.var_mean(x, 1)), A,
    ),
    "norms": (lambda x: (x.norm(), x.norm(dim=1), torch.linalg.vector_norm(x, 1)), A),
    "softmax": (lambda x: (F.softmax(x, -1), F.softmax(x, 0), F.log_softmax(x * 2, -1)), A),
    "softmax of another layout": (lambda a: F.softmax(a, -1), randn(8, 6, 4).permute(2, 0, 1)),
    "logsumexp": (lambda x: (x.logsumexp(1), x.logsumexp((0, 1))), A),
    "layer norm": (lambda x, w, b: F.layer_norm(x, (13,), w, b), A, ROW, ROW * 2),
    "gradients of layer norm": (
        gradients(lambda x, w, b: F.layer_norm(x, (13,), w, b).square().sum()),
        randn(7, 13, **W), randn(13, **W), randn(13, seed=1, **W),
    ),
    "batch norm": (
        lambda x, w, b: F.batch_norm(x, None, None, w, b, True), randn(4, 3, 5, 5), randn(3),
        randn(3),
    ),
    "gradients of batch norm": (
        gradients(lambda x, w, b: F.batch_norm(x, None, None, w, b, True).square().sum()),
        randn(4, 3, 5, 5, **W), randn(3, **W), randn(3, seed=1, **W),
    ),
    "cross entropy": (lambda x, t: F.cross_entropy(x, t), A, integers(13, (7,))),
    "gradients of losses": (
        gradients(lambda x, t, y: F.cross_entropy(x, t) + F.mse_loss(x, y)
                  + F.binary_cross_entropy_with_logits(x, y.sigmoid())
                  + F.cross_entropy(x, t, reduction="sum")),
        randn(7, 13, **W), integers(13, (7,)), B,
    ),
    "parts of rows that are not dense": (
        lambda x: (x.reshape(-1)[:-1] + 1, x.reshape(-1)[1:].flip(0), x.reshape(-1)[2:9].sum(),
                   torch.cat([x.reshape(-1)[:-1], x.reshape(-1)[1:]])),
        randn(4, 6)[:, ::2],
    ),
    "gradients of products of what is not dense": (
        gradients(lambda x: x[:, ::2].prod() + x.t()[1:].prod(0).sum()), randn(4, 6, **W),
    ),
    "product": (lambda a, b: (a @ b).tanh(), randn(7, 5), randn(5, 13)),
    "product, turned": (
        lambda a, b: (a @ b.t(), a.t() @ a, (b @ a.t()).t() * 1),
        randn(23, 17), randn(19, 17),
    ),
    "products of many sizes": (
        lambda a, b: [(a[:m, :k] @ b[:k, :n]) for m in (1, 4, 6, 33) for n in (1, 16, 27)
                      for k in (1, 8, 40)],
        randn(40, 40), randn(40, 40),
    ),
    "long products": (lambda a, b: (a @ b, a.t() @ a), randn(9, 1030), randn(1030, 20)),
    "products of many blocks": (
        lambda a, b, c: (a @ b, b.t() @ a.t(), c.t() @ a, c @ b.t(), a.double() @ b.double()),
        randn(203, 517) * 0.1, randn(517, 163), randn(203, 163),
    ),
    "products whose panels are packed in parts": (
        lambda a, b: (a @ b, b.t() @ a.t()), randn(7, 17000) * 0.01, randn(17000, 37),
    ),
    "batched products": (
        lambda a, b: (a @ b.transpose(-1, -2),
                      a.transpose(1, 2) @ b.transpose(1, 2).transpose(-1, -2)),
        randn(3, 2, 7, 5), randn(3, 2, 7, 5, seed=1),
    ),
    "linear": (
        lambda a, w, b: F.gelu(F.linear(a, w, b)), randn(3, 7, 5), randn(6, 5), randn(6),
    ),
    "gradients of linear": (
        gradients(lambda a, w, b: F.linear(a, w, b).tanh().sum()),
        randn(3, 7, 5, **W), randn(6, 5, **W), randn(6, **W),
    ),
    "attention by hand": (
        lambda q, k, v: F.softmax((q @ k.transpose(-2, -1)) * 0.3, -1) @ v,
        randn(2, 3, 8, 4), randn(2, 3, 8, 4, seed=1), randn(2, 3, 8, 4, seed=2),
    ),
    "attention": (
        lambda q, k, v, m: (
            F.scaled_dot_product_attention(q, k, v, is_causal=True),
            F.scaled_dot_product_attention(q, k, v, attn_mask=m > 0.5),
            F.scaled_dot_product_attention(q, k, v, attn_mask=m),
        ),
        randn(2, 3, 8, 4), randn(2, 3, 8, 4, seed=1), randn(2, 3, 8, 4, seed=2), randn(8, 8),
    ),
    "gradients of attention": (
        gradients(lambda q, k, v: F.scaled_dot_product_attention(
            q, k, v, is_causal=True).square().sum()),
        randn(2, 3, 8, 4, **W), randn(2, 3, 8, 4, seed=1, **W), randn(2, 3, 8, 4, seed=2, **W),
    ),
    "attention of many scores": (
        lambda q, k, v: (F.scaled_dot_product_attention(q, k, v, is_causal=True),
                         F.scaled_dot_product_attention(q[..., :50, :], k, v, scale=0.3)),
        randn(2, 3, 53, 11), randn(2, 3, 61, 11, seed=1), randn(2, 3, 61, 7, seed=2),
    ),
    "gradients of attention of many scores": (
        gradients(lambda q, k, v: (
            F.scaled_dot_product_attention(q, k, v, is_causal=True).square().sum()
            + F.scaled_dot_product_attention(q.transpose(2, 3).contiguous().transpose(2, 3), k, v)
            .sin().sum())),
        randn(2, 3, 53, 11, **W), randn(2, 3, 61, 11, seed=1, **W),
        randn(2, 3, 61, 7, seed=2, **W),
    ),
    "gradients of a product's heads": (
        gradients(lambda x, w: F.scaled_dot_product_attention(
            *(t.view(2, 57, 3, 8).transpose(1, 2) for t in (x @ w).split(24, 2)), is_causal=True)
            .transpose(1, 2).reshape(2, 57, 24).square().sum()),
        randn(2, 57, 10, **W), (randn(10, 72) * 0.2).requires_grad_(),
    ),
    "embedding": (lambda i, t: (F.embedding(i, t).view(4, 30) * 2, t[i] + 1), PLACES, TABLE),
    "gradients of embedding": (
        gradients(lambda i, t: (F.embedding(i, t) * 2).sum() + t[i].square().sum()),
        PLACES, randn(9, 10, **W),
    ),
    "views": (
        lambda x: (x * 2).view(2, 3, 4, 5).permute(0, 2, 1, 3).reshape(2, 4, 15) + 1, randn(6, 20),
    ),
    "pieces": (
        lambda x: (x[1:3, ::2] + 1, x[:, 2] * 2, x[4].exp(), x[..., None].sum(1)), randn(6, 8),
    ),
    "gradients of pieces": (
        gradients(lambda x: (x[1:3, ::2] * 3).sum() + x[4].exp().sum() + x[:, None, 5].sum()),
        randn(6, 8, **W),
    ),
    "cat": (lambda x, y: (torch.cat([x * 2, y], 1), torch.stack([x, y, x * y], 1)), A, B),
    "padded": (
        lambda x, y: (
            F.pad(x * 2, (2, 1)) + 1, F.pad(y, (-1, 2, 3, -2), value=7.0), F.pad(x, (0, 0, -7, 9)),
        ),
        A, B,
    ),
    "gradients of padding": (
        gradients(lambda x: (F.pad(x * 3, (1, -2, 0, 4)) * 2).exp().sum()), randn(5, 6, **W),
    ),
    "split": (lambda x: [t * 2 for t in x.split(4, 1)], randn(3, 12)),
    "repeat": (lambda x: (x.repeat(2, 3), x.expand(4, 7, 13) * 2), A),
    "transposed": (lambda x, y: ((x.t() + y.t()).contiguous(), (x + 1).t().reshape(-1) * 2), A, B),
    "in place": (
        lambda x, y: (x.clone().add_(y).mul_(2), x.clone().view(-1)[3:9].zero_() + 1), A, B,
    ),
    "bools in order": (lambda a, b: (a < b, a >= b, a <= b, a > b), A > 0, B > 0),
    "bytes in order": (
        lambda x: (x > x.flip(0), x + 100 > 50), torch.tensor([200, 100, 7], dtype=torch.uint8),
    ),
    "copy of more dimensions": (
        lambda x, y: x.clone().copy_(y).norm(dim=0), randn(7), integers(9, (1, 7)),
    ),
    "softmax of a number": (lambda x: x.softmax(0) + x.log_softmax(-1), torch.tensor(3.0)),
    "diagonals": (lambda x: (x.diagonal() * 2, torch.diag(x[0])), A),
    "moved as bits": (
        lambda x, y, z: (x[1:].contiguous(), y.t().contiguous(), torch.cat([z, z]), y * y),
        (torch.arange(1 << 16) - (1 << 15)).to(torch.int16), integers(9, (3, 4), torch.int8),
        torch.tensor([1 + 2j, 3j]),
    ),
    "nothing in place": (lambda x: (x.clone()[1:].add_(x[:-1]), x * 2), randn(1, 3)),
    "isnan of bools": (lambda x: torch.isnan(x), A > 0),
    "gradients of stack": (
        lambda *xs: (lambda s: (s, *torch.autograd.grad((s * s).sum(), xs)))(torch.stack(xs)),
        randn(3, 2, **W), randn(3, 2, seed=1, **W),
    ),
    "gradients of a piece that is broadcast": (
        gradients(lambda y, x: torch.trapezoid(y, x).square().sum()),
        randn(2, 3, **W), randn(1, 3, **W),
    ),
    "called in place beside its operand": (
        lambda x, i: (lambda y: (y.clone().scatter_add_(0, i, y), y * 2))(x.exp()),
        randn(4, 3), integers(4, (4, 3)),
    ),
    "cat read beside its part": (
        lambda x: (lambda y: (torch.cat((y,), 0) + y * 3, torch.cat((y, y)).sum(0) + y))(x.exp()),
        randn(1, 5),
    ),
    "gradients of a piece that is all": (
        gradients(lambda x: (lambda y: (y[:, -1] ** 2).sum() + (y * y * y).sum())(x * 1.0)),
        randn(5, 1, **W),
    ),
    "in place on a view": (
        lambda x: (lambda z: (z[1:3].add_(5), z[:, 2].fill_(7), z * 2)[2])(x.clone()), A,
    ),
}  # fmt: skip


def arrays(result):
    results = result if isinstance(result, (tuple, list)) else (result,)
    return [r.detach() for r in results]


def near(got, expected):
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    wide = torch.complex128 if got.is_complex() else torch.float64
    a, b = (x.to(wide).numpy() for x in (got, expected))
    narrow = {torch.bfloat16: 2e-2, torch.float16: 2e-3, torch.float64: 1e-12}
    tolerance = narrow.get(expected.dtype, 2e-5)
    assert np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("name", CASES)
def test_a_program_gives_what_eager_gives(name, strict):
    function, *inputs = CASES[name]
    expected = arrays(function(*inputs))
    compiled = torch.compile(function)
    for _ in range(3):  # captured, built, run again
        got = arrays(compiled(*inputs))
        assert len(got) == len(expected)
        for a, b in zip(got, expected):
            near(a, b)
    assert "runs eagerly" not in compiled.explain()


def test_results_of_earlier_runs_stay_as_they_are(strict):
    compiled = torch.compile(lambda x: x * 2)
    kept = [compiled(torch.full((3,), float(i))) for i in range(8)]
    assert [k[0].item() for k in kept] == [2.0 * i for i in range(8)]


def test_an_index_out_of_bounds_is_an_index_error_and_nothing_is_done(strict):
    table = torch.zeros(5, 3)
    total = torch.zeros(())

    def count(i):
        total.add_(1)
        return F.embedding(i, table)

    compiled = torch.compile(count)
    for _ in range(3):
        compiled(torch.tensor([1, 2]))
    with pytest.raises(IndexError, match="index out of range"):
        compiled(torch.tensor([1, 5]))
    assert total.item() == 4  # eager, too, adds before it looks up
    assert compiled(torch.tensor([0, 4])).shape == (2, 3)


def test_indices_from_the_end_and_ignored_targets_are_left_to_eager(strict):
    compiled = torch.compile(lambda i, t: t[i])
    for _ in range(3):
        compiled(torch.tensor([0, 1]), TABLE)
    assert torch.equal(compiled(torch.tensor([0, -1]), TABLE), TABLE[torch.tensor([0, -1])])
    loss = torch.compile(F.cross_entropy)
    for target in ([1, 0, 2], [1, 0, 2], [1, 0, 2], [1, -100, 2]):
        t = torch.tensor(target)
        near(loss(A[:3], t), F.cross_entropy(A[:3], t))


def test_code_is_kept_on_disk_and_damaged_files_are_not_used(monkeypatch, tmp_path):
    from flambeau import _config

    monkeypatch.setattr(_config, "cache", str(tmp_path / "cache"))

    def build():
        compiled = torch.compile(lambda x: x * 3 + 1)
        for _ in range(3):
            result = compiled(A)
        assert torch.allclose(result, A * 3 + 1)
        return compiled.variants[0].program.run.code.was_cached

    assert not build()
    assert build()
    (file,) = (tmp_path / "cache").iterdir()
    whole = file.read_bytes()
    for damaged in (whole[:-7], whole[:100] + b"?" + whole[101:], b""):
        file.write_bytes(damaged)
        assert not build()
        assert build()
    monkeypatch.setattr(_config, "cache", "")
    assert not build()


def test_a_failure_of_the_compiler_is_said_and_the_answer_is_right(monkeypatch):
    monkeypatch.setattr(native, "scheduled", lambda lowered: 1 / 0)
    compiled = torch.compile(lambda x: x * 3)
    compiled(A)
    with pytest.warns(UserWarning, match="cannot make machine code"):
        assert torch.equal(compiled(A), A * 3)


def laid_alike(a: np.ndarray) -> np.ndarray:
    """A copy with the strides of ``a``, gaps included."""
    span = 1 + sum((n - 1) * s for n, s in zip(a.shape, a.strides)) // a.itemsize if a.size else 1
    copy = np.lib.stride_tricks.as_strided(np.empty(span, a.dtype), a.shape, a.strides)
    copy[...] = a
    return copy


@pytest.mark.parametrize("name", sorted({*CASES} - {"long sums", "products of many sizes"}))
def test_the_same_loops_as_python_give_what_machine_code_gives(name):
    function, *inputs = CASES[name]
    compiled = torch.compile(function)
    for _ in range(2):
        compiled(*inputs)
    program = compiled.variants[0].program.run
    given = list(program.last_inputs)
    expected = [a.copy() for a in program(given)]
    got = PythonProgram(program.graph)([laid_alike(a) for a in given])
    assert len(got) == len(expected)
    for a, b in zip(got, expected):
        near(*(torch.tensor(x) for x in (a, b)))


def test_random_indices_into_a_data_set_are_looked_at_before_anything_is_done(strict):
    data = integers(9, (50, 3))
    total = torch.zeros(())

    def step():
        rows = torch.randint(0, 50, (8,))
        total.add_(1)
        return F.embedding(data[rows], TABLE).sum((1, 2))

    def walked(function):
        torch.manual_seed(3)
        total.zero_()
        data[7, 1] = 8
        results = [function() for _ in range(4)]
        data[7, 1] = 11
        for _ in range(30):  # until row 7 is drawn
            try:
                results.append(function())
            except IndexError:
                break
        return torch.stack(results), torch.get_rng_state(), total.clone()

    compiled = torch.compile(step)
    for a, b in zip(walked(compiled), walked(step)):
        near(a, b)
    assert "runs eagerly" not in compiled.explain()
    assert not compiled.variants[0].program.run.lowered.reasons


def test_rows_are_kept_where_the_result_goes_unless_it_lies_over_what_is_read(strict):
    softmax = torch.compile(lambda x: x.softmax(-1))
    over = torch.zeros(64, 300)

    def within(x):
        over.copy_(x)
        over.copy_((over * 2).softmax(-1) + over)
        return over + 0

    x = torch.randn(64, 300, generator=torch.Generator().manual_seed(1))
    for compiled, function in ((softmax, lambda x: x.softmax(-1)), (torch.compile(within), within)):
        for _ in range(4):
            near(compiled(x), function(x))
    (unit,) = softmax.variants[0].program.run.plan.units
    assert unit.kernel.scratch  # of the plan; the code has none
    assert not kept_in_results(unit.kernel, lambda buffer: True).scratch
    assert kept_in_results(unit.kernel, lambda buffer: False) is unit.kernel
    both = torch.compile(lambda x: (x.softmax(-1), x.softmax(-1).half()))
    for _ in range(4):
        soft, half = both(x)
    near(soft, x.softmax(-1))
    assert torch.equal(half, soft.half())


def test_sums_of_one_number_spread_out(strict):
    compiled = torch.compile(lambda x: (x.expand(16, 3).sum(0), x.expand(4, 5).sum()))
    for _ in range(3):
        results = compiled(torch.tensor(2.0))
    assert results[0].tolist() == [32.0] * 3
    assert results[1].item() == 40.0


def test_equal_runs_give_equal_bits_whoever_takes_which_rows(strict):
    """Sums over rows are added up in the same order, though chunks go to who comes first."""
    model = torch.nn.Sequential(
        torch.nn.LayerNorm(24), torch.nn.Linear(24, 40), torch.nn.GELU(), torch.nn.Linear(40, 24)
    )
    parameters = [*model.parameters()]

    def slopes(x):
        return torch.autograd.grad(model(x).square().mean(), parameters)

    x, f = randn(600, 24), torch.compile(slopes)
    first = [f(x) for _ in range(4)][-1]
    assert any(unit.chain for unit in f.variants[0].program.run.plan.units)
    for _ in range(200):
        assert all(map(torch.equal, f(x), first))
    for g, h in zip(slopes(x), first, strict=True):
        torch.testing.assert_close(g, h, rtol=1e-4, atol=1e-6)


def test_a_step_of_an_optimizer_is_one_kernel_for_each_parameter(strict):
    model = torch.nn.Linear(4, 3)
    optimizer = torch.optim.AdamW(model.parameters())

    def step(x):
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    compiled = torch.compile(step)
    for _ in range(4):
        compiled(A[:, :4])
    steps = [line for line in compiled.explain().split("\n") if "Adam" in line]
    assert len(steps) == 2
    assert "copy" not in compiled.explain()


def test_every_stage_can_be_seen(strict):
    compiled = torch.compile(lambda x, w: torch.tanh(x @ w).sum(1))
    compiled(A, B.t())
    assert "not compiled yet" in compiled.explain()
    with pytest.raises(RuntimeError, match="second call"):
        _ = compiled.explain().llvm
    expected = compiled(A, B.t())
    told = compiled.explain()
    assert "1 products, 1 kernels" in told
    assert "mm(" in told.graph
    assert "for row in range(start, stop):" in told.loops
    assert "define void @segment0" in told.llvm
    assert "segment0:" in told.assembly
    (got,) = told.trace.function(*told.programs[0].last_inputs)
    near(torch.from_numpy(got), expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_runs_programs_too(strict):
    compiled = torch.compile(lambda a: (a @ a).tanh().sum(1))
    x = randn(60, 60)
    for _ in range(3):
        expected = compiled(x)
    child = os.fork()
    if child == 0:
        os._exit(0 if torch.equal(compiled(x), expected) else 3)
    assert os.waitpid(child, 0)[1] == 0
    assert torch.equal(compiled(x), expected)
