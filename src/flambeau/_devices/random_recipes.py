"""Random arrays on the GPU: each function is the one of the same name in ``core.random_recipes``,
which says what it takes and means, with a generator of the GPU.

Nothing is copied from the CPU: each is one kernel (``random_kernels``). Arguments are looked at by
the CPU's recipe, which is asked for no elements. On the same GPU the numbers of ``uniform``,
``normal``, ``randint``, ``bernoulli`` by a number, ``exponential`` and dropout are PyTorch's;
``randperm`` and what draws by an array of parameters are reproducible, and their own.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import random_recipes as cpu
from ..core.generator import Generator
from ..core.random_recipes import Shape, integer_range, numbers_of
from .arrays import DeviceArray, adopted, hollow, seen
from .backend import backend
from .operands import converted
from .philox import PhiloxGenerator
from .random_kernels import RECIPES, blocks_for, per_block, spent

_F32, _F64, _I64 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)
_PARTS = {np.dtype(np.complex64): _F32, np.dtype(np.complex128): _F64}
_checks = Generator()  # draws no number: the CPU's recipes look at arguments with it


def _work(dtype: np.dtype) -> np.dtype:
    """The dtype in which numbers of ``dtype`` are made."""
    return _F64 if dtype == _F64 else _F32


def _draw(
    recipe: str,
    generator: PhiloxGenerator,
    shape: Shape,
    dtype: np.dtype,
    *parameters: Any,
    side: int = 1,
) -> DeviceArray:
    """An array of ``recipe`` with the parameters a, b, c."""
    if not isinstance(generator, PhiloxGenerator):
        raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
    shape = shape if isinstance(shape, tuple) else (shape,)
    count = math.prod(shape)
    if not count:
        return hollow(shape, dtype)
    device = backend()
    blocks = blocks_for(count, device.resident_blocks())
    seed, offset = generator.spend(spent(count, blocks, per_block(recipe, dtype)))
    if RECIPES[recipe].source in ("bits", "wide"):
        kind: Any = np.uint64
    else:
        kind = _work(dtype).type
    given = [kind(p) for p in (*parameters, *(0,) * (3 - len(parameters)))]
    target = _target.array
    if target is not None and target.shape == shape and target.dtype == dtype:
        out = seen(target).reshape(-1)
        device.random(recipe, dtype, count, side, blocks, seed, offset // 4, given, out)
        return target
    made = device.random(recipe, dtype, count, side, blocks, seed, offset // 4, given)
    return adopted(made.reshape(shape), dtype)


class _Target(threading.local):
    """Where the numbers that are drawn in this thread go at once; None for memory of their own."""

    array: DeviceArray | None = None


_target = _Target()


def drawn_into(target: DeviceArray, make: Callable[[], DeviceArray]) -> None:
    """Fill ``target`` with what ``make`` draws: at once, where its elements lie in their order."""
    _target.array = target if target.flags.c_contiguous else None
    try:
        made = make()
    finally:
        _target.array = None
    if made is not target:
        fill(target, made)


def fill(target: DeviceArray, values: DeviceArray) -> DeviceArray:
    """See core.random_recipes."""
    if target.flags.c_contiguous:
        seen(target)[...] = seen(values).reshape(target.shape)
        return target
    order = sorted(range(target.ndim), key=lambda i: (-target.strides[i], i))
    in_order = seen(target).transpose(order)
    in_order[...] = seen(values).reshape(in_order.shape)
    return target


def _complex(recipe: Any, generator: Generator, shape: Shape, dtype: np.dtype, *rest: float) -> Any:
    shape = shape if isinstance(shape, tuple) else (shape,)
    parts = recipe(generator, (*shape, 2), _PARTS[dtype], *rest)
    if not parts.size:
        return hollow(shape, dtype)
    return adopted(seen(parts).view(dtype).reshape(shape))


def uniform(
    generator: Generator, shape: Shape, dtype: np.dtype, low: float = 0.0, high: float = 1.0
) -> DeviceArray:
    """See core.random_recipes."""
    if dtype in _PARTS:
        return _complex(uniform, generator, shape, dtype, low, high)
    cpu.uniform(_checks, 0, dtype, low, high)
    low, high = dtype.type(low), dtype.type(high)
    return _draw("uniform", generator, shape, dtype, float(high - low), float(low), float(high))


def normal(
    generator: Generator,
    shape: Shape,
    dtype: np.dtype,
    mean: float = 0.0,
    std: float = 1.0,
    contiguous: bool = True,
) -> DeviceArray:
    """See core.random_recipes; ``contiguous`` makes no difference."""
    if dtype in _PARTS:
        return _complex(normal, generator, shape, dtype, mean, std / math.sqrt(2))
    cpu.normal(_checks, 0, dtype, mean, std)
    return _draw("normal", generator, shape, dtype, std, mean)


def normal_of(
    generator: Generator, mean: DeviceArray | float, std: DeviceArray | float
) -> DeviceArray:
    """See core.random_recipes."""
    first = mean if isinstance(mean, np.ndarray) else std
    dtype = first.dtype
    if not isinstance(std, np.ndarray):
        made = normal(generator, mean.shape, dtype, 0.0, std)
        return stored(elements(made) + elements(mean), dtype)
    if std.dtype.kind == "c":
        raise RuntimeError("normal expects standard deviation to be non-complex")
    if std.size and not bool((elements(std) >= 0).all()):
        raise RuntimeError("normal expects all elements of std >= 0.0")
    shape = np.broadcast_shapes(np.shape(mean), std.shape)
    made = elements(normal(generator, shape, dtype)) * elements(std)
    return stored(made + (elements(mean) if isinstance(mean, np.ndarray) else mean), dtype)


def elements(array: DeviceArray) -> Any:
    """The elements as the device's array module computes with them."""
    work = array.dtype if array.dtype.kind == "c" else _work(array.dtype)
    return converted(seen(array), array.dtype, work)


