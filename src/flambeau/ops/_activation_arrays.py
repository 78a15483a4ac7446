"""Values and slopes of activations on arrays, in few passes.

NumPy's exp, tanh and log of float32 are vectorised; its where, log1p, expm1 and anything with a
number on one side of maximum or minimum are not, and cost 4 to 20 times as much. So choices are
made on the bits, and log1p and expm1 by the fast ones. Every function takes arrays of float32 or
float64, returns a new one, and leaves its operands alone.
"""

from __future__ import annotations

import math

import numpy as np

from ..core.threads import BLOCK
from . import scalar_math

ndarray = np.ndarray
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
INTEGER = {F32: np.dtype(np.int32), F64: np.dtype(np.int64)}
_ZEROS = {d: np.zeros(BLOCK, d) for d in (F32, F64)}


def new(x: ndarray) -> ndarray:
    """An array of the shape, layout and dtype of ``x``, not filled."""
    return np.empty_like(x)


# ---- bounds and choices ---------------------------------------------------------------------


def above_zero(x: ndarray, out: ndarray | None = None) -> ndarray:
    """``max(x, 0)``; nan stays."""
    if x.ndim == 1 and 256 < x.size <= BLOCK and x.dtype in _ZEROS:
        return np.maximum(x, _ZEROS[x.dtype][: x.size], out=out)
    return np.maximum(x, 0, out=out)


def below_zero(x: ndarray, out: ndarray | None = None) -> ndarray:
    """``min(x, 0)``; nan stays."""
    if x.ndim == 1 and 256 < x.size <= BLOCK and x.dtype in _ZEROS:
        return np.minimum(x, _ZEROS[x.dtype][: x.size], out=out)
    return np.minimum(x, 0, out=out)


def masked(grad: ndarray, drop: ndarray) -> ndarray:
    """``grad``, but 0 where ``drop`` (an array of bool that may be overwritten), whatever it is."""
    integer = INTEGER.get(grad.dtype)
    if integer is None or not drop.ndim:
        return np.where(drop, grad.dtype.type(0), grad)
    mask = drop.view(np.int8)
    np.subtract(mask, 1, mask)  # 0 where dropped, else all bits set
    return np.bitwise_and(grad.view(integer), mask, dtype=integer).view(grad.dtype)


def choose(condition: ndarray, yes: ndarray, no: ndarray) -> ndarray:
    """``yes`` where ``condition`` (which may be overwritten), else ``no``; of one shape."""
    integer = INTEGER.get(yes.dtype)
    if integer is None or not condition.ndim or yes.shape != no.shape:
        return np.where(condition, yes, no).astype(yes.dtype, copy=False)
    mask = condition.view(np.int8)
    np.negative(mask, mask)
    other = no.view(integer)
    bits = np.bitwise_xor(yes.view(integer), other)
    np.bitwise_and(bits, mask, bits)
    return np.bitwise_xor(bits, other, bits).view(yes.dtype)


# ---- pieces of the exponential ----------------------------------------------------------------


def logistic(x: ndarray) -> ndarray:
    """1 / (1 + exp(-x))."""
    y = np.negative(x, new(x))
    np.exp(y, y)
    np.add(y, 1, y)
    return np.reciprocal(y, y)


def log1p_small(u: ndarray) -> ndarray:
    """log(1 + u) for u in [0, 1]: log(w) - (w - 1 - u) / w with w = 1 + u as it was rounded."""
    w = np.add(u, 1, new(u))
    r = np.subtract(w, 1, new(u))
    np.subtract(r, u, r)
    np.true_divide(r, w, r)
    np.log(w, w)
    return np.subtract(w, r, w)


def tail(x: ndarray) -> ndarray:
    """log(1 + exp(-|x|))."""
    u = np.abs(x, new(x))
    np.negative(u, u)
    np.exp(u, u)
    return log1p_small(u)


def expm1_negative(v: ndarray) -> ndarray:
    """exp(v) - 1 for v <= 0, as tanh(v / 2) (exp(v) + 1), which loses nothing near 0."""
    t = np.multiply(v, 0.5, new(v))
    np.tanh(t, t)
    e = np.exp(v, new(v))
    np.add(e, 1, e)
    return np.multiply(t, e, t)


# ---- gelu -------------------------------------------------------------------------------------

