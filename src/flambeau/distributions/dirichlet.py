"""The Dirichlet distribution."""

from __future__ import annotations

from collections.abc import Sequence

from ..tensor._device import Size
from ..tensor._sampling import dirichlet
from ..tensor._tensor import Tensor
from . import constraints
from .exp_family import ExponentialFamily


class Dirichlet(ExponentialFamily):
    """Density Gamma(sum a) / prod Gamma(a_i) * prod x_i^(a_i - 1) on the simplex.

    ``concentration`` [..., n] is a.
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex
    has_rsample = True
    _parameters = ("concentration",)

    def __init__(self, concentration: Tensor, validate_args: bool | None = None) -> None:
        if concentration.dim() < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        shape = concentration.shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """a / sum a."""
        return self.concentration / self.concentration.sum(-1, True)

    @property
    def mode(self) -> Tensor:
        """(a - 1) / sum (a - 1), where all a >= 1; the corner of the largest a, if all are < 1."""
        excess = (self.concentration - 1).clamp(min=0)
        mode = excess / excess.sum(-1, True)
        corners = (self.concentration < 1).all(-1)
        corner = mode[corners].argmax(-1, keepdim=True)
        mode[corners] = mode[corners].zero_().scatter(-1, corner, 1.0)
        return mode

    @property
    def variance(self) -> Tensor:
        """m (1 - m) / (sum a + 1), m the mean."""
        total = self.concentration.sum(-1, True)
        mean = self.concentration / total
        return mean * (1 - mean) / (total + 1)

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """Gamma numbers over their sum."""
        return dirichlet(self.concentration.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        self._check(value)
        a = self.concentration
        return (a - 1).xlogy(value).sum(-1) + a.sum(-1).lgamma() - a.lgamma().sum(-1)

    def entropy(self) -> Tensor:
        """log B(a) + (sum a - n) digamma(sum a) - sum (a - 1) digamma(a)."""
        a, n = self.concentration, self.concentration.shape[-1]
        total = a.sum(-1)
        return (
            a.lgamma().sum(-1)
            - total.lgamma()
            - (n - total) * total.digamma()
            - ((a - 1) * a.digamma()).sum(-1)
        )

    @property
    def _natural_params(self) -> tuple[Tensor]:
        return (self.concentration,)

    def _log_normalizer(self, x: Tensor) -> Tensor:
        return x.lgamma().sum(-1) - x.sum(-1).lgamma()
