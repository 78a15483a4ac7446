"""What a Timer measured: times of runs, their median and spread, and how to print them."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

# A measurement whose quartiles are further apart than these shares of the median is not to be
# trusted, and says so.
_MAX_SPREAD, _IMPRECISE_SPREAD = 0.25, 0.1
_MAX_DIGITS = 4
_UNITS = ((1e-9, "ns"), (1e-6, "us"), (1e-3, "ms"), (1.0, "s"))
_ENGLISH = {"ns": "nanosecond", "us": "microsecond", "ms": "millisecond", "s": "second"}


def select_unit(t: float) -> tuple[str, float]:
    """The unit that ``t`` seconds are best told in: ("us", 1e-6)."""
    place = int(max(min((math.log10(t) if t > 0 else -9) // 3, 0), -3)) + 3
    seconds, unit = _UNITS[place]
    return unit, seconds


def unit_to_english(u: str) -> str:
    """``"us"`` as a word."""
    return _ENGLISH[u]


def trim_sigfig(x: float, n: int) -> float:
    """``x`` rounded to ``n`` significant figures."""
    if x != x or not x:
        return x
    scale = 10.0 ** (math.floor(math.log10(abs(x))) + 1 - n)
    return float(round(x / scale) * scale)


@dataclasses.dataclass(frozen=True)
class TaskSpec:
    """What was timed: the statement, and labels by which a table is laid out."""

    stmt: str
    setup: str
    global_setup: str = ""
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1

    @property
    def title(self) -> str:
        """The labels in one line, or the statement."""
        if self.label is not None:
            return self.label + (f": {self.sub_label}" if self.sub_label else "")
        if "\n" not in self.stmt:
            return self.stmt
        return "stmt:\n" + self.stmt

    def summarize(self) -> str:
        """What was timed, in a few lines."""
        setup = "" if self.setup in ("", "pass") else f"setup:\n{_indented(self.setup)}\n"
        parts = [self.title, self.description or "", setup.rstrip(), self.global_setup]
        return "\n".join(p for p in parts if p)


def _indented(text: str) -> str:
    return "\n".join("  " + line for line in text.splitlines())


@dataclasses.dataclass(init=True, repr=False)
class Measurement:
    """Times of one task: ``raw_times`` holds seconds of ``number_per_run`` runs each."""

    number_per_run: int
    raw_times: list[float]
    task_spec: TaskSpec
    metadata: dict | None = None

    @property
    def times(self) -> list[float]:
        """Seconds of one run, for each repetition."""
        return [t / self.number_per_run for t in self.raw_times]

    @property
    def median(self) -> float:
        """The median of ``times``."""
        return float(np.median(self.times))

    @property
    def mean(self) -> float:
        """The mean of ``times``."""
        return float(np.mean(self.times))

    @property
    def iqr(self) -> float:
        """The distance between the quartiles of ``times``."""
        low, high = np.quantile(self.times, (0.25, 0.75))
        return float(high - low)

    @property
    def significant_figures(self) -> int:
        """How many figures of the median the spread leaves meaningful."""
        n = len(self.times)
        low, high = np.quantile(self.times, (0.25, 0.75))
        spread = max((high - low) / (1.349 * math.sqrt(n)) * 1.645, 2e-9) * 2  # 90 % of normal
        relative = math.log10(self.median / spread) if self.median else 0
        return max(min(math.floor(relative + 1), _MAX_DIGITS), 1)

    @property
    def has_warnings(self) -> bool:
        """Whether the times spread too far to be trusted, or are of one run."""
        return bool(self._warning())

    def _warning(self) -> str:
        if len(self.times) < 2:
            return ""
        spread = self.iqr / self.median if self.median else 0.0
        if spread <= _IMPRECISE_SPREAD:
            return ""
        far = spread > _MAX_SPREAD
        cause = (
            "suggests significant environmental influence"
            if far
            else ("could indicate system fluctuation")
        )
        return (
            f"  WARNING: Interquartile range is {100 * spread:.1f}% of the median measurement.\n"
            f"           This {cause}."
        )

    def meets_confidence(self, threshold: float = _MAX_SPREAD) -> bool:
        """Whether the quartiles lie within ``threshold`` of the median."""
        return self.iqr / self.median < threshold

    @property
    def title(self) -> str:
        """The task's title."""
        return self.task_spec.title

    @property
    def env(self) -> str:
        """The environment's label."""
        return self.task_spec.env or "Unspecified env"

    @property
    def as_row_name(self) -> str:
        """The name of its row in a table."""
        return self.task_spec.sub_label or self.task_spec.stmt or "[Unknown]"

    def __repr__(self) -> str:
        unit, scale = select_unit(self.median)
        n = len(self.times)
        lines = [f"{object.__repr__(self)}", self.task_spec.summarize()]
        runs = f"{self.number_per_run} run{'s' if self.number_per_run != 1 else ''} per measurement"
        threads = f"{self.task_spec.num_threads} thread"
        threads += "s" if self.task_spec.num_threads > 1 else ""
        if n < 2:
            lines += [f"  {self.median / scale:.2f} {unit}", f"  1 measurement, {runs}, {threads}"]
        else:
            if n > 4:
                low, high = np.quantile(self.times, (0.25, 0.75))
                lines.append(f"  Median: {self.median / scale:.2f} {unit}")
                lines.append(f"  IQR:    {self.iqr / scale:.2f} {unit} "
                             f"({low / scale:.2f} to {high / scale:.2f})")  # fmt: skip
            else:
                lines.append(f"  {self.median / scale:.2f} {unit}")
            lines.append(f"  {n} measurements, {runs}, {threads}")
            lines.append(self._warning())
        return "\n".join(line for line in lines if line)

    @staticmethod
    def merge(measurements: Iterable[Measurement]) -> list[Measurement]:
        """Measurements of the same task made one."""
        groups: dict[TaskSpec, list[Measurement]] = defaultdict(list)
        for m in measurements:
            groups[m.task_spec].append(m)
        return [
            Measurement(1, [t for m in group for t in m.times], task)
            for task, group in groups.items()
        ]
