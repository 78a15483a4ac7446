"""A run's folder: its settings, checkpoints, log, evaluation and figures.

    config.yaml         all settings
    state.pt            the last checkpoint; model_STEP.pt: weights kept for good
    log.csv             step, loss over the zero estimator's, learning rate, dims, points
    tensorboard/        the same for TensorBoard
    evaluation/         errors, one file for each kind of prompt and learner
    figures/            PNG and SVG

A folder that the paper's authors published (config.yaml and state.pt of their code) is read, too.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from . import checkpoints, config
from .checkpoints import STATE, BadRun
from .config import Settings
from .model import Transformer, load_published

#: The published code's names of tasks, where they differ from those here.
PUBLISHED_TASKS = {"relu_2nn_regression": "relu_network"}
PUBLISHED_OPTIONS = {
    "hidden_layer_size": "hidden",
    "noise_std": "noise",
    "renormalize_ys": "renormalise",
}


@dataclass(frozen=True)
class Run:
    """A trained run: where it is, its settings, its model, and the steps it was trained for."""

    folder: Path
    settings: Settings
    model: Transformer
    step: int

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.resolve().name

    @property
    def digest(self) -> str:
        """The fingerprint of the model's weights."""
        return checkpoints.digest(self.model.state_dict())


def build_model(settings: Settings) -> Transformer:
    """An untrained model, its weights drawn from torch's own generator."""
    sizes = settings.model
    return Transformer(**sizes.model_dump())


def pick_device(name: str) -> torch.device:
    """The device of a setting; "auto" is a GPU where one is there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def settings_of(folder: Path) -> Settings:
    """The settings of a run.

    Raises:
        BadRun: the folder is no run.
        config.BadSettings: its settings cannot be used.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        raise BadRun(f"{folder} is not a run: it has no config.yaml (train makes one)")
    content = config.read(path)
    if "family" in (content.get("model") or {}):
        content = translate(content, path)
    return config.validate(content, str(path))


def translate(published: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The settings here of a config.yaml that the paper's code wrote.

    Raises:
        BadRun: a model or task that is not here.
    """
    model, training = published["model"], published["training"]
    if model["family"] != "gpt2":
        raise BadRun(f"{path}: a model of the family {model['family']!r} is not one of these")
    options = {
        PUBLISHED_OPTIONS.get(key, key): value
        for key, value in (training.get("task_kwargs") or {}).items()
    }
    for key in ("noise", "scale"):
        if key in options:
            options[key] = float(options[key])
    ramps = {
        name: {"start": ramp["start"], "end": ramp["end"], "step": ramp["inc"]}
        | {"interval": ramp["interval"]}
        for name, ramp in training["curriculum"].items()
    }
    return {
        "model": {
            "dims": model["n_dims"],
            "points": model["n_positions"],
            "width": model["n_embd"],
            "layers": model["n_layer"],
            "heads": model["n_head"],
        },
        "task": {"name": PUBLISHED_TASKS.get(training["task"], training["task"]), **options},
        "training": {
            "steps": training["train_steps"],
            "batch": training["batch_size"],
            "learning_rate": float(training["learning_rate"]),
            "curriculum": ramps,
        },
    }


def load_run(folder: str | Path, step: int | None = None) -> Run:
    """A run with its model in evaluation mode: the last checkpoint, or one that was kept.

    Raises:
        BadRun: the folder holds no such checkpoint, or one of another model.
        config.BadSettings: the run's settings cannot be used.
    """
    folder = Path(folder)
    settings = settings_of(folder)
    path = folder / (STATE if step is None else f"model_{step}.pt")
    if not path.is_file() and step is not None:
        kept = sorted(int(file.stem[6:]) for file in folder.glob("model_*.pt"))
        raise BadRun(f"{folder} kept no weights of step {step}; it kept {kept or 'none'}")
    content = checkpoints.read(path)
    if "model" in content:
        model = build_model(settings)
        try:
            model.load_state_dict(content["model"])
        except RuntimeError as error:
            raise BadRun(f"{path} holds another model than config.yaml says: {error}") from error
        step = content["step"]
    else:
        try:
            model = load_published(content, settings.model.heads)
        except ValueError as error:
            raise BadRun(f"{path}: {error}") from error
        step = content.get("train_step", step or settings.training.steps)
    return Run(folder, settings, model.eval(), step)


def read_log(folder: Path) -> dict[str, list[float]]:
    """The columns of log.csv; none where there is no log."""
    path = folder / "log.csv"
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else ())}
