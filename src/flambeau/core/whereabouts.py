"""The user's program while it runs: its lines, and the variables that hold tensors."""

from __future__ import annotations

import dis
import linecache
import os
from collections.abc import Callable, Iterator
from sys import _getframe
from types import CodeType, FrameType
from typing import Any

from .value import Value

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_own: dict[str, bool] = {}  # whether a file is flambeau's

Line = tuple[CodeType, int]


def user_frame(depth: int = 2) -> FrameType | None:
    """The innermost frame that is not flambeau's, ``depth`` frames up at least.

    Profiles and checks ask for it at every operation.
    """
    frame = _getframe(depth)
    own = _own
    while frame is not None:
        file = frame.f_code.co_filename
        try:
            inside = own[file]
        except KeyError:
            inside = own[file] = file.startswith((_PACKAGE, "<frozen"))
        if not inside:
            return frame
        frame = frame.f_back
    return None


def user_line(depth: int = 3) -> Line | None:
    """The user's line that is being run."""
    frame = user_frame(depth)
    return None if frame is None else (frame.f_code, frame.f_lineno)


def told(line: Line | None) -> str:
    """``train.py:41: logits = model(x)``."""
    if line is None:
        return "(no line of the program)"
    code, number = line
    source = linecache.getline(code.co_filename, number).strip()
    place = f"{os.path.basename(code.co_filename)}:{number}"
    return f"{place}: {source}" if source else place


def variables(frame: FrameType | None) -> Iterator[tuple[FrameType, str, list[Value]]]:
    """The variables of ``frame`` and of its callers that hold tensors, innermost frame first.

    Attributes of objects are named ``holder.attribute``; lists, tuples and dicts are looked into.
    """
    while frame is not None:
        for name, value in list(frame.f_locals.items()):
            places = [(name, value)]
            if hasattr(value, "__dict__") and not isinstance(value, (Value, type)):
                places += [(f"{name}.{k}", v) for k, v in list(vars(value).items())]
            for place, found in places:
                if isinstance(found, Value):
                    tensors = [found]
                elif type(found) in (list, tuple):
                    tensors = [v for v in found if isinstance(v, Value)]
                else:
                    values = found.values() if type(found) is dict else ()
                    tensors = [v for v in values if isinstance(v, Value)]
                if tensors:
                    yield frame, place, tensors
        frame = frame.f_back


def named(wanted: Callable[[Value], bool]) -> str | None:
    """The variable that holds a tensor which is ``wanted``, and the line that sets it:
    ``'h' (train.py:41: h = cell(x, h))``. None where no variable holds one."""
    for frame, place, tensors in variables(user_frame()):
        if any(map(wanted, tensors)):
            line = _line_that_sets(frame, place)
            return f"'{place}'" if line is None else f"'{place}' ({told(line)})"
    return None


_OPERATORS = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**", "matmul": "@", "mm": "@",
    "remainder": "%", "floor_divide": "//",
}  # fmt: skip


def calls_of(operation: str, most: int = 3) -> str | None:
    """The user's lines, by the look of them, that call ``operation`` ("exp", "mul_"): those of the
    innermost function on the way here that does, or else that names functions or holds modules
    that do; functions of the innermost one's file are asked. None where no line does, or more than
    ``most`` in one place."""
    frame = user_frame()
    file = None if frame is None else frame.f_code.co_filename
    while frame is not None and frame.f_code.co_filename == file:
        names, own = {**frame.f_globals, **frame.f_locals}, frame.f_code
        held = [names.get(n) for n in (*own.co_names, *own.co_varnames, *own.co_freevars)]
        functions = (f for v in held for f in (v, getattr(type(v), "forward", None)))
        codes = {c: None for f in functions if _is_users(c := getattr(f, "__code__", None))}
        for group in ([frame.f_code], codes):
            lines = {line: None for code in group for line in _calls_in(code, operation)}
            if lines:
                return " or ".join(map(told, lines)) if len(lines) <= most else None
        frame = frame.f_back
    return None


def _is_users(code: object) -> bool:
    return isinstance(code, CodeType) and not code.co_filename.startswith((_PACKAGE, "<frozen"))


def _calls_in(code: CodeType, operation: str) -> Iterator[Line]:
    """The lines of ``code`` that name the method or function, or use its operator."""
    symbol = _OPERATORS.get(operation.removesuffix("_"), "")
    symbol += "=" if operation[-1] == "_" else ""
    for step in dis.get_instructions(code):
        called = step.opname.startswith("LOAD_") and step.argval == operation
        if called or (step.opname == "BINARY_OP" and step.argrepr == symbol):
            yield code, step.positions.lineno


def _line_that_sets(frame: FrameType, place: str) -> Line | None:
    """The last line that assigns to the variable; to the attribute, in a method of the object's
    class, or in the frame's own code."""
    name, _, attribute = place.partition(".")
    codes = [frame.f_code]
    if attribute:
        methods: list[Any] = []
        for kind in type(frame.f_locals[name]).__mro__:
            if kind.__module__ != "builtins":
                methods += vars(kind).values()
        codes += [m.__code__ for m in methods if isinstance(getattr(m, "__code__", None), CodeType)]
    stores = "STORE_ATTR" if attribute else "STORE_"
    for code in reversed(codes):
        for step in reversed(list(dis.get_instructions(code))):
            target = step.argval if isinstance(step.argval, tuple) else (step.argval,)
            if step.opname.startswith(stores) and (attribute or name) in target:
                return code, step.positions.lineno
    return None
