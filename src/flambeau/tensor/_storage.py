"""A tensor's place in memory: storage, strides, offset."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from .. import _dtypes, _shapes
from ..core.value import Value, address, dense, offset_of, owner_of, reading, wrap
from ._device import CPU, CUDA, META, Elsewhere, device, here, place_of


class UntypedStorage:
    """The bytes that one or more tensors look into."""

    __slots__ = ("_owner",)

    def __init__(self, owner: np.ndarray | int = 0) -> None:
        self._owner = np.empty(owner, np.uint8) if isinstance(owner, int) else owner

    @staticmethod
    def from_file(
        filename: str | os.PathLike, shared: bool = False, nbytes: int = 0
    ) -> UntypedStorage:
        """The first ``nbytes`` of a file, mapped; writes reach it only if it is ``shared``.

        A shared file is made, or made longer, as needed; another must hold as much (ValueError).
        """
        if shared:
            with open(filename, "ab") as file:
                file.truncate(max(nbytes, os.fstat(file.fileno()).st_size))
        if not nbytes:
            return UntypedStorage()
        return UntypedStorage(
            np.asarray(np.memmap(filename, np.uint8, "r+" if shared else "c", shape=(nbytes,)))
        )

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._bytes(), dtype, copy=copy)

    def untyped(self) -> UntypedStorage:
        """The same bytes without a dtype: this storage."""
        return self

    def cpu(self) -> UntypedStorage:
        """This storage in the CPU's memory, where it may be already."""
        return self.to(device=CPU) if self.is_cuda else self

    def clone(self) -> UntypedStorage:
        """A storage of its own with the same bytes."""
        return UntypedStorage(self._bytes().copy())

    @classmethod
    def from_buffer(cls, *args: object, **kwargs: object) -> TypedStorage | UntypedStorage:
        """A copy of the bytes of a buffer: ``from_buffer(buffer, byte_order, count, offset)``."""
        kwargs.pop("dtype", None)
        return ByteStorage._from_buffer(*args, **kwargs).untyped()

    is_hpu = is_sparse = is_sparse_csr = False
    resizable = staticmethod(lambda: True)

    def element_size(self) -> int:
        """Bytes of one element."""
        return 1

    def is_shared(self) -> bool:
        """Whether the bytes are in memory that processes share."""
        return wrap(self._owner).is_shared()

    def share_memory_(self) -> UntypedStorage:
        """Move the bytes to memory that processes share; tensors over the old ones stay there."""
        self._owner = wrap(self._owner).share_memory_()._array
        return self

    def is_pinned(self, device: object = "cuda") -> bool:
        """Whether the memory is page-locked, so that a GPU reads it by itself."""
        return is_pinned(self._owner)

    def pin_memory(self, device: object = "cuda") -> UntypedStorage:
        """A copy in memory that a GPU reads by itself; this storage where there is no GPU."""
        return self._over(pinned(self._owner))

    def _over(self, owner: np.ndarray) -> UntypedStorage:
        """A storage like this one of the bytes of ``owner``; this one, if they are its own."""
        if owner is self._owner:
            return self
        return (
            TypedStorage(owner, self.dtype) if isinstance(self, TypedStorage) else type(self)(owner)
        )

    def get_device(self) -> int:
        """The number of the device: -1 for the CPU."""
        return 0 if self.is_cuda else -1

    @property
    def is_cuda(self) -> bool:
        """Whether the bytes are in a GPU's memory."""
        return self.device is CUDA

    def to(self, *, device: object, non_blocking: bool = False) -> UntypedStorage:
        """This storage on ``device``; the exception of a device that is not there."""
        place, own = here(device), self.device
        if place is own or META in (place, own):
            return self
        if place is CPU:
            return self._over(Elsewhere.on(own).taken(self._owner))
        return self._over(Elsewhere.on(place).given(np.ascontiguousarray(dense(self._owner))))

    def cuda(self, device: object = None, non_blocking: bool = False) -> UntypedStorage:
        """This storage on the GPU. AssertionError without one."""
        return self.to(device="cuda")

    def new(self) -> UntypedStorage:
        """An empty storage."""
        return UntypedStorage()

    def copy_(self, source: UntypedStorage, non_blocking: bool | None = None) -> UntypedStorage:
        """Write the elements of ``source``, of as many, into this storage; returns it."""
        own, given = self._elements(), source._elements()
        if own.size != given.size:
            raise RuntimeError(
                f"size does not match: this storage has {own.size} elements, source {given.size}"
            )
        if self.device is not source.device:
            given = source.to(device=self.device)._elements()
        own[...] = given
        return self

    def fill_(self, value: float) -> UntypedStorage:
        """Write ``value`` into every element; returns this storage."""
        self._elements()[...] = value
        return self

    def resize_(self, size: int) -> UntypedStorage:
        """Make it hold ``size`` elements, the first of which stay; returns it. Tensors that look
        into the old memory keep that."""
        old = self._elements()
        if self.is_cuda:
            grown = old.resized(size)
        else:
            grown = np.empty(size, old.dtype)
            grown[: old.size] = old[:size]
        self._owner = grown
        return self

    def byteswap(self, dtype: _dtypes.dtype) -> None:
        """Turn round the bytes of every element of ``dtype``, in place."""
        self._bytes().view(dtype.numpy).byteswap(inplace=True)

    def type(self, dtype: object = None, non_blocking: bool = False) -> str:
        """The name of its class."""
        return f"torch.storage.{type(self).__name__}"

    def _elements(self) -> np.ndarray:
        return self._bytes()

    def data_ptr(self) -> int:
        """The address of the first byte."""
        return address(self._owner) if self._owner.size and self.device is not META else 0

    def nbytes(self) -> int:
        """The number of bytes."""
        return self._owner.nbytes

    size = __len__ = nbytes

    @property
    def device(self) -> device:
        """Where the bytes are."""
        return place_of(self._owner)

    def _bytes(self) -> np.ndarray:
        return self._owner.reshape(-1, order="A").view(np.uint8)

    def tolist(self) -> list[int]:
        """The bytes as integers."""
        return self._bytes().tolist()

    def __getitem__(self, index: int | slice) -> int | UntypedStorage:
        found = self._bytes()[index]
        return UntypedStorage(found) if isinstance(index, slice) else int(found)

    def __setitem__(self, index: int | slice, value: int) -> None:
        self._bytes()[index] = value

    def __iter__(self) -> Iterator[int]:
        return iter(self.tolist())

    def __repr__(self) -> str:
        kind = "torch.storage.UntypedStorage"
        there = "...\n" if self.device is META else "".join(f" {v}\n" for v in self.tolist())
        return f"{there}[{kind}(device={self.device}) of size {len(self)}]"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UntypedStorage) and self.data_ptr() == other.data_ptr()

    def __hash__(self) -> int:
        return self.data_ptr()

    @property
    def _cdata(self) -> int:
        return self.data_ptr()


