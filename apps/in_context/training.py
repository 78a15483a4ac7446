"""Training: draw prompts, one step of Adam, and all that keeps a long run safe.

What is random comes from one generator on the CPU, in the same order whatever the library or the
device, so that equal seeds give equal prompts everywhere.
"""

from __future__ import annotations

import csv
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import torch
from torch import Tensor, nn

from . import checkpoints, config
from .checkpoints import STATE, BadRun
from .config import Settings
from .runs import build_model, pick_device, settings_of
from .tasks import draw_from, draw_seeded, generator_of, make_pool

COLUMNS = ("step", "loss", "rate", "dims", "points")
INPUTS_SEED = 104_729  # keeps the directions of skewed inputs away from the run's own stream
SMOOTH = 0.98  # of the loss that is shown, an average that forgets
Step = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Batch:
    """Prompts of one step, padded, and the weight of each example in the loss."""

    xs: Tensor
    ys: Tensor
    weights: Tensor
    dims: int
    points: int


class Prompter:
    """Draws the prompts of each training step, as settings and curriculum say."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        training, dims = settings.training, settings.model.dims
        self.generator = generator_of(training.seed)
        directions = generator_of(training.seed + INPUTS_SEED)
        self.transformation = settings.inputs.transformation(dims, directions)
        self.pool = None
        if training.pool is not None:
            self.pool = make_pool(settings.task, training.pool, dims, training.seed)

    def draw(self, step: int) -> Batch:
        """The prompts of a step, counted from 0."""
        settings, training = self.settings, self.settings.training
        curriculum, dims = training.curriculum, settings.model.dims
        active, points = curriculum.dims.at(step), curriculum.points.at(step)
        task, stream = settings.task, self.generator
        source: Any = stream
        if training.examples is not None:
            seeds = torch.randint(0, training.examples, (training.batch,), generator=stream)
            functions = draw_seeded(task, dims, active, seeds.tolist())
            # The functions' generators have been used up to a point; the inputs' start apart.
            source = [generator_of(training.examples + seed) for seed in seeds.tolist()]
        elif self.pool is not None:
            functions = draw_from(self.pool, training.batch, stream)
        else:
            functions = task.draw(training.batch, dims, active, stream)
        xs = settings.inputs.sample(
            training.batch, points, dims, source, self.transformation, active
        )
        ys = task.observe(functions, xs, stream)
        length = curriculum.padded(points)
        weights = torch.full((length,), 1 / (training.batch * points))
        if length > points:
            weights[points:] = 0
            xs = nn.functional.pad(xs, (0, 0, 0, length - points))
            ys = nn.functional.pad(ys, (0, length - points))
        return Batch(xs, ys, weights, active, points)


def learning_rate(training: config.Training, step: int) -> float:
    """The rate of a step, counted from 0: warm-up times cosine, a function of the step alone."""
    warm = min(1.0, (step + 1) / training.warmup) if training.warmup else 1.0
    cosine = (1 + math.cos(math.pi * min(1.0, step / training.steps))) / 2
    return (
        training.learning_rate * warm * (training.final_rate + (1 - training.final_rate) * cosine)
    )


def make_step(settings: Settings, model: nn.Module, optimizer: torch.optim.Optimizer) -> Step:
    """The whole training step as one function of tensors: prompts and weights in, loss out.

    Nothing of it is read by Python, so that it can be compiled from the first product to the last
    update of a weight.
    """
    losses = settings.task.losses

    def step(xs: Tensor, ys: Tensor, weights: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = (losses(model(xs, ys), ys) * weights).sum()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return torch.compile(step) if compiles(settings.training.compile) else step


def compiles(setting: bool | str) -> bool:
    """Whether steps are compiled; "auto": where that needs no C++ compiler, as under flambeau."""
    if setting == "auto":
        return "flambeau" in torch.__version__ and hasattr(torch, "compile")
    return bool(setting)


def state_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Every tensor that a step changes, but for gradients."""
    tensors = list(model.parameters())
    for state in optimizer.state.values():
        tensors += [value for value in state.values() if isinstance(value, torch.Tensor)]
    return tensors


