"""Where a transformer stops following least squares, as one thing at a time moves away from what
it was trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor

from . import figures
from .config import Settings
from .evaluation import Curve, curve, predict
from .learners import by_prefix, least_squares
from .prompts import Kind, Prompts, arrange_prompts
from .runs import Run
from .tasks import (
    Functions,
    LinearClassification,
    LinearRegression,
    QuadraticRegression,
    ReluNetwork,
    Task,
)

COUNT = 256  # prompts for each value
TOLERANCE = 0.1  # of the zero estimator's error: nearer is called following
OTHERS: dict[str, Task] = {"quadratic": QuadraticRegression(), "relu": ReluNetwork()}


class Blend(Task):
    """(1 - weight) f + weight g, f linear and g not, scaled so that its variance stays f's."""

    name: Literal["blend"] = "blend"
    linear: LinearRegression
    other: QuadraticRegression | ReluNetwork
    weight: float

    def draw(self, batch: int, dims: int, active: int, generator: torch.Generator) -> Functions:
        """Both parts' tensors, under "f" and "g" and their own names."""
        parts = {"f": self.linear, "g": self.other}
        return {
            f"{part} {name}": value
            for part, task in parts.items()
            for name, value in task.draw(batch, dims, active, generator).items()
        }

    def _part(self, task: Task, part: str, functions: Functions, xs: Tensor) -> Tensor:
        own = {name[2:]: value for name, value in functions.items() if name[0] == part}
        return task.values(own, xs)

    def values(self, functions: Functions, xs: Tensor) -> Tensor:
        """The blend at xs."""
        f = self._part(self.linear, "f", functions, xs)
        g = self._part(self.other, "g", functions, xs)
        dims = xs.shape[2]
        g = g * (self.linear.variance(dims) / self.other.variance(dims)) ** 0.5
        norm = ((1 - self.weight) ** 2 + self.weight**2) ** 0.5
        return ((1 - self.weight) * f + self.weight * g) / norm

    def variance(self, dims: int) -> float:
        """That of the linear part."""
        return self.linear.variance(dims)


@dataclass(frozen=True)
class Played:
    """What came of varying one thing.

    `home` is the value of training; `left` the first value away from it, in either direction, at
    which the transformer no longer follows least squares, or None; `lost` whether it does not even
    at home.
    """

    what: str
    values: list[float]
    home: float
    transformer: Curve
    exact: Curve
    distance: Curve
    left: dict[str, float | None]
    lost: bool

    def describe(self) -> str:
        """In a sentence."""
        found = [
            f"{'below' if way == 'down' else 'above'} it at {value:g}"
            for way, value in self.left.items()
            if value is not None
        ]
        start = f"{self.what}: trained at {self.home:g}; "
        if self.lost:
            return start + "does not follow least squares even there"
        if not found:
            return start + f"follows least squares from {self.values[0]:g} to {self.values[-1]:g}"
        return start + f"stops following least squares {' and '.join(found)}"


def examples_of(settings: Settings) -> int:
    """The number of examples where nothing else is said: twice the dimensions, if it has them."""
    return min(2 * settings.model.dims, settings.points - 1)


def default_values(what: str, settings: Settings, model_points: int) -> list[float]:
    """Values worth trying, training's own among them."""
    dims = settings.model.dims
    if what == "dimension":
        return [float(n) for n in sorted({round(dims * i / 10) for i in range(1, 11)} - {0})]
    if what == "examples":
        return [float(n) for n in range(model_points)]
    if what == "noise":
        return [0.0, 0.1, 0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0]
    if what == "scale":
        return [0.1, 0.2, 1 / 3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0]
    return [i / 10 for i in range(11)]


def home_of(what: str, settings: Settings) -> float:
    """The value that training had."""
    if what == "dimension":
        return float(settings.model.dims)
    if what == "examples":
        return float(settings.training.curriculum.points.end - 1)
    return {"noise": 0.0, "scale": 1.0, "nonlinearity": 0.0}[what]


VARIED = ("dimension", "noise", "scale", "examples", "nonlinearity")


def check(what: str, values: Sequence[float], settings: Settings, points: int) -> None:
    """Refuse what cannot be varied so.

    Raises:
        ValueError: which value, and what is allowed.
    """
    whole = what in ("dimension", "examples")
    top = {"dimension": settings.model.dims, "examples": points - 1, "nonlinearity": 1}.get(what)
    low = 1 if what == "dimension" else 0
    for value in values:
        too_large = top is not None and value > top
        if (
            not value >= low
            or too_large
            or (whole and value % 1)
            or (what == "scale" and not value)
        ):
            span = f"from {low}" + (f" to {top}" if top is not None else " on")
            kind = "whole numbers" if whole else "numbers"
            raise ValueError(f"{what} takes {kind} {span}, not {value:g}")
    linear = isinstance(settings.task, LinearRegression) and settings.task.degree == 1
    if not linear or isinstance(settings.task, LinearClassification):
        raise ValueError(
            f"play holds a transformer against least squares, which fits linear functions; this"
            f" run learned {settings.task.name}"
        )


