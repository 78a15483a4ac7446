"""Passes over rows in LLVM's language, written by hand: sums, moments, and the norms.

``eager_kernels.py`` has such passes in the loop language, where one dtype serves for everything;
what is here needs sums in float64, parameters of the columns, or several results.
"""

from __future__ import annotations

from collections.abc import Callable

from .builder import I64, PTR, Code, Value, vector_of

UNROLL = 4  # vectors of one sum: so many additions run at once
BLOCK = 2048  # elements that are added in the dtype itself; their sums are added in float64
ROWS = 64  # rows whose share of a sum over rows is added before it joins the others

Terms = Callable[[int, Value], list[Value]]


def row_sums(
    code: Code,
    element: str,
    lanes: int,
    start: Value | int,
    stop: Value,
    terms: Terms,
    count: int = 1,
    unroll: int = UNROLL,
) -> list[Value]:
    """Sums in float64 of what ``terms(lanes, i)`` gives for the elements from ``start`` to
    ``stop``, vectors or single ones; it may also store something. ``unroll``: vectors of each
    turn, 1 or 4."""
    zero, nothing = code.constant(vector_of(element, lanes), 0), code.constant(element, 0)

    def block(i: Value, *totals: Value) -> list[Value]:
        end = code.smaller(i + BLOCK, stop)
        unrolled = i + ((end - i) & -(lanes * unroll))
        whole = unrolled + ((end - unrolled) & -lanes)

        def many(j: Value, *sums: Value) -> list[Value]:
            following = []
            for u in range(unroll):
                given = terms(lanes, j + u * lanes if u else j)
                following += [s + t for s, t in zip(sums[u * count :], given, strict=False)]
            return following

        def single(j: Value, *sums: Value) -> list[Value]:
            return [s + t for s, t in zip(sums, terms(1, j), strict=True)]

        def vector(j: Value, *sums: Value) -> list[Value]:
            return [s + t for s, t in zip(sums, terms(lanes, j), strict=True)]

        sums = code.loop(i, unrolled, many, [zero] * (count * unroll), step=lanes * unroll)
        joined = sums
        if unroll > 1:
            parts = [sums[n::count] for n in range(count)]
            joined = [(p[0] + p[1]) + (p[2] + p[3]) for p in parts]
            joined = code.loop(unrolled, whole, vector, joined, step=lanes)
        singles = code.loop(whole, end, single, [nothing] * count)
        return [
            t + code.wide(code.total(v)) + code.wide(s)
            for t, v, s in zip(totals, joined, singles, strict=True)
        ]

    zeros = [code.constant("double", 0.0)] * count
    return code.loop(start, stop, block, zeros, step=BLOCK)


def row_pass(
    code: Code, lanes: int, start: Value | int, stop: Value, body: Callable[[int, Value], None]
) -> None:
    """``body(lanes, i)`` for vectors of elements, then for the single ones that remain."""
    start = code.lift(start, I64)
    whole = start + ((stop - start) & -lanes)
    code.loop(start, whole, lambda i: body(lanes, i), step=lanes)
    code.loop(whole, stop, lambda i: body(1, i))


def _columns(code: Code, element: str) -> Callable[[str, int, Value], Value]:
    """How to load the vector (or element) of an array at an index."""

    def load(name: str, wide: int, i: Value) -> Value:
        return code.load(vector_of(element, wide), code[name], i)

    return load


def _total(code: Code, element: str, lanes: int, x: Value, n: Value) -> Value:
    """The sum of ``n`` elements from ``x`` on, in float64."""
    (total,) = row_sums(
        code, element, lanes, 0, n, lambda w, i: [code.load(vector_of(element, w), x, i)]
    )
    return total


def sums(element: str, lanes: int) -> str:
    """``kernel(out, x, columns, count, start, stop)``: the sum of each row over ``count``, rounded
    once."""
    parameters = {"out": PTR, "x": PTR, "columns": I64, "count": "double"}
    code = Code("kernel", {**parameters, "start": I64, "stop": I64})

    def row(r: Value) -> None:
        x = code.at(code["x"], element, r * code["columns"])
        total = _total(code, element, lanes, x, code["columns"])
        code.store(code.narrow(total / code["count"], element), code["out"], r)

    code.loop(code["start"], code["stop"], row)
    return code.text()


