"""Exponentials, logarithms and their kin of one number, in the scalar language.

Each reduces its argument to a short interval and evaluates a polynomial there, without branches,
so that it becomes vector code. ``ERRORS`` holds the largest error of each in ulp (units in the last
place of the exact result), which tests/compiler/test_scalar_functions.py measures over the whole
range; infinities, nan, denormal numbers and the sign of zero come out as IEEE 754 has them.
Polynomials: minimax for the relative error of the result, by Remez's exchange in 50 digits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from .scalar import (
    FLOAT32,
    FLOAT64,
    Number,
    Scalar,
    absolute,
    bits,
    constant,
    copysign,
    equal,
    fma,
    from_bits,
    select,
    shift_left,
    shift_right,
    to_float,
)

#: Function -> largest error in ulp, in float32 and in float64 (None: the rule is float32's alone).
ERRORS: dict[str, tuple[float, float | None]] = {
    "exp": (1.0, 1.0),
    "expm1": (1.5, 2.0),
    "log": (1.0, 1.0),
    "log1p": (1.5, 1.5),
    "sigmoid": (2.5, 2.5),
    "tanh": (2.5, 2.5),
    "erf": (1.5, None),
}

LOG2E = 1 / math.log(2)

#: What differs between the two widths. ``shifter``: adding it rounds to an integer, whose low bits
#: are then the low bits of the sum; ``ln2_high + ln2_low`` is log(2), the first with so few bits
#: that its products with an exponent are exact.
_WIDTHS = {
    FLOAT32: SimpleNamespace(
        mantissa=23,
        one=0x3F800000,  # the bits of 1.0
        root_half=0x3F3504F3,  # the bits of sqrt(1/2)
        shifter=12582912.0,
        shifter_bits=0x4B400000,
        smallest=2.0**-126,  # normal number
        ln2_high=0.693359375,
        ln2_low=-2.12194440e-4,
        lowest_exp=-104.0,
        zero_exp=-88.0,
        highest_exp=89.0,
        lowest_expm1=-18.0,
        saturated_tanh=10.0,
        # (exp(r) - 1 - r) / r**2 for |r| <= log(2) / 2
        expm1=(
            0.5, 0.1666666567325592, 0.041666291654109955, 0.008333498612046242,
            0.0013944978127256036, 0.00019790044461842626,
        ),
        # the same to 1.3e-8 of exp(r) - 1: for results with other errors, ten times as large
        rough_expm1=(
            0.5, 0.1666654348373413, 0.04166720062494278, 0.008366520516574383,
            0.0013882522471249104,
        ),
        # (log(1 + f) - f + f**2 / 2) / f**3 for sqrt(1/2) - 1 <= f <= sqrt(2) - 1
        log1p=(
            0.3333331346511841, -0.25000008940696716, 0.2000211924314499, -0.1666799634695053,
            0.14219552278518677, -0.1240558996796608, 0.11888162791728973, -0.11675650626420975,
            0.0674663782119751,
        ),
    ),
    FLOAT64: SimpleNamespace(
        mantissa=52,
        one=0x3FF0000000000000,
        root_half=0x3FE6A09E667F3BCD,
        shifter=6755399441055744.0,
        shifter_bits=0x4338000000000000,
        smallest=2.0**-1022,
        ln2_high=0.6931471803691238,
        ln2_low=1.9082149292705877e-10,
        lowest_exp=-746.0,
        zero_exp=-709.0,
        highest_exp=710.0,
        lowest_expm1=-38.0,
        saturated_tanh=20.0,
        expm1=(
            0.5, 0.16666666666666685, 0.041666666666666075, 0.008333333333316654,
            0.0013888888889120967, 0.00019841269897347846, 2.4801586920008175e-05,
            2.7557233880631326e-06, 2.755758495319361e-07, 2.5112384564538516e-08,
            2.0826322307292313e-09,
        ),
        rough_expm1=None,
        # (2 atanh(s) - 2 s) / s**3 by s**2, where s = f / (2 + f)
        atanh=(
            0.666666666666674, 0.39999999999377983, 0.2857142875130256, 0.222221975873682,
            0.18183618987765865, 0.1531256987711606, 0.14811540318258035,
        ),
    ),
}  # fmt: skip


def polynomial(x: Scalar, coefficients: Sequence[float]) -> Scalar:
    """``c0 + c1 x + c2 x^2 + ...`` by Horner's rule."""
    *rest, last = coefficients
    result = last
    for c in reversed(rest):
        result = fma(result, x, c)
    return result


def clamp(x: Scalar, low: Number, high: Number) -> Scalar:
    """``x`` kept within [low, high]; nan stays nan."""
    x = select(x < low, low, x)
    return select(x > high, high, x)


def _halved_exponent(x: Scalar) -> tuple[Scalar, Scalar]:
    """(shifted, r): ``x = n log(2) + r`` with |r| <= log(2) / 2 and n in the low bits of the
    bits of ``shifted``."""
    w = _WIDTHS[x.dtype]
    shifted = fma(x, LOG2E, w.shifter)
    n = shifted - w.shifter
    return shifted, fma(n, -w.ln2_low, fma(n, -w.ln2_high, x))


