"""Random programs run: eagerly, compiled, compared, and made smaller where the two differ."""

from __future__ import annotations

import contextlib
import dataclasses
import traceback
import warnings
from collections.abc import Callable, Iterator

import numpy as np
from random_programs import Program

import flambeau as torch
from flambeau.core.modes import Interpreter
from flambeau.core.value import Value, address, owner_of

TOLERANCE = {"float32": 3e-5, "float64": 1e-11, "float16": 1e-2, "bfloat16": 6e-2}


class Differs(Exception):
    """A compiled program did not do what it does eagerly."""


class Seen:
    """What ``see`` has written down: one list of (what, value) for each call."""

    def __init__(self) -> None:
        self.calls: list[list[tuple[str, object]]] = []
        self.kept: list[torch.Tensor] = []
        self.function: Callable | None = None

    def see(self, f: Callable, args: tuple, state: list) -> list:
        """Call ``f``, and write down all that it leaves behind; its results that are tensors."""
        self.function = f
        notes: list[tuple[str, object]] = []
        self.calls.append(notes)
        turn = len(self.calls)
        torch.manual_seed(turn)
        try:
            result = f(*args)
            notes.append(("raises", None))
        except Exception as error:
            notes.append(("raises", type(error).__name__))
            self.error = error
            result = {}
        names, tensors = [], []
        for place, a in enumerate(args):
            if isinstance(a, torch.Tensor):
                names.append(f"argument {place}")
                tensors.append(a)
        for place, s in enumerate(state):
            names.append(f"state {place}")
            tensors.append(s)
        results = []
        for key, r in result.items():
            if isinstance(r, torch.Tensor):
                names.append(f"result {key}")
                tensors.append(r)
                results.append(r)
            else:
                notes.append((f"result {key}", r))
        for name, t in zip(list(names), list(tensors)):
            if isinstance(t, torch.Tensor) and t.is_leaf and t.grad is not None:
                names.append(f"{name}.grad")
                tensors.append(t.grad)
        for name, t in zip(names, tensors):
            note_tensor(notes, name, t)
        notes.append(("memory", memory(names, tensors)))
        notes.append(("generator", torch.get_rng_state().numpy().tobytes()))
        self.kept += results
        return results

    def finish(self) -> None:
        """Look again at every result of every call."""
        notes: list[tuple[str, object]] = [("raises", None)]
        for place, t in enumerate(self.kept):
            note_tensor(notes, f"in the end, result number {place}", t)
        self.calls.append(notes)


def note_tensor(notes: list, name: str, t: object) -> None:
    if not isinstance(t, torch.Tensor):
        notes.append((name, t))
        return
    strides = tuple(s for n, s in zip(t.shape, t.stride()) if n > 1) if t.numel() else ()
    notes.append((f"{name}, layout", (str(t.dtype), tuple(t.shape), strides)))
    graph = (t.requires_grad, t.is_leaf, t.grad_fn is None)
    notes.append((f"{name}, graph", graph))
    if name.startswith(("argument", "state")) and "grad" not in name:
        notes.append((f"{name}, version", t._version))
    notes.append((name, t._array.copy()))


def memory(names: list[str], tensors: list) -> list:
    """Which tensors are one, and which look into the same memory, and where."""
    told = []
    pairs = [(n, t) for n, t in zip(names, tensors) if isinstance(t, Value)]
    for i, (name, a) in enumerate(pairs):
        for other, b in pairs[:i]:
            if a is b:
                told.append((name, "is", other))
            elif a._array.size and b._array.size and owner_of(a._array) is owner_of(b._array):
                told.append((name, address(a._array) - address(b._array), other))
            if a._base is b:
                told.append((name, "is a view of", other))
    return told


def back(results: list) -> None:
    """The gradient of the sum of all results that require grad."""
    some = [r.float().sum() for r in results if r.requires_grad and r.is_floating_point()]
    if some:
        sum(some).backward()


