"""Libraries that stand on PyTorch run, and give PyTorch's numbers; without a library, its test is
skipped. docs/packages.md says how to install them.

``pytorch.json`` holds what ``programs.py`` printed under PyTorch, with the versions of then.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
RECORDED = {r["name"]: r for r in map(json.loads, (HERE / "pytorch.json").open())}
PACKAGES = {
    "trainer": "accelerate", "pyro": "pyro-ppl", "ignite": "pytorch-ignite",
}  # fmt: skip


def flat(value: object) -> Iterator[object]:
    if isinstance(value, list):
        for part in value:
            yield from flat(part)
    else:
        yield value


@pytest.mark.parametrize("name", RECORDED)
def test_a_library_gives_pytorchs_numbers(name: str) -> None:
    package, wanted = PACKAGES.get(name, name), RECORDED[name]
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{package} is not installed: docs/packages.md says how it is")
    done = subprocess.run(
        [sys.executable, "-m", "flambeau", "run", HERE / "programs.py", name],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"SHOW": "1"},
    )
    lines = [s for s in done.stdout.splitlines() if s.startswith('{"name"')]
    assert lines, done.stderr
    found = json.loads(lines[-1])
    assert "numbers" in found, found["error"] + done.stderr
    if found["version"] != wanted["version"]:
        pytest.skip(f"{package} {found['version']} runs; the numbers are {wanted['version']}'s")
    pairs = list(zip(flat(found["numbers"]), flat(wanted["numbers"]), strict=True))
    for mine, theirs in pairs:
        if isinstance(theirs, float):
            assert mine == pytest.approx(theirs, rel=2e-4, abs=2e-6)
        else:
            assert mine == theirs
