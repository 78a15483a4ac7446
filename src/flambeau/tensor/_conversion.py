"""From a tensor to other dtypes, to Python and NumPy, and back to a plain description."""

from __future__ import annotations

import copy as _copy
from collections.abc import Sequence

import numpy as np

from .. import _dtypes
from .._dtypes import dtype
from .._errors import type_name
from ..core.tape import Leaf
from ..core.value import Value, new, reading, wrap
from ..ops import memory
from ..ops.memory import convert, laid_out, memory_format
from . import _creation
from ._device import CPU, CUDA, META, Elsewhere, device, here, place_of, put


def parse_to(
    args: tuple, kwargs: dict
) -> tuple[dtype | None, device | None, bool, memory_format | None]:
    """The dtype, device, ``copy`` and memory format that the forms of ``to`` ask for."""
    d = kwargs.pop("dtype", None)
    place = kwargs.pop("device", None)
    copy = kwargs.pop("copy", False)
    format = kwargs.pop("memory_format", None)
    kwargs.pop("non_blocking", None)
    other = kwargs.pop("other", None)
    if kwargs:
        raise TypeError(f"to() got an unexpected keyword argument '{next(iter(kwargs))}'")
    flags = []
    for a in args:
        if isinstance(a, dtype) or a in (float, int, bool, complex):
            d = _dtypes.as_dtype(a)
        elif isinstance(a, Value):
            other = a
        elif isinstance(a, bool):
            flags.append(a)
        elif isinstance(a, (str, device, int)):
            place = a
        elif isinstance(a, memory_format.__class__) and isinstance(a, type):
            raise TypeError(f"to() received an invalid argument {a!r}")
        elif a is not None:
            raise TypeError(
                f"to() received an invalid combination of arguments - got {type_name(a)}; "
                "give a dtype, a device or a tensor"
            )
    if len(flags) > 1:
        copy = flags[1]
    if other is not None and d is None:
        d = _dtypes.from_numpy(other._array.dtype)
    if other is not None and place is None:
        place = place_of(other._array)
    place = None if place is None else here(place)
    return None if d is None else _dtypes.as_dtype(d), place, copy, format