class TypedStorage(UntypedStorage):
    """A storage seen as elements of one dtype."""

    __slots__ = ("dtype",)

    def __init__(self, owner: np.ndarray, dtype: _dtypes.dtype) -> None:
        super().__init__(owner)
        self.dtype = dtype

    def _elements(self) -> np.ndarray:
        return self._bytes().view(self.dtype.numpy)

    def element_size(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    def clone(self) -> TypedStorage:
        """A storage of its own with the same elements."""
        return TypedStorage(self._elements().copy(), self.dtype)

    def pickle_storage_type(self) -> str:
        """The name by which checkpoints know its class."""
        return f"{self.dtype.legacy_name}Storage"

    def type(
        self, dtype: object = None, non_blocking: bool = False
    ) -> str | TypedStorage | UntypedStorage:
        """The name of its class; with ``dtype``, its numbers in a storage of that."""
        if dtype is None:
            return f"torch.{self.dtype.legacy_name}Storage"
        return self._as(dtype if isinstance(dtype, _dtypes.dtype) else dtype.dtype)

    def _as(self, d: _dtypes.dtype) -> TypedStorage:
        return TypedStorage(self._elements().astype(d.numpy), d)

    def size(self) -> int:
        """The number of elements."""
        return self._owner.nbytes // self.dtype.itemsize

    __len__ = size

    def untyped(self) -> UntypedStorage:
        """The same bytes without a dtype."""
        return UntypedStorage(self._owner)

    def tolist(self) -> list:
        """The elements as Python numbers."""
        return self._elements().tolist()

    def __getitem__(self, index: int) -> float:
        return self._elements()[index].item()

    def __setitem__(self, index: int, value: float) -> None:
        self._elements()[index] = value

    def __repr__(self) -> str:
        lines = "...\n" if self.device is META else "".join(f" {v}\n" for v in self.tolist())
        name = f"torch.storage.TypedStorage(dtype={self.dtype!r}, device={self.device})"
        return f"{lines}[{name} of size {len(self)}]"


class _LegacyStorage(type):
    """Makes ``FloatStorage(3)`` a TypedStorage, and ``isinstance`` ask for the dtype."""

    dtype: _dtypes.dtype

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, TypedStorage) and value.dtype is cls.dtype

    def __call__(cls, data: int | Sequence = 0) -> TypedStorage:
        """Of so many elements (uninitialised), or of these."""
        if isinstance(data, int):
            return TypedStorage(np.empty(data, cls.dtype.numpy), cls.dtype)
        return TypedStorage(np.array(data, cls.dtype.numpy), cls.dtype)

    def _from_buffer(
        cls,
        buffer: bytes,
        byte_order: str = "native",
        count: int = -1,
        offset: int = 0,
    ) -> TypedStorage:
        """A copy of the elements in ``buffer``, in "native", "little" or "big" order of bytes."""
        if byte_order not in ("native", "little", "big"):
            raise ValueError(f"byte_order must be 'native', 'little' or 'big', not {byte_order!r}")
        found = np.frombuffer(buffer, cls.dtype.numpy, count, offset).copy()
        if byte_order not in ("native", sys.byteorder):
            found = found.byteswap()
        return TypedStorage(found, cls.dtype)

    from_buffer = _from_buffer


