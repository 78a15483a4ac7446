"""A kernel of the loop language as plain Python: to read, to run, to step through with a debugger.

``source`` writes what ``vector_code`` writes for LLVM, loop by loop, on flat NumPy arrays and one
element at a time. ``PythonProgram`` runs a whole captured graph that way, from the same plan as
``native``: an oracle that shares everything with machine code but the last step.
"""

from __future__ import annotations

import linecache
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from . import scalar
from .arrays import Added, Array, Leaf, Native, Product, Read, composed
from .execute import run_node
from .fusion import Cluster, memory_dtype, memory_strides
from .graph import Graph, Node, Var
from .kernel import WIDTH, Kernel, Load, Store
from .lowering import Lowering
from .rules import MAY_BE_EMPTY, RULES
from .scalar import Scalar, ordered
from .schedule import Unit, new_array, np_view, scheduled

_INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "less": "<",
          "less_equal": "<=", "equal": "==", "and": "&", "or": "|", "xor": "^"}  # fmt: skip
_JOIN = {"sum": "{0} + {1}", "maximum": "larger({0}, {1})", "minimum": "smaller({0}, {1})",
         "largest": "{1} if {1} > {0} else {0}"}  # fmt: skip


def _larger(a: Any, b: Any) -> Any:
    return b if b > a or b != b else a


def _smaller(a: Any, b: Any) -> Any:
    return b if b < a or b != b else a


#: What the generated functions call: the scalar language's operations, one element at a time.
NAMES: dict[str, Any] = {
    **{name: f for name, f in scalar.MEANING.items() if name not in _INFIX},
    "larger": _larger,
    "smaller": _smaller,
    "nan": math.nan,
    "inf": math.inf,
    **{d: np.dtype(d).type for d in ("float32", "float64", "int32", "int64", "int16", "float16")},
    "bool": np.bool_,
    "uint8": np.uint8,
}


def operation_text(node: Scalar, operands: Sequence[str]) -> str:
    """One operation as a Python expression, of the names of its operands."""
    if node.operation in _INFIX:
        return f"{operands[0]} {_INFIX[node.operation]} {operands[1]}"
    if node.operation == "negate":
        return f"-{operands[0]}"
    if node.operation == "select":
        return f"{operands[1]} if {operands[0]} else {operands[2]}"
    if node.operation == "convert":
        return f"{node.dtype.name}({operands[0]})"
    return f"{node.operation}({', '.join(operands)})"


def loaded(text: str, name: str, names: dict[str, Any]) -> Callable[..., Any]:
    """The function ``name`` of ``text``, which tracebacks and debuggers can show."""
    file = f"<flambeau loops {len(linecache.cache)}>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    exec(compile(text, file, "exec"), names)
    return names[name]


