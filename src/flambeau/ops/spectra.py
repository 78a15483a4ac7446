"""Eigenvalues and singular values, with the vectors that belong to them.

Gradients: Giles, An extended collection of matrix derivative results (2008), and, since complex
vectors are unique only up to a phase, Wan and Zhang, Automatic differentiation for complex valued
SVD (2019). Source of the behaviour: https://docs.pytorch.org/docs/stable/linalg.html
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import _dtypes
from .._dtypes import dtype, from_numpy
from .._errors import LinAlgError
from ..core import return_types
from ..core.modes import by_copy, state
from ..core.mutation import accepts_out
from ..core.op import define, unsupported
from ..core.value import Value
from .products import conj
from .solving import (
    check_floating,
    check_matrix,
    check_uplo,
    diagonal_of,
    identity,
    mh,
    solve_general,
)

ndarray = np.ndarray

# ---- eigenvalues ---------------------------------------------------------------------------


def _converged(name: str, call: Callable, a: ndarray, *args: str) -> ndarray | tuple:
    try:
        return call(a, *args)
    except np.linalg.LinAlgError:
        raise LinAlgError(
            f"{name}: The algorithm failed to converge because the input matrix is "
            "ill-conditioned or has too many repeated eigenvalues."
        ) from None


def eigh_arrays(a: ndarray, uplo: str) -> tuple[ndarray, ndarray]:
    """Eigenvalues and eigenvectors of Hermitian matrices."""
    _check_hermitian(a, uplo)
    return tuple(_converged("linalg.eigh", np.linalg.eigh, a, uplo))


def _check_hermitian(a: ndarray, uplo: str) -> None:
    """LinAlgError for infinities and nan in the triangle that is read."""
    if not np.isfinite(a).all() and not np.isfinite((np.tril if uplo == "L" else np.triu)(a)).all():
        raise LinAlgError(
            "linalg.eigh: The algorithm failed to converge because the input matrix contained "
            "non-finite values."
        )


def _eigvalsh(a: ndarray, uplo: str) -> ndarray:
    _check_hermitian(a, uplo)
    return _converged("linalg.eigh", np.linalg.eigvalsh, a, uplo)


def _phase_error(name: str, what: str) -> RuntimeError:
    return RuntimeError(
        f"{name}: The {what} in the complex case are specified up to multiplication by "
        "e^{i phi}. The specified loss function depends on this quantity, so it is ill-defined."
    )


@by_copy
def _depends_on_phase(diagonal: Value) -> bool:
    return not np.allclose(diagonal._array.imag, 0, rtol=1e-2, atol=1e-2)


def _gaps(w: Value) -> Value:
    """``w_j - w_i``, with ones on the diagonal."""
    return w.unsqueeze(-2) - w.unsqueeze(-1) + identity(w)


def _eigh_vjp(g: list, y: tuple) -> Value:
    gw, gv = g
    w, v = y
    if gv is None:
        return (v * gw.unsqueeze(-2)) @ mh(v)
    inner = mh(v) @ gv
    if inner._array.dtype.kind == "c" and _depends_on_phase(diagonal_of(inner)):
        raise _phase_error("linalg_eigh_backward", "eigenvectors")
    inner = inner / _gaps(w)
    inner = inner - diagonal_of(inner).diag_embed()
    inner = (inner + mh(inner)) * 0.5
    if gw is not None:
        inner = inner + gw.diag_embed()
    return v @ inner @ mh(v)


eigh_op = define("linalg_eigh", eigh_arrays, {"a": _eigh_vjp})
eigvalsh_op = define("linalg_eigvalsh", _eigvalsh)


@accepts_out
def eigh(A: Value, UPLO: str = "L") -> return_types.linalg_eigh:
    """Eigenvalues, ascending, and eigenvectors (columns) of Hermitian matrices, of which the
    lower or upper triangle is read. LinAlgError where the algorithm does not converge."""
    check_matrix("linalg.eigh", A, square=True)
    _check_eigh(A.dtype)
    check_uplo(UPLO)
    return return_types.linalg_eigh(eigh_op(A, UPLO.upper()))


def _check_eigh(d: dtype) -> None:
    if d.category < _dtypes.FLOATING or (d.is_floating_point and d.itemsize < 4):
        raise unsupported("linalg_eigh", d)


@accepts_out
def eigvalsh(A: Value, UPLO: str = "L") -> Value:
    """The eigenvalues of Hermitian matrices, ascending."""
    check_matrix("linalg.eigh", A, square=True)
    _check_eigh(A.dtype)
    check_uplo(UPLO)
    if A._edge is not None and state.grad:
        return eigh_op(A, UPLO.upper())[0]
    return eigvalsh_op(A, UPLO.upper())


def _eig(a: ndarray) -> tuple[ndarray, ndarray]:
    _check_finite("torch.linalg.eig", a)
    w, v = _converged("torch.linalg.eig", np.linalg.eig, a)
    c = from_numpy(a.dtype).to_complex().numpy
    return w.astype(c, copy=False), v.astype(c, copy=False)


def _check_finite(name: str, a: ndarray) -> None:
    if not np.isfinite(a).all():
        raise RuntimeError(f"{name}: input tensor should not contain infs or NaNs.")


def _eigvals(a: ndarray) -> ndarray:
    _check_finite("torch.linalg.eigvals", a)
    w = _converged("torch.linalg.eigvals", np.linalg.eigvals, a)
    return w.astype(from_numpy(a.dtype).to_complex().numpy, copy=False)


def _eig_vjp(g: list, y: tuple, a_dtype: np.dtype) -> Value:
    gw, gv = g
    w, v = y
    vh = mh(v)
    if gv is None:
        inner = gw.unsqueeze(-1) * vh
    else:
        part = vh @ gv
        if _depends_on_phase(diagonal_of(part)):
            raise _phase_error("linalg_eig_backward", "eigenvectors")
        part = part - (vh @ v) * diagonal_of(part).real.unsqueeze(-2)
        part = part / conj(_gaps(w))
        part = part - diagonal_of(part).diag_embed()
        if gw is not None:
            part = part + gw.diag_embed()
        inner = part @ vh
    ga = solve_general(vh, inner)
    return ga.real if a_dtype.kind != "c" else ga


eig_op = define("linalg_eig", _eig, {"a": _eig_vjp})
eigvals_op = define("linalg_eigvals", _eigvals)


@accepts_out
def eig(A: Value) -> return_types.linalg_eig:
    """Eigenvalues and eigenvectors (columns of length 1) of square matrices, always complex."""
    check_matrix("linalg.eig", A, square=True)
    check_floating("linalg.eig", A.dtype, "linalg_eig_out_cpu")
    return return_types.linalg_eig(eig_op(A))


@accepts_out
def eigvals(A: Value) -> Value:
    """The eigenvalues of square matrices, always complex."""
    check_matrix("linalg.eigvals", A, square=True)
    check_floating("linalg.eigvals", A.dtype, "linalg_eig_out_cpu")
    return eig_op(A)[0] if A._edge is not None and state.grad else eigvals_op(A)


# ---- singular values -----------------------------------------------------------------------


def svd_arrays(a: ndarray, full: bool) -> tuple[ndarray, ndarray, ndarray]:
    """U, S and V^H. LinAlgError for infinities and nan, of which LAPACK would print a complaint."""
    if not np.isfinite(a).all():
        raise _svd_error(a)
    try:
        return tuple(np.linalg.svd(a, full))
    except np.linalg.LinAlgError:
        raise _svd_error(a) from None


def _svd_error(a: ndarray) -> LinAlgError:
    why = (
        "is ill-conditioned or has too many repeated singular values."
        if np.isfinite(a).all()
        else "contained non-finite values."
    )
    return LinAlgError(
        f"linalg.svd: The algorithm failed to converge because the input matrix {why}"
    )


def _svd_values(a: ndarray) -> ndarray:
    if not np.isfinite(a).all():
        raise _svd_error(a)
    try:
        return np.linalg.svd(a, compute_uv=False)
    except np.linalg.LinAlgError:
        raise _svd_error(a) from None


def _svd_vjp(g: list, y: tuple, full: bool) -> Value:
    gu, gs, gvh = g
    u, s, vh = y
    k = s._array.shape[-1]
    m, n = u._array.shape[-2], vh._array.shape[-1]
    if full:
        u, vh = u.narrow(-1, 0, k), vh.narrow(-2, 0, k)
        gu = gu if gu is None else gu.narrow(-1, 0, k)
        gvh = gvh if gvh is None else gvh.narrow(-2, 0, k)
    if gu is None and gvh is None:
        return (u * gs.unsqueeze(-2)) @ vh
    rows, columns = s.unsqueeze(-1), s.unsqueeze(-2)
    gaps = (columns - rows) * (columns + rows) + identity(s)
    uu = vv = None
    if gu is not None:
        uu = mh(u) @ gu
        uu = uu - mh(uu)
    if gvh is not None:
        vv = vh @ mh(gvh)
        vv = vv - mh(vv)
    if u._array.dtype.kind == "c":
        phase = sum(diagonal_of(p) for p in (uu, vv) if p is not None)
        if _depends_on_phase(phase):
            raise _phase_error("svd_backward", "singular vectors")
    inner = 0
    if uu is not None:
        inner = uu / gaps * columns
    if vv is not None:
        inner = inner + rows * (vv / gaps)
    if gs is not None:
        inner = inner + gs.diag_embed()
    if u._array.dtype.kind == "c" and uu is not None and vv is not None:
        inner = inner + (diagonal_of(uu) / (2 * s)).diag_embed()
    if m > k and gu is not None:
        left = gu / columns
        left = u @ inner + left - u @ (mh(u) @ left)
        return left @ vh if gvh is None or n <= k else _wide_svd_part(left @ vh, u, s, vh, gvh)
    r = (u @ inner) @ vh
    return _wide_svd_part(r, u, s, vh, gvh) if n > k and gvh is not None else r


def _wide_svd_part(r: Value, u: Value, s: Value, vh: Value, gvh: Value) -> Value:
    """``r`` and what the rows of V^H contribute outside their own span."""
    right = gvh / s.unsqueeze(-1)
    return r + u @ (right - (right @ mh(vh)) @ vh)


svd_op = define("linalg_svd", svd_arrays, {"a": _svd_vjp})
svdvals_op = define("linalg_svdvals", _svd_values)


def _check_svd(A: Value, driver: str | None) -> None:
    check_matrix("linalg.svd", A)
    check_floating("linalg.svd", A.dtype, "linalg_svd_cpu")
    if driver is not None:
        raise RuntimeError(
            "torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with "
            "cuSOLVER backend."
        )


@accepts_out
def linalg_svd(
    A: Value, full_matrices: bool = True, *, driver: str | None = None
) -> return_types.linalg_svd:
    """U, the singular values, descending, and V^H of ``A = U diag(S) V^H``."""
    _check_svd(A, driver)
    return return_types.linalg_svd(svd_op(A, full_matrices))


@accepts_out
def svdvals(A: Value, *, driver: str | None = None) -> Value:
    """The singular values, descending."""
    _check_svd(A, driver)
    return svd_op(A, False)[1] if A._edge is not None and state.grad else svdvals_op(A)


@accepts_out
def svd(input: Value, some: bool = True, compute_uv: bool = True) -> return_types.svd:
    """``A = U diag(S) V^H`` under its old name: it returns V, and ``some=False`` asks for all of
    its columns. Without ``compute_uv`` U and V are zeros."""
    _check_svd(input, None)
    if compute_uv:
        u, s, vh = svd_op(input, not some)
        return return_types.svd((u, s, mh(vh)))
    m, n = input._array.shape[-2:]
    batch = input._array.shape[:-2]
    zeros = [input.new_zeros((*batch, size, size)) for size in (m, n)]
    return return_types.svd((zeros[0], svdvals(input), zeros[1]))


__all__ = ["svd"]
