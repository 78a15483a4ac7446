"""Muon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.value import Value, wrap
from ..ops.addmm import addmm
from .optimizer import Optimizer, Params, number, zeros_for

_ADJUSTMENTS = (None, "original", "match_rms_adamw")


class Muon(Optimizer):
    r"""Momentum whose matrices are made orthogonal before they are steps.

    b = momentum b + (1 - momentum) g;  u = b, or with ``nesterov`` momentum b + (1 - momentum) g;
    O = u / |u|, then ``ns_steps`` times O = a O + (b A + c A A) O, A = O O^T, in bfloat16, (a, b,
    c) being ``ns_coefficients``: all singular values come near 1 (Newton and Schulz);
    p = p (1 - lr weight_decay) - lr r O. For a matrix of n rows and m columns, r =
    sqrt(max(1, n / m)), or with ``adjust_lr_fn="match_rms_adamw"`` 0.2 sqrt(max(n, m)).
    Source: https://kellerjordan.github.io/posts/muon/, https://docs.pytorch.org/docs/stable/generated/torch.optim.Muon.html
    """

    _whole = _on_host = True

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        if isinstance(lr, Value) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        for value, what in ((number(lr), "Learning rate"), (momentum, "momentum"),
                            (weight_decay, "weight decay")):  # fmt: skip
            if not value >= 0.0:
                raise ValueError(f"{what} should be >= 0 but is: {value}")
        if adjust_lr_fn not in _ADJUSTMENTS:
            raise ValueError(
                f"Adjust learning rate function {adjust_lr_fn} is not supported; there are "
                "'original' and 'match_rms_adamw'"
            )
        if ns_steps >= 100:
            raise ValueError("Number of steps must be less than 100 for computational efficiency")
        if len(ns_coefficients) != 3:
            raise ValueError("Coefficients must be a tuple of exactly 3 values")
        super().__init__(
            params,
            {
                "lr": lr,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "nesterov": nesterov,
                "ns_coefficients": ns_coefficients,
                "eps": eps,
                "ns_steps": ns_steps,
                "adjust_lr_fn": adjust_lr_fn,
            },
        )
        for group in self.param_groups:
            for p in group["params"]:
                if p.dim() != 2:
                    raise ValueError(
                        "Muon only supports 2D parameters whereas we found a parameter with size: "
                        f"{p.size()}; give the others to another optimizer, such as AdamW"
                    )

    def _start(self, p: np.ndarray, group: dict[str, Any]) -> dict[str, Any]:
        if p.dtype.kind == "c":
            raise RuntimeError("Muon does not support complex parameters")
        return {"momentum_buffer": zeros_for(p)}

    def _formula(
        self, p: np.ndarray, group: dict[str, Any], state: dict[str, Any]
    ) -> tuple[Callable[..., None], tuple[str, ...]]:
        lr, momentum, nesterov = number(group["lr"]), group["momentum"], group["nesterov"]
        kept = 1 - lr * group["weight_decay"]
        rows, columns = p.shape
        if group["adjust_lr_fn"] == "match_rms_adamw":
            step = lr * 0.2 * max(rows, columns) ** 0.5
        else:
            step = lr * max(1, rows / columns) ** 0.5
        rest = group["ns_coefficients"], group["ns_steps"], group["eps"]

        def change(p: np.ndarray, g: np.ndarray, b: np.ndarray) -> None:
            d = g - b
            d *= 1 - momentum
            b += d
            update = g + momentum * (b - g) if nesterov else b
            p *= kept
            p -= step * orthogonal(wrap(update), *rest).float()._array

        return change, ("momentum_buffer",)


def orthogonal(
    update: Value, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Value:
    """``update`` with its singular values brought near 1, in bfloat16."""
    a, b, c = coefficients
    o = update.bfloat16()
    tall = o.shape[0] > o.shape[1]
    if tall:
        o = o.T
    o = o / o.norm().clamp(min=eps)
    for _ in range(steps):
        gram = o @ o.T
        o = addmm(o, addmm(gram, gram, gram, beta=b, alpha=c), o, beta=a)
    return o.T if tall else o


__all__ = ["Muon"]
