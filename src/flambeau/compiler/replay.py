"""Replay: a captured run as a function. Its source is guards, then one run of the program, then
what the run leaves behind: outputs, gradients, version counters, counts of steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _dtypes
from ..core import tape
from ..core.tape import FREED, Leaf, Node, Output
from ..core.value import Value, _Class, new, owner_of, ticks, wrap_view
from .capture import Beyond, Member, Recorder
from .execute import OutOfBounds, Program, _piece
from .gradients import CompiledFunctionBackward, Plan, kept_from_writes, recorded
from .graph import Graph, Var
from .guards import EAGER, Guards
from .numbers import Unit, units_of
from .reach import PLAIN, Reach
from .returned import Stand, number_of

ndarray = np.ndarray


class Used(Node):
    """The place in the graph of a tensor whose backward pass was done in the compiled run."""

    __slots__ = ("label_",)

    def __init__(self, name: str) -> None:
        self.label_ = name
        self.edges = ()
        self.saved = FREED
        self.watch = None
        self.tick = ticks()

    def name(self) -> str:
        return self.label_


def nodes_of(edge: Node) -> list[Node]:
    """Every node that ``edge`` leads to."""
    return tape._order([edge])


def is_used(edge: Node) -> bool:
    """Whether a backward pass has been through the graph that ``edge`` leads to."""
    return any(n.saved is FREED for n in nodes_of(edge))


class Result:
    """What the run has returned, as an expression, and the arrays that it takes."""

    def __init__(self, rec: Recorder, guards: Guards, reach: Reach) -> None:
        self.rec = rec
        self.guards = guards
        self.reach = reach
        self.arrays: list[Var] = []  # outputs of the program
        self.index: dict[int, int] = {}  # id(storage) -> which output is its base
        self.lines: list[str] = []
        self.needed: dict[Var, str] = {}  # inputs that outputs are pieces of
        self.live: list[tuple[str, Value]] = []  # results that require grad
        self.made: dict[int, str] = {}  # id(tensor) -> its name
        self.kept: set[int] = set()  # ids of the tensors that the caller gets
        self.source = guards.source
        self.source.names.update(
            new=new, Tensor=_Class.tensor, Used=Used, Leaf=Leaf, wrap_view=wrap_view,
            piece=_piece, detached=_detached,
        )  # fmt: skip

    def array(self, array: ndarray) -> str:
        """The expression for ``array``'s memory: of an output, or a piece of one."""
        m = self.rec.member(array)
        s = m.storage
        if s.before:
            return self._piece_of(self._input(s.base), array, s.base)
        if id(s) not in self.index:
            self.index[id(s)] = len(self.arrays)
            self.arrays.append(self.rec._now(s.base))
        return self._piece_of(f"o[{self.index[id(s)]}]", array, s.base)

    def _piece_of(self, expression: str, array: ndarray, base: Member) -> str:
        if array is base.array:
            return expression
        offset = 0
        if array.size:
            offset = (
                array.__array_interface__["data"][0] - (base.array.__array_interface__["data"][0])
            )
        d = self.source.bind(array.dtype, "dtype")
        return f"piece({expression}, {d}, {array.shape}, {array.strides}, {offset})"

    def _input(self, m: Member) -> str:
        if m.entry is None:
            raise Beyond("an output is a piece of memory that is no input")
        self.needed[m.entry] = f"i{m.entry.number}"
        return self.needed[m.entry]

    def tensor(self, t: Value) -> str:
        """The expression for the tensor ``t``; lines that make it are added."""
        name = self.made.get(id(t))
        if name is not None:
            return name
        if id(t) in self.rec.before.known:
            name = self.known(t)
            if name is None:
                raise Beyond("a tensor is returned that flambeau cannot find again")
            return name
        self.kept.add(id(t))
        self.rec.settled()
        array = self.array(t._array)
        name = f"t{len(self.made)}"
        self.made[id(t)] = name
        if t._base is not None:
            self.kept.add(id(t._base))
            self.lines.append(f"{name} = wrap_view({array}, {self.tensor(t._base)})")
            if t._view_kind is not None:
                self.lines.append(f"{name}._view_kind = {t._view_kind!r}")
        elif t._shares is not None:
            self.kept.add(id(t._shares))
            self.lines.append(f"{name} = detached({array}, {self.tensor(t._shares)})")
        else:
            kind = "Tensor"
            if type(t) is not _Class.tensor:
                kind = self.source.bind(type(t), "kind")
            self.lines.append(f"{name} = new({kind}); {name}._array = {array}")
        self.lines.append(f"{name}._edge = {self._edge(t, name)}")
        if t._inference:
            self.lines.append(f"{name}._inference = True")
        if t._grad is not None:
            self.lines.append(f"{name}._grad = {self.tensor(t._grad)}")
        return name

    def _edge(self, t: Value, name: str) -> str:
        edge = t._edge
        if edge is None:
            return "None"
        if type(edge) is Leaf:
            return f"Leaf({name})"
        if is_used(edge):
            return f"Used({edge.name()!r})"
        self.live.append((name, t))
        return "None"

    def copy_of(self, v: Var) -> Var:
        """A new Var like ``v``."""
        self.rec.count += 1
        return Var(self.rec.count, v.shape, v.dtype, v.strides, v.name)

    def known(self, t: Value) -> str | None:
        """The expression for a tensor that was there before the run."""
        name = self.guards.arguments.get(id(t))
        if name is not None:
            return name
        if id(t) in self.reach.tensors:
            return self.source.bind(t, "p")
        for owner, grad in self.rec.before.grads:
            if grad is t and owner is not t:
                of = self.known(owner)
                if of is not None:
                    return f"{of}._grad"
        return None

    def value(self, obj: Any) -> str:
        """The expression for anything that the function returned."""
        if isinstance(obj, Value):
            return self.tensor(obj)
        if type(obj) is Stand:
            if obj.var not in self.arrays:
                self.arrays.append(obj.var)
            self.source.names["number_of"] = number_of
            return f"number_of(o[{self.arrays.index(obj.var)}])"
        if type(obj) is tuple:
            parts = [self.value(o) for o in obj]
            return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
        if type(obj) is list:
            return f"[{', '.join([self.value(o) for o in obj])}]"
        if type(obj) is dict and all(type(k) in PLAIN for k in obj):
            return f"{{{', '.join([f'{k!r}: {self.value(o)}' for k, o in obj.items()])}}}"
        if isinstance(obj, tuple):  # a named one
            kind = self.source.bind(type(obj), "kind")
            parts = ", ".join([self.value(o) for o in obj])
            return f"{kind}({parts})" if hasattr(obj, "_fields") else f"{kind}([{parts}])"
        if type(obj) in PLAIN or isinstance(obj, (_dtypes.dtype, type)):
            return self.source.bind(obj, "v")
        if id(obj) in self.reach.seen:
            return self.source.bind(obj, "v")
        raise Beyond(f"the function returns a {type(obj).__name__} that was made in the run")


