"""Methods of tensors: reductions, scans, sorting, statistics."""

from __future__ import annotations

from ..core.twins import inplace
from ..functions import differences, statistics
from ..ops import (
    extrema,
    moments,
    norms,
    order_statistics,
    reductions,
    scans,
    searching,
    softmax,
    sorting,
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

    var = moments.var
    std = moments.std
    norm = norms.norm
    dist = norms.dist
    renorm = statistics.renorm
    renorm_ = inplace(statistics.renorm)

    median = order_statistics.median
    nanmedian = order_statistics.nanmedian
    mode = order_statistics.mode
    kthvalue = order_statistics.kthvalue
    quantile = statistics.quantile
    nanquantile = statistics.nanquantile

    cumsum = scans.cumsum
    cumsum_ = inplace(scans.cumsum)
    cumprod = scans.cumprod
    cumprod_ = inplace(scans.cumprod)
    cummax = scans.cummax
    cummin = scans.cummin
    logcumsumexp = scans.logcumsumexp
    diff = differences.diff

    sort = sorting.sort
    argsort = sorting.argsort
    msort = sorting.msort
    topk = sorting.topk
    unique = searching.unique
    unique_consecutive = searching.unique_consecutive
    bincount = searching.bincount
    histc = searching.histc
    histogram = searching.histogram

    cov = statistics.cov
    corrcoef = statistics.corrcoef

    log_softmax = softmax.log_softmax
    softmax = softmax.softmax
