"""Error function and normal distribution: erf, erfc, erfcx, erfinv, ndtr, ndtri, log_ndtr.

The coefficients are weighted least-squares fits (Lawson's iteration, 40 digits) made for this file.
Except for erf, float32 runs in float64 with shorter tables, so that its results are right to the
last rounding. Stated errors are in units in the last place of the result, measured against
40-digit values over the whole range.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ._scalar_elementary import choose, elementwise, log1p_near, polynomial, ratio, table32, table64

# fmt: off
_ERF32 = (
  table32(
    0.0018114925, 0.015912052, 0.10277254,
),
  table32(
    0.00032485562, 0.023687974, 0.1568612, 1.0,
),
)
_ERF_SMALL = table64(
    -7.779774547573377e-10, 1.3711148263982502e-08, -1.6206353564946635e-07,
    1.6447136914880478e-06, -1.4924712748539984e-05, 0.00012055293600957415,
    -0.0008548325930151261, 0.005223977606136762, -0.026866170643113828, 0.112837916709442,
    -0.3761263890318352, 1.1283791670955126,
)
_ERF_LARGE = (
  table64(
    0.02731180361627033, 0.22686358617911093, 0.8629975684761205, 1.8314823707984558,
    2.1630416009202285, 1.1283773248301308, 1.9305727808766257e-07,
),
  table64(
    8.232130594797415e-08, -3.6034856731215415e-06, 0.027400749190697737, 0.2247441206857907,
    0.768842419633958, 1.352748854294517, 1.0,
),
)
_ERFCX_SHORT = table64(
    3.7925407087356155e-05, -4.6449599279166156e-05, -0.00036131355272915285,
    0.0009379526537430853, 0.00124775039015078, -0.011882120922678964, 0.03415902282209935,
    -0.059637530156351724, 0.06482193582161516, -0.02378109035758932, -0.06781052924381763,
    0.6265040283894561,
)
_ERFCX = table64(
    4.888362447123973e-10, -1.5861768915988072e-09, -6.634575589151864e-09,
    1.3897650250366881e-08, 5.087101568929271e-08, -6.021423369457697e-08, -3.082454136091894e-07,
    1.6827496676869902e-07, 1.7361479142069845e-06, -3.59334227697804e-07,
    -1.0050256858663285e-05, 2.4720310945952373e-06, 6.254966902618989e-05,
    -5.257914620579957e-05, -0.000389916135182907, 0.000944345046766589, 0.0012646959080521729,
    -0.011885257445516034, 0.034154013671973474, -0.05963683170839491, 0.06482257935138154,
    -0.023781147176709847, -0.06781055306229061, 0.6265040291348648,
)
_CENTRE_SHORT = (
  table64(
    -27.30731643470512, 180.03531651941663, 252.46681990018905, 59.58179822397692,
    3.3960973398719796,
),
  table64(
    151.32205056132776, 114.27500929029556, 20.58049669649095, 1.0,
),
)
_CENTRE = (
  table64(
    2668.5753078068915, 35361.465089952035, 70676.04168597795, 47874.86952122563,
    14190.893317493188, 2018.2136218842804, 134.9166820925955, 3.3960973570677053,
),
  table64(
    5547.090086679941, 30318.780429970757, 41199.14664757863, 22058.980707535615,
    5559.857617853959, 701.5614489758452, 42.76328427785991, 1.0,
),
)
_TAIL_SHORT = (
  table64(
    1.034314761008627, 7.207229023346877, 5.818252060001713, -6.832179860123881,
    -3.0002342224153544,
),
  table64(
    6.1580621658954665e-06, 0.7309343182423861, 5.116401161173812, 5.678598650494447, 1.0,
),
)
_TAIL = (
  table64(
    1.9510322063408445e-05, 0.003051242413456706, 0.12977282190681877, 2.067981229391604,
    14.11099948747304, 44.76643985160724, 65.55352305100888, 18.520789825905954,
    -49.28525492500808, -33.298312540541254, -3.5087701879639757,
),
  table64(
    1.3795854152323372e-05, 0.002157576182875003, 0.09181305312992295, 1.468305820183745,
    10.184452282120905, 34.30392990013778, 60.86452523018218, 51.337589205747655,
    15.753495907382531, 1.0,
),
)
# fmt: on


_ERF_SLOPE = np.array(1.1283791670955126, np.float32)  # 2/sqrt(pi)
_SIXTEEN = np.array(16, np.float32)  # erf is 1 in float32 from x = 4
_CENTRE_EDGE = 0.1815  # the central quantile table's variable is this minus (p - 1/2)^2
_SQRT_HALF = 0.7071067811865476
_Table = Sequence[np.ndarray]


def _wide(x: np.ndarray, long: _Table, short: _Table) -> tuple[np.ndarray, _Table]:
    """x in float64, and the table that its own precision asks for."""
    return (x, long) if x.dtype == np.float64 else (x.astype(np.float64), short)


@elementwise()
def erf(x: np.ndarray) -> np.ndarray:
    """2/sqrt(pi) * integral of exp(-t^2) from 0 to x. Error <= 2 ulp, in float32 4."""
    if x.dtype == np.float32:  # atanh(erf(x))/x is tame, and NumPy's float32 tanh is fast
        square = np.minimum(x * x, _SIXTEEN)
        return np.tanh(x * (_ERF_SLOPE + square * ratio(square, _ERF32)))
    return choose(np.abs(x) < 1.0, _erf_small, _erf_large, x)


def _erf_small(x: np.ndarray) -> np.ndarray:
    return x * polynomial(x * x, _ERF_SMALL)


def _erf_large(x: np.ndarray) -> np.ndarray:
    tail = np.exp(-ratio(np.minimum(np.abs(x), 6.0), _ERF_LARGE))  # the fit is of -log(erfc)
    return np.copysign(1.0 - tail, x)


def _erfcx_positive(a: np.ndarray, table: _Table) -> np.ndarray:
    """erfcx of a >= 0: a polynomial in t = (a - 3)/(a + 3), divided by 1 + 2a."""
    finite = np.minimum(a, 1e30)
    t = finite / (finite + 3.0)
    t = (t + t) - 1.0  # exact to half a rounding of t near -1, unlike the quotient above
    return polynomial(t, table) / (a + 0.5)


def _square(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a*a as its rounded value and what the rounding lost (Dekker 1971)."""
    split = a * 134217729.0
    high = split - (split - a)
    low = a - high
    square = a * a
    return square, ((high * high - square) + 2.0 * high * low) + low * low


