"""Comparisons, logic on truth values and bits, and the choice between two tensors."""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np

from .._dtypes import BOOL, COMPLEX, INTEGRAL, dtype, finfo, from_numpy
from .._errors import type_name
from .._shapes import broadcast
from ..core import threads
from ..core.modes import hook
from ..core.mutation import accepts_out, write_out
from ..core.op import binary, define, unary
from ..core.promotion import Number, by_pieces, is_number, result_type
from ..core.value import Value, check_fits, reading, wrap
from .arithmetic import as_dtype, unbroadcast

BOOLEAN = np.dtype(np.bool_)

# ---- comparisons ---------------------------------------------------------------------------

eq = binary(
    "eq", np.equal, None, result="bool", numbers="second", doc="Where input == other, broadcast."
)
ne = not_equal = binary(
    "ne",
    np.not_equal,
    None,
    result="bool",
    numbers="second",
    doc="Where input != other, broadcast.",
)
lt = less = binary(
    "lt",
    np.less,
    None,
    result="bool",
    takes="biuf",
    numbers="second",
    doc="Where input < other, broadcast.",
)
le = less_equal = binary(
    "le",
    np.less_equal,
    None,
    result="bool",
    takes="biuf",
    numbers="second",
    doc="Where input <= other, broadcast.",
)
gt = greater = binary(
    "gt",
    np.greater,
    None,
    result="bool",
    takes="biuf",
    numbers="second",
    doc="Where input > other, broadcast.",
)
ge = greater_equal = binary(
    "ge",
    np.greater_equal,
    None,
    result="bool",
    takes="biuf",
    numbers="second",
    doc="Where input >= other, broadcast.",
)


def _no_complex(x: Value) -> None:
    if x._array.dtype.kind == "c":
        raise RuntimeError("isposinf and isneginf do not support complex inputs.")


isnan = unary("isnan", np.isnan, None, result="bool", doc="Where input is nan.")
isinf = unary("isinf", np.isinf, None, result="bool", doc="Where input is inf or -inf.")
isfinite = unary(
    "isfinite", np.isfinite, None, result="bool", doc="Where input is neither nan nor infinite."
)
isposinf = unary(
    "isposinf",
    lambda x: x == np.inf,
    None,
    result="bool",
    takes="biuf",
    check=_no_complex,
    doc="Where input is inf.",
)
isneginf = unary(
    "isneginf",
    lambda x: x == -np.inf,
    None,
    result="bool",
    takes="biuf",
    check=_no_complex,
    doc="Where input is -inf.",
)
isreal = unary(
    "isreal",
    lambda x: np.equal(x.imag, 0),
    None,
    result="bool",
    doc="Where the imaginary part is 0.",
)


def _isclose(a: np.ndarray, b: np.ndarray, rtol: float, atol: float, equal_nan: bool) -> np.ndarray:
    close = np.equal(a, b)
    if equal_nan and a.dtype.kind not in "biu":
        close |= np.isnan(a) & np.isnan(b)
    if rtol == 0 and atol == 0:
        return close
    if a.dtype.kind in "biu":
        a, b = a.astype(np.float64), b.astype(np.float64)
    off = np.absolute(a - b)
    return close | (np.isfinite(off) & (off <= atol + np.absolute(rtol * b)))


_isclose_op = define("isclose", _isclose)


def isclose(
    input: Value,
    other: Value,
    rtol: float = 1e-05,
    atol: float = 1e-08,
    equal_nan: bool = False,
) -> Value:
    """Where ``|input - other| <= atol + rtol * |other|``; infinities must be equal.

    RuntimeError for different dtypes and for negative tolerances.
    """
    for name, v in (("input", input), ("other", other)):
        if not isinstance(v, Value):
            raise TypeError(f"isclose(): argument '{name}' must be Tensor, not {type_name(v)}")
    x, y = from_numpy(input._array.dtype), from_numpy(other._array.dtype)
    if x is not y:
        raise RuntimeError(f"{x.legacy_name} did not match {y.legacy_name}")
    for name, value in (("rtol", rtol), ("atol", atol)):
        if not value >= 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {value}")
    broadcast(input._array.shape, other._array.shape)
    return _isclose_op(input.detach(), other.detach(), rtol, atol, equal_nan)


