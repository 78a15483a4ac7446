"""Attention in LLVM's language: a head at a time, rows of its scores in scratch memory only.

    p = softmax(q k^T * scale)   y = p v   dv = p^T g   ds = p (g v^T - sum(g v^T * p)) * scale
    dq = ds k                    dk = ds^T q

Scores are computed for a block of rows that the cache holds; causal attention leaves out the
columns after the block, and sets to zero those after each row.
"""

from __future__ import annotations

from collections.abc import Callable

from .builder import I64, PTR, Code, Value, vector_of
from .product_text import pack, product, turn
from .rows_text import row_pass, row_sums
from .scalar_functions import exp
from .tiles import Tile

#: The table: sizes of a head; rows at once; steps between batches, heads and rows of every array;
#: then, of the scratch, the step of the scores, the padded widths, and where its matrices begin.
ARRAYS = ("q", "k", "v", "y", "g", "dq", "dk", "dv")
FIELDS = (
    "heads", "rows", "columns", "width", "value_width", "rows_each",
    *(f"{name}_{step}" for name in ARRAYS for step in ("batch", "head", "row")),
    "score_step", "padded_columns", "padded_width", "padded_value_width",
    "zeros_at", "queries_at", "keys_at", "turned_keys_at", "values_at", "turned_values_at",
    "grads_at", "scores_at", "slopes_at", "result_at", "key_slopes_at", "value_slopes_at",
)  # fmt: skip


