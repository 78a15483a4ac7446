"""Interpolation against the weight of every input element in every output element."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest

from flambeau.ops._sampling_arrays import (
    cubic_slopes,
    cubic_weights,
    interpolate,
    interpolate_gradient,
    interpolate_settings,
)


def keys(d: float, a: float) -> float:
    d = abs(d)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


KERNELS = {
    "linear": (1, lambda d: max(0.0, 1 - abs(d))),
    "cubic": (2, lambda d: keys(d, -0.5)),
    "lanczos": (3, lambda d: float(np.sinc(d) * np.sinc(d / 3)) if abs(d) < 3 else 0.0),
}


def line(n: int, m: int, mode: str, align_corners: bool, antialias: bool) -> np.ndarray:
    """The matrix (m, n) of one axis, entry by entry from the definition."""
    matrix = np.zeros((m, n))
    step = n / m
    if align_corners:
        step = (n - 1) / (m - 1) if m > 1 else 0.0
    for i in range(m):
        if antialias:
            reach, kernel = KERNELS[mode]
            wide = max(step, 1.0)
            centre = step * (i + 0.5)
            first = max(0, int(centre - reach * wide + 0.5))
            for j in range(first, min(n, int(centre + reach * wide + 0.5))):
                matrix[i, j] = kernel((j - centre + 0.5) / wide)
            matrix[i] /= matrix[i].sum()
            continue
        place = i * step if align_corners else (i + 0.5) * step - 0.5
        if mode == "nearest":
            matrix[i, min(n - 1, math.floor(i * step))] = 1
        elif mode == "nearest-exact":
            matrix[i, min(n - 1, math.floor((i + 0.5) * step))] = 1
        elif mode == "linear":
            place = max(place, 0.0)
            j = math.floor(place)
            matrix[i, j] += 1 - (place - j)
            matrix[i, min(j + 1, n - 1)] += place - j
        else:
            j = math.floor(place)
            for k in range(j - 1, j + 3):
                matrix[i, min(max(k, 0), n - 1)] += keys(place - k, -0.75)
    return matrix


SIZES = [
    ((7, 5), (11, 13)),
    ((11, 7), (5, 3)),
    ((5, 3), (5, 6)),
    ((1, 2), (3, 1)),
    ((7, 1), (1, 1)),
]
HOWS = [
    ("nearest", "nearest", False, False),
    ("nearest-exact", "nearest-exact", False, False),
    ("bilinear", "linear", False, False),
    ("bilinear", "linear", True, False),
    ("bicubic", "cubic", False, False),
    ("bicubic", "cubic", True, False),
    ("bilinear", "linear", False, True),
    ("bicubic", "cubic", False, True),
    ("lanczos", "lanczos", False, True),
]


@pytest.mark.parametrize(("sizes", "outs"), SIZES)
@pytest.mark.parametrize("how", HOWS)
def test_an_image_is_multiplied_by_a_matrix_from_each_side(
    how: tuple, sizes: tuple[int, int], outs: tuple[int, int]
) -> None:
    name, mode, align_corners, antialias = how
    rng = np.random.default_rng(1)
    x, g = rng.standard_normal((3, *sizes)), rng.standard_normal((3, *outs))
    rows, cols = (line(n, m, mode, align_corners, antialias) for n, m in zip(sizes, outs))
    args = name, align_corners, None, antialias
    np.testing.assert_allclose(interpolate(x, outs, *args), rows @ x @ cols.T, atol=1e-13)
    gradient = interpolate_gradient(g, sizes, *args)
    np.testing.assert_allclose(gradient, rows.T @ g @ cols, atol=1e-13)


def test_one_and_three_dimensions() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 2, 5, 3))
    a, b, c = (line(n, m, "linear", False, False) for n, m in zip((2, 5, 3), (3, 2, 7)))
    expected = np.einsum("xi,yj,zk,ncijk->ncxyz", a, b, c, x)
    np.testing.assert_allclose(interpolate(x, (3, 2, 7), "trilinear"), expected, atol=1e-14)
    np.testing.assert_allclose(
        interpolate(x[:, :, 0, 0], (7,), "linear"), x[:, :, 0, 0] @ c.T, atol=1e-14
    )


def test_a_given_scale_sets_the_places() -> None:
    x = np.arange(5.0)
    # 5 * 1.5 -> 7 elements, but 1 / 1.5 apart, not 5 / 7
    expected = [np.clip((i + 0.5) / 1.5 - 0.5, 0, 4) for i in range(7)]
    np.testing.assert_allclose(interpolate(x, (7,), "linear", False, (1.5,)), expected)
    np.testing.assert_array_equal(
        interpolate(x, (7,), "nearest", False, (1.5,)), [0, 0, 1, 2, 2, 3, 4]
    )


def test_area_is_adaptive_pooling() -> None:
    x = np.arange(6.0)
    np.testing.assert_array_equal(interpolate(x, (4,), "area"), [0.5, 1.5, 3.5, 4.5])
    np.testing.assert_allclose(
        interpolate_gradient(np.ones(4), (6,), "area"), [0.5, 1, 0.5, 0.5, 1, 0.5]
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_odd_pixel_stays_where_it_is(value: float) -> None:
    x = np.zeros((1, 20, 20))
    x[0, 10, 10] = value
    for mode in ("nearest", "bilinear", "bicubic"):
        assert np.isfinite(interpolate(x, (40, 40), mode)).sum() >= 1600 - 64


def test_dtypes_and_empty_batches() -> None:
    x = np.linspace(0, 1, 12).reshape(1, 3, 4)
    y = interpolate(x, (5, 7), "bilinear")
    half = interpolate(x.astype(ml_dtypes.bfloat16), (5, 7), "bilinear")
    assert half.dtype == ml_dtypes.bfloat16
    np.testing.assert_allclose(half.astype(float), y, rtol=2**-7)
    byte = np.array([[0, 255, 3]], np.uint8)
    np.testing.assert_array_equal(interpolate(byte, (2,), "linear"), [[64, 66]])
    assert interpolate(x[:0], (5, 7), "bicubic").shape == (0, 5, 7)
    with pytest.raises(NotImplementedError, match="lanczos"):
        interpolate(x, (5, 7), "lanczos")


#: What PyTorch 2.13 makes of the image below: (mode, antialias, size) -> bytes.
BYTES = {
    ("bilinear", False, (3, 4)): [88, 118, 146, 85, 75, 137, 111, 125, 104, 156, 204, 122],
    ("bilinear", True, (3, 4)): [90, 126, 139, 105, 92, 112, 135, 157, 86, 133, 183, 144],
    ("bicubic", False, (3, 4)): [94, 111, 152, 72, 66, 147, 121, 113, 117, 164, 218, 116],
    ("bicubic", True, (3, 4)): [87, 131, 143, 97, 93, 107, 134, 168, 80, 133, 191, 138],
    ("bicubic", False, (5, 11)): [
        11, 34, 94, 141, 99, 86, 116, 148, 85, 38, 40, 19, 141, 229, 171, 78, 150, 231, 161, 200,
        178, 112, 62, 66, 120, 180, 115, 73, 95, 143, 36, 90, 245, 16, 122, 166, 95, 14, 55, 157,
        202, 224, 194, 152, 10, 33, 66, 123, 190, 215, 220, 240, 175, 90, 46,
    ],
}  # fmt: skip


@pytest.mark.parametrize("case", BYTES, ids=str)
def test_bytes_are_pytorchs(case: tuple[str, bool, tuple[int, int]]) -> None:
    mode, antialias, size = case
    x = (np.arange(56) * np.arange(56) * 37 % 256).reshape(1, 1, 7, 8).astype(np.uint8)
    y = interpolate(x, size, mode, antialias=antialias)
    assert y.dtype == np.uint8 and y.ravel().tolist() == BYTES[case]
    assert interpolate(x[:0], size, mode, antialias=antialias).shape == (0, 1, *size)
    np.testing.assert_array_equal(interpolate(x, (7, 8), mode, antialias=antialias), x)


def test_slopes_are_derivatives_of_the_weights() -> None:
    t, h = np.array([0.1, 0.5, 0.9]), 1e-6
    for slope, up, down in zip(cubic_slopes(t), cubic_weights(t + h), cubic_weights(t - h)):
        np.testing.assert_allclose(slope, (up - down) / (2 * h), atol=1e-8)


def settings(x: tuple = (1, 2, 5, 5), **change: object) -> tuple:
    args = dict.fromkeys(("size", "scale_factor", "align_corners", "recompute_scale_factor"))
    return interpolate_settings(x, **{**args, "mode": "nearest", "antialias": False, **change})


def test_sizes_from_factors() -> None:
    assert settings(size=3) == ((3, 3), None)
    assert settings(scale_factor=(1.5, 0.5)) == ((7, 2), (1.5, 0.5))
    assert settings(scale_factor=1.5, recompute_scale_factor=True) == ((7, 7), None)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({}, ValueError, "either size or scale_factor should be defined"),
        ({"size": 3, "scale_factor": 2}, ValueError, "only one of size or scale_factor should"),
        (
            {"size": 3, "x": (2, 5, 5), "mode": "bilinear"},
            NotImplementedError,
            "Got 3D input, but bilinear mode needs 4D input",
        ),
        (
            {"size": (1, 2, 3)},
            ValueError,
            "Input and output must have the same number of spatial dimensions",
        ),
        ({"size": 3, "x": (3, 3)}, NotImplementedError, "Only 3D, 4D and 5D input Tensors"),
        ({"size": 3, "mode": "foo"}, NotImplementedError, "(got foo)"),
        ({"size": 3, "align_corners": True}, ValueError, "align_corners option can only be set"),
        ({"size": 3, "antialias": True}, ValueError, "Anti-alias option is restricted to"),
        ({"size": 3, "recompute_scale_factor": True}, ValueError, "is not meaningful with an"),
        ({"size": 0}, RuntimeError, "Input and output sizes should be greater than 0"),
        ({"size": 3, "x": (1, 0, 5, 5)}, RuntimeError, "Non-empty 4D data tensor expected"),
        ({"size": 3.5}, TypeError, "whole numbers"),
        ({"size": 3, "mode": "lanczos"}, ValueError, "Lanczos mode requires antialias=True"),
    ],
)
def test_wrong_arguments(change: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        settings(**change)
    assert message in str(caught.value)
