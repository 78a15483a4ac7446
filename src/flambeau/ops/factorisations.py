"""Factorisations of matrices: Cholesky, QR, LU, LDL.

NumPy's LAPACK does the work on batches; ``_matrix_arrays`` has what it lacks. Gradients follow
Giles, An extended collection of matrix derivative results (2008).
Source of the behaviour: https://docs.pytorch.org/docs/stable/linalg.html
"""

from __future__ import annotations

import numpy as np

from .. import _dtypes, _optional
from .._errors import LinAlgError
from ..core import return_types
from ..core.mutation import accepts_out
from ..core.op import define, unsupported
from ..core.value import Value, fails
from . import _matrix_arrays as arrays
from ._arguments import check_tensor
from .joining import cat_op
from .products import conj
from .solving import (
    batch_place,
    check_floating,
    check_matrix,
    diagonal_of,
    mh,
    permutation_of,
    solve_triangular_op,
)

ndarray = np.ndarray


# ---- Cholesky ------------------------------------------------------------------------------


def _cholesky(a: ndarray, upper: bool) -> tuple[ndarray, ndarray]:
    if upper:
        r, info = arrays.cholesky(arrays.adjoint(a))
        return arrays.adjoint(r), info
    return arrays.cholesky(a)


def _cholesky_vjp(g: list, y: tuple, upper: bool) -> Value:
    gl, l = g[0], y[0]
    if upper:
        gl, l = mh(gl), mh(l)
    lh = mh(l)
    p = (lh @ gl).tril()
    p = (p + mh(p.tril(-1))) * 0.5
    left = solve_triangular_op(lh, p, True, False)
    return mh(solve_triangular_op(lh, mh(left), True, False))


cholesky_ex_op = define("linalg_cholesky_ex", _cholesky, {"a": _cholesky_vjp}, differentiable=(0,))


def _checked_cholesky(name: str, A: Value, upper: bool, check: bool) -> tuple[Value, Value]:
    check_matrix("linalg.cholesky", A, square=True)
    check_floating("linalg.cholesky", A.dtype, "cholesky_cpu")
    factor, info = cholesky_ex_op(A, upper)
    if check and fails(info):
        order, place = batch_place(info)
        raise LinAlgError(
            f"{name}: {place}The factorization could not be completed because the input is not "
            f"positive-definite (the leading minor of order {order} is not positive-definite)."
        )
    return factor, info


@accepts_out
def linalg_cholesky(A: Value, *, upper: bool = False) -> Value:
    """L of ``A = L L^H``, or U of ``A = U^H U``; LinAlgError unless A is positive-definite."""
    return _checked_cholesky("linalg.cholesky", A, upper, True)[0]


@accepts_out
def linalg_cholesky_ex(
    A: Value, *, upper: bool = False, check_errors: bool = False
) -> return_types.linalg_cholesky_ex:
    """L of ``A = L L^H`` and the order of the first minor that is not positive (0: none)."""
    results = _checked_cholesky("linalg.cholesky_ex", A, upper, check_errors)
    return return_types.linalg_cholesky_ex(results)


@accepts_out
def cholesky(input: Value, upper: bool = False) -> Value:
    """``linalg.cholesky`` under its old name."""
    check_matrix("cholesky", input, square=True)
    return _checked_cholesky("cholesky", input, upper, True)[0]


# ---- QR ------------------------------------------------------------------------------------


def _qr(a: ndarray, mode: str) -> tuple[ndarray, ndarray]:
    if mode == "r":
        return np.zeros(0, a.dtype), np.linalg.qr(a, "r")
    q, r = np.linalg.qr(a, mode)
    return q, r


