"""How a convolution is cut into blocks: the tables that the kernels of ``conv_text`` read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .conv_text import FIELDS
from .tiles import Tile

CELLS = 64_000  # of a copied block, and of its sums: about a second-level cache
TERMS = 384  # of a sum at once, and
LINES = 128  # rows of a block from which they come: both fit into a first-level cache
WEIGHTS = 48_000  # that are used at once: a share of a second-level cache
POSITIONS = 512  # images are taken together until there are so many
BLOCKS = 4  # for each thread at least, so that they end together


@dataclass(frozen=True)
class Axis:
    """One dimension: output position p and tap t meet at source[p * stride + offsets[t]].

    Outside of 0 <= index < ``size`` the source is zero.
    """

    size: int
    count: int
    stride: int
    offsets: tuple[int, ...]

    @property
    def first(self) -> int:
        """The smallest offset."""
        return min(self.offsets)

    @property
    def phases(self) -> tuple[int, ...]:
        """The remainders of the offsets, from the first one on, modulo the stride."""
        return tuple(sorted({(e - self.first) % self.stride for e in self.offsets}))

    @property
    def reach(self) -> int:
        """Cells of a phase that the last tap is away from the first."""
        return max((e - self.first) // self.stride for e in self.offsets)

    def places(self) -> list[tuple[int, int]]:
        """(number of its phase, cells from the phase's start) of every tap."""
        return [
            (self.phases.index((e - self.first) % self.stride), (e - self.first) // self.stride)
            for e in self.offsets
        ]

    def inside(self, phase: int) -> tuple[int, int]:
        """The cells of a phase that lie in the source: from the first to below the second."""
        start = self.first + phase
        return -(start // self.stride), (self.size - 1 - start) // self.stride + 1


@dataclass(frozen=True)
class Geometry:
    """What a kernel computes; ``out_steps``: image, channel, depth, row, column of the result."""

    images: int
    groups: int
    channels: int  # of a group
    outputs: int  # of a group
    axes: tuple[Axis, Axis, Axis]
    out_steps: tuple[int, int, int, int, int]


@dataclass(frozen=True)
class Plan:
    """The arguments of a kernel that follow from the geometry.

    ``blocks``: what start and stop count; ``scratch``: elements that each thread needs.
    """

    table: np.ndarray
    offsets: np.ndarray
    taps: np.ndarray
    blocks: int
    scratch: int
    terms: int
    outputs_padded: int


def _up(number: int, step: int) -> int:
    return -(-number // step) * step


def _apart(cells: int) -> int:
    """``cells``, or a few more where rows that far apart would share places of a cache."""
    return cells + 16 if cells % 256 < 16 or cells % 256 > 240 else cells


def _even(count: int, most: int) -> int:
    """The size of equal parts of ``count``, each at most ``most``."""
    most = max(1, min(most, count))
    return -(-count // -(-count // most))


@lru_cache(maxsize=512)
def plan(
    geometry: Geometry, tile: Tile, threads: int, gradient: bool, most_cells: int = CELLS
) -> Plan:
    """The tables for a kernel; ``gradient``: that of the weight; ``most_cells``: of a block."""
    g = geometry
    depth, height, width = g.axes
    planes = len(depth.offsets) * len(height.phases) * len(width.phases)
    taps = len(depth.offsets) * len(height.offsets) * len(width.offsets)
    per_cell = g.channels * planes
    step = tile.rows if not gradient else tile.columns
    outputs = _up(g.outputs, step)
    per_position = tile.columns if gradient else outputs

    # columns: all of them, unless a single row is too long
    columns = width.count
    room = max(tile.columns, most_cells // (per_cell * (1 + height.reach)) - width.reach)
    if columns > room + room // 2:
        columns = _even(columns, _up(room, tile.columns))
    cells = columns + width.reach
    shared = 0
    if columns == width.count:
        edges = [width.inside(phase) for phase in width.phases]
        shared = max(0, min(min(low, cells - high) for low, high in edges))
        shared = min(shared, cells - 1)
    cells -= shared
    # rows, then images
    most = min(
        most_cells // (per_cell * cells) - height.reach,
        most_cells // (per_position * cells),
    )
    rows = _even(height.count, most)
    images = 1
    if rows == height.count and columns == width.count:
        # few positions of an image waste tiles and read the weights again and again: rather
        # leave the second-level cache, and let the threads end a little apart
        few = rows * cells < POSITIONS // 4
        room = 4 * most_cells if few else most_cells
        each = g.images * depth.count * g.groups // (threads if few else BLOCKS * threads)
        most = min(
            room // (per_cell * cells * (rows + height.reach)),
            room // (per_position * cells * rows),
            -(-POSITIONS // (rows * cells)),
            max(1, each),
        )
        images = _even(g.images, most)
    image_rows = rows + height.reach
    if images > 1:  # the zeros below an image serve as those above the next
        edges = [height.inside(phase) for phase in height.phases]
        both = max(0, min(min(low, image_rows - high) for low, high in edges))
        image_rows -= min(both, image_rows - 1)
    plane = images * image_rows * cells
    channel = _apart(planes * plane)
    positions = ((images - 1) * image_rows + rows - 1) * cells + columns
    sums_width = _apart(_up(positions, tile.columns))
    spilled = (rows + height.reach) * cells + shared  # of the last image, at most
    block = _up(g.channels * channel + tile.columns + spilled + 64, 16)
    terms = g.channels * taps
    lines = len(depth.offsets) * len(height.offsets) * len(width.phases)
    at_once = _even(terms, min(TERMS, LINES * taps // lines))
    size = [a.size for a in g.axes]
    values = {
        "channels": g.channels, "outputs": g.outputs, "terms": terms, "terms_at_once": at_once,
        "tiles_at_once": _even(outputs // step, WEIGHTS // (at_once * step)),
        "groups": g.groups, "images": g.images, "images_each": images, "depths": depth.count,
        "row_blocks": -(-height.count // rows), "rows_each": rows, "rows": height.count,
        "column_blocks": -(-width.count // columns), "columns_each": columns,
        "columns": width.count, "depth": size[0], "height": size[1],
        "image_step": g.groups * g.channels * size[0] * size[1] * size[2],
        "channel_step": size[0] * size[1] * size[2], "depth_step": size[1] * size[2],
        "height_step": size[2], "stride_d": depth.stride, "stride_h": height.stride,
        "stride_w": width.stride, "taps_d": len(depth.offsets), "phases_h": len(height.phases),
        "phases_w": len(width.phases), "reach_h": height.reach,
        "image_rows": image_rows, "width": cells,
        "channel_cells": channel, "zeros_after": shared, "out_image": g.out_steps[0],
        "out_channel": g.out_steps[1], "out_depth": g.out_steps[2], "out_row": g.out_steps[3],
        "out_column": g.out_steps[4], "sums_at": block, "sums_width": sums_width,
        "bias_at": block + outputs * sums_width, "terms_padded": _up(terms, tile.rows),
        "turned_at": block,
    }  # fmt: skip
    scratch = block + (
        images * rows * columns * tile.columns
        if gradient
        else outputs * (sums_width + tile.columns)
    )
    blocks = -(-g.images // images) * g.groups * depth.count
    return Plan(
        np.array([values[name] for name in FIELDS], np.int64),
        _offsets(g, planes, plane, channel, cells, _up(terms, tile.rows) if gradient else terms),
        _taps(g.axes),
        blocks * values["row_blocks"] * values["column_blocks"],
        scratch,
        terms,
        outputs,
    )


def _offsets(
    g: Geometry, planes: int, plane: int, channel: int, cells: int, count: int
) -> np.ndarray:
    """How far every term (channel, tap) lies from the first cell of a block."""
    depth, height, width = g.axes
    per_depth = planes // len(depth.offsets) * plane
    phases = len(width.phases)
    taps = [
        kd * per_depth + (ph * phases + pw) * plane + i * cells + j
        for kd in range(len(depth.offsets))
        for ph, i in height.places()
        for pw, j in width.places()
    ]
    terms = np.add.outer(np.arange(g.channels) * channel, taps).reshape(-1)
    return np.concatenate((terms, np.zeros(count - len(terms), terms.dtype))).astype(np.int64)


def _taps(axes: Sequence[Axis]) -> np.ndarray:
    """Offsets of the taps in depth and of the phases of rows; offset, first and last cell inside
    of the phases of columns."""
    depth, height, width = axes
    rows = [height.first + phase for phase in height.phases]
    columns = [(width.first + phase, *width.inside(phase)) for phase in width.phases]
    return np.array([*depth.offsets, *rows, *(n for c in columns for n in c)], np.int64)
