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

from .. import _config, _optional, _system
from .._dtypes import bfloat16
from ..core.op import REGISTRY
from ..core.value import address
from . import machine_code, vector_code
from .crew import Bound
from .eager_kernels import ROW_KERNELS, elementwise
from .kernel import Kernel
from .scalar import FLOAT16, FLOAT32, FLOAT64, INT16, Scalar, convert, narrow, number, widen
from .scalar_rules import PLAIN, RULES, SINGLE, Rule

#: A tensor's dtype -> what the kernels take it for.
_MEMORY = {FLOAT32: FLOAT32, FLOAT64: FLOAT64, FLOAT16: FLOAT16, bfloat16.numpy: INT16}
_WIDEST = 1 << 16  # rows whose sums are accurate without adding in pairs
_EXACT = 1 << 24  # integers below are floats of 32 bits
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
    forward: Callable,
    out: np.ndarray,
    operands: Sequence[np.ndarray | tuple | float],
    width: int | None = None,
) -> Bound | None:
    """What computes ``out = forward(*operands)``, the elements from one place to another or all of
    them on all threads; None where NumPy has to do it.

    ``out`` and the arrays among ``operands`` are contiguous and of one shape. For an operation
    along rows, these have ``width`` elements, and the range is of rows. ``out`` may be one of the
    operands, but not for rows. A tuple of parameters may follow, which becomes part of the
    kernel, or a number, which does not.
    """
    if not _config.compiled_kernels:
        return None
    name = _named.get(forward) or _operation_of(forward)
    if name is None or (width is not None and width > _WIDEST):
        return None
    dtype = operands[0].dtype
    given, rest, passed = [address(out)], (), None
    for a in operands:
        if a.__class__ is np.ndarray:
            if a.dtype is not dtype and a.dtype != dtype:
                return None
            given.append(address(a))
        elif a.__class__ is tuple:
            rest = a
        elif a.__class__ is float or (a.__class__ is int and abs(a) < _EXACT):
            passed, rest = (ctypes.c_double * 1)(a), None
        else:
            return None
    large = width is None and len(given) * out.nbytes > _system.last_cache()
    streams = large and given[0] not in given[1:]
    key = (name, dtype, out.dtype, len(given), rest, streams)
    run = _compiled.get(key, _unknown)
    if run is _unknown:
        if len(_compiled) >= _MOST:
            return None
        run = _compiled[key] = _compile(name, dtype, out.dtype, len(given) - 1, rest, streams)
    if run is None:
        return None
    given.append(passed and ctypes.addressof(passed))
    if width is not None:
        given.append(width)
    return Bound(run, given, passed)


def _unknown() -> None:
    """No kernel was looked for yet."""


def _operation_of(forward: Callable) -> str | None:
    """The name of the operation that ``forward`` is the meaning of, if it has a rule."""
    global _known
    if len(REGISTRY) != _known:  # modules that are loaded on demand bring further operations
        _known = len(REGISTRY)
        names = [n for n in (*RULES, *PLAIN, *ROW_KERNELS) if n in REGISTRY]
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
    name: str, dtype: np.dtype, result: np.dtype, count: int, rest: tuple | None, streams: bool
) -> machine_code.Task | None:
    memory = _MEMORY.get(dtype)
    if memory is None or not machine_code.has("fma"):
        return None
    if memory == FLOAT16 and not machine_code.has("f16c"):
        return None
    if name in ROW_KERNELS:
        return loaded(ROW_KERNELS[name](dtype)) if dtype in (FLOAT32, FLOAT64) else None
    rule = RULES.get(name) or PLAIN[name]
    if rest is None:  # a number that comes with each run
        parameters = (convert(number(0), FLOAT64 if dtype == FLOAT64 else FLOAT32),)
    else:
        parameters = (rest,) if rest else ()
    if dtype.itemsize == 2:
        rule = _narrow(rule, memory)
    elif dtype == FLOAT64 and name in SINGLE:
        return None
    kernel = elementwise(rule, [memory] * count, parameters, streams)
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
        wide = [widen(a) if isinstance(a, Scalar) and a.dtype == memory else a for a in operands]
        return narrow(rule(*wide), memory)

    return narrow_rule
