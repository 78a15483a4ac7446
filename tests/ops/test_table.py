"""Every elementwise record, drawn from the operation table and tested the same way.

A new ``unary`` or ``binary`` operation is tested as soon as it exists, on numbers from (-2, 2) or
(0.2, 2). The tables below say what differs: the domain, the twin, the tolerance.
"""

import importlib
import math
import pkgutil

import numpy as np
import pytest

import flambeau as torch
import flambeau.ops
from flambeau.autograd import gradcheck, gradgradcheck
from flambeau.core.op import REGISTRY

FUNCTIONS = {}
for info in pkgutil.iter_modules(flambeau.ops.__path__):
    module = importlib.import_module(f"flambeau.ops.{info.name}")
    for value in vars(module).values():
        if getattr(getattr(value, "op", None), "kind", None) in ("unary", "binary"):
            FUNCTIONS.setdefault(value.op.name, value)
UNARY = sorted(n for n in FUNCTIONS if REGISTRY[n].kind == "unary")
BINARY = sorted(n for n in FUNCTIONS if REGISTRY[n].kind == "binary")

# Where the arguments come from, if not from (-2, 2).
DOMAIN = {
    "acosh": (1.1, 4), "asin": (-0.9, 0.9), "acos": (-0.9, 0.9), "atanh": (-0.9, 0.9),
    "digamma": (0.2, 5), "erfinv": (-0.9, 0.9), "lgamma": (0.2, 5), "log": (0.1, 5),
    "log10": (0.1, 5), "log1p": (-0.8, 3), "log2": (0.1, 5), "reciprocal": (0.2, 3),
    "rsqrt": (0.2, 3), "special_entr": (0.1, 3), "special_ndtri": (0.05, 0.95), "sqrt": (0.2, 3),
    "special_bessel_y0": (0.2, 4), "special_bessel_y1": (0.2, 4),
    "special_modified_bessel_k0": (0.2, 4), "special_modified_bessel_k1": (0.2, 4),
    "special_scaled_modified_bessel_k0": (0.2, 4), "special_scaled_modified_bessel_k1": (0.2, 4),
    "special_zeta": (1.5, 4),
}  # fmt: skip
# Functions that jump: samples keep away from the steps, at the middle between two.
STEPS = {"floor", "ceil", "trunc", "round", "frac"}

# Dull twins, in float64. The others are held to their own float64 evaluation.
TWINS = {
    "abs": np.abs, "acos": np.arccos, "acosh": np.arccosh, "asin": np.arcsin, "asinh": np.arcsinh,
    "atan": np.arctan, "atanh": np.arctanh, "ceil": np.ceil, "cos": np.cos, "cosh": np.cosh,
    "deg2rad": np.deg2rad, "erf": np.vectorize(math.erf, [float]),
    "erfc": np.vectorize(math.erfc, [float]), "exp": np.exp, "exp2": lambda x: 2.0**x,
    "expm1": np.expm1, "floor": np.floor, "lgamma": np.vectorize(math.lgamma, [float]),
    "log": np.log, "log10": np.log10, "log1p": np.log1p, "log2": np.log2, "neg": lambda x: -x,
    "rad2deg": np.rad2deg, "reciprocal": lambda x: 1 / x, "round": np.round,
    "rsqrt": lambda x: 1 / np.sqrt(x), "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "sign": np.sign, "sgn": np.sign, "sin": np.sin,
    "sinc": lambda x: np.sinc(x) * np.where((x == 0) | (x != np.round(x)), 1, 0),
    "sinh": np.sinh,
    "sqrt": np.sqrt, "tan": np.tan, "tanh": np.tanh, "trunc": np.trunc,
    "add": lambda a, b: a + b, "atan2": np.arctan2, "copysign": np.copysign,
    "div": lambda a, b: a / b, "fmax": np.fmax, "fmin": np.fmin, "fmod": np.fmod,
    "hypot": np.hypot, "logaddexp": np.logaddexp, "logaddexp2": np.logaddexp2,
    "maximum": np.maximum, "minimum": np.minimum, "mul": lambda a, b: a * b,
    "pow_tensor": lambda a, b: a**b, "remainder": lambda a, b: a - np.floor(a / b) * b,
    "rsub": lambda a, b: b - a, "sub": lambda a, b: a - b, "xlogy": lambda a, b: a * np.log(b),
}  # fmt: skip
# Units in the last place of float32 by which a result may miss its twin (default 4); functions
# with zeros inside their domain are held to an absolute error of so many epsilons there.
ULP = {"tan": 8, "digamma": 8, "gelu": 8, "special_zeta": 8}
# Numbers near which the result crosses 0 and relative error means nothing.
CROSSES_ZERO = {"fmod", "remainder", "logaddexp", "logaddexp2", "tanh_backward"}
# Operands of which one must be a Python number, and those that only integers have.
BY_NUMBER = {"pow": 3.0, "pow_scalar": 3.0}
INTEGERS = {n for n in BINARY if "f" not in REGISTRY[n].takes}


