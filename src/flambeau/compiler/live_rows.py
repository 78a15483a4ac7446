"""Rows that nobody reads are not computed.

A program that asks its model about some tokens only, ``h[:, ::2]`` or ``h[:, -1]``, has computed
the last layer for all of them; its gradient is zeros with a few rows in between, which go back
through that layer. What works row by row (products with weights, norms along a row, elementwise
operations) can do the chosen rows alone, and where all rows are needed, on the way back through
attention for example, zeros are put around them.

``pruned(graph)`` rewrites a graph so. It looks for two kinds of values:

    zero   a gradient that is zero in all rows but the chosen ones: it began as ``slice_backward``
    dead   a value of which only the chosen rows are read: its readers pick these, or are row by row
           and dead themselves, or multiply its rows by those of a gradient that is zero elsewhere

Both are kept as their chosen rows, under one another's names as long as readers can use them so. A
product of a zero gradient with what is infinite or nan in a row that nobody reads is nan in eager
execution; here that row does not count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from .arrays import piece_of, row_major
from .graph import Call, Copy, Graph, Node, Var, View
from .lowering import Refused, out_is_reshape
from .scalar_rules import RULES as FUNCTIONS

MOST = 3 / 4  # the part of the rows above which it is not worth while
LEAST = 2e6  # floating-point operations that have to be saved

#: Operations whose result is zero where their first operand is.
_ZERO_AT_ZERO = {
    *"mul div neg clone to_copy mm mm_nt native_layer_norm_backward".split(),
    *(name for name in FUNCTIONS if name.endswith("_backward")),
}
#: Elementwise operations of a general record that have no function of one element either.
_ELEMENTWISE = set("clone to_copy pow pow_tensor pow_scalar where clamp masked_fill lerp".split())
_PRODUCTS = {"mm", "mm_nt", "mm_tn", "linear", "addmm"}


@dataclass(frozen=True, slots=True)
class Rows:
    """Of an array with the leading dimensions ``lead``, those rows whose place in the last of these
    is start, start + step, ..., ``count`` of them."""

    lead: tuple[int, ...]
    start: int
    step: int
    count: int

    def form(self, shape: tuple[int, ...]) -> int:
        """How many dimensions of ``shape`` count the rows: those of ``lead``, one for all of them,
        or none."""
        n = len(self.lead)
        if shape[:n] == self.lead:
            return n
        return 1 if shape and shape[0] == math.prod(self.lead) else 0

    def kept(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """``shape`` with the chosen rows only."""
        lead = (*self.lead[:-1], self.count)
        if self.form(shape) == len(lead):
            return (*lead, *shape[len(lead) :])
        return (math.prod(lead), *shape[1:])

    @property
    def part(self) -> float:
        """The chosen rows over all rows."""
        return self.count / self.lead[-1]

    @property
    def index(self) -> tuple[slice, ...]:
        """The basic index of the chosen rows."""
        stop = self.start + self.step * (self.count - 1) + 1
        return (*[slice(None)] * (len(self.lead) - 1), slice(self.start, stop, self.step))


def _rows(
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    piece: tuple[int, ...],
    steps: tuple[int, ...],
    offset: int,
) -> Rows | None:
    """Which rows of an array with ``shape`` and ``strides`` a piece of it has, if it has whole
    rows, as far apart as one another."""
    gone = len(shape) - len(piece)
    for d, n in enumerate(shape[:-1]):  # a row has elements
        rest = (*piece[:d], 1, *piece[d:]) if gone == 1 else piece
        moves = (*steps[:d], 0, *steps[d:]) if gone == 1 else steps
        if len(rest) != len(shape) or rest[d] >= n or not rest[d] or strides[d] <= 0:
            continue
        others = [k for k in range(len(shape)) if k != d]
        if any(rest[k] != shape[k] or (shape[k] > 1 and moves[k] != strides[k]) for k in others):
            continue
        step = moves[d] if rest[d] > 1 else strides[d]
        if step <= 0 or step % strides[d] or offset % strides[d]:
            continue
        found = Rows(shape[: d + 1], offset // strides[d], step // strides[d], rest[d])
        if found.start + found.step * (found.count - 1) < n:
            return found
    return None


def _picked(node: Node) -> Rows | None:
    """The rows that ``node`` picks from what it reads."""
    if not isinstance(node, View) or node.source.dtype != node.out.dtype:
        return None
    source, out = node.source, node.out
    return _rows(source.shape, source.strides, out.shape, out.strides, node.offset)


def _placed(node: Node) -> Rows | None:
    """The rows of its result that ``node`` fills, the others being zero."""
    if not isinstance(node, Call) or node.op.name != "slice_backward":
        return None
    _, shape, index = node.args
    if math.prod(shape) == 0:
        return None
    return _rows(tuple(shape), row_major(shape), *piece_of(shape, index))


# ---- what works row by row ---------------------------------------------------------------------


def _elementwise(node: Call) -> bool:
    name = node.op.name
    return node.op.kind in ("unary", "binary") or name in FUNCTIONS or name in _ELEMENTWISE


def _row_operands(node: Node, rows: Rows) -> list[Var] | None:
    """The operands of which ``node`` needs, for the chosen rows of its results, the chosen rows
    only. None: it does not work row by row, or not on these rows."""
    if isinstance(node, View):
        both = rows.form(node.source.shape) and rows.form(node.out.shape)
        return [node.source] if both and _reshapes(node) else None
    if isinstance(node, Copy):
        same = node.source.shape == node.out.shape
        return [node.source] if same and rows.form(node.out.shape) else None
    if not isinstance(node, Call):
        return None
    out = node.outs[0]
    form = rows.form(out.shape)
    if not form:
        return None
    name, args = node.op.name, node.args
    if _elementwise(node):
        return _broadcast(args, out, form)
    if name in ("mm", "mm_nt"):
        return [args[0]] if form == 1 else None
    if name == "linear":
        whole = args[2] is None or len(args[2].shape) == 1
        return [args[0]] if whole and form < len(out.shape) else None
    if name == "addmm":
        return [args[1]] if form == 1 and len(args[0].shape) == 1 else None
    if name == "native_layer_norm":
        return [args[0]] if form + args[3] <= len(out.shape) else None
    if name == "native_layer_norm_backward":
        return list(args[:4]) if form + args[5] <= len(out.shape) else None
    return None


def _reshapes(node: View) -> bool:
    try:
        return node.source.dtype == node.out.dtype and out_is_reshape(node)
    except Refused:
        return False


def _broadcast(args: tuple, out: Var, form: int) -> list[Var] | None:
    """The tensors among ``args`` that have rows; None where one has some of their dimensions."""
    found = []
    for a in args:
        if not isinstance(a, Var):
            if type(a) in (tuple, list) and any(isinstance(v, Var) for v in a):
                return None
            continue
        lead = (1,) * (len(out.shape) - len(a.shape)) + a.shape
        if lead[:form] == out.shape[:form] and len(a.shape) == len(out.shape):
            found.append(a)
        elif any(n != 1 for n in lead[:form]):
            return None
    return found


# ---- which values are zero, which are dead -----------------------------------------------------


class _Analysis:
    """What can be done for one choice of rows."""

    def __init__(self, graph: Graph, rows: Rows, choices: _Choices) -> None:
        self.graph, self.rows = graph, rows
        self.picks = {n for n, found in choices.picked.items() if found == rows}
        self.places = {n for n, found in choices.placed.items() if found == rows}
        self.operands = {id(n): _row_operands(n, rows) for n in graph.nodes}
        self.zero: set[Var] = set()
        self.dead: set[Var] = set()
        for node in graph.nodes:
            if node in self.places or self._stays_zero(node):
                self.zero.add(node.made[0])
        readers: dict[Var, list[Node]] = {}
        for node in graph.nodes:
            for v in node.reads():
                readers.setdefault(v, []).append(node)
        seen = {*graph.outputs, *(v for _, v in graph.writes)}
        self.read = readers.keys() | seen
        kept = seen | {*graph.inputs, *graph.constants}
        for node in reversed(graph.nodes):
            for v in node.made:
                if v in readers and v not in kept and v not in self.zero and rows.form(v.shape):
                    if all(self._reads_rows(reader, v) for reader in readers[v]):
                        self.dead.add(v)

    def _stays_zero(self, node: Node) -> bool:
        """Whether the first result of ``node`` is zero where its operands are."""
        operands, name = self.operands[id(node)], self._name(node)
        if not operands:
            return False
        if isinstance(node, (View, Copy)):
            return operands[0] in self.zero
        if name == "mul":
            return any(v in self.zero for v in operands)
        if name in ("add", "sub"):
            return len(operands) == len(node.args) and all(v in self.zero for v in operands)
        return name in _ZERO_AT_ZERO and node.args[0] in self.zero and node.args[0] is operands[0]

    @staticmethod
    def _name(node: Node) -> str:
        return node.op.name if isinstance(node, Call) else ""

    def adds_rows(self, node: Node) -> bool:
        """Whether ``node`` sums over the rows of a zero gradient."""
        name = self._name(node)
        if name == "mm_tn":
            one = all(self.rows.form(v.shape) == 1 for v in node.args)
            return one and any(v in self.zero for v in node.args)
        if name == "sum_to_size" and node.args[0] in self.zero:
            x, out = node.args[0].shape, node.outs[0].shape
            aligned = (1,) * (len(x) - len(out)) + tuple(out)
            return all(n == 1 for n in aligned[: self.rows.form(x)])
        return False

    def narrow(self, node: Node) -> bool:
        """Whether ``node`` works on the chosen rows alone."""
        if self.adds_rows(node):
            return True
        if self.operands[id(node)] is None:
            return False
        if node.made[0] in self.zero:
            return True
        used = [v for v in node.made if v in self.read]
        return bool(used) and all(v in self.dead for v in used)

    def _reads_rows(self, node: Node, v: Var) -> bool:
        """Whether ``node`` reads of ``v`` the chosen rows only."""
        if node in self.picks:
            return True
        if not self.narrow(node):
            return False
        if self.adds_rows(node):
            return True
        rest = [a for a in node.reads() if a is v]
        return v in self.operands[id(node)] and len(rest) == self.operands[id(node)].count(v)

    def saved(self) -> float:
        """Floating-point operations that the products have less."""
        total = 0.0
        for node in self.graph.nodes:
            if self._name(node) in _PRODUCTS and self.narrow(node):
                a = node.args[1 if node.op.name == "addmm" else 0]
                inner = a.shape[0] if node.op.name == "mm_tn" else a.shape[-1]
                total += 2.0 * node.outs[0].size * inner
        return total * (1 - self.rows.part)


# ---- the graph anew ----------------------------------------------------------------------------


def _dense(shape: tuple[int, ...], like: Var) -> tuple[int, ...]:
    """The strides, in bytes, of a dense array of ``like``'s dtype."""
    return tuple(s * like.dtype.itemsize for s in row_major(shape))


