"""Generated attention against its NumPy twin."""

import random

import numpy as np
import pytest

import flambeau as torch
from flambeau import _config
from flambeau.compiler import attention_kernels
from flambeau.ops import attention

# The user's filters are pytest's here, not those that flambeau sets at import.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.fixture
def compiled():
    pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install -e '.[compile]'")
    return attention_kernels


def drawn(shape, dtype, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("seed", range(60))
def test_every_size_forward_and_backward(compiled, seed):
    pick = random.Random(seed).choice
    dtype = pick([np.float32, np.float64])
    causal, keep = pick([False, True]), pick([False, True])
    lead = pick([1, 2, 3]), pick([1, 2, 4])
    rows = pick([1, 2, 5, 17, 64, 100, 331])
    columns = rows if seed % 2 else pick([1, 3, 16, 65, 129, 700])
    width = pick([1, 3, 8, 16, 32, 40, 64])
    value_width = width if seed % 3 else pick([1, 5, 24])
    q, k = drawn((*lead, rows, width), dtype, 1), drawn((*lead, columns, width), dtype, 2)
    v = drawn((*lead, columns, value_width), dtype, 3)
    if seed % 4 == 0:  # heads inside of rows; rows that are not dense
        q = np.ascontiguousarray(q.swapaxes(1, 2)).swapaxes(1, 2)
        k = np.asfortranarray(k)
    with _config.override(compiled_kernels=False):
        expected = attention._attention_forward(q, k, v, None, None, causal, 0.3, keep)
        g = drawn(expected[0].shape, dtype, 4)
        grads = attention._attention_backward(
            g, q, k, v, None, None, expected[1], causal, 0.3, False
        )
    got = compiled.attention(q, k, v, causal, 0.3, keep)
    got_grads = compiled.attention_backward(g, q, k, v, got[1], causal, 0.3)
    tolerance = 2e-4 if dtype == np.float32 else 1e-11
    for a, e in zip((*got, *got_grads), (*expected, *grads), strict=False):
        assert a.shape == e.shape and a.dtype == e.dtype
        np.testing.assert_allclose(a, e, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    "sizes", [(53, 61, 11, 7), (1, 70, 8, 8), (70, 1, 8, 20), (200, 270, 16, 33)]
)
def test_what_lies_in_the_scratch_does_not_matter(compiled, causal, sizes):
    rows, columns, width, value_width = sizes
    q, k = drawn((1, 3, rows, width), np.float32, 1), drawn((1, 3, columns, width), np.float32, 2)
    v, g = (drawn((1, 3, n, value_width), np.float32, n) for n in (columns, rows))
    for keep in (False, True):
        found = []
        for fill in (0, 17, 255):  # zeros, small numbers, nan
            compiled.scratch.address(1 << 19, 4)
            compiled.scratch.array[:] = fill
            y, kept = compiled.attention(q, k, v, causal, 0.3, keep)
            compiled.scratch.array[:] = fill
            found.append((y, kept, *compiled.attention_backward(g, q, k, v, kept, causal, 0.3)))
        for a, b, c in zip(*found, strict=True):
            assert np.isfinite(a).all()
            np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(a, c)


def test_nan_stays_in_its_row_and_the_future_is_not_seen(compiled):
    q, k, v = (drawn((1, 2, 40, 16), np.float32, n) for n in range(3))
    q[0, 1, 7, 3] = np.nan
    y, _ = compiled.attention(q, k, v, True, 0.25, False)
    assert np.isnan(y[0, 1, 7]).all() and np.isfinite(np.delete(y[0, 1], 7, 0)).all()
    k[0, 0, 30:], v[0, 0, 30:] = 5, 7
    again, _ = compiled.attention(q, k, v, True, 0.25, False)
    np.testing.assert_array_equal(again[0, 0, :30], y[0, 0, :30])
    assert (again[0, 0, 30:] != y[0, 0, 30:]).any()


def test_large_scores_do_not_overflow(compiled):
    q, k, v = (drawn((1, 1, 33, 8), np.float32, n) for n in range(3))
    y, p = compiled.attention(q * 1e4, k * 1e4, v, False, 1.0, True)
    assert np.isfinite(y).all()
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_function_with_and_without_kernels(compiled, dtype):
    q, k, v = (torch.randn(2, 3, 70, 16).to(dtype).requires_grad_() for _ in range(3))
    results = []
    for on in (True, False):
        with _config.override(compiled_kernels=on):
            y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            results.append((y, *torch.autograd.grad(y.float().sin().sum(), (q, k, v))))
    limit = 1e-4 if dtype is torch.float32 else 4e-2
    for a, e in zip(*results, strict=True):
        assert a.dtype is dtype
        assert torch.allclose(a.float(), e.float(), rtol=limit, atol=limit)
