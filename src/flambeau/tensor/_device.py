"""Devices: where a tensor's memory is. There are the CPU and ``meta``, where tensors have none;
others are refused by name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from .._dtypes import Constant

_KNOWN = (
    "cpu", "cuda", "ipu", "xpu", "mkldnn", "opengl", "opencl", "ideep", "hip", "ve", "fpga", "maia",
    "xla", "lazy", "vulkan", "mps", "meta", "hpu", "mtia", "privateuseone",
)  # fmt: skip


class device:
    """``device("cpu")``, ``device("cuda", 0)``, ``device("cuda:0")``: a name and perhaps a number.

    Any of PyTorch's device names makes a device, so that programs can compare and print them;
    putting a tensor on one that is not there raises what ``no_device`` makes.
    """

    __slots__ = ("index", "type")

    def __init__(self, device: str | int | device, index: int | None = None) -> None:
        if isinstance(device, int):
            device, index = "cuda", device
        if isinstance(device, type(self)):
            self.type, self.index = device.type, device.index
            return
        if not isinstance(device, str):
            raise TypeError(f"device(): argument 'device' must be str, not {type(device).__name__}")
        name, colon, number = device.partition(":")
        if name not in _KNOWN:
            raise RuntimeError(
                f"Expected one of {', '.join(_KNOWN)} device type at start of device string: {name}"
            )
        if colon:
            if not number.isdigit() or index is not None:
                raise RuntimeError(f"Invalid device string: '{device}'")
            index = int(number)
        self.type = name
        self.index = index

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, device):
            return NotImplemented
        return self.type == other.type and self.index == other.index

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        number = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{number})"

    def __reduce__(self) -> tuple:
        return device, (str(self),)

    def __enter__(self) -> device:
        here(self)
        chosen.before = (*chosen.before, chosen.device)
        chosen.device = self
        return self

    def __exit__(self, *error: object) -> None:
        *chosen.before, chosen.device = chosen.before


CPU, META = device("cpu"), device("meta")


class _Chosen(threading.local):
    """Where this thread's factories make tensors: ``device``, or the CPU if it is None."""

    device: device | None = None
    before: tuple = ()


chosen = _Chosen()


class Elsewhere:
    """What a later layer knows of meta tensors: ``made(shape, dtype, strides=None, like=None)``
    makes one; ``no_data()`` is the error where one would have to be read."""

    made: Callable[..., Any]
    no_data: Callable[[], Exception]


def here(value: object) -> device:
    """The device that ``device=value`` asks for: the CPU or meta, else the error of
    ``no_device``. Without one it is the device that was chosen."""
    if value is None:
        value = chosen.device or CPU
    if value is CPU:
        return CPU
    wanted = value if isinstance(value, device) else device(value)
    if wanted.type == "meta":
        return META
    if wanted.type != "cpu":
        raise no_device(wanted)
    return CPU


def is_meta(value: object) -> bool:
    """Whether a factory with ``device=value`` is to make a tensor without memory."""
    return (value is not None or chosen.device is not None) and here(value) is META


def place_of(array: Any) -> device:
    """The device of the tensor over ``array``."""
    return getattr(array, "place", CPU)


def different_devices(*names: str) -> RuntimeError:
    """What PyTorch says of operands on several devices."""
    return RuntimeError(
        "Expected all tensors to be on the same device, but found at least two devices, "
        f"{' and '.join(names)}!\n  a tensor on meta has no elements to compute with; give it "
        "memory with torch.empty_like(x, device='cpu') or module.to_empty(device='cpu')"
    )


def no_device(wanted: device) -> Exception:
    """What to raise where ``wanted`` would have to be there: of the type, and with the first line,
    that PyTorch has for it where it was built without."""
    name = wanted.type
    if name in ("cuda", "xpu", "mtia"):
        error, first = AssertionError, f"Torch not compiled with {name.upper()} enabled"
    elif name == "mps":
        error, first = RuntimeError, "PyTorch is not linked with support for mps devices"
    else:
        error, first = RuntimeError, f"tensors cannot be on {name}"
    return error(
        f"{first}\n  flambeau has no {name} device: tensors live on the CPU\n"
        f"  device={str(wanted)!r} was asked for; use device='cpu', or choose by "
        "torch.cuda.is_available(), which answers False"
    )


class layout(Constant):
    """How a tensor's elements are stored: ``strided`` is the one there is."""

    __slots__ = ()


strided = layout("strided")
sparse_coo = layout("sparse_coo")
sparse_csr = layout("sparse_csr")
# kinds that no tensor has, either
sparse_csc, sparse_bsr, sparse_bsc = map(layout, ("sparse_csc", "sparse_bsr", "sparse_bsc"))
jagged = layout("jagged")


class Size(tuple):
    """A tensor's shape: a tuple of integers with ``numel()``."""

    __slots__ = ()

    def numel(self) -> int:
        """The product of the sizes."""
        n = 1
        for size in self:
            n *= size
        return n

    def __repr__(self) -> str:
        return f"torch.Size({list(self)})"

    def __getitem__(self, index: int | slice) -> int | Size:
        item = tuple.__getitem__(self, index)
        return Size(item) if isinstance(index, slice) else item

    def __add__(self, other: tuple) -> Size:
        return Size(tuple.__add__(self, tuple(other)))

    def __mul__(self, n: int) -> Size:
        return Size(tuple.__mul__(self, n))

    __rmul__ = __mul__

    def __reduce__(self) -> tuple:
        return Size, (tuple(self),)
