"""Collectives over a group of one rank: what each leaves in its tensors, and what it refuses.

All check their arguments as they would for many ranks, so that a program that runs here is one that
would be right there. ``async_op=True`` gives a Work that is done already.
Source: https://docs.pytorch.org/docs/stable/distributed.html#collective-functions
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from ..core.modes import no_grad
from ..core.value import Value
from ..futures import Future
from ._group import ProcessGroup, the_group


class ReduceOp(enum.Enum):
    """How elements of several ranks become one."""

    SUM = 0
    AVG = 1
    PRODUCT = 2
    MIN = 3
    MAX = 4
    BAND = 5
    BOR = 6
    BXOR = 7
    PREMUL_SUM = 8

    def __repr__(self) -> str:
        return f"<RedOpType.{self.name}: {self.value}>"

    def __str__(self) -> str:
        return f"RedOpType.{self.name}"


ReduceOp.RedOpType = ReduceOp
reduce_op = ReduceOp


class Work:
    """A collective under way: here it is done when it has been asked for."""

    def __init__(self, result: list) -> None:
        self._result = result

    def wait(self, timeout: timedelta | None = None) -> bool:
        """Return when it is done: at once, True."""
        return True

    def is_completed(self) -> bool:
        """Whether it is done: True."""
        return True

    def is_success(self) -> bool:
        """Whether it went well: True, or the call would have raised."""
        return True

    def result(self) -> list:
        """The tensors that it has written."""
        return self._result

    def get_future(self) -> Future:
        """The same as a future."""
        future = Future()
        future.set_result(self._result)
        return future


def _tensor(value: Any, name: str) -> Value:
    if not isinstance(value, Value):
        raise TypeError(
            f"Invalid function argument. Expected parameter `{name}` of type torch.Tensor\n"
            f"             but got {type(value)} instead."
        )
    return value


def _check_op(op: Any) -> None:
    if not isinstance(op, ReduceOp):
        raise TypeError(f"op must be one of torch.distributed.ReduceOp, not {op!r}")


def _tensors(values: Any, name: str) -> Sequence[Value]:
    if not isinstance(values, list | tuple) or not all(isinstance(v, Value) for v in values):
        raise TypeError(
            f"Invalid function argument. Expected parameter `{name}` of type List[torch.Tensor]\n"
            f"             but got {type(values)} instead."
        )
    return values


def _root(what: str, rank: int | None, within: int | None, default: int | None = None) -> None:
    """ValueError or RuntimeError unless the root, by world or group rank, is this process."""
    if rank is not None and within is not None:
        raise ValueError("Can't specify both group_src/dst and src/dst")
    root = next((r for r in (rank, within, default) if r is not None), None)
    if root is None:
        raise ValueError("Must specify group_src/dst or src/dst")
    if root != 0:
        raise RuntimeError(
            f"{what}: invalid root rank: {root}\n  the group has one rank, which is 0"
        )


def _one(what: str, listed: Sequence[Value]) -> Value:
    if len(listed) != 1:
        raise RuntimeError(
            f"{what}: invalid tensor list (expected length 1, got {len(listed)})\n"
            "  one tensor for each rank, and there is one rank"
        )
    return listed[0]


def _copy(what: str, into: Value, source: Value, same_shape: bool = True) -> None:
    """``into`` becomes a copy of ``source``, of the same dtype and shape or number of elements."""
    if into.dtype is not source.dtype:
        raise ValueError(
            f"Invalid usage of tensors with different dtypes: {what}() found {into.dtype} and "
            f"{source.dtype}"
        )
    if into.shape != source.shape if same_shape else into.numel() != source.numel():
        raise RuntimeError(
            f"{what}: invalid tensor size (expected {tuple(source.shape)}, got {tuple(into.shape)})"
        )
    with no_grad():
        into.copy_(source.reshape(into.shape))


def _done(group: ProcessGroup | None, async_op: bool, *result: Value) -> Work | None:
    return Work(list(result)) if async_op else None


def _outside(group: ProcessGroup | int | None) -> bool:
    """Whether this process is not in the group, and so has nothing to do."""
    return the_group(group) is None


def all_reduce(
    tensor: Value,
    op: ReduceOp = ReduceOp.SUM,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """``tensor`` becomes the reduction of all ranks' tensors: over one, what it was."""
    _check_op(op)
    _tensor(tensor, "tensor")
    return None if _outside(group) else _done(group, async_op, tensor)


