"""3x3 convolution with 16 multiplications instead of 36, in LLVM's language.

Winograd's minimal filtering F(2x2, 3x3): with the 4x4 pieces d of the image, every second row and
column of which begins one, and the kernels g,

    y = A^T [(G g G^T) * (B^T d B)] A        for each 2x2 piece y of the result

where * is element by element, and sums over channels make 16 products of matrices of it. The
rounding error is about twice that of the direct sum. inf minus inf is nan where the direct sum is
inf: callers look whether all results are finite.
Source: Lavin and Gray 2015, https://arxiv.org/abs/1509.09308
"""

from __future__ import annotations

from collections.abc import Sequence

from .builder import I64, PTR, Code, Value
from .conv_text import BlockKernel
from .tiles import Tile, copy

POINTS = 16
APART = 16  # elements


def _image_points(d: Sequence[Value]) -> list[Value]:
    """B^T d for one row or column of four."""
    return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]


def _result_points(m: Sequence[Value]) -> list[Value]:
    """A^T m for one row or column of four."""
    return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]


def _kernel_points(g: Sequence[Value]) -> list[Value]:
    """G g for one row or column of three."""
    ends = (g[0] + g[2]) * 0.5
    middle = g[1] * 0.5
    return [g[0], ends + middle, ends - middle, g[2]]


