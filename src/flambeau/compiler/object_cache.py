"""Compiled code on disk, so that the next process need not compile it again.

A file holds one object file behind a digest of it, under a name that says what it is code for: the
text in LLVM's language, the processor and its features, the versions of LLVM and of this library.
Files are written beside their place and renamed, so that other processes see all of one or none;
one that is damaged is not used, and written again. ``FLAMBEAU_CACHE`` names the directory; empty,
it switches the cache off. Files that were not used for long go first when it grows over its limit.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from pathlib import Path

from .. import _config
from ..version import __version__

LIMIT = 256 << 20  # bytes of the whole directory
_MAGIC = b"flambeau object 1\n"


def directory() -> Path | None:
    """Where the files are; None where the cache is switched off or there is no such place."""
    given = _config.cache
    if given == "":
        return None
    if given is not None:
        return Path(given)
    if os.name == "nt":
        home = os.environ.get("LOCALAPPDATA")
    elif sys.platform == "darwin":
        home = os.path.expanduser("~/Library/Caches")
    else:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home) / "flambeau" if home and not home.startswith("~") else None


def key(*parts: str) -> str:
    """The name of the code that ``parts`` describe."""
    return hashlib.sha256("\0".join([str(__version__), *parts]).encode()).hexdigest()


def load(name: str) -> bytes | None:
    """The object file ``name``; None where there is none, or it is not whole."""
    place = directory()
    if place is None:
        return None
    path = place / name
    try:
        if not _is_ours(place):
            return None
        content = path.read_bytes()
    except OSError:
        return None
    with contextlib.suppress(OSError):  # a file of a read-only place is as good
        os.utime(path)
    head = len(_MAGIC) + 32
    data = content[head:]
    if (
        content[: len(_MAGIC)] != _MAGIC
        or hashlib.sha256(data).digest() != content[head - 32 : head]
    ):
        return None
    return data


def store(name: str, data: bytes) -> None:
    """Keep the object file ``name``; quietly does nothing where that cannot be done."""
    place = directory()
    if place is None:
        return
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _is_ours(place):
            return
        handle, beside = tempfile.mkstemp(dir=place, prefix="new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_MAGIC + hashlib.sha256(data).digest() + data)
            os.replace(beside, place / name)
        except BaseException:
            os.unlink(beside)
            raise
        _prune(place)
    except OSError:
        return


def _is_ours(place: Path) -> bool:
    """Whether nobody else can put code there."""
    if os.name == "nt":
        return True
    status = place.stat()
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _prune(place: Path) -> None:
    files = []
    for entry in os.scandir(place):
        status = entry.stat()
        files.append((status.st_mtime, status.st_size, entry.path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= LIMIT:
            return
        os.unlink(path)
        total -= size
