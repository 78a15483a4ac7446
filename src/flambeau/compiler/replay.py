"""Replay: a captured run as a function. Its source is guards, then one run of the program, then
what the run leaves behind: outputs, gradients, version counters, counts of steps.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _dtypes
from ..core import tape
from ..core.modes import Edits
from ..core.tape import FREED, Leaf, Node, Output
from ..core.value import Value, _Class, address, new, owner_of, ticks, wrap_view
from .capture import Beyond, Member, Number, Recorder, hooks_on, strided_view
from .effects import OtherWay
from .execute import Program, Undone, _piece
from .gradients import CompiledFunctionBackward, Plan, kept_from_writes, recorded, stages
from .graph import Graph, Var, level_of
from .guards import EAGER, MISS, Guards, flatten
from .memory_of import same_place
from .numbers import Unit, units_of
from .reach import PLAIN, Place, Reach
from .returned import Stand, is_record, number_of
from .symbols import Symbol

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
        self.returned: set[int] = set()  # of those that the function returns, or leaves somewhere
        self.shadows: dict[int, str] = {}  # id(tensor) -> the name of what stands behind others
        self.gradients: dict[int, str] = {}  # id of a .grad that was there -> its name
        self.gradient_of: dict[str, str] = {}  # that name -> the name of its owner
        self.source = guards.source
        self.first = len(guards.source.lines)  # where names for those are introduced
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
        if same_place(array, base.array):
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
            self.lines.append(f"{name} = detached({array}, {self._behind(t._shares)})")
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

    def _behind(self, t: Value) -> str:
        """The expression for the tensor that a detached one was taken from: where the caller does
        not get it, it is there for its version counter, and needs no graph."""
        if id(t) in self.rec.before.known or id(t) in self.returned or id(t) in self.made:
            return self.tensor(t)
        if id(t) not in self.shadows:
            name = self.shadows[id(t)] = f"s{len(self.shadows)}"
            self.kept.add(id(t))
            behind = None if t._shares is None else self._behind(t._shares)
            array = self.array(t._array)
            if behind is None:
                self.lines.append(f"{name} = new(Tensor); {name}._array = {array}")
                self.lines.append(f"{name}._edge = None")
            else:
                self.lines.append(f"{name} = detached({array}, {behind})")
        return self.shadows[id(t)]

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
        return Var(self.rec.count, v.shape, v.dtype, v.strides, v.name, v.level)

    def known(self, t: Value) -> str | None:
        """The expression for a tensor that was there before the run."""
        if id(t) in self.reach.tensors:
            return self.source.bind(t, "p")
        name = self.guards.arguments.get(id(t)) or self.gradients.get(id(t))
        if name is not None:
            return name
        for owner, grad in self.rec.before.grads:
            if grad is t and owner is not t:
                of = self.known(owner)
                if of is not None:
                    name = self.gradients[id(t)] = f"old{len(self.gradients)}"
                    self.gradient_of[name] = of
                    # Before the run, which may give its owner another gradient.
                    self.source.lines.insert(self.first, f"            {name} = {of}._grad")
                    self.source.lines.insert(
                        self.first + 1, f"            if {name} is None: return MISS"
                    )
                    self.first += 2
                    return name
        return None

    def is_gradient(self, name: str) -> bool:
        """Whether ``name``, which ``known`` gave, is that of a ``.grad`` that was there."""
        return name in self.gradient_of

    def value(self, obj: Any) -> str:
        """The expression for anything that the function returned."""
        if isinstance(obj, Value):
            return self.tensor(obj)
        if type(obj) is Stand:
            if obj.var not in self.arrays:
                self.arrays.append(obj.var)
            self.source.names["number_of"] = number_of
            return f"number_of(o[{self.arrays.index(obj.var)}])"
        if type(obj) is Symbol:
            return obj.text
        if type(obj) is tuple:
            parts = [self.value(o) for o in obj]
            return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
        if type(obj) is list:
            return f"[{', '.join([self.value(o) for o in obj])}]"
        if type(obj) is dict and all(type(k) in PLAIN for k in obj):
            return f"{{{', '.join([f'{k!r}: {self.value(o)}' for k, o in obj.items()])}}}"
        if type(obj) is OrderedDict and all(type(k) in PLAIN for k in obj):
            kind = self.source.bind(OrderedDict, "kind")
            return f"{kind}({self.value(dict(obj))})"
        if type(obj) is slice:
            return f"slice({', '.join([self.value(v) for v in (obj.start, obj.stop, obj.step)])})"
        if is_record(obj) and id(obj) not in self.reach.seen:
            self.source.names["record"] = record
            fields = ", ".join([f"{k!r}: {self.value(v)}" for k, v in vars(obj).items()])
            return f"record({self.source.bind(type(obj), 'kind')}, {{{fields}}})"
        if isinstance(obj, tuple):  # a named one
            kind = self.source.bind(type(obj), "kind")
            parts = ", ".join([self.value(o) for o in obj])
            return f"{kind}({parts})" if hasattr(obj, "_fields") else f"{kind}([{parts}])"
        if type(obj) in PLAIN or isinstance(obj, (_dtypes.dtype, type)):
            return self.source.bind(obj, "v")
        if id(obj) in self.reach.seen:
            return self.source.bind(obj, "v")
        raise Beyond(f"the function returns a {type(obj).__name__} that was made in the run")


def record(kind: type, fields: dict[str, Any]) -> Any:
    """A dataclass's instance with these attributes."""
    made = object.__new__(kind)
    made.__dict__.update(fields)
    return made


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
        self.backward: list[Plan] = []
        self.fixed: list[ndarray] = []
        self.kept: set[int] = set()
        self.ways = 0  # how often Python went on by a computed truth, which must be the same again

    def built(self) -> None:
        """Make the programs of what is not in the CPU's memory at once: Beyond if they cannot be.
        Others are made when they are first run."""
        for part in (self.program, *self.backward):
            if level_of(part.graph) is not None:
                try:
                    part.program = part.build(part.graph)
                except (NotImplementedError, ImportError) as error:
                    raise Beyond(str(error)) from None


