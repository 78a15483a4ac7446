"""Repeating and reordering elements: repeat, flip, roll, rot90, triangles and diagonals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._dtypes import from_numpy
from .._errors import type_name
from .._shapes import wrap_dim, wrap_dims
from ..core.modes import by_copy
from ..core.mutation import accepts_out
from ..core.op import define
from ..core.value import Value, constant, reading, wrap
from ._arguments import check_tensor, dimension, integers
from .pieces import diagonal_of

ndarray = np.ndarray

# ---- repeating -----------------------------------------------------------------------------


def _repeat(x: ndarray, repeats: tuple[int, ...]) -> ndarray:
    return np.tile(x, repeats)


def _repeat_vjp(g: Value, x_shape: tuple, repeats: tuple[int, ...]) -> Value:
    if 0 in repeats:
        return g.new_zeros(x_shape)
    lead = len(repeats) - len(x_shape)
    split, summed = [], []
    for i, r in enumerate(repeats):
        if i < lead or r != 1:
            summed.append(len(split))
            split.append(r)
        if i >= lead:
            split.append(x_shape[i - lead])
    return g.reshape(split).sum(summed) if summed else g


repeat_op = define("repeat", _repeat, {"x": _repeat_vjp})


def repeat(self: Value, *repeats: int | Sequence[int]) -> Value:
    """A copy of ``self`` beside itself, ``repeats[i]`` times in dimension i; new dimensions come
    first."""
    counts = integers("repeat", repeats)
    if len(counts) < self._array.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of "
            f"tensor\n  repeats {list(counts)}, tensor of shape {tuple(self._array.shape)}"
        )
    if any(n < 0 for n in counts):
        raise RuntimeError(
            f"Trying to create tensor with negative dimension {min(counts)}: {list(counts)}\n"
            "  repeats must not be negative"
        )
    return repeat_op(self, counts)


def tile(input: Value, dims: Sequence[int]) -> Value:
    """``repeat`` for which missing counts, at the front, are 1."""
    counts = integers("tile", (dims,))
    return repeat(input, (1,) * (input._array.ndim - len(counts)) + counts)


@by_copy
def _repeated_places(repeats: Value, n: int | None) -> Value:
    """The place of each element of a line of ``n`` (as many as ``repeats`` if None) in the line
    that has it as often as ``repeats`` says."""
    reading(repeats, "repeat_interleave()")
    counts = repeats._array.reshape(-1) if n is not None else repeats._array
    _check_counts(counts)
    return wrap(np.repeat(np.arange(counts.size if n is None else n), counts))


def repeat_interleave(
    input: Value,
    repeats: int | Value | None = None,
    dim: int | None = None,
    *,
    output_size: int | None = None,
) -> Value:
    """Every element ``repeats`` times (a number, or one per element) along ``dim``; without
    ``dim``, of the flattened tensor.

    With one argument, the indices that do so: 0 ``input[0]`` times, 1 ``input[1]`` times ...
    """
    if repeats is None:
        return _repeated_places(input, None)
    if dim is None:
        input, dim = input.flatten(), 0
    d = dimension("repeat_interleave", dim, input._array.ndim)
    if not input._array.ndim:
        input = input.reshape(1)
    n = input._array.shape[d]
    if isinstance(repeats, int):
        if repeats < 0:
            raise RuntimeError("Repeats must be non-negative")
        shape = [*input._array.shape[: d + 1], repeats, *input._array.shape[d + 1 :]]
        copies = input.unsqueeze(d + 1).expand(shape).clone()
        return copies.flatten(d, d + 1)
    if isinstance(repeats, (list, tuple)):
        repeats = constant(np.array(repeats, np.int64))
    check_tensor("repeat_interleave", repeats, "repeats")
    count = repeats._array.size
    if repeats._array.ndim > 1 or count not in (1, n):
        raise RuntimeError(
            "repeats must have the same size as input along dim, but got repeats.size(0) = "
            f"{count} and input.size({d}) = {n}"
        )
    places = _repeated_places(repeats, n)
    total = places._array.size
    if output_size is not None and output_size != total:
        raise RuntimeError(
            f"repeat_interleave: output_size is {output_size}, but the repeats sum to {total}"
        )
    return input.index_select(d, places)


def _check_counts(counts: ndarray) -> None:
    if counts.dtype.kind not in "iu":
        kind = from_numpy(counts.dtype).legacy_name
        raise NotImplementedError(
            f"\"repeat_interleave_cpu\" not implemented for '{kind}'\n"
            "  repeats must be of int32 or int64"
        )
    if counts.size and int(counts.min()) < 0:
        raise RuntimeError("repeats can not be negative")


# ---- reordering ----------------------------------------------------------------------------


def _flip(x: ndarray, dims: tuple[int, ...]) -> ndarray:
    index = [slice(None)] * x.ndim
    for d in dims:
        index[d] = slice(None, None, -1)
    return x[tuple(index)].copy()


flip_op = define("flip", _flip, {"x": lambda g, dims: flip_op(g, dims)})


def flip(input: Value, dims: int | Sequence[int]) -> Value:
    """A copy in which the order along each of ``dims`` is reversed."""
    check_tensor("flip", input)
    dims = wrap_dims(
        dims if isinstance(dims, int) else integers("flip", (dims,)), input._array.ndim
    )
    return flip_op(input, dims)


def fliplr(input: Value) -> Value:
    """A copy with the order of the second dimension reversed."""
    if input._array.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip_op(input, (1,))


def flipud(input: Value) -> Value:
    """A copy with the order of the first dimension reversed."""
    if input._array.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return flip_op(input, (0,))


def _roll(x: ndarray, shifts: tuple[int, ...], dims: tuple[int, ...]) -> ndarray:
    out = x
    for shift, d in zip(shifts, dims):
        n = x.shape[d] if x.ndim else 0
        if n and shift % n:
            lead = (slice(None),) * d
            cut = n - shift % n
            out = np.concatenate((out[(*lead, slice(cut, None))], out[(*lead, slice(cut))]), d)
    return x.copy() if out is x else out


roll_op = define(
    "roll", _roll, {"x": lambda g, shifts, dims: roll_op(g, tuple([-s for s in shifts]), dims)}
)


def roll(
    input: Value, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None
) -> Value:
    """Elements moved by ``shifts`` along ``dims``, what falls off at the end coming in at the
    front; without ``dims``, in the flattened tensor."""
    shifts = integers("roll", (shifts,) if isinstance(shifts, int) else (tuple(shifts),))
    if dims is None or dims == ():
        if len(shifts) != 1:
            raise RuntimeError(
                f"shifts and dimensions must align. shifts: {len(shifts)}, dims:0"
                if shifts
                else "`shifts` required"
            )
        flat = roll_op(input.reshape(-1), shifts, (0,)) if input._array.size else input.clone()
        return flat.reshape(input._array.shape)
    dims = integers("roll", (dims,) if isinstance(dims, int) else (tuple(dims),))
    if not shifts:
        raise RuntimeError("`shifts` required")
    if len(shifts) != len(dims):
        raise RuntimeError(
            f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}"
        )
    n = input._array.ndim
    if not n:
        for d in dims:
            wrap_dim(d, n, scalar_ok=False)
    return roll_op(input, shifts, tuple([wrap_dim(d, n) for d in dims]))


def _rot90(x: ndarray, k: int, dims: tuple[int, int]) -> ndarray:
    return np.rot90(x, k, dims).copy()


rot90_op = define("rot90", _rot90, {"x": lambda g, k, dims: rot90_op(g, -k, dims)})


def rot90(input: Value, k: int = 1, dims: Sequence[int] = (0, 1)) -> Value:
    """A copy turned ``k`` times by 90 degrees in the plane of ``dims``, from the first to the
    second."""
    dims = integers("rot90", (tuple(dims),))
    n = input._array.ndim
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if n < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {n}")
    if dims[0] == dims[1] or abs(dims[0] - dims[1]) == n:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}"
        )
    for i, d in enumerate(dims):
        if not -n <= d < n:
            raise RuntimeError(f"Rotation dim{i} out of range, dim{i} = {d}")
    return rot90_op(input, k % 4, tuple([d % n for d in dims]))


# ---- triangles and diagonals ---------------------------------------------------------------


def _tril(x: ndarray, diagonal: int) -> ndarray:
    keep = np.tri(*x.shape[-2:], k=diagonal, dtype=np.bool_)
    return np.where(keep, x, np.zeros((), x.dtype))


def _triu(x: ndarray, diagonal: int) -> ndarray:
    drop = np.tri(*x.shape[-2:], k=diagonal - 1, dtype=np.bool_)
    return np.where(drop, np.zeros((), x.dtype), x)


tril_op = define("tril", _tril, {"x": lambda g, diagonal: tril_op(g, diagonal)})
triu_op = define("triu", _triu, {"x": lambda g, diagonal: triu_op(g, diagonal)})


def _check_matrix(name: str, input: Value) -> None:
    check_tensor(name, input)
    if input._array.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")


@accepts_out
def tril(input: Value, diagonal: int = 0) -> Value:
    """The lower triangle of matrices, up to diagonal number ``diagonal``; zeros above."""
    _check_matrix("tril", input)
    return tril_op(input, diagonal)


@accepts_out
def triu(input: Value, diagonal: int = 0) -> Value:
    """The upper triangle of matrices, from diagonal number ``diagonal`` on; zeros below."""
    _check_matrix("triu", input)
    return triu_op(input, diagonal)


def _diag_embed(x: ndarray, offset: int, i: int, j: int) -> ndarray:
    n = x.shape[-1] + abs(offset)
    shape = list(x.shape[:-1])
    for d in sorted((i, j)):
        shape.insert(d, n)
    out = np.zeros(shape, x.dtype)
    diagonal_of(out, offset, i, j)[...] = x
    return out


diag_embed_op = define(
    "diag_embed", _diag_embed, {"x": lambda g, offset, i, j: g.diagonal(offset, i, j)}
)


def diag_embed(input: Value, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Value:
    """Matrices in dimensions ``dim1`` and ``dim2`` whose diagonal is the last dimension of
    ``input``; zeros elsewhere."""
    n = input._array.ndim + 1
    i, j = wrap_dim(dim1, n), wrap_dim(dim2, n)
    if i == j:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    if not input._array.ndim:
        input = input.reshape(1)
    return diag_embed_op(input, offset, i, j)


diagonal_copy = define(
    "diagonal_copy",
    lambda x, offset, i, j: diagonal_of(x, offset, i, j).copy(),
    {"x": lambda g, x_shape, offset, i, j: g.new_zeros(x_shape).diagonal_scatter(g, offset, i, j)},
)
diagonal_copy.op.grad_name = "DiagonalBackward0_copy"


@accepts_out
def diag(input: Value, diagonal: int = 0) -> Value:
    """The matrix with the vector ``input`` on its diagonal, or a copy of a matrix's diagonal."""
    n = input._array.ndim
    if n == 1:
        return diag_embed_op(input, diagonal, 0, 1)
    if n != 2:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {n}D")
    return diagonal_copy(input, diagonal, 0, 1)


