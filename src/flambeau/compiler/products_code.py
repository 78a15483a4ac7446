"""Matrix products, and sums of rows at places, as parts of a segment (``native``)."""

from __future__ import annotations

import math
from typing import Any

from .. import _system
from . import own_product
from .arrays import Added, Product, Read, Split, Tangled, composed, row_major
from .builder import I64, PTR, Code, Value
from .fusion import memory_strides
from .own_product import Sizes
from .scalar import FLOAT32

LARGE = 1024  # the least size of a product that is BLAS's
_ROW_MAJOR, _PLAIN, _TRANSPOSED = 101, 111, 112  # CBLAS's names for these


def matrix_layout(read: Read, dims: tuple[int, ...]) -> tuple[list[int], int] | None:
    """The memory strides of a matrix operand for its dimensions (*batch, rows, columns), and where
    it starts; None where a product cannot read it in place."""
    if read.index is not None:
        return None
    try:
        strides, offset = composed(dims, read, memory_strides(read.array))
    except (Split, Tangled):
        return None
    rows, cols = strides[-2:]
    m, n = dims[-2:]
    if (cols == 1 or n == 1) and (rows >= max(n, 1) or m == 1):
        return strides, offset
    if (rows == 1 or m == 1) and (cols >= max(m, 1) or n == 1):
        return strides, offset
    return None


def batch_split(read: Read, dims: tuple[int, ...]) -> tuple[int, int] | None:
    """Which of the batch dimensions must be seen as two, the second of which size, so that the
    memory of a matrix operand can be read where it is; None where none must."""
    try:
        composed(dims, read, memory_strides(read.array))
    except Split as split:
        return (split.place, split.inner) if split.place < len(dims) - 2 else None
    except Tangled:
        return None
    return None


def _operand(strides: list[int], m: int, n: int) -> tuple[int, int]:
    """How CBLAS names a matrix of m rows and n columns: (transposed or not, leading dimension)."""
    rows, cols = strides[-2:]
    if (cols == 1 or n == 1) and (rows >= n or m == 1):
        return _PLAIN, max(rows, n, 1) if m > 1 else max(n, 1)
    return _TRANSPOSED, max(cols, m, 1) if n > 1 else max(m, 1)


def product_pointers(writer: Any, work: Product) -> list[str]:
    """Where the operands and the result of a product begin."""
    size = work.dtype.itemsize
    _, a = matrix_layout(work.a, (*work.batch, work.m, work.k))
    _, b = matrix_layout(work.b, (*work.batch, work.k, work.n))
    given = ((work.a.array, a), (work.b.array, b), (work, 0))
    return [writer.pointer(x, start * size) for x, start in given]


def product_text(writer: Any, work: Product, small: bool) -> None:
    """The calls for ``work``, shared out among threads: by batch, by rows or by columns."""
    a, _ = matrix_layout(work.a, (*work.batch, work.m, work.k))
    b, _ = matrix_layout(work.b, (*work.batch, work.k, work.n))
    out = row_major((*work.batch, work.m, work.n))  # ``work.shape``, its batch perhaps split
    count = math.prod(work.batch)
    threads = writer.program.threads
    one = "float" if work.dtype == FLOAT32 else "double"
    name = "flambeau_sgemm" if work.dtype == FLOAT32 else "flambeau_dgemm"
    pointers = product_pointers(writer, work)
    trans_a, lead_a = _operand(a, work.m, work.k)
    trans_b, lead_b = _operand(b, work.k, work.n)
    by_batch = count >= threads and count > 1
    own = own_sizes(work, a, b)
    if own is not None:
        _own_text(writer, work, own, pointers, (a, b, out), small)
        return
    along_rows = work.m >= work.n
    n_batch = len(work.batch)
    integer = "i64" if _system.blas().suffix else "i32"
    parts = []
    if by_batch:
        first, last = writer.share(count, 1, small)
        parts.append((first, last))
    else:
        first, last = "0", str(count)
    length = work.m if along_rows else work.n
    if by_batch:
        start, stop = "0", str(length)
    else:
        start, stop = writer.share(length, 16 if length >= 32 * threads else 4, small)
    text = """define void @$self(ptr %a, ptr %b, ptr %c,
    i64 %first, i64 %last, i64 %start, i64 %stop) {
entry:
  %length = sub i64 %stop, %start
  %some = icmp sgt i64 %length, 0
  br i1 %some, label %test, label %done
test:
  %i = phi i64 [ %first, %entry ], [ %next, %body ]
  %more = icmp slt i64 %i, %last
  br i1 %more, label %body, label %done
body:
"""
    lines: list[str] = []
    count_names = [0]

    def name_() -> str:
        count_names[0] += 1
        return f"%n{count_names[0]}"

    rest = "%i"
    indices: list[str] = []
    for d in reversed(range(n_batch)):
        if d == 0:
            indices.append(rest)
        else:
            index, less = name_(), name_()
            lines.append(f"{index} = urem i64 {rest}, {work.batch[d]}")
            lines.append(f"{less} = udiv i64 {rest}, {work.batch[d]}")
            indices.append(index)
            rest = less
    indices.reverse()

    def moved(pointer: str, strides: Any, step: int | None) -> str:
        total = "0"
        terms = [(i, strides[d]) for d, i in enumerate(indices)]
        if step is not None:
            terms.append(("%start", step))
        for index, stride in terms:
            if stride == 0:
                continue
            part, new = name_(), name_()
            lines.append(f"{part} = mul i64 {index}, {stride}")
            lines.append(f"{new} = add i64 {total}, {part}")
            total = new
        at = name_()
        lines.append(f"{at} = getelementptr {one}, ptr {pointer}, i64 {total}")
        return at

    if along_rows:
        pa = moved("%a", a, a[-2] if work.m > 1 else 0)
        pb = moved("%b", b, None)
        pc = moved("%c", out, out[-2])
        m, n = "%length", str(work.n)
    else:
        pa = moved("%a", a, None)
        pb = moved("%b", b, b[-1] if work.n > 1 else 0)
        pc = moved("%c", out, out[-1])
        m, n = str(work.m), "%length"
    if integer == "i32":
        lines.append("%short = trunc i64 %length to i32")
        m, n = (x.replace("%length", "%short") for x in (m, n))
    lines.append(
        f"call void @{name}(i32 {_ROW_MAJOR}, i32 {trans_a}, i32 {trans_b}, {integer} {m}, "
        f"{integer} {n}, {integer} {work.k}, {one} 1.0, ptr {pa}, {integer} {lead_a}, ptr {pb}, "
        f"{integer} {lead_b}, {one} 0.0, ptr {pc}, {integer} {work.n})"
    )
    text += "  " + "\n  ".join(lines)
    text += """
  %next = add i64 %i, 1
  br label %test
done:
  ret void
}
"""
    function = writer.program.shared(text)
    given = ", ".join(f"ptr {p}" for p in pointers)
    writer.lines.append(
        f"call void @{function}({given}, i64 {first}, i64 {last}, i64 {start}, i64 {stop})"
    )


