"""Convolution of arrays in any number of dimensions, and its gradients.

    out[n, o, p] = sum over c, i of weight[o, c, i] * x[n, c, p * stride + i * dilation - padding]

(torch.nn.functional.conv1d/2d/3d; a correlation, as everywhere in deep learning.) x is
(N, C, *sizes), weight (O, C / groups, *kernel); output channel o sees the input channels of its
own group. The three maps here are the three partial derivatives of one trilinear form, so each
one's gradients are the other two.

The input is copied a piece at a time into a matrix with one column per output position and one
row per channel and tap (im2col), small enough to stay in cache, and the piece is one matrix
product. The pieces are shared among threads. Half-precision numbers are multiplied and added in
float32, and rounded once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ._windows import (
    Pads,
    add_windows,
    blocks,
    inner_boxes,
    place_inside,
    share,
    window_count,
    windows,
    working_dtype,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# What one piece of im2col may take: 0.5 to 2 MiB measured equal, less is slower.
CACHE_BYTES = 1 << 20
# Multiplications from which threads pay for themselves.
SHARE_FROM = 1 << 22


class _Columns:
    """A batch of images seen block by block as matrices (channels * taps, positions)."""

    def __init__(
        self,
        x: np.ndarray,
        kernel: Sequence[int],
        stride: Sequence[int],
        padding: Pads,
        dilation: Sequence[int],
        positions: int,
    ) -> None:
        self.x, self.padding = x, padding
        self.taps = kernel, stride, dilation
        self.work = working_dtype(x.dtype)
        self.padded = any(map(any, padding)) or self.work != x.dtype
        self.direct = (
            not self.padded and x.flags.c_contiguous and max(kernel) == 1 and max(stride) == 1
        )
        self.rows = x.shape[1] * math.prod(kernel)
        self.buffer = np.empty(0, self.work)
        self.images, self.view = None, None

    def __call__(self, images: slice, box: tuple, span: slice) -> np.ndarray:
        """The columns of a block of `blocks`, image after image."""
        if self.direct and images.stop - images.start == 1:
            return self.x[images.start].reshape(self.x.shape[1], -1)[:, span]
        if images != self.images:
            self._load(images)
        kernel = self.taps[0]
        source = self.view[(..., *box)]
        # (n, C, *kernel, *positions) -> (C, *kernel, n, *positions)
        source = np.moveaxis(source, 0, 1 + len(kernel))
        count = source.size
        if self.buffer.size < count:
            self.buffer = np.empty(count, self.work)
        columns = self.buffer[:count].reshape(source.shape)
        np.copyto(columns, source)
        return columns.reshape(self.rows, -1)

    def _load(self, images: slice) -> None:
        """Pad the images and look at them through windows."""
        x = self.x[images]
        if self.padded:
            sizes = tuple(n + a + b for n, (a, b) in zip(x.shape[2:], self.padding, strict=True))
            if self.images is None or len(self.frame) < len(x):
                self.frame = np.zeros((*x.shape[:2], *sizes), self.work)
            place_inside(self.frame[: len(x)], x, self.padding)
            x = self.frame[: len(x)]
        self.images, self.view = images, windows(x, *self.taps)


def _positions(rows: int, dtype: np.dtype, least: int) -> int:
    """Columns of `rows` elements in one block: as many as the cache holds, and a useful number."""
    return max(least, CACHE_BYTES // max(1, rows * dtype.itemsize))


def _run(work: Callable[[int, int], None], count: int, products: int) -> None:
    """work(0, count), in threads if the number of scalar products is worth them."""
    if products < SHARE_FROM:
        work(0, count)
    else:
        share(work, count)


def convolve(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    stride: Sequence[int],
    padding: Pads,
    dilation: Sequence[int],
    groups: int,
) -> np.ndarray:
    """Convolution of x (N, C, *sizes) with weight (O, C / groups, *kernel): (N, O, *out)."""
    kernel = weight.shape[2:]
    out = tuple(
        window_count(n + a + b, k, s, d)
        for n, (a, b), k, s, d in zip(x.shape[2:], padding, kernel, stride, dilation, strict=True)
    )
    n, o = len(x), len(weight)
    result = np.empty((n, o, *out), x.dtype)
    size = math.prod(out)
    if result.size == 0 or x.size == 0:
        result[...] = 0 if bias is None else bias.reshape(o, *(1,) * len(out))
        return result
    work = working_dtype(x.dtype)
    matrix = weight.astype(work, copy=False).reshape(groups, o // groups, -1)
    flat = result.reshape(n, groups, o // groups, size)
    offset = None if bias is None else bias.astype(work, copy=False).reshape(groups, -1, 1)
    positions = _positions(x.shape[1] * math.prod(kernel), work, 128)
    pieces = blocks(n, out, positions)

    def run(start: int, stop: int) -> None:
        columns = _Columns(x, kernel, stride, padding, dilation, positions)
        for images, box, span in pieces[start:stop]:
            block = columns(images, box, span)
            block = block.reshape(groups, -1, block.shape[1])
            target = flat[images.start, :, :, span]
            whole = images.stop - images.start > 1 or work != x.dtype
            product = np.matmul(matrix, block, out=None if whole else target)
            if offset is not None:
                product += offset
            if whole:
                product = product.reshape(groups, o // groups, images.stop - images.start, -1)
                flat[images, :, :, span] = product.transpose(2, 0, 1, 3)

    _run(run, len(pieces), result.size * matrix.shape[2])
    return result


def convolve_weight_gradient(
    grad: np.ndarray,
    x: np.ndarray,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Pads,
    dilation: Sequence[int],
    groups: int,
) -> np.ndarray:
    """Gradient of `convolve` to its weight, from the output's `grad` (N, O, *out) and `x`."""
    n, o = grad.shape[:2]
    out = grad.shape[2:]
    work = working_dtype(x.dtype)
    result = np.zeros((groups, o // groups, x.shape[1] // groups * math.prod(kernel)), work)
    shape = (o, x.shape[1] // groups, *kernel)
    size = math.prod(out)
    if grad.size == 0 or x.size == 0:
        return result.reshape(shape).astype(x.dtype, copy=False)
    positions = _positions(x.shape[1] * math.prod(kernel), work, 256)
    pieces = blocks(n, out, positions)
    flat = grad.reshape(n, groups, o // groups, size)
    sums = []

    def run(start: int, stop: int) -> None:
        columns = _Columns(x, kernel, stride, padding, dilation, positions)
        total = np.zeros_like(result)
        for images, box, span in pieces[start:stop]:
            block = columns(images, box, span)
            block = block.reshape(groups, -1, block.shape[1])
            g = flat[images, :, :, span].transpose(1, 2, 0, 3)
            g = g.reshape(groups, o // groups, -1).astype(work, copy=False)
            total += np.matmul(g, block.transpose(0, 2, 1))
        sums.append(total)

    _run(run, len(pieces), grad.size * result.shape[2])
    for total in sums:
        result += total
    return result.reshape(shape).astype(x.dtype, copy=False)


def convolve_input_gradient(
    grad: np.ndarray,
    weight: np.ndarray,
    sizes: Sequence[int],
    stride: Sequence[int],
    padding: Pads,
    dilation: Sequence[int],
    groups: int,
) -> np.ndarray:
    """Gradient of `convolve` to its input of spatial `sizes`, from `grad` (N, O, *out).

    The transpose of convolution as a linear map of x, so also transposed convolution itself.
    """
    kernel = weight.shape[2:]
    o = len(weight)
    if max(stride) == 1:
        # a convolution again: of the gradient, with every kernel turned round
        turned = np.flip(weight, tuple(range(2, weight.ndim)))
        turned = turned.reshape(groups, o // groups, *turned.shape[1:]).swapaxes(1, 2)
        turned = turned.reshape(-1, o // groups, *kernel)
        reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        around = tuple(
            (r - a, n - m + a)
            for r, (a, _), n, m in zip(reach, padding, sizes, grad.shape[2:], strict=True)
        )
        return convolve(grad, turned, None, stride, around, dilation, groups)
    n, c = len(grad), weight.shape[1] * groups
    result = np.zeros((n, c, *sizes), grad.dtype)
    if result.size == 0 or grad.size == 0:
        return result
    work = working_dtype(grad.dtype)
    matrix = weight.astype(work, copy=False).reshape(groups, o // groups, -1).swapaxes(1, 2)
    padded = tuple(m + a + b for m, (a, b) in zip(sizes, padding, strict=True))
    inside, image = inner_boxes(sizes, padding)
    out = grad.shape[2:]
    flat = grad.reshape(n, groups, o // groups, math.prod(out))
    positions = _positions(c * math.prod(kernel), work, 128)
    pieces = [[piece] for piece in blocks(n, out, positions)]
    if len(pieces) > n:  # several pieces of one image add to the same places: one thread has them
        pieces = [
            sum(pieces[i * len(pieces) // n : (i + 1) * len(pieces) // n], []) for i in range(n)
        ]

    def run(start: int, stop: int) -> None:
        for group in pieces[start:stop]:
            images = group[0][0]
            count = images.stop - images.start
            frame = np.zeros((count, c, *padded), work)
            view = windows(frame, kernel, stride, dilation)
            for _, box, span in group:
                g = flat[images, :, :, span].transpose(1, 2, 0, 3)
                g = g.reshape(groups, o // groups, -1).astype(work, copy=False)
                columns = np.matmul(matrix, g)
                target = np.moveaxis(view[(..., *box)], 0, 1 + len(kernel))
                add_windows(target, columns.reshape(target.shape), len(kernel), 1)
            result[images][image] = frame[inside]

    _run(run, len(pieces), grad.size * matrix.shape[1])
    return result
