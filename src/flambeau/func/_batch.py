"""Batched tensors: what a function under ``vmap`` is given, and how operations run on them.

A batched tensor is an ordinary Tensor whose array is a BatchArray: it has the shape, strides and
dtype of one example (and lies where the first example lies), and knows the tensor ``inner`` that
holds all examples, along its dimension ``dim``. Code that asks for shapes sees one example. An
operation comes to the interpreter ``Level``, which runs it on the inner tensors by a rule of
``_rules``. Whatever would compute on a BatchArray itself, behind the interpreter's back, raises.

Two tapes meet here. What leads from one example to another (``func.grad`` inside the mapped
function) is recorded on the batched tensors, what leads out of ``vmap`` on the inner ones. An inner
tensor of one level may be a batched tensor of the level below.
"""

from __future__ import annotations

import textwrap
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from ..autograd.function import Function
from ..core.foreign import ForeignArray
from ..core.modes import Interpreter, hook, state
from ..core.op import BinaryNode, Op, OpNode, UnaryNode, _SavedOutput
from ..core.promotion import result_type
from ..core.tape import Anomaly, Output, note_line
from ..core.value import Value, Version, new, offset_of, strided, ticks, wrap, wrap_view
from ..ops.joining import stack
from ..ops.products import AddedNode

ndarray = np.ndarray
ALL = slice(None)


# ---- the array of one example --------------------------------------------------------------------


def _reads(what: str) -> Callable[..., NoReturn]:
    def refused(self: BatchArray, *args: Any, **kwargs: Any) -> NoReturn:
        raise RuntimeError(
            f"vmap: It looks like you're either (1) calling .{what}() on a Tensor or (2) "
            "attempting to use a Tensor in some data-dependent control flow. For (1): we don't "
            f"support vmap over calling .{what}() on a Tensor, please try to rewrite what "
            "you're doing with other operations.\n"
            "  under vmap a tensor stands for all examples at once, and has no one value; "
            "torch.where(condition, a, b) chooses for each"
        )

    return refused


