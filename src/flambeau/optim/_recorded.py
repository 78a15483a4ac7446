"""A formula over arrays, run over tensors, so that autograd records it.

Formulas are written with NumPy's ufuncs and operators. NumPy hands both to ``Recorded`` where one
of the operands is one; what writes into an operand gives it another tensor here.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..core.value import Value


def _extremum(name: str) -> Any:
    def pick(a: Value | float, b: Value | float) -> Value:
        if not isinstance(a, Value):
            a, b = b, a
        return getattr(a, name)(b if isinstance(b, Value) else a.new_full((), b))

    return pick


#: A ufunc of the formulas -> the operation on tensors.
_OPERATIONS = {
    np.absolute: abs,
    np.add: operator.add,
    np.divide: operator.truediv,
    np.maximum: _extremum("maximum"),
    np.minimum: _extremum("minimum"),
    np.multiply: operator.mul,
    np.negative: operator.neg,
    np.positive: operator.pos,
    np.power: operator.pow,
    np.sign: operator.methodcaller("sign"),
    np.sqrt: operator.methodcaller("sqrt"),
    np.subtract: operator.sub,
}


class Recorded(np.lib.mixins.NDArrayOperatorsMixin):
    """A tensor in the place of an array: ``tensor`` is its value at the moment."""

    __slots__ = ("tensor",)

    def __init__(self, tensor: Value) -> None:
        self.tensor = tensor

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: tuple = (), **kwargs: Any
    ) -> Any:
        operation = _OPERATIONS.get(ufunc)
        if operation is None or method != "__call__" or kwargs:
            return NotImplemented
        result = operation(*[i.tensor if isinstance(i, Recorded) else i for i in inputs])
        if out:
            out[0].tensor = result
            return out[0]
        return Recorded(result)
