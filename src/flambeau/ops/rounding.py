"""Rounding, signs, magnitudes: functions whose gradient is a sign, or nothing at all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._dtypes import from_numpy
from .._errors import type_name
from ..core import return_types
from ..core.op import binary, define, unary, unsupported
from ..core.promotion import Number, result_type
from ..core.twins import accepts_out
from ..core.value import Value
from . import _scalar_elementary
from .arithmetic import as_dtype, flat, no_derivative, unbroadcast

# ---- to whole numbers ----------------------------------------------------------------------


def _real_only(name: str) -> Callable:
    def check(x: Value) -> None:
        if x._array.dtype.kind == "c":
            raise NotImplementedError(f"{name} is not supported for complex inputs")

    return check


def _whole(name: str, ufunc: np.ufunc, doc: str) -> Callable:
    return unary(name, ufunc, flat, result="same", takes="iuf", check=_real_only(name), doc=doc)


floor = _whole("floor", np.floor, "The largest integer <= input.")
ceil = _whole("ceil", np.ceil, "The smallest integer >= input.")
trunc = fix = _whole("trunc", np.trunc, "The integer part: rounding towards 0.")
_round = _whole("round", np.rint, "The nearest integer; ties go to the even one.")
frac = unary(
    "frac",
    lambda x: x - np.trunc(x),
    lambda g: g,
    result="same",
    takes="f",
    doc="input - trunc(input).",
)


_round_decimals = define(
    "round_decimals",
    lambda x, decimals: _scalar_elementary.round_decimals(x, decimals=decimals),
    {"x": flat},
)
_round_decimals.op.grad_name = "RoundBackward1"


@accepts_out
def round(input: Value, *, decimals: int = 0) -> Value:
    """The nearest number with ``decimals`` digits after the point; ties go to the even one."""
    if decimals == 0:
        return _round(input)
    if not from_numpy(input._array.dtype).is_floating_point:
        raise unsupported("round", from_numpy(input._array.dtype))
    return _round_decimals(input, decimals)


# ---- signs and magnitudes ------------------------------------------------------------------


def _no_complex_sign(x: Value) -> None:
    if x._array.dtype.kind == "c":
        raise NotImplementedError(
            "Unlike NumPy, torch.sign is not intended to support complex numbers. "
            "Please use torch.sgn instead."
        )


def _sign(x: np.ndarray) -> np.ndarray:
    if x.dtype.kind == "f":  # 0 for nan
        return np.subtract(np.greater(x, 0.0), np.less(x, 0.0), dtype=x.dtype)
    return x if x.dtype.kind == "b" else np.sign(x)


def _sgn(x: np.ndarray) -> np.ndarray:
    if x.dtype.kind != "c":
        return _sign(x)
    size = np.absolute(x)
    return np.where(size == 0, x.dtype.type(0), x / np.where(size == 0, 1, size))


def _sgn_vjp(g: Value, x: Value, y: Value) -> Value:
    if x._array.dtype.kind != "c":
        return flat(g)
    size = x.abs()
    return ((g - (g * y.conj()).real * y) / size).masked_fill(size == 0, 0)


sign = unary(
    "sign",
    _sign,
    flat,
    result="same",
    takes="biuf",
    check=_no_complex_sign,
    doc="-1, 0 or 1; 0 for nan.",
)
sgn = unary(
    "sgn",
    _sgn,
    _sgn_vjp,
    result="same",
    doc="input / |input|, and 0 at 0: the sign of a complex number too.",
)
abs_ = unary(
    "abs", np.absolute, lambda g, x: g * x.sgn(), result="same", takes="iufc", doc="|input|."
)
signbit = unary(
    "signbit",
    np.signbit,
    None,
    result="bool",
    takes="biuf",
    doc="Where the sign bit is set: -0.0 counts as negative.",
)


def _copysign_vjp(g: Value, a: Value, y: Value) -> Value:
    return g * (y / a).masked_fill(a == 0, 0)


copysign = binary(
    "copysign",
    np.copysign,
    (_copysign_vjp, flat),
    result="float",
    takes="biuf",
    numbers="second",
    doc="|input| with the sign of other, broadcast.",
)


def _heaviside(x: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.where(x == 0, values, (x > 0).astype(values.dtype))


def _same_real_dtypes(a: Value, b: Value | Number) -> None:
    x, y = a._array.dtype, b._array.dtype
    if "c" in (x.kind, y.kind):
        raise RuntimeError("heaviside is not yet implemented for complex tensors.")
    if x != y:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")


_heaviside_op = binary(
    "heaviside",
    _heaviside,
    (no_derivative("heaviside"), no_derivative("heaviside")),
    numbers="none",
)


def heaviside(input: Value, values: Value, *, out: Value | None = None) -> Value:
    """0 where ``input`` is negative, 1 where it is positive, ``values`` where it is 0.

    RuntimeError for complex tensors and for two dtypes that differ.
    """
    if isinstance(input, Value) and isinstance(values, Value):
        _same_real_dtypes(input, values)
    return _heaviside_op(input, values, out=out)


_nextafter_op = define(
    "nextafter",
    _scalar_elementary.nextafter,
    {
        "x": lambda g, x, towards: unbroadcast(g.masked_fill(x == towards, 0), x._array.shape),
        "towards": lambda g, x, towards: unbroadcast(flat(g), towards._array.shape),
    },
)


@accepts_out
def nextafter(input: Value, other: Value) -> Value:
    """The next number of the dtype after ``input`` in the direction of ``other``."""
    for name, v in (("input", input), ("other", other)):
        if not isinstance(v, Value):
            raise TypeError(f"nextafter(): argument '{name}' must be Tensor, not {type_name(v)}")
    d = result_type(input, other)
    if not d.is_floating_point:
        raise unsupported("nextafter", d)
    return _nextafter_op(as_dtype(input, d), as_dtype(other, d))


def _frexp_vjp(g: list[Value | None], y: tuple[Value, Value]) -> Value | None:
    mantissa, (_, exponent) = g[0], y
    return None if mantissa is None else mantissa * exponent.neg().to(mantissa.dtype).exp2()


frexp_op = define("frexp", _scalar_elementary.frexp, {"x": _frexp_vjp}, differentiable=(0,))


@accepts_out
def frexp(input: Value) -> return_types.frexp:
    """``(mantissa, exponent)`` with ``input == mantissa * 2**exponent``, 0.5 <= mantissa < 1."""
    if not from_numpy(input._array.dtype).is_floating_point:
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    return return_types.frexp(frexp_op(input))


absolute = abs = abs_

__all__ = [
    "abs", "absolute", "ceil", "copysign", "fix", "floor", "frac", "frexp", "heaviside",
    "nextafter", "round", "sgn", "sign", "signbit", "trunc",
]  # fmt: skip
