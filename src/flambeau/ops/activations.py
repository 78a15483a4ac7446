"""Activations: each a formula on arrays for its value and one for its slope.

``smooth`` makes an operation from the two (``with_numbers`` one that has settings); the gradient
``grad * slope(x)`` is an operation of its own. Its own gradient needs the curvature (the second
derivative), which is written in differentiable operations. The formulas on arrays are in
_activation_arrays.py.
Formulas: https://docs.pytorch.org/docs/stable/nn.functional.html#non-linear-activation-functions
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .._dtypes import from_numpy
from .._errors import type_name
from .._shapes import wrap_dim
from ..core import random_recipes as recipes
from ..core import threads
from ..core.generator import Generator, current
from ..core.modes import hook
from ..core.mutation import inplace, inplace_unary, write_out
from ..core.op import binary, define, unary, unsupported
from ..core.promotion import widened
from ..core.value import Value
from . import _activation_arrays as arrays
from .elementwise import sigmoid
from .joining import cat

ndarray = np.ndarray


# ---- what the records are made with ---------------------------------------------------------


def smooth(
    name: str,
    value: Callable[[ndarray], ndarray],
    slope: Callable[[ndarray], ndarray],
    curvature: Callable[[Value], Value],
    grad_name: str | None = None,
) -> Callable[[Value], Value]:
    """An operation of a tensor, from its value and its derivatives.

    ``curvature``: the second derivative, in differentiable operations.
    """

    def times_slope(grad: ndarray, x: ndarray) -> ndarray:
        r = slope(x)
        return np.multiply(r, grad, r)

    backward = binary(
        name + "_backward",
        times_slope,
        (lambda g, b: backward(g, b), lambda g, a, b: g * a * curvature(b)),
        takes="f",
    )
    return unary(
        name, value, lambda g, x: backward(g, x), result="same", takes="f", grad_name=grad_name
    )


def _pieces(formula: Callable[..., ndarray]) -> Callable[..., ndarray]:
    """``formula`` on arrays of one shape: large ones by pieces, 16-bit floats in float32."""

    def whole(x: ndarray, *rest: object) -> ndarray:
        if x.size >= threads.FEW:
            r = threads.elementwise(formula, x.dtype, x, *rest)
            if r is not None:
                return r
        return formula(x, *rest)

    whole.__wrapped__ = formula
    return widened(whole)


def with_numbers(
    name: str,
    value: Callable[..., ndarray],
    slope: Callable[..., ndarray],
    curvature: Callable[[Value, tuple], Value | float],
) -> Callable[[Value, tuple], Value]:
    """``smooth`` for a function of a tensor and a tuple of numbers, ``value(x, *numbers)``."""

    def forward(x: ndarray, numbers: tuple) -> ndarray:
        return value(x, *numbers)

    def backward_forward(grad: ndarray, x: ndarray, numbers: tuple) -> ndarray:
        return slope(grad, x, *numbers)

    backward = define(
        name + "_backward",
        _pieces(backward_forward),
        {
            "grad": lambda g, x, numbers: backward(g, x, numbers),
            "x": lambda g, grad, x, numbers: g * grad * curvature(x, numbers),
        },
    )
    return define(name, _pieces(forward), {"x": lambda g, x, numbers: backward(g, x, numbers)})


def _no_curvature(x: Value, numbers: tuple) -> float:
    return 0.0


def _floating(name: str, x: object) -> Value:
    """``x``, if it is a real floating tensor. TypeError, NotImplementedError otherwise."""
    try:
        kind = x._array.dtype.kind
    except AttributeError:
        raise TypeError(
            f"{name}(): argument 'input' (position 1) must be Tensor, not {type_name(x)}"
        ) from None
    if kind != "f" and kind in "biuc":
        raise unsupported(name, from_numpy(x._array.dtype))
    return x


# ---- relu and its kin -------------------------------------------------------------------------

_relu_backward = binary(
    "relu_backward",
    lambda grad, y: arrays.masked(grad, np.less_equal(y, 0)),
    (lambda g, b: _relu_backward(g, b), lambda g: g * 0),
    takes="f",
    grad_name="ThresholdBackwardBackward0",
)
relu = unary(
    "relu", arrays.above_zero, lambda g, y: _relu_backward(g, y), result="same", takes="iuf"
)
relu.__doc__ = "``max(input, 0)``, elementwise."
relu_ = inplace_unary(relu, arrays.above_zero, "relu_")


def _dropped(x: ndarray, limit: float) -> ndarray:
    return np.greater_equal(x, -limit) & np.less_equal(x, limit)


def _leaky_slope(grad: ndarray, x: ndarray, slope: float) -> ndarray:
    return arrays.choose(np.greater(x, 0), grad, np.multiply(grad, slope))


_threshold = with_numbers(
    "threshold",
    lambda x, limit, value: np.where(np.less_equal(x, limit), x.dtype.type(value), x),
    lambda grad, x, limit, value: arrays.masked(grad, np.less_equal(x, limit)),
    _no_curvature,
)
_leaky_relu = with_numbers("leaky_relu", arrays.leaky_relu, _leaky_slope, _no_curvature)
_hardtanh = with_numbers(
    "hardtanh",
    lambda x, low, high: np.clip(x, low, high),
    lambda grad, x, low, high: arrays.masked(
        grad, np.less_equal(x, low) | np.greater_equal(x, high)
    ),
    _no_curvature,
)
_hardshrink = with_numbers(
    "hardshrink",
    lambda x, limit: arrays.masked(x, _dropped(x, limit)),
    lambda grad, x, limit: arrays.masked(grad, _dropped(x, limit)),
    _no_curvature,
)
_softshrink = with_numbers(
    "softshrink",
    lambda x, limit: x - np.clip(x, -limit, limit),
    lambda grad, x, limit: arrays.masked(grad, _dropped(x, limit)),
    _no_curvature,
)
_hardsigmoid = smooth(
    "hardsigmoid",
    arrays.hardsigmoid,
    lambda x: arrays.masked(np.full_like(x, 1 / 6), np.less_equal(x, -3) | np.greater_equal(x, 3)),
    lambda x: 0.0,
)


def threshold(input: Value, threshold: float, value: float) -> Value:
    """``input`` where it is greater than ``threshold``, else ``value``."""
    return _threshold(input, (threshold, value))


def leaky_relu(input: Value, negative_slope: float = 0.01) -> Value:
    """``input`` where it is positive, else ``negative_slope * input``."""
    return _leaky_relu(_floating("leaky_relu", input), (negative_slope,))


def hardtanh(input: Value, min_val: float = -1.0, max_val: float = 1.0) -> Value:
    """``input`` kept within [min_val, max_val]."""
    if min_val > max_val:
        raise ValueError(
            "min_val cannot be greater than max_val\n"
            f"  hardtanh keeps values within [min_val, max_val], got [{min_val}, {max_val}]"
        )
    array = input._array
    if array.dtype.kind in "bu" and min_val < 0:
        raise RuntimeError("Cannot do hardtanh on an unsigned type with negative limits")
    if array.dtype.kind == "b":
        raise NotImplementedError("hardtanh is not implemented for 'Bool'")
    if array.dtype.kind in "iu":
        min_val, max_val = int(min_val), int(max_val)
    return _hardtanh(input, (min_val, max_val))


def relu6(input: Value) -> Value:
    """``input`` kept within [0, 6]."""
    return hardtanh(input, 0.0, 6.0)


def hardsigmoid(input: Value) -> Value:
    """``(input + 3) / 6`` kept within [0, 1]."""
    return _hardsigmoid(_floating("hardsigmoid", input))


def hardshrink(input: Value, lambd: float = 0.5, *, out: Value | None = None) -> Value:
    """``input`` where it is outside [-lambd, lambd], else 0."""
    if out is not None:
        return write_out(out, hardshrink(input, lambd), "hardshrink")
    return _hardshrink(_floating("hardshrink", input), (lambd,))


def softshrink(input: Value, lambd: float = 0.5, *, out: Value | None = None) -> Value:
    """``input`` moved towards 0 by ``lambd``, and 0 within [-lambd, lambd]."""
    if out is not None:
        return write_out(out, softshrink(input, lambd), "softshrink")
    if not lambd >= 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd:g}.")
    return _softshrink(_floating("softshrink", input), (lambd,))


def _prelu_gradients(g: Value, x: Value, weight: Value, needs: tuple[bool, ...]) -> list:
    positive = x > 0
    into_x = g.where(positive, g * weight) if needs[0] else None
    into_weight = (g * x).masked_fill(positive, 0) if needs[1] else None
    return [into_x, into_weight]


_prelu = define(
    "_prelu_kernel",
    lambda x, weight: np.where(x > 0, x, (x * weight).astype(x.dtype, copy=False)),
    _prelu_gradients,
)


def prelu(input: Value, weight: Value) -> Value:
    """``input`` where it is positive, else ``weight * input``: a slope that is learned.

    ``weight``: one number, or one for each channel (dimension 1 of ``input``).
    """
    if hook.active is not None:
        input, weight = hook.active.operands("prelu", (input, weight))
    _floating("prelu", input)
    if not isinstance(weight, Value):
        raise TypeError(f"prelu(): argument 'weight' must be Tensor, not {type_name(weight)}")
    x, w = input._array, weight._array
    if x.dtype != w.dtype:
        a, b = from_numpy(x.dtype), from_numpy(w.dtype)
        raise RuntimeError(
            "prelu: Type promoting not supported. Got "
            f"{a.legacy_name} and {b.legacy_name}; convert one with .to(dtype)"
        )
    if w.ndim > 1:
        raise RuntimeError(
            f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {w.ndim}"
        )
    if w.size != 1:
        channels = x.shape[1] if x.ndim > 1 else 1
        if not x.ndim:
            raise RuntimeError("Not allow zero-dim input tensor.")
        if channels != w.size:
            raise RuntimeError(
                "Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                f"{w.size} and channel size = {channels}.\n"
                f"  an input of shape {x.shape} has its channels in dimension 1"
            )
    shape = [1] * x.ndim
    if x.ndim > 1:
        shape[1] = w.size
    weight = weight.reshape(shape)
    return _prelu(input, weight.expand(x.shape))


def rrelu(
    input: Value,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    generator: Generator | None = None,
) -> Value:
    """``input`` where it is positive, else ``a * input``: a is drawn from [lower, upper) for each
    element in training, and is (lower + upper) / 2 otherwise."""
    _floating("rrelu", input)
    if lower > upper:
        raise ValueError(f"rrelu needs lower <= upper, got {lower} and {upper}")
    if not training:
        return _leaky_relu(input, ((lower + upper) / 2,))
    source = current(input._array) if generator is None else generator
    return input * _rrelu_noise(input.detach(), lower, upper, source)


def _slopes(x: np.ndarray, lower: float, upper: float, generator: Generator) -> np.ndarray:
    noise = np.ones(x.shape, x.dtype)
    falls = x <= 0
    count = int(np.count_nonzero(falls))
    noise[falls] = recipes.uniform(generator, (count,), np.dtype(np.float64), lower, upper)
    return noise


_rrelu_noise = define("rrelu_noise", _slopes)


# ---- smooth ones ------------------------------------------------------------------------------

_gelu = smooth(
    "gelu",
    arrays.gelu,
    arrays.gelu_slope,
    lambda x: (x * x * -0.5).exp() * (2 - x * x) * (1 / math.sqrt(2 * math.pi)),
)


def _gelu_tanh_curvature(x: Value) -> Value:
    scale, cube = arrays.GELU_SCALE, arrays.GELU_CUBE
    first = (x * x * (3 * cube) + 1) * scale
    second = x * (6 * scale * cube)
    t = ((x * x * cube + 1) * x * scale).tanh()
    return (1 - t * t) * (first + 0.5 * x * (second - 2 * t * first * first))


_gelu_tanh = smooth(
    "gelu_tanh", arrays.gelu_tanh, arrays.gelu_tanh_slope, _gelu_tanh_curvature, "GeluBackward0"
)


def gelu(input: Value, *, approximate: str = "none", out: Value | None = None) -> Value:
    """``input * Phi(input)``, with the normal distribution Phi; "tanh": by its approximation
    ``0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))``.

    Source: Hendrycks and Gimpel 2016, https://arxiv.org/abs/1606.08415
    """
    if out is not None:
        return write_out(out, gelu(input, approximate=approximate), "gelu")
    _floating("gelu", input)
    if approximate == "none":
        return _gelu(input)
    if approximate == "tanh":
        return _gelu_tanh(input)
    raise RuntimeError(f"approximate argument must be either none or tanh, got {approximate!r}")


def _silu_curvature(x: Value) -> Value:
    s = x.sigmoid()
    return s * (1 - s) * (2 + x * (1 - 2 * s))


_silu = smooth("silu", arrays.silu, arrays.silu_slope, _silu_curvature)


def silu(input: Value) -> Value:
    """``input * sigmoid(input)``."""
    if isinstance(input, Value) and input._array.dtype.kind == "c":
        return input * sigmoid(input)
    return _silu(_floating("silu", input))


def _mish_curvature(x: Value) -> Value:
    s = x.sigmoid()
    t = (x.clamp(min=0) + (-x.abs()).exp().log1p()).tanh()
    inner = s * (1 - t * t)
    return 2 * inner + x * inner * (1 - s - 2 * t * s)


def _softplus_curvature(x: Value, numbers: tuple) -> Value:
    beta, limit = numbers
    s = (x * beta).sigmoid()
    return (s * (1 - s) * beta).masked_fill(x * beta > limit, 0)


_mish = smooth("mish", arrays.mish, arrays.mish_slope, _mish_curvature)
_softplus = with_numbers(
    "softplus",
    arrays.softplus,
    lambda grad, x, beta, limit: grad * arrays.softplus_slope(x, beta, limit),
    _softplus_curvature,
)


def mish(input: Value) -> Value:
    """``input * tanh(softplus(input))``."""
    return _mish(_floating("mish", input))


def softplus(
    input: Value, beta: float = 1.0, threshold: float = 20.0, *, out: Value | None = None
) -> Value:
    """``log(1 + exp(beta * input)) / beta``; ``input`` itself where beta * input > threshold."""
    if out is not None:
        return write_out(out, softplus(input, beta, threshold), "softplus")
    return _softplus(_floating("softplus", input), (beta, threshold))


def _elu_curvature(x: Value, numbers: tuple) -> Value:
    alpha, scale, input_scale = numbers
    negative = (x.clamp(max=0) * input_scale).exp() * (alpha * scale * input_scale * input_scale)
    return negative.masked_fill(x > 0, 0)


_elu = with_numbers(
    "elu",
    arrays.elu,
    lambda grad, x, *numbers: grad * arrays.elu_slope(x, *numbers),
    _elu_curvature,
)
_SELU = (1.6732632423543772848170429916717, 1.0507009873554804934193349852946, 1.0)


def elu(input: Value, alpha: float = 1.0) -> Value:
    """``input`` where it is positive, else ``alpha * (exp(input) - 1)``."""
    return _elu(_floating("elu", input), (alpha, 1.0, 1.0))


def selu(input: Value) -> Value:
    """``elu`` with the two constants that keep mean 0 and variance 1 (Klambauer et al. 2017)."""
    return _elu(_floating("elu", input), _SELU)


def celu(input: Value, alpha: float = 1.0) -> Value:
    """``input`` where it is positive, else ``alpha * (exp(input / alpha) - 1)``."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _elu(_floating("elu", input), (alpha, 1.0, 1.0 / alpha))


