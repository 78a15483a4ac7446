"""``torch.__config__``: what the library runs on, as ``flambeau doctor`` tells it."""

from __future__ import annotations

from . import _doctor
from ._missing import missing as _missing


def show() -> str:
    """Versions, the BLAS and its kernels, the processor, as text."""
    return _doctor.report()


def parallel_info() -> str:
    """How many threads compute, as text."""
    return "\n".join(_doctor._threads())


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
