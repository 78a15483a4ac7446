"""Normalisation, embedding, attention and dropout."""

from __future__ import annotations

import math

import numpy as np
import pytest

import flambeau as torch
from flambeau.autograd import gradcheck, gradgradcheck
from flambeau.nn import functional as F


def doubles(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def normalised(x, axes, eps=1e-5):
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(var + eps)


# ---- norms -------------------------------------------------------------------------------------


def test_layer_norm():
    x, w, b = doubles(3, 2, 3), doubles(2, 3), doubles(2, 3)
    want = normalised(x.detach().numpy(), (1, 2)) * w.detach().numpy() + b.detach().numpy()
    function = lambda *t: F.layer_norm(t[0], (2, 3), *t[1:])
    np.testing.assert_allclose(function(x, w, b).detach().numpy(), want)
    assert gradcheck(function, (x, w, b)) and gradgradcheck(function, (x, w, b))
    assert gradcheck(lambda v: F.layer_norm(v, (3,)), (x,))


@pytest.mark.parametrize("shape", [(2000, 130), (3, 70_001), (0, 4)])
def test_layer_norm_of_many_and_of_long_rows(shape):
    x = torch.randn(*shape, requires_grad=True)
    w, b = torch.rand(shape[1], requires_grad=True), torch.rand(shape[1], requires_grad=True)
    g = torch.randn(*shape)
    y = F.layer_norm(x, shape[1:], w, b)
    y.backward(g)
    xhat = normalised(x.detach().double().numpy(), 1) if shape[0] else np.zeros(shape)
    np.testing.assert_allclose(
        y.detach().numpy(), xhat * w.detach().numpy() + b.detach().numpy(), 1e-4, 1e-5
    )
    np.testing.assert_allclose(w.grad.numpy(), (g.double().numpy() * xhat).sum(0), 1e-4, 1e-4)
    np.testing.assert_allclose(b.grad.numpy(), g.double().numpy().sum(0), 1e-4, 1e-4)


def test_rms_norm():
    x, w = doubles(4, 6), doubles(6)
    a = x.detach().numpy()
    want = a / np.sqrt((a * a).mean(1, keepdims=True) + 1e-3) * w.detach().numpy()
    np.testing.assert_allclose(F.rms_norm(x, (6,), w, 1e-3).detach().numpy(), want)
    assert gradcheck(lambda u, v: F.rms_norm(u, (6,), v), (x, w))
    assert gradgradcheck(lambda u, v: F.rms_norm(u, (6,), v), (x, w))


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 3), (2, 3, 1, 2)])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(shape, training):
    x, w, b = doubles(*shape), doubles(3), doubles(3)
    mean, var = torch.randn(3).double(), torch.rand(3).double() + 0.5
    axes = (0, *range(2, len(shape)))
    column = (1, 3) + (1,) * (len(shape) - 2)
    a = x.detach().numpy()
    if training:
        want = normalised(a, axes)
    else:
        want = (a - mean.numpy().reshape(column)) / np.sqrt(var.numpy() + 1e-5).reshape(column)
    want = want * w.detach().numpy().reshape(column) + b.detach().numpy().reshape(column)
    old = mean.clone(), var.clone()
    got = F.batch_norm(x, mean, var, w, b, training, 0.25)
    np.testing.assert_allclose(got.detach().numpy(), want)
    if training:
        n = a.size / 3
        np.testing.assert_allclose(mean.numpy(), 0.75 * old[0].numpy() + 0.25 * a.mean(axes))
        unbiased = a.var(axes) * n / (n - 1)
        np.testing.assert_allclose(var.numpy(), 0.75 * old[1].numpy() + 0.25 * unbiased)
    else:
        assert torch.equal(mean, old[0]) and torch.equal(var, old[1])
    stats = (None, None) if training else (mean, var)
    function = lambda *t: F.batch_norm(t[0], *stats, *t[1:], training)
    assert gradcheck(function, (x, w, b)) and gradgradcheck(function, (x, w, b))


