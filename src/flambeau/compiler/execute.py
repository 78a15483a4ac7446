"""Who runs a captured graph: executors, and a dull one: each node by its NumPy meaning.

An executor's ``build`` makes of a graph a function ``(arrays of the inputs, numbers, sure) ->
arrays of the outputs``, which writes into the inputs what the graph says is written. No array that
it returns is written to by a later run while somebody holds it. ``sure()``, if given, is called
when nothing can fail any more; what fails before is Undone, and nothing has been changed.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from .._dtypes import from_numpy
from .._shapes import contiguous_strides
from ..core import formulas
from ..core.generator import Followers, Generator, current
from ..core.modes import hook, state
from ..core.value import address, strided, wrap
from ..ops.memory import converted
from .graph import Call, Copy, Draw, Graph, Node, Put, Update, Var, View, draws, generators_of

ndarray = np.ndarray
Program = Callable[..., "list[ndarray]"]


class Undone(Exception):
    """A run of a program has changed nothing: an index is no place of its table, or an operation
    raised (that is ``__cause__``)."""


class Executor(Protocol):
    """What a back end is: a module, or anything else that has ``build``."""

    def build(self, graph: Graph) -> Program:
        """The function that runs ``graph``."""


def empty(v: Var) -> ndarray:
    """Memory like that of ``v``: of its shape and dtype, its dimensions in the order of strides."""
    order = sorted(range(len(v.shape)), key=lambda d: -abs(v.strides[d]))
    if v.level is not None:
        strides, step = [0] * len(order), v.dtype.itemsize
        for d in reversed(order):
            strides[d] = step
            step *= max(v.shape[d], 1)
        return v.level.empty(v.shape, v.dtype, strides)
    if order == sorted(order):
        return np.empty(v.shape, v.dtype)
    laid = np.empty([v.shape[d] for d in order], v.dtype)
    return laid.transpose([order.index(d) for d in range(len(order))])


def full(shape: Sequence[int], dtype: np.dtype, value: float, level: Any) -> ndarray:
    """A dense array of ``value``, in the CPU's memory or that of ``level``'s arrays."""
    if level is None:
        return np.full(shape, value, dtype)
    array = level.empty(shape, dtype, [s * dtype.itemsize for s in contiguous_strides(shape)])
    array.fill(value)
    return array


def _piece(base: ndarray, dtype: np.dtype, shape: tuple, strides: tuple, offset: int) -> ndarray:
    """The piece of ``base``'s memory at ``offset`` bytes from its first element."""
    if base.__class__ is not ndarray:
        return base.level.piece(base, dtype, shape, strides, offset)
    if not base.size or 0 in shape:
        return np.empty(shape, dtype)
    owner = base
    while isinstance(owner.base, ndarray):
        owner = owner.base
    start = address(base) - address(owner) + offset
    return strided(base.view() if base.dtype == dtype else _as(base, dtype), shape, strides, start)


def _as(base: ndarray, dtype: np.dtype) -> ndarray:
    """An array of ``dtype`` over the memory that ``base`` looks into."""
    owner = base
    while isinstance(owner.base, ndarray):
        owner = owner.base
    flat = owner.reshape(-1) if owner.flags.c_contiguous else owner.T.reshape(-1)
    return flat.view(dtype)


def _laid(array: ndarray, strides: tuple[int, ...]) -> ndarray:
    """``array`` with ``strides``, copied if it has others (where they matter: sizes over 1)."""
    pairs = list(zip(array.shape, array.strides, strides, strict=True))
    if array.size == 0 or all(n == 1 or s == t for n, s, t in pairs):
        return array
    if array.__class__ is not ndarray:
        out = array.level.empty(array.shape, array.dtype, strides)
        assign(out, array)
        return out
    steps = [(n - 1) * t for n, _, t in pairs]
    before = -sum(s for s in steps if s < 0)
    reach = before + sum(s for s in steps if s > 0) + array.itemsize
    out = ndarray(array.shape, array.dtype, np.zeros(reach, np.uint8), before, strides)
    out[...] = array
    return out


