"""Comparisons, logic on truth values and bits, and the choice between two tensors."""

from __future__ import annotations

import numpy as np

from .._dtypes import can_cast, from_numpy
from .._errors import type_name
from .._shapes import broadcast
from ..core.op import binary, define, unary
from ..core.promotion import Number, is_number, result_type
from ..core.twins import accepts_out
from ..core.value import Value, as_array, wrap

eq = binary("eq", np.equal, None, result="bool")
ne = not_equal = binary("ne", np.not_equal, None, result="bool")
lt = less = binary("lt", np.less, None, result="bool", takes="biuf")
le = less_equal = binary("le", np.less_equal, None, result="bool", takes="biuf")
gt = greater = binary("gt", np.greater, None, result="bool", takes="biuf")
ge = greater_equal = binary("ge", np.greater_equal, None, result="bool", takes="biuf")

logical_and = binary("logical_and", np.logical_and, None, result="bool")
logical_or = binary("logical_or", np.logical_or, None, result="bool")
logical_xor = binary("logical_xor", np.logical_xor, None, result="bool")
logical_not = unary("logical_not", np.logical_not, None, result="bool")

bitwise_and = binary("bitwise_and", np.bitwise_and, None, takes="biu")
bitwise_or = binary("bitwise_or", np.bitwise_or, None, takes="biu")
bitwise_xor = binary("bitwise_xor", np.bitwise_xor, None, takes="biu")
bitwise_not = unary("bitwise_not", np.invert, None, result="same", takes="biu")
bitwise_left_shift = binary("bitwise_left_shift", np.left_shift, None, takes="iu")
bitwise_right_shift = binary("bitwise_right_shift", np.right_shift, None, takes="iu")

isnan = unary("isnan", np.isnan, None, result="bool")
isinf = unary("isinf", np.isinf, None, result="bool")
isfinite = unary("isfinite", np.isfinite, None, result="bool")

# ---- choosing ------------------------------------------------------------------------------


def _back(g: Value, shape: tuple[int, ...]) -> Value:
    return g if g._array.shape == shape else g.sum_to_size(shape)


where_op = define(
    "where",
    lambda condition, a, b: np.where(condition, a, b),
    {
        "a": lambda g, condition, a_shape: _back(where_op(condition, g, 0.0), a_shape),
        "b": lambda g, condition, b_shape: _back(where_op(condition, 0.0, g), b_shape),
    },
)


def _as_dtype(v: Value | Number, d: object) -> Value:
    if isinstance(v, Value):
        return v if v._array.dtype == d.numpy else v.to(d)
    return wrap(as_array(v, d))


@accepts_out
def where(
    condition: Value, input: Value | Number | None = None, other: Value | Number | None = None
) -> Value | tuple[Value, ...]:
    """``input`` where ``condition`` is true, else ``other``; all three broadcast.

    With the condition alone: the indices where it is true, as ``nonzero(as_tuple=True)``.
    RuntimeError for a condition that is not bool.
    """
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
        condition = wrap(condition._array != 0)
    for name, v in (("input", input), ("other", other)):
        if not isinstance(v, Value) and not is_number(v):
            raise TypeError(f"where(): argument '{name}' must be Tensor, not {type_name(v)}")
    d = result_type(input, other)
    a, b = _as_dtype(input, d), _as_dtype(other, d)
    try:
        return where_op(condition, a, b)
    except ValueError:
        broadcast(condition._array.shape, a._array.shape, b._array.shape)
        raise


def where_method(self: Value, condition: Value, other: Value | Number) -> Value:
    """This tensor where ``condition`` is true, else ``other``."""
    return where(condition, self, other)


masked_fill_op = define(
    "masked_fill",
    lambda x, mask, value: np.where(mask, value, x),
    {
        "x": lambda g, mask, x_shape: _back(where_op(mask, 0.0, g), x_shape),
        "value": lambda g, mask, value_shape: where_op(mask, g, 0.0).sum(),
    },
)


def masked_fill(input: Value, mask: Value, value: Value | Number) -> Value:
    """``input`` with ``value`` (a number, or a 0-dim tensor) wherever ``mask`` is true."""
    if not isinstance(mask, Value):
        raise TypeError(
            f"masked_fill(): argument 'mask' (position 1) must be Tensor, not {type_name(mask)}"
        )
    if mask._array.dtype != np.bool_:
        raise RuntimeError(
            "masked_fill only supports boolean masks, but got mask with dtype "
            f"{from_numpy(mask._array.dtype).name}"
        )
    d = from_numpy(input._array.dtype)
    if isinstance(value, Value):
        if value._array.ndim:
            raise RuntimeError(
                "masked_fill only supports a 0-dimensional value tensor, but got tensor with "
                f"{value._array.ndim} dimension(s)."
            )
    elif not is_number(value):
        raise TypeError(
            f"masked_fill(): argument 'value' (position 2) must be Number, not {type_name(value)}"
        )
    if not can_cast(result_type(value), d) and result_type(value).category > d.category:
        raise RuntimeError(f"value cannot be converted to type {d.name} without overflow")
    try:
        return masked_fill_op(input, mask, _as_dtype(value, d))
    except ValueError:
        broadcast(input._array.shape, mask._array.shape)
        raise


__all__ = [
    "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift",
    "bitwise_xor", "eq", "ge", "greater", "greater_equal", "gt", "isfinite", "isinf", "isnan", "le",
    "less", "less_equal", "logical_and", "logical_not", "logical_or", "logical_xor", "lt",
    "masked_fill", "ne", "not_equal", "where",
]  # fmt: skip
