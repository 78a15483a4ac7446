"""Collectives that return new tensors and let gradients through."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.value import Value
from .._collectives import ReduceOp, _one, _root, _tensor
from .._group import ProcessGroup, the_group


def _own(tensor: Value, group: ProcessGroup | None) -> Value:
    the_group(group)
    return _tensor(tensor, "tensor").clone()


def all_reduce(
    tensor: Value, op: ReduceOp = ReduceOp.SUM, group: ProcessGroup | None = None
) -> Value:
    """The reduction of all ranks' tensors; its gradient is reduced, too."""
    return _own(tensor, group)


def reduce(
    tensor: Value, dst: int, op: ReduceOp = ReduceOp.SUM, group: ProcessGroup | None = None
) -> Value:
    """The reduction of all ranks' tensors, on rank ``dst``."""
    result = _own(tensor, group)
    _root("reduce", dst, None)
    return result


def broadcast(tensor: Value, src: int, group: ProcessGroup | None = None) -> Value:
    """Rank ``src``'s tensor."""
    result = _own(tensor, group)
    _root("broadcast", src, None)
    return result


def all_gather(tensor: Value, group: ProcessGroup | None = None) -> tuple[Value, ...]:
    """All ranks' tensors, in order."""
    return (_own(tensor, group),)


def gather(tensor: Value, dst: int = 0, group: ProcessGroup | None = None) -> tuple[Value, ...]:
    """All ranks' tensors, on rank ``dst``."""
    result = _own(tensor, group)
    _root("gather", dst, None)
    return (result,)


def scatter(tensors: Sequence[Value], src: int = 0, group: ProcessGroup | None = None) -> Value:
    """Entry i of rank ``src``'s list, on rank i."""
    result = _own(_one("scatter", tensors), group)
    _root("scatter", src, None)
    return result


__all__ = ["all_gather", "all_reduce", "broadcast", "gather", "reduce", "scatter"]
