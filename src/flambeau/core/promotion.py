"""Which dtype an operation computes in, and the operands brought to it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import _dtypes
from .._dtypes import dtype
from . import threads
from .value import Value

Number = bool | int | float | complex
_NUMBERS = (int, float, complex, np.generic)


def is_number(value: object) -> bool:
    """Whether ``value`` is a Python (or NumPy) number, which mixes with tensors weakly."""
    return isinstance(value, _NUMBERS)


def result_type(*operands: Value | Number) -> dtype:
    """The dtype that ``operands`` promote to: tensors with dimensions first, then 0-dim ones,
    then numbers; a weaker kind counts only where its category is higher.

    TypeError for anything that is neither a tensor nor a number.
    """
    dimensioned = zero_dim = number = None
    for operand in operands:
        if isinstance(operand, Value):
            own = _dtypes.from_numpy(operand._array.dtype)
            if operand._array.ndim:
                dimensioned = (
                    own if dimensioned is None else _dtypes.promote_types(dimensioned, own)
                )
            else:
                zero_dim = own if zero_dim is None else _dtypes.promote_types(zero_dim, own)
        elif isinstance(operand, _NUMBERS):
            value = operand.item() if isinstance(operand, np.generic) else operand
            own = _dtypes.of_number(value)
            number = own if number is None else _dtypes.promote_types(number, own)
        else:
            raise TypeError(f"expected a Tensor or a number, got {type(operand).__name__}")
    return _dtypes.mixed(dimensioned, zero_dim, number)


def compute_type(d: dtype) -> np.dtype:
    """The NumPy dtype that arithmetic in ``d`` is done in: float32 for the 16-bit floats."""
    return np.dtype(np.float32) if d in _dtypes.REDUCED else d.numpy


def is_narrow(d: np.dtype) -> bool:
    """Whether ``d`` is a 16-bit float."""
    return d.itemsize == 2 and d.kind in "fV"


def wide(a: np.ndarray) -> np.ndarray:
    """``a``, 16-bit floats as float32, in which they are computed."""
    return a.astype(np.float32) if is_narrow(a.dtype) else a


def widened(forward: Callable) -> Callable:
    """``forward`` on arrays, where 16-bit floats are computed in float32 and rounded once.

    The dtype of the first operand decides; results of other dtypes than float32 stay as they are.
    """

    def in_float32(x: np.ndarray, *rest: object) -> np.ndarray | tuple[np.ndarray, ...]:
        narrow = x.dtype
        if not is_narrow(narrow):
            return forward(x, *rest)
        arrays = [
            a.astype(np.float32) if isinstance(a, np.ndarray) and a.dtype == narrow else a
            for a in (x, *rest)
        ]
        r = forward(*arrays)
        if type(r) is tuple:
            return tuple(o.astype(narrow) if o.dtype == np.float32 else o for o in r)
        return r.astype(narrow) if r.dtype == np.float32 else r

    in_float32.__wrapped__ = forward
    return in_float32


def by_pieces(forward: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """An elementwise ``forward``, ``widened``, and by pieces on all threads for large arrays.

    The result must have the dtype of the first operand.
    """
    in_float32 = widened(forward)

    def spread_out(x: np.ndarray, *rest: object) -> np.ndarray:
        dt = x.dtype
        f = in_float32 if is_narrow(dt) else forward
        if x.size < threads.LARGE or dt.kind == "c":
            return f(x, *rest)
        return threads.spread(f, dt, x, *rest)

    spread_out.__wrapped__ = forward
    return spread_out
