"""Compiled kernels under eager operations: with them, without llvmlite, and switched off."""

import os
import subprocess
import sys

import numpy as np
import pytest

import flambeau as torch
from flambeau import _config, _system
from flambeau.compiler import eager
from flambeau.compiler.scalar_rules import PLAIN
from flambeau.core import threads

SIZE = threads.MANY + 77

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


ODD = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 3e38, -3e38, 1.0, -1.0, 0.1]
BINARY = {"add", "div", "mul", "rsub", "sub"}


def odd_and_large(dtype, seed):
    values = large(seed=seed).to(dtype)
    odd = torch.tensor(ODD, dtype=dtype)
    pairs = odd.repeat(len(ODD)) if seed else odd.repeat_interleave(len(ODD))
    return torch.cat((values, pairs))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", PLAIN)
def test_one_rounding_gives_numpys_bits(kernels, name, dtype):
    a, b = odd_and_large(dtype, 0), odd_and_large(dtype, 1)
    function = getattr(torch, name)
    given = [(a, b), (a, 3), (a, 0.1), (a, -0.0), (a, 1e300)] if name in BINARY else [(a,)]
    for operands in given:
        got, expected = with_and_without(lambda: function(*operands).numpy())  # noqa: B023
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)
        known = ~np.isnan(expected)  # the sign of nan is the processor's
        if name == "relu":  # that of relu(-0.0) is PyTorch's
            assert np.signbit(got[a.numpy() == 0]).sum() == np.signbit(a.numpy()[a == 0]).sum()
            known &= expected != 0
        assert np.array_equal(np.signbit(got[known]), np.signbit(expected[known]))
    assert all(kernels.values())
    if name in BINARY - {"rsub"}:
        for other in (b, 0.1):
            got, expected = with_and_without(
                lambda: getattr(a.clone(), f"{name}_")(other).numpy()  # noqa: B023
            )
            np.testing.assert_array_equal(got, expected)


def test_numbers_that_no_float_holds_are_numpys(kernels):
    x = torch.ones(SIZE, dtype=torch.float64)
    assert (x * (2**53 + 1)).max() == float(2**53 + 1)
    assert not kernels
    assert (x * 3 + 0.5).sum() == 3.5 * SIZE
    assert len(kernels) == 2
    assert (x[::2] + 1).sum() == (x.T * 2)[::2].sum()  # with gaps: NumPy's, too


def test_operands_that_broadcast_or_overlap_are_numpys(kernels):
    x = torch.arange(float(4 * SIZE)).reshape(4, SIZE)
    row, column = torch.arange(float(SIZE)), torch.arange(4.0)[:, None]
    assert ((x + row) - row == x).all() and ((x + column) - column == x).all()
    y = torch.arange(float(2 * SIZE))
    expected = y.clone()
    expected[1:] += expected[:-1].clone()
    y[1:] += y[:-1]
    assert torch.equal(y, expected)


@pytest.fixture
def no_cache(kernels, monkeypatch):
    """Every array is larger than the caches: kernels store past them."""
    monkeypatch.setattr(_system, "last_cache", lambda: 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("start", range(5))
@pytest.mark.parametrize("size", [0, 1, 2, 3, 31, 100])
def test_what_goes_past_the_caches_arrives(no_cache, dtype, start, size):
    x = large((SIZE + size,)).to(dtype)[start:]
    with _config.override(compiled_kernels=False):
        expected = x + x, x * 3, torch.relu(x)
    for _ in range(2):  # memory of every alignment to 16 bytes comes and goes
        for got, e in zip((x + x, x * 3, torch.relu(x)), expected, strict=True):
            assert torch.equal(got, e)
    memory = np.full(4 * x.numel() + 64, 7, np.uint8)
    for skip in (4, 20, 36, 60) if dtype is torch.float32 else ():
        out = memory[skip : skip + 4 * x.numel()].view(np.float32)
        eager.kernel(np.add, out, [x.numpy(), x.numpy()]).over(out.size, threads.STEP)
        assert np.array_equal(out, expected[0].numpy())
        assert (memory[:skip] == 7).all() and (memory[skip + out.nbytes :] == 7).all()
        memory[:] = 7
    y = x.clone()
    y += x
    assert torch.equal(y, expected[0])


def test_an_address_that_is_no_multiple_of_the_element(no_cache):
    memory = np.zeros(4 * SIZE + 8, np.uint8)
    out = memory[3 : 3 + 4 * SIZE].view(np.float32)
    x = large().numpy()
    eager.kernel(np.add, out, [x, x])(0, SIZE)
    assert np.array_equal(out, x + x) and not memory[:3].any() and not memory[-5:].any()


@pytest.mark.parametrize("shape", [(300, 501), (7, 2048), (1, 100_003), (40, 30, 17)])
def test_compiled_programs_past_the_caches(no_cache, shape):
    x = large(shape)
    y, z = large(shape, 1), large(shape[-1:], 2)

    def f(x, y):
        a = torch.tanh(x * y + 0.5) * torch.sigmoid(x - y) + z
        return a, torch.softmax(a, -1), (a * y).sum(-1), a.transpose(0, 1) * 2, a > 0

    compiled = torch.compile(f)
    for _ in range(4):
        for got, expected in zip(compiled(x, y), f(x, y), strict=True):
            if got.dtype is torch.bool:
                assert (got == expected).float().mean() > 0.999
            else:
                torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-4)
    assert "nontemporal" in str(compiled.explain().llvm)