def stored(made: Any, dtype: np.dtype) -> DeviceArray:
    """``made``, an array of the device's module, as ``dtype``."""
    return adopted(converted(made, made.dtype, dtype), dtype)


def log_normal(
    generator: Generator, shape: Shape, dtype: np.dtype, mean: float = 1.0, std: float = 2.0
) -> DeviceArray:
    """See core.random_recipes."""
    cpu.log_normal(_checks, 0, dtype, mean, std)
    return _draw("log_normal", generator, shape, dtype, std, mean)


def random(generator: Generator, shape: Shape, dtype: np.dtype) -> DeviceArray:
    """See core.random_recipes."""
    recipe = "integer64" if dtype in (_F64, _I64) else "integer"
    return _draw(recipe, generator, shape, dtype, numbers_of(dtype), 0)


def randint(
    generator: Generator, shape: Shape, dtype: np.dtype, low: int, high: int | None
) -> DeviceArray:
    """See core.random_recipes."""
    if high is None and low == -(2**63):
        cpu.randint(_checks, 0, dtype, low, high)
        return _draw("every64", generator, shape, dtype)
    low, width = integer_range(dtype, low, high)
    recipe = "integer64" if width >= 2**28 else "integer"
    return _draw(recipe, generator, shape, dtype, width, low % 2**64)


def randperm(generator: Generator, n: int, dtype: np.dtype = _I64) -> DeviceArray:
    """A random order of 0 ... n - 1: that of n random keys of 63 bits."""
    cpu.check_permutation(n, dtype)
    if not n:
        return hollow((0,), dtype)
    keys = random(generator, n, _I64)
    return stored(backend().xp.argsort(seen(keys)), dtype)


def bernoulli(
    generator: Generator, shape: Shape, dtype: np.dtype, p: float | DeviceArray
) -> DeviceArray:
    """See core.random_recipes; by an array, ``uniform < p``."""
    if not isinstance(p, np.ndarray):
        cpu.bernoulli(_checks, 0, dtype, p)
        return _draw("bernoulli", generator, shape, dtype, p)
    cpu.bernoulli(_checks, 0, dtype, np.empty(0, p.dtype))
    chance = elements(p)
    if p.size and not bool(((chance >= 0) & (chance <= 1)).all()):
        raise RuntimeError(
            "Expected p_in >= 0 && p_in <= 1 to be true, but got false: "
            f"probabilities from {chance.min().item():g} to {chance.max().item():g}"
        )
    shape = shape if isinstance(shape, tuple) else (shape,)
    made = elements(uniform(generator, shape, _work(p.dtype)))
    return stored(made < chance, dtype)


def _side_by_side(count: int, dtype: np.dtype) -> int:
    """How many elements a thread of PyTorch's dropout takes at a time: 16 bytes of them, if that
    divides the count, or less. (Of 16-bit floats it takes 8, and these masks are not PyTorch's:
    its next mask would begin with half of this one's outputs.)"""
    return next((n for n in (4, 2) if count % n == 0 and n * dtype.itemsize <= 16), 1)


def dropout_noise(generator: Generator, shape: Shape, dtype: np.dtype, p: float) -> DeviceArray:
    """See core.random_recipes."""
    count = math.prod(shape) if isinstance(shape, tuple) else shape
    kept = _work(dtype).type(1 - p)
    side = _side_by_side(count, dtype)
    return _draw("dropout", generator, shape, dtype, kept, 1.0 / kept, side=side)


def channel_noise(generator: Generator, shape: Shape, dtype: np.dtype, p: float) -> DeviceArray:
    """``dropout_noise`` for whole channels, which PyTorch draws as Bernoulli's numbers."""
    kept = bernoulli(generator, shape, dtype, 1 - p)
    return stored(elements(kept) / (1 - p), dtype)


def alpha_dropout_noise(
    generator: Generator, shape: Shape, dtype: np.dtype, p: float
) -> tuple[DeviceArray, DeviceArray]:
    """See core.random_recipes."""
    alpha = 1.7580993408473766  # of SELU: scale times alpha
    scale = 1 / math.sqrt((alpha * alpha * p + 1) * (1 - p))
    noise = elements(bernoulli(generator, shape, dtype, 1 - p))
    shift = (noise - 1) * (alpha * scale) + alpha * scale * p
    return stored(noise * scale, dtype), stored(shift, dtype)


def geometric(generator: Generator, shape: Shape, dtype: np.dtype, p: float) -> DeviceArray:
    """See core.random_recipes."""
    cpu.geometric(_checks, 0, dtype, p)
    return _draw("geometric", generator, shape, dtype, p)


def exponential(
    generator: Generator, shape: Shape, dtype: np.dtype, rate: float = 1.0
) -> DeviceArray:
    """See core.random_recipes."""
    cpu.exponential(_checks, 0, dtype, rate)
    return _draw("exponential", generator, shape, dtype, -1.0 / _work(dtype).type(rate))


def cauchy(
    generator: Generator, shape: Shape, dtype: np.dtype, median: float = 0.0, sigma: float = 1.0
) -> DeviceArray:
    """See core.random_recipes."""
    cpu.cauchy(_checks, 0, dtype, median, sigma)
    return _draw("cauchy", generator, shape, dtype, sigma, median)
