"""The multivariate normal distribution whose covariance is of low rank but for its diagonal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .._shapes import broadcast
from ..ops.factorisations import linalg_cholesky
from ..ops.products import matmul
from ..ops.rearranging import diag_embed
from ..ops.solving import solve_triangular
from ..tensor._device import Size
from ..tensor._tensor import Tensor
from . import constraints
from .distribution import Distribution
from .multivariate_normal import log_diagonal, squared_distance
from .utils import _standard_normal, lazy_property


def _capacitance_tril(factor: Tensor, diagonal: Tensor) -> Tensor:
    """The Cholesky factor of I + W^T D^-1 W [..., m, m]."""
    scaled = factor.mT / diagonal.unsqueeze(-2)
    capacitance = matmul(scaled, factor)
    m = factor.shape[-1]
    capacitance.view(*capacitance.shape[:-2], m * m)[..., :: m + 1] += 1
    return linalg_cholesky(capacitance)


class LowRankMultivariateNormal(Distribution):
    """The normal distribution of covariance S = W W^T + D.

    W is ``cov_factor`` [..., n, m], D the diagonal matrix of ``cov_diag`` [..., n]. With
    C = I + W^T D^-1 W [m, m]: det S = det C det D, and S^-1 = D^-1 - D^-1 W C^-1 W^T D^-1
    (Woodbury), so that nothing of size n x n is factored.
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True
    _parameters = ("loc", "cov_factor", "cov_diag", "_factor", "_diagonal", "_capacitance")

    def __init__(
        self,
        loc: Tensor,
        cov_factor: Tensor,
        cov_diag: Tensor,
        validate_args: bool | None = None,
    ) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        event_shape = loc.shape[-1:]
        n = event_shape[0]
        if cov_factor.dim() < 2:
            raise ValueError(
                "cov_factor must be at least two-dimensional, with optional leading batch "
                "dimensions"
            )
        if cov_factor.shape[-2:-1] != event_shape:
            raise ValueError(f"cov_factor must be a batch of matrices with shape {n} x m")
        if cov_diag.shape[-1:] != event_shape:
            raise ValueError(f"cov_diag must be a batch of vectors with shape {event_shape}")
        try:
            batch_shape = Size(
                broadcast(broadcast(loc.shape[:-1], cov_factor.shape[:-2]), cov_diag.shape[:-1])
            )
        except RuntimeError as error:
            raise ValueError(
                f"Incompatible batch shapes: loc {loc.shape}, cov_factor {cov_factor.shape}, "
                f"cov_diag {cov_diag.shape}"
            ) from error
        self.loc = loc.expand(batch_shape + (-1,))
        self.cov_factor = cov_factor.expand(batch_shape + (-1, -1))
        self.cov_diag = cov_diag.expand(batch_shape + (-1,))
        self._factor, self._diagonal = _Kept(cov_factor), _Kept(cov_diag)
        self._capacitance = _Kept(_capacitance_tril(cov_factor, cov_diag))
        super().__init__(batch_shape, event_shape, validate_args=validate_args)

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
        """The diagonal of S."""
        diagonal = self._factor.value.pow(2).sum(-1) + self._diagonal.value
        return diagonal.expand(self._batch_shape + self._event_shape)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """S."""
        factor, n = self._factor.value, self._event_shape[0]
        matrix = matmul(factor, factor.mT) + diag_embed(self._diagonal.value)
        return matrix.expand(self._batch_shape + (n, n))

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of S."""
        inverse, n = self._diagonal.value.reciprocal(), self._event_shape[0]
        scaled = self._factor.value.mT * inverse.unsqueeze(-2)
        half = solve_triangular(self._capacitance.value, scaled, upper=False)
        matrix = diag_embed(inverse) - matmul(half.mT, half)
        return matrix.expand(self._batch_shape + (n, n))

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The Cholesky factor of S: sqrt D times that of I + D^-1/2 W W^T D^-1/2."""
        root, n = self._diagonal.value.sqrt().unsqueeze(-1), self._event_shape[0]
        scaled = self._factor.value / root
        matrix = matmul(scaled, scaled.mT).contiguous()
        matrix.view(*matrix.shape[:-2], n * n)[..., :: n + 1] += 1
        return (root * linalg_cholesky(matrix)).expand(self._batch_shape + (n, n))

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """loc + W z + sqrt(D) e, z and e standard normal."""
        shape = self._extended_shape(sample_shape)
        kind, place = self.loc.dtype, self.loc.device
        z = _standard_normal(shape[:-1] + self.cov_factor.shape[-1:], kind, place)
        e = _standard_normal(shape, kind, place)
        low_rank = matmul(self._factor.value, z.unsqueeze(-1)).squeeze(-1)
        return self.loc + low_rank + self._diagonal.value.sqrt() * e

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        self._check(value)
        difference = value - self.loc
        diagonal, capacitance = self._diagonal.value, self._capacitance.value
        whitened = difference / diagonal
        projected = matmul(self._factor.value.mT, whitened.unsqueeze(-1)).squeeze(-1)
        distance = (difference * whitened).sum(-1) - squared_distance(capacitance, projected)
        constant = self._event_shape[0] * math.log(2 * math.pi)
        return -0.5 * (constant + self._log_determinant() + distance)

    def _log_determinant(self) -> Tensor:
        return 2 * log_diagonal(self._capacitance.value) + self._diagonal.value.log().sum(-1)

    def entropy(self) -> Tensor:
        """n/2 (1 + log 2 pi) + log det S / 2."""
        constant = self._event_shape[0] * (1.0 + math.log(2 * math.pi))
        entropy = 0.5 * (constant + self._log_determinant())
        return entropy.expand(self._batch_shape) if self._batch_shape else entropy


class _Kept:
    """A tensor that ``expand`` leaves as it is: its batch broadcasts when it is used."""

    def __init__(self, value: Tensor) -> None:
        self.value = value
