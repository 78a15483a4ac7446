"""The relaxed categorical distribution: Concrete, or Gumbel-softmax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..tensor._creation import full_like
from ..tensor._device import Size
from ..tensor._tensor import Tensor
from . import constraints
from .categorical import Categorical
from .distribution import Distribution
from .transformed_distribution import TransformedDistribution
from .transforms import ExpTransform
from .utils import broadcast_all, clamp_probs, uniform


class ExpRelaxedCategorical(Distribution):
    """log of a relaxed one-hot vector: log_softmax((l + Gumbel noise) / temperature).

    Sources: Maddison, Mnih and Teh, https://arxiv.org/abs/1611.00712; Jang, Gu and Poole,
    https://arxiv.org/abs/1611.01144
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        temperature: Tensor | float,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self._categorical = Categorical(probs, logits)
        self.temperature = temperature
        shape = self._categorical.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    def expand(
        self, batch_shape: Sequence[int], _instance: ExpRelaxedCategorical | None = None
    ) -> Any:
        """The same distribution with its batch expanded to ``batch_shape``."""
        new = self._get_checked_instance(ExpRelaxedCategorical, _instance)
        new.temperature = self.temperature
        new._categorical = self._categorical.expand(batch_shape)
        super(ExpRelaxedCategorical, new).__init__(batch_shape, self.event_shape, False)
        new._validate_args = self._validate_args
        return new

    @property
    def param_shape(self) -> Size:
        """The shape of the parameter."""
        return self._categorical.param_shape

    @property
    def logits(self) -> Tensor:
        """log p."""
        return self._categorical.logits

    @property
    def probs(self) -> Tensor:
        """p."""
        return self._categorical.probs

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """Random vectors with gradients."""
        u = clamp_probs(uniform(self._extended_shape(sample_shape), self.logits))
        scores = (self.logits - (-(u.log())).log()) / self.temperature
        return scores - scores.logsumexp(-1, keepdim=True)

    def log_prob(self, value: Tensor) -> Tensor:
        """log (n - 1)! + (n - 1) log temperature + sum log_softmax(l - value temperature)."""
        self._check(value)
        n = self._categorical._num_events
        logits, value = broadcast_all(self.logits, value)
        normaliser = full_like(self.temperature, float(n)).lgamma() - self.temperature.log().mul(
            -(n - 1)
        )
        score = logits - value.mul(self.temperature)
        return (score - score.logsumexp(-1, keepdim=True)).sum(-1) + normaliser


class RelaxedOneHotCategorical(TransformedDistribution):
    """Vectors of a simplex that come near its corners as the ``temperature`` falls."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.simplex
    has_rsample = True
    _parameters = ()

    def __init__(
        self,
        temperature: Tensor | float,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)

    @property
    def temperature(self) -> Tensor:
        """How far from the corners the vectors are."""
        return self.base_dist.temperature

    @property
    def logits(self) -> Tensor:
        """log p."""
        return self.base_dist.logits

    @property
    def probs(self) -> Tensor:
        """p."""
        return self.base_dist.probs
