"""``torch.utils._python_dispatch``: a mode that is handed every operation before it is run.

Source: https://dev-discuss.pytorch.org/t/torchdispatchmode-for-debugging-testing-and-more/717
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.modes import Interpreter
from ..core.value import Value


class _Call:
    """One operation, as a mode is given it: called, it runs. Equal by name; ``str(func)`` is
    ``aten.add.default``."""

    __slots__ = ("_mode", "_op", "_plain")

    def __init__(self, mode: TorchDispatchMode, op: Any, plain: Callable) -> None:
        self._mode, self._op, self._plain = mode, op, plain

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._mode.onward(self._op, self._plain, args)

    @property
    def __name__(self) -> str:
        return f"{self._op.name}.default"

    def name(self) -> str:
        """``aten::add``."""
        return f"aten::{self._op.name}"

    def __str__(self) -> str:
        return f"aten.{self._op.name}.default"

    def __repr__(self) -> str:
        return f"<OpOverload(op='aten.{self._op.name}', overload='default')>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Call) and self._op is other._op

    def __hash__(self) -> int:
        return hash(self._op.name)


class TorchDispatchMode(Interpreter):
    """While it is entered, each operation of this thread, forward and backward, is given to
    ``__torch_dispatch__(func, types, args, kwargs)``, whose result it has: ``func(*args)``.

    Operations are those of flambeau's records; views are taken without asking. What a mode calls
    itself is not handed to it again.
    """

    def __init__(self, _dispatch_key: object = None) -> None:
        self._inside = False

    def __torch_dispatch__(
        self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """To be overridden: what ``func(*args)`` is to give."""
        raise NotImplementedError

    def run(self, op: Any, plain: Callable[..., Any], args: tuple) -> Any:
        """See Interpreter."""
        if self._inside:  # what the mode itself computes
            return self.onward(op, plain, args)
        types = tuple({type(a) for a in args if isinstance(a, Value)})
        self._inside = True
        try:
            return self.__torch_dispatch__(_Call(self, op, plain), types, args, {})
        finally:
            self._inside = False


def is_traceable_wrapper_subclass(t: Any) -> bool:
    """Whether ``t`` is a tensor that says how it is made of others."""
    return isinstance(t, Value) and hasattr(t, "__tensor_flatten__")
