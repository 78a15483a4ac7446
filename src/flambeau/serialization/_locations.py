"""Where storages are put when a checkpoint is read: devices, and the options of save and load."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import Enum
from mmap import ACCESS_COPY, ACCESS_WRITE
from typing import Any

from .._dtypes import uint8
from ..core.value import Value
from ..tensor._creation import empty
from ..tensor._device import Elsewhere, device, here
from ..tensor._storage import UntypedStorage
from ._rebuild import StorageType

try:
    from mmap import MAP_PRIVATE, MAP_SHARED
except ImportError:  # Windows has neither
    MAP_PRIVATE, MAP_SHARED = None, None


class LoadEndianness(Enum):
    """The byte order of files that do not say theirs."""

    NATIVE = 1
    LITTLE = 2
    BIG = 3


class options:
    """What the ``set_...`` functions set."""

    endianness: LoadEndianness | None = None
    crc32 = True
    mmap = False
    mmap_flags = MAP_PRIVATE
    skip = False


def get_default_load_endianness() -> LoadEndianness | None:
    """The byte order of files that do not say theirs; None means this machine's."""
    return options.endianness


def set_default_load_endianness(endianness: LoadEndianness | None) -> None:
    """Set the byte order of files that do not say theirs."""
    if endianness is not None and not isinstance(endianness, LoadEndianness):
        raise TypeError("Invalid argument type in function set_default_load_endianness")
    options.endianness = endianness


def default_order() -> str:
    """``"little"`` or ``"big"``: the order that ``set_default_load_endianness`` chose."""
    chosen = {LoadEndianness.LITTLE: "little", LoadEndianness.BIG: "big"}
    return chosen.get(options.endianness, sys.byteorder)


def get_crc32_options() -> bool:
    """Whether ``save`` computes the checksum of each record."""
    return options.crc32


def set_crc32_options(compute_crc32: bool) -> None:
    """Whether ``save`` computes the checksum of each record, by which ``load`` sees damage."""
    options.crc32 = bool(compute_crc32)


def get_default_mmap_options() -> int | None:
    """MAP_PRIVATE or MAP_SHARED: whether writes into a mapped tensor reach the file."""
    return options.mmap_flags


class set_default_mmap_options:
    """Choose MAP_PRIVATE (the default) or MAP_SHARED; also for the length of a ``with`` block."""

    def __init__(self, flags: int) -> None:
        if flags not in (MAP_PRIVATE, MAP_SHARED) or flags is None:
            raise ValueError(
                "Invalid argument in function set_default_mmap_options, expected mmap.MAP_PRIVATE "
                f"or mmap.MAP_SHARED, but got {flags}"
            )
        self.before, options.mmap_flags = options.mmap_flags, flags

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        options.mmap_flags = self.before


class skip_data:
    """``with skip_data():`` leaves the elements out: ``save`` writes zeros, ``load`` reads none.

    ``materialize_fake_tensors`` is accepted; there are no fake tensors here.
    """

    def __init__(self, materialize_fake_tensors: bool = False) -> None:
        self.materialize_fake_tensors = materialize_fake_tensors

    def __enter__(self) -> None:
        self.before, options.skip = options.skip, True

    def __exit__(self, *error: object) -> None:
        options.skip = self.before


def skipping() -> bool:
    """Whether a ``skip_data`` block is open."""
    return options.skip


def mapping_access() -> int:
    """The access of Python's mmap that the mapping options mean: into the file, or one's own."""
    return ACCESS_WRITE if shared_mapping() else ACCESS_COPY


def shared_mapping() -> bool:
    """Whether writes into a mapped tensor are to reach the file."""
    return MAP_SHARED is not None and options.mmap_flags == MAP_SHARED


# ---- devices ---------------------------------------------------------------------------------

Tagger = Callable[[Any], str | None]
Deserializer = Callable[[Any, str], Any]


def _cpu_tag(storage: Any) -> str | None:
    return "cpu" if storage.device.type == "cpu" else None


def _cpu_storage(storage: Any, location: str) -> Any:
    return storage if location in ("cpu", "cpu:0") else None


def _meta_tag(storage: Any) -> str | None:
    return "meta" if storage.device.type == "meta" else None


def _meta_storage(storage: Any, location: str) -> Any:
    if location != "meta":
        return None
    return empty(storage.nbytes(), dtype=uint8, device="meta").untyped_storage()


