"""SparseAdam."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.value import Value
from .optimizer import Optimizer, Params, check_betas, check_learning_rate, check_options, number


class SparseAdam(Optimizer):
    r"""Adam for gradients that are sparse tensors.

    flambeau has no sparse tensors: the optimizer can be made, configured and saved, but a step
    over a gradient raises RuntimeError, as PyTorch's does for a dense one.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.SparseAdam.html
    """

    def __init__(
        self,
        params: Params,
        lr: float | Value = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        if isinstance(lr, Value) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        check_learning_rate(lr)
        check_options(learning_rate=(lr, number(lr) > 0.0), epsilon_value=(eps, eps > 0.0))
        check_betas(betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        places = [
            [i, j]
            for i, group in enumerate(self.param_groups)
            for j, p in enumerate(group["params"])
            if p.is_complex()
        ]
        if places:
            raise ValueError(
                f"SparseAdam does not support complex parameters, the ones at {places} are"
            )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Raises RuntimeError where a parameter has a gradient: it is dense."""
        loss = None if closure is None else closure()
        if any(p.grad is not None for group in self.param_groups for p in group["params"]):
            raise RuntimeError(
                "SparseAdam does not support dense gradients, please consider Adam instead\n"
                "  gradients are never sparse here, not even those of Embedding(sparse=True)"
            )
        return loss


__all__ = ["SparseAdam"]
