"""A part of fuzz.py: damaged files load or are refused, run nothing and take no memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_damaged_files_are_refused() -> None:
    script = Path(__file__).parent / "fuzz.py"
    command = [sys.executable, str(script), "--count", "400", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("400 files in "), done.stdout
