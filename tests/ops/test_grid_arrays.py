"""grid_sample against a loop over places, its gradients against finite differences."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from flambeau.ops._sampling_arrays import (
    affine_grid,
    affine_grid_gradient,
    check_affine_grid,
    check_grid_sample,
    grid_sample,
    grid_sample_gradients,
)


def reflect(v: float, n: int, align_corners: bool) -> float:
    low, high = (0.0, n - 1.0) if align_corners else (-0.5, n - 0.5)
    if low == high:
        return 0.0
    while not low <= v <= high:
        v = 2 * low - v if v < low else 2 * high - v
    return v


def confine(v: float, n: int, padding_mode: str, align_corners: bool) -> float:
    if padding_mode == "reflection":
        v = reflect(v, n, align_corners)
    return v if padding_mode == "zeros" else min(max(v, 0.0), n - 1.0)


def keys(d: float) -> float:
    d, a = abs(d), -0.75
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def loop_sample(
    x: np.ndarray, place: np.ndarray, mode: str, padding_mode: str, align_corners: bool
) -> np.ndarray:
    """(C,) from x (C, *sizes) at one place."""
    axes = []
    for n, c in zip(x.shape[1:], place[::-1], strict=True):
        v = (c + 1) / 2 * (n - 1) if align_corners else ((c + 1) * n - 1) / 2
        if mode == "bicubic":
            low = math.floor(v)
            taps = [(low + k, keys(v - low - k)) for k in range(-1, 3)]
            taps = [(round(confine(i, n, padding_mode, align_corners)), w) for i, w in taps]
        else:
            v = confine(v, n, padding_mode, align_corners)
            low = math.floor(v)
            taps = [(low, 1 - v + low), (low + 1, v - low)]
            if mode == "nearest":
                taps = [(int(np.rint(v)), 1.0)]
        axes.append([(i, w) for i, w in taps if 0 <= i < n])
    total = np.zeros(len(x))
    for taps in itertools.product(*axes):
        total += math.prod(w for _, w in taps) * x[(slice(None), *(i for i, _ in taps))]
    return total


HOWS = list(
    itertools.product(
        ["bilinear", "nearest", "bicubic"], ["zeros", "border", "reflection"], [True, False]
    )
)


def example(dims: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(dims)
    sizes, outs = (5, 3, 2)[:dims], (2, 3, 2)[:dims]
    return rng.standard_normal((2, 3, *sizes)), rng.uniform(-2.2, 2.2, (2, *outs, dims))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("how", HOWS)
def test_every_place(how: tuple, dims: int) -> None:
    if how[0] == "bicubic" and dims == 3:
        return  # not a mode of volumes
    x, grid = example(dims)
    found = grid_sample(x, grid, *how)
    for n, *o in np.ndindex(*grid.shape[:-1]):
        expected = loop_sample(x[n], grid[(n, *o)], *how)
        np.testing.assert_allclose(found[(n, slice(None), *o)], expected, atol=1e-13)


@pytest.mark.parametrize("how", HOWS)
def test_gradients(how: tuple) -> None:
    x, grid = example(2)
    g = np.random.default_rng(7).standard_normal(grid_sample(x, grid, *how).shape)
    to_x, to_grid = grid_sample_gradients(g, x, grid, *how)
    # linear in x, so that its gradient is the transpose
    assert np.vdot(to_x, x) == pytest.approx(np.vdot(g, grid_sample(x, grid, *how)))
    h = 1e-6
    for at in np.ndindex(*grid.shape):
        up, down = grid.copy(), grid.copy()
        up[at] += h
        down[at] -= h
        slope = np.vdot(g, grid_sample(x, up, *how) - grid_sample(x, down, *how)) / (2 * h)
        assert to_grid[at] == pytest.approx(slope, abs=1e-6)
    assert grid_sample_gradients(g, x, grid, *how, want_x=False)[0] is None


def test_odd_places_and_values() -> None:
    x = np.ones((1, 1, 3, 3))
    grid = np.array([[[[np.nan, 0], [np.inf, 0], [-1e30, 1e30]]]])
    assert grid_sample(x, grid, "nearest", "zeros", False).ravel().tolist() == [0, 0, 0]
    assert grid_sample(x, grid, "nearest", "border", False).ravel().tolist() == [1, 1, 1]
    x[0, 0, 0, 0] = np.nan  # must not show at places outside
    assert grid_sample(x, grid[..., 1:, :], "nearest", "zeros", False).ravel().tolist() == [0, 0]


def test_empty() -> None:
    x, grid = np.ones((0, 2, 3, 3)), np.ones((0, 4, 5, 2))
    assert grid_sample(x, grid, "bilinear", "zeros", False).shape == (0, 2, 4, 5)
    to_x, to_grid = grid_sample_gradients(
        np.ones((0, 2, 4, 5)), x, grid, "bilinear", "zeros", False
    )
    assert to_x.shape == x.shape
    assert to_grid.shape == grid.shape


@pytest.mark.parametrize("align_corners", [True, False])
def test_affine_grid(align_corners: bool) -> None:
    theta = np.random.default_rng(0).standard_normal((2, 2, 3))
    grid = affine_grid(theta, (3, 1), align_corners)
    reach = 1 if align_corners else 2 / 3
    for i, y in enumerate([-reach, 0, reach]):
        np.testing.assert_allclose(grid[:, i, 0], theta @ [0, y, 1])
    g = np.random.default_rng(1).standard_normal(grid.shape)
    back = affine_grid_gradient(g, align_corners)
    assert np.vdot(back, theta) == pytest.approx(np.vdot(g, grid))
    volume = affine_grid(np.eye(3, 4)[None], (2, 3, 5), True)
    np.testing.assert_allclose(volume[0, 1, 0, 4], [1, -1, 1])


@pytest.mark.parametrize(
    ("x", "grid", "mode", "error", "message"),
    [
        ((1, 2, 5, 5), (1, 3, 3, 2), "foo", ValueError, "expected mode to be 'bilinear'"),
        ((2, 5, 5), (1, 3, 3, 2), "nearest", RuntimeError, "to have same batch size, but got"),
        ((1, 5, 5), (1, 3, 2), "nearest", RuntimeError, "same number of dimensions"),
        ((1, 2, 5, 5), (1, 3, 3, 3), "nearest", RuntimeError, "to have size 2 in last dimension"),
        ((1, 2, 0, 5), (1, 3, 3, 2), "nearest", RuntimeError, "with dimension 2 being empty"),
        ((1, 2, 5, 5, 5), (1, 3, 3, 3, 3), "bicubic", RuntimeError, "only supports 4D input"),
    ],
)
def test_wrong_grids(
    x: tuple, grid: tuple, mode: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        check_grid_sample(x, grid, mode, "zeros")
    assert message in str(caught.value)


def test_wrong_affine_maps() -> None:
    with pytest.raises(ValueError, match="expected padding_mode to be 'zeros'"):
        check_grid_sample((1, 2, 5, 5), (1, 3, 3, 2), "nearest", "foo")
    with pytest.raises(NotImplementedError, match="only supports 4D and 5D sizes"):
        check_affine_grid((1, 2, 3), (1, 2, 5))
    with pytest.raises(ValueError, match="Expected a batch of 2D affine matrices of shape Nx2x3"):
        check_affine_grid((1, 2, 2), (1, 2, 5, 5))
    with pytest.raises(ValueError, match="Expected non-zero, positive output size"):
        check_affine_grid((1, 2, 3), (1, 2, 0, 5))
    with pytest.raises(RuntimeError, match="Expected size for first two dimensions of batch2"):
        check_affine_grid((2, 2, 3), (1, 2, 5, 5))
