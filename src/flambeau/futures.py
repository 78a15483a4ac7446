"""Values that are not there yet.

Source: https://docs.pytorch.org/docs/stable/futures.html
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from ._missing import missing as _missing

T = TypeVar("T")
S = TypeVar("S")


class Future(Generic[T]):
    """A value that some other code will set; waiting for it, and calling back, once it is there.

    ``devices`` is accepted: there are no others than the CPU.
    """

    def __init__(self, *, devices: list | None = None) -> None:
        self._lock = threading.Condition()
        self._done = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Future[T]], object]] = []

    def done(self) -> bool:
        """Whether there is a value or an exception."""
        return self._done

    def wait(self) -> T:
        """The value, once it is there; the exception is raised if there is one instead."""
        with self._lock:
            while not self._done:
                self._lock.wait()
        return self.value()

    def value(self) -> T:
        """The value of a future that is done. RuntimeError if it is not."""
        if not self._done:
            raise RuntimeError("Future::value() called before the future has completed; wait()")
        if self._error is not None:
            raise self._error
        return self._value

    def set_result(self, result: T) -> None:
        """Set the value and run the callbacks. RuntimeError if the future is done already."""
        self._finish(result, None)

    def set_exception(self, result: BaseException) -> None:
        """Set an exception, which ``wait`` will raise. AssertionError if it is none."""
        if not isinstance(result, Exception):
            raise AssertionError(f"{result} is of type {type(result)}, not an Exception.")
        self._finish(None, result)

    def _finish(self, value: T | None, error: BaseException | None) -> None:
        with self._lock:
            if self._done:
                raise RuntimeError(
                    "Attempting to mark a completed Future as complete again. Note that a Future "
                    "can only be marked completed once."
                )
            self._value, self._error, self._done = value, error, True
            callbacks, self._callbacks = self._callbacks, []
            self._lock.notify_all()
        for callback in callbacks:
            callback(self)

    def _when_done(self, callback: Callable[[Future[T]], object]) -> None:
        with self._lock:
            if not self._done:
                self._callbacks.append(callback)
                return
        callback(self)

    def add_done_callback(self, callback: Callable[[Future[T]], None]) -> None:
        """Call ``callback(self)`` when the future is done, at once if it is. Its errors are shown
        on stderr and go no further."""

        def careful(future: Future[T]) -> None:
            try:
                callback(future)
            except Exception:
                sys.excepthook(*sys.exc_info())

        self._when_done(careful)

    def then(self, callback: Callable[[Future[T]], S]) -> Future[S]:
        """A future of ``callback(self)``, which runs when this one is done.

        An error of the callback becomes the cause of a RuntimeError of that future."""
        following: Future[S] = Future()

        def follow(future: Future[T]) -> None:
            try:
                value = callback(future)
            except Exception as error:
                told = f"{type(error).__name__}: {error}"
                failed = RuntimeError(f"Got the following error when running the callback: {told}")
                failed.__cause__ = error
                following.set_exception(failed)
            else:
                following.set_result(value)

        self._when_done(follow)
        return following


def collect_all(futures: list[Future]) -> Future[list[Future]]:
    """A future of the list: done when all are, or when the first fails, with its error."""
    collected: Future[list[Future]] = Future()
    left = len(futures)
    lock = threading.Lock()
    if not futures:
        collected.set_result([])

    def one_more(future: Future) -> None:
        nonlocal left
        with lock:
            left -= 1
            if collected.done() or (left and future._error is None):
                return
            if future._error is None:
                collected.set_result(list(futures))
            else:
                collected.set_exception(future._error)

    for future in futures:
        future._when_done(one_more)
    return collected


def wait_all(futures: list[Future]) -> list:
    """The values of all, once they are there; the first error is raised."""
    return [future.wait() for future in collect_all(futures).wait()]


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())


__all__ = ["Future", "collect_all", "wait_all"]
