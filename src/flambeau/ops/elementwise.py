"""Functions of one number, elementwise: exponentials, roots, circular and hyperbolic ones.

A gradient keeps the result where PyTorch's does, else the input, so that the same in-place
changes are allowed. ``conj`` does nothing to real tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .._dtypes import FLOATING, from_numpy, get_default_dtype
from ..core.op import binary, define, unary, unsupported
from ..core.twins import accepts_out
from ..core.value import Value
from . import _scalar_elementary
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

__all__ = [
    "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "asin", "asinh",
    "atan", "atanh", "cos", "cosh", "deg2rad", "exp", "exp2", "expm1", "log", "log10", "log1p",
    "log2", "logit", "rad2deg", "rsqrt", "sigmoid", "sin", "sinh", "sqrt", "tan", "tanh",
]  # fmt: skip
