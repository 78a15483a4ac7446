"""Random arrays in PyTorch's recipes: how each distribution spends the outputs of mt19937.

Every function takes the generator first and returns a new C-contiguous array of the shape and dtype
asked for, filled in the order of its elements. A ``shape`` is an int or a tuple; ``dtype`` a NumPy
dtype, bfloat16 that of ml_dtypes. PyTorch fills a tensor in the order of its strides: to do as it
does in place on any layout, write the result with ``fill``. Source of the recipes: PyTorch 2.13,
ATen/core/DistributionsHelper.h and ATen/native/cpu/DistributionTemplates.h, compiled for AVX2.
"""

from __future__ import annotations

import math
import warnings
from math import cos, log1p, sin, sqrt
from typing import TYPE_CHECKING

import numpy as np

from .. import _dtypes
from .box_muller import box_muller, fused

if TYPE_CHECKING:
    from collections.abc import Callable

    from .generator import Generator

Shape = int | tuple[int, ...]

_F32, _F64, _I64 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)
_I64_MIN, _I64_MAX = -(2**63), 2**63 - 1
_CHUNK = 1 << 14  # elements made at a time: what is between outputs and result stays in the caches
_MASK24 = np.array(2**24 - 1, np.uint32)
_MASK53 = np.array(2**53 - 1, np.uint64)
_TWO_PI = 2.0 * math.pi
_HALF_WORD = np.array(32, np.uint64)
_TO_UNIT24 = np.array(2.0**-24, np.float32)
_BF16 = _dtypes.bfloat16.numpy
# dtype -> (bits of its significand, its largest number)
_FLOATS = {
    _F64: (53, float(np.finfo(np.float64).max)),
    _F32: (24, float(np.finfo(np.float32).max)),
    np.dtype(np.float16): (11, 65504.0),
    _BF16: (8, 3.3895313892515355e38),
}
_COMPLEX_PARTS = {np.dtype(np.complex64): _F32, np.dtype(np.complex128): _F64}
_INTEGERS = {np.dtype(t): int(np.iinfo(t).max) for t in ("u1", "i1", "i2", "i4", "i8")}
_BOOL = np.dtype(bool)
# dtype -> the bounds of randint, which takes int64
_BOUNDS = {dtype: (-largest, largest) for dtype, (_, largest) in _FLOATS.items()}
_BOUNDS |= {
    np.dtype(t): (int(np.iinfo(t).min), min(int(np.iinfo(t).max), _I64_MAX))
    for t in ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8")
}
_BOUNDS[_BOOL] = (0, 1)


