"""Time every workload under PyTorch and under flambeau, in turn, each in a process of its own.

One round of a workload is one process with PyTorch and then one with flambeau, so that what else
the machine does falls on both; the figures are medians over the rounds. Prints a table that can be
pasted into docs/performance.md.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import math
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # as for child.py: both read `workloads` by this name

from workloads import WORKLOADS, Workload  # noqa: E402

# The first two choose kernels for OpenBLAS, where its own choice is what is to be measured; the
# third makes every import translate the sources anew, as no installed package does.
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONDONTWRITEBYTECODE")
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
SIDES = ("torch", "flambeau")
IMPORT_SECONDS, IMPORT_MODULES = 0.050, 60  # the most that flambeau may add to NumPy's import
TIME_UNITS = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6))
HEADER = ("workload", "PyTorch", "flambeau", "ratio", "mark", "")
WIDTHS = (52, 9, 9, 5, 5, 7)


class Setting(NamedTuple):
    """How both libraries are run: interpreter of each, rounds, threads, clock of child.py,
    and whether flambeau's side is compiled."""

    pythons: dict[str, str]
    rounds: int
    threads: int | None
    clock: str
    compiled: bool = False


def measure(
    library: str, name: str, setting: Setting, how: str = "", more: dict[str, str] | None = None
) -> dict[str, Any]:
    """Run one side of one workload in a process of its own; {"error": line} where it failed.

    ``how``: "eager" or "compiled", which the setting says by default; ``more`` of the environment.
    """
    how = how or ("compiled" if setting.compiled and library == "flambeau" else "eager")
    environment = {key: value for key, value in os.environ.items() if key not in UNSET}
    environment |= more or {}
    if setting.threads:
        environment |= dict.fromkeys(THREADS, str(setting.threads))
    source = HERE.parent / "src"
    if library == "flambeau" and source.is_dir():
        inherited = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(source), inherited)))
    try:
        child = subprocess.run(
            [
                setting.pythons[library],
                str(HERE / "child.py"),
                library,
                name,
                setting.clock,
                how,
            ],
            env=environment,
            capture_output=True,
            text=True,
        )
    except OSError as error:
        return {"error": f"cannot run {setting.pythons[library]}: {error.strerror}"}
    if child.returncode:
        lines = child.stderr.strip().splitlines()
        return {"error": lines[-1] if lines else f"ended with status {child.returncode}"}
    return json.loads(child.stdout.splitlines()[-1])


def compare(workload: Workload, setting: Setting) -> dict[str, Any]:
    """Both sides of a workload, in turn in each round: medians, their ratio and a verdict."""
    samples: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    row: dict[str, Any] = {"name": workload.name, "unit": workload.unit, "samples": samples}
    if workload.measures == "import":  # so that the bytecode is written and in the page cache
        for side in SIDES:
            measure(side, workload.name, setting)
    for _ in range(setting.rounds):
        for side in SIDES:
            sample = measure(side, workload.name, setting)
            samples[side].append(sample)
            if "error" in sample:
                return row | {"verdict": "failed", "error": f"{side}: {sample['error']}"}
    for side in SIDES:
        row[side] = statistics.median(sample["value"] for sample in samples[side])
    row["ratio"] = row["flambeau"] / row["torch"]
    row["mark"] = workload.compiled if setting.compiled else mark_here(workload)
    sums = [samples[side][0].get("sum", 0.0) for side in SIDES]
    if not math.isclose(*sums, rel_tol=1e-3, abs_tol=1e-3):
        return row | {"verdict": "differs", "error": f"the results sum to {sums[0]} and {sums[1]}"}
    held = row["mark"] is None or row["ratio"] <= row["mark"]
    return row | {"verdict": "ok" if held else "misses"}


def mark_here(workload: Workload) -> float | None:
    """The workload's mark on this machine's maker of processors."""
    if workload.mark is None or isinstance(workload.mark, float):
        return workload.mark
    return workload.mark.get(processor().get("vendor_id", ""))


