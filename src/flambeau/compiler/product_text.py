"""Products of small matrices in scratch memory, as functions that other kernels call.

All matrices lie in rows, padded so that no tile and no vector leaves them; what is computed from
the padding is computed for nothing, and never read.
"""

from __future__ import annotations

from .builder import I64, PTR, Code, Value, vector_of
from .conv_text import transpose
from .tiles import Tile

#: The functions of this module, by the names that their texts give them.
NAMES = ("score", "apply", "gather", "pack", "turn")
#: More rows, columns or terms than there are, where nothing is left out.
ALL = 1 << 40
#: So many other matrices, of the shape of the result, a product brings into the caches on its way,
#: tile by tile: what is read or written next. Else the next copies would wait for memory.
NEAR = 3
_NEAR = " ".join(f"near{k}" for k in range(NEAR))
_NEAR_STEPS = " ".join(f"near{k}_step" for k in range(NEAR))


def texts(tile: Tile) -> str:
    """All functions of this module, to precede the text that calls them."""
    return "\n".join((score(tile), apply(tile), gather(tile), pack(tile), turn(tile)))


def _code(name: str, pointers: str, numbers: str) -> Code:
    return Code(name, dict.fromkeys(pointers.split(), PTR) | dict.fromkeys(numbers.split(), I64))


def _near(code: Code, tile: Tile, m: Value, n: Value) -> None:
    """Bring the tile from (m, n) on of other matrices closer, if ``brings`` is not 0."""

    def all_of_them() -> None:
        for k in range(NEAR):
            step = code[f"near{k}_step"]
            place = code.at(code[f"near{k}"], tile.element, m * step + n)
            for _ in range(tile.rows):
                code.prefetch(place)
                place = code.at(place, tile.element, step)

    code.when(code["brings"] > 0, all_of_them)


def _tile(code: Code, tile: Tile, m: Value, n: Value, terms: Value) -> None:
    """c[m, n] = sum over k of a[m, k] * b[k, n] for the tile from (m, n) on."""

    def at(pointer: Value, index: Value) -> Value:
        return code.at(pointer, tile.element, index)

    source = at(code["b"], n)
    numbers = [at(code["a"], m * code["a_step"])]
    for _ in range(tile.rows - 1):
        numbers.append(at(numbers[-1], code["a_step"]))

    def term(k: Value, *sums: Value) -> list[Value]:
        return tile.turn(code, sums, at(source, k * code["b_step"]), [at(a, k) for a in numbers])

    sums = code.unrolled(0, terms, term, tile.zeros(code))
    tile.stored(code, sums, at(at(code["c"], m * code["c_step"]), n), code["c_step"])


def score(tile: Tile) -> str:
    """``score(c, a, b, c_step, a_step, b_step, rows, columns, terms, sees)``.

    c[m, n] = sum over k of a[m, k] * b[k, n]. Rows and columns are computed in whole tiles; of the
    tile from row m on, those columns are left out that come from ``m + sees`` on.
    """
    code = _code("score", "c a b", "c_step a_step b_step rows columns terms sees")

    def panel(n: Value) -> None:
        unseen = n - code["sees"] + tile.rows  # rows before the first that sees column n
        start = code.larger(unseen, code.constant(I64, 0)) // tile.rows * tile.rows
        code.loop(
            start, code["rows"], lambda m: _tile(code, tile, m, n, code["terms"]), step=tile.rows
        )

    code.loop(0, code["columns"], panel, step=tile.columns)
    return code.text()


def apply(tile: Tile) -> str:
    """``apply(c, a, b, near ..., c_step, a_step, b_step, rows, columns, terms, sees, near_step
    ..., brings)``.

    c[m, n] = sum over k of a[m, k] * b[k, n]. Of the tile from row m on, those terms are left out
    that come from ``m + sees`` on. ``near``: other matrices, see ``NEAR``.
    """
    numbers = f"c_step a_step b_step rows columns terms sees {_NEAR_STEPS} brings"
    code = _code("apply", f"c a b {_NEAR}", numbers)

    def panel(n: Value) -> None:
        def one(m: Value) -> None:
            _near(code, tile, m, n)
            _tile(code, tile, m, n, code.smaller(code["terms"], m + code["sees"]))

        code.loop(0, code["rows"], one, step=tile.rows)

    code.loop(0, code["columns"], panel, step=tile.columns)
    return code.text()


def gather(tile: Tile) -> str:
    """``gather(c, a, b, near ..., c_step, a_step, b_step, rows, columns, terms, seen_from,
    new_from, near_step ..., brings)``.

    c[m, n] += sum over k of a[k, m] * b[k, n]. Of the tile from row m on, terms are left out that
    come before ``m - seen_from``; the rows of c from ``new_from`` on are written, not added to.
    ``near``: other matrices, see ``NEAR``.
    """
    numbers = f"c_step a_step b_step rows columns terms seen_from new_from {_NEAR_STEPS} brings"
    code = _code("gather", f"c a b {_NEAR}", numbers)

    def at(pointer: Value, index: Value) -> Value:
        return code.at(pointer, tile.element, index)

    def panel(n: Value) -> None:
        source = at(code["b"], n)

        def one(m: Value) -> None:
            _near(code, tile, m, n)
            place, column = at(at(code["c"], m * code["c_step"]), n), at(code["a"], m)
            start = code.larger(m - code["seen_from"], code.constant(I64, 0))

            def term(k: Value, *sums: Value) -> list[Value]:
                first = at(column, k * code["a_step"])
                numbers = [code.at(first, tile.element, i) for i in range(tile.rows)]
                return tile.turn(code, sums, at(source, k * code["b_step"]), numbers)

            def sums(begin: list[Value]) -> None:
                tile.stored(
                    code, code.unrolled(start, code["terms"], term, begin), place, code["c_step"]
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

    Stripes of four vectors, then of one, then of single elements: some processors take long to
    store a part of a vector.
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