def _qr_vjp(g: list, y: tuple, a: Value, mode: str) -> Value:
    gq, gr = g
    q, r = y
    m, n = a._array.shape[-2:]
    if mode == "r":
        raise RuntimeError(
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. "
            "Please use torch.linalg.qr(A, mode='reduced') if you are going to be differentiating "
            "through linalg.qr."
        )
    if mode == "complete" and m > n:
        raise RuntimeError(
            "The QR decomposition is not differentiable when mode='complete' and "
            f"nrows > ncols\n  A has {m} rows and {n} columns; use mode='reduced'"
        )
    if m >= n:
        return _tall_qr_vjp(gq, gr, q, r)
    # A = (A1 A2) and R = (R1 Q^H A2): the second part is a product with Q.
    if gr is None:
        g1 = _tall_qr_vjp(gq, None, q, r.narrow(-1, 0, m))
        return cat_op((g1, a.new_zeros((*a._array.shape[:-1], n - m))), -1)
    gr2 = gr.narrow(-1, m, n - m)
    extra = a.narrow(-1, m, n - m) @ mh(gr2)
    gq = extra if gq is None else gq + extra
    g1 = _tall_qr_vjp(gq, gr.narrow(-1, 0, m), q, r.narrow(-1, 0, m))
    return cat_op((g1, q @ gr2), -1)


def _tall_qr_vjp(gq: Value | None, gr: Value | None, q: Value, r: Value) -> Value:
    inner = None
    if gr is not None:
        inner = gr @ mh(r)
    if gq is not None:
        part = -(mh(q) @ gq)
        inner = part if inner is None else inner + part
    upper = inner.triu()
    ends = diagonal_of(upper)
    ends = ends.real if ends._array.dtype.kind == "c" else ends
    inner = upper + mh(upper) - ends.diag_embed()
    left = q @ inner
    if gq is not None:
        left = left + gq
    # left R^-H, as the adjoint of the solution of R X = left^H
    return mh(solve_triangular_op(r, mh(left), True, False))


qr_op = define("linalg_qr", _qr, {"a": _qr_vjp})


@accepts_out
def linalg_qr(A: Value, mode: str = "reduced") -> return_types.linalg_qr:
    """Q with orthonormal columns and upper triangular R of ``A = Q R``.

    ``mode``: "reduced" (k = min(m, n) columns of Q), "complete" (m of them), "r" (an empty Q).
    """
    check_matrix("linalg.qr", A)
    check_floating("linalg.qr", A.dtype, "geqrf_cpu")
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), "
            "'r', or 'complete'"
        )
    return return_types.linalg_qr(qr_op(A, mode))


@accepts_out
def qr(input: Value, some: bool = True) -> return_types.qr:
    """``linalg.qr`` under its old name; ``some=False`` is mode="complete"."""
    return return_types.qr(linalg_qr(input, "reduced" if some else "complete"))


def _geqrf(a: ndarray) -> tuple[ndarray, ndarray]:
    h, tau = np.linalg.qr(a, "raw")
    return h.swapaxes(-1, -2), tau


geqrf_op = define("geqrf", _geqrf)


@accepts_out
def geqrf(input: Value) -> return_types.geqrf:
    """QR as LAPACK stores it: R with the Householder vectors below it, and their factors tau."""
    check_matrix("torch.geqrf", input, argument="input")
    check_floating("torch.geqrf", input.dtype, "geqrf_cpu")
    return return_types.geqrf(geqrf_op(input))


def _reflected(x: Value, vectors: Value, tau: Value, columns: range, adjoint: bool) -> Value:
    """``H_i x`` for the reflections ``H_i = 1 - tau_i v_i v_i^H`` of ``columns``, one after
    another."""
    for i in columns:
        v = vectors.narrow(-1, i, 1)
        t = tau.narrow(-1, i, 1).unsqueeze(-1)
        x = x - (conj(t) if adjoint else t) * (v @ (mh(v) @ x))
    return x


# Where there is nothing to reflect there is nothing to differentiate either.
_nothing_reflected = define(
    "linalg_householder_product",
    lambda x, vectors, tau: x,
    lambda g, needs: [g if needs[0] else None, None, None],
)


