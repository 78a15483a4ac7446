"""Linear algebra: factorisations, systems of equations, norms. PyTorch's ``torch.linalg``.

Source: https://docs.pytorch.org/docs/stable/linalg.html
"""

from __future__ import annotations

from ._errors import LinAlgError
from .core.value import Value
from .functions.linear_algebra import (
    cond,
    lstsq,
    matrix_norm,
    matrix_power,
    matrix_rank,
    pinv,
    tensorinv,
    tensorsolve,
)
from .functions.linear_algebra import linalg_norm as norm
from .functions.products import linalg_cross as cross
from .functions.products import linalg_vander as vander
from .functions.products import multi_dot, vecdot
from .ops.factorisations import (
    householder_product,
    ldl_factor,
    ldl_factor_ex,
    ldl_solve,
    lu_factor,
    lu_factor_ex,
)
from .ops.factorisations import linalg_cholesky as cholesky
from .ops.factorisations import linalg_cholesky_ex as cholesky_ex
from .ops.factorisations import linalg_lu as lu
from .ops.factorisations import linalg_qr as qr
from .ops.norms import vector_norm
from .ops.products import matmul
from .ops.solving import det, inv, inv_ex, matrix_exp, solve, solve_ex, solve_triangular
from .ops.solving import linalg_lu_solve as lu_solve
from .ops.solving import linalg_slogdet as slogdet
from .ops.spectra import eig, eigh, eigvals, eigvalsh, svdvals
from .ops.spectra import linalg_svd as svd


def diagonal(A: Value, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Value:
    """The diagonals of matrices, as a view; ``torch.diagonal`` with the last two dimensions."""
    return A.diagonal(offset, dim1, dim2)


__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eig", "eigh",
    "eigvals", "eigvalsh", "householder_product", "inv", "inv_ex", "ldl_factor", "ldl_factor_ex",
    "ldl_solve", "lstsq", "lu", "lu_factor", "lu_factor_ex", "lu_solve", "matmul", "matrix_exp",
    "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv", "qr", "slogdet",
    "solve", "solve_ex", "solve_triangular", "svd", "svdvals", "tensorinv", "tensorsolve",
    "vander", "vecdot", "vector_norm",
]  # fmt: skip
