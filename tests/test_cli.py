"""``flambeau run``, ``flambeau doctor`` and the name ``torch``."""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

import flambeau
from flambeau import _optional, cli, compat, version
from flambeau._missing import advice, likeness, missing, torch_names

SOURCE = Path(flambeau.__file__).parents[1]


def flambeau_run(*args: object, **env: str) -> subprocess.CompletedProcess:
    """Run the command line in a process of its own, without PyTorch's name in the way."""
    command = [sys.executable, "-m", "flambeau", *map(str, args)]
    path = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, **env}
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=120, check=False
    )


def script(folder: Path, text: str, name: str = "job.py") -> Path:
    path = folder / name
    path.write_text(textwrap.dedent(text))
    return path


def shown(folder: Path, text: str, *args: str, code: int = 1, **env: str) -> str:
    """What a script that ends with ``code`` writes to stderr."""
    done = flambeau_run("run", script(folder, text), *args, **env)
    assert done.returncode == code, done.stderr
    return done.stderr


def test_torch_is_flambeau(tmp_path: Path) -> None:
    job = script(
        tmp_path,
        """
        import sys
        import torch
        import flambeau
        import torch.version as v
        from torch.version import TorchVersion
        assert torch is flambeau and sys.modules["torch"] is sys.modules["flambeau"]
        assert v is flambeau.version and sys.modules["torch.version"] is v
        assert flambeau.__spec__.name == "flambeau" and v.__name__ == "flambeau.version"
        print(torch.__version__)
        """,
    )
    done = flambeau_run("run", job)
    assert done.stdout.strip() == str(version.__version__), done.stderr


def test_every_submodule_is_one_object() -> None:
    code = """
        import importlib, pkgutil, sys, flambeau
        from flambeau import compat
        compat.install()
        for found in pkgutil.iter_modules(flambeau.__path__):
            if not found.name.startswith("_"):
                assert importlib.import_module("torch." + found.name) is importlib.import_module(
                    "flambeau." + found.name), found.name
        import torch.nn.functional as F
        assert F is flambeau.nn.functional
        from torch.nn import functional
        assert F is functional
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_the_script_sees_what_python_shows_it(tmp_path: Path) -> None:
    script(tmp_path, "word = 'beside'", "neighbour.py")
    job = script(
        tmp_path,
        """
        import sys, pickle
        import neighbour
        class Here: pass
        assert __name__ == "__main__" and sys.modules["__main__"].Here is Here
        assert type(pickle.loads(pickle.dumps(Here()))) is Here
        print(sys.argv[1:], neighbour.word, __file__, __spec__, sys.path[0])
        """,
    )
    want = f"['-x', '--help', 'a b'] beside {job} None {tmp_path}"
    done = flambeau_run("run", job, "-x", "--help", "a b")
    assert done.stdout.strip() == want, done.stderr
    plain = subprocess.run(
        [sys.executable, job, "-x", "--help", "a b"], capture_output=True, text=True, check=True
    )
    assert plain.stdout.strip() == want


def test_run_a_module(tmp_path: Path) -> None:
    package = tmp_path / "pack"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "inner" / "__init__.py").write_text("")
    body = "import sys, torch; print(__name__, __spec__.name, __package__, sys.argv[1:])"
    (package / "tool.py").write_text(body)
    (package / "inner" / "__main__.py").write_text(body)
    done = flambeau_run("run", "-m", "pack.tool", "1", PYTHONPATH=f"{SOURCE}{os.pathsep}{tmp_path}")
    assert done.stdout.strip() == "__main__ pack.tool pack ['1']", done.stderr
    done = flambeau_run("run", "-m", "pack.inner", PYTHONPATH=f"{SOURCE}{os.pathsep}{tmp_path}")
    assert done.stdout.strip() == "__main__ pack.inner.__main__ pack.inner []", done.stderr
    done = flambeau_run("run", "-m", "no_such_module")
    assert done.returncode == 1 and "No module named 'no_such_module'" in done.stderr


def test_run_a_folder_and_an_archive(tmp_path: Path) -> None:
    body = "import torch, sys; print(__name__, sys.argv[1:])"
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "__main__.py").write_text(body)
    archive = tmp_path / "archive.pyz"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("__main__.py", body)
    for path in (folder, archive):
        done = flambeau_run("run", path, "x")
        assert done.stdout.strip() == "__main__ ['x']", done.stderr


@pytest.mark.parametrize(
    ("statement", "code", "text"),
    [
        ("sys.exit()", 0, ""),
        ("sys.exit(7)", 7, ""),
        ("sys.exit('no luck')", 1, "no luck\n"),
        ("raise SystemExit(3)", 3, ""),
        ("raise KeyboardInterrupt", 130, None),
        ("raise ValueError('x')", 1, None),
    ],
)
def test_exit_status(statement: str, code: int, text: str | None, tmp_path: Path) -> None:
    stderr = shown(tmp_path, f"import sys\n{statement}\n", code=code)
    if text is not None:
        assert stderr == text


def test_traceback_is_the_scripts_own(tmp_path: Path) -> None:
    job = script(tmp_path, "def f():\n    return 1 / 0\n\n\nf()\n")
    done = flambeau_run("run", job)
    assert done.returncode == 1
    plain = subprocess.run([sys.executable, job], capture_output=True, text=True, check=False)
    assert done.stderr == plain.stderr
    job.write_text("x = (\n")
    done = flambeau_run("run", job)
    plain = subprocess.run([sys.executable, job], capture_output=True, text=True, check=False)
    assert done.stderr == plain.stderr and "SyntaxError" in done.stderr


ERROR = """
    import torch
    try:
        {}
    except Exception as first:
        raise RuntimeError("second") from first
