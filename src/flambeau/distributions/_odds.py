"""What distributions share whose parameter is given as probabilities or as their logits."""

from __future__ import annotations

from typing import Any

from ..tensor._device import Size
from ..tensor._tensor import Tensor
from .utils import lazy_property, logits_to_probs, one_of, probs_to_logits

__all__ = ["Odds", "one_of"]


class Odds:
    """``probs`` or ``logits``, whichever was given; the other is computed when asked for.

    ``_binary``: logits are log(p / (1 - p)); else log p, up to a constant, over the last dimension.
    """

    _binary = True

    @lazy_property
    def logits(self) -> Tensor:
        """The logits of ``probs``."""
        return probs_to_logits(self.probs, self._binary)

    @lazy_property
    def probs(self) -> Tensor:
        """The probabilities of ``logits``."""
        return logits_to_probs(self.logits, self._binary)

    @property
    def _param(self) -> Tensor:
        """The one that was given."""
        return self.probs if self._given == "probs" else self.logits

    @property
    def param_shape(self) -> Size:
        """The shape of the parameter."""
        return self._param.size()

    def _new(self, *args: Any, **kwargs: Any) -> Tensor:
        return self._param.new(*args, **kwargs)
