"""Convolution and its gradients against loops over every output element."""

from __future__ import annotations

import itertools
import math

import ml_dtypes
import numpy as np
import pytest

from flambeau._system import blas
from flambeau.ops import _conv_arrays, _windows
from flambeau.ops._conv_arrays import (
    convolution_settings,
    convolve,
    convolve_input_gradient,
    convolve_weight_gradient,
    transposed_settings,
)

# batch, groups, channels and outputs of a group, sizes, kernel, stride, padding, dilation
CASES = [
    (2, 1, 3, 5, (7,), (3,), (1,), ((1, 1),), (1,)),
    (3, 2, 1, 2, (11,), (2,), (3,), ((0, 2),), (2,)),
    (1, 1, 2, 3, (5, 7), (3, 2), (1, 1), ((1, 1), (0, 1)), (1, 1)),
    (2, 3, 1, 1, (7, 5), (3, 3), (2, 1), ((1, 1), (2, 2)), (1, 2)),
    (2, 1, 3, 2, (7, 7), (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    (2, 1, 3, 2, (7, 7), (1, 1), (2, 3), ((0, 0), (2, 0)), (1, 1)),
    (2, 2, 2, 3, (5, 3, 7), (2, 3, 1), (1, 2, 3), ((1, 1), (0, 0), (1, 0)), (2, 1, 1)),
    (0, 1, 2, 3, (5, 5), (3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1)),
]


def terms(case: tuple) -> itertools.chain:
    """Every (output index, weight index, input index) whose product a convolution adds."""
    n, groups, c, o, sizes, kernel, stride, padding, dilation = case
    out = [
        (m + a + b - d * (k - 1) - 1) // s + 1
        for m, k, s, (a, b), d in zip(sizes, kernel, stride, padding, dilation, strict=True)
    ]
    for b, g, i, j in itertools.product(range(n), range(groups), range(o), range(c)):
        for p, t in itertools.product(np.ndindex(*out), np.ndindex(*kernel)):
            at = [
                q * s + u * d - a
                for q, s, u, d, (a, _) in zip(p, stride, t, dilation, padding, strict=True)
            ]
            if all(0 <= v < m for v, m in zip(at, sizes, strict=True)):
                yield (b, g * o + i, *p), (g * o + i, j, *t), (b, g * c + j, *at)


def arrays(case: tuple, dtype: type) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n, groups, c, o, sizes, kernel, stride, padding, dilation = case
    rng = np.random.default_rng(3)
    out = [
        (m + a + b - d * (k - 1) - 1) // s + 1
        for m, k, s, (a, b), d in zip(sizes, kernel, stride, padding, dilation, strict=True)
    ]
    shapes = (n, groups * c, *sizes), (groups * o, c, *kernel), (n, groups * o, *out)
    return tuple(rng.integers(-4, 5, shape).astype(dtype) for shape in shapes)


@pytest.mark.parametrize("dtype", [np.float32, np.complex128, np.int64, ml_dtypes.bfloat16])
@pytest.mark.parametrize("case", CASES)
def test_the_three_maps_are_their_sums(case: tuple, dtype: type) -> None:
    _, groups, _, _, sizes, kernel, stride, padding, dilation = case
    x, w, g = arrays(case, dtype)
    y, gx, gw = (np.zeros(a.shape, np.complex128) for a in (g, x, w))
    for p, t, at in terms(case):
        y[p] += w[t] * x[at]
        gx[at] += w[t] * g[p]
        gw[t] += g[p] * x[at]
    settings = stride, padding, dilation, groups
    for found, expected in (
        (convolve(x, w, None, *settings), y),
        (convolve_input_gradient(g, w, sizes, *settings), gx),
        (convolve_weight_gradient(g, x, kernel, *settings), gw),
    ):
        assert found.dtype == dtype
        # small whole numbers: every dtype here holds them, bfloat16 after one rounding
        np.testing.assert_array_equal(found, expected.real.astype(dtype))


@pytest.mark.parametrize("case", CASES)
def test_small_pieces_and_threads_change_nothing(
    case: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, groups, _, _, sizes, kernel, stride, padding, dilation = case
    x, w, g = arrays(case, np.float64)
    settings = stride, padding, dilation, groups

    def all_maps() -> list[np.ndarray]:
        bias = np.arange(float(len(w)))
        return [
            convolve(x, w, bias, *settings),
            convolve_input_gradient(g, w, sizes, *settings),
            convolve_weight_gradient(g, x, kernel, *settings),
        ]

    whole = all_maps()
    monkeypatch.setattr(_conv_arrays, "_positions", lambda rows, dtype, least: 2)
    monkeypatch.setattr(_conv_arrays, "SHARE_FROM", 0)
    for a, b in zip(whole, all_maps(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_no_channels_give_the_bias() -> None:
    x, w = np.zeros((2, 0, 3)), np.zeros((5, 0, 2))
    out = convolve(x, w, np.arange(5.0), (1,), ((0, 0),), (1,), 1)
    np.testing.assert_array_equal(out, np.broadcast_to(np.arange(5.0)[:, None], (2, 5, 2)))


def test_strided_arrays_are_read_in_place() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 5, 7, 3)).transpose(0, 3, 1, 2)
    w = rng.standard_normal((4, 3, 3, 2))[::2]
    settings = (1, 1), ((1, 1), (0, 0)), (1, 1), 1
    np.testing.assert_allclose(
        convolve(x, w, None, *settings), convolve(x.copy(), w.copy(), None, *settings), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("batch", "out", "positions"),
    [
        (3, (5, 7), 4),
        (3, (5, 7), 11),
        (7, (2, 3), 13),
        (1, (11,), 3),
        (2, (3, 5, 7), 20),
    ],
)
def test_blocks_cover_every_position_once(batch: int, out: tuple[int, ...], positions: int) -> None:
    seen = np.zeros((batch, *out), int)
    order = np.arange(math.prod(out)).reshape(out)
    for images, box, span in _windows.blocks(batch, out, positions):
        seen[(images, *box)] += 1
        assert order[box].ravel().tolist() == list(range(span.start, span.stop))
        assert order[box].size * (images.stop - images.start) <= 2 * positions + out[-1]
    assert (seen == 1).all()


def test_share_raises_what_a_thread_raised_and_frees_blas() -> None:
    library = blas()
    before = library and library.get_num_threads()

    def work(start: int, stop: int) -> None:
        if stop == 8:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _windows.share(work, 8)
    assert not library or library.get_num_threads() == before


CONV = {"name": "conv2d", "x": (1, 3, 5, 5), "weight": (4, 3, 3, 3), "bias": None}
CONV |= {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"x": (2, 3)},
            "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of "
            "size: [2, 3]",
        ),
        (
            {"x": (1, 4, 5, 5)},
            "Given groups=1, weight of size [4, 3, 3, 3], expected input[1, 4, 5, 5] to "
            "have 3 channels, but got 4 channels instead",
        ),
        (
            {"groups": 3},
            "Given groups=3, expected weight to be divisible by 3 at dimension 0, but got "
            "weight of size [[4, 3, 3, 3]] instead",
        ),
        ({"groups": 5}, "Given groups=5, expected weight to be at least 5 at dimension 0"),
        ({"groups": 0}, "non-positive groups is not supported"),
        (
            {"bias": (5,)},
            "expected bias to be 1-dimensional with 4 elements, but got bias of size [5]",
        ),
        (
            {"x": (1, 3, 2, 2)},
            "Calculated padded input size per channel: (2 x 2). "
            "Kernel size: (3 x 3). Kernel size can't be greater than actual input size",
        ),
        ({"stride": 0}, "non-positive stride is not supported"),
        (
            {"stride": (1, 1, 1)},
            "expected stride to be a single integer value or a list of 2 values "
            "to match the convolution dimensions, but got stride=[1, 1, 1]",
        ),
        ({"padding": -1}, "negative padding is not supported"),
        (
            {"padding": "same", "stride": 2},
            "padding='same' is not supported for strided convolutions",
        ),
        ({"padding": "full"}, "Invalid padding string: 'full'"),
        ({"dilation": 0}, "dilation should be greater than zero, but got [0, 0]"),
        ({"weight": (4, 3, 0, 3)}, "kernel size should be greater than zero"),
    ],
)
def test_wrong_arguments_say_what_is_wrong(change: dict, message: str) -> None:
    with pytest.raises(RuntimeError) as caught:
        convolution_settings(**{**CONV, **change})
    assert message in str(caught.value)


