"""Arrays that NumPy must not compute on: those of batched tensors, of tensors without memory, of
tensors in the memory of a GPU. Code that asks for shapes, strides and views is answered as by any
array; a computation that comes to the elements behind the interpreter's back raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

_SHAPE_ONLY = (
    np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.may_share_memory,
    np.shares_memory, np.iscomplexobj, np.broadcast_to,
)  # fmt: skip
_LIKE = (np.zeros_like, np.ones_like, np.empty_like, np.full_like)


class ForeignArray(np.ndarray):
    """An array that is looked at in other ways by NumPy, and computed on by an interpreter.

    ``generator``: what draws random numbers beside it; None for the CPU's default.
    """

    generator: Any = None

    def host(self) -> np.ndarray:
        """A copy in the CPU's memory."""
        raise self.unruled("a look at the elements")

    def unruled(self, name: str) -> Exception:
        """What to raise where the function ``name`` would compute on this array itself."""
        raise NotImplementedError

    def given(self, array: np.ndarray) -> np.ndarray:
        """``array``, of the CPU, where this one is."""
        return array

    def likeness(self, make: Callable, *args: Any, **kwargs: Any) -> np.ndarray:
        """What ``make``, one of NumPy's functions ``zeros_like`` ..., is to return for this."""
        raise self.unruled(make.__name__)

    def kin(self, view: np.ndarray) -> np.ndarray:
        """``view``, an ordinary array over this one's memory, as one of its kind."""
        return view.view(type(self))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
        raise self.unruled(ufunc.__name__)

    def __array_function__(self, func: Callable, types: tuple, args: tuple, kwargs: dict) -> Any:
        if func in _SHAPE_ONLY:
            return super().__array_function__(func, types, args, kwargs)
        if func in _LIKE and args[0] is self:
            return self.likeness(func, *args[1:], **kwargs)
        raise self.unruled(func.__name__)

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Any:
        """Refused."""
        raise self.unruled("astype")


def beside(array: np.ndarray, other: np.ndarray) -> np.ndarray:
    """``array``, of the CPU, in the memory in which ``other`` is."""
    return other.given(array) if isinstance(other, ForeignArray) else array


def near(array: np.ndarray) -> np.ndarray:
    """``array``, or a copy of it in the CPU's memory, to be looked at."""
    return array.host() if isinstance(array, ForeignArray) else array


def _refused(name: str) -> Callable[..., NoReturn]:
    def refused(self: ForeignArray, *args: Any, **kwargs: Any) -> NoReturn:
        raise self.unruled(name)

    return refused


# Methods of arrays that NumPy computes without asking.
for _name in """
    argmax argmin argpartition argsort byteswap choose clip compress conj conjugate cumprod
    cumsum dot dump dumps getfield mean nonzero partition prod put repeat round searchsorted
    setfield sort std sum take tobytes tofile trace var
    """.split():
    setattr(ForeignArray, _name, _refused(_name))
