"""Adam and AdamW."""

from __future__ import annotations

import math
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
    not_differentiable,
    number,
    step_count,
    zeros_for,
)


class Adam(Optimizer):
    r"""Adam: steps scaled by running means of the gradient and of its square.

    m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
    p = p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps), t counting steps from 1.
    ``weight_decay`` w: g = grad + w p, or p = p (1 - lr w) if it is decoupled. ``amsgrad`` divides
    by the largest v so far. ``maximize`` climbs instead.
    Source: https://arxiv.org/abs/1412.6980, https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html
    """

    def __init__(
        self,
        params: Params,
        lr: float | Value = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_learning_rate(lr)
        check_options(epsilon_value=(eps, number(eps) >= 0.0))
        for i in (0, 1):
            if not 0.0 <= number(betas[i]) < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {betas[i]}")
        check_options(weight_decay_value=(weight_decay, weight_decay >= 0.0))
        not_differentiable(differentiable, type(self).__name__)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def _start(self, p: np.ndarray, group: dict[str, Any]) -> dict[str, Any]:
        state = {"step": step_count(), "exp_avg": zeros_for(p), "exp_avg_sq": zeros_for(p)}
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = zeros_for(p)
        return state

    def _formula(
        self, group: dict[str, Any], state: dict[str, Any]
    ) -> tuple[Callable[..., None], tuple[str, ...]]:
        t = next_step(state)
        lr, eps, decay = number(group["lr"]), group["eps"], group["weight_decay"]
        beta1, beta2 = (number(b) for b in group["betas"])
        decoupled = group["decoupled_weight_decay"]
        maximize = group["maximize"]
        step = lr / (1 - beta1**t)
        scale = math.sqrt(1 - beta2**t)

        def change(
            p: np.ndarray,
            g: np.ndarray,
            m: np.ndarray,
            v: np.ndarray,
            largest: np.ndarray | None = None,
        ) -> None:
            if maximize:
                g = -g
            if decay:
                if decoupled:
                    p *= 1 - lr * decay
                else:
                    g = g + decay * p
            d = g - m
            d *= 1 - beta1
            m += d
            np.multiply(g, g, out=d)
            d *= 1 - beta2
            v *= beta2
            v += d
            if largest is None:
                np.sqrt(v, out=d)
            else:
                np.maximum(largest, v, out=largest)
                np.sqrt(largest, out=d)
            d /= scale
            d += eps
            np.divide(m, d, out=d)
            d *= step
            p -= d

        names = ("exp_avg", "exp_avg_sq")
        return change, (*names, "max_exp_avg_sq") if group["amsgrad"] else names


class AdamW(Adam):
    """Adam with decoupled weight decay: p = p (1 - lr weight_decay) before each step.

    Source: https://arxiv.org/abs/1711.05101, https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html
    """

    def __init__(
        self,
        params: Params,
        lr: float | Value = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )


__all__ = ["Adam", "AdamW"]
