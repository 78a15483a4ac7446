"""Sorting, selection by rank, search in sorted sequences, distinct elements, counts, quantiles."""

import math

import numpy as np
import pytest

import flambeau as torch

nan, inf = math.nan, math.inf
RNG = np.random.default_rng(0)


def samples(dtype, shape):
    if dtype == np.bool_:
        return RNG.integers(0, 2, shape).astype(dtype)
    if dtype in (np.float32, np.float64):
        a = RNG.integers(-30, 30, shape).astype(dtype) / 4
        a.reshape(-1)[::17] = -0.0
        a.reshape(-1)[3::29] = inf
        a.reshape(-1)[5::31] = -inf
        return a
    return RNG.integers(max(-100, np.iinfo(dtype).min), 100, shape).astype(dtype)


DTYPES = [np.float32, np.float64, np.int64, np.int32, np.uint8, np.bool_]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape, dim",
    [
        ((37,), 0),
        ((5003,), 0),
        ((41, 57), 1),
        ((41, 57), 0),
        ((3, 70, 11), 1),
        ((2, 0), 1),
        ((600, 300), -1),
    ],
)
def test_sort_is_stable_both_ways(dtype, shape, dim):
    a = samples(dtype, shape)
    x = torch.from_numpy(a)
    values, indices = x.sort(dim)
    want = np.argsort(a, dim, kind="stable")
    assert (indices.numpy() == want).all() and values.dtype is x.dtype
    assert (values.numpy() == np.take_along_axis(a, want, dim)).all()
    falling, places = x.sort(dim, descending=True)
    assert (falling.numpy() == np.flip(values.numpy(), dim)).all()
    assert (np.take_along_axis(a, places.numpy(), dim) == falling.numpy()).all()
    if a.size:
        equal = np.diff(places.numpy(), axis=dim)[
            np.take(falling.numpy(), range(1, shape[dim]), dim)
            == np.take(falling.numpy(), range(shape[dim] - 1), dim)
        ]
        assert (equal > 0).all()


