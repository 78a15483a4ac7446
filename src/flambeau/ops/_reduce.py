"""What reductions share: arguments, sums that stay accurate, and the way back to full shape."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .. import _config, _dtypes
from .._dtypes import c_name, from_numpy
from .._errors import type_name
from .._shapes import wrap_dim, wrap_dims
from ..core import threads
from ..core.mutation import write_out
from ..core.op import define
from ..core.value import Value
from .memory import converted

if TYPE_CHECKING:
    from .._dtypes import dtype

Dims = int | tuple[int, ...] | list[int] | None

add = np.add.reduce
_NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim", "a": "input", "x": "input"}


# ---- arguments -----------------------------------------------------------------------------


def reduction(function: Callable) -> Callable:
    """``function`` with what PyTorch gives to every reduction: NumPy's names of the arguments
    (``axis``, ``keepdims``), ``out=``, and a TypeError for an input that is no tensor."""
    name = function.__name__

    @functools.wraps(function)
    def call(*args: object, **kwargs: object) -> object:
        if args and isinstance(args[0], Value):
            if not kwargs:
                return function(*args)
        elif args or not isinstance(kwargs.get("input"), Value):
            bad = args[0] if args else kwargs.get("input")
            raise TypeError(
                f"{name}(): argument 'input' (position 1) must be Tensor, not {type_name(bad)}"
            )
        out = kwargs.pop("out", None)
        for numpy_name in _NUMPY_NAMES.keys() & kwargs.keys():
            kwargs[_NUMPY_NAMES[numpy_name]] = kwargs.pop(numpy_name)
        if isinstance(kwargs.get("dtype"), type):  # Python's float, int, bool, complex
            kwargs["dtype"] = _dtypes.as_dtype(kwargs["dtype"])
        if out is None:
            return function(*args, **kwargs)
        return _into(out, function, args, kwargs, name)

    return call


# Where out= decides in which dtype to compute, and where a result is converted to that of out=.
_COMPUTED_AS_OUT = frozenset(("cumprod", "cumsum", "mean", "nansum", "prod", "sum"))
_CONVERTED = frozenset(("logsumexp", "std", "var"))


def _into(
    out: Value | Sequence[Value], function: Callable, args: tuple, kwargs: dict, name: str
) -> object:
    """The results of ``function`` written into ``out``."""
    if name in _COMPUTED_AS_OUT and kwargs.get("dtype") is None and isinstance(out, Value):
        d = out.dtype
        if name != "mean" or d.category >= _dtypes.FLOATING:
            kwargs["dtype"] = d
    result = function(*args, **kwargs)
    many = isinstance(result, tuple)
    if many and (not isinstance(out, (tuple, list)) or len(out) != len(result)):
        raise TypeError(f"{name}(): argument 'out' must be a tuple of {len(result)} Tensors")
    if name not in _COMPUTED_AS_OUT and name not in _CONVERTED:
        for o, r in zip(out, result) if many else ((out, result),):
            if isinstance(o, Value) and o.dtype is not r.dtype:
                raise RuntimeError(
                    f"Expected out tensor to have dtype {c_name(r.dtype)}, but got "
                    f"{c_name(o.dtype)} instead\n  {name} does not convert its result"
                )
    if many:
        return type(result)([write_out(o, r, name) for o, r in zip(out, result)])
    return write_out(out, result, name)


def reduced_dims(dim: Dims, ndim: int) -> tuple[int, ...]:
    """``dim`` as sorted dimensions counted from the front; None and () mean all of them."""
    if dim.__class__ is int:
        return (wrap_dim(dim, ndim),) if ndim else wrap_dims(dim, ndim)
    if dim is None or dim == () or dim == []:
        return tuple(range(ndim))
    return tuple(sorted(wrap_dims(dim, ndim)))


def real_values(a: np.ndarray) -> np.ndarray:
    """``a`` in a dtype that NumPy orders quickly: the 16-bit floats as float32, which is exact."""
    return a.astype(np.float32) if a.dtype.kind not in "biufc" or a.dtype == np.float16 else a


# ---- accurate sums -------------------------------------------------------------------------

_ACCUMULATE = {t.numpy: np.dtype(np.float32) for t in _dtypes.REDUCED}
_ACCUMULATE.update({t.numpy: np.dtype(np.int64) for t in _dtypes.ALL if t.category <= 1})
SHORT = 8192  # elements below which nothing special is done
_LONG = 1024  # terms that BLAS may add, and elements that are too few to cut up
_ROWS = 64  # rows that are added one after the other
_LINE = 1 << 13  # elements of a long line that are added at a time
_NARROW = 256  # columns below which several rows are laid side by side


_ONES = {np.dtype(t): np.ones(_LINE, t) for t in (np.float32, np.float64)}


def sum_type(a: np.ndarray, dtype: dtype | None) -> np.dtype:
    """The dtype of a sum or product: integers and bools become int64 unless ``dtype`` is given."""
    if dtype is not None:
        return dtype.numpy
    return a.dtype if a.dtype.kind not in "biu" else np.dtype(np.int64)


def cast_down(a: np.ndarray, work: np.dtype) -> np.ndarray:
    """``a`` converted first where ``work`` is of a lower kind: elements are cut, not their sum."""
    return a if np.can_cast(a.dtype, work, "same_kind") else converted(a, from_numpy(work))


def total(a: np.ndarray, dims: tuple[int, ...], keepdim: bool, dt: np.dtype) -> np.ndarray:
    """The sum of ``a`` over ``dims`` in dtype ``dt``, its rounding error that of pairwise addition.

    float16 and bfloat16 are added in float32.
    """
    work = _ACCUMULATE.get(dt, dt)
    if a.dtype is not work:
        a = cast_down(a, work)
    if a.size < _LONG or not dims or (a.size < threads.LARGE and _adds_well(a, dims)):
        r = add(a, dims, work, None, keepdim)
    elif a.ndim == 2 and dims == (0,) and len(a) <= 4 * _ROWS and a.dtype is work and work in _ONES:
        r = _ONES[work][: len(a)] @ a  # the gradient of a bias: one call of BLAS
        if keepdim:
            r = r[None]
    elif (
        a.dtype is work and work in _ONES and a.flags.c_contiguous and dims[0] == a.ndim - len(dims)
    ):
        r = large_sum(a, dims, keepdim) if a.size >= threads.LARGE else None
        if r is not None:
            return r if dt is work else r.astype(dt)
        kept = a.shape[: dims[0]]
        r = _rows_by_blas(a.reshape(math.prod(kept), -1) if a.ndim != 2 or not kept else a)
        r = r.reshape(kept + (1,) * len(dims) if keepdim else kept)
    else:
        r = _large_total(a, dims, work)
        if not keepdim:
            r = r.reshape([n for d, n in enumerate(a.shape) if d not in dims])
    return r if dt is work else np.asarray(r).astype(dt)


_MOST = 200  # sizes of sums whose kernels are kept ready
_kernels: dict[tuple, Callable[[np.ndarray], np.ndarray] | None] = {}


def large_sum(
    a: np.ndarray, dim: int | tuple[int, ...] | None, keepdim: bool, mean: bool = False
) -> np.ndarray | None:
    """The sum or mean of a large array over ``dim`` (None: everything) by a compiled kernel; None
    where there is none: they take float32 and float64 without gaps, and the last dimensions."""
    if not _config.compiled_kernels or not a.flags.c_contiguous:
        return None
    key = a.dtype, a.shape, dim, keepdim, mean
    kernel = _kernels.get(key, _unknown)
    if kernel is _unknown:
        if len(_kernels) >= _MOST:
            _kernels.clear()
        kernel = _kernels[key] = _sum_kernel(*key)
    return None if kernel is None else kernel(a)


def _unknown() -> None:
    """No kernel was looked for yet."""


def _sum_kernel(
    dtype: np.dtype, shape: tuple[int, ...], dim: Dims, keepdim: bool, mean: bool
) -> Callable[[np.ndarray], np.ndarray] | None:
    dims = reduced_dims(dim, len(shape))
    first = len(shape) - len(dims)
    routine = threads.routine("sums")
    if routine is None or dims != tuple(range(first, len(shape))):
        return None
    rows, n = math.prod(shape[:first]), math.prod(shape[first:])
    kept = shape[:first] + (1,) * len(dims) if keepdim else shape[:first]
    return routine(dtype, kept, rows, n, float(n) if mean else 1.0)


def _adds_well(a: np.ndarray, dims: tuple[int, ...]) -> bool:
    """Whether NumPy adds accurately by itself: pairwise along memory, or few rows."""
    if dims[0] == a.ndim - len(dims) and a.flags.c_contiguous:
        return True
    return a.shape[dims[0]] < 2 * _ROWS


def lines(
    a: np.ndarray, dims: tuple[int, ...]
) -> tuple[np.ndarray, list[tuple[int, int, int]], Callable[[np.ndarray], np.ndarray]]:
    """How to reduce ``dims``, one group of neighbours in memory after the other, the last first.

    Returns ``a`` in the order of its memory (a copy if it is not dense); for each group the sizes
    (before, reduced, behind) of the array that the groups before it have left; and the function
    that gives the last result the shape of ``a`` with ``dims`` as 1.
    """
    order = None
    if not a.flags.c_contiguous:
        order = sorted(range(a.ndim), key=lambda d: -abs(a.strides[d]))
        if a.transpose(order).flags.c_contiguous:
            a = a.transpose(order)
            dims = sorted([order.index(d) for d in dims])
        else:
            a, order = np.ascontiguousarray(a), None
    shape = list(a.shape)
    groups = []
    last = len(dims) - 1
    while last >= 0:
        first = last
        while first and dims[first - 1] == dims[first] - 1:
            first -= 1
        low, high = dims[first], dims[last] + 1
        groups.append((math.prod(shape[:low]), math.prod(shape[low:high]), math.prod(shape[high:])))
        shape[low:high] = [1] * (high - low)
        last = first - 1

    def restore(r: np.ndarray) -> np.ndarray:
        r = r.reshape(shape)
        return r if order is None else r.transpose(np.argsort(order))

    return a, groups, restore


def _large_total(a: np.ndarray, dims: tuple[int, ...], work: np.dtype) -> np.ndarray:
    """The sum over ``dims``, which stay with size 1, in lines and blocks on all threads."""
    a, groups, restore = lines(a, dims)
    for group in groups:
        a = _lines_total(a.reshape(group), work)
    return restore(a).astype(work, copy=False)


def _lines_total(a: np.ndarray, work: np.dtype) -> np.ndarray:
    """The sum of a contiguous array (outer, terms, inner) over ``terms``."""
    outer, terms, inner = a.shape
    if a.size < _LONG:
        return add(a, 1, work)
    by_blas = a.dtype is work and work.kind == "f"
    if inner == 1:
        rows = a.reshape(outer, terms)
        return _rows_by_blas(rows) if by_blas else _rows_total(rows, work)
    side = _NARROW // inner
    if side > 1 and terms >= side * 2:  # few columns: lay several rows side by side
        whole = terms - terms % side
        r = np.ascontiguousarray(a[:, :whole]).reshape(outer, whole // side, side * inner)
        r = add(_lines_total(r, work).reshape(outer, side, inner), 1, work)
        return r if whole == terms else r + add(a[:, whole:], 1, work)
    if by_blas:
        return _columns_by_blas(a)
    if terms <= 2 * _ROWS:
        return add(a, 1, work)
    blocks = -(-terms // _ROWS)
    partial = np.empty((outer, blocks, inner), work)

    def rows(start: int, stop: int) -> None:
        for i in range(start, stop):
            add(a[:, i * _ROWS : (i + 1) * _ROWS], 1, work, partial[:, i])

    spread_parts(rows, blocks, a.size)
    return _lines_total(partial, work)


def _rows_by_blas(a: np.ndarray) -> np.ndarray:
    """The sum of each row of a floating matrix: by a compiled kernel, or its product with ones,
    which BLAS does with vectors and threads, in pieces that keep the rounding error of pairwise
    addition."""
    outer, terms = a.shape
    if a.size >= threads.LARGE:
        compiled = large_sum(a, 1, False)
        if compiled is not None:
            return compiled
    ones = _ONES[a.dtype]
    if outer == 1 and terms >= _LINE:  # partial sums are many, and their errors average out
        whole = terms - terms % _LINE
        partial = a[0, :whole].reshape(-1, _LINE) @ ones
        return (add(partial, 0, np.float64, None, True) + add(a[0, whole:])).astype(a.dtype)
    if terms <= 2 * _LONG:
        return a @ ones[:terms]
    for parts in range(-(-terms // _LONG), terms // 256):
        if terms % parts == 0:  # equal parts: one product does it
            partial = a.reshape(outer * parts, -1) @ ones[: terms // parts]
            return add(partial.reshape(outer, parts), 1)
    whole = terms - terms % _LONG
    r = add(a[:, :whole].reshape(outer, -1, _LONG) @ ones[:_LONG], 1)
    return r if whole == terms else r + add(a[:, whole:], 1)


def _columns_by_blas(a: np.ndarray) -> np.ndarray:
    """The sum over ``terms`` of a floating array (outer, terms, inner), as ``_rows_by_blas``."""
    while True:
        outer, terms, inner = a.shape
        ones = _ONES[a.dtype][: 2 * _ROWS]
        if terms <= 2 * _ROWS:
            return ones[:terms] @ a
        whole = terms - terms % (2 * _ROWS)
        blocks = ones @ a[:, :whole].reshape(outer, -1, 2 * _ROWS, inner)
        if whole < terms:
            rest = ones[: terms - whole] @ a[:, whole:]
            blocks = np.concatenate((blocks, rest[:, None]), 1)
        a = blocks


def _rows_total(a: np.ndarray, work: np.dtype) -> np.ndarray:
    """The sum of each row, in ``work``, of elements of any dtype."""
    outer, terms = a.shape
    if outer >= 64 or terms < 2 * _LINE:
        r = np.empty(outer, work)
        spread_parts(lambda start, stop: add(a[start:stop], 1, work, r[start:stop]), outer, a.size)
        return r
    blocks = -(-terms // _LINE)
    partial = np.empty((outer, blocks), work)

    def pieces(start: int, stop: int) -> None:
        for i in range(start, stop):
            add(a[:, i * _LINE : (i + 1) * _LINE], 1, work, partial[:, i])

    spread_parts(pieces, blocks, a.size)
    return add(partial, 1, work)


def spread_parts(part: Callable[[int, int], None], length: int, size: int) -> None:
    """``part`` over ``range(length)``, on all threads where ``size`` elements are worth it."""
    if size < threads.LARGE:
        part(0, length)
    else:
        threads.run_parts(part, length)


# ---- back to full shape --------------------------------------------------------------------


def kept_shape(shape: tuple[int, ...], dims: tuple[int, ...]) -> tuple[int, ...]:
    """``shape`` with ``dims`` of size 1."""
    return tuple([1 if d in dims else n for d, n in enumerate(shape)])


def filled(shape: tuple[int, ...], value: np.ndarray) -> np.ndarray:
    """An array of one value, that of a 0-dim array."""
    full = np.empty(shape, value.dtype)
    if full.size < threads.LARGE:
        full.fill(value)
    else:
        flat = full.reshape(-1)
        threads.run_parts(lambda start, stop: flat[start:stop].fill(value), flat.size)
    return full


def _restore(
    g: np.ndarray, dims: tuple[int, ...], keepdim: bool, shape: tuple[int, ...], dt: np.dtype
) -> np.ndarray:
    if not g.ndim:
        return filled(shape, g.astype(dt, copy=False))
    full = np.empty(shape, dt)
    g = g if keepdim else g.reshape(kept_shape(shape, dims))
    if full.size < threads.LARGE or full.shape[0] < 2:
        full[...] = g
    else:
        g = np.broadcast_to(g, shape)

        def part(start: int, stop: int) -> None:
            full[start:stop] = g[start:stop]

        threads.run_parts(part, shape[0])
    return full


def _restore_vjp(g: Value, dims: tuple[int, ...], keepdim: bool, g_dtype: np.dtype) -> Value:
    every = dims or tuple(range(g._array.ndim))  # no dims: a number was spread over all of them
    return sum_op(g, every, keepdim, g_dtype)


def _sum_vjp(
    g: Value, dims: tuple[int, ...], keepdim: bool, a_shape: tuple[int, ...], a_dtype: np.dtype
) -> Value:
    return restored(g, dims, keepdim, a_shape, a_dtype)


sum_op = define("sum", total, {"a": _sum_vjp}, grad_name="SumBackward1")

# A gradient of a reduction, repeated over the dimensions that were reduced.
restored = define("expand_reduced", _restore, {"g": _restore_vjp})


# ---- values at indices ---------------------------------------------------------------------


def one_line(a: np.ndarray) -> np.ndarray:
    """``a``, a 0-dim array as one of one dimension."""
    return a if a.ndim else a.reshape(1)


def _place(
    grad: np.ndarray, index: np.ndarray, dim: int, keepdim: bool, shape: tuple[int, ...]
) -> np.ndarray:
    full = np.zeros(shape or (1,), grad.dtype)
    if not shape:
        full[0] = grad
        return full.reshape(())
    if not keepdim:
        grad, index = np.expand_dims(grad, dim), np.expand_dims(index, dim)
    np.put_along_axis(full, index, grad, dim)
    return full


def _pick(x: np.ndarray, index: np.ndarray, dim: int, keepdim: bool) -> np.ndarray:
    if not x.ndim:
        return x.copy()
    if keepdim:
        return np.take_along_axis(x, index, dim)
    return np.take_along_axis(x, np.expand_dims(index, dim), dim).squeeze(dim)


# Zeros with values at distinct indices along one dimension, and its reverse.
place = define(
    "value_selecting_reduction_backward",
    _place,
    {"grad": lambda g, index, dim, keepdim: pick(g, index, dim, keepdim)},
)
pick = define(
    "pick",
    _pick,
    {"x": lambda g, index, dim, keepdim, x_shape: place(g, index, dim, keepdim, x_shape)},
)


def at_index_vjp(
    g: list[Value], y: tuple[Value, Value], dim: int, keepdim: bool, x_shape: tuple[int, ...]
) -> Value:
    """The gradient of ``(values, indices)``: each value's goes to where it came from."""
    return place(g[0], y[1], dim, keepdim, x_shape)
