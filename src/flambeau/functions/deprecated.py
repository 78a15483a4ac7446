"""Functions that PyTorch keeps for old programs."""

from __future__ import annotations

import warnings

import numpy as np

from .._dtypes import dtype, get_default_dtype
from ..core.value import Value, wrap
from ..tensor._creation import finished


def detach(input: Value) -> Value:
    """``input.detach()``."""
    return input.detach()


def range(
    start: float,
    end: float | None = None,
    step: float = 1,
    *,
    out: Value | None = None,
    dtype: dtype | None = None,
    layout: object = None,
    device: object = None,
    requires_grad: bool = False,
) -> Value:
    """start, start + step ... up to and including end: floor((end - start) / step) + 1 numbers.

    UserWarning: use ``arange``. RuntimeError for a step of 0, or one away from ``end``.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.range.html
    """
    warnings.warn(
        "torch.range is deprecated and will be removed in a future release because its behavior is "
        "inconsistent with Python's range builtin. Instead, use torch.arange, which produces "
        "values in [start, end).",
        stacklevel=2,
    )
    if end is None:
        start, end = 0, start
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) / step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    values = start + step * np.arange(int((end - start) / step) + 1)
    kind = get_default_dtype() if dtype is None else dtype
    array = np.asarray(values).astype(kind.numpy)
    if out is not None:
        return out.resize_(array.shape).copy_(wrap(array))
    return finished(array, requires_grad, device)


__all__ = ["detach", "range"]
