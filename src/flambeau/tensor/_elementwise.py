"""Methods of tensors: elementwise arithmetic, functions, comparisons, and Python's operators."""

from __future__ import annotations

import numpy as np

from ..core.twins import inplace, inplace_binary, inplace_unary
from ..ops import arithmetic, comparison, elementwise, rounding


class ElementwiseMethods:
    """Methods of tensors: elementwise."""

    __slots__ = ()

    # ---- Python's operators ----------------------------------------------------------------

    __add__ = __radd__ = arithmetic.add_op.operator
    __sub__ = arithmetic.sub_op.operator
    __rsub__ = arithmetic.rsub_op.operator
    __mul__ = __rmul__ = arithmetic.mul_op.operator
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
    __abs__ = rounding.abs

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
    __invert__ = comparison.bitwise_not

    # ---- arithmetic ------------------------------------------------------------------------

    add = arithmetic.add
    sub = subtract = arithmetic.sub
    mul = multiply = arithmetic.mul
    div = divide = arithmetic.div
    true_divide = arithmetic.true_divide
    floor_divide = arithmetic.floor_divide
    remainder = arithmetic.remainder
    fmod = arithmetic.fmod
    neg = negative = arithmetic.neg
    positive = arithmetic.positive
    pow = arithmetic.pow
    square = arithmetic.square
    reciprocal = arithmetic.reciprocal
    abs = absolute = rounding.abs

    mul_ = multiply_ = inplace_binary(arithmetic.mul, np.multiply)
    __iadd__ = inplace_binary(arithmetic.add_op, np.add)
    __isub__ = inplace_binary(arithmetic.sub_op, np.subtract)
    __imul__ = mul_
    __itruediv__ = inplace_binary(arithmetic.div_op, np.true_divide)

    # ---- functions -------------------------------------------------------------------------

    exp = elementwise.exp
    log = elementwise.log
    sqrt = elementwise.sqrt
    rsqrt = elementwise.rsqrt
    sin = elementwise.sin
    cos = elementwise.cos
    tanh = elementwise.tanh
    sigmoid = elementwise.sigmoid
    sign = rounding.sign

    eq = comparison.eq
    ne = comparison.ne
    lt = comparison.lt
    le = comparison.le
    gt = comparison.gt
    ge = comparison.ge
    logical_not = comparison.logical_not
    logical_and = comparison.logical_and
    logical_or = comparison.logical_or
    isnan = comparison.isnan
    isfinite = comparison.isfinite
    masked_fill = comparison.masked_fill
    where = comparison.where_method
