"""Exponential families: densities exp(<T(x), theta> - F(theta) + k(x))."""

from __future__ import annotations

from ..autograd import grad
from ..tensor._tensor import Tensor
from .distribution import Distribution


class ExponentialFamily(Distribution):
    """Density p(x; theta) = exp(<T(x), theta> - F(theta) + k(x)).

    theta are the natural parameters, T the sufficient statistics, F the log normaliser and k the
    carrier measure. Since E T = grad F, entropy = F(theta) - <theta, grad F(theta)> - E k.
    Source: Nielsen and Nock, https://arxiv.org/abs/1105.3259
    """

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        raise NotImplementedError

    def _log_normalizer(self, *natural_params: Tensor) -> Tensor:
        raise NotImplementedError

    @property
    def _mean_carrier_measure(self) -> float:
        """E k(x)."""
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """From the log normaliser and its gradient."""
        result = -self._mean_carrier_measure
        theta = [p.detach().requires_grad_() for p in self._natural_params]
        normaliser = self._log_normalizer(*theta)
        gradients = grad(normaliser.sum(), theta, create_graph=True)
        result += normaliser
        for parameter, gradient in zip(theta, gradients, strict=True):
            result -= (parameter * gradient).reshape(self._batch_shape + (-1,)).sum(-1)
        return result
