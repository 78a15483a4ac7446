"""The larger and the smaller of two, and values kept within bounds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._dtypes import INTEGRAL, dtype, finfo, from_numpy
from .._errors import type_name
from .._shapes import broadcast
from ..core.mutation import write_out
from ..core.op import binary, define
from ..core.promotion import Number, by_pieces, is_number, result_type
from ..core.mutation import accepts_out
from ..core.value import Value, wrap
from .arithmetic import as_dtype, unbroadcast
from .comparison import where_op

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


def _first_wins(name: str, ufunc: np.ufunc, wins: np.ufunc, *, doc: str) -> Callable:
    """fmax and fmin: a number wins over nan; in a tie the first gets all of the gradient."""

    def first(a: Value, b: Value) -> Value:
        return wrap(wins(a._array, b._array) | np.isnan(b._array))

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
    np.greater_equal,
    doc="The larger of the two, the other one if one is nan, broadcast.",
)
fmin = _first_wins(
    "fmin",
    np.fmin,
    np.less_equal,
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
    "clamp", "clamp_max", "clamp_min", "clip", "fmax", "fmin", "maximum", "minimum", "nan_to_num",
]  # fmt: skip
