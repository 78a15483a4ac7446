"""Derivatives of functions as functions: ``grad``, ``vjp``, ``jvp``, Jacobians and Hessians.

A derivative is taken at fresh tensors that stand for the inputs, so that transforms nest, and is
recorded itself where something outside wants its gradient. Forward mode is the gradient of a
gradient: for J v, differentiate u^T J, which is linear in u, with respect to u.
Source: https://docs.pytorch.org/docs/stable/func.api.html
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd._grad import grad as _gradients
from ..core.modes import enable_grad, state
from ..core.tape import Leaf, _order
from ..core.value import Value, constant, wrap
from ..utils._pytree import tree_flatten, tree_map, tree_unflatten
from ._batch import batched, on_tape
from ._vmap import current_level, vmap

Argnums = int | tuple[int, ...]


# ---- inputs that stand for others ------------------------------------------------------------


def _fresh(value: Value) -> Value:
    """A tensor that requires grad, at the place of ``value``: gradients are asked for here, and
    flow on to whatever ``value`` was made of."""
    if value._array.dtype.kind in "biu":
        raise RuntimeError(
            "only Tensors of floating point dtype can require gradients\n"
            f"  an input to differentiate by has dtype {value.dtype!r}"
        )
    level = current_level()
    if level is not None and not level.own(value):
        value = batched(value, None, level)
    if value._edge is not None:
        return value.view_as(value)
    fresh = _off_tape(value)
    return fresh.requires_grad_()


def _floating(value: Any) -> bool:
    return isinstance(value, Value) and value._array.dtype.kind not in "biu"


class _Recording:
    """A function called with fresh inputs, recorded: its outputs, ready to be differentiated."""

    def __init__(self, func: Callable, args: tuple, argnums: Argnums, kwargs: dict) -> None:
        self.outer = state.grad
        self.wanted = _selected(args, argnums)
        leaves, self.spec = tree_flatten(self.wanted)
        for v in leaves:
            if not isinstance(v, Value):
                raise ValueError(f"expected tensors to differentiate by, got {type(v).__name__}")
        with enable_grad():
            self.inputs = [_fresh(v) for v in leaves]
            fresh = tree_unflatten(self.inputs, self.spec)
            self.outputs = func(*_replaced(args, argnums, fresh), **kwargs)

    def outside(self, outputs: Sequence[Value]) -> bool:
        """Whether something outside may want the gradient of what is computed here."""
        if not self.outer:
            return False
        if any(on_tape(getattr(o._array, "inner", None)) for o in outputs if isinstance(o, Value)):
            return True
        own = {id(v._edge) for v in self.inputs}
        roots = [o._edge for o in outputs if isinstance(o, Value) and o._edge is not None]
        return any(type(n) is Leaf and id(n) not in own for n in _order(roots))

    def gradients(
        self, outputs: Sequence[Value], vectors: Sequence[Value], create: bool, keep: bool
    ) -> list[Value]:
        """vector^T d outputs / d inputs, one for each input; zeros where there is no dependence."""
        pairs = [(o, v) for o, v in zip(outputs, vectors, strict=True) if o._edge is not None]
        found: Sequence[Value | None] = [None] * len(self.inputs)
        if pairs and self.inputs:
            with enable_grad():
                found = _gradients(
                    [o for o, _ in pairs],
                    self.inputs,
                    [v for _, v in pairs],
                    retain_graph=keep or create,
                    create_graph=create,
                    allow_unused=True,
                )
        return [
            constant(np.zeros(i._array.shape, i._array.dtype)) if g is None else g
            for g, i in zip(found, self.inputs, strict=True)
        ]

    def nested(self, gradients: Sequence[Value]) -> Any:
        """Gradients in the structure of the inputs."""
        return tree_unflatten(gradients, self.spec)


def _selected(args: tuple, argnums: Argnums) -> Any:
    """The arguments to differentiate by."""
    if isinstance(argnums, int):
        return args[_checked_argnum(argnums, args)]
    if not isinstance(argnums, tuple):
        raise RuntimeError(f"argnum must be int or Tuple[int, ...], got: {type(argnums)}")
    if not argnums:
        raise RuntimeError(f"argnums must be non-empty. Got argnums={argnums}.")
    places = [_checked_argnum(a, args) for a in argnums]
    if len(set(places)) < len(places):
        raise RuntimeError(f"argnums elements must be unique, got {argnums}")
    return tuple([args[p] for p in places])


def _checked_argnum(argnum: int, args: tuple) -> int:
    if not isinstance(argnum, int):
        raise RuntimeError(f"argnum must be int, got: {type(argnum)}")
    if not -len(args) <= argnum < len(args):
        raise RuntimeError(f"Got argnum={argnum}, but only {len(args)} positional inputs")
    return argnum % len(args)


def _replaced(args: tuple, argnums: Argnums, fresh: Any) -> tuple:
    new = list(args)
    if isinstance(argnums, int):
        new[argnums % len(args)] = fresh
    else:
        for a, f in zip(argnums, fresh, strict=True):
            new[a % len(args)] = f
    return tuple(new)


def _off_tape(value: Value) -> Value:
    """``value`` without its place on the tape of the innermost level; a batched tensor keeps its
    place on those outside."""
    out = wrap(value._array)
    out._shares = value
    return out


def _cut(value: Any) -> Any:
    """Every tensor in ``value`` off the tape."""
    return tree_map(lambda v: _off_tape(v) if isinstance(v, Value) else v, value)


# ---- gradients -------------------------------------------------------------------------------


def grad_and_value(func: Callable, argnums: Argnums = 0, has_aux: bool = False) -> Callable:
    """A function that returns ``(gradient, value)`` of ``func``, whose result is one number.

    ``argnums``: by which arguments to differentiate; each may be nested. ``has_aux``: ``func``
    returns ``(value, aux)``, and the result is ``(gradient, (value, aux))``.
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        run = _Recording(func, args, argnums, kwargs)
        output, aux = run.outputs, None
        if has_aux:
            if not (isinstance(output, tuple) and len(output) == 2):
                raise RuntimeError(
                    "grad_and_value(f)(*args): output of function f should be a tuple: "
                    "(output, aux) if has_aux is True"
                )
            output, aux = output
        if not isinstance(output, Value):
            raise RuntimeError(
                "grad_and_value(f)(*args): Expected f(*args) to return a Tensor, got "
                f"{type(output)}"
            )
        if output.dim() != 0:
            raise RuntimeError(
                "grad_and_value(f)(*args): Expected f(*args) to return a scalar Tensor, got tensor "
                f"with {output.dim()} dims. Maybe you wanted to use the vjp or jacrev APIs "
                "instead?"
            )
        outside = run.outside([output, *tree_flatten(aux)[0]])
        one = constant(np.ones((), output._array.dtype))
        found = run.nested(run.gradients([output], [one], outside, False))
        if not outside:
            found, output, aux = _cut(found), _cut(output), _cut(aux)
        return (found, (output, aux)) if has_aux else (found, output)

    return wrapper


