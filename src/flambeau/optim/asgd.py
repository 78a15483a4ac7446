"""ASGD."""

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
    number,
    scalar,
    step_count,
    zeros_for,
)


class ASGD(Optimizer):
    r"""Gradient descent whose parameters are averaged, in the state's ``ax``.

    p = p (1 - lambd eta) - eta g;  ax = ax + mu (p - ax);  then, for the next step,
    eta = lr / (1 + lambd lr t)^alpha and mu = 1 / max(1, t - t0).
    ``weight_decay`` w: g = grad + w p. ``maximize`` climbs instead.
    Source: https://doi.org/10.1137/0330046, https://docs.pytorch.org/docs/stable/generated/torch.optim.ASGD.html
    """

    def __init__(
        self,
        params: Params,
        lr: float | Value = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_learning_rate(lr)
        check_options(weight_decay_value=(weight_decay, weight_decay >= 0.0))
        super().__init__(
            params,
            {
                "lr": lr,
                "lambd": lambd,
                "alpha": alpha,
                "t0": t0,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _start(self, p: np.ndarray, group: dict[str, Any]) -> dict[str, Any]:
        eta = scalar(number(group["lr"]))
        return {"step": step_count(), "eta": eta, "mu": scalar(1.0), "ax": zeros_for(p)}

    def _formula(
        self, p: np.ndarray, group: dict[str, Any], state: dict[str, Any]
    ) -> tuple[Callable[..., None], tuple[str, ...]]:
        t = next_step(state)
        lr, lambd, decay = number(group["lr"]), group["lambd"], group["weight_decay"]
        maximize = group["maximize"]
        eta, mu = state["eta"]._array.item(), state["mu"]._array.item()
        state["eta"]._array[...] = lr / (1 + lambd * lr * t) ** group["alpha"]
        state["mu"]._array[...] = 1 / max(1, t - group["t0"])

        def change(p: np.ndarray, g: np.ndarray, ax: np.ndarray) -> None:
            if maximize:
                g = -g
            if decay:
                g = g + decay * p
            p *= 1 - lambd * eta
            p -= eta * g
            if mu == 1:
                np.positive(p, out=ax)
            else:
                d = p - ax
                d *= mu
                ax += d

        return change, ("ax",)


__all__ = ["ASGD"]
