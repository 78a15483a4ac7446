"""Files that are replaced whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

FileLike = str | os.PathLike


@contextmanager
def replacing(path: FileLike) -> Iterator[BinaryIO]:
    """A new file to be written, which takes the place of ``path`` when the block ends well.

    The bytes are on the disk before the name changes hands, so that an exception, a full disk, a
    killed process or a power cut leaves the old file as it was. The new one keeps the old one's
    permissions; a symbolic link stays, and what it points to is replaced. What is no regular file
    (a pipe, ``/dev/stdout``) is written directly.
    RuntimeError if the folder is not there; OSError as the system gives it.
    """
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    if not os.path.isdir(folder):
        raise RuntimeError(f"Parent directory {os.path.dirname(os.fspath(path))} does not exist.")
    try:
        status = os.stat(target)
    except FileNotFoundError:
        status = None
    if status is not None and not stat.S_ISREG(status.st_mode):
        with open(target, "wb") as file:
            yield file
        return
    temporary = os.path.join(folder, f".{name[:80]}.{secrets.token_hex(6)}.tmp")
    file, named = _create(folder, temporary)
    try:
        with file:
            yield file
            file.flush()
            if status is not None and hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), stat.S_IMODE(status.st_mode))
            os.fsync(file.fileno())
            if not named:
                _name(file, folder, temporary)
                named = True
        os.replace(temporary, target)
    except BaseException:
        if named:
            with suppress(OSError):
                os.unlink(temporary)
        raise
    _sync_folder(folder)


def _create(folder: str, temporary: str) -> tuple[BinaryIO, bool]:
    """A new file in ``folder``, and whether it has its temporary name already.

    Where the system can (Linux, most file systems) it gets none before it is complete: a process
    that is killed meanwhile leaves nothing behind.
    """
    if hasattr(os, "O_TMPFILE") and os.path.isdir("/proc/self/fd"):
        with suppress(OSError):
            return open(os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o666), "w+b"), False
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
    return open(os.open(temporary, flags, 0o666), "w+b"), True


def _name(file: BinaryIO, folder: str, temporary: str) -> None:
    """Give a file without a name one. Only with a folder's descriptor does Python call linkat(2),
    which follows the link in /proc to the file itself."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.link(f"/proc/self/fd/{file.fileno()}", temporary, dst_dir_fd=handle)
    finally:
        os.close(handle)


def _sync_folder(folder: str) -> None:
    """Have the new name itself on the disk, where folders can be synced."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
