"""What happens to operations at the moment: autograd records them or not (per thread), and an
interpreter may be handed each before it is run."""

from __future__ import annotations

import functools
import threading
import types
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

if TYPE_CHECKING:
    from .value import Value

F = TypeVar("F", bound=Callable)


class _State(threading.local):
    """One per thread. ``grad``: operations are recorded; ``inference``: results never will be."""

    grad = True
    inference = False
    targeted = False  # a walk back is on its way to given tensors, not to the leaves
    after: list | None = None  # what is to be called when the outermost walk back is over


state = _State()


class _Switch:
    """A context manager that is a decorator too, setting ``state`` inside its scope."""

    def __call__(self, function: F) -> F:
        if isinstance(function, type):
            raise TypeError(
                f"{type(self).__name__} decorates functions, not the class {function.__name__}; "
                "decorate its methods"
            )
        if _is_generator(function):
            return self._wrap_generator(function)

        @functools.wraps(function)
        def inside(*args: object, **kwargs: object) -> object:
            with self._clone():
                return function(*args, **kwargs)

        return inside

    def _wrap_generator(self, function: F) -> F:
        """A generator runs inside the switch, its caller between two items outside."""

        @functools.wraps(function)
        def inside(*args: object, **kwargs: object) -> object:
            generator = function(*args, **kwargs)
            send, value = generator.send, None
            while True:
                try:
                    with self._clone():
                        item = send(value)
                except StopIteration as end:
                    return end.value
                try:
                    value = yield item
                    send = generator.send
                except GeneratorExit:
                    with self._clone():
                        generator.close()
                    raise
                except BaseException as error:
                    send, value = generator.throw, error

        return inside

    def _clone(self) -> _Switch:
        return type(self)()

    def __enter__(self) -> None:
        self.before = (state.grad, state.inference)
        self._set()

    def __exit__(self, *error: object) -> None:
        state.grad, state.inference = self.before

    def _set(self) -> None:
        raise NotImplementedError


def _is_generator(function: Callable) -> bool:
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & 0x20)  # CO_GENERATOR


class no_grad(_Switch):
    """Inside, no operation is recorded: results do not require grad.

    Use it as ``with no_grad():`` or as the decorator ``@no_grad()``.
    """

    def __new__(cls, function: F | None = None) -> no_grad | F:
        self = super().__new__(cls)
        return self if function is None else self(function)  # @no_grad without parentheses

    def _set(self) -> None:
        state.grad = False


class enable_grad(no_grad):
    """Inside, operations are recorded again, even within ``no_grad``."""

    def _set(self) -> None:
        state.grad = True


class set_grad_enabled(_Switch):
    """``set_grad_enabled(mode)``: at once when called, and undone at the end of a ``with``."""

    def __init__(self, mode: bool) -> None:
        self.mode = bool(mode)
        self.before = (state.grad, state.inference)
        state.grad = self.mode

    def __call__(self, function: F) -> F:
        state.grad, state.inference = self.before
        return super().__call__(function)

    def _clone(self) -> _Switch:
        return type(self)(self.mode)

    def __enter__(self) -> None:
        self._set()

    def _set(self) -> None:
        state.grad = self.mode


class inference_mode(_Switch):
    """Inside, nothing is recorded, and tensors made here can never take part in autograd."""

    def __new__(cls, mode: bool | F = True) -> inference_mode | F:
        self = super().__new__(cls)
        if callable(mode):
            self.mode = True
            return self(mode)
        self.mode = bool(mode)
        return self

    def _clone(self) -> _Switch:
        return type(self)(self.mode)

    def _set(self) -> None:
        state.grad, state.inference = not self.mode, self.mode


def is_grad_enabled() -> bool:
    """Whether operations are recorded in this thread at the moment."""
    return state.grad


def is_inference_mode_enabled() -> bool:
    """Whether ``inference_mode`` is in force in this thread."""
    return state.inference


# ---- interpreters --------------------------------------------------------------------------
#
# Whoever is in ``hook.active`` is handed every operation before it is run.
# Capture for the compiler, batching (vmap), profiles and checks are interpreters.
#
# Nobody is there on the normal path, and what is asked then is one attribute. An interpreter gets
#
# ``run``      every operation record that is called, with the plain function that runs it,
# ``viewed``   every view that is taken of a tensor, by records or by shortcuts,
# ``wrote``    every write into a tensor that exists, with the tensor that holds the new values,
# ``drew``     an array made from random numbers, with the function that draws it again,
# ``recorded`` a node that an ``autograd.Function`` put on the tape,
# ``made``     a tensor whose elements follow from no tensor (zeros, arange, a list of numbers),
# ``read``     a tensor whose elements Python reads (``item``, ``if x:``, ``numpy()``).
# ``bumped``   every step of a version counter; ``wrote`` or ``updated`` says what was written,
# ``updated``  an optimizer's formula that was carried out,
# ``graded``   a tensor whose ``.grad`` is asked for or set,
# ``reached``  the walk back has come to a node, or is over,
# ``doubted``  the program did what is probably a mistake, and the library warned,
# ``seeded``   a generator that was seeded, or given a state,
# ``opaque``   something that no event describes (memory is exchanged).
#
# and may answer ``operands`` (convert what a function works on), ``write`` (carry out a write),
# ``draws`` (refuse random numbers), ``function`` (apply an ``autograd.Function``) and ``copied``
# (bring operands to where NumPy can read them).
#
# Shortcuts that go around the records (arithmetic on arrays, for speed) ask ``hook.active`` too,
# and take the recorded way while somebody is there.


