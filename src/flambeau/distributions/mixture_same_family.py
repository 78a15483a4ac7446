"""Mixtures of distributions of one family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.modes import no_grad
from ..tensor._device import Size
from ..tensor._tensor import Tensor
from . import constraints
from .categorical import Categorical
from .constraints import Constraint, MixtureSameFamilyConstraint
from .distribution import Distribution


class MixtureSameFamily(Distribution):
    """Density sum_k p_k f_k(x).

    ``mixture_distribution`` draws k; the components f_k are the last batch dimension of
    ``component_distribution``.
    """

    arg_constraints: dict[str, Constraint] = {}
    has_rsample = False

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(
                " The Mixture distribution needs to be an  instance of "
                f"torch.distributions.Categorical\n  it is {mixture_distribution!r}"
            )
        if not isinstance(component_distribution, Distribution):
            raise ValueError(
                "The Component distribution needs to be an instance of "
                f"torch.distributions.Distribution\n  it is {component_distribution!r}"
            )
        batch = component_distribution.batch_shape
        mixed = mixture_distribution.batch_shape
        for one, other in zip(reversed(mixed), reversed(batch[:-1]), strict=False):
            if one != 1 and other != 1 and one != other:
                raise ValueError(
                    f"`mixture_distribution.batch_shape` ({mixed}) is not compatible with "
                    f"`component_distribution.batch_shape`({batch})"
                )
        components = mixture_distribution.logits.shape[-1]
        if components != batch[-1]:
            raise ValueError(
                f"`mixture_distribution component` ({components}) does not equal "
                f"`component_distribution.batch_shape[-1]` ({batch[-1]})"
            )
        self._mixture_distribution = mixture_distribution
        self._component_distribution = component_distribution
        self._num_component = components
        self._event_ndims = len(component_distribution.event_shape)
        super().__init__(batch[:-1], component_distribution.event_shape, validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: MixtureSameFamily | None = None) -> Any:
        """The same distribution with its batch expanded to ``batch_shape``."""
        new = self._get_checked_instance(MixtureSameFamily, _instance)
        batch_shape = Size(batch_shape)
        new._component_distribution = self._component_distribution.expand(
            batch_shape + (self._num_component,)
        )
        new._mixture_distribution = self._mixture_distribution.expand(batch_shape)
        new._num_component, new._event_ndims = self._num_component, self._event_ndims
        super(MixtureSameFamily, new).__init__(batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @constraints.dependent_property
    def support(self) -> Constraint:
        """The components'."""
        return MixtureSameFamilyConstraint(self._component_distribution.support)

    @property
    def mixture_distribution(self) -> Categorical:
        """What draws the component."""
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Distribution:
        """The components, along its last batch dimension."""
        return self._component_distribution

    def _weights(self) -> Tensor:
        return self._padded(self.mixture_distribution.probs)

    @property
    def _component_dim(self) -> int:
        return -1 - self._event_ndims

    @property
    def mean(self) -> Tensor:
        """sum_k p_k m_k."""
        return (self._weights() * self.component_distribution.mean).sum(self._component_dim)

    @property
    def variance(self) -> Tensor:
        """sum_k p_k (v_k + (m_k - mean)^2)."""
        weights, dim = self._weights(), self._component_dim
        within = (weights * self.component_distribution.variance).sum(dim)
        offsets = self.component_distribution.mean - self._with_components(self.mean)
        return within + (weights * offsets.pow(2.0)).sum(dim)

    def cdf(self, value: Tensor) -> Tensor:
        """sum_k p_k F_k(value)."""
        each = self.component_distribution.cdf(self._with_components(value))
        return (each * self.mixture_distribution.probs).sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """log sum_k p_k f_k(value)."""
        self._check(value)
        each = self.component_distribution.log_prob(self._with_components(value))
        return (each + self.mixture_distribution.logits.log_softmax(-1)).logsumexp(-1)

    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """Random values of random components."""
        with no_grad():
            chosen = self.mixture_distribution.sample(sample_shape)
            drawn = self.component_distribution.sample(sample_shape)
            gather_dim = len(sample_shape) + len(self.batch_shape)
            index = chosen.reshape(chosen.shape + (1,) * (self._event_ndims + 1))
            index = index.repeat((1,) * len(chosen.shape) + (1,) + tuple(self.event_shape))
            return drawn.gather(gather_dim, index).squeeze(gather_dim)

    def _with_components(self, x: Tensor) -> Tensor:
        return x.unsqueeze(self._component_dim)

    def _padded(self, x: Tensor) -> Tensor:
        """[batch, components] with as many dimensions as the components' values."""
        missing = len(self.batch_shape) - len(self.mixture_distribution.batch_shape)
        shape = x.shape[:-1] + (1,) * missing + x.shape[-1:] + (1,) * self._event_ndims
        return x.reshape(shape)

    def __repr__(self) -> str:
        return (
            f"MixtureSameFamily(\n  {self.mixture_distribution},\n  {self.component_distribution})"
        )
