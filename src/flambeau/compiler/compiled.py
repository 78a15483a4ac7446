"""``flambeau.compile``: a function that is captured when it is called, and replayed afterwards."""

from __future__ import annotations

import builtins
import functools
import gc
import pickle
import random
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from .. import _optional
from ..core.modes import hook
from ..core.value import Value, owner_of
from . import execute, native
from .capture import Before, Beyond, Recorder, living
from .explanation import Explanation, explained
from .graph import Graph, level_of
from .guards import EAGER, MISS, Guards, flatten
from .reach import MISSING, Place, Reach
from .replay import Variant, nodes_of, replayed
from .returned import is_record, with_numbers
from .symbols import Book, Changing, Symbol, is_plain_number, key_of, numbers_in, within_math

#: Every compiled function that is there, for ``torch.compiler.reset()``.
COMPILED: weakref.WeakSet[Compiled] = weakref.WeakSet()
#: PyTorch's names of back ends and modes: all of them mean the fastest there is here.
BACKENDS = ("inductor", "eager", "aot_eager", "python", "cudagraphs", "onnxrt", "openxla", "tvm",
            "aot_ts", "aot_eager_decomp_partition", "eager_noexcept", "ts")  # fmt: skip
MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs",
         "lite")  # fmt: skip
MOST_VARIANTS = 8
MOST_ATTEMPTS = 5


def chosen() -> execute.Executor:
    """The executor of this machine: machine code where LLVM is installed, else NumPy."""
    return native if _optional.installed("llvmlite") else execute.DullExecutor()


def builder(executor: execute.Executor) -> Callable[[Graph], execute.Program]:
    """How programs are made: by ``executor``, or by those who run operations on tensors that are
    not in the CPU's memory."""

    def build(graph: Graph) -> execute.Program:
        return (level_of(graph) or executor).build(graph)

    return build


class Eager:
    """A call that runs eagerly, for ``reason``."""

    def __init__(self, call: Callable, reason: str) -> None:
        self.call = call
        self.reason = reason


