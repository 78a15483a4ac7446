"""From a captured graph to arrays as formulas: each operation by its rule.

``lowered(graph)`` goes through the nodes in order and says for every Var where its elements are: a
``Read``. A view is a read with other strides. An operation with a rule (``lowering_rules``) becomes
maps, reductions and products; one without a rule stays a call of its NumPy meaning, whose results
are leaves: memory that the call fills. ``Lazy`` is the notation that rules are written in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from . import scalar
from .arrays import (
    Array,
    Joined,
    Leaf,
    Map,
    Product,
    Read,
    Reduce,
    Split,
    Tangled,
    composed,
    located,
    row_major,
)
from .effects import REASONS
from .fusion import memory_dtype, memory_strides
from .graph import Call, Copy, Graph, Node, Put, Update, Var, View
from .products_code import batch_split, matrix_layout
from .scalar import COMPUTED, FLOAT32, FLOAT64, Scalar


class Refused(Exception):
    """This rule does not cover this case: the operation is called instead."""


def compute_dtype(dtype: np.dtype) -> np.dtype:
    """What elements of ``dtype`` are computed in; Refused for dtypes that kernels do not know."""
    if dtype in COMPUTED:
        return dtype
    if dtype == np.float16 or dtype.name == "bfloat16":
        return FLOAT32
    raise Refused(f"kernels do not know {dtype}")


def strides_as(shape: Sequence[int], strides: Sequence[int], own: Sequence[int]) -> tuple[int, ...]:
    """``strides`` over ``own`` for an operand that broadcasts to ``shape``."""
    lead = len(shape) - len(own)
    return (0,) * lead + tuple(0 if n == 1 else s for n, s in zip(own, strides))


@dataclass(eq=False, slots=True)
class Lazy:
    """Elements of an array in a ``shape``; infix arithmetic makes maps."""

    read: Read
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the elements."""
        return self.read.array.dtype

    @property
    def size(self) -> int:
        """The count of elements."""
        return math.prod(self.shape)

    def reshaped(self, shape: Sequence[int]) -> Lazy:
        """The same elements, in row-major order, in another shape."""
        shape = tuple(shape)
        return self if shape == self.shape else view(dense(self), shape, row_major(shape))

    def __add__(self, other: Lazy | float) -> Lazy:
        return mapped(lambda a, b: a + b, self, other)

    def __radd__(self, other: float) -> Lazy:
        return mapped(lambda a, b: b + a, self, other)

    def __sub__(self, other: Lazy | float) -> Lazy:
        return mapped(lambda a, b: a - b, self, other)

    def __rsub__(self, other: float) -> Lazy:
        return mapped(lambda a, b: b - a, self, other)

    def __mul__(self, other: Lazy | float) -> Lazy:
        return mapped(lambda a, b: a * b, self, other)

    def __rmul__(self, other: float) -> Lazy:
        return mapped(lambda a, b: b * a, self, other)

    def __truediv__(self, other: Lazy | float) -> Lazy:
        return mapped(lambda a, b: a / b, self, other)

    def __rtruediv__(self, other: float) -> Lazy:
        return mapped(lambda a, b: b / a, self, other)

    def __neg__(self) -> Lazy:
        return mapped(lambda a: -a, self)


def view(x: Lazy, shape: Sequence[int], strides: Sequence[int], offset: int = 0) -> Lazy:
    """Elements of ``x``, which is dense, at other places."""
    return Lazy(Read(x.read.array, tuple(strides), x.read.offset + offset), tuple(shape))


def is_dense(x: Lazy) -> bool:
    """Whether ``x`` is all of its array, in order."""
    return (
        x.read.index is None
        and x.read.offset == 0
        and x.size == x.read.array.size
        and all(n == 1 or s == d for n, s, d in zip(x.shape, x.read.strides, row_major(x.shape)))
    )


def dense(x: Lazy) -> Lazy:
    """``x`` as an array of its own, unless it is one."""
    if is_dense(x):
        return Lazy(Read(x.read.array, row_major(x.shape)), x.shape)
    return mapped(lambda a: a, x)


