"""What ``flambeau doctor`` prints: everything about a machine that a bug report should hold."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from importlib import metadata

import ml_dtypes
import numpy as np

from . import _config, _optional, _system, version
from .core import threads
from .tensor._device import CUDA, Elsewhere

#: Variables of other libraries that change what flambeau's arithmetic runs on.
FOREIGN = ("OPENBLAS_", "OMP_", "GOTO_", "MKL_", "VECLIB_", "BLIS_", "NPY_", "CUDA_VISIBLE_DEVICES")


def report() -> str:
    """One screen of text: a label of at most 9 letters, then its lines."""
    sections = {
        "flambeau": [f"{version.flambeau}, with PyTorch {version.pytorch}'s API, {_home()}"],
        "python": [f"{platform.python_version()} {sys.implementation.name}, {sys.executable}"],
        "numpy": [f"{np.__version__}, ml_dtypes {ml_dtypes.__version__}"],
        "platform": [platform.platform(), _processor()],
        "BLAS": list(_blas()),
        "threads": list(_threads()),
        "memory": [_memory()],
        "GPU": [gpu()],
        "extras": list(_extras()),
        "flags": list(_flags()),
    }
    return "\n".join(
        f"{label if first else '':<9} {line}"
        for label, lines in sections.items()
        for first, line in zip([True] + [False] * len(lines), lines)
    )


def _home() -> str:
    return os.path.dirname(os.path.abspath(__file__))


def _processor() -> str:
    """The processor's name; Linux has it in /proc/cpuinfo alone."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _blas() -> Iterator[str]:
    built = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    yield f"{built.get('name', 'unknown')} {built.get('version', '')}".strip()
    blas = _system.blas()
    if blas is None:
        yield "not an OpenBLAS: its kernels and thread count cannot be asked for"
        return
    yield f"{blas.corename()} kernels; {blas.config()}"
    wide = np._core._multiarray_umath.__cpu_features__.get("AVX512_SKX")
    if wide and blas.corename() not in ("SkylakeX", "Cooperlake", "SapphireRapids"):
        yield "these leave the processor's AVX-512 unused; try OPENBLAS_CORETYPE=SkylakeX"


def _threads() -> Iterator[str]:
    blas = _system.blas()
    usable = _system.usable_cpus()
    in_products = f", {blas.get_num_threads()} in products" if blas else ""
    yield f"{threads.get_num_threads()} in elementwise operations{in_products}"
    quota, affinity = _system.cpu_quota(), _system.affinity()
    yield (
        f"{usable} CPUs usable, the least of: {os.cpu_count()} logical, "
        f"affinity {'unknown' if affinity is None else affinity}, "
        f"cgroup quota {'none' if quota is None else f'{quota:g}'}"
    )
    if blas and blas.get_num_threads() > usable:
        yield f"more threads than usable CPUs cost time: flambeau.set_num_threads({usable})"


def _memory() -> str:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return "unknown"
    limit = _system.memory_limit()
    granted = "no cgroup limit" if limit is None else f"cgroup limit {limit / 2**30:.1f} GiB"
    return f"{total / 2**30:.1f} GiB, {granted}"


def gpu() -> str:
    """What the GPU is, or why there is none."""
    if not Elsewhere.has_cuda():
        return "none: NVIDIA's driver shows none, or CuPy is missing"
    machine = Elsewhere.on(CUDA).machine()
    said, memory = machine.properties(), machine.figures()
    return (
        f"{said['name']}, compute capability {said['major']}.{said['minor']}, "
        f"{said['multiProcessorCount']} multiprocessors, {memory.total / 2**30:.1f} GiB, "
        f"{memory.free / 2**30:.1f} GiB free"
    )


def _extras() -> Iterator[str]:
    extras: dict[str, list[str]] = {}
    for extra, wheel in _optional.OPTIONAL.values():
        extras.setdefault(extra, []).append(wheel)
    for extra, wheels in extras.items():
        found = {wheel: _installed(wheel) for wheel in wheels}
        here = ", ".join(f"{wheel} {number}" for wheel, number in found.items() if number)
        absent = ", ".join(wheel for wheel, number in found.items() if not number)
        if absent:
            absent = f"no {absent}: pip install 'flambeau[{extra}]'"
        yield f"{extra:<12} " + "; ".join(filter(None, [here, absent]))


def _installed(wheel: str) -> str | None:
    try:
        return metadata.version(wheel)
    except metadata.PackageNotFoundError:
        return None


def _flags() -> Iterator[str]:
    known = {f"FLAMBEAU_{name.upper()}": name for name in _config.__annotations__}
    for variable, name in known.items():
        origin = "environment" if variable in os.environ else "default"
        yield f"{variable}={getattr(_config, name)} ({origin})"
    for variable, value in sorted(os.environ.items()):
        if variable.startswith("FLAMBEAU_") and variable not in known:
            yield f"{variable}={value} (no such flag: ignored)"
        elif variable.startswith(FOREIGN):
            yield f"{variable}={value} (environment)"
