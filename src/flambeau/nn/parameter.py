"""Parameters: the tensors that a module learns, and buffers, which it only carries along."""

from __future__ import annotations

import copy

import numpy as np

from .._dtypes import COMPLEX, FLOATING, dtype, from_numpy, get_default_dtype
from ..core.tape import Leaf
from ..core.value import Value, new, wrap
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


# ---- shapes that are not known yet ---------------------------------------------------------

_slot = Value._array  # where tensors keep their elements


class _Uninitialized:
    """Raises wherever elements or a shape are asked for, until ``materialize`` gives it both."""

    __slots__ = ()
    cls_to_become: type[Value]

    @property
    def _array(self) -> np.ndarray:
        raise ValueError(
            "Attempted to use an uninitialized parameter or buffer. This error happens when you "
            "are using a `LazyModule` or explicitly manipulating "
            "`torch.nn.parameter.UninitializedParameter` objects. When using LazyModules Call "
            "`forward` with a dummy batch to initialize the parameters before calling torch "
            "functions"
        )

    @_array.setter
    def _array(self, array: np.ndarray) -> None:
        _slot.__set__(self, array)

    @property
    def shape(self) -> tuple[int, ...]:
        """Not known: raises RuntimeError."""
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually "
            "happens in `load_state_dict` when trying to load an uninitialized parameter into an "
            "initialized one. Call `forward` to initialize the parameters before accessing their "
            "attributes."
        )

    @property
    def dtype(self) -> dtype:
        """The dtype it will have."""
        return from_numpy(_slot.__get__(self).dtype)

    @property
    def data(self) -> Value:
        """No elements, of the dtype it will have."""
        return wrap(_slot.__get__(self))

    def detach(self) -> _Uninitialized:
        """Itself: there is nothing to detach."""
        return self

    def is_floating_point(self) -> bool:
        """Whether its dtype is a floating one."""
        return self.dtype.is_floating_point

    def share_memory_(self) -> None:
        """Not possible: raises RuntimeError."""
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. Call `forward` to "
            "initialize the parameters before calling `module.share_memory()`."
        )

    def materialize(
        self, shape: tuple[int, ...], device: object = None, dtype: dtype | None = None
    ) -> None:
        """Become a parameter or buffer of ``shape``, its elements not yet set."""
        array = np.empty(shape, (self.dtype if dtype is None else dtype).numpy)
        self.__class__ = self.cls_to_become
        self._array = array

    def __repr__(self, *, tensor_contents: str | None = None) -> str:
        return f"<{type(self).__name__}>"

    def __deepcopy__(self, memo: dict) -> Value:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.requires_grad, dtype=self.dtype)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: int) -> tuple:
        return type(self), (self.requires_grad, None, self.dtype)


def _nothing(d: dtype | None) -> Value:
    return wrap(np.empty(0, (d or get_default_dtype()).numpy))


class UninitializedParameter(_Uninitialized, Parameter):
    """A Parameter whose shape is not known yet; ``materialize(shape)`` makes it one."""

    __slots__ = ()
    cls_to_become = Parameter

    def __new__(
        cls, requires_grad: bool = True, device: object = None, dtype: dtype | None = None
    ) -> UninitializedParameter:
        return Parameter.__new__(cls, _nothing(dtype), requires_grad)


class UninitializedBuffer(_Uninitialized, Buffer):
    """A Buffer whose shape is not known yet; ``materialize(shape)`` makes it one."""

    __slots__ = ()
    cls_to_become = Buffer

    def __new__(
        cls,
        requires_grad: bool = False,
        device: object = None,
        dtype: dtype | None = None,
        persistent: bool = True,
    ) -> UninitializedBuffer:
        return Buffer.__new__(cls, _nothing(dtype), persistent=persistent)


def is_lazy(param: object) -> bool:
    """Whether ``param`` is a parameter or buffer whose shape is not known yet."""
    return isinstance(param, _Uninitialized)


__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter", "is_lazy"]
