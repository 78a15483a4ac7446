"""Pooling and resizing as operations: values, gradients to second order, dtypes, mistakes."""

from __future__ import annotations

import pytest

import flambeau as torch
from flambeau.autograd import gradcheck, gradgradcheck
from flambeau.nn import functional as F


def shuffled(*shape):
    """Numbers far enough apart that a small step changes no maximum."""
    count = torch.Size(shape).numel()
    return torch.randperm(count).double().view(shape).requires_grad_()


POOLS = {
    "max_pool1d": lambda x: F.max_pool1d(x[0], 3, 2, 1),
    "max_pool2d": lambda x: F.max_pool2d(x, 2, ceil_mode=True),
    "max_pool2d, overlapping": lambda x: F.max_pool2d(x, 3, 1, 1),
    "max_pool3d": lambda x: F.max_pool3d(x, (1, 2, 2)),
    "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x, (3, 2)),
    "avg_pool1d": lambda x: F.avg_pool1d(x[0], 2),
    "avg_pool2d": lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "avg_pool3d": lambda x: F.avg_pool3d(x, (1, 2, 3), divisor_override=5),
    "adaptive_avg_pool1d": lambda x: F.adaptive_avg_pool1d(x[0], 3),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, (2, None)),
    "adaptive_avg_pool2d, one": lambda x: F.adaptive_avg_pool2d(x, 1),
    "adaptive_avg_pool3d": lambda x: F.adaptive_avg_pool3d(x, (1, 2, 2)),
    "lp_pool2d": lambda x: F.lp_pool2d(x + 1, 3, 2),
}


@pytest.mark.parametrize("name", POOLS)
def test_gradients(name):
    assert gradcheck(POOLS[name], (shuffled(2, 3, 5, 4),))
    assert gradgradcheck(POOLS[name], (shuffled(2, 3, 5, 4),))


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic", "area"])
def test_gradients_of_interpolation(mode):
    x = torch.randn(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x: F.interpolate(x, (7, 3), mode=mode), (x,))
    assert gradgradcheck(lambda x: F.interpolate(x, (7, 3), mode=mode), (x,))


def test_maxima_and_their_places():
    x = torch.tensor([[[[1.0, 5.0, 2.0], [7.0, 0.0, 3.0], [4.0, 4.0, 4.0]]]])
    values, where = F.max_pool2d(x, 2, 1, return_indices=True)
    assert values.tolist() == [[[[7, 5], [7, 4]]]]
    assert where.tolist() == [[[[3, 1], [3, 7]]]]
    assert F.max_unpool2d(values, where, 2, 1).tolist() == [[[[0, 5, 0], [7, 0, 0], [0, 4, 0]]]]


@pytest.mark.parametrize("kernel, stride", [(2, 2), (2, 1), (3, 2), (2, 3)])
def test_a_nan_is_the_maximum(kernel, stride):
    x = torch.zeros(1, 1, 6, 6)
    x[0, 0, 2, 3] = float("nan")
    values, where = F.max_pool2d(x, kernel, stride, return_indices=True)
    assert (where[values.isnan()] == 15).all()
    assert F.max_pool2d(x, kernel, stride).isnan().equal(values.isnan())


def test_of_equal_elements_the_first_gets_the_gradient():
    x = torch.zeros(1, 1, 4, 4, requires_grad=True)
    F.max_pool2d(x, 2).sum().backward()
    assert x.grad[0, 0].tolist() == [[1, 0, 1, 0], [0] * 4, [1, 0, 1, 0], [0] * 4]


def test_an_element_that_is_the_maximum_twice_gets_both_gradients():
    x = torch.tensor([[[0.0, 9.0, 0.0]]], requires_grad=True)
    F.max_pool1d(x, 2, 1).sum().backward()
    assert x.grad.tolist() == [[[0, 2, 0]]]


