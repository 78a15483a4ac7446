"""Sliding windows over the last dimensions of an array, and loops shared among threads.

Convolution, pooling, `unfold` and `fold` all see an image through the same view: the kernel's
taps for every output position. The view costs nothing; what is done with it decides what is
copied.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .._system import blas
from ..core.threads import blas_on_one_thread, run_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Pads = tuple[tuple[int, int], ...]

# What one part of an elementwise loop may take: a share of a usual L2 cache.
PART_BYTES = 1 << 18
# Bytes from which threads pay for themselves in such a loop.
SHARE_BYTES = 1 << 21


def working_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype in which values of `dtype` are multiplied and added: float32 for halves."""
    return np.dtype(np.float32) if dtype.itemsize == 2 and dtype.kind in "fV" else dtype


def window_count(size: int, kernel: int, stride: int, dilation: int) -> int:
    """Windows of `kernel` taps, `dilation` apart, every `stride` elements in `size`: at least 0."""
    return max(0, (size - dilation * (kernel - 1) - 1) // stride + 1)


def pad(x: np.ndarray, pads: Pads, value: float = 0) -> np.ndarray:
    """`x` with (before, after) elements of `value` around its last dimensions; negative crops.

    `x` itself, not a copy, when there is nothing to do.
    """
    if not any(before or after for before, after in pads):
        return x
    lead = x.ndim - len(pads)
    sizes = x.shape[:lead] + tuple(
        n + a + b for n, (a, b) in zip(x.shape[lead:], pads, strict=True)
    )
    out = np.empty(sizes, x.dtype)
    out.fill(value)
    place_inside(out, x, pads)
    return out


def place_inside(out: np.ndarray, x: np.ndarray, pads: Pads) -> None:
    """Write `x` into `out`, which is larger by `pads` over the last dimensions (negative crops)."""
    into, source = inner_boxes(x.shape[x.ndim - len(pads) :], pads)
    out[into] = x[source]


def inner_boxes(sizes: Sequence[int], pads: Pads) -> tuple[tuple, tuple]:
    """Indices of what is common to an image and its padded form: (in the padded, in the image)."""
    padded = tuple(
        slice(max(a, 0), max(a, 0) + n + min(a, 0) + min(b, 0))
        for n, (a, b) in zip(sizes, pads, strict=True)
    )
    image = tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(sizes, pads, strict=True))
    return (..., *padded), (..., *image)


def windows(
    x: np.ndarray, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> np.ndarray:
    """View of `x` (*lead, *sizes) as (*lead, *kernel, *out): element [..., i, o] is
    x[..., o * stride + i * dilation]. A window that would leave the array is not there."""
    lead = x.ndim - len(kernel)
    out = tuple(map(window_count, x.shape[lead:], kernel, stride, dilation))
    steps = x.strides[lead:]
    return as_strided(
        x,
        (*x.shape[:lead], *kernel, *out),
        (
            *x.strides[:lead],
            *(s * d for s, d in zip(steps, dilation, strict=True)),
            *(s * d for s, d in zip(steps, stride, strict=True)),
        ),
    )


def add_windows(view: np.ndarray, columns: np.ndarray, dims: int, lead: int = 2) -> None:
    """Add columns to what `view`, a view by `windows` of their shape, shows; tap by tap, since
    windows overlap. The kernel's `dims` axes come after `lead` others."""
    before = (slice(None),) * lead
    for tap in np.ndindex(*view.shape[lead : lead + dims]):
        view[(*before, *tap)] += columns[(*before, *tap)]


def blocks(batch: int, out: Sequence[int], positions: int) -> list[tuple[slice, tuple, slice]]:
    """Cut `batch` images of `out` positions into blocks of about `positions` of them.

    Each is (images, box, span): a range of images; an index of the positions of each, and the
    same positions in the flattened image, where they are contiguous. A block has several images
    only if it has them whole.
    """
    size = math.prod(out)
    if batch == 0 or size == 0:
        return []
    if 2 * size <= 3 * positions:
        box = (slice(None),) * len(out)
        return [(images, box, slice(0, size)) for images in _even(batch, max(1, positions // size))]
    axis, inner = 0, size // out[0]
    while inner > positions and axis + 1 < len(out):
        axis += 1
        inner //= out[axis]
    rows = _even(out[axis], max(1, positions // inner))
    rest = (slice(None),) * (len(out) - axis - 1)
    cuts = []
    for index, outer in enumerate(np.ndindex(*out[:axis])):
        for run in rows:
            first = index * out[axis]
            span = slice((first + run.start) * inner, (first + run.stop) * inner)
            cuts.append(((*(slice(i, i + 1) for i in outer), run, *rest), span))
    return [(slice(n, n + 1), box, span) for n in range(batch) for box, span in cuts]


def _even(count: int, step: int) -> list[slice]:
    """range(count) in consecutive slices of nearly equal length, at most about `step` each."""
    pieces = -(-count // step)
    return [slice(i * count // pieces, (i + 1) * count // pieces) for i in range(pieces)]


def share(work: Callable[[int, int], None], count: int) -> None:
    """Run work(start, stop) over range(count), in one consecutive part per thread.

    While it runs, BLAS itself uses one thread: products too small to be split well inside run
    side by side, and what is copied for them stays in the cache of the core that uses it.
    Where BLAS's threads cannot be set, the caller's thread does everything.
    """
    if count < 2 or blas() is None:
        work(0, count)
        return
    with blas_on_one_thread():
        run_parts(work, count)


def in_parts(work: Callable[[slice], None], count: int, bytes_each: int) -> None:
    """work(part) for consecutive parts of range(count), each small enough to stay in cache.

    For loops over the planes of images, where each plane takes `bytes_each`; in threads where
    the whole is worth it.
    """
    parts = _even(count, max(1, PART_BYTES // max(1, bytes_each))) if count else []

    def run(start: int, stop: int) -> None:
        for part in parts[start:stop]:
            work(part)

    if count * bytes_each < SHARE_BYTES:
        run(0, len(parts))
    else:
        run_parts(run, len(parts))