def _reflectors(a: Value, k: int) -> Value:
    """The Householder vectors below the diagonal of ``a``, with their 1 on it."""
    unit = a.new_zeros((*a._array.shape[:-1], k))
    diagonal_of(unit).fill_(1)
    return a.narrow(-1, 0, k).tril(-1) + unit


@accepts_out
def householder_product(A: Value, tau: Value) -> Value:
    """The first n columns of the product of the reflections that ``geqrf`` stores in (m, n)."""
    name = "torch.linalg.householder_product"
    check_tensor(name, A, "input")
    check_tensor(name, tau, "tau")
    s, t = A._array.shape, tau._array.shape
    if len(s) < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if s[-2] < s[-1]:
        raise RuntimeError(
            f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1]"
        )
    if s[-1] < t[-1]:
        raise RuntimeError(
            f"{name}: input.shape[-1] must be greater than or equal to tau.shape[-1]"
        )
    if len(t) != len(s) - 1:
        raise RuntimeError(
            f"{name}: Expected tau to have one dimension less than input, but got tau.ndim equal "
            f"to {len(t)} and input.ndim is equal to {len(s)}"
        )
    if t[:-1] != s[:-2]:
        raise RuntimeError(
            f"{name}: Expected batch dimensions of tau to be equal to input.shape[:-2], but got "
            f"{list(t[:-1])}"
        )
    if tau.dtype is not A.dtype:
        raise RuntimeError(
            f"{name}: tau dtype {tau.dtype.legacy_name} does not match input dtype "
            f"{A.dtype.legacy_name}"
        )
    check_floating(name, A.dtype, "orgqr_cpu")
    m, k = s[-2], t[-1]
    one = A.new_zeros(s)
    diagonal_of(one).fill_(1)
    if not (m and k and A._array.size):
        return _nothing_reflected(one, A, tau)
    return _reflected(one, _reflectors(A, k), tau, range(k - 1, -1, -1), False)


@accepts_out
def orgqr(input: Value, tau: Value) -> Value:
    """``linalg.householder_product`` under LAPACK's name."""
    return householder_product(input, tau)


@accepts_out
def ormqr(
    input: Value, tau: Value, other: Value, left: bool = True, transpose: bool = False
) -> Value:
    """``Q other``, or ``other Q``, with the square Q of the reflections that ``geqrf`` stores;
    ``transpose`` takes Q^H."""
    for v, label in ((input, "input"), (tau, "tau"), (other, "other")):
        check_tensor("ormqr", v, label)
    s, t, o = input._array.shape, tau._array.shape, other._array.shape
    if len(s) < 2 or len(o) < 2:
        which = "input" if len(s) < 2 else "other"
        raise RuntimeError(f"torch.ormqr: {which} must have at least 2 dimensions.")
    side = -2 if left else -1
    if o[side] < t[-1] or o[side] != s[-2]:
        rule = (
            "greater than or equal to tau.shape[-1]"
            if o[side] < t[-1]
            else ("equal to input.shape[-2]")
        )
        raise RuntimeError(f"torch.ormqr: other.shape[{side}] must be {rule}")
    if t[-1] > s[-1]:
        raise RuntimeError(
            "torch.ormqr: tau.shape[-1] must be less than or equal to input.shape[-1]"
        )
    if len(t) != len(s) - 1 or len(o) != len(s):
        which = "tau" if len(t) != len(s) - 1 else "other"
        raise RuntimeError(
            f"torch.ormqr: Expected {which} to have "
            f"{'one dimension less than' if which == 'tau' else 'the same number of dimensions as'}"
            f" input, but got {which}.ndim equal to {len(t) if which == 'tau' else len(o)} and "
            f"input.ndim is equal to {len(s)}"
        )
    if t[:-1] != s[:-2] or o[:-2] != s[:-2]:
        which, got = ("tau", t[:-1]) if t[:-1] != s[:-2] else ("other", o[:-2])
        raise RuntimeError(
            f"torch.ormqr: Expected batch dimensions of {which} to be equal to input.shape[:-2], "
            f"but got {list(got)}"
        )
    for v, label in ((tau, "tau"), (other, "other")):
        if v.dtype is not input.dtype:
            raise RuntimeError(
                f"torch.ormqr: Expected input and {label} to have the same dtype, but input has "
                f"dtype {input.dtype.legacy_name} and {label} has dtype {v.dtype.legacy_name}"
            )
    check_floating("torch.ormqr", input.dtype, "ormqr_cpu")
    k = t[-1]
    if not (k and input._array.size):
        return _nothing_reflected(other.clone(), input, tau)
    if not left:  # (Q^H other^H)^H
        return mh(ormqr(input, tau, mh(other), True, not transpose))
    columns = range(k) if transpose else range(k - 1, -1, -1)
    return _reflected(other, _reflectors(input, k), tau, columns, transpose)


