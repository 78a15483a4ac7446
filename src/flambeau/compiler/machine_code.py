"""From LLVM's language to machine code in memory, for the processor this runs on."""

from __future__ import annotations

import ctypes
import functools
import platform
import struct
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from .. import _optional, _system
from . import object_cache, object_code

#: Turns of about 25 ns for which a thread waits awake for others, before it takes a nap.
PATIENCE = 10_000
_kept: list[object] = []  # what owns code: for as long as the process runs


def _llvm() -> ModuleType:
    return _optional.require("llvmlite.binding", "compiling a kernel")


@functools.cache
def _target() -> object:
    """LLVM's code generator for this processor."""
    llvm = _llvm()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        opt=3,
        codemodel="jitdefault",
    )


@functools.cache
def _processor() -> tuple[str, frozenset[str]]:
    """The processor that code is for, in words, and its features by LLVM's names."""
    found = _system.processor()
    if found is None:
        llvm = _llvm()
        features = llvm.get_host_cpu_features()
        there = frozenset(name for name, has in features.items() if has)
        found = f"{llvm.get_host_cpu_name()} {features.flatten()}", there
    system = f"{sys.platform} {platform.machine()} {8 * struct.calcsize('P')} "
    return system + found[0], found[1]


@functools.cache
def has(feature: str) -> bool:
    """Whether the processor has "fma" (a multiplication and addition in one instruction, which
    the rules rely on), "f16c" (conversion of float16) or "avx512f"; LLVM would call functions
    instead of the first two."""
    return is_arm() or feature in _processor()[1]


@functools.cache
def is_arm() -> bool:
    """Whether the processor is a 64-bit ARM."""
    return platform.machine().lower() in ("aarch64", "arm64") and struct.calcsize("P") == 8


def _module(text: str) -> object:
    """``text``, checked, its variables on the stack put into registers. No other of LLVM's passes
    are run: the loops come as vectors without anything to simplify, and the passes would take as
    long as all the rest."""
    llvm, target = _llvm(), _target()
    module = llvm.parse_assembly(text)
    module.triple, module.data_layout = target.triple, str(target.target_data)
    module.verify()
    builder = llvm.create_pass_builder(target, llvm.create_pipeline_tuning_options())
    passes = llvm.create_new_module_pass_manager()
    passes.add_sroa_pass()
    passes.run(module, builder)
    return module


@functools.cache
def _symbols() -> dict[str, int]:
    """The addresses of the C functions that code calls by names of ours."""
    functions = {"flambeau_yield": _yield(), "flambeau_nap": _nap()}
    blas = _system.blas()
    if blas is not None:
        for name in ("sgemm", "dgemm"):
            functions[f"flambeau_{name}"] = blas.function(f"cblas_{name}")
    _kept.extend(functions.values())
    return {name: ctypes.cast(f, ctypes.c_void_p).value for name, f in functions.items() if f}


def _linked(data: bytes) -> Callable[[str], int]:
    """The object file ``data`` in memory: the address of a function by its name."""
    functions = object_code.load(data, _symbols())
    if functions is not None:
        return functions.__getitem__
    llvm = _llvm()
    for name, address in _symbols().items():
        llvm.add_symbol(name, address)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target())
    engine.add_object_file(llvm.ObjectFileRef.from_data(data))
    engine.finalize_object()
    _kept.append(engine)
    return engine.get_function_address


@functools.cache
def _nap() -> object:
    """What a thread calls that has waited long, with microseconds: on the processor that it shares
    with the thread it waits for, perhaps; the system wakes it on one that is free."""
    try:
        return ctypes.CDLL(None).usleep
    except (AttributeError, TypeError, OSError):
        return ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda microseconds: 0)


@functools.cache
def _yield() -> object:
    """What a thread calls now and then while it waits, so that others may run."""
    if hasattr(ctypes, "windll"):
        return ctypes.windll.kernel32.SwitchToThread
    try:
        return ctypes.CDLL(None).sched_yield
    except (AttributeError, TypeError, OSError):
        return ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 0)


