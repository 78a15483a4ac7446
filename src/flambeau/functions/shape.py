"""Compositions about shapes: stacking, grids, blocks, shuffles."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence

import numpy as np

from .. import _dtypes, _shapes
from .._dtypes import dtype
from .._errors import type_name
from ..core.mutation import accepts_out
from ..core.value import Value, constant, wrap
from ..ops._arguments import check_tensor
from ..ops.joining import cat, stack
from ..ops.rearranging import _triangle
from ..ops.views import expand
from ..tensor._creation import finished

# ---- stacking ------------------------------------------------------------------------------


def _spread(name: str, tensors: tuple) -> tuple[Value, ...]:
    """Tensors given one by one or as one sequence."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    for v in tensors:
        check_tensor(name, v, "tensors")
    return tensors


def atleast_1d(*tensors: Value | Sequence[Value]) -> Value | tuple[Value, ...]:
    """Tensors with at least one dimension; one tensor for one, a tuple for several."""
    if len(tensors) == 1 and isinstance(tensors[0], Value):
        v = tensors[0]
        return v if v._array.ndim else v.reshape(1)
    return tuple([atleast_1d(v) for v in _spread("atleast_1d", tensors)])


def atleast_2d(*tensors: Value | Sequence[Value]) -> Value | tuple[Value, ...]:
    """Tensors with at least two dimensions, new ones in front."""
    if len(tensors) == 1 and isinstance(tensors[0], Value):
        v = tensors[0]
        n = v._array.ndim
        return v if n >= 2 else v.unsqueeze(0) if n else v.reshape(1, 1)
    return tuple([atleast_2d(v) for v in _spread("atleast_2d", tensors)])


def atleast_3d(*tensors: Value | Sequence[Value]) -> Value | tuple[Value, ...]:
    """Tensors with at least three dimensions: a vector becomes 1 x n x 1, a matrix n x m x 1."""
    if len(tensors) == 1 and isinstance(tensors[0], Value):
        v = tensors[0]
        n = v._array.ndim
        if n >= 3:
            return v
        if n == 2:
            return v.unsqueeze(-1)
        return v.unsqueeze(0).unsqueeze(-1) if n else v.reshape(1, 1, 1)
    return tuple([atleast_3d(v) for v in _spread("atleast_3d", tensors)])


def _listed(name: str, tensors: Sequence[Value]) -> tuple[Value, ...]:
    if not isinstance(tensors, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not "
            f"{type_name(tensors)}"
        )
    if not tensors:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return tuple(tensors)


@accepts_out
def hstack(tensors: Sequence[Value]) -> Value:
    """Tensors joined along the second dimension (the first, for vectors)."""
    tensors = atleast_1d(*[_listed("hstack", tensors)])
    return cat(tensors, 0 if tensors[0]._array.ndim == 1 else 1)


@accepts_out
def vstack(tensors: Sequence[Value]) -> Value:
    """Tensors joined along the first dimension; vectors are rows."""
    return cat(atleast_2d(*[_listed("vstack", tensors)]), 0)


@accepts_out
def row_stack(tensors: Sequence[Value]) -> Value:
    """The same as ``vstack``."""
    return vstack(tensors)


@accepts_out
def dstack(tensors: Sequence[Value]) -> Value:
    """Tensors joined along the third dimension."""
    return cat(atleast_3d(*[_listed("dstack", tensors)]), 2)


@accepts_out
def column_stack(tensors: Sequence[Value]) -> Value:
    """Tensors joined along the second dimension; vectors and numbers are columns."""
    return hstack(
        [
            v.reshape(v._array.size, 1) if v._array.ndim <= 1 else v
            for v in _listed("column_stack", tensors)
        ]
    )


def block_diag(*tensors: Value) -> Value:
    """The matrix with the matrices ``tensors`` along its diagonal, zeros elsewhere."""
    tensors = _spread("block_diag", tensors)
    if not tensors:
        return constant(np.zeros((1, 0), _dtypes.get_default_dtype().numpy))
    for i, v in enumerate(tensors):
        if v._array.ndim > 2:
            raise RuntimeError(
                "torch.block_diag: Input tensors must have 2 or fewer dimensions. "
                f"Input {i} has {v._array.ndim} dimensions"
            )
    blocks = [atleast_2d(v) for v in tensors]
    width = sum(b._array.shape[1] for b in blocks)
    rows = []
    start = 0
    for b in blocks:
        n, m = b._array.shape
        rows.append(cat((b.new_zeros((n, start)), b, b.new_zeros((n, width - start - m))), 1))
        start += m
    return cat(rows, 0)


