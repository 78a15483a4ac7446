"""Cross entropy of classes: log_softmax and the negative log-likelihood in one record.

Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.cross_entropy.html
"""

from __future__ import annotations

import numpy as np

from .._dtypes import FLOATING, float64, from_numpy, int64
from .._errors import type_name
from ..core.modes import hook, state
from ..core.op import define, intact
from ..core.promotion import wide
from ..core.tape import Anomaly, Node, note_line
from ..core.value import Value, new, ticks, wrap

ndarray = np.ndarray


def reduction_of(reduction: str, size_average: bool | None, reduce: bool | None) -> str:
    """``reduction``, or what PyTorch's two old flags mean. ValueError for an unknown one."""
    if size_average is not None or reduce is not None:
        if reduce is False:
            return "none"
        return "mean" if size_average is None or size_average else "sum"
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def check_targets(target: ndarray, classes: int, ignore_index: int) -> None:
    """IndexError for a class that does not exist, with its position and a likely reason."""
    wrong = ((target < 0) | (target >= classes)) & (target != ignore_index)
    if not wrong.any():
        return
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    value = int(target[place])
    where = ", ".join(map(str, place))
    text = f"Target {value} is out of bounds.\n  "
    text += f"target[{where}] = {value}" if place else f"target = {value}"
    text += f", but input has {classes} classes, 0..{classes - 1}"
    if value == classes:
        text += "; do labels start at 1?"
    elif value < 0:
        text += f"; use ignore_index={value} if it marks positions without a label"
    raise IndexError(text)


def log_softmax_rows(x: ndarray, axis: int) -> ndarray:
    """log(softmax(x)) along ``axis``: x - max - log(sum(exp(x - max)))."""
    z = x - np.maximum.reduce(x, axis, keepdims=True)
    total = np.add.reduce(np.exp(z), axis, keepdims=True)
    np.log(total, out=total)
    z -= total
    return z


def _picked(
    logp: ndarray, target: ndarray, weight: ndarray | None, ignore_index: int
) -> tuple[ndarray, ndarray, ndarray]:
    """The index of each target among the classes, its weight, and its log-probability."""
    index = target
    ignored = target == ignore_index if ignore_index >= 0 or (target < 0).any() else None
    if ignored is not None and ignored.any():
        index = np.where(ignored, 0, target)
    else:
        ignored = None
    w = np.ones(target.shape, logp.dtype) if weight is None else weight[index]
    if ignored is not None:
        w = np.where(ignored, logp.dtype.type(0), w)
    at = np.expand_dims(index, 1) if logp.ndim > 1 else index.reshape(1)
    axis = 1 if logp.ndim > 1 else 0
    values = np.take_along_axis(logp, at, axis)
    return index, w, values.squeeze(1) if logp.ndim > 1 else values.reshape(())


def _shares(w: ndarray) -> ndarray:
    """Each weight over the sum of all; an ignored target has none, even if all are ignored."""
    return np.divide(w, w.sum(dtype=w.dtype), out=np.zeros_like(w), where=w != 0)


def _nll_forward(
    logp: ndarray, target: ndarray, weight: ndarray | None, ignore_index: int, reduction: str
) -> ndarray:
    dt = logp.dtype
    logp = wide(logp)
    check_targets(target, logp.shape[1 if logp.ndim > 1 else 0], ignore_index)
    _, w, values = _picked(logp, target, weight, ignore_index)
    losses = -w * values
    losses = (
        np.where(w == 0, logp.dtype.type(0), losses)
        if weight is not None or (w == 0).any()
        else losses
    )
    return _reduced(losses, w, reduction).astype(dt, copy=False)


def _reduced(losses: ndarray, w: ndarray, reduction: str) -> ndarray:
    if reduction == "none":
        return losses
    total = np.asarray(losses).sum(dtype=losses.dtype)
    return np.asarray(total / w.sum(dtype=w.dtype) if reduction == "mean" else total)


