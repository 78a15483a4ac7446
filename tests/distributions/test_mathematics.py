"""Distributions against mathematics: densities integrate to 1, samples have the moments, gradients
of samples keep the cdf, divergences are expectations."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable

import numpy as np
import pytest

import flambeau as torch
from flambeau.distributions import constraints, transforms
from flambeau.ops import _implicit, scalar_math

D = torch.distributions


def f64(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


#: (distribution, where its density is integrated from and to)
LINE = {
    "Beta": (D.Beta(f64(1.5), f64(3.0)), 0, 1),
    "Cauchy": (D.Cauchy(f64(0.0), f64(1.0)), -2000, 2000),
    "Chi2": (D.Chi2(f64(4.5)), 0, 80),
    "ContinuousBernoulli": (D.ContinuousBernoulli(f64(0.2)), 0, 1),
    "ContinuousBernoulli near 1/2": (D.ContinuousBernoulli(f64(0.4999)), 0, 1),
    "Exponential": (D.Exponential(f64(0.7)), 0, 60),
    "FisherSnedecor": (D.FisherSnedecor(f64(4.0), f64(30.0)), 1e-9, 60),
    "Gamma": (D.Gamma(f64(2.5), f64(0.5)), 0, 100),
    "GeneralizedPareto": (D.GeneralizedPareto(f64(1.0), f64(2.0), f64(-0.3)), 1, 7.6),
    "Gumbel": (D.Gumbel(f64(1.0), f64(2.0)), -12, 80),
    "HalfCauchy": (D.HalfCauchy(f64(0.1)), 0, 3000),
    "HalfNormal": (D.HalfNormal(f64(2.0)), 0, 30),
    "InverseGamma": (D.InverseGamma(f64(3.0), f64(1.5)), 1e-6, 800),
    "Kumaraswamy": (D.Kumaraswamy(f64(2.0), f64(3.0)), 1e-9, 1 - 1e-9),
    "Laplace": (D.Laplace(f64(-1.0), f64(0.5)), -30, 30),
    "LogNormal": (D.LogNormal(f64(0.0), f64(0.5)), 1e-9, 60),
    "Normal": (D.Normal(f64(1.0), f64(0.5)), -9, 11),
    "Pareto": (D.Pareto(f64(1.0), f64(4.0)), 1, 1000),
    "RelaxedBernoulli": (D.RelaxedBernoulli(f64(2.0), f64(0.3)), 1e-9, 1 - 1e-9),
    "StudentT": (D.StudentT(f64(6.0), f64(1.0), f64(0.5)), -300, 300),
    "Uniform": (D.Uniform(f64(-1.0), f64(3.0)), -1, 2.9999999999),
    "VonMises": (D.VonMises(f64(1.0), f64(2.0)), -np.pi, np.pi),
    "Weibull": (D.Weibull(f64(2.0), f64(1.5)), 1e-9, 60),
    "mixture": (
        D.MixtureSameFamily(D.Categorical(f64(0.3, 0.7)), D.Normal(f64(-1, 2), f64(0.5, 1))),
        -15,
        15,
    ),
}


def grid(low: float, high: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Points and weights of Gauss and Legendre; pieces are small at the ends and in the middle."""
    x, w = np.polynomial.legendre.leggauss(24)
    ends = np.concatenate(([0], np.logspace(-9, -0.31, 60), 1 - np.logspace(-0.31, -9, 60), [1]))
    ends = np.unique(
        low + (high - low) * np.concatenate((ends, 0.5 + np.linspace(-0.02, 0.02, 81)))
    )
    half = np.diff(ends)[:, None] / 2
    points = ends[:-1, None] + half * (x + 1)
    return torch.tensor(points.reshape(-1, 1)), torch.tensor((half * w).reshape(-1, 1))


