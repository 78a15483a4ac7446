"""Settings: YAML files that inherit from each other, checked by pydantic.

    inherit: [base.yaml, models/tiny.yaml]     # later ones win, this file wins over all
    training: {steps: 8000}

A file is looked for beside the one that names it, then among the app's own `configs/`. Every
section refuses keys that it does not know, and values of the wrong type, with the place and, for
a mistyped key, the one that was probably meant.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .inputs import Gaussian
from .tasks import AnyTask, LinearRegression

CONFIGS = Path(__file__).parent / "configs"
Value = Any  # what YAML can hold


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader, to which 1e-4 is a number, too, as it has been since YAML 1.2."""


Loader.yaml_implicit_resolvers = {
    first: list(resolvers) for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+"), list("-+0123456789")
)


class BadSettings(ValueError):
    """Settings that cannot be used; the message says which, where and why."""


class Section(BaseModel):
    """A part of the settings: unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Model(Section):
    """The transformer: numbers in an x, longest prompt in examples, and the blocks' sizes.

    `std` is that of the initial weights. GPT-2's 0.02 suits a width of 768; a narrow model that
    is to learn in a few thousand steps starts better from more.
    """

    dims: int = Field(20, ge=1)
    points: int = Field(101, ge=1)
    width: int = Field(256, ge=1)
    layers: int = Field(12, ge=1)
    heads: int = Field(8, ge=1)
    std: float = Field(0.02, gt=0)

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Model:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self


class Ramp(Section):
    """A number that grows from `start` to `end` by `step` after every `interval` training steps."""

    start: int = Field(ge=1)
    end: int = Field(ge=1)
    step: int = Field(1, ge=1)
    interval: int = Field(2000, ge=1)

    @model_validator(mode="after")
    def _grows(self) -> Ramp:
        if self.start > self.end:
            raise ValueError(f"start {self.start} is greater than end {self.end}")
        return self

    def at(self, step: int) -> int:
        """The value during training step `step`, counted from 0."""
        return min(self.end, self.start + self.step * (step // self.interval))


class Curriculum(Section):
    """How many dimensions and how many examples the prompts have, as training goes on.

    Prompts are padded to one of `lengths` lengths, evenly spaced between the first and the last,
    so that a compiled step is compiled that often and not at every change. Padding changes no
    number: attention is causal, and what is padded has no weight in the loss.
    """

    dims: Ramp
    points: Ramp
    lengths: int = Field(3, ge=1)

    def padded(self, points: int) -> int:
        """The length that prompts of `points` examples are padded to."""
        first, last = self.points.start, self.points.end
        if self.lengths == 1:
            return last
        marks = (first + (last - first) * i / (self.lengths - 1) for i in range(self.lengths))
        return next(round(mark) for mark in marks if round(mark) >= points)


class Training(Section):
    """How the model is trained.

    `warmup` steps bring the learning rate up from zero, a cosine brings it down to `final_rate`
    times itself; both are off in the paper. `pool` limits the functions there are, `examples` the
    prompts (each with a seed of its own). `compile` is "auto" (where it needs no C++ compiler),
    true or false.
    """

    steps: int = Field(500_000, ge=1)
    batch: int = Field(64, ge=1)
    learning_rate: float = Field(1e-4, gt=0)
    warmup: int = Field(0, ge=0)
    final_rate: float = Field(1.0, gt=0, le=1)
    seed: int = Field(0, ge=0)
    curriculum: Curriculum
    pool: int | None = Field(None, ge=1)
    examples: int | None = Field(None, ge=1)
    compile: bool | Literal["auto"] = "auto"
    device: str = "auto"
    save_every: int = Field(1000, ge=1)
    keep_every: int = Field(100_000, ge=1)
    log_every: int = Field(20, ge=1)
    tensorboard: bool = True

    @model_validator(mode="after")
    def _one_limit(self) -> Training:
        if self.pool is not None and self.examples is not None:
            raise ValueError("give a pool of functions or a number of examples, not both")
        return self


class Evaluation(Section):
    """How runs are judged: prompts of each kind, learners to compare with, the bands' bootstrap.

    `points` is the number of examples (the curriculum's last where it is null). `fitted_prompts`
    limits the prompts for the learners that fit thousands of small models one by one (Lasso,
    trees, XGBoost, the network); their bands show what that costs. `learners` and `prompts` are
    those of the paper for the task where they are null.
    """

    count: int = Field(1280, ge=2)
    fitted_count: int = Field(1280, ge=2)
    batch: int = Field(256, ge=1)
    points: int | None = Field(None, ge=1)
    prompts: list[str] | None = None
    learners: list[str] | None = None
    trials: int = Field(1000, ge=10)
    band: float = Field(0.9, gt=0, lt=1)
    seed: int = Field(1, ge=0)


class Settings(Section):
    """All of a run's settings."""

    model: Model = Model()
    task: AnyTask = LinearRegression()
    inputs: Gaussian = Gaussian()
    training: Training
    evaluation: Evaluation = Evaluation()

    @model_validator(mode="after")
    def _fits(self) -> Settings:
        curriculum, model = self.training.curriculum, self.model
        for name in ("dims", "points"):
            last, room = getattr(curriculum, name).end, getattr(model, name)
            if last > room:
                raise ValueError(
                    f"training.curriculum.{name}.end is {last}, but model.{name} is {room}"
                )
        if self.evaluation.points is not None and self.evaluation.points > model.points:
            raise ValueError(
                f"evaluation.points is {self.evaluation.points}, but model.points is {model.points}"
            )
        self.inputs.eigenvalues(model.dims)
        if isinstance(self.inputs.bias, list) and len(self.inputs.bias) != model.dims:
            raise ValueError(f"inputs.bias needs {model.dims} numbers, one for each dimension")
        return self

    @property
    def points(self) -> int:
        """Examples in a prompt of the evaluation."""
        return self.evaluation.points or self.training.curriculum.points.end


def load(name: str | Path, changes: Sequence[str] = ()) -> Settings:
    """The settings in a file, with `section.key=value` changes on top.

    Args:
        name: a path, or the name of one of the app's own, "quick" for configs/quick.yaml.
        changes: as given with --set; values are YAML.

    Raises:
        BadSettings: the file or a change cannot be used.
    """
    merged = read(find(name))
    for change in changes:
        merged = merge(merged, parse_change(change))
    return validate(merged, str(name))


def validate(values: Mapping[str, Value], source: str) -> Settings:
    """Settings from plain dicts.

    Raises:
        BadSettings: with one line for each thing that is wrong.
    """
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        lines = [describe(detail) for detail in error.errors()]
        raise BadSettings(f"{source}: " + f"\n{source}: ".join(lines)) from None


def find(name: str | Path, beside: Path | None = None) -> Path:
    """The file that a name means.

    Raises:
        BadSettings: there is none.
    """
    path = Path(name)
    named = path if path.suffix else path.with_suffix(".yaml")
    places = [named] if beside is None else [beside / named]
    places.append(CONFIGS / named)
    for place in places:
        if place.is_file():
            return place
    own = sorted(file.stem for file in CONFIGS.glob("*.yaml"))
    close = difflib.get_close_matches(path.stem, own, 1)
    hint = f"; did you mean {close[0]}?" if close else f"; there are {', '.join(own)}"
    raise BadSettings(f"no settings at {' or '.join(map(str, places))}{hint}")


def read(path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Value]:
    """A file's settings over those that it inherits.

    Raises:
        BadSettings: not YAML, not a mapping, or a circle of inheritance.
    """
    path = path.resolve()
    if path in seen:
        circle = " -> ".join(file.name for file in (*seen[seen.index(path) :], path))
        raise BadSettings(f"{path}: settings inherit from themselves: {circle}")
    try:
        own = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path}: not YAML: {error}") from None
    own = {} if own is None else own
    if not isinstance(own, dict):
        raise BadSettings(f"{path}: settings are `section: values`, but this is {own!r:.60}")
    parents = own.pop("inherit", [])
    parents = [parents] if isinstance(parents, str) else parents
    if not isinstance(parents, list) or not all(isinstance(name, str) for name in parents):
        raise BadSettings(f"{path}: inherit is a file's name or a list of them, not {parents!r}")
    merged: dict[str, Value] = {}
    for name in parents:
        merged = merge(merged, read(find(name, path.parent), (*seen, path)))
    return merge(merged, own)


