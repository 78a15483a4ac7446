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


def _jit_setting(enabled: bool) -> bool:
    """Accepted: a switch of TorchScript's, which is off and stays so; what it was."""
    return False


_jit_set_profiling_mode = _jit_set_profiling_executor = _jit_setting
_jit_override_can_fuse_on_cpu = _jit_override_can_fuse_on_gpu = _jit_setting
_jit_set_texpr_fuser_enabled = _jit_set_nvfuser_enabled = _jit_set_autocast_mode = _jit_setting


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
