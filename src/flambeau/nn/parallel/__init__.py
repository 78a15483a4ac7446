"""A module over several devices.

Source: https://docs.pytorch.org/docs/stable/nn.html#dataparallel-layers-multi-gpu-distributed
"""

from __future__ import annotations

from ..._missing import missing as _missing
from .data_parallel import DataParallel, data_parallel, gather, parallel_apply, replicate, scatter
from .distributed import DistributedDataParallel


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
