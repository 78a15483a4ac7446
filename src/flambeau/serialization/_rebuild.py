"""What checkpoints call to make tensors, under PyTorch's names, and their counterpart: how a tensor
is described by its storage, offset, sizes and strides.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any

import numpy as np

from .. import _dtypes, _shapes
from ..core.tape import Leaf
from ..core.value import Value, address, dense, owner_of, reading, wrap
from ..nn.parameter import Buffer, Parameter, is_lazy
from ..tensor._creation import empty_strided
from ..tensor._device import layout, sparse_coo, sparse_csr, strided
from ..tensor._storage import TypedStorage, UntypedStorage, kin
from ..tensor._tensor import Tensor

#: Dtypes that PyTorch gave no storage class of their own: their tensors carry the dtype.
_WITHOUT_STORAGE = frozenset((_dtypes.uint16, _dtypes.uint32, _dtypes.uint64)) | _dtypes.FLOAT8
STORAGE_NAMES = {
    d: f"{d.legacy_name}Storage" for d in _dtypes.ALL if d not in _WITHOUT_STORAGE
}  # fmt: skip


class StorageType:
    """The storage class that a checkpoint names ("FloatStorage"), with its ``dtype``."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.dtype = next(
            (d for d, known in STORAGE_NAMES.items() if known == name), _dtypes.uint8
        )  # UntypedStorage: bytes

    def __str__(self) -> str:
        return f"StorageType(dtype={self.dtype})"

    __repr__ = __str__


# ---- from a checkpoint -----------------------------------------------------------------------


def _tensor_over(
    storage: UntypedStorage, d: _dtypes.dtype, offset: int, size: Any, stride: Any
) -> np.ndarray:
    """The elements of ``storage`` from ``offset`` on, as ``size`` and ``stride`` see them."""
    if not isinstance(storage, UntypedStorage) or not isinstance(d, _dtypes.dtype):
        raise UnpicklingError("a tensor without a storage or a dtype")
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or not all(type(n) is int and n >= 0 for n in numbers):
        raise UnpicklingError(
            f"a tensor of size {tuple(size)}, stride {tuple(stride)}, offset {offset}: these must "
            "be whole numbers, one stride for each size"
        )
    if not _shapes.numel(size):
        return np.empty(tuple(size), d.numpy)
    last = offset + sum((n - 1) * s for n, s in zip(size, stride))
    held = storage.nbytes() // d.itemsize
    if last >= held:
        raise UnpicklingError(
            f"a tensor of size {tuple(size)}, stride {tuple(stride)}, offset {offset} needs "
            f"{last + 1:,} elements of {d.name}, but its storage has {held:,}"
        )
    strides = [s * d.itemsize for s in stride]
    array = np.ndarray(tuple(size), d.numpy, storage._bytes(), offset * d.itemsize, strides)
    return kin(array, storage._owner)


def _made(array: np.ndarray, requires_grad: bool, metadata: dict | None) -> Value:
    if metadata and metadata.get("conj"):
        array = array.conj()
    if metadata and metadata.get("neg"):
        array = -array
    made = wrap(array)
    if requires_grad:
        made.requires_grad_(True)
    return made


def _rebuild_tensor(storage: TypedStorage, storage_offset: int, size: Any, stride: Any) -> Value:
    return wrap(_tensor_over(storage, storage.dtype, storage_offset, size, stride))


def _rebuild_tensor_v2(
    storage: TypedStorage,
    storage_offset: int,
    size: Any,
    stride: Any,
    requires_grad: bool,
    backward_hooks: Any,
    metadata: dict | None = None,
) -> Value:
    array = _tensor_over(storage, storage.dtype, storage_offset, size, stride)
    return _made(array, requires_grad, metadata)


def _rebuild_tensor_v3(
    storage: TypedStorage,
    storage_offset: int,
    size: Any,
    stride: Any,
    requires_grad: bool,
    backward_hooks: Any,
    dtype: _dtypes.dtype,
    metadata: dict | None = None,
) -> Value:
    array = _tensor_over(storage, dtype, storage_offset, size, stride)
    return _made(array, requires_grad, metadata)


def _rebuild_meta_tensor_no_storage(
    dtype: _dtypes.dtype, size: Any, stride: Any, requires_grad: bool
) -> Value:
    numbers = (*size, *stride)
    if len(size) != len(stride) or not all(type(n) is int and n >= 0 for n in numbers):
        raise UnpicklingError(f"a meta tensor of size {tuple(size)}, stride {tuple(stride)}")
    made = empty_strided(size, stride, dtype=dtype, device="meta")
    return made.requires_grad_(True) if requires_grad else made


def _rebuild_parameter(data: Value, requires_grad: bool, backward_hooks: Any) -> Parameter:
    return Parameter(data, requires_grad)


