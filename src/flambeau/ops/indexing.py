"""Indexing: what ``x[...]`` means, and reading and writing at places given by tensors."""

from __future__ import annotations

import warnings

import numpy as np

from .._errors import type_name
from .._shapes import contiguous_strides
from ..core import threads
from ..core.op import define
from ..core.twins import accepts_out
from ..core.value import Value, wrap
from ..core.views import view as view_record
from ..core.views import view_of
from ._accumulate import sum_at
from .views import ALL, _piece, _select, _slice, dimension, placed

ndarray = np.ndarray
INT64 = np.dtype(np.int64)
INT32 = np.dtype(np.int32)
BOOL = np.dtype(np.bool_)
UINT8 = np.dtype(np.uint8)
_SELECT, _SLICE = _select.op, _slice.op

# ---- advanced indices ----------------------------------------------------------------------


def out_of_bounds(index: ndarray, dim: int, size: int, kind: type = IndexError) -> Exception:
    """The error for the first element of ``index`` that is no place of a dimension."""
    flat = index.reshape(-1)
    bad = int(np.flatnonzero((flat < -size) | (flat >= size))[0])
    where = np.unravel_index(bad, index.shape) if index.ndim else ()
    place = f"[{', '.join(str(int(i)) for i in where)}]" if where else ""
    return kind(
        f"index {int(flat[bad])} is out of bounds for dimension {dim} with size {size}\n"
        f"  at index{place} of an index tensor of shape {tuple(index.shape)}; "
        f"allowed are {-size} to {size - 1}"
    )


def taken(array: ndarray, index: ndarray, dim: int) -> ndarray:
    """``array`` at the places ``index`` of dimension ``dim``. IndexError out of bounds."""
    try:
        if index.size * (array.size // max(array.shape[dim], 1)) < threads.LARGE:
            return array.take(index, dim)
    except IndexError:
        raise out_of_bounds(index, dim, array.shape[dim]) from None
    return _taken_large(array, index, dim)


def _taken_large(array: ndarray, index: ndarray, dim: int) -> ndarray:
    n = array.shape[dim]
    if index.size and (int(index.min()) < -n or int(index.max()) >= n):
        raise out_of_bounds(index, dim, n)
    if int(index.min()) < 0:
        index = np.where(index < 0, index + n, index)
    if dim or not array.flags.c_contiguous:
        return array.take(index, dim, mode="clip")
    flat = np.ascontiguousarray(index).reshape(-1)
    out = np.empty((flat.size, *array.shape[1:]), array.dtype)

    def part(start: int, stop: int) -> None:
        array.take(flat[start:stop], 0, out[start:stop], "clip")

    threads.run_parts(part, flat.size, 1024)
    return out.reshape(*index.shape, *array.shape[1:])


def _full(indices: list[ndarray], dims: tuple[int, ...]) -> tuple:
    """The NumPy index that has ``indices`` at ``dims`` and everything elsewhere."""
    index = [ALL] * (dims[-1] + 1)
    for i, d in zip(indices, dims):
        index[d] = i
    return tuple(index)


def check_bounds(
    indices: list[ndarray], dims: tuple[int, ...], shape: tuple[int, ...], kind: type = IndexError
) -> None:
    """IndexError if an element of ``indices`` is no place of its dimension of ``shape``."""
    for i, d in zip(indices, dims):
        if i.dtype != BOOL and i.size and (int(i.min()) < -shape[d] or int(i.max()) >= shape[d]):
            raise out_of_bounds(i, d, shape[d], kind)


def _index(x: ndarray, indices: list[ndarray], dims: tuple[int, ...]) -> ndarray:
    if len(indices) == 1:
        return taken(x, indices[0], dims[0])
    try:
        return x[_full(indices, dims)]
    except IndexError:
        check_bounds(indices, dims, x.shape)
        raise _shape_mismatch(indices) from None


def _shape_mismatch(indices: list[ndarray]) -> IndexError:
    shapes = ", ".join(str(list(i.shape)) for i in indices)
    return IndexError(
        f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}"
    )


def _index_backward(
    x: ndarray, indices: list[ndarray], dims: tuple[int, ...], shape: tuple[int, ...]
) -> ndarray:
    return sum_at(np.zeros(shape, x.dtype), indices, dims, x)


