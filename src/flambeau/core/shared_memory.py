"""Memory that several processes look into: anonymous files, mapped by each, known by descriptor.

An array in such memory is a NumPy array over the mapping, which lives as long as the last array
does. Nothing has a name in the file system, so nothing is left behind, however a process ends.
Source: memfd_create(2); where the system has none, a file that is unlinked as soon as it is open.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile
import threading
import weakref

import numpy as np

from .value import address, owner_of

ALIGN = 64  # bytes: every array starts at a cache line
_COMMON = 8 << 20  # bytes of a block that small arrays share: descriptors are few (1024 by default)
_SMALL = 1 << 20  # bytes up to which an array is small


def available() -> bool:
    """Whether this system can hand memory to another process by a descriptor."""
    return os.name == "posix"


class Block:
    """``size`` bytes of memory that can be shared, and their descriptor ``fd``.

    Without ``fd`` they are new, and zero. OSError where the system refuses the memory.
    ``exported``: another process looks into it besides those that the owner knows of, so that it
    must not be used again when the arrays here are gone.
    """

    __slots__ = ("__weakref__", "exported", "fd", "map", "size")

    def __init__(self, size: int, fd: int | None = None) -> None:
        self.size = size
        self.exported = False
        self.fd = _anonymous_file(size) if fd is None else fd
        self.map = mmap.mmap(self.fd, size)
        weakref.finalize(self, os.close, self.fd)

    def lease(self) -> ctypes.Array:
        """The block as a buffer that lives as long as the arrays over it."""
        lease = (ctypes.c_char * self.size).from_buffer(self.map)
        lease.block = self
        return lease


def _anonymous_file(size: int) -> int:
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("flambeau", os.MFD_CLOEXEC)
    else:
        fd, name = tempfile.mkstemp(prefix="flambeau")
        os.unlink(name)
    try:
        os.ftruncate(fd, size)
    except OSError:
        os.close(fd)
        raise
    return fd


class Arena:
    """Hands out pieces of blocks one behind the other, and never takes one back."""

    def __init__(self, size: int = _COMMON) -> None:
        self.block_size = size
        self.block: Block | None = None
        self.used = 0

    def place(self, nbytes: int) -> tuple[Block, int]:
        """A block and an offset in it from which ``nbytes`` are free."""
        nbytes = -(-max(nbytes, 1) // ALIGN) * ALIGN
        if nbytes > _SMALL:
            return Block(nbytes), 0
        if self.block is None or self.used + nbytes > self.block.size:
            self.block, self.used = Block(self.block_size), 0
        offset, self.used = self.used, self.used + nbytes
        return self.block, offset


_arena = Arena()
_lock = threading.Lock()
_attached: weakref.WeakValueDictionary[tuple[int, int], Block] = weakref.WeakValueDictionary()


def _forget() -> None:
    """A forked child makes blocks of its own: both would fill the same ones otherwise."""
    global _arena, _lock
    _arena, _lock = Arena(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def block_of(array: np.ndarray) -> Block | None:
    """The block that ``array`` lies in; None if its memory is not shared."""
    return getattr(owner_of(array).base, "block", None)


def offset_in(block: Block, array: np.ndarray) -> int:
    """Bytes of ``block`` before the first element of ``array``, which lies in it."""
    return address(array) - address(np.frombuffer(block.map, np.uint8))


def moved(owner: np.ndarray) -> np.ndarray:
    """A copy of ``owner`` in shared memory, with its strides."""
    with _lock:
        block, offset = _arena.place(owner.nbytes)
    copy = np.ndarray(owner.shape, owner.dtype, block.lease(), offset, owner.strides)
    copy[...] = owner
    return copy


def attach(fd: int, size: int) -> Block:
    """The block of a descriptor that another process has handed over; one per file."""
    status = os.fstat(fd)
    key = (status.st_dev, status.st_ino)
    with _lock:
        block = _attached.get(key)
        if block is not None:
            os.close(fd)
            return block
        _attached[key] = block = Block(size, fd)
        return block
