"""Joining tensors, and repeating and reordering their elements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._errors import type_name
from .._shapes import wrap_dim
from ..core.mutation import put_out
from ..core.op import define
from ..core.promotion import result_type
from ..core.value import Value
from .memory import convert

ndarray = np.ndarray
ALL = slice(None)

# ---- concatenation -------------------------------------------------------------------------


def _cat(tensors: list[ndarray], dim: int) -> ndarray:
    try:
        return np.concatenate(tensors, dim)
    except ValueError:  # PyTorch leaves out vectors without elements
        return np.concatenate([a for a in tensors if a.shape != (0,)], dim)


def _cat_vjp(g: Value, tensors_shape: list, dim: int) -> list[Value]:
    parts = []
    start = 0
    ndim = g._array.ndim
    for shape in tensors_shape:
        if len(shape) != ndim:
            parts.append(g.new_zeros(shape))
            continue
        parts.append(g.narrow(dim, start, shape[dim]))
        start += shape[dim]
    return parts


cat_op = define("cat", _cat, {"tensors": _cat_vjp})


def _stack(tensors: list[ndarray], dim: int) -> ndarray:
    shape = tensors[0].shape
    if dim == 0:  # what np.stack does, without its checks
        return np.concatenate(tensors, None).reshape(len(tensors), *shape)
    shape = (*shape[:dim], 1, *shape[dim:])
    return np.concatenate([a.reshape(shape) for a in tensors], dim)


stack_op = define("stack", _stack, {"tensors": lambda g, dim: g.unbind(dim)})


def _sequence(name: str, tensors: object) -> tuple[Value, ...]:
    """The tensors of a sequence, promoted to one dtype."""
    if not isinstance(tensors, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not "
            f"{type_name(tensors)}"
        )
    tensors = tuple(tensors)
    for i, v in enumerate(tensors):
        if not isinstance(v, Value):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type_name(v)}")
    if not tensors:
        if name == "cat":
            raise ValueError("torch.cat(): expected a non-empty list of Tensors")
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    first = tensors[0]._array.dtype
    if any(v._array.dtype != first for v in tensors):
        d = result_type(*tensors)
        tensors = tuple([convert(v, d) for v in tensors])
    return tensors


def _cat_error(tensors: tuple[Value, ...], dim: int) -> RuntimeError:
    for i, v in enumerate(tensors):
        if not v._array.ndim:
            return RuntimeError(
                f"zero-dimensional tensor (at position {i}) cannot be concatenated\n"
                "  use stack, which adds a dimension"
            )
    tensors = tuple([v for v in tensors if v._array.shape != (0,)])
    first = tensors[0]._array.shape
    for i, v in enumerate(tensors):
        shape = v._array.shape
        if len(shape) != len(first):
            return RuntimeError(
                f"Tensors must have same number of dimensions: got {len(first)} and {len(shape)}\n"
                f"  tensor 0 has shape {first}, tensor {i} has shape {shape}"
            )
        for d, (a, b) in enumerate(zip(first, shape)):
            if a != b and d != dim:
                return RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size {a} but "
                    f"got size {b} for tensor number {i} in the list.\n"
                    f"  tensor 0 has shape {first}, tensor {i} has shape {shape}"
                )
    return RuntimeError(f"cat(): shapes {[v._array.shape for v in tensors]} do not fit together")


def cat(tensors: Sequence[Value], dim: int = 0, *, out: Value | None = None) -> Value:
    """The tensors one after the other along dimension ``dim``; other sizes must agree.

    Dtypes are promoted. 1-dim tensors without elements are left out, as PyTorch does.
    """
    tensors = _sequence("cat", tensors)
    first = tensors[0]._array
    ndim = first.ndim
    if first.shape == (0,):
        ndim = next((v._array.ndim for v in tensors if v._array.shape != (0,)), 1)
    d = dim if dim.__class__ is int and 0 <= dim < ndim else wrap_dim(dim, ndim)
    try:
        result = cat_op(tensors, d)
    except (ValueError, np.exceptions.AxisError):
        raise _cat_error(tensors, d) from None
    return result if out is None else put_out(out, result, "cat", tensors)


def concat(tensors: Sequence[Value], dim: int = 0, *, out: Value | None = None) -> Value:
    """The same as ``cat``."""
    return cat(tensors, dim, out=out)


def concatenate(tensors: Sequence[Value], dim: int = 0, *, out: Value | None = None) -> Value:
    """The same as ``cat``."""
    return cat(tensors, dim, out=out)


def stack(tensors: Sequence[Value], dim: int = 0, *, out: Value | None = None) -> Value:
    """The tensors, all of one shape, along a new dimension ``dim``."""
    tensors = _sequence("stack", tensors)
    shape = tensors[0]._array.shape
    for i, v in enumerate(tensors):
        if v._array.shape != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 "
                f"and {list(v._array.shape)} at entry {i}"
            )
    result = stack_op(tensors, wrap_dim(dim, len(shape) + 1))
    return result if out is None else put_out(out, result, "stack", tensors)


__all__ = ["cat", "concat", "concatenate", "stack"]
