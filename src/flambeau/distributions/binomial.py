"""The binomial distribution."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.modes import no_grad
from ..tensor._creation import arange
from ..tensor._device import Size
from ..tensor._sampling import binomial
from ..tensor._tensor import Tensor
from . import constraints
from ._odds import Odds, one_of
from .constraints import Constraint
from .distribution import Distribution
from .utils import broadcast_all


class Binomial(Odds, Distribution):
    """Successes in n = ``total_count`` trials: (n over k) p^k (1 - p)^(n - k)."""

    arg_constraints = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    has_enumerate_support = True
    _parameters = ("total_count", "probs", "logits", "_given")

    def __init__(
        self,
        total_count: Tensor | int = 1,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self._given = one_of(probs=probs, logits=logits)
        count, value = broadcast_all(total_count, logits if probs is None else probs)
        self.total_count = count.type_as(value)
        setattr(self, self._given, value)
        super().__init__(value.size(), validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Constraint:
        """0 to n."""
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> Tensor:
        """n p."""
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        """(n + 1) p, rounded down, at most n."""
        return ((self.total_count + 1) * self.probs).floor().clamp(max=self.total_count)

    @property
    def variance(self) -> Tensor:
        """n p (1 - p)."""
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """Random counts."""
        shape = self._extended_shape(sample_shape)
        with no_grad():
            return binomial(self.total_count.expand(shape), self.probs.expand(shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability."""
        self._check(value)
        n = self.total_count
        ways = (n + 1).lgamma() - (value + 1).lgamma() - (n - value + 1).lgamma()
        # k log p + (n - k) log(1 - p) = k l - n log(1 + e^l), l the logit, without overflow.
        logits = self.logits
        normaliser = n * (logits.clamp(min=0) + (-logits.abs()).exp().log1p())
        return ways + value * logits - normaliser

    def entropy(self) -> Tensor:
        """Summed over all counts; NotImplementedError for different total_counts."""
        n = int(self.total_count.max())
        if self.total_count.min() != n:
            raise NotImplementedError(
                "Inhomogeneous total count not supported by `entropy`.\n"
                f"  total_count is from {int(self.total_count.min())} to {n}"
            )
        log_prob = self.log_prob(self.enumerate_support(False))
        return -(log_prob.exp() * log_prob).sum(0)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """0, 1 ... n; NotImplementedError for different total_counts."""
        n = int(self.total_count.max())
        if self.total_count.min() != n:
            raise NotImplementedError(
                "Inhomogeneous total count not supported by `enumerate_support`.\n"
                f"  total_count is from {int(self.total_count.min())} to {n}"
            )
        values = arange(1 + n, dtype=self._param.dtype)
        values = values.view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1, *self._batch_shape)) if expand else values
