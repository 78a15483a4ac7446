"""Processors and memory that a container grants, from fake /proc and /sys; the BLAS."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from flambeau import _system


def tree(root: Path, **files: str) -> str:
    """Write files under ``root``; the keys are paths."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


QUOTAS = {
    "v2 limit": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"}, 2.5),
    "v2 none": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
    "v2 the tightest of the nested ones": (
        {
            "proc/self/cgroup": "0::/a/b/c\n",
            "sys/fs/cgroup/a/b/c/cpu.max": "max 100000",
            "sys/fs/cgroup/a/b/cpu.max": "300000 100000",
            "sys/fs/cgroup/a/cpu.max": "800000 100000",
        },
        3.0,
    ),
    "v2 host's path, container's mount": (
        {"proc/self/cgroup": "0::/docker/abc\n", "sys/fs/cgroup/cpu.max": "50000 100000"},
        0.5,
    ),
    "v2 path above the namespace": (
        {"proc/self/cgroup": "0::/../../x\n", "sys/fs/cgroup/x/cpu.max": "100000 100000"},
        1.0,
    ),
    "v1 limit": (
        {
            "proc/self/cgroup": "4:cpu,cpuacct:/job\n3:memory:/job\n",
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "400000\n",
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
        },
        4.0,
    ),
    "v1 none": (
        {
            "proc/self/cgroup": "1:cpu:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        None,
    ),
    "hybrid: v1 sets it, v2 is there": (
        {
            "proc/self/cgroup": "1:cpu:/j\n0::/j\n",
            "sys/fs/cgroup/cpu/j/cpu.cfs_quota_us": "150000\n",
            "sys/fs/cgroup/cpu/j/cpu.cfs_period_us": "50000\n",
        },
        3.0,
    ),
    "no cgroups at all": ({"proc/x": ""}, None),
    "garbage": ({"proc/self/cgroup": "what\n\n::\n0::/", "sys/fs/cgroup/cpu.max": "\n"}, None),
    "zero": ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "0 100000"}, None),
    "not a number": ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "1e5 nan"}, None),
}


@pytest.mark.parametrize("case", QUOTAS)
def test_cpu_quota(case: str, tmp_path: Path) -> None:
    files, want = QUOTAS[case]
    assert _system.cpu_quota(tree(tmp_path, **files)) == want


def test_usable_cpus_is_the_least_of_the_limits(tmp_path: Path, monkeypatch) -> None:
    root = tree(tmp_path, **QUOTAS["v2 limit"][0])
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(_system, "affinity", lambda: 16)
    assert _system.usable_cpus(root) == 2
    assert _system.usable_cpus(str(tmp_path / "none")) == 16
    monkeypatch.setattr(_system, "affinity", lambda: None)
    assert _system.usable_cpus(str(tmp_path / "none")) == 64
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert _system.usable_cpus(str(tmp_path / "none")) == 1


def test_half_a_processor_is_one_thread(tmp_path: Path) -> None:
    root = tree(tmp_path, **QUOTAS["v2 host's path, container's mount"][0])
    assert _system.usable_cpus(root) == 1


@pytest.mark.parametrize(
    ("files", "want"),
    [
        ({"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/memory.max": "1073741824\n"}, 1 << 30),
        ({"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/memory.max": "max\n"}, None),
        (
            {
                "proc/self/cgroup": "4:memory:/a",
                "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "2048",
            },
            2048,
        ),
    ],
)
def test_memory_limit(files: dict, want: int | None, tmp_path: Path) -> None:
    assert _system.memory_limit(tree(tmp_path, **files)) == want


def test_affinity_follows_the_mask() -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system has no affinity mask")
    code = (
        "import os; from flambeau import _system; os.sched_setaffinity(0, "
        "[min(os.sched_getaffinity(0))]); print(_system.affinity(), _system.usable_cpus())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["1", "1"]


@pytest.fixture
def blas() -> _system.Blas:
    found = _system.blas()
    if found is None:
        pytest.skip("NumPy is not built with OpenBLAS here")
    return found


def test_blas_names_itself(blas: _system.Blas) -> None:
    assert blas.corename() and blas.corename() in blas.config()
    assert blas.config().startswith("OpenBLAS")
    assert _system.blas() is blas


def test_blas_threads(blas: _system.Blas) -> None:
    before = blas.get_num_threads()
    try:
        blas.set_num_threads(1)
        assert blas.get_num_threads() == 1
    finally:
        blas.set_num_threads(before)
    assert blas.get_num_threads() == before


def test_blas_functions_can_be_called(blas: _system.Blas) -> None:
    sgemm = blas.function("cblas_sgemm")
    n, f, p = blas.integer, ctypes.c_float, ctypes.c_void_p
    sgemm.argtypes = [ctypes.c_int] * 3 + [n, n, n, f, p, n, p, n, f, p, n]
    sgemm.restype = None
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    b = np.arange(15, dtype=np.float32).reshape(3, 5)
    c = np.empty((2, 5), np.float32)
    row_major, plain = 101, 111
    sizes = (2, 5, 3)
    sgemm(row_major, plain, plain, *sizes, 1, a.ctypes, 3, b.ctypes, 5, 0, c.ctypes, 5)
    np.testing.assert_array_equal(c, a @ b)
    assert blas.function("cblas_sgemm").argtypes is None  # the caller's alone
    assert blas.function("cblas_no_such") is None


def test_blas_is_cheap_to_find(blas: _system.Blas) -> None:
    paths = _system._numpy_libraries()
    best = min(_timed(lambda: _system._find_blas(paths)) for _ in range(20))
    assert best < 1e-3


def _timed(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def test_another_blas_gives_none(tmp_path: Path) -> None:
    broken = tmp_path / "not_a_library.so"
    broken.write_bytes(b"text")
    assert _system._find_blas([]) is None
    assert _system._find_blas([str(broken), str(tmp_path / "missing.so")]) is None
    if os.name != "nt":
        import _ctypes

        assert _system._find_blas([_ctypes.__file__]) is None


def test_the_last_cache(tmp_path: Path) -> None:
    caches = "sys/devices/system/cpu/cpu0/cache"
    sizes = {"index0": "32K\n", "index2": "512K\n", "index3": "24M\n", "index4": "?\n"}
    root = tree(tmp_path, **{f"{caches}/{k}/size": v for k, v in sizes.items()})
    assert _system.last_cache(root) == 24 << 20
    assert _system.last_cache(str(tmp_path / "nothing")) == 32 << 20