def grad(func: Callable, argnums: Argnums = 0, has_aux: bool = False) -> Callable:
    """A function that returns the gradient of ``func``, whose result is one number; with
    ``has_aux``, ``(gradient, aux)``. Arguments as for ``grad_and_value``."""
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if has_aux:
            found, (_, aux) = both(*args, **kwargs)
            return found, aux
        return both(*args, **kwargs)[0]

    return wrapper


def _outputs_of(name: str, outputs: Any, has_aux: bool) -> tuple[list[Value], Any, Any, Any]:
    """The flat outputs, how they are nested, aux, and the outputs."""
    aux = None
    if has_aux:
        if not (isinstance(outputs, tuple) and len(outputs) == 2):
            raise RuntimeError(
                f"{name}(f, *primals): output of function f should be a tuple: (output, aux) if "
                "has_aux is True"
            )
        outputs, aux = outputs
    flat, spec = tree_flatten(outputs)
    for o in flat:
        if not isinstance(o, Value):
            raise RuntimeError(
                f"{name}(f, *primals): Expected f(*primals) to return only tensors, got "
                f"unsupported type {type(o)}"
            )
    if not flat:
        raise RuntimeError(
            f"{name}(f, *primals): Expected f to be a function that has non-empty output"
        )
    return flat, spec, aux, outputs


