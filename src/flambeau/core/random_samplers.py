"""Sampling by probabilities, and distributions that take a varying number of uniform numbers.

The second half of ``random_recipes``: arguments, results and sources are as there.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .random_recipes import _F32, _F64, _FLOATS, _not_implemented, _unit64, exponential, uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .generator import Generator


def multinomial(
    generator: Generator, weights: np.ndarray, count: int, replacement: bool = False
) -> np.ndarray:
    """``count`` indices (int64) per row of ``weights``, 1-d or 2-d, drawn with those probabilities.

    One index, or several that differ: the largest of weights / q, q exponential (the trick of
    Gumbel's maximum). With replacement: where uniform numbers fall in the cumulative weights.
    """
    if not 1 <= weights.ndim <= 2:
        raise RuntimeError(f"prob_dist must be 1 or 2 dim, but has {weights.ndim}")
    if weights.dtype not in _FLOATS:
        raise RuntimeError(
            f"multinomial only supports floating-point dtypes for input, got: {weights.dtype}"
        )
    if count <= 0:
        raise RuntimeError(f"cannot sample n_sample <= 0 samples, got {count}")
    categories = weights.shape[-1]
    if not replacement and count > categories:
        raise RuntimeError(
            "cannot sample n_sample > prob_dist.size(-1) samples without replacement: "
            f"{count} > {categories}"
        )
    if categories > 2**24:
        raise RuntimeError(f"number of categories cannot exceed 2^24, got {categories}")
    if weights.size == 0:
        return np.empty((*weights.shape[:-1], count), np.int64)
    work = weights if weights.dtype == _F64 else weights.astype(_F32)
    _check_weights(work, with_replacement=replacement and count > 1)
    if count == 1 or not replacement:
        q = exponential(generator, weights.shape, weights.dtype)
        with np.errstate(divide="ignore", invalid="ignore"):
            np.divide(weights, q, out=q)
        if count == 1:
            return q.argmax(-1, keepdims=True)
        return np.ascontiguousarray(np.argsort(-q, -1, kind="stable")[..., :count])
    rows = work.reshape(-1, categories)
    out = np.empty((len(rows), count), np.int64)
    for row, indices in zip(rows, out):
        cumulative = np.add.accumulate(row)
        cumulative /= cumulative[-1]
        cumulative[-1] = 1
        indices[:] = cumulative.astype(_F64).searchsorted(uniform(generator, count, _F64))
    return out.reshape(*weights.shape[:-1], count)


def _check_weights(weights: np.ndarray, with_replacement: bool) -> None:
    """RuntimeError unless each row holds finite numbers, none negative and not all of them 0."""
    totals = np.add.reduce(weights, -1)
    low, high = np.minimum.reduce(totals, None), np.maximum.reduce(totals, None)
    negative = not np.minimum.reduce(weights, None) >= 0
    if 0 < low and high < np.inf and not negative:
        return
    finite = np.isfinite(weights).all()
    if not with_replacement and (negative or not finite):
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if negative:
        problem = "encountering probability entry < 0"
    elif not finite:
        problem = "encountering probability entry = infinity or NaN"
    elif 0 < low:
        return  # finite numbers whose sum overflows
    else:
        problem = "sum of probabilities <= 0"
    raise RuntimeError(f"invalid multinomial distribution ({problem})")


def _doubles(generator: Generator) -> Iterator[float]:
    """Uniform float64 numbers one by one; ``close()`` gives back the outputs not used."""
    rest = np.empty(0, np.uint32)
    numbers = iter(())
    try:
        while True:
            words = np.concatenate((rest, generator.words_of_block()))
            even = len(words) // 2 * 2
            rest = words[even:]
            numbers = iter(_unit64(words[:even]).tolist())
            yield from numbers
    finally:
        generator.give_back(2 * numbers.__length_hint__() + len(rest))


def _sample(
    generator: Generator,
    shape: tuple[int, ...],
    dtype: np.dtype,
    one: Callable[..., float],
    *parameters: list,
) -> np.ndarray:
    """An array of ``one(next uniform number, *parameters)``, element by element."""
    numbers = _doubles(generator)
    draw = numbers.__next__
    try:
        values = [one(draw, *p) for p in zip(*parameters)]
    finally:
        numbers.close()
    return np.array(values, _F64).astype(dtype).reshape(shape)


def poisson(generator: Generator, rate: np.ndarray) -> np.ndarray:
    """Poisson numbers of each rate, of rate's dtype.

    Below 10 by multiplying uniform numbers (Knuth), else by rejection (Hoermann 1993, PTRS).
    """
    if rate.dtype not in _FLOATS:
        raise _not_implemented("poisson_cpu", rate.dtype)
    if rate.size and not rate.min() >= 0:
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    rates = rate.astype(_F64).reshape(-1).tolist()
    return _sample(generator, rate.shape, rate.dtype, _poisson, rates)


def _poisson(draw: Callable[[], float], rate: float) -> int:
    if rate < 10:
        if rate == 0:
            return 0
        least = math.exp(-rate)
        k = 0
        product = draw()
        while product > least:
            k += 1
            product *= draw()
        return k
    root, log_rate = math.sqrt(rate), math.log(rate)
    b = 0.931 + 2.53 * root
    a = -0.059 + 0.02483 * b
    log_inverse_alpha = math.log(1.1239 + 1.1328 / (b - 3.4))
    box = 0.9277 - 3.6224 / (b - 2)
    while True:
        u, v = draw() - 0.5, draw()
        s = 0.5 - abs(u)
        k = math.floor((2 * a / s + b) * u + rate + 0.43) if s else -1
        if s >= 0.07 and v <= box:
            return k
        if k < 0 or (s < 0.013 and v > s):
            continue
        left = _log(v) + log_inverse_alpha - math.log(a / (s * s) + b)
        if left <= -rate + k * log_rate - math.lgamma(k + 1.0):
            return k


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf


def binomial(generator: Generator, count: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Successes in ``count`` trials of probability ``p``; both of one shape and floating dtype.

    By geometric numbers where fewer than 10 are expected, else by rejection (Hoermann 1993, BTRS).
    """
    if count.dtype not in (_F32, _F64):
        raise _not_implemented("binomial_cpu", count.dtype)
    with np.errstate(all="ignore"):
        return _sample(
            generator,
            count.shape,
            count.dtype,
            _binomial,
            list(count.reshape(-1)),
            list(p.reshape(-1)),
        )


def _binomial(draw: Callable[[], float], n: np.floating, p: np.floating) -> float:
    """PyTorch computes what depends on n and p alone in their own type."""
    if n <= 0 or p <= 0:
        return 0.0
    if p >= 1:
        return float(n)
    if not p <= 0.5:
        if p != p:
            return math.nan
        return float(n) - _binomial(draw, n, type(p)(1.0 - float(p)))
    if n * p >= 10:
        return _binomial_by_rejection(draw, n, p)
    log_q = float(np.log1p(-p))
    total, k = 0.0, 0
    while True:
        u = draw()
        total += math.ceil(_log(u) / log_q) if u else math.inf
        if total > n:
            return float(k)
        k += 1


def _binomial_by_rejection(draw: Callable[[], float], n: np.floating, p: np.floating) -> float:
    one = type(n)(1)
    deviation = float(np.sqrt(n * p * (one - p)))
    center, odds = float(n * p) + 0.5, float(p / (one - p))
    mode = float(np.floor((n + one) * p))
    trials = float(n)
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * float(p)
    box = 0.92 - 4.2 / b
    alpha = (2.83 + 5.1 / b) * deviation
    while True:
        u, v = draw() - 0.5, draw()
        s = 0.5 - abs(u)
        k = math.floor((2 * a / s + b) * u + center) if s else -1
        if k < 0 or k > trials:
            continue
        if s >= 0.07 and v <= box:
            return float(k)
        bound = (
            (mode + 0.5) * math.log((mode + 1) / (odds * (trials - mode + 1)))
            + (trials + 1) * math.log((trials - mode + 1) / (trials - k + 1))
            + (k + 0.5) * math.log(odds * (trials - k + 1) / (k + 1))
            + _stirling_tail(mode)
            + _stirling_tail(trials - mode)
            - _stirling_tail(k)
            - _stirling_tail(trials - k)
        )
        if _log(v * alpha / (a / (s * s) + b)) <= bound:
            return float(k)


_STIRLING_TAILS = (
    0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509,
    0.0166446911898211, 0.0138761288230707, 0.0118967099458917, 0.0104112652619720,
    0.00925546218271273, 0.00833056343336287,
)  # fmt: skip


def _stirling_tail(k: float) -> float:
    """log k! less Stirling's approximation of it."""
    if k < len(_STIRLING_TAILS):
        return _STIRLING_TAILS[int(k)]
    square = (k + 1) * (k + 1)
    return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1)


