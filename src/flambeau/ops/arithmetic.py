"""Sums, differences, products, quotients and powers: the records behind the infix operators.

Gradients follow PyTorch for complex numbers: that of a real loss L is dL/dRe + i dL/dIm, so a
factor comes back conjugated. They keep what PyTorch's keep, so that the same in-place changes
are allowed.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np

from .._dtypes import BOOL, FLOATING, dtype
from .._errors import type_name
from ..core.modes import by_copy
from ..core.mutation import accepts_out
from ..core.op import binary, unary
from ..core.promotion import Number, is_number, result_type
from ..core.value import Value, as_array, constant, reading, wrap


def conjugate(v: Value | Number) -> Value | Number:
    """The complex conjugate; real tensors and numbers as they are."""
    if isinstance(v, Value):
        return v.conj() if v._array.dtype.kind == "c" else v
    return v.conjugate()


def unbroadcast(g: Value, shape: tuple[int, ...]) -> Value:
    """The gradient of an operand of ``shape`` that was stretched to the shape of ``g``."""
    return g if g._array.shape == shape else g.sum_to_size(shape)


def flat(g: Value) -> Value:
    """The gradient of a function that is constant between its steps: 0."""
    return g.new_zeros(g._array.shape)


def as_dtype(v: Value | Number, d: dtype) -> Value:
    """A tensor or number as a tensor of dtype ``d``; conversions are recorded."""
    if isinstance(v, Value):
        return v if v._array.dtype == d.numpy else v.to(d)
    return constant(as_array(v, d))


def no_derivative(name: str) -> Callable[[Value], Value]:
    """A gradient that refuses, as PyTorch does for the operation ``name``."""

    def vjp(g: Value) -> Value:
        raise NotImplementedError(f"the derivative for '{name}' is not implemented.")

    return vjp


# ---- sums ----------------------------------------------------------------------------------


def _no_bool(a: Value, b: Value | Number) -> None:
    """PyTorch refuses ``-`` for bool operands, where ``^`` and ``~`` are meant."""
    bools = [
        v._array.dtype.kind == "b" if isinstance(v, Value) else isinstance(v, bool) for v in (a, b)
    ]
    if all(bools):
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. "
            "Use the `^` or `logical_xor()` operator instead."
        )
    if any(bools):
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. "
            "If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."
        )


def _no_bool_negation(x: Value) -> None:
    if x._array.dtype.kind == "b":
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. "
            "If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."
        )


add_op = binary("add", np.add, (lambda g: g, lambda g: g))
sub_op = binary("sub", np.subtract, (lambda g: g, lambda g: -g), check=_no_bool)
rsub_op = binary(
    "rsub",
    lambda a, b, out=None: np.subtract(b, a, out=out),
    (lambda g: -g, lambda g: g),
    grad_name="RsubBackward1",
    check=_no_bool,
)
neg = unary("neg", np.negative, lambda g: -g, result="same", check=_no_bool_negation, doc="-input.")


def scaled(other: Value | Number, alpha: Number, input: Value | Number) -> Value | Number:
    """``alpha * other``, with PyTorch's rules for the kind of ``alpha``."""
    if (
        alpha.__class__ is float
        and isinstance(other, Value)
        and isinstance(input, Value)
        and other._array.dtype == input._array.dtype
        and other._array.dtype.kind == "f"
    ):
        return mul.operator(other, alpha)
    d = result_type(input, other)
    if d.category < FLOATING and isinstance(alpha, (float, complex)):
        raise RuntimeError(
            "For integral input tensors, argument alpha must not be a floating point number."
        )
    if isinstance(alpha, bool) and d.category != BOOL:
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, complex) and not d.is_complex:
        raise RuntimeError(
            "For non-complex input tensors, argument alpha must not be a complex number."
        )
    if d.category == BOOL:
        alpha = bool(alpha)
        if not isinstance(other, Value):
            return bool(other and alpha)
    return mul.operator(as_dtype(other, d), alpha) if isinstance(other, Value) else other * alpha


def old_order(name: str, alpha: Number, *rest: Value) -> tuple:
    """The operands of PyTorch's deprecated ``add(x, alpha, other)``: the factor, then tensors."""
    if not is_number(alpha) or not all(isinstance(v, Value) for v in rest):
        raise TypeError(f"{name}() got too many operands; a factor is given as a keyword")
    warnings.warn(
        f"This overload of {name} is deprecated: give the factor as a keyword, after the tensors",
        UserWarning,
        stacklevel=3,
    )
    return (alpha, *rest)


def add(
    input: Value | Number,
    other: Value | Number,
    *old: Value,
    alpha: Number = 1,
    out: Value | None = None,
) -> Value:
    """``input + alpha * other``, elementwise, broadcast."""
    if old:
        alpha, other = old_order("add", other, *old)
    if alpha.__class__ is not int or alpha != 1:
        other = scaled(other, alpha, input)
    return add_op(input, other, out=out)


