"""Kullback-Leibler divergences KL(p || q) = E_p log(p(x) / q(x)).

``kl_divergence`` looks for the pair of types, or of their bases, that fits best; ``register_kl``
adds a pair. With H(p) the entropy, KL = -H(p) - E_p log q(x), which is how most pairs are written.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from .._errors import type_name
from ..autograd import grad
from ..ops.comparison import where
from ..ops.solving import solve_triangular
from ..tensor._tensor import Tensor
from .bernoulli import Bernoulli
from .beta import Beta
from .binomial import Binomial
from .categorical import Categorical
from .cauchy import Cauchy
from .continuous_bernoulli import ContinuousBernoulli
from .dirichlet import Dirichlet
from .distribution import Distribution
from .exp_family import ExponentialFamily
from .exponential import Exponential
from .gamma import Gamma
from .geometric import Geometric
from .gumbel import Gumbel
from .half_normal import HalfNormal
from .independent import Independent
from .laplace import Laplace
from .lowrank_multivariate_normal import LowRankMultivariateNormal
from .multivariate_normal import MultivariateNormal, log_diagonal, squared_distance
from .normal import Normal
from .one_hot_categorical import OneHotCategorical
from .pareto import Pareto
from .poisson import Poisson
from .transformed_distribution import TransformedDistribution
from .uniform import Uniform
from .utils import _sum_rightmost, euler_constant

Divergence = Callable[[Any, Any], Tensor]

_KL_REGISTRY: dict[tuple[type, type], Divergence] = {}
_KL_MEMOIZE: dict[tuple[type, type], Divergence | None] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Divergence], Divergence]:
    """Decorator: the function gives KL(p || q) for these types and those derived from them.

    TypeError for what is no class. As in PyTorch, it may be a class of another library's own.
    """
    for kind, name in ((type_p, "type_p"), (type_q, "type_q")):
        if not isinstance(kind, type):
            raise TypeError(f"Expected {name} to be a Distribution subclass but got {kind}")

    def register(function: Divergence) -> Divergence:
        _KL_REGISTRY[type_p, type_q] = function
        _KL_MEMOIZE.clear()
        return function

    return register


def _find(type_p: type, type_q: type) -> Divergence | None:
    """The pair nearest to p's type, and of those, to q's; the other way round it may differ."""
    matches = [
        pair for pair in _KL_REGISTRY if issubclass(type_p, pair[0]) and issubclass(type_q, pair[1])
    ]
    if not matches:
        return None
    orders = type_p.__mro__, type_q.__mro__
    # A class that only says that it is a base (issubclass, but not among the bases) is farthest.
    far = lambda pair: tuple(o.index(b) if b in o else len(o) for o, b in zip(orders, pair))
    by_p = min(matches, key=far)
    by_q = min(matches, key=lambda pair: far(pair)[::-1])
    if _KL_REGISTRY[by_p] is not _KL_REGISTRY[by_q]:
        names = [f"({a.__name__}, {b.__name__})" for a, b in (by_p, by_q)]
        warnings.warn(
            f"Ambiguous kl_divergence({type_p.__name__}, {type_q.__name__}). "
            f"Please register_kl({by_p[0].__name__}, {by_q[1].__name__})\n  {' or '.join(names)}",
            RuntimeWarning,
            stacklevel=3,
        )
    return _KL_REGISTRY[by_p]


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """KL(p || q), of the batch shape; NotImplementedError for a pair that is not registered."""
    pair = type(p), type(q)
    if pair not in _KL_MEMOIZE:
        _KL_MEMOIZE[pair] = _find(*pair)
    function = _KL_MEMOIZE[pair]
    if function is None:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {type_name(p)} and q type {type_name(q)}\n"
            "  register one with torch.distributions.register_kl, or estimate it by "
            "(p.log_prob(x) - q.log_prob(x)).mean() over samples x of p"
        )
    return function(p, q)


def _infinite_like(x: Tensor) -> Tensor:
    return x.new_full(x.shape, math.inf)


# ---- the same family on both sides ---------------------------------------------------------------


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    from_1 = p.probs.xlogy(p.probs / q.probs)
    from_1 = where(q.probs == 0, math.inf, from_1)
    from_1 = where(p.probs == 0, 0.0, from_1)
    rest = 1 - p.probs
    from_0 = rest.xlogy(rest / (1 - q.probs))
    from_0 = where(q.probs == 1, math.inf, from_0)
    from_0 = where(p.probs == 1, 0.0, from_0)
    return from_1 + from_0


@register_kl(Beta, Beta)
def _beta(p: Beta, q: Beta) -> Tensor:
    return _dirichlet(p._dirichlet, q._dirichlet)


@register_kl(Binomial, Binomial)
def _binomial(p: Binomial, q: Binomial) -> Tensor:
    # E log (n over k) cancels for equal n; for less trials in q it is infinite.
    if (p.total_count < q.total_count).any():
        raise NotImplementedError(
            "KL between Binomials where q.total_count > p.total_count is not implemented"
        )
    logits = p.logits - q.logits
    kl = p.total_count * (p.probs * logits + (-p.probs).log1p() - (-q.probs).log1p())
    return where(p.total_count > q.total_count, math.inf, kl)


@register_kl(Categorical, Categorical)
def _categorical(p: Categorical, q: Categorical) -> Tensor:
    terms = p.probs * (p.logits - q.logits)
    terms = where((q.probs == 0).expand_as(terms), math.inf, terms)
    return where((p.probs == 0).expand_as(terms), 0.0, terms).sum(-1)


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _continuous_bernoulli(p: ContinuousBernoulli, q: ContinuousBernoulli) -> Tensor:
    normalisers = p._cont_bern_log_norm() - q._cont_bern_log_norm()
    slopes = p.mean * (p.logits - q.logits)
    return slopes + normalisers + (-p.probs).log1p() - (-q.probs).log1p()


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Dirichlet, q: Dirichlet) -> Tensor:
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    normalisers = total.lgamma() - b.sum(-1).lgamma() - (a.lgamma() - b.lgamma()).sum(-1)
    expected_log = a.digamma() - total.digamma().unsqueeze(-1)
    return normalisers + ((a - b) * expected_log).sum(-1)


@register_kl(Exponential, Exponential)
def _exponential(p: Exponential, q: Exponential) -> Tensor:
    ratio = q.rate / p.rate
    return -ratio.log() + ratio - 1


@register_kl(ExponentialFamily, ExponentialFamily)
def _exponential_family(p: ExponentialFamily, q: ExponentialFamily) -> Tensor:
    """F(theta_q) - F(theta_p) - <theta_q - theta_p, grad F(theta_p)> (a Bregman divergence)."""
    if type(p) is not type(q):
        raise NotImplementedError(
            "The cross KL-divergence between different exponential families cannot "
            f"be computed using Bregman divergences\n  {type_name(p)} and {type_name(q)}"
        )
    theta_p = [x.detach().requires_grad_() for x in p._natural_params]
    theta_q = q._natural_params
    normaliser = p._log_normalizer(*theta_p)
    gradients = grad(normaliser.sum(), theta_p, create_graph=True)
    result = q._log_normalizer(*theta_q) - normaliser
    for one, other, g in zip(theta_p, theta_q, gradients, strict=True):
        result = result - _sum_rightmost((other - one) * g, len(q.event_shape))
    return result


@register_kl(Gamma, Gamma)
def _gamma(p: Gamma, q: Gamma) -> Tensor:
    a, b = p.concentration, q.concentration
    return (
        b * (p.rate / q.rate).log()
        + b.lgamma()
        - a.lgamma()
        + (a - b) * a.digamma()
        + (q.rate - p.rate) * (a / p.rate)
    )


@register_kl(Gumbel, Gumbel)
def _gumbel(p: Gumbel, q: Gumbel) -> Tensor:
    ratio = p.scale / q.scale
    shift_p, shift_q = p.loc / q.scale, q.loc / q.scale
    exponent = shift_q + (ratio + 1).lgamma() - shift_p
    return (
        -ratio.log()
        - shift_q
        + shift_p
        + ratio * euler_constant
        + exponent.exp()
        - (1 + euler_constant)
    )


@register_kl(Geometric, Geometric)
def _geometric(p: Geometric, q: Geometric) -> Tensor:
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@register_kl(HalfNormal, HalfNormal)
def _half_normal(p: HalfNormal, q: HalfNormal) -> Tensor:
    return _normal(p.base_dist, q.base_dist)


@register_kl(Laplace, Laplace)
def _laplace(p: Laplace, q: Laplace) -> Tensor:
    ratio, distance = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + distance / q.scale + ratio * (-distance / p.scale).exp() - 1


@register_kl(Normal, Normal)
def _normal(p: Normal, q: Normal) -> Tensor:
    ratio = (p.scale / q.scale).pow(2)
    shift = ((p.loc - q.loc) / q.scale).pow(2)
    return 0.5 * (ratio + shift - 1 - ratio.log())


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot_categorical(p: OneHotCategorical, q: OneHotCategorical) -> Tensor:
    return _categorical(p._categorical, q._categorical)


@register_kl(Pareto, Pareto)
def _pareto(p: Pareto, q: Pareto) -> Tensor:
    ratio = q.alpha / p.alpha
    scales = p.scale.log() - q.scale.log()
    kl = q.alpha * scales - ratio.log() + ratio - 1
    return where(p.support.lower_bound < q.support.lower_bound, math.inf, kl)


@register_kl(Poisson, Poisson)
def _poisson(p: Poisson, q: Poisson) -> Tensor:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: TransformedDistribution, q: TransformedDistribution) -> Tensor:
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError("KL of transformed distributions needs equal transforms")
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(Uniform, Uniform)
def _uniform(p: Uniform, q: Uniform) -> Tensor:
    kl = ((q.high - q.low) / (p.high - p.low)).log()
    return where((q.low > p.low) | (q.high < p.high), math.inf, kl)


@register_kl(Independent, Independent)
def _independent(p: Independent, q: Independent) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError("KL of Independent needs equal reinterpreted_batch_ndims")
    return _sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(Cauchy, Cauchy)
def _cauchy(p: Cauchy, q: Cauchy) -> Tensor:
    """Chyzak and Nielsen, https://arxiv.org/abs/1905.10965."""
    distance = (p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)
    return distance.log() - (4 * p.scale * q.scale).log()


