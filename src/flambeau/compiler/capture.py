"""Capture: a run of Python becomes a graph.

The Recorder stands in the hook while a function runs eagerly, and writes down every operation.
A value is known by its NumPy array: whoever wraps the same array in another tensor (``detach``)
needs to say nothing. Arrays that look into one memory belong to one Storage. A write gives the
storage's base a new Var, and whoever looks at another piece of it gets a View of the new base when
next read: writes in place become values.

An array that was there before the run is an input when it is first read. One that is neither that,
nor made by an operation, nor announced, came about in a way that nobody saw: the capture stops and
says where (``reason``), and the function goes on to its end as if nobody looked.
"""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from .. import _dtypes
from ..core.generator import Generator, current
from ..core.modes import Interpreter, hook
from ..core.op import Op
from ..core.tape import Leaf, Node
from ..core.value import Value, address, constant, owner_of, ticks, wrap
from .effects import NOTHING, all_true, continued, same_way, seeded
from .graph import Call, Copy, Draw, Graph, Put, Update, Var, View
from .memory_of import Place, extent, overlap, same_place, within
from .reach import STDLIB
from .returned import Stand, number_of, only_returned, with_numbers
from .symbols import Book, Symbol, dtype_of_number, plain

ndarray = np.ndarray
TRUTHS = ("bool()", "equal", "allclose")  # by what Python reads whether a tensor is true
#: Operations whose second operand may be a 0-d tensor where it was a number.
ARITHMETIC = frozenset(["add", "sub", "rsub", "mul", "div", "eq", "ne", "lt", "le", "gt", "ge"])
PACKAGE = str(Path(__file__).parents[1])


class Beyond(Exception):
    """The capture cannot follow. ``again``: what hindered it may be there only the first time."""

    def __init__(self, reason: str, again: bool = False) -> None:
        super().__init__(reason)
        self.again = again


def user_line() -> str:
    """The line outside the library that is being run: ``train.py:41``."""
    frame = sys._getframe(1)
    while frame is not None and (
        frame.f_code.co_filename.startswith((PACKAGE, "<flambeau", "<frozen"))
        or (
            frame.f_code.co_filename.startswith(STDLIB)
            and "site-packages" not in frame.f_code.co_filename
        )
    ):
        frame = frame.f_back
    if frame is None:
        return ""
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


class Gate(Node):
    """Stands for the graph that a tensor brought along: gradients pass through."""

    __slots__ = ()

    def __init__(self, edge: Node) -> None:
        self.edges = (edge,)
        self.saved = None
        self.watch = None
        self.tick = ticks()

    def name(self) -> str:
        return self.edges[0].name() if self.edges else "Gate"

    def backward(self, grad: Value) -> tuple[Value]:
        return (grad,)


class Storage:
    """Memory that one or more arrays look into. ``version`` counts the writes since the start."""

    __slots__ = ("base", "before", "inputs", "version")

    def __init__(self, base: Member, before: bool) -> None:
        self.base = base  # the array that all others are pieces of
        self.before = before  # whether it was there before the run
        self.inputs: list[Member] = []
        self.version = 0


class Member:
    """An array, and the Var that holds its elements as of ``version`` of its storage.

    Of one that is made in the run there is only the Place: its memory goes when the program lets
    it go, so that to record a step takes no more memory than to run it.
    """

    __slots__ = ("array", "entry", "storage", "var", "version")

    def __init__(self, array: ndarray | Place, var: Var | None) -> None:
        self.array = array
        self.entry: Var | None = None  # of an input: the Var that came in
        self.var = var
        self.version = 0


class Number:
    """Where an input comes from that is a Python number: ``text`` computes it, in the dtype of
    ``array``."""

    __slots__ = ("_array", "text")

    def __init__(self, text: str, array: ndarray) -> None:
        self.text = text
        self._array = array


