"""PyTorch's zip archive of records: written aligned, read with every size checked beforehand.

Records are stored, not compressed, in one folder of the archive: ``data.pkl`` is the pickle,
``data/0``, ``data/1`` ... the storages' bytes, and a few small ones tell about the file.
Format of zip files: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

from __future__ import annotations

import io
import os
import struct
import sys
import zipfile
import zlib
from pickle import UnpicklingError
from typing import Any, BinaryIO

import numpy as np

MAGIC = b"PK\x03\x04"
ALIGNMENT = 64  # bytes: every record's data starts at a multiple of it
FORMAT_VERSION = "1"  # of the layout of records; PyTorch's
VERSION = "3\n"  # of the archive; PyTorch's
_LOCAL = struct.Struct("<4s5H3L2H")  # a record's own header
_CENTRAL = struct.Struct("<4s6H3L5H2L")  # a record in the directory at the end
_END = struct.Struct("<4s4H2LH")  # the end of that directory
_MOST = 0xFFFFFFFF  # a size from here on stands in an extra field of 8 bytes
_UTF8 = 0x800  # flag: names are UTF-8
_DATE = 33  # 1980-01-01: equal contents make equal files
_END_SPAN = 65_557  # bytes from the file's end in which that end record lies
_LARGEST_RATIO = 2  # unpacked bytes for each byte of the file, at most
_CHUNK = 1 << 24  # bytes handed on at once


def human(count: float) -> str:
    """A number of bytes for people: 1.2 GB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} bytes" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return ""


def size_of(file: BinaryIO) -> int:
    """The number of bytes of an open file, whose position stays."""
    here = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(here)
    return end


# ---- writing ---------------------------------------------------------------------------------


