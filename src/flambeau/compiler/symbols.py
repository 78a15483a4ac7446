"""Python numbers that change from call to call, as inputs of a program.

A number that was another one at an earlier call is handed to the function as a ``Symbol``: it
behaves as the number, and remembers as Python text how it came about (``n0 * 0.5``). Where it meets
a tensor in arithmetic it becomes a 0-d input of the program, computed anew from that text at every
run. A comparison becomes a guard on how it came out. Whatever else Python does with it (an index, a
format, a C function) uses its value, which is then guarded as any other number is.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import _dtypes
from ..core.op import Op
from ..core.promotion import compute_type
from ..core.value import Value
from .reach import Place

_NUMBERS = (bool, int, float)
#: Functions of ``math`` that are part of a symbol's text.
MATH = (
    "sin", "cos", "tan", "exp", "expm1", "log", "log2", "log10", "log1p", "sqrt", "pow", "tanh",
    "sinh", "cosh", "atan", "fabs", "floor", "ceil", "fmod", "isnan", "isinf", "isfinite",
)  # fmt: skip


class Book:
    """The symbols of one capture: ``roots``, name -> (value, where it is found), which of them are
    ``fixed`` because their values were used, and the ``conditions`` that held."""

    def __init__(self) -> None:
        self.roots: dict[str, tuple[Any, str | Place]] = {}
        self.fixed: set[str] = set()
        self.conditions: list[str] = []
        self.open = True

    def root(self, value: float, where: str | Place) -> Symbol:
        """The symbol of a number that comes with each run."""
        name = f"n_{len(self.roots)}"
        self.roots[name] = (value, where)
        return Symbol(value, name, frozenset([name]), self)


class Symbol:
    """A number: ``value`` in this run, ``text`` in terms of the ``roots`` in all."""

    __slots__ = ("book", "roots", "text", "value")

    def __init__(self, value: Any, text: str, roots: frozenset[str], book: Book) -> None:
        self.value = value
        self.text = text
        self.roots = roots
        self.book = book

    @property
    def __class__(self) -> type:  # so that isinstance(k, float) is as for the number
        return type(self.value)

    def used(self) -> Any:
        """The value, of which nobody knows what becomes: it is part of what is guarded."""
        if self.book.open:
            self.book.fixed |= self.roots
        return self.value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.used(), dtype)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__array"):  # NumPy asks for protocols
            raise AttributeError(name)
        return getattr(self.used(), name)

    def __reduce__(self) -> tuple:
        return type(self.value), (self.used(),)

    def __reduce_ex__(self, protocol: int) -> tuple:
        return self.__reduce__()


def plain(value: Any) -> Any:
    """``value``; a symbol's value, which counts as used."""
    if type(value) is Symbol:
        return value.used()
    if type(value) in (tuple, list) and any(type(v) in (Symbol, tuple, list) for v in value):
        return type(value)([plain(v) for v in value])
    return value


def _text(value: Any) -> str | None:
    if type(value) is Symbol:
        return value.text
    return repr(value) if type(value) in _NUMBERS and math.isfinite(value) else None


def _told(function: Callable, form: str, *operands: Any) -> Any:
    """``function(*operands)`` as a symbol whose text is ``form``, where all of them have one."""
    texts = [_text(v) for v in operands]
    result = function(*[v.value if type(v) is Symbol else v for v in operands])
    if None in texts or type(result) not in _NUMBERS:
        for v in operands:
            plain(v)
        return result
    symbols = [v for v in operands if type(v) is Symbol]
    roots = frozenset().union(*[s.roots for s in symbols])
    return Symbol(result, form.format(*texts), roots, symbols[0].book)


def _arithmetic(sign: str, function: Callable) -> tuple[Callable, Callable]:
    form = f"({{}} {sign} {{}})"

    def forward(self: Symbol, other: Any) -> Any:
        if isinstance(other, Value):
            return NotImplemented
        return _told(function, form, self, other)

    def backward(self: Symbol, other: Any) -> Any:
        if isinstance(other, Value):
            return NotImplemented
        return _told(function, form, other, self)

    return forward, backward


def _comparison(sign: str, function: Callable) -> Callable:
    def compare(self: Symbol, other: Any) -> Any:
        if isinstance(other, Value):
            return NotImplemented
        text = _text(other)
        if text is None:
            return function(self.used(), plain(other))
        outcome = function(self.value, other.value if type(other) is Symbol else other)
        return _decided(self.book, f"({self.text} {sign} {text})", outcome)

    return compare


def _decided(book: Book, text: str, outcome: bool) -> bool:
    condition = text if outcome else f"not {text}"
    if book.open and condition not in book.conditions:
        book.conditions.append(condition)
    return outcome


def _by_value(name: str) -> Callable:
    def method(self: Symbol, *args: Any) -> Any:
        return getattr(self.used(), name)(*[plain(a) for a in args])

    return method