def gradient(name):
    """Whether the operation has a gradient to its every operand."""
    vjp = REGISTRY[name].vjp
    if vjp is None:
        return False
    every = vjp if isinstance(vjp, tuple) else (vjp,)
    return not any(f.__qualname__.startswith("no_derivative") for f in every)


def numbers(name, shape, rng, dtype=np.float64):
    low, high = DOMAIN.get(name, (-2, 2) if name in UNARY else (0.2, 2))
    x = rng.uniform(low, high, shape)
    if name in STEPS:
        x = np.round(x) + 0.25
    return np.asarray(x, dtype)


def operands(name, shape, dtype=np.float64, seed=0):
    """Arguments of the right number for the operation: arrays, and a number where it wants one."""
    rng = np.random.default_rng(seed)
    if name in INTEGERS:
        dtype = np.int64
        return [np.asarray(rng.integers(1, 9, shape), dtype) for _ in range(2)]
    first = numbers(name, shape, rng, dtype)
    if name in UNARY:
        if "f" not in REGISTRY[name].takes:
            return [first.astype(np.int64)]
        return [first]
    if name in BY_NUMBER:
        return [first, BY_NUMBER[name]]
    return [first, numbers(name, shape, rng, dtype)]


def tensors(arrays):
    return [torch.tensor(a) if isinstance(a, np.ndarray) else a for a in arrays]


def run(name, arrays):
    return FUNCTIONS[name](*tensors(arrays)).numpy()


@pytest.mark.parametrize("name", UNARY + BINARY)
def test_float32_is_the_rounded_float64(name):
    arrays = operands(name, (7, 5), np.float32)
    got = run(name, arrays)
    wide = [a.astype(np.float64) if getattr(a, "dtype", None) == np.float32 else a for a in arrays]
    with np.errstate(all="ignore"):
        want = np.asarray(TWINS[name](*wide) if name in TWINS else run(name, wide))
    if got.dtype.kind in "biu":
        assert np.array_equal(got, want)
        return
    assert got.dtype == np.float32
    scale = np.maximum(np.abs(want), 1.0 if name in CROSSES_ZERO else 1e-3)
    error = np.abs(got - want) / (scale * np.finfo(np.float32).eps)
    assert error.max() <= ULP.get(name, 4), (error.max(), arrays)


EDGES = np.array(
    [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-40, -1e-40, 1e-30, 3e38, -3e38, 1.0, -1.0], np.float32
)


@pytest.mark.parametrize("name", sorted(set(TWINS) & set(UNARY)))
def test_odd_numbers(name):
    """nan, infinity, denormal, tiny and huge: the class of the result is its twin's."""
    got = run(name, [EDGES])
    with np.errstate(all="ignore"):
        twin = TWINS[name]
        want = np.array([_or_nan(twin, v) for v in EDGES.astype(np.float64)]).astype(np.float32)
    if name in ("sign", "sgn"):
        want[np.isnan(want)] = 0  # PyTorch's sign of nan
    assert np.array_equal(np.isnan(got), np.isnan(want))
    ok = ~np.isnan(want)
    close = np.isclose(got[ok], want[ok], rtol=1e-5, atol=1e-37)
    # float32 overflows where the twin, in float64, does not round to infinity only by an ulp.
    assert close.all(), (EDGES[ok][~close], got[ok][~close], want[ok][~close])


def _or_nan(f, x):
    try:
        return float(f(x))
    except (ValueError, OverflowError):
        return math.inf if f is TWINS["lgamma"] else math.nan


@pytest.mark.parametrize("name", UNARY + BINARY)
def test_shapes_and_layouts(name):
    """Empty, 0-d, transposed, strided and broadcast operands give what contiguous ones give."""
    for shape in ((0,), (3, 0, 2), (), (1,), (3, 5)):
        arrays = operands(name, shape)
        got = FUNCTIONS[name](*tensors(arrays))
        assert tuple(got.shape) == shape
    arrays = operands(name, (6, 5))
    whole = run(name, arrays)
    turned = [a.T if isinstance(a, np.ndarray) else a for a in arrays]
    assert np.array_equal(run(name, turned), whole.T, equal_nan=True)
    strided = [torch.tensor(a)[::2, 1::3] if isinstance(a, np.ndarray) else a for a in arrays]
    assert np.array_equal(FUNCTIONS[name](*strided).numpy(), whole[::2, 1::3], equal_nan=True)
    if name in BINARY and name not in BY_NUMBER:
        row = [arrays[0], arrays[1][0]]
        full = [arrays[0], np.broadcast_to(row[1], (6, 5)).copy()]
        assert np.array_equal(run(name, row), run(name, full), equal_nan=True)
        with pytest.raises(RuntimeError, match="must match the size"):
            run(name, [arrays[0], arrays[1][0, :3]])


