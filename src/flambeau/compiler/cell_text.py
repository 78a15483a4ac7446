"""What one step of a recurrent layer does to a vector of units, and the way back: LSTM, GRU, RNN.

A ``Cell`` holds the formulas alone; the loops over steps, sequences and units around them are
``recurrent_text``'s. Arrays have a row for each element of each sequence; "gates" rows are blocks
of ``hidden`` elements, one for each gate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .builder import Code, Value
from .scalar import Scalar, select
from .scalar_functions import gate, tanh


@dataclass(frozen=True)
class Cell:
    """One kind of layer.

    ``rules``: the function of each gate's sum; None where the last gate is ``ahead``'s to compute,
    which takes the state's product apart from the input's. ``kept``: the arrays besides all h that
    the way back reads. ``carried``: the array whose rows are a state before the next step ("out"
    or "cells"), which the formulas read, or "". ``keeps``: whether h goes to the next h also on a
    direct way.

    ``ahead(code, gates, given, inner, before)``: "out" and the kept arrays by name, from the gates;
    ``given`` and ``inner``: the input's and the state's part of the last gate, if it has no rule.
    None where h is the only gate. ``back(code, kept, before, d, dc)``: the gradients of the gates'
    sums (of the input's part, if apart, the state's part last), the direct part of the gradient of
    h before, and dc.
    """

    name: str
    rules: tuple[Callable[[Scalar], Scalar] | None, ...]
    kept: tuple[str, ...]
    carried: str
    ahead: Callable[..., dict[str, list[Value]]] | None
    back: Callable[..., tuple[list[Value], Value | None, Value | None]]
    keeps: bool = False

    @property
    def gates(self) -> int:
        """How many there are."""
        return len(self.rules)

    @property
    def inner(self) -> bool:
        """Whether the last gate takes the state's product apart from the input's."""
        return self.rules[-1] is None

    @property
    def states(self) -> tuple[str, ...]:
        """Their names: h, and c where there are cells."""
        return ("h", "c") if self.carried == "cells" else ("h",)


def _lstm(
    code: Code, gates: Sequence[Value], given: None, inner: None, before: Value
) -> dict[str, list[Value]]:
    i, f, g, o = gates
    cell = before * f + i * g
    bent = code.apply(tanh, cell)
    return {"cells": [cell], "bent": [bent], "out": [bent * o]}


def _lstm_back(
    code: Code, kept: dict[str, list[Value]], before: Value, d: Value, dc: Value
) -> tuple[list[Value], None, Value]:
    (i, f, g, o), (bent,) = kept["gates"], kept["bent"]
    one = code.constant(d.kind, 1.0)
    cell = dc + d * (o * (one - bent * bent))
    sums = [
        cell * (g * i * (one - i)),
        cell * (before * f * (one - f)),
        cell * (i * (one - g * g)),
        d * (bent * o * (one - o)),
    ]
    return sums, None, cell * f


def _gru(
    code: Code, gates: Sequence[Value], given: Value, inner: Value, before: Value
) -> dict[str, list[Value]]:
    r, z = gates
    new = code.apply(tanh, given + r * inner)
    return {"gates": [r, z, new], "inner": [inner], "out": [(before - new) * z + new]}


def _gru_back(
    code: Code, kept: dict[str, list[Value]], before: Value, d: Value, dc: None
) -> tuple[list[Value], Value, None]:
    (r, z, new), (inner,) = kept["gates"], kept["inner"]
    one = code.constant(d.kind, 1.0)
    bend = d * ((one - z) * (one - new * new))
    sums = [
        bend * (inner * r * (one - r)),
        d * ((before - new) * z * (one - z)),
        bend,
        bend * r,
    ]
    return sums, d * z, None


def _relu(x: Scalar) -> Scalar:
    """The larger of ``x`` and 0; nan stays nan."""
    return select(x < 0.0, 0.0, x)


def _tanh_back(
    code: Code, kept: dict[str, list[Value]], before: None, d: Value, dc: None
) -> tuple[list[Value], None, None]:
    (out,) = kept["out"]
    return [d * (code.constant(d.kind, 1.0) - out * out)], None, None


def _relu_back(
    code: Code, kept: dict[str, list[Value]], before: None, d: Value, dc: None
) -> tuple[list[Value], None, None]:
    (out,) = kept["out"]
    return [d * code.select(out > 0.0, code.constant(d.kind, 1.0), 0.0)], None, None


#: i, f, g, o are sigmoid (g: tanh); c' = f * c + i * g, h' = o * tanh(c').
LSTM = Cell(
    "LSTM", (gate, gate, tanh, gate), ("gates", "cells", "bent"),
    "cells", _lstm, _lstm_back,
)  # fmt: skip
#: n = tanh(W_in x + b_in + r * (W_hn h + b_hn)), h' = (1 - z) * n + z * h.
GRU = Cell(
    "GRU", (gate, gate, None), ("gates", "inner"), "out", _gru, _gru_back,
    keeps=True,
)  # fmt: skip
RNN_TANH = Cell("RNN, tanh", (tanh,), (), "", None, _tanh_back)
RNN_RELU = Cell("RNN, relu", (_relu,), (), "", None, _relu_back)
CELLS = {"lstm": LSTM, "gru": GRU, "rnn_tanh": RNN_TANH, "rnn_relu": RNN_RELU}
