"""Matrix products: one record for each way two matrices meet, and the functions made of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._dtypes import c_name, from_numpy
from .._errors import type_name
from .._shapes import broadcast, numel
from ..core import modes
from ..core.modes import state
from ..core.mutation import accepts_out, write_out
from ..core.op import BinaryNode, Op, define, inference_saved, intact, unbroadcast, unsupported
from ..core.promotion import Number
from ..core.tape import FREED, Anomaly, Node, note_line
from ..core.threads import dot as dot_arrays
from ..core.value import Value, _Class, new, ticks

ndarray = np.ndarray
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
_READY = frozenset("fdFDbBhHiIlLqQ")  # dtypes NumPy multiplies itself; the rest by way of float32


def wide(a: ndarray) -> ndarray:
    """16-bit floats as float32: products are summed in float32 and rounded once."""
    return a if a.dtype.char in _READY else a.astype(np.float32)


def _dot_nt(a: ndarray, b: ndarray) -> ndarray:
    return dot_arrays(a, b.T)


def _dot_tn(a: ndarray, b: ndarray) -> ndarray:
    return dot_arrays(a.T, b)


def _product(
    name: str,
    forward: Callable[[ndarray, ndarray], ndarray],
    check: Callable[[ndarray, ndarray], None],
    vjp: tuple[Callable[..., Value], Callable[..., Value]],
    grad_name: str,
) -> Callable[[Value, Value], Value]:
    """A bilinear operation of two tensors whose gradients each keep the other one.

    ``check`` raises for shapes and dtypes that do not go together; it is asked only where NumPy
    refuses or the dtype is not float32 or float64.
    """
    op = Op(name, "product", forward, vjp, "same", "iufc", grad_name)
    op.params = (("g", "b"), ("g", "a"))
    hook = modes.hook

    def call(a: Value, b: Value) -> Value:
        if hook.active is not None:
            return hook.active.dispatch(op, call.plain, (a, b))
        x, y = a._array, b._array
        dt = x.dtype
        if dt is y.dtype and (dt is F32 or dt is F64):
            try:
                r = forward(x, y)
            except ValueError:
                check(x, y)
                raise
        else:
            check(x, y)
            r = forward(wide(x), wide(y)).astype(dt, copy=False)
        if r.__class__ is not ndarray:
            r = np.asarray(r)
        t = new(_Class.tensor)
        t._array = r
        ae, be = a._edge, b._edge
        if (ae is None and be is None) or not state.grad:
            t._edge = None
            if state.inference:
                t._inference = True
            return t
        node = new(BinaryNode)
        node.op = op
        node.edges = (ae, be)
        node.watch = None
        if a._inference or b._inference:
            raise inference_saved()
        node.saved = (None if be is None else a, None if ae is None else b, None, None, None)
        node.tick = ticks()
        t._edge = node
        if Anomaly.enabled:
            note_line(node)
        return t

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"The record of the operation ``{name}``."
    call.op = op
    return modes.hooked(call)


# ---- errors --------------------------------------------------------------------------------


def _same_dtype(x: ndarray, y: ndarray, name: str) -> None:
    if x.dtype != y.dtype:
        a, b = from_numpy(x.dtype), from_numpy(y.dtype)
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {c_name(a)} != "
            f"{c_name(b)}\n  {name} does not mix dtypes: convert one, for example with "
            f".to({a!r})"
        )
    if x.dtype.kind == "b":
        raise unsupported("addmm_impl_cpu_", from_numpy(x.dtype))


def product_error(a: tuple[int, ...], b: tuple[int, ...], place: str = "") -> RuntimeError:
    """What PyTorch says of matrices that cannot be multiplied, with the rule and a likely fix."""
    text = f"mat1 and mat2 shapes cannot be multiplied ({a[0]}x{a[1]} and {b[0]}x{b[1]})\n"
    text += f"  x @ W needs x.shape[-1] == W.shape[-2], but {a[1]} != {b[0]}{place}"
    if a[1] == b[1]:
        text += "; did you mean x @ W.T?"
    elif a[0] == b[0]:
        text += "; did you mean x.T @ W?"
    return RuntimeError(text)


def _matrices(x: ndarray, y: ndarray, name: str) -> None:
    for v, label in ((x, "self"), (y, "mat2")):
        if v.ndim != 2:
            raise RuntimeError(f"{label} must be a matrix\n  {name} takes two 2-dim tensors, "
                               f"got shape {v.shape}; matmul takes any")  # fmt: skip
    _same_dtype(x, y, name)


def _check_mm(x: ndarray, y: ndarray) -> None:
    _matrices(x, y, "mm")
    if x.shape[1] != y.shape[0]:
        raise product_error(x.shape, y.shape)


def _check_nt(x: ndarray, y: ndarray) -> None:
    _matrices(x, y, "mm")
    if x.shape[1] != y.shape[1]:
        raise product_error(x.shape, y.shape[::-1])


def _check_tn(x: ndarray, y: ndarray) -> None:
    _matrices(x, y, "mm")
    if x.shape[0] != y.shape[0]:
        raise product_error(x.shape[::-1], y.shape)


def conj(t: Value) -> Value:
    """The complex conjugate; a real tensor as it is."""
    return t.conj() if t._array.dtype.kind == "c" else t


# ---- two matrices --------------------------------------------------------------------------
# The gradients of a b, a b^T and a^T b are products of these three kinds again, so that no
# transposed copy or view is ever made.

mm_op = _product(
    "mm",
    dot_arrays,
    _check_mm,
    (lambda g, b: mm_nt(g, conj(b)), lambda g, a: mm_tn(conj(a), g)),
    "MmBackward0",
)
mm_nt = _product(
    "mm_nt",
    _dot_nt,
    _check_nt,
    (lambda g, b: mm_op(g, conj(b)), lambda g, a: mm_tn(g, conj(a))),
    "MmBackward0",
)
mm_tn = _product(
    "mm_tn",
    _dot_tn,
    _check_tn,
    (lambda g, b: mm_nt(conj(b), g), lambda g, a: mm_op(conj(a), g)),
    "MmBackward0",
)


def _tensor(value: object, name: str, argument: str) -> Value:
    if not isinstance(value, Value):
        raise TypeError(
            f"{name}(): argument '{argument}' (position {1 if argument == 'input' else 2}) must be "
            f"Tensor, not {type_name(value)}"
        )
    return value


@accepts_out
def mm(input: Value, mat2: Value) -> Value:
    """The product of two matrices, (n, k) x (k, m) -> (n, m). RuntimeError for other shapes."""
    x, y = _tensor(input, "mm", "input")._array, _tensor(mat2, "mm", "mat2")._array
    if x.ndim != 2 or y.ndim != 2:
        _matrices(x, y, "mm")
    return mm_op(input, mat2)


# ---- batches of matrices -------------------------------------------------------------------


def check_bmm(x: ndarray, y: ndarray) -> None:
    for v, label in ((x, "batch1"), (y, "batch2")):
        if v.ndim != 3:
            raise RuntimeError(f"{label} must be a 3D tensor\n  bmm takes (b, n, k) and (b, k, m), "
                               f"got shape {v.shape}; matmul takes any")  # fmt: skip
    _same_dtype(x, y, "bmm")
    if x.shape[0] != y.shape[0] or x.shape[2] != y.shape[1]:
        want = [x.shape[0], x.shape[2]]
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: {want} but got: "
            f"{list(y.shape[:2])}.\n  bmm multiplies (b, n, k) and (b, k, m), got {x.shape} and "
            f"{y.shape}"
        )


def _check_bmm_nt(x: ndarray, y: ndarray) -> None:
    check_bmm(x, y.swapaxes(1, 2))


def _check_bmm_tn(x: ndarray, y: ndarray) -> None:
    check_bmm(x.swapaxes(1, 2), y)


def _bmm_nt_forward(a: ndarray, b: ndarray) -> ndarray:
    return np.matmul(a, b.swapaxes(1, 2))


def _bmm_tn_forward(a: ndarray, b: ndarray) -> ndarray:
    return np.matmul(a.swapaxes(1, 2), b)


bmm_op = _product(
    "bmm",
    np.matmul,
    check_bmm,
    (lambda g, b: bmm_nt(g, conj(b)), lambda g, a: bmm_tn(conj(a), g)),
    "BmmBackward0",
)
bmm_nt = _product(
    "bmm_nt",
    _bmm_nt_forward,
    _check_bmm_nt,
    (lambda g, b: bmm_op(g, conj(b)), lambda g, a: bmm_tn(g, conj(a))),
    "BmmBackward0",
)
bmm_tn = _product(
    "bmm_tn",
    _bmm_tn_forward,
    _check_bmm_tn,
    (lambda g, b: bmm_nt(conj(b), g), lambda g, a: bmm_op(conj(a), g)),
    "BmmBackward0",
)


@accepts_out
def bmm(input: Value, mat2: Value) -> Value:
    """Products of matrices one by one, (b, n, k) x (b, k, m) -> (b, n, m)."""
    x, y = _tensor(input, "bmm", "input")._array, _tensor(mat2, "bmm", "mat2")._array
    if x.ndim != 3 or y.ndim != 3 or x.shape[0] != y.shape[0]:
        check_bmm(x, y)
    return bmm_op(input, mat2)


# ---- vectors -------------------------------------------------------------------------------


def _check_mv(x: ndarray, y: ndarray) -> None:
    if x.ndim != 2 or y.ndim != 1:
        raise RuntimeError(
            f"vector + matrix @ vector expected, got {y.ndim}, {x.ndim}, {y.ndim}\n"
            f"  mv takes (n, k) and (k,), got {x.shape} and {y.shape}"
        )
    _same_dtype(x, y, "mv")
    if x.shape[1] != y.shape[0]:
        raise RuntimeError(
            f"size mismatch, got input ({x.shape[0]}), mat ({x.shape[0]}x{x.shape[1]}), "
            f"vec ({y.shape[0]})\n  {x.shape[1]} columns need a vector of {x.shape[1]} elements"
        )


def _check_dot(x: ndarray, y: ndarray) -> None:
    if x.ndim != 1 or y.ndim != 1:
        raise RuntimeError(
            f"1D tensors expected, but got {x.ndim}D and {y.ndim}D tensors\n"
            "  dot takes two vectors; for matrices there are mm and matmul"
        )
    if x.dtype != y.dtype:
        a, b = from_numpy(x.dtype), from_numpy(y.dtype)
        raise RuntimeError(
            f"dot : expected both vectors to have same dtype, but found {a.legacy_name} and "
            f"{b.legacy_name}"
        )
    if x.dtype.kind == "b":
        raise unsupported("dot", from_numpy(x.dtype))
    if x.shape != y.shape:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor [{x.size}] and src [{y.size}] to have the "
            f"same number of elements, but got {x.size} and {y.size} elements respectively"
        )


mv_op = _product(
    "mv",
    dot_arrays,
    _check_mv,
    (
        lambda g, b: g.unsqueeze(1) * conj(b).unsqueeze(0),
        lambda g, a: mv_op(conj(a).transpose(0, 1), g),
    ),
    "MvBackward0",
)
dot_op = _product(
    "dot",
    dot_arrays,
    _check_dot,
    (lambda g, b: g * conj(b), lambda g, a: g * conj(a)),
    "DotBackward0",
)


@accepts_out
def mv(input: Value, vec: Value) -> Value:
    """The product of a matrix and a vector, (n, k) x (k,) -> (n,)."""
    _check_mv(_tensor(input, "mv", "input")._array, _tensor(vec, "mv", "vec")._array)
    return mv_op(input, vec)


@accepts_out
def dot(input: Value, tensor: Value) -> Value:
    """The sum of the products of two vectors' elements (not conjugated)."""
    _check_dot(_tensor(input, "dot", "input")._array, _tensor(tensor, "dot", "tensor")._array)
    return dot_op(input, tensor)


