"""Eager kernels in the loop language: their text, and what LLVM and Python make of them."""

import operator

import numpy as np
import pytest

from flambeau.compiler import eager, machine_code, python_code, scalar, vector_code
from flambeau.compiler.eager_kernels import ROW_KERNELS, elementwise
from flambeau.compiler.kernel import COUNT, WIDTH, Kernel, verify
from flambeau.compiler.scalar import FLOAT32, FLOAT64, INT32
from flambeau.core.op import REGISTRY


@pytest.fixture
def run():
    pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install -e '.[compile]'")

    def go(rule, *arrays):
        kernel = elementwise(rule, [a.dtype for a in arrays])
        out = np.empty(arrays[0].shape, kernel.buffers[0])
        addresses = [a.ctypes.data for a in (out, *arrays)]
        eager.loaded(kernel)(*addresses, None, 0, out.size)
        return out

    return go


def test_the_text_has_a_loop_of_wide_vectors_and_one_of_masked_narrow_ones():
    kernel = elementwise(operator.add, [FLOAT32, FLOAT32])
    verify(kernel)
    text = vector_code.text(kernel, "kernel")
    assert kernel.buffers[0] == FLOAT32
    assert "fadd <32 x float>" in text
    assert "fadd <4 x float>" in text
    assert "masked.store.v4f32" in text
    assert "%width" not in text


@pytest.mark.parametrize("name", ROW_KERNELS)
def test_rows_as_plain_python(name):
    kernel = ROW_KERNELS[name](FLOAT64)
    verify(kernel)
    given = np.random.default_rng(3).standard_normal((len(kernel.buffers) - 1, 5, 7))
    out = np.full((5, 7), 9.0)
    run = python_code.function(kernel)
    run(*(a.reshape(-1) for a in (out, *given)), None, 7, 1, 4)
    expected = REGISTRY[name].forward(*given, 1)
    np.testing.assert_allclose(out[1:4], expected[1:4], rtol=1e-13)
    assert np.all(out[[0, 4]] == 9)
    assert "5 rows" not in python_code.source(kernel)


def test_elements_as_plain_python():
    kernel = elementwise(lambda x, y: x * 2 - y, [FLOAT64, FLOAT64])
    x, y = np.arange(6.0), np.ones(6)
    out = np.zeros(6)
    python_code.function(kernel)(out, x, y, None, 6, 0, 1)
    assert np.array_equal(out, x * 2 - y)


@pytest.mark.parametrize(
    ("rows", "cols", "message"),
    [
        ((WIDTH,), (COUNT,), "COUNT is a size of rows, and WIDTH one of columns"),
        ((3, COUNT), (WIDTH,), "open sizes has one dimension of rows"),
        ((COUNT,), (2, WIDTH), "open sizes has one dimension of rows"),
    ],
)
def test_where_sizes_may_be_open(rows, cols, message):
    with pytest.raises(ValueError, match=message):
        verify(Kernel(rows, cols, [], [], [], []))


def test_one_dtype_for_both_operands():
    with pytest.raises(TypeError, match="the operands must have one dtype"):
        elementwise(operator.add, [FLOAT32, FLOAT64])


def test_an_operation_used_twice_is_computed_once():
    def rule(x):
        square = x * x
        return square * square

    root = rule(scalar.input(0, FLOAT32))
    assert [node.operation for node in scalar.ordered(root)] == ["input", "multiply", "multiply"]
    assert repr(root).startswith("multiply(multiply(input(0), input(0))")


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 1000])
def test_every_length(run, size):
    a = np.arange(size, dtype=np.float32)
    assert np.array_equal(run(operator.add, a, a), a + a)


OPERATIONS = {
    "less": lambda a, b: a < b,
    "less_equal": lambda a, b: a <= b,
    "greater": lambda a, b: a > b,
    "greater_equal": lambda a, b: a >= b,
    "equal": scalar.equal,
    "is_nan": lambda a, b: scalar.is_nan(a + b),
    "both": lambda a, b: (a < b) & (a < 1),
    "either": lambda a, b: (a < b) | (b < 1),
    "one": lambda a, b: (a < b) ^ (b < 1),
    "arithmetic": lambda a, b: -(a - b) * 3 + 1 / (a / b) + (2 - b),
    "fma": lambda a, b: scalar.fma(a, b, a),
    "select": lambda a, b: scalar.select(a < b, a, 7),
    "sqrt": lambda a, b: scalar.sqrt(a),
    "copysign": lambda a, b: scalar.copysign(scalar.absolute(a), b),
    "bits": lambda a, b: scalar.bits(a) & scalar.bits(b),
    "from_bits": lambda a, b: scalar.from_bits(scalar.bits(a) | 1),
    "shifts": lambda a, b: scalar.shift_right(scalar.shift_left(scalar.bits(a), 3), 5),
    "to_float": lambda a, b: scalar.to_float(scalar.bits(a) - scalar.bits(b)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_mean_in_llvm_what_they_mean_in_numpy(run, name, dtype):
    edges = np.array([0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 1e-40, 3.7e30], dtype)
    a, b = (m.ravel().astype(dtype) for m in np.meshgrid(edges, edges))
    a, b = np.tile(a, 2), np.tile(b, 2)
    rule = OPERATIONS[name]
    expected = scalar.evaluate(rule(scalar.input(0, a.dtype), scalar.input(1, b.dtype)), [a, b])
    got = run(rule, a, b)
    assert got.dtype == expected.dtype
    assert np.array_equal(got, expected, equal_nan=got.dtype.kind == "f")


def test_integers_as_inputs(run):
    a = np.arange(-50, 50, dtype=np.int32)
    assert a.dtype == INT32
    got = run(lambda x: scalar.to_float(x * x + 1), a)
    assert got.dtype == FLOAT32
    assert np.array_equal(got, (a * a + 1).astype(np.float32))


def test_the_assembly_can_be_read(run):
    text = vector_code.text(elementwise(operator.add, [FLOAT32, FLOAT32]), "kernel")
    assert "kernel" in machine_code.assembly(text)
