"""A matrix product of known sizes as a function of its own, for sizes at which BLAS spends more on
getting ready than on arithmetic.

    void product(c, a, b, panel, first_block, last_block, first_task, last_task)

The columns of the result are cut into blocks of two vectors. For each, the columns of ``b`` are
copied into ``panel``, row by row, zeros beyond the edge; then every task, a few rows of the result,
runs through it with its sums in registers. The rows of ``a`` are read where they are if their
elements are neighbours; else a task's are copied, too, for a few blocks at a time. Threads share
out blocks or tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .builder import I64, PTR, Code, Value, vector_of
from .conv_text import transpose
from .tiles import Tile, registers

TERMS = 512  # of a sum that one panel holds
TURNED_TERMS = 256  # the same where the rows of a are copied,
GROUP = 4  # and for how many blocks at a time
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
        return registers()[0] // {"float": 4, "double": 8}[self.element]

    @property
    def columns(self) -> int:
        """Columns of a block."""
        return 2 * self.lanes

    @property
    def blocks(self) -> int:
        """How many blocks of columns there are."""
        return -(-self.n // self.columns)

    @property
    def tasks(self) -> int:
        """How many groups of rows there are."""
        return -(-self.m // (registers()[1] // 2 - 2))

    @property
    def is_turned(self) -> bool:
        """Whether the elements of a row of ``a`` are no neighbours, and lie so far apart that the
        nearest cache does not hold those of the next rows with them."""
        return self.a[1] != 1 and self.k * self.a[1] > NEAR

    @property
    def terms(self) -> int:
        """How many terms of a sum are worked on at a time."""
        return min(self.k, TURNED_TERMS if self.is_turned else TERMS)

    @property
    def group(self) -> int:
        """How many blocks are worked on at a time."""
        return min(GROUP, self.blocks) if self.is_turned else 1

    @property
    def panel(self) -> int:
        """Elements of one panel."""
        return self.terms * self.columns

    @property
    def panel_bytes(self) -> int:
        """Memory for the panels, and for the rows of a task."""
        rows = self.terms * registers()[1] if self.is_turned else 0
        return (self.group * self.panel + rows) * {"float": 4, "double": 8}[self.element]


def text(sizes: Sizes, name: str) -> str:
    """The function ``name``."""
    return _Writer(sizes, name).text()


class _Writer:
    def __init__(self, sizes: Sizes, name: str) -> None:
        self.sizes = sizes
        pointers = ("c", "a", "b", "panel")
        ranges = ("first_block", "last_block", "first_task", "last_task")
        kinds = dict.fromkeys(pointers, PTR) | dict.fromkeys(ranges, I64)
        self.code = Code(name, kinds)

    def text(self) -> str:
        code, s = self.code, self.sizes
        whole = s.n // s.columns
        last = code.smaller(code["last_block"], whole)

        def several(j: Value) -> None:
            self.block(j, code.smaller(j + s.group, last), s.columns)

        code.loop(code["first_block"], last, several, step=s.group)
        rest = s.n - whole * s.columns
        if rest:
            mine = code["last_block"] > whole
            edge = code.constant(I64, whole)
            code.when(mine, lambda: self.block(edge, code.constant(I64, whole + 1), rest))
        return code.text()

    def at(self, pointer: Value, index: Value | int) -> Value:
        return self.code.at(pointer, self.sizes.element, index)

    def block(self, first: Value, last: Value, width: int) -> None:
        """All rows of the blocks from ``first`` below ``last``, of ``width`` columns."""
        s, code = self.sizes, self.code
        for start in range(0, s.k, s.terms):
            terms = min(s.terms, s.k - start)

            def pack(j: Value, start: int = start, terms: int = terms) -> None:
                self.pack(self.panel_of(j - first), j * s.columns, width, start, terms)

            if s.group == 1:
                pack(first)
            else:
                code.loop(first, last, pack)
            self.rows(first, last, width, start, terms)

    def panel_of(self, number: Value) -> Value:
        """The panel of the block that is the ``number``-th of its group."""
        return self.at(self.code["panel"], number * self.sizes.panel)

    # ---- the panel -----------------------------------------------------------------------------

    def vectors(self, width: int) -> int:
        """Registers for ``width`` columns."""
        return -(-width // self.sizes.lanes)

    def pack(self, panel: Value, column: Value, width: int, start: int, terms: int) -> None:
        """The rows start ... start + terms of ``b``, of these columns, into ``panel``."""
        code, s = self.code, self.sizes
        step_k, step_n = s.b
        wide = self.vectors(width) * s.lanes
        source = self.at(code["b"], column * step_n + start * step_k)
        if step_n == 1:
            code.loop(0, terms, lambda k: self.packed_row(panel, source, k, width, wide))
        elif step_k == 1 and s.element == "float":
            self.pack_turned(panel, source, width, wide, terms)
        else:

            def one(k: Value) -> None:
                for c in range(width):
                    value = code.load(s.element, source, k * step_k + c * step_n)
                    code.store(value, panel, k * wide + c)
                self.zeros(panel, k, width, wide)

            code.loop(0, terms, one)

    def packed_row(self, panel: Value, source: Value, k: Value, width: int, wide: int) -> None:
        """One row of the panel from one of ``b``."""
        code, s = self.code, self.sizes
        place = k * s.b[0]
        kind = vector_of(s.element, s.lanes)
        for v in range(0, wide, s.lanes):
            if v + s.lanes <= width:
                code.store(code.load(kind, source, place + v), panel, k * wide + v)
                continue
            for c in range(v, width):
                code.store(code.load(s.element, source, place + c), panel, k * wide + c)
        self.zeros(panel, k, width, wide)

    def zeros(self, panel: Value, k: Value, width: int, wide: int) -> None:
        """Zeros in row ``k`` of the panel, from ``width`` on."""
        code = self.code
        for c in range(width, wide):
            code.store(code.constant(self.sizes.element, 0.0), panel, k * wide + c)

    def pack_turned(self, panel: Value, source: Value, width: int, wide: int, terms: int) -> None:
        """As ``pack`` where the columns of ``b`` lie in rows: squares of it are turned over."""
        code, s = self.code, self.sizes
        lanes, step = s.lanes, s.b[1]
        kind = vector_of(s.element, lanes)
        whole = terms - terms % lanes
        for v in range(0, wide, lanes):
            if v + lanes > width or lanes not in (4, 8):
                columns = range(v, min(v + lanes, width))

                def one(k: Value, columns: Sequence[int] = columns) -> None:
                    for c in columns:
                        code.store(code.load(s.element, source, k + c * step), panel, k * wide + c)

                code.loop(0, terms, one)
                continue

            def square(k: Value, v: int = v) -> None:
                rows = [code.load(kind, source, k + (v + c) * step) for c in range(lanes)]
                for c, vector in enumerate(transpose(code, rows)):
                    code.store(vector, panel, (k + c) * wide + v)

            code.loop(0, whole, square, step=lanes)
            for k in range(whole, terms):
                for c in range(lanes):
                    value = code.load(s.element, source, code.constant(I64, k + (v + c) * step))
                    code.store(value, panel, k * wide + v + c)
        if width < wide:
            code.loop(0, terms, lambda k: self.zeros(panel, k, width, wide))

    # ---- rows of the result --------------------------------------------------------------------

    def rows(self, first: Value, last: Value, width: int, start: int, terms: int) -> None:
        """All tasks: the first ones have one row more than the others."""
        code, s = self.code, self.sizes
        fewer, longer = divmod(s.m, s.tasks)

        def task(row: Value, count: int) -> None:
            self.task(row, count, first, last, width, start, terms)

        if longer:
            stop = code.smaller(code["last_task"], longer)
            code.loop(code["first_task"], stop, lambda t: task(t * (fewer + 1), fewer + 1))
        begin = code.larger(code["first_task"], longer)
        code.loop(begin, code["last_task"], lambda t: task(t * fewer + longer, fewer))

    def task(
        self,
        row: Value,
        count: int,
        first: Value,
        last: Value,
        width: int,
        start: int,
        terms: int,
    ) -> None:
        """``count`` rows of the result from ``row`` on, in the blocks from ``first`` on."""
        code, s = self.code, self.sizes
        step_m, step_k = s.a
        origin = self.at(code["a"], row * step_m + start * step_k)
        if s.is_turned:
            origin = self.copied(origin, count, terms)
            step_m, step_k = 1, count
        numbers = [origin, *(self.at(origin, r * step_m) for r in range(1, count))]
        tile = Tile(s.element, s.lanes, count, self.vectors(width))

        def one(j: Value) -> None:
            panel = self.panel_of(j - first)
            place = self.at(code["c"], row * s.n + j * s.columns)
            sums = self.begun(tile, place, width) if start else tile.zeros(code)

            def term(k: Value, *sums: Value) -> list[Value]:
                skip = k * step_k
                given = [self.at(n, skip) for n in numbers]
                return tile.turn(code, sums, self.at(panel, k * tile.columns), given)

            done = code.repeat(0, terms, term, sums)
            self.each(tile, place, width, lambda p, v, left: self.put(done[v], p, left))

        if s.group == 1:
            one(first)
        else:
            code.loop(first, last, one)

    def copied(self, origin: Value, count: int, terms: int) -> Value:
        """The rows of ``a`` at ``origin``, term by term, behind the panels."""
        code, s = self.code, self.sizes
        step_m, step_k = s.a
        target = self.at(code["panel"], s.group * s.panel)

        def together(k: Value) -> None:  # what is written beyond the task's rows is overwritten
            code.store(
                self.masked_load(vector, self.at(origin, k * step_k), count), target, k * count
            )

        def one(k: Value) -> None:
            values = [code.load(s.element, origin, k * step_k + r * step_m) for r in range(count)]
            for r, value in enumerate(values):
                code.store(value, target, k * count + r)

        vector = vector_of(s.element, s.lanes)
        code.loop(0, terms, together if step_m == 1 and count <= s.lanes else one)
        return target

    def each(
        self, tile: Tile, place: Value, width: int, do: Callable[[Value, int, int], None]
    ) -> None:
        """``do(pointer, number, columns)`` for every register of the tile."""
        for r in range(tile.rows):
            for v in range(tile.vectors):
                pointer = self.at(place, r * self.sizes.n + v * tile.lanes)
                do(pointer, r * tile.vectors + v, min(tile.lanes, width - v * tile.lanes))

    def begun(self, tile: Tile, place: Value, width: int) -> list[Value]:
        """What the result holds already."""
        found: list[Value] = []

        def get(pointer: Value, number: int, left: int) -> None:
            if left == tile.lanes:
                found.append(self.code.load(tile.vector, pointer))
            else:
                found.append(self.masked_load(tile.vector, pointer, left))

        self.each(tile, place, width, get)
        return found

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