class _Rewriting:
    """Writes the nodes anew, one after the other."""

    def __init__(self, found: _Analysis) -> None:
        self.found, self.rows, graph = found, found.rows, found.graph
        self.nodes: list[Node] = []
        self.small: dict[Var, Var] = {}  # a value -> its chosen rows
        self.whole: set[Var] = set()  # zero gradients that have been written out
        known = [*graph.inputs, *graph.constants, *(v for n in graph.nodes for v in n.made)]
        self.count = max(v.number for v in known)

    def run(self) -> Graph:
        graph = self.found.graph
        for node in graph.nodes:
            self._node(node)
        for v in dict.fromkeys((*graph.outputs, *(v for _, v in graph.writes))):
            self._write_out(v)
        return replace(graph, nodes=self.nodes)

    def _var(
        self, shape: tuple[int, ...], like: Var, strides: tuple[int, ...] | None = None
    ) -> Var:
        self.count += 1
        strides = strides or _dense(shape, like)
        return Var(self.count, shape, like.dtype, strides, like.name, like.level)

    def _node(self, node: Node) -> None:
        found, rows = self.found, self.rows
        if node in found.places:
            self.small[node.outs[0]] = self._reshaped(node.args[0], rows.kept(node.outs[0].shape))
        elif node in found.picks and node.source in found.dead and node.source in self.small:
            rest = self._reshaped(self.small[node.source], node.out.shape)
            self.nodes.append(Copy(rest, node.out))
        elif found.narrow(node):
            self._narrow(node)
        else:
            for v in node.reads():
                self._write_out(v)
            self.nodes.append(node)

    def _reshaped(self, v: Var, shape: tuple[int, ...]) -> Var:
        """``v``, dense, in another shape."""
        if v.strides != _dense(v.shape, v):
            out = self._var(v.shape, v)
            self.nodes.append(Copy(v, out))
            v = out
        if v.shape == shape:
            return v
        out = self._var(shape, v)
        self.nodes.append(View(v, out, 0, _Reshape, (shape,)))
        return out

    def _chosen(self, v: Var) -> Var:
        """The chosen rows of ``v``."""
        if v not in self.small:
            rows, lead = self.rows, len(self.rows.lead)
            wide = v
            if rows.form(v.shape) != lead:
                wide = self._reshaped(v, (*rows.lead, *v.shape[1:]))
            shape = rows.kept(wide.shape)
            strides = list(wide.strides)
            offset = rows.start * strides[lead - 1]
            strides[lead - 1] *= rows.step
            out = self._var(shape, v, tuple(strides))
            self.nodes.append(View(wide, out, offset, _Slice, (rows.index,)))
            self.small[v] = self._reshaped(out, rows.kept(v.shape))
        return self.small[v]

    def _narrow(self, node: Node) -> None:
        found, rows = self.found, self.rows
        if isinstance(node, View):
            source = self._chosen(node.source)
            self.small[node.out] = self._reshaped(source, rows.kept(node.out.shape))
            return
        if isinstance(node, Copy):
            out = self.small[node.out] = self._var(rows.kept(node.out.shape), node.out)
            self.nodes.append(Copy(self._chosen(node.source), out))
            return
        if found.adds_rows(node):
            pair = node.op.name == "mm_tn"
            args = [self._chosen(a) if pair or k == 0 else a for k, a in enumerate(node.args)]
            self.nodes.append(replace(node, args=tuple(args)))
            return
        operands = found.operands[id(node)]
        args = [self._chosen(a) if any(a is v for v in operands) else a for a in node.args]
        outs = list(node.outs)
        sums = node.op.name == "native_layer_norm_backward"  # its second and third result
        for k, v in enumerate(outs[: 1 if sums else None]):
            outs[k] = self.small[v] = self._var(rows.kept(v.shape), v)
        self.nodes.append(replace(node, args=tuple(args), outs=tuple(outs)))

    def _write_out(self, v: Var) -> None:
        """Make a zero gradient whole, for a reader of all rows."""
        if v not in self.found.zero or v in self.whole:
            return
        self.whole.add(v)
        rows = self.rows
        shape = v.shape if rows.form(v.shape) == len(rows.lead) else (*rows.lead, *v.shape[1:])
        piece = self._reshaped(self.small[v], rows.kept(shape))
        wide = v if shape == v.shape else self._var(shape, v)
        args = (piece, shape, rows.index)
        self.nodes.append(replace(next(iter(self.found.places)), args=args, outs=(wide,)))
        if wide is not v:
            self.nodes.append(Copy(self._reshaped(wide, v.shape), v))