def replayed(
    rec: Recorder,
    reach: Reach,
    guards: Guards,
    result: Any,
    build: Callable[[Graph], Program],
    changes: list[tuple[Place, Any]],
) -> Variant:
    """The variant of a run that has been captured. Beyond, if it cannot be done again.

    ``changes``: numbers and the like that the function puts into places.
    """
    rec.settled()
    graph = rec.graph
    source = guards.source
    out = Result(rec, guards, reach)
    leaves: list[tuple[str, Any]] = []
    flatten("", [result, *[v for _, v in changes]], leaves)
    flatten("", vars(result) if is_record(result) else None, leaves)
    out.returned.update(id(v) for _, v in leaves)
    out.returned.update(id(t._grad) for t, _ in rec.before.grads)
    returned = out.value(result)
    out.arrays += [rec.var(check._array) for check in rec.checks]
    rec.checks.clear()
    hosts = _hosts(rec, out)
    texts = [out.value(v) for _, v in changes]
    grads = _new_gradients(rec, out)
    units = units_of(rec.updates)
    written = rec.written()
    graph.writes = [(m.entry, v) for m, v in written]
    related = _related(rec)
    plans = _backward(rec, out, build)
    graph.outputs = out.arrays
    graph.scalars = sum(len(u.at) for u in units)
    # ---- guards
    guards.argument_tensors(reach.tensors)
    guards.modes()
    roots = set()
    if rec.book is not None:
        guards.numbers(rec.book)
        roots = {id(where) for _, where in rec.book.roots.values()}
    for p, _ in changes:  # what a run sets itself is not counted as an edit
        p.module, p.counted = False, p.module
    roots |= {id(p) for p in reach.exchanges}
    guards.places([p for p in reach.places if _guarded(p, reach) and id(p) not in roots])
    fixed = _inputs(rec, guards, out, related, {id(owner_of(m.array)) for m, _ in written})
    _gradients_as_before(rec, guards, out)
    early, late = _changes(rec, guards, changes, texts)
    if early:
        source.names["put_back"] = _put_back
        source.lines.insert(1, "        undo = []")
    back = "put_back(undo); " if early else ""
    for line in early:
        source.add(line, 3)
    for i, unit in enumerate(units):
        u = source.bind(unit, "unit")
        source.names[f"numbers_{u}"] = unit.numbers
        source.add(f"n{i} = numbers_{u}()", 3)
        source.add(f"if n{i} is None: {back}return MISS", 3)
    source.add("except (LookupError, AttributeError, TypeError, ValueError, ArithmeticError):")
    source.add(f"{back}return MISS", 3)
    # ---- the run
    numbers = "".join(f"*n{i}, " for i in range(len(units)))
    if len(units) == 1:
        numbers, brackets = "n0", False
    else:
        brackets = True
    sure = ""
    if grads:  # their memory is free for new ones as soon as nothing can fail any more
        source.add("def sure():")
        for p, _ in grads:
            source.add(f"{p}._grad = None", 3)
        sure = ", sure"
    source.names["program"] = program = _Later(graph, build)
    source.names.update(Undone=Undone, EAGER=EAGER, MISS=MISS, OtherWay=OtherWay)
    source.add("try:")
    source.add(f"o = program.run(inputs, {f'[{numbers}]' if brackets else numbers}{sure})", 3)
    source.add("except Undone as error:")
    source.add(f"{back}return MISS if error.__cause__.__class__ is OtherWay else EAGER", 3)
    for u in units:
        source.names[f"advance_{source.by_id[id(u)]}"] = u.advance
        source.add(f"advance_{source.by_id[id(u)]}()")
    _count_writes(rec, source, out)
    for t in rec.marked:
        name = out.known(t)
        if name is None:
            raise Beyond("requires_grad is set of a tensor that flambeau cannot find again")
        source.add(f"{name}._edge = {'None' if t._edge is None else f'Leaf({name})'}")
    for v, name in out.needed.items():
        source.add(f"{name} = inputs[{graph.inputs.index(v)}]")
    for line in out.lines:
        source.add(line)
    for p, g in grads:
        source.add(f"{p}._grad = {g}")
    for line in (*late, *hosts):
        source.add(line)
    source.add(f"return {returned}")
    variant = Variant(graph, source.function("program"), units)
    variant.program = program
    variant.backward = plans
    variant.fixed = fixed
    variant.kept = out.kept
    variant.ways = rec.ways
    return variant


