"""PyTorch's formats before the zip archive: a stream of pickles with the storages behind it (until
1.5), and a tar archive (until 0.1.1).

The stream: a magic number, a protocol number, what the machine was like, the object, the keys of
the storages (a pickle each), then for every key the number of elements (int64) and the elements.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
import tarfile
from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any, BinaryIO

import numpy as np

from .. import _dtypes
from ..core.value import Value
from ..tensor._storage import TypedStorage
from . import _archive, _rebuild
from ._archive import human
from ._unpickler import Allowed, SafeUnpickler

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001

#: ``unpickle(file, left, persistent_load)``: one object from the stream.
Unpickle = Callable[[BinaryIO, int, Callable], Any]


def write(
    file: BinaryIO, data: bytes, keys: list[str], arrays: list[tuple[np.ndarray, int]]
) -> None:
    """The stream of ``data``, the pickled object, and of its storages: bytes and item sizes."""
    system = {
        "protocol_version": PROTOCOL_VERSION,
        "little_endian": sys.byteorder == "little",
        "type_sizes": {"short": 2, "int": 4, "long": 4},
    }
    for value in (MAGIC_NUMBER, PROTOCOL_VERSION, system):
        file.write(pickle.dumps(value, 2))
    file.write(data)
    order = sorted(range(len(keys)), key=keys.__getitem__)
    file.write(pickle.dumps([keys[i] for i in order], 2))
    for i in order:
        array, item = arrays[i]
        file.write(struct.pack("=q", array.nbytes // item))
        file.write(memoryview(array))


def is_stream(file: BinaryIO) -> bool:
    """Whether a file starts with the magic number; its position stays."""
    start = pickle.dumps(MAGIC_NUMBER, 2)
    here = file.tell()
    head = file.read(len(start))
    file.seek(here)
    return head[2:] == start[2:] and head[:1] == start[:1]


class _Cut(Exception):
    """The stream ends before its last storage."""


def read_stream(file: BinaryIO, unpickle: Unpickle, place: Callable) -> Any:
    """The object of a stream. ``place(storage, location)`` puts a storage where it belongs.

    UnpicklingError says what is wrong with the file.
    """
    size = _archive.size_of(file)
    storages: dict[str, TypedStorage] = {}
    views: dict[tuple[str, str], TypedStorage] = {}
    where: dict[str, str] = {}
    promised = 0

    def unknown(id: Any) -> Any:
        raise UnpicklingError(f"the persistent id {id!r} stands in the wrong place")

    def left() -> int:
        return size - file.tell()

    def load(id: Any) -> Any:
        nonlocal promised
        if isinstance(id, tuple) and len(id) == 4 and id[0] == "module":
            return id[1]  # the source of a class went with it: it is not needed
        if not isinstance(id, tuple) or len(id) not in (5, 6) or id[0] != "storage":
            raise UnpicklingError(f"the persistent id {id!r} is not one of a storage")
        _, kind, key, location, count, *view = id
        if not isinstance(kind, _rebuild.StorageType) or not isinstance(key, str):
            raise UnpicklingError(f"a storage of type {kind!r}, key {key!r}")
        if key not in storages:
            nbytes = _positive(count) * kind.dtype.itemsize
            promised += nbytes
            if promised > left():
                storages[key] = None
                raise _Cut
            owner = np.empty(nbytes, np.uint8)
            where[key] = location
            storages[key] = place(TypedStorage(owner, kind.dtype), location)
        whole = storages[key]
        if not view or view[0] is None:
            return whole
        view_key, offset, length = view[0]
        if (key, view_key) not in views:
            start, end = offset * whole.dtype.itemsize, (offset + length) * whole.dtype.itemsize
            if not 0 <= start <= end <= whole.nbytes():
                raise UnpicklingError("a view of a storage goes beyond it")
            views[key, view_key] = TypedStorage(whole._bytes()[start:end], whole.dtype)
        return views[key, view_key]

    if unpickle(file, left(), unknown) != MAGIC_NUMBER:
        raise UnpicklingError("Invalid magic number; corrupt file?")
    version = unpickle(file, left(), unknown)
    if version != PROTOCOL_VERSION:
        raise UnpicklingError(f"Invalid protocol version: {version}")
    system = unpickle(file, left(), unknown)
    little = system.get("little_endian", True) if isinstance(system, dict) else True
    start = file.tell()
    try:
        result = unpickle(file, left(), load)
    except _Cut:
        raise UnpicklingError(_share(file, start, size)) from None
    keys = unpickle(file, left(), unknown)
    if not isinstance(keys, list) or set(keys) != set(storages):
        raise UnpicklingError("the list of storages does not fit the pickle")
    for key in keys:
        _read_storage(file, storages[key], size, bool(little) != (sys.byteorder == "little"))
    return result


def _share(file: BinaryIO, start: int, size: int) -> str:
    """How much of a stream is there, told by the storages that its pickle speaks of."""
    file.seek(start)
    storages, used = sizes_in(file, size - start)
    whole = start + used + sum(n + 8 for n in storages.values())
    share = min(99, round(100 * size / max(whole, 1)))
    told = f"file is {share} % of its declared {human(whole)}"
    return f"{told} (cut while writing or downloading?)"


def _positive(count: Any) -> int:
    if type(count) is not int or not 0 <= count < 1 << 62:
        raise UnpicklingError(f"a storage of {count!r} elements")
    return count


def _read_storage(file: BinaryIO, storage: TypedStorage, size: int, swap: bool) -> None:
    head = file.read(8)
    if len(head) != 8:
        raise UnpicklingError("the file ends before its last storage: it is cut")
    count = struct.unpack(">q" if swap else "=q", head)[0]
    owner = storage._bytes()
    if count * storage.dtype.itemsize != owner.nbytes:
        raise UnpicklingError(
            f"a storage has {count:,} elements in one place, and "
            f"{owner.nbytes // storage.dtype.itemsize:,} in another"
        )
    if file.tell() + owner.nbytes > size:
        raise UnpicklingError("the file ends in the middle of a storage: it is cut")
    read = np.empty(owner.nbytes, np.uint8) if storage.is_cuda else owner
    _archive.fill(file, read, "a storage")
    if swap:
        swap_bytes(read, storage.dtype)
    if read is not owner:
        owner[...] = read


def swap_bytes(data: np.ndarray, d: _dtypes.dtype) -> None:
    """Turn the bytes of each element around, in place; complex ones by their parts."""
    item = d.to_real().itemsize
    if item > 1:
        data[: data.nbytes // item * item].view(f"u{item}").byteswap(inplace=True)


# ---- sizes without elements ------------------------------------------------------------------


class _Nothing(dict):
    """What stands for any object while only sizes are wanted."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def __hash__(self) -> int:
        return id(self)


