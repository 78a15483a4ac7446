"""PyTorch's names in pickles, and flambeau's objects: each library reads what the other wrote.

Also the list of what a checkpoint may name when ``weights_only`` holds, and the user's own
additions to it.
"""

from __future__ import annotations

import codecs
import importlib
from collections import Counter, OrderedDict
from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any

from .. import _dtypes
from ..core.generator import Generator
from ..nn.parameter import Buffer, Parameter
from ..ops import memory
from ..tensor._device import Size, device, layout
from ..tensor._storage import TypedStorage, UntypedStorage
from ..tensor._tensor import Tensor
from . import _rebuild
from ._unpickler import Allowed

_ROOT = __name__.partition(".")[0]


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """How protocol 2 writes bytes. Nothing but text encodings: others transform and unpack."""
    if encoding.lower() not in ("latin1", "latin-1", "utf-8", "utf8", "ascii"):
        raise UnpicklingError(f"the encoding {encoding!r} is not one of text")
    return codecs.encode(text, encoding)


def _bytes() -> bytes:
    """How protocol 2 writes no bytes at all."""
    return b""


def _bytearray(data: bytes | str = b"", encoding: str = "latin1") -> bytearray:
    """A bytearray of bytes; of a number, which would be a size, never."""
    if not isinstance(data, bytes | bytearray | str):
        raise UnpicklingError("a bytearray is made of bytes")
    return bytearray(data, encoding) if isinstance(data, str) else bytearray(data)


#: Dtypes that PyTorch has, and flambeau not: a file that names one is told so.
_FOREIGN_DTYPES = frozenset(
    """
    complex32 float4_e2m1fn_x2 float8_e8m0fnu qint8 qint32 quint8 quint4x2 quint2x4 bits8 bits16
    bits1x8 bits2x4 bits4x2 int1 int2 int3 int4 int5 int6 int7 uint1 uint2 uint3 uint4 uint5 uint6
    uint7
    """.split()
)
_FOREIGN_STORAGES = frozenset(
    f"{name}Storage" for name in "QInt8 QInt32 QUInt8 QUInt4x2 QUInt2x4 ComplexHalf".split()
)

_FORMATS = (
    memory.contiguous_format, memory.preserve_format, memory.channels_last, memory.channels_last_3d,
)  # fmt: skip

#: Every name that any checkpoint may hold: "module.name" -> what it stands for.
_KNOWN: dict[str, Allowed] = {
    "collections.OrderedDict": Allowed(OrderedDict, True),
    "collections.Counter": Allowed(Counter, True),
    "builtins.set": Allowed(set, True),
    "builtins.complex": Allowed(complex, True),
    "builtins.bytearray": Allowed(_bytearray, True),
    "builtins.bytes": Allowed(_bytes, True),
    "_codecs.encode": Allowed(_encode, True),
    "torch.Size": Allowed(Size, True),
    "torch.device": Allowed(device, True),
    "torch.Tensor": Allowed(Tensor, False),
    "torch.nn.parameter.Parameter": Allowed(Parameter, False),
    "torch.storage.UntypedStorage": Allowed(_rebuild.StorageType("UntypedStorage"), False),
    "torch.storage.TypedStorage": Allowed(_rebuild.StorageType("UntypedStorage"), False),
    "torch.serialization._get_layout": Allowed(_rebuild._get_layout, True),
    "torch._tensor._rebuild_from_type_v2": Allowed(_rebuild._rebuild_from_type_v2, True),
    **{f"torch._utils.{n}": Allowed(f, True) for f, n in _rebuild.REBUILDERS.items()},
    **{f"torch.{d.name}": Allowed(d, False) for d in _dtypes.ALL},
    **{f"torch.{f.name}": Allowed(f, False) for f in _FORMATS},
}
for _name in _rebuild.STORAGE_NAMES.values():
    _storage_type = Allowed(_rebuild.StorageType(_name), False)
    _KNOWN[f"torch.{_name}"] = _KNOWN[f"torch.cuda.{_name}"] = _storage_type
    _tensor_type = _name.replace("Storage", "Tensor")  # what the oldest files say of a tensor
    _KNOWN[f"torch.{_tensor_type}"] = _KNOWN[f"torch.cuda.{_tensor_type}"] = Allowed(Tensor, False)

