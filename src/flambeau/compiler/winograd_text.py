"""3x3 convolution with 4 or 2.25 multiplications for each element and channel instead of 9, in
LLVM's language.

Winograd's minimal filtering F(m x m, 3 x 3), m = 2 or 4: with the pieces d of the image of m + 2
rows and columns, every m-th of which begins one, and the kernels g,

    y = A^T [(G g G^T) * (B^T d B)] A        for each m x m piece y of the result

where * is element by element, and sums over channels make (m + 2)^2 products of matrices of it.
The matrices say that polynomials are multiplied by their values at some points: 0, 1, -1 and
infinity for m = 2; 0, 3/4, -3/4, 3/2, -3/2 and infinity for m = 4, whose rounding error is about
1.8 times that of the direct sum (with the usual 1, -1, 2, -2 it would be 4 times).
inf minus inf is nan where the direct sum is inf: the kernel says whether a result is not finite.
Sources: Lavin and Gray 2015, https://arxiv.org/abs/1509.09308; on points, Barabasz et al. 2020,
https://arxiv.org/abs/1803.10986
"""

from __future__ import annotations

from collections.abc import Sequence

from .builder import I64, PTR, Code, Value, vector_of
from .conv_text import BlockKernel
from .tiles import Tile

APART = 16  # elements
NEAR, FAR = 0.75, 1.5  # the points of m = 4 besides 0
_N, _F = NEAR**2, FAR**2


def points(m: int) -> int:
    """The products of matrices for pieces of m x m."""
    return (m + 2) ** 2


def _image_points(d: Sequence[Value]) -> list[Value]:
    """B^T d for one row or column of four or six."""
    if len(d) == 4:
        return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]

    def fma(x: Value, factor: float, y: Value) -> Value:
        return x.code.fma(x, x.code.constant(x.kind, factor), y)

    ends = [fma(d[k], _N * _F, fma(d[k + 2], -(_N + _F), d[k + 4])) for k in (0, 1)]
    result = [ends[0]]
    for p, other in ((NEAR, _F), (FAR, _N)):
        even, odd = fma(d[2], -other, d[4]), fma(d[1], -other, d[3])
        result += [fma(odd, p, even), fma(odd, -p, even)]
    return [*result, ends[1]]


def _result_points(m: Sequence[Value]) -> list[Value]:
    """A^T m for one row or column of four or six."""
    if len(m) == 4:
        return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]

    def both(x: Value, a: float, y: Value, b: float) -> Value:
        return x.code.fma(x, x.code.constant(x.kind, a), y * b)

    near, far = m[1] + m[2], m[3] + m[4]
    near_odd, far_odd = m[1] - m[2], m[3] - m[4]
    return [
        m[0] + near + far,
        both(near_odd, NEAR, far_odd, FAR),
        both(near, _N, far, _F),
        both(near_odd, NEAR**3, far_odd, FAR**3) + m[5],
    ]


def _kernel_points(g: Sequence[Value], m: int) -> list[Value]:
    """G g for one row or column of three."""
    if m == 2:
        ends = (g[0] + g[2]) * 0.5
        middle = g[1] * 0.5
        return [g[0], ends + middle, ends - middle, g[2]]
    result = [g[0] * (1 / (_N * _F))]
    for p, scale in ((NEAR, 0.5 / (_N * (_N - _F))), (FAR, 0.5 / (_F * (_F - _N)))):
        even = (g[0] + g[2] * p**2) * scale
        odd = g[1] * (p * scale)
        result += [even + odd, even - odd]
    return [*result, g[2]]


