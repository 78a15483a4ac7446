"""Stochastic gradient descent."""

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
    option,
    zeros_for,
)


class SGD(Optimizer):
    r"""Gradient descent with momentum.

    g = grad + weight_decay p;  b = momentum b + (1 - dampening) g  (b = g at first);
    p = p - lr b, or p - lr (g + momentum b) with ``nesterov``. ``maximize`` climbs instead.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html
    """

    def __init__(
        self,
        params: Params,
        lr: float | Value = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Value = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_learning_rate(lr)
        check_options(
            momentum_value=(momentum, momentum >= 0.0),
            weight_decay_value=(weight_decay, weight_decay >= 0.0),
        )
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        check_fused(fused, foreach, differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
                "foreach": foreach,
                "differentiable": differentiable,
                "fused": fused,
            },
        )

    def _start(self, p: np.ndarray, group: dict[str, Any]) -> dict[str, Any]:
        return {"momentum_buffer": None} if group["momentum"] else {}

    def _formula(
        self, p: np.ndarray, group: dict[str, Any], state: dict[str, Any]
    ) -> tuple[Callable[..., None], tuple[str, ...]]:
        lr, decay = option(group["lr"]), option(group["weight_decay"])
        momentum, share = group["momentum"], 1 - group["dampening"]
        sign = -1.0 if group["maximize"] else 1.0
        nesterov = group["nesterov"]

        def plain(p: np.ndarray, g: np.ndarray) -> None:
            if decay:
                g = sign * g + decay * p
                g *= lr
            else:
                g = (sign * lr) * g
            p -= g

        def with_momentum(p: np.ndarray, g: np.ndarray, b: np.ndarray) -> None:
            if sign < 0:
                g = -g
            if decay:
                g = g + decay * p
            b *= momentum
            b += g if share == 1 else share * g
            p -= lr * (g + momentum * b if nesterov else b)

        if not momentum:
            return plain, ()
        if state.get("momentum_buffer") is None:
            state["momentum_buffer"] = wrap(zeros_for(p))
            share = 1  # the first gradient is the buffer
        return with_momentum, ("momentum_buffer",)


__all__ = ["SGD"]
