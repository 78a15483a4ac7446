"""Functions of one number, elementwise: exponentials, roots, circular and hyperbolic ones.

A gradient keeps the result where PyTorch's does, else the input, so that the same in-place
changes are allowed. ``conj`` does nothing to real tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .._dtypes import FLOATING, from_numpy, get_default_dtype
from .._errors import type_name
from ..core import return_types
from ..core.mutation import accepts_out
from ..core.op import binary, define, unary, unsupported
from ..core.promotion import Number, result_type
from ..core.value import Value
from . import _scalar_elementary
from .arithmetic import as_dtype, flat, no_derivative, unbroadcast
from .arithmetic import conjugate as conj

# ---- exponentials, logarithms, roots -------------------------------------------------------

_LN2, _LN10 = math.log(2), math.log(10)


def _expm1(x: np.ndarray) -> np.ndarray:
    return _scalar_elementary.expm1(x) if x.dtype.kind == "c" else np.expm1(x)


def _log1p(x: np.ndarray) -> np.ndarray:
    return _scalar_elementary.log1p(x) if x.dtype.kind == "c" else np.log1p(x)


exp = unary("exp", np.exp, lambda g, y: g * conj(y), doc="e ** input.")
exp2 = unary("exp2", np.exp2, lambda g, y: g * conj(y * _LN2), doc="2 ** input.")
expm1 = unary("expm1", _expm1, lambda g, y: g * conj(y + 1.0), doc="exp(input) - 1, exact near 0.")
log = unary("log", np.log, lambda g, x: g / conj(x), doc="The natural logarithm.")
log2 = unary("log2", np.log2, lambda g, x: g / conj(x * _LN2), doc="The logarithm to base 2.")
log10 = unary("log10", np.log10, lambda g, x: g / conj(x * _LN10), doc="The logarithm to base 10.")
log1p = unary("log1p", _log1p, lambda g, x: g / conj(x + 1), doc="log(1 + input), exact near 0.")

sqrt = unary("sqrt", np.sqrt, lambda g, y: g / conj(2 * y), doc="The square root; nan below 0.")
rsqrt = unary(
    "rsqrt",
    lambda x, out=None: np.reciprocal(np.sqrt(x, out=out), out=out),
    lambda g, y: g * conj(y * y * y) * -0.5,
    doc="1 / sqrt(input).",
)

# ---- circular and hyperbolic ---------------------------------------------------------------

sin = unary("sin", np.sin, lambda g, x: g * conj(x.cos()), doc="The sine, in radians.")
cos = unary("cos", np.cos, lambda g, x: g * -conj(x.sin()), doc="The cosine, in radians.")
tan = unary("tan", np.tan, lambda g, y: g * conj(1 + y * y), doc="The tangent, in radians.")
asin = unary(
    "asin",
    np.arcsin,
    lambda g, x: g * conj((1 - x * x).rsqrt()),
    doc="The angle in [-pi/2, pi/2] whose sine is input.",
)
acos = unary(
    "acos",
    np.arccos,
    lambda g, x: g * -conj((1 - x * x).rsqrt()),
    doc="The angle in [0, pi] whose cosine is input.",
)
atan = unary(
    "atan",
    np.arctan,
    lambda g, x: g / conj(x * x + 1),
    doc="The angle in (-pi/2, pi/2) whose tangent is input.",
)
sinh = unary("sinh", np.sinh, lambda g, x: g * conj(x.cosh()), doc="The hyperbolic sine.")
cosh = unary("cosh", np.cosh, lambda g, x: g * conj(x.sinh()), doc="The hyperbolic cosine.")
asinh = unary(
    "asinh",
    np.arcsinh,
    lambda g, x: g * conj((x * x + 1).rsqrt()),
    doc="The number whose hyperbolic sine is input.",
)
acosh = unary(
    "acosh",
    np.arccosh,
    lambda g, x: g * conj((x - 1).rsqrt() * (x + 1).rsqrt()),
    doc="The number >= 0 whose hyperbolic cosine is input.",
)
atanh = unary(
    "atanh",
    np.arctanh,
    lambda g, x: g / conj(1 - x * x),
    doc="The number whose hyperbolic tangent is input.",
)
arcsin, arccos, arctan, arcsinh, arccosh, arctanh = asin, acos, atan, asinh, acosh, atanh


def _tanh_slope(g: np.ndarray, y: np.ndarray) -> np.ndarray:
    slope = np.subtract(1.0, np.multiply(y, y))
    return np.multiply(g, np.conjugate(slope) if slope.dtype.kind == "c" else slope)


# One operation instead of three, since networks take this gradient so often.
_tanh_backward = binary(
    "tanh_backward",
    _tanh_slope,
    (
        lambda g, b: _tanh_backward(g, b.conj()),
        lambda g, a, b: conj(g) * (-2.0 * a * conj(b)),
    ),
    takes="fc",
)
tanh = unary("tanh", np.tanh, lambda g, y: _tanh_backward(g, y), doc="The hyperbolic tangent.")


def _sigmoid(x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    if out is None:
        return np.reciprocal(np.add(np.exp(np.negative(x)), 1.0))
    np.negative(x, out=out)
    np.exp(out, out=out)
    np.add(out, 1.0, out=out)
    return np.reciprocal(out, out=out)


def _sigmoid_slope(g: np.ndarray, y: np.ndarray) -> np.ndarray:
    slope = np.multiply(np.subtract(1.0, y), y)
    return np.multiply(g, np.conjugate(slope) if slope.dtype.kind == "c" else slope)


_sigmoid_backward = binary(
    "sigmoid_backward",
    _sigmoid_slope,
    (
        lambda g, b: _sigmoid_backward(g, b.conj()),
        lambda g, a, b: conj(g) * (a * conj(1.0 - 2.0 * b)),
    ),
    takes="fc",
)
sigmoid = unary(
    "sigmoid", _sigmoid, lambda g, y: _sigmoid_backward(g, y), doc="1 / (1 + exp(-input))."
)


def _logit_vjp(g: Value, x: Value, eps: float | None) -> Value:
    slope = 1 / (x * (1 - x))
    if eps is None:
        return (g * slope).masked_fill((x < 0) | (x > 1), math.nan)
    return (g * slope).masked_fill((x < eps) | (x > 1 - eps), 0)


_logit_op = define("logit", lambda x, eps: _scalar_elementary.logit(x, eps=eps), {"x": _logit_vjp})


def floating(name: str, input: Value) -> Value:
    """``input``, converted to the default dtype if it is integral. RuntimeError for complex."""
    d = from_numpy(input._array.dtype)
    if d.is_complex:
        raise unsupported(name, d)
    return input if d.category >= FLOATING else input.to(get_default_dtype())


@accepts_out
def logit(input: Value, eps: float | None = None) -> Value:
    """``log(input / (1 - input))``; with ``eps`` the input is kept within [eps, 1 - eps]."""
    return _logit_op(floating("logit", input), eps)


# ---- angles in degrees ---------------------------------------------------------------------


def _no_complex(name: str) -> Callable[[Value], None]:
    def check(x: Value) -> None:
        if x._array.dtype.kind == "c":
            raise RuntimeError(f"{name} is not supported for complex tensors.")

    return check


_DEGREE = math.pi / 180
deg2rad = unary(
    "deg2rad",
    lambda x: x * _DEGREE,
    lambda g: g * _DEGREE,
    takes="biuf",
    check=_no_complex("deg2rad"),
    doc="input * pi / 180.",
)
rad2deg = unary(
    "rad2deg",
    lambda x: x / _DEGREE,
    lambda g: g / _DEGREE,
    takes="biuf",
    check=_no_complex("rad2deg"),
    doc="input * 180 / pi.",
)


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
    "abs",
    "absolute",
    "acos",
    "acosh",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctanh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "ceil",
    "copysign",
    "cos",
    "cosh",
    "deg2rad",
    "exp",
    "exp2",
    "expm1",
    "fix",
    "floor",
    "frac",
    "frexp",
    "heaviside",
    "log",
    "log10",
    "log1p",
    "log2",
    "logit",
    "nextafter",
    "rad2deg",
    "round",
    "rsqrt",
    "sgn",
    "sigmoid",
    "sign",
    "signbit",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
]
