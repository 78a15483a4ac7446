"""Error functions, gamma functions and their relatives: records over the formulas of scalar_*.

Source of the definitions: https://docs.pytorch.org/docs/stable/special.html
"""

from __future__ import annotations

import math

import numpy as np

from ..core.op import define, unary
from ..core.promotion import widened
from ..core.twins import accepts_out
from ..core.value import Value
from . import _scalar_erf, _scalar_gamma
from .arithmetic import conjugate as conj
from .elementwise import floating

_REAL = "biuf"

# ---- the normal distribution ---------------------------------------------------------------

_TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)

erf = unary(
    "erf", _scalar_erf.erf, lambda g, x: g * (_TWO_OVER_ROOT_PI * (-x * x).exp()), takes=_REAL
)
erfc = unary(
    "erfc", _scalar_erf.erfc, lambda g, x: g * (-_TWO_OVER_ROOT_PI * (-x * x).exp()), takes=_REAL
)
erfinv = unary(
    "erfinv",
    _scalar_erf.erfinv,
    lambda g, y: g * ((y * y).exp() / _TWO_OVER_ROOT_PI),
    takes=_REAL,
)

# ---- the gamma function --------------------------------------------------------------------

lgamma = unary("lgamma", _scalar_gamma.lgamma, lambda g, x: g * x.digamma(), takes=_REAL)
digamma = unary("digamma", _scalar_gamma.digamma, lambda g, x: g * polygamma(1, x), takes=_REAL)

_polygamma_op = define(
    "polygamma",
    widened(lambda x, n: _scalar_gamma.polygamma(n, x)),
    {"x": lambda g, x, n: g * polygamma(n + 1, x)},
)


@accepts_out
def polygamma(n: int, input: Value) -> Value:
    """The ``n``-th derivative of digamma. RuntimeError for negative ``n``."""
    if n < 0:
        raise RuntimeError(f"polygamma(n, x) does not support negative n, got {n}.")
    if n == 0:
        return digamma(input)
    return _polygamma_op(floating("polygamma", input), n)


def polygamma_method(self: Value, n: int) -> Value:
    """The ``n``-th derivative of digamma at this tensor's elements."""
    return polygamma(n, self)


# ---- sin(pi x) / (pi x) --------------------------------------------------------------------


def _sinc(x: np.ndarray) -> np.ndarray:
    y = x * x.dtype.type(math.pi)
    zero = y == 0
    y = np.where(zero, y.dtype.type(1), y)
    return np.where(zero, y.dtype.type(1), np.sin(y) / y)


def _sinc_vjp(g: Value, x: Value) -> Value:
    y = x * math.pi
    slope = (y * y.cos() - y.sin()) / (y * x)
    return g * conj(slope.masked_fill(x == 0, 0))


sinc = unary("sinc", _sinc, _sinc_vjp)

__all__ = ["digamma", "erf", "erfc", "erfinv", "lgamma", "polygamma", "sinc"]
