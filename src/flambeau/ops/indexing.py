"""Indexing: what ``x[...]`` means, and reading and writing at places given by tensors."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from .._dtypes import INTEGRAL
from .._errors import type_name
from ..core import threads
from ..core.modes import hook, state
from ..core.mutation import check_writable, rebase, write
from ..core.op import Op, define
from ..core.promotion import is_number
from ..core.value import Value, address, constant, number_overflow, owner_of, wrap
from ..core.views import view as view_record
from ..core.views import view_of
from ._accumulate import add_rows, sum_at
from .memory import clone_op, convert, copy_, laid_out
from .pieces import ALL, _piece, _select, _slice, placed
from .views import _unsqueeze, expand

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
        return x[tuple(indices) if dims[-1] == len(dims) - 1 else _full(indices, dims)]
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
    out = np.zeros(shape, x.dtype)
    if dims == (0,):
        return add_rows(out, indices[0].reshape(-1), x)
    return sum_at(out, indices, dims, x)


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
    elif kind is tuple:
        op = _plain_kind(index, array.ndim)
        if op is index_op:
            return index_op(self, index, tuple(range(len(index))))
        if op is not None:
            try:
                r = array[index]
            except IndexError:
                pass  # the long way raises PyTorch's error
            else:
                if r.__class__ is not ndarray:
                    r = array[(*index, ...)]
                return view_of(self, r, op, (index,))
    elif index is None:
        return _unsqueeze(self, (1, *array.shape))
    elif isinstance(index, Value):
        i = index._array
        if array.ndim and (i.dtype is INT64 or i.dtype == INT32):
            if i.ndim or hook.active is not None:
                return _index_rows(self, index)
            return getitem(self, int(i))
    view, indices, dims = resolved(self, index)
    if not dims:
        return view
    return index_op(view, indices, dims)


def _plain_kind(index: tuple, ndim: int) -> Op | Callable | None:
    """What the most frequent tuples mean: the view operation for integers and slices without a
    step, ``index_op`` for int64 tensors alone; None for every other."""
    op = None
    for item in index:
        kind = item.__class__
        if kind is int:
            if op is index_op:
                return None
            op = _SELECT
        elif kind is slice and item.step is None:
            if op is index_op:
                return None
            if item.start is not None or item.stop is not None:
                op = _SLICE
        elif isinstance(item, Value) and item._array.dtype is INT64 and item._array.ndim:
            if op is not index_op and item is not index[0]:
                return None
            op = index_op
        else:
            return None
    return op if len(index) <= ndim else None


_alias = view_record("alias", lambda a, i: a[...], lambda g, shape, i: g)


def _with_axes(array: ndarray, index: tuple, new: tuple[int, ...]) -> ndarray:
    r = _piece(array, index)
    shape = list(r.shape)
    for d in new:
        shape.insert(d, 1)
    return r.reshape(shape)


def _without_axes(g: Value, shape: tuple, index: tuple, new: tuple[int, ...]) -> Value:
    return placed(g.squeeze(new), shape, index)


# An index with None in it is one view too, named by what PyTorch would do last.
_WITH_AXES = {
    op: view_record(op.name, _with_axes, _without_axes).op
    for op in (_SELECT, _SLICE, _unsqueeze.op)
}


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
    expanded = False
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
            if item != ALL:
                last = _SLICE
            d += 1
        elif item is Ellipsis:
            width = 0 if expanded else ndim - consumed
            expanded = True
            basic.extend([ALL] * width)
            d += width
            place += width
            continue
        elif item is None or (kind is bool) or not item._array.ndim:
            new.append(place)
            last = _unsqueeze.op
            if item is not None:  # a mask with one element
                chosen = [0] if item else []
                advanced.append((place, constant(np.array(chosen, np.int64))))
        elif item._array.dtype.kind == "b":
            mask = item._array
            _check_mask(mask, array.shape, d)
            _count_matters()
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
        view = view_of(self, _with_axes(array, key, dims), _WITH_AXES[last], (key, dims))
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
    return [_item(i) for i in index] if isinstance(index, tuple) else [_item(index)]


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
            return item if array.ndim else int(item.item())
        if array.dtype == BOOL:
            return item
        if array.dtype == UINT8:
            warnings.warn(
                "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool "
                "instead.",
                UserWarning,
                stacklevel=5,
            )
            return item != 0
        if not array.ndim and array.dtype.kind in "iu":
            return int(item.item())
        raise IndexError(
            "tensors used as indices must be long, int, byte or bool tensors\n"
            f"  this one holds {item.dtype!r}"
        )
    if isinstance(item, (list, tuple, range)):
        made = constant if _of_numbers(item) else wrap
        return _item(made(_index_array(item)))
    if isinstance(item, ndarray):
        return _item(wrap(item.astype(np.int64) if item.dtype.kind in "iu" else item))
    if isinstance(item, np.bool_):
        return bool(item)
    if hasattr(item, "__index__"):
        return item.__index__()
    if isinstance(item, str):
        raise TypeError("new(): invalid data type 'str'\n  a tensor has no named items")
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
        "tensors used as indices must be long, int, byte or bool tensors\n"
        f"  this index is a list of {type_name(array.reshape(-1)[0].item())}"
    )


# ---- x[...] = value ------------------------------------------------------------------------


def overwrite(x: Value, record: Callable[..., Value], name: str, *args: object) -> Value:
    """``record(x, *args)``, whose forward writes into the memory it is given; returns ``x``."""
    records = state.grad and (
        x._edge is not None or any(isinstance(a, Value) and a._edge is not None for a in args)
    )
    check_writable(x, name, records)
    if hook.active is not None:  # a new tensor, and a write that is seen
        return write(x, record(fresh(x), *args), name)
    result = record(x, *args)
    x.counter().bump(name)
    if records:
        rebase(x, result._edge)
    return x


def _of_numbers(item: object) -> bool:
    """Whether nested sequences hold nothing but Python's numbers."""
    if isinstance(item, (list, tuple, range)):
        return all(map(_of_numbers, item))
    return type(item) in (int, bool)