# ---- LU ------------------------------------------------------------------------------------


def _lu_factor_vjp(g: list, y: tuple, pivot: bool) -> Value:
    gf, f = g[0], y[0]
    m, n = f._array.shape[-2:]
    k = min(m, n)
    gl = gf.narrow(-1, 0, k).tril(-1)
    gu = gf.narrow(-2, 0, k).triu()
    head = f.narrow(-2, 0, k).narrow(-1, 0, k)
    upper, lower_h = head.triu(), mh(head)  # L^H is upper triangular, with a unit diagonal
    if m > n:  # L2 = A2 U^-1
        low = mh(solve_triangular_op(upper, mh(gl.narrow(-2, k, m - k)), True, False))
        gu = gu - mh(f.narrow(-2, k, m - k)) @ low
    if n > m:  # U2 = L^-1 A2
        right = solve_triangular_op(lower_h, gu.narrow(-1, k, n - k), True, True)
        gl = gl - right @ mh(f.narrow(-1, k, n - k))
    unit = lower_h.triu(1)
    glh = gl.narrow(-2, 0, k).tril(-1)
    inner = (unit @ glh + glh).tril(-1) + (gu.narrow(-1, 0, k).triu() @ mh(upper)).triu()
    inner = solve_triangular_op(lower_h, inner, True, True)
    ga = mh(solve_triangular_op(upper, mh(inner), True, False))
    if m > n:
        ga = cat_op((ga, low), -2)
    if n > m:
        ga = cat_op((ga, right), -1)
    if pivot:
        ga = permutation_of(y[1], m, f._array.dtype) @ ga
    return ga


lu_factor_op = define(
    "linalg_lu_factor_ex",
    lambda a, pivot: arrays.lu(a, pivot),
    {"a": _lu_factor_vjp},
    differentiable=(0,),
)


def check_lu(name: str, A: Value) -> None:
    """An error unless ``A`` is a tensor of matrices that LAPACK factors."""
    check_tensor(name, A, "A")
    if A._array.ndim < 2:
        raise RuntimeError(
            f"{name}: Expected tensor with 2 or more dimensions. Got size: "
            f"{list(A._array.shape)} instead"
        )
    d = A.dtype
    if d.category < _dtypes.FLOATING or (d.is_floating_point and d.itemsize < 4):
        raise unsupported("lu", d)


def _raise_zero_pivot(name: str, info: Value) -> None:
    if fails(info):
        i, place = batch_place(info)
        raise RuntimeError(
            f"{name}: {place}U[{i},{i}] is zero and using it on lu_solve would result in a "
            "division by zero. If you still want to perform the factorization, consider calling "
            "linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)"
        )


@accepts_out
def lu_factor(A: Value, *, pivot: bool = True) -> return_types.linalg_lu_factor:
    """``P A = L U``: both factors in one matrix, and the exchanges of rows, counted from 1."""
    check_lu("torch.lu_factor", A)
    factors, pivots, info = lu_factor_op(A, pivot)
    _raise_zero_pivot("torch.linalg.lu_factor", info)
    return return_types.linalg_lu_factor((factors, pivots))


