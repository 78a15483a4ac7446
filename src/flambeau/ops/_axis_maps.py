"""Sparse linear maps along one axis, from which separable pooling and resizing are made.

A window sum, a mean over uneven parts and an interpolation are each a product of one map per
axis: out[row] = sum over its entries of weight * x[col]. The gradient is the transposed map.
"""

from __future__ import annotations

import math
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ._windows import in_parts, working_dtype

if TYPE_CHECKING:
    from collections.abc import Sequence

    Round = tuple[np.ndarray, np.ndarray, np.ndarray | None]
    Where = slice | np.ndarray


class AxisMap:
    """out (size `out`) from x (size `size`), in rounds (rows, cols, weights).

    Within one round no row occurs twice, so that a round is one vector operation. weights None
    means ones. Rounds are added (or, for a maximum, compared) in their order.
    """

    def __init__(self, size: int, out: int, rounds: Sequence[Round]) -> None:
        self.size, self.out = size, out
        self.rounds = [r for r in rounds if len(r[0])]

    @cached_property
    def steps(self) -> list[tuple[Where, Where, np.ndarray | None, bool]]:
        """Rounds ready for indexing: (rows, cols, weights, whether rows are all of out)."""
        return [
            (_where(rows), _where(cols), weights, len(rows) == self.out)
            for rows, cols, weights in self.rounds
        ]

    @cached_property
    def transposed(self) -> AxisMap:
        """The map from out to size with the same weights."""
        swapped = [(cols, rows, weights) for rows, cols, weights in self.rounds]
        if any(len(np.unique(rows)) < len(rows) for rows, _, _ in swapped):
            swapped = _regroup(swapped)
        return AxisMap(self.out, self.size, swapped)

    def apply(self, x: np.ndarray, axis: int) -> np.ndarray:
        """The map along `axis`, a negative one, of `x`; a new array."""
        rest = (slice(None),) * (-axis - 1)
        steps = self.steps
        if steps and steps[0][3]:
            total, steps = self._term(x, axis, steps[0]), steps[1:]
            if np.may_share_memory(total, x):
                total = total.copy()
        else:
            shape = list(x.shape)
            shape[axis] = self.out
            total = np.zeros(shape, x.dtype)
        for step in steps:
            total[(..., step[0], *rest)] += self._term(x, axis, step)
        return total

    def _term(self, x: np.ndarray, axis: int, step: tuple) -> np.ndarray:
        """What one round adds, for each of its rows."""
        _, cols, weights, _ = step
        term = taken(x, cols, axis)
        if weights is None:
            return term
        return term * weights.astype(x.dtype, copy=False).reshape(-1, *(1,) * (-axis - 1))


def taken(x: np.ndarray, cols: Where, axis: int) -> np.ndarray:
    """x at `cols` of a negative `axis`, laid out so that arithmetic on it is fast."""
    if not isinstance(cols, slice):
        return x.take(cols, axis)
    term = x[(..., cols, *(slice(None),) * (-axis - 1))]
    # copying every other element costs a third of computing with them where they are
    return np.ascontiguousarray(term) if axis == -1 and cols.step > 1 else term


def _where(index: np.ndarray) -> Where:
    """`index` as a slice if it is an arithmetic progression upwards."""
    step = int(index[1] - index[0]) if len(index) > 1 else 1
    if step < 1 or not (np.diff(index) == step).all():
        return index
    return slice(int(index[0]), int(index[-1]) + 1, step)


def _regroup(rounds: Sequence[Round]) -> list[Round]:
    """The same entries in rounds without a repeated row."""
    rows = np.concatenate([r[0] for r in rounds])
    cols = np.concatenate([r[1] for r in rounds])
    weights = None
    if rounds[0][2] is not None:
        weights = np.concatenate([r[2] for r in rounds])
        kept = weights != 0
        rows, cols, weights = rows[kept], cols[kept], weights[kept]
    order = np.lexsort((cols, rows))
    rows, cols = rows[order], cols[order]
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
    rounds = []
    for r in range(int(rank.max(initial=-1)) + 1):
        at = rank == r
        rounds.append((rows[at], cols[at], None if weights is None else weights[order][at]))
    return rounds


def apply_maps(
    x: np.ndarray,
    maps: Sequence[AxisMap],
    before: np.ndarray | float | None = None,
    after: np.ndarray | float | None = None,
) -> np.ndarray:
    """One map along each of the last axes of `x`, divided by `before` first and `after` at last."""
    lead = x.shape[: x.ndim - len(maps)]
    sizes = tuple(m.out for m in maps)
    out = np.empty((*lead, *sizes), x.dtype)
    if out.size == 0:
        return out
    work = working_dtype(x.dtype)
    planes = math.prod(lead)
    source, result = x.reshape(planes, *x.shape[len(lead) :]), out.reshape(planes, *sizes)
    axes = list(range(-len(maps), 0))
    if maps[-1].out > maps[-1].size:
        axes.reverse()  # grow along the last axis, the slow one, while there is least to grow

    def part(these: slice) -> None:
        y = source[these].astype(work, copy=False)
        if before is not None:
            y = y / before
        for axis in axes:
            y = maps[axis].apply(y, axis)
        if after is not None:
            y = y / after
        result[these] = y

    in_parts(part, planes, max(x.size, out.size) // max(1, planes) * work.itemsize)
    return out


class WindowMap(AxisMap):
    """Sums over windows of an axis: round t adds x[starts + t * step] wherever that is inside.

    lengths says how many taps each window has.
    """

    def __init__(self, size: int, starts: np.ndarray, lengths: np.ndarray, step: int = 1) -> None:
        self.starts, self.step = starts, step
        rounds = []
        for tap in range(int(lengths.max(initial=0))):
            at = starts + tap * step
            rows = np.flatnonzero((at >= 0) & (at < size) & (tap < lengths))
            rounds.append((rows, at[rows], None))
        super().__init__(size, len(starts), rounds)
        self.taps = [tap for tap, round_ in enumerate(rounds) if len(round_[0])]

    @cached_property
    def first(self) -> np.ndarray:
        """The first tap of each window that is inside; 0 for a window that has none."""
        first = np.zeros(self.out, np.int64)
        for tap, (rows, _, _) in zip(reversed(self.taps), reversed(self.rounds)):
            first[rows] = tap
        return first

    @cached_property
    def counts(self) -> np.ndarray:
        """Elements inside each window."""
        counts = np.zeros(self.out, np.int64)
        for rows, _, _ in self.rounds:
            counts[rows] += 1
        return counts


@lru_cache(maxsize=256)
def window_map(
    size: int, kernel: int, stride: int, padding: int, dilation: int, out: int
) -> WindowMap:
    """The `out` windows of a pooling; what they have in the padding is left out."""
    starts = np.arange(out) * stride - padding
    return WindowMap(size, starts, np.full(out, kernel), dilation)


@lru_cache(maxsize=256)
def part_map(size: int, out: int) -> WindowMap:
    """`out` parts of nearly equal length that cover the axis, overlapping where they must.

    Part i is floor(i * size / out) to ceil((i + 1) * size / out) (adaptive pooling).
    """
    outs = np.arange(out)
    starts = outs * size // max(1, out)
    return WindowMap(size, starts, -(-(outs + 1) * size // max(1, out)) - starts)
