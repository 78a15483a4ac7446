"""Regularised incomplete gamma functions P(a, x) and Q(a, x) = 1 - P(a, x).

All formulas run in float64. Where a >= 100 and x is within 30 % of a: Temme's uniform expansion
(DLMF 8.12), its coefficients from the recurrence C_k = (C_k-1' - c/mu)/eta in 60 digits. Elsewhere
the power series (DLMF 8.7.1) or the continued fraction (DLMF 8.9.2, contracted).
"""

from __future__ import annotations

import math

import numpy as np

from ._scalar_apply import choose, elementwise, polynomial, table64
from ._scalar_erf import erfc
from ._scalar_gamma import lgamma_1p, lgamma_positive, stirling_rest

# fmt: off
_ATANH = table64(
    0.08085956901165066, 0.0439840603224887, 0.06000944504292267, 0.06657026372058325,
    0.07692788018205556, 0.0909089460361821, 0.11111111361176751, 0.1428571428352785,
    0.200000000000074, 0.3333333333333333,
)
_TEMME = (  # row k: the coefficients of C_k
  table64(
    9.14769958223679e-10, -4.382036018453353e-09, 1.0261809784240309e-08, 6.707853543401498e-09,
    -1.7665952736826078e-07, 8.296711340953087e-07, -1.85406221071516e-06, -2.185448510679992e-06,
    3.919263178522438e-05, -0.0001787551440329218, 0.0003527336860670194, 0.0011574074074074073,
    -0.014814814814814815, 0.08333333333333333, -0.3333333333333333,
),
  table64(
    -1.0091543710600413e-09, -1.7543241719747647e-11, 1.1951628599778148e-08,
    -5.752545603517705e-08, 1.378633446915721e-07, 4.647127802807434e-09, -1.6120900894563446e-06,
    7.64916091608111e-06, -1.8098550334489977e-05, -4.018775720164609e-07, 0.00020576131687242798,
    -0.0009902263374485596, 0.0026455026455026454, -0.003472222222222222, -0.001851851851851852,
),
  table64(
    -1.409252991086752e-08, -2.0477098421990866e-10, 1.4280614206064242e-07,
    -6.298992138380055e-07, 1.3721957309062934e-06, 3.423578734096138e-08,
    -1.2760635188618728e-05, 5.2923448829120125e-05, -0.0001073665322636516,
    2.0093878600823047e-06, 0.0007716049382716049, -0.0026813271604938273, 0.004133597883597883,
),
  table64(
    -1.6958404091930278e-07, -2.7861080291528143e-11, 1.4230900732435883e-06,
    -5.6749528269915965e-06, 1.1082654115347302e-05, -2.396505113867297e-07,
    -7.561801671883977e-05, 0.00026772063206283885, -0.0004691894943952557,
    0.00022947209362139917, 0.0006494341563786008,
),
  table64(
    -1.6954149536558305e-06, 2.507497226237533e-10, 1.1375726970678419e-05,
    -3.968365047179435e-05, 6.641498215465122e-05, -1.4638452578843418e-06,
    -0.0002990724803031902, 0.0007840392217200666, -0.0008618882909167117,
),
  table64(
    6.797780477937208e-05, -0.00019932570516188847, 0.0002772753244959392, -6.972813758365857e-05,
    -0.00033679855336635813,
),
  table64(
    0.0002708782096718045, -0.0005921664373536939, 0.0005313079364639922,
),
)
# fmt: on

_TEMME_FROM = 100.0  # smallest a for which the expansion's 7 rows suffice
_TEMME_WIDTH = 0.3  # largest |x - a| / a
_erfc = erfc.__wrapped__  # on flat arrays


