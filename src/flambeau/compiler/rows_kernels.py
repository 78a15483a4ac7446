"""Sums, moments and norms along rows by generated kernels: the twins of functions of
``ops._reduce``, ``ops.moments`` and ``ops.normalisation``."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence

import numpy as np

from ..core import threads, value
from . import machine_code, rows_text
from .builder import FLOATS
from .crew import crew
from .machine_code import Task
from .tiles import tile

ndarray = np.ndarray
SHARED = threads.LARGE // 4  # elements from which threads pay: each is worked on several times
LINE = 1 << 14  # elements that ``whole_sum`` takes for a row
_POINTER, _INDEX = ctypes.c_void_p, ctypes.c_int64
empty, zeros = np.empty, np.zeros
#: Parts of a sum: a thread that comes late, out of Python, finds fewer left.
_CHUNKS = 32


def address(array: ndarray | None) -> int | None:
    """Where an array begins; None, a null pointer, for none."""
    return None if array is None else value.address(array)


def lanes_of(element: str) -> int:
    """Elements of one of the processor's registers."""
    return tile(element, 1, 1).lanes


@functools.cache
def _forward(element: str, *variant: bool) -> Task:
    types = [_POINTER] * 6 + [ctypes.c_double] + [_INDEX] * 3
    return machine_code.load(rows_text.norm_forward(element, lanes_of(element), *variant), types)


@functools.cache
def _backward(element: str, centred: bool, weight: bool, needs: tuple[bool, bool, bool]) -> Task:
    text = rows_text.norm_backward(element, lanes_of(element), centred, weight, needs)
    return machine_code.load(text, [_POINTER] * 9 + [_INDEX] * 3)


@functools.cache
def _row_sums(element: str) -> Task:
    types = [_POINTER] * 2 + [_INDEX, ctypes.c_double] + [_INDEX] * 2
    return machine_code.load(rows_text.sums(element, lanes_of(element)), types)


@functools.cache
def _whole_sum(element: str) -> Task:
    text = rows_text.whole_sum(element, lanes_of(element), lanes_of("double"))
    types = [_POINTER] * 3 + [_INDEX] * 3 + [ctypes.c_double] + [_INDEX] * 2
    return machine_code.load(text, types)


@functools.cache
def _moments(element: str) -> Task:
    text = rows_text.moments(element, lanes_of(element))
    return machine_code.load(text, [_POINTER] * 3 + [_INDEX] * 3)


