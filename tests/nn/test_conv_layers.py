"""Layers of convolution, pooling, padding and resizing; lazy layers."""

from __future__ import annotations

import copy

import pytest

import flambeau as torch
from flambeau import nn


@pytest.mark.parametrize(
    "layer, text",
    [
        (nn.Conv2d(2, 4, 3, padding="same", padding_mode="reflect"),
         "Conv2d(2, 4, kernel_size=(3, 3), stride=(1, 1), padding=same, padding_mode=reflect)"),
        (nn.ConvTranspose2d(2, 4, 3, 2, output_padding=1, bias=False),
         "ConvTranspose2d(2, 4, kernel_size=(3, 3), stride=(2, 2), output_padding=(1, 1), "
         "bias=False)"),
        (nn.MaxPool2d(2), "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, "
         "ceil_mode=False)"),
        (nn.AvgPool1d(2), "AvgPool1d(kernel_size=(2,), stride=(2,), padding=(0,))"),
        (nn.AdaptiveAvgPool2d((2, None)), "AdaptiveAvgPool2d(output_size=(2, None))"),
        (nn.ConstantPad1d(2, 3.5), "ConstantPad1d(padding=(2, 2), value=3.5)"),
        (nn.ZeroPad2d((1, 2, 3, 4)), "ZeroPad2d((1, 2, 3, 4))"),
        (nn.Upsample(scale_factor=2, mode="bilinear"),
         "Upsample(scale_factor=2.0, mode='bilinear')"),
        (nn.PixelShuffle(2), "PixelShuffle(upscale_factor=2)"),
        (nn.Unfold(2), "Unfold(kernel_size=2, dilation=1, padding=0, stride=1)"),
        (nn.LazyConv2d(4, 3), "LazyConv2d(0, 4, kernel_size=(3, 3), stride=(1, 1))"),
    ],
)  # fmt: skip
def test_reprs(layer, text):
    assert repr(layer) == text


def test_a_seed_gives_the_weights_that_pytorch_gives():
    torch.manual_seed(0)
    layer = nn.Conv2d(1, 1, 2)
    want = [-0.00374341, 0.26822180, -0.41152257, -0.36796951]
    assert layer.weight.flatten().tolist() == pytest.approx(want, abs=1e-6)
    assert layer.bias.item() == pytest.approx(-0.19257718, abs=1e-6)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_padding_modes_keep_the_size(mode):
    layer = nn.Conv2d(2, 3, 3, padding=1, padding_mode=mode)
    assert layer(torch.randn(1, 2, 5, 4)).shape == (1, 3, 5, 4)


def test_an_output_size_that_a_stride_leaves_open():
    layer = nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1)
    x = torch.randn(1, 2, 4, 4)
    assert layer(x).shape == (1, 3, 7, 7)
    assert layer(x, output_size=(8, 7)).shape == (1, 3, 8, 7)
    with pytest.raises(ValueError, match="valid sizes range from"):
        layer(x, output_size=(9, 7))


def test_pooling_and_back():
    x = torch.randn(1, 2, 6, 6)
    values, where = nn.MaxPool2d(2, return_indices=True)(x)
    back = nn.MaxUnpool2d(2)(values, where)
    assert back.shape == x.shape
    assert back[back != 0].equal(x[back != 0])


def test_a_lazy_layer_becomes_the_layer():
    net = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2))
    other = copy.deepcopy(net)
    assert net(torch.randn(2, 3, 5, 5)).shape == (2, 2)
    assert type(net[0]) is nn.Conv2d
    assert net[0].weight.shape == (4, 3, 3, 3)
    assert type(net[0].weight) is nn.Parameter
    assert type(net[1]) is nn.BatchNorm2d
    assert net[3].in_features == 36
    other.load_state_dict(net.state_dict())
    x = torch.randn(2, 3, 5, 5)
    assert other.eval()(x).equal(net.eval()(x))


def test_an_uninitialized_parameter_says_what_to_do():
    layer = nn.LazyLinear(3)
    with pytest.raises(RuntimeError, match="Call `forward` to initialize the parameters"):
        _ = layer.weight.shape
    with pytest.raises(ValueError, match="Attempted to use an uninitialized parameter"):
        layer.weight + 1
    assert repr(layer.weight) == "<UninitializedParameter>"


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "in_channels must be divisible by groups"),
        (lambda: nn.Conv2d(2, 4, 3, stride=2, padding="same"), "not supported for strided"),
        (lambda: nn.Conv2d(2, 4, 3, padding_mode="x"), "padding_mode must be one of"),
        (lambda: nn.CircularPad2d(1)(torch.ones(4)), "expected 3D or 4D input"),
    ],
)
def test_mistakes(call, words):
    with pytest.raises(ValueError, match=words):
        call()