def allclose(
    input: Value,
    other: Value,
    rtol: float = 1e-05,
    atol: float = 1e-08,
    equal_nan: bool = False,
) -> bool:
    """Whether ``isclose`` holds everywhere."""
    close = isclose(input, other, rtol, atol, equal_nan).all()
    reading(close, "allclose")
    return bool(close._array)


def equal(input: Value, other: Value) -> bool:
    """Whether two tensors have the same shape and the same elements (nan equals nothing)."""
    for place, v in (("'input' (position 1)", input), ("'other' (position 2)", other)):
        if not isinstance(v, Value):
            raise TypeError(f"equal(): argument {place} must be Tensor, not {type_name(v)}")
    a, b = input._array, other._array
    if a.shape != b.shape:
        return False
    if hook.active is None:
        return bool(np.all(np.equal(a, b)))
    same = (input == other).all()
    reading(same, "equal")
    return bool(same._array)


# ---- logic ---------------------------------------------------------------------------------

logical_and = binary(
    "logical_and",
    np.logical_and,
    None,
    result="bool",
    numbers="none",
    doc="Where both are true (not 0), broadcast.",
)
logical_or = binary(
    "logical_or",
    np.logical_or,
    None,
    result="bool",
    numbers="none",
    doc="Where one or both are true (not 0), broadcast.",
)
logical_xor = binary(
    "logical_xor",
    np.logical_xor,
    None,
    result="bool",
    numbers="none",
    doc="Where exactly one is true (not 0), broadcast.",
)
logical_not = unary(
    "logical_not", np.logical_not, None, result="bool", doc="Where input is false (0)."
)

bitwise_and = binary(
    "bitwise_and",
    np.bitwise_and,
    None,
    takes="biu",
    doc="The bits set in both: integers and bool, broadcast.",
)
bitwise_or = binary(
    "bitwise_or",
    np.bitwise_or,
    None,
    takes="biu",
    doc="The bits set in one or both: integers and bool, broadcast.",
)
bitwise_xor = binary(
    "bitwise_xor",
    np.bitwise_xor,
    None,
    takes="biu",
    doc="The bits set in exactly one: integers and bool, broadcast.",
)
bitwise_left_shift = binary(
    "lshift",
    np.left_shift,
    None,
    takes="iu",
    doc="input * 2**other by shifting bits; 0 beyond the width.",
)
bitwise_right_shift = binary(
    "rshift", np.right_shift, None, takes="iu", doc="floor(input / 2**other) by shifting bits."
)
bitwise_not = unary(
    "bitwise_not",
    np.invert,
    None,
    result="same",
    takes="biu",
    doc="Every bit turned over: integers and bool.",
)


def invert(self: Value) -> Value:
    """``~self``. TypeError for floating and complex tensors."""
    if self._array.dtype.kind not in "biu":
        raise TypeError(
            "~ (operator.invert) is only implemented on integer and Boolean-type tensors"
        )
    return bitwise_not(self)


def reversed_left_shift(self: Value, other: Number) -> Value:
    """``other << self`` as an infix operator."""
    return bitwise_left_shift(other, self) if is_number(other) else NotImplemented


def reversed_right_shift(self: Value, other: Number) -> Value:
    """``other >> self`` as an infix operator."""
    return bitwise_right_shift(other, self) if is_number(other) else NotImplemented


# ---- choosing ------------------------------------------------------------------------------


