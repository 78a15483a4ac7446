"""Reductions: sums, means, products and what is built on them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .. import _dtypes
from .._shapes import wrap_dim, wrap_dims
from ..core.modes import hook, state
from ..core.op import define
from ..core.tape import Anomaly, Node, note_line
from ..core.value import Value, new, ticks, wrap
from ._reduce import (
    SHORT,
    add,
    cast_down,
    filled,
    kept_shape,
    large_sum,
    reduced_dims,
    reduction,
    restored,
    spread_parts,
    sum_op,
    sum_type,
    total,
)
from .joining import cat

if TYPE_CHECKING:
    from .._dtypes import dtype
    from ._reduce import Dims


from collections.abc import Callable
from typing import TYPE_CHECKING

from ..core import return_types, threads
from ..core.op import unsupported
from ._reduce import (
    at_index_vjp,
    one_line,
    real_values,
)

if TYPE_CHECKING:
    from ._reduce import Dims


# ---- sum and mean of all elements ----------------------------------------------------------

_PLAIN = frozenset((np.dtype(np.float32), np.dtype(np.float64)))


class WholeNode(Node):
    """The sum (``scale`` None) or mean of all elements: the graph's last node in most programs."""

    __slots__ = ("scale", "shape")

    def name(self) -> str:
        return "SumBackward0" if self.scale is None else "MeanBackward0"

    def backward(self, grad: Value) -> tuple[Value]:
        if state.grad or hook.active is not None:
            if self.scale is not None:
                grad = grad / self.scale
            return (restored(grad, (), False, self.shape, grad._array.dtype),)
        g = grad._array
        if self.scale is not None:
            g = np.true_divide(g, self.scale, dtype=g.dtype)
        return (wrap(filled(self.shape, g)),)


def _whole(x: Value, mean: bool) -> Value:
    """The sum or mean of a float32 or float64 tensor, as a 0-dim tensor."""
    a = x._array
    scale = float(a.size) if mean else None
    r = large_sum(a, None, False, mean) if a.size >= threads.LARGE else None
    if r is None:
        r = add(a, None) if a.size <= SHORT else total(a, tuple(range(a.ndim)), False, a.dtype)
        if mean:
            r = np.true_divide(r, scale, dtype=a.dtype) if a.size else a.dtype.type(math.nan)
    edge = x._edge
    if edge is None or not state.grad:
        return wrap(np.asarray(r))
    node = new(WholeNode)
    node.edges = (edge,)
    node.saved = None
    node.watch = None
    node.tick = ticks()
    node.shape = a.shape
    node.scale = scale
    if Anomaly.enabled:
        note_line(node)
    return wrap(np.asarray(r), node)


def _plain(x: Value, dim: Dims, keepdim: bool, mean: bool) -> Value | None:
    """The sum or mean of a float32 or float64 tensor without a record of its arguments, where none
    is needed; None elsewhere."""
    if dim is None and not keepdim:
        return _whole(x, mean)
    a = x._array
    if a.size < threads.LARGE or dim.__class__ is not int or (x._edge is not None and state.grad):
        return None
    r = large_sum(a, dim, keepdim, mean)
    return None if r is None else wrap(r)


# ---- sum -----------------------------------------------------------------------------------


