"""The long tail of a tensor's methods, loaded when one of them is first asked for.

``Tensor`` holds a place for every name here (``NAMES`` in _tensor.py), so that the import of
flambeau need not load linear algebra, statistics or special functions.
"""

from __future__ import annotations

from ..core.mutation import inplace
from ..functions import differences, linear_algebra, pointwise, short_time, statistics
from ..functions import products as composed
from ..ops import (
    activations,
    complexes,
    factorisations,
    moments,
    norms,
    order_statistics,
    scans,
    scattering,
    searching,
    softmax,
    solving,
    sorting,
    special_functions,
    spectra,
)
from ..ops import addmm as added
from . import _sampling, _sharing
from ._other_kinds import OtherKinds


class FurtherMethods(OtherKinds):
    """Methods of tensors that ``Tensor`` takes over on demand."""

    __slots__ = ()

    # ---- special functions ---------------------------------------------------------------------

    erf = special_functions.erf
    erf_ = inplace(special_functions.erf)
    erfc = special_functions.erfc
    erfc_ = inplace(special_functions.erfc)
    erfinv = special_functions.erfinv
    erfinv_ = inplace(special_functions.erfinv)
    lgamma = special_functions.lgamma
    lgamma_ = inplace(special_functions.lgamma)
    digamma = special_functions.digamma
    digamma_ = inplace(special_functions.digamma)
    sinc = special_functions.sinc
    sinc_ = inplace(special_functions.sinc)
    i0 = special_functions.i0
    i0_ = inplace(special_functions.i0)
    igamma = special_functions.igamma
    igamma_ = inplace(special_functions.igamma)
    igammac = special_functions.igammac
    igammac_ = inplace(special_functions.igammac)
    mvlgamma = special_functions.mvlgamma
    mvlgamma_ = inplace(special_functions.mvlgamma)
    xlogy = special_functions.xlogy
    xlogy_ = inplace(special_functions.xlogy)
    polygamma = special_functions.polygamma_method
    polygamma_ = inplace(special_functions.polygamma_method, "polygamma_")

    apply_ = pointwise.apply_
    map_ = pointwise.map_
    map2_ = pointwise.map2_

    # ---- activations ---------------------------------------------------------------------------

    relu = activations.relu
    relu_ = activations.relu_
    hardshrink = activations.hardshrink
    prelu = activations.prelu

    # ---- complex numbers -----------------------------------------------------------------------

    angle = complexes.angle
    conj = complexes.conj
    conj_physical = complexes.conj_physical
    conj_physical_ = inplace(complexes.conj_physical)

    # ---- moments and norms ---------------------------------------------------------------------

    var = moments.var
    std = moments.std
    norm = norms.norm
    dist = norms.dist

    # ---- order and statistics ------------------------------------------------------------------

    renorm = statistics.renorm
    renorm_ = inplace(statistics.renorm)
    median = order_statistics.median
    nanmedian = order_statistics.nanmedian
    mode = order_statistics.mode
    kthvalue = order_statistics.kthvalue
    quantile = statistics.quantile
    nanquantile = statistics.nanquantile
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

    # ---- scans ---------------------------------------------------------------------------------

    cumsum = scans.cumsum
    cumsum_ = inplace(scans.cumsum)
    cumprod = scans.cumprod
    cumprod_ = inplace(scans.cumprod)
    cummax = scans.cummax
    cummin = scans.cummin
    logcumsumexp = scans.logcumsumexp

    # ---- softmax -------------------------------------------------------------------------------

    log_softmax = softmax.log_softmax
    softmax = softmax.softmax

    # ---- products ------------------------------------------------------------------------------

    addbmm = added.addbmm
    addbmm_ = inplace(added.addbmm)
    addmm = added.addmm
    addmm_ = inplace(added.addmm)
    addmv = added.addmv
    addmv_ = inplace(added.addmv)
    addr = added.addr
    addr_ = inplace(added.addr)
    baddbmm = added.baddbmm
    baddbmm_ = inplace(added.baddbmm)
    cross = composed.cross
    ger = composed.ger
    inner = composed.inner
    kron = composed.kron
    outer = composed.outer

    # ---- short-time Fourier transforms ---------------------------------------------------------

    istft = short_time.istft
    stft = short_time.stft

    # ---- linear algebra ------------------------------------------------------------------------

    cholesky = factorisations.cholesky
    cholesky_inverse = solving.cholesky_inverse
    cholesky_solve = solving.cholesky_solve
    det = solving.det
    geqrf = factorisations.geqrf
    inverse = solving.inverse
    logdet = solving.logdet
    lu = linear_algebra.lu
    lu_solve = solving.lu_solve
    matrix_exp = solving.matrix_exp
    matrix_power = linear_algebra.matrix_power
    orgqr = factorisations.orgqr
    ormqr = factorisations.ormqr
    pinverse = linear_algebra.pinverse
    qr = factorisations.qr
    slogdet = solving.slogdet
    svd = spectra.svd
    triangular_solve = solving.triangular_solve

    # ---- writing by index ----------------------------------------------------------------------

    scatter = scattering.scatter
    scatter_ = scattering.scatter_
    scatter_add = scattering.scatter_add
    scatter_add_ = scattering.scatter_add_
    scatter_reduce = scattering.scatter_reduce
    scatter_reduce_ = scattering.scatter_reduce_
    index_add = scattering.index_add
    index_add_ = scattering.index_add_
    index_copy = scattering.index_copy
    index_copy_ = scattering.index_copy_
    index_fill = scattering.index_fill
    index_fill_ = scattering.index_fill_
    index_reduce = scattering.index_reduce
    index_reduce_ = scattering.index_reduce_
    put = scattering.put
    put_ = scattering.put_
    masked_scatter = scattering.masked_scatter
    masked_scatter_ = scattering.masked_scatter_
    select_scatter = scattering.select_scatter
    slice_scatter = scattering.slice_scatter
    diagonal_scatter = scattering.diagonal_scatter

    # ---- random numbers ------------------------------------------------------------------------

    multinomial = _sampling.multinomial

    # ---- memory of several processes -----------------------------------------------------------

    share_memory_ = _sharing.share_memory_
    is_shared = _sharing.is_shared
