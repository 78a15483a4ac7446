"""Kernels in their GPU form (``gpu_code``), run on the CPU: every thread a generator.

A thread runs until it meets a shuffle or a barrier, where it yields; the threads of a warp, and
the warps of a block, are stepped in order, one block after the other. What a GPU would only
sometimes show is an error here:

    Race        two threads touch one address, one of them writes, and no barrier lies between
    Divergence  a barrier or shuffle that not all threads come to for which it waits
    Outside     a place that is not in its array
    Unwritten   shared memory read before anyone has written it

Which accesses have a barrier between them is told by vector clocks: each thread counts its own
barriers, and knows from each barrier how far the others were. Shuffles order no memory, as on the
GPU; blocks are not ordered at all. ``SimulatedProgram`` runs a whole captured graph in this way.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np

from .arrays import Array
from .gpu_code import (
    WARP,
    Barrier,
    Compute,
    GpuKernel,
    If,
    Index,
    Instruction,
    Loop,
    Read,
    Set,
    Shuffle,
    Write,
    joiner,
    lowered,
)
from .kernel import Kernel
from .python_code import NAMES, PythonProgram, loaded, operation_text
from .scalar import Scalar
from .schedule import Unit

Request = tuple[Any, ...]  # what a thread yields: "shuffle" | "warp" | "block", where, ...


class Fault(RuntimeError):
    """What a GPU must not be asked to do."""


class Race(Fault):
    """Two threads touch one address, one of them writes, and no barrier lies between."""


class Divergence(Fault):
    """A barrier or shuffle waits for a thread that does not come."""


class Outside(Fault, IndexError):
    """A place that is not in its array."""


class Unwritten(Fault):
    """Shared memory is read where nobody has written."""


# ---- a thread as Python --------------------------------------------------------------------


def _value(x: Scalar) -> str:
    if x.operation == "constant":
        return f"{x.dtype.name}({x.value!r})"
    return f"{x.operation[0]}{x.value}"


class _Writer:
    def __init__(self) -> None:
        self.lines = ["def thread(memory, me):"]
        self.depth = 1
        self.sites = 0

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def body(self, instructions: Sequence[Instruction]) -> None:
        for one in instructions:
            self.write(one)
        if not instructions:
            self.line("pass")

    def inner(self, instructions: Sequence[Instruction]) -> None:
        self.depth += 1
        self.body(instructions)
        self.depth -= 1

    def write(self, one: Instruction) -> None:
        """The lines of one instruction."""
        if isinstance(one, Compute):
            names = [_value(a) for a in one.node.operands]
            if one.node.operation in ("quotient", "remainder"):
                text = f"{names[0]} {'//' if one.node.operation == 'quotient' else '%'} {names[1]}"
            else:
                text = operation_text(one.node, names)
            self.line(f"{_value(one.to)} = {text}")
        elif isinstance(one, Index):
            self.line(f"{_value(one.to)} = int64(me.{one.what})")
        elif isinstance(one, Read):
            where = f"{one.array}, {_value(one.place)}, {one.shared}"
            self.line(f"{_value(one.to)} = memory.read(me, {where})")
        elif isinstance(one, Write):
            where = f"{one.array}, {_value(one.place)}, {one.shared}"
            self.line(f"memory.write(me, {where}, {_value(one.value)})")
        elif isinstance(one, Shuffle):
            self.sites += 1
            given = f"{_value(one.mask)}, {_value(one.value)}, {one.distance}"
            self.line(f"{_value(one.to)} = yield 'shuffle', {self.sites}, {given}")
        elif isinstance(one, Barrier):
            self.sites += 1
            if one.mask is None:
                self.line(f"yield 'block', {self.sites}")
            else:
                self.line(f"yield 'warp', {self.sites}, {_value(one.mask)}")
        elif isinstance(one, Set):
            self.line(f"{_value(one.variable)} = {_value(one.value)}")
        elif isinstance(one, Loop):
            counter = _value(one.counter)
            self.line(f"{counter} = {_value(one.start)}")
            self.line(f"while {counter} < {_value(one.stop)}:")
            self.inner(one.body)
            self.line(f"    {counter} = {counter} + {_value(one.step)}")
        elif isinstance(one, If):
            self.line(f"if {_value(one.condition)}:")
            self.inner(one.body)


def source(kernel: GpuKernel) -> str:
    """``thread(memory, me)``, the generator that a thread is; where it yields has a number."""
    writer = _Writer()
    writer.body(kernel.body)
    if not writer.sites:
        writer.line("if False:")
        writer.line("    yield")
    return "\n".join(writer.lines) + "\n"


# ---- memory --------------------------------------------------------------------------------


class _Thread:
    """``clock``: how many waits of each thread of the block lie certainly behind."""

    def __init__(self, thread: int, block: int, blocks: int, threads: int) -> None:
        self.thread, self.block, self.blocks = thread, block, blocks
        self.clock = np.zeros(threads, np.int64)
        self.clock[thread] = 1

    def __str__(self) -> str:
        return f"thread {self.thread} of block {self.block}"


class _Cell:
    """Who has touched an address: the last write, and the reads of each thread after it."""

    __slots__ = ("reads", "write")

    def __init__(self) -> None:
        self.write: tuple[_Thread, int] | None = None
        self.reads: dict[_Thread, int] = {}


def _after(me: _Thread, other: _Thread, when: int) -> bool:
    """Whether ``me`` knows that what ``other`` did at its time ``when`` lies behind."""
    return me is other or (me.block == other.block and me.clock[other.thread] >= when)


class _Memory:
    def __init__(self, kernel: GpuKernel, arrays: Sequence[np.ndarray]) -> None:
        self.kernel, self.arrays = kernel, arrays
        self.cells: dict[Any, _Cell] = {}
        self.shared: list[np.ndarray] = []
        self.unwritten = ""  # the first read of shared memory that nobody had written
        written = {w.array for w in kernel.instructions() if isinstance(w, Write) and not w.shared}
        self.bases = [a.__array_interface__["data"][0] for a in arrays]
        self.watched = [
            any(np.may_share_memory(a, arrays[k]) for k in written) for a in arrays
        ]  # nobody writes the others

    def block(self) -> None:
        """Another block begins: it has shared memory of its own."""
        self.shared = [np.zeros(n, dtype) for dtype, n in self.kernel.shared]
        self.cells = {k: c for k, c in self.cells.items() if not isinstance(k, tuple)}

    def finished(self) -> None:
        """The block has ended. A write that races with the read is the better explanation of it,
        so that this comes last."""
        if self.unwritten:
            raise Unwritten(self.unwritten)

    def _found(self, me: _Thread, array: int, place: int, shared: bool) -> tuple[np.ndarray, Any]:
        held = self.shared[array] if shared else self.arrays[array]
        if not 0 <= place < held.size:
            raise Outside(
                f"kernel {self.kernel.name!r}: {me} is at place {place} of "
                f"{_named(array, shared)}, which has {held.size} elements"
            )
        if shared:
            return held, (array, int(place))
        return held, self.bases[array] + int(place) * held.itemsize

    def _race(self, cell: _Cell, me: _Thread, verb: str, where: str) -> None:
        if cell.write is not None and not _after(me, *cell.write):
            what = f"written by {cell.write[0]} and {verb} by {me}"
        else:
            other = next((t for t, when in cell.reads.items() if not _after(me, t, when)), None)
            if other is None or verb == "read":
                return
            what = f"read by {other} and written by {me}"
        raise Race(f"kernel {self.kernel.name!r}: {where} is {what}, with no barrier between")

    def read(self, me: _Thread, array: int, place: int, shared: bool) -> Any:
        held, key = self._found(me, array, place, shared)
        if shared or self.watched[array]:
            cell = self.cells.setdefault(key, _Cell())
            where = f"{_named(array, shared)} at {place}"
            self._race(cell, me, "read", where)
            if shared and cell.write is None and not self.unwritten:
                self.unwritten = (
                    f"kernel {self.kernel.name!r}: {me} reads {where} before anyone has written it"
                )
            cell.reads[me] = int(me.clock[me.thread])
        return held[place]

    def write(self, me: _Thread, array: int, place: int, shared: bool, value: Any) -> None:
        held, key = self._found(me, array, place, shared)
        cell = self.cells.setdefault(key, _Cell())
        self._race(cell, me, "written", f"{_named(array, shared)} at {place}")
        cell.write, cell.reads = (me, int(me.clock[me.thread])), {}
        held[place] = value


def _named(array: int, shared: bool) -> str:
    return f"{'shared array' if shared else 'buffer'} {array}"


# ---- stepping ------------------------------------------------------------------------------


class _Block:
    def __init__(
        self, kernel: GpuKernel, memory: _Memory, function: Callable[..., Generator], block: int
    ) -> None:
        self.kernel = kernel
        n = kernel.threads
        self.threads = [_Thread(t, block, kernel.blocks, n) for t in range(n)]
        self.running = [function(memory, t) for t in self.threads]
        self.waiting: list[Request | None] = [None] * n  # None: has ended

    def run(self) -> None:
        for t in range(self.kernel.threads):
            self.step(t, None)
        while True:
            moved = [self.warp(first) for first in range(0, self.kernel.threads, WARP)]
            if any(moved):
                continue
            if all(w is None for w in self.waiting):
                return
            first = self.waiting[0]
            if first is None or first[0] != "block" or any(w != first for w in self.waiting):
                raise Divergence(self._stuck())
            self.meet(range(self.kernel.threads))

    def step(self, t: int, value: Any) -> None:
        """Let thread ``t`` run to where it waits next."""
        try:
            self.waiting[t] = self.running[t].send(value)
        except StopIteration:
            self.waiting[t] = None

    def warp(self, first: int) -> bool:
        """Let the threads of a warp run as far as they come without others; whether any did."""
        moved = False
        for t in range(first, first + WARP):
            request = self.waiting[t]
            if request is None or request[0] == "block":
                continue
            kind, site, mask = request[:3]
            bits = int(mask) & 0xFFFFFFFF
            lanes = [first + k for k in range(WARP) if bits >> k & 1]
            if t not in lanes:
                raise Divergence(
                    f"kernel {self.kernel.name!r}: {self.threads[t]} comes to {kind} {site} with "
                    f"the mask {bits:#010x}, which does not have its lane {t - first}"
                )
            asked = [self.waiting[k] for k in lanes]
            if any(a is None or a[:3] != request[:3] for a in asked):
                continue
            moved = True
            if kind == "warp":
                self.meet(lanes)
                continue
            for k in lanes:
                source = k ^ request[4]
                if source not in lanes:
                    raise Divergence(
                        f"kernel {self.kernel.name!r}: {self.threads[k]} takes a value in shuffle "
                        f"{site} from lane {source - first}, which the mask {bits:#010x} leaves out"
                    )
            given = {k: self.waiting[k][3] for k in lanes}
            for k in lanes:
                self.step(k, given[k ^ request[4]])
        return moved

    def meet(self, who: Sequence[int]) -> None:
        """A barrier: each knows now what the others have done before."""
        known = np.maximum.reduce([self.threads[t].clock for t in who])
        for t in who:
            self.threads[t].clock = known.copy()
            self.threads[t].clock[t] += 1
        for t in who:
            self.step(t, None)

    def _stuck(self) -> str:
        states: dict[str, list[int]] = {}
        for t, w in enumerate(self.waiting):
            states.setdefault("have ended" if w is None else f"wait at {w[0]} {w[1]}", []).append(t)
        said = "; ".join(f"threads {_spans(ts)} {state}" for state, ts in states.items())
        block = self.threads[0].block
        return f"kernel {self.kernel.name!r}, block {block}: {said}, and nobody can go on"


def _spans(numbers: Sequence[int]) -> str:
    """[0, 1, 2, 5] as "0-2, 5"."""
    starts = [n for n in numbers if n - 1 not in set(numbers)]
    ends = [n for n in numbers if n + 1 not in set(numbers)]
    return ", ".join(f"{a}-{b}" if b > a else f"{a}" for a, b in zip(starts, ends, strict=True))


def simulate(
    kernel: GpuKernel, arrays: Sequence[np.ndarray], numbers: Sequence[float] = ()
) -> None:
    """Run ``kernel`` on one-dimensional ``arrays``, its buffers, with the ``numbers`` of this run.

    Fault (Race, Divergence, Outside, Unwritten) where a GPU's result would be undefined.
    """
    function = loaded(source(kernel), "thread", dict(NAMES))
    memory = _Memory(kernel, [*arrays, np.asarray(numbers, np.float64)])
    with np.errstate(all="ignore"):
        for block in range(kernel.blocks):
            memory.block()
            _Block(kernel, memory, function, block).run()
            memory.finished()


def run(kernel: Kernel, arrays: Sequence[np.ndarray], numbers: Sequence[float] = ()) -> None:
    """A kernel of the loop language as a GPU would run it, with the kernels that join its sums.

    ``arrays``: one for each buffer, one-dimensional; those of scratch buffers are not used. One
    array may stand for two buffers: what is written in place.
    """
    addresses = [a.__array_interface__["data"][0] if a.size else k for k, a in enumerate(arrays)]
    gpu = lowered(kernel, addresses)
    given = list(arrays)
    for k, size in gpu.own.items():
        given[k] = np.zeros(gpu.workers * size, gpu.buffers[k])
    simulate(gpu, given, numbers)
    for k in gpu.added:
        simulate(joiner(gpu, k, arrays[k].dtype), [given[k], arrays[k]])


class SimulatedProgram(PythonProgram):
    """A captured graph whose kernels run in the simulator; all else as in ``PythonProgram``."""

    def _kernel(
        self, unit: Unit, flat: Callable[[Array], np.ndarray], numbers: Sequence[float]
    ) -> None:
        kernel, arrays = unit.kernel, []
        for k, dtype in enumerate(kernel.buffers):
            if k in kernel.scratch:
                arrays.append(np.zeros(0, dtype))
                continue
            array = unit.buffers[k]
            in_arena = isinstance(self.plan.places.get(id(array)), int)  # whose rest is not its own
            arrays.append(flat(array)[: array.size if in_arena else None])
        run(kernel, arrays, numbers)
