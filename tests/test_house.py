"""The rules of the house: layers, cycles, lazy imports, file length, annotations, documentation,
the cost of an import. docs/map.md describes the layers in words.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

import flambeau
from flambeau import _optional

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"

#: What each layer holds, under src/flambeau. A public name that is not here is of layer 5.
LAYERS = {
    0: "_config _errors _dtypes _shapes _missing _optional _refusals _system version",
    1: "core",
    2: "ops",
    3: "tensor functions _settings",
    4: "autograd compiler",
    5: "_C _devices _dynamo _higher_order_ops _inductor _ops _tensor _tensor_str"
    " _utils nn optim utils linalg fft special distributions func amp"
    " serialization distributed _about _absent _machinery _doctor __config__ __future__",
    6: "__init__ __main__ compat cli viz _alias",
}
LAYER_OF = {name: layer for layer, names in LAYERS.items() for name in names.split()}
SURFACE = 5

#: The files whose business it is to import by a name that is not written in the source.
#: The root package may load a public package (nn, optim, ...) when it is first asked for.
DYNAMIC_IMPORTS = {
    "flambeau",
    "flambeau._optional",
    "flambeau.autograd",  # its older profiler
    "flambeau.cli",
    "flambeau.compat",
    "flambeau.core.tape",  # what an error tells of the user's variables
    "flambeau.serialization._names",  # what a trusted checkpoint names
    "flambeau.tensor._tensor",  # methods on demand
    "flambeau.utils",
}

MAX_LINES = 800
MODULES_OVER_NUMPY = 60
INSTALLED_MB = 65  # flambeau with NumPy and ml_dtypes, as their wheels unpack


@functools.cache
def modules() -> dict[str, Path]:
    """Every module of the package: dotted name -> file."""
    found = {}
    for path in sorted((SOURCE / "flambeau").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@functools.cache
def tree(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_bytes(), str(modules()[module]))


def layer(module: str) -> int:
    part = (module.split(".") + ["__init__"])[1]
    if part not in LAYER_OF and part.startswith("_"):
        pytest.fail(f"{module}: name its layer in LAYERS and in docs/map.md")
    return LAYER_OF.get(part, SURFACE)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below, but for blocks that only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if is_type_checking(child):
            for other in child.orelse:
                yield other
                yield from runtime_nodes(other)
            continue
        yield child
        yield from runtime_nodes(child)


def imported(module: str, node: ast.AST) -> list[str]:
    """Absolute names that one import statement loads; a submodule counts, not its package."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        is_package = modules()[module].name == "__init__.py"
        parts = module.split(".")
        parts = parts[: len(parts) - node.level + is_package]
        base = ".".join(parts + ([base] if base else []))
    submodules = [f"{base}.{alias.name}" for alias in node.names]
    return [name if name in modules() else base for name in submodules]


@functools.cache
def own_imports(module: str) -> dict[str, int]:
    """The package's own modules that ``module`` imports, each with the line."""
    return {
        name: node.lineno
        for node in runtime_nodes(tree(module))
        for name in imported(module, node)
        if name.split(".")[0] == "flambeau" and name != module
    }


def place(module: str, line: int) -> str:
    return f"{modules()[module].relative_to(ROOT)}:{line}"


