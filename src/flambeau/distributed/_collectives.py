"""Collectives: what each takes from its tensors, and leaves in them.

What the ranks' parts become is in ``_exchange.py``. All collectives of a group are called by all of
its ranks in the same order; ``async_op=True`` gives a Work, whose ``wait`` fills the tensors.
Source: https://docs.pytorch.org/docs/stable/distributed.html#collective-functions
"""

from __future__ import annotations

import enum
import pickle
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np

from ..core.modes import no_grad
from ..core.value import Value, reading, wrap
from ..core.whereabouts import told, user_line
from ..futures import Future
from ._exchange import Request, signature
from ._group import ProcessGroup, get_rank, the_group


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
    """A collective under way. ``wait`` ends it, and fills the tensors."""

    def __init__(
        self,
        wait: Callable[[], list[np.ndarray]],
        put: Callable[[list[np.ndarray]], None],
        tensors: Sequence[Value],
    ) -> None:
        self._wait = wait
        self._put = put
        self._result = list(tensors)
        self._done = False

    def wait(self, timeout: timedelta | None = None) -> bool:
        """Return when it is done: True. DistBackendError if the ranks do not agree, or one has
        gone. How long to wait is the group's timeout."""
        if not self._done:
            self._put(self._wait())
            self._done = True
        return True

    def is_completed(self) -> bool:
        """Whether ``wait`` would return at once."""
        return self._done or getattr(self._wait, "ready", lambda: True)()

    def is_success(self) -> bool:
        """Whether it is done, and went well."""
        return self._done

    def source_rank(self) -> int:
        """Of ``irecv``: the rank that sent."""
        self.wait()
        return self._wait.sender

    def result(self) -> list:
        """The tensors that it writes."""
        return self._result

    def get_future(self) -> Future:
        """The result as a future, which is there when this returns."""
        future = Future()
        try:
            self.wait()
            future.set_result(self._result)
        except Exception as error:
            future.set_exception(error)
        return future


# ---- arguments -----------------------------------------------------------------------------


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


def _root(
    what: str,
    group: ProcessGroup,
    rank: int | None,
    within: int | None,
    default: int | None = None,
) -> int:
    """The root's rank in the group, which is given by its rank in the world or ``within``.

    ValueError where both are given or neither; RuntimeError if it is not in the group.
    """
    if rank is not None and within is not None:
        raise ValueError("Can't specify both group_src/dst and src/dst")
    if within is None:
        rank = default if rank is None else rank
        if rank is None:
            raise ValueError("Must specify group_src/dst or src/dst")
        within = group.ranks.index(rank) if rank in group.ranks else None
    if within is None or not 0 <= within < group.size():
        raise RuntimeError(
            f"{what}: invalid root rank: {rank if within is None else within}\n"
            f"  the group has the ranks {group.ranks}"
        )
    return within


def _for_each(what: str, group: ProcessGroup, listed: Sequence[Value]) -> Sequence[Value]:
    if len(listed) != group.size():
        raise RuntimeError(
            f"{what}: invalid tensor list (expected length {group.size()}, got {len(listed)})\n"
            "  one tensor for each rank of the group"
        )
    return listed


def _fits(what: str, into: Value, source: Value, times: int = 1, exact: bool = True) -> None:
    """Raise unless ``into`` has the dtype of ``source``, and ``times`` as many elements: its shape,
    where that is to be ``exact``."""
    if into.dtype is not source.dtype:
        raise ValueError(
            f"Invalid usage of tensors with different dtypes: {what}() found {into.dtype} and "
            f"{source.dtype}"
        )
    if into.shape != source.shape if exact else into.numel() != times * source.numel():
        wanted = tuple(source.shape) if exact else f"{times * source.numel()} elements"
        raise RuntimeError(
            f"{what}: invalid tensor size (expected {wanted}, got {tuple(into.shape)})"
        )


# ---- the way to the other ranks ------------------------------------------------------------


def _elements(tensor: Value) -> np.ndarray:
    reading(tensor, "a collective")
    return tensor._array


def _all(tensors: Sequence[Value]) -> list[np.ndarray]:
    return [_elements(t) for t in tensors]


