"""What ``f.explain()`` returns: a text that says what became of a function, with every stage of its
programs as attributes."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import report
from .execute import run_node
from .graph import Call, Copy, Draw, Graph, Node, Put, Update, Var, View


class Explanation(str):
    """The report, in plain English; prints as it reads.

    ``trace``: the captured operations as a Python function that runs (``trace.function``);
    ``graph``: the same as a list, one operation a line; ``live``: without rows that nobody reads;
    ``plan``: what was fused, unit by unit;
    ``loops``: every kernel as Python loops; ``llvm`` and ``assembly``: what it was compiled to.
    They are of the newest captured variant; ``programs`` has all of them, forward and backward.
    A program is compiled at the second call with the same kinds of arguments.
    """

    __slots__ = ("programs",)

    def __new__(cls, text: str, programs: Sequence[Any]) -> Explanation:
        self = super().__new__(cls, text)
        self.programs = list(programs)
        return self

    def __repr__(self) -> str:
        return str(self)

    def _first(self) -> Any:
        if not self.programs:
            raise RuntimeError(
                "nothing was captured: call the compiled function first, or read in the report why "
                "it runs eagerly"
            )
        return self.programs[0]

    def _built(self) -> Any:
        program = self._first()
        if not hasattr(program, "plan"):
            raise RuntimeError(
                "the program is not machine code: it is compiled at its second call, and only "
                "where llvmlite is installed (pip install 'flambeau[compile]')"
            )
        return program

    @property
    def trace(self) -> Trace:
        """The captured operations as Python."""
        return trace(_captured(self._first()))

    @property
    def graph(self) -> str:
        """The captured operations, one a line, with dtypes and shapes."""
        return str(_captured(self._first()))

    @property
    def live(self) -> str:
        """The operations that are left when rows that nobody reads are not computed."""
        return str(self._built().graph)

    @property
    def plan(self) -> str:
        """What was fused, and what is called."""
        return report.words(self._built())

    @property
    def loops(self) -> str:
        """The kernels as Python functions."""
        return report.loops(self._built())

    @property
    def llvm(self) -> str:
        """The program in LLVM's language."""
        return self._built().code.text

    @property
    def assembly(self) -> str:
        """What the processor runs."""
        return report.assembly(self._built())


def _captured(program: Any) -> Graph:
    return program.captured if hasattr(program, "plan") else program.graph


def explained(name: str, variants: Sequence[Any], lines: Sequence[str]) -> Explanation:
    """The report on a function: its captured ``variants``, and ``lines`` about the rest."""
    text = [f"{name}: {len(variants)} captured"]
    programs = []
    for variant in variants:
        for title, later in (("", variant.program), *[("backward ", p) for p in variant.backward]):
            run = getattr(later, "run", None)
            program = run if hasattr(run, "plan") else later
            programs.append(program)
            text.append(f"  a {title}program of {len(_captured(program).nodes)} operations")
            if hasattr(program, "plan"):
                text += [f"    {line}" for line in report.words(program).split("\n")]
            else:
                text.append("    not compiled yet: that happens at its next call")
    return Explanation("\n".join([*text, *lines]), programs)


# ---- a graph as Python -----------------------------------------------------------------------


class Trace(str):
    """A captured graph as the text of a Python function; ``function`` is that function, of arrays.

    Numbers of an optimizer are those of the capture.
    """

    __slots__ = ("names",)

    def __new__(cls, text: str, names: dict[str, Any]) -> Trace:
        self = super().__new__(cls, text)
        self.names = names
        return self

    @property
    def function(self) -> Callable[..., list[np.ndarray]]:
        """``program(*inputs)``: the outputs; written inputs are returned after them."""
        file = f"<flambeau trace {len(linecache.cache)}>"
        linecache.cache[file] = (len(self), None, self.splitlines(True), file)
        names = dict(self.names)
        exec(compile(str(self), file, "exec"), names)
        return names["program"]


def trace(graph: Graph) -> Trace:
    """The Python text of ``graph``."""
    names: dict[str, Any] = {}
    inputs = ", ".join(f"v{v.number}" for v in graph.inputs)
    lines = [f"def program({inputs}):"]
    for v in graph.inputs:
        lines.append(f"    # v{v.number}: {v.dtype.name}{list(v.shape)}, {v.name}")
    for v, array in graph.constants.items():
        names[f"c{v.number}"] = array
        lines.append(f"    v{v.number} = c{v.number}  # {v.dtype.name}{list(v.shape)}")
    for place, node in enumerate(graph.nodes):
        stem = _stem(node)
        name = f"{stem}_{place}"
        names[name] = _function(node)
        made = ", ".join(f"v{v.number}" for v in node.made)
        read = ", ".join(f"v{v.number}" for v in dict.fromkeys(node.reads()))
        shapes = "; ".join(f"{v.dtype.name}{list(v.shape)}" for v in node.made)
        lines.append(f"    {made}{',' if len(node.made) == 1 else ''} = {name}({read})  # {shapes}")
    results = [f"v{v.number}" for v in (*graph.outputs, *(v for _, v in graph.writes))]
    lines.append(f"    return [{', '.join(results)}]")
    return Trace("\n".join(lines) + "\n", names)


def _stem(node: Node) -> str:
    if isinstance(node, (Call, View)):
        return node.op.name
    kinds = {Copy: "copy", Put: "put", Update: "update", Draw: "draw"}
    return kinds[type(node)]


def _function(node: Node) -> Callable[..., tuple[np.ndarray, ...]]:
    """``node`` as a function of the arrays that it reads."""
    reads: list[Var] = list(dict.fromkeys(node.reads()))
    first = [0.0] * node.place + list(node.first) if isinstance(node, Update) else ()

    def run(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        values = dict(zip(reads, arrays, strict=True))
        run_node(node, values, first)
        return tuple(values[v] for v in node.made)

    return run