class Before:
    """What was there before the run: tensors by their arrays, and the gradients of all."""

    def __init__(self, extra: list[Value]) -> None:
        self.tensors: dict[int, list[Value]] = {}  # id(array) -> the tensors over it
        self.owners: dict[int, list[ndarray]] = {}  # id(owner) -> the arrays that look into it
        self.known: set[int] = set()  # ids of the tensors
        self.grads: list[tuple[Value, Value | None]] = []
        self.held: list[Value] = []  # so that no id is given to another object
        for o in (*extra, *living()):
            if id(o) in self.known or not has_array(o):
                continue
            self.known.add(id(o))
            self.held.append(o)
            array = o._array
            same = self.tensors.setdefault(id(array), [])
            if not same:
                self.owners.setdefault(id(owner_of(array)), []).append(array)
            same.append(o)
            if o._grad is not None or type(o._edge) is Leaf or o._retains_grad:
                self.grads.append((o, o._grad))
        self.arrays = [o._array for o in self.held]
        self.edges = [o._edge for o in self.held]
        self.hooks = [hooks_on(e) for e in self.edges]
        self.random = current().get_state_array()


def hooks_on(edge: Node | None) -> int:
    """How many functions the user has put on ``edge``."""
    w = None if edge is None else edge.watch
    if w is None:
        return 0
    return len(w.tensor) + len(w.accumulated) + len(w.pre) + len(w.post) + len(w.retain)


def living() -> Iterator[Value]:
    """Every tensor that is alive. An object refers to its class, and the search for what refers to
    something is the collector's own: three times as fast as to look at each object from here."""
    classes = set(_with_subclasses(Value))
    for o in gc.get_referrers(*classes):
        if type(o) in classes and has_array(o):
            yield o


def _with_subclasses(cls: type) -> Iterator[type]:
    yield cls
    for below in type.__subclasses__(cls):
        yield from _with_subclasses(below)


def has_array(tensor: Value) -> bool:
    """Whether there is an array; lazy modules' parameters have none yet."""
    try:
        return tensor._array is not None
    except (AttributeError, ValueError):
        return False


