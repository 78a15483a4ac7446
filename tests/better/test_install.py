"""Installing, importing, threads and editors: what PyTorch's users wait for or cannot have."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import flambeau as torch
from flambeau import _system

PACKAGE = Path(torch.__file__).parent
ROOT = PACKAGE.parents[1]


def test_the_wheel_is_pure_python_and_small() -> None:
    """No compiled file, and nothing that a build would compile: one wheel for every platform. How
    much it all takes once installed is held in test_house.py."""
    files = [f for f in PACKAGE.rglob("*") if f.is_file() and "__pycache__" not in f.parts]
    assert {f.suffix for f in files} <= {".py", ".typed", ".txt"}
    assert sum(f.stat().st_size for f in files) < 8e6
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert settings["build-system"]["build-backend"] == "hatchling.build"
    assert len(settings["project"]["dependencies"]) == 2  # numpy and ml_dtypes


def test_the_number_of_threads_can_be_set_at_any_time_and_covers_blas() -> None:
    blas = _system.blas()
    if blas is None:
        pytest.skip("NumPy stands on a BLAS whose threads cannot be set")
    before = torch.get_num_threads()
    a = torch.ones(64, 64)
    try:
        for count in (1, 2, 1):
            torch.set_num_threads(count)
            assert (torch.get_num_threads(), blas.get_num_threads()) == (count, count)
            assert (a @ a)[0, 0] == 64  # in the middle of the work, too
    finally:
        torch.set_num_threads(before)


def test_doctor_fits_a_screen() -> None:
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-m", "flambeau", "doctor"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    lines = done.stdout.splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 160
    for subject in ("numpy", "BLAS", "threads", "quota", "llvmlite"):
        assert subject.lower() in done.stdout.lower(), subject


@pytest.mark.parametrize("name", ["add", "reshape", "backward", "softmax", "to", "item", "median"])
def test_an_editor_lands_in_python(name: str) -> None:
    """PyTorch's are built in: no source, no signature."""
    assert (PACKAGE / "py.typed").exists()
    method = inspect.unwrap(getattr(torch.Tensor, name))
    assert Path(inspect.getsourcefile(method)).is_relative_to(PACKAGE)
    assert inspect.signature(method).parameters
    assert inspect.getdoc(getattr(torch.Tensor, name)) or inspect.getsource(method)
