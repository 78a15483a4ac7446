"""Element types: PyTorch's names over NumPy's dtypes, and the rules by which they mix.

Source of the rules: https://docs.pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc
"""

from __future__ import annotations

import ml_dtypes
import numpy as np

BOOL, INTEGRAL, FLOATING, COMPLEX = range(4)  # categories, weakest first


class Constant:
    """A name of ``torch`` that stands for itself: prints as it is written, pickles as a reference
    to the module-level name of where its class is."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name


class dtype(Constant):
    """The type of a tensor's elements, such as ``float32``. Compared by identity."""

    __slots__ = (
        "category",
        "is_complex",
        "is_floating_point",
        "is_signed",
        "itemsize",
        "legacy_name",
        "numpy",
    )

    def __init__(self, name: str, numpy_type: object, category: int, legacy_name: str) -> None:
        super().__init__(name)
        self.numpy = np.dtype(numpy_type)
        self.category = category
        self.legacy_name = legacy_name
        self.itemsize = self.numpy.itemsize
        self.is_floating_point = category == FLOATING
        self.is_complex = category == COMPLEX
        self.is_signed = category >= FLOATING or name.startswith("int")

    def to_real(self) -> dtype:
        """The type of the real part: complex64 gives float32; real types give themselves."""
        return {complex64: float32, complex128: float64}.get(self, self)

    def to_complex(self) -> dtype:
        """The complex type whose parts have this type."""
        return _COMPLEX.get(self, self)

    @property
    def abbr(self) -> str:
        """A short name: f32, bf16, i64, c64, b8 ..."""
        for long, short in (("float", "f"), ("complex", "c"), ("uint", "u"), ("int", "i")):
            if self.name.startswith(long):
                return short + self.name.removeprefix(long)
        return {"bfloat16": "bf16", "bool": "b8"}.get(self.name, self.name)


float64 = dtype("float64", np.float64, FLOATING, "Double")
float32 = dtype("float32", np.float32, FLOATING, "Float")
float16 = dtype("float16", np.float16, FLOATING, "Half")
bfloat16 = dtype("bfloat16", ml_dtypes.bfloat16, FLOATING, "BFloat16")
float8_e4m3fn = dtype("float8_e4m3fn", ml_dtypes.float8_e4m3fn, FLOATING, "Float8_e4m3fn")
float8_e5m2 = dtype("float8_e5m2", ml_dtypes.float8_e5m2, FLOATING, "Float8_e5m2")
float8_e4m3fnuz = dtype("float8_e4m3fnuz", ml_dtypes.float8_e4m3fnuz, FLOATING, "Float8_e4m3fnuz")
float8_e5m2fnuz = dtype("float8_e5m2fnuz", ml_dtypes.float8_e5m2fnuz, FLOATING, "Float8_e5m2fnuz")
complex64 = dtype("complex64", np.complex64, COMPLEX, "ComplexFloat")
complex128 = dtype("complex128", np.complex128, COMPLEX, "ComplexDouble")
uint8 = dtype("uint8", np.uint8, INTEGRAL, "Byte")
uint16 = dtype("uint16", np.uint16, INTEGRAL, "UInt16")
uint32 = dtype("uint32", np.uint32, INTEGRAL, "UInt32")
uint64 = dtype("uint64", np.uint64, INTEGRAL, "UInt64")
int8 = dtype("int8", np.int8, INTEGRAL, "Char")
int16 = dtype("int16", np.int16, INTEGRAL, "Short")
int32 = dtype("int32", np.int32, INTEGRAL, "Int")
int64 = dtype("int64", np.int64, INTEGRAL, "Long")
bool_ = dtype("bool", np.bool_, BOOL, "Bool")

_COMPLEX = {
    float32: complex64, float64: complex128, float16: complex64, bfloat16: complex64,
}  # fmt: skip
double, float_, half = float64, float32, float16
cdouble, cfloat = complex128, complex64
short, int_, long = int16, int32, int64

