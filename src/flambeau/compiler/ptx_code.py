"""The GPU form (``gpu_code``) as PTX for NVIDIA's GPUs, by way of LLVM's language and its NVPTX
target. Nothing here needs a GPU or its driver.

    .entry name(ptr buffer0, ..., ptr numbers)      all in global memory
    .entry name(ptr table)                          of a bundle, which calls its parts
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from types import ModuleType

import numpy as np

from .. import _optional
from .gpu_code import (
    Barrier,
    Bundle,
    Compute,
    GpuKernel,
    If,
    Index,
    Instruction,
    Loop,
    Read,
    Set,
    Shuffle,
    Write,
    described,
    verify,
)
from .scalar import BOOL, Scalar
from .scalar_text import instruction, literal, llvm_type

TRIPLE = "nvptx64-nvidia-cuda"
#: What a GPU is called -> the version of PTX that knows it.
ARCHITECTURES = {"sm_80": "+ptx70", "sm_90": "+ptx78"}

_INDEX = {"thread": "tid", "block": "ctaid", "blocks": "nctaid"}
_DECLARATIONS = """
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.nctaid.x()
declare i32 @llvm.nvvm.shfl.sync.bfly.i32(i32, i32, i32, i32)
declare void @llvm.nvvm.bar.warp.sync(i32)
declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)
"""
_UNARY = ("sqrt", "fabs", "floor", "ceil", "trunc", "rint")
for _type, _suffix in (("float", "f32"), ("double", "f64")):
    for _name in _UNARY:
        _DECLARATIONS += f"declare {_type} @llvm.{_name}.{_suffix}({_type})\n"
    _DECLARATIONS += f"declare {_type} @llvm.copysign.{_suffix}({_type}, {_type})\n"
    _DECLARATIONS += f"declare {_type} @llvm.fma.{_suffix}({_type}, {_type}, {_type})\n"


def _memory_type(dtype: np.dtype) -> str:
    return "i8" if dtype == BOOL else llvm_type(dtype, 1)


class _Writer:
    def __init__(self, kernel: GpuKernel, name: str, is_part: bool = False) -> None:
        self.kernel, self.entry, self.is_part = kernel, name, is_part
        self.lines: list[str] = []
        self.allocas: list[str] = []
        self.variables: set[int] = set()
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"%t{self.count}"

    def emit(self, code: str, name: str = "") -> str:
        name = name or self.name()
        self.lines.append(f"{name} = {code}")
        return name

    def value(self, x: Scalar) -> str:
        """The name of a value; a variable is loaded."""
        if x.operation == "constant":
            return literal(x, 1)
        if x.operation == "register":
            return f"%r{x.value}"
        return self.emit(f"load {llvm_type(x.dtype, 1)}, ptr %v{x.value}")

    def pointer(self, one: Read | Write, dtype: np.dtype) -> str:
        kind, place = _memory_type(dtype), self.value(one.place)
        array = f"@{self.entry}_shared{one.array}" if one.shared else f"%buffer{one.array}"
        space = f"ptr addrspace({3 if one.shared else 1})"
        return f"{space} " + self.emit(f"getelementptr {kind}, {space} {array}, i64 {place}")

    def write(self, one: Instruction) -> None:
        """The lines of one instruction."""
        to = f"%r{one.to.value}" if hasattr(one, "to") else ""
        if isinstance(one, Compute):
            self._compute(one.node, to)
        elif isinstance(one, Index) and self.is_part and one.what != "thread":
            mine = "%block" if one.what == "block" else self.kernel.blocks
            self.emit(f"add i64 {mine}, 0", to)
        elif isinstance(one, Index):
            call = f"call i32 @llvm.nvvm.read.ptx.sreg.{_INDEX[one.what]}.x()"
            self.emit(f"zext i32 {self.emit(call)} to i64", to)
        elif isinstance(one, Read):
            dtype = one.to.dtype
            load = f"load {_memory_type(dtype)}, {self.pointer(one, dtype)}"
            load += f", align {dtype.itemsize}"
            if dtype == BOOL:
                self.emit(f"icmp ne i8 {self.emit(load)}, 0", to)
            else:
                self.emit(load, to)
        elif isinstance(one, Write):
            dtype, value = one.value.dtype, self.value(one.value)
            if dtype == BOOL:
                value = self.emit(f"zext i1 {value} to i8")
            where = self.pointer(one, dtype)
            store = f"store {_memory_type(dtype)} {value}, {where}, align {dtype.itemsize}"
            self.lines.append(store)
        elif isinstance(one, Shuffle):
            self._shuffle(one, to)
        elif isinstance(one, Barrier):
            call = "barrier.cta.sync.aligned.all(i32 0)"
            if one.mask is not None:
                call = f"bar.warp.sync(i32 {self.value(one.mask)})"
            self.lines.append(f"call void @llvm.nvvm.{call}")
        elif isinstance(one, Set):
            self._set(one.variable, self.value(one.value))
        elif isinstance(one, Loop):
            self._loop(one)
        else:
            self._if(one)

    def _compute(self, node: Scalar, to: str) -> None:
        names = [self.value(a) for a in node.operands]
        if node.operation not in ("quotient", "remainder"):
            self.emit(instruction(node, names, 1), to)
            return
        verb = "udiv" if node.operation == "quotient" else "urem"
        if not self.kernel.small:
            self.emit(f"{verb} i64 {names[0]}, {names[1]}", to)
            return
        short = [self.emit(f"trunc i64 {n} to i32") for n in names]  # a quarter of the time
        self.emit(f"zext i32 {self.emit(f'{verb} i32 {short[0]}, {short[1]}')} to i64", to)

    def _shuffle(self, one: Shuffle, to: str) -> None:
        """Registers are exchanged in pieces of 32 bits."""
        dtype, value, mask = one.to.dtype, self.value(one.value), self.value(one.mask)
        kind, bits = llvm_type(dtype, 1), 8 * dtype.itemsize

        def exchanged(part: str) -> str:
            given = f"i32 {mask}, i32 {part}, i32 {one.distance}, i32 31"
            return self.emit(f"call i32 @llvm.nvvm.shfl.sync.bfly.i32({given})")

        whole = self.emit(f"bitcast {kind} {value} to i{bits}")
        if bits == 32:
            whole = exchanged(whole)
        else:
            low = exchanged(self.emit(f"trunc i64 {whole} to i32"))
            upper = self.emit(f"lshr i64 {whole}, 32")
            high = exchanged(self.emit(f"trunc i64 {upper} to i32"))
            upper = self.emit(f"shl i64 {self.emit(f'zext i32 {high} to i64')}, 32")
            whole = self.emit(f"or i64 {self.emit(f'zext i32 {low} to i64')}, {upper}")
        self.emit(f"bitcast i{bits} {whole} to {kind}", to)

    def _set(self, variable: Scalar, value: str) -> None:
        kind = llvm_type(variable.dtype, 1)
        if variable.value not in self.variables:
            self.variables.add(variable.value)
            self.allocas.append(f"%v{variable.value} = alloca {kind}")
        self.lines.append(f"store {kind} {value}, ptr %v{variable.value}")

    def _loop(self, one: Loop) -> None:
        self.count += 1
        label, at = f"loop{self.count}", f"%at{self.count}"
        counter, stop = f"%r{one.counter.value}", self.value(one.stop)
        self.allocas.append(f"{at} = alloca i64")
        self.lines += [f"store i64 {self.value(one.start)}, ptr {at}", f"br label %{label}"]
        self.lines.append(f"{label}:")
        self.emit(f"load i64, ptr {at}", counter)
        more = self.emit(f"icmp slt i64 {counter}, {stop}")
        self.lines.append(f"br i1 {more}, label %{label}_body, label %{label}_end")
        self.lines.append(f"{label}_body:")
        for inner in one.body:
            self.write(inner)
        following = self.emit(f"add i64 {counter}, {self.value(one.step)}")
        self.lines += [f"store i64 {following}, ptr {at}", f"br label %{label}", f"{label}_end:"]

    def _if(self, one: If) -> None:
        self.count += 1
        label = f"if{self.count}"
        condition = self.value(one.condition)
        self.lines.append(f"br i1 {condition}, label %{label}, label %{label}_end")
        self.lines.append(f"{label}:")
        for inner in one.body:
            self.write(inner)
        self.lines += [f"br label %{label}_end", f"{label}_end:"]

    def text(self) -> str:
        """The function, after the block's own memory."""
        for one in self.kernel.body:
            self.write(one)
        shared = "".join(
            f"@{self.entry}_shared{k} = internal addrspace(3) global "
            f"[{n} x {_memory_type(dtype)}] undef, align 8\n"
            for k, (dtype, n) in enumerate(self.kernel.shared)
        )
        given = ", ".join(
            f"ptr addrspace(1) %buffer{k}" for k in range(len(self.kernel.buffers) + 1)
        )
        body = "\n  ".join([*self.allocas, *self.lines, "ret void"])
        kind = "ptx_kernel"
        if self.is_part:
            kind, given = "internal", f"{given}, i64 %block"
        return f"{shared}define {kind} void @{self.entry}({given}) {{\n  {body}\n}}\n"


