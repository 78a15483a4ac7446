"""Methods of tensors: reductions, scans, sorting, statistics."""

from __future__ import annotations

from ..ops import (
    extrema,
    reductions,
)


class ReductionMethods:
    """Methods of tensors: reductions, scans, sorting, statistics."""

    __slots__ = ()

    sum = reductions.sum
    sum_to_size = reductions.sum_to_size
    nansum = reductions.nansum
    mean = reductions.mean
    nanmean = reductions.nanmean
    prod = reductions.prod
    all = reductions.all
    any = reductions.any
    count_nonzero = reductions.count_nonzero
    logsumexp = reductions.logsumexp
    trace = reductions.trace

    amax = extrema.amax
    amin = extrema.amin
    aminmax = extrema.aminmax
    argmax = extrema.argmax
    argmin = extrema.argmin
    max = extrema.max
    min = extrema.min
