"""Error functions, gamma functions and their relatives: records over ``scalar_math``.

Source of the definitions: https://docs.pytorch.org/docs/stable/special.html
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..core.mutation import accepts_out
from ..core.op import binary, define, unary
from ..core.promotion import Number
from ..core.value import Value
from . import scalar_math
from .arithmetic import conjugate as conj
from .arithmetic import no_derivative
from .elementwise import floating

_REAL = "biuf"
_ROOT_PI, _ROOT_2, _ROOT_2PI = math.sqrt(math.pi), math.sqrt(2), math.sqrt(2 * math.pi)


def _real(name: str, forward: Callable, vjp: Callable | None, *, doc: str) -> Callable:
    return unary(name, forward, vjp, takes=_REAL, doc=doc)


# ---- the normal distribution ---------------------------------------------------------------

erf = _real(
    "erf",
    scalar_math.erf,
    lambda g, x: g * ((-x * x).exp() * (2 / _ROOT_PI)),
    doc="2/sqrt(pi) times the integral of exp(-t**2) from 0 to input.",
)
erfc = _real(
    "erfc",
    scalar_math.erfc,
    lambda g, x: g * ((-x * x).exp() * (-2 / _ROOT_PI)),
    doc="1 - erf(input) without cancellation.",
)
erfinv = _real(
    "erfinv",
    scalar_math.erfinv,
    lambda g, y: g * ((y * y).exp() * (_ROOT_PI / 2)),
    doc="The number in [-inf, inf] whose erf is input, in [-1, 1].",
)
erfcx = _real(
    "special_erfcx",
    scalar_math.erfcx,
    lambda g, x, y: g * (2 * x * y - 2 / _ROOT_PI),
    doc="exp(input**2) * erfc(input).",
)
ndtr = _real(
    "ndtr",
    scalar_math.ndtr,
    lambda g, x: g * ((x * x * -0.5).exp() / _ROOT_2PI),
    doc="The normal distribution function: the integral of its density up to input.",
)
ndtri = _real(
    "special_ndtri",
    scalar_math.ndtri,
    lambda g, y: g * ((y * y * 0.5).exp() * _ROOT_2PI),
    doc="The number whose ndtr is input, in [0, 1].",
)
log_ndtr = _real(
    "special_log_ndtr",
    scalar_math.log_ndtr,
    lambda g, x: g / (erfcx(x / -_ROOT_2) * (_ROOT_2PI / 2)),
    doc="log(ndtr(input)).",
)
entr = _real(
    "special_entr",
    scalar_math.entr,
    lambda g, x: g * -(x.log() + 1),
    doc="-input * log(input); 0 at 0, -inf below.",
)

# ---- the gamma function --------------------------------------------------------------------

lgamma = _real(
    "lgamma", scalar_math.lgamma, lambda g, x: g * x.digamma(), doc="log |gamma(input)|."
)
digamma = _real(
    "digamma",
    scalar_math.digamma,
    lambda g, x: g * polygamma(1, x),
    doc="The derivative of lgamma.",
)

_polygamma_op = define(
    "polygamma",
    lambda x, n: scalar_math.polygamma(n, x),
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


def _mvlgamma_vjp(g: Value, x: Value, p: int) -> Value:
    slope = x.digamma()
    for j in range(1, p):
        slope = slope + (x - 0.5 * j).digamma()
    return g * slope


_mvlgamma_op = define("mvlgamma", lambda x, p: scalar_math.multigammaln(x, p), {"x": _mvlgamma_vjp})


@accepts_out
def mvlgamma(input: Value, p: int) -> Value:
    """The logarithm of the multivariate gamma function of dimension ``p >= 1``."""
    if p < 1:
        raise RuntimeError(f"p has to be greater than or equal to 1, got {p}")
    return _mvlgamma_op(floating("mvlgamma", input), p)


def _density(g: Value, a: Value, b: Value) -> Value:
    """d/dx of the regularised incomplete gamma function: x^(a-1) exp(-x) / gamma(a)."""
    return g * ((a - 1) * b.log() - b - a.lgamma()).exp()


igamma = binary(
    "igamma",
    scalar_math.gammainc,
    (no_derivative("igamma: input"), _density),
    takes="f",
    numbers="none",
    doc="The regularised lower incomplete gamma function P(input, other).",
)
igammac = binary(
    "igammac",
    scalar_math.gammaincc,
    (no_derivative("igammac: input"), lambda g, a, b: -_density(g, a, b)),
    takes="f",
    numbers="none",
    doc="The regularised upper incomplete gamma function Q(input, other) = 1 - P.",
)
zeta = binary(
    "special_zeta",
    scalar_math.zeta,
    (no_derivative("zeta"), lambda g, a, b: g * (-a * zeta(a + 1, b))),
    result="float",
    takes=_REAL,
    doc="The Hurwitz zeta function: the sum of (other + k) ** -input over k >= 0.",
)

# ---- products with a logarithm -------------------------------------------------------------


def _logarithm(b: Value | Number, one_more: bool) -> Value | Number:
    if isinstance(b, Value):
        return b.log1p() if one_more else b.log()
    return float(np.log1p(np.float64(b)) if one_more else np.log(np.float64(b)))


def _factor_vjp(one_more: bool) -> Callable:
    """The gradient to x of x log(y): log(y), and 0 where x is 0 and log(y) infinite or nan."""
    edge = -1 if one_more else 0

    def vjp(g: Value, a: Value, b: Value | Number) -> Value:
        if not isinstance(b, Value):
            slope = g * _logarithm(b, one_more)
            return slope.masked_fill(a == 0, 0) if b <= edge else slope
        return (g * _logarithm(b, one_more)).masked_fill((a == 0) & (b <= edge), 0)

    return vjp


xlogy = binary(
    "xlogy",
    scalar_math.xlogy,
    (_factor_vjp(False), lambda g, a, b: g * a / b),
    result="float",
    takes=_REAL,
    doc="input * log(other), and 0 where input is 0.",
)
xlog1py = binary(
    "special_xlog1py",
    scalar_math.xlog1py,
    (_factor_vjp(True), lambda g, a, b: g * a / (b + 1)),
    result="float",
    takes=_REAL,
    doc="input * log(1 + other), and 0 where input is 0.",
)

# ---- Bessel functions ----------------------------------------------------------------------


def _i1_vjp(g: Value, x: Value, y: Value) -> Value:
    zero = x == 0
    return g * (i0(x) - y / x.masked_fill(zero, 1)).masked_fill(zero, 0.5)


def _i1e_vjp(g: Value, x: Value, y: Value) -> Value:
    zero = x == 0
    inverse = x.masked_fill(zero, 1).reciprocal()
    return g * (i0e(x) - y * (x.sgn() + inverse)).masked_fill(zero, 0.5)


i0 = _real(
    "i0",
    scalar_math.i0,
    lambda g, x: g * i1(x),
    doc="The modified Bessel function of the first kind, order 0.",
)
i0e = _real(
    "special_i0e",
    scalar_math.i0e,
    lambda g, x, y: g * (i1e(x) - x.sgn() * y),
    doc="exp(-|input|) * i0(input).",
)
i1 = _real(
    "special_i1",
    scalar_math.i1,
    _i1_vjp,
    doc="The modified Bessel function of the first kind, order 1.",
)
i1e = _real("special_i1e", scalar_math.i1e, _i1e_vjp, doc="exp(-|input|) * i1(input).")


def _without_gradient(name: str) -> Callable:
    """PyTorch has no gradient for these: its results never require grad."""
    forward = getattr(scalar_math, name)
    return _real("special_" + name, forward, None, doc=forward.__doc__)


airy_ai = _without_gradient("airy_ai")
bessel_j0 = _without_gradient("bessel_j0")
bessel_j1 = _without_gradient("bessel_j1")
bessel_y0 = _without_gradient("bessel_y0")
bessel_y1 = _without_gradient("bessel_y1")
modified_bessel_i0 = _without_gradient("modified_bessel_i0")
modified_bessel_i1 = _without_gradient("modified_bessel_i1")
modified_bessel_k0 = _without_gradient("modified_bessel_k0")
modified_bessel_k1 = _without_gradient("modified_bessel_k1")
scaled_modified_bessel_k0 = _without_gradient("scaled_modified_bessel_k0")
scaled_modified_bessel_k1 = _without_gradient("scaled_modified_bessel_k1")
spherical_bessel_j0 = _without_gradient("spherical_bessel_j0")

# ---- orthogonal polynomials ----------------------------------------------------------------


def _polynomial(name: str) -> Callable:
    forward = getattr(scalar_math, name)
    return binary(
        "special_" + name, forward, None, result="float", takes=_REAL, doc=forward.__doc__
    )


chebyshev_polynomial_t = _polynomial("chebyshev_polynomial_t")
chebyshev_polynomial_u = _polynomial("chebyshev_polynomial_u")
chebyshev_polynomial_v = _polynomial("chebyshev_polynomial_v")
chebyshev_polynomial_w = _polynomial("chebyshev_polynomial_w")
hermite_polynomial_h = _polynomial("hermite_polynomial_h")
hermite_polynomial_he = _polynomial("hermite_polynomial_he")
laguerre_polynomial_l = _polynomial("laguerre_polynomial_l")
legendre_polynomial_p = _polynomial("legendre_polynomial_p")
shifted_chebyshev_polynomial_t = _polynomial("shifted_chebyshev_polynomial_t")
shifted_chebyshev_polynomial_u = _polynomial("shifted_chebyshev_polynomial_u")
shifted_chebyshev_polynomial_v = _polynomial("shifted_chebyshev_polynomial_v")
shifted_chebyshev_polynomial_w = _polynomial("shifted_chebyshev_polynomial_w")

# ---- sin(pi x) / (pi x) --------------------------------------------------------------------


def _sinc_vjp(g: Value, x: Value) -> Value:
    y = x * math.pi
    slope = (y * y.cos() - y.sin()) / (y * x)
    return g * conj(slope.masked_fill(x == 0, 0))


sinc = unary("sinc", scalar_math.sinc, _sinc_vjp, doc="sin(pi * input) / (pi * input), and 1 at 0.")

__all__ = [
    "digamma", "erf", "erfc", "erfinv", "i0", "igamma", "igammac", "lgamma", "mvlgamma",
    "polygamma", "sinc", "xlogy",
]  # fmt: skip
