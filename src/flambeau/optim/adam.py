"""Adam."""

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
    check_fused,
    check_learning_rate,
    check_options,
    next_step,
    number,
    option,
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
        if foreach and not capturable and isinstance(lr, Value):
            raise ValueError(
                "lr as a Tensor is not supported for capturable=False and foreach=True"
            )
        check_options(epsilon_value=(eps, number(eps) >= 0.0))
        check_betas(betas)
        tensors = [isinstance(b, Value) for b in betas]
        if tensors[0] != tensors[1]:
            raise ValueError("betas must be either both floats or both Tensors")
        for i, beta in enumerate(betas):
            if isinstance(beta, Value) and foreach and not capturable:
                raise ValueError(
                    f"betas[{i}] as a Tensor is not supported for capturable=False and foreach=True"
                )
            if isinstance(beta, Value) and beta.numel() != 1:
                raise ValueError(f"Tensor betas[{i}] must be 1-element")
        check_options(weight_decay_value=(weight_decay, weight_decay >= 0.0))
        check_fused(fused, foreach, differentiable)
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
        self, p: np.ndarray, group: dict[str, Any], state: dict[str, Any]
    ) -> tuple[Callable[..., None], tuple[str, ...]]:
        t = next_step(state)
        lr, decay, maximize = option(group["lr"]), group["weight_decay"], group["maximize"]
        beta1, beta2 = (option(b) for b in group["betas"])
        decoupled = group["decoupled_weight_decay"]
        # lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps), with one array pass less
        scale = (1 - beta2**t) ** 0.5
        step, eps = lr * scale / (1 - beta1**t), number(group["eps"]) * scale

        def change(
            p: np.ndarray,
            g: np.ndarray,
            m: np.ndarray,
            v: np.ndarray,
            largest: np.ndarray | None = None,
        ) -> None:
            g = followed(p, g, lr, decay, decoupled, maximize)
            d = update_means(g, m, v, beta1, beta2)
            if largest is None:
                np.sqrt(v, out=d)
            else:
                np.maximum(largest, v, out=largest)
                np.sqrt(largest, out=d)
            d += eps
            np.divide(m, d, out=d)
            d *= step
            p -= d

        names = ("exp_avg", "exp_avg_sq")
        return change, (*names, "max_exp_avg_sq") if group["amsgrad"] else names


__all__ = ["Adam"]
