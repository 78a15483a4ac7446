"""Random small programs, compiled, do what they do eagerly: values, layout, gradients, memory that
is shared, version counters, errors, the random generator.

FLAMBEAU_PROGRAMS=5000 runs that many, and FLAMBEAU_PROGRAMS_FROM=20000 others than usual. A program
that is wrong is made smaller and printed as Python; ``see`` and ``back`` are in program_runs.FOOT.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator

import pytest
from program_runs import FOOT, found_in, shrunk
from random_programs import Program, written

import flambeau as torch
from flambeau.compiler import chains, live_rows, native, segment_text
from flambeau.core import threads

COUNT = int(os.environ.get("FLAMBEAU_PROGRAMS", "150"))
FIRST = int(os.environ.get("FLAMBEAU_PROGRAMS_FROM", "0"))
GROUP = 10
WAYS = ["machine code", "two threads", "numpy"]


def compiled(way: str) -> Callable:
    if way == "numpy":
        return lambda f: torch.compile(f, backend="python")
    return torch.compile


@pytest.fixture
def strict(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Mistakes of the compiler are errors; with two threads, every unit is shared out."""
    way = request.param
    if way != "numpy":
        pytest.importorskip("llvmlite", reason="llvmlite is not installed")
    monkeypatch.setattr(native, "strict", True)
    monkeypatch.setattr(live_rows, "LEAST", 1.0)
    before = threads.get_num_threads()
    torch.set_num_threads(2 if way == "two threads" else 1)
    if way == "two threads":
        monkeypatch.setattr(native, "SPREAD", 0.0)
        monkeypatch.setattr(segment_text, "SPREAD_UNIT", 0.0)
        monkeypatch.setattr(segment_text, "CHUNK", 1.0)
        monkeypatch.setattr(chains, "ROWS", 4)
    yield way
    torch.set_num_threads(before)


def examined(program: Program, way: str) -> None:
    """Fail, with a smaller program as text, where ``program`` is wrong."""
    finding = found_in(program, compiled(way))
    if finding is not None:
        program, finding = shrunk(program, compiled(way), finding)
        pytest.fail(f"seed {program.seed}: {finding}\n{program.text()}{FOOT}", pytrace=False)


GROUPS = [(WAYS[k // GROUP % 3], k) for k in range(FIRST, FIRST + COUNT, GROUP)]


@pytest.mark.parametrize(("strict", "first"), GROUPS, indirect=["strict"])
def test_random_programs_do_what_they_do_eagerly(strict: str, first: int) -> None:
    for seed in range(first, min(first + GROUP, FIRST + COUNT)):
        examined(written(seed), strict)
    gc.collect()  # memory that was written to by mistake shows itself here
