"""The tape: nodes that remember how a tensor was made, and the walk back over them.

Every recorded operation makes one Node. Its ``edges`` lead to the nodes that made its inputs;
``saved`` holds what its gradient needs, and nothing else. A tensor that the user asked to
require grad has a Leaf at the end of the chain, and an operation with several results puts
one Output between its node and each of them.
"""

from __future__ import annotations

import importlib
import linecache
import weakref
from collections.abc import Callable, Collection, Sequence
from sys import _getframe, getrefcount

import numpy as np

from .modes import Edits, state
from .modes import hook as _hook
from .value import Value, ticks, wrap

FREED = ("freed",)  # stands in Node.saved once backward has used it up


class Node:
    """One recorded operation. Subclasses know how to run its gradient."""

    __slots__ = ("__weakref__", "edges", "saved", "tick", "watch")

    def backward(self, grad: Value | None) -> Sequence[Value | None]:
        """Gradients for ``edges``, given the gradient of the result."""
        raise NotImplementedError

    def name(self) -> str:
        """The name that PyTorch shows in a tensor's repr, such as ``MulBackward0``."""
        return type(self).__name__

    @property
    def label(self) -> str:
        """The name as a tensor's repr shows it: without C++ namespaces."""
        return self.name().rpartition("::")[2]

    def release(self) -> None:
        """Forget what the gradient needed; a second backward through here then raises."""
        if self.saved is not None:
            self.saved = FREED
            self.edges = ()

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        """The nodes that made the inputs, each with the number of its output."""
        return tuple((e.edges[0], e.index) if type(e) is Output else (e, 0) for e in self.edges)

    @property
    def metadata(self) -> dict:
        """A dictionary for the user's own notes on this node."""
        return watch(self).metadata

    def register_hook(self, hook: Callable) -> Handle:
        """Call ``hook(grad_inputs, grad_outputs)`` after this node's gradient has run."""
        return add_hook(watch(self).post, hook)

    def register_prehook(self, hook: Callable) -> Handle:
        """Call ``hook(grad_outputs)`` before this node's gradient runs."""
        return add_hook(watch(self).pre, hook)

    def __repr__(self) -> str:
        return f"<{self.label} object at {id(self):#x}>"


class Watch:
    """What users and anomaly mode attach to a node; most nodes have none."""

    __slots__ = ("accumulated", "line", "metadata", "post", "pre", "retain", "tensor")

    def __init__(self) -> None:
        self.pre: dict = {}  # before the gradient runs
        self.post: dict = {}  # after it
        self.tensor: dict = {}  # Tensor.register_hook
        self.accumulated: dict = {}  # after a leaf's .grad was added to
        self.retain: list = []  # weak references to tensors that called retain_grad()
        self.line: str | None = None  # the forward call, in anomaly mode
        self.metadata: dict = {}


def watch(node: Node) -> Watch:
    """The node's Watch, made when it is first asked for."""
    if node.watch is None:
        node.watch = Watch()
    return node.watch


class Leaf(Node):
    """The end of the chain: a tensor that requires grad and was made by no operation."""

    __slots__ = ("variable_ref",)

    def __init__(self, variable: Value) -> None:
        self.variable_ref = weakref.ref(variable)
        self.edges = ()
        self.saved = None
        self.watch = None
        self.tick = ticks()

    @property
    def variable(self) -> Value | None:
        """The tensor whose ``.grad`` is added to."""
        return self.variable_ref()

    def name(self) -> str:
        return "torch::autograd::AccumulateGrad"


class Output(Node):
    """One result of an operation that has several: passes its gradient to place ``index``."""

    __slots__ = ("index",)

    def __init__(self, node: Node, index: int) -> None:
        self.edges = (node,)
        self.index = index
        self.saved = None
        self.watch = None
        self.tick = ticks()

    def name(self) -> str:
        return self.edges[0].name()


class Handle:
    """What registering a hook returns: ``remove()`` takes the hook away again."""

    __slots__ = ("hooks", "key")

    def __init__(self, hooks: dict, key: int) -> None:
        self.hooks = hooks
        self.key = key

    def remove(self) -> None:
        """Take the hook away. A second call does nothing."""
        self.hooks.pop(self.key, None)
        Edits.count += 1

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def add_hook(hooks: dict, hook: Callable) -> Handle:
    """Put ``hook`` last among ``hooks``; the handle takes it away."""
    key = ticks()
    hooks[key] = hook
    Edits.count += 1
    return Handle(hooks, key)


# ---- anomaly mode --------------------------------------------------------------------------


class Anomaly:
    """Switches of ``autograd.detect_anomaly``."""

    enabled = False
    check_nan = True


def note_line(node: Node) -> None:
    """Remember the forward call of ``node`` (anomaly mode only)."""
    frame = _getframe(2)
    lines = []
    while frame is not None:
        file, number = frame.f_code.co_filename, frame.f_lineno
        source = linecache.getline(file, number).strip()
        lines.append(f'  File "{file}", line {number}, in {frame.f_code.co_name}\n    {source}\n')
        frame = frame.f_back
    watch(node).line = "".join(reversed(lines))


