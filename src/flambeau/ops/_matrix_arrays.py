"""What NumPy's LAPACK leaves out, on arrays: LU factors, triangular systems, exponentials, and
which matrix of a batch a factorisation failed on."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

ndarray = np.ndarray
LinAlgError = np.linalg.LinAlgError
_BLOCK = 32


def adjoint(a: ndarray) -> ndarray:
    """The conjugate transpose of every matrix."""
    t = a.swapaxes(-1, -2)
    return t.conj() if a.dtype.kind == "c" else t


def eye_like(a: ndarray, n: int) -> ndarray:
    """Identity matrices of size ``n``, one for each matrix of ``a``."""
    return np.broadcast_to(np.eye(n, dtype=a.dtype), (*a.shape[:-2], n, n)).copy()


def flat(a: ndarray, kept: int) -> ndarray:
    """``a`` with one batch dimension before its last ``kept`` ones."""
    lead = a.ndim - kept
    return a.reshape((math.prod(a.shape[:lead]), *a.shape[lead:]))


# ---- triangular systems --------------------------------------------------------------------


def solve_triangular(a: ndarray, b: ndarray, upper: bool, unit: bool) -> ndarray:
    """X of A X = B for triangular A (..., n, n) and B (..., n, k); the batches are alike.

    The other triangle is not read, nor is the diagonal if ``unit``. Zeros on the diagonal give
    inf and nan, as division does. By blocks: half of the rows, then what they leave of the rest.
    """
    if not upper:  # upside down it is an upper triangular system
        turned = solve_triangular(a[..., ::-1, ::-1], b[..., ::-1, :], True, unit)
        return np.ascontiguousarray(turned[..., ::-1, :])  # tensors have no negative strides
    n = a.shape[-1]
    if n > _BLOCK:
        h = n // 2
        low = solve_triangular(a[..., h:, h:], b[..., h:, :], True, unit)
        rest = b[..., :h, :] - np.matmul(a[..., :h, h:], low)
        return np.concatenate((solve_triangular(a[..., :h, :h], rest, True, unit), low), -2)
    a = np.triu(a)
    if unit:
        a[..., range(n), range(n)] = 1
    try:
        # Elimination of an upper triangle has nothing to do: this is back substitution.
        return np.linalg.solve(a, b)
    except LinAlgError:
        return _back_substitution(a, b)


def _back_substitution(a: ndarray, b: ndarray) -> ndarray:
    """The same row by row, where the diagonal has zeros."""
    x = np.array(b)
    with np.errstate(all="ignore"):
        for i in reversed(range(a.shape[-1])):
            row = np.matmul(a[..., i : i + 1, i + 1 :], x[..., i + 1 :, :])
            x[..., i, :] = (x[..., i, :] - row[..., 0, :]) / a[..., i, i, None]
    return x


# ---- LU ------------------------------------------------------------------------------------


def _magnitude(x: ndarray) -> ndarray:
    """By which LAPACK chooses pivots: ``|x|``, of complex numbers ``|re x| + |im x|``."""
    return np.abs(x.real) + np.abs(x.imag) if x.dtype.kind == "c" else np.abs(x)


def lu(a: ndarray, pivot: bool) -> tuple[ndarray, ndarray, ndarray]:
    """P A = L U of matrices (..., m, n), as LAPACK stores it: both factors in one matrix, L with a
    unit diagonal that is not stored; row exchanges counted from 1; and the number of the first
    zero on the diagonal of U (0: none).

    Right-looking, by blocks of columns. Source: Golub and Van Loan, Matrix Computations, 3.2.11.
    """
    batch, (m, n) = a.shape[:-2], a.shape[-2:]
    k = min(m, n)
    f = np.array(flat(a, 2))
    pivots = np.broadcast_to(np.arange(1, k + 1, dtype=np.int32), (len(f), k)).copy()
    which = np.arange(len(f))
    with np.errstate(all="ignore"):
        for start in range(0, k, _BLOCK):
            stop = min(start + _BLOCK, k)
            for j in range(start, stop):
                if pivot:
                    p = _magnitude(f[:, j:, j]).argmax(1) + j
                    pivots[:, j] = p + 1
                    if (p != j).any():
                        rows = f[which, p].copy()
                        f[which, p] = f[:, j]
                        f[:, j] = rows
                head = f[:, j, j, None]
                f[:, j + 1 :, j] = np.where(head == 0, f[:, j + 1 :, j], f[:, j + 1 :, j] / head)
                f[:, j + 1 :, j + 1 : stop] -= f[:, j + 1 :, j, None] * f[:, j, None, j + 1 : stop]
            if stop < n:
                top = f[:, start:stop, stop:]
                top[...] = solve_triangular(f[:, start:stop, start:stop], top, False, True)
                f[:, stop:, stop:] -= np.matmul(f[:, stop:, start:stop], top)
    zero = np.diagonal(f, 0, 1, 2) == 0
    info = np.where(zero.any(1), zero.argmax(1) + 1, 0) if k else np.zeros(len(f))
    return (
        f.reshape(a.shape),
        pivots.reshape(*batch, k),
        info.astype(np.int32).reshape(batch),
    )


def permutation(pivots: ndarray, m: int) -> ndarray:
    """The order of rows that the exchanges ``pivots`` (..., k) bring about: A[order] = L U."""
    exchanges = flat(pivots, 1)
    order = np.broadcast_to(np.arange(m), (len(exchanges), m)).copy()
    which = np.arange(len(exchanges))
    for i in range(exchanges.shape[1]):
        p = exchanges[:, i] - 1
        rows = order[which, p].copy()
        order[which, p] = order[:, i]
        order[:, i] = rows
    return order.reshape(*pivots.shape[:-1], m)


def permutation_matrix(pivots: ndarray, m: int, dtype: np.dtype) -> ndarray:
    """P of A = P L U."""
    order = permutation(pivots, m)
    p = np.zeros((*order.shape, m), dtype)
    np.put_along_axis(p, order[..., None, :], 1, -2)
    return p


# ---- exponentials --------------------------------------------------------------------------

#: Coefficients of the diagonal Pade approximant of degree 13 and the largest norm that it serves.
#: Source: Higham, The scaling and squaring method for the matrix exponential revisited (2005).
_PADE = (
    64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000,
    10559470521600, 670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1,
)  # fmt: skip
_PADE_NORM = 5.371920351148152


def matrix_exp(a: ndarray) -> ndarray:
    """The exponential of every matrix, by scaling, a Pade approximant, and squaring."""
    if not a.size:
        return a.copy()
    dt = a.dtype
    wide = np.complex128 if dt.kind == "c" else np.float64
    norm = float(np.abs(a).sum(-2).max()) if a.shape[-1] else 0.0
    if not np.isfinite(norm):
        return np.full(a.shape, np.nan, dt)
    squarings = max(0, int(np.ceil(np.log2(norm / _PADE_NORM)))) if norm else 0
    x = a.astype(wide) / 2.0**squarings
    one = np.eye(a.shape[-1], dtype=wide)
    x2 = x @ x
    x4 = x2 @ x2
    x6 = x4 @ x2
    c = _PADE
    odd = x6 @ (c[13] * x6 + c[11] * x4 + c[9] * x2) + c[7] * x6 + c[5] * x4 + c[3] * x2
    odd = x @ (odd + c[1] * one)
    even = x6 @ (c[12] * x6 + c[10] * x4 + c[8] * x2) + c[6] * x6 + c[4] * x4 + c[2] * x2
    even = even + c[0] * one
    r = np.linalg.solve(even - odd, even + odd)
    for _ in range(squarings):
        r = r @ r
    return r.astype(dt)


# ---- which one failed ----------------------------------------------------------------------


def each(f: Callable[[ndarray], ndarray], a: ndarray) -> tuple[ndarray, ndarray]:
    """``f`` of every matrix by itself, and which of them it refused (they give nan)."""
    matrices = flat(a, 2)
    results, failed = np.full(matrices.shape, np.nan, a.dtype), np.zeros(len(matrices), bool)
    for i, matrix in enumerate(matrices):
        try:
            results[i] = f(matrix)
        except LinAlgError:
            failed[i] = True
    return results.reshape(a.shape), failed.reshape(a.shape[:-2])


def cholesky(a: ndarray) -> tuple[ndarray, ndarray]:
    """L of A = L L^H from the lower triangles, and the order of the first leading minor that is
    not positive (0: none), for every matrix."""
    info = np.zeros(a.shape[:-2], np.int32)
    try:
        r = np.linalg.cholesky(a)
        bad = np.isnan(r.real).any((-1, -2))
        if not bad.any():
            return r, info
    except LinAlgError:
        r, bad = each(np.linalg.cholesky, a)
    for place in np.argwhere(bad):
        info[tuple(place)] = _first_minor(a[tuple(place)])
    return r, info


def _first_minor(a: ndarray) -> int:
    """The order of the first leading minor that has no Cholesky factor: bisection."""
    low, high = 0, a.shape[-1]  # the minor of order low has one, that of order high has none
    while high - low > 1:
        middle = (low + high) // 2
        try:
            fine = not np.isnan(np.linalg.cholesky(a[:middle, :middle]).real).any()
        except LinAlgError:
            fine = False
        low, high = (middle, high) if fine else (low, middle)
    return high
