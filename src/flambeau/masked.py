"""Reductions and normalisations over the elements that a mask selects: ``torch.masked``.

``mask`` (bool, broadcast to ``input``) is True where an element counts; without it all count. An
element that does not count takes the value that changes nothing: 0 in a sum, 1 in a product, the
largest possible value in a minimum. Where nothing is selected the result is that value, or nan for
a mean, a median and the like. Source: https://docs.pytorch.org/docs/stable/masked.html
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from . import _dtypes
from ._missing import missing as _missing
from ._shapes import wrap_dims
from .ops.norms import vector_norm

if TYPE_CHECKING:
    from ._dtypes import dtype
    from .core.promotion import Number
    from .core.value import Value
    from .ops._reduce import Dims


def _filled(input: Value, mask: Value | None, value: Number) -> Value:
    """``input`` with ``value`` where ``mask`` does not select."""
    if mask is None:
        return input
    if mask.dtype is not _dtypes.bool_:
        raise TypeError(f"the mask must be a bool tensor, got {mask.dtype}")
    shape = mask.shape if mask.dim() > input.dim() else input.shape
    return input.expand(shape).masked_fill(~mask, value)


def _extreme(d: dtype, low: bool, name: str) -> Number:
    """The smallest or the largest value of dtype ``d``."""
    if d.category >= _dtypes.FLOATING:
        return -math.inf if low else math.inf
    if d.category == _dtypes.INTEGRAL:
        limits = _dtypes.iinfo(d)
        return limits.min if low else limits.max
    raise NotImplementedError(f"identity of {name} on {d!r} input")


def _dims(dim: Dims, input: Value) -> tuple[int, ...]:
    return wrap_dims(None if dim == () else dim, input.dim())


def _cast(input: Value, dtype: dtype | None) -> Value:
    return input if dtype is None else input.to(dtype)


def _selected(input: Value, mask: Value | None, dims: tuple[int, ...], keepdim: bool) -> Value:
    """How many elements each result is made of."""
    if mask is None:
        mask = input.new_ones((), dtype=_dtypes.bool_)
    return mask.expand(input.shape).sum(dims, keepdim)


def sum(
    input: Value,
    dim: Dims = None,
    *,
    keepdim: bool = False,
    dtype: dtype | None = None,
    mask: Value | None = None,
) -> Value:
    """The sum of the selected elements over ``dim``."""
    return _filled(input, mask, 0).sum(_dims(dim, input), keepdim, dtype=dtype)


def prod(
    input: Value,
    dim: Dims = None,
    *,
    keepdim: bool = False,
    dtype: dtype | None = None,
    mask: Value | None = None,
) -> Value:
    """The product of the selected elements over ``dim``."""
    result = _filled(input, mask, 1)
    dims = _dims(dim, input)
    if not dims:
        return result.prod(dtype=dtype)
    for d in reversed(dims):
        result = result.prod(d, keepdim, dtype=dtype)
    return result


def amax(
    input: Value,
    dim: Dims = None,
    *,
    keepdim: bool = False,
    dtype: dtype | None = None,
    mask: Value | None = None,
) -> Value:
    """The largest of the selected elements over ``dim``."""
    input = _cast(input, dtype)
    worst = _extreme(input.dtype, True, "amax")
    return _filled(input, mask, worst).amax(_dims(dim, input), keepdim)


def amin(
    input: Value,
    dim: Dims = None,
    *,
    keepdim: bool = False,
    dtype: dtype | None = None,
    mask: Value | None = None,
) -> Value:
    """The smallest of the selected elements over ``dim``."""
    input = _cast(input, dtype)
    worst = _extreme(input.dtype, False, "amin")
    return _filled(input, mask, worst).amin(_dims(dim, input), keepdim)


def argmax(
    input: Value,
    dim: int | None = None,
    *,
    keepdim: bool = False,
    dtype: dtype | None = None,
    mask: Value | None = None,
) -> Value:
    """The index of the largest selected element; its dtype is ``dtype`` or that of ``input``."""
    d = input.dtype if dtype is None else dtype
    worst = _extreme(input.dtype, True, "argmax")
    return _filled(input, mask, worst).argmax(dim, keepdim).to(d)


def argmin(
    input: Value,
    dim: int | None = None,
    *,
    keepdim: bool = False,
    dtype: dtype | None = None,
    mask: Value | None = None,
) -> Value:
    """The index of the smallest selected element; its dtype is ``dtype`` or that of ``input``."""
    d = input.dtype if dtype is None else dtype
    worst = _extreme(input.dtype, False, "argmin")
    return _filled(input, mask, worst).argmin(dim, keepdim).to(d)


def mean(
    input: Value,
    dim: Dims = None,
    *,
    keepdim: bool = False,
    dtype: dtype | None = None,
    mask: Value | None = None,
) -> Value:
    """The mean of the selected elements over ``dim``; nan where there are none."""
    d = input.dtype if dtype is None else dtype
    if d.category < _dtypes.FLOATING:
        raise ValueError(
            "mean(): Could not infer output dtype. Input dtype must be either a floating point or "
            f"complex dtype. Got: {d!r}"
        )
    dims = _dims(dim, input)
    count = _selected(input, mask, dims, keepdim)
    return sum(input, dims, keepdim=keepdim, dtype=d, mask=mask) / count


def median(
    input: Value,
    dim: int = -1,
    *,
    keepdim: bool = False,
    dtype: dtype | None = None,
    mask: Value | None = None,
) -> Value:
    """The median of the selected elements along ``dim`` (the lower of two), nan for none."""
    input = _cast(input, dtype)
    if input.is_floating_point():
        return _filled(input, mask, math.nan).nanmedian(dim, keepdim)[0]
    if mask is None:
        return input.median(dim, keepdim)[0]
    if not mask.expand(input.shape).any(dim).all():
        raise ValueError(
            "masked median expects no fully masked out rows if dtype is not floating point"
        )
    wide = _filled(input.to(_dtypes.float64), mask, math.nan)
    return wide.nanmedian(dim, keepdim)[0].to(input.dtype)


def norm(
    input: Value,
    ord: float = 2.0,
    dim: Dims = None,
    *,
    keepdim: bool = False,
    dtype: dtype | None = None,
    mask: Value | None = None,
) -> Value:
    """The ``ord``-norm of the selected elements over ``dim``."""
    input = _filled(_cast(input, dtype), mask, 0 if ord >= 0 else math.inf)
    return vector_norm(input, ord, _dims(dim, input), keepdim)


def var(
    input: Value,
    dim: Dims = None,
    unbiased: bool | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
    dtype: dtype | None = None,
    mask: Value | None = None,
) -> Value:
    """The variance of the selected elements over ``dim``, as ``torch.var``."""
    if unbiased is not None and correction is not None:
        raise RuntimeError("Only one of unbiased and correction may be given")
    if correction is None:
        correction = 1 if unbiased is None or unbiased else 0
    d = input.dtype if dtype is None else dtype
    if d.category < _dtypes.FLOATING:
        d = _dtypes.get_default_dtype()
    dims = _dims(dim, input)
    x = input.to(d)
    if mask is None and dims:
        return x.var(dims, correction=correction, keepdim=keepdim).to(d)
    count = _selected(x, mask, dims, True)
    deviation = x - sum(x, dims, keepdim=True, mask=mask) / count
    square = deviation * deviation.conj()
    total = sum(square, dims, keepdim=keepdim, mask=mask)
    if not keepdim:
        count = count.reshape(total.shape)
    return total / (count - correction).clamp(min=0).to(total.dtype)


def std(
    input: Value,
    dim: Dims = None,
    unbiased: bool | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
    dtype: dtype | None = None,
    mask: Value | None = None,
) -> Value:
    """The square root of ``var``."""
    return var(
        input, dim, unbiased, correction=correction, keepdim=keepdim, dtype=dtype, mask=mask
    ).sqrt()


def logsumexp(
    input: Value,
    dim: Dims = None,
    *,
    keepdim: bool = False,
    dtype: dtype | None = None,
    mask: Value | None = None,
) -> Value:
    """``log(sum(exp(x)))`` of the selected elements over ``dim``."""
    input = _cast(input, dtype)
    worst = _extreme(input.dtype, True, "logsumexp")
    return _filled(input, mask, worst).logsumexp(_dims(dim, input), keepdim).to(input.dtype)


def softmax(
    input: Value, dim: int, *, dtype: dtype | None = None, mask: Value | None = None
) -> Value:
    """``softmax`` of the selected elements along ``dim``; the others get 0."""
    input = _cast(input, dtype)
    return _filled(input, mask, _extreme(input.dtype, True, "amax")).softmax(dim)


def log_softmax(
    input: Value, dim: int, *, dtype: dtype | None = None, mask: Value | None = None
) -> Value:
    """``log_softmax`` of the selected elements along ``dim``; the others get -inf."""
    input = _cast(input, dtype)
    return _filled(input, mask, _extreme(input.dtype, True, "amax")).log_softmax(dim)


def softmin(
    input: Value, dim: int, *, dtype: dtype | None = None, mask: Value | None = None
) -> Value:
    """``softmax`` of ``-input``."""
    input = _cast(input, dtype)
    return (-_filled(input, mask, _extreme(input.dtype, False, "amin"))).softmax(dim)


def cumsum(
    input: Value, dim: int, *, dtype: dtype | None = None, mask: Value | None = None
) -> Value:
    """The running sum of the selected elements along ``dim``."""
    return _filled(input, mask, 0).cumsum(dim, dtype=dtype or input.dtype)


def cumprod(
    input: Value, dim: int, *, dtype: dtype | None = None, mask: Value | None = None
) -> Value:
    """The running product of the selected elements along ``dim``."""
    return _filled(input, mask, 1).cumprod(dim, dtype=dtype or input.dtype)


def normalize(
    input: Value,
    ord: float,
    dim: int,
    *,
    eps: float = 1e-12,
    dtype: dtype | None = None,
    mask: Value | None = None,
) -> Value:
    """``input`` divided by the norm of the selected elements along ``dim``, at least ``eps``."""
    length = norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    return _filled(_cast(input, dtype), mask, 0) / length.clamp(min=eps)


def logaddexp(
    input: Value,
    other: Value,
    *,
    dtype: dtype | None = None,
    input_mask: Value | None = None,
    other_mask: Value | None = None,
) -> Value:
    """``log(exp(input) + exp(other))``, each with a mask of its own."""
    parts = []
    for x, mask in ((input, input_mask), (other, other_mask)):
        x = _cast(x, dtype)
        parts.append(_filled(x, mask, _extreme(x.dtype, True, "logaddexp")))
    return parts[0].logaddexp(parts[1])


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
