"""``save``: PyTorch's format, names and all, written so that an old file is never half replaced."""

from __future__ import annotations

import codecs
import copyreg
import io
import os
import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Callable
from pathlib import PurePath
from typing import Any, BinaryIO

import numpy as np

from .. import _dtypes
from ..core.foreign import near
from ..core.generator import Generator
from ..core.value import Value, dense
from ..nn.modules.module import Module
from ..nn.modules.rnn import RNNBase
from ..tensor._device import CPU, device, layout
from ..tensor._storage import TypedStorage, UntypedStorage
from . import _archive, _legacy, _locations, _names, _rebuild
from ._atomic import FileLike, replacing

DEFAULT_PROTOCOL = 2
File = FileLike | BinaryIO


class Storages:
    """The storages that a pickle has met, in order, each with its key in the file."""

    def __init__(self, legacy: bool = False) -> None:
        self.legacy = legacy
        self.keys: dict[int, str] = {}
        self.owners: list[np.ndarray] = []
        self.dtypes: dict[int, _dtypes.dtype] = {}

    def key(self, owner: np.ndarray) -> str:
        """The key of the storage that ``owner`` holds."""
        key = self.keys.get(id(owner))
        if key is None:
            key = self.keys[id(owner)] = str(len(self.owners))
            self.owners.append(owner)
        return key

    def claim(self, owner: np.ndarray, d: _dtypes.dtype) -> bool:
        """Whether the storage is of dtype ``d`` in the file: the first one decides."""
        self.key(owner)
        return self.dtypes.setdefault(id(owner), d) is d

    def persistent_id(self, value: Any) -> tuple | None:
        """What stands for a storage in the pickle; None for everything else."""
        if not isinstance(value, UntypedStorage):
            return None
        owner = value._owner
        d = value.dtype if isinstance(value, TypedStorage) else _dtypes.uint8
        if d not in _rebuild.STORAGE_NAMES:
            d = _dtypes.uint8
        if isinstance(value, TypedStorage) and self.claim(owner, d):
            kind, count = _StorageName(_rebuild.STORAGE_NAMES[d]), owner.nbytes // d.itemsize
        else:
            kind, count = UntypedStorage, owner.nbytes
        described = ("storage", kind, self.key(owner), _locations.location_tag(value), count)
        return (*described, None) if self.legacy else described

    def item_size(self, owner: np.ndarray) -> int:
        """Bytes of an element of the storage that ``owner`` holds, as the file has it."""
        return self.dtypes.get(id(owner), _dtypes.uint8).itemsize


class _StorageName:
    """A storage class to be named in a pickle; one object for each name."""

    _all: dict[str, _StorageName] = {}
    name: str

    def __new__(cls, name: str) -> _StorageName:
        made = cls._all.get(name)
        if made is None:
            made = cls._all[name] = object.__new__(cls)
            made.name = name
        return made


def bytes_of(owner: np.ndarray) -> np.ndarray:
    """The bytes of a storage as they lie in memory; of the GPU's a copy."""
    return dense(near(owner)).reshape(-1).view(np.uint8)


#: What every module of PyTorch's carries; flambeau's have these only once they are used.
_TABLES = """
    _backward_pre_hooks _backward_hooks _forward_hooks _forward_hooks_with_kwargs
    _forward_hooks_always_called _forward_pre_hooks _forward_pre_hooks_with_kwargs
    _state_dict_hooks _state_dict_pre_hooks _load_state_dict_pre_hooks _load_state_dict_post_hooks
""".split()


def _module(module: Module) -> tuple:
    """How a module is made again, with all that PyTorch's own of that class look for."""
    made = module.__reduce_ex__(2)
    if made[0] is not copyreg.__newobj__ or type(made[2]) is not dict:
        return made
    state = {"_is_full_backward_hook": None, **{name: OrderedDict() for name in _TABLES}, **made[2]}
    state.pop("_hooked", None)
    if isinstance(module, RNNBase):
        names = [name for names in module._all_weights for name in names]
        state["_flat_weights_names"] = names
        state["_flat_weights"] = [getattr(module, name) for name in names]
    return (*made[:2], state, *made[3:])


class NamingMixin:
    """What a pickler has to know of tensors and of PyTorch's names. ``storages`` is its own."""

    storages: Storages

    def persistent_id(self, value: Any) -> tuple | None:
        """What stands for a storage."""
        return self.storages.persistent_id(value)

    def reducer_override(self, value: Any) -> Any:
        """How tensors, generators and layouts are made again."""
        if isinstance(value, Value):
            made = _rebuild.described(value, self.storages.claim)
            return NotImplemented if made is None else made
        if isinstance(value, layout):
            return _rebuild._get_layout, (repr(value),)
        if isinstance(value, Module):
            return _module(value)
        if isinstance(value, Generator):
            state = (value.initial_seed(), None, value.get_state())
            return Generator, (device(CPU),), state
        return NotImplemented


