"""Methods of tensors: indexing."""

from __future__ import annotations

from ..ops import indexing


class IndexingMethods:
    """Methods of tensors: indexing."""

    __slots__ = ()

    __getitem__ = indexing.getitem
    gather = indexing.gather
    index_select = indexing.index_select
