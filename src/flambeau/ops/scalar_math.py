"""Functions of one number that NumPy lacks, on arrays: the special functions and their like.

Each takes array-likes that broadcast and returns an ndarray (0-d for 0-d input) of the floating
type of its arguments (`_scalar_apply.float_type`); float16 and bfloat16 are computed in float32.
``f.__wrapped__`` is the bare formula on flat float32 or float64 arrays: ufuncs, `polynomial`,
`ratio` and `choose` on tables of coefficients, which a kernel generator can follow.

Here: elementary functions that NumPy lacks or has slowly, orthogonal polynomials, and the names of
all others. Most run in float32 for float32; stated errors are in units in the last place.
Functions that say "complex" take complex64 and complex128 too. Edge cases as PyTorch's.
"""

# ruff: noqa: F401  (this module is where the imported functions are found)

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from ._scalar_apply import choose, elementwise, float_type, ratio, table32, via_float32
from ._scalar_bessel import (
    airy_ai,
    bessel_j0,
    bessel_j1,
    bessel_y0,
    bessel_y1,
    i0,
    i0e,
    i1,
    i1e,
    k0,
    k0e,
    k1,
    k1e,
    spherical_bessel_j0,
)
from ._scalar_erf import erf, erfc, erfcx, erfinv, log1p_near, log_ndtr, ndtr, ndtri
from ._scalar_gamma import (
    digamma,
    gammainc,
    gammaincc,
    lgamma,
    multigammaln,
    polygamma,
    trigamma,
    zeta,
)

_LOG2 = math.log(2.0)
# (1 - log(1 + u)/u)/u on [0, 1]: weighted least-squares fit (Lawson's iteration, 40 digits).
_LOG1P_REST = (
    table32(-0.0005073944, 0.0062677697, 0.3287982, 0.49999976),
    table32(0.39548486, 1.3242501, 1.0),
)


