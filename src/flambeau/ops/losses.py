"""Losses that training programs use most, each one record with a fused gradient.

A loss of the difference d = input - target is two formulas: its value f(d) and its slope f'(d).
Reductions: "none", "mean" (over all elements) and "sum".
Source: https://docs.pytorch.org/docs/stable/nn.functional.html#loss-functions
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from .. import _shapes
from .._dtypes import from_numpy
from .._errors import type_name
from ..core import threads
from ..core.modes import hook, state
from ..core.op import define, unsupported
from ..core.promotion import result_type, widened
from ..core.value import Value
from ._activation_arrays import above_zero, logistic, tail
from ._reduce import total
from .cross_entropy import reduction_of

ndarray = np.ndarray


# ---- reductions -----------------------------------------------------------------------------


def reduced(values: Value, reduction: str) -> Value:
    """``values`` themselves ("none"), their mean or their sum."""
    if reduction == "none":
        return values
    return values.mean() if reduction == "mean" else values.sum()


def _reduced_array(formula: Callable[..., ndarray], reduction: str, *arrays: ndarray) -> ndarray:
    """``formula`` of arrays, reduced; large ones by pieces, so that no full array is made."""
    first = arrays[0]
    if reduction == "none":
        return _spread(formula, *arrays)
    size = first.size
    plain = all(a.shape == first.shape and a.flags.c_contiguous for a in arrays)
    if size > threads.LARGE and plain:
        flat = [a.reshape(-1) for a in arrays]
        sums = np.zeros(-(-size // threads.BLOCK), first.dtype)

        def part(start: int, stop: int) -> None:
            for i in range(start, stop, threads.BLOCK):
                pieces = [a[i : min(i + threads.BLOCK, stop)] for a in flat]
                sums[i // threads.BLOCK] = np.add.reduce(formula(*pieces))

        threads.run_parts(part, size, threads.BLOCK)
        r = np.add.reduce(sums)
    else:
        values = formula(*arrays)
        size = values.size
        if size < 1024:
            r = np.add.reduce(values, None)
        else:
            r = total(values, tuple(range(values.ndim)), False, values.dtype)
    if reduction == "mean":
        r = r / size if size else np.full((), np.nan, first.dtype)
    return np.asarray(r, first.dtype)


def _spread(formula: Callable[..., ndarray], *arrays: ndarray) -> ndarray:
    first = arrays[0]
    if first.size >= threads.LARGE:
        r = threads.elementwise(formula, first.dtype, *arrays)
        if r is not None:
            return r
    return formula(*arrays)


# ---- losses of a difference -------------------------------------------------------------------


DIFFERENCES: dict[str, tuple[Callable, Callable]] = {}


def _of_difference(
    name: str,
    value: Callable[[ndarray, float], ndarray],
    slope: Callable[[ndarray, float], ndarray],
    tensor_slope: Callable[[Value, float], Value],
) -> Callable[[Value, Value, float, str], Value]:
    """The record of a loss of input - target, with one number as parameter; its value and slope
    are kept in ``DIFFERENCES``.

    ``tensor_slope`` is the slope in differentiable operations, for gradients of gradients.
    """

    DIFFERENCES[name] = value, slope

    def forward(x: ndarray, target: ndarray, number: float, reduction: str) -> ndarray:
        return _reduced_array(lambda a, b: value(a - b, number), reduction, x, target)

    def backward_forward(
        grad: ndarray, x: ndarray, target: ndarray, number: float, reduction: str
    ) -> ndarray:
        if reduction == "none":
            return _spread(lambda a, b, g: slope(a - b, number) * g, x, target, grad)
        factor = grad / x.size if reduction == "mean" else grad
        factor = x.dtype.type(factor)
        return _spread(lambda a, b: slope(a - b, number) * factor, x, target)

    backward = define(name + "_backward", widened(backward_forward))

    def vjp(
        g: Value, x: Value, target: Value, number: float, reduction: str, needs: tuple
    ) -> tuple:
        if state.grad:
            r = tensor_slope(x - target, number) * g
            r = r / x.numel() if reduction == "mean" else r
        else:
            r = backward(g, x, target, number, reduction)
        return (r if needs[0] else None, -r if needs[1] else None)

    return define(name, widened(forward), vjp)


_mse = _of_difference("mse_loss", lambda d, _: d * d, lambda d, _: d * 2, lambda d, _: d * 2)
_l1 = _of_difference(
    "l1_loss", lambda d, _: np.abs(d), lambda d, _: np.sign(d), lambda d, _: d.sign()
)


def _smooth_l1_value(d: ndarray, beta: float) -> ndarray:
    a = np.abs(d)
    if beta == 0:
        return a
    near = np.minimum(a, beta)  # a^2 / 2 beta, then straight on
    return near * near * (0.5 / beta) + (a - near)


_smooth_l1 = _of_difference(
    "smooth_l1_loss",
    _smooth_l1_value,
    lambda d, beta: np.clip(d / beta, -1, 1) if beta else np.sign(d),
    lambda d, beta: (d / beta).clamp(-1, 1) if beta else d.sign(),
)


def _huber_value(d: ndarray, delta: float) -> ndarray:
    a = np.abs(d)
    near = np.minimum(a, delta)
    return near * (a - near * 0.5)


_huber = _of_difference(
    "huber_loss",
    _huber_value,
    lambda d, delta: np.clip(d, -delta, delta),
    lambda d, delta: d.clamp(-delta, delta),
)


def _pair(name: str, input: Value, target: Value, complex_ok: bool = False) -> tuple[Value, Value]:
    """Both operands in one floating dtype and one shape; a warning where shapes differ."""
    for value, argument in ((input, "input"), (target, "target")):
        if not isinstance(value, Value):
            raise TypeError(
                f"{name}(): argument '{argument}' must be Tensor, not {type_name(value)}"
            )
    x, t = input._array, target._array
    if x.shape != t.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}). This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.",
            UserWarning,
            stacklevel=4,
        )
        if hook.active is not None:
            what = f"{name} broadcasts its operands of shapes {x.shape} and {t.shape}"
            hook.active.doubted("loss shapes", what)
        shape = _shapes.broadcast(x.shape, t.shape)
        input, target = input.expand(shape), target.expand(shape)
    if x.dtype is not t.dtype or x.dtype.kind in "biuc":
        d = result_type(input, target)
        if not d.is_floating_point and not (complex_ok and d.is_complex):
            if name == "l1_loss":
                raise RuntimeError(
                    "mean(): could not infer output dtype. Input dtype must be either a floating "
                    f"point or complex dtype. Got: {d.legacy_name}"
                )
            raise unsupported(name.removesuffix("_loss"), d)
        input, target = input.to(d), target.to(d)
    return input, target


def _weighted(losses: Value, weight: Value, reduction: str, input: Value, by_weight: bool) -> Value:
    if weight.shape != input.shape:
        raise ValueError(
            "Weights and input must have the same size.\n"
            f"  weight has shape {tuple(weight.shape)}, input {tuple(input.shape)}"
        )
    losses = losses * weight
    if reduction == "mean" and by_weight:
        return losses.sum() / weight.sum()
    return reduced(losses, reduction)


def mse_loss(
    input: Value,
    target: Value,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Value | None = None,
) -> Value:
    """``(input - target)^2``; with ``weight`` the mean is the weighted one."""
    if size_average is not None or reduce is not None or reduction != "mean":
        reduction = reduction_of(reduction, size_average, reduce)
    given = input
    input, target = _pair("mse_loss", input, target)
    if weight is not None:
        return _weighted(_mse(input, target, 0, "none"), weight, reduction, given, True)
    return _mse(input, target, 0, reduction)


def l1_loss(
    input: Value,
    target: Value,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Value | None = None,
) -> Value:
    """``|input - target|``; with ``weight`` the mean is the weighted one."""
    reduction = reduction_of(reduction, size_average, reduce)
    given = input
    input, target = _pair("l1_loss", input, target, complex_ok=True)
    if weight is not None:
        return _weighted((input - target).abs(), weight, reduction, given, True)
    if input._array.dtype.kind == "c":
        return reduced((input - target).abs(), reduction)
    return _l1(input, target, 0, reduction)


def smooth_l1_loss(
    input: Value,
    target: Value,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Value:
    """``d^2 / (2 beta)`` where |d| < beta, else ``|d| - beta / 2``, for d = input - target."""
    reduction = reduction_of(reduction, size_average, reduce)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    input, target = _pair("smooth_l1_loss", input, target)
    return _smooth_l1(input, target, beta, reduction)


def huber_loss(
    input: Value,
    target: Value,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Value | None = None,
) -> Value:
    """``d^2 / 2`` where |d| < delta, else ``delta (|d| - delta / 2)``, for d = input - target."""
    reduction = reduction_of(reduction, None, None)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    given = input
    input, target = _pair("huber_loss", input, target)
    if weight is not None:
        return _weighted(_huber(input, target, delta, "none"), weight, reduction, given, False)
    return _huber(input, target, delta, reduction)


# ---- binary cross entropy ---------------------------------------------------------------------


def bce_value(x: ndarray, t: ndarray) -> ndarray:
    # Logarithms are kept above -100, so that a wrong certainty costs a finite loss.
    one = np.maximum(np.log(x), -100)
    zero = np.maximum(np.log1p(-x), -100)
    return (t - 1) * zero - t * one


def _bce_forward(x: ndarray, target: ndarray, weight: ndarray | None, reduction: str) -> ndarray:
    if x.size and not (x.min() >= 0 and x.max() <= 1):
        bad = int(np.argmax(~((x >= 0) & (x <= 1)).reshape(-1)))
        raise RuntimeError(
            "all elements of input should be between 0 and 1\n"
            f"  binary_cross_entropy takes probabilities, but element {bad} is "
            f"{x.reshape(-1)[bad]:g}; for scores use binary_cross_entropy_with_logits"
        )
    if target.size and not (target.min() >= 0 and target.max() <= 1):
        bad = int(np.argmax(~((target >= 0) & (target <= 1)).reshape(-1)))
        raise RuntimeError(
            "all elements of target should be between 0 and 1\n"
            f"  element {bad} of the target is {target.reshape(-1)[bad]:g}; are these labels of "
            "several classes (cross_entropy) or values (mse_loss)?"
        )
    if weight is None:
        return _reduced_array(bce_value, reduction, x, target)
    return _reduced_array(lambda a, b, w: bce_value(a, b) * w, reduction, x, target, weight)


def _bce_backward_forward(
    grad: ndarray, x: ndarray, target: ndarray, weight: ndarray | None, reduction: str
) -> ndarray:
    factor = grad / x.size if reduction == "mean" else grad
    r = (x - target) / np.maximum(x * (1 - x), 1e-12)
    r *= factor
    return r if weight is None else r * weight


_bce_backward = define("binary_cross_entropy_backward", widened(_bce_backward_forward))


def _bce_vjp(
    g: Value, x: Value, target: Value, weight: Value | None, reduction: str, needs: tuple
) -> tuple:
    into_x = into_target = None
    scale = g / x.numel() if reduction == "mean" else g
    if weight is not None:
        scale = scale * weight
    if needs[0]:
        if state.grad:
            into_x = (x - target) / (x * (1 - x)).clamp(min=1e-12) * scale
        else:
            into_x = _bce_backward(g, x, target, weight, reduction)
    if needs[1]:
        into_target = ((1 - x).log().clamp(min=-100) - x.log().clamp(min=-100)) * scale
    return (into_x, into_target, *([None] if weight is not None else ()))


_bce = define("binary_cross_entropy", widened(_bce_forward), _bce_vjp)


def binary_cross_entropy(
    input: Value,
    target: Value,
    weight: Value | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Value:
    """``-(target log(input) + (1 - target) log(1 - input))`` of probabilities ``input``.

    RuntimeError for an input outside [0, 1].
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if target._array.shape != input._array.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}) is deprecated. Please ensure they have the same size."
        )
    _same_floating("binary_cross_entropy", input, target)
    if weight is not None:
        weight = _spread_weight(weight, input)
    return _bce(input, target, weight, reduction)