def own_sizes(work: Product, a: list[int], b: list[int]) -> Sizes | None:
    """The sizes for code of its own; None where BLAS is better: for few rows, and for matrices so
    large that they are cut for the last cache, too (1,024 to 2,048: 10 to 15 %)."""
    large = not work.batch and min(work.m, work.n, work.k) >= LARGE
    if (work.m < 4 or large) and _system.blas() is not None:
        return None
    element = "float" if work.dtype == FLOAT32 else "double"
    return Sizes(element, work.m, work.n, work.k, tuple(a[-2:]), tuple(b[-2:]))


def sizes_of(work: Product) -> Sizes | None:
    """As ``own_sizes``, of a product whose operands can be read where they are."""
    a, _ = matrix_layout(work.a, (*work.batch, work.m, work.k))
    b, _ = matrix_layout(work.b, (*work.batch, work.k, work.n))
    return own_sizes(work, a, b)


def nanoseconds(work: Product) -> float:
    """A rough guess of what one thread needs."""
    return 2 * math.prod(work.batch) * work.m * work.n * work.k / 60 + 300


def panel_bytes(work: Product) -> int:
    """Memory that a thread needs for ``work``."""
    sizes = sizes_of(work)
    return 0 if sizes is None else sizes.memory


def shares_terms(work: Product, threads: int) -> bool:
    """Whether each of the threads had better add up some terms of all sums of ``work``."""
    if threads == 1 or math.prod(work.batch) != 1:
        return False
    sizes = sizes_of(work)
    return sizes is not None and sizes.shared(threads) == "terms"


def summed_call(writer: Any, work: Product, partial: str, first: str, last: str) -> None:
    """The call that adds these terms of ``work`` to ``partial``."""
    name = writer.program.shared(own_product.summed(sizes_of(work), "$self"))
    a, b, _ = product_pointers(writer, work)
    writer.lines.append(
        f"call void @{name}(ptr {partial}, ptr {a}, ptr {b}, ptr {writer.thread_memory()}, "
        f"i64 {first}, i64 {last})"
    )


def _own_text(
    writer: Any,
    work: Product,
    sizes: Sizes,
    pointers: list[str],
    strides: tuple[Any, Any, Any],
    small: bool,
) -> None:
    """The calls of a product's own function."""
    name = writer.program.shared(own_product.text(sizes, "$self"))
    count, threads = math.prod(work.batch), writer.program.threads
    panel = writer.thread_memory()
    totals = {"products": count, "blocks": sizes.blocks, "tasks": sizes.tasks}
    what = "products" if 1 < count >= threads else sizes.shared(threads)
    what = what if what in totals else "tasks"  # is shared out among the threads
    function = name if count == 1 else _each_text(writer, work, sizes, name, strides)
    a, b, c = pointers

    def call(start: str, stop: str, number: str) -> None:
        ranges = {w: ("0", str(n)) for w, n in totals.items()} | {what: (start, stop)}
        if count == 1:
            del ranges["products"]
        given = ", ".join(f"i64 {x}" for pair in ranges.values() for x in pair)
        writer.lines.append(
            f"call void @{function}(ptr {c}, ptr {a}, ptr {b}, ptr {panel}, {given})"
        )

    if what == "products":
        cut = writer.cut(count, 1, nanoseconds(work))
    else:
        cut = writer.shares(totals[what], 1, small)
    writer.spread(totals[what], *cut, call)


