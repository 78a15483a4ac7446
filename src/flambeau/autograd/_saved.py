"""What users do with the tensors that nodes save: ``graph.saved_tensors_hooks`` and its kin.

The hooks are an interpreter: after each operation that has been recorded, what its node saved is
given to the pack hook, and the node gets a class that asks the unpack hook first.
Source: https://docs.pytorch.org/docs/stable/autograd.html#hooks-for-saved-tensors
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.modes import Interpreter, hook
from ..core.op import _SavedOutput
from ..core.tape import FREED, Handle, Node, Output, add_hook, watch
from ..core.value import Value, Version, wrap
from .function import FunctionNode


class _Stack(threading.local):
    """The hooks in force in this thread; the last ones count. ``refused``: why none may be set."""

    def __init__(self) -> None:
        self.hooks: list[saved_tensors_hooks] = []
        self.refused: str | None = None


_stack = _Stack()


class _Packed:
    """What the pack hook made of one tensor, and how to get it back."""

    __slots__ = ("as_array", "edge", "held", "unpack")

    def __init__(
        self, tensor: Value, hooks: saved_tensors_hooks, as_array: bool, node: Node
    ) -> None:
        self.held = hooks.pack_hook(tensor)
        self.unpack = hooks.unpack_hook
        self.as_array = as_array
        self.edge = tensor._edge if tensor._edge is not node else None

    def get(self) -> Value | np.ndarray:
        """The tensor, in its place in the graph; only its array where the node saved one."""
        tensor = self.unpack(self.held)
        if not isinstance(tensor, Value):
            raise TypeError(
                "Output of saved tensor unpack_hook expected to be a Tensor but got result of "
                f"type {type(tensor).__name__}"
            )
        return tensor._array if self.as_array else wrap(tensor._array, self.edge)


class _PackedOutputs:
    """``_SavedOutput`` with its arrays packed."""

    __slots__ = ("entries", "single")

    def __init__(self, saved: _SavedOutput, hooks: saved_tensors_hooks, node: Node) -> None:
        self.single = saved.single
        self.entries = [_Packed(wrap(a, node), hooks, True, node) for a in saved.arrays]

    def get(self) -> _SavedOutput:
        """The results as the node saved them."""
        return _SavedOutput([wrap(e.get()) for e in self.entries], self.single)


def _pack(entry: Any, hooks: saved_tensors_hooks, node: Node) -> Any:
    """``entry`` of ``Node.saved`` with everything that holds elements packed."""
    if isinstance(entry, Value):
        return _Packed(entry, hooks, False, node)
    if isinstance(entry, np.ndarray):
        return _Packed(wrap(entry, node), hooks, True, node)
    if type(entry) is _SavedOutput:
        return _PackedOutputs(entry, hooks, node)
    if type(entry) in (tuple, list):
        return type(entry)([_pack(e, hooks, node) for e in entry])
    return entry


def _unpack(entry: Any) -> Any:
    if type(entry) is _Packed or type(entry) is _PackedOutputs:
        return entry.get()
    if type(entry) in (tuple, list):
        return type(entry)([_unpack(e) for e in entry])
    if type(entry) is Version:  # what was unpacked is whole: writes since then do not matter
        return Version()
    return entry


def _holds(entry: Any) -> bool:
    if type(entry) in (tuple, list):
        return any(map(_holds, entry))
    return type(entry) in (_Packed, _PackedOutputs)


@functools.cache
def _unpacking(own: type[Node]) -> type[Node]:
    """The class of nodes like ``own`` whose ``saved`` is packed."""

    def backward(self: Node, grad: Value | list) -> Sequence[Value | None]:
        packed = self.saved
        self.saved = _unpack(packed)
        try:
            return own.backward(self, grad)
        finally:
            self.saved = packed

    def release(self: Node) -> None:
        self.saved = FREED
        self.edges = ()

    def saved_tensors(self: Node) -> tuple[Value | None, ...]:
        packed = self.saved
        if packed is not FREED:
            self.saved = _unpack(packed)
        try:
            return FunctionNode.saved_tensors.fget(self)
        finally:
            self.saved = packed

    members: dict = {"__slots__": (), "__doc__": own.__doc__, "release": release}
    if issubclass(own, FunctionNode):
        members["saved_tensors"] = members["saved_variables"] = property(saved_tensors)
    else:
        members["backward"] = backward
    return type(own.__name__, (own,), members)


class saved_tensors_hooks(Interpreter):
    """Inside, what operations save for backward is what ``pack_hook(tensor)`` returns; when the
    gradient needs it, ``unpack_hook`` of that must return the tensor.

    Nested, the inner hooks alone count. A node that has unpacked its tensors for one backward asks
    again in the next.
    Source: https://docs.pytorch.org/docs/stable/autograd.html#torch.autograd.graph.saved_tensors_hooks
    """

    def __init__(
        self, pack_hook: Callable[[Value], Any], unpack_hook: Callable[[Any], Value]
    ) -> None:
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self) -> saved_tensors_hooks:
        if _stack.refused is not None:
            raise RuntimeError(_stack.refused)
        _stack.hooks.append(self)
        super().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        _stack.hooks.pop()
        super().__exit__(*error)

    def run(self, op: Any, plain: Callable[..., Any], args: tuple) -> Any:
        """See Interpreter."""
        result = self.onward(op, plain, args)
        first = result
        if type(result) is tuple:
            first = next((r for r in result if r._edge is not None), None)
        if isinstance(first, Value):
            edge = first._edge
            self.recorded(edge.edges[0] if type(edge) is Output else edge)
        return result

    def recorded(self, node: Node | None) -> None:
        """See Interpreter."""
        if node is None or _stack.hooks[-1:] != [self] or not getattr(node, "saved", None):
            return
        if node.saved is FREED or _holds(node.saved):
            return
        active, hook.active = hook.active, self.below
        try:
            packed = _pack(node.saved, self, node)
        finally:
            hook.active = active
        if _holds(packed):
            node.saved = packed
            node.__class__ = _unpacking(type(node))


class save_on_cpu(saved_tensors_hooks):
    """Inside, operations save copies of tensors in CPU memory (``pin_memory`` is accepted)."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(_copy, _itself)