def mapped(
    function: Callable[..., Scalar],
    *operands: Lazy | float,
    dtype: np.dtype | None = None,
    shape: Sequence[int] | None = None,
) -> Lazy:
    """``function`` of the elements of operands that broadcast; numbers are given to it as they are.

    ``dtype`` of the result: the first operand's, or bool where the function says so.
    """
    arrays = [a for a in operands if isinstance(a, Lazy)]
    if shape is None:
        shape = np.broadcast_shapes(*[a.shape for a in arrays])
    shape = tuple(shape)
    reads, inputs = [], []
    for a in operands:
        if not isinstance(a, Lazy):
            inputs.append(a)
            continue
        read = a.read
        index = read.index
        if index is not None:
            index = Read(index.array, strides_as(shape, index.strides, a.shape), index.offset)
        strides = strides_as(shape, read.strides, a.shape)
        inputs.append(scalar.input(len(reads), compute_dtype(a.dtype)))
        reads.append(Read(read.array, strides, read.offset, index, read.index_stride))
    term = function(*inputs)
    if dtype is None:
        dtype = arrays[0].dtype if term.dtype == compute_dtype(arrays[0].dtype) else term.dtype
    if term.dtype != compute_dtype(dtype):
        term = scalar.convert(term, compute_dtype(dtype))
    made = Map(shape, dtype, tuple(reads), term)
    return Lazy(Read(made, row_major(shape)), shape)


def converted(x: Lazy, dtype: np.dtype) -> Lazy:
    """``x`` in another dtype; Refused from floats to integers."""
    if x.dtype == dtype:
        return x
    try:
        return mapped(lambda a: scalar.convert(a, compute_dtype(dtype)), x, dtype=dtype)
    except TypeError as error:
        raise Refused(str(error)) from None


def rounded(x: Lazy, dtype: np.dtype) -> Lazy:
    """``x`` as who asks for ``dtype`` by name gets it: to 16 bits, it is rounded there and then,
    where ``converted`` leaves that to the end of the kernel."""
    if x.dtype == dtype or compute_dtype(dtype) == dtype:
        return converted(x, dtype)
    x = converted(x, dtype)
    memory = memory_dtype(dtype)
    return mapped(lambda a: scalar.widen(scalar.narrow(a, memory)), x, dtype=dtype)


def reduced(kind: str, x: Lazy, dims: Sequence[int], keep: bool = True) -> Lazy:
    """``kind`` of ``x`` over ``dims``, which stay as 1 (``keep``) or go."""
    dims = tuple(sorted(d % len(x.shape) for d in dims)) if x.shape else ()
    if x.size == 0:
        raise Refused("nothing to reduce")
    shape = tuple(1 if d in dims else n for d, n in enumerate(x.shape))
    left = shape if keep else tuple(n for d, n in enumerate(x.shape) if d not in dims)
    if all(x.shape[d] == 1 for d in dims):
        return dense(x).reshaped(left)
    made = Reduce(left, x.dtype, kind, x.read, x.shape, dims)
    return Lazy(Read(made, row_major(left)), left)


def expanded(x: Lazy, shape: Sequence[int]) -> Lazy:
    """``x`` broadcast to ``shape``, without the dimensions of 1 that it has before those."""
    lead = len(x.shape) - len(shape)
    if lead > 0:
        if x.read.index is not None:
            x = dense(x)
        x = Lazy(Read(x.read.array, x.read.strides[lead:], x.read.offset), x.shape[lead:])
    index = x.read.index
    if index is not None:
        index = Read(index.array, strides_as(shape, index.strides, x.shape), index.offset)
    read = Read(
        x.read.array,
        strides_as(shape, x.read.strides, x.shape),
        x.read.offset,
        index,
        x.read.index_stride,
    )
    return Lazy(read, tuple(shape))


def permuted(x: Lazy, order: Sequence[int]) -> Lazy:
    """``x`` with its dimensions in another order."""
    if x.read.index is not None:
        x = dense(x)
    strides = tuple(x.read.strides[d] for d in order)
    shape = tuple(x.shape[d] for d in order)
    return Lazy(Read(x.read.array, strides, x.read.offset), shape)