def fill(target: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Write ``values`` into ``target`` in PyTorch's order, by descending strides; return target."""
    if target.flags.c_contiguous:
        target[...] = values.reshape(target.shape)
    else:
        order = sorted(range(target.ndim), key=lambda i: (-target.strides[i], i))
        in_order = target.transpose(order)
        in_order[...] = values.reshape(in_order.shape)
    return target


def _type_name(dtype: np.dtype) -> str:
    return _dtypes.from_numpy(dtype).legacy_name


def _not_implemented(kernel: str, dtype: np.dtype) -> NotImplementedError:
    return NotImplementedError(f"\"{kernel}\" not implemented for '{_type_name(dtype)}'")


# How the outputs become numbers. A kernel takes outputs and gives an array of as many elements.


def _wide(words: np.ndarray) -> np.ndarray:
    """Pairs of outputs as integers of 64 bits, the first of each pair above the second."""
    pairs = words.view(np.uint64)
    wide = pairs << _HALF_WORD
    wide |= pairs >> _HALF_WORD
    return wide


def _unit32(words: np.ndarray) -> np.ndarray:
    """Uniform float32 numbers of [0, 1): 24 bits of one output each."""
    unit = (words & _MASK24).astype(_F32)
    unit *= _TO_UNIT24
    return unit


def _unit64(words: np.ndarray) -> np.ndarray:
    """Uniform float64 numbers of [0, 1): 53 bits of two outputs each."""
    bits = _wide(words)
    bits &= _MASK53
    unit = bits.view(np.int64).astype(_F64)
    unit *= 2.0**-53
    return unit


def _make(
    generator: Generator,
    shape: Shape,
    dtype: np.dtype,
    kernel: Callable[[np.ndarray], np.ndarray],
    each: int,
) -> np.ndarray:
    """An array whose elements ``kernel`` makes of ``each`` outputs (1 or 2) apiece."""
    size = math.prod(shape) if isinstance(shape, tuple) else shape
    if size <= _CHUNK:
        values = kernel(generator.words(size * each))
        return (values if values.dtype == dtype else _cast(values, dtype)).reshape(shape)
    out = np.empty(size, dtype)
    for start in range(0, size, _CHUNK):
        stop = min(start + _CHUNK, size)
        out[start:stop] = _cast(kernel(generator.words((stop - start) * each)), dtype)
    return out.reshape(shape)


def _cast(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """C's conversion to ``dtype``, copying; to the 16-bit floats it goes by way of float32."""
    if dtype.itemsize == 2 and dtype in _FLOATS and values.dtype != _F32:
        values = values.astype(_F32)
    return values.astype(dtype)


# Uniform


def uniform(
    generator: Generator, shape: Shape, dtype: np.dtype, low: float = 0.0, high: float = 1.0
) -> np.ndarray:
    """Uniform on [low, high): u (high - low) + low, u of 24 bits, 53 for float64.

    Complex numbers are two such. float16 and bfloat16 are rounded float32, ``high`` becoming
    ``low``. RuntimeError for a range that is empty or beyond the dtype.
    """
    if low == 0 and high == 1 and dtype == _F32:
        return _make(generator, shape, dtype, _unit32, 1)
    if dtype in _COMPLEX_PARTS:
        return _complex(uniform, generator, shape, dtype, low, high)
    if dtype not in _FLOATS:
        raise _not_implemented("check_uniform_bounds", dtype)
    if low == 0 and high == 1:
        if dtype == _F64:
            return _make(generator, shape, dtype, _unit64, 2)
        out = _make(generator, shape, dtype, _unit32, 1)
        out[out == 1] = 0
        return out
    largest = _FLOATS[dtype][1]
    for name, value in (("from", low), ("to", high)):
        if not -largest <= value <= largest:
            raise RuntimeError(f"{name} is out of bounds for {_type_name(dtype)}: {value:g}")
    if not low <= high:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={high:g}"
        )
    if not high - low <= largest:
        raise RuntimeError(
            f"uniform_ expects to-from <= std::numeric_limits<{_type_name(dtype)}>::max(), but "
            f"found to={high:g} and from={low:g} which result in to-from to exceed the limit"
        )
    if dtype == _F64:
        kernel = lambda words: fused(_unit64(words), high - low, low)
        each = 2
    else:
        low32, high32 = _F32.type(low), _F32.type(high)
        width = _F64.type(high32 - low32)
        kernel = lambda words: (_unit32(words) * width + low32).astype(
            _F32
        )  # float64, rounded once
        each = 1
    out = _make(generator, shape, dtype, kernel, each)
    out[out == dtype.type(high)] = dtype.type(low)
    return out


def _complex(
    recipe: Callable[..., np.ndarray],
    generator: Generator,
    shape: Shape,
    dtype: np.dtype,
    *parameters: float,
) -> np.ndarray:
    """Real and imaginary parts by ``recipe``, one after the other."""
    shape = shape if isinstance(shape, tuple) else (shape,)
    parts = recipe(generator, (*shape, 2), _COMPLEX_PARTS[dtype], *parameters)
    return parts.view(dtype).reshape(shape)


# Normal


def normal(
    generator: Generator,
    shape: Shape,
    dtype: np.dtype,
    mean: float = 0.0,
    std: float = 1.0,
    contiguous: bool = True,
) -> np.ndarray:
    """Normal with the given mean and standard deviation; complex parts have std / sqrt(2).

    From 16 elements on, PyTorch makes 16 at a time (``box_muller``), the last 16 anew where the
    number is not a multiple; fewer, or where the tensor to fill is not ``contiguous``, it makes
    one by one, pairwise in float64, and the generator keeps an unused second.
    """
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    if dtype in _COMPLEX_PARTS:
        return _complex(normal, generator, shape, dtype, mean, std / sqrt(2), contiguous)
    if dtype not in _FLOATS:
        raise _not_implemented("normal_kernel_cpu", dtype)
    size = math.prod(shape) if isinstance(shape, tuple) else shape
    if size < 16 or not contiguous:
        return _cast(_normal_one_by_one(generator, size, mean, std), dtype).reshape(shape)
    tail = size % 16
    work = dtype if dtype == _F64 else _F32
    # float32 and float64 draw all the uniform numbers before those of the last 16.
    out = uniform(generator, size if work == dtype else size - tail, work)
    if tail:
        out = np.concatenate((out[: size - tail], uniform(generator, 16, work)))
    box_muller(out, mean, std)
    if work != dtype:
        out = _cast(out, dtype)
    if tail:
        out = np.concatenate((out[: size - 16], out[-16:]))
    return out.reshape(shape)


def _normal_one_by_one(generator: Generator, size: int, mean: float, std: float) -> np.ndarray:
    """Float64 numbers r cos(t), r sin(t), ... with r = sqrt(-2 log(1 - v)), t = 2 pi u."""
    kept = [] if generator.normal is None or not size else [generator.normal]
    pairs = (size - len(kept) + 1) // 2
    if pairs <= 8:  # a loop is faster
        values = kept
        words = iter(generator.words(4 * pairs).tolist())
        for a, b, c, d in zip(words, words, words, words):
            angle = _TWO_PI * ((a & 0x1FFFFF) * 2.0**-21 + b * 2.0**-53)
            radius = sqrt(-2.0 * log1p((c & 0x1FFFFF) * -(2.0**-21) - d * 2.0**-53))
            values += (radius * cos(angle), radius * sin(angle))
    else:
        uniforms = uniform(generator, (pairs, 2), _F64)
        angle = _TWO_PI * uniforms[:, 0]
        radius = np.sqrt(-2.0 * np.log1p(-uniforms[:, 1]))
        np.multiply(radius, np.cos(angle), out=uniforms[:, 0])
        np.multiply(radius, np.sin(angle), out=uniforms[:, 1])
        values = np.append(kept, uniforms) if kept else uniforms.reshape(-1)
    if size:
        generator.normal = float(values[size]) if len(values) > size else None
    return fused(np.array(values[:size], _F64), std, mean)


def normal_of(
    generator: Generator, mean: np.ndarray | float, std: np.ndarray | float
) -> np.ndarray:
    """One normal number for each mean and standard deviation, one or both of them arrays.

    The result has the first array's dtype. RuntimeError for a negative deviation.
    """
    first = mean if isinstance(mean, np.ndarray) else std
    if not isinstance(std, np.ndarray):
        out = normal(generator, mean.shape, first.dtype, 0.0, std)
        out += mean
        return out
    if std.dtype.kind == "c":
        raise RuntimeError("normal expects standard deviation to be non-complex")
    if std.size and not std.min() >= 0:
        raise RuntimeError(f"normal expects all elements of std >= 0.0, but found {std.min():g}")
    shape = np.broadcast_shapes(np.shape(mean), std.shape)
    out = normal(generator, shape, first.dtype)
    out *= std.astype(out.dtype)
    out += np.asarray(mean, out.dtype)
    return out


def log_normal(
    generator: Generator, shape: Shape, dtype: np.dtype, mean: float = 1.0, std: float = 2.0
) -> np.ndarray:
    """exp of a normal number, made one by one in float64."""
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std:g}")
    if dtype not in _FLOATS:
        raise _not_implemented("log_normal_cpu", dtype)
    size = math.prod(shape) if isinstance(shape, tuple) else shape
    values = _normal_one_by_one(generator, size, mean, std)
    with np.errstate(over="ignore"):
        return _cast(np.exp(values), dtype).reshape(shape)


