"""NumPy formulas as scalar expressions: run on stand-ins for arrays that build what they are told.

``Element`` answers to arithmetic and to NumPy's ufuncs, also in place and with ``out=``, so that a
formula that was written for arrays (an elementwise operation's meaning, an optimizer's step) is the
rule for its kernel, too. What is elementwise but not in the scalar language raises ``Untraceable``.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import scalar
from .scalar import BOOL, FLOAT64, Scalar
from .scalar_functions import exp, expm1, log, log1p, tanh


class Untraceable(Exception):
    """The formula does something that the scalar language cannot say."""


def _square(x: Scalar) -> Scalar:
    return x * x


def _sign(x: Scalar) -> Scalar:
    one = scalar.select(x > 0, 1.0, scalar.select(x < 0, -1.0, scalar.constant(0.0, x.dtype)))
    return scalar.select(scalar.is_nan(x), x, one)


def _power(a: Scalar, b: object) -> Scalar:
    if isinstance(b, (int, float)):
        return power(a, float(b))
    return scalar.floating("power", a, b)


def power(a: Scalar, exponent: float) -> Scalar:
    """``a ** exponent``: small ones by products and roots."""
    if exponent < 0:
        return 1 / power(a, -exponent)
    if exponent == 0.5:
        return scalar.sqrt(a)
    if exponent == 0:
        return scalar.constant(1.0, a.dtype)
    if exponent in (1, 2, 3, 4):
        square = a * a
        return {1: a, 2: square, 3: square * a, 4: square * square}[int(exponent)]
    return scalar.floating("power", a, exponent)


_UFUNCS: dict[Any, Callable[..., Scalar]] = {
    np.add: lambda a, b: a + b,
    np.subtract: lambda a, b: a - b,
    np.multiply: lambda a, b: a * b,
    np.divide: lambda a, b: a / b,
    np.negative: lambda a: -a,
    np.positive: lambda a: a,
    np.absolute: scalar.absolute,
    np.fabs: scalar.absolute,
    np.sqrt: scalar.sqrt,
    np.square: _square,
    np.reciprocal: lambda a: 1 / a,
    np.exp: exp,
    np.expm1: expm1,
    np.log: log,
    np.log1p: log1p,
    np.tanh: tanh,
    np.sign: _sign,
    np.sin: lambda a: scalar.floating("sin", a),
    np.cos: lambda a: scalar.floating("cos", a),
    np.floor: lambda a: scalar.floating("floor", a),
    np.ceil: lambda a: scalar.floating("ceil", a),
    np.trunc: lambda a: scalar.floating("trunc", a),
    np.rint: lambda a: scalar.floating("rint", a),
    np.copysign: scalar.copysign,
    np.maximum: lambda a, b: (
        scalar.maximum(a, b) if isinstance(a, Scalar) else scalar.maximum(b, a)
    ),
    np.minimum: lambda a, b: (
        scalar.minimum(a, b) if isinstance(a, Scalar) else scalar.minimum(b, a)
    ),
    np.less: lambda a, b: a < b,
    np.less_equal: lambda a, b: a <= b,
    np.greater: lambda a, b: a > b,
    np.greater_equal: lambda a, b: a >= b,
    np.isnan: scalar.is_nan,
    np.power: _power,
    np.float_power: _power,
}


class Element(np.lib.mixins.NDArrayOperatorsMixin):
    """Stands for an array in a formula; ``term`` is what one of its elements is by now."""

    __array_priority__ = 1000

    def __init__(self, term: Scalar) -> None:
        self.term = term

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the array."""
        return self.term.dtype

    def __bool__(self) -> bool:
        raise Untraceable("a decision on the elements of an array")

    def __array__(self, *args: object, **kwargs: object) -> np.ndarray:
        raise Untraceable("the elements of an array")

    def copy(self, order: str = "C") -> Element:
        """A copy."""
        return Element(self.term)

    def fill(self, value: float) -> None:
        """Give every element one value."""
        self.term = _lifted(value, self.term.dtype)

    def __setitem__(self, key: object, value: object) -> None:
        if key is not Ellipsis and key != slice(None):
            raise Untraceable("a write at an index")
        self.term = _as(value, self.term.dtype)

    def __getitem__(self, key: object) -> Element:
        if key is not Ellipsis and key != slice(None):
            raise Untraceable("an index")
        return self

    def astype(self, dtype: Any, copy: bool = True) -> Element:
        """In another dtype."""
        return Element(scalar.convert(self.term, np.dtype(dtype)))

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: object, out: Any = None, **kwargs: object
    ) -> Any:
        rule = _UFUNCS.get(ufunc)
        if method != "__call__" or rule is None or set(kwargs) - {"casting", "dtype"}:
            raise Untraceable(f"{ufunc.__name__} in a formula")
        term = _applied(rule, inputs)
        if out is None:
            return Element(term)
        (target,) = out
        if not isinstance(target, Element):
            raise Untraceable("a write into an array that is no operand")
        target.term = scalar.convert(term, target.term.dtype)
        return target


