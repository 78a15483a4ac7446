"""Sums, moments, norms along rows, and maxima over windows: kernels against their NumPy twins."""

import random

import numpy as np
import pytest

import flambeau as torch
from flambeau import _config
from flambeau.compiler import pool_kernels, rows_kernels
from flambeau.ops import _pool_arrays as pools
from flambeau.ops import normalisation

# The user's filters are pytest's here, not those that flambeau sets at import.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
WIDTHS = [1, 2, 31, 32, 33, 127, 1000, 2049, 6007]
DTYPES = [np.float32, np.float64]


@pytest.fixture
def compiled():
    pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install -e '.[compile]'")
    return rows_kernels


def drawn(shape, dtype, seed, scale=3.0, shift=1.0):
    values = np.random.default_rng(seed).standard_normal(shape) * scale + shift
    return values.astype(dtype)


def tolerance(dtype):
    return 2e-5 if dtype == np.float32 else 1e-13


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", WIDTHS)
def test_sums_and_moments_are_accurate(compiled, width, dtype):
    a = drawn((5, width), dtype, 0, shift=100)
    exact = a.astype(np.longdouble)
    row_sums = compiled.sums(a.dtype, (5, 1), 5, width, 1.0)
    expected = exact.sum(1, keepdims=True)
    np.testing.assert_allclose(row_sums(a), expected, rtol=np.finfo(dtype).eps)
    mean, squares = compiled.row_moments(a)
    deviations = exact - exact.mean(1, keepdims=True)
    np.testing.assert_allclose(mean, exact.mean(1), rtol=tolerance(dtype))
    expected = (deviations**2).sum(1)
    np.testing.assert_allclose(squares, expected, rtol=tolerance(dtype), atol=1e-20)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_inf_stay_in_their_row(compiled, value):
    a = drawn((3, 1000), np.float32, 0)
    a[1, 7] = value
    with np.errstate(all="ignore"):
        row_means = compiled.sums(a.dtype, (3,), 3, 1000, 1000.0)
        np.testing.assert_allclose(row_means(a), a.mean(1), rtol=1e-4)
    mean, squares = compiled.row_moments(a)
    assert np.isnan(squares).tolist() == [False, True, False]
    assert np.isfinite(mean).tolist() == [True, False, True]


def test_the_sum_of_millions_is_as_good_as_numpys(compiled):
    a = torch.rand(3_000_001, generator=torch.Generator().manual_seed(0))
    exact = a.double().sum().item()
    assert abs(a.sum().item() - exact) < 1e-6 * exact
    assert a.var().item() == pytest.approx(a.double().var().item(), rel=1e-6)
    assert a.mean().item() == pytest.approx(exact / 3_000_001, rel=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 200_003])
def test_sums_of_everything(compiled, size, dtype):
    a = drawn(size, dtype, 0, shift=100)
    exact = a.astype(np.longdouble).sum()
    close = np.finfo(dtype).eps
    got = compiled.sums(a.dtype, (), 1, size, 4.0)(a)
    assert got.shape == () and got.dtype == dtype
    np.testing.assert_allclose(got, np.float64(exact / 4), rtol=close)


@pytest.mark.parametrize("shape", [(300_000,), (100, 3000), (3, 10, 10_000), (600_000,)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.int32])
def test_large_sums_and_means_have_the_shapes_and_dtypes_of_small_ones(compiled, shape, dtype):
    x = (torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 3).to(dtype)
    small = x[..., :2]
    calls = [lambda t: t.sum(), lambda t: t.sum(-1), lambda t: t.sum(-1, keepdim=True),
             lambda t: t.sum(tuple(range(t.ndim)), keepdim=True)]  # fmt: skip
    if dtype.is_floating_point:
        calls += [lambda t: t.mean(), lambda t: t.mean(-1), lambda t: t.mean(0)]
        calls += [lambda t: t.T.sum() if t.ndim == 2 else t.sum()]
    for call in calls:
        got, like = call(x), call(small)
        expected = call(x.double()).to(got.dtype)
        assert got.dtype is like.dtype and got.ndim == like.ndim
        torch.testing.assert_close(
            got, expected, rtol=2e-3 if dtype is torch.float16 else 1e-6, atol=0
        )
    x = x.double().requires_grad_()
    x.mean().backward()
    assert x.grad.shape == shape and x.grad.flatten()[0] == 1 / x.numel()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("width", WIDTHS)
def test_norms_are_their_numpy_twins(compiled, width, centred, dtype):
    rows = 67
    x, g = drawn((rows, width), dtype, 0), drawn((rows, width), dtype, 1)
    weight, bias = drawn(width, dtype, 2), drawn(width, dtype, 3)
    close = {"rtol": 2e-3 if dtype == np.float32 else 1e-9, "atol": 2e-4}
    for w, b in ((weight, bias), (weight, None), (None, bias), (None, None)):
        with _config.override(compiled_kernels=False):
            expected = normalisation.rows_forward(x, w, b, 1e-5, centred)
        got = compiled.norm_rows(x, w, b, 1e-5, centred)
        for a, e in zip(got, expected, strict=True):
            assert a.dtype == e.dtype and a.shape == e.shape
            np.testing.assert_allclose(a, e, **close)
        _, mean, rstd = expected
        for needs in ((True, True, True), (True, False, False), (False, True, True)):
            with _config.override(compiled_kernels=False):
                expected_grads = normalisation.rows_backward(g, x, mean, rstd, w, centred, needs)
            grads = compiled.norm_rows_backward(g, x, mean, rstd, w, centred, needs)
            for a, e, need in zip(grads, expected_grads, needs, strict=True):
                assert (a is None) == (not need)
                if need and width > 1:
                    scale = max(1, np.abs(e).max())
                    np.testing.assert_allclose(a / scale, e / scale, **close)


