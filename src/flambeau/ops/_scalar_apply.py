"""How a formula on flat arrays becomes a function of arrays of any shape and floating type.

A formula ("kernel") is written in NumPy ufuncs, `polynomial`, `ratio` and `choose` alone: it says
what one element becomes. What is looped over, cut into blocks or converted is said here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import ml_dtypes
import numpy as np

from ..core.threads import run_parts

BLOCK = 8192  # elements at a time: 64 KiB of float64, so that temporaries stay in the cache
_LARGE = 4 * BLOCK  # from here threads pay: these functions take 5 to 200 ns an element
_HALF = (np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16))
_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
_FLOATS = (_FLOAT32, _FLOAT64, *_HALF)


def table32(*coefficients: float) -> list[np.ndarray]:
    """Coefficients for float32 formulas: 0-d arrays, which ufuncs take faster than numbers."""
    row = np.array(coefficients, _FLOAT32)
    return [row[i, ...] for i in range(len(coefficients))]


def table64(*coefficients: float) -> list[np.ndarray]:
    """Coefficients for float64 formulas."""
    row = np.array(coefficients, _FLOAT64)
    return [row[i, ...] for i in range(len(coefficients))]


def polynomial(x: np.ndarray, coefficients: Sequence[np.ndarray]) -> np.ndarray:
    """Horner's rule, the highest power's coefficient first."""
    y = x * coefficients[0]
    y += coefficients[1]
    for c in coefficients[2:]:
        y *= x
        y += c
    return y


def ratio(x: np.ndarray, coefficients: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Quotient of two polynomials, given as (numerator, denominator)."""
    y = polynomial(x, coefficients[0])
    y /= polynomial(x, coefficients[1])
    return y


def choose(
    condition: np.ndarray,
    yes: Callable[..., np.ndarray],
    no: Callable[..., np.ndarray],
    *arguments: np.ndarray,
) -> np.ndarray:
    """``np.where(condition, yes(*arguments), no(*arguments))``, each on its own elements only."""
    count = np.count_nonzero(condition)
    if count == condition.size:
        return yes(*arguments)
    if count == 0:
        return no(*arguments)
    out = np.empty_like(arguments[0])
    for formula, where in ((yes, condition), (no, ~condition)):
        index = np.flatnonzero(where)
        out[index] = formula(*(a.take(index) for a in arguments))
    return out


def _has_type(a: object, types: tuple[np.dtype, ...]) -> bool:
    return isinstance(a, (np.ndarray, np.generic)) and a.dtype in types


def float_type(arguments: Sequence[object]) -> np.dtype:
    """The result's type: the floating arguments' promotion, else float64.

    Integers, bool and Python numbers are weak: they take the type that the others give.
    """
    types = [a.dtype for a in arguments if _has_type(a, _FLOATS)]
    return functools.reduce(np.promote_types, types) if types else _FLOAT64


def elementwise(*, double: bool = False) -> Callable[[Callable], Callable[..., np.ndarray]]:
    """Decorator: a kernel of flat arrays becomes a function of array-likes that broadcast.

    The result is always an ndarray (0-d for 0-d input) of `float_type`; keywords go to the kernel
    as they are. The kernel sees float32 for float32, float16 and bfloat16, else float64; float64
    for all types where ``double``: slower, but float32 results are then right to the last
    rounding. Half types are rounded once, at the end. No NumPy warning leaves it. It must not
    write into its arguments.
    """

    def decorate(kernel: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
        @functools.wraps(kernel)
        def apply(*arguments: object, **parameters: object) -> np.ndarray:
            x = arguments[0]
            plain = len(arguments) == 1 and isinstance(x, np.ndarray)
            if plain and x.size <= BLOCK and x.flags.c_contiguous:
                if x.dtype == _FLOAT64 or (x.dtype == _FLOAT32 and not double):
                    with np.errstate(all="ignore"):  # the short way: nothing to cut or convert
                        return kernel(x.reshape(-1), **parameters).reshape(x.shape)
            dtype = float_type(arguments)
            compute = _FLOAT64 if double or dtype == _FLOAT64 else _FLOAT32
            arrays = [np.asarray(a) for a in arguments]
            shape = np.broadcast_shapes(*(a.shape for a in arrays))
            order = "F" if all(a.flags.fnc and a.shape == shape for a in arrays) else "C"
            out = np.empty(shape, dtype, order=order)
            flat_out = out.reshape(-1, order=order)
            flat = [_flat(a, shape, order) for a in arrays]

            def part(start: int, stop: int) -> None:
                with np.errstate(all="ignore"):
                    for i in range(start, stop, BLOCK):
                        j = min(i + BLOCK, stop)
                        pieces = [a[i:j].astype(compute, copy=False) for a in flat]
                        flat_out[i:j] = kernel(*pieces, **parameters)

            if out.size < _LARGE:
                part(0, out.size)
            else:
                run_parts(part, out.size, BLOCK)
            return out

        return apply

    return decorate


def _flat(a: np.ndarray, shape: tuple[int, ...], order: str) -> np.ndarray:
    """``a`` broadcast to ``shape`` as one dimension; a single number is not copied out."""
    if a.size == 1:
        return np.broadcast_to(a.reshape(1), (int(np.prod(shape)),))
    return np.broadcast_to(a, shape).reshape(-1, order=order)


def via_float32(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Decorator for a NumPy function: float16 and bfloat16 are computed in float32, rounded once.

    NumPy has no bfloat16 loops of its own and slow float16 ones. Results that are not float32
    (bool, integers) stay as they are. Tuples of results are converted one by one.
    """

    @functools.wraps(function)
    def wrapped(*arguments: object, **parameters: object) -> np.ndarray:
        half = next((a.dtype for a in arguments if _has_type(a, _HALF)), None)
        if half is None:
            return function(*arguments, **parameters)
        widened = [a.astype(_FLOAT32) if _has_type(a, _HALF) else a for a in arguments]
        with np.errstate(all="ignore"):
            result = function(*widened, **parameters)
            if isinstance(result, tuple):
                return tuple(r.astype(half) if r.dtype == _FLOAT32 else r for r in result)
            return result.astype(half) if result.dtype == _FLOAT32 else result

    return wrapped
