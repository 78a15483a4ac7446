"""The programs under examples/ with tiny settings; where PyTorch is, they print what it prints."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLAMBEAU = [sys.executable, "-m", "flambeau", "run"]
PYTORCH = [sys.executable]
#: program -> (arguments, most that a loss may differ from PyTorch's)
PROGRAMS = {
    "text_lstm": (["--steps", "6"], 1e-4),
    "digits_vae": (["--epochs", "1", "--double"], 1e-4),
    "digits_resnet": (["--epochs", "1", "--double"], 1e-4),
    "cartpole": (["--episodes", "5"], 1e-4),
    "adder_gpt": (["--steps", "20"], 1e-4),
}
DRAWS = ("digits_vae", "digits_resnet", "cartpole")


def run(
    command: list[str], name: str, losses: Path, *more: str, **variables: str
) -> tuple[str, list[float]]:
    """What a program prints, and the losses that it writes."""
    if name.startswith("digits"):
        pytest.importorskip("sklearn", reason="the digits are scikit-learn's")
    arguments = [str(ROOT / "examples" / name / "train.py"), *PROGRAMS[name][0], *more]
    path = os.pathsep.join(filter(None, (str(ROOT / "src"), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | variables
    done = subprocess.run(
        [*command, *arguments, "--losses", str(losses)],
        env=environment,
        capture_output=True,
        text=True,
        cwd=losses.parent,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr, [float(line) for line in losses.read_text().splitlines()]


@pytest.mark.parametrize("name", PROGRAMS)
def test_trains(name: str, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    draws = name in DRAWS and importlib.util.find_spec("matplotlib") is not None
    more = ["--out", str(picture)] if draws else ["--no-picture"] if name in DRAWS else []
    printed, losses = run(FLAMBEAU, name, tmp_path / "losses", *more)
    assert "loss" in printed and len(losses) >= 5
    if name != "cartpole":  # whose losses say nothing of how well it does
        assert losses[-1] < losses[0]
    if draws:
        assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", PROGRAMS)
def test_makes_no_silent_mistake(name: str, tmp_path: Path) -> None:
    more = ["--no-picture"] if name in DRAWS else []
    printed, _ = run(FLAMBEAU, name, tmp_path / "losses", *more, FLAMBEAU_CHECK="1")
    assert "CheckWarning" not in printed


@pytest.mark.torch
@pytest.mark.parametrize("name", PROGRAMS)
def test_losses_are_those_of_pytorch(name: str, tmp_path: Path) -> None:
    more = ["--no-picture"] if name in DRAWS else []
    _, own = run(FLAMBEAU, name, tmp_path / "own", *more)
    _, theirs = run(PYTORCH, name, tmp_path / "theirs", *more)
    assert len(own) == len(theirs)
    assert max(abs(a - b) for a, b in zip(own, theirs)) < PROGRAMS[name][1]