# ---- multivariate normal ------------------------------------------------------------------------


def _log_det(d: MultivariateNormal | LowRankMultivariateNormal) -> Tensor:
    """log det of the covariance."""
    if isinstance(d, LowRankMultivariateNormal):
        return d._log_determinant()
    return 2 * log_diagonal(d._unbroadcasted_scale_tril)


@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
@register_kl(MultivariateNormal, LowRankMultivariateNormal)
@register_kl(LowRankMultivariateNormal, MultivariateNormal)
@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate_normal(p: Any, q: Any) -> Tensor:
    """(log det S_q - log det S_p + tr(S_q^-1 S_p) + |L_q^-1 (m_p - m_q)|^2 - n) / 2."""
    if p.event_shape != q.event_shape:
        name = "Low Rank Multivariate Normals" if _low(p) and _low(q) else "Multivariate Normals"
        if _low(p) != _low(q):
            name = "two (Low Rank) Multivariate Normals"
        raise ValueError(
            f"KL-divergence between {name} with different event shapes cannot be computed\n"
            f"  {tuple(p.event_shape)} and {tuple(q.event_shape)}"
        )
    batch = (p.loc + q.loc).shape
    factor = q.scale_tril
    n = p.event_shape[0]
    root = p.scale_tril.expand((*batch[:-1], n, n))
    whitened = solve_triangular(factor.expand((*batch[:-1], n, n)), root, upper=False)
    trace = whitened.pow(2).sum((-2, -1))
    distance = squared_distance(factor, q.loc - p.loc)
    return 0.5 * (_log_det(q) - _log_det(p) + trace + distance - n)


