"""How a formula on flat arrays becomes a function of arrays of any shape and floating type.

A formula ("kernel") is written in NumPy ufuncs, `polynomial`, `ratio` and `choose` alone: it says
what one element becomes. What is looped over, cut into blocks or converted is said here.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import ml_dtypes
import numpy as np

from ..core.threads import run_parts

BLOCK = 8192  # elements at a time: 64 KiB of float64, so that temporaries stay in the cache
_LARGE = 4 * BLOCK  # from here threads pay: these functions take 5 to 200 ns an element
_HALF = (np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16))
_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
_FLOATS = (_FLOAT32, _FLOAT64, *_HALF)

#: What ``elementwise`` made: its kernel, and whether that always computes in float64.
KERNELS: dict[Callable, tuple[Callable, bool]] = {}


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

        KERNELS[apply] = kernel, double
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


# ---- elementary functions that NumPy lacks or has slowly -----------------------------------------

_LOG2 = math.log(2.0)
# (1 - log(1 + u)/u)/u on [0, 1]: weighted least-squares fit (Lawson's iteration, 40 digits).
_LOG1P_REST = (
    table32(-0.0005073944, 0.0062677697, 0.3287982, 0.49999976),
    table32(0.39548486, 1.3242501, 1.0),
)


def log1p_near(u: np.ndarray) -> np.ndarray:
    """log(1 + u) for u > -1 and finite, faster than np.log1p, which NumPy does not vectorise.

    The rounding error of 1 + u is put back to first order (Kahan).
    """
    w = 1.0 + u
    return np.log(w) + (u - (w - 1.0)) / w


def _or_complex(formula: Callable[..., np.ndarray]) -> Callable[[Callable], Callable]:
    """Decorator for a real function: complex arguments go to ``formula`` instead."""

    def decorate(real: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
        @functools.wraps(real)
        def apply(*arguments: object) -> np.ndarray:
            if not any(np.iscomplexobj(a) for a in arguments):
                return real(*arguments)
            with np.errstate(all="ignore"):
                return np.asarray(formula(*(np.asarray(a) for a in arguments)))

        return apply

    return decorate


def _as_complex(real: np.ndarray, imaginary: np.ndarray, dtype: np.dtype) -> np.ndarray:
    out = np.empty(real.shape, dtype)
    out.real, out.imag = real, imaginary
    return out


def _log1p_unit(u: np.ndarray) -> np.ndarray:
    """log(1 + u) for 0 <= u <= 1; in float32 from a table, two roundings better than by np.log."""
    if u.dtype == np.float64:
        return log1p_near(u)
    return u - u * u * ratio(u, _LOG1P_REST)


def _expit_complex(z: np.ndarray) -> np.ndarray:
    e = np.exp(np.where(z.real < 0.0, z, -z))  # never overflows
    return np.where(z.real < 0.0, e, 1.0) / (1.0 + e)


@_or_complex(_expit_complex)
@elementwise()
def expit(x: np.ndarray) -> np.ndarray:
    """Logistic sigmoid 1/(1 + exp(-x)), complex too. Error <= 4 ulp; 0 where exp(-x) overflows."""
    e = np.exp(-x)
    e += 1.0
    return np.divide(1.0, e, out=e)


@elementwise()
def log_sigmoid(x: np.ndarray) -> np.ndarray:
    """log(expit(x)) = min(x, 0) - log(1 + exp(-|x|)). Error <= 3 ulp."""
    return np.minimum(x, 0.0) - _log1p_unit(np.exp(-np.abs(x)))


@elementwise()
def softplus(x: np.ndarray, *, beta: float = 1.0, threshold: float = 20.0) -> np.ndarray:
    """log(1 + exp(beta x))/beta, and x itself where beta x > threshold, as PyTorch defines it.

    Error <= 3 ulp below the threshold.
    """
    z = x * beta
    value = (np.maximum(z, 0.0) + _log1p_unit(np.exp(-np.abs(z)))) / beta
    return np.where(z > threshold, x, value)


@elementwise(double=True)
def logit(x: np.ndarray, *, eps: float | None = None) -> np.ndarray:
    """log(x/(1 - x)), with x clamped to [eps, 1 - eps] first if eps is given; nan outside [0, 1].

    Error <= 3 ulp, also beside the zero at 1/2.
    """
    if eps is not None:
        x = np.minimum(np.maximum(x, eps), 1.0 - eps)
    return choose(
        np.abs(x - 0.5) < 0.25,
        lambda x: log1p_near((x - 0.5) / (0.5 * (1.0 - x))),
        lambda x: np.log(x / (1.0 - x)),
        x,
    )


@elementwise(double=True)
def entr(x: np.ndarray) -> np.ndarray:
    """Entropy's term: -x log(x) for x > 0, 0 at 0, -inf for x < 0."""
    value = -x * np.log(np.abs(x))
    return np.where(x == 0.0, 0.0, np.where(x < 0.0, -np.inf, value))


