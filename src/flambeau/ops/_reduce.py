"""What reductions share: arguments, sums that stay accurate, and the way back to full shape."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .. import _dtypes
from .._errors import type_name
from .._shapes import wrap_dims
from ..core import threads
from ..core.mutation import write_out
from ..core.op import define
from ..core.value import Value

if TYPE_CHECKING:
    pass

Dims = int | tuple[int, ...] | list[int] | None

add = np.add.reduce
_NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim", "a": "input", "x": "input"}


# ---- arguments -----------------------------------------------------------------------------


def reduction(function: Callable) -> Callable:
    """``function`` with what PyTorch gives to every reduction: NumPy's names of the arguments
    (``axis``, ``keepdims``), ``out=``, and a TypeError for an input that is no tensor."""
    name = function.__name__

    @functools.wraps(function)
    def call(*args: object, **kwargs: object) -> object:
        if args and isinstance(args[0], Value):
            if not kwargs:
                return function(*args)
        elif args or not isinstance(kwargs.get("input"), Value):
            bad = args[0] if args else kwargs.get("input")
            raise TypeError(
                f"{name}(): argument 'input' (position 1) must be Tensor, not {type_name(bad)}"
            )
        out = kwargs.pop("out", None)
        for numpy_name in _NUMPY_NAMES.keys() & kwargs.keys():
            kwargs[_NUMPY_NAMES[numpy_name]] = kwargs.pop(numpy_name)
        result = function(*args, **kwargs)
        if out is None:
            return result
        if isinstance(result, tuple):
            if not isinstance(out, (tuple, list)) or len(out) != len(result):
                raise TypeError(
                    f"{name}(): argument 'out' must be a tuple of {len(result)} Tensors"
                )
            return type(result)([write_out(o, r, name) for o, r in zip(out, result)])
        return write_out(out, result, name)

    return call


def reduced_dims(dim: Dims, ndim: int) -> tuple[int, ...]:
    """``dim`` as sorted dimensions counted from the front; None and () mean all of them."""
    if dim is None or dim == () or dim == []:
        return tuple(range(ndim))
    return tuple(sorted(wrap_dims(dim, ndim)))


def real_values(a: np.ndarray) -> np.ndarray:
    """``a`` in a dtype that NumPy orders quickly: the 16-bit floats as float32, which is exact."""
    return a.astype(np.float32) if a.dtype.kind not in "biufc" or a.dtype == np.float16 else a


# ---- accurate sums -------------------------------------------------------------------------

_ACCUMULATE = {t.numpy: np.dtype(np.float32) for t in _dtypes.REDUCED}
_ACCUMULATE.update({t.numpy: np.dtype(np.int64) for t in _dtypes.ALL if t.category <= 1})
_LONG = 1024  # terms from which adding row after row is no longer accurate enough


def total(a: np.ndarray, dims: tuple[int, ...], keepdim: bool, dt: np.dtype) -> np.ndarray:
    """The sum of ``a`` over ``dims`` in dtype ``dt``, its rounding error that of pairwise addition.

    float16 and bfloat16 are added in float32.
    """
    work = _ACCUMULATE.get(dt, dt)
    if a.size < threads.LARGE and (not dims or a.shape[dims[0]] < _LONG):
        r = add(a, dims, work, None, keepdim)
    else:
        r = _large_total(a, dims, work)
        if keepdim:
            r = r.reshape([1 if d in dims else n for d, n in enumerate(a.shape)])
    return r if dt is work else np.asarray(r).astype(dt)


def _large_total(a: np.ndarray, dims: tuple[int, ...], work: np.dtype) -> np.ndarray:
    return add(a, dims, work)


# ---- back to full shape --------------------------------------------------------------------


def kept_shape(shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[int, ...]:
    """``shape`` with ``dims`` of size 1."""
    return tuple([1 if d in dims else n for d, n in enumerate(shape)])


def _restore(
    g: np.ndarray, dims: tuple[int, ...], keepdim: bool, shape: tuple[int, ...], dt: np.dtype
) -> np.ndarray:
    full = np.empty(shape, dt)
    full[...] = g if keepdim or not g.ndim else g.reshape(kept_shape(shape, dims))
    return full


def _restore_vjp(g: Value, dims: tuple[int, ...], keepdim: bool, g_dtype: np.dtype) -> Value:
    return sum_op(g, dims, keepdim, g_dtype)


def _sum_vjp(
    g: Value, dims: tuple[int, ...], keepdim: bool, a_shape: tuple[int, ...], a_dtype: np.dtype
) -> Value:
    return restored(g, dims, keepdim, a_shape, a_dtype)


sum_op = define("sum", total, {"a": _sum_vjp})
sum_op.op.grad_name = "SumBackward1"

# A gradient of a reduction, repeated over the dimensions that were reduced.
restored = define("expand_reduced", _restore, {"g": _restore_vjp})


# ---- values at indices ---------------------------------------------------------------------


def one_line(a: np.ndarray) -> np.ndarray:
    """``a``, a 0-dim array as one of one dimension."""
    return a if a.ndim else a.reshape(1)


def _place(
    grad: np.ndarray, index: np.ndarray, dim: int, keepdim: bool, shape: tuple[int, ...]
) -> np.ndarray:
    full = np.zeros(shape or (1,), grad.dtype)
    if not shape:
        full[0] = grad
        return full.reshape(())
    if not keepdim:
        grad, index = np.expand_dims(grad, dim), np.expand_dims(index, dim)
    np.put_along_axis(full, index, grad, dim)
    return full


def _pick(x: np.ndarray, index: np.ndarray, dim: int, keepdim: bool) -> np.ndarray:
    if not x.ndim:
        return x.copy()
    if keepdim:
        return np.take_along_axis(x, index, dim)
    return np.take_along_axis(x, np.expand_dims(index, dim), dim).squeeze(dim)


# Zeros with values at distinct indices along one dimension, and its reverse.
place = define(
    "value_selecting_reduction_backward",
    _place,
    {"grad": lambda g, index, dim, keepdim: pick(g, index, dim, keepdim)},
)
pick = define(
    "pick",
    _pick,
    {"x": lambda g, index, dim, keepdim, x_shape: place(g, index, dim, keepdim, x_shape)},
)


def at_index_vjp(
    g: list[Value], y: tuple[Value, Value], dim: int, keepdim: bool, x_shape: tuple[int, ...]
) -> Value:
    """The gradient of ``(values, indices)``: each value's goes to where it came from."""
    return place(g[0], y[1], dim, keepdim, x_shape)
