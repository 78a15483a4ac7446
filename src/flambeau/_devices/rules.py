"""Operations on a device that are not run as their meaning on the CPU says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.op import Op
from ..ops.memory import laid_out, preserve_format
from .arrays import adopted, seen
from .backend import backend
from .operands import converted, operand

rules: dict[
    str, Callable
] = {}  # by the name of the record: (op, args) -> arrays, or NotImplemented
PLAIN: set[str] = set()  # records whose meaning runs on the device's arrays as it stands


def rule(names: str) -> Callable[[Callable], Callable]:
    """Decorator: how the records with these names run. It is given (op, args)."""

    def enter(function: Callable) -> Callable:
        for name in names.split():
            rules[name] = function
        return function

    return enter


@rule("to_copy")
def _to_copy(op: Op, args: tuple) -> Any:
    x, d, format = args
    elements = seen(x._array)
    made = converted(elements, x._array.dtype, d.numpy)
    if made is elements or (format is not None and format is not preserve_format):
        made = laid_out(made, format)
    return adopted(made, d.numpy)


@rule("clone")
def _clone(op: Op, args: tuple) -> Any:
    x, format = args
    return adopted(laid_out(seen(x._array), format), x._array.dtype)


@rule("mm bmm mm_nt mm_tn bmm_nt bmm_tn dot mv")
def _product(op: Op, args: tuple) -> Any:
    x, y = map(operand, args)
    if op.name.endswith("_nt"):
        y = y.swapaxes(-1, -2)
    elif op.name.endswith("_tn"):
        x = x.swapaxes(-1, -2)
    return backend().xp.matmul(x, y)