@pytest.mark.parametrize("name", UNARY + BINARY)
def test_large_arrays_are_cut_into_pieces_alike(name):
    arrays = operands(name, (3,))
    many = [np.tile(a, 1 << 16) if isinstance(a, np.ndarray) else a for a in arrays]
    want = np.tile(run(name, arrays), 1 << 16)
    assert np.allclose(run(name, many), want, rtol=1e-14, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", [n for n in UNARY + BINARY if gradient(n)])
def test_gradients_to_second_order(name):
    arrays = operands(name, (2, 3))
    inputs = [torch.tensor(a).requires_grad_() if isinstance(a, np.ndarray) else a for a in arrays]
    assert gradcheck(FUNCTIONS[name], inputs)
    assert gradgradcheck(FUNCTIONS[name], inputs)


@pytest.mark.parametrize(
    "name",
    [n for n in UNARY + BINARY if gradient(n) and "c" in REGISTRY[n].takes and n not in BY_NUMBER],
)
def test_complex_gradients(name):
    rng = np.random.default_rng(1)
    count = 1 if name in UNARY else 2
    arrays = [rng.uniform(0.3, 0.8, 3) + 1j * rng.uniform(0.2, 0.7, 3) for _ in range(count)]
    inputs = [torch.tensor(a).requires_grad_() for a in arrays]
    assert gradcheck(FUNCTIONS[name], inputs)


@pytest.mark.parametrize("name", [n for n in BINARY if gradient(n) and n not in BY_NUMBER])
def test_gradients_of_broadcast_operands(name):
    a, b = operands(name, (2, 3))
    inputs = [torch.tensor(a).requires_grad_(), torch.tensor(b[:, :1]).requires_grad_()]
    assert gradcheck(FUNCTIONS[name], inputs)


@pytest.mark.parametrize("name", [n for n in UNARY + BINARY if n not in INTEGERS])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_the_rounded_float32(name, dtype):
    d = getattr(torch, dtype)
    if "f" not in REGISTRY[name].takes:
        return
    half = [
        torch.tensor(a).to(d) if isinstance(a, np.ndarray) else a
        for a in operands(name, (3, 4), np.float32)
    ]
    got = FUNCTIONS[name](*half)
    want = FUNCTIONS[name](*[h.float() if isinstance(h, torch.Tensor) else h for h in half])
    if got.dtype is torch.bool:
        assert torch.equal(got, want)
    else:
        assert got.dtype is d
        assert torch.equal(got, want.to(d))


@pytest.mark.parametrize("name", UNARY + BINARY)
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64"])
def test_integers(name, dtype):
    """Integers stay integers, become the default float or bool, or are refused by name."""
    op = REGISTRY[name]
    x = torch.tensor([1, 1, 1, 0][:3]).to(getattr(torch, dtype))
    args = [x] if name in UNARY else [x, 2 if name in BY_NUMBER else x]
    taken = (x.numpy().dtype.kind in op.takes) or name in BY_NUMBER
    if not taken:
        with pytest.raises(RuntimeError, match="not implemented for|not supported"):
            FUNCTIONS[name](*args)
        return
    try:
        got = FUNCTIONS[name](*args)
    except RuntimeError as error:
        assert "not supported" in str(error)
        return
    wanted = {"bool": torch.bool, "float": torch.float32}.get(op.result)
    if wanted is None and name not in BY_NUMBER:
        wanted = x.dtype
    assert wanted is None or got.dtype is wanted


@pytest.mark.parametrize("name", [n for n in UNARY if hasattr(torch.Tensor, n + "_")])
def test_in_place_twin_and_out(name):
    (a,) = operands(name, (3, 4))
    want = FUNCTIONS[name](torch.tensor(a))
    x = torch.tensor(a)
    before = x._version
    got = getattr(x, name + "_")()
    assert got is x
    assert x._version == before + 1
    assert torch.equal(x, want.to(x.dtype))
    out = torch.empty(3, 4, dtype=want.dtype)
    assert FUNCTIONS[name](torch.tensor(a), out=out) is out
    assert torch.equal(out, want)
