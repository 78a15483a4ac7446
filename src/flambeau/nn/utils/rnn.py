"""Sequences of different lengths for recurrent layers: padded or packed.

Source: https://docs.pytorch.org/docs/stable/nn.html (Utilities, torch.nn.utils.rnn)
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Sequence
from typing import Any

from ..._dtypes import int64
from ..._missing import missing
from ...core.value import Value
from ...ops.packing import pack_rows, pad_rows, pad_sequence_op
from ...tensor._creation import arange, empty_like, tensor

_Fields = namedtuple("PackedSequence", "data batch_sizes sorted_indices unsorted_indices")


class PackedSequence(_Fields):
    """Several sequences, one step after the other: what ``pack_padded_sequence`` makes.

    ``data``               (rows, *): the first elements of all, then the second ones, ...
    ``batch_sizes``        how many sequences have a first element, a second one, ...
    ``sorted_indices``     which sequences these are, the longest first; None: as they came
    ``unsorted_indices``   the way back to the order in which they came
    """

    __slots__ = ()

    def __new__(
        cls,
        data: Value | tuple,
        batch_sizes: Value | None = None,
        sorted_indices: Value | None = None,
        unsorted_indices: Value | None = None,
    ) -> PackedSequence:
        if batch_sizes is None:
            if not isinstance(data, (tuple, list)) or len(data) != 2:
                raise ValueError("PackedSequence needs batch_sizes")
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same with ``data.to(...)``; itself where nothing changes."""
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else self._replace(data=data)

    def cpu(self) -> PackedSequence:
        """The same on the CPU."""
        return self.to("cpu")

    def cuda(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same on a GPU."""
        return self._replace(data=self.data.cuda(*args, **kwargs))

    def double(self) -> PackedSequence:
        """The same in float64."""
        return self._replace(data=self.data.double())

    def float(self) -> PackedSequence:
        """The same in float32."""
        return self._replace(data=self.data.float())

    def half(self) -> PackedSequence:
        """The same in float16."""
        return self._replace(data=self.data.half())

    def long(self) -> PackedSequence:
        """The same in int64."""
        return self._replace(data=self.data.long())

    def int(self) -> PackedSequence:
        """The same in int32."""
        return self._replace(data=self.data.int())

    def short(self) -> PackedSequence:
        """The same in int16."""
        return self._replace(data=self.data.short())

    def char(self) -> PackedSequence:
        """The same in int8."""
        return self._replace(data=self.data.char())

    def byte(self) -> PackedSequence:
        """The same in uint8."""
        return self._replace(data=self.data.byte())

    def pin_memory(self) -> PackedSequence:
        """The same in pinned memory."""
        return self._replace(data=self.data.pin_memory())

    @property
    def is_cuda(self) -> bool:
        """Whether the data is on a GPU."""
        return self.data.is_cuda

    def is_pinned(self) -> bool:
        """Whether the data is in pinned memory."""
        return self.data.is_pinned()


def invert_permutation(permutation: Value | None) -> Value | None:
    """The permutation that undoes ``permutation``."""
    if permutation is None:
        return None
    result = empty_like(permutation)
    result[permutation] = arange(permutation.numel())
    return result


def _step_sizes(lengths: Sequence[int]) -> tuple[int, ...]:
    """How many of the sequences, the longest first, reach each step."""
    sizes, count = [], len(lengths)
    for step in range(lengths[0]):
        while lengths[count - 1] <= step:
            count -= 1
        sizes.append(count)
    return tuple(sizes)


def pack_padded_sequence(
    input: Value,
    lengths: Value | Sequence[int],
    batch_first: bool = False,
    enforce_sorted: bool = True,
) -> PackedSequence:
    """Sequences of ``lengths`` in ``input`` (T, N, *), or (N, T, *) with ``batch_first``, packed.

    ``enforce_sorted``: they come with the longest first (else RuntimeError); False sorts them.
    """
    if not isinstance(lengths, Value):
        lengths = tensor(lengths, dtype=int64)
    batch_dim = 0 if batch_first else 1
    order = None
    if not enforce_sorted:
        lengths, order = lengths.sort(descending=True, stable=True)
        input = input.index_select(batch_dim, order)
    numbers = [int(n) for n in lengths.tolist()]
    if len(numbers) != input.shape[batch_dim]:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(numbers)} "
            f"(batch_size={input.shape[batch_dim]})"
        )
    if any(n <= 0 for n in numbers):
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' "
            "that is <= 0"
        )
    if any(a < b for a, b in zip(numbers, numbers[1:])):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You "
            "can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to "
            "sidestep this requirement if you do not need ONNX exportability."
        )
    longest = input.shape[1 if batch_first else 0]
    if numbers[0] > longest:
        raise RuntimeError(
            f"Expected all lengths to be at most the padded length, but got {numbers[0]} for an "
            f"input of {longest} steps"
        )
    sizes = _step_sizes(numbers)
    data = pack_rows(input.transpose(0, 1) if batch_first else input, sizes)
    return PackedSequence(data, tensor(sizes), order, None)


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Value, Value]:
    """(padded (T, N, *), lengths): the inverse of ``pack_padded_sequence``.

    ``total_length``: T, at least the longest length, which is the default.
    """
    sizes = tuple(sequence.batch_sizes.tolist())
    steps = len(sizes)
    if total_length is not None:
        if total_length < steps:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in input, "
                f"but got total_length={total_length} and max sequence length being {steps}"
            )
        steps = total_length
    padded = pad_rows(sequence.data, sizes, steps, sizes[0], padding_value)
    lengths = tensor([sum(n > i for n in sizes) for i in range(sizes[0])])
    if batch_first:
        padded = padded.transpose(0, 1)
    order = sequence.unsorted_indices
    if order is not None:
        return padded.index_select(0 if batch_first else 1, order), lengths[order]
    return padded, lengths


def pad_sequence(
    sequences: Value | Iterable[Value],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Value:
    """Sequences (length, *) in one tensor (T, N, *), or (N, T, *) with ``batch_first``."""
    if isinstance(sequences, Value):
        sequences = sequences.unbind(0)
    elif not isinstance(sequences, Iterable):
        raise RuntimeError(
            "pad_sequence: Expected iterable for input sequences, but got arg of type: "
            f"{type(sequences)}"
        )
    if padding_side not in ("left", "right"):
        raise RuntimeError(
            f"Expected padding_side to be one of left or right, but got {padding_side}."
        )
    sequences = tuple(sequences)
    if not sequences:
        raise RuntimeError("received an empty list of sequences")
    return pad_sequence_op(sequences, batch_first, padding_value, padding_side == "left")


def unpad_sequence(padded_sequences: Value, lengths: Value, batch_first: bool = False) -> list:
    """The sequences of ``lengths`` in a padded tensor, as a list."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    return [row[: int(n)] for row, n in zip(padded_sequences, lengths.tolist())]


def pack_sequence(sequences: Sequence[Value], enforce_sorted: bool = True) -> PackedSequence:
    """Sequences (length, *), packed; the longest first unless ``enforce_sorted`` is False."""
    lengths = tensor([len(s) for s in sequences])
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list:
    """The sequences that were packed, as a list."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


def __getattr__(name: str) -> object:
    raise missing(__name__, name, globals())
