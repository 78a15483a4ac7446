"""From arrays to kernels: which formulas share one walk over memory.

A ``Cluster`` is a set of maps and reductions that will be one kernel. All run over the same
elements, in the same order, so that a value is used where it is computed, in a register; or they
are values of its rows. ``Cluster.joined`` tries to take in one more array by building the kernel
and seeing whether it can be said: a read of an array of the cluster must be of the same element, or
of the same row. ``clusters`` goes through a program's arrays in order and puts each where one of
its operands is made, unless that would make the kernel wait for its own result.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import scalar
from .arrays import Array, Joined, Leaf, Map, Read, Reduce, Split, Tangled, composed, row_major
from .kernel import Kernel, Load, Pass, Reduction, Store
from .scalar import BITS, COMPUTED, FLOAT16, FLOAT32, FLOAT64, INT16, INT64, Scalar, ordered

#: Sums over everything of more elements than this are done in rows, by all threads.
LONG = 1 << 14
_ROW = 1 << 11  # columns of such a row
_COSTLY = 12  # operations from which a value is kept for the next pass rather than computed again
_SCRATCH = 1 << 14  # bytes of a row that may be kept


@dataclass(eq=False, slots=True)
class Target:
    """Where a value of the cluster goes: ``read`` of ``shape`` into ``array``'s memory, which is
    ``strides`` and ``offset`` in elements. ``add``: summed over the rows."""

    array: Array
    read: Read
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int


def same_strides(shape: Sequence[int], a: Sequence[int], b: Sequence[int]) -> bool:
    """Whether the strides ``a`` and ``b`` lead to the same places: 1s do not count."""
    return all(n == 1 or x == y for n, x, y in zip(shape, a, b))


def memory_strides(array: Array) -> tuple[int, ...]:
    """The strides, in elements, of the memory that holds ``array``."""
    return array.strides if isinstance(array, Leaf) else row_major(array.shape)


@dataclass(eq=False, slots=True)
class Cluster:
    """Maps and reductions that are computed together, and what is stored of them.

    ``size``: elements that all of it runs over. ``marks``: from the whole's sizes, in memory order,
    to whether each is reduced along a row (a column dimension): ((4, False), (9, True)); None: any.
    """

    size: int
    members: list[Array] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    marks: tuple[tuple[int, bool], ...] | None = None

    def joined(self, array: Array | Target) -> Cluster | None:
        """This cluster with ``array`` in it; None where that cannot be one kernel."""
        new = Cluster(self.size, list(self.members), list(self.targets), self.marks)
        if isinstance(array, Target):
            new.targets.append(array)
        else:
            new.members.append(array)
            if isinstance(array, Reduce) and not new._mark(array):
                return None
        return new if new._can_be() else None

    def merged(self, later: Cluster) -> Cluster | None:
        """This cluster and ``later``, which may use its values, as one; None if that is none."""
        marks = self.marks or later.marks
        if self.marks and later.marks and self.marks != later.marks:
            return None
        new = Cluster(
            self.size,
            [*self.members, *later.members],
            [*self.targets, *later.targets],
            marks,
        )
        return new if new._can_be() else None

    def _can_be(self) -> bool:
        """Whether this can be one kernel: it reads nothing from memory that it fills itself."""
        filled = {id(t.array) for t in self.targets if isinstance(t.array, Joined)}
        read = [a for m in self.members for a in m.sources()]
        if filled and any(id(a) in filled for a in (*read, *[t.read.array for t in self.targets])):
            return False
        try:
            Builder(self).check()
        except Tangled:
            return False
        return True

    def _mark(self, array: Reduce) -> bool:
        """Take in how ``array`` divides the elements; False if it does not agree with others."""
        runs = _runs(array)
        inner = math.prod(n for n, reduced in runs if reduced)
        total = math.prod(n for n, _ in runs)
        if total != self.size:
            return bool(self.marks) and total == _rows(self.marks)
        if self.marks is not None:
            if inner == total or runs == self.marks:
                return True
            return runs == tuple((n, not reduced) for n, reduced in self.marks)
        if inner == total:
            if total > LONG:
                self.marks = ((total // _ROW, False), (_ROW, True)) if total % _ROW == 0 else runs
            else:
                self.marks = runs
            return True
        leading = runs[0][1] and len(runs) == 2
        if leading and array.kind == "sum":  # added up over rows
            runs = tuple((n, not reduced) for n, reduced in runs)
        self.marks = runs
        return True


def _rows(marks: Iterable[tuple[int, bool]]) -> int:
    return math.prod(n for n, reduced in marks if not reduced)


def _runs(array: Reduce) -> tuple[tuple[int, bool], ...]:
    """The sizes of neighbouring dimensions that are reduced, or kept, together."""
    runs: list[list] = []
    for d, n in enumerate(array.full):
        if n == 1:
            continue
        if runs and runs[-1][1] == (d in array.dims):
            runs[-1][0] *= n
        else:
            runs.append([n, d in array.dims])
    return tuple((n, r) for n, r in runs)


# ---- from a cluster to a kernel ------------------------------------------------------------


class Builder:
    """Makes the kernel of one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.cuts: set[int] = set()

    def check(self) -> None:
        """Tangled where the cluster cannot be one kernel."""
        self._tried(lambda attempt: attempt.check())

    def build(self) -> tuple[Kernel, list[Array]]:
        """The kernel, and the arrays that its buffers are, in order."""
        return self._tried(lambda attempt: attempt.kernel())

    def _tried(self, build: Callable[[_Attempt], Any]) -> Any:
        """``build`` of an attempt with as few cuts as it goes with."""
        cuts = self._all_cuts()
        while True:
            try:
                return build(_Attempt(self.cluster, cuts))
            except _Cut as more:
                if more.position in cuts:
                    raise Tangled from None
                cuts = sorted({*cuts, more.position})

    def _all_cuts(self) -> list[int]:
        """Where the flat order of elements is cut into dimensions: products of the last ones."""
        cluster = self.cluster
        cuts = {1, cluster.size}
        shapes = [m.full if isinstance(m, Reduce) else m.shape for m in cluster.members]
        shapes += [t.shape for t in cluster.targets]
        for shape in shapes:
            if math.prod(shape) == cluster.size:
                cuts.update(row_major(shape))
        if cluster.marks:
            n = 1
            for size, _ in reversed(cluster.marks):
                n *= size
                cuts.add(n)
        return sorted(cuts)


