"""Figures: errors, extrapolation, scales, training, attention, and the function that is learned.

Every curve has a line style and a marker of its own besides its colour, so that a print in black
and white can be read. Each figure is written as PNG and as SVG.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from torch import Tensor

from .checkpoints import write_whole
from .config import Settings
from .evaluation import Curve, Curves, Results, predict, shown_for
from .learners import least_squares
from .prompts import KINDS, Prompts, draw_prompts
from .runs import Run

STYLES: dict[str, dict[str, Any]] = {
    "transformer": {"color": "black", "linestyle": "-", "marker": "o", "linewidth": 1.8},
    "least_squares": {"color": "#0072B2", "linestyle": "--", "marker": "s"},
    "bayes": {"color": "#009E73", "linestyle": "-.", "marker": "^"},
    "ridge": {"color": "#56B4E9", "linestyle": (0, (5, 1)), "marker": "D"},
    "knn": {"color": "#D55E00", "linestyle": ":", "marker": "v"},
    "averaging": {"color": "#999999", "linestyle": (0, (3, 1, 1, 1)), "marker": "x"},
    "lasso": {"color": "#CC79A7", "linestyle": (0, (1, 1)), "marker": "*"},
    "tree": {"color": "#B8860B", "linestyle": (0, (6, 2, 1, 2)), "marker": "P"},
    "full_tree": {"color": "#E0B040", "linestyle": (0, (8, 2)), "marker": "<"},
    "xgboost": {"color": "#7B3294", "linestyle": (0, (4, 1, 1, 1, 1, 1)), "marker": "h"},
    "network": {"color": "#008080", "linestyle": (0, (2, 1)), "marker": ">"},
}
# Runs that are compared with each other: one after the other.
ORDER = ("transformer", "knn", "least_squares", "averaging", "bayes", "lasso", "network", "tree")
MARKERS = 9  # on a curve, so that they stay apart
MANY = 101  # prompts of which a typical one is taken
TOP = 1.3  # of the errors' axis: little above the zero estimator's 1
PANEL = (3.1, 2.5)  # inches
EXTRAPOLATION = [name for name in KINDS if name != "standard" and not name.startswith("scale")]
SCALING = [name for name in KINDS if name.startswith("scale")]
SETTINGS = {
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "in-context",  # the same figure, the same file
    "legend.frameon": False,
}


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure as PNG and SVG, whole or not at all."""
    paths = []
    for kind in ("png", "svg"):
        path = stem.with_name(f"{stem.name}.{kind}")
        metadata = {"Date": None} if kind == "svg" else None
        with matplotlib.rc_context(SETTINGS):
            write_whole(path, partial(figure.savefig, dpi=140, metadata=metadata))
        figure.set_layout_engine("none")  # the first drawing has found every place
        paths.append(path)
    return paths


def panels(rows: int, columns: int, size: tuple[float, float] = PANEL) -> tuple[Figure, list[Any]]:
    """A figure of rows x columns axes, in a flat list."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure((size[0] * columns, size[1] * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.flat)


def style_of(learner: str) -> dict[str, Any]:
    """A learner's line, by its name without the number in brackets."""
    return STYLES[learner.partition("(")[0]]


def draw_curve(axes: Any, xs: Sequence[float], curve: Curve, style: Mapping[str, Any]) -> None:
    """A mean with markers and its band."""
    every = max(1, len(xs) // MARKERS)
    line = {"linewidth": 1.3, "markersize": 4, "markevery": every, **style}
    axes.plot(xs, curve.mean, label=curve.title, **line)
    axes.fill_between(xs, curve.low, curve.high, color=style["color"], alpha=0.18, linewidth=0)


def draw_curves(axes: Any, curves: Curves, names: Iterable[str]) -> None:
    """Errors against the number of examples, and the zero estimator's."""
    names = [name for name in names if name in curves]
    for name in names:
        curve = curves[name]
        draw_curve(axes, range(len(curve.mean)), curve, style_of(name))
    zero_line(axes)
    length = max((len(curves[name].mean) for name in names), default=2)
    examples_axis(axes, length)


def zero_line(axes: Any) -> None:
    """What always saying 0 costs."""
    axes.axhline(1, color="0.6", linewidth=0.8, label="always saying 0")


def examples_axis(axes: Any, length: int) -> None:
    """Numbers of examples from 0 to length - 1, and errors up to a little above the zero's."""
    axes.set_xlim(-0.02 * length, max(1, length - 1) + 0.02 * length)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_ylim(0, TOP)
    axes.set_xlabel("in-context examples")


def error_label(settings: Settings) -> str:
    """What the errors' axis shows."""
    wrong = settings.task.name == "linear_classification"
    return "share of wrong signs" if wrong else "squared error / zero's"


def errors(settings: Settings, results: Results) -> Figure:
    """The paper's first plot: error against in-context examples on standard prompts."""
    figure, (axes,) = panels(1, 1, (6.4, 3.6))
    curves = results["standard"]
    draw_curves(axes, curves, shown_for(settings.task, list(curves)))
    axes.set_ylabel(error_label(settings))
    axes.set_title(f"{settings.task.name.replace('_', ' ')}, {settings.model.dims} dimensions")
    legend_beside(figure, axes)
    return figure


def legend_beside(figure: Figure, axes: Any) -> None:
    """One legend to the right of all axes."""
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles))
    figure.legend(once.values(), once.keys(), loc="outside right upper", handlelength=4)


