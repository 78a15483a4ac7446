"""A few threads that share elementwise work on large arrays. NumPy frees the GIL meanwhile."""

from __future__ import annotations

import os
import threading
from _queue import SimpleQueue
from collections.abc import Callable, Sequence

import numpy as np

from .. import _config, _system

LARGE = 1 << 17  # elements from which cutting the work into pieces pays (measured: 50 us)
BLOCK = 1 << 14  # elements of one piece: a few operands of it fit into the first-level caches

_count = 0  # threads in use, the calling one included; 0: not decided yet
_tasks: SimpleQueue | None = None
_workers = 0


def get_num_threads() -> int:
    """Threads that elementwise work is spread over: the processors this process may use, by its
    affinity and its container's quota, unless ``set_num_threads`` said otherwise."""
    global _count
    if not _count:
        _count = _system.usable_cpus()
    return _count


def set_num_threads(n: int) -> None:
    """Spread elementwise work over ``n`` threads from now on."""
    global _count
    if not isinstance(n, int) or n < 1:
        raise RuntimeError(f"set_num_threads expects a positive integer, got {n!r}")
    _count = n


def _forget() -> None:
    """A forked child has none of its parent's threads."""
    global _tasks, _workers
    _tasks, _workers = None, 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _work(tasks: SimpleQueue) -> None:
    while True:
        tasks.get()()


def run_parts(part: Callable[[int, int], None], length: int, step: int = 1) -> None:
    """Call ``part(start, stop)`` over ``range(length)`` cut into one piece per thread.

    Cuts are at multiples of ``step``. The first error of any piece is raised here.
    """
    global _tasks, _workers
    pieces = min(get_num_threads(), max(1, length // max(step, 1))) if _config.threads else 1
    if pieces == 1:
        part(0, length)
        return
    if _tasks is None:
        _tasks = SimpleQueue()
    while _workers < pieces - 1:
        threading.Thread(target=_work, args=(_tasks,), daemon=True, name="flambeau").start()
        _workers += 1
    size = -(-length // pieces)
    size += -size % step
    done: SimpleQueue = SimpleQueue()

    def task(start: int, stop: int) -> Callable[[], None]:
        def run() -> None:
            try:
                part(start, stop)
                done.put(None)
            except BaseException as error:
                done.put(error)

        return run

    cuts = [(i, min(i + size, length)) for i in range(0, length, size)]
    for start, stop in cuts[1:]:
        _tasks.put(task(start, stop))
    failed = None
    try:
        part(*cuts[0])
    except BaseException as error:
        failed = error
    for _ in cuts[1:]:
        failed = done.get() or failed
    if failed is not None:
        raise failed


def elementwise(
    forward: Callable[..., np.ndarray],
    dtype: np.dtype,
    *operands: np.ndarray | float,
    out: np.ndarray | None = None,
) -> np.ndarray | None:
    """``forward(*operands)`` by pieces on all threads; None if the layout does not allow it.

    All arrays must have one shape and be contiguous in the same order; numbers go to each piece.
    A ``forward`` of several NumPy calls gains twice: the pieces stay in the cache between them.
    ``out`` takes the result; it may be one of the operands, but not overlap with one otherwise.
    """
    first = operands[0]
    flags = first.flags
    if flags.c_contiguous:
        order = "C"
    elif flags.f_contiguous:
        order = "F"
    else:
        return None
    for a in operands[1:] if out is None else (*operands[1:], out):
        if a.__class__ is not np.ndarray:
            continue
        if a.shape != first.shape:
            return None
        if not (a.flags.c_contiguous if order == "C" else a.flags.f_contiguous):
            return None
        if out is not None and a is not out and np.may_share_memory(a, out):
            return None
    if out is None:
        out = np.empty(first.shape, dtype, order=order)
    flat = [a.reshape(-1, order=order) if a.__class__ is np.ndarray else a for a in operands]
    flat_out = out.reshape(-1, order=order)
    is_ufunc = isinstance(forward, np.ufunc)

    def part(start: int, stop: int) -> None:
        for i in range(start, stop, BLOCK):
            j = min(i + BLOCK, stop)
            pieces = [a[i:j] if a.__class__ is np.ndarray else a for a in flat]
            if is_ufunc:
                forward(*pieces, out=flat_out[i:j])
            else:
                flat_out[i:j] = forward(*pieces)

    run_parts(part, out.size, BLOCK)
    return out


def overwrite(
    formula: Callable[..., None],
    target: np.ndarray,
    operands: Sequence[np.ndarray | float],
    keywords: dict[str, object],
) -> bool:
    """``formula(target, *operands, **keywords)`` by pieces on all threads, in ``target``'s memory.

    False, and nothing done, unless all arrays have one shape, are contiguous, and overlap with
    ``target`` only by being the same memory.
    """
    if not target.flags.c_contiguous:
        return False
    flat = [target.reshape(-1)]
    for a in operands:
        if a.__class__ is np.ndarray:
            if a.shape != target.shape or not a.flags.c_contiguous:
                return False
            if a.ctypes.data != target.ctypes.data and np.may_share_memory(a, target):
                return False
            a = a.reshape(-1)
        flat.append(a)

    def part(start: int, stop: int) -> None:
        for i in range(start, stop, BLOCK):
            j = min(i + BLOCK, stop)
            formula(*[a[i:j] if a.__class__ is np.ndarray else a for a in flat], **keywords)

    run_parts(part, target.size, BLOCK)
    return True
