"""A matrix product of known sizes as a function of its own.

    void product(c, a, b, memory, first_block, last_block, first_task, last_task)

The columns of the result are cut into *blocks* of two vectors, its rows into *tasks* of as many
rows as registers can hold sums for. The columns of ``b`` that belong to a block are copied into a
panel, row by row, zeros beyond the edge; a tile, one task of one block, then runs through it with
its sums in registers. Loops, from the outermost:

    groups of blocks, whose panels fill ``GROUP`` bytes
      stretches of k that are packed at a time: all of it, or, where ``a`` is copied, ``TERMS``
        blocks of ``TASKS`` tasks, whose rows of ``a`` stay in the second-level cache
          terms: at most ``TERMS``, of which one panel stays in the first-level cache
            blocks of the group
              tasks

The rows of ``a`` are read where they are if their elements are neighbours, or near; else those of
``TASKS`` tasks are copied, too. Threads share out blocks or tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .builder import BYTES, I64, PTR, Code, Value, vector_of
from .conv_text import transpose
from .tiles import Tile, copy, registers

Number = int | Value

TERMS = 256  # of a sum, at a time: a panel of them takes half of the first-level cache
TURNED_TERMS = 192  # where the rows of a are copied, which takes as much
TASKS = 16  # at a time
GROUP = 1 << 20  # bytes of panels
NEAR = 1 << 13  # elements that the first-level cache holds


@dataclass(frozen=True)
class Sizes:
    """``c[m, n] = sum_k a[m, k] b[k, n]``; strides of a and b in elements, c's rows are dense."""

    element: str
    m: int
    n: int
    k: int
    a: tuple[int, int]
    b: tuple[int, int]

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
        parts = -(-self.k // (TURNED_TERMS if self.is_turned else TERMS))
        return self.k if parts == 1 else -(-self.k // (8 * parts)) * 8

    @property
    def stretch(self) -> int:
        """How many rows of ``b`` are packed at a time."""
        most = GROUP // (self.columns * BYTES[self.element])
        return self.terms if self.is_turned else min(self.k, most // self.terms * self.terms)

    @property
    def group(self) -> int:
        """How many blocks are worked on at a time: equal parts of all, nearly."""
        most = max(1, GROUP // (self.stretch * self.columns * BYTES[self.element]))
        return -(-self.blocks // -(-self.blocks // most))

    @property
    def panel(self) -> int:
        """Elements from one panel to the next: not a power of two, so that they do not share
        places in the caches."""
        return (self.stretch + 1) * self.columns

    @property
    def step(self) -> int:
        """Elements from one term to the next in the copy of ``a``: no power of two, either."""
        return self.rows * min(TASKS, self.tasks) + self.lanes

    @property
    def memory(self) -> int:
        """Bytes that a thread needs for a row of zeros, panels, and rows of ``a``."""
        rows = self.terms * self.step if self.is_turned else 0
        return (self.columns + self.group * self.panel + rows) * BYTES[self.element]

    def by_blocks(self, threads: int) -> bool:
        """Whether threads had better share out blocks than tasks: which is sooner done, counting
        what each of them copies for itself. In cycles for each term."""
        pack = 4 if self.b[1] == 1 else 8  # of a block's columns of b
        copy = 1 if self.is_turned else 0  # of a task's rows of a
        blocks, tasks = -(-self.blocks // threads), -(-self.tasks // threads)
        first = blocks * (self.tasks * self.rows + pack) + self.tasks * copy
        second = tasks * (self.blocks * self.rows + copy) + self.blocks * pack
        return first < second


def text(sizes: Sizes, name: str) -> str:
    """The function ``name``."""
    return _Writer(sizes, name).text()


class _Writer:
    def __init__(self, sizes: Sizes, name: str) -> None:
        self.sizes = sizes
        pointers = ("c", "a", "b", "memory")
        ranges = ("first_block", "last_block", "first_task", "last_task")
        kinds = dict.fromkeys(pointers, PTR) | dict.fromkeys(ranges, I64)
        self.code = code = Code(name, kinds)
        self.zeros_row = code["memory"]
        self.panels = self.at(code["memory"], sizes.columns)
        self.copies = self.at(self.panels, sizes.group * sizes.panel)

    def text(self) -> str:
        code = self.code
        code.when(code["first_task"] < code["last_task"], self.all_blocks)
        return code.text()

    def all_blocks(self) -> None:
        """The blocks of this thread: whole ones in groups, then the narrow one at the edge."""
        code, s = self.code, self.sizes
        self.zeros(self.zeros_row, code.constant(I64, 0), 0, s.columns)
        whole = s.n // s.columns
        last = code.smaller(code["last_block"], whole)

        def several(j: Value) -> None:
            self.blocks(j, code.smaller(j + s.group, last), s.columns)

        if whole:
            code.loop(code["first_block"], last, several, step=s.group)
        rest = s.n - whole * s.columns
        if rest:
            mine = code["last_block"] > whole
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
                tasks = t, code.smaller(t + TASKS, code["last_task"])

                def some(skip: Number, terms: Number) -> None:
                    self.tiles((first, last), tasks, width, start, skip, terms)

                self.parts(length, s.terms, some)

            self.pack(first, last, width, start, length)
            code.loop(code["first_task"], code["last_task"], rows, step=TASKS)

        self.parts(s.k, s.stretch, stretch)

    def panel_of(self, number: Value) -> Value:
        """The panel of the block that is the ``number``-th of its group."""
        return self.at(self.panels, number * self.sizes.panel)

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

    def pack(self, first: Value, last: Value, width: int, start: Number, terms: Number) -> None:
        """The rows from ``start`` on of ``b``, ``terms`` of them, of the columns of these blocks,
        into their panels."""
        code, s = self.code, self.sizes
        step_k, step_n = s.b
        wide = self.wide(width)
        origin = self.at(code["b"], first * (s.columns * step_n) + start * step_k)
        count = last - first

        def row(k: Value) -> None:  # along the row: memory is read in order
            source, target = self.at(origin, k * step_k), self.at(self.panels, k * wide)

            def one(j: Value) -> None:
                self.copied(self.at(source, j * s.columns), self.at(target, j * s.panel), width)

            code.loop(0, count, one)

        def block(j: Value) -> None:
            source, panel = self.at(origin, j * (s.columns * step_n)), self.panel_of(j)
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
    ) -> None:
        """``terms`` terms, from ``skip`` on in the stretch from ``start`` on, of all tiles."""
        s, code = self.sizes, self.code
        place = start + skip
        step_m, step_k = s.a

        def block(j: Value) -> None:
            panel = self.at(self.panel_of(j - blocks[0]), skip * self.wide(width))

            def tile(t: Value, row: Value, count: int) -> None:
                if s.is_turned:
                    given, steps = self.at(self.copies, row - first), (1, s.step)
                else:
                    given, steps = self.at(code["a"], row * step_m + place * step_k), s.a
                target = self.at(code["c"], row * s.n + j * s.columns)
                self.tile(count, width, target, given, steps, panel, place, terms)

            self.each_task(*tasks, tile)

        if s.is_turned:
            first = self.first_row(tasks[0])
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
        if isinstance(place, int):
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

        done = code.repeat(0, terms, term, sums)
        self.each(tile, target, s.n, width, lambda p, v, left: self.put(done[v], p, left))

    def first_row(self, task: Value) -> Value:
        """The row at which a task begins: the first tasks have one row more than the others."""
        fewer, longer = divmod(self.sizes.m, self.sizes.tasks)
        return task * fewer + self.code.smaller(task, longer)

    def copy_rows(self, tasks: tuple[Value, Value], place: Number, terms: Number) -> None:
        """The rows of ``a`` that these tasks take, term by term."""
        code, s = self.code, self.sizes
        first, last = (self.first_row(t) for t in tasks)
        origin = self.at(code["a"], first + place * s.a[1])

        def term(k: Value) -> None:
            source, target = self.at(origin, k * s.a[1]), self.at(self.copies, k * s.step)
            copy(code, s.element, s.lanes, target, source, last - first)

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
        if left == self.sizes.lanes:
            return self.code.load(vector, pointer)
        return self.masked_load(vector, pointer, left)

    def mask(self, left: int) -> Value:
        """The first ``left`` lanes."""
        lanes = self.sizes.lanes
        bits = ", ".join(f"i1 {str(k < left).lower()}" for k in range(lanes))
        return Value(self.code, vector_of("i1", lanes), f"<{bits}>")

    @property
    def masked(self) -> tuple[str, Value]:
        """How the names of LLVM's masked accesses end, and their alignment."""
        s = self.sizes
        end, size = {"float": ("f32", 4), "double": ("f64", 8)}[s.element]
        return f"v{s.lanes}{end}.p0", Value(self.code, "i32", str(size))

    def masked_load(self, vector: str, pointer: Value, left: int) -> Value:
        """The first ``left`` elements at ``pointer``, and zeros."""
        name, size = self.masked
        zeros = self.code.constant(vector, 0.0)
        given = (pointer, size, self.mask(left), zeros)
        return self.code.call(f"llvm.masked.load.{name}", vector, *given)

    def put(self, value: Value, pointer: Value, left: int) -> None:
        """The first ``left`` lanes of ``value`` into memory."""
        if left == self.sizes.lanes:
            self.code.store(value, pointer)
            return
        name, size = self.masked
        self.code.run(f"llvm.masked.store.{name}", value, pointer, size, self.mask(left))
