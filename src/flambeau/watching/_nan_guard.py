"""Stop at the first operation that makes nan or infinity of finite numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from threading import get_ident
from typing import Any

import numpy as np

from ..core import generator
from ..core.foreign import near
from ..core.modes import Interpreter
from ..core.value import Value
from ..core.whereabouts import told, user_line
from ._where import ModuleStack, module_path


class nan_guard(Interpreter):
    """Context manager: FloatingPointError at the first operation, forward or backward, whose
    operands are finite and whose result is not.

    The message names the operation, the module, the line, the operands' ranges and the first
    index; in backward, the forward line that the gradient is of. What is not finite already (data,
    masks of -inf) is let through. ``allow_inf``: only nan counts.

    ``guard.run_cheaply(function, *args)`` is the cheap mode: the function, which computes a loss,
    is run unwatched and its result looked at; only if that is not finite is it run again, with the
    same random numbers, under the guard.
    """

    def __init__(self, allow_inf: bool = False) -> None:
        self.allow_inf = allow_inf
        self._modules = ModuleStack()
        self._sites: dict[int, tuple] = {}
        self._node: Any = None
        self._grad: Any = None

    def __enter__(self) -> nan_guard:
        self._modules.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._modules.__exit__()
        self._sites.clear()
        self._node = self._grad = None

    def run_cheaply(self, function: Callable[..., Any], *args: Any) -> Any:
        """``function(*args)``; run again under the guard if what it returns is not finite."""
        source = generator.current()
        before = source.get_state_array()
        result = function(*args)
        if not isinstance(result, Value) or self._finite(result._array):
            return result
        source.set_state_array(before)
        with self:
            function(*args)
        raise FloatingPointError(
            "the result is not finite, but the guard saw no operation make it so\n"
            "  the data or parameters were not finite before, or the second run took another way"
        )

    def run(self, op: Any, plain: Callable[..., Any], args: tuple) -> Any:
        """See Interpreter."""
        result = self.onward(op, plain, args)
        for value in result if type(result) is tuple else (result,):
            if not isinstance(value, Value):
                continue
            if value._array.dtype.kind in "fcV" and not self._finite(value._array):
                self._examine(op, args, value)
        edge = getattr(result[0] if type(result) is tuple and result else result, "_edge", None)
        if edge is not None and self._node is None:
            site = self._sites[edge.tick] = user_line(), self._modules.chain
            if edge.edges and type(result) is tuple:
                self._sites[edge.edges[0].tick] = site
        return result

    def reached(self, node: Any, grad: Any) -> None:
        """See Interpreter."""
        if get_ident() == self.thread:
            self._node, self._grad = node, grad
        super().reached(node, grad)

    # ---- what is not finite ------------------------------------------------------------------

    def _finite(self, array: np.ndarray) -> bool:
        if array.dtype.kind not in "fcV":
            return True
        array = near(array)
        # A sum is nan or inf if any number is; it may be so without, too, which is then looked at.
        with np.errstate(over="ignore", invalid="ignore"):
            if array.dtype.kind == "f" and np.isfinite(np.add.reduce(array, None)):
                return True
        return not self._bad(array).any()

    def _bad(self, array: np.ndarray) -> np.ndarray:
        array = near(array)
        if array.dtype.kind == "V":  # bfloat16
            array = array.astype(np.float32)
        return np.isnan(array) if self.allow_inf else ~np.isfinite(array)

    def _examine(self, op: Any, args: tuple, result: Value) -> None:
        operands = [a for a in _flat(args) if isinstance(a, Value)]
        numbers = [a for a in _flat(args) if isinstance(a, float)]
        if not all(self._finite(a._array) for a in operands) or not np.isfinite(numbers).all():
            return
        bad = self._bad(result._array)
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise FloatingPointError(self._message(op, operands, result, bad, index))

    def _message(
        self, op: Any, operands: list[Value], result: Value, bad: np.ndarray, index: tuple
    ) -> str:
        value = float(np.real(near(result._array)[index]))
        of = f"result{list(index)}" if index else "result"
        lines = []
        if self._node is None:
            line, chain = user_line(4), self._modules.chain
            lines.append(f"{op.name} made {value} of finite numbers: {of} = {value}")
        else:
            line, chain = self._sites.get(self._node.tick, (None, ()))
            lines.append(
                f"the gradient of {self._node.name().rstrip('0').removesuffix('Backward')} made "
                f"{value} of finite numbers, by {op.name}: {of} = {value}"
            )
        lines.append(f"  {int(bad.sum())} of {bad.size} numbers are not finite")
        where = told(line) if line else "no line of the program"
        forward = "the forward call was at " if self._node is not None else "at "
        lines.append(f"  {forward}{where}, in {module_path(chain)}")
        for i, operand in enumerate(operands):
            lines.append(f"  operand {i}: {_range(near(operand._array), index)}")
        lines += self._unused(index)
        return "\n".join(lines)

    def _unused(self, index: tuple) -> list[str]:
        """What to say where the gradient that arrived is 0."""
        grad = self._grad
        if not isinstance(grad, Value) or (index and len(index) != grad._array.ndim):
            return []
        try:
            arrived = near(grad._array)[index]
        except IndexError:
            return []
        if arrived != 0:
            return []
        return [
            "  the gradient that arrived there is 0: where() or a mask did not take this number, "
            "and 0 times infinity is nan",
            "  choose the operand before the operation: f(where(mask, x, 1)), not "
            "where(mask, f(x), 0)",
        ]


def _flat(args: tuple) -> list:
    found = []
    for a in args:
        if type(a) in (tuple, list):
            found.extend(_flat(tuple(a)))
        else:
            found.append(a)
    return found


def _range(array: np.ndarray, index: tuple) -> str:
    text = f"{array.dtype}{list(array.shape)}"
    if not array.size:
        return f"{text}, empty"
    if array.dtype.kind in "fiub":
        text += f" from {array.min():.6g} to {array.max():.6g}"
    if len(index) == array.ndim:
        with contextlib.suppress(IndexError, TypeError, ValueError):
            text += f", there {array[index]:.6g}"
    return text
