"""``Join``: ranks that have different numbers of batches.

A rank whose batches are used up goes on taking part in the collectives of the others, with what
changes nothing, until all have come to the end. What has collectives of its own in every iteration
(DistributedDataParallel, ZeroRedundancyOptimizer) is a ``Joinable``: it says what its shadow does.
Source: https://docs.pytorch.org/docs/stable/distributed.algorithms.join.html
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core.value import wrap
from ...tensor._device import device
from .._collectives import ReduceOp, all_reduce
from .._group import ProcessGroup


def _counted(number: int, group: ProcessGroup) -> int:
    """The sum of ``number`` over the ranks of ``group``."""
    total = wrap(np.array([number], np.int64))
    all_reduce(total, group=group)
    return int(total.item())


class JoinHook:
    """What a rank that has joined does instead of an iteration, and when all have joined."""

    def main_hook(self) -> None:
        """The collectives of one iteration, with what changes nothing on the other ranks."""

    def post_hook(self, is_last_joiner: bool) -> None:
        """Called once all ranks have joined; ``is_last_joiner``: this rank was among the last."""


class _JoinConfig:
    """What a Joinable has been told by the ``Join`` it is in."""

    def __init__(
        self,
        enable: bool = False,
        throw_on_early_termination: bool = False,
        is_first_joinable: bool = False,
    ) -> None:
        self.enable = enable
        self.throw_on_early_termination = throw_on_early_termination
        self.is_first_joinable = is_first_joinable


class Joinable(ABC):
    """What takes part in a ``Join``. Its iterations call ``Join.notify_join_context(self)`` before
    their first collective."""

    @abstractmethod
    def __init__(self) -> None:
        super().__init__()
        self._join_config = _JoinConfig()

    @abstractmethod
    def join_hook(self, **kwargs: Any) -> JoinHook:
        """The hook; ``kwargs`` are those of ``Join``."""

    @property
    @abstractmethod
    def join_device(self) -> device:
        """Where the collectives of ``Join`` take place."""

    @property
    @abstractmethod
    def join_process_group(self) -> ProcessGroup:
        """The ranks that join."""


class Join:
    """``with Join([model, optimizer]): for batch in batches: ...``: batches may run out earlier on
    some ranks than on others.

    ``enable``: False where the numbers are known to be the same. ``throw_on_early_termination``:
    RuntimeError on all ranks as soon as one has run out. Other keywords go to the hooks.
    ValueError for joinables of several groups, or for what is none.
    """

    def __init__(
        self,
        joinables: Sequence[Joinable],
        enable: bool = True,
        throw_on_early_termination: bool = False,
        **kwargs: Any,
    ) -> None:
        if not joinables:
            raise ValueError("The join context manager requires at least one joinable")
        for joinable in joinables:
            if not hasattr(joinable, "join_hook"):
                raise TypeError(
                    f"Join: every joinable is an instance of Joinable, {type(joinable).__name__} "
                    "is none"
                )
        groups = {id(j.join_process_group): j.join_process_group for j in joinables}
        if len(groups) > 1:
            raise ValueError("Using join context manager with multiple process groups")
        self._joinables = list(joinables)
        self._hooks = [j.join_hook(**kwargs) for j in joinables]
        (self._group,) = groups.values()
        # A group of one has nobody to wait for.
        self._enable = enable and self._group is not None and self._group.size() > 1
        self._throws = throw_on_early_termination
        for i, joinable in enumerate(self._joinables):
            joinable._join_config = _JoinConfig(
                self._enable, self._throws and self._enable, self._enable and i == 0
            )

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if not self._enable or kind is not None:
            self._release()
            return
        last, rounds = True, 0
        try:
            while _counted(0, self._group):
                last = False
                if self._throws:
                    _counted(1, self._group)
                    raise RuntimeError(
                        f"Rank {self._group.rank()} exhausted all inputs.\n"
                        "  throw_on_early_termination=True asks to stop where ranks have different "
                        "numbers of batches"
                    )
                rounds += 1
                if rounds == 1000:
                    warnings.warn(
                        "Detected uneven input skew of greater than 1000. This means that rank "
                        f"{self._group.rank()} has at least 1000 fewer inputs than other currently "
                        "active ranks. This level of skew could lead to performance degradation "
                        "during training.",
                        stacklevel=2,
                    )
                for hook in self._hooks:
                    hook.main_hook()
            for hook in self._hooks:
                hook.post_hook(last)
        finally:
            self._release()

    def _release(self) -> None:
        for joinable in self._joinables:
            joinable._join_config = _JoinConfig()

    @staticmethod
    def notify_join_context(joinable: Joinable) -> int | None:
        """Tell the ranks that have joined that this one goes on; how many do. None where
        ``joinable`` is not the first of a ``Join``. RuntimeError where one has run out and
        ``throw_on_early_termination`` was asked for."""
        if not hasattr(joinable, "_join_config"):
            raise AssertionError(
                f"Check that the {type(joinable)} constructor calls the ``Joinable`` constructor"
            )
        config = joinable._join_config
        if not config.is_first_joinable or not config.enable:
            return None
        group = joinable.join_process_group
        active = _counted(1, group)
        if config.throw_on_early_termination and active < group.size():
            _counted(0, group)
            raise RuntimeError(
                "Detected at least one rank that exhausted inputs. Throwing across all ranks."
            )
        return active


def common_rank(group: ProcessGroup, candidate: bool) -> int:
    """A rank that all agree on among those that are candidates. ValueError if there is none."""
    best = wrap(np.array([group.rank() if candidate else -1], np.int64))
    all_reduce(best, ReduceOp.MAX, group)
    found = int(best.item())
    if found < 0:
        raise ValueError("BUG! Expected rank_cond to be true for at least one process.")
    return found


__all__ = ["Join", "JoinHook", "Joinable"]
