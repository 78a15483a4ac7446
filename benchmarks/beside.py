"""Time steps under flambeau.compile beside PyTorch eager, torch.compile and jax.jit, in turn.

For each the median of a step, and what the first calls take beyond it: compiling, and for flambeau
also with its object code already on disk. torch.compile needs a C++ compiler.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from typing import Any

from .__main__ import Setting, amount, machine, measure, table_line
from .workloads import WORKLOADS

#: What is timed: a name, the library, and how child.py runs it.
WAYS = (
    ("PyTorch eager", "torch", "eager"),
    ("torch.compile", "torch", "compiled"),
    ("jax.jit", "jax", "compiled"),
    ("flambeau eager", "flambeau", "eager"),
    ("flambeau.compile", "flambeau", "compiled"),
    ("the same, code on disk", "flambeau", "compiled"),
)
NAMES = ("char_mlp", "gpt")


def beside(name: str, pythons: dict[str, str], rounds: int) -> list[tuple[str, dict[str, Any]]]:
    """All ways of one workload, in turn in each round."""
    samples: dict[str, list[dict[str, Any]]] = {way: [] for way, _, _ in WAYS}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            for way, library, how in WAYS:
                setting = Setting(pythons, 1, None, "wall", how == "compiled")
                more = {"FLAMBEAU_CACHE": cache, "TORCHINDUCTOR_CACHE_DIR": f"{cache}/{library}"}
                samples[way].append(measure(library, name, setting, how, more))
    rows = []
    for way, found in samples.items():
        wrong = next((s["error"] for s in found if "error" in s), None)
        if wrong is not None:
            rows.append((way, {"error": wrong}))
            continue
        middle = {key: statistics.median(s[key] for s in found) for key in ("value", "first")}
        rows.append((way, middle))
    return rows


def main(arguments: list[str]) -> int:
    """Measure and print; returns 1 where something could not be run."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.beside", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--torch-python", metavar="PYTHON", default=sys.executable)
    parser.add_argument("--jax-python", metavar="PYTHON", default=sys.executable)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args(arguments)
    pythons = {
        "torch": options.torch_python,
        "jax": options.jax_python,
        "flambeau": sys.executable,
    }
    about = machine()
    print(f"{about['processor']}, {about['cores']} cores, {about['system']}, {about['date']}\n")
    failed = False
    for name in NAMES:
        print(table_line((WORKLOADS[name].title, "a step", "first", "ratio", "", "")))
        print(table_line(("---",) * 6))
        eager = None
        for way, row in beside(name, pythons, options.rounds):
            if "error" in row:
                failed = True
                print(table_line((way, "", "", "", "", "failed")), flush=True)
                continue
            eager = eager or row["value"]
            figures = (amount(row["value"], "time"), amount(row["first"], "time"))
            print(table_line((way, *figures, f"{row['value'] / eager:.2f}", "", "")), flush=True)
        print()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
