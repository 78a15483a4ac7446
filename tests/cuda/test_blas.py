"""What cuBLAS is asked for, carried out as its documentation says, on the CPU's memory."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from flambeau._devices.blas import _FUNCTIONS, Products


def matrix(place: int, rows: int, columns: int, step: int) -> np.ndarray:
    """A matrix in columns, each ``step`` numbers after the one before it."""
    size = (columns - 1) * step + rows
    flat = np.ctypeslib.as_array(ctypes.cast(place, ctypes.POINTER(ctypes.c_float)), (size,))
    return np.lib.stride_tricks.as_strided(flat, (rows, columns), (4, 4 * step))


def gemm(turned: tuple, sizes: tuple, a: tuple, b: tuple, c: tuple) -> None:
    """C = op(A) op(B), as cuBLAS computes it."""
    m, n, k = sizes
    left = matrix(a[0], k, m, a[1]).T if turned[0] else matrix(a[0], m, k, a[1])
    right = matrix(b[0], n, k, b[1]).T if turned[1] else matrix(b[0], k, n, b[1])
    matrix(c[0], m, n, c[1])[...] = left @ right


def plain(*given: Any) -> int:
    _, ta, tb, m, n, k, _, a, lda, b, ldb, _, c, ldc = given
    gemm((ta, tb), (m, n, k), (a, lda), (b, ldb), (c, ldc))
    return 0


def strided(*given: Any) -> int:
    _, ta, tb, m, n, k, _, a, lda, sa, b, ldb, sb, _, c, ldc, sc, count = given
    for i in range(count):
        places = (a + 4 * i * sa, lda), (b + 4 * i * sb, ldb), (c + 4 * i * sc, ldc)
        gemm((ta, tb), (m, n, k), *places)
    return 0


def listed(*given: Any) -> int:
    _, ta, tb, m, n, k, _, a, lda, b, ldb, _, c, ldc, count = given
    lists = [
        np.ctypeslib.as_array(ctypes.cast(x, ctypes.POINTER(ctypes.c_int64)), (count,))
        for x in (a, b, c)
    ]
    for x, y, z in zip(*lists, strict=True):
        gemm((ta, tb), (m, n, k), (int(x), lda), (int(y), ldb), (int(z), ldc))
    return 0


class Array:
    """As much of CuPy's array as is asked for; its memory is gone when it is."""

    def __del__(self) -> None:
        if self.a.dtype == np.int64:
            self.a[...] = 1

    def __init__(self, a: np.ndarray) -> None:
        self.a, self.shape, self.strides, self.ndim = a, a.shape, a.strides, a.ndim
        self.dtype, self.data = a.dtype, SimpleNamespace(ptr=a.ctypes.data)

    def __add__(self, other: Array) -> Array:
        return Array(self.a + other.a)

    def __mul__(self, n: int) -> Array:
        return Array(self.a * n)

    def reshape(self, shape: list) -> Array:
        return Array(self.a.reshape(shape).copy())


@pytest.fixture
def product() -> Callable:
    stream = SimpleNamespace(ptr=0, is_capturing=lambda: True)
    xp = SimpleNamespace(
        cuda=SimpleNamespace(get_current_stream=lambda: stream),
        full=lambda *given: Array(np.full(*given)),
        arange=lambda n: Array(np.arange(n)),
    )
    made = Products.__new__(Products)
    made.xp, made.stream, made.handle, made.lists = xp, 0, None, {}
    made.factors = {"f": (0, 0)}
    calls = zip(_FUNCTIONS, (plain, strided, listed), strict=True)
    made.calls = {(name, "f"): call for name, call in calls}
    return lambda a, b, out: made(Array(a), Array(b), Array(out))


CASES = [
    ((5, 3), (3, 4)),
    ((1, 3), (3, 4)),
    ((5, 1), (1, 1)),
    ((2, 5, 3), (2, 3, 4)),
    ((2, 6, 5, 3), (2, 6, 3, 4)),
]


@pytest.mark.parametrize(("a", "b"), CASES)
@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
def test_products(product: Callable, a: tuple, b: tuple, turned: tuple) -> None:
    rng = np.random.default_rng(0)
    operands = []
    for shape, turn in zip((a, b), turned, strict=True):
        made = rng.standard_normal(shape).astype(np.float32)
        if turn:
            made = np.ascontiguousarray(made.swapaxes(-1, -2)).swapaxes(-1, -2)
        operands.append(made)
    out = np.full((*a[:-1], b[-1]), np.nan, np.float32)
    product(*operands, out)
    np.testing.assert_allclose(out, operands[0] @ operands[1], rtol=1e-5, atol=1e-6)


def test_heads_within_rows(product: Callable) -> None:
    rng = np.random.default_rng(0)
    q, k = rng.standard_normal((2, 3, 7, 4, 5)).astype(np.float32)
    q, k = q.transpose(0, 2, 1, 3), k.transpose(0, 2, 1, 3)  # batch, heads, rows, width
    out = np.empty((3, 4, 7, 7), np.float32)
    product(q, k.swapaxes(-1, -2), out)
    np.testing.assert_allclose(out, q @ k.swapaxes(-1, -2), rtol=1e-5, atol=1e-5)
    one = np.broadcast_to(k[:1], k.shape)
    product(q, one.swapaxes(-1, -2), out)
    np.testing.assert_allclose(out, q @ one.swapaxes(-1, -2), rtol=1e-5, atol=1e-5)
