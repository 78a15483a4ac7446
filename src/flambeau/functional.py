"""``torch.functional``: functions that PyTorch keeps there, and that its root has, too."""

from __future__ import annotations

from ._missing import missing as _missing
from .functions.distances import cdist
from .functions.einsum import einsum
from .functions.linear_algebra import lu
from .functions.products import chain_matmul, tensordot
from .functions.shape import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    block_diag,
    broadcast_shapes,
    broadcast_tensors,
    cartesian_prod,
    meshgrid,
)
from .functions.short_time import stft
from .ops.gathering import unravel_index
from .ops.norms import norm
from .ops.pieces import split
from .ops.searching import unique, unique_consecutive

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "broadcast_shapes",
    "broadcast_tensors", "cartesian_prod", "cdist", "chain_matmul", "einsum", "lu", "meshgrid",
    "norm", "split", "stft", "tensordot", "unique", "unique_consecutive", "unravel_index",
]  # fmt: skip


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
