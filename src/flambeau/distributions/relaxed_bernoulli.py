"""The relaxed Bernoulli distribution."""

from __future__ import annotations

from collections.abc import Sequence

from ..ops.activations import softplus
from ..tensor._device import Size
from ..tensor._tensor import Tensor
from . import constraints
from ._odds import Odds, one_of
from .distribution import Distribution
from .transformed_distribution import TransformedDistribution
from .transforms import SigmoidTransform
from .utils import broadcast_all, clamp_probs, uniform


class LogitRelaxedBernoulli(Odds, Distribution):
    """(l + logistic noise) / temperature, l the logits: the logit of a relaxed Bernoulli number.

    Source: Maddison, Mnih and Teh, https://arxiv.org/abs/1611.00712
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.real
    has_rsample = True
    _parameters = ("probs", "logits", "_given", "temperature")

    def __init__(
        self,
        temperature: Tensor | float,
        probs: Tensor | float | None = None,
        logits: Tensor | float | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self.temperature = temperature
        self._given = one_of(probs=probs, logits=logits)
        (value,) = broadcast_all(logits if probs is None else probs)
        setattr(self, self._given, value)
        super().__init__(value.size(), validate_args=validate_args)

    def _expanded(self, parameter: Tensor, batch_shape: Size) -> Tensor:
        if parameter is self.temperature:
            return parameter
        return super()._expanded(parameter, batch_shape)

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """(log u - log(1 - u) + log p - log(1 - p)) / temperature."""
        shape = self._extended_shape(sample_shape)
        p = clamp_probs(self.probs.expand(shape))
        u = clamp_probs(uniform(shape, p))
        return (u.log() - (-u).log1p() + p.log() - (-p).log1p()) / self.temperature

    def log_prob(self, value: Tensor) -> Tensor:
        """log temperature + d - 2 log(1 + e^d), d = l - value temperature."""
        self._check(value)
        logits, value = broadcast_all(self.logits, value)
        d = logits - value.mul(self.temperature)
        return self.temperature.log() + d - 2 * softplus(d)


class RelaxedBernoulli(TransformedDistribution):
    """Numbers of (0, 1) that come near 0 and 1 as the ``temperature`` falls; differentiable."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True
    _parameters = ()

    def __init__(
        self,
        temperature: Tensor | float,
        probs: Tensor | float | None = None,
        logits: Tensor | float | None = None,
        validate_args: bool | None = None,
    ) -> None:
        base = LogitRelaxedBernoulli(temperature, probs, logits)
        super().__init__(base, SigmoidTransform(), validate_args=validate_args)

    @property
    def temperature(self) -> Tensor:
        """How far from 0 and 1 the numbers are."""
        return self.base_dist.temperature

    @property
    def logits(self) -> Tensor:
        """log(p / (1 - p))."""
        return self.base_dist.logits

    @property
    def probs(self) -> Tensor:
        """p."""
        return self.base_dist.probs
