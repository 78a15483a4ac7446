"""A pickle reader that runs nothing: an interpreter of the opcodes with a list of what is allowed.

Every name that a pickle asks for goes through ``find``, and only what ``find`` marks as callable
is ever called. Sizes are checked against what is left of the file before memory is taken.
The opcodes are described in the standard library's ``pickletools``.
"""

from __future__ import annotations

import codecs
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable
from pickle import UnpicklingError
from typing import Any, BinaryIO

_KEY_PARTS = 1_000_000  # what keys may have in parts, beyond ten for every byte of the pickle


class _Passed(Exception):
    """An error of the caller's own function, on its way out: it says nothing of the pickle."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class _Mark:
    """What MARK leaves on the stack."""


class Allowed:
    """What ``find`` answers: an object, and whether a pickle may call it or make instances."""

    __slots__ = ("callable", "object")

    def __init__(self, object: Any, callable: bool) -> None:
        self.object = object
        self.callable = callable


class SafeUnpickler:
    """Reads one pickle from ``file``, of which ``left`` bytes may be read.

    ``find(module, name)`` gives an ``Allowed`` or raises; ``persistent_load(id)`` gives the object
    of a persistent id. ``encoding`` is for the byte strings of Python 2; "bytes" keeps them.
    ``trusted`` are the user's own classes: what is of one may be given a state by the pickle.
    UnpicklingError says what is wrong with the pickle, and at which byte.
    """

    def __init__(
        self,
        file: BinaryIO,
        left: int,
        find: Callable[[str, str], Allowed],
        persistent_load: Callable[[Any], Any],
        encoding: str = "utf-8",
        trusted: Collection[Any] = (),
    ) -> None:
        self.file = file
        self.left = self.size = left
        self.parts = _KEY_PARTS + 10 * left
        self.find = find
        self.persistent_load = persistent_load
        self.encoding = encoding
        self.trusted = trusted

    # ---- the loop ----------------------------------------------------------------------------

    def load(self) -> Any:
        """The object that the pickle describes."""
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.callables: dict[int, Any] = {}
        handlers = _HANDLERS
        place = 0
        code = b""
        try:
            while True:
                place = self.size - self.left
                code = self.read(1)
                if code == b".":
                    if len(self.stack) != 1:
                        raise UnpicklingError(f"{len(self.stack)} objects are left at the end")
                    return self.stack[0]
                handler = handlers.get(code)
                if handler is None:
                    raise UnpicklingError("this opcode is not one that a checkpoint may hold")
                handler(self)
        except _Passed as passed:
            raise passed.error from None
        except UnpicklingError as error:
            raise UnpicklingError(f"{error} (byte {place:,}, opcode {code!r})") from None
        except (IndexError, KeyError, TypeError, ValueError, AttributeError, OverflowError,
                struct.error, RuntimeError, LookupError) as error:  # fmt: skip
            told = f"{type(error).__name__}: {error}"
            raise UnpicklingError(f"{told} (byte {place:,}, opcode {code!r})") from error

    def read(self, n: int) -> bytes:
        """The next ``n`` bytes."""
        if n < 0 or n > self.left:
            raise UnpicklingError(
                f"the pickle declares {n:,} bytes where only {self.left:,} are left: it is cut, or "
                "damaged"
            )
        self.left -= n
        data = self.file.read(n)
        if len(data) != n:
            raise UnpicklingError("the pickle ends in the middle")
        return data

    def line(self) -> bytes:
        """The bytes up to the next newline."""
        data = self.file.readline(self.left)
        self.left -= len(data)
        if not data.endswith(b"\n"):
            raise UnpicklingError("the pickle ends in the middle of a line")
        return data[:-1]

    def number(self, form: str) -> Any:
        """A number in ``struct``'s notation."""
        return struct.unpack(form, self.read(struct.calcsize(form)))[0]

    def pop_mark(self) -> list[Any]:
        """What was pushed since the last MARK."""
        stack = self.stack
        for i in range(len(stack) - 1, -1, -1):
            if stack[i] is _Mark:
                items = stack[i + 1 :]
                del stack[i:]
                return items
        raise UnpicklingError("a MARK is missing")

    # ---- names and calls ---------------------------------------------------------------------

    def push_global(self, module: Any, name: Any) -> None:
        """Push what the name stands for."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise UnpicklingError("a name is not a string")
        allowed = self.find(module, name)
        if allowed.callable:
            self.callables[id(allowed.object)] = allowed.object
        self.stack.append(allowed.object)

    def may_call(self, function: Any) -> bool:
        """Whether ``find`` marked this very object as callable."""
        return self.callables.get(id(function), self) is function

    def reduce(self) -> None:
        """REDUCE: call what is allowed."""
        args = self.stack.pop()
        function = self.stack.pop()
        if not self.may_call(function) or not isinstance(args, tuple):
            raise UnpicklingError(f"the pickle would call {_shown(function)}, which is not allowed")
        self.check_keys(args)
        self.stack.append(function(*args))

    def new(self, cls: Any, args: Any, kwargs: dict | None = None) -> None:
        """NEWOBJ: an instance of an allowed class."""
        if not self.may_call(cls) or not isinstance(cls, type) or not isinstance(args, tuple):
            raise UnpicklingError(f"the pickle would make {_shown(cls)}, which is not allowed")
        self.check_keys(args)
        self.stack.append(cls.__new__(cls, *args, **(kwargs or {})))

    def build(self) -> None:
        """BUILD: give an object its attributes."""
        state = self.stack.pop()
        target = self.stack[-1]
        cls = type(target)
        if cls in (OrderedDict, Counter):
            for name in _string_keys(state):
                if hasattr(cls, name):
                    raise UnpicklingError(f"the attribute {name!r} would hide a method")
            target.__dict__.update(state)
        elif cls not in self.trusted:
            raise UnpicklingError(f"the pickle would change {_shown(cls)}, which is not allowed")
        elif hasattr(cls, "__setstate__"):
            target.__setstate__(state)
        else:
            slots = None
            if isinstance(state, tuple) and len(state) == 2:
                state, slots = state
            if state:
                _string_keys(state)
                target.__dict__.update(state)
            for name in _string_keys(slots or {}):
                setattr(target, name, slots[name])

    def persistent(self, id: Any) -> None:
        """Push what the caller has for a persistent id."""
        try:
            found = self.persistent_load(id)
        except UnpicklingError:
            raise
        except Exception as error:
            raise _Passed(error) from error
        self.stack.append(found)

    # ---- containers --------------------------------------------------------------------------

    def set_items(self, pairs: list[Any]) -> None:
        """Put key, value, key, value ... into the dictionary below."""
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise UnpicklingError(f"items are put into {_shown(target)}, which is no dictionary")
        if len(pairs) % 2:
            raise UnpicklingError("a key has no value")
        for i in range(0, len(pairs), 2):
            key = pairs[i]
            if type(key) is not str:
                self.check_keys((key,))
            target[key] = pairs[i + 1]

    def extend(self, items: list[Any]) -> None:
        """Put ``items`` at the end of the list below."""
        target = self.stack[-1]
        if not isinstance(target, list):
            if type(target) in self.trusted and hasattr(target, "append"):
                for item in items:
                    target.append(item)
                return
            raise UnpicklingError(f"items are put into {_shown(target)}, which is no list")
        target.extend(items)

    def add_items(self) -> None:
        """Put what is above the MARK into the set below."""
        items = self.pop_mark()
        target = self.stack[-1]
        if not isinstance(target, set):
            raise UnpicklingError(f"items are put into {_shown(target)}, which is no set")
        self.check_keys(items)
        target.update(items)

    def check_keys(self, keys: Iterable[Any]) -> None:
        """Refuse what would take for ever to hash: tuples within tuples, each with the last twice.

        Only tuples, and lists of them that callables get, can do that.
        """
        waiting = [keys]
        while waiting:
            items = waiting.pop()
            self.parts -= len(items)
            if self.parts < 0:
                raise UnpicklingError("keys or arguments that are nested beyond all bounds")
            waiting += [item for item in items if isinstance(item, tuple | list) and item]

    def string(self, data: bytes) -> str | bytes:
        """A byte string of Python 2."""
        return data if self.encoding == "bytes" else data.decode(self.encoding)

    def get(self, index: int) -> None:
        """Push what was memoized."""
        self.stack.append(self.memo[index])

    def put(self, index: int) -> None:
        """Memoize the top of the stack."""
        if index < 0:
            raise UnpicklingError("a negative memo index")
        self.memo[index] = self.stack[-1]

    def tuple_of(self, n: int) -> None:
        """A tuple of the last ``n`` objects."""
        if len(self.stack) < n or any(item is _Mark for item in self.stack[-n:]):
            raise UnpicklingError("the stack holds too little")
        self.stack[-n:] = [tuple(self.stack[-n:])]


def _string_keys(state: Any) -> dict:
    if not isinstance(state, dict) or not all(type(key) is str for key in state):
        raise UnpicklingError("the state of an object is not a dictionary of names")
    return state


def _shown(value: Any) -> str:
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if isinstance(name, str):
        return f"{module}.{name}"
    return f"an object of {type(value).__module__}.{type(value).__qualname__}"


# ---- the opcodes -----------------------------------------------------------------------------


def _push(make: Callable[[SafeUnpickler], Any]) -> Callable[[SafeUnpickler], None]:
    return lambda u: u.stack.append(make(u))


def _counted(form: str, make: Callable[[SafeUnpickler, bytes], Any]) -> Callable:
    """An opcode whose bytes follow their number."""
    return _push(lambda u: make(u, u.read(u.number(form))))


def _quoted(u: SafeUnpickler) -> str | bytes:
    data = u.line()
    if len(data) < 2 or data[:1] != data[-1:] or data[:1] not in (b"'", b'"'):
        raise UnpicklingError("a string without its quotes")
    return u.string(codecs.escape_decode(data[1:-1])[0])


def _integer(u: SafeUnpickler) -> int | bool:
    data = u.line()
    return {b"00": False, b"01": True}[data] if data in (b"00", b"01") else int(data)


def _proto(u: SafeUnpickler) -> None:
    version = u.number("B")
    if version > 5:
        raise UnpicklingError(f"pickle protocol {version} is not known (0 to 5 are)")


def _pop(u: SafeUnpickler) -> None:
    u.stack.pop()


def _marked(
    use: Callable[[SafeUnpickler, list[Any]], None],
) -> Callable[[SafeUnpickler], None]:
    return lambda u: use(u, u.pop_mark())


def _one(use: Callable[[SafeUnpickler, list[Any]], None], n: int) -> Callable:
    def handler(u: SafeUnpickler) -> None:
        items = u.stack[-n:]
        del u.stack[-n:]
        use(u, items)

    return handler


def _dict(u: SafeUnpickler, items: list[Any]) -> None:
    u.stack.append({})
    u.set_items(items)


def _frozenset(u: SafeUnpickler, items: list[Any]) -> None:
    u.check_keys(items)
    u.stack.append(frozenset(items))


def _global(u: SafeUnpickler) -> None:
    module, name = u.line(), u.line()
    u.push_global(module.decode("utf-8"), name.decode("utf-8"))


def _stack_global(u: SafeUnpickler) -> None:
    name, module = u.stack.pop(), u.stack.pop()
    u.push_global(module, name)


def _new(u: SafeUnpickler) -> None:
    args, cls = u.stack.pop(), u.stack.pop()
    u.new(cls, args)


def _new_ex(u: SafeUnpickler) -> None:
    kwargs, args, cls = u.stack.pop(), u.stack.pop(), u.stack.pop()
    u.new(cls, args, _string_keys(kwargs))


def _unicode(u: SafeUnpickler, data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _long(u: SafeUnpickler, data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


def _bytes(u: SafeUnpickler, data: bytes) -> bytes:
    return data


_HANDLERS: dict[bytes, Callable[[SafeUnpickler], None]] = {
    b"\x80": _proto,
    b"\x95": lambda u: u.number("<Q") and None,  # FRAME: a hint for buffering
    b"(": _push(lambda u: _Mark),
    b"0": _pop,
    b"1": _marked(lambda u, items: None),
    b"2": _push(lambda u: u.stack[-1]),
    b"N": _push(lambda u: None),
    b"\x88": _push(lambda u: True),
    b"\x89": _push(lambda u: False),
    b"I": _push(_integer),
    b"J": _push(lambda u: u.number("<i")),
    b"K": _push(lambda u: u.number("B")),
    b"M": _push(lambda u: u.number("<H")),
    b"L": _push(lambda u: int(u.line().removesuffix(b"L"))),
    b"\x8a": _counted("B", _long),
    b"\x8b": _counted("<i", _long),
    b"F": _push(lambda u: float(u.line())),
    b"G": _push(lambda u: u.number(">d")),
    b"S": _push(_quoted),
    b"T": _counted("<i", SafeUnpickler.string),
    b"U": _counted("B", SafeUnpickler.string),
    b"V": _push(lambda u: u.line().decode("raw-unicode-escape")),
    b"X": _counted("<I", _unicode),
    b"\x8c": _counted("B", _unicode),
    b"\x8d": _counted("<Q", _unicode),
    b"B": _counted("<I", _bytes),
    b"C": _counted("B", _bytes),
    b"\x8e": _counted("<Q", _bytes),
    b"\x96": _counted("<Q", lambda u, data: bytearray(data)),
    b")": _push(lambda u: ()),
    b"\x85": lambda u: u.tuple_of(1),
    b"\x86": lambda u: u.tuple_of(2),
    b"\x87": lambda u: u.tuple_of(3),
    b"t": _marked(lambda u, items: u.stack.append(tuple(items))),
    b"]": _push(lambda u: []),
    b"l": _marked(lambda u, items: u.stack.append(items)),
    b"a": _one(lambda u, items: u.extend(items), 1),
    b"e": _marked(lambda u, items: u.extend(items)),
    b"}": _push(lambda u: {}),
    b"d": _marked(_dict),
    b"s": _one(SafeUnpickler.set_items, 2),
    b"u": _marked(SafeUnpickler.set_items),
    b"\x8f": _push(lambda u: set()),
    b"\x90": SafeUnpickler.add_items,
    b"\x91": _marked(_frozenset),
    b"c": _global,
    b"\x93": _stack_global,
    b"R": SafeUnpickler.reduce,
    b"\x81": _new,
    b"\x92": _new_ex,
    b"b": lambda u: u.build(),
    b"g": lambda u: u.get(int(u.line())),
    b"h": lambda u: u.get(u.number("B")),
    b"j": lambda u: u.get(u.number("<I")),
    b"p": lambda u: u.put(int(u.line())),
    b"q": lambda u: u.put(u.number("B")),
    b"r": lambda u: u.put(u.number("<I")),
    b"\x94": lambda u: u.put(len(u.memo)),
    b"P": lambda u: u.persistent(u.line().decode("ascii")),
    b"Q": lambda u: u.persistent(u.stack.pop()),
}