def _nll_grad_forward(
    grad: ndarray,
    logp: ndarray,
    target: ndarray,
    weight: ndarray | None,
    ignore_index: int,
    reduction: str,
) -> ndarray:
    x = wide(logp)
    index, w, _ = _picked(x, target, weight, ignore_index)
    if reduction == "mean":
        w = _shares(w)
    out = np.zeros(x.shape, x.dtype)
    value = -wide(grad) * w
    if x.ndim == 1:
        out[index] = value
    else:
        np.put_along_axis(out, np.expand_dims(index, 1), np.expand_dims(value, 1), 1)
    return out.astype(logp.dtype, copy=False)


def _nll_grad_vjp(
    g: Value, target: Value, weight: Value | None, ignore_index: int, reduction: str
) -> Value:
    # The gradient is linear in its first operand: what nll_loss itself does, with g as input.
    return nll_op(g, target, weight, ignore_index, reduction)


_nll_grad = define("nll_loss_backward", _nll_grad_forward, {"grad": _nll_grad_vjp})


def _nll_vjp(
    g: Value,
    logp: Value,
    target: Value,
    weight: Value | None,
    ignore_index: int,
    reduction: str,
) -> Value:
    return _nll_grad(g, logp.detach(), target, weight, ignore_index, reduction)


nll_op = define("nll_loss", _nll_forward, {"logp": _nll_vjp})


def _entropy_forward(
    input: ndarray, target: ndarray, weight: ndarray | None, ignore_index: int, reduction: str
) -> tuple[ndarray, ndarray]:
    axis = 1 if input.ndim > 1 else 0
    logp = log_softmax_rows(wide(input), axis)
    losses = _nll_forward(logp, target, weight, ignore_index, reduction)
    return losses.astype(input.dtype, copy=False), logp


def _entropy_grad_forward(
    grad: ndarray,
    logp: ndarray,
    target: ndarray,
    weight: ndarray | None,
    ignore_index: int,
    reduction: str,
    dtype: np.dtype,
) -> ndarray:
    axis = 1 if logp.ndim > 1 else 0
    index, w, _ = _picked(logp, target, weight, ignore_index)
    if reduction == "mean":
        w = _shares(w)
    scale = np.expand_dims(wide(grad) * w, axis)
    out = np.exp(logp)
    if out.ndim == 1:
        out[index] -= 1
    else:
        at = np.expand_dims(index, 1)
        np.put_along_axis(out, at, np.take_along_axis(out, at, 1) - 1, 1)
    out *= scale
    return out.astype(dtype, copy=False)


_entropy_grad = define("cross_entropy_backward", _entropy_grad_forward)


def _entropy_vjp(
    g: list,
    y: tuple,
    input: Value,
    target: Value,
    weight: Value | None,
    ignore_index: int,
    reduction: str,
) -> Value:
    if state.grad:
        return _recorded_gradient(g[0], input, target, weight, ignore_index, reduction)
    return _entropy_grad(g[0], y[1], target, weight, ignore_index, reduction, input._array.dtype)


def _recorded_gradient(
    g: Value,
    input: Value,
    target: Value,
    weight: Value | None,
    ignore_index: int,
    reduction: str,
) -> Value:
    """The gradient by way of its two halves, to be differentiated again."""
    axis = 1 if input.dim() > 1 else 0
    logp = input.log_softmax(axis)
    into_logp = _nll_grad(g, logp.detach(), target, weight, ignore_index, reduction)
    return into_logp - logp.exp() * into_logp.sum(axis, keepdim=True)


_entropy = define(
    "cross_entropy_loss",
    _entropy_forward,
    {"input": _entropy_vjp},
    differentiable=(0,),
    grad_name="NllLossBackward0",
)


# ---- the usual case: rows of scores, one class for each, the mean or sum of the losses -----

_F32, _F64, _I64 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)


