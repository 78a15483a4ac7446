"""Recurrent layers over whole sequences: LSTM, GRU and the simple RNN, one record each.

The products of all inputs with the input weights are one product; what is left for each step is
the product of the state with the recurrent weights, and elementwise work. The gradient goes back
through the steps in the same way, and has the products for the weights in one at the end.

Rows of ``x`` are steps one after the other: the first ``sizes[0]`` rows are the first elements of
all sequences, the next ``sizes[1]`` the second elements of those that are long enough, and so on
(``nn.utils.rnn.PackedSequence``); sizes never grow. With ``reverse`` the steps are taken from the
last to the first. Weights lie as PyTorch has them: gates are blocks of rows of ``w_ih`` and
``w_hh``, i f g o for LSTM and r z n for GRU. 16-bit floats are computed in float32.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core import tape, threads
from ..core.modes import state
from ..core.op import define
from ..core.value import Value
from ._windows import working_dtype
from .joining import cat

Array = np.ndarray
Maybe = np.ndarray | None
_KERNEL = 1 << 14  # gates from which a compiled kernel is asked for


def _steps(sizes: Sequence[int], reverse: bool) -> list[tuple[slice, int]]:
    """(its rows, how many) for each step in the order in which steps are taken."""
    steps, start = [], 0
    for n in sizes:
        steps.append((slice(start, start + n), n))
        start += n
    return steps[::-1] if reverse else steps


def _before(after: Array, first: Array, steps: list[tuple[slice, int]]) -> Array:
    """The states before each step, for all rows, from those after it and the first ones."""
    result = np.empty_like(after)
    now = first
    for rows, n in steps:
        result[rows] = now[:n]
        now = _moved(now, after[rows])
    return result


def _widened(*arrays: Maybe) -> list[Maybe]:
    """16-bit floats as float32."""
    work = working_dtype(arrays[0].dtype)
    return [None if a is None else a.astype(work, copy=False) for a in arrays]


def _narrowed(dtype: np.dtype, *arrays: Maybe) -> tuple[Maybe, ...]:
    return tuple(None if a is None else a.astype(dtype, copy=False) for a in arrays)


def _products(x: Array, w: Array, bias: Maybe, gates: int) -> Array:
    """x w^T + bias as (gates, rows, hidden): the rows of one gate lie together."""
    blocks = w.reshape(gates, -1, w.shape[1])
    result = np.matmul(x, blocks.transpose(0, 2, 1))
    if bias is not None:
        result += bias.reshape(gates, 1, -1)
    return result


def _sigmoid(z: Array) -> None:
    """1 / (1 + exp(-z)), in place."""
    np.negative(z, z)
    np.exp(z, z)
    z += 1
    np.reciprocal(z, z)


def _moved(now: Array, new: Array) -> Array:
    """The states ``now`` of all sequences after a step that gave the first of them ``new`` ones."""
    return new if len(new) == len(now) else np.concatenate((new, now[len(new) :]))


def _rows_and_gates(gates: Array) -> tuple[Array, Array]:
    """An empty array (rows, gates * hidden), and the same as (gates, rows, hidden)."""
    count, rows, hidden = gates.shape
    result = np.empty((rows, count * hidden), gates.dtype)
    return result, result.reshape(rows, count, hidden).transpose(1, 0, 2)


def _weight_gradients(
    to_input: Array,
    to_state: Array,
    x: Array,
    h_before: Array,
    w_ih: Array,
    biased: bool,
    want_x: bool,
) -> list[Maybe]:
    """Gradients of (x, w_ih, w_hh, b_ih, b_hh) from those of the products with x and the state."""
    to_x = to_input @ w_ih if want_x else None
    result = [to_x, to_input.T @ x, to_state.T @ h_before, None, None]
    if biased:
        result[3] = to_input.sum(0)
        result[4] = result[3] if to_state is to_input else to_state.sum(0)
    return result


def _compiled_step(name: str, gates: Array, *arrays: Array) -> Callable | None:
    """The compiler's kernel for the steps of an LSTM, where there is enough to do."""
    routine = threads.routine(name) if gates.size >= _KERNEL else None
    return None if routine is None else routine(gates, *arrays)