class Compiled:
    """A compiled function. Call it like the function; ``explain()`` says what became of it."""

    def __init__(
        self,
        function: Callable,
        executor: execute.Executor | None = None,
        context: Callable[[], Any] = nullcontext,
    ) -> None:
        self.function = function
        self.executor = executor
        self.context = context  # within which the function runs
        self.under: dict[Hashable, Compiled] = {}  # by what is in force around the call
        self.lock = threading.RLock()
        self.variants: list[Variant] = []
        self.eager: list[Eager] = []
        self.reasons: list[str] = []
        COMPILED.add(self)
        self.changing = Changing()
        self.attempts = 0
        self.given_up: str | None = None
        self.calls = 0
        self._torchdynamo_orig_callable = function
        if not hasattr(function, "_parameters"):
            functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        active = hook.active
        if active is not None and not active.beneath:
            below = active.below
            way = active.compilable() if below is None or below.beneath else None
            if way is None:
                return self.function(*args, **kwargs)
            key, context = way
            inner = self.under.get(key)
            if inner is None:
                inner = self.under.setdefault(key, Compiled(self.function, self.executor, context))
            active.__exit__()
            try:
                return inner(*args, **kwargs)
            finally:
                active.__enter__()
        with self.lock:
            for variant in self.variants:
                result = variant.call(args, kwargs)
                if result is EAGER:
                    return self.eagerly(args, kwargs)
                if result is not MISS:
                    if variant.ways and variant is not self.variants[0]:
                        self._to_the_front(variant)
                    return result
            if self.given_up is None:
                for way in self.eager:
                    if way.call(args, kwargs) is not MISS:
                        break
                else:
                    return self._capture(args, kwargs)
        return self.eagerly(args, kwargs)

    def _to_the_front(self, variant: Variant) -> None:
        """Let the way that Python went last be tried first: each that is not the right one costs a
        run of its program as far as it looks."""
        self.variants.remove(variant)
        self.variants.insert(0, variant)

    def eagerly(self, args: tuple, kwargs: dict) -> Any:
        """The call, uncompiled."""
        with self.context():
            return self.function(*args, **kwargs)

    def __reduce__(self) -> str | tuple:
        """Copies and pickles have the function, and are captured anew. A decorated function is
        found by its name, as functions are."""
        name = getattr(self.function, "__qualname__", "")
        where = sys.modules.get(getattr(self.function, "__module__", ""))
        if where is not None and getattr(where, name, None) is self:
            return name
        return Compiled, (self.function, self.executor, self.context)

    def forget(self) -> None:
        """Let go of what was captured."""
        with self.lock:
            self.under.clear()
            self.variants.clear()
            self.eager.clear()
            self.reasons.clear()
            self.changing = Changing()
            self.attempts, self.given_up = 0, None

    def __get__(self, obj: object, cls: type | None = None) -> Any:
        return self if obj is None else functools.partial(self, obj)

    # ---- capture -----------------------------------------------------------------------------

    def _capture(self, args: tuple, kwargs: dict) -> Any:
        """Run the function eagerly, and keep what it did if it can be done again."""
        if len(self.variants) + len(self.eager) >= MOST_VARIANTS:
            self.given_up = f"it was called in more than {MOST_VARIANTS} different ways"
            warnings.warn(
                f"flambeau.compile: {self._name()} runs eagerly from now on: {self.given_up} "
                "(shapes, dtypes, modes, values of Python arguments, or outcomes of `if`)",
                stacklevel=3,
            )
            self.variants = [v for v in self.variants if not v.ways]
            return self.eagerly(args, kwargs)
        run = Run(self, args, kwargs)
        try:
            result = run.eagerly()
        except BaseException:
            run.recorder.restore()
            raise
        try:
            self.variants.insert(0, run.variant(result))
            self.attempts = 0
        except Beyond as error:
            self._failed(run, error)
        finally:
            run.recorder.restore()
        return with_numbers(result)

    def _failed(self, run: Run, error: Beyond) -> None:
        self.reasons.append(str(error))
        self.attempts += 1
        if error.again and self.attempts < MOST_ATTEMPTS:
            return
        try:
            self.eager.append(Eager(run.guard_only(), str(error)))
            self.attempts = 0
        except Beyond as further:
            self.given_up = str(further)

    def _name(self) -> str:
        return getattr(self.function, "__qualname__", type(self.function).__name__)

    def explain(self) -> Explanation:
        """What was captured, and what was not and why, in words; every stage as attributes."""
        lines = [f"  runs eagerly: {e.reason}" for e in self.eager]
        if self.given_up:
            lines.append(f"  runs eagerly: {self.given_up}")
        lines += [f"  a call was not captured: {r}" for r in self.reasons]
        variants = [*self.variants, *(v for inner in self.under.values() for v in inner.variants)]
        for inner in self.under.values():
            lines += [f"  runs eagerly: {e.reason}" for e in inner.eager]
            lines += [f"  a call was not captured: {r}" for r in inner.reasons]
        return explained(self._name(), variants, lines)


#: Functions of Python whose effects, or results, a program would not have again.
HOST = [
    (builtins, "print"), (builtins, "input"), (time, "time"), (time, "perf_counter"),
    (time, "monotonic"), (time, "process_time"), (time, "sleep"),
]  # fmt: skip


def _importing() -> bool:
    """Whether a module is being imported, by a library that loads another when it needs it."""
    frame = sys._getframe(2)
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


@contextmanager
def host_effects(recorder: Recorder) -> Iterator[None]:
    """Within, ``recorder`` hears of calls of the functions in HOST."""

    def noting(name: str, function: Callable) -> Callable:
        def noted(*args: Any, **kwargs: Any) -> Any:
            if not _importing():
                recorder.opaque(f"{name}() is called")
            return function(*args, **kwargs)

        return noted

    before = [(where, name, getattr(where, name)) for where, name in HOST]
    for where, name, function in before:
        setattr(where, name, noting(name, function))
    try:
        yield
    finally:
        for where, name, function in before:
            setattr(where, name, function)