def test_same_padding_puts_the_odd_element_last() -> None:
    settings = convolution_settings(**{**CONV, "weight": (4, 3, 2, 4), "padding": "same"})
    assert settings == ((1, 1), ((0, 1), (1, 2)), (1, 1))


TRANSPOSED = CONV | {"name": "conv_transpose2d", "weight": (3, 4, 3, 3), "stride": 2}
TRANSPOSED |= {"output_padding": 0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"x": (1, 2, 5, 5)},
            "Given transposed=1, weight of size [3, 4, 3, 3], expected input[1, 2, 5, 5] "
            "to have 3 channels, but got 2 channels instead",
        ),
        (
            {"bias": (3,)},
            "Given transposed=1, weight of size [3, 4, 3, 3], expected bias to be "
            "1-dimensional with 4 elements, but got bias of size [3] instead",
        ),
        ({"output_padding": -1}, "negative output_padding is not supported"),
        ({"output_padding": 2}, "output padding must be smaller than either stride or dilation"),
        (
            {"x": (1, 3, 1, 1), "padding": 2},
            "Calculated output size per channel: (-1 x -1). Output size is too small",
        ),
    ],
)
def test_wrong_transposed_arguments(change: dict, message: str) -> None:
    with pytest.raises(RuntimeError) as caught:
        transposed_settings(**{**TRANSPOSED, **change})
    assert message in str(caught.value)


def test_transposed_sizes() -> None:
    change = {"output_padding": 1, "padding": 1, "dilation": (1, 2)}
    assert transposed_settings(**{**TRANSPOSED, **change})[3] == (10, 12)
