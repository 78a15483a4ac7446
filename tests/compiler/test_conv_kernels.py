"""The generated convolution against its NumPy twin: geometries, odd values, threads, switches."""

import random
import re

import numpy as np
import pytest

import flambeau as torch
from flambeau import _config
from flambeau.compiler import conv_kernels, conv_text, machine_code, routines, tiles
from flambeau.compiler.conv_plan import Axis, plan
from flambeau.core import threads
from flambeau.ops import _conv_arrays as arrays

# The user's filters are pytest's here, not those that flambeau sets at import.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.fixture
def compiled():
    pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install -e '.[compile]'")
    if not machine_code.has("fma"):
        pytest.skip("this processor has no fused multiply-add")
    return conv_kernels


def geometry(seed):
    """A convolution of odd sizes: (x shape, weight shape, stride, padding, dilation, groups)."""
    pick = random.Random(seed).choice
    dims = pick([1, 2, 2, 2, 3])
    groups = pick([1, 1, 1, 2, 3, 5])
    channels, outputs = pick([1, 1, 2, 3, 5, 8, 17]), pick([1, 2, 3, 4, 5, 7, 16, 19])
    if seed % 5 == 0:
        channels = outputs = 1  # depthwise
    kernel = tuple(pick([1, 2, 3, 3, 5]) for _ in range(dims))
    dilation = tuple(pick([1, 1, 2, 3]) for _ in range(dims))
    stride = tuple(pick([1, 1, 2, 3]) for _ in range(dims))
    padding = tuple((pick([0, 0, 1, 2]), pick([0, 1, 2])) for _ in range(dims))
    if seed % 3:
        padding = tuple((a, a) for a, _ in padding)
    sizes = tuple(
        max(pick([1, 2, 5, 7, 11, 23]), d * (k - 1) + 1 - a - b, 1)
        for k, d, (a, b) in zip(kernel, dilation, padding, strict=True)
    )
    x = (pick([1, 2, 3, 7]), groups * channels, *sizes)
    return x, (groups * outputs, channels, *kernel), stride, padding, dilation, groups


