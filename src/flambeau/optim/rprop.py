"""Rprop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.value import Value
from .optimizer import (
    Optimizer,
    Params,
    check_learning_rate,
    next_step,
    number,
    step_count,
    zeros_for,
)


class Rprop(Optimizer):
    r"""Steps by the gradient's sign alone, each element with a step size of its own.

    Where g keeps its sign, size = min(size eta+, largest); where it turns, size =
    max(size eta-, smallest) and the element stays; p = p - sign(g) size. ``etas``: (eta-, eta+),
    ``step_sizes``: (smallest, largest); the first size is ``lr``. ``maximize`` climbs instead.
    Source: https://doi.org/10.1109/ICNN.1993.298623, https://docs.pytorch.org/docs/stable/generated/torch.optim.Rprop.html
    """

    def __init__(
        self,
        params: Params,
        lr: float | Value = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_learning_rate(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        super().__init__(
            params,
            {
                "lr": lr,
                "etas": etas,
                "step_sizes": step_sizes,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _start(self, p: np.ndarray, group: dict[str, Any]) -> dict[str, Any]:
        lr = number(group["lr"])
        size = np.full_like(p, complex(lr, lr) if p.dtype.kind == "c" else lr)
        return {"step": step_count(), "prev": zeros_for(p), "step_size": size}

    def _formula(
        self, p: np.ndarray, group: dict[str, Any], state: dict[str, Any]
    ) -> tuple[Callable[..., None], tuple[str, ...]]:
        next_step(state)
        (shrink, grow), (smallest, largest) = group["etas"], group["step_sizes"]
        maximize = group["maximize"]

        def change(p: np.ndarray, g: np.ndarray, before: np.ndarray, size: np.ndarray) -> None:
            if maximize:
                g = -g
            kept = np.sign(g * before)  # 1: kept its sign; -1: turned; 0: one of them is 0
            turned = np.minimum(kept, 0)  # 0 or -1
            kept = np.maximum(kept, 0)  # 0 or 1
            stay = 1 + turned  # 0 where it turned
            size *= kept * grow - turned * shrink + (stay - kept)
            np.maximum(size, smallest, out=size)
            np.minimum(size, largest, out=size)
            g = g * stay
            p -= np.sign(g) * size
            np.positive(g, out=before)

        return change, ("prev", "step_size")


__all__ = ["Rprop"]
