"""Which arrays look into the same memory, and where."""

from __future__ import annotations

import numpy as np

from ..core.value import address

ndarray = np.ndarray


class Place:
    """Where an array lies, and how it is laid out, for when the array itself may be gone."""

    __slots__ = ("__array_interface__", "dtype", "itemsize", "level", "ndim", "shape", "size",
                 "strides")  # fmt: skip

    def __init__(self, array: ndarray) -> None:
        self.__array_interface__ = {"data": (address(array), False)}
        self.shape, self.strides = array.shape, array.strides
        self.dtype, self.itemsize = array.dtype, array.itemsize
        self.ndim, self.size = array.ndim, array.size
        self.level = getattr(array, "level", None)


def extent(array: ndarray | Place) -> tuple[int, int]:
    """The first byte of ``array``'s elements, and the one after the last."""
    start = stop = address(array)
    for n, s in zip(array.shape, array.strides, strict=True):
        if s < 0:
            start += (n - 1) * s
        else:
            stop += (n - 1) * s
    return start, stop + array.itemsize


def overlap(a: ndarray | Place, b: ndarray | Place) -> bool:
    """Whether the stretches of memory from the first to the last element have bytes in common."""
    if not a.size or not b.size:
        return False
    first, last = extent(a)
    start, stop = extent(b)
    return first < stop and start < last


def is_dense(array: ndarray | Place) -> bool:
    """Whether the elements lie side by side, in any order of the dimensions."""
    step = array.itemsize
    for s, n in sorted(zip(array.strides, array.shape, strict=True)):
        if n != 1:
            if s != step:
                return False
            step *= n
    return True


def _bytes(array: ndarray | Place) -> ndarray:
    """The address of every byte that ``array`` has an element at."""
    places = np.full(array.shape, address(array), np.int64)
    for d, s in enumerate(array.strides):
        steps = np.arange(array.shape[d]) * s
        places += steps.reshape([-1 if i == d else 1 for i in range(array.ndim)])
    return (places.reshape(-1, 1) + np.arange(array.itemsize)).reshape(-1)


def within(piece: ndarray | Place, base: ndarray | Place) -> bool:
    """Whether every element of ``piece`` lies on elements of ``base``."""
    if not piece.size or same_place(piece, base):
        return True
    first, last = extent(piece)
    start, stop = extent(base)
    if first < start or last > stop:
        return False
    return is_dense(base) or bool(np.isin(_bytes(piece), _bytes(base)).all())


def same_place(a: ndarray | Place, b: ndarray | Place) -> bool:
    """Whether the two are the same elements, in the same order."""
    return (
        a is b
        or a.shape == b.shape
        and a.strides == b.strides
        and a.dtype == b.dtype
        and address(a) == address(b)
    )
