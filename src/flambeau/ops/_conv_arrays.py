"""Convolution of arrays in any number of dimensions, and its gradients.

    out[n, o, p] = sum over c, i of weight[o, c, i] * x[n, c, p * stride + i * dilation - padding]

(torch.nn.functional.conv1d/2d/3d; a correlation, as everywhere in deep learning.) x is
(N, C, *sizes), weight (O, C / groups, *kernel); output channel o sees the input channels of its
own group. The three maps here are the three partial derivatives of one trilinear form, so each
one's gradients are the other two.

The input is copied a piece at a time into a matrix with one column per output position and one
row per channel and tap (im2col), small enough to stay in cache, and the piece is one matrix
product. The pieces are shared among threads. Half-precision numbers are multiplied and added in
float32, and rounded once. Where there is a compiler, its kernels do all of this
(``compiler/conv_kernels.py``), but for kernels of one tap, which are products already.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..core import threads
from ._windows import (
    Pads,
    add_windows,
    blocks,
    inner_boxes,
    pad,
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
# Positions of an image from which a product for each image is as fast as one for several.
APART_FROM = 128
# Multiplications below which one copy of everything is best.
SMALL = 1 << 17
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

    def __call__(
        self, images: slice, box: tuple, span: slice, *, apart: bool = False
    ) -> np.ndarray:
        """The columns of a block of `blocks`, image after image; `apart`: one matrix for each."""
        if self.direct and images.stop - images.start == 1:
            columns = self.x[images.start].reshape(self.x.shape[1], -1)[:, span]
            return columns[None] if apart else columns
        if images != self.images:
            self._load(images)
        source = self.view[(..., *box)]
        if not apart:
            # (n, C, *kernel, *positions) -> (C, *kernel, n, *positions)
            source = np.moveaxis(source, 0, 1 + len(self.taps[0]))
        count = source.size
        if self.buffer.size < count:
            self.buffer = np.empty(count, self.work)
        columns = self.buffer[:count].reshape(source.shape)
        np.copyto(columns, source)
        if apart:
            return columns.reshape(len(source), self.rows, -1)
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


def _compiled(name: str, products: int, kernel: Sequence[int], *args: object) -> np.ndarray | None:
    """What the compiler's routine ``name`` makes of ``args``; None where it is not to do it."""
    if products < SMALL or max(kernel) == 1:
        return None
    routine = threads.routine(name)
    return None if routine is None else routine(*args)


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
    products = result.size * math.prod(weight.shape[1:])
    given = (x, weight, bias, stride, padding, dilation, groups)
    compiled = _compiled("convolve", products, kernel, *given)
    if compiled is not None:
        return compiled
    work = working_dtype(x.dtype)
    matrix = weight.astype(work, copy=False).reshape(groups, o // groups, -1)
    flat = result.reshape(n, groups, o // groups, size)
    offset = None if bias is None else bias.astype(work, copy=False).reshape(groups, -1, 1)
    if products < SMALL and work == x.dtype:
        columns = windows(pad(x, padding), kernel, stride, dilation).reshape(n, groups, -1, size)
        np.matmul(matrix, columns, out=flat)
        if offset is not None:
            result += offset.reshape(o, *(1,) * len(out))
        return result
    positions = _positions(x.shape[1] * math.prod(kernel), work, 128)
    pieces = blocks(n, out, positions)

    def run(start: int, stop: int) -> None:
        columns = _Columns(x, kernel, stride, padding, dilation, positions)
        for images, box, span in pieces[start:stop]:
            count = images.stop - images.start
            if work == x.dtype and (count == 1 or size >= APART_FROM):
                block = columns(images, box, span, apart=True)
                block = block.reshape(count, groups, -1, block.shape[2])
                product = np.matmul(matrix, block, out=flat[images, :, :, span])
                if offset is not None:
                    product += offset
                continue
            block = columns(images, box, span)
            product = np.matmul(matrix, block.reshape(groups, -1, block.shape[1]))
            if offset is not None:
                product += offset
            product = product.reshape(groups, o // groups, count, -1)
            flat[images, :, :, span] = product.transpose(2, 0, 1, 3)

    _run(run, len(pieces), products)
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
    given = (grad, x, kernel, stride, padding, dilation, groups)
    products = grad.size * result.shape[2]
    compiled = _compiled("convolve_weight_gradient", products, kernel, *given)
    if compiled is not None:
        return compiled
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

    _run(run, len(pieces), products)
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
    if grad.size and math.prod(sizes) and weight.size:
        given = (grad, weight, sizes, stride, padding, dilation, groups)
        products = grad.size * math.prod(weight.shape[1:])
        compiled = _compiled("convolve_input_gradient", products, kernel, *given)
        if compiled is not None:
            return compiled
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


# Blocks as columns (torch.nn.functional.unfold and fold)


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


def unfold_settings(
    x: Sequence[int],
    kernel: int | Sequence[int],
    dilation: int | Sequence[int],
    padding: int | Sequence[int],
    stride: int | Sequence[int],
) -> tuple[tuple[int, ...], tuple[int, ...], Pads, tuple[int, ...]]:
    """(kernel, stride, padding as pairs, dilation) for `unfold` of x (N, C, H, W) or (C, H, W)."""
    if len(x) not in (3, 4) or 0 in x[-3:]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero "
            f"dimensions for input, but got: {list(x)}"
        )
    kernel, stride, pads, dilation = _block_settings(kernel, dilation, padding, stride)
    outs = _block_counts(x[-2:], kernel, stride, pads, dilation)
    if min(outs) < 1:
        raise RuntimeError(
            f"Given input with spatial size {tuple(x[-2:])}, kernel_size={kernel}, "
            f"dilation={dilation}, padding={tuple(p for p, _ in pads)}, calculated shape of the "
            f"array of sliding blocks as {outs}, but its components must be at least one."
        )
    return kernel, stride, pads, dilation


def fold_settings(
    x: Sequence[int],
    output_size: int | Sequence[int],
    kernel: int | Sequence[int],
    dilation: int | Sequence[int],
    padding: int | Sequence[int],
    stride: int | Sequence[int],
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], Pads, tuple[int, ...]]:
    """(sizes, kernel, stride, padding as pairs, dilation) for `fold` of x (N, C * taps, L)."""
    sizes = _pair("output_size", output_size)
    kernel, stride, pads, dilation = _block_settings(kernel, dilation, padding, stride)
    if len(x) not in (2, 3) or 0 in x[-2:]:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and "
            f"non-zero dimensions for input, but got: {list(x)}"
        )
    if x[-2] % math.prod(kernel):
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, "
            f"but got input.size(1)={x[-2]} and kernel_size={kernel}."
        )
    outs = _block_counts(sizes, kernel, stride, pads, dilation)
    if x[-1] != math.prod(outs) or min(outs) < 1:
        raise RuntimeError(
            f"Given output_size={sizes}, kernel_size={kernel}, dilation={dilation}, "
            f"padding={tuple(p for p, _ in pads)}, stride={stride}, expected size of input's "
            f"dimension 2 to match the calculated number of sliding blocks "
            f"{outs[0]} * {outs[1]} = {math.prod(outs)}, but got input.size(2)={x[-1]}."
        )
    return sizes, kernel, stride, pads, dilation


