"""The continuous Bernoulli distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..core.modes import no_grad
from ..ops.comparison import where
from ..ops.losses import binary_cross_entropy_with_logits
from ..tensor._creation import ones_like
from ..tensor._device import Size
from ..tensor._tensor import Tensor
from . import constraints
from ._odds import Odds, one_of
from .exp_family import ExponentialFamily
from .utils import broadcast_all, clamp_probs, uniform


class ContinuousBernoulli(Odds, ExponentialFamily):
    """Density C p^x (1 - p)^(1 - x) on [0, 1], C = 2 atanh(1 - 2 p) / (1 - 2 p).

    Within ``lims`` of p, around 1/2, where that is 0 / 0, Taylor polynomials in (p - 1/2) are used.
    Source: Loaiza-Ganem and Cunningham, https://arxiv.org/abs/1907.06845
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True
    _mean_carrier_measure = 0
    _parameters = ("probs", "logits", "_given", "_lims")

    def __init__(
        self,
        probs: Tensor | float | None = None,
        logits: Tensor | float | None = None,
        lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ) -> None:
        self._given = one_of(probs=probs, logits=logits)
        (value,) = broadcast_all(logits if probs is None else probs)
        if probs is not None:
            if validate_args is not None and not self.arg_constraints["probs"].check(value).all():
                raise ValueError("The parameter probs has invalid values")
            value = clamp_probs(value)
        setattr(self, self._given, value)
        self._lims = lims
        super().__init__(value.size(), validate_args=validate_args)

    def _outside_unstable_region(self) -> Tensor:
        return (self.probs <= self._lims[0]) | (self.probs > self._lims[1])

    def _cut_probs(self) -> Tensor:
        """p, or where it is near 1/2 a bound of that region, for formulas not to divide by 0."""
        return where(self._outside_unstable_region(), self.probs, self._lims[0])

    def _cont_bern_log_norm(self) -> Tensor:
        """log C = log(2 |atanh(1 - 2 p)|) - log |1 - 2 p|."""
        p = self._cut_probs()
        below = where(p <= 0.5, p, 0.0)
        above = where(p >= 0.5, p, 1.0)
        width = where(p <= 0.5, (-2.0 * below).log1p(), (2.0 * above - 1.0).log())
        exact = ((-p).log1p() - p.log()).abs().log() - width
        x2 = (self.probs - 0.5).pow(2)
        near = math.log(2.0) + (4.0 / 3.0 + 104.0 / 45.0 * x2) * x2
        return where(self._outside_unstable_region(), exact, near)

    @property
    def mean(self) -> Tensor:
        """p / (2 p - 1) + 1 / (2 atanh(1 - 2 p))."""
        p = self._cut_probs()
        exact = p / (2.0 * p - 1.0) + 1.0 / ((-p).log1p() - p.log())
        x = self.probs - 0.5
        near = 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * x.pow(2)) * x
        return where(self._outside_unstable_region(), exact, near)

    @property
    def variance(self) -> Tensor:
        """p (p - 1) / (1 - 2 p)^2 + 1 / (2 atanh(1 - 2 p))^2."""
        p = self._cut_probs()
        exact = p * (p - 1.0) / (1.0 - 2.0 * p).pow(2) + 1.0 / ((-p).log1p() - p.log()).pow(2)
        x2 = (self.probs - 0.5).pow(2)
        near = 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * x2) * x2
        return where(self._outside_unstable_region(), exact, near)

    @property
    def stddev(self) -> Tensor:
        """The root of the variance."""
        return self.variance.sqrt()

    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """Random values without gradients."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """icdf of uniform numbers."""
        return self.icdf(uniform(self._extended_shape(sample_shape), self.probs))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        self._check(value)
        logits, value = broadcast_all(self.logits, value)
        bernoulli = -binary_cross_entropy_with_logits(logits, value, reduction="none")
        return bernoulli + self._cont_bern_log_norm()

    def cdf(self, value: Tensor) -> Tensor:
        """(p^x (1 - p)^(1 - x) + p - 1) / (2 p - 1)."""
        self._check(value)
        p = self._cut_probs()
        exact = (p.pow(value) * (1.0 - p).pow(1.0 - value) + p - 1.0) / (2.0 * p - 1.0)
        inside = where(self._outside_unstable_region(), exact, value)
        return where(value <= 0.0, 0.0, where(value >= 1.0, 1.0, inside))

    def icdf(self, value: Tensor) -> Tensor:
        """log(1 + u (2 p - 1) / (1 - p)) / log(p / (1 - p))."""
        p = self._cut_probs()
        top = (-p + value * (2.0 * p - 1.0)).log1p() - (-p).log1p()
        return where(self._outside_unstable_region(), top / (p.log() - (-p).log1p()), value)

    def entropy(self) -> Tensor:
        """-log C - log(1 - p) - mean log(p / (1 - p))."""
        log_not = (-self.probs).log1p()
        return self.mean * (log_not - self.probs.log()) - self._cont_bern_log_norm() - log_not

    @property
    def _natural_params(self) -> tuple[Tensor]:
        return (self.logits,)

    def _log_normalizer(self, x: Tensor) -> Tensor:
        """log((e^x - 1) / x), and its Taylor polynomial near 0."""
        low, high = (math.log(lim / (1 - lim)) for lim in self._lims)
        far = (x <= low) | (x > high)
        cut = where(far, x, ones_like(x) * low)
        return where(far, ((cut.exp() - 1).abs()).log() - cut.abs().log(), 0.5 * x + x**2 / 24.0)
