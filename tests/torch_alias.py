"""The name ``torch`` for flambeau while a test imports a program, beside PyTorch itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from flambeau import compat


@contextmanager
def torch_means_flambeau() -> Iterator[None]:
    """PyTorch, which another test of the process may have imported, steps aside meanwhile."""
    before = {n: m for n, m in sys.modules.items() if n == "torch" or n.startswith("torch.")}
    for name in before:
        del sys.modules[name]
    compat.install()
    try:
        yield
    finally:
        compat.uninstall()
        sys.modules.update(before)