def _where(condition: np.ndarray, a: np.ndarray | Number, b: np.ndarray | Number) -> np.ndarray:
    if condition.size < threads.LARGE:
        return np.where(condition, a, b)
    dt = a.dtype if isinstance(a, (np.ndarray, np.generic)) else b.dtype
    if dt.itemsize not in _BITS or condition.dtype is not BOOLEAN:
        return threads.spread(np.where, dt, condition, a, b)
    return threads.spread(_select, dt, condition, np.asarray(a, dt), np.asarray(b, dt))


_BITS = {1: np.int8, 2: np.int16, 4: np.int32, 8: np.int64}


def _select(
    condition: np.ndarray, a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None
) -> np.ndarray:
    """``np.where`` by bits, without a branch: three times faster where the mask is random."""
    if out is None:
        out = np.empty(np.broadcast_shapes(condition.shape, a.shape, b.shape), a.dtype)
    bits = _BITS[out.itemsize]
    mask = condition.view(np.int8).astype(bits)
    np.negative(mask, out=mask)  # all bits set, or none
    a, b, r = a.view(bits), b.view(bits), out.view(bits)
    np.bitwise_xor(a, b, out=r)
    np.bitwise_and(r, mask, out=r)
    np.bitwise_xor(r, b, out=r)
    return out


where_op = define(
    "where",
    _where,
    {
        "a": lambda g, condition, a_shape: unbroadcast(where_op(condition, g, 0.0), a_shape),
        "b": lambda g, condition, b_shape: unbroadcast(where_op(condition, 0.0, g), b_shape),
    },
)


def _mixes(a: object, b: object) -> bool:
    """Two tensors of one dtype, or a floating one and a number: NumPy knows the dtype."""
    if isinstance(a, Value):
        dt = a._array.dtype
        if isinstance(b, Value):
            return dt is b._array.dtype
        return dt.kind == "f" and b.__class__ in (float, int)
    return a.__class__ in (float, int) and isinstance(b, Value) and b._array.dtype.kind == "f"


def where(
    condition: Value,
    input: Value | Number | None = None,
    other: Value | Number | None = None,
    *,
    out: Value | None = None,
) -> Value | tuple[Value, ...]:
    """``input`` where ``condition`` is true, else ``other``; all three broadcast.

    With the condition alone: the indices where it is true, as ``nonzero(as_tuple=True)``.
    RuntimeError for a condition that is not bool.
    """
    if (
        out is None
        and isinstance(condition, Value)
        and condition._array.dtype is BOOLEAN
        and _mixes(input, other)
    ):
        try:
            return where_op(condition, input, other)
        except ValueError:
            pass  # shapes that do not fit: below
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if not isinstance(condition, Value):
        raise TypeError(
            f"where(): argument 'condition' (position 1) must be Tensor, not {type_name(condition)}"
        )
    kind = condition._array.dtype
    if kind != np.bool_:
        if kind != np.uint8:
            raise RuntimeError(
                "where expected condition to be a boolean tensor, but got a tensor with dtype "
                f"{from_numpy(kind).legacy_name}"
            )
        condition = condition != 0
    for name, v in (("input", input), ("other", other)):
        if not isinstance(v, Value) and not is_number(v):
            raise TypeError(f"where(): argument '{name}' must be Tensor, not {type_name(v)}")
    d = result_type(input, other)
    a, b = as_dtype(input, d), as_dtype(other, d)
    broadcast(condition._array.shape, a._array.shape, b._array.shape)
    result = where_op(condition, a, b)
    return result if out is None else write_out(out, result, "where")


def where_method(self: Value, condition: Value, other: Value | Number) -> Value:
    """This tensor where ``condition`` is true, else ``other``."""
    return where(condition, self, other)


