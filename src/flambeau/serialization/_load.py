"""``load``: checkpoints of PyTorch's and flambeau's, read without running what they hold."""

from __future__ import annotations

import io
import mmap as _mmap
import os
import pickle
import pickletools
import tarfile
from collections.abc import Callable
from contextlib import contextmanager
from pickle import UnpicklingError
from typing import Any, BinaryIO

import numpy as np

from .. import _dtypes
from ..tensor._storage import TypedStorage
from . import _archive, _legacy, _locations, _names, _rebuild
from ._atomic import FileLike
from ._unpickler import SafeUnpickler

File = FileLike | BinaryIO


def load(
    f: File,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Read what ``save`` wrote, here or in PyTorch, from a path or a seekable file.

    ``weights_only``  (the default) makes nothing but tensors, containers, numbers, strings and what
        ``add_safe_globals`` allows; with False the file may run any code: only for files you trust
    ``map_location``  a device, its name, a dictionary of names, or a function
        ``(storage, location) -> storage``: where storages go
    ``mmap``          True maps the file into memory, so that elements are read when they are used;
        None does what ``torch.utils.serialization.config.load.mmap`` says
    A file that is cut, damaged or made to do harm raises pickle.UnpicklingError (a RuntimeError
    too, as PyTorch's), which says what is wrong; no more memory is taken than the file could fill.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.load.html
    """
    weights_only = _decide(weights_only, pickle_module)
    mmap = _locations.options.mmap if mmap is None else mmap
    if mmap and not isinstance(f, str | os.PathLike):
        raise ValueError("f must be a file path in order to use the mmap argument")
    reader = _Reading(weights_only, pickle_module, map_location, pickle_load_args)
    shared = bool(mmap) and _locations.shared_mapping()
    with _opened(f, "r+b" if shared else "rb") as file:
        try:
            return reader.read(file, bool(mmap))
        except (UnpicklingError, _archive.NoEnd) as error:
            if isinstance(error, _archive.NoEnd):
                told = _archive.cut(file, _legacy.sizes_in)
            else:
                told = str(error)
            raise _Refused(_explained(_archive.describe(file), told, weights_only)) from None


class _Refused(UnpicklingError, RuntimeError):
    """PyTorch raises the one or the other, by what is wrong with the file; this is both."""

    __module__, __qualname__ = "pickle", "UnpicklingError"


def _explained(file: str, told: str, weights_only: bool) -> str:
    message = f"{file}: {told}"
    if weights_only and "was not an allowed global" in told:
        message = (
            f"Weights only load failed. {message}\n"
            "  weights_only=False would read it, and run whatever code it holds: do that only "
            "with a file from a source you trust"
        )
    return message


def _decide(weights_only: bool | None, pickle_module: Any) -> bool:
    """Whether nothing may be run. PyTorch's two environment variables have their say."""
    force = os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "0") in ("1", "y", "yes", "true")
    free = os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "0") in ("1", "y", "yes", "true")
    if force and free:
        raise RuntimeError(
            "Only one of `TORCH_FORCE_WEIGHTS_ONLY_LOAD` or `TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD` "
            "should be set, but both were set."
        )
    if weights_only is None:
        weights_only = pickle_module is None and not free
    weights_only = weights_only or force
    if weights_only and pickle_module is not None:
        raise RuntimeError(
            "Can not safely load weights when explicit pickle_module is specified\n"
            "  weights_only=True reads by flambeau's own interpreter, which runs nothing"
        )
    return weights_only


