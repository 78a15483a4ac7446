"""A few threads that share elementwise work on large arrays. NumPy frees the GIL meanwhile."""

from __future__ import annotations

import os
import threading
from _queue import Empty, SimpleQueue
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import _config, _system
from .value import address

LARGE = 1 << 17  # elements from which cutting the work into pieces pays (measured: 50 us)
FEW = 1 << 14  # elements from which a compiled kernel pays where NumPy is slow (``large``)
MANY = 3 << 16  # and where NumPy takes one quick pass: hardly before there are two threads' worth
ALONE = 1 << 15  # elements up to which a kernel is left to the thread that calls it
LARGE_PRODUCT = 1 << 19  # multiplications from which a product is cut into pieces
LARGE_PASS = 1 << 19  # elements from which one pass of NumPy is: to call its threads takes 100 us
STEP = 1 << 12  # elements at whose multiples a kernel's work is cut
BLOCK = 1 << 15  # elements of one piece: a few operands of it fit into the second-level cache

#: The compiler's entry: ``kernels(forward, out, operands)`` computes ``out`` on all threads when
#: its ``over(length, step)`` is called; None where NumPy has to do it. All arrays are contiguous
#: and of one shape; a fourth argument is the width of rows. None: there is no compiler.
kernels: Callable[[Callable, np.ndarray, Sequence], Any] | None = None

#: The compiler's second entry: ``routine(name)`` is a function that does what the array function
#: of that name does, on whole arrays, and gives None where it cannot; None where there is none.
routine: Callable[[str], Callable | None] = lambda name: None

#: Where workers wait for machine code to run before they sleep: ``compiler.crew``'s, once it is
#: needed.
crew: Any = None

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
    if crew is not None:
        crew.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class _Place(threading.local):
    """Whether this thread is working on a piece: what is inside is not cut again."""

    inside = False


_place = _Place()


def _work(tasks: SimpleQueue) -> None:
    _place.inside = True
    while True:
        if crew is not None:
            crew.serve()
        tasks.get()()


def _queue(workers: int) -> SimpleQueue:
    """What the workers, at least so many, take their tasks from."""
    global _tasks, _workers
    if _tasks is None:
        _tasks = SimpleQueue()
    while _workers < workers:
        threading.Thread(target=_work, args=(_tasks,), daemon=True, name="flambeau").start()
        _workers += 1
    return _tasks