def whole_sum(element: str, lanes: int, wide: int) -> str:
    """``kernel(out, x, sums, line, size, lines, count, start, stop)``: out[0] = the sum of all
    ``size`` elements over ``count``, rounded once. Each of ``lines`` lines of ``line`` elements
    (the last one may be shorter) leaves its sum in float64 in ``sums``; behind these is counted,
    from 0, how many are done: whoever does the last one adds them up, ``wide`` at a time."""
    parameters = {"out": PTR, "x": PTR, "sums": PTR, "line": I64, "size": I64, "lines": I64}
    code = Code("kernel", {**parameters, "count": "double", "start": I64, "stop": I64})
    sums, lines = code["sums"], code["lines"]

    def line(r: Value) -> None:
        begin = r * code["line"]
        n = code.smaller(code["size"] - begin, code["line"])
        x = code.at(code["x"], element, begin)
        code.store(_total(code, element, lanes, x, n), sums, r)

    def finish() -> None:
        total = _total(code, "double", wide, sums, lines)
        code.store(code.narrow(total / code["count"], element), code["out"])

    code.loop(code["start"], code["stop"], line)
    own = code["stop"] - code["start"]
    before = code.new(I64, f"atomicrmw add {code.at(sums, I64, lines)}, {own} seq_cst")
    code.when((before + own).equals(lines), finish)
    return code.text()


def moments(element: str, lanes: int) -> str:
    """``kernel(mean, squares, x, columns, start, stop)``: mean and sum of squared deviations of
    each row, in float64. Deviations are taken from the rounded mean, and what that left
    out is put right: sum((x - m)^2) - sum(x - m)^2 / n."""
    parameters = {"mean": PTR, "squares": PTR, "x": PTR, "columns": I64}
    code = Code("kernel", {**parameters, "start": I64, "stop": I64})
    n = code["columns"]
    count = code.cast("sitofp", n, "double")

    def row(r: Value) -> None:
        x = code.at(code["x"], element, r * n)
        (total,) = row_sums(
            code, element, lanes, 0, n, lambda w, i: [code.load(vector_of(element, w), x, i)]
        )
        rough = code.narrow(total / count, element)
        means = {1: rough, lanes: code.splat(rough, lanes)}

        def deviations(wide: int, i: Value) -> list[Value]:
            d = code.load(vector_of(element, wide), x, i) - means[wide]
            return [d, d * d]

        rest, squares = row_sums(code, element, lanes, 0, n, deviations, 2)
        code.store(code.wide(rough) + rest / count, code["mean"], r)
        code.store(squares - rest * rest / count, code["squares"], r)

    code.loop(code["start"], code["stop"], row)
    return code.text()


def norm_forward(element: str, lanes: int, centred: bool, weight: bool, bias: bool) -> str:
    """``kernel(y, mean, rstd, x, weight, bias, eps, columns, start, stop)``: rows normalised.

    y = (x - mean) * rstd * weight + bias, rstd = 1 / sqrt(mean((x - mean)^2) + eps).
    """
    names = ["y", "mean", "rstd", "x", "weight", "bias"]
    parameters = {**dict.fromkeys(names, PTR), "eps": "double", "columns": I64}
    code = Code("kernel", {**parameters, "start": I64, "stop": I64})
    n = code["columns"]
    count = code.cast("sitofp", n, "double")
    load = _columns(code, element)

    def row(r: Value) -> None:
        x = code.at(code["x"], element, r * n)
        y = code.at(code["y"], element, r * n)
        mean = code.constant(element, 0)
        if centred:
            (total,) = row_sums(
                code, element, lanes, 0, n, lambda w, i: [code.load(vector_of(element, w), x, i)]
            )
            mean = code.narrow(total / count, element)
        means = {1: mean, lanes: code.splat(mean, lanes)}

        def deviation(wide: int, i: Value) -> Value:
            value = code.load(vector_of(element, wide), x, i)
            return value - means[wide] if centred else value

        def square(wide: int, i: Value) -> list[Value]:
            d = deviation(wide, i)
            return [d * d]

        (squares,) = row_sums(code, element, lanes, 0, n, square)
        one = code.constant("double", 1.0)
        rstd = code.narrow(one / code.root(squares / count + code["eps"]), element)
        scales = {1: rstd, lanes: code.splat(rstd, lanes)}

        def write(wide: int, i: Value) -> None:
            value = deviation(wide, i) * scales[wide]
            if weight:
                value = value * load("weight", wide, i)
            if bias:
                value = value + load("bias", wide, i)
            code.store(value, y, i)

        row_pass(code, lanes, 0, n, write)
        code.store(mean, code["mean"], r)
        code.store(rstd, code["rstd"], r)

    code.loop(code["start"], code["stop"], row)
    return code.text()


