"""``torch._foreach_*``: one operation over every tensor of a list, as a loop over them.

Each works as its namesake does on one tensor, gradients included. The plain ones return a tuple,
those that end in ``_`` change the tensors and return the list that they were given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .._dtypes import dtype
from ..core.promotion import Number
from ..core.value import Value
from ..ops.norms import vector_norm

Tensors = Sequence[Value]
Other = Any  # a number, one tensor, or a sequence of either, one for each tensor

_UNARY = """
    abs acos asin atan ceil cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p log2 neg
    reciprocal round rsqrt sigmoid sign sin sinh sqrt tan tanh trunc
""".split()
_BINARY = "add clamp_max clamp_min div maximum minimum mul pow sub".split()
#: What a number does where the operation of two tensors has another name.
_WITH_NUMBER = {"maximum": "clamp_min", "minimum": "clamp_max"}
_WITH_TENSOR = {"clamp_max": "minimum", "clamp_min": "maximum"}


def _listed(tensors: Tensors, name: str) -> Tensors:
    """The list, checked: RuntimeError where it is empty, TypeError for what is no tensor."""
    if isinstance(tensors, Value) or not all(isinstance(t, Value) for t in tensors):
        raise TypeError(f"{name}(): argument 'self' must be tuple of Tensors")
    if not len(tensors):
        raise RuntimeError("Tensor list must have at least one tensor.")
    return tensors


def _each(other: Other, count: int) -> Sequence:
    """What goes with each tensor: entry i of a sequence, or ``other`` itself with all."""
    if isinstance(other, Value) or not isinstance(other, list | tuple):
        return [other] * count
    if len(other) != count:
        if any(isinstance(o, Value) for o in other):
            raise RuntimeError(
                f"Tensor lists must have the same number of tensors, got {count} and {len(other)}"
            )
        raise RuntimeError(
            "Tensor list must have same number of elements as scalar list: "
            f"{count} tensors and {len(other)} numbers"
        )
    return other


def _method(name: str, operand: object) -> str:
    """The method of a tensor that does it with this operand."""
    bare = name.removesuffix("_")
    return (_WITH_TENSOR if isinstance(operand, Value) else _WITH_NUMBER).get(bare, bare)


def _make_unary(op: str, in_place: bool) -> Callable[[Tensors], Tensors]:
    name = f"_foreach_{op}" + "_" * in_place

    def apply(self: Tensors) -> Tensors:
        return tuple(getattr(t, op)() for t in _listed(self, name))

    def change(self: Tensors) -> Tensors:
        for t in _listed(self, name):
            getattr(t, op + "_")()
        return self

    return _named(change if in_place else apply, name, f"``{op}`` of every tensor.")


def _make_binary(op: str, in_place: bool) -> Callable[..., Tensors]:
    name = f"_foreach_{op}" + "_" * in_place

    def apply(self: Tensors, other: Other, *, alpha: Number = 1) -> Tensors:
        more = {"alpha": alpha} if alpha != 1 else {}
        if op == "pow" and not isinstance(self, list | tuple):
            return tuple(self**t for t in _listed(other, name))
        others = _each(other, len(_listed(self, name)))
        return tuple(
            getattr(t, _method(op, o))(o, **more) for t, o in zip(self, others, strict=True)
        )

    def change(self: Tensors, other: Other, *, alpha: Number = 1) -> Tensors:
        more = {"alpha": alpha} if alpha != 1 else {}
        others = _each(other, len(_listed(self, name)))
        for t, o in zip(self, others, strict=True):
            method = _method(op, o)
            if hasattr(t, method + "_"):
                getattr(t, method + "_")(o, **more)
            else:
                t.copy_(getattr(t, method)(o, **more))
        return self

    doc = f"``{op}`` of every tensor and a number, a tensor, or an entry each."
    return _named(change if in_place else apply, name, doc)


def _make_fused(op: str, in_place: bool) -> Callable[..., Tensors]:
    """addcmul and addcdiv: ``self + value * tensor1 * tensor2``, or ``/ tensor2``."""
    name = f"_foreach_{op}" + "_" * in_place

    def apply(self: Tensors, tensor1: Tensors, tensor2: Tensors, value: Other = 1) -> Tensors:
        if isinstance(value, Value):
            value = value.tolist()  # of one number, or of one each
        rows = _rows(name, self, tensor1, tensor2, value)
        done = tuple(getattr(t, op + "_" * in_place)(a, b, value=v) for t, a, b, v in rows)
        return self if in_place else done

    return _named(apply, name, f"``{op}`` of every tensor; ``value`` is one, or one each.")


def _rows(name: str, self: Tensors, *others: Other) -> list[tuple]:
    count = len(_listed(self, name))
    return list(zip(self, *(_each(o, count) for o in others), strict=True))


def _named(function: Callable, name: str, doc: str) -> Callable:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def _foreach_lerp(self: Tensors, tensors1: Tensors, weight: Other) -> Tensors:
    """``t + weight * (end - t)`` for every tensor."""
    return tuple(t.lerp(end, w) for t, end, w in _rows("_foreach_lerp", self, tensors1, weight))


def _foreach_lerp_(self: Tensors, tensors1: Tensors, weight: Other) -> Tensors:
    """The same in place."""
    for t, end, w in _rows("_foreach_lerp_", self, tensors1, weight):
        t.lerp_(end, w)
    return self


def _foreach_norm(self: Tensors, ord: Number = 2, dtype: dtype | None = None) -> Tensors:
    """The ``ord``-norm of all elements of every tensor."""
    return tuple(vector_norm(t, ord, dtype=dtype) for t in _listed(self, "_foreach_norm"))


def _foreach_max(self: Tensors) -> Tensors:
    """The largest element of every tensor."""
    return tuple(t.max() for t in _listed(self, "_foreach_max"))


def _foreach_clone(self: Tensors) -> Tensors:
    """A copy of every tensor."""
    return tuple(t.clone() for t in _listed(self, "_foreach_clone"))


def _foreach_copy_(self: Tensors, src: Tensors, non_blocking: bool = False) -> Tensors:
    """Every tensor becomes a copy of the entry of ``src``."""
    for t, s in _rows("_foreach_copy_", self, src):
        t.copy_(s)
    return self


def _foreach_zero_(self: Tensors) -> Tensors:
    """Every tensor becomes zero."""
    for t in _listed(self, "_foreach_zero_"):
        t.zero_()
    return self


globals().update(
    {
        made.__name__: made
        for names, make in (
            (_UNARY, _make_unary),
            (_BINARY, _make_binary),
            (("addcdiv", "addcmul"), _make_fused),
        )
        for op in names
        for made in (make(op, False), make(op, True))
    }
)
