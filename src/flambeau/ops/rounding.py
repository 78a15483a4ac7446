"""Rounding, signs, magnitudes, bounds: functions whose gradient is a mask, a sign or nothing."""

from __future__ import annotations

import numpy as np

from ..core.op import binary, define, unary
from ..core.promotion import Number, compute_type, is_number, result_type
from ..core.twins import accepts_out
from ..core.value import Value, wrap
from .arithmetic import conjugate as conj


def _absolute_vjp(g: Value, x: Value) -> Value:
    return g * x.sgn()


abs = absolute = unary("abs", np.absolute, _absolute_vjp, result="same", takes="iufc")
sign = unary("sign", np.sign, lambda g: g * 0, result="same", takes="biuf")


# ---- bounds --------------------------------------------------------------------------------


def _clamp(x: np.ndarray, min: Number | None, max: Number | None) -> np.ndarray:
    if min is not None:
        x = np.maximum(x, min)
    return x if max is None else np.minimum(x, max)


def _inside(g: Value, x: Value, min: Number | None, max: Number | None) -> Value:
    if min is None:
        return g * (x <= max)
    if max is None:
        return g * (x >= min)
    return g * ((x >= min) & (x <= max))


_clamp_numbers = define("clamp", _clamp, {"x": lambda g, x, min, max: _inside(g, x, min, max)})
_clamp_numbers.op.grad_name = "ClampBackward1"

__all__ = ["abs", "absolute", "sign"]
