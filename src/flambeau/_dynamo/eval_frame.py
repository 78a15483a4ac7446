"""``torch._dynamo.eval_frame``: the class of compiled modules, for ``isinstance``."""

from __future__ import annotations

from ..nn.modules._optimized import OptimizedModule

__all__ = ["OptimizedModule"]