def drawn(shape, dtype, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def close(got, expected, dtype):
    assert got.shape == expected.shape and got.dtype == expected.dtype
    tolerance = 2e-4 if dtype == np.float32 else 1e-11
    scale = max(1, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(60))
def test_every_geometry_forward_and_backward(compiled, seed, dtype):
    x_shape, w_shape, *settings = geometry(seed)
    x, w = drawn(x_shape, dtype, 1), drawn(w_shape, dtype, 2)
    bias = drawn(w_shape[:1], dtype, 3) if seed % 2 else None
    with _config.override(compiled_kernels=False):
        y = arrays.convolve(x, w, bias, *settings)
        g = drawn(y.shape, dtype, 4)
        dx = arrays.convolve_input_gradient(g, w, x_shape[2:], *settings)
        dw = arrays.convolve_weight_gradient(g, x, w_shape[2:], *settings)
    close(compiled.convolve(x, w, bias, *settings), y, dtype)
    close(compiled.convolve_input_gradient(g, w, x_shape[2:], *settings), dx, dtype)
    close(compiled.convolve_weight_gradient(g, x, w_shape[2:], *settings), dw, dtype)


@pytest.mark.parametrize(
    "x_shape, w_shape",
    [
        ((1, 3, 1, 40_000), (5, 3, 1, 9)),  # rows that are cut into columns
        ((2, 300, 9, 9), (7, 300, 3, 3)),  # sums that are cut into parts
        ((1, 5, 300, 41), (130, 5, 3, 3)),  # many rows, and weights in groups
        ((40, 4, 3, 3), (6, 4, 3, 3)),  # many images in a block
    ],
)
def test_large_sizes_are_cut(compiled, x_shape, w_shape):
    x, w = drawn(x_shape, np.float32, 1), drawn(w_shape, np.float32, 2)
    padding = tuple((k // 2, k // 2) for k in w_shape[2:])
    settings = (1, 1), padding, (1, 1), 1
    with _config.override(compiled_kernels=False):
        y = arrays.convolve(x, w, None, *settings)
        dw = arrays.convolve_weight_gradient(y, x, w_shape[2:], *settings)
        dx = arrays.convolve_input_gradient(y, w, x_shape[2:], *settings)
    close(compiled.convolve(x, w, None, *settings), y, np.float32)
    close(compiled.convolve_weight_gradient(y, x, w_shape[2:], *settings), dw, np.float32)
    close(compiled.convolve_input_gradient(y, w, x_shape[2:], *settings), dx, np.float32)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("groups", [1, 6])
def test_nan_and_inf_reach_what_they_touch_and_nothing_else(compiled, value, groups):
    x, w = drawn((2, 6, 9, 13), np.float32, 1), drawn((12, 6 // groups, 3, 3), np.float32, 2)
    x[1, 2, 0, 12] = value  # a corner: its neighbours in memory belong to other rows
    settings = (1, 1), ((1, 1), (1, 1)), (1, 1), groups
    g = drawn((2, 12, 9, 13), np.float32, 3)
    with _config.override(compiled_kernels=False):
        expected = arrays.convolve(x, w, None, *settings)
        slope = arrays.convolve_weight_gradient(g, x, (3, 3), *settings)
    got = compiled.convolve(x, w, None, *settings)
    got_slope = compiled.convolve_weight_gradient(g, x, (3, 3), *settings)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(got_slope, slope, rtol=1e-4, atol=1e-3)
    assert np.isfinite(got[0]).all() and np.isfinite(got_slope).any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_are_computed_in_float32(compiled, dtype):
    torch.manual_seed(0)
    x, w = torch.randn(2, 8, 17, 17).to(dtype), torch.randn(16, 8, 3, 3).to(dtype)
    y = torch.nn.functional.conv2d(x, w)
    wide = torch.nn.functional.conv2d(x.float(), w.float())
    assert y.dtype is dtype
    assert torch.allclose(y.float(), wide.to(dtype).float())


def test_the_function_uses_it_for_any_layout_and_threads_agree(compiled):
    torch.manual_seed(0)
    x = torch.randn(3, 29, 31, 8).permute(0, 3, 1, 2).requires_grad_()
    w = torch.randn(3, 3, 8, 12).permute(3, 2, 0, 1).requires_grad_()
    before = threads.get_num_threads()
    results = []
    try:
        for count, on in ((1, True), (3, True), (1, False)):
            threads.set_num_threads(count)
            with _config.override(compiled_kernels=on):
                y = torch.nn.functional.conv2d(x, w, stride=2, padding=1)
                results.append((y, *torch.autograd.grad(y.square().sum(), (x, w))))
    finally:
        threads.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert torch.allclose(a, b, rtol=1e-3, atol=1e-3)


def test_the_switch_turns_it_off(compiled):
    assert routines.routine("convolve") is conv_kernels.convolve
    with _config.override(compiled_kernels=False):
        assert routines.routine("convolve") is None
    assert routines.routine("no such routine") is None


def test_integers_have_no_kernel(compiled):
    x, w = np.ones((1, 2, 9, 9), np.int64), np.ones((3, 2, 3, 3), np.int64)
    settings = (1, 1), ((0, 0), (0, 0)), (1, 1), 1
    assert compiled.convolve(x, w, None, *settings) is None


def test_an_axis_finds_its_phases():
    axis = Axis(size=10, count=4, stride=3, offsets=(-1, 1, 3))
    assert axis.phases == (0, 1, 2) and axis.reach == 1
    assert axis.places() == [(0, 0), (2, 0), (1, 1)]
    # phase 0 begins outside, at -1: its cells are -1, 2, 5, 8, 11
    assert axis.inside(0) == (1, 4)


def test_a_plan_covers_every_position_once():
    settings = (1, 1), ((1, 1), (1, 1)), (1, 1), 1
    g, shape = conv_kernels.geometry((5, 3, 29, 31), (7, 3, 3, 3), *settings)
    p = plan(g, tiles.Tile("float", 8, 4, 3), 2, False)
    f = dict(zip(conv_text.FIELDS, p.table.tolist(), strict=True))
    assert shape == (5, 7, 29, 31)
    assert f["row_blocks"] * f["rows_each"] >= 29 > (f["row_blocks"] - 1) * f["rows_each"]
    assert p.blocks == -(-5 // f["images_each"]) * f["row_blocks"] * f["column_blocks"]
    assert len(p.offsets) == 27 == len(set(p.offsets.tolist()))


@pytest.mark.parametrize("width, count", [(64, 32), (16, 32)])
def test_other_processors_tiles_make_valid_code(compiled, monkeypatch, width, count):
    """AVX-512's and NEON's tiles, as text that LLVM accepts; here they only run more slowly."""
    monkeypatch.setattr(tiles, "registers", lambda: (width, count))
    shape = tiles.tile("float", 4, 3)
    assert (shape.rows, shape.lanes) == (8, width // 4)
    run = conv_kernels.forward_kernel(shape)
    assert callable(run) and callable(conv_kernels.gradient_kernel(tiles.tile("float", 6, 2)))
    x_shape, w_shape, *settings = geometry(11)
    x, w = drawn(x_shape, np.float32, 1), drawn(w_shape, np.float32, 2)
    got = compiled.convolve(x, w, None, *settings)
    with _config.override(compiled_kernels=False):
        expected = arrays.convolve(x, w, None, *settings)
        close(
            compiled.convolve_weight_gradient(expected, x, w_shape[2:], *settings),
            arrays.convolve_weight_gradient(expected, x, w_shape[2:], *settings),
            np.float32,
        )
    close(got, expected, np.float32)


# ---- 3x3 kernels with fewer multiplications --------------------------------------------------


@pytest.fixture
def winograd(compiled, monkeypatch):
    """How often it was used; sizes that it would leave to the direct sum are given to it, too."""
    used = []
    direct = conv_kernels.winograd

    def counted(*args):
        result = direct(*args)
        used.append(result is not None)
        return result

    monkeypatch.setattr(conv_kernels, "winograd", counted)
    monkeypatch.setattr(conv_kernels, "WINOGRAD_CHANNELS", 1)
    monkeypatch.setattr(conv_kernels, "WINOGRAD_POSITIONS", 1)
    conv_kernels.winograd_plan.cache_clear()
    yield used
    conv_kernels.winograd_plan.cache_clear()


@pytest.mark.parametrize("seed", range(40))
def test_winograd_is_the_direct_sum(winograd, compiled, seed):
    pick = random.Random(seed).choice
    channels, outputs = pick([1, 3, 16, 17, 40]), pick([1, 4, 16, 19, 33])
    sizes = pick([3, 4, 7, 8, 13, 28]), pick([3, 5, 7, 14, 31, 64])
    padding = ((pick([0, 1, 2]), pick([0, 1, 2])), (pick([0, 1]), pick([0, 1, 2])))
    x = drawn((pick([1, 2, 5, 9]), channels, *sizes), np.float32, 1)
    w, bias = drawn((outputs, channels, 3, 3), np.float32, 2), drawn(outputs, np.float32, 3)
    settings = (1, 1), padding, (1, 1), 1
    with _config.override(compiled_kernels=False):
        y = arrays.convolve(x, w, bias, *settings)
        dx = arrays.convolve_input_gradient(y, w, sizes, *settings)
    close(compiled.convolve(x, w, bias, *settings), y, np.float32)
    close(compiled.convolve_input_gradient(y, w, sizes, *settings), dx, np.float32)
    assert winograd == [True, True]


def test_winograd_leaves_what_is_not_finite_to_the_direct_sum(winograd, compiled):
    x, w = drawn((2, 8, 20, 20), np.float32, 1), drawn((8, 8, 3, 3), np.float32, 2)
    x[0, 3, 4, 5] = np.inf
    settings = (1, 1), ((1, 1), (1, 1)), (1, 1), 1
    got = compiled.convolve(x, w, None, *settings)
    assert winograd == [False]
    assert np.isinf(got[0, :, 3:6, 4:7]).all() and np.isfinite(got[1]).all()


def test_winograd_is_for_many_channels_of_float32(compiled):
    x, w = drawn((2, 8, 20, 20), np.float32, 1), drawn((8, 8, 3, 3), np.float32, 2)
    assert compiled.winograd(x, w, None, (20, 20), (-1, -1), False) is None
    x, w = drawn((2, 64, 40, 40), np.float64, 1), drawn((64, 64, 3, 3), np.float64, 2)
    assert compiled.winograd(x, w, None, (40, 40), (-1, -1), False) is None


@pytest.mark.parametrize(
    "triple, cpu, width, instruction",
    [
        ("x86_64-unknown-linux-gnu", "znver4", 64, r"vfmadd\d+ps\s.*%zmm"),
        ("aarch64-unknown-linux-gnu", "neoverse-n1", 16, r"fmla\s+v\d+\.4s"),
    ],
)
def test_other_processors_code_has_their_instructions(
    compiled, monkeypatch, triple, cpu, width, instruction
):
    llvm = pytest.importorskip("llvmlite.binding", reason="llvmlite is not installed")
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    monkeypatch.setattr(tiles, "registers", lambda: (width, 32))
    shape = tiles.tile("float", 4, 3)
    target = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, opt=3)
    module = llvm.parse_assembly(conv_text.forward(shape))
    module.triple, module.data_layout = triple, str(target.target_data)
    found = re.findall(instruction, target.emit_assembly(module))
    assert len(found) == shape.rows * shape.vectors  # the tile, written once
