"""Files of PyTorch's, recorded under golden/, and flambeau's own: the same contents, bit by bit."""

from __future__ import annotations

import importlib.util
import io
import pickle
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

import flambeau as t
from flambeau import serialization


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


contents = load("contents")
GOLDEN, plain = contents.GOLDEN, contents.plain


def through(value: object, save: dict | None = None, **arguments: object) -> object:
    file = io.BytesIO()
    t.save(value, file, **(save or {}))
    file.seek(0)
    return t.load(file, **arguments)


@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("mmap", [False, True])
def test_reads_everything_that_pytorch_wrote(weights_only: bool, mmap: bool) -> None:
    found = t.load(GOLDEN / "everything.pt", weights_only=weights_only, mmap=mmap)
    assert plain(found) == plain(contents.everything(t))


@pytest.mark.parametrize("weights_only", [True, False])
def test_reads_the_stream_from_before_zip(weights_only: bool) -> None:
    found = t.load(GOLDEN / "legacy.pt", weights_only=weights_only)
    assert plain(found) == plain(contents.before_zip(t))


@pytest.mark.parametrize("weights_only", [True, False])
def test_reads_the_tar_from_before_that(weights_only: bool) -> None:
    grid, odd, text = t.load(GOLDEN / "tar.pt", weights_only=weights_only)
    assert grid.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert odd.tolist() == [1, 3, 5] and text == "text"
    odd[0] = 9
    assert grid[0, 1].item() == 9


def test_goes_on_from_a_checkpoint_of_pytorch() -> None:
    found = t.load(GOLDEN / "training.pt")
    network = contents.model(t)
    optimizer = t.optim.AdamW(network.parameters(), lr=0.5)
    assert str(network.load_state_dict(found["model"])) == "<All keys matched successfully>"
    optimizer.load_state_dict(found["optimizer"])
    assert optimizer.param_groups[0]["lr"] == 0.01
    own = contents.training(t)["model"]
    for name, value in found["model"].items():
        assert t.allclose(value, own[name], rtol=1e-5, atol=1e-6), name
    t.set_rng_state(found["rng"])


def test_makes_a_whole_model_of_pytorchs() -> None:
    network = t.load(GOLDEN / "model.pt", weights_only=False)
    assert repr(network) == repr(contents.model(t))
    assert network[4].weight is network[5].weight
    x = t.ones(1, 1, 4, 4)
    assert t.equal(network(x), contents.model(t)(x))
    with pytest.raises(pickle.UnpicklingError, match="torch.nn.modules.container.Sequential"):
        t.load(GOLDEN / "model.pt")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_its_own_files_hold_everything(protocol: int) -> None:
    expected = plain(contents.everything(t))
    assert plain(through(contents.everything(t), {"pickle_protocol": protocol})) == expected
    old = {"_use_new_zipfile_serialization": False}
    assert plain(through(contents.before_zip(t), old)) == plain(contents.before_zip(t))
    assert plain(through(contents.training(t))) == plain(contents.training(t))


def test_what_is_loaded_can_be_saved_again() -> None:
    first = contents.everything(t)
    assert plain(through(through(first))) == plain(first)


def test_small_things_come_back() -> None:
    class Odd(t.Tensor):
        """Not importable: its name is given to the reader by hand."""

    assert through(b"") == b""
    assert through([]) == []
    x = t.arange(3.0)
    x.label = "named"
    assert through(x).label == "named"
    y = through(t.nn.Buffer(x))
    assert y.persistent and t.equal(y, x)
    storage = through({"storage": x.untyped_storage()})["storage"]
    assert bytes(storage.tolist()) == bytes(x.untyped_storage().tolist())
    made = (x * t.ones(3, requires_grad=True)).sum()
    assert through(made).requires_grad and through(made).is_leaf
    assert through(t.strided) is t.strided and through(t.channels_last) is t.channels_last
    generator = t.Generator().manual_seed(5)
    twin = through(generator, weights_only=False)
    assert t.equal(t.rand(3, generator=generator), t.rand(3, generator=twin))
    state = pickle.loads(pickle.dumps(made))
    assert state.requires_grad


def test_one_memory_of_two_dtypes_stays_one() -> None:
    z = t.tensor([1 + 2j, 3 + 4j])
    back, parts = through([z, t.view_as_real(z)])
    assert back.dtype is t.complex64 and parts.dtype is t.float32
    parts[0, 0] = 9.0
    assert back[0].item() == 9 + 2j


def test_records_are_aligned_and_unzip_is_content(tmp_path: Path) -> None:
    t.save({str(i): t.arange(float(i)) for i in range(1, 9)}, tmp_path / "a.b.pt")
    data = (tmp_path / "a.b.pt").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.b.pt") as archive:
        assert archive.testzip() is None
        assert archive.read("a.b/version") == b"3\n"
        assert archive.read("a.b/byteorder") == sys.byteorder.encode()
        for entry in archive.infolist():
            content = archive.read(entry)
            place = data.index(content, entry.header_offset + 30 + len(entry.filename))
            assert place % 64 == 0 or len(content) < 9, entry
    try:
        serialization.set_crc32_options(False)
        t.save(t.arange(3.0), tmp_path / "quick.pt")
        assert not serialization.get_crc32_options()
    finally:
        serialization.set_crc32_options(True)
    assert t.load(tmp_path / "quick.pt").tolist() == [0, 1, 2]


