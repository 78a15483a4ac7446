"""What the files under golden/ hold, for whichever library; and how two are compared.

    python tests/serialization/contents.py

writes golden/ anew in an environment that has PyTorch.
"""

from __future__ import annotations

import collections
import importlib
import io
import pickle
import struct
import tarfile
from pathlib import Path
from types import ModuleType

GOLDEN = Path(__file__).parent / "golden"
DTYPES = """
    float64 float32 float16 bfloat16 float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz
    complex64 complex128 uint8 uint16 uint32 uint64 int8 int16 int32 int64 bool
""".split()


def every_dtype(t: ModuleType) -> dict:
    """A tensor of every dtype: odd values as far as each has them."""
    found = {}
    for name in DTYPES:
        values = t.tensor([0.0, 1.0, 2.5, 3.0, -100.0, 0.125, -0.0, 7.0])
        if name in ("float64", "float32", "float16"):
            values[3], values[5] = float("nan"), float("inf")
        if not name.startswith(("float", "bfloat", "complex")):
            values = t.tensor([0, 1, 2, 3, 100, 0, 1, 7])
        found[name] = values.to(getattr(t, name))
    return found


def shared(t: ModuleType) -> dict:
    """Views of one storage, by strides and offsets; tensors without elements and dimensions."""
    base = t.arange(24.0)
    grid = base.reshape(2, 3, 4)
    return {
        "base": base,
        "grid": grid,
        "transposed": grid.transpose(0, 2),
        "part": grid[1, 1:, ::2],
        "row": grid[:, 0],
        "stretched": base[5].expand(3, 2),
        "alone": t.arange(5),
        "scalar": t.tensor(3.5),
        "empty": t.zeros(0, 3),
        "channels_last": t.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=t.channels_last),
        "asked": t.ones(2, requires_grad=True),
    }


def model(t: ModuleType) -> object:
    """A small model with parameters, buffers and a parameter in two places."""
    t.manual_seed(3)
    made = t.nn.Sequential(
        t.nn.Conv2d(1, 2, 3), t.nn.BatchNorm2d(2), t.nn.ReLU(), t.nn.Flatten(), t.nn.Linear(8, 8),
        t.nn.Linear(8, 8),
    )  # fmt: skip
    made[5].weight = made[4].weight
    return made


def training(t: ModuleType) -> dict:
    """A whole checkpoint: a model and an optimizer after two steps, and where they are."""
    network = model(t)
    optimizer = t.optim.AdamW(network.parameters(), lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        network(t.ones(3, 1, 4, 4)).square().mean().backward()
        optimizer.step()
    return {
        "model": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": 3,
        "rng": t.get_rng_state(),
    }


def everything(t: ModuleType) -> dict:
    """One of each thing that a checkpoint may hold."""
    return {
        "dtypes": every_dtype(t),
        "shared": shared(t),
        "parameter": t.nn.Parameter(t.arange(3.0)),
        "frozen": t.nn.Parameter(t.arange(3.0), requires_grad=False),
        "size": t.Size([2, 3]),
        "device": t.device("cpu"),
        "dtype": t.float16,
        "numbers": [0, -1, 255, 256, 65536, -(2**31), 2**40, 2**200, 1.5, float("inf"), 1 + 2j],
        "truth": (True, False, None),
        "text": ["", "ascii", "ünïcödé", "x" * 300, b"\x00\xff"],
        "nested": collections.OrderedDict(a={1: [2, (3, {4, 5})]}, b=bytearray(b"abc")),
        "counter": collections.Counter("abca"),
        "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)),
    }


def before_zip(t: ModuleType) -> dict:
    """What the formats before zip can hold: dtypes with a storage class of their own."""
    found = everything(t)
    for name in DTYPES:
        if name.startswith(("float8", "uint")) and name != "uint8":
            del found["dtypes"][name]
    return found


def plain(value: object, storages: dict | None = None) -> object:
    """``value`` in Python's own types, so that two libraries' can be compared bit by bit."""
    storages = {} if storages is None else storages
    if isinstance(value, dict):
        kind = type(value).__name__
        inner = [(k, plain(v, storages)) for k, v in value.items()]
        return kind, inner, plain(getattr(value, "_metadata", None), storages)
    if hasattr(value, "untyped_storage"):
        storage = value.untyped_storage()
        place = storages.setdefault(storage.data_ptr() or id(value), len(storages))
        detached = value.detach()
        return (
            type(value).__name__,
            str(value.dtype),
            list(value.shape),
            list(value.stride()) if value.numel() else None,
            value.storage_offset() if value.numel() else None,
            place if value.numel() else None,
            value.requires_grad,
            bytes(storage.tolist()) if value.numel() else b"",
            plain({k: v for k, v in vars(detached).items() if not k.startswith("_")}, storages),
        )
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [plain(v, storages) for v in value]
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, (int, str, bytes, bytearray, set, complex)) or value is None:
        return type(value).__name__, value
    return str(value)


def tar_file(t: ModuleType) -> bytes:
    """A file of PyTorch 0.1.1's kind, which no PyTorch writes any more: a list of two views."""
    base = t.arange(6.0)

    def storages(file: io.BytesIO) -> None:
        pickle.dump(1, file, 2)
        pickle.dump((77, "cpu", t.FloatStorage), file, 2)
        file.write(struct.pack("<q", 6) + struct.pack("<6f", *base.tolist()))
        pickle.dump([], file, 2)

    def tensors(file: io.BytesIO) -> None:
        pickle.dump(2, file, 2)
        for key, sizes, strides, offset in ((1, (2, 3), (3, 1), 0), (2, (3,), (2,), 1)):
            pickle.dump((key, 77, t.FloatTensor), file, 2)
            file.write(struct.pack("<q", len(sizes)))
            file.write(struct.pack(f"<{len(sizes)}q", *sizes))
            file.write(struct.pack(f"<{len(strides)}q", *strides))
            file.write(struct.pack("<q", offset))

    def content(file: io.BytesIO) -> None:
        class Pickler(pickle.Pickler):
            def persistent_id(self, value: object) -> int | None:
                return value[0] if isinstance(value, tuple) else None

        Pickler(file, 2).dump([(1,), (2,), "text"])

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, write in (("storages", storages), ("tensors", tensors), ("pickle", content)):
            file = io.BytesIO()
            write(file)
            info = tarfile.TarInfo(name)
            info.size = len(file.getvalue())
            file.seek(0)
            archive.addfile(info, file)
    return out.getvalue()


def main() -> None:
    """Write golden/ with PyTorch."""
    torch = importlib.import_module("torch")
    GOLDEN.mkdir(exist_ok=True)
    torch.save(everything(torch), GOLDEN / "everything.pt")
    torch.save(before_zip(torch), GOLDEN / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save(training(torch), GOLDEN / "training.pt")
    torch.save(model(torch), GOLDEN / "model.pt")
    (GOLDEN / "tar.pt").write_bytes(tar_file(torch))


if __name__ == "__main__":
    main()