# Phi(x) = 1 / (1 + exp(-x R(x^2))): R is a rational function, fitted (Lawson's iteration) so that
# Phi has an error of 3e-8, and 4e-5 relative to itself down to x = -4.
_ABOVE = [np.float32(c) for c in (0.00036112458, 0.01466835, 0.197261461, 1.59576942)]
_BELOW = [np.float32(c) for c in (3.70885911e-05, 0.00568166834, 0.0780762584, 1.0)]
_HALF_ROOT, _DENSITY = math.sqrt(0.5), 1 / math.sqrt(2 * math.pi)


def _polynomial(s: ndarray, coefficients: list) -> ndarray:
    r = np.multiply(s, coefficients[0], new(s))
    for c in coefficients[1:-1]:
        np.add(r, c, r)
        np.multiply(r, s, r)
    return np.add(r, coefficients[-1], r)


def _one_over_phi(x: ndarray) -> ndarray:
    """1 / Phi(x) of float32; inf where Phi is 0."""
    s = np.multiply(x, x, new(x))
    np.minimum(s, 1e6, out=s)
    p = _polynomial(s, _ABOVE)
    np.true_divide(p, _polynomial(s, _BELOW), p)
    np.multiply(p, x, p)
    np.negative(p, p)
    np.exp(p, p)
    return np.add(p, 1, p)


def gelu(x: ndarray) -> ndarray:
    """x Phi(x)."""
    if x.dtype == F32:
        y = _one_over_phi(x)
        return np.true_divide(x, y, y)
    y = np.asarray(scalar_math.erf(x * _HALF_ROOT))
    np.add(y, 1, y)
    np.multiply(y, x, y)
    return np.multiply(y, 0.5, y)


def gelu_slope(x: ndarray) -> ndarray:
    """Phi(x) + x phi(x)."""
    if x.dtype == F32:
        y = _one_over_phi(x)
        np.reciprocal(y, y)
    else:
        y = np.asarray(scalar_math.erf(x * _HALF_ROOT))
        np.add(y, 1, y)
        np.multiply(y, 0.5, y)
    d = np.multiply(x, x, new(x))
    np.multiply(d, -0.5, d)
    np.exp(d, d)
    np.multiply(d, x, d)
    np.multiply(d, _DENSITY, d)
    return np.add(y, d, y)


GELU_SCALE, GELU_CUBE = math.sqrt(2 / math.pi), 0.044715


def _gelu_tanh_exponent(x: ndarray) -> ndarray:
    """exp(-2 k (x + c x^3)) + 1: (1 + tanh(u)) / 2 is one over it."""
    t = np.multiply(x, x, new(x))
    np.multiply(t, -2 * GELU_SCALE * GELU_CUBE, t)
    np.add(t, -2 * GELU_SCALE, t)
    np.multiply(t, x, t)
    np.exp(t, t)
    return np.add(t, 1, t)


def gelu_tanh(x: ndarray) -> ndarray:
    """0.5 x (1 + tanh(k (x + c x^3)))."""
    y = _gelu_tanh_exponent(x)
    return np.true_divide(x, y, y)


def gelu_tanh_slope(x: ndarray) -> ndarray:
    """s (1 + x (1 - s) 2 k (1 + 3 c x^2)), with s = (1 + tanh(u)) / 2."""
    s = _gelu_tanh_exponent(x)
    np.reciprocal(s, s)
    d = np.multiply(x, x, new(x))
    np.multiply(d, 6 * GELU_SCALE * GELU_CUBE, d)
    np.add(d, 2 * GELU_SCALE, d)
    np.multiply(d, x, d)
    rest = np.subtract(1, s, new(x))
    np.multiply(d, rest, d)
    np.add(d, 1, d)
    return np.multiply(d, s, d)


# ---- others -----------------------------------------------------------------------------------


def silu(x: ndarray) -> ndarray:
    """x / (1 + exp(-x))."""
    y = np.negative(x, new(x))
    np.exp(y, y)
    np.add(y, 1, y)
    return np.true_divide(x, y, y)


def silu_slope(x: ndarray) -> ndarray:
    """s (1 + x (1 - s)), with s = 1 / (1 + exp(-x))."""
    s = logistic(x)
    r = np.subtract(1, s, new(x))
    np.multiply(r, x, r)
    np.add(r, 1, r)
    return np.multiply(r, s, r)


