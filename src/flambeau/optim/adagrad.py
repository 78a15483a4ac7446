"""Adagrad."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.value import Value, wrap
from .optimizer import (
    Optimizer,
    Params,
    check_fused,
    check_learning_rate,
    check_options,
    next_step,
    option,
    step_count,
)


class Adagrad(Optimizer):
    r"""Steps divided by the root of all squared gradients so far.

    s = s + g^2;  p = p - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps).
    ``weight_decay`` w: g = grad + w p. The state is there from the beginning.
    Source: https://jmlr.org/papers/v12/duchi11a.html, https://docs.pytorch.org/docs/stable/generated/torch.optim.Adagrad.html
    """

    def __init__(
        self,
        params: Params,
        lr: float | Value = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_learning_rate(lr)
        check_options(
            lr_decay_value=(lr_decay, lr_decay >= 0.0),
            weight_decay_value=(weight_decay, weight_decay >= 0.0),
        )
        if not initial_accumulator_value >= 0.0:
            raise ValueError(
                f"Invalid initial_accumulator_value value: {initial_accumulator_value}"
            )
        check_options(epsilon_value=(eps, eps >= 0.0))
        check_fused(fused, foreach, differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "fused": fused,
            },
        )
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p] = {k: wrap(v) for k, v in self._start(p._array, group).items()}

    def share_memory(self) -> None:
        """Put the sums into memory shared between processes."""
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["sum"].share_memory_()

    def _start(self, p: np.ndarray, group: dict[str, Any]) -> dict[str, Any]:
        first = group["initial_accumulator_value"]
        if p.dtype.kind == "c":
            first = complex(first, first)
        return {"step": step_count(), "sum": np.full_like(p, first)}

    def _formula(
        self, p: np.ndarray, group: dict[str, Any], state: dict[str, Any]
    ) -> tuple[Callable[..., None], tuple[str, ...]]:
        step = option(group["lr"]) / (1 + (next_step(state) - 1) * group["lr_decay"])
        eps, decay, maximize = group["eps"], group["weight_decay"], group["maximize"]

        def change(p: np.ndarray, g: np.ndarray, s: np.ndarray) -> None:
            if maximize:
                g = -g
            if decay:
                g = g + decay * p
            d = g * g
            s += d
            np.sqrt(s, out=d)
            d += eps
            np.divide(g, d, out=d)
            d *= step
            p -= d

        return change, ("sum",)


__all__ = ["Adagrad"]