_filled_number = define(
    "masked_fill",
    lambda x, mask, value: _where(mask, x.dtype.type(value), x),
    {"x": lambda g, mask, x_shape: unbroadcast(where_op(mask, 0.0, g), x_shape)},
)
_filled_tensor = define(
    "masked_fill_tensor",
    lambda x, mask, value: _where(mask, value, x),
    {
        "x": lambda g, mask, x_shape: unbroadcast(where_op(mask, 0.0, g), x_shape),
        "value": lambda g, mask, value_shape: where_op(mask, g, 0.0).sum(),
    },
)
_filled_tensor.op.grad_name = "MaskedFillBackward1"
_filled_number.op.with_tensors = _filled_tensor


def masked_fill(input: Value, mask: Value, value: Value | Number) -> Value:
    """``input`` with ``value`` (a number, or a 0-dim tensor) wherever ``mask`` is true."""
    if (
        value.__class__ in (float, int)
        and isinstance(mask, Value)
        and mask._array.dtype is BOOLEAN
        and isinstance(input, Value)
        and input._array.dtype.kind == "f"
    ):
        try:
            return _filled_number(input, mask, value)
        except ValueError:
            broadcast(input._array.shape, mask._array.shape)
            raise
    if not isinstance(mask, Value):
        raise TypeError(
            f"masked_fill(): argument 'mask' (position 1) must be Tensor, not {type_name(mask)}"
        )
    if mask._array.dtype != np.bool_:
        raise RuntimeError(
            "masked_fill_ only supports boolean masks, but got mask with dtype "
            f"{from_numpy(mask._array.dtype).legacy_name.lower()}"
        )
    d = from_numpy(input._array.dtype)
    if isinstance(value, Value):
        if value._array.ndim:
            raise RuntimeError(
                "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                f"{value._array.ndim} dimension(s)."
            )
    elif not is_number(value):
        raise TypeError(
            f"masked_fill(): argument 'value' (position 2) must be Number, not {type_name(value)}"
        )
    own = result_type(value)
    if own.category == COMPLEX and d.category not in (BOOL, COMPLEX):
        raise RuntimeError(f"value cannot be converted to type {d.name} without overflow")
    check_fits(value, d)
    try:
        return _filled_tensor(input, mask, as_dtype(value, d))
    except ValueError:
        broadcast(input._array.shape, mask._array.shape)
        raise


# ---- of two tensors ------------------------------------------------------------------------

_split_ties = define(
    "split_ties",
    by_pieces(
        lambda g, loses, a, b: np.where(loses(a, b), g.dtype.type(0), np.where(a == b, g / 2, g))
    ),
    {"g": lambda g, loses, a, b: _split_ties(g, loses, a, b)},
)


def _no_complex(name: str) -> Callable:
    def check(a: Value, b: Value) -> None:
        if "c" in (a._array.dtype.kind, b._array.dtype.kind):
            raise RuntimeError(f"{name} not implemented for complex tensors.")

    return check


def _extremum(
    name: str, ufunc: np.ufunc, a_loses: np.ufunc, b_loses: np.ufunc, *, doc: str
) -> Callable:
    """maximum and minimum: nan wins; in a tie each operand gets half of the gradient."""
    return binary(
        name,
        ufunc,
        (
            lambda g, a, b: _split_ties(g, a_loses, a, b),
            lambda g, a, b: _split_ties(g, b_loses, a, b),
        ),
        takes="biuf",
        check=_no_complex(name),
        numbers="none",
        doc=doc,
    )


def _first_wins(name: str, ufunc: np.ufunc, wins: Callable, *, doc: str) -> Callable:
    """fmax and fmin: a number wins over nan; in a tie the first gets all of the gradient."""

    def first(a: Value, b: Value) -> Value:
        a, b = a.detach(), b.detach()
        return wins(a, b) | (b != b)

    return binary(
        name,
        ufunc,
        (
            lambda g, a, b: where_op(first(a, b), g, 0.0),
            lambda g, a, b: where_op(first(a, b), 0.0, g),
        ),
        takes="biuf",
        check=_no_complex(name),
        numbers="none",
        doc=doc,
    )


