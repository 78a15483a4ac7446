"""Guards: may what was captured be used for this call? As Python source, so that it can be read.

The source is one function, ``call(args, kwargs)``: it asks in the cheapest way whether everything
is as it was at capture, and returns MISS where it is not. What replay.py adds does the work.
"""

from __future__ import annotations

import itertools
import linecache
import math
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from .. import _dtypes
from ..core.modes import Edits, state
from ..core.tape import Leaf
from ..core.value import Value
from .capture import Beyond
from .reach import MISSING, PLAIN, Place
from .symbols import Book

_serial = itertools.count(1).__next__


class _Miss:
    def __repr__(self) -> str:
        return "<not what was captured>"


MISS = _Miss()
EAGER = _Miss()  # the guards hold, but this call cannot be replayed


class Source:
    """Lines of Python under way, with the objects that they mention by name."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {}
        self.by_id: dict[int, str] = {}

    def add(self, line: str, depth: int = 2) -> None:
        """One line, indented ``depth`` times."""
        self.lines.append("    " * depth + line)

    def bind(self, obj: Any, stem: str) -> str:
        """A name for ``obj``."""
        name = self.by_id.get(id(obj))
        if name is None:
            name = f"{stem}{len(self.names)}"
            self.names[name] = obj
            self.by_id[id(obj)] = name
        return name

    def miss_if(self, condition: str) -> None:
        """Leave unless it is as it was."""
        self.add(f"if {condition}: return MISS")

    def function(self, title: str) -> Callable:
        """The function ``call`` that the lines define."""
        names = ", ".join(self.names)
        text = f"def make({names}):\n" + "\n".join(self.lines) + "\n    return call\n"
        file = f"<flambeau compiled {title} {_serial()}>"
        linecache.cache[file] = (len(text), None, text.splitlines(True), file)
        scope: dict[str, Any] = {}
        exec(compile(text, file, "exec"), scope)
        made = scope["make"](**self.names)
        made.source = text
        return made


def flatten(path: str, obj: Any, leaves: list[tuple[str, Any]]) -> None:
    """Every element of nested tuples, lists and dicts, with the expression that finds it."""
    if isinstance(obj, (tuple, list)):
        for i, o in enumerate(obj):
            flatten(f"{path}[{i}]", o, leaves)
    elif isinstance(obj, dict) and all(type(k) in PLAIN for k in obj):
        for k, o in obj.items():
            flatten(f"{path}[{k!r}]", o, leaves)
    else:
        leaves.append((path, obj))


class Guards:
    """What must hold, as lines of ``source``. ``arguments``: names of the argument tensors."""

    def __init__(self, args: tuple, kwargs: dict, symbols: Collection[str] = ()) -> None:
        self.symbols = symbols  # numbers among the arguments that are not guarded here
        self.source = source = Source()
        source.names.update(MISS=MISS, state=state, Edits=Edits, dtypes=_dtypes, Leaf=Leaf)
        self.arguments: dict[int, str] = {}  # id(tensor) -> name
        self.edges: dict[int, Any] = {}  # id(tensor) -> its place in the graph, before the run
        self.tensors: list[tuple[str, Value]] = []
        self.objects: list[tuple[str, Any]] = []
        source.add("def call(args, kwargs):", 1)
        source.add("try:")
        self._structure("args", args)
        self._structure("kwargs", kwargs)
        leaves: list[tuple[str, Any]] = []
        flatten("args", args, leaves)
        flatten("kwargs", kwargs, leaves)
        for path, obj in leaves:
            if isinstance(obj, Value):
                name = f"a{len(self.tensors)}"
                source.add(f"{name} = {path}", 3)
                self._tensor(name, obj)
            else:
                self._value(path, obj)

    def add(self, line: str) -> None:
        """One more line of the guard."""
        self.source.add(line, 3)

    def miss_if(self, condition: str) -> None:
        """Leave unless it is as it was."""
        self.source.add(f"if {condition}: return MISS", 3)

    def _structure(self, path: str, obj: Any) -> None:
        if isinstance(obj, (tuple, list, dict)):
            if isinstance(obj, dict) and not all(type(k) in PLAIN for k in obj):
                raise Beyond("an argument is a dictionary whose keys are objects")
            if path == "kwargs":
                self.miss_if(f"len(kwargs) != {len(obj)}" if obj else "kwargs")
            elif path == "args":
                self.miss_if(f"len(args) != {len(obj)}")
            else:
                kind = self.source.bind(type(obj), "kind")
                self.miss_if(f"{path}.__class__ is not {kind} or len({path}) != {len(obj)}")
            items = obj.items() if isinstance(obj, dict) else enumerate(obj)
            for key, o in items:
                self._structure(f"{path}[{key!r}]", o)

    def _value(self, path: str, obj: Any) -> None:
        """A Python argument: numbers and the like by value, other objects by identity."""
        self.objects.append((path, obj))
        if path in self.symbols and type(obj) in (int, float):
            return
        if type(obj) in (bool, type(None)):
            self.miss_if(f"{path} is not {obj!r}")
        elif type(obj) in PLAIN:
            kind = type(obj).__name__
            self.miss_if(f"{path}.__class__ is not {kind} or {path} != {self._constant(obj)}")
        elif isinstance(obj, (np.generic, np.ndarray)):
            if isinstance(obj, np.ndarray):
                self.miss_if(f"{path} is not {self.source.bind(obj, 'v')}")
            else:
                kind = self.source.bind(type(obj), "kind")
                value = self.source.bind(obj, "v")
                self.miss_if(f"{path}.__class__ is not {kind} or {path} != {value}")
        else:
            self.miss_if(f"{path} is not {self.source.bind(obj, 'v')}")

    def _constant(self, value: Any) -> str:
        if type(value) in (int, str, bytes):
            return repr(value)
        return self.source.bind(value, "c")

    def array(self, x: str, array: np.ndarray) -> None:
        """The array named ``x`` has the type of ``array``."""
        d = self.source.bind(array.dtype, "dtype")
        strides = f" or {x}.strides != {array.strides}" if array.ndim else ""
        kind = self.source.bind(type(array), "memory")
        self.miss_if(
            f"{x}.shape != {array.shape}{strides} or {x}.dtype is not {d} and {x}.dtype != {d}"
            f" or {x}.__class__ is not {kind}"
        )

    def argument_tensors(self, state: dict[int, str] | None = None) -> None:
        """The types of the tensors among the arguments, and which of them are one.

        ``state``: by ids, tensors that the function reaches anyhow; an argument that is one of
        these must be that one again, and is none of the ``arguments`` any more.
        """
        seen: dict[int, str] = {}
        arrays: dict[int, str] = {}
        for name, t in self.tensors:
            if id(t) in seen:
                self.miss_if(f"{name} is not {seen[id(t)]}")
                continue
            if state is not None and id(t) in state:
                self.miss_if(f"{name} is not {self.source.bind(t, 'p')}")
                continue
            seen[id(t)] = name
            kind = self.source.bind(type(t), "kind")
            x = "x" + name[1:]
            self.miss_if(f"{name}.__class__ is not {kind}")
            self.add(f"{x} = {name}._array")
            if id(t._array) in arrays:
                self.miss_if(f"{x} is not {arrays[id(t._array)]}")
            else:
                arrays[id(t._array)] = x
                self.array(x, t._array)
            edge = self.edges[id(t)]
            if edge is None:
                self.miss_if(f"{name}._edge is not None")
            elif type(edge) is Leaf:
                self.miss_if(f"{name}._edge.__class__ is not Leaf")
            else:
                self.miss_if(f"{name}._edge is None or {name}._edge.__class__ is Leaf")
            self.miss_if(f"{name}._inference is not {t._inference}")
        if len(seen) > 1:
            self.miss_if(f"len({{{', '.join(f'id({n})' for n in seen.values())}}}) != {len(seen)}")
        if len(arrays) > 1:
            ids = ", ".join(f"id({x})" for x in arrays.values())
            self.miss_if(f"len({{{ids}}}) != {len(arrays)}")

    def taken(self, p: Place) -> None:
        """The tensor in a place is one more argument."""
        name = f"a{len(self.tensors)}"
        self.add(f"{name} = {self.now(p)}")
        self._tensor(name, p.value)

    def _tensor(self, name: str, tensor: Value) -> None:
        self.tensors.append((name, tensor))
        self.arguments.setdefault(id(tensor), name)
        self.edges[id(tensor)] = tensor._edge

    def numbers(self, book: Book) -> None:
        """Numbers that come with each run: their types, and what Python decided by them."""
        self.source.names["math"] = math
        for name, (value, where) in book.roots.items():
            at = where if type(where) is str else self.now(where)
            self.add(f"{name} = {at}")
            self.miss_if(f"{name}.__class__ is not {type(value).__name__}")
            if name in book.fixed:
                self.miss_if(f"{name} != {self.source.bind(value, 'c')}")
        for condition in book.conditions:
            self.miss_if(f"not ({condition})")

    def modes(self) -> None:
        """The modes of autograd, and the default dtype."""
        self.miss_if(
            f"state.grad is not {state.grad} or state.inference is not {state.inference} or "
            f"dtypes._default is not {self.source.bind(_dtypes.get_default_dtype(), 'd')}"
        )

    def places(self, places: list[Place]) -> None:
        """Python state holds what it held; attributes of Modules are looked at if any was set."""
        slow = [
            Place(table, "equal", None, dict(table), "hooks of all modules", True)
            for table in Edits.tables
        ]
        for p in places:
            if p.module:
                slow.append(p)
            else:
                self._place(p)
        self.edits = [Edits.count]
        edits = self.source.bind(self.edits, "edits")
        self.source.names["modules_hold"] = _modules_hold(slow)
        self.miss_if(f"Edits.count != {edits}[0] and not modules_hold({edits})")

    def now(self, p: Place) -> str:
        """The expression for what is in a place."""
        holder = self.source.bind(p.holder, "h")
        if p.how == "cell":
            return f"{holder}.cell_contents"
        if p.how == "attribute":
            return f"{holder}.{p.key}"
        key = repr(p.key) if type(p.key) in PLAIN else self.source.bind(p.key, "k")
        return f"{holder}[{key}]"

    def _place(self, p: Place) -> None:
        holder = self.source.bind(p.holder, "h")
        if p.how in ("item", "cell", "attribute"):
            now = self.now(p)
        elif p.how == "length":
            self.miss_if(f"len({holder}) != {p.value}")
            return
        else:
            self.miss_if(f"{holder} != {self.source.bind(p.value, 'c')}")
            return
        if p.value is MISSING:
            place = self.source.bind(p, "place")
            self.miss_if(f"not {place}.holds()")
        elif type(p.value) in (bool, type(None)):
            self.miss_if(f"{now} is not {p.value!r}")
        elif type(p.value) in PLAIN:
            value = self.source.bind(p.value, "c")
            place = self.source.bind(p, "place")
            self.miss_if(f"{now} is not {value} and not {place}.holds()")
        else:
            self.miss_if(f"{now} is not {self.source.bind(p.value, 'v')}")


def _modules_hold(places: list[Place]) -> Callable[[list[int]], bool]:
    def modules_hold(edits: list[int]) -> bool:
        count = Edits.count
        if not all(p.holds() for p in places):
            return False
        edits[0] = count
        return True

    return modules_hold