def fresh(x: Value) -> Value:
    """A copy of ``x`` at the same place in the graph, for a record that writes into its operand."""
    if hook.active is not None:
        return clone_op(x, None)
    return wrap(laid_out(x._array, None), x._edge)


def _index_put(
    x: ndarray, indices: list[ndarray], dims: tuple[int, ...], values: ndarray, accumulate: bool
) -> ndarray:
    try:
        if accumulate:
            check_bounds(indices, dims, x.shape)
            sum_at(x, indices, dims, np.broadcast_to(values, _result_shape(x, indices, dims)))
        else:
            x[_full(indices, dims)] = values
    except (ValueError, IndexError):
        check_bounds(indices, dims, x.shape)
        shape = _result_shape(x, indices, dims)
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast to "
            f"indexing result of shape {list(shape)}"
        ) from None
    return x


def _result_shape(x: ndarray, indices: list[ndarray], dims: tuple[int, ...]) -> tuple[int, ...]:
    try:
        lead = np.broadcast_shapes(*[i.shape for i in indices])
    except ValueError:
        raise _shape_mismatch(indices) from None
    rest = [n for d, n in enumerate(x.shape) if d not in dims]
    at = dims[0] if dims[-1] - dims[0] == len(dims) - 1 else 0
    return (*rest[:at], *lead, *rest[at:])


def _hole(g: Value, indices: tuple, dims: tuple, accumulate: bool) -> Value:
    return g if accumulate else index_put_op(fresh(g), indices, dims, g.new_zeros(()), False)


index_put_op = define(
    "index_put",
    _index_put,
    {
        "x": _hole,
        "values": lambda g, values_shape, indices, dims: index_op(g, indices, dims).sum_to_size(
            values_shape
        ),
    },
)


def _is_plain(index: object) -> bool:
    kind = index.__class__
    if kind is int:
        return True
    if kind is slice:
        return index.step is None or (index.step.__class__ is int and index.step > 0)
    if kind is not tuple:
        return False
    for item in index:
        kind = item.__class__
        if kind is int or item is None or item is Ellipsis:
            continue
        if kind is not slice or not (
            item.step is None or (item.step.__class__ is int and item.step > 0)
        ):
            return False
    return True


def filling(value: object, like: Value) -> ndarray:
    """A number as a 0-dim array of the dtype of ``like``. RuntimeError where it does not fit."""
    d = like.dtype
    kind = value.__class__
    if (kind is float or kind is int) and d.is_floating_point and -6e4 < value < 6e4:
        return np.array(value, d.numpy)
    try:
        if isinstance(value, complex) and not d.is_complex:
            if value.imag:
                raise number_overflow(value, d)
            value = value.real
        if d.category == INTEGRAL:
            return np.array(int(value), d.numpy)
        array = np.array(value).astype(d.numpy)
        if d.is_floating_point and np.isinf(array) and not math.isinf(value):
            raise number_overflow(value, d)
        return array
    except (OverflowError, ValueError):
        raise number_overflow(value, d) from None


def _qualified(value: object) -> str:
    return "numpy.ndarray" if isinstance(value, ndarray) else type_name(value)


