"""Names for annotations: ``torch.types``."""

from __future__ import annotations

import builtins
import os
from typing import IO, TypeAlias

from ._dtypes import dtype as _dtype_class
from ._missing import missing
from .storage import UntypedStorage
from .tensor._device import Size
from .tensor._device import device as _device_class

Number: TypeAlias = int | float | bool
Device: TypeAlias = _device_class | str | int | None
FileLike: TypeAlias = str | os.PathLike[str] | IO[bytes]
Storage = UntypedStorage
_size: TypeAlias = Size | list[int] | tuple[int, ...]
_dtype, _device = _dtype_class, _device_class
_int, _float, _bool, _complex = builtins.int, builtins.float, builtins.bool, builtins.complex


def __getattr__(name: str) -> object:
    raise missing(__name__, name, globals())
