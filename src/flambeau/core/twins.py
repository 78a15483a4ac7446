"""The two twins PyTorch gives to most functions: ``f_`` writes into its first operand, ``out=``
into a tensor that the caller gives."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from . import threads
from .modes import state
from .mutation import needs_care, write, write_out
from .value import Value, wrap

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)

F = TypeVar("F", bound=Callable)


def inplace(function: Callable[..., Value], name: str | None = None) -> Callable[..., Value]:
    """The method ``name`` (default: the function's with ``_``) that writes ``function(self, ...)``
    into ``self`` and returns it."""
    name = name or function.__name__ + "_"

    def method(self: Value, *args: object, **kwargs: object) -> Value:
        source = self
        if state.grad and (
            self._edge is not None
            or any(isinstance(a, Value) and a._edge is not None for a in args)
            or any(isinstance(a, Value) and a._edge is not None for a in kwargs.values())
        ):
            # The gradient may need the old values, which the write is about to replace.
            source = wrap(self._array.copy(), self._edge)
        return write(self, function(source, *args, **kwargs), name)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"In-place version of ``{function.__name__}``: writes into this tensor."
    return method


def inplace_unary(
    function: Callable[..., Value], ufunc: np.ufunc, name: str | None = None
) -> Callable[..., Value]:
    """``inplace(function)``, but one call of ``ufunc`` where nothing is recorded."""
    general = inplace(function, name)
    name = general.__name__

    def method(self: Value) -> Value:
        a = self._array
        dt = a.dtype
        if (
            (dt is not F32 and dt is not F64)
            or (self._edge is not None and state.grad)
            or self._inference
        ):
            return general(self)
        if a.size < threads.LARGE or threads.elementwise(ufunc, dt, a, out=a) is None:
            ufunc(a, a)
        self.counter().bump(name)
        return self

    method.__name__ = method.__qualname__ = name
    method.__doc__ = general.__doc__
    return method


def inplace_binary(
    function: Callable[..., Value], ufunc: np.ufunc, name: str | None = None
) -> Callable[..., Value]:
    """``inplace(function)``, but one call of ``ufunc`` where nothing is recorded or converted."""
    general = inplace(function, name)
    name = general.__name__

    def method(self: Value, other: Value | float) -> Value:
        a = self._array
        dt = a.dtype
        if (
            (dt is not F32 and dt is not F64)
            or (self._edge is not None and state.grad)
            or self._inference
            or (self._base is not None and needs_care(self))
        ):
            return general(self, other)
        cls = other.__class__
        if cls is float or cls is int:
            b = other
        elif (
            isinstance(other, Value)
            and other._array.dtype is dt
            and (other._edge is None or not state.grad)
        ):
            b = other._array
        else:
            return general(self, other)
        try:
            if a.size < threads.LARGE or threads.elementwise(ufunc, dt, a, b, out=a) is None:
                ufunc(a, b, a)
        except ValueError:  # shapes that do not broadcast into this one
            return general(self, other)
        self.counter().bump(name)
        return self

    method.__name__ = method.__qualname__ = name
    method.__doc__ = general.__doc__
    return method


def accepts_out(
    function: F | None = None, *, apart: bool = False, exact: bool = False
) -> F | Callable[[F], F]:
    """``function`` with the keyword ``out``: a tensor (or a tuple of them, for several results)
    that takes the result.

    ``apart``: it may share no memory with an operand; ``exact``: it must have the result's dtype.
    """
    if function is None:
        return functools.partial(accepts_out, apart=apart, exact=exact)

    @functools.wraps(function)
    def with_out(*args: object, out: object = None, **kwargs: object) -> object:
        result = function(*args, **kwargs)
        if out is None:
            return result
        if isinstance(result, tuple):
            if not isinstance(out, (tuple, list)) or len(out) != len(result):
                raise TypeError(
                    f"{function.__name__}(): argument 'out' must be a tuple of "
                    f"{len(result)} Tensors"
                )
            parts = [write_out(o, r, function.__name__) for o, r in zip(out, result, strict=True)]
            return type(result)(parts)  # a named tuple stays one
        operands = (*args, *kwargs.values()) if apart else ()
        return put_out(out, result, function.__name__, operands, exact)

    return with_out


def put_out(
    out: Value, result: Value, name: str, operands: Sequence[object] = (), exact: bool = False
) -> Value:
    """Put ``result`` into ``out``, which may share no memory with ``operands``; returns ``out``."""
    if isinstance(out, Value):
        _check_apart(out, operands)
        if exact and out._array.dtype != result._array.dtype:
            raise RuntimeError(
                f"{name}(): Expected out tensor to have dtype {result.dtype!r}, but got "
                f"{out.dtype!r} instead"
            )
    return write_out(out, result, name)


def _check_apart(out: Value, operands: Sequence[object]) -> None:
    for operand in operands:
        if isinstance(operand, (tuple, list)):
            _check_apart(out, operand)
        elif isinstance(operand, Value) and np.may_share_memory(out._array, operand._array):
            raise RuntimeError(
                "unsupported operation: some elements of the input tensor and the written-to "
                "tensor refer to a single memory location. Please clone() the tensor before "
                "performing the operation."
            )