for _sign, _name in (
    ("+", "add"), ("-", "sub"), ("*", "mul"), ("/", "truediv"), ("//", "floordiv"), ("%", "mod"),
    ("**", "pow"),
):  # fmt: skip
    _forward, _backward = _arithmetic(_sign, getattr(operator, _name))
    setattr(Symbol, f"__{_name}__", _forward)
    setattr(Symbol, f"__r{_name}__", _backward)
for _sign, _name in (
    ("<", "lt"), ("<=", "le"), (">", "gt"), (">=", "ge"), ("==", "eq"), ("!=", "ne"),
):  # fmt: skip
    setattr(Symbol, f"__{_name}__", _comparison(_sign, getattr(operator, _name)))
Symbol.__neg__ = lambda self: _told(operator.neg, "(-{})", self)
Symbol.__pos__ = lambda self: _told(operator.pos, "(+{})", self)
Symbol.__abs__ = lambda self: _told(abs, "abs({})", self)
Symbol.__bool__ = lambda self: _decided(self.book, f"bool({self.text})", bool(self.value))
for _name in (
    "int", "float", "complex", "index", "round", "trunc", "floor", "ceil", "hash", "str", "repr",
    "format", "divmod", "rdivmod", "and", "rand", "or", "ror", "xor", "rxor", "lshift", "rlshift",
    "rshift", "rrshift", "invert",
):  # fmt: skip
    setattr(Symbol, f"__{_name}__", _by_value(f"__{_name}__"))
Symbol.__complex__ = lambda self: complex(self.used())
Symbol.__float__ = lambda self: float(self.used())


def _seeing(name: str) -> Callable:
    function = getattr(math, name)

    def seen(*args: Any) -> Any:
        if any(type(a) is Symbol for a in args):
            return _told(function, f"math.{name}({', '.join(['{}'] * len(args))})", *args)
        return function(*args)

    return seen


@contextmanager
def within_math() -> Iterator[None]:
    """Inside, the functions of ``math`` take symbols."""
    before = {name: getattr(math, name) for name in MATH}
    for name in MATH:
        setattr(math, name, _seeing(name))
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(math, name, function)


def dtype_of_number(op: Op, x: Value, number: Any) -> _dtypes.dtype | None:
    """The dtype of a 0-d tensor that does in ``op`` what ``number`` does; None if none does."""
    own = x._array.dtype
    kind = compute_type(x.dtype)
    if kind.kind == "f":  # with 16 bits, a tensor would be rounded first
        return x.dtype if own == kind else None
    if isinstance(number, float):
        plain_kind = kind.kind in "biu" and op.result != "bool"
        return _dtypes.get_default_dtype() if plain_kind else None
    fits = -(1 << 63) <= number.value < 1 << 63
    return _dtypes.int64 if own == np.int64 and fits else None


# ---- numbers that change -------------------------------------------------------------------


class Changing:
    """Which numbers that a function is given or reaches were seen to change (and tensors)."""

    def __init__(self) -> None:
        self.last: dict[Any, Any] = {}  # where -> the number at the last capture
        self.keys: set[Any] = set()
        self.exchanged: set[Any] = set()  # places where the function puts another tensor

    def saw(self, numbers: dict[Any, Any]) -> bool:
        """Compare ``numbers`` with the last ones; whether one is new among those that change."""
        before = len(self.keys)
        for key, value in numbers.items():
            old = self.last.get(key, value)
            if type(old) is type(value) and old != value:
                self.keys.add(key)
        self.last = numbers
        return len(self.keys) > before


def is_plain_number(value: Any) -> bool:
    """Whether ``value`` is Python's own int or float."""
    return type(value) in (int, float)


def key_of(place: Place) -> tuple:
    """What ``Changing`` knows a number by."""
    return id(place.holder), place.key


def numbers_in(places: list[Place], args: tuple, kwargs: dict) -> dict[Any, Any]:
    """Every number that a function is given itself, or that is in a place of its own."""
    found: dict[Any, Any] = {}
    for p in places:
        if p.how in ("item", "cell"):
            if type(p.value) in (int, float):
                found[key_of(p)] = p.value
        elif p.how == "equal" and type(p.holder) in (dict, list):
            pairs = p.value.items() if type(p.value) is dict else enumerate(p.value)
            found.update(((id(p.holder), k), v) for k, v in pairs if type(v) in (int, float))
    found.update((f"args[{i}]", v) for i, v in enumerate(args) if type(v) in (int, float))
    found.update((f"kwargs[{k!r}]", v) for k, v in kwargs.items() if type(v) in (int, float))
    return found


__all__ = [
    "Book", "Changing", "Symbol", "dtype_of_number", "is_plain_number", "key_of", "numbers_in",
    "plain", "within_math",
]  # fmt: skip
