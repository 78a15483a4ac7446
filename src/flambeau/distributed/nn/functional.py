"""Collectives that return new tensors and let gradients through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...autograd.function import Function
from ...core.value import Value
from .. import _collectives as plain
from .._collectives import ReduceOp, _for_each, _root, _tensor
from .._group import ProcessGroup, the_group


class _AllReduce(Function):
    @staticmethod
    def forward(ctx: Any, tensor: Value, op: ReduceOp, group: ProcessGroup) -> Value:
        ctx.how = op, group
        result = tensor.clone()
        plain.all_reduce(result, op, group)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Value) -> tuple:
        return _AllReduce.apply(grad, *ctx.how), None, None


class _Reduce(Function):
    @staticmethod
    def forward(ctx: Any, tensor: Value, root: int, op: ReduceOp, group: ProcessGroup) -> Value:
        ctx.how = root, group
        result = tensor.clone()
        plain.reduce(result, op=op, group=group, group_dst=root)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Value) -> tuple:
        return _Broadcast.apply(grad, *ctx.how), None, None, None


class _Broadcast(Function):
    @staticmethod
    def forward(ctx: Any, tensor: Value, root: int, group: ProcessGroup) -> Value:
        ctx.how = root, group
        result = tensor.clone()
        plain.broadcast(result, group=group, group_src=root)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Value) -> tuple:
        root, group = ctx.how
        total = _Reduce.apply(grad, root, ReduceOp.SUM, group)
        return total if root == group.rank() else total * 0, None, None


class _AllGather(Function):
    @staticmethod
    def forward(ctx: Any, group: ProcessGroup, tensor: Value) -> tuple[Value, ...]:
        ctx.group = group
        parts = [tensor.new_empty(tensor.shape) for _ in range(group.size())]
        plain.all_gather(parts, tensor, group)
        return tuple(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Value) -> tuple:
        own = grads[0].new_empty(grads[0].shape)
        plain.reduce_scatter(own, [g.contiguous() for g in grads], group=ctx.group)
        return None, own


class _Gather(Function):
    @staticmethod
    def forward(ctx: Any, root: int, group: ProcessGroup, tensor: Value) -> tuple[Value, ...]:
        ctx.how = root, group
        parts = [tensor.new_zeros(tensor.shape) for _ in range(group.size())]
        there = parts if group.rank() == root else None
        plain.gather(tensor, there, group=group, group_dst=root)
        return tuple(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Value) -> tuple:
        return None, None, _Scatter.apply(*ctx.how, *grads)


class _Scatter(Function):
    @staticmethod
    def forward(ctx: Any, root: int, group: ProcessGroup, *tensors: Value) -> Value:
        ctx.how = root, group
        result = tensors[0].new_empty(tensors[0].shape)
        there = list(tensors) if group.rank() == root else None
        plain.scatter(result, there, group=group, group_src=root)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Value) -> tuple:
        return None, None, *_Gather.apply(*ctx.how, grad)


def _member(group: ProcessGroup | None) -> ProcessGroup:
    found = the_group(group)
    if found is None:
        raise ValueError("this process is not in the group")
    return found


def all_reduce(
    tensor: Value, op: ReduceOp = ReduceOp.SUM, group: ProcessGroup | None = None
) -> Value:
    """The reduction of all ranks' tensors; its gradient is reduced, too."""
    return _AllReduce.apply(_tensor(tensor, "tensor"), op, _member(group))


def reduce(
    tensor: Value, dst: int, op: ReduceOp = ReduceOp.SUM, group: ProcessGroup | None = None
) -> Value:
    """The reduction of all ranks' tensors, on rank ``dst``; elsewhere the tensor itself."""
    found = _member(group)
    return _Reduce.apply(_tensor(tensor, "tensor"), _root("reduce", found, dst, None), op, found)


def broadcast(tensor: Value, src: int, group: ProcessGroup | None = None) -> Value:
    """Rank ``src``'s tensor, to which all ranks' gradients come."""
    found = _member(group)
    return _Broadcast.apply(_tensor(tensor, "tensor"), _root("broadcast", found, src, None), found)


def all_gather(tensor: Value, group: ProcessGroup | None = None) -> tuple[Value, ...]:
    """All ranks' tensors, in order."""
    return tuple(_AllGather.apply(_member(group), _tensor(tensor, "tensor")))


def gather(tensor: Value, dst: int = 0, group: ProcessGroup | None = None) -> tuple[Value, ...]:
    """All ranks' tensors, on rank ``dst``; zeros elsewhere."""
    found = _member(group)
    root = _root("gather", found, dst, None)
    return tuple(_Gather.apply(root, found, _tensor(tensor, "tensor")))


def scatter(tensors: Sequence[Value], src: int = 0, group: ProcessGroup | None = None) -> Value:
    """Entry i of rank ``src``'s list, on rank i."""
    found = _member(group)
    root = _root("scatter", found, src, None)
    return _Scatter.apply(root, found, *_for_each("scatter", found, tensors))


__all__ = ["all_gather", "all_reduce", "broadcast", "gather", "reduce", "scatter"]
