"""How a tensor goes to another process: the descriptor of its memory, and its place in there."""

from __future__ import annotations

from multiprocessing import reduction

import numpy as np

from .. import _dtypes
from ..core import shared_memory
from ..core.tape import Leaf
from ..core.value import Value, wrap
from ..nn.parameter import Buffer, Parameter
from ..tensor._tensor import Tensor


def reduce_tensor(tensor: Value) -> tuple:
    """What ``ForkingPickler`` sends for a tensor, which is moved to shared memory before.

    RuntimeError for one that an operation made and that requires grad: its graph stays here.
    """
    if not tensor.is_leaf:
        raise RuntimeError(
            "Cowardly refusing to serialize non-leaf tensor which requires_grad, since autograd "
            "does not support crossing process boundaries.  If you just want to transfer the "
            "data, call detach() on the tensor before serializing (e.g., putting it on the queue)."
        )
    if not shared_memory.available() or not tensor._array.size:
        return tensor.__reduce_ex__(2)
    array = tensor.share_memory_()._array
    block = shared_memory.block_of(array)
    block.exported = True
    place = (shared_memory.offset_in(block, array), array.shape, array.strides)
    return rebuild_tensor, (
        type(tensor),
        reduction.DupFd(block.fd),
        block.size,
        *place,
        tensor.dtype.name,
        tensor.requires_grad,
    )


def rebuild_tensor(
    cls: type[Value],
    descriptor: object,
    size: int,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    dtype_name: str,
    requires_grad: bool,
) -> Value:
    """The tensor over the memory that has arrived."""
    block = shared_memory.attach(descriptor.detach(), size)
    dtype = _dtypes.BY_NAME[dtype_name].numpy
    tensor = wrap(np.ndarray(shape, dtype, block.lease(), offset, strides))
    if type(tensor) is not cls:
        tensor = tensor.as_subclass(cls)
        tensor._shares = None
    if requires_grad:
        tensor._edge = Leaf(tensor)
    return tensor


def init_reductions() -> None:
    """Let multiprocessing send tensors by ``reduce_tensor``."""
    for cls in (Tensor, Parameter, Buffer):
        reduction.ForkingPickler.register(cls, reduce_tensor)