def _gradients_record(name: str, gradients: Callable[..., list[Maybe]]) -> Callable[..., Any]:
    """The record of ``gradients``, which works in float32 or wider: its results that are there, in
    the dtype of the operand ``x``."""
    place = gradients.__code__.co_varnames.index("x")

    @functools.wraps(gradients)
    def forward(*args: Any) -> tuple[Array, ...]:
        kind = args[place].dtype
        work = working_dtype(kind)
        wide = [a.astype(work, copy=False) if isinstance(a, np.ndarray) else a for a in args]
        found = gradients(*wide)
        return tuple([r.astype(kind, copy=False) for r in found if r is not None])

    return define(name, forward)


def _placed(
    operands: list[Value | None], found: tuple[Value, ...], want_x: bool
) -> list[Value | None]:
    """The gradients of those operands that are tensors; that of the first only if it is wanted."""
    rest = iter(found)
    return [
        None if i == 0 and not want_x else next(rest)
        for i, v in enumerate(operands)
        if v is not None
    ]


# ---- LSTM ----------------------------------------------------------------------------------


def _lstm(
    x: Array,
    h: Array,
    c: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Maybe,
    b_hh: Maybe,
    w_hr: Maybe,
    sizes: tuple[int, ...],
    reverse: bool,
) -> tuple[Array, ...]:
    """(all h, last h, last c, gates, all c, all tanh(c))."""
    dtype = x.dtype
    x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr = _widened(x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr)
    gates = _products(x, w_ih, None if b_ih is None else b_ih + b_hh, 4)
    hidden = gates.shape[2]
    recurrent = w_hh.reshape(4, hidden, -1).transpose(0, 2, 1)
    out = np.empty((len(x), h.shape[1]), x.dtype)
    cells = np.empty((len(x), hidden), x.dtype)
    bent = np.empty_like(cells)
    product, scratch = np.empty((4, len(h), hidden), x.dtype), np.empty_like(c)
    product_rows = product.reshape(len(h), 4 * hidden)
    step = _compiled_step("lstm_step", gates, product_rows, cells, bent)
    for rows, n in _steps(sizes, reverse):
        z, t = gates[:, rows], scratch[:n]
        h_now, c_now, b_now = out[rows], cells[rows], bent[rows]
        if step is not None:
            np.matmul(h[:n], w_hh.T, product_rows[:n])
            c = np.ascontiguousarray(c)
            step(c, h_now if w_hr is None else t, rows)
            if w_hr is not None:
                np.matmul(t, w_hr.T, h_now)
            h, c = _moved(h, h_now), _moved(c, c_now)
            continue
        z += np.matmul(h[:n], recurrent, product[:, :n])
        _sigmoid(z[:2])
        np.tanh(z[2], z[2])
        _sigmoid(z[3])
        np.multiply(c[:n], z[1], c_now)
        c_now += np.multiply(z[0], z[2], t)
        np.tanh(c_now, b_now)
        if w_hr is None:
            np.multiply(b_now, z[3], h_now)
        else:
            np.matmul(np.multiply(b_now, z[3], t), w_hr.T, h_now)
        h, c = _moved(h, h_now), _moved(c, c_now)
    return (*_narrowed(dtype, out, h.copy(), c.copy()), gates, cells, bent)


