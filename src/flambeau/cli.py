"""The ``flambeau`` command: run a PyTorch program, or have the machine looked at."""

from __future__ import annotations

import importlib.util
import io
import os
import runpy
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType, TracebackType

from . import _config, compat, version
from ._doctor import report

USAGE = """\
usage: flambeau run SCRIPT [ARG ...]      run a PyTorch program; `import torch` is flambeau
       flambeau run -m MODULE [ARG ...]   the same for a module, as python -m does
       flambeau doctor                    versions, BLAS, threads, CPU quota, extras
       flambeau --version

A traceback ends in your own code; FLAMBEAU_TRACEBACK=full shows flambeau's frames too.
"""


def main(argv: list[str] | None = None) -> int:
    """Run one command line (default: this process's); the result is the exit status."""
    command, *rest = (sys.argv[1:] if argv is None else argv) or [""]
    if command == "run" and rest and rest[0] not in ("-h", "--help"):
        return run(rest)
    if command == "doctor" and not rest:
        print(report())
        return 0
    if command in ("--version", "-V"):
        print(f"flambeau {version.flambeau} (PyTorch {version.pytorch}'s API)")
        return 0
    asked = {"-h", "--help"} & {command, *rest}
    print(USAGE, end="", file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2


def run(arguments: list[str]) -> int:
    """Run ``SCRIPT args`` or ``-m MODULE args`` as ``__main__``, with torch meaning flambeau.

    sys.argv, sys.path[0] and ``__main__`` are as under python itself. SystemExit passes
    through; an uncaught exception is printed and gives 1, KeyboardInterrupt 130.
    """
    is_module = arguments[0] == "-m"
    if is_module and len(arguments) == 1:
        print("flambeau run -m: which module?", file=sys.stderr)
        return 2
    name, *args = arguments[1:] if is_module else arguments
    if not is_module and not os.path.exists(name):
        print(f"flambeau run: can't open {name!r}: no such file", file=sys.stderr)
        return 2
    sys.argv = [name, *args]
    folder = os.getcwd() if is_module else os.path.dirname(os.path.realpath(name))
    if sys.flags.safe_path:
        sys.path.insert(0, compat.ALIAS_PATH)
    else:
        sys.path[:1] = [folder, compat.ALIAS_PATH]
    inherited = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [compat.ALIAS_PATH, inherited]))
    try:
        compat.install()
        if is_module:
            _run_module(name)
        elif os.path.isdir(name) or not _is_source(name):
            runpy.run_path(name, run_name="__main__")  # a folder or archive with a __main__.py
        else:
            _run_script(name)
    except SystemExit:
        raise
    except BaseException as error:
        shorten(error)
        sys.excepthook(type(error), error, error.__traceback__)
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _is_source(path: str) -> bool:
    """Whether a file is a program's text, and neither an archive nor compiled."""
    with io.open_code(path) as file:
        return b"\0" not in file.read(1024)


def _run_script(path: str) -> None:
    path = os.path.abspath(path)
    with io.open_code(path) as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    _execute(code, path, SourceFileLoader("__main__", path), None)


def _run_module(name: str) -> None:
    if f"{name}.".startswith("torch."):  # torch.distributed.run is flambeau.distributed.run
        name = compat.ROOT + name.removeprefix("torch")
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        name += ".__main__"
        spec = importlib.util.find_spec(name)
    code = spec.loader.get_code(spec.name) if spec is not None and spec.loader else None
    if code is None:
        raise ModuleNotFoundError(f"No module named {name!r} that can be run", name=name)
    sys.argv[0] = spec.origin or name
    _execute(code, spec.origin, spec.loader, spec)


def _execute(code: CodeType, path: str | None, loader: object, spec: ModuleSpec | None) -> None:
    """Run code as the module ``__main__``, which stays in place for pickle and for workers."""
    module = ModuleType("__main__")
    package = spec.parent if spec else None
    vars(module).update(
        __file__=path, __loader__=loader, __spec__=spec, __package__=package, __cached__=None
    )
    sys.modules["__main__"] = module
    exec(code, vars(module))


def shorten(error: BaseException, seen: set[int] | None = None) -> None:
    """Cut a traceback, and those it is chained to, to the user's part; add advice on names."""
    seen = set() if seen is None else seen
    if id(error) in seen:
        return
    seen.add(id(error))
    error.__traceback__ = _users_part(error.__traceback__)
    advice = compat.explain(error)
    if advice and advice not in getattr(error, "__notes__", ()):
        error.add_note(advice)
    for other in (error.__cause__, error.__context__, *getattr(error, "exceptions", ())):
        if other is not None:
            shorten(other, seen)


def _users_part(trace: TracebackType | None) -> TracebackType | None:
    """Without the runner's frames at its head, and flambeau's own at its end."""
    while trace is not None and _module(trace) in (__name__, "runpy", "importlib._bootstrap"):
        trace = trace.tb_next
    if _config.traceback == "short":
        last, step = None, trace
        while step is not None:
            if not f"{_module(step)}.".startswith((f"{compat.ROOT}.", "importlib.")):
                last = step
            step = step.tb_next
        if last is not None:
            last.tb_next = None
    return trace


def _module(trace: TracebackType) -> str:
    names = trace.tb_frame.f_globals
    name = names.get("__name__") or ""
    if name == "torch":  # flambeau itself, by its alias
        name = names.get("__package__") or name
    return name.replace("_frozen_importlib", "importlib._bootstrap")