# Integers


def random(generator: Generator, shape: Shape, dtype: np.dtype) -> np.ndarray:
    """Every number from 0 to the dtype's largest; up to 2^(bits of significand) for floats."""
    return _modulo(generator, shape, dtype, numbers_of(dtype), 0, dtype in (_F64, _I64))


def numbers_of(dtype: np.dtype) -> int:
    """How many integers from 0 on ``random`` draws from."""
    if dtype in _FLOATS:
        return 2 ** _FLOATS[dtype][0] + 1
    if dtype in _INTEGERS:
        return _INTEGERS[dtype] + 1
    if dtype == _BOOL:
        return 2
    raise _not_implemented("random_kernel_cpu", dtype)


def randint(
    generator: Generator, shape: Shape, dtype: np.dtype, low: int, high: int | None
) -> np.ndarray:
    """Uniform integers of [low, high), of any real dtype: output mod (high - low), plus low.

    One output of 32 bits serves a range below 2^28, one of 64 bits any other. Without ``high``,
    up to and including the dtype's largest (2^(bits of significand) for floats).
    """
    if high is None and low == _I64_MIN:
        if dtype not in (_I64, _F64, _F32, _BF16):
            if dtype in _INTEGERS:
                raise RuntimeError(
                    "random_full_64_bits_range_kernel_cpu handles only int64, double, float and "
                    f"bfloat16, not {_type_name(dtype)}"
                )
            raise _not_implemented("random_full_64_bits_range_kernel_cpu", dtype)
        return _make(generator, shape, dtype, lambda words: _wide(words).view(np.int64), 2)
    low, width = integer_range(dtype, low, high)
    return _modulo(generator, shape, dtype, width, low, width >= 2**28)


