"""Formulas that write into large arrays (optimizers' steps) as kernels: one pass over memory, where
NumPy makes ten. ``core/formulas.py`` asks for them.

A formula is run once on stand-ins for arrays (``tracing``). Its closure's numbers (learning rate,
corrections of bias) come with each run; what Python may decide by them (``if decay:``), their signs
and whether they are 1, is part of the kernel, and so is all else that the closure holds.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..core.value import address
from . import machine_code
from .eager import loaded
from .kernel import WIDTH, Kernel, Load, Pass, Size, Store
from .scalar import FLOAT32, FLOAT64, input
from .tracing import Untraceable, traced_update

_MOST = 100  # kernels: who changes what a formula decides by in every step goes on with NumPy
_kernels: dict[tuple, machine_code.Task | None] = {}


def compiled_change(
    change: Callable[..., None], dtype: np.dtype, count: int
) -> Callable[..., None] | None:
    """What does ``change(*arrays)`` on ``count`` contiguous arrays of one length and ``dtype``;
    None where NumPy has to do it."""
    asked = Asked.of(change, dtype, count)
    if asked is None:
        return None
    if asked.key not in _kernels:
        if len(_kernels) >= _MOST:
            return None
        kernel = asked.kernel(WIDTH)
        _kernels[asked.key] = None if kernel is None else loaded(kernel)
    kernel = _kernels[asked.key]
    if kernel is None:
        return None
    numbers = asked.numbers
    given = (ctypes.c_double * max(1, len(numbers)))(*numbers)

    def run(*arrays: np.ndarray) -> None:
        places = [address(a) for a in arrays]
        kernel(*places, ctypes.addressof(given), 0, arrays[0].size)

    return run


class Asked(NamedTuple):
    """A formula that a kernel is wanted for. ``key``: what the kernel depends on."""

    change: Callable[..., None]
    dtype: np.dtype
    count: int
    names: list[str]  # of its numbers
    numbers: list[float]
    key: tuple

    @classmethod
    def of(cls, change: Callable[..., None], dtype: np.dtype, count: int) -> Asked | None:
        """None where NumPy has to do it."""
        code = getattr(change, "__code__", None)
        if code is None or dtype not in (FLOAT32, FLOAT64):
            return None
        names, numbers, turns, static = [], [], [], []
        for name, cell in zip(code.co_freevars, change.__closure__ or (), strict=True):
            value = cell.cell_contents
            if type(value) in (int, float) or isinstance(value, np.floating):
                names.append(name)
                numbers.append(float(value))
                turns.append(2 if value == 1 else (value > 0) - (value < 0))
            elif value is None or type(value) in (bool, str):
                static.append(value)
            else:
                return None
        if not all(map(math.isfinite, numbers)):
            return None
        defaults = change.__defaults__ or ()
        if any(d is not None and type(d) not in (bool, int, float, str) for d in defaults):
            return None
        key = (code, tuple(names), tuple(turns), tuple(static), defaults, dtype, count)
        return cls(change, dtype, count, names, numbers, key)

    def kernel(self, width: Size) -> Kernel | None:
        """The kernel over arrays of ``width`` elements; None where the formula cannot be one."""
        inputs = [input(k, self.dtype) for k in range(self.count)]
        try:
            terms = traced_update(self.change, inputs, self.names, self.numbers, 0)
        except Untraceable:
            return None
        steps = (1,)
        loads = [Load(k, self.dtype, steps, 0) for k in range(self.count)]
        stores = [Store(k, steps, 0, t) for k, t in enumerate(terms) if t is not inputs[k]]
        if not stores:
            return None
        return Kernel((), (width,), [self.dtype] * self.count, loads, [Pass(stores=stores)], [])