def run_parts(part: Callable[[int, int], None], length: int, step: int = 1) -> None:
    """Call ``part(start, stop)`` over ``range(length)`` cut into one piece per thread.

    Cuts are at multiples of ``step``. The first error of any piece is raised here.
    """
    pieces = min(at_hand(), max(1, length // max(step, 1)))
    if pieces == 1:
        part(0, length)
        return
    tasks = _queue(pieces - 1)
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
        tasks.put(task(start, stop))
    if crew is not None:
        crew.dismiss()
    failed = None
    _place.inside = True
    try:
        part(*cuts[0])
    except BaseException as error:
        failed = error
    finally:
        _place.inside = False
    for _ in cuts[1:]:
        failed = done.get() or failed
    if failed is not None:
        raise failed


def at_hand() -> int:
    """Threads that work may be spread over now, the calling one included."""
    return 1 if _place.inside or not _config.threads else get_num_threads()


def wake(workers: int) -> None:
    """Let workers that sleep look for work of the crew (``compiler.crew``)."""
    tasks = _queue(workers)
    for _ in range(workers - tasks.qsize()):
        tasks.put(_nothing)


def _nothing() -> None:
    pass


def wake_all(workers: int, awake: Callable[[], bool]) -> None:
    """``wake``, and wait until all of them are awake.

    Whoever waits by spinning keeps a processor from the thread that it waits for: the system
    wakes that one on the same processor. So this thread sleeps meanwhile, too.
    """
    tasks, ready = _queue(workers), SimpleQueue()
    for _ in range(workers):
        tasks.put(lambda: ready.put(None))
    while not awake():
        try:
            ready.get(timeout=0.001)
        except Empty:
            continue


_blas_lock = threading.Lock()
_blas_alone = [0, 0]  # who is within; BLAS's thread count before the first of them


@contextmanager
def blas_on_one_thread() -> Iterator[None]:
    """Within, each product is the work of the thread that asks for it.

    BLAS's own threads would also stay awake for a while after each product, and keep processors
    from others.
    """
    blas = _system.blas()
    if blas is None:
        yield
        return
    with _blas_lock:
        if _blas_alone[0] == 0:
            _blas_alone[1] = blas.get_num_threads()
            blas.set_num_threads(1)
        _blas_alone[0] += 1
    try:
        yield
    finally:
        with _blas_lock:
            _blas_alone[0] -= 1
            if _blas_alone[0] == 0:
                blas.set_num_threads(_blas_alone[1])


def dot(a: np.ndarray, b: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """``np.dot``, plus ``bias`` in each row; a large product of two matrices on the threads that
    other work is spread over, once there are some that wait for it."""
    if crew is not None and a.ndim == b.ndim == 2 and a.size * b.shape[1] > LARGE_PRODUCT:
        compiled = routine("dot")
        r = compiled and compiled(a, b, bias)
        if r is not None:
            return r
    r = np.dot(a, b)
    return r if bias is None else np.add(r, bias, r)


#: Functions of NumPy that take one pass over memory and are bound by it.
_QUICK = frozenset(
    (np.add, np.subtract, np.multiply, np.divide, np.negative, np.absolute, np.sqrt, np.reciprocal)
)


def large(forward: Callable[..., np.ndarray]) -> int:
    """Elements of a tensor from which ``forward`` had better be given to ``spread``."""
    if forward in _QUICK:
        return MANY
    return LARGE if isinstance(forward, np.ufunc) and forward.nin > 1 else FEW


def spread(
    forward: Callable[..., np.ndarray], dtype: np.dtype, *operands: np.ndarray | float
) -> np.ndarray:
    """``forward(*operands)`` for large arrays: by pieces on all threads where that is possible."""
    r = elementwise(forward, dtype, *operands)
    return forward(*operands) if r is None else r


def elementwise(
    forward: Callable[..., np.ndarray],
    dtype: np.dtype,
    *operands: np.ndarray | float,
    out: np.ndarray | None = None,
) -> np.ndarray | None:
    """``forward(*operands)`` by pieces on all threads; None if the layout does not allow it.

    Arrays of one shape and one dense order of dimensions are cut as lines; others, which
    broadcast or have gaps, along one dimension. Numbers go to each piece. A ``forward`` of several
    NumPy calls gains twice: the pieces stay in the cache between them.
    A ``forward`` with a parameter ``out`` writes its result there.
    ``out`` takes the result; it may be one of the operands, but not overlap with one otherwise.
    ValueError where shapes do not broadcast.
    """
    arrays = [a for a in operands if a.__class__ is np.ndarray]
    if out is not None and any(a is not out and np.may_share_memory(a, out) for a in arrays):
        return None
    every = arrays if out is None else [*arrays, out]
    if kernels is not None:
        shape = arrays[0].shape
        for a in every:
            if a.shape != shape or not a.flags.c_contiguous:
                break
        else:
            result = np.empty(shape, dtype) if out is None else out
            kernel = kernels(forward, result, operands)
            if kernel is not None:
                _run_kernel(kernel, result.size)
                return result
    lines = _as_lines(every)
    if lines is None:
        few = max(a.size for a in every) < LARGE
        return None if few else _along_one(forward, dtype, operands, arrays, out)
    result = out
    if out is None:
        flat_out = np.empty(lines[0].size, dtype)
        order = _order(arrays[0])
        result = flat_out.reshape([arrays[0].shape[d] for d in order])
        result = result.transpose([order.index(d) for d in range(len(order))])
    else:
        flat_out = lines.pop()
    rest = iter(lines)
    flat = [next(rest) if a.__class__ is np.ndarray else a for a in operands]

    if kernels is not None:
        kernel = kernels(forward, flat_out, flat)
        if kernel is not None:
            _run_kernel(kernel, flat_out.size)
            return result
    if flat_out.size < LARGE:
        return None

    def piece(i: int, j: int) -> tuple[list[np.ndarray | float], np.ndarray]:
        return [a[i:j] if a.__class__ is np.ndarray else a for a in flat], flat_out[i:j]

    _run_pieces(forward, piece, flat_out.size, BLOCK, flat_out.size)
    return result


def _run_kernel(kernel: Any, size: int) -> None:
    if size <= ALONE:
        kernel(0, size)
    else:
        kernel.over(size, STEP)


def _run_pieces(forward: Callable, piece: Callable, length: int, step: int, size: int) -> None:
    """``forward`` into the pieces of ``step`` that ``piece(start, stop)`` gives, of ``size``
    elements together."""
    is_ufunc = isinstance(forward, np.ufunc)
    if is_ufunc:  # one pass over memory: nothing to keep in the cache
        if size < LARGE_PASS:
            pieces, target = piece(0, length)
            forward(*pieces, out=target)
            return
        step = max(step, -(-length // get_num_threads()))
    takes_out = is_ufunc or _has_out(forward)

    def part(start: int, stop: int) -> None:
        for i in range(start, stop, step):
            pieces, target = piece(i, min(i + step, stop))
            if takes_out:
                forward(*pieces, out=target)
            else:
                target[...] = forward(*pieces)

    run_parts(part, length, step)


def _has_out(forward: Callable) -> bool:
    code = getattr(forward, "__code__", None)
    return code is not None and "out" in code.co_varnames[: code.co_argcount]


def _order(a: np.ndarray) -> list[int]:
    """The dimensions of ``a`` as they lie in memory, the slowest first."""
    strides = a.strides
    return sorted(range(a.ndim), key=lambda d: -strides[d])


def _as_lines(arrays: Sequence[np.ndarray]) -> list[np.ndarray] | None:
    """Dense arrays of one shape and one memory order as one-dimensional ones, else None."""
    first = arrays[0]
    if any(a.shape != first.shape for a in arrays):
        return None
    if all(a.flags.c_contiguous for a in arrays):
        return [a.reshape(-1) for a in arrays]
    order = _order(first)
    turned = [a.transpose(order) for a in arrays]
    if all(a.flags.c_contiguous for a in turned):
        return [a.reshape(-1) for a in turned]
    return None


def _along_one(
    forward: Callable[..., np.ndarray],
    dtype: np.dtype,
    operands: Sequence[np.ndarray | float],
    arrays: Sequence[np.ndarray],
    out: np.ndarray | None,
) -> np.ndarray | None:
    """``forward`` over operands that broadcast, cut along a long dimension of the result."""
    shape = np.broadcast_shapes(*[a.shape for a in arrays])
    if out is None:
        # NumPy orders the result's memory as the operands'; only the usual order is made here.
        for a in arrays:
            if a.shape == shape and _order(a) != list(range(a.ndim)):
                return None
        out = np.empty(shape, dtype)
    elif out.shape != shape:
        return None
    axis = next((d for d, n in enumerate(shape) if n >= 16), shape.index(max(shape)))
    step = max(1, BLOCK * shape[axis] // out.size)
    before = len(shape) - axis  # dimensions from the axis to the last one

    def cut(a: np.ndarray | float, i: int, j: int) -> np.ndarray | float:
        if a.__class__ is not np.ndarray or a.ndim < before or a.shape[-before] == 1:
            return a
        return a[(slice(None),) * (a.ndim - before) + (slice(i, j),)]

    def piece(i: int, j: int) -> tuple[list[np.ndarray | float], np.ndarray]:
        return [cut(a, i, j) for a in operands], cut(out, i, j)

    _run_pieces(forward, piece, shape[axis], step, out.size)
    return out


def overwrite(
    formula: Callable[..., None],
    target: np.ndarray,
    operands: Sequence[np.ndarray | float],
    keywords: dict[str, object],
) -> bool:
    """``formula(target, *operands, **keywords)`` by pieces on all threads, in ``target``'s memory.

    False, and nothing done, unless all arrays have one shape and one dense order, and overlap
    with ``target`` only by being the same memory.
    """
    arrays = [a for a in operands if a.__class__ is np.ndarray]
    for a in arrays:
        same = address(a) == address(target)
        if not same and np.may_share_memory(a, target):
            return False
    lines = _as_lines([target, *arrays])
    if lines is None:
        return False
    rest = iter(lines[1:])
    flat = [lines[0], *[next(rest) if a.__class__ is np.ndarray else a for a in operands]]

    def part(start: int, stop: int) -> None:
        for i in range(start, stop, BLOCK):
            j = min(i + BLOCK, stop)
            formula(*[a[i:j] if a.__class__ is np.ndarray else a for a in flat], **keywords)

    run_parts(part, target.size, BLOCK)
    return True
