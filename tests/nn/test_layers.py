"""Linear layers, activations, losses, norms, dropout, embedding: their start, state and repr."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import flambeau as torch
from flambeau import nn


@pytest.mark.parametrize(
    "layer, text",
    [
        (nn.Linear(3, 4, bias=False), "Linear(in_features=3, out_features=4, bias=False)"),
        (nn.Bilinear(2, 3, 4),
         "Bilinear(in1_features=2, in2_features=3, out_features=4, bias=True)"),
        (nn.Identity(5), "Identity()"),
        (nn.Flatten(), "Flatten(start_dim=1, end_dim=-1)"),
        (nn.Unflatten(1, (2, 3)), "Unflatten(dim=1, unflattened_size=(2, 3))"),
        (nn.ReLU(True), "ReLU(inplace=True)"),
        (nn.ReLU6(), "ReLU6()"),
        (nn.Hardtanh(-2, 2), "Hardtanh(min_val=-2, max_val=2)"),
        (nn.LeakyReLU(0.2, True), "LeakyReLU(negative_slope=0.2, inplace=True)"),
        (nn.GELU("tanh"), "GELU(approximate='tanh')"),
        (nn.Softmax(-1), "Softmax(dim=-1)"),
        (nn.Softshrink(0.3), "Softshrink(0.3)"),
        (nn.PReLU(3), "PReLU(num_parameters=3)"),
        (nn.Dropout2d(0.1), "Dropout2d(p=0.1, inplace=False)"),
        (nn.LayerNorm(5), "LayerNorm((5,), eps=1e-05, elementwise_affine=True, bias=True)"),
        (nn.RMSNorm(4), "RMSNorm((4,), eps=None, elementwise_affine=True)"),
        (nn.GroupNorm(2, 4), "GroupNorm(2, 4, eps=1e-05, affine=True, bias=True)"),
        (nn.BatchNorm1d(3), "BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, "
         "track_running_stats=True)"),
        (nn.Embedding(3, 4, 1, sparse=True), "Embedding(3, 4, padding_idx=1, sparse=True)"),
        (nn.EmbeddingBag(3, 4, mode="sum"), "EmbeddingBag(3, 4, mode='sum')"),
        (nn.CrossEntropyLoss(), "CrossEntropyLoss()"),
        (nn.LocalResponseNorm(2), "LocalResponseNorm(2, alpha=0.0001, beta=0.75, k=1.0)"),
    ],
)  # fmt: skip
def test_reprs(layer, text):
    assert repr(layer) == text


def test_a_seed_gives_the_weights_that_pytorch_gives():
    torch.manual_seed(0)
    linear = nn.Linear(2, 2)
    np.testing.assert_allclose(
        linear.weight.detach().numpy(), [[-0.00529398, 0.3793229], [-0.58198076, -0.52038747]], 1e-5
    )
    np.testing.assert_allclose(linear.bias.detach().numpy(), [-0.27234524, 0.18961589], 1e-5)
    torch.manual_seed(0)
    table = nn.Embedding(2, 2, padding_idx=0)
    np.testing.assert_allclose(
        table.weight.detach().numpy(), [[0, 0], [-2.1787894, 0.56843126]], 1e-5
    )


def test_state_dict_keys():
    assert list(nn.Linear(2, 3).state_dict()) == ["weight", "bias"]
    assert list(nn.Linear(2, 3, bias=False).state_dict()) == ["weight"]
    keys = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert list(nn.BatchNorm2d(3).state_dict()) == keys
    assert list(nn.BatchNorm2d(3, affine=False).state_dict()) == keys[2:]
    assert list(nn.InstanceNorm1d(3).state_dict()) == []
    assert list(nn.LayerNorm(3, bias=False).state_dict()) == ["weight"]
    assert list(nn.PReLU().state_dict()) == ["weight"]
    assert list(nn.CrossEntropyLoss(torch.ones(3)).state_dict()) == ["weight"]


def test_batch_norm_counts_and_follows():
    layer = nn.BatchNorm1d(2, momentum=None)
    x = torch.randn(8, 2)
    layer(x), layer(x + 2)
    assert layer.num_batches_tracked.item() == 2
    np.testing.assert_allclose(layer.running_mean.numpy(), x.numpy().mean(0) + 1, 1e-4, 1e-5)
    layer.eval()
    before = layer.running_mean.clone()
    layer(x)
    assert torch.equal(layer.running_mean, before)
    with pytest.raises(ValueError, match=r"expected 2D or 3D input \(got 4D input\)"):
        layer(torch.randn(1, 2, 3, 4))
    old = {k: v for k, v in layer.state_dict().items() if k != "num_batches_tracked"}
    nn.BatchNorm1d(2).load_state_dict(old)  # files from before the count was kept


def test_instance_norm_without_batch_dimension():
    layer = nn.InstanceNorm2d(3)
    x = torch.randn(3, 4, 5)
    assert torch.equal(layer(x), layer(x[None])[0])
    with pytest.raises(ValueError, match="expected 3D or 4D input"):
        layer(torch.randn(3, 4))


def test_dropout_layers_follow_the_mode():
    layer = nn.Sequential(nn.Dropout(0.5), nn.AlphaDropout(0.5))
    x = torch.ones(100)
    assert not torch.equal(layer(x), x)
    assert torch.equal(layer.eval()(x), x)
    with pytest.raises(ValueError, match="dropout probability has to be between 0 and 1"):
        nn.Dropout(-0.1)


def test_embedding_from_pretrained():
    table = torch.randn(4, 3)
    layer = nn.Embedding.from_pretrained(table)
    assert not layer.weight.requires_grad
    assert torch.equal(layer(torch.tensor([2])), table[2:3])
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad
    bag = nn.EmbeddingBag.from_pretrained(table, mode="sum")
    np.testing.assert_allclose(
        bag(torch.tensor([[0, 1]])).numpy()[0], (table[0] + table[1]).numpy()
    )
    with pytest.raises(AssertionError, match="Padding_idx must be within num_embeddings"):
        nn.Embedding(3, 4, padding_idx=3)


LOSSES = {
    "MSELoss": ((), "same"), "L1Loss": ((), "same"), "SmoothL1Loss": ((), "same"),
    "HuberLoss": ((), "same"), "BCEWithLogitsLoss": ((), "same"), "KLDivLoss": ((), "same"),
    "PoissonNLLLoss": ((), "same"), "SoftMarginLoss": ((), "same"),
    "HingeEmbeddingLoss": ((), "same"), "MultiLabelSoftMarginLoss": ((), "same"),
    "CrossEntropyLoss": ((), "class"), "NLLLoss": ((), "class"), "MultiMarginLoss": ((), "class"),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.filterwarnings("ignore:reduction")
def test_losses_as_layers(name):
    given, kind = LOSSES[name]
    x = torch.randn(4, 3, requires_grad=True)
    target = torch.randint(0, 3, (4,)) if kind == "class" else torch.rand(4, 3)
    loss = getattr(nn, name)(*given)(x, target)
    assert loss.shape == ()
    loss.backward()
    assert x.grad.shape == x.shape
    assert getattr(nn, name)(reduction="sum").reduction == "sum"


@pytest.mark.parametrize(
    "layer",
    [nn.ReLU(), nn.GELU(), nn.SiLU(), nn.Mish(), nn.ELU(), nn.SELU(), nn.CELU(), nn.LeakyReLU(),
     nn.RReLU(), nn.Hardtanh(), nn.Hardsigmoid(), nn.Hardswish(), nn.Hardshrink(), nn.Softshrink(),
     nn.Tanhshrink(), nn.Softplus(), nn.Softsign(), nn.Sigmoid(), nn.Tanh(), nn.LogSigmoid(),
     nn.Threshold(0.1, 2.0), nn.PReLU(), nn.Softmax(1), nn.LogSoftmax(1), nn.Softmin(1),
     nn.LayerNorm(6), nn.RMSNorm(6), nn.BatchNorm1d(6), nn.GroupNorm(2, 6), nn.Identity()],
    ids=lambda layer: type(layer).__name__,
)  # fmt: skip
def test_layers_keep_the_shape_and_can_be_copied(layer):
    x = torch.randn(4, 6)
    torch.manual_seed(1)
    y = copy.deepcopy(layer)(x)
    assert y.shape == x.shape
    torch.manual_seed(1)
    assert torch.equal(layer(x), y)


# ---- initial values ----------------------------------------------------------------------------


def test_gains_and_fans():
    init = nn.init
    assert init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("leaky_relu", 1) == 1
    assert init._calculate_fan_in_and_fan_out(torch.empty(4, 3, 5)) == (15, 20)
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        init.xavier_uniform_(torch.empty(3))
    with pytest.raises(ValueError, match="Unsupported nonlinearity swish"):
        init.calculate_gain("swish")
    with pytest.raises(ValueError, match="Mode out not supported"):
        init.kaiming_normal_(torch.empty(3, 3), mode="out")


def test_initial_values():
    init = nn.init
    q = init.orthogonal_(torch.empty(4, 6), gain=2)
    np.testing.assert_allclose((q @ q.T).numpy(), 4 * np.eye(4), atol=1e-5)
    w = init.trunc_normal_(torch.empty(1000), 0.0, 1.0, -0.5, 2.0)
    assert -0.5 <= w.min() and w.max() <= 2.0
    narrow = init.trunc_normal_(torch.empty(200), 0.0, 1.0, 2.5, 3.0)
    assert 2.5 <= narrow.min() and narrow.max() <= 3.0
    assert ((init.sparse_(torch.empty(10, 4), 0.3) == 0).sum(0) == 3).all()
    passed = torch.nn.functional.conv1d(
        torch.arange(6.0).reshape(1, 2, 3), init.dirac_(torch.empty(2, 2, 3)), padding=1
    )
    assert torch.equal(passed, torch.arange(6.0).reshape(1, 2, 3))
    assert torch.equal(init.eye_(torch.empty(2, 3)), torch.eye(2, 3))
    assert init.constant_(torch.empty(2), 3).tolist() == [3, 3]
    bound = np.sqrt(6 / (30 + 20))
    assert init.xavier_uniform_(torch.empty(20, 30)).abs().max() <= bound
    with pytest.warns(FutureWarning, match="nn.init.uniform. is now deprecated"):
        init.uniform(torch.empty(3))


def test_initial_values_are_not_recorded():
    w = nn.Parameter(torch.empty(3, 4))
    nn.init.kaiming_uniform_(w)
    assert w.is_leaf and w.grad_fn is None
