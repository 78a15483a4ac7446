"""Attention and its gradient by generated kernels, for ``ops.attention``: no mask but the causal
one, no dropout, float32 or float64."""

from __future__ import annotations

import ctypes
import functools

import numpy as np

from ..core import threads
from . import attention_text, machine_code
from .attention_text import ARRAYS
from .builder import BYTES, FLOATS
from .crew import crew
from .machine_code import Task
from .rows_kernels import SHARED, address
from .scratch import scratch
from .tiles import Tile, tile

ndarray = np.ndarray
SCORES = 1 << 15  # of a block of rows, at most
ROWS = 132  # of a block, at most
AHEAD = 1 << 17  # bytes of a head's arrays that are brought closer before it is its turn, at most
_POINTER, _INDEX = ctypes.c_void_p, ctypes.c_int64


def tile_of(element: str) -> Tile:
    """The tile of the kernels' products."""
    return tile(element, 6, 2)


def _scale(element: str) -> type:
    return ctypes.c_float if element == "float" else ctypes.c_double


@functools.cache
def _forward(element: str, causal: bool, keeps: bool) -> Task:
    text = attention_text.forward(tile_of(element), causal, keeps)
    return machine_code.load(text, [_POINTER] * 7 + [_INDEX, _scale(element)] + [_INDEX] * 2)


@functools.cache
def _backward(element: str, causal: bool, keeps: bool) -> Task:
    text = attention_text.backward(tile_of(element), causal, keeps)
    return machine_code.load(text, [_POINTER] * 10 + [_INDEX, _scale(element)] + [_INDEX] * 2)


def _up(n: int, step: int) -> int:
    return -(-n // step) * step


@functools.lru_cache(maxsize=256)
def table_of(
    shape: Tile,
    sizes: tuple[int, int, int, int, int],
    strides: tuple[tuple[int, int, int], ...],
) -> tuple[ndarray, int]:
    """The table of a kernel, and the elements of scratch it needs. ``sizes``: heads, rows, columns,
    width, width of the values; ``strides`` in elements, zeros for arrays that are not there."""
    heads, rows, columns, width, value_width = sizes
    # rows that lie a power of two apart share places of a cache
    score_step = _up(columns, shape.columns) + 16
    padded_columns, padded_width, padded_value_width = (
        _up(n, shape.columns) for n in (columns, width, value_width)
    )
    most = max(shape.rows, min(ROWS, SCORES // score_step))
    each = _up(-(-rows // -(-rows // most)), shape.rows)  # equal blocks of at most so many, nearly
    all_rows = _up(columns, shape.columns * shape.rows)
    wide, value_wide = padded_width, padded_value_width
    turned = padded_columns + shape.lanes
    places, begin = [], 0
    for size in (
        padded_columns, 1, 1, each, each * wide, all_rows * wide, wide * turned,
        all_rows * value_wide, value_wide * turned, each * value_wide, each * score_step,
        each * score_step, each * max(wide, value_wide), all_rows * wide, all_rows * value_wide,
    ):  # fmt: skip
        places.append(begin)
        begin += _up(size, 16)
    brings = (rows + columns) * (width + value_width) * BYTES[shape.element] <= AHEAD
    steps = [s for three in strides for s in three]
    paddings = (score_step, turned, padded_width, padded_value_width)
    table = np.array([*sizes, each, begin, brings, *steps, *paddings, *places], np.int64)
    return table, begin


def _steps(a: ndarray) -> tuple[int, int, int]:
    return tuple(s // a.itemsize for s in a.strides[:3])


def _rows_dense(a: ndarray) -> ndarray:
    """``a`` with each row without gaps, which it mostly has."""
    dense = a.strides[3] == a.itemsize and all(s % a.itemsize == 0 for s in a.strides)
    return a if dense else np.ascontiguousarray(a)


def _plan(shape: Tile, arrays: dict[str, ndarray]) -> tuple[ndarray, int]:
    q, k, v = arrays["q"], arrays["k"], arrays["v"]
    sizes = (q.shape[1], q.shape[2], k.shape[2], q.shape[3], v.shape[3])
    none = (0, 0, 0)
    strides = tuple(_steps(arrays[n]) if n in arrays else none for n in ARRAYS)
    return table_of(shape, sizes, strides)


def _run(
    kernel: Task,
    shape: Tile,
    names: tuple[str, ...],
    arrays: dict[str, ndarray],
    kept: ndarray,
    scale: float,
) -> None:
    table, size = _plan(shape, arrays)
    pointers = [address(arrays[n]) for n in names] + [address(kept), address(table)]
    q = arrays["q"]
    heads = q.shape[0] * q.shape[1]
    count = threads.at_hand() if heads * q.shape[2] * arrays["k"].shape[2] >= SHARED // 4 else 1
    memory = scratch.address(size * count, q.itemsize)
    given = [*pointers, memory, -(-heads // count), scale]
    if count == 1:
        kernel(*given, 0, heads)
    else:
        crew().spread(kernel, given, heads, 1, count)


def attention(
    q: ndarray, k: ndarray, v: ndarray, causal: bool, scale: float, keep: bool
) -> tuple[ndarray, ndarray] | None:
    """(result, probabilities or nothing) of operands (batch, heads, rows, width)."""
    element = FLOATS.get(q.dtype)
    if element is None or not (q.size and k.size and v.size):
        return None
    shape = tile_of(element)
    q, k, v = map(_rows_dense, (q, k, v))
    batch, heads, rows, _ = q.shape
    # Heads lie inside of rows, as they do where the heads are put together again.
    y = np.empty((batch, rows, heads, v.shape[3]), q.dtype).swapaxes(1, 2)
    kept = np.empty((batch, heads, rows, k.shape[2]) if keep else (0,), q.dtype)
    arrays = {"y": y, "q": q, "k": k, "v": v}
    kernel = _forward(element, bool(causal), bool(keep))
    _run(kernel, shape, ("y", "q", "k", "v"), arrays, kept, scale)
    return y, kept


def attention_backward(
    grad: ndarray,
    q: ndarray,
    k: ndarray,
    v: ndarray,
    kept: ndarray,
    causal: bool,
    scale: float,
) -> tuple[ndarray, ndarray, ndarray] | None:
    """Gradients of q, k and v; ``kept``: the probabilities, or nothing."""
    element = FLOATS.get(q.dtype)
    if element is None or not (q.size and k.size and v.size):
        return None
    shape = tile_of(element)
    g, q, k, v = map(_rows_dense, (grad, q, k, v))
    slopes = [
        np.empty((len(a), a.shape[2], a.shape[1], a.shape[3]), q.dtype).swapaxes(1, 2)
        for a in (q, k, v)
    ]
    arrays = dict(zip(("dq", "dk", "dv"), slopes, strict=True)) | {"g": g, "q": q, "k": k, "v": v}
    kernel = _backward(element, bool(causal), bool(kept.size))
    _run(kernel, shape, ("dq", "dk", "dv", "g", "q", "k", "v"), arrays, kept, scale)
    return tuple(slopes)
