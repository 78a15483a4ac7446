"""Results that require grad: the backward pass as a graph of its own, and the node that runs it.

After the function has run, the tape is walked once under the Recorder, from its results to the
tensors that came in. What the walk reads of the forward run is saved by each replay.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np

from ..core import tape
from ..core.modes import state
from ..core.op import intact
from ..core.tape import Leaf, Node
from ..core.value import Value, ticks, wrap
from .capture import Beyond, Gate, Recorder
from .execute import Undone, assign, full
from .graph import Copy, Graph, Var, View
from .graph import Node as GraphNode

ndarray = np.ndarray


class CompiledFunctionBackward(Node):
    """The backward pass of one run of a compiled function.

    ``saved``: the arrays that its program takes after the gradients. ``plan``: what all runs of
    the function share. ``read``: tensors that came in, whose values are needed.
    """

    __slots__ = ("count", "plan", "read")

    def __init__(
        self, plan: Plan, edges: tuple[Node | None, ...], saved: list[ndarray], read: list[Value]
    ) -> None:
        self.plan = plan
        self.count = plan.count
        self.edges = edges
        self.saved = saved
        self.read = read
        self.watch = None
        self.tick = ticks()

    def backward(self, grad: Value | list) -> list[Value | None]:
        plan = self.plan
        if state.grad:
            raise RuntimeError(
                "torch.compile with aot_autograd does not currently support double backward\n"
                "  the gradient of a compiled function is a program, and is not recorded; "
                "call the function itself, uncompiled, for higher derivatives"
            )
        for t in self.read:
            intact(t, self, "a compiled function")
        grads = grad if plan.count > 1 else [grad]
        arrays = [plan.laid(i, g) for i, g in enumerate(grads)]
        outs = plan.run([*arrays, *self.saved], [])
        there = [g is not None for g in grads]
        results: list[Value | None] = []
        for place, reached in plan.results:
            some = any(a and b for a, b in zip(there, reached, strict=True))
            results.append(wrap(outs[place]) if some and place is not None else None)
        return results

    def release(self) -> None:
        self.saved = tape.FREED
        self.edges = ()
        self.read = []


class Plan:
    """What the backward passes of all runs share: the graph, and the program that is made of it."""

    def __init__(
        self, graph: Graph, types: list[Var], results: list[tuple[int | None, list[bool]]]
    ) -> None:
        self.graph = graph
        self.types = types  # of the gradients that come in
        self.results = results  # for each edge: an output, and which gradients lead to it
        self.count = len(types)
        self.build: Callable | None = None
        self.program: Callable | None = None

    def run(self, inputs: list[ndarray], numbers: list[float]) -> list[ndarray]:
        """The graph's outputs."""
        if self.program is None:
            self.program = self.build(self.graph)
        try:
            return self.program(inputs, numbers)
        except Undone as error:
            raise error.__cause__ from None

    def laid(self, i: int, grad: Value | None) -> ndarray:
        """The gradient of result ``i`` in the layout that the graph expects."""
        v = self.types[i]
        if grad is None:
            return full(v.shape, v.dtype, 0, v.level)
        array = grad._array
        if array.dtype == v.dtype and array.flags.c_contiguous:
            return array
        laid = full(v.shape, v.dtype, 0, v.level)
        assign(laid, array)
        return laid


def reached(edge: Node, ends: Collection[Node] = ()) -> set[Node]:
    """The nodes that ``edge`` leads to, with itself, not beyond ``ends``."""
    seen, stack = {edge}, [edge]
    while stack:
        for e in stack.pop().edges:
            if e is not None and e not in seen:
                seen.add(e)
                if e not in ends:
                    stack.append(e)
    return seen


def stages(edges: Sequence[Node]) -> list[list[Node]]:
    """``edges`` in groups, the first of which depend on no other: gradients go from group to group,
    so that a result which others were computed from gets the gradient that it gets eagerly."""
    behind = {e: reached(e) for e in edges} if len(edges) > 1 else {}
    groups: list[list[Node]] = []
    left = list(edges)
    while left:
        outer = [e for e in left if not any(e in behind[o] for o in left if o is not e)]
        groups.insert(0, outer)
        left = [e for e in left if e not in outer]
    return groups


