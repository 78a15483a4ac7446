"""Tensors whose memory several processes look into."""

from __future__ import annotations

import numpy as np

from ..core import shared_memory
from ..core.value import Value, address, dense, owner_of


def share_memory_(self: Value) -> Value:
    """Move the elements to memory that child processes, and those it is sent to, share.

    Views of this tensor move along, as does the tensor it is a view of; arrays that ``numpy()``
    gave, and tensors that ``detach()`` or ``data`` gave, stay with the old memory.
    RuntimeError where the system has no such memory.
    """
    if self.is_cuda:
        return self
    if self.is_meta:
        raise RuntimeError("_share_fd_: only available on CPU")
    if shared_memory.block_of(self._array) is not None:
        return self
    if not shared_memory.available():
        raise RuntimeError("share_memory_() needs a POSIX system: memory is passed by descriptor")
    root = self if self._base is None else self._base
    old = owner_of(root._array)
    new = shared_memory.moved(old)
    views = [view for ref in root._views or () if (view := ref()) is not None]
    for tensor in {id(t): t for t in (self, root, *views)}.values():
        array = tensor._array
        if array is old:
            tensor._array = new
        elif owner_of(array) is old:
            offset = address(array) - address(old)
            tensor._array = np.ndarray(array.shape, array.dtype, dense(new), offset, array.strides)
    return self


def is_shared(self: Value) -> bool:
    """Whether the memory is shared between processes; a GPU's always says so, as in PyTorch."""
    return self.is_cuda or shared_memory.block_of(self._array) is not None