def _expm1_reduced(r: Scalar, rough: bool = False) -> Scalar:
    """exp(r) - 1 for |r| <= log(2) / 2. The polynomial by Horner's rule in r^2, with pairs of
    coefficients: as many multiplications, half of which do not wait for each other."""
    square = r * r
    w = _WIDTHS[r.dtype]
    coefficients = (rough and w.rough_expm1) or w.expm1
    *rest, result = [polynomial(r, coefficients[k : k + 2]) for k in range(0, len(coefficients), 2)]
    for pair in reversed(rest):
        result = fma(result, square, pair)
    return fma(square, result, r)


def _power_of_two(exponent: Scalar, dtype: np.dtype) -> Scalar:
    """2**n from an integer whose low bits are n, for exponents of normal numbers."""
    w = _WIDTHS[dtype]
    return from_bits(shift_left(exponent, w.mantissa) + w.one)


def at_most(x: Scalar) -> float:
    """A bound of ``x`` from above that its expression shows; inf where it shows none."""
    a = x.operands
    if x.operation == "constant":
        return x.value
    if x.operation == "negate":
        inner = a[0].operands
        square = a[0].operation == "multiply" and inner[0] is inner[1]
        return 0.0 if square or a[0].operation == "absolute" else math.inf
    if x.operation == "multiply" and a[0].operation == "negate" and a[0].operands[0] is a[1]:
        return 0.0  # -x * x
    if x.operation == "select" and a[0].operation == "less":
        low, high = a[0].operands
        if _same(low, a[1]) and _same(high, a[2]):  # the smaller of the two
            return min(at_most(low), at_most(high))
    return math.inf


def _same(a: Scalar, b: Scalar) -> bool:
    return a is b or a.operation == b.operation == "constant" and a.value == b.value


def exp(x: Scalar, rough: bool = False) -> Scalar:
    """e**x. The power of two is applied in two parts, for results beyond the normal numbers: one
    that no number needs, where ``x`` is seen to be far below the largest, or two halves."""
    w = _WIDTHS[x.dtype]
    most = at_most(x)
    x = select(x < w.lowest_exp, w.lowest_exp, x)
    if most > w.highest_exp:
        x = select(x > w.highest_exp, w.highest_exp, x)
    shifted, r = _halved_exponent(x)
    y = _expm1_reduced(r, rough) + 1
    if most <= 0.5 * w.highest_exp:
        lift = w.mantissa + 2
        return y * _power_of_two(bits(shifted) + lift, x.dtype) * 2.0**-lift
    n = bits(shifted) - w.shifter_bits
    half = shift_right(n, 1)
    return y * _power_of_two(half, x.dtype) * _power_of_two(n - half, x.dtype)


def exp_within(x: Scalar) -> Scalar:
    """e**x where both x and the result are far from the ends of the normal numbers; nan stays."""
    shifted, r = _halved_exponent(x)
    return (_expm1_reduced(r) + 1) * _power_of_two(bits(shifted), x.dtype)


def exp_below(x: Scalar) -> Scalar:
    """e**x for x <= 0, where results below the normal numbers become 0: for terms of a sum whose
    largest is 1. Of the smallest ``x`` that is let through, the power of two has the bits of 0."""
    lowest = _WIDTHS[x.dtype].zero_exp
    return exp_within(select(x < lowest, lowest, x))