def standard_gamma(generator: Generator, shape_parameter: np.ndarray) -> np.ndarray:
    """Gamma numbers of scale 1, one for each shape parameter (Marsaglia and Tsang 2000)."""
    dtype = shape_parameter.dtype
    if dtype not in (_F32, _F64):
        raise _not_implemented("gamma_cpu", dtype)
    out = _sample(
        generator,
        shape_parameter.shape,
        dtype,
        lambda draw, alpha: _gamma(draw, generator, alpha),
        list(shape_parameter.reshape(-1)),
    )
    return np.maximum(out, np.finfo(dtype).tiny, out=out)


def _gamma(draw: Callable[[], float], generator: Generator, alpha: np.floating) -> float:
    """PyTorch computes what depends on alpha alone in its own type."""
    real, scale = type(alpha), 1.0
    if alpha < 1:
        if alpha == 0:
            return 0.0
        scale = math.pow(1 - draw(), float(real(1) / alpha))
        alpha = alpha + real(1)
    d = float(alpha - real(_THIRD))
    c = 1 / math.sqrt(9 * d)
    while True:
        y = 0.0
        while y <= 0:
            x = _normal(draw, generator)
            y = 1 + c * x
        v = y * y * y
        u = 1 - draw()
        if u < 1 - _SQUEEZE * x * x * (x * x) or _log(u) < 0.5 * x * x + d * (1 - v + math.log(v)):
            return scale * d * v


_THIRD, _SQUEEZE = float(_F32.type(1) / _F32.type(3)), float(_F32.type(0.0331))


def _normal(draw: Callable[[], float], generator: Generator) -> float:
    kept = generator.normal
    if kept is not None:
        generator.normal = None
        return kept
    u, v = draw(), draw()
    radius, angle = math.sqrt(-2.0 * math.log1p(-v)), 2.0 * math.pi * u
    generator.normal = radius * math.sin(angle)
    return radius * math.cos(angle)


def dirichlet(generator: Generator, concentration: np.ndarray) -> np.ndarray:
    """Points of the simplex: gamma numbers over their sum along the last dimension."""
    dtype = concentration.dtype
    if dtype not in (_F32, _F64):
        raise _not_implemented("dirichlet", dtype)
    gammas = standard_gamma(generator, concentration.astype(_F64))
    out = (gammas / gammas.sum(-1, keepdims=True)).astype(dtype)
    below_one = np.nextafter(dtype.type(1), dtype.type(0))
    return np.clip(out, np.finfo(dtype).tiny, below_one)
