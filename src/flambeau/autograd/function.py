"""Operations that users define: ``autograd.Function`` with its own forward and backward."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from ..core.modes import hook, no_grad, state
from ..core.mutation import rebase
from ..core.op import intact, intact_array
from ..core.tape import FREED, Anomaly, Node, Output, note_line
from ..core.value import Value, ticks, wrap, wrap_view


class FunctionCtx:
    """What ``forward`` may tell ``backward``: saved tensors, flags, and attributes of any name."""

    def save_for_backward(self, *tensors: Value | None) -> None:
        """Keep ``tensors`` (inputs or outputs) until backward, watched for in-place changes."""
        for t in tensors:
            if t is not None and not isinstance(t, Value):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument is of type "
                    f"{type(t).__name__}; keep other values as attributes of ctx"
                )
        self.to_save = tensors

    def save_for_forward(self, *tensors: Value | None) -> None:
        """Accepted for forward mode, which reads the same tensors."""
        self.saved_for_forward = tensors

    def mark_dirty(self, *tensors: Value) -> None:
        """Say that ``forward`` changed these inputs in place; they must be returned."""
        self.dirty = tensors

    def mark_non_differentiable(self, *tensors: Value) -> None:
        """Say that these outputs have no gradient."""
        self.non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether ``backward`` gets zeros (the default) or None where no gradient arrived."""
        self.materialize = value

    to_save: Sequence[Value | None] = ()
    dirty: Sequence[Value] = ()
    non_differentiable: Sequence[Value] = ()
    materialize = True
    needs_input_grad: tuple[bool, ...] = ()


class FunctionNode(FunctionCtx, Node):
    """The graph node of one call of a Function; it is the ``ctx`` that its methods get."""

    def name(self) -> str:
        return self.function.__name__ + "Backward"

    @property
    def saved_tensors(self) -> tuple[Value | None, ...]:
        """What ``save_for_backward`` kept. RuntimeError once it is freed or was written to."""
        if self.saved is FREED:
            raise RuntimeError(
                "Trying to backward through the graph a second time (or directly access saved "
                "tensors after they have already been freed). Saved intermediate values of the "
                "graph are freed when you call .backward() or autograd.grad(). Specify "
                "retain_graph=True if you need to backward through the graph a second time or if "
                "you need to access saved tensors after calling backward."
            )
        if self.saved is None:
            return tuple(self.to_save)
        found = []
        for entry in self.saved:
            if entry is None:
                found.append(None)
            elif isinstance(entry, Value):
                found.append(intact(entry, self, self.function.__name__))
            else:
                array, cell, edge = entry
                t = intact_array(array, cell, self, self.function.__name__)
                t._edge = edge if edge is not None else self
                found.append(t)
        return tuple(found)

    saved_variables = saved_tensors

    def backward(self, grad: Value | list) -> Sequence[Value | None]:
        grads = list(grad) if isinstance(grad, list) else [grad]
        if self.materialize:
            for i, g in enumerate(grads):
                if g is None:
                    shape, dtype = self.output_kinds[i]
                    grads[i] = wrap(np.zeros(shape, dtype))
        results = self.function.backward(self, *grads)
        if not isinstance(results, tuple):
            results = tuple(results) if isinstance(results, list) else (results,)
        count = len(self.input_kinds)
        if len(results) > count and all(r is None for r in results[count:]):
            results = results[:count]
        if len(results) != count:
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients "
                f"(expected {count}, got {len(results)})"
            )
        checked = []
        for i, (r, kind) in enumerate(zip(results, self.input_kinds, strict=True)):
            checked.append(self._checked(i, r, kind))
        return checked

    def _checked(self, i: int, result: object, kind: tuple | None) -> Value | None:
        if result is None:
            return None
        if kind is None:
            raise RuntimeError(
                f"function {self.name()} returned a gradient different from None at position "
                f"{i + 1}, but the corresponding forward input was not a Variable"
            )
        if not isinstance(result, Value):
            raise TypeError(
                f"function {self.name()} returned an incorrect type at position {i + 1} (expected "
                f"Tensor or None, got {type(result).__name__})"
            )
        shape = kind[0]
        if result._array.shape != shape:
            try:
                return result.sum_to_size(shape)
            except RuntimeError:
                raise RuntimeError(
                    f"Function {self.name()} returned an invalid gradient at index {i} - got "
                    f"{list(result.shape)} but expected shape compatible with {list(shape)}"
                ) from None
        return result

    def release(self) -> None:
        if self.saved:
            self.saved = FREED
            self.edges = ()