def _into(tensors: Sequence[Value]) -> Callable[[list[np.ndarray]], None]:
    """Writes the arrays that are taken away into ``tensors``, one into each."""

    def put(arrays: list[np.ndarray]) -> None:
        with no_grad():
            for tensor, array in zip(tensors, arrays, strict=True):
                if array is not tensor._array:
                    tensor.copy_(wrap(array.reshape(tensor._array.shape)))

    return put


def _nowhere(arrays: list[np.ndarray]) -> None:
    """What a rank that takes nothing away does with it."""


def _run(
    group: ProcessGroup,
    request: Request,
    put: Callable[[list[np.ndarray]], None],
    tensors: Sequence[Value],
    async_op: bool,
    timeout: timedelta | None = None,
) -> Work | None:
    request.line = told(user_line(4))
    work = Work(group.start(request, timeout), put, tensors)
    if async_op:
        return work
    work.wait()
    return None


# ---- collectives ---------------------------------------------------------------------------


def all_reduce(
    tensor: Value,
    op: ReduceOp = ReduceOp.SUM,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """``tensor`` becomes the reduction of all ranks' tensors."""
    return all_reduce_coalesced([_tensor(tensor, "tensor")], op, group, async_op)


def all_reduce_coalesced(
    tensors: Sequence[Value],
    op: ReduceOp = ReduceOp.SUM,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """``all_reduce`` of several tensors, on one journey."""
    _check_op(op)
    _tensors(tensors, "tensors")
    found = the_group(group)
    if found is None:
        return None
    request = Request("all_reduce", _all(tensors), op.name)
    return _run(found, request, _into(tensors), tensors, async_op)


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
    found = the_group(group)
    if found is None:
        return None
    root = _root("reduce", found, dst, group_dst)
    put = _into([tensor]) if root == found.rank() else _nowhere
    return _run(found, Request("reduce", _all([tensor]), op.name, root), put, [tensor], async_op)


def broadcast(
    tensor: Value,
    src: int | None = None,
    group: ProcessGroup | None = None,
    async_op: bool = False,
    group_src: int | None = None,
) -> Work | None:
    """``tensor`` becomes what it is on rank ``src``."""
    _tensor(tensor, "tensor")
    found = the_group(group)
    if found is None:
        return None
    root = _root("broadcast", found, src, group_src)
    return _broadcast(found, [tensor], root, async_op)


def _broadcast(
    group: ProcessGroup, tensors: Sequence[Value], root: int, async_op: bool = False
) -> Work | None:
    arrays = _all(tensors)
    if root == group.rank():
        request, put = Request("broadcast", arrays, None, root, []), _nowhere
    else:
        request, put = Request("broadcast", [], None, root, signature(arrays)), _into(tensors)
    return _run(group, request, put, tensors, async_op)


def all_gather(
    tensor_list: list[Value],
    tensor: Value,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """``tensor_list[i]`` becomes rank i's ``tensor``."""
    _tensors(tensor_list, "tensor_list")
    _tensor(tensor, "tensor")
    found = the_group(group)
    if found is None:
        return None
    for into in _for_each("all_gather", found, tensor_list):
        _fits("all_gather", into, tensor)
    request = Request("all_gather", _all([tensor]), wants=signature(_all(tensor_list)))
    return _run(found, request, _into(tensor_list), tensor_list, async_op)


def all_gather_into_tensor(
    output_tensor: Value,
    input_tensor: Value,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """``output_tensor`` becomes all ranks' ``input_tensor``, one after the other."""
    _tensor(output_tensor, "output_tensor")
    _tensor(input_tensor, "input_tensor")
    found = the_group(group)
    if found is None:
        return None
    _fits("all_gather_into_tensor", output_tensor, input_tensor, found.size(), exact=False)
    arrays = _all([input_tensor])
    request = Request("all_gather", arrays, wants=signature(arrays) * found.size())

    def put(given: list[np.ndarray]) -> None:
        _into([output_tensor])([np.stack(given)])

    return _run(found, request, put, [output_tensor], async_op)


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
    found = the_group(group)
    if found is None:
        return None
    root = _root("gather", found, dst, group_dst, 0)
    if found.rank() != root:
        if gather_list:
            raise ValueError("Argument ``gather_list`` must NOT be specified on other ranks.")
        request = Request("gather", _all([tensor]), None, root, [])
        return _run(found, request, _nowhere, [], async_op)
    if gather_list is None:
        raise ValueError("Argument ``gather_list`` must be specified on destination rank.")
    for into in _for_each("gather", found, _tensors(gather_list, "gather_list")):
        _fits("gather", into, tensor)
    request = Request("gather", _all([tensor]), None, root, signature(_all(gather_list)))
    return _run(found, request, _into(gather_list), gather_list, async_op)


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
    found = the_group(group)
    if found is None:
        return None
    root = _root("scatter", found, src, group_src, 0)
    brought: Sequence[Value] = []
    if found.rank() == root:
        if scatter_list is None:
            raise ValueError("Argument ``scatter_list`` must be specified on source rank.")
        brought = _for_each("scatter", found, _tensors(scatter_list, "scatter_list"))
        for part in brought:
            _fits("scatter", tensor, part)
    request = Request("scatter", _all(brought), None, root, signature(_all([tensor])))
    return _run(found, request, _into([tensor]), [tensor], async_op)


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
    found = the_group(group)
    if found is None:
        return None
    _fits("reduce_scatter", output, _for_each("reduce_scatter", found, input_list)[found.rank()])
    room = signature(_all([output]))
    request = Request("reduce_scatter", _all(input_list), op.name, wants=room)
    return _run(found, request, _into([output]), [output], async_op)


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
    found = the_group(group)
    if found is None:
        return None
    _fits("reduce_scatter_tensor", input, output, found.size(), exact=False)
    parts = list(_elements(input).reshape(found.size(), *output._array.shape))
    request = Request("reduce_scatter", parts, op.name, wants=signature(_all([output])))
    return _run(found, request, _into([output]), [output], async_op)


def all_to_all(
    output_tensor_list: list[Value],
    input_tensor_list: list[Value],
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """``output_tensor_list[i]`` on rank j becomes ``input_tensor_list[j]`` of rank i."""
    _tensors(output_tensor_list, "output_tensor_list")
    _tensors(input_tensor_list, "input_tensor_list")
    found = the_group(group)
    if found is None:
        return None
    sent = _for_each("all_to_all", found, input_tensor_list)
    _for_each("all_to_all", found, output_tensor_list)
    _fits("all_to_all", output_tensor_list[found.rank()], sent[found.rank()])
    request = Request("all_to_all", _all(sent), wants=signature(_all(output_tensor_list)))
    return _run(found, request, _into(output_tensor_list), output_tensor_list, async_op)


def all_to_all_single(
    output: Value,
    input: Value,
    output_split_sizes: list[int] | None = None,
    input_split_sizes: list[int] | None = None,
    group: ProcessGroup | None = None,
    async_op: bool = False,
) -> Work | None:
    """The same with the parts in one tensor, split along dimension 0: evenly, or by sizes."""
    _tensor(output, "output")
    _tensor(input, "input")
    found = the_group(group)
    if found is None:
        return None
    if output.dtype is not input.dtype:
        _fits("all_to_all_single", output, input)
    sent = _split(_elements(input), input_split_sizes, found.size())
    room = _split(_elements(output), output_split_sizes, found.size())
    request = Request("all_to_all", sent, wants=signature(room))

    def put(given: list[np.ndarray]) -> None:
        whole = np.concatenate([g.reshape(-1) for g in given])
        _into([output])([whole])

    return _run(found, request, put, [output], async_op)


def _split(array: np.ndarray, sizes: list[int] | None, count: int) -> list[np.ndarray]:
    """``count`` parts along dimension 0; RuntimeError where the sizes are not its size."""
    if count == 1 and not sizes:
        return [array]
    total = array.shape[0] if array.ndim else 1
    if not sizes:
        if total % count:
            raise RuntimeError(
                f"Tensor's dim 0 does not divide equally across group size: {total} over {count}"
            )
        sizes = [total // count] * count
    if len(sizes) != count or sum(sizes) != total:
        raise RuntimeError(
            f"Split sizes doesn't match total dim 0 size: {list(sizes)}, but {count} rank(s) share "
            f"{total}"
        )
    return np.split(array, np.cumsum(sizes)[:-1]) if array.ndim else [array]


def barrier(
    group: ProcessGroup | None = None, async_op: bool = False, device_ids: list[int] | None = None
) -> Work | None:
    """Wait until every rank is here."""
    found = the_group(group)
    return None if found is None else _run(found, Request("barrier", []), _nowhere, [], async_op)


def monitored_barrier(
    group: ProcessGroup | None = None,
    timeout: timedelta | None = None,
    wait_all_ranks: bool = False,
) -> None:
    """The same, at most for ``timeout``; ranks that do not come are named, as always."""
    found = the_group(group)
    if found is not None:
        _run(found, Request("barrier", []), _nowhere, [], False, timeout)


# ---- from one rank to another --------------------------------------------------------------


def _peer(direction: str, group: ProcessGroup, rank: int | None, within: int | None) -> int:
    """The other's rank in the world. ValueError for this process itself, or one not there."""
    if within is not None:
        rank = group.ranks[within] if 0 <= within < group.size() else within
    if rank is None or rank == get_rank():
        raise ValueError(
            f"Invalid {direction} rank: {direction} rank should not be the same as the rank of "
            "the current process."
        )
    if rank not in group.ranks:
        many = "one rank" if group.size() == 1 else f"{group.size()} ranks"
        raise ValueError(f"Invalid {direction} rank {rank}: the group has {many}, {group.ranks}")
    return rank


def isend(
    tensor: Value,
    dst: int | None = None,
    group: ProcessGroup | None = None,
    tag: int = 0,
    group_dst: int | None = None,
) -> Work | None:
    """Send ``tensor`` to rank ``dst``; it may be changed at once."""
    _tensor(tensor, "tensor")
    found = the_group(group)
    if found is None:
        return None
    header = {"kind": "send", "peer": _peer("destination", found, dst, group_dst), "tag": tag}
    wait = found.post(header, _all([tensor]), told(user_line(2)))
    return Work(wait, _nowhere, [tensor])


def irecv(
    tensor: Value,
    src: int | None = None,
    group: ProcessGroup | None = None,
    tag: int = 0,
    group_src: int | None = None,
) -> Work | None:
    """Receive into ``tensor`` what rank ``src``, or any, sends with this tag."""
    _tensor(tensor, "tensor")
    found = the_group(group)
    if found is None:
        return None
    peer = None
    if src is not None or group_src is not None or found.size() == 1:
        peer = _peer("source", found, src, group_src)
    header = {"kind": "recv", "peer": peer, "tag": tag, "wants": signature(_all([tensor]))}
    return Work(found.post(header, [], told(user_line(2))), _into([tensor]), [tensor])


def send(
    tensor: Value,
    dst: int | None = None,
    group: ProcessGroup | None = None,
    tag: int = 0,
    group_dst: int | None = None,
) -> None:
    """Send ``tensor`` to rank ``dst``. ValueError for this process itself."""
    work = isend(tensor, dst, group, tag, group_dst)
    if work is not None:
        work.wait()


def recv(
    tensor: Value,
    src: int | None = None,
    group: ProcessGroup | None = None,
    tag: int = 0,
    group_src: int | None = None,
) -> int:
    """Receive into ``tensor`` what rank ``src``, or any, sends with this tag; the sender's rank.
    DistBackendError where dtype or shape differ, or the sender has gone."""
    work = irecv(tensor, src, group, tag, group_src)
    return -1 if work is None else work.source_rank()


class P2POp(NamedTuple):
    """One of the operations of ``batch_isend_irecv``: ``op`` is ``isend`` or ``irecv``."""

    op: Callable
    tensor: Value
    peer: int | None = None
    group: ProcessGroup | None = None
    tag: int = 0
    group_peer: int | None = None


def batch_isend_irecv(p2p_op_list: list[P2POp]) -> list[Work]:
    """Begin all of them; a Work for each."""
    if not p2p_op_list or not all(isinstance(p, P2POp) for p in p2p_op_list):
        raise ValueError("Invalid ``p2p_op_list``. Each op is expected to be a P2POp")
    return [p.op(p.tensor, p.peer, p.group, p.tag, p.group_peer) for p in p2p_op_list]


# ---- objects -------------------------------------------------------------------------------


def _pickled(obj: Any) -> np.ndarray:
    return np.frombuffer(pickle.dumps(obj), np.uint8)


def _objects(
    group: ProcessGroup, call: str, brought: Sequence[Any], root: int | None = None
) -> list[Any]:
    """The objects that this rank takes away. They come from the other ranks of this run, who are
    trusted: unpickling may run their code."""
    request = Request(call, [_pickled(obj) for obj in brought], None, root)
    request.line = told(user_line(3))
    return [pickle.loads(a.tobytes()) for a in group.start(request)()]


def all_gather_object(object_list: list, obj: Any, group: ProcessGroup | None = None) -> None:
    """``object_list[i]`` becomes rank i's ``obj``."""
    found = the_group(group)
    if found is not None:
        object_list[: found.size()] = _objects(found, "all_gather", [obj])


def gather_object(
    obj: Any,
    object_gather_list: list | None = None,
    dst: int | None = None,
    group: ProcessGroup | None = None,
    group_dst: int | None = None,
) -> None:
    """``object_gather_list[i]`` on rank ``dst`` becomes rank i's ``obj``."""
    found = the_group(group)
    if found is None:
        return
    root = _root("gather_object", found, dst, group_dst, 0)
    if root == found.rank() and object_gather_list is None:
        raise ValueError("Argument ``gather_list`` must be specified on destination rank.")
    given = _objects(found, "gather", [obj], root)
    if root == found.rank():
        object_gather_list[: found.size()] = given


def send_object_list(
    object_list: list,
    dst: int | None = None,
    group: ProcessGroup | None = None,
    device: Any = None,
    group_dst: int | None = None,
    use_batch: bool = False,
) -> None:
    """Send the objects of the list, pickled, to rank ``dst``."""
    found = the_group(group)
    if found is None:
        return
    for obj in object_list:
        data = _pickled(obj)
        send(wrap(np.array([data.size], np.int64)), dst, found, 0, group_dst)
        send(wrap(data), dst, found, 0, group_dst)


def recv_object_list(
    object_list: list,
    src: int | None = None,
    group: ProcessGroup | None = None,
    device: Any = None,
    group_src: int | None = None,
    use_batch: bool = False,
) -> int:
    """Receive as many objects as the list has places, from rank ``src`` or any; the sender's
    rank."""
    found = the_group(group)
    if found is None:
        return -1
    sender = -1
    for i in range(len(object_list)):
        size = wrap(np.zeros(1, np.int64))
        sender = recv(size, src, found, 0, group_src)
        src, group_src = sender, None
        data = wrap(np.zeros(int(size.item()), np.uint8))
        recv(data, src, found, 0, group_src)
        object_list[i] = pickle.loads(data._array.tobytes())
    return sender


def broadcast_object_list(
    object_list: list,
    src: int | None = None,
    group: ProcessGroup | None = None,
    device: Any = None,
    group_src: int | None = None,
) -> None:
    """``object_list`` becomes what it is on rank ``src``."""
    found = the_group(group)
    if found is None:
        return
    root = _root("broadcast_object_list", found, src, group_src, 0)
    given = _objects(found, "broadcast", object_list if root == found.rank() else [], root)
    if root != found.rank():
        object_list[:] = given


def scatter_object_list(
    scatter_object_output_list: list,
    scatter_object_input_list: list | None = None,
    src: int | None = None,
    group: ProcessGroup | None = None,
    group_src: int | None = None,
) -> None:
    """``scatter_object_output_list[0]`` on rank i becomes entry i of the list on rank ``src``."""
    found = the_group(group)
    if found is None:
        return
    root = _root("scatter_object_list", found, src, group_src, 0)
    if not isinstance(scatter_object_output_list, list) or not scatter_object_output_list:
        raise ValueError(
            "Expected argument scatter_object_output_list to be a list of size at least 1."
        )
    brought: list = []
    if root == found.rank():
        if scatter_object_input_list is None:
            raise ValueError("source rank must provide non-None scatter_object_input_list")
        brought = scatter_object_input_list
    (scatter_object_output_list[0],) = _objects(found, "scatter", brought, root)


_all_gather_base, _reduce_scatter_base = all_gather_into_tensor, reduce_scatter_tensor

__all__ = [
    "P2POp", "ReduceOp", "Work", "all_gather", "all_gather_into_tensor", "all_gather_object",
    "all_reduce", "all_reduce_coalesced", "all_to_all", "all_to_all_single", "barrier",
    "batch_isend_irecv", "broadcast", "broadcast_object_list", "gather", "gather_object", "irecv",
    "isend", "monitored_barrier", "recv", "recv_object_list", "reduce", "reduce_op",
    "reduce_scatter", "reduce_scatter_tensor", "scatter", "scatter_object_list", "send",
    "send_object_list",
]  # fmt: skip
