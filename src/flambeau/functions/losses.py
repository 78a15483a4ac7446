"""Losses composed of operations: margins, divergences, likelihoods of counts.

Reductions: "none", "mean" and "sum". Formulas:
https://docs.pytorch.org/docs/stable/nn.functional.html#loss-functions
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np

from .. import _shapes
from .._dtypes import from_numpy
from .._errors import type_name
from ..core.modes import by_copy, hook
from ..core.value import Value, constant, fails, wrap
from ..ops import activations
from ..ops.cross_entropy import cross_entropy, reduction_of
from ..ops.losses import reduced
from ..ops.products import linear
from ..tensor._creation import arange
from .distances import pairwise_distance


def _tensors(name: str, **values: object) -> None:
    for argument, value in values.items():
        if not isinstance(value, Value):
            raise TypeError(
                f"{name}(): argument '{argument}' must be Tensor, not {type_name(value)}"
            )


def kl_div(
    input: Value,
    target: Value,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Value:
    """``target * (log(target) - input)``: the Kullback-Leibler divergence of log-probabilities
    ``input`` from probabilities ``target`` (``log_target``: from their logarithms).

    "batchmean" divides the sum by the size of the batch, which is the divergence's definition.
    """
    _tensors("kl_div", input=input, target=target)
    if hook.active is not None:
        input, target = hook.active.operands("kl_div", (input, target))
    if reduction != "batchmean":
        reduction = reduction_of(reduction, size_average, reduce)
        if reduction == "mean":
            warnings.warn(
                "reduction: 'mean' divides the total loss by both the batch size and the support "
                "size. 'batchmean' divides only by the batch size, and aligns with the KL div math "
                "definition.",
                stacklevel=2,
            )
    if log_target:
        losses = target.exp() * (target - input)
    else:
        losses = target.xlogy(target) - target * input
    if reduction == "batchmean":
        return losses.sum() / input.size(0) if input.dim() else losses
    return reduced(losses, reduction)


def poisson_nll_loss(
    input: Value,
    target: Value,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Value:
    """The negative log-likelihood of counts ``target`` under a Poisson rate ``exp(input)``
    (``log_input=False``: ``input``); ``full`` adds Stirling's term."""
    if hook.active is not None:
        input, target = hook.active.operands("poisson_nll_loss", (input, target))
    reduction = reduction_of(reduction, size_average, reduce)
    losses = input.exp() - target * input if log_input else input - target * (input + eps).log()
    if full:
        stirling = target * target.log() - target + 0.5 * (2 * math.pi * target).log()
        losses = losses + stirling.masked_fill(target <= 1, 0)
    return reduced(losses, reduction)


