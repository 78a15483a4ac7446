"""RMSprop."""

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


class RMSprop(Optimizer):
    r"""Steps divided by the root of a running mean square of the gradient.

    v = alpha v + (1 - alpha) g^2;  d = g / (sqrt(v) + eps), or with ``centered``
    a = alpha a + (1 - alpha) g, d = g / (sqrt(v - a^2) + eps);
    p = p - lr d, or with ``momentum`` b = momentum b + d, p = p - lr b.
    ``weight_decay`` w: g = grad + w p. ``maximize`` climbs instead.
    Source: https://arxiv.org/abs/1308.0850, https://docs.pytorch.org/docs/stable/generated/torch.optim.RMSprop.html
    """

    def __init__(
        self,
        params: Params,
        lr: float | Value = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_learning_rate(lr)
        check_options(
            epsilon_value=(eps, eps >= 0.0),
            momentum_value=(momentum, momentum >= 0.0),
            weight_decay_value=(weight_decay, weight_decay >= 0.0),
            alpha_value=(alpha, alpha >= 0.0),
        )
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "capturable": capturable,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
            },
        )

    def _start(self, p: np.ndarray, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": step_count(), **{name: zeros_for(p) for name in self._names(group)}}

    def _names(self, group: dict[str, Any]) -> list[str]:
        names = ["square_avg"]
        if group["momentum"] > 0:
            names.append("momentum_buffer")
        if group["centered"]:
            names.append("grad_avg")
        return names

    def _formula(
        self, p: np.ndarray, group: dict[str, Any], state: dict[str, Any]
    ) -> tuple[Callable[..., None], tuple[str, ...]]:
        next_step(state)
        lr, alpha, eps = option(group["lr"]), group["alpha"], group["eps"]
        decay, maximize = group["weight_decay"], group["maximize"]
        momentum, centered = group["momentum"], group["centered"]

        def change(p: np.ndarray, g: np.ndarray, v: np.ndarray, *more: np.ndarray) -> None:
            if maximize:
                g = -g
            if decay:
                g = g + decay * p
            d = g * g
            d *= 1 - alpha
            v *= alpha
            v += d
            if centered:
                mean = more[-1]
                np.subtract(g, mean, out=d)
                d *= 1 - alpha
                mean += d
                np.multiply(mean, mean, out=d)
                np.subtract(v, d, out=d)
                np.sqrt(d, out=d)
            else:
                np.sqrt(v, out=d)
            d += eps
            np.divide(g, d, out=d)
            if momentum > 0:
                b = more[0]
                b *= momentum
                b += d
                np.multiply(b, lr, out=d)
            else:
                d *= lr
            p -= d

        return change, tuple(self._names(group))


__all__ = ["RMSprop"]
