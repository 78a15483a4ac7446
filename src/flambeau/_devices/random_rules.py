"""How the records of random operations run on a GPU: by ``random_recipes``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import random_samplers as samplers
from ..core.generator import Generator
from ..core.op import Op
from . import random_recipes as recipes
from .arrays import DeviceArray, seen, sent
from .backend import backend
from .philox import PhiloxGenerator
from .rules import rule


def _arrays(args: tuple) -> list[Any]:
    return [a._array if hasattr(a, "_array") else a for a in args]


@rule("normal")
def _normal(op: Op, args: tuple) -> Any:
    mean, std, generator = _arrays(args)
    return recipes.normal_of(generator, _there(mean), _there(std))


def _there(array: Any) -> Any:
    """A parameter on the device; numbers as they are."""
    return sent(array) if isinstance(array, np.ndarray) and _is_host(array) else array


def _is_host(array: np.ndarray) -> bool:
    return not isinstance(array, DeviceArray)


@rule("bernoulli")
def _bernoulli(op: Op, args: tuple) -> Any:
    p, generator = _arrays(args)
    return recipes.bernoulli(generator, p.shape, p.dtype, p)


@rule("bernoulli_")
def _bernoulli_like(op: Op, args: tuple) -> Any:
    p, generator, shape, dtype = _arrays(args)
    return recipes.bernoulli(generator, tuple(shape), dtype, p)


@rule("alpha_dropout_noise")
def _alpha(op: Op, args: tuple) -> Any:
    like, feature, p, generator = _arrays(args)
    shape = like.shape[:2] + (1,) * (like.ndim - 2) if feature else like.shape
    if feature and like.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    scale, shift = recipes.alpha_dropout_noise(generator, shape, like.dtype, p)
    return scale, shift


@rule("rrelu_noise")
def _rrelu(op: Op, args: tuple) -> Any:
    x, lower, upper, generator = _arrays(args)
    xp, work = backend().xp, recipes.elements(x)
    slopes = recipes.uniform(generator, x.shape, work.dtype, lower, upper)
    made = xp.where(work <= 0, seen(slopes), xp.ones((), work.dtype))
    return recipes.stored(made, x.dtype)


@rule("multinomial")
def _multinomial(op: Op, args: tuple) -> Any:
    """As on the CPU: the largest of weights / q, q exponential; with replacement, where uniform
    numbers fall among the sums of the weights."""
    weights, count, replacement, generator = _arrays(args)
    if weights.size == 0 or not 1 <= weights.ndim <= 2 or count <= 0 or weights.dtype.kind in "biu":
        return samplers.multinomial(recipes._checks, weights.host(), count, replacement)
    categories = weights.shape[-1]
    if not replacement and count > categories:
        raise RuntimeError(
            "cannot sample n_sample > prob_dist.size(-1) samples without replacement: "
            f"{count} > {categories}"
        )
    xp, work = backend().xp, recipes.elements(weights)
    _check_weights(work, replacement and count > 1)
    if count == 1 or not replacement:
        q = recipes.exponential(generator, weights.shape, work.dtype)
        keys = work / seen(q)
        if count == 1:
            return xp.argmax(keys, -1).reshape(*weights.shape[:-1], 1).astype(np.int64)
        return xp.ascontiguousarray(xp.argsort(-keys, -1)[..., :count]).astype(np.int64)
    rows = work.reshape(-1, categories).astype(np.float64)
    sums = xp.cumsum(rows, -1)
    sums = sums / sums[:, -1:]
    points = seen(recipes.uniform(generator, (len(rows), count), np.dtype(np.float64)))
    # Row by row they ascend from 0 to 1; each moved by its number, all rows are one sequence.
    steps = xp.arange(len(rows)).reshape(-1, 1)
    places = xp.searchsorted((sums + steps).reshape(-1), (points + steps).reshape(-1), "right")
    found = places.reshape(len(rows), count) - steps * categories
    last = categories - 1 - xp.argmax(rows[:, ::-1] > 0, -1).reshape(-1, 1)
    found = xp.minimum(found, last)  # a point may be rounded up to its row's end
    return found.reshape(*weights.shape[:-1], count).astype(np.int64)


def _check_weights(weights: Any, with_replacement: bool) -> None:
    """See core.random_samplers; the device is asked once."""
    xp = backend().xp
    least, total = weights.min(), weights.sum(-1)
    told = xp.stack([least, total.min(), total.max()]).tolist()
    if told[0] >= 0 and 0 < told[1] and told[2] < math.inf:
        return
    samplers._check_weights(backend().to_host(weights), with_replacement)


@rule("poisson binomial _standard_gamma _dirichlet")
def _on_the_cpu(op: Op, args: tuple) -> Any:
    """Drawn on the CPU, by a generator that begins where the GPU's is, which goes on by 4."""
    *operands, generator = args
    if not isinstance(generator, PhiloxGenerator):
        raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
    seed, offset = generator.spend(4)
    source = Generator().manual_seed((seed ^ (offset * 0x9E3779B97F4A7C15)) % 2**64)
    hosts = [a._array.host() if isinstance(a._array, DeviceArray) else a._array for a in operands]
    return op.forward(*hosts, source)
