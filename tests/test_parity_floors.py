"""The script that holds parity scores to their floors, on scripts that print what they are told."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

PARITY = Path(__file__).parents[1] / ".ci" / "parity.py"
FLOORS = """\
# A comment that stays.

["all of it"]
script = "score.py"
args = ["operations 95/100 = 95.0 %   samples 499/500 = 99.8 %"]
seconds = 60
floors = {{ operations = {operations} }}

["random streams"]
script = "score.py"
args = ["random streams 1/3 = 33.3 %"]
seconds = 60
floors = {{ "random streams" = {streams} }}
"""


@pytest.fixture
def parity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("parity", PARITY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "FLOORS", tmp_path / "floors.toml")
    (tmp_path / "score.py").write_text("import sys\nprint('FAIL x: 1/2')\nprint(sys.argv[1])\n")
    return module


def floors(parity: ModuleType, operations: float, streams: float) -> None:
    parity.FLOORS.write_text(FLOORS.format(operations=operations, streams=streams))


def test_scores_at_their_floors_pass(parity, tmp_path, capsys) -> None:
    floors(parity, 95.0, 33.3)
    assert parity.main([str(tmp_path)]) == 0
    assert capsys.readouterr().out.endswith("parity: 2 passed, 0 failed\n")


def test_a_score_below_its_floor_fails(parity, tmp_path, capsys) -> None:
    floors(parity, 95.1, 33.3)
    assert parity.main([str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "FAILED: below the floor" in out and out.endswith("parity: 1 passed, 1 failed\n")


def test_floors_are_raised_on_request(parity, tmp_path, capsys) -> None:
    floors(parity, 90.0, 0.0)
    before = parity.FLOORS.read_text()
    assert parity.main([str(tmp_path)]) == 0 and parity.FLOORS.read_text() == before
    assert "raise the floor to 95.0" in capsys.readouterr().out
    assert parity.main([str(tmp_path), "--raise"]) == 0
    assert parity.FLOORS.read_text() == FLOORS.format(operations=95.0, streams=33.3)


def test_a_script_that_breaks_fails(parity, tmp_path, capsys) -> None:
    floors(parity, 0.0, 0.0)
    (tmp_path / "score.py").write_text("raise SystemExit('no such thing')\n")
    assert parity.main([str(tmp_path)]) == 1
    assert "no such thing" in capsys.readouterr().out


def test_a_floor_that_was_lowered_fails(parity, tmp_path, capsys) -> None:
    def git(*args: str) -> None:
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", "-C", tmp_path, *who, *args], check=True, capture_output=True)

    git("init", "-q")
    floors(parity, 95.0, 33.3)
    git("add", "floors.toml")
    git("commit", "-q", "-m", "x")
    floors(parity, 80.0, 33.3)
    assert parity.main([str(tmp_path)]) == 1
    assert "FAILED: the floor was 95.0" in capsys.readouterr().out