def _lstm_gradients(
    g_out: Maybe,
    g_h: Maybe,
    g_c: Maybe,
    out: Array,
    gates: Array,
    cells: Array,
    bent: Array,
    x: Array,
    h: Array,
    c: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Maybe,
    w_hr: Maybe,
    sizes: tuple[int, ...],
    reverse: bool,
    want_x: bool,
) -> list[Maybe]:
    i, f, g, o = gates
    steps = _steps(sizes, reverse)
    one = x.dtype.type(1)
    before = _before(cells, c, steps)
    to_gates, by_gate = _rows_and_gates(gates)
    step = _compiled_step("lstm_step_backward", gates, before, bent, to_gates)
    if step is None:
        # what each gate's input adds: to c for i, f, g and to h for o, so this times their gradient
        slopes = np.empty_like(gates)
        slopes[0] = g * i * (one - i)
        slopes[1] = before * f * (one - f)
        slopes[2] = i * (one - g * g)
        slopes[3] = bent * o * (one - o)
        through = o * (one - bent * bent)
    to_h = np.zeros_like(h) if g_h is None else g_h.copy()
    to_c = np.zeros_like(c) if g_c is None else g_c.copy()
    scratch = np.empty_like(c)
    projected = None if w_hr is None else np.empty_like(out)
    for rows, n in reversed(steps):
        dh, dc = to_h[:n], to_c[:n]
        if g_out is not None:
            dh += g_out[rows]
        d = dh
        if w_hr is not None:
            projected[rows] = dh
            d = dh @ w_hr
        if step is not None:
            step(d, dc, rows)
        else:
            dc += np.multiply(d, through[rows], scratch[:n])
            np.multiply(slopes[:3, rows], dc, by_gate[:3, rows])
            np.multiply(slopes[3, rows], d, by_gate[3, rows])
            dc *= f[rows]
        np.matmul(to_gates[rows], w_hh, dh)
    h_before = _before(out, h, steps)
    result = _weight_gradients(to_gates, to_gates, x, h_before, w_ih, b_ih is not None, want_x)
    to_hr = None if w_hr is None else projected.T @ (o * bent)
    return [result[0], to_h, to_c, *result[1:], to_hr]


def _lstm_cell(z: Value, h: Value, c: Value, w_hh: Value, w_hr: Value | None) -> tuple[Value, ...]:
    i, f, g, o = (z + h.matmul(w_hh.t())).chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    h = o.sigmoid() * c.tanh()
    return (h if w_hr is None else h.matmul(w_hr.t()), c)


def _lstm_vjp(
    g: list,
    y: tuple,
    x: Value,
    h: Value,
    c: Value,
    w_ih: Value,
    w_hh: Value,
    b_ih: Value | None,
    b_hh: Value | None,
    w_hr: Value | None,
    sizes: tuple[int, ...],
    reverse: bool,
    needs: tuple[bool, ...],
) -> list[Value | None]:
    operands = [x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr]
    if state.grad:

        def again(
            x: Value,
            h: Value,
            c: Value,
            w_ih: Value,
            w_hh: Value,
            b_ih: Value | None,
            b_hh: Value | None,
            w_hr: Value | None,
        ) -> list[Value]:
            z = x.matmul(w_ih.t())
            if b_ih is not None:
                z = z + b_ih + b_hh
            return _unrolled(_lstm_cell, z, (h, c), (w_hh, w_hr), sizes, reverse)

        return _differentiable(again, operands, g[:3])
    saved = [y[k] for k in (0, 3, 4, 5)]
    found = lstm_backward(*g[:3], *saved, *operands[:6], w_hr, sizes, reverse, needs[0])
    return _placed(operands, found, needs[0])


lstm_backward = _gradients_record("lstm_backward", _lstm_gradients)
lstm_op = define("lstm", _lstm, _lstm_vjp, differentiable=(0, 1, 2))


# ---- GRU -----------------------------------------------------------------------------------


def _gru(
    x: Array,
    h: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Maybe,
    b_hh: Maybe,
    sizes: tuple[int, ...],
    reverse: bool,
) -> tuple[Array, ...]:
    """(all h, last h, gates, the state's part in n)."""
    dtype = x.dtype
    x, h, w_ih, w_hh, b_ih, b_hh = _widened(x, h, w_ih, w_hh, b_ih, b_hh)
    gates = _products(x, w_ih, b_ih, 3)
    hidden = h.shape[1]
    bias = None if b_hh is None else b_hh.reshape(3, 1, hidden)
    recurrent = w_hh.reshape(3, hidden, hidden).transpose(0, 2, 1)
    out = np.empty((len(x), hidden), x.dtype)
    inner = np.empty_like(out)
    product, scratch = np.empty((3, len(h), hidden), x.dtype), np.empty_like(h)
    for rows, n in _steps(sizes, reverse):
        z, t, h_now = gates[:, rows], scratch[:n], out[rows]
        p = np.matmul(h[:n], recurrent, product[:, :n])
        if bias is not None:
            p += bias
        both, new = z[:2], z[2]
        both += p[:2]
        _sigmoid(both)
        inner[rows] = p[2]
        new += np.multiply(z[0], p[2], t)
        np.tanh(new, new)
        np.subtract(h[:n], new, h_now)
        h_now *= z[1]
        h_now += new
        h = _moved(h, h_now)
    return (*_narrowed(dtype, out, h.copy()), gates, inner)