class Run:
    """One call under the Recorder."""

    def __init__(self, owner: Compiled, args: tuple, kwargs: dict) -> None:
        self.owner = owner
        self.args = args
        self.kwargs = kwargs
        changing = owner.changing
        guards = Guards(args, kwargs, changing.keys)
        roots = [(owner._name(), owner.function), *guards.objects]
        self.reach = Reach(roots, changing.keys, changing.exchanged)
        options = self.reach.reads_options
        places = [p for p in self.reach.places if options or not p.hyper]
        if changing.saw(numbers_in(places, args, kwargs)):
            guards = Guards(args, kwargs, changing.keys)
            self.reach = Reach(roots, changing.keys, changing.exchanged)
        for p in self.reach.exchanges:
            guards.taken(p)
        self.book = Book() if changing.keys else None
        tensors = [t for _, t in guards.tensors]
        self.before = Before([*tensors, *self.reach.held])
        self.recorder = Recorder(self.before, Compiled.eagerly.__code__, self.book)
        self.guards = guards
        self.given: dict[int, Symbol] = {}  # id of a place -> what stands for the number there
        self.changes: list[tuple[Place, Any]] = []  # places, and what the function puts there
        self.random = self._random_states()

    def _random_states(self) -> tuple:
        others = [g.bit_generator.state for g in self.reach.generators]
        return random.getstate(), pickle.dumps([np.random.get_state(), *others])

    def eagerly(self) -> Any:
        """The function's result."""
        book = self.book
        if book is None:
            with self.recorder, host_effects(self.recorder):
                return self.owner.eagerly(self.args, self.kwargs)
        keys = self.owner.changing.keys
        args = [
            book.root(a, f"args[{i}]") if f"args[{i}]" in keys and is_plain_number(a) else a
            for i, a in enumerate(self.args)
        ]
        kwargs = {
            k: book.root(a, f"kwargs[{k!r}]")
            if f"kwargs[{k!r}]" in keys and is_plain_number(a)
            else a
            for k, a in self.kwargs.items()
        }
        places = [
            p for p in self.reach.places
            if key_of(p) in keys and is_plain_number(p.value) and p.now() is p.value
        ]  # fmt: skip
        try:
            for p in places:
                given = book.root(p.value, p)
                if p.put(given):
                    self.given[id(p)] = given
            with self.recorder, host_effects(self.recorder), within_math():
                return self.owner.eagerly(args, kwargs)
        finally:
            book.open = False
            self._take_back()

    def _take_back(self) -> None:
        """Leave no symbol where the function found or put numbers; note what it has changed."""
        for p in self.reach.places:
            now = p.now()
            if now is self.given.get(id(p), MISSING):
                p.put(p.value)
            elif type(now) is Symbol:
                self.changes.append((p, now))
                p.put(now.value)
            elif type(now) is tuple:
                number = with_numbers(now)
                if number is not now:
                    p.put(number)

    def variant(self, result: Any) -> Variant:
        """What was captured. Beyond, if it cannot be done again."""
        rec = self.recorder
        if rec.reason is not None:
            raise Beyond(rec.reason, rec.again)
        if self.reach.full:
            raise Beyond("it reaches too many Python objects to guard them")
        if self.random != self._random_states():
            raise Beyond("it draws random numbers from Python or NumPy")
        told = {id(p) for p, _ in self.changes}
        for p in self.reach.places:
            if id(p) not in told and not p.holds() and not self._again(p):
                raise Beyond(f"it changes {p.name}", again=True)
        rec.restore()
        rec.unchanged()
        build = builder(self.owner.executor or chosen())
        variant = replayed(rec, self.reach, self.guards, result, build, self.changes)
        variant.built()
        rec.bumps.clear()  # it held the tensors that were written to
        rec.numbers.clear()
        self._no_escapes(variant, result)
        return variant

    def _again(self, p: Place) -> bool:
        """Whether every run can make the change in ``p``: a schedule's step does it, it is from one
        constant to another, or a tensor takes the place of another. That of a number, or of a
        tensor that was part of the function's state, may be followed the next time."""
        if p.hyper and self.recorder.hosts:
            return not self.reach.reads_options
        now = p.now()
        if p.how not in ("item", "cell"):
            if p.how == "equal" and type(now) is type(p.value) and len(now) == len(p.value):
                before = numbers_in([p], (), {})
                for key in before:
                    if p.holder[key[1]] != before[key]:
                        self.owner.changing.keys.add(key)
            return False
        if is_plain_number(p.value) and is_plain_number(now) and id(p) not in self.given:
            self.owner.changing.keys.add(key_of(p))
            return False
        if isinstance(now, Value) or isinstance(p.value, Value):
            if isinstance(p.value, Value) and not any(p is e for e in self.reach.exchanges):
                self.owner.changing.exchanged.add(key_of(p))
                return False
            if any(v is not None and not isinstance(v, Value) for v in (now, p.value)):
                return False
            self.changes.append((p, now))
            return True
        if not all(type(v) in (bool, str, int, float, type(None)) for v in (p.value, now)):
            return False
        self.changes.append((p, now))
        return True

    def _no_escapes(self, variant: Variant, result: Any) -> None:
        """Beyond if a tensor made in the run lives on elsewhere than in its result."""
        rec = self.recorder
        kept = variant.kept | _on_the_tape(result)
        kept |= _on_the_tape([value for _, value in self.changes])

        def strays() -> list[Value]:
            return [
                t
                for t in living()
                if id(t) not in rec.before.known
                and id(t) not in kept
                and (id(t._array) in rec.members or id(owner_of(t._array)) in rec.storages)
            ]

        if strays():
            gc.collect()
            if strays():
                raise Beyond("a tensor that was made in the run is kept by other objects", True)

    def guard_only(self) -> Callable:
        """A guard for calls like this one."""
        changing = self.owner.changing.keys
        guards = Guards(self.args, self.kwargs, changing)
        guards.edges.update(self.guards.edges)  # as they were when it was called
        guards.argument_tensors()
        guards.modes()
        guards.places(
            [
                p
                for p in self.reach.places
                if not (p.hyper or (is_plain_number(p.value) and key_of(p) in changing))
            ]
        )
        source = guards.source
        source.add("except (LookupError, AttributeError, TypeError, ValueError):")
        source.add("return MISS", 3)
        source.add("return None")
        return source.function("guard")