def _detached(array: ndarray, of: Value) -> Value:
    out = new(_Class.tensor)
    out._array = array
    out._edge = None
    out._shares = of
    return out


class Variant:
    """One captured run: ``call(args, kwargs)`` replays it, or returns MISS."""

    def __init__(self, graph: Graph, call: Callable, units: list[Unit]) -> None:
        self.graph = graph
        self.call = call
        self.units = units
        self.program: _Later | None = None
        self.backward: Plan | None = None
        self.fixed: list[ndarray] = []
        self.kept: set[int] = set()


def replayed(
    rec: Recorder, reach: Reach, guards: Guards, result: Any, build: Callable[[Graph], Program]
) -> Variant:
    """The variant of a run that has been captured. Beyond, if it cannot be done again."""
    rec.settled()
    graph = rec.graph
    source = guards.source
    out = Result(rec, guards, reach)
    returned = out.value(result)
    grads = _new_gradients(rec, out)
    units = units_of(rec.updates)
    written = rec.written()
    graph.writes = [(m.entry, v) for m, v in written]
    plan = _backward(rec, out, build) if out.live else None
    graph.outputs = out.arrays
    graph.scalars = sum(len(u.at) for u in units)
    # ---- guards
    guards.argument_tensors(bool(written))
    if written:
        guards.apart({id(owner_of(m.array)) for m, _ in written}
                     - {id(owner_of(t._array)) for _, t in guards.tensors})  # fmt: skip
    guards.modes()
    guards.places([p for p in reach.places if _guarded(p, reach)])
    fixed = _inputs(rec, guards, out)
    _gradients_as_before(rec, guards, out)
    for i, unit in enumerate(units):
        u = source.bind(unit, "unit")
        source.names[f"numbers_{u}"] = unit.numbers
        source.add(f"n{i} = numbers_{u}()", 3)
        source.add(f"if n{i} is None: return MISS", 3)
    source.add("except (LookupError, AttributeError, TypeError, ValueError):")
    source.add("return MISS", 3)
    # ---- the run
    numbers = "".join(f"*n{i}, " for i in range(len(units)))
    if len(units) == 1:
        numbers, brackets = "n0", False
    else:
        brackets = True
    for p, _ in grads:
        source.add(f"{p}._grad = None")
    source.names["program"] = program = _Later(graph, build)
    source.names.update(OutOfBounds=OutOfBounds, EAGER=EAGER)
    source.add("try:")
    source.add(f"o = program.run(inputs, {f'[{numbers}]' if brackets else numbers})", 3)
    source.add("except OutOfBounds:")
    source.add("return EAGER", 3)
    for u in units:
        source.names[f"advance_{source.by_id[id(u)]}"] = u.advance
        source.add(f"advance_{source.by_id[id(u)]}()")
    _count_writes(rec, source, out)
    for v, name in out.needed.items():
        source.add(f"{name} = inputs[{graph.inputs.index(v)}]")
    for line in out.lines:
        source.add(line)
    for p, g in grads:
        source.add(f"{p}._grad = {g}")
    source.add(f"return {returned}")
    variant = Variant(graph, source.function("program"), units)
    variant.program = program
    variant.backward = plan
    variant.fixed = fixed
    variant.kept = out.kept
    return variant