@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")  # at a density's ends
@pytest.mark.parametrize("name", LINE)
def test_a_density_integrates_to_one_and_gives_moments_and_entropy(name: str) -> None:
    d, low, high = LINE[name]
    x, w = grid(low, high)
    log_p = d.log_prob(x)
    p = log_p.exp() * w
    heavy = "Cauchy" in name
    assert p.sum().item() == pytest.approx(1, abs=1e-3 if heavy else 2e-6)
    if heavy or name == "VonMises":
        return
    if name not in ("RelaxedBernoulli",):
        mean = (p * x).sum()
        assert mean.item() == pytest.approx(d.mean.item(), rel=1e-3, abs=1e-3)
        variance = (p * (x - mean) ** 2).sum().item()
        assert variance == pytest.approx(d.variance.item(), rel=0.02)
    try:
        entropy = d.entropy().item()
    except NotImplementedError:
        return
    inside = p > 0
    assert -(p * log_p)[inside].sum().item() == pytest.approx(entropy, abs=2e-3)


@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
@pytest.mark.parametrize("name", LINE)
def test_cdf_is_the_integral_and_icdf_its_inverse(name: str) -> None:
    torch.manual_seed(0)  # a kink of the density may lie inside a step, which costs exactness
    d, low, _ = LINE[name]
    middle = d.sample().item()
    try:
        value = d.cdf(f64(middle)).item()
    except NotImplementedError:
        return
    if "Cauchy" not in name:
        x, w = grid(low, middle)
        assert (d.log_prob(x).exp() * w).sum().item() == pytest.approx(
            value, abs=1e-3 if "1/2" in name else 2e-5
        )
    try:
        back = d.icdf(f64(value))
    except NotImplementedError:
        return
    assert back.item() == pytest.approx(middle, rel=1e-3 if "1/2" in name else 1e-6)


COUNTS = {
    "Bernoulli": (D.Bernoulli(f64(0.3)), 2),
    "Binomial": (D.Binomial(7, f64(0.3)), 8),
    "Categorical": (D.Categorical(f64(0.3, 0.1, 0.6)), 3),
    "Geometric": (D.Geometric(f64(0.3)), 150),
    "NegativeBinomial": (D.NegativeBinomial(f64(3.0), f64(0.3)), 150),
    "Poisson": (D.Poisson(f64(4.0)), 60),
}


@pytest.mark.parametrize("name", COUNTS)
def test_probabilities_sum_to_one_and_give_moments_and_entropy(name: str) -> None:
    d, n = COUNTS[name]
    k = torch.arange(n, dtype=torch.float64).view(-1, *(1,) * len(d.batch_shape))
    p = d.log_prob(k).exp()
    assert p.sum().item() == pytest.approx(1)
    if name != "Categorical":
        mean = (p * k).sum()
        assert mean.item() == pytest.approx(d.mean.item())
        assert (p * (k - mean) ** 2).sum().item() == pytest.approx(d.variance.item())
    if name != "NegativeBinomial" and name != "Poisson":
        assert -(p * p.log()).sum().item() == pytest.approx(d.entropy().item())


@pytest.mark.parametrize("name", [*LINE, *COUNTS])
def test_samples_have_the_moments(name: str) -> None:
    d = (LINE.get(name) or COUNTS.get(name))[0]
    torch.manual_seed(0)
    x = d.sample((5000,))
    if "Cauchy" in name or name in ("VonMises", "Categorical", "RelaxedBernoulli"):
        assert d.log_prob(x).isfinite().all()
        return
    deviation = d.stddev.item()
    assert abs(x.double().mean().item() - d.mean.item()) < 0.06 * deviation
    assert x.double().std().item() == pytest.approx(deviation, rel=0.15)