def _each_text(
    writer: Any, work: Product, sizes: Sizes, name: str, strides: tuple[Any, Any, Any]
) -> str:
    """The function of several products of a batch: as ``name``'s, after a range of them."""
    kinds = {"c": PTR, "a": PTR, "b": PTR, "panel": PTR}
    kinds |= dict.fromkeys(("first", "last", "b0", "b1", "t0", "t1"), I64)
    code = Code("$self", kinds)

    def one(i: Value) -> None:
        places = []
        for pointer, own in zip((code["c"], code["a"], code["b"]), (strides[2], *strides[:2])):
            rest, total = i, code.constant(I64, 0)
            for d in reversed(range(len(work.batch))):
                index = rest % work.batch[d] if d else rest
                if own[d]:
                    total = total + index * own[d]
                if d:
                    rest = rest // work.batch[d]
            places.append(code.at(pointer, sizes.element, total))
        shares = [code[n] for n in ("b0", "b1", "t0", "t1")]
        code.run(name, *places, code["panel"], *shares)

    code.loop(code["first"], code["last"], one)
    return writer.program.shared(code.text())


def added_text(writer: Any, work: Added) -> None:
    """Zeros, and every row added at its place; threads share out the columns."""
    width = work.size // work.rows
    dims = work.count
    index_strides, index_start = composed((dims,), work.index, memory_strides(work.index.array))
    strides, start = composed((dims, width), work.read, memory_strides(work.read.array))
    kind = "float" if work.dtype == FLOAT32 else "double"
    size = work.dtype.itemsize
    first, last = writer.share(width, 16, width < 32)
    skip = (
        f"%keep = icmp ne i64 %place, {work.skip}" if work.skip >= 0 else "%keep = icmp eq i1 0, 0"
    )
    function = writer.program.shared(f"""
define void @$self(ptr %out, ptr %index, ptr %rows, i64 %start, i64 %stop) {{
entry:
  %length = sub i64 %stop, %start
  %some = icmp sgt i64 %length, 0
  br i1 %some, label %clear, label %done
clear:
  %r = phi i64 [ 0, %entry ], [ %r_next, %clear ]
  %r_at = mul i64 %r, {width}
  %r_first = add i64 %r_at, %start
  %r_pointer = getelementptr {kind}, ptr %out, i64 %r_first
  %bytes = mul i64 %length, {size}
  call void @llvm.memset.p0.i64(ptr %r_pointer, i8 0, i64 %bytes, i1 false)
  %r_next = add i64 %r, 1
  %r_more = icmp slt i64 %r_next, {work.rows}
  br i1 %r_more, label %clear, label %test
test:
  %i = phi i64 [ 0, %clear ], [ %i_next, %next ]
  %more = icmp slt i64 %i, {dims}
  br i1 %more, label %row, label %done
row:
  %i_step = mul i64 %i, {index_strides[0]}
  %place_at = getelementptr i64, ptr %index, i64 %i_step
  %place_given = load i64, ptr %place_at
  %negative = icmp slt i64 %place_given, 0
  %wrapped = add i64 %place_given, {work.rows}
  %place = select i1 %negative, i64 %wrapped, i64 %place_given
  {skip}
  %out_row = mul i64 %place, {width}
  %in_row = mul i64 %i, {strides[0]}
  br i1 %keep, label %column, label %next
column:
  %j = phi i64 [ %start, %row ], [ %j_next, %column ]
  %out_at = add i64 %out_row, %j
  %in_step = mul i64 %j, {strides[1]}
  %in_at = add i64 %in_row, %in_step
  %to = getelementptr {kind}, ptr %out, i64 %out_at
  %from = getelementptr {kind}, ptr %rows, i64 %in_at
  %old = load {kind}, ptr %to
  %more_value = load {kind}, ptr %from
  %new = fadd {kind} %old, %more_value
  store {kind} %new, ptr %to
  %j_next = add i64 %j, 1
  %j_more = icmp slt i64 %j_next, %stop
  br i1 %j_more, label %column, label %next
next:
  %i_next = add i64 %i, 1
  br label %test
done:
  ret void
}}
""")
    pointers = [
        writer.pointer(work),
        writer.pointer(work.index.array, index_start * 8),
        writer.pointer(work.read.array, start * size),
    ]
    given = ", ".join(f"ptr {p}" for p in pointers)
    writer.lines.append(f"call void @{function}({given}, i64 {first}, i64 {last})")