class _Head:
    """One head: its arrays and what both directions do with them."""

    def __init__(self, tile: Tile, causal: bool, arrays: tuple[str, ...]) -> None:
        parameters = {**dict.fromkeys((*arrays, "kept", "table", "scratch"), PTR)}
        parameters |= {"scale": tile.element, "start": I64, "stop": I64}
        self.code = code = Code("kernel", parameters)
        self.tile, self.causal, self.arrays = tile, causal, arrays
        self.f = {name: code.load(I64, code["table"], i) for i, name in enumerate(FIELDS)}
        self.scratch = {
            name[:-3]: self.at(code["scratch"], self.f[name])
            for name in FIELDS
            if name[-3:] == "_at"
        }

    def at(self, pointer: Value, index: Value | int) -> Value:
        return self.code.at(pointer, self.tile.element, index)

    def up(self, n: Value, step: int) -> Value:
        return (n + (step - 1)) // step * step

    def each(self, before: Callable[[], None], rows: Callable[[], None], after: Callable) -> str:
        """The text: ``before``, ``rows`` for every block of rows, ``after``, for every head."""
        code, f = self.code, self.f

        def head(i: Value) -> None:
            self.number = i
            self.place = {
                name: self.at(
                    code[name],
                    i // f["heads"] * f[f"{name}_batch"] + i % f["heads"] * f[f"{name}_head"],
                )
                for name in self.arrays
            }
            before()

            def block(r0: Value) -> None:
                self.r0 = r0
                self.rows = code.smaller(f["rows_each"], f["rows"] - r0)
                self.padded_rows = self.up(self.rows, self.tile.rows)
                self.columns = f["columns"]
                if self.causal:  # those that a row of the block can see
                    self.columns = code.smaller(self.columns, r0 + self.rows)
                rows()

            code.loop(0, f["rows"], block, step=f["rows_each"])
            after()

        zero = code.constant(self.tile.element, 0)
        code.loop(0, self.tile.columns, lambda i: code.store(zero, self.scratch["zeros"], i))
        code.loop(code["start"], code["stop"], head)
        parts = (product(self.tile), pack(self.tile), turn(self.tile), code.text())
        return "\n".join(parts)

    def copy_in(self, name: str, to: str, width: str, rows: Value, all_rows: Value) -> None:
        """All rows of an array into the scratch."""
        self.copy_rows(self.place[name], to, name, width, rows, all_rows)

    def copy_rows(
        self, source: Value, to: str, name: str, width: str, rows: Value, all_rows: Value
    ) -> None:
        f = self.f
        self.code.run(
            "pack", self.scratch[to], f[f"padded_{width}"], source, f[f"{name}_row"], rows,
            f[width], all_rows, f[f"padded_{width}"],
        )  # fmt: skip

    def block_in(self, name: str, to: str, width: str) -> None:
        """The block's rows of an array."""
        source = self.at(self.place[name], self.r0 * self.f[f"{name}_row"])
        self.copy_rows(source, to, name, width, self.rows, self.padded_rows)

    def copy_out(self, name: str, source: str, width: str, first: Value | int, rows: Value) -> None:
        """Rows from the scratch into an array, from its row ``first`` on."""
        f = self.f
        to = self.at(self.place[name], f[f"{name}_row"] * first)
        self.code.run(
            "pack", to, f[f"{name}_row"], self.scratch[source], f[f"padded_{width}"], rows,
            f[width], rows, f[width],
        )  # fmt: skip

    def turned(self, source: str, to: str, width: str) -> None:
        f = self.f
        rows = self.up(f["columns"], self.tile.lanes)
        self.code.run(
            "turn", self.scratch[to], f["padded_columns"], self.scratch[source],
            f[f"padded_{width}"], rows, f[f"padded_{width}"],
        )  # fmt: skip

    def multiply(
        self, to: str, a: str, b: str, columns: Value, terms: Value, steps: tuple[Value, ...]
    ) -> None:
        """``to`` = a b for the block's rows; ``steps``: of the rows of each of the three."""
        s = self.scratch
        self.code.run(
            "product", s[to], steps[0], s[a], steps[1], 1, s[b], steps[2], self.padded_rows,
            columns, terms, s["zeros"], 0,
        )  # fmt: skip

    def gather(self, to: str, a: str, b: str, width: str) -> None:
        """``to`` += a^T b over the block's rows, where a has the shape of the scores."""
        f, s = self.f, self.scratch
        self.code.run(
            "product", s[to], f[f"padded_{width}"], s[a], 1, f["score_step"], s[b],
            f[f"padded_{width}"], self.up(self.columns, self.tile.rows), f[f"padded_{width}"],
            self.rows, s["zeros"], 1,
        )  # fmt: skip

    def each_row(self, body: Callable[[Value, Value, Value], None]) -> None:
        """``body(i, its place in the scores, the columns it sees)`` for the block's rows."""

        def row(i: Value) -> None:
            seen = self.columns
            if self.causal:
                seen = self.code.smaller(seen, self.r0 + i + 1)
            body(i, i * self.f["score_step"], seen)

        self.code.loop(0, self.rows, row)

    def probabilities(self) -> None:
        """The scores of the block and their softmax."""
        code, f, tile = self.code, self.f, self.tile
        self.block_in("q", "queries", "width")
        columns = self.up(self.columns, tile.columns)
        steps = (f["score_step"], f["padded_width"], f["padded_columns"])
        self.multiply("scores", "queries", "turned_keys", columns, f["width"], steps)
        scales = {1: code["scale"], tile.lanes: code.splat(code["scale"], tile.lanes)}

        def softmax(i: Value, place: Value, seen: Value) -> None:
            line = self.at(self.scratch["scores"], place)

            def scaled(wide: int, j: Value) -> Value:
                return code.load(vector_of(tile.element, wide), line, j) * scales[wide]

            whole = seen & -tile.lanes
            lowest = code.constant(tile.vector, float("-inf"))
            (tops,) = code.loop(
                0, whole, lambda j, t: [code.larger(scaled(tile.lanes, j), t)], [lowest],
                step=tile.lanes,
            )  # fmt: skip
            kind = vector_of(tile.element, tile.lanes)
            best = code.highest(tops, kind)
            (best,) = code.loop(whole, seen, lambda j, t: [code.larger(scaled(1, j), t)], [best])
            tops = {1: best, tile.lanes: code.splat(best, tile.lanes)}

            def power(wide: int, j: Value) -> list[Value]:
                value = code.apply(exp, scaled(wide, j) - tops[wide])
                code.store(value, line, j)
                return [value]

            (total,) = row_sums(code, tile.element, tile.lanes, 0, seen, power, unroll=1)
            one = code.constant(tile.element, 1.0) / code.narrow(total, tile.element)
            ones = {1: one, tile.lanes: code.splat(one, tile.lanes)}

            def divide(wide: int, j: Value) -> None:
                kind = vector_of(tile.element, wide)
                code.store(code.load(kind, line, j) * ones[wide], line, j)

            row_pass(code, tile.lanes, 0, seen, divide)
            self.zeros_after(line, seen)

        self.each_row(softmax)

    def zeros_after(self, line: Value, seen: Value) -> None:
        """Zeros in the columns that the block has and a row does not see, padding included."""
        zero = self.code.constant(self.tile.element, 0)
        end = self.up(self.columns, self.tile.rows)
        self.code.loop(seen, end, lambda j: self.code.store(zero, line, j))

    def kept(self, *, into: bool) -> None:
        """The probabilities of the block into ``kept``, or from there."""
        code, f = self.code, self.f
        first = (self.number * f["rows"] + self.r0) * f["columns"]
        theirs = self.at(code["kept"], first)
        ours = self.scratch["scores"]
        ends = (theirs, f["columns"], ours, f["score_step"])
        to, to_step, source, step = ends if into else (*ends[2:], *ends[:2])
        all_columns = f["columns"] if into else self.up(self.columns, self.tile.rows)
        given = (self.rows, self.columns, self.rows, all_columns)
        code.run("pack", to, to_step, source, step, *given)


