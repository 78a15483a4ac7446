"""Backward hooks of modules: two nodes in the graph, around what the module recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...core.modes import state
from ...core.tape import Node, Output
from ...core.value import Value, ticks, wrap_view

if TYPE_CHECKING:
    from .module import Module


class BackwardHook(Node):
    """Passes gradients on, and calls back with all of them."""

    __slots__ = ("call", "count")

    def __init__(self, values: Sequence[Value], call: object) -> None:
        self.edges = tuple(v._edge for v in values)
        self.count = len(values)
        self.saved = None
        self.watch = None
        self.call = call
        self.tick = ticks()

    def name(self) -> str:
        return "BackwardHookFunctionBackward"

    def backward(self, grad: list) -> Sequence[Value | None]:
        return self.call(tuple(grad))


class BackwardHooks:
    """The hooks of one call of a module."""

    def __init__(self, module: Module, hooks: dict, pre_hooks: dict) -> None:
        self.module = module
        self.hooks = list(hooks.values())
        self.pre_hooks = list(pre_hooks.values())
        self.grad_outputs: tuple | None = None
        self.input_count = 0
        self.input_places: list[int] = []

    def watch_inputs(self, args: tuple) -> tuple:
        """The arguments with a node between them and the module."""
        self.input_count = len(args)
        places = [i for i, a in enumerate(args) if isinstance(a, Value) and a._edge is not None]
        self.input_places = places
        if not places or not state.grad:
            return args
        return _through(args, places, self._inputs_known)

    def watch_outputs(self, result: Any) -> Any:
        """The results with a node between them and whoever uses them."""
        outputs = result if isinstance(result, tuple) else (result,)
        places = [i for i, o in enumerate(outputs) if isinstance(o, Value) and o._edge is not None]
        if not places or not state.grad:
            return result
        self.output_count, self.output_places = len(outputs), places
        watched = _through(outputs, places, self._outputs_known)
        return watched if isinstance(result, tuple) else watched[0]

    def _outputs_known(self, grads: tuple) -> tuple:
        full = _spread(grads, self.output_places, self.output_count)
        for hook in self.pre_hooks:
            changed = hook(self.module, full)
            if changed is not None:
                full = changed if isinstance(changed, tuple) else (changed,)
        self.grad_outputs = full
        if not self.input_places:
            self._call_hooks((None,) * self.input_count)
        return tuple(full[i] for i in self.output_places)

    def _inputs_known(self, grads: tuple) -> tuple:
        full = self._call_hooks(_spread(grads, self.input_places, self.input_count))
        return tuple(full[i] for i in self.input_places)

    def _call_hooks(self, grad_inputs: tuple) -> tuple:
        for hook in self.hooks:
            changed = hook(self.module, grad_inputs, self.grad_outputs)
            if changed is not None:
                grad_inputs = changed if isinstance(changed, tuple) else (changed,)
        return grad_inputs


def _spread(grads: tuple, places: list[int], count: int) -> tuple:
    full: list[Value | None] = [None] * count
    for place, g in zip(places, grads, strict=True):
        full[place] = g
    return tuple(full)


def _through(values: tuple, places: list[int], call: object) -> tuple:
    node = BackwardHook([values[i] for i in places], call)
    passed = list(values)
    for i, place in enumerate(places):
        passed[place] = wrap_view(values[place]._array, values[place], Output(node, i))
    return tuple(passed)
