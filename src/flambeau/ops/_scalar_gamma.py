"""Gamma function's logarithm and its derivatives: lgamma, digamma, trigamma, polygamma, zeta.

The coefficients are weighted least-squares fits (Lawson's iteration, 40 digits) made for this file:
quotients of polynomials up to 4, corrections to Stirling's series from there. All formulas run in
float64, for float32 too, whose results are then right to the last rounding. Stated errors are in
units in the last place of float64, measured against 40-digit values.
"""

from __future__ import annotations

import math

import numpy as np

from ._scalar_apply import choose, elementwise, ratio, table64

# fmt: off
_LGAMMA_SMALL = (
  table64(
    1.6618993254421764e-05, 0.0014429510700574512, 0.03027605541887786, 0.24738387059479566,
    0.9447104417761143, 1.797278393164463, 1.646353656857285, 0.5772156649015329,
),
  table64(
    3.1949980805705433e-06, 0.00046246461830257325, 0.014427410088811874, 0.17070337239851532,
    0.9516935184366958, 2.753853876689085, 4.236825941678817, 3.2771200443815887, 1.0,
),
)
_LGAMMA_LARGE = (
  table64(
    -0.002610941678814686, 0.19401153941691418, 0.7997940686904874, 0.5606176205733718,
    0.08333333333333331,
),
  table64(
    2.5980053675627968, 9.813363174257738, 6.76074478021339, 1.0,
),
)
_DIGAMMA_SMALL = (
  table64(
    19.529047481403094, 20115.20440401849, 1100684.3099005804, 17211241.27843196,
    104757119.21021113, 271219056.36555254, 282517460.24277914, 85838046.04472007,
),
  table64(
    3775.6621899768547, 297624.35886531975, 6227941.401367086, 49993980.52098548,
    173279504.5981307, 254679039.9499918, 125463635.72786148, 1.0,
),
)
_DIGAMMA_LARGE = (
  table64(
    0.1728353226121603, 1.893671595998477, 2.6331187035140355, 0.9327469389559114,
    0.08333333333333333,
),
  table64(
    3.542038729590762, 25.504209143072885, 32.679101721425695, 11.292963267470682, 1.0,
),
)
_TRIGAMMA_SMALL = (
  table64(
    -159163.96363841504, -898158.457159855, -2338419.5064260503, -3406720.067724195,
    -2921954.7833447, -1450351.5867815986, -366113.23179108795,
),
  table64(
    -159163.96293673964, -818576.5016399561, -1902603.476935816, -2318993.83173904,
    -1450625.1141490506, -366040.50690417713, -12.307718378752714, 1.0,
),
)
_TRIGAMMA_LARGE = (
  table64(
    0.6735699302258937, 6.146773630007359, 7.099341589513144, 2.1421088191859434,
    0.16666666666666657,
),
  table64(
    8.60549241028141, 44.22872149853266, 45.063722978113915, 13.052652915113985, 1.0,
),
)
# fmt: on

_PI = math.pi
_HALF_LOG_2PI = 0.9189385332046728
_DIGAMMA_ROOT = 1.4616321449683622, 9.549995429965697e-17  # in two parts
# Bernoulli numbers B_2j / (2j)!, j = 1 ... 12, for the Euler-Maclaurin sum in zeta.
_BERNOULLI = (
    1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000,
    1 / 74724249600, -3617 / 10670622842880000, 43867 / 5109094217170944000,
    -174611 / 802857662698291200000, 77683 / 14101100039391805440000,
    -236364091 / 1693824136731743669452800000,
)  # fmt: skip
_SHIFTS = 10  # terms of zeta's sum that are added one by one


def lgamma_1p(e: np.ndarray) -> np.ndarray:
    """log(gamma(1 + e)) for -0 <= e <= 3, zero to the last digit's precision at e = 0 and 1."""
    return e * (e - 1.0) * ratio(e, _LGAMMA_SMALL)


