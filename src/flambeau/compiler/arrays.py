"""Arrays as formulas: what lies between captured operations and loops.

    array  := Leaf(shape, dtype, strides)                 elements in memory, made elsewhere
            | Map(shape, dtype, reads, term)              each element by a scalar expression
            | Reduce(shape, dtype, kind, operand, dims)   sum | maximum over some dimensions
            | Product(shape, dtype, a, b, ...)            batched matrix product
            | Joined(shape, dtype, pieces)                pieces side by side (cat, put)
            | Added(shape, dtype, index, read, ...)       rows added at places (an index's gradient)
            | Native(shape, dtype, operands, recipe, ..)  filled by code of its own (a convolution)
            | Part(shape, dtype, of)                      further memory that such code fills
    read   := Read(array, strides, offset, index)

A ``Read`` says where the elements of an array are from the point of view of whoever reads them:
at ``offset + sum(i[d] * strides[d])``, counted in the array's elements in row-major order, whatever
its memory is like. Views (transpose, expand, slices, reshape) are reads with other strides and cost
nothing. ``index``, if there, adds the value of an integer array times a stride: a gather.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from .scalar import Scalar

if TYPE_CHECKING:
    from .layer_code import Recipe


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides, in elements, of a dense array of ``shape``, last dimension fastest."""
    strides, n = [], 1
    for size in reversed(shape):
        strides.append(n)
        n *= size
    return tuple(reversed(strides))


def piece_of(shape: Sequence[int], index: tuple) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """The piece that a basic index takes from a dense array: shape, strides, and where it begins,
    in elements. NumPy says, of an array without memory."""
    ghost = np.lib.stride_tricks.as_strided(
        np.zeros(1, np.int8), shape, row_major(shape), writeable=False
    )  # never read: only its pieces' addresses count
    piece = ghost[index if Ellipsis in index else (*index, ...)]  # a view, of one element too
    start = piece.__array_interface__["data"][0] - ghost.__array_interface__["data"][0]
    return piece.shape, piece.strides, start


@dataclass(eq=False, slots=True)
class Array:
    """What all arrays have. ``note`` says for people which operation it is part of; arrays of one
    ``group`` are results of one operation, and computed together if they can be."""

    shape: tuple[int, ...]
    dtype: np.dtype
    note: str = field(default="", kw_only=True)
    group: object = field(default=None, kw_only=True)

    @property
    def size(self) -> int:
        """The count of elements."""
        return math.prod(self.shape)

    def sources(self) -> list[Array]:
        """The arrays that this one is computed from."""
        return []


@dataclass(eq=False, slots=True)
class Read:
    """Elements of ``array`` as its reader sees them; see the head of this file."""

    array: Array
    strides: tuple[int, ...]
    offset: int = 0
    index: Read | None = None  # integers, read with the same dimensions
    index_stride: int = 0


@dataclass(eq=False, slots=True)
class Leaf(Array):
    """Memory: ``strides`` in elements. ``key``: who fills it (an input, a constant, a call)."""

    strides: tuple[int, ...]
    key: object


@dataclass(eq=False, slots=True)
class Map(Array):
    """``term`` for each element; its leaf ``input(k)`` is ``reads[k]`` there."""

    reads: tuple[Read, ...]
    term: Scalar

    def sources(self) -> list[Array]:
        """See Array."""
        found = [r.array for r in self.reads]
        return found + [r.index.array for r in self.reads if r.index is not None]


@dataclass(eq=False, slots=True)
class Reduce(Array):
    """``kind`` (sum, maximum) of ``read`` over the dimensions ``dims`` of ``full``; ``shape`` is
    ``full`` without them (or with 1 in their place: the elements are the same)."""

    kind: str
    read: Read
    full: tuple[int, ...]
    dims: tuple[int, ...]

    def sources(self) -> list[Array]:
        """See Array."""
        return [self.read.array]


@dataclass(eq=False, slots=True)
class Product(Array):
    """``out[b, i, j] = sum_k a[b, i, k] c[b, k, j]``; ``a`` is read with dimensions (*batch, m, k)
    and ``b`` with (*batch, k, n)."""

    a: Read
    b: Read
    batch: tuple[int, ...]
    m: int
    n: int
    k: int

    def sources(self) -> list[Array]:
        """See Array."""
        return [self.a.array, self.b.array]


