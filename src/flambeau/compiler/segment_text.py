"""The function of a segment, in LLVM's language: the calls of the units' own functions, each
thread's share of them, and where threads wait for each other.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .. import _system
from . import chains, machine_code, own_product, vector_code
from .arrays import Added, Array, Native, Product
from .builder import BYTES, I64, PTR, Code, Value, vector_of
from .chains import Chain, Inner, times
from .fusion import Cluster, memory_dtype
from .kernel import Kernel, apart, kept_in_results, placed_at_zero
from .layer_code import recipe_text
from .products_code import added_text, nanoseconds, product_pointers, product_text, summed_call
from .schedule import Unit

SPREAD_UNIT = 8_000.0  # nanoseconds of work from which a unit is shared out among threads
CHUNK = 4_000.0  # nanoseconds of work that a thread takes at a time, at least
CHUNKS = 8  # of a unit for each thread, at most
SHORT = 1024  # elements of a sum that each chunk has a part of
#: The arguments of a segment's function.
SEGMENT = [ctypes.c_void_p] * 3 + [ctypes.c_int64] * 3


AT_ONCE = 32  # elements of the parts of sums that are added up at a time
_JOINED = {np.dtype(t): name for t, name in (("f4", "float"), ("f8", "double"), ("i8", I64))}
_NOTHING = {"float": -0.0, "double": -0.0, I64: 0}  # to which a sum adds
Extent = tuple[int, int, int, bool]  # place in the table, first and last byte, whether written

DECLARATIONS = """
declare void @flambeau_sgemm(i32, i32, i32, INT, INT, INT,
    float, ptr, INT, ptr, INT, float, ptr, INT)
declare void @flambeau_dgemm(i32, i32, i32, INT, INT, INT,
    double, ptr, INT, ptr, INT, double, ptr, INT)
declare i32 @flambeau_nap(i32)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

; The next chunk for a thread: one of those near its own or, when these are gone, of another's; -1
; where none is left. taken: how many of each thread's are taken, a row of bytes apart.
define i64 @next(ptr %taken, i64 %row, i64 %chunks, i64 %threads, i64 %thread) {
entry:
  br label %look
look:
  %turn = phi i64 [ 0, %entry ], [ %following, %over ]
  %sum = add i64 %thread, %turn
  %beyond = icmp sge i64 %sum, %threads
  %less = sub i64 %sum, %threads
  %whose = select i1 %beyond, i64 %less, i64 %sum
  %up = mul i64 %whose, %chunks
  %first = udiv i64 %up, %threads
  %up_next = add i64 %up, %chunks
  %last = udiv i64 %up_next, %threads
  %skip = mul i64 %whose, %row
  %place = getelementptr i8, ptr %taken, i64 %skip
  %seen = load atomic i64, ptr %place monotonic, align 8
  %likely = add i64 %first, %seen
  %some = icmp slt i64 %likely, %last
  br i1 %some, label %take, label %over
take:
  %before = atomicrmw add ptr %place, i64 1 monotonic
  %chunk = add i64 %first, %before
  %mine = icmp slt i64 %chunk, %last
  br i1 %mine, label %found, label %over
found:
  ret i64 %chunk
over:
  %following = add i64 %turn, 1
  %more = icmp slt i64 %following, %threads
  br i1 %more, label %look, label %none
none:
  ret i64 -1
}

