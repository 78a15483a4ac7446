"""Methods of tensors: products of matrices and vectors, and linear algebra."""

from __future__ import annotations

from ..core.value import Value
from ..ops import products


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
