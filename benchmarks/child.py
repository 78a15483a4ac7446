"""One side of one workload, in a process of its own: prints one line of JSON.

Run by file, `python child.py LIBRARY WORKLOAD CLOCK HOW`, so that nothing but the library is on its
path. CLOCK is "wall" or "processor", the time that this process spent on all its threads; HOW is
"eager", or "compiled" for the unit under the library's `compile`.
"""

from __future__ import annotations

import importlib
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

SAMPLE = 0.3  # seconds that a sample should last, so that the clock and one pause do not matter
SAMPLES = 3
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
STEPS = 4  # steps of a memory workload: the second already holds the optimizer's state


def seconds_per_unit(unit: Callable[[], Any], clock: Callable[[], float]) -> float:
    """The median over the samples of a unit's time in seconds, its count found by doubling."""
    count, spent = 1, 0.0
    while True:
        spent = _time(unit, count, clock)
        if spent >= SAMPLE / 4:
            break
        count *= 2
    count = max(1, round(count * SAMPLE / spent))
    return statistics.median(_time(unit, count, clock) / count for _ in range(SAMPLES))


def _time(unit: Callable[[], Any], count: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(count):
        unit()
    return clock() - start


def peak_memory() -> int:
    """The most memory this process has held so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def time_import(library: str, clock: Callable[[], float]) -> dict[str, float]:
    """Seconds that importing NumPy takes, and then the library."""
    marks = [clock()]
    modules = []
    for name in ("numpy", library):
        importlib.import_module(name)
        marks.append(clock())
        modules.append(len(sys.modules))
    return {
        "value": marks[2] - marks[0],
        "numpy": marks[1] - marks[0],
        "modules": modules[1] - modules[0],
    }


def time_steps(
    unit: Callable[[], Any], clock: Callable[[], float], read: Callable[[Any], float]
) -> dict[str, float]:
    """A unit's time, the sum that ``read`` finds in its first result, and what the first calls
    take beyond that time."""
    start = time.perf_counter()
    total = read(unit())
    for _ in range(STEPS):  # captured and compiled, also where the first step makes state
        unit()
    first = time.perf_counter() - start
    value = seconds_per_unit(unit, clock)
    return {"value": value, "sum": total, "first": first - STEPS * value}


def main(library: str, name: str, clock: str = "wall", how: str = "eager") -> dict[str, float]:
    """Measure workload `name` under `library`: its value, and a sum that both sides must share."""
    if name == "import_time":
        return time_import(library, CLOCKS[clock])
    if library == "jax":
        unit = importlib.import_module("jax_workloads").WORKLOADS[name]()
        return time_steps(unit, CLOCKS[clock], float)
    from workloads import WORKLOADS

    torch = importlib.import_module(library)
    workload = WORKLOADS[name]
    torch.manual_seed(42)
    if workload.measures == "memory":
        (torch.randn(8, 8, requires_grad=True) @ torch.randn(8, 8)).sum().backward()
        before = peak_memory()
        unit = workload.build(torch)
        for _ in range(STEPS):
            result = unit()
        return {"value": peak_memory() - before, "sum": float(result.detach().double().sum())}
    unit = workload.build(torch)
    if how == "compiled":
        unit = torch.compile(unit)
    return time_steps(unit, CLOCKS[clock], lambda r: float(r.detach().double().sum()))


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
