"""What distributions share whose parameter is given as probabilities or as their logits."""

from __future__ import annotations

from typing import Any

from ..tensor._device import Size
from ..tensor._tensor import Tensor
from .utils import lazy_property, logits_to_probs, probs_to_logits


def one_of(**given: object) -> str:
    """The name of the one argument that is not None; ValueError for none or several."""
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        first, second = given
        raise ValueError(f"Either `{first}` or `{second}` must be specified, but not both.")
    return names[0]


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
