"""The steps of recurrent layers by generated kernels, for ``ops.recurrent``."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence

import numpy as np

from ..core import threads
from . import machine_code, recurrent_text
from .builder import FLOATS
from .cell_text import CELLS, Cell
from .crew import crew
from .recurrent_text import Form
from .rows_kernels import address, lanes_of

_POINTER, _INDEX = ctypes.c_void_p, ctypes.c_int64
Maybe = np.ndarray | None
Task = machine_code.Task

#: Recurrent weights up to which every thread reads all of them at each step; above, only if it has
#: at least so many rows to use them for.
MOST, ROWS = 1 << 21, 8


def form(kind: str, dtype: np.dtype) -> Form | None:
    """How the kernels of a kind of layer are written for a dtype; None where they are not."""
    element = FLOATS.get(dtype)
    return None if element is None else Form(CELLS[kind], element, lanes_of(element))


def is_too_wide(cell: Cell, hidden: int, batch: int) -> bool:
    """Whether threads had better share out the columns of the products than the sequences."""
    few = batch < ROWS * threads.get_num_threads()
    return few and cell.gates * hidden * hidden > MOST


@functools.lru_cache(maxsize=256)
def table(sizes: tuple[int, ...], reverse: bool) -> np.ndarray:
    """``recurrent_text.table``, kept."""
    return recurrent_text.table(sizes, reverse)


@functools.cache
def _packing(form: Form, back: bool) -> Task:
    return machine_code.load(recurrent_text.pack(form, back), [_POINTER] * 2 + [_INDEX] * 3)


@functools.cache
def _forward(form: Form) -> Task:
    written, read = recurrent_text.forward_arrays(form.cell)
    types = [_POINTER] * (len(written) + len(read) + 1) + [_INDEX] * 4
    return machine_code.load(recurrent_text.forward(form), types)


@functools.cache
def _backward(form: Form, given: tuple[bool, ...]) -> Task:
    written, read = recurrent_text.backward_arrays(form.cell, given)
    types = [_POINTER] * (len(written) + len(read) + 1) + [_INDEX] * 4
    return machine_code.load(recurrent_text.backward(form, given), types)


def _packed(form: Form, w: np.ndarray, hidden: int, back: bool) -> np.ndarray:
    panels, size = form.packed(hidden, back)
    result = np.empty(size, w.dtype)
    crew().spread(_packing(form, back), (address(result), address(w), hidden), panels)
    return result


def _run(
    task: Task, arrays: Sequence[np.ndarray], sizes: tuple[int, ...], reverse: bool, hidden: int
) -> None:
    """All steps: threads share out the sequences, in smaller parts where some are shorter."""
    steps = table(sizes, reverse)
    batch, count = max(sizes), threads.get_num_threads()
    given = [*map(address, arrays), address(steps), len(sizes), hidden]
    crew().spread(task, given, batch, 1, count if min(sizes) == batch else 4 * count)


def recurrent(
    kind: str,
    z: np.ndarray,
    b_ih: Maybe,
    b_hh: Maybe,
    states: Sequence[np.ndarray],
    w_hh: np.ndarray,
    sizes: tuple[int, ...],
    reverse: bool,
) -> list[np.ndarray] | None:
    """``ops.recurrent.Steps.ahead``; None for a dtype without a kernel, and for wide layers of a
    few sequences."""
    own = form(kind, z.dtype)
    batch, hidden = states[0].shape
    if own is None or is_too_wide(own.cell, hidden, batch):
        return None
    zeros = np.zeros(z.shape[1], z.dtype) if b_ih is None or b_hh is None else None
    z, w_hh = np.ascontiguousarray(z), np.ascontiguousarray(w_hh)
    read = [z, *(zeros if b is None else np.ascontiguousarray(b) for b in (b_ih, b_hh))]
    read += [np.ascontiguousarray(s) for s in states]
    read.append(_packed(own, w_hh, hidden, False))
    names, _ = recurrent_text.forward_arrays(own.cell)
    rows = len(z)
    shapes = {"gates": z.shape, **{f"{s}_last": (batch, hidden) for s in own.cell.states}}
    written = [np.empty(shapes.get(name, (rows, hidden)), z.dtype) for name in names]
    _run(_forward(own), [*written, *read], sizes, reverse, hidden)
    return written


def recurrent_backward(
    kind: str,
    like: np.ndarray,
    grads: Sequence[Maybe],
    out: np.ndarray,
    kept: Sequence[np.ndarray],
    states: Sequence[np.ndarray],
    w_hh: np.ndarray,
    sizes: tuple[int, ...],
    reverse: bool,
) -> list[np.ndarray] | None:
    """``ops.recurrent.Steps.back``, where ``recurrent`` is there."""
    own = form(kind, out.dtype)
    batch, hidden = states[0].shape
    if own is None or is_too_wide(own.cell, hidden, batch):
        return None
    there = tuple(g is not None for g in grads)
    w_hh = np.ascontiguousarray(w_hh)
    read = [g for g in grads if g is not None] + [out, *kept, *states]
    read = [np.ascontiguousarray(a) for a in read]
    read.append(_packed(own, w_hh, hidden, True))
    names, _ = recurrent_text.backward_arrays(own.cell, there)
    rows, gates = len(out), own.cell.gates * hidden
    shapes = {"to_gates": (rows, gates), "to_state": (rows, gates), "h_before": (rows, hidden)}
    written = [np.empty(shapes.get(name, (batch, hidden)), out.dtype) for name in names]
    _run(_backward(own, there), [*written, *read], sizes, reverse, hidden)
    return written if own.cell.inner else [written[0], *written]