def _conversion(d: _dtypes.dtype) -> Callable[[UntypedStorage], TypedStorage]:
    def method(self: UntypedStorage) -> TypedStorage:
        return TypedStorage(self._elements().astype(d.numpy), d)

    method.__name__ = method.__qualname__ = d.name
    method.__doc__ = f"Its numbers in a storage of {d.name}."
    return method


for _name, _type in {
    "double": _dtypes.float64, "float": _dtypes.float32, "half": _dtypes.float16,
    "bfloat16": _dtypes.bfloat16, "byte": _dtypes.uint8, "char": _dtypes.int8,
    "short": _dtypes.int16, "int": _dtypes.int32, "long": _dtypes.int64, "bool": _dtypes.bool_,
    "complex_float": _dtypes.complex64, "complex_double": _dtypes.complex128,
}.items():  # fmt: skip
    setattr(UntypedStorage, _name, _conversion(_type))
for _type in sorted(_dtypes.FLOAT8, key=lambda d: d.name):
    setattr(UntypedStorage, _type.name, _conversion(_type))


def _legacy_storage(d: _dtypes.dtype) -> _LegacyStorage:
    doc = f"Legacy constructor of storages of {d.name}: of a number of elements, or of data."
    return _LegacyStorage(d.legacy_name + "Storage", (), {"dtype": d, "__doc__": doc})


DoubleStorage = _legacy_storage(_dtypes.float64)
FloatStorage = _legacy_storage(_dtypes.float32)
HalfStorage = _legacy_storage(_dtypes.float16)
BFloat16Storage = _legacy_storage(_dtypes.bfloat16)
ByteStorage = _legacy_storage(_dtypes.uint8)
CharStorage = _legacy_storage(_dtypes.int8)
ShortStorage = _legacy_storage(_dtypes.int16)
IntStorage = _legacy_storage(_dtypes.int32)
LongStorage = _legacy_storage(_dtypes.int64)
BoolStorage = _legacy_storage(_dtypes.bool_)
ComplexFloatStorage = _legacy_storage(_dtypes.complex64)
ComplexDoubleStorage = _legacy_storage(_dtypes.complex128)