index_op = define(
    "index",
    _index,
    {"x": lambda g, x_shape, indices, dims: index_backward(g, indices, dims, x_shape)},
)
index_backward = define(
    "index_backward", _index_backward, {"x": lambda g, indices, dims: index_op(g, indices, dims)}
)
_index_rows = define(
    "index",
    lambda x, index: taken(x, index, 0),
    {"x": lambda g, x_shape, index: index_backward(g, (index,), (0,), x_shape)},
)


# ---- x[...] --------------------------------------------------------------------------------


def getitem(self: Value, index: object) -> Value:
    """``self[index]``: a view for integers, slices, None and Ellipsis; a copy for tensors, lists
    and masks, which may be mixed with them.

    Source: https://docs.pytorch.org/docs/stable/tensor_view.html
    """
    kind = index.__class__
    array = self._array
    if kind is int:
        if array.ndim and -(n := array.shape[0]) <= index < n:
            return view_of(self, array[index, ...], _SELECT, ((index,),))
    elif kind is slice:
        if index.step is None and array.ndim:
            return view_of(self, array[index], _SLICE, ((index,),))
    elif isinstance(index, Value):
        i = index._array
        if i.ndim and array.ndim and (i.dtype is INT64 or i.dtype == INT32):
            return _index_rows(self, index)
    view, indices, dims = resolved(self, index)
    if not dims:
        return view
    return index_op(view, indices, dims)


_new_axes = view_record("unsqueeze", lambda a, i, new: _with_axes(a, i, new), None)
_alias = view_record("alias", lambda a, i: a[...], lambda g, shape, i: g)


def _with_axes(array: ndarray, index: tuple, new: tuple[int, ...]) -> ndarray:
    r = _piece(array, index)
    shape = list(r.shape)
    for d in new:
        shape.insert(d, 1)
    return r.reshape(shape)


_new_axes.op.vjp = lambda g, shape, index, new: placed(g.squeeze(new), shape, index)


def resolved(self: Value, index: object) -> tuple[Value, tuple[Value, ...], tuple[int, ...]]:
    """``index`` in two steps: a view of ``self`` by its integers, slices, None and Ellipsis, then
    index tensors for some dimensions of that view."""
    items = _items(index)
    array = self._array
    ndim = array.ndim
    consumed = 0
    for item in items:
        kind = item.__class__
        if kind is int or kind is slice:
            consumed += 1
        elif isinstance(item, Value):
            consumed += item._array.ndim if item._array.dtype.kind == "b" else 1
    if consumed > ndim:
        raise IndexError(
            f"too many indices for tensor of dimension {ndim}\n"
            f"  {consumed} were given for shape {tuple(array.shape)}"
        )
    basic: list = []  # the integers and slices of the first step
    new: list[int] = []  # dimensions of the view that are new
    advanced: list[tuple[int, Value]] = []  # dimensions of the view with their index tensors
    last = None
    d = place = 0  # the next dimension of self, and of the view
    for item in items:
        kind = item.__class__
        if kind is int:
            n = array.shape[d]
            if not -n <= item < n:
                raise IndexError(f"index {item} is out of bounds for dimension {d} with size {n}")
            basic.append(item)
            last = _SELECT
            d += 1
            continue
        if kind is slice:
            basic.append(item)
            if item != ALL or last is None:
                last = _SLICE
            d += 1
        elif item is Ellipsis:
            width = ndim - consumed
            basic.extend([ALL] * width)
            d += width
            place += width
            continue
        elif item is None or (kind is bool) or not item._array.ndim:
            new.append(place)
            last = _new_axes.op
            if item is not None:  # a mask with one element
                chosen = [0] if item else []
                advanced.append((place, wrap(np.array(chosen, np.int64))))
        elif item._array.dtype.kind == "b":
            mask = item._array
            _check_mask(mask, array.shape, d)
            for i, where in enumerate(mask.nonzero()):
                advanced.append((place + i, wrap(where)))
            width = mask.ndim
            basic.extend([ALL] * width)
            d += width
            place += width
            continue
        else:
            basic.append(ALL)
            advanced.append((place, item))
            d += 1
        place += 1
    key = tuple(basic)
    if last is None:
        view = self if advanced else _alias(self, key)
    elif new:
        dims = tuple(new)
        view = view_of(self, _with_axes(array, key, dims), _new_axes.op, (key, dims))
    else:
        view = view_of(self, _piece(array, key), last, (key,))
    return view, tuple([i for _, i in advanced]), tuple([p for p, _ in advanced])


