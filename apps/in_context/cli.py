"""The command line: train, eval, plot, compare, play."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from . import config, figures, play
from .checkpoints import BadRun
from .config import Settings
from .evaluation import TRANSFORMER, Results, evaluate, shown_for
from .runs import Run, load_run, read_log, settings_of
from .training import train

RUNS = Path("runs")
INTERRUPTED = 130  # a shell's status for a program that Ctrl-C ended


def parser() -> argparse.ArgumentParser:
    """The command line's arguments."""
    top = argparse.ArgumentParser(
        prog="in_context", description="Train transformers to learn in context, and see what of it."
    )
    commands = top.add_subparsers(dest="command", required=True)

    one = commands.add_parser("train", help="train, evaluate and draw; goes on where it stopped")
    one.add_argument("settings", help="quick, linear_regression ... or a YAML file")
    one.add_argument("--out", type=Path, help="the run's folder (default: runs/SETTINGS)")
    add_set(one)
    one.add_argument("--no-figures", action="store_true", help="train only")
    one.set_defaults(work=run_train)

    one = commands.add_parser("eval", help="errors per number of examples, as a table")
    add_target(one)
    add_set(one)
    one.set_defaults(work=run_eval)

    one = commands.add_parser("plot", help="every figure, as PNG and SVG")
    add_target(one)
    add_set(one)
    one.add_argument("--out", type=Path, help="folder (default: figures/ in the run)")
    one.set_defaults(work=run_plot)

    one = commands.add_parser("compare", help="several runs in one figure and table")
    one.add_argument("runs", type=Path, nargs="+", help="folders of runs")
    one.add_argument("--learners", help="others beside them, separated by commas")
    one.add_argument("--out", type=Path, default=RUNS / "comparison", help="the figure's name")
    one.set_defaults(work=run_compare)

    one = commands.add_parser("play", help="vary one thing; see where least squares is left")
    one.add_argument("run", type=Path, help="the folder of a run")
    one.add_argument("--step", type=int, help="a kept checkpoint (default: the last)")
    one.add_argument("--vary", nargs="+", choices=play.VARIED, default=list(play.VARIED))
    one.add_argument("--values", help="of the one thing varied, separated by commas")
    one.add_argument("--examples", type=int, help="in each prompt (default: twice the dimensions)")
    one.add_argument("--count", type=int, default=play.COUNT, help="prompts for each value")
    one.add_argument("--tolerance", type=float, default=play.TOLERANCE, help="default: 0.1")
    one.add_argument("--nonlinearity", choices=list(play.OTHERS), default="quadratic")
    one.add_argument("--out", type=Path, help="the figure's name (default: figures/play in it)")
    one.set_defaults(work=run_play)
    return top


def add_set(one: argparse.ArgumentParser) -> None:
    """--set, as every command that reads settings has it."""
    one.add_argument(
        "--set",
        dest="changes",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="change a setting, as in training.steps=1000; may be repeated",
    )


def add_target(one: argparse.ArgumentParser) -> None:
    """A run, or settings whose learners are judged without a transformer."""
    one.add_argument("target", help="a run's folder; or settings, for the other learners alone")
    one.add_argument("--step", type=int, help="a kept checkpoint (default: the last)")
    one.add_argument("--prompts", help="kinds of prompt, separated by commas")
    one.add_argument("--learners", help="learners, separated by commas, as in knn(3),averaging")


def split(names: str | None) -> list[str] | None:
    """Names separated by commas."""
    return None if names is None else [name.strip() for name in names.split(",") if name.strip()]


def subject(target: str, step: int | None, changes: Sequence[str]) -> tuple[Settings, Run | None]:
    """The settings and the run that a command is about; only evaluation may be changed in a run."""
    folder = Path(target)
    if not folder.is_dir():
        return config.load(target, changes), None
    run = load_run(folder, step)
    wrong = [change for change in changes if not change.startswith("evaluation.")]
    if wrong:
        raise BadRun(f"of a run that is trained only evaluation... can be set, not {wrong[0]}")
    if not changes:
        return run.settings, run
    values = run.settings.model_dump(mode="json")
    for change in changes:
        values = config.merge(values, config.parse_change(change))
    settings = config.validate(values, target)
    return settings, Run(run.folder, settings, run.model, run.step)