def _bundle_text(bundle: Bundle, name: str) -> str:
    """The parts as functions, and the kernel whose blocks find out which of them they are of."""
    parts, lines = [], []
    first_block = first_row = 0
    space = "ptr addrspace(1)"
    for k, (kernel, count) in enumerate(bundle.parts):
        parts.append(_Writer(kernel, f"{name}_part{k}", is_part=True).text())
        size = len(kernel.buffers) + 1
        end = first_block + kernel.blocks * count
        lines += [
            f"%is{k} = icmp ult i64 %block, {end}",
            f"br i1 %is{k}, label %part{k}, label %after{k}",
            f"part{k}:",
            f"%at{k} = sub i64 %block, {first_block}",
            f"%which{k} = udiv i64 %at{k}, {kernel.blocks}",
            f"%mine{k} = urem i64 %at{k}, {kernel.blocks}",
            f"%row{k} = mul i64 %which{k}, {size}",
            f"%begin{k} = add i64 %row{k}, {first_row}",
        ]
        given = []
        for i in range(size):
            lines += [
                f"%n{k}_{i} = add i64 %begin{k}, {i}",
                f"%p{k}_{i} = getelementptr i64, {space} %table, i64 %n{k}_{i}",
                f"%b{k}_{i} = load {space}, {space} %p{k}_{i}, align 8",
            ]
            given.append(f"{space} %b{k}_{i}")
        lines.append(f"call void @{name}_part{k}({', '.join(given)}, i64 %mine{k})")
        lines += ["ret void", f"after{k}:"]
        first_block, first_row = end, first_row + size * count
    head = "%block32 = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()"
    body = "\n  ".join([head, "%block = zext i32 %block32 to i64", *lines, "ret void"])
    return "".join(parts) + f"define ptx_kernel void @{name}({space} %table) {{\n  {body}\n}}\n"