def _check_mask(mask: ndarray, shape: tuple[int, ...], d: int) -> None:
    for i, (a, b) in enumerate(zip(mask.shape, shape[d:])):
        if a != b:
            raise IndexError(
                f"The shape of the mask {list(mask.shape)} at index {i} does not match the shape "
                f"of the indexed tensor {list(shape)} at index {d + i}"
            )


def _items(index: object) -> list:
    """The parts of an index: int, bool, slice, None, Ellipsis, or a tensor (int64 or bool)."""
    if index.__class__ is list and _is_legacy_tuple(index):
        warnings.warn(
            "Using a non-tuple sequence for multidimensional indexing is deprecated; "
            "use x[tuple(seq)] instead of x[seq]",
            UserWarning,
            stacklevel=4,
        )
        index = tuple(index)
    items = [_item(i) for i in index] if isinstance(index, tuple) else [_item(index)]
    if sum(i is Ellipsis for i in items) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    return items


def _is_legacy_tuple(index: list) -> bool:
    """Whether a list stands for a tuple of indices: a short one that holds more than numbers."""
    return len(index) < 32 and any(
        isinstance(i, (list, tuple, range, slice, ndarray))
        or i is None
        or i is Ellipsis
        or (isinstance(i, Value) and i._array.ndim > 0)
        for i in index
    )


def _item(item: object) -> object:
    kind = item.__class__
    if kind is int or item is None or item is Ellipsis or kind is bool:
        return item
    if kind is slice:
        step = item.step
        if step is not None and step.__index__() <= 0:
            raise ValueError(
                "step must be greater than zero\n"
                f"  x[::{step.__index__()}] would need negative strides; use flip for reversal"
            )
        return item
    if isinstance(item, Value):
        array = item._array
        if array.dtype == INT64 or array.dtype == INT32:
            return item if array.ndim else int(array)
        if array.dtype == BOOL:
            return item
        if array.dtype == UINT8:
            warnings.warn(
                "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool "
                "instead.",
                UserWarning,
                stacklevel=5,
            )
            return wrap(array != 0)
        if not array.ndim and array.dtype.kind in "iu":
            return int(array)
        raise IndexError(
            "tensors used as indices must be long, int, byte or bool tensors, "
            f"but got {item.dtype!r}"
        )
    if isinstance(item, (list, tuple, range)):
        return _item(wrap(_index_array(item)))
    if isinstance(item, ndarray):
        return _item(wrap(item.astype(np.int64) if item.dtype.kind in "iu" else item))
    if isinstance(item, np.bool_):
        return bool(item)
    if hasattr(item, "__index__"):
        return item.__index__()
    raise IndexError(
        "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid "
        f"indices (got {type_name(item)})"
    )


def _index_array(values: list | tuple | range) -> ndarray:
    plain = [v._array if isinstance(v, Value) else v for v in values]
    array = np.array(plain)
    if not array.size:
        return array.astype(np.int64)
    if array.dtype.kind in "iu":
        return array.astype(np.int64)
    if array.dtype.kind == "b":
        return array
    raise IndexError(
        "tensors used as indices must be long, int, byte or bool tensors, "
        f"but got a list of {type_name(array.reshape(-1)[0].item())}"
    )


# ---- places along one dimension ------------------------------------------------------------


def check_index(name: str, index: Value) -> None:
    """RuntimeError unless ``index`` holds int32 or int64."""
    if not isinstance(index, Value):
        raise TypeError(f"{name}(): argument 'index' must be Tensor, not {type_name(index)}")
    if index._array.dtype not in (INT64, INT32):
        raise RuntimeError(
            f"{name}(): Expected dtype int32 or int64 for index, but got {index.dtype!r}"
        )


def _index_select(x: ndarray, index: ndarray, dim: int) -> ndarray:
    if not x.ndim:
        check_bounds([index], (0,), (1,))
        return x.reshape(1).take(index, 0).reshape(())
    return taken(x, index.reshape(-1), dim)


def _index_select_vjp(g: Value, x_shape: tuple, index: Value, dim: int) -> Value:
    if not x_shape:
        return g
    return index_backward(g, (index.reshape(-1),), (dim,), x_shape)


index_select_op = define("index_select", _index_select, {"x": _index_select_vjp})


@accepts_out
def index_select(input: Value, dim: int, index: Value) -> Value:
    """The slices of dimension ``dim`` at the places in the vector ``index``; a copy."""
    check_index("index_select", index)
    if index._array.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    d = dimension("index_select", dim, input._array.ndim)
    if not input._array.ndim and index._array.size != 1:
        raise RuntimeError(
            "index_select(): Index to scalar can have only 1 value, "
            f"got {index._array.size} value(s)"
        )
    return index_select_op(input, index, d)