@reduction
def sum(
    input: Value, dim: Dims = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Value:
    """The sum of all elements, or over the dimensions ``dim``.

    Integers and bools add up as int64 unless ``dtype`` says otherwise; float16 and bfloat16 are
    added in float32 and rounded once.
    """
    a = input._array
    if dtype is None and a.dtype in _PLAIN and hook.active is None:
        r = _plain(input, dim, keepdim, False)
        if r is not None:
            return r
    return sum_op(input, reduced_dims(dim, a.ndim), keepdim, sum_type(a, dtype))


def _to_size(a: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    lead = a.ndim - len(shape)
    dims = tuple([i for i, n in enumerate(a.shape) if i < lead or shape[i - lead] == 1 != n])
    return total(a, dims, False, sum_type(a, None)).reshape(shape)


sum_to_size_op = define(
    "sum_to_size",
    _to_size,
    {"a": lambda g, a_shape: g.expand(a_shape)},
    grad_name="SumBackward1",
)


def sum_to_size(self: Value, *size: int) -> Value:
    """The sum over the dimensions in which ``size`` is 1 or missing: what undoes ``expand``."""
    shape = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else size
    own = self._array.shape
    if own == shape and own:
        return self
    lead = len(own) - len(shape)
    if lead < 0 or [n for n, m in zip(own[lead:], shape) if m not in (n, 1)]:
        raise RuntimeError(
            f"size {{{list(shape)}}} is not expandable to size {{{list(own)}}}.\n"
            "  sum_to_size undoes a broadcast: sizes aligned at the right must be equal or 1"
        )
    return sum_to_size_op(self, shape)


# ---- mean ----------------------------------------------------------------------------------


def _mean(a: np.ndarray, dims: tuple[int, ...], keepdim: bool, dt: np.dtype) -> np.ndarray:
    n = math.prod([a.shape[d] for d in dims])
    work = np.dtype(np.float32) if dt.itemsize == 2 else dt
    r = total(a, dims, keepdim, work)
    r = np.true_divide(r, n, dtype=work)
    return r if work is dt else np.asarray(r).astype(dt)


def _mean_vjp(
    g: Value, dims: tuple[int, ...], keepdim: bool, a_shape: tuple[int, ...], a_dtype: np.dtype
) -> Value:
    n = math.prod([a_shape[d] for d in dims])
    return restored(g / n if n else g, dims, keepdim, a_shape, a_dtype)


mean_op = define("mean", _mean, {"a": _mean_vjp}, grad_name="MeanBackward1")


@reduction
def mean(
    input: Value, dim: Dims = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Value:
    """The mean of all elements, or over the dimensions ``dim``; nan for no elements.

    RuntimeError for integers and bools without ``dtype``.
    """
    a = input._array
    if dtype is None and a.dtype in _PLAIN and hook.active is None:
        r = _plain(input, dim, keepdim, True)
        if r is not None:
            return r
    d = input.dtype if dtype is None else dtype
    if d.category < _dtypes.FLOATING:
        which = "Input" if dtype is None else "Optional"
        raise RuntimeError(
            f"mean(): could not infer output dtype. {which} dtype must be either a floating point "
            f"or complex dtype. Got: {d.legacy_name}\n"
            "  give the result's: .mean(dtype=torch.float32), or convert: .float().mean()"
        )
    return mean_op(input, reduced_dims(dim, a.ndim), keepdim, d.numpy)


# ---- sums and means without nan ------------------------------------------------------------


def _nansum(a: np.ndarray, dims: tuple[int, ...], keepdim: bool, dt: np.dtype) -> np.ndarray:
    return total(np.where(a == a, a, a.dtype.type(0)), dims, keepdim, dt)


def _nansum_vjp(g: Value, a: Value, dims: tuple[int, ...], keepdim: bool) -> Value:
    a = a.detach()
    return restored(g, dims, keepdim, a._array.shape, a._array.dtype) * (a == a)


nansum_op = define("nansum", _nansum, {"a": _nansum_vjp})


@reduction
def nansum(
    input: Value, dim: Dims = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Value:
    """The sum, with nan counting as 0."""
    a = input._array
    if a.dtype.kind == "c":
        raise RuntimeError("nansum on CPU does not support complex inputs")
    if a.dtype.kind in "biu":
        return sum(input, dim, keepdim, dtype=dtype)
    dt = a.dtype if dtype is None else dtype.numpy
    return nansum_op(input, reduced_dims(dim, a.ndim), keepdim, dt)


@reduction
def nanmean(
    input: Value, dim: Dims = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Value:
    """The mean of the elements that are not nan."""
    if input.dtype.category < _dtypes.FLOATING:
        raise RuntimeError(
            "nanmean(): expected input to have floating point or complex dtype but got "
            f"{input.dtype.legacy_name}"
        )
    present = input == input
    return nansum(input, dim, keepdim, dtype=dtype) / sum(present, dim, keepdim)


# ---- prod ----------------------------------------------------------------------------------


def _prod(a: np.ndarray, dim: int | None, keepdim: bool, dt: np.dtype) -> np.ndarray:
    work = np.dtype(np.float32) if dt.itemsize == 2 and dt.kind not in "iu" else dt
    a = cast_down(a, work)
    dims = None if dim is None else (dim,) if a.ndim else ()
    r = np.multiply.reduce(a, dims, work, keepdims=keepdim)
    return r if work is dt else np.asarray(r).astype(dt)


def _others(x: Value, dim: int) -> Value:
    """For each element the product of all the others along ``dim``, without dividing."""
    n = x._array.shape[dim]
    if not x._array.size:
        return x
    one = x.new_ones([1 if d == dim else m for d, m in enumerate(x._array.shape)])
    left = cat((one, x.narrow(dim, 0, n - 1)), dim).cumprod(dim)
    right = cat((one, x.flip(dim).narrow(dim, 0, n - 1)), dim).cumprod(dim).flip(dim)
    return left * right


def _prod_vjp(
    g: Value, a: Value, y: Value, dim: int | None, keepdim: bool, a_dtype: np.dtype
) -> Value:
    x = a.to(g.dtype)
    if not x.dim():
        return g.to(a.dtype)
    if hook.active is None and not (x._array == 0).any():
        dims = () if dim is None else (dim,)
        shape = kept_shape(x._array.shape, dims) if dims else (1,) * x.dim()
        return ((g * y.conj()).reshape(shape) / x.conj()).to(a.dtype)
    if dim is None:
        others = _others(x.reshape(-1), 0).reshape(x._array.shape)
    else:
        others = _others(x, dim)
        g = g if keepdim else g.unsqueeze(dim)
    return (g * others.conj()).to(a.dtype)


prod_op = define("prod", _prod, {"a": _prod_vjp}, grad_name="ProdBackward1")
prod_all_op = define("prod_all", _prod, {"a": _prod_vjp}, grad_name="ProdBackward0")


@reduction
def prod(
    input: Value, dim: int | None = None, keepdim: bool = False, *, dtype: dtype | None = None
) -> Value:
    """The product of all elements, or along ``dim``; of no elements, 1."""
    if hook.active is not None:
        (input,) = hook.active.operands("prod", (input,))
    a = input._array
    dt = sum_type(a, dtype)
    if dim is None:
        return prod_all_op(input, None, False, dt)
    if not isinstance(dim, int):
        raise TypeError(
            f"prod() received an invalid combination of arguments - dim must be int, not "
            f"{type(dim).__name__}; call it once per dimension"
        )
    return prod_op(input, wrap_dim(dim, a.ndim), keepdim, dt)


# ---- truth ---------------------------------------------------------------------------------


def _truth_record(name: str, ufunc: np.ufunc) -> Callable[..., Value]:
    def forward(x: np.ndarray, dims: tuple[int, ...] | None, keepdim: bool) -> np.ndarray:
        a = x if x.dtype.kind in "biufc" else x != 0
        r = np.asarray(ufunc.reduce(a, dims, np.bool_, keepdims=keepdim))
        return r.astype(np.uint8) if x.dtype == np.uint8 else r

    return define(name, forward)


all_op = _truth_record("all", np.logical_and)
any_op = _truth_record("any", np.logical_or)


def _truth(record: Callable[..., Value], input: Value, dim: Dims, keepdim: bool) -> Value:
    n = input._array.ndim
    if dim is None:
        dims = None
    elif isinstance(dim, int):
        dims = (wrap_dim(dim, n),) if n else ()
        if not n:
            wrap_dim(dim, 0)
    else:
        dims = wrap_dims(dim, n)
    return record(input, dims, keepdim)


@reduction
def all(input: Value, dim: Dims = None, keepdim: bool = False) -> Value:
    """Whether every element is true (not zero), or every one along ``dim``."""
    return _truth(all_op, input, dim, keepdim)


@reduction
def any(input: Value, dim: Dims = None, keepdim: bool = False) -> Value:
    """Whether some element is true (not zero), or some along ``dim``."""
    return _truth(any_op, input, dim, keepdim)


@reduction
def count_nonzero(input: Value, dim: Dims = None) -> Value:
    """The number of elements that are not zero."""
    a = input._array
    if hook.active is not None:
        return (input != 0).sum(dim)
    if dim is None:
        flat, counts = np.ascontiguousarray(a).reshape(-1), []
        spread_parts(lambda i, j: counts.append(np.count_nonzero(flat[i:j])), a.size, a.size)
        return wrap(np.array(math.fsum(counts), np.int64))
    return wrap(np.asarray(add(a != 0, reduced_dims(dim, a.ndim), np.int64)))


# ---- trace ---------------------------------------------------------------------------------


def _trace(x: np.ndarray) -> np.ndarray:
    return total(x.diagonal(), (0,), False, sum_type(x, None))


def _trace_backward(grad: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    full = np.zeros(shape, grad.dtype)
    np.fill_diagonal(full, grad)
    if shape[0] > shape[1]:
        full[shape[1] :] = 0
    return full


trace_op = define("trace", _trace, {"x": lambda g, x_shape: trace_backward(g, x_shape)})
trace_backward = define("trace_backward", _trace_backward, {"grad": lambda g: trace_op(g)})


@reduction
def trace(input: Value) -> Value:
    """The sum of the diagonal of a matrix."""
    if input._array.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input._array.ndim}")
    return trace_op(input)


# ---- logsumexp -----------------------------------------------------------------------------


def _logsumexp(a: np.ndarray, dims: tuple[int, ...], keepdim: bool) -> np.ndarray:
    x = a.astype(np.float32) if a.dtype.itemsize == 2 else a
    top = np.maximum.reduce(x.real, dims, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, top.dtype.type(0))
    r = np.log(total(np.exp(x - top), dims, True, x.dtype)) + top
    if not keepdim:
        r = r.reshape([n for i, n in enumerate(a.shape) if i not in dims])
    return r.astype(a.dtype, copy=False)


def _logsumexp_vjp(g: Value, a: Value, y: Value, dims: tuple[int, ...], keepdim: bool) -> Value:
    shape = kept_shape(a._array.shape, dims)
    return g.reshape(shape) * (a - y.reshape(shape)).exp().conj()


logsumexp_op = define("logsumexp", _logsumexp, {"a": _logsumexp_vjp})


@reduction
def logsumexp(input: Value, dim: Dims, keepdim: bool = False) -> Value:
    """``log(sum(exp(input)))`` over the dimensions ``dim``, without overflow."""
    if input.dtype.category < _dtypes.FLOATING:
        input = input.to(_dtypes.get_default_dtype())
    return logsumexp_op(input, reduced_dims(dim, input._array.ndim), keepdim)


# ---- values alone --------------------------------------------------------------------------


ARGMAX, ARGMIN = np.ndarray.argmax, np.ndarray.argmin  # without NumPy's dispatch


def spread_evenly(g: Value, x: Value, y: Value, dims: tuple[int, ...], keepdim: bool) -> Value:
    """The gradient of a largest or smallest value: the same for every element that equals it."""
    shape = kept_shape(x._array.shape, dims)
    best = y.detach().reshape(shape)
    x = x.detach()
    mask = (x == best) | ((x != x) & (best != best))
    share = mask.to(g.dtype)
    return g.reshape(shape) * (share / share.sum(dims, True) if dims else share)


def _reduced(ufunc: np.ufunc, x: np.ndarray, dims: tuple[int, ...], keepdim: bool) -> np.ndarray:
    """``ufunc.reduce`` over ``dims``, on all threads where the first dimension of a large array
    stays, or where none does."""
    if x.dtype.itemsize == 2 and x.dtype.kind not in "iu":
        return np.asarray(_reduced(ufunc, real_values(x), dims, keepdim)).astype(x.dtype)
    if x.size < threads.LARGE or not x.flags.c_contiguous or (0 in dims and len(dims) < x.ndim):
        return ufunc.reduce(x, dims, None, None, keepdim)
    if 0 not in dims:
        r = _rows_reduced(ufunc, x, dims)
        return r.reshape(kept_shape(x.shape, dims)) if keepdim else r
    flat, parts = x.reshape(-1), []
    threads.run_parts(lambda i, j: parts.append(ufunc.reduce(flat[i:j])), flat.size)
    return np.asarray(ufunc.reduce(parts), x.dtype).reshape((1,) * x.ndim if keepdim else ())


def _rows_reduced(ufunc: np.ufunc, x: np.ndarray, dims: tuple[int, ...]) -> np.ndarray:
    """``ufunc.reduce`` over ``dims``, of which the first dimension is none."""
    r = np.empty([n for d, n in enumerate(x.shape) if d not in dims], x.dtype)
    threads.run_parts(lambda i, j: ufunc.reduce(x[i:j], dims, None, r[i:j]), len(x))
    return r


def _extreme(name: str, ufunc: np.ufunc, grad_name: str | None = None) -> Callable[..., Value]:
    def forward(x: np.ndarray, dims: tuple[int, ...], keepdim: bool) -> np.ndarray:
        return _reduced(ufunc, x, dims, keepdim)

    return define(name, forward, {"x": spread_evenly}, grad_name=grad_name)


amax_op = _extreme("amax", np.maximum)
amin_op = _extreme("amin", np.minimum)
max_all_op = _extreme("max_all", np.maximum, "MaxBackward1")
min_all_op = _extreme("min_all", np.minimum, "MinBackward1")


def check_not_empty(x: np.ndarray, dims: tuple[int, ...], name: str) -> None:
    """IndexError where a dimension to reduce has no elements."""
    if x.size:
        return
    for d in dims:
        if not x.shape[d]:
            raise IndexError(
                f"{name}(): Expected reduction dim {d} to have non-zero size.\n"
                f"  shape {x.shape}: there is no {name} of no elements"
            )


def _amax(input: Value, dim: Dims, keepdim: bool, op: Callable[..., Value]) -> Value:
    x = input._array
    name = op.__name__
    if x.dtype.kind == "c":
        raise unsupported(name, input.dtype)
    dims = reduced_dims(dim, x.ndim)
    if not x.size:
        if len(dims) == x.ndim and (dim is None or dim == () or dim == []):
            raise RuntimeError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
                "Specify the reduction dim with the 'dim' argument."
            )
        check_not_empty(x, dims, name)
    return op(input, dims, keepdim)


@reduction
def amax(input: Value, dim: Dims = (), keepdim: bool = False) -> Value:
    """The largest element over the dimensions ``dim``; its gradient is spread over equal ones."""
    return _amax(input, dim, keepdim, amax_op)


@reduction
def amin(input: Value, dim: Dims = (), keepdim: bool = False) -> Value:
    """The smallest element over the dimensions ``dim``; its gradient is spread over equal ones."""
    return _amax(input, dim, keepdim, amin_op)


# ---- values with their indices -------------------------------------------------------------


def found(find: Callable[..., np.ndarray], x: np.ndarray, dim: int) -> np.ndarray:
    """argmax or argmin along ``dim``, by columns laid out as rows where that pays."""
    x = real_values(one_line(x))
    if dim == x.ndim - 1:
        if x.size < threads.LARGE or x.ndim == 1:
            return find(x, dim)
        lines = np.ascontiguousarray(x).reshape(-1, x.shape[-1])
        index = np.empty(len(lines), np.int64)
        threads.run_parts(lambda i, j: find(lines[i:j], 1, index[i:j]), len(lines))
        return index.reshape(x.shape[:-1])
    if x.size < SHORT:
        return find(x, dim)
    outer, n, inner = math.prod(x.shape[:dim]), x.shape[dim], math.prod(x.shape[dim + 1 :])
    index = _found_in_columns(find, np.ascontiguousarray(x).reshape(outer, n, inner))
    return index.reshape(x.shape[:dim] + x.shape[dim + 1 :])


_ROWS = 64  # rows of which the best is found first


def _found_in_columns(find: Callable[..., np.ndarray], x: np.ndarray) -> np.ndarray:
    """``find`` along the second of three dimensions: first among blocks of rows, then in one."""
    n = x.shape[1]
    if n <= 2 * _ROWS:
        return find(np.ascontiguousarray(x.swapaxes(1, 2)), 2)
    whole = n - n % _ROWS
    blocks = x[:, :whole].reshape(x.shape[0], -1, _ROWS, x.shape[2])
    reduce = np.maximum.reduce if find is ARGMAX else np.minimum.reduce
    best = np.empty((x.shape[0], blocks.shape[1], x.shape[2]), x.dtype)
    spread_parts(
        lambda i, j: reduce(blocks[:, i:j], 2, None, best[:, i:j]), blocks.shape[1], x.size
    )
    chosen = _found_in_columns(find, best)[:, None]
    candidates = np.take_along_axis(blocks, chosen[:, None], 1)[:, 0]
    index = chosen[:, 0] * _ROWS + _found_in_columns(find, candidates)
    if whole < n:
        late = _found_in_columns(find, x[:, whole:])
        here = np.take_along_axis(x, index[:, None], 1)[:, 0]
        there = np.take_along_axis(x[:, whole:], late[:, None], 1)[:, 0]
        better = there > here if find is ARGMAX else there < here
        if x.dtype.kind == "f":
            better |= (there != there) & (here == here)
        index = np.where(better, late + whole, index)
    return index


def _extreme_at(
    name: str, find: Callable[..., np.ndarray], ufunc: np.ufunc
) -> Callable[..., tuple]:
    def forward(x: np.ndarray, dim: int, keepdim: bool) -> tuple[np.ndarray, np.ndarray]:
        index = found(find, x, dim)
        values = _reduced(ufunc, x, (dim,) if x.ndim else (), False)
        if keepdim or not x.ndim:
            shape = kept_shape(x.shape, (dim,))
            return np.asarray(values).reshape(shape), np.asarray(index).reshape(shape)
        return np.asarray(values), np.asarray(index)

    return define(name, forward, {"x": at_index_vjp})


max_at = _extreme_at("max", ARGMAX, np.maximum)
min_at = _extreme_at("min", ARGMIN, np.minimum)


def _max(
    input: Value,
    dim: int | Value | None,
    keepdim: bool,
    name: str,
    ops: tuple[Callable, Callable, type, Callable],
) -> Value | tuple[Value, Value]:
    whole, at, result, between = ops
    if isinstance(dim, Value):
        return between(input, dim)
    x = input._array
    if dim is None:
        if x.dtype.kind == "c":
            raise unsupported(name + "_all", input.dtype)
        if not x.size:
            raise RuntimeError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
                "Specify the reduction dim with the 'dim' argument."
            )
        return whole(input, tuple(range(x.ndim)), False)
    if x.dtype.kind == "c":
        raise RuntimeError(f"{name}(): does not support complex input")
    dim = wrap_dim(dim, x.ndim)
    check_not_empty(x, (dim,), name)
    return result(at(input, dim, keepdim))


def _maximum(a: Value, b: Value) -> Value:
    return a.maximum(b)


def _minimum(a: Value, b: Value) -> Value:
    return a.minimum(b)


@reduction
def max(
    input: Value,
    dim: int | Value | None = None,
    keepdim: bool = False,
    *,
    other: Value | None = None,
) -> Value | tuple[Value, Value]:
    """The largest element; with ``dim`` the tuple ``(values, indices)`` along it; with a second
    tensor the elementwise ``maximum`` of both."""
    ops = (max_all_op, max_at, return_types.max, _maximum)
    return _max(input, dim if other is None else other, keepdim, "max", ops)


@reduction
def min(
    input: Value,
    dim: int | Value | None = None,
    keepdim: bool = False,
    *,
    other: Value | None = None,
) -> Value | tuple[Value, Value]:
    """The smallest element; with ``dim`` the tuple ``(values, indices)`` along it; with a second
    tensor the elementwise ``minimum`` of both."""
    ops = (min_all_op, min_at, return_types.min, _minimum)
    return _max(input, dim if other is None else other, keepdim, "min", ops)


@reduction
def aminmax(input: Value, *, dim: int | None = None, keepdim: bool = False) -> tuple[Value, Value]:
    """The tuple ``(min, max)`` of all elements, or along ``dim``."""
    x = input._array
    if dim is None:
        if not x.size:
            raise RuntimeError(
                "aminmax(): cannot compute aminmax over an empty dimension as the operation has "
                "no identity."
            )
        dims: Dims = ()
    else:
        dims = wrap_dim(dim, x.ndim)
        check_not_empty(x, (dims,) if x.ndim else (), "aminmax")
    return return_types.aminmax((amin(input, dims, keepdim), amax(input, dims, keepdim)))


def _arg(
    find: Callable[..., np.ndarray], x: np.ndarray, dim: int | None, keepdim: bool
) -> np.ndarray:
    if dim is None:
        index = np.asarray(find(real_values(x)))
        return index.reshape((1,) * x.ndim) if keepdim else index
    index = np.asarray(found(find, x, dim))
    return index.reshape(
        kept_shape(x.shape, (dim,)) if keepdim else x.shape[:dim] + x.shape[dim + 1 :]
    )


def _argmax(x: np.ndarray, dim: int | None, keepdim: bool) -> np.ndarray:
    return _arg(ARGMAX, x, dim, keepdim)


def _argmin(x: np.ndarray, dim: int | None, keepdim: bool) -> np.ndarray:
    return _arg(ARGMIN, x, dim, keepdim)


argmax_op = define("argmax", _argmax)
argmin_op = define("argmin", _argmin)


def _check_arg(input: Value, dim: int | None, name: str) -> int | None:
    x = input._array
    if x.dtype.kind in "cb":
        kind = "bool" if x.dtype.kind == "b" else "complex"
        raise RuntimeError(f"{name}(): does not support {kind} input")
    if dim is not None:
        dim = wrap_dim(dim, x.ndim)
        check_not_empty(x, (dim,) if x.ndim else (), name)
    elif not x.size:
        raise IndexError(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
            "Specify the reduction dim with the 'dim' argument."
        )
    return dim


@reduction
def argmax(input: Value, dim: int | None = None, keepdim: bool = False) -> Value:
    """The index of the first largest element along ``dim``, or in the flattened tensor."""
    return argmax_op(input, _check_arg(input, dim, "argmax"), keepdim)


@reduction
def argmin(input: Value, dim: int | None = None, keepdim: bool = False) -> Value:
    """The index of the first smallest element along ``dim``, or in the flattened tensor."""
    return argmin_op(input, _check_arg(input, dim, "argmin"), keepdim)


__all__ = [
    "all",
    "amax",
    "amin",
    "aminmax",
    "any",
    "argmax",
    "argmin",
    "count_nonzero",
    "logsumexp",
    "max",
    "mean",
    "min",
    "nanmean",
    "nansum",
    "prod",
    "sum",
    "trace",
]
