"""Complex numbers: made of two parts, conjugated, and their angle."""

from __future__ import annotations

import numpy as np

from .._dtypes import float16, float32, float64, from_numpy
from .._errors import type_name
from .._shapes import broadcast
from ..core.mutation import accepts_out, write_out
from ..core.op import define, unary, unsupported
from ..core.value import Value
from .arithmetic import flat, unbroadcast

conj_op = unary("conj", np.conjugate, lambda g: g.conj(), result="same")


def conj(input: Value) -> Value:
    """The complex conjugate, done at once; ``input`` itself if it is real."""
    return conj_op(input) if input._array.dtype.kind == "c" else input


@accepts_out
def conj_physical(input: Value) -> Value:
    """The complex conjugate; ``input`` itself if it is real."""
    return conj(input)


def _angle(x: np.ndarray) -> np.ndarray:
    if x.dtype.kind == "c":
        return np.arctan2(x.imag, x.real)
    kind = x.dtype.type
    return np.where(np.isnan(x), x, np.where(x < 0, kind(np.pi), kind(0)))


def _angle_vjp(g: Value, x: Value) -> Value:
    if x._array.dtype.kind != "c":
        return flat(g)
    size = x.abs()
    return (g * (x / (size * size) * 1j)).masked_fill(size == 0, 0)


angle = unary(
    "angle",
    _angle,
    _angle_vjp,
    doc="The angle of a complex number in (-pi, pi]; 0 or pi for real ones.",
)


def _complex(real: np.ndarray, imag: np.ndarray) -> np.ndarray:
    r = np.empty(np.broadcast_shapes(real.shape, imag.shape), np.result_type(real, np.complex64))
    r.real, r.imag = real, imag
    return r


_complex_op = define(
    "complex",
    _complex,
    {
        "real": lambda g, real_shape: unbroadcast(g.real, real_shape),
        "imag": lambda g, imag_shape: unbroadcast(g.imag, imag_shape),
    },
)
_polar_op = define(
    "polar",
    lambda size, angle: _complex(size * np.cos(angle), size * np.sin(angle)),
    {
        "size": lambda g, y, size_shape: unbroadcast((g.conj() * y.sgn()).real, size_shape),
        "angle": lambda g, y, angle_shape: unbroadcast((g.conj() * (y * 1j)).real, angle_shape),
    },
)


def _check_parts(name: str, first: Value, second: Value) -> None:
    for v in (first, second):
        if not isinstance(v, Value):
            raise TypeError(f"{name}(): arguments must be Tensors, not {type_name(v)}")
    x, y = from_numpy(first._array.dtype), from_numpy(second._array.dtype)
    if not {x, y} <= {float16, float32, float64}:
        raise RuntimeError(
            "Expected both inputs to be Half, Float or Double tensors but got "
            f"{x.legacy_name} and {y.legacy_name}"
        )
    if x is not y:
        raise RuntimeError(
            f"Expected object of scalar type {x.legacy_name} but got scalar type {y.legacy_name} "
            "for second argument"
        )
    if x is float16:  # there is no complex type of half precision here
        raise unsupported(name, x)
    broadcast(first._array.shape, second._array.shape)


def _check_out(out: Value | None, first: Value) -> None:
    """``out=`` of complex and polar is not converted to."""
    if isinstance(out, Value) and isinstance(first, Value):
        wanted, given = from_numpy(first._array.dtype).to_complex(), from_numpy(out._array.dtype)
        if given is not wanted:
            raise RuntimeError(
                f"Expected object of scalar type {wanted.legacy_name} but got scalar type "
                f"{given.legacy_name} for argument 'out'"
            )


def complex(real: Value, imag: Value, *, out: Value | None = None) -> Value:
    """``real + 1j * imag`` of two float32 or two float64 tensors, broadcast."""
    _check_parts("complex", real, imag)
    _check_out(out, real)
    result = _complex_op(real, imag)
    return result if out is None else write_out(out, result, "complex")


def polar(abs: Value, angle: Value, *, out: Value | None = None) -> Value:
    """``abs * (cos(angle) + 1j * sin(angle))`` of two float32 or two float64 tensors, broadcast."""
    _check_parts("polar", abs, angle)
    _check_out(out, abs)
    result = _polar_op(abs, angle)
    return result if out is None else write_out(out, result, "polar")


__all__ = ["angle", "complex", "conj", "conj_physical", "polar"]
