"""What ``save`` and ``load`` do unless told otherwise, as attributes of ``save`` and ``load``.

``load.mmap``            whether files are mapped into memory where ``mmap`` is not given
``load.mmap_flags``      MAP_PRIVATE or MAP_SHARED, as of ``set_default_mmap_options``
``load.endianness``      the byte order of files that do not say theirs
``save.compute_crc32``   whether each record gets a checksum
Source: https://docs.pytorch.org/docs/stable/notes/serialization.html
"""

from __future__ import annotations

from ..._missing import missing as _missing
from ...serialization._locations import options as _options


class _Settings:
    """Some of the options of files, by PyTorch's names."""

    def __init__(self, **names: str) -> None:
        object.__setattr__(self, "_names", names)

    def __getattr__(self, name: str) -> object:
        return getattr(_options, self._known(name))

    def __setattr__(self, name: str, value: object) -> None:
        setattr(_options, self._known(name), value)

    def _known(self, name: str) -> str:
        if name not in self._names:
            raise AttributeError(f"there is no setting {name!r}: {', '.join(self._names)}")
        return self._names[name]


load = _Settings(mmap="mmap", mmap_flags="mmap_flags", endianness="endianness")
save = _Settings(compute_crc32="crc32")


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