def _low(d: Distribution) -> bool:
    return isinstance(d, LowRankMultivariateNormal)


# ---- different families: KL = -H(p) - E_p log q(x) -----------------------------------------------


@register_kl(Bernoulli, Poisson)
def _bernoulli_poisson(p: Bernoulli, q: Poisson) -> Tensor:
    return -p.entropy() - (p.probs * q.rate.log() - q.rate)


@register_kl(Beta, ContinuousBernoulli)
def _beta_continuous_bernoulli(p: Beta, q: ContinuousBernoulli) -> Tensor:
    return -p.entropy() - p.mean * q.logits - (-q.probs).log1p() - q._cont_bern_log_norm()


@register_kl(Beta, Exponential)
def _beta_exponential(p: Beta, q: Exponential) -> Tensor:
    return -p.entropy() - q.rate.log() + q.rate * p.mean


@register_kl(Beta, Gamma)
def _beta_gamma(p: Beta, q: Gamma) -> Tensor:
    a, b = p.concentration1, q.concentration
    log_x = a.digamma() - (a + p.concentration0).digamma()
    return -p.entropy() + b.lgamma() - b * q.rate.log() - (b - 1) * log_x + q.rate * p.mean


@register_kl(Beta, Normal)
@register_kl(ContinuousBernoulli, Normal)
@register_kl(Exponential, Normal)
@register_kl(Gamma, Normal)
@register_kl(Gumbel, Normal)
@register_kl(Laplace, Normal)
@register_kl(Uniform, Normal)
def _any_normal(p: Distribution, q: Normal) -> Tensor:
    """E log q takes p's mean and variance alone."""
    spread = p.variance + (p.mean - q.loc).pow(2)
    return -p.entropy() + (q.scale * math.sqrt(2 * math.pi)).log() + spread / (2 * q.scale**2)


