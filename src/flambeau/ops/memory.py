"""Operations that move elements without changing them: dtype conversion, copies, layouts."""

from __future__ import annotations

import warnings

import numpy as np

from .._dtypes import COMPLEX, FLOATING, Constant, dtype, from_numpy
from ..core.modes import hook, state
from ..core.mutation import check_writable, rebase
from ..core.op import define
from ..core.value import Value

# ---- memory formats ------------------------------------------------------------------------


class memory_format(Constant):
    """How the dimensions of a dense tensor lie in memory, such as ``channels_last``."""

    __slots__ = ()


contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")

_CHANNELS_LAST_ORDER = {channels_last: (0, 2, 3, 1), channels_last_3d: (0, 2, 3, 4, 1)}


def channels_last_order(ndim: int, format: memory_format) -> tuple[int, ...] | None:
    """The order in memory of the dimensions in a format that is not contiguous; RuntimeError for
    a tensor of another number of dimensions."""
    order = _CHANNELS_LAST_ORDER.get(format)
    if order is not None and ndim != len(order):
        raise RuntimeError(f"required rank {len(order)} tensor to use {format.name} format")
    return order


def laid_out(array: np.ndarray, format: memory_format | None) -> np.ndarray:
    """A copy of ``array`` in memory format ``format``; by default dense arrays keep theirs."""
    order = channels_last_order(array.ndim, format)
    if order is not None:
        return array.transpose(order).copy().transpose(np.argsort(order).tolist())
    if format is contiguous_format:
        return array.copy(order="C")
    # NumPy's "K" keeps the order of the strides; a broadcast array becomes contiguous.
    return array.copy(order="C" if 0 in array.strides else "K")


def is_laid_out(array: np.ndarray, format: memory_format) -> bool:
    """Whether ``array`` is dense in memory format ``format`` already."""
    if format in _CHANNELS_LAST_ORDER:
        order = _CHANNELS_LAST_ORDER[format]
        return array.ndim == len(order) and array.transpose(order).flags.c_contiguous
    return array.flags.c_contiguous


# ---- conversion ----------------------------------------------------------------------------


def converted(array: np.ndarray, d: dtype) -> np.ndarray:
    """``array`` as dtype ``d``, with PyTorch's rules: complex to real drops the imaginary part."""
    source, target = array.dtype, d.numpy
    if source == target:
        return array
    if source.kind == "c" and target.kind != "c":
        if d.category < FLOATING and target.kind == "b":
            return array != 0
        array = array.real
    with np.errstate(all="ignore"):
        if target.kind in "iu" and source.kind not in "biuc":
            if source.kind != "f":
                array = array.astype(np.float32)
            if target.itemsize < 8:  # C++ converts by way of a wider integer, and so wraps around
                return array.astype(np.int64).astype(target)
        return array.astype(target)


def _to_copy(x: np.ndarray, d: dtype, format: memory_format | None) -> np.ndarray:
    result = converted(x, d)
    if result is x or (format is not None and format is not preserve_format):
        return laid_out(result, format)
    return result


def _to_copy_vjp(g: Value, x_dtype: np.dtype) -> Value:
    return to_copy(g, from_numpy(x_dtype), None)


to_copy = define("to_copy", _to_copy, {"x": _to_copy_vjp})


def _warn_complex(x: Value, d: dtype) -> None:
    if x._array.dtype.kind == "c" and d.category < COMPLEX and d.numpy.kind != "b":
        warnings.warn(
            "Casting complex values to real discards the imaginary part",
            UserWarning,
            stacklevel=4,
        )


def convert(
    x: Value, d: dtype, *, copy: bool = False, memory_format: memory_format | None = None
) -> Value:
    """``x`` as dtype ``d``: ``x`` itself where nothing has to change and ``copy`` is false."""
    same_format = (
        memory_format is None
        or memory_format is preserve_format
        or is_laid_out(x._array, memory_format)
    )
    if x._array.dtype == d.numpy and same_format and not copy:
        return x
    _warn_complex(x, d)
    return to_copy(x, d, memory_format)


clone_op = define("clone", laid_out, {"array": lambda g: g})


def clone(input: Value, *, memory_format: memory_format | None = None) -> Value:
    """A copy of ``input`` in memory of its own; gradients pass through."""
    return clone_op(input, memory_format)


def contiguous(input: Value, memory_format: memory_format = contiguous_format) -> Value:
    """``input`` itself if it is dense in ``memory_format``, else a copy that is."""
    if is_laid_out(input._array, memory_format):
        return input
    return clone_op(input, memory_format)


# ---- copying into an existing tensor -------------------------------------------------------


def _broadcast_copy(source: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.broadcast_to(source, shape)


copied = define(
    "copy_backwards",
    _broadcast_copy,
    {"source": lambda g, source_shape: g.sum_to_size(source_shape)},
    grad_name="torch::autograd::CopyBackwards",
)


def copy_(self: Value, src: Value, non_blocking: bool = False) -> Value:
    """Write the elements of ``src``, broadcast and converted, into ``self``; returns ``self``."""
    if not isinstance(src, Value):
        raise TypeError(f"copy_(): argument 'other' must be Tensor, not {type(src).__name__}")
    array, source = self._array, src._array
    records = self._edge is not None or src._edge is not None
    check_writable(self, "copy_", records)
    try:
        if state.grad and src._edge is not None:
            src = copied(convert(src, from_numpy(array.dtype)), array.shape)
        if hook.active is None or not hook.active.write(self, src):
            np.copyto(array, converted(source, from_numpy(array.dtype)), casting="unsafe")
    except ValueError:
        pairs = zip(reversed(array.shape), reversed(source.shape), strict=False)
        wrong = next((i for i, (a, b) in enumerate(pairs, 1) if b not in (1, a)), len(array.shape))
        raise RuntimeError(
            f"The size of tensor a ({array.shape[-wrong] if array.ndim else 1}) must match the size"
            f" of tensor b ({source.shape[-wrong]}) at non-singleton dimension "
            f"{array.ndim - wrong}\n"
            f"  copy_ writes a tensor of shape {source.shape} into one of shape {array.shape}"
        ) from None
    self.counter().bump("copy_")
    if hook.active is not None:
        hook.active.wrote(self, src, "copy_")
    if state.grad and records:
        rebase(self, src._edge)
    return self
