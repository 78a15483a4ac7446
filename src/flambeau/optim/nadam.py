"""NAdam."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.value import Value
from ._means import followed, update_means
from .optimizer import (
    Optimizer,
    Params,
    check_betas,
    check_learning_rate,
    check_options,
    next_step,
    option,
    scalar,
    step_count,
    zeros_for,
)


class NAdam(Optimizer):
    r"""Adam with Nesterov's momentum, which grows over the first steps.

    mu_t = b1 (1 - 0.96^(t momentum_decay) / 2);  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
    m' = mu_(t+1) m / (1 - mu_1 ... mu_(t+1)) + (1 - mu_t) g / (1 - mu_1 ... mu_t);
    p = p - lr m' / (sqrt(v / (1 - b2^t)) + eps).
    ``weight_decay`` w: g = grad + w p, or p = p (1 - lr w) with ``decoupled_weight_decay``.
    Source: https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ, https://docs.pytorch.org/docs/stable/generated/torch.optim.NAdam.html
    """

    def __init__(
        self,
        params: Params,
        lr: float | Value = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_learning_rate(lr)
        check_options(epsilon_value=(eps, eps >= 0.0))
        check_betas(betas)
        check_options(
            weight_decay_value=(weight_decay, weight_decay >= 0.0),
            momentum_decay_value=(momentum_decay, momentum_decay >= 0.0),
        )
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
            },
        )

    def _start(self, p: np.ndarray, group: dict[str, Any]) -> dict[str, Any]:
        return {
            "step": step_count(),
            "mu_product": scalar(1.0),
            "exp_avg": zeros_for(p),
            "exp_avg_sq": zeros_for(p),
        }

    def _formula(
        self, p: np.ndarray, group: dict[str, Any], state: dict[str, Any]
    ) -> tuple[Callable[..., None], tuple[str, ...]]:
        t = next_step(state)
        lr, decay, maximize = option(group["lr"]), group["weight_decay"], group["maximize"]
        beta1, beta2 = group["betas"]
        decoupled = group["decoupled_weight_decay"]
        mu, mu_next = (
            beta1 * (1 - 0.5 * 0.96 ** (when * group["momentum_decay"])) for when in (t, t + 1)
        )
        product = state["mu_product"]._array
        product *= mu
        scale = (1 - beta2**t) ** 0.5
        of_g = lr * scale * (1 - mu) / (1 - product.item())
        of_m = lr * scale * mu_next / (1 - product.item() * mu_next)
        eps = group["eps"] * scale

        def change(p: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray) -> None:
            g = followed(p, g, lr, decay, decoupled, maximize)
            d = update_means(g, m, v, beta1, beta2)
            np.sqrt(v, out=d)
            d += eps
            ahead = of_g * g
            ahead += of_m * m
            ahead /= d
            p -= ahead

        return change, ("exp_avg", "exp_avg_sq")


__all__ = ["NAdam"]
