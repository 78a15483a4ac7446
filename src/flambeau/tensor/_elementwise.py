"""Methods of tensors: elementwise."""

from __future__ import annotations


class ElementwiseMethods:
    """Methods of tensors: elementwise."""

    __slots__ = ()
