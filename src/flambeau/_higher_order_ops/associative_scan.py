"""Running results of an associative function: cumsum, for any function in place of the sum.

Source: G. Blelloch, "Prefix sums and their applications" (1990).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._missing import missing as _missing
from ..ops.joining import cat, stack
from ..tensor._tensor import Tensor
from ..utils._pytree import tree_flatten, tree_leaves, tree_unflatten


def associative_scan(
    combine_fn: Callable[[Any, Any], Any],
    xs: Any,
    dim: int,
    reverse: bool = False,
    combine_mode: str = "pointwise",
) -> Any:
    """y[0] = x[0], y[i] = combine_fn(y[i-1], x[i]) along ``dim``, in log2(n) rounds.

    ``combine_fn``    (a, b) -> a value like them; associative. It is called on slices of many steps
                      at once; with ``combine_mode="generic"``, too, it has to keep to single steps
    ``xs``            a tensor, or nested containers of tensors that are as long along ``dim``
    ``reverse``       from the end to the beginning

    RuntimeError for no tensors, and for tensors of different lengths.
    """
    leaves, spec = tree_flatten(xs)
    if combine_mode not in ("pointwise", "generic"):
        raise ValueError(
            f"Combine_mode must either 'pointwise' or 'generic', but got {combine_mode}"
        )
    if not leaves:
        raise RuntimeError("Expected at least 1 xs leaf")
    if not all(isinstance(x, Tensor) for x in leaves):
        raise RuntimeError("xs leaves must be a Tensor")
    # The scan runs along the first dimension.
    moved = [x.movedim(dim, 0) for x in leaves]
    if len({len(x) for x in moved}) > 1:
        lengths = ", ".join(str(len(x)) for x in moved)
        raise RuntimeError(f"xs leaves must be as long along dim {dim}, but they are {lengths}")
    if reverse:
        moved = [x.flip(0) for x in moved]

    def combine(a: list[Tensor], b: list[Tensor]) -> list[Tensor]:
        back = lambda parts: tree_unflatten([p.movedim(0, dim) for p in parts], spec)
        return [r.movedim(dim, 0) for r in tree_leaves(combine_fn(back(a), back(b)))]

    done = _scan(combine, moved)
    if reverse:
        done = [y.flip(0) for y in done]
    return tree_unflatten([y.movedim(0, dim) for y in done], spec)


def _scan(combine: Callable[[list, list], list], xs: list[Tensor]) -> list[Tensor]:
    """Pairs are combined, their scan gives the odd results, and those with the next the even."""
    n = len(xs[0])
    if n < 2:
        return xs
    odd = _scan(combine, combine([x[:-1:2] for x in xs], [x[1::2] for x in xs]))
    if n == 2:
        return [cat([x[:1], o]) for x, o in zip(xs, odd)]
    shorter = [o[: (n - 1) // 2] for o in odd]
    even = combine(shorter, [x[2::2] for x in xs])
    even = [cat([x[:1], e]) for x, e in zip(xs, even)]
    return [_interleaved(e, o) for e, o in zip(even, odd)]


def _interleaved(even: Tensor, odd: Tensor) -> Tensor:
    """even[0], odd[0], even[1], odd[1], ...; ``even`` may be one longer."""
    count = len(odd)
    pairs = stack([even[:count], odd], 1).flatten(0, 1)
    return cat([pairs, even[count:]]) if len(even) > count else pairs


def __getattr__(name: str) -> object:
    raise _missing(__name__, name, globals())
