"""Reading at places along a dimension that an index tensor gives: gather and its kin."""

from __future__ import annotations

import numpy as np

from .. import _dtypes
from .._errors import type_name
from .._shapes import broadcast, contiguous_strides, numel
from ..core import threads
from ..core.modes import hook
from ..core.mutation import accepts_out, put_out
from ..core.op import define
from ..core.value import Value, constant, fails, reading, wrap
from ._arguments import check_tensor, dimension, integers
from .indexing import INT32, INT64, check_bounds, index_backward, taken
from .joining import stack_op

ndarray = np.ndarray

# ---- places along one dimension ------------------------------------------------------------


def check_index(name: str, index: Value) -> None:
    """RuntimeError unless ``index`` holds int32 or int64."""
    if not isinstance(index, Value):
        raise TypeError(f"{name}(): argument 'index' must be Tensor, not {type_name(index)}")
    if index._array.dtype not in (INT64, INT32):
        raise RuntimeError(
            f"{name}(): Expected dtype int32 or int64 for index\n  it holds {index.dtype!r}"
        )


def _index_select(x: ndarray, index: ndarray, dim: int) -> ndarray:
    if index.size and int(index.min()) < 0:
        checked_places(
            "index_select", x.shape, dim, index, IndexError, "index out of range in self"
        )
    if not x.ndim:
        check_bounds([index], (0,), (1,))
        return x.reshape(1).take(index.reshape(()))
    try:
        return taken(x, index.reshape(-1), dim)
    except IndexError as error:
        raise IndexError(f"index out of range in self\n  {error}") from None


def _index_select_vjp(g: Value, x_shape: tuple, index: Value, dim: int) -> Value:
    if not x_shape:
        return g
    return index_backward(g, (index.reshape(-1),), (dim,), x_shape)


index_select_op = define("index_select", _index_select, {"x": _index_select_vjp})


def index_select(input: Value, dim: int, index: Value, *, out: Value | None = None) -> Value:
    """The slices of dimension ``dim`` at the places in the vector ``index``; a copy."""
    check_tensor("index_select", input)
    check_index("index_select", index)
    if index._array.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    d = dimension("index_select", dim, input._array.ndim)
    if not input._array.ndim and index._array.size != 1:
        raise RuntimeError(
            "index_select(): Index to scalar can have only 1 value, "
            f"got {index._array.size} value(s)"
        )
    result = index_select_op(input, index, d)
    return result if out is None else put_out(out, result, "index_select", (input, index), True)


def linear(index: ndarray, shape: tuple[int, ...], dim: int) -> ndarray:
    """Places in a row-major array of ``shape``, of the elements that differ from their own place
    by having ``index`` as coordinate ``dim``."""
    places, grid = index, None
    step = 1
    last = len(shape) - 1
    for d in range(last, -1, -1):
        n = index.shape[d]
        if d == dim:
            if step != 1:
                places = index * step
        elif n > 1:
            steps = np.arange(0, n * step, step)
            if d != last:
                steps = steps.reshape((n,) + (1,) * (last - d))
            grid = steps if grid is None else grid + steps
        step *= shape[d]
    return places if grid is None else places + grid


def checked_places(
    name: str,
    shape: tuple[int, ...],
    dim: int,
    index: ndarray,
    kind: type = RuntimeError,
    headline: str = "",
) -> None:
    """An error of ``kind`` if an element of ``index`` is no place of dimension ``dim``, counted
    from the front."""
    n = shape[dim] if shape else 1
    if index.dtype != INT64:
        index = index.astype(np.int64)
    if index.size and index.view(np.uint64).max() >= n:  # as unsigned, negative ones are largest
        flat = index.reshape(-1)
        bad = int(np.flatnonzero((flat < 0) | (flat >= n))[0])
        where = ", ".join(str(int(i)) for i in np.unravel_index(bad, index.shape))
        raise kind(
            (headline and headline + "\n  ")
            + f"index {int(flat[bad])} is out of bounds for dimension {dim} with size {n}\n"
            f"  {name}: at index[{where}] of an index tensor of shape {tuple(index.shape)}; "
            f"allowed are 0 to {n - 1}"
        )


def _gather(x: ndarray, dim: int, index: ndarray) -> ndarray:
    if not index.size:
        return np.empty(index.shape, x.dtype)
    checked_places("gather", x.shape, dim, index)
    if not x.ndim or not index.ndim:
        return x.reshape(-1).take(index)
    flat = x.reshape(-1)
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


