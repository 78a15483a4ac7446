"""Systems of linear equations, inverses and determinants.

NumPy's LAPACK does the work on batches; ``_matrix_arrays`` has what it lacks.
Gradients: Giles, An extended collection of matrix derivative results (2008).
Source of the behaviour: https://docs.pytorch.org/docs/stable/linalg.html
"""

from __future__ import annotations

import numpy as np

from .. import _dtypes
from .._dtypes import dtype
from .._errors import LinAlgError
from .._shapes import broadcast
from ..core import return_types
from ..core.modes import by_copy, hook
from ..core.mutation import accepts_out
from ..core.op import define, unsupported
from ..core.value import Value, constant, fails, reading, wrap
from . import _matrix_arrays as arrays
from ._arguments import check_tensor
from .joining import cat_op
from .products import conj

ndarray = np.ndarray
_quiet = np.errstate(all="ignore")  # NumPy warns from its own files, which no filter of ours covers

# ---- checks and small helpers --------------------------------------------------------------


def check_matrix(name: str, value: object, *, square: bool = False, argument: str = "A") -> None:
    """An error unless ``value`` is a tensor of (square) matrices."""
    check_tensor(name, value, argument)
    shape = value._array.shape
    if len(shape) < 2:
        raise RuntimeError(
            f"{name}: The input tensor {argument} must have at least 2 dimensions.\n"
            f"  its shape is {shape}"
        )
    if square and shape[-1] != shape[-2]:
        raise RuntimeError(
            f"{name}: {argument} must be batches of square matrices, but they are {shape[-2]} by "
            f"{shape[-1]} matrices"
        )


def check_floating(name: str, d: dtype, kernel: str | None = None) -> None:
    """An error unless ``d`` is a dtype that LAPACK computes in.

    ``kernel``: how PyTorch's message names the routine that refuses 16-bit floats.
    """
    if d.category < _dtypes.FLOATING:
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got {d.legacy_name}\n"
            "  convert it with .float()"
        )
    if d.is_floating_point and d.itemsize < 4:
        if kernel is None:
            raise RuntimeError(
                f"{name}: Low precision dtypes not supported. Got {d.legacy_name}\n"
                "  convert it with .float()"
            )
        raise unsupported(kernel, d)


def check_uplo(uplo: str) -> None:
    """RuntimeError unless ``uplo`` says lower or upper triangle."""
    if not isinstance(uplo, str) or uplo.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {uplo}")


def mh(x: Value) -> Value:
    """The conjugate transpose of every matrix."""
    return conj(x).transpose(-2, -1)


def diagonal_of(x: Value) -> Value:
    """The diagonal of every matrix, as a view."""
    return x.diagonal(0, -2, -1)


@by_copy
def batch_place(info: Value) -> tuple[int, str]:
    """The first entry of ``info`` that is not 0, and how messages name its place in the batch."""
    flat = info._array.reshape(-1)
    i = int((flat != 0).argmax())
    return int(flat[i]), f"(Batch element {i}): " if info._array.ndim else ""


@by_copy
def permutation_of(pivots: Value, m: int, dtype: np.dtype) -> Value:
    """P of ``P L U``, matrices of ``m`` rows, from the row exchanges of ``lu_factor``."""
    return wrap(arrays.permutation_matrix(pivots._array, m, dtype))


def identity(like: Value) -> Value:
    """The identity matrix of as many rows as ``like`` has columns, where ``like`` is."""
    one = constant(np.eye(like._array.shape[-1], dtype=like._array.dtype))
    return one if hook.active is None else one.to(like.device)


# ---- triangular systems --------------------------------------------------------------------


@_quiet
def _solve_triangular(a: ndarray, b: ndarray, upper: bool, unit: bool) -> ndarray:
    if a.shape[:-2] != b.shape[:-2]:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        a = np.broadcast_to(a, (*batch, *a.shape[-2:]))
        b = np.broadcast_to(b, (*batch, *b.shape[-2:]))
    return arrays.solve_triangular(a, b, upper, unit)


def _solve_triangular_vjp(
    g: Value, y: Value, a: Value, b_shape: tuple, upper: bool, unit: bool, needs: tuple
) -> list:
    gb = solve_triangular_op(mh(a), g, not upper, unit)
    ga = None
    if needs[0]:
        ga = -(gb @ mh(y)).sum_to_size((*y._array.shape[:-2], *a._array.shape[-2:]))
        ga = ga.triu(int(unit)) if upper else ga.tril(-int(unit))
        ga = ga.sum_to_size(a._array.shape)
    return [ga, gb.sum_to_size(b_shape) if len(needs) > 1 and needs[1] else None]


