"""Bessel functions I0, I1, K0, K1 (plain and scaled), J0, J1, Y0, Y1, spherical j0; Airy's Ai.

All run in float64, for float32 too, whose results are then right to the last rounding. Stated
errors are in units in the last place of float64, measured against 40-digit values. All
coefficients are weighted least-squares fits (Lawson's iteration, 40 digits) made for this file.
Definitions: DLMF 10.2, 10.25, 9.2; edge cases as PyTorch's.

Modified ones: polynomials in x^2 near zero, elsewhere the asymptotic form with a polynomial or a
quotient in 1/x. J and Y: up to 5 the zeros as factors (each in two parts) times a quotient in x^2;
beyond, Hankel's form with quotients in 1/x^2 (DLMF 10.17, 9.7), whose errors are of the order of
1e-16 of the wave's amplitude, not of the value close to its zeros.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ._scalar_elementary import choose, elementwise, polynomial, ratio, table64

# fmt: off
_I0_SMALL = table64(
    9.19921306694437e-25, 1.1271619783745316e-22, 2.639789015158777e-20, 4.345580755457825e-18,
    6.277947124169961e-16, 7.593864784959026e-14, 7.594072919885883e-12, 6.151186545011215e-10,
    3.936759919208551e-08, 1.9290123448726692e-06, 6.944444444589867e-05, 0.0017361111111094433,
    0.027777777777778893, 0.24999999999999964, 1.0, 1.0,
)
_I1_SMALL = table64(
    6.950524385804546e-24, 7.841709769712221e-22, 1.7178724589507676e-19, 2.606869028438086e-17,
    3.4529433778800036e-15, 3.796925198608694e-13, 3.417333282152529e-11, 2.4604745989848675e-09,
    1.3778659721252375e-07, 5.787037034619039e-06, 0.00017361111111452337, 0.0034722222222194,
    0.04166666666666785, 0.2499999999999998, 0.5,
)
_I0_LARGE = table64(
    -1.4361660693517112e-10, -9.266408616689654e-11, 9.512143793449246e-10, 6.89736089059097e-10,
    -2.8880297656741382e-09, -2.6210875176547583e-09, 5.140476607558951e-09,
    6.947406606731194e-09, -4.270880251245389e-09, -1.3140877857733282e-08,
    -7.1155940643891156e-09, 7.47916844094474e-09, 2.1623842180154774e-08, 3.9338746629082335e-08,
    8.87130799219232e-08, 2.973586413379243e-07, 1.4838481347127041e-06, 1.1143033843721828e-05,
    0.00013621607437801453, 0.0033605519836671866, 0.40217650944500816,
)
_I1_LARGE = table64(
    1.5084440770764806e-10, 8.934303999574886e-11, -1.0013881471447614e-09,
    -6.741847648020388e-10, 3.0563593212751724e-09, 2.6104472937107355e-09, -5.50874539500252e-09,
    -7.083934968072725e-09, 4.7964999065680904e-09, 1.3786715932563072e-08, 7.116597942472492e-09,
    -8.357989917729574e-09, -2.345228850027633e-08, -4.3141101935374075e-08,
    -1.0000341709588755e-07, -3.483844507979369e-07, -1.8349107231951418e-06,
    -1.5038547249365963e-05, -0.00021923576381945443, -0.00974957719323511, 0.3893984590258723,
)
_K0_SMALL = table64(
    6.611680693902665e-12, 1.2082661128134659e-09, 1.627106892421775e-07, 1.4914719243085659e-05,
    0.0008460350907213714, 0.025248929932161216, 0.27898287891460316, 0.11593151565841245,
)
_K1_SMALL = table64(
    -4.2220096011343107e-13, -8.870924202912697e-11, -1.403017184929915e-08,
    -1.5592887664281978e-06, -0.00011253607036725303, -0.0046421827664714435,
    -0.08537071972865079, -0.3079657578292062,
)
_K0_I0 = table64(
    2.440362373283551e-12, 4.708896002295128e-10, 6.781689119780823e-08, 6.781684004158921e-06,
    0.000434027777783712, 0.01562499999999927, 0.25000000000000006, 1.0,
)
_K1_I1 = table64(
    1.5226758897510357e-13, 3.363591258336411e-11, 5.651406216882965e-09, 6.781684014437183e-07,
    5.425347222255963e-05, 0.002604166666666625, 0.0625, 0.5,
)
_K0_LARGE = (
  table64(
    0.06934211598517076, 4.971775282617534, 55.53427591079902, 208.26421702931538,
    338.10126793056713, 264.61800214055125, 102.64928815558591, 18.684971551769607,
    1.2533141373155001,
),
  table64(
    0.16883278696082418, 6.452091138849438, 57.34486825812729, 191.88679447107833,
    292.4456114584235, 220.61471500307286, 83.71115098677723, 15.0334503201977, 1.0,
),
)
_K1_LARGE = (
  table64(
    0.3819512556457845, 10.818154825899517, 80.45471436760313, 243.6803004173116,
    354.5384939829077, 264.0781136342947, 100.89276978241453, 18.433102460010183,
    1.2533141373155003,
),
  table64(
    0.027939460409735193, 2.5013171214061747, 31.15694941287783, 127.06680641104334,
    221.3486692008842, 184.0646661274278, 75.24328785831463, 14.332487860539482, 1.0,
),
)
# fmt: on

_TINY = 2.2250738585072014e-308


def _i_small(x: np.ndarray, table: Sequence[np.ndarray]) -> np.ndarray:
    half = 0.5 * x
    return polynomial(half * half, table)


def _i_large(a: np.ndarray, table: Sequence[np.ndarray]) -> np.ndarray:
    """exp(-a) I(a) for a > 8."""
    return polynomial(16.0 / a - 1.0, table) / np.sqrt(a)


def _grow(a: np.ndarray, value: np.ndarray) -> np.ndarray:
    """value * exp(a), where exp(a) alone may overflow."""
    root = np.exp(0.5 * a)
    return value * root * root


@elementwise(double=True)
def i0(x: np.ndarray) -> np.ndarray:
    """I0(x), even; nan at +-inf. Error <= 3 ulp, beyond 8 (3 + x/2) ulp from exp(x/2)^2."""
    return choose(
        np.abs(x) <= 8.0,
        lambda x: _i_small(x, _I0_SMALL),
        lambda x: _grow(np.abs(x), _i_large(np.abs(x), _I0_LARGE)),
        x,
    )


@elementwise(double=True)
def i0e(x: np.ndarray) -> np.ndarray:
    """exp(-|x|) I0(x). Error <= 4 ulp."""
    return choose(
        np.abs(x) <= 8.0,
        lambda x: np.exp(-np.abs(x)) * _i_small(x, _I0_SMALL),
        lambda x: _i_large(np.abs(x), _I0_LARGE),
        x,
    )


@elementwise(double=True)
def i1(x: np.ndarray) -> np.ndarray:
    """I1(x), odd; nan at +-inf. Error as i0's."""
    return choose(
        np.abs(x) <= 8.0,
        lambda x: x * _i_small(x, _I1_SMALL),
        lambda x: np.copysign(_grow(np.abs(x), _i_large(np.abs(x), _I1_LARGE)), x),
        x,
    )


