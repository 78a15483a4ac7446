"""Sequences of different lengths in one tensor: padded to the longest, or packed step by step.

Packed rows are those of step 0 for all sequences, then those of step 1 for the ones that are long
enough, and so on; sequences come with the longest first. Packing and padding are each other's
gradients.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.op import define
from ..core.value import Value


def _pack_rows(x: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """(rows, *) of x (T, N, *): the first sizes[t] of each step."""
    return np.concatenate([step[:n] for step, n in zip(x, sizes)])


def _pad_rows(
    data: np.ndarray, sizes: tuple[int, ...], steps: int, batch: int, value: float
) -> np.ndarray:
    """(steps, batch, *) of packed rows (rows, *), with ``value`` where a sequence has ended."""
    result = np.empty((steps, batch, *data.shape[1:]), data.dtype)
    start = 0
    for t, n in enumerate(sizes):
        result[t, :n] = data[start : start + n]
        result[t, n:] = value
        start += n
    result[len(sizes) :] = value
    return result


pack_rows = define(
    "_pack_padded_sequence",
    _pack_rows,
    {"x": lambda g, x_shape, sizes: pad_rows(g, sizes, x_shape[0], x_shape[1], 0)},
    grad_name="PackPaddedSequenceBackward0",
)
pad_rows = define(
    "_pad_packed_sequence",
    _pad_rows,
    {"data": lambda g, sizes: pack_rows(g, sizes)},
    grad_name="PadPackedSequenceBackward0",
)


def _pad_sequence(
    sequences: Sequence[np.ndarray], batch_first: bool, value: float, left: bool
) -> np.ndarray:
    longest = max(len(s) for s in sequences)
    first = sequences[0]
    result = np.empty((len(sequences), longest, *first.shape[1:]), first.dtype)
    result.fill(value)
    for row, s in zip(result, sequences):
        row[longest - len(s) if left else 0 :][: len(s)] = s
    return result if batch_first else result.swapaxes(0, 1)


def _pad_sequence_vjp(
    g: Value, sequences: tuple[Value, ...], batch_first: bool, left: bool
) -> list[Value]:
    longest = g._array.shape[1 if batch_first else 0]
    lengths = [len(s._array) for s in sequences]
    return [
        g.select(0 if batch_first else 1, i).narrow(0, longest - n if left else 0, n)
        for i, n in enumerate(lengths)
    ]


pad_sequence_op = define("pad_sequence", _pad_sequence, {"sequences": _pad_sequence_vjp})

__all__: list[str] = []
