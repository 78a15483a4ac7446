"""LSTM layers as parts of a program: the products of all inputs, and of all weights' gradients, are
products; all steps are one function (``recurrent_text``) that takes sequences through."""

from __future__ import annotations

import numpy as np

from ..ops import recurrent
from . import recurrent_text, scalar
from .arrays import Read
from .builder import FLOATS
from .graph import Call, Var
from .layer_code import Operand, Recipe, Result, Step, filled, in_memory
from .lowering import Lazy, Lowering, Refused, mapped, permuted, product, reduced, view
from .lowering_rules import rule, turned
from .recurrent_text import Sizes
from .rows_kernels import lanes_of

#: Recurrent weights up to which every thread reads all of them at each step.
MOST = 1 << 21
WHAT = "LSTM, all steps"


def _sizes(
    operands: list[Var | None], x: Var, h: Var, c: Var, w_hr: Var | None, sizes: tuple, back: bool
) -> Sizes:
    found = {v.dtype for v in operands if v is not None}
    if len(found) > 1 or not found <= set(FLOATS):
        raise Refused("an LSTM in 16 bits")
    if w_hr is not None:
        raise Refused("an LSTM with projections")
    if len(set(sizes)) != 1 or sizes[0] != h.shape[0]:
        raise Refused("sequences of different lengths")
    hidden = c.shape[1]
    if 4 * hidden * hidden > MOST:
        raise Refused("an LSTM so wide that its threads share out the columns")
    element = FLOATS[x.dtype]
    return Sizes(element, lanes_of(element), len(sizes), sizes[0], hidden, back)


def _packed(text: str, size: int, w: Lazy, count: int) -> Lazy:
    step = Step(text, (Result(), Operand(0)), count)
    recipe = Recipe(
        "packed weights", (step,), lambda _: (), (w.shape,), nanoseconds=w.size * 0.5
    )  # fmt: skip
    return filled((size,), w.dtype, [w], recipe)[0]