@accepts_out
def lu_factor_ex(
    A: Value, *, pivot: bool = True, check_errors: bool = False
) -> return_types.linalg_lu_factor_ex:
    """``lu_factor``, and the number of the first zero on the diagonal of U (0: none)."""
    check_lu("torch.lu_factor", A)
    results = lu_factor_op(A, pivot)
    if check_errors:
        _raise_zero_pivot("torch.linalg.lu_factor_ex", results[2])
    return return_types.linalg_lu_factor_ex(results)


def _unpacked(factors: Value) -> tuple[Value, Value]:
    """L and U from the matrix that holds both."""
    m, n = factors._array.shape[-2:]
    k = min(m, n)
    unit = factors.new_zeros((*factors._array.shape[:-1], k))
    diagonal_of(unit).fill_(1)
    lower = factors.narrow(-1, 0, k).tril(-1) + unit
    return lower, factors.narrow(-2, 0, k).triu()


@accepts_out
def linalg_lu(A: Value, *, pivot: bool = True) -> return_types.linalg_lu:
    """P, L and U of ``A = P L U``; without ``pivot`` P is empty."""
    check_lu("linalg.lu", A)
    factors, pivots, _ = lu_factor_op(A, pivot)
    lower, upper = _unpacked(factors)
    return return_types.linalg_lu((_permutation(pivots, factors, pivot), lower, upper))


def _permutation(pivots: Value, factors: Value, wanted: bool) -> Value:
    if not wanted:
        return factors.new_empty(0).detach()
    f = factors._array
    return permutation_of(pivots, f.shape[-2], f.dtype)


@accepts_out
def lu_unpack(
    LU_data: Value, LU_pivots: Value, unpack_data: bool = True, unpack_pivots: bool = True
) -> return_types.lu_unpack:
    """P, L and U of what ``lu_factor`` returned; what is not wanted is empty."""
    check_tensor("lu_unpack", LU_data, "LU_data")
    check_tensor("lu_unpack", LU_pivots, "LU_pivots")
    if LU_data._array.ndim < 2:
        raise RuntimeError(
            "torch.lu_unpack: Expected tensor with 2 or more dimensions. Got size: "
            f"{list(LU_data._array.shape)} instead"
        )
    if unpack_pivots and LU_pivots.dtype is not _dtypes.int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 "
            "dtype.\n"
            "Note: this function is intended to be used with the output produced by "
            "torch.linalg.lu_factor"
        )
    if unpack_data:
        lower, upper = _unpacked(LU_data)
    else:
        lower, upper = LU_data.new_empty(0), LU_data.new_empty(0)
    return return_types.lu_unpack((_permutation(LU_pivots, LU_data, unpack_pivots), lower, upper))


# ---- LDL -----------------------------------------------------------------------------------


def lapack(purpose: str) -> object:
    """SciPy's LAPACK, for what NumPy's has not."""
    return _optional.require("scipy.linalg.lapack", purpose)


def _ldl(a: ndarray, hermitian: bool) -> tuple[ndarray, ndarray, ndarray]:
    routines = lapack("torch.linalg.ldl_factor")
    kind = "hetrf" if hermitian and a.dtype.kind == "c" else "sytrf"
    routine = getattr(routines, {"f": "s", "d": "d", "F": "c", "D": "z"}[a.dtype.char] + kind)
    n = a.shape[-1]
    matrices = np.tril(arrays.flat(a, 2))
    count = len(matrices)
    pivots, info = np.zeros((count, n), np.int32), np.zeros(count, np.int32)
    for i in range(count if n else 0):
        matrices[i], pivots[i], info[i] = routine(matrices[i], lower=1)
    return (
        np.tril(matrices).reshape(a.shape),
        pivots.reshape(a.shape[:-1]),
        info.reshape(a.shape[:-2]),
    )


ldl_factor_op = define("linalg_ldl_factor_ex", _ldl)


