"""The GPU form of a kernel of the loop language: what one thread does, in few instructions.

    instruction := Compute | Index | Read | Write | Shuffle | Barrier | Set | Loop | If

``lowered`` makes it from a ``Kernel``; ``ptx_code`` writes it as PTX, ``gpu_simulator`` runs it on
the CPU. Values are Scalars: a constant, ``register`` (written once), ``variable`` (by Set).

Rows are shared out among *workers*, groups of 1 to 256 threads of a block of 128 or 256: worker w
does the rows w, w + workers, ... Its threads share out the columns, thread t the columns t, t +
group, ..., so that neighbours touch neighbours in memory. Reductions go by shuffles within a warp,
then, where a group has several warps, through shared memory, with a barrier. Kernels whose
elements do not depend on each other have groups of one thread, and every element is a row.

A sum over rows is added up by every worker in a buffer of its own (which starts as zeros), and a
second kernel, ``joiner``, adds those up: no atomics, so that equal runs give equal bits, as on the
CPU. Threads wait for each other where one touches what another may have touched in a way that
does not go together (``_Lowering.touch``), and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from . import scalar
from .kernel import Kernel, Load, Pass, Reduction, Store, identity
from .scalar import BOOL, FLOAT16, FLOAT64, INT32, INT64, Scalar, constant, ordered

WARP = 32
SHARED_BYTES = 48 * 1024  # what every block may have without asking for more
SCRATCH_BYTES = 32 * 1024  # of that, for rows that passes keep; larger ones go to global memory
BLOCKS, BLOCKS_WITH_OWN_MEMORY = 1 << 16, 128  # at most
MANY_ROWS = 4096  # enough work for threads that do a row each

# ---- the form ------------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class Compute:
    """An operation of the scalar language, "quotient" or "remainder" (of integers >= 0)."""

    to: Scalar
    node: Scalar


@dataclass(eq=False, slots=True)
class Index:
    """``what``: "thread" (its number in the block), "block", or "blocks" (how many there are)."""

    to: Scalar
    what: str


@dataclass(eq=False, slots=True)
class Read:
    """An element of array number ``array``; ``shared``: of the block's memory."""

    to: Scalar
    array: int
    place: Scalar
    shared: bool = False


@dataclass(eq=False, slots=True)
class Write:
    """The other way round."""

    array: int
    place: Scalar
    value: Scalar
    shared: bool = False


@dataclass(eq=False, slots=True)
class Shuffle:
    """``value`` of the thread of the warp whose lane differs by ``distance`` in its bits (xor);
    all lanes of ``mask`` must come here."""

    to: Scalar
    value: Scalar
    distance: int
    mask: Scalar


@dataclass(eq=False, slots=True)
class Barrier:
    """Wait for all threads of the block, or for the lanes of ``mask`` of the warp; what they have
    written can be read then."""

    mask: Scalar | None = None


@dataclass(eq=False, slots=True)
class Set:
    """Give a variable a value."""

    variable: Scalar
    value: Scalar


@dataclass(eq=False, slots=True)
class Loop:
    """``counter`` goes from ``start`` up to ``stop`` in steps of ``step``."""

    counter: Scalar
    start: Scalar
    stop: Scalar
    step: Scalar
    body: list[Instruction] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class If:
    """``body`` where ``condition`` holds."""

    condition: Scalar
    body: list[Instruction] = field(default_factory=list)


Instruction = Compute | Index | Read | Write | Shuffle | Barrier | Set | Loop | If