def stirling_rest(x: np.ndarray) -> np.ndarray:
    """lgamma(x) - ((x - 1/2) log x - x + log(2 pi)/2) for x >= 4."""
    return ratio(1.0 / (x * x), _LGAMMA_LARGE) / x


def lgamma_positive(x: np.ndarray) -> np.ndarray:
    """lgamma of flat float64 x >= 0."""

    def small(x: np.ndarray) -> np.ndarray:
        low = x < 1.5
        value = lgamma_1p(x - ~low)  # lgamma(x + 1), or lgamma(x) itself
        return value - np.log(np.where(low, x, 1.0))

    def large(x: np.ndarray) -> np.ndarray:
        return (x - 0.5) * (np.log(x) - 1.0) + (_HALF_LOG_2PI - 0.5) + stirling_rest(x)

    return choose(x < 4.0, small, large, x)


@elementwise(double=True)
def lgamma(x: np.ndarray) -> np.ndarray:
    """log|gamma(x)|; inf at 0, -1, -2, ... and +-inf.

    Error <= 5 ulp for x > 0; for x < 0 the absolute error is of the order of 1e-16 * |x log|x||,
    which is no longer small beside the value close to its zeros. Euler's reflection there.
    """

    def negative(x: np.ndarray) -> np.ndarray:
        value = np.log(_PI / np.abs(np.sin(_PI * (x - np.rint(x))))) - lgamma_positive(1.0 - x)
        return np.where(x == -np.inf, np.inf, value)

    return choose(x < 0.0, negative, lgamma_positive, x)


@elementwise(double=True)
def _multigammaln(a: np.ndarray, *, p: int) -> np.ndarray:
    total = np.full_like(a, 0.25 * p * (p - 1) * math.log(_PI))
    for j in range(p):
        total += lgamma.__wrapped__(a - 0.5 * j)
    return total


def multigammaln(a: np.ndarray, p: int) -> np.ndarray:
    """Logarithm of the gamma function of p dimensions: p(p-1)/4 log(pi) + sum lgamma(a - j/2).

    The sum runs over j = 0 ... p-1. https://docs.pytorch.org/docs/stable/special.html
    """
    return _multigammaln(a, p=p)


@elementwise(double=True)
def digamma(x: np.ndarray) -> np.ndarray:
    """The derivative of lgamma; -inf at 0, inf at -0, nan at negative integers.

    Error <= 4 ulp for x > 0, also beside the zero at 1.46; absolute beside the zeros at x < 0.
    """

    def small(x: np.ndarray) -> np.ndarray:
        low = x < 1.0
        r = x + low
        value = ((r - _DIGAMMA_ROOT[0]) - _DIGAMMA_ROOT[1]) * ratio(r, _DIGAMMA_SMALL)
        return value - low / x

    def large(x: np.ndarray) -> np.ndarray:
        square = 1.0 / (x * x)
        return np.log(x) - 0.5 / x - square * ratio(square, _DIGAMMA_LARGE)

    def positive(x: np.ndarray) -> np.ndarray:
        return choose(x < 4.0, small, large, x)

    def negative(x: np.ndarray) -> np.ndarray:
        fraction = x - np.rint(x)
        value = positive(1.0 - x) - _PI / np.tan(_PI * fraction)
        return np.where(fraction == 0.0, np.nan, value)

    return choose(x < 0.0, negative, positive, x)


@elementwise(double=True)
def trigamma(x: np.ndarray) -> np.ndarray:
    """The second derivative of lgamma; inf at 0, -1, -2, ... Error <= 4 ulp."""

    def small(x: np.ndarray) -> np.ndarray:
        low = x < 1.0
        return ratio(x + low, _TRIGAMMA_SMALL) + low / (x * x)

    def large(x: np.ndarray) -> np.ndarray:
        inverse = 1.0 / x
        square = inverse * inverse
        return inverse + square * (0.5 + inverse * ratio(square, _TRIGAMMA_LARGE))

    def positive(x: np.ndarray) -> np.ndarray:
        return choose(x < 4.0, small, large, x)

    def negative(x: np.ndarray) -> np.ndarray:
        sine = np.sin(_PI * (x - np.rint(x))) / _PI
        return 1.0 / (sine * sine) - positive(1.0 - x)

    return choose(x < 0.0, negative, positive, x)


