"""The cache of compiled code: what is damaged, missing, forbidden or written by many at once."""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from flambeau import _config
from flambeau.compiler import object_cache

DATA = bytes(range(256)) * 8


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(_config, "cache", str(tmp_path / "cache"))
    object_cache.store("code", DATA)
    assert object_cache.load("code") == DATA
    return tmp_path / "cache"


def test_a_cut_or_changed_file_is_not_used_and_written_again(place: Path) -> None:
    whole = (place / "code").read_bytes()
    draw = random.Random(0)
    for n in [*range(64), *draw.sample(range(64, len(whole)), 40)]:
        (place / "code").write_bytes(whole[:n])
        assert object_cache.load("code") is None, n
    for _ in range(200):
        at, bit = draw.randrange(len(whole)), 1 << draw.randrange(8)
        (place / "code").write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
        assert object_cache.load("code") is None, at
    (place / "code").write_bytes(whole + b"\0")
    assert object_cache.load("code") is None
    object_cache.store("code", DATA)
    assert object_cache.load("code") == DATA


def test_a_place_that_may_only_be_read_serves(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    for name in ("utime", "replace", "unlink"):
        monkeypatch.setattr(os, name, refuse)
    monkeypatch.setattr(object_cache.tempfile, "mkstemp", refuse)
    assert object_cache.load("code") == DATA
    object_cache.store("other", DATA)  # in silence
    assert object_cache.load("other") is None


def test_a_full_disk_leaves_nothing_behind(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, handle: int, mode: str) -> None:
            self.handle = handle

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *error: object) -> None:
            os.close(self.handle)

        def write(self, data: bytes) -> None:
            os.write(self.handle, data[:100])
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "fdopen", Full)
        object_cache.store("code", DATA[::-1])
        object_cache.store("other", DATA)
    assert [p.name for p in place.iterdir()] == ["code"]
    assert object_cache.load("code") == DATA


def test_what_is_no_directory_is_no_cache(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "cache", str(place / "code"))
    object_cache.store("code", DATA)
    assert object_cache.load("code") is None
    monkeypatch.setattr(_config, "cache", str(place))
    (place / "folder").mkdir()
    object_cache.store("folder", DATA)
    assert object_cache.load("folder") is None


@pytest.mark.skipif(os.name == "nt", reason="permissions of Unix")
def test_a_place_that_others_may_write_to_is_not_trusted(place: Path) -> None:
    place.chmod(0o777)
    assert object_cache.load("code") is None


def _work(folder: str, seed: int, bad: object) -> None:
    _config.cache, object_cache.LIMIT = folder, 20_000  # so that files are thrown out all the time
    draw = random.Random(seed)
    for _ in range(150):
        name = f"code {draw.randrange(12)}"
        found = object_cache.load(name)
        if found not in (None, name.encode() * 300):
            bad.value += 1
        object_cache.store(name, name.encode() * 300)


def test_many_processes_write_and_throw_out_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    bad = context.Value("i", 0)
    folder = tmp_path / "cache"
    workers = [context.Process(target=_work, args=(str(folder), i, bad)) for i in range(3)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert [w.exitcode for w in workers] == [0, 0, 0] and bad.value == 0
    assert not [p for p in folder.iterdir() if p.name.startswith("new-")]