def _cuda_tag(storage: Any) -> str | None:
    return "cuda:0" if storage.device.type == "cuda" else None


def _cuda_storage(storage: Any, location: str) -> Any:
    if location.partition(":")[0] != "cuda" or not Elsewhere.has_cuda():
        return None
    return storage.cuda(device(location))


_registry: list[tuple[int, Tagger, Deserializer]] = [
    (10, _cpu_tag, _cpu_storage),
    (20, _cuda_tag, _cuda_storage),
    (22, _meta_tag, _meta_storage),
]


def register_package(priority: int, tagger: Tagger, deserializer: Deserializer) -> None:
    """Let ``tagger(storage)`` name where a storage is, and ``deserializer(storage, location)`` put
    one there; both answer None for what is not theirs. Lower ``priority`` is asked first.
    """
    _registry.append((priority, tagger, deserializer))
    _registry.sort(key=lambda entry: entry[0])


def location_tag(storage: Any) -> str:
    """The name of the place a storage is in, as checkpoints have it: ``"cpu"``."""
    for _, tagger, _ in _registry:
        location = tagger(storage)
        if location:
            return location
    raise RuntimeError(f"don't know how to determine data location of {type(storage).__name__}")


def default_restore_location(storage: Any, location: str) -> Any:
    """``storage`` put where ``location`` says. RuntimeError for a device that is not there."""
    for _, _, deserializer in _registry:
        result = deserializer(storage, location)
        if result is not None:
            return result
    kind = location.partition(":")[0]
    if kind in ("cuda", "mps", "xpu", "hpu", "mtia", "privateuseone"):
        raise RuntimeError(
            f"Attempting to deserialize object on a {kind.upper()} device but "
            f"torch.{kind}.is_available() is False. If you are running on a CPU-only machine, "
            "please use torch.load with map_location=torch.device('cpu') to map your storages to "
            "the CPU."
        )
    raise RuntimeError(
        f"don't know how to restore data location of torch.storage.UntypedStorage (tagged with "
        f"{location})"
    )


def validate_cuda_device(location: str) -> int:
    """The number of the CUDA device that ``location`` names. RuntimeError where it is not there."""
    if not Elsewhere.has_cuda():
        default_restore_location(None, "cuda")
    return here(location).index or 0


def validate_hpu_device(location: str) -> int:
    """RuntimeError: there is no HPU device to restore to."""
    default_restore_location(None, "hpu")
    return -1


def restorer(map_location: Any) -> Deserializer:
    """What ``load(map_location=...)`` means: a function that puts a storage in its place."""
    if map_location is None:
        return default_restore_location
    if isinstance(map_location, dict):
        return lambda storage, location: default_restore_location(
            storage, str(map_location.get(location, location))
        )
    if isinstance(map_location, str | device):
        return lambda storage, location: default_restore_location(storage, str(map_location))
    if not callable(map_location):
        raise TypeError(
            "map_location: a device, its name, a dictionary of names or a function was expected, "
            f"got {type(map_location).__name__}"
        )

    def by_function(storage: Any, location: str) -> Any:
        result = map_location(storage, location)
        return default_restore_location(storage, location) if result is None else result

    return by_function


def placed(storage: UntypedStorage, location: str, restore: Deserializer) -> UntypedStorage:
    """``storage`` after ``restore``, which has to give a storage."""
    result = restore(storage, location)
    if isinstance(result, Value):
        result = result.untyped_storage()
    if not isinstance(result, UntypedStorage):
        raise TypeError(
            f"map_location gave {type(result).__name__} for a storage on {location}; a storage, "
            "or None, was expected"
        )
    return UntypedStorage(result._owner)


def normalize_storage_type(storage_type: Any) -> Any:
    """The storage class that a checkpoint's name for one stands for: itself."""
    return storage_type


def storage_to_tensor_type(storage: Any) -> str:
    """The name of the legacy tensor class over a storage: ``torch.FloatTensor``."""
    return f"torch.{storage.dtype.legacy_name}Tensor"


__all__ = [
    "LoadEndianness",
    "StorageType",
    "default_restore_location",
    "get_crc32_options",
    "get_default_load_endianness",
    "get_default_mmap_options",
    "location_tag",
    "normalize_storage_type",
    "register_package",
    "set_crc32_options",
    "set_default_load_endianness",
    "set_default_mmap_options",
    "skip_data",
    "storage_to_tensor_type",
    "validate_cuda_device",
    "validate_hpu_device",
]