def _guarded(p: Any, reach: Reach) -> bool:
    return not p.hyper or reach.reads_options


def _backward(rec: Recorder, out: Result, build: Callable[[Graph], Program]) -> Plan:
    """Record the backward pass; lines that put its node behind the results."""
    graph, source = rec.graph, out.source
    roots: dict[Node, Value] = {}
    for _, t in out.live:
        roots.setdefault(t._edge, t)
    plan, targets, saved, read = recorded(rec, list(roots.items()))
    plan.build = build
    names = [out.known(t) for t in (*targets, *read)]
    if None in names:
        raise Beyond("a tensor with a gradient is used that flambeau cannot find again")
    keep = list(saved)
    kept_from_writes(graph, {i for i, _ in graph.writes}, keep, out.copy_of)
    arrays = []
    for v in keep:
        if v in graph.inputs:
            out.needed[v] = f"i{v.number}"
            arrays.append(out.needed[v])
        else:
            if v not in out.arrays:
                out.arrays.append(v)
            arrays.append(f"o[{out.arrays.index(v)}]")
    source.names.update(Backward=CompiledFunctionBackward, Output=Output)
    edges = "".join(f"{n}._edge, " for n in names[: len(targets)])
    p = source.bind(plan, "plan")
    read = ", ".join(names[len(targets) :])
    out.lines.append(f"node = Backward({p}, ({edges}), [{', '.join(arrays)}], [{read}])")
    index = {edge: i for i, edge in enumerate(roots)}
    for name, t in out.live:
        many = plan.count > 1
        edge = f"Output(node, {index[t._edge]})" if many else "node"
        out.lines.append(f"{name}._edge = {edge}")
    return plan


class _Later:
    """A program that is built when it is first run."""

    def __init__(self, graph: Graph, build: Callable[[Graph], Program]) -> None:
        self.graph = graph
        self.build = build
        self.run = self._first

    def _first(self, inputs: list[ndarray], numbers: list[float]) -> list[ndarray]:
        self.run = self.build(self.graph)
        return self.run(inputs, numbers)


def _inputs(rec: Recorder, guards: Guards, out: Result) -> list[ndarray]:
    """Lines that look up the inputs' arrays; the list of those that are always the same."""
    source = guards.source
    graph = rec.graph
    loose: list[tuple[Var, Value, str]] = []
    fixed: list[tuple[Var, Value, str]] = []
    for v, t in zip(graph.inputs, rec.sources, strict=True):
        owner = _found(t, rec, out)
        v.name = _name_of(t, rec, out)
        if owner.startswith("a") and owner[1:].isdigit():
            loose.append((v, t, "x" + owner[1:]))
        elif owner.endswith("._grad"):
            loose.append((v, t, f"g{len(loose)}"))
            source.add(f"{loose[-1][2]} = {owner}._array", 3)
            guards.array(loose[-1][2], t._array)
        else:
            fixed.append((v, t, owner))
    arrays = [t._array for _, t, _ in fixed]
    if fixed:
        f = source.bind(arrays, "fixed")
        source.names["rebind"] = _rebind
        owners = source.bind([t for _, t, _ in fixed], "owners")
        memory = source.bind(guards.written, "written")
        for start in range(0, len(fixed), 20):
            tests = [
                f"{name}._array is not {f}[{i}]"
                for i, (_, _, name) in enumerate(fixed[start : start + 20], start)
            ]
            source.add(f"if {' or '.join(tests)}:", 3)
            source.add(f"if not rebind({f}, {owners}, {memory}): return MISS", 4)
        first = "".join(f"{x}, " for _, _, x in loose)
        source.add(f"inputs = [{first}*{f}]", 3)
    else:
        source.add(f"inputs = [{', '.join([x for _, _, x in loose])}]", 3)
    graph.inputs = [v for v, _, _ in (*loose, *fixed)]
    return arrays