_logsigmoid = smooth(
    "log_sigmoid",
    arrays.log_sigmoid,
    arrays.log_sigmoid_slope,
    lambda x: -(x.sigmoid() * (-x).sigmoid()),
)
_hardswish = smooth(
    "hardswish",
    arrays.hardswish,
    arrays.hardswish_slope,
    lambda x: ((x > -3) & (x < 3)).to(x.dtype) / 3,
)


def logsigmoid(input: Value, *, out: Value | None = None) -> Value:
    """``log(sigmoid(input))``, without overflow."""
    if out is not None:
        return write_out(out, logsigmoid(input), "logsigmoid")
    return _logsigmoid(_floating("log_sigmoid", input))


def hardswish(input: Value) -> Value:
    """``input * hardsigmoid(input)``."""
    return _hardswish(_floating("hardswish", input))


def softsign(input: Value) -> Value:
    """``input / (1 + |input|)``."""
    return input / (input.abs() + 1)


def tanhshrink(input: Value) -> Value:
    """``input - tanh(input)``."""
    return input - input.tanh()


def _glu_forward(x: ndarray, dim: int) -> ndarray:
    half = x.shape[dim] // 2
    front = (slice(None),) * dim
    return x[(*front, slice(half))] * arrays.logistic(x[(*front, slice(half, None))])


def _glu_vjp(g: Value, x: Value, dim: int) -> Value:
    a, b = x.chunk(2, dim)
    s = b.sigmoid()
    into_a = g * s
    return cat((into_a, into_a * a * (1 - s)), dim)


_glu = define("glu", widened(_glu_forward), {"x": _glu_vjp})


def glu(input: Value, dim: int = -1) -> Value:
    """``a * sigmoid(b)`` for the two halves a, b of ``input`` along ``dim``."""
    _floating("glu", input)
    shape = input._array.shape
    if not shape:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    dim = wrap_dim(dim, len(shape))
    if shape[dim] % 2:
        raise RuntimeError(
            f"Halving dimension must be even, but dimension {dim} is size {shape[dim]}\n"
            f"  glu splits shape {shape} into two halves along dimension {dim}"
        )
    return _glu(input, dim)


# ---- in-place twins ---------------------------------------------------------------------------

threshold_ = inplace(threshold)
leaky_relu_ = inplace(leaky_relu)
hardtanh_ = inplace(hardtanh)
elu_ = inplace(elu)
selu_ = inplace(selu)
celu_ = inplace(celu)
rrelu_ = inplace(rrelu)
