"""The generalised Pareto distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..ops.comparison import where
from ..tensor._device import Size
from ..tensor._tensor import Tensor
from . import constraints
from .constraints import Constraint
from .distribution import Distribution
from .utils import broadcast_all, uniform


class GeneralizedPareto(Distribution):
    """Density (1 + c z)^(-1 - 1 / c) / scale, z = (x - loc) / scale, c the concentration.

    For c = 0, the exponential distribution: exp(-z) / scale. For c < 0, z ends at -1 / c.
    """

    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "concentration": constraints.real,
    }
    has_rsample = True
    _parameters = ("loc", "scale", "concentration")

    def __init__(
        self,
        loc: Tensor | float,
        scale: Tensor | float,
        concentration: Tensor | float,
        validate_args: bool | None = None,
    ) -> None:
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.size(), validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Constraint:
        """From loc to loc - scale / c, or without end for c >= 0."""
        c = self.concentration
        end = where(c < 0, self.loc - self.scale / c, math.inf)
        return constraints.interval(self.loc, end)

    def _is_exponential(self) -> Tensor:
        c = self.concentration
        return c.isclose(c.new_zeros(()))

    def _safe(self) -> Tensor:
        """c, or 1 where it is 0, for a formula that is not used there."""
        return where(self._is_exponential(), 1.0, self.concentration)

    def _z(self, value: Tensor) -> Tensor:
        return (value - self.loc) / self.scale

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """icdf of uniform numbers."""
        return self.icdf(uniform(self._extended_shape(sample_shape), self.loc))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        self._check(value)
        z, c = self._z(value), self._safe()
        powers = -(1 + 1 / c) * (c * z).log1p()
        return where(self._is_exponential(), -z, powers) - self.scale.log()

    def log_survival_function(self, value: Tensor) -> Tensor:
        """log(1 - cdf)."""
        self._check(value)
        z, c = self._z(value), self._safe()
        return where(self._is_exponential(), -z, -(c * z).log1p() / c)

    def log_cdf(self, value: Tensor) -> Tensor:
        """log of the cdf."""
        self._check(value)
        return (-self.log_survival_function(value).exp()).log1p()

    def cdf(self, value: Tensor) -> Tensor:
        """1 - (1 + c z)^(-1 / c)."""
        self._check(value)
        return self.log_cdf(value).exp()

    def icdf(self, value: Tensor) -> Tensor:
        """loc + scale ((1 - value)^-c - 1) / c."""
        log_rest, c = (-value).log1p(), self._safe()
        z = where(self._is_exponential(), -log_rest, (-c * log_rest).expm1() / c)
        return self.loc + self.scale * z

    @property
    def mean(self) -> Tensor:
        """loc + scale / (1 - c) for c < 1, else inf."""
        c = self.concentration
        below = c < 1
        return where(below, self.loc + self.scale / (1 - where(below, c, 0.5)), math.inf)

    @property
    def variance(self) -> Tensor:
        """scale^2 / ((1 - c)^2 (1 - 2 c)) for c < 1/2, else inf."""
        c = self.concentration
        below = c < 0.5
        safe = where(below, c, 0.25)
        return where(below, self.scale**2 / ((1 - safe) ** 2 * (1 - 2 * safe)), math.inf)

    def entropy(self) -> Tensor:
        """log scale + c + 1."""
        return (self.scale.log() + self.concentration + 1).expand(self._batch_shape)

    @property
    def mode(self) -> Tensor:
        """loc."""
        return self.loc
