"""Devices: where a tensor's memory is. There are the CPU, a GPU as ``cuda`` where there is one, and
``meta``, where tensors have no memory; others are refused by name."""

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


CPU, META, CUDA = device("cpu"), device("meta"), device("cuda", 0)


class _Chosen(threading.local):
    """Where this thread's factories make tensors: ``device``, or the CPU if it is None."""

    device: device | None = None
    before: tuple = ()


chosen = _Chosen()


class Elsewhere:
    """What later layers know of tensors that are not on the CPU. ``on(place)`` is the module of a
    device's arrays, which has

    ``made(shape, dtype, strides=None, like=None, value=None)``   a new array, filled with ``value``
    ``given(array)``   an array of the CPU there;   ``taken(array)``   one from there on the CPU
    ``moved(tensor)``  a tensor from there to the CPU, or back, on the tape

    ``has_cuda()``: whether there is a CUDA device."""

    on: Callable[[device], Any]
    has_cuda: Callable[[], bool]


def here(value: object) -> device:
    """The device that ``device=value`` asks for: the CPU, meta or the GPU, else the error of
    ``no_device``. Without one it is the device that was chosen."""
    if value is None:
        value = chosen.device or CPU
    if value is CPU:
        return CPU
    wanted = value if isinstance(value, device) else device(value)
    if wanted.type == "meta":
        return META
    if wanted.type == "cuda" and Elsewhere.has_cuda():
        if wanted.index:
            raise RuntimeError(
                "CUDA error: invalid device ordinal\n  flambeau uses one GPU, cuda:0; another one "
                "can be made the first by the environment variable CUDA_VISIBLE_DEVICES"
            )
        return CUDA
    if wanted.type != "cpu":
        raise no_device(wanted)
    return CPU


def is_meta(value: object) -> bool:
    """Whether a factory with ``device=value`` is to make a tensor without memory."""
    return (value is not None or chosen.device is not None) and here(value) is META


def put(array: Any, place: device) -> Any:
    """``array``, of the CPU, as one of ``place``."""
    return array if place is CPU else Elsewhere.on(place).given(array)


def elsewhere(value: object) -> Any:
    """The module (see ``Elsewhere``) that makes the arrays of a factory with ``device=value``; None
    for the CPU."""
    if value is None and chosen.device is None:
        return None
    place = here(value)
    return None if place is CPU else Elsewhere.on(place)


def place_of(array: Any) -> device:
    """The device of the tensor over ``array``."""
    return getattr(array, "place", CPU)


def different_devices(*names: str) -> RuntimeError:
    """What PyTorch says of operands on several devices."""
    return RuntimeError(
        "Expected all tensors to be on the same device, but found at least two devices, "
        f"{' and '.join(names)}!\n  "
        + (
            "a tensor on meta has no elements to compute with; give it memory with "
            "torch.empty_like(x, device='cpu') or module.to_empty(device='cpu')"
            if "meta" in names
            else "move one of them, with x.to(device)"
        )
    )


_MISSING = {
    "cuda": "finds no GPU (NVIDIA's driver shows none, or CuPy is missing, which "
    "pip install 'flambeau[cuda]' brings)"
}


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
    missing = _MISSING.get(name, f"has no {name} device")
    return error(
        f"{first}\n  flambeau {missing}: tensors live on the CPU\n"
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