@dataclass(frozen=True)
class _Named:
    """What stands for an operation's record in the text of a graph."""

    name: str


_Reshape = _Named("view")
_Slice = _Named("slice")


class _Choices:
    """Which nodes of a graph pick rows, and which put rows among zeros."""

    def __init__(self, graph: Graph) -> None:
        self.picked = {n: rows for n in graph.nodes if (rows := _picked(n))}
        self.placed = {n: rows for n in graph.nodes if (rows := _placed(n))}

    def worth_while(self) -> list[Rows]:
        """The choices of few rows, each once."""
        both = dict.fromkeys((*self.picked.values(), *self.placed.values()))
        return [rows for rows in both if rows.part <= MOST]


def pruned(graph: Graph) -> tuple[Graph, list[str]]:
    """``graph``, or one with the same inputs, outputs and writes that does less; and in words what
    it does less."""
    told, choices = [], _Choices(graph)
    for rows in choices.worth_while():
        found = _Analysis(graph, rows, choices)
        saved = found.saved()
        if saved >= LEAST:
            count = sum(map(found.narrow, graph.nodes))
            graph = _Rewriting(found).run()
            choices = _Choices(graph)
            lead = "x".join(map(str, rows.lead))
            told.append(
                f"of {lead} rows, only {rows.count} of {rows.lead[-1]} are read of what {count} "
                f"operations make; the others are not computed: {saved / 1e6:.1f} MFLOP less"
            )
    return graph, told
