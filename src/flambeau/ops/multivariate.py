"""Functions of two and three numbers, elementwise."""

from __future__ import annotations

import numpy as np

from .._dtypes import (
    COMPLEX,
    FLOATING,
    complex128,
    dtype,
    float64,
    from_numpy,
    get_default_dtype,
)
from .._errors import type_name
from .._shapes import broadcast
from ..core.mutation import accepts_out
from ..core.op import binary, define, unsupported
from ..core.promotion import Number, by_pieces, result_type
from ..core.value import Value
from . import _scalar_elementary
from .arithmetic import as_dtype, conjugate, mul, old_order, pow, unbroadcast

# ---- angles and lengths --------------------------------------------------------------------


def _inverse_square(a: Value, b: Value) -> Value:
    size = a * a + b * b
    return size.reciprocal().masked_fill(size == 0, 0)


atan2 = arctan2 = binary(
    "atan2",
    np.arctan2,
    (
        lambda g, a, b: g * (b * _inverse_square(a, b)),
        lambda g, a, b: g * (-a * _inverse_square(a, b)),
    ),
    result="float",
    takes="biuf",
    numbers="none",
    doc="The angle of the point (other, input), in (-pi, pi], broadcast.",
)
hypot = binary(
    "hypot",
    np.hypot,
    (lambda g, a, y: g * (a / y), lambda g, b, y: g * (b / y)),
    takes="f",
    numbers="none",
    doc="sqrt(input**2 + other**2) without overflow, broadcast.",
)

# ---- sums of exponentials ------------------------------------------------------------------


logaddexp = binary(
    "logaddexp",
    _scalar_elementary.logaddexp,
    (
        lambda g, a, b: g / conjugate(1 + (b - a).exp()),
        lambda g, a, b: g / conjugate(1 + (a - b).exp()),
    ),
    takes="fc",
    numbers="none",
    doc="log(exp(input) + exp(other)) without overflow, broadcast.",
)
logaddexp2 = binary(
    "logaddexp2",
    _scalar_elementary.logaddexp2,
    (
        lambda g, a, b: g / (1 + (b - a).exp2()),
        lambda g, a, b: g / (1 + (a - b).exp2()),
    ),
    takes="f",
    numbers="none",
    doc="log2(2**input + 2**other) without overflow, broadcast.",
)

# ---- one operation with a factor -----------------------------------------------------------


def _value(value: Number, d: dtype) -> Number:
    """The factor of addcmul and addcdiv as the operands' dtype takes it."""
    if isinstance(value, complex) and not d.is_complex:
        raise RuntimeError(f"value cannot be converted to type {d.name} without overflow")
    return value if d.category >= FLOATING else int(value)


def _addcmul(
    x: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    value: Number,
    out: np.ndarray | None = None,
) -> np.ndarray:
    t = np.multiply(a, b)
    return np.add(x, t if value == 1 else np.multiply(t, value), out=out)


def _addcdiv(
    x: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    value: Number,
    out: np.ndarray | None = None,
) -> np.ndarray:
    t = np.true_divide(a, b)
    return np.add(x, t if value == 1 else np.multiply(t, value), out=out)


addcmul_op = define(
    "addcmul",
    by_pieces(_addcmul),
    {
        "x": lambda g, x_shape: unbroadcast(g, x_shape),
        "a": lambda g, a_shape, b, value: unbroadcast(g * conjugate(b * value), a_shape),
        "b": lambda g, b_shape, a, value: unbroadcast(g * conjugate(a * value), b_shape),
    },
)
addcdiv_op = define(
    "addcdiv",
    by_pieces(_addcdiv),
    {
        "x": lambda g, x_shape: unbroadcast(g, x_shape),
        "a": lambda g, a_shape, b, value: unbroadcast(g * conjugate(value / b), a_shape),
        "b": lambda g, a, b, value: unbroadcast(
            -g * conjugate(value * a / (b * b)), b._array.shape
        ),
    },
)


def _three(
    name: str, input: Value, tensor1: Value, tensor2: Value
) -> tuple[dtype, Value, Value, Value]:
    own = from_numpy(input._array.dtype) if isinstance(input, Value) else None
    if (
        own is not None
        and isinstance(tensor1, Value)
        and isinstance(tensor2, Value)
        and input._array.shape == tensor1._array.shape == tensor2._array.shape
        and own.category >= FLOATING
        and input._array.dtype == tensor1._array.dtype == tensor2._array.dtype
    ):
        return own, input, tensor1, tensor2
    for place, v in (("input", input), ("tensor1", tensor1), ("tensor2", tensor2)):
        if not isinstance(v, Value):
            raise TypeError(f"{name}(): argument '{place}' must be Tensor, not {type_name(v)}")
    d = result_type(input, tensor1, tensor2)
    if d.category < FLOATING and name == "addcdiv":
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future release addcdiv "
            "will perform a true division of tensor1 and tensor2.\n"
            "  make one of the tensors floating, with .float()"
        )
    operands = [as_dtype(v, d) for v in (input, tensor1, tensor2)]
    broadcast(*(v._array.shape for v in operands))
    return (d, *operands)


@accepts_out
def addcmul(input: Value, tensor1: Value, tensor2: Value, *old: Value, value: Number = 1) -> Value:
    """``input + value * tensor1 * tensor2``, elementwise, broadcast."""
    if old:
        value, tensor1, tensor2 = old_order("addcmul", tensor1, tensor2, *old)
    d, *operands = _three("addcmul", input, tensor1, tensor2)
    return addcmul_op(*operands, _value(value, d))


