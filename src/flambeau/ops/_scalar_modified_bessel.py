"""Modified Bessel functions I0, I1, K0, K1, plain and scaled by exp(-|x|) or exp(x).

Polynomials in x^2 near zero, elsewhere the asymptotic form with a polynomial or a quotient in 1/x,
all weighted least-squares fits (Lawson's iteration, 40 digits) made for this file. They run in
float64, for float32 too, whose results are then right to the last rounding. Stated errors are in
units in the last place of float64. Definitions: DLMF 10.25; edge cases as PyTorch's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ._scalar_apply import choose, elementwise, polynomial, ratio, table64

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