def sums(
    dtype: np.dtype, kept: tuple[int, ...], rows: int, n: int, count: float
) -> Callable[[ndarray], ndarray] | None:
    """What gives the sums over ``count`` of the ``rows`` rows of ``n`` elements that any contiguous
    array of ``dtype`` consists of, in an array of shape ``kept``. What does not depend on the array
    is done here, once: an array that fills the caches drives out what the next call needs of
    Python, and each look-up comes from far away."""
    element = FLOATS.get(dtype)
    if element is None:
        return None
    if rows == 1:
        kernel, lines = _whole_sum(element), max(1, -(-n // LINE))
        whole = LINE, n, lines, count

        def run(a: ndarray) -> ndarray:
            out, partial = empty(kept, dtype), zeros(lines + 1)
            given = value.address(out), value.address(a), value.address(partial), *whole
            spread(kernel, given, lines, n, _CHUNKS)
            return out

        return run
    kernel, size = _row_sums(element), rows * n

    def run(a: ndarray) -> ndarray:
        out = empty(kept, dtype)
        given = value.address(out), value.address(a), n, count
        spread(kernel, given, rows, size, _CHUNKS)
        return out

    return run


def row_moments(a: ndarray) -> tuple[ndarray, ndarray] | None:
    """Mean and sum of squared deviations of each row of a contiguous matrix, in float64."""
    element = FLOATS.get(a.dtype)
    if element is None:
        return None
    rows, n = a.shape
    mean, squares = np.empty(rows), np.empty(rows)
    kernel = _moments(element)
    given = [address(x) for x in (mean, squares, a)]
    spread(kernel, (*given, n), rows, a.size)
    return mean, squares


def spread(kernel: Task, given: Sequence, rows: int, size: int, chunks: int = 0) -> None:
    """``kernel`` over ``rows``, by all threads where ``size`` elements are worth it."""
    if size < SHARED:
        kernel(*given, 0, rows)
    else:
        crew().spread(kernel, given, rows, 1, chunks)


def norm_rows(
    x: ndarray, weight: ndarray | None, bias: ndarray | None, eps: float, centred: bool
) -> tuple[ndarray, ndarray, ndarray] | None:
    """(result, mean, rstd) of the rows of a contiguous matrix."""
    element = FLOATS.get(x.dtype)
    if element is None or any(a is not None and a.dtype != x.dtype for a in (weight, bias)):
        return None
    rows, n = x.shape
    y = np.empty(x.shape, x.dtype)
    mean, rstd = np.empty((rows, 1), x.dtype), np.empty((rows, 1), x.dtype)
    weight, bias = (None if a is None else np.ascontiguousarray(a) for a in (weight, bias))
    kernel = _forward(element, centred, weight is not None, bias is not None)
    given = [address(a) for a in (y, mean, rstd, x, weight, bias)]
    spread(kernel, (*given, eps, n), rows, x.size)
    return y, mean, rstd


def norm_rows_backward(
    g: ndarray,
    x: ndarray,
    mean: ndarray,
    rstd: ndarray,
    weight: ndarray | None,
    centred: bool,
    needs: tuple[bool, bool, bool],
) -> tuple[ndarray | None, ndarray | None, ndarray | None] | None:
    """Gradients of x, weight and bias, each only if needed."""
    element = FLOATS.get(x.dtype)
    arrays = [a for a in (g, mean, rstd, weight) if a is not None]
    if element is None or any(a.dtype != x.dtype for a in arrays):
        return None
    rows, n = x.shape
    needs = tuple(map(bool, needs))
    dx = np.empty(x.shape, x.dtype) if needs[0] else None
    sums: list[ndarray] = []
    g, mean, rstd = (np.ascontiguousarray(a) for a in (g, mean, rstd))
    weight = None if weight is None else np.ascontiguousarray(weight)
    kernel = _backward(element, centred, weight is not None, needs)
    given = [address(a) for a in (g, x, mean, rstd, weight)]

    def part(i: int, j: int) -> None:
        own = np.zeros((4, n), x.dtype)
        block = address(own) + 2 * n * x.dtype.itemsize
        kernel(address(dx), address(own), address(own[1:]), *given, block, n, i, j)
        sums.append(own)

    if x.size < SHARED:
        part(0, rows)
    else:
        threads.run_parts(part, rows)
    total = functools.reduce(np.add, sums)
    return dx, total[0] if needs[1] else None, total[1] if needs[2] else None


# ---- batch norm ----------------------------------------------------------------------------


@functools.cache
def _channels(text: Callable[[str, int], str], element: str, pointers: int) -> Task:
    return machine_code.load(text(element, lanes_of(element)), [_POINTER] * pointers + [_INDEX] * 4)


def _over_channels(text: Callable[[str, int], str], x: ndarray, *arrays: ndarray) -> None:
    """Run a kernel over the rows of x (images, channels, length)."""
    images, channels, length = x.shape
    kernel = _channels(text, FLOATS[x.dtype], len(arrays))
    given = [address(a) for a in arrays]
    spread(kernel, (*given, channels, length), images * channels, x.size)


def batch_norm(
    x: ndarray,
    weight: ndarray | None,
    bias: ndarray | None,
    running: tuple[ndarray, ndarray] | None,
    eps: float,
) -> tuple[ndarray, ndarray, ndarray, ndarray] | None:
    """(result, mean, rstd, variance) of x (images, channels, length), contiguous, with the
    statistics of the batch or the ``running`` ones."""
    if x.dtype not in FLOATS:
        return None
    images, channels, length = x.shape
    if running is None:
        means, squares = (a.reshape(images, channels) for a in row_moments(x.reshape(-1, length)))
        mean = means.mean(0)
        var = (squares + np.square(means - mean) * length).sum(0) / (images * length)
    else:
        mean, var = (a.astype(np.float64) for a in running)
    rstd = 1 / np.sqrt(var + eps)
    scale = rstd if weight is None else rstd * weight
    shift = np.zeros(channels) if bias is None else bias
    mean, rstd, var, scale, shift = (
        np.ascontiguousarray(a, x.dtype) for a in (mean, rstd, var, scale, shift)
    )
    y = np.empty(x.shape, x.dtype)
    _over_channels(rows_text.channels_scaled, x, y, x, mean, scale, shift)
    return y, mean, rstd, var


def batch_norm_backward(
    g: ndarray,
    x: ndarray,
    mean: ndarray,
    rstd: ndarray,
    weight: ndarray | None,
    training: bool,
    needs_x: bool,
) -> tuple[ndarray | None, ndarray, ndarray] | None:
    """(gradient of x if needed, sum of g * xhat, sum of g); all arrays contiguous, of one dtype."""
    if x.dtype not in FLOATS or g.dtype != x.dtype:
        return None
    images, channels, length = x.shape
    sums, products = np.empty((images, channels)), np.empty((images, channels))
    mean = np.ascontiguousarray(mean, x.dtype)
    _over_channels(rows_text.channels_correlated, x, sums, products, g, x, mean)
    total, along = sums.sum(0), products.sum(0) * rstd
    dx = None
    if needs_x:
        scale = rstd.astype(np.float64) if weight is None else rstd * weight.astype(np.float64)
        count = images * length if training else np.inf  # running statistics do not follow x
        numbers = (scale, -scale * along * rstd / count, -scale * total / count)
        numbers = [np.ascontiguousarray(a, x.dtype) for a in numbers]
        dx = np.empty(x.shape, x.dtype)
        _over_channels(rows_text.channels_combined, x, dx, g, x, mean, *numbers)
    return dx, along.astype(x.dtype), total.astype(x.dtype)
