"""Parameters: the tensors that a module learns, and buffers, which it only carries along."""

from __future__ import annotations

import copy

from .._dtypes import COMPLEX, FLOATING
from ..core.tape import Leaf
from ..core.value import Value, new
from ..tensor._tensor import Tensor


class _ParameterType(type(Tensor)):
    def __instancecheck__(cls, value: object) -> bool:
        if type.__instancecheck__(cls, value):
            return True
        return cls is Parameter and isinstance(value, Tensor) and getattr(value, "_is_param", False)


class Parameter(Tensor, metaclass=_ParameterType):
    """A tensor that becomes a module's parameter when it is assigned to an attribute of one.

    It shares the memory of ``data`` (an empty tensor if there is none) and requires grad unless
    told otherwise.
    """

    __slots__ = ()

    def __new__(cls, data: Value | None = None, requires_grad: bool = True) -> Parameter:
        if data is None:
            data = Tensor()
        if not isinstance(data, Value):
            raise TypeError(f"Parameter needs a Tensor, got {type(data).__name__}")
        if requires_grad and data.dtype.category not in (FLOATING, COMPLEX):
            raise RuntimeError(
                "Only Tensors of floating point and complex dtype can require gradients\n"
                f"  this one is {data.dtype!r}: pass requires_grad=False, or register it as a "
                "buffer"
            )
        self = new(cls)
        self._array = data._array
        self._edge = Leaf(self) if requires_grad else None
        return self

    def __deepcopy__(self, memo: dict) -> Parameter:
        if id(self) in memo:
            return memo[id(self)]
        result = type(self)(self.data.clone(), self.requires_grad)
        memo[id(self)] = result
        if self._grad is not None:
            result._grad = copy.deepcopy(self._grad, memo)
        for name, value in self.__dict__.items():
            if not name.startswith("_"):
                result.__dict__[name] = copy.deepcopy(value, memo)
        return result

    def __repr__(self, *, tensor_contents: str | None = None) -> str:
        return "Parameter containing:\n" + super().__repr__()

    def __reduce_ex__(self, protocol: int) -> tuple:
        return _rebuild_parameter, (type(self), self.data, self.requires_grad)


def _rebuild_parameter(cls: type[Parameter], data: Value, requires_grad: bool) -> Parameter:
    """A parameter from what ``Parameter.__reduce_ex__`` wrote."""
    return cls(data, requires_grad)


class Buffer(Tensor):
    """A tensor that becomes a module's buffer when it is assigned to an attribute of one.

    ``persistent``: whether it belongs to the module's state_dict.
    """

    __slots__ = ()

    def __new__(cls, data: Value | None = None, *, persistent: bool = True) -> Buffer:
        self = new(cls)
        data = Tensor() if data is None else data
        self._array = data._array
        self._edge = data._edge
        self.persistent = persistent
        return self


__all__ = ["Buffer", "Parameter"]
