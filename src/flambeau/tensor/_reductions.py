"""Methods of tensors: reductions, scans, sorting."""

from __future__ import annotations

from ..ops import extrema, reductions, softmax


class ReductionMethods:
    """Methods of tensors: reductions, scans, sorting."""

    __slots__ = ()

    sum = reductions.sum
    sum_to_size = reductions.sum_to_size
    mean = reductions.mean
    logsumexp = reductions.logsumexp

    amax = extrema.amax
    amin = extrema.amin
    aminmax = extrema.aminmax
    argmax = extrema.argmax
    argmin = extrema.argmin
    max = extrema.max
    min = extrema.min

    log_softmax = softmax.log_softmax
    softmax = softmax.softmax