class _Writer:
    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.lines: list[str] = []
        self.depth = 1
        self.names: dict[int, str] = {}
        self.count = 0
        self.varying = kernel.varying(kernel.terms())
        self.dims = [f"i{d}" for d in range(len(kernel.rows) + len(kernel.cols))]
        self.first_col = len(kernel.rows)

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def place(self, moving: Load | Store) -> str:
        parts = [str(moving.offset)] if moving.offset else []
        for name, stride in zip(self.dims, moving.strides):
            if stride:
                parts.append(name if stride == 1 else f"{name} * {stride}")
        return " + ".join(parts) or "0"

    def value(self, root: Scalar) -> str:
        """Lines that compute ``root``; its name."""
        for node in ordered(root):
            if id(node) not in self.names:
                self._compute(node)
        return self.names[id(root)]

    def forget(self) -> None:
        """Another column: what varies along the row is not known yet."""
        self.names = {key: name for key, name in self.names.items() if not self.varying[key]}

    def _compute(self, node: Scalar) -> None:
        if node.operation in ("constant", "reduced", "number", "iota"):
            self.names[id(node)] = {
                "constant": f"{node.dtype.name}({node.value!r})",
                "reduced": f"r{node.value}",
                "number": f"float64(numbers[{node.value}])",
                "iota": f"int64({self.dims[node.value]})" if node.operation == "iota" else "",
            }[node.operation]
            return
        operands = [self.names[id(a)] for a in node.operands]
        if node.operation in ("input", "gather"):
            load = self.kernel.loads[node.value]
            at = self.place(load)
            if node.operation == "gather":
                at += f" + {operands[0]} * {load.step}"
            text = f"b{load.buffer}[{at}]"
        else:
            text = operation_text(node, operands)
        name = self.names[id(node)] = f"t{self.count}"
        self.count += 1
        self.line(f"{name} = {text}")

    def store(self, s: Store) -> None:
        value = self.value(s.term)
        self.line(f"b{s.buffer}[{self.place(s)}] {'+=' if s.add else '='} {value}")

    def prepare(self, terms: Sequence[Scalar]) -> None:
        """Compute, before the loops of a pass, what its terms need that holds for the row."""
        for t in terms:
            for node in ordered(t):
                for a in (*node.operands, node) if node is t else node.operands:
                    if not self.varying[id(a)]:
                        self.value(a)

    def text(self, name: str) -> str:
        kernel = self.kernel
        given = [*(f"b{k}" for k in range(len(kernel.buffers))), "numbers"]
        if WIDTH in kernel.cols:
            given.append(WIDTH)
        self.lines.append(f"def {name}({', '.join(given)}, start, stop):")
        self.line(f'"""{kernel.name or "copy"}: {kernel.row_count} rows of {kernel.col_count}"""')
        self.line("for row in range(start, stop):")
        self.depth += 1
        rest = "row"
        for d in reversed(range(self.first_col)):
            if d == 0:
                self.line(f"i0 = {rest}")
            else:
                self.line(f"i{d} = {rest} % {kernel.rows[d]}")
                self.line(f"rest = {rest} // {kernel.rows[d]}")
                rest = "rest"
        for p in kernel.passes:
            for slot, term in p.lets:
                self.line(f"r{slot} = {self.value(term)}")
            stores = [s for s in p.stores if not s.row]
            for r in p.reductions:
                first = scalar_of_identity(r.kind, r.term.dtype)
                self.line(f"r{r.slot} = {first}")
            if p.reductions or stores:
                depth = self.depth
                self.prepare([r.term for r in p.reductions] + [s.term for s in stores])
                self.forget()
                for d, n in enumerate(kernel.cols):
                    self.line(f"for i{self.first_col + d} in range({n}):")
                    self.depth += 1
                values = [self.value(r.term) for r in p.reductions]
                for r, value in zip(p.reductions, values):
                    self.line(f"r{r.slot} = {_JOIN[r.kind].format(f'r{r.slot}', value)}")
                held = [self.value(s.term) for s in stores]
                for s, value in zip(stores, held):
                    sign = "+=" if s.add else "="
                    self.line(f"b{s.buffer}[{self.place(s)}] {sign} {value}")
                self.depth = depth
            for s in p.stores:
                if s.row:
                    self.store(s)
        if len(self.lines) == 2:
            self.line("pass")
        return "\n".join(self.lines) + "\n"


def scalar_of_identity(kind: str, dtype: np.dtype) -> str:
    """What a reduction starts with, as Python."""
    if kind == "sum":
        return f"{dtype.name}(0)"
    if dtype.kind == "f":
        return f"{dtype.name}({'inf' if kind == 'minimum' else '-inf'})"
    limits = np.iinfo(dtype)
    return f"{dtype.name}({limits.min if kind == 'maximum' else limits.max})"


def source(kernel: Kernel, name: str = "kernel") -> str:
    """The Python function ``name(b0, b1, ..., numbers, start, stop)`` of ``kernel``; ``width``
    before ``start`` where columns are open."""
    return _Writer(kernel).text(name)


def function(kernel: Kernel, name: str = "kernel") -> Callable[..., None]:
    """``source`` as a function that tracebacks and debuggers can show."""
    return loaded(source(kernel, name), name, dict(NAMES))


