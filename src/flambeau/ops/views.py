"""Views: another shape of the same memory, or another look at its bytes.

Results share storage with their operand; no gradient keeps an array.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from .. import _shapes
from .._dtypes import dtype
from .._shapes import contiguous_strides, infer_view, wrap_dim, wrap_dims
from ..core.op import define
from ..core.value import Value, broadcast, dense, offset_of, owner_of, strided
from ..core.views import view as view_record
from ..core.views import view_of
from ._arguments import check_tensor, dimension, integers
from .memory import clone_op, contiguous_format

ndarray = np.ndarray

# ---- view and reshape ----------------------------------------------------------------------

_view = view_record("view", ndarray.reshape, lambda g, shape, *a: g.reshape(shape))
_alias = view_record("alias", lambda a: a[...], lambda g, shape: g)
_VIEW = _view.op


def _reshaped(x: ndarray, shape: tuple[int, ...]) -> ndarray:
    return x.reshape(shape)


_unsafe_view = define("_unsafe_view", _reshaped, {"x": lambda g, x_shape: g.reshape(x_shape)})


def view(self: Value, *shape: int | Sequence[int] | dtype, **named: object) -> Value:
    """The same elements in another shape (one size may be -1), or as another dtype.

    RuntimeError where that cannot be done without a copy; ``reshape`` copies then.
    """
    if not shape and named:
        shape = (named.pop("dtype", None) or named.pop("size"),)
    if len(shape) == 1 and shape[0].__class__ is not int:
        if isinstance(shape[0], dtype):
            return view_dtype(self, shape[0])
        shape = integers("view", shape)
    a = self._array
    if a.flags.c_contiguous:
        try:
            if min(shape) >= -1:
                return view_of(self, a.reshape(shape), _VIEW, ())
        except (ValueError, TypeError):
            pass
        sizes = integers("view", shape)
        return view_of(self, a.reshape(infer_view(sizes, a.size)), _VIEW, ())
    sizes = infer_view(integers("view", shape), a.size)
    try:
        return view_of(self, a.reshape(sizes, copy=False), _VIEW, ())
    except ValueError:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead.\n"
            f"  size {list(a.shape)} with strides {list(self.stride())} has no view of size "
            f"{list(sizes)}"
        ) from None


def reshape(input: Value, shape: Sequence[int]) -> Value:
    """``input`` in another shape (one size may be -1): a view where there is one, else a copy."""
    check_tensor("reshape", input)
    a = input._array
    try:
        if shape and min(shape) >= -1:
            return view_of(input, a.reshape(shape, copy=False), _VIEW, ())
    except (ValueError, TypeError):
        pass
    sizes = infer_view(integers("reshape", (shape,)), a.size)
    try:
        return view_of(input, a.reshape(sizes, copy=False), _VIEW, ())
    except ValueError:
        return _unsafe_view(clone_op(input, contiguous_format), sizes)


def view_as(self: Value, other: Value) -> Value:
    """A view of the shape of ``other``."""
    return view(self, other._array.shape)


def reshape_as(self: Value, other: Value) -> Value:
    """``reshape`` to the shape of ``other``."""
    return reshape(self, other._array.shape)


def flatten(input: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    """Dimensions ``start_dim`` to ``end_dim``, both included, made one."""
    check_tensor("flatten", input)
    shape = input._array.shape
    start = dimension("flatten", start_dim, len(shape))
    end = dimension("flatten", end_dim, len(shape))
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if not shape:
        return reshape(input, (1,))
    if start == end:
        return input
    joined = _shapes.numel(shape[start : end + 1])
    return reshape(input, (*shape[:start], joined, *shape[end + 1 :]))


def ravel(input: Value) -> Value:
    """All dimensions made one; a copy only where a view cannot be had."""
    check_tensor("ravel", input)
    if input._array.ndim == 1 and input._array.flags.c_contiguous:
        return input
    return reshape(input, (-1,) if input._array.size else (0,))


def unflatten(input: Value, dim: int | str, sizes: Sequence[int]) -> Value:
    """Dimension ``dim`` split into ``sizes`` (one may be -1)."""
    check_tensor("unflatten", input)
    shape = input._array.shape
    d = dimension("unflatten", dim, len(shape))
    sizes = integers("unflatten", (sizes,))
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    known = _shapes.numel([n for n in sizes if n != -1])
    holes = sum(n == -1 for n in sizes)
    n = shape[d] if shape else 1
    if holes > 1:
        raise RuntimeError("only one dimension can be inferred")
    if (holes and (known == 0 or n % known)) or (not holes and known != n):
        text = "one possibly -1 " if holes else ""
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {d} "
            f"({n}) in the input tensor\n  {text}sizes multiply to {known}"
        )
    return reshape(input, (*shape[:d], *infer_view(sizes, n), *shape[d + 1 :]))


# ---- order of dimensions -------------------------------------------------------------------


def _inverse(dims: tuple[int, ...]) -> list[int]:
    back = [0] * len(dims)
    for i, d in enumerate(dims):
        back[d] = i
    return back


_permute = view_record("permute", ndarray.transpose, lambda g, shape, d: g.permute(_inverse(d)))
_transpose = view_record("transpose", ndarray.swapaxes, lambda g, shape, i, j: g.transpose(i, j))
_t = view_record("t", lambda a: a.T, lambda g, shape: g.t())


def permute(input: Value, dims: Sequence[int]) -> Value:
    """The dimensions in the order ``dims``: result dimension i is dimension ``dims[i]``."""
    check_tensor("permute", input)
    dims = integers("permute", (dims,))
    n = input._array.ndim
    if len(dims) != n:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the "
            f"length of the desired ordering of dimensions i.e. input.dim() = {n} is not equal to "
            f"len(dims) = {len(dims)}"
        )
    wrapped = tuple([wrap_dim(d, n) for d in dims])
    if len(set(wrapped)) != n:
        raise RuntimeError(
            f"permute(): duplicate dims are not allowed.\n  dims {list(dims)} must name each of "
            f"the {n} dimensions once"
        )
    return _permute(input, wrapped)


def transpose(input: Value, dim0: int, dim1: int) -> Value:
    """Dimensions ``dim0`` and ``dim1`` exchanged."""
    check_tensor("transpose", input)
    n = input._array.ndim
    i, j = dimension("transpose", dim0, n), dimension("transpose", dim1, n)
    if not n:
        return _alias(input)
    return _transpose(input, i, j)


def t(input: Value) -> Value:
    """The transpose of a matrix; tensors of fewer dimensions as they are."""
    check_tensor("t", input)
    n = input._array.ndim
    if n > 2:
        raise RuntimeError(
            f"t() expects a tensor with <= 2 dimensions, but self is {n}D\n"
            "  use transpose(dim0, dim1), permute(...) or mT"
        )
    return _t(input) if n == 2 else _alias(input)


def movedim(input: Value, source: int | Sequence[int], destination: int | Sequence[int]) -> Value:
    """Dimensions ``source`` put at positions ``destination``; the others keep their order."""
    check_tensor("movedim", input)
    n = input._array.ndim
    src = (source,) if isinstance(source, int) else tuple(source)
    dst = (destination,) if isinstance(destination, int) else tuple(destination)
    if len(src) != len(dst):
        raise RuntimeError(
            "movedim: Invalid source or destination dims: source "
            f"({list(src)} dims) should contain the same number of dims as destination "
            f"({list(dst)} dims)"
        )
    src = [wrap_dim(d, n) for d in src]
    dst = [wrap_dim(d, n) for d in dst]
    for name, dims in (("source", src), ("destination", dst)):
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({dims})")
    if not n:
        return _alias(input)
    order = [d for d in range(n) if d not in src]
    for d, s in sorted(zip(dst, src)):
        order.insert(d, s)
    return _permute(input, tuple(order))


def swapaxes(input: Value, axis0: int, axis1: int) -> Value:
    """``transpose`` by NumPy's name."""
    return transpose(input, axis0, axis1)