def run_train(options: argparse.Namespace) -> int:
    """Train; then evaluate and draw."""
    settings = config.load(options.settings, options.changes)
    folder = options.out or RUNS / Path(options.settings).stem
    outcome = train(settings, folder)
    if not outcome.finished:
        again = ["train", options.settings, "--out", str(folder)]
        for change in options.changes:
            again += ["--set", change]
        print(f"\nstopped after step {outcome.step:,}; all is saved. Go on with the same command:")
        program = "flambeau run" if "flambeau" in torch.__version__ else "python"
        print(f"  {program} -m apps.in_context {shlex.join(again)}")
        return INTERRUPTED
    if not options.no_figures:
        draw(settings_of(folder), load_run(folder), folder / "figures")
    return 0


def draw(settings: Settings, run: Run | None, folder: Path, results: Results | None = None) -> None:
    """Evaluate, if that has not been done, and draw everything."""
    results = evaluate(settings, run) if results is None else results
    log = read_log(run.folder) if run is not None else None
    for path in figures.draw_all(settings, results, folder, run, log):
        if path.suffix == ".png":
            print(f"{path} (and .svg)")


def run_eval(options: argparse.Namespace) -> int:
    """Print a table for each kind of prompt."""
    settings, run = subject(options.target, options.step, options.changes)
    results = evaluate(
        settings, run, split(options.prompts), split(options.learners), report=lambda line: None
    )
    for kind, curves in results.items():
        print_table(f"{kind}: error over the zero estimator's", curves)
    return 0


def print_table(title: str, curves: dict[str, figures.Curve]) -> None:
    """Learners in rows, numbers of examples in columns."""
    length = max(len(curve.mean) for curve in curves.values())
    marks = sorted({round(i * (length - 1) / 8) for i in range(9)})
    print(f"\n{title}\n{'examples':<30}" + "".join(f"{mark:>8}" for mark in marks))
    for curve in curves.values():
        cells = (f"{curve.mean[m]:8.3f}" if m < len(curve.mean) else " " * 8 for m in marks)
        print(f"{curve.title:<30}" + "".join(cells))


def run_plot(options: argparse.Namespace) -> int:
    """Draw every figure."""
    settings, run = subject(options.target, options.step, options.changes)
    results = evaluate(settings, run, split(options.prompts), split(options.learners))
    folder = options.out or (run.folder if run else RUNS / Path(options.target).stem) / "figures"
    draw(settings, run, folder, results)
    return 0


def run_compare(options: argparse.Namespace) -> int:
    """Several runs' transformers on their standard prompts."""
    curves, references = {}, {}
    for folder in options.runs:
        run = load_run(folder)
        found = evaluate(
            run.settings, run, ["standard"], split(options.learners), report=lambda line: None
        )["standard"]
        curves[run.name if run.name not in curves else str(folder)] = found.pop(TRANSFORMER)
        shown = shown_for(run.settings.task, list(found))
        if not references:
            references = {name: found[name] for name in shown}
            first = run.settings
        elif run.settings.task != first.task or run.settings.model.dims != first.model.dims:
            print(
                f"note: {run.name} learned another task; the grey learners are those of the first"
            )
    figure = figures.comparison(curves, references, figures.error_label(first))
    rows = {name: figures.Curve(name, c.mean, c.low, c.high) for name, c in curves.items()}
    print_table("error over the zero estimator's, standard prompts", {**rows, **references})
    for path in figures.save(figure, options.out):
        print(path)
    return 0


def run_play(options: argparse.Namespace) -> int:
    """Vary one thing at a time and draw where the transformer leaves least squares."""
    values = None
    if options.values is not None:
        if len(options.vary) != 1:
            raise ValueError("--values are of one thing: name it with --vary")
        try:
            values = [float(value) for value in split(options.values)]
        except ValueError:
            raise ValueError(f"--values takes numbers, not {options.values}") from None
    if options.count < 2:
        raise ValueError("--count must be at least 2")
    run = load_run(options.run, options.step)
    played = []
    for what in options.vary:
        one = play.vary(
            run,
            what,
            values,
            options.examples,
            options.count,
            options.tolerance,
            options.nonlinearity,
        )
        print(one.describe())
        played.append(one)
    stem = options.out or run.folder / "figures" / "play"
    for path in figures.save(play.draw(played, options.tolerance), stem):
        print(path)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; what a user can mend ends it with one line and status 2."""
    options = parser().parse_args(arguments)
    try:
        return options.work(options)
    except (config.BadSettings, BadRun, ValueError, FloatingPointError, ImportError) as error:
        if isinstance(error, ValueError) and not str(error):
            raise
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return INTERRUPTED
