"""Watching a program while it runs: silent mistakes, the first number that is none.

``flambeau.check`` and ``flambeau.nan_guard``; ``_where`` finds the line and the module of an
operation, for ``flambeau.profile`` too.
"""

from __future__ import annotations

from ._check import CheckWarning, check
from ._nan_guard import nan_guard

__all__ = ["CheckWarning", "check", "nan_guard"]