def _rebuild_parameter_with_state(
    data: Value, requires_grad: bool, backward_hooks: Any, state: Any
) -> Parameter:
    parameter = Parameter(data, requires_grad)
    _set_state(parameter, state)
    return parameter


def _rebuild_from_type_v2(func: Any, new_type: Any, args: Any, state: Any) -> Value:
    if func not in REBUILDERS or not (isinstance(new_type, type) and issubclass(new_type, Value)):
        raise UnpicklingError(f"a tensor is to be made by {func!r}, of type {new_type!r}")
    made = func(*args)
    if type(made) is not new_type:
        leaf = made._edge is not None
        made = made.as_subclass(new_type)
        made._shares = None
        made._edge = Leaf(made) if leaf else None
    _set_state(made, state)
    return made


def _set_state(tensor: Value, state: Any) -> None:
    """Give a tensor the attributes it had; those that flambeau itself keeps there are refused."""
    if isinstance(state, tuple) and len(state) == 2 and not state[1]:
        state = state[0]
    if not isinstance(state, dict) or not all(type(name) is str for name in state):
        raise UnpicklingError("the attributes of a tensor are not a dictionary of names")
    for name, value in state.items():
        if hasattr(Value, name) or hasattr(Tensor, name):
            raise UnpicklingError(f"the attribute {name!r} would hide one of the tensor's own")
        tensor.__dict__[name] = value


def _get_layout(name: str) -> layout:
    known = {repr(kind): kind for kind in (strided, sparse_coo, sparse_csr)}
    if name not in known:
        raise UnpicklingError(f"flambeau has no layout {name}")
    return known[name]


def _unsupported(kind: str) -> Any:
    def rebuild(*args: Any) -> Value:
        raise UnpicklingError(f"the file holds a {kind} tensor, which flambeau does not have")

    return rebuild


REBUILDERS = {
    _rebuild_tensor: "_rebuild_tensor",
    _rebuild_tensor_v2: "_rebuild_tensor_v2",
    _rebuild_tensor_v3: "_rebuild_tensor_v3",
    _rebuild_parameter: "_rebuild_parameter",
    _rebuild_parameter_with_state: "_rebuild_parameter_with_state",
    _unsupported("sparse"): "_rebuild_sparse_tensor",
    _unsupported("nested"): "_rebuild_nested_tensor",
    _unsupported("quantized"): "_rebuild_qtensor",
    _rebuild_meta_tensor_no_storage: "_rebuild_meta_tensor_no_storage",
    _unsupported("wrapper subclass"): "_rebuild_wrapper_subclass",
    _unsupported("device's (sent as an array)"): "_rebuild_device_tensor_from_numpy",
    _unsupported("device's"): "_rebuild_device_tensor_from_cpu_tensor",
}


# ---- to a checkpoint -------------------------------------------------------------------------


def described(tensor: Value, claim: Callable[[np.ndarray, _dtypes.dtype], bool]) -> tuple | None:
    """``(function, arguments)`` that make this tensor again; None where its class has its own way.

    The storage among the arguments is a TypedStorage. Whole storages are kept, as PyTorch keeps
    them, so that tensors that share memory share it again. ``claim(owner, dtype)`` tells whether
    the storage is of this dtype in the file: memory that is seen as several has only the first.
    """
    cls = type(tensor)
    if is_lazy(tensor):
        return None
    hooks: OrderedDict = OrderedDict()
    state = {k: v for k, v in vars(tensor).items() if not k.startswith("_")}
    if issubclass(cls, Buffer):
        state, cls = state | {"_is_buffer": True}, Tensor
    if issubclass(cls, Parameter):
        plain = (tensor.data, tensor.requires_grad, hooks)
        if state:
            return _rebuild_parameter_with_state, (*plain, state)
        return _rebuild_parameter, plain
    if tensor.is_meta:
        geometry = (tuple(tensor.shape), tensor.stride())
        return _rebuild_meta_tensor_no_storage, (tensor.dtype, *geometry, tensor.requires_grad)
    reading(tensor, "save")
    array = tensor._array
    owner = owner_of(array)
    flat = dense(owner)
    if not flat.flags.c_contiguous:  # an owner with gaps: what lies between is not ours to keep
        array = owner = flat = np.ascontiguousarray(array)
    d = tensor.dtype
    step = array.itemsize
    if array.size:
        place = (address(array) - address(owner)) // step
        strides = tuple(s // step for s in array.strides)
    else:
        place, strides = 0, _shapes.contiguous_strides(array.shape)
    seen = (place, tuple(array.shape), strides, tensor.requires_grad, hooks)
    if d in STORAGE_NAMES and claim(owner, d):
        call = (_rebuild_tensor_v2, (TypedStorage(owner, d), *seen))
    else:
        call = (_rebuild_tensor_v3, (TypedStorage(owner, _dtypes.uint8), *seen, d))
    if cls is not Tensor or state:
        return _rebuild_from_type_v2, (call[0], cls, call[1], state)
    return call
