"""``torch._dynamo.utils``: PyTorch's counters of traced frames, all of them zero."""

from __future__ import annotations

import collections

counters: collections.defaultdict = collections.defaultdict(collections.Counter)


def compile_times(repr: str = "str", aggregate: bool = False) -> str | tuple[list, list]:
    """How long PyTorch's tracer took: it is not there, and took none."""
    return "" if repr == "str" else ([], [])


def is_compile_supported(device_type: str) -> bool:
    """Whether ``torch.compile`` makes faster what runs on devices of a kind: on the CPU."""
    return device_type.partition(":")[0] == "cpu"