define void @wait(ptr %barrier, i64 %threads) {
entry:
  %generation = getelementptr i64, ptr %barrier, i64 16
  %mine = load atomic i64, ptr %generation acquire, align 8
  %before = atomicrmw add ptr %barrier, i64 1 acq_rel
  %arrived = add i64 %before, 1
  %last = icmp eq i64 %arrived, %threads
  br i1 %last, label %release, label %spin
release:
  store atomic i64 0, ptr %barrier release, align 8
  %next = add i64 %mine, 1
  store atomic i64 %next, ptr %generation release, align 8
  ret void
spin:
  %turns = phi i64 [ 0, %entry ], [ %turn, %relax ], [ 0, %nap ]
  %now = load atomic i64, ptr %generation acquire, align 8
  %same = icmp eq i64 %now, %mine
  br i1 %same, label %again, label %done
again:
  %turn = add i64 %turns, 1
  %patient = icmp slt i64 %turn, TURNS
  br i1 %patient, label %relax, label %nap
relax:
  PAUSE
  br label %spin
nap:
  call i32 @flambeau_nap(i32 1)
  br label %spin
done:
  ret void
}
"""


def cost(unit: Unit) -> float:
    """A rough guess of the nanoseconds that one thread needs."""
    work = unit.work
    if isinstance(work, Product):
        return nanoseconds(work)
    if isinstance(work, Added):
        return work.read.array.size * 0.5
    if isinstance(work, Native):
        return work.recipe.nanoseconds
    if unit.kernel is None:
        return 0.0
    kernel = unit.kernel
    size = kernel.row_count * kernel.col_count
    operations = sum(1 for t in kernel.terms() for _ in t.operands)
    return size * (0.15 + 0.05 * operations) * max(1, len(kernel.passes)) + kernel.row_count * 3


def cut(total: int, step: int, needed: float, threads: int) -> tuple[int, int]:
    """The size and the number of chunks, at multiples of ``step``, of work for which a thread
    alone would need so many nanoseconds."""
    count = 1
    if needed >= SPREAD_UNIT and threads > 1:
        count = min(int(needed / CHUNK), CHUNKS * threads)
    return chains.cut(total, step, count)


def kernel_cut(unit: Unit, threads: int) -> tuple[int, int]:
    """The size and the number of chunks of a kernel's work. Sums over rows have a part for each
    chunk: where these are long, there are no more chunks than threads."""
    kernel, needed = unit.kernel, cost(unit)
    flat = vector_code.is_flat(kernel)
    total, step = (kernel.col_count, 64) if flat else (kernel.row_count, 1)
    if any(unit.buffers[b].size > SHORT for b in _added(kernel)):
        return chains.cut(total, step, 1 if needed < SPREAD_UNIT else threads)
    return cut(total, step, needed, threads)


class SegmentWriter:
    """Writes the function of one segment."""

    def __init__(self, program: Any) -> None:
        self.program = program
        self.lines: list[str] = []
        self.count = 0
        self.pending: list[Extent] = []  # since the last wait
        self.pointers: dict[tuple[int, int], str] = {}
        self.head: list[str] = []
        self.inner: dict[int, Inner] = {}  # of the chain that is being written
        self.unjoined: list[tuple[Unit, int, np.dtype, int]] = []  # sums that are there in parts

    def name(self) -> str:
        self.count += 1
        return f"%v{self.count}"

    def pointer(self, array: Array, extra: int = 0) -> str:
        if id(array) in self.inner:
            return self._moved(self.thread_memory(), self.inner[id(array)].offset + extra)
        slot, offset = self.program.address(array)
        return self.pointer_to(slot, offset + extra)

    def pointer_to(self, slot: int, offset: int) -> str:
        key = slot, offset
        if key not in self.pointers:
            at, base = self.name(), self.name()
            self.head.append(f"{at} = getelementptr ptr, ptr %table, i64 {slot}")
            self.head.append(f"{base} = load ptr, ptr {at}")
            if offset:
                moved = self.name()
                self.head.append(f"{moved} = getelementptr i8, ptr {base}, i64 {offset}")
                base = moved
            self.pointers[key] = base
        return self.pointers[key]

    def thread_memory(self) -> str:
        """The memory that this thread has for itself while a unit runs."""
        offset, step = self.program.thread_memory
        return self.own_part(self.pointer_to(self.program.arena_slot, offset), step)

    def _moved(self, pointer: str, by: int) -> str:
        """``pointer``, ``by`` bytes on."""
        moved = self.name()
        self.lines.append(f"{moved} = getelementptr i8, ptr {pointer}, i64 {by}")
        return moved

    def own_part(self, base: str, step: int, number: str = "%thread") -> str:
        """Of memory for all threads, ``step`` bytes each, that of this one, or of another."""
        if self.program.threads == 1:
            return base
        moved, by = self.name(), self.name()
        self.lines.append(f"{by} = mul i64 {number}, {step}")
        self.lines.append(f"{moved} = getelementptr i8, ptr {base}, i64 {by}")
        return moved

    # ---- waiting -----------------------------------------------------------------------------

    def _extent(self, array: Array) -> tuple[int, int, int]:
        slot, offset = self.program.address(array)
        if slot != self.program.arena_slot:
            return slot, 0, 1 << 62
        return slot, offset, offset + max(array.size * array.dtype.itemsize, 1)

    def ready(self, reads: Sequence[Array], writes: Sequence[Array]) -> None:
        """Wait where what comes now touches what threads may still be busy with."""
        if self.program.threads == 1:
            return
        mine = [(*self._extent(a), False) for a in reads]
        mine += [(*self._extent(a), True) for a in writes]
        sums = [(*self._extent(u.buffers[k]), True) for u, k, *_ in self.unjoined]
        if _meet(mine, sums):
            self.wait()
        if _meet(mine, self.pending):
            self.wait()
        self.pending += mine

    def wait(self) -> None:
        """Wait for all threads; sums that each of them has a part of can be added up then."""
        self.lines.append("call void @wait(ptr %barrier, i64 %threads)")
        self.pending = []
        self._add_up()

    # ---- units -------------------------------------------------------------------------------

    def share(self, total: int, step: int, small: bool) -> tuple[str, str]:
        """This thread's part of range(total), cut at multiples of ``step``."""
        if self.program.threads == 1:
            return "0", str(total)
        if small or total < 2 * step:
            zero = self.name()
            stop = self.name()
            self.lines.append(f"{zero} = icmp eq i64 %thread, 0")
            self.lines.append(f"{stop} = select i1 {zero}, i64 {total}, i64 0")
            return "0", stop
        blocks = -(-total // step)
        ends = []
        for who in ("%thread", "%following"):
            part, cut, place, over, end = (self.name() for _ in range(5))
            self.lines.append(f"{part} = mul i64 {blocks}, {who}")
            self.lines.append(f"{cut} = udiv i64 {part}, %threads")
            self.lines.append(f"{place} = mul i64 {cut}, {step}")
            self.lines.append(f"{over} = icmp ult i64 {place}, {total}")
            self.lines.append(f"{end} = select i1 {over}, i64 {place}, i64 {total}")
            ends.append(end)
        return ends[0], ends[1]

    def spread(
        self, total: int, size: int, count: int, call: Callable[[str, str, str], None]
    ) -> None:
        """``call(start, stop, number)`` writes the work on a chunk, one of ``count`` parts of
        range(total), each of ``size``: for whichever thread comes first, to those that are its own
        by their number before the others'."""
        if count == 1 and self.program.threads == 1:
            call("0", str(total), "0")
            return
        taken = self.pointer_to(self.program.arena_slot, self.program.next_taken())
        again, work, done = (self.name()[1:] for _ in range(3))
        chunk, some, start, end, within, stop = (self.name() for _ in range(6))
        self.lines += [
            f"br label %{again}",
            f"{again}:",
            f"{chunk} = call i64 @next(ptr {taken}, i64 {self.program.taken[1]}, i64 {count}, "
            "i64 %threads, i64 %thread)",
            f"{some} = icmp sge i64 {chunk}, 0",
            f"br i1 {some}, label %{work}, label %{done}",
            f"{work}:",
            f"{start} = mul i64 {chunk}, {size}",
            f"{end} = add i64 {start}, {size}",
            f"{within} = icmp slt i64 {end}, {total}",
            f"{stop} = select i1 {within}, i64 {end}, i64 {total}",
        ]
        call(start, stop, chunk)
        self.lines += [f"br label %{again}", f"{done}:"]

    def shares(self, total: int, step: int, small: bool) -> tuple[int, int]:
        """As ``cut``, into as many as there are threads: what each chunk needs is much."""
        return chains.cut(total, step, 1 if small else self.program.threads)

    def cut(self, total: int, step: int, needed: float) -> tuple[int, int]:
        """``cut`` for the program's threads."""
        return cut(total, step, needed, self.program.threads)

    def unit(self, unit: Unit) -> None:
        """The calls that do one unit."""
        work, small = unit.work, cost(unit) < SPREAD_UNIT
        self.ready(*self._touched(unit))
        if isinstance(work, Cluster):
            self.kernel(unit)
        elif isinstance(work, Product) and (unit.number, 0) in self.program.partial:
            self.summed(unit, small)
        elif isinstance(work, Product):
            product_text(self, work, small)
        elif isinstance(work, Native):
            recipe_text(self, work, small)
        else:
            added_text(self, work)

    def kernel(self, unit: Unit) -> None:
        """The call of a kernel, and the sum of what the threads have added up."""
        kernel, streams = unit.kernel, self._streams(unit)
        total = kernel.col_count if vector_code.is_flat(kernel) else kernel.row_count

        def call(start: str, stop: str, number: str) -> None:
            name, pointers, _ = self._kernel_call(unit, number, streams)
            given = ", ".join(f"ptr {p}" for p in pointers)
            self.lines.append(f"call void @{name}({given}, ptr %numbers, i64 {start}, i64 {stop})")

        size, count = kernel_cut(unit, self.program.threads)
        self.spread(total, size, count, call)
        self._join([unit], count)

    def summed(self, unit: Unit, small: bool) -> None:
        """The calls of a product of which threads add up some terms of all sums."""

        def call(start: str, stop: str, number: str) -> None:
            summed_call(self, unit.work, self._zeroed(unit, 0, number), start, stop)

        size, count = self.shares(unit.work.k, 8, small)
        self.spread(unit.work.k, size, count, call)
        self._join([unit], count)

    def _touched(self, unit: Unit) -> tuple[list[Array], list[Array]]:
        """What a unit reads and writes."""
        if unit.kernel is None:
            return unit.work.sources(), [unit.work, *getattr(unit.work, "parts", ())]
        kernel, own = unit.kernel, set(unit.kernel.scratch)
        written = {s.buffer for p in kernel.passes for s in p.stores}
        loaded = {load.buffer for load in kernel.loads}
        reads, writes = ([unit.buffers[b] for b in sorted(x - own)] for x in (loaded, written))
        return reads, writes

    def _streams(self, unit: Unit) -> bool:
        """Whether a unit moves more than the caches hold. Rows that are looked up keep all places
        busy where lines wait for memory; stores past the caches would wait for these, too."""
        if any(load.step for load in unit.kernel.loads):
            return False
        reads, writes = self._touched(unit)
        arrays = {id(a): a.size * memory_dtype(a.dtype).itemsize for a in (*reads, *writes)}
        return sum(arrays.values()) > _system.last_cache()

    def _kernel_call(
        self, unit: Unit, part: str, streams: bool = False
    ) -> tuple[str, list[str], list[Array | None]]:
        """A kernel's function, its pointers, and to which arrays; the ``part`` (a number) of sums
        to which it adds is zero then."""
        program = self.program
        kernel = kept_in_results(unit.kernel, lambda k: self._is_alone(unit, k))
        kernel = replace(kernel, streams=streams)
        added = _added(kernel)
        pointers = []
        for k, start_of in apart(kernel):
            skip = start_of * kernel.buffers[k].itemsize
            if k not in added and k not in kernel.scratch:
                pointers.append(self.pointer(unit.buffers[k], skip))
                continue
            own = self._zeroed(unit, k, part) if k in added else self._own(unit, k)[0]
            pointers.append(own)
        arrays = [*unit.buffers, *[None] * len(unit.kernel.scratch)]
        touched = [arrays[k] for k, _ in apart(kernel)]
        return program.kernel_name(placed_at_zero(kernel)), pointers, touched

    def _is_alone(self, unit: Unit, buffer: int) -> bool:
        """Whether the memory of ``buffer`` is that of no other buffer of the unit."""
        if id(unit.buffers[buffer]) in self.inner:
            return True
        slot, start, stop = self._extent(unit.buffers[buffer])
        others = [
            self._extent(a)
            for k, a in enumerate(unit.buffers)
            if k != buffer and id(a) not in self.inner
        ]
        return not any(s == slot and a < stop and start < b for s, a, b in others)

    def _own(self, unit: Unit, buffer: int) -> tuple[str, int]:
        """This thread's part of a unit's memory, and its bytes."""
        offset, step = self.program.partial[unit.number, buffer]
        return self.own_part(self.pointer_to(self.program.arena_slot, offset), step), step

    def _zeroed(self, unit: Unit, buffer: int, part: str) -> str:
        """The part with the number ``part`` of a sum, full of zeros."""
        offset, step = self.program.partial[unit.number, buffer]
        base = self.own_part(self.pointer_to(self.program.arena_slot, offset), step, part)
        self.lines.append(f"call void @llvm.memset.p0.i64(ptr {base}, i8 0, i64 {step}, i1 false)")
        return base

    def _join(self, units: Sequence[Unit], parts: int) -> None:
        """Note what is to be added up of so many parts of these units' sums, at the next wait."""
        for unit in units:
            sums = _added(unit.kernel) if unit.kernel else {0: unit.work.dtype}
            self.unjoined += [
                (unit, k, dtype, parts)
                for k, dtype in sums.items()
                if (unit.number, k) in self.program.partial
            ]
        if self.program.threads == 1:
            self._add_up()

    def _add_up(self) -> None:
        """Add up the parts, which are all there."""
        program = self.program
        for unit, k, dtype, parts in self.unjoined:
            array = unit.buffers[k]
            offset, step = program.partial[unit.number, k]
            target = self.pointer(array)
            source = self.pointer_to(program.arena_slot, offset)
            joiner = program.shared(_joiner(step, dtype, memory_dtype(array.dtype)))
            first, last = self.share(array.size, 64, array.size < 4096)
            self.lines.append(
                f"call void @{joiner}(ptr {target}, ptr {source}, i64 {first}, i64 {last}, "
                f"i64 {parts})"
            )
            self.pending.append((*self._extent(array), True))
        self.unjoined = []

    def chain(self, chain: Chain) -> None:
        """The calls that take this thread's rows through all units of a chain."""
        program = self.program
        inner = self.inner = chain.inner
        touched = [self._touched(u) for u in chain.units]
        reads, writes = (
            [a for arrays in each for a in arrays if id(a) not in inner] for each in zip(*touched)
        )
        self.ready(reads, writes)
        memory, skip = self.thread_memory(), 0
        products: list[tuple[str, str]] = []  # functions, and panels
        of_products = [u for u in chain.units if u.kernel is None]
        for unit, sizes in zip(of_products, chain.sizes, strict=True):
            pack, name = map(program.shared, own_product.halves(sizes, "$self", "$self"))
            panels = self._moved(memory, skip)
            skip += chains.panel_bytes(sizes)
            _, b, _ = product_pointers(self, unit.work)
            self.lines.append(f"call void @{pack}(ptr {b}, ptr {panels})")
            products.append((name, panels))

        def call(start: str, stop: str, number: str) -> None:
            pointers: list[str] = []
            steps: list[tuple[str, list[int], int | None]] = []
            prepared = iter(products)
            for unit in chain.units:
                if unit.kernel is not None:
                    name, given, arrays = self._kernel_call(unit, number)
                    each = times(unit.kernel, chain.rows)
                else:
                    name, panels = next(prepared)
                    a, _, c = product_pointers(self, unit.work)
                    given, arrays, each = [c, a, panels], [unit.work, unit.work.a.array, None], None
                moves = [inner[id(x)].step if id(x) in inner else 0 for x in arrays]
                steps.append((name, moves, each))
                pointers += given
            function = program.shared(_chain_text(chain, steps))
            given = ", ".join(f"ptr {p}" for p in pointers)
            self.lines.append(
                f"call void @{function}({given}, ptr %numbers, i64 {start}, i64 {stop})"
            )

        size, count = chain.cut(program.threads)
        self.spread(chain.tasks, size, count, call)
        self.inner = {}
        self._join(chain.units, count)

    def finished(self, name: str) -> str:
        """The whole function."""
        if self.unjoined:
            self.wait()
        if self.program.threads > 1:
            self.wait()
            offset, row = self.program.taken
            mine = self.own_part(self.pointer_to(self.program.arena_slot, offset), row)
            self.lines.append(
                f"call void @llvm.memset.p0.i64(ptr {mine}, i8 0, i64 {row}, i1 false)"
            )
        body = "\n  ".join([*self.head, *self.lines])
        parameters = (
            "ptr %table, ptr %numbers, ptr %barrier, i64 %threads, i64 %thread, i64 %following"
        )
        text = f"define void @{name}({parameters}) {{\nentry:\n  {body}\n  ret void\n}}\n"
        return text + machine_code.Task.text(name, SEGMENT)


def _meet(mine: Sequence[Extent], others: Sequence[Extent]) -> bool:
    """Whether one of ``mine`` overlaps with one of ``others``, and one of the two writes."""
    return any(
        s == slot and a < stop and start < b and (written or w)
        for slot, start, stop, written in mine
        for s, a, b, w in others
    )


def _joiner(step: int, own: np.dtype, dtype: np.dtype) -> str:
    """``void $self(out, parts, start, stop, count)``: the sums of ``count`` parts, ``step`` bytes
    from one to the next, of elements of ``own``, as ``dtype``."""
    element, to = _JOINED[own], _JOINED[dtype]
    kinds = {"out": PTR, "parts": PTR, "start": I64, "stop": I64, "count": I64}
    code = Code("$self", kinds)

    def some(lanes: int) -> Callable[[Value], None]:
        kind = vector_of(element, lanes)

        def at_once(i: Value) -> None:
            def add(t: Value, total: Value) -> list[Value]:
                part = code.at(code["parts"], "i8", t * step)
                return [total + code.load(kind, code.at(part, element, i))]

            (total,) = code.loop(0, code["count"], add, [code.constant(kind, _NOTHING[element])])
            if to != element:
                verb = "fptrunc" if BYTES[element] > BYTES[to] else "fpext"
                total = code.cast(verb, total, vector_of(to, lanes))
            code.store(total, code["out"], i)

        return at_once

    whole = code["start"] + (code["stop"] - code["start"]) // AT_ONCE * AT_ONCE
    code.loop(code["start"], whole, some(AT_ONCE), step=AT_ONCE)
    code.loop(whole, code["stop"], some(1))
    return code.text()


def _added(kernel: Kernel) -> dict[int, np.dtype]:
    """The buffers that a kernel adds to, and the dtype in which it does."""
    return {s.buffer: s.term.dtype for p in kernel.passes for s in p.stores if s.add}


def _chain_text(chain: Chain, steps: list[tuple[str, list[int], int | None]]) -> str:
    """``void $self(pointers ..., numbers, first task, last task)``: a block of tasks goes through
    all functions before the next. ``steps``: each function, by how much its pointers move back
    from row to row, and a kernel's rows for each of the chain's (None: it is given tasks)."""
    count = sum(len(moves) for _, moves, _ in steps)
    kinds = {f"p{k}": PTR for k in range(count)} | {"numbers": PTR, "start": I64, "stop": I64}
    code = Code("$self", kinds)
    fewer, longer = divmod(chain.rows, chain.tasks)

    def row(task: Value) -> Value:
        return task * fewer + code.smaller(task, longer)

    def block(first: Value) -> None:
        last = code.smaller(first + chain.block, code["stop"])
        start, stop = row(first), row(last)
        pointers = (code[f"p{k}"] for k in range(count))
        for name, moves, each in steps:
            given = [
                code.at(p, "i8", start * -move) if move else p for move, p in zip(moves, pointers)
            ]
            if each is None:
                code.run(name, *given, first, last)
            else:
                code.run(name, *given, code["numbers"], start * each, stop * each)

    code.loop(code["start"], code["stop"], block, step=chain.block)
    return code.text()
