"""An operation of the scalar language (``scalar``) in LLVM's, on one element or a vector."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from .scalar import (
    BITS,
    BOOL,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    INT16,
    INT32,
    INT64,
    UINT8,
    Scalar,
)

_LLVM = {FLOAT32: "float", FLOAT64: "double", INT32: "i32", INT64: "i64", BOOL: "i1",
         FLOAT16: "half", INT16: "i16", UINT8: "i8", BITS[2]: "i16"}  # fmt: skip
_SUFFIX = {FLOAT32: "f32", FLOAT64: "f64"}
_FLOATING = {"add": "fadd", "subtract": "fsub", "multiply": "fmul", "divide": "fdiv"}
_INTEGRAL = {"add": "add", "subtract": "sub", "multiply": "mul", "and": "and", "or": "or",
             "xor": "xor", "shift_left": "shl", "shift_right": "ashr"}  # fmt: skip
_COMPARISON = {"less": ("fcmp olt", "icmp slt", "icmp ult"),  # of floats, signed, unsigned
               "less_equal": ("fcmp ole", "icmp sle", "icmp ule"),
               "equal": ("fcmp oeq", "icmp eq", "icmp eq")}  # fmt: skip
_INTRINSIC = {"fma": "fma", "sqrt": "sqrt", "absolute": "fabs", "copysign": "copysign",
              "floor": "floor", "ceil": "ceil", "trunc": "trunc", "rint": "rint",
              "sin": "sin", "cos": "cos", "power": "pow"}  # fmt: skip
_CAST = {"bits": "bitcast", "from_bits": "bitcast", "to_float": "sitofp", "widen": "fpext",
         "narrow": "fptrunc", "extend": "zext", "truncate": "trunc"}  # fmt: skip


def llvm_type(dtype: np.dtype, lanes: int) -> str:
    """LLVM's type for ``lanes`` elements."""
    return _LLVM[dtype] if lanes == 1 else f"<{lanes} x {_LLVM[dtype]}>"


def literal(node: Scalar, lanes: int) -> str:
    """A constant."""
    if node.dtype.kind == "f":  # LLVM writes floats of either width as the bits of a double
        text = f"0x{struct.unpack('<Q', struct.pack('<d', node.value))[0]:016X}"
    else:
        text = str(node.value).lower()
    return text if lanes == 1 else f"splat ({_LLVM[node.dtype]} {text})"


def instruction(node: Scalar, names: Sequence[str], lanes: int) -> str:
    """The right-hand side of ``%v = ...`` for one operation."""
    own = llvm_type(node.dtype, lanes)
    first = node.operands[0].dtype
    of = llvm_type(first, lanes)
    name = node.operation
    if name in _INTRINSIC:
        suffix = _SUFFIX[node.dtype] if lanes == 1 else f"v{lanes}{_SUFFIX[node.dtype]}"
        arguments = ", ".join(f"{own} {n}" for n in names)
        return f"call {own} @llvm.{_INTRINSIC[name]}.{suffix}({arguments})"
    if name in _COMPARISON:
        how = 0 if first.kind == "f" else 2 if first.kind in "bu" else 1
        return f"{_COMPARISON[name][how]} {of} {names[0]}, {names[1]}"
    if name == "is_nan":
        return f"fcmp uno {of} {names[0]}, {names[0]}"
    if name == "select":
        condition = llvm_type(BOOL, lanes)
        return f"select {condition} {names[0]}, {own} {names[1]}, {own} {names[2]}"
    if name == "negate" and node.dtype.kind != "f":
        return f"sub {own} {'0' if lanes == 1 else 'zeroinitializer'}, {names[0]}"
    if name == "negate":
        return f"fneg {own} {names[0]}"
    if name == "convert":
        return f"{_conversion(first, node.dtype)} {of} {names[0]} to {own}"
    if name in _CAST:
        return f"{_CAST[name]} {of} {names[0]} to {own}"
    table = _FLOATING if node.dtype.kind == "f" else _INTEGRAL
    return f"{table[name]} {own} {names[0]}, {names[1]}"


def _conversion(source: np.dtype, target: np.dtype) -> str:
    """LLVM's instruction for the scalar language's "convert"."""
    unsigned = source.kind in "bu"
    if source.kind == "f":
        return "fpext" if target.itemsize > source.itemsize else "fptrunc"
    if target.kind == "f":
        return "uitofp" if unsigned else "sitofp"
    bits = {BOOL: 1}
    if bits.get(target, 8 * target.itemsize) < bits.get(source, 8 * source.itemsize):
        return "trunc"
    return "zext" if unsigned else "sext"
