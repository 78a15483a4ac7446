"""What a checkpoint may hold: the allow-list, the user's additions, and files made to do harm."""

from __future__ import annotations

import enum
import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import flambeau as t
from flambeau import serialization

GOLDEN = Path(__file__).parent / "golden"


class Colour(enum.Enum):
    RED = 1


class Settings:
    def __init__(self) -> None:
        self.rate = 0.1


class Told:
    """Pickles itself as a call."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple:
        return self.call


def archive(pickled: bytes, **records: bytes) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("archive/data.pkl", pickled)
        file.writestr("archive/version", "3\n")
        for name, content in records.items():
            file.writestr(name.replace("__", "/"), content)
    out.seek(0)
    return out


def refusal(file: io.BytesIO) -> str:
    file.seek(0)
    with pytest.raises(pickle.UnpicklingError) as caught:
        t.load(file)
    assert isinstance(caught.value, RuntimeError)
    return str(caught.value)


@pytest.mark.parametrize(
    "thing",
    [
        Told(os.system, "touch hacked"),
        Told(eval, "1"),
        Told(getattr, 1, "real"),
        Told(print, "hello"),
        Settings(),
        Colour.RED,
        np.ones(2),
        np.float64(1.0),
        range(3),
        Path("x"),
    ],
    ids=lambda thing: str(type(thing).__name__),
)
def test_nothing_is_called_that_is_not_allowed(
    thing: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for protocol in range(6):
        file = archive(pickle.dumps({"a": [thing]}, protocol))
        text = refusal(file)
        assert "Weights only load failed" in text
        assert "was not an allowed global by default" in text
        assert "weights_only=False" in text
    assert not (tmp_path / "hacked").exists()


def test_what_is_allowed_cannot_be_turned_against_the_reader() -> None:
    def told(code: bytes) -> str:
        return refusal(archive(b"\x80\x02" + code + b"."))

    assert "made of bytes" in told(b"c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R")
    assert "not one of text" in told(
        b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R"
    )
    assert "would call" in told(b"ctorch\nTensor\nJ\xff\xff\xff\x7f\x85R")
    assert "would call" in told(b"ctorch\nfloat32\n)R")
    assert "would make" in told(b"ctorch\nTensor\n)\x81")
    assert "would change" in told(b"ctorch\nfloat32\n}b")
    assert "would hide" in told(b"ccollections\nOrderedDict\n)R}X\x05\x00\x00\x00itemsK\x01sb")
    assert "not one that a checkpoint may hold" in told(b"(ccollections\nOrderedDict\no")
    assert "not one that a checkpoint may hold" in told(b"(ios\nsystem\n")
    assert "not one that a checkpoint may hold" in told(b"\x82\x01")
    assert "declares 4,294,967,295 bytes" in told(b"X\xff\xff\xff\xff")
    assert "declares" in told(b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f")
    assert "MARK" in told(b"t")
    assert "IndexError" in told(b"0")
    assert "KeyError" in told(b"j\xff\xff\xff\x7f")
    assert "objects are left" in told(b"K\x01K\x01")
    # A key of a tuple of twice a tuple of twice ...: 2 ** 60 parts to hash, in 200 bytes.
    nested = b"K\x01" + b"".join(b"2\x86" for _ in range(60))
    assert "nested beyond all bounds" in told(b"}" + nested + b"K\x01s")


def storage(numel: bytes, key: bytes = b"0", kind: bytes = b"ctorch\nFloatStorage\n") -> bytes:
    name = b"X\x07\x00\x00\x00storage" + kind + b"X" + struct.pack("<I", len(key)) + key
    return b"(" + name + b"X\x03\x00\x00\x00cpu" + numel + b"tQ"


def tensor(numel: bytes, offset: bytes, size: bytes, stride: bytes, **kinds: bytes) -> bytes:
    call = b"ctorch._utils\n_rebuild_tensor_v2\n("
    hooks = b"ccollections\nOrderedDict\n)R"
    inside = storage(numel, **kinds) + offset + size + stride + b"\x89" + hooks
    return b"\x80\x02" + call + inside + b"tR."


def test_sizes_are_compared_with_what_is_there() -> None:
    four = {"archive__data__0": b"\0" * 16}
    good = tensor(b"K\x04", b"K\x00", b"K\x04\x85", b"K\x01\x85")
    assert t.load(archive(good, **four)).tolist() == [0, 0, 0, 0]
    huge = tensor(b"\x8a\x05\x00\x00\x00\x00\x01", b"K\x00", b"K\x04\x85", b"K\x01\x85")
    assert "declares 17.2 GB, but its record holds 16 bytes" in refusal(archive(huge, **four))
    long = tensor(b"K\x04", b"K\x00", b"K\x05\x85", b"K\x01\x85")
    assert "needs 5 elements of float32, but its storage has 4" in refusal(archive(long, **four))
    before = tensor(b"K\x04", b"J\xff\xff\xff\xff", b"K\x04\x85", b"K\x01\x85")
    assert "whole numbers" in refusal(archive(before, **four))
    missing = tensor(b"K\x04", b"K\x00", b"K\x04\x85", b"K\x01\x85", key=b"../../etc/passwd")
    assert "is missing" in refusal(archive(missing, **four))
    foreign = tensor(b"K\x04", b"K\x00", b"K\x04\x85", b"K\x01\x85", kind=b"ctorch\nQInt8Storage\n")
    assert "torch.QInt8Storage, which flambeau has not" in refusal(archive(foreign, **four))
    sparse = b"\x80\x02ctorch._utils\n_rebuild_sparse_tensor\n)R."
    assert "a sparse tensor, which flambeau does not have" in refusal(archive(sparse))


def test_archives_that_lie_are_refused() -> None:
    nothing = pickle.dumps(None, 2)
    for name in ("../evil", "/etc/passwd", "archive/../../evil", "C:/evil", "..\\evil"):
        assert "leads outside" in refusal(archive(nothing, **{name: b"x"})), name
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", nothing)
        file.writestr("archive/data/0", b"\0" * 50_000_000)
    assert "50.0 MB in a file of 4" in refusal(bomb) and "zip bomb" in refusal(bomb)
    twice = io.BytesIO()
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(twice, "w") as file:
        file.writestr("archive/data.pkl", nothing)
        file.writestr("archive/data.pkl", nothing)
    assert "there twice" in refusal(twice)
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as file:
        file.writestr("readme.txt", "hello")
    assert "without a record data.pkl" in refusal(other)


def test_packed_archives_are_read_where_they_are_no_bombs() -> None:
    file = io.BytesIO()
    x = t.randn(2000, generator=t.Generator().manual_seed(0))
    t.save(x, file)
    packed = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    packed.seek(0)
    assert t.equal(t.load(packed), x)


def test_damage_is_seen() -> None:
    file = io.BytesIO()
    t.save(t.arange(1000.0), file)
    data = bytearray(file.getvalue())
    data[2000] ^= 1
    assert "'data/0' is damaged: its checksum" in refusal(io.BytesIO(data))
    assert "Invalid magic number; corrupt file?" in refusal(io.BytesIO(b"hello, world"))
    with pytest.raises(EOFError, match="is empty"):
        t.load(io.BytesIO())


def test_what_the_user_allows() -> None:
    file = archive(pickle.dumps({"s": Settings(), "c": Colour.RED}, 2))
    with pytest.raises(pickle.UnpicklingError):
        t.load(file)
    with serialization.safe_globals([Settings, Colour]):
        file.seek(0)
        found = t.load(file)
    assert found["s"].rate == 0.1 and found["c"] is Colour.RED
    assert serialization.get_safe_globals() == []
    file.seek(0)
    name = f"{__name__}.Settings"
    assert serialization.get_unsafe_globals_in_checkpoint(file) == sorted(
        [f"{__name__}.Colour", name]
    )
    serialization.add_safe_globals([(Settings, name), Colour])
    try:
        file.seek(0)
        assert serialization.get_unsafe_globals_in_checkpoint(file) == []
        file.seek(0)
        assert t.load(file)["s"].rate == 0.1
    finally:
        serialization.clear_safe_globals()
    with pytest.raises(TypeError, match="callable"):
        serialization.add_safe_globals([3])


def test_arrays_and_models_can_be_allowed() -> None:
    x = np.arange(3.0)
    file = io.BytesIO()
    t.save({"x": x, "model": t.nn.Linear(2, 1)}, file)
    file.seek(0)
    wanted = serialization.get_unsafe_globals_in_checkpoint(file)
    assert "numpy._core.multiarray._reconstruct" in wanted
    assert "torch.nn.modules.linear.Linear" in wanted
    allowed = [np._core.multiarray._reconstruct, np.ndarray, np.dtype, type(x.dtype), t.nn.Linear]
    with serialization.safe_globals(allowed):
        file.seek(0)
        found = t.load(file)
    assert found["x"].tolist() == [0, 1, 2]
    assert found["model"](t.ones(1, 2)).shape == (1, 1)


def test_choosing_a_pickle_module_means_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    t.save({"f": Settings()}, file, pickle_module=pickle)
    file.seek(0)
    assert t.load(file, pickle_module=pickle)["f"].rate == 0.1
    with pytest.raises(RuntimeError, match="explicit pickle_module"):
        t.load(file, pickle_module=pickle, weights_only=True)
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    file.seek(0)
    assert t.load(file)["f"].rate == 0.1
