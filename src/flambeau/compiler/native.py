"""A captured graph as machine code: ``build(graph)`` returns the function that runs it.

All units of a plan (``schedule``) that lie between two calls of Python become one function,

    void segment(ptr table, ptr numbers, ptr barrier, i64 threads, i64 thread, i64 thread + 1)

which every thread of a run goes through from top to bottom: each does its share of a unit, and
where the next unit touches what others may still be working on, all wait for each other. ``table``
holds the addresses of all memory: inputs, outputs, constants, the arena.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import is_

import numpy as np

from .. import _config
from .._settings import release_freed_memory
from ..core import threads
from ..core.modes import no_grad
from ..core.value import address
from . import machine_code, report, vector_code
from .arrays import Array, Leaf, Native, Product
from .builder import PTR, Code, Value
from .crew import crew
from .effects import OtherWay, same_way
from .execute import DullExecutor, RandomState, Undone, run_node
from .graph import Call, Draw, Graph, Node, Var
from .kernel import Kernel, verify
from .live_rows import pruned
from .lowering import Lowered, Lowering, located_elements
from .products_code import panel_bytes, shares_terms
from .rules import MAY_BE_EMPTY, RULES
from .scalar import BITS
from .schedule import ALIGNMENT, Plan, Unit, may_raise, new_array, np_view, scheduled
from .segment_text import DECLARATIONS, SEGMENT, SegmentWriter, cost, kernel_cut

SPREAD = 150_000.0  # nanoseconds of work from which a program is spread over threads
_TRIM = 8 << 20  # bytes of an arena from which freed memory is given back before it is made
strict = False  # in tests: verify every kernel, and let mistakes of the compiler be seen


@dataclass(slots=True)
class Segment:
    """Units that run without Python in between, or one call of it."""

    units: list[Unit]
    call: Unit | None = None
    function: machine_code.Task | None = None
    direct: Callable[[], None] | None = None  # the function, where one thread does all of it


class Program:
    """One graph, compiled. Call it with the arrays of the inputs and the numbers of this run."""

    def __init__(self, graph: Graph, apart: bool = False) -> None:
        self.captured = graph
        graph, self.unread = pruned(graph)
        self.graph = graph
        self.apart = apart  # every unit is a segment, so that it can be timed
        self.lowered: Lowered = Lowering(graph, RULES, MAY_BE_EMPTY).run()
        self.plan: Plan = scheduled(self.lowered, in_chains=True)
        self.segments: list[Segment] = []
        self.place_of_input = {v: k for k, v in enumerate(graph.inputs)}
        self.lock = threading.Lock()
        self._lay_out()
        self.text = self._text()
        self._load()

    # ---- memory ------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        plan, graph = self.plan, self.graph
        total = sum(cost(u) for u in plan.units)
        self.threads = threads.get_num_threads() if total > SPREAD else 1
        self.slot: dict[int, int] = {}  # id(leaf) -> place in the table
        for v in graph.inputs:
            self._slot(self.lowered.leaves[v])
        self.first_constant = len(self.slot)
        for v in graph.constants:
            self._slot(self.lowered.leaves[v])
        self.first_output = len(self.slot)
        for leaf in plan.outputs:
            self._slot(leaf)
        for _, made in self.lowered.calls:
            for v in made:
                self._slot(self.lowered.leaves[v])
        self.arena_slot = len(self.slot)
        partial = self._partials()
        size = plan.arena + partial
        if size > _TRIM:  # what eager calls have used and will not need again
            release_freed_memory()
        self.arena = np.zeros(size + ALIGNMENT, np.uint8)
        shift = -self.arena.ctypes.data % ALIGNMENT
        self.arena = self.arena[shift : shift + size]
        self.table = (ctypes.c_void_p * (self.arena_slot + 1))()
        self.table[self.arena_slot] = self.arena.ctypes.data
        for k, array in enumerate(graph.constants.values()):
            self.table[self.first_constant + k] = address(array)
        self.last_inputs: list[np.ndarray | None] = [None] * len(graph.inputs)
        self.pools: list[list[tuple[np.ndarray, int, np.ndarray]]] = [[] for _ in plan.outputs]
        self.numbers = (ctypes.c_double * max(1, graph.scalars))()
        self.barrier = (ctypes.c_int64 * 32)()

    def _slot(self, leaf: Leaf) -> int:
        return self.slot.setdefault(id(leaf), len(self.slot))

    def _partials(self) -> int:
        """Room for what each thread adds up for itself: {(unit, buffer): offset}."""
        self.partial: dict[tuple[int, int], tuple[int, int]] = {}
        top = self.plan.arena
        alone = [u for u in self.plan.units if u.chain is None]
        products = [u.work for u in alone if isinstance(u.work, Product)]
        chained = [u.chain.memory for u in self.plan.units if u.chain is not None]
        scratch = [u.work.recipe.scratch for u in self.plan.units if isinstance(u.work, Native)]
        most = max((*map(panel_bytes, products), *chained, *scratch), default=0)
        self.thread_memory = top, -(-most // ALIGNMENT) * ALIGNMENT  # offset, bytes of a thread
        top += self.thread_memory[1] * self.threads
        steps = [len(u.work.recipe.steps) for u in self.plan.units if isinstance(u.work, Native)]
        row = -(-8 * (len(self.plan.units) + sum(steps)) // ALIGNMENT) * ALIGNMENT
        self.taken = top, row  # chunks that are taken of units' work: offset, bytes of a thread
        self.taken_places = iter(range(top, top + row, 8))
        top += row * self.threads
        for unit in self.plan.units:
            if isinstance(unit.work, Product) and shares_terms(unit.work, self.threads):
                step = -(-unit.work.size * unit.work.dtype.itemsize // ALIGNMENT) * ALIGNMENT
                self.partial[unit.number, 0] = top, step
                top += step * self.threads
            if unit.kernel is None:
                continue
            for p in unit.kernel.passes:
                for s in p.stores:
                    key = unit.number, s.buffer
                    if s.add and key not in self.partial:
                        array = unit.buffers[s.buffer]
                        step = -(-array.size * s.term.dtype.itemsize // ALIGNMENT) * ALIGNMENT
                        self.partial[key] = top, step
                        cut = unit.chain.cut if unit.chain else partial(kernel_cut, unit)
                        top += step * cut(self.threads)[1]
            for buffer in unit.kernel.scratch:
                size = unit.kernel.col_count * unit.kernel.buffers[buffer].itemsize
                step = -(-size // ALIGNMENT) * ALIGNMENT
                self.partial[unit.number, buffer] = top, step
                top += step * self.threads
        return top - self.plan.arena

    # ---- text --------------------------------------------------------------------------------

    def _text(self) -> str:
        """All functions of the program in LLVM's language."""
        self.names: dict[str, str] = {}  # a function's text, with $self for its name -> its name
        self.functions: list[str] = []
        parts: list[str] = []
        groups: list[list[Unit]] = [[]]
        for unit in self.plan.units:
            if isinstance(unit.work, Node):
                groups += [[unit], []]
            elif self.apart and (unit.chain is None or unit is unit.chain.units[0]):
                groups.append([unit])
            else:
                groups[-1].append(unit)
        for group in groups:
            if len(group) == 1 and isinstance(group[0].work, Node):
                self.segments.append(Segment([], group[0]))
            elif group:
                number = sum(1 for s in self.segments if s.call is None)
                self.segments.append(Segment(group))
                parts.append(self._segment_text(f"segment{number}", group))
        self.checked = self.lowered.checks
        if self.checked:
            parts.append(self._check_text())
        return "\n".join([DECLARATIONS, *self.functions, *parts])

    def _looked_at(
        self,
        code: Code,
        shape: tuple[int, ...],
        rows: int,
        places: list[tuple[Array, list[int], int, int]],
        bad: Value,
    ) -> Value:
        """``bad``, or whether an element at ``places`` is not below ``rows``."""
        memory = [
            code.load(PTR, code.at(code["table"], PTR, self.slot[id(array)]))
            for array, *_ in places
        ]

        def look(dims: tuple[int, ...], at: list[Value], bad: Value) -> Value:
            if not dims:
                place = at[0]
                for m, a, (_, _, _, step) in zip(memory[1:], at[1:], places[1:]):
                    place = place + code.load("i64", m, a) * step
                index = code.load("i64", memory[0], place)
                return code.either_bit(bad, code.unsigned_at_least(index, rows))
            d = len(shape) - len(dims)

            def turn(i: Value, bad: Value) -> list[Value]:
                moved = [a + i * s[d] for a, (_, s, _, _) in zip(at, places)]
                return [look(dims[1:], moved, bad)]

            (found,) = code.loop(0, dims[0], turn, [bad])
            return found

        begin = [code.constant("i64", offset) for _, _, offset, _ in places]
        return look(shape, begin, bad)

    def _check_text(self) -> str:
        """``check(table)``: whether an index is no place of its table; negative ones, which count
        from the end, are left to eager, too."""
        code = Code("check", {"table": PTR})
        bad = code.constant("i1", 0)
        seen = set()
        for x, rows in self.checked:
            places = located_elements(x)
            key = (x.shape, rows, *((id(a), *s, o, t) for a, s, o, t in places))
            if key not in seen:
                seen.add(key)
                bad = self._looked_at(code, x.shape, rows, places, bad)
        return code.text(bad)

    def _segment_text(self, name: str, units: list[Unit]) -> str:
        writer = SegmentWriter(self)
        for unit in units:
            if unit.chain is None:
                writer.unit(unit)
            elif unit is unit.chain.units[0]:
                writer.chain(unit.chain)
        return writer.finished(name)

    def next_taken(self) -> int:
        """Where the first thread counts the chunks that are taken of one unit's work."""
        return next(self.taken_places)

    def kernel_name(self, kernel: Kernel) -> str:
        """The function of ``kernel``; kernels that are alike share one."""
        if strict:
            verify(kernel)
        return self.shared(vector_code.text(kernel, "$self"))

    def shared(self, text: str) -> str:
        """The name of the function with the body ``text``, in which $self stands for the name."""
        if text not in self.names:
            name = self.names[text] = f"kernel{len(self.names)}"
            self.functions.append(text.replace("$self", name))
        return self.names[text]

    def _load(self) -> None:
        code = machine_code.Code(self.text)
        if self.arena.size > _TRIM and not code.was_cached:
            release_freed_memory()  # LLVM's
        places = (self.table, self.numbers, self.barrier)
        self.addresses = tuple([ctypes.addressof(p) for p in places])
        number = 0
        for segment in self.segments:
            if segment.call is None:
                task = segment.function = machine_code.Task(code, f"segment{number}", SEGMENT)
                if self.threads == 1 and not self.apart:
                    segment.direct = partial(task.function, *self.addresses, 1, 0, 1)
                number += 1
            else:
                segment.direct = self._question(segment.call)
        self.check = (
            code.function("check", [ctypes.c_void_p], ctypes.c_bool) if self.checked else None
        )
        self.code = code
        # Random numbers come first: indices may be among them.
        self.draws = 0
        for segment in self.segments:
            if segment.call is None or not isinstance(segment.call.work, Draw):
                break
            self.draws += 1
        raising = [k for k, s in enumerate(self.segments) if s.call and may_raise(s.call.work)]
        self.unsure = raising[-1] + 1 if raising else 0  # segments until nothing can fail any more
        fails = raising or self.check is not None
        self.random = RandomState([s.call.work for s in self.segments if s.call] if fails else [])
        calls = any(s.call is not None and s.direct is None for s in self.segments)
        self.asks_blas = self.threads > 1 and (calls or "gemm(i32 1" in self.text)
        direct = [s.direct for s in self.segments]
        self.direct = None if fails or self.asks_blas or None in direct else direct

    def address(self, array: Array) -> tuple[int, int]:
        """(place in the table, byte offset) of the memory of ``array``."""
        home = self.plan.places.get(id(array), array)
        if isinstance(home, int):
            return self.arena_slot, home
        if id(home) in self.slot:
            return self.slot[id(home)], 0
        return self.arena_slot, self.plan.places[id(home)]

    # ---- for people --------------------------------------------------------------------------

    def size(self) -> str:
        """What it takes, in words."""
        return (
            f"{self.plan.arena / 1e6:.1f} MB for what lies between, {self.threads} thread"
            f"{'s' if self.threads != 1 else ''}, {len(self.functions)} functions"
            f"{', from the cache on disk' if self.code.was_cached else ''}"
        )

    def assembly(self) -> str:
        """What the processor runs."""
        return machine_code.assembly(self.code.text)

    # ---- running -----------------------------------------------------------------------------

    def __call__(
        self,
        inputs: Sequence[np.ndarray],
        numbers: Sequence[float] = (),
        sure: Callable[[], None] | None = None,
    ) -> list[np.ndarray]:
        """Run once. Inputs that the graph writes to are changed in place. See ``execute``."""
        with self.lock:
            if self.direct is None:
                if not self.asks_blas:
                    return self._once(inputs, numbers, sure)
                with threads.blas_on_one_thread():
                    return self._once(inputs, numbers, sure)
            if not all(map(is_, inputs, self.last_inputs)):
                self._take(inputs)
            if numbers:
                self.numbers[: len(numbers)] = numbers
            if sure is not None:
                sure()
            outputs = self._outputs()
            for run in self.direct:
                run()
            return outputs

    def _take(self, inputs: Sequence[np.ndarray]) -> None:
        """Note where these inputs are."""
        table, last = self.table, self.last_inputs
        for k, array in enumerate(inputs):
            if array is not last[k]:
                table[k] = address(array)
                last[k] = array

    def _once(
        self,
        inputs: Sequence[np.ndarray],
        numbers: Sequence[float],
        sure: Callable[[], None] | None,
    ) -> list[np.ndarray]:
        self._take(inputs)
        if numbers:
            self.numbers[: len(numbers)] = numbers
        filled: dict[int, np.ndarray] = {}
        place, segments = 0, self.segments
        random = self.random.now()
        outputs = None
        try:
            if self.check is not None:
                while place < self.draws:
                    self._call(segments[place].call, filled)
                    place += 1
                if self.check(self.addresses[0]):
                    raise IndexError
            if self.unsure:
                outputs = self._outputs()
            while place < self.unsure:
                self._do(segments[place], filled)
                place += 1
        except Exception as error:
            self.random.back(random)
            raise Undone from error
        if sure is not None:
            sure()
        if outputs is None:
            outputs = self._outputs()
        for segment in segments[place:]:
            if segment.direct is not None:
                segment.direct()
            else:
                self._do(segment, filled)
        return outputs

    def _do(self, segment: Segment, filled: dict[int, np.ndarray]) -> None:
        if self.apart:
            self._timed(segment, filled)
        elif segment.direct is not None:
            segment.direct()
        elif segment.call is not None:
            self._call(segment.call, filled)
        else:
            self._run(segment.function)

    def _question(self, unit: Unit) -> Callable[[], None] | None:
        """A call that only asks whether Python would go the same way, of what the program itself
        has computed, without all that a call of NumPy's meaning takes."""
        node = unit.work
        if not (isinstance(node, Call) and node.op is same_way.op):
            return None
        x, truth = node.args
        leaf = self.plan.arguments.get((unit.number, 0)) or self.lowered.leaves[x]
        offset = self.plan.places.get(id(leaf))
        if not isinstance(offset, int) or leaf.dtype != np.bool_:
            return None
        place = np_view(self.arena[offset:], leaf).reshape(())
        answer = np.zeros((), np.bool_)  # nobody reads it
        self.table[self.slot[id(self.lowered.leaves[node.outs[0]])]] = answer.ctypes.data

        def ask(answer: np.ndarray = answer) -> None:
            if bool(place) is not truth:
                raise OtherWay

        return ask

    def _outputs(self) -> list[np.ndarray]:
        """Arrays for the results: those of earlier runs that nobody holds any more, or new ones."""
        results = []
        table, place, count = self.table, self.first_output, sys.getrefcount
        for pool in self.pools:
            for held in pool:  # NumPy's views refer to the owner, and not to what they view
                if count(held[0]) <= 2 and count(held[2]) <= 3:
                    break
            else:
                held = self._new_output(place - self.first_output)
            table[place] = held[1]
            results.append(held[0])
            place += 1
        return results

    def _new_output(self, number: int) -> tuple[np.ndarray, int, np.ndarray]:
        """Memory for a result, and its address; kept for later runs."""
        leaf, pool = self.plan.outputs[number], self.pools[number]
        array = new_array(leaf)
        held = array, address(array), array.base
        pool.append(held)
        del pool[:-4]
        return held

    def _run(self, function: machine_code.Task) -> None:
        given = self.addresses
        if self.threads > 1:
            self.barrier[0] = 0
            if crew().together(function, (*given, self.threads), self.threads):
                return
        function(*given, 1, 0, 1)

    def _timed(self, segment: Segment, filled: dict[int, np.ndarray]) -> None:
        """Run a segment of one unit, and print what it was and how fast."""
        start = time.perf_counter()
        if segment.call is not None:
            self._call(segment.call, filled)
        else:
            self._run(segment.function)
        seconds = time.perf_counter() - start
        units = [segment.call] if segment.call else segment.units
        how = report.speed(units, seconds)
        what = "; ".join(map(report.named, units))
        print(f"{1e6 * seconds:9.1f} us  {how:16} {what}", file=sys.stderr)

    def _call(self, unit: Unit, filled: dict[int, np.ndarray]) -> None:
        """Run a node by its NumPy meaning."""
        node = unit.work
        if isinstance(node, Draw):
            self._filled(node.out, node.again(), (), filled)
            return
        arrays: dict[Var, np.ndarray] = {}
        for k, v in enumerate(dict.fromkeys(node.reads())):
            leaf = self.plan.arguments.get((unit.number, k)) or self.lowered.leaves[v]
            arrays[v] = self._array(leaf, filled)
        given = list(arrays.values())
        with no_grad():
            run_node(node, arrays, self.numbers)
        for v in node.made:
            self._filled(v, arrays[v], given, filled)

    def _filled(
        self,
        v: Var,
        array: np.ndarray,
        given: Sequence[np.ndarray],
        filled: dict[int, np.ndarray],
    ) -> None:
        """Let ``array`` be the memory of ``v``, or a copy of it that nothing else shares."""
        leaf = self.lowered.leaves[v]
        size = array.itemsize
        laid = array.strides == v.strides or array.strides == tuple(
            [s * size for s in leaf.strides]
        )
        if not laid or any(np.may_share_memory(array, a) for a in given):
            fresh = new_array(leaf)
            fresh[...] = array
            array = fresh
        filled[id(leaf)] = array
        self.table[self.slot[id(leaf)]] = address(array)

    def _array(self, leaf: Leaf, filled: dict[int, np.ndarray]) -> np.ndarray:
        """The memory of a leaf as an array."""
        if id(leaf) in filled:
            return filled[id(leaf)]
        v = leaf.key
        if isinstance(v, Var):
            if v in self.graph.constants:
                return self.graph.constants[v]
            return self.last_inputs[self.place_of_input[v]]
        offset = self.plan.places[id(leaf)]
        return np_view(self.arena[offset:], leaf)


def build(graph: Graph) -> Callable[..., list[np.ndarray]]:
    """The program of ``graph``.

    Where the compiler fails, which is a mistake of its own, a warning says so, and the program runs
    node by node; the tests turn that into an error (``strict``).
    """
    made = [v for node in graph.nodes for v in node.made]
    if any(v.dtype.itemsize > max(BITS) for v in (*graph.inputs, *graph.constants, *made)):
        return DullExecutor.build(graph)  # complex128: kernels cannot even move it
    try:
        return Program(graph, apart=_config.debug == "kernels")
    except Exception as error:  # whatever it is, the answer must be right
        if strict:
            raise
        warnings.warn(
            f"flambeau.compile cannot make machine code of this program, which runs operation by "
            f"operation instead ({type(error).__name__}: {error}); please report this",
            stacklevel=2,
        )
        return DullExecutor.build(graph)
