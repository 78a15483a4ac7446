"""From a rule to LLVM's language: loops over contiguous arrays, written in vectors.

``elementwise`` gives the text of ``void kernel(out, in0, ..., start, stop)``, which computes the
elements start <= i < stop. The body stands twice in it: for vectors of ``lanes`` elements, which
LLVM cuts into the registers the processor has, and for the single elements that remain.
``rows`` does the same for several passes over each row of a matrix, with reductions between them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

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
    input,
    ordered,
)

VECTOR_BYTES = 128  # of the widest operand: two to four registers, so that latencies overlap

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


def _computed(
    root: Scalar, lanes: int, prefix: str, leaves: Mapping[tuple[str, int], str], index: str
) -> tuple[list[str], str]:
    """The instructions that compute ``root``, and the result's name.

    ``leaves``: ("input", place) -> the pointer that it is loaded from, at ``index``;
    ("reduced", number) -> the name of the value itself.
    """
    lines: list[str] = []
    names: dict[int, str] = {}
    for number, node in enumerate(ordered(root)):
        name = f"{prefix}{number}"
        own = llvm_type(node.dtype, lanes)
        if node.operation == "constant":
            name = literal(node, lanes)
        elif node.operation == "reduced":
            name = leaves[node.operation, node.value]
        elif node.operation == "input":
            pointer = leaves[node.operation, node.value]
            element = _LLVM[node.dtype]
            lines.append(f"{name}p = getelementptr {element}, ptr {pointer}, i64 {index}")
            lines.append(f"{name} = load {own}, ptr {name}p, align {node.dtype.itemsize}")
        else:
            operands = [names[id(a)] for a in node.operands]
            lines.append(f"{name} = {instruction(node, operands, lanes)}")
        names[id(node)] = name
    return lines, names[id(root)]


def _stored(
    result: str, dtype: np.dtype, lanes: int, prefix: str, pointer: str, index: str
) -> Iterator[str]:
    """The instructions that write ``result`` at ``index``."""
    own, element = llvm_type(dtype, lanes), _LLVM[dtype]
    if dtype == BOOL:  # NumPy keeps a bool in a byte
        yield f"{prefix}byte = zext {own} {result} to {own.replace('i1', 'i8')}"
        result, own, element = f"{prefix}byte", own.replace("i1", "i8"), "i8"
    yield f"{prefix}out = getelementptr {element}, ptr {pointer}, i64 {index}"
    yield f"store {own} {result}, ptr {prefix}out, align {dtype.itemsize}"


def _loop(
    name: str,
    start: str,
    stop: str,
    step: int,
    body: Iterable[str],
    after: str,
    before: Iterable[str] = (),
    carried: tuple[str, str] | None = None,
) -> str:
    """A loop over start <= %name_i < stop from the block ``name``, then to the block ``after``.

    ``before``: what is computed once, first. ``carried``: type and first value of %name_sum, a
    value that goes from turn to turn; the body gives it the next one as %name_new.
    """
    lines = "\n  ".join(body)
    once = "\n  ".join([*before, f"br label %{name}_test"])
    phi = ""
    if carried:
        kind, first = carried
        phi = f"%{name}_sum = phi {kind} [ {first}, %{name} ], [ %{name}_new, %{name}_body ]"
    return f"""{name}:
  {once}
{name}_test:
  %{name}_i = phi i64 [ {start}, %{name} ], [ %{name}_next, %{name}_body ]
  {phi}
  %{name}_more = icmp slt i64 %{name}_i, {stop}
  br i1 %{name}_more, label %{name}_body, label %{after}
{name}_body:
  {lines}
  %{name}_next = add i64 %{name}_i, {step}
  br label %{name}_test
"""


def _written(root: Scalar, lanes: int, count: int, index: str) -> Iterator[str]:
    """Compute ``root`` from ``count`` arrays at ``index``, and store it."""
    leaves = {("input", place): f"%in{place}" for place in range(count)}
    prefix = f"%w{lanes}_"
    lines, result = _computed(root, lanes, prefix, leaves, index)
    yield from lines
    yield from _stored(result, root.dtype, lanes, prefix, "%out", index)


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
    vectors = _written(root, lanes, len(inputs), "%vectors_i")
    singles = _written(root, 1, len(inputs), "%singles_i")
    text = f"""define void @kernel({parameters}, i64 %start, i64 %stop) {{
entry:
  %count = sub i64 %stop, %start
  %whole = and i64 %count, {-lanes}
  %middle = add i64 %start, %whole
  br label %vectors
{_loop("vectors", "%start", "%middle", lanes, vectors, "singles")}
{_loop("singles", "%middle", "%stop", 1, singles, "done")}
done:
  ret void
}}
"""
    return text, root.dtype


# ---- rows ----------------------------------------------------------------------------------


class Row:
    """What a rule for rows builds: passes over the elements of one row, one after the other.

    Each pass ends in a reduction, whose result the next ones may use, or in the row's result.
    """

    __slots__ = ("dtype", "passes")

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        self.passes: list[tuple[str, Scalar, bool]] = []  # kind, term, whether it is kept

    def _reduced(self, kind: str, term: Scalar, keep: bool = False) -> Scalar:
        self.passes.append((kind, term, keep))
        return Scalar("reduced", self.dtype, (), len(self.passes) - 1)

    def maximum(self, term: Scalar) -> Scalar:
        """The largest ``term`` of the row; nan is passed over."""
        return self._reduced("maximum", term)

    def sum(self, term: Scalar, keep: bool = False) -> Scalar:
        """The sum of ``term`` over the row; ``keep``: each is stored, for ``kept``."""
        return self._reduced("sum", term, keep)

    def once(self, term: Scalar) -> Scalar:
        """A function of reductions alone, computed once for the row."""
        return self._reduced("once", term)

    @property
    def kept(self) -> Scalar:
        """The element that the last ``keep`` stored."""
        return Scalar("input", self.dtype, (), OUT)

    def result(self, term: Scalar) -> None:
        """The row's result, element by element."""
        self.passes.append(("result", term, True))