class Pickler(NamingMixin, pickle._Pickler):
    """Writes PyTorch's names for what is flambeau's.

    The pickler in C cannot be told other names than an object's own.
    """

    dispatch = dict(pickle._Pickler.dispatch)

    def save_global(self, obj: Any, name: str | None = None) -> None:
        """Write the name of a class, a function or a dtype."""
        named = ("torch", obj.name) if isinstance(obj, _StorageName) else None
        named = named or _names.torch_name(obj, name)
        if named is None:
            super().save_global(obj, name)
            return
        module, name = named
        if not isinstance(obj, _StorageName) and not self._is_there(module, name, obj):
            raise pickle.PicklingError(f"Can't pickle {obj!r}: it's not found as {module}.{name}")
        if self.proto >= 4:
            self.save(module)
            self.save(name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        self.memoize(obj)

    def _is_there(self, module: str, name: str, obj: Any) -> bool:
        if id(obj) in _names._ELSEWHERE:
            return True
        try:
            return _names.find_any(module, name) is obj
        except (AttributeError, ImportError):
            return False

    def save_bytes(self, obj: bytes) -> None:
        """Write bytes; none at all in the way that PyTorch's reader allows."""
        if obj or self.proto > 2:
            super().save_bytes(obj)
        else:
            self.save_reduce(codecs.encode, ("", "latin1"), obj=obj)

    dispatch[bytes] = save_bytes
    dispatch[types.FunctionType] = save_global
    dispatch[_StorageName] = save_global


def _pickler(module: Any, file: BinaryIO, protocol: int, storages: Storages) -> Any:
    if module is None or module is pickle:
        made = Pickler(file, protocol)
    else:
        cls = type("Pickler", (NamingMixin, module.Pickler), {})
        made = cls(file, protocol=protocol)
    made.storages = storages
    return made


def pickled(obj: Any, module: Any, protocol: int, legacy: bool = False) -> tuple[bytes, Storages]:
    """``obj`` as a pickle, and the storages it speaks of.

    What cannot be pickled raises what pickle raises, with a note that says where it is.
    """
    file, storages = io.BytesIO(), Storages(legacy)
    pickler = _pickler(module, file, protocol, storages)
    try:
        pickler.dump(obj)
    except Exception as error:
        place = _culprit(obj, module, protocol)
        if place:
            error.add_note(f"  it is {place} of what was to be saved; the old file is untouched")
        raise
    return file.getvalue(), storages


def _culprit(obj: Any, module: Any, protocol: int) -> str:
    """Where in ``obj`` the thing is that cannot be pickled: ``['hooks'][0].fn``; "" if unknown."""
    path = ""
    for _ in range(50):
        if isinstance(obj, dict):
            parts = [(f"[{key!r}]", value) for key, value in obj.items()]
        elif isinstance(obj, list | tuple):
            parts = [(f"[{i}]", value) for i, value in enumerate(obj)]
        else:
            parts = [(f".{name}", value) for name, value in getattr(obj, "__dict__", {}).items()]
        for step, value in parts:
            try:
                _pickler(module, io.BytesIO(), protocol, Storages()).dump(value)
            except Exception:
                path, obj = path + step, value
                break
        else:
            break
    return path and f"{path} ({type(obj).__name__})"


# ---- the file --------------------------------------------------------------------------------


def save(
    obj: object,
    f: File,
    pickle_module: Any = pickle,
    pickle_protocol: int = DEFAULT_PROTOCOL,
    _use_new_zipfile_serialization: bool = True,
    _disable_byteorder_record: bool = False,
) -> None:
    """Write ``obj`` to ``f``, a path or an object with ``write``, so that PyTorch reads it too.

    A path gets the new file only when it is complete and on the disk; until then, and whatever
    happens, it keeps the old one. What cannot be pickled raises before a byte is written.
    Storages are kept whole: tensors that share memory share it again when they are loaded.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.save.html
    """
    if not isinstance(f, str | os.PathLike) and not hasattr(f, "write"):
        raise AttributeError(
            "expected 'f' to be string, path, or a file-like object with a 'write' attribute"
        )
    legacy = not _use_new_zipfile_serialization
    data, storages = pickled(obj, pickle_module, pickle_protocol, legacy)
    if isinstance(f, str | os.PathLike):
        name = PurePath(f).stem or "archive"
        write_to: Callable = replacing
    else:
        name, write_to = "archive", _as_it_is
    with write_to(f) as file:
        if legacy:
            arrays = [(bytes_of(o), storages.item_size(o)) for o in storages.owners]
            _legacy.write(file, data, list(storages.keys.values()), arrays)
        else:
            _write_archive(file, name, data, storages.owners, not _disable_byteorder_record)


class _as_it_is:
    """The file of a user's own, which stays open."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def __enter__(self) -> BinaryIO:
        return self.file

    def __exit__(self, *error: object) -> None:
        if hasattr(self.file, "flush"):
            self.file.flush()


def _write_archive(
    file: BinaryIO, name: str, data: bytes, owners: list[np.ndarray], byteorder: bool
) -> None:
    archive = _archive.Writer(file, name, _archive.ALIGNMENT, _locations.get_crc32_options())
    archive.write("data.pkl", data)
    archive.write(".format_version", _archive.FORMAT_VERSION.encode())
    archive.write(".storage_alignment", str(_archive.ALIGNMENT).encode())
    if byteorder:
        archive.write("byteorder", sys.byteorder.encode())
    for key, owner in enumerate(owners):
        data = np.zeros(owner.nbytes, np.uint8) if _locations.skipping() else bytes_of(owner)
        archive.write(f"data/{key}", data)
    archive.close()