class ConversionMethods:
    """Methods that convert a tensor."""

    __slots__ = ()

    def to(self, *args: object, **kwargs: object) -> Value:
        """``to(dtype)``, ``to(device)``, ``to(other)``: this tensor where nothing has to change.

        Keywords: dtype, device, copy, memory_format, non_blocking.
        """
        if len(args) == 1 and not kwargs and type(args[0]) is dtype:
            return convert(self, args[0])
        d, place, copy, format = parse_to(args, kwargs)
        own = _dtypes.from_numpy(self._array.dtype)
        if place is not None and place is not place_of(self._array):
            return self._moved(place, own if d is None else d, format)
        return convert(self, own if d is None else d, copy=copy, memory_format=format)

    def _moved(self, place: device, d: dtype, format: memory_format | None) -> Value:
        """A copy on another device. NotImplementedError where there are no elements to move."""
        own = place_of(self._array)
        if own is not CPU and place is not CPU:
            return self._moved(CPU, d, format)._moved(place, d, format)
        x = convert(self, d, memory_format=format)
        return Elsewhere.on(place if own is CPU else own).moved(x)

    def type(self, dtype: object = None, non_blocking: bool = False) -> Value | str:
        """The tensor as ``dtype``; without one, the legacy name such as 'torch.FloatTensor'."""
        if dtype is None:
            place = "" if place_of(self._array) is CPU else f"{place_of(self._array).type}."
            return f"torch.{place}{self.dtype.legacy_name}Tensor"
        if isinstance(dtype, str):
            wanted = dtype.removeprefix("torch.").removesuffix("Tensor")
            name = wanted.removeprefix("cuda.")
            found = [d for d in _dtypes.ALL if d.legacy_name == name]
            if not found:
                raise ValueError(f"invalid type: '{dtype}'")
            return self._as_type(found[0], CPU if name == wanted else here("cuda"))
        if hasattr(dtype, "legacy_dtype"):
            return self._as_type(dtype.legacy_dtype, getattr(dtype, "legacy_device", CPU))
        return convert(self, _dtypes.as_dtype(dtype))

    def _as_type(self, d: dtype, place: device) -> Value:
        return convert(self, d) if place_of(self._array) is META else self.to(place, d)

    def type_as(self, other: Value) -> Value:
        """This tensor with the dtype of ``other``, and on its device."""
        return self._as_type(other.dtype, place_of(other._array))

    def cpu(self, memory_format: memory_format | None = None) -> Value:
        """This tensor on the CPU, where it is already. NotImplementedError for one on meta."""
        return self if place_of(self._array) is CPU else self.to(CPU)

    def cuda(self, device: object = None, non_blocking: bool = False) -> Value:
        """This tensor on the GPU. AssertionError where there is none."""
        place = here("cuda" if device is None else device)
        return self if place is place_of(self._array) else self.to(place)

    clone = memory.clone
    contiguous = memory.contiguous
    copy_ = memory.copy_

    def to_sparse(self, *args: object, **kwargs: object) -> Value:
        """Refused: there are no sparse tensors. NotImplementedError."""
        raise NotImplementedError(
            "flambeau has no sparse tensors: every tensor is strided\n"
            "  keep the indices and values as two tensors, from x.nonzero() and x[x != 0]"
        )

    to_sparse_coo = to_sparse_csr = to_sparse

    def to_dense(self, dtype: dtype | None = None, *, masked_grad: bool | None = None) -> Value:
        """This tensor, which is dense already."""
        return self if dtype is None else self.to(dtype)

    def is_contiguous(self, memory_format: memory_format = memory.contiguous_format) -> bool:
        """Whether the elements lie in memory in the order of ``memory_format``, without gaps."""
        if memory_format is memory.contiguous_format:
            return self._array.flags.c_contiguous
        return memory.is_laid_out(self._array, memory_format)

    # ---- to Python -------------------------------------------------------------------------

    def item(self) -> bool | int | float | complex:
        """The only element as a Python number. RuntimeError unless there is exactly one."""
        array = self._array
        if array.size != 1:
            raise RuntimeError(
                f"a Tensor with {array.size} elements cannot be converted to Scalar\n"
                f"  its shape is {tuple(array.shape)}; index one element, or reduce it first"
            )
        stand = reading(self, "item()")
        if stand is not None:
            return stand
        if array.dtype.kind not in "biufc":
            return float(array.reshape(()).astype(np.float32))
        return array.item()

    def tolist(self) -> list | bool | int | float | complex:
        """The elements as nested lists of Python numbers; a number for a 0-dim tensor."""
        reading(self, "tolist()")
        array = self._array
        if array.dtype.kind not in "biufc":
            array = array.astype(np.float32)
        return array.tolist()

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The NumPy array over the same memory. RuntimeError if grad is required (see force)."""
        if self._edge is not None and not force:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. "
                "Use tensor.detach().numpy() instead."
            )
        array = self._array
        if array.dtype.kind not in "biufc":
            name = self.dtype.legacy_name
            raise TypeError(
                f"Got unsupported ScalarType {name}\n"
                "  NumPy has no such type of its own; convert first, with .float().numpy()"
            )
        reading(self, "numpy()")
        return array.view()

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        if dtype is not None:
            return array.astype(dtype, copy=False)
        return array.copy() if copy else array

    __array_priority__ = 1000

    def __array_wrap__(
        self, array: np.ndarray, context: object = None, return_scalar: bool = False
    ) -> Value:
        """What a NumPy function of tensors returns: a tensor."""
        return _creation.from_numpy(np.asarray(array))

    def __dlpack__(self, *, stream: object = None, **options: object) -> object:
        if self._edge is not None:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        if self.is_cuda:
            return Elsewhere.on(CUDA).seen(self._array).__dlpack__(stream=stream, **options)
        reading(self, "DLPack")
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0) if self.is_cuda else (1, 0)

    @property
    def __cuda_array_interface__(self) -> dict:
        """Where the elements are in the GPU's memory, for other libraries. AttributeError for a
        tensor on the CPU, RuntimeError for one that requires grad.

        Source: https://numba.readthedocs.io/en/stable/cuda/cuda_array_interface.html
        """
        if not self.is_cuda:
            raise AttributeError(
                f"Can't get __cuda_array_interface__ on non-CUDA tensor type: {self.type()} If "
                "CUDA data is required use tensor.cuda() to copy tensor to device memory."
            )
        if self._edge is not None:
            raise RuntimeError(
                "Can't get __cuda_array_interface__ on Variable that requires grad. If gradients "
                "aren't required, use var.detach() to get Variable that doesn't require grad."
            )
        array = self._array
        if array.dtype.kind not in "biufc":
            raise TypeError(f"{self.dtype!r} has no type in __cuda_array_interface__")
        return {
            "typestr": array.dtype.str,
            "shape": tuple(array.shape),
            "strides": None if array.flags.c_contiguous else array.strides,
            "data": (self.data_ptr(), False),
            "version": 2,
        }

    def __bool__(self) -> bool:
        reading(self, "bool()")
        array = self._array
        if array.size == 1:
            return bool(array.reshape(()).astype(bool))
        if array.size == 0:
            raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
        raise RuntimeError(
            "Boolean value of Tensor with more than one value is ambiguous\n"
            f"  its shape is {tuple(array.shape)}; use .any() or .all(), and & | ~ for and, or, not"
        )

    def __float__(self) -> float:
        return float(_only(self).item())

    def __int__(self) -> int:
        return int(_only(self).item())

    def __complex__(self) -> complex:
        return complex(_only(self).item())

    def __index__(self) -> int:
        array = self._array
        if array.size != 1 or array.dtype.kind not in "iub":
            raise TypeError("only integer tensors of a single element can be converted to an index")
        reading(self, "an index")
        return int(array.item())

    def __len__(self) -> int:
        if not self._array.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self._array.shape[0]

    def __reversed__(self) -> Value:
        return self.flip(0) if self._array.ndim else self

    def __hash__(self) -> int:
        return id(self)

    def __contains__(self, element: object) -> bool:
        if isinstance(element, (Value, int, float, complex)):
            return bool((self == element).any())
        raise RuntimeError(
            "Tensor.__contains__ only supports Tensor or scalar, but you passed in a "
            f"{type(element)}."
        )

    # ---- copying and pickling --------------------------------------------------------------

    def __copy__(self) -> Value:
        out = new(type(self))
        out._array = self._array
        out._edge = None if self._edge is None else Leaf(out)
        out.__dict__.update((k, v) for k, v in self.__dict__.items() if not k.startswith("_"))
        return out

    def __deepcopy__(self, memo: dict) -> Value:
        if id(self) in memo:
            return memo[id(self)]
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
                "protocol at the moment.  If you were attempting to deepcopy a module, this may be "
                "because of a torch.nn.utils.weight_norm usage, see "
                "https://github.com/pytorch/pytorch/pull/103001"
            )
        reading(self, "deepcopy()")
        out = wrap(laid_out(self._array, None))
        if type(self) is not type(out):
            out = out.as_subclass(type(self))
        memo[id(self)] = out
        if self._edge is not None:
            out._edge = Leaf(out)
        if self._grad is not None:
            out._grad = _copy.deepcopy(self._grad, memo)
        for name, value in self.__dict__.items():
            if not name.startswith("_"):
                out.__dict__[name] = _copy.deepcopy(value, memo)
        return out

    def __reduce_ex__(self, protocol: int) -> tuple:
        if place_of(self._array) is META:
            described = (self.dtype.name, tuple(self.shape), self.stride(), self.requires_grad)
            return _rebuild_on_meta, (type(self), *described)
        reading(self, "pickle")
        array = self._array if self._array.flags.c_contiguous else self._array.copy()
        described = (array.tobytes(), self.dtype.name, tuple(array.shape), self._edge is not None)
        place = place_of(array)
        where = () if place is CPU else (place,)
        return _rebuild, (type(self), *described, *where)

    # ---- new tensors like this one ---------------------------------------------------------

    def new_tensor(
        self,
        data: object,
        *,
        dtype: dtype | None = None,
        device: object = None,
        requires_grad: bool = False,
    ) -> Value:
        """A new tensor of ``data`` with this one's dtype."""
        device = device or place_of(self._array)
        return _creation.tensor(data, dtype=dtype or self.dtype, device=device,
                                requires_grad=requires_grad)  # fmt: skip

    def _likewise(self, kwargs: dict) -> None:
        """Fill in this tensor's dtype and device where none are asked for."""
        kwargs["dtype"] = kwargs.get("dtype") or self.dtype
        kwargs["device"] = kwargs.get("device") or place_of(self._array)

    def new_zeros(self, *size: int | Sequence[int], **kwargs: object) -> Value:
        """Zeros with this tensor's dtype."""
        self._likewise(kwargs)
        return _creation.zeros(*size, **kwargs)

    def new_ones(self, *size: int | Sequence[int], **kwargs: object) -> Value:
        """Ones with this tensor's dtype."""
        self._likewise(kwargs)
        return _creation.ones(*size, **kwargs)

    def new_empty(self, *size: int | Sequence[int], **kwargs: object) -> Value:
        """Unfilled memory with this tensor's dtype."""
        self._likewise(kwargs)
        return _creation.empty(*size, **kwargs)

    def new_full(self, size: Sequence[int], fill_value: float, **kwargs: object) -> Value:
        """``fill_value`` everywhere, with this tensor's dtype."""
        self._likewise(kwargs)
        return _creation.full(size, fill_value, **kwargs)

    def new_empty_strided(
        self, size: Sequence[int], stride: Sequence[int], **kwargs: object
    ) -> Value:
        """Unfilled memory with the given strides and this tensor's dtype."""
        self._likewise(kwargs)
        return _creation.empty_strided(size, stride, **kwargs)

    def new(self, *args: object) -> Value:
        """A tensor of this dtype from sizes or data, as the legacy constructors make it."""
        if len(args) == 1 and not isinstance(args[0], int):
            if isinstance(args[0], tuple) and all(isinstance(n, int) for n in args[0]):
                return self.new_empty(args[0])
            return self.new_tensor(args[0])
        return self.new_empty(args)


