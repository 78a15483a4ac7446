"""Operands and results of operations on a device, whose array module has no bfloat16: these are
kept as their bits, and computed in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.promotion import is_narrow
from ..core.value import Value
from ..tensor._device import different_devices, place_of
from .arrays import DeviceArray, adopted, seen, sent


def widened(array: Any) -> Any:
    """16-bit floats as float32; a bfloat16 is the upper half of one. ``array``: a DeviceArray, or
    the bits of bfloat16 as an array of the device's module."""
    if isinstance(array, DeviceArray):
        if array.dtype.kind == "f":
            return seen(array).astype(np.float32)
        array = seen(array)
    if array.dtype != np.uint16:
        return array
    return (array.astype(np.uint32) << np.uint32(16)).view(np.float32)


def narrowed(array: Any) -> Any:
    """float32 as the bits of bfloat16, rounded to the nearest, to even; NaN stays NaN."""
    bits = array.view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = (bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)
    nan = (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    quiet = (bits >> np.uint32(16)) | np.uint32(64)
    return (rounded * ~nan + quiet * nan).astype(np.uint16)


def converted(elements: Any, source: np.dtype, target: np.dtype) -> Any:
    """An array of the device's module that holds ``source`` as one of ``target``."""
    if source == target:
        return elements
    if is_narrow(source) and source.kind == "V":
        elements = widened(elements)
        source = elements.dtype
    if is_narrow(target) and target.kind == "V":
        return narrowed(elements.astype(np.float32, copy=False))
    if source.kind == "c" and target.kind != "c":
        if target.kind == "b":
            return elements != 0
        elements = elements.real
    if target.kind in "iu" and target.itemsize < 8 and elements.dtype.kind == "f":
        elements = elements.astype(np.int64)
    return elements.astype(target)


def operand(value: Any, constants: bool = False) -> Any:
    """An operand as the device's array module takes it: 16-bit floats wide, a number's tensor of
    the CPU as a number. RuntimeError for another tensor of the CPU, unless ``constants`` (indices
    and masks) may come from there."""
    if not isinstance(value, Value):
        if type(value) in (tuple, list) and any(isinstance(v, Value) for v in value):
            return [operand(v, constants) for v in value]
        return value
    array = value._array
    if isinstance(array, DeviceArray):
        return widened(array) if is_narrow(array.dtype) else seen(array)
    if array.ndim and constants and array.dtype.kind in "biu":
        return seen(sent(array))
    if array.ndim:
        raise different_devices("cuda:0", str(place_of(array)))
    return array[()] if array.dtype.kind in "biufc" else np.float32(array)


def finished(result: Any, dtype: np.dtype) -> Any:
    """A result that was computed wide, in its own dtype."""
    if dtype.kind == "V":
        return adopted(narrowed(result.astype(np.float32, copy=False)), dtype)
    return result.astype(dtype, copy=False)
