"""``torch._dynamo.eval_frame``: the class of compiled modules, for ``isinstance``."""

from __future__ import annotations

from ..nn.modules.module import Module


class OptimizedModule(Module):
    """What PyTorch wraps a compiled module in; flambeau makes none."""
