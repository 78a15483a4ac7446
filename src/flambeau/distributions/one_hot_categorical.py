"""The categorical distribution over vectors with one 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._dtypes import int64
from ..functions.shape import broadcast_tensors
from ..ops.gathering import one_hot
from ..tensor._creation import eye
from ..tensor._device import Size
from ..tensor._tensor import Tensor
from . import constraints
from .categorical import Categorical
from .distribution import Distribution


class OneHotCategorical(Distribution):
    """The i-th unit vector with probability p_i. Parameters as in ``Categorical``."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.one_hot
    has_enumerate_support = True

    def __init__(
        self,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self._categorical = Categorical(probs, logits)
        shape = self._categorical.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: OneHotCategorical | None = None) -> Any:
        """The same distribution with its batch expanded to ``batch_shape``."""
        new = self._get_checked_instance(OneHotCategorical, _instance)
        new._categorical = self._categorical.expand(batch_shape)
        Distribution.__init__(new, batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def probs(self) -> Tensor:
        """p."""
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        """log p."""
        return self._categorical.logits

    @property
    def _param(self) -> Tensor:
        return self._categorical._param

    @property
    def param_shape(self) -> Size:
        """The shape of the parameter."""
        return self._categorical.param_shape

    @property
    def mean(self) -> Tensor:
        """p."""
        return self._categorical.probs

    @property
    def mode(self) -> Tensor:
        """The most probable unit vector."""
        return one_hot(self.probs.argmax(-1), self.event_shape[0]).to(self.probs)

    @property
    def variance(self) -> Tensor:
        """p (1 - p), of each element."""
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """Random unit vectors."""
        drawn = self._categorical.sample(Size(sample_shape))
        return one_hot(drawn, self.event_shape[0]).to(self.probs)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p of where the 1 is."""
        self._check(value)
        value, _ = broadcast_tensors(value, self.logits)
        return self._categorical.log_prob(value.argmax(-1).to(int64))

    def entropy(self) -> Tensor:
        """-sum p log p."""
        return self._categorical.entropy()

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """The unit vectors."""
        n = self.event_shape[0]
        values = eye(n, dtype=self._param.dtype)
        values = values.view((n, *(1,) * len(self.batch_shape), n))
        return values.expand((n, *self.batch_shape, n)) if expand else values


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """With ``rsample``: unit vectors whose gradient is that of the probabilities.

    Source: Bengio, Leonard and Courville, https://arxiv.org/abs/1308.3432
    """

    has_rsample = True

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """sample + (p - p.detach())."""
        samples = self.sample(sample_shape)
        return samples + (self.probs - self.probs.detach())
