"""Normalisation of channels: batch norm with running statistics, group norm, instance norm.

An input (N, C, ...) is worked on as (N, C, L). Batch norm takes mean and variance of a channel
over N and L; group norm of each sample over the channels of a group and L, which are rows of a
matrix; instance norm is group norm with one channel a group. Formulas: ops/normalisation.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .._dtypes import from_numpy
from .._errors import type_name
from ..core import threads
from ..core.modes import hook, state
from ..core.mutation import write, written
from ..core.op import define, unsupported
from ..core.value import Value
from .normalisation import rows_backward, rows_forward, wide

ndarray = np.ndarray
_KERNEL, _LENGTH = 1 << 14, 16  # elements, and those of a row, from which there is a kernel


def _samples(part: Callable[[int, int], None], x: ndarray) -> None:
    """``part(start, stop)`` over samples, on all threads if there are many elements."""
    if x.size < threads.LARGE:
        part(0, x.shape[0])
    else:
        threads.run_parts(part, x.shape[0])


def _flat(a: ndarray) -> ndarray:
    """(N, C, ...) as (N, C, L), of at least 32 bits."""
    return np.ascontiguousarray(wide(a)).reshape(a.shape[0], a.shape[1], math.prod(a.shape[2:]))


def _column(a: ndarray) -> ndarray:
    return a[:, None]


def _sums(x: ndarray) -> ndarray:
    """The sum of each channel of (N, C, L)."""
    n, c, length = x.shape
    if length == 1:
        return np.ones(n, x.dtype).dot(x.reshape(n, c))
    return np.add.reduce(x.dot(np.ones(length, x.dtype)), 0)


def _routine(name: str, flat: ndarray) -> Callable | None:
    """The compiler's routine for channels of some length; None where NumPy does the work."""
    if flat.size < _KERNEL or flat.shape[2] < _LENGTH:
        return None
    return threads.routine(name)


# ---- batch norm -------------------------------------------------------------------------------


def _batch_norm_forward(
    x: ndarray,
    weight: ndarray | None,
    bias: ndarray | None,
    running_mean: ndarray | None,
    running_var: ndarray | None,
    training: bool,
    eps: float,
) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    """(result, mean, rstd, variance) with the statistics of the batch, or the running ones."""
    flat = _flat(x)
    routine = _routine("batch_norm", flat)
    if routine is not None:
        running = None if training else (wide(running_mean), wide(running_var))
        compiled = routine(flat, wide(weight), wide(bias), running, eps)
        if compiled is not None:
            return compiled[0].astype(x.dtype, copy=False).reshape(x.shape), *compiled[1:]
    y = np.empty(flat.shape, flat.dtype)
    count = max(flat.shape[0] * flat.shape[2], 1)
    if training:
        mean = _sums(flat) / flat.dtype.type(count)
        squares = np.empty(flat.shape[:2], flat.dtype)

        def centre(i: int, j: int) -> None:
            out = np.subtract(flat[i:j], _column(mean), y[i:j])
            np.vecdot(out, out, squares[i:j])

        _samples(centre, flat)
        var = np.add.reduce(squares, 0) / flat.dtype.type(count)
    else:
        mean, var = (wide(a).astype(flat.dtype, copy=False) for a in (running_mean, running_var))
    rstd = 1 / np.sqrt(var + flat.dtype.type(eps))
    scale = rstd if weight is None else rstd * wide(weight)

    def finish(i: int, j: int) -> None:
        out = y[i:j]
        if not training:
            np.subtract(flat[i:j], _column(mean), out)
        np.multiply(out, _column(scale), out)
        if bias is not None:
            np.add(out, _column(wide(bias)), out)

    _samples(finish, flat)
    return y.astype(x.dtype, copy=False).reshape(x.shape), mean, rstd, var