def gaussian_nll_loss(
    input: Value,
    target: Value,
    var: Value | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Value:
    """``(log(var) + (input - target)^2 / var) / 2`` with var at least ``eps``; ``full`` adds
    log(2 pi) / 2."""
    if isinstance(var, (int, float)):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = constant(np.full(input._array.shape, var, input._array.dtype))
    else:
        if fails(var < 0):
            raise ValueError("var has negative entry/entries")
    if var.shape != input.shape:
        shape, wanted = tuple(var.shape), tuple(input.shape)
        if shape == wanted[:-1]:
            var = var.unsqueeze(-1)
        elif not (shape[:-1] == wanted[:-1] and shape[-1:] == (1,)):
            try:
                fits = _shapes.broadcast(shape, wanted) == wanted
            except RuntimeError:
                fits = False
            if not fits or len(shape) != len(wanted):
                raise ValueError(
                    f"var is of incorrect size\n  input has shape {wanted}, var {shape}: it must "
                    "have the same shape, or one variance for each row"
                )
    reduction = reduction_of(reduction, None, None)
    # The bound passes gradients through, as PyTorch's does.
    wide = from_numpy(np.promote_types(var._array.dtype, np.float32))
    low = (eps - var.detach().to(wide)).clamp(min=0)
    var = var + low.to(var.dtype)
    losses = 0.5 * (var.log() + (input - target).square() / var)
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return reduced(losses, reduction)


def linear_cross_entropy(
    input: Value,
    linear_weight: Value,
    target: Value,
    *,
    linear_bias: Value | None = None,
    weight: Value | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: object = None,
) -> Value:
    """``cross_entropy(linear(input, linear_weight, linear_bias), target)``.

    ``linear_weight``: (C, in) or (C, d1, ..., in) for targets (N, d1, ...). ``options`` are
    accepted: they change how PyTorch uses memory, not the result.
    """
    *outer, width = linear_weight.shape
    if ignore_index is not None and target.is_floating_point():
        raise RuntimeError(
            "ignore_index cannot be specified when target contains probabilities\n"
            "  it marks class numbers without a label; probabilities have none to ignore"
        )
    if len(outer) > 1 and input.dim() < 2:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {list(linear_weight.shape)} "
            f"requires batched input, [N, {width}], got unbatched input with shape "
            f"{list(input.shape)}"
        )
    bias = None if linear_bias is None else linear_bias.reshape(-1)
    logits = linear(input, linear_weight.reshape(-1, width), bias)
    if len(outer) > 1:
        logits = logits.reshape(*input.shape[:-1], *outer)
    return cross_entropy(
        logits,
        target,
        weight,
        ignore_index=-100 if ignore_index is None else ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


# ---- margins -----------------------------------------------------------------------------------


def hinge_embedding_loss(
    input: Value,
    target: Value,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Value:
    """``input`` where target is 1, ``max(0, margin - input)`` where it is -1."""
    if hook.active is not None:
        input, target = hook.active.operands("hinge_embedding_loss", (input, target))
    reduction = reduction_of(reduction, size_average, reduce)
    apart = (-input + margin).clamp(min=0).masked_fill(target == 1, 0)
    losses = apart + input.masked_fill(target == -1, 0)
    return reduced(losses, reduction)


def margin_ranking_loss(
    input1: Value,
    input2: Value,
    target: Value,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Value:
    """``max(0, -target * (input1 - input2) + margin)``: target 1 says that input1 is greater."""
    if hook.active is not None:
        input1, input2, target = hook.active.operands(
            "margin_ranking_loss", (input1, input2, target)
        )
    reduction = reduction_of(reduction, size_average, reduce)
    if not input1.dim() == input2.dim() == target.dim():
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.shape}, input2: {input2.shape}, target: {target.shape} "
        )
    return reduced((-target * (input1 - input2) + margin).clamp(min=0), reduction)


def cosine_embedding_loss(
    input1: Value,
    input2: Value,
    target: Value,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Value:
    """``1 - cos(input1, input2)`` where target is 1, ``max(0, cos - margin)`` where it is -1."""
    if hook.active is not None:
        input1, input2, target = hook.active.operands(
            "cosine_embedding_loss", (input1, input2, target)
        )
    reduction = reduction_of(reduction, size_average, reduce)
    rank = target.dim()
    if rank not in (0, 1):
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if input1.dim() != rank + 1 or input2.dim() != rank + 1:
        raise RuntimeError(
            f"{rank}D target tensor expects {rank + 1}D input tensors, but found inputs with sizes "
            f"{list(input1.shape)} and {list(input2.shape)}."
        )
    tiny = 1e-12
    product = (input1 * input2).sum(rank)
    norms = ((input1 * input1).sum(rank) + tiny) * ((input2 * input2).sum(rank) + tiny)
    cosine = product / norms.sqrt()
    near = (1 - cosine).masked_fill(target != 1, 0)
    far = (cosine - margin).clamp(min=0).masked_fill(target != -1, 0)
    return reduced(near + far, reduction)


def soft_margin_loss(
    input: Value,
    target: Value,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Value:
    """``log(1 + exp(-target * input))`` for targets 1 and -1."""
    if hook.active is not None:
        input, target = hook.active.operands("soft_margin_loss", (input, target))
    reduction = reduction_of(reduction, size_average, reduce)
    return reduced((-target * input).exp().log1p(), reduction)


def multilabel_soft_margin_loss(
    input: Value,
    target: Value,
    weight: Value | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Value:
    """Binary cross entropy of every class (the last dimension), averaged over classes."""
    reduction = reduction_of(reduction, size_average, reduce)
    log = activations.logsigmoid
    losses = -(target * log(input) + (1 - target) * log(-input))
    if weight is not None:
        losses = losses * weight
    return reduced(losses.mean(-1), reduction)


def _rows_of_classes(name: str, input: Value) -> tuple[Value, bool]:
    """The input as (N, C), and whether it was (C)."""
    shape = input._array.shape
    if len(shape) > 2 or (len(shape) == 2 and shape[1] == 0) or shape == (0,):
        raise RuntimeError(
            "Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
            f"{list(shape)}\n  {name} takes scores (N, C) or (C)"
        )
    return (input, False) if len(shape) == 2 else (input.reshape(1, -1), True)


def multi_margin_loss(
    input: Value,
    target: Value,
    p: int = 1,
    margin: float = 1.0,
    weight: Value | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Value:
    """``sum_j max(0, margin - input[y] + input[j])^p / C`` over the other classes j, for classes
    y = ``target``; ``weight``: one factor for each class y."""
    if hook.active is not None:
        input, target = hook.active.operands("multi_margin_loss", (input, target))
    reduction = reduction_of(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.dim() != 1:
        raise ValueError("weight must be one-dimensional")
    rows, single = _rows_of_classes("multi_margin_loss", input)
    count, classes = rows.shape
    if target.dim() > 1 or target.numel() != count:
        raise RuntimeError(
            f"inconsistent target size, expected {count} but got {list(target.shape)}"
        )
    index = target.reshape(-1, 1)
    numbers = index._array
    if numbers.size and not (numbers.min() >= 0 and numbers.max() < classes):
        raise RuntimeError(f"target out of range: classes are 0..{classes - 1}")
    if weight is not None and weight.numel() != classes:
        raise RuntimeError(
            f"inconsistent weight size, expected {classes} but got {list(weight.shape)}"
        )
    terms = (margin - rows.gather(1, index) + rows).clamp(min=0)
    if p == 2:
        terms = terms * terms
    if weight is not None:
        terms = terms * weight[index]
    terms = terms.masked_fill(arange(classes, device=index.device) == index, 0)
    losses = terms.sum(1) / classes
    return reduced(losses.reshape(()) if single else losses, reduction)


def multilabel_margin_loss(
    input: Value,
    target: Value,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Value:
    """``sum max(0, 1 - input[y] + input[j]) / C`` over every target class y and every other class
    j; a row of ``target`` lists classes up to the first -1."""
    if hook.active is not None:
        input, target = hook.active.operands("multilabel_margin_loss", (input, target))
    reduction = reduction_of(reduction, size_average, reduce)
    rows, single = _rows_of_classes("multilabel_margin_loss", input)
    if target.shape != input.shape:
        raise RuntimeError(
            f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}"
        )
    classes = rows._array.shape[1]
    index, skip = _listed_classes(target.reshape(rows._array.shape), classes)
    chosen = rows.gather(1, index)
    terms = (1 - chosen.unsqueeze(2) + rows.unsqueeze(1)).clamp(min=0)
    losses = terms.masked_fill(skip, 0).sum((1, 2)) / classes
    return reduced(losses.reshape(()) if single else losses, reduction)


@by_copy
def _listed_classes(target: Value, classes: int) -> tuple[Value, Value]:
    """The classes that each row lists, 0 after them; for each of these and each other class,
    whether they make no term of the loss."""
    numbers = target._array
    if numbers.size and not (numbers.min() >= -1 and numbers.max() < classes):
        raise RuntimeError(f"target out of range: classes are 0..{classes - 1}, and -1 ends a row")
    listed = np.logical_and.accumulate(numbers >= 0, 1)
    index = np.where(listed, numbers, 0)
    is_target = np.zeros(numbers.shape, bool)
    at = np.nonzero(listed)
    is_target[at[0], index[at]] = True
    return wrap(index), wrap(~(listed[:, :, None] & ~is_target[:, None, :]))


# ---- triplets ----------------------------------------------------------------------------------


def triplet_margin_loss(
    anchor: Value,
    positive: Value,
    negative: Value,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Value:
    """``max(0, d(anchor, positive) - d(anchor, negative) + margin)`` of p-norm distances d.

    ``swap``: the negative's distance to anchor or to positive, whichever is less.
    """
    if hook.active is not None:
        anchor, positive, negative = hook.active.operands(
            "triplet_margin_loss", (anchor, positive, negative)
        )
    reduction = reduction_of(reduction, size_average, reduce)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.dim() == positive.dim() == negative.dim():
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {anchor.dim()}D, positive {positive.dim()}D, and "
            f"negative {negative.dim()}D inputs"
        )
    near = pairwise_distance(anchor, positive, p, eps)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = far.minimum(pairwise_distance(positive, negative, p, eps))
    return reduced((margin + near - far).clamp(min=0), reduction)


def triplet_margin_with_distance_loss(
    anchor: Value,
    positive: Value,
    negative: Value,
    *,
    distance_function: Callable[[Value, Value], Value] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Value:
    """``triplet_margin_loss`` with any distance function of two tensors."""
    distance = pairwise_distance if distance_function is None else distance_function
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.dim() == positive.dim() == negative.dim():
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {anchor.dim()}D, positive {positive.dim()}D, and "
            f"negative {negative.dim()}D inputs"
        )
    near = distance(anchor, positive)
    far = distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    return reduced((margin + near - far).clamp(min=0), reduction)
