"""The scalar language's exponentials and logarithms against wider arithmetic, in ulp, over the
whole range of floats; once by NumPy's meaning of each operation, once compiled."""

import math

import numpy as np
import pytest

from flambeau.compiler import eager, scalar, scalar_functions
from flambeau.compiler.eager_kernels import elementwise
from flambeau.compiler.scalar import FLOAT32, FLOAT64
from flambeau.compiler.scalar_functions import ERRORS
from flambeau.ops import scalar_math

EXACT = {
    "erf": scalar_math.erf,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sigmoid": lambda x: np.where(x < 0, np.exp(x) / (1 + np.exp(x)), 1 / (1 + np.exp(-x))),
    "tanh": np.tanh,
}
DOUBLE = [name for name, ulp in ERRORS.items() if ulp[1] is not None]
EDGES = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 88.72283, 88.7229, -87.33655,
         -103.97, -103.98, 709.78, 709.79, -708.4, -745.13, -745.14, 9.01, 19.06]  # fmt: skip


def rule_of(name):
    """A function of one result by name."""
    parts = {"below": 0, "density": 1}
    if name in parts:
        return lambda x: scalar_functions.normal(x)[parts[name]]
    return getattr(scalar_functions, name)


def evaluated(name, x):
    rule = rule_of(name)
    return scalar.evaluate(rule(scalar.input(0, x.dtype)), [x])


def compiled(name, x):
    pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install -e '.[compile]'")
    kernel = elementwise(rule_of(name), [x.dtype])
    out = np.empty(x.shape, kernel.buffers[0])
    eager.loaded(kernel)(out.ctypes.data, x.ctypes.data, None, 0, x.size)
    return out


def floats32():
    """Every 4093rd float32: all signs and exponents, denormal ones and nan among them."""
    patterns = np.arange(0, 1 << 32, 4093, dtype=np.uint64).astype(np.uint32)
    return np.concatenate([patterns.view(np.float32), np.array(EDGES, np.float32)])


def floats64():
    rng = np.random.default_rng(1)
    return np.concatenate(
        [
            rng.integers(0, 1 << 64, 50_000, dtype=np.uint64).view(np.float64),
            rng.uniform(-750, 750, 20_000),
            rng.uniform(-2, 2, 50_000),
            rng.uniform(0.5, 1.5, 20_000),
            EDGES,
        ]
    )


def worst(got, exact, mantissa, tiny):
    """The largest error in ulp of ``exact``, which is of a wider dtype than ``got``."""
    rounded = exact.astype(got.dtype)
    same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    assert not np.any(same & (np.signbit(got) != np.signbit(rounded)) & ~np.isnan(got))
    finite = np.where(np.isfinite(exact), exact, 1)
    unit = np.exp2(np.floor(np.log2(np.maximum(np.abs(finite), tiny))) - mantissa)
    error = np.abs(got.astype(exact.dtype) - exact) / unit
    return np.max(np.where(same, 0, np.where(np.isfinite(error), error, np.inf)))


@pytest.mark.parametrize("way", [evaluated, compiled])
@pytest.mark.parametrize("name", ERRORS)
def test_float32_within_the_stated_error(name, way):
    x = floats32()
    with np.errstate(all="ignore"):
        exact = EXACT[name](x.astype(np.float64))
        got = way(name, x)
        assert got.dtype == FLOAT32
        assert worst(got, exact, 23, 2.0**-126) <= ERRORS[name][0]


@pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63, reason="long double is no wider than float64 here"
)
@pytest.mark.parametrize("way", [evaluated, compiled])
@pytest.mark.parametrize("name", DOUBLE)
def test_float64_within_the_stated_error(name, way):
    x = floats64()
    with np.errstate(all="ignore"):
        exact = EXACT[name](x.astype(np.longdouble))
        got = way(name, x)
        assert got.dtype == FLOAT64
        assert worst(got, exact, 52, 2.0**-1022) <= ERRORS[name][1]


def test_every_function_has_its_stated_error():
    for name in EXACT:
        assert name in ERRORS
    assert set(ERRORS) == set(EXACT)


@pytest.mark.parametrize("way", [evaluated, compiled])
@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64])
def test_powers_that_become_zero(way, dtype):
    """exp_below and gate: as exp and sigmoid, and 0 below the normal numbers, at the first of which
    they may be either."""
    tiny = float(np.finfo(dtype).smallest_normal)
    x = np.concatenate([-np.geomspace(1e-3, 1e30, 20_000), [0.0, -math.inf, math.nan]])
    x = x.astype(dtype)
    wide = x.astype(np.longdouble)
    with np.errstate(all="ignore"):
        exact = {"exp_below": np.exp(wide), "gate": np.exp(wide) / (1 + np.exp(wide))}
    for name, right in exact.items():
        got = way(name, x)
        assert np.array_equal(np.isnan(got), np.isnan(x))
        assert np.all(got[right < tiny / 2] == 0), name
        known = right >= tiny
        np.testing.assert_allclose(
            got[known], right[known].astype(dtype), rtol=4 * np.finfo(dtype).eps
        )
        between = (right >= tiny / 2) & (right < tiny)
        assert np.all(np.abs(got[between] - right[between]) <= tiny)


@pytest.mark.parametrize("way", [evaluated, compiled])
def test_the_normal_distribution(way):
    """To an ulp of 1 everywhere, and 0 far below."""
    x = np.concatenate([np.linspace(-12, 12, 200_001), [-1e30, -math.inf, math.inf, math.nan, 0.0]])
    x = x.astype(FLOAT32)
    exact = 0.5 * (1 + scalar_math.erf(x.astype(np.float64) / math.sqrt(2)))
    got, density = way("below", x), way("density", x)
    np.testing.assert_allclose(got, exact, atol=1.5e-7, rtol=0)
    np.testing.assert_allclose(density, np.exp(x.astype(float) ** 2 * -0.5), rtol=1e-5, atol=1e-37)
    assert got[x < -20].tolist() == [0.0, 0.0] and got[x == math.inf] == [1.0]
    assert np.all(np.diff(got[:200_001]) > -2.4e-7)