def _gru_gradients(
    g_out: Maybe,
    g_h: Maybe,
    out: Array,
    gates: Array,
    inner: Array,
    x: Array,
    h: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Maybe,
    sizes: tuple[int, ...],
    reverse: bool,
    want_x: bool,
) -> list[Maybe]:
    r, z, new = gates
    steps = _steps(sizes, reverse)
    h_before = _before(out, h, steps)
    one = x.dtype.type(1)
    bend = (one - z) * (one - new * new)
    slopes = np.empty_like(gates)
    slopes[0] = bend * inner * r * (one - r)
    slopes[1] = (h_before - new) * z * (one - z)
    slopes[2] = bend * r
    to_state, by_gate = _rows_and_gates(gates)
    to_h = np.zeros_like(h) if g_h is None else g_h.copy()
    product = np.empty_like(to_h)
    for rows, n in reversed(steps):
        dh = to_h[:n]
        if g_out is not None:
            dh += g_out[rows]
        np.multiply(slopes[:, rows], dh, by_gate[:, rows])
        bend[rows] *= dh
        dh *= z[rows]
        dh += np.matmul(to_state[rows], w_hh, product[:n])
    to_input = to_state.copy()
    to_input[:, -h.shape[1] :] = bend
    biased = b_ih is not None
    result = _weight_gradients(to_input, to_state, x, h_before, w_ih, biased, want_x)
    return [result[0], to_h, *result[1:]]


def _gru_cell(z: Value, h: Value, w_hh: Value, b_hh: Value | None) -> tuple[Value]:
    own = h.matmul(w_hh.t())
    own = own if b_hh is None else own + b_hh
    (zr, zz, zn), (hr, hz, hn) = z.chunk(3, 1), own.chunk(3, 1)
    keep = (zz + hz).sigmoid()
    new = (zn + (zr + hr).sigmoid() * hn).tanh()
    return (new + keep * (h - new),)


def _gru_vjp(
    g: list,
    y: tuple,
    x: Value,
    h: Value,
    w_ih: Value,
    w_hh: Value,
    b_ih: Value | None,
    b_hh: Value | None,
    sizes: tuple[int, ...],
    reverse: bool,
    needs: tuple[bool, ...],
) -> list[Value | None]:
    operands = [x, h, w_ih, w_hh, b_ih, b_hh]
    if state.grad:

        def again(
            x: Value, h: Value, w_ih: Value, w_hh: Value, b_ih: Value | None, b_hh: Value | None
        ) -> list[Value]:
            z = x.matmul(w_ih.t())
            z = z if b_ih is None else z + b_ih
            return _unrolled(_gru_cell, z, (h,), (w_hh, b_hh), sizes, reverse)

        return _differentiable(again, operands, g[:2])
    saved = [y[k] for k in (0, 2, 3)]
    found = gru_backward(*g[:2], *saved, *operands[:5], sizes, reverse, needs[0])
    return _placed(operands, found, needs[0])


gru_backward = _gradients_record("gru_backward", _gru_gradients)
gru_op = define("gru", _gru, _gru_vjp, differentiable=(0, 1))


# ---- the simple RNN ------------------------------------------------------------------------


def _rnn(
    x: Array,
    h: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Maybe,
    b_hh: Maybe,
    relu: bool,
    sizes: tuple[int, ...],
    reverse: bool,
) -> tuple[Array, ...]:
    """(all h, last h)."""
    dtype = x.dtype
    x, h, w_ih, w_hh, b_ih, b_hh = _widened(x, h, w_ih, w_hh, b_ih, b_hh)
    out = x @ w_ih.T
    if b_ih is not None:
        out += b_ih + b_hh
    recurrent = w_hh.T
    product = np.empty_like(h)
    for rows, n in _steps(sizes, reverse):
        z = out[rows]
        z += np.matmul(h[:n], recurrent, product[:n])
        if relu:
            np.maximum(z, 0, out=z)
        else:
            np.tanh(z, z)
        h = _moved(h, z)
    return _narrowed(dtype, out, h.copy())