def vjp(func: Callable, *primals: Any, has_aux: bool = False) -> tuple:
    """``(func(*primals), vjp_fn)``: ``vjp_fn(cotangents)`` gives v^T J, a tuple with one entry for
    each of ``primals``. With ``has_aux``: ``(output, vjp_fn, aux)``."""
    run = _Recording(func, primals, tuple(range(len(primals))), {})
    flat, spec, aux, outputs = _outputs_of("vjp", run.outputs, has_aux)
    outside = run.outside([*flat, *tree_flatten(aux)[0]])

    def vjp_fn(
        cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None
    ) -> tuple:
        """v^T J for ``cotangents`` nested as the outputs are."""
        given, given_spec = tree_flatten(cotangents)
        if given_spec != spec:
            raise RuntimeError(
                f"Expected pytree structure of cotangents to be the same as pytree structure of "
                f"outputs to the function. cotangents: {given_spec}, primal output: {spec}"
            )
        create = state.grad and (outside or any(map(on_tape, given)))
        if create_graph is not None:
            create = create_graph
        found = run.gradients(flat, given, create, retain_graph)
        return run.nested(found if create else _cut(found))

    if not outside:
        outputs, aux = _cut(outputs), _cut(aux)
    return (outputs, vjp_fn, aux) if has_aux else (outputs, vjp_fn)


# ---- forward mode ----------------------------------------------------------------------------


class _Linear:
    """``func`` linearised at ``primals``: u^T J as a recorded function of u."""

    def __init__(self, name: str, func: Callable, primals: tuple, has_aux: bool) -> None:
        self.run = run = _Recording(func, primals, tuple(range(len(primals))), {})
        self.flat, self.spec, self.aux, self.outputs = _outputs_of(name, run.outputs, has_aux)
        self.outside = run.outside([*self.flat, *tree_flatten(self.aux)[0]])
        with enable_grad():
            self.ghosts = [
                _fresh(constant(np.zeros(o._array.shape, o._array.dtype))) for o in self.flat
            ]
        self.products = run.gradients(self.flat, self.ghosts, True, True)
        if not self.outside:
            self.outputs, self.aux = _cut(self.outputs), _cut(self.aux)

    def apply(self, tangents: Sequence[Value]) -> Any:
        """J v, nested as the outputs are."""
        pairs = [
            (p, t) for p, t in zip(self.products, tangents, strict=True) if p._edge is not None
        ]
        create = state.grad and (self.outside or any(map(on_tape, tangents)))
        found: Sequence[Value | None] = [None] * len(self.ghosts)
        if pairs:
            with enable_grad():
                found = _gradients(
                    [p for p, _ in pairs],
                    self.ghosts,
                    [t for _, t in pairs],
                    retain_graph=True,
                    create_graph=create,
                    allow_unused=True,
                )
        results = [
            constant(np.zeros(o._array.shape, o._array.dtype)) if f is None else f
            for f, o in zip(found, self.flat, strict=True)
        ]
        return tree_unflatten(results if create else _cut(results), self.spec)


def _flat_tangents(name: str, primals: tuple, tangents: Any) -> list[Value]:
    flat, spec = tree_flatten(primals)
    given, given_spec = tree_flatten(tangents)
    if spec != given_spec:
        raise RuntimeError(
            f"{name}(f, primals, tangents): Expected primals and tangents to have the same python "
            f"structure. For example, if primals is a tuple of 3 tensors, tangents also must be. "
            f"Got primals with structure {spec} and tangents with structure {given_spec}"
        )
    for p, t in zip(flat, given, strict=True):
        if p._array.shape != t._array.shape:
            raise RuntimeError(
                "Trying to set a forward gradient that has a different size than that of the "
                f"original Tensor, this is not supported. Tensor is of size {list(p.shape)} while "
                f"the given forward gradient is of size {list(t.shape)}."
            )
    return given


