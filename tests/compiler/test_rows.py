"""Kernels along rows: softmax, its logarithm and their gradients, against NumPy's."""

import math

import numpy as np
import pytest

import flambeau as torch
from flambeau import _config
from flambeau.compiler import eager, vector_code
from flambeau.compiler.eager_kernels import ROW_KERNELS
from flambeau.compiler.scalar import FLOAT32
from flambeau.core import threads
from flambeau.core.op import REGISTRY

# The user's filters are pytest's here, not those that flambeau sets at import.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.fixture
def kernels():
    pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install -e '.[compile]'")
    eager._compiled.clear()
    return eager._compiled


def rows(count, width, dtype, seed):
    return (np.random.default_rng(seed).standard_normal((count, width)) * 3).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [1, 31, 32, 33, 1000])
@pytest.mark.parametrize("name", ROW_KERNELS)
def test_rows_of_every_width(kernels, name, width, dtype):
    forward = REGISTRY[name].forward
    given = [rows(7, width, dtype, seed) for seed in range(1 + name.endswith("_data"))]
    out = np.full((7, width), 9, dtype)
    part = eager.kernel(forward, out, given, width)
    part(0, 5)
    assert np.all(out[5:] == 9)
    part(5, 7)
    wide = [a.astype(np.float64) for a in given]
    expected = forward(*wide, 1)
    scale = np.max(np.abs(expected), axis=1, keepdims=True) + 1
    assert np.max(np.abs(out - expected) / scale) < 200 * np.finfo(dtype).eps


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_of_infinities_and_nan(kernels, name):
    x = np.zeros((6, 40), np.float32)
    x[0, 3], x[1, 35], x[2, 0], x[4, :] = math.inf, math.nan, -math.inf, -math.inf
    x[5, 7] = 1e30
    forward = REGISTRY[name].forward
    out = np.empty_like(x)
    eager.kernel(forward, out, [x], 40)(0, 6)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(out, forward(x, 1), rtol=1e-6)


def test_softmax_with_the_flag_on_and_off():
    def run(dim):
        x = torch.tensor(rows(300, 1000, np.float32, 1)).requires_grad_()
        y = torch.softmax(x, dim) * torch.log_softmax(x, dim)
        y.backward(torch.tensor(rows(300, 1000, np.float32, 2)))
        return y.detach().numpy(), x.grad.numpy()

    for dim in (0, 1):
        with _config.override(compiled_kernels=False):
            expected = run(dim)
        for got, want in zip(run(dim), expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


def test_which_rows_have_a_kernel(kernels):
    x = torch.tensor(rows(300, 1000, np.float32, 1))
    torch.softmax(x[:4], 1)  # small
    torch.softmax(x, 0)  # along columns
    torch.softmax(x.bfloat16(), 1)
    assert not any(kernels.values())
    torch.softmax(x.view(3, 100, 1000), -1)
    torch.softmax(x.t(), 0)  # not contiguous
    assert sum(k is not None for k in kernels.values()) == 1
    assert x.numel() > threads.LARGE


def test_rows_too_wide_to_add_in_one_line_stay_with_numpy(kernels):
    x = rows(2, eager._WIDEST + 1, np.float32, 1)
    assert eager.kernel(REGISTRY["softmax"].forward, np.empty_like(x), [x], x.shape[1]) is None


def test_the_text_has_two_loops_for_each_pass_and_the_width_as_a_parameter():
    text = vector_code.text(ROW_KERNELS["softmax"](FLOAT32), "kernel")
    assert "ptr %buffer0, ptr %buffer1, ptr %numbers, i64 %width, i64 %start, i64 %stop" in text
    assert text.count("icmp slt i64") == 1 + 2 * 3
    assert text.count("llvm.vector.reduce.fmax.v32f32") == 1
