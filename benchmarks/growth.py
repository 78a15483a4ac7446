"""How the time of a compiled GPT step grows with its layers and shrinks with threads, and how much
memory it takes beside eager's; each figure from a process of its own.

`python -m benchmarks.growth`: width 128, 4 heads, 64 of context, batch 12, AdamW.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from .__main__ import UNSET

HERE = Path(__file__).resolve().parent
_CHILD = """
import json, sys
import flambeau as torch
sys.path.insert(0, sys.argv[1])
from child import CLOCKS, peak_memory, seconds_per_unit
from workloads import _gpt
how, layers, threads = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
torch.set_num_threads(threads)
before = peak_memory()
unit = _gpt(torch, layers=layers, width=128, heads=4, block=64, batch=12)
unit = torch.compile(unit) if how == "compiled" else unit
for _ in range(6):
    unit()
peak = peak_memory() - before
print(json.dumps([seconds_per_unit(unit, CLOCKS["wall"]), peak]))
"""
ROUNDS = 3


def measured(how: str, layers: int, threads: int) -> tuple[float, float]:
    """(seconds of a step, bytes at the peak beyond the import), medians over the rounds."""
    environment = {key: value for key, value in os.environ.items() if key not in UNSET}
    environment["PYTHONPATH"] = str(HERE.parent / "src")
    found = []
    for _ in range(ROUNDS):
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, str(HERE), how, str(layers), str(threads)],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(json.loads(done.stdout.splitlines()[-1]))
    seconds, peak = (statistics.median(column) for column in zip(*found, strict=True))
    return seconds, peak


def main() -> None:
    """Measure and print."""
    print("| layers | threads |      a step | a layer more |   memory | eager's |")
    print("| ------ | ------- | ----------- | ------------ | -------- | ------- |")
    before: tuple[int, float] | None = None
    for layers, threads in ((2, 2), (4, 2), (8, 2), (4, 1)):
        seconds, peak = measured("compiled", layers, threads)
        eager = measured("eager", layers, threads)[1]
        more = ""
        if before is not None and threads == 2:
            more = f"{1e3 * (seconds - before[1]) / (layers - before[0]):.2f} ms"
        before = layers, seconds
        print(
            f"| {layers:6} | {threads:7} | {1e3 * seconds:8.1f} ms | {more:>12} "
            f"| {peak / 1e6:5.0f} MB | {eager / 1e6:4.0f} MB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