def forward(tile: Tile, causal: bool, keeps: bool) -> str:
    """``kernel(y, q, k, v, kept, table, scratch, scale, start, stop)`` over heads; ``keeps``: the
    probabilities go into ``kept``."""
    head = _Head(tile, causal, ("y", "q", "k", "v"))
    f = head.f

    def before() -> None:
        rows = head.up(f["columns"], tile.lanes)
        head.copy_in("k", "keys", "width", f["columns"], rows)
        head.turned("keys", "turned_keys", "width")
        head.copy_in("v", "values", "value_width", f["columns"], f["columns"])

    def rows() -> None:
        head.probabilities()
        if keeps:
            head.kept(into=True)
        steps = (f["padded_value_width"], f["score_step"], f["padded_value_width"])
        width = f["padded_value_width"]
        head.multiply("result", "scores", "values", width, head.columns, steps)
        head.copy_out("y", "result", "value_width", head.r0, head.rows)

    return head.each(before, rows, lambda: None)


def backward(tile: Tile, causal: bool, keeps: bool) -> str:
    """``kernel(dq, dk, dv, g, q, k, v, kept, table, scratch, scale, start, stop)``; ``keeps``: the
    probabilities are in ``kept``, else they are computed again."""
    head = _Head(tile, causal, ("dq", "dk", "dv", "g", "q", "k", "v"))
    code, f = head.code, head.f

    def before() -> None:
        rows = head.up(f["columns"], tile.lanes)
        head.copy_in("k", "keys", "width", f["columns"], rows)
        if not keeps:
            head.turned("keys", "turned_keys", "width")
        head.copy_in("v", "values", "value_width", f["columns"], rows)
        head.turned("values", "turned_values", "value_width")
        for name, width in (("key_slopes", "width"), ("value_slopes", "value_width")):
            size = head.up(f["columns"], tile.rows) * f[f"padded_{width}"]
            zero = code.constant(tile.element, 0)
            place = head.scratch[name]
            code.loop(0, size, lambda i, p=place, z=zero: code.store(z, p, i))

    def slopes() -> None:
        scales = {1: code["scale"], tile.lanes: code.splat(code["scale"], tile.lanes)}

        def row(i: Value, place: Value, seen: Value) -> None:
            p = head.at(head.scratch["scores"], place)
            ds = head.at(head.scratch["slopes"], place)

            def both(wide: int, j: Value) -> tuple[Value, Value]:
                kind = vector_of(tile.element, wide)
                return code.load(kind, p, j), code.load(kind, ds, j)

            def term(wide: int, j: Value) -> list[Value]:
                a, b = both(wide, j)
                return [a * b]

            (total,) = row_sums(code, tile.element, tile.lanes, 0, seen, term, unroll=1)
            along = code.narrow(total, tile.element)
            along = {1: along, tile.lanes: code.splat(along, tile.lanes)}

            def write(wide: int, j: Value) -> None:
                a, b = both(wide, j)
                code.store((b - along[wide]) * a * scales[wide], ds, j)

            row_pass(code, tile.lanes, 0, seen, write)
            head.zeros_after(ds, seen)

        head.each_row(row)

    def rows() -> None:
        if keeps:
            head.block_in("q", "queries", "width")
            head.kept(into=False)
        else:
            head.probabilities()
        head.block_in("g", "grads", "value_width")
        columns = head.up(head.columns, tile.columns)
        steps = (f["score_step"], f["padded_value_width"], f["padded_columns"])
        head.multiply("slopes", "grads", "turned_values", columns, f["value_width"], steps)
        head.gather("value_slopes", "scores", "grads", "value_width")
        slopes()
        steps = (f["padded_width"], f["score_step"], f["padded_width"])
        head.multiply("result", "slopes", "keys", f["padded_width"], head.columns, steps)
        head.copy_out("dq", "result", "width", head.r0, head.rows)
        head.gather("key_slopes", "slopes", "queries", "width")

    def after() -> None:
        head.copy_out("dk", "key_slopes", "width", 0, f["columns"])
        head.copy_out("dv", "value_slopes", "value_width", 0, f["columns"])

    return head.each(before, rows, after)
