"""How operations run on a device: which run as they do on the CPU, and what the others do."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.op import Op
from ..core.promotion import is_narrow
from ..ops._reduce import kept_shape
from ..ops.memory import laid_out, preserve_format
from ..ops.padding import padded_pieces
from .arrays import adopted, seen
from .backend import backend
from .operands import converted

rules: dict[
    str, Callable
] = {}  # by the name of the record: (op, args) -> arrays, or NotImplemented


def rule(names: str) -> Callable[[Callable], Callable]:
    """Decorator: how the records with these names run. It is given (op, args)."""

    def enter(function: Callable) -> Callable:
        for name in names.split():
            rules[name] = function
        return function

    return enter


@rule("to_copy")
def _to_copy(op: Op, args: tuple) -> Any:
    x, d, format = args
    elements = seen(x._array)
    made = converted(elements, x._array.dtype, d.numpy)
    if made is elements or (format is not None and format is not preserve_format):
        made = laid_out(made, format)
    return adopted(made, d.numpy)


@rule("clone")
def _clone(op: Op, args: tuple) -> Any:
    x, format = args
    return adopted(laid_out(seen(x._array), format), x._array.dtype)


# ---- formulas ------------------------------------------------------------------------------------
#
# What a record means, in few large array operations: the CPU's meaning works by pieces that stay in
# a cache, and makes arrays of NumPy. A formula takes what the record's own ``forward`` takes, and
# may return NotImplemented.

formulas: dict[str, Callable] = {}


def formula(names: str) -> Callable[[Callable], Callable]:
    """Decorator: the meaning on the device of the records with these names."""

    def enter(function: Callable) -> Callable:
        for name in names.split():
            formulas[name] = function
        return function

    return enter


class Looking:
    """Whether formulas may look at values, to refuse them: not while a graph is captured."""

    allowed = True


Array = Any  # of the device's array module


def xp() -> Any:
    """The device's array module."""
    return backend().xp


@functools.cache
def _kernel(operands: str, results: str, text: str) -> Callable[..., None]:
    return backend().elementwise(operands.split(), results.split(), text)


def elementwise(operands: str, results: str, text: str, *arrays: Array) -> None:
    """Write the arrays named ``results``, by ``text``, from those named ``operands``: one launch.
    See Backend.elementwise."""
    _kernel(operands, results, text)(*arrays)


# ---- products ------------------------------------------------------------------------------------


@formula("mm bmm dot mv")
def _product(x: Array, y: Array) -> Array:
    return xp().matmul(x, y)


@formula("mm_nt bmm_nt")
def _product_nt(x: Array, y: Array) -> Array:
    return xp().matmul(x, y.swapaxes(-1, -2))


@formula("mm_tn bmm_tn")
def _product_tn(x: Array, y: Array) -> Array:
    return xp().matmul(x.swapaxes(-1, -2), y)


@formula("linear")
def _linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    r = xp().matmul(x, weight.T)
    if bias is not None:
        r += bias
    return r


