"""The geometric distribution."""

from __future__ import annotations

from collections.abc import Sequence

from .._dtypes import finfo
from ..core.modes import no_grad
from ..ops.losses import binary_cross_entropy_with_logits
from ..tensor._creation import zeros_like
from ..tensor._device import Size
from ..tensor._tensor import Tensor
from . import constraints
from ._odds import Odds, one_of
from .distribution import Distribution
from .utils import all_true, broadcast_all


class Geometric(Odds, Distribution):
    """Failures before the first success: probability (1 - p)^k p of k = 0, 1, 2 ..."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.nonnegative_integer
    _parameters = ("probs", "logits", "_given")

    def __init__(
        self,
        probs: Tensor | float | None = None,
        logits: Tensor | float | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self._given = one_of(probs=probs, logits=logits)
        (value,) = broadcast_all(logits if probs is None else probs)
        setattr(self, self._given, value)
        super().__init__(value.size(), validate_args=validate_args)
        if self._validate_args and probs is not None:
            valid = value > 0
            if not all_true(valid):
                wrong = value[~valid]
                raise ValueError(
                    f"Expected parameter probs ({type(value).__name__} of shape "
                    f"{tuple(value.shape)}) of distribution {self!r} to be positive but found "
                    f"invalid values:\n{wrong}"
                )

    @property
    def mean(self) -> Tensor:
        """1 / p - 1."""
        return 1.0 / self.probs - 1.0

    @property
    def mode(self) -> Tensor:
        """0."""
        return zeros_like(self.probs)

    @property
    def variance(self) -> Tensor:
        """(1 / p - 1) / p."""
        return (1.0 / self.probs - 1.0) / self.probs

    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """log(u) / log(1 - p), rounded down."""
        with no_grad():
            u = self.probs.new_empty(self._extended_shape(sample_shape))
            u.uniform_(finfo(self.probs.dtype).tiny, 1)
            return (u.log() / (-self.probs).log1p()).floor()

    def log_prob(self, value: Tensor) -> Tensor:
        """value log(1 - p) + log p."""
        self._check(value)
        value, p = broadcast_all(value, self.probs)
        certain = (p == 1) & (value == 0)  # 0 log 0 is 0
        return value * (-p.masked_fill(certain, 0)).log1p() + self.probs.log()

    def entropy(self) -> Tensor:
        """That of one trial over p."""
        logits, p = self.logits, self.probs
        return binary_cross_entropy_with_logits(logits, p, reduction="none") / p