def test_minus_infinity_everywhere():
    x = torch.full((1, 1, 4, 4), -float("inf"))
    values, where = F.max_pool2d(x, 2, return_indices=True)
    assert values.eq(-float("inf")).all()
    assert where.flatten().tolist() == [0, 2, 8, 10]


def test_integers_and_halves():
    x = torch.arange(16).view(1, 1, 4, 4)
    assert F.max_pool2d(x, 2).flatten().tolist() == [5, 7, 13, 15]
    assert F.avg_pool2d(-x, 2, divisor_override=3).flatten().tolist() == [-3, -6, -14, -16]
    assert F.avg_pool2d(x.bfloat16(), 2).dtype == torch.bfloat16


def test_an_empty_batch():
    x = torch.zeros(0, 3, 4, 4, requires_grad=True)
    for pool in (F.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d, F.adaptive_max_pool2d):
        assert pool(x, 2).shape == (0, 3, 2, 2)


def test_out_of_avg_pool():
    out = torch.empty(1, 1, 2, 2)
    assert F.avg_pool2d(torch.ones(1, 1, 4, 4), 2, out=out) is out
    assert out.eq(1).all()


def test_fractional_pooling_is_drawn_from_the_generator():
    x = torch.randn(1, 2, 9, 9)
    torch.manual_seed(3)
    first = F.fractional_max_pool2d(x, 2, output_ratio=0.5)
    torch.manual_seed(3)
    assert first.equal(F.fractional_max_pool2d(x, 2, output_size=4))


def test_a_grid_of_identity_gives_the_image():
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    theta = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]], dtype=torch.float64).expand(2, 2, 3)
    grid = F.affine_grid(theta, x.shape, align_corners=False)
    assert torch.allclose(F.grid_sample(x, grid, align_corners=False), x)


def test_gradients_of_grids():
    x = torch.randn(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    grid = (torch.rand(1, 3, 3, 2, dtype=torch.float64) * 1.6 - 0.8).requires_grad_()
    assert gradcheck(lambda x, g: F.grid_sample(x, g, align_corners=True), (x, grid))
    theta = torch.randn(1, 2, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda t: F.affine_grid(t, (1, 2, 4, 5), align_corners=False), (theta,))


def test_names_in_the_root_namespace():
    x = torch.randn(1, 1, 4, 4)
    assert torch.max_pool2d(x, 2).equal(F.max_pool2d(x, 2))
    values, where = torch.max_pool1d_with_indices(x[0], 2)
    assert x[0].gather(2, where).equal(values)


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: F.max_pool2d(torch.ones(1, 1, 2, 2), 3), RuntimeError,
         "Output size is too small"),
        (lambda: F.max_pool2d(torch.ones(1, 1, 4, 4), 2, padding=2), RuntimeError,
         "pad should be at most half of effective kernel size"),
        (lambda: F.avg_pool2d(torch.ones(1, 1, 4, 4), 2, divisor_override=0), RuntimeError,
         "divisor must be not zero"),
        (lambda: F.adaptive_avg_pool2d(torch.ones(1, 1, 4, 4).int(), 2), NotImplementedError,
         "not implemented for 'Int'"),
        (lambda: F.max_unpool2d(torch.ones(1, 1, 1, 1), torch.full((1, 1, 1, 1), 9), 2),
         RuntimeError, "Found an invalid max index: 9"),
        (lambda: F.interpolate(torch.ones(1, 1, 4, 4)), ValueError,
         "either size or scale_factor should be defined"),
        (lambda: F.fractional_max_pool2d(torch.ones(1, 1, 4, 4), 2), ValueError,
         "requires specifying either an output_size or an output_ratio"),
        (lambda: F.grid_sample(torch.ones(1, 1, 4, 4), torch.ones(1, 2, 2, 3)), RuntimeError,
         "expected grid to have size 2 in last dimension"),
        (lambda: F.max_pool2d("image", 2), TypeError, "must be Tensor, not str"),
    ],
)  # fmt: skip
def test_mistakes(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)