@accepts_out
def addcdiv(input: Value, tensor1: Value, tensor2: Value, *old: Value, value: Number = 1) -> Value:
    """``input + value * tensor1 / tensor2``, elementwise, broadcast. RuntimeError for integers."""
    if old:
        value, tensor1, tensor2 = old_order("addcdiv", tensor1, tensor2, *old)
    d, *operands = _three("addcdiv", input, tensor1, tensor2)
    return addcdiv_op(*operands, _value(value, d))


# ---- between two values --------------------------------------------------------------------


def lerp_array(start: np.ndarray, end: np.ndarray, weight: np.ndarray | Number) -> np.ndarray:
    """``start + weight * (end - start)``, exact at both ends."""
    way = end - start
    if not isinstance(weight, np.ndarray):
        return start + weight * way if abs(weight) < 0.5 else end - way * (1 - weight)
    return np.where(np.absolute(weight) < 0.5, start + weight * way, end - way * (1 - weight))


_lerp_number = define(
    "lerp",
    by_pieces(lerp_array),
    {
        "start": lambda g, weight, start_shape: unbroadcast(g * conjugate(1 - weight), start_shape),
        "end": lambda g, weight, end_shape: unbroadcast(g * conjugate(weight), end_shape),
    },
)
_lerp_tensor = define(
    "lerp_tensor",
    by_pieces(lerp_array),
    {
        "start": lambda g, weight, start_shape: unbroadcast(g * conjugate(1 - weight), start_shape),
        "end": lambda g, weight, end_shape: unbroadcast(g * conjugate(weight), end_shape),
        "weight": lambda g, start, end, weight_shape: unbroadcast(
            g * conjugate(end - start), weight_shape
        ),
    },
)
_lerp_tensor.op.grad_name = "LerpBackward1"
_lerp_number.op.with_tensors = _lerp_tensor


@accepts_out
def lerp(input: Value, end: Value, weight: Value | Number) -> Value:
    """``input + weight * (end - input)``, elementwise, broadcast.

    RuntimeError for integers and for dtypes that differ: they are not promoted.
    """
    for name, v in (("input", input), ("end", end)):
        if not isinstance(v, Value):
            raise TypeError(f"lerp(): argument '{name}' must be Tensor, not {type_name(v)}")
    own = from_numpy(input._array.dtype)
    for name, v in (("end", end), ("weight", weight)):
        if isinstance(v, Value) and v._array.dtype != input._array.dtype:
            raise RuntimeError(
                f"expected dtype {own.name} for `{name}` but got dtype "
                f"{from_numpy(v._array.dtype).name}"
            )
    if own.category < FLOATING:
        raise unsupported("lerp_kernel_scalar", own)
    if not isinstance(weight, Value):
        broadcast(input._array.shape, end._array.shape)
        return _lerp_number(input, end, weight)
    broadcast(input._array.shape, end._array.shape, weight._array.shape)
    return _lerp_tensor(input, end, weight)


# ---- powers --------------------------------------------------------------------------------


@accepts_out
def float_power(input: Value | Number, exponent: Value | Number) -> Value:
    """``input ** exponent`` in double precision: float64, or complex128 for complex operands."""
    d = complex128 if result_type(input, exponent).category == COMPLEX else float64
    input, exponent = (as_dtype(v, d) if isinstance(v, Value) else v for v in (input, exponent))
    return pow(input, exponent)


def float_power_(self: Value, exponent: Value | Number) -> Value:
    """In-place ``float_power``. RuntimeError unless this tensor is double precision already."""
    d = complex128 if result_type(self, exponent).category == COMPLEX else float64
    if self._array.dtype != d.numpy:
        own = from_numpy(self._array.dtype)
        raise RuntimeError(
            f"the base given to float_power_ has dtype {own.legacy_name} but the operation's "
            f"result requires dtype {d.legacy_name}"
        )
    return self.pow_(as_dtype(exponent, d) if isinstance(exponent, Value) else exponent)


@accepts_out
def ldexp(input: Value, other: Value) -> Value:
    """``input * 2**other``, elementwise, broadcast."""
    if not isinstance(other, Value):
        raise TypeError(
            f"ldexp(): argument 'other' (position 2) must be Tensor, not {type_name(other)}"
        )
    if not isinstance(input, Value):
        raise TypeError(
            f"ldexp(): argument 'input' (position 1) must be Tensor, not {type_name(input)}"
        )
    exponent = from_numpy(other._array.dtype)
    if exponent.category < FLOATING:
        d = from_numpy(input._array.dtype)
        other = as_dtype(other, d if d.category >= FLOATING else get_default_dtype())
    return mul(input, pow(2.0, other))


# ---- whole numbers -------------------------------------------------------------------------

gcd = binary(
    "gcd",
    np.gcd,
    None,
    takes="iu",
    numbers="none",
    doc="The greatest common divisor of integers, broadcast.",
)
lcm = binary(
    "lcm",
    np.lcm,
    None,
    takes="iu",
    numbers="none",
    doc="The least common multiple of integers, broadcast.",
)

__all__ = [
    "addcdiv", "addcmul", "arctan2", "atan2", "float_power", "gcd", "hypot", "lcm", "ldexp", "lerp",
    "logaddexp", "logaddexp2",
]  # fmt: skip