# ---- the walk back -------------------------------------------------------------------------


def _order(roots: Sequence[Node]) -> list[Node]:
    """Every node that ``roots`` lead to, newest first: a node is always newer than its inputs."""
    seen = set(roots)
    stack = list(seen)
    while stack:
        for edge in stack.pop().edges:
            if edge is not None and edge not in seen:
                seen.add(edge)
                stack.append(edge)
    return sorted(seen, key=_tick, reverse=True)


def _tick(node: Node) -> int:
    return node.tick


def _useful(order: list[Node], targets: set[Node]) -> set[Node]:
    """The nodes of ``order`` from which a target can be reached."""
    useful = set(targets)
    for node in reversed(order):
        if any(e in useful for e in node.edges if e is not None):
            useful.add(node)
    return useful


def backward(
    roots: Sequence[Node],
    grads: Sequence[Value],
    *,
    keep: bool = False,
    create: bool = False,
    targets: Sequence[Node] | None = None,
    accumulate: bool = True,
    ends: Collection[Node] = (),
) -> dict[Node, Value]:
    """Carry ``grads`` from ``roots`` to the leaves.

    ``keep``        leave what nodes saved, so that the walk can be done again
    ``create``      record the gradients' own operations, for higher derivatives
    ``targets``     walk only to these nodes, and return their gradients
    ``accumulate``  add into ``.grad`` of the leaves reached (only of targets, if given)
    ``ends``        targets that the walk does not go beyond
    """
    pending: dict[Node, Value | list] = {}
    owned: set[Node] = set()  # sums made here, which may be added to in place
    found: dict[Node, Value] = {}
    order = _order(roots)
    wanted = None if targets is None else set(targets)
    useful = None if wanted is None else _useful(order, wanted)
    before, targeted, after = state.grad, state.targeted, state.after
    state.grad, state.targeted = create, targets is not None
    if after is None:
        state.after = []
    try:
        for root, grad in zip(roots, grads, strict=True):
            _collect(pending, owned, root, grad, create)
        for node in order:
            grad = pending.pop(node, None)
            if grad is None or (useful is not None and node not in useful):
                continue
            kind = type(node)
            notes = node.watch
            if kind is Output:
                if notes is not None:
                    grad = _run_tensor_hooks(notes, grad)
                if wanted is not None and node in wanted:
                    found[node] = grad
                    if node in ends:
                        continue
                parent = node.edges[0]
                slots = pending.get(parent)
                if slots is None:
                    slots = pending[parent] = [None] * parent.count
                first = slots[node.index]  # a result that its gradient keeps has an edge of its own
                slots[node.index] = grad if first is None else first + grad
                continue
            if notes is not None and type(grad) is not list:
                grad = _run_tensor_hooks(notes, grad)
            if wanted is not None and node in wanted:
                found[node] = grad
                if node in ends:
                    continue
            if kind is Leaf:
                if accumulate and (wanted is None or node in wanted):
                    _accumulate(node, grad, create)
                continue
            if node.saved is FREED:
                raise _second_time(node, roots, order)
            if _hook.active is not None:
                _hook.active.reached(node, grad)
            if notes is None:
                results = node.backward(grad)
            else:
                results = _backward_watched(node, notes, grad)
            if Anomaly.enabled and Anomaly.check_nan:
                _check_nan(node, results)
            grad = None
            for edge, result in zip(node.edges, results):
                if result is not None and edge is not None:
                    if edge in pending:
                        _collect(pending, owned, edge, result, create)
                    else:
                        pending[edge] = result
            results = result = None  # so that a leaf may keep the last array without a copy
            if not keep and node.saved is not None:
                node.release()
        if after is None:
            for callback in state.after:
                callback()
    finally:
        state.grad, state.targeted, state.after = before, targeted, after
        if _hook.active is not None:
            _hook.active.reached(None, None)
    return found


def _collect(pending: dict, owned: set, edge: Node, grad: Value, create: bool) -> None:
    """Add ``grad`` to what has already arrived at ``edge``."""
    first = pending.get(edge)
    if first is None:
        pending[edge] = grad
    elif edge in owned and _hook.active is None:
        if first._array.dtype == grad._array.dtype:
            np.add(first._array, grad._array, out=first._array)
        else:
            pending[edge] = first + grad
    else:
        pending[edge] = first + grad
        if not create and pending[edge]._array.flags.owndata:
            owned.add(edge)


def _run_tensor_hooks(notes: Watch, grad: Value) -> Value:
    """The hooks that ``Tensor.register_hook`` put here, then ``retain_grad``."""
    for hook in list(notes.tensor.values()):
        changed = hook(grad)
        if changed is None:
            continue
        if not isinstance(changed, Value):
            raise TypeError(
                f"a tensor hook must return None or a Tensor, got {type(changed).__name__}"
            )
        if changed._array.shape != grad._array.shape:
            name = getattr(hook, "__name__", repr(hook))
            raise RuntimeError(f"hook '{name}' has changed the size of value")
        grad = changed
    for reference in notes.retain:
        tensor = reference()
        if tensor is not None:
            tensor._grad = grad if tensor._grad is None else tensor._grad + grad
    return grad


