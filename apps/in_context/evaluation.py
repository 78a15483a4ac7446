"""Errors per number of in-context examples, for each kind of prompt and each learner, with bands.

Results are kept in the run's folder, one file for each kind and learner, under a fingerprint of
all that they depend on: settings, learner, and for the transformer its weights. Whatever changes
there, the file no longer counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .checkpoints import write_whole
from .config import Settings
from .learners import Learner, learner, names_for
from .model import Transformer
from .prompts import KINDS, Prompts, draw_prompts, kind_named
from .runs import Run, pick_device
from .tasks import DecisionTree, LinearClassification, LinearRegression, Task

TRANSFORMER = "transformer"
VERSION = 1  # raised when the same settings come to mean other numbers


@dataclass(frozen=True)
class Curve:
    """The mean error after 0, 1, 2 ... examples over the zero estimator's, and its band."""

    title: str
    mean: list[float]
    low: list[float]
    high: list[float]


Curves = dict[str, Curve]  # by learner
Results = dict[str, Curves]  # by kind of prompt


def curve(title: str, errors: np.ndarray, trials: int, band: float, seed: int) -> Curve:
    """Mean and bootstrap band of errors (count, n): prompts are drawn again with replacement.

    A resample is a count for each prompt, drawn from a multinomial distribution, so that all
    means are one product of matrices. Source: Efron 1979, the percentile method.
    """
    count = len(errors)
    random = np.random.default_rng(seed)
    picks = random.multinomial(count, np.full(count, 1 / count), size=trials)
    means = picks @ errors / count
    low, high = np.quantile(means, [(1 - band) / 2, (1 + band) / 2], axis=0)
    return Curve(title, errors.mean(0).tolist(), low.tolist(), high.tolist())


def predict(model: Transformer, prompts: Prompts, batch: int) -> Tensor:
    """The transformer's predictions (count, n) in float64, `batch` prompts at a time."""
    device = next(model.parameters()).device
    parts = []
    with torch.no_grad():
        for start in range(0, len(prompts), batch):
            piece = slice(start, start + batch)
            queries = None if prompts.standard else prompts.queries[piece].to(device)
            xs, ys = prompts.xs[piece].to(device), prompts.ys[piece].to(device)
            parts.append(model(xs, ys, queries).cpu().double())
    return torch.cat(parts)


def kinds_for(task: Task) -> list[str]:
    """The kinds of prompt that the paper shows for a task: all for linear functions."""
    linear = isinstance(task, LinearRegression) and task.degree == 1
    return list(KINDS) if linear else ["standard"]


def check_kinds(kinds: Sequence[str], task: Task) -> None:
    """Refuse kinds that do not exist or mean nothing for the task.

    Raises:
        ValueError: which, and why.
    """
    for name in kinds:
        kind = kind_named(name)
        if isinstance(task, LinearClassification) and (kind.y_scale != 1 or kind.noise):
            raise ValueError(f"{name} means nothing for {task.name}: its y are classes, -1 and 1")