def recorded(
    rec: Recorder, roots: list[tuple[Node, Value]], ends: dict[Node, Value]
) -> tuple[Plan, list[Value], list[Var], list[Value]]:
    """Walk back from ``roots``, (edge, tensor) of each result, to what came in, and to ``ends``,
    which are other results.

    Gives the plan, the tensors whose edges the gradients go to, the Vars of the forward run that
    must be saved, in order, and the tensors that came in whose elements are read.
    """
    inner = set().union(*[reached(edge, ends) for edge, _ in roots])
    entered = [
        (x, rec.gates[id(x)][2] if id(x) in rec.gates else edge) for x, edge in rec.entered.values()
    ]
    targets: dict[Node, Value] = {edge: t for edge, t in ends.items() if edge in inner}
    for x, edge in entered:
        if edge in inner:
            targets.setdefault(edge, x)
    for gate in rec.gates.values():
        gate[2].edges = ()
    try:
        reach = [reached(edge, ends) for edge, _ in roots]
        for node in set().union(*reach):
            if type(node) is Leaf and node not in targets:
                raise Beyond("a tensor that was made in the run has requires_grad set")
            if node not in targets and node.watch is not None:
                raise Beyond("hooks are registered on tensors that are computed in the run")
        start = len(rec.graph.nodes)
        rec.within = False
        grads, types = _gradients_in(rec, [t for _, t in roots])
        watches = [(n, n.watch) for n in targets]
        for n in targets:
            n.watch = None
        try:
            with rec:
                found = tape.backward(
                    [edge for edge, _ in roots], grads, keep=True, targets=list(targets),
                    accumulate=False, ends=ends,
                )  # fmt: skip
        except Exception as error:  # as it will, eagerly, where somebody asks for gradients
            raise Beyond(f"the backward pass of what it returns raises {error!r}") from None
        finally:
            for n, w in watches:
                n.watch = w
        if rec.reason is not None:
            raise Beyond(rec.reason)
        rec.settled()
    finally:
        for _, edge, gate in rec.gates.values():
            gate.edges = (edge,)
    graph = Graph()
    results: list[tuple[int | None, list[bool]]] = []
    for edge, x in targets.items():
        grad = found.get(edge)
        place = None
        if grad is not None:
            if grad._array.dtype != x._array.dtype:
                raise Beyond("a gradient has another dtype than its tensor")
            place = len(graph.outputs)
            graph.outputs.append(rec.var(grad._array))  # which may be a view: one more node
        results.append((place, [edge in r for r in reach]))
    graph.nodes = rec.graph.nodes[start:]
    del rec.graph.nodes[start:]
    saved = _needed(rec, graph, types)
    graph.inputs = [*types, *saved]
    came_in = dict(zip(rec.graph.inputs, rec.sources, strict=True))
    read = [t for t in map(came_in.get, saved) if isinstance(t, Value)]
    return Plan(graph, types, results), list(targets.values()), saved, read


def _gradients_in(rec: Recorder, outputs: list[Value]) -> tuple[list[Value], list[Var]]:
    """Stand-ins for the gradients of ``outputs``, and their Vars."""
    grads, types = [], []
    for t in outputs:
        level = getattr(t._array, "level", None)
        g = wrap(full(t._array.shape, t._array.dtype, 1, level))
        v = rec.fresh(g._array, "gradient")
        rec.new(g._array, v)
        grads.append(g)
        types.append(v)
    return grads, types


def _needed(rec: Recorder, graph: Graph, types: list[Var]) -> list[Var]:
    """The Vars of the forward run that ``graph`` reads. Views are taken again, constants move."""
    made_by: dict[Var, GraphNode] = {v: n for n in rec.graph.nodes for v in n.made}
    known = {*types, *[v for n in graph.nodes for v in n.made]}
    saved: dict[Var, None] = {}
    again: list[View] = []

    def need(v: Var) -> None:
        if v in known or v in saved:
            return
        if v in rec.graph.constants:
            graph.constants[v] = rec.graph.constants[v]
            known.add(v)
            return
        maker = made_by.get(v)
        if isinstance(maker, View):
            need(maker.source)
            again.append(maker)
            known.add(v)
            return
        saved[v] = None

    for node in graph.nodes:
        for v in node.reads():
            need(v)
    for v in graph.outputs:
        need(v)
    graph.nodes = [*again, *graph.nodes]
    return list(saved)


def kept_from_writes(graph: Graph, written: set[Var], saved: list[Var], fresh: Callable) -> None:
    """Inputs that are written to and whose old values the backward pass needs: saved as copies."""
    for i, v in enumerate(saved):
        if v in written:
            copy = fresh(v)
            graph.nodes.insert(0, Copy(v, copy))
            saved[i] = copy


__all__ = ["CompiledFunctionBackward", "Gate", "Plan", "kept_from_writes", "recorded"]