def integer_range(dtype: np.dtype, low: int, high: int | None) -> tuple[int, int]:
    """The least integer of [low, high) that ``dtype`` has, and how many there are.

    RuntimeError where there are none, or the dtype does not hold them.
    """
    to_largest = high is None
    if dtype not in _BOUNDS:
        raise RuntimeError(
            "check_random_bounds handles only integral, floating-point and boolean types, "
            f"not {_type_name(dtype)}"
        )
    if to_largest:
        if dtype in _FLOATS:
            high = min(2 ** _FLOATS[dtype][0], _I64_MAX)
        else:
            high = int(np.iinfo(dtype).max) if dtype != _BOOL else 1
            high = -1 if high > _I64_MAX else high  # PyTorch's int64 holds uint64's largest so
    elif not low < high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    if dtype in _FLOATS:
        low = _representable_low(low, dtype)
        high = high if to_largest else _representable_high(high, dtype)
        if not low < high:
            raise RuntimeError(
                "random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, "
                f"but got from={low} >= to={high}"
            )
    last = high if to_largest else high - 1
    _check_integer_bounds(low, last, dtype)
    return low, last - low + 1


def _modulo(
    generator: Generator, shape: Shape, dtype: np.dtype, width: int, low: int, wide: bool
) -> np.ndarray:
    divisor = np.array(width, np.uint64 if wide else np.uint32)
    target = _I64 if dtype in _FLOATS or dtype == _BOOL or low else dtype

    def kernel(words: np.ndarray) -> np.ndarray:
        values = _wide(words) if wide else words
        if values.size < 1024:
            values = values % divisor
        else:  # division by one divisor is vectorised, the remainder is not: 4 times faster
            quotient = values // divisor
            quotient *= divisor
            values = np.subtract(values, quotient, out=quotient)
        values = values.astype(target)
        if low:
            values += low
        return values

    return _make(generator, shape, dtype, kernel, 2 if wide else 1)


def _rounded_integer(value: int, dtype: np.dtype) -> int:
    """``value`` as ``dtype`` holds it, as an int64; x86 makes -2^63 of what that cannot hold."""
    with np.errstate(over="ignore"):
        rounded = float(_cast(np.array([float(value)]), dtype)[0])
    return int(rounded) if -(2.0**63) <= rounded < 2.0**63 else _I64_MIN


def _representable_low(low: int, dtype: np.dtype) -> int:
    """The least integer of the dtype that is not below ``low``, as random_ computes it."""
    above = _rounded_integer(low + 1, dtype)
    if above < low:
        exponent = max(abs(low + 1).bit_length() - 1, 0)
        low = above + (1 << (exponent - _FLOATS[dtype][0] + 1))
    return low


