"""Norms of vectors: ``(sum |x|^p)^(1/p)``, and the distance of two tensors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .. import _dtypes
from .._shapes import wrap_dims
from ..core.op import define
from ..core.promotion import Number
from ..core.value import Value
from ._reduce import add, kept_shape, reduced_dims, reduction, spread_parts, total

if TYPE_CHECKING:
    from .._dtypes import dtype
    from ._reduce import Dims

_PIECE = 8192  # elements whose squares BLAS adds up; the pieces are added in float64


def _euclidean_all(x: np.ndarray) -> np.ndarray:
    """The root of the sum of all squares of a contiguous real array."""
    x = x.reshape(-1)
    if x.size <= _PIECE:
        return np.sqrt(np.dot(x, x))
    whole = x.size - x.size % _PIECE
    pieces = x[:whole].reshape(-1, _PIECE)
    squares = np.empty(len(pieces), x.dtype)

    def part(start: int, stop: int) -> None:
        np.vecdot(pieces[start:stop], pieces[start:stop], out=squares[start:stop])

    spread_parts(part, len(pieces), x.size)
    rest = x[whole:]
    return np.sqrt(add(squares, 0, np.float64) + np.dot(rest, rest)).astype(x.dtype)


def _vector_norm(x: np.ndarray, p: float, dims: tuple[int, ...], keepdim: bool) -> np.ndarray:
    dt = _dtypes.from_numpy(x.dtype).to_real().numpy
    if (
        p == 2
        and len(dims) == x.ndim
        and x.dtype is dt
        and x.flags.c_contiguous
        and dt.itemsize > 2
    ):
        r = _euclidean_all(x)
        return r.reshape((1,) * x.ndim) if keepdim else r
    if dt.itemsize == 2:
        x = x.astype(np.float32)
    if p == 2 and dims == (x.ndim - 1,) and x.dtype.kind == "f" and 0 < x.shape[-1] <= _PIECE:
        r = np.sqrt(np.vecdot(x, x))
        return np.asarray(r[..., None] if keepdim else r).astype(dt, copy=False)
    a = np.asarray(np.abs(x))
    if p == math.inf:
        r = np.maximum.reduce(a, dims, keepdims=keepdim)
    elif p == -math.inf:
        r = np.minimum.reduce(a, dims, keepdims=keepdim)
    elif p == 0:
        r = add(a != 0, dims, a.dtype, None, keepdim)
    elif p == 1:
        r = total(a, dims, keepdim, a.dtype)
    elif p == 2:
        r = np.sqrt(total(np.square(a, a), dims, keepdim, a.dtype))
    else:
        r = total(np.power(a, a.dtype.type(p)), dims, keepdim, a.dtype) ** a.dtype.type(1 / p)
    return np.asarray(r).astype(dt, copy=False)


def _vector_norm_vjp(
    g: Value, x: Value, y: Value, p: float, dims: tuple[int, ...], keepdim: bool
) -> Value | None:
    if p == 0:
        return None  # a count
    if not keepdim:
        shape = kept_shape(x._array.shape, dims)
        g, y = g.reshape(shape), y.reshape(shape)
    if p == 1:
        return x.sgn() * g
    if p == 2:
        return x * (g / y).masked_fill(y == 0, 0)
    if math.isinf(p):
        best = x.abs() == y
        best = (best | ((x != x) & (y != y))).to(g.dtype)
        return x.sgn() * (g * best / best.sum(dims, True))
    scaled = x.sgn() * x.abs().pow(p - 1)
    if p < 2:
        scaled = scaled.masked_fill(x == 0, 0)
    return scaled * (g * y.pow(1 - p)).masked_fill(y == 0, 0)


vector_norm_op = define("linalg_vector_norm", _vector_norm, {"x": _vector_norm_vjp})


@reduction
def vector_norm(
    input: Value,
    ord: Number = 2,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: dtype | None = None,
) -> Value:
    """``(sum |x|^ord)^(1/ord)`` over ``dim``; inf and -inf give the largest and smallest ``|x|``,
    0 the number of elements that are not zero. Source: ``torch.linalg.vector_norm``."""
    d = input.dtype
    if d.category < _dtypes.FLOATING:
        raise RuntimeError(
            "linalg.vector_norm: Expected a floating point or complex tensor as input. "
            f"Got {d.legacy_name}\n  convert it with .float()"
        )
    if dtype is not None:
        if dtype.category < _dtypes.FLOATING or dtype.is_complex != d.is_complex:
            raise RuntimeError(
                "linalg.vector_norm: dtype should be floating point or complex like the input, "
                f"but got {dtype.legacy_name} for an input of {d.legacy_name}"
            )
        if _dtypes.promote_types(d, dtype) is not dtype:
            raise RuntimeError(
                f"linalg.vector_norm: the dtype of the input ({d.legacy_name}) should be "
                f"convertible without narrowing to the specified dtype ({dtype.legacy_name})"
            )
        input = input.to(dtype)
    x = input._array
    dims = reduced_dims(dim, x.ndim)
    if (ord < 0 or ord == math.inf) and 0 in [x.shape[i] for i in dims]:
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {ord} norm on an empty tensor because the "
            "operation does not have an identity"
        )
    return vector_norm_op(input, float(ord), dims, keepdim)


def _nuclear(input: Value, dim: Dims, keepdim: bool) -> Value:
    """The sum of the singular values of matrices in the two dimensions ``dim``."""
    ndim = input._array.ndim
    if dim is None and ndim != 2:
        raise RuntimeError(
            "norm(): the nuclear norm is that of matrices; "
            f"give dim=(rows, columns) for an input of {ndim} dimensions"
        )
    dims = wrap_dims((0, 1) if dim is None else dim, ndim)
    if len(dims) != 2:
        raise RuntimeError(
            f"linalg.matrix_norm: dim must be a 2-tuple. Got {' '.join(map(str, dims))}"
        )
    r = input.movedim(dims, (-2, -1)).svd()[1].sum(-1)
    return r.reshape(kept_shape(input._array.shape, dims)) if keepdim else r


@reduction
def norm(
    input: Value,
    p: float | str | None = "fro",
    dim: Dims = None,
    keepdim: bool = False,
    dtype: dtype | None = None,
) -> Value:
    """The norm ``(sum |x|^p)^(1/p)`` of all elements or over ``dim``; "fro" is p = 2, "nuc" the
    nuclear norm of matrices. ``torch.linalg.vector_norm`` and ``matrix_norm`` say which is meant.
    """
    if p == "nuc":
        return _nuclear(input if dtype is None else input.to(dtype), dim, keepdim)
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"linalg.matrix_norm: Order {p} not supported.")
    return vector_norm(input, 2 if p is None or p == "fro" else p, dim, keepdim, dtype=dtype)


def dist(input: Value, other: Value, p: Number = 2) -> Value:
    """The ``p``-norm of ``input - other``."""
    return vector_norm(input - other, p)


__all__ = ["dist", "norm"]