def _same_floating(name: str, input: Value, target: Value) -> None:
    x, t = from_numpy(input._array.dtype), from_numpy(target._array.dtype)
    if not x.is_floating_point:
        raise unsupported(name, x)
    if x is not t:
        raise RuntimeError(
            f"Found dtype {t.legacy_name} but expected {x.legacy_name}\n"
            f"  {name} takes targets of the input's dtype: use target.to(input.dtype)"
        )


def _spread_weight(weight: Value, input: Value) -> Value:
    shape, wanted = weight._array.shape, input._array.shape
    if shape == wanted:
        return weight
    try:
        return weight.expand(wanted)
    except RuntimeError:
        pairs = enumerate(zip(reversed(shape), (*reversed(wanted), 1), strict=False), 1)
        place = next((i for i, (n, m) in pairs if n not in (1, m)), 1)
        raise RuntimeError(
            f"Attempting to broadcast a dimension of length {shape[-place]} at -{place}! "
            f"Mismatching argument at index 1 had {weight.shape}; but expected shape should be "
            f"broadcastable to {list(wanted)}"
        ) from None


def _logits_value(x: ndarray, t: ndarray) -> ndarray:
    # (1 - t) x + log(1 + exp(-x)), without overflow
    r = tail(x)
    np.add(r, above_zero(x), r)
    return np.subtract(r, t * x, r)


