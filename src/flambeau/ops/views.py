"""Views: another shape of the same memory. Results share storage with their operand.

Gradients of views are views of the gradient, or zeros with the gradient put in place; none keeps
an array.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import _shapes
from .._dtypes import dtype
from .._errors import type_name
from .._shapes import contiguous_strides, infer_view, wrap_dim, wrap_dims
from ..core.op import define
from ..core.value import Value
from ..core.views import broadcast, dense, offset_of, owner_of, strided, view_of
from ..core.views import view as view_record
from .joining import cat_op, stack_op
from .memory import clone_op, contiguous_format

ndarray = np.ndarray
ALL = slice(None)

# ---- arguments -----------------------------------------------------------------------------


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


def check_tensor(name: str, value: object, argument: str = "input") -> None:
    """TypeError unless ``value`` is a tensor."""
    if not isinstance(value, Value):
        raise TypeError(f"{name}(): argument '{argument}' must be Tensor, not {type_name(value)}")


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
    if input._array.ndim == 1 and input._array.flags.c_contiguous:
        return input
    return reshape(input, (-1,) if input._array.size else (0,))


def unflatten(input: Value, dim: int | str, sizes: Sequence[int]) -> Value:
    """Dimension ``dim`` split into ``sizes`` (one may be -1)."""
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
    n = input._array.ndim
    i, j = dimension("transpose", dim0, n), dimension("transpose", dim1, n)
    if not n:
        return _alias(input)
    return _transpose(input, i, j)


def t(input: Value) -> Value:
    """The transpose of a matrix; tensors of fewer dimensions as they are."""
    n = input._array.ndim
    if n > 2:
        raise RuntimeError(
            f"t() expects a tensor with <= 2 dimensions, but self is {n}D\n"
            "  use transpose(dim0, dim1), permute(...) or mT"
        )
    return _t(input) if n == 2 else _alias(input)


def movedim(input: Value, source: int | Sequence[int], destination: int | Sequence[int]) -> Value:
    """Dimensions ``source`` put at positions ``destination``; the others keep their order."""
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
    n = input._array.ndim
    if n < 2:
        raise RuntimeError(f"tensor.adjoint() is only supported on matrices or batches of matrices."
                           f" Got {n}-D tensor.")  # fmt: skip
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
    return _permute(input, tuple(range(input._array.ndim))[::-1])


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
    shape = input._array.shape
    d = dimension("unsqueeze", dim, len(shape) + 1)
    return _unsqueeze(input, (*shape[:d], 1, *shape[d:]))


def squeeze(input: Value, dim: int | Sequence[int] | None = None) -> Value:
    """Without the dimensions of size 1: all of them, or those among ``dim``."""
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


# ---- pieces --------------------------------------------------------------------------------


def _place(x: ndarray, shape: tuple[int, ...], index: tuple) -> ndarray:
    out = np.zeros(shape, x.dtype)
    out[index] = x
    return out


placed = define("slice_backward", _place, {"x": lambda g, index: basic(g, index)})
"""placed(g, shape, index): zeros of ``shape`` with ``g`` at the basic index ``index``."""


def _piece(array: ndarray, index: tuple) -> ndarray:
    r = array[index]
    return r if r.__class__ is ndarray else array[(*index, ...)]


def _placed(g: Value, shape: tuple[int, ...], index: tuple) -> Value:
    return placed(g, shape, index)


_select = view_record("select", _piece, _placed)
_slice = view_record("slice", _piece, _placed)
basic = _slice


def select(input: Value, dim: int, index: int) -> Value:
    """The slice ``index`` of dimension ``dim``, without that dimension."""
    shape = input._array.shape
    if not shape:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    d = dimension("select", dim, len(shape))
    i = index if index.__class__ is int else index.__index__()
    n = shape[d]
    if not -n <= i < n:
        raise IndexError(
            f"select(): index {i} out of range for tensor of size {list(shape)} at dimension {d}"
        )
    return _select(input, (ALL,) * d + (i,))


def narrow(input: Value, dim: int, start: int | Value, length: int) -> Value:
    """Elements ``start`` to ``start + length`` of dimension ``dim``."""
    shape = input._array.shape
    if not shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if isinstance(start, Value) and (start._array.ndim or start._array.dtype.kind not in "iu"):
        raise RuntimeError("start must be an 0-dim integral Tensor.")
    start = start.__index__()
    length = length.__index__()
    d = dimension("narrow", dim, len(shape))
    n = shape[d]
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -n <= start <= n:
        raise IndexError(
            f"start out of range (expected to be in range of [{-n}, {n}], but got {start})"
        )
    if start < 0:
        start += n
    if start + length > n:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return _slice(input, (ALL,) * d + (slice(start, start + length),))


def slice_dim(
    input: Value, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Value:
    """``input[start:end:step]`` in dimension ``dim``."""
    shape = input._array.shape
    if not shape:
        raise RuntimeError("slice() cannot be applied to a 0-dim tensor.")
    d = dimension("slice", dim, len(shape))
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    return _slice(input, (ALL,) * d + (slice(start, end, step),))


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
            f"mismatch in length of strides and shape: {len(stride)} strides for {len(size)} sizes"
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


# ---- splitting -----------------------------------------------------------------------------


def _filled(parts: list, shapes: Sequence[tuple[int, ...]]) -> list[Value]:
    some = next(p for p in parts if p is not None)
    return [some.new_zeros(s) if p is None else p for p, s in zip(parts, shapes)]


def _split_shapes(shape: tuple[int, ...], sizes: tuple[int, ...], dim: int) -> list[tuple]:
    return [(*shape[:dim], n, *shape[dim + 1 :]) for n in sizes]


def _split(x: ndarray, sizes: tuple[int, ...], dim: int) -> tuple[ndarray, ...]:
    lead = (ALL,) * dim
    parts = []
    start = 0
    for n in sizes:
        parts.append(x[(*lead, slice(start, start + n))])
        start += n
    return tuple(parts)


def _split_vjp(g: list, x_shape: tuple, sizes: tuple, dim: int) -> tuple[Value]:
    return (cat_op(tuple(_filled(g, _split_shapes(x_shape, sizes, dim))), dim),)


def _unbind_vjp(g: list, x_shape: tuple, dim: int) -> tuple[Value]:
    shape = (*x_shape[:dim], *x_shape[dim + 1 :])
    return (stack_op(tuple(_filled(g, [shape] * len(g))), dim),)


_split_op = define("split", _split, _split_vjp, view=True)
_split_with_sizes = define("split_with_sizes", _split, _split_vjp, view=True)
_unsafe_split = define("unsafe_split", _split, _split_vjp)
_unbind = define(
    "unbind",
    lambda x, dim: tuple([x[(ALL,) * dim + (i, ...)] for i in range(x.shape[dim])]),
    _unbind_vjp,
    view=True,
)


def unbind(input: Value, dim: int = 0) -> tuple[Value, ...]:
    """The slices of dimension ``dim``, each without that dimension."""
    shape = input._array.shape
    if not shape:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    d = dimension("unbind", dim, len(shape))
    return _unbind(input, d) if shape[d] else ()


def _pieces(n: int, size: int) -> tuple[int, ...]:
    if n == 0 or size == 0:
        return (0,)
    return (size,) * (n // size) + ((n % size,) if n % size else ())


def split(
    tensor: Value, split_size_or_sections: int | Sequence[int], dim: int = 0
) -> tuple[Value, ...]:
    """Views of consecutive pieces of dimension ``dim``: of one size (the last may be smaller), or
    of the sizes given, which must add up to the whole."""
    shape = tensor._array.shape
    size = split_size_or_sections
    if not isinstance(size, int) and not isinstance(size, Value):
        return split_with_sizes(tensor, size, dim)
    size = size.__index__()
    if not shape:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    d = dimension("split", dim, len(shape))
    if size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
    if size == 0 and shape[d]:
        raise RuntimeError(
            f"split_size can only be 0 if dimension size is 0, but got dimension size of {shape[d]}"
        )
    return _split_op(tensor, _pieces(shape[d], size), d)


def split_with_sizes(input: Value, split_sizes: Sequence[int], dim: int = 0) -> tuple[Value, ...]:
    """Views of consecutive pieces of dimension ``dim``, of the sizes given."""
    shape = input._array.shape
    if not shape:
        raise RuntimeError("split_with_sizes expects at least a 1-dimensional tensor")
    sizes = integers("split_with_sizes", (split_sizes,))
    d = dimension("split_with_sizes", dim, len(shape))
    if any(n < 0 for n in sizes):
        raise RuntimeError(
            "split_with_sizes expects split_sizes have only non-negative entries, but got "
            f"split_sizes={list(sizes)}"
        )
    if sum(sizes) != shape[d]:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {shape[d]} (input tensor's "
            f"size at dimension {d}), but got split_sizes={list(sizes)}\n"
            f"  they sum to {sum(sizes)}"
        )
    return _split_with_sizes(input, sizes, d) if sizes else ()


def _chunks(name: str, input: Value, chunks: int, dim: int) -> tuple[int, tuple[int, ...]]:
    shape = input._array.shape
    if not shape:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    d = dimension(name, dim, len(shape))
    n = shape[d]
    return d, ((0,) * chunks if n == 0 else _pieces(n, -(-n // chunks)))


def chunk(input: Value, chunks: int, dim: int = 0) -> tuple[Value, ...]:
    """At most ``chunks`` pieces of dimension ``dim``, each of size ceil(n / chunks) but the last."""
    d, sizes = _chunks("chunk", input, chunks, dim)
    return _split_op(input, sizes, d)


def unsafe_chunk(input: Value, chunks: int, dim: int = 0) -> tuple[Value, ...]:
    """``chunk`` whose results autograd takes for tensors of their own."""
    d, sizes = _chunks("unsafe_chunk", input, chunks, dim)
    return _unsafe_split(input, sizes, d)


def unsafe_split(tensor: Value, split_size: int, dim: int = 0) -> tuple[Value, ...]:
    """``split`` whose results autograd takes for tensors of their own."""
    d = dimension("unsafe_split", dim, tensor._array.ndim)
    return _unsafe_split(tensor, _pieces(tensor._array.shape[d], split_size), d)


def unsafe_split_with_sizes(
    input: Value, split_sizes: Sequence[int], dim: int = 0
) -> tuple[Value, ...]:
    """``split_with_sizes`` whose results autograd takes for tensors of their own."""
    d = dimension("unsafe_split_with_sizes", dim, input._array.ndim)
    return _unsafe_split(input, tuple(split_sizes), d)


def tensor_split(
    input: Value,
    indices_or_sections: int | Sequence[int] | Value,
    dim: int = 0,
) -> tuple[Value, ...]:
    """Views of ``n`` pieces of dimension ``dim`` as equal as can be, or cut at the indices given."""
    shape = input._array.shape
    if not shape:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    d = dimension("tensor_split", dim, len(shape))
    cuts = indices_or_sections
    if isinstance(cuts, Value):
        if cuts._array.dtype != np.int64:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to have dtype of long, but got "
                f"{cuts.dtype.legacy_name}"
            )
        if cuts._array.ndim > 1:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or "
                f"one-dimensional tensor, but got a tensor with {cuts._array.ndim} dims"
            )
        cuts = cuts._array.tolist()
    n = shape[d]
    if isinstance(cuts, int):
        if cuts <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {cuts}")
        small, extra = divmod(n, cuts)
        edges = [i * small + min(i, extra) for i in range(cuts + 1)]
        ranges = list(zip(edges[:-1], edges[1:]))
    else:
        edges = [0, *integers("tensor_split", (cuts,)), None]
        ranges = list(zip(edges[:-1], edges[1:]))
    lead = (ALL,) * d
    return tuple([_slice(input, (*lead, slice(a, b))) for a, b in ranges])


def _split_along(name: str, input: Value, cuts: object, dim: int) -> tuple[Value, ...]:
    if isinstance(cuts, int):
        n = input._array.shape[dim]
        if cuts <= 0 or n % cuts:
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {dim}, but the size of the "
                f"dimension {n} is not divisible by the split_size {cuts}!"
            )
    return tensor_split(input, cuts, dim)


def hsplit(input: Value, indices_or_sections: int | Sequence[int]) -> tuple[Value, ...]:
    """Pieces of the second dimension (of the first, for a vector)."""
    n = input._array.ndim
    if n < 1:
        raise RuntimeError(
            "torch.hsplit requires a tensor with at least 1 dimension, but got a tensor with 0 "
            "dimensions!"
        )
    return _split_along("hsplit", input, indices_or_sections, 0 if n == 1 else 1)


def vsplit(input: Value, indices_or_sections: int | Sequence[int]) -> tuple[Value, ...]:
    """Pieces of the first dimension of a tensor of two or more."""
    n = input._array.ndim
    if n < 2:
        raise RuntimeError(
            f"torch.vsplit requires a tensor with at least 2 dimension, but got a tensor with {n} "
            "dimensions!"
        )
    return _split_along("vsplit", input, indices_or_sections, 0)


def dsplit(input: Value, indices_or_sections: int | Sequence[int]) -> tuple[Value, ...]:
    """Pieces of the third dimension of a tensor of three or more."""
    n = input._array.ndim
    if n < 3:
        raise RuntimeError(
            f"torch.dsplit requires a tensor with at least 3 dimension, but got a tensor with {n} "
            "dimensions!"
        )
    return _split_along("dsplit", input, indices_or_sections, 2)


# ---- diagonals and windows -----------------------------------------------------------------


def _diagonal_vjp(g: Value, shape: tuple, offset: int, i: int, j: int) -> Value:
    return diagonal_backward(g, shape, offset, i, j)


def _placed_diagonal(x: ndarray, shape: tuple, offset: int, i: int, j: int) -> ndarray:
    out = np.zeros(shape, x.dtype)
    _diagonal_of(out, offset, i, j)[...] = x
    return out


def _diagonal_of(array: ndarray, offset: int, i: int, j: int) -> ndarray:
    shape, strides = array.shape, array.strides
    n = max(0, min(shape[i] + min(offset, 0), shape[j] - max(offset, 0)))
    rest = [d for d in range(len(shape)) if d not in (i, j)]
    start = [ALL] * len(shape)
    if n:
        start[i], start[j] = slice(max(-offset, 0), None), slice(max(offset, 0), None)
    moved = array[tuple(start)]
    return strided(
        array,
        (*[shape[d] for d in rest], n),
        (*[strides[d] for d in rest], strides[i] + strides[j]),
        offset_of(moved),
    )


_diagonal = view_record("diagonal", _diagonal_of, _diagonal_vjp)
diagonal_backward = define(
    "diagonal_backward",
    _placed_diagonal,
    {"x": lambda g, offset, i, j: _diagonal(g, offset, i, j)},
)


def diagonal(input: Value, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Value:
    """The diagonal of dimensions ``dim1`` and ``dim2`` as the last dimension of a view.

    ``offset``: which one; above the main diagonal if positive.
    """
    n = input._array.ndim
    i, j = wrap_dim(dim1, n), wrap_dim(dim2, n)
    if i == j:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return _diagonal(input, offset, i, j)


def _windows(array: ndarray, dim: int, size: int, step: int) -> ndarray:
    if not array.ndim:
        return strided(array, (size,), (array.itemsize,), offset_of(array))
    shape, strides = array.shape, array.strides
    count = (shape[dim] - size) // step + 1
    return strided(
        array,
        (*shape[:dim], count, *shape[dim + 1 :], size),
        (*strides[:dim], strides[dim] * step, *strides[dim + 1 :], strides[dim]),
        offset_of(array),
    )


def _unwindowed(x: ndarray, shape: tuple, dim: int, size: int, step: int) -> ndarray:
    out = np.zeros(shape, x.dtype)
    if not shape:
        return out + x.sum(dtype=x.dtype)
    lead = (ALL,) * dim
    if size <= x.shape[dim]:  # one pass per place in a window, all windows at once
        for k in range(size):
            out[(*lead, slice(k, k + step * (x.shape[dim] - 1) + 1, step))] += x[..., k]
    else:
        last = np.moveaxis(x, -1, dim + 1)
        for w in range(x.shape[dim]):
            out[(*lead, slice(w * step, w * step + size))] += last[(*lead, w)]
    return out


unfold_backward = define(
    "unfold_backward",
    _unwindowed,
    {"x": lambda g, dim, size, step: unfold(g, dim, size, step)},
)
_unfold = view_record(
    "unfold", _windows, lambda g, shape, d, n, step: unfold_backward(g, shape, d, n, step)
)


def unfold(self: Value, dimension: int, size: int, step: int) -> Value:
    """All windows of ``size`` elements along a dimension, ``step`` apart, as a last dimension."""
    shape = self._array.shape
    d = wrap_dim(dimension, len(shape))
    n = shape[d] if shape else 1
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > n:
        raise RuntimeError(f"maximum size for tensor at dimension {d} is {n} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    return _unfold(self, d, size, step)


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
    first = array.real  # a view with the offset of the real parts
    pairs = dense(owner_of(array)).reshape(-1).view(part)
    return ndarray((*array.shape, 2), part, pairs, offset_of(first) if array.base is not None else 0,
                   (*array.strides, part.itemsize))  # fmt: skip


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
    "adjoint", "as_strided", "as_strided_scatter", "broadcast_to", "chunk", "diagonal", "dsplit",
    "flatten", "hsplit", "imag", "moveaxis", "movedim", "narrow", "permute", "ravel", "real",
    "reshape", "select", "split", "split_with_sizes", "squeeze", "swapaxes", "swapdims", "t",
    "tensor_split", "transpose", "unbind", "unflatten", "unsafe_chunk", "unsafe_split",
    "unsafe_split_with_sizes", "unsqueeze", "view_as_complex", "view_as_real", "vsplit",
]  # fmt: skip
