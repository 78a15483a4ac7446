"""Methods of tensors: indexing."""

from __future__ import annotations


class IndexingMethods:
    """Methods of tensors: indexing."""

    __slots__ = ()