class Noise(Interpreter):
    """Multiplies all that is computed by 1 + a rounding error or two, drawn anew."""

    SIZE = {"float32": 2.0**-22, "float64": 2.0**-51, "float16": 2.0**-9, "bfloat16": 2.0**-6}

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def run(self, op: object, plain: Callable, args: tuple) -> object:
        result = self.onward(op, plain, args)
        read = [a._array for a in args if isinstance(a, Value)]
        for o in result if isinstance(result, tuple) else (result,):
            if not isinstance(o, Value):
                continue
            array = o._array
            size = self.SIZE.get(array.dtype.name)
            if size is None or any(owner_of(array) is owner_of(r) for r in read):
                continue
            noise = 1 + size * self.rng.uniform(-1, 1, array.shape)
            with contextlib.suppress(ValueError), np.errstate(all="ignore"):
                np.copyto(array, array.astype(np.float64) * noise, casting="unsafe")
        return result


def run(program: Program, compiled: Callable, noise: int | None = None) -> Seen:
    """All calls of ``program``, its function turned into ``compiled(f)``."""
    scope: dict = {"back": back}
    exec(compile(program.text(), f"<program {program.seed}>", "exec"), scope)
    seen = Seen()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        with Noise(noise) if noise is not None else contextlib.nullcontext():
            scope["world"](guarded(seen, scope), compiled)
    seen.finish()
    return seen


def guarded(seen: Seen, scope: dict) -> Callable:
    """``seen.see``; what follows a call may raise, too (see ``Program.calls``)."""

    def safe_back(results: list) -> None:
        try:
            back(results)
            seen.calls[-1].append(("back raises", None))
        except Exception as error:
            seen.error = error
            seen.calls[-1].append(("back raises", True))  # whichever comes first

    scope["back"] = safe_back
    return seen.see


def differences(want: Seen, got: Seen) -> Iterator[tuple[int, str, object, object]]:
    """(call, what, wanted, got) where the two differ by more than rounding."""
    for turn, (a, b) in enumerate(zip(want.calls, got.calls)):
        if dict(a)["raises"] != dict(b)["raises"]:
            yield turn, "raises", dict(a)["raises"], dict(b)["raises"]
            return
        if [n for n, _ in a] != [n for n, _ in b]:
            only = (
                [x for x in a if x[0] not in {n for n, _ in b}],
                [x for x in b if x[0] not in {n for n, _ in a}],
            )
            yield turn, "what there is", only[0][:3], only[1][:3]
            return
        for (name, x), (_, y) in zip(a, b):
            if not alike(x, y):
                yield turn, name, x, y


def alike(x: object, y: object, slack: object = 0.0) -> bool:
    """Whether the two are equal to rounding."""
    if isinstance(x, (float, complex)) and isinstance(y, (float, complex)):
        x, y = np.float32(x), np.float32(y)
        return alike(np.asarray(x), np.asarray(y), slack)
    if not isinstance(x, np.ndarray):
        return type(x) is type(y) and x == y
    if x.shape != y.shape or x.dtype != y.dtype:
        return False
    relative = TOLERANCE.get(x.dtype.name)
    if relative is None and x.dtype.kind != "c":
        return bool(((x == y) | (np.asarray(slack) > 0)).all())
    wide = np.complex128 if x.dtype.kind == "c" else np.float64
    x, y = x.astype(wide), y.astype(wide)
    finite = np.isfinite(x)
    top = np.abs(x[finite]).max(initial=0.0)
    with np.errstate(all="ignore"):
        near = np.abs(x - y) <= (relative or 3e-5) * (np.abs(x) + 0.2 * top + 1e-2) + slack
    return bool((near | (x == y) | (np.isnan(x) & np.isnan(y)) | ~np.isfinite(slack)).all())


