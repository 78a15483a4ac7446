"""Attention in LLVM's language: a head at a time, rows of its scores in scratch memory only.

    p = softmax(q k^T * scale)   y = p v   dv = p^T g   ds = p (g v^T - sum(g v^T * p))
    dq = ds k * scale            dk = ds^T (q * scale)

Scores are computed for a block of rows that the cache holds, most often all of them. Causal
attention leaves out the tiles of every product after which a row sees nothing.

The passes over scores take the rows of a tile side by side, which fill the same vectors: whole
ones as far as the first row sees all, then a few in which lanes that a row does not see count for
nothing and become zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from . import product_text
from .builder import I64, PTR, Code, Value
from .product_text import ALL
from .scalar_functions import exp_below
from .tiles import Tile

#: The table: sizes of a head; rows at once; elements of scratch for a thread; whether products
#: bring the arrays of the next head closer; steps between batches, heads and rows of every array;
#: then, of the scratch, the step of the scores, the padded widths, and where its matrices begin.
ARRAYS = ("q", "k", "v", "y", "g", "dq", "dk", "dv")
FIELDS = (
    "heads", "rows", "columns", "width", "value_width", "rows_each", "scratch", "brings",
    *(f"{name}_{step}" for name in ARRAYS for step in ("batch", "head", "row")),
    "score_step", "padded_columns", "padded_width", "padded_value_width",
    "zeros_at", "one_at", "scale_at", "factors_at", "queries_at", "keys_at", "turned_keys_at",
    "values_at", "turned_values_at", "grads_at", "scores_at", "slopes_at", "result_at",
    "key_slopes_at", "value_slopes_at",
)  # fmt: skip
BLOCK = 1024  # columns whose values are added in the dtype itself, before their sums are


class _Tile:
    """A tile's rows in the passes: the first row, and the vectors."""

    def __init__(self, head: _Head, first: Value) -> None:
        code, lanes = head.code, head.tile.lanes
        self.head = head
        rows = range(head.tile.rows)
        self.rows = [first + n for n in rows]
        self.seen = [head.f["columns"]] * len(rows)  # columns that each of them sees
        if head.causal:
            self.seen = [code.smaller(self.seen[0], head.r0 + m + 1) for m in self.rows]
        self.whole = self.seen[0] & -lanes
        self.end = head.up(self.seen[-1], lanes)
        self.place = [m * head.f["score_step"] for m in self.rows]

    def line(self, name: str, n: int) -> Value:
        """Row ``n`` of the tile in the scores or the slopes."""
        return self.head.at(self.head.scratch[name], self.place[n])

    def walk(
        self,
        body: Callable[..., Value | None],
        start: Value | None = None,
        join: Callable[[Value, Value], Value] | None = None,
    ) -> list[Value]:
        """``body(n, j, seen)`` for each row and the vector at ``j``; ``seen``: the lanes that the
        row sees, or None for all. What it gives is joined to ``start``, first by blocks."""
        code, lanes = self.head.code, self.head.tile.lanes
        none = [] if join is None else [start] * len(self.rows)

        def each(j: Value, values: Sequence[Value], masked: bool) -> list[Value]:
            found = []
            for n in range(len(self.rows)):
                seen = None
                if masked:
                    seen = code.first_lanes(lanes, self.seen[n] - j)
                given = body(n, j, seen)
                if join is not None:
                    found.append(join(given, values[n]))
            return found

        def whole(j: Value, *values: Value) -> list[Value]:
            return each(j, values, False)

        def edge(j: Value, *values: Value) -> list[Value]:
            return each(j, values, True)

        def block(i: Value, *values: Value) -> list[Value]:
            stop = code.smaller(i + BLOCK, self.whole)
            sums = code.loop(i, stop, whole, none, step=lanes)
            return [join(s, v) for s, v in zip(sums, values, strict=True)]

        if join is None:
            found = code.loop(0, self.whole, whole, step=lanes)
        else:
            found = code.loop(0, self.whole, block, none, step=BLOCK)
        return code.loop(self.whole, self.end, edge, found, step=lanes)