@accepts_out
def ldl_factor_ex(
    A: Value, *, hermitian: bool = False, check_errors: bool = False
) -> return_types.linalg_ldl_factor_ex:
    """``A = L D L^T`` (or L^H) of symmetric matrices by Bunch and Kaufman's pivoting, as LAPACK
    stores it. Needs SciPy."""
    name = "torch.linalg.ldl_factor_ex"
    check_matrix(name, A, square=True)
    check_floating(name, A.dtype, "ldl_factor_kernel_cpu")
    results = ldl_factor_op(A, hermitian)
    if check_errors:
        _raise_singular_ldl(name, results[2])
    return return_types.linalg_ldl_factor_ex(results)


@accepts_out
def ldl_factor(A: Value, *, hermitian: bool = False) -> return_types.linalg_ldl_factor:
    """``ldl_factor_ex`` without the information; LinAlgError for singular matrices."""
    name = "torch.linalg.ldl_factor_ex"
    check_matrix(name, A, square=True)
    check_floating(name, A.dtype, "ldl_factor_kernel_cpu")
    factors, pivots, info = ldl_factor_op(A, hermitian)
    _raise_singular_ldl("torch.linalg.ldl_factor", info)
    return return_types.linalg_ldl_factor((factors, pivots))


def _raise_singular_ldl(name: str, info: Value) -> None:
    if fails(info):
        i, place = batch_place(info)
        raise LinAlgError(
            f"{name}: {place}The factorization could not be completed because the input is "
            f"singular: D[{i},{i}] is zero"
        )


def _ldl_solve(f: ndarray, pivots: ndarray, b: ndarray, hermitian: bool) -> ndarray:
    routines = lapack("torch.linalg.ldl_solve")
    kind = "hetrs" if hermitian and f.dtype.kind == "c" else "sytrs"
    routine = getattr(routines, {"f": "s", "d": "d", "F": "c", "D": "z"}[f.dtype.char] + kind)
    batch = np.broadcast_shapes(f.shape[:-2], b.shape[:-2])
    n, k = b.shape[-2:]
    f = arrays.flat(np.broadcast_to(f, (*batch, n, n)), 2)
    pivots = arrays.flat(np.broadcast_to(pivots, (*batch, n)), 1)
    x = np.array(arrays.flat(np.broadcast_to(b, (*batch, n, k)), 2))
    for i in range(len(x) if n and k else 0):
        x[i], _ = routine(f[i], pivots[i], x[i], lower=1)
    return x.reshape(*batch, n, k)


ldl_solve_op = define("linalg_ldl_solve", _ldl_solve)


@accepts_out
def ldl_solve(LD: Value, pivots: Value, B: Value, *, hermitian: bool = False) -> Value:
    """X of ``A X = B``, given what ``ldl_factor`` returned for A. Needs SciPy."""
    name = "torch.linalg.ldl_solve"
    check_tensor(name, pivots, "pivots")
    check_matrix(name, LD, square=True, argument="LD")
    check_matrix(name, B, argument="B")
    if B._array.shape[-2] != LD._array.shape[-1]:
        raise RuntimeError(
            f"{name}: Incompatible shapes of LD and B: {LD._array.shape} and {B._array.shape}"
        )
    if pivots._array.shape != LD._array.shape[:-1]:
        raise RuntimeError(
            f"{name}: Expected LD.shape[:-1] and pivots.shape to be the same, but got "
            f"pivots with shape {list(pivots._array.shape)} instead"
        )
    if pivots.dtype.category != _dtypes.INTEGRAL:
        raise RuntimeError(f"{name}: Expected pivots to be integers. Got {pivots.dtype!r}")
    if LD.dtype is not B.dtype:
        raise RuntimeError(f"{name}: LD dtype {LD.dtype!r} does not match b dtype {B.dtype!r}")
    check_floating(name, LD.dtype, "ldl_solve_cpu")
    return ldl_solve_op(LD, pivots, B, hermitian)


__all__ = ["cholesky", "geqrf", "lu_unpack", "orgqr", "ormqr", "qr"]
