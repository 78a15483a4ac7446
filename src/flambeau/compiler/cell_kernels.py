"""The steps of an LSTM by generated kernels, for ``ops.recurrent``."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable

import numpy as np

from . import cell_text, machine_code
from .builder import FLOATS
from .rows_kernels import address, lanes_of

_POINTER, _INDEX = ctypes.c_void_p, ctypes.c_int64


@functools.cache
def _forward(element: str) -> Callable[..., None]:
    text = cell_text.lstm_step(element, lanes_of(element))
    return machine_code.load(text, [_POINTER] * 6 + [_INDEX] * 3)


@functools.cache
def _backward(element: str) -> Callable[..., None]:
    text = cell_text.lstm_step_backward(element, lanes_of(element))
    return machine_code.load(text, [_POINTER] * 6 + [_INDEX] * 3)


def lstm_step(
    gates: np.ndarray, product: np.ndarray, cells: np.ndarray, bent: np.ndarray
) -> Callable[[np.ndarray, np.ndarray, slice], None] | None:
    """``step(c, h, rows)``: what follows the products of one step, of the rows that a slice says.

    ``gates`` (4, all rows, hidden), at ``rows``, and ``product`` (rows, 4 * hidden) are added;
    ``cells`` and ``bent`` (all rows, hidden) are written at ``rows``, and ``h``, the step's own
    (rows, hidden); ``c`` are the cells before. None for a dtype without a kernel.
    """
    element, itemsize = FLOATS.get(gates.dtype), gates.itemsize
    if element is None:
        return None
    run = _forward(element)
    _, total, hidden = gates.shape
    all_gates, products, all_cells, all_bent = map(address, (gates, product, cells, bent))

    def step(c: np.ndarray, h: np.ndarray, rows: slice) -> None:
        skip = rows.start * hidden * itemsize
        run(
            all_gates + skip, products, address(c), all_cells + skip, all_bent + skip, address(h),
            total * hidden, hidden, rows.stop - rows.start,
        )  # fmt: skip

    return step


def lstm_step_backward(
    gates: np.ndarray, before: np.ndarray, bent: np.ndarray, to_gates: np.ndarray
) -> Callable[[np.ndarray, np.ndarray, slice], None] | None:
    """``step(d, dc, rows)``: the gradients of one step's gates.

    ``before``: the cells before each step, (all rows, hidden); ``d`` and ``dc``, the step's own,
    the second of which becomes the gradient of the cells before it; ``to_gates`` (all rows,
    4 * hidden) is written at ``rows``.
    """
    element, itemsize = FLOATS.get(gates.dtype), gates.itemsize
    if element is None:
        return None
    run = _backward(element)
    _, total, hidden = gates.shape
    all_gates, all_before, all_bent, target = map(address, (gates, before, bent, to_gates))

    def step(d: np.ndarray, dc: np.ndarray, rows: slice) -> None:
        skip = rows.start * hidden * itemsize
        run(
            all_gates + skip, all_before + skip, all_bent + skip, address(d), address(dc),
            target + 4 * skip, total * hidden, hidden, rows.stop - rows.start,
        )  # fmt: skip

    return step