class allow_mutation_on_saved_tensors(saved_tensors_hooks):
    """Inside, tensors that were saved for backward may be changed in place: copies are saved."""

    def __init__(self) -> None:
        super().__init__(_copy, _itself)


def _copy(tensor: Value) -> Value:
    return wrap(tensor._array.copy(order="K"))


def _itself(tensor: Value) -> Value:
    return tensor


class disable_saved_tensors_hooks:
    """Inside, ``saved_tensors_hooks`` raise RuntimeError with ``error_message``."""

    def __init__(self, error_message: str) -> None:
        self.error_message = error_message

    def __enter__(self) -> None:
        self.before = _stack.refused
        if _stack.hooks:
            raise RuntimeError(self.error_message)
        _stack.refused = self.error_message

    def __exit__(self, *error: object) -> None:
        _stack.refused = self.before


def register_multi_grad_hook(
    tensors: Sequence[Value], fn: Callable[..., None], *, mode: str = "all"
) -> _Handles:
    """Call ``fn`` with the gradients of ``tensors`` (None where there is none yet) once each of
    them that takes part has arrived; ``mode="any"``: with the first that arrives.

    A backward's end is not seen: with "all", every one of the tensors must take part.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    tensors = list(tensors)
    for t in tensors:
        if t._edge is None:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    grads: list[Value | None] = [None] * len(tensors)
    done = [False]

    def arrived(index: int, grad: Value) -> None:
        if mode == "any":
            if not done[0]:
                done[0] = True
                fn(grad)
            return
        grads[index] = grad
        if all(g is not None for g in grads):
            given = list(grads)
            grads[:] = [None] * len(grads)
            fn(given)

    handles = [
        add_hook(watch(t._edge).tensor, functools.partial(arrived, i))
        for i, t in enumerate(tensors)
    ]
    return _Handles(handles)


class _Handles:
    """Several handles as one."""

    def __init__(self, handles: list[Handle]) -> None:
        self.handles = handles

    def remove(self) -> None:
        """Take all the hooks away."""
        for handle in self.handles:
            handle.remove()