ALL = (
    float64, float32, float16, bfloat16, float8_e4m3fn, float8_e5m2, float8_e4m3fnuz,
    float8_e5m2fnuz, complex64, complex128, uint8, uint16, uint32, uint64, int8, int16, int32,
    int64, bool_,
)  # fmt: skip
BY_NAME = {t.name: t for t in ALL}
FLOAT8 = frozenset((float8_e4m3fn, float8_e5m2, float8_e4m3fnuz, float8_e5m2fnuz))
REDUCED = frozenset((float16, bfloat16))  # arithmetic is done in float32 and rounded once

_BY_NUMPY = {t.numpy: t for t in ALL}
_BY_NUMPY[np.dtype(np.longlong)] = int64
_BY_NUMPY[np.dtype(np.ulonglong)] = uint64
globals()["bool"] = bool_  # what a pickled reference to flambeau's bool finds


def from_numpy(numpy_dtype: np.dtype) -> dtype:
    """flambeau's dtype of a NumPy dtype. TypeError for what tensors cannot hold."""
    found = _BY_NUMPY.get(numpy_dtype)
    if found is None:
        found = _BY_NUMPY.get(numpy_dtype.newbyteorder("="))
    if found is None:
        supported = ", ".join(t.name for t in ALL)
        raise TypeError(
            f"can't convert np.ndarray of type {numpy_dtype}. "
            f"The only supported types are: {supported}."
        )
    return found


def c_name(d: dtype) -> str:
    """What PyTorch calls ``d`` in messages from C++."""
    return _C_NAMES.get(d.name, d.name)


_C_NAMES = {
    "float64": "double", "float32": "float", "float16": "c10::Half", "bfloat16": "c10::BFloat16",
    "int64": "long int", "int32": "int", "int16": "short", "int8": "signed char",
    "uint8": "unsigned char", "complex64": "c10::complex<float>",
    "complex128": "c10::complex<double>",
}  # fmt: skip


def as_dtype(value: object) -> dtype:
    """``value`` if it is a dtype, or the one that Python's ``float``, ``int``, ``bool`` mean."""
    if isinstance(value, dtype):
        return value
    if value is float:
        return float64
    if value is int:
        return int64
    if value is __builtins_bool:
        return bool_
    if value is complex:
        return complex128
    raise TypeError(f"dtype must be a flambeau dtype such as float32, got {value!r}")


__builtins_bool = type(True)

_default = float32


def get_default_dtype() -> dtype:
    """The dtype that Python floats become: ``float32`` unless it was set otherwise."""
    return _default


def set_default_dtype(d: dtype) -> None:
    """Set the dtype that Python floats become. TypeError unless it is a floating one."""
    global _default
    if not isinstance(d, dtype) or not d.is_floating_point or d in FLOAT8:
        raise TypeError(
            "only floating-point types are supported as the default type, "
            f"got {d!r}; use float16, bfloat16, float32 or float64"
        )
    _default = d


# ---- promotion -----------------------------------------------------------------------------

_SIGNED = (int8, int16, int32, int64)
_FLOAT_RANK = {float16: 1, bfloat16: 1, float32: 2, float64: 3}


def promote_types(a: dtype, b: dtype) -> dtype:
    """The smallest dtype that both ``a`` and ``b`` convert to by PyTorch's table."""
    if a is b:
        return as_dtype(a)
    a, b = as_dtype(a), as_dtype(b)
    found = _PROMOTED.get((a, b))
    if found is None:
        found = _PROMOTED[a, b] = _PROMOTED[b, a] = _promote(a, b)
    return found


_PROMOTED: dict[tuple[dtype, dtype], dtype] = {}