@pytest.mark.parametrize("a", [0.02, 0.5, 1.0, 7.0, 300.0])
def test_the_gradient_of_a_gamma_number_keeps_the_cdf(a: float) -> None:
    torch.manual_seed(1)
    x = torch._standard_gamma(torch.full((50,), a, dtype=torch.float64)).numpy()
    x = x[x > 1e-200]
    h = 1e-4 * a
    upper = scalar_math.gammaincc if a > 1 else None
    low, high = (
        (-upper(np.full_like(x, a - h), x), -upper(np.full_like(x, a + h), x))
        if upper
        else tuple(scalar_math.gammainc(np.full_like(x, s), x) for s in (a - h, a + h))
    )
    log_density = (a - 1) * np.log(x) - x - scalar_math.lgamma(np.array([a]))
    expected = -(high - low) / (2 * h) / np.exp(log_density)
    np.testing.assert_allclose(_implicit.gamma(x, np.full_like(x, a)), expected, rtol=2e-5)


def test_the_gradient_of_a_beta_number_where_its_cdf_is_a_power() -> None:
    # Beta(a, 1): F(x) = x^a, so dx/da = -x log(x) / a; Beta(1, b) is its mirror image.
    x = np.linspace(1e-6, 1 - 1e-6, 101)
    for a in (0.01, 0.3, 1.0, 4.0, 900.0):
        one, many = np.ones_like(x), np.full_like(x, a)
        np.testing.assert_allclose(_implicit.beta(x, many, one), -x * np.log(x) / a, rtol=1e-8)


def test_reparameterised_gradients_are_those_of_expectations() -> None:
    # d/da E x^2 for Gamma(a, r): a (a + 1) / r^2; for Dirichlet: E x_0 = a_0 / sum a.
    torch.manual_seed(2)
    a, r = f64(1.7).requires_grad_(), f64(0.8).requires_grad_()
    (D.Gamma(a, r).rsample((10000,)) ** 2).mean().backward()
    assert a.grad.item() == pytest.approx((2 * 1.7 + 1) / 0.64, rel=0.1)
    assert r.grad.item() == pytest.approx(-2 * 1.7 * 2.7 / 0.8**3, rel=0.1)
    c = f64(0.8, 2.0, 3.2).requires_grad_()
    D.Dirichlet(c).rsample((10000,))[:, 0].mean().backward()
    np.testing.assert_allclose(c.grad.numpy(), [5.2 / 36, -0.8 / 36, -0.8 / 36], atol=8e-3)