maximum = _extremum(
    "maximum",
    np.maximum,
    np.less,
    np.greater,
    doc="The larger of the two, nan if one is, broadcast.",
)
minimum = _extremum(
    "minimum",
    np.minimum,
    np.greater,
    np.less,
    doc="The smaller of the two, nan if one is, broadcast.",
)
fmax = _first_wins(
    "fmax",
    np.fmax,
    operator.ge,
    doc="The larger of the two, the other one if one is nan, broadcast.",
)
fmin = _first_wins(
    "fmin",
    np.fmin,
    operator.le,
    doc="The smaller of the two, the other one if one is nan, broadcast.",
)

# ---- clamp ---------------------------------------------------------------------------------


def _clamp(
    x: np.ndarray,
    min: np.ndarray | Number | None,
    max: np.ndarray | Number | None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    if min is None:
        return np.minimum(x, max, out=out)
    if max is None:
        return np.maximum(x, min, out=out)
    if out is None:
        return np.minimum(np.maximum(x, min), max)
    return np.clip(x, min, max, out=out)  # slower to start, but one pass


def _inside(
    g: np.ndarray,
    x: np.ndarray,
    min: np.ndarray | Number | None,
    max: np.ndarray | Number | None,
) -> np.ndarray:
    """``g`` where ``x`` lies between the bounds, else 0."""
    if min is None:
        inside = x <= max
    else:
        inside = x >= min
        if max is not None:
            inside &= x <= max
    return np.where(inside, g, g.dtype.type(0))


clamp_backward = define(
    "clamp_backward",
    by_pieces(_inside),
    {"g": lambda g, x, min, max: clamp_backward(g, x, min, max)},
)
_by_numbers = define(
    "clamp", by_pieces(_clamp), {"x": lambda g, x, min, max: clamp_backward(g, x, min, max)}
)
_by_numbers.op.grad_name = "ClampBackward1"


def _to_min(g: Value, x: Value, min: Value, max: Value | None) -> Value:
    below = x < min if max is None else (x < min) & (min < max)
    return unbroadcast(where_op(below, g, 0.0), min._array.shape)


def _to_max(g: Value, x: Value, min: Value | None, max: Value) -> Value:
    above = x > max if min is None else (x > max) | (max < min)
    return unbroadcast(where_op(above, g, 0.0), max._array.shape)


_by_tensors = define(
    "clamp_tensor",
    by_pieces(_clamp),
    {
        "x": lambda g, x, min, max: unbroadcast(clamp_backward(g, x, min, max), x._array.shape),
        "min": _to_min,
        "max": _to_max,
    },
)
_by_tensors.op.grad_name = "ClampBackward0"
_by_numbers.op.with_tensors = _by_tensors


def _bound(value: Number, d: dtype) -> Number:
    """A bound as a number that dtype ``d`` can hold."""
    if d.category != INTEGRAL:
        return value
    limits = np.iinfo(d.numpy)
    return builtins_max(limits.min, builtins_min(limits.max, int(value)))


_BOUNDS = (float, int, type(None))
builtins_max, builtins_min = max, min  # the names are arguments here


def clamp(
    input: Value,
    min: Value | Number | None = None,
    max: Value | Number | None = None,
    *,
    out: Value | None = None,
) -> Value:
    """``minimum(maximum(input, min), max)``: both bounds numbers, or both tensors; None is none.

    The gradient passes where the input lies within the bounds, these included.
    """
    if (
        out is None
        and isinstance(input, Value)
        and input._array.dtype.kind == "f"
        and min.__class__ in _BOUNDS
        and max.__class__ in _BOUNDS
        and min is not max
    ):
        return _by_numbers(input, min, max)
    result = _clamp_checked(input, min, max)
    return result if out is None else write_out(out, result, "clamp")


def _clamp_checked(input: Value, min: Value | Number | None, max: Value | Number | None) -> Value:
    min, max = (v.item() if isinstance(v, np.generic) else v for v in (min, max))
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if not isinstance(input, Value):
        raise TypeError(
            f"clamp(): argument 'input' (position 1) must be Tensor, not {type_name(input)}"
        )
    bounds = [v for v in (min, max) if v is not None]
    if input._array.dtype.kind == "c" or any(
        isinstance(v, Value) and v._array.dtype.kind == "c" for v in bounds
    ):
        raise NotImplementedError("clamp is not supported for complex types")
    if any(isinstance(v, complex) for v in bounds):
        raise RuntimeError("value cannot be converted to type double without overflow")
    d = result_type(input, *bounds)
    if all(isinstance(v, Value) for v in bounds):
        broadcast(input._array.shape, *(v._array.shape for v in bounds))
        lower = None if min is None else as_dtype(min, d)
        upper = None if max is None else as_dtype(max, d)
        return _by_tensors(as_dtype(input, d), lower, upper)
    if not all(is_number(v) for v in bounds):
        raise TypeError(
            "clamp() received an invalid combination of arguments - got "
            f"({', '.join(type_name(v) for v in (input, min, max))}); "
            "the bounds must be two numbers or two tensors"
        )
    lower = None if min is None else _bound(min, d)
    upper = None if max is None else _bound(max, d)
    return _by_numbers(as_dtype(input, d), lower, upper)


def clamp_min(input: Value, min: Value | Number, *, out: Value | None = None) -> Value:
    """``maximum(input, min)`` for a number or a tensor."""
    return clamp(input, min, None, out=out)


def clamp_max(input: Value, max: Value | Number, *, out: Value | None = None) -> Value:
    """``minimum(input, max)`` for a number or a tensor."""
    return clamp(input, None, max, out=out)


clip = clamp

# ---- nan and infinity ----------------------------------------------------------------------


def _nan_to_num(x: np.ndarray, nan: float, posinf: float, neginf: float) -> np.ndarray:
    if x.dtype.kind == "c":
        y = x.copy()
        y.real = _nan_to_num(x.real, nan, posinf, neginf)
        y.imag = _nan_to_num(x.imag, nan, posinf, neginf)
        return y
    one = x.dtype.type
    y = np.where(np.isnan(x), one(nan), x)
    y = np.where(x == np.inf, one(posinf), y)
    return np.where(x == -np.inf, one(neginf), y)


def _nan_to_num_vjp(g: Value, x: Value) -> Value:
    if x._array.dtype.kind != "c":
        return where_op(x.isfinite(), g, 0.0)
    parts = x._array
    mask = np.isfinite(parts.real).astype(parts.real.dtype), np.isfinite(parts.imag)
    return g.real * wrap(mask[0]) + g.imag * wrap(mask[1]) * 1j


_nan_to_num_op = define("nan_to_num", by_pieces(_nan_to_num), {"x": _nan_to_num_vjp})


@accepts_out
def nan_to_num(
    input: Value,
    nan: float | None = None,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Value:
    """``input`` with nan replaced by ``nan`` (default 0), infinities by ``posinf`` and ``neginf``.

    The defaults of the last two are the largest and the smallest number of the dtype.
    """
    d = from_numpy(input._array.dtype)
    if d.category <= INTEGRAL:
        return input.clone()
    limits = finfo(d)
    return _nan_to_num_op(
        input,
        0.0 if nan is None else nan,
        limits.max if posinf is None else posinf,
        limits.min if neginf is None else neginf,
    )


__all__ = [
    "allclose",
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "clamp",
    "clamp_max",
    "clamp_min",
    "clip",
    "eq",
    "equal",
    "fmax",
    "fmin",
    "ge",
    "greater",
    "greater_equal",
    "gt",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "isreal",
    "le",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "lt",
    "masked_fill",
    "maximum",
    "minimum",
    "nan_to_num",
    "ne",
    "not_equal",
    "where",
]
