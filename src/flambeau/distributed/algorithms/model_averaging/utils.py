"""The average of parameters over the ranks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ....core.modes import no_grad
from ....core.value import Value
from ..._collectives import ReduceOp, all_reduce_coalesced
from ..._group import ProcessGroup, the_group

Groups = Iterable[Value] | Iterable[dict[str, Any]]


def average_parameters(params: Iterable[Value], process_group: ProcessGroup | None = None) -> None:
    """Every one of ``params`` becomes its mean over the ranks."""
    found = the_group(process_group)
    if found is None or found.size() == 1:
        return
    tensors = [p.detach() for p in params]
    if tensors:
        with no_grad():
            all_reduce_coalesced(tensors, ReduceOp.SUM, found)
            for tensor in tensors:
                tensor.div_(found.size())


def get_params_to_average(params: Groups) -> list[Value]:
    """The parameters among ``params``, or in the groups of an optimizer, that have a gradient."""
    found: list[Value] = []
    for item in params:
        if isinstance(item, Value):
            found += [item] if item.grad is not None else []
        elif isinstance(item, dict):
            found += [p for p in item["params"] if p.grad is not None]
        else:
            raise NotImplementedError(f"Parameter input of type {type(item)} is not supported")
    return found


def average_parameters_or_parameter_groups(
    params: Groups, process_group: ProcessGroup | None = None
) -> None:
    """``average_parameters`` of those that have a gradient."""
    average_parameters(iter(get_params_to_average(params)), process_group)


__all__ = ["average_parameters", "average_parameters_or_parameter_groups", "get_params_to_average"]
