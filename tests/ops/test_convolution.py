"""Convolution as an operation: values, gradients to second order, dtypes, mistakes."""

from __future__ import annotations

import numpy as np
import pytest

import flambeau as torch
from flambeau.autograd import gradcheck, gradgradcheck
from flambeau.nn import functional as F


def normal(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype).requires_grad_()


def dull(x, w, b, stride, padding, dilation):
    """A convolution of images, one output element at a time."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    reach = [d * (k - 1) + 1 for d, k in zip((dilation, dilation), w.shape[2:])]
    outs = [(n - r) // stride + 1 for n, r in zip(x.shape[2:], reach)]
    y = np.zeros((len(x), len(w), *outs), x.dtype)
    for i in range(outs[0]):
        for j in range(outs[1]):
            rows = slice(i * stride, i * stride + reach[0], dilation)
            cols = slice(j * stride, j * stride + reach[1], dilation)
            y[:, :, i, j] = np.einsum("ncij,ocij->no", x[:, :, rows, cols], w) + b
    return y


@pytest.mark.parametrize("stride, padding, dilation", [(1, 0, 1), (2, 1, 1), (1, 2, 2), (3, 1, 2)])
def test_it_is_the_sum_over_channels_and_taps(stride, padding, dilation):
    x, w, b = torch.randn(2, 3, 11, 7), torch.randn(5, 3, 3, 2), torch.randn(5)
    y = F.conv2d(x, w, b, stride, padding, dilation)
    want = dull(x.numpy(), w.numpy(), b.numpy(), stride, padding, dilation)
    np.testing.assert_allclose(y.numpy(), want, rtol=1e-4, atol=1e-5)


def test_a_large_image_and_many_small_ones():
    for shape in ((1, 7, 61, 53), (67, 2, 5, 5), (3, 16, 14, 14)):
        x, w, b = torch.randn(*shape), torch.randn(4, shape[1], 3, 3), torch.randn(4)
        want = dull(x.numpy(), w.numpy(), b.numpy(), 1, 1, 1)
        np.testing.assert_allclose(F.conv2d(x, w, b, padding=1).numpy(), want, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "stride, padding, dilation, groups", [(1, 1, 1, 1), (2, 0, 1, 2), (2, 1, 2, 1)]
)
def test_gradients_of_convolution(stride, padding, dilation, groups):
    x, w, b = normal(2, 4, 7, 5), normal(6, 4 // groups, 3, 2), normal(6)

    def run(x, w, b):
        return F.conv2d(x, w, b, stride, padding, dilation, groups)

    assert gradcheck(run, (x, w, b))
    assert gradgradcheck(run, (x, w, b))


@pytest.mark.parametrize("stride, extra, dilation", [(1, 0, 1), (3, 2, 1), (1, 2, 3)])
def test_gradients_of_transposed_convolution(stride, extra, dilation):
    x, w, b = normal(2, 4, 5), normal(4, 3, 2), normal(6)

    def run(x, w, b):
        return F.conv_transpose1d(x, w, b, stride, 1, extra, 2, dilation)

    assert gradcheck(run, (x, w, b))
    assert gradgradcheck(run, (x, w, b))


def test_the_transpose_is_the_gradient():
    x, w = normal(2, 3, 9, 8), normal(4, 3, 3, 3)
    y = F.conv2d(x, w, stride=2, padding=1)
    g = torch.randn_like(y)
    (to_x,) = torch.autograd.grad(y, x, g)
    assert torch.allclose(
        F.conv_transpose2d(g, w, stride=2, padding=1, output_padding=(0, 1)), to_x
    )


def test_gradients_of_complex_numbers_are_conjugated():
    x = normal(1, 2, 5, dtype=torch.complex128)
    w = normal(3, 2, 2, dtype=torch.complex128)
    assert gradcheck(F.conv1d, (x, w))


def test_one_and_three_dimensions_and_no_batch():
    x, w = torch.randn(2, 3, 4, 5, 6), torch.randn(7, 3, 2, 2, 2)
    y = F.conv3d(x, w)
    assert y.shape == (2, 7, 3, 4, 5)
    assert torch.allclose(F.conv3d(x[0], w), y[0], atol=1e-5)
    flat = F.conv1d(x[:, :, 0, 0], w[:, :, 0, 0])
    assert torch.allclose(flat, F.conv2d(x[:, :, 0, :1], w[:, :, 0, :1])[:, :, 0], atol=1e-5)


def test_padding_by_name():
    x = torch.randn(1, 2, 6, 6)
    assert F.conv2d(x, torch.randn(3, 2, 4, 3), padding="same").shape == (1, 3, 6, 6)
    assert F.conv2d(x, torch.randn(3, 2, 4, 3), padding="valid").shape == (1, 3, 3, 4)


def test_an_empty_batch_has_gradients_of_zero():
    x, w = torch.zeros(0, 2, 5, 5), torch.randn(3, 2, 3, 3, requires_grad=True)
    y = F.conv2d(x, w)
    assert y.shape == (0, 3, 3, 3)
    y.sum().backward()
    assert not w.grad.any()


def test_sixteen_bits_are_rounded_once():
    x, w = torch.randn(1, 64, 5, 5), torch.randn(2, 64, 3, 3)
    x16, w16 = x.bfloat16(), w.bfloat16()
    want = F.conv2d(x16.float(), w16.float()).bfloat16()
    assert F.conv2d(x16, w16).equal(want)


def test_numbers_that_are_not_finite_stay_where_they_are():
    x = torch.zeros(1, 1, 4, 4)
    x[0, 0, 0, 0] = float("nan")
    y = F.conv2d(x, torch.ones(1, 1, 2, 2))
    assert y.isnan().sum() == 1


def test_noncontiguous_operands():
    x, w = torch.randn(2, 8, 8, 3), torch.randn(3, 3, 3, 4)
    y = F.conv2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1))
    want = F.conv2d(x.permute(0, 3, 1, 2).contiguous(), w.permute(3, 2, 0, 1).contiguous())
    assert torch.allclose(y, want, atol=1e-5)


def test_conv_tbc_is_conv1d_with_time_first():
    x, w, b = normal(6, 2, 3), normal(2, 3, 4), normal(4)
    want = F.conv1d(x.permute(1, 2, 0), w.permute(2, 1, 0), b, padding=1).permute(2, 0, 1)
    assert torch.allclose(torch.conv_tbc(x, w, b, 1), want)
    assert gradcheck(torch.conv_tbc, (x, w, b))


def test_unfold_and_fold_are_transposes():
    x, kernel = normal(2, 3, 6, 5), {"kernel_size": (2, 3), "stride": 2, "padding": 1}
    columns = F.unfold(x, **kernel)
    g = torch.randn_like(columns)
    assert torch.allclose(torch.autograd.grad(columns, x, g)[0], F.fold(g, (6, 5), **kernel))
    assert gradcheck(lambda c: F.fold(c, (6, 5), **kernel), (columns.detach().requires_grad_(),))


def test_names_of_the_nodes():
    x, w = normal(1, 1, 4, 4), normal(1, 1, 2, 2)
    assert F.conv2d(x, w).grad_fn.name() == "ConvolutionBackward0"
    assert F.conv_transpose2d(x, w).grad_fn.name() == "ConvolutionBackward0"
    assert F.unfold(x, 2).grad_fn.name() == "Im2ColBackward0"


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: F.conv2d(torch.ones(1, 2, 4, 4), torch.ones(1, 3, 2, 2)), RuntimeError,
         "expected input[1, 2, 4, 4] to have 3 channels, but got 2 channels instead"),
        (lambda: F.conv2d(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 3, 3)), RuntimeError,
         "Kernel size can't be greater than actual input size"),
        (lambda: F.conv2d(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2).double()), RuntimeError,
         "Input type (torch.FloatTensor) and weight type (torch.DoubleTensor) should be the same"),
        (lambda: F.conv2d(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2), torch.ones(1).int()),
         RuntimeError, "Input type (float) and bias type (int) should be the same"),
        (lambda: F.conv2d(torch.ones(4), torch.ones(1, 1, 2, 2)), RuntimeError,
         "Expected 3D (unbatched) or 4D (batched) input to conv2d"),
        (lambda: F.conv2d(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2), stride=1.5), TypeError,
         "conv2d() received an invalid combination of arguments"),
        (lambda: F.conv2d(torch.ones(1, 1, 2, 2).bool(), torch.ones(1, 1, 2, 2).bool()),
         NotImplementedError, "not implemented for 'Bool'"),
        (lambda: F.unfold(torch.ones(1, 1, 2, 2).int(), 2), NotImplementedError,
         "not implemented for 'Int'"),
        (lambda: F.conv2d([1.0], torch.ones(1, 1, 2, 2)), TypeError, "must be Tensor, not list"),
    ],
)  # fmt: skip
def test_mistakes(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)
