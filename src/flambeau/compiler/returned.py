"""Numbers that Python reads and only returns: ``return loss.item()``.

A number that is read from a tensor is known only when the program has run. If Python does nothing
with it but to hand it back, a stand-in may take its place, to be replaced in what is returned. That
it does nothing else is read from the bytecode that follows the call: straight on to the return,
with the number stored in locals or put into tuples, lists and dicts on the way. Anything else
(and any instruction that is not known here) is taken to use it.
"""

from __future__ import annotations

import dataclasses
import dis
from collections import OrderedDict
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

import numpy as np

from .graph import Var
from .symbols import Symbol

# Instructions that take no part in where the number goes, or whose way with the stack is known.
_QUIET = {"NOP", "RESUME", "CACHE", "PRECALL", "EXTENDED_ARG"}
_LOADS = {"LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_FAST_CHECK"}
_PAIRS = {
    "STORE_FAST_LOAD_FAST": ("STORE_FAST", "LOAD_FAST"),
    "STORE_FAST_STORE_FAST": ("STORE_FAST", "STORE_FAST"),
    "LOAD_FAST_LOAD_FAST": ("LOAD_FAST", "LOAD_FAST"),
    "LOAD_FAST_BORROW_LOAD_FAST_BORROW": ("LOAD_FAST_BORROW", "LOAD_FAST_BORROW"),
}
_BUILDS = {"BUILD_TUPLE", "BUILD_LIST", "BUILD_MAP", "BUILD_CONST_KEY_MAP"}


def only_returned(frame: FrameType | None, outermost: CodeType) -> bool:
    """Whether the result of the call that ``frame`` is in the midst of is only returned, by
    ``frame`` and its callers, to the one that runs ``outermost``."""
    while frame is not None and frame.f_code is not outermost:
        if not _goes_to_return(frame.f_code, frame.f_lasti):
            return False
        frame = frame.f_back
    return frame is not None


def _goes_to_return(code: CodeType, lasti: int) -> bool:
    """Whether what the call at ``lasti`` leaves on the stack is only returned."""
    if code.co_flags & 0x2A0:  # generators and coroutines
        return False
    above = 0  # values on the stack above the number, where it lies on it
    on_stack = True
    places: set[str] = set()  # locals that hold it
    for name, value, i in _steps(code, lasti):
        if "JUMP" in name or name in ("FOR_ITER", "SEND") or "EXC" in name or "WITH" in name:
            return False
        if name == "RETURN_VALUE":
            return not on_stack or above == 0
        if name == "RETURN_CONST":
            return True
        if name in _LOADS and value in places:
            if on_stack:
                return False  # there are two of it now
            on_stack, above = True, 0
            continue
        if name == "STORE_FAST":
            if on_stack and above == 0:
                places.add(value)
                on_stack = False
                continue
            places.discard(value)
            above -= 1
            continue
        if not on_stack:
            if isinstance(value, str) and "FAST" in name and value in places:
                return False
            continue
        if name in _LOADS:
            above += 1
            continue
        if name in _BUILDS:
            count = i.arg or 0
            taken = 2 * count if name == "BUILD_MAP" else count
            taken += name == "BUILD_CONST_KEY_MAP"
            above = above + 1 - taken if taken <= above else 0
            continue
        effect = dis.stack_effect(i.opcode, i.arg, jump=False)
        if _taken(i) > above:
            return False
        above += effect
    return False


def _steps(code: CodeType, lasti: int) -> Iterator[tuple[str, Any, dis.Instruction]]:
    """The instructions after the one at ``lasti``: name, argument, and all of it. Those that do two
    things, as Python 3.13's STORE_FAST_LOAD_FAST, are given as two."""
    for i in dis.get_instructions(code):
        if i.offset <= lasti or i.opname in _QUIET:
            continue
        pair = _PAIRS.get(i.opname)
        if pair is None:
            yield i.opname, i.argval, i
        else:
            for name, value in zip(pair, i.argval, strict=True):
                yield name, value, i


def _taken(i: dis.Instruction) -> int:
    """How many values an instruction takes from the stack; many, where that is not known."""
    name, arg = i.opname, i.arg or 0
    if name.startswith(("LOAD_CONST", "LOAD_FAST", "LOAD_GLOBAL", "LOAD_DEREF", "PUSH_NULL")):
        return 0
    if name in ("LOAD_SMALL_INT", "LOAD_BORROW", "MAKE_CELL", "COPY_FREE_VARS"):
        return 0
    if name in ("LOAD_ATTR", "LOAD_METHOD", "POP_TOP", "UNARY_NEGATIVE"):
        return 1
    if name == "CALL":
        return arg + 2
    if name in ("KW_NAMES",):
        return 0
    if name in ("BINARY_OP", "BINARY_SUBSCR", "COMPARE_OP"):
        return 2
    return 1 << 30


class Stand:
    """Stands for ``number``, the only element of the value ``var``, until it is returned."""

    __slots__ = ("number", "var")

    def __init__(self, var: Var, number: object) -> None:
        self.var = var
        self.number = number


def number_of(array: np.ndarray) -> bool | int | float | complex:
    """The only element of ``array`` as a Python number."""
    if array.dtype.kind not in "biufc":
        return float(array.reshape(()).astype(np.float32))
    return array.item()


def is_record(value: Any) -> bool:
    """Whether ``value`` is an instance of a dataclass that is no more than its attributes."""
    kind = type(value)
    return (
        dataclasses.is_dataclass(kind)
        and kind.__new__ is object.__new__
        and hasattr(value, "__dict__")
        and not any("__slots__" in vars(base) for base in kind.__mro__[:-1])
    )


def with_numbers(result: Any) -> Any:
    """What a function returned, with every stand-in replaced by its number."""
    if type(result) is Stand:
        return result.number
    if type(result) is Symbol:
        return result.value
    if type(result) in (tuple, list):
        parts = [with_numbers(r) for r in result]
        changed = any(a is not b for a, b in zip(parts, result, strict=True))
        return type(result)(parts) if changed else result
    held = vars(result) if is_record(result) else result
    if type(held) in (dict, OrderedDict):
        for key, value in held.items():
            number = with_numbers(value)
            if number is not value:
                held[key] = number
    return result
