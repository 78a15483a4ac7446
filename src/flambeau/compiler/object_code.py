"""Machine code from an object file, without LLVM: to load that library takes 30 ms, several times
as long as everything else that a kernel from the cache needs.

LLVM's code for x86-64 refers to functions and constants by 64-bit addresses (its large code model),
so that linking is to lay the sections out in memory and to write those addresses down. What is not
of that kind, an ELF file for x86-64 with no other relocations, is left to LLVM.
Source: System V ABI, AMD64 Architecture Processor Supplement, chapter 4.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
from collections.abc import Mapping

_IDENTITY = b"\x7fELF\x02\x01\x01"  # 64 bits, the lowest byte first
_RELOCATABLE, _X86_64 = 1, 62
_SECTION = struct.Struct("<IIQQQQIIQQ")  # name, type, flags, address, offset, size, link, info, ...
_SYMBOL = struct.Struct("<IBBHQQ")  # name, info, other, section, value, size
_RELOCATION = struct.Struct("<QQq")  # offset, symbol << 32 | type, addend
_SYMBOLS, _RELOCATIONS, _EMPTY, _UNWINDING = 2, 4, 8, 0x70000001  # types of sections
_WRITABLE, _IN_MEMORY = 1, 2  # flags of sections
_ADDRESS_64 = 1  # the type of relocation that is an address
_ABSOLUTE = 0xFFF1  # a symbol that belongs to no section


class Unknown(Exception):
    """The file holds what this loader does not know."""


def load(data: bytes, symbols: Mapping[str, int]) -> dict[str, int] | None:
    """The addresses of the functions of the object file ``data``, in memory that stays; None where
    LLVM has to load it. ``symbols``: addresses of functions that it calls, beside the C library's.
    """
    try:
        return _Linked(data, symbols).functions
    except (Unknown, AttributeError, OSError):  # the two are ctypes' for what is not there
        return None


class _Linked:
    def __init__(self, data: bytes, symbols: Mapping[str, int]) -> None:
        if data[:7] != _IDENTITY or data[16:20] != struct.pack("<HH", _RELOCATABLE, _X86_64):
            raise Unknown
        self.data = data
        (start,) = struct.unpack_from("<Q", data, 0x28)
        size, count = struct.unpack_from("<HH", data, 0x3A)
        self.sections = [_SECTION.unpack_from(data, start + k * size) for k in range(count)]
        self.library = ctypes.CDLL(None)
        places, length = self._places()
        base = self._memory(length)
        try:
            values = self._values({k: base + place for k, place in places.items()}, symbols)
            ctypes.memmove(base, bytes(self._image(places, length, values)), length)
            self._protect(base, length)
        except BaseException:
            self.library.munmap(ctypes.c_void_p(base), ctypes.c_size_t(length))
            raise

    def _places(self) -> tuple[dict[int, int], int]:
        """Where each section goes that is needed to run, from the start; how much all take."""
        places, end = {}, 0
        for k, (_, kind, flags, _, _, size, _, _, alignment, _) in enumerate(self.sections):
            if flags & _IN_MEMORY and kind != _UNWINDING and size:
                if flags & _WRITABLE:
                    raise Unknown
                places[k] = end = end + -end % max(alignment, 1)
                end += size
        return places, max(end, 1)

    def _values(self, sections: dict[int, int], symbols: Mapping[str, int]) -> list[int | None]:
        """The address of every symbol, None for those of no use here; notes the functions."""
        self.functions: dict[str, int] = {}
        values: list[int | None] = []
        for _, kind, _, _, offset, size, link, *_ in self.sections:
            if kind != _SYMBOLS:
                continue
            names = self.sections[link][4]
            table = self.data[offset : offset + size]
            for name, info, _, section, value, _ in _SYMBOL.iter_unpack(table):
                at = names + name
                text = self.data[at : self.data.index(b"\0", at)].decode()
                if section in sections:
                    values.append(sections[section] + value)
                    if info >> 4 and text:
                        self.functions[text] = values[-1]
                elif section == 0 and text:
                    values.append(symbols.get(text) or self._of_c(text))
                else:
                    values.append(value if section == _ABSOLUTE else None)
        return values

    def _image(self, places: dict[int, int], length: int, values: list[int | None]) -> bytearray:
        """What the memory is to hold: the sections, with the addresses written down in them."""
        image = bytearray(length)
        for k, place in places.items():
            _, kind, _, _, offset, size, *_ = self.sections[k]
            if kind != _EMPTY:
                image[place : place + size] = self.data[offset : offset + size]
        for _, kind, _, _, offset, size, _, target, *_ in self.sections:
            if kind != _RELOCATIONS or target not in places:
                continue
            table = self.data[offset : offset + size]
            for where, info, addend in _RELOCATION.iter_unpack(table):
                value = values[info >> 32]
                if info & 0xFFFFFFFF != _ADDRESS_64 or value is None:
                    raise Unknown
                struct.pack_into("<Q", image, places[target] + where, value + addend)
        return image

    def _of_c(self, name: str) -> int:
        return ctypes.cast(self.library[name], ctypes.c_void_p).value

    def _memory(self, length: int) -> int:
        """Fresh pages, which are never given back: nobody knows when code is not run any more."""
        reserve = self.library.mmap
        reserve.restype = ctypes.c_void_p
        reserve.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        kind = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        base = reserve(None, length, mmap.PROT_READ | mmap.PROT_WRITE, kind, -1, 0)
        if base in (None, ctypes.c_void_p(-1).value):
            raise Unknown
        return base

    def _protect(self, base: int, length: int) -> None:
        """From now on the pages can be run, and not be written to any more."""
        protect = self.library.mprotect
        protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        if protect(base, length, mmap.PROT_READ | mmap.PROT_EXEC):
            raise Unknown