def _added(product: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    def forward(a: Array, b: Array, c: Array, beta: Any, alpha: Any) -> Array:
        r = product(a, b)
        if alpha != 1:
            r *= r.dtype.type(alpha)
        if beta:
            r += (c if beta == 1 else c * r.dtype.type(beta)).astype(r.dtype, copy=False)
        return r

    return forward


formula("addmm baddbmm addmv")(_added(lambda a, b: xp().matmul(a, b)))
formula("addbmm")(_added(lambda a, b: xp().matmul(a, b).sum(0, dtype=a.dtype)))
formula("addr")(_added(lambda a, b: a[:, None] * b[None]))


# ---- reductions ----------------------------------------------------------------------------------


def wide_type(dtype: np.dtype) -> np.dtype:
    """What is computed in for results of ``dtype``."""
    return np.dtype(np.float32) if is_narrow(dtype) else dtype


@formula("sum")
def _sum(a: Array, dims: tuple, keepdim: bool, dt: np.dtype) -> Array:
    work = wide_type(dt)
    a = a if np.can_cast(a.dtype, work, "same_kind") else converted(a, a.dtype, work)
    return a.sum(dims, dtype=work, keepdims=keepdim) if dims else a.astype(work)


@formula("sum_to_size")
def _to_size(a: Array, shape: tuple) -> Array:
    lead = a.ndim - len(shape)
    dims = tuple([i for i, n in enumerate(a.shape) if i < lead or shape[i - lead] == 1 != n])
    dt = a.dtype if a.dtype.kind not in "biu" else np.dtype(np.int64)
    return _sum(a, dims, False, dt).reshape(shape)


@formula("mean")
def _mean(a: Array, dims: tuple, keepdim: bool, dt: np.dtype) -> Array:
    work = wide_type(dt)
    count = math.prod([a.shape[d] for d in dims])
    return _sum(a, dims, keepdim, work) / work.type(count)


@formula("expand_reduced")
def _restore(g: Array, dims: tuple, keepdim: bool, shape: tuple, dt: np.dtype) -> Array:
    if g.ndim and not keepdim:
        g = g.reshape(kept_shape(shape, dims))
    return xp().broadcast_to(g, shape).astype(wide_type(dt))  # a copy


def _truth(name: str) -> Callable:
    def forward(x: Array, dims: tuple | None, keepdim: bool) -> Array:
        r = getattr(xp(), name)(x != 0, axis=dims, keepdims=keepdim)
        return r.astype(np.uint8) if x.dtype == np.uint8 else r

    return forward


formula("all")(_truth("all"))
formula("any")(_truth("any"))


def _extreme_at(name: str, find: str) -> None:
    def forward(x: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
        if not x.ndim:
            return x.copy(), xp().zeros((), np.int64)
        values = getattr(xp(), name)(x, axis=dim, keepdims=keepdim)
        index = getattr(xp(), find)(x, axis=dim).astype(np.int64, copy=False)
        return values, xp().expand_dims(index, dim) if keepdim else index

    def place(x: Array, dim: int | None, keepdim: bool) -> Array:
        if dim is None or not x.ndim:
            index = getattr(xp(), find)(x.reshape(-1), axis=0).astype(np.int64, copy=False)
            return index.reshape((1,) * x.ndim) if keepdim else index
        index = getattr(xp(), find)(x, axis=dim).astype(np.int64, copy=False)
        return xp().expand_dims(index, dim) if keepdim else index

    formula(name)(forward)
    formula(find)(place)


_extreme_at("max", "argmax")
_extreme_at("min", "argmin")


def _extreme(name: str) -> Callable:
    def forward(x: Array, dims: tuple, keepdim: bool) -> Array:
        return getattr(xp(), name)(x, axis=dims, keepdims=keepdim) if dims else x.copy()

    return forward


formula("amax max_all")(_extreme("max"))
formula("amin min_all")(_extreme("min"))


@formula("logsumexp")
def _logsumexp(a: Array, dims: tuple, keepdim: bool) -> Array:
    if a.dtype.kind == "c" or not dims or 0 in a.shape:
        return NotImplemented
    m = xp()
    top = m.max(a, axis=dims, keepdims=True)
    top = m.where(m.isfinite(top), top, a.dtype.type(0))
    total = m.exp(a - top).sum(dims, dtype=a.dtype, keepdims=True)
    r = m.log(total) + top
    return r if keepdim else r.reshape([n for i, n in enumerate(a.shape) if i not in dims])


def _moments(a: Array, dims: tuple, correction: float, keepdim: bool) -> tuple[Array, Array]:
    count = math.prod([a.shape[d] for d in dims])
    kind = a.real.dtype
    mean = _sum(a, dims, True, a.dtype) / kind.type(count)
    d = a - mean
    squares = d * d if d.dtype.kind == "f" else d.real * d.real + d.imag * d.imag
    var = _sum(squares, dims, True, kind) / kind.type(max(0.0, count - correction))
    if not keepdim:
        shape = [n for i, n in enumerate(a.shape) if i not in dims]
        var, mean = var.reshape(shape), mean.reshape(shape)
    return var, mean


@formula("var")
def _var(a: Array, dims: tuple, correction: float, keepdim: bool) -> Array:
    return _moments(a, dims, correction, keepdim)[0]


@formula("std")
def _std(a: Array, dims: tuple, correction: float, keepdim: bool) -> Array:
    return xp().sqrt(_moments(a, dims, correction, keepdim)[0])


formulas["var_mean"] = _moments


@formula("std_mean")
def _std_mean(a: Array, dims: tuple, correction: float, keepdim: bool) -> tuple[Array, Array]:
    var, mean = _moments(a, dims, correction, keepdim)
    return xp().sqrt(var), mean


@formula("linalg_vector_norm")
def _vector_norm(x: Array, p: float, dims: tuple, keepdim: bool) -> Array:
    m = xp()
    if p == 2 and x.dtype.kind == "f" and len(dims) == x.ndim and not keepdim and x.size:
        flat = x.reshape(-1)
        return m.sqrt(m.dot(flat, flat))
    if p == 2 and x.dtype.kind == "f":
        return m.sqrt(_sum(x * x, dims, keepdim, x.dtype))
    a = m.abs(x)
    if p in (math.inf, -math.inf):
        return (m.max if p > 0 else m.min)(a, axis=dims, keepdims=keepdim) if dims else a
    if p == 0:
        return _sum(a != 0, dims, keepdim, a.dtype)
    if p == 1:
        return _sum(a, dims, keepdim, a.dtype)
    return _sum(a ** a.dtype.type(p), dims, keepdim, a.dtype) ** a.dtype.type(1 / p)


@formula("trace_backward")
def _trace_backward(grad: Array, shape: tuple) -> Array:
    return xp().eye(*shape, dtype=grad.dtype) * grad


@formula("reverse_cumsum")
def _reverse_cumsum(x: Array, dim: int, dt: np.dtype) -> Array:
    if not x.ndim:
        return x.astype(wide_type(dt))
    m = xp()
    return m.flip(m.cumsum(m.flip(x, dim), axis=dim, dtype=wide_type(dt)), dim)


# ---- order ---------------------------------------------------------------------------------------


@formula("argsort")
def _argsort(x: Array, dim: int, descending: bool) -> Array:
    if not x.ndim or not x.size:
        return xp().zeros(x.shape, np.int64)
    m = xp()
    if not descending:
        return m.argsort(x, axis=dim, kind="stable").astype(np.int64, copy=False)
    # The stable order of the reversed lines, read backwards.
    order = m.flip(m.argsort(m.flip(x, dim), axis=dim, kind="stable"), dim)
    return (x.shape[dim] - 1) - order.astype(np.int64, copy=False)


@formula("sort")
def _sort(x: Array, dim: int, descending: bool) -> tuple[Array, Array]:
    order = _argsort(x, dim, descending)
    return (xp().take_along_axis(x, order, dim) if x.ndim else x.copy()), order


@formula("topk")
def _topk(x: Array, k: int, dim: int, largest: bool) -> tuple[Array, Array]:
    values, order = _sort(x, dim, largest)
    if not x.ndim:
        return (values, order) if k else (values.reshape(1)[:0], order.reshape(1)[:0])
    piece = (slice(None),) * dim + (slice(k),)
    return values[piece].copy(), order[piece].copy()


# ---- pieces and triangles ------------------------------------------------------------------------


@formula("slice_backward")
def _placed(x: Array, shape: tuple, index: tuple) -> Array:
    out = xp().zeros(shape, x.dtype)
    out[index] = x
    return out


def _triangle(x: Array, diagonal: int) -> Array:
    return xp().tri(*x.shape[-2:], k=diagonal, dtype=np.bool_)


@formula("tril")
def _tril(x: Array, diagonal: int) -> Array:
    return xp().where(_triangle(x, diagonal), x, x.dtype.type(0))


@formula("triu")
def _triu(x: Array, diagonal: int) -> Array:
    return xp().where(_triangle(x, diagonal - 1), x.dtype.type(0), x)


def diagonal_index(array: Array, offset: int) -> tuple:
    """The index of a diagonal of the last two dimensions."""
    n = max(0, min(array.shape[-2] + min(offset, 0), array.shape[-1] - max(offset, 0)))
    steps = xp().arange(n)
    return (..., steps + max(-offset, 0), steps + max(offset, 0))


@formula("diag_embed")
def _diag_embed(x: Array, offset: int, i: int, j: int) -> Array:
    n = x.shape[-1] + abs(offset)
    out = xp().zeros((*x.shape[:-1], n, n), x.dtype)
    out[diagonal_index(out, offset)] = x
    return xp().moveaxis(out, (-2, -1), (i, j))


@formula("diagonal_backward")
def _diagonal_backward(x: Array, shape: tuple, offset: int, i: int, j: int) -> Array:
    out = xp().zeros(shape, x.dtype)
    last = xp().moveaxis(out, (i, j), (-2, -1))
    last[diagonal_index(last, offset)] = x
    return out


@formula("constant_pad_nd")
def _constant_pad(x: Array, pad: tuple, value: Array) -> Array:
    shape, into, source = padded_pieces(x.shape, pad)
    out = xp().empty(shape, x.dtype)
    out[...] = value
    out[into] = x[source]
    return out


@formula("diagonal_copy")
def _diagonal_copy(x: Array, offset: int, i: int, j: int) -> Array:
    last = xp().moveaxis(x, (i, j), (-2, -1))
    return last[diagonal_index(last, offset)].copy()


@formula("complex")
def _complex(real: Array, imag: Array) -> Array:
    return real + imag * real.dtype.type(1) * (1j if real.dtype == np.float64 else np.complex64(1j))


@formula("where")
def _where(condition: Array, a: Any, b: Any) -> Array:
    dt = a.dtype if backend().is_own(a) else b.dtype
    a, b = (v if backend().is_own(v) else dt.type(v) for v in (a, b))
    return xp().where(condition, a, b)


@formula("masked_fill masked_fill_tensor")
def _masked_fill(x: Array, mask: Array, value: Any) -> Array:
    if not backend().is_own(value):
        value = x.dtype.type(value)
    return xp().where(mask, value, x)


@formula("lerp_tensor")
def _lerp(start: Array, end: Array, weight: Array) -> Array:
    way = end - start
    near = xp().absolute(weight) < 0.5
    return xp().where(near, start + weight * way, end - way * (1 - weight))