@rule("lstm")
def _lstm(lowering: Lowering, node: Call) -> list[Lazy]:
    x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, sizes, reverse = node.args
    s = _sizes([x, h, c, w_ih, w_hh, b_ih, b_hh], x, h, c, w_hr, sizes, bool(reverse))
    rows, hidden = s.steps * s.batch, s.hidden
    z = product(lowering.of(x), turned(lowering.of(w_ih)))
    if b_ih is None:
        zero = scalar.constant(0.0, x.dtype)
        bias = mapped(lambda: zero, dtype=x.dtype, shape=(4 * hidden,))
    else:
        bias = in_memory(lowering.of(b_ih) + lowering.of(b_hh))
    first = [in_memory(lowering.of(v)) for v in (h, c)]
    w = in_memory(lowering.of(w_hh))
    packed = _packed(recurrent_text.pack_forward(s), w.size, w, -(-hidden // s.lanes))
    operands = [z, bias, *first, packed, w]

    def plain(
        z: np.ndarray, bias: np.ndarray, h: np.ndarray, c: np.ndarray, _: object, w: np.ndarray
    ) -> list[np.ndarray]:
        same = np.eye(4 * hidden, dtype=z.dtype)
        given = (z, h, c, same, w, bias, np.zeros_like(bias), None, sizes, reverse)
        out, _, _, gates, cells, bent = recurrent._lstm(*given)
        return [out, gates.transpose(1, 0, 2), cells, bent]

    given = (Result(), *(Result(part=k) for k in range(3)), *map(Operand, range(5)))
    step = Step(recurrent_text.forward(s), given, s.batch)
    operations = 2.0 * rows * w.size
    recipe = Recipe(
        WHAT, (step,), plain, tuple(x.shape for x in operands),
        nanoseconds=operations / 60, operations=operations,
    )  # fmt: skip
    own = (rows, hidden)
    parts = [(shape, x.dtype) for shape in ((rows, 4 * hidden), own, own)]
    out, gates, cells, bent = filled(own, x.dtype, operands, recipe, parts)
    last = 0 if s.reverse else (s.steps - 1) * s.batch * hidden
    ends = [view(a, (s.batch, hidden), (hidden, 1), last) for a in (out, cells)]
    by_gate = view(gates, (4, rows, hidden), (hidden, 4 * hidden, 1))
    return [out, *ends, by_gate, cells, bent]


@rule("lstm_backward")
def _lstm_backward(lowering: Lowering, node: Call) -> list[Lazy]:
    (
        g_out, g_h, g_c, out, gates, cells, bent, x, h, c, w_ih, w_hh, b_ih, w_hr, sizes, reverse,
        want_x,
    ) = node.args  # fmt: skip
    wanted = [g_out, g_h, g_c, gates, cells, bent, x, h, c, w_ih, w_hh, b_ih]
    s = _sizes(wanted, x, h, c, w_hr, sizes, bool(reverse))
    rows, hidden = s.steps * s.batch, s.hidden
    there = [v for v in (g_out, g_h, g_c) if v is not None]
    w = in_memory(lowering.of(w_hh))
    panels = -(-hidden // s.wide)
    packed = _packed(recurrent_text.pack_backward(s), panels * 4 * hidden * s.wide, w, panels)
    operands = [in_memory(lowering.of(v)) for v in there]
    operands.append(in_memory(permuted(lowering.of(gates), (1, 0, 2))))
    operands += [in_memory(lowering.of(v)) for v in (cells, bent, c)]
    operands += [packed, w]
    given = (g_out is not None, g_h is not None, g_c is not None)

    def plain(*arrays: np.ndarray) -> list[np.ndarray]:
        rest = iter(arrays)
        grads = [next(rest) if n else None for n in given]
        gates, cells, bent, c, _, w = rest
        same = np.eye(4 * hidden, dtype=w.dtype)
        nothing = np.zeros((rows, 4 * hidden), w.dtype)
        gates = np.ascontiguousarray(gates.transpose(1, 0, 2))
        found = recurrent._lstm_gradients(
            *grads, np.zeros_like(cells), gates, cells, bent, nothing, np.zeros_like(c), c, same, w,
            None, None, sizes, reverse, True,
        )  # fmt: skip
        return found[:3]

    places = (Result(), Result(part=0), Result(part=1))
    step = Step(
        recurrent_text.backward(s, given), (*places, *map(Operand, range(len(operands) - 1))),
        s.batch,
    )  # fmt: skip
    operations = 2.0 * rows * w.size
    recipe = Recipe(
        f"{WHAT} backward", (step,), plain, tuple(a.shape for a in operands),
        nanoseconds=operations / 60, operations=operations,
    )  # fmt: skip
    state = ((s.batch, hidden), x.dtype)
    to_gates, to_h, to_c = filled((rows, 4 * hidden), x.dtype, operands, recipe, [state, state])
    results = [product(to_gates, lowering.of(w_ih))] if want_x else []
    flipped = turned(to_gates)
    results += [to_h, to_c, product(flipped, lowering.of(x))]
    results.append(_state_weights(s, to_gates, lowering.of(out), lowering.of(h)))
    if b_ih is not None:
        total = reduced("sum", to_gates, (0,), False)
        results += [total, total]
    return results


def _state_weights(s: Sizes, to_gates: Lazy, out: Lazy, h: Lazy) -> Lazy:
    """The gradient of the recurrent weights: the gates' gradients times the states before."""

    def rows(x: Lazy, first: int, count: int) -> Lazy:
        start = x.read.offset + first * x.read.strides[0]
        read = Read(x.read.array, x.read.strides, start, x.read.index, x.read.index_stride)
        return Lazy(read, (count, x.shape[1]))

    later = (s.steps - 1) * s.batch
    # steps lie as time goes; the first one taken has h before it, the others their neighbour
    first, after, before = (later, 0, s.batch) if s.reverse else (0, s.batch, 0)
    total = product(turned(rows(to_gates, first, s.batch)), h)
    if later:
        total = product(turned(rows(to_gates, after, later)), rows(out, before, later)) + total
    return total