def _hosts(rec: Recorder, out: Result) -> list[str]:
    """Lines that make the calls of schedules."""
    lines = []
    for optimizer, call, args, updates in rec.hosts:
        if any(other is optimizer for _, other, *_ in rec.updates[updates:]):
            raise Beyond("a scheduler is stepped before its optimizer")
        values = [out.value(a) for a in args]
        lines.append(f"{out.source.bind(call, 'host')}({', '.join(values)})")
    return lines


def _changes(
    rec: Recorder, guards: Guards, changes: list[tuple[Place, Any]], texts: list[str]
) -> tuple[list[str], list[str]]:
    """Lines that change what the function changes (``texts``: the expressions for the values),
    before and after the program: an option that an optimizer is to step by is there before."""
    early, late = [], []
    counted = False
    for (p, value), text in zip(changes, texts, strict=True):
        place = guards.now(p)
        seen = [options[p.key] for group, options in rec.groups if group is p.holder]
        if seen and all(v is value for v in seen):
            holder, key = guards.source.bind(p.holder, "h"), repr(p.key)
            early.append(f"undo.append(({holder}, {key}, {place}))")
            early.append(f"{place} = {text}")
        elif any(v is value for v in seen):
            raise Beyond(f"it changes {p.name} between two steps of an optimizer")
        else:
            late.append(f"{place} = {text}")
            counted = counted or p.counted
    if counted:
        guards.source.names["own_edit"] = _own_edit
        late.append(f"own_edit({guards.source.bind(guards.edits, 'edits')})")
    return early, late


def _own_edit(edits: list[int]) -> None:
    """Others look at the modules' attributes again; a program that sets some knows of it."""
    if edits[0] == Edits.count:
        edits[0] += 1
    Edits.count += 1


def _put_back(undo: list[tuple[Any, Any, Any]]) -> None:
    for holder, key, value in undo:
        holder[key] = value


def _guarded(p: Any, reach: Reach) -> bool:
    return not p.hyper or reach.reads_options


