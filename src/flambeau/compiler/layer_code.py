"""Code of their own for layers (convolution, attention ...), as parts of a segment.

A ``Recipe`` says which functions fill the memory of a ``Native`` array: one ``Step`` after the
other, each a function over a range that the threads share out,

    void step(what is given ..., i64 start, i64 stop)

The functions are those that eager's routines call, too (``conv_text`` and its like); what they
need besides (tables, scratch memory) comes from the program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .arrays import Native, Part, Read, row_major
from .builder import FLOATS, literal
from .lowering import Lazy, copied, dense


@dataclass(frozen=True, slots=True)
class Result:
    """The memory that is filled, from an element on; ``part``: that of a part, by number."""

    offset: int = 0
    part: int | None = None


@dataclass(frozen=True, slots=True)
class Operand:
    """The memory of an operand, from an element of it on."""

    number: int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Scratch:
    """Memory that a thread has for itself."""


Given = Result | Operand | Scratch | np.ndarray | np.floating | int


@dataclass(slots=True)
class Step:
    """One function, ``text`` with the name "kernel", over range(``count``), cut at multiples of
    ``unit``. ``given``: its arguments before the range; an array is a constant table of int64.

    ``inner``: a function that ``text`` calls as "inner". ``waits``: every thread has to be done
    with the steps before. ``only_if``: an int64 that must not be 0, or the step is left out.
    ``apart``: little is done anew for each part of the range, which may be taken in small ones.
    """

    text: str
    given: tuple[Given, ...]
    count: int
    unit: int = 1
    inner: str = ""
    waits: bool = False
    only_if: Result | None = None
    apart: bool = False


@dataclass(slots=True)
class Recipe:
    """How a ``Native`` array is filled. ``scratch``: bytes for each thread; ``nanoseconds``: a
    guess for one thread; ``operations``: additions and multiplications, for reports.

    ``plain(*operands)``: the same by NumPy, for the target "python": what goes into the array's
    and its parts' memory; operands come in ``shapes``.
    """

    name: str
    steps: tuple[Step, ...]
    plain: Callable[..., Sequence[np.ndarray]]
    shapes: tuple[tuple[int, ...], ...]
    scratch: int = 0
    nanoseconds: float = 0.0
    operations: float = 0.0


def in_memory(x: Lazy) -> Lazy:
    """``x``, or a copy of it, in memory row by row."""
    x = dense(x)
    own = getattr(x.read.array, "strides", None)
    if own is not None and any(
        n > 1 and s != d for n, s, d in zip(x.read.array.shape, own, row_major(x.read.array.shape))
    ):
        return copied(x)
    return x


def filled(
    shape: Sequence[int],
    dtype: np.dtype,
    operands: Sequence[Lazy],
    recipe: Recipe,
    parts: Sequence[tuple[tuple[int, ...], np.dtype]] = (),
) -> list[Lazy]:
    """What ``recipe`` makes of operands that are in memory: its array, and its parts."""
    shape = tuple(shape)
    made = Native(shape, dtype, tuple(x.read for x in operands), recipe, note=recipe.name)
    made.parts = tuple(Part(s, d, made, note=recipe.name) for s, d in parts)
    return [Lazy(Read(a, row_major(a.shape)), a.shape) for a in (made, *made.parts)]


def recipe_text(writer: Any, work: Native, small: bool) -> None:
    """The calls of the steps of ``work``; by one thread where it is ``small``."""
    for step in work.recipe.steps:
        if step.waits and writer.program.threads > 1:
            writer.wait()
            writer.ready(work.sources(), [work, *work.parts])
        text = step.text
        if step.inner:
            text = text.replace("@inner(", f"@{_function(writer, step.inner)}(")
        name = _function(writer, text)
        given = ", ".join([_argument(writer, work, g) for g in step.given])
        if step.apart and not small:

            def some(start: str, stop: str, number: str, name: str = name, g: str = given) -> None:
                writer.lines.append(f"call void @{name}({g}, i64 {start}, i64 {stop})")

            nanoseconds = work.recipe.nanoseconds / len(work.recipe.steps)
            writer.spread(step.count, *writer.cut(step.count, step.unit, nanoseconds), some)
            continue
        start, stop = writer.share(step.count, step.unit, small)
        call = f"call void @{name}({given}, i64 {start}, i64 {stop})"
        if step.only_if is None:
            writer.lines.append(call)
            continue
        pointer = _argument(writer, work, step.only_if)
        flag, holds, yes, then = writer.name(), writer.name(), writer.name(), writer.name()
        writer.lines += [
            f"{flag} = load i64, {pointer}",
            f"{holds} = icmp ne i64 {flag}, 0",
            f"br i1 {holds}, label {yes}, label {then}",
            f"{yes[1:]}:",
            call,
            f"br label {then}",
            f"{then[1:]}:",
        ]


def _function(writer: Any, text: str) -> str:
    return writer.program.shared(text.replace("@kernel(", "@$self("))


def _argument(writer: Any, work: Native, given: Given) -> str:
    """A step's argument as LLVM's language has it."""
    if isinstance(given, int):
        return f"i64 {given}"
    if isinstance(given, np.floating):
        element = FLOATS[given.dtype]
        return f"{element} {literal(element, given)}"
    if isinstance(given, Scratch):
        return f"ptr {writer.thread_memory()}"
    if isinstance(given, np.ndarray):
        numbers = ", ".join(f"i64 {n}" for n in given.reshape(-1).tolist())
        kind = f"[{given.size} x i64]"
        name = writer.program.shared(f"@$self = private constant {kind} [{numbers}], align 64\n")
        return f"ptr @{name}"
    if isinstance(given, Result):
        array, offset = work if given.part is None else work.parts[given.part], given.offset
    else:
        read = work.operands[given.number]
        array, offset = read.array, read.offset + given.offset
    return f"ptr {writer.pointer(array, offset * array.dtype.itemsize)}"
