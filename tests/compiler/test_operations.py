"""Every operation, compiled, gives what it gives eagerly: values, and gradients to its operands.

The table below calls each record of the operation table at least once (a test sees to that); the
elementwise ones come from ``tests/ops/test_table.py``, with the samples that it draws.
"""

from __future__ import annotations

import copy
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from program_runs import alike

import flambeau as torch
from flambeau import nn
from flambeau.compiler import native
from flambeau.core.op import REGISTRY
from flambeau.nn import functional as F  # noqa: F401 - the expressions name it

pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install -e '.[compile]'")


def elementwise_table():
    path = Path(__file__).parents[1] / "ops" / "test_table.py"
    spec = importlib.util.spec_from_file_location("elementwise_table", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TABLE = elementwise_table()
LSTM, GRU, RNN = (layer(4, 3) for layer in (torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN))


def real(*shape, seed=0, low=-2.0, high=2.0):
    rng = np.random.default_rng([seed, *shape])
    return torch.tensor(rng.uniform(low, high, shape).astype(np.float32)).requires_grad_()


def whole(*shape, high=3, seed=0):
    rng = np.random.default_rng([seed, *shape, high])
    return torch.tensor(rng.integers(0, high, shape))


def complexes():
    return torch.complex(real(3, 4).detach(), real(3, 4, seed=2).detach())


def inputs():
    """What the expressions read."""
    square = torch.eye(4) * 2 + real(4, 4, seed=9).detach() * 0.3
    positive = square @ square.T + torch.eye(4)
    return {
        "x": real(3, 4), "y": real(3, 4, seed=1), "p": real(3, 4, low=0.1, high=0.9),
        "w": real(4, 5), "s": square.requires_grad_(), "q": positive.requires_grad_(),
        "v": real(4), "t": real(2, 3, 4), "z": real(), "b": real(2, 4, 3),
        "signal": real(2, 3, 8), "image": real(2, 3, 6, 6), "volume": real(1, 2, 4, 4, 4),
        "i": whole(3, 4), "k": whole(4), "target": whole(3, high=4), "mask": real(3, 4) > 0,
        "c": complexes(),
        "i32": whole(3, 4).int(), "u8": whole(3, 4).byte(), "flat": real(12),
        "pairs": real(3, 2), "r43": real(4, 3), "cols": real(1, 12, 9), "quad": real(1, 4, 2, 2),
        "theta": real(2, 2, 3), "spoken": real(6, 2, 5), "taps": real(4, 3, 3),
        "edges": real(5, seed=3).sort()[0].detach(), "some": real(3, 4, low=0.5, high=3.0),
    }  # fmt: skip


EXPRESSIONS = """
x + y | x - 2 | x * y | x / y | (x.detach() // 2) * x | x % 0.7 | x ** 2 | p ** 1.7 | 2 ** x | p ** y | -x | x.abs()
x.sum() | x.sum(1) | x.sum((0, 1), keepdim=True) | x.mean(0) | x.nansum(1) | x.prod() | x.prod(1)
x.amax(1) | x.amin(0) | x.max() | x.min() | x.max(1)[0] | x.min(0)[0] | x.max(1)[1] | x.argmax(1)
x.argmin() | x.all() | x.any(1) | mask.all(0) | mask.any() | i.all() | (i - i).any(0) | u8.all(0) | (u8 - 3).any() | i32.any(1, keepdim=True)
(x * float('nan')).all() | (x.double() * 0).any() | z.any() | x.half().all(1) | (x > 9).any() | x.var() | x.std(1) | x.var(0, correction=0)
x.logsumexp(1) | x.logcumsumexp(1) | x.cumsum(0) | x.cumprod(1) | x.cummax(1)[0] | x.cummin(0)[0]
x.softmax(1) | x.log_softmax(0) | x.norm() | x.norm(3, dim=1) | torch.linalg.vector_norm(x, 1)
x.median() | x.median(1)[0] | x.nanmedian() | x.nanmedian(1)[0] | x.mode(1)[0] | x.kthvalue(2, 1)[0]
x.sort(1)[0] | x.sort(0, descending=True)[1] | x.argsort(1) | x.topk(2, 1)[0] | x.unique().shape[0] * x
x.quantile(0.3, dim=1) | x.aminmax() | torch.count_nonzero(mask, 1) | x.renorm(2, 0, 1.0)
x.clamp(-1, 0.5) | x.clamp(y, y + 1) | x.clamp_min(0.1) | x.lerp(y, 0.3) | x.lerp(y, p) | x.addcmul(y, p)
x.addcdiv(y, p) | torch.where(mask, x, y) | x.masked_fill(mask, 2.0) | x.masked_fill(mask, z)
x.fmax(y) | x.fmin(y) | x.maximum(y) | x.detach().heaviside(y.detach()) | x.copysign(y) | x.hypot(y) | x.atan2(y)
torch.logaddexp(x, y) | torch.logaddexp2(x, y) | x.xlogy(p) | x.fmod(p) | x.remainder(p) | x.detach().nextafter(y.detach())
torch.div(x, p, rounding_mode='floor') | torch.div(x, p, rounding_mode='trunc') | x.detach().floor_divide(p.detach())
x.frexp() | x.sign() | x.sgn() | x.signbit() | x.round() | x.round(decimals=1) | x.frac() | x.nan_to_num()
x.isfinite() | x.isinf() | x.isnan() | x.isclose(y) | torch.isreal(x) | x.isneginf() | x.isposinf()
i32 << 1 | i32 >> 1 | i & 2 | i | i ^ 1 | ~i | torch.gcd(i, i + 2) | torch.lcm(i, i + 1)
x.tan() | x.asin() | p.acos() | x.atan() | x.sinh() | x.cosh() | x.asinh() | some.acosh() | p.atanh()
p.log2() | p.log10() | x.exp2() | x.erf() | x.erfc() | p.erfinv() | p.lgamma() | p.digamma() | p.logit()
x.sinc() | x.deg2rad() | x.rad2deg() | torch.polygamma(1, some) | torch.mvlgamma(some + 2, 2) | x.i0()
torch.special.i0e(x) | torch.special.i1(x) | torch.special.i1e(x) | torch.special.ndtr(x)
torch.special.log_ndtr(x) | torch.special.ndtri(p) | torch.special.entr(p) | torch.special.erfcx(x)
torch.special.xlog1py(x, p) | torch.special.zeta(some.detach() + 1, p.detach()) | torch.special.bessel_j0(x.detach())
torch.special.gammainc(some.detach(), p) | torch.special.gammaincc(some.detach(), p)
torch.complex(x, y).real | c.conj() | c.abs() | c.angle() | torch.polar(some, x).imag | torch.view_as_real(c)
torch.view_as_complex(pairs) | torch.fft.fft(x).abs() | torch.fft.rfft(x).abs() | torch.fft.irfft(c)
x @ w | t @ w | t @ b | x @ v | v @ v | F.linear(x, y) | F.linear(x, y, real(3)) | torch.addmm(x, x, s)
torch.addmv(z, x, v) | torch.addr(x, real(3), v) | torch.baddbmm(real(2, 3, 3), t, b) | torch.addbmm(real(3, 3), t, b)
torch.bmm(t, b) | torch.outer(v, v) | torch.einsum('ij,kj->ik', x, y) | torch.tensordot(x, w, 1)
torch.kron(x, v) | torch.cdist(x, y) | torch.cross(r43, r43 * r43, 1) | x.trace() | F.bilinear(x, y, real(2, 4, 4))
torch.linalg.inv(s) | torch.linalg.det(s) | torch.linalg.slogdet(s)[1] | torch.linalg.solve(s, v)
torch.linalg.cholesky(q) | torch.cholesky_solve(w, torch.linalg.cholesky(q)) | torch.linalg.qr(s)[1]
torch.linalg.svdvals(s) | torch.linalg.eigvalsh(q) | torch.linalg.eigh(q)[0] | torch.linalg.svd(s)[1]
torch.linalg.lu_factor(s)[0] | torch.linalg.solve_triangular(s, w, upper=True) | torch.linalg.matrix_exp(s * 0.1)
torch.linalg.eigvals(s).abs() | torch.linalg.eig(s)[0].abs() | torch.linalg.householder_product(x.T, real(2)) | torch.geqrf(x.detach())[0]
torch.linalg.ldl_factor(q.detach())[0] | torch.linalg.ldl_solve(*torch.linalg.ldl_factor(q.detach()), w.detach())
x.t() | t.permute(2, 0, 1) | x.transpose(0, 1) | x.view(12) | x.reshape(2, 6) | x.flatten() | x[1] | x[:, 1:3]
x.unsqueeze(1) | x[None].squeeze() | x.expand(2, 3, 4) | x.expand(2, 3, 4).sum(0) | x.select(0, 1) | x.unfold(1, 2, 1)
x.diagonal() | torch.diag(v) | torch.diag_embed(x) | x.tril() | x.triu(1) | x.flip(0) | x.roll(1, 1) | x.rot90()
x.diagonal_scatter(real(3)) | x.select_scatter(v, 0, 1) | x.slice_scatter(v[None], 0, 1, 2) | torch.diagonal_copy(x)
x.as_strided((2, 2), (4, 1)) | x.as_strided_scatter(real(2, 2), (2, 2), (4, 1)) | x.movedim(0, 1) | x.T.contiguous()
torch.cat([x, y], 1) | torch.stack([x, y]) | x.repeat(2, 1) | x.repeat_interleave(2, 0) | x.tile(2) | x.split(2, 1)[1] | x.unbind()[2]
x[k] if False else w[k] | x[i[0] % 3] | x[:, k] | x[mask] * 2 | x[target[:2] % 3, k[:2]] | x.index_select(1, k) | x.take(i)
x.gather(1, i) | x.gather(0, i[:2] % 3) | torch.take_along_dim(x, i, 1) | x.scatter(1, i, y) | x.scatter_add(1, i, y)
x.scatter_reduce(1, i, y, 'amax') | x.scatter_reduce(0, i % 3, y, 'mean') | x.index_add(0, target % 3, y) | x.index_copy(1, torch.tensor([2, 0]), y[:, :2])
x.index_fill(1, torch.tensor([0]), 2.0) | x.index_reduce(0, target % 3, y, 'amin') | x.index_put((target % 3,), y) | x.put(i, y) | x.masked_scatter(mask, flat)
x.masked_select(mask) | mask.nonzero() | torch.isin(i, k) | torch.bucketize(x, edges) | torch.searchsorted(edges, x) | torch.bincount(k, minlength=4)
F.one_hot(i, 4) | F.embedding(i % 3, x) | F.embedding_bag(i % 3, x) | F.embedding(i % 3, x, padding_idx=1)
F.relu(x) | F.gelu(x) | F.gelu(x, approximate='tanh') | F.silu(x) | F.mish(x) | F.elu(x) | F.celu(x) | F.selu(x) | F.softplus(x) | F.leaky_relu(x)
F.hardtanh(x) | F.hardswish(x) | F.hardsigmoid(x) | F.hardshrink(x) | F.softshrink(x) | F.tanhshrink(x) | F.logsigmoid(x) | F.threshold(x, 0.1, 2.0) | F.prelu(x, v) | F.glu(x) | F.softsign(x) | F.rrelu(x, training=False)
F.mse_loss(x, y) | F.l1_loss(x, y) | F.smooth_l1_loss(x, y) | F.huber_loss(x, y) | F.binary_cross_entropy(p, p.detach()) | F.binary_cross_entropy_with_logits(x, p.detach())
F.cross_entropy(x, target) | F.cross_entropy(x, y.softmax(1)) | F.cross_entropy(x, target, weight=v.detach().abs(), label_smoothing=0.1) | F.nll_loss(x.log_softmax(1), target) | F.kl_div(x, y) | F.poisson_nll_loss(x, p)
F.hinge_embedding_loss(x, i * 2 - 1) | F.margin_ranking_loss(x, y, mask * 2.0 - 1) | F.soft_margin_loss(x, mask * 2.0 - 1) | F.triplet_margin_loss(x, y, p) | F.cosine_embedding_loss(x, y, torch.ones(3)) | F.multi_margin_loss(x, target) | F.multilabel_margin_loss(x, i) | F.gaussian_nll_loss(x, y, p)
F.ctc_loss(spoken.log_softmax(2), torch.tensor([[1, 2], [2, 3]]), torch.tensor([6, 6]), torch.tensor([2, 2])) | F.cosine_similarity(x, y) | F.pairwise_distance(x, y) | F.normalize(x) | F.pdist(x)
F.layer_norm(x, (4,), v, v) | F.rms_norm(x, (4,), v) | F.group_norm(b, 2) | F.instance_norm(signal) | F.batch_norm(x, None, None, training=True) | F.batch_norm(x, torch.zeros(4), torch.ones(4)) | F.local_response_norm(signal, 2)
F.conv1d(signal, taps) | F.conv2d(image, real(4, 3, 3, 3), real(4), padding=1) | F.conv2d(image, real(3, 1, 3, 3), groups=3, stride=2) | F.conv3d(volume, real(2, 2, 2, 2, 2)) | F.conv_transpose1d(signal, real(3, 2, 3)) | F.conv_transpose2d(image, real(3, 2, 3, 3), stride=2)
F.max_pool1d(signal, 2) | F.max_pool2d(image, 2) | F.max_pool3d(volume, 2) | F.avg_pool1d(signal, 2) | F.avg_pool2d(image, 3, 1, 1) | F.avg_pool3d(volume, 2) | F.lp_pool2d(image, 2, 2) | F.adaptive_avg_pool1d(signal, 3) | F.adaptive_avg_pool2d(image, 4) | F.adaptive_avg_pool3d(volume, 3) | F.adaptive_max_pool2d(image, 4) | F.adaptive_max_pool3d(volume, 3)
F.max_unpool2d(*F.max_pool2d(image, 2, return_indices=True), 2) | F.max_unpool3d(*F.max_pool3d(volume, 2, return_indices=True), 2) | F.fractional_max_pool2d(image, 2, 3, _random_samples=torch.full((2, 3, 2), 0.3)) | F.fractional_max_pool3d(volume, 2, 2, _random_samples=torch.full((1, 2, 3), 0.3))
F.pad(x, (1, 2)) | F.pad(x, (-1, 1), value=3.0) | F.pad(signal, (1, 2), 'reflect') | F.pad(image, (1, 1, 2, 2), 'reflect') | F.pad(volume, (1, 1, 1, 1, 1, 1), 'reflect') | F.pad(signal, (1, 2), 'replicate') | F.pad(image, (1, 1, 2, 2), 'replicate') | F.pad(volume, (1, 1, 1, 1, 1, 1), 'replicate') | F.pad(image, (1, 1, 2, 2), 'circular')
F.unfold(image, 2) | F.fold(cols, (4, 4), 2) | F.pixel_shuffle(quad, 2) | F.pixel_unshuffle(image, 2) | F.channel_shuffle(quad, 2) | F.interpolate(signal, scale_factor=2) | F.interpolate(signal, size=5, mode='linear') | F.interpolate(image, size=4) | F.interpolate(image, size=9, mode='bilinear') | F.interpolate(image, size=9, mode='bicubic')
F.interpolate(image, size=4, mode='bilinear', antialias=True) | F.interpolate(image, size=4, mode='bicubic', antialias=True) | F.interpolate(volume, size=3) | F.interpolate(volume, size=5, mode='trilinear') | F.interpolate(image, size=4, mode='nearest-exact') | F.interpolate(signal, size=4, mode='nearest-exact') | F.interpolate(volume, size=3, mode='nearest-exact')
F.grid_sample(image, real(2, 3, 3, 2)) | F.grid_sample(volume, real(1, 2, 2, 2, 3)) | F.affine_grid(theta, (2, 1, 3, 3)) | F.scaled_dot_product_attention(t, t, t) | F.scaled_dot_product_attention(t, t, t, is_causal=True)
x.to(torch.float64) | x.to(torch.bfloat16) | x.half().float() | x.int() | x.bool() | i.float() | u8 + 200 | x.clone() | x.detach() * x | x.type_as(y.double())
torch.zeros_like(x) + x | torch.arange(4) * x | torch.linspace(0, 1, 4) * x | torch.full((4,), 2.0) * x | torch.eye(4) @ s | torch.tril_indices(3, 3) | torch.meshgrid(v, v, indexing='ij')[0] | torch.cartesian_prod(v, v) | torch.combinations(v)
torch.randn(4) * x | torch.rand(4) * x | F.dropout(x, 0.5) | torch.bernoulli(p.detach()) | torch.randperm(4) | torch.normal(x.detach(), 1.0) | torch.randint(0, 4, (3,)) | F.alpha_dropout(x, 0.3, True) | F.gumbel_softmax(x)
F.rrelu(x, training=True) | torch.multinomial(p.detach(), 2) | torch.binomial(i.float(), p.detach()) | x.detach().clone().bernoulli_(p.detach()) | torch.linspace(z.detach(), v[0].detach(), 3) | torch.logspace(z.detach(), v[0].detach(), 3)
LSTM(t)[0] | GRU(t)[0] | RNN(t)[0] | torch.var_mean(x, 1) | torch.std_mean(x) | torch.poisson(p.detach() * 5) | torch._standard_gamma(some.detach()) | torch._sample_dirichlet(some.detach()) | torch.linalg.pinv(s) | torch.linalg.lstsq(s, w)[0]
torch.nn.utils.rnn.pad_sequence([x, x[:2]]) | torch.cov(x) | torch.corrcoef(x) | torch.trapezoid(x) | torch.cumulative_trapezoid(x) | torch.diff(x) | torch.gradient(x)[0] | torch.vander(v) | torch.histc(x.detach(), 4) | torch.block_diag(x, y) | torch.atleast_3d(x) | torch.stft(flat, 4, window=torch.ones(4), return_complex=True).abs()
x.clone().add_(y).mul_(2) | x.clone().zero_() + x | x.clone().masked_fill_(mask, 1) * y | x.clone().index_add_(0, target % 3, y) | x.clone().copy_(v) * x | x.abs().tanh_() | (x * 1).clamp_(-1, 1)
"""  # noqa: E501
EXPRESSIONS = [e.strip() for row in EXPRESSIONS.strip().splitlines() for e in row.split(" | ")]


CALLED: set[str] = set()
RUN: set[str] = set()  # expressions
READING = ("det", "lu_factor", "pinv", "lstsq")
#: What Python reads elements for, and runs eagerly.
READS = {
    *[e for e in EXPRESSIONS if e.startswith(tuple(f"torch.linalg.{f}(" for f in READING))],
    "x[mask] * 2", "mask.nonzero()", "x.masked_select(mask)", "torch.bincount(k, minlength=4)",
    "torch.histc(x.detach(), 4)", "x.unique().shape[0] * x",
    "x.masked_scatter(mask, flat)", "F.multilabel_margin_loss(x, i)",
}  # fmt: skip
#: What no capture meets: views and writes that the recorder knows by themselves, and operations
#: that PyTorch has no function for.
ELSEWHERE = {
    "all_true", "same_way", "set_state",  # the compiler's own: conditions, ways, generators
    "to_device", "to_host",  # between the CPU and a GPU: tests/cuda
    "_unsafe_view", "alias", "masked_scatter", "masked_select", "copy_backwards",
    "diagonal_copy", "fill_tensor", "split",
    "split_with_sizes", "unbind", "unsafe_split", "std_mean", "var_mean", "_euclidean_dist",
    "_dirichlet", "_dirichlet_grad", "_standard_gamma_grad",
    "_pack_padded_sequence", "_pad_packed_sequence",
    "upsample_lanczos2d_aa", "upsample_lanczos2d_aa_backward", "pick", "embedding_bag", "_ctc_loss",
    "_ctc_loss_backward", "cholesky_solve", "linalg_cholesky_ex", "linalg_det", "linalg_eigvals",
    "linalg_eigvalsh", "linalg_householder_product", "linalg_ldl_factor_ex", "linalg_ldl_solve",
    "linalg_lstsq", "linalg_lu_factor_ex", "linalg_pinv", "linalg_svdvals",
}  # fmt: skip


def leaves_of(result):
    if isinstance(result, torch.Tensor):
        return [result]
    return [r for part in result for r in leaves_of(part)] if isinstance(result, tuple) else []


def checked(function, operands, seen=None, slack=1e-6):
    """``function`` of tensors, compiled, three times, against itself: values and gradients."""

    def both(*tensors):
        results = leaves_of(function(*tensors))
        leaves = [t for t in tensors if t.requires_grad]
        roots = [r for r in results if r.requires_grad]
        if not roots or not leaves:
            return results
        total = sum(((r * r.conj()).real * 0.5 + r.real).sum() for r in roots)
        return results, torch.autograd.grad(total, leaves, allow_unused=True)

    def arrays(result):
        found = []
        for r in result:
            if isinstance(r, (tuple, list)):
                found += arrays(r)
            else:
                found.append(None if r is None else r.detach().resolve_conj()._array.copy())
        return found

    compiled = torch.compile(both)
    for _ in range(3):
        torch.manual_seed(3)
        want = arrays(both(*operands))
        torch.manual_seed(3)
        got = arrays(compiled(*operands))
        assert len(want) == len(got)
        for a, b in zip(want, got):
            same = a is b if a is None or b is None else alike(a, b, slack)
            assert same, f"wanted\n{a}\ngot\n{b}"
    for variant in compiled.variants if seen is not None else ():
        seen.update(n.op.name for n in variant.graph.nodes if hasattr(n, "op"))
    return compiled


@pytest.fixture
def strict(monkeypatch):
    monkeypatch.setattr(native, "strict", True)


@pytest.mark.parametrize("name", TABLE.UNARY + TABLE.BINARY)
def test_elementwise_operations(name, strict):
    arrays = TABLE.operands(name, (3, 5), np.float32)
    tensors = TABLE.tensors(arrays)
    for t in tensors:
        if isinstance(t, torch.Tensor) and t.is_floating_point() and TABLE.gradient(name):
            t.requires_grad_()
    numbers = [t for t in tensors if not isinstance(t, torch.Tensor)]
    given = [t for t in tensors if isinstance(t, torch.Tensor)]
    checked(lambda *ts: TABLE.FUNCTIONS[name](*ts, *numbers), given)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_operations(expression, strict):
    RUN.add(expression)
    scope = inputs()

    def named(match):
        name = f"r{len(scope)}"
        scope[name] = eval(match.group())
        return name

    text = re.sub(
        r"(?<![\w.])(real|whole)\([^()]*\)", named, expression
    )  # made here, not in the capture
    names = [n for n in compile(text, "<expression>", "eval").co_names if n in scope]
    function = eval(f"lambda {', '.join(names)}: {text}", globals())
    narrow = "half" in expression or "bfloat16" in expression  # of which gradients keep the error
    operands = [scope[n] for n in names]
    compiled = checked(function, operands, CALLED, 0.05 if narrow else 1e-6)
    assert (not compiled.variants) == (expression in READS), compiled.explain()


LAYERS = [
    (nn.Linear(4, 3), (5, 4)), (nn.Bilinear(4, 4, 2), (5, 4), (5, 4)),
    (nn.BatchNorm1d(4), (5, 4)), (nn.BatchNorm2d(3), (2, 3, 4, 4)),
    (nn.BatchNorm3d(2), (2, 2, 3, 3, 3)), (nn.LayerNorm(4), (5, 4)),
    (nn.GroupNorm(2, 4), (2, 4, 3)), (nn.InstanceNorm1d(3, affine=True), (2, 3, 5)),
    (nn.InstanceNorm2d(3, track_running_stats=True), (2, 3, 4, 4)), (nn.RMSNorm(4), (5, 4)),
    (nn.LocalResponseNorm(2), (2, 3, 5)), (nn.Conv1d(3, 4, 3), (2, 3, 8)),
    (nn.Conv2d(3, 4, 3, padding=1, stride=2), (2, 3, 6, 6)),
    (nn.Conv3d(2, 3, 2), (1, 2, 4, 4, 4)),
    (nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), (1, 2, 5, 5)),
    (nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), (1, 2, 5, 5)),
    (nn.ConvTranspose1d(3, 4, 3), (2, 3, 8)), (nn.ConvTranspose2d(3, 4, 3, 2), (2, 3, 5, 5)),
    (nn.MaxPool2d(2), (2, 3, 6, 6)), (nn.AvgPool2d(2), (2, 3, 6, 6)),
    (nn.LPPool1d(2, 2), (2, 3, 6)), (nn.AdaptiveAvgPool2d(2), (2, 3, 6, 6)),
    (nn.AdaptiveMaxPool1d(2), (2, 3, 6)), (nn.Dropout(0.4), (5, 4)),
    (nn.Dropout2d(0.4), (2, 3, 4, 4)), (nn.RReLU(), (5, 4)),
    (nn.LSTM(4, 3, 2, dropout=0.2), (5, 2, 4)), (nn.GRU(4, 3, bidirectional=True), (5, 2, 4)),
    (nn.RNN(4, 3, batch_first=True), (2, 5, 4)), (nn.LSTMCell(4, 3), (2, 4)),
    (nn.GRUCell(4, 3), (2, 4)), (nn.MultiheadAttention(4, 2), (5, 2, 4), (5, 2, 4), (5, 2, 4)),
    (nn.TransformerEncoderLayer(4, 2, 8), (5, 2, 4)),
    (nn.TransformerDecoderLayer(4, 2, 8, batch_first=True), (2, 5, 4), (2, 3, 4)),
    (nn.Transformer(4, 2, 1, 1, 8), (5, 2, 4), (3, 2, 4)), (nn.PReLU(), (5, 4)),
    (nn.GLU(), (5, 4)), (nn.Softmax(1), (5, 4)), (nn.Upsample(scale_factor=2), (1, 2, 3, 3)),
    (nn.Fold((4, 4), 2), (1, 12, 9)), (nn.Unfold(2), (1, 2, 4, 4)),
    (nn.PixelShuffle(2), (1, 4, 2, 2)), (nn.CosineSimilarity(), (5, 4), (5, 4)),
    (nn.ReflectionPad2d(1), (1, 2, 4, 4)), (nn.ZeroPad2d(1), (1, 2, 4, 4)),
    (nn.Flatten(), (2, 3, 4)),
]  # fmt: skip


