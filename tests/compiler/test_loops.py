"""The loop language's text, and the code that LLVM makes of it."""

import ctypes
import operator

import numpy as np
import pytest

from flambeau.compiler import loops, machine_code, scalar
from flambeau.compiler.scalar import FLOAT32, FLOAT64, INT32

POINTER, INDEX = ctypes.c_void_p, ctypes.c_int64


@pytest.fixture
def run():
    pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install -e '.[compile]'")

    def go(rule, *arrays):
        text, dtype = loops.elementwise(rule, [a.dtype for a in arrays])
        function = machine_code.load(text, [POINTER] * (1 + len(arrays)) + [INDEX] * 2)
        out = np.empty(arrays[0].shape, dtype)
        addresses = [a.ctypes.data for a in (out, *arrays)]
        function(*addresses, 0, out.size)
        return out

    return go


def test_the_text_has_a_loop_of_vectors_and_one_of_single_elements():
    text, dtype = loops.elementwise(operator.add, [FLOAT32, FLOAT32])
    assert dtype == FLOAT32
    assert "fadd <32 x float>" in text
    assert "fadd float " in text


def test_one_dtype_for_both_operands():
    with pytest.raises(TypeError, match="the operands must have one dtype"):
        loops.elementwise(operator.add, [FLOAT32, FLOAT64])


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
    text, _ = loops.elementwise(operator.add, [FLOAT32, FLOAT32])
    assert "kernel" in machine_code.assembly(text)
