"""``torch.distributed`` for one process: a group of one is what there is yet.

``init_process_group`` with a world size of 1 makes a group whose collectives do what they do for
one rank: a sum over one is what it was, a gathered list has one entry. A program written for many
processes runs unchanged in one, ``DistributedDataParallel`` and ``DistributedSampler`` included.
More than one process raises NotImplementedError. What shards models or calls other machines
(``fsdp``, ``tensor``, ``rpc`` ...) can be imported and asked about; calling it raises.

Source: https://docs.pytorch.org/docs/stable/distributed.html
"""

from __future__ import annotations

from .._missing import missing as _missing
from . import _not_yet
from ._collectives import *  # noqa: F403
from ._collectives import __all__ as _collectives_all
from ._collectives import _all_gather_base, _reduce_scatter_base
from ._group import *  # noqa: F403
from ._group import __all__ as _group_all

__all__ = [*_collectives_all, *_group_all]


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
