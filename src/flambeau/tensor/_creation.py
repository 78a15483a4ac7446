"""Making tensors: from Python and NumPy values, and filled by a rule."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np

from .. import _dtypes
from .._dtypes import dtype
from .._errors import type_name
from ..core.modes import hook
from ..core.mutation import write_out
from ..core.op import define
from ..core.promotion import is_number
from ..core.value import Value, as_array, check_fits, constant, outline, wrap
from ..ops.memory import convert, laid_out, memory_format
from ._device import (
    CPU,
    CUDA,
    Elsewhere,
    chosen,
    device,
    elsewhere,
    here,
    layout,
    place_of,
    put,
    strided,
)  # fmt: skip
from ._storage import from_dlpack, from_numpy, is_on_cuda, pinned

DeviceLike = device | str | int | None
_COMPLEX = complex  # Python's own: the name means a function here, as in PyTorch


def finished(
    array: np.ndarray,
    requires_grad: bool = False,
    device: DeviceLike = None,
    layout: layout | None = None,
    pin_memory: bool = False,
) -> Value:
    """A tensor over ``array`` after the arguments that every factory takes have been checked."""
    if device is not None or chosen.device is not None:
        place = here(device)
        if place is not place_of(array):
            array = put(array, place)
    if pin_memory:
        array = pinned(array)
    if layout is not None and layout is not strided:
        raise NotImplementedError(f"flambeau has no tensors of layout {layout!r}; use strided")
    t = constant(array)
    if requires_grad:
        if array.dtype.kind in "biu":
            raise RuntimeError(
                "Only Tensors of floating point and complex dtype can require gradients\n"
                f"  this one would be {t.dtype!r}; give floats, such as 1.0, or "
                "dtype=torch.float32"
            )
        t.requires_grad_(True)
    return t


# ---- from values ---------------------------------------------------------------------------


def _number_dtype(data: object, found: dtype | None) -> dtype:
    """The dtype of nested sequences of numbers: the strongest category among them."""
    if isinstance(data, Value):
        own = _dtypes.from_numpy(data._array.dtype)
    elif isinstance(data, (np.ndarray, np.generic)):
        own = _dtypes.from_numpy(data.dtype)
    elif isinstance(data, (list, tuple, range)):
        for item in data:
            found = _number_dtype(item, found)
        return found
    else:
        own = _dtypes.of_number(data)
    if found is None or own.category > found.category:
        return own
    return _dtypes.promote_types(found, own) if own.category == found.category else found


def _check_rectangular(data: Sequence, dim: int = 0) -> None:
    lengths = [_length(item) for item in data]
    if len(set(lengths)) > 1:
        first = lengths[0]
        for i, (item, n) in enumerate(zip(data, lengths, strict=True)):
            if n != first:
                if first is None or n is None:
                    raise TypeError(
                        f"not a sequence: item {i} at dim {dim + 1} is "
                        f"{type_name(item if first is not None else data[0])}, others are not"
                    )
                raise ValueError(
                    f"expected sequence of length {first} at dim {dim + 1} (got {n})\n"
                    f"  item {i} at dim {dim} has {n} elements, item 0 has {first}; "
                    "pad them to one length"
                )
    if None not in lengths:
        for item in data:
            _check_rectangular(item, dim + 1)


def _length(item: object) -> int | None:
    """How many elements a sequence or array has; None for a number."""
    held = item._array if isinstance(item, Value) else item
    if isinstance(held, np.ndarray):
        return len(held) if held.ndim else None
    return len(held) if isinstance(held, (list, tuple)) else None


def _plain(data: object) -> object:
    """Nested sequences with the tensors in them as numbers or arrays."""
    if isinstance(data, Value):
        return data._array.item() if data._array.size == 1 and not data._array.ndim else data._array
    if isinstance(data, (list, tuple)):
        return [_plain(d) for d in data]
    return data


def _is_object(data: object) -> bool:
    return not (isinstance(data, (list, tuple, range)) or is_number(data) or isinstance(data, bool))


def array_of(data: object, d: dtype | None) -> np.ndarray:
    """A new array of ``data``: numbers, nested sequences, arrays or tensors, as dtype ``d``."""
    if isinstance(data, Value):
        data = data._array
    if isinstance(data, np.ndarray):
        if d is None:
            d = _dtypes.from_numpy(data.dtype)
        return np.array(convert(wrap(data), d)._array, order="C")
    if isinstance(data, np.generic):
        data_dtype = _dtypes.from_numpy(data.dtype)
        return np.asarray(data).astype((d or data_dtype).numpy)
    if is_number(data):
        if d is None and data.__class__ is int and not -(1 << 63) <= data < 1 << 63:
            raise _too_long()
        check_fits(data, d or _dtypes.of_number(data))
        return np.array(as_array(data, d) if d else as_array(data, _dtypes.of_number(data)))
    if isinstance(data, (list, tuple, range)):
        return _array_of_sequence(data, d)
    if hasattr(data, "__array__") or hasattr(data, "__array_interface__"):
        return array_of(np.asarray(data), d)
    if hasattr(data, "__dlpack__"):
        return array_of(np.from_dlpack(data), d)
    if isinstance(data, (bytes, bytearray, memoryview)):
        return array_of(np.frombuffer(data, np.uint8), d)
    if isinstance(data, str):
        raise TypeError("new(): invalid data type 'str'")
    if hasattr(data, "__len__") and hasattr(data, "__getitem__") and not isinstance(data, dict):
        return _array_of_sequence([data[i] for i in range(len(data))], d)
    raise RuntimeError(f"Could not infer dtype of {type_name(data)}")


def _array_of_sequence(data: Sequence, d: dtype | None) -> np.ndarray:
    try:
        found = d if d is not None else _number_dtype(data, None)
    except TypeError:
        bad = _first_bad(data)
        if isinstance(bad, str):
            raise ValueError("too many dimensions 'str'") from None
        if hasattr(bad, "__array__"):
            return _array_of_sequence([np.asarray(item) for item in data], d)
        named = "NoneType" if bad is type(None) else type_name(bad)
        raise RuntimeError(f"Could not infer dtype of {named}") from None
    if found is None:
        found = d or _dtypes.get_default_dtype()
    plain = _plain(data)
    try:
        if found.category == _dtypes.INTEGRAL:
            array = np.array(plain)
            if array.dtype.kind in "uO" and d is None and found is _dtypes.int64 and array.size:
                raise _too_long()
            if array.dtype.kind in "iufO" and array.size:
                check_fits(array.min().item(), found)
                check_fits(array.max().item(), found)
            if array.dtype.kind in "biuf":
                array = convert(wrap(array), found)._array if array.size else array
                return np.array(array, found.numpy)
            return np.array(plain, object).astype(found.numpy)
        if found.numpy.kind not in "fcb":  # bfloat16 and float8 convert from float32
            return np.array(plain, np.float32).astype(found.numpy)
        return np.array(plain, found.numpy)
    except OverflowError:
        raise _too_long() from None
    except (ValueError, TypeError):
        _check_rectangular(data)
        raise


def _too_long() -> ValueError:
    return ValueError("Overflow when unpacking long long\n  a number is no int64; give a dtype")


def _first_bad(data: object) -> object:
    if isinstance(data, (list, tuple)):
        for item in data:
            bad = _first_bad(item)
            if bad is not None:
                return bad
        return None
    if is_number(data) or isinstance(data, (bool, Value, np.ndarray, range)):
        return None
    return data if data is not None else type(None)


def tensor(
    data: object,
    *,
    dtype: dtype | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Value:
    """A new tensor with a copy of ``data``: a number, nested sequences, an array or a tensor.

    Without ``dtype``: bool, int64, the default float or its complex, by the strongest element; an
    array keeps its own. ValueError for rows of different lengths.
    """
    if is_on_cuda(data):
        data = wrap(Elsewhere.on(CUDA).over(data))
    if hook.active is not None and not _only_numbers(data):
        if isinstance(data, Value):
            copy = convert(data.detach(), dtype or data.dtype, copy=True)
            copy = copy if device is None else copy.to(device)
            return copy.requires_grad_(requires_grad)
        hook.active.opaque("torch.tensor() of arrays or tensors inside other data")
    elif hook.active is not None and is_number(data):
        kind = _dtypes.of_number(data) if dtype is None else _dtypes.as_dtype(dtype)
        made = None
        if kind.is_floating_point or (kind is _dtypes.int64 and isinstance(data, int)):
            made = hook.active.number(data, kind)  # a number that is another one at each call
        if made is not None:
            return made.clone().requires_grad_(requires_grad)
    if isinstance(data, Value):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use "
            "sourceTensor.detach().clone() or sourceTensor.detach().clone().requires_grad_(True), "
            "rather than torch.tensor(sourceTensor).",
            stacklevel=2,
        )
    array = array_of(data, None if dtype is None else _dtypes.as_dtype(dtype))
    return finished(array, requires_grad, device, None, pin_memory)


def _only_numbers(data: object) -> bool:
    if type(data) in (list, tuple):
        return all(_only_numbers(d) for d in data)
    return data.__class__ in (bool, int, float, _COMPLEX, range)


def as_tensor(data: object, dtype: dtype | None = None, device: DeviceLike = None) -> Value:
    """``data`` as a tensor, sharing memory where it can: tensors and arrays of the right dtype."""
    d = None if dtype is None else _dtypes.as_dtype(dtype)
    if isinstance(data, Value):
        data = data if d is None else convert(data, d)
        return data if device is None and chosen.device is None else data.to(here(device))
    if isinstance(data, np.ndarray):
        return as_tensor(from_numpy(data), d, device)
    if is_on_cuda(data):
        return as_tensor(wrap(Elsewhere.on(CUDA).over(data)), d, device)
    return tensor(data, dtype=d, device=device)


def asarray(
    obj: object,
    *,
    dtype: dtype | None = None,
    device: DeviceLike = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Value:
    """``obj`` as a tensor; ``copy``: True always copies, False never (ValueError if it must)."""
    shared = as_tensor(obj, device=device)
    result = shared if dtype is None else convert(shared, _dtypes.as_dtype(dtype))
    sharing = isinstance(obj, (Value, np.ndarray)) and result._array.base is shared._array.base
    sharing = sharing and (dtype is None or result is shared)
    if copy is False and not sharing:
        raise ValueError("can't alias an arbitrary object; asarray(copy=False) needs a tensor "
                         "or an array of the same dtype")  # fmt: skip
    if copy and sharing:
        result = wrap(laid_out(result._array, None))
    if requires_grad and not result.requires_grad:
        result = result.detach().requires_grad_(True)
    return result


def frombuffer(
    buffer: object,
    *,
    dtype: dtype,
    count: int = -1,
    offset: int = 0,
    requires_grad: bool = False,
) -> Value:
    """A 1-dim tensor over the memory of ``buffer``, ``count`` elements from byte ``offset``."""
    size = memoryview(buffer).nbytes
    if size == 0 or count == 0:
        raise ValueError(f"both buffer length ({size}) and count ({count}) must not be 0")
    if not 0 <= offset < size:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length "
            f"({size} bytes) minus 1"
        )
    if count < 0 and (size - offset) % dtype.itemsize:
        raise ValueError(
            f"buffer length ({size - offset} bytes) after offset ({offset} bytes) must be a "
            f"multiple of element size ({dtype.itemsize})"
        )
    if count > 0 and offset + count * dtype.itemsize > size:
        raise ValueError(
            f"requested buffer length ({count} * {dtype.itemsize} bytes) after offset ({offset} "
            f"bytes) must not be greater than actual buffer length ({size} bytes)"
        )
    if hook.active is not None:
        hook.active.opaque("torch.frombuffer()")
    return finished(np.frombuffer(buffer, dtype.numpy, count, offset), requires_grad, CPU)


# ---- filled --------------------------------------------------------------------------------


def size_of(name: str, size: tuple) -> tuple[int, ...]:
    """The sizes given as ``f(2, 3)`` or ``f((2, 3))``, checked."""
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    sizes = []
    for i, n in enumerate(size):
        if isinstance(n, Value) or not isinstance(n, int):
            if not hasattr(n, "__index__"):
                raise TypeError(
                    f"{name}(): argument 'size' (position 1) must be tuple of ints, "
                    f"but found element of type {type_name(n)} at pos {i}"
                )
            n = n.__index__()
        if n < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {n}: {list(size)}")
        sizes.append(int(n))
    return tuple(sizes)


def _float_type(d: dtype | None) -> np.dtype:
    return (_dtypes.get_default_dtype() if d is None else _dtypes.as_dtype(d)).numpy


def _into(out: Value, array: np.ndarray) -> Value:
    if out._array.shape != array.shape:
        out.resize_(array.shape)
    if hook.active is not None:
        return write_out(out, finished(array), "out")
    out._array[...] = array
    out.counter().bump("out")
    return out


def zeros(
    *size: int | Sequence[int],
    out: Value | None = None,
    dtype: dtype | None = None,
    layout: layout | None = None,
    device: DeviceLike = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    **named: Sequence[int],
) -> Value:
    """A tensor of zeros."""
    shape = size_of("zeros", size or (named.pop("size", ()),))
    _no_more("zeros", named)
    if out is not None:
        return _into(out, np.zeros(shape, out._array.dtype))
    d, there = _float_type(dtype), elsewhere(device)
    array = np.zeros(shape, d) if there is None else there.made(shape, d, value=0)
    return finished(array, requires_grad, place_of(array), layout, pin_memory)


def ones(
    *size: int | Sequence[int],
    out: Value | None = None,
    dtype: dtype | None = None,
    layout: layout | None = None,
    device: DeviceLike = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    **named: Sequence[int],
) -> Value:
    """A tensor of ones."""
    shape = size_of("ones", size or (named.pop("size", ()),))
    _no_more("ones", named)
    if out is not None:
        return _into(out, np.ones(shape, out._array.dtype))
    d, there = _float_type(dtype), elsewhere(device)
    array = np.ones(shape, d) if there is None else there.made(shape, d, value=1)
    return finished(array, requires_grad, place_of(array), layout, pin_memory)


def _no_more(name: str, named: dict) -> None:
    if named:
        raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(named))}'")


def empty(
    *size: int | Sequence[int],
    out: Value | None = None,
    dtype: dtype | None = None,
    layout: layout | None = None,
    device: DeviceLike = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    memory_format: memory_format | None = None,
    **named: Sequence[int],
) -> Value:
    """A tensor whose elements are whatever the memory held."""
    shape = size_of("empty", size or (named.pop("size", ()),))
    _no_more("empty", named)
    if out is not None:
        return out.resize_(shape)
    there = elsewhere(device)
    array = (np.empty if there is None else there.made)(shape, _float_type(dtype))
    if memory_format is not None:
        array = laid_out(array, memory_format)
    return finished(array, requires_grad, place_of(array), layout, pin_memory)


def full(
    size: Sequence[int],
    fill_value: bool | int | float | complex,
    *,
    out: Value | None = None,
    dtype: dtype | None = None,
    layout: layout | None = None,
    device: DeviceLike = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Value:
    """A tensor with every element ``fill_value``, whose kind decides the dtype if none is given."""
    if isinstance(fill_value, Value):
        fill_value = fill_value.item()
    if isinstance(size, int):
        raise TypeError("full(): argument 'size' (position 1) must be tuple of ints, not int")
    shape = size_of("full", (tuple(size),))
    if out is not None:
        return _into(out, np.full(shape, fill_value, out._array.dtype))
    d = _dtypes.of_number(fill_value) if dtype is None else _dtypes.as_dtype(dtype)
    if hook.active is not None and (made := hook.active.number(fill_value, d)) is not None:
        return made.expand(shape).clone().requires_grad_(requires_grad)
    check_fits(fill_value, d)
    value, there = as_array(fill_value, d), elsewhere(device)
    array = np.full(shape, value) if there is None else there.made(shape, d.numpy, value=value[()])
    return finished(array, requires_grad, place_of(array), layout, pin_memory)


def template(like: np.ndarray, d: np.dtype, device: DeviceLike) -> np.ndarray:
    """Unfilled memory in the order in which ``like`` lies, on its own device or on ``device``."""
    place = place_of(like) if device is None else here(device)
    if place is not CPU:
        dense = like if 0 not in like.strides else np.empty((), d)
        return Elsewhere.on(place).made(like.shape, d, like=dense)
    if place_of(like) is not CPU:
        like = outline(like)
    return np.empty_like(like, d) if 0 not in like.strides else np.empty(like.shape, d)


def _like(
    input: Value,
    filler: object,
    dtype: dtype | None,
    layout: layout | None,
    device: DeviceLike,
    requires_grad: bool,
    format: memory_format | None,
    pin_memory: bool = False,
) -> Value:
    if not isinstance(input, Value):
        raise TypeError(f"argument 'input' (position 1) must be Tensor, not {type_name(input)}")
    d = input._array.dtype if dtype is None else _dtypes.as_dtype(dtype).numpy
    array = template(input._array, d, device)
    if format is not None and format.name != "preserve_format":
        array = laid_out(array, format)
    if filler is not None:
        array[...] = as_array(filler, _dtypes.from_numpy(d))
    return finished(array, requires_grad, place_of(array), layout, pin_memory)


def zeros_like(
    input: Value,
    *,
    dtype: dtype | None = None,
    layout: layout | None = None,
    device: DeviceLike = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    memory_format: memory_format | None = None,
) -> Value:
    """Zeros of the shape, dtype and memory order of ``input``."""
    return _like(input, 0, dtype, layout, device, requires_grad, memory_format, pin_memory)


def ones_like(
    input: Value,
    *,
    dtype: dtype | None = None,
    layout: layout | None = None,
    device: DeviceLike = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    memory_format: memory_format | None = None,
) -> Value:
    """Ones of the shape, dtype and memory order of ``input``."""
    return _like(input, 1, dtype, layout, device, requires_grad, memory_format, pin_memory)


def empty_like(
    input: Value,
    *,
    dtype: dtype | None = None,
    layout: layout | None = None,
    device: DeviceLike = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    memory_format: memory_format | None = None,
) -> Value:
    """Unfilled memory of the shape, dtype and memory order of ``input``."""
    return _like(input, None, dtype, layout, device, requires_grad, memory_format, pin_memory)


def full_like(
    input: Value,
    fill_value: bool | int | float | complex,
    *,
    dtype: dtype | None = None,
    layout: layout | None = None,
    device: DeviceLike = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    memory_format: memory_format | None = None,
) -> Value:
    """A tensor like ``input`` with every element ``fill_value``."""
    if isinstance(fill_value, Value):
        fill_value = fill_value.item()
    return _like(input, fill_value, dtype, layout, device, requires_grad, memory_format, pin_memory)


def empty_strided(
    size: Sequence[int],
    stride: Sequence[int],
    *,
    dtype: dtype | None = None,
    layout: layout | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Value:
    """Unfilled memory with the given strides (in elements)."""
    size, stride = tuple(size), tuple(stride)
    if len(size) != len(stride):
        raise RuntimeError(
            f"mismatch in length of strides and shape: {len(stride)} strides for {len(size)} sizes"
        )
    span = 1 + sum((n - 1) * s for n, s in zip(size, stride)) if 0 not in size else 0
    d = _float_type(dtype)
    strides = [s * d.itemsize for s in stride]
    there = elsewhere(device)
    if there is not None:
        array = there.made(size, d, strides)
    else:
        array = np.ndarray(size, d, np.empty(max(span, 0), d), 0, strides)
    return finished(array, requires_grad, place_of(array), layout, pin_memory)


def empty_permuted(
    size: Sequence[int],
    physical_layout: Sequence[int],
    *,
    dtype: dtype | None = None,
    layout: layout | None = None,
    device: DeviceLike = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Value:
    """Unfilled memory whose dimensions lie in the order ``physical_layout``, outermost first."""
    order = tuple(physical_layout)
    if sorted(order) != list(range(len(size))):
        raise RuntimeError(
            f"Number of dimensions in size ({len(size)}) and physical_layout {order} must agree, "
            "and each dimension must occur once"
        )
    there = elsewhere(device)
    make = np.empty if there is None else there.made
    array = make(tuple([size[d] for d in order]), _float_type(dtype)).transpose(np.argsort(order))
    return finished(array, requires_grad, place_of(array), layout, pin_memory)


def arange(
    start: float,
    end: float | None = None,
    step: float = 1,
    *,
    out: Value | None = None,
    dtype: dtype | None = None,
    layout: layout | None = None,
    device: DeviceLike = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Value:
    """``start, start + step, ...`` up to but without ``end``; length ceil((end - start) / step)."""
    if end is None:
        start, end = 0, start
    start, end, step = (
        v.item() if isinstance(v, (Value, np.generic)) else v for v in (start, end, step)
    )
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if any(isinstance(v, float) and not math.isfinite(v) for v in (start, end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if dtype is not None:
        d = _dtypes.as_dtype(dtype)
    elif out is not None:
        d = _dtypes.from_numpy(out._array.dtype)
    elif all(isinstance(v, int) for v in (start, end, step)):
        d = _dtypes.int64
    else:
        d = _dtypes.get_default_dtype()
    if d.category == _dtypes.INTEGRAL:
        if int(step) == 0:
            raise ValueError(f"step must be nonzero, and {step} is 0 as {d.name}")
        if d is _dtypes.int64:  # PyTorch counts the steps of smaller integers before rounding
            count = max(0, -(-(int(end) - int(start)) // int(step)))
        else:
            count = max(0, math.ceil((end - start) / step))
        array = (int(start) + int(step) * np.arange(count, dtype=np.int64)).astype(d.numpy)
    else:
        count = max(0, math.ceil((end - start) / step))
        wide = np.float64 if d.numpy.itemsize > 2 or d is _dtypes.float64 else np.float32
        array = (start + step * np.arange(count, dtype=wide)).astype(d.numpy)
    if out is not None:
        return _into(out, array)
    return finished(array, requires_grad, device, layout, pin_memory)


def _steps(name: str, steps: object) -> int:
    if isinstance(steps, Value):
        steps = steps.item()
    if not isinstance(steps, int):
        raise TypeError(f"{name}(): argument 'steps' must be int, not {type_name(steps)}")
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    return steps


def _space_type(start: object, end: object, d: dtype | None, out: Value | None) -> dtype:
    if d is not None:
        return _dtypes.as_dtype(d)
    if out is not None:
        return _dtypes.from_numpy(out._array.dtype)
    default = _dtypes.get_default_dtype()
    return (
        default.to_complex()
        if any(
            v.dtype.is_complex if isinstance(v, Value) else isinstance(v, _COMPLEX)
            for v in (start, end)
        )
        else default
    )


def _from_both_ends(start: float, end: float, steps: int) -> np.ndarray:
    """Even steps between two integers, counted from the nearer end, as PyTorch does."""
    start, end = int(start), int(end)
    i = np.arange(steps)
    if steps == 1:
        return np.full(1, float(start))
    step = (end - start) / max(steps - 1, 1)
    return np.where(i < steps // 2, start + step * i, end - step * (steps - 1 - i))


def _linspace(start: complex, end: complex, steps: int, d: dtype) -> np.ndarray:
    if d.category == _dtypes.INTEGRAL:
        return np.trunc(_from_both_ends(start, end, steps)).astype(d.numpy)
    wide = np.complex128 if d.is_complex else np.float64
    return np.linspace(start, end, steps, dtype=wide).astype(d.numpy)


def _logspace(start: complex, end: complex, steps: int, base: float, d: dtype) -> np.ndarray:
    wide = np.complex128 if d.is_complex else np.float64
    if d.category == _dtypes.INTEGRAL:
        exponents = _from_both_ends(start, end, steps)
    else:
        exponents = np.linspace(start, end, steps, dtype=wide)
    with np.errstate(all="ignore"):
        return (wide(base) ** exponents).astype(d.numpy)


#: With tensors for the ends.
_linspace_op = define(
    "linspace", lambda start, end, steps, d: _linspace(start.item(), end.item(), steps, d)
)
_logspace_op = define(
    "logspace",
    lambda start, end, steps, base, d: _logspace(start.item(), end.item(), steps, base, d),
)


def linspace(
    start: float,
    end: float,
    steps: int,
    *,
    out: Value | None = None,
    dtype: dtype | None = None,
    layout: layout | None = None,
    device: DeviceLike = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Value:
    """``steps`` values from ``start`` to ``end``, both included, evenly spaced."""
    steps = _steps("linspace", steps)
    d = _space_type(start, end, dtype, out)
    if isinstance(start, Value) or isinstance(end, Value):
        ends = [constant(np.asarray(v)) if is_number(v) else v.detach() for v in (start, end)]
        made = _linspace_op(*ends, steps, d)
        return made.requires_grad_(requires_grad) if out is None else write_out(out, made, "out")
    array = _linspace(start, end, steps, d)
    if out is not None:
        return _into(out, array)
    return finished(array, requires_grad, device, layout, pin_memory)


def logspace(
    start: float,
    end: float,
    steps: int,
    base: float = 10.0,
    *,
    out: Value | None = None,
    dtype: dtype | None = None,
    layout: layout | None = None,
    device: DeviceLike = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Value:
    """``base ** e`` for ``steps`` exponents from ``start`` to ``end``, evenly spaced."""
    steps = _steps("logspace", steps)
    d = _space_type(start, end, dtype, out)
    if isinstance(start, Value) or isinstance(end, Value):
        ends = [constant(np.asarray(v)) if is_number(v) else v.detach() for v in (start, end)]
        made = _logspace_op(*ends, steps, base, d)
        return made.requires_grad_(requires_grad) if out is None else write_out(out, made, "out")
    array = _logspace(start, end, steps, base, d)
    if out is not None:
        return _into(out, array)
    return finished(array, requires_grad, device, layout, pin_memory)


def eye(
    n: int,
    m: int | None = None,
    *,
    out: Value | None = None,
    dtype: dtype | None = None,
    layout: layout | None = None,
    device: DeviceLike = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Value:
    """The n x m matrix with ones on its diagonal."""
    for name, v in (("n", n), ("m", m)):
        if v is not None and v < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {v}")
    array = np.eye(n, m, dtype=_float_type(dtype) if out is None else out._array.dtype)
    if out is not None:
        return _into(out, array)
    return finished(array, requires_grad, device, layout, pin_memory)


def scalar_tensor(
    s: float,
    *,
    dtype: dtype | None = None,
    layout: layout | None = None,
    device: DeviceLike = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Value:
    """A 0-dim tensor holding the number ``s``, of the default dtype if none is given."""
    d = dtype or _dtypes.get_default_dtype()
    return full((), s, dtype=d, device=device, requires_grad=requires_grad)


__all__ = [
    "arange", "as_tensor", "asarray", "empty", "empty_like", "empty_permuted",
    "empty_strided", "eye", "from_dlpack", "from_numpy", "frombuffer", "full", "full_like",
    "linspace", "logspace", "ones", "ones_like", "scalar_tensor", "tensor", "zeros", "zeros_like",
]  # fmt: skip
