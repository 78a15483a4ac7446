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
from ._scalar_elementary import (
    choose,
    elementwise,
    entr,
    expit,
    expm1,
    float_type,
    frexp,
    ldexp,
    log1p,
    log1p_near,
    log_sigmoid,
    logaddexp,
    logaddexp2,
    logit,
    nextafter,
    ratio,
    round_decimals,
    sinc,
    softplus,
    table32,
    tanh,
    via_float32,
    xlog1py,
    xlogy,
)
from ._scalar_erf import erf, erfc, erfcx, erfinv, log_ndtr, ndtr, ndtri
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