def forward(tile: Tile, m: int) -> str:
    """``kernel(out, bad, x, u, bias, table, offsets, taps, scratch, points_at, chunk, height,
    width, start, stop)``.

    The table is that of the convolution by which the image is copied: m + 2 x m + 2 taps, stride
    m; its rows and columns are pieces. ``u``: (points, tiles of outputs, channels, tile.rows), by
    ``weights``. ``chunk``: pieces at once; their points begin at ``points_at`` of the scratch.
    ``height`` and ``width``: of the result. ``bad``, an int64, becomes 1 if a result is not
    finite.
    """
    numbers = ("points_at", "chunk", "height", "width")
    kernel = BlockKernel("kernel", tile, ("out", "bad", "x", "u", "bias"), numbers)
    code, f, lanes = kernel.code, kernel.f, tile.lanes
    channels = f["channels"]
    row_tiles = (f["outputs"] + (tile.rows - 1)) // tile.rows
    padded = row_tiles * tile.rows
    chunk = code["chunk"]
    block = code["scratch"]
    count_points, side = points(m), m + 2
    results = kernel.at(block, f["sums_at"])  # of one output: m rows of the interleaved pieces
    # The sums of a point lie where the image's of the point before were, which are not needed any
    # more. A line more from point to point: rows a power of two apart share places of a cache.
    sums = kernel.at(block, code["points_at"])
    points_step = code.larger(channels, padded) * chunk + APART
    image = kernel.at(sums, points_step)
    line_step = f["sums_width"] * m
    offsets = [code.load(I64, code["offsets"], n) for n in range(count_points)]

    def square(values: list[Value], points: object) -> list[Value]:
        """``points`` along the columns and along the rows of a piece, or a result's."""
        rows = [points(values[side * a : side * a + side]) for a in range(side)]
        columns = [points([row[b] for row in rows]) for b in range(len(rows[0]))]
        return [columns[b][a] for a in range(len(columns[0])) for b in range(len(columns))]

    def image_points(p0: Value, count: Value) -> None:
        def channel(c: Value) -> None:
            source = kernel.at(block, c * f["channel_cells"] + p0)
            lines = [kernel.at(source, offset) for offset in offsets]
            target = kernel.at(image, c * chunk)

            def some(p: Value) -> None:
                d = [code.load(tile.vector, line, p) for line in lines]
                place = kernel.at(target, p)
                for value in square(d, _image_points):
                    code.store(value, place)
                    place = kernel.at(place, points_step)

            code.loop(0, count, some, step=lanes)

        code.loop(0, channels, channel)

    def products(count: Value) -> None:
        def point(t: Value) -> None:
            source = kernel.at(image, t * points_step)
            weights = kernel.at(code["u"], t * padded * channels)
            target = kernel.at(sums, t * points_step)

            def position(p: Value) -> None:
                def row_tile(r: Value) -> None:
                    numbers = kernel.at(weights, r * tile.rows * channels)
                    vectors = kernel.at(source, p)

                    def turn(c: Value, *now: Value) -> list[Value]:
                        row = kernel.at(numbers, c * tile.rows)
                        factors = [kernel.at(row, m) for m in range(tile.rows)]
                        return tile.turn(code, now, kernel.at(vectors, c * chunk), factors)

                    total = code.unrolled(0, channels, turn, tile.zeros(code))
                    tile.stored(code, total, kernel.at(target, r * tile.rows * chunk + p), chunk)

                code.loop(0, row_tiles, row_tile)

            code.loop(0, count, position, step=tile.columns)

        code.loop(0, count_points, point)

    def result_points(p0: Value, count: Value) -> None:
        def output(o: Value) -> None:
            source = kernel.at(sums, o * chunk)
            bias = code.splat(code.load(tile.element, code["bias"], o), lanes)
            target = kernel.at(results, o * line_step * m + p0 * m)

            def some(p: Value) -> None:
                place = kernel.at(source, p)
                values = []
                for _ in range(count_points):
                    values.append(code.load(tile.vector, place))
                    place = kernel.at(place, points_step)
                y = [value + bias for value in square(values, _result_points)]
                here = kernel.at(target, p * m)
                for a in range(m):
                    line = kernel.at(here, line_step * a)
                    row = _interleaved(code, y[m * a : m * a + m], lanes)
                    for n, vector in enumerate(row):
                        code.store(vector, line, n * lanes)

            code.loop(0, count, some, step=lanes)

        code.loop(0, f["outputs"], output)

    def copy_out() -> None:
        columns = code.smaller(kernel.columns * m, code["width"] - kernel.j0 * m)
        first = kernel.n0 * f["out_image"] + kernel.r0 * m * code["width"] + kernel.j0 * m

        whole = columns & -lanes

        def one_image(b: Value, *sums: Value) -> list[Value]:
            def output(o: Value, *sums: Value) -> list[Value]:
                rows_at = kernel.at(results, o * line_step * m)
                skip = first + b * f["out_image"] + o * f["out_channel"]
                to = kernel.at(code["out"], skip)

                def row(i: Value, *sums: Value) -> list[Value]:
                    source = kernel.at(rows_at, (b * f["image_rows"] + i // m) * f["width"] * m)
                    source = kernel.at(source, i % m * line_step)
                    target = kernel.at(to, i * code["width"])

                    def copied(j: Value, kind: str, sum: Value) -> list[Value]:
                        value = code.load(kind, source, j)
                        code.store(value, target, j)
                        return [code.fma(value, code.constant(kind, 0.0), sum)]

                    (wide,) = code.loop(
                        0, whole, lambda j, s: copied(j, tile.vector, s), sums[:1], step=lanes
                    )
                    (one,) = code.loop(
                        whole, columns, lambda j, s: copied(j, tile.element, s), sums[1:]
                    )
                    return [wide, one]

                rows = code.smaller(kernel.rows * m, code["height"] - kernel.r0 * m)
                return code.loop(0, rows, row, sums)

            return code.loop(0, f["outputs"], output, sums)

        # zero times a number is nan if it is not finite, and so is the sum
        zeros = [code.constant(kind, 0.0) for kind in (tile.vector, tile.element)]
        wide, one = code.loop(0, kernel.images, one_image, zeros)
        bad = (code.total(wide) + one).is_nan()
        code.when(bad, lambda: code.store(code.constant(I64, 1), code["bad"]))

    def body() -> None:
        kernel.copy_image()
        last_row = (kernel.images - 1) * f["image_rows"] + kernel.rows - 1
        positions = last_row * f["width"] + kernel.columns

        def some(p0: Value) -> None:
            rest = (positions - p0 + (tile.columns - 1)) // tile.columns * tile.columns
            count = code.smaller(chunk, rest)
            image_points(p0, count)
            products(count)
            result_points(p0, count)

        code.loop(0, positions, some, step=chunk)
        copy_out()

    return kernel.each_block(body)


def _interleaved(code: Code, row: Sequence[Value], lanes: int) -> list[Value]:
    """The first elements of all vectors of ``row``, then the second ones, and so on."""
    if len(row) == 1:
        return list(row)
    half = len(row) // 2
    even, odd = (_interleaved(code, row[k::2], lanes) for k in (0, 1))
    low = [n for i in range(lanes // 2) for n in (i, lanes + i)]
    high = [n + lanes // 2 for n in low]
    result = []
    for k in range(half):
        result += [code.shuffle(even[k], odd[k], low), code.shuffle(even[k], odd[k], high)]
    return result


def weights(element: str, rows: int, m: int) -> str:
    """``kernel(to, w, outputs, channels, output_step, channel_step, tap_step, start, stop)``.

    G g G^T of every kernel, for tiles of ``rows`` outputs from start to stop; zeros from
    ``outputs`` on. The taps of a kernel lie ``tap_step`` apart.
    """
    numbers = ("outputs", "channels", "output_step", "channel_step", "tap_step")
    parameters = {"to": PTR, "w": PTR, **dict.fromkeys(numbers, I64)}
    code = Code("kernel", {**parameters, "start": I64, "stop": I64})
    channels = code["channels"]
    padded = (code["outputs"] + (rows - 1)) // rows * rows
    kind = vector_of(element, rows)

    def tile(i: Value) -> None:
        line = code.at(code["w"], element, i * rows * code["output_step"])
        target = code.at(code["to"], element, i * rows * channels)
        held = code.smaller(code["outputs"] - i * rows, code.constant(I64, rows))

        def channel(c: Value) -> None:
            start = code.at(line, element, c * code["channel_step"])
            g = []
            for tap in range(9):
                place = code.at(start, element, code["tap_step"] * tap)
                vector = code.constant(kind, 0.0)
                for r in range(rows):
                    # of outputs that are not there the last one's, and not looked at
                    skip = code.smaller(code.constant(I64, r), held - 1) * code["output_step"]
                    value = code.load(element, place, skip)
                    value = code.select(held > r, value, 0.0)
                    vector = code.new(kind, f"insertelement {vector}, {value}, i64 {r}")
                g.append(vector)
            wide = [_kernel_points(g[3 * a : 3 * a + 3], m) for a in range(3)]
            columns = [_kernel_points([row[b] for row in wide], m) for b in range(m + 2)]
            to = code.at(target, element, c * rows)
            for a in range(m + 2):
                for b in range(m + 2):
                    code.store(columns[b][a], to)
                    to = code.at(to, element, padded * channels)

        code.loop(0, channels, channel)

    code.loop(code["start"], code["stop"], tile)
    return code.text()
