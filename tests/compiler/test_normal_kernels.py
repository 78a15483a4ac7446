"""Normal numbers by the generated kernel are those of the NumPy formulas, bit for bit."""

import numpy as np
import pytest

import flambeau as torch
from flambeau import _config
from flambeau.compiler import machine_code, normal_kernels
from flambeau.core import box_muller as twin

pytest.importorskip("llvmlite", reason="llvmlite is not installed: pip install -e '.[compile]'")
pytestmark = pytest.mark.skipif(
    not machine_code.has("fma"), reason="the processor has no fused multiply-add"
)


def uniform(count):
    u = np.random.default_rng(count).integers(0, 1 << 24, count).astype(np.float32)
    u *= np.float32(2**-24)
    u[:16] = np.tile(np.array([0, 1 - 2**-24, 0.5, 0.25, 0.75, 0.125, 2**-24, 0.875], "f4"), 2)
    return u


@pytest.mark.parametrize("mean, std", [(0, 1), (0, 0.02), (3, 2), (-1, 1), (0, 1e-30), (2, 0)])
def test_the_kernel_gives_the_bits_of_the_formulas(mean, std):
    for count in (16, 48, 1 << 12, 1 << 17):
        expected = uniform(count)
        given = expected.copy()
        twin._pairs32(expected.reshape(-1, 2, 8), mean, std)
        assert normal_kernels.normal_blocks(given, mean, std) is given
        assert np.array_equal(given.view(np.int32), expected.view(np.int32))


def test_randn_is_the_same_with_and_without_the_kernel():
    torch.manual_seed(3)
    with _config.override(compiled_kernels=False):
        expected = torch.randn(1 << 17)
    torch.manual_seed(3)
    assert torch.equal(torch.randn(1 << 17), expected)


def test_float64_is_left_to_numpy():
    assert normal_kernels.normal_blocks(np.zeros(16), 0, 1) is None
