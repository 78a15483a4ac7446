"""LLVM's language written from Python: values with arithmetic, loops and branches as functions.

``vector_code.py`` writes the kernels of the loop language; what has a shape of its own (tiles of
a product, windows of an image) is written with this, instruction by instruction::

    code = Code("kernel", {"out": "ptr", "count": I64})
    code.loop(0, code["count"], lambda i: code.store(..., code.at(code["out"], "float", i)))
    print(code.text())

No pass of LLVM's optimizer runs on the text: a value that goes from turn to turn of a loop is
``carried``, so that it stays in a register, and nothing is computed that is not written here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from . import scalar_text
from .scalar import Scalar, input, ordered

I64, I1, PTR = "i64", "i1", "ptr"
FLOATS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
BYTES = {"float": 4, "double": 8, "i64": 8, "i32": 4, "i16": 2, "i8": 1, "half": 2,
         "ptr": 8}  # fmt: skip
_SUFFIX = {"float": "f32", "double": "f64", "i64": "i64", "i32": "i32"}

Number = int | float
TURNS = 4  # of a loop that is unrolled


def literal(kind: str, value: Number) -> str:
    """A constant of a scalar type; LLVM writes floats of every width as the bits of a double."""
    if kind == "float":
        (value,) = struct.unpack("<f", struct.pack("<f", value))
    if kind in ("float", "double"):
        return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
    return str(int(value))


def vector_of(element: str, lanes: int) -> str:
    """The type of ``lanes`` elements; one of them is the element itself."""
    return element if lanes == 1 else f"<{lanes} x {element}>"


def split_type(kind: str) -> tuple[str, int]:
    """(element, lanes) of a type."""
    if kind[0] == "<":
        lanes, _, element = kind[1:-1].partition(" x ")
        return element, int(lanes)
    return kind, 1


def suffix(kind: str) -> str:
    """How the names of LLVM's intrinsics end for a type: "v8f32"."""
    element, lanes = split_type(kind)
    return _SUFFIX[element] if lanes == 1 else f"v{lanes}{_SUFFIX[element]}"


class Value:
    """A value of the text: a type, and a name or a literal."""

    __slots__ = ("code", "kind", "name")

    def __init__(self, code: Code, kind: str, name: str) -> None:
        self.code = code
        self.kind = kind
        self.name = name

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    def _binary(self, integral: str, floating: str, other: Value | Number, turned: bool) -> Value:
        element = split_type(self.kind)[0]
        word = floating if element in ("float", "double") else integral
        a, b = self, self.code.lift(other, self.kind)
        if turned:
            a, b = b, a
        return self.code.new(self.kind, f"{word} {self.kind} {a.name}, {b.name}")

    def __add__(self, other: Value | Number) -> Value:
        return self._binary("add", "fadd", other, False)

    def __radd__(self, other: Number) -> Value:
        return self._binary("add", "fadd", other, True)

    def __sub__(self, other: Value | Number) -> Value:
        return self._binary("sub", "fsub", other, False)

    def __rsub__(self, other: Number) -> Value:
        return self._binary("sub", "fsub", other, True)

    def __mul__(self, other: Value | Number) -> Value:
        return self._binary("mul", "fmul", other, False)

    def __rmul__(self, other: Number) -> Value:
        return self._binary("mul", "fmul", other, True)

    def __truediv__(self, other: Value | Number) -> Value:
        return self._binary("sdiv", "fdiv", other, False)

    def __floordiv__(self, other: Value | Number) -> Value:
        return self._binary("sdiv", "fdiv", other, False)

    def __mod__(self, other: Value | Number) -> Value:
        return self._binary("srem", "frem", other, False)

    def __and__(self, other: Value | Number) -> Value:
        return self._binary("and", "and", other, False)

    def __or__(self, other: Value | Number) -> Value:
        return self._binary("or", "or", other, False)

    def _compare(self, integral: str, floating: str, other: Value | Number) -> Value:
        element, lanes = split_type(self.kind)
        word = f"fcmp {floating}" if element in ("float", "double") else f"icmp {integral}"
        b = self.code.lift(other, self.kind)
        return self.code.new(vector_of(I1, lanes), f"{word} {self.kind} {self.name}, {b.name}")

    def __lt__(self, other: Value | Number) -> Value:
        return self._compare("slt", "olt", other)

    def __le__(self, other: Value | Number) -> Value:
        return self._compare("sle", "ole", other)

    def __gt__(self, other: Value | Number) -> Value:
        return self._compare("sgt", "ogt", other)

    def __ge__(self, other: Value | Number) -> Value:
        return self._compare("sge", "oge", other)

    def equals(self, other: Value | Number) -> Value:
        """Whether both are equal (floats: and neither is nan)."""
        return self._compare("eq", "oeq", other)

    def is_nan(self) -> Value:
        """Whether a float is not a number."""
        return self._compare("", "uno", self)


