"""``vmap``: a function of one example, mapped over a batch of them.

Source: https://docs.pytorch.org/docs/stable/generated/torch.func.vmap.html
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

from ..core.modes import hook
from ..core.value import Value
from ..ops.joining import cat, stack
from ..utils._pytree import broadcast_to, tree_flatten, tree_unflatten
from ._batch import Level, batched, front
from ._rules import Batch

InDims = int | None | tuple | list | dict
OutDims = int | None | tuple | list


def vmap(
    func: Callable,
    in_dims: InDims = 0,
    out_dims: OutDims = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable:
    """``func`` of one example as a function of many: it is called once, with tensors that stand
    for all examples.

    ``in_dims``: the dimension of each input that counts examples, or None for an input that all
    share; nested as the inputs are. ``out_dims``: where to put it in the results.
    ``randomness``: "error", "same" (all examples share the numbers drawn) or "different" (each
    has its own; ``func`` is then called once for each). ``chunk_size``: so many examples at once.
    Operations without a batching rule run once for each example, and say so once.
    """
    _check_randomness(randomness)
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        size, dims, leaves, spec = _flat_inputs(func, in_dims, args)
        if chunk_size is None or chunk_size >= size:
            return _run(func, size, dims, leaves, spec, out_dims, randomness, kwargs)
        parts = []
        for start in range(0, size, chunk_size):
            count = min(chunk_size, size - start)
            part = [
                v if d is None else v.narrow(d, start, count)
                for v, d in zip(leaves, dims, strict=True)
            ]
            parts.append(_run(func, count, dims, part, spec, out_dims, randomness, kwargs))
        return _joined(parts, out_dims)

    return mapped


def _check_randomness(randomness: str) -> None:
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            f"Only allowed values for randomness are 'error', 'different', or 'same'. "
            f"Got {randomness}"
        )


def _name(func: Callable) -> str:
    return getattr(func, "__name__", repr(func))


def _flat_inputs(
    func: Callable, in_dims: InDims, args: tuple
) -> tuple[int, list[int | None], list[Any], Any]:
    """How many examples there are; the dimension of each leaf of ``args``; the leaves; how they
    are nested. ValueError where these do not fit together."""
    place = f"vmap({_name(func)}, in_dims={in_dims}, ...)(<inputs>)"
    if not isinstance(in_dims, int) and not isinstance(in_dims, tuple):
        raise ValueError(
            f"{place}: expected `in_dims` to be int or a (potentially nested) tuple matching the "
            f"structure of inputs, got: {type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"{place}: got no inputs. Maybe you forgot to add inputs, or you are trying to vmap "
            "over a function with no inputs. The latter is unsupported."
        )
    leaves, spec = tree_flatten(args)
    dims = broadcast_to(in_dims, spec)
    if dims is None:
        raise ValueError(
            f"{place}: in_dims is not compatible with the structure of `inputs`. in_dims has "
            f"structure {tree_flatten(in_dims)[1]} but inputs has structure {spec}."
        )
    sizes = []
    for i, (v, d) in enumerate(zip(leaves, dims, strict=True)):
        if d is None:
            continue
        if not isinstance(d, int):
            raise ValueError(
                f"{place}: Got in_dim={d} for an input but in_dim must be either an integer "
                "dimension or None."
            )
        if not isinstance(v, Value):
            raise ValueError(
                f"{place}: Got in_dim={d} for an input but the input is of type {type(v)}. We "
                "cannot vmap over non-Tensor arguments, please use None as the respective in_dim"
            )
        n = v._array.ndim
        if not -n <= d < n:
            raise ValueError(
                f"{place}: Got in_dim={d} for some input, but that input is a Tensor of "
                f"dimensionality {n} so expected in_dim to satisfy -{n} <= in_dim < {n}."
            )
        dims[i] = d % n
        sizes.append(v._array.shape[d])
    if not sizes:
        raise ValueError(
            f"vmap: Expected at least one Tensor to vmap over\n  {place}: every in_dim is None"
        )
    if len(set(sizes)) > 1:
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
            f"{sizes} for the mapped dimension"
        )
    if not sizes[0]:
        raise RuntimeError("vmap: there are no examples: the mapped dimension has size 0")
    return sizes[0], dims, leaves, spec


def _run(
    func: Callable,
    size: int,
    dims: Sequence[int | None],
    leaves: Sequence[Any],
    spec: Any,
    out_dims: OutDims,
    randomness: str,
    kwargs: dict,
) -> Any:
    """``func`` on all examples at once."""
    if randomness == "different":
        return _one_by_one(func, size, dims, leaves, spec, out_dims, kwargs)
    level = Batch(size, randomness)
    below = hook.active
    inputs = [v if d is None else batched(v, d, level) for v, d in zip(leaves, dims, strict=True)]
    with level:
        outputs = func(*tree_unflatten(inputs, spec), **kwargs)
        flat, out_spec = tree_flatten(outputs)
        places = _out_places(func, out_dims, flat, out_spec)
        hook.active = below
        try:
            results = [_result(level, v, d, func) for v, d in zip(flat, places, strict=True)]
        finally:
            hook.active = level
    return tree_unflatten(results, out_spec)


def _out_places(func: Callable, out_dims: OutDims, flat: list, spec: Any) -> list[int | None]:
    for v in flat:
        if not isinstance(v, Value):
            raise ValueError(
                f"vmap({_name(func)}, ...): `{_name(func)}` must only return Tensors, got type "
                f"{type(v)}. Did you mean to set out_dims= to None for output?"
            )
    if isinstance(out_dims, int) or out_dims is None:
        return [out_dims] * len(flat)
    if len(flat) == 1 and spec.type is None and len(out_dims) == 1:
        return list(out_dims)
    places = broadcast_to(tuple(out_dims) if isinstance(out_dims, list) else out_dims, spec)
    if places is None:
        raise ValueError(
            f"vmap({_name(func)}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible "
            f"with the structure of `outputs`. out_dims has structure "
            f"{tree_flatten(out_dims)[1]} but outputs has structure {spec}."
        )
    return places


def _result(level: Level, value: Value, place: int | None, func: Callable) -> Value:
    """The tensor of all examples of an output, with the batch at ``place``."""
    inner, dim = level.inside(value)
    if place is None:
        if dim is not None:
            raise ValueError(
                f"vmap({_name(func)}, ...): `{_name(func)}` can not return a BatchedTensor when "
                "out_dim is None\n  its examples differ: the result needs a dimension for them"
            )
        return inner
    ndim = value._array.ndim + 1
    if not -ndim <= place < ndim:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-ndim}, {ndim - 1}], but got "
            f"{place})"
        )
    whole = inner.expand(level.size, *inner._array.shape) if dim is None else front(inner, dim)
    place %= ndim
    return whole if place == 0 else whole.movedim(0, place)


def _one_by_one(
    func: Callable,
    size: int,
    dims: Sequence[int | None],
    leaves: Sequence[Any],
    spec: Any,
    out_dims: OutDims,
    kwargs: dict,
) -> Any:
    """``func`` called once for each example, so that each draws numbers of its own."""
    rows = []
    for i in range(size):
        example = [v if d is None else v.select(d, i) for v, d in zip(leaves, dims, strict=True)]
        outputs = func(*tree_unflatten(example, spec), **kwargs)
        flat, out_spec = tree_flatten(outputs)
        places = _out_places(func, out_dims, flat, out_spec)
        rows.append(flat)
    results = [
        column[0] if place is None else stack(tuple(column), place)
        for column, place in zip(zip(*rows, strict=True), places, strict=True)
    ]
    return tree_unflatten(results, out_spec)


def _joined(parts: list, out_dims: OutDims) -> Any:
    """The results of several chunks as one."""
    flats = [tree_flatten(p)[0] for p in parts]
    spec = tree_flatten(parts[0])[1]
    if isinstance(out_dims, int) or out_dims is None:
        places = [out_dims] * len(flats[0])
    else:
        places = broadcast_to(tuple(out_dims), spec) or list(out_dims)
    results = [
        column[0] if place is None else cat(column, place)
        for column, place in zip(zip(*flats, strict=True), places, strict=True)
    ]
    return tree_unflatten(results, spec)


def current_level() -> Level | None:
    """The innermost ``vmap`` that is being run in this thread."""
    level = hook.active
    mine = isinstance(level, Level) and level.thread == threading.get_ident()
    return level if mine else None  # meta tensors are a level, too, but of no thread


__all__ = ["vmap"]
