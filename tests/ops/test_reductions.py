"""Sums, means, moments, extremes, products, norms and their gradients."""

import math
import pickle

import numpy as np
import pytest

import flambeau as torch
from flambeau.autograd import gradcheck, gradgradcheck

nan, inf = math.nan, math.inf
RNG = np.random.default_rng(0)


def arrays(dtype=np.float32):
    """Shapes with prime sizes, a 0-dim one, an empty one, and layouts that are not contiguous."""
    a = RNG.standard_normal((3, 5, 7)).astype(dtype)
    one = a[1, 2, 3:4].reshape(())
    return [a, one, a[:, ::2, ::-1], a.transpose(2, 0, 1), np.broadcast_to(a[0], (2, 5, 7))]


def laid(a):
    """A tensor over ``a`` in its own layout, whatever that is."""
    x = torch.empty(0)
    x._array = a
    return x


def dims_of(ndim):
    return [None, *range(-ndim, ndim)] + ([(0, -1), (0, 1)] if ndim > 2 else [])


TWINS = {
    "sum": np.sum, "mean": np.mean, "amax": np.max, "amin": np.min, "nansum": np.nansum,
    "nanmean": np.nanmean, "std": lambda a, **k: np.std(a, ddof=0, **k),
    "var": lambda a, **k: np.var(a, ddof=0, **k),
    "logsumexp": lambda a, **k: np.log(np.sum(np.exp(a), **k)),
}  # fmt: skip


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reductions_agree_with_numpy(name, dtype):
    more = {"correction": 0} if name in ("var", "std") else {}
    for a in arrays(dtype):
        for dim in dims_of(a.ndim):
            for keepdim in (False, True):
                if dim is None and name == "logsumexp":
                    continue
                kept = dim if dim is not None else tuple(range(a.ndim))
                got = getattr(torch, name)(laid(a), kept, keepdim=keepdim, **more)
                want = TWINS[name](a.astype(np.float64), axis=dim, keepdims=keepdim)
                assert got.shape == want.shape
                assert got.numpy().dtype == dtype
                np.testing.assert_allclose(got.numpy(), want, rtol=2e-6, atol=1e-6)


def test_integers_and_bools_add_up_as_int64():
    x = torch.tensor([[200, 100], [255, 1]], dtype=torch.uint8)
    assert x.sum().dtype is torch.int64 and x.sum().item() == 556
    assert x.prod(1).tolist() == [20000, 255]
    assert (x > 100).sum(0).tolist() == [2, 0]
    assert x.sum(dtype=torch.int32).dtype is torch.int32
    assert x.cumsum(0).dtype is torch.int64
    assert torch.tensor([1.9, 1.9]).sum(dtype=torch.int64).item() == 2  # elements are cut


def test_sixteen_bit_floats_are_added_in_float32():
    x = torch.full((5000,), 1.0, dtype=torch.bfloat16)
    assert x.sum().item() == 4992.0 and x.sum().dtype is torch.bfloat16  # 5000 rounded once
    assert torch.full((4096,), 0.1, dtype=torch.float16).mean().item() == pytest.approx(
        0.1, abs=1e-4
    )


@pytest.mark.parametrize("shape, dims", [
    ((200_003,), (0,)), ((700, 513), (0,)), ((700, 513), (1,)), ((300, 700), (0, 1)),
    ((100_003, 3), (0,)), ((3, 100_003), (1,)), ((7, 11, 33, 91), (0, 2, 3)), ((9, 4000, 5), (1,)),
    ((2000, 2), (0,)),
])  # fmt: skip
def test_large_float32_sums_and_moments_stay_accurate(shape, dims):
    a = RNG.random(shape, dtype=np.float32) + np.float32(100)
    for layout in (a, np.asfortranarray(a), a[::-1]):
        x = laid(layout)
        exact = layout.astype(np.float64)
        total = x.sum(dims).numpy()
        np.testing.assert_allclose(total, exact.sum(dims), rtol=1.2e-6)
        np.testing.assert_allclose(x.var(dims).numpy(), exact.var(dims, ddof=1), rtol=5e-6)
        np.testing.assert_allclose(x.amax(dims).numpy(), layout.max(dims))


