"""``PostLocalSGDOptimizer``: each rank steps by itself, and parameters are averaged now and then.

Source: https://arxiv.org/abs/1808.07217
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ...core.value import Value
from ...optim.optimizer import Optimizer
from ..algorithms.model_averaging.averagers import ModelAverager


class PostLocalSGDOptimizer(Optimizer):
    """``optim``, whose parameters ``averager`` averages over the ranks when that is due."""

    def __init__(self, optim: Optimizer, averager: ModelAverager) -> None:
        self.__setstate__({})  # tables of hooks of its own
        self.optim = optim
        self.param_groups = optim.param_groups
        self.averager = averager

    @property
    def state(self) -> dict:
        """The state of ``optim``."""
        return self.optim.state

    def __repr__(self) -> str:
        return repr(self.optim)

    def state_dict(self) -> dict[str, Any]:
        """That of ``optim``, and the averager's ``step``."""
        return {**self.optim.state_dict(), "step": self.averager.step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take both; without a ``step``, the averager begins again, with a warning."""
        self.optim.load_state_dict(state_dict)
        self.param_groups = self.optim.param_groups
        if "step" not in state_dict:
            warnings.warn(
                "Loaded state dict does not contain a step counter for an averager. Setting step "
                "counter to 0.",
                stacklevel=2,
            )
        self.averager.step = state_dict.get("step", 0)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """A step of ``optim``, and an average if one is due."""
        loss = self.optim.step() if closure is None else self.optim.step(closure)
        self.averager.average_parameters(self.param_groups)
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """As of ``optim``."""
        self.optim.zero_grad(set_to_none)

    def add_param_group(self, param_group: dict[str, list[Value]]) -> None:
        """As of ``optim``."""
        self.optim.add_param_group(param_group)


__all__ = ["PostLocalSGDOptimizer"]