def sub(
    input: Value | Number,
    other: Value | Number,
    *old: Value,
    alpha: Number = 1,
    out: Value | None = None,
) -> Value:
    """``input - alpha * other``, elementwise, broadcast. RuntimeError for bool tensors."""
    if old:
        alpha, other = old_order("sub", other, *old)
    if alpha.__class__ is not int or alpha != 1:
        other = scaled(other, alpha, input)
    return sub_op(input, other, out=out)


def rsub(input: Value, other: Value | Number, *, alpha: Number = 1) -> Value:
    """``other - alpha * input``, elementwise, broadcast. RuntimeError for bool tensors."""
    if not isinstance(input, Value):
        raise TypeError(
            f"rsub(): argument 'input' (position 1) must be Tensor, not {type_name(input)}"
        )
    if alpha != 1 or alpha is True:
        _no_bool(input, other)
        input = scaled(input, alpha, other)
    return rsub_op(input, other)


subtract = sub
negative = neg


def positive(input: Value) -> Value:
    """``input`` itself. RuntimeError for bool tensors."""
    if input._array.dtype.kind == "b":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


# ---- products ------------------------------------------------------------------------------

mul = multiply = binary(
    "mul",
    np.multiply,
    (lambda g, b: g * conjugate(b), lambda g, a: g * conjugate(a)),
    doc="input * other, broadcast.",
)
div_op = binary(
    "div",
    np.true_divide,
    (lambda g, b: g / conjugate(b), lambda g, a, b: -g * conjugate((a / b) / b)),
    result="float",
)
reciprocal = unary(
    "reciprocal",
    np.reciprocal,
    lambda g, y: -g * conjugate(y * y),
    doc="1 / input; integers become floating.",
)


def _no_zero(b: np.ndarray) -> None:
    if not np.all(b):
        raise RuntimeError(
            "ZeroDivisionError\n  an integer is divided by 0; floats would give inf or nan"
        )


def _floor_divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.dtype.kind in "iu":
        _no_zero(b)
    return np.floor_divide(a, b)


def _trunc_divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.dtype.kind in "iu":
        _no_zero(b)
        if a.dtype.kind == "u":
            return np.floor_divide(a, b)
        q = np.floor_divide(a, b)
        return q + ((q < 0) & (q * b != a))
    return np.trunc(np.true_divide(a, b))


div_floor = binary(
    "div_floor",
    _floor_divide,
    (flat, flat),
    takes="iuf",
    grad_name="DivBackward2",
)
div_trunc = binary(
    "div_trunc",
    _trunc_divide,
    (flat, flat),
    takes="iuf",
    grad_name="DivBackward2",
)
floor_divide = binary(
    "floor_divide",
    _floor_divide,
    (no_derivative("floor_divide"), no_derivative("floor_divide")),
    takes="iuf",
    doc="The largest integer not above input / other, broadcast.",
)


def reversed_div(self: Value, other: Number) -> Value:
    """``other / self`` as an infix operator."""
    return reciprocal(self) * other


def reversed_floor_divide(self: Value, other: Number) -> Value:
    """``other // self`` as an infix operator."""
    if is_number(other) or isinstance(other, Value):
        return floor_divide(other, self)
    return NotImplemented


def reversed_remainder(self: Value, other: Number) -> Value:
    """``other % self`` as an infix operator."""
    if is_number(other) or isinstance(other, Value):
        return remainder(other, self)
    return NotImplemented


def div(
    input: Value,
    other: Value | Number,
    *,
    rounding_mode: str | None = None,
    out: Value | None = None,
) -> Value:
    """``input / other``, elementwise, broadcast.

    ``rounding_mode``: None (integers become floating), "trunc" (towards 0) or "floor".
    """
    if rounding_mode is None:
        return div_op(input, other, out=out)
    if rounding_mode == "floor":
        return div_floor(input, other, out=out)
    if rounding_mode == "trunc":
        return div_trunc(input, other, out=out)
    raise RuntimeError(
        "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found "
        f"'{rounding_mode}'"
    )


divide = div


def true_divide(input: Value, other: Value | Number, *, out: Value | None = None) -> Value:
    """``input / other``, elementwise, broadcast; integers become floating."""
    return div_op(input, other, out=out)