def _backward(rec: Recorder, out: Result, build: Callable[[Graph], Program]) -> list[Plan]:
    """Record the backward pass; lines that put its nodes behind the results."""
    walked = rec.walked
    roots: dict[Node, Value] = {}
    for _, t in out.live:
        roots.setdefault(t._edge, t)
    plans: list[Plan] = []
    done: dict[Node, Value] = {}
    for group in stages(list(roots)):
        here = {edge: roots[edge] for edge in group}
        plans.append(_stage(rec, out, here, done, len(plans)))
        plans[-1].build = build
        done.update(here)
    rec.walked = walked
    return plans


def _stage(
    rec: Recorder, out: Result, roots: dict[Node, Value], done: dict[Node, Value], place: int
) -> Plan:
    """The backward pass of the results ``roots``, as far as the results ``done``."""
    graph, source = rec.graph, out.source
    plan, targets, saved, read = recorded(rec, list(roots.items()), done)
    results = {id(t): name for name, t in out.live}
    names = [results.get(id(t)) or out.known(t) for t in targets]
    names += [out.known(t) for t in read]
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
    node = f"node{place}"
    out.lines.append(f"{node} = Backward({p}, ({edges}), [{', '.join(arrays)}], [{read}])")
    index = {edge: i for i, edge in enumerate(roots)}
    for name, t in out.live:
        if t._edge in index:
            many = plan.count > 1
            edge = f"Output({node}, {index[t._edge]})" if many else node
            out.lines.append(f"{name}._edge = {edge}")
    return plan


class _Later:
    """A program that is built when it is first run."""

    def __init__(self, graph: Graph, build: Callable[[Graph], Program]) -> None:
        self.graph = graph
        self.build = build
        self.run = self._first
        self.program: Program | None = None

    def _first(
        self,
        inputs: list[ndarray],
        numbers: list[float],
        sure: Callable[[], None] | None = None,
    ) -> list[ndarray]:
        self.run = self.program or self.build(self.graph)
        return self.run(inputs, numbers, sure)


def _related(rec: Recorder) -> list[tuple[ndarray, Value]]:
    """Tensors over memory that is written to, beside the input that stands for it: (array, tensor).

    Inputs among them become views of that one in the graph.
    """
    graph = rec.graph
    related = list(rec.related)
    for storages in list(rec.storages.values()):
        for s in storages:
            if not (s.before and s.version):
                continue
            for other in s.inputs:
                if other is s.base:
                    continue
                place = graph.inputs.index(other.entry)
                del graph.inputs[place]
                related.append((other.array, rec.sources.pop(place)))
                offset = address(other.array) - address(s.base.array)
                graph.nodes.insert(0, strided_view(s.base.entry, other.entry, offset))
    return related


class Places:
    """The memory of the tensors that are the same in all runs: ``arrays``, and the ids of the
    owners, of all and of those that the program writes into."""

    def __init__(self, tensors: list[Value], written: set[int]) -> None:
        self.tensors = tensors
        self.arrays = [t._array for t in tensors]
        self.changed = [id(owner_of(a)) in written for a in self.arrays]
        self.all: set[int] = set()
        self.written: set[int] = set()
        self._note()

    def _note(self) -> None:
        owners = [id(owner_of(a)) for a in self.arrays]
        self.all.clear()
        self.all.update(owners)
        self.written.clear()
        self.written.update(o for o, w in zip(owners, self.changed, strict=True) if w)

    def rebind(self) -> bool:
        """Take the arrays that the tensors have now, if they are of the same types, and apart from
        all others."""
        arrays = self.arrays
        for i, t in enumerate(self.tensors):
            old, now = arrays[i], t._array
            if old is not now:
                if (old.shape, old.dtype, old.strides) != (now.shape, now.dtype, now.strides):
                    return False
                if old.__class__ is not now.__class__:
                    return False
                memory = owner_of(now)
                if any(owner_of(a) is memory for k, a in enumerate(arrays) if k != i):
                    return False
                arrays[i] = now
        self._note()
        return True


