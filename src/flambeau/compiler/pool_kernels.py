"""Maxima over windows and their gradients by generated kernels: the twins of
``ops._pool_arrays.max_pool`` and ``pooled_scatter``."""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Sequence

import numpy as np

from ..ops._axis_maps import AxisMap, window_map
from . import machine_code, pool_text
from .builder import FLOATS
from .machine_code import Task
from .rows_kernels import address, lanes_of, spread

ndarray = np.ndarray
TAPS = 25  # of a window that are written out
_POINTER, _INDEX = ctypes.c_void_p, ctypes.c_int64


@functools.cache
def _maximum(element: str, kernel: tuple[int, int, int], stride_w: int) -> Task:
    text = pool_text.maximum(element, lanes_of(element), kernel, stride_w)
    return machine_code.load(text, [_POINTER] * 4 + [_INDEX] * 2)


@functools.cache
def _scatter(element: str) -> Task:
    return machine_code.load(pool_text.scatter(element), [_POINTER] * 4 + [_INDEX] * 4)


def three(values: Sequence[int], filler: int) -> tuple[int, int, int]:
    """``values`` of the last of three dimensions, ``filler`` for those before."""
    return (*(filler,) * (3 - len(values)), *values)


@functools.lru_cache(maxsize=256)
def table(
    sizes: tuple[int, ...],
    outs: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
) -> ndarray:
    """The numbers that ``pool_text.maximum`` reads."""
    n, m, k, s, p, d = (v[-1] for v in (sizes, outs, kernel, stride, padding, dilation))
    low = min(-(-p // s), m)
    high = max(low, min((n - 1 - d * (k - 1) + p) // s + 1, m))
    threes = [three(sizes, 1), three(outs, 1), three(stride, 1), three(padding, 0)]
    threes.append(three(dilation, 1))
    return np.array([v for group in threes for v in group] + [low, high], np.int64)


def covers(
    sizes: Sequence[int],
    outs: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> bool:
    """Whether the kernel knows such windows, none of which may lie in the padding as a whole."""
    if len(kernel) > 3 or math.prod(kernel) > TAPS or math.prod(sizes) >= 1 << 31:
        return False
    axes = zip(sizes, kernel, stride, padding, dilation, outs, strict=True)
    return all(window_map(*axis).counts.min() > 0 for axis in axes)


def max_pool(
    x: ndarray,
    outs: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[ndarray, ndarray] | None:
    """(maxima, positions) over windows of the last axes of x, ``outs`` of them, none of them empty;
    None for a dtype or a window that has no kernel."""
    element = FLOATS.get(x.dtype)
    dims = len(kernel)
    sizes = x.shape[x.ndim - dims :]
    if element is None or dims > 3 or math.prod(kernel) > TAPS or math.prod(sizes) >= 1 << 31:
        return None
    x = np.ascontiguousarray(x)
    lead = x.shape[: x.ndim - dims]
    best = np.empty((*lead, *outs), x.dtype)
    where = np.empty(best.shape, np.int64)
    quick = stride[-1] if stride[-1] in (1, 2) and dilation[-1] == 1 else 0
    run = _maximum(element, three(kernel, 1), quick)
    numbers = table(*map(tuple, (sizes, outs, kernel, stride, padding, dilation)))
    pointers = [address(a) for a in (best, where, x, numbers)]
    spread(run, pointers, math.prod(lead), x.size)
    return best, where


def pooled_scatter(grad: ndarray, indices: ndarray, sizes: tuple[int, ...]) -> ndarray | None:
    """Zeros (*lead, *sizes) with each of ``grad`` added where ``indices`` says, plane by plane;
    None for a dtype without a kernel, and where an index is outside."""
    element = FLOATS.get(grad.dtype)
    if element is None or indices.dtype != np.int64:
        return None
    grad, indices = np.ascontiguousarray(grad), np.ascontiguousarray(indices)
    lead = grad.shape[: grad.ndim - len(sizes)]
    out = np.empty((*lead, *sizes), grad.dtype)
    bad = np.zeros(1, np.int64)
    planes, size = math.prod(lead), math.prod(sizes)
    run = _scatter(element)
    pointers = [address(a) for a in (out, bad, grad, indices)]
    count = grad.size // planes
    spread(run, (*pointers, size, count), planes, out.size)
    return None if bad[0] else out


def sums_table(maps: Sequence[AxisMap], counts: Sequence[ndarray], turned: bool) -> ndarray:
    """The table of ``pool_text.sums`` for at most three maps, divided by ``counts`` of their rows;
    ``turned``: from their rows to their columns."""
    heads, data = [], []
    place = 15
    one = AxisMap(1, 1, [(np.zeros(1, np.int64), np.zeros(1, np.int64), None)])
    missing = 3 - len(maps)
    for m, count in zip((*[one] * missing, *maps), (*[np.ones(1)] * missing, *counts)):
        rows, columns = (np.concatenate([r[k] for r in m.rounds]).astype(np.int64) for k in (0, 1))
        weights = np.concatenate([np.ones(len(r[0])) if r[2] is None else r[2] for r in m.rounds])
        weights = weights / np.asarray(count, np.float64)[rows]
        out, size = m.out, m.size
        if turned:
            rows, columns, out, size = columns, rows, size, out
        order = np.lexsort((columns, rows))
        ranges = np.searchsorted(rows[order], np.arange(out + 1))
        heads += [size, out, place, place + out + 1, place + out + 1 + len(rows)]
        data += [ranges, columns[order], weights[order].view(np.int64)]
        place += out + 1 + 2 * len(rows)
    return np.concatenate((heads, *data)).astype(np.int64)
