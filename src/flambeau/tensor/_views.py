"""Methods of tensors: views."""

from __future__ import annotations


class ViewMethods:
    """Methods of tensors: views."""

    __slots__ = ()
