"""The picture of a run: losses, the table of letter pairs, and how saturated the tanh units are."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SATURATED = 0.97  # |tanh| above which its gradient, 1 - tanh**2, is below 0.06
SHOWN = 100  # contexts in the map of saturation
MOST_LETTERS = 40  # rows of the table, so that it can be read
BLACK = 0.5  # share of a row that is drawn black


@dataclass
class Run:
    """What a run leaves to be drawn."""

    losses: list[float]  # one for each step, of its batch
    scores: list[tuple[int, float, float]]  # (step, loss on the train set, on the held-out set)
    bigram: float  # held-out loss of the counts
    letters: list[str]  # the first is the end of a name
    counts: Any  # tensor (letters, letters): how often column follows row
    before: Any  # tensor (contexts, hidden): activations at the start
    after: Any  # the same when the training stopped


def can_draw() -> bool:
    """Whether matplotlib is there, without the time of importing it."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(run: Run, path: Path) -> None:
    """Write the picture as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 11), layout="constrained")
    grid = figure.add_gridspec(2, 1, height_ratios=[1.5, 1])
    upper = grid[0].subgridspec(1, 2, width_ratios=[1, 1])
    lower = grid[1].subgridspec(1, 3, width_ratios=[1, 1, 1])
    _loss_curve(figure.add_subplot(upper[0]), run)
    _bigram_table(figure.add_subplot(upper[1]), run)
    _saturation(figure.add_subplot(lower[0]), run.before, "at the start")
    _saturation(figure.add_subplot(lower[1]), run.after, f"after {len(run.losses):,} steps")
    _histogram(figure.add_subplot(lower[2]), run)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a script that the font has not
        figure.savefig(path, dpi=100, format="png")


def _loss_curve(axes: Any, run: Run) -> None:
    window = max(1, len(run.losses) // 100)
    means = [
        sum(run.losses[i : i + window]) / window
        for i in range(0, len(run.losses) - window + 1, window)
    ]
    middles = [window * (i + 0.5) for i in range(len(means))]
    each = f"mean of {window:,} batches" if window > 1 else "one batch"
    axes.plot(middles, means, color="0.7", linewidth=1, label=f"train, {each}")
    steps, train, held_out = zip(*run.scores, strict=True)
    axes.plot(steps, train, "k--", marker="o", markerfacecolor="white", label="train, all names")
    axes.plot(steps, held_out, "k-", marker="s", label="held-out names")
    axes.axhline(run.bigram, color="0.3", linestyle=":", linewidth=2)
    last = max(steps[-1], 1)
    axes.annotate(
        f"bigram counts, held out: {run.bigram:.3f}",
        (last, run.bigram),
        (0, 5),
        textcoords="offset points",
        horizontalalignment="right",
    )
    axes.annotate(
        f"{held_out[-1]:.3f}", (steps[-1], held_out[-1]), (6, -3), textcoords="offset points"
    )
    axes.set(title="Loss", xlabel="step", ylabel="cross entropy (nats per letter)")
    axes.set_xlim(0, last * 1.08)
    axes.xaxis.set_major_formatter(lambda step, _: f"{step:,.0f}")
    axes.legend(frameon=False)
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)


def _bigram_table(axes: Any, run: Run) -> None:
    counts = run.counts.numpy()
    letters = [letter if letter != " " else "␣" for letter in run.letters]
    title = "Letter pairs: how often the column follows the row\n('.' begins and ends a name)"
    if len(letters) > MOST_LETTERS:
        kept = sorted(counts.sum(1).argsort()[::-1][:MOST_LETTERS])
        counts, letters = counts[kept][:, kept], [letters[i] for i in kept]
        title += f"; the {MOST_LETTERS} most frequent"
    share = counts / counts.sum(1, keepdims=True).clip(1)
    axes.imshow(share, cmap="Greys", vmin=0, vmax=BLACK)
    for row, column in zip(*counts.nonzero(), strict=True):
        axes.text(
            column,
            row,
            _short(int(counts[row, column])),
            color="white" if share[row, column] > 0.6 * BLACK else "black",
            fontsize=min(6, 160 / len(letters)),
            horizontalalignment="center",
            verticalalignment="center",
        )
    axes.set_xticks(range(len(letters)), letters)
    axes.set_yticks(range(len(letters)), letters)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.set_xlabel(f"shade: share of the row, from none (white) to {BLACK:.0%} and more (black)")
    axes.set_title(title)


def _short(count: int) -> str:
    return str(count) if count < 1000 else f"{count / 1000:.1f}k"


def _saturation(axes: Any, activations: Any, when: str) -> None:
    saturated = (activations.abs() > SATURATED).numpy()
    axes.imshow(
        saturated[:SHOWN], cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="nearest"
    )
    dead = int(saturated.all(0).sum())
    axes.set_title(
        f"Saturated (black) {when}: {saturated.mean():.0%};\n"
        f"units that are so for every context: {dead} of {saturated.shape[1]}"
    )
    axes.set(xlabel="hidden unit", ylabel="context")


def _histogram(axes: Any, run: Run) -> None:
    bins = [i / 25 - 1 for i in range(51)]
    for activations, when, style in (
        (run.before, "at the start", {"color": "0.8", "fill": True}),
        (run.after, f"after {len(run.losses):,} steps", {"color": "black", "linewidth": 1.5}),
    ):
        values = activations.flatten().numpy()
        kind = "stepfilled" if style.pop("fill", False) else "step"
        axes.hist(
            values,
            bins,
            weights=[100 / len(values)] * len(values),
            histtype=kind,
            label=when,
            **style,
        )
    for edge in (-SATURATED, SATURATED):
        axes.axvline(edge, color="0.3", linestyle=":")
    axes.set(
        title=f"Activations of the hidden layer\n(dotted: |tanh| = {SATURATED})",
        xlabel="tanh",
        ylabel="% of activations",
        xlim=(-1, 1),
    )
    axes.legend(frameon=False, loc="upper center")
    axes.spines[["top", "right"]].set_visible(False)
