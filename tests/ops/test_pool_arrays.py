"""Pooling against loops over every window, with its gradients."""

from __future__ import annotations

import itertools
import math

import ml_dtypes
import numpy as np
import pytest

from flambeau.ops import _windows
from flambeau.ops._pool_arrays import (
    adaptive_avg_pool,
    adaptive_avg_pool_gradient,
    adaptive_max_pool,
    adaptive_settings,
    avg_pool,
    avg_pool_gradient,
    fractional_max_pool,
    max_pool,
    max_unpool,
    pool_settings,
    pooled_gather,
    pooled_scatter,
    pooled_size,
)

# sizes, kernel, stride, padding, dilation, ceil_mode
CASES = [
    ((7,), (3,), (2,), (1,), (1,), False),
    ((11,), (2,), (3,), (1,), (2,), True),
    ((5, 7), (2, 3), (2, 2), (1, 1), (1, 1), True),
    ((7, 5), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ((7, 7), (3, 2), (1, 3), (1, 0), (2, 1), False),
    ((3, 5, 7), (2, 3, 2), (1, 2, 2), (0, 1, 1), (1, 1, 1), True),
]


def window_taps(case: tuple) -> list[list[list[int]]]:
    """For each axis, for each window, the places of its taps, those outside included."""
    return [
        [[o * s - p + t * d for t in range(k)] for o in range(pooled_size(n, k, s, p, d, ceil))]
        for n, k, s, p, d, ceil in zip(*case[:5], itertools.repeat(case[5]), strict=False)
    ]


def part_taps(sizes: tuple[int, ...], outs: tuple[int, ...]) -> list[list[list[int]]]:
    return [
        [list(range(i * n // m, -(-(i + 1) * n // m))) for i in range(m)]
        for n, m in zip(sizes, outs, strict=True)
    ]


def loop_maximum(x: np.ndarray, taps: list[list[list[int]]]) -> tuple[np.ndarray, np.ndarray]:
    """The first largest element of each window; its last nan if it has one."""
    sizes = x.shape[1:]
    outs = tuple(map(len, taps))
    best, where = np.empty((len(x), *outs), x.dtype), np.empty((len(x), *outs), np.int64)
    for n, o in itertools.product(range(len(x)), np.ndindex(*outs)):
        top = None
        for at in itertools.product(*(taps[a][i] for a, i in enumerate(o))):
            if all(0 <= v < m for v, m in zip(at, sizes, strict=True)):
                value = x[(n, *at)]
                if top is None or value > top or value != value:
                    top = value
                    best[(n, *o)], where[(n, *o)] = value, np.ravel_multi_index(at, sizes)
    return best, where


def images(sizes: tuple[int, ...], dtype: type = np.float64) -> np.ndarray:
    """Three planes of small whole numbers, with many equal ones."""
    return np.random.default_rng(5).integers(-3, 4, (3, *sizes)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8, ml_dtypes.bfloat16])
@pytest.mark.parametrize("case", CASES)
def test_max_pool_takes_the_first_largest(case: tuple, dtype: type) -> None:
    x = images(case[0], dtype)
    best, where = loop_maximum(x, window_taps(case))
    found, at = max_pool(x, *case[1:])
    assert found.dtype == x.dtype
    np.testing.assert_array_equal(found, best)
    np.testing.assert_array_equal(at, where)
    np.testing.assert_array_equal(max_pool(x, *case[1:], indices=False)[0], best)


@pytest.mark.parametrize("value", [np.nan, -np.inf, np.inf])
@pytest.mark.parametrize("case", CASES)
def test_max_pool_of_odd_values(case: tuple, value: float) -> None:
    x = images(case[0])
    x[np.random.default_rng(1).random(x.shape) < 0.4] = value
    best, where = loop_maximum(x, window_taps(case))
    found, at = max_pool(x, *case[1:])
    np.testing.assert_array_equal(found, best)
    np.testing.assert_array_equal(at, where)
    np.testing.assert_array_equal(max_pool(x, *case[1:], indices=False)[0], best)


@pytest.mark.parametrize("outs", [(1, 1), (2, 3), (7, 11), (5, 2), (13, 1), (0, 3)])
def test_adaptive_pools(outs: tuple[int, int]) -> None:
    x = images((7, 11))
    taps = part_taps((7, 11), outs)
    best, where = loop_maximum(x, taps)
    found, at = adaptive_max_pool(x, outs)
    np.testing.assert_array_equal(found, best)
    np.testing.assert_array_equal(at, where)
    mean = np.empty((3, *outs))
    gradient = np.zeros_like(x)
    g = np.arange(float(mean.size)).reshape(mean.shape)
    for i, j in np.ndindex(*outs):
        part = np.ix_(range(3), taps[0][i], taps[1][j])
        mean[:, i, j] = x[part].mean((1, 2))
        gradient[part] += g[:, i, j, None, None] / x[part][0].size
    np.testing.assert_allclose(adaptive_avg_pool(x, outs), mean, rtol=1e-14)
    np.testing.assert_allclose(adaptive_avg_pool_gradient(g, (7, 11)), gradient, rtol=1e-13)


@pytest.mark.parametrize("divisor", [None, 3])
@pytest.mark.parametrize("count_include_pad", [True, False])
@pytest.mark.parametrize("case", [c for c in CASES if max(c[4]) == 1])
def test_avg_pool_divides_by_what_it_should(
    case: tuple, count_include_pad: bool, divisor: int | None
) -> None:
    sizes, kernel, stride, padding, _, ceil_mode = case
    x = images(sizes)
    taps = window_taps(case)
    outs = tuple(map(len, taps))
    mean, gradient = np.empty((3, *outs)), np.zeros_like(x)
    g = np.arange(float(mean.size)).reshape(mean.shape)
    for o in np.ndindex(*outs):
        inside, padded = [], []
        for axis, (i, n, p) in enumerate(zip(o, sizes, padding, strict=True)):
            inside.append([v for v in taps[axis][i] if 0 <= v < n])
            padded.append([v for v in taps[axis][i] if v < n + p])
        part = np.ix_(range(3), *inside)
        count = divisor or math.prod(map(len, padded if count_include_pad else inside))
        mean[(slice(None), *o)] = x[part].sum(tuple(range(1, x.ndim))) / count
        gradient[part] += g[(slice(None), *o)].reshape(-1, *(1,) * len(o)) / count
    how = kernel, stride, padding, ceil_mode, count_include_pad, divisor
    np.testing.assert_allclose(avg_pool(x, *how), mean, rtol=1e-14)
    np.testing.assert_allclose(avg_pool_gradient(g, sizes, *how), gradient, rtol=1e-13)
    whole = avg_pool(x.astype(np.int64), *how)
    np.testing.assert_array_equal(whole, np.trunc(mean))


def test_scatter_is_the_transpose_of_gather() -> None:
    rng = np.random.default_rng(2)
    x, g = rng.standard_normal((2, 3, 5, 7)), rng.standard_normal((2, 3, 3, 4))
    _, where = max_pool(x, (3, 3), (2, 2), (1, 1), (1, 1))
    assert where.shape == g.shape
    back = pooled_scatter(g, where, (5, 7))
    assert np.vdot(back, x) == pytest.approx(np.vdot(g, pooled_gather(x, where, 2)))


def test_unpooling_puts_maxima_back() -> None:
    x = images((4, 6))
    best, where = max_pool(x, (2, 2), (2, 2), (0, 0), (1, 1))
    back = max_unpool(best, where, (4, 6))
    np.testing.assert_array_equal(pooled_gather(back, where, 2), best)
    assert np.count_nonzero(back) <= best.size
    with pytest.raises(RuntimeError, match="Found an invalid max index: 24"):
        max_unpool(best, where * 0 + 24, (4, 6))


def test_fractional_windows_end_at_the_border() -> None:
    x = np.arange(49.0).reshape(1, 1, 7, 7)
    samples = np.array([[[0.3, 0.8]]])
    best, where = fractional_max_pool(x, (2, 3), (3, 2), samples)
    # heights: a = 5/2, starts 0, floor(1.8 * 2.5) - 2 = 2, 5; widths: a = 4, starts 0, 4
    np.testing.assert_array_equal(where[0, 0], [[9, 13], [23, 27], [44, 48]])
    np.testing.assert_array_equal(best, where)


def test_empty_batches() -> None:
    x = np.empty((0, 3, 5, 5), np.float32)
    best, where = max_pool(x, (2, 2), (2, 2), (0, 0), (1, 1))
    assert best.shape == where.shape == (0, 3, 2, 2)
    assert avg_pool(x, (2, 2), (2, 2), (0, 0)).shape == (0, 3, 2, 2)
    assert adaptive_avg_pool(x, (1, 1)).shape == (0, 3, 1, 1)
    assert pooled_scatter(best, where, (5, 5)).shape == x.shape


def test_parts_and_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).standard_normal((2, 5, 6, 7)).transpose(0, 1, 3, 2)
    how = (3, 2), (2, 2), (1, 1)

    def results() -> list[np.ndarray]:
        best, where = max_pool(x, *how, (1, 1))
        return [best, where, avg_pool(x, *how), pooled_scatter(best, where, (7, 6))]

    before = results()
    monkeypatch.setattr(_windows, "PART_BYTES", 1)
    monkeypatch.setattr(_windows, "SHARE_BYTES", 0)
    for a, b in zip(before, results(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": (3, 3)}, "non-empty 3D or 4D (batch mode) tensor"),
        ({"x": (1, 0, 5, 5)}, "Expected 3D or 4D (batch mode) tensor with optional 0 dim batch"),
        ({"x": (1, 2, 0, 5)}, "non-batch dimensions to have positive length"),
        ({"kernel": (1, 2, 3)}, "kernel_size must either be a single int, or a tuple of two ints"),
        ({"stride": (1, 2, 3)}, "stride must either be omitted, a single int, or a tuple of two"),
        ({"kernel": 0, "stride": 1}, "kernel size should be greater than zero"),
        ({"stride": 0}, "stride should not be zero"),
        ({"stride": -1}, "stride should be greater than zero"),
        ({"dilation": 0}, "dilation should be greater than zero"),
        ({"padding": -1}, "pad must be non-negative, but got pad: -1"),
        (
            {"padding": 2},
            "pad should be at most half of effective kernel size, but got pad=2, kernel_size=2 "
            "and dilation=1",
        ),
        ({"padding": 2, "dilation": 3}, "pad should be smaller than or equal to half of kernel"),
        (
            {"kernel": 7},
            "Given input size: (2x5x5). Calculated output size: (2x0x0). Output size is too",
        ),
        ({"divisor": 0}, "divisor must be not zero"),
    ],
)
def test_wrong_arguments(change: dict, message: str) -> None:
    args = {"x": (1, 2, 5, 5), "kernel": 2, "stride": None, "padding": 0}
    assert pool_settings("max_pool2d", **args) == ((2, 2), (2, 2), (0, 0), (1, 1))
    with pytest.raises(RuntimeError) as caught:
        pool_settings("max_pool2d", **{**args, **change})
    assert message in str(caught.value)


def test_adaptive_sizes() -> None:
    assert adaptive_settings("adaptive_avg_pool2d", (1, 0, 5, 7), (None, 3)) == (5, 3)
    for name, x, outs, error, message in [
        ("adaptive_avg_pool2d", (3, 3), 2, ValueError, "Input dimension should be at least 3"),
        ("adaptive_avg_pool2d", (1,) * 5, 2, RuntimeError, "Expected 3D or 4D tensor"),
        ("adaptive_max_pool1d", (1, 1, 1), (1, 2), RuntimeError, "should contain one int (got 2)"),
        ("adaptive_avg_pool2d", (1, 1, 1, 1), -1, RuntimeError, "greater than or equal to 0"),
        ("adaptive_max_pool2d", (1, 0, 5, 5), 2, RuntimeError, "with dimension 1 being empty"),
        ("adaptive_avg_pool2d", (1, 2, 0, 5), 2, RuntimeError, "with dimension 2 being empty"),
    ]:
        with pytest.raises(error) as caught:
            adaptive_settings(name, x, outs)
        assert message in str(caught.value)
