"""Distances and similarities of vectors, and normalisation by a norm or by neighbours."""

from __future__ import annotations

import numpy as np

from .._dtypes import FLOATING
from .._shapes import broadcast
from ..core.modes import hook
from ..core.mutation import write_out
from ..core.op import define
from ..core.promotion import result_type, widened
from ..core.value import Value, constant
from ..ops._arguments import check_tensor
from ..ops.norms import vector_norm
from ..ops.padding import constant_pad_nd

_MANY = 25  # rows from which euclidean distances are computed by a product


def normalize(
    input: Value, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Value | None = None
) -> Value:
    """``input / max(norm, eps)`` with the p-norm along ``dim``."""
    if out is not None:
        return write_out(out, normalize(input, p, dim, eps), "normalize")
    return input / vector_norm(input, p, dim, True).clamp(min=eps).expand(input.shape)


def norm_except_dim(v: Value, pow: int = 2, dim: int = 0) -> Value:
    """The norms of the slices of ``v`` along ``dim``, which keeps its place; -1: of all of it."""
    if dim == -1:
        return vector_norm(v, pow)
    others = tuple(d for d in range(v.dim()) if d != dim)
    return vector_norm(v, pow, others, True) if others else v.abs()


def _bounded_norm(x: Value, dim: int, eps: float) -> Value:
    """The norm along ``dim``, at least ``eps``; its gradient is that of the norm."""
    norm = vector_norm(x, 2, dim, True)
    if hook.active is not None or (norm._array < eps).any():
        norm = norm + (eps - norm.detach()).clamp(min=0)
    return norm


def cosine_similarity(x1: Value, x2: Value, dim: int = 1, eps: float = 1e-8) -> Value:
    """``x1 . x2 / (max(|x1|, eps) * max(|x2|, eps))`` along ``dim``; operands broadcast."""
    check_tensor("cosine_similarity", x1, "x1")
    check_tensor("cosine_similarity", x2, "x2")
    d = result_type(x1, x2)
    if d.category < FLOATING:
        raise RuntimeError(
            f"expected common dtype to be floating point, yet common dtype is {d.legacy_name}"
        )
    shape = broadcast(x1._array.shape, x2._array.shape)
    x1, x2 = x1.to(d).expand(shape), x2.to(d).expand(shape)
    return ((x1 / _bounded_norm(x1, dim, eps)) * (x2 / _bounded_norm(x2, dim, eps))).sum(dim)


def pairwise_distance(
    x1: Value, x2: Value, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Value:
    """The p-norm of ``x1 - x2 + eps`` over the last dimension; operands broadcast."""
    return vector_norm(x1 - x2 + eps, p, -1, keepdim)


def _norm(difference: Value, p: float) -> Value:
    """The p-norm over the last dimension; 0 where that is empty."""
    if not difference.shape[-1]:
        return difference.sum(-1)
    distance = vector_norm(difference, p, -1)
    if p == 0:  # counts do not change with the operands: the gradient is 0, not missing
        distance = distance + difference.masked_fill(constant(np.array(True)), 0).sum(-1)
    return distance


def pdist(input: Value, p: float = 2) -> Value:
    """The p-norm distance of every pair of rows (i < j) of a matrix: (n, m) -> (n (n - 1) / 2)."""
    check_tensor("pdist", input)
    if input.dim() != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.dim()}D")
    if not input.is_floating_point():
        raise RuntimeError("pdist only supports floating-point dtypes")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    i, j = np.triu_indices(input.shape[0], 1)
    return _norm(input.index_select(0, constant(i)) - input.index_select(0, constant(j)), p)


def _euclidean(x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    squares = np.vecdot(x1, x1)[..., :, None] + np.vecdot(x2, x2)[..., None, :]
    squares -= 2 * np.matmul(x1, x2.swapaxes(-1, -2))
    return np.sqrt(np.maximum(squares, 0, out=squares), out=squares)


def _euclidean_vjp(g: Value, y: Value, x1: Value, x2: Value, needs: tuple) -> tuple:
    ratio = (g / y).masked_fill(y == 0, 0)
    into_x1 = into_x2 = None
    if needs[0]:
        into_x1 = x1 * ratio.sum(-1, True) - ratio @ x2
    if needs[1]:
        into_x2 = x2 * ratio.sum(-2).unsqueeze(-1) - ratio.transpose(-1, -2) @ x1
    return into_x1, into_x2


_cdist = define("_euclidean_dist", widened(_euclidean), _euclidean_vjp)


def cdist(
    x1: Value,
    x2: Value,
    p: float = 2.0,
    compute_mode: str = "use_mm_for_euclid_dist_if_necessary",
) -> Value:
    """The p-norm distance of every row of ``x1`` from every row of ``x2``: (..., n, k) and
    (..., m, k) -> (..., n, m).

    Many rows and p = 2: by a matrix product, unless ``compute_mode`` is
    "donot_use_mm_for_euclid_dist".
    """
    if hook.active is not None:
        x1, x2 = hook.active.operands("cdist", (x1, x2))
    check_tensor("cdist", x1, "x1")
    check_tensor("cdist", x2, "x2")
    for x, what in ((x1, "X1"), (x2, "X2")):
        if x.dim() < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {what} got: {x.dim()}D")
        if not x.is_floating_point():
            raise RuntimeError(
                f"cdist only supports floating-point dtypes, {what} got: {x.dtype.legacy_name}"
            )
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}"
        )
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    modes = (
        "use_mm_for_euclid_dist_if_necessary",
        "use_mm_for_euclid_dist",
        "donot_use_mm_for_euclid_dist",
    )
    if compute_mode not in modes:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    d = result_type(x1, x2)
    x1, x2 = x1.to(d), x2.to(d)
    many = max(x1.shape[-2], x2.shape[-2]) > _MANY
    by_product = p == 2 and (compute_mode == modes[1] or (compute_mode == modes[0] and many))
    lead = np.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    if by_product:
        return _cdist(x1.expand(*lead, *x1.shape[-2:]), x2.expand(*lead, *x2.shape[-2:]))
    return _norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), p)


def local_response_norm(
    input: Value, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Value:
    """``input / (k + alpha * mean of squares of ``size`` neighbouring channels)^beta``.

    Source: Krizhevsky et al. 2012
    """
    dims = input.dim()
    if dims < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {dims} dimensions)")
    if not input.numel():
        return input
    channels = input.shape[1]
    squares = input * input
    borders = (0, 0) * (dims - 2) + (size // 2, (size - 1) // 2)
    padded = constant_pad_nd(squares, borders)
    total = padded.narrow(1, 0, channels)
    for i in range(1, size):
        total = total + padded.narrow(1, i, channels)
    mean = total / size if input.is_floating_point() else total.div(size, rounding_mode="trunc")
    return input / (mean * alpha + k).pow(beta)