def _backward_watched(node: Node, notes: Watch, grad: Value | list) -> Sequence[Value | None]:
    """The node's gradient with the user's hooks around it and the forward line on an error."""
    many = type(grad) is list
    grads = tuple(grad) if many else (grad,)
    for hook in list(notes.pre.values()):
        changed = hook(grads)
        if changed is not None:
            grads = tuple(changed) if isinstance(changed, (tuple, list)) else (changed,)
    try:
        results = node.backward(list(grads) if many else grads[0])
    except Exception as error:
        if notes.line is not None:
            error.add_note(f"{node.name()} was recorded by the forward call at:\n{notes.line}")
        raise
    for hook in list(notes.post.values()):
        changed = hook(tuple(results), grads)
        if changed is not None:
            results = tuple(changed) if isinstance(changed, (tuple, list)) else (changed,)
    return results


def _accumulate(node: Leaf, grad: Value, create: bool) -> None:
    """Add ``grad`` to ``.grad`` of the leaf's tensor, or make it its ``.grad``."""
    variable = node.variable_ref()
    if variable is None:
        return
    array = grad._array
    old = variable._grad
    if array.dtype != variable._array.dtype:
        grad = grad.to(variable.dtype)
        array = grad._array
    if _hook.active is not None:
        _hook.active.graded(variable)
    if _hook.active is not None and not create:
        if old is None:
            variable._grad = grad.clone()
            variable._grad._edge = None
        elif old._edge is None:
            old.copy_(old + grad)
        else:
            variable._grad = old + grad
    elif create:
        variable._grad = grad if old is None else old + grad
    elif old is None:
        # Keep the array itself if nobody else has it: this tensor (3 references: the walk's,
        # ours, getrefcount's) must be its only holder (3: the tensor's, ours, getrefcount's).
        alone = array.base is None and getrefcount(grad) <= 3 and getrefcount(array) <= 3
        variable._grad = wrap(array if alone else array.copy(order="K"))
    elif old._edge is None:
        np.add(old._array, array, out=old._array)
        old.counter().bump("AccumulateGrad")
    else:
        variable._grad = old + grad
    if node.watch is not None:
        for hook in list(node.watch.accumulated.values()):
            hook(variable)


def _check_nan(node: Node, results: Sequence) -> None:
    for i, result in enumerate(results):
        if result is not None and result._array.dtype.kind in "fc":
            array = result._array
            own = array.__class__ is np.ndarray
            if (array != array).any() if own else bool((result != result).any()):
                error = RuntimeError(
                    f"Function '{node.name()}' returned nan values in its {i}th output."
                )
                if node.watch is not None and node.watch.line is not None:
                    error.add_note(f"the forward call was at:\n{node.watch.line}")
                raise error


def made_by(node: Node) -> str:
    """The operation of ``node`` as PyTorch's messages name it: ``Exp`` of ``ExpBackward0``."""
    name = node.name()
    return name.rstrip("0123456789").removesuffix("Backward") or name


def held_by(wanted: Callable[[Value], bool]) -> str | None:
    """The user's variable that holds a tensor which is ``wanted``: ``whereabouts.named``."""
    return importlib.import_module(f"{__package__}.whereabouts").named(wanted)


def called_at(operation: str) -> str | None:
    """The user's lines that seem to call ``operation``: ``whereabouts.calls_of``."""
    return importlib.import_module(f"{__package__}.whereabouts").calls_of(operation)


def _second_time(node: Node, roots: Sequence[Node], order: Sequence[Node]) -> RuntimeError:
    """``node`` has been used up. Name the variable that led there, where the user's variables tell:
    what a loop carries has been made anew, by the same operation, in the graph walked now."""
    walked = set(order).difference(roots)

    def made_alike(value: Value) -> bool:
        makers = () if value._edge is None else (value._edge, *value._edge.edges)
        makers = [m.edges[0] if type(m) is Output else m for m in makers if m is not None]
        return any(m in walked and m is not node and m.name() == node.name() for m in makers)

    held = held_by(made_alike)
    reason = f"{held} carries the graph of one step into the next: .detach() it between them"
    if held is None:
        held = held_by(lambda value: value._edge in roots)
        reason = f"{held}, or what it was made from, has been through backward before"
    if held is None:
        made = getattr(getattr(node, "op", None), "name", None)
        line = None if made is None else called_at(made)
        reason = "" if line is None else f"{made} is called at {line}; "
        reason += "if a loop carries a tensor from one step to the next, .detach() it there"
    return RuntimeError(
        "Trying to backward through the graph a second time (or directly access saved tensors "
        "after they have already been freed). Saved intermediate values of the graph are freed "
        "when you call .backward() or autograd.grad(). Specify retain_graph=True if you need to "
        "backward through the graph a second time or if you need to access saved tensors after "
        "calling backward.\n"
        f"  reached {node.name()}, which an earlier backward has used up; {reason}"
    )