def gather(
    input: Value,
    dim: int,
    index: Value,
    *,
    sparse_grad: bool = False,
    out: Value | None = None,
) -> Value:
    """``out[i, j] = input[index[i, j], j]`` for dim 0, and so on: a value per place of ``index``.

    ``index``: int64, of as many dimensions as ``input``, no larger than it but in ``dim``.
    """
    check_tensor("gather", input)
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
    n, m = index._array.shape, input._array.shape
    for i, (a, b) in enumerate(zip(n, m)):
        if a > b and i != d and index._array.size:
            raise RuntimeError(
                f"Size does not match at dimension {i} expected index {list(n)} to be no larger "
                f"than self {list(m)} apart from dimension {d}"
            )
    result = gather_op(input, d, index)
    return result if out is None else put_out(out, result, "gather", (input, index), True)


# ---- places in the flattened tensor --------------------------------------------------------


def check_range(index: ndarray, n: int) -> None:
    """IndexError if an element of ``index`` is no place among ``n``, from the front or the end."""
    if index.size and (int(index.min()) < -n or int(index.max()) >= n):
        bad = index[(index < -n) | (index >= n)].reshape(-1)[0]
        raise IndexError(
            f"out of range: tried to access index {int(bad)} on a tensor of {n} elements.\n"
            f"  allowed are {-n} to {n - 1}"
        )


def _take(x: ndarray, index: ndarray) -> ndarray:
    flat = x.reshape(-1)
    if not index.size:
        return np.empty(index.shape, x.dtype)
    if not flat.size:
        raise IndexError("take(): tried to take from an empty tensor")
    check_range(index, flat.size)
    return flat.take(index)


def _take_vjp(g: Value, x_shape: tuple, index: Value) -> Value:
    return index_backward(g, (index,), (0,), (numel(x_shape),)).reshape(x_shape)


take_op = define("take", _take, {"x": _take_vjp})


@accepts_out(apart=True, exact=True)
def take(input: Value, index: Value) -> Value:
    """The elements at the places ``index`` of the flattened ``input``, in its shape."""
    check_tensor("take", input)
    check_tensor("take", index, "index")
    if index._array.dtype != INT64:
        raise RuntimeError(
            f"take(): Expected a long tensor for index, but got {index.dtype.legacy_name}"
        )
    return take_op(input, index)


def _from_front(index: Value, n: int) -> Value:
    """``index`` with negative places counted from the front."""
    array = index._array
    if hook.active is not None:
        return index + (index < 0) * n
    if not array.size or int(array.min()) >= 0:
        return index
    return wrap(np.where(array < 0, array + n, array))


@accepts_out(apart=True, exact=True)
def take_along_dim(input: Value, indices: Value, dim: int | None = None) -> Value:
    """``gather`` whose ``input`` and ``indices`` broadcast but in ``dim``; without ``dim``, places
    in the flattened input."""
    check_tensor("take_along_dim", input)
    check_tensor("take_along_dim", indices, "indices")
    if indices._array.dtype not in (INT64, INT32):
        raise RuntimeError(
            "torch.take_along_dim(): dtype of indices should be Long but got "
            f"{indices.dtype.legacy_name}"
        )
    if dim is None:
        return gather(input.reshape(-1), 0, _from_front(indices.reshape(-1), input._array.size))
    a, b = input._array.shape, indices._array.shape
    if len(a) != len(b):
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, "
            f"but got {len(a)} dimensions for input, and {len(b)} dimensions for indices"
        )
    d = dimension("take_along_dim", dim, len(a))
    one = broadcast((*a[:d], 1, *a[d + 1 :]), (*b[:d], 1, *b[d + 1 :])) if a else ()
    if not a:
        return gather(input, 0, indices)
    input = input.expand((*one[:d], a[d], *one[d + 1 :]))
    indices = _from_front(indices, a[d])
    return gather(input, d, indices.expand((*one[:d], b[d], *one[d + 1 :])))


# ---- masks ---------------------------------------------------------------------------------


def _masked_select(x: ndarray, mask: ndarray) -> ndarray:
    if x.shape != mask.shape:
        shape = broadcast(mask.shape, x.shape)
        x, mask = np.broadcast_to(x, shape), np.broadcast_to(mask, shape)
    return x[mask]


def _masked_select_vjp(g: Value, x_shape: tuple, mask: Value) -> Value:
    shape = broadcast(x_shape, mask._array.shape)
    spread = g.new_zeros(shape).masked_scatter(mask.expand(shape), g)
    return spread.sum_to_size(x_shape)


