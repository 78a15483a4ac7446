"""Methods of tensors that PyTorch has as functions, too; arithmetic on sizes; ``cond``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.modes import by_copy
from ..core.value import Value, constant, reading

Number = int | float


def get_device(input: Value) -> int:
    """``input.get_device()``: -1 for the CPU."""
    return input.get_device()


def is_signed(input: Value) -> bool:
    """``input.is_signed()``: whether the dtype has negative values."""
    return input.is_signed()


def is_inference(input: Value) -> bool:
    """``input.is_inference()``: whether it was made in ``inference_mode``."""
    return input.is_inference()


def is_neg(input: Value) -> bool:
    """``input.is_neg()``: False, negation is never put off."""
    return input.is_neg()


def is_distributed(input: Value) -> bool:
    """Whether the elements are on several machines: False."""
    return False


def resolve_conj(input: Value) -> Value:
    """``input``: conjugation is done at once."""
    return input.resolve_conj()


def resolve_neg(input: Value) -> Value:
    """``input``: negation is done at once."""
    return input.resolve_neg()


def detach_(input: Value) -> Value:
    """``input.detach_()``."""
    return input.detach_()


def resize_as_(input: Value, the_template: Value, *, memory_format: object = None) -> Value:
    """``input.resize_as_(the_template)``."""
    return input.resize_as_(the_template, memory_format=memory_format)


def addmv_(input: Value, mat: Value, vec: Value, *, beta: Number = 1, alpha: Number = 1) -> Value:
    """``input.addmv_(mat, vec)``."""
    return input.addmv_(mat, vec, beta=beta, alpha=alpha)


@by_copy
def nonzero_static(input: Value, *, size: int, fill_value: int = -1) -> Value:
    """The first ``size`` positions of elements that are not zero, (size, input.dim()); rows that
    are left hold ``fill_value``.

    RuntimeError for a negative ``size``.
    """
    if size < 0:
        raise RuntimeError(
            f"nonzero_static: 'size' must be an non-negative integer\n  it is {size}"
        )
    reading(input, "nonzero_static")
    array = input._array
    out = np.full((size, array.ndim), fill_value, np.int64)
    found = np.argwhere(array)[:size]
    out[: len(found)] = found
    return constant(out)


def cond(
    pred: bool | Value, true_fn: Callable, false_fn: Callable, operands: Sequence[Any] = ()
) -> Any:
    """``true_fn(*operands)`` where ``pred`` holds, otherwise ``false_fn(*operands)``.

    RuntimeError unless ``pred`` is a bool or a tensor with one element.
    Source: https://docs.pytorch.org/docs/stable/cond.html
    """
    if isinstance(pred, Value):
        if pred.numel() != 1:
            raise RuntimeError(
                f"Expected pred to be bool or single-element tensor, but got one of "
                f"{pred.numel()} elements"
            )
    elif not isinstance(pred, (bool, int, float)):
        raise RuntimeError(f"Expected pred to be bool or tensor, but got {pred}")
    if not isinstance(operands, (tuple, list)):
        raise RuntimeError(
            f"Expect operands to be a tuple of possibly nested dict/list/tuple, got {operands}"
        )
    return (true_fn if pred else false_fn)(*operands)


def sym_int(a: Number) -> int:
    """``a`` as an int, rounded towards zero."""
    return math.trunc(a)


def sym_float(a: Number) -> float:
    """``a`` as a float."""
    return float(a)


def sym_not(a: bool) -> bool:
    """``not a``."""
    return not a


def sym_max(a: Number, b: Number) -> Number:
    """The larger one: a float if one of them is."""
    return _alike(max, a, b)


def sym_min(a: Number, b: Number) -> Number:
    """The smaller one: a float if one of them is."""
    return _alike(min, a, b)


def _alike(choose: Callable, a: Number, b: Number) -> Number:
    chosen = choose(a, b)
    return float(chosen) if isinstance(a, float) or isinstance(b, float) else chosen


def sym_sum(*args: Any) -> Number:
    """The sum of the numbers in a list, or of the arguments."""
    return sum(args[0] if len(args) == 1 and isinstance(args[0], (list, tuple)) else args)


def sym_ite(b: bool, t: Any, f: Any) -> Any:
    """``t`` if ``b``, otherwise ``f``."""
    return t if b else f


def sym_sqrt(a: Number) -> float:
    """The square root."""
    return math.sqrt(a)
