"""The scalar language: what one element of a kernel is computed from.

A rule is a Python function over ``Scalar``s; calling it builds an expression. The whole language:

    expression := input(i) | constant | operation(expression, ...)
    dtype      := float32 | float64 | int32 | int64 | bool | uint8;
                  for memory also float16 | int16 (as bfloat16) | uint16
    in kernels    reduced(s), number(k), iota(d), gather(k, index): see ``kernel``
    arithmetic    + - * /  negate  absolute  sqrt  fma(a, b, c) = a * b + c, rounded once
                  copysign(a, b) = |a| with the sign of b         (+ - * of integers wrap around)
                  floor, ceil, trunc, rint (ties to even); sin, cos, power: the C library's, one
                  element after the other
    comparison    < <= > >= equal: ordered, so False where an operand is nan; is_nan
    choice        select(condition, yes, no): both are computed
    bits          & | ^ of integers and bools; shift_left, shift_right (fills with the sign bit)
                  bits(x): the integer of the same bits; from_bits(i): the way back
    conversion    to_float(i): exact where the integer is small enough; convert(x, dtype): between
                  any two of the computing dtypes but from a float to an integer
                  widen, narrow: from 16 bits (float16, or bfloat16 as int16) to float32 and back

Nothing here is undefined for any input: there is no conversion of floats to integers (adding
1.5 * 2**23 and taking the bits rounds, and does not mind nan). An expression is a graph, not a
tree: an operation that is used twice is computed once. Numbers mix with expressions and take the
other operand's dtype. Each operation's meaning in NumPy is in ``evaluate``: the tests' oracle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
FLOAT16, INT16, UINT8 = np.dtype(np.float16), np.dtype(np.int16), np.dtype(np.uint8)
INT32, INT64, BOOL = np.dtype(np.int32), np.dtype(np.int64), np.dtype(np.bool_)
#: dtypes that kernels compute with.
COMPUTED = {FLOAT32, FLOAT64, INT64, INT32, BOOL, UINT8}
#: The size of an element in bytes -> as what it is moved if kernels do not compute with it.
BITS = {1: UINT8, 2: np.dtype(np.uint16), 4: INT32, 8: INT64}
_INTEGER_OF = {FLOAT32: INT32, FLOAT64: INT64}
_FLOAT_OF = {INT32: FLOAT32, INT64: FLOAT64}

Number = bool | int | float


class Scalar:
    """One expression: an operation's name, its operands, and its dtype.

    ``value`` is the number of a constant and the place of an input. ``below``: what ``ordered``
    found under it, once it was asked.
    """

    __slots__ = ("below", "dtype", "operands", "operation", "value")

    def __init__(
        self,
        operation: str,
        dtype: np.dtype,
        operands: tuple[Scalar, ...] = (),
        value: Number = 0,
    ) -> None:
        self.operation = operation
        self.dtype = dtype
        self.operands = operands
        self.value = value
        self.below: tuple[Scalar, ...] | None = None

    def __add__(self, other: Scalar | Number) -> Scalar:
        return _arithmetic("add", self, other)

    def __radd__(self, other: Number) -> Scalar:
        return _arithmetic("add", other, self)

    def __sub__(self, other: Scalar | Number) -> Scalar:
        return _arithmetic("subtract", self, other)

    def __rsub__(self, other: Number) -> Scalar:
        return _arithmetic("subtract", other, self)

    def __mul__(self, other: Scalar | Number) -> Scalar:
        return _arithmetic("multiply", self, other)

    def __rmul__(self, other: Number) -> Scalar:
        return _arithmetic("multiply", other, self)

    def __truediv__(self, other: Scalar | Number) -> Scalar:
        return _arithmetic("divide", self, other)

    def __rtruediv__(self, other: Number) -> Scalar:
        return _arithmetic("divide", other, self)

    def __neg__(self) -> Scalar:
        return Scalar("negate", self.dtype, (self,))

    def __and__(self, other: Scalar | Number) -> Scalar:
        return _arithmetic("and", self, other)

    def __or__(self, other: Scalar | Number) -> Scalar:
        return _arithmetic("or", self, other)

    def __xor__(self, other: Scalar | Number) -> Scalar:
        return _arithmetic("xor", self, other)

    def __lt__(self, other: Scalar | Number) -> Scalar:
        return _comparison("less", self, other)

    def __le__(self, other: Scalar | Number) -> Scalar:
        return _comparison("less_equal", self, other)

    def __gt__(self, other: Scalar | Number) -> Scalar:
        return _comparison("less", other, self)

    def __ge__(self, other: Scalar | Number) -> Scalar:
        return _comparison("less_equal", other, self)

    def __repr__(self) -> str:
        if self.operation in ("input", "constant"):
            return f"{self.operation}({self.value!r})"
        return f"{self.operation}({', '.join(map(repr, self.operands))})"


def input(place: int, dtype: np.dtype) -> Scalar:
    """The element of the operand number ``place``."""
    return Scalar("input", dtype, (), place)


def constant(value: Number, dtype: np.dtype) -> Scalar:
    """A number, rounded to ``dtype``."""
    return Scalar("constant", dtype, (), dtype.type(value).item())


def _lift(*operands: Scalar | Number) -> tuple[Scalar, ...]:
    """The operands as expressions of one dtype. TypeError where two expressions differ in it."""
    dtypes = {a.dtype for a in operands if isinstance(a, Scalar)}
    if len(dtypes) != 1:
        raise TypeError(f"the operands must have one dtype, got {sorted(map(str, dtypes))}")
    (dtype,) = dtypes
    return tuple(a if isinstance(a, Scalar) else constant(a, dtype) for a in operands)


def _arithmetic(operation: str, *operands: Scalar | Number) -> Scalar:
    lifted = _lift(*operands)
    return Scalar(operation, lifted[0].dtype, lifted)


def _comparison(operation: str, *operands: Scalar | Number) -> Scalar:
    return Scalar(operation, BOOL, _lift(*operands))


def fma(a: Scalar | Number, b: Scalar | Number, c: Scalar | Number) -> Scalar:
    """``a * b + c``, rounded once."""
    return _arithmetic("fma", a, b, c)


def sqrt(a: Scalar) -> Scalar:
    """The square root, correctly rounded; nan for negative numbers."""
    return _arithmetic("sqrt", a)


def absolute(a: Scalar) -> Scalar:
    """``a`` without its sign."""
    return _arithmetic("absolute", a)


def floating(operation: str, *operands: Scalar | Number) -> Scalar:
    """floor, ceil, trunc, rint, sin, cos, or power of two operands."""
    return _arithmetic(operation, *operands)


def copysign(a: Scalar | Number, b: Scalar) -> Scalar:
    """``|a|`` with the sign of ``b``."""
    return _arithmetic("copysign", a, b)


def equal(a: Scalar, b: Scalar | Number) -> Scalar:
    """Whether a == b; False for nan."""
    return _comparison("equal", a, b)


def is_nan(a: Scalar) -> Scalar:
    """Whether ``a`` is not a number."""
    return _comparison("is_nan", a)


def select(condition: Scalar, yes: Scalar | Number, no: Scalar | Number) -> Scalar:
    """``yes`` where ``condition`` holds, else ``no``."""
    yes, no = _lift(yes, no)
    return Scalar("select", yes.dtype, (condition, yes, no))


def shift_left(a: Scalar, places: int) -> Scalar:
    """``a * 2**places``, modulo the width of the integer."""
    return _arithmetic("shift_left", a, places)


def shift_right(a: Scalar, places: int) -> Scalar:
    """``floor(a / 2**places)``."""
    return _arithmetic("shift_right", a, places)


def bits(a: Scalar) -> Scalar:
    """The signed integer that has the bits of a float."""
    return Scalar("bits", _INTEGER_OF[a.dtype], (a,))


def from_bits(a: Scalar) -> Scalar:
    """The float that has the bits of an integer."""
    return Scalar("from_bits", _FLOAT_OF[a.dtype], (a,))


def to_float(a: Scalar) -> Scalar:
    """An integer as the float of its width, rounded to nearest."""
    return Scalar("to_float", _FLOAT_OF[a.dtype], (a,))


def widen(a: Scalar) -> Scalar:
    """A float16, or a bfloat16 given as its bits in an int16, as float32: exact."""
    if a.dtype == FLOAT16:
        return Scalar("widen", FLOAT32, (a,))
    return from_bits(shift_left(Scalar("extend", INT32, (a,)), 16))


def _widened(a: Scalar) -> Scalar | None:
    """The number of 16 bits that ``a`` is, if it was made by ``widen``."""
    way = ("widen",) if a.operation == "widen" else ("from_bits", "shift_left", "extend")
    for operation in way:
        if a.operation != operation:
            return None
        a = a.operands[0]
    return a


def convert(a: Scalar, dtype: np.dtype) -> Scalar:
    """``a`` as another dtype: numbers rounded to nearest, integers wrapped, bools 0 and 1.

    TypeError from a float to an integer, which is not defined for all floats.
    """
    if a.dtype == dtype:
        return a
    if a.operation == "constant" and not (a.dtype.kind == "f" and dtype.kind in "iu"):
        return constant(a.value, dtype)
    if dtype == BOOL:
        return not_equal(a, 0)
    if a.dtype.kind == "f" and dtype.kind != "f":
        raise TypeError(f"there is no conversion of {a.dtype} to {dtype} in the scalar language")
    return Scalar("convert", dtype, (a,))


def not_equal(a: Scalar, b: Scalar | Number) -> Scalar:
    """Whether a != b; True for nan."""
    return Scalar("xor", BOOL, _lift(equal(a, b), constant(True, BOOL)))


def logical_not(a: Scalar) -> Scalar:
    """The other bool."""
    return Scalar("xor", BOOL, _lift(a, constant(True, BOOL)))


def maximum(a: Scalar, b: Scalar | Number) -> Scalar:
    """The larger one; nan where either is nan."""
    a, b = _lift(a, b)
    return select((a > b) | is_nan(a) if a.dtype.kind == "f" else a > b, a, b)


def minimum(a: Scalar, b: Scalar | Number) -> Scalar:
    """The smaller one; nan where either is nan."""
    a, b = _lift(a, b)
    return select((a < b) | is_nan(a) if a.dtype.kind == "f" else a < b, a, b)


def reduced(slot: int, dtype: np.dtype) -> Scalar:
    """The row value in ``slot``."""
    return Scalar("reduced", dtype, (), slot)


def number(place: int) -> Scalar:
    """The number, a float64, that comes with each run of a program at ``place``."""
    return Scalar("number", FLOAT64, (), place)


def iota(dim: int) -> Scalar:
    """The index along dimension ``dim`` of the loops, an int64."""
    return Scalar("iota", INT64, (), dim)


def gather(load: int, dtype: np.dtype, index: Scalar) -> Scalar:
    """The element of load number ``load``, moved on by ``index`` times its step."""
    return Scalar("gather", dtype, (index,), load)


def substituted(
    root: Scalar,
    leaf: Callable[[Scalar], Scalar | None],
    done: dict[int, Scalar] | None = None,
    alike: dict[tuple, Scalar] | None = None,
) -> Scalar:
    """``root`` with each node for which ``leaf`` returns something replaced by that.

    ``done``: what has become of nodes, by id, for several roots that share some. ``alike``: nodes
    of other roots, which are taken where they say the same.
    """
    done = {} if done is None else done
    for node in ordered(root):
        if id(node) in done:
            continue
        new = leaf(node)
        if new is None:
            operands = tuple([done[id(a)] for a in node.operands])
            same = all(a is b for a, b in zip(operands, node.operands))
            new = node if same else Scalar(node.operation, node.dtype, operands, node.value)
            if alike is not None:  # by repr: 0.0 equals -0.0, and nan not itself
                key = node.operation, node.dtype, tuple(map(id, operands)), repr(node.value)
                new = alike.setdefault(key, new)
        done[id(node)] = new
    return done[id(root)]


def narrow(a: Scalar, dtype: np.dtype) -> Scalar:
    """A float32 rounded to nearest, ties to even: ``widen`` the other way."""
    given = _widened(a)
    if given is not None and given.dtype == dtype:
        return given
    if dtype == FLOAT16:
        return Scalar("narrow", FLOAT16, (a,))
    pattern = bits(a)
    rounded = pattern + 0x7FFF + (shift_right(pattern, 16) & 1)
    rounded = select(is_nan(a), pattern | 0x400000, rounded)
    return Scalar("truncate", INT16, (shift_right(rounded, 16),))


def ordered(root: Scalar) -> list[Scalar]:
    """Every expression below ``root``, operands first, each once."""
    if root.below is None:
        found: dict[int, Scalar] = {}
        stack = [*reversed(root.operands)]
        while stack:
            node = stack.pop()
            if node is None:  # what lies below the next one is done
                node = stack.pop()
                found[id(node)] = node
            elif id(node) not in found:
                if node.below is None and node.operands:
                    stack += (node, None, *reversed(node.operands))
                else:
                    for n in node.below or ():
                        found[id(n)] = n
                    found[id(node)] = node
        root.below = tuple(found.values())
    return [*root.below, root]


# ---- the meaning in NumPy ------------------------------------------------------------------


def _fma(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """In the next wider float: exact for the product, and rounded twice for the sum, which is
    once too often in about one of 2**29 cases (float32) or 2**11 (float64, where it is there)."""
    wide = np.float64 if a.dtype == FLOAT32 else np.longdouble
    return (a.astype(wide) * b + c).astype(a.dtype)


#: Operation -> what it does to arrays, or to single NumPy numbers.
MEANING: dict[str, Callable[..., np.ndarray]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "negate": np.negative,
    "absolute": np.absolute,
    "sqrt": np.sqrt,
    "fma": _fma,
    "copysign": np.copysign,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "rint": np.rint,
    "sin": np.sin,
    "cos": np.cos,
    "power": np.power,
    "less": np.less,
    "less_equal": np.less_equal,
    "equal": np.equal,
    "is_nan": np.isnan,
    "select": np.where,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "shift_left": np.left_shift,
    "shift_right": np.right_shift,
    "bits": lambda a: a.view(_INTEGER_OF[a.dtype]),
    "from_bits": lambda a: a.view(_FLOAT_OF[a.dtype]),
    "to_float": lambda a: a.astype(_FLOAT_OF[a.dtype]),
    "widen": lambda a: a.astype(FLOAT32),
    "narrow": lambda a: a.astype(FLOAT16),
    "extend": lambda a: a.view(np.uint16).astype(INT32),
    "truncate": lambda a: a.astype(INT16),
}  # "convert" is NumPy's astype: ``evaluate`` gives every result its node's dtype


def evaluate(root: Scalar, inputs: Sequence[np.ndarray | float]) -> np.ndarray:
    """``root`` for arrays of inputs, operation by operation: slow, and plain to check."""
    values: dict[int, np.ndarray] = {}
    with np.errstate(all="ignore"):
        for node in ordered(root):
            if node.operation == "input":
                value = np.asarray(inputs[node.value], node.dtype)
            elif node.operation == "constant":
                value = np.asarray(node.value, node.dtype)
            else:
                operands = [values[id(a)] for a in node.operands]
                value = (
                    operands[0].astype(node.dtype)
                    if node.operation == "convert"
                    else MEANING[node.operation](*operands)
                )
            values[id(node)] = np.asarray(value, node.dtype)
    return values[id(root)]