def test_sums_carry_inf_and_nan():
    x = torch.ones(300, 1000)
    x[5, 7] = inf
    x[9, 1] = nan
    rows = x.sum(1)
    assert rows[5].item() == inf and math.isnan(rows[9].item()) and rows[0].item() == 1000
    assert torch.isnan(x.sum()) and torch.isnan(x.mean()) and torch.isnan(x.var())
    assert x.nansum().item() == inf


def test_empty():
    e = torch.empty(0, 3)
    assert e.sum().item() == 0 and e.sum(0).tolist() == [0, 0, 0] and e.sum(1).shape == (0,)
    assert e.prod().item() == 1 and torch.isnan(e.mean()) and torch.isnan(e.mean(0)).all()
    assert e.all().item() is True and e.any().item() is False
    assert e.amax(1).shape == (0,) and e.logsumexp(0).tolist() == [-inf] * 3
    assert torch.isnan(torch.tensor([]).median())
    assert e.norm().item() == 0 and e.var(1).shape == (0,)


def test_spellings_of_dim():
    x = torch.arange(6.0).reshape(2, 3)
    assert torch.sum(x, axis=1, keepdims=True).tolist() == [[3], [12]]
    assert x.sum([]).item() == x.sum(()).item() == x.sum(None).item() == 15
    assert torch.all(x > -1, ()).shape == (2, 3)
    assert x.sum((0, 1), True).shape == (1, 1)
    assert torch.sum(input=x, dim=0).tolist() == [3, 5, 7]


def test_sum_to_size_undoes_expand():
    x = torch.ones(2, 3, 4)
    assert x.sum_to_size(3, 1).tolist() == [[8], [8], [8]]
    assert x.sum_to_size((4,)).tolist() == [6] * 4
    with pytest.raises(
        RuntimeError, match=r"size \{\[2\]\} is not expandable to size \{\[2, 3, 4\]\}"
    ):
        x.sum_to_size(2)


# ---- extremes ------------------------------------------------------------------------------


def test_max_and_min_with_indices():
    x = torch.tensor([[1.0, 7.0, 7.0], [nan, 2.0, nan]])
    r = x.max(1)
    assert type(r) is torch.return_types.max and r.indices.tolist() == [1, 0]
    assert r.values[0].item() == 7 and math.isnan(r.values[1].item())
    values, indices = torch.min(x, dim=0, keepdim=True)
    assert indices.shape == (1, 3) and indices.tolist() == [[1, 1, 1]]
    assert repr(torch.tensor([3, 4]).max(0)) == (
        "torch.return_types.max(\nvalues=tensor(4),\nindices=tensor(1))"
    )
    assert torch.max(torch.tensor([1, 5]), torch.tensor([4, 2])).tolist() == [4, 5]
    assert math.isnan(x.max().item()) and math.isnan(x.amin().item())


def test_return_types_pickle_and_match():
    made = torch.return_types.max((1, 2))
    assert pickle.loads(pickle.dumps(made)) == (1, 2) and made.values == 1
    match made:
        case torch.return_types.max(values=v):
            assert v == 1
    with pytest.raises(TypeError, match="takes a 2-sequence"):
        torch.return_types.max((1,))


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int8])
def test_argmax_in_long_columns(dtype):
    a = RNG.integers(-100, 100, (3, 1000, 17)).astype(dtype)
    for dim in (0, 1, 2, -1):
        x = torch.from_numpy(a)
        assert (x.argmax(dim).numpy() == a.argmax(dim)).all()
        assert (x.argmin(dim).numpy() == a.argmin(dim)).all()
        assert (x.max(dim)[0].numpy() == a.max(dim)).all()
    if dtype is np.float32:
        a[1, 990, 3] = nan
        x = torch.from_numpy(a)
        assert x.argmax(1)[1, 3].item() == 990 and x.argmax(1)[0, 3].item() == a[0, :, 3].argmax()