def linear(index: ndarray, shape: tuple[int, ...], dim: int) -> ndarray:
    """Places in a row-major array of ``shape``, of the elements that differ from their own place
    by having ``index`` as coordinate ``dim``."""
    strides = contiguous_strides(shape)
    places = index * strides[dim] if strides[dim] != 1 else index
    grid = None
    for d, n in enumerate(index.shape):
        if d != dim and n > 1:
            steps = np.arange(0, n * strides[d], strides[d])
            steps = steps.reshape((n,) + (1,) * (len(shape) - d - 1))
            grid = steps if grid is None else grid + steps
    return places if grid is None else places + grid


def checked_places(
    name: str, shape: tuple[int, ...], dim: int, index: ndarray, kind: type = RuntimeError
) -> None:
    """RuntimeError if an element of ``index`` is no place of dimension ``dim`` (nor negative)."""
    n = shape[dim] if shape else 1
    if index.size and (int(index.min()) < 0 or int(index.max()) >= n):
        flat = index.reshape(-1)
        bad = int(np.flatnonzero((flat < 0) | (flat >= n))[0])
        where = ", ".join(str(int(i)) for i in np.unravel_index(bad, index.shape))
        raise kind(
            f"index {int(flat[bad])} is out of bounds for dimension {dim} with size {n}\n"
            f"  {name}: at index[{where}] of an index tensor of shape {tuple(index.shape)}; "
            f"allowed are 0 to {n - 1}"
        )


def _gather(x: ndarray, dim: int, index: ndarray) -> ndarray:
    if not index.size:
        return np.empty(index.shape, x.dtype)
    checked_places("gather", x.shape, dim, index)
    if not x.ndim or not index.ndim:
        return x.reshape(-1).take(index)
    flat = np.ascontiguousarray(x).reshape(-1)
    if index.size < threads.LARGE:
        return flat.take(linear(index, x.shape, dim))
    out = np.empty(index.shape, x.dtype)
    pieces = index.shape[0]
    per_row = index.size // pieces
    step = max(1, threads.BLOCK // per_row)
    row = contiguous_strides(x.shape)[0]

    def part(start: int, stop: int) -> None:
        for i in range(start, stop, step):
            j = min(i + step, stop)
            base = 0 if dim == 0 else i * row
            places = linear(index[i:j], x.shape, dim)
            flat[base:].take(places, 0, out[i:j], "clip")

    threads.run_parts(part, pieces, step)
    return out


gather_op = define(
    "gather",
    _gather,
    {"x": lambda g, x_shape, dim, index: g.new_zeros(x_shape).scatter_add(dim, index, g)},
)


def check_places_shape(
    name: str, index: Value, other: Value, dim: int | None, what: str = "input"
) -> None:
    """RuntimeError unless ``index`` fits into ``other`` in every dimension but ``dim``."""
    a, b = index._array.shape, other._array.shape
    if index._array.size and any(
        n > m for d, (n, m) in enumerate(zip(a or (1,), b or (1,))) if d != dim
    ):
        apart = f" apart from dimension {dim}" if dim is not None else ""
        raise RuntimeError(
            f"Size does not match at dimension {next(d for d, (n, m) in enumerate(zip(a, b)) if n > m and d != dim)} "
            f"expected index {list(a)} to be no larger than {what} {list(b)}{apart}"
        )  # fmt: skip


@accepts_out
def gather(input: Value, dim: int, index: Value, *, sparse_grad: bool = False) -> Value:
    """``out[i, j] = input[index[i, j], j]`` for dim 0, and so on: a value per place of ``index``.

    ``index``: int64, of as many dimensions as ``input``, no larger than it but in ``dim``.
    """
    d = dimension("gather", dim, input._array.ndim)
    if not isinstance(index, Value):
        raise TypeError(f"gather(): argument 'index' must be Tensor, not {type_name(index)}")
    if index._array.size and index._array.dtype not in (INT64, INT32):
        raise RuntimeError("gather(): Expected dtype int32/int64 for index")
    if max(index._array.ndim, 1) != max(input._array.ndim, 1) and index._array.size:
        raise RuntimeError(
            "Index tensor must have the same number of dimensions as input tensor\n"
            f"  gather: index {tuple(index._array.shape)}, input {tuple(input._array.shape)}"
        )
    check_places_shape("gather", index, input, d)
    return gather_op(input, d, index)


__all__ = ["gather", "index_select"]