masked_select_op = define("masked_select", _masked_select, {"x": _masked_select_vjp})


def check_mask(name: str, mask: Value) -> None:
    """RuntimeError unless ``mask`` holds bool."""
    check_tensor(name, mask, "mask")
    if mask._array.dtype.kind != "b":
        raise RuntimeError(
            f"{name}: expected BoolTensor for mask\n  it holds {mask.dtype!r}; use .bool()"
        )


@accepts_out(apart=True, exact=True)
def masked_select(input: Value, mask: Value) -> Value:
    """A vector of the elements of ``input`` where ``mask``, which broadcasts with it, is true."""
    check_tensor("masked_select", input)
    check_mask("masked_select", mask)
    reading(mask, "masked_select()")
    return masked_select_op(input, mask)


# ---- where elements are --------------------------------------------------------------------


def nonzero(
    input: Value, *, out: Value | None = None, as_tuple: bool = False
) -> Value | tuple[Value, ...]:
    """The places of the elements that are not zero: a row per element, in order; with
    ``as_tuple``, a vector per dimension, which can be used as an index."""
    check_tensor("nonzero", input)
    reading(input, "nonzero()")
    array = input._array
    if as_tuple:
        return tuple([wrap(i) for i in (array if array.ndim else array.reshape(1)).nonzero()])
    found = _places_of(input)
    if out is not None:
        if out._array.dtype != INT64:
            raise RuntimeError(
                f"nonzero: Expected out tensor to have scalar type Long but got scalar type "
                f"{out.dtype.legacy_name}"
            )
        return out.resize_(found.shape).copy_(found)
    return found


def _places_of(input: Value) -> Value:
    array = input._array
    if not array.ndim:
        return input.new_empty((int(bool(array)), 0), dtype=_dtypes.int64)
    places = array.nonzero()
    if array.ndim == 1:
        return wrap(places[0][:, None])
    return stack_op(tuple(map(wrap, places)), 1)


def argwhere(input: Value) -> Value:
    """The places of the elements that are not zero, a row each."""
    reading(input, "argwhere()")
    return _places_of(input)


def unravel_index(indices: Value, shape: int | tuple[int, ...]) -> tuple[Value, ...]:
    """Places in a flattened tensor of ``shape`` as coordinates, a tensor per dimension."""
    check_tensor("unravel_index", indices, "indices")
    if indices._array.dtype.kind not in "iu":
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype!r}")
    sizes = integers("unravel_index", shape if isinstance(shape, tuple) else (shape,))
    if any(n < 0 for n in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {tuple(sizes)}")
    flat = indices.to(_dtypes.int64)
    return tuple([flat // step % max(n, 1) for n, step in zip(sizes, contiguous_strides(sizes))])


def one_hot(tensor: Value, num_classes: int = -1) -> Value:
    """Vectors of ``num_classes`` (default: the largest class + 1) with a 1 at the given class."""
    check_tensor("one_hot", tensor)
    classes = tensor._array
    if classes.dtype != INT64:
        raise RuntimeError(
            "one_hot is only applicable to index tensor of type LongTensor, "
            f"but got {tensor.dtype!r}"
        )
    if not classes.size:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return constant(np.zeros((*classes.shape, num_classes), np.int64))
    if hook.active is not None:
        if num_classes < 1:
            reading(tensor, "one_hot() without num_classes")
        elif not fails((tensor < 0) | (tensor >= num_classes)):
            return _at_classes(tensor, num_classes)
    low, high = int(classes.min()), int(classes.max())
    if low < 0:
        raise RuntimeError(f"Class values must be non-negative, but one of them is {low}")
    if num_classes == -1:
        num_classes = high + 1
    elif num_classes < 1:
        raise RuntimeError("num_classes should be positive")
    elif high >= num_classes:
        raise RuntimeError(
            f"Class values must be smaller than num_classes ({num_classes}), but one is {high}"
        )
    if hook.active is not None:
        return _at_classes(tensor, num_classes)
    out = np.zeros((classes.size, num_classes), np.int64)
    out[np.arange(classes.size), classes.reshape(-1)] = 1
    return wrap(out.reshape(*classes.shape, num_classes))


def _at_classes(tensor: Value, count: int) -> Value:
    places = constant(np.arange(count)).to(tensor.device)
    return (tensor.unsqueeze(-1) == places).to(tensor.dtype)


__all__ = [
    "argwhere", "gather", "index_select", "masked_select", "nonzero", "take", "take_along_dim",
    "unravel_index",
]  # fmt: skip