def test_aminmax_and_0_dim():
    assert torch.tensor(3.0).max(0).indices.item() == 0
    assert torch.tensor(3.0).argmax().item() == 0
    r = torch.tensor([[1, 5], [9, 2]]).aminmax(dim=0)
    assert r.min.tolist() == [1, 2] and r.max.tolist() == [9, 5]


# ---- gradients -----------------------------------------------------------------------------


def leaf(*shape, positive=False):
    a = RNG.permutation(math.prod(shape)).reshape(shape) / math.prod(shape)  # no ties
    return torch.tensor(a + 0.5 if positive else 2 * a - 0.9, dtype=torch.float64).requires_grad_()


GRADIENTS = {
    "sum": lambda x: x.sum(), "dims": lambda x: x.sum((0, 2)), "keepdim": lambda x: x.sum(1, True),
    "mean": lambda x: x.mean(), "mean dim": lambda x: x.mean(1), "nansum": lambda x: x.nansum(1),
    "nanmean": lambda x: x.nanmean(1), "prod": lambda x: x.prod(), "prod dim": lambda x: x.prod(1),
    "var": lambda x: x.var(), "var dim": lambda x: x.var(1, correction=0),
    "std": lambda x: x.std(1), "var_mean": lambda x: torch.var_mean(x, 1),
    "std_mean": lambda x: torch.std_mean(x, (0, 2), keepdim=True),
    "amax": lambda x: x.amax(1), "max": lambda x: x.max(), "max dim": lambda x: x.max(1)[0],
    "min dim": lambda x: x.min(-1, True)[0], "logsumexp": lambda x: x.logsumexp((0, 1)),
    "norm": lambda x: x.norm(), "norm 1": lambda x: x.norm(1, 0), "norm 3": lambda x: x.norm(3, 1),
    "norm 1.5": lambda x: x.norm(1.5, 1), "norm inf": lambda x: x.norm(inf, 1),
    "dist": lambda x: torch.dist(x, x.new_full((2, 3, 2), 0.3), 2),
    "softmax": lambda x: x.softmax(1), "log_softmax": lambda x: x.log_softmax(1),
    "median": lambda x: x.median(), "median dim": lambda x: x.median(1)[0],
    "kthvalue": lambda x: x.kthvalue(2, 1)[0], "sort": lambda x: x.sort(1)[0],
    "topk": lambda x: x.topk(2, 1)[0], "cumsum": lambda x: x.cumsum(1),
    "cumprod": lambda x: x.cumprod(1), "cummax": lambda x: x.cummax(1)[0],
    "logcumsumexp": lambda x: x.logcumsumexp(1), "quantile": lambda x: x.quantile(0.3, 1),
    "trace": lambda x: x[:, :, 0].trace(), "renorm": lambda x: x.renorm(2, 0, 0.5),
    "cov": lambda x: x[0].cov(), "corrcoef": lambda x: x[0].corrcoef(),
    "diff": lambda x: x.diff(dim=1), "trapezoid": lambda x: torch.trapezoid(x, dim=1),
}  # fmt: skip


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_to_second_order(name):
    f = GRADIENTS[name]
    x = leaf(2, 3, 2, positive=True)
    assert gradcheck(f, (x,))
    assert gradgradcheck(f, (x,))


@pytest.mark.parametrize("zeros", [[1], [0, 2], [0], []])
def test_gradients_of_products_with_zeros(zeros):
    a = np.array([[2.0, 3.0, 5.0], [0.5, 0.25, 4.0]])
    a[0, zeros] = 0
    x = torch.tensor(a, requires_grad=True)
    for f in (lambda x: x.prod(1), lambda x: x.prod(), lambda x: x.cumprod(1)):
        assert gradcheck(f, (x,))


