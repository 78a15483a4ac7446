"""Padding: a border of a constant, or of the elements themselves reflected, repeated or wrapped.

``pad`` lists are PyTorch's: pairs (before, after) for the last dimension first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..core.op import define
from ..core.value import Value, constant
from ._accumulate import add_rows
from ._arguments import check_tensor, integers
from .indexing import filling

ndarray = np.ndarray

# ---- a constant ----------------------------------------------------------------------------


def padded_pieces(shape: tuple[int, ...], pad: tuple[int, ...]) -> tuple[list[int], tuple, tuple]:
    """The shape of an array of ``shape`` with ``pad`` around it, and which piece of it is which
    piece of the array."""
    shape = list(shape)
    into, source = [slice(None)] * len(shape), [slice(None)] * len(shape)
    for i in range(0, len(pad), 2):
        before, after = pad[i], pad[i + 1]
        d = len(shape) - 1 - i // 2
        n = shape[d]
        shape[d] = n + before + after
        into[d] = slice(max(before, 0), shape[d] - max(after, 0))
        source[d] = slice(max(-before, 0), n - max(-after, 0))
    return shape, tuple(into), tuple(source)


def _constant(x: ndarray, pad: tuple[int, ...], value: ndarray) -> ndarray:
    shape, into, source = padded_pieces(x.shape, pad)
    out = np.full(shape, value, x.dtype)
    out[into] = x[source]
    return out


def _constant_vjp(g: Value, pad: tuple[int, ...]) -> Value:
    return _constant_op(g, tuple([-p for p in pad]), g.new_zeros(()))


_constant_op = define("constant_pad_nd", _constant, {"x": _constant_vjp})


def constant_pad_nd(input: Value, pad: Sequence[int], value: float = 0) -> Value:
    """``input`` with ``value`` around it; negative sizes cut away instead."""
    check_tensor("constant_pad_nd", input)
    pad = integers("constant_pad_nd", (tuple(pad),))
    shape = input._array.shape
    if len(pad) % 2:
        raise RuntimeError(f"Length of pad must be even but instead it equals {len(pad)}")
    if len(pad) // 2 > len(shape):
        raise RuntimeError(
            "Length of pad should be no more than twice the number of dimensions of the input. "
            f"Pad length is {len(pad)} while the input has {len(shape)} dimensions."
        )
    for i in range(0, len(pad), 2):
        d = len(shape) - 1 - i // 2
        n = shape[d] + pad[i] + pad[i + 1]
        if n < 0 or -min(pad[i], 0) > shape[d] or -min(pad[i + 1], 0) > shape[d]:
            raise RuntimeError(
                f"The input size {shape[d]}, plus negative padding {pad[i]} and {pad[i + 1]} "
                f"resulted in a negative output size, which is invalid. Check dimension {d} of "
                "your input."
            )
    return _constant_op(input, pad, constant(filling(value, input)))


# ---- the elements themselves ---------------------------------------------------------------


Border = tuple[int, str, int, int, int]  # dimension, mode, size, how much before and after


def _picked(x: ndarray, borders: tuple[Border, ...]) -> ndarray:
    for d, *border in borders:
        x = x.take(_places(*border), d)
    return x


def _summed(x: ndarray, borders: tuple[Border, ...], shape: tuple) -> ndarray:
    for d, *border in reversed(borders):
        index = _places(*border)
        sizes = list(x.shape)
        sizes[d] = shape[d]
        out = np.zeros(sizes, x.dtype)
        add_rows(np.moveaxis(out, d, 0), index, np.moveaxis(x, d, 0))
        x = out
    return x


def _bordered(name: str) -> Callable[..., Value]:
    """The record of a padding that picks elements: in dimension d those at the places given."""
    padded = define(name, _picked, {"x": lambda g, x_shape, borders: unpadded(g, borders, x_shape)})
    unpadded = define(name + "_backward", _summed, {"x": lambda g, borders: padded(g, borders)})
    return padded


_RECORDS = {
    (mode, n): _bordered(f"{kind}_pad{n}d")
    for mode, kind in (("reflect", "reflection"), ("replicate", "replication"))
    for n in (1, 2, 3)
}
_RECORDS.update({("circular", n): _bordered("pad_circular") for n in (1, 2, 3)})


def _places(mode: str, n: int, before: int, after: int) -> ndarray:
    if mode == "circular":  # what is cut away does not come round
        kept = n + min(before, 0) + min(after, 0)
        return np.arange(-max(before, 0), kept + max(after, 0)) % kept - min(before, 0)
    at = np.arange(-before, n + after)
    if mode == "replicate":
        return at.clip(0, n - 1)
    return (n - 1) - abs((n - 1) - abs(at))


def _check_border(mode: str, shape: tuple, d: int, before: int, after: int, pad: tuple) -> None:
    n = shape[d]
    if mode == "reflect" and (before >= n or after >= n):
        raise RuntimeError(
            "Argument #4: Padding size should be less than the corresponding input dimension, but "
            f"got: padding ({before}, {after}) at dimension {d} of input {list(shape)}"
        )
    kept = n + min(before, 0) + min(after, 0)
    if mode == "circular" and (before > kept or after > kept):
        raise RuntimeError(
            "Padding value causes wrapping around more than once: "
            f"padding ({before}, {after}) at dimension {d} of input {list(shape)}"
        )
    if n + before + after < (0 if mode == "circular" else 1):
        raise RuntimeError(
            f"input (dimension {d} of {list(shape)}) is too small: padding ({before}, {after}) "
            f"gives size {n + before + after}"
        )


def pad(
    input: Value, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Value:
    """``input`` with a border: ``mode`` "constant" (of ``value``), "reflect" (mirrored, without the
    edge itself), "replicate" (the edge repeated) or "circular" (from the other side).

    ``pad``: (before, after) of the last dimension, then of the one before it, and so on. All modes
    but "constant" pad the last 1, 2 or 3 dimensions of a tensor with one or two more in front.
    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.pad.html
    """
    check_tensor("pad", input)
    pad = integers("pad", (tuple(pad),))
    if len(pad) % 2:
        raise RuntimeError(f"Padding length must be divisible by 2, got {len(pad)}")
    if mode == "constant":
        return constant_pad_nd(input, pad, 0 if value is None else value)
    if len(pad) // 2 > input._array.ndim:
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got "
            f"padding length {len(pad)} and input of dimension {input._array.ndim}"
        )
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if value is not None:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    shape = input._array.shape
    n = len(pad) // 2
    if n not in (1, 2, 3) or len(shape) not in (n + 1, n + 2):
        raise NotImplementedError(
            "Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now\n"
            f"  {n} dimensions of padding go with input of {n + 1} or {n + 2}, got {len(shape)}"
        )
    empty = [d for d in range(max(1, len(shape) - n - 1), len(shape)) if shape[d] == 0]
    if empty or (len(shape) == n + 1 and shape[0] == 0):
        raise RuntimeError(
            f"Expected {n + 1}D or {n + 2}D (batch mode) tensor with possibly 0 batch size and "
            f"other non-zero dimensions for input, but got: {list(shape)}"
        )
    borders = []
    for i in range(n):
        d = len(shape) - 1 - i
        before, after = pad[2 * i], pad[2 * i + 1]
        _check_border(mode, shape, d, before, after, pad)
        borders.append((d, mode, shape[d], before, after))
    return _RECORDS[mode, n](input, tuple(borders))


__all__ = ["constant_pad_nd"]
