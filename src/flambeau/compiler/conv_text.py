"""Convolution in LLVM's language: three kernels that serve every geometry.

The image is copied, a block of output rows at a time, into a layout in which a tap of the kernel
is a distance: rows of ``width`` cells, zeros around the image included, the phases of a stride
apart from each other. Then

    out[o, p] = sum over k of weight[o, k] * block[offsets[k] + p]

for positions p that run through whole rows without a break, k over channels and taps: a product of
matrices one of which is never written down. The few positions between two rows are computed
for nothing and left out when the result is copied to its place. Sizes come in a table of integers
(``FIELDS``), so that one kernel serves them all; ``conv_plan`` fills it.
"""

from __future__ import annotations

from collections.abc import Callable

from . import machine_code
from .builder import BYTES, I64, PTR, Code, Value, split_type, vector_of
from .tiles import Tile, copy, zero_fill

LINE = 64  # bytes of a line of the caches

#: The table, in order: sizes of the problem, of a block, and steps in memory, all in elements.
FIELDS = (
    # one group: input channels, output channels, terms of a sum, and how many are summed at once
    "channels", "outputs", "terms", "terms_at_once", "tiles_at_once",
    # blocks: images in all and in a block; then blocks and size of each along rows and columns
    "groups", "images", "images_each", "depths", "row_blocks", "rows_each", "rows",
    "column_blocks", "columns_each", "columns",
    # the source of a block: its sizes, steps, and the stride of output positions in it
    "depth", "height", "image_step", "channel_step", "depth_step", "height_step",
    "stride_d", "stride_h", "stride_w",
    # the block: taps in depth, phases of rows and of columns, rows beyond those of the result,
    # rows from image to image, cells of a row, cells of a channel, zeros needed after the last row
    "taps_d", "phases_h", "phases_w", "reach_h", "image_rows", "width", "channel_cells",
    "zeros_after",
    # the result: its steps
    "out_image", "out_channel", "out_depth", "out_row", "out_column",
    # scratch: where the sums begin, cells of one row of them, and where the copied biases begin
    "sums_at", "sums_width", "bias_at",
    # the gradient to the weight: padded terms, and where the turned gradient begins
    "terms_padded", "turned_at",
)  # fmt: skip


