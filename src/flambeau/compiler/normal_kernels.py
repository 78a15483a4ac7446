"""Normal numbers from uniform ones by a generated kernel: the twin of ``core.box_muller`` for
float32, bit for bit; its formulas and constants are there.

What float64 does there in place of a fused product, one instruction does here.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence

import numpy as np

from ..core import box_muller as twin
from . import machine_code
from .builder import I64, PTR, Code, Value, vector_of
from .machine_code import Task
from .rows_kernels import address, spread

HALF = 8  # of a block: uniform numbers for radii, then as many for angles
_WHOLE, _WIDE = vector_of("i32", HALF), vector_of("double", HALF)
_FLOAT = vector_of("float", HALF)


def _polynomial(code: Code, x: Value, coefficients: Sequence[float]) -> Value:
    """By Horner's rule, each product fused into its sum."""
    first, *rest = (code.constant(_FLOAT, float(c)) for c in coefficients)
    for c in rest:
        first = code.fma(first, x, c)
    return first


def _bits(code: Code, operation: str, a: Value, b: Value | int) -> Value:
    """Arithmetic on the lanes' bits: "xor", "shl" ..."""
    return code.new(_WHOLE, f"{operation} {a}, {code.lift(b, _WHOLE).name}")


def _log(code: Code, u: Value) -> Value:
    bits = code.cast("bitcast", u, _WHOLE)
    exponent = _bits(code, "ashr", bits - int(twin._SQRT_HALF), 23)
    x = code.cast("bitcast", bits - _bits(code, "shl", exponent, 23), _FLOAT) - 1.0
    e = code.cast("sitofp", exponent, _FLOAT)
    squared = x * x
    y = _polynomial(code, x, [float(c) for c in twin._LOG]) * x
    y = code.fma(y, squared, e * float(twin._LN2_LOW)) - squared * 0.5
    return (x + y) + e * float(twin._LN2_HIGH)


def _cos_sin(code: Code, angle: Value) -> tuple[Value, Value]:
    turned = angle * float(twin._FOUR_OVER_PI)
    k = (code.cast("fptosi", turned, _WHOLE) + 1) & -2
    quarters = code.cast("sitofp", k, _WIDE) * float(twin._QUARTER_PI)
    x = code.cast("fptrunc", code.cast("fpext", angle, _WIDE) - quarters, _FLOAT)
    z = x * x
    cosine, sine = (
        _polynomial(code, z, [float(c) for c in row.reshape(-1)]) * z for row in twin._TRIGONOMETRIC
    )
    cosine = code.fma(cosine, z, z * -0.5) + 1.0
    sine = code.fma(sine, x, x)

    cosine, sine = (code.cast("bitcast", v, _WHOLE) for v in (cosine, sine))
    exchange = _bits(code, "ashr", _bits(code, "shl", k, 30), 31)
    exchange = exchange & _bits(code, "xor", cosine, sine)
    cosine, sine = (_bits(code, "xor", v, exchange) for v in (cosine, sine))
    signs = [_bits(code, "shl", q, 29) & int(twin._SIGN) for q in (k + 2, k)]
    cosine, sine = (_bits(code, "xor", v, s) for v, s in zip((cosine, sine), signs))
    return tuple(code.cast("bitcast", v, _FLOAT) for v in (cosine, sine))


def text() -> str:
    """``kernel(u, mean, std, start, stop)``: blocks of 16 numbers, in place."""
    kinds = {"u": PTR, "mean": "float", "std": "float", "start": I64, "stop": I64}
    code = Code("kernel", kinds)
    mean, std = (code.splat(code[n], HALF) for n in ("mean", "std"))
    is_centred = code["mean"].equals(0.0)

    def block(i: Value) -> None:
        place = code.at(code["u"], "float", i * (2 * HALF))
        radius = _log(code, 1.0 - code.load(_FLOAT, place)) * -2.0
        radius = code.root(radius)
        angle = code.load(_FLOAT, place, HALF) * float(twin._TWO_PI)
        for n, part in enumerate(_cos_sin(code, angle)):
            normal = part * radius
            moved = code.fma(normal, std, mean)
            normal = code.select(is_centred, normal * std + mean, moved)
            code.store(normal, place, n * HALF)

    code.loop(code["start"], code["stop"], block)
    return code.text()


@functools.cache
def _kernel() -> Task:
    pointer, number, index = ctypes.c_void_p, ctypes.c_float, ctypes.c_int64
    return machine_code.load(text(), [pointer, number, number, index, index])


def normal_blocks(u: np.ndarray, mean: float, std: float) -> np.ndarray | None:
    """Turn contiguous uniform numbers of [0, 1), 1-d, into normal ones, in place."""
    if u.dtype != np.float32:
        return None
    spread(_kernel(), (address(u), mean, std), u.size // (2 * HALF), u.size)
    return u
