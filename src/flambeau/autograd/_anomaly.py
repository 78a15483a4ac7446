"""Anomaly mode: every node remembers its forward call, and NaN gradients stop the backward."""

from __future__ import annotations

import warnings

from ..core.tape import Anomaly


class detect_anomaly:
    """Context manager: errors and NaN in backward name the forward call that made the node."""

    def __init__(self, check_nan: bool = True) -> None:
        self.before = (Anomaly.enabled, Anomaly.check_nan)
        self.check_nan = check_nan
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should "
            "only be enabled for debugging.",
            stacklevel=2,
        )

    def __enter__(self) -> None:
        self.before = (Anomaly.enabled, Anomaly.check_nan)
        _switch(True, self.check_nan)

    def __exit__(self, *error: object) -> None:
        _switch(*self.before)


def _switch(mode: bool, check_nan: bool = True) -> None:
    """Switch anomaly mode on or off."""
    Anomaly.enabled, Anomaly.check_nan = bool(mode), check_nan


class set_detect_anomaly:
    """Switches anomaly mode when called; undone at the end if used as a context manager."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.before = (Anomaly.enabled, Anomaly.check_nan)
        _switch(mode, check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        _switch(*self.before)


def is_anomaly_enabled() -> bool:
    """Whether anomaly mode is on."""
    return Anomaly.enabled


def is_anomaly_check_nan_enabled() -> bool:
    """Whether anomaly mode looks for NaN."""
    return Anomaly.check_nan
