"""softmax and log_softmax: rows in cache-sized blocks on all threads, gradients of their own.

softmax(x)_i     = exp(x_i) / sum_j exp(x_j)         dx = y * (g - sum_j g_j y_j)
log_softmax(x)_i = x_i - log(sum_j exp(x_j))         dx = g - exp(y) * sum_j g_j
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .._shapes import wrap_dim
from ..core import threads
from ..core.op import define, unsupported
from ..core.value import Value
from ._reduce import add, reduction, spread_parts

if TYPE_CHECKING:
    from .._dtypes import dtype

_BLOCK = 1 << 15  # elements worked on at a time: input and result stay in the second-level cache
_COLUMNS = 128  # neighbouring columns of a block, at least: whole cache lines are read
_top = np.maximum.reduce


Kernel = Callable[..., np.ndarray]  # (*arrays, axis, out=None): the result along one axis
_WHOLE = frozenset((np.dtype(np.float32), np.dtype(np.float64)))


def _run(kernel: Kernel, dim: int, *arrays: np.ndarray) -> np.ndarray:
    """``kernel(*arrays, dim)``, for large arrays over blocks that hold whole lines along ``dim``.

    16-bit floats are computed in float32.
    """
    first = arrays[0]
    if first.size <= _BLOCK and first.size and first.ndim and first.dtype in _WHOLE:
        return kernel(*arrays, dim)
    if not first.size:
        return np.empty(first.shape, first.dtype)
    if not first.ndim:  # one line of one element
        return _run(kernel, 0, *[a.reshape(1) for a in arrays]).reshape(())
    return _by_blocks(kernel, dim, *arrays)


def _by_blocks(kernel: Kernel, dim: int, *arrays: np.ndarray) -> np.ndarray:
    first = arrays[0]
    dt = first.dtype
    work = np.dtype(np.float32) if dt.itemsize == 2 else dt
    out = np.empty(first.shape, dt)
    shape = first.shape
    outer = math.prod(shape[:dim])
    lines = (outer, shape[dim], first.size // (outer * shape[dim]))
    arrays = [np.ascontiguousarray(a).reshape(lines) for a in arrays]
    flat = out.reshape(lines)
    if lines[2] == 1:
        arrays, flat = [a[:, :, 0] for a in arrays], flat[:, :, 0]
        if threads.kernels is not None and first.size >= threads.FEW:
            compiled = threads.kernels(kernel, out, arrays, lines[1])
            if compiled is not None:
                compiled.over(outer)
                return out
    along = 0 if outer > 1 or lines[2] == 1 else 2
    count = flat.shape[along]
    step = max(_COLUMNS if along else 1, _BLOCK * count // first.size)

    def part(start: int, stop: int) -> None:
        for i in range(start, stop, step):
            cut = slice(i, min(i + step, stop))
            place = (slice(None), slice(None), cut) if along else cut
            if work is dt:
                kernel(*[a[place] for a in arrays], 1, flat[place])
            else:
                flat[place] = kernel(*[a[place].astype(work) for a in arrays], 1)

    spread_parts(part, count, first.size)
    return out


def _softmax_kernel(x: np.ndarray, axis: int, out: np.ndarray | None = None) -> np.ndarray:
    out = np.subtract(x, _top(x, axis, None, None, True), out)
    np.exp(out, out)
    return np.divide(out, add(out, axis, None, None, True), out)


def _log_softmax_kernel(x: np.ndarray, axis: int, out: np.ndarray | None = None) -> np.ndarray:
    out = np.subtract(x, _top(x, axis, None, None, True), out)
    return np.subtract(out, np.log(add(np.exp(out), axis, None, None, True)), out)


def _softmax_grad_kernel(
    g: np.ndarray, y: np.ndarray, axis: int, out: np.ndarray | None = None
) -> np.ndarray:
    out = np.multiply(g, y, out)
    np.subtract(g, add(out, axis, None, None, True), out)
    return np.multiply(out, y, out)


def _log_softmax_grad_kernel(
    g: np.ndarray, y: np.ndarray, axis: int, out: np.ndarray | None = None
) -> np.ndarray:
    out = np.exp(y, out)
    np.multiply(out, add(g, axis, None, None, True), out)
    return np.subtract(g, out, out)


def _softmax(x: np.ndarray, dim: int) -> np.ndarray:
    return _run(_softmax_kernel, dim, x)


def _log_softmax(x: np.ndarray, dim: int) -> np.ndarray:
    return _run(_log_softmax_kernel, dim, x)


def _softmax_backward(grad: np.ndarray, result: np.ndarray, dim: int) -> np.ndarray:
    return _run(_softmax_grad_kernel, dim, grad, result)


def _log_softmax_backward(grad: np.ndarray, result: np.ndarray, dim: int) -> np.ndarray:
    return _run(_log_softmax_grad_kernel, dim, grad, result)


softmax_op = define("softmax", _softmax, {"x": lambda g, y, dim: softmax_backward(g, y, dim)})
log_softmax_op = define(
    "log_softmax", _log_softmax, {"x": lambda g, y, dim: log_softmax_backward(g, y, dim)}
)
softmax_backward = define(
    "softmax_backward_data",
    _softmax_backward,
    {
        "grad": lambda g, result, dim: softmax_backward(g, result, dim),
        "result": lambda g, grad, result, dim: (
            g * (grad - (grad * result).sum(dim, True)) - grad * (g * result).sum(dim, True)
        ),
    },
)
log_softmax_backward = define(
    "log_softmax_backward_data",
    _log_softmax_backward,
    {
        "grad": lambda g, result, dim: g - (g * result.exp()).sum(dim, True),
        "result": lambda g, grad, result, dim: -g * result.exp() * grad.sum(dim, True),
    },
)

_softmax.__wrapped__, _log_softmax.__wrapped__ = _softmax_kernel, _log_softmax_kernel
_softmax_backward.__wrapped__ = _softmax_grad_kernel
_log_softmax_backward.__wrapped__ = _log_softmax_grad_kernel


def _prepared(input: Value, dtype: dtype | None, name: str) -> Value:
    if dtype is not None:
        input = input.to(dtype)
    if input._array.dtype.kind in "biuc":
        raise unsupported(name, input.dtype)
    return input


@reduction
def softmax(input: Value, dim: int, dtype: dtype | None = None) -> Value:
    """``exp(input) / exp(input).sum(dim)``: positive numbers that add up to 1 along ``dim``.

    ``dtype``: what ``input`` is converted to first.
    """
    input = _prepared(input, dtype, "softmax_lastdim_kernel_impl")
    return softmax_op(input, wrap_dim(dim, input._array.ndim))


@reduction
def log_softmax(input: Value, dim: int, dtype: dtype | None = None) -> Value:
    """``log(softmax(input, dim))``, computed without loss where a probability is tiny."""
    input = _prepared(input, dtype, "log_softmax_lastdim_kernel_impl")
    return log_softmax_op(input, wrap_dim(dim, input._array.ndim))


__all__ = ["log_softmax", "softmax"]