def jvp(
    func: Callable, primals: tuple, tangents: tuple, *, strict: bool = False, has_aux: bool = False
) -> tuple:
    """``(func(*primals), J tangents)``; with ``has_aux``, ``(output, J tangents, aux)``."""
    if not isinstance(primals, tuple) or not isinstance(tangents, tuple):
        raise RuntimeError(
            f"jvp(f, primals, tangents): Expected primals to be a tuple. E.g. it should be valid "
            f"to call f(*primals). Got {type(primals)} and tangents {type(tangents)}"
        )
    given = _flat_tangents("jvp", primals, tangents)
    linear = _Linear("jvp", func, primals, has_aux)
    product = linear.apply(given)
    if has_aux:
        return linear.outputs, product, linear.aux
    return linear.outputs, product


def linearize(func: Callable, *primals: Any) -> tuple[Any, Callable]:
    """``(func(*primals), jvp_fn)``: ``jvp_fn(*tangents)`` gives J v without running ``func``
    again."""
    linear = _Linear("linearize", func, primals, False)

    def jvp_fn(*tangents: Any) -> Any:
        """J v for tangents nested as the primals are."""
        return linear.apply(_flat_tangents("linearize", primals, tangents))

    return linear.outputs, jvp_fn


# ---- Jacobians -------------------------------------------------------------------------------


def _basis(flat: Sequence[Value]) -> list[Value]:
    """All unit vectors of the space that ``flat`` span, one a row: (total, *shape) of each."""
    total = sum(v._array.size for v in flat)
    rows, start = [], 0
    for v in flat:
        n = v._array.size
        block = np.zeros((total, n), v._array.dtype)
        block[np.arange(start, start + n), np.arange(n)] = 1
        rows.append(constant(block.reshape(total, *v._array.shape)))
        start += n
    return rows


def jacrev(
    func: Callable,
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable:
    """A function that returns d func / d arguments, of shape output shape + input shape, by rows:
    one backward for all outputs at once (``chunk_size`` of them at a time)."""
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        run = _Recording(func, args, argnums, kwargs)
        flat, spec, aux, _ = _outputs_of("jacrev", run.outputs, has_aux)
        outside = run.outside([*flat, *tree_flatten(aux)[0]])

        def rows(*vectors: Value) -> tuple[Value, ...]:
            return tuple(run.gradients(flat, vectors, outside, True))

        columns = vmap(rows, chunk_size=chunk_size)(*_basis(flat))
        results, start = [], 0
        for o in flat:
            n = o._array.size
            blocks = [
                c.narrow(0, start, n).reshape(*o._array.shape, *i._array.shape)
                for c, i in zip(columns, run.inputs, strict=True)
            ]
            results.append(run.nested(blocks if outside else _cut(blocks)))
            start += n
        result = tree_unflatten(results, spec)
        return (result, aux if outside else _cut(aux)) if has_aux else result

    return wrapper


def jacfwd(
    func: Callable,
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    randomness: str = "error",
) -> Callable:
    """``jacrev`` by columns: J v for all unit vectors v of the inputs at once."""

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        wanted = _selected(args, argnums)
        flat_in, in_spec = tree_flatten(wanted)

        def of_inputs(*leaves: Value) -> Any:
            return func(*_replaced(args, argnums, tree_unflatten(leaves, in_spec)), **kwargs)

        linear = _Linear("jacfwd", of_inputs, tuple(flat_in), has_aux)
        outside = linear.outside

        def columns(*tangents: Value) -> tuple[Value, ...]:
            return tuple(tree_flatten(linear.apply(tangents))[0])

        products = vmap(columns, randomness=randomness)(*_basis(flat_in))
        results = []
        for o, p in zip(linear.flat, products, strict=True):
            start, blocks = 0, []
            for i in flat_in:
                n = i._array.size
                block = p.narrow(0, start, n).movedim(0, -1)
                block = block.reshape(*o._array.shape, *i._array.shape)
                blocks.append(block if outside else _off_tape(block))
                start += n
            results.append(tree_unflatten(blocks, in_spec))
        result = tree_unflatten(results, linear.spec)
        return (result, linear.aux) if has_aux else result

    return wrapper


def hessian(func: Callable, argnums: Argnums = 0) -> Callable:
    """A function that returns the second derivatives of ``func``, output shape + input shape +
    input shape: ``jacfwd(jacrev(func))``."""
    return jacfwd(jacrev(func, argnums), argnums)


__all__ = [
    "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize", "vjp",
]  # fmt: skip