def _representable_high(high: int, dtype: np.dtype) -> int:
    """The bound under which no integer rounds up to ``high`` or beyond, as random_ computes it."""
    below = _rounded_integer(high - 1, dtype)
    if below >= high:
        exponent = max(abs(high - 1).bit_length() - 1, 0)
        high = below - (1 << (exponent - _FLOATS[dtype][0] + 1))
    return high


def _check_integer_bounds(low: int, last: int, dtype: np.dtype) -> None:
    least, largest = _BOUNDS[dtype]
    for name, value in (("from", low), ("to - 1", last)):
        if not least <= value <= largest:
            raise RuntimeError(f"{name} is out of bounds for {_type_name(dtype)}: {value}")
        if dtype in _FLOATS and abs(value) > 2 ** _FLOATS[dtype][0]:
            power = f"2^{_FLOATS[dtype][0]}"
            warnings.warn(
                f"{name} is out of bounds [-({power}), {power}]: {_type_name(dtype)} does not "
                "hold every integer of the range, so the numbers are not uniform",
                stacklevel=3,
            )


def randperm(generator: Generator, n: int, dtype: np.dtype = _I64) -> np.ndarray:
    """A random order of 0 ... n - 1: Fisher-Yates from the left, one output a position."""
    check_permutation(n, dtype)
    if n < 2:
        return np.arange(n).astype(dtype)
    if n < (2**32 - 1) // 20:
        offsets = generator.words(n - 1) % np.arange(n, 1, -1, dtype=np.uint32)
    else:
        offsets = _wide(generator.words(2 * (n - 1))) % np.arange(n, 1, -1, dtype=np.uint64)
    return _fisher_yates(offsets.astype(np.int64)).astype(dtype)


def check_permutation(n: int, dtype: np.dtype) -> None:
    """RuntimeError unless ``dtype`` holds 0 ... n - 1."""
    if n < 0:
        raise RuntimeError(f"n must be non-negative, but got {n}")
    if dtype in _FLOATS:
        largest = n if dtype == _BF16 else 2 ** _FLOATS[dtype][0]  # PyTorch lets bfloat16 round
    elif dtype in _INTEGERS:
        largest = _INTEGERS[dtype]
    else:
        raise _not_implemented("randperm", dtype)
    if n - 1 > largest:
        raise RuntimeError(
            f"n cannot be greater than {largest + 1} for {_type_name(dtype)} type, but got {n}"
        )


def _fisher_yates(offsets: np.ndarray) -> np.ndarray:
    """What is left of 0 ... n - 1 after exchanging i with i + offsets[i], for i = 0 ... n - 2."""
    n = len(offsets) + 1
    if n < 2000:
        order = list(range(n))
        for i, offset in enumerate(offsets.tolist()):
            j = i + offset
            order[i], order[j] = order[j], order[i]
        return np.array(order)
    # Without a loop: position i ends with what position j = i + offset held at time i. That is j,
    # unless an earlier exchange wrote there: the last one, s, left what position s held at time s,
    # which is s itself or what the last exchange to write to s had left. ``held`` follows that.
    held = np.arange(n)
    moves = np.flatnonzero(offsets)
    shift = n.bit_length()
    keys = ((moves + offsets[moves]) << shift) | moves
    keys.sort()
    to, time = keys >> shift, keys & ((1 << shift) - 1)
    again = np.flatnonzero(to[1:] == to[:-1]) + 1
    held[to] = time  # the last exchange to write there stays, because times ascend
    while True:
        further = held[held]
        if np.array_equal(further, held):
            break
        held = further
    order = held.copy()  # where offset is 0, and the last position
    order[time] = to
    order[time[again]] = held[time[again - 1]]
    return order


# Bernoulli and the like