#: Names of objects that PyTorch keeps elsewhere than flambeau: (module, name) by identity.
_ELSEWHERE: dict[int, tuple[str, str]] = {
    id(_rebuild._rebuild_from_type_v2): ("torch._tensor", "_rebuild_from_type_v2"),
    id(_rebuild._get_layout): ("torch.serialization", "_get_layout"),
    **{id(f): ("torch._utils", name) for f, name in _rebuild.REBUILDERS.items()},
    id(Size): ("torch", "Size"),
    id(device): ("torch", "device"),
    id(Tensor): ("torch", "Tensor"),
    id(_dtypes.dtype): ("torch", "dtype"),
    id(layout): ("torch", "layout"),
    id(Generator): ("torch._C", "Generator"),
    id(Parameter): ("torch.nn.parameter", "Parameter"),
    id(Buffer): ("torch.nn.parameter", "Buffer"),
    id(UntypedStorage): ("torch.storage", "UntypedStorage"),
    id(TypedStorage): ("torch.storage", "TypedStorage"),
}
#: Layers that are in other files than PyTorch's: (file here, start of the name, file there).
_LAYERS = (
    ("embedding", "", "sparse"),
    ("batchnorm", "InstanceNorm", "instancenorm"),
    ("lazy", "LazyBatchNorm", "batchnorm"),
    ("lazy", "LazyInstanceNorm", "instancenorm"),
    ("lazy", "LazyConv", "conv"),
    ("lazy", "LazyLinear", "linear"),
    ("transformer", "MultiheadAttention", "activation"),
    ("loss", "LinearCrossEntropyOptions", "linear_cross_entropy_options"),
)
_OPTIMIZERS = {"Adafactor": "_adafactor", "Muon": "_muon", "SparseAdam": "sparse_adam"}
#: Packages that PyTorch has not: what is in them is known by the public name that it has there.
_INSIDE = ("core", "ops", "functions", "tensor")
_PUBLIC = (".nn.functional", "", ".special", ".linalg", ".fft")


# ---- writing ---------------------------------------------------------------------------------


def torch_name(value: Any, name: str | None = None) -> tuple[str, str] | None:
    """``(module, name)`` under which PyTorch has this object of flambeau's; None if it is not."""
    found = _ELSEWHERE.get(id(value))
    if found is not None:
        return found
    if isinstance(value, _dtypes.dtype | memory.memory_format):
        return "torch", value.name
    module = getattr(value, "__module__", None) or type(value).__module__
    if module.partition(".")[0] != _ROOT:
        return None
    name = name or getattr(value, "__qualname__", None) or value.__name__
    if module.split(".")[1:2] and module.split(".")[1] in _INSIDE:
        for place in _PUBLIC:
            holder = importlib.import_module(_ROOT + place)
            if getattr(holder, name, None) is value:
                return "torch" + place, name
    parts = module.split(".")
    if parts[1:2] == ["optim"] and parts[-1] not in ("lr_scheduler", "swa_utils", "optimizer"):
        return f"torch.optim.{_OPTIMIZERS.get(name, name.lower())}", name
    for ours, start, theirs in _LAYERS:
        if module == f"{_ROOT}.nn.modules.{ours}" and name.startswith(start):
            return f"torch.nn.modules.{theirs}", name
    module = module.replace(f"{_ROOT}.core.return_types", "torch.return_types")
    return "torch" + module.removeprefix(_ROOT), name


# ---- reading ---------------------------------------------------------------------------------


