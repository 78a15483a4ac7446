"""What Python state a function can reach: its arguments, closure, globals, and what hangs on them.

Each Place is one value in one holder (a dict, a list, a cell ...). The guards of compiled code ask
whether the Places still hold what they held; the capture asks whether the run itself changed any.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import sys
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.value import Value

PACKAGE = str(Path(__file__).parents[1])
STDLIB = str(Path(functools.__file__).parent)
PLAIN = (type(None), bool, int, float, complex, str, bytes)
DICTS = (dict, OrderedDict, defaultdict)
#: Attributes of every Module that change only by its methods, which count.
OF_MODULES = (
    "_non_persistent_buffers_set", "_forward_hooks", "_forward_pre_hooks", "_backward_hooks",
    "_backward_pre_hooks",
)  # fmt: skip
#: By these names users' code reads what schedules change.
OPTIONS = frozenset(["param_groups", "get_last_lr", "_last_lr", "get_lr", "last_epoch"])
MANY = 1000  # elements of a plain container that are compared one by one
MOST = 20_000  # places


class _Missing:
    def __repr__(self) -> str:
        return "<nothing>"


MISSING = _Missing()


@dataclass(slots=True)
class Place:
    """``value`` is what ``holder`` holds under ``key``; ``how`` says how it is looked up:
    "item", "cell", "attribute", "length", or "equal" (the holder as a whole is ``value``)."""

    holder: Any
    how: str
    key: Any
    value: Any
    name: str  # for people
    module: bool  # set by Module.__setattr__, which counts
    counted: bool = False  # ``module`` was set, but it is looked at in every call
    hyper: bool = False  # an option of an optimizer, or what a schedule knows

    def now(self) -> Any:
        """What is there at the moment."""
        try:
            if self.how == "item":
                return self.holder[self.key]
            if self.how == "cell":
                return self.holder.cell_contents
            if self.how == "attribute":
                return getattr(self.holder, self.key, MISSING)
            if self.how == "length":
                return len(self.holder)
        except (KeyError, IndexError, ValueError):
            return MISSING
        return self.holder

    def put(self, value: Any) -> bool:
        """Put ``value`` there, if that can be done and undone without anybody noticing."""
        if self.how == "item" and isinstance(self.holder, (dict, list)):
            self.holder[self.key] = value
        elif self.how == "cell":
            self.holder.cell_contents = value
        else:
            return False
        return True

    def holds(self) -> bool:
        """Whether it still holds what it held."""
        now = self.now()
        if now is self.value:
            return True
        if self.how == "equal":
            return now == self.value
        kind = type(self.value)
        if kind not in PLAIN or type(now) is not kind:
            return False
        return now == self.value or (now != now and self.value != self.value)


def is_optimizer(obj: object) -> bool:
    """Whether ``obj`` is an optimizer that steps by a formula (optim/optimizer.py)."""
    d = getattr(obj, "__dict__", ())
    return "param_groups" in d and "state" in d and hasattr(type(obj), "_formula")


def is_schedule(obj: object) -> bool:
    """Whether ``obj`` is a schedule of an optimizer's options (optim/lr_scheduler.py)."""
    d = getattr(obj, "__dict__", ())
    return "optimizer" in d and hasattr(type(obj), "get_last_lr")


def is_ours(function: Callable) -> bool:
    """Whether a function belongs to this library or to Python's."""
    file = function.__code__.co_filename
    inside = file.startswith((PACKAGE, "<frozen", "<flambeau"))
    return inside or (file.startswith(STDLIB) and "site-packages" not in file)


def names_in(code: types.CodeType) -> tuple[dict[str, None], dict[str, None]]:
    """The names of globals, and of attributes, that ``code`` and functions inside it mention."""
    scopes: tuple[dict[str, None], dict[str, None]] = ({}, {})
    for i in dis.get_instructions(code):
        if i.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            scopes[0][i.argval] = None
        elif i.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            scopes[1][i.argval] = None
    scopes[1].update(dict.fromkeys(c for c in code.co_consts if type(c) is str))
    for c in code.co_consts:
        if isinstance(c, types.CodeType):
            for mine, inner in zip(scopes, names_in(c), strict=True):
                mine.update(inner)
    return scopes