def test_gradients_at_ties():
    x = torch.tensor([2.0, 2.0, 1.0], requires_grad=True)
    cases = [
        (x.max(), [0.5, 0.5, 0]), (x.amax(0), [0.5, 0.5, 0]), (x.median(), [0.5, 0.5, 0]),
        (x.max(0)[0], [1, 0, 0]), (x.cummax(0)[0].sum(), [1, 2, 0]), (x.norm(inf), [0.5, 0.5, 0]),
        (x.sort()[0][1], [1, 0, 0]),
    ]  # fmt: skip
    for y, want in cases:
        assert torch.autograd.grad(y, x, retain_graph=True)[0].tolist() == want


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3, inf])
def test_the_gradient_of_a_norm_at_zero_is_zero(p):
    x = torch.zeros(3, requires_grad=True)
    x.norm(p).backward()
    assert x.grad.tolist() == [0, 0, 0]


def test_grad_fn_names():
    x = torch.ones(2, 3, requires_grad=True)
    names = {
        "SumBackward0": x.sum(), "SumBackward1": x.sum(0), "MeanBackward0": x.mean(),
        "MeanBackward1": x.mean(0), "MaxBackward1": x.max(), "MaxBackward0": x.max(0)[0],
        "AmaxBackward0": x.amax(0), "VarBackward0": x.var(), "ProdBackward0": x.prod(),
        "ProdBackward1": x.prod(0), "LogsumexpBackward0": x.logsumexp(0),
        "SoftmaxBackward0": x.softmax(0), "LogSoftmaxBackward0": x.log_softmax(0),
        "CumsumBackward0": x.cumsum(0), "SortBackward0": x.sort()[0],
        "LinalgVectorNormBackward0": x.norm(),
    }  # fmt: skip
    for name, y in names.items():
        assert y.grad_fn.name() == name


# ---- softmax -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape, dim",
    [
        ((3, 5), 1),
        ((3, 5), 0),
        ((300, 501), 1),
        ((501, 300), 0),
        ((7, 70, 90), 1),
        ((), 0),
        ((4, 0), 1),
        ((2, 50_001), 1),
    ],
)
def test_softmax(shape, dim):
    a = (RNG.standard_normal(shape) * 30).astype(np.float32)
    x = torch.from_numpy(np.asarray(a)).requires_grad_()
    d = np.asarray(a, np.float64)
    e = np.exp(d - d.max(dim, keepdims=True, initial=-inf)) if d.ndim else np.ones(())
    want = e / e.sum(dim, keepdims=True) if d.ndim else e
    y = x.softmax(dim)
    np.testing.assert_allclose(y.detach().numpy(), want, rtol=2e-5, atol=1e-30)
    if d.size:
        logs = x.log_softmax(dim).detach().numpy()
        shift = d - d.max(dim, keepdims=True) if d.ndim else d * 0
        exact = shift - np.log(np.exp(shift).sum(dim, keepdims=True)) if d.ndim else shift
        np.testing.assert_allclose(logs, exact, rtol=1e-5, atol=1e-5)
        w = RNG.standard_normal(shape).astype(np.float32)
        (y * torch.from_numpy(np.asarray(w))).sum().backward()
        inner = (w * want).sum(dim, keepdims=True) if d.ndim else w * want
        np.testing.assert_allclose(x.grad.numpy(), want * (w - inner), rtol=1e-3, atol=1e-6)


def test_softmax_of_other_dtypes():
    assert torch.tensor([1, 1]).softmax(0, dtype=torch.float64).tolist() == [0.5, 0.5]
    assert torch.softmax(torch.zeros(4, dtype=torch.bfloat16), 0).dtype is torch.bfloat16
    with pytest.raises(NotImplementedError, match="not implemented for 'Long'"):
        torch.tensor([1, 1]).softmax(0)
    assert torch.tensor([-inf, 0.0]).softmax(0).tolist() == [0, 1]


# ---- out= and errors -----------------------------------------------------------------------


