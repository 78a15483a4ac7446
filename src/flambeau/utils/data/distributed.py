"""The sampler of data-parallel training: each process reads a share of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...core.generator import Generator
from ...distributed._group import get_rank, get_world_size
from ...tensor._random import randperm
from .dataset import Dataset
from .sampler import Sampler


class DistributedSampler(Sampler[int]):
    """Every ``num_replicas``-th key, from key ``rank`` on, of one order that all processes share.

    The order is random by ``seed + epoch`` where ``shuffle``; call ``set_epoch`` before each epoch.
    Both numbers are by default those of the process group (ValueError where there is none).
    All shares have one length: keys are repeated to fill the last, or left out if ``drop_last``.
    """

    def __init__(
        self,
        dataset: Dataset,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        if num_replicas is None:
            num_replicas = get_world_size()
        if rank is None:
            rank = get_rank()
        if rank >= num_replicas or rank < 0:
            raise ValueError(
                f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]"
            )
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        self.drop_last = drop_last
        n = len(dataset)
        if drop_last and n % num_replicas:
            self.num_samples = math.ceil((n - num_replicas) / num_replicas)
        else:
            self.num_samples = math.ceil(n / num_replicas)
        self.total_size = self.num_samples * num_replicas
        self.shuffle = shuffle
        self.seed = seed

    def __iter__(self) -> Iterator[int]:
        n = len(self.dataset)
        if self.shuffle:
            generator = Generator().manual_seed(self.seed + self.epoch)
            keys = randperm(n, generator=generator).tolist()
        else:
            keys = list(range(n))
        if self.drop_last:
            keys = keys[: self.total_size]
        elif keys:
            keys = (keys * math.ceil(self.total_size / n))[: self.total_size]
        return iter(keys[self.rank : self.total_size : self.num_replicas])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass use the order of ``epoch``."""
        self.epoch = epoch

    def state_dict(self) -> dict[str, int]:
        """``{"epoch": epoch}``, all that an order depends on beside the arguments."""
        return {"epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Take the epoch of ``state_dict``."""
        self.epoch = state_dict["epoch"]


__all__ = ["DistributedSampler"]