def swapdims(input: Value, dim0: int, dim1: int) -> Value:
    """The same as ``transpose``."""
    return transpose(input, dim0, dim1)


def moveaxis(input: Value, source: int | Sequence[int], destination: int | Sequence[int]) -> Value:
    """``movedim`` by NumPy's name."""
    return movedim(input, source, destination)


def adjoint(input: Value) -> Value:
    """The conjugate transpose of the last two dimensions."""
    return conjugate_transpose(input, "adjoint()")


def conjugate_transpose(input: Value, name: str = "mH") -> Value:
    """``mH``: ``adjoint``. RuntimeError, which names ``name``, below two dimensions."""
    n = input._array.ndim
    if n < 2:
        raise RuntimeError(
            f"tensor.{name} is only supported on matrices or batches of matrices. Got {n}-D tensor."
        )
    turned = transpose(input, -2, -1)
    return turned.conj() if input._array.dtype.kind == "c" else turned


def matrix_transpose(input: Value) -> Value:
    """``mT``: the last two dimensions exchanged. RuntimeError below two dimensions."""
    n = input._array.ndim
    if n < 2:
        raise RuntimeError(
            f"tensor.mT is only supported on matrices or batches of matrices. Got {n}-D tensor."
        )
    return _transpose(input, n - 2, n - 1)


