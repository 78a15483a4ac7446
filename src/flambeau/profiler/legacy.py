"""``torch.autograd.profiler``: the profiler as PyTorch had it before ``torch.profiler``.

Source: https://docs.pytorch.org/docs/stable/autograd.html#profiler
"""

from __future__ import annotations

from typing import Any

from .._missing import missing as _missing
from . import EventList, FunctionEvent, record_function
from . import profile as _profile


class profile(_profile):
    """Records what runs within; ``enabled=False``: nothing. The other options as there."""

    def __init__(
        self,
        enabled: bool = True,
        *,
        use_cuda: bool = False,
        use_device: str | None = None,
        record_shapes: bool = False,
        with_flops: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_modules: bool = False,
        use_kineto: bool = False,
        use_cpu: bool = True,
        acc_events: bool = False,
    ) -> None:
        super().__init__(record_shapes=record_shapes)
        self.enabled = enabled

    def start(self) -> None:
        """Begin, if enabled."""
        if self.enabled:
            super().start()

    def table(self, *args: Any, **kwargs: Any) -> str:
        """The table of all events: see ``key_averages().table``, which has one line for each
        operation."""
        return self.events().table(*args, **kwargs)


class emit_nvtx:
    """Would mark operations for NVIDIA's profiler: a scope that marks nothing."""

    def __init__(self, enabled: bool = True, record_shapes: bool = False) -> None:
        self.enabled = enabled

    def __enter__(self) -> emit_nvtx:
        return self

    def __exit__(self, *error: object) -> None:
        pass


emit_itt = emit_nvtx
_is_profiler_enabled = False

__all__ = ["emit_itt", "emit_nvtx", "EventList", "FunctionEvent", "profile", "record_function"]


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
