"""Layers over images and sequences on a GPU: results and gradients are those of the CPU."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import flambeau as torch
from flambeau._devices import image_rules

F = torch.nn.functional
ON_DEVICE = pytest.mark.filterwarnings("error:.*has no implementation on cuda")


def _results(function: Callable, operands: list, place: str) -> list:
    """What ``function`` returns on the device ``place``, and the gradients of its operands."""
    xs = [x.detach().double() if x.is_floating_point() else x for x in operands]
    xs = [x.to(place).requires_grad_(x.is_floating_point()) for x in xs]
    outs = function(*xs)
    outs = [o for o in (outs if isinstance(outs, tuple) else (outs,)) if o is not None]
    assert all(o.device.type == place for o in outs)
    total = sum((o * o).sum() for o in outs if o.is_floating_point() and o.requires_grad)
    grads = torch.autograd.grad(total, [x for x in xs if x.requires_grad])
    return [t.cpu() for t in (*outs, *grads)]


def _check(function: Callable, *operands: torch.Tensor) -> None:
    operands = list(operands)
    expected = _results(function, operands, "cpu")
    found = _results(function, operands, "cuda")
    for e, f in zip(expected, found, strict=True):
        torch.testing.assert_close(f, e, equal_nan=True)


@pytest.fixture(autouse=True)
def seed() -> None:
    """The same numbers in each test."""
    torch.manual_seed(0)


@ON_DEVICE
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(
    ("options", "kernel"),
    [
        ({}, 3),
        ({"stride": 2, "padding": 1}, 3),
        ({"dilation": 2, "padding": 2, "groups": 2}, 2),
        ({}, 1),
        ({"groups": 4}, 3),
    ],
)
def test_convolution(dims: int, options: dict, kernel: int) -> None:
    x = torch.randn(3, 4, *(7, 6, 5)[:dims])
    groups = options.get("groups", 1)
    w, b = torch.randn(8, 4 // groups, *(kernel,) * dims), torch.randn(8)
    _check(lambda x, w, b: getattr(F, f"conv{dims}d")(x, w, b, **options), x, w, b)


@ON_DEVICE
@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1, "output_padding": 1}])
def test_transposed_convolution(options: dict) -> None:
    x, w, b = torch.randn(2, 4, 5, 4), torch.randn(4, 3, 3, 3), torch.randn(3)
    _check(lambda x, w, b: F.conv_transpose2d(x, w, b, **options), x, w, b)


def test_a_convolution_of_nothing() -> None:
    x, w = torch.zeros(0, 2, 5, 5, device="cuda"), torch.randn(3, 2, 3, 3, device="cuda")
    assert F.conv2d(x, w).shape == (0, 3, 3, 3)
    assert F.max_pool2d(x, 2).shape == (0, 2, 2, 2)


def test_columns_too_many_for_one_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_rules, "_COLUMNS", 300)
    x, w, b = torch.randn(3, 2, 5, 5), torch.randn(4, 2, 3, 3), torch.randn(4)
    _check(lambda x, w, b: F.conv2d(x, w, b, padding=1), x, w, b)


@ON_DEVICE
@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.max_pool2d(x, 3, 2, 1),
        lambda x: F.max_pool2d(x, 2, ceil_mode=True, return_indices=True),
        lambda x: F.max_pool2d(x, 2, 1, 1, 2),
        lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
        lambda x: F.avg_pool2d(x, 2, ceil_mode=True),
        lambda x: F.adaptive_avg_pool2d(x, (3, 2)),
        lambda x: F.adaptive_avg_pool2d(x, 1),
        lambda x: F.adaptive_max_pool2d(x, (3, 2)),
        lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2, output_size=(7, 6)),
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
        lambda x: F.interpolate(x, (5, 9), mode="bicubic", align_corners=True),
        lambda x: F.interpolate(x, (4, 3), mode="bilinear", antialias=True),
        lambda x: F.interpolate(x, (9, 3), mode="nearest"),
        lambda x: F.pad(x, (1, 2, 2, 0), mode="reflect"),
        lambda x: F.pad(x, (1, 2, 2, 0), mode="replicate"),
        lambda x: F.pad(x, (1, 2, -1, 3), mode="circular"),
        lambda x: F.unfold(x, 3, 2, 1),
        lambda x: F.fold(F.unfold(x, 3, 1, 1, 2), (7, 6), 3, 1, 1, 2),
    ],
)
def test_images(function: Callable) -> None:
    _check(function, torch.randn(2, 3, 7, 6))


def test_a_window_with_nan_gives_the_last_one() -> None:
    x = torch.randn(1, 1, 6, 6)
    x[0, 0, 1, 1] = x[0, 0, 2, 0] = float("nan")
    expected = F.max_pool2d(x, 3, return_indices=True)
    found = F.max_pool2d(x.cuda(), 3, return_indices=True)
    assert torch.equal(found[1].cpu(), expected[1]) and found[0].isnan().sum() == 1


@ON_DEVICE
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("border", ["zeros", "border", "reflection"])
def test_grids(mode: str, border: str) -> None:
    x, grid = torch.randn(2, 3, 5, 4), torch.rand(2, 3, 4, 2) * 2.6 - 1.3
    _check(lambda x, g: F.grid_sample(x, g, mode, border, align_corners=False), x, grid)


@ON_DEVICE
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("LSTM", {}),
        ("LSTM", {"num_layers": 2, "bidirectional": True, "batch_first": True}),
        ("LSTM", {"proj_size": 2}),
        ("GRU", {"bias": False}),
        ("GRU", {"bidirectional": True}),
        ("RNN", {"nonlinearity": "relu"}),
        ("RNN", {}),
    ],
)
def test_recurrent_layers(kind: str, options: dict) -> None:
    layer = getattr(torch.nn, kind)(4, 5, **options).double()

    def run(x: torch.Tensor, *weights: torch.Tensor) -> tuple:
        names = [n for n, _ in layer.named_parameters()]
        out, state = torch.func.functional_call(layer, dict(zip(names, weights)), (x,))
        return (out, *state) if isinstance(state, tuple) else (out, state)

    _check(run, torch.randn(6, 3, 4), *layer.parameters())


@ON_DEVICE
def test_packed_sequences() -> None:
    rnn = torch.nn.utils.rnn
    layer = torch.nn.GRU(4, 5)
    results = []
    for place in ("cpu", "cuda"):
        x = torch.arange(72.0).reshape(6, 3, 4).sin().to(place).requires_grad_()
        layer = layer.to(place)
        packed = rnn.pack_padded_sequence(x, [6, 4, 1])
        out, lengths = rnn.pad_packed_sequence(layer(packed)[0])
        (out * out).sum().backward()
        results.append((out.detach().cpu(), x.grad.cpu()))
    torch.testing.assert_close(results[1], results[0])


@ON_DEVICE
@pytest.mark.parametrize("size", [(5,), (300,), ()])
@pytest.mark.parametrize(
    "function",
    [
        F.gelu,
        F.silu,
        F.softplus,
        F.elu,
        lambda x: F.gelu(x, approximate="tanh"),
        torch.erf,
        torch.lgamma,
        torch.digamma,
        torch.special.erfcx,
        torch.special.ndtri,
        lambda x: torch.special.zeta(x.detach() + 3, x.detach().abs() + 1) * x,
        lambda x: torch.floor_divide((x * 9).detach().long(), 2) * x,
    ],
)
def test_elementwise_functions(function: Callable, size: tuple) -> None:
    _check(function, torch.rand(size) * 0.9 + 0.05)


@ON_DEVICE
@pytest.mark.parametrize(
    "function",
    [
        torch.linalg.inv,
        torch.linalg.cholesky,
        torch.linalg.slogdet,
        lambda a: torch.linalg.solve(a, a.mT + 1),
        lambda a: torch.linalg.solve_triangular(a, a.mT + 1, upper=True),
        torch.linalg.eigvalsh,
        torch.linalg.svdvals,
        lambda a: torch.linalg.qr(a)[1].abs(),
        torch.linalg.matrix_exp,
    ],
)
def test_matrices(function: Callable) -> None:
    a = torch.randn(2, 4, 4)
    _check(function, a @ a.mT + torch.eye(4))


def test_matrices_without_an_inverse_are_found() -> None:
    with pytest.raises(torch.linalg.LinAlgError, match="is zero, the inversion could not be"):
        torch.linalg.inv(torch.zeros(3, 3, device="cuda"))
    with pytest.raises(torch.linalg.LinAlgError, match="not positive-definite"):
        torch.linalg.cholesky(-torch.eye(3, device="cuda"))
