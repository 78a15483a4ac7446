"""Recurrent layers over whole sequences: LSTM, GRU and the simple RNN, one record each.

The products of all inputs with the input weights are one product; what is left for each step is
the product of the state with the recurrent weights, and elementwise work. The gradient goes back
through the steps in the same way, and has the products for the weights in one at the end.

Rows of ``x`` are steps one after the other: the first ``sizes[0]`` rows are the first elements of
all sequences, the next ``sizes[1]`` the second elements of those that are long enough, and so on
(``nn.utils.rnn.PackedSequence``); sizes never grow. With ``reverse`` the steps are taken from the
last to the first. Weights lie as PyTorch has them: gates are blocks of rows of ``w_ih`` and
``w_hh``, i f g o for LSTM and r z n for GRU. 16-bit floats are computed in float32.

What a kind of layer does in its steps is a pair of functions, ``Steps``, to which the compiler has
twins (``compiler.recurrent_text``): all else, products and gradients of weights, is in one place.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..core import tape, threads
from ..core.modes import state
from ..core.op import define
from ..core.value import Value
from ._windows import working_dtype
from .joining import cat

Array = np.ndarray
Maybe = np.ndarray | None
_KERNEL = 1 << 14  # gates from which compiled steps are asked for


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


def _sigmoid(z: Array) -> None:
    """1 / (1 + exp(-z)), in place."""
    z *= -1  # NumPy 2.4's np.negative in place is wrong for columns of 16 bytes' distance
    np.exp(z, z)
    z += 1
    np.reciprocal(z, z)


def _moved(now: Array, new: Array) -> Array:
    """The states ``now`` of all sequences after a step that gave the first of them ``new`` ones."""
    return new if len(new) == len(now) else np.concatenate((new, now[len(new) :]))


def _by_gate(rows: Array, gates: int) -> Array:
    """Rows of gates as (gates, rows, hidden), the same memory."""
    return rows.reshape(len(rows), gates, -1).transpose(1, 0, 2)


def _plus(z: Array, *biases: Maybe) -> Array:
    for bias in biases:
        if bias is not None:
            z += bias
    return z


# ---- the steps of each kind ------------------------------------------------------------------


class Steps(NamedTuple):
    """What a kind of layer does from step to step, in float32 or wider.

    ``ahead(z, b_ih, b_hh, states, w_hh, w_hr, sizes, reverse)``: ``z`` are the inputs' products
    (rows, gates * hidden), which may be written over; returns [all h, the last of each state, and
    what is kept for the way back: the gates (rows, gates * hidden), and arrays (rows, hidden)].

    ``back(grads, out, kept, states, w_hh, w_hr, sizes, reverse)``: ``grads`` are those of all h
    and of the last of each state, each may be None; returns [the gradients of the inputs'
    products, those of the states' products, h before each row, the gradient of each first state].

    ``w_hr``, which projects h, is an LSTM's; its gradient is then the last one of ``back``'s.
    """

    ahead: Callable[..., list[Array]]
    back: Callable[..., list[Array]]


def _lstm_ahead(
    z: Array,
    b_ih: Maybe,
    b_hh: Maybe,
    states: Sequence[Array],
    w_hh: Array,
    w_hr: Maybe,
    sizes: Sequence[int],
    reverse: bool,
) -> list[Array]:
    h, c = states
    _plus(z, b_ih, b_hh)
    hidden = z.shape[1] // 4
    out = np.empty((len(z), h.shape[1]), z.dtype)
    cells = np.empty((len(z), hidden), z.dtype)
    bent = np.empty_like(cells)
    for rows, n in _steps(sizes, reverse):
        gates, h_now, c_now, b_now = z[rows], out[rows], cells[rows], bent[rows]
        gates += h[:n] @ w_hh.T
        _sigmoid(gates[:, : 2 * hidden])
        i, f, g, o = _by_gate(gates, 4)
        np.tanh(g, g)
        _sigmoid(o)
        np.multiply(c[:n], f, c_now)
        c_now += i * g
        np.tanh(c_now, b_now)
        if w_hr is None:
            np.multiply(b_now, o, h_now)
        else:
            np.matmul(b_now * o, w_hr.T, h_now)
        h, c = _moved(h, h_now), _moved(c, c_now)
    return [out, h.copy(), c.copy(), z, cells, bent]


def _lstm_back(
    grads: Sequence[Maybe],
    out: Array,
    kept: Sequence[Array],
    states: Sequence[Array],
    w_hh: Array,
    w_hr: Maybe,
    sizes: Sequence[int],
    reverse: bool,
) -> list[Array]:
    (g_out, g_h, g_c), (h, c), (gates, cells, bent) = grads, states, kept
    i, f, g, o = _by_gate(gates, 4)
    steps = _steps(sizes, reverse)
    one = out.dtype.type(1)
    before = _before(cells, c, steps)
    to_gates = np.empty_like(gates)
    to_i, to_f, to_g, to_o = _by_gate(to_gates, 4)
    # what each gate's input adds: to c for i, f, g and to h for o; then times their gradient
    to_i[...] = g * i * (one - i)
    to_f[...] = before * f * (one - f)
    to_g[...] = i * (one - g * g)
    to_o[...] = bent * o * (one - o)
    through = o * (one - bent * bent)
    to_h = np.zeros_like(h) if g_h is None else g_h.copy()
    to_c = np.zeros_like(c) if g_c is None else g_c.copy()
    projected = None if w_hr is None else np.empty_like(out)
    for rows, n in reversed(steps):
        dh, dc = to_h[:n], to_c[:n]
        if g_out is not None:
            dh += g_out[rows]
        d = dh
        if w_hr is not None:
            projected[rows] = dh
            d = dh @ w_hr
        dc += d * through[rows]
        by_gate = _by_gate(to_gates[rows], 4)
        by_gate[:3] *= dc
        by_gate[3] *= d
        dc *= f[rows]
        np.matmul(to_gates[rows], w_hh, dh)
    found = [to_gates, to_gates, _before(out, h, steps), to_h, to_c]
    return found if w_hr is None else [*found, projected.T @ (o * bent)]


def _gru_ahead(
    z: Array,
    b_ih: Maybe,
    b_hh: Maybe,
    states: Sequence[Array],
    w_hh: Array,
    w_hr: None,
    sizes: Sequence[int],
    reverse: bool,
) -> list[Array]:
    (h,) = states
    _plus(z, b_ih)
    hidden = h.shape[1]
    out = np.empty((len(z), hidden), z.dtype)
    inner = np.empty_like(out)
    for rows, n in _steps(sizes, reverse):
        gates, h_now = z[rows], out[rows]
        product = _plus(h[:n] @ w_hh.T, b_hh)
        gates[:, : 2 * hidden] += product[:, : 2 * hidden]
        _sigmoid(gates[:, : 2 * hidden])
        r, keep, new = _by_gate(gates, 3)
        inner[rows] = product[:, 2 * hidden :]
        new += r * inner[rows]
        np.tanh(new, new)
        np.subtract(h[:n], new, h_now)
        h_now *= keep
        h_now += new
        h = _moved(h, h_now)
    return [out, h.copy(), z, inner]


def _gru_back(
    grads: Sequence[Maybe],
    out: Array,
    kept: Sequence[Array],
    states: Sequence[Array],
    w_hh: Array,
    w_hr: None,
    sizes: Sequence[int],
    reverse: bool,
) -> list[Array]:
    (g_out, g_h), (h,), (gates, inner) = grads, states, kept
    r, z, new = _by_gate(gates, 3)
    steps = _steps(sizes, reverse)
    h_before = _before(out, h, steps)
    one = out.dtype.type(1)
    bend = (one - z) * (one - new * new)
    to_state = np.empty_like(gates)
    to_r, to_z, to_new = _by_gate(to_state, 3)
    to_r[...] = bend * inner * r * (one - r)
    to_z[...] = (h_before - new) * z * (one - z)
    to_new[...] = bend * r
    to_h = np.zeros_like(h) if g_h is None else g_h.copy()
    for rows, n in reversed(steps):
        dh = to_h[:n]
        if g_out is not None:
            dh += g_out[rows]
        by_gate = _by_gate(to_state[rows], 3)
        by_gate *= dh
        bend[rows] *= dh
        dh *= z[rows]
        dh += to_state[rows] @ w_hh
    to_input = to_state.copy()
    to_input[:, -h.shape[1] :] = bend
    return [to_input, to_state, h_before, to_h]


def _simple_ahead(
    relu: bool,
    z: Array,
    b_ih: Maybe,
    b_hh: Maybe,
    states: Sequence[Array],
    w_hh: Array,
    w_hr: None,
    sizes: Sequence[int],
    reverse: bool,
) -> list[Array]:
    (h,) = states
    out = _plus(z, b_ih, b_hh)
    for rows, n in _steps(sizes, reverse):
        now = out[rows]
        now += h[:n] @ w_hh.T
        if relu:
            np.maximum(now, 0, out=now)
        else:
            np.tanh(now, now)
        h = _moved(h, now)
    return [out, h.copy()]


def _simple_back(
    relu: bool,
    grads: Sequence[Maybe],
    out: Array,
    kept: Sequence[Array],
    states: Sequence[Array],
    w_hh: Array,
    w_hr: None,
    sizes: Sequence[int],
    reverse: bool,
) -> list[Array]:
    (g_out, g_h), (h,) = grads, states
    steps = _steps(sizes, reverse)
    slopes = (out > 0).astype(out.dtype) if relu else 1 - out * out
    to_h = np.zeros_like(h) if g_h is None else g_h.copy()
    for rows, n in reversed(steps):
        dh = to_h[:n]
        if g_out is not None:
            dh += g_out[rows]
        slopes[rows] *= dh
        np.matmul(slopes[rows], w_hh, dh)
    return [slopes, slopes, _before(out, h, steps), to_h]


STEPS = {
    "lstm": Steps(_lstm_ahead, _lstm_back),
    "gru": Steps(_gru_ahead, _gru_back),
    "rnn_tanh": Steps(*(functools.partial(f, False) for f in (_simple_ahead, _simple_back))),
    "rnn_relu": Steps(*(functools.partial(f, True) for f in (_simple_ahead, _simple_back))),
}


# ---- layers ----------------------------------------------------------------------------------


def _compiled(name: str, kind: str, w_hr: Maybe, z: Array, *rest: Any) -> list[Array] | None:
    """The compiler's twin of the steps, where there is enough to do."""
    if w_hr is not None or z.size < _KERNEL:
        return None
    routine = threads.routine(name)
    return None if routine is None else routine(kind, z, *rest)


def _layer(
    kind: str,
    x: Array,
    states: Sequence[Array],
    w_ih: Array,
    w_hh: Array,
    b_ih: Maybe,
    b_hh: Maybe,
    w_hr: Maybe,
    sizes: tuple[int, ...],
    reverse: bool,
) -> tuple[Array, ...]:
    """(all h, the last of each state, what is kept for the way back)."""
    dtype, count = x.dtype, len(states)
    work = working_dtype(dtype)
    wide = [
        None if a is None else a.astype(work, copy=False)
        for a in (x, w_ih, w_hh, b_ih, b_hh, w_hr, *states)
    ]
    x, w_ih, w_hh, b_ih, b_hh, w_hr, *states = wide
    z = threads.dot(x, w_ih.T)
    found = _compiled("recurrent", kind, w_hr, z, b_ih, b_hh, states, w_hh, sizes, reverse)
    if found is None:
        found = STEPS[kind].ahead(z, b_ih, b_hh, states, w_hh, w_hr, sizes, reverse)
    results = [a.astype(dtype, copy=False) for a in found[: 1 + count]]
    return (*results, *found[1 + count :])


def _layer_gradients(
    kind: str,
    grads: Sequence[Maybe],
    out: Array,
    kept: Sequence[Array],
    x: Array,
    states: Sequence[Array],
    w_ih: Array,
    w_hh: Array,
    w_hr: Maybe,
    biased: bool,
    sizes: tuple[int, ...],
    reverse: bool,
    want_x: bool,
) -> tuple[Array, ...]:
    """Gradients of (x if wanted, states, w_ih, w_hh, biases if there are, w_hr if it is there)."""
    dtype = x.dtype
    work = working_dtype(dtype)

    def wide(arrays: Sequence[Maybe]) -> list[Maybe]:
        return [None if a is None else a.astype(work, copy=False) for a in arrays]

    grads, kept, states = wide(grads), wide(kept), wide(states)
    out, x, w_ih, w_hh, w_hr = wide((out, x, w_ih, w_hh, w_hr))
    found = _compiled(
        "recurrent_backward", kind, w_hr, kept[0] if kept else out, grads, out, kept, states, w_hh,
        sizes, reverse,
    )  # fmt: skip
    if found is None:
        found = STEPS[kind].back(grads, out, kept, states, w_hh, w_hr, sizes, reverse)
    to_input, to_state, h_before, *rest = found
    results = [threads.dot(to_input, w_ih)] if want_x else []
    results += rest[: len(states)]
    results += [threads.dot(to_input.T, x), threads.dot(to_state.T, h_before)]
    if biased:
        results.append(to_input.sum(0))
        results.append(results[-1] if to_state is to_input else to_state.sum(0))
    results += rest[len(states) :]
    return tuple([r.astype(dtype, copy=False) for r in results])


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
    return _layer("lstm", x, (h, c), w_ih, w_hh, b_ih, b_hh, w_hr, sizes, reverse)


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
) -> tuple[Array, ...]:
    return _layer_gradients(
        "lstm", (g_out, g_h, g_c), out, (gates, cells, bent), x, (h, c), w_ih, w_hh, w_hr,
        b_ih is not None, sizes, reverse, want_x,
    )  # fmt: skip


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


lstm_backward = define("lstm_backward", _lstm_gradients)
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
    return _layer("gru", x, (h,), w_ih, w_hh, b_ih, b_hh, None, sizes, reverse)


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
) -> tuple[Array, ...]:
    return _layer_gradients(
        "gru", (g_out, g_h), out, (gates, inner), x, (h,), w_ih, w_hh, None, b_ih is not None,
        sizes, reverse, want_x,
    )  # fmt: skip


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


gru_backward = define("gru_backward", _gru_gradients)
gru_op = define("gru", _gru, _gru_vjp, differentiable=(0, 1))


# ---- the simple RNN ------------------------------------------------------------------------


def simple_kind(relu: bool) -> str:
    """Its name in ``STEPS``."""
    return "rnn_relu" if relu else "rnn_tanh"


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
    return _layer(simple_kind(relu), x, (h,), w_ih, w_hh, b_ih, b_hh, None, sizes, reverse)


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
) -> tuple[Array, ...]:
    return _layer_gradients(
        simple_kind(relu), (g_out, g_h), out, (), x, (h,), w_ih, w_hh, None, b_ih is not None,
        sizes, reverse, want_x,
    )  # fmt: skip


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


rnn_backward = define("rnn_backward", _rnn_gradients)
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
