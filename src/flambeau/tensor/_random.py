"""Methods of tensors: random."""

from __future__ import annotations


class RandomMethods:
    """Methods of tensors: random."""

    __slots__ = ()
