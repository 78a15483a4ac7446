"""Files: ``save`` and ``load`` in PyTorch's format, and safetensors.

``save`` replaces a file whole or not at all; ``load`` runs nothing that a file holds, unless it
is told to trust it. docs/files.md describes both.
Source: https://docs.pytorch.org/docs/stable/notes/serialization.html
"""

from __future__ import annotations

import os as _os
import tempfile as _tempfile
from collections.abc import Callable as _Callable
from types import ModuleType as _ModuleType
from typing import IO as _IO

from .._missing import missing as _missing
from ..tensor._device import device as _device
from ..tensor._storage import UntypedStorage as _UntypedStorage
from ._load import get_unsafe_globals_in_checkpoint, load
from ._locations import *  # noqa: F403
from ._names import add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals
from ._rebuild import StorageType
from ._save import save
from ._tensors import load_safetensors, read_safetensors, save_safetensors, write_safetensors

#: What ``map_location`` may be: for annotations.
MAP_LOCATION = (
    _Callable[[_UntypedStorage, str], _UntypedStorage] | _device | str | dict[str, str] | None
)
mkdtemp = _tempfile.TemporaryDirectory
DEFAULT_PROTOCOL = 2  # of pickles


class SourceChangeWarning(Warning):
    """The source of a saved class has changed since: PyTorch's, never raised here."""


def check_module_version_greater_or_equal(
    module: _ModuleType, req_version_tuple: tuple[int, ...], error_if_malformed: bool = True
) -> bool:
    """Whether ``module.__version__`` is at least ``req_version_tuple``.

    RuntimeError for a version that is not made of numbers, if ``error_if_malformed``; without it
    such a version is good enough.
    """
    try:
        parts = zip(module.__version__.split("."), req_version_tuple)
        return tuple(type(wanted)(part) for part, wanted in parts) >= req_version_tuple
    except (ValueError, AttributeError):
        if error_if_malformed:
            raise RuntimeError(
                f"'{module.__name__}' module version is malformed string: "
                f"{getattr(module, '__version__', None)}"
            ) from None
        return True


MAP_LOCATION = _Callable[[_UntypedStorage, str], _UntypedStorage] | _device | str | dict | None
FILE_LIKE = str | _os.PathLike | _IO[bytes]


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
