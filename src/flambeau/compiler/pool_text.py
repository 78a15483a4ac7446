"""Maxima over sliding windows in LLVM's language, the way of gradients back to them, and weighted
sums over windows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

from .builder import I64, PTR, Code, Value, literal, vector_of

#: The table of ``maximum``: sizes, output sizes, strides, paddings and dilations along depth, rows
#: and columns; output columns whose windows are whole: from the first to below the second.
FIELDS = (
    "depth", "height", "width", "out_depth", "out_height", "out_width",
    "stride_d", "stride_h", "stride_w", "pad_d", "pad_h", "pad_w",
    "dilation_d", "dilation_h", "dilation_w", "whole_from", "whole_to",
)  # fmt: skip


def maximum(element: str, lanes: int, kernel: tuple[int, int, int], stride_w: int) -> str:
    """``kernel(best, where, x, table, start, stop)`` over planes of (depth, height, width).

    The maximum of each window, and where it is in the plane (int64): the first of equal ones, the
    last nan. Windows that are whole take their taps without a test, and those of
    ``stride_w`` 1 or 2 (with a dilation of 1) ``lanes`` at a time; 0 is any other stride.
    """
    parameters = {**dict.fromkeys(("best", "where", "x", "table"), PTR), "start": I64, "stop": I64}
    code = Code("kernel", parameters)
    f = {name: code.load(I64, code["table"], i) for i, name in enumerate(FIELDS)}
    size = f["depth"] * f["height"] * f["width"]
    out_size = f["out_depth"] * f["out_height"] * f["out_width"]

    def better(value: Value, known: Value) -> Value:
        return (value > known) | value.is_nan()

    def starts(o: Value, axis: str) -> Value:
        return o * f[f"stride_{axis}"] - f[f"pad_{axis}"]

    def taps(axis: str, length: str, start: Value, count: int) -> tuple[Value, Value]:
        """The first place of a window that is inside, and the end of its places."""
        step = f[f"dilation_{axis}"]
        behind = code.larger((step - 1) - start, 0) // step
        end = code.smaller(start + ((count - 1) * step + 1), f[length])
        return start + code.larger(behind, 0) * step, end

    skips = []
    for kd, kh, kw in itertools.product(*map(range, kernel)):
        skip = (f["height"] * f["dilation_d"] * kd + f["dilation_h"] * kh) * f["width"]
        skips.append(skip + f["dilation_w"] * kw)
    widths = [w for w in (lanes, lanes // 2) if w >= 2] if stride_w else []
    widths.append(1)
    tap_numbers = {w: [code.splat(code.narrowed(skip), w) for skip in skips] for w in widths}

    def plane(p: Value) -> None:
        x = code.at(code["x"], element, p * size)
        best = code.at(code["best"], element, p * out_size)
        where = code.at(code["where"], I64, p * out_size)

        def out_row(od: Value, oh: Value) -> None:
            line = (od * f["out_height"] + oh) * f["out_width"]
            best_row = code.at(best, element, line)
            where_row = code.at(where, I64, line)
            d, h = starts(od, "d"), starts(oh, "h")
            reach_d = d + (f["dilation_d"] * (kernel[0] - 1))
            reach_h = h + (f["dilation_h"] * (kernel[1] - 1))
            inside = (d >= 0) & (h >= 0) & (reach_d < f["depth"]) & (reach_h < f["height"])
            corner = (d * f["height"] + h) * f["width"] - f["pad_w"]
            low = code.select(inside, f["whole_from"], f["out_width"])
            high = code.select(inside, f["whole_to"], f["out_width"])

            def windows(widths: list[int]) -> None:
                """Those from low to high, as many at a time as there are: the last vector
                begins where it ends with them, and does some of them again."""
                wide = widths[0]
                last = high - wide

                def some(j: Value) -> None:
                    whole(best_row, where_row, corner, code.smaller(j, last), wide)

                def vectors() -> None:
                    code.loop(low, high, some, step=wide)

                if wide == 1:
                    vectors()
                else:
                    code.either(high - low >= wide, vectors, lambda: windows(widths[1:]))

            windows(widths)
            code.loop(0, low, lambda j: careful(best_row, where_row, d, h, j))
            code.loop(high, f["out_width"], lambda j: careful(best_row, where_row, d, h, j))

        def whole(best_row: Value, where_row: Value, corner: Value, j: Value, wide: int) -> None:
            first = corner + j * (stride_w or f["stride_w"])
            kind, index = vector_of(element, wide), vector_of("i32", wide)
            top = at = None
            for skip, numbers in zip(skips, tap_numbers[wide], strict=True):
                value = strided(code.at(x, element, first + skip), kind, wide)
                if top is None:
                    top, at = value, code.lift(numbers, index)
                    continue
                new = better(value, top)
                top, at = code.select(new, value, top), code.select(new, numbers, at)
            code.store(top, best_row, j)
            places = code.cast("sext", at, vector_of(I64, wide))
            if wide > 1:
                steps = ", ".join(f"i64 {n * stride_w}" for n in range(wide))
                counted = Value(code, vector_of(I64, wide), f"<{steps}>")
                places = places + code.splat(first, wide) + counted
            else:
                places = places + first
            code.store(places, where_row, j)

        def strided(place: Value, kind: str, wide: int) -> Value:
            if wide == 1 or stride_w == 1:
                return code.load(kind, place)
            # every other element; the second vector begins early, so as not to read beyond the last
            low, high = code.load(kind, place), code.load(kind, place, wide - 1)
            half = wide // 2
            later = [wide + 2 * n + 1 for n in range(half)]
            return code.shuffle(low, high, [2 * n for n in range(half)] + later)

        def careful(best_row: Value, where_row: Value, d: Value, h: Value, j: Value) -> None:
            d0, d1 = taps("d", "depth", d, kernel[0])
            h0, h1 = taps("h", "height", h, kernel[1])
            w0, w1 = taps("w", "width", starts(j, "w"), kernel[2])
            first = (d0 * f["height"] + h0) * f["width"] + w0

            def along_d(a: Value, *now: Value) -> list[Value]:
                def along_h(b: Value, *now: Value) -> list[Value]:
                    def along_w(c: Value, top: Value, at: Value) -> list[Value]:
                        place = (a * f["height"] + b) * f["width"] + c
                        value = code.load(element, x, place)
                        new = better(value, top)
                        return [code.select(new, value, top), code.select(new, place, at)]

                    return code.loop(w0, w1, along_w, now, step=f["dilation_w"])

                return code.loop(h0, h1, along_h, now, step=f["dilation_h"])

            lowest = code.constant(element, -math.inf)
            top, at = code.loop(d0, d1, along_d, [lowest, first], step=f["dilation_d"])
            code.store(top, best_row, j)
            code.store(at, where_row, j)

        def out_plane(od: Value) -> None:
            code.loop(0, f["out_height"], lambda oh: out_row(od, oh))

        code.loop(0, f["out_depth"], out_plane)

    code.loop(code["start"], code["stop"], plane)
    return code.text()


def scatter(element: str) -> str:
    """``kernel(out, bad, grad, where, size, count, start, stop)`` over planes: ``count`` gradients
    added at their places in ``size`` zeros. ``bad``, an int64, becomes 1 where a place is
    outside, and that gradient is left out."""
    names = ("out", "bad", "grad", "where")
    parameters = {**dict.fromkeys(names, PTR), **dict.fromkeys(("size", "count"), I64)}
    code = Code("kernel", {**parameters, "start": I64, "stop": I64})
    size, count = code["size"], code["count"]
    zero = literal(element, 0.0)

    def plane(p: Value) -> None:
        out = code.at(code["out"], element, p * size)
        grad = code.at(code["grad"], element, p * count)
        where = code.at(code["where"], I64, p * count)
        code.loop(0, size, lambda i: code.store(Value(code, element, zero), out, i))

        def one(i: Value) -> None:
            place = code.load(I64, where, i)

            def add() -> None:
                here = code.at(out, element, place)
                code.store(code.load(element, here) + code.load(element, grad, i), here)

            code.either(
                (place >= 0) & (place < size),
                add,
                lambda: code.store(code.constant(I64, 1), code["bad"]),
            )

        code.loop(0, count, one)

    code.loop(code["start"], code["stop"], plane)
    return code.text()


def sums(element: str) -> str:
    """``kernel(out, x, table, start, stop)`` over planes of three axes, from each of which a sparse
    matrix leads to the result's::

        out[a, b, c] = sum of A[a, i] B[b, j] C[c, k] x[i, j, k]

    The table has, for each axis: length of x, length of the result, and where in the table begin
    the ranges of entries of each row (one number more than rows), their columns, and their
    weights (the bits of doubles).
    """
    code = Code("kernel", {**dict.fromkeys(("out", "x", "table"), PTR), "start": I64, "stop": I64})
    table = code["table"]
    axes = [[code.load(I64, table, 5 * axis + n) for n in range(5)] for axis in range(3)]
    sizes, outs = ([axis[n] for axis in axes] for n in (0, 1))
    size, out_size = (n[0] * n[1] * n[2] for n in (sizes, outs))
    zero = code.constant(element, 0.0)

    def entries(axis: int, row: Value, body: Callable[[Value], Value]) -> Value:
        """The sum over the entries of a row of weight times ``body(column)``."""
        _, _, ranges, columns, weights = axes[axis]
        first, last = (code.load(I64, table, ranges + row + n) for n in (0, 1))

        def entry(n: Value, total: Value) -> list[Value]:
            weight = code.load("double", code.at(table, I64, weights + n))
            term = body(code.load(I64, table, columns + n))
            return [code.fma(code.narrow(weight, element), term, total)]

        return code.loop(first, last, entry, [zero])[0]

    def plane(p: Value) -> None:
        x, out = (code.at(code[n], element, p * m) for n, m in (("x", size), ("out", out_size)))

        def one(a: Value, b: Value, c: Value) -> None:
            total = entries(0, a, lambda i: entries(1, b, lambda j: entries(
                2, c, lambda k: code.load(element, x, (i * sizes[1] + j) * sizes[2] + k)
            )))  # fmt: skip
            code.store(total, out, (a * outs[1] + b) * outs[2] + c)

        code.loop(0, outs[0], lambda a: code.loop(
            0, outs[1], lambda b: code.loop(0, outs[2], lambda c: one(a, b, c))
        ))  # fmt: skip

    code.loop(code["start"], code["stop"], plane)
    return code.text()