def bernoulli(
    generator: Generator, shape: Shape, dtype: np.dtype, p: float | np.ndarray
) -> np.ndarray:
    """1 with probability p, else 0. ``p``: one number, or an array that broadcasts to ``shape``.

    A number or a float64 array is compared with uniform numbers of 53 bits, others of 24 bits.
    """
    if dtype not in _FLOATS and dtype not in _INTEGERS and dtype != _BOOL:
        kind = "tensor_cpu_self_" if isinstance(p, np.ndarray) else "scalar_cpu_"
        raise _not_implemented(f"bernoulli_{kind}", dtype)
    if not isinstance(p, np.ndarray):
        if not 0 <= p <= 1:
            raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")
        threshold = np.array(math.ceil(p * 2.0**53), np.uint64)  # u < p, on u's 53 bits
        return _make(generator, shape, dtype, lambda w: (_wide(w) & _MASK53) < threshold, 2)
    if p.dtype not in _FLOATS:
        raise _not_implemented("bernoulli_tensor_cpu_p_", p.dtype)
    if p.size and not (p.min() >= 0 and p.max() <= 1):
        raise RuntimeError(
            "Expected p_in >= 0 && p_in <= 1 to be true, but got false: "
            f"probabilities from {p.min():g} to {p.max():g}"
        )
    if p.dtype != _F64:
        p = p.astype(_F32)
    shape = shape if isinstance(shape, tuple) else (shape,)
    return np.asarray(uniform(generator, shape, p.dtype) < p, dtype)


def dropout_noise(generator: Generator, shape: Shape, dtype: np.dtype, p: float) -> np.ndarray:
    """What dropout multiplies its input by: 0 with probability p, else 1 / (1 - p); 0 < p < 1."""
    noise = bernoulli(generator, shape, dtype, 1 - p)
    work = dtype if dtype == _F64 else _F32
    return np.asarray(noise.astype(work) / work.type(1 - p), dtype)


channel_noise = dropout_noise  # for whole channels: drawn alike


def alpha_dropout_noise(
    generator: Generator, shape: Shape, dtype: np.dtype, p: float
) -> tuple[np.ndarray, np.ndarray]:
    """(a, b) so that a x + b is alpha dropout (Klambauer et al. 2017) of x; 0 < p < 1."""
    alpha = 1.7580993408473766  # of SELU: scale times alpha
    scale = 1 / sqrt((alpha * alpha * p + 1) * (1 - p))
    work = dtype if dtype == _F64 else _F32
    noise = bernoulli(generator, shape, dtype, 1 - p).astype(work)

    def rounded(values: np.ndarray) -> np.ndarray:
        return values.astype(dtype).astype(work)

    shift = rounded(rounded(noise - 1) * work.type(alpha * scale))
    shift = np.asarray(shift + work.type(dtype.type(alpha * scale * p)), dtype)
    return np.asarray(noise * work.type(scale), dtype), shift


def geometric(generator: Generator, shape: Shape, dtype: np.dtype, p: float) -> np.ndarray:
    """Trials until the first success: ceil(log(u) / log(1 - p)), in float64."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p:g}")
    if dtype not in _FLOATS and dtype not in _INTEGERS:
        raise _not_implemented("geometric_cpu", dtype)
    scale = log1p(-p)

    def kernel(words: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.ceil(np.log(_unit64(words)) / scale)

    return _make(generator, shape, dtype, kernel, 2)


def exponential(
    generator: Generator, shape: Shape, dtype: np.dtype, rate: float = 1.0
) -> np.ndarray:
    """-log(1 - u) / rate, in float64."""
    if not rate > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={rate:g}")
    if dtype not in _FLOATS:
        raise RuntimeError(
            "Exponential distribution is a continuous probability distribution. dtype must be a "
            f"floating point but you specified {_type_name(dtype)}"
        )
    kernel = lambda words: (-1.0 / rate) * np.log1p(-_unit64(words))
    return _make(generator, shape, dtype, kernel, 2)


def cauchy(
    generator: Generator, shape: Shape, dtype: np.dtype, median: float = 0.0, sigma: float = 1.0
) -> np.ndarray:
    """median + sigma tan(pi (u - 1/2)), in float64."""
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma:g}")
    if dtype not in _FLOATS:
        raise RuntimeError(
            "Cauchy distribution is a continuous probability distribution. dtype must be a "
            f"floating point but you specified {_type_name(dtype)}"
        )
    kernel = lambda words: fused(np.tan(np.pi * (_unit64(words) - 0.5)), sigma, median)
    return _make(generator, shape, dtype, kernel, 2)