def prompts_for(
    what: str, value: float, settings: Settings, points: int, count: int, other: str
) -> Prompts:
    """Prompts with one thing changed; everything else is drawn alike, whatever the value."""
    dims = settings.model.dims
    kind = Kind(
        "",
        x_scale=value if what == "scale" else 1.0,
        noise=value if what == "noise" else 0.0,
    )
    task: Task = settings.task
    if what == "nonlinearity":
        task = Blend(linear=settings.task, other=OTHERS[other], weight=value)
    active = int(value) if what == "dimension" else None
    size = (count, points, dims)
    return arrange_prompts(kind, task, settings.inputs, size, settings.evaluation.seed, active)


def vary(
    run: Run,
    what: str,
    values: Sequence[float] | None = None,
    examples: int | None = None,
    count: int = COUNT,
    tolerance: float = TOLERANCE,
    other: str = "quadratic",
) -> Played:
    """Hold the run's transformer against least squares while one thing varies.

    Args:
        what: one of `VARIED`.
        values: of it, in rising order; a sensible range where None.
        examples: in each prompt, before the question; twice the dimensions where None.
        count: prompts for each value.
        tolerance: how far, in mean squared distance over the zero estimator's error, the two
            predictions may be apart before the transformer no longer follows.
        other: what is mixed in as nonlinearity, "quadratic" or "relu".

    Raises:
        ValueError: a value or a task that cannot be varied so.
    """
    settings, room = run.settings, run.model.points
    values = sorted(values) if values else default_values(what, settings, room)
    check(what, values, settings, room)
    shown = examples_of(settings) if examples is None else examples
    if not 0 <= shown < room:
        raise ValueError(f"examples must be from 0 to {room - 1}, the model's last, not {shown}")
    exact = by_prefix(least_squares)
    columns: dict[str, list[Tensor]] = {"transformer": [], "exact": [], "distance": []}

    def measure(prompts: Prompts, places: Sequence[int]) -> None:
        ours = predict(run.model, prompts, settings.evaluation.batch)
        theirs = exact(prompts)
        targets = prompts.targets.double()
        for place in places:
            for name, apart in (
                ("transformer", ours - targets),
                ("exact", theirs - targets),
                ("distance", ours - theirs),
            ):
                columns[name].append(apart[:, place].square() / prompts.zero_error)

    if what == "examples":
        prompts = prompts_for(what, 0, settings, int(values[-1]) + 1, count, other)
        measure(prompts, [int(value) for value in values])
    else:
        for value in values:
            measure(prompts_for(what, value, settings, shown + 1, count, other), [shown])

    def banded(name: str, title: str) -> Curve:
        evaluation = settings.evaluation
        table = torch.stack(columns[name], dim=1).numpy()
        return curve(title, table, evaluation.trials, evaluation.band, evaluation.seed)

    distance = banded("distance", "between the two")
    home = home_of(what, settings)
    left = where_left(values, home, distance.low, tolerance)
    return Played(
        what,
        list(values),
        home,
        banded("transformer", "transformer"),
        banded("exact", "least squares"),
        distance,
        {way: left[way] for way in ("down", "up")},
        left["home"] is not None,
    )


def where_left(
    values: Sequence[float], home: float, low: Sequence[float], tolerance: float
) -> dict[str, float | None]:
    """The first value below and above home at which even the band's lower end is too far, and
    home itself where it is."""
    far = [value for value, bound in zip(values, low) if bound > tolerance]
    return {
        "down": max((value for value in far if value < home), default=None),
        "up": min((value for value in far if value > home), default=None),
        "home": next((value for value in far if value == home), None),
    }


LABELS = {
    "dimension": "dimensions of x that are not zero",
    "noise": "standard deviation of label noise",
    "scale": "x multiplied by",
    "examples": "in-context examples",
    "nonlinearity": "weight of the nonlinear part",
}
DISTANCE = {"color": "#D55E00", "linestyle": ":", "marker": "v"}


def draw(played: Sequence[Played], tolerance: float) -> Figure:
    """A panel for each thing that was varied, with the places where the transformer left."""
    columns = min(3, len(played))
    size = (6.4, 3.6) if columns == 1 else (3.4, 2.8)  # with room for the legend
    figure, axes = figures.panels(-(-len(played) // columns), columns, size)
    pick: Callable[[str], dict] = figures.STYLES.__getitem__
    for one, panel in zip(played, axes):
        figures.draw_curve(panel, one.values, one.transformer, pick("transformer"))
        figures.draw_curve(panel, one.values, one.exact, pick("least_squares"))
        figures.draw_curve(panel, one.values, one.distance, DISTANCE)
        panel.axhline(tolerance, color="0.6", linewidth=0.8, label="no longer following")
        panel.axvline(one.home, color="0.6", linewidth=0.8, linestyle="--", label="as trained")
        for place, bound in enumerate(one.distance.low):
            if bound > tolerance:
                grey = {"color": "0.9", "linewidth": 0, "zorder": 0}
                panel.axvspan(*around(one.values, place), **grey, label="has left least squares")
        if one.what == "scale":
            panel.set_xscale("log")
        panel.set_ylim(0, figures.TOP)
        panel.set_xlabel(LABELS[one.what])
    for panel in axes[len(played) :]:
        panel.axis("off")
    for panel in axes[::columns]:
        panel.set_ylabel("squared error / zero's")
    figures.legend_beside(figure, axes[0])
    return figure


def around(values: Sequence[float], place: int) -> tuple[float, float]:
    """From half-way to the value before to half-way to the one after."""
    value = values[place]
    before, after = values[max(0, place - 1)], values[min(len(values) - 1, place + 1)]
    return (before + value) / 2, (value + after) / 2
