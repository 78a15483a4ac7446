"""The categorical distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .._dtypes import finfo, int64
from .._shapes import broadcast
from ..core.modes import no_grad
from ..tensor._creation import arange, full
from ..tensor._device import Size
from ..tensor._sampling import multinomial
from ..tensor._tensor import Tensor
from . import constraints
from ._odds import Odds, one_of
from .constraints import Constraint
from .distribution import Distribution


class Categorical(Odds, Distribution):
    """The index i with probability p_i.

    ``probs`` [..., n] need not be normalised; ``logits`` are log p up to a constant.
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True
    _binary = False
    _parameters = ("probs", "logits", "_given", "_num_events")

    def __init__(
        self,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self._given = one_of(probs=probs, logits=logits)
        value = logits if probs is None else probs
        if value.dim() < 1:
            raise ValueError(f"`{self._given}` parameter must be at least one-dimensional.")
        if probs is None:
            self.logits = logits - logits.logsumexp(-1, keepdim=True)
        else:
            self.probs = probs / probs.sum(-1, keepdim=True)
        self._num_events = value.size()[-1]
        super().__init__(value.size()[:-1], validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Constraint:
        """0 to n - 1."""
        return constraints.integer_interval(0, self._num_events - 1)

    @property
    def mean(self) -> Tensor:
        """nan: the numbers are names."""
        return full(self._batch_shape, math.nan, dtype=self.probs.dtype)

    @property
    def mode(self) -> Tensor:
        """The most probable index."""
        return self.probs.argmax(-1)

    @property
    def variance(self) -> Tensor:
        """nan."""
        return full(self._batch_shape, math.nan, dtype=self.probs.dtype)

    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """Random indices."""
        sample_shape = Size(sample_shape)
        rows = self.probs.reshape(-1, self._num_events)
        with no_grad():
            drawn = multinomial(rows, sample_shape.numel(), True).T
        return drawn.reshape(self._extended_shape(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """log p of the indices ``value``."""
        self._check(value)
        index = value.to(int64).unsqueeze(-1)
        batch = broadcast(index.shape[:-1], self.logits.shape[:-1])
        logits = self.logits.expand((*batch, self._num_events))
        return logits.gather(-1, index.expand((*batch, 1))).squeeze(-1)

    def entropy(self) -> Tensor:
        """-sum p log p."""
        logits = self.logits.clamp(min=finfo(self.logits.dtype).min)  # 0 * -inf is 0 here
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """0, 1 ... n - 1."""
        values = arange(self._num_events, dtype=int64)
        values = values.view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1, *self._batch_shape)) if expand else values
