"""``torch._dynamo.utils``: PyTorch's counters of traced frames, all of them zero."""

from __future__ import annotations

import collections

counters: collections.defaultdict = collections.defaultdict(collections.Counter)


def compile_times(repr: str = "str", aggregate: bool = False) -> str | tuple[list, list]:
    """How long PyTorch's tracer took: it is not there, and took none."""
    return "" if repr == "str" else ([], [])
