"""``torch.__future__``: how modules exchange their tensors. Both are settings of PyTorch's that are
remembered and change nothing: a module gives its parameters new arrays either way."""

from __future__ import annotations

from ._missing import missing as _missing


class _Settings:
    overwrite = False
    swap = False


def set_overwrite_module_params_on_conversion(value: bool) -> None:
    """Remember whether conversions of a module should make new Parameters."""
    _Settings.overwrite = value


def get_overwrite_module_params_on_conversion() -> bool:
    """What ``set_overwrite_module_params_on_conversion`` was given."""
    return _Settings.overwrite


def set_swap_module_params_on_conversion(value: bool) -> None:
    """Remember whether conversions of a module should swap its tensors."""
    _Settings.swap = value


def get_swap_module_params_on_conversion() -> bool:
    """What ``set_swap_module_params_on_conversion`` was given."""
    return _Settings.swap


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
