"""Running sums, products and extremes, differences and integrals."""

import math

import numpy as np
import pytest

import flambeau as torch

nan, inf = math.nan, math.inf
RNG = np.random.default_rng(0)
SHAPES = [((), 0), ((7,), 0), ((3, 5), 0), ((3, 5), 1), ((20_011,), 0), ((130, 101), 1),
          ((130, 101), 0), ((5, 61, 43), 1), ((0, 3), 0), ((2, 30_000), -1)]  # fmt: skip


@pytest.mark.parametrize("shape, dim", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_cumsum_and_cumprod(shape, dim, dtype):
    a = np.asarray(
        RNG.uniform(0.9, 1.1, shape) if dtype is not np.int32 else RNG.integers(-3, 4, shape)
    )
    a = a.astype(dtype)
    x = torch.from_numpy(a)
    wide = np.int64 if dtype is np.int32 else np.float64
    line = a.reshape(1) if not a.ndim else a
    got = x.cumsum(dim)
    assert got.dtype is (torch.int64 if dtype is np.int32 else x.dtype) and got.shape == shape
    want = np.cumsum(line.astype(wide), dim).reshape(shape)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-7 if dtype is np.float32 else 1e-12)
    want = np.cumprod(line.astype(wide), dim).reshape(shape)
    np.testing.assert_allclose(x.cumprod(dim).numpy(), want, rtol=2e-7)


def test_scans_of_other_layouts_and_dtypes():
    a = np.arange(12.0).reshape(3, 4)
    x = torch.from_numpy(a).t()
    assert (x.cumsum(0).numpy() == np.cumsum(a.T, 0)).all()
    assert torch.tensor([True, True]).cumsum(0).tolist() == [1, 2]
    assert torch.tensor([1.0, 2.0]).bfloat16().cumsum(0).dtype is torch.bfloat16
    assert torch.tensor([1.5, 1.5]).cumsum(0, dtype=torch.int64).tolist() == [1, 2]
    y = torch.tensor([1.0, 2.0])
    assert y.cumsum_(0) is y and y.tolist() == [1, 3]
    with pytest.raises(IndexError, match="Dimension out of range"):
        y.cumsum(1)


def test_cummax_takes_the_last_of_equal_elements_and_keeps_nan():
    r = torch.tensor([1.0, 3.0, 3.0, 2.0, nan, 5.0, nan]).cummax(0)
    assert type(r) is torch.return_types.cummax
    assert r.indices.tolist() == [0, 1, 2, 2, 4, 4, 6]
    assert r.values[:4].tolist() == [1, 3, 3, 3] and torch.isnan(r.values[4:]).all()
    a = RNG.integers(0, 50, (30, 701))
    for dim in (0, 1):
        values, indices = torch.from_numpy(a).cummin(dim)
        assert (values.numpy() == np.minimum.accumulate(a, dim)).all()
        assert (np.take_along_axis(a, indices.numpy(), dim) == values.numpy()).all()


def test_logcumsumexp():
    x = torch.tensor([-inf, 1000.0, 1000.0, -1000.0])
    got = x.logcumsumexp(0).tolist()
    assert got[0] == -inf and got[2] == pytest.approx(1000 + math.log(2))
    z = torch.tensor([1 + 1j, 2 - 1j], dtype=torch.complex128)
    want = np.log(np.cumsum(np.exp(z.numpy())))
    np.testing.assert_allclose(z.logcumsumexp(0).numpy(), want)
    with pytest.raises(NotImplementedError, match="not implemented for 'Long'"):
        torch.tensor([1]).logcumsumexp(0)


def test_diff():
    x = torch.tensor([1, 4, 9, 16])
    assert x.diff().tolist() == [3, 5, 7] and x.diff(2).tolist() == [2, 2]
    assert x.diff(9).shape == (0,) and x.diff(0).tolist() == x.tolist()
    assert x.diff(prepend=torch.tensor([0]), append=torch.tensor([20])).tolist() == [1, 3, 5, 7, 4]
    assert torch.tensor([True, False, False]).diff().tolist() == [True, False]
    with pytest.raises(RuntimeError, match="diff expects input to be at least one-dimensional"):
        torch.diff(torch.tensor(1.0))
    with pytest.raises(RuntimeError, match="order must be non-negative but got -1"):
        torch.diff(x, -1)


def test_integrals():
    y = torch.tensor([[1.0, 5.0, 10.0], [2.0, 4.0, 6.0]])
    assert torch.trapezoid(y).tolist() == [10.5, 8]
    assert torch.trapezoid(y, dx=2).tolist() == [21, 16]
    assert torch.trapz(y, torch.tensor([0.0, 1.0, 3.0])).tolist() == [18, 13]
    assert torch.trapezoid(y, dim=0).tolist() == [1.5, 4.5, 8]
    assert torch.cumulative_trapezoid(y).tolist() == [[3, 10.5], [3, 8]]
    assert torch.trapezoid(y[:, :0]).tolist() == [0, 0]
    with pytest.raises(RuntimeError, match="There must be one `x` value for each sample point"):
        torch.trapezoid(y, torch.tensor([0.0, 1.0]))


@pytest.mark.parametrize("edge_order", [1, 2])
def test_gradient(edge_order):
    a = RNG.standard_normal((5, 7))
    x = torch.from_numpy(a)
    for got, want in zip(
        torch.gradient(x, edge_order=edge_order), np.gradient(a, edge_order=edge_order)
    ):
        np.testing.assert_allclose(got.numpy(), want)
    points = np.array([0.0, 1.0, 1.5, 4.0, 9.0])
    (got,) = torch.gradient(x, spacing=[torch.from_numpy(points)], dim=0, edge_order=edge_order)
    np.testing.assert_allclose(got.numpy(), np.gradient(a, points, axis=0, edge_order=edge_order))
    with pytest.raises(RuntimeError, match="each dimension size to be at least edge_order"):
        torch.gradient(x[:1], dim=0)