def _nothing(*args: Any) -> None:
    return None


def sizes_in(file: BinaryIO, left: int) -> tuple[dict[str, int], int]:
    """The bytes of every storage that a pickle speaks of, by key, and the length of the pickle.

    Nothing is made and no elements are read. UnpicklingError for a pickle that is cut itself.
    """
    storages: dict[str, int] = {}

    def find(module: str, name: str) -> Allowed:
        if name.endswith("Storage"):
            return Allowed(_rebuild.StorageType(name), False)
        if module in ("collections", "builtins", "__builtin__") and name in ("OrderedDict", "dict"):
            return Allowed(dict, True)
        if module.startswith("torch._") or module == "torch.serialization":
            return Allowed(_nothing, True)
        return Allowed(_Nothing, True)

    def load(id: Any) -> None:
        if isinstance(id, tuple) and len(id) > 4 and isinstance(id[1], _rebuild.StorageType):
            storages[str(id[2])] = _positive(id[4]) * id[1].dtype.itemsize

    reader = _Sizer(file, left, find, load)
    reader.load()
    return storages, left - reader.left


class _Sizer(SafeUnpickler):
    """Takes states and items without giving them to anything."""

    def build(self) -> None:
        """BUILD: dropped."""
        self.stack.pop()

    def extend(self, items: list[Any]) -> None:
        """APPENDS: dropped."""


# ---- tar -------------------------------------------------------------------------------------


def read_tar(file: BinaryIO, unpickle: Unpickle, place: Callable) -> Any:
    """The object of a tar archive: members ``storages``, ``tensors`` and ``pickle``."""
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            members = {name: archive.extractfile(name) for name in ("storages", "tensors")}
            objects: dict[Any, Any] = {}
            _tar_storages(members["storages"], unpickle, place, objects)
            _tar_tensors(members["tensors"], unpickle, objects)
            content = archive.extractfile("pickle")

            def load(id: Any) -> Any:
                if isinstance(id, tuple) and id and id[0] == "module":
                    return id[1]
                key = id[0] if isinstance(id, tuple) else id
                if not isinstance(key, int | str) or _key(key) not in objects:
                    raise UnpicklingError(f"the pickle speaks of {id!r}, which is not in the file")
                return objects[_key(key)]

            return unpickle(content, _archive.size_of(content), load)
    except (tarfile.TarError, KeyError, struct.error, AttributeError, TypeError, EOFError) as error:
        raise UnpicklingError(f"its tar archive is damaged ({error})") from error


def _key(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _tar_storages(file: BinaryIO, unpickle: Unpickle, place: Callable, objects: dict) -> None:
    size = _archive.size_of(file)

    def next_value() -> Any:
        return unpickle(file, size - file.tell(), lambda id: None)

    for _ in range(_positive(next_value())):
        key, location, kind = next_value()
        head = file.read(8)
        count = _positive(struct.unpack("<q", head)[0])
        nbytes = count * kind.dtype.itemsize
        if nbytes > size - file.tell():
            raise UnpicklingError("a storage ends beyond the file: it is cut")
        owner = np.empty(nbytes, np.uint8)
        _archive.fill(file, owner, "a storage")
        if sys.byteorder != "little":
            swap_bytes(owner, kind.dtype)
        objects[_key(key)] = place(TypedStorage(owner, kind.dtype), location)
    for target, root, offset, count in next_value():
        whole = objects[_key(root)]
        item = whole.dtype.itemsize
        if not 0 <= offset * item <= (offset + count) * item <= whole.nbytes():
            raise UnpicklingError("a view of a storage goes beyond it")
        part = whole._bytes()[offset * item : (offset + count) * item]
        objects[_key(target)] = TypedStorage(part, whole.dtype)


def _tar_tensors(file: BinaryIO, unpickle: Unpickle, objects: dict) -> None:
    size = _archive.size_of(file)

    def next_value() -> Any:
        return unpickle(file, size - file.tell(), lambda id: None)

    made: dict[Any, Value] = {}
    for _ in range(_positive(next_value())):
        key, storage, _ = next_value()
        (ndim,) = struct.unpack("<i", file.read(4))
        file.seek(4, os.SEEK_CUR)  # it was written as 8 bytes
        if not 0 <= ndim <= 64:
            raise UnpicklingError(f"a tensor of {ndim} dimensions")
        sizes = struct.unpack(f"<{ndim}q", file.read(8 * ndim))
        strides = struct.unpack(f"<{ndim}q", file.read(8 * ndim))
        (offset,) = struct.unpack("<q", file.read(8))
        made[_key(key)] = _rebuild._rebuild_tensor(objects[_key(storage)], offset, sizes, strides)
    objects.update(made)