def slack_of(program: Program, place: tuple[int, str], want: object, rounds: int = 4) -> object:
    """How far a value moves where every operation is a rounding error off; inf where noise makes
    the program do something else altogether."""
    if not isinstance(want, (np.ndarray, float)):
        want = None
    most = np.zeros(np.shape(want) if want is not None else ())
    turn, name = place
    for k in range(rounds):
        noisy = run(program, lambda f: f, noise=k)
        found = dict(noisy.calls[turn]) if turn < len(noisy.calls) else {}
        other = found.get(name)
        if want is None:
            return found.get(name, 0)
        if np.shape(other) != np.shape(want) or not isinstance(other, (np.ndarray, float)):
            return np.inf
        with np.errstate(all="ignore"):
            a, b = np.asarray(want), np.asarray(other)
            if a.dtype.kind in "biu":
                most = np.maximum(most, a != b)
                continue
            away = np.abs(a.astype(np.float64) - b.astype(np.float64))
            away = np.where(np.isnan(a) != np.isnan(b), np.inf, np.where(a == b, 0, away))
            most = np.fmax(most, away)
    return 50 * most


def found_in(program: Program, compiled: Callable) -> str | None:
    """In which way ``program`` is wrong, compiled; None where it is not."""
    try:
        want = run(program, lambda f: f)
    except Exception:
        return None  # a world that cannot be set up
    try:
        got = run(program, compiled)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"crash: {type(error).__name__}: {error} ({last.filename}:{last.lineno})"
    steady = None
    for turn, name, x, y in differences(want, got):
        if "raises" in name and y is not None:
            return f"call {turn}, {name}: wanted {x}, got {y}: {getattr(got, 'error', '')}"
        if isinstance(x, (np.ndarray, float)) and type(x) is type(y) and np.shape(x) == np.shape(y):
            if alike(x, y, slack_of(program, (turn, name), x)):
                continue
        else:
            if steady is None:
                steady = all(
                    [n for c in run(program, lambda f: f, noise=k).calls for n in plain(c)]
                    == [n for c in want.calls for n in plain(c)]
                    for k in range(3)
                )
            if not steady:
                return None
        return f"call {turn}, {name}: wanted\n{x}\ngot\n{y}"
    return None


def plain(notes: list) -> list:
    return [(n, v) for n, v in notes if not isinstance(v, (np.ndarray, float))]


def kind_of(finding: str) -> str:
    """What must stay the same while a program is made smaller."""
    head = finding.split("\n")[0]
    if "raises" in head:
        return head.split(",", 1)[1][:60]
    for word in ("crash", "layout", "graph", "version", "memory", "generator", "what there is"):
        if word in head:
            return word
    return "value"


def shrunk(program: Program, compiled: Callable, finding: str) -> tuple[Program, str]:
    """A smaller program that is wrong in the same way."""
    kind = kind_of(finding)

    def better(candidate: Program) -> bool:
        nonlocal program, finding
        try:
            said = found_in(candidate, compiled)
        except Exception:
            return False
        if said is None or kind_of(said) != kind:
            return False
        program, finding = candidate, said
        return True

    changed = True
    while changed:
        changed = False
        for part in ("calls", "body", "returns", "state"):
            place = len(getattr(program, part)) - 1
            while place >= 0:
                lines = getattr(program, part)
                if place < len(lines):
                    if part in ("calls", "returns"):
                        less = [x for i, x in enumerate(lines) if i != place]
                        changed |= better(dataclasses.replace(program, **{part: less}))
                    else:
                        changed |= better(program.without_line(part, place))
                place -= 1
        for place, call in enumerate(program.calls):
            for i, line in enumerate(call):
                if "see(" not in line and not line.startswith("a"):
                    less = [x for k, x in enumerate(call) if k != i]
                    calls = [*program.calls[:place], less, *program.calls[place + 1 :]]
                    changed |= better(dataclasses.replace(program, calls=calls))
                    break
    return program, finding


FOOT = """

def see(f, args, state):
    torch.manual_seed(0)
    result = f(*args)
    print("result", result, "\\narguments", args, "\\nstate", state)
    return [r for r in result.values() if isinstance(r, torch.Tensor)]


def back(results):
    sum(r.float().sum() for r in results if r.requires_grad).backward()


for compiled in (lambda f: f, torch.compile):
    world(see, compiled)
"""
