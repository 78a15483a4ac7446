"""Kernels as PTX: what is in it, that NVIDIA's assembler takes it, and what is refused before
LLVM, which would end the process."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gpu_cases import CASES, graph_of, summed, turned

import flambeau as torch
from flambeau.compiler import (
    gpu_code,
    gpu_simulator,
    machine_code,
    native,
    ptx_code,
    report,
    scalar,
)
from flambeau.compiler.gpu_code import GpuKernel, Refused, Shuffle, lowered
from flambeau.compiler.gpu_simulator import SimulatedProgram
from flambeau.compiler.kernel import Kernel, Load, Pass, Store, verify
from flambeau.compiler.ptx_code import ARCHITECTURES, ptx
from flambeau.compiler.scalar import FLOAT16, FLOAT32, FLOAT64, INT16, INT32, INT64, Scalar

pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install -e '.[compile]'")

PTXAS = shutil.which("ptxas")


def assembled(text: str, architecture: str, where: Path) -> None:
    """Let NVIDIA's assembler check ``text``."""
    if PTXAS is None:
        pytest.skip("ptxas, NVIDIA's assembler of the CUDA toolkit, is not on the PATH")
    file = where / "kernels.ptx"
    file.write_text(text)
    command = [PTXAS, f"-arch={architecture}", str(file), "-o", str(where / "kernels.cubin")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def text_of(name: str, architecture: str) -> str:
    function, _, inputs = CASES[name]
    return report.ptx(native.Program(graph_of(function, inputs)), architecture)


#: What must be in the PTX of a case, and what must not.
PATTERNS = {
    "elementwise": ([r"fma\.rn\.f32", r"ld\.global", r"div\.rn\.f32", r"%ctaid\.x"],
                    [r"shfl", r"bar\.", r"\.shared"]),
    "gelu": ([r"fma\.rn\.f32", r"abs\.f32"], [r"shfl", r"bar\."]),
    "broadcast": ([r"st\.global"], [r"shfl", r"bar\."]),
    "sums of rows": ([r"shfl\.sync\.bfly\.b32.*, 16, 31, -1;", r"add\.rn\.f32"],
                     [r"bar\.sync", r"\.shared"]),
    "sums of long rows": ([r"shfl\.sync\.bfly", r"bar\.sync", r"st\.shared", r"ld\.shared"],
                          [r"atom\.", r"\bred\."]),
    "maxima": ([r"shfl\.sync\.bfly", r"setp\.lt\.f32", r"setp\.nan\.f32"], [r"bar\.sync"]),
    "sums of columns": ([r"\.entry kernel0", r"\.entry kernel1", r"ld\.global", r"st\.global"],
                        [r"atom\.", r"\bred\.", r"bar\.sync"]),
    "a sum of all": ([r"shfl\.sync", r"bar\.sync"], [r"atom\."]),
    "softmax of short rows": ([r"shfl\.sync\.bfly\.b32.*, 4, 31, %r"], [r"bar\.sync"]),
    "softmax": ([r"shfl\.sync", r"fma\.rn\.f32", r"st\.shared"], [r"bar\.sync"]),
    "softmax of long rows": ([r"shfl\.sync", r"bar\.sync", r"fma\.rn\.f32", r"rcp\.rn"], []),
    "softmax of columns": ([r"shfl\.sync"], [r"bar\.sync"]),
    "layer norm": ([r"sqrt\.rn\.f32", r"shfl\.sync"], [r"bar\.sync"]),
    "gradients of layer norm": ([r"\.entry kernel2", r"shfl\.sync"], [r"bar\.sync", r"atom\."]),
    "gradients of layer norm of long rows": ([r"bar\.sync", r"\.entry kernel2"], [r"atom\."]),
}  # fmt: skip


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", CASES)
def test_ptx_has_what_the_kernel_needs(name: str, architecture: str, tmp_path: Path) -> None:
    text = text_of(name, architecture)
    wanted, unwanted = PATTERNS[name]
    for pattern in (rf"^\.target {architecture}$", r"^\.visible \.entry kernel0\(", *wanted):
        assert re.search(pattern, text, re.M), pattern
    for pattern in (*unwanted, r"\.local", r"\.approx", r"\.ftz", r"\bcall"):
        assert not re.search(pattern, text), pattern
    assert re.search(r"^// kernel0: .* blocks of \d+ threads", text, re.M)
    assembled(text, architecture, tmp_path)


def test_every_wait_is_in_the_text() -> None:
    assert ptx([lowered(turned(3, 1200))]).count("bar.sync") == 2
    assert ptx([lowered(turned(3, 20))]).count("bar.warp.sync") == 2
    assert "bar" not in ptx([lowered(summed(3, 20))])


def _elementwise(name: str, root: Scalar, *dtypes: np.dtype) -> Kernel:
    kernel = Kernel(
        rows=(),
        cols=(64,),
        buffers=[*dtypes, root.dtype],
        loads=[Load(k, d, (1,), 0) for k, d in enumerate(dtypes)],
        passes=[Pass(stores=[Store(len(dtypes), (1,), 0, root)])],
        slots=[],
        name=name,
    )
    verify(kernel)
    return kernel


def _of_every_operation() -> list[Kernel]:
    """Kernels of each operation of the scalar language, for all dtypes it takes."""
    found = []
    for dtype in (FLOAT32, FLOAT64, INT32, INT64):
        a, b = (scalar.input(k, dtype) for k in range(2))
        roots = [a + b, a - b, a * b, a < b, a <= b, scalar.equal(a, b), -a]
        roots += [scalar.select(a < b, a, b), (a < b) & (b < a), (a < b) | (b < a)]
        if dtype.kind == "f":
            roots += [a / b, scalar.fma(a, b, a), scalar.sqrt(a), scalar.absolute(a)]
            roots += [scalar.copysign(a, b), scalar.is_nan(a), scalar.bits(a)]
            names = ("floor", "ceil", "trunc", "rint", "sin", "cos")
            roots += [scalar.floating(n, a) for n in names]
            roots.append(scalar.floating("power", a, b))
        else:
            roots += [a & b, a | b, a ^ b, scalar.shift_left(a, 3), scalar.shift_right(a, 3)]
            roots += [scalar.from_bits(a), scalar.to_float(a)]
        for other in (FLOAT32, FLOAT64, INT32, INT64, scalar.BOOL):
            if other != dtype and (dtype.kind != "f" or other.kind != "i"):
                roots.append(scalar.convert(a, other))
        found += [_elementwise("one", root, dtype, dtype) for root in roots]
    for dtype in (FLOAT16, INT16):
        root = scalar.narrow(scalar.widen(scalar.input(0, dtype)) * 2, dtype)
        found.append(_elementwise("one", root, dtype))
    return found


def test_every_operation_is_compiled_or_refused(tmp_path: Path) -> None:
    good, refused, seen = [], set(), set()
    for kernel in _of_every_operation():
        names = {n.operation for t in kernel.terms() for n in scalar.ordered(t)}
        seen |= names
        if not names & {"sin", "cos", "power"}:
            good.append(lowered(kernel))
            continue
        (name,) = names - {"input"}
        with pytest.raises(Refused, match=f"kernel 'one': NVPTX has no {name} of float"):
            ptx([lowered(kernel)])
        refused.add(name)
    assert seen >= set(scalar.MEANING)
    assert refused == {"sin", "cos", "power"}
    assembled(ptx(good), "sm_90", tmp_path)


@pytest.mark.parametrize(("name", "count"), [("sin", 1), ("cos", 1), ("pow", 2)])
def test_what_is_refused_would_end_the_process(name: str, count: int) -> None:
    types, given = ", ".join(["float"] * count), ", ".join(["float %x"] * count)
    text = f"""declare float @llvm.{name}.f32({types})
define ptx_kernel void @k(ptr addrspace(1) %p) {{
  %x = load float, ptr addrspace(1) %p
  %y = call float @llvm.{name}.f32({given})
  store float %y, ptr addrspace(1) %p
  ret void
}}"""
    code = f"from flambeau.compiler import ptx_code; ptx_code.assembled({text!r}, 'sm_90')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "LLVM ERROR" in done.stderr


def test_a_compiled_function_with_a_sine_is_refused_by_name() -> None:
    program = native.Program(graph_of(lambda x: x.sin() * 2, [np.ones((3, 5), np.float32)]))
    with pytest.raises(Refused, match="kernel 'sin mul': NVPTX has no sin of float32"):
        report.ptx(program)


def test_float16_is_computed_in_float32_only() -> None:
    half = scalar.input(0, FLOAT16)
    kernel = _elementwise("halves", Scalar("add", FLOAT16, (half, half)), FLOAT16)
    with pytest.raises(Refused, match="kernel 'halves': add of float16"):
        ptx([lowered(kernel)])


def test_reductions_of_sixteen_bits_are_refused() -> None:
    kernel = lowered(summed(3, 20))
    for one in kernel.instructions():
        if isinstance(one, Shuffle):
            one.to = Scalar("register", FLOAT16, (), one.to.value)
    with pytest.raises(Refused, match="kernel 'summed': a reduction of float16"):
        ptx([kernel])


def test_too_much_shared_memory_is_refused() -> None:
    kernel = lowered(turned(3, 1200))
    kernel.shared[0] = (FLOAT32, 20_000)
    with pytest.raises(Refused, match="'turned' needs 80000 bytes of shared memory"):
        ptx([kernel])


def test_other_architectures_are_a_value_error() -> None:
    with pytest.raises(ValueError, match="sm_80 and sm_90, not for 'sm_70'"):
        ptx([lowered(summed(3, 20))], "sm_70")


def test_a_wheel_without_the_target_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    ptx_code._llvm.cache_clear()
    monkeypatch.setattr(ptx_code, "TRIPLE", "no-such-target")
    try:
        with pytest.raises(RuntimeError, match="no NVPTX target"):
            ptx([lowered(summed(3, 20))])
    finally:
        ptx_code._llvm.cache_clear()


def test_sixteen_bits_and_double_shuffles(tmp_path: Path) -> None:
    half = torch.float16
    graph = graph_of(lambda x: x.to(half).softmax(-1), [np.ones((3, 40), np.float32)])
    text = report.ptx(native.Program(graph), "sm_80")
    assert "cvt.f32.f16" in text or "cvt.rn.f16.f32" in text
    wide = graph_of(lambda x: x.sum(1), [np.ones((3, 40))])
    double = report.ptx(native.Program(wide), "sm_80")
    assert double.count("shfl.sync.bfly.b32") == 10  # two of 32 bits for each of five steps
    assembled(text, "sm_80", tmp_path)
    assembled(double, "sm_80", tmp_path)


# ---- the text, run -------------------------------------------------------------------------


def run_on_this_processor(kernel: GpuKernel, arrays: list[np.ndarray]) -> None:
    """Run LLVM's text of ``kernel`` thread after thread, where they do not need each other."""
    text = ptx_code.llvm_text([kernel]).replace("ptx_kernel ", "")
    places = {"tid": "thread", "ctaid": "block", "nctaid": "blocks"}
    for register, name in places.items():
        call = f"@llvm.nvvm.read.ptx.sreg.{register}.x()"
        text = text.replace(
            f"declare i32 {call}",
            f"@{name} = internal global i32 0\n"
            f"define i32 @read_{name}() {{\n  %x = load i32, ptr @{name}\n  ret i32 %x\n}}",
        ).replace(call, f"@read_{name}()")
    count = len(kernel.buffers) + 1
    given = ", ".join(f"ptr %p{k}" for k in range(count))
    casts = "\n".join(
        f"  %q{k} = addrspacecast ptr %p{k} to ptr addrspace(1)" for k in range(count)
    )
    passed = ", ".join(f"ptr addrspace(1) %q{k}" for k in range(count))
    text += f"""define void @kernel(i32 %t, i32 %b, i32 %n, {given}) {{
  store i32 %t, ptr @thread
  store i32 %b, ptr @block
  store i32 %n, ptr @blocks
{casts}
  call void @kernel0({passed})
  ret void
}}
"""
    types = [ctypes.c_int32] * 3 + [ctypes.c_void_p] * count
    function = machine_code.Code(text).function("kernel", types)
    pointers = [a.ctypes.data for a in (*arrays, np.zeros(1))]
    for block in range(kernel.blocks):
        for thread in range(kernel.threads):
            function(thread, block, kernel.blocks, *pointers)


@pytest.mark.parametrize("name", [name for name in CASES if "long rows" not in name])
def test_the_text_computes_what_the_simulator_computes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_code, "_group", lambda kernel: 1)  # no thread needs another
    function, _, inputs = CASES[name]
    graph = graph_of(function, inputs)
    expected = SimulatedProgram(graph)([a.copy() for a in inputs])
    monkeypatch.setattr(
        gpu_simulator, "simulate", lambda k, arrays, numbers=(): run_on_this_processor(k, arrays)
    )
    got = SimulatedProgram(graph)([a.copy() for a in inputs])
    for a, b in zip(got, expected, strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_array_equal(a, b)
