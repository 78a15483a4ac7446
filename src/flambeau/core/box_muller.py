"""Normal numbers from uniform ones (Box and Muller, 1958), with the roundings of PyTorch's CPU.

PyTorch turns each 16 uniform numbers u into 16 normal ones: for j < 8

    r = sqrt(-2 log(1 - u[j]))    t = 2 pi u[j + 8]    n[j] = r cos(t)    n[j + 8] = r sin(t)

For float64 log, cos and sin are the C library's. For float32 they are the polynomials of Moshier's
Cephes library (logf, sinf, cosf) in the order of operations of Pommier's avx_mathfun, with each
product that feeds a sum fused into it. A fused product is exact in float64 (24 + 24 bits), so
float64 arithmetic that is rounded to float32 after each sum gives the same bits.
"""

from __future__ import annotations

import numpy as np

from . import threads

# Numbers made at a time. The scratch arrays then stay in the second cache, and NumPy's calls are
# long enough (10 us) that two threads do not wait for each other's hold on the interpreter.
BLOCK = 32768

_F32, _F64, _I32 = np.float32, np.float64, np.int32


def _coefficients(*values: float) -> np.ndarray:
    """The values as float32 holds them, in float64."""
    return np.array(values, _F32).astype(_F64)


# 0-d arrays rather than numbers: NumPy takes them 0.4 us faster.
_LOG = [
    np.array(value)
    for value in _coefficients(
        7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
        -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
    )
]  # fmt: skip
_LN2_HIGH, _LN2_LOW = np.array(0.693359375, _F32), np.array(-2.12194440e-4, _F32)
_SQRT_HALF = np.array(0.707106781186547524, _F32).view(_I32)
_HALF, _ONE, _MINUS_TWO = (np.array(value, _F32) for value in (0.5, 1.0, -2.0))
# Rows for cos and sin.
_TRIGONOMETRIC = _coefficients(
    2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2,
    -1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1,
).reshape(2, 3, 1)  # fmt: skip
_TO_LAST_SUM = np.array([[-0.5], [1.0]])
# pi/4 in three parts; k times the first two and their differences from an angle are exact in
# float32, so that the three fused subtractions are one in float64.
_QUARTER_PI = np.array(
    _coefficients(0.78515625, 2.4187564849853515625e-4, 3.77489497744594108e-8).sum()
)
_TWO_PI, _FOUR_OVER_PI = np.array(2 * np.pi, _F32), np.array(1.27323954473516, _F32)
_SIGN = np.array(-(2**31), _I32)

# Adding m = 1.5 * 2^(52 - 24 + e) rounds a float64 number of [2^(e-1), 2^e) as float32 would.
# Every sum of the polynomials of sin and cos stays in the binade of the coefficient added.
_GRID = 1.5 * 2.0 ** (52 - 24 + np.frexp(_TRIGONOMETRIC[:, 1:])[1])
_ON_GRID = _TRIGONOMETRIC[:, 1:] + _GRID


def _log(u: np.ndarray) -> np.ndarray:
    """log(u) of normal positive float32 numbers: u = 2^e (1 + x), sqrt(1/2) <= 1 + x < sqrt(2)."""
    bits = u.view(_I32)
    exponent = bits - _SQRT_HALF
    exponent >>= 23
    x = (bits - (exponent << 23)).view(_F32)
    x -= _ONE
    wide = x.astype(_F64)
    y = wide * _LOG[0]
    y += _LOG[1]
    rounded = y.astype(_F32)
    for coefficient in _LOG[2:]:
        y[...] = rounded
        y *= wide
        y += coefficient
        rounded[...] = y
    rounded *= x
    squared = x * x
    e = exponent.astype(_F32)
    np.multiply(rounded, squared, out=y, dtype=_F64)
    y += e * _LN2_LOW
    rounded[...] = y
    squared *= _HALF
    rounded -= squared
    x += rounded
    e *= _LN2_HIGH  # exact
    x += e
    return x