def norm_backward(
    element: str, lanes: int, centred: bool, weight: bool, needs: tuple[bool, bool, bool]
) -> str:
    """``kernel(dx, dweight, dbias, g, x, mean, rstd, weight, block, columns, start, stop)``.

    dx = rstd * (gw - mean(gw) - xhat * mean(gw * xhat)) with gw = g * weight; the sums over rows
    of g * xhat and of g are added to ``dweight`` and ``dbias``. ``block``: 2 * columns of scratch.
    ``needs``: which of the three.
    """
    names = ["dx", "dweight", "dbias", "g", "x", "mean", "rstd", "weight", "block"]
    parameters = {**dict.fromkeys(names, PTR), "columns": I64, "start": I64, "stop": I64}
    code = Code("kernel", parameters)
    n = code["columns"]
    count = code.cast("sitofp", n, "double")
    load = _columns(code, element)
    shares = [
        (total, code.at(code["block"], element, n * place), which)
        for place, (total, which) in enumerate((("dweight", 1), ("dbias", 2)))
        if needs[which]
    ]

    def each_share(body: Callable[[Value, Value, int, Value], None]) -> None:
        for total, share, _ in shares:
            row_pass(code, lanes, 0, n, lambda w, i, t=total, s=share: body(code[t], s, w, i))

    def clear(total: Value, share: Value, wide: int, i: Value) -> None:
        code.store(code.constant(vector_of(element, wide), 0), share, i)

    def join(total: Value, share: Value, wide: int, i: Value) -> None:
        kind = vector_of(element, wide)
        code.store(code.load(kind, total, i) + code.load(kind, share, i), total, i)

    def row(r: Value) -> None:
        g = code.at(code["g"], element, r * n)
        x = code.at(code["x"], element, r * n)
        mean, rstd = (code.load(element, code[name], r) for name in ("mean", "rstd"))
        means = {1: mean, lanes: code.splat(mean, lanes)}
        scales = {1: rstd, lanes: code.splat(rstd, lanes)}

        def both(wide: int, i: Value) -> tuple[Value, Value]:
            """The gradient and the normalised value."""
            kind = vector_of(element, wide)
            value = code.load(kind, x, i)
            if centred:
                value = value - means[wide]
            return code.load(kind, g, i), value * scales[wide]

        def share(wide: int, i: Value) -> list[Value]:
            grad, xhat = both(wide, i)
            for _, place, which in shares:
                term = grad * xhat if which == 1 else grad
                code.store(code.load(term.kind, place, i) + term, place, i)
            if not needs[0]:
                return []
            gw = grad * load("weight", wide, i) if weight else grad
            return [gw * xhat, gw] if centred else [gw * xhat]

        if not needs[0]:
            row_pass(code, lanes, 0, n, share)
            return
        sums = row_sums(code, element, lanes, 0, n, share, 1 + centred)
        averages = [code.narrow(s / count, element) for s in sums]
        wides = [{1: a, lanes: code.splat(a, lanes)} for a in averages]
        dx = code.at(code["dx"], element, r * n)

        def write(wide: int, i: Value) -> None:
            grad, xhat = both(wide, i)
            gw = grad * load("weight", wide, i) if weight else grad
            rest = xhat * wides[0][wide]
            if centred:
                rest = rest + wides[1][wide]
            code.store((gw - rest) * scales[wide], dx, i)

        row_pass(code, lanes, 0, n, write)

    def rows(first: Value) -> None:
        each_share(clear)
        code.loop(first, code.smaller(first + ROWS, code["stop"]), row)
        each_share(join)

    code.loop(code["start"], code["stop"], rows, step=ROWS)
    return code.text()


