"""All steps of a recurrent layer in LLVM's language: forward and backward, for every size.

Sequences of a batch do not touch each other, so a thread takes some of them through all steps and
waits for nobody. The recurrent weights come packed into panels, so that a product of a few rows
reads them once from the first element to the last; what follows it is done row by row, while
its sums are in the nearest caches. What that is, a ``cell_text.Cell`` says.

Steps come in a table of int64, one row for each in the order in which they are taken (``FIELDS``):
batches of which some sequences are shorter have fewer rows in some steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .builder import I64, PTR, Code, Value, split_type, vector_of
from .cell_text import Cell
from .conv_text import transpose
from .scalar import Scalar
from .tiles import Tile, copy, registers

#: Of a step: its first row and its rows; the first row of the step before, and for how many rows
#: that has a state (the others begin here); how many sequences go on in the next step.
FIELDS = ("row", "count", "before", "known", "stays")

VECTORS = 2  # of a row of a product's tile


def table(sizes: Sequence[int], reverse: bool) -> np.ndarray:
    """The steps of sequences that lie as ``ops.recurrent`` has them."""
    counts = np.asarray(sizes, np.int64)
    rows = np.cumsum(counts) - counts
    if reverse:
        counts, rows = counts[::-1], rows[::-1]
    known = np.zeros_like(counts)
    known[1:] = np.minimum(counts[1:], counts[:-1])
    before = np.concatenate((rows[:1], rows[:-1]))
    stays = np.concatenate((known[1:], known[:1]))  # the first one's, which is 0, for the last
    return np.stack((rows, counts, before, known, stays), 1)


@dataclass(frozen=True)
class Form:
    """A cell, in elements of a type, ``lanes`` of which are a register."""

    cell: Cell
    element: str
    lanes: int

    @property
    def vector(self) -> str:
        """The type of a register."""
        return vector_of(self.element, self.lanes)

    @property
    def columns(self) -> int:
        """Columns of the products' panels."""
        return VECTORS * self.lanes

    @property
    def rows(self) -> int:
        """Most rows of a product's tile."""
        return registers()[1] * 3 // 4 // VECTORS

    def packed(self, hidden: int, back: bool) -> tuple[int, int]:
        """(panels, elements) of packed weights, forward or ``back``."""
        columns, terms = (self.cell.gates * hidden, hidden)[:: -1 if back else 1]
        panels = -(-columns // self.columns)
        return panels, panels * self.columns * terms


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


Masks = Sequence[Value | None]
Rule = Callable[[Scalar], Scalar]


def _in_blocks(
    code: Code, kind: str, wide: int, total: Value, body: Callable[[Value, Masks], None]
) -> None:
    """``body(start, masks)`` over range(total) in blocks of ``wide`` vectors; masks, of the
    vectors of the last block, are those of the elements below ``total``."""
    _, lanes = split_type(kind)
    whole = total - total % (wide * lanes)
    code.loop(0, whole, lambda j: body(j, [None] * wide), step=wide * lanes)

    def rest() -> None:
        body(whole, [code.first_lanes(lanes, total - whole - v * lanes) for v in range(wide)])

    code.when(whole < total, rest)


# ---- rows ------------------------------------------------------------------------------------


def moved(element: str, lanes: int) -> str:
    """``kernel(out, x, rows, width, value, start, stop)``: row i of out is row ``rows[i]`` of x, or
    ``value`` where that is negative."""
    parameters = {"out": PTR, "x": PTR, "rows": PTR, "width": I64, "value": element}
    code = Code("kernel", {**parameters, "start": I64, "stop": I64})
    width = code["width"]

    def row(i: Value) -> None:
        target = code.at(code["out"], element, i * width)
        source = code.load(I64, code["rows"], i)
        code.either(
            source < 0,
            lambda: code.loop(0, width, lambda j: code.store(code["value"], target, j)),
            lambda: copy(
                code, element, lanes, target, code.at(code["x"], element, source * width), width
            ),
        )

    code.loop(code["start"], code["stop"], row)
    return code.text()


# ---- weights ---------------------------------------------------------------------------------


def pack(form: Form, back: bool) -> str:
    """``kernel(to, w, hidden, start, stop)`` over panels: the columns of w (gates * hidden, hidden)
    if ``back``, else its rows, as panels of ``columns`` in which the terms of the products follow
    each other; the last one is filled up with zeros."""
    code = Code("kernel", {"to": PTR, "w": PTR, "hidden": I64, "start": I64, "stop": I64})
    h, element, lanes = code["hidden"], form.element, form.lanes
    wide = h * form.cell.gates
    columns, terms = (h, wide) if back else (wide, h)

    def panel(i: Value) -> None:
        first = i * form.columns
        target = code.at(code["to"], element, first * terms)
        rows, held = code.at(code["w"], element, first if back else first * h), columns - first
        write = _copied if back else _turned
        code.either(
            held >= form.columns,
            lambda: write(code, form, target, rows, h, terms, [None] * VECTORS),
            lambda: write(
                code, form, target, rows, h, terms,
                [code.first_lanes(lanes, held - v * lanes) for v in range(VECTORS)],
            ),
        )  # fmt: skip

    code.loop(code["start"], code["stop"], panel)
    return code.text()


def _copied(
    code: Code, form: Form, target: Value, source: Value, h: Value, terms: Value, masks: Masks
) -> None:
    """A panel of the columns at ``source``, of rows of ``h``."""

    def row(k: Value) -> None:
        line, to = (code.at(*x) for x in ((source, form.element, k * h), (target, form.element,
                    k * form.columns)))  # fmt: skip
        for v, mask in enumerate(masks):
            value = code.masked_load(form.vector, line, v * form.lanes, mask)
            code.store(value, to, v * form.lanes)

    code.loop(0, terms, row)


def _turned(
    code: Code, form: Form, target: Value, source: Value, h: Value, terms: Value, masks: Masks
) -> None:
    """A panel of the rows at ``source``; of those that are masked, element by element."""
    lanes, element = form.lanes, form.element
    zero = code.constant(element, 0.0)
    for v, mask in enumerate(masks):
        rows = code.at(source, element, h * (v * lanes))
        to = code.at(target, element, v * lanes)
        is_square = mask is None and lanes in (4, 8)
        squares = h & -lanes if is_square else code.constant(I64, 0)

        def square(k: Value, rows: Value = rows, to: Value = to) -> None:
            found = [code.load(form.vector, rows, h * r + k) for r in range(lanes)]
            for n, vector in enumerate(transpose(code, found)):
                code.store(vector, to, (k + n) * form.columns)

        def one(k: Value, rows: Value = rows, to: Value = to, mask: Value | None = mask) -> None:
            for n in range(lanes):
                place = code.at(to, element, k * form.columns + n)

                def copied(n: int = n, place: Value = place) -> None:
                    code.store(code.load(element, rows, h * n + k), place)

                if mask is None:
                    copied()
                    continue
                is_there = code.new("i1", f"extractelement {mask}, i64 {n}")
                code.either(is_there, copied, lambda place=place: code.store(zero, place))

        if is_square:
            code.loop(0, squares, square, step=lanes)
        code.loop(squares, h, one)


# ---- steps -----------------------------------------------------------------------------------


def _step_of(code: Code, t: Value) -> dict[str, Value]:
    entry = code.at(code["table"], I64, t * len(FIELDS))
    return {name: code.load(I64, entry, n) for n, name in enumerate(FIELDS)}


def _state_before(code: Code, form: Form, now: dict[str, Value], n: Value, state: str) -> Value:
    """Where a sequence's state before a step lies: in all h or c, or in the first ones."""
    after = {"h": "out", "c": "cells"}[state]
    earlier = code.at(code[after], form.element, (now["before"] + n) * code["hidden"])
    first = code.at(code[state], form.element, n * code["hidden"])
    return code.select(n < now["known"], earlier, first)


def _product(
    code: Code,
    form: Form,
    rows: tuple[Value, Value],
    terms: Value,
    columns: Value,
    source: Callable[[Value], Value],
    target: Callable[[Value], Value],
    adds: bool = False,
) -> None:
    """The rows at ``source`` times the packed weights into those at ``target``, or added to what
    lies there."""

    def panel(j: Value, masks: Masks) -> None:
        weights = code.at(code["w"], form.element, j * terms)

        def some(n: Value, count: int) -> None:
            tile = Tile(form.element, form.lanes, count, VECTORS)
            lines = [source(n + r) for r in range(count)]
            places = [
                (target(n + r), j + v * form.lanes, masks[v])
                for r in range(count)
                for v in range(VECTORS)
            ]

            def term(k: Value, *sums: Value) -> list[Value]:
                numbers = [code.at(line, form.element, k) for line in lines]
                vectors = code.at(weights, form.element, k * form.columns)
                return tile.turn(code, sums, vectors, numbers)

            sums = tile.zeros(code)
            if adds:
                sums = [code.masked_load(form.vector, *place) for place in places]
            sums = code.unrolled(0, terms, term, sums)
            for value, place in zip(sums, places, strict=True):
                code.masked_store(value, *place)

        _in_tiles(code, *rows, form.rows, some)

    _in_blocks(code, form.vector, VECTORS, columns, panel)


def forward_arrays(cell: Cell) -> tuple[list[str], list[str]]:
    """What the forward kernel writes, and reads, by name."""
    lasts = [f"{name}_last" for name in cell.states]
    return ["out", *lasts, *cell.kept], ["z", "b_ih", "b_hh", *cell.states, "w"]


def forward(form: Form) -> str:
    """``kernel(out, last states, kept arrays, z, b_ih, b_hh, states, w, table, steps, hidden,
    start, stop)`` over sequences, the arrays as ``forward_arrays`` has them.

    ``z`` (rows, gates * hidden): the inputs' products, to which biases and h w^T are added; ``w``
    is packed by ``pack``. The states' products lie for a while where the gates, or h, come.
    """
    cell, element = form.cell, form.element
    written, read = forward_arrays(cell)
    numbers = ("steps", "hidden", "start", "stop")
    parameters = {**dict.fromkeys([*written, *read, "table"], PTR), **dict.fromkeys(numbers, I64)}
    code = Code("kernel", parameters)
    h, gates, start = code["hidden"], cell.gates, code["start"]
    wide = h * gates
    products = code["gates"] if "gates" in cell.kept else code["out"]

    def step(t: Value) -> None:
        now = _step_of(code, t)
        last = code.smaller(code["stop"], now["count"])

        def segment(i: Value) -> None:  # sequences that have a state, and those that begin
            is_known = i.equals(0)
            edge = now["known"]
            first = code.select(is_known, start, code.larger(start, edge))
            end = code.select(is_known, code.smaller(last, edge), last)
            earlier = code.at(code["out"], element, now["before"] * h)
            before = code.select(is_known, earlier, code["h"])
            _product(
                code, form, (first, end), h, wide,
                lambda n: code.at(before, element, n * h),
                lambda n: code.at(products, element, (now["row"] + n) * wide),
            )  # fmt: skip

        code.loop(0, 2, segment)

        def cell_row(n: Value) -> None:
            line = now["row"] + n
            state = "c" if cell.carried == "cells" else "h"
            before = _state_before(code, form, now, n, state) if cell.carried else None
            inputs, own = (code.at(p, element, line * wide) for p in (code["z"], products))

            def sums(k: Value, mask: Value | None) -> tuple[Value, Value]:
                """The input's and the state's part of a gate's sum."""
                places = ((inputs, "b_ih"), (own, "b_hh"))
                mine, others = (
                    code.masked_load(form.vector, products, k, mask)
                    + code.masked_load(form.vector, code[bias], k, mask)
                    for products, bias in places
                )
                return mine, others

            # one function at a time: a chain of them would wait for each other's results
            g = 0
            for rule, alike in itertools.groupby(cell.rules):
                first, count = g, len(list(alike))

                def gate(j: Value, masks: Masks, first: int = first, rule: Rule = rule) -> None:
                    mine, others = sums(h * first + j, masks[0])
                    value = code.apply(rule, mine + others)
                    code.masked_store(value, own, h * first + j, masks[0])

                if rule is not None:
                    _in_blocks(code, form.vector, 1, h * count, gate)
                g += count

            def units(j: Value, masks: Masks) -> None:
                (mask,) = masks
                known = gates - int(cell.inner)
                values = [code.masked_load(form.vector, own, h * g + j, mask) for g in range(known)]
                given, inner = sums(h * known + j, mask) if cell.inner else (None, None)
                earlier = code.masked_load(form.vector, before, j, mask) if cell.carried else None
                for name, results in cell.ahead(code, values, given, inner, earlier).items():
                    row = code.at(code[name], element, line * h * len(results))
                    for g, value in enumerate(results):
                        code.masked_store(value, row, h * g + j, mask)

            if cell.ahead is not None:
                _in_blocks(code, form.vector, 1, h, units)

        code.loop(start, last, cell_row)
        gone = code.larger(start, now["stays"])

        def ended() -> None:
            for name in cell.states:
                source = code["out" if name == "h" else "cells"]
                source = code.at(source, element, (now["row"] + gone) * h)
                target = code.at(code[f"{name}_last"], element, gone * h)
                copy(code, element, form.lanes, target, source, (last - gone) * h)

        code.when(gone < last, ended)

    code.loop(0, code["steps"], step)
    return code.text()


def backward_arrays(cell: Cell, given: Sequence[bool]) -> tuple[list[str], list[str]]:
    """What the backward kernel writes, and reads; ``given``: which of the gradients of all h and
    of the last states are there."""
    written = ["to_gates", *(["to_state"] if cell.inner else []), "h_before"]
    written += [f"d{name}" for name in cell.states]
    grads = ["g_out", *(f"g_{name}" for name in cell.states)]
    there = [name for name, is_given in zip(grads, given, strict=True) if is_given]
    return written, [*there, "out", *cell.kept, *cell.states, "w"]


def backward(form: Form, given: Sequence[bool]) -> str:
    """``kernel(gates' gradients, h_before, states' gradients, gradients that are given, out, kept
    arrays, states, w, table, steps, hidden, start, stop)`` over sequences, the arrays as
    ``backward_arrays`` has them.

    Writes the gradients of the gates' sums (rows, gates * hidden), those of the products with the
    state apart where they differ; the states h before each row; the gradients of the first
    states. ``w`` is packed by ``pack``.
    """
    cell, element = form.cell, form.element
    written, read = backward_arrays(cell, given)
    names = [*written, *read, "table"]
    numbers = ("steps", "hidden", "start", "stop")
    code = Code("kernel", {**dict.fromkeys(names, PTR), **dict.fromkeys(numbers, I64)})
    h, gates = code["hidden"], cell.gates
    terms = h * gates
    zero = code.constant(element, 0.0)
    first = code["start"]
    product = "to_state" if cell.inner else "to_gates"

    def begin(state: str) -> None:
        def one(i: Value) -> None:
            source = f"g_{state}"
            value = code.load(element, code[source], i) if source in read else zero
            code.store(value, code[f"d{state}"], i)

        code.loop(first * h, code["stop"] * h, one)

    def step(back: Value) -> None:
        now = _step_of(code, code["steps"] - 1 - back)
        last = code.smaller(code["stop"], now["count"])

        def cell_row(n: Value) -> None:
            line = now["row"] + n
            h_before = _state_before(code, form, now, n, "h")
            carried = h_before
            if cell.carried == "cells":
                carried = _state_before(code, form, now, n, "c")

            def units(j: Value, masks: Masks) -> None:
                (mask,) = masks

                def load(array: Value, index: Value) -> Value:
                    return code.masked_load(form.vector, array, index, mask)

                own, place = n * h + j, line * h + j
                d = load(code["dh"], own)
                if "g_out" in read:
                    d = d + load(code["g_out"], place)
                dc = load(code["dc"], own) if "c" in cell.states else None
                state = load(h_before, j)
                code.masked_store(state, code["h_before"], place, mask)
                kept = {name: [load(code[name], place)] for name in ("out", *cell.kept)
                        if name != "gates"}  # fmt: skip
                if "gates" in cell.kept:
                    row = line * terms + j
                    kept["gates"] = [load(code["gates"], row + h * g) for g in range(gates)]
                earlier = load(carried, j) if cell.carried else None
                sums, direct, dc = cell.back(code, kept, earlier, d, dc)
                for name in ("to_gates", product):
                    row = code.at(code[name], element, line * terms)
                    if name == "to_state":
                        sums = [*sums[: gates - 1], sums[gates]]
                    for g, value in enumerate(sums[:gates]):
                        code.masked_store(value, row, h * g + j, mask)
                    if not cell.inner:
                        break
                if direct is not None:
                    code.masked_store(direct, code["dh"], own, mask)
                if dc is not None:
                    code.masked_store(dc, code["dc"], own, mask)

            _in_blocks(code, form.vector, 1, h, units)

        code.loop(first, last, cell_row)

        _product(
            code, form, (first, last), terms, h,
            lambda n: code.at(code[product], element, (now["row"] + n) * terms),
            lambda n: code.at(code["dh"], element, n * h),
            cell.keeps,
        )  # fmt: skip

    for state in cell.states:
        begin(state)
    code.loop(0, code["steps"], step)
    return code.text()
