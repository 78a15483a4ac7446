"""Gradients held against finite differences.

Source: https://docs.pytorch.org/docs/stable/notes/gradcheck.html
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np

from ..core.foreign import beside, near
from ..core.value import Value, wrap
from ._grad import grad


class GradcheckError(RuntimeError):
    """An analytical gradient is not what finite differences give."""


def _differentiable(values: object) -> list[Value]:
    values = values if isinstance(values, (list, tuple)) else (values,)
    return [v for v in values if isinstance(v, Value) and v._array.dtype.kind in "fcV"]


def _columns(function: Callable, x: Value, inputs: tuple, eps: float) -> list[list[np.ndarray]]:
    """For every element of ``x`` (real part, then imaginary): how each output moves with it."""
    array = x._array
    steps = [eps] if array.dtype.kind != "c" else [eps, eps * 1j]
    columns = []
    for index in np.ndindex(*array.shape):
        for step in steps:
            before = near(array)[index].copy()
            array[index] = before + step
            high = [near(o._array).copy() for o in _differentiable(function(*inputs))]
            array[index] = before - step
            low = [near(o._array).copy() for o in _differentiable(function(*inputs))]
            array[index] = before
            columns.append([(a - b) / (2 * eps) for a, b in zip(high, low, strict=True)])
    return columns


def _close(a: np.ndarray, b: np.ndarray, atol: float, rtol: float) -> bool:
    return np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True)


def gradcheck(
    func: Callable,
    inputs: Value | Sequence[object],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether backward through ``func`` gives its central finite differences.

    Inputs should be float64 (a warning says so otherwise). GradcheckError names the output, the
    input and both Jacobians where they differ; False instead if ``raise_exception`` is off.
    ``check_forward_ad`` is not supported and raises NotImplementedError.
    """
    if check_forward_ad or check_batched_forward_grad:
        raise NotImplementedError("gradcheck: forward-mode differentiation is not supported")
    try:
        _check(func, inputs, eps, atol, rtol, nondet_tol, check_undefined_grad)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _check(
    func: Callable,
    inputs: Value | Sequence[object],
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float,
    check_undefined: bool,
) -> None:
    inputs = tuple(inputs) if isinstance(inputs, (list, tuple)) else (inputs,)
    wanted = [(i, v) for i, v in enumerate(inputs) if isinstance(v, Value) and v.requires_grad]
    if not wanted:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of the them "
            "have requires_grad=True."
        )
    for i, v in wanted:
        if v._array.dtype.itemsize < 8 or v._array.dtype == np.complex64:
            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating point or "
                "complex. This check will likely fail if all the inputs are not of double "
                "precision floating point or complex. ",
                stacklevel=4,
            )
    outputs = _differentiable(func(*inputs))
    if any(o.requires_grad for o in outputs) is False:
        raise ValueError("gradcheck: no output of the function requires gradient")
    for i, x in wanted:
        numeric = _columns(func, x, inputs, eps)
        for k, out in enumerate(outputs):
            analytic = _analytic(func, inputs, k, out, x)
            again = _analytic(func, inputs, k, out, x)
            if not np.allclose(analytic, again, rtol=0, atol=nondet_tol, equal_nan=True):
                raise GradcheckError(
                    f"Backward is not reentrant, i.e., running backward with same input and "
                    f"grad_output multiple times gives different values (output {k}, input {i})"
                )
            expected = _expected(numeric, k, x, out)
            if not _close(analytic, expected, atol, rtol):
                raise GradcheckError(
                    f"Jacobian mismatch for output {k} with respect to input {i},\n"
                    f"numerical:{expected}\nanalytical:{analytic}\n"
                )
    if check_undefined:
        _check_undefined(func, inputs, [v for _, v in wanted])


