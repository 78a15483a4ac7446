"""Operations on a device that are not run as their meaning on the CPU says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.op import Op
from .arrays import adopted, seen
from .backend import backend
from .interpreter import PLAIN, converted, operand, rules


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
    array = x._array
    target = converted(seen(array), array.dtype, d.numpy)
    return adopted(target if target is not seen(array) else target.copy(), d.numpy)


@rule("clone")
def _clone(op: Op, args: tuple) -> Any:
    return adopted(seen(args[0]._array).copy("K"), args[0]._array.dtype)


@rule("mm bmm mm_nt mm_tn bmm_nt bmm_tn dot mv")
def _product(op: Op, args: tuple) -> Any:
    x, y = map(operand, args)
    if op.name.endswith("_nt"):
        y = y.swapaxes(-1, -2)
    elif op.name.endswith("_tn"):
        x = x.swapaxes(-1, -2)
    return backend().xp.matmul(x, y)