def kinds(settings: Settings, results: Results, names: Sequence[str], columns: int) -> Figure:
    """A panel for each kind of prompt among `names` that has results."""
    names = [name for name in names if name in results]
    rows = -(-len(names) // columns)
    figure, axes = panels(rows, columns)
    for name, one in zip(names, axes):
        draw_curves(one, results[name], shown_for(settings.task, list(results[name])))
        one.set_title(KINDS[name].title, fontsize=9)
    for one in axes[len(names) :]:
        one.axis("off")
    for one in axes[::columns]:
        one.set_ylabel(error_label(settings))
    legend_beside(figure, axes[0])
    return figure


def training(log: Mapping[str, Sequence[float]]) -> Figure:
    """The training loss over the zero estimator's, and where the curriculum moved on."""
    figure, (axes,) = panels(1, 1, (6.4, 3.2))
    axes.plot(log["step"], log["loss"], color="black", linewidth=1.2, label="running mean")
    zero_line(axes)
    moved = [
        step
        for i, step in enumerate(log["step"])
        if i and (log["dims"][i], log["points"][i]) != (log["dims"][i - 1], log["points"][i - 1])
    ]
    for i, step in enumerate(moved):
        label = "curriculum moves on" if i == 0 else None
        axes.axvline(step, color="0.45", linewidth=0.8, linestyle=":", label=label)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 7)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("training steps")
    axes.set_ylabel("loss / zero's")
    axes.set_title("training")
    legend_beside(figure, axes)
    return figure


def standard_prompts(settings: Settings, count: int, points: int) -> Prompts:
    """Prompts as in training."""
    size = (count, points, settings.model.dims)
    return draw_prompts("standard", settings.task, settings.inputs, size, settings.evaluation.seed)