# ---- rows that belong to channels ----------------------------------------------------------


class _Channels:
    """Rows (image, channel) of ``columns`` elements, with numbers of their channel."""

    def __init__(
        self, element: str, lanes: int, arrays: tuple[str, ...], numbers: tuple[str, ...]
    ) -> None:
        parameters = dict.fromkeys((*arrays, *numbers), PTR)
        parameters |= dict.fromkeys(("channels", "columns", "start", "stop"), I64)
        self.code = code = Code("kernel", parameters)
        self.element, self.lanes, self.numbers = element, lanes, numbers
        self.columns = code["columns"]

    def text(self, row: Callable[[Value, dict[str, dict[int, Value]]], None]) -> str:
        """The kernel: ``row(r, numbers)``, each number by the width in which it is needed."""
        code = self.code

        def one(r: Value) -> None:
            numbers = {}
            for name in self.numbers:
                value = code.load(self.element, code[name], r % code["channels"])
                numbers[name] = {1: value, self.lanes: code.splat(value, self.lanes)}
            row(r, numbers)

        code.loop(code["start"], code["stop"], one)
        return code.text()

    def line(self, name: str, r: Value) -> Value:
        return self.code.at(self.code[name], self.element, r * self.columns)


def channels_scaled(element: str, lanes: int) -> str:
    """``kernel(y, x, mean, scale, shift, channels, columns, start, stop)`` over rows
    (image, channel): y = (x - mean) * scale + shift with the numbers of the channel."""
    kernel = _Channels(element, lanes, ("y", "x"), ("mean", "scale", "shift"))
    code = kernel.code

    def row(r: Value, numbers: dict[str, dict[int, Value]]) -> None:
        x, y = kernel.line("x", r), kernel.line("y", r)
        mean, scale, shift = (numbers[n] for n in kernel.numbers)

        def some(wide: int, i: Value) -> None:
            centred = code.load(vector_of(element, wide), x, i) - mean[wide]
            code.store(code.fma(centred, scale[wide], shift[wide]), y, i)

        row_pass(code, lanes, 0, kernel.columns, some)

    return kernel.text(row)


def channels_correlated(element: str, lanes: int) -> str:
    """``kernel(sums, products, g, x, mean, channels, columns, start, stop)``: of every row the
    sum of g and that of g * (x - mean), in float64."""
    kernel = _Channels(element, lanes, ("sums", "products", "g", "x"), ("mean",))
    code = kernel.code

    def row(r: Value, numbers: dict[str, dict[int, Value]]) -> None:
        g, x = kernel.line("g", r), kernel.line("x", r)

        def terms(wide: int, i: Value) -> list[Value]:
            kind = vector_of(element, wide)
            grad = code.load(kind, g, i)
            return [grad, grad * (code.load(kind, x, i) - numbers["mean"][wide])]

        total, product = row_sums(code, element, lanes, 0, kernel.columns, terms, 2)
        code.store(total, code["sums"], r)
        code.store(product, code["products"], r)

    return kernel.text(row)


def channels_combined(element: str, lanes: int) -> str:
    """``kernel(dx, g, x, mean, scale, slope, shift, channels, columns, start, stop)``:
    dx = g * scale + (x - mean) * slope + shift with the numbers of the channel."""
    kernel = _Channels(element, lanes, ("dx", "g", "x"), ("mean", "scale", "slope", "shift"))
    code = kernel.code

    def row(r: Value, numbers: dict[str, dict[int, Value]]) -> None:
        g, x, dx = (kernel.line(n, r) for n in ("g", "x", "dx"))
        mean, scale, slope, shift = (numbers[n] for n in kernel.numbers)

        def some(wide: int, i: Value) -> None:
            kind = vector_of(element, wide)
            centred = code.load(kind, x, i) - mean[wide]
            rest = code.fma(centred, slope[wide], shift[wide])
            code.store(code.fma(code.load(kind, g, i), scale[wide], rest), dx, i)

        row_pass(code, lanes, 0, kernel.columns, some)

    return kernel.text(row)