def _promote(a: dtype, b: dtype) -> dtype:
    if a in FLOAT8 or b in FLOAT8:
        raise RuntimeError(
            f"Promotion for Float8 Types is not supported, attempted to promote "
            f"{a.legacy_name} and {b.legacy_name}; convert one with .to(dtype) first"
        )
    if a.category < b.category:
        a, b = b, a
    barebones = (uint16, uint32, uint64)
    if a.category != FLOATING and (a in barebones or b in barebones):
        raise _barebones(a, b)
    if a.category == COMPLEX:
        real = promote_types(a.to_real(), b.to_real()) if b.category >= FLOATING else a.to_real()
        return complex128 if real is float64 else complex64
    if a.category != b.category:
        return a
    if a.category == FLOATING:
        if _FLOAT_RANK[a] == _FLOAT_RANK[b]:
            return float32  # float16 with bfloat16
        return max(a, b, key=_FLOAT_RANK.__getitem__)
    unsigned = [t for t in (a, b) if not t.is_signed]
    if len(unsigned) == 0:
        return max(a, b, key=_SIGNED.index)
    signed = a if b is uint8 else b
    return int16 if signed is int8 else signed


def _barebones(a: dtype, b: dtype) -> RuntimeError:
    return RuntimeError(
        "Promotion for uint16, uint32, uint64 types is not supported, attempted to promote "
        f"{a.legacy_name} and {b.legacy_name}; convert one with .to(dtype) first"
    )


def of_number(value: object) -> dtype:
    """The dtype a Python number has by itself (it is weak when it meets a tensor)."""
    if isinstance(value, __builtins_bool):
        return bool_
    if isinstance(value, int):
        return int64
    if isinstance(value, float):
        return _default
    if isinstance(value, complex):
        return _default.to_complex()
    raise TypeError(f"a number was expected, got {type(value).__name__}")


def mixed(dimensioned: dtype | None, zero_dim: dtype | None, number: dtype | None) -> dtype:
    """Result dtype of operands by priority: tensors with dimensions, 0-dim tensors, numbers.

    A weaker operand decides only if its category (bool < int < float < complex) is higher; a
    complex one makes floats complex of their own precision.
    """
    result = dimensioned
    for other in (zero_dim, number):
        if other is None:
            continue
        if result is None:
            result = other
        elif other.category > result.category:
            result = result.to_complex() if result.category == FLOATING else other
    if result is None:
        raise TypeError("at least one operand is needed")
    return result


def can_cast(from_: dtype, to: dtype) -> bool:
    """Whether a value of ``from_`` may be written into ``to``: the category may not fall."""
    from_, to = as_dtype(from_), as_dtype(to)
    if from_.category == COMPLEX:
        return to.category == COMPLEX
    if from_.category == FLOATING:
        return to.category >= FLOATING
    return to.category != BOOL or from_.category == BOOL


# ---- limits --------------------------------------------------------------------------------


class finfo:
    """Limits of a floating dtype: ``bits eps max min tiny smallest_normal resolution``."""

    def __init__(self, type: dtype | None = None) -> None:
        type = _default if type is None else float64 if type is float else type
        if not isinstance(type, dtype) or type.category < FLOATING:
            raise TypeError(
                f"torch.finfo() requires a floating point input type. "
                f"Use torch.iinfo to handle '{type!r}'"
            )
        real = type.to_real()
        limits = np.finfo(real.numpy) if real.numpy.kind == "f" else ml_dtypes.finfo(real.numpy)
        self.dtype = type.name
        self.bits = real.itemsize * 8
        self.eps = float(limits.eps)
        self.max = float(limits.max)
        self.min = float(limits.min)
        self.tiny = self.smallest_normal = float(limits.smallest_normal)
        self.resolution = 10.0**-limits.precision

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
            f"eps={self.eps:g}, smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, "
            f"dtype={self.dtype})"
        )


class iinfo:
    """Limits of an integer dtype: ``bits max min``."""

    def __init__(self, type: dtype) -> None:
        if not isinstance(type, dtype) or type.category != INTEGRAL:
            raise TypeError(
                "torch.iinfo() requires an integer input type. "
                f"Use torch.finfo to handle '{type!r}'"
            )
        limits = np.iinfo(type.numpy)
        self.dtype = type.name
        self.bits = limits.bits
        self.max = int(limits.max)
        self.min = int(limits.min)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
