"""From a rule to LLVM's language: one loop over contiguous arrays, written in vectors.

``elementwise`` gives the text of ``void kernel(out, in0, ..., start, stop)``, which computes the
elements start <= i < stop. The body stands twice in it: for vectors of ``lanes`` elements, which
LLVM cuts into the registers the processor has, and for the single elements that remain.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from .scalar import BOOL, FLOAT32, FLOAT64, INT32, INT64, Scalar, input, ordered

VECTOR_BYTES = 128  # of the widest operand: two to four registers, so that latencies overlap

_LLVM = {FLOAT32: "float", FLOAT64: "double", INT32: "i32", INT64: "i64", BOOL: "i1"}
_SUFFIX = {FLOAT32: "f32", FLOAT64: "f64"}
_FLOATING = {"add": "fadd", "subtract": "fsub", "multiply": "fmul", "divide": "fdiv"}
_INTEGRAL = {"add": "add", "subtract": "sub", "multiply": "mul", "and": "and", "or": "or",
             "xor": "xor", "shift_left": "shl", "shift_right": "ashr"}  # fmt: skip
_COMPARISON = {"less": ("fcmp olt", "icmp slt"), "less_equal": ("fcmp ole", "icmp sle"),
               "equal": ("fcmp oeq", "icmp eq")}  # fmt: skip
_INTRINSIC = {"fma": "fma", "sqrt": "sqrt", "absolute": "fabs", "copysign": "copysign"}
_CAST = {"bits": "bitcast", "from_bits": "bitcast", "to_float": "sitofp"}


def _type(dtype: np.dtype, lanes: int) -> str:
    return _LLVM[dtype] if lanes == 1 else f"<{lanes} x {_LLVM[dtype]}>"


def _literal(node: Scalar, lanes: int) -> str:
    if node.dtype.kind == "f":  # LLVM writes floats of either width as the bits of a double
        text = f"0x{struct.unpack('<Q', struct.pack('<d', node.value))[0]:016X}"
    else:
        text = str(node.value).lower()
    return text if lanes == 1 else f"splat ({_LLVM[node.dtype]} {text})"


def _instruction(node: Scalar, names: Sequence[str], lanes: int) -> str:
    """The right-hand side of ``%v = ...`` for one operation."""
    own = _type(node.dtype, lanes)
    first = node.operands[0].dtype
    of = _type(first, lanes)
    name = node.operation
    if name in _INTRINSIC:
        suffix = _SUFFIX[node.dtype] if lanes == 1 else f"v{lanes}{_SUFFIX[node.dtype]}"
        arguments = ", ".join(f"{own} {n}" for n in names)
        return f"call {own} @llvm.{_INTRINSIC[name]}.{suffix}({arguments})"
    if name in _COMPARISON:
        return f"{_COMPARISON[name][first.kind != 'f']} {of} {names[0]}, {names[1]}"
    if name == "is_nan":
        return f"fcmp uno {of} {names[0]}, {names[0]}"
    if name == "select":
        condition = _type(BOOL, lanes)
        return f"select {condition} {names[0]}, {own} {names[1]}, {own} {names[2]}"
    if name == "negate":
        return f"fneg {own} {names[0]}"
    if name in _CAST:
        return f"{_CAST[name]} {of} {names[0]} to {own}"
    table = _FLOATING if node.dtype.kind == "f" else _INTEGRAL
    return f"{table[name]} {own} {names[0]}, {names[1]}"


def _body(root: Scalar, lanes: int, index: str) -> Iterator[str]:
    """Load the elements at ``index``, compute, store."""
    prefix = f"%w{lanes}_"
    names: dict[int, str] = {}
    for number, node in enumerate(ordered(root)):
        name = f"{prefix}{number}"
        own = _type(node.dtype, lanes)
        if node.operation == "constant":
            name = _literal(node, lanes)
        elif node.operation == "input":
            element = _LLVM[node.dtype]
            yield f"{name}p = getelementptr {element}, ptr %in{node.value}, i64 {index}"
            yield f"{name} = load {own}, ptr {name}p, align {node.dtype.itemsize}"
        else:
            operands = [names[id(a)] for a in node.operands]
            yield f"{name} = {_instruction(node, operands, lanes)}"
        names[id(node)] = name
    result, own = names[id(root)], _type(root.dtype, lanes)
    element = _LLVM[root.dtype]
    if root.dtype == BOOL:  # NumPy keeps a bool in a byte
        own, element = own.replace("i1", "i8"), "i8"
        yield f"{prefix}byte = zext {_type(BOOL, lanes)} {result} to {own}"
        result = f"{prefix}byte"
    yield f"{prefix}out = getelementptr {element}, ptr %out, i64 {index}"
    yield f"store {own} {result}, ptr {prefix}out, align {root.dtype.itemsize}"


def _loop(name: str, start: str, stop: str, body: Iterator[str], step: int, after: str) -> str:
    """A loop from the block ``name`` over start <= i < stop, then to the block ``after``."""
    lines = "\n  ".join(body)
    return f"""{name}:
  br label %{name}_test
{name}_test:
  %{name}_i = phi i64 [ {start}, %{name} ], [ %{name}_next, %{name}_body ]
  %{name}_more = icmp slt i64 %{name}_i, {stop}
  br i1 %{name}_more, label %{name}_body, label %{after}
{name}_body:
  {lines}
  %{name}_next = add i64 %{name}_i, {step}
  br label %{name}_test
"""


def elementwise(
    rule: Callable[..., Scalar],
    dtypes: Sequence[np.dtype],
    rest: Sequence[object] = (),
) -> tuple[str, np.dtype]:
    """The kernel of ``rule`` in LLVM's language, and the dtype of its result.

    ``dtypes`` of the arrays; what ``rest`` holds comes after them, and is fixed in the kernel.
    """
    inputs = [input(place, dtype) for place, dtype in enumerate(dtypes)]
    root = rule(*inputs, *rest)
    used = [node.dtype.itemsize for node in ordered(root)]
    lanes = VECTOR_BYTES // max(used)
    parameters = ", ".join(["ptr %out", *(f"ptr %in{place}" for place in range(len(inputs)))])
    vectors = _body(root, lanes, "%vectors_i")
    singles = _body(root, 1, "%singles_i")
    text = f"""define void @kernel({parameters}, i64 %start, i64 %stop) {{
entry:
  %count = sub i64 %stop, %start
  %whole = and i64 %count, {-lanes}
  %middle = add i64 %start, %whole
  br label %vectors
{_loop("vectors", "%start", "%middle", vectors, lanes, "singles")}
{_loop("singles", "%middle", "%stop", singles, 1, "done")}
done:
  ret void
}}
"""
    return text, root.dtype
