"""``torch.jit.annotations``: types that TorchScript reads, as plain annotations."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple, Union  # noqa: UP035  (names that programs import)

from .._missing import missing as _missing


class _BroadcastingList:
    """``BroadcastingList2[int]``: a list of two, or one number that stands for both."""

    def __getitem__(self, types: object) -> None:
        return


BroadcastingList1 = BroadcastingList2 = BroadcastingList3 = _BroadcastingList()
BroadcastingList4 = BroadcastingList5 = BroadcastingList6 = BroadcastingList1

__all__ = ["Dict", "List", "Optional", "Tuple", "Union"]


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