def _batch_norm_backward(
    grad: ndarray,
    x: ndarray,
    mean: ndarray,
    rstd: ndarray,
    weight: ndarray | None,
    training: bool,
    needs_x: bool,
) -> tuple[ndarray, ndarray, ndarray]:
    g, flat = _flat(grad), _flat(x)
    d = x.dtype if weight is None else weight.dtype
    routine = _routine("batch_norm_backward", flat)
    compiled = routine and routine(g, flat, mean, rstd, wide(weight), training, needs_x)
    if compiled:
        dx, along, total = compiled
        dx = np.empty((0, *flat.shape[1:]), x.dtype) if dx is None else dx.reshape(x.shape)
        return (
            dx.astype(x.dtype, copy=False),
            along.astype(d, copy=False),
            total.astype(d, copy=False),
        )
    dx = np.empty(flat.shape if needs_x else (0, *flat.shape[1:]), flat.dtype)
    products = np.empty(flat.shape[:2], flat.dtype)

    def correlate(i: int, j: int) -> None:
        centred = np.subtract(flat[i:j], _column(mean))
        np.vecdot(g[i:j], centred, products[i:j])

    _samples(correlate, flat)
    total = _sums(g)
    along = np.add.reduce(products, 0) * rstd  # the sum of g * xhat
    scale = rstd if weight is None else rstd * wide(weight)
    count = flat.dtype.type(max(flat.shape[0] * flat.shape[2], 1))

    def into_x(i: int, j: int) -> None:
        out = dx[i:j]
        if not training:
            np.multiply(g[i:j], _column(scale), out)
            return
        np.subtract(flat[i:j], _column(mean), out)
        np.multiply(out, _column(along * rstd / count), out)
        np.add(out, _column(total / count), out)
        np.subtract(g[i:j], out, out)
        np.multiply(out, _column(scale), out)

    if needs_x:
        _samples(into_x, flat)
        dx = dx.astype(x.dtype, copy=False).reshape(x.shape)
    return dx, along.astype(d, copy=False), total.astype(d, copy=False)


_batch_norm_grad = define("native_batch_norm_backward", _batch_norm_backward)


def _batch_norm_vjp(
    g: list,
    y: tuple,
    x: Value,
    weight: Value | None,
    bias: Value | None,
    running_mean: Value | None,
    running_var: Value | None,
    training: bool,
    eps: float,
    needs: tuple,
) -> list:
    if state.grad:
        stats = None if training else (running_mean, running_var)
        results = _composed(g[0], x, weight, eps, stats)
    else:
        results = _batch_norm_grad(g[0], x, y[1], y[2], weight, training, needs[0])
    values = (x, weight, bias, running_mean, running_var)
    given = [r for r, v in zip((*results, None, None), values, strict=True) if v is not None]
    return [r if need else None for r, need in zip(given, needs, strict=True)]


def _composed(
    g: Value, x: Value, weight: Value | None, eps: float, stats: tuple | None
) -> tuple[Value, Value, Value]:
    """The same gradients in differentiable operations."""
    over = (0, *range(2, x.dim()))
    shape = [1, -1] + [1] * (x.dim() - 2)
    mean = x.mean(over, True) if stats is None else stats[0].reshape(shape)
    xc = x - mean
    var = (xc * xc).mean(over, True) if stats is None else stats[1].reshape(shape)
    rstd = (var + eps).rsqrt()
    xhat = xc * rstd
    gw = g if weight is None else g * weight.reshape(shape)
    if stats is None:
        dx = (gw - gw.mean(over, True) - xhat * (gw * xhat).mean(over, True)) * rstd
    else:
        dx = gw * rstd
    return dx, (g * xhat).sum(over), g.sum(over)


_batch_norm = define("native_batch_norm", _batch_norm_forward, _batch_norm_vjp, differentiable=(0,))


def _check_channels(name: str, input: Value, channels: int, **parameters: Value | None) -> None:
    """The input floating, and every parameter one number a channel."""
    if not isinstance(input, Value):
        raise TypeError(
            f"{name}(): argument 'input' (position 1) must be Tensor, not {type_name(input)}"
        )
    d = from_numpy(input._array.dtype)
    if not d.is_floating_point:
        raise unsupported(name, d)
    for what, value in parameters.items():
        if value is not None and value._array.shape != (channels,):
            raise RuntimeError(
                f"{what} should contain {channels} elements not {value.numel()}\n"
                f"  {name} of an input {tuple(input.shape)} has {channels} channels (dimension 1)"
            )


