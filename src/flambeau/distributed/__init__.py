"""``torch.distributed``: processes, on one machine or several, that train one model.

``init_process_group`` makes the group of all; its collectives go through one hub, in a thread of
rank 0 (``_hub.py``). ``DistributedDataParallel`` and ``DistributedSampler`` stand on it, and
``python -m torch.distributed.run`` (``torchrun``) starts the processes. A group of one needs
nothing of this. What shards models or calls functions of other processes (``fsdp``, ``tensor``,
``rpc`` ...) can be imported and asked about; calling it raises.

Source: https://docs.pytorch.org/docs/stable/distributed.html
"""

from __future__ import annotations

from .._missing import missing as _missing
from . import _not_yet, algorithms
from ._collectives import *  # noqa: F403
from ._collectives import __all__ as _collectives_all
from ._collectives import _all_gather_base, _reduce_scatter_base
from ._exchange import DistBackendError, DistError, DistNetworkError
from ._group import *  # noqa: F403
from ._group import __all__ as _group_all

__all__ = [
    "DistBackendError", "DistError", "DistNetworkError", *_collectives_all, *_group_all,
]  # fmt: skip


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
