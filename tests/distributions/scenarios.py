"""Every distribution, and what is asked of it. ``t`` is the library."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any


def _eye(t: ModuleType) -> Any:
    return t.tensor([[2.0, 0.5], [0.5, 1.0]])


#: name -> a distribution. Batches, numbers and tensors as parameters.
_MADE = {
    "bernoulli": lambda t, D: D.Bernoulli(t.tensor([0.3, 0.8, 0.5])),
    "bernoulli_logits": lambda t, D: D.Bernoulli(logits=t.tensor([0.3, -1.0])),
    "bernoulli_number": lambda t, D: D.Bernoulli(0.25),
    "beta": lambda t, D: D.Beta(t.tensor([0.5, 2.0, 30.0]), t.tensor([0.5, 3.0, 4.0])),
    "beta_numbers": lambda t, D: D.Beta(2.0, 3.0),
    "binomial": lambda t, D: D.Binomial(5, t.tensor([0.3, 0.9])),
    "binomial_logits": lambda t, D: D.Binomial(t.tensor([60.0, 3.0]), logits=t.tensor([0.3, -1.0])),
    "categorical": lambda t, D: D.Categorical(t.tensor([[1.0, 2.0, 3.0], [0.0, 1.0, 1.0]])),
    "categorical_logits": lambda t, D: D.Categorical(logits=t.tensor([1.0, -2.0, 3.0])),
    "cauchy": lambda t, D: D.Cauchy(t.tensor([0.0, 1.0]), 2.0),
    "chi2": lambda t, D: D.Chi2(t.tensor([1.0, 4.5])),
    "continuous_bernoulli": lambda t, D: D.ContinuousBernoulli(t.tensor([0.1, 0.4995, 0.7])),
    "continuous_bernoulli_logits": lambda t, D: D.ContinuousBernoulli(logits=t.tensor([2.0, 0.0])),
    "dirichlet": lambda t, D: D.Dirichlet(t.tensor([[0.5, 1.5, 3.0], [20.0, 5.0, 1.0]])),
    "exponential": lambda t, D: D.Exponential(t.tensor([0.5, 3.0])),
    "fisher_snedecor": lambda t, D: D.FisherSnedecor(t.tensor([1.0, 6.0]), t.tensor([3.0, 9.0])),
    "gamma": lambda t, D: D.Gamma(t.tensor([0.4, 2.0, 50.0]), t.tensor([1.0, 0.5, 3.0])),
    "generalized_pareto": lambda t, D: D.GeneralizedPareto(
        t.tensor([0.0, 1.0, 0.0]), t.tensor([2.0, 2.0, 2.0]), t.tensor([0.25, 0.0, -0.5])
    ),
    "geometric": lambda t, D: D.Geometric(t.tensor([0.2, 0.9])),
    "geometric_logits": lambda t, D: D.Geometric(logits=t.tensor([0.2, -0.9])),
    "gumbel": lambda t, D: D.Gumbel(t.tensor([0.0, 1.0]), t.tensor([1.0, 3.0])),
    "half_cauchy": lambda t, D: D.HalfCauchy(t.tensor([1.0, 3.0])),
    "half_normal": lambda t, D: D.HalfNormal(t.tensor([1.0, 3.0])),
    "independent": lambda t, D: D.Independent(D.Normal(t.zeros(2, 3), t.ones(2, 3)), 1),
    "inverse_gamma": lambda t, D: D.InverseGamma(t.tensor([0.5, 4.0]), t.tensor([1.0, 3.0])),
    "kumaraswamy": lambda t, D: D.Kumaraswamy(t.tensor([0.5, 2.0]), t.tensor([1.5, 3.0])),
    "laplace": lambda t, D: D.Laplace(t.tensor([0.0, 1.0]), t.tensor([1.0, 3.0])),
    "lkj_cholesky": lambda t, D: D.LKJCholesky(3, t.tensor([0.5, 2.0])),
    "log_normal": lambda t, D: D.LogNormal(t.tensor([0.0, 1.0]), t.tensor([1.0, 0.5])),
    "logistic_normal": lambda t, D: D.LogisticNormal(t.tensor([0.0, 1.0]), t.tensor([1.0, 0.5])),
    "low_rank": lambda t, D: D.LowRankMultivariateNormal(
        t.tensor([1.0, 2.0, 3.0]),
        t.tensor([[1.0, 0.0], [0.5, 1.0], [2.0, -1.0]]),
        t.tensor([0.5, 1.0, 2.0]),
    ),
    "mixture": lambda t, D: D.MixtureSameFamily(
        D.Categorical(t.tensor([0.3, 0.7])), D.Normal(t.tensor([-1.0, 2.0]), t.tensor([0.5, 1.0]))
    ),
    "mixture_vectors": lambda t, D: D.MixtureSameFamily(
        D.Categorical(t.ones(3, 2)), D.Independent(D.Normal(t.arange(12.0).view(3, 2, 2), 1.0), 1)
    ),
    "multinomial": lambda t, D: D.Multinomial(6, t.tensor([[1.0, 2.0, 3.0], [1.0, 0.0, 1.0]])),
    "multivariate_normal": lambda t, D: D.MultivariateNormal(t.tensor([1.0, 2.0]), _eye(t)),
    "multivariate_normal_precision": lambda t, D: D.MultivariateNormal(
        t.tensor([[0.0, 0.0]] * 3), precision_matrix=_eye(t)
    ),
    "multivariate_normal_tril": lambda t, D: D.MultivariateNormal(
        t.tensor([0.0, 0.0]),
        scale_tril=t.tensor([[[1.0, 0.0], [2.0, 3.0]], [[2.0, 0.0], [0.0, 1.0]]]),
    ),
    "negative_binomial": lambda t, D: D.NegativeBinomial(
        t.tensor([3.0, 10.0]), t.tensor([0.3, 0.7])
    ),
    "normal": lambda t, D: D.Normal(t.tensor([0.0, 1.0]), t.tensor([1.0, 3.0])),
    "normal_numbers": lambda t, D: D.Normal(1, 2),
    "one_hot_categorical": lambda t, D: D.OneHotCategorical(t.tensor([[1.0, 2.0], [3.0, 1.0]])),
    "one_hot_straight_through": lambda t, D: D.OneHotCategoricalStraightThrough(
        t.tensor([1.0, 2.0, 3.0])
    ),
    "pareto": lambda t, D: D.Pareto(t.tensor([1.0, 2.0]), t.tensor([0.5, 3.0])),
    "poisson": lambda t, D: D.Poisson(t.tensor([0.5, 4.0, 30.0])),
    "relaxed_bernoulli": lambda t, D: D.RelaxedBernoulli(t.tensor(0.5), t.tensor([0.3, 0.8])),
    "relaxed_one_hot": lambda t, D: D.RelaxedOneHotCategorical(
        t.tensor(0.7), logits=t.tensor([[1.0, -1.0, 0.0], [0.0, 0.0, 2.0]])
    ),
    "student_t": lambda t, D: D.StudentT(t.tensor([0.8, 1.5, 7.0]), 1.0, t.tensor([1.0, 2.0, 3.0])),
    "transformed": lambda t, D: D.TransformedDistribution(
        D.Normal(t.tensor([0.0, 1.0]), 1.0), [D.AffineTransform(1.0, -2.0), D.SigmoidTransform()]
    ),
    "uniform": lambda t, D: D.Uniform(t.tensor([0.0, -1.0]), t.tensor([1.0, 3.0])),
    "von_mises": lambda t, D: D.VonMises(t.tensor([0.0, 1.0]), t.tensor([1.0, 30.0])),
    "weibull": lambda t, D: D.Weibull(t.tensor([1.0, 2.0]), t.tensor([1.5, 3.0])),
    "wishart": lambda t, D: D.Wishart(t.tensor([3.0, 5.0]), _eye(t)),
}  # fmt: skip


def _kind(error: Exception) -> str:
    first = " ".join((str(error).splitlines() or [""])[0].split())
    return f"{type(error).__name__}: {first}".replace("flambeau.", "torch.")


def _ask(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except Exception as error:
        return _kind(error)


def _describe(t: ModuleType, make: Callable) -> dict[str, Any]:
    """All that a distribution answers; exceptions are answers."""
    D = t.distributions
    d = make(t, D)
    answers: dict[str, Any] = {
        "repr": repr(d),
        "shapes": [list(d.batch_shape), list(d.event_shape)],
        "support": repr(d.support),
        "flags": [d.has_rsample, d.has_enumerate_support],
        "constraints": {k: repr(v) for k, v in d.arg_constraints.items()},
    }
    for name in ("mean", "mode", "variance", "stddev"):
        answers[name] = _ask(lambda name=name: getattr(d, name))
    for name in ("entropy", "perplexity", "enumerate_support"):
        answers[name] = _ask(getattr(d, name))
    t.manual_seed(7)
    answers["sample"] = sample = d.sample((3,))
    answers["sample_again"] = d.sample()
    answers["log_prob"] = d.log_prob(sample)
    answers["cdf"] = _ask(lambda: d.cdf(sample))
    answers["icdf"] = _ask(lambda: d.icdf(t.tensor([[0.1], [0.5], [0.95]])))
    wide = d.expand((2, *d.batch_shape))
    answers["expand"] = [repr(wide), wide.log_prob(wide.sample((2,)))]
    answers["outside"] = _ask(lambda: d.log_prob(t.full(d.batch_shape + d.event_shape, t.nan)))
    return answers


def _gradients(t: ModuleType, make: Callable) -> list:
    """Of rsample and log_prob by the parameters, in float64."""
    D, parameters = t.distributions, []

    class Leaves:
        """The library, whose ``tensor`` makes leaves."""

        def __getattr__(self, name: str) -> Any:
            return getattr(t, name)

        @staticmethod
        def tensor(data: Any) -> Any:
            leaf = t.tensor(data, dtype=t.float64, requires_grad=True)
            parameters.append(leaf)
            return leaf

    d = make(Leaves(), D)
    t.manual_seed(3)
    if d.has_rsample:
        x = d.rsample((2,))
        (x * t.arange(1.0, 1 + x.numel(), dtype=t.float64).view(x.shape)).sum().backward()
    by_sample = [p.grad for p in parameters]
    parameters.clear()
    d = make(Leaves(), D)
    t.manual_seed(3)
    d.log_prob(d.sample((2,))).sum().backward()
    return [by_sample, [p.grad for p in parameters]]


for _name, _make in _MADE.items():
    globals()[_name] = lambda t, _make=_make: _describe(t, _make)
    globals()[_name].__module__ = __name__
    if "number" not in _name:
        globals()[f"gradients_of_{_name}"] = lambda t, _make=_make: _gradients(t, _make)


def divergences(t: ModuleType) -> dict:
    """KL of every registered pair that can be made from one parameter set."""
    D = t.distributions
    ways = {
        "Bernoulli": lambda p: D.Bernoulli(t.tensor([0.3, 0.8]) * p),
        "Beta": lambda p: D.Beta(t.tensor([0.5, 2.0]) * p, t.tensor([1.5, 3.0])),
        "Binomial": lambda p: D.Binomial(5, t.tensor([0.3, 0.8]) * p),
        "Categorical": lambda p: D.Categorical(t.tensor([[0.2, 0.8], [0.0, p]])),
        "Cauchy": lambda p: D.Cauchy(t.tensor([0.2, 0.8]), p),
        "ContinuousBernoulli": lambda p: D.ContinuousBernoulli(t.tensor([0.2, 0.7]) * p),
        "Dirichlet": lambda p: D.Dirichlet(t.tensor([0.5, 1.5, 3.0]) * p),
        "Exponential": lambda p: D.Exponential(t.tensor([0.5, 3.0]) * p),
        "Gamma": lambda p: D.Gamma(t.tensor([0.5, 3.0]), t.tensor([1.0, 2.0]) * p),
        "Geometric": lambda p: D.Geometric(t.tensor([0.5, 0.3]) * p),
        "Gumbel": lambda p: D.Gumbel(t.tensor([0.5, 0.3]) * p, t.tensor([1.0, 2.0])),
        "HalfNormal": lambda p: D.HalfNormal(t.tensor([0.5, 0.3]) * p),
        "Laplace": lambda p: D.Laplace(t.tensor([0.5, 0.3]) * p, t.tensor([1.0, 2.0])),
        "LowRank": lambda p: D.LowRankMultivariateNormal(t.zeros(2), t.ones(2, 1) * p, t.ones(2)),
        "Multivariate": lambda p: D.MultivariateNormal(t.ones(2) * p, _eye(t)),
        "Normal": lambda p: D.Normal(t.tensor([0.5, 0.3]) * p, t.tensor([1.0, 2.0])),
        "OneHot": lambda p: D.OneHotCategorical(t.tensor([[0.2, 0.8], [0.5, p]])),
        "Pareto": lambda p: D.Pareto(t.tensor([0.25, 2.0]), t.tensor([0.9, 3.0]) * p),
        "Poisson": lambda p: D.Poisson(t.tensor([0.5, 3.0]) * p),
        "Uniform": lambda p: D.Uniform(t.tensor([0.25, 0.5]) * p, t.tensor([0.75, 4.0])),
        "LogNormal": lambda p: D.LogNormal(t.tensor([0.5, 0.3]) * p, 1.0),
        "Independent": lambda p: D.Independent(D.Normal(t.zeros(2) + p, 1.0), 1),
        "StudentT": lambda p: D.StudentT(t.tensor([3.0, 4.0])),
    }
    return {
        f"{p} {q}": _ask(lambda p=p, q=q: D.kl_divergence(ways[p](0.9), ways[q](0.5)))
        for p in ways
        for q in ways
    }


def transforms(t: ModuleType) -> dict:
    """There, back, and log |det J|; shapes, signs, domains."""
    D = t.distributions
    T = D.transforms
    x = t.tensor([[0.3, -0.7, 1.2], [2.0, 0.1, -3.0]])
    square = t.tensor([[0.3, -0.7], [1.2, 2.0]])
    cases = {
        "exp": (T.ExpTransform(), x),
        "power": (T.PowerTransform(t.tensor(2.0)), x.abs()),
        "sigmoid": (T.SigmoidTransform(), x),
        "softplus": (T.SoftplusTransform(), x),
        "tanh": (T.TanhTransform(), x),
        "abs": (T.AbsTransform(), x),
        "affine": (T.AffineTransform(1.0, t.tensor([1.0, -2.0, 3.0])), x),
        "affine_event": (T.AffineTransform(1.0, t.tensor([1.0, -2.0, 3.0]), event_dim=1), x),
        "affine_number": (T.AffineTransform(1.0, -2.0, event_dim=1), x),
        "softmax": (T.SoftmaxTransform(), x),
        "stick": (T.StickBreakingTransform(), x),
        "lower_cholesky": (T.LowerCholeskyTransform(), square),
        "positive_definite": (T.PositiveDefiniteTransform(), square),
        "corr_cholesky": (T.CorrCholeskyTransform(), x),
        "reshape": (T.ReshapeTransform((3,), (3, 1)), x),
        "compose": (T.ComposeTransform([T.ExpTransform(), T.AffineTransform(1.0, 2.0)]), x),
        "compose_events": (T.ComposeTransform([T.ExpTransform(), T.StickBreakingTransform()]), x),
        "identity": (T.identity_transform, x),
        "independent": (T.IndependentTransform(T.ExpTransform(), 1), x),
        "cat": (T.CatTransform([T.ExpTransform(), T.TanhTransform()], 1, [2, 1]), x),
        "stack": (T.StackTransform([T.ExpTransform(), T.TanhTransform()], 0), x),
        "cumulative": (T.CumulativeDistributionTransform(D.Normal(0.0, 1.0)), x),
        "inverse": (T.ExpTransform().inv, x.abs()),
    }
    out = {}
    for name, (f, at) in cases.items():
        y = f(at)
        out[name] = [
            repr(f), repr(f.inv), y, _ask(lambda f=f, y=y: f.inv(y)),
            _ask(lambda f=f, at=at, y=y: f.log_abs_det_jacobian(at, y)),
            _ask(lambda f=f: f.sign), f.bijective, repr(f.domain), repr(f.codomain),
            _ask(lambda f=f: f.event_dim), list(f.forward_shape(at.shape)),
            list(f.inverse_shape(y.shape)), f == f.inv.inv, f.domain.check(at),
            f.codomain.check(y), _ask(lambda f=f: repr(f.with_cache(1))),
        ]  # fmt: skip
    return out


def constraints(t: ModuleType) -> dict:
    """Their checks, and the transforms registered for them."""
    D = t.distributions
    c = D.constraints
    numbers = t.tensor([-1.0, 0.0, 0.5, 1.0, 2.0, t.nan, t.inf])
    vectors = t.tensor([[0.5, 0.5], [1.0, 0.0], [0.3, 0.3], [-1.0, 2.0]])
    matrices = t.tensor([
        [[1.0, 0.0], [2.0, 3.0]], [[2.0, 0.5], [0.5, 1.0]], [[1.0, 2.0], [2.0, 1.0]],
        [[1.0, 0.0], [0.6, 0.8]], [[0.0, 0.0], [0.0, 0.0]],
    ])  # fmt: skip
    cases = {
        "boolean": numbers, "integer_interval": numbers, "interval": numbers,
        "half_open_interval": numbers, "greater_than": numbers, "greater_than_eq": numbers,
        "less_than": numbers, "nonnegative": numbers, "nonnegative_integer": numbers,
        "positive": numbers, "positive_integer": numbers, "real": numbers, "unit_interval": numbers,
        "one_hot": vectors, "simplex": vectors, "real_vector": vectors, "multinomial": vectors,
        "corr_cholesky": matrices, "lower_cholesky": matrices, "lower_triangular": matrices,
        "positive_definite": matrices, "positive_semidefinite": matrices, "square": matrices,
        "symmetric": matrices, "dependent": numbers,
    }  # fmt: skip
    given = {
        "integer_interval": (0, 1), "interval": (0.0, 1.0), "half_open_interval": (0.0, 1.0),
        "greater_than": (0.5,), "greater_than_eq": (0.5,), "less_than": (1.0,), "multinomial": (1,),
    }  # fmt: skip
    out = {}
    for name, values in cases.items():
        constraint = getattr(c, name)
        if name in given:
            constraint = constraint(*given[name])
        out[name] = [
            repr(constraint),
            _ask(lambda k=constraint, v=values: k.check(v)),
            _ask(lambda k=constraint: [k.event_dim, k.is_discrete]),
            _ask(lambda k=constraint: repr(D.biject_to(k))),
            _ask(lambda k=constraint: repr(D.transform_to(k))),
        ]
    return out


def mistakes(t: ModuleType) -> list:
    """What is refused, and with which words."""
    D = t.distributions
    normal = D.Normal(t.zeros(3), t.ones(3))

    class Late(D.Normal):
        """A subclass whose __init__ ``expand`` cannot call."""

        def __init__(self) -> None:
            super().__init__(t.zeros(2), t.ones(2))

    tries = [
        lambda: D.Normal(0.0, -1.0), lambda: D.Normal(t.zeros(2), t.tensor([1.0, -1.0])),
        lambda: D.Normal("a", 1.0), lambda: normal.log_prob(1.0),
        lambda: normal.log_prob(t.zeros(2)), lambda: D.Bernoulli(0.5, 0.5),
        lambda: D.Bernoulli(), lambda: D.Bernoulli(1.5), lambda: D.Categorical(t.tensor(0.5)),
        lambda: D.Categorical(t.tensor([-1.0, 2.0])), lambda: D.Dirichlet(t.tensor(0.5)),
        lambda: D.Uniform(2.0, 1.0), lambda: D.Uniform(0.0, 1.0).log_prob(t.tensor(2.0)),
        lambda: D.MultivariateNormal(t.zeros(2)),
        lambda: D.MultivariateNormal(t.zeros(2), t.zeros(2)),
        lambda: D.MultivariateNormal(t.tensor(0.0), t.eye(2)),
        lambda: D.MultivariateNormal(t.zeros(2), t.zeros(2, 2)),
        lambda: D.MultivariateNormal(t.zeros(2), t.eye(2)).log_prob(t.zeros(3)),
        lambda: D.Independent(D.Normal(0.0, 1.0), 1), lambda: D.LKJCholesky(1),
        lambda: D.kl_divergence(normal, D.StudentT(1.0)),
        lambda: D.kl_divergence(normal, D.Bernoulli(0.5)),
        lambda: D.MixtureSameFamily(normal, normal),
        lambda: D.MixtureSameFamily(D.Categorical(t.ones(3)), 3),
        lambda: D.MixtureSameFamily(D.Categorical(t.ones(2)), normal),
        lambda: D.Binomial(t.tensor([3, 4]), t.tensor([0.5, 0.5])).enumerate_support(),
        lambda: D.Multinomial(t.tensor(3.0), t.ones(2)), lambda: D.Geometric(0.0),
        lambda: D.Wishart(t.tensor(1.0), t.eye(2)), lambda: D.Wishart(3.0, t.ones(2)),
        lambda: D.LowRankMultivariateNormal(t.tensor(0.0), t.ones(1, 1), t.ones(1)),
        lambda: D.LowRankMultivariateNormal(t.zeros(2), t.ones(1, 1), t.ones(2)),
        lambda: D.LowRankMultivariateNormal(t.zeros(2), t.ones(2), t.ones(2)),
        lambda: D.LowRankMultivariateNormal(t.zeros(2), t.ones(2, 1), t.ones(3)),
        lambda: D.TransformedDistribution(normal, 3),
        lambda: D.TransformedDistribution(normal, [3]),
        lambda: D.TransformedDistribution(D.Normal(0.0, 1.0), D.SoftmaxTransform()),
        lambda: Late().expand((2, 2)), lambda: D.Distribution(validate_args=False).sample(),
        lambda: D.Distribution(validate_args=False).mode, lambda: D.Poisson(3.0).rsample(),
        lambda: D.biject_to(D.constraints.symmetric),
        lambda: D.transform_to.register(3, len), lambda: D.ExpTransform(cache_size=2),
        lambda: D.ReshapeTransform((2,), (3,)), lambda: D.Poisson(t.tensor([-1.0])),
        lambda: D.Independent(normal, 1).enumerate_support(),
        lambda: D.Normal(0.0, -1.0, validate_args=False),
    ]  # fmt: skip
    return [repr(_ask(f)) for f in tries]
