"""Products added to a tensor: ``beta input + alpha (a b)`` for each kind of product."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._dtypes import FLOATING, from_numpy
from .._errors import type_name
from ..core import threads
from ..core.modes import hook
from ..core.mutation import accepts_out, write_out
from ..core.op import unbroadcast, unsupported
from ..core.promotion import Number, result_type
from ..core.value import Value
from . import products
from .products import added_product, bmm_nt, bmm_tn, conj, mm_nt, mm_tn, mv_op, wide

ndarray = np.ndarray
FLOATS = (products.F32, products.F64)  # what needs no checks, conversions or wide sums


def _added(
    name: str,
    product: Callable[[ndarray, ndarray], ndarray],
    vjp_a: Callable[[Value, Value], Value],
    vjp_b: Callable[[Value, Value], Value],
) -> Callable[..., Value]:
    """The record of ``beta input + alpha product(a, b)``.

    ``vjp_a(g, b)`` and ``vjp_b(g, a)`` are the gradients of the product alone.
    """

    def forward(a: ndarray, b: ndarray, c: ndarray, beta: Number, alpha: Number) -> ndarray:
        dt = a.dtype
        r = product(a, b) if dt in FLOATS else product(wide(a), wide(b))
        if alpha != 1:
            np.multiply(r, np.array(alpha).astype(r.dtype), r)
        if beta == 1:
            np.add(r, c, r, casting="unsafe")
        elif beta != 0:  # 0 means that the input counts for nothing, nan included
            np.add(r, wide(c) * np.array(beta).astype(r.dtype), r, casting="unsafe")
        elif r.shape != np.broadcast_shapes(r.shape, c.shape):
            raise ValueError
        return r if r.dtype is dt else r.astype(dt, copy=False)

    def vjp(
        g: Value,
        a: Value | None,
        b: Value | None,
        shape: tuple[int, ...],
        edges: tuple,
        beta: Number,
        alpha: Number,
    ) -> list[Value | None]:
        gc = ga = gb = None
        if edges[0] is not None:
            gc = unbroadcast(g if beta == 1 else g * beta.conjugate(), shape)
        if alpha != 1:
            g = g * alpha.conjugate()
        if edges[1] is not None:
            ga = vjp_a(g, conj(b))
        if edges[2] is not None:
            gb = vjp_b(g, conj(a))
        return [gc, ga, gb]

    return added_product(name, forward, vjp)


def _summed_bmm(a: ndarray, b: ndarray) -> ndarray:
    """The sum of the products of two batches: one product over batch and inner dimension."""
    if a.shape[0] != b.shape[0] or a.shape[2] != b.shape[1]:
        raise ValueError
    inner = a.shape[0] * a.shape[2]
    return threads.dot(a.transpose(1, 0, 2).reshape(-1, inner), b.reshape(inner, -1))


def _each(g: Value, other: Value) -> Value:
    """``g`` once for each matrix of the batch ``other``."""
    return g.expand(other._array.shape[0], *g._array.shape)


addmm_op = _added("addmm", threads.dot, mm_nt, lambda g, a: mm_tn(a, g))
baddbmm_op = _added("baddbmm", np.matmul, bmm_nt, lambda g, a: bmm_tn(a, g))
addbmm_op = _added(
    "addbmm",
    _summed_bmm,
    lambda g, b: bmm_nt(_each(g, b), b),
    lambda g, a: bmm_tn(a, _each(g, a)),
)
addmv_op = _added(
    "addmv",
    np.dot,
    lambda g, b: g.unsqueeze(1) * b.unsqueeze(0),
    lambda g, a: mv_op(a.transpose(0, 1), g),
)
addr_op = _added(
    "addr",
    np.multiply.outer,
    lambda g, b: mv_op(g, b),
    lambda g, a: mv_op(g.transpose(0, 1), a),
)


def _factor(value: Number, argument: str, array: ndarray) -> Number:
    """``beta`` or ``alpha`` as a number of the tensors' dtype: integers drop the fraction."""
    if value.__class__ is int or value.__class__ is float and array.dtype.kind not in "biu":
        return value
    if not isinstance(value, (int, float, complex, np.generic)):
        raise TypeError(f"argument '{argument}' must be Number, not {type_name(value)}")
    if isinstance(value, complex) and array.dtype.kind != "c":
        raise RuntimeError(
            "value cannot be converted to type float without overflow\n"
            f"  {argument}={value} is complex, the tensors are {from_numpy(array.dtype)!r}"
        )
    return int(value) if array.dtype.kind in "biu" else value