def _drain() -> str:
    """The instruction after stores past the caches: others see them before what follows. ARM's
    need none."""
    return "" if is_arm() or not _relax() else 'call void asm sideeffect "sfence", ""()'


def _relax() -> str:
    """The instruction of a thread that waits awake: it leaves the core to its other half."""
    if is_arm():
        return 'call void asm sideeffect "yield", ""()'
    if platform.machine().lower() in ("x86_64", "amd64", "i686", "x86"):
        return 'call void asm sideeffect "pause", ""()'
    return ""


class Code:
    """Several functions of one text."""

    def __init__(self, text: str) -> None:
        blas = _system.blas()
        integer = "i64" if blas is None or blas.suffix else "i32"
        self.text = (
            text.replace("INT", integer)
            .replace("PAUSE", _relax())
            .replace("DRAIN", _drain())
            .replace("TURNS", str(PATIENCE))
        )
        version = _optional.require("llvmlite", "compiling a kernel").__version__
        name = object_cache.key(self.text, _processor()[0], version)
        data = object_cache.load(name)
        self.was_cached = data is not None
        if data is None:
            data = _target().emit_object(_module(self.text))
            object_cache.store(name, data)
        self.address = _linked(data)

    def function(
        self, name: str, types: Sequence[type], result: type | None = None
    ) -> Callable[..., Any]:
        """The function ``name``, with arguments of ctypes ``types``; it runs without the GIL."""
        return ctypes.CFUNCTYPE(result, *types)(self.address(name))


#: A ctypes type -> LLVM's, and struct's for eight bytes that begin with it.
_PACKED = {
    ctypes.c_void_p: ("ptr", "q"),
    ctypes.c_int64: ("i64", "q"),
    ctypes.c_double: ("double", "d"),
    ctypes.c_float: ("float", "f4x"),
}


class Task:
    """The function ``name`` of ``code``, whose last two arguments are a range: ``task(*given,
    start, stop)``. Other machine code calls ``entry(packed, start, stop)``."""

    def __init__(self, code: Code, name: str, types: Sequence[type]) -> None:
        self.code = code
        self.function = code.function(name, types)
        self.entry = code.address(f"{name}_task")
        self._form = struct.Struct("<" + "".join(_PACKED[t][1] for t in types[:-2]))

    def __call__(self, *arguments: object) -> None:
        self.function(*arguments)

    def packed(self, given: Sequence) -> bytes:
        """All arguments but the range, as ``entry`` takes them; None is a null pointer."""
        return self._form.pack(*[0 if a is None else a for a in given])

    @staticmethod
    def text(name: str, types: Sequence[type]) -> str:
        """The function ``entry``, to follow the text of ``name``."""
        lines, arguments = [], []
        for k, t in enumerate(types[:-2]):
            kind = _PACKED[t][0]
            lines.append(f"  %at{k} = getelementptr i64, ptr %packed, i64 {k}")
            lines.append(f"  %given{k} = load {kind}, ptr %at{k}")
            arguments.append(f"{kind} %given{k}, ")
        call = f"  call void @{name}({''.join(arguments)}i64 %start, i64 %stop)"
        return "\n".join(
            [
                f"define void @{name}_task(ptr %packed, i64 %start, i64 %stop) {{",
                *lines,
                call,
                "  ret void",
                "}",
            ]
        )


def load(text: str, types: Sequence[type]) -> Task:
    """The function ``kernel`` of ``text``, with arguments of ctypes ``types``, the last two of
    which are a range."""
    return Task(Code(f"{text}\n{Task.text('kernel', types)}"), "kernel", types)


def assembly(text: str) -> str:
    """What the processor runs for ``text``, to read."""
    return _target().emit_assembly(_module(text))
