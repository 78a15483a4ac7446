"""In-place operations that optimizers repeat for every parameter: array formulas that overwrite.

``method(self, ...)`` is PyTorch's. Where nothing is recorded and nothing converted, the formula
writes into the array itself, by pieces on all threads if it is large; else the operation is
computed as a new tensor, with every check, and copied.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._dtypes import FLOATING, INTEGRAL, from_numpy
from ..core import threads
from ..core.modes import hook, state
from ..core.mutation import (
    F32,
    F64,
    accepts_out,
    check_writable,
    inplace,
    inplace_binary,
    needs_care,
    written,
)
from ..core.op import define
from ..core.promotion import Number
from ..core.value import Value, as_array, check_fits
from . import arithmetic, comparison, multivariate

_NUMBERS = (float, int, type(None))


def by_formula(
    function: Callable[..., Value], formula: Callable[..., None], name: str
) -> Callable[..., Value]:
    """The method ``name``: ``function`` in place. ``formula(array, *operands)`` overwrites."""
    general = inplace(function, name)

    def method(self: Value, *args: Value | Number, **kwargs: Value | Number) -> Value:
        a = self._array
        dt = a.dtype
        grad = state.grad
        if (
            (dt is not F32 and dt is not F64)
            or (grad and self._edge is not None)
            or self._inference
            or hook.active is not None
            or (a.base is not None and needs_care(self))
        ):
            return general(self, *args, **kwargs)
        operands = []
        for v in args:
            if isinstance(v, Value):
                if v._array.dtype is not dt or (grad and v._edge is not None):
                    return general(self, *args, **kwargs)
                operands.append(v._array)
            elif v.__class__ in _NUMBERS:
                operands.append(v)
            else:
                return general(self, *args, **kwargs)
        if kwargs and not all(v.__class__ in _NUMBERS for v in kwargs.values()):
            return general(self, *args, **kwargs)
        try:
            if a.size < threads.LARGE or not threads.overwrite(formula, a, operands, kwargs):
                formula(a, *operands, **kwargs)
        except (ValueError, TypeError):  # shapes that do not fit, missing or unknown arguments
            return general(self, *args, **kwargs)
        self.counter().bump(name)
        return self

    method.__name__ = method.__qualname__ = name
    method.__doc__ = general.__doc__
    return method


# ---- sums and quotients --------------------------------------------------------------------


def _add_scaled(x: np.ndarray, other: np.ndarray | float, alpha: float) -> None:
    np.add(x, other * alpha, x)


_add_1 = inplace_binary(arithmetic.add_op, np.add)
_sub_1 = inplace_binary(arithmetic.sub_op, np.subtract)
_div_1 = inplace_binary(arithmetic.div_op, np.true_divide)
_add_alpha = by_formula(
    lambda x, other, alpha: arithmetic.add(x, other, alpha=alpha), _add_scaled, "add_"
)
_sub_alpha = by_formula(
    lambda x, other, alpha: arithmetic.sub(x, other, alpha=alpha),
    lambda x, other, alpha: _add_scaled(x, other, -alpha),
    "sub_",
)
_div_rounded = inplace(arithmetic.div)


def add_(self: Value, other: Value | Number, *old: Value, alpha: Number = 1) -> Value:
    """In-place ``add``: ``self += alpha * other``."""
    if old:
        alpha, other = arithmetic.old_order("add_", other, *old)
    if alpha.__class__ is int and alpha == 1:
        return _add_1(self, other)
    return _add_alpha(self, other, alpha)


def sub_(self: Value, other: Value | Number, *old: Value, alpha: Number = 1) -> Value:
    """In-place ``sub``: ``self -= alpha * other``."""
    if old:
        alpha, other = arithmetic.old_order("sub_", other, *old)
    if alpha.__class__ is int and alpha == 1:
        return _sub_1(self, other)
    return _sub_alpha(self, other, alpha)


def div_(self: Value, other: Value | Number, *, rounding_mode: str | None = None) -> Value:
    """In-place ``div``."""
    if rounding_mode is None:
        return _div_1(self, other)
    return _div_rounded(self, other, rounding_mode=rounding_mode)


def _pow_into(x: np.ndarray, exponent: np.ndarray | float) -> None:
    if exponent.__class__ is not np.ndarray and exponent == 2:
        np.multiply(x, x, x)
    else:
        np.power(x, exponent, x)


pow_ = by_formula(arithmetic.pow, _pow_into, "pow_")


def _times_into(x: np.ndarray, tensor1: np.ndarray, tensor2: np.ndarray, value: float = 1) -> None:
    t = np.multiply(tensor1, tensor2)
    if value != 1:
        t *= value
    np.add(x, t, x)


def _over_into(x: np.ndarray, tensor1: np.ndarray, tensor2: np.ndarray, value: float = 1) -> None:
    t = np.true_divide(tensor1, tensor2)
    if value != 1:
        t *= value
    np.add(x, t, x)


_addcmul = by_formula(
    lambda x, tensor1, tensor2, value: multivariate.addcmul(x, tensor1, tensor2, value=value),
    _times_into,
    "addcmul_",
)
_addcdiv = by_formula(
    lambda x, tensor1, tensor2, value: multivariate.addcdiv(x, tensor1, tensor2, value=value),
    _over_into,
    "addcdiv_",
)


def addcmul_(self: Value, tensor1: Value, tensor2: Value, *old: Value, value: Number = 1) -> Value:
    """In-place ``addcmul``: ``self += value * tensor1 * tensor2``."""
    if old:
        value, tensor1, tensor2 = arithmetic.old_order("addcmul_", tensor1, tensor2, *old)
    return _addcmul(self, tensor1, tensor2, value)


def addcdiv_(self: Value, tensor1: Value, tensor2: Value, *old: Value, value: Number = 1) -> Value:
    """In-place ``addcdiv``: ``self += value * tensor1 / tensor2``."""
    if old:
        value, tensor1, tensor2 = arithmetic.old_order("addcdiv_", tensor1, tensor2, *old)
    return _addcdiv(self, tensor1, tensor2, value)


def _lerp_into(x: np.ndarray, end: np.ndarray, weight: np.ndarray | float) -> None:
    if weight.__class__ is not np.ndarray and abs(weight) < 0.5:
        way = np.subtract(end, x)
        way *= weight
        np.add(x, way, x)
    else:
        np.copyto(x, multivariate.lerp_array(x, end, weight))


lerp_ = by_formula(multivariate.lerp, _lerp_into, "lerp_")

# ---- bounds --------------------------------------------------------------------------------


def _clamp_into(
    x: np.ndarray,
    min: np.ndarray | float | None = None,
    max: np.ndarray | float | None = None,
) -> None:
    if min is None and max is None:
        raise TypeError("one bound is needed")
    if min is not None:
        np.maximum(x, min, out=x)
    if max is not None:
        np.minimum(x, max, out=x)


clamp_ = by_formula(comparison.clamp, _clamp_into, "clamp_")


def clamp_min_(self: Value, min: Value | Number) -> Value:
    """In-place ``clamp_min``."""
    return clamp_(self, min)


def clamp_max_(self: Value, max: Value | Number) -> Value:
    """In-place ``clamp_max``."""
    return clamp_(self, None, max)


# ---- constants -----------------------------------------------------------------------------


_fill_number = define("fill", lambda x, value: np.full_like(x, value), {"x": arithmetic.flat})
_fill_tensor = define(
    "fill_tensor",
    lambda x, value: np.full_like(x, value),
    {"x": arithmetic.flat, "value": lambda g: g.sum()},
)
_fill_tensor.op.grad_name = "FillBackward1"
_fill_number.op.with_tensors = _fill_tensor
_zero = define("zero", lambda x: np.zeros_like(x), {"x": arithmetic.flat})


@accepts_out
def fill(input: Value, value: Value | Number) -> Value:
    """A tensor like ``input`` with ``value`` (a number, or a 0-dim tensor) in every element."""
    d = from_numpy(input._array.dtype)
    if isinstance(value, Value):
        if value._array.ndim:
            raise RuntimeError(
                "fill_ only supports 0-dimension value tensor but got tensor with "
                f"{value._array.ndim} dimensions."
            )
        return _fill_tensor(input, arithmetic.as_dtype(value, d))
    if isinstance(value, complex) and d.category in (INTEGRAL, FLOATING):
        raise RuntimeError(f"value cannot be converted to type {d.name} without overflow")
    check_fits(value, d)
    made = None if hook.active is None else hook.active.number(value, d)
    if made is not None:  # a number that is another one at each call of a compiled function
        return _fill_tensor(input, made)
    return _fill_number(input, as_array(value, d)[()])  # a NumPy number, not an array


_fill_recorded = inplace(fill)
_zero_recorded = inplace(_zero)


def fill_(self: Value, value: Value | Number) -> Value:
    """Write ``value`` (a number, or a 0-dim tensor) into every element; returns this tensor."""
    recorded = hook.active is not None or (self._edge is not None and state.grad)
    if recorded or isinstance(value, (Value, complex)):
        return _fill_recorded(self, value)
    check_writable(self, "fill_", False)
    a = self._array
    if a.dtype.kind not in "fc":
        check_fits(value, from_numpy(a.dtype))
        value = as_array(value, from_numpy(a.dtype))
    a.fill(value)
    return written(self, "fill_")


def zero_(self: Value) -> Value:
    """Write 0 into every element; returns this tensor."""
    if hook.active is not None or (self._edge is not None and state.grad):
        return _zero_recorded(self)
    if self._inference or self._base is not None:
        check_writable(self, "zero_", False)
    self._array.fill(0)
    self.counter().bump("zero_")
    return self


_masked_fill = inplace(comparison.masked_fill)


def masked_fill_(self: Value, mask: Value, value: Value | Number) -> Value:
    """In-place ``masked_fill``: write ``value`` wherever ``mask`` is true."""
    if (
        value.__class__ in (float, int)
        and isinstance(mask, Value)
        and mask._array.dtype.kind == "b"
        and self._array.dtype.kind == "f"
        and not (state.grad and self._edge is not None)
        and not self._inference
        and hook.active is None
        and (self._array.base is None or not needs_care(self))
    ):
        try:
            np.copyto(self._array, value, where=mask._array)
        except ValueError:
            return _masked_fill(self, mask, value)
        self.counter().bump("masked_fill_")
        return self
    return _masked_fill(self, mask, value)


__all__ = ["fill"]