def setitem(self: Value, index: object, value: object) -> None:
    """``self[index] = value``: a tensor that broadcasts, or a number; gradients flow to both."""
    is_tensor = isinstance(value, Value)
    array = self._array
    if not is_tensor:
        if not is_number(value):
            raise TypeError(
                f"can't assign a {_qualified(value)} to a torch.{self.dtype.legacy_name}Tensor"
            )
        content = filling(value, self)
    else:
        content = value._array
    if (
        not (state.grad and (self._edge is not None or (is_tensor and value._edge is not None)))
        and not self._inference
        and hook.active is None
        and 0 not in array.strides  # elements that share a place, which the long way refuses
    ):
        mask = index._array if isinstance(index, Value) else None
        if (
            _is_plain(index)
            if mask is None
            else mask.dtype is BOOL and not content.ndim and mask.shape == array.shape[: mask.ndim]
        ):
            try:
                array[index if mask is None else mask] = content
            except (ValueError, IndexError):
                pass  # the long way raises PyTorch's error
            else:
                self.counter().bump("copy_" if mask is None else "index_put_")
                return
    if hook.active is not None and _filled_by_mask(self, index, value, content):
        return
    view, indices, dims = resolved(self, index)
    if is_tensor and not dims and _same_place(view._array, content):
        return  # x[i] += y has written it already
    if dims:
        if content.dtype != array.dtype:
            value = convert(value, self.dtype) if is_tensor else value
        value = value if is_tensor else constant(content)
        ndim = view._array.ndim - len(dims) + max([i._array.ndim for i in indices])
        value = _without_leading_ones(value, ndim)
        overwrite(view, index_put_op, "index_put_", indices, dims, value, False)
        return
    value = value if is_tensor else constant(content)
    shape = view._array.shape
    value = _without_leading_ones(value, len(shape))
    expand(value, shape)  # PyTorch's error where it does not fit
    copy_(view, value)


def _count_matters() -> None:
    """Tell who looks on that a mask chooses as many elements as it has True."""
    if hook.active is not None:
        hook.active.opaque(
            "x[mask] has a shape that depends on the mask's elements "
            "(torch.where(mask, ...), or x * mask, has not)"
        )


def _filled_by_mask(self: Value, index: object, value: object, content: ndarray) -> bool:
    """``self[index] = value`` where ``index`` has one mask, beside integers and slices, and
    ``value`` is the same at each of its places: written without counting them, and True."""
    items = list(index) if type(index) is tuple else [index]
    masks = [i for i, item in enumerate(items) if isinstance(item, Value)]
    if len(masks) != 1 or items[masks[0]]._array.dtype is not BOOL:
        return False
    at, mask = masks[0], items[masks[0]]
    dims = mask._array.ndim
    if not dims or not all(type(v) in (int, slice) for v in items if v is not mask):
        return False
    if type(index) is tuple:
        self = self[(*items[:at], *[ALL] * dims, *items[at + 1 :])]
        at -= sum(type(v) is int for v in items[:at])
    shape = self._array.shape
    rest = len(shape) - at - dims
    if shape[at : at + dims] != mask._array.shape or (content.ndim and at) or content.ndim > rest:
        return False
    mask = mask.reshape((1,) * at + mask._array.shape + (1,) * rest)
    if not content.ndim:
        self.masked_fill_(mask, value)
    else:
        copy_(self, convert(value, self.dtype).where(mask, self))
    return True


def _same_place(a: ndarray, b: ndarray) -> bool:
    return (
        a.shape == b.shape
        and a.strides == b.strides
        and a.dtype == b.dtype
        and owner_of(a) is owner_of(b)
        and address(a) == address(b)
    )


def _without_leading_ones(value: Value, ndim: int) -> Value:
    shape = value._array.shape
    extra = len(shape) - ndim
    if extra <= 0 or any(n != 1 for n in shape[:extra]):
        return value
    return value.reshape(shape[extra:])


def _put_arguments(
    name: str, self: Value, indices: object, values: Value
) -> tuple[tuple[Value, ...], tuple[int, ...], Value]:
    if not isinstance(indices, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'indices' (position 1) must be tuple of Tensors, not "
            f"{type_name(indices)}"
        )
    if values._array.dtype != self._array.dtype:
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got "
            f"{self.dtype.legacy_name} for the destination and {values.dtype.legacy_name} for the "
            "source."
        )
    if len(indices) > self._array.ndim:
        raise IndexError(
            f"too many indices for tensor of dimension {self._array.ndim} (got {len(indices)})"
        )
    expanded, dims = [], []
    d = 0
    for item in indices:
        if item is None:
            d += 1
            continue
        item = _item(item)
        if isinstance(item, (int, bool)):
            item = constant(np.array(item))
        if item._array.dtype.kind == "b":
            _check_mask(item._array, self._array.shape, d)
            _count_matters()
            for where in item._array.nonzero():
                expanded.append(wrap(where))
                dims.append(d)
                d += 1
        else:
            expanded.append(item)
            dims.append(d)
            d += 1
    return tuple(expanded), tuple(dims), values


def index_put(
    input: Value, indices: Sequence[Value], values: Value, accumulate: bool = False
) -> Value:
    """A copy of ``input`` with ``values`` at the places ``indices``, a tensor per dimension.

    ``accumulate``: add there instead, repeated places included.
    """
    indices, dims, values = _put_arguments("index_put", input, indices, values)
    if not dims:
        return fresh(input)
    return index_put_op(fresh(input), indices, dims, values, accumulate)


def index_put_(
    self: Value, indices: Sequence[Value], values: Value, accumulate: bool = False
) -> Value:
    """Write ``values`` (``accumulate``: add them) at the places ``indices`` of this tensor."""
    indices, dims, values = _put_arguments("index_put_", self, indices, values)
    if not dims:
        return self
    return overwrite(self, index_put_op, "index_put_", indices, dims, values, accumulate)


__all__ = ["index_put", "index_put_"]