def _refused(
    name: str, tensors: tuple[Value, Value, Value], labels: tuple[str, str], ndim: int
) -> None:
    """Raise for whatever is wrong with the operands of ``name``."""
    for v, label, place in zip(tensors, ("input", *labels), (1, 2, 3)):
        if not isinstance(v, Value):
            raise TypeError(
                f"{name}(): argument '{label}' (position {place}) must be Tensor, "
                f"not {type_name(v)}"
            )
    x, a, b = [v._array for v in tensors]
    for v, label in ((a, labels[0]), (b, labels[1])):
        if v.ndim != ndim:
            kind = "a matrix" if ndim == 2 else "a 3D tensor"
            raise RuntimeError(f"{label} must be {kind}, got {v.ndim}-D tensor")
    if not x.dtype == a.dtype == b.dtype:
        names = [from_numpy(v.dtype).legacy_name for v in (x, a, b)]
        bad = names[1] if names[0] != names[1] else names[2]
        raise RuntimeError(
            f"self and mat2 must have the same dtype, but got {names[0]} and {bad}\n"
            f"  {name} does not mix dtypes: input, {labels[0]} and {labels[1]} are "
            f"{', '.join(names)}"
        )
    if x.dtype.kind == "b":
        raise unsupported("addmm_impl_cpu_" if ndim == 2 else name, from_numpy(x.dtype))


def _not_expandable(shape: tuple[int, ...], target: tuple[int, ...]) -> RuntimeError:
    if len(shape) > len(target):
        return RuntimeError(
            f"expand(size={list(target)}): the number of sizes provided ({len(target)}) must be "
            f"greater or equal to the number of dimensions in the tensor ({len(shape)})"
        )
    start = len(target) - len(shape)
    dim = next(
        (d for d in reversed(range(len(shape))) if shape[d] not in (1, target[start + d])), 0
    )
    return RuntimeError(
        f"The expanded size of the tensor ({target[start + dim]}) must match the existing size "
        f"({shape[dim]}) at non-singleton dimension {start + dim}.  Target sizes: {list(target)}.  "
        f"Tensor sizes: {list(shape)}"
    )


def addmm(
    input: Value,
    mat1: Value,
    mat2: Value,
    *,
    beta: Number = 1,
    alpha: Number = 1,
    out: Value | None = None,
) -> Value:
    """``beta input + alpha (mat1 @ mat2)``: (n, k) x (k, m), and an input that stretches to (n, m).

    Where ``beta`` is 0 the input counts for nothing, even nan.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.addmm.html
    """
    if out is not None:
        return write_out(out, addmm(input, mat1, mat2, beta=beta, alpha=alpha), "addmm")
    try:
        x, a, b = input._array, mat1._array, mat2._array
        plain = x.dtype is a.dtype is b.dtype and x.dtype in FLOATS and a.ndim == b.ndim == 2
    except AttributeError:
        plain = False
    if not plain:
        if hook.active is not None:
            input, mat1, mat2 = hook.active.operands("addmm", (input, mat1, mat2))
            x, a, b = input._array, mat1._array, mat2._array
        _refused("addmm", (input, mat1, mat2), ("mat1", "mat2"), 2)
    if beta.__class__ is not int or alpha.__class__ is not int:
        beta, alpha = _factor(beta, "beta", a), _factor(alpha, "alpha", a)
    try:
        return addmm_op(mat1, mat2, input, beta, alpha)
    except ValueError:
        if a.shape[1] != b.shape[0]:
            raise products.product_error(a.shape, b.shape) from None
        raise _not_expandable(x.shape, (a.shape[0], b.shape[1])) from None


def _batched(
    name: str, op: Callable, summed: bool, tensors: tuple, beta: Number, alpha: Number
) -> Value:
    try:
        x, a, b = [v._array for v in tensors]
        plain = x.dtype is a.dtype is b.dtype and x.dtype in FLOATS and a.ndim == b.ndim == 3
    except AttributeError:
        plain = False
    if not plain:
        if hook.active is not None:
            tensors = hook.active.operands(name, tensors)
            x, a, b = [v._array for v in tensors]
        _refused(name, tensors, ("batch1", "batch2"), 3)
    try:
        return op(*tensors[1:], tensors[0], _factor(beta, "beta", a), _factor(alpha, "alpha", a))
    except ValueError:
        products.check_bmm(a, b)
        target = (a.shape[0], a.shape[1], b.shape[2])
        raise _not_expandable(x.shape, target[1:] if summed else target) from None