class PythonProgram:
    """A captured graph, run unit by unit as Python loops: slow; for small arrays."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.lowered = Lowering(graph, RULES, MAY_BE_EMPTY).run()
        self.plan = scheduled(self.lowered)
        self.functions = {
            u.number: function(u.kernel, f"kernel{u.number}")
            for u in self.plan.units
            if u.kernel is not None
        }

    def __call__(
        self,
        inputs: Sequence[np.ndarray],
        numbers: Sequence[float] = (),
        sure: Callable[[], None] | None = None,
    ) -> list[np.ndarray]:
        """As ``native.Program``; what fails has happened."""
        if sure is not None:
            sure()
        memory: dict[int, np.ndarray] = {}  # id(leaf) -> array
        arena = np.zeros(self.plan.arena + 64, np.uint8)
        leaves = self.lowered.leaves
        for v, array in [*zip(self.graph.inputs, inputs), *self.graph.constants.items()]:
            memory[id(leaves[v])] = array
        outputs = []
        for leaf in self.plan.outputs:
            size = max(1, leaf.size) * leaf.dtype.itemsize
            outputs.append(np_view(np.zeros(size, np.uint8), leaf))
            memory[id(leaf)] = outputs[-1]

        def flat(array: Array) -> np.ndarray:
            """The memory of ``array`` from its first element on, one-dimensional."""
            home = self.plan.places.get(id(array), array)
            home = home if isinstance(home, int) else self.plan.places.get(id(home), home)
            dtype = memory_dtype(array.dtype)
            if isinstance(home, int):
                return arena[home:][: len(arena) - home & -8].view(dtype)
            held = memory[id(home)]
            span = 1 + sum((n - 1) * s for n, s in zip(held.shape, held.strides) if n > 1) // (
                held.itemsize
            )
            return np.lib.stride_tricks.as_strided(held, (span,), (held.itemsize,)).view(dtype)

        with np.errstate(all="ignore"):
            for unit in self.plan.units:
                self._run(unit, flat, memory, arena, numbers)
        return outputs

    def _run(
        self,
        unit: Unit,
        flat: Callable[[Array], np.ndarray],
        memory: dict[int, np.ndarray],
        arena: np.ndarray,
        numbers: Sequence[float],
    ) -> None:
        work = unit.work
        if isinstance(work, Cluster):
            self._kernel(unit, flat, numbers)
        elif isinstance(work, Product):
            a = _looked(work.a, (*work.batch, work.m, work.k), flat)
            b = _looked(work.b, (*work.batch, work.k, work.n), flat)
            flat(work)[: work.size] = np.matmul(a, b).reshape(-1)
        elif isinstance(work, Added):
            width = work.size // work.rows
            out = flat(work)[: work.size].reshape(work.rows, width)
            out[...] = 0
            index = _looked(work.index, (work.count,), flat)
            keep = index != work.skip if work.skip >= 0 else slice(None)
            np.add.at(out, index[keep], _looked(work.read, (work.count, width), flat)[keep])
        elif isinstance(work, Native):
            given = [
                flat(r.array)[r.offset : r.array.size].reshape(shape)
                for r, shape in zip(work.operands, work.recipe.shapes, strict=True)
            ]
            found = work.recipe.plain(*given)
            for array, values in zip((work, *work.parts), found):
                flat(array)[: array.size] = values.reshape(-1)
        else:
            self._call(unit, memory, arena, numbers)

    def _kernel(
        self, unit: Unit, flat: Callable[[Array], np.ndarray], numbers: Sequence[float]
    ) -> None:
        kernel = unit.kernel
        sums = {s.buffer for p in kernel.passes for s in p.stores if s.add}
        buffers = []
        for k, dtype in enumerate(kernel.buffers):
            if k in kernel.scratch:
                buffers.append(np.zeros(kernel.col_count, dtype))
            elif k in sums:
                buffers.append(np.zeros(unit.buffers[k].size, dtype))
            else:
                buffers.append(flat(unit.buffers[k]))
        self.functions[unit.number](*buffers, numbers, 0, kernel.row_count)
        for k in sums:
            flat(unit.buffers[k])[: buffers[k].size] = buffers[k]

    def _call(
        self,
        unit: Unit,
        memory: dict[int, np.ndarray],
        arena: np.ndarray,
        numbers: Sequence[float],
    ) -> None:
        node: Node = unit.work
        values: dict[Var, np.ndarray] = {}
        for k, v in enumerate(dict.fromkeys(node.reads())):
            leaf = self.plan.arguments[unit.number, k]
            place = self.plan.places.get(id(leaf))
            values[v] = memory[id(leaf)] if place is None else np_view(arena[place:], leaf).copy()
        run_node(node, values, numbers)
        for v in node.made:
            leaf: Leaf = self.lowered.leaves[v]
            made = new_array(leaf)
            made[...] = values[v]
            memory[id(leaf)] = made


def _looked(read: Read, dims: tuple[int, ...], flat: Callable[[Array], np.ndarray]) -> np.ndarray:
    """What a read of memory sees, as a NumPy array."""
    strides, offset = composed(dims, read, memory_strides(read.array))
    memory = flat(read.array)[offset:]
    steps = [s * memory.itemsize for s in strides]
    return np.lib.stride_tricks.as_strided(memory, dims, steps)


def listed(program: Any) -> Iterator[str]:
    """The Python text of every kernel of a program's plan, those that are alike once."""
    seen = set()
    for unit in program.plan.units:
        if unit.kernel is not None:
            text = source(unit.kernel)
            if text not in seen:
                seen.add(text)
                yield text