def _mish_parts(x: ndarray) -> tuple[ndarray, ndarray]:
    """n = exp(x) and w = n (n + 2): tanh(log(1 + n)) = w / (w + 2)."""
    n = np.minimum(x, 20, out=new(x))
    np.exp(n, n)
    w = np.add(n, 2, new(x))
    return n, np.multiply(w, n, w)


def mish(x: ndarray) -> ndarray:
    """x tanh(log(1 + exp(x)))."""
    n, w = _mish_parts(x)
    np.add(w, 2, n)
    np.true_divide(w, n, w)
    return np.multiply(w, x, w)


def mish_slope(x: ndarray) -> ndarray:
    """w / (w + 2) + 4 x n (n + 1) / (w + 2)^2."""
    n, w = _mish_parts(x)
    r = np.add(n, 1, new(x))
    np.multiply(r, n, r)
    np.multiply(r, x, r)
    np.multiply(r, 4, r)
    np.add(w, 2, n)
    np.true_divide(r, n, r)
    np.add(r, w, r)
    return np.true_divide(r, n, r)


def softplus(x: ndarray, beta: float, limit: float) -> ndarray:
    """log(1 + exp(beta x)) / beta; x where beta x > limit."""
    scaled = np.multiply(x, beta, new(x))
    y = tail(scaled)
    np.add(y, above_zero(scaled), y)
    if beta != 1:
        np.true_divide(y, beta, y)
    if limit < 17 or x.dtype != F32:  # beyond, float32 has rounded to x itself
        return choose(np.greater(scaled, limit), x, y)
    return y


def softplus_slope(x: ndarray, beta: float, limit: float) -> ndarray:
    """1 / (1 + exp(-beta x)); 1 where beta x > limit."""
    scaled = np.multiply(x, beta, new(x))
    s = logistic(scaled)
    return choose(np.greater(scaled, limit), np.ones_like(x), s)


def log_sigmoid(x: ndarray) -> ndarray:
    """min(x, 0) - log(1 + exp(-|x|))."""
    y = tail(x)
    return np.subtract(below_zero(x), y, y)


def log_sigmoid_slope(x: ndarray) -> ndarray:
    """1 / (1 + exp(x))."""
    y = np.exp(x, new(x))
    np.add(y, 1, y)
    return np.reciprocal(y, y)


def elu(x: ndarray, alpha: float, scale: float, input_scale: float) -> ndarray:
    """scale x where x > 0, else alpha scale (exp(input_scale x) - 1)."""
    low = below_zero(x, new(x))
    if input_scale != 1:
        np.multiply(low, input_scale, low)
    y = expm1_negative(low)
    np.multiply(y, alpha * scale, y)
    high = above_zero(x, low)
    if scale != 1:
        np.multiply(high, scale, high)
    return np.add(y, high, y)


def elu_slope(x: ndarray, alpha: float, scale: float, input_scale: float) -> ndarray:
    """scale where x > 0, else alpha scale input_scale exp(input_scale x)."""
    y = below_zero(x, new(x))
    np.multiply(y, input_scale, y)
    np.exp(y, y)
    np.multiply(y, alpha * scale * input_scale, y)
    if alpha * input_scale == 1:  # the two halves meet
        return y
    return choose(np.greater(x, 0), np.full_like(x, scale), y)


def leaky_relu(x: ndarray, slope: float) -> ndarray:
    """x where x > 0, else slope x."""
    y = np.multiply(x, slope, new(x))
    if 0 <= slope <= 1:
        return np.maximum(x, y, out=y)
    return choose(np.greater(x, 0), x, y)


def hardsigmoid(x: ndarray) -> ndarray:
    """(x + 3) / 6 kept within [0, 1]."""
    y = np.add(x, 3, new(x))
    np.clip(y, 0, 6, y)
    return np.multiply(y, 1 / 6, y)


def hardswish(x: ndarray) -> ndarray:
    """x times ``hardsigmoid(x)``."""
    y = hardsigmoid(x)
    return np.multiply(y, x, y)


def hardswish_slope(x: ndarray) -> ndarray:
    """0 below -3, x / 3 + 1 / 2, 1 from 3."""
    y = np.multiply(x, 1 / 3, new(x))
    np.add(y, 0.5, y)
    y = choose(np.greater_equal(x, 3), np.ones_like(x), y)
    return masked(y, np.less_equal(x, -3))