class Writer:
    """Writes records into ``file``, below the folder ``name``; needs nothing but ``file.write``.

    ``zipfile`` writes no aligned records. ``checksums=False`` leaves out the zip's CRC-32, which
    makes large files faster to write, and unzip call them damaged.
    """

    def __init__(self, file: BinaryIO, name: str, alignment: int, checksums: bool) -> None:
        self.file, self.name = file, name
        self.alignment, self.checksums = alignment, checksums
        self.at = 0  # bytes written
        self.directory: list[bytes] = []
        self.sum = 0

    def _put(self, data: bytes | memoryview) -> None:
        self.file.write(data)
        self.at += len(data)

    def write(self, record: str, data: bytes | np.ndarray) -> None:
        """Write one record; the memory of arrays is written as it lies, without a copy."""
        view = memoryview(data).cast("B") if len(data) else memoryview(b"")
        name = f"{self.name}/{record}".encode()
        size, start = len(view), self.at
        checksum = zlib.crc32(view) if self.checksums else 0
        self.sum = zlib.crc32(struct.pack("<LQ", checksum, size), self.sum)
        large = struct.pack("<2H2Q", 1, 16, size, size) if size >= _MOST else b""
        before = start + _LOCAL.size + len(name) + len(large) + 4
        padding = -before % self.alignment
        extra = large + struct.pack("<2sH", b"FB", padding) + b"Z" * padding
        told = min(size, _MOST)
        about = (45 if large else 20, _UTF8, 0, 0, _DATE, checksum, told, told, len(name))
        self._put(_LOCAL.pack(MAGIC, *about, len(extra)) + name + extra)
        for i in range(0, size, _CHUNK):
            self._put(view[i : i + _CHUNK])
        wide = [n for n in (size, size, start) if n >= _MOST]
        extra = struct.pack(f"<2H{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
        place = (len(extra), 0, 0, 0, 0, min(start, _MOST))
        version = 45 if wide else 20
        self.directory.append(
            _CENTRAL.pack(b"PK\1\2", version, version, *about[1:], *place) + name + extra
        )

    def close(self) -> None:
        """Write what every archive ends with, and the directory of records."""
        self.write("version", VERSION.encode())
        names = zlib.crc32(b"".join(self.directory))
        self.write(".data/serialization_id", f"{names:020d}{self.sum:020d}".encode())
        start, count = self.at, len(self.directory)
        self._put(b"".join(self.directory))
        size = self.at - start
        if count >= 0xFFFF or start >= _MOST:
            end = self.at
            told = (44, 45, 45, 0, 0, count, count, size, start)
            self._put(struct.pack("<4sQ2H2L4Q", b"PK\6\6", *told))
            self._put(struct.pack("<4sLQL", b"PK\6\7", 0, end, 1))
        count = min(count, 0xFFFF)
        self._put(_END.pack(b"PK\5\6", 0, 0, count, count, size, min(start, _MOST), 0))


# ---- reading ---------------------------------------------------------------------------------


class Reader:
    """The records of an archive in ``file``; what is wrong with it is said at once.

    UnpicklingError for a file that is cut, damaged, or made to do harm.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = size_of(file)
        _check_end(file, self.size)
        try:
            file.seek(0)
            entries = zipfile.ZipFile(file).infolist()
        except (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError, OSError,
                IndexError, OverflowError, MemoryError) as error:  # fmt: skip
            raise UnpicklingError(f"its directory of records is damaged ({error})") from error
        self._check(entries)
        self.folder = next(
            (e.filename[: -len("/data.pkl")] for e in entries if e.filename.endswith("/data.pkl")),
            None,
        )
        if self.folder is None:
            raise UnpicklingError("it is a zip file without a record data.pkl: no checkpoint")
        self.entries = {e.filename: e for e in entries}

    def _check(self, entries: list[zipfile.ZipInfo]) -> None:
        names = set()
        total = 0
        for entry in entries:
            name = entry.filename
            parts = name.replace("\\", "/").split("/")
            if ".." in parts or parts[0] == "" or ":" in parts[0] or "\0" in entry.orig_filename:
                raise UnpicklingError(f"the record {name!r} has a path that leads outside")
            if name in names:
                raise UnpicklingError(f"the record {name!r} is there twice")
            names.add(name)
            total += entry.file_size
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise UnpicklingError(f"the record {name!r} is packed by an unknown method")
            if entry.flag_bits & 0x1:
                raise UnpicklingError(f"the record {name!r} is encrypted")
            if entry.header_offset < 0:
                raise UnpicklingError(f"the record {name!r} starts before the file does")
            if entry.header_offset + entry.compress_size > self.size:
                raise UnpicklingError(
                    f"the record {name!r} declares {human(entry.compress_size)}, which would end "
                    f"beyond the file ({human(self.size)})"
                )
            if entry.compress_type == zipfile.ZIP_STORED and entry.file_size != entry.compress_size:
                raise UnpicklingError(f"the record {name!r} declares two sizes")
        if total > _LARGEST_RATIO * self.size:
            raise UnpicklingError(
                f"its records declare {human(total)} in a file of {human(self.size)}: refused as "
                "a zip bomb (a file packed to less than half can be unpacked with unzip, and "
                "stored again with zip -0)"
            )

    def has(self, record: str) -> bool:
        """Whether the archive holds ``record``."""
        return f"{self.folder}/{record}" in self.entries

    def record_size(self, record: str) -> int:
        """The number of bytes of ``record``."""
        return self._entry(record).file_size

    def _entry(self, record: str) -> zipfile.ZipInfo:
        entry = self.entries.get(f"{self.folder}/{record}")
        if entry is None:
            raise UnpicklingError(f"the record {record!r} is missing")
        return entry

    def place(self, record: str) -> int | None:
        """Where in the file the bytes of ``record`` start; None if they are packed."""
        entry = self._entry(record)
        self.file.seek(entry.header_offset)
        head = self.file.read(_LOCAL.size)
        if len(head) < _LOCAL.size or head[:4] != MAGIC:
            raise UnpicklingError(f"the header of record {record!r} is damaged")
        *_, name_size, extra_size = _LOCAL.unpack(head)
        name = self.file.read(name_size)
        if name != entry.orig_filename.encode("utf-8", "surrogateescape"):
            raise UnpicklingError(f"the header of record {record!r} names another one, {name!r}")
        start = entry.header_offset + _LOCAL.size + name_size + extra_size
        if start + entry.compress_size > self.size:
            raise UnpicklingError(f"the record {record!r} ends beyond the file")
        return start if entry.compress_type == zipfile.ZIP_STORED else None

    def read(self, record: str) -> np.ndarray:
        """The bytes of ``record``, their checksum compared (a sum of 0 says that there is none)."""
        entry, start = self._entry(record), self.place(record)
        if start is None:
            data = np.frombuffer(bytearray(self._unpacked(record, entry)), np.uint8)
        else:
            self.file.seek(start)
            data = np.empty(entry.file_size, np.uint8)
            fill(self.file, data, record)
        if entry.CRC and zlib.crc32(data) != entry.CRC:
            raise UnpicklingError(
                f"the record {record!r} is damaged: its checksum is {zlib.crc32(data):08x}, the "
                f"file says {entry.CRC:08x} (load(mmap=True) does not compare them)"
            )
        return data

    def _unpacked(self, record: str, entry: zipfile.ZipInfo) -> bytes:
        self.file.seek(entry.header_offset)
        _, _, _, _, _, _, _, _, _, name_size, extra_size = _LOCAL.unpack(
            self.file.read(_LOCAL.size)
        )
        self.file.seek(name_size + extra_size, os.SEEK_CUR)
        packed = self.file.read(entry.compress_size)
        try:
            data = zlib.decompressobj(-15).decompress(packed, entry.file_size or 1)
        except zlib.error as error:
            raise UnpicklingError(f"the record {record!r} is damaged ({error})") from error
        if len(data) != entry.file_size:
            raise UnpicklingError(f"the record {record!r} unpacks to less than it declares")
        return data

    def text(self, record: str) -> str:
        """A short record as text."""
        if self.record_size(record) > 1000:
            raise UnpicklingError(f"the record {record!r} is longer than it can be")
        return bytes(self.read(record)).decode("ascii", "replace").strip()

    def swapped(self, default: str | None) -> bool:
        """Whether the bytes lie in the other order than this machine's.

        ``default`` is the order of files that do not say theirs.
        """
        order = default or sys.byteorder
        if self.has("byteorder"):
            order = self.text("byteorder")
            if order not in ("little", "big"):
                raise UnpicklingError(f"Unknown endianness type: {order}")
        return order != sys.byteorder


def fill(file: BinaryIO, array: np.ndarray, what: str) -> None:
    """Read the bytes of ``array`` from ``file``."""
    view = memoryview(array).cast("B") if array.nbytes else memoryview(bytearray())
    done = 0
    while done < len(view):
        if hasattr(file, "readinto"):
            n = file.readinto(view[done : done + _CHUNK])
        else:
            data = file.read(min(_CHUNK, len(view) - done))
            n = len(data)
            view[done : done + n] = data
        if not n:
            raise UnpicklingError(f"the file ends in the middle of {what}")
        done += n


def _check_end(file: BinaryIO, size: int) -> None:
    """Refuse a file whose end record is missing, or speaks of more than the file holds."""
    span = min(size, _END_SPAN)
    file.seek(size - span)
    tail = file.read(span)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise NoEnd
    _, _, _, _, _, directory, offset, _ = _END.unpack_from(tail, at)
    if 0xFFFFFFFF in (directory, offset):
        return _check_large_end(tail, at, size)
    if directory + offset > size - span + at:
        raise UnpicklingError(
            f"its directory of records is said to end at byte {directory + offset:,} of a file of "
            f"{human(size)}: the file is damaged"
        )
    return None


def _check_large_end(tail: bytes, at: int, size: int) -> None:
    """The same for an archive beyond 4 GB, whose sizes stand in a record of their own."""
    large = tail.rfind(b"PK\x06\x06", 0, at)
    if large < 0 or len(tail) - large < 56:
        raise UnpicklingError("its directory of records is damaged: the end of it is missing")
    directory, offset = struct.unpack_from("<2Q", tail, large + 40)
    if directory + offset > size:
        raise UnpicklingError("its directory of records is said to end beyond the file")


class NoEnd(Exception):
    """The file starts like an archive and has no end: it is cut."""


def cut(file: BinaryIO, read_index: Any) -> str:
    """What to say of an archive without an end.

    ``read_index(file, left)`` gives the sizes of all storages from the pickle, which comes first.
    """
    size = size_of(file)
    file.seek(0)
    head = file.read(_LOCAL.size)
    if len(head) == _LOCAL.size:
        *_, name_size, extra_size = _LOCAL.unpack(head)
        name = file.read(name_size)
        start = _LOCAL.size + name_size + extra_size
        if name.endswith(b"/data.pkl") and start < size:
            file.seek(start)
            try:
                storages, used = read_index(file, size - start)
            except UnpicklingError:
                pass
            else:
                prefix = len(name) - len("data.pkl")
                whole = start + used + _overhead(prefix, storages)
                if whole > size:
                    share = min(99, round(100 * size / whole))
                    return (
                        f"file is {share} % of its declared {human(whole)} (cut while writing or "
                        "downloading?)"
                    )
    return (
        f"file of {human(size)} starts like a checkpoint, but its end is missing (cut while "
        "writing or downloading?)"
    )


def _overhead(prefix: int, storages: dict[str, int]) -> int:
    """Bytes of an archive after its pickle: the storages, their headers, the directory."""
    total = 22
    small = {".format_version": 1, ".storage_alignment": 2, "byteorder": 6, "version": 2}
    small[".data/serialization_id"] = 40
    for record, size in [*small.items(), *((f"data/{k}", n) for k, n in storages.items())]:
        name = prefix + len(record)
        total += -(-(_LOCAL.size + name) // ALIGNMENT) * ALIGNMENT + size + 16 + 46 + name
    return total


def describe(file: Any) -> str:
    """What messages call a file."""
    name = getattr(file, "name", None)
    return repr(os.fspath(name)) if isinstance(name, str | os.PathLike) else "the given buffer"


def is_archive(file: BinaryIO) -> bool:
    """Whether a file starts as zip archives do; its position stays."""
    here = file.tell()
    head = file.read(len(MAGIC))
    file.seek(here)
    return head == MAGIC


def as_file(data: bytes | np.ndarray) -> BinaryIO:
    """Bytes as an open file."""
    return io.BytesIO(memoryview(data))