def functions_in(module: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_a_module_imports_only_from_its_own_layer_or_one_above() -> None:
    wrong = [
        f"{place(module, line)}: layer {layer(module)} imports {name} of layer {layer(name)}"
        for module in modules()
        for name, line in own_imports(module).items()
        if layer(name) > layer(module)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_root_package_is_not_imported_from_inside() -> None:
    wrong = [
        f"{place(module, own_imports(module)['flambeau'])}: imports the root package"
        for module in modules()
        if "flambeau" in own_imports(module) and not module.startswith("flambeau._alias")
    ]
    assert not wrong, "\n".join(wrong)


def test_no_module_imports_itself_in_a_circle() -> None:
    done: set[str] = set()

    def walk(module: str, path: tuple[str, ...]) -> Iterator[str]:
        if module in path:
            yield " -> ".join([*path[path.index(module) :], module])
        elif module not in done and module in modules():
            for name in own_imports(module):
                yield from walk(name, (*path, module))
            done.add(module)

    circles = [circle for module in modules() for circle in walk(module, ())]
    assert not circles, "\n".join(circles)


def test_imports_inside_functions_are_of_optional_packages_alone() -> None:
    wrong, users = [], {}
    for module in modules():
        for function in functions_in(module):
            for node in ast.walk(function):
                for name in imported(module, node):
                    package = next(
                        (p for p in _optional.OPTIONAL if f"{name}.".startswith(f"{p}.")), None
                    )
                    if package is None:
                        wrong.append(f"{place(module, node.lineno)}: {name} inside a function")
                    else:
                        users.setdefault(package, set()).add(f"{module}.{function.name}")
                dynamic = isinstance(node, ast.Call) and ast.unparse(node.func)
                if dynamic in ("importlib.import_module", "__import__"):
                    if module not in DYNAMIC_IMPORTS:
                        wrong.append(f"{place(module, node.lineno)}: {dynamic}; use require()")
    wrong += [f"{p} is imported by {', '.join(sorted(u))}" for p, u in users.items() if len(u) > 1]
    assert not wrong, "\n".join(sorted(set(wrong)))


def test_optional_packages_are_imported_by_no_module() -> None:
    wrong = [
        f"{place(module, node.lineno)}: {name} at import time"
        for module in modules()
        for node in tree(module).body
        for name in imported(module, node)
        if any(f"{name}.".startswith(f"{p}.") for p in _optional.OPTIONAL)
    ]
    assert not wrong, "\n".join(wrong)


def test_extras_are_those_of_the_table_and_each_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    reasons = (ROOT / "docs" / "dependencies.md").read_text()
    extras = project["optional-dependencies"]
    for extra, wheel in _optional.OPTIONAL.values():
        names = [re.match(r"[\w-]+", line)[0] for line in extras[extra]]
        assert wheel in names, f"{wheel} is not in the extra {extra}"
    for line in sum(extras.values(), project["dependencies"]):
        name = re.match(r"[\w-]+", line)[0]
        assert name == "flambeau" or f"`{name}`" in reasons, f"docs/dependencies.md: why {name}?"


def test_files_are_short() -> None:
    long = []
    for folder in ("src", "tests", "examples", "benchmarks", ".ci"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            lines = len(path.read_bytes().splitlines())
            if lines > MAX_LINES:
                long.append(f"{path.relative_to(ROOT)}: {lines} lines, at most {MAX_LINES}")
    assert not long, "\n".join(long)


def test_every_argument_and_result_is_annotated() -> None:
    bare = []
    for module in modules():
        for function in functions_in(module):
            given = function.args
            names = given.posonlyargs + given.args + given.kwonlyargs
            names += [a for a in (given.vararg, given.kwarg) if a]
            missing = [a.arg for a in names if a.annotation is None]
            if missing[:1] in (["self"], ["cls"]):
                del missing[0]
            if function.returns is None:
                missing.append("result")
            if missing:
                bare.append(f"{place(module, function.lineno)}: {function.name}: {missing}")
    assert not bare, "\n".join(bare)


def test_no_assert_stands_for_an_error() -> None:
    found = [
        place(module, node.lineno)
        for module in modules()
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Assert)
    ]
    assert not found, "\n".join(found)


def public_modules() -> list[ModuleType]:
    """flambeau and the modules that can be reached from it by public names; of the layers that
    hold the implementation, users see what flambeau re-exports."""
    found, queue = [], [flambeau]
    while queue:
        module = queue.pop()
        if module in found:
            continue
        found.append(module)
        queue += [
            value
            for name, value in vars(module).items()
            if isinstance(value, ModuleType)
            and not name.startswith("_")
            and value.__name__.startswith("flambeau.")
            and layer(value.__name__) >= LAYER_OF["autograd"]
        ]
    return found


def is_own(value: object) -> bool:
    """A function, class or operation that flambeau defines (an alias of NumPy's is not)."""
    home = getattr(value, "__module__", None) or type(value).__module__
    return callable(value) and not isinstance(value, ModuleType) and home.startswith("flambeau")


def test_public_names_are_documented() -> None:
    silent = {
        f"{module.__name__}.{name}"
        for module in public_modules()
        for name, value in vars(module).items()
        if not name.startswith("_") and is_own(value) and not own_doc(value)
    }
    silent |= {
        f"flambeau.Tensor.{name}"
        for name in dir(flambeau.Tensor)
        if not name.startswith("_")
        and is_own(value := inspect.getattr_static(flambeau.Tensor, name))
        and not own_doc(value)
    }
    assert not silent, f"{len(silent)} without a docstring:\n" + "\n".join(sorted(silent))


def own_doc(value: object) -> str | None:
    """The docstring of this very object: not inherited from its class or base."""
    if isinstance(value, type):
        return value.__dict__.get("__doc__")
    doc = getattr(value, "__doc__", None)
    return None if doc == type(value).__doc__ else doc


def test_every_module_says_what_it_is_for() -> None:
    silent = [module for module in modules() if not ast.get_docstring(tree(module))]
    assert not silent, "\n".join(silent)


def loaded_modules(statement: str) -> tuple[set[str], float]:
    """Modules loaded after a statement in a fresh interpreter, and its seconds."""
    code = (
        f"import sys, time; start = time.perf_counter(); {statement}; "
        "print(time.perf_counter() - start, *sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    seconds, *names = done.stdout.split()
    return set(names), float(seconds)


def test_an_import_is_small() -> None:
    numpy, numpy_seconds = loaded_modules("import numpy")
    ours, our_seconds = loaded_modules("import flambeau")
    more = sorted(ours - numpy)
    told = f"{len(more)} modules more than NumPy, {1e3 * (our_seconds - numpy_seconds):.0f} ms more"
    print(told)  # the time depends on the machine's other work: shown, not judged
    assert len(more) <= MODULES_OVER_NUMPY, f"{told}: {' '.join(more)}"
    for package in _optional.OPTIONAL:
        assert package not in ours


def test_an_installation_is_small() -> None:
    shipped = [path for path in (SOURCE / "flambeau").rglob("*") if path.suffix != ".pyc"]
    for package in ("numpy", "ml_dtypes"):
        files = metadata.files(package)
        assert files, f"{package} was installed without a list of its files"
        shipped += [path.locate() for path in files if path.suffix != ".pyc"]
    megabytes = sum(path.stat().st_size for path in shipped if path.is_file()) / 1e6
    assert megabytes <= INSTALLED_MB, f"{megabytes:.1f} MB"


def test_nothing_is_skipped_without_a_word() -> None:
    silent = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func).rpartition(".")[2]
            reason = any(keyword.arg == "reason" for keyword in node.keywords)
            if name in ("skipif", "xfail", "importorskip") or (name == "skip" and not node.args):
                if not reason:
                    silent.append(f"{path.relative_to(ROOT)}:{node.lineno}: {name} needs a reason")
    assert not silent, "\n".join(silent)


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff_is_content(command: list[str]) -> None:
    if importlib.util.find_spec("ruff") is None:
        pytest.skip("ruff is not installed: pip install -e '.[dev]'")
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--quiet", "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_map_names_every_package() -> None:
    text = (ROOT / "docs" / "map.md").read_text()
    parts = {name.split(".")[1] for name in modules() if "." in name}
    missing = sorted(p for p in parts if f"`{p}" not in text and f"/{p}" not in text)
    assert not missing, f"docs/map.md says nothing of {', '.join(missing)}"


def _pages() -> list[Path]:
    folders = [ROOT, *(ROOT / name for name in ("docs", "examples", "apps", "benchmarks"))]
    found = [p for folder in folders[1:] for p in folder.rglob("*.md")]
    return sorted([*ROOT.glob("*.md"), *found])


def test_pages_name_files_that_are_there() -> None:
    written = {p.relative_to(ROOT).as_posix() for p in ROOT.rglob("*.py")}
    wrong = []
    for page in _pages():
        for name in re.findall(r"`([\w/.-]*\w\.py)`", page.read_text()):
            if not any(path == name or path.endswith("/" + name) for path in written):
                wrong.append(f"{page.relative_to(ROOT)}: {name}")
    assert not wrong


def test_pages_are_whole() -> None:
    """No rest of a merge; links lead somewhere; a table has as many cells in every row."""
    wrong = []
    for page in _pages():
        cells = 0
        for number, line in enumerate(page.read_text().splitlines(), 1):
            place = f"{page.relative_to(ROOT)}:{number}: {line[:60]}"
            if re.match(r"(<{7}|={7}|>{7})( |$)", line):
                wrong.append(place)
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", line):
                if not (page.parent / target).exists():
                    wrong.append(f"{place}: {target}")
            bars = len(re.findall(r"(?<!\\)\|", re.sub(r"`[^`]*`", "", line)))
            cells = (cells or bars) if line.startswith("|") else 0
            if bars != cells and line.startswith("|"):
                wrong.append(place)
    assert not wrong