def big_endian(data: bytes) -> bytes:
    """The archive as a big-endian machine writes it: only float32 storages inside."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("byteorder"):
                content = b"big"
            elif "/data/" in name:
                words = [content[i : i + 4][::-1] for i in range(0, len(content), 4)]
                content = b"".join(words)
            new.writestr(name, content)
    return out.getvalue()


def test_bytes_of_the_other_order_are_turned_around() -> None:
    file = io.BytesIO()
    z = t.tensor([1 + 2j, 3 - 4j])
    t.save([t.arange(3.0), z], file)
    turned = io.BytesIO(big_endian(file.getvalue()))
    real, found = t.load(turned)
    assert real.tolist() == [0, 1, 2] and t.equal(found, z)
    silent = io.BytesIO()
    t.save(t.arange(3.0), silent, _disable_byteorder_record=True)
    serialization.set_default_load_endianness(serialization.LoadEndianness.BIG)
    try:
        silent.seek(0)
        assert t.load(silent).tolist() != [0, 1, 2]
    finally:
        serialization.set_default_load_endianness(None)
    silent.seek(0)
    assert t.load(silent).tolist() == [0, 1, 2]


def test_a_mapped_file_is_read_when_it_is_used_and_never_written(tmp_path: Path) -> None:
    path = tmp_path / "file.pt"
    t.save(t.arange(100.0), path)
    before = path.read_bytes()
    mapped = t.load(path, mmap=True)
    mapped[0] = 50.0
    assert mapped[:2].tolist() == [50, 1] and path.read_bytes() == before
    with serialization.set_default_mmap_options(serialization._locations.MAP_SHARED):
        shared = t.load(path, mmap=True)
        shared[1] = 60.0
        del shared
    assert t.load(path, mmap=True)[1].item() == 60
    with pytest.raises(pickle.UnpicklingError, match="does not compare"):
        t.load(path)
    with pytest.raises(ValueError, match="f must be a file path"):
        t.load(io.BytesIO(before), mmap=True)
    with pytest.raises(RuntimeError, match="mmap can only be used with files saved"):
        t.load(GOLDEN / "legacy.pt", mmap=True)


def test_skip_data_keeps_shapes_and_reads_nothing(tmp_path: Path) -> None:
    with serialization.skip_data():
        t.save(t.ones(1000), tmp_path / "empty.pt")
    assert t.load(tmp_path / "empty.pt").tolist() == [0.0] * 1000
    with serialization.skip_data():
        assert t.load(tmp_path / "empty.pt").shape == (1000,)


def test_map_location() -> None:
    file = io.BytesIO()
    t.save(t.arange(3.0), file)
    with zipfile.ZipFile(io.BytesIO(file.getvalue())) as old:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as new:
            for name in old.namelist():
                content = old.read(name)
                if name.endswith("data.pkl"):
                    content = content.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
                new.writestr(name, content)
        data = out.getvalue()
    with pytest.raises(RuntimeError, match="Attempting to deserialize object on a CUDA device"):
        t.load(io.BytesIO(data))
    seen = []

    def place(storage: object, location: str) -> object:
        seen.append(location)
        return storage

    for where in (
        "cpu",
        t.device("cpu"),
        {"cuda:0": "cpu"},
        place,
        lambda storage, location: storage,
    ):
        assert t.load(io.BytesIO(data), map_location=where).tolist() == [0, 1, 2]
    assert seen == ["cuda:0"]
    with pytest.raises(RuntimeError, match="CUDA device"):
        t.load(io.BytesIO(data), map_location=lambda storage, location: None)
    with pytest.raises(TypeError, match="a storage"):
        t.load(io.BytesIO(data), map_location=lambda storage, location: 3)
    serialization.register_package(
        5, lambda storage: None, lambda storage, location: storage if location == "cuda:0" else None
    )
    try:
        assert t.load(io.BytesIO(data)).tolist() == [0, 1, 2]
    finally:
        serialization._locations._registry.pop(0)
    assert serialization.location_tag(t.ones(1).untyped_storage()) == "cpu"


def test_files_that_only_write_or_only_read() -> None:
    class Sink:
        def __init__(self) -> None:
            self.parts: list[bytes] = []

        def write(self, data: bytes) -> int:
            self.parts.append(bytes(data))
            return len(data)

    sink = Sink()
    t.save({"a": t.arange(5)}, sink)
    assert t.load(io.BytesIO(b"".join(sink.parts)))["a"].tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(AttributeError, match="object with a 'write' attribute"):
        t.save(1, 2)
    with pytest.raises(AttributeError, match="from a file that is seekable"):
        t.load(3)


@pytest.mark.torch
@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("weights_only", [True, False])
def test_pytorch_reads_what_flambeau_wrote(archive: bool, weights_only: bool) -> None:
    import torch

    whole = contents.everything if archive else contents.before_zip
    for make in (whole, contents.training):
        file = io.BytesIO()
        made = make(t)
        t.save(made, file, _use_new_zipfile_serialization=archive)
        file.seek(0)
        assert plain(torch.load(file, weights_only=weights_only)) == plain(made)


@pytest.mark.torch
def test_pytorch_makes_a_whole_model_of_flambeaus() -> None:
    import torch

    for make in (
        contents.model,
        lambda t: t.nn.LSTM(2, 3, 2),
        lambda t: t.nn.Transformer(4, 2, 1, 1, 8),
    ):
        file = io.BytesIO()
        t.save(make(t), file)
        file.seek(0)
        network = torch.load(file, weights_only=False)
        assert type(network) is type(make(torch))
        file = io.BytesIO()
        torch.save(network, file)
        file.seek(0)
        assert repr(t.load(file, weights_only=False)) == repr(make(t))