def test_group_and_instance_norm():
    x, w, b = doubles(2, 4, 3), doubles(4), doubles(4)
    a = x.detach().numpy().reshape(2, 2, 2, 3)
    want = normalised(a, (2, 3)).reshape(2, 4, 3) * w.detach().numpy()[:, None]
    want = want + b.detach().numpy()[:, None]
    function = lambda *t: F.group_norm(t[0], 2, *t[1:])
    np.testing.assert_allclose(function(x, w, b).detach().numpy(), want)
    assert gradcheck(function, (x, w, b)) and gradgradcheck(function, (x, w, b))
    want = normalised(x.detach().numpy(), 2)
    np.testing.assert_allclose(F.instance_norm(x).detach().numpy(), want)
    mean, var = torch.zeros(4).double(), torch.ones(4).double()
    F.instance_norm(x, mean, var, momentum=1.0)
    np.testing.assert_allclose(mean.numpy(), x.detach().numpy().mean((0, 2)))
    np.testing.assert_allclose(var.numpy(), x.detach().numpy().var(2, ddof=1).mean(0))


def test_local_response_norm():
    x = doubles(2, 5, 3)
    a = x.detach().numpy()
    padded = np.pad(a * a, ((0, 0), (1, 1), (0, 0)))
    mean = (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3
    want = a / (2 + 0.5 * mean) ** 0.75
    got = F.local_response_norm(x, 3, alpha=0.5, k=2)
    np.testing.assert_allclose(got.detach().numpy(), want)


def test_errors_of_norms():
    with pytest.raises(RuntimeError, match=r"Given normalized_shape=\[3\], expected input with"):
        F.layer_norm(torch.randn(2, 4), (3,))
    with pytest.raises(RuntimeError, match="Expected weight to be of same shape"):
        F.layer_norm(torch.randn(2, 4), (4,), torch.ones(3))
    with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
        F.batch_norm(torch.randn(1, 3), None, None, training=True)
    with pytest.raises(RuntimeError, match="running_mean should contain 3 elements not 2"):
        F.batch_norm(torch.randn(2, 3), torch.zeros(2), torch.ones(3))
    with pytest.raises(RuntimeError, match="Expected number of channels in input to be divisible"):
        F.group_norm(torch.randn(2, 3), 2)
    with pytest.raises(ValueError, match="Expected more than 1 spatial element"):
        F.instance_norm(torch.randn(2, 3, 1))


# ---- embedding ---------------------------------------------------------------------------------


def test_embedding_and_its_gradient():
    table = doubles(6, 3)
    index = torch.tensor([[1, 4, 1], [5, 0, 1]])
    y = F.embedding(index, table, padding_idx=4)
    np.testing.assert_array_equal(y.detach().numpy(), table.detach().numpy()[index.numpy()])
    y.sum().backward()
    assert table.grad[:, 0].tolist() == [1, 3, 0, 0, 0, 1]
    assert gradcheck(lambda t: F.embedding(index, t), (table,))
    assert gradgradcheck(lambda t: F.embedding(index, t, scale_grad_by_freq=False), (table,))
    table.grad = None
    F.embedding(index, table, scale_grad_by_freq=True).sum().backward()
    np.testing.assert_allclose(table.grad[:, 0].numpy(), [1, 1, 0, 0, 1, 1])


def test_max_norm_changes_the_rows_that_are_used():
    table = torch.full((3, 4), 2.0)
    F.embedding(torch.tensor([0, 2]), table, max_norm=1.0)
    np.testing.assert_allclose(table.norm(dim=1).numpy(), [1, 4, 1], rtol=1e-5)


def test_an_index_that_is_no_row():
    with pytest.raises(IndexError, match="index out of range in self\n  input.1. = 6, but"):
        F.embedding(torch.tensor([0, 6]), torch.randn(6, 3))
    with pytest.raises(IndexError, match="negative numbers do not count from the end"):
        F.embedding(torch.tensor(-1), torch.randn(6, 3))
    with pytest.raises(RuntimeError, match="Expected tensor for argument #1 'indices'"):
        F.embedding(torch.tensor([1.0]), torch.randn(6, 3))
    with pytest.raises(AssertionError, match="Padding_idx must be within num_embeddings"):
        F.embedding(torch.tensor([1]), torch.randn(6, 3), padding_idx=6)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags(mode):
    table = doubles(6, 3)
    index, offsets = torch.tensor([1, 4, 1, 5, 0]), torch.tensor([0, 2, 2])
    a = table.detach().numpy()
    reduce = {"sum": np.sum, "mean": np.mean, "max": np.max}[mode]
    want = [reduce(a[[1, 4]], 0), np.zeros(3), reduce(a[[1, 5, 0]], 0)]
    function = lambda t: F.embedding_bag(index, t, offsets, mode=mode)
    np.testing.assert_allclose(function(table).detach().numpy(), want)
    assert gradcheck(function, (table,))
    rows = F.embedding_bag(torch.tensor([[1, 4], [5, 0]]), table, mode=mode, padding_idx=4)
    np.testing.assert_allclose(rows.detach().numpy(), [a[1], reduce(a[[5, 0]], 0)])


def test_bags_with_weights():
    table, weights = doubles(6, 3), doubles(4)
    index, offsets = torch.tensor([1, 4, 1, 5]), torch.tensor([0, 3])
    function = lambda t, w: F.embedding_bag(
        index, t, offsets, mode="sum", per_sample_weights=w, include_last_offset=True
    )
    a, w = table.detach().numpy(), weights.detach().numpy()
    want = [(a[[1, 4, 1]] * w[:3, None]).sum(0)]
    np.testing.assert_allclose(function(table, weights).detach().numpy(), want)
    assert gradcheck(function, (table, weights))
    with pytest.raises(NotImplementedError, match="only supported for mode='sum'"):
        F.embedding_bag(index, table, offsets, per_sample_weights=weights)


# ---- attention ---------------------------------------------------------------------------------


def plain_attention(q, k, v, mask, scale):
    s = q @ k.swapaxes(-1, -2) * scale
    if mask is not None:
        s = s + mask
    top = s.max(-1, keepdims=True)
    p = np.exp(s - np.where(np.isinf(top), 0, top))
    total = p.sum(-1, keepdims=True)
    return p / np.where(total == 0, 1, total) @ v


@pytest.mark.parametrize("kind", ["none", "causal", "bool", "numbers"])
def test_attention(kind):
    q, k, v = doubles(1, 2, 3, 2), doubles(1, 2, 4, 2), doubles(1, 2, 4, 1)
    given, mask = {}, None
    inputs = [q, k, v]
    if kind == "causal":
        given = {"is_causal": True}
        mask = np.triu(np.full((3, 4), -np.inf), 1)
    elif kind == "bool":
        seen = torch.rand(3, 4) > 0.4
        seen[2] = False  # a row that sees nothing gives zeros
        given = {"attn_mask": seen}
        mask = np.where(seen.numpy(), 0, -np.inf)
    elif kind == "numbers":
        inputs.append(doubles(2, 3, 4))
        mask = inputs[3].detach().numpy()
    function = lambda *t: F.scaled_dot_product_attention(*t, **given)
    want = plain_attention(*(t.detach().numpy() for t in (q, k, v)), mask, 1 / math.sqrt(2))
    np.testing.assert_allclose(function(*inputs).detach().numpy(), want)
    assert gradcheck(function, inputs) and gradgradcheck(function, inputs)


@pytest.mark.parametrize("shape", [(5, 4), (3, 5, 4), (2, 2, 3, 5, 4)])
def test_attention_of_other_ranks(shape):
    q = torch.randn(shape)
    want = plain_attention(*[q.numpy()] * 3, None, 0.3)
    np.testing.assert_allclose(
        F.scaled_dot_product_attention(q, q, q, scale=0.3).numpy(), want, 1e-5, 1e-6
    )


def test_long_sequences_are_computed_again_for_the_gradient():
    shape = (1, 2, 1500, 4)
    q, k, v = (torch.randn(shape, requires_grad=True) for _ in range(3))
    g = torch.randn(shape)
    F.scaled_dot_product_attention(q, k, v, is_causal=True).backward(g)
    grads = [t.grad.clone() for t in (q, k, v)]
    for t in (q, k, v):
        t.grad = None
    hidden = torch.ones(1500, 1500).triu(1).bool()
    p = (q @ k.transpose(-1, -2) / math.sqrt(4)).masked_fill(hidden, -math.inf).softmax(-1)
    (p @ v).backward(g)
    for t, got in zip((q, k, v), grads, strict=True):
        np.testing.assert_allclose(got.numpy(), t.grad.numpy(), 1e-3, 1e-4)


def test_grouped_queries_and_dropout():
    q, k, v = torch.randn(1, 4, 3, 2), torch.randn(1, 2, 5, 2), torch.randn(1, 2, 5, 2)
    got = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    twice = [t.repeat_interleave(2, -3) for t in (k, v)]
    np.testing.assert_array_equal(got.numpy(), F.scaled_dot_product_attention(q, *twice).numpy())
    eye = torch.eye(4)[None, None]
    torch.manual_seed(0)
    dropped = F.scaled_dot_product_attention(eye * 50, eye * 50, eye, dropout_p=0.5)
    assert dropped[0, 0].diagonal().tolist() == [0, 0, 2, 2]


def test_errors_of_attention():
    q = torch.randn(2, 3, 4)
    with pytest.raises(RuntimeError, match="Explicit attn_mask should not be set when is_causal"):
        F.scaled_dot_product_attention(q, q, q, torch.ones(3, 3), is_causal=True)
    with pytest.raises(RuntimeError, match="Expected query, key, and value to have the same dtype"):
        F.scaled_dot_product_attention(q, q, q.double())
    with pytest.raises(RuntimeError, match="Expected attn_mask dtype to be bool or float"):
        F.scaled_dot_product_attention(q, q, q, torch.ones(3, 3).long())


# ---- dropout -----------------------------------------------------------------------------------


def test_dropout_draws_what_pytorch_draws():
    torch.manual_seed(0)
    y = F.dropout(torch.ones(4, 4), 0.5)
    assert y.tolist() == [[0, 0, 2, 0], [0, 0, 2, 2], [0, 2, 2, 2], [2, 0, 2, 2]]
    torch.manual_seed(0)
    turned = F.dropout(torch.ones(4, 4).T, 0.5)
    assert torch.equal(turned, y.T)  # drawn in the order of memory


@pytest.mark.parametrize(
    "function, shape",
    [
        (F.dropout1d, (4, 6, 3)),
        (F.dropout2d, (4, 6, 3, 2)),
        (F.dropout3d, (4, 6, 2, 2, 2)),
        (F.feature_alpha_dropout, (4, 6, 3)),
    ],
)
def test_dropout_of_channels(function, shape):
    y = function(torch.ones(shape), 0.5, True).flatten(2)
    assert torch.equal(y, y[..., :1].expand(y.shape))
    assert len(set(y.flatten().tolist())) == 2


def test_dropout_off_at_the_ends_and_in_place():
    x = torch.randn(5, requires_grad=True)
    assert F.dropout(x, 0.5, training=False) is x
    assert F.dropout(x, 0.0) is x
    assert not F.dropout(x, 1.0).any()
    y = torch.ones(50)
    assert F.dropout(y, 0.3, inplace=True) is y and 0 in y
    z = F.dropout(x, 0.5)
    z.sum().backward()
    np.testing.assert_array_equal((x.grad != 0).numpy(), (z != 0).detach().numpy())
    with pytest.raises(ValueError, match="dropout probability has to be between 0 and 1"):
        F.dropout(x, 1.5)
    with pytest.warns(UserWarning, match="Received a 3D input to dropout2d"):
        F.dropout2d(torch.ones(2, 3, 4))


def test_gumbel_softmax():
    logits = torch.randn(6, 4, requires_grad=True)
    hard = F.gumbel_softmax(logits, hard=True)
    assert sorted(set(hard.detach().round().flatten().tolist())) == [0, 1]
    hard.sum(0)[0].backward()
    assert logits.grad.any()
