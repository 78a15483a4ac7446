"""The benchmark runner: its workloads run, and its verdicts are right."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path

import pytest

import flambeau

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(autouse=True, scope="module")
def on_the_path():
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))


def load(name: str):
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


WORKLOADS = load("workloads").WORKLOADS
#: The same code as in_context_tiny, over larger models that take seconds.
LARGE = ("in_context_small", "in_context_standard")
TIMED = [
    name
    for name, workload in WORKLOADS.items()
    if workload.measures == "time" and name not in LARGE
]


@pytest.mark.parametrize("name", TIMED)
def test_a_unit_of_each_workload_gives_finite_numbers(name: str) -> None:
    flambeau.manual_seed(42)
    result = WORKLOADS[name].build(flambeau)()
    assert math.isfinite(result.detach().double().sum())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (2.0, "2.00 s"),
        (0.123, "123 ms"),
        (0.0456, "45.6 ms"),
        (3.5e-6, "3.50 us"),
        (1e-9, "0.00 us"),
    ],
)
def test_amounts_have_three_digits(seconds: float, text: str) -> None:
    assert load("__main__").amount(seconds, "time") == text


@pytest.mark.parametrize(
    ("values", "sums", "verdict"),
    [
        ((2.0, 2.0), (1.0, 1.0), "ok"),
        ((2.0, 2.1), (1.0, 1.0), "misses"),
        ((2, 1), (1, 2), "differs"),
    ],
)
def test_a_row_is_judged_by_its_mark_and_by_its_result(values, sums, verdict, monkeypatch) -> None:
    runner = load("__main__")
    answers = dict(zip(runner.SIDES, zip(values, sums)))

    def measure(library: str, name: str, setting: object) -> dict[str, float]:
        return dict(zip(("value", "sum"), answers[library]))

    monkeypatch.setattr(runner, "measure", measure)
    row = runner.compare(WORKLOADS["add"], runner.Setting({}, 3, None, "wall"))
    assert row["verdict"] == verdict
    assert row["ratio"] == values[1] / values[0]


def test_a_child_that_fails_gives_its_last_line() -> None:
    runner = load("__main__")
    setting = runner.Setting({"no_such_library": sys.executable}, 1, None, "wall")
    error = runner.measure("no_such_library", "add", setting)
    assert error == {"error": "ModuleNotFoundError: No module named 'no_such_library'"}


def test_an_interpreter_that_is_not_there_is_named() -> None:
    runner = load("__main__")
    setting = runner.Setting({"torch": "/nowhere/python"}, 1, None, "wall")
    error = runner.measure("torch", "add", setting)
    assert error == {"error": "cannot run /nowhere/python: No such file or directory"}


def test_the_table_lines_up() -> None:
    runner = load("__main__")
    row = {"ratio": 0.5, "mark": 1.0, "verdict": "ok", "torch": 1.0, "flambeau": 0.5}
    lines = [runner.table_line(runner.HEADER), runner.row_line(WORKLOADS["add"], row)]
    assert len({len(line) for line in lines}) == 1
    assert all(len(workload.title) <= runner.WIDTHS[0] for workload in WORKLOADS.values())