class _Cut(Exception):
    """The elements must be cut at ``position``, too."""

    def __init__(self, position: int) -> None:
        self.position = position


class _Attempt:
    """The kernel of a cluster for certain dimensions."""

    def __init__(self, cluster: Cluster, cuts: list[int]) -> None:
        self.cluster = cluster
        for a, b in zip(cuts, cuts[1:]):
            if b % a:
                raise Tangled
        self.dims = [b // a for a, b in zip(cuts, cuts[1:])][::-1]
        self.places = cuts[:-1][::-1]  # the row-major stride of each dimension
        self.is_col = self._columns()
        self.row_dims = [d for d, col in enumerate(self.is_col) if not col]
        self.rows = math.prod(self.dims[d] for d in self.row_dims)
        strides = row_major([self.dims[d] for d in self.row_dims])
        self.row_strides = [0] * len(self.dims)
        for d, s in zip(self.row_dims, strides):
            self.row_strides[d] = s
        self.members = set(map(id, cluster.members))
        self.values: dict[int, Scalar] = {}
        self.summed: dict[int, tuple[Scalar, bool]] = {}  # reductions over rows: term, of rows
        self.slots: list[np.dtype] = []
        self.lets: dict[int, Scalar] = {}
        self.reductions: dict[int, tuple[str, Scalar]] = {}
        self.loads: list[Load] = []
        self.load_of: dict[tuple, int] = {}
        self.leaves: dict[int, Scalar] = {}  # the value of each load
        self.alike: dict[tuple, Scalar] = {}  # what members compute: once, if several do
        self.buffers: list[Array] = []
        self.row_level: set[int] = set()

    def _columns(self) -> list[bool]:
        if not self.cluster.marks:
            return [True] * len(self.dims)
        result = []
        marks = list(self.cluster.marks)
        for size in self.dims:
            n, col = marks[0]
            result.append(col)
            if n % size:
                raise Tangled
            marks[0] = (n // size, col)
            if n == size:
                marks.pop(0)
        return result

    # ---- reads -------------------------------------------------------------------------------

    def spread(self, strides: Sequence[int], shape: Sequence[int], rows: bool) -> list[int]:
        """``strides`` over ``shape`` as strides over the kernel's dimensions."""
        return self.spread_over(
            self.row_dims if rows else range(len(self.dims)), strides, shape, not rows
        )

    def spread_over(
        self, dims: Sequence[int], strides: Sequence[int], shape: Sequence[int], all_: bool = False
    ) -> list[int]:
        """The same over some of the kernel's dimensions, which ``shape`` says otherwise."""
        own = [(d, self.dims[d]) for d in dims]
        result = [0] * len(self.dims)
        place = len(own) - 1
        for n, stride in zip(reversed(shape), reversed(strides)):
            if n == 1:
                continue
            step = stride
            while n > 1:
                if place < 0 or n % own[place][1]:
                    if not all_ or place < 0:
                        raise Tangled
                    raise _Cut(self.places[own[place][0]] * n)
                d, size = own[place]
                result[d] = step
                step *= size
                n //= size
                place -= 1
        return result

    def value_of_read(self, read: Read, shape: Sequence[int], rows: bool) -> Scalar:
        """What ``read``, from an array of ``shape`` that has one value a row or an element, is."""
        array = read.array
        strides = self.spread(read.strides, shape, rows)
        if id(array) in self.members and read.index is None:
            return self._inside(array, strides, read.offset)
        if id(array) in self.members:
            raise Tangled
        memory, offset = self._placed(
            array, strides, read.offset, list(self.dims), memory_strides(array)
        )
        index, step = None, 0
        if read.index is not None:
            index = self.value_of_read(read.index, shape, rows)
            if index.dtype != INT64:
                index = scalar.convert(index, INT64)
            step = self._index_step(array, read.index_stride)
        return self.load(array, memory, offset, index, step)

    def _index_step(self, array: Array, stride: int) -> int:
        """The memory stride of a move by ``stride`` in row-major order, along one dimension."""
        dense = row_major(array.shape)
        for p, d in enumerate(dense):
            if d == stride and array.shape[p] > 1:
                return memory_strides(array)[p]
        return 0

    def _placed(
        self,
        array: Array,
        strides: list[int],
        offset: int,
        dims: list[int],
        memory: Sequence[int],
    ) -> tuple[list[int], int]:
        try:
            return composed(dims, Read(array, tuple(strides), offset), memory)
        except Split as split:
            raise _Cut(self.places[split.place] * split.inner) from None

    def _inside(self, array: Array, strides: list[int], offset: int) -> Scalar:
        """A value of the cluster itself: the same element, or the same row."""
        if id(array) in self.summed or offset:
            raise Tangled
        value = self.values[id(array)]
        if id(array) in self.row_level:
            wanted = self.row_strides
        else:
            wanted = self.places
        for n, s, w in zip(self.dims, strides, wanted):
            if n > 1 and s != w:
                raise Tangled
        return value

    def buffer(self, array: Array) -> int:
        """The number of the buffer that holds ``array``."""
        for k, other in enumerate(self.buffers):
            if other is array:
                return k
        self.buffers.append(array)
        return len(self.buffers) - 1

    def load(
        self, array: Array, strides: list[int], offset: int, index: Scalar | None, step: int
    ) -> Scalar:
        """The expression for an element of ``array``, converted for computing."""
        key = (id(array), tuple(strides), offset, step)
        if key not in self.load_of:
            dtype = memory_dtype(array.dtype)
            self.loads.append(Load(self.buffer(array), dtype, tuple(strides), offset, step))
            self.load_of[key] = len(self.loads) - 1
        k = self.load_of[key]
        dtype = memory_dtype(array.dtype)
        if index is not None:
            return loaded(scalar.gather(k, dtype, index))
        if k not in self.leaves:
            self.leaves[k] = loaded(Scalar("input", dtype, (), k))
        return self.leaves[k]

    # ---- members -----------------------------------------------------------------------------

    def compute(self) -> None:
        """The expressions of all members, in order."""
        for m in self.cluster.members:
            if isinstance(m, Map):
                rows = m.size != self.cluster.size
                if rows and (m.size != self.rows or self.cluster.marks is None):
                    raise Tangled
                inputs = [self.value_of_read(r, m.shape, rows) for r in m.reads]
                term = substituted_inputs(m, inputs, self, rows)
                if rows:
                    term = self._let(term)
                    self.row_level.add(id(m))
                self.values[id(m)] = term
            else:
                self._reduce(m)

    def _let(self, term: Scalar) -> Scalar:
        if term.operation in ("reduced", "constant", "number"):
            return term
        slot = len(self.slots)
        self.slots.append(term.dtype)
        self.lets[slot] = term
        return scalar.reduced(slot, term.dtype)

    def _reduce(self, m: Reduce) -> None:
        whole = math.prod(m.full)
        if whole != self.cluster.size:  # a sum of row values
            if whole != self.rows or m.size != 1 or m.kind != "sum":
                raise Tangled
            self.summed[id(m)] = (self.value_of_read(m.read, m.full, True), True)
            return
        term = self.value_of_read(m.read, m.full, False)
        inner = math.prod(m.full[d] for d in m.dims)
        cols = self.cluster.size // self.rows
        reduced = [n for n, r in _runs(m) if r]
        if inner == cols and self._along_rows(m):
            slot = len(self.slots)
            self.slots.append(term.dtype)
            self.reductions[slot] = (m.kind, term)
            self.values[id(m)] = scalar.reduced(slot, term.dtype)
            self.row_level.add(id(m))
        elif m.kind == "sum" and (inner == whole or (inner == self.rows and reduced)):
            if inner == whole:  # of each row first, then of the rows
                slot = len(self.slots)
                self.slots.append(term.dtype)
                self.reductions[slot] = (m.kind, term)
                self.summed[id(m)] = (scalar.reduced(slot, term.dtype), True)
            else:
                self.summed[id(m)] = (term, False)
        else:
            raise Tangled

    def _along_rows(self, m: Reduce) -> bool:
        """Whether the dimensions that ``m`` reduces are the column dimensions."""
        flags = []
        for d, n in enumerate(m.full):
            if n > 1:
                flags.append((n, d in m.dims))
        strides = self.spread(
            [1 if reduced else 0 for _, reduced in flags], [n for n, _ in flags], False
        )
        return all(bool(s) == col for s, col, n in zip(strides, self.is_col, self.dims) if n > 1)

    # ---- the kernel --------------------------------------------------------------------------

    def check(self) -> None:
        """Tangled where there is no such kernel."""
        self.compute()
        for t in self.cluster.targets:
            self._store(t)

    def kernel(self) -> tuple[Kernel, list[Array]]:
        """The kernel, and the arrays that its buffers are."""
        self.compute()
        stores: list[Store] = []
        for t in self.cluster.targets:
            stores.append(self._store(t))
        order = [*self.row_dims, *(d for d, col in enumerate(self.is_col) if col)]
        rows = tuple(self.dims[d] for d in self.row_dims)
        cols = tuple(n for n, col in zip(self.dims, self.is_col) if col)

        def turned(strides: Sequence[int]) -> tuple[int, ...]:
            return tuple(strides[d] for d in order)

        for load in self.loads:
            load.strides = turned(load.strides)
        for s in stores:
            s.strides = turned(s.strides)
        back = {d: i for i, d in enumerate(order)}
        renumber = {}

        def leaf(node: Scalar) -> Scalar | None:
            if node.operation == "iota" and back[node.value] != node.value:
                return renumber.setdefault(node.value, scalar.iota(back[node.value]))
            return None

        for s in stores:
            s.term = scalar.substituted(s.term, leaf)
        self.lets = {k: scalar.substituted(t, leaf) for k, t in self.lets.items()}
        self.reductions = {
            k: (kind, scalar.substituted(t, leaf)) for k, (kind, t) in self.reductions.items()
        }
        passes = _passes(self, stores)
        dtypes = [memory_dtype(a.dtype) for a in self.buffers]
        for s in stores:
            if s.add:
                dtypes[s.buffer] = s.term.dtype
        names = dict.fromkeys(m.note for m in self.cluster.members if m.note)
        kernel = Kernel(rows, cols, dtypes, self.loads, passes, self.slots, " ".join(names))
        return in_rows(collapsed(_keeping(kernel))), self.buffers

    def _store(self, t: Target) -> Store:
        array = t.read.array
        if id(array) in self.summed:
            term, of_rows = self.summed[id(array)]
            if t.read.offset or not same_strides(t.shape, t.read.strides, row_major(t.shape)):
                raise Tangled
            strides = [0] * len(self.dims)
            if not of_rows:
                columns = [d for d, col in enumerate(self.is_col) if col]
                strides = self.spread_over(columns, t.strides, t.shape)
            if t.offset or math.prod(t.shape) != t.array.size:
                raise Tangled  # what threads have added up is stored over the whole array
            if of_rows and term.dtype == FLOAT32:
                term = scalar.convert(term, FLOAT64)
            return Store(self.buffer(t.array), strides, t.offset, term, True, of_rows)
        rows = id(array) in self.row_level
        value = self.value_of_read(t.read, t.shape, rows or math.prod(t.shape) != self.cluster.size)
        rows = math.prod(t.shape) != self.cluster.size or (rows and self.rows == self.cluster.size)
        strides = self.spread(t.strides, t.shape, rows)
        if rows and id(array) not in self.row_level and self.rows != self.cluster.size:
            raise Tangled
        value = stored(value, t.array.dtype)
        return Store(self.buffer(t.array), strides, t.offset, value, False, rows)


def substituted_inputs(m: Map, inputs: list[Scalar], attempt: _Attempt, rows: bool) -> Scalar:
    """The term of ``m`` with its operands in place of its inputs, and its own dimensions' indices
    as sums over the kernel's."""

    def index(d: int) -> Scalar:
        unit = [0] * len(m.shape)
        unit[d] = 1
        strides = attempt.spread(unit, m.shape, rows)
        total: Scalar | None = None
        for k, s in enumerate(strides):
            if s:
                part = scalar.iota(k) if s == 1 else scalar.iota(k) * s
                total = part if total is None else total + part
        return scalar.constant(0, INT64) if total is None else total

    memo: dict[int, Scalar] = {}

    def leaf(node: Scalar) -> Scalar | None:
        if node.operation == "input":
            return inputs[node.value]
        if node.operation == "iota":
            if node.value not in memo:
                memo[node.value] = index(node.value)
            return memo[node.value]
        return None

    return scalar.substituted(m.term, leaf, alike=attempt.alike)


# ---- dtypes in memory ----------------------------------------------------------------------


@functools.cache
def memory_dtype(dtype: np.dtype) -> np.dtype:
    """What a kernel takes an array of ``dtype`` for: bfloat16 is computed with as INT16, and what
    kernels do not compute with is moved as its bits."""
    if dtype.name == "bfloat16":
        return INT16
    if dtype in COMPUTED or dtype == FLOAT16:
        return dtype
    return BITS[dtype.itemsize]


def loaded(leaf: Scalar) -> Scalar:
    """An element as it is computed with: 16-bit floats in float32."""
    return scalar.widen(leaf) if leaf.dtype in (FLOAT16, INT16) else leaf


def stored(value: Scalar, dtype: np.dtype) -> Scalar:
    """A value as it is kept in memory of ``dtype``."""
    memory = memory_dtype(dtype)
    if memory in (FLOAT16, INT16):
        return scalar.narrow(value, memory)
    return scalar.convert(value, memory)


# ---- passes --------------------------------------------------------------------------------


def _passes(attempt: _Attempt, stores: list[Store]) -> list[Pass]:
    """The passes over a row: each reduction as soon as what it needs is known."""
    level: dict[int, int] = {}  # slot -> the first pass that can use it

    def needs(term: Scalar) -> int:
        found = 0
        for node in ordered(term):
            if node.operation == "reduced":
                found = max(found, level[node.value])
        return found

    passes: dict[int, Pass] = {}

    def at(k: int) -> Pass:
        return passes.setdefault(k, Pass())

    for slot in range(len(attempt.slots)):
        if slot in attempt.lets:
            level[slot] = needs(attempt.lets[slot])
            at(level[slot]).lets.append((slot, attempt.lets[slot]))
        else:
            kind, term = attempt.reductions[slot]
            k = needs(term)
            level[slot] = k + 1
            at(k).reductions.append(Reduction(slot, kind, term))
    for s in stores:
        k = needs(s.term)
        at(k).stores.append(s)
    return [passes[k] for k in sorted(passes)]


def _keeping(kernel: Kernel) -> Kernel:
    """The kernel with costly values that several passes need computed once, and kept in a row of
    scratch memory."""
    computed: dict[int, int] = {}  # id of a term -> the first pass that computes it
    keep: dict[int, int] = {}  # id of a term -> the load that brings it back
    cost: dict[int, int] = {}
    kept_terms: list[tuple[int, Scalar, int]] = []
    cols = max(kernel.col_count, 1)
    wanted: list[tuple[int, Scalar]] = []
    if len(kernel.passes) == 1:
        return kernel
    varying = kernel.varying(kernel.terms())
    for number, p in enumerate(kernel.passes):
        terms = [r.term for r in p.reductions] + [s.term for s in p.stores if not s.row]
        for t in terms:
            for node in ordered(t):
                cost[id(node)] = 1 + sum(cost[id(a)] for a in node.operands)
        seen: set[int] = set()
        for t in terms:
            stack = [t]
            while stack:
                node = stack.pop()
                if id(node) in seen:
                    continue
                seen.add(id(node))
                first = computed.get(id(node))
                if first is not None and first < number:
                    if (
                        cost[id(node)] >= _COSTLY
                        and node.dtype.kind == "f"
                        and cols * node.dtype.itemsize <= _SCRATCH
                        and varying[id(node)]
                    ):
                        wanted.append((first, node))
                        continue
                stack.extend(node.operands)
        for t in terms:
            for node in ordered(t):
                computed.setdefault(id(node), number)
    if not wanted:
        return kernel
    strides = (0,) * len(kernel.rows) + row_major(kernel.cols)
    for first, node in wanted:
        if id(node) in keep:
            continue
        kernel.buffers.append(node.dtype)
        kernel.scratch.append(len(kernel.buffers) - 1)
        kernel.loads.append(Load(len(kernel.buffers) - 1, node.dtype, strides, 0))
        keep[id(node)] = len(kernel.loads) - 1
        kept_terms.append((first, node, len(kernel.buffers) - 1))
    firsts = {id(node): first for first, node, _ in kept_terms}
    for number, p in enumerate(kernel.passes):

        def leaf(node: Scalar, number: int = number) -> Scalar | None:
            if firsts.get(id(node), number) < number:
                return Scalar("input", node.dtype, (), keep[id(node)])
            return None

        for begun, node, buffer in kept_terms:
            if begun == number:
                p.stores.append(Store(buffer, strides, 0, node))
        done: dict[int, Scalar] = {}
        for r in p.reductions:
            r.term = scalar.substituted(r.term, leaf, done)
        for s in p.stores:
            if not s.row:
                s.term = scalar.substituted(s.term, leaf, done)
    return kernel


def collapsed(kernel: Kernel) -> Kernel:
    """The kernel with neighbouring dimensions made one where all loads and stores allow it."""
    if any(n.operation == "iota" for t in kernel.terms() for n in ordered(t)):
        return kernel
    sizes = [*kernel.rows, *kernel.cols]
    border = len(kernel.rows)
    moving = [*kernel.loads, *(s for p in kernel.passes for s in p.stores)]
    d = 0
    while d + 1 < len(sizes):
        joins = d + 1 != border and all(
            x.strides[d] == x.strides[d + 1] * sizes[d + 1] for x in moving
        )
        if not joins:
            d += 1
            continue
        for x in moving:
            x.strides = x.strides[:d] + x.strides[d + 1 :]
        sizes[d : d + 2] = [sizes[d] * sizes[d + 1]]
        if d < border:
            border -= 1
    kernel.rows, kernel.cols = tuple(sizes[:border]), tuple(sizes[border:])
    return kernel


def in_rows(kernel: Kernel) -> Kernel:
    """A kernel of one row without reductions as one of many rows, which threads can share out."""
    whole = not kernel.rows and len(kernel.passes) == 1 and not kernel.passes[0].reductions
    if whole and len(kernel.cols) > 1 and not any(s.add for s in kernel.passes[0].stores):
        kernel.rows, kernel.cols = kernel.cols[:-1], kernel.cols[-1:]
    return kernel
