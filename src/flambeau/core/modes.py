"""What autograd does at the moment, per thread: record, or only compute."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import TypeVar

F = TypeVar("F", bound=Callable)


class _State(threading.local):
    """One per thread. ``grad``: operations are recorded; ``inference``: results never will be."""

    grad = True
    inference = False


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
