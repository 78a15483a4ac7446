"""``torch._dynamo.eval_frame``: the class of compiled modules, for ``isinstance``."""

from __future__ import annotations

from ..nn.modules._optimized import OptimizedModule


def is_dynamo_supported() -> bool:
    """Whether programs can be compiled here: they can, by flambeau's own compiler."""
    return True


__all__ = ["OptimizedModule", "is_dynamo_supported"]
