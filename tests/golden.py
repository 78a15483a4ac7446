"""Answers recorded from PyTorch, and flambeau held against them.

A folder of tests may have a ``scenarios.py`` of functions ``f(t)``, ``t`` being the library, and a
``golden.json`` with PyTorch 2.13's answers, which

    python tests/golden.py torch tests/autograd

writes in an environment that has PyTorch (another module name prints its answers instead). An
exception is an answer too: its type and first line.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import operator
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType


def plain(value: object) -> object:
    """An answer as what JSON can hold."""
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, float):
        return float(f"{value:.6g}") if value == value else "nan"
    if hasattr(value, "tolist"):
        return plain(value.detach().tolist() if hasattr(value, "detach") else value.tolist())
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)


def answer(function: Callable[[ModuleType], object], library: ModuleType) -> object:
    """What ``function`` returns, or the exception it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return plain(function(library))
        except Exception as error:
            return f"{type(error).__name__}: {str(error).splitlines()[0]}"


def hold(
    name: str, got: object, wanted: object, same: Callable[[object, object], bool] = operator.eq
) -> None:
    """Assert that the answers of scenario ``name`` are the ``same``, the parts of a list first."""
    if isinstance(wanted, list) and isinstance(got, list) and len(got) == len(wanted):
        for i, (g, w) in enumerate(zip(got, wanted, strict=True)):
            assert same(g, w), f"{name}[{i}]: {g} instead of {w}"
    assert same(got, wanted), f"{name}: {got} instead of {wanted}"


def scenarios(folder: Path) -> dict[str, Callable]:
    """The functions of a folder's scenarios.py, by name."""
    name = f"scenarios_of_{folder.name}"
    spec = importlib.util.spec_from_file_location(name, folder / "scenarios.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {
        n: f
        for n, f in vars(module).items()
        if callable(f) and not n.startswith("_") and f.__module__ == name
    }


def recorded(folder: Path) -> dict[str, object]:
    """PyTorch's answers."""
    return json.loads((folder / "golden.json").read_text())


def main() -> None:
    """Record or print the answers of one library."""
    library, folder = importlib.import_module(sys.argv[1]), Path(sys.argv[2])
    answers = {n: answer(f, library) for n, f in scenarios(folder).items()}
    text = json.dumps(answers, indent=1) + "\n"
    if sys.argv[1] == "torch":
        (folder / "golden.json").write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