@dataclass(eq=False, slots=True)
class Joined(Array):
    """Memory that ``pieces`` fill: (what is read, its shape, strides and offset in the result)."""

    pieces: tuple[tuple[Read, tuple[int, ...], tuple[int, ...], int], ...]

    def sources(self) -> list[Array]:
        """See Array."""
        return [piece[0].array for piece in self.pieces]


@dataclass(eq=False, slots=True)
class Added(Array):
    """``rows`` rows of zeros, to which ``read`` (count, width) is added at the places that
    ``index`` (count,) names; a place that is ``skip`` takes nothing."""

    index: Read
    read: Read
    count: int
    rows: int
    skip: int

    def sources(self) -> list[Array]:
        """See Array."""
        return [self.index.array, self.read.array]


@dataclass(eq=False, slots=True)
class Native(Array):
    """Memory that the code of ``recipe`` fills from ``operands``, each of which is read where it is
    from its offset on, and must lie row by row; ``parts``: other memory that it fills with it."""

    operands: tuple[Read, ...]
    recipe: Recipe
    parts: tuple[Part, ...] = ()

    def sources(self) -> list[Array]:
        """See Array."""
        return [read.array for read in self.operands]


@dataclass(eq=False, slots=True)
class Part(Array):
    """Memory that the code of ``of`` fills besides its own."""

    of: Native | None = None

    def sources(self) -> list[Array]:
        """See Array."""
        return [self.of]


class Split(Exception):
    """Dimension ``place`` must be seen as (outer, ``inner``) for a read to be affine."""

    def __init__(self, place: int, inner: int) -> None:
        self.place, self.inner = place, inner


class Tangled(Exception):
    """A read that moves along its array in a way that strides cannot say."""


def located(
    dims: Sequence[int], strides: Sequence[int], offset: int, shape: Sequence[int]
) -> tuple[list[list[tuple[int, int]]], list[int]]:
    """How a reader with ``dims``, ``strides`` and ``offset`` moves along an array of ``shape``.

    Returns for each of the reader's dimensions the list of (dimension of the array, steps), of
    at most one entry, and the position in each dimension where it starts. Raises Split where
    a dimension of the reader has to be seen as two, Tangled where nothing helps.
    """
    dense = row_major(shape)
    start, rest = [], offset
    for n, d in zip(shape, dense):
        place, rest = divmod(rest, d) if n > 1 else (0, rest)
        start.append(place)
    if rest:
        raise Tangled
    far = list(start)
    moves: list[list[tuple[int, int]]] = []
    for i, (count, stride) in enumerate(zip(dims, strides)):
        if count == 1 or stride == 0:
            moves.append([])
            continue
        if stride < 0:
            raise Tangled
        p = next((p for p, n in enumerate(shape) if n > 1 and stride >= dense[p]), None)
        if p is None or stride % dense[p]:
            raise Tangled
        steps = stride // dense[p]
        if steps >= shape[p]:
            raise Tangled
        if steps * (count - 1) < shape[p]:
            moves.append([(p, steps)])
            far[p] += steps * (count - 1)
            continue
        inner = shape[p] // steps
        if shape[p] % steps or count % inner:
            raise Tangled
        raise Split(i, inner)
    if any(f >= n for f, n in zip(far, shape)):
        raise Tangled
    return moves, start


def composed(
    dims: Sequence[int], read: Read, strides: Sequence[int], offset: int = 0
) -> tuple[list[int], int]:
    """``read``, whose reader has ``dims``, with each dimension of its array moved along by
    ``strides`` instead (those of memory, or of something that the array itself reads): the strides
    for the reader's dimensions and the offset. Raises Split and Tangled as ``located``."""
    array = read.array
    if row_major(array.shape) == tuple(strides):
        return list(read.strides), read.offset + offset
    moves, start = located(dims, read.strides, read.offset, array.shape)
    result = [sum(strides[p] * steps for p, steps in move) for move in moves]
    return result, offset + sum(s * n for s, n in zip(strides, start))