class Reach:
    """Everything that can be reached from ``roots``, pairs of name and object. ``changing``: ids of
    containers, with keys, where numbers are not always the same; ``exchanged``: where tensors are
    not, which are noted as ``exchanges`` and not among ``tensors``."""

    def __init__(
        self,
        roots: list[tuple[str, Any]],
        changing: Collection[tuple[int, Any]] = (),
        exchanged: Collection[tuple[int, Any]] = (),
    ) -> None:
        self.exchanged = exchanged
        self.exchanges: list[Place] = []
        self.apart = {key[0] for key in changing}  # ids of containers to be looked at by items
        self.places: list[Place] = []
        self.tensors: dict[int, str] = {}  # id -> name
        self.held: list[Value] = []
        self.optimizers: list[Any] = []
        self.generators: list[np.random.Generator] = []
        self.reads_options = False  # whether user's code mentions such options
        self.seen: set[int] = set()
        self.full = False
        queue = deque((name, obj, False) for name, obj in roots)
        while queue:
            name, obj, module = queue.popleft()
            if id(obj) in self.seen:
                continue
            self.seen.add(id(obj))
            if len(self.places) > MOST:
                self.full = True
                break
            queue.extend(self._visit(name, obj, module))

    def _note(
        self, holder: Any, how: str, key: Any, value: Any, name: str, module: bool
    ) -> tuple[str, Any, bool]:
        place = Place(holder, how, key, value, name, module)
        self.places.append(place)
        if isinstance(value, Value) and (id(holder), key) in self.exchanged:
            self.exchanges.append(place)
            value = None
        return name, value, module

    def _visit(self, name: str, obj: Any, module: bool) -> list[tuple[str, Any, bool]]:
        """Note what ``obj`` holds; what remains to be visited."""
        kind = type(obj)
        if kind in PLAIN or isinstance(obj, (np.ndarray, np.generic)):
            return []
        if isinstance(obj, Value):
            self.tensors.setdefault(id(obj), name)
            self.held.append(obj)
            return []
        if isinstance(obj, types.FunctionType):
            return self._wrapper(name, obj) if is_ours(obj) else self._function(name, obj)
        if isinstance(obj, types.MethodType):
            return [(name, obj.__func__, False), (name, obj.__self__, False)]
        if isinstance(obj, functools.partial):
            parts = (obj.func, *obj.args, *obj.keywords.values())
            return [(name, part, False) for part in parts]
        if isinstance(obj, (staticmethod, classmethod)):
            return [(name, obj.__func__, False)]
        if isinstance(obj, property):
            return [(name, f, False) for f in (obj.fget, obj.fset) if f is not None]
        if isinstance(obj, types.ModuleType):
            return []
        if isinstance(obj, np.random.Generator):
            self.generators.append(obj)
            return []
        if isinstance(obj, DICTS):
            return self._container(name, obj, list(obj.items()), module)
        if kind in (list, tuple, deque) or isinstance(obj, tuple):
            return self._container(name, obj, list(enumerate(obj)), module)
        if kind in (set, frozenset):
            if kind is set:
                self._note(obj, "equal", None, set(obj), name, module)
            return []
        if isinstance(obj, type):
            return [] if self._is_library(obj) else self._class(name, obj)
        return self._object(name, obj)

    def _container(self, name: str, obj: Any, items: list, module: bool) -> list:
        fixed = isinstance(obj, tuple)
        if all(type(v) in PLAIN for _, v in items) and id(obj) not in self.apart:
            if fixed:
                return []
            if len(items) <= MANY:
                self._note(obj, "equal", None, obj.copy(), name, module)
            else:
                self._note(obj, "length", None, len(obj), f"len({name})", module)
            return []
        if not fixed:
            self._note(obj, "length", None, len(obj), f"len({name})", module)
        further = []
        for key, value in items[:MOST]:
            path = f"{name}[{key!r}]" if type(key) in PLAIN else f"{name}[...]"
            if fixed or type(key) not in PLAIN:
                further.append((path, value, module))
            else:
                further.append(self._note(obj, "item", key, value, path, module))
        return further

    @staticmethod
    def _wrapper(name: str, function: types.FunctionType) -> list:
        """What a function of the library's wraps: that of ``@no_grad()``, of ``func.grad(f)``."""
        inner = [function.__wrapped__] if hasattr(function, "__wrapped__") else []
        for cell in function.__closure__ or ():
            with contextlib.suppress(ValueError):  # it may be empty
                value = cell.cell_contents
                users = isinstance(value, types.FunctionType) and not is_ours(value)
                bound = isinstance(value, (types.MethodType, functools.partial))
                if users or bound or "_parameters" in getattr(value, "__dict__", ()):
                    inner.append(value)
        return [(name, value, False) for value in inner]

    def _function(self, name: str, function: types.FunctionType) -> list:
        further = []
        code = function.__code__
        for variable, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                value = cell.cell_contents
            except ValueError:
                value = MISSING
            further.append(self._note(cell, "cell", None, value, variable, False))
        for default in function.__defaults__ or ():
            further.append((f"a default of {name}", default, False))
        for key, default in (function.__kwdefaults__ or {}).items():
            further.append((key, default, False))
        further += self._globals(function.__globals__, code)
        if hasattr(function, "__wrapped__"):
            further.append((name, function.__wrapped__, False))
        return further

    def _globals(self, scope: dict, code: types.CodeType) -> list:
        further = []
        names, attributes = names_in(code)
        self.reads_options = self.reads_options or not OPTIONS.isdisjoint(attributes)
        for key in names:
            if key not in scope:
                continue
            value = scope[key]
            if isinstance(value, types.ModuleType):
                file = getattr(value, "__file__", None) or ""
                root = value.__name__.partition(".")[0]
                if (
                    root not in sys.stdlib_module_names
                    and root not in ("numpy", "torch")
                    and (not file.startswith(PACKAGE))
                ):
                    inner = vars(value)
                    further += [
                        self._note(inner, "item", k, inner[k], f"{key}.{k}", False)
                        for k in attributes
                        if k in inner and not isinstance(inner[k], types.ModuleType)
                    ]
                continue
            further.append(self._note(scope, "item", key, value, key, False))
        return further

    @staticmethod
    def _is_library(cls: type) -> bool:
        root = cls.__module__.partition(".")[0]
        return root in ("flambeau", "torch", "numpy", "builtins") or (
            root in sys.stdlib_module_names and root != "__main__"
        )

    def _class(self, name: str, cls: type) -> list:
        further = []
        table = vars(cls)  # and not getattr, which would ask descriptors for something else
        self._note(table, "length", None, len(table), f"the attributes of {name}", False)
        for key, value in table.items():
            if key.startswith("__") and key not in ("__call__", "__init__"):
                continue
            if isinstance(value, (types.FunctionType, staticmethod, classmethod, property)):
                further.append((f"{name}.{key}", value, False))
            elif not isinstance(value, (types.MemberDescriptorType, types.GetSetDescriptorType)):
                further.append(self._note(table, "item", key, value, f"{name}.{key}", False))
        return further + [(b.__name__, b, False) for b in cls.__bases__]

    def _object(self, name: str, obj: Any) -> list:
        cls = type(obj)
        further = [] if self._is_library(cls) else [(cls.__name__, cls, False)]
        d = getattr(obj, "__dict__", None)
        if isinstance(d, dict) and "_torchdynamo_orig_callable" in d:  # compiled itself
            return [(name, obj.function, False)]
        if is_schedule(obj):  # its step is done again at every run
            for key, value in d.items():
                further.append(self._note(d, "item", key, value, f"{name}.{key}", False))
                self.places[-1].hyper = True
            return [(f"{name}.optimizer", obj.optimizer, False)]
        if is_optimizer(obj):
            return further + self._optimizer(name, obj)
        if isinstance(d, dict):
            module = "_parameters" in d and "_modules" in d
            if module:
                for table in ("_parameters", "_buffers", "_modules"):
                    for key, value in d[table].items():
                        path = f"{name}.{key}"
                        further.append(self._note(d[table], "item", key, value, path, True))
            self._note(d, "length", None, len(d), f"the attributes of {name}", module)
            for key, value in d.items():
                if module and key in ("_parameters", "_buffers", "_modules", "_hooked"):
                    continue
                further.append(self._note(d, "item", key, value, f"{name}.{key}", module))
                if module and not (key[:1] == "_" and (key in OF_MODULES or self._is_library(cls))):
                    further[-1] = (*further[-1][:2], False)  # a list of the user's changes unseen
        for base in cls.__mro__:
            slots = base.__dict__.get("__slots__", ())
            for key in (slots,) if isinstance(slots, str) else slots:
                if not key.startswith("__") and not self._is_library(base):
                    value = getattr(obj, key, MISSING)
                    path = f"{name}.{key}"
                    further.append(self._note(obj, "attribute", key, value, path, False))
        return further

    def _optimizer(self, name: str, obj: Any) -> list:
        self.optimizers.append(obj)
        d = obj.__dict__
        further = []
        for key in ("state", "param_groups"):
            self._note(d, "item", key, d[key], f"{name}.{key}", False)
        self._note(d["state"], "length", None, len(d["state"]), f"{name}.state", False)
        self._note(d["param_groups"], "length", None, len(d["param_groups"]), name, False)
        for i, group in enumerate(d["param_groups"]):
            path = f"{name}.param_groups[{i}]"
            self._note(d["param_groups"], "item", i, group, path, False)
            for key, value in group.items():
                further.append(self._note(group, "item", key, value, f"{path}[{key!r}]", False))
                self.places[-1].hyper = key != "params"
        for p, state in d["state"].items():
            for key, value in state.items() if isinstance(state, dict) else ():
                if isinstance(value, Value):
                    who = self.tensors.get(id(p), "a parameter")
                    self.tensors.setdefault(id(value), f"{name}.state[{who}][{key!r}]")
                    self.held.append(value)
        return further
