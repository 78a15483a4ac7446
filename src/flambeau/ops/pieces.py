"""Pieces of a tensor, as views: slices, splits, diagonals, windows.

Their gradients are zeros with the gradient put in place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._shapes import wrap_dim
from ..core.op import define
from ..core.value import Value, offset_of, strided
from ..core.views import view as view_record
from ._arguments import check_tensor, dimension, integers
from .joining import cat_op, stack_op

ndarray = np.ndarray
ALL = slice(None)

# ---- pieces --------------------------------------------------------------------------------


def _place(x: ndarray, shape: tuple[int, ...], index: tuple) -> ndarray:
    out = np.zeros(shape, x.dtype)
    out[index] = x
    return out


placed = define("slice_backward", _place, {"x": lambda g, index: basic(g, index)})
"""placed(g, shape, index): zeros of ``shape`` with ``g`` at the basic index ``index``."""


def _piece(array: ndarray, index: tuple) -> ndarray:
    r = array[index]
    return r if r.__class__ is ndarray else array[(*index, ...)]


def _placed(g: Value, shape: tuple[int, ...], index: tuple) -> Value:
    return placed(g, shape, index)


_select = view_record("select", _piece, _placed)
_slice = view_record("slice", _piece, _placed)
basic = _slice


def select(input: Value, dim: int, index: int) -> Value:
    """The slice ``index`` of dimension ``dim``, without that dimension."""
    check_tensor("select", input)
    shape = input._array.shape
    if not shape:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    d = dimension("select", dim, len(shape))
    i = index if index.__class__ is int else index.__index__()
    n = shape[d]
    if not -n <= i < n:
        raise IndexError(
            f"select(): index {i} out of range for tensor of size {list(shape)} at dimension {d}"
        )
    return _select(input, (ALL,) * d + (i,))


def narrow(input: Value, dim: int, start: int | Value, length: int) -> Value:
    """Elements ``start`` to ``start + length`` of dimension ``dim``."""
    check_tensor("narrow", input)
    shape = input._array.shape
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if isinstance(start, Value) and (start._array.ndim or start._array.dtype.kind not in "iu"):
        raise RuntimeError("start must be an 0-dim integral Tensor.")
    start = start.__index__()
    length = length.__index__()
    d = dimension("narrow", dim, len(shape))
    n = shape[d]
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -n <= start <= n:
        raise IndexError(
            f"start out of range (expected to be in range of [{-n}, {n}], but got {start})"
        )
    if start < 0:
        start += n
    if start + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return _slice(input, (ALL,) * d + (slice(start, start + length),))


def slice_dim(
    input: Value, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Value:
    """``input[start:end:step]`` in dimension ``dim``."""
    shape = input._array.shape
    if not shape:
        raise RuntimeError("slice() cannot be applied to a 0-dim tensor.")
    d = dimension("slice", dim, len(shape))
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    return _slice(input, (ALL,) * d + (slice(start, end, step),))


# ---- splitting -----------------------------------------------------------------------------


def _filled(parts: list, shapes: Sequence[tuple[int, ...]]) -> list[Value]:
    some = next(p for p in parts if p is not None)
    return [some.new_zeros(s) if p is None else p for p, s in zip(parts, shapes)]


def _split_shapes(shape: tuple[int, ...], sizes: tuple[int, ...], dim: int) -> list[tuple]:
    return [(*shape[:dim], n, *shape[dim + 1 :]) for n in sizes]


def _split(x: ndarray, sizes: tuple[int, ...], dim: int) -> tuple[ndarray, ...]:
    lead = (ALL,) * dim
    parts = []
    start = 0
    for n in sizes:
        parts.append(x[(*lead, slice(start, start + n))])
        start += n
    return tuple(parts)


def _split_vjp(g: list, x_shape: tuple, sizes: tuple, dim: int) -> tuple[Value]:
    return (cat_op(tuple(_filled(g, _split_shapes(x_shape, sizes, dim))), dim),)


def _unbind_vjp(g: list, x_shape: tuple, dim: int) -> tuple[Value]:
    shape = (*x_shape[:dim], *x_shape[dim + 1 :])
    return (stack_op(tuple(_filled(g, [shape] * len(g))), dim),)


_split_op = define("split", _split, _split_vjp, view=True)
_split_with_sizes = define("split_with_sizes", _split, _split_vjp, view=True)
_unsafe_split = define("unsafe_split", _split, _split_vjp)
_unbind = define(
    "unbind",
    lambda x, dim: tuple([x[(ALL,) * dim + (i, ...)] for i in range(x.shape[dim])]),
    _unbind_vjp,
    view=True,
)


def unbind(input: Value, dim: int = 0) -> tuple[Value, ...]:
    """The slices of dimension ``dim``, each without that dimension."""
    check_tensor("unbind", input)
    shape = input._array.shape
    if not shape:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    d = dimension("unbind", dim, len(shape))
    return _unbind(input, d) if shape[d] else ()


def _pieces(n: int, size: int) -> tuple[int, ...]:
    if n == 0 or size == 0:
        return (0,)
    return (size,) * (n // size) + ((n % size,) if n % size else ())


def split(
    tensor: Value, split_size_or_sections: int | Sequence[int], dim: int = 0
) -> tuple[Value, ...]:
    """Views of consecutive pieces of dimension ``dim``: of one size (the last may be smaller), or
    of the sizes given, which must add up to the whole."""
    check_tensor("split", tensor, "tensor")
    shape = tensor._array.shape
    size = split_size_or_sections
    if not isinstance(size, int) and not isinstance(size, Value):
        return split_with_sizes(tensor, size, dim)
    size = size.__index__()
    if not shape:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    d = dimension("split", dim, len(shape))
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    if size == 0 and shape[d]:
        raise RuntimeError(
            f"split_size can only be 0 if dimension size is 0, but got dimension size of {shape[d]}"
        )
    return _split_op(tensor, _pieces(shape[d], size), d)


def split_with_sizes(input: Value, split_sizes: Sequence[int], dim: int = 0) -> tuple[Value, ...]:
    """Views of consecutive pieces of dimension ``dim``, of the sizes given."""
    shape = input._array.shape
    if not shape:
        raise RuntimeError("split_with_sizes expects at least a 1-dimensional tensor")
    sizes = integers("split_with_sizes", (split_sizes,))
    d = dimension("split_with_sizes", dim, len(shape))
    if any(n < 0 for n in sizes):
        raise RuntimeError(
            "split_with_sizes expects split_sizes have only non-negative entries, but got "
            f"split_sizes={list(sizes)}"
        )
    if sum(sizes) != shape[d]:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {shape[d]} (input tensor's "
            f"size at dimension {d}), but got split_sizes={list(sizes)}\n"
            f"  they sum to {sum(sizes)}"
        )
    return _split_with_sizes(input, sizes, d) if sizes else ()


def _chunks(name: str, input: Value, chunks: int, dim: int) -> tuple[int, tuple[int, ...]]:
    shape = input._array.shape
    if not shape:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    d = dimension(name, dim, len(shape))
    n = shape[d]
    return d, ((0,) * chunks if n == 0 else _pieces(n, -(-n // chunks)))


def chunk(input: Value, chunks: int, dim: int = 0) -> tuple[Value, ...]:
    """At most ``chunks`` pieces of dimension ``dim``, of size ceil(n / chunks) but the last."""
    check_tensor("chunk", input)
    d, sizes = _chunks("chunk", input, chunks, dim)
    return _split_op(input, sizes, d)


def unsafe_chunk(input: Value, chunks: int, dim: int = 0) -> tuple[Value, ...]:
    """``chunk`` whose results autograd takes for tensors of their own."""
    d, sizes = _chunks("unsafe_chunk", input, chunks, dim)
    return _unsafe_split(input, sizes, d)


def unsafe_split(tensor: Value, split_size: int, dim: int = 0) -> tuple[Value, ...]:
    """``split`` whose results autograd takes for tensors of their own."""
    d = dimension("unsafe_split", dim, tensor._array.ndim)
    return _unsafe_split(tensor, _pieces(tensor._array.shape[d], split_size), d)


def unsafe_split_with_sizes(
    input: Value, split_sizes: Sequence[int], dim: int = 0
) -> tuple[Value, ...]:
    """``split_with_sizes`` whose results autograd takes for tensors of their own."""
    d = dimension("unsafe_split_with_sizes", dim, input._array.ndim)
    return _unsafe_split(input, tuple(split_sizes), d)


def tensor_split(
    input: Value,
    indices_or_sections: int | Sequence[int] | Value,
    dim: int = 0,
) -> tuple[Value, ...]:
    """Views of n pieces of dimension ``dim`` as equal as can be, or cut at the indices given."""
    shape = input._array.shape
    if not shape:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    d = dimension("tensor_split", dim, len(shape))
    cuts = indices_or_sections
    if isinstance(cuts, Value):
        if cuts._array.dtype != np.int64:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to have dtype of long, but got "
                f"{cuts.dtype.legacy_name}"
            )
        if cuts._array.ndim > 1:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or "
                f"one-dimensional tensor, but got a tensor with {cuts._array.ndim} dims"
            )
        cuts = cuts.tolist()
    n = shape[d]
    if isinstance(cuts, int):
        if cuts <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {cuts}")
        small, extra = divmod(n, cuts)
        edges = [i * small + min(i, extra) for i in range(cuts + 1)]
        ranges = list(zip(edges[:-1], edges[1:]))
    else:
        edges = [0, *integers("tensor_split", (cuts,)), None]
        ranges = list(zip(edges[:-1], edges[1:]))
    lead = (ALL,) * d
    return tuple([_slice(input, (*lead, slice(a, b))) for a, b in ranges])


def _split_along(name: str, input: Value, cuts: object, dim: int) -> tuple[Value, ...]:
    if isinstance(cuts, int):
        n = input._array.shape[dim]
        if cuts <= 0 or n % cuts:
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {dim}, but the size of the "
                f"dimension {n} is not divisible by the split_size {cuts}!"
            )
    return tensor_split(input, cuts, dim)


def hsplit(input: Value, indices_or_sections: int | Sequence[int]) -> tuple[Value, ...]:
    """Pieces of the second dimension (of the first, for a vector)."""
    n = input._array.ndim
    if n < 1:
        raise RuntimeError(
            "torch.hsplit requires a tensor with at least 1 dimension, but got a tensor with 0 "
            "dimensions!"
        )
    return _split_along("hsplit", input, indices_or_sections, 0 if n == 1 else 1)


def vsplit(input: Value, indices_or_sections: int | Sequence[int]) -> tuple[Value, ...]:
    """Pieces of the first dimension of a tensor of two or more."""
    n = input._array.ndim
    if n < 2:
        raise RuntimeError(
            f"torch.vsplit requires a tensor with at least 2 dimension, but got a tensor with {n} "
            "dimensions!"
        )
    return _split_along("vsplit", input, indices_or_sections, 0)


def dsplit(input: Value, indices_or_sections: int | Sequence[int]) -> tuple[Value, ...]:
    """Pieces of the third dimension of a tensor of three or more."""
    n = input._array.ndim
    if n < 3:
        raise RuntimeError(
            f"torch.dsplit requires a tensor with at least 3 dimension, but got a tensor with {n} "
            "dimensions!"
        )
    return _split_along("dsplit", input, indices_or_sections, 2)


# ---- diagonals and windows -----------------------------------------------------------------


def _diagonal_vjp(g: Value, shape: tuple, offset: int, i: int, j: int) -> Value:
    return diagonal_backward(g, shape, offset, i, j)


def _placed_diagonal(x: ndarray, shape: tuple, offset: int, i: int, j: int) -> ndarray:
    out = np.zeros(shape, x.dtype)
    diagonal_of(out, offset, i, j)[...] = x
    return out


def _inside(array: ndarray, shape: Sequence[int], strides: Sequence[int], start: int) -> ndarray:
    """Elements of ``array`` seen with another shape and strides; ``start``: bytes before them."""
    if array.flags.c_contiguous:
        return ndarray(shape, array.dtype, array, start, strides)
    return strided(array, shape, strides, offset_of(array) + start)


def diagonal_of(array: ndarray, offset: int, i: int, j: int) -> ndarray:
    shape, strides = array.shape, array.strides
    n = max(0, min(shape[i] + min(offset, 0), shape[j] - max(offset, 0)))
    rest = [d for d in range(len(shape)) if d not in (i, j)]
    start = max(-offset, 0) * strides[i] + max(offset, 0) * strides[j] if n else 0
    return _inside(
        array,
        (*[shape[d] for d in rest], n),
        (*[strides[d] for d in rest], strides[i] + strides[j]),
        start,
    )


_diagonal = view_record("diagonal", diagonal_of, _diagonal_vjp)
diagonal_backward = define(
    "diagonal_backward",
    _placed_diagonal,
    {"x": lambda g, offset, i, j: _diagonal(g, offset, i, j)},
)


def diagonal(input: Value, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Value:
    """The diagonal of dimensions ``dim1`` and ``dim2`` as the last dimension of a view.

    ``offset``: which one; above the main diagonal if positive.
    """
    check_tensor("diagonal", input)
    n = input._array.ndim
    i, j = wrap_dim(dim1, n), wrap_dim(dim2, n)
    if i == j:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return _diagonal(input, offset, i, j)


def _windows(array: ndarray, dim: int, size: int, step: int) -> ndarray:
    if not array.ndim:
        return _inside(array, (size,), (array.itemsize,), 0)
    shape, strides = array.shape, array.strides
    count = (shape[dim] - size) // step + 1
    return _inside(
        array,
        (*shape[:dim], count, *shape[dim + 1 :], size),
        (*strides[:dim], strides[dim] * step, *strides[dim + 1 :], strides[dim]),
        0,
    )


def _unwindowed(x: ndarray, shape: tuple, dim: int, size: int, step: int) -> ndarray:
    out = np.zeros(shape, x.dtype)
    if not shape:
        return out + x.sum(dtype=x.dtype)
    lead = (ALL,) * dim
    if size <= x.shape[dim]:  # one pass per place in a window, all windows at once
        for k in range(size):
            out[(*lead, slice(k, k + step * (x.shape[dim] - 1) + 1, step))] += x[..., k]
    else:
        last = np.moveaxis(x, -1, dim + 1)
        for w in range(x.shape[dim]):
            out[(*lead, slice(w * step, w * step + size))] += last[(*lead, w)]
    return out


unfold_backward = define(
    "unfold_backward",
    _unwindowed,
    {"x": lambda g, dim, size, step: unfold(g, dim, size, step)},
)
_unfold = view_record(
    "unfold", _windows, lambda g, shape, d, n, step: unfold_backward(g, shape, d, n, step)
)


def unfold(self: Value, dimension: int, size: int, step: int) -> Value:
    """All windows of ``size`` elements along a dimension, ``step`` apart, as a last dimension."""
    shape = self._array.shape
    d = wrap_dim(dimension, len(shape))
    n = shape[d] if shape else 1
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > n:
        raise RuntimeError(f"maximum size for tensor at dimension {d} is {n} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    return _unfold(self, d, size, step)


__all__ = [
    "chunk", "diagonal", "dsplit", "hsplit", "narrow", "select", "split", "split_with_sizes",
    "tensor_split", "unbind", "unsafe_chunk", "unsafe_split", "unsafe_split_with_sizes", "vsplit",
]  # fmt: skip