def _inputs(
    rec: Recorder,
    guards: Guards,
    out: Result,
    related: list[tuple[ndarray, Value]],
    written: set[int],
) -> list[ndarray]:
    """Lines that look up the inputs' arrays; the list of those that are always the same.

    ``related``: further tensors over memory that is written to; ``written``: its owners' ids.
    """
    source = guards.source
    graph = rec.graph
    loose: list[tuple[Var | None, ndarray, str]] = []
    fixed: list[tuple[Var, Value, str]] = []
    numbers: list[tuple[Var, str]] = []
    entries = [(v, t._array, t) for v, t in zip(graph.inputs, rec.sources, strict=True)]
    for v, array, t in (*entries, *[(None, a, t) for a, t in related]):
        if type(t) is Number:
            v.name = t.text
            source.names["array"] = np.array
            numbers.append((v, f"array({t.text}, {source.bind(array.dtype, 'dtype')})"))
            continue
        t, names = _found(t, rec, out)
        name = names[0]
        if v is not None:
            v.name = _name_of(t, rec, out)
        is_argument = name[0] == "a" and name[1:].isdigit()
        if is_argument:
            x = "x" + name[1:]
        elif out.is_gradient(name):
            x = f"g{len(loose)}"
            source.add(f"{x} = {name}._array", 3)
            guards.miss_if(f"{name}._edge is not {source.bind(t._edge, 'edge')}")
            guards.array(x, array)
        elif v is None:
            guards.miss_if(f"{name}._array is not {source.bind(array, 'memory')}")
            continue
        else:
            fixed.append((v, t, name))
            x = f"{name}._array"
        for other in names[1:]:
            guards.miss_if(f"{other}._array is not {x}")
        if x[0] in "xg":
            loose.append((v, array, x))
    places = Places([t for _, t, _ in fixed], written)
    f = source.bind(places.arrays, "fixed")
    if fixed:
        rebind = source.bind(places.rebind, "rebind")
        for start in range(0, len(fixed), 20):
            tests = [
                f"{name}._array is not {f}[{i}]"
                for i, (_, _, name) in enumerate(fixed[start : start + 20], start)
            ]
            source.add(f"if {' or '.join(tests)}:", 3)
            source.add(f"if not {rebind}(): return MISS", 4)
        state = source.bind({id(t) for t in places.tensors}, "state")
        for name in dict.fromkeys(guards.arguments.values()):
            guards.miss_if(f"id({name}) in {state}")
    if written:
        _apart(guards, loose, places, written)
    first = "".join(f"{x}, " for v, _, x in loose if v is not None)
    first += "".join(f"{x}, " for _, x in numbers)
    source.add(f"inputs = [{first}*{f}]" if fixed else f"inputs = [{first}]", 3)
    graph.inputs = [
        *[v for v, _, _ in loose if v is not None],
        *[v for v, _ in numbers],
        *[v for v, _, _ in fixed],
    ]
    return places.arrays


def _apart(
    guards: Guards, loose: list[tuple[Var | None, ndarray, str]], places: Places, written: set[int]
) -> None:
    """Tensors whose memory is written to share it with no others, but with those they did at
    capture, and as they did."""
    source = guards.source
    source.names.update(owner_of=owner_of, address=address)
    memory, changed = source.bind(places.all, "owned"), source.bind(places.written, "written")
    first: dict[int, tuple[str, ndarray]] = {}
    changing: list[str] = []  # names of the owners of what is written to
    for _, array, x in loose:
        owner = id(owner_of(array))
        o = f"o{x}"
        source.add(f"{o} = id({x} if {x}.base is None else owner_of({x}))", 3)
        if owner in written:
            if owner in places.all:
                raise Beyond("an argument shares memory with a tensor that is written to")
            if owner in first:
                other, same = first[owner]
                step = address(array) - address(same)
                guards.miss_if(f"{o} != o{other} or address({x}) - address({other}) != {step}")
                continue
            first[owner] = (x, array)
            guards.miss_if(f"{o} in {memory}")
            changing.append(o)
        else:
            guards.miss_if(f"{o} in {changed}")
    if len(changing) > 1:
        guards.miss_if(f"len({{{', '.join(changing)}}}) != {len(changing)}")
    others = [f"o{x}" for _, array, x in loose if id(owner_of(array)) not in written]
    if changing and others:
        guards.miss_if(f"not {{{', '.join(changing)}}}.isdisjoint(({', '.join(others)},))")