@pytest.mark.parametrize("place", range(len(LAYERS)), ids=lambda k: type(LAYERS[k][0]).__name__)
def test_layers(place, strict):
    """Outputs, gradients to inputs and parameters, and buffers, in training and without."""
    layer, *shapes = LAYERS[place]
    inputs = [real(*shape, seed=k) for k, shape in enumerate(shapes)]
    parameters, twin = list(layer.parameters()), copy.deepcopy(layer)

    def step(net):
        def run(*tensors):
            results = leaves_of(net(*tensors))
            total = sum((r * r * 0.5 + r).sum() for r in results)
            wanted = [*tensors, *net.parameters()]
            return results, torch.autograd.grad(total, wanted, allow_unused=True)

        return run

    eager, compiled = step(twin), torch.compile(step(layer))
    for training in (True, True, True, False, False):
        twin.train(training), layer.train(training)
        torch.manual_seed(3)
        want = eager(*inputs)
        torch.manual_seed(3)
        got = compiled(*inputs)
        left, right = (*want[0], *want[1], *twin.buffers()), (*got[0], *got[1], *layer.buffers())
        for a, b in zip(left, right):
            assert a is b if a is None else alike(a.detach().numpy(), b.detach().numpy(), 1e-5)
    assert len(compiled.variants) >= 2 or not parameters, compiled.explain()


def test_the_table_above_is_whole():
    if len(RUN) < len(set(EXPRESSIONS)):
        pytest.skip("only with all the tests of this file, which note what they call")
    missing = set(REGISTRY) - CALLED - set(TABLE.UNARY + TABLE.BINARY) - ELSEWHERE
    assert not missing, f"operations that no expression calls: {sorted(missing)}"
