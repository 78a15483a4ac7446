"""A tensor's side of autograd: requires_grad, grad, backward, hooks."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Sequence

import numpy as np

from ..core import tape
from ..core.modes import hook, state
from ..core.tape import Handle, Leaf, Node, Output, add_hook, watch
from ..core.value import Value, constant, wrap
from ._device import place_of


def root_gradient(root: Value, gradient: Value | None) -> Value:
    """The gradient that ``backward`` starts from: given, or 1 for a single element."""
    array = root._array
    if gradient is None:
        if array.size != 1:
            raise RuntimeError(
                "grad can be implicitly created only for scalar outputs\n"
                f"  this tensor has shape {tuple(array.shape)}; reduce it first, for example with "
                ".mean() or .sum(), or pass gradient= of the same shape"
            )
        if array.dtype.kind == "c":
            raise RuntimeError(
                "grad can be implicitly created only for real scalar outputs but got "
                f"{root.dtype!r}"
            )
        if not root.is_cpu:
            return root.new_ones(())
        return constant(np.ones(array.shape, array.dtype))
    if not isinstance(gradient, Value):
        raise TypeError(
            f"gradients can be either Tensors or None, but got {type(gradient).__name__}"
        )
    if gradient._array.shape != array.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[0] has a shape of {gradient.shape} and output[0] has "
            f"a shape of {root.shape}."
        )
    return gradient


def edge_of(tensor: Value, what: str = "element 0 of tensors") -> Node:
    """The edge that gradients of ``tensor`` go to; RuntimeError if it requires none."""
    if tensor._edge is None:
        raise RuntimeError(
            f"{what} does not require grad and does not have a grad_fn\n"
            "  nothing that it was computed from has requires_grad=True, or it was computed under "
            "torch.no_grad(), or detached on the way"
        )
    return tensor._edge


def input_edges(inputs: Sequence[Value]) -> list[Node]:
    """The edges of the tensors that ``backward(inputs=...)`` is restricted to."""
    if not inputs:
        raise RuntimeError("'inputs' argument to backward() cannot be empty.")
    for t in inputs:
        if t._edge is None:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    return [t._edge for t in inputs]


def keep_found(inputs: Sequence[Value], found: dict[Node, Value]) -> None:
    """Add to ``.grad`` of those ``inputs`` that are no leaves; the walk itself did the leaves."""
    for t in inputs:
        if type(t._edge) is not Leaf and t._edge in found:
            t._grad = found[t._edge] if t._grad is None else t._grad + found[t._edge]


class AutogradMethods:
    """Methods that have to do with gradients."""

    __slots__ = ()

    @property
    def requires_grad(self) -> bool:
        """Whether gradients are computed for this tensor."""
        return self._edge is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Value:
        """Begin (or stop) to record operations on this tensor; returns it.

        RuntimeError for integers, and for stopping at a tensor that an operation made.
        """
        edge = self._edge
        if requires_grad:
            if edge is None:
                if self._array.dtype.kind in "biu":
                    raise RuntimeError(
                        "only Tensors of floating point dtype can require gradients\n"
                        f"  this one is {self.dtype!r}; make it floating first, with .float()"
                    )
                if self._inference and not state.inference:
                    raise RuntimeError(
                        "Setting requires_grad=True on inference tensor outside InferenceMode is "
                        "not allowed."
                    )
                self._edge = Leaf(self)
        elif edge is not None:
            if type(edge) is not Leaf:
                raise RuntimeError(
                    "you can only change requires_grad flags of leaf variables. If you want to use "
                    "a computed variable in a subgraph that doesn't require differentiation use "
                    "var_no_grad = var.detach()."
                )
            self._edge = None
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this tensor."""
        edge = self._edge
        return edge is None or type(edge) is Leaf

    @property
    def grad_fn(self) -> Node | None:
        """The graph node of the operation that made this tensor; None for leaves."""
        edge = self._edge
        if edge is None or type(edge) is Leaf:
            return None
        return edge.edges[0] if type(edge) is Output else edge

    @property
    def output_nr(self) -> int:
        """Which result of ``grad_fn`` this tensor is."""
        return self._edge.index if type(self._edge) is Output else 0

    @property
    def grad(self) -> Value | None:
        """The gradient that ``backward`` has summed up here so far."""
        if hook.active is not None:
            hook.active.graded(self)
        found = self._grad
        if found is None and not self.is_leaf and not self._retains_grad:
            warnings.warn(
                "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its "
                ".grad attribute won't be populated during autograd.backward(). If you indeed want "
                "the .grad field to be populated for a non-leaf Tensor, use .retain_grad() on the "
                "non-leaf Tensor.",
                UserWarning,
                stacklevel=2,
            )
        return found

    @grad.setter
    def grad(self, value: Value | None) -> None:
        if value is not None:
            if not isinstance(value, Value):
                raise TypeError(
                    "assigned grad expected to be a Tensor or None but got grad of type "
                    f"{type(value).__name__}"
                )
            if value is self:
                raise RuntimeError("can't assign Variable as its own grad")
            if value._array.dtype != self._array.dtype:
                raise RuntimeError(
                    f"attempting to assign a gradient with dtype '{value.dtype.name}' to a tensor "
                    f"with grad_dtype '{self.dtype.name}'. The gradient must match the tensor's "
                    "dtype\n  use grad.to(tensor.dtype)"
                )
            if value._array.shape != self._array.shape:
                raise RuntimeError(
                    f"attempting to assign a gradient of size '{list(value.shape)}' to a tensor of "
                    f"size '{list(self.shape)}'. Please ensure that the gradient and the tensor "
                    "are the same size"
                )
            if place_of(value._array) is not place_of(self._array):
                raise RuntimeError(
                    "attempting to assign a gradient with device type "
                    f"'{value.device.type}' to a tensor with device type '{self.device.type}'. "
                    "Please ensure that the gradient and the tensor are on the same device"
                )
        if hook.active is not None:
            hook.active.graded(self)
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        if hook.active is not None:
            hook.active.graded(self)
        self._grad = None

    def backward(
        self,
        gradient: Value | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Value | Sequence[Value] | None = None,
    ) -> None:
        """Add d(self)/d(leaf) to ``.grad`` of every leaf this tensor was computed from.

        ``gradient``: d(anything)/d(self), needed unless self has one element. ``retain_graph``:
        leave the graph usable again. ``create_graph``: record the gradients, to be differentiated
        themselves. ``inputs``: add only to these tensors.
        Source: https://docs.pytorch.org/docs/stable/generated/torch.Tensor.backward.html
        """
        edge = edge_of(self, "element 0 of tensors")
        if inputs is not None:
            inputs = [inputs] if isinstance(inputs, Value) else list(inputs)
        found = tape.backward(
            (edge,),
            (root_gradient(self, gradient),),
            keep=create_graph if retain_graph is None else retain_graph,
            create=create_graph,
            targets=None if inputs is None else input_edges(inputs),
        )
        keep_found(inputs or (), found)

    def retain_grad(self) -> None:
        """Keep ``.grad`` here too, though an operation made this tensor."""
        if self._edge is None:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if self.is_leaf or self._retains_grad:
            return
        self._retains_grad = True
        watch(self._edge).retain.append(weakref.ref(self))

    @property
    def retains_grad(self) -> bool:
        """Whether ``.grad`` will be kept though this is no leaf."""
        return self._retains_grad

    def register_hook(self, hook: Callable[[Value], Value | None]) -> Handle:
        """Call ``hook(grad)`` each time this tensor's gradient is known; it may return another."""
        if self._edge is None:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        return add_hook(watch(self._edge).tensor, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Value], None]) -> Handle:
        """Call ``hook(self)`` after ``.grad`` has been added to. Only for leaves."""
        if self._edge is None:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if not self.is_leaf:
            raise RuntimeError(
                "post accumulate grad hooks cannot be registered on non-leaf tensors"
            )
        return add_hook(watch(self._edge).accumulated, hook)

    def detach(self) -> Value:
        """The same memory outside the graph: no gradient flows through the result."""
        array = self._array
        out = wrap(array if array.__class__ is np.ndarray else array.detached())
        out._shares = self
        if self._inference:
            out._inference = True
        return out

    def detach_(self) -> Value:
        """Cut this tensor out of the graph that made it; returns it."""
        if self._base is not None and self._view_kind == "multiple":
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        self._edge = None
        return self

    @property
    def data(self) -> Value:
        """The same memory outside the graph; writes through it are not seen by autograd."""
        return wrap(self._array)

    @data.setter
    def data(self, value: Value) -> None:
        if not isinstance(value, Value):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        if type(self._edge) is Leaf and value._array.dtype.kind in "biu":
            raise RuntimeError(
                "data set to a tensor that requires gradients must be floating point or complex "
                "dtype"
            )
        self._array = value._array

    @property
    def _version(self) -> int:
        """How often this tensor's memory was written to by in-place operations."""
        return self.counter().count

    def _is_view(self) -> bool:
        return self._base is not None

    def is_inference(self) -> bool:
        """Whether this tensor was made in ``inference_mode``."""
        return self._inference
