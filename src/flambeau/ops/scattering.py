"""Writing at places along a dimension that an index tensor gives: scatter and its kin.

Forwards write into the memory they are given; the functions give them a copy, the methods whose
names end in ``_`` the tensor itself.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._shapes import broadcast, wrap_dim
from ..core.modes import hook
from ..core.mutation import accepts_out, inplace
from ..core.op import define
from ..core.value import Value, constant
from ._accumulate import add_flat, add_rows
from ._arguments import check_tensor, dimension
from .gathering import (
    check_index,
    check_mask,
    check_range,
    checked_places,
    linear,
)
from .indexing import INT32, INT64, check_bounds, filling, fresh, overwrite
from .memory import convert
from .pieces import diagonal_of, placed

ndarray = np.ndarray


def _flat(x: ndarray) -> ndarray:
    """The elements of ``x`` in row-major order: its own memory if it lies so, else a copy."""
    return x.reshape(-1)


def _give_back(x: ndarray, flat: ndarray) -> ndarray:
    """``x`` with the elements of ``flat``, which is its own memory or a copy of it."""
    if not x.flags.c_contiguous:
        x[...] = flat.reshape(x.shape)
    return x


def _cut(array: ndarray, shape: tuple[int, ...]) -> ndarray:
    return array if array.shape == shape else array[tuple([slice(n) for n in shape])]


# ---- scatter -------------------------------------------------------------------------------


def _places(x: ndarray, dim: int, index: ndarray) -> ndarray:
    checked_places("scatter", x.shape, dim, index)
    if not x.ndim or not index.ndim:
        return index.reshape(-1)
    return linear(index, x.shape, dim).reshape(-1)


def _values(src: ndarray, index: ndarray) -> ndarray:
    if not src.ndim:
        return np.broadcast_to(src, index.shape).reshape(-1)
    return (_cut(src, index.shape) if index.ndim else src).reshape(-1)


def _scatter(x: ndarray, dim: int, index: ndarray, src: ndarray) -> ndarray:
    if index.size:
        flat = _flat(x)
        places = _places(x, dim, index)
        flat[places] = _values(src, index) if src.ndim else src
        _give_back(x, flat)
    return x


def _to_source(g: Value, dim: int, index: Value, src_shape: tuple) -> Value:
    """What reached the places of ``index``, in the shape of the source."""
    got = g.gather(dim, index)
    shape = got._array.shape
    if shape == src_shape:
        return got
    if len(shape) != len(src_shape):
        return got.reshape(src_shape)
    return placed(got, src_shape, tuple([slice(n) for n in shape]))


def _scatter_x(g: Value, dim: int, index: Value) -> Value:
    return scatter_value(fresh(g), dim, index, g.new_zeros(()))


def _scatter_src(g: Value, dim: int, index: Value, src_shape: tuple) -> Value:
    return _to_source(g, dim, index, src_shape)


scatter_src = define("scatter", _scatter, {"x": _scatter_x, "src": _scatter_src})
scatter_value = define("scatter", _scatter, {"x": _scatter_x})
scatter_value.op.grad_name = "ScatterBackward1"


def _scatter_add(x: ndarray, dim: int, index: ndarray, src: ndarray) -> ndarray:
    if index.size:
        flat = _flat(x)
        add_flat(flat, _places(x, dim, index), _values(src, index))
        _give_back(x, flat)
    return x


scatter_add_op = define("scatter_add", _scatter_add, {"x": lambda g: g, "src": _scatter_src})


def _scatter_arguments(
    name: str, input: Value, dim: int, index: Value, src: Value | None
) -> tuple[int, Value]:
    check_tensor(name, input)
    d = dimension(name, dim, input._array.ndim)
    check_tensor(name, index, "index")
    if index._array.size:
        if index._array.dtype not in (INT64, INT32):
            raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
        if max(index._array.ndim, 1) != max(input._array.ndim, 1):
            raise RuntimeError(
                "Index tensor must have the same number of dimensions as self tensor\n"
                f"  {name}: index {tuple(index._array.shape)}, self {tuple(input._array.shape)}"
            )
        if src is not None and max(index._array.ndim, 1) != max(src._array.ndim, 1):
            raise RuntimeError(
                "Index tensor must have the same number of dimensions as src tensor\n"
                f"  {name}: index {tuple(index._array.shape)}, src {tuple(src._array.shape)}"
            )
        n, m = index._array.shape, input._array.shape
        k = n if src is None else src._array.shape
        if any(a > b for i, (a, b) in enumerate(zip(n, m)) if i != d) or any(
            a > b for a, b in zip(n, k)
        ):
            bound = "" if src is None else f" and to be no larger size than src {list(k)}"
            raise RuntimeError(
                f"Expected index {list(n)} to be no larger than self {list(m)} apart from "
                f"dimension {d}{bound}"
            )
    if src is not None and src._array.dtype != input._array.dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype")
    return d, index


_LEGACY = {"add": "sum", "multiply": "prod"}


def _scatter_call(
    run: Callable[..., Value],
    name: str,
    self: Value,
    dim: int,
    index: Value,
    src: Value | float | None,
    value: float | None,
    reduce: str | None,
) -> Value:
    source = value if src is None else src
    if source is None:
        raise TypeError(f"{name}() missing an argument: 'src' or 'value'")
    is_tensor = isinstance(source, Value)
    d, index = _scatter_arguments(name, self, dim, index, source if is_tensor else None)
    if reduce is not None:
        if reduce not in _LEGACY:
            raise RuntimeError("reduce argument must be either add or multiply.")
        if not is_tensor:
            source = constant(np.broadcast_to(filling(source, self), index._array.shape))
        return run(_scatter_legacy, d, index, source, _LEGACY[reduce], True)
    if is_tensor:
        return run(scatter_src, d, index, source)
    return run(scatter_value, d, index, constant(filling(source, self)))


def _into_copy(input: Value) -> Callable[..., Value]:
    return lambda record, *args: record(fresh(input), *args)


def _into(self: Value, name: str) -> Callable[..., Value]:
    return lambda record, *args: overwrite(self, record, name, *args)


@accepts_out
def scatter(
    input: Value,
    dim: int,
    index: Value,
    src: Value | float | None = None,
    *,
    value: float | None = None,
    reduce: str | None = None,
) -> Value:
    """A copy of ``input`` with ``out[index[i, j], j] = src[i, j]`` for dim 0, and so on.

    ``src``: a tensor at least as large as ``index``, or a number; ``reduce``: "add" or "multiply".
    """
    return _scatter_call(_into_copy(input), "scatter", input, dim, index, src, value, reduce)


def scatter_(
    self: Value,
    dim: int,
    index: Value,
    src: Value | float | None = None,
    *,
    value: float | None = None,
    reduce: str | None = None,
) -> Value:
    """``scatter`` into this tensor."""
    return _scatter_call(_into(self, "scatter_"), "scatter_", self, dim, index, src, value, reduce)


@accepts_out
def scatter_add(input: Value, dim: int, index: Value, src: Value) -> Value:
    """A copy of ``input`` with ``src[i, j]`` added at ``[index[i, j], j]`` for dim 0, and so on."""
    check_tensor("scatter_add", src, "src")
    d, index = _scatter_arguments("scatter_add", input, dim, index, src)
    return scatter_add_op(fresh(input), d, index, src)


def scatter_add_(self: Value, dim: int, index: Value, src: Value) -> Value:
    """``scatter_add`` into this tensor."""
    check_tensor("scatter_add_", src, "src")
    d, index = _scatter_arguments("scatter_add_", self, dim, index, src)
    return overwrite(self, scatter_add_op, "scatter_add_", d, index, src)


# ---- reductions ----------------------------------------------------------------------------

_UFUNC = {"prod": np.multiply, "amax": np.maximum, "amin": np.minimum}


def _identity(reduce: str, kind: np.dtype) -> object:
    if reduce in ("sum", "mean"):
        return 0
    if reduce == "prod":
        return 1
    if kind.kind == "b":
        return reduce == "amin"
    if kind.kind in "iu":
        return np.iinfo(kind).min if reduce == "amax" else np.iinfo(kind).max
    return -np.inf if reduce == "amax" else np.inf


def _reduced(
    x: ndarray, dim: int, index: ndarray, src: ndarray, reduce: str, include_self: bool
) -> ndarray:
    own = x.dtype
    if not index.size:
        return x.copy()
    small = own.itemsize == 2 and own.kind not in "iu"
    work = x.astype(np.float32 if small else own, order="C")  # a copy
    flat = work.reshape(-1)
    places, values = _places(x, dim, index), _values(src, index).astype(work.dtype, copy=False)
    if not include_self:
        flat[places] = _identity(reduce, flat.dtype)
    if reduce in ("sum", "mean"):
        add_flat(flat, places, values)
        if reduce == "mean":
            counts = np.bincount(places, minlength=flat.size)
            counts = np.maximum(counts + include_self, 1).astype(flat.real.dtype)
            flat[...] = flat // counts if own.kind in "iu" else flat / counts
    else:
        _UFUNC[reduce].at(flat, places, values)
    return work.astype(own, copy=False)


def _cut_value(src: Value, shape: tuple[int, ...]) -> Value:
    if src._array.shape == shape or not shape:
        return src
    return src[tuple([slice(n) for n in shape])]


def _reduce_vjp(
    g: Value,
    y: Value,
    x: Value,
    dim: int,
    index: Value,
    src: Value,
    reduce: str,
    include_self: bool,
    needs: tuple[bool, ...],
) -> tuple[Value, None, Value]:
    """Gradients to the tensor and to the source, places of ``index`` seen as in ``scatter``.

    sum: g. mean: g / count. amax, amin: g shared equally by the elements that are the result.
    prod: g times the product of the other factors.
    """
    if not index._array.size:
        return g, None, src.new_zeros(src._array.shape)
    source = _cut_value(src, index._array.shape)
    if reduce == "sum":
        to_x = g
        to_source = g.gather(dim, index)
    elif reduce == "mean":
        start = g.new_ones(x._array.shape) if include_self else g.new_zeros(x._array.shape)
        counts = start.scatter_add(dim, index, g.new_ones(index._array.shape)).clamp_min(1)
        to_x = g / counts
        to_source = to_x.gather(dim, index)
    elif reduce == "prod":
        by_x, by_source = _other_factors(x, dim, index, source, include_self)
        to_x = g * by_x
        to_source = g.gather(dim, index) * by_source
    else:
        hit_x = (x == y).to(g.dtype)
        if not include_self:
            hit_x = hit_x.scatter(dim, index, 0)
        hit_source = (source == y.gather(dim, index)).to(g.dtype)
        share = g / hit_x.scatter_add(dim, index, hit_source).clamp_min(1)
        to_x = share * hit_x if include_self else g
        to_source = share.gather(dim, index) * hit_source
    if not include_self:
        to_x = to_x.scatter(dim, index, 0)
    shape = src._array.shape
    if needs[-1] and to_source._array.shape != shape:
        to_source = placed(to_source, shape, tuple([slice(n) for n in index._array.shape]))
    return to_x, None, to_source


def _other_factors(
    x: Value, dim: int, index: Value, source: Value, include_self: bool
) -> tuple[Value, Value]:
    """For every factor of the products, the product of the others: zeros make division no way."""
    zero_x, zero_source = x == 0, source == 0
    zeros = zero_x.to(x.dtype) if include_self else x.new_zeros(x._array.shape)
    zeros = zeros.scatter_add(dim, index, zero_source.to(x.dtype))
    some_x, some_source = x.masked_fill(zero_x, 1), source.masked_fill(zero_source, 1)
    rest = some_x.scatter_reduce(dim, index, some_source, "prod", include_self=include_self)
    counted = zeros.gather(dim, index)
    by_x = rest / some_x * (zeros == zero_x.to(x.dtype))
    by_source = rest.gather(dim, index) / some_source * (counted == zero_source.to(x.dtype))
    return by_x, by_source


scatter_reduce_op = define("scatter_reduce", _reduced, _reduce_vjp)
index_reduce_op = define("index_reduce", _reduced, _reduce_vjp)


def _scatter_reduced(
    x: ndarray, dim: int, index: ndarray, src: ndarray, reduce: str, include_self: bool
) -> ndarray:
    x[...] = _reduced(x, dim, index, src, reduce, include_self)
    return x


_scatter_legacy = define("scatter", _scatter_reduced)


@accepts_out
def scatter_reduce(
    input: Value, dim: int, index: Value, src: Value, reduce: str, *, include_self: bool = True
) -> Value:
    """A copy of ``input`` in which the elements of ``src`` that ``index`` sends to one place are
    reduced there: "sum", "prod", "mean", "amax" or "amin", with what was there or without."""
    check_tensor("scatter_reduce", src, "src")
    reduce = {"max": "amax", "min": "amin"}.get(reduce, reduce)
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(
            "reduce argument must be either sum, prod, mean, amax or amin, got " + str(reduce)
        )
    d, index = _scatter_arguments("scatter_reduce", input, dim, index, src)
    return scatter_reduce_op(input, d, index, src, reduce, include_self)


scatter_reduce_ = inplace(scatter_reduce)


# ---- whole slices --------------------------------------------------------------------------


def _rows(x: ndarray, dim: int) -> ndarray:
    return np.moveaxis(x, dim, 0) if dim and x.ndim else x


_OUT_OF_RANGE = "index out of range in self"


def _index_add(x: ndarray, dim: int, index: ndarray, source: ndarray, alpha: object) -> ndarray:
    if alpha != 1:
        source = source * np.asarray(alpha).astype(source.dtype)
    if not x.ndim:
        x += source.sum().astype(x.dtype)
        return x
    how = (IndexError, _OUT_OF_RANGE) if x.ndim == 1 else ()  # PyTorch, too, tells vectors apart
    checked_places("index_add", x.shape, dim, index, *how)
    add_rows(_rows(x, dim), index.reshape(-1), _rows(source, dim))
    return x


def _index_copy(x: ndarray, dim: int, index: ndarray, source: ndarray) -> ndarray:
    if not x.ndim:
        x[...] = source.reshape(-1)[-1] if source.size else x
        return x
    checked_places("index_copy", x.shape, dim, index, IndexError)
    _rows(x, dim)[index.reshape(-1)] = _rows(source, dim)
    return x


def _index_fill(x: ndarray, dim: int, index: ndarray, value: ndarray) -> ndarray:
    check_bounds([index], (0,), (x.shape[dim] if x.ndim else 1,))
    if x.ndim:
        _rows(x, dim)[index.reshape(-1)] = value
    elif index.size:
        x[...] = value
    return x


def _selected(g: Value, dim: int, index: Value, source_shape: tuple) -> Value:
    if not g._array.ndim:
        return g.expand(source_shape)
    got = g.index_select(dim, index)
    return got if got._array.shape == source_shape else got.reshape(source_shape)


def _filled(g: Value, dim: int, index: Value) -> Value:
    return index_fill_op(fresh(g), dim, index, g.new_zeros(()))


def _added(g: Value, dim: int, index: Value, source_shape: tuple, alpha: object) -> Value:
    got = _selected(g, dim, index, source_shape)
    return got if alpha == 1 else got * alpha


def _fill_total(g: Value, dim: int, index: Value) -> Value:
    return g.index_select(dim, index.unique()).sum()


index_add_op = define("index_add", _index_add, {"x": lambda g: g, "source": _added})
index_copy_op = define("index_copy", _index_copy, {"x": _filled, "source": _selected})
index_fill_op = define(
    "index_fill",
    _index_fill,
    {"x": _filled, "value": _fill_total},
)


def _slices(name: str, self: Value, dim: int, index: Value, source: Value) -> int:
    """The dimension, after the checks that index_add and index_reduce share."""
    check_tensor(name, source, "source")
    check_index(name, index)
    d = dimension(name, dim, self._array.ndim)
    a, b = self._array.shape, source._array.shape
    if index._array.ndim > 1:
        raise IndexError(
            f"{name}(): Index is supposed to be a vector, but got dim: {index._array.ndim} with "
            f"type: {index.dtype.legacy_name} and size: {list(index._array.shape)}"
        )
    if self._array.dtype != source._array.dtype:
        raise RuntimeError(
            f"{name}(): self ({self.dtype.legacy_name}) and source ({source.dtype.legacy_name}) "
            "must have the same scalar type"
        )
    n, m = index._array.size, b[d] if d < len(b) else 1
    if n != m:
        raise RuntimeError(
            f"{name}(): Number of indices ({n}) should be equal to source.size(dim): ({m}), for "
            f"dim: {d}"
        )
    if len(a) > 1 or len(b) > 1:
        if len(a) != len(b) or (a[:d] + a[d + 1 :]) != (b[:d] + b[d + 1 :]):
            raise RuntimeError(
                "source tensor shape must match self tensor shape, excluding the specified "
                f"dimension. Got self.shape = {list(a)} source.shape = {list(b)}"
            )
    return d


def _copied_slices(name: str, self: Value, dim: int, index: Value, source: Value) -> int:
    """The dimension, after the checks of index_copy."""
    check_tensor(name, source, "source")
    check_tensor(name, index, "index")
    d = dimension(name, dim, self._array.ndim)
    a, b = self._array.shape, source._array.shape
    if index._array.ndim > 1:
        raise IndexError(f"{name}(): Index should have dimension 1 or 0 (got {index._array.ndim})")
    n, m = index._array.size, b[d] if d < len(b) else 1
    if a and b and len(a) != len(b):
        raise IndexError(
            f"{name}(): When source and destination are not scalars, their dimensionality must "
            f"match. Source dimensionality ({len(b)}), destination dimensionality ({len(a)})"
        )
    if n != m:
        raise IndexError(
            f"{name}(): Number of indices ({n}) should be equal to source.size(dim) ({m})"
        )
    if index._array.dtype != INT64:
        raise RuntimeError(
            f"{name}(): Expected a long tensor for index, but got {index.dtype.legacy_name}"
        )
    if self._array.dtype != source._array.dtype:
        raise RuntimeError(
            f"{name}(): self and source expected to have the same dtype, but got (self) "
            f"{self.dtype.legacy_name} and (source) {source.dtype.legacy_name}"
        )
    own, other = a[:d] + a[d + 1 :], b[:d] + b[d + 1 :]
    if a and b and own != other:
        raise RuntimeError(
            f"{name}(): Source/destination tensor must have same slice shapes. Destination slice "
            f"shape: {list(own)} at dimension {d} and source slice shape: {list(other)}"
        )
    return d


@accepts_out
def index_add(input: Value, dim: int, index: Value, source: Value, *, alpha: float = 1) -> Value:
    """A copy of ``input`` with slice i of ``alpha * source`` added to its slice ``index[i]``."""
    d = _slices("index_add", input, dim, index, source)
    return index_add_op(fresh(input), d, index, source, alpha)


def index_add_(self: Value, dim: int, index: Value, source: Value, *, alpha: float = 1) -> Value:
    """``index_add`` into this tensor."""
    d = _slices("index_add_", self, dim, index, source)
    return overwrite(self, index_add_op, "index_add_", d, index, source, alpha)


@accepts_out
def index_copy(input: Value, dim: int, index: Value, source: Value) -> Value:
    """A copy of ``input`` with slice ``index[i]`` replaced by slice i of ``source``."""
    d = _copied_slices("index_copy", input, dim, index, source)
    return index_copy_op(fresh(input), d, index, source)


def index_copy_(self: Value, dim: int, index: Value, source: Value) -> Value:
    """``index_copy`` into this tensor."""
    d = _copied_slices("index_copy_", self, dim, index, source)
    return overwrite(self, index_copy_op, "index_copy_", d, index, source)


def _fill_value(name: str, self: Value, dim: int, index: Value, value: object) -> tuple[int, Value]:
    check_tensor(name, index, "index")
    d = dimension(name, dim, self._array.ndim)
    if index._array.dtype not in (INT64, INT32):
        raise IndexError(f"{name}(): Expected dtype int64 for index.")
    if index._array.ndim > 1:
        raise RuntimeError("Index has to be a vector/scalar")
    if isinstance(value, Value):
        if value._array.ndim:
            raise RuntimeError(
                f"{name}() only supports a 0-dimensional value tensor, but got tensor with "
                f"{value._array.ndim} dimension(s)."
            )
        return d, value.to(self.dtype)
    if isinstance(value, complex) and not self.dtype.is_complex:
        raise RuntimeError(
            f"{name}(): Converting complex Scalar to non-complex type is not supported"
        )
    return d, constant(filling(value, self))


def index_fill(input: Value, dim: int, index: Value, value: float | Value) -> Value:
    """A copy of ``input`` with its slices ``index`` filled with ``value``."""
    d, value = _fill_value("index_fill", input, dim, index, value)
    return index_fill_op(fresh(input), d, index, value)


def index_fill_(self: Value, dim: int, index: Value, value: float | Value) -> Value:
    """``index_fill`` into this tensor."""
    d, value = _fill_value("index_fill_", self, dim, index, value)
    return overwrite(self, index_fill_op, "index_fill_", d, index, value)


@accepts_out
def index_reduce(
    input: Value, dim: int, index: Value, source: Value, reduce: str, *, include_self: bool = True
) -> Value:
    """A copy of ``input`` with the slices of ``source`` reduced into its slices ``index``.

    ``reduce``: "prod", "mean", "amax" or "amin".
    """
    d = _slices("index_reduce", input, dim, index, source)
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(
            f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin, got {reduce}."
        )
    shape = source._array.shape
    if hook.active is None:
        at = (input._array.shape, d, index._array)
        checked_places("index_reduce", *at, IndexError, _OUT_OF_RANGE)
    places = index.reshape([-1 if i == d else 1 for i in range(len(shape))]).expand(shape)
    return index_reduce_op(input, d, places, source, reduce, include_self)


index_reduce_ = inplace(index_reduce)


# ---- places in the flattened tensor, masks -------------------------------------------------


def _put(x: ndarray, index: ndarray, source: ndarray, accumulate: bool) -> ndarray:
    if not index.size:
        return x
    check_range(index, x.size)
    flat = _flat(x)
    places = index.reshape(-1)
    if accumulate:
        add_flat(flat, np.where(places < 0, places + x.size, places), source.reshape(-1))
    else:
        flat[places] = source.reshape(-1)
    return _give_back(x, flat)


put_op = define(
    "put",
    _put,
    {
        "x": lambda g, index, accumulate: (
            g if accumulate else put_op(fresh(g), index, g.new_zeros(index._array.shape), False)
        ),
        "source": lambda g, index, source_shape: g.take(index).reshape(source_shape),
    },
)


def _check_put(name: str, self: Value, index: Value, source: Value) -> None:
    check_tensor(name, source, "source")
    check_tensor(name, index, "index")
    if index._array.dtype != INT64:
        raise RuntimeError(
            f"{name}(): Expected a long tensor for index, but got {index.dtype.legacy_name}"
        )
    if source._array.dtype != self._array.dtype:
        raise RuntimeError(
            f"{name}(): self and source expected to have the same dtype, but got self.dtype = "
            f"{self.dtype.legacy_name} and source.dtype = {source.dtype.legacy_name}"
        )
    if source._array.size != index._array.size:
        raise IndexError(
            f"{name}(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {source._array.size}, index.numel() = {index._array.size}"
        )
    if not self._array.size and index._array.size:
        raise IndexError(f"{name}(): Tried to put elements into an empty tensor")


def put(input: Value, index: Value, source: Value, accumulate: bool = False) -> Value:
    """A copy of ``input`` with ``source`` at the places ``index`` of the flattened tensor."""
    _check_put("put", input, index, source)
    return put_op(fresh(input), index, source, accumulate)


def put_(self: Value, index: Value, source: Value, accumulate: bool = False) -> Value:
    """``put`` into this tensor."""
    _check_put("put_", self, index, source)
    return overwrite(self, put_op, "put_", index, source, accumulate)


def _masked_scatter(x: ndarray, mask: ndarray, source: ndarray) -> ndarray:
    where = np.broadcast_to(mask, x.shape)
    count = int(np.count_nonzero(where))
    if count > source.size:
        raise RuntimeError(
            "Number of elements of source < number of ones in mask\n"
            f"  masked_scatter: {source.size} < {count}"
        )
    x[where] = source.reshape(-1)[:count]
    return x


def _masked_source(g: Value, x_shape: tuple, mask: Value, source_shape: tuple) -> Value:
    got = g.masked_select(mask.expand(x_shape))
    n = got._array.size
    count = 1
    for size in source_shape:
        count *= size
    return placed(got, (count,), (slice(n),)).reshape(source_shape)


masked_scatter_op = define(
    "masked_scatter",
    _masked_scatter,
    {"x": lambda g, mask: g.masked_fill(mask, 0), "source": _masked_source},
)


def _check_masked(name: str, self: Value, mask: Value, source: Value) -> None:
    check_mask(name, mask)
    check_tensor(name, source, "source")
    if source._array.dtype != self._array.dtype:
        raise RuntimeError(
            f"{name}: expected self and source to have same dtypes but got "
            f"{self.dtype.legacy_name} and {source.dtype.legacy_name}"
        )


def masked_scatter(input: Value, mask: Value, source: Value) -> Value:
    """A copy of ``input`` (stretched to the shape of ``mask``) with the elements of ``source``, in
    order, where ``mask`` is true."""
    _check_masked("masked_scatter", input, mask, source)
    shape = broadcast(input._array.shape, mask._array.shape)
    return masked_scatter_op(fresh(input.expand(shape)), mask, source)


def masked_scatter_(self: Value, mask: Value, source: Value) -> Value:
    """``masked_scatter`` into this tensor."""
    _check_masked("masked_scatter_", self, mask, source)
    if broadcast(self._array.shape, mask._array.shape) != self._array.shape:
        raise RuntimeError(
            f"masked_scatter_: a mask of shape {list(mask._array.shape)} does not stretch to the "
            f"tensor's {list(self._array.shape)}"
        )
    return overwrite(self, masked_scatter_op, "masked_scatter_", mask, source)


# ---- pieces --------------------------------------------------------------------------------


def _with_piece(x: ndarray, src: ndarray, index: tuple) -> ndarray:
    out = x.copy(order="K")
    out[index] = src
    return out


def _without_piece(g: Value, index: tuple) -> Value:
    return select_scatter_op(g, g.new_zeros(()), index)


_PIECE = {"x": _without_piece, "src": lambda g, src_shape, index: g[index].sum_to_size(src_shape)}
select_scatter_op = define("select_scatter", _with_piece, _PIECE)
slice_scatter_op = define("slice_scatter", _with_piece, _PIECE)


def _check_piece(src: Value, shape: tuple[int, ...]) -> None:
    if src._array.shape != shape:
        raise RuntimeError(
            "expected src to have a size equal to the slice of self. src size = "
            f"{list(src._array.shape)}, slice size = {list(shape)}"
        )


@accepts_out
def select_scatter(input: Value, src: Value, dim: int, index: int) -> Value:
    """A copy of ``input`` with slice ``index`` of dimension ``dim`` replaced by ``src``."""
    shape = input._array.shape
    if not shape:
        raise RuntimeError("select_scatter() cannot be applied to a 0-dim tensor.")
    d = dimension("select_scatter", dim, len(shape))
    if not -shape[d] <= index < shape[d]:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(shape)} at dimension "
            f"{d}"
        )
    _check_piece(src, shape[:d] + shape[d + 1 :])
    return select_scatter_op(input, convert(src, input.dtype), (slice(None),) * d + (index,))


@accepts_out
def slice_scatter(
    input: Value,
    src: Value,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Value:
    """A copy of ``input`` with ``[start:end:step]`` of dimension ``dim`` replaced by ``src``."""
    shape = input._array.shape
    d = dimension("slice_scatter", dim, len(shape))
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    piece = slice(start, end, step)
    n = len(range(*piece.indices(shape[d])))
    _check_piece(src, (*shape[:d], n, *shape[d + 1 :]))
    return slice_scatter_op(input, convert(src, input.dtype), (slice(None),) * d + (piece,))


def _with_diagonal(x: ndarray, src: ndarray, offset: int, i: int, j: int) -> ndarray:
    out = x.copy(order="K")
    diagonal_of(out, offset, i, j)[...] = src
    return out


diagonal_scatter_op = define(
    "diagonal_scatter",
    _with_diagonal,
    {
        "x": lambda g, src_shape, offset, i, j: diagonal_scatter_op(
            g, g.new_zeros(src_shape), offset, i, j
        ),
        "src": lambda g, offset, i, j: g.diagonal(offset, i, j),
    },
)


@accepts_out
def diagonal_scatter(
    input: Value, src: Value, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Value:
    """A copy of ``input`` with the diagonal of ``dim1`` and ``dim2`` replaced by ``src``."""
    n = input._array.ndim
    i, j = wrap_dim(dim1, n), wrap_dim(dim2, n)
    if i == j:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    _check_piece(src, diagonal_of(input._array, offset, i, j).shape)
    return diagonal_scatter_op(input, src, offset, i, j)


__all__ = [
    "diagonal_scatter", "index_add", "index_copy", "index_fill", "index_reduce", "masked_scatter",
    "put", "scatter", "scatter_add", "scatter_reduce", "select_scatter", "slice_scatter",
]  # fmt: skip