@contextmanager
def _opened(f: File, mode: str = "rb") -> Any:
    """A seekable binary file: the path's, or the user's own, which stays open."""
    if isinstance(f, str | os.PathLike):
        with open(f, mode) as file:
            yield file
        return
    for method in ("read", "seek", "tell", "readline"):
        if not hasattr(f, method):
            raise AttributeError(
                f"'{type(f).__name__}' object has no attribute '{method}'. You can only torch.load "
                "from a file that is seekable. Please pre-load the data into a buffer like "
                "io.BytesIO and try to load from it instead."
            )
    try:
        f.seek(f.tell())
    except io.UnsupportedOperation as error:
        raise io.UnsupportedOperation(
            f"{error}. You can only torch.load from a file that is seekable. Please pre-load the "
            "data into a buffer like io.BytesIO and try to load from it instead."
        ) from None
    yield f


class _Reading:
    """One call of ``load``: how names, storages and pickles are to be taken."""

    def __init__(
        self, weights_only: bool, pickle_module: Any, map_location: Any, arguments: dict
    ) -> None:
        self.weights_only = weights_only
        self.pickle_module = pickle_module or pickle
        self.restore = _locations.restorer(map_location)
        self.hollow = str(map_location) == "meta"
        self.arguments = {"encoding": "utf-8", **arguments}

    def read(self, file: BinaryIO, mapped: bool) -> Any:
        """The object of an open file, whichever its format is."""
        if _archive.is_archive(file):
            return self._archive(file, mapped)
        if mapped:
            raise RuntimeError(
                "mmap can only be used with files saved with "
                "`torch.save(_use_new_zipfile_serialization=True)`, please torch.save your "
                "checkpoint with this option in order to use mmap."
            )
        if _legacy.is_stream(file):
            return _legacy.read_stream(file, self.unpickle, self.place)
        here = file.tell()
        if _archive.size_of(file) == here:
            raise EOFError(f"{_archive.describe(file)} is empty")
        if _is_tar(file):
            file.seek(here)
            return _legacy.read_tar(file, self.unpickle, self.place)
        raise UnpicklingError(
            "Invalid magic number; corrupt file?\n  this is no checkpoint: it starts neither as a "
            f"zip archive nor as PyTorch's older formats do, but with {_head(file, here)!r}"
        )

    def unpickle(self, file: BinaryIO, left: int, persistent_load: Callable) -> Any:
        """One object from the ``left`` bytes of ``file``."""
        if self.weights_only:
            encoding = self.arguments["encoding"]
            find = _names.SafeNames()
            trusted = [value for value in find.users.values() if isinstance(value, type)]
            return SafeUnpickler(file, left, find, persistent_load, encoding, trusted).load()
        return _trusting(self.pickle_module, file, persistent_load, self.arguments)

    def place(self, storage: TypedStorage, location: Any) -> TypedStorage:
        """A storage where ``map_location`` wants it."""
        if not isinstance(location, str):
            raise UnpicklingError(f"a storage on {location!r}, which is no place")
        found = _locations.placed(storage.untyped(), location, self.restore)
        return TypedStorage(found._owner, storage.dtype)

    # ---- the zip archive ---------------------------------------------------------------------

    def _archive(self, file: BinaryIO, mapped: bool) -> Any:
        archive = _archive.Reader(file)
        if archive.has("constants.pkl"):
            raise RuntimeError(
                f"{_archive.describe(file)} holds a TorchScript program, which flambeau cannot "
                "run: save the model's state_dict in PyTorch, and load that"
            )
        order = _locations.default_order()
        swap = archive.swapped(order)
        storages: dict[str, TypedStorage] = {}
        memory = _mapping(file) if mapped else None

        def load(id: Any) -> TypedStorage:
            if not isinstance(id, tuple) or len(id) != 5 or id[0] != "storage":
                raise UnpicklingError(f"the persistent id {id!r} is not one of a storage")
            _, kind, key, location, count = id
            if not isinstance(kind, _rebuild.StorageType) or not isinstance(key, str):
                raise UnpicklingError(f"a storage of type {kind!r}, key {key!r}")
            if key not in storages:
                data = self._storage(archive, key, kind.dtype, count, memory)
                if swap and kind.dtype.itemsize > 1:
                    data = np.array(data)
                    _legacy.swap_bytes(data, kind.dtype)
                storages[key] = self.place(TypedStorage(data, kind.dtype), location)
            return storages[key]

        pickled = archive.read("data.pkl")
        return self.unpickle(_archive.as_file(pickled), pickled.nbytes, load)

    def _storage(
        self,
        archive: _archive.Reader,
        key: str,
        d: _dtypes.dtype,
        count: Any,
        memory: _mmap.mmap | None,
    ) -> np.ndarray:
        record = f"data/{key}"
        declared = _legacy._positive(count) * d.itemsize
        held = archive.record_size(record)
        if held < declared:
            raise UnpicklingError(
                f"the storage {key} declares {_archive.human(declared)}, but its record holds "
                f"{_archive.human(held)}"
            )
        if self.hollow or _locations.skipping():
            return np.empty(declared, np.uint8)
        if memory is None:
            return archive.read(record)
        start = archive.place(record)
        if start is None:
            raise UnpicklingError(f"the record {record!r} is packed: it cannot be mapped")
        data = np.frombuffer(memory, np.uint8, held, start)
        return data if start % d.itemsize == 0 else np.array(data)


