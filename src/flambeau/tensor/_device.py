"""Devices: where a tensor's memory is. There is one, the CPU; others are refused by name."""

from __future__ import annotations

_KNOWN = ("cpu", "cuda", "mps", "xpu", "meta", "xla", "hpu", "vulkan", "mtia", "privateuseone")


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
        return self

    def __exit__(self, *error: object) -> None:
        pass


CPU = device("cpu")


def here(value: object) -> device:
    """The CPU, if that is what ``device=value`` asks for; otherwise the error of ``no_device``."""
    if value is None or value is CPU:
        return CPU
    wanted = value if isinstance(value, device) else device(value)
    if wanted.type != "cpu":
        raise no_device(wanted)
    return CPU


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


class layout:
    """How a tensor's elements are stored: ``strided`` is the one there is."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name


strided = layout("strided")
sparse_coo = layout("sparse_coo")
sparse_csr = layout("sparse_csr")


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