class Recorder(Interpreter):
    """Makes a graph of what it is handed. ``reason``: why it stopped, where it did."""

    def __init__(self, before: Before, outermost: CodeType, book: Book | None = None) -> None:
        self.before = before
        self.book = book  # of the numbers that come with each run
        self.numbers: dict[tuple[str, np.dtype], Value] = {}  # what of them are inputs
        self.checks: list[Value] = []  # results of ``all_true``, which are to be computed
        self.hosts: list[tuple[Any, Callable, tuple, int]] = []  # calls, after so many updates
        self.outermost = outermost  # the code that calls the function
        self.members: dict[int, Member] = {}
        self.storages: dict[int, list[Storage]] = {}  # id(owner) -> memory that does not overlap
        self.graph = Graph()
        self.sources: list[Value | Number] = []  # the tensor of each input
        self.gates: dict[int, tuple[Value, Node, Gate]] = {}
        self.entered: dict[int, tuple[Value, Node]] = {}  # tensors that came with an edge
        self.related: list[tuple[ndarray, Value]] = []  # read as pieces of inputs written before
        self.updates: list[tuple] = []  # (node, optimizer, group, state), in the order of places
        self.groups: list[tuple[dict, dict]] = []  # groups that step, and their options then
        self.bumps: dict[int, list] = {}  # id(tensor) -> [tensor, writes]
        self.owned: list[ndarray] = []  # memory that was there before
        self.alive: dict[int, weakref.ref] = {}  # arrays and owners that were made in the run
        self.asked: set[int] = set()  # ids of tensors whose .grad was looked at
        self.marked: list[Value] = []  # tensors that were there, and whose requires_grad was set
        self.start = ticks()  # whatever is on the tape with an earlier one was there before
        self.drawn = False  # whether an operation was given a generator
        self.walked = False  # whether there was a backward pass
        self.within = True  # the function runs, and not the way back from its results
        self.ways = 0  # how often Python went on by a computed truth
        self.count = 0
        self.doing = "the function"  # what is being recorded, for people
        self.pending: str | None = None
        self.reason: str | None = None
        self.again = False

    # ---- stopping ----------------------------------------------------------------------------

    def stop(self, error: Beyond) -> None:
        """Give up, for the reason ``error``."""
        if self.reason is None:
            line = user_line()
            self.reason = f"{line}: {error}" if line else str(error)
            self.again = error.again

    def mine(self) -> bool:
        """Whether an event is of this thread, and still wanted."""
        return self.reason is None and threading.get_ident() == self.thread

    def settled(self) -> None:
        """Beyond if a version counter moved and nobody said what was written."""
        if self.pending is not None:
            writer, self.pending = self.pending, None
            raise Beyond(f"{writer} writes into a tensor in a way that cannot be captured")

    # ---- values ------------------------------------------------------------------------------

    def fresh(self, array: ndarray | Place, name: str) -> Var:
        """A new Var like ``array``."""
        self.count += 1
        level = None if array.__class__ is ndarray else getattr(array, "level", None)
        return Var(self.count, array.shape, array.dtype, array.strides, name, level)

    def member(self, array: ndarray) -> Member:
        """What is known of ``array``, which is about to be read or looked at."""
        m = self.members.get(id(array))
        return self._adopt(array) if m is None else m

    def var(self, array: ndarray) -> Var:
        """The Var that holds the elements of ``array`` now."""
        return self._now(self.member(array))

    def _now(self, m: Member) -> Var:
        s = m.storage
        if m.version != s.version or m.var is None:
            m.var = self._derived(m.array, s.base)
            m.version = s.version
        return m.var

    def _derived(self, array: ndarray | Place, base: Member) -> Var:
        """``array`` as a piece of the storage's base."""
        if base.var is None or base.version != base.storage.version:
            raise Beyond("tensors overlap in a way that cannot be captured")
        if same_place(array, base.array):
            return base.var
        if not within(array, base.array):
            raise Beyond("a tensor is read that overlaps with another that was written to")
        offset = address(array) - address(base.array) if array.size else 0
        out = self.fresh(array, base.var.name)
        self.graph.nodes.append(strided_view(base.var, out, offset))
        return out

    def _join(self, array: ndarray, m: Member, storage: Storage) -> Member:
        m.storage = storage
        m.version = storage.version
        self.members[id(array)] = m
        if m.array is not array:
            self._until_gone(array, self.members)
        return m

    def _until_gone(self, array: ndarray, table: dict[int, Any]) -> None:
        """Forget what ``table`` has at the id of ``array`` when that is gone."""
        key, alive = id(array), self.alive

        def gone(ref: weakref.ref) -> None:
            table.pop(key, None)
            del alive[id(ref)]

        ref = weakref.ref(array, gone)
        alive[id(ref)] = ref

    def new(self, array: ndarray, var: Var) -> Member:
        """A Member with memory of its own, made in the run."""
        owner = owner_of(array)
        m = Member(Place(array), var)
        storage = Storage(m, False)
        if id(owner) not in self.storages:
            self.storages[id(owner)] = []
            self._until_gone(owner, self.storages)
        self.storages[id(owner)].append(storage)
        return self._join(array, m, storage)

    def _adopt(self, array: ndarray) -> Member:
        """An array that is seen for the first time: an input, or a piece of something known."""
        owner = owner_of(array)
        if id(owner) not in self.storages:
            self.storages[id(owner)] = []
            self.owned.append(owner)
        storages = self.storages[id(owner)]
        tensors = self.before.tensors.get(id(array))
        for s in storages:
            if overlap(array, s.base.array) or not s.before:
                if tensors is not None and not s.version:
                    return self._join(array, self._input(array, tensors, s), s)
                m = self._join(array, Member(array if s.before else Place(array), None), s)
                m.version = -1
                if tensors is not None:
                    self.related.append((array, tensors[0]))
                return m
        if tensors is None:
            tensors = self._covering(owner, array)
            if tensors is None:
                raise Beyond(
                    f"{self.doing} uses a tensor that no captured operation made: it is from "
                    "NumPy, or from a function that cannot be captured"
                )
            self.member(tensors[0]._array)
            return self._adopt(array)
        m = Member(array, None)
        storage = Storage(m, True)
        storages.append(storage)
        return self._join(array, self._input(array, tensors, storage, m), storage)

    def _covering(self, owner: ndarray, array: ndarray) -> list[Value] | None:
        """Tensors that were there before and hold all elements of ``array``."""
        for other in self.before.owners.get(id(owner), ()):
            if id(other) not in self.members and array.size and within(array, other):
                return self.before.tensors[id(other)]
        return None

    def _input(
        self, array: ndarray, tensors: list[Value], storage: Storage, m: Member | None = None
    ) -> Member:
        m = m or Member(array, None)
        m.var = m.entry = self.fresh(array, "")
        storage.inputs.append(m)
        self.graph.inputs.append(m.var)
        self.sources.append(tensors[0])
        return m

    def enter(self, x: Value) -> None:
        """``x`` is about to be used: if it came with a graph, keep that graph apart."""
        edge = x._edge
        if edge is None or id(x) in self.entered or id(x) not in self.before.known:
            return
        self.entered[id(x)] = (x, edge)
        if type(edge) is not Leaf:
            gate = Gate(edge)
            self.gates[id(x)] = (x, edge, gate)
            x._edge = gate

    # ---- operations --------------------------------------------------------------------------

    def run(self, op: Op, plain: Callable[..., Any], args: tuple) -> Any:
        """See Interpreter."""
        if self.book is not None:
            tensors = None if op.with_tensors is None else self._as_tensors(op, args)
            if tensors is not None:
                return op.with_tensors(*tensors)
            args = self._numbers(op, args)
        if self.reason is None:
            self.doing = op.name
            try:
                self.settled()
                known = tuple([self._operand(a) for a in args])
            except Beyond as error:
                self.stop(error)
        result = self.onward(op, plain, args)
        if self.reason is None:
            try:
                self.settled()
                self._record(op, plain, known, args, result)
            except Beyond as error:
                self.stop(error)
        return result

    def _numbers(self, op: Op, args: tuple) -> tuple:
        """``args`` without symbols: as inputs where that is the same, else as their values."""
        if op.kind == "binary" and op.name in ARITHMETIC and type(args[1]) is Symbol:
            dtype = dtype_of_number(op, *args)
            b = None if dtype is None else self.number(args[1], dtype)
            if b is not None:
                return args[0], b
        return tuple([plain(a) for a in args])

    def _as_tensors(self, op: Op, args: tuple) -> list | None:
        """``args`` with tensors for numbers; None without symbols, and where it is not the same."""
        if Symbol not in map(type, args) or not self.mine():
            return None
        d = args[0].dtype
        if d not in (_dtypes.float32, _dtypes.float64):
            return None
        found = [self.number(a, d) if type(a) is Symbol else a for a in args]
        return [constant(np.array(f, d.numpy)) if type(f) in (int, float) else f for f in found]

    def number(self, value: Any, dtype: _dtypes.dtype) -> Value | None:
        """See Interpreter."""
        if type(value) is not Symbol or not self.mine():
            return None
        key = (value.text, dtype.numpy)
        found = self.numbers.get(key)
        if found is None:
            found = self.numbers[key] = wrap(np.array(value.value, dtype.numpy))
            array = found._array
            self.owned.append(array)
            m = Member(array, None)
            storage = Storage(m, True)
            self.storages[id(array)] = [storage]
            source = Number(value.text, array)
            self._join(array, self._input(array, [source], storage, m), storage)
        return found

    def options(self, group: dict) -> dict:
        """See Interpreter: every run asks the formula anew, so that this is no use of a symbol."""
        return {key: with_numbers(value) for key, value in group.items()} if self.book else group

    def _operand(self, a: Any) -> Any:
        if isinstance(a, Value):
            self.enter(a)
            return self.var(a._array)
        if type(a) is tuple or type(a) is list:
            return type(a)([self._operand(b) for b in a])
        if isinstance(a, ndarray):
            raise Beyond("an operation is given numbers that were computed outside the capture")
        if isinstance(a, Generator):
            self.drawn = True
        return a

    def _record(self, op: Op, plain: Callable, known: tuple, args: tuple, result: Any) -> None:
        outs = result if isinstance(result, tuple) else (result,)
        if not all(isinstance(o, Value) for o in outs):
            if result is NotImplemented:
                return
            raise Beyond(f"{op.name} does not return tensors")
        line = user_line()
        if op.kind == "general" and len(outs) == 1 and id(outs[0]._array) in self.members:
            self._written_operand(op, plain, known, args, outs[0]._array, line)
            return
        made, views = [], []
        for o in outs:
            if o._edge is None and any(s < 0 for s in o._array.strides):
                o._array = np.ascontiguousarray(o._array)  # programs know no backward strides
            array = o._array
            shared = array.base is not None and self.storages.get(id(owner_of(array)))
            (views if shared or id(array) in self.members else made).append(o)
        if not made:  # another look at an operand's memory
            for o in views:
                if id(o._array) not in self.members:
                    self._adopt(o._array)
            return
        for o in views:  # known by their memory, beside what is new
            if id(o._array) not in self.members:
                self._adopt(o._array)
        variables = tuple([self.fresh(o._array, op.name) for o in outs])
        self.graph.nodes.append(Call(op, plain, known, variables, line))
        fresh = {id(o) for o in made}
        for o, v in zip(outs, variables, strict=True):
            if id(o) in fresh:
                self.new(o._array, v)

    def _written_operand(
        self, op: Op, plain: Callable, known: tuple, args: tuple, array: ndarray, line: str
    ) -> None:
        """The operation has written into an operand, and returns it: here, into a copy that is
        made for it, unless the operand is itself a copy that was made just now."""
        places = [i for i, a in enumerate(args) if isinstance(a, Value) and a._array is array]
        if len(places) != 1:
            raise Beyond(f"{op.name} returns memory that is not its operand's")
        place = places[0]
        operand = known[place]
        last = self.graph.nodes[-1] if self.graph.nodes else None
        if not (isinstance(last, Call) and last.op.name == "clone" and last.outs == (operand,)):
            copy = self.fresh(array, op.name)
            self.graph.nodes.append(Copy(operand, copy))
            known = (*known[:place], copy, *known[place + 1 :])
        out = self.fresh(array, op.name)
        self.graph.nodes.append(Call(op, plain, known, (out,), line))
        self.assign(self.members[id(array)], out)

    def viewed(self, source: Value, view: Value, op: Any, args: tuple) -> None:
        """See Interpreter."""
        super().viewed(source, view, op, args)
        if not self.mine():
            return
        self.doing = op.name
        try:
            self.settled()
            self.enter(source)
            m = self.member(source._array)
            array = view._array
            if id(array) in self.members:
                return
            if owner_of(array) is not owner_of(source._array):
                raise Beyond(f"{op.name} gives memory that is not its operand's")
            if op.name == "as_strided" and not within(
                array, m.array
            ):  # elsewhere in the same memory
                s = m.storage
                self._join(array, Member(Place(array), self._derived(array, s.base)), s)
                return
            v = self._now(m)
            out = self.fresh(array, op.name)
            offset = address(array) - address(m.array) if array.size else 0
            self.graph.nodes.append(View(v, out, offset, op, args))
            self._join(array, Member(Place(array), out), m.storage)
        except Beyond as error:
            self.stop(error)

    # ---- writes ------------------------------------------------------------------------------

    def bumped(self, writer: str) -> None:
        """See Interpreter."""
        if not self.mine():
            return
        try:
            self.settled()
        except Beyond as error:
            self.stop(error)
        self.pending = writer

    def wrote(self, target: Value, source: Value, name: str) -> None:
        """See Interpreter."""
        if not self.mine():
            return
        self.pending = None
        try:
            self.enter(source)
            value = self.var(source._array)
            m = self.member(target._array)
            self._count_write(target)
            out = self.fresh(m.array, name)
            self.graph.nodes.append(Copy(value, out))
            self.assign(m, out)
        except Beyond as error:
            self.stop(error)

    def _count_write(self, target: Value) -> None:
        owner = target.counted_by()
        self.bumps.setdefault(id(owner), [owner, 0])[1] += 1

    def assign(self, m: Member, value: Var) -> None:
        """The memory of ``m`` holds ``value`` from now on."""
        s = m.storage
        if s.before and not s.version:
            self._settle_base(s)
        base = s.base
        if same_place(m.array, base.array):
            new = value
        else:
            if not within(m.array, base.array):
                raise Beyond("a write reaches beyond the tensor it belongs to")
            old = self._now(base)
            new = self.fresh(base.array, value.name)
            offset = address(m.array) - address(base.array) if m.array.size else 0
            self.graph.nodes.append(Put(old, m.array.shape, m.array.strides, offset, value, new))
        s.version += 1
        base.var, base.version = new, s.version
        m.var, m.version = value, s.version

    def _settle_base(self, s: Storage) -> None:
        """Before the first write: the input that covers all others is the base."""
        if len(s.inputs) > 1:
            s.base = max(s.inputs, key=lambda m: extent(m.array)[1] - extent(m.array)[0])
        for other in s.inputs:
            if not within(other.array, s.base.array):
                raise Beyond("a tensor is written to that overlaps with another")

    # ---- other events ------------------------------------------------------------------------

    def drew(self, array: Any, again: Callable[[], Any]) -> None:
        """See Interpreter."""
        if not self.mine():
            return
        try:
            self.settled()
            out = self.fresh(array, "random")
            self.graph.nodes.append(Draw(again, out))
            self.new(array, out)
        except Beyond as error:
            self.stop(error)

    def seeded(self, generator: Generator, start: int | Value) -> None:
        """See Interpreter: a node among those that draw, which gives nothing."""
        if not self.mine():
            return
        try:
            self.settled()
            out = self.fresh(NOTHING, "random")
            if isinstance(start, Value):
                state = self.var(start._array)
                node = Call(continued.op, continued.plain, (state, generator), (out,), user_line())
            else:
                node = Draw(lambda: seeded(generator, start), out)
            self.graph.nodes.append(node)
            self.drawn = True
        except Beyond as error:
            self.stop(error)

    def made(self, tensor: Value) -> None:
        """See Interpreter."""
        array = tensor._array
        if not self.mine() or id(array) in self.members:
            return
        try:
            self.settled()
            out = self.fresh(array, "constant")
            self.graph.constants[out] = array.copy(order="K")
            self.new(array, out)
        except Beyond as error:
            self.stop(error)

    def updated(
        self,
        optimizer: Any,
        p: Value,
        group: dict,
        state: dict,
        change: Callable[..., None],
        operands: list,
    ) -> None:
        """See Interpreter."""
        if not self.mine():
            return
        self.pending = None
        try:
            members = [self.member(x._array) for x in operands]
            ins = tuple([self._now(m) for m in members])
            names, first = numbers_of(change)
            outs = tuple(
                [v if i == 1 else self.fresh(members[i].array, v.name) for i, v in enumerate(ins)]
            )
            node = Update(change, ins, outs, names, first, 0, optimizer._whole)
            self.graph.nodes.append(node)
            self.updates.append((node, optimizer, p, group, state))
            if not self.groups or self.groups[-1][0] is not group:
                self.groups.append((group, dict(group)))
            for i, m in enumerate(members):
                if i != 1:
                    self.assign(m, outs[i])
            self._count_write(operands[0])
        except Beyond as error:
            self.stop(error)

    def expects(self, valid: Value) -> bool:
        """See Interpreter: an operation that raises, so that such a call runs eagerly."""
        if not self.mine() or not self.within or not valid._array.all():
            return False
        self.checks.append(self.run(all_true.op, all_true.plain, (valid,)))
        return True

    def stepped(self, optimizer: Any, call: Callable, args: tuple) -> Any:
        """See Interpreter: every run makes the call again, when the program is done."""
        if not self.mine():
            return super().stepped(optimizer, call, args)
        try:
            self.settled()
            given = [Stand(self.var(a._array), None) if isinstance(a, Value) else a for a in args]
            self.hosts.append((optimizer, call, tuple(given), len(self.updates)))
        except Beyond as error:
            self.stop(error)
        hook.active = self.below
        try:
            return call(*[plain(a) for a in args])
        finally:
            hook.active = self

    def reached(self, node: Any, grad: Any) -> None:
        """See Interpreter."""
        if self.mine():
            self.walked = True
            if node is not None and node.tick < self.start and type(node) is not Gate:
                self.stop(Beyond("a backward pass goes on into a graph from outside"))

    def graded(self, tensor: Value) -> None:
        """See Interpreter."""
        if self.mine():
            self.asked.add(id(tensor))

    def opaque(self, what: str, again: bool = False) -> None:
        """See Interpreter."""
        if self.mine():
            self.stop(Beyond(what, again))

    def read(self, tensor: Value, what: str) -> Stand | None:
        """See Interpreter. A stand-in for a number that is only returned. Where Python asks whether
        a tensor is true, the program asks, too, and is Undone where the answer is another."""
        stand = self._read(tensor, what) if self.mine() else None
        return super().read(tensor, what) if stand is None else stand

    def _read(self, tensor: Value, what: str) -> Stand | None:
        try:
            self.settled()
            m = self.member(tensor._array)
            if self._now(m) in self.graph.constants:
                return None  # of Python's own numbers, which are the same in every run
            if what in TRUTHS and tensor._array.size == 1 and self.within:
                truth = bool(tensor._array.reshape(()).astype(bool))
                self.checks.append(self.run(same_way.op, same_way.plain, (tensor, truth)))
                self.ways += 1
                return None
            if what == "item()" and only_returned(sys._getframe(4), self.outermost):
                return Stand(self._now(m), number_of(tensor._array))
            if m.storage.before and not m.storage.version:
                raise Beyond(f"{what} gives Python the elements of a tensor")
            raise Beyond(f"{what} gives Python elements that were computed here")
        except Beyond as error:
            self.stop(error)
        return None

    # ---- the end -----------------------------------------------------------------------------

    def written(self) -> list[tuple[Member, Var]]:
        """The inputs whose memory was written to, each with the value that it holds now."""
        return [
            (s.base, self._now(s.base))
            for storages in list(self.storages.values())
            for s in storages
            if s.before and s.version
        ]

    def unchanged(self) -> None:
        """Beyond if something was done to what was there before that no event tells."""
        before = self.before
        had_grads = {id(o) for o, _ in before.grads}
        for o, array, edge, hooks in zip(
            before.held, before.arrays, before.edges, before.hooks, strict=True
        ):
            if o._array is not array:
                raise Beyond("the memory of a tensor is exchanged (.data = ...)", again=True)
            if o._grad is not None and id(o) not in had_grads:
                before.grads.append((o, None))
            if o._edge is not edge:
                if not {type(edge), type(o._edge)} <= {Leaf, type(None)}:
                    raise Beyond("the graph of a tensor that was there is changed")
                self.marked.append(o)
            if hooks_on(edge) != hooks:
                raise Beyond("hooks are registered on a tensor that was there")
        if any(gate.watch is not None for _, _, gate in self.gates.values()):
            raise Beyond("hooks are registered on a tensor that was there")
        drawn = self.drawn or any(isinstance(n, Draw) for n in self.graph.nodes)
        if not drawn and not np.array_equal(before.random, current().get_state_array()):
            raise Beyond("random numbers are drawn in a way that cannot be captured")

    def restore(self) -> None:
        """Take the gates away."""
        for x, edge, gate in self.gates.values():
            if x._edge is gate:
                x._edge = edge


def numbers_of(change: Callable[..., None]) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """The closure variables of an optimizer's ``change`` that hold numbers, and those numbers.

    Beyond for what is neither a number, nor a bool, a string or None, which are the formula's kind.
    """
    names, numbers = [], []
    for name, cell in zip(change.__code__.co_freevars, change.__closure__ or (), strict=True):
        value = cell.cell_contents
        if type(value) in (int, float) or isinstance(value, np.floating):
            names.append(name)
            numbers.append(float(value))
        elif not _is_plain(value):
            raise Beyond(f"{change.__qualname__} uses {name}, which is no number")
    return tuple(names), tuple(numbers)


def _is_plain(value: Any) -> bool:
    if type(value) is tuple:
        return all(_is_plain(v) for v in value)
    return value is None or type(value) in (bool, int, float, str)


class _Strided:
    """The operation of a View that is known by its place in memory alone."""

    name = "strided"


STRIDED = _Strided()


def strided_view(source: Var, out: Var, offset: int) -> View:
    """The node by which ``out`` is the piece of ``source`` at ``offset`` bytes."""
    return View(source, out, offset, STRIDED, (out.shape,))
