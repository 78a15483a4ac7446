"""Methods of tensors: indexing."""

from __future__ import annotations

from ..ops import gathering, indexing


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