def kin(view: np.ndarray, source: np.ndarray) -> np.ndarray:
    """``view``, an ordinary array over the memory of ``source``, as an array of its kind."""
    return view if source.__class__ is np.ndarray else source.kin(view)


def is_pinned(array: np.ndarray) -> bool:
    """Whether ``array`` lies in memory that ``pinned`` took."""
    if not Elsewhere.has_cuda() or place_of(array) is not CPU:
        return False
    return Elsewhere.on(CUDA).machine().is_pinned(owner_of(array))


def pinned(array: np.ndarray) -> np.ndarray:
    """A copy of ``array`` in memory that a GPU reads by itself; ``array`` where it is there
    already, or there is no GPU."""
    if place_of(array) is not CPU:
        raise RuntimeError(
            f"cannot pin '{place_of(array).type}' memory: only dense CPU tensors can be pinned"
        )
    if not Elsewhere.has_cuda() or is_pinned(array):
        return array
    size = max(array.nbytes, 1)
    buffer = np.frombuffer(Elsewhere.on(CUDA).machine().pinned(size), np.uint8, size)
    strides = np.empty_like(array).strides if 0 not in array.strides else None
    copy = np.ndarray(array.shape, array.dtype, buffer, 0, strides)
    copy[...] = array
    return copy


def from_numpy(ndarray: np.ndarray) -> Value:
    """A tensor over the memory of ``ndarray``: a change of one is a change of the other."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    _dtypes.from_numpy(ndarray.dtype)
    if not ndarray.dtype.isnative:
        raise ValueError("given numpy array has byte order different from the native byte order")
    if any(s < 0 for s in ndarray.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative "
            "strides are not currently supported. (You can probably work around this by making a "
            "copy of your array  with array.copy().)"
        )
    return wrap(ndarray)


def from_dlpack(ext_tensor: object) -> Value:
    """A tensor over the memory of an object with the DLPack protocol, on its device."""
    kind = getattr(ext_tensor, "__dlpack_device__", lambda: (1, 0))()[0]
    if kind in _ON_CUDA and Elsewhere.has_cuda():
        if isinstance(ext_tensor, Value):
            return ext_tensor.detach()
        return wrap(Elsewhere.on(CUDA).over(ext_tensor))
    return wrap(np.from_dlpack(ext_tensor))


_ON_CUDA = (2, 13)  # DLPack's numbers for a GPU's memory, and for memory that moves there


def is_on_cuda(data: object) -> bool:
    """Whether ``data`` is another library's array in the GPU's memory."""
    return (
        not isinstance(data, (Value, np.ndarray, list, tuple, int, float))
        and Elsewhere.has_cuda()
        and hasattr(data, "__cuda_array_interface__")
    )


class StorageMethods:
    """Methods that tell where a tensor's elements are."""

    __slots__ = ()

    def untyped_storage(self) -> UntypedStorage:
        """The bytes this tensor looks into; views share them."""
        reading(self, "untyped_storage()")
        return UntypedStorage(owner_of(self._array))

    def storage(self) -> TypedStorage:
        """The elements this tensor looks into; views share them."""
        reading(self, "storage()")
        return TypedStorage(owner_of(self._array), self.dtype)

    _typed_storage = storage

    def data_ptr(self) -> int:
        """The address of the first element; 0 for a tensor without elements."""
        reading(self, "data_ptr()")
        there = self._array.size and place_of(self._array) is not META
        return address(self._array) if there else 0

    def storage_offset(self) -> int:
        """Elements of the storage that lie before this tensor's first one."""
        return offset_of(self._array) // self._array.itemsize

    def stride(self, dim: int | None = None) -> tuple[int, ...] | int:
        """Elements between neighbours along ``dim``; without it, for every dimension."""
        array = self._array
        if array.size:
            step = array.itemsize
            strides = tuple(s // step for s in array.strides)
        else:
            strides = _shapes.contiguous_strides(array.shape)
        return (
            strides if dim is None else strides[_shapes.wrap_dim(dim, array.ndim, scalar_ok=False)]
        )

    def element_size(self) -> int:
        """Bytes of one element."""
        return self._array.itemsize

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self._array.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._array.nbytes

    def is_set_to(self, tensor: Value) -> bool:
        """Whether both look at the same memory in the same way."""
        a, b = self._array, tensor._array
        return address(a) == address(b) and a.shape == b.shape and a.strides == b.strides

    def resize_(self, *sizes: int | Sequence[int], memory_format: object = None) -> Value:
        """Give this tensor another shape; memory grows if it must, new elements are not filled."""
        reading(self, "resize_()")
        if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
            sizes = tuple(sizes[0])
        if self._edge is not None:
            raise RuntimeError("cannot resize variables that require grad")
        if place_of(self._array) is META:
            self._array = Elsewhere.on(META).made(sizes, self._array.dtype)
            return self
        if type(self._array) is not np.ndarray and not self.is_cuda:
            raise RuntimeError("vmap: resize_ of a batched tensor is not supported")
        for n in sizes:
            if n < 0:
                raise RuntimeError(f"requested resize to {list(sizes)} with a negative size")
        array = self._array
        count = _shapes.numel(sizes)
        owner = owner_of(array)
        offset = address(array) - address(owner)
        if count * array.itemsize + offset <= owner.nbytes and (owner.flags.c_contiguous):
            flat = owner.reshape(-1).view(np.uint8)[offset : offset + count * array.itemsize]
            self._array = flat.view(array.dtype).reshape(sizes)
        else:
            if self.is_cuda:
                grown = array.resized(count)
            else:
                grown = np.empty(count, array.dtype)
                if array.flags.c_contiguous:
                    grown[: array.size] = array.reshape(-1)[:count]
            self._array = grown.reshape(sizes)
        return self

    def resize_as_(self, the_template: Value, memory_format: object = None) -> Value:
        """Resize to the shape of ``the_template``."""
        return self.resize_(the_template._array.shape)

    def set_(
        self,
        source: Value | UntypedStorage | None = None,
        storage_offset: int = 0,
        size: Sequence[int] | None = None,
        stride: Sequence[int] | None = None,
    ) -> Value:
        """Look at the memory of ``source`` from now on."""
        reading(self, "set_()")
        d = self._array.dtype
        there = None if source is None else source.device
        if there is not None and there is not self.device:
            raise RuntimeError(
                f'Attempted to set the storage of a tensor on device "{self.device}" to a storage '
                f'on different device "{there}".  This is no longer allowed; the devices must '
                "match."
            )
        if source is None:
            self._array = self.new_empty(0)._array
        elif isinstance(source, Value):
            if source._array.dtype != d:
                raise RuntimeError(
                    f"Could not set tensor of type {source.dtype!r} to a tensor of type "
                    f"{self.dtype!r}"
                )
            self._array = source._array
        else:
            self._array = source._bytes().view(d)
        if size is not None:
            flat = owner_of(self._array).reshape(-1, order="A").view(np.uint8).view(d)
            stride = _shapes.contiguous_strides(tuple(size)) if stride is None else tuple(stride)
            last = storage_offset + sum((n - 1) * s for n, s in zip(size, stride))
            if _shapes.numel(size) and last >= flat.size:
                raise RuntimeError(
                    f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset "
                    f"{storage_offset} require {last + 1} elements, which are out of bounds for "
                    f"storage of size {flat.size}"
                )
            strides = [s * d.itemsize for s in stride]
            seen = np.ndarray(tuple(size), d, flat, storage_offset * d.itemsize, strides)
            self._array = kin(seen, flat)
        return self

    def is_pinned(self, device: object = None) -> bool:
        """Whether the memory is page-locked, so that a GPU reads it by itself."""
        return is_pinned(self._array)

    def pin_memory(self, device: object = None) -> Value:
        """A copy in memory that a GPU reads by itself; this tensor where it is there already, or
        there is no GPU. RuntimeError for a tensor on the GPU."""
        array = pinned(self._array)
        return self if array is self._array else wrap(array)
