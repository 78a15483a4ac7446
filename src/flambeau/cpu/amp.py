"""``torch.cpu.amp``: the older spelling of ``torch.amp`` for the CPU."""

from __future__ import annotations

from .. import amp
from .._dtypes import bfloat16
from .._dtypes import dtype as _dtype


class autocast(amp.autocast):
    """``torch.autocast("cpu", ...)``."""

    def __init__(
        self, enabled: bool = True, dtype: _dtype = bfloat16, cache_enabled: bool = True
    ) -> None:
        super().__init__("cpu", dtype, enabled, cache_enabled)


class GradScaler(amp.GradScaler):
    """``torch.amp.GradScaler("cpu", ...)``."""

    def __init__(
        self,
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        super().__init__("cpu", init_scale, growth_factor, backoff_factor, growth_interval, enabled)


__all__ = ["GradScaler", "autocast"]
