"""Methods of tensors: products."""

from __future__ import annotations


class ProductMethods:
    """Methods of tensors: products."""

    __slots__ = ()
