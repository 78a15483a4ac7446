"""The loop language: what one kernel computes.

    kernel := rows(sizes) cols(sizes) loads passes
    pass   := reduction* store*                   one walk over the columns of a row
    load   := Load(buffer, strides, offset)       an element of a buffer, by row and column indices
    store  := Store(buffer, strides, offset, term, add)

    for each row (rows are independent of each other, and shared out among threads):
        lets: row values that follow from the passes before
        for each pass, in order:
            for each column: the terms of its reductions and stores
            its reductions have a value now, the same for the whole row
        stores of row values

Terms are scalar expressions (``scalar``) whose leaves are ``input(k)``: load number k at this row
and column; ``reduced(s)``: the row value in slot s; ``gather(k)``: load k moved on by an integer
times a stride; ``number(k)``: a number that comes with each run; ``iota(d)``: the index along
dimension d. A store that adds sums over the rows: its strides along rows are 0, and every thread
has a buffer of its own, which the program adds up. ``verify`` checks all of this.

Sizes may be open until the run: COUNT is the number of rows (whoever calls knows it), WIDTH that of
columns, which strides may be too. A kernel with either has one dimension of each at most.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from .scalar import Scalar, constant, ordered

KINDS = ("sum", "maximum", "minimum", "largest")  # the last: of floats, nan is passed over
COUNT, WIDTH = "count", "width"  # sizes that come with each run
Size = int | str


def identity(kind: str, dtype: np.dtype) -> Scalar:
    """What a reduction of ``kind`` starts with."""
    if kind == "sum":
        return constant(0, dtype)
    if dtype.kind == "f":
        return constant(math.inf if kind == "minimum" else -math.inf, dtype)
    limits = np.iinfo(dtype)
    return constant(int(limits.min if kind == "maximum" else limits.max), dtype)


@dataclass(eq=False, slots=True)
class Load:
    """An element of ``buffer``: at ``offset`` plus each index times its stride, in elements.
    ``step`` is the stride of a gather's own index."""

    buffer: int
    dtype: np.dtype
    strides: tuple[Size, ...]
    offset: int
    step: int = 0


@dataclass(eq=False, slots=True)
class Store:
    """``term`` goes to ``buffer``; ``add``: it is added to what is there (a sum over rows).
    A row value (``row``) is stored once for each row."""

    buffer: int
    strides: tuple[Size, ...]
    offset: int
    term: Scalar
    add: bool = False
    row: bool = False


@dataclass(eq=False, slots=True)
class Reduction:
    """``kind`` (of KINDS) of ``term`` over the columns, into ``slot``."""

    slot: int
    kind: str
    term: Scalar


@dataclass(eq=False, slots=True)
class Pass:
    """One walk over the columns; before it, ``lets`` (slot, term) are computed for the row."""

    lets: list[tuple[int, Scalar]] = field(default_factory=list)
    reductions: list[Reduction] = field(default_factory=list)
    stores: list[Store] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Kernel:
    """See the head of this file. ``buffers``: the dtype of each; ``slots``: of each row value.
    ``scratch``: buffers of one row that belong to a thread and hold nothing from row to row.
    ``streams``: it moves more than the caches hold: results go past them, where they can (a cache
    would first read what is written over), and operands are asked for ahead of time.
    ``name`` says for people what it does."""

    rows: tuple[Size, ...]
    cols: tuple[Size, ...]
    buffers: list[np.dtype]
    loads: list[Load]
    passes: list[Pass]
    slots: list[np.dtype]
    name: str = ""
    scratch: list[int] = field(default_factory=list)
    streams: bool = False

    @property
    def is_open(self) -> bool:
        """Whether a size comes with each run."""
        return COUNT in self.rows or WIDTH in self.cols

    @property
    def row_count(self) -> Size:
        """How many rows there are."""
        return COUNT if COUNT in self.rows else math.prod(self.rows)

    @property
    def col_count(self) -> Size:
        """How many columns a row has."""
        return WIDTH if WIDTH in self.cols else math.prod(self.cols)

    def terms(self) -> Iterator[Scalar]:
        """All terms, in the order of computation."""
        for p in self.passes:
            yield from (term for _, term in p.lets)
            yield from (r.term for r in p.reductions)
            yield from (s.term for s in p.stores)

    def varying(self, terms: Iterable[Scalar]) -> dict[int, bool]:
        """Whether each expression in ``terms`` and below differs from column to column; by id."""
        first = len(self.rows)
        found: dict[int, bool] = {}
        for term in terms:
            for node in ordered(term):
                if id(node) in found:
                    continue
                varies = any(found[id(a)] for a in node.operands)
                if node.operation in ("input", "gather"):
                    varies = varies or any(self.loads[node.value].strides[first:])
                elif node.operation == "iota":
                    varies = node.value >= first
                found[id(node)] = varies
        return found


def apart(kernel: Kernel) -> list[tuple[int, int]]:
    """The pointers that the function of ``kernel`` gets: buffers, and where in them, in elements.

    A buffer that is used from several places is given several times: kernels that differ only in
    where they start share one function.
    """
    stores = [s for p in kernel.passes for s in p.stores]
    return list(dict.fromkeys((x.buffer, x.offset) for x in (*kernel.loads, *stores)))