class Hook:
    """Who is handed the operations: ``active`` is an Interpreter, or None."""

    __slots__ = ("active",)

    def __init__(self) -> None:
        self.active: Interpreter | None = None


hook = Hook()
_nobody = Hook()  # stands for ``hook`` in the plain functions: never active


def hooked(call: F) -> F:
    """``call``, which asks its closure variable ``hook``, with the attribute ``plain``: the same
    function with nobody in the hook."""
    cells = [
        types.CellType(_nobody) if name == "hook" else cell
        for name, cell in zip(call.__code__.co_freevars, call.__closure__, strict=True)
    ]
    call.plain = types.FunctionType(
        call.__code__, call.__globals__, call.__name__, call.__defaults__, tuple(cells)
    )
    call.plain.__kwdefaults__ = call.__kwdefaults__
    return call


def by_copy(function: F) -> F:
    """Decorator for functions of tensors that look at elements with NumPy: operands that are in
    another memory than the CPU's are copied here, and the results back (``Interpreter.copied``)."""

    @functools.wraps(function)
    def call(*args: object, **kwargs: object) -> object:
        if hook.active is None:
            return function(*args, **kwargs)
        return hook.active.copied(function, args, kwargs)

    return call


class Interpreter:
    """Gets the operations of the thread that entered it; those of other threads simply run.

    Used as a context manager. Interpreters nest: the inner one comes first, and what it runs goes
    on to the outer one (``self.below``).
    """

    #: Whether it is there for tensors of its own kind alone, beneath all others, and stands for no
    #: context of the program's: it makes the programs of such tensors itself, ``build(graph)``.
    beneath = False

    def __enter__(self) -> Interpreter:
        self.thread = threading.get_ident()
        self.below = hook.active
        hook.active = self
        return self

    def __exit__(self, *error: object) -> None:
        if hook.active is self:
            hook.active = self.below
            return
        above = hook.active  # another thread entered later and is still there
        while above is not None and above.below is not self:
            above = above.below
        if above is not None:
            above.below = self.below

    # ---- what dispatch calls -----------------------------------------------------------------

    def run(self, op: Any, plain: Callable[..., Any], args: tuple) -> Any:
        """Run the operation ``op`` (a record of ``core.op``): ``plain(*args)``, its operands."""
        return self.onward(op, plain, args)

    def onward(self, op: Any, plain: Callable[..., Any], args: tuple) -> Any:
        """``plain(*args)`` as the interpreter below does it, or nobody; what it calls is not
        handed to this interpreter."""
        below = self.below
        hook.active = below
        try:
            return plain(*args) if below is None else below.dispatch(op, plain, args)
        finally:
            hook.active = self

    def dispatch(self, op: Any, plain: Callable[..., Any], args: tuple) -> Any:
        """``run`` for this interpreter's own thread."""
        if threading.get_ident() != self.thread:
            return plain(*args) if self.below is None else self.below.dispatch(op, plain, args)
        return self.run(op, plain, args)

    def operands(self, name: str, values: tuple) -> tuple:
        """What the function ``name``, composed of operations, is to work on instead of ``values``:
        asked where an interpreter may convert the operands of the whole (autocast does)."""
        return values if self.below is None else self.below.operands(name, values)

    def write(self, target: Value, source: Value) -> bool:
        """Give ``target`` the elements of ``source`` where that is no write into its array; whether
        that has been done. ``wrote`` follows in either case."""
        return self.below is not None and self.below.write(target, source)

    def function(self, cls: Any, args: tuple, kwargs: dict) -> Any:
        """What ``cls.apply(*args, **kwargs)`` of an ``autograd.Function`` returns; NotImplemented
        to have it run as it stands."""
        if self.below is None:
            return NotImplemented
        return self.below.function(cls, args, kwargs)

    def copied(self, function: Callable, args: tuple, kwargs: dict) -> Any:
        """``function(*args, **kwargs)``, which reads the elements of its operands (``by_copy``)."""
        if self.below is None:
            return function(*args, **kwargs)
        return self.below.copied(function, args, kwargs)

    def expects(self, valid: Value) -> bool:
        """Whether it is seen to that the program fails where ``valid`` is not all True, so that
        Python need not look."""
        return self.below is not None and self.below.expects(valid)

    def number(self, value: Any, dtype: Any) -> Value | None:
        """A 0-d tensor that stands for the Python number ``value``, if it needs one."""
        return None if self.below is None else self.below.number(value, dtype)

    def change(self, change: Callable[..., None], arrays: list, whole: bool) -> bool:
        """Carry out a formula that writes into ``arrays`` (``core.formulas``) where they are not
        NumPy's to write; whether that has been done."""
        return self.below is not None and self.below.change(change, arrays, whole)

    def options(self, group: dict) -> dict:
        """The options that an optimizer's formula takes, with numbers of Python's own."""
        return group if self.below is None else self.below.options(group)

    def stepped(self, optimizer: Any, call: Callable, args: tuple) -> Any:
        """Carry out ``call(*args)``, a step of a schedule: it changes options of ``optimizer``."""
        return call(*args) if self.below is None else self.below.stepped(optimizer, call, args)

    def compilable(self) -> tuple[Hashable, Callable[[], Any]] | None:
        """What stands for this interpreter in compiled programs: they are kept by a key, and
        captured within a context, ``(key, context)``. None: it must be handed each operation."""
        return None

    def draws(self) -> None:
        """Random numbers are about to be drawn from the default generator."""
        if self.below is not None:
            self.below.draws()

    # ---- events ------------------------------------------------------------------------------
    # What an interpreter does not look at goes on to the one below.

    def viewed(self, source: Value, view: Value, op: Any, args: tuple) -> None:
        """``view`` is another look at the memory of ``source``, by the view operation ``op``."""
        if self.below is not None:
            self.below.viewed(source, view, op, args)

    def wrote(self, target: Value, source: Value, name: str) -> None:
        """``target`` has been given the elements of ``source`` (broadcast and converted)."""
        if self.below is not None:
            self.below.wrote(target, source, name)

    def drew(self, array: Any, again: Callable[[], Any]) -> None:
        """``array`` holds random numbers; ``again()`` draws the next ones in an array alike."""
        if self.below is not None:
            self.below.drew(array, again)

    def seeded(self, generator: Any, start: int | Value) -> None:
        """``generator`` begins at the seed ``start``, or at the state that this tensor holds."""
        if self.below is not None:
            self.below.seeded(generator, start)

    def recorded(self, node: Any) -> None:
        """``node`` is that of an operation recorded without ``run``: an ``autograd.Function``."""
        if self.below is not None:
            self.below.recorded(node)

    def made(self, tensor: Value) -> None:
        """``tensor`` is new, and its elements depend on no tensor."""
        if self.below is not None:
            self.below.made(tensor)

    def read(self, tensor: Value, what: str) -> Any:
        """Python is about to read the elements of ``tensor`` (``what``: item, bool, numpy ...).
        ``item()`` hands on what is returned here, unless it is None."""
        return None if self.below is None else self.below.read(tensor, what)

    def bumped(self, writer: str) -> None:
        """A version counter moved: the operation ``writer`` has written, or is about to."""
        if self.below is not None:
            self.below.bumped(writer)

    def updated(
        self,
        optimizer: Any,
        p: Value,
        group: dict,
        state: dict,
        change: Callable[..., None],
        operands: list,
    ) -> None:
        """``change`` has written one step of ``optimizer`` into ``operands`` (parameter, gradient
        and the state tensors it takes), by the formula of ``p``, ``group`` and ``state``."""
        if self.below is not None:
            self.below.updated(optimizer, p, group, state, change, operands)

    def graded(self, tensor: Value) -> None:
        """The ``.grad`` of ``tensor`` is about to be looked at or set."""
        if self.below is not None:
            self.below.graded(tensor)

    def reached(self, node: Any, grad: Any) -> None:
        """The gradient ``grad`` (a list for several results) of the node ``node`` is to be computed
        next by the walk back; both None: the walk is over."""
        if self.below is not None:
            self.below.reached(node, grad)

    def doubted(self, rule: str, what: str) -> None:
        """The program did what is allowed and probably a mistake: ``what``, by ``rule``."""
        if self.below is not None:
            self.below.doubted(rule, what)

    def opaque(self, what: str, again: bool = False) -> None:
        """Something was done that no other event describes: ``what``, for people to read.
        ``again``: it is done the first time only, and a later run may be without."""
        if self.below is not None:
            self.below.opaque(what, again)


class Edits:
    """Counts what was set on Modules, and hooks that came and went, so that compiled code sees at a
    glance that nothing was. ``tables``: hooks that are called without being on a module."""

    count = 0
    tables: ClassVar[list[dict]] = []