def _block_settings(
    kernel: int | Sequence[int],
    dilation: int | Sequence[int],
    padding: int | Sequence[int],
    stride: int | Sequence[int],
) -> tuple[tuple[int, ...], tuple[int, ...], Pads, tuple[int, ...]]:
    kernel, stride = _pair("kernel_size", kernel), _pair("stride", stride)
    dilation, padding = _pair("dilation", dilation), _pair("padding", padding)
    for name, values in (("kernel size", kernel), ("stride", stride), ("dilation", dilation)):
        if min(values) < 1:
            raise RuntimeError(f"{name} should be greater than zero, but got {_by(values)}")
    if min(padding) < 0:
        raise RuntimeError(f"padding should be non-negative, but got {_by(padding)}")
    return kernel, stride, tuple((p, p) for p in padding), dilation


def _pair(name: str, value: int | Sequence[int]) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(int(v) for v in value)
    if len(values) not in (1, 2):
        raise RuntimeError(f"It is expected {name} equals to 2, but got size {len(values)}")
    return values * (3 - len(values))


def _block_counts(
    sizes: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    pads: Pads,
    dilation: Sequence[int],
) -> tuple[int, ...]:
    return tuple(
        (n + a + b - d * (k - 1) - 1) // s + 1
        for n, k, s, (a, b), d in zip(sizes, kernel, stride, pads, dilation)
    )