def _rnn_gradients(
    g_out: Maybe,
    g_h: Maybe,
    out: Array,
    x: Array,
    h: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Maybe,
    relu: bool,
    sizes: tuple[int, ...],
    reverse: bool,
    want_x: bool,
) -> list[Maybe]:
    steps = _steps(sizes, reverse)
    slopes = (out > 0).astype(out.dtype) if relu else 1 - out * out
    to_h = np.zeros_like(h) if g_h is None else g_h.copy()
    for rows, n in reversed(steps):
        dh = to_h[:n]
        if g_out is not None:
            dh += g_out[rows]
        slopes[rows] *= dh
        np.matmul(slopes[rows], w_hh, dh)
    h_before = _before(out, h, steps)
    result = _weight_gradients(slopes, slopes, x, h_before, w_ih, b_ih is not None, want_x)
    return [result[0], to_h, *result[1:]]


def _rnn_tanh_cell(z: Value, h: Value, w_hh: Value) -> tuple[Value]:
    return ((z + h.matmul(w_hh.t())).tanh(),)


def _rnn_relu_cell(z: Value, h: Value, w_hh: Value) -> tuple[Value]:
    return ((z + h.matmul(w_hh.t())).clamp(min=0),)


def _rnn_vjp(
    g: list,
    y: tuple,
    x: Value,
    h: Value,
    w_ih: Value,
    w_hh: Value,
    b_ih: Value | None,
    b_hh: Value | None,
    relu: bool,
    sizes: tuple[int, ...],
    reverse: bool,
    needs: tuple[bool, ...],
) -> list[Value | None]:
    operands = [x, h, w_ih, w_hh, b_ih, b_hh]
    if state.grad:

        def again(
            x: Value, h: Value, w_ih: Value, w_hh: Value, b_ih: Value | None, b_hh: Value | None
        ) -> list[Value]:
            z = x.matmul(w_ih.t())
            z = z if b_ih is None else z + b_ih + b_hh
            cell = _rnn_relu_cell if relu else _rnn_tanh_cell
            return _unrolled(cell, z, (h,), (w_hh,), sizes, reverse)

        return _differentiable(again, operands, g[:2])
    found = rnn_backward(*g[:2], y[0], *operands[:5], relu, sizes, reverse, needs[0])
    return _placed(operands, found, needs[0])


rnn_backward = _gradients_record("rnn_backward", _rnn_gradients)
rnn_op = define("rnn", _rnn, _rnn_vjp)


# ---- gradients as tensors, and gradients of gradients --------------------------------------


def _unrolled(
    cell: Callable[..., tuple[Value, ...]],
    z: Value,
    states: tuple[Value, ...],
    rest: tuple[Value | None, ...],
    sizes: tuple[int, ...],
    reverse: bool,
) -> list[Value]:
    """(all h, the last of each state) by recorded operations: ``states = cell(z, *states, *rest)``
    for the rows of each step."""
    parts = []
    for rows, n in _steps(sizes, reverse):
        now = cell(z.narrow(0, rows.start, n), *(s.narrow(0, 0, n) for s in states), *rest)
        parts.append(now[0])
        states = [
            new if len(s._array) == n else cat((new, s.narrow(0, n, len(s._array) - n)))
            for new, s in zip(now, states)
        ]
    return [cat(tuple(parts[::-1] if reverse else parts)), *states]


def _differentiable(
    again: Callable[..., list[Value]], operands: list[Value | None], g: list[Value | None]
) -> list[Value | None]:
    """The gradients by recorded operations, so that they have gradients themselves: the layer is
    run ``again`` on views of its operands, whose places in the graph are its ends."""
    views = [v if v is None or v._edge is None else v.view(v._array.shape) for v in operands]
    ends = [v._edge for v in views if v is not None]
    outs = [(o, grad) for o, grad in zip(again(*views), g) if grad is not None]
    outs = [(o, grad) for o, grad in outs if o._edge is not None]
    found = tape.backward(
        [o._edge for o, _ in outs],
        [grad for _, grad in outs],
        keep=True,
        create=True,
        targets=[e for e in ends if e is not None],
        accumulate=False,
    )
    return [None if e is None else found.get(e) for e in ends]


__all__: list[str] = []
