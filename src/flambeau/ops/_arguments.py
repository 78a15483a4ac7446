"""Arguments of functions about shapes: integers, dimensions, tensors."""

from __future__ import annotations

from .._errors import type_name
from .._shapes import wrap_dim
from ..core.value import Value


def integers(name: str, values: tuple) -> tuple[int, ...]:
    """The integers given as ``f(2, 3)`` or ``f((2, 3))``. TypeError for anything else."""
    if len(values) == 1 and isinstance(values[0], (tuple, list)):
        values = values[0]
    try:
        return tuple([v.__index__() for v in values])
    except (AttributeError, TypeError):
        bad = next(v for v in values if not hasattr(v, "__index__") or type(v) is float)
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got ({type_name(bad)}), "
            "but expected integers, one by one or as one tuple"
        ) from None


def dimension(name: str, dim: object, ndim: int) -> int:
    """``dim`` counted from the front; TypeError unless it is an integer."""
    if dim.__class__ is int:
        if 0 <= dim < ndim:
            return dim
        return wrap_dim(dim, ndim)
    if not hasattr(dim, "__index__"):
        raise TypeError(f"{name}(): argument 'dim' must be int, not {type_name(dim)}")
    return wrap_dim(dim.__index__(), ndim)


def check_tensor(name: str, value: object, argument: str = "input", position: int = 1) -> None:
    """TypeError unless ``value``, which is the argument at ``position``, is a tensor."""
    if not isinstance(value, Value):
        raise TypeError(
            f"{name}(): argument '{argument}' (position {position}) must be Tensor, not "
            f"{type_name(value)}"
        )
