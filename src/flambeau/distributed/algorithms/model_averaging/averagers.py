"""When to average parameters: every so many steps, after some without."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ..._group import ProcessGroup, the_group
from .utils import Groups, average_parameters_or_parameter_groups


class ModelAverager(ABC):
    """Counts steps; a subclass says when and how to average."""

    def __init__(self, process_group: ProcessGroup | None = None) -> None:
        self.process_group = the_group(process_group)
        self.step = 0

    @abstractmethod
    def average_parameters(self, params: Groups) -> None:
        """Average ``params`` if it is time, and count a step."""


class PeriodicModelAverager(ModelAverager):
    """Averages every ``period`` steps, from step ``warmup_steps`` on.

    ValueError for a negative number of steps without, or a period that is not positive.
    """

    def __init__(
        self, period: int, warmup_steps: int = 0, process_group: ProcessGroup | None = None
    ) -> None:
        super().__init__(process_group)
        if warmup_steps < 0:
            raise ValueError("Arg ``warmup_steps`` must be a non-negative number.")
        if period < 1:
            raise ValueError("Arg ``period`` must be a positive value.")
        self.warmup_steps = warmup_steps
        self.period = period

    def average_parameters(self, params: Groups) -> None:
        """See ModelAverager."""
        if self.step >= self.warmup_steps and (self.step - self.warmup_steps) % self.period == 0:
            average_parameters_or_parameter_groups(params, self.process_group)
        self.step += 1


__all__ = ["ModelAverager", "PeriodicModelAverager"]
