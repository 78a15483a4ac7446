"""The graph's nodes, and what can be done at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..core.tape import Node, Output
from ..core.value import Value
from ._saved import (
    allow_mutation_on_saved_tensors,
    disable_saved_tensors_hooks,
    register_multi_grad_hook,
    save_on_cpu,
    saved_tensors_hooks,
)


class GradientEdge(NamedTuple):
    """A place in the graph: a node and the number of its output."""

    node: Node
    output_nr: int


def get_gradient_edge(tensor: Value) -> GradientEdge:
    """The edge at which the gradient of ``tensor`` arrives."""
    edge = tensor._edge
    if edge is None:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not "
                           "require gradients")  # fmt: skip
    if type(edge) is Output:
        return GradientEdge(edge.edges[0], edge.index)
    return GradientEdge(edge, 0)


def increment_version(tensor: Value | Sequence[Value]) -> None:
    """Tell autograd that the memory of ``tensor`` was written to behind its back."""
    for t in [tensor] if isinstance(tensor, Value) else tensor:
        t.counter().bump("increment_version")


__all__ = [
    "GradientEdge", "Node", "allow_mutation_on_saved_tensors", "disable_saved_tensors_hooks",
    "get_gradient_edge", "increment_version", "register_multi_grad_hook", "save_on_cpu",
    "saved_tensors_hooks",
]  # fmt: skip
