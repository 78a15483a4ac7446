"""The multivariate normal distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .._shapes import broadcast
from ..ops.factorisations import linalg_cholesky
from ..ops.products import matmul
from ..ops.solving import cholesky_inverse, solve_triangular
from ..tensor._creation import eye
from ..tensor._device import Size
from ..tensor._tensor import Tensor
from . import constraints
from .distribution import Distribution
from .utils import _standard_normal, lazy_property


def precision_to_scale_tril(precision: Tensor) -> Tensor:
    """The Cholesky factor L of the inverse of ``precision``.

    With rows and columns reversed, a lower factor becomes an upper one: P = U U^T, so that
    P^-1 = U^-T U^-1, and U^-T is lower triangular.
    """
    lower = linalg_cholesky(precision.flip((-2, -1))).flip((-2, -1)).mT
    unit = eye(precision.shape[-1], dtype=precision.dtype)
    return solve_triangular(lower, unit, upper=False)


def squared_distance(scale_tril: Tensor, difference: Tensor) -> Tensor:
    """|L^-1 d|^2 for L [..., n, n] and d [..., n], whose batches broadcast."""
    return solve_triangular(scale_tril, difference.unsqueeze(-1), upper=False).pow(2).sum((-2, -1))


def log_diagonal(scale_tril: Tensor) -> Tensor:
    """log det L: the sum of the logarithms of the diagonal."""
    return scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)


class MultivariateNormal(Distribution):
    """Density exp(-d^T S^-1 d / 2) / sqrt((2 pi)^n det S), d = x - loc.

    S is given as ``covariance_matrix``, its inverse ``precision_matrix`` or its Cholesky factor
    ``scale_tril`` [..., n, n], which is what all is computed with.
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True
    _parameters = (
        "loc",
        "covariance_matrix",
        "precision_matrix",
        "scale_tril",
        "_unbroadcasted_scale_tril",
    )

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        name, matrix = one_matrix(covariance_matrix, precision_matrix, scale_tril)
        if matrix.dim() < 2:
            raise ValueError(
                f"{name} must be at least two-dimensional, with optional leading batch dimensions"
            )
        batch_shape = Size(broadcast(matrix.shape[:-2], loc.shape[:-1]))
        setattr(self, name, matrix.expand(batch_shape + (-1, -1)))
        self.loc = loc.expand(batch_shape + (-1,))
        super().__init__(batch_shape, self.loc.shape[-1:], validate_args=validate_args)
        self._unbroadcasted_scale_tril = scale_tril_of(name, matrix)

    def _expanded(self, parameter: Tensor, batch_shape: Size) -> Tensor:
        if parameter is vars(self).get("_unbroadcasted_scale_tril"):
            return parameter
        return super()._expanded(parameter, batch_shape)

    @lazy_property
    def scale_tril(self) -> Tensor:
        """L, lower triangular, with L L^T = S."""
        n = self._event_shape[0]
        return self._unbroadcasted_scale_tril.expand(self._batch_shape + (n, n))

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """S."""
        n, factor = self._event_shape[0], self._unbroadcasted_scale_tril
        return matmul(factor, factor.mT).expand(self._batch_shape + (n, n))

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of S."""
        n = self._event_shape[0]
        inverse = cholesky_inverse(self._unbroadcasted_scale_tril)
        return inverse.expand(self._batch_shape + (n, n))

    @property
    def mean(self) -> Tensor:
        """loc."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """loc."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The diagonal of S."""
        squares = self._unbroadcasted_scale_tril.pow(2).sum(-1)
        return squares.expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """loc + L z, z standard normal."""
        z = _standard_normal(self._extended_shape(sample_shape), self.loc.dtype, self.loc.device)
        return self.loc + matmul(self._unbroadcasted_scale_tril, z.unsqueeze(-1)).squeeze(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        self._check(value)
        distance = squared_distance(self._unbroadcasted_scale_tril, value - self.loc)
        constant = self._event_shape[0] * math.log(2 * math.pi)
        return -0.5 * (constant + distance) - log_diagonal(self._unbroadcasted_scale_tril)

    def entropy(self) -> Tensor:
        """n/2 (1 + log 2 pi) + log det L."""
        constant = 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi))
        entropy = constant + log_diagonal(self._unbroadcasted_scale_tril)
        return entropy.expand(self._batch_shape) if self._batch_shape else entropy


def one_matrix(
    covariance_matrix: Tensor | None, precision_matrix: Tensor | None, scale_tril: Tensor | None
) -> tuple[str, Tensor]:
    """Which of the three is given, and it; ValueError for none or several."""
    given = {
        "covariance_matrix": covariance_matrix,
        "precision_matrix": precision_matrix,
        "scale_tril": scale_tril,
    }
    named = [(name, matrix) for name, matrix in given.items() if matrix is not None]
    if len(named) != 1:
        raise ValueError(
            "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."
        )
    return named[0]


def scale_tril_of(name: str, matrix: Tensor) -> Tensor:
    """The lower Cholesky factor of the covariance that ``matrix``, named ``name``, describes."""
    if name == "scale_tril":
        return matrix
    return (linalg_cholesky if name == "covariance_matrix" else precision_to_scale_tril)(matrix)