def reversed_dims(input: Value) -> Value:
    """``T``: all dimensions in reverse order."""
    n = input._array.ndim
    if n not in (0, 2):
        warnings.warn(
            "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is "
            "deprecated and it will throw an error in a future release. Consider `x.mT` to "
            "transpose batches of matrices or `x.permute(*torch.arange(x.ndim - 1, -1, -1))` to "
            "reverse the dimensions of a tensor.",
            stacklevel=3,
        )
    return _permute(input, tuple(range(n))[::-1])


def hermitian(input: Value) -> Value:
    """``H``: the conjugate transpose of a matrix. RuntimeError unless there are 2 dimensions."""
    n = input._array.ndim
    if n not in (0, 2):
        raise RuntimeError(
            "tensor.H is only supported on matrices (2-D tensors). "
            f"Got {n}-D tensor.\n  For batches of matrices use tensor.mH"
        )
    if n == 0:
        return _alias(input)
    return adjoint(input)


# ---- size-1 dimensions ---------------------------------------------------------------------

_unsqueeze = view_record("unsqueeze", ndarray.reshape, lambda g, shape, s: g.reshape(shape))
_squeeze = view_record("squeeze", ndarray.squeeze, lambda g, shape: g.reshape(shape))
_squeeze_dims = view_record("squeeze", ndarray.squeeze, lambda g, shape, dims: g.reshape(shape))
_squeeze_dims.op.grad_name = "SqueezeBackward1"
_squeeze_several = view_record("squeeze", ndarray.squeeze, lambda g, shape, dims: g.reshape(shape))
_squeeze_several.op.grad_name = "SqueezeBackward2"


def unsqueeze(input: Value, dim: int) -> Value:
    """A dimension of size 1 inserted before dimension ``dim``."""
    check_tensor("unsqueeze", input)
    shape = input._array.shape
    d = dimension("unsqueeze", dim, len(shape) + 1)
    return _unsqueeze(input, (*shape[:d], 1, *shape[d:]))


def squeeze(input: Value, dim: int | Sequence[int] | None = None) -> Value:
    """Without the dimensions of size 1: all of them, or those among ``dim``."""
    check_tensor("squeeze", input)
    shape = input._array.shape
    if dim is None:
        return _squeeze(input)
    if isinstance(dim, (tuple, list)):
        dims = wrap_dims(dim, len(shape))
        return _squeeze_several(input, tuple([d for d in dims if shape[d] == 1]))
    d = dimension("squeeze", dim, len(shape))
    return _squeeze_dims(input, (d,) if shape and shape[d] == 1 else ())


# ---- stretching ----------------------------------------------------------------------------

_expand = view_record("expand", broadcast, lambda g, shape, s: g.sum_to_size(shape))


def expand(self: Value, *size: int | Sequence[int], implicit: bool = False) -> Value:
    """Dimensions of size 1 stretched to ``size`` without a copy; -1 keeps a size.

    New dimensions may be added in front. RuntimeError where a size is neither 1 nor as wanted.
    """
    sizes = integers("expand", size)
    shape = self._array.shape
    lead = len(sizes) - len(shape)
    if lead < 0:
        raise RuntimeError(
            f"expand(torch.{self.dtype.legacy_name}Tensor{{{list(shape)}}}, size={list(sizes)}): "
            f"the number of sizes provided ({len(sizes)}) must be greater or equal to the number "
            f"of dimensions in the tensor ({len(shape)})"
        )
    target = list(sizes)
    for i, n in enumerate(sizes):
        if i < lead:
            if n < 0:
                raise RuntimeError(
                    f"The expanded size of the tensor ({n}) isn't allowed in a leading, "
                    f"non-existing dimension {i}"
                )
            continue
        own = shape[i - lead]
        if n == -1:
            target[i] = own
        elif n != own and (own != 1 or n < 0):
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({own}) at "
                f"non-singleton dimension {i}.  Target sizes: {list(sizes)}.  "
                f"Tensor sizes: {list(shape)}"
            )
    return _expand(self, tuple(target))


def expand_as(self: Value, other: Value) -> Value:
    """``self`` stretched to the shape of ``other``."""
    return expand(self, other._array.shape)


def broadcast_to(input: Value, size: Sequence[int]) -> Value:
    """``input`` stretched to ``size``; the same as ``expand``."""
    return expand(input, size)


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


def view_dtype(self: Value, d: dtype) -> Value:
    """The same bytes as elements of dtype ``d``; the last dimension grows or shrinks with it."""
    array = self._array
    kind = d.numpy
    if array.dtype == kind:
        return _alias(self)
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
    "adjoint", "as_strided", "as_strided_scatter", "broadcast_to", "flatten", "imag", "moveaxis",
    "movedim", "permute", "ravel", "real", "reshape", "squeeze", "swapaxes", "swapdims", "t",
    "transpose", "unflatten", "unsqueeze", "view_as_complex", "view_as_real",
]  # fmt: skip