def llvm_text(kernels: Sequence[GpuKernel | Bundle]) -> str:
    """``kernels`` in LLVM's language, as kernel0, kernel1, ...; Refused where NVPTX cannot."""
    texts = [_DECLARATIONS]
    for n, kernel in enumerate(kernels):
        name = f"kernel{n}"
        if isinstance(kernel, Bundle):
            for part, _ in kernel.parts:
                verify(part)
            texts.append(_bundle_text(kernel, name))
        else:
            verify(kernel)
            texts.append(_Writer(kernel, name).text())
    return "".join(texts)


@functools.cache
def _llvm() -> ModuleType:
    """llvmlite, with the NVPTX target; RuntimeError where it was built without."""
    llvm = _optional.require("llvmlite.binding", "writing PTX")
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        llvm.Target.from_triple(TRIPLE)
    except RuntimeError as error:
        raise RuntimeError(
            f"this llvmlite has no NVPTX target ({error}): PTX needs one that was built with it, "
            "as the wheels on PyPI are"
        ) from None
    return llvm


def assembled(text: str, architecture: str) -> str:
    """A module in LLVM's language as PTX. What NVPTX cannot do ends the process: see ``verify``."""
    llvm = _llvm()
    target = llvm.Target.from_triple(TRIPLE).create_target_machine(
        cpu=architecture, features=ARCHITECTURES[architecture], opt=3
    )
    module = llvm.parse_assembly(text)
    module.triple, module.data_layout = TRIPLE, str(target.target_data)
    module.verify()
    builder = llvm.create_pass_builder(target, llvm.create_pipeline_tuning_options())
    passes = llvm.create_new_module_pass_manager()
    passes.add_sroa_pass()
    passes.run(module, builder)
    return target.emit_assembly(module)


def ptx(kernels: Sequence[GpuKernel | Bundle], architecture: str = "sm_90") -> str:
    """``kernels`` as one PTX module for ``architecture``: "sm_80" or "sm_90".

    Refused (before LLVM sees them) where NVPTX cannot do what a kernel needs; ValueError for
    another architecture.
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"PTX is written for {' and '.join(ARCHITECTURES)}, not for {architecture!r}"
        )
    text = assembled(llvm_text(kernels), architecture)
    heads = "".join(f"// kernel{n}: {described(k)}\n" for n, k in enumerate(kernels))
    return heads + text