def _cos_sin(angle: np.ndarray) -> np.ndarray:
    """cos and sin, the rows of the result, of float32 angles in [0, 2 pi].

    An even number k of quarters of pi is taken off, which leaves x of [-pi/4, pi/4].
    """
    k = (angle * _FOUR_OVER_PI).astype(_I32)
    k += 1
    k &= -2
    factors = np.empty((2, len(angle)))  # of the last products: x^2 and x
    z, x = factors
    np.multiply(k, _QUARTER_PI, out=x)
    np.subtract(angle, x, out=x)
    x32 = x.astype(_F32)
    x[...] = x32
    x32 *= x32
    z[...] = x32

    y = z * _TRIGONOMETRIC[:, 0]
    for step in range(2):
        y += _ON_GRID[:, step]
        y -= _GRID[:, step]
        y *= z
    out = y.astype(_F32)  # cos x - 1 + z/2 over z, and sin x / x - 1
    np.add(out, _TO_LAST_SUM, out=y)
    y *= factors
    out[...] = y
    cosine, sine = out
    cosine += _ONE

    # For odd k/2 the two change places; their signs are those of the quadrant.
    cosine, sine = cosine.view(_I32), sine.view(_I32)
    exchange = k << 30
    exchange >>= 31
    exchange &= cosine ^ sine
    cosine ^= exchange
    sine ^= exchange
    k <<= 29
    sine ^= k & _SIGN
    k += _I32(2 << 29)  # the sign of cos is that of sin two quarters further
    cosine ^= k & _SIGN
    return out


def _pairs32(u: np.ndarray, mean: float, std: float) -> None:
    """The 16-blocks of u, float32 [n, 2, 8], in place."""
    radius = _log(np.subtract(_ONE, u[:, 0]).reshape(-1))
    radius *= _MINUS_TWO
    np.sqrt(radius, out=radius)
    normal = _cos_sin(np.multiply(u[:, 1], _TWO_PI).reshape(-1))
    normal *= radius
    mean, std = _F32(mean), _F32(std)
    if mean and std != 1:
        wide = normal.astype(_F64)
        wide *= _F64(std)
        wide += _F64(mean)
        normal[...] = wide
    else:
        if std != 1:
            normal *= std
        normal += mean  # even 0, of which -0 becomes 0
    u[...] = normal.reshape(2, -1, 8).swapaxes(0, 1)


def _pairs64(u: np.ndarray, mean: float, std: float) -> None:
    """The 16-blocks of u, float64 [n, 2, 8], in place."""
    radius = np.subtract(1.0, u[:, 0])
    np.log(radius, out=radius)
    radius *= -2.0
    np.sqrt(radius, out=radius)
    angle = u[:, 1] * (2 * np.pi)
    u[:, 0] = fused(radius * np.cos(angle), std, mean)
    u[:, 1] = fused(radius * np.sin(angle), std, mean)


def box_muller(u: np.ndarray, mean: float, std: float) -> None:
    """Turn uniform numbers of [0, 1), 1-d float32 or float64, into normal ones, in place.

    The length is a multiple of 16.
    """
    if threads.crew is not None or u.size >= threads.LARGE:
        routine = threads.routine("normal_blocks") if u.flags.c_contiguous else None
        if routine is not None and routine(u, mean, std) is not None:
            return
    blocks = u.reshape(-1, 2, 8)
    pairs = _pairs32 if u.dtype == _F32 else _pairs64

    def part(start: int, stop: int) -> None:
        for at in range(start, stop, BLOCK // 16):
            pairs(blocks[at : min(at + BLOCK // 16, stop)], mean, std)

    if u.size <= BLOCK:
        pairs(blocks, mean, std)
    else:
        threads.run_parts(part, len(blocks), BLOCK // 16)


def fused(a: np.ndarray | float, b: float, c: float) -> np.ndarray | float:
    """a b + c in float64, rounded once, as PyTorch's compiler fuses it (but for ties: 2^-53).

    The product's error by Dekker's and the sum's by Knuth's error-free transformations.
    """
    if b == 1:
        return a + c
    if c == 0 or not (1e-200 < abs(b) < 1e200 and abs(c) < 1e200):  # the splits would overflow
        return a * b + c
    product = a * b
    a_high = a * 134217729.0
    a_high = a_high - (a_high - a)
    a_low = a - a_high
    b_high = b * 134217729.0
    b_high = b_high - (b_high - b)
    b_low = b - b_high
    error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    total = product + c
    part = total - product
    return total + ((product - (total - part)) + (c - part) + error)
