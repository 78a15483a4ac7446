"""Samples to a batch: stack what lies at the same place of every sample.

Every error names the place as Python would write it: ``sample['image'][1]``.
"""

from __future__ import annotations

import collections.abc
import copy
import pickle
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ...._dtypes import float64
from ....core.value import Value, wrap
from ....ops.joining import stack
from ....tensor._creation import as_tensor, tensor
from ....tensor._tensor import Tensor

Collate = Callable[..., object]


class _Place:
    """Where stacked arrays are made: worker processes put shared memory here."""

    empty: Callable[[tuple[int, ...], np.dtype], np.ndarray] | None = None


place = _Place()


class FieldError(Exception):
    """Why the field at ``path`` cannot be collated; it becomes the ``cause`` with more words."""

    def __init__(self, cause: Exception, path: str) -> None:
        super().__init__(cause, path)
        self.cause = cause
        self.path = path


def default_convert(data: object) -> object:
    """Every NumPy array and number in ``data`` as a tensor; containers are kept, others untouched.

    The DataLoader's ``collate_fn`` where ``batch_size=None``.
    """
    if isinstance(data, Value):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return data if data.dtype.kind not in "biufc" else as_tensor(data)
    if isinstance(data, collections.abc.Mapping):
        return _like(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(d) for d in data))
    if isinstance(data, tuple):
        return [default_convert(d) for d in data]
    if isinstance(data, collections.abc.Sequence) and not isinstance(data, (str, bytes)):
        return _like(data, [default_convert(d) for d in data])
    return data


def _like(container: Mapping | Sequence, items: dict | list) -> object:
    """``items`` in a container of the same type, or as they are where it cannot be filled."""
    cls = type(container)
    if cls in (dict, list):
        return items
    try:
        if isinstance(container, collections.abc.MutableMapping):
            filled = copy.copy(container)
            filled.update(items)
            return filled
        if isinstance(container, collections.abc.MutableSequence):
            filled = copy.copy(container)
            for i, item in enumerate(items):
                filled[i] = item
            return filled
        return cls(items)
    except TypeError:
        return items


def collate(
    batch: Sequence,
    *,
    collate_fn_map: dict[type | tuple[type, ...], Collate] | None = None,
) -> object:
    """Samples to a batch, element types being handled by the functions of ``collate_fn_map``.

    A function of the map is called as ``f(elements, collate_fn_map=map)``; a key is a type or a
    tuple of types, an exact match goes first. Containers are rebuilt around their collated fields:
    mappings, named tuples, sequences (tuples become lists).
    TypeError for other types; RuntimeError where sequences have different lengths.
    """
    try:
        return _collate(batch, collate_fn_map, "sample")
    except FieldError as error:
        told = explained(error.cause, error.path, batch)
        raise told.with_traceback(error.cause.__traceback__) from None


def explained(cause: Exception, path: str, batch: Sequence) -> Exception:
    """``cause`` with the field of the samples that it is about."""
    told = str(cause.args[0]) if isinstance(cause, KeyError) and cause.args else str(cause)
    kind = type(cause)
    text = f"{told}\n  in field {path} of a batch of {len(batch)}"
    try:
        error = KeyErrorText(text) if kind is KeyError else kind(text)
        return error if isinstance(error, Exception) else RuntimeError(text)
    except Exception:
        return RuntimeError(f"{kind.__name__}: {text}")


class KeyErrorText(KeyError):
    """A KeyError whose text is shown as it is, not quoted."""

    __module__, __qualname__ = "builtins", "KeyError"

    def __str__(self) -> str:
        return str(self.args[0])


def _collate(batch: Sequence, functions: dict | None, path: str) -> object:
    first = batch[0]
    cls = type(first)
    if functions is not None:
        function = functions.get(cls)
        if function is None:
            for key, candidate in functions.items():
                if isinstance(first, key):
                    function = candidate
                    break
        if function is not None:
            try:
                return function(batch, collate_fn_map=functions)
            except FieldError as error:
                raise FieldError(error.cause, path + error.path.removeprefix("sample")) from None
            except Exception as error:
                raise FieldError(error, path) from None
    if isinstance(first, collections.abc.Mapping):
        fields = {}
        for key in first:
            place = f"{path}[{key!r}]"
            column = []
            for i, sample in enumerate(batch):
                try:
                    column.append(sample[key])
                except Exception as error:
                    if isinstance(error, KeyError):
                        error = KeyErrorText(f"{key!r}: sample {i} of the batch has no such field")
                    raise FieldError(error, place) from None
            fields[key] = _collate(column, functions, place)
        return _like(first, fields)
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return cls(
            *(
                _collate(column, functions, f"{path}.{name}")
                for name, column in zip(first._fields, zip(*batch))
            )
        )
    if isinstance(first, collections.abc.Sequence) and not isinstance(first, (str, bytes)):
        size = len(first)
        for i, sample in enumerate(batch):
            if len(sample) != size:
                raise FieldError(
                    RuntimeError(
                        "each element in list of batch should be of equal size\n"
                        f"  it has {size} in sample 0 and {len(sample)} in sample {i} of the batch"
                    ),
                    path,
                )
        columns = zip(*batch)
        collated = [_collate(c, functions, f"{path}[{i}]") for i, c in enumerate(columns)]
        return collated if isinstance(first, tuple) else _like(first, collated)
    raise FieldError(TypeError(default_collate_err_msg_format.format(cls)), path)