@register_kl(Beta, Uniform)
def _beta_uniform(p: Beta, q: Uniform) -> Tensor:
    kl = -p.entropy() + (q.high - q.low).log()
    return where((q.low > 0) | (q.high < 1), math.inf, kl)


@register_kl(ContinuousBernoulli, Exponential)
def _continuous_bernoulli_exponential(p: ContinuousBernoulli, q: Exponential) -> Tensor:
    return -p.entropy() - q.rate.log() + q.rate * p.mean


@register_kl(ContinuousBernoulli, Uniform)
def _continuous_bernoulli_uniform(p: ContinuousBernoulli, q: Uniform) -> Tensor:
    kl = -p.entropy() + (q.high - q.low).log()
    return where((q.low > 0) | (q.high < 1), math.inf, kl)


@register_kl(Exponential, Gamma)
def _exponential_gamma(p: Exponential, q: Gamma) -> Tensor:
    ratio, a = q.rate / p.rate, q.concentration
    return -a * ratio.log() + ratio + a.lgamma() + a * euler_constant - (1 + euler_constant)


@register_kl(Exponential, Gumbel)
def _exponential_gumbel(p: Exponential, q: Gumbel) -> Tensor:
    product = p.rate * q.scale
    shift = q.loc / q.scale
    return product.log() - 1 + product.reciprocal() - shift + shift.exp() * product / (product + 1)


@register_kl(Gamma, Exponential)
def _gamma_exponential(p: Gamma, q: Exponential) -> Tensor:
    return -p.entropy() - q.rate.log() + q.rate * p.concentration / p.rate


@register_kl(Gamma, Gumbel)
def _gamma_gumbel(p: Gamma, q: Gumbel) -> Tensor:
    product = p.rate * q.scale
    shift = q.loc / q.scale
    moment = shift + p.concentration * (-(1 + 1 / product).log())
    return -p.entropy() + q.scale.log() + p.concentration / product - shift + moment.exp()


@register_kl(Laplace, Uniform)
@register_kl(Laplace, Pareto)
@register_kl(Laplace, Gamma)
@register_kl(Laplace, Exponential)
@register_kl(Laplace, ContinuousBernoulli)
@register_kl(Laplace, Beta)
@register_kl(Normal, Uniform)
@register_kl(Normal, Pareto)
@register_kl(Normal, Gamma)
@register_kl(Normal, Exponential)
@register_kl(Normal, ContinuousBernoulli)
@register_kl(Normal, Beta)
@register_kl(Gumbel, Uniform)
@register_kl(Gumbel, Pareto)
@register_kl(Gumbel, Gamma)
@register_kl(Gumbel, Exponential)
@register_kl(Gumbel, ContinuousBernoulli)
@register_kl(Gumbel, Beta)
def _line_infinite(p: Any, q: Distribution) -> Tensor:
    """q is 0 where p is not."""
    return _infinite_like(p.loc)


@register_kl(Exponential, Uniform)
@register_kl(Exponential, Pareto)
@register_kl(Exponential, ContinuousBernoulli)
@register_kl(Exponential, Beta)
def _exponential_infinite(p: Exponential, q: Distribution) -> Tensor:
    return _infinite_like(p.rate)


@register_kl(Gamma, Uniform)
@register_kl(Gamma, Pareto)
@register_kl(Gamma, ContinuousBernoulli)
@register_kl(Gamma, Beta)
def _gamma_infinite(p: Gamma, q: Distribution) -> Tensor:
    return _infinite_like(p.concentration)


@register_kl(Beta, Pareto)
def _beta_infinite(p: Beta, q: Distribution) -> Tensor:
    return _infinite_like(p.concentration1)


@register_kl(ContinuousBernoulli, Pareto)
def _continuous_bernoulli_infinite(p: ContinuousBernoulli, q: Distribution) -> Tensor:
    return _infinite_like(p.probs)


@register_kl(Pareto, Uniform)
@register_kl(Pareto, ContinuousBernoulli)
@register_kl(Pareto, Beta)
def _pareto_infinite(p: Pareto, q: Distribution) -> Tensor:
    return _infinite_like(p.scale)


