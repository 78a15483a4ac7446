"""Compiled kernels under eager operations: with them, without llvmlite, and switched off."""

import os
import subprocess
import sys

import numpy as np
import pytest

import flambeau as torch
from flambeau import _config
from flambeau.compiler import eager
from flambeau.core import threads

SIZE = threads.LARGE + 77

# The user's filters are pytest's here, not those that flambeau sets at import.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.fixture
def kernels():
    pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install -e '.[compile]'")
    eager._compiled.clear()
    return eager._compiled


def with_and_without(function):
    """The results with compiled kernels, where there are any, and without."""
    results = []
    for flag in (True, False):
        with _config.override(compiled_kernels=flag):
            results.append(function())
    return results


def large(shape=(SIZE,), seed=0):
    return torch.tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


@pytest.mark.parametrize("name", ["tanh", "exp", "sigmoid", "log", "expm1", "rsqrt", "relu"])
def test_values_and_gradients_agree_with_the_flag_on_and_off(name):
    def run():
        x = large().requires_grad_()
        y = getattr(torch, name)(x)
        y.backward(large(seed=1))
        return y.detach().numpy(), x.grad.numpy()

    for got, expected in zip(*with_and_without(run), strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-6, atol=1e-6)


def test_the_flag_decides(kernels):
    with _config.override(compiled_kernels=False):
        torch.tanh(large())
        assert not kernels
    torch.tanh(large())
    assert len(kernels) == 1


def test_a_kernel_is_compiled_once_for_each_dtype(kernels):
    for _ in range(2):
        torch.tanh(large())
        torch.tanh(large().double())
    assert len(kernels) == 2
    assert None not in kernels.values()


def test_small_tensors_need_no_kernel(kernels):
    torch.tanh(torch.ones(10))
    assert not kernels


@pytest.mark.parametrize("flags", [{"threads": False}, {}])
def test_layouts(flags):
    def run():
        x = large((300, 1000))
        out = torch.empty(1000, 300)
        torch.tanh(x.t(), out=out)
        inplace = x.clone()
        inplace.tanh_()
        return [
            r.numpy()
            for r in (
                torch.tanh(x.t()),  # dense, another order of dimensions
                torch.tanh(x[:, 1:]),  # gaps
                torch.tanh(x[::2]),
                torch.tanh(x[:, :1].expand(300, 1000)),
                out,
                inplace,
            )
        ]

    with _config.override(**flags):
        for got, expected in zip(*with_and_without(run), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["exp", "expm1", "log1p", "sigmoid", "tanh"])
def test_in_place_results_are_the_same_in_their_memory(name, kernels):
    x = large().abs()
    address, expected = x.data_ptr(), getattr(torch, name)(x)
    getattr(x, name + "_")()
    assert x.data_ptr() == address
    assert torch.equal(x, expected)


def test_integers_and_16_bit_floats_take_their_own_way():
    def run():
        ints = torch.arange(SIZE) % 5
        return torch.tanh(ints).numpy(), torch.tanh(large().bfloat16()).float().numpy()

    for got, expected in zip(*with_and_without(run), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-2)


def test_activations_with_parameters(kernels):
    F = torch.nn.functional

    def run():
        x = large()
        return [f.numpy() for f in (F.gelu(x), F.silu(x), F.elu(x, 0.5), F.softplus(x, 2.0))]

    for got, expected in zip(*with_and_without(run), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    assert {key[0] for key in kernels} == {"gelu", "silu", "elu", "softplus"}


def test_changing_parameters_do_not_compile_for_ever(kernels, monkeypatch):
    monkeypatch.setattr(eager, "_MOST", 2)
    x = large()
    for alpha in (0.5, 0.6, 0.7, 0.8):
        assert torch.nn.functional.elu(x, alpha).min() > -alpha
    assert len(kernels) == 2


def outcome(code, **environment):
    """What a fresh interpreter prints."""
    source = os.path.dirname(os.path.dirname(torch.__file__))
    inherited = os.environ.get("PYTHONPATH")
    path = os.pathsep.join(filter(None, (source, inherited)))
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )
    return done.stdout.split()


PROGRAM = """
import sys
{first}
import flambeau as torch
loaded = [m in sys.modules for m in ("llvmlite", "flambeau.compiler")]
x = torch.full((200_000,), 0.5)
y = torch.tanh(x); y = torch.tanh(x)
from flambeau.compiler import eager
from flambeau.core import threads
print(*loaded, bool(eager._compiled), threads.kernels is None, f"{{y[3].item():.6f}}")
"""


def test_without_llvmlite_numpy_does_it_and_nothing_is_tried_again():
    first = "sys.modules['llvmlite'] = None"  # an import of it raises ModuleNotFoundError
    printed = outcome(PROGRAM.format(first=first))
    assert printed == ["True", "False", "False", "True", "0.462117"]


def test_the_import_loads_no_compiler_and_the_first_large_operation_does(kernels):
    printed = outcome(PROGRAM.format(first=""), FLAMBEAU_COMPILED_KERNELS="1")
    assert printed == ["False", "False", "True", "False", "0.462117"]


def test_switched_off_from_the_environment():
    printed = outcome(PROGRAM.format(first=""), FLAMBEAU_COMPILED_KERNELS="0")
    assert printed == ["False", "False", "False", "False", "0.462117"]
