"""The von Mises distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .._dtypes import float64
from ..core.modes import no_grad
from ..ops.comparison import where
from ..ops.special_functions import i0e, i1e
from ..tensor._creation import zeros
from ..tensor._device import Size
from ..tensor._random import rand
from ..tensor._tensor import Tensor
from . import constraints
from .distribution import Distribution
from .utils import broadcast_all, lazy_property


class VonMises(Distribution):
    """Density exp(k cos(x - loc)) / (2 pi I_0(k)) on the circle, k the concentration."""

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real
    has_rsample = False
    _parameters = ("loc", "concentration")

    def __init__(
        self,
        loc: Tensor | float,
        concentration: Tensor | float,
        validate_args: bool | None = None,
    ) -> None:
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.size(), validate_args=validate_args)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density; I_0(k) = e^k i0e(k) does not overflow."""
        self._check(value)
        k = self.concentration
        return k * (value - self.loc).cos() - math.log(2 * math.pi) - i0e(k).log() - k

    @lazy_property
    def _loc(self) -> Tensor:
        return self.loc.to(float64)

    @lazy_property
    def _concentration(self) -> Tensor:
        return self.concentration.to(float64)

    @lazy_property
    def _proposal_r(self) -> Tensor:
        """r = (1 + rho^2) / (2 rho) of the wrapped Cauchy distribution that is drawn from.

        For tiny k, where that cancels, its expansion 1 / k + k.
        """
        k = self._concentration
        tau = 1 + (1 + 4 * k**2).sqrt()
        rho = (tau - (2 * tau).sqrt()) / (2 * k)
        return where(k < 1e-5, 1 / k + k, (1 + rho**2) / (2 * rho))

    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """By rejection, in float64 (Best and Fisher, Applied Statistics 28, 1979)."""
        shape = self._extended_shape(sample_shape)
        with no_grad():
            k, r = self._concentration.expand(shape), self._proposal_r.expand(shape)
            angle = zeros(shape, dtype=float64)
            done = angle == 1
            while not done.all():
                u1, u2, u3 = rand((3, *shape), dtype=float64).unbind()
                z = (math.pi * u1).cos()
                f = (1 + r * z) / (r + z)
                c = k * (r - f)
                accept = ((c * (2 - c) - u2) > 0) | ((c / u2).log() + 1 - c >= 0)
                if accept.any():
                    angle = where(accept, (u3 - 0.5).sign() * f.acos(), angle)
                    done = done | accept
            turned = (angle + math.pi + self._loc) % (2 * math.pi) - math.pi
            return turned.to(self.loc.dtype)

    @property
    def mean(self) -> Tensor:
        """loc."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """loc."""
        return self.loc

    @lazy_property
    def variance(self) -> Tensor:
        """That of the circle: 1 - I_1(k) / I_0(k)."""
        return 1 - i1e(self.concentration) / i0e(self.concentration)
