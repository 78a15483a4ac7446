"""16-bit floats: conversions bit by bit, and operations in float32 rounded once."""

import ml_dtypes
import numpy as np
import pytest

import flambeau as torch
from flambeau import _config
from flambeau.compiler import eager, scalar
from flambeau.compiler.scalar import FLOAT16, FLOAT32, INT16
from flambeau.compiler.scalar_rules import PLAIN
from flambeau.core import threads

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = pytest.mark.parametrize("dtype", [BFLOAT16, FLOAT16], ids=str)

# The user's filters are pytest's here, not those that flambeau sets at import.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@pytest.fixture
def kernels():
    pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install -e '.[compile]'")
    eager._compiled.clear()
    return eager._compiled


def memory(dtype):
    return FLOAT16 if dtype == FLOAT16 else INT16


def same(got, expected):
    return np.array_equal(
        got.view(expected.dtype).astype(np.float32), expected.astype(np.float32), equal_nan=True
    )


@DTYPES
def test_every_number_of_16_bits_becomes_float32_and_back(dtype):
    every = np.arange(1 << 16, dtype=np.uint16).view(dtype)
    x = scalar.input(0, memory(dtype))
    given = [every.view(memory(dtype))]
    wide = scalar.evaluate(scalar.widen(x), given)
    assert np.array_equal(wide, every.astype(np.float32), equal_nan=True)
    assert same(scalar.evaluate(scalar.narrow(scalar.widen(x), memory(dtype)), given), every)


@DTYPES
def test_rounding_is_to_nearest_and_to_even(dtype):
    patterns = np.arange(0, 1 << 32, 65521, dtype=np.uint64).astype(np.uint32)
    ties = (np.arange(1 << 16, dtype=np.uint32) << 16) + 0x8000
    x = np.concatenate([patterns, ties]).view(np.float32)
    with np.errstate(all="ignore"):
        expected = x.astype(dtype)
    got = scalar.evaluate(scalar.narrow(scalar.input(0, FLOAT32), memory(dtype)), [x])
    assert same(got, expected)


def operands(name, dtype):
    """All numbers of 16 bits, in pairs of distant ones; more than ``threads.LARGE``."""
    every = np.tile(np.arange(1 << 16, dtype=np.uint16), 3)
    a = torch.from_numpy(every.view(np.int16)).view(dtype)
    b = torch.from_numpy(np.roll(every, 12345).view(np.int16)).view(dtype)
    return (a, b) if name in ("add", "div", "mul", "rsub", "sub") else (a,)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", [*PLAIN, "exp", "tanh", "sigmoid", "log"])
def test_operations_with_the_flag_on_and_off(name, dtype):
    function = getattr(torch, name, None) or getattr(torch.nn.functional, name)
    given = operands(name, dtype)
    assert given[0].numel() > threads.LARGE
    got = function(*given)
    with _config.override(compiled_kernels=False):
        expected = function(*given)
    assert got.dtype == dtype
    got, expected = got.float().numpy(), expected.float().numpy()
    assert np.array_equal(np.isnan(got), np.isnan(expected))
    close = np.isclose(got, expected, rtol=torch.finfo(dtype).eps, equal_nan=True)
    exact = (got == expected) | np.isnan(expected)
    assert np.all(close)
    assert np.mean(exact) > (1 if name in PLAIN else 0.999) - 1e-9


def test_operations_of_16_bit_floats_have_kernels(kernels):
    a, b = operands("add", torch.bfloat16)
    torch.tanh(a + b)
    assert {key[0]: run is not None for key, run in kernels.items()} == {"add": True, "tanh": True}


@DTYPES
def test_a_conversion_that_is_asked_for_rounds_in_compiled_programs_too(dtype):
    kind = torch.float16 if dtype == FLOAT16 else torch.bfloat16
    x = torch.tensor([1.0001, 3.14159, 1e-9, 70000.0], requires_grad=True)
    h = torch.zeros(4, dtype=kind)

    def step(x):
        low = x.to(kind).float()
        h.copy_(x.detach())
        (g,) = torch.autograd.grad((low * low * 0.5 + low).sum(), x)
        return low, x - low, g, h.float() * 2

    compiled = torch.compile(step)
    for _ in range(3):
        for want, got in zip(step(x), compiled(x)):
            assert torch.equal(want, got)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_compiled_step_under_autocast_is_as_near_to_the_exact_one_as_eager(dtype):
    pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install -e '.[compile]'")
    nn, far = torch.nn, {"eager": 0.0, "compiled": 0.0}
    for seed in range(4):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 3))
        x, y = torch.randn(16, 8), torch.randint(0, 3, (16,))

        def step(x, y, net=net):
            net.zero_grad()
            with torch.autocast("cpu", dtype=dtype, enabled=x.dtype is torch.float32):
                nn.functional.cross_entropy(net(x), y).backward()
            return [p.grad for p in net.parameters()]

        eager, compiled = step(x, y), torch.compile(step)
        for _ in range(3):
            found = compiled(x, y)
        assert not compiled.eager
        net.double()
        for name, gradients in (("eager", eager), ("compiled", found)):
            pairs = zip(gradients, step(x.double(), y), strict=True)
            far[name] += sum((g - exact).square().sum().item() for g, exact in pairs)
    assert 0 < far["compiled"] < 1.5 * far["eager"]
