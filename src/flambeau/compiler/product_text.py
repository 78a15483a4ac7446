"""Products of small matrices in scratch memory, as functions that other kernels call.

All matrices lie in rows, padded so that no tile and no vector leaves them; what is computed from
the padding is computed for nothing, and never read.
"""

from __future__ import annotations

from .builder import I64, PTR, Code, Value, vector_of
from .conv_text import transpose
from .tiles import Tile

#: The functions of this module, by the names that their texts give them.
NAMES = ("dot", "gather", "pack", "turn")
#: More rows, columns or terms than there are, where nothing is left out.
ALL = 1 << 40


def texts(tile: Tile) -> str:
    """All functions of this module, to precede the text that calls them."""
    return "\n".join((dot(tile), gather(tile), pack(tile), turn(tile)))


def _code(name: str, pointers: str, numbers: str) -> Code:
    return Code(name, dict.fromkeys(pointers.split(), PTR) | dict.fromkeys(numbers.split(), I64))


def _larger_multiple(code: Code, n: Value, step: int) -> Value:
    """The largest multiple of ``step`` up to ``n``, or 0 for negative ``n``."""
    return code.larger(n, code.constant(I64, 0)) // step * step


def dot(tile: Tile) -> str:
    """``dot(c, a, b, c_step, a_step, b_step, rows, columns, terms, sees_columns, sees_terms)``.

    c[m, n] = sum over k of a[m, k] * b[k, n]. Rows and columns are computed in whole tiles; of the
    tile from row m on, those columns are left out that come from ``m + sees_columns`` on, and the
    terms from ``m + sees_terms`` on.
    """
    numbers = "c_step a_step b_step rows columns terms sees_columns sees_terms"
    code = _code("dot", "c a b", numbers)

    def at(pointer: Value, index: Value) -> Value:
        return code.at(pointer, tile.element, index)

    def panel(n: Value) -> None:
        source = at(code["b"], n)

        def one(m: Value) -> None:
            numbers = [at(code["a"], m * code["a_step"])]
            for _ in range(tile.rows - 1):
                numbers.append(at(numbers[-1], code["a_step"]))

            def term(k: Value, *sums: Value) -> list[Value]:
                rows = [at(a, k) for a in numbers]
                return tile.turn(code, sums, at(source, k * code["b_step"]), rows)

            stop = code.smaller(code["terms"], m + code["sees_terms"])
            sums = code.repeat(0, stop, term, tile.zeros(code))
            tile.stored(code, sums, at(at(code["c"], m * code["c_step"]), n), code["c_step"])

        unseen = n - code["sees_columns"] + tile.rows  # rows before the first that sees column n
        code.loop(_larger_multiple(code, unseen, tile.rows), code["rows"], one, step=tile.rows)

    code.loop(0, code["columns"], panel, step=tile.columns)
    return code.text()


def gather(tile: Tile) -> str:
    """``gather(c, a, b, c_step, a_step, b_step, rows, columns, terms, seen_from, new_from)``.

    c[m, n] += sum over k of a[k, m] * b[k, n]. Of the tile from row m on, terms are left out that
    come before ``m - seen_from``; the rows of c from ``new_from`` on are written, not added to.
    """
    numbers = "c_step a_step b_step rows columns terms seen_from new_from"
    code = _code("gather", "c a b", numbers)

    def at(pointer: Value, index: Value) -> Value:
        return code.at(pointer, tile.element, index)

    def panel(n: Value) -> None:
        source = at(code["b"], n)

        def one(m: Value) -> None:
            place, column = at(at(code["c"], m * code["c_step"]), n), at(code["a"], m)
            start = code.larger(m - code["seen_from"], code.constant(I64, 0))

            def term(k: Value, *sums: Value) -> list[Value]:
                first = at(column, k * code["a_step"])
                numbers = [code.at(first, tile.element, i) for i in range(tile.rows)]
                return tile.turn(code, sums, at(source, k * code["b_step"]), numbers)

            def sums(begin: list[Value]) -> None:
                tile.stored(
                    code, code.repeat(start, code["terms"], term, begin), place, code["c_step"]
                )

            code.either(
                m >= code["new_from"],
                lambda: sums(tile.zeros(code)),
                lambda: sums(tile.loaded(code, place, code["c_step"])),
            )

        code.loop(0, code["rows"], one, step=tile.rows)

    code.loop(0, code["columns"], panel, step=tile.columns)
    return code.text()


def pack(tile: Tile) -> str:
    """``pack(to, source, factors, to_step, source_step, factor_step, rows, columns, all_rows)``:
    the rows of a matrix, each times its factor, then rows of zeros up to ``all_rows``.

    Stripes of four vectors, then of one, then of single elements.
    """
    numbers = "to_step source_step factor_step rows columns all_rows"
    code = _code("pack", "to source factors", numbers)
    begin = code.constant(I64, 0)
    for wide, count in ((tile.lanes, 4), (tile.lanes, 1), (1, 1)):
        kind, size = vector_of(tile.element, wide), wide * count
        end = begin + ((code["columns"] - begin) & -size)

        def stripe(j: Value, kind: str = kind, wide: int = wide, count: int = count) -> None:
            to, source = (code.at(code[name], tile.element, j) for name in ("to", "source"))

            def row(i: Value) -> None:
                factor = code.load(tile.element, code["factors"], i * code["factor_step"])
                ours = code.at(source, tile.element, i * code["source_step"])
                theirs = code.at(to, tile.element, i * code["to_step"])
                values = [code.load(kind, ours, n * wide) for n in range(count)]
                for n, value in enumerate(values):
                    code.store(value * code.splat(factor, wide), theirs, n * wide)

            def zeros(i: Value) -> None:
                theirs = code.at(to, tile.element, i * code["to_step"])
                for n in range(count):
                    code.store(code.constant(kind, 0), theirs, n * wide)

            code.loop(0, code["rows"], row)
            code.loop(code["rows"], code["all_rows"], zeros)

        code.loop(begin, end, stripe, step=size)
        begin = end
    return code.text()


def turn(tile: Tile) -> str:
    """``turn(to, source, to_step, source_step, rows, columns)``: the transpose of a matrix
    (rows, columns), rows a multiple of the lanes, columns computed up to one."""
    code = _code("turn", "to source", "to_step source_step rows columns")
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
