"""Functions of one number, elementwise: exponentials, logarithms, roots, circular and hyperbolic.

A gradient keeps the result where PyTorch's does, else the input, so that the same in-place
changes are allowed. ``conjugate`` does nothing for real tensors.
"""

from __future__ import annotations

import numpy as np

from ..core.op import unary
from .arithmetic import conjugate as conj

_LN2, _LN10 = 0.6931471805599453, 2.302585092994046

exp = unary("exp", np.exp, lambda g, y: g * conj(y))
exp2 = unary("exp2", np.exp2, lambda g, y: g * conj(y) * _LN2)
expm1 = unary("expm1", np.expm1, lambda g, y: g * conj(y + 1))
log = unary("log", np.log, lambda g, x: g / conj(x))
log2 = unary("log2", np.log2, lambda g, x: g / conj(x * _LN2))
log10 = unary("log10", np.log10, lambda g, x: g / conj(x * _LN10))
log1p = unary("log1p", np.log1p, lambda g, x: g / conj(x + 1))

sqrt = unary("sqrt", np.sqrt, lambda g, y: g / conj(2 * y))
rsqrt = unary("rsqrt", lambda x: np.reciprocal(np.sqrt(x)), lambda g, y: g * conj(y * y * y) * -0.5)

sin = unary("sin", np.sin, lambda g, x: g * conj(x.cos()))
cos = unary("cos", np.cos, lambda g, x: g * -conj(x.sin()))
tan = unary("tan", np.tan, lambda g, y: g * conj(1 + y * y))
asin = unary("asin", np.arcsin, lambda g, x: g * conj((1 - x * x).rsqrt()))
acos = unary("acos", np.arccos, lambda g, x: g * -conj((1 - x * x).rsqrt()))
atan = unary("atan", np.arctan, lambda g, x: g / conj(x * x + 1))
sinh = unary("sinh", np.sinh, lambda g, x: g * conj(x.cosh()))
cosh = unary("cosh", np.cosh, lambda g, x: g * conj(x.sinh()))
tanh = unary("tanh", np.tanh, lambda g, y: g * (1 - conj(y * y)))
asinh = unary("asinh", np.arcsinh, lambda g, x: g * conj((x * x + 1).rsqrt()))
acosh = unary("acosh", np.arccosh, lambda g, x: g * conj((x - 1).rsqrt() * (x + 1).rsqrt()))
atanh = unary("atanh", np.arctanh, lambda g, x: g / conj(1 - x * x))
arcsin, arccos, arctan, arcsinh, arccosh, arctanh = asin, acos, atan, asinh, acosh, atanh


def _sigmoid(x: np.ndarray) -> np.ndarray:
    y = np.exp(np.negative(x))
    return np.reciprocal(y + 1)


sigmoid = unary("sigmoid", _sigmoid, lambda g, y: g * (conj(1 - y) * conj(y)))

__all__ = [
    "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "asin", "asinh",
    "atan", "atanh", "cos", "cosh", "exp", "exp2", "expm1", "log", "log10", "log1p", "log2", "rsqrt",
    "sigmoid", "sin", "sinh", "sqrt", "tan", "tanh",
]  # fmt: skip
