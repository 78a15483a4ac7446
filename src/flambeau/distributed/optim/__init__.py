"""``torch.distributed.optim``: optimizers that several processes run together.

Source: https://docs.pytorch.org/docs/stable/distributed.optim.html
"""

from __future__ import annotations

from ..._missing import missing as _missing
from ..._refusals import refused as _refused
from .post_localSGD_optimizer import PostLocalSGDOptimizer
from .zero_redundancy_optimizer import ZeroRedundancyOptimizer

__all__ = ["DistributedOptimizer", "PostLocalSGDOptimizer", "ZeroRedundancyOptimizer"]
DistributedOptimizer = _refused(
    "torch.distributed.optim", "DistributedOptimizer",
    "processes talk through the collectives of torch.distributed alone",
)["DistributedOptimizer"]  # fmt: skip


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
