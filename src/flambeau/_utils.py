"""``torch._utils``: what libraries take from behind PyTorch's public names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from ._dtypes import dtype as dtype_
from ._missing import missing
from .core.value import Value
from .ops.joining import cat
from .serialization._rebuild import (
    _rebuild_from_type_v2,
    _rebuild_parameter,
    _rebuild_parameter_with_state,
    _rebuild_tensor,
    _rebuild_tensor_v2,
)
from .tensor._device import device as device_

__all__ = [
    "_element_size", "_flatten_dense_tensors", "_get_available_device_type", "_get_device_index",
    "_get_device_module", "_rebuild_from_type_v2", "_rebuild_parameter",
    "_rebuild_parameter_with_state", "_rebuild_tensor", "_rebuild_tensor_v2",
    "_unflatten_dense_tensors",
]  # fmt: skip


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


def _element_size(dtype: dtype_) -> int:
    """Bytes of one element."""
    return dtype.itemsize


def _get_available_device_type() -> None:
    """The kind of accelerator that there is: none."""
    return


def _get_device_module(device_type: str) -> NoReturn:
    """``torch.cuda`` for "cuda", and so on: RuntimeError, there is no such device."""
    raise RuntimeError(
        f"Device '{device_type}' does not have a corresponding module: there is none"
    )


def _get_device_index(device: Any, optional: bool = False, allow_cpu: bool = False) -> int:
    """The number of a device ("cuda:1" -> 1); -1 for the CPU, if ``allow_cpu``.

    ValueError for a device that is not an accelerator, or without a number, unless ``optional``.
    """
    if isinstance(device, int):
        return device
    if isinstance(device, str):
        device = device_(device)
    if device is None or isinstance(device, device_):
        kind = None if device is None else device.type
        if kind == "cpu":
            if allow_cpu:
                return -1
            raise ValueError(f"Expected a non cpu device, but got: {device}")
        if device is not None and device.index is not None:
            return device.index
        if optional:
            return 0
    raise ValueError(
        f"Expected a torch.device with a specified index or an integer, but got:{device}"
    )


def __getattr__(name: str) -> object:
    raise missing(__name__, name, globals())
