"""Gamma function: lgamma, digamma, trigamma, polygamma, zeta; incomplete gamma functions P and Q.

All formulas run in float64, for float32 too, whose results are then right to the last rounding.
Stated errors are in units in the last place of float64, measured against 40-digit values.

lgamma and its derivatives: weighted least-squares fits (Lawson's iteration, 40 digits) made for
this file, quotients of polynomials up to 4 and corrections to Stirling's series from there.
P and Q: where a >= 100 and x is within 30 % of a, Temme's uniform expansion (DLMF 8.12), its
coefficients from the recurrence C_k = (C_k-1' - c/mu)/eta in 60 digits; elsewhere the power series
(DLMF 8.7.1) or the continued fraction (DLMF 8.9.2, contracted).
"""

from __future__ import annotations

import math

import numpy as np

from ._scalar_elementary import choose, elementwise, polynomial, ratio, table64
from ._scalar_erf import erfc

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
    """log(gamma(1 + e)) for 0 <= e <= 3, with all digits also beside its zeros, e = 0 and 1."""
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


# ---- incomplete gamma functions ------------------------------------------------------------

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
        scale = np.exp(-stirling_rest(a)) / np.sqrt(2.0 * _PI * a)
        direct = (np.abs(x - a) > 0.5 * a) & (a < 170.0) & (x < 1000.0)  # no overflow below
        return scale * choose(direct, by_power, lambda a, x: np.exp(-a * _excess(a, x)), a, x)

    def by_power(a: np.ndarray, x: np.ndarray) -> np.ndarray:
        root = np.power(x / a, 0.5 * a)  # loses fewer digits than one large exponent
        return root * np.exp(a - x) * root

    return choose(a < 4.0, small, large, a, x)


def _series(a: np.ndarray, x: np.ndarray, precise: bool) -> np.ndarray:
    """P as a sum of positive terms; fast for x up to about a + 10."""
    denominator = a + 1.0
    term = x / denominator
    total = 1.0 + term
    enough = 1e-17 if precise else 1e-10
    for n in range(1, 2000):
        denominator += 1.0
        term *= x
        term /= denominator
        total += term
        if n % 4 == 0 and np.max(term) < enough:  # the total is at least 1
            break
    return np.minimum(total * _leading(a, x), 1.0)


def _fraction(a: np.ndarray, x: np.ndarray, precise: bool) -> np.ndarray:
    """Q for x > a, x >= 1.1, from the last partial denominator that matters backwards."""

    def evaluate(a: np.ndarray, x: np.ndarray, steps: np.ndarray) -> np.ndarray:
        shift = x - a
        last = math.ceil(steps.max())
        t = shift + (2.0 * last + 1.0)
        for i in range(last, 0, -1):
            t = (shift + (2.0 * i - 1.0)) - i * (i - a) / t
        return a * _leading(a, x) / t

    def many(a: np.ndarray, x: np.ndarray, steps: np.ndarray) -> np.ndarray:
        return choose(steps < 30.0, evaluate, evaluate, a, x, steps)

    # Bounds on what 1e-16 and 1e-9 take, found by trial over 0 < a < 1e5.
    small, near = (100.0, 4.0) if precise else (33.0, 2.6)
    steps = 3.0 + (small + near * a * np.sqrt(np.minimum(a, 100.0))) / x
    return choose(steps < 12.0, evaluate, many, a, x, steps)


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
    rest = series * np.exp(-a * half_square) / np.sqrt(2.0 * _PI * a)
    return 0.5 * _erfc(side * eta * np.sqrt(0.5 * a)) + side * rest


def _incomplete(a: np.ndarray, x: np.ndarray, upper: bool, precise: bool) -> np.ndarray:
    """P or, if ``upper``, Q, for finite a > 0 and x > 0."""
    side = 1.0 if upper else -1.0

    def lower_series(a: np.ndarray, x: np.ndarray) -> np.ndarray:
        value = _series(a, x, precise)
        return 1.0 - value if upper else value

    def fraction(a: np.ndarray, x: np.ndarray) -> np.ndarray:
        value = _fraction(a, x, precise)
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
    """`_incomplete` for all a and x, in float64; sums are cut earlier for float32 arguments."""
    dtype, precise = x.dtype, x.dtype == np.float64
    a, x = a.astype(np.float64, copy=False), x.astype(np.float64, copy=False)
    inside = (a > 0.0) & (x > 0.0) & (a < np.inf) & (x < np.inf)
    if np.all(inside):
        return _incomplete(a, x, upper, precise).astype(dtype, copy=False)
    value = _incomplete(np.where(inside, a, 1.0), np.where(inside, x, 1.0), upper, precise)
    start, end = (1.0, 0.0) if upper else (0.0, 1.0)
    edge = np.where(x == np.inf, end, np.nan)
    edge = np.where(a == np.inf, np.where(x == np.inf, np.nan, start), edge)
    edge = np.where(x == 0.0, start, edge)
    edge = np.where(a == 0.0, np.where(x > 0.0, end, np.nan), edge)
    edge = np.where((a < 0.0) | (x < 0.0), np.nan, edge)
    return np.where(inside, value, edge).astype(dtype, copy=False)


@elementwise()
def gammainc(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """P(a, x), the integral of t^(a-1) exp(-t) from 0 to x, over gamma(a); nan for a < 0 or x < 0.

    Error <= 1e-14 times the larger of 1 and the condition |x dP/dx / P|; float32 1 ulp.
    """
    return _with_edges(a, x, upper=False)


@elementwise()
def gammaincc(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Q(a, x), the same integral from x to infinity: 1 - P without its cancellation."""
    return _with_edges(a, x, upper=True)