class NllLossBackward0(Node):
    """Cross entropy of rows. ``saved``: scores, targets, exp(scores - max), its sums, scale."""

    __slots__ = ("rows",)

    def backward(self, grad: Value) -> tuple[Value]:
        input, target, e, total, scale = self.saved
        intact(input, self, "cross_entropy")
        intact(target, self, "cross_entropy")
        if state.grad:
            kind = "sum" if scale == 1 else "mean"
            return (_recorded_gradient(grad, input, target, None, -100, kind),)
        step = grad._array * e.dtype.type(scale)
        out = e * (step / total)
        out[self.rows, target._array] -= step
        return (wrap(out),)


def _usual(input: Value, target: Value, ignore_index: int, reduction: str) -> Value | None:
    """Cross entropy of plain rows in few NumPy calls; None where the case is another."""
    if not isinstance(input, Value) or not isinstance(target, Value) or hook.active is not None:
        return None
    x, t = input._array, target._array
    dt = x.dtype
    if (dt is not _F32 and dt is not _F64) or t.dtype is not _I64 or x.ndim != 2 or t.ndim != 1:
        return None
    count, classes = x.shape
    if t.shape[0] != count or not count or not classes or 0 <= ignore_index < classes:
        return None
    if np.maximum.reduce(t.view(np.uint64)) >= classes:  # negative ones are huge here
        return None
    rows = np.arange(count)
    z = x - np.maximum.reduce(x, 1, keepdims=True)
    picked = z[rows, t]
    e = np.exp(z, out=z)
    total = np.add.reduce(e, 1, keepdims=True)
    losses = np.log(total[:, 0])
    losses -= picked
    loss = np.add.reduce(losses)
    scale = 1.0
    if reduction == "mean":
        scale = 1.0 / count
        loss = loss * dt.type(scale)
    out = wrap(np.asarray(loss, dt))
    if input._edge is not None and state.grad:
        node = new(NllLossBackward0)
        node.edges = (input._edge,)
        node.watch = None
        node.saved = (input, target, e, total, scale)
        node.rows = rows
        node.tick = ticks()
        out._edge = node
        if Anomaly.enabled:
            note_line(node)
    return out


def _check_pair(input: Value, target: Value, name: str) -> None:
    """Shapes and dtypes of ``input`` and of ``target`` as class numbers."""
    for value, argument in ((input, "input"), (target, "target")):
        if not isinstance(value, Value):
            raise TypeError(
                f"{name}(): argument '{argument}' must be Tensor, not {type_name(value)}"
            )
    x, t = input._array, target._array
    if from_numpy(x.dtype).category < FLOATING:
        raise NotImplementedError(
            f"\"{name}\" not implemented for '{from_numpy(x.dtype).legacy_name}'\n"
            "  the input must be floating: scores of classes (logits), not class numbers"
        )
    if t.dtype.kind not in "iu" or t.dtype.itemsize not in (1, 8):
        raise RuntimeError(
            "expected target dtype to be Long or Byte, but got "
            f"{from_numpy(t.dtype).legacy_name}\n"
            f"  {name} takes class numbers as int64: use target.long()"
            + (", or class probabilities of the input's shape" if x.shape != t.shape else "")
        )
    if x.ndim == 0:
        raise ValueError(f"{name}: expected input to have at least 1 dimension, got 0")
    wanted = x.shape[:1] + x.shape[2:] if x.ndim > 1 else ()
    if x.ndim > 1 and x.shape[0] != (t.shape[0] if t.ndim else None):
        raise ValueError(
            f"Expected input batch_size ({x.shape[0]}) to match target batch_size "
            f"({t.shape[0] if t.ndim else 0}).\n  input {x.shape} needs a target of shape {wanted}"
            f", got {t.shape}; for (batch, time, classes) use input.view(-1, {x.shape[-1]}) and "
            "target.view(-1)"
        )
    if t.shape != wanted:
        if x.ndim == 2 and t.ndim == 2:
            raise RuntimeError(
                "0D or 1D target tensor expected, multi-target not supported\n"
                f"  input {x.shape} needs a target of shape {wanted}, got {t.shape}"
                + ("; use target.squeeze(1)" if t.shape[1] == 1 else "")
            )
        raise RuntimeError(
            f"Expected target size {list(wanted)}, got {list(t.shape)}\n"
            f"  input {x.shape} is (batch, classes, ...): the target has one class number where "
            "the input has a row of classes"
        )