def rehearse(step: Step, batch: Batch, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Take a step twice and undo it, for a length that has not been seen by this process.

    A compiled function runs its first call another way, with other rounding. After a rehearsal
    every step that counts is run by the same machine code, whether the run was interrupted or not.
    """
    before = {id(tensor): tensor.detach().clone() for tensor in state_tensors(model, optimizer)}
    for _ in range(2):
        step(batch.xs, batch.ys, batch.weights)
    with torch.no_grad():
        for tensor in state_tensors(model, optimizer):
            if id(tensor) in before:
                tensor.copy_(before[id(tensor)])
            else:  # the optimizer's, made by the rehearsal: they start from zero
                tensor.zero_()


class Stop:
    """Ctrl-C and SIGTERM end training after the step at hand; a second Ctrl-C ends it at once."""

    def __init__(self) -> None:
        self.asked = False

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True

    @contextmanager
    def listening(self) -> Iterator[Stop]:
        """Handle the signals while training runs, where this is the main thread."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        try:
            old = [signal.signal(number, self._ask) for number in numbers]
        except ValueError:  # another thread: signals are not its business
            yield self
            return
        try:
            yield self
        finally:
            for number, handler in zip(numbers, old):
                signal.signal(number, handler)


class Log:
    """log.csv and TensorBoard: one line now and then, none of them twice after a resume."""

    def __init__(self, folder: Path, step: int, tensorboard: bool) -> None:
        path = folder / "log.csv"
        rows = []
        if step and path.is_file():
            with path.open(encoding="utf-8", newline="") as file:
                rows = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
        self.file = path.open("w", encoding="utf-8", newline="")
        self.writer = csv.DictWriter(self.file, COLUMNS)
        self.writer.writeheader()
        self.writer.writerows(rows)
        self.board = None
        if tensorboard:
            from tensorboardX import SummaryWriter

            self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=step or None)

    def add(self, **values: float) -> None:
        """A value for each column."""
        self.writer.writerow(values)
        if self.board is not None:
            for name in COLUMNS[1:]:
                self.board.add_scalar(f"training/{name}", values[name], values["step"])

    def flush(self) -> None:
        """Write out what is buffered."""
        self.file.flush()

    def close(self) -> None:
        """Write out and close both."""
        self.file.close()
        if self.board is not None:
            self.board.close()


