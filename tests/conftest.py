"""What holds for every test: an interrupt interrupts, and what compares with PyTorch needs it."""

from __future__ import annotations

import importlib.util
import signal

import pytest

PYTORCH = importlib.util.find_spec("torch") is not None


def pytest_configure() -> None:
    # In the background of a script SIGINT is ignored, and so it would be in the child processes
    # that tests interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("torch") and not PYTORCH:
        pytest.skip("PyTorch is not installed: nothing to compare with")
