"""Adamax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.value import Value
from .optimizer import (
    Optimizer,
    Params,
    check_betas,
    check_learning_rate,
    check_options,
    next_step,
    option,
    step_count,
    zeros_for,
)


class Adamax(Optimizer):
    r"""Adam with the largest recent gradient in the place of the root of the mean square.

    m = b1 m + (1 - b1) g;  u = max(b2 u, |g| + eps);  p = p - lr / (1 - b1^t) m / u.
    ``weight_decay`` w: g = grad + w p. ``maximize`` climbs instead.
    Source: https://arxiv.org/abs/1412.6980, https://docs.pytorch.org/docs/stable/generated/torch.optim.Adamax.html
    """

    def __init__(
        self,
        params: Params,
        lr: float | Value = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_learning_rate(lr)
        check_options(epsilon_value=(eps, eps >= 0.0))
        check_betas(betas)
        check_options(weight_decay_value=(weight_decay, weight_decay >= 0.0))
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _start(self, p: np.ndarray, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": step_count(), "exp_avg": zeros_for(p), "exp_inf": zeros_for(p)}

    def _formula(
        self, p: np.ndarray, group: dict[str, Any], state: dict[str, Any]
    ) -> tuple[Callable[..., None], tuple[str, ...]]:
        beta1, beta2 = group["betas"]
        step = option(group["lr"]) / (1 - beta1 ** next_step(state))
        eps, decay, maximize = group["eps"], group["weight_decay"], group["maximize"]

        def change(p: np.ndarray, g: np.ndarray, m: np.ndarray, u: np.ndarray) -> None:
            if maximize:
                g = -g
            if decay:
                g = g + decay * p
            d = g - m
            d *= 1 - beta1
            m += d
            np.absolute(g, out=d)
            d += eps
            u *= beta2
            np.maximum(u, d, out=u)
            np.divide(m, u, out=d)
            d *= step
            p -= d

        return change, ("exp_avg", "exp_inf")


__all__ = ["Adamax"]
