"""Losses: values against plain formulas, gradients against finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest

import flambeau as torch
from flambeau.autograd import gradcheck, gradgradcheck
from flambeau.nn import functional as F

RNG = np.random.default_rng(3)


def pair(shape=(3, 5)):
    x, t = RNG.standard_normal(shape), RNG.standard_normal(shape)
    return torch.tensor(x, requires_grad=True), torch.tensor(t, requires_grad=True)


DIFFERENCES = {
    "mse_loss": lambda d: d * d,
    "l1_loss": np.abs,
    "smooth_l1_loss": lambda d: np.where(abs(d) < 1, d * d / 2, abs(d) - 0.5),
    "huber_loss": lambda d: np.where(abs(d) < 1, d * d / 2, abs(d) - 0.5),
}


@pytest.mark.parametrize("name", DIFFERENCES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses_of_a_difference(name, reduction):
    x, t = pair()
    loss = getattr(F, name)
    want = DIFFERENCES[name]((x - t).detach().numpy())
    want = {"none": want, "mean": want.mean(), "sum": want.sum()}[reduction]
    np.testing.assert_allclose(loss(x, t, reduction=reduction).detach().numpy(), want)
    assert gradcheck(lambda a, b: loss(a, b, reduction=reduction), (x, t))
    assert gradgradcheck(lambda a, b: loss(a, b, reduction=reduction), (x, t))


@pytest.mark.parametrize("name", DIFFERENCES)
def test_large_and_empty_operands(name):
    loss = getattr(F, name)
    x, t = torch.randn(200_003, requires_grad=True), torch.randn(200_003)
    got = loss(x, t)
    got.backward()
    want = DIFFERENCES[name]((x - t).detach().numpy().astype(np.float64)).mean()
    assert got.item() == pytest.approx(want, rel=1e-6)
    assert x.grad.shape == x.shape
    assert math.isnan(loss(torch.empty(0), torch.empty(0)).item())
    assert loss(torch.empty(0), torch.empty(0), reduction="sum").item() == 0


def test_weights_of_elements():
    x, t, w = torch.tensor([1.0, 2, 3]), torch.tensor([0.0, 0, 1]), torch.tensor([1.0, 2, 5])
    assert F.mse_loss(x, t, weight=w).item() == pytest.approx(29 / 8)
    assert F.l1_loss(x, t, weight=w).item() == pytest.approx(15 / 8)
    assert F.huber_loss(x, t, weight=w).item() == pytest.approx(11 / 3)
    with pytest.raises(ValueError, match="Weights and input must have the same size"):
        F.mse_loss(x, t, weight=w[:2])


def test_shapes_that_broadcast_are_warned_of():
    with pytest.warns(UserWarning, match="Using a target size .* that is different to the input"):
        F.mse_loss(torch.zeros(3, 1), torch.zeros(3))
    with pytest.warns(UserWarning), pytest.raises(RuntimeError, match="must match the size"):
        F.mse_loss(torch.zeros(2), torch.zeros(3))


def test_old_flags():
    x, t = torch.tensor([1.0, 2.0]), torch.zeros(2)
    assert F.mse_loss(x, t, size_average=False).item() == 5
    assert F.mse_loss(x, t, reduce=False).tolist() == [1, 4]
    with pytest.raises(ValueError, match="abc is not a valid value for reduction"):
        F.mse_loss(x, t, reduction="abc")


def test_binary_cross_entropy():
    p = torch.tensor(RNG.uniform(0.05, 0.95, (4, 3)), requires_grad=True)
    t = torch.tensor(RNG.uniform(0.05, 0.95, (4, 3)), requires_grad=True)
    w = torch.tensor(RNG.uniform(0.5, 2, (4, 3)))
    a, b = p.detach().numpy(), t.detach().numpy()
    want = -(b * np.log(a) + (1 - b) * np.log(1 - a))
    got = F.binary_cross_entropy(p, t, w)
    np.testing.assert_allclose(got.item(), (want * w.numpy()).mean())
    assert gradcheck(lambda x, y: F.binary_cross_entropy(x, y, w), (p, t))
    assert gradgradcheck(lambda x, y: F.binary_cross_entropy(x, y), (p, t))
    assert F.binary_cross_entropy(torch.tensor([0.0]), torch.tensor([1.0])).item() == 100
    with pytest.raises(RuntimeError, match="all elements of input should be between 0 and 1"):
        F.binary_cross_entropy(torch.tensor([1.5]), torch.tensor([1.0]))
    with pytest.raises(ValueError, match="Using a target size"):
        F.binary_cross_entropy(torch.rand(2), torch.rand(1))
    with pytest.raises(RuntimeError, match="Found dtype Long but expected Float"):
        F.binary_cross_entropy(torch.rand(2), torch.tensor([1, 0]))


@pytest.mark.parametrize("weights", [False, True])
def test_binary_cross_entropy_with_logits(weights):
    x, t = pair((4, 3))
    given = {}
    if weights:
        given = {"weight": torch.rand(3).double(), "pos_weight": torch.rand(3).double() + 1}
    p = 1 / (1 + np.exp(-x.detach().numpy()))
    b = t.detach().numpy()
    w, pos = (
        (given[k].numpy() if given else 1 for k in ("weight", "pos_weight")) if given else (1, 1)
    )
    want = -w * (pos * b * np.log(p) + (1 - b) * np.log(1 - p))
    loss = lambda u, v: F.binary_cross_entropy_with_logits(u, v, **given)
    np.testing.assert_allclose(loss(x, t).item(), want.mean())
    assert gradcheck(loss, (x, t)) and gradgradcheck(loss, (x, t))
    far = F.binary_cross_entropy_with_logits(torch.tensor([1e4, -1e4]), torch.tensor([0.0, 1.0]))
    assert far.item() == 1e4
    with pytest.raises(ValueError, match="Target size .* must be the same as input size"):
        loss(x, t[:2])


def test_divergences_and_likelihoods():
    x, _ = pair((4, 3))
    logp = x.log_softmax(1)
    q = torch.tensor(RNG.dirichlet(np.ones(3), 4))
    want = (q.numpy() * (np.log(q.numpy()) - logp.detach().numpy())).sum()
    assert F.kl_div(logp, q, reduction="sum").item() == pytest.approx(want)
    assert F.kl_div(logp, q, reduction="batchmean").item() == pytest.approx(want / 4)
    assert F.kl_div(logp, q.log(), reduction="sum", log_target=True).item() == pytest.approx(want)
    with pytest.warns(UserWarning, match="batchmean"):
        F.kl_div(logp, q)
    rate, count = torch.rand(5) + 0.5, torch.tensor([0.0, 1, 2, 3, 7])
    r, c = rate.numpy(), count.numpy()
    plain = F.poisson_nll_loss(rate, count, log_input=False, eps=0, reduction="none")
    np.testing.assert_allclose(plain.numpy(), r - c * np.log(r), rtol=1e-5)
    var = torch.tensor(RNG.uniform(0.5, 2, (4, 3)))
    got = F.gaussian_nll_loss(x, torch.zeros(4, 3).double(), var, full=True)
    want = 0.5 * (np.log(2 * np.pi * var.numpy()) + x.detach().numpy() ** 2 / var.numpy())
    assert got.item() == pytest.approx(want.mean())
    with pytest.raises(ValueError, match="var has negative entry/entries"):
        F.gaussian_nll_loss(x, x, -var)
    with pytest.raises(ValueError, match="var is of incorrect size"):
        F.gaussian_nll_loss(x, x, var[:, :2])


def test_margins():
    x = torch.tensor([[0.1, 0.7, 0.2], [1.0, -1.0, 0.3]], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([1, 0])
    want = [(max(0, 1 - 0.7 + 0.1) + max(0, 1 - 0.7 + 0.2)) / 3, (0 + 0.3) / 3]
    np.testing.assert_allclose(F.multi_margin_loss(x, y, reduction="none").detach().numpy(), want)
    assert gradcheck(lambda v: F.multi_margin_loss(v, y, p=2), (x,))
    labels = torch.tensor([[1, -1, 0], [0, 2, -1]])
    want = [(0.4 + 0.5) / 3, (max(0, 1 - 1 - 1) + max(0, 1 - 0.3 - 1)) / 3]
    got = F.multilabel_margin_loss(x, labels, reduction="none")
    np.testing.assert_allclose(got.detach().numpy(), want, atol=1e-12)
    sign = torch.tensor([1.0, -1.0]).double()
    ranked = F.margin_ranking_loss(x[:, 0], x[:, 1], sign, margin=0.5, reduction="none")
    np.testing.assert_allclose(ranked.detach().numpy(), [1.1, 2.5])
    hinge = F.hinge_embedding_loss(x[:, 0], sign, reduction="none")
    np.testing.assert_allclose(hinge.detach().numpy(), [0.1, 0.0])
    cosine = F.cosine_embedding_loss(x, x, torch.tensor([1.0, -1.0]), reduction="none")
    np.testing.assert_allclose(cosine.detach().numpy(), [0, 1], atol=1e-9)
    soft = F.soft_margin_loss(x[:, 0], sign, reduction="none")
    np.testing.assert_allclose(soft.detach().numpy(), np.log1p(np.exp([-0.1, 1.0])))


def test_triplets():
    a, p, n = (torch.tensor(RNG.standard_normal((4, 3)), requires_grad=True) for _ in range(3))
    far = lambda u, v: np.linalg.norm((u - v).detach().numpy() + 1e-6, axis=1)
    want = np.maximum(far(a, p) - far(a, n) + 1, 0)
    got = F.triplet_margin_loss(a, p, n, reduction="none")
    np.testing.assert_allclose(got.detach().numpy(), want)
    assert gradcheck(lambda *t: F.triplet_margin_loss(*t, swap=True), (a, p, n))
    same = F.triplet_margin_with_distance_loss(a, p, n, reduction="none")
    np.testing.assert_allclose(same.detach().numpy(), want)
    with pytest.raises(ValueError, match="margin must be greater than 0"):
        F.triplet_margin_loss(a, p, n, margin=-1)


def spellings(target, steps, blank=0):
    """Every sequence of labels that spells the target."""
    import itertools

    for path in itertools.product(range(4), repeat=steps):
        merged = [c for i, c in enumerate(path) if i == 0 or c != path[i - 1]]
        if [c for c in merged if c != blank] == list(target):
            yield path


def test_ctc_loss_is_the_sum_over_all_alignments():
    logp = torch.tensor(RNG.standard_normal((5, 2, 4)), requires_grad=True)
    targets = torch.tensor([[1, 1, 2], [3, 0, 0]])
    inputs, lengths = torch.tensor([5, 4]), torch.tensor([3, 1])
    p = np.exp(logp.log_softmax(2).detach().numpy())
    want = []
    for n, (t, length) in enumerate(((5, (1, 1, 2)), (4, (3,)))):
        total = sum(
            np.prod([p[i, n, c] for i, c in enumerate(path)]) for path in spellings(length, t)
        )
        want.append(-math.log(total))
    loss = lambda v, r="none": F.ctc_loss(v.log_softmax(2), targets, inputs, lengths, reduction=r)
    np.testing.assert_allclose(loss(logp).detach().numpy(), want)
    assert loss(logp, "mean").item() == pytest.approx((want[0] / 3 + want[1]) / 2)
    assert gradcheck(lambda v: loss(v, "sum"), (logp,))
    joined = torch.tensor([1, 1, 2, 3])
    again = F.ctc_loss(logp.log_softmax(2), joined, inputs, lengths, reduction="none")
    np.testing.assert_allclose(again.detach().numpy(), want)


def test_ctc_loss_of_the_impossible():
    logp = torch.randn(2, 1, 4).log_softmax(2).requires_grad_()
    arguments = (torch.tensor([[1, 2, 3]]), torch.tensor([2]), torch.tensor([3]))
    assert math.isinf(F.ctc_loss(logp, *arguments).item())
    loss = F.ctc_loss(logp, *arguments, zero_infinity=True)
    loss.backward()
    assert loss.item() == 0 and not logp.grad.any()
    with pytest.raises(RuntimeError, match="blank must be in label range"):
        F.ctc_loss(logp, *arguments, blank=4)
    with pytest.raises(RuntimeError, match="input_lengths must be of size batch_size"):
        F.ctc_loss(logp, arguments[0], torch.tensor([2, 2]), arguments[2])


def test_linear_cross_entropy():
    x, w, b = torch.randn(5, 4), torch.randn(3, 2, 4), torch.randn(3, 2)
    y = torch.randint(0, 3, (5, 2))
    logits = F.linear(x, w.reshape(6, 4), b.reshape(6)).reshape(5, 3, 2)
    got = F.linear_cross_entropy(x, w, y, linear_bias=b, label_smoothing=0.1)
    assert got.item() == pytest.approx(F.cross_entropy(logits, y, label_smoothing=0.1).item())


def test_distances():
    a = torch.tensor(RNG.standard_normal((4, 3)), requires_grad=True)
    b = torch.tensor(RNG.standard_normal((5, 3)), requires_grad=True)
    want = np.linalg.norm(a.detach().numpy()[:, None] - b.detach().numpy()[None], axis=-1)
    for mode in ("use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist"):
        got = torch.cdist(a, b, compute_mode=mode)
        np.testing.assert_allclose(got.detach().numpy(), want)
        assert gradcheck(lambda u, v, m=mode: torch.cdist(u, v, compute_mode=m), (a, b))
    np.testing.assert_allclose(
        F.pdist(a).detach().numpy(),
        [np.linalg.norm((a[i] - a[j]).detach().numpy()) for i in range(4) for j in range(i + 1, 4)],
    )
    cosine = F.cosine_similarity(a, b[:4], 1).detach().numpy()
    x, y = a.detach().numpy(), b.detach().numpy()[:4]
    want = (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
    np.testing.assert_allclose(cosine, want)
    np.testing.assert_allclose(F.normalize(a).norm(dim=1).detach().numpy(), 1)
    zero = F.cosine_similarity(torch.zeros(2, 3), torch.ones(2, 3))
    assert zero.tolist() == [0, 0]
