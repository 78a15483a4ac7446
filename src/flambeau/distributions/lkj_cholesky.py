"""The LKJ distribution of Cholesky factors of correlation matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .._dtypes import finfo
from ..core.modes import no_grad
from ..functions.linear_algebra import linalg_norm
from ..ops.joining import cat
from ..ops.rearranging import diag_embed
from ..tensor._creation import arange
from ..tensor._device import Size
from ..tensor._random import randn
from ..tensor._tensor import Tensor
from . import constraints
from .beta import Beta
from .distribution import Distribution
from .utils import broadcast_all


class LKJCholesky(Distribution):
    """Lower factors L [n, n] of correlation matrices M = L L^T of density ~ det(M)^(eta - 1).

    n is ``dim``, eta the ``concentration``: 1 for uniform matrices, more for weaker correlations.
    Source: Lewandowski, Kurowicka and Joe, "Generating random correlation matrices" (2009).
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky
    _parameters = ("concentration", "dim")

    def __init__(
        self, dim: int, concentration: Tensor | float = 1.0, validate_args: bool | None = None
    ) -> None:
        if dim < 2:
            raise ValueError(
                f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}."
            )
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        super().__init__(self.concentration.size(), Size((dim, dim)), validate_args)

    @property
    def _beta(self) -> Beta:
        """The squared length of each row left of the diagonal (the onion method)."""
        eta = self.concentration
        rows = arange(self.dim - 1, dtype=eta.dtype)
        rows = cat([rows.new_zeros((1,)), rows])
        marginal = eta + 0.5 * (self.dim - 2)
        return Beta(rows + 0.5, marginal.unsqueeze(-1) - 0.5 * rows)

    def sample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """Rows of random directions and lengths, and the diagonal that makes them unit."""
        with no_grad():
            squares = self._beta.sample(sample_shape).unsqueeze(-1)
            shape = self._extended_shape(sample_shape)
            normals = randn(shape, dtype=squares.dtype).tril(-1)
            directions = normals / linalg_norm(normals, dim=-1, keepdim=True)
            directions[..., 0, :].fill_(0.0)
            below = squares.sqrt() * directions
            rest = (1 - (below**2).sum(-1)).clamp(min=finfo(below.dtype).tiny)
            return below + diag_embed(rest.sqrt())

    def log_prob(self, value: Tensor) -> Tensor:
        """sum_i (2 (eta - 1) + n - i) log L_ii , i = 2 ... n, less the log normaliser."""
        self._check(value)
        n, eta = self.dim, self.concentration
        diagonal = value.diagonal(dim1=-1, dim2=-2)[..., 1:]
        order = n - arange(2, n + 1)
        order = 2 * (eta - 1).unsqueeze(-1) + order
        density = (order * diagonal.log()).sum(-1)
        last = n - 1
        alpha = eta + 0.5 * last
        normaliser = (alpha - 0.5).mvlgamma(last) - alpha.lgamma() * last
        return density - (0.5 * last * math.log(math.pi) + normaliser)
