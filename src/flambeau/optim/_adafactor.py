"""Adafactor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._dtypes import finfo, from_numpy
from ..core.value import Value
from .optimizer import Optimizer, Params, next_step, number, step_count


class Adafactor(Optimizer):
    r"""Steps scaled by a running mean square that is kept as one row and one column.

    For matrices, r and c are running means of g^2 along rows and columns, v = r c / mean(r); for
    vectors, v is the running mean of g^2 itself; both with the share t^beta2_decay of the new one.
    u = g / sqrt(max(v, eps1^2));  p = p - a u / max(1, rms(u) / d), where
    a = max(eps2, rms(p)) min(lr, 1 / sqrt(t)). ``weight_decay`` w: p = p (1 - lr w) before.
    ``eps``: (eps1, eps2); eps1 None means the dtype's epsilon.
    Source: https://arxiv.org/abs/1804.04235, https://docs.pytorch.org/docs/stable/generated/torch.optim.Adafactor.html
    """

    _whole = _on_host = True

    def __init__(
        self,
        params: Params,
        lr: float | Value = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        if isinstance(lr, Value) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        for good, text in (
            (number(lr) >= 0.0, f"Learning rate should be >= 0 but is: {lr}"),
            (beta2_decay <= 0.0, f"beta2_decay should be <= 0 but is: {beta2_decay}"),
            (eps[0] is None or eps[0] >= 0.0, f"epsilon1 should be >= 0 but is: {eps[0]}"),
            (eps[1] >= 0.0, f"epsilon2 should be >= 0 but is: {eps[1]}"),
            (d >= 1.0, f"Clipping threshold d should be >= 1 but is: {d}"),
            (weight_decay >= 0.0, f"weight_decay should be >= 0 but is: {weight_decay}"),
        ):
            if not good:
                raise ValueError(text)
        super().__init__(
            params,
            {
                "lr": lr,
                "beta2_decay": beta2_decay,
                "eps": eps,
                "d": d,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
            },
        )

    def _start(self, p: np.ndarray, group: dict[str, Any]) -> dict[str, Any]:
        if p.dtype.kind == "c":
            raise RuntimeError("Adafactor does not support complex parameters")
        if p.ndim < 2:
            return {"step": step_count(), "variance": np.zeros_like(p)}
        *batch, rows, columns = p.shape
        return {
            "step": step_count(),
            "row_var": np.zeros((*batch, rows, 1), p.dtype),
            "col_var": np.zeros((*batch, 1, columns), p.dtype),
        }

    def _formula(
        self, p: np.ndarray, group: dict[str, Any], state: dict[str, Any]
    ) -> tuple[Callable[..., None], tuple[str, ...]]:
        t = next_step(state)
        lr, decay, clip = number(group["lr"]), group["weight_decay"], group["d"]
        eps1, eps2 = group["eps"]
        if eps1 is None:
            eps1 = finfo(from_numpy(p.dtype)).eps
        share, relative = t ** group["beta2_decay"], min(lr, 1 / t**0.5)
        sign = -1.0 if group["maximize"] else 1.0

        def change(p: np.ndarray, g: np.ndarray, *means: np.ndarray) -> None:
            step = max(eps2, float(_rms(p))) * relative
            if decay:
                p *= 1 - lr * decay
            square = g * g
            if len(means) == 2:
                row, column = means
                row += share * (square.mean(-1, keepdims=True) - row)
                column += share * (square.mean(-2, keepdims=True) - column)
                square = row * column
                square /= np.maximum(row.mean(-2, keepdims=True), eps1)
            else:
                (v,) = means
                square -= v
                square *= share
                v += square
                square = v.copy()
            np.maximum(square, eps1 * eps1, out=square)
            np.sqrt(square, out=square)
            np.divide(g, square, out=square)
            square *= sign * step / max(1.0, float(_rms(square)) / clip)
            p -= square

        return change, ("variance",) if p.ndim < 2 else ("row_var", "col_var")


def _rms(a: np.ndarray) -> np.floating:
    """The root of the mean square."""
    return np.linalg.norm(a) / max(1, a.size) ** 0.5


__all__ = ["Adafactor"]