def _rebuild(
    cls: type,
    data: bytes,
    dtype_name: str,
    shape: tuple[int, ...],
    requires_grad: bool,
    place: device = CPU,
) -> Value:
    """A tensor from what ``Tensor.__reduce_ex__`` wrote."""
    d = _dtypes.BY_NAME[dtype_name]
    array = np.frombuffer(bytearray(data), d.numpy).reshape(shape)
    out = wrap(put(array, here(place)))
    if type(out) is not cls:
        out = out.as_subclass(cls)
    if requires_grad:
        out._edge = Leaf(out)
    return out


def _rebuild_on_meta(
    cls: type, dtype_name: str, shape: tuple[int, ...], stride: tuple[int, ...], requires_grad: bool
) -> Value:
    """The same for a tensor without elements."""
    d = _dtypes.BY_NAME[dtype_name]
    out = _creation.empty_strided(shape, stride, dtype=d, device=META).requires_grad_(requires_grad)
    return out if type(out) is cls else out.as_subclass(cls)


def _only(self: Value) -> Value:
    """``self``, which is about to become a Python number."""
    if self._array.size != 1:
        raise ValueError(
            "only one element tensors can be converted to Python scalars\n"
            f"  this one's shape is {tuple(self._array.shape)}; index one element, or reduce it"
        )
    return self


def _named_conversion(d: dtype) -> object:
    def method(self: Value, memory_format: memory_format | None = None) -> Value:
        return convert(self, d, memory_format=memory_format)

    method.__name__ = method.__qualname__ = d.name
    method.__doc__ = f"This tensor as {d.name}."
    return method


class DtypeMethods:
    """``x.float()``, ``x.long()`` and the others."""

    __slots__ = ()

    double = _named_conversion(_dtypes.float64)
    float = _named_conversion(_dtypes.float32)
    half = _named_conversion(_dtypes.float16)
    bfloat16 = _named_conversion(_dtypes.bfloat16)
    cfloat = _named_conversion(_dtypes.complex64)
    cdouble = _named_conversion(_dtypes.complex128)
    byte = _named_conversion(_dtypes.uint8)
    char = _named_conversion(_dtypes.int8)
    short = _named_conversion(_dtypes.int16)
    int = _named_conversion(_dtypes.int32)
    long = _named_conversion(_dtypes.int64)
    bool = _named_conversion(_dtypes.bool_)