def _check_batch(shape: tuple[int, ...]) -> None:
    if math.prod(shape) == (shape[1] if len(shape) > 1 else 1):
        raise ValueError(
            "Expected more than 1 value per channel when training, got input size "
            f"torch.Size({list(shape)})\n"
            "  the variance of one value is 0: use a larger batch, or .eval()"
        )


def _follow(
    running: Value | None, batch: Value, unbiased: float, momentum: float, count: int
) -> None:
    """Move a running statistic towards its value in this batch (times ``unbiased``)."""
    if running is None or not count:
        return
    array = running._array
    if hook.active is not None:
        old = running.detach().to(from_numpy(wide(array[:0]).dtype))
        now = batch.detach() * unbiased if unbiased != 1 else batch.detach()
        write(running, (old * (1 - momentum) + now * momentum).to(running.dtype), "batch_norm")
        return
    now = batch._array * unbiased
    new = (1 - momentum) * wide(array) + momentum * now
    array[...] = new
    written(running, "batch_norm")


def batch_norm(
    input: Value,
    running_mean: Value | None,
    running_var: Value | None,
    weight: Value | None = None,
    bias: Value | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Value:
    """``(x - mean) / sqrt(var + eps) * weight + bias`` for every channel (dimension 1).

    In training, mean and variance are the batch's, and the running ones move towards them by
    ``momentum`` (the variance by its unbiased estimate); else the running ones are used.
    """
    shape = input._array.shape
    if training:
        _check_batch(shape)
    if shape == (0,):
        return input * 1
    if len(shape) < 2:
        raise RuntimeError(
            f"batch_norm needs an input (N, C, ...) of at least 2 dimensions, got shape {shape}"
        )
    if not training and (running_mean is None or running_var is None):
        raise RuntimeError(
            "Expected running_mean and running_var to be defined when training=False\n"
            "  without running statistics batch_norm can only normalise by the batch's own"
        )
    _check_channels(
        "batch_norm", input, shape[1],
        running_mean=running_mean, running_var=running_var, weight=weight, bias=bias,
    )  # fmt: skip
    stats = (None, None) if training else (running_mean, running_var)
    y, mean, _, var = _batch_norm(input, weight, bias, *stats, bool(training), eps)
    if training and (running_mean is not None or running_var is not None):
        count = input._array.size // max(shape[1], 1)
        _follow(running_mean, mean, 1.0, momentum, count)
        _follow(running_var, var, count / max(count - 1, 1), momentum, count)
    return y


# ---- group norm, instance norm -----------------------------------------------------------------


def _group_norm_forward(
    x: ndarray, weight: ndarray | None, bias: ndarray | None, groups: int, eps: float
) -> tuple[ndarray, ndarray, ndarray]:
    rows = x.shape[0] * groups
    if not x.size:
        none = np.zeros((x.shape[0], groups), x.dtype)
        return np.empty(x.shape, x.dtype), none, none
    flat = _flat(x)
    y, mean, rstd = rows_forward(flat.reshape(rows, -1), None, None, eps, True)
    y = y.reshape(flat.shape)

    def finish(i: int, j: int) -> None:
        if weight is not None:
            np.multiply(y[i:j], _column(wide(weight)), y[i:j])
        if bias is not None:
            np.add(y[i:j], _column(wide(bias)), y[i:j])

    _samples(finish, flat)
    stats = (x.shape[0], groups)
    return y.astype(x.dtype, copy=False).reshape(x.shape), mean.reshape(stats), rstd.reshape(stats)


def _group_norm_backward(
    grad: ndarray, x: ndarray, mean: ndarray, rstd: ndarray, weight: ndarray | None
) -> tuple[ndarray, ndarray, ndarray]:
    channels = x.shape[1]
    d = x.dtype if weight is None else weight.dtype
    if not x.size:
        return np.zeros(x.shape, x.dtype), np.zeros(channels, d), np.zeros(channels, d)
    flat, g = _flat(x), _flat(grad)
    mean, rstd = mean.reshape(-1, 1), rstd.reshape(-1, 1)
    rows = flat.reshape(len(mean), -1)
    gw = g if weight is None else g * _column(wide(weight))
    dx, _, _ = rows_backward(
        gw.reshape(rows.shape), rows, mean, rstd, None, True, (True, False, False)
    )
    xhat = ((rows - mean) * rstd).reshape(flat.shape)
    dw = np.add.reduce(np.vecdot(g, xhat), 0)
    return (
        dx.astype(x.dtype, copy=False).reshape(x.shape),
        dw.astype(d, copy=False),
        _sums(g).astype(d, copy=False),
    )


_group_norm_grad = define("native_group_norm_backward", _group_norm_backward)


def _group_norm_vjp(
    g: list,
    y: tuple,
    x: Value,
    weight: Value | None,
    bias: Value | None,
    groups: int,
    eps: float,
    needs: tuple,
) -> list:
    if state.grad:
        results = _group_norm_composed(g[0], x, weight, groups, eps)
    else:
        results = _group_norm_grad(g[0], x, y[1], y[2], weight)
    given = [r for r, v in zip(results, (x, weight, bias), strict=True) if v is not None]
    return [r if need else None for r, need in zip(given, needs, strict=True)]


def _group_norm_composed(
    g: Value, x: Value, weight: Value | None, groups: int, eps: float
) -> tuple[Value, Value, Value]:
    """The same gradients in differentiable operations."""
    over = (0, *range(2, x.dim()))
    rows = x.reshape(x.shape[0] * groups, -1)
    xc = rows - rows.mean(1, True)
    rstd = ((xc * xc).mean(1, True) + eps).rsqrt()
    xhat = xc * rstd
    gw = g if weight is None else g * weight.reshape([1, -1] + [1] * (x.dim() - 2))
    gw = gw.reshape(rows.shape)
    dx = (gw - gw.mean(1, True) - xhat * (gw * xhat).mean(1, True)) * rstd
    return dx.reshape(x.shape), (g * xhat.reshape(x.shape)).sum(over), g.sum(over)


_group_norm = define("native_group_norm", _group_norm_forward, _group_norm_vjp, differentiable=(0,))


def group_norm(
    input: Value,
    num_groups: int,
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
) -> Value:
    """Normalise each sample over groups of channels; then scale and shift each channel.

    Source: Wu and He 2018, https://arxiv.org/abs/1803.08494
    """
    shape = input._array.shape
    if len(shape) < 2:
        raise RuntimeError(
            f"Expected at least 2 dimensions for input tensor but received {len(shape)}"
        )
    if num_groups <= 0 or shape[1] % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of "
            f"shape {list(shape)} and num_groups={num_groups}"
        )
    if shape[0] * math.prod(shape[2:]) * (shape[1] // num_groups) == 1:
        _check_batch((shape[0] * shape[1] // num_groups, num_groups, *shape[2:]))
    _check_channels("group_norm", input, shape[1], weight=weight, bias=bias)
    return _group_norm(input, weight, bias, num_groups, eps)[0]


def instance_norm(
    input: Value,
    running_mean: Value | None = None,
    running_var: Value | None = None,
    weight: Value | None = None,
    bias: Value | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Value:
    """Normalise each channel of each sample by itself, or by running statistics.

    Source: Ulyanov et al. 2016, https://arxiv.org/abs/1607.08022
    """
    shape = input._array.shape
    if use_input_stats and len(shape) > 1:
        if math.prod(shape[2:]) == 1:
            raise ValueError(
                "Expected more than 1 spatial element when training, got input size "
                f"torch.Size({list(shape)})"
            )
    if len(shape) < 2:
        raise RuntimeError(f"instance_norm needs an input (N, C, ...), got shape {shape}")
    _check_channels(
        "instance_norm", input, shape[1],
        running_mean=running_mean, running_var=running_var, weight=weight, bias=bias,
    )  # fmt: skip
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    y, mean, rstd = _group_norm(input, weight, bias, shape[1], eps)
    if running_mean is not None or running_var is not None:
        count = math.prod(shape[2:])
        var = (1 / rstd.detach().square() - eps).mean(0)
        _follow(running_mean, mean.detach().mean(0), 1.0, momentum, shape[0])
        _follow(running_var, var, count / max(count - 1, 1), momentum, shape[0])
    return y
