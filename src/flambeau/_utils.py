"""``torch._utils``: what programs that average gradients by themselves take from PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

from ._dtypes import dtype
from ._missing import missing
from .core.value import Value
from .ops.joining import cat
from .tensor._device import device as _device


def _flatten_dense_tensors(tensors: Sequence[Value]) -> Value:
    """All elements of tensors of one dtype, one tensor after the other, with one dimension."""
    return cat([t.contiguous().view(-1) for t in tensors])


def _unflatten_dense_tensors(flat: Value, tensors: Sequence[Value]) -> tuple[Value, ...]:
    """Views of ``flat`` in the shapes of ``tensors``: undoes ``_flatten_dense_tensors``."""
    pieces, start = [], 0
    for t in tensors:
        pieces.append(flat.narrow(0, start, t.numel()).view(t.shape))
        start += t.numel()
    return tuple(pieces)


def _element_size(dtype: dtype) -> int:
    """Bytes of an element of ``dtype``."""
    return dtype.itemsize


def _get_device_index(device: object, optional: bool = False, allow_cpu: bool = False) -> int:
    """The number of a GPU; -1 for the CPU where ``allow_cpu``. ValueError for anything else."""
    if isinstance(device, int):
        return device
    found = _device(device) if isinstance(device, str) else device
    if isinstance(found, _device):
        if found.type == "cpu" and allow_cpu:
            return -1
        if found.index is not None and found.type != "cpu":
            return found.index
    raise ValueError(
        f"Expected a torch.device with a specified index or an integer, but got: {device}"
    )


def __getattr__(name: str) -> object:
    raise missing(__name__, name, globals())
