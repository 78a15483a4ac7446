"""Eager operations on large arrays, run by compiled kernels.

``core.threads`` asks ``kernel`` whenever it is about to spread an elementwise operation over the
processors (the root package puts it there when that first happens); where there is a rule, the
operation's NumPy function is not called at all. Each kernel is compiled when it is first needed,
for the dtypes it is needed with.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

import numpy as np

from .. import _config, _optional
from .._dtypes import bfloat16
from ..core.op import REGISTRY
from . import machine_code, vector_code
from .crew import Bound
from .eager_kernels import ROW_KERNELS, elementwise
from .kernel import Kernel
from .scalar import FLOAT16, FLOAT32, FLOAT64, INT16, Scalar, narrow, widen
from .scalar_rules import NARROW, RULES, SINGLE, Rule

#: A tensor's dtype -> what the kernels take it for.
_MEMORY = {FLOAT32: FLOAT32, FLOAT64: FLOAT64, FLOAT16: FLOAT16, bfloat16.numpy: INT16}
_WIDEST = 1 << 16  # rows whose sums are accurate without adding in pairs
_MOST = 200  # kernels: who changes an activation's parameters in every step goes on with NumPy

#: An operation's meaning on arrays -> the operation's name, for those that have a rule.
_named: dict[Callable, str] = {}
_known = 0  # how many operations there were when it was filled
#: What ``_compile`` was given -> the kernel; None where there can be none.
_compiled: dict[tuple, machine_code.Task | None] = {}


def entry() -> Callable | None:
    """``kernel``, where llvmlite is installed; else None."""
    return kernel if _optional.installed("llvmlite") else None


def kernel(
    forward: Callable, out: np.ndarray, operands: Sequence[np.ndarray | tuple | float]
) -> Bound | None:
    """What computes ``out[start:stop] = forward(*operands)[start:stop]``, called with the two, or
    all of it on all threads; None where NumPy has to do it.

    ``out`` and the arrays among ``operands`` are contiguous, of one length, and for an operation
    along rows, of one shape (rows, width); ``out`` may be one of them, but not for rows.
    A tuple of parameters may follow; it becomes part of the kernel.
    """
    if not _config.compiled_kernels:
        return None
    name = _operation_of(forward)
    if name is None or out.shape[1:] > (_WIDEST,):
        return None
    arrays = [a for a in operands if a.__class__ is np.ndarray]
    rest = tuple(operands[len(arrays) :])
    dtype = arrays[0].dtype
    if any(a.dtype != dtype for a in arrays) or any(a.__class__ is not tuple for a in rest):
        return None
    key = (name, dtype, out.dtype, len(arrays), rest)
    if key not in _compiled:
        if len(_compiled) >= _MOST:
            return None
        _compiled[key] = _compile(*key)
    run = _compiled[key]
    if run is None:
        return None
    given = [a.__array_interface__["data"][0] for a in (out, *arrays)]
    given += (None, *out.shape[1:])  # no numbers come with the run
    return Bound(run, given)


def _operation_of(forward: Callable) -> str | None:
    """The name of the operation that ``forward`` is the meaning of, if it has a rule."""
    global _known
    if len(REGISTRY) != _known:  # modules that are loaded on demand bring further operations
        _known = len(REGISTRY)
        names = [n for n in (*RULES, *NARROW, *ROW_KERNELS) if n in REGISTRY]
        _named.update({_innermost(REGISTRY[n].forward): n for n in names})
        # In-place twins call NumPy's own function of the name.
        _named.update({f: n for n in names if isinstance(f := getattr(np, n, None), np.ufunc)})
    return _named.get(_innermost(forward))


def _innermost(forward: Callable) -> Callable:
    """The formula within what spreads it over pieces or widens 16-bit floats."""
    while hasattr(forward, "__wrapped__"):
        forward = forward.__wrapped__
    return forward


def _compile(
    name: str, dtype: np.dtype, result: np.dtype, count: int, rest: tuple
) -> machine_code.Task | None:
    memory = _MEMORY.get(dtype)
    if memory is None or not machine_code.has("fma"):
        return None
    if memory == FLOAT16 and not machine_code.has("f16c"):
        return None
    if name in ROW_KERNELS:
        return loaded(ROW_KERNELS[name](dtype)) if dtype in (FLOAT32, FLOAT64) else None
    rule = RULES.get(name)
    if dtype.itemsize == 2:
        rule = _narrow(rule or NARROW[name], memory)
    elif rule is None or (dtype == FLOAT64 and name in SINGLE):
        return None
    kernel = elementwise(rule, [memory] * count, rest)
    return loaded(kernel) if kernel.buffers[0] == _MEMORY.get(result) else None


def loaded(kernel: Kernel) -> machine_code.Task:
    """``kernel`` as a function of its buffers, no numbers, where rows have one their width, and
    the range to compute."""
    pointers = [ctypes.c_void_p] * (len(kernel.buffers) + 1)
    indices = [ctypes.c_int64] * (2 if vector_code.is_flat(kernel) else 3)
    return machine_code.load(vector_code.text(kernel, "kernel"), [*pointers, *indices])


def _narrow(rule: Rule, memory: np.dtype) -> Rule:
    """``rule`` for 16-bit floats: in float32, rounded once."""

    def narrow_rule(*operands: Scalar | tuple) -> Scalar:
        wide = [widen(a) if isinstance(a, Scalar) else a for a in operands]
        return narrow(rule(*wide), memory)

    return narrow_rule