@accepts_out
def vdot(input: Value, other: Value) -> Value:
    """The sum of the products of two vectors' elements, the first conjugated."""
    return dot(conj(_tensor(input, "vdot", "input")), other)


# ---- any dimensions ------------------------------------------------------------------------


def matmul_operator(input: Value, other: Value) -> Value:
    """``input @ other``; NotImplemented where ``other`` is no tensor."""
    if not isinstance(other, Value):
        return NotImplemented
    x, y = input._array, other._array
    a, b = x.ndim, y.ndim
    if a == 2 and b == 2:
        return mm_op(input, other)
    if modes.hook.active is not None:
        input, other = modes.hook.active.operands("matmul", (input, other))
    if a == 0 or b == 0:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {a}D and {b}D"
        )
    if a == 1 and b == 1:
        return dot_op(input, other)
    if a == 2 and b == 1:
        return mv_op(input, other)
    if a == 1 and b == 2:
        return mm_op(input.unsqueeze(0), other).squeeze(0)
    return _matmul_batched(input, other)


def _matmul_batched(input: Value, other: Value) -> Value:
    x, y = input._array, other._array
    _same_dtype(x, y, "matmul")
    a, b = x.shape, y.shape
    if len(b) == 1:
        rows = numel(a[:-1])
        if a[-1] != b[0]:
            raise product_error((rows, a[-1]), (b[0], 1))
        return mv_op(input.reshape(rows, a[-1]), other).reshape(a[:-1])
    if len(b) == 2:  # every row of every matrix meets the same matrix: one large product
        rows = numel(a[:-1])
        if a[-1] != b[0]:
            raise product_error((rows, a[-1]), b)
        return mm_op(input.reshape(rows, a[-1]), other).reshape(*a[:-1], b[1])
    if len(a) == 1:
        return _matmul_batched(input.unsqueeze(0), other).squeeze(-2)
    if a[-1] != b[-2]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: "
            f"{[int(np.prod(a[:-2])), a[-1]]} but got: {[int(np.prod(b[:-2])), b[-2]]}.\n"
            f"  x @ y needs x.shape[-1] == y.shape[-2], but {a[-1]} != {b[-2]} "
            f"(shapes {a} and {b})"
        )
    if a[:-2] != b[:-2]:
        batch = broadcast(a[:-2], b[:-2])
        input = input.expand(*batch, *a[-2:])
        other = other.expand(*batch, *b[-2:])
    else:
        batch = a[:-2]
    if len(batch) == 1:
        return bmm_op(input, other)
    count = numel(batch)
    flat = bmm_op(input.reshape(count, *a[-2:]), other.reshape(count, *b[-2:]))
    return flat.view(*batch, a[-2], b[-1])