def processor() -> dict[str, str]:
    """What /proc/cpuinfo says of the first core; empty where there is none."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def machine() -> dict[str, Any]:
    """What the figures belong to."""
    return {
        "date": datetime.date.today().isoformat(),
        "processor": processor().get("model name", platform.processor() or platform.machine()),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def amount(value: float, measures: str) -> str:
    """Seconds or bytes with three digits and a unit."""
    if measures == "memory":
        return f"{value / 1e6:.0f} MB"
    unit, scale = next((u, s) for u, s in TIME_UNITS if value >= s or u == "us")
    number = value / scale
    return f"{number:.{0 if number >= 100 else 1 if number >= 10 else 2}f} {unit}"


def table_line(cells: tuple[str, ...]) -> str:
    """One line of the table, in columns and in Markdown."""
    padded = [f"{cells[0]:<{WIDTHS[0]}}"]
    padded += [f"{cell:>{width}}" for cell, width in zip(cells[1:], WIDTHS[1:], strict=True)]
    return f"| {' | '.join(padded)} |"


def row_line(workload: Workload, row: dict[str, Any]) -> str:
    """A workload's line of the table."""
    if "ratio" not in row:
        return table_line((workload.title, "", "", "", "", row["verdict"]))
    mark = "" if row["mark"] is None else f"{row['mark']:.2f}"
    values = (amount(row[side], workload.measures) for side in SIDES)
    return table_line((workload.title, *values, f"{row['ratio']:.2f}", mark, row["verdict"]))


def import_line(row: dict[str, Any]) -> str:
    """What importing flambeau adds to importing NumPy, against its own marks."""
    samples = row["samples"]["flambeau"]
    beyond = statistics.median(sample["value"] - sample["numpy"] for sample in samples)
    modules = samples[0]["modules"]
    held = beyond <= IMPORT_SECONDS and modules <= IMPORT_MODULES
    return (
        f"import flambeau, beyond NumPy: {amount(beyond, 'time')} (mark"
        f" {amount(IMPORT_SECONDS, 'time')}) and {modules} modules (mark {IMPORT_MODULES}):"
        f" {'ok' if held else 'misses'}"
    )


def main(arguments: list[str]) -> int:
    """Measure, print and write; returns 1 where a mark is missed or a workload fails."""
    options = parse(arguments)
    pythons = {"torch": options.torch_python, "flambeau": options.python}
    clock = "processor" if options.processor_time else "wall"
    setting = Setting(pythons, options.rounds, options.threads, clock, options.compiled)
    about = machine()
    print(f"{about['processor']}, {about['cores']} cores, {about['system']}, {about['date']}")
    if about["load"] and about["load"] > 0.5:
        print(f"the machine is busy (load {about['load']}): figures will be unsteady")
    whose = "flambeau's figure, compiled," if options.compiled else "flambeau's figure"
    print(f"{whose} over PyTorch's; medians; rounds: {options.rounds}; ", end="")
    print(f"threads: {options.threads or 'as each library chooses'}; clock: {clock}\n")
    print(table_line(HEADER))
    print(table_line(tuple("-" * width for width in WIDTHS)))
    rows = []
    chosen = [n for n, w in WORKLOADS.items() if not options.compiled or w.compiled is not None]
    for name in options.only or chosen:
        rows.append(compare(WORKLOADS[name], setting))
        print(row_line(WORKLOADS[name], rows[-1]), flush=True)
    print()
    for row in rows:
        if "error" in row:
            print(f"{row['name']}: {row['error']}")
        elif row["name"] == "import_time":
            print(import_line(row))
    if options.json:
        document = {"machine": about, "setting": setting._asdict(), "rows": rows}
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return int(any(row["verdict"] != "ok" for row in rows))


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--torch-python",
        metavar="PYTHON",
        default=sys.executable if importlib.util.find_spec("torch") else None,
        help="the interpreter that has PyTorch (default: this one, where it has)",
    )
    parser.add_argument(
        "--python",
        default=sys.executable,
        help="the interpreter that runs flambeau (default: this one)",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        choices=list(WORKLOADS),
        help=f"these workloads: {', '.join(WORKLOADS)}",
    )
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--threads", type=int, help="of both libraries (default: their own)")
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="count the time on processors; for busy machines, with --threads 1",
    )
    parser.add_argument(
        "--compiled",
        action="store_true",
        help="flambeau's side under flambeau.compile; by default the workloads with such a mark",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    options = parser.parse_args(arguments)
    if options.torch_python is None:
        parser.error(
            "PyTorch is not installed here. Name an interpreter that has it:\n"
            "  python -m venv reference && reference/bin/pip install torch==2.13.0 numpy\n"
            "  python -m benchmarks --torch-python reference/bin/python"
        )
    if options.rounds < 1 or (options.threads is not None and options.threads < 1):
        parser.error("--rounds and --threads must be at least 1")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