@elementwise()
def xlogy(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x log(y), and 0 at x = 0 whatever y is, except nan."""
    return np.where((x == 0.0) & (y == y), 0.0, x * np.log(y))


@elementwise()
def xlog1py(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x log(1 + y), and 0 at x = 0 whatever y is, except nan."""
    return np.where((x == 0.0) & (y == y), 0.0, x * np.log1p(y))


def _logaddexp_complex(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    swap = x.real < y.real
    larger, smaller = np.where(swap, y, x), np.where(swap, x, y)
    same = np.isinf(larger.real) & (x == y)
    value = larger + _log1p_complex(np.exp(np.where(same, 0.0, smaller - larger)))
    return np.where(np.isnan(x) | np.isnan(y), complex(np.nan, np.nan), value)


@_or_complex(_logaddexp_complex)
@elementwise()
def logaddexp(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """log(exp(x) + exp(y)), complex too. Error <= 2 ulp of the larger of |x|, |y| and 1."""
    distance = np.where(x == y, 0.0, np.abs(x - y))  # inf - inf is 0 here
    return np.maximum(x, y) + _log1p_unit(np.exp(-distance))


@elementwise()
def logaddexp2(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """log2(2^x + 2^y). Error <= 2 ulp of the larger of |x|, |y| and 1."""
    distance = np.where(x == y, 0.0, np.abs(x - y))
    return np.maximum(x, y) + _log1p_unit(np.exp(distance * -_LOG2)) * (1.0 / _LOG2)


def _sinc_complex(z: np.ndarray) -> np.ndarray:
    scaled = z * math.pi
    return np.where(z == 0.0, 1.0, np.sin(scaled) / np.where(z == 0.0, 1.0, scaled))


@_or_complex(_sinc_complex)
@elementwise()
def sinc(x: np.ndarray) -> np.ndarray:
    """sin(pi x)/(pi x), complex too; 1 at 0, exactly 0 at other integers. Error <= 4 ulp."""
    whole = np.rint(x)
    odd = np.abs(whole - 2.0 * np.rint(0.5 * whole))
    sine = np.sin((x - whole) * math.pi) * (1.0 - 2.0 * odd)
    return np.where(x == 0.0, 1.0, sine / (x * math.pi))


def _log1p_complex(z: np.ndarray) -> np.ndarray:
    x, y = z.real, z.imag
    near = 0.5 * np.log1p(x * (2.0 + x) + y * y)  # log|1 + z| where |z| is small
    far = np.log(np.hypot(1.0 + x, y))
    real = np.where(np.hypot(x, y) < 0.5, near, far)
    return _as_complex(real, np.arctan2(y, 1.0 + x), z.dtype)


@_or_complex(_log1p_complex)
@elementwise()
def log1p(x: np.ndarray) -> np.ndarray:
    """log(1 + x), complex too."""
    return np.log1p(x)


def _expm1_complex(z: np.ndarray) -> np.ndarray:
    x, y = z.real, z.imag
    half = np.sin(0.5 * y)
    growth = np.exp(x)
    real = np.expm1(x) * np.cos(y) - 2.0 * half * half
    return _as_complex(real, np.where(y == 0.0, y, growth * np.sin(y)), z.dtype)


@_or_complex(_expm1_complex)
@elementwise()
def expm1(x: np.ndarray) -> np.ndarray:
    """exp(x) - 1, complex too."""
    return np.expm1(x)


@elementwise()
def round_decimals(x: np.ndarray, *, decimals: int = 0) -> np.ndarray:
    """x to ``decimals`` digits after the point, halves to even of the scaled value, as PyTorch.

    Like there, no digit is looked up in decimal: the value is scaled by 10^|decimals|, rounded and
    scaled back in x's own precision; overflow on the way stays.
    """
    scale = np.array(10.0 ** abs(decimals)).astype(x.dtype)
    return np.rint(x * scale) / scale if decimals >= 0 else np.rint(x / scale) * scale


def frexp(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mantissa in [1/2, 1) with x's sign and int32 exponent, x = mantissa * 2^exponent."""
    mantissa, exponent = via_float32(np.frexp)(x)
    return np.asarray(mantissa), np.asarray(np.where(np.isfinite(x), exponent, 0), np.int32)


@elementwise()
def ldexp(x: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """x * 2^exponent, the power taken first in the result's type, so that it may overflow."""
    return x * np.exp2(exponent)


def nextafter(x: np.ndarray, towards: np.ndarray) -> np.ndarray:
    """The next number of x's type from x towards the other; equal ones give ``towards``."""
    dtype = float_type((x, towards))
    with np.errstate(all="ignore"):
        return np.asarray(np.nextafter(np.asarray(x, dtype), np.asarray(towards, dtype)))


@elementwise()
def tanh(x: np.ndarray) -> np.ndarray:
    """Hyperbolic tangent; float16 and bfloat16 through float32."""
    return np.tanh(x)
