"""Recurrent layers and their cells: the simple RNN, LSTM and GRU.

Source: https://docs.pytorch.org/docs/stable/nn.html#recurrent-layers
"""

from __future__ import annotations

import math
import warnings

from ..._dtypes import dtype
from ...core.value import Value
from ...ops.joining import cat, stack
from ...ops.recurrent import gru_op, lstm_op, rnn_op
from ...tensor._creation import empty, zeros
from .. import functional as F
from .. import init
from ..parameter import Parameter
from ..utils.rnn import PackedSequence
from .module import Module

Input = Value | PackedSequence

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def _run_layer(
    mode: str,
    x: Value,
    states: tuple[Value, ...],
    weights: list[Value],
    biased: bool,
    sizes: tuple[int, ...],
    reverse: bool,
) -> tuple[Value, ...]:
    """(all outputs, the last of each state) of one layer in one direction."""
    w_ih, w_hh, *rest = weights
    biases = (rest[0], rest[1]) if biased else (None, None)
    if mode == "LSTM":
        w_hr = rest[-1] if len(rest) % 2 else None
        return lstm_op(x, *states, w_ih, w_hh, *biases, w_hr, sizes, reverse)[:3]
    if mode == "GRU":
        return gru_op(x, *states, w_ih, w_hh, *biases, sizes, reverse)[:2]
    return rnn_op(x, *states, w_ih, w_hh, *biases, mode == "RNN_RELU", sizes, reverse)