def find_any(module: str, name: str) -> Any:
    """What a trusted pickle's name of PyTorch's (or flambeau's) stands for: whatever is there.

    AttributeError for what flambeau does not have, with what comes close.
    """
    known = _KNOWN.get(f"{module}.{name}")
    if known is not None and module.partition(".")[0] == "torch":
        return known.object
    if (module, name) == ("torch._C", "Generator"):
        return Generator
    if f"{module}.{name}" in ("torch.storage._load_from_bytes", "torch.memory_format"):
        raise UnpicklingError(f"{module}.{name} is not what torch.save writes; use its own reader")
    parts = module.replace("torch", _ROOT, 1).split(".")
    if module == "torch.return_types":
        parts = [_ROOT, "core", "return_types"]
    for length in range(len(parts), 0, -1):
        place = ".".join(parts[:length])
        try:
            holder = importlib.import_module(place)
        except ModuleNotFoundError as error:
            if not f"{place}.".startswith(f"{error.name}."):
                raise
            continue
        value = holder
        for part in name.split("."):
            value = getattr(value, part, None)
            if value is None:
                break
        else:
            return value
        if length == 2 and parts[1] not in ("optim", "nn"):
            break
    raise AttributeError(f"the file needs {module}.{name}, which flambeau does not have (yet)")


class SafeNames:
    """Finds names for the safe unpickler, and notes those that are not allowed."""

    def __init__(self) -> None:
        self.users = {key: value for value, key in map(_keyed, _added)}

    def __call__(self, module: str, name: str) -> Allowed:
        """``Allowed`` for a name, or UnpicklingError."""
        module = _today(module)
        full = f"{module}.{name}"
        found = _KNOWN.get(full)
        if found is not None:
            return found
        if full in self.users:
            return Allowed(self.users[full], True)
        root, _, leaf = full.rpartition(".")
        if root in ("torch", "torch.cuda", "torch.storage") and (
            leaf in _FOREIGN_DTYPES or leaf in _FOREIGN_STORAGES
        ):
            raise UnpicklingError(f"the file holds elements of {full}, which flambeau has not")
        raise UnpicklingError(
            f"Unsupported global: GLOBAL {full} was not an allowed global by default. Please use "
            f"`torch.serialization.add_safe_globals([{leaf}])` or the "
            f"`torch.serialization.safe_globals([{leaf}])` context manager to allowlist this "
            "global if you trust this class/function."
        )


def _today(module: str) -> str:
    """The name of a module today: Python 2 and NumPy 1 wrote others."""
    if module in ("__builtin__", "copy_reg"):
        return {"__builtin__": "builtins", "copy_reg": "copyreg"}[module]
    return module.replace("numpy.core", "numpy._core", 1)


def is_known(module: str, name: str) -> bool:
    """Whether a checkpoint may hold this name."""
    try:
        SafeNames()(module, name)
    except UnpicklingError:
        return False
    return True


# ---- the user's additions --------------------------------------------------------------------

_added: list[Any] = []
SafeGlobal = Callable | tuple[Callable, str]


def _keyed(entry: SafeGlobal) -> tuple[Any, str]:
    """An entry of ``add_safe_globals`` as ``(object, "module.name")``."""
    if isinstance(entry, tuple):
        value, full = entry
    else:
        value = entry
        named = torch_name(value)
        module, name = named or (value.__module__, getattr(value, "__qualname__", value.__name__))
        full = f"{module}.{name}"
    module, _, name = full.rpartition(".")
    return value, f"{_today(module)}.{name}"


def add_safe_globals(safe_globals: list[SafeGlobal]) -> None:
    """Let ``load(weights_only=True)`` make and call these classes and functions from now on.

    An entry is the object, or ``(object, "module.name")`` if the file calls it otherwise.
    TypeError for what is neither.
    """
    for entry in safe_globals:
        value = entry[0] if isinstance(entry, tuple) and len(entry) == 2 else entry
        if not callable(value):
            raise TypeError(
                f"Expected item in the list to be a callable or a (callable, str) tuple: {entry!r}"
            )
    for entry in safe_globals:
        if entry not in _added:
            _added.append(entry)


def get_safe_globals() -> list[SafeGlobal]:
    """What ``add_safe_globals`` has added."""
    return list(_added)


def clear_safe_globals() -> None:
    """Forget what ``add_safe_globals`` has added."""
    _added.clear()


class safe_globals:
    """``with safe_globals([MyClass]):`` allows them to ``load(weights_only=True)`` for a while."""

    def __init__(self, safe_globals: list[SafeGlobal]) -> None:
        self.safe_globals = safe_globals

    def __enter__(self) -> None:
        self.before = list(_added)
        add_safe_globals(self.safe_globals)

    def __exit__(self, *error: object) -> None:
        _added[:] = self.before