# ---- broadcasting and grids ----------------------------------------------------------------


def broadcast_shapes(*shapes: int | Sequence[int]) -> tuple[int, ...]:
    """The shape that all ``shapes`` stretch to. RuntimeError where they do not."""
    listed = []
    for shape in shapes:
        sizes = (shape,) if isinstance(shape, int) else tuple(shape)
        for n in sizes:
            if n < 0:
                raise RuntimeError(
                    f"Trying to create tensor with negative dimension ({n}): ({sizes})"
                )
        listed.append(tuple([int(n) for n in sizes]))
    try:
        return _size(_shapes.broadcast(*listed))
    except RuntimeError:
        raise _shapes_error(listed) from None


def _shapes_error(shapes: list[tuple[int, ...]]) -> RuntimeError:
    """Which of ``shapes`` is the first that does not stretch to those before it, and where."""
    for i in range(1, len(shapes)):
        try:
            _shapes.broadcast(*shapes[: i + 1])
        except RuntimeError:
            before = _shapes.broadcast(*shapes[:i])
            d = next(
                d
                for d in range(-1, -len(shapes[i]) - 1, -1)
                if shapes[i][d] != 1 and before[d] not in (1, shapes[i][d])
            )
            return RuntimeError(
                f"Attempting to broadcast a dimension of length {shapes[i][d]} at {d}! Mismatching "
                f"argument at index {i} had {shapes[i]}; but expected shape should be "
                f"broadcastable to {list(before)}\n"
                "  shapes are aligned at the right; sizes must be equal or 1"
            )
    return RuntimeError(f"shapes {shapes} do not stretch to one shape")


def _size(shape: tuple[int, ...]) -> tuple[int, ...]:
    return wrap(np.broadcast_to(False, shape)).shape  # Size belongs to the Tensor class


def broadcast_tensors(*tensors: Value | Sequence[Value]) -> tuple[Value, ...]:
    """``tensors`` expanded to their common shape; views."""
    tensors = _spread("broadcast_tensors", tensors)
    shape = _shapes.broadcast(*[v._array.shape for v in tensors])
    return tuple([expand(v, shape) for v in tensors])


def meshgrid(*tensors: Value | Sequence[Value], indexing: str | None = None) -> tuple[Value, ...]:
    """Coordinate grids of vectors: the i-th result varies along dimension i with ``indexing``
    "ij"; "xy" exchanges the first two."""
    tensors = _spread("meshgrid", tensors)
    if indexing is None:
        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing "
            "argument.",
            UserWarning,
            stacklevel=2,
        )
        indexing = "ij"
    if not tensors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing not in ("ij", "xy"):
        raise RuntimeError(
            'torch.meshgrid: indexing must be one of "xy" or "ij", but received: ' + indexing
        )
    for v in tensors:
        if v._array.ndim > 1:
            raise RuntimeError(
                "torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: "
                f"a tensor of shape {tuple(v._array.shape)}"
            )
        if v._array.dtype != tensors[0]._array.dtype:
            raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    swapped = indexing == "xy" and len(tensors) >= 2
    if swapped:
        tensors = (tensors[1], tensors[0], *tensors[2:])
    shape = tuple([v._array.size for v in tensors])
    grids = []
    for i, v in enumerate(tensors):
        ones = [1] * len(shape)
        ones[i] = shape[i]
        grids.append(expand(v.reshape(ones), shape))
    if swapped:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def cartesian_prod(*tensors: Value) -> Value:
    """All combinations of one element of each vector, a row each."""
    tensors = _spread("cartesian_prod", tensors)
    if not tensors:
        raise RuntimeError("cartesian_prod expects a non-empty TensorList")
    for v in tensors:
        if v._array.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(v._array.shape)}")
    if len(tensors) == 1:
        return tensors[0]
    return stack([g.flatten() for g in meshgrid(*tensors, indexing="ij")], 1)


