"""Activations: each a formula on arrays for its value and one for its slope.

``smooth`` and ``piecewise`` make an operation from the two; the gradient ``grad * slope(x)`` is an
operation of its own, done in one pass. Its own gradient needs the curvature (the second
derivative), which is written in differentiable operations; a piecewise linear function has none.
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
from ..core.generator import Generator, default_generator
from ..core.mutation import write_out
from ..core.op import binary, define, unary, unsupported
from ..core.promotion import widened
from ..core.twins import inplace, inplace_unary
from ..core.value import Value, wrap
from . import scalar_math
from .elementwise import sigmoid
from .joining import cat

ndarray = np.ndarray
_INTEGER = {np.dtype(np.float32): np.dtype(np.int32), np.dtype(np.float64): np.dtype(np.int64)}


# ---- what the records are made with ---------------------------------------------------------


def _pieces(formula: Callable[..., ndarray]) -> Callable[..., ndarray]:
    """``formula`` on arrays of one shape: large ones by pieces, 16-bit floats in float32."""

    def whole(x: ndarray, *rest: object) -> ndarray:
        if x.size >= threads.LARGE:
            r = threads.elementwise(formula, x.dtype, x, *rest)
            if r is not None:
                return r
        return formula(x, *rest)

    return widened(whole)


def smooth(
    name: str,
    value: Callable[[ndarray, tuple], ndarray],
    slope: Callable[[ndarray, tuple], ndarray],
    curvature: Callable[[Value, tuple], Value | float],
) -> Callable[[Value, tuple], Value]:
    """An operation of a tensor and a tuple of numbers, from its value and its derivatives.

    ``curvature``: the second derivative, in differentiable operations.
    """

    def forward(x: ndarray, params: tuple) -> ndarray:
        return by_pieces(x, params)

    def backward_forward(grad: ndarray, x: ndarray, params: tuple) -> ndarray:
        return slope_by_pieces(grad, x, params)

    def backward_value(grad: ndarray, x: ndarray, params: tuple) -> ndarray:
        return grad * slope(x, params)

    by_pieces, slope_by_pieces = _pieces(value), _pieces(backward_value)
    gradients = {
        "grad": lambda g, x, params: backward(g, x, params),
        "x": lambda g, grad, x, params: g * grad * curvature(x, params),
    }
    backward = define(name + "_backward", backward_forward, gradients)
    call = define(name, forward, {"x": lambda g, x, params: backward(g, x, params)})
    forward.__wrapped__, backward_forward.__wrapped__ = value, backward_value  # for the compiler
    return call


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


def _where_above_zero(grad: ndarray, y: ndarray) -> ndarray:
    """``grad`` where y > 0 (or nan), else 0, whatever ``grad`` is: a mask over its bits."""
    integer = _INTEGER[grad.dtype]
    mask = np.less_equal(y, 0).view(np.int8)
    if not isinstance(mask, ndarray) or not mask.ndim:
        return np.where(y <= 0, grad.dtype.type(0), grad)
    np.subtract(mask, 1, mask)  # 0 where y <= 0, else all bits set
    return np.bitwise_and(grad.view(integer), mask, dtype=integer).view(grad.dtype)


_relu_backward = binary(
    "relu_backward",
    _where_above_zero,
    (lambda g, b: _relu_backward(g, b), lambda g: g * 0),
    takes="f",
    grad_name="ThresholdBackwardBackward0",
)


def _relu_array(x: ndarray, out: ndarray | None = None) -> ndarray:
    return np.maximum(x, 0, out=out)


relu = unary("relu", _relu_array, lambda g, y: _relu_backward(g, y), result="same", takes="iuf")
relu.__doc__ = "``max(input, 0)``, elementwise."
relu_ = inplace_unary(relu, _relu_array, "relu_")


def piecewise(
    name: str,
    value: Callable[[ndarray, tuple], ndarray],
    slope: Callable[[ndarray, tuple], ndarray],
) -> Callable[[Value, tuple], Value]:
    """``smooth`` for a piecewise linear function."""
    return smooth(name, value, slope, lambda x, params: 0.0)


def _choose(condition: ndarray, yes: object, no: object, like: ndarray) -> ndarray:
    return np.where(condition, yes, no).astype(like.dtype, copy=False)


_threshold = piecewise(
    "threshold",
    lambda x, p: _choose(x <= p[0], p[1], x, x),
    lambda x, p: ~(x <= p[0]),
)
_leaky_relu = piecewise(
    "leaky_relu",
    lambda x, p: np.maximum(x, x * p[0]) if 0 <= p[0] <= 1 else np.where(x > 0, x, x * p[0]),
    lambda x, p: _choose(x > 0, 1, p[0], x),
)
_hardtanh = piecewise(
    "hardtanh",
    lambda x, p: np.minimum(np.maximum(x, p[0]), p[1]),
    lambda x, p: (x > p[0]) & (x < p[1]),
)
_hardsigmoid = piecewise(
    "hardsigmoid",
    lambda x, p: np.minimum(np.maximum(x + 3, 0), 6) * (1 / 6),
    lambda x, p: _choose((x > -3) & (x < 3), 1 / 6, 0, x),
)
_hardshrink = piecewise(
    "hardshrink",
    lambda x, p: _choose((x >= -p[0]) & (x <= p[0]), 0, x, x),
    lambda x, p: ~((x >= -p[0]) & (x <= p[0])),
)
_softshrink = piecewise(
    "softshrink",
    lambda x, p: x - np.minimum(np.maximum(x, -p[0]), p[0]),
    lambda x, p: ~((x >= -p[0]) & (x <= p[0])),
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
    return _hardsigmoid(_floating("hardsigmoid", input), ())


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
    x = input._array
    noise = np.ones(x.shape, x.dtype)
    falls = x <= 0
    source = default_generator if generator is None else generator
    count = int(np.count_nonzero(falls))
    noise[falls] = recipes.uniform(source, (count,), np.dtype(np.float64), lower, upper)
    return input * wrap(noise)


# ---- smooth ones ------------------------------------------------------------------------------

_HALF_ROOT, _DENSITY = math.sqrt(0.5), 1 / math.sqrt(2 * math.pi)
_GELU_SCALE, _GELU_CUBE = math.sqrt(2 / math.pi), 0.044715


def _gelu_value(x: ndarray, params: tuple) -> ndarray:
    y = np.asarray(scalar_math.erf(x * _HALF_ROOT))
    y += 1
    y *= x
    y *= 0.5
    return y


def _gelu_slope(x: ndarray, params: tuple) -> ndarray:
    s = np.asarray(scalar_math.erf(x * _HALF_ROOT))
    s += 1
    s *= 0.5
    d = np.asarray(np.exp(x * x * -0.5))
    d *= x
    d *= _DENSITY
    s += d
    return s


_gelu = smooth(
    "gelu",
    _gelu_value,
    _gelu_slope,
    lambda x, p: (x * x * -0.5).exp() * (2 - x * x) * _DENSITY,
)


def _gelu_tanh_inner(x: ndarray) -> tuple[ndarray, ndarray]:
    """tanh(k (x + c x^3)), and x^2."""
    square = np.asarray(x * x)
    t = np.asarray(square * (_GELU_SCALE * _GELU_CUBE))
    t += _GELU_SCALE
    t *= x
    return np.tanh(t, out=t), square


def _gelu_tanh_value(x: ndarray, params: tuple) -> ndarray:
    t, _ = _gelu_tanh_inner(x)
    t += 1
    t *= x
    t *= 0.5
    return t


def _gelu_tanh_slope(x: ndarray, params: tuple) -> ndarray:
    # 0.5 (1 + t) + 0.5 x (1 - t^2) k (1 + 3 c x^2) = 0.5 (1 + t) (1 + (1 - t) x k (1 + 3 c x^2))
    t, s = _gelu_tanh_inner(x)
    s *= 3 * _GELU_SCALE * _GELU_CUBE
    s += _GELU_SCALE
    s *= x
    s *= 1 - t
    s += 1
    t += 1
    s *= t
    s *= 0.5
    return s


def _gelu_tanh_curvature(x: Value, params: tuple) -> Value:
    first = (x * x * (3 * _GELU_CUBE) + 1) * _GELU_SCALE
    second = x * (6 * _GELU_SCALE * _GELU_CUBE)
    t = ((x * x * _GELU_CUBE + 1) * x * _GELU_SCALE).tanh()
    return (1 - t * t) * (first + 0.5 * x * (second - 2 * t * first * first))


_gelu_tanh = smooth("gelu_tanh", _gelu_tanh_value, _gelu_tanh_slope, _gelu_tanh_curvature)
_gelu_tanh.op.grad_name = "GeluBackward0"


def gelu(input: Value, *, approximate: str = "none", out: Value | None = None) -> Value:
    """``input * Phi(input)``, with the normal distribution Phi; "tanh": by its approximation
    ``0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))``.

    Source: Hendrycks and Gimpel 2016, https://arxiv.org/abs/1606.08415
    """
    if out is not None:
        return write_out(out, gelu(input, approximate=approximate), "gelu")
    _floating("gelu", input)
    if approximate == "none":
        return _gelu(input, ())
    if approximate == "tanh":
        return _gelu_tanh(input, ())
    raise RuntimeError(f"approximate argument must be either none or tanh, got {approximate!r}")


def logistic(x: ndarray) -> ndarray:
    """1 / (1 + exp(-x)) of an array."""
    y = np.asarray(np.exp(np.negative(x)))
    y += 1
    return np.reciprocal(y, out=y)


def _silu_value(x: ndarray, params: tuple) -> ndarray:
    y = np.asarray(np.exp(np.negative(x)))
    y += 1
    return np.true_divide(x, y, out=y)


def _silu_slope(x: ndarray, params: tuple) -> ndarray:
    s = logistic(x)
    r = np.asarray(1 - s)
    r *= x
    r += 1
    r *= s
    return r


def _silu_curvature(x: Value, params: tuple) -> Value:
    s = x.sigmoid()
    return s * (1 - s) * (2 + x * (1 - 2 * s))


_silu = smooth("silu", _silu_value, _silu_slope, _silu_curvature)


def silu(input: Value) -> Value:
    """``input * sigmoid(input)``."""
    if isinstance(input, Value) and input._array.dtype.kind == "c":
        return input * sigmoid(input)
    return _silu(_floating("silu", input), ())


def _mish_value(x: ndarray, params: tuple) -> ndarray:
    return x * np.tanh(_softplus_value(x, (1, 20)))


def _mish_slope(x: ndarray, params: tuple) -> ndarray:
    t = np.tanh(_softplus_value(x, (1, 20)))
    return t + x * logistic(x) * (1 - t * t)


def _mish_curvature(x: Value, params: tuple) -> Value:
    s = x.sigmoid()
    t = (x.clamp(min=0) + (-x.abs()).exp().log1p()).tanh()
    inner = s * (1 - t * t)
    return 2 * inner + x * inner * (1 - s - 2 * t * s)


def _softplus_value(x: ndarray, params: tuple) -> ndarray:
    beta, limit = params
    scaled = x * beta
    y = np.log1p(np.exp(np.minimum(scaled, limit))) / beta
    return _choose(scaled > limit, x, y, x)


def _softplus_slope(x: ndarray, params: tuple) -> ndarray:
    beta, limit = params
    scaled = x * beta
    return _choose(scaled > limit, 1, logistic(scaled), x)


def _softplus_curvature(x: Value, params: tuple) -> Value:
    beta, limit = params
    s = (x * beta).sigmoid()
    return (s * (1 - s) * beta).masked_fill(x * beta > limit, 0)


_mish = smooth("mish", _mish_value, _mish_slope, _mish_curvature)
_softplus = smooth("softplus", _softplus_value, _softplus_slope, _softplus_curvature)


def mish(input: Value) -> Value:
    """``input * tanh(softplus(input))``."""
    return _mish(_floating("mish", input), ())


def softplus(
    input: Value, beta: float = 1.0, threshold: float = 20.0, *, out: Value | None = None
) -> Value:
    """``log(1 + exp(beta * input)) / beta``; ``input`` itself where beta * input > threshold."""
    if out is not None:
        return write_out(out, softplus(input, beta, threshold), "softplus")
    return _softplus(_floating("softplus", input), (beta, threshold))


def _elu_value(x: ndarray, params: tuple) -> ndarray:
    alpha, scale, input_scale = params
    negative = np.expm1(np.minimum(x, 0) * input_scale) * (alpha * scale)
    return np.where(x > 0, x * scale, negative)


def _elu_slope(x: ndarray, params: tuple) -> ndarray:
    alpha, scale, input_scale = params
    negative = np.exp(np.minimum(x, 0) * input_scale) * (alpha * scale * input_scale)
    return _choose(x > 0, scale, negative, x)


def _elu_curvature(x: Value, params: tuple) -> Value:
    alpha, scale, input_scale = params
    negative = (x.clamp(max=0) * input_scale).exp() * (alpha * scale * input_scale * input_scale)
    return negative.masked_fill(x > 0, 0)


_elu = smooth("elu", _elu_value, _elu_slope, _elu_curvature)
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
    lambda x, p: np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))),
    lambda x, p: logistic(-x),
    lambda x, p: -(x.sigmoid() * (-x).sigmoid()),
)
_hardswish = smooth(
    "hardswish",
    lambda x, p: x * np.minimum(np.maximum(x + 3, 0), 6) * (1 / 6),
    lambda x, p: _choose(x <= -3, 0, np.where(x < 3, x / 3 + 0.5, 1), x),
    lambda x, p: ((x > -3) & (x < 3)).to(x.dtype) / 3,
)


def logsigmoid(input: Value, *, out: Value | None = None) -> Value:
    """``log(sigmoid(input))``, without overflow."""
    if out is not None:
        return write_out(out, logsigmoid(input), "logsigmoid")
    return _logsigmoid(_floating("log_sigmoid", input), ())


def hardswish(input: Value) -> Value:
    """``input * hardsigmoid(input)``."""
    return _hardswish(_floating("hardswish", input), ())


def softsign(input: Value) -> Value:
    """``input / (1 + |input|)``."""
    return input / (input.abs() + 1)


def tanhshrink(input: Value) -> Value:
    """``input - tanh(input)``."""
    return input - input.tanh()


def _glu_forward(x: ndarray, dim: int) -> ndarray:
    half = x.shape[dim] // 2
    front = (slice(None),) * dim
    return x[(*front, slice(half))] * logistic(x[(*front, slice(half, None))])


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
