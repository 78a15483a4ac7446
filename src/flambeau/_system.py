"""The machine this process may use: processors, memory, and the BLAS behind NumPy.

Linux containers limit a process by cgroup quotas that ``os.cpu_count`` does not know of. Files
read: /proc/self/cgroup, cpu.max and memory.max (cgroup v2), cpu.cfs_quota_us, cpu.cfs_period_us
and memory.limit_in_bytes (v1); see the kernel's admin-guide/cgroup-v2 and cgroup-v1.
Nothing here raises: what cannot be read sets no limit.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Iterator

import numpy as np

#: The lines of /proc/cpuinfo that say which processor it is, on x86 and on ARM.
_IDENTITY = (
    "vendor_id", "cpu family", "model", "model name", "stepping",
    "CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision",
)  # fmt: skip
_UNLIMITED = 1 << 60  # cgroup v1 writes "no limit" as about 2**63


def usable_cpus(root: str = "/") -> int:
    """Threads that can run at once: processors, cut to the affinity mask and the CPU quota.

    A quota of 2.5 processors counts as 2, so that no thread is stopped half-way through each
    period; at least 1. ``root`` is where /proc and /sys are looked for.
    """
    limits = [os.cpu_count() or 1, affinity() or 1 << 30, int(cpu_quota(root) or 1 << 30)]
    return max(1, min(limits))


def affinity() -> int | None:
    """Processors in this process's affinity mask; None where the system has no such thing."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return None


def cpu_quota(root: str = "/") -> float | None:
    """Processors' worth of time that the tightest enclosing cgroup grants; None without a limit."""
    quotas = []
    for directory in _cgroups(root, "cpu"):
        line = _words(directory, "cpu.max")  # "max 100000" or "150000 100000"
        if not line:
            line = _words(directory, "cpu.cfs_quota_us") + _words(directory, "cpu.cfs_period_us")
        numbers = [_positive(word) for word in line]
        if len(numbers) == 2 and all(numbers):
            quotas.append(numbers[0] / numbers[1])
    return min(quotas, default=None)


def memory_limit(root: str = "/") -> int | None:
    """Bytes that the tightest enclosing cgroup grants; None without a limit."""
    limits = []
    for directory in _cgroups(root, "memory"):
        words = _words(directory, "memory.max") or _words(directory, "memory.limit_in_bytes")
        limits.extend(n for n in map(_positive, words) if n and n < _UNLIMITED)
    return min(limits, default=None)


@functools.cache
def last_cache(root: str = "/") -> int:
    """Bytes of the first processor's last cache; 32 MB where the system does not say."""
    found = []
    caches = os.path.join(root, "sys/devices/system/cpu/cpu0/cache")
    try:
        for name in os.listdir(caches):
            for word in _words(os.path.join(caches, name), "size"):  # "32768K"
                unit = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(word[-1], 1)
                found.append((_positive(word.rstrip("KMG")) or 0) * unit)
    except OSError:
        pass
    return max(found, default=0) or 1 << 25


def processor(root: str = "/") -> tuple[str, frozenset[str]] | None:
    """What tells this processor from others, and its features as Linux names them ("avx2");
    None where the system does not say."""
    try:
        with open(os.path.join(root, "proc/cpuinfo"), encoding="utf-8", errors="replace") as file:
            first = file.read(1 << 14).partition("\n\n")[0]  # the others are alike
    except OSError:
        return None
    found = {}
    for line in first.splitlines():
        key, _, value = line.partition(":")
        found[key.strip()] = value.strip()
    features = found.get("flags") or found.get("Features")
    if not features:
        return None
    return "; ".join(found.get(key, "") for key in _IDENTITY) + features, frozenset(
        features.split()
    )


def _cgroups(root: str, controller: str) -> Iterator[str]:
    """Directories of the cgroups around this process, innermost first, v2 and v1.

    Inside a container /proc names the host's path while only the container's own cgroup is
    mounted; walking up from that path arrives at the mount point, which is it.
    """
    mounts = os.path.join(root, "sys/fs/cgroup")
    for line in _lines(os.path.join(root, "proc/self/cgroup")):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            bases = [mounts, os.path.join(mounts, "unified")]
        elif controller in controllers.split(","):
            bases = [os.path.join(mounts, controllers), os.path.join(mounts, controller)]
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for base in dict.fromkeys(bases):
            for depth in range(len(parts), -1, -1):
                yield os.path.join(base, *parts[:depth])


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


def _words(directory: str, name: str) -> list[str]:
    lines = _lines(os.path.join(directory, name))
    return lines[0].split() if lines else []


def _positive(word: str) -> int | None:
    """A positive integer, or None for "max", "-1" and whatever else is no limit."""
    return int(word) if word.isdecimal() and int(word) > 0 else None


class Blas:
    """The OpenBLAS that NumPy has already loaded: its threads, its kernels, its C functions.

    ``prefix`` and ``suffix`` are what this build puts around every name (``scipy_`` and ``64_``
    in NumPy's wheels); ``integer`` is the C type of its sizes, 64-bit in a ``64_`` build.
    """

    def __init__(self, library: ctypes.CDLL, prefix: str, suffix: str) -> None:
        self.library = library
        self.prefix = prefix
        self.suffix = suffix
        self.integer = ctypes.c_int64 if suffix else ctypes.c_int32
        self._threads = self.function("openblas_get_num_threads")
        self._set_threads = self.function("openblas_set_num_threads")

    def function(self, name: str) -> ctypes._CFuncPtr | None:
        """The C function ``name``, such as "cblas_sgemm"; None if this build has none.

        Each call gives an object of its own: set ``argtypes`` and ``restype`` on it as you like.
        """
        try:
            return self.library[f"{self.prefix}{name}{self.suffix}"]
        except AttributeError:
            return None

    def _text(self, name: str) -> str:
        function = self.function(name)
        if function is None:
            return ""
        function.restype = ctypes.c_char_p
        return (function() or b"").decode("ascii", "replace").strip()

    def corename(self) -> str:
        """The processor family whose kernels are in use: "Zen", "Haswell", "SkylakeX" ..."""
        return self._text("openblas_get_corename")

    def config(self) -> str:
        """Version and build options, in OpenBLAS's own words."""
        return self._text("openblas_get_config")

    def get_num_threads(self) -> int:
        """Threads that a product may use."""
        return self._threads() if self._threads else 1

    def set_num_threads(self, n: int) -> None:
        """Use ``n`` threads in products from now on."""
        if self._set_threads:
            self._set_threads(ctypes.c_int(n))


_blas: list[Blas | None] = []  # one entry once looked for


def blas() -> Blas | None:
    """NumPy's OpenBLAS; None where NumPy was built with another BLAS.

    Looked up at the first call (0.2 ms), kept for the next. Nothing new is loaded: a module's
    handle also gives the symbols of the libraries it was linked with.
    """
    if not _blas:
        _blas.append(_find_blas(_numpy_libraries()))
    return _blas[0]


def _numpy_libraries() -> list[str]:
    if os.name != "nt":
        return [np._core._multiarray_umath.__file__]
    # Windows looks up symbols in the library itself alone, so it has to be named.
    home = os.path.dirname(os.path.dirname(np.__file__))
    folder = os.path.join(home, "numpy.libs")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return [os.path.join(folder, n) for n in names if "openblas" in n and n.endswith(".dll")]


def _find_blas(paths: list[str]) -> Blas | None:
    for path in paths:
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        for prefix in ("scipy_", ""):
            for suffix in ("64_", ""):
                if hasattr(library, f"{prefix}openblas_get_config{suffix}"):
                    return Blas(library, prefix, suffix)
    return None
