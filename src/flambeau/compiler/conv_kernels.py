"""Convolution and its gradients on arrays, by generated kernels.

The three functions are those of ``ops._conv_arrays`` for float32 and float64 (and 16-bit floats,
computed in float32), which asks for them by name. Kernels, geometries and plans are functions of
their own, for callers who have generated code themselves.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.threads import get_num_threads, run_parts
from . import conv_text, machine_code, winograd_text
from .builder import FLOATS
from .conv_plan import Axis, Geometry, Plan, plan
from .rows_kernels import address
from .scratch import scratch
from .tiles import Tile, tile

ndarray = np.ndarray
Pads = Sequence[tuple[int, int]]
WINOGRAD_CHANNELS = 32  # inputs and outputs, and
WINOGRAD_POSITIONS = 1024  # of the result, from which fewer multiplications pay
WINOGRAD_POINTS = 110_000  # that are worked on at once: most of a second-level cache
WINOGRAD_CELLS = 256_000  # of a copied block: in small ones, more pieces are half empty
WINOGRAD_GAIN = 0.8  # the multiplications of larger pieces over those of smaller ones, to pay
FEW = 8  # outputs of a group, up to which the lanes run along rows
_INDEX = ctypes.c_int64
_POINTER = ctypes.c_void_p


# ---- kernels -------------------------------------------------------------------------------


def forward_tile(element: str, outputs: int) -> Tile:
    """The tile for so many outputs of a group: a depthwise convolution has one."""
    if outputs >= 3:
        return tile(element, 6, 2) if -outputs % 6 < -outputs % 4 else tile(element, 4, 3)
    return tile(element, 2, 6) if outputs == 2 else tile(element, 1, 8)


def gradient_tile(element: str, outputs: int) -> Tile:
    """The tile for the gradient to the weight; one vector for ``weight_gradient_of_few``."""
    return tile(element, 6, 2) if outputs > FEW else tile(element, 8, 1)


@functools.cache
def forward_kernel(shape: Tile) -> Callable[..., None]:
    """``conv_text.forward``, compiled."""
    return machine_code.load(conv_text.forward(shape), [_POINTER] * 8 + [_INDEX] * 2)


@functools.cache
def gradient_kernel(shape: Tile) -> Callable[..., None]:
    """``conv_text.weight_gradient`` or its like for few outputs, compiled."""
    text = conv_text.weight_gradient if shape.vectors > 1 else conv_text.weight_gradient_of_few
    return machine_code.load(text(shape), [_POINTER] * 7 + [_INDEX] * 2)


@functools.cache
def packing_kernel(element: str, rows: int) -> Callable[..., None]:
    """``conv_text.pack_weights``, compiled."""
    return machine_code.load(conv_text.pack_weights(element, rows), [_POINTER] * 4 + [_INDEX] * 2)


# ---- geometries ----------------------------------------------------------------------------


def _three(axes: Sequence[Axis]) -> tuple[Axis, Axis, Axis]:
    return (*[Axis(1, 1, 1, (0,))] * (3 - len(axes)), *axes)


def _steps(channels: int, sizes: Sequence[int]) -> tuple[int, int, int, int, int]:
    """Steps of a contiguous (images, channels, *sizes): image, channel, depth, row, column."""
    d, h, w = (*(1,) * (3 - len(sizes)), *sizes)
    return channels * d * h * w, d * h * w, h * w, w, 1


@functools.lru_cache(maxsize=512)
def geometry(
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    dilation: tuple[int, ...],
    groups: int,
) -> tuple[Geometry, tuple[int, ...]]:
    """A convolution, and the shape of its result."""
    axes = []
    for n, k, s, (a, b), d in zip(x_shape[2:], w_shape[2:], stride, padding, dilation, strict=True):
        count = (n + a + b - d * (k - 1) - 1) // s + 1
        axes.append(Axis(n, count, s, tuple(t * d - a for t in range(k))))
    out = tuple(axis.count for axis in axes)
    if all(a == Axis(a.size, a.size, 1, (0,)) for a in axes):
        axes = [Axis(math.prod(out), math.prod(out), 1, (0,))]  # one long row
    steps = _steps(w_shape[0], [a.count for a in axes])
    g = Geometry(x_shape[0], groups, w_shape[1], w_shape[0] // groups, _three(axes), steps)
    return g, (x_shape[0], w_shape[0], *out)


@functools.lru_cache(maxsize=512)
def gradient_geometries(
    g_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    sizes: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    dilation: tuple[int, ...],
    groups: int,
) -> list[tuple[Geometry, int, tuple[int, ...]]]:
    """The gradient to the input, as convolutions of the output's gradient: one for every remainder
    of the input's positions modulo the stride. Each with where its result begins, and the taps
    that it has. Positions that no tap reaches are not among them.
    """
    channels = w_shape[1] * groups
    image, channel, *inner = _steps(channels, sizes)
    inner = inner[3 - len(sizes) :]
    taps = np.arange(math.prod(w_shape[2:])).reshape(w_shape[2:])
    found = []
    for phases in itertools.product(*map(range, stride)):
        axes, kept, start = [], [], 0
        for p, n, m, k, s, (a, _), d, step in zip(
            phases, sizes, g_shape[2:], w_shape[2:], stride, padding, dilation, inner, strict=True
        ):
            keep = [t for t in range(k) if (p + a - t * d) % s == 0]
            kept.append(keep)
            start += p * step
            if keep and p < n:
                offsets = tuple((p + a - t * d) // s for t in keep)
                axes.append(Axis(m, (n - p + s - 1) // s, 1, offsets))
        if len(axes) < len(sizes):
            continue
        steps = [0, 0, 0][: 3 - len(sizes)] + [t * s for t, s in zip(inner, stride, strict=True)]
        g = Geometry(
            g_shape[0], groups, w_shape[0] // groups, w_shape[1], _three(axes),
            (image, channel, *steps),
        )  # fmt: skip
        found.append((g, start, tuple(taps[np.ix_(*kept)].reshape(-1).tolist())))
    return found


@functools.lru_cache(maxsize=512)
def weight_offsets(
    w_shape: tuple[int, ...], groups: int, taps: tuple[int, ...] | None
) -> tuple[ndarray, int, int]:
    """Where the terms of one output lie in a contiguous weight, the step from output to output, and
    that from group to group; ``taps``: those of a gradient to the input, whose outputs are
    the weight's second dimension."""
    count = math.prod(w_shape[2:])
    group = w_shape[0] // groups * w_shape[1] * count
    if taps is None:
        return np.arange(w_shape[1] * count, dtype=np.int64), w_shape[1] * count, group
    rows = np.arange(w_shape[0] // groups) * (w_shape[1] * count)
    offsets = np.add.outer(rows, np.array(taps)).reshape(-1).astype(np.int64)
    return offsets, count, group


# ---- runs ----------------------------------------------------------------------------------


def _run_forward(
    g: Geometry,
    out: ndarray,
    start: int,
    x: ndarray,
    weight: ndarray,
    taps: tuple[int, ...] | None,
    bias: ndarray | None,
) -> None:
    element = FLOATS[x.dtype]
    shape = forward_tile(element, g.outputs)
    threads = get_num_threads()
    p = plan(g, shape, threads, False)
    offsets, output_step, group_step = weight_offsets(weight.shape, g.groups, taps)
    tiles = p.outputs_padded // shape.rows
    packed = np.empty(g.groups * p.outputs_padded * p.terms, x.dtype)
    table = np.array([tiles, g.outputs, p.terms, group_step, output_step], np.int64)
    pack = packing_kernel(element, shape.rows)
    given = [address(a) for a in (packed, weight, offsets, table)]
    if packed.size < 1 << 16:
        pack(*given, 0, g.groups * tiles)
    else:
        run_parts(lambda i, j: pack(*given, i, j), g.groups * tiles)
    biases = np.zeros((g.groups, p.outputs_padded), x.dtype)
    if bias is not None:
        biases[:, : g.outputs] = bias.reshape(g.groups, g.outputs)
    kernel = forward_kernel(shape)
    pointers = [address(out) + start * x.dtype.itemsize]
    pointers += [address(a) for a in (x, packed, biases, p.table, p.offsets, p.taps)]

    def part(first: int, last: int) -> None:
        kernel(*pointers, scratch.address(p.scratch, x.dtype.itemsize), first, last)

    _spread(part, p, x.size + out.size)


def _spread(part: Callable[[int, int], None], p: Plan, elements: int) -> None:
    """``part`` over the blocks, in threads where the work is worth them."""
    if elements < 1 << 14:
        part(0, p.blocks)
    else:
        run_parts(part, p.blocks)


def _wide(*arrays: ndarray | None) -> list[ndarray | None]:
    """The arrays without gaps, 16-bit floats as float32."""
    wide = []
    for a in arrays:
        if a is not None and a.dtype.itemsize == 2:
            a = a.astype(np.float32)
        wide.append(None if a is None else np.ascontiguousarray(a))
    return wide


@functools.cache
def winograd_kernel(shape: Tile, m: int) -> Callable[..., None]:
    """``winograd_text.forward``, compiled."""
    return machine_code.load(winograd_text.forward(shape, m), [_POINTER] * 9 + [_INDEX] * 6)


@functools.cache
def winograd_weights(element: str, rows: int, m: int) -> Callable[..., None]:
    """``winograd_text.weights``, compiled."""
    text = winograd_text.weights(element, rows, m)
    return machine_code.load(text, [_POINTER] * 2 + [_INDEX] * 7)


@dataclass(frozen=True)
class Winograd:
    """How a 3x3 convolution of stride 1 is done with fewer multiplications: pieces of m x m."""

    m: int
    tile: Tile
    plan: Plan
    channels: int
    outputs: int
    points_at: int
    chunk: int
    scratch: int  # elements that each thread needs

    @property
    def weights(self) -> int:
        """Elements of the transformed weights."""
        return winograd_text.points(self.m) * self.plan.outputs_padded * self.channels


@functools.lru_cache(maxsize=512)
def winograd_plan(
    dtype: np.dtype,
    x_shape: tuple[int, ...],
    outputs: int,
    sizes: tuple[int, ...],
    first: tuple[int, int],
) -> Winograd | None:
    """The plan for a result of ``sizes`` (height, width), the first tap of the first position of
    which lies at ``first`` in x. None where this way is not the faster one."""
    images, channels = x_shape[:2]
    if dtype != np.float32 or min(outputs, channels) < WINOGRAD_CHANNELS:
        return None

    def cost(m: int) -> int:
        return winograd_text.points(m) * math.prod(-(-n // m) for n in sizes)

    m = 4 if cost(4) <= cost(2) * WINOGRAD_GAIN else 2
    pieces = [-(-n // m) for n in sizes]
    if images * math.prod(pieces) * m * m < WINOGRAD_POSITIONS:
        return None
    shape = tile("float", 4, 3)
    axes = [
        Axis(n, count, m, tuple(e + t for t in range(m + 2)))
        for n, count, e in zip(x_shape[2:], pieces, first, strict=True)
    ]
    steps = _steps(outputs, sizes)
    g = Geometry(images, 1, channels, outputs, _three(axes), steps)
    p = plan(g, shape, get_num_threads(), False, WINOGRAD_CELLS)
    fields = dict(zip(conv_text.FIELDS, p.table.tolist(), strict=True))
    points_at = fields["sums_at"] + outputs * m * m * fields["sums_width"]
    points_at += -points_at % 16  # vectors that lie in two lines of a cache take twice as long
    points = winograd_text.points(m)
    most = max(channels, p.outputs_padded)
    room = max(WINOGRAD_POINTS // (points * most), shape.columns)
    chunk = max(1, min(room, fields["sums_width"]) // shape.columns) * shape.columns
    size = points_at + (points + 1) * (most * chunk + winograd_text.APART)
    return Winograd(m, shape, p, channels, outputs, points_at, chunk, size)


def winograd(
    x: ndarray,
    weight: ndarray,
    bias: ndarray | None,
    sizes: tuple[int, ...],
    first: tuple[int, int],
    turned: bool,
) -> ndarray | None:
    """A 3x3 convolution of stride 1 by ``winograd_plan``. ``turned``: as a gradient to the input
    has it, with inputs and outputs exchanged. None where this way is not the faster one, or
    something is not finite.
    """
    outputs, channels = weight.shape[:2][:: -1 if turned else 1]
    w = winograd_plan(x.dtype, x.shape, outputs, sizes, first)
    if w is None:
        return None
    p = w.plan
    u = np.empty(w.weights, x.dtype)
    given = winograd_steps(weight.shape, turned)
    start = address(weight) + (8 * x.itemsize if turned else 0)
    points = winograd_weights("float", w.tile.rows, w.m)
    run_parts(
        lambda i, j: points(address(u), start, outputs, channels, *given, i, j),
        p.outputs_padded // w.tile.rows,
    )
    biases = np.zeros(p.outputs_padded, x.dtype)
    if bias is not None:
        biases[:outputs] = bias
    out = np.empty((len(x), outputs, *sizes), x.dtype)
    bad = np.zeros(1, np.int64)
    kernel = winograd_kernel(w.tile, w.m)
    pointers = [address(a) for a in (out, bad, x, u, biases, p.table, p.offsets, p.taps)]

    def part(start: int, stop: int) -> None:
        place = scratch.address(w.scratch, x.itemsize)
        kernel(*pointers, place, w.points_at, w.chunk, *sizes, start, stop)

    run_parts(part, p.blocks)
    return None if bad[0] else out


def winograd_steps(w_shape: tuple[int, ...], turned: bool) -> tuple[int, int, int]:
    """Steps in a weight from output to output, from channel to channel and from tap to tap."""
    count = 9 * w_shape[1]
    return (9, count, -1) if turned else (count, 9, 1)


def convolve(
    x: ndarray,
    weight: ndarray,
    bias: ndarray | None,
    stride: tuple[int, ...],
    padding: Pads,
    dilation: tuple[int, ...],
    groups: int,
) -> ndarray | None:
    """``ops._conv_arrays.convolve``; None for a dtype that has no kernel. Nothing is empty."""
    dtype = x.dtype
    x, weight, bias = _wide(x, weight, bias)
    if FLOATS.get(x.dtype) is None:
        return None
    g, shape = geometry(x.shape, weight.shape, stride, padding, dilation, groups)
    if weight.shape[2:] == (3, 3) and tuple(stride) == tuple(dilation) == (1, 1) and groups == 1:
        first = (-padding[0][0], -padding[1][0])
        quick = winograd(x, weight, bias, shape[2:], first, False)
        if quick is not None:
            return quick.astype(dtype, copy=False)
    out = np.empty(shape, x.dtype)
    _run_forward(g, out, 0, x, weight, None, bias)
    return out.astype(dtype, copy=False)


def convolve_input_gradient(
    grad: ndarray,
    weight: ndarray,
    sizes: tuple[int, ...],
    stride: tuple[int, ...],
    padding: Pads,
    dilation: tuple[int, ...],
    groups: int,
) -> ndarray | None:
    """``ops._conv_arrays.convolve_input_gradient``; None for a dtype that has no kernel."""
    dtype = grad.dtype
    grad, weight = _wide(grad, weight)
    if FLOATS.get(grad.dtype) is None:
        return None
    sizes = tuple(sizes)
    if weight.shape[2:] == (3, 3) and tuple(stride) == tuple(dilation) == (1, 1) and groups == 1:
        first = (padding[0][0] - 2, padding[1][0] - 2)
        quick = winograd(grad, weight, None, sizes, first, True)
        if quick is not None:
            return quick.astype(dtype, copy=False)
    found = gradient_geometries(grad.shape, weight.shape, sizes, stride, padding, dilation, groups)
    whole = len(found) == math.prod(stride)
    make = np.empty if whole else np.zeros
    out = make((len(grad), weight.shape[1] * groups, *sizes), grad.dtype)
    for g, start, taps in found:
        _run_forward(g, out, start, grad, weight, taps, None)
    return out.astype(dtype, copy=False)


def convolve_weight_gradient(
    grad: ndarray,
    x: ndarray,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: Pads,
    dilation: tuple[int, ...],
    groups: int,
) -> ndarray | None:
    """``ops._conv_arrays.convolve_weight_gradient``; None for a dtype that has no kernel."""
    dtype = grad.dtype
    grad, x = _wide(grad, x)
    element = FLOATS.get(x.dtype)
    if element is None:
        return None
    o, c = grad.shape[1], x.shape[1] // groups
    kernel = tuple(kernel)
    g, _ = geometry(x.shape, (o, c, *kernel), stride, padding, dilation, groups)
    shape = gradient_tile(element, g.outputs)
    p = plan(g, shape, get_num_threads(), True)
    padded = len(p.offsets)
    panels = p.outputs_padded // shape.columns
    few = shape.vectors == 1
    layout = (groups, g.outputs, padded) if few else (groups, panels, padded, shape.columns)
    code = gradient_kernel(shape)
    pointers = [address(a) for a in (grad, x, p.table, p.offsets, p.taps)]
    sums: list[ndarray] = []

    def part(first: int, last: int) -> None:
        own = np.zeros(layout, x.dtype)
        place = scratch.address(p.scratch, x.dtype.itemsize)
        code(address(own), *pointers, place, first, last)
        sums.append(own)

    _spread(part, p, x.size + grad.size)
    total = functools.reduce(np.add, sums)
    if not few:
        total = total.transpose(0, 1, 3, 2).reshape(groups, p.outputs_padded, padded)
    result = total[:, : g.outputs, : p.terms].reshape(o, c, *kernel)
    return result.astype(dtype, copy=False)