def matmul(input: Value, other: Value, *, out: Value | None = None) -> Value:
    """The matrix product over the last two dimensions; the others broadcast as a batch.

    A first operand of one dimension is a row, a second one a column; that dimension is dropped.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.matmul.html
    """
    _tensor(other, "matmul", "other")
    return _matmul(_tensor(input, "matmul", "input"), other, out=out)


_matmul = accepts_out(matmul_operator)
matmul_operator.__name__ = "matmul"


# ---- cross products ------------------------------------------------------------------------


def _cross(a: ndarray, b: ndarray, dim: int) -> ndarray:
    dt = a.dtype
    x0, x1, x2 = np.moveaxis(wide(a), dim, 0)
    y0, y1, y2 = np.moveaxis(wide(b), dim, 0)
    parts = (x1 * y2 - x2 * y1, x2 * y0 - x0 * y2, x0 * y1 - x1 * y0)
    return np.stack(parts, dim).astype(dt, copy=False)


cross_op = define(
    "linalg_cross",
    _cross,
    {
        "a": lambda g, b, dim: cross_op(conj(b), g, dim),
        "b": lambda g, a, dim: cross_op(g, conj(a), dim),
    },
)

# ---- products with a sum -------------------------------------------------------------------


class AddedNode(Node):
    """``saved``: (a, b, shape of what is added, numbers) of a product with a sum."""

    __slots__ = ("op",)

    def name(self) -> str:
        return self.op.grad_name

    def backward(self, grad: Value) -> list[Value | None]:
        a, b, shape, numbers = self.saved
        if a is not None:
            a = intact(a, self, self.op.name)
        if b is not None:
            b = intact(b, self, self.op.name)
        return self.op.vjp(grad, a, b, shape, self.edges, *numbers)

    def release(self) -> None:
        if self.saved[0] is not None or self.saved[1] is not None:
            self.saved = FREED
            self.edges = ()