@register_kl(Poisson, Binomial)
@register_kl(Poisson, Bernoulli)
def _poisson_infinite(p: Poisson, q: Distribution) -> Tensor:
    return _infinite_like(p.rate)


@register_kl(Normal, Gumbel)
def _normal_gumbel(p: Normal, q: Gumbel) -> Tensor:
    shift_p, shift_q = p.loc / q.scale, q.loc / q.scale
    half_ratio = (p.scale / q.scale).pow(2) * 0.5
    moment = (-shift_p + half_ratio + shift_q).exp()
    return -p.entropy() + q.scale.log() + shift_p - shift_q + moment


@register_kl(Normal, Laplace)
def _normal_laplace(p: Normal, q: Laplace) -> Tensor:
    distance = p.loc - q.loc
    ratio = distance / p.scale
    folded = math.sqrt(2 / math.pi) * p.scale * (-0.5 * ratio.pow(2)).exp()
    expected = folded + distance * (math.sqrt(0.5) * ratio).erf()  # E |x - q.loc|
    return -p.entropy() + (2 * q.scale).log() + expected / q.scale


@register_kl(Pareto, Exponential)
def _pareto_exponential(p: Pareto, q: Exponential) -> Tensor:
    kl = -p.entropy() - q.rate.log() + q.rate * p.mean
    return where(p.alpha <= 1, math.inf, kl)


@register_kl(Pareto, Gamma)
def _pareto_gamma(p: Pareto, q: Gamma) -> Tensor:
    a = q.concentration
    log_x = p.scale.log() + p.alpha.reciprocal()
    kl = -p.entropy() + a.lgamma() - a * q.rate.log() - (a - 1) * log_x + q.rate * p.mean
    return where(p.alpha <= 1, math.inf, kl)


@register_kl(Pareto, Normal)
def _pareto_normal(p: Pareto, q: Normal) -> Tensor:
    return where(p.alpha <= 2, math.inf, _any_normal(p, q))


@register_kl(Uniform, Beta)
def _uniform_beta(p: Uniform, q: Beta) -> Tensor:
    a, b = q.concentration1, q.concentration0
    width = p.high - p.low
    log_x = (_x_log_x(p.high) - _x_log_x(p.low)) / width - 1
    log_rest = (_x_log_x(1 - p.low) - _x_log_x(1 - p.high)) / width - 1
    normaliser = a.lgamma() + b.lgamma() - (a + b).lgamma()
    kl = -p.entropy() + normaliser - (a - 1) * log_x - (b - 1) * log_rest
    return where((p.high > 1) | (p.low < 0), math.inf, kl)


def _x_log_x(x: Tensor) -> Tensor:
    return x.xlogy(x)


@register_kl(Uniform, ContinuousBernoulli)
def _uniform_continuous_bernoulli(p: Uniform, q: ContinuousBernoulli) -> Tensor:
    kl = -p.entropy() - p.mean * q.logits - (-q.probs).log1p() - q._cont_bern_log_norm()
    return where((p.high > 1) | (p.low < 0), math.inf, kl)


@register_kl(Uniform, Exponential)
def _uniform_exponential(p: Uniform, q: Exponential) -> Tensor:
    kl = q.rate * p.mean - ((p.high - p.low) * q.rate).log()
    return where(p.low < 0, math.inf, kl)


@register_kl(Uniform, Gamma)
def _uniform_gamma(p: Uniform, q: Gamma) -> Tensor:
    a = q.concentration
    log_x = (_x_log_x(p.high) - _x_log_x(p.low)) / (p.high - p.low) - 1
    kl = -p.entropy() + a.lgamma() - a * q.rate.log() - (a - 1) * log_x + q.rate * p.mean
    return where(p.low < 0, math.inf, kl)


@register_kl(Uniform, Gumbel)
def _uniform_gumbel(p: Uniform, q: Gumbel) -> Tensor:
    ratio = q.scale / (p.high - p.low)
    low, high = (p.low - q.loc) / q.scale, (p.high - q.loc) / q.scale
    return ratio.log() + 0.5 * (low + high) - ratio * ((-high).exp() - (-low).exp())


@register_kl(Uniform, Pareto)
def _uniform_pareto(p: Uniform, q: Pareto) -> Tensor:
    width = p.high - p.low
    log_x = (_x_log_x(p.high) - _x_log_x(p.low)) / width - 1
    kl = -p.entropy() - q.alpha.log() - q.alpha * q.scale.log() + (q.alpha + 1) * log_x
    return where(p.low < q.support.lower_bound, math.inf, kl)


__all__ = ["kl_divergence", "register_kl"]
