"""``torch._dynamo.external_utils``: whether anything is being traced (never)."""

from __future__ import annotations

from ..compiler.answers import is_compiling

__all__ = ["is_compiling"]
