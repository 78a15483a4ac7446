"""The layer that mixes the channels of groups."""

from __future__ import annotations

from ...core.value import Value
from .. import functional as F
from .module import Module


class ChannelShuffle(Module):
    """(N, C, *): the channels of ``groups`` groups, one of each in turn (Zhang et al. 2018)."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Value) -> Value:
        """The same channels in another order."""
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"


__all__ = ["ChannelShuffle"]
