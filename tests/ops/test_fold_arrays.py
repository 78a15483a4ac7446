"""unfold and fold against loops over blocks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from flambeau.ops._conv_arrays import fold, fold_settings, unfold, unfold_settings

# sizes, kernel, stride, padding, dilation
CASES = [
    ((5, 7), (2, 3), (1, 2), ((1, 1), (0, 0)), (1, 1)),
    ((7, 5), (3, 2), (2, 1), ((0, 0), (2, 2)), (2, 3)),
    ((3, 3), (1, 1), (3, 2), ((0, 0), (0, 0)), (1, 1)),
]


@pytest.mark.parametrize("dtype", [np.float32, np.complex128, np.bool_])
@pytest.mark.parametrize("case", CASES)
def test_blocks_are_columns(case: tuple, dtype: type) -> None:
    sizes, kernel, stride, padding, dilation = case
    x = (np.random.default_rng(0).standard_normal((2, 3, *sizes)) > 0).astype(dtype)
    columns = unfold(x, *case[1:])
    outs = [
        (n + a + b - d * (k - 1) - 1) // s + 1
        for n, k, s, (a, b), d in zip(sizes, kernel, stride, padding, dilation, strict=True)
    ]
    assert columns.shape == (2, 3 * kernel[0] * kernel[1], outs[0] * outs[1])
    sums = np.zeros(x.shape, dtype)
    for n, c in itertools.product(range(2), range(3)):
        for tap, o in itertools.product(np.ndindex(*kernel), np.ndindex(*outs)):
            at = [
                i * s + t * d - a
                for i, s, t, d, (a, _) in zip(o, stride, tap, dilation, padding, strict=True)
            ]
            row = (c * kernel[0] + tap[0]) * kernel[1] + tap[1]
            found = columns[n, row, o[0] * outs[1] + o[1]]
            if all(0 <= v < m for v, m in zip(at, sizes, strict=True)):
                assert found == x[(n, c, *at)]
                sums[(n, c, *at)] += found
            else:
                assert found == 0
    np.testing.assert_array_equal(fold(columns, sizes, *case[1:]), sums)


def test_empty_batch() -> None:
    columns = unfold(np.empty((0, 3, 5, 5)), (2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1))
    assert columns.shape == (0, 12, 16)
    assert fold(columns, (5, 5), (2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1)).shape == (0, 3, 5, 5)


def test_wrong_arguments() -> None:
    for args, message in [
        (((3, 3), 2, 1, 0, 1), "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size"),
        (((2, 5, 5), 9, 1, 0, 1), "calculated shape of the array of sliding blocks as (-3, -3)"),
        (((2, 5, 5), 0, 1, 0, 1), "kernel size should be greater than zero"),
        (((2, 5, 5), 2, 0, 0, 1), "dilation should be greater than zero"),
        (((2, 5, 5), 2, 1, -1, 1), "padding should be non-negative"),
        (((2, 5, 5), 2, 1, 0, 0), "stride should be greater than zero"),
        (((2, 5, 5), (1, 2, 3), 1, 0, 1), "It is expected kernel_size equals to 2, but got size 3"),
    ]:
        with pytest.raises(RuntimeError) as caught:
            unfold_settings(*args)
        assert message in str(caught.value)
    for shape, message in [
        ((1, 1, 8, 16), "Expected 2D or 3D (batch mode) tensor for input"),
        ((1, 7, 16), "but got input.size(1)=7 and kernel_size=(2, 2)"),
        ((1, 8, 15), "number of sliding blocks 4 * 4 = 16, but got input.size(2)=15"),
    ]:
        with pytest.raises(RuntimeError) as caught:
            fold_settings(shape, 5, 2, 1, 0, 1)
        assert message in str(caught.value)
    found = fold_settings((1, 8, 16), 5, 2, 1, 0, 1)
    assert found == ((5, 5), (2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1))
