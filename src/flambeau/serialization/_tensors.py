"""safetensors files: named tensors and nothing else, read and written by the safetensors library.

Format: https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import os

import numpy as np

from .. import _dtypes
from .._optional import require
from ..core.value import Value, wrap
from ._atomic import FileLike, replacing

#: The format's names for dtypes.
_READ = {
    "F64": _dtypes.float64, "F32": _dtypes.float32, "F16": _dtypes.float16,
    "BF16": _dtypes.bfloat16, "F8_E4M3": _dtypes.float8_e4m3fn, "F8_E5M2": _dtypes.float8_e5m2,
    "F8_E4M3FNUZ": _dtypes.float8_e4m3fnuz, "F8_E5M2FNUZ": _dtypes.float8_e5m2fnuz,
    "I64": _dtypes.int64, "I32": _dtypes.int32, "I16": _dtypes.int16, "I8": _dtypes.int8,
    "U64": _dtypes.uint64, "U32": _dtypes.uint32, "U16": _dtypes.uint16, "U8": _dtypes.uint8,
    "BOOL": _dtypes.bool_, "C64": _dtypes.complex64,
}  # fmt: skip


def write_safetensors(tensors: dict[str, Value], metadata: dict[str, str] | None = None) -> bytes:
    """Named tensors as the bytes of a safetensors file.

    TypeError for what is not a tensor; ValueError for dtypes that the format has not, and for two
    names with shared memory, which the format cannot keep.
    """
    library = require("safetensors.numpy", "write_safetensors()")
    arrays, owners = {}, {}
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, Value):
            raise TypeError(
                f"Key `{name}` is invalid, expected torch.Tensor but received {type(tensor)}"
            )
        if tensor.dtype not in _READ.values():
            raise ValueError(f"safetensors has no dtype {tensor.dtype!r} (of {name!r})")
        twin = owners.setdefault((tensor.data_ptr(), tensor.nbytes), name)
        if twin != name and tensor.nbytes:
            raise ValueError(
                f"{twin!r} and {name!r} share memory, which a safetensors file cannot keep: leave "
                "one out, or save a .clone() of it"
            )
        arrays[name] = np.ascontiguousarray(tensor.cpu()._array).reshape(tensor.shape)
    return library.save(arrays, metadata)


def read_safetensors(data: bytes) -> dict[str, Value]:
    """The named tensors of a safetensors file's bytes. ValueError for a damaged file."""
    library = require("safetensors", "read_safetensors()")
    try:
        found = library.deserialize(bytes(data))
    except library.SafetensorError as error:
        raise ValueError(f"the safetensors file is damaged: {error}") from error
    tensors = {}
    for name, told in found:
        d = _READ.get(told["dtype"])
        if d is None:
            raise ValueError(f"{name!r} has elements of {told['dtype']}, which flambeau has not")
        flat = np.frombuffer(bytearray(told["data"]), d.numpy)
        tensors[name] = wrap(flat.reshape(told["shape"]))
    return tensors


def save_safetensors(
    tensors: dict[str, Value], path: FileLike, metadata: dict[str, str] | None = None
) -> None:
    """Write named tensors (a state_dict) as a safetensors file, whole or not at all."""
    data = write_safetensors(tensors, metadata)
    with replacing(path) as file:
        file.write(data)


def load_safetensors(path: FileLike) -> dict[str, Value]:
    """The named tensors of a safetensors file, of any library's."""
    with open(os.fspath(path), "rb") as file:
        return read_safetensors(file.read())
