"""A kernel of the loop language (``kernel``) in LLVM's language, in vectors.

    void name(ptr buffer0, ..., ptr numbers, i64 width, i64 start, i64 stop)

computes the rows start <= r < stop; of a kernel that ``is_flat``, the columns start <= c < stop of
the only row. ``width`` is there where rows are of WIDTH columns. The innermost column dimension
runs in vectors of ``wide`` lanes, what remains of it in vectors of ``narrow`` lanes of which the
last is masked. Kernels that stream (``Kernel.streams``) have the narrow vectors at the start, too,
up to where wide stores past the caches may begin. Local variables are memory on the stack here;
LLVM's pass "sroa" puts them into registers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from .kernel import WIDTH, Kernel, Load, Pass, Size, Store, identity
from .scalar import BOOL, FLOAT32, FLOAT64, INT32, INT64, Scalar, ordered
from .scalar_text import instruction, literal, llvm_type

_MOST_BYTES = 128  # of a wide vector's widest element type: four registers, so latencies overlap
_LONG_TERM = 200  # expressions from which wide vectors have half of that; gelu's gradient has 138
_NARROW_BYTES = 32
# Of open size: with the wide ones' registers, LLVM would keep the constants of both loops in
# registers, and spill others (gelu: 10 % slower).
_OPEN_BYTES = 16
_LINE = 64  # bytes of a line of the caches, at whose multiples stores past them begin
_AHEAD = 4096  # bytes by which operands are asked for ahead: the processor itself stops at pages


def is_flat(kernel: Kernel) -> bool:
    """Whether the kernel is one row whose columns can be shared out among threads."""
    return (
        kernel.row_count == 1
        and len(kernel.cols) == 1
        and len(kernel.passes) == 1
        and not kernel.passes[0].reductions
        and not any(s.row or s.add for s in kernel.passes[0].stores)
    )


def text(kernel: Kernel, name: str) -> str:
    """The function ``name`` of ``kernel``."""
    return _Writer(kernel).function(name)


class _Writer:
    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.lines: list[str] = []
        self.allocas: list[str] = []
        self.count = 0
        self.cols = kernel.cols or (1,)
        self.first_col = len(kernel.rows)
        self.varying = kernel.varying(kernel.terms())
        nodes = {id(node): node for t in kernel.terms() for node in ordered(t)}
        operations = len(nodes)
        widest = 4
        for key, node in nodes.items():
            if self.varying[key] and node.operation != "iota":
                widest = max(widest, node.dtype.itemsize)
        most = _MOST_BYTES if operations < _LONG_TERM else _MOST_BYTES // 2
        least = _OPEN_BYTES if kernel.is_open else _NARROW_BYTES
        self.wide, self.narrow = most // widest, least // widest
        self.number_names: dict[int, str] = {}
        self.streamed: Store | None = None  # what the pass stores past the caches
        self.ahead: list[Load] = []  # what the pass is the first to load

    # ---- text --------------------------------------------------------------------------------

    def name(self) -> str:
        self.count += 1
        return f"%t{self.count}"

    def emit(self, code: str) -> str:
        name = self.name()
        self.lines.append(f"{name} = {code}")
        return name

    def do(self, code: str) -> None:
        self.lines.append(code)

    def label(self) -> str:
        self.count += 1
        return f"b{self.count}"

    def local(self, kind: str) -> str:
        name = self.name()
        self.allocas.append(f"{name} = alloca {kind}")
        return name

    @contextmanager
    def loop(self, start: str, stop: str, step: int) -> Iterator[str]:
        """A loop over start <= i < stop; gives the name of i."""
        counter = self.local("i64")
        test, body, after = self.label(), self.label(), self.label()
        self.do(f"store i64 {start}, ptr {counter}")
        self.do(f"br label %{test}")
        self.lines.append(f"{test}:")
        i = self.emit(f"load i64, ptr {counter}")
        more = self.emit(f"icmp slt i64 {i}, {stop}")
        self.do(f"br i1 {more}, label %{body}, label %{after}")
        self.lines.append(f"{body}:")
        yield i
        following = self.emit(f"add i64 {i}, {step}")
        self.do(f"store i64 {following}, ptr {counter}")
        self.do(f"br label %{test}")
        self.lines.append(f"{after}:")

    def sum_of(self, base: str, parts: Sequence[tuple[str, Size]]) -> str:
        """``base + sum(index * stride)``; indices are names."""
        total = base
        for index, stride in parts:
            if stride == 0:
                continue
            step = index if stride == 1 else self.emit(f"mul i64 {index}, {_size(stride)}")
            total = step if total == "0" else self.emit(f"add i64 {total}, {step}")
        return total

    # ---- the function ------------------------------------------------------------------------

    def function(self, name: str) -> str:
        kernel = self.kernel
        names = [f"%buffer{k}" for k in range(len(kernel.buffers))]
        parameters = ", ".join([*(f"ptr noalias {n}" for n in names), "ptr %numbers"])
        parameters = parameters.replace("noalias ", "")
        if WIDTH in kernel.cols and not is_flat(kernel):
            parameters += ", i64 %width"
        for t in kernel.terms():
            for node in ordered(t):
                if node.operation == "number" and node.value not in self.number_names:
                    at = self.emit(f"getelementptr double, ptr %numbers, i64 {node.value}")
                    self.number_names[node.value] = self.emit(f"load double, ptr {at}")
        if is_flat(kernel):
            self.row([], "%start", "%stop")
        else:
            with self.loop("%start", "%stop", 1) as r:
                rest, indices = r, []
                for n in reversed(kernel.rows[1:]):
                    indices.append(self.emit(f"urem i64 {rest}, {n}"))
                    rest = self.emit(f"udiv i64 {rest}, {n}")
                if kernel.rows:
                    indices.append(rest)
                self.row(indices[::-1], "0", _size(self.cols[-1]))
        if kernel.streams:
            self.do("DRAIN")
        body = "\n  ".join([*self.allocas, *self.lines])
        body = body.replace("\n  b", "\nb")
        return f"""define void @{name}({parameters}, i64 %start, i64 %stop) {{
  {body}
  ret void
}}
"""

    # ---- one row -----------------------------------------------------------------------------

    def row(self, indices: list[str], start: str, stop: str) -> None:
        """All passes over the row at ``indices``; its innermost dimension from start to stop."""
        self.row_indices = indices
        self.scalars: dict[int, str] = {}  # values that hold for the whole row
        self.splats: dict[tuple[int, int], str] = {}
        self.slots: dict[int, str] = {}
        self.bases: dict[int, str] = {}
        self.seen: set[int] = set()
        for load in self.kernel.loads:
            self.row_base(load)
        for p in self.kernel.passes:
            for s in p.stores:
                self.row_base(s)
        for p in self.kernel.passes:
            self.one_pass(p, start, stop)

    def row_base(self, moving: Load | Store) -> str:
        """The position, in elements, where the row starts for a load or store."""
        key = id(moving)
        if key not in self.bases:
            parts = list(zip(self.row_indices, moving.strides[: self.first_col]))
            self.bases[key] = self.sum_of(str(moving.offset), parts)
        return self.bases[key]

    def scalar(self, node: Scalar) -> str:
        """The value of an expression that is the same all along the row."""
        for n in ordered(node):
            if id(n) not in self.scalars:
                self.scalars[id(n)] = self._scalar(n)
        return self.scalars[id(node)]

    def _scalar(self, n: Scalar) -> str:
        if n.operation == "constant":
            return literal(n, 1)
        if n.operation == "reduced":
            return self.slots[n.value]
        if n.operation == "number":
            return self.number_names[n.value]
        if n.operation == "iota":
            return self.row_indices[n.value]
        if n.operation in ("input", "gather"):
            load = self.kernel.loads[n.value]
            place = self.row_base(load)
            if n.operation == "gather":
                place = self.sum_of(place, [(self.scalars[id(n.operands[0])], load.step)])
            return self._load_one(load, place)
        return self.emit(instruction(n, [self.scalars[id(a)] for a in n.operands], 1))

    def _load_one(self, load: Load, place: str) -> str:
        memory = "i8" if load.dtype == BOOL else llvm_type(load.dtype, 1)
        at = self.emit(f"getelementptr {memory}, ptr %buffer{load.buffer}, i64 {place}")
        value = self.emit(f"load {memory}, ptr {at}, align {load.dtype.itemsize}")
        return self.emit(f"icmp ne i8 {value}, 0") if load.dtype == BOOL else value

    def splat(self, value: str, dtype: np.dtype, lanes: int) -> str:
        kind = llvm_type(dtype, lanes)
        if lanes == 1:
            return value
        one = self.emit(f"insertelement {kind} poison, {llvm_type(dtype, 1)} {value}, i64 0")
        zeros = f"<{lanes} x i32> zeroinitializer"
        return self.emit(f"shufflevector {kind} {one}, {kind} poison, {zeros}")

    def prepare(self, terms: Sequence[Scalar], widths: Sequence[int]) -> None:
        """Compute, before the loops of a pass, what its terms need that holds for the row."""
        for t in terms:
            for node in ordered(t):
                if self.varying[id(node)]:
                    for a in node.operands:
                        if not self.varying[id(a)]:
                            self._prepared(a, widths)
            if not self.varying[id(t)]:
                self._prepared(t, widths)

    def _prepared(self, node: Scalar, widths: Sequence[int]) -> None:
        value = self.scalar(node)
        if node.operation == "constant":
            return
        for lanes in widths:
            if (id(node), lanes) not in self.splats:
                self.splats[id(node), lanes] = self.splat(value, node.dtype, lanes)

    def one_pass(self, p: Pass, start: str, stop: str) -> None:
        """The lets, the walk over the columns, and the stores of row values."""
        for slot, term in p.lets:
            self.slots[slot] = self.scalar(term)
        stores = [s for s in p.stores if not s.row]
        terms = [r.term for r in p.reductions] + [s.term for s in stores]
        if terms:
            self.walk(p, stores, terms, start, stop)
        for s in p.stores:
            if s.row:
                self.store_row(s)

    def walk(
        self, p: Pass, stores: list[Store], terms: list[Scalar], start: str, stop: str
    ) -> None:
        self.streamed = self._streamed(stores)
        self.ahead = self._ahead(terms, stores)
        dynamic = self.streamed is not None or not stop.isdecimal()
        length = 0 if dynamic else int(stop)
        wide = self.wide if dynamic or length >= self.wide else 0
        narrow = self.narrow if dynamic or not wide or length % wide else 0
        widths = [w for w in (wide, narrow) if w]
        self.prepare(terms, widths)
        sums: dict[tuple[int, int], str] = {}
        for r in p.reductions:
            for lanes in widths:
                kind = llvm_type(r.term.dtype, lanes)
                local = sums[r.slot, lanes] = self.local(kind)
                first = literal(identity(r.kind, r.term.dtype), lanes)
                self.do(f"store {kind} {first}, ptr {local}")

        def body(outer: list[str]) -> None:
            if wide:
                first = start
                if self.streamed is not None:
                    first = self.line_start(self.streamed, outer, start, stop)
                    with self.loop(start, first, narrow) as j:
                        self.columns(p, stores, outer, j, narrow, first, sums)
                if dynamic:
                    span = self.emit(f"sub i64 {stop}, {first}")
                    whole = self.emit(f"and i64 {span}, {-wide}")
                    middle = self.emit(f"add i64 {first}, {whole}")
                else:
                    middle = str(length - length % wide)
                with self.loop(first, middle, wide) as j:
                    self.columns(p, stores, outer, j, wide, None, sums)
            else:
                middle = start
            if narrow and dynamic:
                with self.loop(middle, stop, narrow) as j:
                    self.columns(p, stores, outer, j, narrow, stop, sums)
            elif narrow:
                rest = length - int(middle)
                whole = int(middle) + rest - rest % narrow
                if whole > int(middle):
                    with self.loop(middle, str(whole), narrow) as j:
                        self.columns(p, stores, outer, j, narrow, None, sums)
                if rest % narrow:
                    self.columns(p, stores, outer, str(whole), narrow, stop, sums)

        self.nest(list(self.cols[:-1]), [], body)
        for r in p.reductions:
            self.slots[r.slot] = self.joined(
                r.kind, r.term.dtype, [(lanes, sums[r.slot, lanes]) for lanes in widths]
            )

    def _streamed(self, stores: list[Store]) -> Store | None:
        """The store of a pass that goes past the caches: of whole vectors of what is not read."""
        if not self.kernel.streams:
            return None
        read = {load.buffer for load in self.kernel.loads}
        for s in stores:
            size = self.wide * s.term.dtype.itemsize
            whole = s.strides[self.first_col :][-1:] == (1,) and size >= _NARROW_BYTES
            if whole and not s.add and s.buffer not in read and s.term.dtype != BOOL:
                return s
        return None

    def _ahead(self, terms: Sequence[Scalar], stores: Sequence[Store]) -> list[Load]:
        """What the pass loads first, along memory."""
        if not self.kernel.streams:
            return []
        places = {n.value for t in terms for n in ordered(t) if n.operation == "input"}
        loads = [self.kernel.loads[k] for k in sorted(places)]
        new = [x for x in loads if x.buffer not in self.seen]
        self.seen |= {x.buffer for x in loads} | {s.buffer for s in stores}
        return [x for x in new if x.strides[self.first_col :][-1:] == (1,)]

    def line_start(self, s: Store, outer: list[str], start: str, stop: str) -> str:
        """The first column from ``start`` on whose element of ``s`` begins a line of the caches;
        ``stop`` where none before it does."""
        size = s.term.dtype.itemsize
        self.outer = outer
        base, _ = self.place(s)
        at = self.sum_of(base, [(start, 1)])
        memory = llvm_type(s.term.dtype, 1)
        pointer = self.emit(f"getelementptr {memory}, ptr %buffer{s.buffer}, i64 {at}")
        place = self.emit(f"ptrtoint ptr {pointer} to i64")
        up = self.emit(f"sub i64 0, {place}")
        gap = self.emit(f"and i64 {up}, {_LINE - 1}")
        count = self.emit(f"udiv i64 {gap}, {size}")
        first = self.emit(f"add i64 {start}, {count}")
        rest = self.emit(f"urem i64 {gap}, {size}")
        odd = self.emit(f"icmp ne i64 {rest}, 0")
        late = self.emit(f"icmp sgt i64 {first}, {stop}")
        none = self.emit(f"or i1 {odd}, {late}")
        return self.emit(f"select i1 {none}, i64 {stop}, i64 {first}")

    def nest(self, sizes: list[int], outer: list[str], body: object) -> None:
        """Loops over the outer column dimensions, ``body(indices)`` inside."""
        if not sizes:
            body(outer)
            return
        with self.loop("0", str(sizes[0]), 1) as i:
            self.nest(sizes[1:], [*outer, i], body)

    def joined(self, kind: str, dtype: np.dtype, parts: list[tuple[int, str]]) -> str:
        """One number from the vectors of partial results."""
        element = llvm_type(dtype, 1)
        suffix = {FLOAT32: "f32", FLOAT64: "f64", INT64: "i64", INT32: "i32"}[dtype]
        values = []
        for lanes, local in parts:
            vector = llvm_type(dtype, lanes)
            v = self.emit(f"load {vector}, ptr {local}")
            if lanes == 1:
                values.append(v)
            elif dtype.kind == "f" and kind == "sum":
                call = f"call reassoc {element} @llvm.vector.reduce.fadd.v{lanes}{suffix}"
                values.append(self.emit(f"{call}({element} -0.0, {vector} {v})"))
            else:
                name = {"sum": "add", "largest": "fmax"}.get(kind, f"f{kind}")
                if dtype.kind != "f" and kind != "sum":
                    name = {"maximum": "smax", "minimum": "smin"}[kind]
                call = f"call {element} @llvm.vector.reduce.{name}.v{lanes}{suffix}"
                values.append(self.emit(f"{call}({vector} {v})"))
        total = values[0]
        for v in values[1:]:
            total = self.combined(kind, dtype, 1, total, v)
        return total

    def combined(self, kind: str, dtype: np.dtype, lanes: int, old: str, new: str) -> str:
        """One step of a reduction."""
        own = llvm_type(dtype, lanes)
        if kind == "sum":
            return self.emit(f"{'fadd' if dtype.kind == 'f' else 'add'} {own} {old}, {new}")
        sign = "lt" if kind == "minimum" else "gt"
        bits = llvm_type(BOOL, lanes)
        if dtype.kind != "f":
            how = "u" if dtype.kind in "bu" else "s"
            better = self.emit(f"icmp {how}{sign} {own} {new}, {old}")
        elif kind == "largest":
            better = self.emit(f"fcmp ogt {own} {new}, {old}")
        else:
            more = self.emit(f"fcmp o{sign} {own} {new}, {old}")
            nan = self.emit(f"fcmp uno {own} {new}, {new}")
            better = self.emit(f"or {bits} {more}, {nan}")
        return self.emit(f"select {bits} {better}, {own} {new}, {own} {old}")

    # ---- vectors of columns ------------------------------------------------------------------

    def columns(
        self,
        p: Pass,
        stores: list[Store],
        outer: list[str],
        j: str,
        lanes: int,
        stop: str | None,
        sums: dict[tuple[int, int], str],
    ) -> None:
        """The work of a pass on the columns j, j + 1, ... of ``lanes``; masked at ``stop``."""
        self.lanes, self.outer, self.j = lanes, outer, j
        self.vectors: dict[int, str] = {}
        self.steps = ", ".join(f"i64 {k}" for k in range(lanes))
        self.mask = None
        if stop is not None and lanes > 1:
            left = self.emit(f"sub i64 {stop}, {j}")
            many = self.splat(left, INT64, lanes)
            self.mask = self.emit(f"icmp sgt <{lanes} x i64> {many}, <{self.steps}>")
        if lanes == self.wide:
            self.ask_ahead()
        for r in p.reductions:
            value = self.vector(r.term)
            own = llvm_type(r.term.dtype, lanes)
            if self.mask is not None:
                condition = f"<{lanes} x i1> {self.mask}"
                none = literal(identity(r.kind, r.term.dtype), lanes)
                value = self.emit(f"select {condition}, {own} {value}, {own} {none}")
            local = sums[r.slot, lanes]
            old = self.emit(f"load {own}, ptr {local}")
            new = self.combined(r.kind, r.term.dtype, lanes, old, value)
            self.do(f"store {own} {new}, ptr {local}")
        # All values first: one may be of an element that another store writes over.
        values = [self.vector(s.term) for s in stores]
        for s, value in zip(stores, values, strict=True):
            self.store(s, value)

    def ask_ahead(self) -> None:
        """Ask for the operands of later turns."""
        for load in self.ahead:
            base, _ = self.place(load)
            at = self.sum_of(base, [(self.j, 1)])
            memory = "i8" if load.dtype == BOOL else llvm_type(load.dtype, 1)
            pointer = self.emit(f"getelementptr {memory}, ptr %buffer{load.buffer}, i64 {at}")
            for line in range(0, self.lanes * load.dtype.itemsize, _LINE):
                place = self.emit(f"getelementptr i8, ptr {pointer}, i64 {_AHEAD + line}")
                self.do(f"call void @llvm.prefetch.p0(ptr {place}, i32 0, i32 3, i32 1)")

    def vector(self, root: Scalar) -> str:
        """The value of an expression for these columns."""
        for n in ordered(root):
            if id(n) not in self.vectors:
                self.vectors[id(n)] = self._vector(n)
        return self.vectors[id(root)]

    def _vector(self, n: Scalar) -> str:
        if n.operation == "constant":
            return literal(n, self.lanes)
        if not self.varying[id(n)]:
            return self.splats.get((id(n), self.lanes), "undefined")
        if n.operation == "iota":
            place = n.value - self.first_col
            if place < len(self.cols) - 1:
                return self.splat(self.outer[place], INT64, self.lanes)
            at = self.splat(self.j, INT64, self.lanes)
            if self.lanes == 1:
                return at
            return self.emit(f"add <{self.lanes} x i64> {at}, <{self.steps}>")
        if n.operation == "input":
            load = self.kernel.loads[n.value]
            return self.load(load, None)
        if n.operation == "gather":
            load = self.kernel.loads[n.value]
            return self.load(load, n.operands[0])
        return self.emit(instruction(n, [self.vectors[id(a)] for a in n.operands], self.lanes))

    def place(self, moving: Load | Store) -> tuple[str, int]:
        """The position for column j but for the innermost stride, and that stride."""
        strides = moving.strides[self.first_col :] or (0,)
        base = self.sum_of(self.row_base(moving), list(zip(self.outer, strides)))
        return base, strides[-1]

    def load(self, load: Load, index: Scalar | None) -> str:
        """A vector of elements."""
        lanes = self.lanes
        base, stride = self.place(load)
        memory = "i8" if load.dtype == BOOL else llvm_type(load.dtype, 1)
        if index is not None and self.varying[id(index)]:
            places = self.spread_places(base, stride)
            steps = self.vectors[id(index)]
            if load.step != 1:
                factor = f"splat (i64 {load.step})" if lanes > 1 else str(load.step)
                steps = self.emit(f"mul {llvm_type(INT64, lanes)} {steps}, {factor}")
            places = self.emit(f"add {llvm_type(INT64, lanes)} {places}, {steps}")
            return self._gathered(load, memory, places)
        if index is not None:
            base = self.sum_of(base, [(self.scalar(index), load.step)])
        if stride == 0:
            return self.splat(self._load_one(load, base), load.dtype, lanes)
        if stride != 1 and lanes > 1:
            return self._gathered(load, memory, self.spread_places(base, stride))
        at = self.sum_of(base, [(self.j, stride)])
        if lanes == 1:
            return self._load_one(load, at)
        pointer = self.emit(f"getelementptr {memory}, ptr %buffer{load.buffer}, i64 {at}")
        kind = f"<{lanes} x {memory}>"
        if self.mask is None:
            value = self.emit(f"load {kind}, ptr {pointer}, align {load.dtype.itemsize}")
        else:
            call = f"call {kind} @llvm.masked.load.v{lanes}{_suffix(memory)}.p0"
            mask = f"<{lanes} x i1> {self.mask}, {kind} zeroinitializer"
            value = self.emit(f"{call}(ptr {pointer}, i32 {load.dtype.itemsize}, {mask})")
        return self._as_bool(value, lanes) if load.dtype == BOOL else value

    def spread_places(self, base: str, stride: int) -> str:
        """The positions of all lanes."""
        lanes = self.lanes
        at = self.sum_of(base, [(self.j, stride)])
        places = self.splat(at, INT64, lanes)
        if lanes == 1 or stride == 0:
            return places
        steps = ", ".join(f"i64 {k * stride}" for k in range(lanes))
        return self.emit(f"add <{lanes} x i64> {places}, <{steps}>")

    def _gathered(self, load: Load, memory: str, places: str) -> str:
        lanes = self.lanes
        if lanes == 1:
            return self._load_one(load, places)
        kind = f"<{lanes} x {memory}>"
        pointers = self.emit(
            f"getelementptr {memory}, ptr %buffer{load.buffer}, <{lanes} x i64> {places}"
        )
        mask = self.mask or "splat (i1 true)"
        call = f"call {kind} @llvm.masked.gather.v{lanes}{_suffix(memory)}.v{lanes}p0"
        operands = f"<{lanes} x ptr> {pointers}, i32 {load.dtype.itemsize}"
        operands += f", <{lanes} x i1> {mask}, {kind} zeroinitializer"
        value = self.emit(f"{call}({operands})")
        return self._as_bool(value, lanes) if load.dtype == BOOL else value

    def _as_bool(self, value: str, lanes: int) -> str:
        return self.emit(f"icmp ne <{lanes} x i8> {value}, zeroinitializer")

    def store(self, s: Store, value: str) -> None:
        """Write a vector of values, or add it to what is there."""
        lanes, dtype = self.lanes, s.term.dtype
        base, stride = self.place(s)
        memory = llvm_type(dtype, 1)
        if dtype == BOOL:
            value = self.emit(f"zext {llvm_type(BOOL, lanes)} {value} to {_bytes(lanes)}")
            memory = "i8"
        kind = memory if lanes == 1 else f"<{lanes} x {memory}>"
        align = dtype.itemsize
        if stride != 1 and lanes > 1:
            places = self.spread_places(base, stride)
            pointers = self.emit(
                f"getelementptr {memory}, ptr %buffer{s.buffer}, <{lanes} x i64> {places}"
            )
            mask = f"<{lanes} x i1> {self.mask or 'splat (i1 true)'}"
            name = f"v{lanes}{_suffix(memory)}.v{lanes}p0"
            if s.add:
                call = f"call {kind} @llvm.masked.gather.{name}"
                operands = f"<{lanes} x ptr> {pointers}, i32 {align}, {mask}"
                old = self.emit(f"{call}({operands}, {kind} zeroinitializer)")
                value = self.combined("sum", dtype, lanes, old, value)
            call = f"call void @llvm.masked.scatter.{name}"
            self.do(f"{call}({kind} {value}, <{lanes} x ptr> {pointers}, i32 {align}, {mask})")
            return
        at = self.sum_of(base, [(self.j, stride)])
        pointer = self.emit(f"getelementptr {memory}, ptr %buffer{s.buffer}, i64 {at}")
        if self.mask is None:
            if s.add:
                old = self.emit(f"load {kind}, ptr {pointer}, align {align}")
                value = self.combined("sum", dtype, lanes, old, value)
            how = f"align {align}"
            if s is self.streamed and lanes == self.wide:
                how = f"align {min(_LINE, lanes * align)}, !nontemporal !{{i32 1}}"
            self.do(f"store {kind} {value}, ptr {pointer}, {how}")
            return
        mask = f"<{lanes} x i1> {self.mask}"
        name = f"v{lanes}{_suffix(memory)}.p0"
        if s.add:
            call = f"call {kind} @llvm.masked.load.{name}"
            old = self.emit(f"{call}(ptr {pointer}, i32 {align}, {mask}, {kind} zeroinitializer)")
            value = self.combined("sum", dtype, lanes, old, value)
        self.do(
            f"call void @llvm.masked.store.{name}"
            f"({kind} {value}, ptr {pointer}, i32 {align}, {mask})"
        )

    def store_row(self, s: Store) -> None:
        """Write a row value, or add it to what is there."""
        value, dtype = self.scalar(s.term), s.term.dtype
        memory = llvm_type(dtype, 1)
        if dtype == BOOL:
            value, memory = self.emit(f"zext i1 {value} to i8"), "i8"
        place = self.row_base(s)
        pointer = self.emit(f"getelementptr {memory}, ptr %buffer{s.buffer}, i64 {place}")
        if s.add:
            old = self.emit(f"load {memory}, ptr {pointer}, align {dtype.itemsize}")
            value = self.combined("sum", dtype, 1, old, value)
        self.do(f"store {memory} {value}, ptr {pointer}, align {dtype.itemsize}")


def _size(size: Size) -> str:
    """A size or stride, as a number or the parameter's name."""
    return "%width" if size == WIDTH else str(size)


def _bytes(lanes: int) -> str:
    return "i8" if lanes == 1 else f"<{lanes} x i8>"


def _suffix(memory: str) -> str:
    return {"float": "f32", "double": "f64", "half": "f16"}.get(memory, memory)