def all_reduce_coalesced(
    tensors: Sequence[Value],
    op: ReduceOp = ReduceOp.SUM,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """``all_reduce`` of several tensors."""
    _check_op(op)
    _tensors(tensors, "tensors")
    return None if _outside(group) else _done(group, async_op, *tensors)


def reduce(
    tensor: Value,
    dst: int | None = None,
    op: ReduceOp = ReduceOp.SUM,
    group: ProcessGroup | None = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """``tensor`` on rank ``dst`` becomes the reduction of all ranks' tensors."""
    _check_op(op)
    _tensor(tensor, "tensor")
    if _outside(group):
        return None
    _root("reduce", dst, group_dst)
    return _done(group, async_op, tensor)


def broadcast(
    tensor: Value,
    src: int | None = None,
    group: ProcessGroup | None = None,
    async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:
    """``tensor`` becomes what it is on rank ``src``."""
    _tensor(tensor, "tensor")
    if _outside(group):
        return None
    _root("broadcast", src, group_src)
    return _done(group, async_op, tensor)


def all_gather(
    tensor_list: list[Value],
    tensor: Value,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """``tensor_list[i]`` becomes rank i's ``tensor``."""
    _tensors(tensor_list, "tensor_list")
    _tensor(tensor, "tensor")
    if _outside(group):
        return None
    _copy("all_gather", _one("all_gather", tensor_list), tensor)
    return _done(group, async_op, *tensor_list)


def all_gather_into_tensor(
    output_tensor: Value,
    input_tensor: Value,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """``output_tensor`` becomes all ranks' ``input_tensor``, one after the other."""
    _tensor(output_tensor, "output_tensor")
    _tensor(input_tensor, "input_tensor")
    if _outside(group):
        return None
    _copy("all_gather_into_tensor", output_tensor, input_tensor, same_shape=False)
    return _done(group, async_op, output_tensor)


def gather(
    tensor: Value,
    gather_list: list[Value] | None = None,
    dst: int | None = None,
    group: ProcessGroup | None = None,
    async_op: bool = False,
    group_dst: int | None = None,
) -> Work | None:
    """``gather_list[i]`` on rank ``dst`` becomes rank i's ``tensor``."""
    _tensor(tensor, "tensor")
    if _outside(group):
        return None
    _root("gather", dst, group_dst, 0)
    if gather_list is None:
        raise ValueError("Argument ``gather_list`` must be specified on destination rank.")
    _copy("gather", _one("gather", _tensors(gather_list, "gather_list")), tensor)
    return _done(group, async_op, *gather_list)


def scatter(
    tensor: Value,
    scatter_list: list[Value] | None = None,
    src: int | None = None,
    group: ProcessGroup | None = None,
    async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:
    """``tensor`` on rank i becomes ``scatter_list[i]`` of rank ``src``."""
    _tensor(tensor, "tensor")
    if _outside(group):
        return None
    _root("scatter", src, group_src, 0)
    if scatter_list is None:
        raise ValueError("Argument ``scatter_list`` must be specified on source rank.")
    _copy("scatter", tensor, _one("scatter", _tensors(scatter_list, "scatter_list")))
    return _done(group, async_op, tensor)


def reduce_scatter(
    output: Value,
    input_list: list[Value],
    op: ReduceOp = ReduceOp.SUM,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """``output`` on rank i becomes the reduction of all ranks' ``input_list[i]``."""
    _check_op(op)
    _tensor(output, "output")
    _tensors(input_list, "input_list")
    if _outside(group):
        return None
    _copy("reduce_scatter", output, _one("reduce_scatter", input_list))
    return _done(group, async_op, output)


def reduce_scatter_tensor(
    output: Value,
    input: Value,
    op: ReduceOp = ReduceOp.SUM,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """``output`` on rank i becomes the reduction of all ranks' i-th part of ``input``."""
    _check_op(op)
    _tensor(output, "output")
    _tensor(input, "input")
    if _outside(group):
        return None
    _copy("reduce_scatter_tensor", output, input, same_shape=False)
    return _done(group, async_op, output)


def all_to_all(
    output_tensor_list: list[Value],
    input_tensor_list: list[Value],
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """``output_tensor_list[i]`` on rank j becomes ``input_tensor_list[j]`` of rank i."""
    _tensors(output_tensor_list, "output_tensor_list")
    _tensors(input_tensor_list, "input_tensor_list")
    if _outside(group):
        return None
    source = _one("all_to_all", input_tensor_list)
    _copy("all_to_all", _one("all_to_all", output_tensor_list), source)
    return _done(group, async_op, *output_tensor_list)


def all_to_all_single(
    output: Value,
    input: Value,
    output_split_sizes: list[int] | None = None,
    input_split_sizes: list[int] | None = None,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """The same with the parts in one tensor, split along dimension 0."""
    _tensor(output, "output")
    _tensor(input, "input")
    if _outside(group):
        return None
    for sizes, whole in ((output_split_sizes, output), (input_split_sizes, input)):
        if sizes and list(sizes) != [whole.shape[0]]:
            raise RuntimeError(
                f"Split sizes doesn't match total dim 0 size: {list(sizes)}, but one rank has one "
                f"part, of {whole.shape[0]}"
            )
    _copy("all_to_all_single", output, input)
    return _done(group, async_op, output)


def barrier(
    group: ProcessGroup | None = None, async_op: bool = False, device_ids: list[int] | None = None
) -> Work | None:
    """Wait until every rank is here: it is."""
    return None if _outside(group) else _done(group, async_op)


def monitored_barrier(
    group: ProcessGroup | None = None,
    timeout: timedelta | None = None,
    wait_all_ranks: bool = False,
) -> None:
    """The same, naming ranks that do not come."""
    _outside(group)


def _no_other(direction: str, rank: int | None) -> None:
    the_group()
    if rank is None or rank == 0:
        raise ValueError(
            f"Invalid {direction} rank: {direction} rank should not be the same as the rank of "
            "the current process."
        )
    raise ValueError(f"Invalid {direction} rank {rank}: the world has one rank, which is 0")


def send(
    tensor: Value,
    dst: int | None = None,
    group: ProcessGroup | None = None,
    tag: int = 0,
    group_dst: int | None = None,
) -> None:
    """Refused: ValueError, there is no other rank."""
    _tensor(tensor, "tensor")
    _no_other("destination", dst if group_dst is None else group_dst)


def recv(
    tensor: Value,
    src: int | None = None,
    group: ProcessGroup | None = None,
    tag: int = 0,
    group_src: int | None = None,
) -> int:
    """Refused: ValueError, there is no other rank."""
    _tensor(tensor, "tensor")
    return _no_other("source", src if group_src is None else group_src)


isend, irecv = send, recv


def all_gather_object(object_list: list, obj: Any, group: ProcessGroup | None = None) -> None:
    """``object_list[i]`` becomes rank i's ``obj``."""
    if not _outside(group):
        object_list[0] = obj


def gather_object(
    obj: Any,
    object_gather_list: list | None = None,
    dst: int | None = None,
    group: ProcessGroup | None = None,
    group_dst: int | None = None,
) -> None:
    """``object_gather_list[i]`` on rank ``dst`` becomes rank i's ``obj``."""
    if _outside(group):
        return
    _root("gather_object", dst, group_dst, 0)
    if object_gather_list is None:
        raise ValueError("Argument ``gather_list`` must be specified on destination rank.")
    object_gather_list[0] = obj


def broadcast_object_list(
    object_list: list,
    src: int | None = None,
    group: ProcessGroup | None = None,
    device: Any = None,
    group_src: int | None = None,
) -> None:
    """``object_list`` becomes what it is on rank ``src``."""
    if not _outside(group):
        _root("broadcast_object_list", src, group_src, 0)


def scatter_object_list(
    scatter_object_output_list: list,
    scatter_object_input_list: list | None = None,
    src: int | None = None,
    group: ProcessGroup | None = None,
    group_src: int | None = None,
) -> None:
    """``scatter_object_output_list[0]`` on rank i becomes entry i of the list on rank ``src``."""
    if _outside(group):
        return
    _root("scatter_object_list", src, group_src, 0)
    if not isinstance(scatter_object_output_list, list) or not scatter_object_output_list:
        raise ValueError(
            "Expected argument scatter_object_output_list to be a list of size at least 1."
        )
    if scatter_object_input_list is None:
        raise ValueError("source rank must provide non-None scatter_object_input_list")
    scatter_object_output_list[0] = scatter_object_input_list[0]


_all_gather_base, _reduce_scatter_base = all_gather_into_tensor, reduce_scatter_tensor

__all__ = [
    "ReduceOp", "Work", "all_gather", "all_gather_into_tensor", "all_gather_object", "all_reduce",
    "all_reduce_coalesced", "all_to_all", "all_to_all_single", "barrier", "broadcast",
    "broadcast_object_list", "gather", "gather_object", "irecv", "isend", "monitored_barrier",
    "recv", "reduce", "reduce_op", "reduce_scatter", "reduce_scatter_tensor", "scatter",
    "scatter_object_list", "send",
]  # fmt: skip