# What arguments must satisfy; the rules and the words of the errors are PyTorch's


def per_dimension(name: str, value: int | Sequence[int], dims: int) -> tuple[int, ...]:
    """`value` for each of `dims` dimensions: an int or a single number stands for all."""
    values = (value,) if isinstance(value, int) else tuple(int(v) for v in value)
    if len(values) == 1:
        return values * dims
    if len(values) != dims:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {dims} values to match "
            f"the convolution dimensions, but got {name}={list(values)}"
        )
    return values


def convolution_settings(
    name: str,
    x: Sequence[int],
    weight: Sequence[int],
    bias: Sequence[int] | None,
    stride: int | Sequence[int],
    padding: int | str | Sequence[int],
    dilation: int | Sequence[int],
    groups: int,
) -> tuple[tuple[int, ...], Pads, tuple[int, ...]]:
    """(stride, padding as pairs, dilation), once the shapes of `name`'s arguments are right.

    x is (N, C, *sizes) or (C, *sizes); weight (O, C / groups, *kernel); bias (O,) or None.
    padding is one int, one for each dimension, "valid" (none) or "same": as much as makes the
    output as large as the input, the odd element at the end.
    """
    dims, x = _batched(name, x, weight)
    stride = per_dimension("stride", stride, dims)
    dilation = per_dimension("dilation", dilation, dims)
    kernel = tuple(weight[2:])
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise RuntimeError(f"Invalid padding string: '{padding}'")
        if padding == "same" and any(s != 1 for s in stride):
            raise RuntimeError("padding='same' is not supported for strided convolutions")
        total = [d * (k - 1) if padding == "same" else 0 for d, k in zip(dilation, kernel)]
        pads = tuple((t // 2, t - t // 2) for t in total)
    else:
        pads = tuple((p, p) for p in per_dimension("padding", padding, dims))
    _check_numbers(stride, pads, dilation, groups, kernel)
    _check_groups(weight, groups)
    if x[1] != weight[1] * groups:
        raise RuntimeError(
            f"Given groups={groups}, weight of size {list(weight)}, expected input{list(x)} to "
            f"have {weight[1] * groups} channels, but got {x[1]} channels instead"
        )
    _check_bias("", weight, bias, weight[0])
    sizes = [n + a + b for n, (a, b) in zip(x[2:], pads)]
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    if any(n < r for n, r in zip(sizes, reach)):
        raise RuntimeError(
            f"Calculated padded input size per channel: ({_by(sizes)}). "
            f"Kernel size: ({_by(reach)}). Kernel size can't be greater than actual input size"
        )
    return stride, pads, dilation


def transposed_settings(
    name: str,
    x: Sequence[int],
    weight: Sequence[int],
    bias: Sequence[int] | None,
    stride: int | Sequence[int],
    padding: int | Sequence[int],
    output_padding: int | Sequence[int],
    dilation: int | Sequence[int],
    groups: int,
) -> tuple[tuple[int, ...], Pads, tuple[int, ...], tuple[int, ...]]:
    """(stride, padding as pairs, dilation, output sizes) of a transposed convolution.

    The padding is that of the convolution of which it is the transpose.
    x is (N, C, *sizes) or (C, *sizes); weight (C, O / groups, *kernel); bias (O,) or None. Sizes
    become (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1.
    """
    dims, x = _batched(name, x, weight)
    stride = per_dimension("stride", stride, dims)
    dilation = per_dimension("dilation", dilation, dims)
    extra = per_dimension("output_padding", output_padding, dims)
    pads = tuple((p, p) for p in per_dimension("padding", padding, dims))
    kernel = tuple(weight[2:])
    _check_numbers(stride, pads, dilation, groups, kernel)
    if any(e < 0 for e in extra):
        raise RuntimeError("negative output_padding is not supported")
    _check_groups(weight, groups)
    if x[1] != weight[0]:
        raise RuntimeError(
            f"Given transposed=1, weight of size {list(weight)}, expected input{list(x)} to have "
            f"{weight[0]} channels, but got {x[1]} channels instead"
        )
    _check_bias("transposed=1, ", weight, bias, weight[1] * groups)
    if any(e >= s and e >= d for e, s, d in zip(extra, stride, dilation)):
        raise RuntimeError(
            "output padding must be smaller than either stride or dilation, but got "
            f"output_padding: {_by(extra)} stride: {_by(stride)} dilation: {_by(dilation)}"
        )
    out = tuple(
        (n - 1) * s - a - b + d * (k - 1) + e + 1
        for n, s, (a, b), d, k, e in zip(x[2:], stride, pads, dilation, kernel, extra)
    )
    if any(n < 1 for n in out):
        raise RuntimeError(
            f"Given input size per channel: ({_by(x[2:])}). Calculated output size per channel: "
            f"({_by(out)}). Output size is too small"
        )
    # what output_padding adds is cropped again by the convolution of which this is the transpose
    pads = tuple((a, b - e) for (a, b), e in zip(pads, extra))
    return stride, pads, dilation, out


def _batched(name: str, x: Sequence[int], weight: Sequence[int]) -> tuple[int, tuple[int, ...]]:
    """(spatial dimensions, the input's shape with a batch)."""
    last = name[-2:]
    dims = int(last[0]) if last in ("1d", "2d", "3d") else len(weight) - 2
    if len(weight) != dims + 2:
        raise RuntimeError(
            f"{name} expected a {dims + 2}-dimensional weight, but got one of size {list(weight)}"
        )
    if len(x) not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"Expected {dims + 1}D (unbatched) or {dims + 2}D (batched) input to {name}, but got "
            f"input of size: {list(x)}"
        )
    return dims, tuple(x) if len(x) == dims + 2 else (1, *x)


def _check_numbers(
    stride: tuple[int, ...],
    pads: Pads,
    dilation: tuple[int, ...],
    groups: int,
    kernel: tuple[int, ...],
) -> None:
    if any(s <= 0 for s in stride):
        raise RuntimeError("non-positive stride is not supported")
    if any(a < 0 or b < 0 for a, b in pads):
        raise RuntimeError("negative padding is not supported")
    if any(d <= 0 for d in dilation):
        raise RuntimeError(f"dilation should be greater than zero, but got {list(dilation)}")
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    if any(k <= 0 for k in kernel):
        raise RuntimeError(f"kernel size should be greater than zero, but got {_by(kernel)}")


def _check_groups(weight: Sequence[int], groups: int) -> None:
    if weight[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but "
            f"got weight of size {list(weight)} instead"
        )
    if weight[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, "
            f"but got weight of size [{list(weight)}] instead"
        )


def _check_bias(
    given: str, weight: Sequence[int], bias: Sequence[int] | None, channels: int
) -> None:
    if bias is not None and tuple(bias) != (channels,):
        raise RuntimeError(
            f"Given {given}weight of size {list(weight)}, expected bias to be 1-dimensional with "
            f"{channels} elements, but got bias of size {list(bias)} instead"
        )


def _by(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))
