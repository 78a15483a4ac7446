"""Random tensors of any dtype, for tests."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

from .. import _dtypes
from .._dtypes import dtype, finfo, iinfo
from ..ops.memory import memory_format
from ..tensor._creation import DeviceLike, empty, full
from ..tensor._device import Size
from ..tensor._random import randint
from ..tensor._tensor import Tensor

_UNSIGNED = (_dtypes.uint8, _dtypes.uint16, _dtypes.uint32, _dtypes.uint64)


def make_tensor(
    *shape: int | Sequence[int],
    dtype: dtype,
    device: DeviceLike = "cpu",
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: memory_format | None = None,
) -> Tensor:
    """Random numbers from ``low`` to below ``high``.

    Defaults: -9 to 9 for floating and complex dtypes, -9 to 10 for integers (0 to 10 where they
    have no sign), 0 to 2 for bool; both ends are cut to what the dtype holds. ``exclude_zero``:
    zeros become the smallest positive number, or 1. ``noncontiguous``: every second of twice as
    many.
    ValueError for an empty range, nan, or options that contradict each other.
    """
    if len(shape) == 1 and not isinstance(shape[0], int):
        shape = tuple(shape[0])
    kind = _dtypes.as_dtype(dtype)
    real = kind.to_real() if kind.is_complex else kind
    continuous = kind.is_floating_point or kind.is_complex
    if noncontiguous and memory_format is not None:
        raise ValueError(
            "The parameters `noncontiguous` and `memory_format` are mutually exclusive, but got "
            f"noncontiguous={noncontiguous} and memory_format={memory_format}"
        )
    if requires_grad and not continuous:
        raise ValueError(
            "`requires_grad=True` is not supported for boolean and integral dtypes, "
            f"but got dtype={kind}"
        )
    low, high = _range(real, continuous, low, high)
    wide = noncontiguous and math.prod(shape) > 1
    drawn = Size((*shape[:-1], 2 * shape[-1])) if wide else Size(shape)
    if low == high and continuous:
        result = full(drawn, low, dtype=kind)
    elif real in _dtypes.FLOAT8:
        result = empty(drawn).uniform_(low, high).to(kind)
    elif continuous:
        parts = (*drawn, 2) if kind.is_complex else drawn
        flat = empty(parts, dtype=real).uniform_(low, high)
        result = flat if not kind.is_complex else _complex(flat)
    else:
        result = randint(low, high, tuple(drawn), dtype=kind)
    if wide:
        result = result[..., 1::2]
    elif memory_format is not None:
        result = result.clone(memory_format=memory_format)
    if exclude_zero:
        result[result == 0] = finfo(real).tiny if continuous else 1
    return result.to(device).requires_grad_(requires_grad)


def _complex(pairs: Tensor) -> Tensor:
    return pairs[..., 0] + 1j * pairs[..., 1]


def _range(
    real: dtype, continuous: bool, low: float | None, high: float | None
) -> tuple[float, float]:
    """The bounds, within what ``real`` holds; integers for integers, the upper one excluded."""
    if real is _dtypes.bool_:
        default, least, most = (0, 2), 0, 2
    elif continuous:
        kind = finfo(real)
        default, least, most = (-9, 9), kind.min, kind.max
    else:
        kind = iinfo(real)
        default = (0, 10) if real in _UNSIGNED else (-9, 10)
        least, most = kind.min, kind.max + (real is not _dtypes.int64)
    low = default[0] if low is None else low
    high = default[1] if high is None else high
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"`low` and `high` cannot be NaN, but got low={low} and high={high}")
    if low == high and continuous:
        warnings.warn(
            "Passing `low==high` to `torch.testing.make_tensor` for floating or complex types is "
            "deprecated since 2.1 and will be removed in 2.3. Use `torch.full(...)` instead.",
            FutureWarning,
            stacklevel=3,
        )
    elif low >= high:
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    elif high < least or low > most:
        raise ValueError(
            f"The value interval specified by `low` and `high` is [{low}, {high}), "
            f"but {real} only supports [{least}, {most}]"
        )
    low, high = max(low, least), min(high, most)
    return (low, high) if continuous else (math.ceil(low), math.ceil(high))
