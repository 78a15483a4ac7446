"""Which operations have a compiled kernel: operation's name -> its rule for one element.

A rule takes one ``Scalar`` for each tensor, all of one floating dtype, and what else the operation
takes as it is (the tuple of an activation's parameters); it returns the result's ``Scalar``.
What ``PLAIN`` holds NumPy does in one pass over memory, with the same results; but to call
its threads takes 100 us, and the crew begins at once (262,144 elements: 140 us, compiled 35). Every
rule of ``RULES`` replaces several passes, or a function of NumPy's that is slower.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

from .scalar import Scalar, absolute, select, sqrt
from .scalar_functions import (
    ERRORS,
    erf,
    exp,
    expm1,
    gate,
    log,
    log1p,
    normal,
    sigmoid,
    tanh,
)

Rule = Callable[..., Scalar]

_DENSITY = 1 / math.sqrt(2 * math.pi)
_GELU_SCALE, _GELU_CUBE = math.sqrt(2 / math.pi), 0.044715


def _times(slope: Rule) -> Rule:
    """The gradient of an activation: the gradient of its result times its slope."""
    return lambda grad, x, *numbers: grad * slope(x, *numbers)


def _gelu(x: Scalar) -> Scalar:
    return x * normal(x)[0]


def _gelu_slope(x: Scalar) -> Scalar:
    below, density = normal(x)
    return below + x * density * _DENSITY


def _gelu_tanh_gate(x: Scalar) -> Scalar:
    """(1 + tanh(z)) / 2 = sigmoid(2 z), which does not cancel where tanh is near -1."""
    return gate(x * (2 * _GELU_SCALE + x * x * (2 * _GELU_SCALE * _GELU_CUBE)))


def _gelu_tanh(x: Scalar) -> Scalar:
    return x * _gelu_tanh_gate(x)


def _gelu_tanh_slope(x: Scalar) -> Scalar:
    s = _gelu_tanh_gate(x)
    inner = x * (2 * _GELU_SCALE + x * x * (6 * _GELU_SCALE * _GELU_CUBE))
    return s * (1 + (1 - s) * inner)


def _silu(x: Scalar) -> Scalar:
    return x * sigmoid(x)


def _silu_slope(x: Scalar) -> Scalar:
    s = sigmoid(x)
    return s * (1 + x * (1 - s))


def _softplus(x: Scalar, params: tuple) -> Scalar:
    beta, limit = params
    scaled = x * beta
    bounded = select(scaled > limit, float(limit), scaled)
    return select(scaled > limit, x, log1p(exp(bounded)) / beta)


def _softplus_slope(x: Scalar, params: tuple) -> Scalar:
    beta, limit = params
    scaled = x * beta
    return select(scaled > limit, 1.0, sigmoid(scaled))


def _log_sigmoid(x: Scalar) -> Scalar:
    return select(x > 0, 0.0, x) - log1p(exp(-absolute(x)))


def _log_sigmoid_slope(x: Scalar) -> Scalar:
    return sigmoid(-x)


def _elu(x: Scalar, params: tuple) -> Scalar:
    alpha, scale, input_scale = params
    return select(x > 0, x * scale, expm1(x * input_scale) * (alpha * scale))


def _elu_slope(x: Scalar, params: tuple) -> Scalar:
    alpha, scale, input_scale = params
    return select(x > 0, float(scale), exp(x * input_scale) * (alpha * scale * input_scale))


def _hardswish_slope(x: Scalar) -> Scalar:
    return select(x < -3, 0.0, select(x > 3, 1.0, x / 3 + 0.5))


def _mish_parts(x: Scalar) -> tuple[Scalar, Scalar]:
    """n = exp(x) and w = n (n + 2): tanh(log(1 + n)) = w / (w + 2)."""
    n = exp(select(x > 20, 20.0, x))
    return n, n * (n + 2)


def _mish(x: Scalar) -> Scalar:
    _, w = _mish_parts(x)
    return x * (w / (w + 2))


def _mish_slope(x: Scalar) -> Scalar:
    n, w = _mish_parts(x)
    return (4 * x * n * (n + 1) / (w + 2) + w) / (w + 2)


def _dropped(x: Scalar, limit: float) -> Scalar:
    return (x >= -limit) & (x <= limit)


def _clipped(x: Scalar, low: float, high: float) -> Scalar:
    return select(x > high, float(high), select(x < low, float(low), x))


def _softshrink(x: Scalar, p: tuple) -> Scalar:
    return x - _clipped(x, -p[0], p[0])


#: Slopes that take longer than to keep them: a compiled program finds them where it finds the
#: activation, which has most of it computed, and keeps them in place of its operand.
SLOPES: dict[str, Rule] = {
    "gelu_backward": _gelu_slope,
    "gelu_tanh_backward": _gelu_tanh_slope,
    "mish_backward": _mish_slope,
    "silu_backward": _silu_slope,
}

RULES: dict[str, Rule] = {
    "elu": _elu,
    "elu_backward": _times(_elu_slope),
    "erf": erf,
    "exp": exp,
    "expm1": expm1,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "log": log,
    "log1p": log1p,
    "log_sigmoid": _log_sigmoid,
    "log_sigmoid_backward": _times(_log_sigmoid_slope),
    "hardshrink": lambda x, p: select(_dropped(x, p[0]), 0.0, x),
    "hardshrink_backward": lambda grad, x, p: select(_dropped(x, p[0]), 0.0, grad),
    "hardsigmoid": lambda x: _clipped(x + 3, 0.0, 6.0) / 6,
    "hardsigmoid_backward": lambda grad, x: select((x <= -3) | (x >= 3), 0.0, grad * (1 / 6)),
    "hardswish": lambda x: x * _clipped(x + 3, 0.0, 6.0) / 6,
    "hardswish_backward": _times(_hardswish_slope),
    "hardtanh": lambda x, p: _clipped(x, p[0], p[1]),
    "hardtanh_backward": lambda grad, x, p: select((x <= p[0]) | (x >= p[1]), 0.0, grad),
    "leaky_relu": lambda x, p: select(x > 0, x, x * p[0]),
    "leaky_relu_backward": lambda grad, x, p: select(x > 0, grad, grad * p[0]),
    "mish": _mish,
    "relu_backward": lambda grad, y: select(y <= 0, 0.0, grad),
    "rsqrt": lambda x: 1 / sqrt(x),
    "sigmoid": sigmoid,
    "sigmoid_backward": lambda grad, y: grad * ((1 - y) * y),
    "silu": _silu,
    "softshrink": _softshrink,
    "softshrink_backward": lambda grad, x, p: select(_dropped(x, p[0]), 0.0, grad),
    "softplus": _softplus,
    "softplus_backward": _times(_softplus_slope),
    "tanh": tanh,
    "tanh_backward": lambda grad, y: grad * (1 - y * y),
    "threshold": lambda x, p: select(x <= p[0], float(p[1]), x),
    "threshold_backward": lambda grad, x, p: select(x <= p[0], 0.0, grad),
    **{name: _times(slope) for name, slope in SLOPES.items()},
}

#: Operations of one rounding: the kernel's results are NumPy's, bit for bit.
PLAIN: dict[str, Rule] = {
    "abs": absolute,
    "add": operator.add,
    "div": operator.truediv,
    "mul": operator.mul,
    "neg": operator.neg,
    "reciprocal": lambda x: 1 / x,
    "relu": lambda x: select(x < 0, 0.0, x),  # -0.0 stays, as in PyTorch; of NumPy comes 0.0
    "rsub": lambda a, b: b - a,
    "sqrt": sqrt,
    "sub": operator.sub,
}

#: Operations whose functions are worked out for float32 alone.
SINGLE = {"gelu", "gelu_backward"} | {name for name, ulp in ERRORS.items() if ulp[1] is None}
