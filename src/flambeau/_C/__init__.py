"""Where PyTorch keeps what it compiled: the names under which its pickles, and some programs,
look for functions. There is nothing compiled here."""

from __future__ import annotations

from .._missing import missing as _missing
from . import _nn


def _get_tracing_state() -> None:
    """What ``torch.jit.trace`` is tracing: nothing, it runs plain Python."""
    return


def _log_api_usage_once(event: str) -> None:
    """Accepted: nothing is reported to anybody."""


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