def kept_in_results(kernel: Kernel, is_alone: Callable[[int], bool]) -> Kernel:
    """``kernel`` with each row of scratch memory where a later pass stores a result over it, if
    there is one: to write to memory that is in no cache takes as long as to compute, and so is
    begun while there is something to compute (softmax: 8 % of the time).

    ``is_alone(buffer)``: whether no other buffer shares its memory.
    """
    for own in kernel.scratch:
        loads = [k for k, load in enumerate(kernel.loads) if load.buffer == own]
        needed = [
            number
            for number, p in enumerate(kernel.passes)
            for t in (*(r.term for r in p.reductions), *(s.term for s in p.stores))
            if any(n.operation == "input" and n.value in loads for n in ordered(t))
        ]
        columns = kernel.loads[loads[0]].strides[len(kernel.rows) :]
        read = {load.buffer for load in kernel.loads}
        stores = [(number, s) for number, p in enumerate(kernel.passes) for s in p.stores]
        for number, s in stores:
            if (
                number >= max(needed, default=number + 1)
                and not (s.row or s.add)
                and s.buffer not in read
                and s.buffer not in kernel.scratch
                and s.term.dtype == kernel.buffers[own]
                and s.strides[len(kernel.rows) :] == columns
                and all(step or n == 1 for n, step in zip(kernel.rows, s.strides))
                and sum(other.buffer == s.buffer for _, other in stores) == 1
                and is_alone(s.buffer)
            ):
                kernel = _moved(kernel, own, s)
                break
    return kernel


def _moved(kernel: Kernel, own: int, to: Store) -> Kernel:
    """``kernel`` with the buffer ``own`` where ``to`` stores."""

    def there(x: Load | Store) -> Load | Store:
        if x.buffer != own:
            return x
        return replace(x, buffer=to.buffer, strides=to.strides, offset=to.offset)

    return replace(
        kernel,
        loads=[there(x) for x in kernel.loads],
        passes=[replace(p, stores=[there(s) for s in p.stores]) for p in kernel.passes],
        scratch=[k for k in kernel.scratch if k != own],
    )


def placed_at_zero(kernel: Kernel) -> Kernel:
    """``kernel`` with a buffer for each of the pointers of ``apart``, all used from the start."""
    pointers = apart(kernel)
    number = {pair: k for k, pair in enumerate(pointers)}
    moved = {}

    def at_zero(x: Load | Store) -> Load | Store:
        moved[id(x)] = replace(x, buffer=number[x.buffer, x.offset], offset=0)
        return moved[id(x)]

    passes = [replace(p, stores=[at_zero(s) for s in p.stores]) for p in kernel.passes]
    return replace(
        kernel,
        buffers=[kernel.buffers[b] for b, _ in pointers],
        loads=[at_zero(x) for x in kernel.loads],
        passes=passes,
        scratch=[],
        name="",
    )


def verify(kernel: Kernel) -> None:
    """ValueError where ``kernel`` is not a sentence of the language."""
    dims = len(kernel.rows) + len(kernel.cols)
    if COUNT in kernel.cols or WIDTH in kernel.rows:
        raise ValueError("COUNT is a size of rows, and WIDTH one of columns")
    if kernel.is_open and max(len(kernel.rows), len(kernel.cols)) > 1:
        raise ValueError("a kernel with open sizes has one dimension of rows and one of columns")
    for number, load in enumerate(kernel.loads):
        if not 0 <= load.buffer < len(kernel.buffers):
            raise ValueError(f"load {number} is of buffer {load.buffer}, which is not there")
        if load.dtype != kernel.buffers[load.buffer] or len(load.strides) != dims:
            raise ValueError(f"load {number} does not fit its buffer or the loops")
    known: set[int] = set()
    for number, p in enumerate(kernel.passes):
        for slot, term in p.lets:
            _verify_term(kernel, term, known, f"let of slot {slot}", dims)
            if kernel.varying([term])[id(term)]:
                raise ValueError(f"slot {slot} differs from column to column")
            known.add(slot)
        for r in p.reductions:
            is_known = r.kind in KINDS and (r.kind != "largest" or r.term.dtype.kind == "f")
            if not is_known or r.term.dtype != kernel.slots[r.slot]:
                raise ValueError(f"pass {number}: the reduction into slot {r.slot} is malformed")
            _verify_term(kernel, r.term, known, f"reduction {r.slot}", dims)
        for s in p.stores:
            if len(s.strides) != dims or s.term.dtype != kernel.buffers[s.buffer]:
                raise ValueError(f"pass {number}: a store does not fit buffer {s.buffer}")
            if s.add and any(s.strides[: len(kernel.rows)]):
                raise ValueError(f"pass {number}: a sum over rows moves from row to row")
            after = known | {r.slot for r in p.reductions} if s.row else known
            _verify_term(kernel, s.term, after, f"store to buffer {s.buffer}", dims)
        known |= {r.slot for r in p.reductions}


def _verify_term(kernel: Kernel, term: Scalar, known: set[int], where: str, dims: int) -> None:
    for node in ordered(term):
        name = node.operation
        if name in ("input", "gather") and not 0 <= node.value < len(kernel.loads):
            raise ValueError(f"{where}: there is no load {node.value}")
        if name == "reduced" and node.value not in known:
            raise ValueError(f"{where}: slot {node.value} has no value yet")
        if name == "iota" and not 0 <= node.value < dims:
            raise ValueError(f"{where}: there is no dimension {node.value}")