class _Head:
    """One head: its arrays and what both directions do with them."""

    def __init__(self, tile: Tile, causal: bool, arrays: tuple[str, ...]) -> None:
        parameters = {**dict.fromkeys((*arrays, "kept", "table", "scratch"), PTR)}
        parameters |= {"share": I64, "scale": tile.element, "start": I64, "stop": I64}
        self.code = code = Code("kernel", parameters)
        self.tile, self.causal, self.arrays = tile, causal, arrays
        self.f = {name: code.load(I64, code["table"], i) for i, name in enumerate(FIELDS)}
        scratch = self.at(code["scratch"], code["start"] // code["share"] * self.f["scratch"])
        self.scratch = {
            name[:-3]: self.at(scratch, self.f[name]) for name in FIELDS if name[-3:] == "_at"
        }

    def at(self, pointer: Value, index: Value | int) -> Value:
        return self.code.at(pointer, self.tile.element, index)

    def up(self, n: Value, step: int) -> Value:
        return (n + (step - 1)) // step * step

    def places(self, i: Value) -> dict[str, Value]:
        """Where head ``i`` begins in every array."""
        f = self.f
        batch, head = i // f["heads"], i % f["heads"]
        return {
            name: self.at(self.code[name], batch * f[f"{name}_batch"] + head * f[f"{name}_head"])
            for name in self.arrays
        }

    def near(self, *names: str) -> tuple[list[Value], list[Value]]:
        """Arrays for a product to bring closer: places and steps of those that the next head
        reads, and of those that this one writes."""
        f = self.f
        places = [
            self.place[n] if n in ("y", "dq", "dk", "dv") else self.following[n] for n in names
        ]
        return places, [f[f"{n}_row"] for n in names]

    def each(self, before: Callable[[], None], rows: Callable[[], None], after: Callable) -> str:
        """The text: ``before``, ``rows`` for every block of rows, ``after``, for every head."""
        code, f = self.code, self.f

        def head(i: Value) -> None:
            self.number = i
            self.place = self.places(i)
            self.following = self.places(code.smaller(i + 1, code["stop"] - 1))
            before()

            def block(r0: Value) -> None:
                self.r0 = r0
                self.rows = code.smaller(f["rows_each"], f["rows"] - r0)
                self.padded_rows = self.up(self.rows, self.tile.rows)
                self.columns = f["columns"]
                self.sees: Value | int = ALL  # columns that a tile sees, less its first row
                if self.causal:
                    self.columns = code.smaller(self.columns, r0 + self.rows)
                    self.sees = r0 + self.tile.rows
                rows()

            code.loop(0, f["rows"], block, step=f["rows_each"])
            after()

        zero, zeros = code.constant(self.tile.vector, 0), self.scratch["zeros"]
        code.loop(0, f["columns"], lambda j: code.store(zero, zeros, j), step=self.tile.lanes)
        code.store(code.constant(self.tile.element, 1), self.scratch["one"])
        code.store(code["scale"], self.scratch["scale"])
        code.loop(code["start"], code["stop"], head)
        return f"{product_text.texts(self.tile)}\n{code.text()}"

    # ---- copies

    def copy_in(
        self, name: str, to: str, width: str, rows: Value, all_rows: Value, factor: str = "one"
    ) -> None:
        """Rows of an array into the scratch, all or those of the block."""
        f, source = self.f, self.place[name]
        if rows is not f["columns"]:
            source = self.at(source, self.r0 * f[f"{name}_row"])
        self.code.run(
            "pack", self.scratch[to], source, self.scratch[factor], f[f"padded_{width}"],
            f[f"{name}_row"], 0, rows, f[width], all_rows,
        )  # fmt: skip

    def copy_out(
        self,
        name: str,
        source: str,
        width: str,
        first: Value | int,
        rows: Value,
        factors: tuple[str, int] = ("one", 0),
    ) -> None:
        """Rows from the scratch into an array, from its row ``first`` on, each times a factor;
        ``factors``: where they are, and the step from one to the next."""
        f, (factor, step) = self.f, factors
        self.code.run(
            "pack", self.at(self.place[name], f[f"{name}_row"] * first), self.scratch[source],
            self.scratch[factor], f[f"{name}_row"], f[f"padded_{width}"], step, rows, f[width],
            rows,
        )  # fmt: skip

    def turn(self, to: Value, source: Value, step: Value, rows: Value, width: str) -> None:
        f = self.f
        self.code.run("turn", to, source, f["padded_columns"], step, rows, f[width])

    def turned(self, name: str, to: str, width: str, spare: str) -> None:
        """The transpose of an array in the scratch: from where it is, as far as its squares are
        whole ones, and the rest by way of ``spare``."""
        code, f, lanes = self.code, self.f, self.tile.lanes
        step, source = f[f"{name}_row"], self.place[name]
        fits = (f[width] % lanes).equals(0)
        whole = code.select(fits, f["columns"] & -lanes, 0)
        self.turn(self.scratch[to], source, step, whole, width)
        rest = f["columns"] - whole
        padded = self.up(rest, lanes)
        code.run(
            "pack", self.scratch[spare], self.at(source, whole * step), self.scratch["one"],
            f[f"padded_{width}"], step, 0, rest, f[width], padded,
        )  # fmt: skip
        to = self.at(self.scratch[to], whole)
        self.turn(to, self.scratch[spare], f[f"padded_{width}"], padded, width)

    def kept(self, *, into: bool) -> None:
        """The probabilities of the block into ``kept``, or from there."""
        code, f, s, step = self.code, self.f, self.scratch, self.tile.rows

        def some(m: Value) -> None:
            rows, columns = code.smaller(self.rows - m, step), f["columns"]
            if self.causal:
                columns = code.smaller(columns, m + self.sees)
            begin = (self.number * f["rows"] + self.r0 + m) * f["columns"]
            theirs, ours = self.at(code["kept"], begin), self.at(s["scores"], m * f["score_step"])
            if into:
                factors = self.at(s["factors"], m)
                sizes = (rows, columns, rows)
                code.run("pack", theirs, ours, factors, f["columns"], f["score_step"], 1, *sizes)
                rest = self.at(theirs, columns)
                sizes = (rows, f["columns"] - columns, rows)
                code.run("pack", rest, s["zeros"], s["one"], f["columns"], 0, 0, *sizes)
            else:
                sizes = (rows, columns, rows)
                code.run("pack", ours, theirs, s["one"], f["score_step"], f["columns"], 0, *sizes)

        code.loop(0, self.rows, some, step=step)

    # ---- products

    def score(self, to: str, a: str, b: str, width: str) -> None:
        """``to`` = a b for the block's rows, where ``to`` has the shape of the scores."""
        f, s = self.f, self.scratch
        self.code.run(
            "score", s[to], s[a], s[b], f["score_step"], f[f"padded_{width}"],
            f["padded_columns"], self.padded_rows, self.columns, f[width], self.sees,
        )  # fmt: skip

    def apply(self, a: str, b: str, width: str, near: tuple[str, str, str]) -> None:
        """``result`` = a b for the block's rows, where a has the shape of the scores."""
        f, s = self.f, self.scratch
        padded = f[f"padded_{width}"]
        places, steps = self.near(*near)
        self.code.run(
            "apply", s["result"], s[a], s[b], *places, padded, f["score_step"], padded,
            self.padded_rows, padded, self.columns, self.sees, *steps, f["brings"],
        )  # fmt: skip

    def gather(self, to: str, a: str, b: str, width: str, near: tuple[str, str, str]) -> None:
        """``to`` += a^T b over the block's rows, where a has the shape of the scores."""
        f, s = self.f, self.scratch
        padded = f[f"padded_{width}"]
        places, steps = self.near(*near)
        seen_from, new_from = self.r0, self.r0
        if not self.causal:
            seen_from, new_from = ALL, self.code.select(self.r0.equals(0), self.r0, ALL)
        self.code.run(
            "gather", s[to], s[a], s[b], *places, padded, f["score_step"], padded, self.columns,
            padded, self.rows, seen_from, new_from, *steps, f["brings"],
        )  # fmt: skip

    # ---- passes over the scores

    def tiles(self, body: Callable[[_Tile], None]) -> None:
        """``body`` for every tile of the block's rows."""
        step = self.tile.rows
        self.code.loop(0, self.padded_rows, lambda m: body(_Tile(self, m)), step=step)

    def only(self, seen: Value | None, value: Value, other: float = 0.0) -> Value:
        """``value`` in the lanes that are seen, ``other`` in the others."""
        return value if seen is None else self.code.select(seen, value, other)

    def sums(self, rows: _Tile, terms: Callable[..., Value]) -> list[Value]:
        """The sum of ``terms(n, j, seen)`` for each row of a tile."""
        code = self.code
        zero = code.constant(self.tile.vector, 0)
        return [code.total(v) for v in rows.walk(terms, zero, lambda a, b: a + b)]

    def queries(self) -> None:
        """The block's rows of q * scale."""
        self.copy_in("q", "queries", "width", self.rows, self.padded_rows, "scale")

    def exponentials(self) -> None:
        """The scores of the block, and exp(score - the row's largest) in their place; ``factors``:
        1 / the row's sum of them, with which they are probabilities."""
        code, tile = self.code, self.tile
        self.queries()
        self.score("scores", "queries", "turned_keys", "width")

        def softmax(rows: _Tile) -> None:
            lines = [rows.line("scores", n) for n in range(tile.rows)]

            def scores(n: int, j: Value, seen: Value | None) -> Value:
                return self.only(seen, code.load(tile.vector, lines[n], j), float("-inf"))

            lowest = code.constant(tile.vector, float("-inf"))
            tops = rows.walk(scores, lowest, code.larger)
            tops = [code.splat(code.highest(t), tile.lanes) for t in tops]

            def power(n: int, j: Value, seen: Value | None) -> Value:
                value = code.apply(exp_below, code.load(tile.vector, lines[n], j) - tops[n])
                value = self.only(seen, value)
                code.store(value, lines[n], j)
                return value

            for n, total in enumerate(self.sums(rows, power)):
                factor = code.constant(tile.element, 1.0) / total
                code.store(factor, self.scratch["factors"], rows.rows[n])

        self.tiles(softmax)

    def slopes(self, *, scaled: bool) -> None:
        """ds in the place of g v^T; ``scaled``: and p in that of the exponentials, which are there
        instead."""
        code, tile = self.code, self.tile

        def rows(some: _Tile) -> None:
            scores = [some.line("scores", n) for n in range(tile.rows)]
            slopes = [some.line("slopes", n) for n in range(tile.rows)]

            def both(n: int, j: Value) -> tuple[Value, Value]:
                return code.load(tile.vector, scores[n], j), code.load(tile.vector, slopes[n], j)

            def term(n: int, j: Value, seen: Value | None) -> Value:
                e, dp = both(n, j)
                return self.only(seen, e * dp)

            along = self.sums(some, term)
            if scaled:
                factors = [code.load(tile.element, self.scratch["factors"], m) for m in some.rows]
                along = [a * f for a, f in zip(along, factors, strict=True)]
                factors = [code.splat(f, tile.lanes) for f in factors]
            along = [code.splat(a, tile.lanes) for a in along]

            def write(n: int, j: Value, seen: Value | None) -> None:
                e, dp = both(n, j)
                if scaled:
                    e = e * factors[n]
                    code.store(self.only(seen, e), scores[n], j)
                code.store(self.only(seen, (dp - along[n]) * e), slopes[n], j)

            some.walk(write)

        self.tiles(rows)


def forward(tile: Tile, causal: bool, keeps: bool) -> str:
    """``kernel(y, q, k, v, kept, table, scratch, share, scale, start, stop)`` over heads, at most
    ``share`` of them for each scratch; ``keeps``: the probabilities go into ``kept``."""
    head = _Head(tile, causal, ("y", "q", "k", "v"))
    f = head.f

    def before() -> None:
        head.turned("k", "turned_keys", "width", "keys")
        head.copy_in("v", "values", "value_width", f["columns"], f["columns"])

    def rows() -> None:
        head.exponentials()
        if keeps:
            head.kept(into=True)
        head.apply("scores", "values", "value_width", ("q", "k", "v"))
        head.copy_out("y", "result", "value_width", head.r0, head.rows, ("factors", 1))

    return head.each(before, rows, lambda: None)


def backward(tile: Tile, causal: bool, keeps: bool) -> str:
    """``kernel(dq, dk, dv, g, q, k, v, kept, table, scratch, share, scale, start, stop)``, as
    ``forward``; ``keeps``: the probabilities are in ``kept``, else they are computed again."""
    head = _Head(tile, causal, ("dq", "dk", "dv", "g", "q", "k", "v"))
    code, f = head.code, head.f

    def before() -> None:
        rows = head.up(f["columns"], tile.lanes)
        head.copy_in("k", "keys", "width", f["columns"], rows)
        if not keeps:
            width, turned = f["padded_width"], head.scratch["turned_keys"]
            head.turn(turned, head.scratch["keys"], width, rows, "padded_width")
        head.turned("v", "turned_values", "value_width", "values")
        if causal:  # columns that no row sees
            seen = code.smaller(head.up(f["rows"], tile.rows), f["columns"])
            zero = code.constant(tile.vector, 0)
            for name, width in (("key_slopes", "width"), ("value_slopes", "value_width")):
                begin, end = (n * f[f"padded_{width}"] for n in (seen, f["columns"]))
                place = head.scratch[name]
                code.loop(begin, end, lambda i, p=place: code.store(zero, p, i), step=tile.lanes)

    def rows() -> None:
        if keeps:
            head.queries()
            head.kept(into=False)
        else:
            head.exponentials()
        head.copy_in("g", "grads", "value_width", head.rows, head.padded_rows)
        head.score("slopes", "grads", "turned_values", "value_width")
        head.slopes(scaled=not keeps)
        head.gather("value_slopes", "scores", "grads", "value_width", ("v", "g", "dv"))
        head.apply("slopes", "keys", "width", ("q", "dq", "dk"))
        head.copy_out("dq", "result", "width", head.r0, head.rows, ("scale", 0))
        head.gather("key_slopes", "slopes", "queries", "width", ("k", "dk", "dv"))

    def after() -> None:
        head.copy_out("dk", "key_slopes", "width", 0, f["columns"])
        head.copy_out("dv", "value_slopes", "value_width", 0, f["columns"])

    return head.each(before, rows, after)