def product(a: Lazy, b: Lazy) -> Lazy:
    """The matrix product of (*batch, m, k) and (*batch, k, n)."""
    if a.dtype != b.dtype or a.dtype not in (FLOAT32, FLOAT64):
        raise Refused("products are of float32 and float64")
    *batch, m, k = a.shape
    n = b.shape[-1]
    if not (math.prod(batch) and m and k and n):
        raise Refused("an empty product")
    shape = (*batch, m, n)
    a, b = (copied(x) if x.read.index is not None else x for x in (a, b))
    # Batch dimensions are split until both operands can be read where they are.
    while True:
        place = batch_split(a.read, a.shape)
        if place is None:
            place = batch_split(b.read, b.shape)
        if place is None:
            break
        a, b = (split_dimension(x, *place) for x in (a, b))
    a, b = (x if matrix_layout(x.read, x.shape) else copied(x) for x in (a, b))
    made = Product(shape, a.dtype, a.read, b.read, a.shape[:-2], m, n, k)
    return Lazy(Read(made, row_major(shape)), shape)


def split_dimension(x: Lazy, place: int, inner: int) -> Lazy:
    """``x`` with dimension ``place`` seen as two, the second of size ``inner``."""
    shape, strides = list(x.shape), list(x.read.strides)
    shape[place : place + 1] = [shape[place] // inner, inner]
    strides[place : place + 1] = [strides[place] * inner, strides[place]]
    return Lazy(Read(x.read.array, tuple(strides), x.read.offset), tuple(shape))


def located_elements(x: Lazy) -> list[tuple[Array, list[int], int, int]]:
    """Where the elements of an index tensor that was looked through by ``_checked_index`` are in
    memory: for a leaf [(leaf, strides, offset, 0)]; for what indices pick from one, the table and
    then the indices, whose step in the table is the last number."""
    reads = [x.read]
    if isinstance(x.read.array, Map):
        (picked,) = x.read.array.reads
        reads = [Read(picked.array, picked.strides, picked.offset), picked.index]
        step = next(
            (
                memory_strides(picked.array)[d]
                for d, s in enumerate(row_major(picked.array.shape))
                if s == picked.index_stride and picked.array.shape[d] > 1
            ),
            0,
        )
    found = []
    for k, read in enumerate(reads):
        strides, offset = composed(x.shape, read, memory_strides(read.array))
        found.append((read.array, strides, offset, step if k else 0))
    return found


def copied(x: Lazy) -> Lazy:
    """The elements of ``x`` in memory of their own."""
    return mapped(lambda a: a, x)


@dataclass(slots=True)
class Lowered:
    """What a graph has become. ``calls``: nodes that are called, with the leaves that they fill;
    ``reads``: where each Var's elements are; ``updates``: (input leaf, new value) pairs of writes
    come from the graph itself. ``checks``: (indices, rows): elements that must be within [0, rows).
    ``reasons``: why a call is a call."""

    graph: Graph
    reads: dict[Var, Lazy] = field(default_factory=dict)
    leaves: dict[Var, Leaf] = field(default_factory=dict)
    calls: list[tuple[Node, tuple[Var, ...]]] = field(default_factory=list)
    checks: list[tuple[Lazy, int]] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)