np_str_obj_array_pattern = re.compile(r"[SaUO]")  # dtypes of text and objects
default_collate_err_msg_format = (
    "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"
)


def unsendable(batch: object) -> str:
    """Which field of ``batch`` cannot be pickled."""

    def find(value: object, path: str) -> str | None:
        if isinstance(value, Value):
            sendable = value.is_leaf
        else:
            parts: list[tuple[object, str]] = []
            if isinstance(value, dict):
                parts = [(part, f"{path}[{key!r}]") for key, part in value.items()]
            elif isinstance(value, (list, tuple)):
                parts = [(part, f"{path}[{i}]") for i, part in enumerate(value)]
            for part, name in parts:
                found = find(part, name)
                if found:
                    return found
            try:
                pickle.dumps(value)
                sendable = True
            except Exception:
                sendable = False
        return None if sendable else f"{path} is a {type(value).__name__}, which cannot be sent"

    return find(batch, "batch") or "it cannot be pickled"


# ---- elements ------------------------------------------------------------------------------


def collate_tensor_fn(batch: Sequence[Value], *, collate_fn_map: dict | None = None) -> Value:
    """Tensors of one shape along a new first dimension."""
    if any(tensor._edge is not None or type(tensor) is not Tensor for tensor in batch):
        return stack(list(batch), 0)
    made = _stacked([tensor._array for tensor in batch])
    return stack(list(batch), 0) if made is None else made


def _stacked(arrays: list[np.ndarray]) -> Value | None:
    """Arrays of one shape and dtype along a new dimension; None if they are not."""
    shape, dtype = arrays[0].shape, arrays[0].dtype
    for array in arrays:
        if array.shape != shape or array.dtype != dtype:
            return None
    made = (place.empty or np.empty)((len(arrays), *shape), dtype)
    if not made.size:
        return wrap(made)
    if shape:
        np.concatenate(arrays, out=made.reshape(-1, *shape[1:]))
    else:
        made[:] = [array.item() for array in arrays]
    return wrap(made)


def collate_numpy_array_fn(
    batch: Sequence[np.ndarray], *, collate_fn_map: dict | None = None
) -> Value:
    """Arrays of one shape, as tensors, along a new first dimension. TypeError for text, objects."""
    first = batch[0]
    if np_str_obj_array_pattern.search(first.dtype.str) is not None:
        raise TypeError(default_collate_err_msg_format.format(first.dtype))
    if type(first) is np.ndarray and first.dtype.isnative and collate_fn_map is not None:
        if collate_fn_map.get(Tensor) is collate_tensor_fn:
            made = _stacked(list(batch))
            if made is not None:
                return made
    return _collate([as_tensor(array) for array in batch], collate_fn_map, "sample")


def collate_numpy_scalar_fn(
    batch: Sequence[np.generic], *, collate_fn_map: dict | None = None
) -> Value:
    """NumPy numbers as a tensor of one dimension."""
    return as_tensor(list(batch))


def collate_float_fn(batch: Sequence[float], *, collate_fn_map: dict | None = None) -> Value:
    """Floats as float64."""
    return tensor(batch, dtype=float64)


def collate_int_fn(batch: Sequence[int], *, collate_fn_map: dict | None = None) -> Value:
    """Integers as int64, truth values as bool."""
    array = np.array(batch) if type(batch[0]) in (int, bool) else None
    if array is not None and array.dtype.kind in "uO" and all(isinstance(n, int) for n in batch):
        raise ValueError("Overflow when unpacking long long")
    if array is not None and array.dtype in (np.int64, np.bool_) and array.ndim == 1:
        return wrap(array)
    return tensor(batch)


def collate_str_fn(batch: Sequence[str], *, collate_fn_map: dict | None = None) -> Sequence[str]:
    """Strings and bytes as they are."""
    return batch


#: What ``default_collate`` does with elements; entries may be added.
default_collate_fn_map: dict[type | tuple[type, ...], Collate] = {
    Tensor: collate_tensor_fn,
    np.ndarray: collate_numpy_array_fn,
    (np.bool_, np.number, np.object_): collate_numpy_scalar_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}


def default_collate(batch: Sequence) -> object:
    """Samples to a batch: tensors, arrays and numbers stacked, containers rebuilt around them.

    The DataLoader's ``collate_fn`` unless it is given another. For types of your own, see
    ``collate``, or add to ``default_collate_fn_map``. TypeError for what cannot be stacked.
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)