def fingerprint(settings: Settings, kind: str, learner: str, weights: str) -> str:
    """Of all that a result depends on; `weights` is the transformer's digest, or ''."""
    evaluation = settings.evaluation.model_dump(exclude={"prompts", "learners", "batch", "points"})
    content = {
        "version": VERSION,
        "kind": [kind, {**asdict(KINDS[kind]), "arrange": None, "title": None}],
        "learner": learner,
        "weights": weights,
        "size": [settings.points, settings.model.dims],
        "task": settings.task.model_dump(),
        "inputs": settings.inputs.model_dump(),
        "evaluation": evaluation,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Cache:
    """Curves on disk, in `folder`; None keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def _path(self, kind: str, learner: str) -> Path:
        # Names hold brackets, = and /, which file names had better not.
        safe = "".join(c if c.isalnum() or c in "._-" else "-" for c in f"{kind} {learner}")
        return self.folder / f"{safe}.json"

    def get(self, kind: str, learner: str, key: str) -> Curve | None:
        """The curve that was kept under this fingerprint."""
        if self.folder is None:
            return None
        try:
            content = json.loads(self._path(kind, learner).read_text(encoding="utf-8"))
            return Curve(**content["curve"]) if content["key"] == key else None
        except (OSError, ValueError, KeyError, TypeError):
            return None  # not there or not whole: it is computed again

    def put(self, kind: str, learner: str, key: str, value: Curve) -> None:
        """Keep a curve, instead of an older one of the same kind and learner."""
        if self.folder is not None:
            text = json.dumps({"key": key, "curve": asdict(value)})
            path = self._path(kind, learner)
            write_whole(path, lambda unfinished: unfinished.write_text(text, encoding="utf-8"))


def evaluate(
    settings: Settings,
    run: Run | None = None,
    kinds: Sequence[str] | None = None,
    learners: Sequence[str] | None = None,
    report: Callable[[str], Any] = print,
) -> Results:
    """Errors of a run's transformer and of other learners, on the same prompts.

    Args:
        run: whose transformer is judged and whose folder keeps the results; None judges the
            other learners alone and keeps nothing.
        kinds, learners: instead of those of the settings, or of the paper.
        report: gets a line for each curve that is computed.

    Raises:
        ValueError: an unknown kind or learner, or one that means nothing for the task.
    """
    evaluation, task = settings.evaluation, settings.task
    kinds = kinds or evaluation.prompts or kinds_for(task)
    names = learners or evaluation.learners or names_for(task)
    check_kinds(kinds, task)
    judged: list[Learner] = []
    if run is not None:
        device = pick_device(settings.training.device)
        model = run.model.to(device)
        judged.append(
            Learner(TRANSFORMER, TRANSFORMER, lambda p: predict(model, p, evaluation.batch))
        )
    judged += [learner(name, task) for name in names if name != TRANSFORMER]
    digest = run.digest if run is not None else ""
    cache = Cache(run.folder / "evaluation" if run is not None else None)
    results: Results = {}
    for kind in kinds:
        prompts = None
        results[kind] = {}
        for one in judged:
            weights = digest if one.name == TRANSFORMER else ""
            key = fingerprint(settings, kind, one.name, weights)
            found = cache.get(kind, one.name, key)
            if found is None:
                if prompts is None:
                    size = (evaluation.count, settings.points, settings.model.dims)
                    prompts = draw_prompts(kind, task, settings.inputs, size, evaluation.seed)
                found = judge(one, prompts, settings)
                cache.put(kind, one.name, key, found)
                report(line_of(kind, found))
            results[kind][one.name] = found
    return results


def judge(one: Learner, prompts: Prompts, settings: Settings) -> Curve:
    """A learner's curve on some prompts."""
    evaluation = settings.evaluation
    if one.fitted:
        prompts = prompts.some(slice(evaluation.fitted_count))
    errors = settings.task.errors(one.predict(prompts), prompts.targets.double())
    relative = (errors / prompts.zero_error).numpy()
    return curve(one.title, relative, evaluation.trials, evaluation.band, evaluation.seed)


def line_of(kind: str, found: Curve) -> str:
    """A curve in a line: its error after none, a third, two thirds and all of the examples."""
    last = len(found.mean) - 1
    marks = sorted({0, last // 3, 2 * last // 3, last})
    values = "  ".join(f"{found.mean[i]:.3f} after {i}" for i in marks)
    return f"{kind:<19}{found.title:<30}{values}"


def shown_for(task: Task, learners: Sequence[str]) -> list[str]:
    """The learners that a figure has room for: of many Lassos the paper's 0.01."""
    lassos = [name for name in learners if name.startswith("lasso(")]
    best = "lasso(0.01)" if "lasso(0.01)" in lassos else next(iter(lassos), None)
    few = [name for name in learners if name not in lassos or name == best]
    return few if not isinstance(task, DecisionTree) else [n for n in few if n != "averaging"]
