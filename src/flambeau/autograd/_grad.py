"""Gradients as values: ``autograd.grad`` and ``autograd.backward``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core import tape
from ..core.modes import state
from ..core.value import Value, wrap
from ..tensor._autograd import edge_of, input_edges, keep_found, root_gradient

TensorOrTensors = Value | Sequence[Value]


def _listed(values: object, name: str) -> list:
    if isinstance(values, Value):
        return [values]
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"{name} must be a Tensor or a sequence of Tensors, got {type(values)}")
    return list(values)


def _gradients(outputs: list[Value], given: object) -> list[Value]:
    """One gradient to start from for every output."""
    grads = [None] * len(outputs) if given is None else _listed(given, "grad_outputs")
    if len(grads) != len(outputs):
        raise RuntimeError(
            f"got {len(outputs)} tensors and {len(grads)} gradients: there must be one for each"
        )
    return [root_gradient(o, g) for o, g in zip(outputs, grads, strict=True)]


def backward(
    tensors: TensorOrTensors,
    grad_tensors: TensorOrTensors | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: TensorOrTensors | None = None,
) -> None:
    """Add the gradients of the sum of ``tensors`` to ``.grad`` of the leaves they come from.

    Arguments as for ``Tensor.backward``; ``grad_tensors`` has one gradient for each tensor.
    """
    roots = _listed(tensors, "tensors")
    edges = [edge_of(t, f"element {i} of tensors") for i, t in enumerate(roots)]
    targets = None if inputs is None else input_edges(_listed(inputs, "inputs"))
    found = tape.backward(
        edges,
        _gradients(roots, grad_tensors),
        keep=create_graph if retain_graph is None else retain_graph,
        create=create_graph,
        targets=targets,
    )
    keep_found(() if inputs is None else _listed(inputs, "inputs"), found)


def grad(
    outputs: TensorOrTensors,
    inputs: TensorOrTensors,
    grad_outputs: TensorOrTensors | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Value | None, ...]:
    """The gradients of the sum of ``outputs`` with respect to ``inputs``; ``.grad`` is not touched.

    ``allow_unused``: None for an input that no output depends on (else RuntimeError);
    ``materialize_grads``: zeros for it. ``is_grads_batched``: ``grad_outputs`` have a first
    dimension more, and so have the results.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad.html
    """
    roots, wanted = _listed(outputs, "outputs"), _listed(inputs, "inputs")
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: "
            "allow_unused=False."
        )
    allow_unused = materialize_grads if allow_unused is None else allow_unused
    if not wanted:
        raise ValueError("grad requires non-empty inputs.")
    keep = create_graph if retain_graph is None else retain_graph
    if is_grads_batched:
        return _batched(roots, wanted, grad_outputs, keep, create_graph, allow_unused,
                        materialize_grads)  # fmt: skip
    for t in wanted:
        if t._edge is None:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    edges = [edge_of(t, f"element {i} of tensors") for i, t in enumerate(roots)]
    grads = _gradients(roots, grad_outputs)
    targets = [t._edge for t in wanted]
    found = tape.backward(
        edges, grads, keep=keep, create=create_graph, targets=targets, accumulate=False
    )
    results = []
    for i, t in enumerate(wanted):
        g = found.get(t._edge)
        if g is None:
            if not allow_unused:
                raise RuntimeError(
                    f"The differentiated Tensor at index {i} appears to not have been used in the "
                    "graph. Set allow_unused=True if this is the desired behavior.\n"
                    f"  inputs[{i}], of shape {tuple(t.shape)}, does not lead to any output"
                )
            if materialize_grads:
                g = wrap(np.zeros_like(t._array))
        elif g._array.dtype != t._array.dtype:
            g = g.to(t.dtype)
        results.append(g)
    return tuple(results)


def _batched(
    roots: list[Value],
    wanted: list[Value],
    grad_outputs: object,
    keep: bool,
    create: bool,
    allow_unused: bool,
    materialize: bool,
) -> tuple[Value | None, ...]:
    """One backward for each row of the gradients, stacked."""
    batches = _listed(grad_outputs, "grad_outputs")
    count = batches[0].shape[0]
    rows = []
    for i in range(count):
        row = [None if g is None else g[i] for g in batches]
        last = i == count - 1
        rows.append(
            grad(
                roots, wanted, row, keep or not last, create, True, allow_unused, False, materialize
            )  # fmt: skip
        )
    results = []
    for column in zip(*rows, strict=True):
        if column[0] is None:
            results.append(None)
            continue
        stacked = [g.unsqueeze(0) for g in column]
        total = wrap(np.concatenate([g._array for g in stacked]))
        if create and state.grad:
            total = _concatenated(stacked)
        results.append(total)
    return tuple(results)


def _concatenated(rows: list[Value]) -> Value:
    """The rows in one tensor, on the tape."""
    zeros = wrap(np.zeros((len(rows), *rows[0].shape[1:]), rows[0]._array.dtype))
    total = zeros
    for i, row in enumerate(rows):
        place = np.zeros((len(rows),) + (1,) * (row.dim() - 1), rows[0]._array.dtype)
        place[i] = 1
        total = total + row * wrap(place)
    return total
