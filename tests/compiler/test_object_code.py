"""Object files as machine code, without LLVM and with it; the processor that they are for."""

import ctypes
import os
import platform
import subprocess
import sys

import pytest

from flambeau import _system

pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install -e '.[compile]'")

from flambeau.compiler import machine_code, object_code

INTEGER = ctypes.c_int64
TEXT = """
@primes = private constant [4 x i64] [i64 2, i64 3, i64 5, i64 7]
declare ptr @memset(ptr, i32, i64)
declare i32 @flambeau_yield()

define i64 @prime(i64 %k) {
  %at = getelementptr i64, ptr @primes, i64 %k
  %p = load i64, ptr %at
  ret i64 %p
}
define i64 @twice(i64 %k) {
  %1 = call i32 @flambeau_yield()
  %p = call i64 @prime(i64 %k)
  %r = add i64 %p, %p
  ret i64 %r
}
define void @fill(ptr %to, i64 %count) {
  %1 = call ptr @memset(ptr %to, i32 7, i64 %count)
  ret void
}
"""
LINUX = sys.platform == "linux" and platform.machine() == "x86_64"
linux = pytest.mark.skipif(not LINUX, reason="elsewhere LLVM loads object files")


def works(code):
    assert [code.function("prime", [INTEGER], INTEGER)(k) for k in range(4)] == [2, 3, 5, 7]
    assert code.function("twice", [INTEGER], INTEGER)(2) == 10
    room = (ctypes.c_uint8 * 5)()
    code.function("fill", [ctypes.c_void_p, INTEGER])(ctypes.addressof(room), 3)
    assert list(room) == [7, 7, 7, 0, 0]


def test_functions_constants_and_calls_of_c(monkeypatch):
    works(machine_code.Code(TEXT))
    monkeypatch.setattr(object_code, "load", lambda data, symbols: None)
    works(machine_code.Code(TEXT))  # by LLVM


@linux
def test_what_is_not_known_is_left_to_llvm(monkeypatch):
    files = []
    load = object_code.load
    monkeypatch.setattr(object_code, "load", lambda d, s: files.append((d, s)) or load(d, s))
    machine_code.Code(TEXT)
    ((data, symbols),) = files
    assert {"prime", "twice", "fill"} <= set(load(data, symbols))
    assert load(data, {}) is None  # flambeau_yield is nowhere
    for other in (b"", data[:10], b"\xcf\xfa\xed\xfe" + data[4:], data[:18] + b"\xb7" + data[19:]):
        assert load(other, symbols) is None
    monkeypatch.setattr(object_code, "_ADDRESS_64", 2)  # as if the file had another kind
    assert load(data, symbols) is None


PROGRAM = """
import sys
import flambeau as torch
torch.manual_seed(0)
x = torch.randn(400_000)
f = torch.compile(lambda x: (x * 3).tanh().sum())
print(*[f(x).item() for _ in range(3)], torch.exp(x).mean().item())
print("llvmlite.binding" in sys.modules)
"""


@linux
def test_code_from_the_cache_does_without_llvm(tmp_path):
    source = os.path.dirname(os.path.dirname(machine_code._system.__file__))
    environment = {**os.environ, "PYTHONPATH": source, "FLAMBEAU_CACHE": str(tmp_path)}

    def lines():
        command = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        return done.stdout.splitlines()

    first, again = lines(), lines()
    assert (first[1], again[1]) == ("True", "False")
    assert first[0] == again[0]


def test_the_processor(tmp_path):
    assert _system.processor(str(tmp_path)) is None
    (tmp_path / "proc").mkdir()
    file = tmp_path / "proc" / "cpuinfo"
    one = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC\nflags\t\t: fma avx2\n"
    file.write_text(f"{one}\n{one.replace('EPYC', 'other')}")
    told, features = _system.processor(str(tmp_path))
    assert "EPYC" in told and "other" not in told
    assert features == {"fma", "avx2"}
    for other in (one.replace("avx2", "avx512f"), one.replace("EPYC", "Ryzen")):
        file.write_text(other)
        assert _system.processor(str(tmp_path))[0] != told
    file.write_text("processor: 0\nCPU part: 0xd0c\nFeatures: fp asimd\n")
    assert _system.processor(str(tmp_path)) == ("; ; ; ; ; ; ; ; 0xd0c; fp asimd", {"fp", "asimd"})
    file.write_text("processor: 0\n")
    assert _system.processor(str(tmp_path)) is None


def test_features_are_llvms(monkeypatch):
    llvm = machine_code._llvm()
    there = llvm.get_host_cpu_features()
    for feature in ("fma", "f16c", "avx512f"):
        assert machine_code.has(feature) == (machine_code.is_arm() or bool(there.get(feature)))
    machine_code._processor.cache_clear()
    monkeypatch.setattr(_system, "processor", lambda: None)
    try:
        assert ("fma" in machine_code._processor()[1]) == bool(there.get("fma"))
    finally:
        machine_code._processor.cache_clear()
