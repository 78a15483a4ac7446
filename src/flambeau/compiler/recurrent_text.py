"""All steps of an LSTM in LLVM's language: forward and backward, for sizes that are known.

Sequences of a batch do not touch each other, so a thread takes some of them through all steps and
waits for nobody. The recurrent weights come packed into panels, so that a product of a few rows
reads them once from the first element to the last; what follows a product is done while its
sums are in registers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .builder import I64, PTR, Code, Value, vector_of
from .conv_text import transpose
from .rows_text import row_pass
from .scalar_functions import sigmoid, tanh
from .tiles import Tile, registers

GATES = 4  # i, f, g, o: blocks of ``hidden`` elements of a row


@dataclass(frozen=True)
class Sizes:
    """Steps of ``batch`` rows each, in memory one after the other; ``reverse``: the last first."""

    element: str
    lanes: int
    steps: int
    batch: int
    hidden: int
    reverse: bool

    @property
    def wide(self) -> int:
        """Columns of the backward product's panels."""
        return 2 * self.lanes

    @property
    def rows(self) -> int:
        """Most rows of a forward product's tile, which has 4 vectors."""
        return 6 if registers()[1] == 32 else 2

    @property
    def backward_rows(self) -> int:
        """Most rows of a backward product's tile, which has 2 vectors."""
        return 12 if registers()[1] == 32 else 6

    def row_of(self, step: Value) -> Value:
        """The first row of a step, counted in the order in which steps are taken."""
        return ((self.steps - 1) - step if self.reverse else step) * self.batch


def _in_tiles(
    code: Code, first: Value, last: Value, most: int, body: Callable[[Value, int], None]
) -> None:
    """``body(row, count)`` over range(first, last) in equal parts of ``most`` rows or fewer."""
    rows = last - first
    parts = (rows + (most - 1)) // most

    def part(i: Value) -> None:
        row = first + i * rows // parts
        count = first + (i + 1) * rows // parts - row
        for n in range(1, most + 1):
            code.when(count.equals(n), lambda n=n: body(row, n))

    code.loop(0, parts, part)


def pack_forward(s: Sizes) -> str:
    """``kernel(to, w, start, stop)``: w (4 * hidden, hidden), so that unit j of ``lanes``, or a
    single one of those that remain, has (terms, gate, lane) from j * 4 * hidden on."""
    code = Code("kernel", {"to": PTR, "w": PTR, "start": I64, "stop": I64})
    h, kind = s.hidden, vector_of(s.element, s.lanes)

    def block(wide: int, j: Value) -> None:
        target = code.at(code["to"], s.element, j * (GATES * h))
        for g in range(GATES):
            source = code.at(code["w"], s.element, (j + g * h) * h)
            whole = h - h % s.lanes if wide > 1 and wide in (4, 8) else 0

            def square(k: Value, source: Value = source, g: int = g) -> None:
                rows = [code.load(kind, source, k + r * h) for r in range(s.lanes)]
                for n, vector in enumerate(transpose(code, rows)):
                    code.store(vector, target, (k + n) * (GATES * s.lanes) + g * s.lanes)

            def one(k: Value, source: Value = source, g: int = g) -> None:
                for n in range(wide):
                    value = code.load(s.element, source, k + n * h)
                    code.store(value, target, k * (GATES * wide) + (g * wide + n))

            code.loop(0, whole, square, step=s.lanes)
            code.loop(whole, h, one)

    def blocks(i: Value) -> None:
        j = i * s.lanes
        code.either(
            j + s.lanes <= h,
            lambda: block(s.lanes, j),
            lambda: code.loop(j, h, lambda n: block(1, n)),
        )

    code.loop(code["start"], code["stop"], blocks)
    return code.text()


def pack_backward(s: Sizes) -> str:
    """``kernel(to, w, start, stop)``: w (4 * hidden, hidden) as panels of ``wide`` columns, the
    last of which is filled up with zeros."""
    code = Code("kernel", {"to": PTR, "w": PTR, "start": I64, "stop": I64})
    h = s.hidden

    def panel(i: Value) -> None:
        target = code.at(code["to"], s.element, i * (GATES * h * s.wide))
        columns = code.smaller(code.constant(I64, s.wide), h - i * s.wide)

        def row(k: Value) -> None:
            source = code.at(code["w"], s.element, k * h + i * s.wide)
            to = code.at(target, s.element, k * s.wide)
            code.loop(0, columns, lambda c: code.store(code.load(s.element, source, c), to, c))
            zero = code.constant(s.element, 0.0)
            code.loop(columns, s.wide, lambda c: code.store(zero, to, c))

        code.loop(0, GATES * h, row)

    code.loop(code["start"], code["stop"], panel)
    return code.text()