def _power(base: np.ndarray, s: np.ndarray | int) -> np.ndarray:
    """base ** -s; a small integer s by multiplication, which is many times faster than pow."""
    if isinstance(s, int) and s <= 8:
        product = base
        for _ in range(s - 1):
            product = product * base
        return 1.0 / product
    return np.power(base, -s)


def _zeta_positive(s: np.ndarray | int, q: np.ndarray) -> np.ndarray:
    """Hurwitz zeta for s > 1 and q > 0 by Euler-Maclaurin summation (DLMF 25.11.28)."""
    total = _power(q, s)
    for k in range(1, _SHIFTS):
        total += _power(q + float(k), s)
    w = q + float(_SHIFTS)
    power = _power(w, s - 1)  # the rest of the sum is this, times an asymptotic series in 1/w
    series = 1.0 / (s - 1.0) + 0.5 / w
    square = 1.0 / (w * w)
    factor = s * square
    for j, b in enumerate(_BERNOULLI):
        series += factor * b
        factor *= ((s + (2.0 * j + 1.0)) * (s + (2.0 * j + 2.0))) * square
    return total + np.where(power == 0.0, 0.0, power * series)


def _zeta(s: np.ndarray | int, q: np.ndarray) -> np.ndarray:
    """Hurwitz zeta for s > 1, flat float64 arrays; s may be one integer for all."""
    positive = q > 0.0
    if np.all(positive):
        return _zeta_positive(s, q)
    # q = i + d, i whole, |d| <= 1/2. The terms left of d, turned around, are two zeta functions'
    # difference: no loop over q.
    d = q - np.rint(q)
    sign = np.where(np.fmod(s, 2.0) == 0.0, 1.0, -1.0)
    centre = np.power(np.abs(d), -s) * np.where(d < 0.0, sign, 1.0)
    left = sign * (_zeta_positive(s, 1.0 - d) - _zeta_positive(s, 1.0 - np.minimum(q, 0.0)))
    start = np.where(positive, q, 1.0 + d)
    value = _zeta_positive(s, start) + np.where(positive, 0.0, centre + left)
    value = np.where(~positive & (s != np.floor(s)), np.nan, value)
    return np.where(~positive & (q == np.floor(q)), np.inf, value)


@elementwise(double=True)
def zeta(s: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Hurwitz zeta: the sum of (q + k)^-s over k = 0, 1, 2, ...

    inf at s = 1 and at q = 0, -1, -2, ...; nan for s < 1 and for q < 0 with s not an integer.
    Relative error <= 1e-14.
    """
    value = _zeta(np.maximum(s, 1.0 + 2.0**-52), q)  # s <= 1 is overwritten; nan stays
    return np.where(s == 1.0, np.inf, np.where(s < 1.0, np.nan, value))


@elementwise(double=True)
def _polygamma(x: np.ndarray, *, n: int) -> np.ndarray:
    if n <= 170:
        value = math.factorial(n) * _zeta(n + 1, x)
    else:
        value = np.exp(math.lgamma(n + 1) + np.log(_zeta(n + 1, x)))
    return value if n % 2 else -value


def polygamma(n: int, x: np.ndarray) -> np.ndarray:
    """The n-th derivative of digamma: (-1)^(n+1) n! zeta(n + 1, x). Relative error <= 1e-14."""
    if n < 0:
        raise RuntimeError(f"polygamma(n, x) does not support negative n: n = {n}")
    if n < 2:
        return (trigamma if n else digamma)(x)
    return _polygamma(x, n=n)
