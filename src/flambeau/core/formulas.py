"""Formulas over arrays that write into their arguments, as optimizers have them: run in pieces that
stay in the cache, on all threads, for every dtype."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable

import numpy as np

from . import threads

_SMALL = 1 << 16  # elements up to which threads cost more than they bring (measured)
_TINY = 1 << 13  # the same where many arrays are changed together
_PIECE = 1 << 17  # elements of one piece of work; the arrays of a piece stay in the cache


class _Waiting(threading.local):
    """Work that waits until the step has all of it; None: nobody gathers."""

    pieces: list[tuple[Callable[..., None], list[np.ndarray]]] | None = None


_waiting = _Waiting()


class together:
    """Within, changes of large arrays wait for each other, and then run side by side on all
    threads: whole arrays or large pieces of them, so that threads seldom wait for Python."""

    def __enter__(self) -> None:
        self.outer = _waiting.pieces
        _waiting.pieces = []

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        pieces, _waiting.pieces = _waiting.pieces, self.outer
        if pieces:
            _run(pieces)


def _run(pieces: list[tuple[Callable[..., None], list[np.ndarray]]]) -> None:
    todo = iter(pieces)  # shared: each thread takes the next piece when it is done with one

    def work(start: int, stop: int) -> None:
        for change, arrays in todo:
            change(*arrays)

    threads.run_parts(work, min(threads.get_num_threads(), len(pieces)))


def apply_elementwise(change: Callable[..., None], arrays: list[np.ndarray]) -> None:
    """``change(*arrays)``, which writes into its arguments elementwise, on any layout and dtype.

    Large arrays go through it in pieces, on all threads; complex numbers as pairs of real ones;
    16-bit floats by way of float32. Within ``together``, large arrays wait for its end.
    """
    first = arrays[0]
    if first.dtype.kind == "c":
        dense = [np.ascontiguousarray(a) for a in arrays]
        pairs = [a.reshape(-1).view(first.real.dtype) for a in dense]
        if all(a is d for a, d in zip(arrays, dense, strict=True)):
            apply_elementwise(change, pairs)
            return
        change(*pairs)  # at once: the copies go back
        for a, d in zip(arrays, dense, strict=True):
            if a is not d:
                np.copyto(a, d)
        return
    if _is_narrow(first):
        change = functools.partial(_widely, change)
    if first.size <= (_SMALL if _waiting.pieces is None else _TINY):
        change(*arrays)
        return
    if all(a.flags.c_contiguous for a in arrays):
        flat = [a.reshape(-1) for a in arrays]
    elif all(a.flags.f_contiguous for a in arrays):
        flat = [a.reshape(-1, order="F") for a in arrays]
    else:
        change(*arrays)
        return
    if all(a.dtype == first.dtype for a in arrays):
        compiled = threads.routine("compiled_change")
        change = (compiled and compiled(change, first.dtype, len(arrays))) or change
    count = -(-first.size // _PIECE)
    size = -(-first.size // count)
    pieces = [
        (change, [a[i : i + size] for a in flat] if count > 1 else flat)
        for i in range(0, first.size, size)
    ]
    if _waiting.pieces is None:
        _run(pieces)
    else:
        _waiting.pieces += pieces


def _is_narrow(a: np.ndarray) -> bool:
    return a.dtype.kind != "f" or a.dtype.itemsize < 4


def _widely(change: Callable[..., None], *arrays: np.ndarray) -> None:
    """``change(*arrays)`` for 16-bit floats: in float32, rounded once."""
    wide = [a.astype(np.float32) for a in arrays]
    change(*wide)
    for a, w in zip(arrays, wide, strict=True):
        np.copyto(a, w, casting="unsafe")


def apply(change: Callable[..., None], arrays: list[np.ndarray], whole: bool = False) -> None:
    """``change(*arrays)``, which writes into its arguments; ``whole``: only as a whole, not
    elementwise."""
    if not arrays[0].ndim:  # NumPy turns what it computes from 0-dim arrays into numbers
        arrays = [a.reshape(1) for a in arrays]
    if whole and _is_narrow(arrays[0]):
        _widely(change, *arrays)
    elif whole:
        change(*arrays)
    else:
        apply_elementwise(change, arrays)