OUT = -1  # the place of the result among the inputs
_START = {"maximum": "0xFFF0000000000000", "sum": "0x8000000000000000"}  # -inf, -0.0


def _pass(
    name: str, kind: str, term: Scalar, keep: bool, lanes: int, count: int, reduced: Sequence[str]
) -> Iterator[str]:
    """The body of one pass: the term, its place in the reduction, and its storage."""
    leaves = {("input", place): f"%row{place}" for place in range(count)}
    leaves["input", OUT] = "%row_out"
    leaves |= {("reduced", number): value for number, value in enumerate(reduced)}
    own, index, prefix = llvm_type(term.dtype, lanes), f"%{name}_i", f"%{name}_"
    lines, value = _computed(term, lanes, prefix, leaves, index)
    yield from lines
    if kind == "sum":
        yield f"%{name}_new = fadd {own} %{name}_sum, {value}"
    elif kind == "maximum":
        yield f"%{name}_more_than = fcmp ogt {own} {value}, %{name}_sum"
        condition = f"{llvm_type(BOOL, lanes)} %{name}_more_than"
        yield f"%{name}_new = select {condition}, {own} {value}, {own} %{name}_sum"
    if keep:
        yield from _stored(value, term.dtype, lanes, prefix, "%row_out", index)


def rows(rule: Callable[..., None], dtype: np.dtype, count: int) -> str:
    """The kernel of a rule for rows, ``void kernel(out, in0, ..., width, start, stop)``, which
    computes the rows start <= r < stop of ``width`` elements, contiguous in all arrays."""
    row = Row(dtype)
    rule(row, *[input(place, dtype) for place in range(count)])
    lanes, element = VECTOR_BYTES // dtype.itemsize, _LLVM[dtype]
    vector, suffix = llvm_type(dtype, lanes), f"v{lanes}{_SUFFIX[dtype]}"
    blocks: list[str] = []
    sums: list[str] = []  # the names of the results of the passes so far
    for number, (kind, term, keep) in enumerate(row.passes):
        v, s = f"vectors{number}", f"singles{number}"
        after = f"vectors{number + 1}" if number + 1 < len(row.passes) else "row_end"
        if kind == "once":
            leaves = {("reduced", k): value for k, value in enumerate(sums)}
            lines, value = _computed(term, 1, f"%{s}_", leaves, "0")
            sums.append(value)
            blocks.append("\n  ".join([f"{v}:", *lines, f"br label %{after}\n"]))
            continue
        before, splats = [], []
        for k, value in enumerate(sums):
            one = f"insertelement {vector} poison, {element} {value}, i64 0"
            splat = f"{vector} %{v}_one{k}, {vector} poison, <{lanes} x i32> zeroinitializer"
            before += [f"%{v}_one{k} = {one}", f"%{v}_splat{k} = shufflevector {splat}"]
            splats.append(f"%{v}_splat{k}")
        vectors = _pass(v, kind, term, keep, lanes, count, splats)
        singles = _pass(s, kind, term, keep, 1, count, sums)
        joined, first, then = [], None, None
        if kind != "result":
            start = _START[kind]
            first = (vector, f"splat ({element} {start})")
            operation = {"maximum": "fmax", "sum": "fadd"}[kind]
            given = f"{element} {start}, " if kind == "sum" else ""
            call = f"call reassoc {element} @llvm.vector.reduce.{operation}.{suffix}"
            joined = [f"%{s}_joined = {call}({given}{vector} %{v}_sum)"]
            then = (element, f"%{s}_joined")
        blocks.append(_loop(v, "0", "%middle", lanes, vectors, s, before, first))
        blocks.append(_loop(s, "%middle", "%width", 1, singles, after, joined, then))
        sums.append(f"%{s}_sum")
    names = ["out", *(f"in{place}" for place in range(count))]
    pointers = [f"%row_out = getelementptr {element}, ptr %out, i64 %base"]
    for place in range(count):
        pointers.append(f"%row{place} = getelementptr {element}, ptr %in{place}, i64 %base")
    body = "\n".join(blocks)
    addresses = "\n  ".join(pointers)
    return f"""define void @kernel({", ".join(f"ptr %{n}" for n in names)},
                    i64 %width, i64 %start, i64 %stop) {{
entry:
  %middle = and i64 %width, {-lanes}
  br label %row_test
row_test:
  %r = phi i64 [ %start, %entry ], [ %r_next, %row_end ]
  %r_more = icmp slt i64 %r, %stop
  br i1 %r_more, label %row_body, label %done
row_body:
  %base = mul i64 %r, %width
  {addresses}
  br label %vectors0
{body}
row_end:
  %r_next = add i64 %r, 1
  br label %row_test
done:
  ret void
}}
"""