def _or_complex(formula: Callable[..., np.ndarray]) -> Callable[[Callable], Callable]:
    """Decorator for a real function: complex arguments go to ``formula`` instead."""

    def decorate(real: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
        @functools.wraps(real)
        def apply(*arguments: object) -> np.ndarray:
            if not any(np.iscomplexobj(a) for a in arguments):
                return real(*arguments)
            with np.errstate(all="ignore"):
                return np.asarray(formula(*(np.asarray(a) for a in arguments)))

        return apply

    return decorate


def _as_complex(real: np.ndarray, imaginary: np.ndarray, dtype: np.dtype) -> np.ndarray:
    out = np.empty(real.shape, dtype)
    out.real, out.imag = real, imaginary
    return out


def _log1p_unit(u: np.ndarray) -> np.ndarray:
    """log(1 + u) for 0 <= u <= 1; in float32 from a table, two roundings better than by np.log."""
    if u.dtype == np.float64:
        return log1p_near(u)
    return u - u * u * ratio(u, _LOG1P_REST)


def _expit_complex(z: np.ndarray) -> np.ndarray:
    e = np.exp(np.where(z.real < 0.0, z, -z))  # never overflows
    return np.where(z.real < 0.0, e, 1.0) / (1.0 + e)


@_or_complex(_expit_complex)
@elementwise()
def expit(x: np.ndarray) -> np.ndarray:
    """Logistic sigmoid 1/(1 + exp(-x)), complex too. Error <= 4 ulp; 0 where exp(-x) overflows."""
    e = np.exp(-x)
    e += 1.0
    return np.divide(1.0, e, out=e)


@elementwise()
def log_sigmoid(x: np.ndarray) -> np.ndarray:
    """log(expit(x)) = min(x, 0) - log(1 + exp(-|x|)). Error <= 3 ulp."""
    return np.minimum(x, 0.0) - _log1p_unit(np.exp(-np.abs(x)))


@elementwise()
def softplus(x: np.ndarray, *, beta: float = 1.0, threshold: float = 20.0) -> np.ndarray:
    """log(1 + exp(beta x))/beta, and x itself where beta x > threshold, as PyTorch defines it.

    Error <= 3 ulp below the threshold.
    """
    z = x * beta
    value = (np.maximum(z, 0.0) + _log1p_unit(np.exp(-np.abs(z)))) / beta
    return np.where(z > threshold, x, value)


@elementwise(double=True)
def logit(x: np.ndarray, *, eps: float | None = None) -> np.ndarray:
    """log(x/(1 - x)), with x clamped to [eps, 1 - eps] first if eps is given; nan outside [0, 1].

    Error <= 3 ulp, also beside the zero at 1/2.
    """
    if eps is not None:
        x = np.minimum(np.maximum(x, eps), 1.0 - eps)
    return choose(
        np.abs(x - 0.5) < 0.25,
        lambda x: log1p_near((x - 0.5) / (0.5 * (1.0 - x))),
        lambda x: np.log(x / (1.0 - x)),
        x,
    )


@elementwise(double=True)
def entr(x: np.ndarray) -> np.ndarray:
    """Entropy's term: -x log(x) for x > 0, 0 at 0, -inf for x < 0."""
    value = -x * np.log(np.abs(x))
    return np.where(x == 0.0, 0.0, np.where(x < 0.0, -np.inf, value))


@elementwise()
def xlogy(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x log(y), and 0 at x = 0 whatever y is, except nan."""
    return np.where((x == 0.0) & (y == y), 0.0, x * np.log(y))


@elementwise()
def xlog1py(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x log(1 + y), and 0 at x = 0 whatever y is, except nan."""
    return np.where((x == 0.0) & (y == y), 0.0, x * np.log1p(y))


def _logaddexp_complex(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    swap = x.real < y.real
    larger, smaller = np.where(swap, y, x), np.where(swap, x, y)
    same = np.isinf(larger.real) & (x == y)
    value = larger + _log1p_complex(np.exp(np.where(same, 0.0, smaller - larger)))
    return np.where(np.isnan(x) | np.isnan(y), complex(np.nan, np.nan), value)


@_or_complex(_logaddexp_complex)
@elementwise()
def logaddexp(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """log(exp(x) + exp(y)), complex too. Error <= 2 ulp of the larger of |x|, |y| and 1."""
    distance = np.where(x == y, 0.0, np.abs(x - y))  # inf - inf is 0 here
    return np.maximum(x, y) + _log1p_unit(np.exp(-distance))


@elementwise()
def logaddexp2(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """log2(2^x + 2^y). Error <= 2 ulp of the larger of |x|, |y| and 1."""
    distance = np.where(x == y, 0.0, np.abs(x - y))
    return np.maximum(x, y) + _log1p_unit(np.exp(distance * -_LOG2)) * (1.0 / _LOG2)


def _sinc_complex(z: np.ndarray) -> np.ndarray:
    scaled = z * math.pi
    return np.where(z == 0.0, 1.0, np.sin(scaled) / np.where(z == 0.0, 1.0, scaled))


@_or_complex(_sinc_complex)
@elementwise()
def sinc(x: np.ndarray) -> np.ndarray:
    """sin(pi x)/(pi x), complex too; 1 at 0, exactly 0 at other integers. Error <= 4 ulp."""
    whole = np.rint(x)
    odd = np.abs(whole - 2.0 * np.rint(0.5 * whole))
    sine = np.sin((x - whole) * math.pi) * (1.0 - 2.0 * odd)
    return np.where(x == 0.0, 1.0, sine / (x * math.pi))


def _log1p_complex(z: np.ndarray) -> np.ndarray:
    x, y = z.real, z.imag
    near = 0.5 * np.log1p(x * (2.0 + x) + y * y)  # log|1 + z| where |z| is small
    far = np.log(np.hypot(1.0 + x, y))
    real = np.where(np.hypot(x, y) < 0.5, near, far)
    return _as_complex(real, np.arctan2(y, 1.0 + x), z.dtype)


@_or_complex(_log1p_complex)
@elementwise()
def log1p(x: np.ndarray) -> np.ndarray:
    """log(1 + x), complex too."""
    return np.log1p(x)


def _expm1_complex(z: np.ndarray) -> np.ndarray:
    x, y = z.real, z.imag
    half = np.sin(0.5 * y)
    growth = np.exp(x)
    real = np.expm1(x) * np.cos(y) - 2.0 * half * half
    return _as_complex(real, np.where(y == 0.0, y, growth * np.sin(y)), z.dtype)


@_or_complex(_expm1_complex)
@elementwise()
def expm1(x: np.ndarray) -> np.ndarray:
    """exp(x) - 1, complex too."""
    return np.expm1(x)


@elementwise()
def round_decimals(x: np.ndarray, *, decimals: int = 0) -> np.ndarray:
    """x to ``decimals`` digits after the point, halves to even of the scaled value, as PyTorch.

    Like there, no digit is looked up in decimal: the value is scaled by 10^|decimals|, rounded and
    scaled back in x's own precision; overflow on the way stays.
    """
    scale = np.array(10.0 ** abs(decimals)).astype(x.dtype)
    return np.rint(x * scale) / scale if decimals >= 0 else np.rint(x / scale) * scale


def frexp(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mantissa in [1/2, 1) with x's sign and int32 exponent, x = mantissa * 2^exponent."""
    mantissa, exponent = via_float32(np.frexp)(x)
    return np.asarray(mantissa), np.asarray(np.where(np.isfinite(x), exponent, 0), np.int32)


@elementwise()
def ldexp(x: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """x * 2^exponent, the power taken first in the result's type, so that it may overflow."""
    return x * np.exp2(exponent)


def nextafter(x: np.ndarray, towards: np.ndarray) -> np.ndarray:
    """The next number of x's type from x towards the other; equal ones give ``towards``."""
    dtype = float_type((x, towards))
    with np.errstate(all="ignore"):
        return np.asarray(np.nextafter(np.asarray(x, dtype), np.asarray(towards, dtype)))


@elementwise()
def tanh(x: np.ndarray) -> np.ndarray:
    """Hyperbolic tangent; float16 and bfloat16 through float32."""
    return np.tanh(x)


# ---- orthogonal polynomials of degree n at x, both broadcast -------------------------------
# Definitions: DLMF 18.3, 18.9. As in PyTorch, a degree that is not whole is cut towards zero, one
# below zero gives 0, and Chebyshev polynomials of degree above 6 or 8 use sines and cosines
# between -1 and 1. Three-term recurrences elsewhere, in float64.

_Formula = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _recurrence(
    x: np.ndarray,
    n: np.ndarray,
    first: np.ndarray,
    step: Callable[[float, np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """p_n(x) where p_0 = 1, p_1 = ``first`` and p_k+1 = step(k, p_k, p_k-1)."""
    n = np.where(np.isnan(n), -1.0, np.trunc(n))
    value = np.where(n < 0.0, 0.0, np.where(n == 1.0, first, 1.0))
    before, now = np.ones_like(x), first
    top = n.max()
    k = 1.0
    while k < top:
        before, now = now, step(k, now, before)
        k += 1.0
        value = np.where(n == k, now, value)
        if k % 64 == 0.0 and np.isnan(now).all():
            return np.where(n > k, np.nan, value)
    return value


def _sines(x: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """acos|x|, and what restores the sign: p_n(-x) = (-1)^n p_n(x)."""
    odd_sign = np.where(x < 0.0, -1.0, 1.0)
    return np.arccos(np.abs(x)), lambda n: np.where(np.fmod(n, 2.0) == 0.0, 1.0, odd_sign)


def _t(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    angle, sign = _sines(x)
    return sign(n) * np.cos(n * angle)


def _u(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    angle, sign = _sines(x)
    return sign(n) * np.where(angle == 0.0, n + 1.0, np.sin((n + 1.0) * angle) / np.sin(angle))


def _v_or_w(x: np.ndarray, n: np.ndarray, w: bool) -> np.ndarray:
    """V, W: cos, sin((n + 1/2) angle) over cos, sin(angle/2). V_n(-x) = (-1)^n W_n(x)."""
    angle, sign = _sines(x)
    upper, lower = (n + 0.5) * angle, 0.5 * angle
    sines = np.where(angle == 0.0, 2.0 * n + 1.0, np.sin(upper) / np.sin(lower))
    cosines = np.cos(upper) / np.cos(lower)
    return sign(n) * np.where((x < 0.0) != w, sines, cosines)


def _chebyshev(
    x: np.ndarray, n: np.ndarray, limit: float, first: np.ndarray, formula: _Formula
) -> np.ndarray:
    """The recurrence, or ``formula`` for |x| <= 1 and degrees above ``limit``."""
    n = np.trunc(n)

    def recurrence(x: np.ndarray, n: np.ndarray, first: np.ndarray) -> np.ndarray:
        return _recurrence(x, n, first, lambda k, now, before: 2.0 * x * now - before)

    def direct(x: np.ndarray, n: np.ndarray, first: np.ndarray) -> np.ndarray:
        return formula(x, n)

    return choose((np.abs(x) <= 1.0) & (n > limit), direct, recurrence, x, n, first)


@elementwise(double=True)
def chebyshev_polynomial_t(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    """T_n(x) = cos(n acos x), the first kind."""
    return _chebyshev(x, n, 6.0, x, _t)


@elementwise(double=True)
def chebyshev_polynomial_u(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    """U_n(x) = sin((n + 1) acos x) / sin(acos x), the second kind."""
    return _chebyshev(x, n, 8.0, 2.0 * x, _u)


@elementwise(double=True)
def chebyshev_polynomial_v(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    """V_n(x) = cos((n + 1/2) acos x) / cos(acos(x)/2), the third kind."""
    return _chebyshev(x, n, 8.0, 2.0 * x - 1.0, lambda x, n: _v_or_w(x, n, w=False))


@elementwise(double=True)
def chebyshev_polynomial_w(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    """W_n(x) = sin((n + 1/2) acos x) / sin(acos(x)/2), the fourth kind."""
    return _chebyshev(x, n, 8.0, 2.0 * x + 1.0, lambda x, n: _v_or_w(x, n, w=True))


def _shifted(kernel: Callable[..., np.ndarray], name: str) -> Callable[..., np.ndarray]:
    """The same polynomial of 2x - 1: from [-1, 1] to [0, 1]."""
    flat = kernel.__wrapped__

    def shifted(x: np.ndarray, n: np.ndarray) -> np.ndarray:
        return flat(2.0 * x - 1.0, n)

    shifted.__name__ = shifted.__qualname__ = f"shifted_{name}"
    shifted.__doc__ = f"{name} at 2x - 1, orthogonal on [0, 1]."
    return elementwise(double=True)(shifted)


shifted_chebyshev_polynomial_t = _shifted(chebyshev_polynomial_t, "chebyshev_polynomial_t")
shifted_chebyshev_polynomial_u = _shifted(chebyshev_polynomial_u, "chebyshev_polynomial_u")
shifted_chebyshev_polynomial_v = _shifted(chebyshev_polynomial_v, "chebyshev_polynomial_v")
shifted_chebyshev_polynomial_w = _shifted(chebyshev_polynomial_w, "chebyshev_polynomial_w")


@elementwise(double=True)
def hermite_polynomial_h(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Physicists' H_n(x): H_k+1 = 2x H_k - 2k H_k-1."""
    return _recurrence(x, n, 2.0 * x, lambda k, now, before: 2.0 * (x * now - k * before))


@elementwise(double=True)
def hermite_polynomial_he(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Probabilists' He_n(x): He_k+1 = x He_k - k He_k-1."""
    return _recurrence(x, n, x, lambda k, now, before: x * now - k * before)


@elementwise(double=True)
def laguerre_polynomial_l(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    """L_n(x): (k + 1) L_k+1 = (2k + 1 - x) L_k - k L_k-1."""

    def step(k: float, now: np.ndarray, before: np.ndarray) -> np.ndarray:
        return ((2.0 * k + 1.0 - x) * now - k * before) / (k + 1.0)

    return _recurrence(x, n, 1.0 - x, step)


@elementwise(double=True)
def legendre_polynomial_p(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    """P_n(x): (k + 1) P_k+1 = (2k + 1) x P_k - k P_k-1."""

    def step(k: float, now: np.ndarray, before: np.ndarray) -> np.ndarray:
        return ((2.0 * k + 1.0) * x * now - k * before) / (k + 1.0)

    return _recurrence(x, n, x, step)


# PyTorch's longer names of the same functions.
gammaln = lgamma
igamma, igammac = gammainc, gammaincc
modified_bessel_i0, modified_bessel_i1 = i0, i1
modified_bessel_k0, modified_bessel_k1 = k0, k1
psi = digamma
scaled_modified_bessel_k0, scaled_modified_bessel_k1 = k0e, k1e
sigmoid = expit