@pytest.mark.parametrize("n", [10, 1000, 20_000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_is_the_largest(n, dtype):
    a = RNG.standard_normal(n).astype(dtype)
    a[3], a[7] = nan, -nan
    x = torch.from_numpy(a)
    values, indices = x.sort()
    assert indices[-2:].tolist() == [3, 7] and (np.diff(values.numpy()[:-2]) >= 0).all()
    values, indices = x.sort(descending=True)
    assert indices[:2].tolist() == [3, 7] and (np.diff(values.numpy()[2:]) <= 0).all()
    assert sorted(x.topk(3)[1].tolist()[:2]) == [3, 7]
    assert math.isnan(x.median().item()) and not math.isnan(x.nanmedian().item())


def test_extreme_integers_sort():
    edges = [2**63 - 1, -(2**63), 0, -1, 1, 2**40]
    x = torch.tensor(edges * 100)
    assert x.sort()[0].tolist() == sorted(edges * 100)
    assert x.sort(descending=True)[0].tolist() == sorted(edges * 100, reverse=True)


def test_sort_of_a_scalar_and_twins():
    r = torch.tensor(3.0).sort()
    assert r.values.item() == 3 and r.indices.item() == 0
    x = torch.tensor([[3, 1], [2, 4]])
    assert x.argsort().tolist() == [[1, 0], [0, 1]] and x.msort().tolist() == [[2, 1], [3, 4]]
    assert torch.sort(x.bfloat16())[0].dtype is torch.bfloat16


@pytest.mark.parametrize(
    "shape, dim, k",
    [
        ((50,), 0, 7),
        ((9, 3000), 1, 5),
        ((3000, 9), 0, 4),
        ((5000,), 0, 5000),
        ((4, 5), 1, 0),
        ((20_000,), 0, 100),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_topk(shape, dim, k, dtype):
    a = samples(dtype, shape)
    for largest in (True, False):
        values, indices = torch.from_numpy(a).topk(k, dim, largest)
        ordered = np.sort(a, dim)
        if largest:
            ordered = np.flip(ordered, dim)
        assert (values.numpy() == np.take(ordered, range(k), dim)).all()
        assert (np.take_along_axis(a, indices.numpy(), dim) == values.numpy()).all()
        if k:
            assert (np.diff(np.sort(indices.numpy(), dim), axis=dim) > 0).all()  # no place twice


def test_choices_among_equal_elements_are_pytorchs():
    x = torch.tensor([2, 0, 2, 1, 0, 2, 1, 1, 0, 2])
    assert x.topk(4).indices.tolist() == GOLDEN["topk"]
    assert x.topk(4, largest=False).indices.tolist() == GOLDEN["bottom"]
    assert [x.kthvalue(k).indices.item() for k in range(1, 11)] == GOLDEN["kthvalue"]
    assert x.mode().indices.item() == GOLDEN["mode"] and x.mode().values.item() == 2
    assert x.median(0).indices.item() == GOLDEN["median"]
    y = torch.tensor([i * i % 7 for i in range(70)])
    assert y.topk(1).indices.item() == GOLDEN["heap"]
    assert y.mode().indices.item() == GOLDEN["mode of 70"]


# PyTorch 2.13 on a CPU.
GOLDEN = {
    "topk": [5, 9, 0, 2],
    "bottom": [1, 8, 4, 3],
    "kthvalue": [8, 1, 4, 6, 3, 7, 0, 2, 5, 9],
    "mode": 9,
    "median": 6,
    "heap": 2,
    "mode of 70": 22,
}


@pytest.mark.parametrize("n", [1, 2, 9, 10, 5001])
def test_ranks(n):
    a = samples(np.float32, (3, n))
    x = torch.from_numpy(a)
    ordered = np.sort(a, 1)
    values, indices = x.median(1)
    assert (values.numpy() == ordered[:, (n - 1) // 2]).all()
    assert (np.take_along_axis(a, indices.numpy()[:, None], 1)[:, 0] == values.numpy()).all()
    assert (x.kthvalue(n, 1)[0].numpy() == ordered[:, -1]).all()
    assert x.median().item() == np.sort(a, None)[(a.size - 1) // 2]
    values, indices = x.mode(1)
    counts = [max((row == v).sum() for v in row) for row in a]
    assert [(row == v).sum() for row, v in zip(a, values.numpy())] == counts


def test_medians_with_nan():
    x = torch.tensor([[1.0, nan, 3.0], [nan, nan, nan]])
    r = x.median(1)
    assert r.indices.tolist() == [1, 0] and torch.isnan(r.values).all()
    r = x.nanmedian(1)
    assert r.values[0].item() == 1 and r.indices.tolist() == [0, 0]


def test_quantiles():
    x = torch.tensor([[0.0, 1.0, 2.0, 4.0], [nan, 8.0, 6.0, 7.0]])
    assert x[0].quantile(0.5).item() == 1.5 and math.isnan(x[1].quantile(0.5).item())
    assert x.nanquantile(0.5, dim=1, keepdim=True).tolist() == [[1.5], [7]]
    q = torch.tensor([0.0, 0.4, 1.0])
    assert x[0].quantile(q).tolist() == pytest.approx([0, 1.2, 4])
    kinds = {"lower": 1, "higher": 2, "midpoint": 1.5, "nearest": 1}
    for kind, want in kinds.items():
        assert x[0].quantile(0.4, interpolation=kind).item() == want
    assert x.quantile(q, dim=0).shape == (3, 4)
    with pytest.raises(RuntimeError, match=r"quantile\(\) input tensor must be non-empty"):
        torch.empty(0).quantile(0.5)


def test_searchsorted_and_bucketize():
    edges = torch.tensor([1.0, 3.0, 5.0])
    v = torch.tensor([[0.0, 3.0], [nan, 9.0]])
    assert torch.searchsorted(edges, v).tolist() == [[0, 1], [3, 3]]
    assert torch.bucketize(v, edges, right=True).tolist() == [[0, 2], [3, 3]]
    assert torch.bucketize(3, edges, out_int32=True).dtype is torch.int32
    rows = torch.tensor([[3, 1, 2], [9, 7, 8]])
    found = torch.searchsorted(rows, torch.tensor([[2], [8]]), sorter=rows.argsort())
    assert found.tolist() == [[1], [1]]
    many = torch.from_numpy(np.sort(RNG.standard_normal(40_000)))
    keys = torch.from_numpy(RNG.standard_normal((2, 20_000)))
    want = np.searchsorted(many.numpy(), keys.numpy())
    assert (torch.searchsorted(many, keys).numpy() == want).all()
    with pytest.raises(RuntimeError, match="side can only be 'left' or 'right' but got middle"):
        torch.searchsorted(edges, v, side="middle")


def test_unique():
    x = torch.tensor([[3, 1], [2, 3]])
    values, inverse, counts = x.unique(return_inverse=True, return_counts=True)
    assert values.tolist() == [1, 2, 3] and inverse.tolist() == [[2, 0], [1, 2]]
    assert counts.tolist() == [1, 1, 2]
    rows = torch.tensor([[1, 2], [0, 9], [1, 2]])
    values, inverse = rows.unique(dim=0, return_inverse=True)
    assert values.tolist() == [[0, 9], [1, 2]] and inverse.tolist() == [1, 0, 1]
    run = torch.tensor([1, 1, 2, 2, 1])
    values, counts = run.unique_consecutive(return_counts=True)
    assert values.tolist() == [1, 2, 1] and counts.tolist() == [2, 2, 1]
    assert torch.tensor([nan, 1.0, nan]).unique().shape == (3,)
    assert torch.empty(0).unique().shape == (0,)


def test_counts():
    assert torch.bincount(torch.tensor([0, 3, 3]), minlength=6).tolist() == [1, 0, 0, 2, 0, 0]
    weights = torch.tensor([0.5, 1.0, 2.0])
    assert torch.bincount(torch.tensor([0, 1, 1]), weights).tolist() == [0.5, 3]
    assert torch.histc(torch.tensor([1.0, 2.0, 3.0, 9.0]), 4, 0, 4).tolist() == [0, 1, 1, 1]
    r = torch.histogram(torch.tensor([1.0, 2.0, 2.0]), 2, range=(0.0, 4.0), density=True)
    assert r.hist.tolist() == pytest.approx([1 / 6, 1 / 3]) and r.bin_edges.tolist() == [0, 2, 4]
    assert torch.isin(torch.tensor([1, 2, 3]), torch.tensor([2, 5])).tolist() == [
        False,
        True,
        False,
    ]
    assert torch.count_nonzero(torch.tensor([[0.0, nan], [2, 0]]), dim=1).tolist() == [1, 1]
    points = torch.tensor([[0.1, 0.9], [0.6, 0.6], [0.7, 0.8]])
    hist, edges = torch.histogramdd(points, [2, 2], range=[0.0, 1.0, 0.0, 1.0])
    assert hist.tolist() == [[0, 1], [0, 2]] and edges[1].tolist() == [0, 0.5, 1]
    with pytest.raises(
        RuntimeError, match="bincount only supports 1-d non-negative integral inputs"
    ):
        torch.bincount(torch.tensor([-1]))


def test_covariance():
    a = RNG.standard_normal((3, 11))
    x = torch.from_numpy(a)
    np.testing.assert_allclose(x.cov().numpy(), np.cov(a))
    f, w = RNG.integers(1, 4, 11), RNG.random(11)
    got = torch.cov(x, correction=0, fweights=torch.from_numpy(f), aweights=torch.from_numpy(w))
    np.testing.assert_allclose(got.numpy(), np.cov(a, ddof=0, fweights=f, aweights=w))
    np.testing.assert_allclose(x.corrcoef().numpy(), np.corrcoef(a))
    z = torch.from_numpy(a + 1j * a[::-1])
    np.testing.assert_allclose(z.cov().numpy(), np.cov(z.numpy()))
    with pytest.raises(RuntimeError, match="fweights cannot be negative"):
        torch.cov(x, fweights=torch.full((11,), -1))


def test_renorm():
    x = torch.tensor([[3.0, 4.0], [0.3, 0.4]])
    y = x.renorm(2, 0, 1.0)
    assert (
        y.norm(dim=1).tolist() == pytest.approx([1, 0.5], rel=1e-5)
        and y[1].tolist() == x[1].tolist()
    )
    with pytest.raises(RuntimeError, match="expected maxnorm to be >= 0 but got -1"):
        x.renorm(2, 0, -1)