def diagflat(input: Value, offset: int = 0) -> Value:
    """The matrix with the elements of ``input``, in order, on its diagonal."""
    return diag_embed_op(input.reshape(-1), offset, 0, 1)


def fill_diagonal_(self: Value, fill_value: float, wrap: bool = False) -> Value:
    """Fill the diagonal of a matrix, or of a tensor whose dimensions are all of one size.

    ``wrap``: in a matrix with more rows than columns, start anew after each square.
    """
    shape, strides = self._array.shape, self.stride()
    if len(shape) < 2:
        raise RuntimeError("dimensions must larger than 1")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    if min(shape) == 0:
        return self
    step = sum(strides)
    n = min(shape)
    self.as_strided((n,), (step,)).fill_(fill_value)
    if wrap and len(shape) == 2:
        rows, columns = shape
        for top in range(columns + 1, rows, columns + 1):
            fill_diagonal_(self[top:], fill_value)
    return self


def _triangle(name: str, row: int, col: int, offset: int, lower: bool) -> ndarray:
    for what, n in (("row", row), ("col", col)):
        if not isinstance(n, int):
            raise TypeError(f"{name}(): argument '{what}' must be int, not {type_name(n)}")
        if n < 0:
            raise RuntimeError(f"{what} must be non-negative, got{n}")
    below = np.tri(row, col, k=offset if lower else offset - 1, dtype=np.bool_)
    return np.stack((below if lower else ~below).nonzero())


__all__ = [
    "diag", "diag_embed", "diagflat", "flip", "fliplr", "flipud", "repeat_interleave", "roll",
    "rot90", "tile", "tril", "triu",
]  # fmt: skip
