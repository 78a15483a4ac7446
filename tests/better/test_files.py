"""BETTER.md, Files: a save never destroys the good file, and messages say what is wrong."""

from __future__ import annotations

import io
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import flambeau as t

OLD = {"weights": t.arange(1000.0), "step": 1}


def saved(path: Path) -> None:
    t.save(OLD, path)
    assert is_old(path)


def is_old(path: Path) -> bool:
    found = t.load(path)
    return found["step"] == 1 and t.equal(found["weights"], OLD["weights"])


def only_that_file(path: Path) -> bool:
    return [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_what_cannot_be_pickled_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    saved(path)
    bad = {"weights": t.ones(5), "hooks": [1, {"on_step": lambda: None}], "step": 2}
    with pytest.raises(Exception, match="lambda") as caught:
        t.save(bad, path)
    assert "['hooks'][1]['on_step'] (function)" in caught.value.__notes__[0]
    assert is_old(path) and only_that_file(path)
    with pytest.raises(TypeError, match="generator"):
        t.save({"rows": (i for i in range(3))}, path)
    assert is_old(path) and only_that_file(path)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    saved(path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            t.save({"weights": t.zeros(100_000), "step": 2}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert is_old(path) and only_that_file(path)


def test_a_full_file_system_leaves_the_old_file(tmp_path: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(tmp_path)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command to make a small file system with")
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    try:
        path = tmp_path / "model.pt"
        saved(path)
        with pytest.raises(OSError, match="No space left on device"):
            t.save({"weights": t.zeros(100_000), "step": 2}, path)
        assert is_old(path) and only_that_file(path)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


WRITER = """
import sys, flambeau as t
weights = {str(i): t.full((50_000,), float(i)) for i in range(20)}
step = 1
print("ready", flush=True)
while True:
    step += 1
    t.save({"weights": weights, "step": step}, sys.argv[1])
"""


def test_kill_9_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    rng = random.Random(0)
    steps = []
    for _ in range(int(os.environ.get("FLAMBEAU_TEST_KILLS", "4"))):
        t.save({"step": 1, "weights": {}}, path)
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        with writer:
            assert writer.stdout.readline() == "ready\n"
            threading.Event().wait(rng.uniform(0, 0.15))
            writer.kill()
        found = t.load(path)
        steps.append(found["step"])
        assert all(v.eq(float(k)).all() for k, v in found["weights"].items())
    assert len(list(tmp_path.iterdir())) <= 1 + len(steps)


def test_links_and_permissions_stay(tmp_path: Path) -> None:
    path, link = tmp_path / "model.pt", tmp_path / "latest.pt"
    saved(path)
    path.chmod(0o640)
    link.symlink_to(path.name)
    t.save({"step": 2}, link)
    assert link.is_symlink() and t.load(path)["step"] == 2
    assert path.stat().st_mode & 0o777 == 0o640
    fresh = tmp_path / "fresh.pt"
    mask = os.umask(0o022)
    try:
        t.save(1, fresh)
    finally:
        os.umask(mask)
    assert fresh.stat().st_mode & 0o777 == 0o644
    with pytest.raises(RuntimeError, match="Parent directory .*nowhere does not exist"):
        t.save(1, tmp_path / "nowhere" / "x.pt")
    t.save(1, "/dev/null")


def refusal(data: bytes) -> str:
    with pytest.raises(RuntimeError) as caught:
        t.load(io.BytesIO(data))
    return str(caught.value)


def test_a_cut_file_says_how_much_of_it_is_there(tmp_path: Path) -> None:
    state = {f"layer{i}.weight": t.zeros(100, 100) for i in range(10)}
    path = tmp_path / "model.pt"
    t.save(state, path)
    whole = path.read_bytes()
    for share in (10, 48, 99):
        cut = whole[: len(whole) * share // 100]
        path.write_bytes(cut)
        with pytest.raises(RuntimeError) as caught:
            t.load(path)
        text = str(caught.value)
        assert f"file is {share} % of its declared 40" in text, text
        assert "kB (cut while writing or downloading?)" in text and str(path) in text
    assert "its end is missing (cut while" in refusal(whole[:100])
    old = io.BytesIO()
    t.save(state, old, _use_new_zipfile_serialization=False)
    cut = old.getvalue()[: len(old.getvalue()) * 48 // 100]
    assert "file is 48 % of its declared 40" in refusal(cut)


@pytest.mark.torch
def test_a_cut_file_of_pytorchs_too() -> None:
    import torch

    out = io.BytesIO()
    torch.save(torch.nn.Linear(300, 300).state_dict(), out)
    assert "file is 33 % of its declared 36" in refusal(out.getvalue()[: out.tell() // 3])


class Trap:
    """Runs a command when it is unpickled, in PyTorch before 2.6 and in pickle.load."""

    def __reduce__(self) -> tuple:
        return os.system, ("touch trapped",)


def test_a_file_runs_nothing_unless_it_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    t.save({"weights": t.ones(2), "trap": Trap()}, "model.pt")
    text = refusal(Path("model.pt").read_bytes())
    assert (
        "was not an allowed global" in text and "only with a file from a source you trust" in text
    )
    assert not Path("trapped").exists()
    t.load("model.pt", weights_only=False)
    assert Path("trapped").exists()


def test_safetensors_both_ways(tmp_path: Path) -> None:
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    from safetensors import safe_open

    tensors = {
        "w": t.arange(6.0).reshape(2, 3),
        "turned": t.arange(6.0).reshape(2, 3).t(),
        "half": t.tensor([1.5, -2.0]).to(t.bfloat16),
        "small": t.tensor([1.5, -2.0]).to(t.float8_e4m3fn),
        "flags": t.tensor([True, False]),
        "many": t.arange(5).to(t.uint16),
        "empty": t.zeros(0, 3),
        "scalar": t.tensor(7),
    }
    path = tmp_path / "model.safetensors"
    t.serialization.save_safetensors(tensors, path, {"format": "pt"})
    with safe_open(path, "numpy") as file:
        assert sorted(file.keys()) == sorted(tensors) and file.metadata() == {"format": "pt"}
        assert file.get_tensor("w").tolist() == tensors["w"].tolist()
    found = t.serialization.load_safetensors(path)
    for name, tensor in tensors.items():
        assert found[name].dtype is tensor.dtype and found[name].shape == tensor.shape
        assert found[name].tolist() == tensor.tolist()
    data = path.read_bytes()
    with pytest.raises(ValueError, match="the safetensors file is damaged"):
        t.serialization.read_safetensors(data[:-3])
    with pytest.raises(ValueError, match="'a' and 'b' share memory"):
        t.serialization.write_safetensors({"a": tensors["w"], "b": tensors["w"]})
    with pytest.raises(TypeError, match="Key `a` is invalid"):
        t.serialization.write_safetensors({"a": 3})
    with pytest.raises(ValueError, match="no dtype torch.complex128"):
        t.serialization.write_safetensors({"a": t.ones(1, dtype=t.complex128)})


@pytest.mark.torch
def test_pytorchs_safetensors(tmp_path: Path) -> None:
    import torch

    library = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
    path = tmp_path / "model.safetensors"
    library.save_file({"w": torch.arange(6.0).bfloat16(), "n": torch.arange(3)}, path)
    found = t.serialization.load_safetensors(path)
    assert found["w"].dtype is t.bfloat16 and found["w"].tolist() == [0, 1, 2, 3, 4, 5]
    t.serialization.save_safetensors(found, path)
    again = library.load_file(path)
    assert again["w"].dtype is torch.bfloat16 and again["n"].tolist() == [0, 1, 2]


def test_saving_costs_little_memory_and_time(tmp_path: Path) -> None:
    state = {str(i): t.zeros(1000) for i in range(300)}
    start = time.process_time()
    t.save(state, tmp_path / "model.pt")
    t.load(tmp_path / "model.pt")
    assert time.process_time() - start < 2.0


PROGRAM = """
import torch
from safetensors.torch import load_file, load_model, save_file, save_model
model = torch.nn.Linear(3, 2)
save_file({"b": torch.tensor([1.5, 2.0]).bfloat16()}, "half.safetensors")
print(load_file("half.safetensors"))
save_model(model, "model.safetensors")
other = torch.nn.Linear(3, 2)
print(load_model(other, "model.safetensors"), torch.equal(other.weight, model.weight))
"""


def test_the_safetensors_library_works_under_the_alias(tmp_path: Path) -> None:
    pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    (tmp_path / "program.py").write_text(PROGRAM)
    source = str(Path(t.__file__).parents[1])
    path = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-m", "flambeau", "run", "program.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == "{'b': tensor([1.5000, 2.0000], dtype=torch.bfloat16)}"
    assert second == "(set(), []) True"


def test_storages_can_be_files(tmp_path: Path) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(bytes(range(16)))
    own = t.UntypedStorage.from_file(path, nbytes=16)
    own[0] = 9
    assert own[:3].tolist() == [9, 1, 2] and path.read_bytes()[0] == 0
    shared = t.UntypedStorage.from_file(path, shared=True, nbytes=32)
    shared[0:2] = 7
    del shared
    assert path.read_bytes()[:3] == b"\x07\x07\x02" and path.stat().st_size == 32
    x = t.empty(0).set_(t.UntypedStorage(8).clone(), 0, (2,))
    assert x.shape == (2,) and len(x.untyped_storage().cpu()) == 8
    with pytest.raises(ValueError):
        t.UntypedStorage.from_file(path, nbytes=64)