def _found(t: Value, rec: Recorder, out: Result) -> str:
    name = out.known(t)
    if name is None:
        for other in rec.before.tensors[id(t._array)]:
            name = out.known(other)
            if name is not None:
                return name
        raise Beyond("a tensor is used that flambeau cannot find again from the function")
    return name


def _name_of(t: Value, rec: Recorder, out: Result) -> str:
    name = out.guards.arguments.get(id(t))
    if name is not None:
        return f"argument {name[1:]}"
    for owner, grad in rec.before.grads:
        if grad is t:
            return f"{out.reach.tensors.get(id(owner), '')}.grad"
    return out.reach.tensors.get(id(t), "")


def _rebind(arrays: list[ndarray], owners: list[Value], written: set[int]) -> bool:
    """Take the arrays that the tensors have now, if they are of the same types, and apart from
    all others. ``written``: the ids of the memory that the program writes into."""
    for i, t in enumerate(owners):
        old, now = arrays[i], t._array
        if old is not now:
            if (old.shape, old.dtype, old.strides) != (now.shape, now.dtype, now.strides):
                return False
            memory = owner_of(now)
            if any(owner_of(a) is memory for k, a in enumerate(arrays) if k != i):
                return False
            if id(owner_of(old)) in written:
                written.add(id(memory))
            arrays[i] = now
    return True


def _new_gradients(rec: Recorder, out: Result) -> list[tuple[str, str]]:
    """(tensor, expression) of every ``.grad`` that is another tensor than before the run."""
    pairs = []
    for t, before in rec.before.grads:
        if t._grad is before:
            continue
        owner = out.known(t)
        if owner is None:
            raise Beyond("a gradient was computed for a tensor that flambeau cannot find again")
        rec.asked.add(id(t))
        pairs.append((owner, "None" if t._grad is None else out.tensor(t._grad)))
    return pairs


def _gradients_as_before(rec: Recorder, guards: Guards, out: Result) -> None:
    """The leaves require grad, and have gradients, as before the run."""
    for t, grad in rec.before.grads:
        used = id(t._array) in rec.members or id(t) in rec.asked
        if not used:
            continue
        owner = out.known(t)
        if owner is None:
            raise Beyond("a tensor is used that flambeau cannot find again from the function")
        if id(t) in rec.asked:
            guards.miss_if(f"{owner}._grad is {'not ' if grad is None else ''}None")
        if id(t) not in guards.arguments:
            edge = guards.source.bind(t._edge, "edge")
            guards.miss_if(f"{owner}._edge is not {edge}")
    for t in out.reach.held:
        if t._edge is None and id(t._array) in rec.members and id(t) not in guards.arguments:
            owner = out.known(t)
            if owner is not None and not owner.endswith("_grad"):
                guards.miss_if(f"{owner}._edge is not None")


def _count_writes(rec: Recorder, source: Any, out: Result) -> None:
    """Version counters of what was there before move as they did in the run."""
    fixed: dict[int, list] = {}
    for t, count in rec.bumps.values():
        if id(t) not in rec.before.known:
            continue
        owner = out.known(t)
        if owner is None or owner.endswith("._grad") or owner in guards_names(out):
            who = owner or source.bind(t, "w")
            for _ in range(count):
                source.add(f"{who}.counter().bump('compiled')")
        else:
            fixed.setdefault(count, []).append(t.counter())
    for count, cells in fixed.items():
        source.names["count_writes"] = _bump_all
        source.add(f"count_writes({source.bind(cells, 'cells')}, {count})")


def guards_names(out: Result) -> set[str]:
    """The names of the argument tensors."""
    return set(out.guards.arguments.values())


def _bump_all(cells: list, count: int) -> None:
    entry = (ticks(), "compiled")
    for c in cells:
        c.count += count
        c.writes = (*c.writes[-7:], entry)
