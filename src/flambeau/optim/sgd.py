"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.value import Value, wrap
from .optimizer import (
    Optimizer,
    Params,
    check_learning_rate,
    check_options,
    not_differentiable,
    number,
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
        weight_decay: float = 0,
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
        not_differentiable(differentiable, "SGD")
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

    def _step_one(self, p: Value, grad: Value, group: dict[str, Any]) -> None:
        if group["momentum"] and self.state[p].get("momentum_buffer") is None:
            # The first gradient is the buffer: no zeros to be scaled by (1 - dampening).
            g = grad._array.copy()
            if group["maximize"]:
                np.negative(g, out=g)
            if group["weight_decay"]:
                g += group["weight_decay"] * p._array
            self.state[p]["momentum_buffer"] = wrap(g)
            step = g * (1 + group["momentum"]) if group["nesterov"] else g
            p._array -= number(group["lr"]) * step
            p.counter().bump("step")
            return
        super()._step_one(p, grad, group)

    def _start(self, p: np.ndarray, group: dict[str, Any]) -> dict[str, Any]:
        return {}

    def _formula(
        self, group: dict[str, Any], state: dict[str, Any]
    ) -> tuple[Callable[..., None], tuple[str, ...]]:
        lr, decay = number(group["lr"]), group["weight_decay"]
        momentum, dampening = group["momentum"], group["dampening"]
        sign = -1.0 if group["maximize"] else 1.0
        nesterov = group["nesterov"]

        def plain(p: np.ndarray, g: np.ndarray) -> None:
            if decay:
                g = sign * g + decay * p
                g *= lr
            else:
                g = (sign * lr) * g
            np.subtract(p, g, out=p)

        def with_momentum(p: np.ndarray, g: np.ndarray, b: np.ndarray) -> None:
            if sign < 0:
                g = -g
            if decay:
                g = g + decay * p
            b *= momentum
            b += g if dampening == 0 else (1 - dampening) * g
            np.subtract(p, lr * (g + momentum * b if nesterov else b), out=p)

        return (with_momentum, ("momentum_buffer",)) if momentum else (plain, ())


__all__ = ["SGD"]