@dataclass(eq=False, slots=True)
class GpuKernel:
    """What every thread of ``blocks`` blocks of ``threads`` threads does.

    ``buffers``: dtypes of the arrays in global memory; the numbers of a run (float64) come after
    them. ``own``: buffers of which each worker (``group`` threads) has so many elements to itself.
    ``added``: those of them that the joiner adds up. ``shared``: dtype and size of the arrays in
    a block's own memory.
    """

    name: str
    buffers: list[np.dtype]
    threads: int
    group: int
    blocks: int
    own: dict[int, int]
    added: list[int]
    shared: list[tuple[np.dtype, int]] = field(default_factory=list)
    body: list[Instruction] = field(default_factory=list)
    small: bool = True  # every index fits into 31 bits

    @property
    def workers(self) -> int:
        """How many groups of threads there are."""
        return self.blocks * (self.threads // self.group)

    def instructions(self) -> Iterator[Instruction]:
        """All of them, each body after its loop or condition."""
        stack = self.body[::-1]
        while stack:
            one = stack.pop()
            yield one
            if isinstance(one, Loop | If):
                stack.extend(one.body[::-1])


@dataclass(eq=False, slots=True)
class Bundle:
    """Kernels of as many threads a block that do not depend on each other, launched as one:
    ``parts``, pairs of a kernel and how often it is there. Its only buffer is a table with the
    addresses of all buffers, and of the numbers, of each of them in turn."""

    name: str
    parts: list[tuple[GpuKernel, int]]

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.parts[0][0].threads

    @property
    def blocks(self) -> int:
        """The blocks of all parts, one part after the other."""
        return sum(kernel.blocks * count for kernel, count in self.parts)


# ---- from the loop language ----------------------------------------------------------------


def lowered(kernel: Kernel, memory: Sequence[object] = ()) -> GpuKernel:
    """``kernel`` for a GPU. ``memory``: something for each buffer, the same for buffers that share
    their memory (a result written in place); without it, none do."""
    return _Lowering(kernel, memory).result


def joiner(kernel: GpuKernel, buffer: int, dtype: np.dtype) -> GpuKernel:
    """The kernel that adds up what the workers of ``kernel`` have in ``buffer``, as ``dtype``.

    Its buffers: those sums, and the result.
    """
    own, size = kernel.buffers[buffer], kernel.own[buffer]
    total = scalar.convert(scalar.reduced(0, own), dtype)
    return lowered(
        Kernel(
            rows=(size,),
            cols=(kernel.workers,),
            buffers=[own, dtype],
            loads=[Load(0, own, (1, size), 0)],
            passes=[
                Pass(
                    reductions=[Reduction(0, "sum", scalar.input(0, own))],
                    stores=[Store(1, (1, 0), 0, total, row=True)],
                )
            ],
            slots=[own],
            name=f"sums of {kernel.name}",
        )
    )


def _spread(kernel: Kernel) -> Kernel:
    """``kernel`` with every element as a row of its own, where none depends on another."""
    stores = [s for p in kernel.passes for s in p.stores]
    alone = len(kernel.passes) == 1 and not kernel.passes[0].reductions and not kernel.scratch
    if not alone or any(s.row or s.add for s in stores):
        return kernel
    return replace(kernel, rows=(*kernel.rows, *kernel.cols), cols=())


def _is_injective(sizes: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether no two columns have one place."""
    reach = 0
    for stride, size in sorted((abs(st), n) for st, n in zip(strides, sizes) if n > 1):
        if stride <= reach:
            return False
        reach += stride * (size - 1)
    return True


def _lies_across(kernel: Kernel) -> bool:
    """Whether neighbouring rows are neighbours in memory, and neighbouring columns are not."""
    first = len(kernel.rows)
    if not first or not kernel.cols:
        return False
    moving = [*kernel.loads, *(s for p in kernel.passes for s in p.stores if not s.row)]
    steps = [(abs(m.strides[first - 1]), abs(m.strides[-1])) for m in moving]
    return all(col != 1 for _, col in steps) and any(row == 1 and col for row, col in steps)


def _group(kernel: Kernel) -> int:
    """How many threads share out the columns of a row."""
    first = len(kernel.rows)
    for s in (s for p in kernel.passes for s in p.stores if not s.row):
        if not _is_injective(kernel.cols, s.strides[first:]):
            return 1  # columns that share a place come one after the other
    n = kernel.col_count
    if kernel.row_count >= MANY_ROWS and _lies_across(kernel):
        return 1
    if n > 1024:
        return 256
    return min(WARP, 1 << max(n - 1, 0).bit_length())


#: What threads do to memory: which buffer (~k for shared array k of reductions), whether they
#: write, and, where the same thread always touches the same place, in which way.
_Access = tuple[int, bool, tuple | None]


class _Lowering:
    def __init__(self, kernel: Kernel, memory: Sequence[object]) -> None:
        self.kernel = kernel = _spread(kernel)
        self.homes = [*map(list(memory).index, memory)]  # the first buffer of the same memory
        self.homes += range(len(memory), len(kernel.buffers))
        self.first_col = len(kernel.rows)
        self.varying = kernel.varying(kernel.terms())
        self.group = _group(kernel)
        threads = max(128, self.group)
        self.per_block = threads // self.group
        self.count = 0
        stores = [s for p in kernel.passes for s in p.stores]
        added = sorted({s.buffer for s in stores if s.add})
        own = {k: self._extent(k) for k in (*added, *kernel.scratch)}
        self.shared_at: dict[int, int] = {}  # a scratch buffer's place among the shared arrays
        shared = []
        room = SCRATCH_BYTES
        for k in kernel.scratch:
            size = own[k] * self.per_block
            if size * kernel.buffers[k].itemsize <= room:
                room -= size * kernel.buffers[k].itemsize
                self.shared_at[k] = len(shared)
                shared.append((kernel.buffers[k], size))
                del own[k]
        blocks = max(1, -(-kernel.row_count // self.per_block))
        self.result = GpuKernel(
            name=kernel.name or "copy",
            buffers=kernel.buffers,
            threads=threads,
            group=self.group,
            blocks=min(blocks, BLOCKS_WITH_OWN_MEMORY if own else BLOCKS),
            own=own,
            added=added,
            shared=shared,
            small=kernel.row_count * kernel.col_count < 1 << 31,
        )
        self.body = self.result.body
        self.values: dict[int, Scalar] = {}  # what holds for the whole row, by id of the term
        self.slots: dict[int, Scalar] = {}
        self.touched: list[_Access] = []  # since the last wait
        self.first: list[_Access] = []  # before the first wait of a row
        self.waited = False
        self._function()

    def _extent(self, buffer: int) -> int:
        """How many elements of a buffer a row touches."""
        sizes, first = self.kernel.cols, self.first_col
        stores = (s for p in self.kernel.passes for s in p.stores if s.buffer == buffer)
        return max(
            1 + x.offset + sum((n - 1) * max(0, st) for n, st in zip(sizes, x.strides[first:]))
            for x in (*stores, *(load for load in self.kernel.loads if load.buffer == buffer))
        )

    # ---- instructions ------------------------------------------------------------------------

    def register(self, dtype: np.dtype, kind: str = "register") -> Scalar:
        self.count += 1
        return Scalar(kind, dtype, (), self.count)

    def compute(self, operation: str, dtype: np.dtype, *operands: Scalar) -> Scalar:
        to = self.register(dtype)
        self.body.append(Compute(to, Scalar(operation, dtype, operands)))
        return to

    def index(self, what: str) -> Scalar:
        to = self.register(INT64)
        self.body.append(Index(to, what))
        return to

    def read(self, array: int, dtype: np.dtype, place: Scalar, shared: bool = False) -> Scalar:
        to = self.register(dtype)
        self.body.append(Read(to, array, place, shared))
        return to

    @contextmanager
    def within(self, outer: Loop | If) -> Iterator[None]:
        """What comes now is of the body of ``outer``."""
        before, self.body = self.body, outer.body
        yield
        self.body = before
        self.body.append(outer)

    def times(self, a: Scalar, factor: int) -> Scalar:
        if a.operation == "constant":
            return constant(a.value * factor, INT64)
        if factor in (0, 1):
            return a if factor else constant(0, INT64)
        return self.compute("multiply", INT64, a, constant(factor, INT64))

    def plus(self, a: Scalar, b: Scalar) -> Scalar:
        if a.operation == "constant" and b.operation == "constant":
            return constant(a.value + b.value, INT64)
        for one, other in ((a, b), (b, a)):
            if one.operation == "constant" and one.value == 0:
                return other
        return self.compute("add", INT64, a, b)

    def unravelled(self, flat: Scalar, sizes: Sequence[int]) -> list[Scalar]:
        """The indices along dimensions of ``sizes`` of element ``flat``."""
        indices = []
        for n in reversed(sizes[1:]):
            size = constant(n, INT64)
            indices.append(self.compute("remainder", INT64, flat, size))
            flat = self.compute("quotient", INT64, flat, size)
        return [*([flat] if sizes else []), *indices[::-1]]

    # ---- waiting for each other --------------------------------------------------------------

    def touch(self, accesses: Sequence[_Access]) -> None:
        """``accesses`` come now: the group waits first if one of them may be of what another
        thread has touched since the last wait, and one of the two writes."""
        for buffer, writes, way in accesses:
            if self.group > 1 and any(
                b == buffer and (w or writes) and (way is None or way != v)
                for b, w, v in self.touched
            ):
                self.body.append(Barrier(None if self.group > WARP else self.mask))
                self.touched, self.waited = [], True
                break
        self.touched += accesses
        if not self.waited:
            self.first += accesses

    def _reads(self, terms: Sequence[Scalar], known: dict[int, Scalar]) -> list[_Access]:
        found = []
        for node in (n for t in terms for n in ordered(t)):
            if node.operation in ("input", "gather") and id(node) not in known:
                load = self.kernel.loads[node.value]
                by_column = self.varying[id(node)] and node.operation == "input"
                way = (load.strides, load.offset) if by_column else None
                found.append((self.homes[load.buffer], False, way))
        return found

    # ---- the function ------------------------------------------------------------------------

    def _function(self) -> None:
        kernel, group = self.kernel, self.group
        self.thread = self.index("thread")
        self.worker = block = self.index("block")
        workers = self.index("blocks")
        self.lane, self.team = self.thread, constant(0, INT64)  # in the group; the group's number
        if self.per_block > 1:
            places = constant(group.bit_length() - 1, INT64)
            self.lane = self.compute("and", INT64, self.thread, constant(group - 1, INT64))
            self.team = self.compute("shift_right", INT64, self.thread, places)
            self.worker = self.plus(self.times(block, self.per_block), self.team)
            workers = self.times(workers, self.per_block)
        self.mask = constant(-1, INT32)
        if 1 < group < WARP:
            first = self.compute("and", INT64, self.thread, constant(WARP - group, INT64))
            first = self.compute("convert", INT32, first)
            self.mask = self.compute("shift_left", INT32, constant((1 << group) - 1, INT32), first)
        self.numbers: dict[int, Scalar] = {}
        for node in (n for t in kernel.terms() for n in ordered(t) if n.operation == "number"):
            if node.value not in self.numbers:
                place = constant(node.value, INT64)
                self.numbers[node.value] = self.read(len(kernel.buffers), FLOAT64, place)
        rows = constant(kernel.row_count, INT64)
        loop = Loop(self.register(INT64), self.worker, rows, workers)
        with self.within(loop):
            self.rows = self.unravelled(loop.counter, kernel.rows)
            self.bases: dict[int, Scalar] = {}
            for p in kernel.passes:
                self._pass(p)
            # What the next row begins with may not overtake slow threads of this one, in memory
            # that both use.
            kept = kernel.scratch
            self.touch([a for a in self.first if a[0] < 0 or a[0] in kept])

    def base(self, moving: Load | Store) -> Scalar:
        """The place where the row starts for a load or store."""
        if id(moving) not in self.bases:
            total = constant(moving.offset, INT64)
            for i, stride in zip(self.rows, moving.strides):
                total = self.plus(total, self.times(i, stride))
            k = moving.buffer
            if k in self.shared_at:
                each = self.result.shared[self.shared_at[k]][1] // self.per_block
                total = self.plus(total, self.times(self.team, each))
            elif k in self.result.own:
                total = self.plus(total, self.times(self.worker, self.result.own[k]))
            self.bases[id(moving)] = total
        return self.bases[id(moving)]

    def place(self, moving: Load | Store, cols: Sequence[Scalar]) -> Scalar:
        total = self.base(moving)
        for i, stride in zip(cols, moving.strides[self.first_col :]):
            total = self.plus(total, self.times(i, stride))
        return total

    def load(self, load: Load, place: Scalar) -> Scalar:
        at = self.shared_at.get(load.buffer)
        array = load.buffer if at is None else at
        return self.read(array, load.dtype, place, at is not None)

    def value(self, root: Scalar, known: dict[int, Scalar], cols: Sequence[Scalar]) -> Scalar:
        """The value of a term at ``cols``; what is computed for it goes into ``known``."""
        for n in ordered(root):
            if id(n) in known:
                continue
            operands = [known[id(a)] for a in n.operands]
            if n.operation == "constant":
                new = n
            elif n.operation == "reduced":
                new = self.slots[n.value]
            elif n.operation == "number":
                new = self.numbers[n.value]
            elif n.operation == "iota":
                new = [*self.rows, *cols][n.value]
            elif n.operation in ("input", "gather"):
                load = self.kernel.loads[n.value]
                place = self.place(load, cols)
                if n.operation == "gather":
                    place = self.plus(place, self.times(operands[0], load.step))
                new = self.load(load, place)
            else:
                new = self.compute(n.operation, n.dtype, *operands)
            known[id(n)] = new
        return known[id(root)]

    def prepare(self, terms: Sequence[Scalar]) -> None:
        """Compute what ``terms`` need that is the same all along the row."""
        fixed = []
        for t in terms:
            for node in ordered(t):
                for a in (*node.operands, node) if node is t else node.operands:
                    if not self.varying[id(a)]:
                        fixed.append(a)
        self.touch(self._reads(fixed, self.values))
        zero = [constant(0, INT64)] * len(self.kernel.cols)
        for a in fixed:
            self.value(a, self.values, zero)

    def _pass(self, p: Pass) -> None:
        lets = [term for _, term in p.lets]
        self.touch(self._reads(lets, self.values))
        zero = [constant(0, INT64)] * len(self.kernel.cols)
        for slot, term in p.lets:
            self.slots[slot] = self.value(term, self.values, zero)
        stores = [s for s in p.stores if not s.row]
        terms = [r.term for r in p.reductions] + [s.term for s in stores]
        if terms:
            self.prepare(terms)
            accesses = self._reads(terms, self.values)
            accesses += [(self.homes[s.buffer], True, (s.strides, s.offset)) for s in stores]
            self.touch(accesses)
            self._walk(p.reductions, stores)
        for s in (s for s in p.stores if s.row):
            self.prepare([s.term])
            value = self.value(s.term, self.values, zero)
            self.touch([(self.homes[s.buffer], True, ("first thread",))])
            place = self.base(s)
            if self.group == 1:
                self.store(s, place, value)
                continue
            is_first = self.compute("equal", BOOL, self.lane, constant(0, INT64))
            with self.within(If(is_first)):
                self.store(s, place, value)

    def _walk(self, reductions: list[Reduction], stores: list[Store]) -> None:
        """Every thread's columns, and the reductions over all of them."""
        for s in stores:  # where the row starts, before the loop over its columns
            self.base(s)
        for node in (n for t in (*reductions, *stores) for n in ordered(t.term)):
            if node.operation in ("input", "gather"):
                self.base(self.kernel.loads[node.value])
        sums = [self.register(r.term.dtype, "variable") for r in reductions]
        for r, total in zip(reductions, sums):
            self.body.append(Set(total, identity(r.kind, r.term.dtype)))
        if self.kernel.col_count == 1:
            self._columns(reductions, stores, sums, constant(0, INT64))
        else:
            start = self.lane if self.group > 1 else constant(0, INT64)
            stop, step = constant(self.kernel.col_count, INT64), constant(self.group, INT64)
            loop = Loop(self.register(INT64), start, stop, step)
            with self.within(loop):
                self._columns(reductions, stores, sums, loop.counter)
        self._join(reductions, sums)

    def _columns(
        self, reductions: list[Reduction], stores: list[Store], sums: list[Scalar], flat: Scalar
    ) -> None:
        cols = self.unravelled(flat, self.kernel.cols)
        known = dict(self.values)
        for r, total in zip(reductions, sums):
            new = self.value(r.term, known, cols)
            self.body.append(Set(total, self.combined(r.kind, total, new)))
        # All values first: one may be of an element that another store writes over.
        values = [self.value(s.term, known, cols) for s in stores]
        for s, value in zip(stores, values):
            self.store(s, self.place(s, cols), value)

    def store(self, s: Store, place: Scalar, value: Scalar) -> None:
        at = self.shared_at.get(s.buffer)
        array = s.buffer if at is None else at
        if s.add:
            before = self.read(array, value.dtype, place, at is not None)
            value = self.combined("sum", before, value)
        self.body.append(Write(array, place, value, at is not None))

    def combined(self, kind: str, old: Scalar, new: Scalar) -> Scalar:
        """One step of a reduction."""
        dtype = old.dtype
        if kind == "sum":
            return self.compute("add", dtype, old, new)
        pair = (new, old) if kind == "minimum" else (old, new)
        better = self.compute("less", BOOL, *pair)
        if dtype.kind == "f" and kind != "largest":
            better = self.compute("or", BOOL, better, self.compute("is_nan", BOOL, new))
        return self.compute("select", dtype, better, new, old)

    def _join(self, reductions: list[Reduction], sums: list[Scalar]) -> None:
        """The reductions of the whole row, from those of each thread."""
        for r, total in zip(reductions, sums):
            self.slots[r.slot] = self._butterfly(r.kind, total, min(self.group, WARP))
        if self.group <= WARP or not reductions:
            return
        warps = self.group // WARP
        first_of = len(self.result.shared)
        self.result.shared += [(r.term.dtype, warps) for r in reductions]
        lane = self.compute("and", INT64, self.thread, constant(WARP - 1, INT64))
        warp = self.compute("shift_right", INT64, self.thread, constant(5, INT64))
        is_first = self.compute("equal", BOOL, lane, constant(0, INT64))
        self.touch([(~k, True, None) for k in range(first_of, first_of + len(reductions))])
        with self.within(If(is_first)):
            for k, r in enumerate(reductions, first_of):
                self.body.append(Write(k, warp, self.slots[r.slot], shared=True))
        self.touch([(~k, False, None) for k in range(first_of, first_of + len(reductions))])
        mine = self.compute("and", INT64, self.thread, constant(warps - 1, INT64))
        for k, r in enumerate(reductions, first_of):
            part = self.read(k, r.term.dtype, mine, shared=True)
            self.slots[r.slot] = self._butterfly(r.kind, part, warps)

    def _butterfly(self, kind: str, value: Scalar, lanes: int) -> Scalar:
        """``value`` of so many neighbouring lanes combined; all of them have the result."""
        distance = lanes // 2
        while distance:
            other = self.register(value.dtype)
            self.body.append(Shuffle(other, value, distance, self.mask))
            value = self.combined(kind, value, other)
            distance //= 2
        return value


# ---- what LLVM's target can do -------------------------------------------------------------


class Refused(NotImplementedError):
    """A kernel that LLVM's NVPTX target cannot compile; LLVM would end the process."""


_COMPUTES = frozenset(
    "add subtract multiply divide negate absolute sqrt fma copysign floor ceil trunc rint less "
    "less_equal equal is_nan select and or xor shift_left shift_right bits from_bits to_float "
    "widen narrow extend truncate convert quotient remainder".split()
)
_NARROW = frozenset(("widen", "narrow", "select", "convert"))  # what float16 may take part in


def computes(operation: str) -> bool:
    """Whether a GPU's code has this operation of the scalar language."""
    return operation in _COMPUTES


def verify(kernel: GpuKernel) -> None:
    """Refused where ``kernel`` has what LLVM's NVPTX target ends the process for (sin, cos and
    power of the C library), what it has no instruction for, and too much shared memory."""
    for one in kernel.instructions():
        if isinstance(one, Shuffle) and one.to.dtype.itemsize not in (4, 8):
            raise Refused(
                f"kernel {kernel.name!r}: a reduction of {one.to.dtype}; shuffles exchange values "
                "of 32 and 64 bits: convert the term first"
            )
        if not isinstance(one, Compute):
            continue
        name, operands = one.node.operation, one.node.operands
        if name not in _COMPUTES:
            raise Refused(
                f"kernel {kernel.name!r}: NVPTX has no {name} of {one.node.dtype}, which is the C "
                "library's on the CPU; write it as operations of the scalar language "
                "(scalar_functions.py)"
            )
        if name not in _NARROW and any(x.dtype == FLOAT16 for x in (one.to, *operands)):
            raise Refused(
                f"kernel {kernel.name!r}: {name} of float16, which the scalar language computes in "
                "float32: widen its operands first"
            )
    size = sum(n * dtype.itemsize for dtype, n in kernel.shared)
    if size > SHARED_BYTES:
        raise Refused(
            f"kernel {kernel.name!r} needs {size} bytes of shared memory, more than the "
            f"{SHARED_BYTES} that a block has"
        )


def described(kernel: GpuKernel | Bundle) -> str:
    """How a kernel is launched, in one line."""
    if isinstance(kernel, Bundle):
        count = sum(n for _, n in kernel.parts)
        return f"{count} kernels: {kernel.blocks} blocks of {kernel.threads} threads"
    own = "".join(f", buffer {k}: {n} elements for each worker" for k, n in kernel.own.items())
    shared = sum(n * dtype.itemsize for dtype, n in kernel.shared)
    return (
        f"{kernel.name}: {kernel.blocks} blocks of {kernel.threads} threads, {kernel.group} for "
        f"a row, {shared} bytes shared{own}"
    )