def _logits_weighted_value(x: ndarray, t: ndarray, pos: ndarray) -> ndarray:
    return (1 - t) * x + ((pos - 1) * t + 1) * (tail(x) + above_zero(-x))


def _logits_forward(
    x: ndarray,
    target: ndarray,
    weight: ndarray | None,
    pos_weight: ndarray | None,
    reduction: str,
) -> ndarray:
    def formula(a: ndarray, b: ndarray, *rest: ndarray) -> ndarray:
        if pos_weight is None:
            r = _logits_value(a, b)
        else:
            r = _logits_weighted_value(a, b, rest[-1])
        return r if weight is None else r * rest[0]

    extra = [w for w in (weight, pos_weight) if w is not None]
    return _reduced_array(formula, reduction, x, target, *extra)


def _logits_backward_forward(
    grad: ndarray,
    x: ndarray,
    target: ndarray,
    weight: ndarray | None,
    pos_weight: ndarray | None,
    reduction: str,
) -> ndarray:
    factor = grad / x.size if reduction == "mean" else grad
    if pos_weight is None:
        r = logistic(x)
        r -= target
    else:
        r = (1 - target) - ((pos_weight - 1) * target + 1) * logistic(-x)
    r = r * factor
    return r if weight is None else r * weight


_logits_backward = define(
    "binary_cross_entropy_with_logits_backward", widened(_logits_backward_forward)
)