def _on_the_tape(result: Any) -> set[int]:
    """The ids of the tensors that the graph behind ``result`` keeps."""
    kept: set[int] = set()
    leaves: list[tuple[str, Any]] = []
    flatten("", vars(result) if is_record(result) else result, leaves)
    tensors = [t for _, t in leaves if isinstance(t, Value)]
    for t in tensors:  # and those that they were detached from, which may be views
        if t._shares is not None:
            tensors.append(t._shares)
            kept.add(id(t._shares._base))
    saved: list[Any] = [n.saved for t in tensors if t._edge for n in nodes_of(t._edge)]
    while saved:
        s = saved.pop()
        if isinstance(s, (tuple, list)):
            saved.extend(s)
        elif isinstance(s, Value):
            if id(s) not in kept:
                kept.add(id(s))
                saved.extend([s._base, s._shares])
    return kept


def compile(
    model: Callable | None = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: str | Callable = "inductor",
    mode: str | None = None,
    options: dict | None = None,
    disable: bool = False,
) -> Callable:
    """``model`` (a function or a Module), captured at its first calls and run as a program after.

    Also a decorator, with or without arguments. ``backend``: "eager" or "python" run the program
    by NumPy, operation by operation; every other name of PyTorch's means the fastest there is, and
    so does a function (of FX graphs, which are not there), with a warning. ``disable``: ``model``
    as it is. The other options are PyTorch's, and change nothing: with ``fullgraph``, too, what
    cannot be captured runs eagerly. RuntimeError for names that are none.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.compile.html
    """
    if model is None:
        return functools.partial(
            compile, fullgraph=fullgraph, dynamic=dynamic, backend=backend, mode=mode,
            options=options, disable=disable,
        )  # fmt: skip
    if mode is not None and options is not None:
        raise RuntimeError(
            "Either mode or options can be specified, but both can't be specified at the same time."
        )
    if mode is not None and mode not in MODES:
        raise RuntimeError(
            f"Unrecognized mode={mode}, should be one of: {', '.join(MODES)}\n"
            "  torch.compile: under flambeau all of them mean the same; leave mode out"
        )
    if isinstance(backend, str) and backend not in BACKENDS:
        raise RuntimeError(
            f"Invalid backend: {backend!r}, see `torch._dynamo.list_backends()` for available "
            'backends.\n  torch.compile: leave backend out, or give "python" for NumPy'
        )
    if disable:
        return model
    if not callable(model):
        raise RuntimeError(
            f"torch.compile() expects a function or a Module, got {type(model).__name__}"
        )
    if callable(backend):
        warnings.warn(
            f"torch.compile: the backend {getattr(backend, '__name__', backend)!r} is a function "
            "of FX graphs, which flambeau has not; its own is used",
            stacklevel=2,
        )
    executor = execute.DullExecutor() if backend in ("eager", "python") else None
    compiled = Compiled(model, executor)
    if "_parameters" in getattr(model, "__dict__", ()):
        return type(model)._optimized(model, compiled)
    return compiled


__all__ = ["Compiled", "compile"]