def expm1(x: Scalar) -> Scalar:
    """e**x - 1: 2 (s p + s - 1/2) with s = 2**(n - 1), which is finite, and p = exp(r) - 1."""
    w = _WIDTHS[x.dtype]
    shifted, r = _halved_exponent(clamp(x, w.lowest_expm1, w.highest_exp))
    s = _power_of_two(bits(shifted) - 1, x.dtype)
    y = 2 * fma(s, _expm1_reduced(r), s - 0.5)
    near = absolute(x) < 2.0 ** -(w.mantissa // 2 + 1)
    return copysign(select(near, fma(0.5 * x, x, x), y), x)


def tanh(x: Scalar) -> Scalar:
    """m / (m + 2), where m = exp(2 |x|) - 1; with the sign of ``x``."""
    w = _WIDTHS[x.dtype]
    size = absolute(x)
    twice = 2 * select(size > w.saturated_tanh, w.saturated_tanh, size)
    shifted = fma(twice, LOG2E, w.shifter)
    r = fma(shifted - w.shifter, -math.log(2), twice)  # where n is not small, tanh hardly moves
    s = _power_of_two(bits(shifted), x.dtype)
    m = fma(s, _expm1_reduced(r, rough=True), s - 1)
    return _signed(m / (m + 2), x)


def _signed(positive: Scalar, x: Scalar) -> Scalar:
    """``copysign`` of what has no sign yet."""
    integer = bits(x)
    sign = integer & constant(np.iinfo(integer.dtype).min, integer.dtype)
    return from_bits(bits(positive) | sign)


def sigmoid(x: Scalar) -> Scalar:
    """e / (1 + e), where e = exp(x): also where the result is a denormal number."""
    e = exp(select(x > 40.0, 40.0, x), rough=True)
    return e / (1 + e)


def gate(x: Scalar) -> Scalar:
    """``sigmoid``, where results below the normal numbers become 0: for what is multiplied."""
    e = exp_below(select(x > 40.0, 40.0, x))
    return e / (1 + e)


def _log_parts(x: Scalar) -> tuple[Scalar, Scalar]:
    """(e, m): x = 2**e m with sqrt(1/2) <= m < sqrt(2), for positive normal ``x``."""
    w = _WIDTHS[x.dtype]
    pattern = bits(x)
    exponent = shift_right(pattern - w.root_half, w.mantissa)
    return to_float(exponent), from_bits(pattern - shift_left(exponent, w.mantissa))


def _log_joined(e: Scalar, f: Scalar, correction: Scalar | float) -> Scalar:
    """e log(2) + log(1 + f) + correction, from the smallest term to the largest."""
    w = _WIDTHS[f.dtype]
    if f.dtype == FLOAT32:
        square = f * f
        tail = fma(square * f, polynomial(f, w.log1p), fma(e, w.ln2_low, correction))
        return fma(e, w.ln2_high, f + fma(-0.5, square, tail))
    # log(1 + f) = 2 atanh(s) = f - s (f - s**2 p(s**2)) by s = f / (2 + f): fewer terms.
    s = f / (2 + f)
    z = s * s
    half = 0.5 * f * f
    tail = fma(s, fma(z, polynomial(z, w.atanh), half), fma(e, w.ln2_low, correction))
    return fma(e, w.ln2_high, f - (half - tail))


def log(x: Scalar) -> Scalar:
    """The natural logarithm; -inf of zero, nan of negative numbers."""
    w = _WIDTHS[x.dtype]
    tiny = x < w.smallest
    e, m = _log_parts(select(tiny, x * 2.0**w.mantissa, x))
    y = _log_joined(e - select(tiny, float(w.mantissa), constant(0.0, x.dtype)), m - 1, 0.0)
    return _at_edges(x, 0.0, y)


def log1p(x: Scalar) -> Scalar:
    """log(1 + x): of the rounded sum u = 1 + x, and what the rounding lost, over u."""
    w = _WIDTHS[x.dtype]
    u = 1 + x
    lost = select(x < 1, x - (u - 1), 1 - (u - x))
    e, m = _log_parts(u)
    y = _at_edges(x, -1.0, _log_joined(e, m - 1, lost / u))
    return select(absolute(x) < 2.0 ** -(w.mantissa + 2), x, y)


def _at_edges(x: Scalar, pole: float, y: Scalar) -> Scalar:
    """``y`` of a logarithm, with its values at the pole, below it, at infinity and of nan."""
    below = select(equal(x, pole), -math.inf, constant(math.nan, x.dtype))
    return select(x > pole, select(x < math.inf, y, x), below)


#: erf(x) / x - 1 by x**2, for |x| <= 1.
_ERF = (
    0.12837916572679745, -0.376126258246751, 0.11283585151233505, -0.026853811990321785,
    0.005188327729379839, -0.0008010193658509674, 7.853860631578005e-05,
)  # fmt: skip
#: -log(1 - erf(t)) / t for 0.95 <= t <= 4.
_LOG_ERFC = (
    1.1286656957942214, 0.6350820242299384, 0.10635057996238245, -0.023859286089362657,
    0.0036881156130010194, -0.0003339623258074859, 1.2339685099875947e-05,
)  # fmt: skip


def erf(x: Scalar) -> Scalar:
    """The error function, 2 / sqrt(pi) times the integral of exp(-t**2) from 0 to x; float32."""
    near = fma(x, polynomial(x * x, _ERF), x)
    t = absolute(x)
    t = select(t > 4.0, 4.0, t)
    far = copysign(1 - exp_within(-t * polynomial(t, _LOG_ERFC)), x)
    return select(t >= 1.0, far, near)  # nan comes from near


#: exp(x**2 / 2) times a normal number's probability to be above x >= 0, by 1 / (1 + x / 2); to 5e-9
#: of the probability.
_MILLS = (
    -0.001767367823049426, 0.2186046838760376, 0.11580496281385422, 0.3280726373195648,
    -0.09949574619531631, -0.15518684685230255, 0.12040562182664871, -0.02643796242773533,
)  # fmt: skip


def normal(x: Scalar) -> tuple[Scalar, Scalar]:
    """(1 + erf(x / sqrt(2))) / 2, a normal number's probability to be below ``x``, and its density
    there times sqrt(2 pi), exp(-x**2 / 2); float32."""
    density = exp_below(x * x * -0.5)
    tail = density * polynomial(1 / (1 + 0.5 * absolute(x)), _MILLS)
    return select(x < 0, tail, 1 - tail), density
