"""Each compiled operation against its own NumPy meaning: same values, nan and infinities."""

import math

import numpy as np
import pytest

import flambeau.nn.functional  # its operations have rules too
import flambeau.special  # noqa: F401
from flambeau.compiler import eager, scalar
from flambeau.compiler.scalar_rules import RULES, SINGLE
from flambeau.core.op import REGISTRY

PARAMETERS = {
    "elu": [(1.0, 1.0, 1.0), (0.5, 1.3, 2.0)],
    "hardshrink": [(0.5,)],
    "hardtanh": [(-1.0, 1.0), (0.0, 6.0)],
    "leaky_relu": [(0.01,), (1.5,)],
    "softshrink": [(0.5,), (0.0,)],
    "threshold": [(0.1, 2.0)],
    "softplus": [(1.0, 20.0), (2.5, 3), (-1.0, 20.0)],
}
EDGES = [0.0, -0.0, 1e-45, -1e-45, 1e-30, 40.0, -40.0, 100.0, -100.0, 1e30, -1e30,
         math.inf, -math.inf, math.nan]  # fmt: skip
#: Where a formula's own rounding errors are not in proportion to its result, in ulp of the input.
CANCELLING = {"gelu", "gelu_tanh", "silu", "elu", "log_sigmoid", "softplus",
              "mish", "hardswish"}  # fmt: skip


def cases():
    for name in RULES:
        for params in PARAMETERS.get(name.removesuffix("_backward"), [None]):
            for dtype in (np.float32, np.float64):
                if dtype is np.float32 or name not in SINGLE:
                    yield pytest.param(name, params, dtype, id=f"{name}-{params}-{dtype.__name__}")


def operands(name, params, dtype):
    rng = np.random.default_rng(3)
    first = np.concatenate([rng.standard_normal(3000) * 4, EDGES]).astype(dtype)
    arrays = [first]
    if name.endswith("_backward"):
        arrays.insert(0, rng.standard_normal(first.size).astype(dtype))
    return [*arrays, *([] if params is None else [params])]


def check(name, got, given):
    arrays = [a for a in given if isinstance(a, np.ndarray)]
    dtype = arrays[0].dtype
    with np.errstate(all="ignore"):
        wide = REGISTRY[name].forward(
            *[a.astype(np.float64) if isinstance(a, np.ndarray) else a for a in given]
        )
        expected = REGISTRY[name].forward(*given)
        assert got.dtype == expected.dtype
        assert np.array_equal(np.isnan(got), np.isnan(expected))
        assert np.array_equal(np.isinf(got), np.isinf(expected))
        finite = np.isfinite(expected)
        # As near to the exact result as NumPy's formula is, or within a few units of rounding.
        size = np.abs(wide)
        if name.removesuffix("_backward") in CANCELLING:
            size = np.maximum(size, np.minimum(np.abs(arrays[-1]), 4) * np.abs(arrays[0]))
            size = np.maximum(size, np.abs(arrays[0])) if len(arrays) > 1 else size
        if name == "gelu_tanh_backward":  # (1 - tanh) times a cubic polynomial
            size = size * (1 + np.minimum(arrays[1] ** 2, 100))
        unit = np.finfo(dtype).eps * size + np.finfo(dtype).tiny
        error = np.abs(got.astype(np.float64) - wide)
        theirs = np.abs(expected.astype(np.float64) - wide)
        worse = (error > 4 * unit) & (error > 2 * theirs) & finite
        assert not np.any(worse), (arrays[-1][worse], got[worse], expected[worse])


@pytest.mark.parametrize("name, params, dtype", list(cases()))
def test_a_rule_means_what_the_operation_means(name, params, dtype):
    given = operands(name, params, dtype)
    arrays = [a for a in given if isinstance(a, np.ndarray)]
    inputs = [scalar.input(i, a.dtype) for i, a in enumerate(arrays)]
    got = scalar.evaluate(RULES[name](*inputs, *given[len(arrays) :]), arrays)
    check(name, got, given)


@pytest.mark.parametrize("name, params, dtype", list(cases()))
def test_a_kernel_means_what_the_operation_means(name, params, dtype):
    pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install -e '.[compile]'")
    given = operands(name, params, dtype)
    out = np.full_like(given[0], 7)
    part = eager.kernel(REGISTRY[name].forward, out, given)
    assert part is not None
    part(0, out.size - 5)  # a range that is no multiple of a vector
    assert np.all(out[-5:] == 7)
    part(out.size - 5, out.size)
    check(name, out, given)


def test_every_rule_is_of_an_operation():
    assert set(RULES) <= set(REGISTRY)