class RandomState:
    """The state of every generator that ``nodes`` draw from, for runs that are Undone."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.drawing = any(draws(node) for node in nodes)
        self.named = generators_of(nodes)

    def now(self) -> list[tuple[Generator, tuple]]:
        """The states as they are."""
        if not self.drawing:
            return []
        return [
            (g, g.snapshot())
            for g in dict.fromkeys((current(), *Followers.generators, *self.named))
        ]

    @staticmethod
    def back(states: list[tuple[Generator, tuple]]) -> None:
        """Set every generator back to where ``now`` found it."""
        for generator, snapshot in states:
            generator.restore(snapshot)


class DullExecutor:
    """Each node by its NumPy meaning, one after the other: slow, and easy to trust."""

    @staticmethod
    def build(graph: Graph) -> Program:
        """See Executor."""
        last = _last_uses(graph)
        random = RandomState(graph.nodes)

        def program(
            inputs: Sequence[ndarray],
            numbers: Sequence[float],
            sure: Callable[[], None] | None = None,
        ) -> list[ndarray]:
            values = dict(zip(graph.inputs, inputs, strict=True))
            values.update(graph.constants)
            before = (state.grad, state.inference)
            before_draws = random.now()
            state.grad = state.inference = False
            try:
                for node, dead in zip(graph.nodes, last, strict=True):
                    run_node(node, values, numbers)
                    for v in dead:
                        del values[v]
            except Exception as error:
                random.back(before_draws)
                raise Undone from error
            finally:
                state.grad, state.inference = before
            if sure is not None:
                sure()
            held = {id(a) for a in (*inputs, *graph.constants.values())}
            outputs = []
            for v in graph.outputs:
                array = values[v]
                if id(array) in held or array.base is not None:
                    array = array.copy(order="K")
                held.add(id(array))
                outputs.append(array)
            written = [(values[target], values[v], v in graph.inputs) for target, v in graph.writes]
            written = [(t, v.copy(order="K") if own else v) for t, v, own in written]
            for target, value in written:
                np.copyto(target, value)
            return outputs

        return program


def _last_uses(graph: Graph) -> list[list[Var]]:
    """For each node, the Vars that nothing reads after it."""
    keep = {*graph.outputs, *graph.inputs, *graph.constants, *[v for _, v in graph.writes]}
    dead: list[list[Var]] = []
    for node in reversed(graph.nodes):
        here = [v for v in dict.fromkeys((*node.reads(), *node.made)) if v not in keep]
        keep.update(here)
        dead.append(here)
    return dead[::-1]


def run_node(node: Node, values: dict[Var, ndarray], numbers: Sequence[float]) -> None:
    """Add what ``node`` makes to ``values``."""
    if isinstance(node, Call):
        given = [_tensors(a, values) for a in node.args]
        active = hook.active
        result = (
            node.plain(*given) if active is None else active.dispatch(node.op, node.plain, given)
        )
        outs = result if isinstance(result, tuple) else (result,)
        for v, o in zip(node.outs, outs, strict=True):
            values[v] = o._array
    elif isinstance(node, View):
        source, v = _laid(values[node.source], node.source.strides), node.out
        values[v] = _piece(source, v.dtype, v.shape, v.strides, node.offset)
    elif isinstance(node, Copy):
        out = empty(node.out)
        assign(out, values[node.source])
        values[node.out] = out
    elif isinstance(node, Put):
        out = empty(node.base)
        assign(out, values[node.base])
        out = _laid(out, node.base.strides)
        source = values[node.source]
        piece = _piece(out, source.dtype, node.shape, node.strides, node.offset)
        assign(piece, source)
        values[node.out] = out
    elif isinstance(node, Update):
        arrays = []
        for i, o in zip(node.ins, node.outs, strict=True):
            array = values[i]
            if i is not o:
                array = values[o] = array.copy(order="K")
            arrays.append(array)
        formulas.apply(_with_numbers(node, numbers), arrays, node.whole)
    elif isinstance(node, Draw):
        values[node.out] = node.again()


def assign(to: ndarray, of: ndarray) -> None:
    """Give ``to`` the elements of ``of``, broadcast and converted."""
    foreign = next((a for a in (to, of) if a.__class__ is not ndarray), None)
    if foreign is not None:
        foreign.level.write(wrap(to), wrap(of))
    else:
        np.copyto(to, converted(of, from_numpy(to.dtype)), casting="unsafe")


def _tensors(arg: object, values: dict[Var, ndarray]) -> object:
    if isinstance(arg, Var):
        return wrap(values[arg])
    if type(arg) in (tuple, list):
        return type(arg)([_tensors(a, values) for a in arg])
    return arg


def _with_numbers(node: Update, numbers: Sequence[float]) -> Callable[..., None]:
    """The node's ``change``, with the numbers of this run in its closure."""
    change = node.change
    given = dict(zip(node.scalars, numbers[node.place :], strict=False))
    cells = [
        types.CellType(given[name]) if name in given else cell
        for name, cell in zip(change.__code__.co_freevars, change.__closure__ or (), strict=True)
    ]
    made = types.FunctionType(
        change.__code__, change.__globals__, change.__name__, change.__defaults__, tuple(cells)
    )
    made.__kwdefaults__ = change.__kwdefaults__
    return made