class RNNBase(Module):
    """What recurrent layers have in common: weights, settings, layers and directions.

    Weights of layer k are ``weight_ih_l{k}``, ``weight_hh_l{k}``, ``bias_ih_l{k}``,
    ``bias_hh_l{k}`` (and ``weight_hr_l{k}`` with ``proj_size``), with ``_reverse`` for the second
    direction; all start uniform within 1 / sqrt(hidden_size).
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: object = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__()
        if mode not in _GATES:
            raise ValueError(f"Unrecognized RNN mode: {mode}")
        if (
            isinstance(dropout, bool)
            or not isinstance(dropout, (int, float))
            or not 0 <= dropout <= 1
        ):
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an "
                "element being zeroed"
            )
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero "
                f"dropout expects num_layers greater than 1, but got dropout={dropout} and "
                f"num_layers={num_layers}",
                stacklevel=3,
            )
        if not isinstance(hidden_size, int):
            raise TypeError(f"hidden_size should be of type int, got: {type(hidden_size).__name__}")
        if hidden_size <= 0:
            raise ValueError("hidden_size must be greater than zero")
        if num_layers <= 0:
            raise ValueError("num_layers must be greater than zero")
        if proj_size < 0:
            raise ValueError(
                "proj_size should be a positive integer or zero to disable projections"
            )
        if proj_size >= hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        gates = _GATES[mode] * hidden_size
        outputs = proj_size or hidden_size
        self._all_weights = []
        for layer in range(num_layers):
            for suffix in ("", "_reverse") if bidirectional else ("",):
                inputs = input_size if layer == 0 else outputs * (1 + bool(bidirectional))
                shapes = {"weight_ih": (gates, inputs), "weight_hh": (gates, outputs)}
                if bias:
                    shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                names = [f"{name}_l{layer}{suffix}" for name in shapes]
                for name, shape in zip(names, shapes.values()):
                    setattr(self, name, Parameter(empty(shape, device=device, dtype=dtype)))
                self._all_weights.append(names)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """For GPUs, where weights are kept in one block: nothing to do here."""

    @property
    def all_weights(self) -> list[list[Value]]:
        """The weights of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights(self) -> list[Value]:
        return [weight for weights in self.all_weights for weight in weights]

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for names in self._all_weights for name in names]

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        defaults = (
            ("proj_size", 0),
            ("num_layers", 1),
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0),
            ("bidirectional", False),
        )
        parts += [f"{k}={getattr(self, k)}" for k, v in defaults if getattr(self, k) != v]
        return ", ".join(parts)

    # ---- arguments -------------------------------------------------------------------------

    def _check_input(self, input: Value) -> None:
        weight = getattr(self, self._all_weights[0][0])
        if input.dtype != weight.dtype:
            raise ValueError(
                f"RNN input dtype ({input.dtype!r}) does not match weight dtype "
                f"({weight.dtype!r}). Convert input: input.to({weight.dtype!r}), or convert model: "
                f"model.to({input.dtype!r})"
            )
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got "
                f"{input.shape[-1]}"
            )
        if 0 in input.shape[:-2]:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")

    def _state_sizes(self) -> tuple[int, ...]:
        """The width of each state: h, and c of an LSTM."""
        if self.mode == "LSTM":
            return (self.proj_size or self.hidden_size, self.hidden_size)
        return (self.hidden_size,)

    def _check_states(self, states: tuple[Value, ...], ndim: int) -> None:
        if any(s.dim() != ndim for s in states):
            what = "hx and cx" if len(states) == 2 else "hx"
            got = ", ".join(f"{s.dim()}-D" for s in states)
            got = f"({got}) tensors" if len(states) == 2 else f"{got} tensor"
            batch = "batched" if ndim == 3 else "unbatched"
            raise RuntimeError(
                f"For {batch} {ndim}-D input, {what} should also be {ndim}-D but got {got}"
            )

    def _check_state_shapes(self, states: tuple[Value, ...], batch: int) -> None:
        layers = self.num_layers * (1 + bool(self.bidirectional))
        for i, (s, width) in enumerate(zip(states, self._state_sizes())):
            if tuple(s.shape) != (layers, batch, width):
                which = f"hidden[{i}]" if len(states) == 2 else "hidden"
                raise RuntimeError(
                    f"Expected {which} size {(layers, batch, width)}, got {list(s.shape)}\n"
                    "  (layers * directions, batch, width)"
                )

    # ---- running ---------------------------------------------------------------------------

    def _layers(
        self, x: Value, states: tuple[Value, ...] | None, sizes: tuple[int, ...]
    ) -> tuple[Value, tuple[Value, ...]]:
        """(outputs, last states) of all layers for rows ``x`` of steps of ``sizes``."""
        directions = 2 if self.bidirectional else 1
        first = sizes[0]
        if states is None:
            start = tuple(
                zeros(first, n, dtype=x.dtype, device=x.device) for n in self._state_sizes()
            )
        lasts = []
        for layer in range(self.num_layers):
            outs = []
            for d in range(directions):
                index = layer * directions + d
                weights = [getattr(self, name) for name in self._all_weights[index]]
                if states is not None:
                    start = tuple(s.select(0, index) for s in states)
                y, *last = _run_layer(self.mode, x, start, weights, self.bias, sizes, d == 1)
                outs.append(y)
                lasts.append(last)
            x = outs[0] if directions == 1 else cat(tuple(outs), 1)
            if self.dropout and self.training and layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, True)
        return x, tuple(stack(tuple(column)) for column in zip(*lasts))

    def _forward(self, input: Input, states: tuple[Value, ...] | None) -> tuple:
        """(output, last states) for padded or packed sequences, batched or not."""
        if isinstance(input, PackedSequence):
            data, batch_sizes, order, back = input
            self._check_input(data)
            sizes = tuple(batch_sizes.tolist())
            if states is not None:
                if order is not None:
                    states = tuple(s.index_select(1, order) for s in states)
                self._check_state_shapes(states, sizes[0])
            y, lasts = self._layers(data, states, sizes)
            if back is not None:
                lasts = tuple(s.index_select(1, back) for s in lasts)
            return PackedSequence(y, batch_sizes, order, back), lasts
        if input.dim() not in (2, 3):
            raise ValueError(
                f"{type(self).__name__}: Expected input to be 2D or 3D, got {input.dim()}D instead"
            )
        batched = input.dim() == 3
        self._check_input(input)
        if states is not None:
            self._check_states(states, input.dim())
        x = input
        if not batched:
            x = x.unsqueeze(1)
            states = None if states is None else tuple(s.unsqueeze(1) for s in states)
        elif self.batch_first:
            x = x.transpose(0, 1)
        steps, batch, width = x.shape
        if states is not None:
            self._check_state_shapes(states, batch)
        y, lasts = self._layers(x.reshape(steps * batch, width), states, (batch,) * steps)
        y = y.view(steps, batch, -1)
        if not batched:
            return y.squeeze(1), tuple(s.squeeze(1) for s in lasts)
        return (y.transpose(0, 1) if self.batch_first else y), lasts

    def forward(self, input: Input, hx: Value | None = None) -> tuple[Input, Value]:
        """(outputs of the last layer for all steps, last states of all layers)."""
        y, lasts = self._forward(input, None if hx is None else (hx,))
        return y, lasts[0]


