"""Recurrent layers as parts of a program: the products of all inputs, and of all weights'
gradients, are products; all steps are one function (``recurrent_text``) that takes sequences
through."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..ops.recurrent import STEPS, simple_kind
from . import recurrent_kernels, recurrent_text, scalar
from .builder import FLOATS
from .graph import Call, Var
from .layer_code import Operand, Recipe, Result, Step, filled, in_memory
from .lowering import Lazy, Lowering, Refused, mapped, product, reduced
from .lowering_rules import rule, turned
from .recurrent_text import Form
from .rows_kernels import lanes_of


def _form(kind: str, operands: Sequence[Var | None], hidden: int, batch: int) -> Form:
    found = {v.dtype for v in operands if v is not None}
    form = recurrent_kernels.form(kind, min(found, key=lambda d: d.itemsize))
    if len(found) > 1 or form is None:
        raise Refused("a recurrent layer in 16 bits")
    if recurrent_kernels.is_too_wide(form.cell, hidden, batch):
        raise Refused("a layer so wide that its threads share out the columns")
    return form


def _packed(form: Form, w: Lazy, hidden: int, back: bool) -> Lazy:
    panels, size = form.packed(hidden, back)
    step = Step(recurrent_text.pack(form, back), (Result(), Operand(0), hidden), panels)
    recipe = Recipe(
        "packed weights", (step,), lambda _: (), (w.shape,), nanoseconds=w.size * 0.5
    )  # fmt: skip
    return filled((size,), w.dtype, [w], recipe)[0]


def _steps(
    name: str,
    text: str,
    written: Sequence[tuple[int, ...]],
    operands: Sequence[Lazy],
    plain: Callable[..., Sequence[np.ndarray]],
    steps: np.ndarray,
    batch: int,
    hidden: int,
) -> list[Lazy]:
    """What a function over all steps writes, arrays of the shapes ``written``; its last operand is
    not for it, but for ``plain``."""
    places = [Result(), *(Result(part=k) for k in range(len(written) - 1))]
    reads = map(Operand, range(len(operands) - 1))
    step = Step(text, (*places, *reads, steps, len(steps), hidden), batch)
    operations = 2.0 * int(steps[:, 1].sum()) * operands[-1].size
    recipe = Recipe(
        name, (step,), plain, tuple(a.shape for a in operands),
        nanoseconds=operations / 60, operations=operations,
    )  # fmt: skip
    dtype = operands[0].dtype
    return filled(written[0], dtype, operands, recipe, [(shape, dtype) for shape in written[1:]])


def _ahead(
    lowering: Lowering,
    kind: str,
    x: Var,
    states: Sequence[Var],
    weights: Sequence[Var],
    biases: Sequence[Var | None],
    sizes: tuple[int, ...],
    reverse: bool,
) -> list[Lazy]:
    """(all h, the last of each state, what is kept for the way back)."""
    batch, hidden = states[0].shape
    form = _form(kind, [x, *states, *weights, *biases], hidden, batch)
    w_ih, w_hh = (lowering.of(w) for w in weights)
    wide = w_hh.shape[0]
    z = product(lowering.of(x), turned(w_ih))
    zero = scalar.constant(0.0, x.dtype)
    none = in_memory(mapped(lambda: zero, dtype=x.dtype, shape=(wide,))) if None in biases else None
    given = [none if b is None else in_memory(lowering.of(b)) for b in biases]
    w = in_memory(w_hh)
    operands = [z, *given, *(in_memory(lowering.of(s)) for s in states)]
    operands += [_packed(form, w, hidden, False), w]

    def plain(
        z: np.ndarray, b_ih: np.ndarray, b_hh: np.ndarray, *rest: np.ndarray
    ) -> list[np.ndarray]:
        *states, _, w = rest
        return STEPS[kind].ahead(z.copy(), b_ih, b_hh, states, w, None, sizes, reverse)

    shapes = {"gates": z.shape, **{f"{s}_last": (batch, hidden) for s in form.cell.states}}
    names, _ = recurrent_text.forward_arrays(form.cell)
    written = [shapes.get(name, (z.shape[0], hidden)) for name in names]
    return _steps(
        f"{form.cell.name}, all steps", recurrent_text.forward(form), written, operands, plain,
        recurrent_kernels.table(sizes, reverse), batch, hidden,
    )  # fmt: skip


def _back(
    lowering: Lowering,
    kind: str,
    grads: Sequence[Var | None],
    out: Var,
    kept: Sequence[Var],
    x: Var,
    states: Sequence[Var],
    weights: Sequence[Var],
    bias: Var | None,
    sizes: tuple[int, ...],
    reverse: bool,
    want_x: bool,
) -> list[Lazy]:
    """Gradients of (x if wanted, states, weights, biases if there are)."""
    batch, hidden = states[0].shape
    form = _form(kind, [*grads, out, *kept, x, *states, *weights], hidden, batch)
    cell, rows = form.cell, out.shape[0]
    there = tuple(g is not None for g in grads)
    w = in_memory(lowering.of(weights[1]))
    read = [*(g for g in grads if g is not None), out, *kept, *states]
    operands = [in_memory(lowering.of(v)) for v in read]
    operands += [_packed(form, w, hidden, True), w]

    def plain(*arrays: np.ndarray) -> list[np.ndarray]:
        rest = iter(arrays)
        grads = [next(rest) if is_there else None for is_there in there]
        out, *kept = (next(rest) for _ in range(1 + len(cell.kept)))
        *states, _, w = rest
        found = STEPS[kind].back(grads, out, kept, states, w, None, sizes, reverse)
        return found if cell.inner else found[1:]

    wide = (rows, cell.gates * hidden)
    shapes = {"to_gates": wide, "to_state": wide, "h_before": (rows, hidden)}
    names, _ = recurrent_text.backward_arrays(cell, there)
    written = [shapes.get(name, (batch, hidden)) for name in names]
    found = _steps(
        f"{cell.name}, all steps backward", recurrent_text.backward(form, there), written,
        operands, plain, recurrent_kernels.table(sizes, reverse), batch, hidden,
    )  # fmt: skip
    to_gates, to_state, h_before, *to_states = found if cell.inner else [found[0], *found]
    results = [product(to_gates, lowering.of(weights[0]))] if want_x else []
    results += [*to_states, product(turned(to_gates), lowering.of(x))]
    results.append(product(turned(to_state), h_before))
    if bias is not None:
        total = reduced("sum", to_gates, (0,), False)
        results += [total, reduced("sum", to_state, (0,), False) if cell.inner else total]
    return results


@rule("lstm")
def _lstm(lowering: Lowering, node: Call) -> list[Lazy]:
    x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, sizes, reverse = node.args
    if w_hr is not None:
        raise Refused("an LSTM with projections")
    return _ahead(lowering, "lstm", x, (h, c), (w_ih, w_hh), (b_ih, b_hh), sizes, reverse)


@rule("gru")
def _gru(lowering: Lowering, node: Call) -> list[Lazy]:
    x, h, w_ih, w_hh, b_ih, b_hh, sizes, reverse = node.args
    return _ahead(lowering, "gru", x, (h,), (w_ih, w_hh), (b_ih, b_hh), sizes, reverse)


@rule("rnn")
def _rnn(lowering: Lowering, node: Call) -> list[Lazy]:
    x, h, w_ih, w_hh, b_ih, b_hh, relu, sizes, reverse = node.args
    kind = simple_kind(relu)
    return _ahead(lowering, kind, x, (h,), (w_ih, w_hh), (b_ih, b_hh), sizes, reverse)


@rule("lstm_backward")
def _lstm_backward(lowering: Lowering, node: Call) -> list[Lazy]:
    g_out, g_h, g_c, out, gates, cells, bent, x, h, c, w_ih, w_hh, b_ih, w_hr, *rest = node.args
    if w_hr is not None:
        raise Refused("an LSTM with projections")
    grads, kept = (g_out, g_h, g_c), (gates, cells, bent)
    return _back(lowering, "lstm", grads, out, kept, x, (h, c), (w_ih, w_hh), b_ih, *rest)


@rule("gru_backward")
def _gru_backward(lowering: Lowering, node: Call) -> list[Lazy]:
    g_out, g_h, out, gates, inner, x, h, w_ih, w_hh, b_ih, *rest = node.args
    kept = (gates, inner)
    return _back(lowering, "gru", (g_out, g_h), out, kept, x, (h,), (w_ih, w_hh), b_ih, *rest)


@rule("rnn_backward")
def _rnn_backward(lowering: Lowering, node: Call) -> list[Lazy]:
    g_out, g_h, out, x, h, w_ih, w_hh, b_ih, relu, *rest = node.args
    kind = simple_kind(relu)
    return _back(lowering, kind, (g_out, g_h), out, (), x, (h,), (w_ih, w_hh), b_ih, *rest)


# ---- packed sequences ------------------------------------------------------------------------


def _moved(lowering: Lowering, node: Call, rows: np.ndarray, value: float) -> Lazy:
    """``rows`` of the first operand, counted through its leading dimensions, ``value`` where -1."""
    x, shape = lowering.of(node.args[0]), node.outs[0].shape
    element = FLOATS.get(x.dtype)
    if element is None:
        raise Refused("sequences of other than 32 and 64-bit floats")
    width = math.prod(shape) // rows.size

    def plain(x: np.ndarray) -> list[np.ndarray]:
        found = x.reshape(-1, width)[rows]
        found[rows < 0] = value
        return [found.reshape(shape)]

    text = recurrent_text.moved(element, lanes_of(element))
    given = (Result(), Operand(0), rows, width, x.dtype.type(value))
    recipe = Recipe(
        node.op.name, (Step(text, given, rows.size),), plain, (x.shape,),
        nanoseconds=rows.size * (width * 0.1 + 5),
    )  # fmt: skip
    return filled(shape, x.dtype, [in_memory(x)], recipe)[0]


@rule("_pack_padded_sequence")
def _pack(lowering: Lowering, node: Call) -> Lazy:
    x, sizes = node.args
    batch = x.shape[1]
    rows = np.concatenate([t * batch + np.arange(n) for t, n in enumerate(sizes)])
    return _moved(lowering, node, rows, 0.0)


@rule("_pad_packed_sequence")
def _pad(lowering: Lowering, node: Call) -> Lazy:
    _, sizes, steps, batch, value = node.args
    rows = np.full((steps, batch), -1)
    counts = np.zeros(steps, np.int64)
    counts[: len(sizes)] = sizes
    rows[np.arange(batch) < counts[:, None]] = np.arange(sum(sizes))
    return _moved(lowering, node, rows.reshape(-1), value)