def test_out():
    x = torch.arange(6.0).reshape(2, 3)
    out = torch.empty(2)
    assert torch.sum(x, 1, out=out) is out and out.tolist() == [3, 12]
    wide = torch.empty(2, dtype=torch.float64)
    assert torch.sum(x, 1, out=wide).dtype is torch.float64
    pair = (torch.empty(2), torch.empty(2, dtype=torch.int64))
    assert torch.max(x, 1, out=pair).values is pair[0] and pair[1].tolist() == [2, 2]
    with pytest.raises(
        RuntimeError, match="Expected out tensor to have dtype float, but got double"
    ):
        torch.amax(x, 1, out=wide)


ERRORS = [
    (lambda: torch.sum([1]), TypeError,
     r"sum\(\): argument 'input' \(position 1\) must be Tensor, not list"),
    (lambda: torch.ones(2).sum(3), IndexError,
     r"Dimension out of range \(expected to be in range of \[-1, 0\], but got 3\)"),
    (lambda: torch.ones(2, 2).sum((0, 0)), RuntimeError,
     "dim 0 appears multiple times in the list of dims"),
    (lambda: torch.arange(3).mean(), RuntimeError,
     r"mean\(\): could not infer output dtype. Input dtype must be either a floating point or "
     "complex dtype. Got: Long"),
    (lambda: torch.empty(0).max(), RuntimeError,
     r"max\(\): Expected reduction dim to be specified for input.numel\(\) == 0."),
    (lambda: torch.empty(0, 2).max(0), IndexError,
     r"max\(\): Expected reduction dim 0 to have non-zero size."),
    (lambda: torch.empty(0).argmax(), IndexError,
     r"argmax\(\): Expected reduction dim to be specified for input.numel\(\) == 0."),
    (lambda: torch.ones(2, dtype=torch.complex64).max(), NotImplementedError,
     "\"max_all_cpu\" not implemented for 'ComplexFloat'"),
    (lambda: torch.arange(3).var(), RuntimeError,
     "std and var only support floating point and complex dtypes"),
    (lambda: torch.arange(3).norm(), RuntimeError,
     "linalg.vector_norm: Expected a floating point or complex tensor as input. Got Long"),
    (lambda: torch.ones(3).trace(), RuntimeError,
     "trace: expected a matrix, but got tensor with dim 1"),
    (lambda: torch.ones(3).kthvalue(4), RuntimeError,
     r"kthvalue\(\): selected number k out of range for dimension 0"),
    (lambda: torch.ones(3).topk(4), RuntimeError, "selected index k out of range"),
    (lambda: torch.ones(3, dtype=torch.complex64).sort(), RuntimeError,
     "Sort does not support complex dtypes on CPU"),
    (lambda: torch.ones(3).quantile(2.0), RuntimeError,
     r"quantile\(\) q must be in the range \[0, 1\] but got 2"),
]  # fmt: skip


@pytest.mark.parametrize("call, kind, message", ERRORS)
def test_errors(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_few_degrees_of_freedom_warn():
    with pytest.warns(UserWarning, match=r"degrees of freedom is <= 0"):
        assert math.isnan(torch.ones(1).var().item())


# ---- masked --------------------------------------------------------------------------------


def test_masked_reductions():
    x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    mask = torch.tensor([[True, False, True], [False] * 3])
    masked = torch.masked
    assert masked.sum(x, 1, mask=mask).tolist() == [4, 0]
    assert masked.prod(x, 1, mask=mask).tolist() == [3, 1]
    assert masked.amax(x, 1, mask=mask).tolist() == [3, -inf]
    assert masked.mean(x, 1, mask=mask)[0].item() == 2
    assert math.isnan(masked.mean(x, 1, mask=mask)[1].item())
    assert masked.softmax(x, 1, mask=mask)[0, 1].item() == 0
    assert masked.var(x, 1, mask=mask)[0].item() == 2
    assert masked.median(x, 1, mask=mask)[0].item() == 1
    assert masked.cumsum(x, 1, mask=mask).tolist() == [[1, 1, 4], [0, 0, 0]]
    assert masked.logsumexp(x, mask=mask).item() == pytest.approx(math.log(math.e + math.e**3))
    with pytest.raises(NotImplementedError, match="identity of amax on torch.bool input"):
        masked.amax(x > 2, 1, mask=mask)