def _found(t: Value, rec: Recorder, out: Result) -> tuple[Value, list[str]]:
    """A tensor over the array of ``t``, of the state if there is one, and the expressions for all
    that are, its own first."""
    found = [(other, out.known(other)) for other in rec.before.tensors.get(id(t._array), [t])]
    found = [(other, name) for other, name in found if name is not None]
    if not found:
        raise Beyond("a tensor is used that flambeau cannot find again from the function")
    found.sort(key=lambda pair: not pair[1].startswith("p"))
    return found[0][0], list(dict.fromkeys(name for _, name in found))


def _name_of(t: Value, rec: Recorder, out: Result) -> str:
    name = out.guards.arguments.get(id(t))
    if name is not None:
        return f"argument {name[1:]}"
    for owner, grad in rec.before.grads:
        if grad is t:
            return f"{out.reach.tensors.get(id(owner), '')}.grad"
    return out.reach.tensors.get(id(t), "")


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
    """Leaves require grad, have gradients and no hooks, as before the run; others require none."""
    leaves = {id(t): t for t in (*out.reach.held, *[t for _, t in guards.tensors])}
    edges = {id(t): e for t, e in zip(rec.before.held, rec.before.edges, strict=True)}
    marked = {id(t) for t in rec.marked}
    for t, grad in rec.before.grads:
        used = id(t._array) in rec.members or id(t) in rec.asked
        if not used:
            continue
        leaves[id(t)] = t
        owner = out.known(t)
        if owner is None:
            raise Beyond("a tensor is used that flambeau cannot find again from the function")
        if grad is not None and (id(t) in rec.asked or id(grad._array) in rec.members):
            name = out.known(grad)
            if name is None:
                raise Beyond("a gradient is used that flambeau cannot find again")
            if out.gradient_of.get(name) != owner:
                guards.miss_if(f"{owner}._grad is not {name}")
        elif id(t) in rec.asked:
            guards.miss_if(f"{owner}._grad is not None")
    for t in leaves.values():
        owner = out.known(t)
        if out.is_gradient(owner):
            continue
        tests = []
        before = edges.get(id(t), t._edge)
        edge = f"{owner}._edge"
        if id(t) in guards.arguments:
            pass
        elif before is None:
            tests.append(f"{owner}._edge is not None")
        elif id(t) in marked:  # each run makes another one
            tests.append(f"{owner}._edge.__class__ is not Leaf")
        else:
            edge = guards.source.bind(before, "edge")
            tests.append(f"{owner}._edge is not {edge}")
        if rec.walked and type(before) is Leaf:
            if hooks_on(before):
                raise Beyond("a backward pass within the function may call hooks of a leaf")
            guards.source.names["hooks_on"] = hooks_on
            tests.append(f"{edge}.watch is not None and hooks_on({edge})")
        if tests:
            guards.miss_if(" or ".join(tests))


def _count_writes(rec: Recorder, source: Any, out: Result) -> None:
    """Version counters of what was there before move as they did in the run."""
    fixed: dict[int, list] = {}
    for t, count in rec.bumps.values():
        if id(t) not in rec.before.known:
            continue
        owner = out.known(t)
        if owner is None:
            owner = _counted_with(t, rec, out)
        if owner is None or out.is_gradient(owner) or owner in guards_names(out):
            who = owner or source.bind(t, "w")
            for _ in range(count):
                source.add(f"{who}.counter().bump('compiled')")
        else:
            fixed.setdefault(count, []).append(t.counter())
    for count, cells in fixed.items():
        source.names["count_writes"] = _bump_all
        source.add(f"count_writes({source.bind(cells, 'cells')}, {count})")


def _counted_with(t: Value, rec: Recorder, out: Result) -> str | None:
    """The expression for a tensor that has the version counter of ``t`` without being it."""
    for other in rec.before.held:
        if other is not t and other.counted_by() is t:
            name = out.known(other)
            if name is not None:
                return name
    return None


def guards_names(out: Result) -> set[str]:
    """The names of the argument tensors."""
    return set(out.guards.arguments.values())


def _bump_all(cells: list, count: int) -> None:
    entry = (ticks(), "compiled")
    for c in cells:
        c.count += count
        c.writes = (*c.writes[-7:], entry)
