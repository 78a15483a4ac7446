"""RAdam."""

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
    step_count,
    zeros_for,
)


class RAdam(Optimizer):
    r"""Adam that leaves out the division while the mean square is still of high variance.

    m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  R = 2 / (1 - b2) - 1;
    r = R - 2 t b2^t / (1 - b2^t). Where r > 5: p = p - lr m / (1 - b1^t) l rect, with
    l = sqrt(1 - b2^t) / (sqrt(v) + eps), rect = sqrt((r-4)(r-2) R / ((R-4)(R-2) r));
    before, p = p - lr m / (1 - b1^t).
    ``weight_decay`` w: g = grad + w p, or p = p (1 - lr w) with ``decoupled_weight_decay``.
    Source: https://arxiv.org/abs/1908.03265, https://docs.pytorch.org/docs/stable/generated/torch.optim.RAdam.html
    """

    def __init__(
        self,
        params: Params,
        lr: float | Value = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
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
        check_options(weight_decay_value=(weight_decay, weight_decay >= 0.0))
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "decoupled_weight_decay": decoupled_weight_decay,
                "differentiable": differentiable,
            },
        )

    def _start(self, p: np.ndarray, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": step_count(), "exp_avg": zeros_for(p), "exp_avg_sq": zeros_for(p)}

    def _formula(
        self, p: np.ndarray, group: dict[str, Any], state: dict[str, Any]
    ) -> tuple[Callable[..., None], tuple[str, ...]]:
        t = next_step(state)
        lr, decay, maximize = option(group["lr"]), group["weight_decay"], group["maximize"]
        beta1, beta2 = group["betas"]
        eps, decoupled = group["eps"], group["decoupled_weight_decay"]
        step = lr / (1 - beta1**t)
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * t * beta2**t / (1 - beta2**t)
        rectified = length > 5.0
        if rectified:
            rectification = (length - 4) * (length - 2) * longest
            rectification /= (longest - 4) * (longest - 2) * length
            step = step * (rectification * (1 - beta2**t)) ** 0.5

        def change(p: np.ndarray, g: np.ndarray, m: np.ndarray, v: np.ndarray) -> None:
            g = followed(p, g, lr, decay, decoupled, maximize)
            d = update_means(g, m, v, beta1, beta2)
            if rectified:
                np.sqrt(v, out=d)
                d += eps
                np.divide(m, d, out=d)
                d *= step
            else:
                np.multiply(m, step, out=d)
            p -= d

        return change, ("exp_avg", "exp_avg_sq")


__all__ = ["RAdam"]