def test_what_pytorch_gets_wrong() -> None:
    k = D.Kumaraswamy(f64(2.0), f64(3.0))
    x = torch.linspace(0.01, 0.99, 9801, dtype=torch.float64)
    assert k.mode.item() == pytest.approx(x[k.log_prob(x).argmax()].item(), abs=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no sample here is singular
        w = D.Wishart(f64(6.0).squeeze(), torch.eye(2, dtype=torch.float64)).rsample((2,))
    assert (torch.linalg.eigvalsh(w) > 0).all()


PAIRS = {
    "Normal Normal": (D.Normal(f64(0.0), f64(1.0)), D.Normal(f64(1.0), f64(2.0))),
    "Normal Gumbel": (D.Normal(f64(0.0), f64(1.0)), D.Gumbel(f64(1.0), f64(2.0))),
    "Normal Laplace": (D.Normal(f64(0.0), f64(1.0)), D.Laplace(f64(1.0), f64(2.0))),
    "Gamma Gumbel": (D.Gamma(f64(2.0), f64(1.0)), D.Gumbel(f64(1.0), f64(2.0))),
    "Gamma Exponential": (D.Gamma(f64(2.0), f64(1.0)), D.Exponential(f64(1.5))),
    "Exponential Gumbel": (D.Exponential(f64(1.0)), D.Gumbel(f64(1.0), f64(2.0))),
    "Exponential Gamma": (D.Exponential(f64(1.0)), D.Gamma(f64(1.3), f64(2.0))),
    "Beta Gamma": (D.Beta(f64(1.5), f64(2.0)), D.Gamma(f64(1.3), f64(2.0))),
    "Beta ContinuousBernoulli": (D.Beta(f64(1.5), f64(2.0)), D.ContinuousBernoulli(f64(0.3))),
    "Gumbel Gumbel": (D.Gumbel(f64(0.0), f64(1.0)), D.Gumbel(f64(1.0), f64(2.0))),
    "Gumbel Normal": (D.Gumbel(f64(0.0), f64(1.0)), D.Normal(f64(1.0), f64(2.0))),
    "Laplace Laplace": (D.Laplace(f64(0.0), f64(1.0)), D.Laplace(f64(1.0), f64(2.0))),
    "Uniform Beta": (D.Uniform(f64(0.1), f64(0.9)), D.Beta(f64(1.5), f64(2.0))),
    "Uniform Gamma": (D.Uniform(f64(0.1), f64(0.9)), D.Gamma(f64(1.5), f64(2.0))),
    "Uniform Gumbel": (D.Uniform(f64(0.1), f64(0.9)), D.Gumbel(f64(1.5), f64(2.0))),
    "Uniform Pareto": (D.Uniform(f64(1.1), f64(1.9)), D.Pareto(f64(1.0), f64(2.0))),
    "Pareto Gamma": (D.Pareto(f64(1.0), f64(5.0)), D.Gamma(f64(1.5), f64(2.0))),
    "Pareto Normal": (D.Pareto(f64(1.0), f64(6.0)), D.Normal(f64(1.5), f64(2.0))),
    "Poisson Poisson": (D.Poisson(f64(3.0)), D.Poisson(f64(2.0))),
    "Geometric Geometric": (D.Geometric(f64(0.3)), D.Geometric(f64(0.5))),
    "Cauchy Cauchy": (D.Cauchy(f64(0.0), f64(1.0)), D.Cauchy(f64(1.0), f64(2.0))),
    "Bernoulli Poisson": (D.Bernoulli(f64(0.3)), D.Poisson(f64(2.0))),
    "Multivariate LowRank": (
        D.MultivariateNormal(f64(0, 1), torch.eye(2, dtype=torch.float64)),
        D.LowRankMultivariateNormal(f64(1, 1), f64(1, 2).view(2, 1), f64(1, 2)),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_divergence_is_the_expected_difference_of_logarithms(name: str) -> None:
    p, q = PAIRS[name]
    torch.manual_seed(5)
    x = p.sample((10000,))
    if "Uniform" == name.split()[0]:
        x = x.clamp(max=p.high.item() - 1e-12)
    difference = p.log_prob(x) - q.log_prob(x)
    error = 4 * difference.std().item() / 100
    assert D.kl_divergence(p, q).item() == pytest.approx(difference.mean().item(), abs=error + 1e-6)
    assert D.kl_divergence(p, p).abs().max().item() < 1e-9 or type(p) is not type(q)


BIJECTIONS: dict[str, tuple[Callable, tuple[int, ...]]] = {
    "stick breaking": (transforms.StickBreakingTransform, (4,)),
    "correlation": (transforms.CorrCholeskyTransform, (6,)),
    "tanh": (transforms.TanhTransform, ()),
    "softplus": (transforms.SoftplusTransform, ()),
    "sigmoid": (transforms.SigmoidTransform, ()),
    "affine": (lambda: transforms.AffineTransform(1.0, -3.0), ()),
}


@pytest.mark.parametrize("name", BIJECTIONS)
def test_log_abs_det_jacobian_is_that_of_the_jacobian(name: str) -> None:
    make, shape = BIJECTIONS[name]
    f = make()
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64)
    y = f(x)
    torch.testing.assert_close(f.inv(y), x)

    def flat(x: torch.Tensor) -> torch.Tensor:
        y = f(x)
        if name == "stick breaking":
            return y[:-1]  # the last is what is left
        return y[torch.tril_indices(4, 4, -1).unbind()] if name == "correlation" else y

    j = torch.autograd.functional.jacobian(flat, x)
    determinant = torch.linalg.det(j).abs().log() if shape else j.abs().log()
    torch.testing.assert_close(f.log_abs_det_jacobian(x, y), determinant)


def test_a_cache_gives_back_the_very_number() -> None:
    f = transforms.ExpTransform(cache_size=1)
    x = torch.tensor([80.0, -200.0])
    y = f(x)
    assert f.inv(y) is x and f(x) is y
    assert f.inv.inv is f and f.with_cache(0)(x) is not y
    with pytest.raises(ValueError, match="cache_size must be 0 or 1"):
        transforms.ExpTransform(cache_size=2)


def test_copies_and_pickles() -> None:
    for d, *_ in [*LINE.values(), *COUNTS.values()]:
        for twin in (copy.deepcopy(d), pickle.loads(pickle.dumps(d))):
            torch.manual_seed(0)
            x = d.sample((2,))
            torch.manual_seed(0)
            assert torch.equal(twin.sample((2,)), x)


def test_ones_own_distribution() -> None:
    class Triangle(D.Distribution):
        """Density 2 x on [0, 1]."""

        arg_constraints: dict = {}
        support = constraints.unit_interval

        def log_prob(self, value: torch.Tensor) -> torch.Tensor:
            self._validate_sample(value)
            return (2 * value).log()

    class Bare(D.Distribution):
        """States nothing."""

    t = Triangle(torch.Size([2]))
    assert t.log_prob(torch.tensor([0.5, 1.0])).tolist() == pytest.approx([0.0, 0.693147])
    with pytest.raises(ValueError, match="to be within the support"):
        t.log_prob(torch.tensor([0.5, 2.0]))
    with pytest.raises(NotImplementedError, match="No KL"):
        D.kl_divergence(t, t)

    @D.register_kl(Triangle, Triangle)
    def zero(p: Triangle, q: Triangle) -> torch.Tensor:
        return torch.zeros(())

    assert D.kl_divergence(t, t).item() == 0
    with pytest.warns(UserWarning, match="does not define `arg_constraints`"):
        bare = Bare()
    with pytest.warns(UserWarning, match="does not define `support`"):
        bare._validate_sample(torch.tensor(0.0))


def test_the_first_invalid_value_is_named() -> None:
    with pytest.raises(ValueError, match=r"1 of 3, the first at \[2\]"):
        D.Poisson(torch.tensor([1.0, 2.0, -3.0]))


def test_validation_can_be_turned_off() -> None:
    assert D.Normal(0.0, -1.0, validate_args=False).scale.item() == -1
    D.Distribution.set_default_validate_args(False)
    try:
        assert D.Normal(0.0, -1.0).scale.item() == -1
    finally:
        D.Distribution.set_default_validate_args(True)
    with pytest.raises(ValueError, match="GreaterThan"):
        D.Normal(0.0, -1.0)


def test_registries_bring_any_numbers_into_the_set() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 6)
    for constraint in (
        constraints.real, constraints.positive, constraints.nonnegative, constraints.unit_interval,
        constraints.interval(-2.0, 5.0), constraints.greater_than(0.0), constraints.less_than(3.0),
        constraints.simplex, constraints.corr_cholesky, constraints.real_vector,
    ):  # fmt: skip
        for registry in (D.biject_to, D.transform_to):
            try:
                f = registry(constraint)
            except NotImplementedError:
                assert constraint.__class__.__name__ == "_GreaterThan", constraint
                continue
            assert constraint.check(f(x)).all(), constraint
            assert registry is D.transform_to or f.bijective
    matrix = D.transform_to(constraints.positive_definite)(torch.randn(2, 3, 3))
    assert constraints.positive_definite.check(matrix).all()
    with pytest.raises(NotImplementedError, match="Cannot transform _Symmetric constraints"):
        D.biject_to(constraints.symmetric)


def test_empty_batches_and_half_precision() -> None:
    empty = D.Normal(torch.zeros(0), torch.ones(0))
    assert empty.sample((3,)).shape == (3, 0) and empty.entropy().shape == (0,)
    half = D.Normal(torch.zeros(2, dtype=torch.bfloat16), 1.0)
    assert (
        half.sample().dtype == torch.bfloat16
        and half.log_prob(half.sample()).dtype == half.loc.dtype
    )
    assert D.Gamma(torch.zeros(0), torch.ones(0)).rsample((2,)).shape == (2, 0)