class Function:
    """Base class of operations with a gradient of their own.

    Subclasses have static methods ``forward(ctx, *args)`` (or ``forward(*args)`` together with
    ``setup_context(ctx, inputs, output)``) and ``backward(ctx, *grads)``, and are called by
    ``Subclass.apply(*args)``.
    Source: https://docs.pytorch.org/docs/stable/notes/extending.html
    """

    generate_vmap_rule = False

    def __init__(self) -> None:
        name = type(self).__name__
        warnings.warn(
            f"{name} should not be instantiated: methods on autograd functions are all static, "
            f"so use {name}.apply",
            DeprecationWarning,
            stacklevel=2,
        )

    def __call__(self, *args: object, **kwargs: object) -> None:
        """What a function with non-static methods once was called by. RuntimeError."""
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use "
            "new-style autograd function with static forward method.\n"
            f"  call {type(self).__name__}.apply(...), on the class"
        )

    @staticmethod
    def forward(ctx: FunctionCtx, *args: object, **kwargs: object) -> object:
        """Compute the result. To be overridden."""
        raise NotImplementedError(
            "You must implement the forward function for custom autograd.Function."
        )

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple, output: object) -> None:
        """Save what backward needs, where ``forward`` takes no ctx. To be overridden."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: FunctionCtx, *grad_outputs: Value) -> object:
        """Return one gradient for each argument of forward. To be overridden."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom "
            "autograd.Function to use it with backward mode AD."
        )

    @staticmethod
    def jvp(ctx: FunctionCtx, *grad_inputs: Value) -> object:
        """Forward-mode rule. To be overridden."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with "
            "forward mode AD."
        )

    @staticmethod
    def vmap(info: object, in_dims: tuple, *args: object) -> tuple[object, object]:
        """``(outputs, out_dims)`` for tensors of ``info.batch_size`` examples, along dimension
        ``in_dims[i]`` of each. To be overridden; without it ``vmap`` finds its own way."""
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap staticmethod or "
            "set generate_vmap_rule=True."
        )

    @classmethod
    def apply(cls, *args: object, **kwargs: object) -> object:
        """Call the operation on ``args``, recording it if a tensor among them requires grad."""
        if hook.active is not None:
            found = hook.active.function(cls, args, kwargs)
            if found is not NotImplemented:
                return found
        node = FunctionNode()
        node.function = cls
        node.saved = None
        node.watch = None
        node.edges = tuple(a._edge if isinstance(a, Value) else None for a in args)
        node.input_kinds = [
            (a._array.shape, a._array.dtype) if isinstance(a, Value) else None for a in args
        ]
        recorded = state.grad and any(e is not None for e in node.edges)
        node.needs_input_grad = tuple(e is not None for e in node.edges)
        node.tick = ticks()
        with no_grad():
            if cls.setup_context is not Function.setup_context:
                result = cls.forward(*args, **kwargs)
                cls.setup_context(node, args, result)
            else:
                result = cls.forward(node, *args, **kwargs)
        outputs = result if isinstance(result, tuple) else (result,)
        if not recorded:
            return result
        node.tick = ticks()  # writes done inside forward come before what was saved
        placed = _place(node, outputs, args)
        node.saved = _saved(node, placed)
        if hook.active is not None:
            hook.active.recorded(node)
        if Anomaly.enabled:
            note_line(node)
        return tuple(placed) if isinstance(result, tuple) else placed[0]


def _place(node: FunctionNode, outputs: Sequence[object], args: tuple) -> list[object]:
    """The outputs with their edges to ``node``."""
    plain = {id(t) for t in node.non_differentiable}
    dirty = {id(t) for t in node.dirty}
    inputs = {id(a) for a in args if isinstance(a, Value)}
    single = len(outputs) == 1
    node.count = len(outputs)
    node.output_kinds = [
        (o._array.shape, o._array.dtype) if isinstance(o, Value) else None for o in outputs
    ]
    placed = []
    for i, o in enumerate(outputs):
        if not isinstance(o, Value) or id(o) in plain or o._array.dtype.kind in "biu":
            placed.append(o)
            continue
        edge = node if single else Output(node, i)
        if id(o) in dirty:
            rebase(o, edge)
        elif id(o) in inputs or o._edge is not None:
            o = wrap_view(o._array, o, edge)
        else:
            o._edge = edge
        placed.append(o)
    return placed


def _saved(node: FunctionNode, outputs: Sequence[object]) -> tuple | None:
    """What was to be saved; outputs as arrays, since a node must not hold its own results."""
    arrays = {id(o._array): o for o in outputs if isinstance(o, Value)}
    entries = []
    for t in node.to_save:
        output = None if t is None else arrays.get(id(t._array))
        if output is not None and output._edge is not None:
            edge = output._edge
            entries.append((t._array, t.counter(), None if edge is node else edge))
        else:
            entries.append(t)
    node.to_save = ()
    return tuple(entries) or None


class _Once(Node):
    """Refuses to differentiate the gradient of a ``once_differentiable`` backward."""

    def __init__(self, edges: tuple[Node | None, ...]) -> None:
        self.edges = edges
        self.saved = None
        self.watch = None
        self.tick = ticks()

    def backward(self, grad: Value) -> Sequence[Value | None]:
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable"
        )


def once_differentiable(function: Callable) -> Callable:
    """Decorator for ``backward``, which is not recorded: its derivative raises RuntimeError."""

    @functools.wraps(function)
    def wrapper(ctx: FunctionCtx, *grads: Value) -> object:
        with no_grad():
            outputs = function(ctx, *grads)
        edges = tuple(g._edge for g in grads if isinstance(g, Value) and g._edge is not None)
        if not state.grad or not edges:
            return outputs
        several = isinstance(outputs, tuple)
        results = []
        for o in outputs if several else (outputs,):
            results.append(wrap(o._array, _Once(edges)) if isinstance(o, Value) else o)
        return tuple(results) if several else results[0]

    return wrapper


class InplaceFunction(Function):
    """Kept for old programs: a Function with an ``inplace`` flag."""
