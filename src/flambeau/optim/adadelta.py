"""Adadelta."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.value import Value
from .optimizer import (
    Optimizer,
    Params,
    check_learning_rate,
    check_options,
    next_step,
    option,
    step_count,
    zeros_for,
)


class Adadelta(Optimizer):
    r"""Steps in the proportion of earlier steps to the gradients, both as running mean squares.

    v = rho v + (1 - rho) g^2;  d = sqrt(u + eps) / sqrt(v + eps) g;
    u = rho u + (1 - rho) d^2;  p = p - lr d. ``weight_decay`` w: g = grad + w p.
    Source: https://arxiv.org/abs/1212.5701, https://docs.pytorch.org/docs/stable/generated/torch.optim.Adadelta.html
    """

    def __init__(
        self,
        params: Params,
        lr: float | Value = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_learning_rate(lr)
        check_options(
            rho_value=(rho, 0.0 <= rho <= 1.0),
            epsilon_value=(eps, eps >= 0.0),
            weight_decay_value=(weight_decay, weight_decay >= 0.0),
        )
        super().__init__(
            params,
            {
                "lr": lr,
                "rho": rho,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "capturable": capturable,
                "foreach": foreach,
                "differentiable": differentiable,
            },
        )

    def _start(self, p: np.ndarray, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": step_count(), "square_avg": zeros_for(p), "acc_delta": zeros_for(p)}

    def _formula(
        self, p: np.ndarray, group: dict[str, Any], state: dict[str, Any]
    ) -> tuple[Callable[..., None], tuple[str, ...]]:
        next_step(state)
        lr, rho, eps = option(group["lr"]), group["rho"], group["eps"]
        decay, maximize = group["weight_decay"], group["maximize"]

        def change(p: np.ndarray, g: np.ndarray, v: np.ndarray, u: np.ndarray) -> None:
            if maximize:
                g = -g
            if decay:
                g = g + decay * p
            d = g * g
            d *= 1 - rho
            v *= rho
            v += d
            root = v + eps
            np.sqrt(root, out=root)
            np.add(u, eps, out=d)
            np.sqrt(d, out=d)
            d /= root
            d *= g
            np.multiply(d, d, out=root)
            root *= 1 - rho
            u *= rho
            u += root
            d *= lr
            p -= d

        return change, ("square_avg", "acc_delta")


__all__ = ["Adadelta"]