class Code:
    """One function ``void name(parameters)``, written line by line."""

    def __init__(self, name: str, parameters: Mapping[str, str]) -> None:
        self.name = name
        self.parameters = {p: Value(self, kind, f"%{p}") for p, kind in parameters.items()}
        self._lines: list[str] = []
        self._count = 0
        self._block = "entry"
        self._intrinsics: set[str] = set()

    def __getitem__(self, parameter: str) -> Value:
        return self.parameters[parameter]

    # ---- values

    def new(self, kind: str, instruction: str) -> Value:
        """The result of one instruction."""
        self._count += 1
        name = f"%v{self._count}"
        self._lines.append(f"  {name} = {instruction}")
        return Value(self, kind, name)

    def constant(self, kind: str, value: Number) -> Value:
        """A number as a value of any type."""
        element, lanes = split_type(kind)
        text = literal(element, value)
        return Value(self, kind, text if lanes == 1 else f"splat ({element} {text})")

    def lift(self, value: Value | Number, kind: str) -> Value:
        """``value`` if it is one, else the constant."""
        if isinstance(value, Value):
            if value.kind != kind:
                raise TypeError(f"a {value.kind} where a {kind} is needed")
            return value
        return self.constant(kind, value)

    def splat(self, value: Value, lanes: int) -> Value:
        """``value`` in every lane."""
        if lanes == 1:
            return value
        kind = vector_of(value.kind, lanes)
        one = self.new(kind, f"insertelement {kind} poison, {value}, i64 0")
        zeros = f"<{lanes} x i32> zeroinitializer"
        return self.new(kind, f"shufflevector {one}, {kind} poison, {zeros}")

    def counting(self, lanes: int) -> Value:
        """0, 1, 2 ... in the lanes, as i32."""
        numbers = ", ".join(f"i32 {n}" for n in range(lanes))
        return Value(self, vector_of("i32", lanes), f"<{numbers}>")

    def narrowed(self, value: Value) -> Value:
        """An i64 as i32."""
        return self.new("i32", f"trunc {value} to i32")

    def shuffle(self, a: Value, b: Value, lanes: Sequence[int]) -> Value:
        """The vector of these lanes of ``a`` and ``b``, numbered through."""
        element, _ = split_type(a.kind)
        mask = ", ".join(f"i32 {n}" for n in lanes)
        kind = vector_of(element, len(lanes))
        return self.new(kind, f"shufflevector {a}, {b}, <{len(lanes)} x i32> <{mask}>")

    def select(self, condition: Value, yes: Value | Number, no: Value | Number) -> Value:
        """``yes`` where ``condition`` holds, else ``no``; one of them is a value."""
        kind = (yes if isinstance(yes, Value) else no).kind
        yes, no = self.lift(yes, kind), self.lift(no, kind)
        return self.new(kind, f"select {condition}, {yes}, {no}")

    def either_bit(self, a: Value, b: Value) -> Value:
        """``a | b`` of two conditions."""
        return self.new(a.kind, f"or {a}, {b.name}")

    def unsigned_at_least(self, a: Value, limit: int) -> Value:
        """Whether an integer is negative, or at least ``limit``."""
        return self.new(I1, f"icmp uge {a}, {limit}")

    def smaller(self, a: Value, b: Value | Number) -> Value:
        """The smaller of two numbers."""
        return self.select(a < b, a, b)

    def larger(self, a: Value, b: Value | Number) -> Value:
        """The larger of two numbers."""
        return self.select(a > b, a, b)

    def call(self, function: str, kind: str, *arguments: Value) -> Value:
        """An intrinsic of LLVM's: ``llvm.fma`` of the arguments' type."""
        given = ", ".join(map(str, arguments))
        return self.new(kind, f"call {kind} @{function}({given})")

    def run(self, function: str, *arguments: Value | int) -> None:
        """Call a function of the same text that returns nothing; numbers are i64."""
        given = ", ".join(str(self.lift(a, I64) if isinstance(a, int) else a) for a in arguments)
        self._lines.append(f"  call void @{function}({given})")

    def apply(self, rule: Callable[..., Scalar], *values: Value) -> Value:
        """A rule of the scalar language (``exp``) for values of one type, floats or vectors."""
        element, lanes = split_type(values[0].kind)
        dtype = next(d for d, name in FLOATS.items() if name == element)
        root = rule(*[input(place, dtype) for place in range(len(values))])
        found: dict[int, Value] = {}
        for node in ordered(root):
            kind = scalar_text.llvm_type(node.dtype, lanes)
            if node.operation == "input":
                found[id(node)] = values[node.value]
            elif node.operation == "constant":
                found[id(node)] = Value(self, kind, scalar_text.literal(node, lanes))
            else:
                names = [found[id(a)].name for a in node.operands]
                found[id(node)] = self.new(kind, scalar_text.instruction(node, names, lanes))
        return found[id(root)]

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """``a * b + c``, rounded once."""
        return self.call(f"llvm.fma.{suffix(a.kind)}", a.kind, a, b, c)

    def cast(self, instruction: str, value: Value, kind: str) -> Value:
        """``value`` as another type: "fpext", "fptrunc", "sitofp", "bitcast" ..."""
        return self.new(kind, f"{instruction} {value} to {kind}")

    def wide(self, value: Value) -> Value:
        """A float as double."""
        return value if value.kind == "double" else self.cast("fpext", value, "double")

    def narrow(self, value: Value, element: str) -> Value:
        """A double rounded to ``element``."""
        return value if value.kind == element else self.cast("fptrunc", value, element)

    def root(self, value: Value) -> Value:
        """The square root, correctly rounded."""
        return self.call(f"llvm.sqrt.{suffix(value.kind)}", value.kind, value)

    def total(self, vector: Value) -> Value:
        """The sum of the lanes, in pairs."""
        element, lanes = split_type(vector.kind)
        if lanes == 1:
            return vector
        zero = self.constant(element, -0.0)
        return self.new(
            element,
            f"call reassoc {element} @llvm.vector.reduce.fadd.{suffix(vector.kind)}"
            f"({zero}, {vector})",
        )

    def highest(self, vector: Value) -> Value:
        """The largest of the lanes, of which none is nan."""
        element, lanes = split_type(vector.kind)
        if lanes == 1:
            return vector
        name = f"llvm.vector.reduce.fmax.{suffix(vector.kind)}"
        return self.new(element, f"call nnan {element} @{name}({vector})")

    # ---- memory

    def at(self, pointer: Value, element: str, index: Value | Number) -> Value:
        """The address of an element."""
        index = self.lift(index, I64)
        return self.new(PTR, f"getelementptr {element}, {pointer}, {index}")

    def load(self, kind: str, pointer: Value, index: Value | Number = 0) -> Value:
        """What lies at an element of the type's own element; nothing is assumed of alignment."""
        element = split_type(kind)[0]
        place = self.at(pointer, element, index) if isinstance(index, Value) or index else pointer
        return self.new(kind, f"load {kind}, {place}, align {BYTES[element]}")

    def store(self, value: Value, pointer: Value, index: Value | Number = 0) -> None:
        """Write ``value`` at an element."""
        element = split_type(value.kind)[0]
        place = self.at(pointer, element, index) if isinstance(index, Value) or index else pointer
        self._lines.append(f"  store {value}, {place}, align {BYTES[element]}")

    def first_lanes(self, lanes: int, count: Value) -> Value:
        """A mask of the lanes below ``count``, an i64."""
        limit = self.splat(self.narrowed(count), lanes)
        return self.counting(lanes) < limit

    def masked_load(
        self, kind: str, pointer: Value, index: Value | Number, mask: Value | None
    ) -> Value:
        """``load`` of the lanes of ``mask``, zeros in the others; all of them without one."""
        if mask is None:
            return self.load(kind, pointer, index)
        element = split_type(kind)[0]
        size = self.constant("i32", BYTES[element])
        place, zeros = self.at(pointer, element, index), self.constant(kind, 0.0)
        return self.call(f"llvm.masked.load.{suffix(kind)}.p0", kind, place, size, mask, zeros)

    def masked_store(
        self, value: Value, pointer: Value, index: Value | Number, mask: Value | None
    ) -> None:
        """``store`` of the lanes of ``mask``; of all of them without one."""
        if mask is None:
            self.store(value, pointer, index)
            return
        element = split_type(value.kind)[0]
        place, size = self.at(pointer, element, index), self.constant("i32", BYTES[element])
        self.run(f"llvm.masked.store.{suffix(value.kind)}.p0", value, place, size, mask)

    def prefetch(self, pointer: Value) -> None:
        """Bring the line of memory at ``pointer``, which need not exist, into the caches."""
        self._lines.append(f"  call void @llvm.prefetch.p0({pointer}, i32 0, i32 2, i32 1)")

    # ---- control

    def _open(self, label: str) -> None:
        self._lines.append(f"{label}:")
        self._block = label

    def loop(
        self,
        start: Value | Number,
        stop: Value | Number,
        body: Callable[..., object],
        carried: Sequence[Value] = (),
        step: Value | Number = 1,
    ) -> list[Value]:
        """``body(i, *values)`` for i from ``start`` below ``stop``.

        ``carried``: the values of the first turn; ``body`` returns those of the next one (a list),
        and the loop those of the last.
        """
        self._count += 1
        label = f"loop{self._count}"
        before = self._block
        start, stop = self.lift(start, I64), self.lift(stop, I64)
        self._lines.append(f"  br label %{label}")
        self._open(label)
        place = len(self._lines)
        i = Value(self, I64, f"%{label}_i")
        values = [Value(self, v.kind, f"%{label}_c{n}") for n, v in enumerate(carried)]
        self._lines += [""] * (1 + len(values))
        self._lines.append(f"  %{label}_more = icmp slt {i}, {stop.name}")
        self._lines.append(f"  br i1 %{label}_more, label %{label}_body, label %{label}_end")
        self._open(f"{label}_body")
        results = body(i, *values)
        following = i + step
        last = self._block
        self._lines.append(f"  br label %{label}")
        for n, (var, first, then) in enumerate(
            zip((i, *values), (start, *carried), (following, *(results or ())), strict=True)
        ):
            self._lines[place + n] = (
                f"  {var.name} = phi {var.kind} "
                f"[ {first.name}, %{before} ], [ {then.name}, %{last} ]"
            )
        self._open(f"{label}_end")
        return values

    def repeat(
        self,
        start: Value | Number,
        stop: Value | Number,
        body: Callable[..., list[Value]],
        carried: Sequence[Value],
        step: Number = 1,
    ) -> list[Value]:
        """``loop`` for ranges that are never empty: the test comes after the body, and what is
        carried needs no second set of registers."""
        self._count += 1
        label = f"repeat{self._count}"
        before = self._block
        start, stop = self.lift(start, I64), self.lift(stop, I64)
        self._lines.append(f"  br label %{label}")
        self._open(label)
        place = len(self._lines)
        i = Value(self, I64, f"%{label}_i")
        values = [Value(self, v.kind, f"%{label}_c{n}") for n, v in enumerate(carried)]
        self._lines += [""] * (1 + len(values))
        results = body(i, *values)
        following = i + step
        more = following < stop
        last = self._block
        self._lines.append(f"  br {more}, label %{label}, label %{label}_end")
        for n, (var, first, then) in enumerate(
            zip((i, *values), (start, *carried), (following, *results), strict=True)
        ):
            self._lines[place + n] = (
                f"  {var.name} = phi {var.kind} "
                f"[ {first.name}, %{before} ], [ {then.name}, %{last} ]"
            )
        self._open(f"{label}_end")
        return results

    def unrolled(
        self,
        start: Value | Number,
        stop: Value | Number,
        body: Callable[..., list[Value]],
        carried: Sequence[Value],
    ) -> list[Value]:
        """``loop`` with ``TURNS`` turns written one after the other: what counts them takes less of
        a core, of which another program may have the other half."""

        def several(i: Value, *values: Value) -> Sequence[Value]:
            for turn in range(TURNS):
                values = body(i + turn if turn else i, *values)
            return values

        if isinstance(start, Value) or isinstance(stop, Value):
            start, stop = self.lift(start, I64), self.lift(stop, I64)
            whole = start + ((stop - start) & -TURNS)
            values = self.loop(start, whole, several, carried, step=TURNS)
            return self.loop(whole, stop, body, values)
        whole = start + (stop - start) // TURNS * TURNS
        values = list(carried)
        if whole > start:
            values = self.repeat(start, whole, several, values, step=TURNS)
        for i in range(whole, stop):
            values = body(self.constant(I64, i), *values)
        return values

    def when(self, condition: Value, then: Callable[[], None]) -> None:
        """``then()`` where ``condition`` holds."""
        self._count += 1
        label = f"when{self._count}"
        self._lines.append(f"  br {condition}, label %{label}, label %{label}_end")
        self._open(label)
        then()
        self._lines.append(f"  br label %{label}_end")
        self._open(f"{label}_end")

    def either(self, condition: Value, yes: Callable[[], None], no: Callable[[], None]) -> None:
        """``yes()`` where ``condition`` holds, else ``no()``."""
        self._count += 1
        label = f"either{self._count}"
        self._lines.append(f"  br {condition}, label %{label}, label %{label}_no")
        for name, branch in ((label, yes), (f"{label}_no", no)):
            self._open(name)
            branch()
            self._lines.append(f"  br label %{label}_end")
        self._open(f"{label}_end")

    def text(self, result: Value | None = None) -> str:
        """The whole function; it returns ``result``, or nothing."""
        given = ", ".join(map(str, self.parameters.values()))
        body = "\n".join(self._lines)
        kind, last = ("void", "void") if result is None else (result.kind, str(result))
        return f"define {kind} @{self.name}({given}) {{\nentry:\n{body}\n  ret {last}\n}}\n"
