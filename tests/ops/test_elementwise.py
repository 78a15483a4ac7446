"""Elementwise operations: Python's operators, choice, bounds, in-place twins, refusals."""

import math

import numpy as np
import pytest

import flambeau as torch
from flambeau.autograd import gradcheck, gradgradcheck

nan, inf = math.nan, math.inf


def real(*shape, low=0.2, high=2.0, seed=0):
    array = np.random.default_rng(seed).uniform(low, high, shape)
    return torch.tensor(array).requires_grad_()


# ---- operators -----------------------------------------------------------------------------


def test_operators_with_numbers_on_both_sides():
    x = torch.tensor([1.0, 2.0, 4.0])
    assert (x + 1).tolist() == (1 + x).tolist() == [2, 3, 5]
    assert (x - 1).tolist() == [0, 1, 3]
    assert (1 - x).tolist() == [0, -1, -3]
    assert (x * 2).tolist() == (2 * x).tolist() == [2, 4, 8]
    assert (x / 2).tolist() == [0.5, 1, 2]
    assert (2 / x).tolist() == [2, 1, 0.5]
    assert (x // 3).tolist() == [0, 0, 1]
    assert (9 // x).tolist() == [9, 4, 2]
    assert (x % 3).tolist() == [1, 2, 1]
    assert (-5 % x).tolist() == [0, 1, 3]
    assert (x**2).tolist() == [1, 4, 16]
    assert (2**x).tolist() == [2, 4, 16]
    assert (-x).tolist() == [-1, -2, -4]
    assert abs(-x).tolist() == [1, 2, 4]
    assert (+x) is x
    assert (np.float64(2) * x).dtype is torch.float32


def test_integer_operators():
    i = torch.tensor([6, 3, -1])
    assert (i & 3).tolist() == (3 & i).tolist() == [2, 3, 3]
    assert (i | 8).tolist() == (8 | i).tolist() == [14, 11, -1]
    assert (i ^ 1).tolist() == [7, 2, -2]
    assert (~i).tolist() == [-7, -4, 0]
    assert (i << 2).tolist() == [24, 12, -4]
    assert (i >> 1).tolist() == [3, 1, -1]
    assert (1 << torch.tensor([0, 3])).tolist() == [1, 8]
    assert (i << 70).tolist() == [0, 0, 0]
    assert (i // 4).tolist() == [1, 0, -1]
    assert i.div(4, rounding_mode="trunc").tolist() == [1, 0, 0]
    assert (i % 4).tolist() == [2, 3, 3]
    assert i.fmod(4).tolist() == [2, 3, -1]
    assert (i**2).tolist() == [36, 9, 1]
    assert (torch.tensor([1, -1, 2]) ** torch.tensor([-3, -3, -3])).tolist() == [1, -1, 0]
    assert (i / 2).dtype is torch.float32
    assert (torch.tensor([200], dtype=torch.uint8) + 100).tolist() == [44]
    assert (torch.tensor([3], dtype=torch.uint8) - 5).tolist() == [254]


def test_comparisons_with_what_is_no_tensor():
    x = torch.tensor([1.0])
    assert (x == "a") is False
    assert (x != None) is True  # noqa: E711
    with pytest.raises(TypeError, match="'<' not supported"):
        x < None  # noqa: B015
    with pytest.raises(TypeError, match="unsupported operand"):
        x + "a"
    assert len({x, torch.tensor([1.0])}) == 2


def test_numpy_arrays_and_numbers_mix_with_tensors():
    x, n = torch.tensor([1.0, 2.0]), np.array([2.0, 2.0])
    for result in (x + n, x * n, n / x, np.sqrt(x), np.maximum(x, n)):
        assert isinstance(result, torch.Tensor)
    assert (x + n).dtype is torch.float64
    assert (x == n).tolist() == (n == x).tolist() == [False, True]
    assert (np.float64(3) - x).dtype is torch.float32
    assert x.clamp(np.float64(1.5)).tolist() == [1.5, 2]
    with pytest.raises(TypeError, match="must be Tensor"):
        torch.add(x, n)


def test_names_of_gradient_functions():
    x, y = real(3), real(3, seed=1)
    names = {
        "AddBackward0": x + y, "SubBackward0": x - 1, "RsubBackward1": 1 - x,
        "MulBackward0": 2 * x, "DivBackward0": x / y, "PowBackward0": x**2,
        "PowBackward1": x**y, "PowBackward2": 2**x, "RemainderBackward0": x % 2,
        "Log1PBackward0": x.log1p(), "Deg2RadBackward0": x.deg2rad(),
        "ClampBackward1": x.clamp(0, 1), "ClampBackward0": x.clamp(x, y),
        "WhereBackward0": torch.where(x > 1, x, y), "MaskedFillBackward0": x.masked_fill(x > 1, 0),
        "LerpBackward0": x.lerp(y, 0.3), "LerpBackward1": x.lerp(y, y),
        "RoundBackward1": x.round(decimals=1),
        "DivBackward2": torch.div(x, y, rounding_mode="floor"),
    }  # fmt: skip
    for name, result in names.items():
        assert result.grad_fn.name() == name


# ---- refusals ------------------------------------------------------------------------------

BOOLS = torch.tensor([True, False])
INTS = torch.tensor([1, 2, 0])
FLOATS = torch.tensor([1.0, 2.0, 3.0])
COMPLEXES = torch.tensor([1j, 2.0])


@pytest.mark.parametrize(
    ("act", "error", "phrase"),
    [
        (lambda: BOOLS - BOOLS, RuntimeError, "with two bool tensors is not supported"),
        (lambda: 1 - BOOLS, RuntimeError, "with a bool tensor is not supported"),
        (lambda: -BOOLS, RuntimeError, "Negation, the `-` operator, on a bool tensor"),
        (lambda: INTS // 0, RuntimeError, "ZeroDivisionError"),
        (lambda: INTS % INTS, RuntimeError, "ZeroDivisionError"),
        (lambda: INTS**-1, RuntimeError, "Integers to negative integer powers"),
        (lambda: ~FLOATS, TypeError, "only implemented on integer and Boolean-type"),
        (lambda: FLOATS & FLOATS, NotImplementedError, '"bitwise_and_cpu" not implemented'),
        (lambda: COMPLEXES < COMPLEXES, NotImplementedError, "not implemented for 'ComplexFloat'"),
        (lambda: COMPLEXES.sign(), NotImplementedError, "use torch.sgn instead"),
        (lambda: FLOATS.clamp(), RuntimeError, "At least one of 'min' or 'max'"),
        (lambda: FLOATS.clamp(0, FLOATS), TypeError, "invalid combination of arguments"),
        (lambda: torch.add(INTS, INTS, alpha=1.5), RuntimeError, "argument alpha must not be a"),
        (lambda: torch.div(FLOATS, 2, rounding_mode="up"), RuntimeError, "but found 'up'"),
        (lambda: torch.where(INTS, FLOATS, FLOATS), RuntimeError, "to be a boolean tensor"),
        (lambda: FLOATS.masked_fill(INTS, 1), RuntimeError, "only supports boolean masks"),
        (lambda: FLOATS.masked_fill(FLOATS > 1, 1j), RuntimeError, "without overflow"),
        (
            lambda: FLOATS.lerp(FLOATS.double(), 0.5),
            RuntimeError,
            "expected dtype float32 for `end`",
        ),
        (lambda: INTS.addcdiv(INTS, INTS), RuntimeError, "Integer division with addcdiv"),
        (lambda: INTS.add_(1.5), RuntimeError, "can't be cast to the desired output type Long"),
        (
            lambda: FLOATS.clone().add_(torch.ones(2, 3)),
            RuntimeError,
            "doesn't match the broadcast",
        ),
        (lambda: FLOATS + torch.ones(2), RuntimeError, "must match the size of tensor b"),
        (lambda: torch.exp(2.0), TypeError, "'input' \\(position 1\\) must be Tensor, not float"),
        (lambda: torch.maximum(FLOATS, 1), TypeError, "'other' \\(position 2\\) must be Tensor"),
        (lambda: torch.eq(1, FLOATS), TypeError, "must be Tensor, not int"),
        (
            lambda: torch.isclose(FLOATS, FLOATS.double()),
            RuntimeError,
            "Float did not match Double",
        ),
        (lambda: torch.heaviside(FLOATS, INTS), RuntimeError, "different dtypes"),
        (lambda: torch.polar(FLOATS, FLOATS.double()), RuntimeError, "Expected object of scalar"),
        (lambda: torch.polygamma(-1, FLOATS), RuntimeError, "does not support negative n"),
        (lambda: FLOATS.to(torch.float8_e5m2) + 1, NotImplementedError, "Float8_e5m2"),
    ],
)
def test_refusals(act, error, phrase):
    with pytest.raises(error, match=phrase):
        act()


def test_operations_without_derivative_refuse_in_backward():
    x = real(3)
    with pytest.raises(NotImplementedError, match="derivative for 'floor_divide'"):
        (x // 2).sum().backward()


# ---- gradients of records with parameters --------------------------------------------------

MASK = torch.tensor([True, False, True])


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: x.clamp(0.5, 1.5),
        lambda x, y: x.clamp(min=1.0),
        lambda x, y: x.clamp(y * 0.5, y * 1.5),
        lambda x, y: x.clamp(max=y),
        lambda x, y: torch.where(MASK, x, y),
        lambda x, y: torch.where(MASK, x, 1.0) * y,
        lambda x, y: x.masked_fill(MASK, 3.0),
        lambda x, y: x.masked_fill(MASK, y.sum()),
        lambda x, y: torch.lerp(x, y, 0.3),
        lambda x, y: torch.lerp(x, y, x * y),
        lambda x, y: torch.addcmul(x, y, x, value=0.5),
        lambda x, y: torch.addcdiv(x, y, x, value=-0.5),
        lambda x, y: torch.add(x, y, alpha=3) - torch.sub(x, y, alpha=0.5),
        lambda x, y: torch.rsub(x, y, alpha=2),
        lambda x, y: torch.fill(x, y.sum()),
        lambda x, y: (x / 3).logit(),
        lambda x, y: (x / 3).logit(eps=0.3),
        lambda x, y: torch.polygamma(1, x),
        lambda x, y: torch.mvlgamma(x + 3, 2),
        lambda x, y: torch.special.xlog1py(x, 2.0) + torch.xlogy(2.0, y),
        lambda x, y: torch.frexp(x)[0],
        lambda x, y: torch.polar(x, y),
        lambda x, y: torch.complex(x, y) ** 2,
        lambda x, y: torch.complex(x, y).abs(),
        lambda x, y: torch.complex(x, y).angle(),
        lambda x, y: torch.complex(x, y).sgn(),
        lambda x, y: torch.complex(x, y).conj() * x,
        lambda x, y: torch.nan_to_num(x * y),
        lambda x, y: x.float_power(y),
        lambda x, y: x**0.5 + x**-1 + x**3 + x**1 + x**2.5 + x**0,
        lambda x, y: 0.0**x + 2.5**y,
        lambda x, y: torch.ldexp(x, y),
        lambda x, y: 2 / x - 3 % y,
    ],
)
def test_gradients(function):
    x, y = real(3), real(3, seed=1)
    assert gradcheck(function, (x, y))
    assert gradgradcheck(function, (x, y))


def test_gradients_at_ties_and_bounds():
    x = torch.tensor([1.0, 2.0, nan], requires_grad=True)
    y = torch.tensor([1.0, 1.0, 1.0], requires_grad=True)
    torch.maximum(x, y).sum().backward()
    assert x.grad.tolist() == [0.5, 1, 1]
    assert y.grad.tolist() == [0.5, 0, 1]
    x.grad = y.grad = None
    torch.fmin(x, y).sum().backward()
    assert x.grad.tolist() == [1, 0, 0]
    assert y.grad.tolist() == [0, 1, 1]
    x.grad = None
    x.clamp(1, 2).sum().backward()
    assert x.grad.tolist() == [1, 1, 0]
    z = torch.tensor([0.0, -2.0], requires_grad=True)
    z.abs().sum().backward()
    assert z.grad.tolist() == [0, -1]


def test_a_masked_gradient_is_zero_where_the_other_is_infinite():
    x = torch.tensor([0.0, 4.0], requires_grad=True)
    torch.where(x > 0, x, 1.0).log().sum().backward()
    assert x.grad.tolist() == [0, 0.25]
    x.grad = None
    (x ** x.detach()).sum().backward()
    assert x.grad.tolist() == [0, 256]


# ---- choice and tests ----------------------------------------------------------------------


def test_where_promotes_and_broadcasts():
    c = torch.tensor([[True], [False]])
    assert torch.where(c, 1, 0).dtype is torch.int64
    assert torch.where(c, 1.0, 0).dtype is torch.float32
    assert torch.where(c, FLOATS, INTS).tolist() == [[1, 2, 3], [1, 2, 0]]
    assert torch.where(c, FLOATS, FLOATS.double()).dtype is torch.float64
    out = torch.empty(2, 3)
    assert torch.where(c, FLOATS, 0.0, out=out) is out
    assert torch.where(FLOATS > 1)[0].tolist() == [1, 2]
    with pytest.raises(RuntimeError, match="must match the size"):
        torch.where(torch.tensor([True, False]), FLOATS, FLOATS)


def test_tests_of_numbers():
    x = torch.tensor([1.0, nan, inf, -inf])
    assert x.isnan().tolist() == [False, True, False, False]
    assert x.isinf().tolist() == [False, False, True, True]
    assert x.isfinite().tolist() == [True, False, False, False]
    assert x.isposinf().tolist() == [False, False, True, False]
    assert x.isneginf().tolist() == [False, False, False, True]
    assert torch.isreal(torch.tensor([1j, 2.0])).tolist() == [False, True]
    assert torch.isnan(INTS).tolist() == [False, False, False]


def test_closeness():
    a = torch.tensor([1.0, inf, nan, 1.0])
    b = torch.tensor([1.000001, inf, nan, 1.1])
    assert torch.isclose(a, b).tolist() == [True, True, False, False]
    assert torch.isclose(a, b, equal_nan=True).tolist() == [True, True, True, False]
    assert torch.allclose(a[:2], b[:2]) is True
    assert torch.equal(a[:2], a[:2]) is True
    assert torch.equal(a, a) is False
    assert torch.equal(INTS, INTS[:2]) is False


def test_infinities_are_replaced():
    x = torch.tensor([nan, inf, -inf, 1.0])
    most = torch.finfo(torch.float32).max
    assert torch.nan_to_num(x).tolist() == [0, most, -most, 1]
    assert torch.nan_to_num(x, nan=1.0, posinf=2.0, neginf=3.0).tolist() == [1, 2, 3, 1]
    assert torch.nan_to_num(torch.tensor([complex(nan, inf)])).tolist() == [complex(0, most)]


# ---- in place ------------------------------------------------------------------------------

IN_PLACE = {
    "add_": lambda x, y: x.add_(y), "add_number": lambda x, y: x.add_(2.5),
    "add_alpha": lambda x, y: x.add_(y, alpha=-0.5), "sub_alpha": lambda x, y: x.sub_(y, alpha=2),
    "sub_": lambda x, y: x.sub_(y), "mul_": lambda x, y: x.mul_(y), "div_": lambda x, y: x.div_(y),
    "div_floor": lambda x, y: x.div_(y, rounding_mode="floor"), "pow_": lambda x, y: x.pow_(2),
    "pow_3": lambda x, y: x.pow_(3.0), "addcmul_": lambda x, y: x.addcmul_(y, y, value=0.5),
    "addcdiv_": lambda x, y: x.addcdiv_(y, y, value=-0.5), "lerp_": lambda x, y: x.lerp_(y, 0.1),
    "lerp_far": lambda x, y: x.lerp_(y, 0.9), "lerp_tensor": lambda x, y: x.lerp_(y, y),
    "clamp_": lambda x, y: x.clamp_(0.5, 1.5), "clamp_min": lambda x, y: x.clamp_(min=1),
    "clamp_min_": lambda x, y: x.clamp_min_(1), "clamp_max_": lambda x, y: x.clamp_max_(1.0),
    "clamp_tensor": lambda x, y: x.clamp_(max=y), "sqrt_": lambda x, y: x.sqrt_(),
    "neg_": lambda x, y: x.neg_(), "masked_fill_": lambda x, y: x.masked_fill_(y > 1, 0.5),
    "sigmoid_": lambda x, y: x.sigmoid_(), "eq_": lambda x, y: x.eq_(y),
    "fill_": lambda x, y: x.fill_(0.5), "zero_": lambda x, y: x.zero_(),
}  # fmt: skip
OUT_OF_PLACE = {
    "add_": lambda x, y: x + y, "add_number": lambda x, y: x + 2.5,
    "add_alpha": lambda x, y: x - 0.5 * y, "sub_alpha": lambda x, y: x - 2 * y,
    "sub_": lambda x, y: x - y, "mul_": lambda x, y: x * y, "div_": lambda x, y: x / y,
    "div_floor": lambda x, y: x // y, "pow_": lambda x, y: x * x, "pow_3": lambda x, y: x * x * x,
    "addcmul_": lambda x, y: x + 0.5 * y * y, "addcdiv_": lambda x, y: x - 0.5,
    "lerp_": lambda x, y: x + 0.1 * (y - x), "lerp_far": lambda x, y: y - 0.1 * (y - x),
    "lerp_tensor": lambda x, y: torch.lerp(x, y, y), "clamp_": lambda x, y: x.clamp(0.5, 1.5),
    "clamp_min": lambda x, y: x.clamp(min=1), "clamp_min_": lambda x, y: x.clamp(min=1),
    "clamp_max_": lambda x, y: x.clamp(max=1), "clamp_tensor": lambda x, y: torch.minimum(x, y),
    "sqrt_": lambda x, y: x.sqrt(), "neg_": lambda x, y: -x,
    "masked_fill_": lambda x, y: torch.where(y > 1, 0.5, x), "sigmoid_": lambda x, y: x.sigmoid(),
    "eq_": lambda x, y: (x == y).to(x.dtype), "fill_": lambda x, y: x * 0 + 0.5,
    "zero_": lambda x, y: x * 0,
}  # fmt: skip


@pytest.mark.parametrize("name", IN_PLACE)
@pytest.mark.parametrize("size", [6, 1 << 18])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_in_place(name, size, dtype):
    rng = np.random.default_rng(0)
    d = getattr(torch, dtype)
    if size > 6 and dtype == "bfloat16":
        return
    x, y = (torch.tensor(rng.uniform(0.5, 2, size)).to(d) for _ in range(2))
    want = OUT_OF_PLACE[name](x, y)
    for target in (x.clone(), x.repeat(2)[: x.numel()], x.reshape(2, -1).t().contiguous().t()):
        other = y.reshape(target.shape)
        before = target._version
        got = IN_PLACE[name](target, other)
        assert got is target
        assert target._version == before + 1
        tolerance = 0.02 if dtype == "bfloat16" else 1e-5
        assert torch.allclose(
            target.reshape(-1).double(), want.double(), rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize("name", [n for n in IN_PLACE if n not in ("eq_", "div_floor")])
def test_in_place_gradients(name):
    def function(x, y):
        return IN_PLACE[name](x * 1, y)

    assert gradcheck(function, (real(2, 3, low=0.6), real(2, 3, low=0.6, seed=1)))


def test_in_place_on_leaves_and_views():
    x = real(3)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        x.add_(1)
    with torch.no_grad():
        x.add_(1).mul_(2).addcmul_(x, x).zero_()
    assert x.tolist() == [0, 0, 0]
    a = torch.zeros(4)
    a[1:3].add_(1).mul_(3)
    assert a.tolist() == [0, 3, 3, 0]
    b = torch.arange(6.0).reshape(2, 3)
    b += b[0]
    assert b.tolist() == [[0, 2, 4], [3, 5, 7]]
    c = torch.arange(4.0)
    c[1:] += c[:-1]  # overlapping memory is read before it is written
    assert c.tolist() == [0, 1, 3, 5]


def test_overlapping_large_arrays():
    big = torch.ones(1 << 18)
    big[1:].add_(big[:-1])
    assert big.sum().item() == 2 * (1 << 18) - 1
    big.addcmul_(big.flip(0), big.flip(0))
    assert big[5].item() == 6


def test_infix_in_place():
    x = torch.tensor([5.0, 7.0])
    y = x
    x += 1
    x -= 2
    x *= 3
    x /= 2
    x //= 2
    x **= 2
    x %= 5
    assert y is x
    assert x.tolist() == [4, 1]
    i = torch.tensor([6])
    i &= 3
    i |= 4
    i ^= 1
    i <<= 2
    i >>= 1
    assert i.tolist() == [14]


def test_deprecated_order_of_arguments():
    x = torch.zeros(2)
    with pytest.warns(UserWarning, match="deprecated"):
        x.add_(2.0, torch.ones(2))
    with pytest.warns(UserWarning, match="deprecated"):
        x.addcmul_(0.5, torch.ones(2), torch.ones(2))
    assert x.tolist() == [2.5, 2.5]


def test_saved_results_are_guarded():
    x = real(3)
    y = x.exp()
    y.add_(1)
    with pytest.raises(RuntimeError, match="exp saved .* for its gradient, then add_ changed it"):
        y.sum().backward()
    z = x.sin()
    z.add_(1)  # sin keeps its input
    z.sum().backward()


def test_special_namespace():
    assert torch.special.expit(torch.tensor([0.0])).tolist() == [0.5]
    assert torch.special.gammaln is torch.lgamma
    assert torch.special.ndtr(torch.tensor([0.0])).tolist() == [0.5]
    assert not torch.special.bessel_j0(real(2)).requires_grad
    with pytest.raises(NotImplementedError, match="derivative for 'zeta'"):
        torch.special.zeta(real(2) + 2, real(2)).sum().backward()


def test_functions_that_write_into_their_operand():
    x = torch.tensor([-1.0, 4.0])
    assert torch.abs_(x) is x
    assert torch.sqrt_(x).tolist() == [1, 2]
    assert torch.clamp_(x, max=1.5).tolist() == [1, 1.5]
    assert torch.zero_(x).tolist() == [0, 0]
    with pytest.raises(TypeError, match="must be Tensor, not float"):
        torch.exp_(1.0)


def test_functions_of_the_user():
    x = torch.tensor([1, 2])
    assert x.apply_(lambda v: v * 2.6) is x
    assert x.tolist() == [2, 5]
    assert torch.ones(2, 2).map_(torch.tensor([1.0, 2.0]), lambda a, b: a + b).tolist() == [
        [2, 3],
        [2, 3],
    ]
    with pytest.raises(
        RuntimeError, match="Can't call apply_\\(\\) on Variable that requires grad"
    ):
        real(2).apply_(abs)


def test_diagonals_are_filled():
    assert torch.zeros(2, 3).fill_diagonal_(5).tolist() == [[5, 0, 0], [0, 5, 0]]
    assert torch.zeros(4, 2).fill_diagonal_(1, wrap=True)[3].tolist() == [1, 0]
    with pytest.raises(RuntimeError, match="equal length"):
        torch.zeros(2, 3, 2).fill_diagonal_(1)
    x = real(2, 2)
    (x * 1).fill_diagonal_(0).sum().backward()
    assert x.grad.tolist() == [[0, 1], [1, 0]]


def test_truth_and_sizes():
    assert torch.is_nonzero(torch.tensor([2.0])) is True
    with pytest.raises(RuntimeError, match="more than one value is ambiguous"):
        torch.is_nonzero(torch.ones(2))
    assert torch.ones(2).is_same_size(torch.ones(2))


def test_dtypes_of_mixed_operands():
    single, double = torch.ones(2), torch.ones(2, dtype=torch.float64)
    assert (single + torch.tensor(1.0, dtype=torch.float64)).dtype is torch.float32
    assert (single + torch.tensor(1j, dtype=torch.complex128)).dtype is torch.complex64
    assert (double * 1j).dtype is torch.complex128
    assert (single.bfloat16() + 1j).dtype is torch.complex64
    assert (single.bfloat16() + single.half()).dtype is torch.float32
    assert (torch.ones(2, dtype=torch.int8) + torch.ones(2, dtype=torch.uint8)).dtype is torch.int16
    assert torch.add(torch.ones(2, dtype=torch.uint8), BOOLS, alpha=2).dtype is torch.uint8
    assert torch.div(-1, torch.ones(2, dtype=torch.uint8)).tolist() == [-1, -1]
    assert torch.ldexp(single.half(), torch.tensor([1, 2])).dtype is torch.float16


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "atan2", "copysign"])
def test_the_gradient_of_a_stretched_scalar_is_a_tensor_like_any_other(name: str) -> None:
    row, scalar = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor(3.0)
    scalar.requires_grad_()
    got = torch.autograd.grad(getattr(torch, name)(row, scalar).sum(), scalar)[0]
    assert got.shape == () and isinstance(got.numpy(), np.ndarray)
    parts = [
        torch.autograd.grad(getattr(torch, name)(one, scalar), scalar)[0]
        for one in row.detach().unbind()
    ]
    torch.testing.assert_close(got.detach().clone(), parts[0] + parts[1])


@pytest.mark.parametrize("width", [3, 4, 8])
@pytest.mark.parametrize("method", ["neg_", "abs_", "sqrt_", "exp_", "reciprocal_", "tanh_"])
def test_in_place_on_a_column(method, width):
    for dtype in (torch.float32, torch.float64):
        x = torch.linspace(0.1, 3, 5 * width, dtype=dtype).reshape(5, width)
        want = getattr(torch, method[:-1])(x[:, -1].clone())
        rest = x[:, :-1].clone()
        getattr(x[:, -1], method)()
        assert torch.allclose(x[:, -1], want) and torch.equal(x[:, :-1], rest)