def added_product(
    name: str, forward: Callable[..., ndarray], vjp: Callable[..., list[Value | None]]
) -> Callable[..., Value]:
    """An operation of two tensors that are multiplied and one (or None) that is added.

    ``forward(a, b, c, *numbers)`` works on arrays. ``vjp(g, a, b, c_shape, edges, *numbers)``
    returns the gradients of c, a and b; a is None where b needs no gradient, and b likewise.
    """
    op = Op(name, "product", forward, vjp, "same", "iufc")
    hook = modes.hook

    def call(a: Value, b: Value, c: Value | None, *numbers: Number) -> Value:
        if hook.active is not None:
            return hook.active.dispatch(op, call.plain, (a, b, c, *numbers))
        t = new(_Class.tensor)
        if c is None:
            t._array = forward(a._array, b._array, None, *numbers)
            ce = shape = None
        else:
            t._array = forward(a._array, b._array, c._array, *numbers)
            ce, shape = c._edge, c._array.shape
        ae, be = a._edge, b._edge
        if (ae is None and be is None and ce is None) or not state.grad:
            t._edge = None
            if state.inference:
                t._inference = True
            return t
        node = new(AddedNode)
        node.op = op
        node.edges = (ce, ae, be)
        node.watch = None
        if a._inference or b._inference:
            raise inference_saved()
        node.saved = (None if be is None else a, None if ae is None else b, shape, numbers)
        node.tick = ticks()
        t._edge = node
        if Anomaly.enabled:
            note_line(node)
        return t

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"The record of the operation ``{name}``."
    call.op = op
    return modes.hooked(call)