def typical_prompt(run: Run) -> Prompts:
    """Of many prompts the one with the median error at the last question: neither a lucky one nor
    one that the transformer finds hard."""
    prompts = standard_prompts(run.settings, MANY, run.settings.points)
    errors = (predict(run.model, prompts, MANY) - prompts.targets)[:, -1].abs()
    place = int(errors.argsort()[MANY // 2])
    return prompts.some(slice(place, place + 1))


def attention(run: Run, points: int = 8) -> Figure:
    """Who looks at whom, for each layer and head, on one prompt of a few examples."""
    points = min(points, run.model.points)
    prompts = standard_prompts(run.settings, 1, points)
    device = next(run.model.parameters()).device
    with torch.no_grad():
        maps = run.model.attention(prompts.xs.to(device), prompts.ys.to(device))
    heads = run.settings.model.heads
    figure, axes = panels(len(maps), heads, (2.3, 2.2) if heads < 6 else (1.4, 1.4))
    for place, one in enumerate(axes):
        layer, head = divmod(place, heads)
        image = one.imshow(maps[layer][0, head].cpu().numpy(), cmap="Greys", vmin=0, vmax=1)
        one.set_title(f"layer {layer + 1}, head {head + 1}", fontsize=8)
        one.grid(False)
        ticks = range(0, 2 * points, max(2, points // 2 * 2 // 4))
        labels = [f"{'xy'[t % 2]}{t // 2 + 1}" for t in ticks]
        one.set_xticks(list(ticks), labels if layer == len(maps) - 1 else [], fontsize=7)
        one.set_yticks(list(ticks), labels if head == 0 else [], fontsize=7)
    figure.colorbar(image, ax=axes, shrink=0.5, label="weight (each row sums to 1)")
    figure.suptitle("who looks at whom, on one prompt x1, y1, x2, y2, ...", fontsize=10)
    figure.supxlabel("token that is looked at", fontsize=9)
    figure.supylabel("token that looks", fontsize=9)
    return figure


def along_line(run: Run, examples: int, ts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Predictions for x = t u after some examples: the transformer's and least squares'.

    The examples are those of a typical prompt; u points to its last one, which is not among those
    shown, and has length sqrt(dims), so that t = 1 is about as far out as an example is. The third
    tensor is the projection of the shown examples onto u, in t: where on the line there was
    something to see.
    """
    prompts = typical_prompt(run)
    dims = run.settings.model.dims
    xs, ys = prompts.xs[0, :examples], prompts.ys[0, :examples]
    u = prompts.xs[0, -1] / prompts.xs[0, -1].norm() * dims**0.5
    count = len(ts)
    queries = ts.unsqueeze(1) * u
    shown = xs.expand(count, -1, -1)
    values = ys.expand(count, -1)
    sequence = torch.cat((shown, queries.unsqueeze(1)), dim=1)
    padded = torch.cat((values, torch.zeros(count, 1)), dim=1)
    device = next(run.model.parameters()).device
    with torch.no_grad():
        predicted = run.model(sequence.to(device), padded.to(device))[:, -1].cpu()
    exact = least_squares(shown.double(), values.double(), queries.double())
    return predicted, exact, xs @ u / dims


def learned_function(run: Run) -> Figure:
    """The function in the transformer after few, just enough and many examples, along a line."""
    dims, last = run.settings.model.dims, run.settings.points - 1
    counts = sorted({min(last, max(1, n)) for n in (dims // 2, dims, 2 * dims)})
    ts = torch.linspace(-3, 3, 121)
    figure, axes = panels(1, len(counts), (3.1, 2.8))
    for count, one in zip(counts, axes):
        predicted, exact, shown = along_line(run, count, ts)
        line = {"markersize": 4, "markevery": 12, "linewidth": 1.4}
        one.plot(ts, predicted, label="transformer", **{**line, **STYLES["transformer"]})
        one.plot(ts, exact, label="least squares", **{**line, **STYLES["least_squares"]})
        bottom = one.get_ylim()[0]
        one.plot(shown, torch.full_like(shown, bottom), "k|", label="examples, projected")
        one.set_title(f"after {count} example{'s' if count > 1 else ''}", fontsize=9)
        one.set_xlabel("t: the question is x = t u")
    axes[0].set_ylabel("predicted y")
    legend_beside(figure, axes[0])
    return figure


def comparison(curves: Mapping[str, Curve], references: Curves, label: str) -> Figure:
    """The transformers of several runs, and the other learners, on standard prompts."""
    figure, (axes,) = panels(1, 1, (6.4, 3.6))
    for place, (name, curve) in enumerate(curves.items()):
        style = STYLES[ORDER[place % len(ORDER)]]
        titled = Curve(name, curve.mean, curve.low, curve.high)
        draw_curve(axes, range(len(curve.mean)), titled, style)
    for name, curve in references.items():
        grey = {**style_of(name), "color": "0.5", "linewidth": 0.9}
        draw_curve(axes, range(len(curve.mean)), curve, grey)
    zero_line(axes)
    examples_axis(axes, max(len(curve.mean) for curve in curves.values()))
    axes.set_ylabel(label)
    legend_beside(figure, axes)
    return figure


def draw_all(
    settings: Settings,
    results: Results,
    folder: Path,
    run: Run | None = None,
    log: Mapping[str, Sequence[float]] | None = None,
) -> list[Path]:
    """Every figure that the results, the run and its log allow; the files that were written."""
    written = []
    if "standard" in results:
        written += save(errors(settings, results), folder / "errors")
    if any(name in results for name in EXTRAPOLATION):
        written += save(kinds(settings, results, EXTRAPOLATION, 4), folder / "extrapolation")
    if any(name in results for name in SCALING):
        written += save(kinds(settings, results, SCALING, 4), folder / "scales")
    if log and log["step"]:
        written += save(training(log), folder / "training")
    if run is not None:
        written += save(attention(run), folder / "attention")
        written += save(learned_function(run), folder / "learned_function")
    return written
