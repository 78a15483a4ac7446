"""The Wishart distribution."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from .._dtypes import finfo
from .._shapes import broadcast
from ..core.modes import no_grad
from ..functions.shape import tril_indices
from ..ops.comparison import where
from ..ops.products import matmul
from ..ops.rearranging import diag_embed
from ..ops.solving import cholesky_inverse, cholesky_solve, linalg_slogdet
from ..tensor._creation import arange, tensor
from ..tensor._device import Size
from ..tensor._random import randn
from ..tensor._tensor import Tensor
from . import constraints
from .chi2 import Chi2
from .constraints import Constraint
from .exp_family import ExponentialFamily
from .multivariate_normal import log_diagonal, one_matrix, scale_tril_of
from .utils import lazy_property


def _mvdigamma(x: Tensor, p: int) -> Tensor:
    """The derivative of log of the multivariate gamma function of dimension p."""
    halves = arange(p, dtype=x.dtype) / 2
    return (x.unsqueeze(-1) - halves).digamma().sum(-1)


def _positive(x: Tensor) -> Tensor:
    return x.clamp(min=finfo(x.dtype).eps)


class Wishart(ExponentialFamily):
    """The sum of z z^T for ``df`` normal vectors z of covariance S [..., n, n].

    Density det(X)^((df - n - 1)/2) exp(-tr(S^-1 X)/2) / (2^(df n/2) det(S)^(df/2) Gamma_n(df/2)).
    S is given as ``covariance_matrix``, ``precision_matrix`` or ``scale_tril``; df > n - 1.
    """

    support = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0
    _parameters = ("df", "covariance_matrix", "precision_matrix", "scale_tril")

    def __init__(
        self,
        df: Tensor | float,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        name, matrix = one_matrix(covariance_matrix, precision_matrix, scale_tril)
        if matrix.dim() < 2:
            raise ValueError(
                "scale_tril must be at least two-dimensional, with optional leading batch "
                "dimensions"
            )
        if not isinstance(df, Tensor):
            df = tensor(df, dtype=matrix.dtype)
        batch_shape = Size(broadcast(df.shape, matrix.shape[:-2]))
        event_shape = matrix.shape[-2:]
        self.df = df.expand(batch_shape)
        n = event_shape[-1]
        if self.df.le(n - 1).any():
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {n - 1}.")
        setattr(self, name, matrix.expand(batch_shape + (-1, -1)))
        if self.df.lt(n).any():
            warnings.warn(
                "Low df values detected. Singular samples are highly likely to occur for "
                "ndim - 1 < df < ndim.",
                stacklevel=2,
            )
        super().__init__(batch_shape, event_shape, validate_args=validate_args)
        self._batch_dims = [-(x + 1) for x in range(len(self._batch_shape))]
        self._unbroadcasted_scale_tril = scale_tril_of(name, matrix)
        self._dist_chi2 = Chi2(self.df.unsqueeze(-1) - arange(n, dtype=matrix.dtype))

    def expand(self, batch_shape: Sequence[int], _instance: Wishart | None = None) -> Any:
        """The same distribution with its batch expanded to ``batch_shape``."""
        batch_shape = Size(batch_shape)
        new = self._with_batch(batch_shape, _instance)
        new._unbroadcasted_scale_tril = self._unbroadcasted_scale_tril
        new._batch_dims = [-(x + 1) for x in range(len(batch_shape))]
        new._dist_chi2 = self._dist_chi2.expand(batch_shape + self._event_shape[-1:])
        super(Wishart, new).__init__(batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        """df > n - 1, and positive definite matrices."""
        return {
            "covariance_matrix": constraints.positive_definite,
            "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky,
            "df": constraints.greater_than(self._event_shape[-1] - 1),
        }

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The Cholesky factor of S."""
        return self._unbroadcasted_scale_tril.expand(self._batch_shape + self._event_shape)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """S."""
        factor = self._unbroadcasted_scale_tril
        return matmul(factor, factor.mT).expand(self._batch_shape + self._event_shape)

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of S."""
        inverse = cholesky_inverse(self._unbroadcasted_scale_tril)
        return inverse.expand(self._batch_shape + self._event_shape)

    @property
    def mean(self) -> Tensor:
        """df S."""
        return self.df.view(self._batch_shape + (1, 1)) * self.covariance_matrix

    @property
    def mode(self) -> Tensor:
        """(df - n - 1) S for df > n + 1, else nan."""
        factor = self.df - self.covariance_matrix.shape[-1] - 1
        factor = factor.masked_fill(factor <= 0, math.nan)
        return factor.view(self._batch_shape + (1, 1)) * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        """df (S_ij^2 + S_ii S_jj)."""
        covariance = self.covariance_matrix
        diagonal = covariance.diagonal(dim1=-2, dim2=-1)
        products = diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2)
        return self.df.view(self._batch_shape + (1, 1)) * (covariance.pow(2) + products)

    def _bartlett_sampling(self, sample_shape: Sequence[int] = Size()) -> Tensor:
        """L A A^T L^T, A lower triangular: roots of chi-squared numbers, below normal ones."""
        n = self._event_shape[-1]
        triangle = diag_embed(_positive(self._dist_chi2.rsample(sample_shape).sqrt()))
        rows, columns = tril_indices(n, n, offset=-1)
        below = Size(sample_shape) + self._batch_shape + (n * (n - 1) // 2,)
        triangle[..., rows, columns] = randn(below, dtype=triangle.dtype)
        product = matmul(self._unbroadcasted_scale_tril, triangle)
        return matmul(product, product.mT)

    def rsample(
        self, sample_shape: Sequence[int] = Size(), max_try_correction: int | None = None
    ) -> Tensor:
        """Bartlett's decomposition; singular samples are drawn anew, a few times."""
        if max_try_correction is None:
            max_try_correction = 3 if self._event_shape[-1] < 64 else 10
        # PyTorch 2.13 takes its first, valid samples for singular ones and draws all of them anew.
        # So do we, for the same seed to give the same numbers.
        self._bartlett_sampling(sample_shape)
        sample = self._bartlett_sampling(sample_shape)
        for _ in range(max_try_correction):
            with no_grad():
                singular = ~self.support.check(sample)
            if not singular.any():
                break
            warnings.warn("Singular sample detected.", stacklevel=2)
            again = self._bartlett_sampling(sample_shape)
            sample = where(singular.unsqueeze(-1).unsqueeze(-1), again, sample)
        return sample

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        self._check(value)
        df, n, factor = self.df, self._event_shape[-1], self._unbroadcasted_scale_tril
        trace = cholesky_solve(value, factor).diagonal(dim1=-2, dim2=-1).sum(-1)
        return (
            -df * (n * math.log(2) / 2 + log_diagonal(factor))
            - (df / 2).mvlgamma(n)
            + (df - n - 1) / 2 * linalg_slogdet(value).logabsdet
            - trace / 2
        )

    def entropy(self) -> Tensor:
        """From log det S, the multivariate gamma function and its derivative."""
        df, n = self.df, self._event_shape[-1]
        return (
            (n + 1) * (n * math.log(2) / 2 + log_diagonal(self._unbroadcasted_scale_tril))
            + (df / 2).mvlgamma(n)
            - (df - n - 1) / 2 * _mvdigamma(df / 2, n)
            + df * n / 2
        )

    @property
    def _natural_params(self) -> tuple[Tensor, Tensor]:
        return -self.precision_matrix / 2, (self.df - self._event_shape[-1] - 1) / 2

    def _log_normalizer(self, x: Tensor, y: Tensor) -> Tensor:
        n = self._event_shape[-1]
        half_df = y + (n + 1) / 2
        return half_df * (-linalg_slogdet(-2 * x).logabsdet + n * math.log(2)) + half_df.mvlgamma(n)
