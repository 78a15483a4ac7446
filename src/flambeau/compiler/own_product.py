"""A matrix product of known sizes as a function of its own.

    void product(c, a, b, memory, first_block, last_block, first_task, last_task)

The columns of the result are cut into *blocks* of two vectors, its rows into *tasks* of as many
rows as registers can hold sums for. The columns of ``b`` that belong to a block are copied into a
panel, row by row, zeros beyond the edge; a tile, one task of one block, then runs through it with
its sums in registers. Loops, from the outermost:

    groups of blocks, whose panels fill ``GROUP`` bytes
      stretches of k that are packed at a time: all of it, or, where ``a`` is copied, ``TERMS``
        blocks of tasks, whose rows of ``a`` stay in the second-level cache
          terms: at most ``TERMS``, of which one panel stays in the first-level cache
            blocks of the group
              tasks

The rows of ``a`` are read where they are if their elements are neighbours, or near; else those of
a block of tasks are copied, too, so that what a tile reads lies in one piece. Threads share out
blocks or tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .builder import BYTES, I64, PTR, Code, Value, vector_of
from .conv_text import transpose
from .tiles import Tile, registers

Number = int | Value

TERMS = 256  # of a sum, at a time: a panel of them takes half of the first-level cache
TASKS = 16  # at a time
COPIED_TASKS = 48  # at a time where their rows of a are copied: half of the second-level cache
AHEAD = 16  # terms that are asked for before they are copied
READ = 0.5  # cycles in which an element comes from far away, its line shared with neighbours
GROUP = 1 << 20  # bytes of panels
NEAR = 1 << 13  # elements that the first-level cache holds


@dataclass(frozen=True)
class Sizes:
    """``c[m, n] = sum_k a[m, k] b[k, n]``; strides of a and b in elements, c's rows are dense.
    ``together``: all panels are there at the same time (``halves``)."""

    element: str
    m: int
    n: int
    k: int
    a: tuple[int, int]
    b: tuple[int, int]
    together: bool = False

    @property
    def lanes(self) -> int:
        """Elements of a register."""
        return registers()[0] // BYTES[self.element]

    @property
    def columns(self) -> int:
        """Columns of a block."""
        return 2 * self.lanes

    @property
    def blocks(self) -> int:
        """How many blocks of columns there are."""
        return -(-self.n // self.columns)

    @property
    def rows(self) -> int:
        """Rows of a task, at most."""
        return registers()[1] // 2 - 2

    @property
    def tasks(self) -> int:
        """How many groups of rows there are."""
        return -(-self.m // self.rows)

    @property
    def is_turned(self) -> bool:
        """Whether the elements of a row of ``a`` are no neighbours, and lie so far apart that the
        nearest cache does not hold those of the next rows with them."""
        return self.a[1] != 1 and self.k * self.a[1] > NEAR

    @property
    def terms(self) -> int:
        """How many terms of a sum are worked on at a time: equal parts of all, nearly."""
        parts = -(-self.k // TERMS)
        return self.k if parts == 1 else -(-self.k // (8 * parts)) * 8

    @property
    def stretch(self) -> int:
        """How many rows of ``b`` are packed at a time."""
        if self.together:
            return self.k
        most = GROUP // (self.columns * BYTES[self.element])
        return self.terms if self.is_turned else min(self.k, most // self.terms * self.terms)

    @property
    def group(self) -> int:
        """How many blocks are worked on at a time: equal parts of all, nearly."""
        if self.together:
            return self.blocks
        most = max(1, GROUP // (self.stretch * self.columns * BYTES[self.element]))
        return -(-self.blocks // -(-self.blocks // most))

    @property
    def panel(self) -> int:
        """Elements from one panel to the next: not a power of two, so that they do not share
        places in the caches."""
        return (self.stretch + 1) * self.columns

    @property
    def at_once(self) -> int:
        """How many tasks are worked on at a time."""
        return min(COPIED_TASKS if self.is_turned else TASKS, self.tasks)

    @property
    def copy(self) -> int:
        """Elements of the copy of a task's rows of ``a``, term by term; the last term's vectors
        may reach beyond it."""
        return self.terms * self.rows + self.lanes

    @property
    def memory(self) -> int:
        """Bytes that a thread needs for a row of zeros, panels, and rows of ``a``."""
        rows = self.copy * self.at_once if self.is_turned else 0
        return (self.columns + self.group * self.panel + rows) * BYTES[self.element]

    def shared(self, threads: int) -> str:
        """What threads had best share out, "blocks", "tasks" or, where rows of ``a`` are copied,
        "terms": which is sooner done, counting what each of them reads and copies for itself. In
        cycles for each term."""
        pack = 4 if self.b[1] == 1 else 8  # of a block's columns of b
        read = self.rows * READ + (1 if self.is_turned else 0)  # of a task's rows of a
        blocks, tasks = -(-self.blocks // threads), -(-self.tasks // threads)
        whole = self.blocks * (self.tasks * self.rows + pack) + self.tasks * read
        costs = {
            "blocks": blocks * (self.tasks * self.rows + pack) + self.tasks * read,
            "tasks": tasks * (self.blocks * self.rows + read) + self.blocks * pack,
        }
        if self.is_turned:
            costs["terms"] = whole / threads + self.m * self.n * READ / self.k
        return min(costs, key=costs.__getitem__)


def text(sizes: Sizes, name: str) -> str:
    """The function ``name``."""
    pointers = dict.fromkeys(("c", "a", "b", "memory"), PTR)
    ranges = dict.fromkeys(("first_block", "last_block", "first_task", "last_task"), I64)
    writer = _Writer(sizes, Code(name, pointers | ranges))
    code = writer.code
    code.when(code["first_task"] < code["last_task"], writer.all_blocks)
    return code.text()


def halves(sizes: Sizes, pack: str, rows: str) -> tuple[str, str]:
    """The same as two functions: what a thread prepares once, and then does for tasks,

    void pack(b, memory)    void rows(c, a, memory, first_task, last_task)
    """
    prepared = _Writer(sizes, Code(pack, {"b": PTR, "memory": PTR}))
    prepared.pack_all()
    kinds = {"c": PTR, "a": PTR, "memory": PTR, "first_task": I64, "last_task": I64}
    done = _Writer(sizes, Code(rows, kinds))
    done.all_tasks()
    return prepared.code.text(), done.code.text()


def summed(sizes: Sizes, name: str) -> str:
    """``void name(c, a, b, memory, first_term, last_term)``: these terms of all sums, added to
    what is in c."""
    pointers = dict.fromkeys(("c", "a", "b", "memory"), PTR)
    code = Code(name, pointers | {"first_term": I64, "last_term": I64})
    writer = _Writer(sizes, code)
    code.when(code["first_term"] < code["last_term"], writer.all_blocks)
    return code.text()


class _Writer:
    def __init__(self, sizes: Sizes, code: Code) -> None:
        self.sizes = sizes
        self.code = code
        self.given_blocks = self.given("block", sizes.blocks)
        self.given_tasks = self.given("task", sizes.tasks)
        self.adds = "first_term" in code.parameters
        self.zeros_row = code["memory"]
        self.panels = self.at(code["memory"], sizes.columns)
        self.copies = self.at(self.panels, sizes.group * sizes.panel)

    def given(self, what: str, count: int) -> tuple[Value, Value]:
        """The first and the last that the function is given, of ``count`` in all."""
        constants = {"first": 0, "last": count}
        given, zero = self.code.parameters, self.code.constant
        first, last = (given.get(f"{x}_{what}") or zero(I64, n) for x, n in constants.items())
        return first, last

    def edges(self) -> list[tuple[int, int, int]]:
        """The whole blocks, and the narrow one: (first, last, columns of each)."""
        s = self.sizes
        whole, rest = divmod(s.n, s.columns)
        found = [(0, whole, s.columns)] if whole else []
        return found + ([(whole, whole + 1, rest)] if rest else [])

    def pack_all(self) -> None:
        """All panels."""
        code, s = self.code, self.sizes
        self.zeros(self.zeros_row, code.constant(I64, 0), 0, s.columns)
        for first, last, width in self.edges():
            blocks = code.constant(I64, first), code.constant(I64, last)
            self.pack(*blocks, width, 0, s.k, skip=first)

    def all_tasks(self) -> None:
        """All blocks of these tasks, whose panels are there."""
        code, s = self.code, self.sizes
        tasks = self.given_tasks

        def some(place: Number, terms: Number) -> None:
            for first, last, width in self.edges():
                blocks = code.constant(I64, first), code.constant(I64, last)
                self.tiles(blocks, tasks, width, 0, place, terms, code.constant(I64, 0))

        self.parts(s.k, s.terms, some)

    def all_blocks(self) -> None:
        """The blocks of this thread: whole ones in groups, then the narrow one at the edge."""
        code, s = self.code, self.sizes
        self.zeros(self.zeros_row, code.constant(I64, 0), 0, s.columns)
        whole = s.n // s.columns
        first, end = self.given_blocks
        last = code.smaller(end, whole)

        def several(j: Value) -> None:
            self.blocks(j, code.smaller(j + s.group, last), s.columns)

        if whole:
            code.loop(first, last, several, step=s.group)
        rest = s.n - whole * s.columns
        if rest:
            mine = end > whole
            edge = code.constant(I64, whole)
            code.when(mine, lambda: self.blocks(edge, code.constant(I64, whole + 1), rest))

    def at(self, pointer: Value, index: Value | int) -> Value:
        return self.code.at(pointer, self.sizes.element, index)

    # ---- loops -----------------------------------------------------------------------------------

    def parts(self, total: Number, step: int, body: Callable[[Number, Number], None]) -> None:
        """``body(start, length)`` for the parts of ``range(total)`` of ``step``, the last shorter;
        numbers where they are known."""
        code = self.code
        if isinstance(total, int) and total <= step:
            body(0, total)
        elif isinstance(total, int) and total % step == 0:
            code.loop(0, total, lambda i: body(i, step), step=step)
        else:
            end = code.lift(total, I64)
            code.loop(0, end, lambda i: body(i, code.smaller(end - i, step)), step=step)

    def blocks(self, first: Value, last: Value, width: int) -> None:
        """All rows of the blocks from ``first`` below ``last``, of ``width`` columns."""
        s, code = self.sizes, self.code

        def stretch(start: Number, length: Number) -> None:
            def rows(t: Value) -> None:
                tasks = t, code.smaller(t + s.at_once, self.given_tasks[1])

                def some(skip: Number, terms: Number) -> None:
                    self.tiles((first, last), tasks, width, start, skip, terms, first)

                self.parts(length, s.terms, some)

            self.pack(first, last, width, start, length)
            code.loop(*self.given_tasks, rows, step=s.at_once)

        if not self.adds:
            self.parts(s.k, s.stretch, stretch)
            return
        start, stop = code["first_term"], code["last_term"]
        code.loop(
            start, stop, lambda i: stretch(i, code.smaller(stop - i, s.stretch)), step=s.stretch
        )

    def each_task(self, first: Value, last: Value, do: Callable[[Value, Value, int], None]) -> None:
        """``do(task, row, count)``: the first tasks have one row more than the others."""
        code, s = self.code, self.sizes
        fewer, longer = divmod(s.m, s.tasks)
        if longer:
            stop = code.smaller(last, longer)
            code.loop(first, stop, lambda t: do(t, t * (fewer + 1), fewer + 1))
        begin = code.larger(first, longer) if longer else first
        code.loop(begin, last, lambda t: do(t, t * fewer + longer, fewer))

    # ---- the panel -----------------------------------------------------------------------------

    def wide(self, width: int) -> int:
        """Columns of a panel that holds ``width`` of them: whole registers."""
        return -(-width // self.sizes.lanes) * self.sizes.lanes

    def pack(
        self, first: Value, last: Value, width: int, start: Number, terms: Number, skip: int = 0
    ) -> None:
        """The rows from ``start`` on of ``b``, ``terms`` of them, of the columns of these blocks,
        into their panels, which come after ``skip`` others."""
        code, s = self.code, self.sizes
        step_k, step_n = s.b
        wide = self.wide(width)
        origin = self.at(code["b"], first * (s.columns * step_n) + start * step_k)
        count = last - first
        panels = self.at(self.panels, skip * s.panel)

        def row(k: Value) -> None:  # along the row: memory is read in order
            source, target = self.at(origin, k * step_k), self.at(panels, k * wide)

            def one(j: Value) -> None:
                code.prefetch(self.at(source, step_k * AHEAD + j * s.columns))
                self.copied(self.at(source, j * s.columns), self.at(target, j * s.panel), width)

            code.loop(0, count, one)

        def block(j: Value) -> None:
            source, panel = self.at(origin, j * (s.columns * step_n)), self.at(panels, j * s.panel)
            if step_k == 1 and s.lanes in (4, 8):
                self.pack_turned(panel, source, width, terms)
            else:
                self.pack_columns(panel, source, range(width), wide, (0, terms))
            if width < wide:
                code.loop(0, terms, lambda k: self.zeros(panel, k, width, wide))

        if step_n == 1:
            code.loop(0, terms, row)
        else:
            code.loop(0, count, block)

    def copied(self, source: Value, target: Value, width: int) -> None:
        """``width`` neighbours."""
        code, s = self.code, self.sizes
        for v in range(0, width, s.lanes):
            left = min(s.lanes, width - v)
            code.store(
                self.loaded(vector_of(s.element, s.lanes), self.at(source, v), left), target, v
            )

    def zeros(self, row: Value, k: Number, width: int, wide: int) -> None:
        """Zeros in row ``k`` of a panel, from ``width`` on."""
        code = self.code
        for c in range(width, wide):
            code.store(code.constant(self.sizes.element, 0.0), row, k * wide + c)

    def pack_columns(
        self,
        panel: Value,
        source: Value,
        columns: Sequence[int],
        wide: int,
        terms: tuple[Number, Number],
    ) -> None:
        """Element by element."""
        code, s = self.code, self.sizes
        step_k, step_n = s.b

        def one(k: Value) -> None:
            for c in columns:
                value = code.load(s.element, source, k * step_k + c * step_n)
                code.store(value, panel, k * wide + c)

        code.loop(*terms, one)

    def pack_turned(self, panel: Value, source: Value, width: int, terms: Number) -> None:
        """As ``pack`` where the columns of ``b`` lie in rows: squares of it are turned over."""
        code, s = self.code, self.sizes
        lanes, step, wide = s.lanes, s.b[1], self.wide(width)
        kind = vector_of(s.element, lanes)
        whole = code.lift(terms, I64) & -lanes
        for v in range(0, wide, lanes):
            if v + lanes > width:
                self.pack_columns(panel, source, range(v, width), wide, (0, terms))
                continue

            def square(k: Value, v: int = v) -> None:
                rows = [code.load(kind, source, k + (v + c) * step) for c in range(lanes)]
                for c, vector in enumerate(transpose(code, rows)):
                    code.store(vector, panel, (k + c) * wide + v)

            code.loop(0, whole, square, step=lanes)
            self.pack_columns(panel, source, range(v, v + lanes), wide, (whole, terms))

    # ---- rows of the result --------------------------------------------------------------------

    def tiles(
        self,
        blocks: tuple[Value, Value],
        tasks: tuple[Value, Value],
        width: int,
        start: Number,
        skip: Number,
        terms: Number,
        first: Value,
    ) -> None:
        """``terms`` terms, from ``skip`` on in the stretch from ``start`` on, of all tiles;
        ``first``: the block whose panel comes first."""
        s, code = self.sizes, self.code
        place = start + skip
        step_m, step_k = s.a

        def block(j: Value) -> None:
            panel = self.at(self.panels, (j - first) * s.panel + skip * self.wide(width))

            def tile(t: Value, row: Value, count: int) -> None:
                if s.is_turned:
                    given, steps = self.at(self.copies, (t - tasks[0]) * s.copy), (1, s.rows)
                else:
                    given, steps = self.at(code["a"], row * step_m + place * step_k), s.a
                target = self.at(code["c"], row * s.n + j * s.columns)
                self.tile(count, width, target, given, steps, panel, place, terms)

            self.each_task(*tasks, tile)

        if s.is_turned:
            self.copy_rows(tasks, place, terms)
        code.loop(*blocks, block)

    def tile(
        self,
        count: int,
        width: int,
        target: Value,
        given: Value,
        steps: tuple[int, int],
        panel: Value,
        place: Number,
        terms: Number,
    ) -> None:
        """``count`` rows of one block; they begin with zeros if ``place`` is the first term."""
        code, s = self.code, self.sizes
        tile = Tile(s.element, s.lanes, count, self.wide(width) // s.lanes)
        numbers = [given, *(self.at(given, r * steps[0]) for r in range(1, count))]
        if s.m * s.n * BYTES[s.element] > GROUP:  # the result comes from far away, while sums run
            for r in range(count):
                code.prefetch(self.at(target, r * s.n))
        if self.adds:
            sums = self.begun(tile, target, code.constant(I64, s.n), width)
        elif isinstance(place, int):
            sums = tile.zeros(code)
        else:
            is_first = place.equals(0)
            begin = code.select(is_first, self.zeros_row, target)
            sums = self.begun(tile, begin, code.select(is_first, 0, code.constant(I64, s.n)), width)

        def term(k: Value, *sums: Value) -> list[Value]:
            skip = k * steps[1]
            return tile.turn(
                code, sums, self.at(panel, k * tile.columns), [self.at(n, skip) for n in numbers]
            )

        done = code.unrolled(0, terms, term, sums)
        self.each(tile, target, s.n, width, lambda p, v, left: self.put(done[v], p, left))

    def copy_rows(self, tasks: tuple[Value, Value], place: Number, terms: Number) -> None:
        """The rows of ``a`` that these tasks take, term by term for each task. What the vectors
        hold beyond a task's rows is written over by the next term."""
        code, s = self.code, self.sizes
        origin = self.at(code["a"], place * s.a[1])

        def term(k: Value) -> None:
            line, skip = self.at(origin, k * s.a[1]), k * s.rows

            def task(t: Value, row: Value, count: int) -> None:
                source = self.at(line, row)
                code.prefetch(self.at(source, s.a[1] * AHEAD))
                self.copied(source, self.at(self.copies, (t - tasks[0]) * s.copy + skip), count)

            self.each_task(*tasks, task)

        code.loop(0, terms, term)

    def each(
        self,
        tile: Tile,
        place: Value,
        step: Number,
        width: int,
        do: Callable[[Value, int, int], None],
    ) -> None:
        """``do(pointer, number, columns)`` for every register of the tile."""
        for r in range(tile.rows):
            row = self.at(place, step * r) if r else place
            for v in range(tile.vectors):
                pointer = self.at(row, v * tile.lanes) if v else row
                do(pointer, r * tile.vectors + v, min(tile.lanes, width - v * tile.lanes))

    def begun(self, tile: Tile, place: Value, step: Value, width: int) -> list[Value]:
        """What lies at ``place``, rows ``step`` apart."""
        found: list[Value] = []
        self.each(
            tile,
            place,
            step,
            width,
            lambda p, _, left: found.append(self.loaded(tile.vector, p, left)),
        )
        return found

    def loaded(self, vector: str, pointer: Value, left: int) -> Value:
        """The first ``left`` elements at ``pointer``, and zeros."""
        return self.code.masked_load(vector, pointer, 0, self.mask(left))

    def put(self, value: Value, pointer: Value, left: int) -> None:
        """The first ``left`` lanes of ``value`` into memory."""
        self.code.masked_store(value, pointer, 0, self.mask(left))

    def mask(self, left: int) -> Value | None:
        """The first ``left`` lanes; None for all of them."""
        lanes = self.sizes.lanes
        if left == lanes:
            return None
        bits = ", ".join(f"i1 {str(k < left).lower()}" for k in range(lanes))
        return Value(self.code, vector_of("i1", lanes), f"<{bits}>")