def combinations(input: Value, r: int = 2, with_replacement: bool = False) -> Value:
    """All choices of ``r`` elements of a vector, in order, a row each."""
    if input._array.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input._array.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return input.new_empty((0,))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array(list(choose(range(input._array.size), r)), np.int64).reshape(-1, r)
    return input.index_select(0, constant(rows.reshape(-1))).reshape(rows.shape)


def is_same_size(input: Value, other: Value) -> bool:
    """Whether both tensors have the same shape."""
    return input._array.shape == other._array.shape


def is_nonzero(input: Value) -> bool:
    """Whether the only element is not zero. RuntimeError unless there is exactly one."""
    return bool(input)


# ---- triangles -----------------------------------------------------------------------------


def tril_indices(
    row: int,
    col: int,
    offset: int = 0,
    *,
    dtype: dtype = _dtypes.int64,
    device: object = None,
    layout: object = None,
) -> Value:
    """The places of the lower triangle of a row x col matrix: a 2 x n tensor."""
    places = _triangle("tril_indices", row, col, offset, True).astype(_dtypes.as_dtype(dtype).numpy)
    return finished(places, device=device)


def triu_indices(
    row: int,
    col: int,
    offset: int = 0,
    *,
    dtype: dtype = _dtypes.int64,
    device: object = None,
    layout: object = None,
) -> Value:
    """The places of the upper triangle of a row x col matrix: a 2 x n tensor."""
    places = _triangle("triu_indices", row, col, offset, False).astype(
        _dtypes.as_dtype(dtype).numpy
    )
    return finished(places, device=device)


# ---- shuffles ------------------------------------------------------------------------------


def pixel_shuffle(input: Value, upscale_factor: int) -> Value:
    """(..., C r^2, H, W) to (..., C, H r, W r): channels become pixels. r: ``upscale_factor``."""
    shape, r = input._array.shape, upscale_factor
    if len(shape) < 3:
        raise RuntimeError(
            "pixel_shuffle expects input to have at least 3 dimensions, but got input with "
            f"{len(shape)} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {r}")
    *lead, c, h, w = shape
    if c % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square "
            f"of upscale_factor, but input.size(-3)={c} is not divisible by {r * r}"
        )
    n = len(lead)
    x = input.reshape(*lead, c // (r * r), r, r, h, w)
    x = x.permute(*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return x.reshape(*lead, c // (r * r), h * r, w * r)


def pixel_unshuffle(input: Value, downscale_factor: int) -> Value:
    """(..., C, H r, W r) to (..., C r^2, H, W): pixels become channels. r: ``downscale_factor``."""
    shape, r = input._array.shape, downscale_factor
    if len(shape) < 3:
        raise RuntimeError(
            "pixel_unshuffle expects input to have at least 3 dimensions, but got input with "
            f"{len(shape)} dimension(s)"
        )
    if r <= 0:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    *lead, c, h, w = shape
    for what, size in (("height", h), ("width", w)):
        if size % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {what} to be divisible by downscale_factor, but "
                f"{size} is not divisible by {r}"
            )
    n = len(lead)
    x = input.reshape(*lead, c, h // r, r, w // r, r)
    x = x.permute(*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return x.reshape(*lead, c * r * r, h // r, w // r)


def channel_shuffle(input: Value, groups: int) -> Value:
    """(N, C, ...) with its channels dealt out: channel k of group g becomes k groups + g."""
    shape = input._array.shape
    if len(shape) < 3:
        raise RuntimeError(
            f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(shape)}"
        )
    if groups <= 0:
        raise RuntimeError(
            f"Number of groups to divide channels in must be positive. Value of groups:{groups}"
        )
    n, c, *rest = shape
    if c % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {c} channels and {groups} groups."
        )
    x = input.reshape(n, groups, c // groups, *rest).transpose(1, 2)
    return x.reshape(shape)


__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "broadcast_shapes",
    "broadcast_tensors", "cartesian_prod", "channel_shuffle", "column_stack", "combinations",
    "dstack", "hstack", "is_nonzero", "is_same_size", "meshgrid", "pixel_shuffle",
    "pixel_unshuffle", "row_stack", "tril_indices", "triu_indices", "vstack",
]  # fmt: skip
