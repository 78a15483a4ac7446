"""16-bit floats on a device whose array module has no bfloat16: their bits, and float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import DeviceArray, seen


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
