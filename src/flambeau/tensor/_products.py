"""Methods of tensors: products of matrices and vectors, and linear algebra."""

from __future__ import annotations

from ..core.twins import inplace
from ..core.value import Value
from ..functions import linear_algebra
from ..functions import products as composed
from ..ops import addmm as added
from ..ops import factorisations, products, solving, spectra


class ProductMethods:
    """Methods that multiply and factor matrices."""

    __slots__ = ()

    __matmul__ = products.matmul_operator

    def __rmatmul__(self, other: Value) -> Value:
        return products.matmul(other, self)

    matmul = products.matmul
    mm = products.mm
    bmm = products.bmm
    mv = products.mv
    dot = products.dot
    vdot = products.vdot

    addbmm = added.addbmm
    addbmm_ = inplace(added.addbmm)
    addmm = added.addmm
    addmm_ = inplace(added.addmm)
    addmv = added.addmv
    addmv_ = inplace(added.addmv)
    addr = added.addr
    addr_ = inplace(added.addr)
    baddbmm = added.baddbmm
    baddbmm_ = inplace(added.baddbmm)

    cross = composed.cross
    ger = composed.ger
    inner = composed.inner
    kron = composed.kron
    outer = composed.outer

    cholesky = factorisations.cholesky
    cholesky_inverse = solving.cholesky_inverse
    cholesky_solve = solving.cholesky_solve
    det = solving.det
    geqrf = factorisations.geqrf
    inverse = solving.inverse
    logdet = solving.logdet
    lu = linear_algebra.lu
    lu_solve = solving.lu_solve
    matrix_exp = solving.matrix_exp
    matrix_power = linear_algebra.matrix_power
    orgqr = factorisations.orgqr
    ormqr = factorisations.ormqr
    pinverse = linear_algebra.pinverse
    qr = factorisations.qr
    slogdet = solving.slogdet
    svd = spectra.svd
    triangular_solve = solving.triangular_solve
