"""Connectionist temporal classification: the loss of label sequences without alignment.

The labels with blanks between them are states; alpha and beta, the log-probabilities of reaching
a state from the front and from the back, are computed for all sequences of a batch at once.
Source: Graves et al. 2006, https://www.cs.toronto.edu/~graves/icml_2006.pdf
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._dtypes import from_numpy
from ..core.modes import hook
from ..core.op import define, unsupported
from ..core.value import Value, constant

ndarray = np.ndarray


def _states(targets: ndarray, lengths: ndarray, blank: int) -> tuple[ndarray, ndarray]:
    """The labels with blanks around each, and whether a state may be reached from two before."""
    count, longest = targets.shape
    states = np.full((count, 2 * longest + 1), blank, np.int64)
    states[:, 1::2] = np.where(np.arange(longest) < lengths[:, None], targets, blank)
    skips = np.zeros(states.shape, bool)
    skips[:, 2:] = (states[:, 2:] != blank) & (states[:, 2:] != states[:, :-2])
    return states, skips


def _shift(a: ndarray, by: int) -> ndarray:
    """Columns moved to the right (to the left for a negative number), -inf behind them."""
    out = np.full(a.shape, -np.inf, a.dtype)
    if by > 0:
        out[:, by:] = a[:, :-by]
    else:
        out[:, :by] = a[:, -by:]
    return out


def _sum_of_three(a: ndarray, b: ndarray, c: ndarray) -> ndarray:
    """log(exp(a) + exp(b) + exp(c))."""
    top = np.maximum(np.maximum(a, b), c)
    top[np.isneginf(top)] = 0
    return np.log(np.exp(a - top) + np.exp(b - top) + np.exp(c - top)) + top


def _alphas(logp: ndarray, states: ndarray, skips: ndarray) -> ndarray:
    """(T, N, states): log-probabilities of each state, emissions included."""
    emitted = np.take_along_axis(logp, np.broadcast_to(states, (len(logp), *states.shape)), 2)
    alpha = np.full(emitted.shape, -np.inf, logp.dtype)
    if not len(logp):
        return alpha
    alpha[0, :, :2] = emitted[0, :, :2]
    for t in range(1, len(logp)):
        before = alpha[t - 1]
        two = np.where(skips, _shift(before, 2), logp.dtype.type(-np.inf))
        alpha[t] = _sum_of_three(before, _shift(before, 1), two) + emitted[t]
    return alpha


def _forward(
    logp: ndarray, targets: ndarray, input_lengths: ndarray, target_lengths: ndarray, blank: int
) -> tuple[ndarray, ndarray]:
    """(negative log-likelihood of each sequence, alphas)."""
    states, skips = _states(targets, target_lengths, blank)
    alpha = _alphas(logp, states, skips)
    n = np.arange(len(states))
    ends = 2 * target_lengths
    if len(logp):
        last = alpha[np.maximum(input_lengths - 1, 0), n]
        final = last[n, ends]
        has = target_lengths > 0
        final = np.where(has, np.logaddexp(final, last[n, np.maximum(ends - 1, 0)]), final)
    else:
        final = np.full(len(n), -np.inf)
    final = np.where(input_lengths > 0, final, np.where(target_lengths == 0, 0.0, -np.inf))
    return (-final).astype(logp.dtype), alpha


def _backward(
    grad: ndarray,
    logp: ndarray,
    targets: ndarray,
    input_lengths: ndarray,
    target_lengths: ndarray,
    nll: ndarray,
    alpha: ndarray,
    blank: int,
    zero_infinity: bool,
) -> ndarray:
    """exp(logp) - (probability of each class at each time given the labels), times ``grad``."""
    wide = logp.astype(np.float64)
    nll = nll.astype(np.float64)
    states, skips = _states(targets, target_lengths, blank)
    steps, count, classes = logp.shape
    emitted = np.take_along_axis(logp, np.broadcast_to(states, (steps, *states.shape)), 2)
    ends = 2 * target_lengths[:, None]
    place = np.arange(states.shape[1])
    final = (place == ends) | ((place == ends - 1) & (ends > 0))
    inside = place <= ends
    nothing = logp.dtype.type(-np.inf)
    beta = np.full(states.shape, nothing)
    jumps = np.zeros(skips.shape, bool)  # whether the state two behind may be reached from this one
    jumps[:, :-2] = skips[:, 2:]
    posterior = np.zeros((steps, count, classes))
    n = np.arange(count)[:, None]
    for t in range(steps - 1, -1, -1):
        jump = np.where(jumps, _shift(beta, -2), nothing)
        ahead = _sum_of_three(beta, _shift(beta, -1), jump)
        starts = (t == input_lengths - 1)[:, None]
        ahead = np.where(starts, np.where(final, logp.dtype.type(0), nothing), ahead)
        beta = np.where(inside, ahead + emitted[t], nothing)
        log_both = (alpha[t] + beta).astype(np.float64) - emitted[t] + nll[:, None]
        both = np.where(np.isfinite(log_both), np.exp(log_both), 0.0)
        np.add.at(posterior[t], (n, states), both)
    r = np.exp(wide) - posterior
    r *= (np.arange(steps)[:, None] < input_lengths)[..., None]
    r *= grad.astype(np.float64)[:, None]
    if zero_infinity:
        r[:, np.isinf(nll)] = 0
    else:
        r[:, np.isinf(nll)] = np.where(
            (np.arange(steps)[:, None, None] < input_lengths[np.isinf(nll)][:, None]), np.nan, 0
        )
    return r.astype(logp.dtype)


_ctc_grad = define("_ctc_loss_backward", _backward)


def _ctc_forward(
    logp: ndarray,
    targets: ndarray,
    input_lengths: ndarray,
    target_lengths: ndarray,
    blank: int,
    zero_infinity: bool,
) -> tuple[ndarray, ndarray]:
    return _forward(logp, targets, input_lengths, target_lengths, blank)


def _ctc_vjp(
    g: list,
    y: tuple,
    logp: Value,
    targets: Value,
    input_lengths: Value,
    target_lengths: Value,
    blank: int,
    zero_infinity: bool,
) -> Value:
    return _ctc_grad(
        g[0], logp, targets, input_lengths, target_lengths, y[0], y[1], blank, zero_infinity
    )


_ctc = define("_ctc_loss", _ctc_forward, {"logp": _ctc_vjp}, differentiable=(0,))


def _prepared_forward(
    targets: ndarray,
    input_lengths: ndarray,
    target_lengths: ndarray,
    single: bool,
    batch: int,
    steps: int,
    classes: int,
) -> tuple[ndarray, ndarray, ndarray]:
    """Labels as (N, S), 0 where there is none, and both lengths; RuntimeError if they are wrong."""
    inputs = _lengths("input_lengths", input_lengths, batch)
    wanted = _lengths("target_lengths", target_lengths, batch)
    if inputs.size and inputs.max() > steps:
        raise RuntimeError(
            f"Expected input_lengths to have value at most {steps}, but got value {inputs.max()} "
            "(while checking arguments for ctc_loss_allocate_outputs)"
        )
    labels = _padded(targets, wanted, single)
    used = np.where(np.arange(labels.shape[1]) < wanted[:, None], labels, 0)
    if used.size and not (used.min() >= 0 and used.max() < classes):
        raise RuntimeError(f"targets must be labels 0..{classes - 1}, got {used.max()}")
    return used.astype(np.int64), inputs, wanted


_prepared = define("ctc_labels", _prepared_forward)


def _lengths(name: str, array: ndarray, batch: int) -> ndarray:
    if array.dtype.kind not in "iu" and array.size:
        raise RuntimeError(f"{name} must be integral")
    array = array.reshape(-1).astype(np.int64)
    if array.size != batch:
        raise RuntimeError(
            f"{name} must be of size batch_size\n  there are {batch} sequences, but {name} has "
            f"{array.size} numbers"
        )
    if (array < 0).any():
        raise RuntimeError(f"Expected {name} to have value at least 0, but got {array.min()}")
    return array


def ctc_loss(
    log_probs: Value,
    targets: Value,
    input_lengths: Value | Sequence[int],
    target_lengths: Value | Sequence[int],
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Value:
    """-log of the probability that ``log_probs`` (T, N, C) or (T, C) spell ``targets``.

    ``targets``: (N, S), or all labels one after the other. "mean" divides each loss by its number
    of labels first. ``zero_infinity``: impossible sequences cost (and teach) nothing.
    """
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if hook.active is not None:
        (log_probs,) = hook.active.operands("ctc_loss", (log_probs,))
    d = from_numpy(log_probs._array.dtype)
    if d.name not in ("float32", "float64"):
        raise unsupported("ctc_loss", d)
    if targets._array.dtype.kind != "i":
        raise RuntimeError("targets must be integral")
    single = log_probs.dim() == 2
    logp = log_probs.unsqueeze(1) if single else log_probs
    steps, batch, classes = logp.shape
    if not 0 <= blank < classes:
        raise RuntimeError(
            f"blank must be in label range\n  labels are 0..{classes - 1}, blank is {blank}"
        )
    if hook.active is not None and isinstance(target_lengths, Value) and targets.dim() == 1:
        hook.active.read(target_lengths, "ctc_loss, whose labels are one after the other,")
    given = [
        v if isinstance(v, Value) else constant(np.asarray(v))
        for v in (input_lengths, target_lengths)
    ]
    used, inputs, wanted = _prepared(targets, *given, single, batch, steps, classes)
    losses, _ = _ctc(logp, used, inputs, wanted, blank, zero_infinity)
    if zero_infinity:
        losses = losses.masked_fill(losses.isinf(), 0)
    if reduction == "mean":
        return (losses / wanted.clamp(min=1).to(losses.dtype)).mean()
    if reduction == "sum":
        return losses.sum()
    return losses.reshape(()) if single else losses


def _padded(targets: ndarray, lengths: ndarray, single: bool) -> ndarray:
    """Labels as (N, S)."""
    longest = int(lengths.max()) if lengths.size else 0
    if targets.ndim == 2 or single:
        targets = targets.reshape(len(lengths), -1) if targets.ndim == 1 else targets
        if targets.shape[0] != len(lengths) or targets.shape[1] < longest:
            raise RuntimeError(
                f"Expected tensor to have size at least {longest} at dimension 1, but got size "
                f"{targets.shape[1]} for argument #2 'targets' (while checking arguments for "
                "ctc_loss_allocate_outputs)"
            )
        return targets
    if targets.size != lengths.sum():
        raise RuntimeError(
            f"Expected tensor to have size {lengths.sum()} at dimension 0, but got size "
            f"{targets.size} for argument #2 'targets' (the sum of target_lengths)"
        )
    out = np.zeros((len(lengths), longest), np.int64)
    out[np.arange(longest) < lengths[:, None]] = targets
    return out