def element_strides(var: Var) -> tuple[int, ...]:
    """The strides of ``var``'s eager array in elements; Refused where they are none."""
    size = var.dtype.itemsize
    if any(s % size for s in var.strides):
        raise Refused("an array whose elements are not aligned")
    return tuple(s // size for s in var.strides)


class Lowering:
    """Goes through a graph. ``rules``: operation's name -> rule(lowering, node) -> results."""

    #: Whether there is machine code that does a whole layer (``layer_code``).
    whole_layers = True

    def __init__(
        self,
        graph: Graph,
        rules: dict[str, Callable[..., Any]],
        may_be_empty: Container[str] = (),
    ) -> None:
        self.graph = graph
        self.rules = rules
        self.may_be_empty = may_be_empty
        self.out = Lowered(graph)
        self.roots: dict[Var, tuple[Var, int]] = {}  # of a view: whose memory, from which byte on
        self.constant_of: dict[Var, np.ndarray] = dict(graph.constants)
        for v in graph.inputs:
            self._leaf(v, element_strides(v))
        for v, array in graph.constants.items():
            self._leaf(v, tuple(s // array.itemsize for s in array.strides))

    def _leaf(self, v: Var, strides: Sequence[int]) -> None:
        leaf = Leaf(v.shape, v.dtype, tuple(strides), v, note=v.name)
        self.out.leaves[v] = leaf
        self.out.reads[v] = Lazy(Read(leaf, row_major(v.shape)), v.shape)

    def of(self, v: Var) -> Lazy:
        """The elements of ``v``."""
        return self.out.reads[v]

    def run(self) -> Lowered:
        """All nodes, in order."""
        for node in self.graph.nodes:
            try:
                self._lower(node)
            except Refused as reason:
                self._call(node, str(reason))
        return self.out

    def _lower(self, node: Node) -> None:
        empty = isinstance(node, Call) and node.op.name in self.may_be_empty
        if not empty and any(v.size == 0 for v in (*node.reads(), *node.made)):
            raise Refused("no elements")
        if isinstance(node, View):
            root, start = self.roots.get(node.source, (node.source, 0))
            self.roots[node.out] = root, start + node.offset
            try:
                self.out.reads[node.out] = self._view(node)
            except Refused:
                if root is node.source:
                    raise
                whole = View(root, node.out, start + node.offset, node.op, node.args)
                self.out.reads[node.out] = self._view(whole)
        elif isinstance(node, Copy):
            x = expanded(self.of(node.source), node.out.shape)
            self.out.reads[node.out] = rounded(x, node.out.dtype)
        elif isinstance(node, Put):
            self.out.reads[node.out] = self._put(node)
        elif isinstance(node, Call):
            rule = self.rules.get(node.op.name)
            if rule is None:
                raise Refused(REASONS.get(node.op.name) or f"{node.op.name} has no rule")
            for v in (*node.reads(), *node.outs):
                compute_dtype(v.dtype)
            results = rule(self, node)
            if isinstance(results, Lazy):
                results = (results,)
            for v, x in zip(node.outs, results, strict=True):
                if x is None:
                    self.graph.constants[v] = np.zeros(v.shape, v.dtype)  # nobody's to read
                    self._leaf(v, row_major(v.shape))
                    continue
                if x.dtype != v.dtype:
                    x = converted(x, v.dtype)
                if x.shape != v.shape:
                    x = x.reshaped(v.shape)
                if not x.read.array.note:
                    x.read.array.note = node.op.name
                self.out.reads[v] = x
        elif isinstance(node, Update):
            self.rules["update"](self, node)
        else:
            raise Refused("")

    def _view(self, node: View) -> Lazy:
        source, out = node.source, node.out
        x = self.of(source)
        if source.dtype != out.dtype:
            raise Refused("a view as another dtype")
        size = source.dtype.itemsize
        strides = element_strides(out)
        if node.offset % size or any(s < 0 for s in strides):
            raise Refused("a view that kernels cannot read")
        own = element_strides(source)
        moves = _located(out.shape, strides, node.offset // size, source.shape, own)
        if moves is None:
            raise Refused("a view whose elements overlap")
        shape, pieces, start = moves
        if x.read.index is not None:
            x = dense(x)
        steps = [sum(x.read.strides[p] * k for p, k in piece) for piece in pieces]
        offset = x.read.offset + sum(s * n for s, n in zip(x.read.strides, start))
        # Dimensions that had to be split come together again, if they can.
        result, place = [], 0
        for n in out.shape:
            stride, m = 0, 1
            parts: list[tuple[int, int]] = []
            while m < n:
                parts.append((shape[place], steps[place]))
                m *= shape[place]
                place += 1
            for (_, outer), (count, inner) in zip(parts, parts[1:]):
                if outer != inner * count:
                    return self._view_of_copy(node, x)
            if parts:
                stride = parts[-1][1]
            result.append(stride)
        read = Read(x.read.array, tuple(result), offset)
        return Lazy(_untangled(out.shape, read), out.shape)

    def _view_of_copy(self, node: View, x: Lazy) -> Lazy:
        """A reshape that no strides can say, of elements that are not dense in their array."""
        if out_is_reshape(node):
            return dense(Lazy(x.read, x.shape)).reshaped(node.out.shape)
        raise Refused("a view that kernels cannot read")

    def _put(self, node: Put) -> Lazy:
        base, size = node.base, node.base.dtype.itemsize
        if node.source.dtype != base.dtype:
            raise Refused("a write as another dtype")
        own = element_strides(base)
        if any(s % size for s in node.strides) or node.offset % size:
            raise Refused("a write that kernels cannot do")
        moves = _located(
            node.shape, [s // size for s in node.strides], node.offset // size, base.shape, own
        )
        if moves is None or len(moves[0]) != len([n for n in node.shape if n > 1]):
            raise Refused("a write that kernels cannot do")
        _, pieces, start = moves
        places = row_major(base.shape)
        steps = iter([sum(places[p] * k for p, k in piece) for piece in pieces])
        strides = tuple(next(steps) if n > 1 else 0 for n in node.shape)
        offset = sum(s * n for s, n in zip(places, start))
        piece = converted(expanded(self.of(node.source), node.shape), base.dtype)
        whole = self.of(base)
        pieces_of = [(whole.read, base.shape, places, 0), (piece.read, node.shape, strides, offset)]
        if math.prod(node.shape) == base.size:  # nothing is left of what was there
            del pieces_of[0]
        made = Joined(base.shape, base.dtype, tuple(pieces_of))
        return Lazy(Read(made, places), base.shape)

    def _call(self, node: Node, reason: str) -> None:
        made = node.made
        if isinstance(node, Call):
            self.out.reasons.setdefault(node.op.name, reason)
        for v in made:
            self._leaf(v, element_strides(v) if v.size else row_major(v.shape))
        self.out.calls.append((node, made))


def _untangled(dims: tuple[int, ...], read: Read) -> Read:
    """``read``, of a copy of its array where strides cannot say how the reader, who has ``dims``,
    moves along its memory: some of the elements of several of its rows that are not dense."""
    array = read.array
    try:
        composed(dims, read, memory_strides(array))
    except Split:
        return read
    except Tangled:
        whole = Lazy(Read(array, row_major(array.shape)), array.shape)
        return replace(read, array=copied(whole).read.array)
    return read


def out_is_reshape(node: View) -> bool:
    """Whether a view keeps all elements in order."""
    return (
        node.source.size == node.out.size
        and node.offset == 0
        and all(
            n == 1 or s == d
            for v in (node.source, node.out)
            for n, s, d in zip(v.shape, element_strides(v), row_major(v.shape))
        )
    )


def _located(
    dims: Sequence[int],
    strides: Sequence[int],
    offset: int,
    shape: Sequence[int],
    own: Sequence[int],
) -> tuple[list[int], list[list[tuple[int, int]]], list[int]] | None:
    """How a view moves along its source, whose memory has the strides ``own``: the dimensions of
    the view that are not 1 (some split in two), their moves, and where it starts. None: it cannot
    be said."""
    order = sorted((d for d, n in enumerate(shape) if n > 1), key=lambda d: -own[d])
    if any(own[d] <= 0 for d in order):
        return None
    scale = [own[d] for d in order]
    sizes = [shape[d] for d in order]
    for (outer, inner), n in zip(zip(scale, scale[1:]), sizes[1:]):
        if outer % inner or outer < inner * n:
            return None
    # As if the source were dense: its strides without the gaps.
    compact = row_major(sizes)

    def packed(amount: int) -> int | None:
        total = 0
        for s, c in zip(scale, compact):
            total += amount // s * c
            amount %= s
        return total if amount == 0 else None

    kept = [(n, s) for n, s in zip(dims, strides) if n > 1]
    start = packed(offset)
    moved = [packed(s) for _, s in kept]
    if start is None or any(m is None for m in moved):
        return None
    sizes_now = [n for n, _ in kept]
    while True:
        try:
            moves, first = located(sizes_now, moved, start, sizes)
        except Split as split:
            i, inner = split.place, split.inner
            sizes_now[i : i + 1] = [sizes_now[i] // inner, inner]
            gap = _gap(scale, sizes, compact, moved[i], inner)
            if gap is None:
                return None
            moved[i : i + 1] = [gap, moved[i]]
            continue
        except Tangled:
            return None
        break
    pieces = [[(order[p], k) for p, k in move] for move in moves]
    begin = [0] * len(shape)
    for p, n in zip(order, first):
        begin[p] = n
    return sizes_now, pieces, begin


def _gap(
    scale: Sequence[int], sizes: Sequence[int], compact: Sequence[int], step: int, inner: int
) -> int | None:
    """The move of the outer part of a dimension that is split: over a whole inner dimension, which
    only counts as one step of the next where the source has no gap there."""
    whole = step * inner
    for p in range(1, len(sizes)):
        if compact[p] * sizes[p] == whole and scale[p] * sizes[p] != scale[p - 1]:
            return None
    return whole