def forward(tile: Tile) -> str:
    """``kernel(out, x, u, bias, table, offsets, taps, scratch, points_at, chunk, height, width,
    start, stop)``.

    The table is that of the convolution by which the image is copied: 4x4 taps, stride 2; its
    rows and columns are pieces. ``u``: (16, tiles of outputs, channels, tile.rows), by
    ``weights``. ``chunk``: pieces at once; their points begin at ``points_at`` of the scratch.
    ``height`` and ``width``: of the result.
    """
    numbers = ("points_at", "chunk", "height", "width")
    kernel = BlockKernel("kernel", tile, ("out", "x", "u", "bias"), numbers)
    code, f, lanes = kernel.code, kernel.f, tile.lanes
    channels = f["channels"]
    row_tiles = (f["outputs"] + (tile.rows - 1)) // tile.rows
    padded = row_tiles * tile.rows
    chunk = code["chunk"]
    block = code["scratch"]
    results = kernel.at(block, f["sums_at"])  # of one output: two rows of the interleaved pieces
    image = kernel.at(block, code["points_at"])
    # a line more from point to point: rows a power of two apart share places of a cache
    image_step, sums_step = channels * chunk + APART, padded * chunk + APART
    sums = kernel.at(image, image_step * POINTS)
    doubled = f["sums_width"] * 2
    offsets = [code.load(I64, code["offsets"], n) for n in range(POINTS)]

    def square(values: list[Value], points: object) -> list[Value]:
        """``points`` along the columns and along the rows of a 4x4 piece, or a result's."""
        rows = [points(values[4 * a : 4 * a + 4]) for a in range(4)]
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
                    place = kernel.at(place, image_step)

            code.loop(0, count, some, step=lanes)

        code.loop(0, channels, channel)

    def products(count: Value) -> None:
        def point(t: Value) -> None:
            source = kernel.at(image, t * image_step)
            weights = kernel.at(code["u"], t * padded * channels)
            target = kernel.at(sums, t * sums_step)

            def position(p: Value) -> None:
                def row_tile(r: Value) -> None:
                    numbers = kernel.at(weights, r * tile.rows * channels)
                    vectors = kernel.at(source, p)

                    def turn(c: Value, *now: Value) -> list[Value]:
                        row = kernel.at(numbers, c * tile.rows)
                        factors = [kernel.at(row, m) for m in range(tile.rows)]
                        return tile.turn(code, now, kernel.at(vectors, c * chunk), factors)

                    total = code.repeat(0, channels, turn, tile.zeros(code))
                    tile.stored(code, total, kernel.at(target, r * tile.rows * chunk + p), chunk)

                code.loop(0, row_tiles, row_tile)

            code.loop(0, count, position, step=tile.columns)

        code.loop(0, POINTS, point)

    def result_points(p0: Value, count: Value) -> None:
        def output(o: Value) -> None:
            source = kernel.at(sums, o * chunk)
            bias = code.splat(code.load(tile.element, code["bias"], o), lanes)
            target = kernel.at(results, o * doubled * 2 + p0 * 2)

            def some(p: Value) -> None:
                place = kernel.at(source, p)
                m = []
                for _ in range(POINTS):
                    m.append(code.load(tile.vector, place))
                    place = kernel.at(place, sums_step)
                y = [value + bias for value in square(m, _result_points)]
                here = kernel.at(target, p * 2)
                for a in range(2):
                    line = kernel.at(here, doubled * a)
                    low = [n for i in range(lanes // 2) for n in (i, lanes + i)]
                    high = [n + lanes // 2 for n in low]
                    code.store(code.shuffle(y[2 * a], y[2 * a + 1], low), line)
                    code.store(code.shuffle(y[2 * a], y[2 * a + 1], high), line, lanes)

            code.loop(0, count, some, step=lanes)

        code.loop(0, f["outputs"], output)

    def copy_out() -> None:
        columns = code.smaller(kernel.columns * 2, code["width"] - kernel.j0 * 2)
        first = kernel.n0 * f["out_image"] + kernel.r0 * 2 * code["width"] + kernel.j0 * 2

        def one_image(b: Value) -> None:
            def output(o: Value) -> None:
                rows_at = kernel.at(results, o * doubled * 2)
                skip = first + b * f["out_image"] + o * f["out_channel"]
                to = kernel.at(code["out"], skip)

                def row(i: Value) -> None:
                    source = kernel.at(rows_at, (b * f["image_rows"] + i // 2) * f["width"] * 2)
                    source = kernel.at(source, i % 2 * doubled)
                    target = kernel.at(to, i * code["width"])
                    copy(code, tile.element, lanes, target, source, columns)

                rows = code.smaller(kernel.rows * 2, code["height"] - kernel.r0 * 2)
                code.loop(0, rows, row)

            code.loop(0, f["outputs"], output)

        code.loop(0, kernel.images, one_image)

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


def weights(element: str, rows: int) -> str:
    """``kernel(u, w, outputs, channels, output_step, channel_step, tap_step, start, stop)``.

    G g G^T of every kernel, for outputs from start to stop, ``rows`` of which make a tile; zeros
    from ``outputs`` on. The taps of a kernel lie ``tap_step`` apart.
    """
    numbers = ("outputs", "channels", "output_step", "channel_step", "tap_step")
    parameters = {"u": PTR, "w": PTR, **dict.fromkeys(numbers, I64)}
    code = Code("kernel", {**parameters, "start": I64, "stop": I64})
    channels = code["channels"]
    padded = (code["outputs"] + (rows - 1)) // rows * rows

    def output(o: Value) -> None:
        line = code.at(code["w"], element, o * code["output_step"])
        target = code.at(code["u"], element, (o // rows * rows) * channels + o % rows)
        held = o < code["outputs"]

        def channel(c: Value) -> None:
            here = code.at(target, element, c * rows)

            def points() -> None:
                g, place = [], code.at(line, element, c * code["channel_step"])
                for _ in range(9):
                    g.append(code.load(element, place))
                    place = code.at(place, element, code["tap_step"])
                wide = [_kernel_points(g[3 * a : 3 * a + 3]) for a in range(3)]
                columns = [_kernel_points([row[b] for row in wide]) for b in range(4)]
                store([columns[b][a] for a in range(4) for b in range(4)])

            def store(values: list[Value]) -> None:
                to = here
                for value in values:
                    code.store(value, to)
                    to = code.at(to, element, padded * channels)

            code.either(held, points, lambda: store([code.constant(element, 0)] * POINTS))

        code.loop(0, channels, channel)

    code.loop(code["start"], code["stop"], output)
    return code.text()
