"""A captured program: operations in order, each value given once (SSA form).

    graph = (inputs, constants, nodes, outputs, writes)
    node  = Call(op, plain, args, outs)              an operation record on whole tensors
          | View(source, out, op, args)              another look at the memory of ``source``
          | Copy(source, out)                        broadcast and converted to ``out``'s type
          | Put(base, piece, source, out)            ``base`` with one strided piece replaced
          | Update(change, ins, outs, scalars)       an optimizer's formula, elementwise
          | Draw(again, out)                         random numbers

Writes into memory have become new values: after ``x.add_(1)`` whoever reads x reads the Var of the
sum. What a caller can see of a write is in ``writes``: at the end an input's memory takes a value.
A Var that a View made is a value like any other: its elements, not its place in memory.
``str(graph)`` prints it, one node a line; ``check`` verifies what is said here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from ..core.generator import Generator


@dataclass(eq=False, slots=True)
class Var:
    """One value: ``shape``, NumPy ``dtype``, and the strides (bytes) that the eager array had."""

    number: int
    shape: tuple[int, ...]
    dtype: np.dtype
    strides: tuple[int, ...]
    name: str = ""  # where it comes from, for people: "argument 0", "Net.hidden.weight", "tanh"
    level: Any = None  # of an array that is not in the CPU's memory: who runs operations on it

    def __repr__(self) -> str:
        return f"v{self.number}"

    @property
    def size(self) -> int:
        """The count of elements."""
        n = 1
        for m in self.shape:
            n *= m
        return n

    def described(self) -> str:
        """``v3: float32[32, 200]``."""
        return f"{self!r}: {self.dtype.name}{list(self.shape)}"


@dataclass(eq=False, slots=True)
class Node:
    """What all nodes have: the Vars they read (``reads``) and make (``outs``)."""

    def reads(self) -> Iterator[Var]:
        """The Vars that this node reads, in order, repeated where it reads one twice."""
        raise NotImplementedError

    @property
    def made(self) -> tuple[Var, ...]:
        """The Vars that this node makes."""
        raise NotImplementedError


def _vars(arg: Any) -> Iterator[Var]:
    if isinstance(arg, Var):
        yield arg
    elif type(arg) in (tuple, list):
        for a in arg:
            yield from _vars(a)


@dataclass(eq=False, slots=True)
class Call(Node):
    """``plain(*args)`` on tensors; args hold Vars where the call had tensors (also in tuples)."""

    op: Any  # core.op.Op
    plain: Callable[..., Any]
    args: tuple
    outs: tuple[Var, ...]
    line: str = ""  # the user's line that made it: "train.py:41"

    def reads(self) -> Iterator[Var]:
        """See Node."""
        return _vars(self.args)

    @property
    def made(self) -> tuple[Var, ...]:
        """See Node."""
        return self.outs


@dataclass(eq=False, slots=True)
class View(Node):
    """``out`` looks at the memory of ``source``, ``offset`` bytes from its first element, by its
    own strides; both are those of the eager arrays."""

    source: Var
    out: Var
    offset: int
    op: Any
    args: tuple

    def reads(self) -> Iterator[Var]:
        """See Node."""
        yield self.source

    @property
    def made(self) -> tuple[Var, ...]:
        """See Node."""
        return (self.out,)


@dataclass(eq=False, slots=True)
class Copy(Node):
    """``out`` holds the elements of ``source``, broadcast to its shape, converted to its dtype."""

    source: Var
    out: Var

    def reads(self) -> Iterator[Var]:
        """See Node."""
        yield self.source

    @property
    def made(self) -> tuple[Var, ...]:
        """See Node."""
        return (self.out,)


@dataclass(eq=False, slots=True)
class Put(Node):
    """``out`` is ``base`` where the piece of it at ``offset`` bytes from its first element, with
    ``shape`` and ``strides`` (bytes, in ``base.strides``' layout), holds ``source``."""

    base: Var
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    source: Var
    out: Var

    def reads(self) -> Iterator[Var]:
        """See Node."""
        yield self.base
        yield self.source

    @property
    def made(self) -> tuple[Var, ...]:
        """See Node."""
        return (self.out,)


@dataclass(eq=False, slots=True)
class Update(Node):
    """``change(*arrays)``, which writes elementwise into its arguments: ``ins`` before, ``outs``
    after (an operand that is not written to has the same Var in both).

    ``scalars`` are the names of the closure variables of ``change`` that hold numbers; their values
    are inputs of every run (``first``: those at capture), in order, starting at ``place`` in the
    program's list of numbers. ``whole``: the formula is not elementwise, but takes whole arrays.
    """

    change: Callable[..., None]
    ins: tuple[Var, ...]
    outs: tuple[Var, ...]
    scalars: tuple[str, ...]
    first: tuple[float, ...]
    place: int
    whole: bool = False

    def reads(self) -> Iterator[Var]:
        """See Node."""
        yield from self.ins

    @property
    def made(self) -> tuple[Var, ...]:
        """See Node."""
        return tuple(o for i, o in zip(self.ins, self.outs, strict=True) if i is not o)


@dataclass(eq=False, slots=True)
class Draw(Node):
    """``again()`` returns an array of random numbers like ``out``: the generator's next ones."""

    again: Callable[[], np.ndarray]
    out: Var

    def reads(self) -> Iterator[Var]:
        """See Node."""
        return iter(())

    @property
    def made(self) -> tuple[Var, ...]:
        """See Node."""
        return (self.out,)


@dataclass(eq=False, slots=True)
class Graph:
    """``inputs``: Vars whose arrays come with each run. ``constants``: Var -> its array.
    ``outputs``: what a run returns. ``writes``: (input, value): at the end of a run the memory of
    the input's array holds the value, after everything that reads the old one."""

    inputs: list[Var] = field(default_factory=list)
    constants: dict[Var, np.ndarray] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    outputs: list[Var] = field(default_factory=list)
    writes: list[tuple[Var, Var]] = field(default_factory=list)
    scalars: int = 0  # numbers that come with each run

    def __str__(self) -> str:
        lines = [f"input {v.described()}  # {v.name}" for v in self.inputs]
        lines += [f"constant {v.described()}" for v in self.constants]
        for node in self.nodes:
            left = ", ".join(v.described() for v in node.made)
            lines.append(f"{left} = {_text(node)}")
        lines += [f"write {v!r} into {i!r}  # {i.name}" for i, v in self.writes]
        lines.append(f"return {', '.join(map(repr, self.outputs))}")
        return "\n".join(lines)


def _text(node: Node) -> str:
    if isinstance(node, Call):
        return f"{node.op.name}({', '.join(map(repr, node.args))})"
    if isinstance(node, View):
        return f"{node.op.name}({node.source!r}{''.join(f', {a!r}' for a in node.args)})  # view"
    if isinstance(node, Copy):
        return f"copy({node.source!r})"
    if isinstance(node, Put):
        return f"put({node.base!r}, {node.shape}, {node.strides}, {node.offset}, {node.source!r})"
    if isinstance(node, Update):
        return f"update[{node.change.__qualname__}]({', '.join(map(repr, node.ins))})"
    return "draw()"


def level_of(graph: Graph) -> Any:
    """Who runs operations on what is not in the CPU's memory; None if all is."""
    made = (v for node in graph.nodes for v in node.made)
    return next((v.level for v in (*graph.inputs, *graph.constants, *made) if v.level), None)


def draws(node: Node) -> bool:
    """Whether ``node`` takes numbers from a generator."""
    return isinstance(node, Draw) or (
        isinstance(node, Call) and any(isinstance(a, Generator) for a in node.args)
    )


def generators_of(nodes: Iterable[Node]) -> list[Generator]:
    """The generators that ``nodes`` name; others draw from the one that is current."""
    found: dict[int, Generator] = {}
    for node in nodes:
        held = list(node.args) if isinstance(node, Call) else []
        if isinstance(node, Draw):
            held = [node.again]
        while held:
            thing = held.pop()
            if isinstance(thing, Generator):
                found[id(thing)] = thing
            elif isinstance(thing, FunctionType):
                held += [cell.cell_contents for cell in thing.__closure__ or ()]
            elif isinstance(thing, MethodType):
                held.append(thing.__self__)
    return list(found.values())


def check(graph: Graph) -> None:
    """ValueError where the graph is not what the head of this file says."""
    known = {*graph.inputs, *graph.constants}
    if len(known) != len(graph.inputs) + len(graph.constants):
        raise ValueError("an input or constant stands twice in the graph")
    for place, node in enumerate(graph.nodes):
        for v in node.reads():
            if v not in known:
                raise ValueError(f"node {place}, {_text(node)}: {v!r} is read before it is made")
        for v in node.made:
            if v in known:
                raise ValueError(f"node {place}, {_text(node)}: {v!r} is made twice")
            known.add(v)
    for v in graph.outputs:
        if v not in known:
            raise ValueError(f"the output {v!r} is made by no node")
    for target, v in graph.writes:
        if target not in graph.inputs or v not in known:
            raise ValueError(f"{v!r} cannot be written into {target!r}")
        if (target.shape, target.dtype) != (v.shape, v.dtype):
            raise ValueError(f"{v.described()} is written into {target.described()}")
