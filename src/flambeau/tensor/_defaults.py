"""The dtype and the device that tensors have by default, set by PyTorch's newer and older names."""

from __future__ import annotations

from .. import _dtypes
from ._device import CPU, CUDA, Elsewhere, chosen, device, here
from ._tensor import FloatTensor

_LegacyType = type(FloatTensor)


def get_default_device() -> device:
    """The device on which tensors are made where none is named."""
    return here(None)


def set_default_device(device: device | str | int | None) -> None:
    """Make tensors there in this thread, where no other device is named; None: on the CPU.

    RuntimeError for a device that is not there.
    """
    chosen.device = None if device is None else here(device)


def set_default_tensor_type(t: type | str) -> None:
    """Make ``torch.DoubleTensor``'s dtype the default, say, or that of "torch.DoubleTensor".

    TypeError for types that are not floating, or on devices that are not there.
    """
    name = t if isinstance(t, str) else getattr(t, "__name__", repr(t))
    if isinstance(t, str):
        on_cuda = t.startswith("torch.cuda.")
        if on_cuda and not Elsewhere.has_cuda():
            raise TypeError(f"type {t} not available: flambeau has no cuda device")
        d = {d.legacy_name: d for d in _dtypes.ALL if d.legacy_name}.get(
            t.removeprefix("torch.").removeprefix("cuda.").removesuffix("Tensor")
        )
    else:
        on_cuda = getattr(t, "legacy_device", CPU) is CUDA and Elsewhere.has_cuda()
        d = t.legacy_dtype if isinstance(t, _LegacyType) or on_cuda else None
    if d is None:
        raise TypeError(
            f"invalid type object: {name}; only floating-point types are supported as the default "
            "type, such as torch.DoubleTensor"
        )
    _dtypes.set_default_dtype(d)
    if on_cuda:
        set_default_device(CUDA)


__all__ = ["get_default_device", "set_default_device", "set_default_tensor_type"]
