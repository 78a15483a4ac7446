"""What is computed together, in which order, and in which memory.

``scheduled`` takes the arrays that a graph was lowered to and makes *units*: kernels (clusters of
maps and reductions), products, row sums at places, and calls. It orders them so that everything is
there before it is read, and gives every array that is not a value in a register its memory: an
output's, that of an input that is written to, or a place in the arena, which arrays share whose
lives do not overlap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from .arrays import (
    Added,
    Array,
    Joined,
    Leaf,
    Map,
    Native,
    Part,
    Product,
    Read,
    Reduce,
    row_major,
)
from .chains import Chain, chained, enclosed
from .fusion import Builder, Cluster, Target, same_strides
from .graph import Call, Copy, Draw, Node, Var, draws
from .kernel import Kernel
from .lowering import Lazy, Lowered, copied, element_strides, is_dense

ALIGNMENT = 64

#: How the names of operations begin that look at elements and may refuse them.
MAY_RAISE = (
    "_ctc", "_dirichlet", "_pa", "_standard_gamma", "all_true", "bernoulli", "binary_cross",
    "binomial", "chol", "div", "embedding", "floor_div", "fmod", "gather", "geqrf", "index", "kth",
    "linalg", "lshift", "masked_sc", "max_unpool", "multi", "nll", "normal", "pick", "poisson",
    "pow", "put", "remainder", "rshift", "same_way", "scatter", "set_state", "take",
)  # fmt: skip


def may_raise(node: Node) -> bool:
    """Whether a call may fail, for the elements that it meets."""
    return isinstance(node, Call) and node.op.name.startswith(MAY_RAISE)


@dataclass(eq=False, slots=True)
class Unit:
    """One thing to do. ``work``: a Cluster, Product, Added, Native, or the Node of a call."""

    work: Cluster | Product | Added | Native | Node
    number: int
    after: set[int] = field(default_factory=set)  # numbers of units that come first
    kernel: Kernel | None = None
    buffers: list[Array] = field(default_factory=list)  # what it touches; a kernel's, in order
    chain: Chain | None = None


@dataclass(slots=True)
class Plan:
    """Units in order, and where each array is: ``places``: array -> Leaf (an input's, output's or
    call's memory) or byte offset in the arena of ``arena`` bytes."""

    units: list[Unit]
    places: dict[int, Leaf | int]
    arena: int
    outputs: list[Leaf]
    arguments: dict[tuple[int, int], Leaf]  # (a call's unit, place of the Var) -> memory


class _Planner:
    def __init__(self, lowered: Lowered) -> None:
        self.lowered = lowered
        self.units: list[Unit] = []
        self.maker: dict[int, list[Unit]] = {}  # id(array) -> the units that fill it
        self.cluster_of: dict[int, Unit] = {}  # id(array) -> the kernel that computes it
        self.known: dict[int, Array] = {}  # keeps arrays alive, by id
        self.ancestors: dict[int, int] = {}  # unit -> bits of all units before it
        self.readers: dict[int, set[int]] = {}  # id(array) -> units that read it from memory
        self.copies: dict[int, Array] = {}
        self.placed: dict[int, Leaf] = {}
        self.groups: dict[object, Unit] = {}  # the kernel of each group of arrays
        self.became: dict[int, Unit] = {}  # units whose kernel is now another unit's

    # ---- units -------------------------------------------------------------------------------

    def unit(self, work: Cluster | Product | Added | Native | Node, needs: Iterable[Unit]) -> Unit:
        """A new unit that comes after ``needs``."""
        made = Unit(work, len(self.units))
        self.units.append(made)
        self.ancestors[made.number] = 0
        self.join_after(made, needs)
        return made

    def alive(self) -> list[Unit]:
        """The units that are not part of others."""
        return [u for u in self.units if u.work is not None]

    def join_after(self, unit: Unit, needs: Iterable[Unit]) -> None:
        """Let ``unit`` come after ``needs``, and everything that follows it too."""
        bits = 0
        for n in map(self.current, needs):
            if n is not unit:
                unit.after.add(n.number)
                bits |= self.ancestors[n.number] | 1 << n.number
        mine = 1 << unit.number
        self.ancestors[unit.number] |= bits
        for number, before in self.ancestors.items():
            if before & mine:
                self.ancestors[number] = before | bits | self.ancestors[unit.number]

    def makers(self, array: Array) -> list[Unit]:
        """The units that must have run before ``array`` can be read; makes them."""
        self.known[id(array)] = array
        if id(array) not in self.maker:
            self._make(array)
        return self.maker[id(array)]

    def _make(self, root: Array) -> None:
        stack = [root]
        while stack:
            array = stack[-1]
            if id(array) in self.maker:
                stack.pop()
                continue
            missing = [a for a in array.sources() if id(a) not in self.maker]
            if missing:
                stack.extend(reversed(missing))
                continue
            stack.pop()
            self.known[id(array)] = array
            self.maker[id(array)] = self._made(array)

    def _made(self, array: Array) -> list[Unit]:
        if isinstance(array, Leaf):
            return []
        needs = [self.current(u) for a in array.sources() for u in self.maker[id(a)]]
        if isinstance(array, Part):
            return needs
        if isinstance(array, (Map, Reduce)):
            return [self._clustered(array, needs)]
        if isinstance(array, Joined):
            units = []
            for read, shape, strides, offset in array.pieces:
                target = Target(array, read, shape, strides, offset)
                needs = list(self.maker[id(read.array)])
                if units and array.pieces[0][1] == array.shape:
                    needs.append(units[0])  # a piece over the whole comes later
                units.append(self._clustered(target, needs))
                units = [self.current(u) for u in units]
            return units
        for source in array.sources():
            self._from_memory(source)
        return [self.unit(array, needs)]

    def _clustered(self, array: Map | Reduce | Target, needs: list[Unit]) -> Unit:
        """Put ``array`` into the kernel of one of its operands, or into a new one."""
        sources = [array.read.array] if isinstance(array, Target) else array.sources()
        candidates = {id(u): u for a in sources if (u := self.cluster_of.get(id(a)))}
        group = None if isinstance(array, Target) else array.group
        if group in self.groups:
            unit = self.current(self.groups[group])
            candidates[id(unit)] = unit
        chosen: Unit | None = None
        for unit in sorted(candidates.values(), key=lambda u: -u.number):
            if chosen is not None:
                self._merge(chosen, unit)
                continue
            if any(self.ancestors[n.number] >> unit.number & 1 for n in needs if n is not unit):
                # Another operand waits for this kernel; unless its kernel can be one with it.
                others = [n for n in needs if self.ancestors[n.number] >> unit.number & 1]
                if not all(isinstance(n.work, Cluster) for n in others):
                    continue
                if not all(self._merge(n, unit) for n in others if n is not unit):
                    continue
                unit = others[0]
                needs = [self.current(n) for n in needs]
                if any(self.ancestors[n.number] >> unit.number & 1 for n in needs if n is not unit):
                    continue
            joined = unit.work.joined(array)
            if joined is None:
                continue
            unit.work = joined
            self.join_after(unit, needs)
            chosen = unit
        unit = chosen
        if unit is None:
            size = math.prod(array.shape if isinstance(array, (Map, Target)) else array.full)
            cluster = Cluster(size).joined(array)
            if cluster is None:
                raise AssertionError(f"{array!r} is no kernel")
            unit = self.unit(cluster, needs)
            if not isinstance(array, Target):
                for other in sorted(candidates.values(), key=lambda u: -u.number):
                    self._merge(unit, self.current(other))
        if not isinstance(array, Target):
            self.cluster_of[id(array)] = unit
            if group is not None:
                self.groups[group] = unit
        for source in sources:
            if self.cluster_of.get(id(source)) is not unit:
                self._from_memory(source)
        return unit

    def current(self, unit: Unit) -> Unit:
        """The unit that ``unit`` has become part of, or itself."""
        while unit.number in self.became:
            unit = self.became[unit.number]
        return unit

    def _merge(self, unit: Unit, other: Unit) -> bool:
        """Make the kernels of two units one, in ``unit``; False where that cannot be."""
        if unit is other:
            return True
        if unit.work.size != other.work.size:
            return False
        one, two = 1 << unit.number, 1 << other.number
        for number, before in self.ancestors.items():
            if number not in (unit.number, other.number) and not self.is_gone(number):
                mine = 1 << number
                if before & two and self.ancestors[unit.number] & mine:
                    return False
                if before & one and self.ancestors[other.number] & mine:
                    return False
        later = self.ancestors[unit.number] & two
        first, second = (other, unit) if later else (unit, other)
        merged = first.work.merged(second.work)
        if merged is None:
            return False
        unit.work = merged
        self.became[other.number] = unit
        for key, maker in self.cluster_of.items():
            if maker is other:
                self.cluster_of[key] = unit
        for makers in self.maker.values():
            makers[:] = list(dict.fromkeys(self.current(u) for u in makers))
        bits = (self.ancestors[unit.number] | self.ancestors[other.number]) & ~(one | two)
        self.ancestors[unit.number] = bits
        for number, before in self.ancestors.items():
            if before & (one | two) and number not in (unit.number, other.number):
                self.ancestors[number] = (before & ~two) | one | bits
        unit.after |= other.after
        for u in self.units:
            u.after = {self.current(self.units[n]).number for n in u.after} - {u.number}
        self.units[other.number].work = None
        return True

    def is_gone(self, number: int) -> bool:
        """Whether a unit has become part of another."""
        return number in self.became

    def _from_memory(self, array: Array) -> None:
        """``array`` is read by another unit than its own: it must be stored."""
        self.copies.setdefault(id(array), array)

    # ---- values that must be somewhere -------------------------------------------------------

    def demanded(self, x: Lazy, place: Leaf, alone: bool = False) -> list[Unit]:
        """The units after which ``place`` holds ``x``; nothing else reads it there if ``alone``."""
        array = x.read.array
        units = self.makers(array)
        free = not alone and id(array) not in self.placed and not isinstance(array, Leaf)
        if (
            free
            and is_dense(x)
            and same_strides(place.shape, place.strides, row_major(place.shape))
        ):
            self.placed[id(array)] = place
            self._from_memory(array)
            return units
        target = Target(place, x.read, x.shape, place.strides, 0)
        if math.prod(x.shape) == 0:
            return units
        unit = self._clustered(target, units)
        self.known[id(place)] = place
        return [unit]


def _copies(node: Node) -> bool:
    return isinstance(node, Copy) or (isinstance(node, Call) and node.op.name == "clone")


def _draws_first(calls: list[tuple[Node, tuple[Var, ...]]]) -> list[tuple[Node, tuple[Var, ...]]]:
    """``calls`` with random numbers drawn as early as can be: up to the first operation that draws
    by a tensor's elements."""
    stop = next((k for k, (n, _) in enumerate(calls) if isinstance(n, Call) and draws(n)), None)
    first = calls[:stop]
    rest = calls[len(first) :]
    return sorted(first, key=lambda c: not isinstance(c[0], Draw)) + rest


def scheduled(lowered: Lowered, in_chains: bool = False) -> Plan:
    """The plan of a lowered graph. ``in_chains``: units may go through their rows together."""
    graph = lowered.graph
    planner = _Planner(lowered)
    arguments: dict[tuple[int, int], Leaf] = {}
    copies = {v for n in graph.nodes if _copies(n) for v in n.made}  # which calls may write into
    drew: Unit | None = None
    for node, made in _draws_first(lowered.calls):
        needs: list[Unit] = []
        places = []
        for v in dict.fromkeys(node.reads()):
            x = lowered.reads[v]
            leaf = Leaf(v.shape, v.dtype, _plain_strides(v), ("argument", v))
            own = lowered.leaves.get(v)
            if own is not None and x.read.array is own:
                needs += planner.makers(own)
                places.append((v, own))
                continue
            needs += planner.demanded(x, leaf, v in copies)
            places.append((v, leaf))
        if draws(node):  # one after the other
            needs += [drew] if drew is not None else []
        unit = planner.unit(node, needs)
        drew = unit if draws(node) else drew
        for k, (_, leaf) in enumerate(places):
            arguments[unit.number, k] = leaf
        for v in made:
            planner.maker[id(lowered.leaves[v])] = [unit]
            planner.known[id(lowered.leaves[v])] = lowered.leaves[v]
    outputs = []
    for k, v in enumerate(graph.outputs):
        place = Leaf(v.shape, v.dtype, _plain_strides(v), ("output", k))
        planner.demanded(lowered.reads[v], place)
        outputs.append(place)
    _writes(planner)
    return _finished(planner, arguments, outputs, in_chains)


def _plain_strides(v: Var) -> tuple[int, ...]:
    """The strides of memory for a result: eager's, where they are dense; else row-major."""
    strides = element_strides(v)
    order = sorted((d for d, n in enumerate(v.shape) if n > 1), key=lambda d: -strides[d])
    n = 1
    for d in reversed(order):
        if strides[d] != n:
            return row_major(v.shape)
        n *= v.shape[d]
    return tuple(strides[d] if m > 1 else 1 for d, m in enumerate(v.shape))


def _writes(planner: _Planner) -> None:
    """Let new values of inputs be computed in the inputs' own memory where nothing that still reads
    the old value comes later; else in memory of their own, and copied at the end."""
    lowered = planner.lowered
    late: list[tuple[Leaf, Lazy]] = []
    raising = [u for u in planner.alive() if isinstance(u.work, Node) and may_raise(u.work)]
    written = [lowered.leaves[target] for target, _ in lowered.graph.writes]
    values = []
    for target, (_, v) in zip(written, lowered.graph.writes):
        x = lowered.reads[v]
        if x.read.array in written and not (x.read.array is target and is_dense(x)):
            x = copied(x)  # what is there now, before it is written to
        values.append(x)
        planner.makers(x.read.array)  # all units are to be there when readers are looked for
    for (target, _), leaf, x in zip(lowered.graph.writes, written, values):
        array = x.read.array
        if not target.size or (array is leaf and is_dense(x)):
            continue
        makers = planner.makers(array)
        fits = (
            isinstance(array, Map)
            and id(array) not in planner.placed
            and is_dense(x)
            and same_strides(leaf.shape, leaf.strides, row_major(leaf.shape))
        )
        if fits:
            (unit,) = makers
            readers = [u for u in planner.alive() if u is not unit and _reads(u, leaf, lowered)]
            readers += raising  # which leave everything as it was
            before = planner.ancestors
            cyclic = any(before[r.number] >> unit.number & 1 for r in readers)
            if not cyclic and _reads_in_place(unit.work, leaf, array):
                planner.placed[id(array)] = leaf
                planner._from_memory(array)
                planner.join_after(unit, readers)
                continue
        late.append((leaf, x))
    for leaf, x in late:
        readers = [u for u in planner.alive() if _reads(u, leaf, lowered)]
        target = Target(leaf, x.read, x.shape, leaf.strides, 0)
        needs = [*planner.makers(x.read.array), *readers, *raising]
        planner._from_memory(x.read.array)
        cluster = Cluster(math.prod(x.shape)).joined(target)
        if cluster is None:
            raise AssertionError("a copy is no kernel")
        planner.unit(cluster, needs)


def _reads(unit: Unit, leaf: Leaf, lowered: Lowered) -> bool:
    """Whether ``unit`` reads the memory ``leaf``."""
    work = unit.work
    if isinstance(work, Cluster):
        return any(leaf in m.sources() for m in work.members) or any(
            t.read.array is leaf for t in work.targets
        )
    if isinstance(work, Array):
        return leaf in work.sources()
    return any(lowered.leaves.get(v) is leaf for v in work.reads())


def _reads_in_place(cluster: Cluster, leaf: Leaf, array: Map) -> bool:
    """Whether ``cluster`` reads ``leaf`` only where it writes ``array``: element by element."""
    for m in cluster.members:
        if leaf not in m.sources():
            continue
        if not isinstance(m, Map) or m.size != array.size:
            return False
        for r in m.reads:
            if r.index is not None and r.index.array is leaf:
                return False
            if r.array is leaf and not (
                r.offset == 0
                and r.index is None
                and m.shape == leaf.shape
                and all(
                    n == 1 or s == d for n, s, d in zip(m.shape, r.strides, row_major(leaf.shape))
                )
            ):
                return False
    return not any(t.read.array is leaf for t in cluster.targets) and all(
        not isinstance(m, Reduce) for m in cluster.members
    )


# ---- order and memory ------------------------------------------------------------------------


def _finished(
    planner: _Planner,
    arguments: dict[tuple[int, int], Leaf],
    outputs: list[Leaf],
    in_chains: bool,
) -> Plan:
    stored = set(planner.copies) | set(planner.placed)
    for unit in planner.alive():
        cluster = unit.work
        if not isinstance(cluster, Cluster):
            continue
        for m in cluster.members:
            if id(m) in stored:
                cluster.targets.append(
                    Target(m, Read(m, row_major(m.shape)), m.shape, row_major(m.shape), 0)
                )
    order = _ordered(planner.alive())
    places: dict[int, Leaf | int] = dict(planner.placed)
    for unit in order:
        if isinstance(unit.work, Cluster):
            unit.kernel, unit.buffers = Builder(unit.work).build()
            _stays_inside(unit)
        elif isinstance(unit.work, Array):
            unit.buffers = [unit.work, *unit.work.sources(), *getattr(unit.work, "parts", ())]
    if in_chains:
        order = chained(order, lambda array: id(places.get(id(array), array)))
        enclosed(order, lambda array: not isinstance(array, Leaf) and id(array) not in places)
    lives: dict[int, list[int]] = {}
    for place, unit in enumerate(order):
        if unit.chain is not None:  # whose units are busy at the same time
            place = order.index(unit.chain.units[0])
        touched = list(unit.buffers)
        if not isinstance(unit.work, (Cluster, Array)):
            touched += [leaf for (n, _), leaf in arguments.items() if n == unit.number]
        for array in touched:
            if unit.chain is not None and id(array) in unit.chain.inner:
                continue
            planner.known[id(array)] = array
            home = places.get(id(array))
            if isinstance(home, Leaf):
                array = home
                planner.known[id(home)] = home
            if isinstance(array, Leaf) and not _is_argument(array):
                continue
            lives.setdefault(id(array), [place, place])[1] = place
    arena = _packed(lives, planner.known, places)
    return Plan(order, places, arena, outputs, arguments)


def _stays_inside(unit: Unit) -> None:
    """AssertionError where a kernel would touch memory that is not its buffers'."""
    kernel = unit.kernel
    sizes = (*kernel.rows, *kernel.cols)
    accesses = [(a.buffer, a.strides, a.offset) for a in kernel.loads]
    accesses += [(s.buffer, s.strides, s.offset) for p in kernel.passes for s in p.stores]
    for buffer, strides, offset in accesses:
        if buffer >= len(unit.buffers) or buffer in kernel.scratch:
            continue
        array = unit.buffers[buffer]
        own = array.strides if isinstance(array, Leaf) else row_major(array.shape)
        first, last = _extent(array.shape, own)
        low, high = _extent(sizes, strides)
        if offset + low < first or offset + high > last:
            raise AssertionError(
                f"{array!r} has elements {first} to {last}, and a kernel touches "
                f"{offset + low} to {offset + high}"
            )


def _extent(sizes: Sequence[int], strides: Sequence[int]) -> tuple[int, int]:
    """The first and the last place that indices below ``sizes`` lead to."""
    steps = [(n - 1) * s for n, s in zip(sizes, strides)]
    return sum(s for s in steps if s < 0), sum(s for s in steps if s > 0)


def _is_argument(leaf: Leaf) -> bool:
    return isinstance(leaf.key, tuple) and leaf.key[0] == "argument"


def _ordered(units: list[Unit]) -> list[Unit]:
    """The units so that each comes after those it needs; otherwise in the order they were made."""
    done: set[int] = set()
    result: list[Unit] = []
    waiting = list(units)
    while waiting:
        left = []
        for unit in waiting:
            if unit.after <= done:
                done.add(unit.number)
                result.append(unit)
            else:
                left.append(unit)
        if len(left) == len(waiting):
            raise AssertionError("units wait for each other")
        waiting = left
    return result


def _packed(
    lives: dict[int, list[int]], known: dict[int, Array], places: dict[int, Leaf | int]
) -> int:
    """Give every array that lives from unit to unit a byte offset; returns how many are used."""
    taken: list[tuple[int, int, int, int]] = []  # first unit, last unit, start, stop
    top = 0

    def size(key: int) -> int:
        array = known[key]
        return (
            -(
                -max(array.size * max(array.dtype.itemsize, 8 if array.size == 1 else 1), 1)
                // ALIGNMENT
            )
            * ALIGNMENT
        )

    for key in sorted(lives, key=lambda k: (-size(k), lives[k][0])):
        first, last = lives[key]
        bytes_ = size(key)
        start = 0
        for f, l, a, b in sorted(taken, key=lambda t: t[2]):
            if f <= last and first <= l and a < start + bytes_ and start < b:
                start = b
        taken.append((first, last, start, start + bytes_))
        places[key] = start
        top = max(top, start + bytes_)
    return top


def np_view(memory: np.ndarray, leaf: Leaf) -> np.ndarray:
    """The part of ``memory`` (bytes) that starts at 0, as the array of ``leaf``."""
    step = leaf.dtype.itemsize
    strides = leaf.strides if leaf.size else row_major(leaf.shape)
    return np.ndarray(leaf.shape, leaf.dtype, memory, 0, [s * step for s in strides])


def new_array(leaf: Leaf) -> np.ndarray:
    """Memory of its own, with the gaps that the strides of ``leaf`` have, as its array."""
    reach = sum((n - 1) * s for n, s in zip(leaf.shape, leaf.strides) if n > 1)
    size = reach + 1 if leaf.size else 1
    return np_view(np.empty(size * leaf.dtype.itemsize, np.uint8), leaf)