def _exp_minus_square(a: np.ndarray, factor: float, exact: bool) -> np.ndarray:
    """exp(-factor * a^2), factor a power of two; to the last digit for large a if ``exact``."""
    if not exact:
        return np.exp(a * a * -factor)
    square, lost = _square(a)
    e = np.exp(-factor * square)
    return e - e * (factor * lost)


def _tail(a: np.ndarray, table: _Table) -> np.ndarray:
    """erfc of a >= 1/2."""
    a = np.minimum(a, 28.0)
    return _exp_minus_square(a, 1.0, table is _ERFCX) * _erfcx_positive(a, table)


@elementwise()
def erfc(x: np.ndarray) -> np.ndarray:
    """1 - erf(x), without cancellation. Error <= 4 ulp, in float32 1."""
    wide, table = _wide(x, _ERFCX, _ERFCX_SHORT)

    def outside(x: np.ndarray) -> np.ndarray:
        tail = _tail(np.abs(x), table)
        return np.where(x < 0.0, 2.0 - tail, tail)

    if wide is not x:
        return outside(wide).astype(x.dtype)
    return choose(np.abs(x) < 0.5, lambda x: 1.0 - _erf_small(x), outside, x)


@elementwise(double=True)
def erfcx(x: np.ndarray) -> np.ndarray:
    """exp(x^2) * erfc(x), the scaled complement. Error <= 3 ulp."""

    def negative(x: np.ndarray) -> np.ndarray:
        square, lost = _square(np.minimum(-x, 26.6416))  # the last that does not overflow below
        e = np.exp(square)
        return 2.0 * (e + e * lost) - _erfcx_positive(-x, _ERFCX)

    return choose(x < 0.0, negative, lambda x: _erfcx_positive(x, _ERFCX), x)


@elementwise()
def ndtr(x: np.ndarray) -> np.ndarray:
    """The standard normal distribution function, erfc(-x/sqrt(2))/2. Error <= 4 ulp, float32 1."""
    wide, table = _wide(x, _ERFCX, _ERFCX_SHORT)
    return _ndtr(wide, table).astype(x.dtype, copy=False)


def _ndtr(x: np.ndarray, table: _Table) -> np.ndarray:
    def outside(x: np.ndarray) -> np.ndarray:
        a = np.minimum(np.abs(x), 39.0)
        tail = _exp_minus_square(a, 0.5, table is _ERFCX)
        tail *= 0.5 * _erfcx_positive(a * _SQRT_HALF, table)
        return np.where(x > 0.0, 1.0 - tail, tail)

    def centre(x: np.ndarray) -> np.ndarray:
        return 0.5 + 0.5 * _erf_small(x * _SQRT_HALF)

    if table is _ERFCX_SHORT:
        return outside(x)
    return choose(np.abs(x) < 0.7, centre, outside, x)


@elementwise(double=True)
def log_ndtr(x: np.ndarray) -> np.ndarray:
    """log(ndtr(x)), right also far to the left, where ndtr is 0. Error <= 4 ulp."""

    def left(x: np.ndarray) -> np.ndarray:
        return np.log(0.5 * _erfcx_positive(-x * _SQRT_HALF, _ERFCX)) - 0.5 * (x * x)

    return choose(x < 0.0, left, lambda x: log1p_near(-_ndtr(-x, _ERFCX)), x)


def _quantile(central: np.ndarray, tail: np.ndarray, centre_table: _Table) -> np.ndarray:
    """Distance from the median: ndtri(1/2 + central), where tail = 1/2 - central, central >= 0."""

    def near(q: np.ndarray, p: np.ndarray) -> np.ndarray:
        return q * ratio(_CENTRE_EDGE - q * q, centre_table)

    def far(q: np.ndarray, p: np.ndarray) -> np.ndarray:
        distance = ratio(np.sqrt(-np.log(p)), _TAIL if centre_table is _CENTRE else _TAIL_SHORT)
        return np.where(p == 0.0, np.inf, distance)

    return choose(central < 0.4249, near, far, central, tail)


@elementwise()
def erfinv(x: np.ndarray) -> np.ndarray:
    """The inverse of erf on (-1, 1); +-inf at +-1, nan outside. Error <= 6 ulp, in float32 1."""
    wide, table = _wide(x, _CENTRE, _CENTRE_SHORT)
    a = 0.5 * np.abs(wide)
    value = np.copysign(_quantile(a, 0.5 - a, table) * _SQRT_HALF, wide)
    return value.astype(x.dtype, copy=False)


@elementwise()
def ndtri(p: np.ndarray) -> np.ndarray:
    """The inverse of ndtr on (0, 1); -inf at 0, inf at 1, nan outside.

    Error <= 6 ulp, in float32 1.
    """
    wide, table = _wide(p, _CENTRE, _CENTRE_SHORT)
    q = wide - 0.5
    value = np.copysign(_quantile(np.abs(q), np.minimum(wide, 1.0 - wide), table), q)
    return value.astype(p.dtype, copy=False)
