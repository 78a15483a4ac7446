"""Linear algebra on top of factorisations: pseudo-inverse, least squares, norms of matrices,
ranks, powers, low-rank approximations."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .. import _dtypes
from .._dtypes import dtype
from .._shapes import broadcast, numel, wrap_dim
from ..core import return_types
from ..core.modes import by_copy
from ..core.mutation import accepts_out
from ..core.op import define
from ..core.promotion import Number
from ..core.value import Value, fails, reading, wrap
from ..ops import _matrix_arrays as arrays
from ..ops._arguments import check_tensor
from ..ops.factorisations import check_lu, lu_factor_op, qr_op
from ..ops.norms import vector_norm
from ..ops.solving import (
    check_floating,
    check_matrix,
    identity,
    inv,
    inv_ex_op,
    mh,
    solve,
)
from ..ops.spectra import eigh_arrays, eigvalsh, linalg_svd, svd_arrays, svdvals

ndarray = np.ndarray

# ---- pseudo-inverse ------------------------------------------------------------------------


def _pinv(a: ndarray, atol: ndarray, rtol: ndarray, hermitian: bool) -> ndarray:
    if hermitian:
        s, u = eigh_arrays(a, "L")
        vh, size = arrays.adjoint(u), np.abs(s)
    else:
        u, s, vh = svd_arrays(a, False)
        size = s
    top = size.max(-1, initial=0)
    keep = size > np.maximum(atol, rtol * top)[..., None].astype(size.dtype)
    with np.errstate(divide="ignore"):
        inverse = np.where(keep, 1 / s, 0).astype(s.dtype)
    return np.matmul(arrays.adjoint(vh) * inverse[..., None, :], arrays.adjoint(u))


def _pinv_vjp(g: Value, y: Value, a: Value) -> Value:
    # Golub and Pereyra, The differentiation of pseudo-inverses (1973), equation 4.12.
    yh, gh = mh(y), mh(g)
    ga = (gh - a @ (y @ gh)) @ (y @ yh) + (yh @ y) @ (gh - (gh @ y) @ a) - yh @ g @ yh
    return ga.sum_to_size(a._array.shape)


pinv_op = define("linalg_pinv", _pinv, {"a": _pinv_vjp})


def _tolerances(
    name: str, a: Value, atol: Number | Value | None, rtol: Number | Value | None
) -> tuple[ndarray, ndarray]:
    """Absolute and relative tolerance; the relative one is ``max(m, n) eps`` unless either is
    given."""
    real = a.dtype.to_real().numpy
    for v, label in ((atol, "atol"), (rtol, "rtol")):
        if isinstance(v, Value) and type(v._array) is not ndarray:
            raise RuntimeError(f"vmap: {name} takes no {label} that differs between examples")
        if isinstance(v, Value) and v._array.dtype.kind == "c":
            raise RuntimeError(
                f"{name}: {label} tensor of complex type is not supported. Got {v.dtype!r}"
            )
    default = max(a._array.shape[-2:]) * np.finfo(real).eps
    absolute = np.asarray(atol._array if isinstance(atol, Value) else atol or 0.0, np.float64)
    if rtol is None:
        relative = np.where(absolute > 0, 0.0, default)
    else:
        relative = np.asarray(rtol._array if isinstance(rtol, Value) else rtol, np.float64)
    return absolute, relative


@accepts_out
@by_copy
def pinv(
    A: Value,
    rcond: Number | Value | None = None,
    hermitian: bool = False,
    *,
    atol: Number | Value | None = None,
    rtol: Number | Value | None = None,
) -> Value:
    """The pseudo-inverse: singular values up to ``max(atol, rtol * largest)`` count as zero.

    ``rcond`` is the old name of ``rtol``; ``hermitian`` matrices take fewer operations.
    """
    check_tensor("linalg.pinv", A, "A")
    d = A.dtype
    if A._array.ndim < 2 or d.category < _dtypes.FLOATING or d.itemsize < 4:
        raise RuntimeError(
            f"linalg.pinv({d.legacy_name}{{{list(A._array.shape)}}}): expected a tensor with 2 or "
            "more dimensions of float, double, cfloat or cdouble types"
        )
    if hermitian:
        check_matrix("linalg.pinv", A, square=True)
    absolute, relative = _tolerances(
        "torch.linalg.pinv", A, atol, rcond if rcond is not None else rtol
    )
    return pinv_op(A, absolute, relative, hermitian)


def pinverse(input: Value, rcond: float = 1e-15) -> Value:
    """The pseudo-inverse; singular values up to ``rcond * largest`` count as zero."""
    return pinv(input, rcond)


# ---- least squares -------------------------------------------------------------------------

_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


def _lstsq(a: ndarray, b: ndarray, rcond: float) -> tuple[ndarray, ndarray, ndarray]:
    """The solution of least norm, the rank and the singular values."""
    u, s, vh = svd_arrays(a, False)
    keep = s > rcond * s.max(-1, initial=0, keepdims=True)
    with np.errstate(divide="ignore"):
        inverse = np.where(keep, 1 / s, 0).astype(s.dtype)
    x = np.matmul(arrays.adjoint(vh), inverse[..., None] * np.matmul(arrays.adjoint(u), b))
    return x, keep.sum(-1), s


def _lstsq_vjp(g: list, a: Value, b: Value, rcond: float, needs: tuple) -> list:
    relative = np.asarray(rcond, np.float64)
    gx = g[0]
    ga = gb = None
    if needs[1]:
        gb = (mh(pinv_op(a, np.zeros(()), relative, False)) @ gx).sum_to_size(b._array.shape)
    if needs[0]:
        p = pinv_op(a, np.zeros(()), relative, False)
        ga = _pinv_vjp(gx @ mh(b), p, a)
    return [ga, gb]


lstsq_op = define("linalg_lstsq", _lstsq, _lstsq_vjp, differentiable=(0,))


def lstsq(
    A: Value,
    B: Value,
    rcond: float | None = None,
    *,
    driver: str | None = None,
    out: tuple | None = None,
) -> return_types.linalg_lstsq:
    """X that makes ``|A X - B|`` least; of several, the shortest.

    Also the residuals' squares (where A has more rows than columns and full rank, and not for
    driver "gelsy"), the rank (not for "gels") and the singular values ("gelsd", "gelss").
    Every driver computes by singular values.
    """
    name = "torch.linalg.lstsq"
    check_tensor(name, A, "input")
    check_tensor(name, B, "other")
    a, b = A._array.shape, B._array.shape
    if len(a) < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if not b:
        raise RuntimeError(f"{name}: other must have at least 1 dimension.")
    if A.dtype is not B.dtype:
        raise RuntimeError(
            f"{name}: Expected input and other to have the same dtype, but got input's dtype "
            f"{A.dtype.legacy_name} and other's dtype {B.dtype.legacy_name}"
        )
    if driver is None:
        driver = "gelsy"
    elif driver not in _DRIVERS:
        raise RuntimeError(
            f"{name}: parameter `driver` should be one of ({', '.join(_DRIVERS)})\n  got {driver!r}"
        )
    d = A.dtype
    if d.category < _dtypes.FLOATING or d.itemsize < 4:
        raise RuntimeError("This function doesn't handle types other than float and double")
    vector = len(a) - 1 == len(b) and a[:-1] == b
    if vector:
        B = B.unsqueeze(-1)
    elif len(a) - len(b) > 1 or len(b) < 2:
        raise RuntimeError(
            f"{name}: input.dim() must be greater or equal to other.dim() and (input.dim() - "
            f"other.dim()) <= 1\n  got shapes {a} and {b}"
        )
    if a[-2] != B._array.shape[-2]:
        raise RuntimeError(
            f"{name}: input.size(-{1 if vector else 2}) should match other.size(-"
            f"{1 if vector else 2})"
        )
    m, n = a[-2:]
    batch = broadcast(a[:-2], B._array.shape[:-2])
    if rcond is None:
        rcond = max(m, n) * float(np.finfo(d.to_real().numpy).eps)
    if a[:-2] != batch:
        A = A.expand(*batch, m, n)
    if B._array.shape[:-2] != batch:
        B = B.expand(*batch, *B._array.shape[-2:])
    x, rank, values = lstsq_op(A, B, rcond)
    residuals = A.new_empty(0, dtype=d.to_real()).detach()
    reading(rank, "linalg.lstsq")
    full = not rank._array.size or int(rank._array.min()) == n
    if m > n and driver != "gelsy" and full:
        off = A @ x - B
        residuals = (off * off).sum(-2) if d.is_floating_point else (off.abs() ** 2).sum(-2)
    if vector:
        x = x.squeeze(-1)
        residuals = residuals.squeeze(-1) if residuals._array.ndim > 1 else residuals
    if driver == "gels":
        rank = rank.new_empty(0)
    if driver in ("gels", "gelsy"):
        values = values.new_empty(0)
    results = (x, residuals, rank, values)
    if out is not None:
        for target, r in zip(out, results, strict=True):
            target.resize_(r._array.shape).copy_(r)
        results = tuple(out)
    return return_types.linalg_lstsq(results)


# ---- norms of matrices ---------------------------------------------------------------------


def _largest(x: Value, dim: int, keepdim: bool) -> Value:
    """The largest element over ``dim``; 0 of none, since no norm is smaller."""
    return x.amax(dim, keepdim) if x._array.shape[dim] else x.sum(dim, keepdim)


@accepts_out
def matrix_norm(
    A: Value,
    ord: Number | str = "fro",
    dim: Sequence[int] = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: dtype | None = None,
) -> Value:
    """The norm of the matrices in the two dimensions ``dim``.

    "fro" (root of the sum of squares), "nuc" (sum of singular values), 2 and -2 (largest and
    smallest singular value), inf and -inf (of row sums of magnitudes), 1 and -1 (of column sums).
    """
    name = "linalg.matrix_norm"
    check_matrix(name, A)
    d = A.dtype
    if d.category < _dtypes.FLOATING:
        check_floating(name, d)
    if isinstance(dim, int) or len(dim) != 2:
        given = dim if isinstance(dim, int) else " ".join(map(str, dim))
        raise RuntimeError(f"{name}: dim must be a 2-tuple. Got {given}")
    n = A._array.ndim
    i, j = wrap_dim(dim[0], n), wrap_dim(dim[1], n)
    if i == j:
        raise RuntimeError(f"{name}: dims must be different. Got ({dim[0]}, {dim[1]})")
    if isinstance(ord, str):
        if ord not in ("fro", "nuc"):
            raise RuntimeError(f"{name}: Order {ord} not supported.")
    elif abs(ord) not in (1, 2, math.inf):
        raise RuntimeError(f"{name}: Order {ord} not supported.")
    if ord == "fro":
        return vector_norm(A, 2, (i, j), keepdim, dtype=dtype)
    if dtype is not None:
        A = A.to(dtype)
    if ord == "nuc" or abs(ord) == 2:
        s = svdvals(A.movedim((i, j), (-2, -1)))
        if ord == "nuc":
            r = s.sum(-1)
        else:
            r = _largest(s, -1, False) if ord > 0 else s.amin(-1)
        if keepdim:
            for k in sorted((i, j)):
                r = r.unsqueeze(k)
        return r
    summed, best = (i, j) if abs(ord) == 1 else (j, i)
    sums = vector_norm(A, 1, summed, True)
    r = _largest(sums, best, True) if ord > 0 else sums.amin(best, True)
    return r if keepdim else r.squeeze((i, j))


@accepts_out
def linalg_norm(
    A: Value,
    ord: Number | str | None = None,
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: dtype | None = None,
) -> Value:
    """A norm of vectors or of matrices: of all elements without ``ord`` and ``dim``; of matrices
    where ``dim`` has two entries or, without it, the tensor two dimensions; else of vectors."""
    check_tensor("linalg.norm", A, "A")
    n = A._array.ndim
    if dim is not None:
        dims = (dim,) if isinstance(dim, int) else tuple(dim)
        if len(dims) not in (1, 2):
            raise RuntimeError(
                f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}"
            )
    elif ord is not None:
        if n not in (1, 2):
            raise RuntimeError(
                "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. "
                f"Got {n}D."
            )
        dims = None
    else:
        return vector_norm(A, 2, None, keepdim, dtype=dtype)
    matrices = n == 2 if dims is None else len(dims) == 2
    if ord is not None and (matrices or isinstance(ord, str)):
        return matrix_norm(A, ord, (-2, -1) if dims is None else dims, keepdim, dtype=dtype)
    return vector_norm(A, 2 if ord is None else ord, dims, keepdim, dtype=dtype)


@accepts_out
def cond(A: Value, p: Number | str | None = None) -> Value:
    """The condition number: ``norm(A) norm(A^-1)``, for p of None, 2, -2 from singular values."""
    check_tensor("linalg.cond", A, "A")
    if A._array.ndim < 2:
        raise RuntimeError("linalg.cond: The input tensor must have at least 2 dimensions.")
    if p is None or (not isinstance(p, str) and abs(p) == 2):
        if not A._array.size:
            return A.new_zeros(A._array.shape[:-2], dtype=A.dtype.to_real())
        s = svdvals(A)
        high, low = s.select(-1, 0), s.select(-1, -1)
        return low / high if p == -2 else high / low
    if (p not in ("fro", "nuc")) if isinstance(p, str) else (abs(p) not in (1, math.inf)):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    check_matrix("linalg.cond", A, square=True)
    check_floating("linalg.cond", A.dtype, "linalg_cond")
    if not A._array.size:
        return A.new_zeros(A._array.shape[:-2], dtype=A.dtype.to_real())
    inverse, info = inv_ex_op(A)
    if not fails(info):
        return matrix_norm(A, p) * matrix_norm(inverse, p)
    singular = info != 0
    inverse = inverse.masked_fill(singular[..., None, None], 0)
    return (matrix_norm(A, p) * matrix_norm(inverse, p)).masked_fill(singular, math.inf)


@accepts_out
@by_copy
def matrix_rank(
    A: Value,
    tol: Number | Value | None = None,
    hermitian: bool = False,
    *,
    atol: Number | Value | None = None,
    rtol: Number | Value | None = None,
) -> Value:
    """The number of singular values above ``max(atol, rtol * largest)``; ``tol`` is the old name
    of ``atol`` with ``rtol=0``."""
    check_matrix("torch.linalg.matrix_rank", A, argument="input", square=hermitian)
    d = A.dtype
    if d.category < _dtypes.FLOATING or d.itemsize < 4:
        raise RuntimeError("This function doesn't handle types other than float and double")
    if tol is not None:
        atol, rtol = tol, 0.0
    A = A.detach()
    absolute, relative = _tolerances("torch.linalg.matrix_rank", A, atol, rtol)
    s = np.abs((eigvalsh(A) if hermitian else svdvals(A))._array)
    limit = np.maximum(absolute, relative * s.max(-1, initial=0))[..., None].astype(s.dtype)
    return wrap(np.asarray((s > limit).sum(-1)))


# ---- powers and reshaped systems -----------------------------------------------------------


@accepts_out
def matrix_power(A: Value, n: int) -> Value:
    """Square matrices multiplied with themselves ``n`` times; a negative ``n`` inverts them."""
    name = "linalg.matrix_power"
    check_matrix(name, A, square=True)
    if n == 0:
        size = A._array.shape[-1]  # the triangle above all diagonals: zeros, with a gradient
        return A.triu(size) + identity(A)
    if n < 0:
        A, n = inv(A), -n
    if n == 1:
        return A.clone()
    result = None
    while True:
        if n & 1:
            result = A if result is None else result @ A
        n >>= 1
        if not n:
            return result
        A = A @ A


@accepts_out
def tensorinv(A: Value, ind: int = 2) -> Value:
    """The inverse of ``x -> tensordot(A, x, A.ndim - ind)``."""
    check_tensor("linalg.tensorinv", A, "A")
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    s = A._array.shape
    rows, columns = s[:ind], s[ind:]
    if numel(rows) != numel(columns):
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            f"prod(self.shape[:ind]), but got {numel(columns)} != {numel(rows)}"
        )
    flat = A.reshape(numel(rows), numel(columns))
    return inv(flat).reshape(*columns, *rows)


@accepts_out
def tensorsolve(A: Value, B: Value, dims: Sequence[int] | None = None) -> Value:
    """X of ``tensordot(A, X, X.ndim) = B``; ``dims`` of A are moved to the end first."""
    check_tensor("linalg.tensorsolve", A, "A")
    check_tensor("linalg.tensorsolve", B, "B")
    if dims is not None:
        dims = tuple(dims)
        A = A.movedim(dims, tuple(range(A._array.ndim - len(dims), A._array.ndim)))
    columns = A._array.shape[B._array.ndim :]
    rows = numel(A._array.shape[: B._array.ndim])
    if numel(columns) != rows:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {numel(columns)} != {rows}"
        )
    x = solve(A.reshape(rows, rows), B.reshape(rows))
    return x.reshape(columns)


# ---- approximations of low rank ------------------------------------------------------------


def _range(A: Value, q: int, niter: int, M: Value | None) -> Value:
    """Orthonormal columns that approximately span the range of ``A - M``.

    Source: Halko, Martinsson and Tropp, Finding structure with randomness (2011), algorithm 4.4.
    """

    def times(x: Value) -> Value:
        return A @ x if M is None else A @ x - M @ x

    def adjoint_times(x: Value) -> Value:
        return mh(A) @ x if M is None else mh(A) @ x - mh(M) @ x

    start = A.new_empty((A._array.shape[-1], q)).detach().normal_()
    basis = qr_op(times(start), "reduced")[0]
    for _ in range(niter):
        basis = qr_op(adjoint_times(basis), "reduced")[0]
        basis = qr_op(times(basis), "reduced")[0]
    return basis


def svd_lowrank(
    A: Value, q: int | None = 6, niter: int | None = 2, M: Value | None = None
) -> tuple[Value, Value, Value]:
    """U, S, V of an approximation of rank ``q`` to ``A`` (to ``A - M``), by random projection."""
    check_tensor("svd_lowrank", A, "A")
    q = 6 if q is None else q
    m, n = A._array.shape[-2:]
    if M is not None:
        M = M.expand(*broadcast(M._array.shape, A._array.shape))
    flip = m < n
    if flip:
        A = mh(A)
        M = None if M is None else mh(M)
    basis = _range(A, q, niter, M)
    small = mh(basis) @ A
    if M is not None:
        small = small - mh(basis) @ M
    u, s, vh = linalg_svd(small, False)
    u, v = basis @ u, mh(vh)
    return (v, s, u) if flip else (u, s, v)


def pca_lowrank(
    A: Value, q: int | None = None, center: bool = True, niter: int = 2
) -> tuple[Value, Value, Value]:
    """U, S and V of ``svd_lowrank``, of ``A`` with the mean of its rows taken off if ``center``."""
    check_tensor("pca_lowrank", A, "A")
    m, n = A._array.shape[-2:]
    if q is None:
        q = min(6, m, n)
    elif not 0 <= q <= min(m, n):
        raise ValueError(
            f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}"
        )
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    if A.dtype.category < _dtypes.FLOATING:
        raise ValueError(f"pca_lowrank takes floating point tensors, got {A.dtype!r}")
    if center:
        A = A - A.mean(-2, keepdim=True)
    return svd_lowrank(A, q, niter)


def lu(
    A: Value, pivot: bool = True, get_infos: bool = False, out: tuple | None = None
) -> tuple[Value, ...]:
    """``linalg.lu_factor`` under its old name; ``get_infos`` adds the numbers of zero pivots."""
    check_lu("torch.lu", A)
    results = lu_factor_op(A, pivot)
    results = tuple(results) if get_infos else tuple(results[:2])
    if out is None:
        return results
    for target, r in zip(out, results, strict=True):
        target.resize_(r._array.shape).copy_(r)
    return tuple(out)


__all__ = [
    "lu", "matrix_power", "pca_lowrank", "pinverse", "svd_lowrank",
]  # fmt: skip
