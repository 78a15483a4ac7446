"""Student's t distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..ops.comparison import where
from ..tensor._device import Size
from ..tensor._tensor import Tensor
from . import constraints
from .chi2 import Chi2
from .distribution import Distribution
from .utils import _standard_normal, broadcast_all


def _lbeta_half(df: Tensor) -> Tensor:
    """log(Gamma(1/2) Gamma(df/2) / Gamma((df + 1)/2))."""
    return 0.5 * math.log(math.pi) + (0.5 * df).lgamma() - (0.5 * (df + 1)).lgamma()


class StudentT(Distribution):
    """Density (1 + z^2 / df)^(-(df + 1)/2) / (scale sqrt(df) B(1/2, df/2)), z = (x - loc)/scale."""

    arg_constraints = {
        "df": constraints.positive,
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    support = constraints.real
    has_rsample = True
    _parameters = ("df", "loc", "scale", "_chi2")

    def __init__(
        self,
        df: Tensor | float,
        loc: Tensor | float = 0.0,
        scale: Tensor | float = 1.0,
        validate_args: bool | None = None,
    ) -> None:
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        self._chi2 = Chi2(self.df)
        super().__init__(self.df.size(), validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """loc for df > 1, else nan."""
        return where(self.df <= 1, math.nan, self.loc)

    @property
    def mode(self) -> Tensor:
        """loc."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """scale^2 df / (df - 2) for df > 2, inf for df > 1, else nan."""
        finite = self.scale.pow(2) * self.df / (self.df - 2)
        return where(self.df > 2, finite, where(self.df > 1, math.inf, math.nan))

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """loc + scale z / sqrt(c / df), z normal and c chi-squared."""
        z = _standard_normal(self._extended_shape(sample_shape), self.df.dtype, self.df.device)
        c = self._chi2.rsample(sample_shape)
        return self.loc + self.scale * (z * (c / self.df).rsqrt())

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        self._check(value)
        z = (value - self.loc) / self.scale
        normaliser = self.scale.log() + 0.5 * self.df.log() + _lbeta_half(self.df)
        return -0.5 * (self.df + 1.0) * (z**2.0 / self.df).log1p() - normaliser

    def entropy(self) -> Tensor:
        """log(scale sqrt(df) B(1/2, df/2)) + (df + 1)/2 (digamma((df + 1)/2) - digamma(df/2))."""
        half, more = 0.5 * self.df, 0.5 * (self.df + 1)
        return (
            self.scale.log()
            + more * (more.digamma() - half.digamma())
            + 0.5 * self.df.log()
            + _lbeta_half(self.df)
        )
