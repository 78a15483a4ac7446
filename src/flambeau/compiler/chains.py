"""Which units go through their rows together, so that what one makes the next finds in the cache.

A product with a matrix of weights, a norm, an activation: each row of what they make comes from
the same row of what they are given. Such units, where they follow one another, are a *chain*: a
thread takes a block of rows through all of them, then the next block. Nothing waits in between.

``chained`` finds them. A unit joins a chain if what others of it write, or what it writes itself
and others touch, is touched in the same row; sums over rows are added up for each thread, and done
after the chain. An array that only the chain touches has room for a block of rows, not for all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from . import vector_code
from .arrays import Array, Product
from .fusion import Cluster
from .graph import Node
from .kernel import Kernel, Load, Store
from .own_product import Sizes
from .products_code import matrix_layout, sizes_of
from .scalar import ordered

if TYPE_CHECKING:
    from .schedule import Unit

ROWS = 128  # of a chain, at least
PANELS = 1 << 20  # bytes of weights that a thread copies for itself, at most
LINE = 64  # bytes of a line of the caches
BLOCK = 1 << 18  # bytes of a block of rows, in all arrays of a chain
PARTS = 16  # of sums over rows, for each thread, at most
AHEAD = 32  # units that are looked at for one that may join


@dataclass(frozen=True, slots=True)
class Access:
    """How a unit touches an array for row r: from ``r * step + low`` to ``r * step + high``,
    in elements; ``step`` 0: anywhere. ``adds``: a sum over rows."""

    array: Array
    writes: bool
    step: int = 0
    low: int = 0
    high: int = 0
    adds: bool = False

    @property
    def is_local(self) -> bool:
        """Whether no row's part reaches into another's."""
        return self.step > 0 and self.low >= 0 and self.high < self.step


@dataclass(frozen=True, slots=True)
class Inner:
    """An array that only a chain touches: where a thread has its block, and bytes of a row."""

    offset: int
    step: int


@dataclass(eq=False, slots=True)
class Chain:
    """Units that go through ``rows`` rows together."""

    rows: int
    units: list[Unit] = field(default_factory=list)
    panels: int = 0  # bytes of weights
    touched: dict[int, list[Access]] = field(default_factory=dict)  # by the array's home
    inner: dict[int, Inner] = field(default_factory=dict)  # by id(array)
    sizes: list[Sizes] = field(default_factory=list)  # of the products, in order

    @property
    def tasks(self) -> int:
        """Rows are shared out as a product's are: in tasks."""
        return self.sizes[0].tasks

    @property
    def block(self) -> int:
        """How many tasks a thread takes through the chain at a time."""
        row = 0
        for accesses in self.touched.values():
            row += accesses[0].array.dtype.itemsize * max(a.step for a in accesses)
        return min(16, max(2, BLOCK // (row * self.sizes[0].rows)))

    def cut(self, threads: int) -> tuple[int, int]:
        """The size and the number of the chunks of tasks that threads take for themselves. Where
        sums over rows are added up, each chunk has its own: they do not depend on who takes it."""
        count = -(-self.tasks // self.block) if threads > 1 else 1
        if any(a.adds and a.writes for found in self.touched.values() for a in found):
            count = min(count, PARTS * threads)
        return cut(self.tasks, 1, count)

    @property
    def memory(self) -> int:
        """Bytes that a thread needs: for the panels, and the blocks of the inner arrays."""
        last = max(self.inner.values(), key=lambda i: i.offset, default=None)
        return self.panels if last is None else last.offset + self._block_bytes(last.step)

    def _block_bytes(self, step: int) -> int:
        return -(-self.block * self.sizes[0].rows * step // LINE) * LINE

    def enclose(self, arrays: Iterable[tuple[int, Array]]) -> None:
        """Nothing but the chain touches these (home, array): a thread has them block by block."""
        offset = self.panels
        for home, array in arrays:
            step = self.touched[home][0].step * array.dtype.itemsize
            self.inner[id(array)] = Inner(offset, step)
            offset += self._block_bytes(step)

    def joined(self, unit: Unit, found: Iterable[Access], home: Callable[[Array], int]) -> bool:
        """Take ``unit`` in, if its accesses go with those of the others."""
        mine = [(home(a.array), a) for a in found]
        if self.units and not any(key in self.touched for key, _ in mine):
            return False
        sizes = [whole_sizes(unit.work)] if isinstance(unit.work, Product) else []
        panels = self.panels + sum(map(panel_bytes, sizes))
        if panels > PANELS:
            return False
        both: dict[int, list[Access]] = {}
        for key, access in mine:
            both.setdefault(key, list(self.touched.get(key, ()))).append(access)
        for accesses in both.values():
            if not any(a.writes for a in accesses):
                continue
            if any(a.adds for a in accesses):
                if len(accesses) > 1:
                    return False
            elif len({a.step for a in accesses}) > 1 or not all(a.is_local for a in accesses):
                return False
        self.panels = panels
        self.sizes += sizes
        self.touched |= both
        self.units.append(unit)
        return True


def cut(total: int, step: int, count: int) -> tuple[int, int]:
    """The size of about ``count`` chunks of range(total), cut at multiples of ``step``, and how
    many they are."""
    size = -(-total // max(1, count))
    size += -size % step
    return size, -(-total // size)


def whole_sizes(work: Product) -> Sizes | None:
    """The sizes of a product with all its panels at once; None where it has no place in a chain:
    a batch of them, or rows of which the elements are no neighbours."""
    if math.prod(work.batch) != 1:
        return None
    sizes = sizes_of(work)
    if sizes is None or (sizes.a[1] != 1 and work.k > 1):
        return None
    return replace(sizes, together=True)


def panel_bytes(sizes: Sizes) -> int:
    """Memory that a thread needs for a product of a chain: whole cache lines."""
    return -(-sizes.memory // LINE) * LINE


def _of_product(work: Product, rows: int) -> list[Access] | None:
    sizes = whole_sizes(work)
    if sizes is None or work.m != rows:
        return None
    _, start = matrix_layout(work.a, (*work.batch, work.m, work.k))
    return [
        Access(work.a.array, False, sizes.a[0], start, start + work.k - 1),
        Access(work.b.array, False),
        Access(work, True, work.n, 0, work.n - 1),
    ]


def times(kernel: Kernel, rows: int) -> int | None:
    """How many of a kernel's rows (elements, of one without rows) belong to each of ``rows``."""
    total = kernel.col_count if vector_code.is_flat(kernel) else kernel.row_count
    if kernel.is_open or total % rows:
        return None
    return total // rows


def _of_kernel(kernel: Kernel, buffers: list[Array], rows: int) -> list[Access] | None:
    each = times(kernel, rows)
    if each is None:
        return None
    if vector_code.is_flat(kernel):
        sizes: tuple[int, ...] = (rows, each)
        outer = 1
    else:
        sizes, outer, count = (*kernel.rows, *kernel.cols), 0, 1
        while count < rows and outer < len(kernel.rows):
            count *= kernel.rows[outer]
            outer += 1
        if count != rows:
            return None
    gathered = {
        node.value for t in kernel.terms() for node in ordered(t) if node.operation == "gather"
    }
    found = []

    def add(x: Load | Store, writes: bool, anywhere: bool, adds: bool = False) -> None:
        strides = x.strides
        if vector_code.is_flat(kernel):
            strides = (each * strides[-1], strides[-1])
        array = buffers[x.buffer]
        step = _row_step(sizes[:outer], strides[:outer])
        if anywhere or adds or not step:
            found.append(Access(array, writes, adds=adds))
            return
        inner = [(n - 1) * s for n, s in zip(sizes[outer:], strides[outer:])]
        low = x.offset + sum(s for s in inner if s < 0)
        high = x.offset + sum(s for s in inner if s > 0)
        found.append(Access(array, writes, step, low, high))

    for number, load in enumerate(kernel.loads):
        if load.buffer not in kernel.scratch:
            add(load, False, number in gathered)
    for p in kernel.passes:
        for s in p.stores:
            if s.buffer not in kernel.scratch:
                add(s, True, False, s.add)
    return found


def _row_step(sizes: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """Elements from one row to the next; 0 where they are not always as many, or fewer."""
    steps = [(n, s) for n, s in zip(sizes, strides) if n > 1]
    if not steps or steps[-1][1] <= 0:
        return 0
    step = expected = steps[-1][1]
    for n, s in reversed(steps):
        if s != expected:
            return 0
        expected *= n
    return step


def _accesses(unit: Unit, rows: int) -> list[Access] | None:
    """How a unit touches memory for each of ``rows`` rows; None where it has others."""
    if isinstance(unit.work, Product):
        return _of_product(unit.work, rows)
    if isinstance(unit.work, Cluster):
        return _of_kernel(unit.kernel, unit.buffers, rows)
    return None


def chained(order: list[Unit], home: Callable[[Array], int]) -> list[Unit]:
    """``order``, with the units of a chain one after the other, each with its ``chain``.

    What is passed over because it goes through other rows comes after the chain, if nothing in
    the chain needs it; calls of Python keep their places. ``home``: which memory an array is in.
    """
    result: list[Unit] = []
    waiting = list(order)
    while waiting:
        first = waiting[0]
        chain, left = _chain(waiting, home)
        if chain is None:
            result.append(first)
            waiting = waiting[1:]
            continue
        for unit in chain.units:
            unit.chain = chain
        result += chain.units
        waiting = left
    return result


def enclosed(order: list[Unit], is_free: Callable[[Array], bool]) -> None:
    """Tell the chains of ``order`` which arrays only they touch; ``is_free``: whether an array may
    be anywhere."""
    users: dict[int, set[int]] = {}
    arrays: dict[int, Array] = {}
    for unit in order:
        for array in unit.buffers:
            users.setdefault(id(array), set()).add(id(unit.chain))
            arrays[id(array)] = array
    for chain in {id(u.chain): u.chain for u in order if u.chain is not None}.values():
        mine = [
            (home, arrays[home])
            for home, accesses in chain.touched.items()
            if users.get(home) == {id(chain)}
            and is_free(arrays[home])
            and all(a.is_local for a in accesses)
        ]
        chain.enclose(mine)


def _chain(waiting: list[Unit], home: Callable[[Array], int]) -> tuple[Chain | None, list[Unit]]:
    """The chain that begins with the first unit, and what is left."""
    near = waiting[:AHEAD]
    stop = next((k for k, u in enumerate(near) if isinstance(u.work, Node)), len(near))
    near = near[:stop]
    rows = next((u.work.m for u in near if isinstance(u.work, Product)), 0)
    if rows < ROWS:
        return None, waiting
    chain, passed, skipped = Chain(rows), [], set()
    for unit in near:
        found = None if unit.after & skipped else _accesses(unit, rows)
        if found is None or not chain.joined(unit, found, home):
            if not chain.units:
                return None, waiting
            passed.append(unit)
            skipped.add(unit.number)
    if len(chain.units) < 2 or not chain.panels:
        return None, waiting
    return chain, passed + waiting[stop:]