def _logits_vjp(
    g: Value,
    x: Value,
    target: Value,
    weight: Value | None,
    pos_weight: Value | None,
    reduction: str,
    needs: tuple,
) -> list:
    into_x = into_target = None
    if needs[0] and not state.grad:
        into_x = _logits_backward(g, x, target, weight, pos_weight, reduction)
    if needs[1] or state.grad:
        scale = g / x.numel() if reduction == "mean" else g
        scale = scale if weight is None else scale * weight
        s = x.sigmoid()
        if pos_weight is None:
            into_x = (s - target) * scale if state.grad else into_x
            into_target = -x * scale
        else:
            if state.grad:
                into_x = ((1 - target) - ((pos_weight - 1) * target + 1) * (1 - s)) * scale
            softplus = (-x.abs()).exp().log1p() + (-x).clamp(min=0)
            into_target = ((pos_weight - 1) * softplus - x) * scale
    extra = sum(w is not None for w in (weight, pos_weight))
    return [into_x if needs[0] else None, into_target if needs[1] else None, *[None] * extra]


_logits = define("binary_cross_entropy_with_logits", widened(_logits_forward), _logits_vjp)


def binary_cross_entropy_with_logits(
    input: Value,
    target: Value,
    weight: Value | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Value | None = None,
) -> Value:
    """``binary_cross_entropy(sigmoid(input), target)``, without overflow.

    ``pos_weight`` multiplies the term of the positive class; it broadcasts.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    if target._array.shape != input._array.shape:
        raise ValueError(
            f"Target size ({target.shape}) must be the same as input size ({input.shape})\n"
            "  input holds one score for each target"
        )
    d = from_numpy(input._array.dtype)
    if not target.is_floating_point():
        t = from_numpy(target._array.dtype)
        raise RuntimeError(
            f"result type {d.legacy_name} can't be cast to the desired output type "
            f"{t.legacy_name}\n  targets are probabilities: use target.to(input.dtype)"
        )
    if target._array.dtype != input._array.dtype:
        d = result_type(input, target)
        input, target = input.to(d), target.to(d)
    if weight is not None:
        weight = weight.to(d).expand(input.shape)
    if pos_weight is not None:
        pos_weight = pos_weight.to(d).expand(input.shape)
    return _logits(input, target, weight, pos_weight, reduction)
