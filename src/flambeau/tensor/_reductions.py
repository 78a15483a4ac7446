"""Methods of tensors: reductions."""

from __future__ import annotations


class ReductionMethods:
    """Methods of tensors: reductions."""

    __slots__ = ()