def merge(below: Mapping[str, Value], above: Mapping[str, Value]) -> dict[str, Value]:
    """`above` over `below`, section by section; a task of another name starts afresh."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        if both and value.get("name", old.get("name")) == old.get("name"):
            merged[key] = merge(old, value)
        else:
            merged[key] = value
    return merged


def parse_change(change: str) -> dict[str, Value]:
    """`training.steps=100` as {"training": {"steps": 100}}.

    Raises:
        BadSettings: it is not `section.key=value`.
    """
    place, equals, text = change.partition("=")
    keys = place.strip().split(".")
    if not equals or not all(keys):
        raise BadSettings(f"--set takes section.key=value, as in training.steps=100, not {change}")
    try:
        value = yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise BadSettings(f"--set {change}: the value is not YAML: {error}") from None
    for key in reversed(keys):
        value = {key: value}
    return value


def describe(detail: Mapping[str, Any]) -> str:
    """One of pydantic's findings in a line: where, what, and a guess at what was meant."""
    place = [str(part) for part in detail["loc"]]
    where = ".".join(place) or "settings"
    if detail["type"] == "extra_forbidden":
        known = known_keys(place[:-1])
        close = difflib.get_close_matches(place[-1], known, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
        return f"{where}: there is no such setting; {hint}"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "missing":
        return f"{where}: is needed"
    if detail["type"] == "value_error":
        return message if where == "settings" else f"{where}: {message}"
    return f"{where}: {message[0].lower() + message[1:]}, not {detail['input']!r:.60}"


def known_keys(place: Sequence[str]) -> list[str]:
    """The keys of the section at a place; a task's place holds its name as well."""
    section: Any = Settings
    for part in place:
        if section is AnyTask:
            section = next(
                one
                for one in AnyTask.__args__[0].__args__
                if one.model_fields["name"].default == part
            )
            continue
        annotation = section.model_fields[part].rebuild_annotation()
        section = AnyTask if part == "task" else annotation
    return list(section.model_fields)


def dump(settings: Settings, path: Path) -> None:
    """Write all settings, inherited and default ones included, so that a run explains itself."""
    text = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)
    path.write_text(text, encoding="utf-8")