"""


def test_traceback_ends_in_the_users_line(tmp_path: Path) -> None:
    text = ERROR.format("torch.no_such_name_at_all")
    for flag, library in (("short", False), ("full", True)):
        stderr = shown(tmp_path, text, FLAMBEAU_TRACEBACK=flag)
        assert ("__getattr__" in stderr) is library
        assert "cli.py" not in stderr and "runpy" not in stderr
        assert stderr.count("job.py") == 2 and "torch.no_such_name_at_all" in stderr


def test_missing_names(tmp_path: Path) -> None:
    stderr = shown(tmp_path, "import torch\ntorch.tensr(3)\n")
    assert "AttributeError: module 'torch' has no attribute 'tensr'" in stderr
    assert "no torch.tensr either" in stderr and "close to it in torch: tensor" in stderr
    stderr = shown(tmp_path, "import torch.no_such\n")
    assert "ModuleNotFoundError: No module named 'torch.no_such'" in stderr
    assert "no torch.no_such either" in stderr and "compat.py" not in stderr
    stderr = shown(tmp_path, "from torch import tensr\n")
    assert "ImportError: cannot import name 'tensr'" in stderr and "close to it" in stderr


def test_advice_knows_pytorchs_names() -> None:
    def told(owner: str, name: str) -> str:
        return advice(owner, name, ["relu", "tanh", "_private"])

    assert "PyTorch 2.13.0 has torch.vmap; flambeau" in told("flambeau", "vmap")
    assert "docs/map.md" in told("flambeau", "vmap")
    assert "PyTorch 2.13.0 has torch.Tensor.geqrf" in told("flambeau.Tensor", "geqrf")
    assert "PyTorch 2.13.0 has torch.nn.attention" in told("flambeau.nn", "attention")
    assert "no torch.nn.relu either" in told("flambeau.nn", "relu")
    assert "it has torch.relu, torch.Tensor.relu" in told("flambeau.nn", "relu")
    assert "close to it in flambeau: tanh" in told("flambeau", "tan")
    assert "_private" not in told("flambeau", "private")


def test_likeness() -> None:
    assert likeness("Adam", "adam") == 1.0 and likeness("", "x") == 0.0
    assert likeness("tesnor", "tensor") > 0.5 and likeness("reul", "relu") >= 0.4
    assert likeness("matmul", "softmax") < 0.4


def test_missing_name_is_an_attribute_error() -> None:
    error = missing("flambeau", "tan", {"tanh": 1})
    assert isinstance(error, AttributeError) and error.name == "tan"
    assert type(pickle.loads(pickle.dumps(error))) is AttributeError
    assert not hasattr(flambeau, "no_such_name")
    assert getattr(flambeau, "no_such_name", 5) == 5
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        flambeau.no_such_name  # noqa: B018


def test_names_of_pytorch_are_small() -> None:
    assert (Path(version.__file__).parent / "torch_names.txt").stat().st_size < 60_000


def test_advice_on_methods_and_from_imports() -> None:
    tensor = flambeau.Tensor.__new__(flambeau.Tensor)
    names = torch_names()["torch.Tensor"]
    absent = [n for n in names if not hasattr(flambeau.Tensor, n)]
    with pytest.raises(AttributeError) as caught:
        getattr(tensor, (absent or ["no_such"])[0])
    told = compat.explain(caught.value)
    assert told is None if not absent else f"torch.Tensor.{absent[0]}; flambeau" in told
    with pytest.raises(AttributeError) as caught:
        tensor.no_such_method  # noqa: B018
    assert compat.explain(caught.value) is None  # Python's own "Did you mean" is enough
    assert compat.explain(ValueError("x")) is None
    assert compat.explain(ImportError("cannot import name 'x' from 'json' (there)")) is None
    assert compat.explain(AttributeError("made by hand")) is None


@pytest.fixture
def alias():
    compat.install()
    yield
    compat.uninstall()


def test_install_and_uninstall() -> None:
    before = list(sys.meta_path)
    if "torch" in sys.modules:
        pytest.skip("PyTorch itself is imported in this process")
    compat.install()
    compat.install()
    assert len(sys.meta_path) == len(before) + 1
    import torch

    assert torch is flambeau
    assert importlib.util.find_spec("torch.no_such") is None  # a question, not an import
    assert importlib.util.find_spec("torchvision_is_another_name") is None
    compat.uninstall()
    assert sys.meta_path == before and "torch" not in sys.modules


def test_install_after_pytorch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", sys)
    with pytest.raises(ImportError, match="'torch' is already imported"):
        compat.install()


def test_children_have_the_alias(tmp_path: Path) -> None:
    job = script(
        tmp_path,
        """
        import multiprocessing, subprocess, sys
        import torch

        def work(n):
            import torch.version
            return n, torch.__name__

        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.map(work, [1]))
            code = "import torch.version, flambeau; print(torch is flambeau)"
            subprocess.run([sys.executable, "-c", code], check=True)
        """,
    )
    done = flambeau_run("run", job)
    assert sorted(done.stdout.split("\n")) == ["", "True", "[(1, 'torch')]"], done.stderr


def test_usage(capsys: pytest.CaptureFixture) -> None:
    assert cli.main([]) == 2
    assert cli.main(["dance"]) == 2
    assert cli.main(["run"]) == 2
    assert cli.main(["run", "-m"]) == 2
    assert cli.main(["run", "/no/such/file.py"]) == 2
    assert "can't open '/no/such/file.py'" in capsys.readouterr().err
    assert cli.main(["--help"]) == cli.main(["run", "--help"]) == 0
    assert capsys.readouterr().out.count("usage: flambeau run") == 2
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == "flambeau 0.1.0 (PyTorch 2.13.0's API)\n"


def test_doctor(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAMBEAU_TYPO", "1")
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    labels = [line[:9].strip() for line in out.splitlines() if line[:9].strip()]
    assert labels == "flambeau python numpy platform BLAS threads memory GPU extras flags".split()
    assert "CPUs usable, the least of:" in out and "cgroup quota" in out
    assert "FLAMBEAU_TRACEBACK=" in out
    assert "FLAMBEAU_TYPO=1 (no such flag: ignored)" in out
    assert "OPENBLAS_CORETYPE=Haswell (environment)" in out
    for extra in {extra for extra, _ in _optional.OPTIONAL.values()}:
        assert f" {extra} " in out
    assert len(out.splitlines()) < 40 and "\x1b" not in out  # one screen


def test_version_compares_as_a_version() -> None:
    v = flambeau.__version__
    assert str(v) == "2.13.0+flambeau.0.1.0" and isinstance(v, str)
    assert v >= "2.13" and v >= (2, 13) and v > "2.4" and v > (2, 4, 1) and v < "2.14"
    assert v <= (3,) and not v < "2.13.0" and v >= "2.13.0" and v < "2.13.1"
    assert tuple(int(part) for part in v.split("+")[0].split(".")) == (2, 13, 0)
    with pytest.raises(ValueError, match="no version number"):
        v > "nightly"  # noqa: B015


def test_optional_dependencies() -> None:
    with pytest.raises(LookupError, match="no optional dependency"):
        _optional.require("json", "torch.x")
    if importlib.util.find_spec("mpi4py") is None:
        with pytest.raises(ModuleNotFoundError, match="pip install 'flambeau.distributed.'"):
            _optional.require("mpi4py.MPI", "torch.distributed over MPI")


def test_optional_dependency_that_is_broken(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "onnx.py").write_text("import a_module_that_onnx_lacks")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "onnx", raising=False)
    with pytest.raises(ModuleNotFoundError, match="a_module_that_onnx_lacks"):
        _optional.require("onnx", "torch.onnx.export")
