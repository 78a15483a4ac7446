"""How a random number moves with its distribution's shape parameter, the cdf's value kept.

If F(x; a) stays the same, dx/da = -(dF/da) / f(x; a). With the score s(t) = d log f(t; a) / da,
whose expectation is 0,

    dx/da = -int_(t < x) f(t) / f(x) s(t) dt = int_(t > x) f(t) / f(x) s(t) dt,

and since s grows with t, one of the two integrals is of terms of one sign: s(t) < 0 on the left,
if s(x) < 0, else s(t) > 0 on the right. Both are summed at points v that grow doubly exponentially
in both directions, away from x in the coordinate log t, or logit t for the beta distribution.
Source: Figurnov, Mohamed and Mnih, "Implicit reparameterization gradients", arXiv 1805.08498
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import scalar_math

_STEP = 0.125
_T = np.arange(-5.0, 9.0, _STEP)
_POINTS = np.exp(_T - np.exp(-_T))  # v, from e^-153 to e^9
_WEIGHTS = _STEP * _POINTS * (1 + np.exp(-_T))
_CHUNK = 1024  # numbers at a time: 112 points each


def _in_chunks(kernel: Callable[..., np.ndarray], *operands: np.ndarray) -> np.ndarray:
    """``kernel`` on columns [n, 1] of float64, of the broadcast operands; result in their dtype."""
    dtype = operands[0].dtype
    arrays = np.broadcast_arrays(*operands)
    shape = arrays[0].shape
    columns = [a.reshape(-1, 1).astype(np.float64) for a in arrays]
    out = np.empty(columns[0].size, dtype)
    with np.errstate(all="ignore"):
        for start in range(0, out.size, _CHUNK):
            out[start : start + _CHUNK] = kernel(*[c[start : start + _CHUNK] for c in columns])
    return out.reshape(shape)


def _gamma(x: np.ndarray, a: np.ndarray) -> np.ndarray:
    psi = scalar_math.digamma(a)
    log_x = np.log(x)
    left = (log_x < psi) | (x < 1)
    side = np.where(left, -1.0, 1.0)
    scale = 1 / (np.maximum(side * (x - a), 0) + np.sqrt(x))
    v = scale * _POINTS
    # f(t) dt / f(x) = x e^(+-a v - x (e^(+-v) - 1)) dv at t = x e^(+-v); s(t) = log t - psi(a)
    exponent = side * a * v - x * np.expm1(side * v)
    score = side * (log_x - psi) + v
    terms = np.exp(exponent) * score
    terms[~np.isfinite(exponent)] = 0
    return (x * scale)[:, 0] * (terms @ _WEIGHTS)


def gamma(x: np.ndarray, a: np.ndarray) -> np.ndarray:
    """dx/da of numbers x of Gamma(a, 1)."""
    return _in_chunks(_gamma, x, a)


def _beta(x: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    rest = 1 - x
    mean = scalar_math.digamma(a) - scalar_math.digamma(a + b)  # of log t
    log_x = np.log(x)
    left = (log_x < mean) | (x * (2 + a + b) < 1)
    side = np.where(left, -1.0, 1.0)
    slope = side * (b * x - a * rest)
    scale = 1 / (np.maximum(slope, 0) + np.sqrt((a + b) * x * rest))
    v = scale * _POINTS
    # With u = logit t: f(t) dt / f(x) = x (1 - x) (t / x)^a ((1 - t) / (1 - x))^b du.
    # t / x = e^w / (1 - x + x e^w) and (1 - t) / (1 - x) = 1 / (1 - x + x e^w) for w = +-v.
    w = side * v
    spread = np.where(left, np.log1p(x * np.expm1(w)), w + np.log(x + rest * np.exp(-w)))
    log_ratio = w - spread
    exponent = a * log_ratio - b * spread
    terms = np.exp(exponent) * side * (log_x + log_ratio - mean)
    terms[~np.isfinite(exponent)] = 0
    return (x * rest * scale)[:, 0] * (terms @ _WEIGHTS)


def beta(x: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """dx/da of numbers x of Beta(a, b)."""
    return _in_chunks(_beta, x, a, b)