def nll_loss(
    input: Value,
    target: Value,
    weight: Value | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Value:
    """-weight[target] * input[target], for ``input`` of log-probabilities (N, C, ...).

    Targets equal to ``ignore_index`` count nothing. "mean" divides by the sum of the weights.
    IndexError for a target that is no class.
    """
    reduction = reduction_of(reduction, size_average, reduce)
    _check_pair(input, target, "nll_loss")
    _check_weight(input, weight)
    if target._array.dtype != np.int64:
        target = target.to(int64)
    return nll_op(input, target, weight, ignore_index, reduction)


def _check_weight(input: Value, weight: Value | None) -> None:
    if weight is None:
        return
    classes = input._array.shape[1 if input._array.ndim > 1 else 0]
    if weight._array.shape != (classes,):
        raise RuntimeError(
            "weight tensor should be defined either for all or no classes: expected shape "
            f"({classes},), got {tuple(weight._array.shape)}"
        )


def cross_entropy(
    input: Value,
    target: Value,
    weight: Value | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Value:
    """-log(softmax(input))[target], for scores (logits) ``input`` of shape (C), (N, C, ...).

    ``target``: class numbers of shape (), (N, ...), or class probabilities of the input's shape.
    ``label_smoothing`` e: probabilities become (1 - e) p + e / C. IndexError for a target that is
    no class.
    """
    if size_average is not None or reduce is not None or reduction != "mean":
        reduction = reduction_of(reduction, size_average, reduce)
    if (
        isinstance(target, Value)
        and isinstance(input, Value)
        and target.is_floating_point()
        and target._array.shape == input._array.shape
    ):
        return _of_probabilities(input, target, weight, reduction, label_smoothing)
    if weight is None and not label_smoothing and reduction != "none":
        loss = _usual(input, target, ignore_index, reduction)
        if loss is not None:
            return loss
    _check_pair(input, target, "cross_entropy")
    _check_weight(input, weight)
    if target._array.dtype != np.int64:
        target = target.to(int64)
    if label_smoothing:
        return _smoothed(input, target, weight, ignore_index, reduction, label_smoothing)
    return _entropy(input, target, weight, ignore_index, reduction)[0]


def _of_probabilities(
    input: Value, target: Value, weight: Value | None, reduction: str, smoothing: float
) -> Value:
    axis = 1 if input.dim() > 1 else 0
    classes = input.shape[axis]
    if smoothing:
        target = target * (1 - smoothing) + smoothing / classes
    terms = input.log_softmax(axis) * target
    if weight is not None:
        terms = terms * _along(weight, input.dim(), axis)
    losses = -terms.sum(axis)
    if reduction == "none":
        return losses
    count = input.numel() / classes if classes else 0
    return losses.sum() if reduction == "sum" else losses.sum() / count


def _along(weight: Value, ndim: int, axis: int) -> Value:
    return weight.reshape([-1 if d == axis else 1 for d in range(ndim)])


def _smoothed(
    input: Value,
    target: Value,
    weight: Value | None,
    ignore_index: int,
    reduction: str,
    smoothing: float,
) -> Value:
    if not 0.0 <= smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {smoothing}")
    axis = 1 if input.dim() > 1 else 0
    classes = input.shape[axis]
    logp = input.log_softmax(axis)
    nll = nll_op(logp, target, weight, ignore_index, reduction)
    terms = logp if weight is None else logp * _along(weight, input.dim(), axis)
    smooth = -terms.sum(axis)
    kept = target != ignore_index
    smooth = smooth * kept.to(smooth.dtype)
    if reduction == "sum":
        smooth = smooth.sum()
    elif reduction == "mean":
        w = kept.to(float64)
        if weight is not None:
            w = w * weight.detach()[target.masked_fill(~kept, 0)]
        smooth = (smooth.sum() / w.sum()).to(smooth.dtype)
    return nll * (1 - smoothing) + smooth * (smoothing / classes)