@accepts_out
def baddbmm(
    input: Value, batch1: Value, batch2: Value, *, beta: Number = 1, alpha: Number = 1
) -> Value:
    """``beta input + alpha bmm(batch1, batch2)``: (b, n, k) x (b, k, m) -> (b, n, m)."""
    return _batched("baddbmm", baddbmm_op, False, (input, batch1, batch2), beta, alpha)


@accepts_out
def addbmm(
    input: Value, batch1: Value, batch2: Value, *, beta: Number = 1, alpha: Number = 1
) -> Value:
    """``beta input + alpha sum_i batch1[i] @ batch2[i]``: (b, n, k) x (b, k, m) -> (n, m)."""
    return _batched("addbmm", addbmm_op, True, (input, batch1, batch2), beta, alpha)


@accepts_out
def addmv(input: Value, mat: Value, vec: Value, *, beta: Number = 1, alpha: Number = 1) -> Value:
    """``beta input + alpha (mat @ vec)``: (n, k) x (k,) -> (n,)."""
    tensors = (input, mat, vec)
    for v, label in zip(tensors, ("input", "mat", "vec")):
        if not isinstance(v, Value):
            raise TypeError(f"addmv(): argument '{label}' must be Tensor, not {type_name(v)}")
    x, a, b = [v._array for v in tensors]
    if a.ndim != 2 or b.ndim != 1 or x.ndim > 1:
        raise RuntimeError(
            f"vector + matrix @ vector expected, got {x.ndim}, {a.ndim}, {b.ndim}\n"
            "  addmv adds a product of a matrix and a vector to a vector"
        )
    if a.shape[1] != b.shape[0] or (x.size != 1 and x.shape[0] != a.shape[0]):
        raise RuntimeError(
            f"size mismatch, got input ({x.shape[0] if x.ndim else 1}), "
            f"mat ({a.shape[0]}x{a.shape[1]}), vec ({b.shape[0]})"
        )
    if not x.dtype == a.dtype == b.dtype:
        names = [from_numpy(v.dtype).legacy_name for v in (x, a, b)]
        raise RuntimeError(
            "addmv input tensors must have the same dtype, but got "
            f"{names[0]}, {names[1]}, and {names[2]}"
        )
    if x.dtype.kind == "b":
        raise unsupported("addmv_impl_cpu", from_numpy(x.dtype))
    return addmv_op(mat, vec, input, _factor(beta, "beta", a), _factor(alpha, "alpha", a))


@accepts_out
def addr(input: Value, vec1: Value, vec2: Value, *, beta: Number = 1, alpha: Number = 1) -> Value:
    """``beta input + alpha outer(vec1, vec2)``: (n,) x (m,) -> (n, m); mixes dtypes."""
    tensors = (input, vec1, vec2)
    for v, label in zip(tensors, ("input", "vec1", "vec2")):
        if not isinstance(v, Value):
            raise TypeError(f"addr(): argument '{label}' must be Tensor, not {type_name(v)}")
    for v, label in ((vec1, "vec1"), (vec2, "vec2")):
        if v._array.ndim != 1:
            raise RuntimeError(f"addr: Expected 1-D argument {label}, but got {v._array.ndim}-D")
    x = input._array
    target = (vec1._array.shape[0], vec2._array.shape[0])
    if len(x.shape) > 2 or any(n not in (1, t) for n, t in zip(x.shape[::-1], target[::-1])):
        raise _not_expandable(x.shape, target)
    d = result_type(*tensors)
    if d.category < FLOATING:
        for factor, label in ((beta, "beta"), (alpha, "alpha")):
            if isinstance(factor, (float, complex)):
                raise RuntimeError(
                    f"For integral input tensors, argument {label} must not be a floating point "
                    f"number.\n  got {label}={factor} for a result of {d!r}"
                )
    input, vec1, vec2 = [v if v._array.dtype == d.numpy else v.to(d) for v in tensors]
    a = vec1._array
    return addr_op(vec1, vec2, input, _factor(beta, "beta", a), _factor(alpha, "alpha", a))


__all__ = ["addbmm", "addmm", "addmv", "addr", "baddbmm"]