@elementwise(double=True)
def i1e(x: np.ndarray) -> np.ndarray:
    """exp(-|x|) I1(x). Error <= 4 ulp."""
    return choose(
        np.abs(x) <= 8.0,
        lambda x: x * (np.exp(-np.abs(x)) * _i_small(x, _I1_SMALL)),
        lambda x: np.copysign(_i_large(np.abs(x), _I1_LARGE), x),
        x,
    )


def _k0_small(x: np.ndarray) -> np.ndarray:
    square = x * x
    return polynomial(square, _K0_SMALL) - np.log(x) * polynomial(square, _K0_I0)


def _k1_small(x: np.ndarray) -> np.ndarray:
    square = x * x
    logarithm = np.log(np.maximum(x, _TINY))  # x log x is 0 at 0
    rest = x * (logarithm * polynomial(square, _K1_I1) + polynomial(square, _K1_SMALL))
    return np.where(x < 0.0, np.nan, 1.0 / np.abs(x) + rest)


def _k_large(x: np.ndarray, table: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """exp(x) K(x) for x > 1."""
    return ratio(1.0 / x, table) / np.sqrt(x)


@elementwise(double=True)
def k0(x: np.ndarray) -> np.ndarray:
    """K0(x); inf at 0, nan for x < 0. Error <= 4 ulp."""
    return choose(x <= 1.0, _k0_small, lambda x: np.exp(-x) * _k_large(x, _K0_LARGE), x)


@elementwise(double=True)
def k1(x: np.ndarray) -> np.ndarray:
    """K1(x); inf at 0, nan for x < 0. Error <= 4 ulp."""
    return choose(x <= 1.0, _k1_small, lambda x: np.exp(-x) * _k_large(x, _K1_LARGE), x)


@elementwise(double=True)
def k0e(x: np.ndarray) -> np.ndarray:
    """exp(x) K0(x); inf at 0, nan for x < 0. Error <= 4 ulp."""
    return choose(x <= 1.0, lambda x: np.exp(x) * _k0_small(x), lambda x: _k_large(x, _K0_LARGE), x)


@elementwise(double=True)
def k1e(x: np.ndarray) -> np.ndarray:
    """exp(x) K1(x); inf at 0, nan for x < 0. Error <= 4 ulp."""
    return choose(x <= 1.0, lambda x: np.exp(x) * _k1_small(x), lambda x: _k_large(x, _K1_LARGE), x)


# ---- J, Y and Ai ---------------------------------------------------------------------------

# fmt: off
_J0_SMALL = (
  table64(
    -4.815892771820902e-14, 4.0433154552634386e-11, -1.3798114271956693e-08, 2.324107429631e-06,
    -0.0001879076434739365, 0.005674693325155617,
),
  table64(
    4.796213671543227e-13, 4.260088866604105e-10, 2.008101817907057e-07, 6.0201686156633534e-05,
    0.01115385573259373, 1.0,
),
)
_J1_SMALL = (
  table64(
    -2.4716231646533816e-15, 2.479333708523684e-12, -1.0486466170535547e-09,
    2.320268531957311e-07, -2.7450157798763236e-05, 0.0015920963783930845, -0.03405537391318949,
),
  table64(
    2.620465172759007e-13, 2.719291977382563e-10, 1.4630744510402455e-07, 4.9282695251912845e-05,
    0.010139027599622942, 1.0,
),
)
_Y0_SMALL = (
  table64(
    -2.3733049811280667e-11, 1.4289405235758442e-08, -3.2059323600186014e-06,
    0.0003201958474430338, -0.013451080959941441, 0.17651266266430993, -0.0738042951086872,
),
  table64(
    7.640764111582012e-15, 5.048027755364226e-12, 1.983731827619689e-09, 5.538380851103306e-07,
    0.00011124399649971905, 0.01481423544723031, 1.0,
),
)
_Y1_SMALL = (
  table64(
    -1.3443073468887413e-12, 9.83313369367526e-10, -2.779741547360886e-07, 3.687672910198707e-05,
    -0.0022450009617728628, 0.05172262232243507, -0.19605709064623894,
),
  table64(
    3.3683523651759325e-15, 2.698187771939885e-12, 1.240980389394055e-09, 3.97153935516268e-07,
    9.009286996480181e-05, 0.013394393589230507, 1.0,
),
)
_P0 = (
  table64(
    10055.32121685034, 34825.35289288887, 16363.156539163127, 2093.7329896182127,
    86.28727258462077, 0.9999999999999997,
),
  table64(
    11508.6105753119, 35793.50932235018, 16501.678506236145, 2099.692855225563, 86.35758508461734,
    1.0,
),
)
_Q0 = (
  table64(
    3089.931849669375, -25244.192284490306, -30822.210676586812, -7331.615752622143,
    -561.2295869852564, -15.2795960799218, -0.1249999999999998,
),
  table64(
    295879.5460838229, 275605.25816304045, 61115.46259894242, 4559.986261290085,
    122.82270613935457, 1.0,
),
)
_P1 = (
  table64(
    9482.947906908063, 30952.717680924976, 15082.099741018137, 1996.3642684000558,
    84.49886066675927, 1.0000000000000004,
),
  table64(
    7290.414063782069, 29447.47177257818, 14860.783585377922, 1986.6199866258792,
    84.38167316676326, 1.0,
),
)
_Q1 = (
  table64(
    -4598.744582158074, 78682.3415017588, 88827.57280125421, 21163.88580167774,
    1640.5435501454317, 45.27307023697648, 0.3749999999999998,
),
  table64(
    251797.28686008364, 249920.42684057198, 57557.853335818385, 4407.128978327452,
    121.00162479859647, 1.0,
),
)
# fmt: on
# fmt: off
_AI_CENTRE = table64(
    5.161532644403673e-11, -3.91215996278101e-10, 3.0849313139183997e-10, 8.478227880786561e-09,
    -4.3891421280910646e-08, 1.265893192474851e-08, 7.785605609078825e-07,
    -3.2733194284783655e-06, -1.9724743535940244e-07, 4.837494673047643e-05,
    -0.00016038759006624197, -6.257843246843495e-05, 0.001871136727390836, -0.004603735483018271,
    -0.0032033362733659755, 0.03884980481335444, -0.06343797239477943, -0.061009731093440274,
    0.3249950213139271, -0.2675970515309294, -0.3061225055093211, 0.4757280916105396,
)
_AI_POSITIVE = (
  table64(
    0.006024034909139673, 0.42451319485818956, 5.4160338966348744, 23.708959165136957,
    44.900824602943565, 40.692140220353444, 18.102560980079534, 3.7409463889744625,
    0.28209479177387803,
),
  table64(
    0.039120673386316585, 2.0092508246894627, 22.507878168921543, 91.9902590423279,
    167.501553370445, 148.31094868125888, 65.06052116642016, 13.33075411078195, 1.0,
),
)
_AI_P = (
  table64(
    105156.84854628853, 1418294.0940986169, 3192668.056945942, 2293590.4188491604,
    662150.2078280983, 84664.18871221875, 4899.237203423527, 121.01963847332773,
    0.9999999999999998,
),
  table64(
    120603.15677783366, 1483723.7344184453, 3255125.111615613, 2314507.7397557814,
    665050.1249265614, 84839.59202570697, 4903.674814382274, 121.05677196098061, 1.0,
),
)
_AI_Q = (
  table64(
    16875.14406112019, 259012.604113396, 525221.5988478852, 327282.4834473966, 81272.95203018982,
    8944.895284789063, 447.43218498752674, 9.608049398844695, 0.06944444444444385,
),
  table64(
    779334.1827828711, 5766089.077502365, 9299217.064808676, 5228364.040705365,
    1233313.1254458136, 132152.54873764343, 6517.345482099597, 138.90301139472726, 1.0,
),
)
# fmt: on

_TWO_OVER_PI = 2.0 / math.pi
_ONE_OVER_SQRT_PI = 1.0 / math.sqrt(math.pi)
# Zeros of J0 and J1 in two parts each.
_J0_ZEROS = (
    (2.404825557695773, -1.176691651530894e-16),
    (5.520078110286311, 8.088597146146722e-17),
)
_J1_ZERO = (3.8317059702075125, -1.5269184090088067e-16)


def _without(x: np.ndarray, zero: tuple[float, float]) -> np.ndarray:
    """x^2 - zero^2 with all digits also where x is close to the zero."""
    return ((np.abs(x) - zero[0]) - zero[1]) * (np.abs(x) + zero[0])


def _j0_small(x: np.ndarray) -> np.ndarray:
    return _without(x, _J0_ZEROS[0]) * _without(x, _J0_ZEROS[1]) * ratio(x * x, _J0_SMALL)


def _j1_small(x: np.ndarray) -> np.ndarray:
    return x * (_without(x, _J1_ZERO) * ratio(x * x, _J1_SMALL))


def _wave(a: np.ndarray, order: int, second: bool) -> np.ndarray:
    """J or, if ``second``, Y of order 0 or 1 for a > 5.

    sqrt(2/(pi a)) (P cos(a - phase) - Q sin(a - phase)). cos and sin of a itself are combined:
    subtracting the phase from a large a would lose digits.
    """
    sine, cosine = np.sin(a), np.cos(a)
    total, difference = sine + cosine, sine - cosine
    inverse = 1.0 / a
    square = inverse * inverse
    p = ratio(square, _P1 if order else _P0)
    q = inverse * ratio(square, _Q1 if order else _Q0)
    cosine, sine = (difference, -total) if order else (total, difference)
    value = p * sine + q * cosine if second else p * cosine - q * sine
    return value * (_ONE_OVER_SQRT_PI / np.sqrt(a))


@elementwise(double=True)
def bessel_j0(x: np.ndarray) -> np.ndarray:
    """J0(x), even; nan at +-inf."""
    return choose(np.abs(x) <= 5.0, _j0_small, lambda x: _wave(np.abs(x), 0, False), x)


@elementwise(double=True)
def bessel_j1(x: np.ndarray) -> np.ndarray:
    """J1(x), odd; nan at +-inf."""

    def large(x: np.ndarray) -> np.ndarray:
        return np.where(x < 0.0, -1.0, 1.0) * _wave(np.abs(x), 1, False)

    return choose(np.abs(x) <= 5.0, _j1_small, large, x)


@elementwise(double=True)
def bessel_y0(x: np.ndarray) -> np.ndarray:
    """Y0(x); -inf at 0, nan for x < 0 and at inf. Absolute error below 5 too: 1e-16 * |log x|."""

    def small(x: np.ndarray) -> np.ndarray:
        return ratio(x * x, _Y0_SMALL) + _TWO_OVER_PI * np.log(x) * _j0_small(x)

    return choose(x <= 5.0, small, lambda x: _wave(x, 0, True), x)


@elementwise(double=True)
def bessel_y1(x: np.ndarray) -> np.ndarray:
    """Y1(x); -inf at 0, nan for x < 0 and at inf. Absolute error below 5 too."""

    def small(x: np.ndarray) -> np.ndarray:
        logarithm = np.log(np.maximum(x, _TINY))  # J1(x) log x is 0 at 0
        value = x * ratio(x * x, _Y1_SMALL)
        value += _TWO_OVER_PI * (_j1_small(x) * logarithm - 1.0 / np.abs(x))
        return np.where(x < 0.0, np.nan, value)

    return choose(x <= 5.0, small, lambda x: _wave(x, 1, True), x)


@elementwise()
def spherical_bessel_j0(x: np.ndarray) -> np.ndarray:
    """sin(x)/x; 1 at 0, 0 at +-inf. Error <= 3 ulp."""
    value = np.sin(x) / np.where(x == 0.0, 1.0, x)
    return np.where(x == 0.0, 1.0, np.where(np.isinf(x), 0.0, value))


@elementwise(double=True)
def airy_ai(x: np.ndarray) -> np.ndarray:
    """Ai(x), the bounded solution of y'' = x y; nan at +-inf.

    Error <= 5 ulp times the larger of 1 and |x|^(3/2), the argument of its exponential or wave.
    """

    def centre(x: np.ndarray) -> np.ndarray:
        return polynomial((x + 0.5) / 1.5, _AI_CENTRE)

    def right(x: np.ndarray) -> np.ndarray:
        root = np.sqrt(x)
        s = (2.0 / 3.0) * x * root
        value = np.exp(-s) * ratio(1.0 / s, _AI_POSITIVE) / np.sqrt(root)
        return np.where(x == np.inf, np.nan, value)

    def left(x: np.ndarray) -> np.ndarray:
        root = np.sqrt(-x)
        s = (-2.0 / 3.0) * x * root
        sine, cosine = np.sin(s), np.cos(s)
        square = 1.0 / (s * s)
        value = ratio(square, _AI_P) * (cosine + sine)
        value += ratio(square, _AI_Q) / s * (sine - cosine)
        return value * (math.sqrt(0.5) * _ONE_OVER_SQRT_PI / np.sqrt(root))

    def outside(x: np.ndarray) -> np.ndarray:
        return choose(x > 0.0, right, left, x)

    return choose((x >= -2.0) & (x <= 1.0), centre, outside, x)
