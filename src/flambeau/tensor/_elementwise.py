"""Methods of tensors: elementwise arithmetic, functions, comparisons, and Python's operators.

A method ``f_`` writes into its tensor. Where nothing is recorded it is one NumPy call if it was
made by ``inplace_unary`` or ``inplace_binary``; ``inplace`` computes a result and copies it.
"""

from __future__ import annotations

import numpy as np

from ..core.mutation import inplace, inplace_binary, inplace_unary
from ..ops import (
    arithmetic,
    comparison,
    elementwise,
    inplace_formulas,
    multivariate,
)


class ElementwiseMethods:
    """Methods of tensors: elementwise."""

    __slots__ = ()

    # ---- arithmetic ------------------------------------------------------------------------

    add = arithmetic.add
    sub = subtract = arithmetic.sub
    mul = multiply = arithmetic.mul
    div = divide = arithmetic.div
    true_divide = arithmetic.true_divide
    floor_divide = arithmetic.floor_divide
    floor_divide_ = inplace(arithmetic.floor_divide)
    remainder = arithmetic.remainder
    remainder_ = inplace(arithmetic.remainder)
    fmod = arithmetic.fmod
    fmod_ = inplace_binary(arithmetic.fmod, np.fmod)
    neg = negative = arithmetic.neg
    # not in one call: NumPy 2.4's np.negative, in place on every fourth element, is wrong
    neg_ = negative_ = inplace(arithmetic.neg)
    positive = arithmetic.positive
    pow = arithmetic.pow
    square = arithmetic.square
    square_ = inplace_unary(arithmetic.square, np.square)
    reciprocal = arithmetic.reciprocal
    reciprocal_ = inplace_unary(arithmetic.reciprocal, np.reciprocal)

    add_ = inplace_formulas.add_
    sub_ = subtract_ = inplace_formulas.sub_
    mul_ = multiply_ = inplace_binary(arithmetic.mul, np.multiply)
    div_ = divide_ = inplace_formulas.div_
    true_divide_ = inplace_binary(arithmetic.true_divide, np.true_divide)
    pow_ = inplace_formulas.pow_

    # ---- Python's operators ----------------------------------------------------------------

    __add__ = __radd__ = arithmetic.add_op.operator
    __sub__ = arithmetic.sub_op.operator
    __rsub__ = arithmetic.rsub_op.operator
    __mul__ = __rmul__ = arithmetic.mul.operator
    __truediv__ = __div__ = arithmetic.div_op.operator
    __rtruediv__ = __rdiv__ = arithmetic.reversed_div
    __floordiv__ = arithmetic.floor_divide.operator
    __rfloordiv__ = arithmetic.reversed_floor_divide
    __mod__ = arithmetic.remainder.operator
    __rmod__ = arithmetic.reversed_remainder
    __pow__ = arithmetic.power
    __rpow__ = arithmetic.power_of
    __neg__ = arithmetic.neg
    __pos__ = arithmetic.positive
    __abs__ = elementwise.abs

    __iadd__ = inplace_binary(arithmetic.add_op, np.add)
    __isub__ = inplace_binary(arithmetic.sub_op, np.subtract)
    __imul__ = mul_
    __itruediv__ = __idiv__ = inplace_binary(arithmetic.div_op, np.true_divide)
    __ifloordiv__ = floor_divide_
    __imod__ = remainder_
    __ipow__ = pow_

    __eq__ = comparison.eq.operator
    __ne__ = comparison.ne.operator
    __lt__ = comparison.lt.operator
    __le__ = comparison.le.operator
    __gt__ = comparison.gt.operator
    __ge__ = comparison.ge.operator

    def __hash__(self) -> int:
        return id(self)

    __and__ = __rand__ = comparison.bitwise_and.operator
    __or__ = __ror__ = comparison.bitwise_or.operator
    __xor__ = __rxor__ = comparison.bitwise_xor.operator
    __lshift__ = comparison.bitwise_left_shift.operator
    __rlshift__ = comparison.reversed_left_shift
    __rshift__ = comparison.bitwise_right_shift.operator
    __rrshift__ = comparison.reversed_right_shift
    __invert__ = comparison.invert

    __iand__ = inplace(comparison.bitwise_and)
    __ior__ = inplace(comparison.bitwise_or)
    __ixor__ = inplace(comparison.bitwise_xor)
    __ilshift__ = inplace(comparison.bitwise_left_shift)
    __irshift__ = inplace(comparison.bitwise_right_shift)

    # ---- functions of one number -----------------------------------------------------------

    exp = elementwise.exp
    exp_ = inplace_unary(elementwise.exp, np.exp)
    exp2 = elementwise.exp2
    exp2_ = inplace_unary(elementwise.exp2, np.exp2)
    expm1 = elementwise.expm1
    expm1_ = inplace_unary(elementwise.expm1, np.expm1)
    log = elementwise.log
    log_ = inplace_unary(elementwise.log, np.log)
    log2 = elementwise.log2
    log2_ = inplace_unary(elementwise.log2, np.log2)
    log10 = elementwise.log10
    log10_ = inplace_unary(elementwise.log10, np.log10)
    log1p = elementwise.log1p
    log1p_ = inplace_unary(elementwise.log1p, np.log1p)
    sqrt = elementwise.sqrt
    sqrt_ = inplace_unary(elementwise.sqrt, np.sqrt)
    rsqrt = elementwise.rsqrt
    rsqrt_ = inplace(elementwise.rsqrt)
    sin = elementwise.sin
    sin_ = inplace_unary(elementwise.sin, np.sin)
    cos = elementwise.cos
    cos_ = inplace_unary(elementwise.cos, np.cos)
    tan = elementwise.tan
    tan_ = inplace_unary(elementwise.tan, np.tan)
    asin = arcsin = elementwise.asin
    asin_ = arcsin_ = inplace_unary(elementwise.asin, np.arcsin)
    acos = arccos = elementwise.acos
    acos_ = arccos_ = inplace_unary(elementwise.acos, np.arccos)
    atan = arctan = elementwise.atan
    atan_ = arctan_ = inplace_unary(elementwise.atan, np.arctan)
    sinh = elementwise.sinh
    sinh_ = inplace_unary(elementwise.sinh, np.sinh)
    cosh = elementwise.cosh
    cosh_ = inplace_unary(elementwise.cosh, np.cosh)
    tanh = elementwise.tanh
    tanh_ = inplace_unary(elementwise.tanh, np.tanh)
    asinh = arcsinh = elementwise.asinh
    asinh_ = arcsinh_ = inplace_unary(elementwise.asinh, np.arcsinh)
    acosh = arccosh = elementwise.acosh
    acosh_ = arccosh_ = inplace_unary(elementwise.acosh, np.arccosh)
    atanh = arctanh = elementwise.atanh
    atanh_ = arctanh_ = inplace_unary(elementwise.atanh, np.arctanh)
    sigmoid = elementwise.sigmoid
    sigmoid_ = inplace(elementwise.sigmoid)
    logit = elementwise.logit
    logit_ = inplace(elementwise.logit)
    deg2rad = elementwise.deg2rad
    deg2rad_ = inplace(elementwise.deg2rad)
    rad2deg = elementwise.rad2deg
    rad2deg_ = inplace(elementwise.rad2deg)

    # ---- activations -----------------------------------------------------------------------

    # ---- rounding, signs, magnitudes -------------------------------------------------------

    abs = absolute = elementwise.abs
    abs_ = absolute_ = inplace_unary(elementwise.abs, np.absolute)
    sign = elementwise.sign
    sign_ = inplace(elementwise.sign)
    sgn = elementwise.sgn
    sgn_ = inplace(elementwise.sgn)
    signbit = elementwise.signbit
    floor = elementwise.floor
    floor_ = inplace_unary(elementwise.floor, np.floor)
    ceil = elementwise.ceil
    ceil_ = inplace_unary(elementwise.ceil, np.ceil)
    round = elementwise.round
    round_ = inplace(elementwise.round)
    trunc = fix = elementwise.trunc
    trunc_ = fix_ = inplace_unary(elementwise.trunc, np.trunc)
    frac = elementwise.frac
    frac_ = inplace(elementwise.frac)
    copysign = elementwise.copysign
    copysign_ = inplace_binary(elementwise.copysign, np.copysign)
    heaviside = elementwise.heaviside
    heaviside_ = inplace(elementwise.heaviside)
    nextafter = elementwise.nextafter
    nextafter_ = inplace(elementwise.nextafter)
    frexp = elementwise.frexp

    # ---- bounds ----------------------------------------------------------------------------

    maximum = comparison.maximum
    minimum = comparison.minimum
    fmax = comparison.fmax
    fmin = comparison.fmin
    clamp = clip = comparison.clamp
    clamp_min = comparison.clamp_min
    clamp_max = comparison.clamp_max
    nan_to_num = comparison.nan_to_num
    nan_to_num_ = inplace(comparison.nan_to_num)

    clamp_ = clip_ = inplace_formulas.clamp_
    clamp_min_ = inplace_formulas.clamp_min_
    clamp_max_ = inplace_formulas.clamp_max_

    # ---- functions of several numbers ------------------------------------------------------

    atan2 = arctan2 = multivariate.atan2
    atan2_ = arctan2_ = inplace_binary(multivariate.atan2, np.arctan2)
    hypot = multivariate.hypot
    hypot_ = inplace_binary(multivariate.hypot, np.hypot)
    logaddexp = multivariate.logaddexp
    logaddexp2 = multivariate.logaddexp2
    addcmul = multivariate.addcmul
    addcdiv = multivariate.addcdiv
    lerp = multivariate.lerp
    float_power = multivariate.float_power
    ldexp = multivariate.ldexp
    ldexp_ = inplace(multivariate.ldexp)
    gcd = multivariate.gcd
    gcd_ = inplace(multivariate.gcd)
    lcm = multivariate.lcm
    lcm_ = inplace(multivariate.lcm)

    addcmul_ = inplace_formulas.addcmul_
    addcdiv_ = inplace_formulas.addcdiv_
    lerp_ = inplace_formulas.lerp_
    float_power_ = multivariate.float_power_

    # ---- complex numbers -------------------------------------------------------------------

    # ---- comparisons, logic, choice --------------------------------------------------------

    eq = comparison.eq
    eq_ = inplace(comparison.eq)
    ne = not_equal = comparison.ne
    ne_ = not_equal_ = inplace(comparison.ne)
    lt = less = comparison.lt
    lt_ = less_ = inplace(comparison.lt)
    le = less_equal = comparison.le
    le_ = less_equal_ = inplace(comparison.le)
    gt = greater = comparison.gt
    gt_ = greater_ = inplace(comparison.gt)
    ge = greater_equal = comparison.ge
    ge_ = greater_equal_ = inplace(comparison.ge)
    isnan = comparison.isnan
    isinf = comparison.isinf
    isfinite = comparison.isfinite
    isposinf = comparison.isposinf
    isneginf = comparison.isneginf
    isreal = comparison.isreal
    isclose = comparison.isclose
    allclose = comparison.allclose
    equal = comparison.equal
    logical_and = comparison.logical_and
    logical_and_ = inplace(comparison.logical_and)
    logical_or = comparison.logical_or
    logical_or_ = inplace(comparison.logical_or)
    logical_xor = comparison.logical_xor
    logical_xor_ = inplace(comparison.logical_xor)
    logical_not = comparison.logical_not
    logical_not_ = inplace(comparison.logical_not)
    bitwise_and = comparison.bitwise_and
    bitwise_and_ = inplace(comparison.bitwise_and)
    bitwise_or = comparison.bitwise_or
    bitwise_or_ = inplace(comparison.bitwise_or)
    bitwise_xor = comparison.bitwise_xor
    bitwise_xor_ = inplace(comparison.bitwise_xor)
    bitwise_not = comparison.bitwise_not
    bitwise_not_ = inplace(comparison.bitwise_not)
    bitwise_left_shift = comparison.bitwise_left_shift
    bitwise_left_shift_ = inplace(comparison.bitwise_left_shift, "bitwise_left_shift_")
    bitwise_right_shift = comparison.bitwise_right_shift
    bitwise_right_shift_ = inplace(comparison.bitwise_right_shift, "bitwise_right_shift_")
    masked_fill = comparison.masked_fill

    masked_fill_ = inplace_formulas.masked_fill_
    where = comparison.where_method
    fill_ = inplace_formulas.fill_
    zero_ = inplace_formulas.zero_