class BlockKernel:
    """What the kernels have in common: the table, the cut into blocks, the copied image."""

    def __init__(
        self, name: str, tile: Tile, arrays: tuple[str, ...], numbers: tuple[str, ...] = ()
    ) -> None:
        # tables: offsets of the terms; depth offset of every tap; offset of every phase of rows;
        # offset, first and last inner cell of every phase of columns
        parameters = dict.fromkeys((*arrays, "table", "offsets", "taps", "scratch"), PTR)
        parameters |= dict.fromkeys((*numbers, "start", "stop"), I64)
        self.code = code = Code(name, parameters)
        self.tile = tile
        self.element = tile.element
        self.f = {name: code.load(I64, code["table"], i) for i, name in enumerate(FIELDS)}

    def at(self, pointer: Value, index: Value | int) -> Value:
        return self.code.at(pointer, self.element, index)

    def each_block(self, body: Callable[[], None]) -> str:
        """The kernel: ``body`` for every block from start to stop, with its place in ``self``."""
        code, f = self.code, self.f

        def block(i: Value) -> None:
            cut = i
            places = {}
            for name in ("column_blocks", "row_blocks", "depths", "groups"):
                places[name] = cut % f[name]
                cut = cut // f[name]
            self.group, self.od = places["groups"], places["depths"]
            self.n0 = cut * f["images_each"]
            self.r0 = places["row_blocks"] * f["rows_each"]
            self.j0 = places["column_blocks"] * f["columns_each"]
            self.images = code.smaller(f["images_each"], f["images"] - self.n0)
            self.rows = code.smaller(f["rows_each"], f["rows"] - self.r0)
            self.columns = code.smaller(f["columns_each"], f["columns"] - self.j0)
            body()

        code.loop(code["start"], code["stop"], block)
        return code.text()

    def copy_image(self) -> None:
        """The block's part of the image into the first cells of the scratch."""
        code, f = self.code, self.f
        taps = code["taps"]
        plane = f["images_each"] * f["image_rows"] * f["width"]
        rows = self.rows + f["reach_h"]
        row_phases = f["taps_d"]  # where the offsets of the phases begin in ``taps``
        column_phases = row_phases + f["phases_h"]
        lanes = self.tile.lanes

        def image(b: Value) -> None:
            first = (self.n0 + b) * f["image_step"]

            def channel(c: Value) -> None:
                number = self.group * f["channels"] + c
                source = self.at(code["x"], first + number * f["channel_step"])
                into = self.at(code["scratch"], c * f["channel_cells"])
                into = self.at(into, b * f["image_rows"] * f["width"])
                code.loop(0, f["taps_d"], lambda kd: depth(source, into, kd))

            code.loop(0, f["channels"], channel)

        def depth(source: Value, into: Value, kd: Value) -> None:
            d = self.od * f["stride_d"] + code.load(I64, taps, kd)
            inside = (d >= 0) & (d < f["depth"])
            source = self.at(source, d * f["depth_step"])
            into = self.at(into, kd * f["phases_h"] * f["phases_w"] * plane)

            def row_phase(ph: Value) -> None:
                offset = code.load(I64, taps, row_phases + ph)
                planes = self.at(into, ph * f["phases_w"] * plane)

                def column_phase(pw: Value) -> None:
                    entry = code.at(taps, I64, column_phases + pw * 3)
                    values = [code.load(I64, entry, n) for n in range(3)]
                    here = self.at(planes, pw * plane)
                    block_rows(source, here, offset, inside, *values)

                def one_by_one() -> None:
                    code.loop(0, f["phases_w"], column_phase)

                def of_two() -> None:
                    self.phases_at_once(2, source, planes, offset, inside)

                def of_four() -> None:
                    self.phases_at_once(4, source, planes, offset, inside)

                def others() -> None:
                    code.either(self.has_phases(2), of_two, one_by_one)

                code.either(self.has_phases(4), of_four, others)

            code.loop(0, f["phases_h"], row_phase)

        def block_rows(
            source: Value,
            into: Value,
            offset: Value,
            inside: Value,
            skip: Value,
            low: Value,
            high: Value,
        ) -> None:
            low = code.smaller(code.larger(low - self.j0, 0), f["width"])
            high = code.smaller(code.larger(high - self.j0, low), f["width"])
            first = self.j0 * f["stride_w"] + skip

            def row(i: Value) -> None:
                h = (self.r0 + i) * f["stride_h"] + offset
                here = inside & (h >= 0) & (h < f["height"])
                start = code.select(here, low, 0)
                stop = code.select(here, high, 0)
                target = self.at(into, i * f["width"])
                line = self.at(source, h * f["height_step"] + first)
                zero_fill(code, self.element, target, code.constant(I64, 0), start)

                def dense() -> None:
                    a, b = self.at(target, start), self.at(line, start)
                    copy(code, self.element, lanes, a, b, stop - start)

                def strided() -> None:
                    def one(j: Value) -> None:
                        x = code.load(self.element, line, j * f["stride_w"])
                        code.store(x, target, j)

                    code.loop(start, stop, one)

                code.either(f["stride_w"].equals(1), dense, strided)
                zero_fill(code, self.element, target, stop, f["width"])

            code.loop(0, rows, row)
            end = rows * f["width"]
            zero_fill(code, self.element, into, end, end + f["zeros_after"])

        code.loop(0, self.images, image)

    @property
    def short(self) -> int:
        """Elements of a vector of at most 32 bytes: rows of phases are short."""
        return min(self.tile.lanes, 32 // BYTES[self.element])

    def has_phases(self, stride: int) -> Value:
        """Whether rows come in all ``stride`` phases, of a vector's length at least."""
        f = self.f
        if machine_code.is_arm():  # where to load some lanes takes a branch for each
            return self.code.constant("i1", 0)
        all_there = f["stride_w"].equals(stride) & f["phases_w"].equals(stride)
        return all_there & (f["width"] >= self.short)

    def phases_at_once(
        self, stride: int, source: Value, into: Value, offset: Value, inside: Value
    ) -> None:
        """The rows of a phase of rows from ``source``, whose phases of columns go to planes from
        ``into`` on: what lies in a row beside each other is read once, and dealt out. Beyond the
        ends of a row of the image there are zeros. Rows come out of order, which a processor does
        not foresee: the next channel's are asked for (of an image in memory, a third of the
        time)."""
        code, f, lanes = self.code, self.f, self.short
        kind = vector_of(self.element, lanes)
        plane = f["images_each"] * f["image_rows"] * f["width"]
        entry = f["taps_d"] + f["phases_h"]  # of the first phase of columns in ``taps``
        first = self.j0 * stride + code.load(I64, code["taps"], entry)
        rows = self.rows + f["reach_h"]

        def some(j: Value) -> None:
            j = code.smaller(j, f["width"] - lanes)
            begin = first + j * stride
            masks = []  # of the columns that there are
            for v in range(stride):
                place = begin + v * lanes
                low = code.splat(code.narrowed(0 - place), lanes)
                high = code.splat(code.narrowed(f["height_step"] - place), lanes)
                masks.append((code.counting(lanes) >= low) & (code.counting(lanes) < high))
            line, target = self.at(source, begin), self.at(into, j)

            def row(i: Value) -> None:
                h = (self.r0 + i) * f["stride_h"] + offset
                here, to = self.at(line, h * f["height_step"]), self.at(target, i * f["width"])

                def stored(vectors: list[Value]) -> None:
                    for k, vector in enumerate(vectors):
                        code.store(vector, self.at(to, plane * k))

                def dealt() -> None:
                    following = self.at(here, f["channel_step"])
                    for skip in range(0, stride * lanes * BYTES[self.element], LINE):
                        code.prefetch(code.at(following, "i8", skip))
                    given = [code.masked_load(kind, here, v * lanes, m) for v, m in masked]
                    stored(_dealt(code, given))

                def zeros() -> None:
                    stored([code.constant(kind, 0.0)] * stride)

                masked = list(enumerate(masks))
                code.either(inside & (h >= 0) & (h < f["height"]), dealt, zeros)

            code.loop(0, rows, row)

        code.loop(0, f["width"], some, step=lanes)
        for k in range(stride):
            end = rows * f["width"]
            zero_fill(code, self.element, self.at(into, plane * k), end, end + f["zeros_after"])


def _dealt(code: Code, vectors: list[Value]) -> list[Value]:
    """The elements of ``vectors``, a power of two of them, dealt out in turn to as many."""
    if len(vectors) == 1:
        return vectors
    lanes = split_type(vectors[0].kind)[1]
    halves = []
    for which in (0, 1):
        every_other = range(which, 2 * lanes, 2)
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        halves.append(_dealt(code, [code.shuffle(a, b, every_other) for a, b in pairs]))
    return [v for pair in zip(*halves, strict=True) for v in pair]


def forward(tile: Tile) -> str:
    """``kernel(out, x, w, bias, table, offsets, taps, scratch, start, stop)``.

    ``w``: for every group and every ``tile.rows`` outputs, (terms, tile.rows), the rows that are
    too many zero; ``bias``: the outputs of every group, filled up likewise.
    """
    kernel = BlockKernel("kernel", tile, ("out", "x", "w", "bias"))
    code, f, element = kernel.code, kernel.f, tile.element
    outputs = f["outputs"] + (tile.rows - 1)
    row_tiles = outputs // tile.rows
    padded = row_tiles * tile.rows
    block = code["scratch"]
    sums_at = kernel.at(block, f["sums_at"])
    bias_at = kernel.at(block, f["bias_at"])

    def products() -> None:
        weights = kernel.at(code["w"], kernel.group * padded * f["terms"])
        last_row = (kernel.images - 1) * f["image_rows"] + kernel.rows - 1
        positions = last_row * f["width"] + kernel.columns

        def bias_row(m: Value) -> None:
            one = code.load(element, code["bias"], kernel.group * padded + m)
            wide = code.splat(one, tile.lanes)
            for v in range(tile.vectors):
                code.store(wide, bias_at, m * tile.columns + v * tile.lanes)

        code.loop(0, padded, bias_row)

        def terms(k0: Value) -> None:
            k1 = code.smaller(k0 + f["terms_at_once"], f["terms"])
            code.loop(0, row_tiles, lambda r: row_tile_group(k0, k1, r), step=f["tiles_at_once"])

        def row_tile_group(k0: Value, k1: Value, r0: Value) -> None:
            r1 = code.smaller(r0 + f["tiles_at_once"], row_tiles)
            code.loop(0, positions, lambda p: position(k0, k1, r0, r1, p), step=tile.columns)

        def position(k0: Value, k1: Value, r0: Value, r1: Value, p: Value) -> None:
            source = kernel.at(block, p)

            def row_tile(r: Value) -> None:
                place = kernel.at(sums_at, r * tile.rows * f["sums_width"] + p)
                biases = kernel.at(bias_at, r * (tile.rows * tile.columns))
                is_first = k0.equals(0)
                begin = code.select(is_first, biases, place)
                stride = code.select(is_first, code.constant(I64, tile.columns), f["sums_width"])
                numbers = kernel.at(weights, r * tile.rows * f["terms"])

                def turn(k: Value, *sums: Value) -> list[Value]:
                    vectors = kernel.at(source, code.load(I64, code["offsets"], k))
                    row = kernel.at(numbers, k * tile.rows)
                    return tile.turn(
                        code, sums, vectors, [kernel.at(row, m) for m in range(tile.rows)]
                    )

                sums = code.repeat(k0, k1, turn, tile.loaded(code, begin, stride))
                tile.stored(code, sums, place, f["sums_width"])

            code.loop(r0, r1, row_tile)

        code.loop(0, f["terms"], terms, step=f["terms_at_once"])

    def results() -> None:
        first = kernel.group * f["outputs"] * f["out_channel"] + kernel.od * f["out_depth"]
        first = first + kernel.r0 * f["out_row"] + kernel.j0 * f["out_column"]
        place = kernel.at(code["out"], first + kernel.n0 * f["out_image"])

        def image(b: Value) -> None:
            def output(o: Value) -> None:
                source = kernel.at(sums_at, o * f["sums_width"])
                source = kernel.at(source, b * f["image_rows"] * f["width"])
                target = kernel.at(place, b * f["out_image"] + o * f["out_channel"])

                def row(i: Value) -> None:
                    line = kernel.at(source, i * f["width"])
                    to = kernel.at(target, i * f["out_row"])

                    def dense() -> None:
                        copy(code, element, tile.lanes, to, line, kernel.columns)

                    def strided() -> None:
                        def one(j: Value) -> None:
                            code.store(code.load(element, line, j), to, j * f["out_column"])

                        code.loop(0, kernel.columns, one)

                    code.either(f["out_column"].equals(1), dense, strided)

                code.loop(0, kernel.rows, row)

            code.loop(0, f["outputs"], output)

        code.loop(0, kernel.images, image)

    def body() -> None:
        kernel.copy_image()
        products()
        results()

    return kernel.each_block(body)


def weight_gradient(tile: Tile) -> str:
    """``kernel(sums, grad, x, table, offsets, taps, scratch, start, stop)``.

    Adds to ``sums``: for every group and every ``tile.columns`` outputs, (terms_padded,
    tile.columns). ``grad`` has the steps of the result in the table.
    """
    kernel = BlockKernel("kernel", tile, ("sums", "grad", "x"))
    code, f = kernel.code, kernel.f
    panels = (f["outputs"] + (tile.columns - 1)) // tile.columns
    block = code["scratch"]
    turned = kernel.at(block, f["turned_at"])

    def panel(q: Value) -> None:
        first = (kernel.group * f["outputs"] + q * tile.columns) * f["out_channel"]
        first = first + kernel.n0 * f["out_image"] + kernel.od * f["out_depth"]
        first = first + kernel.r0 * f["out_row"] + kernel.j0
        source = kernel.at(code["grad"], first)
        held = code.smaller(f["outputs"] - q * tile.columns, code.constant(I64, tile.columns))

        def turn_image(b: Value) -> None:
            def turn_row(i: Value) -> None:
                line = kernel.at(source, b * f["out_image"] + i * f["out_row"])
                to = kernel.at(turned, (b * kernel.rows + i) * kernel.columns * tile.columns)
                _transposed(kernel, line, to, held)

            code.loop(0, kernel.rows, turn_row)

        code.loop(0, kernel.images, turn_image)
        sums = (kernel.group * panels + q) * f["terms_padded"] * tile.columns
        place = kernel.at(code["sums"], sums)
        code.loop(0, f["terms_padded"], lambda k: terms(place, k), step=tile.rows)

    def terms(place: Value, k: Value) -> None:
        here = kernel.at(place, k * tile.columns)
        offsets = code.at(code["offsets"], I64, k)
        numbers = [kernel.at(block, code.load(I64, offsets, m)) for m in range(tile.rows)]

        def image(b: Value, *sums: Value) -> list[Value]:
            def row(i: Value, *sums: Value) -> list[Value]:
                start = (b * f["image_rows"] + i) * f["width"]
                skip = (b * kernel.rows + i) * kernel.columns * tile.columns
                vectors = kernel.at(turned, skip)
                lines = [kernel.at(number, start) for number in numbers]

                def column(j: Value, *sums: Value) -> list[Value]:
                    factors = [kernel.at(line, j) for line in lines]
                    return tile.turn(code, sums, kernel.at(vectors, j * tile.columns), factors)

                return code.repeat(0, kernel.columns, column, sums)

            return code.repeat(0, kernel.rows, row, sums)

        sums = code.repeat(0, kernel.images, image, tile.loaded(code, here, tile.columns))
        tile.stored(code, sums, here, tile.columns)

    def body() -> None:
        kernel.copy_image()
        code.loop(0, panels, panel)

    return kernel.each_block(body)


def weight_gradient_of_few(tile: Tile) -> str:
    """``weight_gradient`` for groups of few outputs, as in a depthwise convolution: the lanes run
    along a row, and ``tile.rows`` terms of one output are summed at once.

    Adds to ``sums``: (groups, outputs, terms_padded).
    """
    kernel = BlockKernel("kernel", tile, ("sums", "grad", "x"))
    code, f, element, lanes = kernel.code, kernel.f, tile.element, tile.lanes
    block = code["scratch"]
    copied = kernel.at(block, f["turned_at"])

    def output(o: Value) -> None:
        number = kernel.group * f["outputs"] + o
        first = number * f["out_channel"] + kernel.n0 * f["out_image"] + kernel.j0
        first = first + kernel.od * f["out_depth"] + kernel.r0 * f["out_row"]
        source = kernel.at(code["grad"], first)
        padded = (kernel.columns + (lanes - 1)) & -lanes

        def copy_image(b: Value) -> None:
            def copy_row(i: Value) -> None:
                line = kernel.at(source, b * f["out_image"] + i * f["out_row"])
                to = kernel.at(copied, (b * kernel.rows + i) * padded)
                copy(code, element, lanes, to, line, kernel.columns)
                zero_fill(code, element, to, kernel.columns, padded)

            code.loop(0, kernel.rows, copy_row)

        code.loop(0, kernel.images, copy_image)
        place = kernel.at(code["sums"], number * f["terms_padded"])
        code.loop(0, f["terms_padded"], lambda k: terms(place, k, padded), step=tile.rows)

    def terms(place: Value, k: Value, padded: Value) -> None:
        offsets = code.at(code["offsets"], I64, k)
        numbers = [kernel.at(block, code.load(I64, offsets, m)) for m in range(tile.rows)]
        whole = kernel.columns & -lanes
        inside = code.counting(lanes) < code.splat(code.narrowed(kernel.columns - whole), lanes)
        zero = code.constant(tile.vector, 0)

        def image(b: Value, *sums: Value) -> list[Value]:
            def row(i: Value, *sums: Value) -> list[Value]:
                start = (b * f["image_rows"] + i) * f["width"]
                grads = kernel.at(copied, (b * kernel.rows + i) * padded)
                lines = [kernel.at(number, start) for number in numbers]

                def column(j: Value, *sums: Value) -> list[Value]:
                    g = code.load(tile.vector, grads, j)
                    loaded = [code.load(tile.vector, line, j) for line in lines]
                    return [code.fma(g, x, s) for x, s in zip(loaded, sums, strict=True)]

                def rest(j: Value, *sums: Value) -> list[Value]:
                    # the cells beyond the row may hold inf, which zero times would be nan
                    g = code.load(tile.vector, grads, j)
                    loaded = [code.load(tile.vector, line, j) for line in lines]
                    kept = [code.select(inside, x, zero) for x in loaded]
                    return [code.fma(g, x, s) for x, s in zip(kept, sums, strict=True)]

                sums = code.loop(0, whole, column, sums, step=lanes)
                return code.loop(whole, kernel.columns, rest, sums, step=lanes)

            return code.repeat(0, kernel.rows, row, sums)

        zeros = [code.constant(tile.vector, 0.0)] * tile.rows
        sums = code.repeat(0, kernel.images, image, zeros)
        for m, vector in enumerate(sums):
            here = kernel.at(place, k + m)
            code.store(code.load(element, here) + code.total(vector), here)

    def body() -> None:
        kernel.copy_image()
        code.loop(0, f["outputs"], output)

    return kernel.each_block(body)


def _transposed(kernel: BlockKernel, line: Value, to: Value, held: Value) -> None:
    """One row of the gradient, of ``held`` outputs, as (columns, tile.columns) with zeros."""
    code, tile, f = kernel.code, kernel.tile, kernel.f
    lanes = tile.lanes
    whole = kernel.columns & -lanes
    whole_outputs = held & -lanes

    def square(o: Value) -> None:
        def columns(j: Value) -> None:
            first = kernel.at(line, o * f["out_channel"] + j)
            rows = [first]
            for _ in range(lanes - 1):
                rows.append(kernel.at(rows[-1], f["out_channel"]))
            vectors = transpose(code, [code.load(tile.vector, row) for row in rows])
            target = kernel.at(to, j * tile.columns + o)
            for n, vector in enumerate(vectors):
                code.store(vector, target, n * tile.columns)

        code.loop(0, whole, columns, step=lanes)
        code.loop(o, o + lanes, lambda one: single(one, whole))

    def single(o: Value, start: Value | int) -> None:
        source = kernel.at(line, o * f["out_channel"])
        target = kernel.at(to, o)

        def column(j: Value) -> None:
            code.store(code.load(tile.element, source, j), target, j * tile.columns)

        code.loop(start, kernel.columns, column)

    def nothing(o: Value) -> None:
        target = kernel.at(to, o)
        zero = code.constant(tile.element, 0)
        code.loop(0, kernel.columns, lambda j: code.store(zero, target, j * tile.columns))

    code.loop(0, whole_outputs, square, step=lanes)
    code.loop(whole_outputs, held, lambda o: single(o, 0))
    code.loop(held, tile.columns, nothing)


def transpose(code: Code, rows: list[Value]) -> list[Value]:
    """As many vectors as each has lanes, a power of two, turned: first squares of 16 bytes, within
    which an instruction moves elements at no extra cost, then these squares among each other."""
    element, count = split_type(rows[0].kind)
    inner = min(count, 16 // BYTES[element])
    groups = [_interleaved(code, rows[g : g + inner], inner, 1) for g in range(0, count, inner)]
    columns = [_interleaved(code, list(c), count // inner, inner) for c in zip(*groups)]
    return [columns[t][b] for b in range(count // inner) for t in range(inner)]


def _interleaved(code: Code, rows: list[Value], count: int, size: int) -> list[Value]:
    """``count`` vectors of which every part of ``count`` pieces of ``size`` lanes is turned."""
    lanes = split_type(rows[0].kind)[1]
    half = count // 2

    def mixed(begin: int) -> list[int]:
        return [
            x * lanes + (part * count + piece) * size + lane
            for part in range(lanes // (count * size))
            for piece in range(begin, begin + half)
            for x in (0, 1)
            for lane in range(size)
        ]

    # One perfect shuffle of rows k and k + n/2, repeated log2(n) times, transposes.
    for _ in range(count.bit_length() - 1):
        pairs = list(zip(rows[:half], rows[half:], strict=True))
        rows = [code.shuffle(a, b, mixed(begin)) for a, b in pairs for begin in (0, half)]
    return rows


def pack_weights(element: str, rows: int) -> str:
    """``kernel(to, w, offsets, table, start, stop)`` over groups and tiles of outputs.

    ``to``: (group, tile, terms, rows) from ``w`` at group * group_step + output * output_step +
    offsets[term]; zero where there is no such output. table: tiles of a group, outputs, terms,
    group_step, output_step.
    """
    parameters = dict.fromkeys(("to", "w", "offsets", "table"), PTR)
    code = Code("kernel", {**parameters, "start": I64, "stop": I64})
    names = ("tiles", "outputs", "terms", "group_step", "output_step")
    f = {name: code.load(I64, code["table"], i) for i, name in enumerate(names)}

    def tile(i: Value) -> None:
        number = i % f["tiles"] * rows
        source = code.at(code["w"], element, i // f["tiles"] * f["group_step"])
        target = code.at(code["to"], element, i * f["terms"] * rows)

        def output(m: Value) -> None:
            here = code.at(target, element, m)
            line = code.at(source, element, (number + m) * f["output_step"])

            def copied() -> None:
                def term(k: Value) -> None:
                    value = code.load(element, line, code.load(I64, code["offsets"], k))
                    code.store(value, here, k * rows)

                code.loop(0, f["terms"], term)

            def zeros() -> None:
                zero = code.constant(element, 0)
                code.loop(0, f["terms"], lambda k: code.store(zero, here, k * rows))

            code.either(number + m < f["outputs"], copied, zeros)

        code.loop(0, rows, output)

    code.loop(code["start"], code["stop"], tile)
    return code.text()
