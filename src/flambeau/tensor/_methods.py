"""Methods of tensors that come straight from ops: reductions, indexing, products.

The methods of elementwise operations and of views have files of their own; rarer ones are in
_further.py.
"""

from __future__ import annotations

from ..core.value import Value
from ..ops import gathering, indexing, products, reductions


class ReductionMethods:
    """Methods of tensors: reductions, scans, sorting, statistics."""

    __slots__ = ()

    sum = reductions.sum
    sum_to_size = reductions.sum_to_size
    nansum = reductions.nansum
    mean = reductions.mean
    nanmean = reductions.nanmean
    prod = reductions.prod
    all = reductions.all
    any = reductions.any
    count_nonzero = reductions.count_nonzero
    logsumexp = reductions.logsumexp
    trace = reductions.trace

    amax = reductions.amax
    amin = reductions.amin
    aminmax = reductions.aminmax
    argmax = reductions.argmax
    argmin = reductions.argmin
    max = reductions.max
    min = reductions.min


class IndexingMethods:
    """Methods of tensors: indexing."""

    __slots__ = ()

    __getitem__ = indexing.getitem
    __setitem__ = indexing.setitem
    index_put = indexing.index_put
    index_put_ = indexing.index_put_
    gather = gathering.gather
    index_select = gathering.index_select
    take = gathering.take
    take_along_dim = gathering.take_along_dim
    masked_select = gathering.masked_select
    nonzero = gathering.nonzero
    argwhere = gathering.argwhere


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