def test_a_norm_keeps_nan_in_its_row(compiled):
    x = drawn((40, 500), np.float32, 0)
    x[3, 5] = np.nan
    y, _, _ = compiled.norm_rows(x, None, None, 1e-5, True)
    assert np.isnan(y[3]).all() and np.isfinite(np.delete(y, 3, 0)).all()


def test_layer_norm_with_and_without_kernels(compiled):
    x = torch.randn(300, 129, dtype=torch.float64, requires_grad=True)
    w, b = torch.randn(2, 129, dtype=torch.float64).requires_grad_().unbind(0)
    results = []
    for on in (True, False):
        with _config.override(compiled_kernels=on):
            y = torch.nn.functional.layer_norm(x, (129,), w, b)
            results.append((y, *torch.autograd.grad(y.sin().sum(), (x, w, b))))
    for a, e in zip(*results, strict=True):
        assert torch.allclose(a, e, rtol=1e-10, atol=1e-10)


# ---- maxima over windows -------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(120))
def test_maxima_and_their_places(compiled, seed):
    """Odd sizes, padding, dilation, ties, nan and -inf, in one to three dimensions."""
    pick = random.Random(seed).choice
    dims = pick([1, 2, 2, 3])
    kernel = tuple(pick([1, 2, 2, 3, 4]) for _ in range(dims))
    settings = (
        kernel,
        tuple(pick([1, 2, 2, 3]) for _ in range(dims)),
        tuple(pick([0, 1]) if k > 1 else 0 for k in kernel),
        tuple(pick([1, 1, 1, 2]) for _ in range(dims)),
    )
    sizes = tuple(pick([7, 8, 11, 37, 40]) for _ in range(dims))
    x = drawn((3, *sizes), pick(DTYPES), seed)
    if seed % 3 == 0:
        x = np.round(x)
    if seed % 4 == 0:
        x.flat[::7] = np.nan
    if seed % 5 == 0:
        x.flat[::3] = -np.inf
    with _config.override(compiled_kernels=False):
        best, where = pools.max_pool(x, *settings, bool(seed % 2))
    got = pool_kernels.max_pool(x, best.shape[1:], *settings)
    if got is None:
        assert np.prod(kernel) > pool_kernels.TAPS
        return
    np.testing.assert_array_equal(got[0], best)
    np.testing.assert_array_equal(got[1], where)
    grad = drawn(best.shape, x.dtype, 1)
    with _config.override(compiled_kernels=False):
        expected = pools.pooled_scatter(grad, where, sizes)
    np.testing.assert_allclose(
        pool_kernels.pooled_scatter(grad, where, sizes), expected, rtol=1e-5, atol=1e-5
    )


def test_a_place_outside_is_refused(compiled):
    grad, where = np.ones((1, 4), np.float32), np.array([[0, 1, 2, 9]])
    assert pool_kernels.pooled_scatter(grad, where, (2, 2)) is None
    assert pool_kernels.pooled_scatter(grad, where.clip(0, 3), (2, 2)).sum() == 4


def test_max_pool_with_and_without_kernels(compiled):
    x = torch.randn(8, 5, 33, 37, requires_grad=True)
    results = []
    for on in (True, False):
        with _config.override(compiled_kernels=on):
            y, where = torch.nn.functional.max_pool2d(x, 3, 2, 1, return_indices=True)
            results.append((y, where, *torch.autograd.grad(y.square().sum(), x)))
    for a, e in zip(*results, strict=True):
        assert torch.allclose(a, e)


# ---- batch norm ----------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(3, 5, 1100), (64, 7, 6, 7), (2, 33, 17, 31)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_batch_norm_with_and_without_kernels(compiled, dtype, shape, training):
    torch.manual_seed(0)
    x = (torch.randn(shape, dtype=dtype) * 3 + 5).requires_grad_()
    w, b = (torch.randn(shape[1], dtype=dtype).requires_grad_() for _ in range(2))
    g = torch.randn(shape, dtype=dtype)
    results = []
    for on in (True, False):
        mean, var = (torch.linspace(0, 2, shape[1], dtype=dtype) + k for k in (0, 1))
        with _config.override(compiled_kernels=on):
            y = torch.nn.functional.batch_norm(x, mean, var, w, b, training)
            plain = torch.nn.functional.batch_norm(x, mean, var, None, None, training)
            grads = torch.autograd.grad((y * g).sum() + (plain * g).sum(), (x, w, b))
            results.append((y, plain, mean, var, *grads))
    limit = 2e-4 if dtype is torch.float32 else 1e-10
    for a, e in zip(*results, strict=True):
        assert a.dtype is dtype
        assert torch.allclose(a, e, rtol=limit, atol=limit * 10)


def test_nan_in_a_channel_stays_there(compiled):
    x = torch.randn(4, 3, 50, 50)
    x[2, 1, 3, 4] = float("nan")
    y = torch.nn.functional.batch_norm(x, None, None, training=True)
    assert y[:, 1].isnan().all() and not y[:, [0, 2]].isnan().any()