def forward(s: Sizes) -> str:
    """``kernel(out, gates, cells, bent, z, bias, h, c, w, start, stop)`` over sequences.

    ``z`` (rows, 4 * hidden): the inputs' products; gates i, f, g, o = sigmoid (g: tanh) of z +
    bias + h w^T, in the same layout; cells = f * c + i * g; bent = tanh(cells);
    out = o * bent. ``w`` is packed by ``pack_forward``.
    """
    names = ("out", "gates", "cells", "bent", "z", "bias", "h", "c", "w")
    code = Code("kernel", {**dict.fromkeys(names, PTR), "start": I64, "stop": I64})
    h, element = s.hidden, s.element

    def step(t: Value) -> None:
        base, before = s.row_of(t), s.row_of(t - 1)
        is_first = t.equals(0)

        def earlier(first: str, later: str) -> Value:
            return code.select(is_first, code[first], code.at(code[later], element, before * h))

        h_before, c_before = earlier("h", "out"), earlier("c", "cells")

        def units(wide: int, j: Value) -> None:
            weights = code.at(code["w"], element, j * (GATES * h))
            kind = vector_of(element, wide)
            biases = [code.load(kind, code["bias"], j + g * h) for g in range(GATES)]

            def rows(n: Value, count: int) -> None:
                tile = Tile(element, wide, count, GATES)
                lines = [base + n + r for r in range(count)]
                sums = [
                    code.load(kind, code["z"], line * (GATES * h) + (j + g * h)) + biases[g]
                    for line in lines
                    for g in range(GATES)
                ]
                states = [code.at(h_before, element, (n + r) * h) for r in range(count)]

                def term(k: Value, *sums: Value) -> list[Value]:
                    panel = code.at(weights, element, k * (GATES * wide))
                    return tile.turn(code, sums, panel, [code.at(x, element, k) for x in states])

                sums = code.repeat(0, h, term, sums)
                for r, line in enumerate(lines):
                    own = []
                    for g in range(GATES):
                        rule = tanh if g == 2 else sigmoid
                        own.append(code.apply(rule, sums[r * GATES + g]))
                        code.store(own[g], code["gates"], line * (GATES * h) + (j + g * h))
                    i, f, new, o = own
                    cell = code.load(kind, c_before, (n + r) * h + j) * f + i * new
                    bent = code.apply(tanh, cell)
                    place = line * h + j
                    code.store(cell, code["cells"], place)
                    code.store(bent, code["bent"], place)
                    code.store(bent * o, code["out"], place)

            _in_tiles(code, code["start"], code["stop"], s.rows, rows)

        row_pass(code, s.lanes, 0, code.constant(I64, h), units)

    code.loop(0, s.steps, step)
    return code.text()


def backward(s: Sizes, given: tuple[bool, bool, bool]) -> str:
    """``kernel(to_gates, dh, dc, [g_out], [g_h], [g_c], gates, cells, bent, c, w, start, stop)``.

    From the gradients of all h, the last h and the last c, those that are ``given``: the gradients
    of the gates' inputs (rows, 4 * hidden), and of the first h and c. ``w``: by ``pack_backward``.
    """
    some = [n for n, there in zip(("g_out", "g_h", "g_c"), given) if there]
    names = ("to_gates", "dh", "dc", *some, "gates", "cells", "bent", "c", "w")
    code = Code("kernel", {**dict.fromkeys(names, PTR), "start": I64, "stop": I64})
    h, element = s.hidden, s.element
    first, last = code["start"], code["stop"]

    def begin(target: str, source: str) -> None:
        def one(i: Value) -> None:
            zero = code.constant(element, 0.0)
            value = code.load(element, code[source], i) if source in some else zero
            code.store(value, code[target], i)

        code.loop(first * h, last * h, one)

    def step(back: Value) -> None:
        t = (s.steps - 1) - back
        base, before = s.row_of(t), s.row_of(t - 1)
        earlier = code.at(code["cells"], element, before * h)
        c_before = code.select(t.equals(0), code["c"], earlier)

        def cell_row(n: Value) -> None:
            line = base + n
            gates = code.at(code["gates"], element, line * (GATES * h))
            target = code.at(code["to_gates"], element, line * (GATES * h))

            def units(wide: int, j: Value) -> None:
                kind = vector_of(element, wide)
                one = code.constant(kind, 1.0)
                own = n * h + j
                d = code.load(kind, code["dh"], own)
                if "g_out" in some:
                    d = d + code.load(kind, code["g_out"], line * h + j)
                i, f, new, o = (code.load(kind, gates, j + g * h) for g in range(GATES))
                bent = code.load(kind, code["bent"], line * h + j)
                cell = code.load(kind, code["dc"], own) + d * (o * (one - bent * bent))
                results = (
                    cell * (new * i * (one - i)),
                    cell * (code.load(kind, c_before, own) * f * (one - f)),
                    cell * (i * (one - new * new)),
                    d * (bent * o * (one - o)),
                )
                for g, value in enumerate(results):
                    code.store(value, target, j + g * h)
                code.store(cell * f, code["dc"], own)

            row_pass(code, s.lanes, 0, code.constant(I64, h), units)

        code.loop(first, last, cell_row)

        def panel(p: Value) -> None:
            weights = code.at(code["w"], element, p * (GATES * h * s.wide))
            whole = (p + 1) * s.wide <= h

            def rows(n: Value, count: int) -> None:
                tile = Tile(element, s.lanes, count, 2)
                lines = [
                    code.at(code["to_gates"], element, (base + n + r) * (GATES * h))
                    for r in range(count)
                ]

                def term(k: Value, *sums: Value) -> list[Value]:
                    numbers = [code.at(line, element, k) for line in lines]
                    return tile.turn(code, sums, code.at(weights, element, k * s.wide), numbers)

                sums = code.repeat(0, GATES * h, term, tile.zeros(code))
                place = code.at(code["dh"], element, n * h + p * s.wide)
                code.either(
                    whole,
                    lambda: tile.stored(code, sums, place, h),
                    lambda: _edge(code, s, sums, place),
                )

            _in_tiles(code, first, last, s.backward_rows, rows)

        code.loop(0, -(-h // s.wide), panel)

    begin("dh", "g_h")
    begin("dc", "g_c")
    code.loop(0, s.steps, step)
    return code.text()


def _edge(code: Code, s: Sizes, sums: list[Value], place: Value) -> None:
    """The first columns of a tile of two vectors a row, those that the last panel has."""
    left = s.hidden % s.wide
    for r in range(len(sums) // 2):
        for c in range(left):
            vector = sums[2 * r + c // s.lanes]
            value = code.new(s.element, f"extractelement {vector}, i64 {c % s.lanes}")
            code.store(value, place, r * s.hidden + c)
