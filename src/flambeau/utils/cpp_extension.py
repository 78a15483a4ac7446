"""``torch.utils.cpp_extension``: extensions in C++ or CUDA cannot be built against flambeau.

Source: https://docs.pytorch.org/docs/stable/cpp_extension.html
"""

from __future__ import annotations

from typing import Any, NoReturn

from .._missing import missing as _missing

#: Where CUDA's compiler is: nowhere, for flambeau.
CUDA_HOME: str | None = None
ROCM_HOME: str | None = None
IS_HIP_EXTENSION = False


def _refuse(name: str) -> NoReturn:
    raise NotImplementedError(
        f"torch.utils.cpp_extension.{name} is not supported: flambeau is Python and has no C++ "
        "interface to build extensions against\n"
        "  write the operation with torch.autograd.Function; torch.compile makes it machine code"
    )


def load(name: str, sources: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Refused: NotImplementedError."""
    _refuse("load")


def load_inline(name: str, *args: Any, **kwargs: Any) -> NoReturn:
    """Refused: NotImplementedError."""
    _refuse("load_inline")


def CppExtension(name: str, sources: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Refused: NotImplementedError."""
    _refuse("CppExtension")


def CUDAExtension(name: str, sources: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Refused: NotImplementedError."""
    _refuse("CUDAExtension")


def include_paths(*args: Any, **kwargs: Any) -> NoReturn:
    """Refused: NotImplementedError."""
    _refuse("include_paths")


class BuildExtension:
    """The setuptools command that builds extensions: cannot be made. NotImplementedError."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse("BuildExtension")

    @classmethod
    def with_options(cls, **options: Any) -> type[BuildExtension]:
        """The class: nothing is built with these options."""
        return cls


__all__ = [
    "CUDA_HOME", "BuildExtension", "CUDAExtension", "CppExtension", "include_paths", "load",
    "load_inline",
]  # fmt: skip


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
