"""Products of small matrices in scratch memory, as functions that other kernels call.

All matrices lie in rows, padded so that no tile and no vector leaves them; what is computed from
the padding is computed for nothing.
"""

from __future__ import annotations

from .builder import I64, PTR, Code, Value
from .conv_text import transpose
from .tiles import Tile, copy, zero_fill


def product(tile: Tile) -> str:
    """``product(c, c_step, a, a_row, a_term, b, b_step, rows, columns, terms, zeros, adds)``.

    c[m, n] = sum over k of a[m * a_row + k * a_term] * b[k, n], added to c where ``adds`` is 1.
    ``rows`` and ``columns`` are multiples of the tile's; ``zeros``: a row of a tile.
    """
    pointers = ("c", "a", "b", "zeros")
    names = (
        "c", "c_step", "a", "a_row", "a_term", "b", "b_step", "rows", "columns", "terms",
        "zeros", "adds",
    )  # fmt: skip
    code = Code("product", {n: PTR if n in pointers else I64 for n in names})
    adds = code["adds"].equals(1)

    def at(pointer: Value, index: Value) -> Value:
        return code.at(pointer, tile.element, index)

    def panel(n: Value) -> None:
        source = at(code["b"], n)

        def one(m: Value) -> None:
            place = at(at(code["c"], m * code["c_step"]), n)
            begin = code.select(adds, place, code["zeros"])
            step = code.select(adds, code["c_step"], 0)
            numbers = [at(code["a"], m * code["a_row"])]
            for _ in range(tile.rows - 1):
                numbers.append(at(numbers[-1], code["a_row"]))

            def term(k: Value, *sums: Value) -> list[Value]:
                skip = k * code["a_term"]
                return tile.turn(
                    code, sums, at(source, k * code["b_step"]), [at(a, skip) for a in numbers]
                )

            sums = code.loop(0, code["terms"], term, tile.loaded(code, begin, step))
            tile.stored(code, sums, place, code["c_step"])

        code.loop(0, code["rows"], one, step=tile.rows)

    code.loop(0, code["columns"], panel, step=tile.columns)
    return code.text()


def pack(tile: Tile) -> str:
    """``pack(to, to_step, source, source_step, rows, columns, all_rows, all_columns)``: a matrix
    with zeros around it, up to ``all_rows`` and ``all_columns``."""
    names = (
        "to", "to_step", "source", "source_step", "rows", "columns", "all_rows", "all_columns",
    )  # fmt: skip
    code = Code("pack", {n: PTR if n in ("to", "source") else I64 for n in names})

    def row(i: Value) -> None:
        to = code.at(code["to"], tile.element, i * code["to_step"])
        source = code.at(code["source"], tile.element, i * code["source_step"])
        copy(code, tile.element, tile.lanes, to, source, code["columns"])
        zero_fill(code, tile.element, to, code["columns"], code["all_columns"])

    def zeros(i: Value) -> None:
        to = code.at(code["to"], tile.element, i * code["to_step"])
        zero_fill(code, tile.element, to, code.constant(I64, 0), code["all_columns"])

    code.loop(0, code["rows"], row)
    code.loop(code["rows"], code["all_rows"], zeros)
    return code.text()


def turn(tile: Tile) -> str:
    """``turn(to, to_step, source, source_step, rows, columns)``: the transpose of a matrix
    (rows, columns), both multiples of the lanes."""
    names = ("to", "to_step", "source", "source_step", "rows", "columns")
    code = Code("turn", {n: PTR if n in ("to", "source") else I64 for n in names})
    lanes = tile.lanes

    def square(i: Value, j: Value) -> None:
        rows = [code.at(code["source"], tile.element, i * code["source_step"] + j)]
        for _ in range(lanes - 1):
            rows.append(code.at(rows[-1], tile.element, code["source_step"]))
        vectors = transpose(code, [code.load(tile.vector, row) for row in rows])
        place = code.at(code["to"], tile.element, j * code["to_step"] + i)
        for vector in vectors:
            code.store(vector, place)
            place = code.at(place, tile.element, code["to_step"])

    def row(i: Value) -> None:
        code.loop(0, code["columns"], lambda j: square(i, j), step=lanes)

    code.loop(0, code["rows"], row, step=lanes)
    return code.text()