class BatchArray(ForeignArray):
    """The array of one example of a batch. ``inner``: the tensor of all of them; ``dim``: which of
    its dimensions counts them, or None if all examples share it; ``level``: whose batch it is."""

    inner: Value | None = None
    dim: int | None = None
    level: Level | None = None

    @property
    def generator(self) -> Any:
        """See ForeignArray: that of all examples' array."""
        return None if self.inner is None else getattr(self.inner._array, "generator", None)

    def unruled(self, name: str) -> Exception:
        """What to raise where the function ``name`` would compute on this array itself."""
        return _no_rule(name)

    def likeness(self, make: Callable, *args: Any, **kwargs: Any) -> ndarray:
        """See ForeignArray: for each example."""
        if self.inner is None:
            raise self.unruled(make.__name__)
        inner = wrap(make(self.inner._array, *args, **kwargs))
        return batched(inner, self.dim, self.level)._array

    item = _reads("item")
    tolist = _reads("tolist")
    view = _reads("numpy")
    __bool__ = item
    __float__ = __int__ = __complex__ = __index__ = item

    def copy(self, order: str = "C") -> BatchArray:
        """A copy of all examples."""
        if self.inner is None:
            raise self.unruled("copy")
        return batched(
            wrap(self.inner._array.copy(), self.inner._edge), self.dim, self.level
        )._array

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: RuntimeError."""
        if dtype is bool:  # the truth of a tensor
            self.item()
        return super().astype(dtype)

    def fill(self, value: Any) -> None:
        """Write ``value`` into every element of every example."""
        if self.inner is None:
            raise self.unruled("fill")
        self.inner._array.fill(value)

    # What checks of values ask ("is an index out of bounds?") is answered for all examples.

    def any(self, *args: Any, **kwargs: Any) -> bool:
        """Whether an element of any example is true."""
        if args or kwargs or self.inner is None:
            raise self.unruled("any")
        return bool(self.inner._array.any())

    def all(self, *args: Any, **kwargs: Any) -> bool:
        """Whether every element of every example is true."""
        if args or kwargs or self.inner is None:
            raise self.unruled("all")
        return bool(self.inner._array.all())

    def min(self, *args: Any, **kwargs: Any) -> Any:
        """The least integer of all examples."""
        if args or kwargs or self.inner is None or self.dtype.kind not in "iu":
            raise self.unruled("min")
        return self.inner._array.min()

    def max(self, *args: Any, **kwargs: Any) -> Any:
        """The largest integer of all examples."""
        if args or kwargs or self.inner is None or self.dtype.kind not in "iu":
            raise self.unruled("max")
        return self.inner._array.max()

    def __setitem__(self, key: Any, value: Any) -> None:
        if key is not Ellipsis or isinstance(value, BatchArray) or np.ndim(value):
            raise self.unruled("a write")
        self.fill(value)

    def detached(self) -> BatchArray:
        """The same examples outside every tape."""
        if self.inner is None:
            raise self.unruled("detach")
        return batched(self.inner.detach(), self.dim, self.level)._array

    def described(self) -> str:
        """What ``print`` shows of a tensor over this array."""
        depth, below = 1, self.level.below
        while below is not None:
            depth += isinstance(below, Level)
            below = below.below
        value = textwrap.indent(repr(self.inner), "    ")
        return f"BatchedTensor(lvl={depth}, bdim={self.dim}, value=\n{value}\n)"


def _no_rule(name: str) -> RuntimeError:
    return RuntimeError(
        f"vmap: {name} is applied to the elements of a batched tensor by a function that has no "
        "batching rule\n  call that function outside vmap, once with all examples or in a loop "
        'over them; or use vmap(f, ..., randomness="different"), which loops'
    )


def batched(inner: Value, dim: int | None, level: Level) -> Value:
    """One example of ``inner``, whose dimension ``dim`` counts them (None: all are ``inner``)."""
    array = inner._array
    piece = array if dim is None else array[(ALL,) * dim + (0, ...)]
    array = ndarray.view(piece, BatchArray)
    array.inner, array.dim, array.level = inner, dim, level
    return wrap(array)


def front(inner: Value, dim: int) -> Value:
    """``inner`` with its dimension ``dim`` first."""
    return inner if dim == 0 else inner.movedim(dim, 0)


class VmapInfo(NamedTuple):
    """What the ``vmap`` of an ``autograd.Function`` is told: how many examples there are."""

    batch_size: int
    randomness: str


def on_tape(value: Any) -> bool:
    """Whether ``value`` is a tensor on a tape, or a batched one whose examples are."""
    while isinstance(value, Value):
        if value._edge is not None:
            return True
        value = getattr(value._array, "inner", None)
    return False


# ---- the interpreter -----------------------------------------------------------------------------


class Level(Interpreter):
    """One ``vmap``: runs operations on tensors of ``size`` examples."""

    # What _rules says: rules by the name of the record, and how to run one that has none.
    rules: dict[str, Callable]
    loops: Callable[..., Any]

    def __init__(self, size: int, randomness: str) -> None:
        self.size = size
        self.randomness = randomness

    # ---- of one tensor -----------------------------------------------------------------------

    def own(self, value: Any) -> bool:
        """Whether ``value`` is a tensor of this level."""
        return isinstance(value, Value) and getattr(value._array, "level", None) is self

    def holds(self, value: Any) -> bool:
        """Whether ``value`` is a tensor of this level, or a tuple with one."""
        if isinstance(value, Value):
            return getattr(value._array, "level", None) is self
        return type(value) in (tuple, list) and any(map(self.holds, value))

    def inside(self, value: Any) -> tuple[Any, int | None]:
        """The inner tensor and its batch dimension; anything else as it is, and None."""
        if self.own(value):
            array = value._array
            if array.inner is None:
                raise _no_rule("an operation")
            return array.inner, array.dim
        return value, None

    def whole(self, value: Value) -> Value:
        """The tensor of all examples, along dimension 0: stretched if they share it."""
        inner, dim = self.inside(value)
        if dim is None:
            return inner.expand(self.size, *inner._array.shape)
        return front(inner, dim)

    def lined(self, value: Any, ndim: int) -> Any:
        """Ready to be broadcast: (examples, 1, ..., shape) with ``ndim`` dimensions after the
        first; a tensor that all examples share as it is."""
        inner, dim = self.inside(value)
        if dim is None:
            return inner
        inner = front(inner, dim)
        shape = inner._array.shape
        missing = ndim + 1 - len(shape)
        if missing <= 0:
            return inner
        return inner.reshape(shape[0], *(1,) * missing, *shape[1:])

    def shared(self, value: Any) -> bool:
        """Whether all examples have the same ``value``."""
        if type(value) in (tuple, list):
            return all(map(self.shared, value))
        return self.inside(value)[1] is None

    def call(self, op: Op, plain: Callable, args: tuple) -> Any:
        """The operation as the level below does it."""
        return plain(*args) if self.below is None else self.below.dispatch(op, plain, args)

    # ---- events ------------------------------------------------------------------------------

    def run(self, op: Op, plain: Callable[..., Any], args: tuple) -> Any:
        """See Interpreter."""
        if not any(map(self.holds, args)):
            return self.onward(op, plain, args)
        if op.kind == "binary":
            args = _of_one_dtype(args)
        hook.active = self.below
        try:
            results, dims = self._physical(op, plain, args)
        finally:
            hook.active = self
        single = type(results) is not tuple
        if single:
            results, dims = (results,), (dims,)
        outs = tuple([batched(r, d, self) for r, d in zip(results, dims, strict=True)])
        if state.grad and op.vjp is not None:
            outs = self._recorded(op, args, outs, single)
        return outs[0] if single else outs

    def _physical(self, op: Op, plain: Callable, args: tuple) -> tuple[Any, Any]:
        """The results on inner tensors (one, or a tuple), and their batch dimensions."""
        if all(map(self.shared, args)):
            results = self.call(op, plain, _mapped(lambda v: self.inside(v)[0], args))
            return results, tuple([None] * len(results)) if type(results) is tuple else None
        rule = self.rules.get(op.name) or self.rules.get(op.kind)
        results = NotImplemented if rule is None else rule(self, op, plain, args)
        if results is NotImplemented:
            results = self.loops(op, plain, args)
        return results, (0,) * len(results) if type(results) is tuple else 0

    def viewed(self, source: Value, view: Value, op: Op, args: tuple) -> None:
        """See Interpreter."""
        if not self.own(source):
            super().viewed(source, view, op, args)
            return
        inner, dim = self.inside(source)
        logical = view._array
        hook.active = self.below
        try:
            array = inner._array
            if not isinstance(array, BatchArray) and (inner._edge is None or not state.grad):
                shape, strides = logical.shape, logical.strides
                if dim is not None:
                    shape = (array.shape[dim], *shape)
                    strides = (array.strides[dim], *strides)
                seen = strided(logical, shape, strides, offset_of(logical))
                made = wrap_view(seen, inner)
            elif dim is None:
                made = self.rules["a view"](op, inner, args, logical.shape, False)
            else:
                made = self.rules["a view"](op, front(inner, dim), args, logical.shape, True)
        finally:
            hook.active = self
        view._array = batched(made, None if dim is None else 0, self)._array

    def write(self, target: Value, source: Value) -> bool:
        """See Interpreter."""
        if not self.own(target):
            if self.own(source):
                if self.shared(source):
                    source = self.inside(source)[0]
                else:
                    raise _narrow_target()
            return self._written_below(target, source)
        inner, dim = self.inside(target)
        if dim is None and not self.shared(source):
            raise _narrow_target()
        hook.active = self.below
        try:
            if dim is None:
                inner.copy_(self.inside(source)[0])
            else:
                front(inner, dim).copy_(self.lined(source, target._array.ndim))
        finally:
            hook.active = self
        return True

    def _written_below(self, target: Value, source: Value) -> bool:
        if self.below is not None and self.below.write(target, source):
            return True
        if isinstance(source._array, BatchArray) or isinstance(target._array, BatchArray):
            raise _no_rule("a write")
        np.copyto(target._array, source._array, casting="unsafe")
        return True

    def wrote(self, target: Value, source: Value, name: str) -> None:
        """See Interpreter."""
        if not self.own(target):  # the write into the inner tensor has been told already
            super().wrote(target, source, name)

    def expects(self, valid: Value) -> bool:
        """See Interpreter: a condition on a batch is for Python to look at."""
        return False

    def draws(self) -> None:
        """See Interpreter."""
        if self.randomness == "error":
            raise RuntimeError(
                "vmap: called random operation while in randomness error mode. Please either use "
                "the 'same' or 'different' randomness flags on vmap or perform the randomness "
                "operation out of vmap"
            )
        if self.below is not None:
            self.below.draws()

    def function(self, cls: type[Function], args: tuple, kwargs: dict) -> Any:
        """See Interpreter.

        A Function runs on batched tensors as it stands, which serves the tape of one example. By
        its own ``vmap``, or else once for each example, where a tape outside has to see it.
        """
        if threading.get_ident() != self.thread or not any(map(self.own, args)):
            return super().function(cls, args, kwargs)
        own = cls.vmap is not Function.vmap
        within = state.grad and any(self._edge(a) is not None for a in args)
        without = state.grad and any(map(on_tape, (self.inside(a)[0] for a in args)))
        if within and without:
            raise RuntimeError(
                f"vmap: {cls.__name__}, an autograd.Function, is differentiated inside and outside "
                "of vmap at once, which is not supported\n  write it in differentiable operations"
            )
        if within or not (own or without):
            return NotImplemented
        hook.active = self.below
        try:
            if own:
                dims = tuple([self.inside(a)[1] for a in args])
                info = VmapInfo(self.size, self.randomness)
                outs, places = cls.vmap(info, dims, *[self.inside(a)[0] for a in args], **kwargs)
            else:
                rows = zip(*[self.examples(a) for a in args], strict=True)
                outs, places = self.stacked([cls.apply(*row, **kwargs) for row in rows]), 0
        finally:
            hook.active = self
        if not isinstance(outs, tuple):
            return batched(outs, places, self)
        places = places if isinstance(places, tuple) else (places,) * len(outs)
        return tuple([batched(o, d, self) for o, d in zip(outs, places, strict=True)])

    def examples(self, value: Any) -> Sequence[Any]:
        """``value`` for each example."""
        inner, dim = self.inside(value)
        if dim is None:
            return [inner] * self.size
        return [inner.select(dim, i) for i in range(self.size)]

    def stacked(self, rows: Sequence[Any]) -> Any:
        """Results of all examples, one or a tuple each, as whole tensors."""
        if isinstance(rows[0], tuple):
            return tuple([stack(column, 0) for column in zip(*rows, strict=True)])
        return stack(tuple(rows), 0)

    # ---- the tape of one example -------------------------------------------------------------

    def _edge(self, value: Any) -> Any:
        return value._edge if self.own(value) else None

    def _recorded(self, op: Op, args: tuple, outs: tuple, single: bool) -> tuple:
        """``outs`` with a node on the tape, where an operand of this level is on it."""
        flat = [v for a in args for v in (a if type(a) in (tuple, list) else (a,))]
        if all(self._edge(v) is None for v in flat):
            return outs
        if op.kind == "general":
            return self._recorded_general(op, args, outs, single)
        (out,) = outs
        a, *rest = args
        b = rest[0] if rest else None
        ea, eb = self._edge(a), self._edge(b)
        if op.kind == "unary":
            node = new(UnaryNode)
            node.edges = (ea,)
            x = a if "x" in op.params else None
            cell = Version() if "y" in op.params else None
            if cell is not None:
                out._version_cell = cell
                node.saved = (x, out._array, cell)
            else:
                node.saved = None if x is None else (x, None, None)
        elif type(op.vjp) is not tuple:  # a product with a sum
            node = new(AddedNode)
            c = args[2]
            node.edges = (self._edge(c), ea, eb)
            shape = c._array.shape if isinstance(c, Value) else None
            node.saved = (None if eb is None else a, None if ea is None else b, shape, args[3:])
        else:
            node = new(BinaryNode)
            node.edges = (ea, eb)
            wanted = {p for e, names in zip((ea, eb), op.params) if e is not None for p in names}
            shapes = None
            if isinstance(a, Value) and isinstance(b, Value) and op.kind == "binary":
                if a._array.shape != b._array.shape:
                    shapes = (a._array.shape, b._array.shape)
            cell = None
            if "y" in wanted:
                cell = out._version_cell = Version()
            node.saved = (
                a if "a" in wanted else None,
                b if "b" in wanted else None,
                None if cell is None else out._array,
                cell,
                shapes,
            )
        node.op = op
        _started(node)
        out._edge = node
        return outs

    def _recorded_general(self, op: Op, args: tuple, outs: tuple, single: bool) -> tuple:
        vjp = op.vjp
        places = set(vjp) if type(vjp) is dict else None
        wanted = {n for _, names in vjp.values() for n in names} if places else set(vjp[1])
        edges, groups = [], []
        for i, a in enumerate(args):
            if places is not None and op.params[i] not in places:
                continue
            if isinstance(a, Value):
                edges.append(self._edge(a))
                groups.append((op.params[i], None))
            elif type(a) is tuple and a and isinstance(a[0], Value):
                edges.extend(map(self._edge, a))
                groups.append((op.params[i], len(a)))
        if all(e is None for e in edges):
            return outs
        node = new(OpNode)
        node.op = op
        node.edges = tuple(edges)
        node.groups = groups
        _started(node)
        if single:
            outs[0]._edge = node
        else:
            node.count = len(outs)
            for i, out in enumerate(outs):
                if out._array.dtype.kind not in "biu":
                    out._edge = Output(node, i)
        saved = []
        for key in sorted(wanted - {"g", "needs", "y"}):
            base, _, part = key.rpartition("_")
            whole = key in op.params
            place = op.params.index(key if whole else base)
            v = args[place] if place < len(args) else None
            if whole:
                saved.append((key, v))
            elif type(v) is tuple and v and isinstance(v[0], Value):
                saved.append((key, [getattr(t._array, part) for t in v]))
            else:
                saved.append((key, getattr(v._array, part) if isinstance(v, Value) else None))
        if "y" in wanted:
            saved.append(("y", _SavedOutput(outs, single)))
        node.saved = saved or None
        return outs


def _started(node: Any) -> None:
    node.watch = None
    node.tick = ticks()
    if Anomaly.enabled:
        note_line(node)


def _mapped(function: Callable[[Any], Any], args: tuple) -> tuple:
    return tuple(
        [type(a)(map(function, a)) if type(a) in (tuple, list) else function(a) for a in args]
    )


def _of_one_dtype(args: tuple) -> tuple:
    """The two operands, converted where their dtypes differ: a tensor without dimensions counts
    for less in promotion, and the inner ones have a dimension more."""
    a, b = args
    if not isinstance(a, Value) or not isinstance(b, Value) or a._array.dtype == b._array.dtype:
        return args
    d = result_type(a, b)
    return tuple([v if v._array.dtype == d.numpy else v.to(d) for v in args])


def _narrow_target() -> RuntimeError:
    return RuntimeError(
        "vmap: inplace arithmetic(self, *extra_args) is not possible because there exists a Tensor "
        "`other` in extra_args that has more elements than `self`. This happened due to `other` "
        "being vmapped over but `self` not being vmapped over in a vmap. Please try to use "
        "out-of-place operators instead of inplace arithmetic."
    )