def _excess(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """mu - log(1 + mu) for mu = (x - a)/a, without cancellation where mu is small."""

    def near(a: np.ndarray, x: np.ndarray) -> np.ndarray:
        mu = (x - a) / a
        u = mu / (2.0 + mu)  # log(1 + mu) = 2 atanh(u)
        square = u * u
        return mu * u - 2.0 * u * square * polynomial(square, _ATANH)

    def general(a: np.ndarray, x: np.ndarray) -> np.ndarray:
        return (x - a) / a - np.log(x / a)

    return choose(np.abs(x - a) <= 0.5 * a, near, general, a, x)


def _leading(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """x^a exp(-x) / gamma(a + 1)."""

    def small(a: np.ndarray, x: np.ndarray) -> np.ndarray:
        log_gamma = choose(a < 3.0, lgamma_1p, lambda a: lgamma_positive(1.0 + a), a)
        return np.power(np.minimum(x, 1e9), a) * (np.exp(-x) * np.exp(-log_gamma))

    def large(a: np.ndarray, x: np.ndarray) -> np.ndarray:
        scale = np.exp(-stirling_rest(a)) / np.sqrt(2.0 * math.pi * a)
        direct = (np.abs(x - a) > 0.5 * a) & (a < 170.0) & (x < 1000.0)  # no overflow below
        return scale * choose(direct, by_power, lambda a, x: np.exp(-a * _excess(a, x)), a, x)

    def by_power(a: np.ndarray, x: np.ndarray) -> np.ndarray:
        root = np.power(x / a, 0.5 * a)  # loses fewer digits than one large exponent
        return root * np.exp(a - x) * root

    return choose(a < 4.0, small, large, a, x)


def _series(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """P as a sum of positive terms; fast for x up to about a + 10."""
    denominator = a + 1.0
    term = x / denominator
    total = 1.0 + term
    for n in range(1, 2000):
        denominator += 1.0
        term *= x
        term /= denominator
        total += term
        if n % 8 == 0 and np.max(term) < 1e-17:  # the total is at least 1
            break
    return np.minimum(total * _leading(a, x), 1.0)


def _fraction(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Q for x > a, x >= 1.1, from the last partial denominator that matters backwards."""

    def evaluate(a: np.ndarray, x: np.ndarray) -> np.ndarray:
        shift = x - a
        steps = math.ceil(100.0 / x.min() + 4.0 * math.sqrt(min(a.max(), 100.0)))
        t = shift + (2.0 * steps + 1.0)
        for i in range(steps, 0, -1):
            t = (shift + (2.0 * i - 1.0)) - i * (i - a) / t
        return a * _leading(a, x) / t

    return choose(x < 4.0, evaluate, evaluate, a, x)


def _small_q(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Q for a < 1 and x <= 1.1, which is 1 - P without its cancellation."""
    log_power = a * np.log(x) - lgamma_1p(a)
    term = -x
    total = term / (a + 1.0)
    for n in range(2, 21):
        term *= x / -n
        total += term / (a + n)
    return -np.expm1(log_power) - np.exp(log_power) * a * total


def _temme(a: np.ndarray, x: np.ndarray, side: float) -> np.ndarray:
    """Q for side = 1, P for side = -1."""
    half_square = _excess(a, x)
    eta = np.copysign(np.sqrt(2.0 * half_square), x - a)
    inverse = 1.0 / a
    series = polynomial(eta, _TEMME[-1])
    for row in _TEMME[-2::-1]:
        series *= inverse
        series += polynomial(eta, row)
    rest = series * np.exp(-a * half_square) / np.sqrt(2.0 * math.pi * a)
    return 0.5 * _erfc(side * eta * np.sqrt(0.5 * a)) + side * rest


def _incomplete(a: np.ndarray, x: np.ndarray, upper: bool) -> np.ndarray:
    """P or, if ``upper``, Q, for finite a > 0 and x > 0."""
    side = 1.0 if upper else -1.0

    def lower_series(a: np.ndarray, x: np.ndarray) -> np.ndarray:
        value = _series(a, x)
        return 1.0 - value if upper else value

    def fraction(a: np.ndarray, x: np.ndarray) -> np.ndarray:
        value = _fraction(a, x)
        return value if upper else 1.0 - value

    def general(a: np.ndarray, x: np.ndarray) -> np.ndarray:
        limit = np.maximum(a, 1.1) if upper else a + 10.0
        return choose(x <= limit, lower_series, fraction, a, x)

    def not_temme(a: np.ndarray, x: np.ndarray) -> np.ndarray:
        if not upper:
            return general(a, x)
        return choose((a < 1.0) & (x <= 1.1), _small_q, general, a, x)

    middle = (a >= _TEMME_FROM) & (np.abs(x - a) < _TEMME_WIDTH * a)
    return choose(middle, lambda a, x: _temme(a, x, side), not_temme, a, x)


def _with_edges(a: np.ndarray, x: np.ndarray, upper: bool) -> np.ndarray:
    inside = (a > 0.0) & (x > 0.0) & (a < np.inf) & (x < np.inf)
    if np.all(inside):
        return _incomplete(a, x, upper)
    value = _incomplete(np.where(inside, a, 1.0), np.where(inside, x, 1.0), upper)
    start, end = (1.0, 0.0) if upper else (0.0, 1.0)
    edge = np.where(x == np.inf, end, np.nan)
    edge = np.where(a == np.inf, np.where(x == np.inf, np.nan, start), edge)
    edge = np.where(x == 0.0, start, edge)
    edge = np.where(a == 0.0, np.where(x > 0.0, end, np.nan), edge)
    edge = np.where((a < 0.0) | (x < 0.0), np.nan, edge)
    return np.where(inside, value, edge)


@elementwise(double=True)
def gammainc(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """P(a, x), the integral of t^(a-1) exp(-t) from 0 to x, over gamma(a); nan for a < 0 or x < 0.

    Error <= 1e-14 times the larger of 1 and the condition |x dP/dx / P|.
    """
    return _with_edges(a, x, upper=False)


@elementwise(double=True)
def gammaincc(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Q(a, x), the same integral from x to infinity: 1 - P without its cancellation."""
    return _with_edges(a, x, upper=True)