def _analytic(func: Callable, inputs: tuple, k: int, out: Value, x: Value) -> np.ndarray:
    """Row j: the gradient of x for the j-th element of output k (real part, then imaginary)."""
    fresh = _differentiable(func(*inputs))[k]
    rows = []
    if not fresh.requires_grad:
        parts = 2 if out.is_complex() else 1
        return np.zeros((out.numel() * parts, x.numel()), x._array.dtype)
    units = [1, 1j] if fresh.is_complex() else [1]
    for index in np.ndindex(*fresh._array.shape):
        for unit in units:
            seed = np.zeros(fresh._array.shape, fresh._array.dtype)
            seed[index] = unit
            (g,) = grad(
                fresh, x, wrap(beside(seed, fresh._array)), retain_graph=True, allow_unused=True
            )
            rows.append(np.zeros(x._array.shape) if g is None else near(g._array))
    return np.array([r.reshape(-1) for r in rows]).reshape(len(rows), x.numel())


def _expected(numeric: list[list[np.ndarray]], k: int, x: Value, out: Value) -> np.ndarray:
    """What the rows of ``_analytic`` should be, from the numerical columns.

    For real outputs L: gradient = dL/da + i dL/db over x = a + ib. For a complex output the seed
    1 picks its real part and the seed i its imaginary part.
    """
    columns = np.array([c[k].reshape(-1) for c in numeric])  # (steps, outputs)
    if not columns.size:
        parts = 2 if out.is_complex() else 1
        return np.zeros((out.numel() * parts, x.numel()))
    parts = [columns.real, columns.imag] if out.is_complex() else [columns]
    rows = np.stack(parts, axis=-1).reshape(columns.shape[0], -1)  # (steps, outputs * parts)
    if x.is_complex():
        rows = rows[0::2] + 1j * rows[1::2]
    return rows.T


def _check_undefined(func: Callable, inputs: tuple, wanted: list[Value]) -> None:
    """A gradient that did not arrive must count as zero."""
    outputs = [o for o in _differentiable(func(*inputs)) if o.requires_grad]
    if len(outputs) < 2:
        return
    for left_out in range(len(outputs)):
        chosen = [o for i, o in enumerate(outputs) if i != left_out]
        try:
            grad(chosen, wanted, [wrap(np.zeros_like(o._array)) for o in chosen],
                 retain_graph=True, allow_unused=True)  # fmt: skip
        except (TypeError, AttributeError) as error:
            raise GradcheckError(
                "Expected backward function to handle undefined output grads. Please look at "
                "'Notes about undefined output gradients' in 'tools/autograd/derivatives.yaml'"
            ) from error


def gradgradcheck(
    func: Callable,
    inputs: Value | Sequence[object],
    grad_outputs: Value | Sequence[Value] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """``gradcheck`` of the gradients of ``func``: its second derivatives."""
    inputs = tuple(inputs) if isinstance(inputs, (list, tuple)) else (inputs,)
    outputs = [o for o in _differentiable(func(*inputs)) if o.requires_grad]
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        seeds = tuple(_random_like(o, rng) for o in outputs)
    else:
        seeds = tuple(grad_outputs) if isinstance(grad_outputs, (list, tuple)) else (grad_outputs,)
    count = len(inputs)

    def first(*args: object) -> tuple[Value, ...]:
        ins, vs = args[:count], args[count:]
        outs = [o for o in _differentiable(func(*ins)) if o.requires_grad]
        wanted = [v for v in ins if isinstance(v, Value) and v.requires_grad]
        found = grad(outs, wanted, list(vs), create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    try:
        if not any(g.requires_grad for g in first(*inputs, *seeds)):
            return True
        _check(first, (*inputs, *seeds), eps, atol, rtol, nondet_tol, check_undefined_grad)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _random_like(o: Value, rng: np.random.Generator) -> Value:
    array = rng.standard_normal(o._array.shape)
    if o.is_complex():
        array = array + 1j * rng.standard_normal(o._array.shape)
    return wrap(beside(np.asarray(array, o._array.dtype), o._array)).requires_grad_()
