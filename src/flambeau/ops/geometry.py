"""Views by strides, and views of the bytes: as_strided, real and imaginary parts, other dtypes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._dtypes import dtype
from .._shapes import contiguous_strides
from ..core.layout import dense, offset_of, owner_of, strided
from ..core.op import define
from ..core.value import Value
from ..core.views import view as view_record
from ._arguments import check_tensor, integers

ndarray = np.ndarray

# ---- any geometry --------------------------------------------------------------------------


def _geometry(array: ndarray) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Shape, strides and offset in elements."""
    step = array.itemsize
    strides = (
        tuple([s // step for s in array.strides]) if array.size else contiguous_strides(array.shape)
    )
    return array.shape, strides, offset_of(array) // step


def _checked_geometry(
    name: str, array: ndarray, size: Sequence[int], stride: Sequence[int], offset: int | None
) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    size, stride = integers(name, (size,)), integers(name, (stride,))
    if len(size) != len(stride):
        raise RuntimeError(
            "mismatch in length of strides and shape\n"
            f"  {name}: {len(stride)} strides for {len(size)} sizes"
        )
    if offset is None:
        offset = offset_of(array) // array.itemsize
    if offset < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {offset}")
    if any(n < 0 for n in size):
        raise RuntimeError(f"{name}: Negative sizes are not allowed, got {list(size)}")
    if any(s < 0 for s in stride):
        raise RuntimeError(
            f"{name}: Negative strides are not supported at the moment, got strides: {list(stride)}"
        )
    return size, stride, offset


def _restrided(array: ndarray, size: tuple, stride: tuple, offset: int) -> ndarray:
    step = array.itemsize
    try:
        return strided(array, size, [s * step for s in stride], offset * step)
    except (TypeError, ValueError):
        if 0 in size:
            return np.empty(size, array.dtype)
        owner = array
        while isinstance(owner.base, ndarray):
            owner = owner.base
        last = offset + sum((n - 1) * s for n, s in zip(size, stride)) + 1
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {offset}, and "
            f"itemsize {step} requiring a storage size of {last * step} are out of bounds for "
            f"storage of size {owner.nbytes}"
        ) from None


def _places(geometry: tuple, base: int) -> ndarray:
    """For every element of a geometry, its place in the storage, less ``base``."""
    size, stride, offset = geometry
    places = np.full((1,) * len(size), offset - base, np.intp)
    for d, (n, s) in enumerate(zip(size, stride)):
        steps = np.arange(n, dtype=np.intp) * s
        places = places + steps.reshape((n,) + (1,) * (len(size) - d - 1))
    return np.broadcast_to(places, size)


def _as_strided_grad(x: ndarray, x_geometry: tuple, y_geometry: tuple) -> ndarray:
    """The sum of ``x`` at each place of the storage, read at the input's places.

    Where several elements of the input share a place, each gets an equal part.
    """
    if not x.size or 0 in x_geometry[0]:
        return np.zeros(x_geometry[0], x.dtype)
    base = min(x_geometry[2], y_geometry[2])
    read, written = _places(x_geometry, base), _places(y_geometry, base)
    span = int(max(read.max(), written.max())) + 1
    total = np.zeros(span, x.dtype)
    np.add.at(total, written.reshape(-1), x.reshape(-1))
    count = np.bincount(read.reshape(-1), minlength=span)
    if count.max() > 1:
        total = total / np.maximum(count, 1).astype(x.real.dtype)
    return total[read].astype(x.dtype, copy=False)


as_strided_grad = define(
    "as_strided_backward",
    _as_strided_grad,
    {"x": lambda g, x_geometry, y_geometry: as_strided_grad(g, y_geometry, x_geometry)},
)
_as_strided = view_record(
    "as_strided",
    lambda a, size, stride, offset, own: _restrided(a, size, stride, offset),
    lambda g, shape, size, stride, offset, own: as_strided_grad(g, own, (size, stride, offset)),
)


def as_strided(
    input: Value, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Value:
    """The storage of ``input`` seen with any size, strides and offset, all in elements."""
    array = input._array
    size, stride, offset = _checked_geometry("as_strided", array, size, stride, storage_offset)
    return _as_strided(input, size, stride, offset, _geometry(array))


def _written(
    x: ndarray, src: ndarray | int, x_geometry: tuple, size: tuple, stride: tuple, offset: int
) -> ndarray:
    """A copy of the memory of ``x`` (laid out by ``x_geometry``) with ``src`` in a piece of it."""
    shape, strides, own = x_geometry
    step = x.itemsize
    if not x.size:
        return x.copy()
    base = min(own, offset) if 0 not in size else own
    last = max(
        o + sum((n - 1) * s for n, s in zip(z, t))
        for z, t, o in ((shape, strides, own), (size, stride, offset if 0 not in size else own))
    )
    flat = np.empty(last - base + 1, x.dtype)
    new = ndarray(shape, x.dtype, flat, (own - base) * step, [s * step for s in strides])
    new[...] = x
    if 0 not in size:
        ndarray(size, x.dtype, flat, (offset - base) * step, [s * step for s in stride])[...] = src
    return new


def _hollowed(x: ndarray, x_geometry: tuple, size: tuple, stride: tuple, offset: int) -> ndarray:
    return _written(x, 0, x_geometry, size, stride, offset)


hollowed = define(
    "as_strided_scatter_backward",
    _hollowed,
    {
        "x": lambda g, x_geometry, size, stride, offset: hollowed(
            g, x_geometry, size, stride, offset
        )
    },
)
_as_strided_scatter = define(
    "as_strided_scatter",
    _written,
    {
        "x": lambda g, x_geometry, size, stride, offset: hollowed(
            g, x_geometry, size, stride, offset
        ),
        "src": lambda g, x_geometry, size, stride, offset: as_strided_grad(
            g, (size, stride, offset), x_geometry
        ),
    },
)


def as_strided_scatter(
    input: Value,
    src: Value,
    size: Sequence[int],
    stride: Sequence[int],
    storage_offset: int | None = None,
) -> Value:
    """A copy of ``input`` in which ``as_strided(size, stride, storage_offset)`` holds ``src``."""
    array = input._array
    size, stride, offset = _checked_geometry(
        "as_strided_scatter", array, size, stride, storage_offset
    )
    if src._array.shape != size:
        raise RuntimeError(
            "expected src to have a size equal to the slice of self. src size = "
            f"{list(src._array.shape)}, slice size = {list(size)}"
        )
    _restrided(array, size, stride, offset)
    return _as_strided_scatter(input, src, _geometry(array), size, stride, offset)


# ---- parts of numbers, other dtypes --------------------------------------------------------


def _real_vjp(g: Value, shape: tuple) -> Value:
    return g.to(g.dtype.to_complex())


def _imag_vjp(g: Value, shape: tuple) -> Value:
    return g.to(g.dtype.to_complex()) * 1j


_real = view_record("real", lambda a: a.real, _real_vjp)
_imag = view_record("imag", lambda a: a.imag, _imag_vjp)


def real(input: Value) -> Value:
    """The real part: a view of a complex tensor, a real tensor itself."""
    check_tensor("real", input)
    return _real(input) if input._array.dtype.kind == "c" else input


def imag(input: Value) -> Value:
    """The imaginary part of a complex tensor, as a view."""
    check_tensor("imag", input)
    if input._array.dtype.kind != "c":
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return _imag(input)


def _as_pairs(array: ndarray) -> ndarray:
    part = array.real.dtype
    pairs = dense(owner_of(array)).reshape(-1).view(part)
    strides = (*array.strides, part.itemsize)
    return ndarray((*array.shape, 2), part, pairs, offset_of(array), strides)


_view_as_real = view_record("view_as_real", _as_pairs, lambda g, shape: g.view_as_complex())


def view_as_real(input: Value) -> Value:
    """A complex tensor as pairs of reals in a last dimension of size 2, sharing memory."""
    check_tensor("view_as_real", input)
    if input._array.dtype.kind != "c":
        raise RuntimeError("view_as_real is only supported for complex tensors")
    return _view_as_real(input)


def _as_complex(array: ndarray) -> ndarray:
    kind = np.dtype(np.complex64 if array.dtype == np.float32 else np.complex128)
    return strided_as(array, kind, array.shape[:-1], array.strides[:-1])


def strided_as(array: ndarray, kind: np.dtype, shape: tuple, strides: tuple) -> ndarray:
    """The memory from the first element of ``array`` on as elements of dtype ``kind``."""
    owner = dense(owner_of(array))
    return ndarray(shape, kind, owner, offset_of(array), strides)


_view_as_complex = view_record(
    "view_as_complex", _as_complex, lambda g, shape: _view_as_real(g.contiguous())
)


def view_as_complex(input: Value) -> Value:
    """Pairs of reals in the last dimension as complex numbers, sharing memory."""
    check_tensor("view_as_complex", input)
    array = input._array
    if array.dtype.kind != "f" or array.dtype.itemsize < 4:
        raise RuntimeError(
            "view_as_complex is only supported for half, float and double tensors, but got a "
            f"tensor of scalar type: {input.dtype.legacy_name}"
        )
    if not array.ndim:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if array.shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    step = array.itemsize
    if array.size and array.strides[-1] != step:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any(s % (2 * step) for s, n in zip(array.strides[:-1], array.shape) if n > 1):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    if offset_of(array) % (2 * step):
        raise RuntimeError("Tensor must have a storage_offset divisible by 2")
    return _view_as_complex(input)


def _dtype_vjp(g: Value, shape: tuple, *geometry: object) -> Value:
    raise NotImplementedError("the derivative for 'view(dtype)' is not implemented")


_view_dtype = view_record("view", lambda a, kind, *g: strided_as(a, kind, *g), _dtype_vjp)


_same_bytes = view_record("alias", lambda a: a[...], lambda g, shape: g)


def view_dtype(self: Value, d: dtype) -> Value:
    """The same bytes as elements of dtype ``d``; the last dimension grows or shrinks with it."""
    array = self._array
    kind = d.numpy
    if array.dtype == kind:
        return _same_bytes(self)
    old, new = array.itemsize, kind.itemsize
    shape, strides = array.shape, array.strides
    if old != new:
        if not shape:
            raise RuntimeError(
                f"self.dim() cannot be 0 to view {self.dtype.legacy_name} as {d.legacy_name} "
                "(different element sizes)"
            )
        if array.size and strides[-1] != old and shape[-1] != 1:
            raise RuntimeError(
                "self.stride(-1) must be 1 to view "
                f"{self.dtype.legacy_name} as {d.legacy_name} (different element sizes), but got "
                f"{strides[-1] // old}"
            )
        if new > old:
            ratio = new // old
            if shape[-1] % ratio:
                raise RuntimeError(
                    f"self.size(-1) must be divisible by {ratio} to view {self.dtype.legacy_name} "
                    f"as {d.legacy_name} (different element sizes), but got {shape[-1]}"
                )
            if any(s % new for s, n in zip(strides[:-1], shape) if n > 1):
                raise RuntimeError(
                    f"self.stride() must be divisible by {ratio} to view "
                    f"{self.dtype.legacy_name} as {d.legacy_name} (different element sizes)"
                )
            shape = (*shape[:-1], shape[-1] // ratio)
        else:
            shape = (*shape[:-1], shape[-1] * (old // new))
        strides = (*strides[:-1], new)
    return _view_dtype(self, kind, shape, strides)


__all__ = [
    "as_strided", "as_strided_scatter", "imag", "real", "view_as_complex", "view_as_real",
]  # fmt: skip
