"""Captured programs on a device: what ``flambeau.compile`` runs where tensors are on cuda.

A graph is lowered and scheduled as on the CPU (``compiler/lowering.py``, ``schedule.py``). Its
units are kernels (``compiler/gpu_code.py``), products, sums at places and calls of operations,
which the interpreter runs. All memory stays where it is from run to run. The first run does the
units one by one; the second one records them, in *segments*, as graphs of the device; later ones
launch these, without Python between their operations. What Python must do itself (random numbers,
``if`` by a tensor's elements, operations that run on the CPU) lies between two segments.

What differs from run to run is written into memory that the recordings know: numbers of optimizers
and the CPU's 0-d tensors in one block; an input that was elsewhere than before is copied to a place
of its own from then on; a result that somebody still holds is copied out from then on.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import _config
from ..compiler import gpu_code, ptx_code, report
from ..compiler.arrays import (
    Added,
    Array,
    Leaf,
    Map,
    Native,
    Product,
    Read,
    Reduce,
    composed,
    row_major,
)
from ..compiler.effects import all_true, continued, same_way
from ..compiler.execute import RandomState, Undone, assign, run_node
from ..compiler.fusion import Cluster, memory_dtype, memory_strides
from ..compiler.graph import Call, Draw, Graph, Node, Update, Var, draws
from ..compiler.live_rows import pruned
from ..compiler.lowering import Lazy, Lowered, Lowering, Refused, located_elements
from ..compiler.python_code import source
from ..compiler.rules import MAY_BE_EMPTY, RULES
from ..compiler.scalar import ordered
from ..compiler.schedule import Plan, Unit, may_raise, scheduled
from ..core.modes import no_grad
from ..core.op import Op
from ..core.value import Value, address
from .arrays import DeviceArray, hollow, over, seen
from .backend import Memory, backend
from .rules import rule

ndarray = np.ndarray
ALIGNMENT = 256
#: What stands in a term besides operations.
_LEAVES = frozenset(["input", "constant", "reduced", "number", "iota", "gather"])
#: Operations that are there for what Python does then.
_EFFECTS = (all_true.op, continued.op, same_way.op)


@rule(" ".join(op.name for op in _EFFECTS))
def _effect(op: Op, args: tuple) -> ndarray:
    return op.forward(*[a._array.host() if isinstance(a, Value) else a for a in args])


class DeviceLowering(Lowering):
    """As on the CPU, but for what a GPU has no code for: that is called."""

    whole_layers = False
    few, part = 256, 2048  # rows that leave a GPU without work; columns of a part of them
    column, threads = 64, 1 << 16  # numbers that one thread adds up; threads that a GPU is to have

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph, RULES, MAY_BE_EMPTY)
        self.seen: dict[int, Array] = {}

    def _lower(self, node: Node) -> None:
        if any(v.level is None for v in node.made):
            raise Refused("it is in the CPU's memory")
        if any(v.level is None and v.shape for v in node.reads()):
            raise Refused("it reads the CPU's memory")
        super()._lower(node)
        for v in node.made:
            self._look_at(self.of(v).read)

    def run(self) -> Lowered:
        """See Lowering."""
        super().run()
        for array in list(self.seen.values()):
            if isinstance(array, Reduce) and not self._by_columns(array):
                self._in_stages(array)
        return self.out

    def _by_columns(self, whole: Reduce) -> bool:
        """Let a sum over the first dimensions be one of each column, in parts if they are long:
        neighbouring threads have neighbouring columns, and add up in registers. Whether it is such
        a sum."""
        wide = [d for d, n in enumerate(whole.full) if n > 1]
        dims = [d for d in wide if d in whole.dims]
        kept = wide[len(dims) :]
        if whole.kind != "sum" or not kept or wide[: len(dims)] != dims or whole.read.index:
            return False
        count = math.prod([whole.full[d] for d in dims])
        if count > self.column:
            least = max(8, count * whole.size // self.threads)
            n = whole.full[dims[-1]]
            sizes = [k for k in range(2, min(n, 2 * self.column) + 1) if n % k == 0]
            if sizes and (len(dims) > 1 or sizes[-1] < n or len(sizes) > 1):
                size = next((k for k in sizes if k >= least), sizes[-1])
                if len(dims) == 1 and size == n:
                    size = sizes[-2]
                self._part(whole, dims[-1], size)
                dims = [d for d, n in enumerate(whole.full) if n > 1 and d in whole.dims]
                kept = [d for d, n in enumerate(whole.full) if n > 1 and d not in whole.dims]
        order = [*kept, *dims]
        read = whole.read
        whole.read = replace(read, strides=tuple([read.strides[d] for d in order]))
        whole.full = tuple([whole.full[d] for d in order])
        whole.dims = tuple(range(len(kept), len(order)))
        return True

    def _part(self, whole: Reduce, d: int, size: int) -> None:
        """Let ``whole`` be reduced over ``size`` neighbours along dimension ``d`` first."""
        full, strides = list(whole.full), list(whole.read.strides)
        full[d : d + 1] = [full[d] // size, size]
        strides[d : d + 1] = [strides[d] * size, strides[d]]
        left = tuple([1 if k == d + 1 else n for k, n in enumerate(full)])
        read = replace(whole.read, strides=tuple(strides))
        part = Reduce(left, whole.dtype, whole.kind, read, tuple(full), (d + 1,))
        part.note = whole.note
        whole.read, whole.full = Read(part, row_major(left)), left
        whole.dims = tuple([k if k <= d else k + 1 for k in whole.dims])

    def _in_stages(self, whole: Reduce) -> None:
        """Let ``whole``, if few rows are long, be reduced in parts first: a row is the work of one
        block of threads, and a GPU has many."""
        full, dims = list(whole.full), sorted(whole.dims)
        if whole.size >= self.few:
            return
        if math.prod([full[d] for d in dims]) <= 2 * self.part:
            return
        read = whole.read
        reads = [read] if read.index is None else [read, read.index]
        strides = [list(r.strides) for r in reads]
        inner: list[int] = []
        size = 1
        while dims and size * full[dims[-1]] <= self.part:
            inner.append(dims.pop())
            size *= full[inner[-1]]
        if 2 * size <= self.part:  # and a part of the next dimension
            d = dims[-1]
            k = next(k for k in range(self.part // size, 0, -1) if full[d] % k == 0)
            if k > 1:
                full[d : d + 1] = [full[d] // k, k]
                for s in strides:
                    s[d : d + 1] = [s[d] * k, s[d]]
                inner = [d + 1, *[i + 1 for i in inner]]
        if not inner:
            return
        left = tuple([1 if d in inner else n for d, n in enumerate(full)])
        index = None if read.index is None else replace(read.index, strides=tuple(strides[1]))
        read = replace(read, strides=tuple(strides[0]), index=index)
        part = Reduce(left, whole.dtype, whole.kind, read, tuple(full), tuple(inner))
        part.note = whole.note
        whole.read, whole.full, whole.dims = Read(part, row_major(left)), left, tuple(dims)
        self._in_stages(whole)

    def _look_at(self, read: Read) -> None:
        """Refused where what ``read`` is computed from has no code on a GPU."""
        todo = [read.array]
        while todo:
            array = todo.pop()
            if id(array) in self.seen:
                continue
            self.seen[id(array)] = array
            todo += array.sources()
            if isinstance(array, Native):
                raise Refused("a layer's own code is the CPU's")
            if isinstance(array, Reduce) and memory_dtype(array.dtype).itemsize == 1:
                raise Refused("a reduction of single bytes")
            for term in ordered(array.term) if isinstance(array, Map) else ():
                if term.operation not in _LEAVES and not gpu_code.computes(term.operation):
                    raise Refused(f"GPUs have no instruction for {term.operation}")


@dataclass(slots=True)
class Segment:
    """Units that are launched together, or the ``call`` of a node by Python."""

    units: list[Unit]
    call: Unit | None = None
    launch: Callable[[], None] | None = None


class _Failed(Exception):
    """A unit cannot be recorded."""

    def __init__(self, unit: Unit, why: Exception) -> None:
        super().__init__(f"{report.named(unit)}: {why}")
        self.unit = unit


class DeviceProgram:
    """One graph on the device. Call it as ``compiler.native.Program``."""

    def __init__(self, graph: Graph) -> None:
        self.captured = graph
        self.graph, self.unread = pruned(graph)
        self.lowered = DeviceLowering(self.graph).run()
        self.plan: Plan = scheduled(self.lowered)
        self.lock = threading.Lock()
        self.timed = _config.debug == "kernels"
        self.memory: dict[int, ndarray] = {}  # id(leaf) -> its array, of the device or the CPU
        self.tables: dict[int, tuple[list, Callable[[], None]]] = {}  # of bundles
        self.own: dict[int, DeviceArray] = {}  # id(leaf) -> its place in all runs, for calls
        self.apart: dict[int, str] = {}  # units that could not be recorded, and why
        self.leaf_of = self.lowered.leaves
        self.warm = False  # whether everything has been run once
        self.stale = False  # whether something could not be recorded
        self._kernels()
        self._lay_out()
        self._split()
        self.pool = backend().pool()
        nodes = [u.work for u in self.plan.units if isinstance(u.work, Node)]
        self.random = RandomState(nodes)

    # ---- kernels -----------------------------------------------------------------------------

    def _kernels(self) -> None:
        """Make the functions of all kernels, those that are alike once."""
        self.kernels: dict[int, list[tuple[gpu_code.GpuKernel, int]]] = {}  # unit -> its functions
        forms: list[gpu_code.GpuKernel] = []
        known: dict[Any, list[tuple[gpu_code.GpuKernel, int]]] = {}
        for unit in self.plan.units:
            if unit.kernel is None:
                continue
            homes = [self._home(b) for b in unit.buffers]
            dtypes = [memory_dtype(b.dtype) for b in unit.buffers]
            pattern = tuple(map(homes.index, homes))
            key = (source(unit.kernel), pattern, *dtypes)
            if key not in known:
                own = gpu_code.lowered(unit.kernel, homes)
                made = [own, *(gpu_code.joiner(own, k, dtypes[k]) for k in own.added)]
                known[key] = [(form, len(forms) + k) for k, form in enumerate(made)]
                forms += made
            self.kernels[unit.number] = known[key]
        self._bundles(forms)
        self.forms = forms
        self.functions = backend().functions(forms, ptx_code.ptx) if forms else []

    def _bundles(self, forms: list[gpu_code.GpuKernel | gpu_code.Bundle]) -> None:
        """Kernels that follow one another and do not depend on each other become one: those of an
        optimizer's step above all."""
        self.bundles: dict[int, tuple[int, list[Unit]]] = {}  # its first unit -> function, units
        self.bundled: set[int] = set()
        made = {id(self.leaf_of[v]) for _, vs in self.lowered.calls for v in vs}
        run: list[Unit] = []
        touched: list[tuple[Any, int, int, bool]] = []

        def ended() -> None:
            if len(run) > 1:
                by_form: dict[int, list[Unit]] = {}
                for unit in run:
                    by_form.setdefault(self.kernels[unit.number][0][1], []).append(unit)
                parts = [(forms[k], len(units)) for k, units in by_form.items()]
                names = "; ".join(dict.fromkeys(kernel.name for kernel, _ in parts))
                self.bundled |= {u.number for u in run}
                ordered_units = [u for units in by_form.values() for u in units]
                self.bundles[run[0].number] = len(forms), ordered_units
                forms.append(gpu_code.Bundle(names, parts))
            run.clear()
            touched.clear()

        for unit in self.plan.units:
            form = self.kernels[unit.number][0][0] if unit.kernel is not None else None
            if form is None or form.own or any(self._extent(b)[0] in made for b in unit.buffers):
                ended()
                continue
            written = {s.buffer for p in unit.kernel.passes for s in p.stores}
            mine = [(*self._extent(b), k in written) for k, b in enumerate(unit.buffers)]
            if run and self.kernels[run[0].number][0][0].threads != form.threads:
                ended()
            if any(
                key == other and (writes or wrote) and start < end and begin < stop
                for key, start, stop, writes in mine
                for other, begin, end, wrote in touched
            ):
                ended()
            run.append(unit)
            touched += mine
        ended()

    def _extent(self, array: Array) -> tuple[Any, int, int]:
        """What memory ``array`` is in, from which byte to which: of the arena, or all of a leaf."""
        home = self.plan.places.get(id(array), array)
        if not isinstance(home, int):
            home = self.plan.places.get(id(home), home)
        if isinstance(home, int):
            return "arena", home, home + max(array.size, 1) * array.dtype.itemsize
        return id(home), 0, 1

    def _home(self, array: Array) -> Any:
        """What stands for the memory that ``array`` is in: a byte of the arena, or a leaf's id."""
        home = self.plan.places.get(id(array), array)
        if isinstance(home, int):
            return home
        return self.plan.places.get(id(home), id(home) << 1 | 1 << 62)

    # ---- memory ------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        plan, graph = self.plan, self.graph
        scratch = 0  # of one kernel at a time
        for made in self.kernels.values():
            size = 0
            for k, n in made[0][0].own.items():
                size += _aligned(made[0][0].workers * n * made[0][0].buffers[k].itemsize)
            scratch = max(scratch, size)
        self.scratch = _aligned(plan.arena)
        self.arena = backend().memory(self.scratch + scratch + ALIGNMENT)
        # Numbers, and what single elements there are in the CPU's memory that the device reads.
        self.mirrors: dict[int, tuple[int, DeviceArray]] = {}  # id(leaf) -> place in the block
        wanted = [leaf for v, leaf in self.leaf_of.items() if v.level is None and not v.shape]
        count = max(graph.scalars, 1)
        self.staged = np.zeros(8 * count + 16 * len(wanted), np.uint8)
        self.numbers = self.staged[: 8 * count].view(np.float64)
        self.block = backend().memory(self.staged.size)
        self.sent = b""
        for k, leaf in enumerate(wanted):
            place = 8 * count + 16 * k
            mirror = over(self.block, self.block.ptr + place, (), leaf.dtype)
            self.mirrors[id(leaf)] = place, mirror
        for v, array in graph.constants.items():
            self._hold(self.leaf_of[v], array)
        self.static: list[DeviceArray | None] = [None] * len(graph.inputs)
        self.last: list[ndarray | None] = [None] * len(graph.inputs)
        self.input_leaves = [self.leaf_of[v] for v in graph.inputs]
        written = {target for target, _ in graph.writes}
        self.is_written = [v in written for v in graph.inputs]
        self.copied = [False] * len(plan.outputs)  # results that are copied out
        self.results: list[DeviceArray] = []
        for k, leaf in enumerate(plan.outputs):
            if self.graph.outputs[k].level is None:
                raise NotImplementedError("a result in the CPU's memory is computed on cuda")
            self.results.append(_room(leaf))
            self.memory[id(leaf)] = self.results[-1]
        self.alone = [_holders(self.results, k) for k in range(len(self.results))]

    def _hold(self, leaf: Leaf, array: ndarray) -> None:
        """``array`` is the memory of ``leaf`` from now on."""
        if isinstance(array, DeviceArray) or id(leaf) not in self.mirrors:
            self.memory[id(leaf)] = array
            return
        self.memory[id(leaf)] = array
        place, _ = self.mirrors[id(leaf)]
        self.staged[place : place + array.itemsize] = np.frombuffer(array.tobytes(), np.uint8)

    def _place(self, array: Array) -> tuple[Memory, int]:
        """The memory of ``array``, and where it begins there."""
        home = self.plan.places.get(id(array), array)
        if not isinstance(home, int) and id(home) in self.memory:
            if id(home) in self.mirrors:
                return self.block, self.mirrors[id(home)][0]
            held = self.memory[id(home)]
            return held.memory, address(held) - held.memory.ptr if held.size else 0
        return self.arena, home if isinstance(home, int) else self.plan.places[id(home)]

    def _looked(
        self, array: Array, shape: Sequence[int], strides: Sequence[int], offset: int
    ) -> Any:
        """Elements of ``array``'s memory as an array of the device's module; strides and offset
        in elements."""
        memory, start = self._place(array)
        dtype = memory_dtype(array.dtype)
        size = dtype.itemsize
        steps = [s * size for s in strides]
        return backend().seen(memory, start + offset * size, tuple(shape), dtype, steps)

    def _read(self, read: Read, dims: Sequence[int]) -> Any:
        strides, offset = composed(dims, read, memory_strides(read.array))
        return self._looked(read.array, dims, strides, offset)

    def _array(self, leaf: Leaf) -> ndarray:
        """The memory of a leaf as an operation takes it."""
        held = self.memory.get(id(leaf))
        if held is not None:
            return held
        start = self.plan.places[id(leaf)]
        strides = [s * leaf.dtype.itemsize for s in leaf.strides] if leaf.size else None
        return over(self.arena, self.arena.ptr + start, leaf.shape, leaf.dtype, strides)

    # ---- segments ----------------------------------------------------------------------------

    def _split(self) -> None:
        """Let what Python must do itself lie between segments."""
        self.segments: list[Segment] = []
        units: list[Unit] = []
        for unit in self.plan.units:
            if self._is_apart(unit):
                self.segments += [Segment(units)] if units else []
                self.segments.append(Segment([], unit))
                units = []
            else:
                units.append(unit)
        self.segments += [Segment(units)] if units else []
        self.draws = 0  # random numbers come first: indices may be among them
        for segment in self.segments:
            if segment.call is None or not isinstance(segment.call.work, Draw):
                break
            self.draws += 1
        raising = [
            k
            for k, s in enumerate(self.segments)
            if any(may_raise(u.work) for u in ([s.call] if s.call or self.warm else s.units) if u)
        ]
        self.unsure = raising[-1] + 1 if raising else 0  # until nothing can fail any more
        self.look: Callable[[], None] | None = None

    def _is_apart(self, unit: Unit) -> bool:
        node = unit.work
        if not isinstance(node, Node):
            return False
        if unit.number in self.apart or isinstance(node, (Draw, Update)) or draws(node):
            return True
        if isinstance(node, Call) and node.op in _EFFECTS:
            return True
        return any(v.level is None for v in (*node.made, *node.reads()))

    def _step(self, unit: Unit) -> None:
        """Ask the device to do one unit, or the bundle that begins with it."""
        work = unit.work
        if unit.number in self.bundled:
            if unit.number in self.bundles:
                self._prepared(unit)()
        elif isinstance(work, Cluster):
            self._launch(unit)
        elif isinstance(work, Product):
            a = self._read(work.a, (*work.batch, work.m, work.k))
            b = self._read(work.b, (*work.batch, work.k, work.n))
            shape = (*work.batch, work.m, work.n)
            backend().product(a, b, self._looked(work, shape, row_major(shape), 0))
        elif isinstance(work, Added):
            width = work.size // work.rows
            out = self._looked(work, (work.rows, width), (width, 1), 0)
            out[...] = 0
            index = self._read(work.index, (work.count,))
            backend().xp.add.at(out, index, self._read(work.read, (work.count, width)))
            if work.skip >= 0:
                out[work.skip] = 0
        else:
            self._call(unit, recorded=True)

    def _prepared(self, first: Unit) -> Callable[[], None]:
        """What launches the bundle that begins with ``first``."""
        number, units = self.bundles[first.number]
        places = [place for unit in units for place in (*self._places(unit), (self.block, 0))]
        known = self.tables.get(number)
        if known is None or known[0] != places:
            known = self.tables[number] = places, self.functions[number](places)
        return known[1]

    def _places(self, unit: Unit) -> list[tuple[Memory, int]]:
        """Where the buffers of a kernel begin."""
        places = [self._place(b) for b in unit.buffers]
        missing = len(self.kernels[unit.number][0][0].buffers) - len(places)
        return places + [(self.arena, 0)] * missing

    def _launch(self, unit: Unit) -> None:
        """A kernel, with the kernels that join its sums."""
        own, number = self.kernels[unit.number][0]
        places = self._places(unit)
        joined: list[tuple[Memory, int]] = []
        start = self.scratch
        for k, n in own.own.items():
            if k in own.added:
                joined.append(places[k])
                shape = (own.workers * n,)
                backend().seen(self.arena, start, shape, own.buffers[k], None).fill(0)
            places[k] = self.arena, start
            start += _aligned(own.workers * n * own.buffers[k].itemsize)
        numbers = self.block, 0
        self.functions[number]([*places, numbers])
        for k, result, (_, joiner) in zip(own.added, joined, self.kernels[unit.number][1:]):
            self.functions[joiner]([places[k], result, numbers])

    def _call(self, unit: Unit, recorded: bool) -> None:
        """Run a node by the interpreter."""
        node = unit.work
        arrays: dict[Var, ndarray] = {}
        for k, v in enumerate(dict.fromkeys(node.reads())):
            leaf = self.plan.arguments.get((unit.number, k)) or self.leaf_of[v]
            arrays[v] = self._array(leaf)
        given = list(arrays.values())
        with no_grad():
            run_node(node, arrays, self.numbers)
        for v in node.made:
            self._filled(v, arrays[v], given, recorded)

    def _filled(self, v: Var, array: ndarray, given: Sequence[ndarray], recorded: bool) -> None:
        """Let ``array`` be the memory of ``v``: where it is, if a recording puts it there each
        time, and else in a place of its own."""
        leaf = self.leaf_of[v]
        if v.level is None:
            if any(a.__class__ is ndarray and np.may_share_memory(a, array) for a in given):
                array = array.copy(order="K")
            self._hold(leaf, array)
            if id(leaf) in self.mirrors:
                assign(self.mirrors[id(leaf)][1], array)
            return
        size = array.itemsize
        laid = not array.size or array.strides == tuple([s * size for s in leaf.strides])
        shared = any(isinstance(a, DeviceArray) and a.memory is array.memory for a in given)
        if recorded and laid and not shared:
            self.memory[id(leaf)] = array
            return
        room = None if recorded else self.own.get(id(leaf))
        if room is None:
            room = _room(leaf)
        if not recorded:
            self.own[id(leaf)] = room
        assign(room, array)
        self.memory[id(leaf)] = room

    # ---- checks ------------------------------------------------------------------------------

    def _bad(self) -> Any:
        """Whether an index is no place of its table, as an array of the device; negative ones,
        which count from the end, are left to eager."""
        bad, known = None, set()
        for x, rows in self.lowered.checks:
            places = located_elements(x)
            key = (x.shape, rows, *((id(a), *s, o, t) for a, s, o, t in places))
            if key in known or not x.size:
                continue
            known.add(key)
            array, strides, offset, _ = places[0]
            if len(places) == 1:
                index = self._looked(array, x.shape, strides, offset)
            else:
                index = self._picked(x, places)
            found = ((index < 0) | (index >= rows)).any()
            bad = found if bad is None else bad | found
        return bad

    def _picked(self, x: Lazy, places: list[tuple[Array, list[int], int, int]]) -> Any:
        """What indices pick from a table of indices."""
        xp = backend().xp
        (table, strides, offset, _), *others = places
        at = offset
        for d, (n, s) in enumerate(zip(x.shape, strides, strict=True)):
            along = [n if k == d else 1 for k in range(len(x.shape))]
            at = at + (xp.arange(n) * s).reshape(along)
        for array, steps, start, step in others:
            at = at + self._looked(array, x.shape, steps, start) * step
        span = 1 + sum((n - 1) * s for n, s in zip(table.shape, memory_strides(table)))
        flat = self._looked(table, (span,), (1,), 0)
        return flat[xp.clip(at, 0, span - 1)]

    def _check(self) -> None:
        """IndexError where an index is no place of its table."""
        if self.look is None:
            bad = self._bad()
            if bad is None:
                return
            if self.warm:
                room = hollow((), np.dtype(np.bool_))

                def find() -> None:
                    seen(room)[...] = self._bad()

                self.look, self.looked = backend().record(find, self.pool), room
        else:
            self.look()
            bad = seen(self.looked)
        if bool(bad):
            raise IndexError("an index is out of range")

    # ---- running -----------------------------------------------------------------------------

    def __call__(
        self,
        inputs: Sequence[ndarray],
        numbers: Sequence[float] = (),
        sure: Callable[[], None] | None = None,
    ) -> list[ndarray]:
        """Run once. Inputs that the graph writes to are changed in place. See ``execute``."""
        with self.lock:
            return self._once(inputs, numbers, sure)

    def _once(
        self,
        inputs: Sequence[ndarray],
        numbers: Sequence[float],
        sure: Callable[[], None] | None,
    ) -> list[ndarray]:
        self._take(inputs)
        self.numbers[: len(numbers)] = numbers
        staged = self.staged.tobytes()
        if staged != self.sent:
            backend().send(self.block, self.staged)
            self.sent = staged
        random = self.random.now()
        place, segments = 0, self.segments
        try:
            if self.lowered.checks:
                while place < self.draws:
                    self._do(segments[place])
                    place += 1
                self._check()
            early = self.unsure > place
            if early:
                self._make_room()
            while place < self.unsure:
                self._do(segments[place])
                place += 1
        except Exception as error:
            self.random.back(random)
            raise Undone from error
        if sure is not None:
            sure()
        if not early:
            self._make_room()
        for segment in segments[place:]:
            self._do(segment)
        if self.stale or not self.warm:
            self.warm, self.stale = True, False
            self._split()
        for static, written, array in zip(self.static, self.is_written, inputs, strict=True):
            if static is not None and written:
                assign(array, static)
        return [
            _copy(array) if copied else array
            for array, copied in zip(self.results, self.copied, strict=True)
        ]

    def _take(self, inputs: Sequence[ndarray]) -> None:
        """Let the recordings find this run's inputs."""
        last, static = self.last, self.static
        for k, array in enumerate(inputs):
            if static[k] is not None:
                assign(static[k], array)
            elif array.__class__ is ndarray:
                self._hold(self.input_leaves[k], array)
            elif array is not last[k]:
                before, last[k] = last[k], array
                self.memory[id(self.input_leaves[k])] = array
                if before is not None and address(before) != address(array):
                    self._forget()
                    if not self.is_written[k] or self.warm:
                        static[k] = _room(self.input_leaves[k])
                        assign(static[k], array)
                        self.memory[id(self.input_leaves[k])] = static[k]

    def _make_room(self) -> None:
        """Let no result of an earlier run be written over that somebody holds."""
        for k, alone in enumerate(self.alone):
            if not self.copied[k] and _holders(self.results, k) > alone:
                self.copied[k] = True
                self.results[k] = _room(self.plan.outputs[k])
                self.memory[id(self.plan.outputs[k])] = self.results[k]
                self._forget()

    def _forget(self) -> None:
        """Record anew: memory is elsewhere."""
        self.look = None
        for segment in self.segments:
            segment.launch = None

    def _do(self, segment: Segment) -> None:
        if self.timed:
            self._timed(segment)
        elif segment.launch is not None:
            segment.launch()
        elif segment.call is not None:
            self._call(segment.call, recorded=False)
        elif not self.warm:
            for unit in segment.units:
                self._step(unit)
        else:
            self._record(segment)

    def _record(self, segment: Segment) -> None:
        """Record a segment and launch it; where that fails, do it unit by unit, and let what
        failed lie between segments from the next run on."""

        def steps() -> None:
            for unit in segment.units:
                try:
                    self._step(unit)
                except Exception as error:
                    raise _Failed(unit, error) from error

        for unit in segment.units:  # before: nothing can be sent to the device while it records
            if unit.number in self.bundles:
                self._prepared(unit)
        try:
            segment.launch = backend().record(steps, self.pool)
        except _Failed as error:
            if not isinstance(error.unit.work, Node):
                raise
            self.apart[error.unit.number] = str(error.__cause__)
            self.stale = True
            for unit in segment.units:
                self._step(unit)
            return
        segment.launch()

    def _timed(self, segment: Segment) -> None:
        """Do a segment unit by unit, and print how long each took."""
        for unit in segment.units or [segment.call]:
            backend().synchronize()
            start = time.perf_counter()
            if segment.call is None:
                self._step(unit)
            else:
                self._call(unit, recorded=False)
            backend().synchronize()
            seconds = time.perf_counter() - start
            how = report.speed([unit], seconds)
            print(f"{1e6 * seconds:9.1f} us  {how:16} {report.named(unit)}", file=sys.stderr)

    # ---- for people --------------------------------------------------------------------------

    def size(self) -> str:
        """What it takes, in words."""
        graphs = sum(s.call is None for s in self.segments)
        calls = len(self.segments) - graphs
        between = f", with {calls} calls of Python between them" if calls else ""
        return (
            f"on cuda: {graphs} launches{between}; {self.plan.arena / 1e6:.1f} MB for what lies "
            f"between, {len(self.forms)} functions"
        )

    def assembly(self) -> str:
        """The kernels as PTX."""
        return ptx_code.ptx(self.forms)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _room(leaf: Leaf) -> DeviceArray:
    """New memory for ``leaf``."""
    return hollow(leaf.shape, leaf.dtype, [s * leaf.dtype.itemsize for s in leaf.strides])


def _copy(array: DeviceArray) -> DeviceArray:
    room = hollow(array.shape, array.dtype, array.strides)
    assign(room, array)
    return room


def _holders(arrays: list[DeviceArray], k: int) -> tuple[int, int]:
    """How many references there are to array number k, and to its memory, which views hold too."""
    array = arrays[k]
    return sys.getrefcount(array), sys.getrefcount(array.memory)