class RNN(RNNBase):
    """``h' = tanh(W_ih x + b_ih + W_hh h + b_hh)`` over sequences (T, N, input_size).

    ``nonlinearity``: tanh or relu. Returns outputs (T, N, directions * hidden_size) and the last
    h (layers * directions, N, hidden_size). ``batch_first``: sequences are (N, T, *).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: object = None,
        dtype: dtype | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        super().__init__(
            f"RNN_{nonlinearity.upper()}",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            0,
            device,
            dtype,
        )
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory over sequences (T, N, input_size), with gates i, f, g, o:

    ``c' = f * c + i * g``, ``h' = o * tanh(c')``, each gate a function of W_ih x + W_hh h. Returns
    outputs (T, N, directions * hidden_size) and the last (h, c). ``proj_size``: h' is multiplied
    by a matrix that leaves so many numbers. Source: Hochreiter & Schmidhuber, 1997.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: object = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__(
            "LSTM",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device,
            dtype,
        )

    def forward(
        self, input: Input, hx: tuple[Value, Value] | None = None
    ) -> tuple[Input, tuple[Value, Value]]:
        """(outputs of the last layer for all steps, the last (h, c) of all layers)."""
        return self._forward(input, None if hx is None else tuple(hx))


class GRU(RNNBase):
    """Gated recurrent units over sequences (T, N, input_size), with gates r and z:

    ``n = tanh(W_in x + b_in + r * (W_hn h + b_hn))``, ``h' = (1 - z) * n + z * h``. Returns
    outputs (T, N, directions * hidden_size) and the last h. Source: Cho et al., 2014.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: object = None,
        dtype: dtype | None = None,
    ) -> None:
        if proj_size:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__(
            "GRU",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            0,
            device,
            dtype,
        )


# ---- cells ---------------------------------------------------------------------------------


class RNNCellBase(Module):
    """One step of a recurrent layer: weights and checks."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: object = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(empty(rows, input_size, device=device, dtype=dtype))
        self.weight_hh = Parameter(empty(rows, hidden_size, device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            value = Parameter(empty(rows, device=device, dtype=dtype)) if bias else None
            self.register_parameter(name, value)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew, uniform within 1 / sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        return text if self.bias else f"{text}, bias={self.bias}"

    def _step(self, mode: str, input: Value, states: tuple[Value, ...] | None) -> tuple[Value, ...]:
        """The next states, checked and with a batch or without, as ``input`` has one or not."""
        name = type(self).__name__
        if input.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        count = 2 if mode == "LSTM" else 1
        batched = input.dim() == 2
        x = input if batched else input.unsqueeze(0)
        if x.shape[1] != self.input_size:
            raise RuntimeError(
                f"input has inconsistent input_size: got {x.shape[1]} expected {self.input_size}"
            )
        batch = x.shape[0]
        if states is None:
            start = zeros(batch, self.hidden_size, dtype=x.dtype, device=x.device)
            states = (start,) * count
        else:
            for s in states:
                if s.dim() not in (1, 2):
                    raise ValueError(
                        f"{name}: Expected hidden to be 1D or 2D, got {s.dim()}D instead"
                    )
            states = tuple(s if batched else s.unsqueeze(0) for s in states)
            for i, s in enumerate(states):
                if s.shape[0] != batch:
                    raise RuntimeError(
                        f"Input batch size {batch} doesn't match hidden{i} batch size {s.shape[0]}"
                    )
                if s.shape[1] != self.hidden_size:
                    raise RuntimeError(
                        f"hidden{i} has inconsistent hidden_size: got {s.shape[1]}, expected "
                        f"{self.hidden_size}"
                    )
        weights = [self.weight_ih, self.weight_hh]
        if self.bias:
            weights += [self.bias_ih, self.bias_hh]
        lasts = _run_layer(mode, x, states, weights, self.bias, (batch,), False)[1:]
        return lasts if batched else tuple(s.squeeze(0) for s in lasts)


class RNNCell(RNNCellBase):
    """One step of ``RNN``: (N, input_size), h (N, hidden_size) -> the next h."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: object = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def extra_repr(self) -> str:
        text = super().extra_repr()
        if self.nonlinearity == "tanh":
            return text
        return f"{text}, nonlinearity={self.nonlinearity}"

    def forward(self, input: Value, hx: Value | None = None) -> Value:
        """The next h."""
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        states = None if hx is None else (hx,)
        return self._step(f"RNN_{self.nonlinearity.upper()}", input, states)[0]


class LSTMCell(RNNCellBase):
    """One step of ``LSTM``: (N, input_size), (h, c) -> the next (h, c)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: object = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Value, hx: tuple[Value, Value] | None = None) -> tuple[Value, Value]:
        """The next (h, c)."""
        return self._step("LSTM", input, None if hx is None else tuple(hx))


class GRUCell(RNNCellBase):
    """One step of ``GRU``: (N, input_size), h (N, hidden_size) -> the next h."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: object = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Value, hx: Value | None = None) -> Value:
        """The next h."""
        return self._step("GRU", input, None if hx is None else (hx,))[0]


__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNBase", "RNNCell", "RNNCellBase"]
