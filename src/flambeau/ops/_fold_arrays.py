"""Sliding blocks of an image as columns, and columns added back to an image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ._windows import Pads, add_windows, inner_boxes, pad, windows

if TYPE_CHECKING:
    from collections.abc import Sequence


def unfold(
    x: np.ndarray,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Pads,
    dilation: Sequence[int],
) -> np.ndarray:
    """(N, C * taps, blocks) of x (N, C, *sizes): every block that a kernel sees, as a column."""
    view = windows(pad(x, padding), kernel, stride, dilation)
    taps = x.shape[1] * math.prod(kernel)
    return np.ascontiguousarray(view).reshape(len(x), taps, math.prod(view.shape[x.ndim :]))


def fold(
    columns: np.ndarray,
    sizes: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Pads,
    dilation: Sequence[int],
) -> np.ndarray:
    """(N, C, *sizes) from (N, C * taps, blocks): the transpose of `unfold`, which adds up what
    several blocks have for one element."""
    n, channels = len(columns), columns.shape[1] // math.prod(kernel)
    padded = tuple(m + a + b for m, (a, b) in zip(sizes, padding))
    frame = np.zeros((n, channels, *padded), columns.dtype)
    view = windows(frame, kernel, stride, dilation)
    add_windows(view, columns.reshape(view.shape), len(kernel))
    inside, image = inner_boxes(sizes, padding)
    result = np.zeros((n, channels, *sizes), columns.dtype)
    result[image] = frame[inside]
    return result