def _linear_forward(input: ndarray, weight: ndarray, bias: ndarray | None) -> ndarray:
    dt = input.dtype
    many = input.ndim != 2
    flat = input.reshape(numel(input.shape[:-1]), input.shape[-1]) if many else input
    if dt is F32 or dt is F64:
        r = dot_arrays(flat, weight.T, bias)
    else:
        r = dot_arrays(wide(flat), wide(weight).T)
        if bias is not None:
            r += bias
        if r.dtype != dt:
            r = r.astype(dt)
    return r.reshape(*input.shape[:-1], weight.shape[0]) if many else r


def _linear_vjp(
    g: Value, input: Value | None, weight: Value | None, bias_shape: tuple | None, edges: tuple
) -> list:
    shape = g._array.shape
    many = len(shape) != 2
    flat = g.reshape(numel(shape[:-1]), shape[-1]) if many else g
    g_input = g_weight = None
    if edges[1] is not None:
        g_input = mm_op(flat, conj(weight))
        if many:
            g_input = g_input.reshape(*shape[:-1], weight._array.shape[1])
    if edges[2] is not None:
        k = input._array.shape[-1]
        rows = input.reshape(numel(shape[:-1]), k) if many else input
        g_weight = mm_tn(flat, conj(rows))
    return [None if edges[0] is None else unbroadcast(flat, bias_shape), g_input, g_weight]


_linear = added_product("linear", _linear_forward, _linear_vjp)


def linear(
    input: Value, weight: Value, bias: Value | None = None, *, out: Value | None = None
) -> Value:
    """input weight^T + bias: (..., k) x (m, k) -> (..., m)."""
    if out is not None:
        return write_out(out, linear(input, weight, bias), "linear")
    x, w = input._array, weight._array
    if x.dtype is not w.dtype or x.ndim == 0 or w.ndim != 2 or x.shape[-1] != w.shape[1]:
        return _linear_checked(input, weight, bias)
    if bias is None:
        return _linear(input, weight, None)
    if bias._array.dtype is not x.dtype or bias._array.shape != (w.shape[0],):
        return _linear_checked(input, weight, bias)
    return _linear(input, weight, bias)


def _linear_checked(input: Value, weight: Value, bias: Value | None) -> Value:
    """The forms of ``linear`` that are rare, and its errors."""
    if modes.hook.active is not None:
        input, weight, bias = modes.hook.active.operands("linear", (input, weight, bias))
    x, w = input._array, weight._array
    if x.dtype != w.dtype and bias is not None:
        a, b = from_numpy(x.dtype), from_numpy(w.dtype)
        raise RuntimeError(
            f"mat1 and mat2 must have the same dtype, but got {a.legacy_name} and {b.legacy_name}\n"
            f"  linear does not mix dtypes: convert the input with .to({b!r}), or the layer with "
            f".to({a!r})"
        )
    _same_dtype(x, w, "linear")
    if w.ndim == 1:
        if bias is not None and bias.dim():
            raise RuntimeError(
                "expected a 0-dim bias for a 1-dim weight, got shape " + str(tuple(bias.shape))
            )
        r = matmul_operator(input, weight)
        return r if bias is None else r + bias
    if w.ndim != 2:
        raise RuntimeError(f"linear(): weight must have 1 or 2 dimensions, got shape {w.shape}")
    if x.ndim == 0:
        raise RuntimeError("both arguments to linear need to be at least 1D, but they are 0D and "
                           f"{w.ndim}D")  # fmt: skip
    if x.shape[-1] != w.shape[1]:
        rows = int(np.prod(x.shape[:-1]))
        error = product_error((rows, x.shape[-1]), (w.shape[1], w.shape[0]))
        error.args = (
            error.args[0]
            + f"\n  Linear({w.shape[1]} -> {w.shape[0]}) got an input of shape {tuple(x.shape)}: "
            f"its last dimension must be {w.shape[1]}",
        )
        raise error
    r = _linear(input, weight, None)
    if bias is None:
        return r
    _same_dtype(x, bias._array, "linear")
    return r + bias


__all__ = ["bmm", "dot", "matmul", "mm", "mv", "vdot"]