class Progress:
    """A line of progress: rewritten on a terminal, printed every tenth of the way elsewhere."""

    def __init__(self, first: int, steps: int, stream: TextIO) -> None:
        self.first, self.steps, self.stream = first, steps, stream
        self.start = time.monotonic()
        self.shown = 0.0
        self.terminal = stream.isatty()

    def show(self, done: int, loss: float, batch: Batch) -> None:
        """After `done` steps in all; `loss` is relative to the zero estimator's."""
        now = time.monotonic()
        last = done == self.steps
        if self.terminal:
            if now - self.shown < 0.1 and not last:
                return
        elif done % max(1, self.steps // 10) and not last:
            return
        self.shown = now
        rate = (done - self.first) / max(now - self.start, 1e-9)
        left = (self.steps - done) / rate
        line = (
            f"step {done:,}/{self.steps:,}  loss {loss:.4f} of zero's"
            f"  {batch.dims} dims, {batch.points} points"
            f"  {rate:,.0f} steps/s  {duration(left)} left"
        )
        end = "\n" if last or not self.terminal else ""
        print(f"\r{line:<95}" if self.terminal else line, end=end, file=self.stream, flush=True)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


@dataclass(frozen=True)
class Outcome:
    """What training ended with; `losses` are those of this process, over the zero estimator's."""

    step: int
    finished: bool
    losses: list[float]


def prepare_folder(folder: Path, settings: Settings) -> dict[str, Any] | None:
    """Make or check a run's folder; the checkpoint to go on from where there is one.

    Raises:
        BadRun: the folder holds a run with other settings, or things that are not a run.
    """
    if (folder / "config.yaml").is_file():
        old = settings_of(folder)
        changed = differences(old.model_dump(mode="json"), settings.model_dump(mode="json"))
        changed = [line for line in changed if not line.startswith("evaluation.")]
        if changed:
            raise BadRun(
                f"{folder} holds a run with other settings: {'; '.join(changed)}."
                " Give the settings it has, to go on with it, or another --out"
            )
    elif folder.exists() and any(folder.iterdir()):
        raise BadRun(f"{folder} holds files, but no run: give an empty or new folder as --out")
    folder.mkdir(parents=True, exist_ok=True)
    checkpoints.write_whole(folder / "config.yaml", lambda path: config.dump(settings, path))
    state = folder / STATE
    return checkpoints.read(state) if state.is_file() else None


def differences(old: Any, new: Any, place: str = "") -> list[str]:
    """Where two trees of settings differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in {**old, **new}:
            found += differences(old.get(key), new.get(key), f"{place}.{key}".lstrip("."))
        return found
    return [] if old == new else [f"{place} is {old} there, {new} here"]


def train(
    settings: Settings,
    folder: Path,
    stream: TextIO = sys.stdout,
    stop_at: int | None = None,
    watch: Callable[[int, nn.Module], None] | None = None,
) -> Outcome:
    """Train in a folder, from its checkpoint on where it has one.

    Args:
        stream: where progress goes.
        stop_at: end after this many steps in all, as Ctrl-C would.
        watch: called with the count of steps and the model after each step.

    Raises:
        BadRun: the folder cannot be used.
        FloatingPointError: the loss is no longer finite.
    """
    training = settings.training
    saved = prepare_folder(folder, settings)
    device = pick_device(training.device)
    torch.manual_seed(training.seed)
    model = build_model(settings).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=training.learning_rate)
    prompter = Prompter(settings)
    first = 0
    smooth = weight = 0.0
    if saved is not None:
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        checkpoints.set_generator_states(saved["generators"], prompter.generator)
        first = saved["step"]
        smooth, weight = saved["average"]

    def save(done: int) -> None:
        log.flush()
        content = {
            "step": done,
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "generators": checkpoints.generator_states(prompter.generator),
            "average": [smooth, weight],
        }
        checkpoints.write(folder / STATE, content)
        if done % training.keep_every == 0:
            kept = {"step": done, "model": content["model"]}
            checkpoints.write(folder / f"model_{done}.pt", kept)

    end = training.steps if stop_at is None else min(stop_at, training.steps)
    step = make_step(settings, model, optimizer)
    losses: list[float] = []
    rehearsed: set[int] = set()
    log = Log(folder, first, training.tensorboard)
    progress = Progress(first, training.steps, stream)
    done = first
    model.train()
    try:
        with Stop().listening() as stop:
            while done < end and not stop.asked:
                batch = on_device(prompter.draw(done), device)
                rate = learning_rate(training, done)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                if len(batch.weights) not in rehearsed and compiles(training.compile):
                    rehearse(step, batch, model, optimizer)
                rehearsed.add(len(batch.weights))
                loss = float(step(batch.xs, batch.ys, batch.weights))
                done += 1
                if not math.isfinite(loss):
                    raise FloatingPointError(
                        f"the loss is {loss} after step {done}: lower training.learning_rate;"
                        f" {folder / STATE} holds the last checkpoint"
                    )
                losses.append(loss / settings.task.zero_loss(batch.dims))
                smooth = SMOOTH * smooth + (1 - SMOOTH) * losses[-1]
                weight = SMOOTH * weight + (1 - SMOOTH)
                if done % training.log_every == 0 or done == training.steps:
                    log.add(
                        step=done,
                        loss=smooth / weight,
                        rate=rate,
                        dims=batch.dims,
                        points=batch.points,
                    )
                progress.show(done, smooth / weight, batch)
                if done % training.save_every == 0 and done < end:
                    save(done)
                if watch is not None:
                    watch(done, model)
        if done > first:
            save(done)
    finally:
        log.close()
    return Outcome(done, done >= training.steps, losses)


def on_device(batch: Batch, device: torch.device) -> Batch:
    """The batch where the model is."""
    if device.type == "cpu":
        return batch
    tensors = (t.to(device, non_blocking=True) for t in (batch.xs, batch.ys, batch.weights))
    return Batch(*tensors, batch.dims, batch.points)