def _mapping(file: BinaryIO) -> _mmap.mmap:
    """The bytes of a file, read when they are used."""
    return _mmap.mmap(file.fileno(), 0, access=_locations.mapping_access())


def _is_tar(file: BinaryIO) -> bool:
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            return archive.getnames() != []
    except (tarfile.TarError, ValueError, OSError):
        return False


def _head(file: BinaryIO, here: int) -> bytes:
    file.seek(here)
    return file.read(16)


def _trusting(module: Any, file: BinaryIO, persistent_load: Callable, arguments: dict) -> Any:
    """One object by a pickle module's own unpickler, which may run code of the file's."""

    class Unpickler(module.Unpickler):
        """Knows PyTorch's names."""

        def find_class(self, module_name: str, name: str) -> Any:
            """What a name stands for: PyTorch's are looked for here."""
            if module_name.partition(".")[0] in ("torch", "flambeau"):
                return _names.find_any(module_name, name)
            return super().find_class(_names._today(module_name), name)

        def persistent_load(self, id: Any) -> Any:
            """A storage."""
            return persistent_load(id)

    return Unpickler(file, **arguments).load()


# ---- what would be refused -------------------------------------------------------------------


def get_unsafe_globals_in_checkpoint(f: File) -> list[str]:
    """Names in a checkpoint that ``load(weights_only=True)`` would refuse: ``"module.name"``.

    Nothing is made: the pickle is only read through. ValueError for the formats before zip.
    """
    with _opened(f) as file:
        if not _archive.is_archive(file):
            raise ValueError("Expected input to be a checkpoint returned by torch.save")
        try:
            data = _archive.Reader(file).read("data.pkl")
        except _archive.NoEnd:
            raise _Refused(_archive.cut(file, _legacy.sizes_in)) from None
        return sorted(set(_names_in(bytes(data))))


def _names_in(data: bytes) -> list[str]:
    found = []
    texts: list[str] = []  # the last strings, which a STACK_GLOBAL takes
    memo: dict[int, str] = {}
    for opcode, value, _ in pickletools.genops(data):
        if opcode.name == "GLOBAL":
            module, name = value.split(" ", 1)
        elif opcode.name == "STACK_GLOBAL" and len(texts) > 1:
            module, name = texts[-2:]
        else:
            if opcode.name in ("BINGET", "LONG_BINGET", "GET"):
                value = memo.get(int(value))
            elif opcode.name in ("BINPUT", "LONG_BINPUT", "PUT") and texts:
                memo[int(value)] = texts[-1]
            elif opcode.name == "MEMOIZE" and texts:
                memo[len(memo)] = texts[-1]
            if isinstance(value, str):
                texts.append(value)
            continue
        if not _names.is_known(module, name):
            found.append(f"{_names._today(module)}.{name}")
    return found
