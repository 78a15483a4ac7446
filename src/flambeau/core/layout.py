"""Where an array's elements are: owner, offset, strides, and other looks at the same memory.

NumPy keeps a view's owner alive and collapses chains of views, so the owner of an array is
always one step away, and a tensor's storage is the owner's memory.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

ndarray = np.ndarray


def owner_of(array: ndarray) -> ndarray:
    """The array that owns the memory ``array`` looks into."""
    while isinstance(array.base, ndarray):
        array = array.base
    return array


def address(array: ndarray) -> int:
    """The address of the first element."""
    return array.__array_interface__["data"][0]


def dense(owner: ndarray) -> ndarray:
    """``owner`` with its dimensions in the order in which they lie in memory."""
    if owner.flags.c_contiguous:
        return owner
    order = sorted(range(owner.ndim), key=lambda d: -owner.strides[d])
    return owner.transpose(order)


def offset_of(array: ndarray) -> int:
    """Bytes of the owner's memory that lie before the first element of ``array``."""
    owner = array.base
    if owner is None or not array.size:
        return 0
    return address(array) - address(owner_of(array))


def strided(array: ndarray, shape: Sequence[int], strides: Sequence[int], offset: int) -> ndarray:
    """The memory ``array`` looks into, seen anew; strides and offset in bytes, from the owner."""
    return ndarray(shape, array.dtype, dense(owner_of(array)), offset, strides)


def broadcast(array: ndarray, shape: tuple[int, ...]) -> ndarray:
    """``array`` stretched to ``shape`` with strides of 0; writable, unlike NumPy's own."""
    lead = len(shape) - array.ndim
    strides = [0] * lead + [
        0 if n == 1 and m != 1 else s for n, m, s in zip(array.shape, shape[lead:], array.strides)
    ]
    if array.flags.c_contiguous:
        return ndarray(shape, array.dtype, array, 0, strides)
    return strided(array, shape, strides, offset_of(array))