def _remainder(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.dtype.kind in "iu":
        _no_zero(b)
    return np.remainder(a, b)


def _fmod(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.dtype.kind in "iu":
        _no_zero(b)
    return np.fmod(a, b)


remainder = binary(
    "remainder",
    _remainder,
    (lambda g: g, lambda g, a, b: -g * a.div(b, rounding_mode="floor")),
    takes="iuf",
    doc="input - other * floor(input / other): it has the sign of other.",
)
fmod = binary(
    "fmod",
    _fmod,
    (lambda g: g, lambda g, a, b: -g * a.div(b, rounding_mode="trunc")),
    takes="iuf",
    numbers="second",
    doc="input - other * trunc(input / other): it has the sign of input.",
)

# ---- powers --------------------------------------------------------------------------------


def _pow_number(x: np.ndarray, e: Number, out: np.ndarray | None = None) -> np.ndarray:
    if x.dtype.kind in "iu":
        if e < 0:
            raise RuntimeError(
                "Integers to negative integer powers are not allowed.\n"
                f"  the exponent is {e}; make the base floating first, with .float()"
            )
        return np.power(x, x.dtype.type(e), out=out)
    if e == 2:
        return np.multiply(x, x, out=out)
    if e == 3:
        return np.multiply(np.multiply(x, x), x, out=out)
    if e == 1:
        return np.positive(x, out=out)
    if e == 0.5:
        return np.sqrt(x, out=out)
    if e == -1:
        return np.reciprocal(x, out=out)
    return np.power(x, e, out=out)


def _pow_number_vjp(g: Value, a: Value, b: Number) -> Value:
    if b == 0:
        return g * 0
    return g * conjugate(a * 2 if b == 2 else a ** (b - 1) * b)


def _power(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.dtype.kind in "iu" and b.dtype.kind == "i" and np.any(np.less(b, 0)):
        down = np.less(b, 0)
        odd = np.where(b & 1, a, 1)  # 1 and -1 to a negative power; all others round to 0
        r = np.power(a, np.where(down, 0, b))
        return np.where(down, np.where(np.equal(a, 1), 1, np.where(a == -1, odd, 0)), r)
    return np.power(a, b)


def _pow_base_vjp(g: Value, a: Value, b: Value) -> Value:
    return (g * conjugate(b * a ** (b - 1))).masked_fill(b == 0, 0)


def _pow_exponent_vjp(g: Value, a: Value, b: Value, y: Value) -> Value:
    up = b.real >= 0 if b._array.dtype.kind == "c" else b >= 0
    return (g * conjugate(y * a.log())).masked_fill((a == 0) & up, 0)


pow_number = binary("pow", _pow_number, (_pow_number_vjp, lambda g: g), takes="iufc")
pow_tensor = binary(
    "pow_tensor",
    _power,
    (_pow_base_vjp, _pow_exponent_vjp),
    takes="iufc",
    grad_name="PowBackward1",
)


@by_copy
def _log_at_zero(a: Value) -> Value:
    """``0 ** a * log(0)``: 0 where a is not below 0, else -inf."""
    reading(a, "the gradient of 0 ** x")
    return wrap(np.where(a._array.real < 0, -math.inf, 0.0).astype(a._array.dtype))


def _pow_from_vjp(g: Value, a: Value, b: Number, y: Value) -> Value:
    if b == 0:  # 0 ** a is 1 at 0, 0 above and infinite below
        return g * _log_at_zero(a)
    if isinstance(b, complex):
        return g * (y * complex(np.log(b))).conj()
    return g * conjugate(y * (math.log(b) if b > 0 else math.nan))


pow_number.op.with_tensors = pow_tensor
pow_from = binary(
    "pow_scalar",
    lambda a, b: _power(np.asarray(b, a.dtype), a),
    (_pow_from_vjp, lambda g: g),
    takes="iufc",
    grad_name="PowBackward2",
)


def power(self: Value, exponent: Value | Number) -> Value:
    """``self ** exponent`` as an infix operator: NotImplemented for what is no operand."""
    if isinstance(exponent, Value):
        return pow_tensor.operator(self, exponent)
    return pow_number.operator(self, exponent)


def power_of(self: Value, base: Number) -> Value:
    """``base ** self`` as an infix operator."""
    if is_number(base) or isinstance(base, Value):
        return pow(base, self)
    return NotImplemented


@accepts_out
def pow(input: Value | Number, exponent: Value | Number) -> Value:
    """``input ** exponent``, elementwise, broadcast.

    RuntimeError for integers to a negative number: the result would not be an integer.
    """
    if isinstance(input, Value) and not isinstance(exponent, Value):
        if not is_number(exponent):
            raise TypeError(
                f"pow(): argument 'exponent' must be Tensor or Number, not {type_name(exponent)}"
            )
        return pow_number(input, exponent)
    if is_number(input) and isinstance(exponent, Value):
        return pow_from(exponent, input)
    return pow_tensor(input, exponent)


def square(input: Value, *, out: Value | None = None) -> Value:
    """``input * input``, elementwise."""
    return pow(input, 2, out=out)


__all__ = [
    "add", "div", "divide", "floor_divide", "fmod", "mul", "multiply", "neg", "negative",
    "positive", "pow", "reciprocal", "remainder", "rsub", "square", "sub", "subtract",
    "true_divide",
]  # fmt: skip