class Parameter(float):
    """A number of a formula that comes with each run: behaves as its first value where Python
    decides (``if decay:``), and stays symbolic in arithmetic."""

    __slots__ = ("asked", "term")

    def __new__(cls, value: float, term: Scalar) -> Parameter:
        self = super().__new__(cls, value)
        self.term = term
        return self

    def _with(self, other: object, rule: Callable, value: float, swap: bool = False) -> Any:
        if not isinstance(other, (int, float)):
            return NotImplemented
        mine, theirs = self.term, other.term if isinstance(other, Parameter) else float(other)
        term = rule(theirs, mine) if swap else rule(mine, theirs)
        return Parameter(value, term)

    def __add__(self, other: object) -> Any:
        return self._with(other, lambda a, b: a + b, float.__add__(self, _plain(other)))

    def __radd__(self, other: object) -> Any:
        return self._with(other, lambda a, b: a + b, float.__radd__(self, _plain(other)), True)

    def __sub__(self, other: object) -> Any:
        return self._with(other, lambda a, b: a - b, float.__sub__(self, _plain(other)))

    def __rsub__(self, other: object) -> Any:
        return self._with(other, lambda a, b: a - b, float.__rsub__(self, _plain(other)), True)

    def __mul__(self, other: object) -> Any:
        return self._with(other, lambda a, b: a * b, float.__mul__(self, _plain(other)))

    def __rmul__(self, other: object) -> Any:
        return self._with(other, lambda a, b: a * b, float.__rmul__(self, _plain(other)), True)

    def __truediv__(self, other: object) -> Any:
        return self._with(other, lambda a, b: a / b, _quotient(self, other))

    def __rtruediv__(self, other: object) -> Any:
        return self._with(other, lambda a, b: a / b, _quotient(other, self), True)

    def __neg__(self) -> Parameter:
        return Parameter(float.__neg__(self), -self.term)


def _plain(value: object) -> Any:
    return float(value) if isinstance(value, (int, float)) else value


def _quotient(a: object, b: object) -> Any:
    if not isinstance(a, (int, float)) or not isinstance(b, (int, float)):
        return NotImplemented
    return float(a) / float(b) if float(b) else float("nan")


def _lifted(value: object, dtype: np.dtype) -> Scalar:
    if isinstance(value, Parameter):
        return scalar.convert(value.term, dtype)
    if isinstance(value, (bool, int, float, np.generic)):
        return scalar.constant(value.item() if isinstance(value, np.generic) else value, dtype)
    raise Untraceable(f"a {type(value).__name__} in a formula")


def _as(value: object, dtype: np.dtype) -> Scalar:
    if isinstance(value, Element):
        return scalar.convert(value.term, dtype)
    return _lifted(value, dtype)


def _applied(rule: Callable[..., Scalar], inputs: Sequence[object]) -> Scalar:
    dtypes = {x.term.dtype for x in inputs if isinstance(x, Element)}
    floats = {d for d in dtypes if d.kind == "f"}
    if len(dtypes) != 1:
        if len(floats) != 1 or dtypes - floats - {BOOL}:
            raise Untraceable("operands of several dtypes")
        dtypes = floats
    (dtype,) = dtypes
    if dtype == BOOL:
        raise Untraceable("arithmetic of bools")
    terms = []
    for x in inputs:
        if isinstance(x, Element):
            terms.append(scalar.convert(x.term, dtype))
        elif isinstance(x, Parameter) or not isinstance(x, (int, float)) or rule is not _power:
            terms.append(_lifted(x, dtype))
        else:
            terms.append(x)
    try:
        return rule(*terms)
    except TypeError as error:
        raise Untraceable(str(error)) from None


def traced(
    formula: Callable[..., Any], inputs: Sequence[Scalar], rest: Sequence[object] = ()
) -> Scalar:
    """What ``formula(*arrays, *rest)`` returns, for one element."""
    try:
        result = formula(*[Element(t) for t in inputs], *rest)
    except Untraceable:
        raise
    except Exception as error:  # written for arrays: whatever it misses, it cannot be traced
        raise Untraceable(f"{type(error).__name__}: {error}") from None
    if not isinstance(result, Element):
        raise Untraceable("a result that is no array")
    return result.term


def traced_update(
    change: Callable[..., None],
    inputs: Sequence[Scalar],
    names: Sequence[str],
    first: Sequence[float],
    place: int,
) -> list[Scalar]:
    """What ``change(*arrays)`` leaves in its operands, for one element.

    The closure variables ``names`` are the numbers that come with each run, from ``place`` on.
    """
    symbols = {
        name: Parameter(value, Scalar("number", FLOAT64, (), place + k))
        for k, (name, value) in enumerate(zip(names, first))
    }
    cells = tuple(
        types.CellType(symbols[name]) if name in symbols else cell
        for name, cell in zip(change.__code__.co_freevars, change.__closure__ or ())
    )
    symbolic = types.FunctionType(
        change.__code__, change.__globals__, change.__name__, change.__defaults__, cells
    )
    elements = [Element(t) for t in inputs]
    try:
        symbolic(*elements)
    except Untraceable:
        raise
    except Exception as error:  # as in ``traced``
        raise Untraceable(f"{type(error).__name__}: {error}") from None
    return [e.term for e in elements]
