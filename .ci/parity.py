#!/usr/bin/env python3
"""Run the parity scripts and hold their scores to the floors of parity_floors.toml.

    python .ci/parity.py SCRIPTS            run every entry; 1 if a score is below its floor
    python .ci/parity.py SCRIPTS --raise    the same, and write the floors that were passed

SCRIPTS is the folder with opinfo.py and the rest. A script's last line holds its scores, such as
"operations 320/331 = 96.7 %   samples 9000/9100 = 98.9 %"; a floor is a percentage of one of them.
Floors may only rise: one that is lower than it once was in the repository's history fails too.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

FLOORS = Path(__file__).parents[1] / "parity_floors.toml"
SCORE = re.compile(r"(\w[\w ]*?) (-?\d+)/(\d+) = ")
STEP = 0.1  # floors are rounded down to this


def run(folder: Path, script: str, args: list[str], seconds: float) -> dict[str, float]:
    """The scores in percent that one script prints; empty if it broke or took too long."""
    command = [sys.executable, str(folder / script), *args]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        print(f"{script} {' '.join(args)}: longer than {seconds:.0f} s")
        return {}
    lines = done.stdout.strip().splitlines()
    scores = {
        found[1].strip(): 100 * int(found[2]) / max(1, int(found[3]))
        for found in SCORE.finditer(lines[-1] if lines else "")
    }
    if done.returncode or not scores:
        print(f"{script} {' '.join(args)}: exit status {done.returncode}")
        print("\n".join([*lines[-5:], *done.stderr.strip().splitlines()[-15:]]))
        return {}
    failures = [line for line in lines if line.startswith("FAIL")]
    for line in failures[:8]:
        print(f"  {line}")
    if len(failures) > 8:
        print(f"  ... and {len(failures) - 8} more")
    return scores


def earlier_floors() -> dict[tuple[str, str], float]:
    """The highest floor that each score has had in the history of the floors' file."""
    highest: dict[tuple[str, str], float] = {}
    git = ["git", "-C", str(FLOORS.parent)]
    log = [*git, "log", "--format=%H", "--", FLOORS.name]
    commits = subprocess.run(log, capture_output=True, text=True, check=False).stdout.split()
    for commit in commits:
        show = [*git, "show", f"{commit}:{FLOORS.name}"]
        text = subprocess.run(show, capture_output=True, text=True, check=False).stdout
        for name, entry in tomllib.loads(text).items():
            for score, floor in entry["floors"].items():
                key = name, score
                highest[key] = max(floor, highest.get(key, 0.0))
    return highest


def write(raised: dict[tuple[str, str], float]) -> None:
    """Put higher floors into the file; everything else in it stays as it is."""
    table, lines = "", []
    for line in FLOORS.read_text().splitlines():
        if header := re.match(r'\["?([^"\]]+)"?\]', line):
            table = header[1]
        if line.startswith("floors"):
            for (name, score), floor in raised.items():
                if name == table:
                    line = re.sub(rf"\b{score}\b(\"?) = [\d.]+", rf"{score}\1 = {floor:.1f}", line)
        lines.append(line)
    FLOORS.write_text("\n".join(lines) + "\n")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scripts", type=Path)
    parser.add_argument("--raise", dest="raises", action="store_true")
    parser.add_argument("--only", default="", help="entries whose name holds this")
    options = parser.parse_args(arguments)
    before = earlier_floors()
    rows, raised, failed = [], {}, 0
    for name, entry in tomllib.loads(FLOORS.read_text()).items():
        if options.only not in name:
            continue
        start = time.perf_counter()
        print(f"-- {name}: {entry['script']} {' '.join(entry['args'])}", flush=True)
        scores = run(options.scripts, entry["script"], entry["args"], entry["seconds"])
        seconds = time.perf_counter() - start
        for score, floor in entry["floors"].items():
            got = scores.get(score)
            rounded = None if got is None else int(got / STEP + 1e-9) * STEP
            verdict = "ok"
            if got is None:
                verdict = "FAILED: no score"
            elif got < floor - 1e-9:
                verdict = "FAILED: below the floor"
            elif floor < before.get((name, score), 0.0):
                verdict = f"FAILED: the floor was {before[name, score]:.1f}"
            elif rounded > floor + 1e-9:
                raised[name, score] = rounded
                verdict = f"ok; raise the floor to {rounded:.1f}"
            failed += verdict.startswith("FAILED")
            shown = f"{name:<20} {score:<15} {'none' if got is None else f'{got:.2f}':>6}"
            rows.append(f"{shown}   floor {floor:5.1f}   {seconds:4.0f} s   {verdict}")
    print(*rows, sep="\n")
    if raised and options.raises:
        write(raised)
        print(f"wrote {len(raised)} higher floors to {FLOORS.name}")
    elif raised:
        print("higher floors are written by: python .ci/parity.py SCRIPTS --raise")
    print(f"parity: {len(rows) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