solve_triangular_op = define("linalg_solve_triangular", _solve_triangular, _solve_triangular_vjp)


def check_system(name: str, A: Value, B: Value, left: bool, *, square: bool = True) -> None:
    """An error unless ``A X = B`` (or ``X A = B``) is a system of matrices of one dtype."""
    check_tensor(name, A, "A")
    check_tensor(name, B, "B")
    if A.dtype is not B.dtype:
        raise RuntimeError(
            f"{name}: Expected A and B to have the same dtype, but found A of type "
            f"{A.dtype.legacy_name} and B of type {B.dtype.legacy_name} instead"
        )
    check_matrix(name, A, square=square)
    check_matrix(name, B, argument="B")
    a, b = A._array.shape, B._array.shape
    if a[-2] != b[-2 if left else -1]:
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation "
            f"{'AX = B' if left else 'XA = B'} ({a[-2]}x{a[-1]} and {b[-2]}x{b[-1]})"
        )


@accepts_out
def solve_triangular(
    A: Value, B: Value, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Value:
    """X of ``A X = B`` (``X A = B`` unless ``left``) for triangular A, whose other triangle is not
    read; nor is its diagonal if ``unitriangular``. A zero on the diagonal gives inf and nan."""
    check_system("linalg.solve_triangular", A, B, left)
    check_floating("linalg.solve_triangular", A.dtype, "triangular_solve_cpu")
    broadcast(A._array.shape[:-2], B._array.shape[:-2])
    if left:
        return solve_triangular_op(A, B, bool(upper), unitriangular)
    x = solve_triangular_op(A.transpose(-2, -1), B.transpose(-2, -1), not upper, unitriangular)
    return x.transpose(-2, -1)


@accepts_out
def triangular_solve(
    input: Value,
    A: Value,
    upper: bool = True,
    transpose: bool = False,
    unitriangular: bool = False,
) -> return_types.triangular_solve:
    """X of ``A X = input`` (or ``A^T X``) for triangular A, and a copy of A (deprecated:
    ``linalg.solve_triangular``)."""
    name = "torch.triangular_solve"
    for v, label in ((input, "b"), (A, "A")):
        check_tensor(name, v, label)
        if v._array.ndim < 2:
            raise RuntimeError(
                f"{name}: Expected {label} to have at least 2 dimensions, but it has "
                f"{v._array.ndim} dimensions instead"
            )
    check_system("triangular_solve", A, input, True)
    check_floating("triangular_solve", A.dtype, "triangular_solve_cpu")
    batch = broadcast(A._array.shape[:-2], input._array.shape[:-2])
    a = A.transpose(-2, -1) if transpose else A
    x = solve_triangular_op(a, input, upper != transpose, unitriangular)
    copy = A.expand(*batch, *A._array.shape[-2:]).clone()
    return return_types.triangular_solve((x, copy))


# ---- general systems -----------------------------------------------------------------------


@_quiet
def _solve(a: ndarray, b: ndarray) -> tuple[ndarray, ndarray]:
    """A^-1 B, and for every matrix the number of the first pivot that is zero (0: none)."""
    try:
        return np.linalg.solve(a, b), np.zeros(a.shape[:-2], np.int32)
    except np.linalg.LinAlgError:  # our own factors have inf and nan where a matrix is singular
        factors, pivots, info = arrays.lu(a, True)
        p = arrays.permutation_matrix(pivots, a.shape[-1], a.dtype)
        b = np.matmul(p.swapaxes(-1, -2), b)
        factors = np.broadcast_to(factors, (*b.shape[:-2], *a.shape[-2:]))
        b = arrays.solve_triangular(factors, b, False, True)
        return arrays.solve_triangular(factors, b, True, False), info


def _solve_vjp(g: list, y: tuple, a: Value, b_shape: tuple, needs: tuple) -> list:
    gb = solve_ex_op(mh(a), g[0])[0]
    ga = None
    if needs[0]:
        ga = -(gb @ mh(y[0])).sum_to_size(a._array.shape)
    return [ga, gb.sum_to_size(b_shape) if needs[1] else None]


solve_ex_op = define("linalg_solve_ex", _solve, _solve_vjp, differentiable=(0,))


def solve_general(a: Value, b: Value) -> Value:
    """``A^-1 B`` of matrices, as gradients need it: without checks."""
    return solve_ex_op(a, b)[0]


def _raise_singular(text: str, name: str, info: Value) -> None:
    if fails(info):
        i, place = batch_place(info)
        raise LinAlgError(f"{name}: {place}{text.format(i)}")


_NOT_SOLVED = "The solver failed because the input matrix is singular."
_NOT_INVERTED = (
    "The diagonal element {} is zero, the inversion could not be completed because the input "
    "matrix is singular."
)


def _solved(name: str, A: Value, B: Value, left: bool, check: bool) -> tuple[Value, Value]:
    check_tensor("linalg.solve", A, "A")
    check_tensor("linalg.solve", B, "B")
    check_matrix("linalg.solve", A, square=True)
    a, b = A._array.shape, B._array.shape
    vector = len(b) == 1 or (len(a) - 1 == len(b) and b == a[:-1])
    if vector:
        if not left:
            raise RuntimeError(
                "linalg.solve: Vector broadcasting of the left hand side is not supported for "
                "left=False. In this case linalg.solve is equivalent to B / A.squeeze(-1)"
            )
        B = B.unsqueeze(-1)
    check_system("linalg.solve", A, B, left)
    check_floating("linalg.solve", A.dtype)
    broadcast(a[:-2], B._array.shape[:-2])
    if left:
        x, info = solve_ex_op(A, B)
    else:
        x, info = solve_ex_op(A.transpose(-2, -1), B.transpose(-2, -1))
        x = x.transpose(-2, -1)
    if check:
        _raise_singular(_NOT_SOLVED, name, info)
    return (x.squeeze(-1) if vector else x), info


@accepts_out
def solve(A: Value, B: Value, *, left: bool = True) -> Value:
    """X of ``A X = B`` (``X A = B`` unless ``left``); B may be a vector, or a batch of them.

    LinAlgError for singular A.
    """
    return _solved("torch.linalg.solve", A, B, left, True)[0]


@accepts_out
def solve_ex(
    A: Value, B: Value, *, left: bool = True, check_errors: bool = False
) -> return_types.linalg_solve_ex:
    """``solve``, and the number of the first zero pivot of A (0: none)."""
    results = _solved("torch.linalg.solve_ex", A, B, left, check_errors)
    return return_types.linalg_solve_ex(results)


@_quiet
def _inv(a: ndarray) -> tuple[ndarray, ndarray]:
    try:
        return np.linalg.inv(a), np.zeros(a.shape[:-2], np.int32)
    except np.linalg.LinAlgError:
        return _solve(a, arrays.eye_like(a, a.shape[-1]))


def _inv_vjp(g: list, y: tuple) -> Value:
    yh = mh(y[0])
    return -(yh @ g[0] @ yh)


inv_ex_op = define("linalg_inv_ex", _inv, {"a": _inv_vjp}, differentiable=(0,))


def _inverted(name: str, A: Value, check: bool) -> tuple[Value, Value]:
    check_matrix("linalg.inv", A, square=True)
    check_floating("linalg.inv", A.dtype)
    results = inv_ex_op(A)
    if check:
        _raise_singular(_NOT_INVERTED, name, results[1])
    return results


@accepts_out
def inverse(input: Value) -> Value:
    """The inverse of square matrices; LinAlgError for singular ones."""
    return _inverted("linalg.inv", input, True)[0]


@accepts_out
def inv(A: Value) -> Value:
    """The inverse of square matrices; LinAlgError for singular ones."""
    return _inverted("linalg.inv", A, True)[0]


@accepts_out
def inv_ex(A: Value, *, check_errors: bool = False) -> return_types.linalg_inv_ex:
    """The inverse, and the number of the first zero pivot (0: none)."""
    return return_types.linalg_inv_ex(_inverted("linalg.inv_ex", A, check_errors))


# ---- systems whose factors are known -------------------------------------------------------


@_quiet
def _cholesky_solve(b: ndarray, l: ndarray, upper: bool) -> ndarray:
    h = arrays.adjoint(l)
    low, high = (h, l) if upper else (l, h)
    return _solve_triangular(high, _solve_triangular(low, b, False, False), True, False)


def _cholesky_solve_vjp(
    g: Value, y: Value, l: Value, upper: bool, b_shape: tuple, needs: tuple
) -> list:
    gb = cholesky_solve_op(g, l, upper)
    gl = None
    if len(needs) > 1 and needs[1]:  # of the whole factor, as if its other triangle were read
        outer = gb @ mh(y)
        outer = outer + mh(outer)
        gl = -(l @ outer if upper else outer @ l).sum_to_size(l._array.shape)
    return [gb.sum_to_size(b_shape) if needs[0] else None, gl]


cholesky_solve_op = define("cholesky_solve", _cholesky_solve, _cholesky_solve_vjp)


@accepts_out
def cholesky_solve(B: Value, L: Value, upper: bool = False) -> Value:
    """X of ``A X = B``, given L of ``A = L L^H`` (U of ``U^H U`` if ``upper``)."""
    check_tensor("cholesky_solve", B, "B")
    check_tensor("cholesky_solve", L, "L")
    b, a = B._array.shape, L._array.shape
    for s, label in ((b, "b"), (a, "u")):
        if len(s) < 2:
            raise RuntimeError(
                f"{label} should have at least 2 dimensions, but has {len(s)} dimensions instead"
            )
    if a[-1] != a[-2]:
        raise RuntimeError(
            f"cholesky_solve: A must be batches of square matrices, but they are {a[-2]} by "
            f"{a[-1]} matrices"
        )
    if a[-1] != b[-2]:
        raise RuntimeError(
            f"Incompatible matrix sizes for cholesky_solve: each A matrix is {a[-1]} by {a[-1]} "
            f"but each b matrix is {b[-2]} by {b[-1]}"
        )
    if B.dtype is not L.dtype:
        raise RuntimeError(
            "Expected b and A to have the same dtype, but found b of type "
            f"{B.dtype.legacy_name} and A of type {L.dtype.legacy_name} instead"
        )
    check_floating("cholesky_solve", L.dtype, "cholesky_solve_cpu")
    broadcast(b[:-2], a[:-2])
    return cholesky_solve_op(B, L, upper)


@accepts_out
def cholesky_inverse(L: Value, upper: bool = False) -> Value:
    """The inverse of A, given L of ``A = L L^H`` (U of ``U^H U`` if ``upper``)."""
    check_matrix("cholesky_inverse", L, square=True)
    check_floating("cholesky_inverse", L.dtype, "cholesky_inverse_cpu")
    return cholesky_solve_op(identity(L).expand(L._array.shape), L, upper)


@accepts_out
def linalg_lu_solve(
    LU: Value, pivots: Value, B: Value, *, left: bool = True, adjoint: bool = False
) -> Value:
    """X of ``A X = B`` (``X A = B`` unless ``left``; ``A^H`` if ``adjoint``), given what
    ``lu_factor`` returned for A."""
    name = "linalg.lu_solve"
    check_tensor(name, pivots, "pivots")
    check_system(name, LU, B, left)
    check_floating(name, LU.dtype, "linalg_lu_solve_cpu")
    if pivots.dtype is not _dtypes.int32:
        raise RuntimeError(
            f"{name}: pivots should be a Tensor of scalar type torch.int32, but got "
            f"{pivots.dtype!r}"
        )
    if pivots._array.shape != LU._array.shape[:-1]:
        raise RuntimeError(
            f"{name}: Number of pivots per batch should be same as the dimension of the matrix: "
            f"pivots have shape {pivots._array.shape}, LU {LU._array.shape}"
        )
    broadcast(LU._array.shape[:-2], B._array.shape[:-2])
    p = permutation_of(pivots, LU._array.shape[-1], LU._array.dtype)
    if not left:
        B, adjoint = mh(B), not adjoint
    if adjoint:  # U^H L^H P^T X = B
        factors = mh(LU)
        x = solve_triangular_op(factors, B, False, False)
        x = p @ solve_triangular_op(factors, x, True, True)
    else:
        x = solve_triangular_op(LU, p.transpose(-2, -1) @ B, False, True)
        x = solve_triangular_op(LU, x, True, False)
    return x if left else mh(x)


@accepts_out
def lu_solve(b: Value, LU_data: Value, LU_pivots: Value) -> Value:
    """``linalg.lu_solve`` under its old name."""
    return linalg_lu_solve(LU_data, LU_pivots, b)


# ---- determinants --------------------------------------------------------------------------


def _over_matrices(x: Value) -> Value:
    """One number for each matrix, to be multiplied with all of its elements."""
    return x.unsqueeze(-1).unsqueeze(-1)


@by_copy
def _nudged(a: Value) -> Value:
    """``a`` with singular values that are zero (to rounding) made tiny ones, so that the product
    of determinant and inverse, which stays finite, can be computed."""
    u, s, vh = np.linalg.svd(a._array)
    eps = np.finfo(s.dtype).eps
    top = s.max(-1, keepdims=True, initial=0)
    small = np.where(s <= eps * np.maximum(top, eps), eps * np.where(top > 0, top, 1), 0)
    shift = np.matmul(u * small[..., None, :].astype(s.dtype), vh)
    return a + wrap(shift.astype(a._array.dtype))


def _det_vjp(g: Value, y: Value, a: Value) -> Value:
    reading(y, "the gradient of det")
    if not y._array.all():
        a = _nudged(a)
        y = det_op(a)
    return mh(inv_ex_op(a)[0]) * _over_matrices(g * conj(y))


@_quiet
def _det(a: ndarray) -> ndarray:
    return np.linalg.det(a)


det_op = define("linalg_det", _det, {"a": _det_vjp})


@_quiet
def _slogdet(a: ndarray) -> tuple[ndarray, ndarray]:
    sign, log = np.linalg.slogdet(a)
    return sign, log


def _slogdet_vjp(g: list, y: tuple, a: Value) -> Value:
    sign, log = g
    if a._array.dtype.kind == "c" and sign is not None:
        turn = (conj(sign) * y[0]).imag * -1j
        log = turn if log is None else log + turn
    if log is None:
        return a.new_zeros(a._array.shape)
    return mh(inv_ex_op(a)[0]) * _over_matrices(log)


slogdet_op = define("linalg_slogdet", _slogdet, {"a": _slogdet_vjp})


@accepts_out
def det(A: Value) -> Value:
    """The determinant of square matrices."""
    check_matrix("linalg.det", A, square=True)
    check_floating("linalg.det", A.dtype, "lu_cpu")
    return det_op(A)


def _sign_and_log(A: Value) -> tuple[Value, Value]:
    check_matrix("linalg.slogdet", A, square=True)
    check_floating("linalg.slogdet", A.dtype)
    return slogdet_op(A)


@accepts_out
def linalg_slogdet(A: Value) -> return_types.linalg_slogdet:
    """The sign (the phase) and the logarithm of the absolute value of the determinant."""
    return return_types.linalg_slogdet(_sign_and_log(A))


@accepts_out
def slogdet(input: Value) -> return_types.slogdet:
    """The sign (the phase) and the logarithm of the absolute value of the determinant."""
    return return_types.slogdet(_sign_and_log(input))


def logdet(input: Value) -> Value:
    """The logarithm of the determinant: -inf where it is 0, nan where it is negative."""
    check_matrix("logdet", input, square=True)
    sign, log = _sign_and_log(input)
    if input._array.dtype.kind == "c":
        return sign.log() + log
    return log.masked_fill(sign == -1, float("nan"))


# ---- the exponential -----------------------------------------------------------------------


def _matrix_exp_vjp(g: Value, a: Value) -> Value:
    # The exponential of ((A^H, G), (0, A^H)) has the gradient in its upper right corner.
    n = a._array.shape[-1]
    h = mh(a)
    top = cat_op((h, g), -1)
    bottom = cat_op((h.new_zeros(h._array.shape), h), -1)
    return matrix_exp_op(cat_op((top, bottom), -2)).narrow(-2, 0, n).narrow(-1, n, n)


matrix_exp_op = define("linalg_matrix_exp", lambda a: arrays.matrix_exp(a), {"a": _matrix_exp_vjp})


def matrix_exp(input: Value) -> Value:
    """The exponential of square matrices, ``sum_k A^k / k!``."""
    check_matrix("linalg.matrix_exp", input, square=True)
    if input.dtype.category < _dtypes.FLOATING:
        check_floating("linalg.matrix_exp", input.dtype)
    return matrix_exp_op(input)


__all__ = [
    "cholesky_inverse", "cholesky_solve", "det", "inverse", "logdet", "lu_solve", "matrix_exp",
    "slogdet", "triangular_solve",
]  # fmt: skip
