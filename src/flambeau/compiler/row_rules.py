"""Operations along the rows of a matrix that have a compiled kernel: name -> rule for one row.

A rule takes the ``Row`` and one ``Scalar`` for each array, and ends with the row's result.
"""

from __future__ import annotations

from collections.abc import Callable

from .loops import Row
from .scalar import Scalar
from .scalar_functions import exp_below, log


def _softmax(row: Row, x: Scalar) -> None:
    largest = row.maximum(x)
    total = row.sum(exp_below(x - largest), keep=True)
    row.result(row.kept * row.once(1 / total))


def _log_softmax(row: Row, x: Scalar) -> None:
    largest = row.maximum(x)
    total = row.sum(exp_below(x - largest))
    row.result(x - largest - row.once(log(total)))


def _softmax_backward(row: Row, grad: Scalar, y: Scalar) -> None:
    row.result((grad - row.sum(grad * y)) * y)


def _log_softmax_backward(row: Row, grad: Scalar, y: Scalar) -> None:
    row.result(grad - exp_below(y) * row.sum(grad))


ROW_RULES: dict[str, Callable[..., None]] = {
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "softmax_backward_data": _softmax_backward,
    "log_softmax_backward_data": _log_softmax_backward,
}
