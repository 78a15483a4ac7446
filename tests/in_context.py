"""`apps.in_context` for its tests, imported once with `torch` meaning flambeau.

The modules keep the `torch` they were imported with; the alias itself is gone again afterwards,
so that no other test sees it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from torch_alias import torch_means_flambeau

for package in ("pydantic", "yaml", "sklearn", "xgboost", "matplotlib"):
    pytest.importorskip(package, reason="needs the extra in-context")

ROOT = Path(__file__).resolve().parents[1]
APP = ROOT / "apps" / "in_context"
sys.path.insert(0, str(ROOT))
with torch_means_flambeau():
    from apps.in_context import (  # noqa: F401
        checkpoints,
        cli,
        config,
        evaluation,
        figures,
        fits,
        inputs,
        learners,
        model,
        play,
        prompts,
        runs,
        tasks,
        training,
    )

#: A run that trains in a second: settings for `settings()` and for --set.
SMALL = {
    "model.dims": "3",
    "model.points": "8",
    "model.width": "16",
    "model.layers": "2",
    "training.steps": "24",
    "training.batch": "8",
    "training.warmup": "4",
    "training.log_every": "4",
    "training.save_every": "5",
    "training.tensorboard": "false",
    "training.curriculum.dims": "{start: 2, end: 3, interval: 8}",
    "training.curriculum.points": "{start: 4, end: 8, step: 2, interval: 8}",
    "evaluation.count": "24",
    "evaluation.trials": "50",
}


def changes(**others: str) -> list[str]:
    """SMALL as --set takes it, with other values; keys have __ for the point."""
    values = {**SMALL, **{name.replace("__", "."): value for name, value in others.items()}}
    return [f"{name}={value}" for name, value in values.items()]


def settings(**others: str) -> config.Settings:
    """The settings of a small run."""
    return config.load("quick", changes(**others))


def environment() -> dict[str, str]:
    """Of child processes: they find flambeau's source, draw into files alone, and use one thread,
    since PyTorch's threads wait for each other by spinning where others use the machine, too."""
    path = os.pathsep.join(filter(None, (str(ROOT / "src"), os.environ.get("PYTHONPATH"))))
    return os.environ | {"PYTHONPATH": path, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}


def command(*arguments: str | Path) -> list[str]:
    """The app's command line under flambeau."""
    start = [sys.executable, "-m", "flambeau", "run", "-m", "apps.in_context"]
    return [*start, *map(str, arguments)]


def run(*arguments: str | Path, status: int = 0) -> str:
    """What the app prints."""
    done = subprocess.run(
        command(*arguments), cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr
