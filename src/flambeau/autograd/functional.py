"""Derivatives of functions: jacobian, hessian and their products with vectors.

Source: https://docs.pytorch.org/docs/stable/autograd.html#functional-higher-level-api
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..core.modes import enable_grad
from ..core.value import Value, wrap
from ._grad import _concatenated, grad

Tensors = Value | tuple[Value, ...]


def _tupled(values: object, name: str, where: str) -> tuple[bool, tuple[Value, ...]]:
    single = not isinstance(values, (tuple, list))
    values = (values,) if single else tuple(values)
    for i, v in enumerate(values):
        if not isinstance(v, Value):
            at = "" if single else f" at index {i}"
            raise TypeError(
                f"The {name} given to {where} must be either a Tensor or a tuple of Tensors but "
                f"the value{at} has type {type(v)}."
            )
    return not single, values


def _fresh(inputs: tuple[Value, ...], create_graph: bool) -> tuple[Value, ...]:
    """Inputs that require grad, without touching the caller's."""
    if create_graph:
        return tuple(
            i.view_as(i) if i.requires_grad else i.detach().requires_grad_() for i in inputs
        )
    return tuple(i.detach().requires_grad_() for i in inputs)


def _call(func: Callable, inputs: tuple[Value, ...], where: str) -> tuple[bool, tuple[Value, ...]]:
    return _tupled(func(*inputs), "outputs of the user-provided function", where)


def _check_vector(v: object, like: tuple[Value, ...], what: str) -> tuple[Value, ...]:
    many, vs = _tupled(v, "v", what)
    if len(vs) != len(like):
        raise RuntimeError(f"v is a tuple of invalid length: should be {len(like)}, got {len(vs)}.")
    for i, (a, b) in enumerate(zip(vs, like, strict=True)):
        if a.shape != b.shape:
            raise RuntimeError(
                f"{f'Entry {i} in v' if many else 'v'} has invalid size: should be {b.shape} but "
                f"got {a.shape}."
            )
    return vs


def _default_vector(outputs: tuple[Value, ...], what: str) -> tuple[Value, ...]:
    if len(outputs) != 1 or outputs[0].numel() != 1:
        raise RuntimeError(f"The vector v can only be None if the {what} contains a single element")
    return (wrap(np.ones_like(outputs[0]._array)),)


def _grads(
    outputs: tuple[Value, ...],
    inputs: tuple[Value, ...],
    vectors: tuple[Value | None, ...],
    create_graph: bool,
    strict: bool,
    where: str,
) -> tuple[Value, ...]:
    """Vector-Jacobian product; zeros where there is no dependence (RuntimeError if strict)."""
    pairs = [(o, v) for o, v in zip(outputs, vectors, strict=True) if o._edge is not None]
    if strict and len(pairs) != len(outputs):
        i = next(i for i, o in enumerate(outputs) if o._edge is None)
        raise RuntimeError(
            f"Output {i} of the user-provided function does not require gradients. The outputs "
            "must be computed in a differentiable manner from the input when running in strict "
            "mode."
        )
    if not pairs:
        return tuple(wrap(np.zeros_like(i._array)) for i in inputs)
    found = grad(
        [o for o, _ in pairs],
        inputs,
        [v for _, v in pairs],
        retain_graph=True,
        create_graph=create_graph,
        allow_unused=True,
    )
    if strict and any(g is None for g in found):
        i = next(i for i, g in enumerate(found) if g is None)
        raise RuntimeError(
            f"The output of the user-provided function is independent of input {i}. This is not "
            f"allowed in strict mode when calling {where}."
        )
    return tuple(
        wrap(np.zeros_like(i._array)) if g is None else g
        for g, i in zip(found, inputs, strict=True)
    )


def _finish(values: Tensors, create_graph: bool) -> Tensors:
    if create_graph:
        return values
    if isinstance(values, tuple):
        return tuple(_finish(v, False) for v in values)
    return values.detach()


def vjp(
    func: Callable[..., Tensors],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Tensors, Tensors]:
    """``func(inputs)`` and v^T J, with J the Jacobian of ``func`` at ``inputs``."""
    with enable_grad():
        many_in, ins = _tupled(inputs, "inputs", "vjp")
        ins = _fresh(ins, create_graph)
        many_out, outs = _call(func, ins, "vjp")
        vs = (
            _default_vector(outs, "user-provided function returns a Tensor that")
            if v is None
            else (_check_vector(v, outs, "vjp"))
        )
        result = _grads(outs, ins, vs, create_graph, strict, "vjp")
    return (
        _finish(outs if many_out else outs[0], create_graph),
        _finish(result if many_in else result[0], create_graph),
    )


def jvp(
    func: Callable[..., Tensors],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Tensors, Tensors]:
    """``func(inputs)`` and J v, by differentiating u^T J with respect to u."""
    with enable_grad():
        many_in, ins = _tupled(inputs, "inputs", "jvp")
        ins = _fresh(ins, create_graph)
        vs = (
            _default_vector(ins, "input to the user-provided function")
            if v is None
            else (_check_vector(v, ins, "jvp"))
        )
        many_out, outs = _call(func, ins, "jvp")
        us = tuple(wrap(np.zeros_like(o._array)).requires_grad_() for o in outs)
        products = _grads(outs, ins, us, True, strict, "jvp")
        result = _grads(products, us, vs, create_graph, False, "jvp")
    return (
        _finish(outs if many_out else outs[0], create_graph),
        _finish(result if many_out else result[0], create_graph),
    )


def jacobian(
    func: Callable[..., Tensors],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Tensors | tuple[Tensors, ...]:
    """d func(inputs) / d inputs, of shape output shape + input shape.

    A tuple for a tuple of inputs or of outputs, a tuple of tuples for both. ``vectorize`` and
    ``strategy`` choose how PyTorch computes it; the result is the same.
    """
    if strategy not in ("reverse-mode", "forward-mode"):
        raise ValueError(
            f"Expected strategy to be either 'forward-mode' or 'reverse-mode', got {strategy!r}"
        )
    with enable_grad():
        many_in, ins = _tupled(inputs, "inputs", "jacobian")
        ins = _fresh(ins, create_graph)
        many_out, outs = _call(func, ins, "jacobian")
        rows = tuple(_jacobian_of(o, i, outs, ins, create_graph, strict)
                     for i, o in enumerate(outs))  # fmt: skip
    rows = _finish(rows, create_graph)
    if many_out:
        return rows if many_in else tuple(r[0] for r in rows)
    return rows[0] if many_in else rows[0][0]


def _jacobian_of(
    output: Value,
    index: int,
    outputs: tuple[Value, ...],
    inputs: tuple[Value, ...],
    create_graph: bool,
    strict: bool,
) -> tuple[Value, ...]:
    columns: list[list[Value]] = [[] for _ in inputs]
    for j in range(output.numel()):
        one = np.zeros(tuple(output.shape), output._array.dtype)
        one.reshape(-1)[j] = 1
        found = _grads((output,), inputs, (wrap(one),), create_graph, strict, "jacobian")
        for column, g in zip(columns, found, strict=True):
            column.append(g)
    return tuple(
        _stacked(column, create_graph).reshape(tuple(output.shape) + tuple(i.shape))
        if column
        else wrap(np.zeros(tuple(output.shape) + tuple(i.shape), i._array.dtype))
        for column, i in zip(columns, inputs, strict=True)
    )


def _stacked(rows: list[Value], create_graph: bool) -> Value:
    if create_graph:
        return _concatenated([r.unsqueeze(0) for r in rows])
    return wrap(np.stack([r._array for r in rows]))


def _scalar(func: Callable, where: str) -> Callable[..., Value]:
    def checked(*args: Value) -> Value:
        out = func(*args)
        many, outs = _tupled(out, "outputs of the user-provided function", where)
        if many or outs[0].numel() != 1:
            raise RuntimeError(
                f"The function given to {where} should return a single Tensor with a single element"
            )
        return outs[0].reshape(())

    return checked


def hessian(
    func: Callable[..., Value],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Tensors | tuple[Tensors, ...]:
    """The second derivatives of a scalar function, of shape input shape + input shape."""
    many_in, ins = _tupled(inputs, "inputs", "hessian")
    scalar = _scalar(func, "hessian")

    def first(*args: Value) -> Tensors:
        return jacobian(scalar, args, create_graph=True, strict=strict)

    found = jacobian(first, ins, create_graph=create_graph, strict=strict)
    return found if many_in else found[0][0]


def vhp(
    func: Callable[..., Value],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Value, Tensors]:
    """``func(inputs)`` and v^T H, with H the Hessian of the scalar function ``func``."""
    with enable_grad():
        many_in, ins = _tupled(inputs, "inputs", "vhp")
        ins = _fresh(ins, create_graph)
        out = _scalar(func, "vhp")(*ins)
        vs = (
            _default_vector(ins, "input to the user-provided function")
            if v is None
            else (_check_vector(v, ins, "vhp"))
        )
        first = _grads((out,), ins, (wrap(np.ones_like(out._array)),), True, strict, "vhp")
        result = _grads(first, ins, vs, create_graph, strict, "vhp")
    return _finish(out, create_graph), _finish(result if many_in else result[0], create_graph)


def hvp(
    func: Callable[..., Value],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Value, Tensors]:
    """``func(inputs)`` and H v; H is symmetric, so that it equals ``vhp``."""
    return vhp(func, inputs, v, create_graph, strict)
